/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/cache.h"

static const struct osp_hash_key seed = { 1, 2 };

struct fix {
    struct osp_cache    *c;
    struct osp_authority to;
    uint8_t              keybuf[2048], outbuf[4096];
    struct osp_msg       out;
    uint32_t             age;
};

static struct osp_time
at(double s)
{
    struct osp_time t = { (uint64_t)(s * 1e6) };
    return t;
}

static void
fix_make(struct fix *f, size_t bytes)
{
    struct osp_cache_cfg cfg;

    osp_cache_cfg_default(&cfg);
    cfg.bytes = bytes;
    cfg.shards = 1;
    EXPECT_OK(osp_cache_new(&cfg, seed, &f->c));
    f->to = (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str("s.example"), 5683, false, { { 0 } } };
}

static int
setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    fix_make(f, 1 << 20);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fix *f = *state;

    osp_cache_free(f->c);
    free(f);
    return 0;
}

static struct osp_msg *
request(struct osp_msg *m, uint8_t code, const char *path)
{
    osp_msg_init(m, code);
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str(path)));
    return m;
}

static struct osp_msg *
response(struct osp_msg *m, uint8_t code, const char *payload)
{
    osp_msg_init(m, code);
    m->payload = osp_slice_str(payload);
    return m;
}

static void
add_uint(struct osp_msg *m, uint16_t num, uint32_t v, uint8_t buf[4])
{
    EXPECT_OK(osp_msg_add(m, num, osp_opt_uint_make(v, buf)));
}

static struct osp_cache_key
key_of(struct fix *f, const struct osp_msg *req)
{
    struct osp_wr        w = osp_wr_to(f->keybuf, sizeof(f->keybuf));
    struct osp_cache_key k;

    EXPECT_OK(osp_cache_key_make(&seed, &f->to, 548, req, &w, &k));
    return k;
}

static enum osp_cache_found
lookup(struct fix *f, const struct osp_msg *req, double s)
{
    struct osp_cache_key k = key_of(f, req);
    struct osp_wr        w = osp_wr_to(f->outbuf, sizeof(f->outbuf));

    return osp_cache_lookup(f->c, &k, req, at(s), &w, &f->out, &f->age);
}

static enum osp_cache_kept
store(struct fix *f, const struct osp_msg *req, const struct osp_msg *resp, double s)
{
    struct osp_cache_key k = key_of(f, req);
    return osp_cache_store(f->c, &k, resp, at(s));
}

static uint32_t
max_age(const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_MAX_AGE);
    uint32_t              v = 0;

    assert_non_null(o);
    assert_true(osp_opt_uint(o->val, &v));
    return v;
}

/* [rfc7252#5.6] every option that is not NoCacheKey selects, and so do method and destination */
static void
key_covers_what_selects_the_answer(void **state)
{
    static const uint16_t selects[] = { OSP_OPT_URI_QUERY, OSP_OPT_ACCEPT, OSP_OPT_CONTENT_FORMAT, OSP_OPT_IF_MATCH,
                                        OSP_OPT_URI_HOST, 65000, 65001 };
    struct fix    *f = *state;
    struct osp_msg a, b, r;

    request(&a, OSP_GET, "t");
    assert_int_equal(store(f, &a, response(&r, OSP_CODE(2, 5), "x"), 0), OSP_CACHE_KEPT);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    for (size_t i = 0; i < sizeof(selects) / sizeof(selects[0]); i++) {
        request(&b, OSP_GET, "t");
        EXPECT_OK(osp_msg_add(&b, selects[i], osp_slice_str("7")));
        assert_int_equal(lookup(f, &b, 1), OSP_CACHE_MISS);
    }
    assert_int_equal(lookup(f, request(&b, OSP_FETCH, "t"), 1), OSP_CACHE_MISS);
    assert_int_equal(lookup(f, request(&b, OSP_GET, "T"), 1), OSP_CACHE_MISS);
    f->to.port = 5684;
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
    f->to.port = 5683;
    f->to.scheme = OSP_SCHEME_COAP_TCP;
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
    f->to.scheme = OSP_SCHEME_COAP;
    f->to.host = osp_slice_str("s.exampl");
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
}

