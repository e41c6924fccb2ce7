/* SPDX-License-Identifier: BSD-2-Clause */
/* State and its mark: what is missing, copied, restored or older is refused, and goes on above when it is told to. */
#include "tests/unit/daemon/ospreyd/two_contexts.h"

#include <fcntl.h>
#include <unistd.h>

#include "daemon/ospreyd/store/mark.h"
#include "daemon/ospreyd/state/records.h"

/* ---- the mark ---- */

/* A batch on the store itself, as nobody but a test does it. */
static void
edit_identity(void (*edit)(struct osp_identity *id))
{
    struct osp_store   *s = NULL;
    struct osp_identity id;

    EXPECT_OK(osp_store_open(dir, 1u << 20, &s, why));
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(osp_record_get_identity(s, &id));
    edit(&id);
    EXPECT_OK(osp_record_put_identity(s, &id));
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

static void
other_machine(struct osp_identity *id)
{
    id->machine[3] ^= 1;
    id->machine[4] |= 1;
}

static void
no_machine(struct osp_identity *id)
{
    memset(id->machine, 0, sizeof(id->machine));
}

static void
other_store(struct osp_identity *id)
{
    id->store[3] ^= 1;
}

static void
use(uint64_t count)
{
    struct osp_state *st = start();

    for (uint64_t i = 0; i < count; i++)
        (void)take(st, ctx(st, 0));
    unit_stop(st);
}

static void
machine_is_told_from_others_if_it_has_a_name(void **state)
{
    bool named = access("/etc/machine-id", R_OK) == 0;

    (void)state;
    use(25);
    edit_identity(no_machine);
    EXPECT_OK(try_open());
    edit_identity(other_machine);
    if (!named) {
        EXPECT_OK(try_open());
        return;
    }
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "another machine"));
    expect_recovered(BLIND, 2 * BLIND); /* the mark may have come with it, and the other machine may have gone on */
}

static void
mark_of_other_state_is_refused(void **state)
{
    (void)state;
    use(25);
    edit_identity(other_store);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "other state"));
    expect_recovered(BLIND, 2 * BLIND);
}

static void
state_that_is_gone_goes_on_above_its_mark(void **state)
{
    char path[128];

    (void)state;
    use(25);
    path_of(path, "/state.mdb");
    assert_int_equal(unlink(path), 0);
    expect_recovered(30, 30 + 2 * BLOCK + 1);
}

static void
state_without_its_mark_goes_on_far_above(void **state)
{
    char path[128];

    (void)state;
    use(25);
    path_of(path, ".mark/mark");
    assert_int_equal(unlink(path), 0);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "its mark is missing"));
    expect_recovered(BLIND, 2 * BLIND);
}

/* The same bytes under the same name, in another file: what `cp` and a restored backup leave behind. */
static void
copy_in_place(const char *name)
{
    static uint8_t bytes[1u << 20];
    char           path[128], copy[160];
    int            fd;
    ssize_t        n;

    path_of(path, name);
    (void)snprintf(copy, sizeof(copy), "%s.copy", path);
    fd = open(path, O_RDONLY);
    n = read(fd, bytes, sizeof(bytes));
    (void)close(fd);
    assert_true(n > 0);
    fd = open(copy, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, bytes, (size_t)n), n);
    (void)close(fd);
    assert_int_equal(rename(copy, path), 0);
}

static void
copied_state_goes_on_above_its_mark(void **state)
{
    (void)state;
    use(25);
    copy_in_place("/state.mdb");
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "it was copied or restored"));
    EXPECT_ERR(OSP_E_STORE, try_open());        /* and so it stays */
    expect_recovered(30, 30 + 2 * BLOCK + 1);
}

/* Its numbers are those of the moment when it was copied: the original may have gone on since. */
static void
copied_mark_is_no_help(void **state)
{
    (void)state;
    use(25);
    copy_in_place(".mark/mark");
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "its mark was copied or restored"));
    copy_in_place("/state.mdb");
    expect_recovered(BLIND, 2 * BLIND);
}

