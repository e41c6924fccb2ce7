/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the control socket, and that the man page says of them what their rows say. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/common/commands.h"

#define MAN_PAGE "docs/man/ospreyctl.8"
#define RESTRICTED "Only for root and the daemon's own user."
#define RESTRICTED_SET "Setting it is only for root and the daemon's own user."

/* ---- the man page: its commands, as "name ARGUMENT", and the text of each ---- */

struct entry { char title[80], text[1024]; };

static struct entry entries[OSP_COMMAND_COUNT + 8];
static size_t       entry_count;

/* What a reader sees of a line: without the macro, quotes, fonts and the backslash of a hyphen. */
static void
plain(const char *line, char *dst, size_t cap)
{
    size_t n = 0;

    if (*line == '.')
        line += strcspn(line, " ");
    line += strspn(line, " ");
    for (; *line && *line != '\n' && n + 1 < cap; line++) {
        if (line[0] == '\\' && line[1] == 'f') {
            line += 2;
            continue;
        }
        if (*line != '"' && *line != '\\' && !(*line == ' ' && n > 0 && dst[n - 1] == ' '))
            dst[n++] = *line;
    }
    dst[n] = '\0';
}

static void
read_man_page(void)
{
    FILE *f = fopen(MAN_PAGE, "r");
    char  line[1024], shown[1024];
    bool  inside = false, is_title = false;

    assert_non_null(f);
    entry_count = 0;
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, ".SH", 3) == 0)
            inside = strstr(line, "COMMANDS") != NULL;
        else if (inside && strncmp(line, ".TP", 3) == 0)
            is_title = true;
        else if (inside) {
            plain(line, shown, sizeof(shown));
            if (is_title) {
                assert_true(entry_count < sizeof(entries) / sizeof(entries[0]));
                entries[entry_count++] = (struct entry){ 0 };
                (void)snprintf(entries[entry_count - 1].title, sizeof(entries[0].title), "%.79s", shown);
            } else {
                struct entry *e = &entries[entry_count - 1];
                size_t        n = strlen(e->text);

                (void)snprintf(e->text + n, sizeof(e->text) - n, "%s ", shown);
            }
            is_title = false;
        }
    }
    (void)fclose(f);
}

static void
man_page_has_every_command_with_its_argument_in_order_and_no_other(void **state)
{
    (void)state;
    read_man_page();
    for (size_t i = 0; i < OSP_COMMAND_COUNT; i++) {
        char want[80];

        (void)snprintf(want, sizeof(want), "%s%s%s", osp_commands[i].name, *osp_commands[i].argument ? " " : "",
                       osp_commands[i].argument);
        if (i >= entry_count || strcmp(entries[i].title, want) != 0)
            fail_msg(MAN_PAGE ": \"%s\" has to be command %zu, there is \"%s\"", want, i + 1,
                     i < entry_count ? entries[i].title : "none");
    }
    assert_int_equal(entry_count, OSP_COMMAND_COUNT + 1);
    assert_string_equal(entries[OSP_COMMAND_COUNT].title, "context import FILE");       /* ospreyctl's own */
}

static void
man_page_says_which_commands_are_for_the_owner(void **state)
{
    (void)state;
    read_man_page();
    assert_true(entry_count >= OSP_COMMAND_COUNT);
    for (size_t i = 0; i < OSP_COMMAND_COUNT; i++) {
        bool always = strstr(entries[i].text, RESTRICTED) != NULL, sets = strstr(entries[i].text, RESTRICTED_SET) != NULL;

        if (always != (osp_commands[i].who == OSP_COMMAND_OWNER) || sets != (osp_commands[i].who == OSP_COMMAND_OWNER_SETS))
            fail_msg(MAN_PAGE ": who may give \"%s\" is not what the table says", osp_commands[i].name);
    }
}

/* ---- rows ---- */

static void
rows_are_complete_and_found_by_their_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < OSP_COMMAND_COUNT; i++) {
        const struct osp_command *c = &osp_commands[i];

        assert_true(*c->name && *c->help && strpbrk(c->name, " \n") == NULL);
        assert_ptr_equal(osp_command_find(c->name), c);
    }
    assert_null(osp_command_find(""));
    assert_null(osp_command_find("stat"));
    assert_null(osp_command_find("status "));
}

static void
an_argument_is_taken_where_there_is_one(void **state)
{
    const struct osp_command *status = osp_command_find("status"), *contexts = osp_command_find("contexts");

    (void)state;
    assert_true(osp_command_takes(status, 0) && !osp_command_takes(status, 1));
    assert_true(osp_command_takes(contexts, 0) && osp_command_takes(contexts, 1) && !osp_command_takes(contexts, 2));
    assert_true(osp_command_takes(osp_command_find("purge"), 1) && !osp_command_takes(osp_command_find("purge"), 2));
}

static void
what_changes_something_is_restricted(void **state)
{
    (void)state;
    for (size_t i = 0; i < OSP_COMMAND_COUNT; i++) {
        const char *name = osp_commands[i].name;
        bool        changes = strstr("revoke purge reload stop", name) != NULL;

        assert_int_equal(osp_command_is_restricted(&osp_commands[i], false), changes);
        assert_int_equal(osp_command_is_restricted(&osp_commands[i], true), changes || strcmp(name, "log-level") == 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(man_page_has_every_command_with_its_argument_in_order_and_no_other),
        cmocka_unit_test(man_page_says_which_commands_are_for_the_owner),
        cmocka_unit_test(rows_are_complete_and_found_by_their_name),
        cmocka_unit_test(an_argument_is_taken_where_there_is_one),
        cmocka_unit_test(what_changes_something_is_restricted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
