/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys stay in the memory of the process. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "daemon/common/secrets.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKS 0                 /* a sanitizer's mlockall() does nothing */
#else
#define LOCKS 1
#endif

static void
process_is_closed_and_leaves_no_core(void **state)
{
    struct rlimit core;

    (void)state;
    osp_secrets_hide();
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    assert_int_equal(core.rlim_max, 0);
}

/* Locked memory of this process in KiB, as the system counts it. */
static long
locked_kib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char  line[256];
    long  kib = -1;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "VmLck: %ld", &kib) == 1)
            break;
    (void)fclose(f);
    return kib;
}

/* Either everything is locked, what comes later too, or nothing, so that no allocation fails for it later. */
static void
memory_is_locked_as_a_whole_or_not_at_all(void **state)
{
    bool  locked = osp_secrets_lock();
    long  before = locked_kib();
    char *more = calloc(1, 8u << 20);

    (void)state;
    assert_non_null(more);
    more[4u << 20] = 1;
    if (locked && LOCKS)
        assert_true(before > 0 && locked_kib() >= before + (8 << 10));
    else
        assert_int_equal(locked_kib(), 0);
    free(more);
    (void)munlockall();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_is_closed_and_leaves_no_core),
        cmocka_unit_test(memory_is_locked_as_a_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
