/* SPDX-License-Identifier: BSD-2-Clause */
/* What leaves the daemon as text: metrics and log lines. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/metrics.h"

static char *
render(const struct osp_metrics *m)
{
    char  *text = NULL;
    size_t n = 0;
    FILE  *to = open_memstream(&text, &n);

    assert_non_null(to);
    osp_metrics_render(m, to);
    assert_int_equal(fclose(to), 0);
    return text;
}

static char *
read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1u << 16);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1u << 16) - 1, f) > 0);
    (void)fclose(f);
    return text;
}

static void
every_metric_is_documented(void **state)
{
    struct osp_metrics m = { 0 };
    char              *text = render(&m), *doc = read_file("docs/metrics.md"), *at, name[128];
    size_t             count = 0;

    (void)state;
    for (at = strstr(text, "# TYPE "); at; at = strstr(at + 1, "# TYPE ")) {
        assert_int_equal(sscanf(at, "# TYPE %100s", name), 1);
        (void)snprintf(name + strlen(name), 4, "` |");
        if (!strstr(doc, name))
            fail_msg("docs/metrics.md lacks %s", name);
        count++;
    }
    assert_true(count > 50);
    free(text);
    free(doc);
}

static void
workers_are_added_up(void **state)
{
    static struct osp_worker_stats w[2];
    struct osp_metrics             m = { .workers = w, .worker_count = 2 };
    char                          *text;

    (void)state;
    w[0].proxy.requests = 3;
    w[1].proxy.requests = 4;
    w[1].proxy.errors[OSP_E_REPLAY] = 2;
    text = render(&m);
    assert_non_null(strstr(text, "\nosprey_requests_total 7\n"));
    assert_non_null(strstr(text, "\nosprey_errors_total{reason=\"REPLAY\"} 2\n"));
    free(text);
}

/* Every line is a comment or "name{labels} number", and a metric's head comes once, before it. */
static void
metrics_are_well_formed(void **state)
{
    struct osp_metrics m = { 0 };
    char              *text = render(&m), *save = NULL;

    (void)state;
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        char   name[128];
        double v;

        if (*l == '#')
            assert_true(strncmp(l, "# HELP osprey_", 14) == 0 || strncmp(l, "# TYPE osprey_", 14) == 0);
        else if (sscanf(l, "%120s %lf", name, &v) != 2)
            fail_msg("malformed: %s", l);
    }
    free(text);
}

/* ---- the log ---- */

static int saved_stderr, caught[2];

