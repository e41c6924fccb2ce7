/* SPDX-License-Identifier: BSD-2-Clause */
/* Which keys a reload may change: each row of the schema tables answers, and the answer is what happens. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

#define MINIMAL "listen: [ \"coap://127.0.0.1:5683\" ]\n"

static char   said[4096];
static size_t said_n;

static void
collect(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    int n = snprintf(said + said_n, sizeof(said) - said_n, "%u: %s: %s\n", pos ? pos->line : 0, key, text);

    (void)ctx;
    assert_true(n > 0 && (size_t)n < sizeof(said) - said_n);
    said_n += (size_t)n;
}

static struct cfg_report
report(void)
{
    said_n = 0;
    said[0] = '\0';
    return (struct cfg_report){ .emit = collect };
}

static struct osp_cfg *
load(const char *text)
{
    struct cfg_report r = report();
    struct osp_cfg   *cfg = cfg_load_text(osp_slice_str(text), "osprey.yaml", &r);

    assert_non_null(cfg);
    return cfg;
}

/* Compares `now` with a configuration that has nothing but defaults; returns how many keys wait for a restart. */
static size_t
reload_from_defaults(struct osp_cfg *now)
{
    struct osp_cfg   *old = load(MINIMAL);
    struct cfg_report r = report();
    size_t            count = 99;

    assert_true(cfg_keep_started(old, now, &r, &count));
    cfg_free(old);
    return count;
}

/* ---- every row ---- */

/* `of_value`: the answer of the row whose value these rows are parts of; CFG_RELOAD_UNKNOWN: they are rows of a section. */
static void
expect_answers(const char *where, const struct cfg_item *items, enum cfg_reload of_value)
{
    for (const struct cfg_item *i = items; i && i->key; i++) {
        char path[200];

        (void)snprintf(path, sizeof(path), "%s.%s", where, i->key);
        if (i->type == CFG_SECTION) {
            if (i->reload != CFG_RELOAD_UNKNOWN)
                fail_msg("%s is a section: its rows answer", path);
            expect_answers(path, i->items, of_value);
            continue;
        }
        if (i->reload != CFG_LIVE && i->reload != CFG_RESTART)
            fail_msg("%s: the row does not say whether a reload may change it", path);
        if (of_value != CFG_RELOAD_UNKNOWN && i->reload != of_value)
            fail_msg("%s: another answer than that of the value it is a part of", path);
        if (i->reload == CFG_RESTART && (i->type == CFG_ITEMS || (i->type == CFG_OTHER && (i->size == 0 || i->kind->items))))
            fail_msg("%s: a value of this kind cannot be kept by a reload", path);
        expect_answers(path, i->items, i->reload);
        if (i->kind)
            expect_answers(path, i->kind->items, i->reload);
    }
}

static void
every_key_says_whether_a_reload_may_change_it(void **state)
{
    (void)state;
    expect_answers("", cfg_items, CFG_RELOAD_UNKNOWN);
}

/* Another value of the right type; false: the type has parts of its own. */
static bool
change(struct osp_cfg *cfg, const struct cfg_item *i)
{
    static char path[] = "/somewhere/else";
    char       *at = (char *)cfg + i->at;

    switch (i->type) {
    case CFG_BOOL: *(bool *)(void *)at = !*(bool *)(void *)at; return true;
    case CFG_UINT:
    case CFG_CHOICE: *(unsigned *)(void *)at ^= 1; return true;
    case CFG_COUNT:
    case CFG_BYTES: *(size_t *)(void *)at ^= 1; return true;
    case CFG_DURATION: *(uint64_t *)(void *)at ^= 1; return true;
    case CFG_PATH: *(char **)(void *)at = path; return true;
    case CFG_OTHER:
        if (i->reload == CFG_RESTART)
            *(bool *)(void *)at = !*(bool *)(void *)at; /* status: on or off */
        return i->reload == CFG_RESTART;
    case CFG_SECTION:
    case CFG_ITEMS:
    case CFG_LATER: break;
    }
    return false;
}

static char *
dump(const struct osp_cfg *cfg)
{
    char  *text = NULL;
    size_t n = 0;
    FILE  *to = open_memstream(&text, &n);

    assert_non_null(to);
    cfg_dump(cfg, true, to);
    (void)fclose(to);
    return text;
}