/* Two path segments are not one with a slash, nor is a path a query. */
static void
key_bytes_are_unambiguous(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, b, r;

    request(&a, OSP_GET, "a");
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_URI_PATH, osp_slice_str("b")));
    store(f, &a, response(&r, OSP_CODE(2, 5), "x"), 0);
    assert_int_equal(lookup(f, request(&b, OSP_GET, "ab"), 1), OSP_CACHE_MISS);
    assert_int_equal(lookup(f, request(&b, OSP_GET, "a/b"), 1), OSP_CACHE_MISS);
    request(&b, OSP_GET, "a");
    EXPECT_OK(osp_msg_add(&b, OSP_OPT_URI_QUERY, osp_slice_str("b")));
    assert_int_equal(lookup(f, &b, 1), OSP_CACHE_MISS);
}

/* [rfc7252#5.4.6] */
static void
no_cache_key_options_do_not_split_entries(void **state)
{
    static const uint16_t same[] = { OSP_OPT_SIZE1, OSP_OPT_SIZE2, 65020, OSP_OPT_ETAG, OSP_OPT_REQUEST_TAG,
                                     OSP_OPT_NO_RESPONSE };
    struct fix    *f = *state;
    struct osp_msg a, b, r;

    store(f, request(&a, OSP_GET, "t"), response(&r, OSP_CODE(2, 5), "x"), 0);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        request(&b, OSP_GET, "t");
        EXPECT_OK(osp_msg_add(&b, same[i], osp_slice_str("7")));
        assert_int_equal(lookup(f, &b, 1), OSP_CACHE_HIT);
    }
}

/* [rfc7252#5.6.1] [rfc7252#5.10.5] */
static void
max_age_is_sixty_by_default_and_counts_down(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, r;

    store(f, request(&a, OSP_GET, "t"), response(&r, OSP_CODE(2, 5), "x"), 100);
    assert_int_equal(lookup(f, &a, 120.5), OSP_CACHE_HIT);
    assert_int_equal(max_age(&f->out), 39);     /* rounded down: never extended */
    assert_int_equal(f->age, 20);
    assert_int_equal(lookup(f, &a, 159.9), OSP_CACHE_HIT);
    assert_int_equal(max_age(&f->out), 0);
    assert_int_equal(lookup(f, &a, 160), OSP_CACHE_STALE);
    assert_int_equal(lookup(f, &a, 161), OSP_CACHE_STALE);
    assert_int_equal(lookup(f, &a, 160 + 3600), OSP_CACHE_MISS);
}

static void
nothing_uncacheable_is_kept(void **state)
{
    static const uint8_t codes[] = { OSP_CODE(2, 1), OSP_CODE(2, 2), OSP_CODE(2, 3), OSP_CODE(2, 4), OSP_CODE(2, 30),
                                     OSP_CODE(2, 31), OSP_CODE(3, 0) };
    struct fix    *f = *state;
    struct osp_msg a, r;
    uint8_t        b[4], c[4];

    request(&a, OSP_GET, "t");
    for (size_t i = 0; i < sizeof(codes); i++)
        assert_int_equal(store(f, &a, response(&r, codes[i], "x"), 0), OSP_CACHE_NOT_CACHEABLE);
    response(&r, OSP_CODE(2, 5), "x");
    add_uint(&r, OSP_OPT_MAX_AGE, 0, b);
    assert_int_equal(store(f, &a, &r, 0), OSP_CACHE_NOT_CACHEABLE);
    response(&r, OSP_CODE(2, 5), "x");
    add_uint(&r, OSP_OPT_OBSERVE, 3, b);
    assert_int_equal(store(f, &a, &r, 0), OSP_CACHE_NOT_CACHEABLE);
    response(&r, OSP_CODE(2, 5), "x");
    add_uint(&r, OSP_OPT_BLOCK2, 0x08 | 2, c);  /* number 0, more to come */
    assert_int_equal(store(f, &a, &r, 0), OSP_CACHE_NOT_CACHEABLE);
    response(&r, OSP_CODE(2, 5), "x");
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_LOCATION_PATH, osp_slice_str("as one route shows it")));
    assert_int_equal(store(f, &a, &r, 0), OSP_CACHE_NOT_CACHEABLE);
    assert_int_equal(lookup(f, &a, 0), OSP_CACHE_MISS);
}

