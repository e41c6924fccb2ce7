/* SPDX-License-Identifier: BSD-2-Clause */
/* What the cache says of itself, and the options of a 2.03. */
#include "tests/unit/unit.h"

#include "cache/cache.h"

static const struct osp_hash_key seed = { 1, 2 };
static const struct osp_time     now = { 1000000 };

static struct osp_cache *
cache(void)
{
    struct osp_cache_cfg cfg;
    struct osp_cache    *c = NULL;

    osp_cache_cfg_default(&cfg);
    cfg.bytes = 1 << 20;
    cfg.shards = 4;
    EXPECT_OK(osp_cache_new(&cfg, seed, &c));
    return c;
}

static struct osp_cache_key
key_of(struct osp_msg *req, const char *path, uint8_t *buf, size_t cap)
{
    struct osp_authority to = { OSP_SCHEME_COAP, osp_slice_str("s.example"), 5683, false, { { 0 } } };
    struct osp_wr        w = osp_wr_to(buf, cap);
    struct osp_cache_key k;

    osp_msg_init(req, OSP_GET);
    EXPECT_OK(osp_msg_add(req, OSP_OPT_URI_PATH, osp_slice_str(path)));
    EXPECT_OK(osp_cache_key_make(&seed, &to, 548, req, &w, &k));
    return k;
}

/* [rfc7252#5.9.1.3] [rfc7252#5.10.6.1] The client learns how long what it has is fresh. */
static void
not_modified_tells_etag_and_max_age_alone(void **state)
{
    struct osp_cache    *c = cache();
    struct osp_msg       req, resp, out;
    uint8_t              kb[256], ob[512], age[4];
    struct osp_cache_key k = key_of(&req, "a", kb, sizeof(kb));
    struct osp_wr        w = osp_wr_to(ob, sizeof(ob));
    uint32_t             age_s, left = 0;

    (void)state;
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_ETAG, osp_slice_str("e1")));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_CONTENT_FORMAT, osp_slice("\x2a", 1)));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_opt_uint_make(30, age)));
    resp.payload = osp_slice_str("body");
    assert_int_equal(osp_cache_store(c, &k, &resp, now), OSP_CACHE_KEPT);
    EXPECT_OK(osp_msg_add(&req, OSP_OPT_ETAG, osp_slice_str("e1")));
    assert_int_equal(osp_cache_lookup(c, &k, &req, osp_time_after(now, OSP_SEC(10)), &w, &out, &age_s), OSP_CACHE_NOT_MODIFIED);
    assert_int_equal(out.code, OSP_CODE(2, 3));
    assert_int_equal(out.opt_count, 2);
    EXPECT_BYTES(osp_slice_str("e1"), osp_msg_get(&out, OSP_OPT_ETAG)->val);
    assert_true(osp_opt_uint(osp_msg_get(&out, OSP_OPT_MAX_AGE)->val, &left));
    assert_int_equal(left, 20);
    assert_int_equal(out.payload.n, 0);
    osp_cache_free(c);
}

static void
what_is_stored_and_refused_is_counted_over_all_shards(void **state)
{
    static const char *const paths[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    struct osp_cache        *c = cache();
    struct osp_cache_stats   st;
    struct osp_msg           req, resp;
    uint8_t                  kb[256];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        struct osp_cache_key k = key_of(&req, paths[i], kb, sizeof(kb));

        osp_msg_init(&resp, i < 5 ? OSP_CODE(2, 5) : OSP_CODE(2, 4));
        (void)osp_cache_store(c, &k, &resp, now);
    }
    osp_cache_stats(c, &st);
    assert_int_equal(st.stored, 5);
    assert_int_equal(st.refused, 3);
    assert_int_equal(st.entries, 5);
    assert_int_equal(osp_cache_purge(c, "*"), 5);
    osp_cache_stats(c, &st);
    assert_int_equal(st.purged, 5);
    assert_int_equal(st.entries, 0);
    osp_cache_free(c);
}

static enum osp_cache_found
look(struct osp_cache *c, const struct osp_cache_key *k, const struct osp_msg *req, uint64_t after_s, struct osp_msg *out)
{
    static uint8_t ob[512];
    struct osp_wr  w = osp_wr_to(ob, sizeof(ob));
    uint32_t       age_s;

    return osp_cache_lookup(c, k, req, osp_time_after(now, OSP_SEC(after_s)), &w, out, &age_s);
}

/* The life of one representation, each event of it counted once [rfc7252#5.9.1.3] [rfc7252#5.9.1]. */
static void
each_event_in_the_life_of_an_entry_is_counted_once(void **state)
{
    struct osp_cache      *c = cache();
    struct osp_cache_stats st;
    struct osp_msg         req, with_etag, resp, out;
    uint8_t                kb[256], age[4], later[4];
    struct osp_cache_key   k = key_of(&req, "a", kb, sizeof(kb));

    (void)state;
    osp_msg_copy(&with_etag, &req);
    EXPECT_OK(osp_msg_add(&with_etag, OSP_OPT_ETAG, osp_slice_str("e1")));
    assert_int_equal(look(c, &k, &req, 0, &out), OSP_CACHE_MISS);
    osp_msg_init(&resp, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_ETAG, osp_slice_str("e1")));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_opt_uint_make(30, age)));
    assert_int_equal(osp_cache_store(c, &k, &resp, now), OSP_CACHE_KEPT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(look(c, &k, &req, 10, &out), OSP_CACHE_HIT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(look(c, &k, &with_etag, 10, &out), OSP_CACHE_NOT_MODIFIED);
    for (int i = 0; i < 4; i++)
        assert_int_equal(look(c, &k, &req, 30, &out), OSP_CACHE_STALE);
    osp_msg_init(&resp, OSP_CODE(2, 3));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_ETAG, osp_slice_str("e2")));
    assert_false(osp_cache_refresh(c, &k, &resp, osp_time_after(now, OSP_SEC(31))));
    osp_msg_init(&resp, OSP_CODE(2, 3));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_ETAG, osp_slice_str("e1")));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_opt_uint_make(60, later)));
    assert_true(osp_cache_refresh(c, &k, &resp, osp_time_after(now, OSP_SEC(31))));
    assert_int_equal(look(c, &k, &req, 90, &out), OSP_CACHE_HIT);
    assert_int_equal(osp_cache_invalidate(c, &k, osp_time_after(now, OSP_SEC(90))), 1);
    assert_int_equal(look(c, &k, &req, 90, &out), OSP_CACHE_STALE);
    assert_int_equal(look(c, &k, &req, 90 + 7 * 24 * 3600, &out), OSP_CACHE_MISS);
    osp_cache_stats(c, &st);
    assert_int_equal(st.misses, 2);
    assert_int_equal(st.stored, 1);
    assert_int_equal(st.hits, 4);
    assert_int_equal(st.not_modified, 2);
    assert_int_equal(st.stale, 5);
    assert_int_equal(st.refreshed, 1);
    assert_int_equal(st.invalidated, 1);
    assert_int_equal(st.expired, 1);
    assert_int_equal(st.entries, 0);
    osp_cache_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_modified_tells_etag_and_max_age_alone),
        cmocka_unit_test(each_event_in_the_life_of_an_entry_is_counted_once),
        cmocka_unit_test(what_is_stored_and_refused_is_counted_over_all_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