static void
catch_log(void)
{
    assert_int_equal(pipe(caught), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_int_not_equal(dup2(caught[1], STDERR_FILENO), -1);
}

static void
caught_log(char *dst, size_t cap)
{
    ssize_t n;

    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(caught[1]);
    n = read(caught[0], dst, cap - 1);
    dst[n > 0 ? n : 0] = '\0';
    (void)close(caught[0]);
}

static void
log_line_has_the_event_and_its_fields(void **state)
{
    char text[4096];

    (void)state;
    (void)unsetenv("JOURNAL_STREAM");
    log_setup(CFG_LOG_INFO, CFG_LOG_TEXT);
    catch_log();
    log_info("test-fields", "a=%s b=%u c=%zu d=%d", "plain", 7u, (size_t)8, -9);
    caught_log(text, sizeof(text));
    assert_non_null(strstr(text, "Z info test-fields a=plain b=7 c=8 d=-9\n"));
}

static void
log_value_cannot_forge_a_line(void **state)
{
    char text[4096];

    (void)state;
    catch_log();
    log_error("test-forge", "a=%s", "x\n2026 error fake b=\"1\"\x1b[2J");
    caught_log(text, sizeof(text));
    assert_non_null(strstr(text, "a=\"x\\u000a2026 error fake b=\\\"1\\\"\\u001b[2J\"\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* C1 controls are commands to a terminal, also as UTF-8; what is no UTF-8 makes a line that JSON readers refuse. */
static void
log_value_is_text_whatever_it_was(void **state)
{
    static const struct { const char *in, *out; } values[] = {
        { "caf\xc3\xa9", "caf\xc3\xa9" },                 { "\xc2\x9b" "2J", "\"\\u009b2J\"" },
        { "\x9b" "2J", "\"\\u009b2J\"" },                { "a\xff" "b", "\"a\\u00ffb\"" },
        { "\xc3", "\"\\u00c3\"" },                       { "\xc0\xaf", "\"\\u00c0\\u00af\"" },
        { "\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\"" }, { "\xe2\x80\xae" "x", "\"\\u202ex\"" },
        { "\xe2\x80\xa8", "\"\\u2028\"" },               { "\xf0\x9f\xa6\x85", "\xf0\x9f\xa6\x85" },
        { "\xf4\x90\x80\x80", "\"\\u00f4\\u0090\\u0080\\u0080\"" },
    };
    char text[4096], want[128];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        for (int json = 0; json < 2; json++) {
            bool quoted = *values[i].out == '"' || !json;

            log_setup(CFG_LOG_INFO, json ? CFG_LOG_JSON : CFG_LOG_TEXT);
            catch_log();
            log_error("test-text", "a=%s", values[i].in);
            caught_log(text, sizeof(text));
            (void)snprintf(want, sizeof(want), json ? "\"a\":%s%s%s}\n" : "a=%s%s%s\n", quoted ? "" : "\"", values[i].out,
                           quoted ? "" : "\"");
            if (!strstr(text, want))
                fail_msg("%zu: %s lacks %s", i, text, want);
        }
    }
    log_setup(CFG_LOG_INFO, CFG_LOG_TEXT);
}

static void
log_as_json_is_one_object(void **state)
{
    char text[4096];

    (void)state;
    log_setup(CFG_LOG_INFO, CFG_LOG_JSON);
    catch_log();
    log_warning("test-json", "a=%s b=%u", "q\"", 1u);
    caught_log(text, sizeof(text));
    log_setup(CFG_LOG_INFO, CFG_LOG_TEXT);
    assert_non_null(strstr(text, "\"level\":\"warning\",\"event\":\"test-json\",\"a\":\"q\\\"\",\"b\":1}\n"));
    assert_int_equal(text[0], '{');
}

static void
log_below_the_level_is_silent(void **state)
{
    char text[4096];

    (void)state;
    catch_log();
    log_debug("test-silent", "a=%u", 1u);
    caught_log(text, sizeof(text));
    assert_int_equal(strlen(text), 0);
}

static void
log_flood_is_cut(void **state)
{
    static char text[65536];
    size_t lines = 0;

    (void)state;
    catch_log();
    for (int i = 0; i < 1000; i++)
        log_info("test-flood", "i=%d", i);
    log_info("test-other", "a=%u", 1u);
    caught_log(text, sizeof(text));
    for (char *c = strstr(text, "test-flood"); c; c = strstr(c + 1, "test-flood"))
        lines++;
    assert_in_range(lines, 1, 100);
    assert_non_null(strstr(text, "test-other"));
}

static void
log_line_that_is_too_long_is_cut_and_ends(void **state)
{
    char text[8192], big[5000];

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    catch_log();
    log_info("test-long", "a=%s b=%u", big, 1u);
    caught_log(text, sizeof(text));
    assert_in_range(strlen(text), 1000, 2048);
    assert_string_equal(text + strlen(text) - 4, "xx\"\n");
    log_setup(CFG_LOG_INFO, CFG_LOG_JSON);
    catch_log();
    log_info("test-long", "a=%s b=%u", big, 1u);
    caught_log(text, sizeof(text));
    log_setup(CFG_LOG_INFO, CFG_LOG_TEXT);
    assert_string_equal(text + strlen(text) - 5, "xx\"}\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_is_documented),
        cmocka_unit_test(workers_are_added_up),
        cmocka_unit_test(metrics_are_well_formed),
        cmocka_unit_test(log_line_has_the_event_and_its_fields),
        cmocka_unit_test(log_value_cannot_forge_a_line),
        cmocka_unit_test(log_value_is_text_whatever_it_was),
        cmocka_unit_test(log_as_json_is_one_object),
        cmocka_unit_test(log_below_the_level_is_silent),
        cmocka_unit_test(log_flood_is_cut),
        cmocka_unit_test(log_line_that_is_too_long_is_cut_and_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