static void
older_state_goes_on_above_its_mark(void **state)
{
    char    path[128];
    uint8_t old[1u << 20], now[sizeof(old)];
    int     fd;

    (void)state;
    use(5);
    path_of(path, "/state.mdb");
    fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, old, sizeof(old), 0), sizeof(old));
    (void)close(fd);
    use(40);
    fd = open(path, O_RDWR);    /* in place, so that it is the same file */
    assert_int_equal(pread(fd, now, sizeof(now), 0), sizeof(now));
    assert_memory_not_equal(old, now, sizeof(old));
    assert_int_equal(pwrite(fd, old, sizeof(old), 0), sizeof(old));
    (void)close(fd);
    path_of(path, "/state.sum");
    (void)unlink(path);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "older"));
    expect_recovered(50, 50 + 3 * BLOCK);
}

/* Without a reason that can be seen there is one that cannot: a machine that was set back as a whole. */
static void
state_that_looks_whole_goes_on_far_above_when_told_to(void **state)
{
    struct osp_state *st;

    (void)state;
    use(25);
    recover();
    st = start();
    assert_true(take(st, ctx(st, 0)) >= BLIND);
    unit_stop(st);
}

static void
numbers_that_do_not_suffice_are_refused(void **state)
{
    FILE             *null = fopen("/dev/null", "w");
    struct osp_state *st = start();

    (void)state;
    osp_octx_grant(ctx(st, 0), OSP_PIV_MAX - 5, OSP_PIV_MAX - 5);
    (void)take(st, ctx(st, 0));
    unit_stop(st);
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_state_recover(&cfg, null, why));
    assert_non_null(strstr(why, "new keys"));
    EXPECT_OK(try_open());      /* nothing was changed */
    (void)fclose(null);
}

/* Whatever the mark could not be told is not used. */
static void
numbers_wait_for_the_mark(void **state)
{
    struct osp_state *st = start();
    struct osp_octx  *c = ctx(st, 0);
    char              path[128];
    uint64_t          n;
    struct osp_mark_value v;
    struct osp_mark  *m;

    (void)state;
    (void)take(st, c);
    osp_state_close(st);
    path_of(path, ".mark");
    EXPECT_OK(osp_mark_open(path, &m, &v, why));
    assert_int_equal(v.high, BLOCK);
    assert_true(v.seq > 1);
    osp_mark_close(m);
    st = start();
    n = take(st, ctx(st, 0));
    assert_int_equal(n, BLOCK);
    unit_stop(st);
}

/* [rfc8613#B.1.1] A number whose lease the mark does not know could be leased again by a copy of the store. */
static void
nothing_is_granted_when_the_mark_cannot_be_written(void **state)
{
    struct osp_state *st = start();
    struct osp_octx  *c = ctx(st, 0);
    char              path[128];
    uint64_t          n;

    (void)state;
    path_of(path, ".mark/mark");
    unit_break(path);
    EXPECT_ERR(OSP_E_STORE, osp_state_lease(st, &c, 1));
    assert_non_null(strstr(osp_state_error(st), "mark"));
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(c, &n));
    osp_state_close(st);
    st = start();               /* the commit is in the store: its numbers are skipped */
    assert_true(take(st, ctx(st, 0)) >= BLOCK);
    unit_stop(st);
}

static void
state_is_made_once(void **state)
{
    FILE *null = fopen("/dev/null", "w");
    char  path[128];

    (void)state;
    EXPECT_ERR(OSP_E_EXISTS, osp_state_init(&cfg, null, why));
    path_of(path, ".mark/mark");
    assert_int_equal(unlink(path), 0);
    EXPECT_ERR(OSP_E_EXISTS, osp_state_init(&cfg, null, why));
    assert_non_null(strstr(why, "already"));
    assert_int_equal(unit_remove_store(dir), 0);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "--init-state"));
    EXPECT_OK(osp_state_init(&cfg, null, why)); /* with its directories */
    EXPECT_OK(try_open());
    cfg.state = NULL;
    EXPECT_ERR(OSP_E_INVALID, osp_state_init(&cfg, null, why));
    (void)fclose(null);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(machine_is_told_from_others_if_it_has_a_name),
        T(mark_of_other_state_is_refused),
        T(state_that_is_gone_goes_on_above_its_mark),
        T(state_without_its_mark_goes_on_far_above),
        T(copied_state_goes_on_above_its_mark),
        T(copied_mark_is_no_help),
        T(older_state_goes_on_above_its_mark),
        T(state_that_looks_whole_goes_on_far_above_when_told_to),
        T(numbers_that_do_not_suffice_are_refused),
        T(numbers_wait_for_the_mark),
        T(nothing_is_granted_when_the_mark_cannot_be_written),
        T(state_is_made_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
