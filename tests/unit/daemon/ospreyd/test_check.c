/* SPDX-License-Identifier: BSD-2-Clause */
/* What `ospreyd --check` judges beyond the file itself: whether a daemon with this configuration could work. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/load.h"
#include "daemon/ospreyd/daemon.h"

static char why[OSP_STORE_WHY_MAX];

static bool
check(const char *text)
{
    struct cfg_report r;
    struct osp_cfg   *cfg;

    cfg_report_to(&r, stderr);
    cfg = cfg_load_text(osp_slice_str(text), "test.yaml", &r);
    assert_non_null(cfg);
    return osp_daemon_check(cfg, why);
}

#define LISTEN "listen: [ \"coap://127.0.0.1:5683\" ]\n"

static void
memory_that_serves_nobody_is_refused_with_the_figure(void **state)
{
    (void)state;
    assert_false(check(LISTEN "workers: 4\nlimits: { memory: 8MiB }\n"));
    assert_string_equal(why, "limits.memory: 8192KiB are too few for 4 workers, which could not take a request: "
                             "at least 24576KiB");
    assert_true(check(LISTEN "workers: 4\nlimits: { memory: 24576KiB }\n"));
    assert_false(check(LISTEN "limits: { memory: 1MiB }\n"));
    assert_false(check(LISTEN "workers: 4\nlimits: { memory: 24576KiB, max-body: 64KiB }\n"));
    assert_true(check(LISTEN "workers: 16\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_serves_nobody_is_refused_with_the_figure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