/* [rfc7252#5.9.2] */
static void
errors_are_kept_for_their_max_age(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, r;
    uint8_t        b[4];

    response(&r, OSP_CODE(4, 4), "gone");
    add_uint(&r, OSP_OPT_MAX_AGE, 30, b);
    assert_int_equal(store(f, request(&a, OSP_GET, "t"), &r, 0), OSP_CACHE_KEPT);
    assert_int_equal(lookup(f, &a, 29), OSP_CACHE_HIT);
    assert_int_equal(f->out.code, OSP_CODE(4, 4));
    assert_int_equal(max_age(&f->out), 1);
    assert_int_equal(lookup(f, &a, 30), OSP_CACHE_MISS);        /* an error cannot be validated */
}

/* [rfc7252#5.9.1.3] */
static void
valid_response_refreshes_and_replaces_options(void **state)
{
    struct fix          *f = *state;
    struct osp_msg       a, r;
    struct osp_cache_key k;
    uint8_t              b[4], c[4], d[4];

    response(&r, OSP_CODE(2, 5), "body");
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_ETAG, osp_slice_str("e1")));
    add_uint(&r, OSP_OPT_CONTENT_FORMAT, 0, b);
    EXPECT_OK(osp_msg_add(&r, 65000, osp_slice_str("kept")));
    store(f, request(&a, OSP_GET, "t"), &r, 0);
    assert_int_equal(lookup(f, &a, 61), OSP_CACHE_STALE);
    assert_true(osp_slice_eq(osp_msg_get(&f->out, OSP_OPT_ETAG)->val, osp_slice_str("e1")));

    response(&r, OSP_CODE(2, 3), "");
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_ETAG, osp_slice_str("other")));
    k = key_of(f, &a);
    assert_false(osp_cache_refresh(f->c, &k, &r, at(61)));

    response(&r, OSP_CODE(2, 3), "");
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_ETAG, osp_slice_str("e1")));
    add_uint(&r, OSP_OPT_CONTENT_FORMAT, 50, c);
    add_uint(&r, OSP_OPT_MAX_AGE, 10, d);
    k = key_of(f, &a);
    assert_true(osp_cache_refresh(f->c, &k, &r, at(61)));
    assert_int_equal(lookup(f, &a, 65), OSP_CACHE_HIT);
    assert_int_equal(f->out.code, OSP_CODE(2, 5));
    assert_int_equal(max_age(&f->out), 6);
    EXPECT_BYTES(osp_slice_str("body"), f->out.payload);
    EXPECT_BYTES(osp_slice("\x32", 1), osp_msg_get(&f->out, OSP_OPT_CONTENT_FORMAT)->val);
    EXPECT_BYTES(osp_slice_str("kept"), osp_msg_get(&f->out, 65000)->val);
    assert_int_equal(lookup(f, &a, 72), OSP_CACHE_STALE);
}

/* [rfc7252#5.10.6.2] */
static void
client_with_the_etag_gets_2_03(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, r;
    uint8_t        b[4];

    response(&r, OSP_CODE(2, 5), "body");
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_ETAG, osp_slice_str("e1")));
    add_uint(&r, OSP_OPT_CONTENT_FORMAT, 0, b);
    store(f, request(&a, OSP_GET, "t"), &r, 0);
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_ETAG, osp_slice_str("e0")));
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_ETAG, osp_slice_str("e1")));
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_NOT_MODIFIED);
    assert_int_equal(f->out.code, OSP_CODE(2, 3));
    assert_int_equal(f->out.opt_count, 2);
    assert_int_equal(f->out.payload.n, 0);
}

/* [rfc7252#5.9.1] */
static void
change_makes_every_variant_of_the_uri_stale(void **state)
{
    struct fix          *f = *state;
    struct osp_msg       a, b, other, put, r;
    struct osp_cache_key k;
    uint8_t              buf[4];

    response(&r, OSP_CODE(2, 5), "x");
    store(f, request(&a, OSP_GET, "t"), &r, 0);
    request(&b, OSP_GET, "t");
    add_uint(&b, OSP_OPT_ACCEPT, 50, buf);
    store(f, &b, &r, 0);
    store(f, request(&other, OSP_GET, "u"), &r, 0);
    request(&put, OSP_PUT, "t");
    add_uint(&put, OSP_OPT_CONTENT_FORMAT, 0, buf);
    k = key_of(f, &put);
    assert_int_equal(osp_cache_invalidate(f->c, &k, at(1)), 2);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_STALE);
    assert_int_equal(lookup(f, &b, 1), OSP_CACHE_STALE);
    assert_int_equal(lookup(f, &other, 1), OSP_CACHE_HIT);
}