static void
expect_each(const char *where, const struct cfg_item *items, unsigned *kept, unsigned *live)
{
    for (const struct cfg_item *i = items; i->key; i++) {
        struct osp_cfg *now;
        char            path[200], *before, *changed, *after;
        size_t          count;

        (void)snprintf(path, sizeof(path), "%s%s%s", where, *where ? "." : "", i->key);
        if (i->type == CFG_SECTION) {
            expect_each(path, i->items, kept, live);
            continue;
        }
        now = load(MINIMAL);
        before = dump(now);
        if (change(now, i)) {
            changed = dump(now);
            assert_string_not_equal(before, changed);
            count = reload_from_defaults(now);
            after = dump(now);
            assert_int_equal(count, i->reload == CFG_RESTART);
            assert_string_equal(after, i->reload == CFG_RESTART ? before : changed);
            assert_int_equal(strstr(said, path) != NULL, i->reload == CFG_RESTART);
            *kept += i->reload == CFG_RESTART;
            *live += i->reload == CFG_LIVE;
            free(changed);
            free(after);
        }
        free(before);
        cfg_free(now);
    }
}

static void
each_key_that_needs_a_restart_is_told_and_kept_and_no_other(void **state)
{
    unsigned kept = 0, live = 0;

    (void)state;
    expect_each("", cfg_items, &kept, &live);
    assert_true(kept > 25 && live > 10);
}

/* ---- what is told ---- */

static void
the_message_has_the_line_of_the_new_file_and_both_values(void **state)
{
    struct osp_cfg *now = load(MINIMAL "limits:\n  memory: 64MiB\n  drain: 1s\nworkers: 4\nstatus: http://127.0.0.1:9683\n");

    (void)state;
    assert_int_equal(reload_from_defaults(now), 3);
    assert_non_null(strstr(said, "3: limits.memory: 256MiB goes on until a restart, then 64MiB is in force\n"));
    assert_non_null(strstr(said, "5: workers: 1 goes on until a restart, then 4 is in force\n"));
    assert_non_null(strstr(said, "6: status: none goes on until a restart, then \"http://127.0.0.1:9683\" is in force\n"));
    assert_null(strstr(said, "drain"));
    assert_int_equal(now->workers, 1);
    assert_int_equal(now->limits.memory, 256u << 20);
    assert_int_equal(now->limits.drain_us, 1000000);
    assert_false(now->status.enabled);
    cfg_free(now);
}

static void
a_key_that_was_taken_out_is_told_without_a_line(void **state)
{
    struct osp_cfg   *old = load(MINIMAL "control: /run/osprey/control.sock\n"), *now = load(MINIMAL);
    struct cfg_report r = report();
    size_t            count = 0;

    (void)state;
    assert_true(cfg_keep_started(old, now, &r, &count));
    cfg_free(old);
    assert_int_equal(count, 1);
    assert_string_equal(said, "0: control: \"/run/osprey/control.sock\" goes on until a restart, then none is in force\n");
    assert_string_equal(now->control, "/run/osprey/control.sock");      /* a copy, since `old` is gone */
    cfg_free(now);
}

static void
what_waits_is_found_again_by_the_next_reload_and_not_once_it_is_put_back(void **state)
{
    struct osp_cfg   *first = load(MINIMAL), *second = load(MINIMAL "workers: 4\n"), *third = load(MINIMAL "workers: 4\n");
    struct osp_cfg   *fourth = load(MINIMAL);
    struct cfg_report r = report();
    size_t            count = 0;

    (void)state;
    assert_true(cfg_keep_started(first, second, &r, &count));
    assert_int_equal(count, 1);
    assert_true(cfg_keep_started(second, third, &r, &count));
    assert_int_equal(count, 1);
    assert_true(cfg_keep_started(third, fourth, &r, &count));
    assert_int_equal(count, 0);
    cfg_free(first);
    cfg_free(second);
    cfg_free(third);
    cfg_free(fourth);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_says_whether_a_reload_may_change_it),
        cmocka_unit_test(each_key_that_needs_a_restart_is_told_and_kept_and_no_other),
        cmocka_unit_test(the_message_has_the_line_of_the_new_file_and_both_values),
        cmocka_unit_test(a_key_that_was_taken_out_is_told_without_a_line),
        cmocka_unit_test(what_waits_is_found_again_by_the_next_reload_and_not_once_it_is_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
