/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that other versions of the program wrote: formats 1 and 2 are taken over, what is not known is refused. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <lmdb.h>

#include "base/hash.h"
#include "daemon/ospreyd/store/store.h"

#define SIZE ((size_t)1 << 20)
#define NAME_MAX_LEN 64

static char dir[64];
static char why[OSP_STORE_WHY_MAX];

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-formats-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    return unit_remove_store(dir);
}

/* ---- as version 0.1 wrote it ---- */

struct old { MDB_env *env; MDB_txn *txn; MDB_dbi dbi; };

static void
begin_old(struct old *o)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/state.mdb", dir);
    assert_int_equal(mdb_env_create(&o->env), 0);
    assert_int_equal(mdb_env_set_mapsize(o->env, SIZE), 0);
    assert_int_equal(mdb_env_open(o->env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(o->env, NULL, 0, &o->txn), 0);
    assert_int_equal(mdb_dbi_open(o->txn, NULL, 0, &o->dbi), 0);
}

static void
end_old(struct old *o)
{
    assert_int_equal(mdb_txn_commit(o->txn), 0);
    mdb_env_close(o->env);
}

/* A value and its check, a hash over name and value with a key that is part of the format. */
static void
put_old(struct old *o, struct osp_slice name, struct osp_slice value)
{
    static const struct osp_hash_key fixed = { 0x6f73707265792d73u, 0x746174652d763031u };
    uint8_t                          both[NAME_MAX_LEN + 600], whole[600];
    struct osp_wr                    b = osp_wr_to(both, sizeof(both)), w = osp_wr_to(whole, sizeof(whole));
    MDB_val                          k, v;

    osp_wr_put(&b, name);
    osp_wr_put(&b, value);
    osp_wr_put(&w, value);
    osp_wr_uint(&w, osp_hash(&fixed, osp_wr_slice(&b)), 8);
    k = (MDB_val){ name.n, (void *)(uintptr_t)name.p };
    v = (MDB_val){ w.n, whole };
    assert_int_equal(mdb_put(o->txn, o->dbi, &k, &v, 0), 0);
}

static void
put_old_head(struct old *o, uint32_t version, uint32_t run, uint32_t valid_from, bool dirty)
{
    uint8_t       bytes[24];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));

    osp_wr_u32(&w, version);
    osp_wr_u32(&w, run);
    osp_wr_u32(&w, valid_from);
    osp_wr_u32(&w, dirty);
    osp_wr_uint(&w, 0, 8);
    put_old(o, osp_slice_str("osprey-state"), osp_wr_slice(&w));
}

static struct osp_slice
name_of(const char *prefix, const uint8_t key[OSP_STORE_KEY_LEN], uint8_t dst[NAME_MAX_LEN])
{
    struct osp_wr w = osp_wr_to(dst, NAME_MAX_LEN);

    osp_wr_put(&w, osp_slice_str(prefix));
    osp_wr_put(&w, osp_slice(key, OSP_STORE_KEY_LEN));
    return osp_wr_slice(&w);
}

static void
key_of(unsigned n, uint8_t key[OSP_STORE_KEY_LEN])
{
    memset(key, (int)(n * 37), OSP_STORE_KEY_LEN);
    key[1] = (uint8_t)n;
    key[2] = (uint8_t)(n >> 8);
}

static struct osp_slice
value_of(const char *what, unsigned n, char dst[64])
{
    return osp_slice(dst, (size_t)snprintf(dst, 64, "%s %u", what, n));
}

static void
write_old(uint32_t version, bool dirty)
{
    struct old o;
    uint8_t    key[OSP_STORE_KEY_LEN], name[NAME_MAX_LEN];
    char       value[64];

    begin_old(&o);
    for (unsigned n = 0; n < 500; n++) {
        key_of(n, key);
        put_old(&o, name_of("", key, name), value_of("record", n, value));
        if (n % 3 == 0)
            put_old(&o, name_of("kept:", key, name), value_of("kept", n, value));
        if (n % 7 == 0)
            put_old(&o, name_of("idof:", key, name), value_of("id", n, value));
    }
    put_old_head(&o, version, 41, 17, dirty);
    end_old(&o);
}

/* ---- taken over ---- */

static void
expect_row(struct osp_store *s, enum osp_store_table table, unsigned n, const char *what)
{
    uint8_t          key[OSP_STORE_KEY_LEN];
    char             value[64];
    struct osp_slice got = OSP_EMPTY;

    key_of(n, key);
    EXPECT_OK(osp_store_get(s, table, key, &got));
    EXPECT_BYTES(value_of(what, n, value), got);
}

static void
expect_taken_over(bool dirty)
{
    struct osp_store *s = NULL;

    if (osp_store_open(dir, SIZE, &s, why) != OSP_OK)
        fail_msg("%s", why);
    assert_int_equal(osp_store_was_clean(s), !dirty);
    assert_int_equal(osp_store_run(s), 42);
    assert_int_equal(osp_store_trusts_run(s, 17), !dirty);
    assert_false(osp_store_trusts_run(s, 16));
    assert_false(osp_store_was_moved(s));
    EXPECT_OK(osp_store_begin(s));
    for (unsigned n = 0; n < 500; n++) {
        expect_row(s, OSP_STORE_OLD, n, "record");
        if (n % 3 == 0)
            expect_row(s, OSP_STORE_KEPT, n, "kept");
        if (n % 7 == 0)
            expect_row(s, OSP_STORE_BASE, n, "id");
    }
    assert_int_equal(osp_store_count(s, OSP_STORE_OLD), 500);
    assert_int_equal(osp_store_count(s, OSP_STORE_KEPT), 167);
    assert_int_equal(osp_store_count(s, OSP_STORE_BASE), 72);
    osp_store_abort(s);
    osp_store_close(s);
}