/* [rfc8132#2] */
static void
fetch_payload_is_part_of_the_key(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, r;

    request(&a, OSP_FETCH, "t");
    a.payload = osp_slice_str("q1");
    store(f, &a, response(&r, OSP_CODE(2, 5), "x"), 0);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    a.payload = osp_slice_str("q2");
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
    a.payload = OSP_EMPTY;
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
}

/* [rfc8768#3] */
static void
hop_limit_error_serves_only_equal_or_smaller(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, r;
    uint8_t        b[4];

    request(&a, OSP_GET, "t");
    add_uint(&a, OSP_OPT_HOP_LIMIT, 4, b);
    store(f, &a, response(&r, OSP_CODE(5, 8), "p9"), 0);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    osp_msg_remove(&a, OSP_OPT_HOP_LIMIT);
    add_uint(&a, OSP_OPT_HOP_LIMIT, 3, b);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    osp_msg_remove(&a, OSP_OPT_HOP_LIMIT);
    add_uint(&a, OSP_OPT_HOP_LIMIT, 9, b);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
    assert_int_equal(lookup(f, request(&a, OSP_GET, "t"), 1), OSP_CACHE_MISS);
}

/* [rfc8613#10] [cacheable#3] */
static void
only_deterministic_oscore_requests_use_the_cache(void **state)
{
    struct osp_msg a;
    uint8_t        b[4];

    (void)state;
    assert_true(osp_cache_is_usable(request(&a, OSP_GET, "t"), 548));
    assert_false(osp_cache_is_usable(request(&a, OSP_POST, "t"), 548));
    assert_false(osp_cache_is_usable(request(&a, OSP_IPATCH, "t"), 548));
    request(&a, OSP_FETCH, "t");
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_OSCORE, osp_slice_str("x")));
    assert_false(osp_cache_is_usable(&a, 548));
    EXPECT_OK(osp_msg_add(&a, 548, osp_slice_str("hash")));
    assert_true(osp_cache_is_usable(&a, 548));
    assert_false(osp_cache_is_usable(&a, 549));
    add_uint(&a, OSP_OPT_OBSERVE, 0, b);
    assert_false(osp_cache_is_usable(&a, 548));
    request(&a, OSP_GET, "t");
    add_uint(&a, OSP_OPT_BLOCK2, 2, b);
    assert_true(osp_cache_is_usable(&a, 548));
    a.code = OSP_FETCH;
    assert_false(osp_cache_is_usable(&a, 548));
    request(&a, OSP_GET, "t");
    add_uint(&a, OSP_OPT_BLOCK1, 2, b);
    assert_false(osp_cache_is_usable(&a, 548));
    request(&a, OSP_GET, "t");
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_ECHO, osp_slice_str("e")));
    assert_false(osp_cache_is_usable(&a, 548));
}

/* [cacheable#3.4.4] */
static void
wrong_request_hash_in_a_response_is_refused(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, r;

    osp_msg_init(&a, OSP_FETCH);
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_OSCORE, osp_slice_str("o")));
    EXPECT_OK(osp_msg_add(&a, 548, osp_slice_str("h1")));
    a.payload = osp_slice_str("c");
    response(&r, OSP_CODE(2, 5), "x");
    EXPECT_OK(osp_msg_add(&r, 548, osp_slice_str("h2")));
    assert_int_equal(store(f, &a, &r, 0), OSP_CACHE_WRONG_HASH);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
    osp_msg_remove(&r, 548);
    EXPECT_OK(osp_msg_add(&r, 548, osp_slice_str("h1")));
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_OSCORE, osp_slice_str("o")));
    assert_int_equal(store(f, &a, &r, 0), OSP_CACHE_KEPT);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    a.payload = osp_slice_str("forged");
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_MISS);
}

