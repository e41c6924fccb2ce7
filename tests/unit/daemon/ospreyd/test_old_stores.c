/* SPDX-License-Identifier: BSD-2-Clause */
/* Stores that versions before wrote. */
#include "tests/unit/daemon/ospreyd/two_contexts.h"

#include <sys/stat.h>

#include "oscore/b2.h"

/* ---- what versions before wrote ---- */

static void
put_old(struct osp_store *s, const struct cfg_context *c, uint64_t limit, uint32_t run)
{
    struct osp_octx_params p = { .aead = c->aead, .hkdf = c->hkdf, .master_secret = cfg_slice(&c->master_secret.value),
                                 .sender_id = cfg_slice(&c->sender_id), .recipient_id = cfg_slice(&c->recipient_id) };
    uint8_t                key[OSP_STORE_KEY_LEN], value[32];
    struct osp_wr          w = osp_wr_to(value, sizeof(value));

    EXPECT_OK(osp_octx_fingerprint(&p, key));
    osp_wr_uint(&w, limit, 8);
    osp_wr_uint(&w, 9, 8);
    osp_wr_u32(&w, 5);
    osp_wr_u32(&w, run);
    osp_wr_u32(&w, 11);
    osp_wr_u32(&w, 12);
    EXPECT_OK(osp_store_put(s, OSP_STORE_OLD, key, osp_wr_slice(&w)));
}

/* A store as an upgrade of the format leaves it: old records, no name, no mark; after a clean stop. */
static void
make_old(size_t count)
{
    struct osp_store *s = NULL;

    assert_int_equal(unit_remove_store(dir), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    EXPECT_OK(osp_store_create(dir, 1u << 20, &s, why));
    EXPECT_OK(osp_store_begin(s));
    for (size_t i = 0; i < count; i++)
        put_old(s, &contexts[i], 100 * (i + 1), osp_store_run(s));
    osp_store_mark(s, false);
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

static void
records_of_versions_before_go_to_the_keys(void **state)
{
    struct osp_state    *st;
    struct osp_replay    w;
    struct osp_key_usage used;

    (void)state;
    make_old(2);
    cfg.context_count = 2;
    st = start();
    for (size_t i = 0; i < 2; i++) {
        used = osp_octx_usage(ctx(st, i));
        assert_int_equal(osp_octx_ssn(ctx(st, i)).next, 100 * (i + 1));
        assert_true(is_known(ctx(st, i), &w) && w.next == 9 && w.seen == 5);
        assert_true(used.q == 11 && used.v == 12);
    }
    set_ids(0, 0, 4);           /* from now on they belong to the keys */
    load(st);
    assert_int_equal(take(st, ctx(st, 0)), 100);
    assert_true(is_known(ctx(st, 0), &w) && w.next == 0);       /* nothing is unclaimed: a new key may be fresh */
    unit_stop(st);
    unit_stop(start());              /* it has a mark */
}

/* That version had filed a key twice, since an ID of its context was edited: the older record has the higher numbers. */
static void
record_of_a_version_before_is_not_below_another_of_its_key(void **state)
{
    struct osp_state *st;
    struct osp_replay w;

    (void)state;
    make_old(2);                /* 100 and 200 */
    cfg.context_count = 1;      /* nobody claims the second one, which may be of the first one's keys */
    st = start();
    assert_true(take(st, ctx(st, 0)) >= 200);
    assert_false(is_known(ctx(st, 0), &w));
    unit_stop(st);
}

/* An edit that came with the upgrade: whose record it is cannot be told, so no key starts below it. */
static void
unclaimed_records_hold_for_keys_without_any(void **state)
{
    struct osp_state *st;
    struct osp_replay w;

    (void)state;
    make_old(2);
    cfg.context_count = 2;
    set_ids(0, 0, 4);
    st = start();
    assert_int_equal(take(st, ctx(st, 0)), 100);
    assert_false(is_known(ctx(st, 0), &w));
    assert_int_equal(take(st, ctx(st, 1)), 200);
    set_ids(0, 5, 6);
    load(st);
    assert_int_equal(take(st, ctx(st, 0)), 100);
    set_ids(0, 0, 1);           /* the context that it was written for turns up */
    load(st);
    assert_true(take(st, ctx(st, 0)) >= 100);
    unit_stop(st);
}

static void
state_of_versions_before_is_refused_once_it_has_a_mark(void **state)
{
    char    path[128], old_path[128];

    (void)state;
    make_old(1);
    path_of(path, "/state.mdb");
    path_of(old_path, ".old");
    assert_int_equal(rename(path, old_path), 0);
    assert_int_equal(unit_remove_store(dir), 0);
    EXPECT_OK(unit_make_state(&cfg) ? OSP_OK : OSP_E_STORE);
    assert_int_equal(rename(old_path, path), 0);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "older"));
    expect_recovered(BLIND, 2 * BLIND);
}

static struct osp_octx *
current(struct osp_state *st)
{
    struct osp_octx *c = osp_b2_current(ctx(st, 0));

    osp_octx_unref(c);          /* the base still holds it */
    return c;
}

/* row S11 */
static void
base_of_versions_before_goes_on(void **state)
{
    static const char    id[] = "R2R3R2R3";
    struct osp_slice     ctx_id = osp_slice_str(id);
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice(secret, 16),
                                 .sender_id = osp_slice(&ids[0], 1), .recipient_id = osp_slice(&ids[1], 1) };
    struct osp_octx     *base, *c;
    struct osp_store    *s = NULL;
    struct osp_state    *st;
    struct osp_replay    w;
    uint8_t              key[OSP_STORE_KEY_LEN], print[OSP_STORE_KEY_LEN], value[32];
    struct osp_wr        wr = osp_wr_to(value, sizeof(value));

    (void)state;
    contexts[0].rekey = CFG_REKEY_B2;
    make_old(0);
    EXPECT_OK(osp_b2_new(&p, &base));
    EXPECT_OK(osp_b2_key(&p, key));
    EXPECT_OK(osp_b2_fingerprint(base, &ctx_id, print));
    osp_octx_unref(base);
    EXPECT_OK(osp_store_open(dir, 1u << 20, &s, why));
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(osp_store_put(s, OSP_STORE_BASE, key, ctx_id));
    osp_wr_uint(&wr, 70, 8);
    osp_wr_uint(&wr, 9, 8);
    osp_wr_u32(&wr, 5);
    osp_wr_u32(&wr, osp_store_run(s));
    osp_wr_uint(&wr, 0, 8);
    EXPECT_OK(osp_store_put(s, OSP_STORE_OLD, print, osp_wr_slice(&wr)));
    osp_store_mark(s, false);
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
    for (int i = 0; i < 2; i++) {       /* as before, and then by the names of the keys */
        st = start();
        c = current(st);
        assert_non_null(c);
        assert_int_equal(take(st, c), 70 + i);
        assert_true(is_known(c, &w) && w.next == 9);
        unit_stop(st);
    }
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(records_of_versions_before_go_to_the_keys),
        T(record_of_a_version_before_is_not_below_another_of_its_key),
        T(unclaimed_records_hold_for_keys_without_any),
        T(base_of_versions_before_goes_on),
        T(state_of_versions_before_is_refused_once_it_has_a_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