static void
formats_1_and_2_are_taken_over(void **state)
{
    (void)state;
    for (uint32_t version = 1; version <= 2; version++) {
        for (int dirty = 0; dirty < 2; dirty++) {
            write_old(version, dirty);
            expect_taken_over(dirty);
            expect_taken_over(dirty);   /* it is of this format now, and reads back */
            assert_int_equal(unit_remove_store(dir), 0);
            assert_int_equal(setup(NULL), 0);
        }
    }
}

static void
a_file_that_was_never_written_to_is_taken_over(void **state)
{
    struct osp_store *s = NULL;
    struct old        o;

    (void)state;
    begin_old(&o);
    mdb_txn_abort(o.txn);
    mdb_env_close(o.env);
    if (osp_store_open(dir, SIZE, &s, why) != OSP_OK)
        fail_msg("%s", why);
    assert_true(osp_store_was_clean(s));
    osp_store_close(s);
}

static void
expect_refused(const char *word)
{
    struct osp_store *s = NULL;

    EXPECT_ERR(OSP_E_STORE, osp_store_open(dir, SIZE, &s, why));
    if (!strstr(why, word) || strchr(why, '\n'))
        fail_msg("not one line with \"%s\": %s", word, why);
}

static void
rows_that_no_format_has_are_damage(void **state)
{
    struct old o;

    (void)state;
    begin_old(&o);
    put_old_head(&o, 2, 1, 1, false);
    put_old(&o, osp_slice_str("what is this"), osp_slice_str("x"));
    end_old(&o);
    expect_refused("damaged");
}

static void
rows_without_a_head_are_damage(void **state)
{
    struct old o;
    uint8_t    key[OSP_STORE_KEY_LEN] = { 1 };

    (void)state;
    begin_old(&o);
    put_old(&o, osp_slice(key, sizeof(key)), osp_slice_str("a record"));
    end_old(&o);
    expect_refused("damaged");
}

static void
later_formats_are_refused(void **state)
{
    struct old o;

    (void)state;
    begin_old(&o);
    put_old_head(&o, 9, 1, 1, false);
    put_old(&o, osp_slice_str("whatever"), osp_slice_str("it has"));
    end_old(&o);
    expect_refused("written in format 9");
}

/* ---- which file it is ---- */

static void
copy_file(const char *from, const char *to)
{
    char command[300];

    (void)snprintf(command, sizeof(command), "cp %s/%s %s/copy && mv %s/copy %s/%s", dir, from, dir, dir, dir, to);
    assert_int_equal(system(command), 0); /* NOLINT */
}

static void
a_copy_is_known_as_one_until_it_is_accepted(void **state)
{
    struct osp_store *s = NULL;
    uint64_t          seq;

    (void)state;
    EXPECT_OK(osp_store_create(dir, SIZE, &s, why));
    assert_false(osp_store_was_moved(s));
    osp_store_close(s);
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(osp_store_open(dir, SIZE, &s, why));
        assert_false(osp_store_was_moved(s)); /* it was written anew by the check, and that is no copy */
        osp_store_close(s);
    }
    copy_file("state.mdb", "state.mdb");
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(osp_store_open(dir, SIZE, &s, why));
        assert_true(osp_store_was_moved(s));
        seq = osp_store_seq(s);
        EXPECT_OK(osp_store_begin(s));
        osp_store_mark(s, false);
        if (i == 1)
            osp_store_accept_file(s);
        EXPECT_OK(osp_store_commit(s));
        assert_int_equal(osp_store_seq(s), seq + 1);
        assert_int_equal(osp_store_was_moved(s), i == 0);
        osp_store_close(s);
    }
    EXPECT_OK(osp_store_open(dir, SIZE, &s, why));
    assert_false(osp_store_was_moved(s));
    osp_store_close(s);
}

static void
opening_never_makes_and_making_never_opens(void **state)
{
    struct osp_store *s = NULL;

    (void)state;
    EXPECT_ERR(OSP_E_NOT_FOUND, osp_store_open(dir, SIZE, &s, why));
    EXPECT_ERR(OSP_E_NOT_FOUND, osp_store_open(dir, SIZE, &s, why));
    EXPECT_OK(osp_store_create(dir, SIZE, &s, why));
    assert_int_equal(osp_store_run(s), 1);
    osp_store_close(s);
    EXPECT_ERR(OSP_E_EXISTS, osp_store_create(dir, SIZE, &s, why));
    EXPECT_OK(osp_store_open(dir, SIZE, &s, why));
    osp_store_close(s);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(formats_1_and_2_are_taken_over),
        T(a_file_that_was_never_written_to_is_taken_over),
        T(rows_that_no_format_has_are_damage),
        T(rows_without_a_head_are_damage),
        T(later_formats_are_refused),
        T(a_copy_is_known_as_one_until_it_is_accepted),
        T(opening_never_makes_and_making_never_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