/* Anybody on the way can write such a response: it is no answer to those who ask later. */
static void
plain_answer_to_a_protected_request_is_never_kept(void **state)
{
    static const uint8_t   codes[] = { OSP_CODE(2, 5), OSP_CODE(4, 0), OSP_CODE(4, 4), OSP_CODE(5, 3), OSP_CODE(5, 8) };
    struct fix            *f = *state;
    struct osp_msg         a, r;
    struct osp_cache_stats st;

    osp_msg_init(&a, OSP_FETCH);
    EXPECT_OK(osp_msg_add(&a, OSP_OPT_OSCORE, osp_slice_str("o")));
    EXPECT_OK(osp_msg_add(&a, 548, osp_slice_str("h1")));
    a.payload = osp_slice_str("c");
    for (size_t i = 0; i < sizeof(codes); i++) {
        assert_int_equal(store(f, &a, response(&r, codes[i], "x"), 0), OSP_CACHE_NOT_CACHEABLE);
        assert_int_equal(lookup(f, &a, 0), OSP_CACHE_MISS);
    }
    response(&r, OSP_CODE(2, 5), "sealed");
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_OSCORE, osp_slice_str("o")));
    assert_int_equal(store(f, &a, &r, 0), OSP_CACHE_KEPT);
    assert_int_equal(store(f, &a, response(&r, OSP_CODE(4, 0), "x"), 1), OSP_CACHE_NOT_CACHEABLE);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);          /* the good entry stays */
    EXPECT_BYTES(osp_slice_str("sealed"), f->out.payload);
    osp_cache_stats(f->c, &st);
    assert_int_equal(st.unprotected, sizeof(codes) + 1);
    assert_int_equal(st.refused, 0);
}

/* An origin may say 136 years, and somebody who forges its answer will. */
static void
max_age_of_origins_is_capped(void **state)
{
    struct fix          *f = *state;
    struct osp_msg       a, r;
    struct osp_cache_key k;
    uint8_t              b[4];

    osp_cache_cap_age(f->c, 100);
    response(&r, OSP_CODE(2, 5), "x");
    add_uint(&r, OSP_OPT_MAX_AGE, UINT32_MAX, b);
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_ETAG, osp_slice_str("e")));
    assert_int_equal(store(f, request(&a, OSP_GET, "t"), &r, 0), OSP_CACHE_KEPT);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    assert_int_equal(max_age(&f->out), 99);
    assert_int_equal(lookup(f, &a, 101), OSP_CACHE_STALE);
    k = key_of(f, &a);
    r.code = OSP_CODE(2, 3);
    assert_true(osp_cache_refresh(f->c, &k, &r, at(200)));      /* a 2.03 brings no more */
    assert_int_equal(lookup(f, &a, 299), OSP_CACHE_HIT);
    assert_int_equal(lookup(f, &a, 300), OSP_CACHE_STALE);
    osp_cache_cap_age(f->c, 1);                                 /* of what is stored from now on, default included */
    store(f, request(&a, OSP_GET, "u"), response(&r, OSP_CODE(2, 5), "x"), 0);
    assert_int_equal(lookup(f, &a, 0.5), OSP_CACHE_HIT);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_STALE);
}

static void
purge_goes_by_uri_pattern(void **state)
{
    struct fix    *f = *state;
    struct osp_msg a, b, r;

    response(&r, OSP_CODE(2, 5), "x");
    store(f, request(&a, OSP_GET, "t"), &r, 0);
    request(&b, OSP_GET, "u");
    EXPECT_OK(osp_msg_add(&b, OSP_OPT_URI_QUERY, osp_slice_str("q=1")));
    store(f, &b, &r, 0);
    assert_int_equal(osp_cache_purge(f->c, "coap://s.example/v*"), 0);
    assert_int_equal(osp_cache_purge(f->c, "coap://s.example/u?q=1"), 1);
    assert_int_equal(lookup(f, &b, 1), OSP_CACHE_MISS);
    assert_int_equal(lookup(f, &a, 1), OSP_CACHE_HIT);
    assert_int_equal(osp_cache_purge(f->c, "*"), 1);
}

static void
too_small_a_cache_is_refused(void **state)
{
    struct osp_cache_cfg cfg;
    struct osp_cache    *c;

    (void)state;
    osp_cache_cfg_default(&cfg);
    cfg.shards = 3;
    EXPECT_ERR(OSP_E_INVALID, osp_cache_new(&cfg, seed, &c));
    cfg.shards = 64;
    cfg.bytes = 1000;
    EXPECT_ERR(OSP_E_INVALID, osp_cache_new(&cfg, seed, &c));
}

/* A scan of many URIs leaves the cache answering and what is asked for often in it. */
/* row C18 (partly: at the library) */
static void
scan_does_not_push_out_what_is_popular(void **state)
{
    struct fix            *f = *state;
    struct osp_msg         a, r;
    struct osp_cache_stats st;
    unsigned               lost = 0;
    char                   path[32];

    response(&r, OSP_CODE(2, 5), "some payload of a sensor");
    for (int i = 0; i < 100000; i++) {
        snprintf(path, sizeof(path), "scan%d", i);
        store(f, request(&a, OSP_GET, path), &r, 0);
        snprintf(path, sizeof(path), "hot%d", i % 50);
        request(&a, OSP_GET, path);
        if (lookup(f, &a, 0) != OSP_CACHE_HIT) {
            lost++;
            store(f, &a, &r, 0);
        }
    }
    osp_cache_stats(f->c, &st);
    assert_true(st.bytes <= st.limit);
    assert_true(lost <= 100);
}

