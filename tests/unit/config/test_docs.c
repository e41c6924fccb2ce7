/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * docs/configuration.md and osprey.yaml(5) hold what the schema tables say of themselves.
 *   test_config_docs -w     writes that into them
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

#define MARKDOWN "docs/configuration.md"
#define MAN_PAGE "docs/man/osprey.yaml.5"

static char *
read_text(const char *path)
{
    FILE  *f = fopen(path, "rb");
    char  *text = calloc(1, 1 << 20);
    size_t n;

    if (!f || !text) {
        perror(path);
        exit(2);
    }
    n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return text;
}

static char *
reference(bool man)
{
    char  *text = NULL;
    size_t n = 0;
    FILE  *f = open_memstream(&text, &n);

    if (!f)
        exit(2);
    cfg_reference(man, f);
    (void)fclose(f);
    return text;
}

/* What stands between the lines with the marks: from *begin up to *end. */
static bool
find_part(char *text, char **begin, char **end)
{
    char *b = strstr(text, "keys: begin"), *e;

    b = b ? strchr(b, '\n') : NULL;
    e = b ? strstr(b, "keys: end") : NULL;
    while (e && e > b && e[-1] != '\n')
        e--;
    *begin = b ? b + 1 : NULL;
    *end = e;
    return e != NULL;
}

static void
check(const char *path, bool man)
{
    char *text = read_text(path), *want = reference(man), *begin, *end;

    assert_true(find_part(text, &begin, &end));
    if ((size_t)(end - begin) != strlen(want) || strncmp(begin, want, strlen(want)) != 0)
        fail_msg("%s is not what the tables say; run test_config_docs -w", path);
    free(text);
    free(want);
}

static void
reference_in_the_docs_is_that_of_the_tables(void **state)
{
    (void)state;
    check(MARKDOWN, false);
}

static void
reference_in_the_man_page_is_that_of_the_tables(void **state)
{
    (void)state;
    check(MAN_PAGE, true);
}

static void
expect_doc(const char *text, const struct cfg_item *items)
{
    for (; items && items->key; items++) {
        char key[64];

        assert_true(items->doc && *items->doc);
        (void)snprintf(key, sizeof(key), "| `%s` |", items->key);
        if (!strstr(text, key))
            fail_msg(MARKDOWN " lacks %s", items->key);
        expect_doc(text, items->items);
        if (items->type == CFG_OTHER)
            expect_doc(text, items->kind->items);
    }
}

static void
every_key_has_a_row_in_the_docs(void **state)
{
    char *text = read_text(MARKDOWN);

    (void)state;
    expect_doc(text, cfg_items);
    free(text);
}

static void
docs_show_the_minimal_sample(void **state)
{
    char *docs = read_text(MARKDOWN), *sample = read_text("config/samples/minimal.yaml");

    (void)state;
    assert_non_null(strstr(docs, strstr(sample, "listen:")));
    free(docs);
    free(sample);
}

static void
write_part(const char *path, bool man)
{
    char *text = read_text(path), *want = reference(man), *begin, *end;
    FILE *f;

    if (!find_part(text, &begin, &end) || !(f = fopen(path, "wb"))) {
        perror(path);
        exit(2);
    }
    (void)fprintf(f, "%.*s%s%s", (int)(begin - text), text, want, end);
    (void)fclose(f);
    free(text);
    free(want);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_in_the_docs_is_that_of_the_tables),
        cmocka_unit_test(reference_in_the_man_page_is_that_of_the_tables),
        cmocka_unit_test(every_key_has_a_row_in_the_docs),
        cmocka_unit_test(docs_show_the_minimal_sample),
    };

    if (argc == 2 && strcmp(argv[1], "-w") == 0) {
        write_part(MARKDOWN, false);
        write_part(MAN_PAGE, true);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
