/* SPDX-License-Identifier: BSD-2-Clause */
/* The dump of a configuration loads back to itself, the samples included. */
#include "tests/unit/config/config_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- files ---- */

static void
copy_file(const char *from, const char *name, mode_t mode)
{
    struct osp_slice s = read_file(from);

    write_file(name, mode, s.p, s.n);
}

/* ---- samples and dumps ---- */

static void
make_samples(void)
{
    static const char *const keys[] = { "meter-17", "meter-18", "laptop", "vault", "plant-gw", "second", "operator-1" };
    DIR                     *d = opendir(SAMPLES);
    struct dirent           *e;
    char                     from[512], name[64], secret[40];

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        (void)snprintf(from, sizeof(from), SAMPLES "/%.200s", e->d_name);
        if (strstr(e->d_name, ".yaml"))
            copy_file(from, e->d_name, 0644);
    }
    (void)closedir(d);
    copy_file(SAMPLES "/contexts.d/operator-1.yaml", "contexts.d/operator-1.yaml", 0644);
    copy_file(SAMPLES "/edhoc/proxy.yaml", "edhoc/proxy.yaml", 0644);
    write_text("keys/edhoc-proxy", 0600, "72cc4761dbd4c78f758931aa589d348d1ef874a7e303ede2f140dcf3e6aa4aac");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        (void)snprintf(name, sizeof(name), "keys/%s", keys[i]);
        (void)snprintf(secret, sizeof(secret), "%s%02zx\n", SECRET, i);
        write_text(name, 0600, secret);
    }
}

/* dump(load(dump)) == dump, masked and not; returns the open one. */
static char *
round_trip(const struct osp_cfg *cfg)
{
    char           *first = dump(cfg, true), *second, *masked = dump(cfg, false);
    struct osp_cfg *again;

    write_text("dumped.yaml", 0600, first);
    again = load_file("dumped.yaml");
    if (!again)
        fail_msg("a dump does not load:\n%s\n%s", first, said);
    second = dump(again, true);
    assert_string_equal(first, second);
    free(second);
    second = dump(again, false);
    assert_string_equal(masked, second);
    free(second);
    free(masked);
    cfg_free(again);
    return first;
}

static void
every_sample_loads_and_dumps_to_itself(void **state)
{
    DIR           *d = opendir(SAMPLES);
    struct dirent *e;
    unsigned       count = 0;

    (void)state;
    make_samples();
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        struct osp_cfg *cfg;

        if (!strstr(e->d_name, ".yaml"))
            continue;
        cfg = load_file(e->d_name);
        if (!cfg)
            fail_msg("%s:\n%s", e->d_name, said);
        free(round_trip(cfg));
        cfg_free(cfg);
        count++;
    }
    (void)closedir(d);
    assert_true(count >= 5);
}

/* Each key stands at the start of a line of it, as a comment's reader would look for it. */
static void
expect_keys(const char *text, const struct cfg_item *items)
{
    for (; items->key; items++) {
        char key[64];

        (void)snprintf(key, sizeof(key), "%s:", items->key);
        if (items->type != CFG_LATER && !strstr(text, key))
            fail_msg("full.yaml lacks %s", key);
        if (items->items)
            expect_keys(text, items->items);
        if (items->type == CFG_OTHER && items->kind->items && strcmp(items->key, "master-secret") != 0)
            expect_keys(text, items->kind->items);
    }
}

static void
full_sample_has_every_key(void **state)
{
    (void)state;
    expect_keys((const char *)read_file(SAMPLES "/full.yaml").p, cfg_items);
}

static void
readme_shows_the_minimal_sample(void **state)
{
    const char *readme = (const char *)read_file("README.md").p;
    const char *sample = strstr((const char *)read_file(SAMPLES "/minimal.yaml").p, "listen:");

    (void)state;
    assert_non_null(sample);
    if (!strstr(readme, sample))
        fail_msg("README.md does not show config/samples/minimal.yaml");
}

static void
dump_quotes_what_yaml_would_take_for_something_else(void **state)
{
    static const char odd[] = "/a \"b\"\\c: #d/\xc3\xa9\xe2\x80\xa8\xf0\x9f\x90\x9f\t{}[]&*!|>'%@`,?-\xc2\x85";
    char              text[512];
    struct osp_cfg   *cfg;
    char             *out;

    (void)state;
    (void)snprintf(text, sizeof(text), LISTEN
                   "state: \"/a \\\"b\\\"\\\\c: #d/\xc3\xa9\\L\xf0\x9f\x90\x9f\\t{}[]&*!|>'%%@`,?-\\N\"\n"
                   "hosts: { \"h-\xc3\xa9\": 192.0.2.1 }\nnode-name: \"true\"\n");
    cfg = load_text(text);
    if (!cfg)
        fail_msg("%s", said);
    assert_string_equal(cfg->state, odd);
    out = round_trip(cfg);
    for (const char *c = out; *c; c++)
        assert_true((*c >= ' ' && *c <= '~') || *c == '\n');
    free(out);
    cfg_free(cfg);
}

/* A file name that is no text must not come back as another one. */
static void
dump_of_a_path_that_is_no_text_does_not_load(void **state)
{
    static const char *const paths[] = { "/a\xff", "/\xc3", "/\xc3z", "/\xe2\x80", "/\x80", "/\xf8\x80\x80\x80",
                                         "/\xed\xa0\x80" };

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct osp_cfg   *cfg = load_text(LISTEN "control: /x\n");
        struct cfg_report r;
        char             *text;
        char             *had;

        assert_non_null(cfg);
        had = cfg->control;
        cfg->control = strdup(paths[i]);
        text = dump(cfg, true);
        r = report();
        assert_null(cfg_load_text(osp_slice_str(text), "dump", &r));
        free(text);
        free(cfg->control);
        cfg->control = had;
        cfg_free(cfg);
    }
}

static void
dump_of_segments_reads_back_as_the_same_segments(void **state)
{
    struct osp_cfg *cfg = load_text(
        LISTEN "routes:\n"
               "  - { name: a, match: { path: \"/%2A/%2F%25/a%3Fb/%C3%A9/*\" }, upstream: { uri: \"coap://h\" } }\n"
               "  - { name: b, match: { path: \"/x//\" }, upstream: { uri: \"coap://h\" } }\n"
               "  - { name: c, match: { path: \"/~:@!$&'()+,;=-._\" }, upstream: { uri: \"coap://h\" } }\n");
    char           *out;

    (void)state;
    if (!cfg)
        fail_msg("%s", said);
    assert_string_equal(cfg->routes[0].path[0], "*");
    assert_string_equal(cfg->routes[0].path[1], "/%");
    assert_int_equal(cfg->routes[1].path_count, 3);
    out = round_trip(cfg);
    assert_non_null(strstr(out, "\"/%2A/%2F%25/a%3Fb/%C3%A9/*\""));
    assert_non_null(strstr(out, "\"/x//\""));
    free(out);
    cfg_free(cfg);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_sample_loads_and_dumps_to_itself, make_dir, remove_dir),
        cmocka_unit_test(full_sample_has_every_key),
        cmocka_unit_test(readme_shows_the_minimal_sample),
        cmocka_unit_test_setup_teardown(dump_quotes_what_yaml_would_take_for_something_else, make_dir, remove_dir),
        cmocka_unit_test(dump_of_a_path_that_is_no_text_does_not_load),
        cmocka_unit_test_setup_teardown(dump_of_segments_reads_back_as_the_same_segments, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