/* ---- against a naive model, with a counter as clock ---- */

#define URIS 40
#define METHODS 2

struct model_entry { bool there; uint32_t version; uint64_t fresh; uint64_t stored; };

static uint32_t
rnd(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

static void
model_step(struct fix *f, struct model_entry m[URIS][METHODS], uint32_t *s, uint64_t now, uint32_t version)
{
    unsigned       uri = rnd(s) % URIS, variant = rnd(s) % METHODS, op = rnd(s) % 10;
    struct osp_msg q, r;
    char           path[16], body[400];
    uint8_t        buf[4], buf2[4];

    snprintf(path, sizeof(path), "r%u", uri);
    request(&q, OSP_GET, path);
    if (variant)
        add_uint(&q, OSP_OPT_ACCEPT, variant, buf);
    if (op < 5) {
        struct model_entry  *e = &m[uri][variant];
        enum osp_cache_found found = lookup(f, &q, (double)now);

        if (found == OSP_CACHE_HIT) {       /* an eviction may make it a miss, nothing may make it a wrong hit */
            assert_true(e->there && now < e->fresh);
            assert_int_equal(max_age(&f->out), e->fresh - now);
            assert_int_equal(strtoul((const char *)f->out.payload.p, NULL, 10), e->version);
        } else if (found == OSP_CACHE_STALE) {
            assert_true(e->there && now >= e->fresh);
        }
    } else if (op < 9) {
        uint32_t age = rnd(s) % 100;
        size_t   n = 10 + rnd(s) % 350;

        memset(body, '.', sizeof(body));
        snprintf(body, sizeof(body), "%u", version);
        body[strlen(body)] = ' ';
        body[n] = '\0';
        response(&r, OSP_CODE(2, 5), body);
        add_uint(&r, OSP_OPT_MAX_AGE, age, buf2);
        if (store(f, &q, &r, (double)now) == OSP_CACHE_KEPT)
            m[uri][variant] = (struct model_entry){ true, version, now + age, now };
        else
            assert_int_equal(age, 0);
    } else {
        struct osp_cache_key k = key_of(f, &q);

        osp_cache_invalidate(f->c, &k, at((double)now));
        for (int v = 0; v < METHODS; v++)
            if (m[uri][v].fresh > now)
                m[uri][v].fresh = now;
    }
}

static void
random_operations_agree_with_a_model(void **state)
{
    struct fix              *f = *state;
    static struct model_entry m[URIS][METHODS];
    uint32_t                 s = 12345;
    struct osp_cache_stats   st;

    osp_cache_free(f->c);
    fix_make(f, 9000);          /* less than everything needs: evictions happen */
    for (uint32_t i = 1; i <= 200000; i++) {
        model_step(f, m, &s, i / 4, i);
        osp_cache_stats(f->c, &st);
        assert_true(st.bytes <= st.limit);
    }
    assert_true(st.evicted > 1000);
    assert_true(st.hits > 1000);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(key_covers_what_selects_the_answer),
        T(key_bytes_are_unambiguous),
        T(no_cache_key_options_do_not_split_entries),
        T(max_age_is_sixty_by_default_and_counts_down),
        T(nothing_uncacheable_is_kept),
        T(errors_are_kept_for_their_max_age),
        T(valid_response_refreshes_and_replaces_options),
        T(client_with_the_etag_gets_2_03),
        T(change_makes_every_variant_of_the_uri_stale),
        T(fetch_payload_is_part_of_the_key),
        T(hop_limit_error_serves_only_equal_or_smaller),
        T(only_deterministic_oscore_requests_use_the_cache),
        T(wrong_request_hash_in_a_response_is_refused),
        T(plain_answer_to_a_protected_request_is_never_kept),
        T(max_age_of_origins_is_capped),
        T(purge_goes_by_uri_pattern),
        T(too_small_a_cache_is_refused),
        T(scan_does_not_push_out_what_is_popular),
        T(random_operations_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
