/* SPDX-License-Identifier: BSD-2-Clause */
/* The cache in the proxy, in virtual time: what reaches the origin, and what the second client gets. */
#include "caching_world.h"

/* ---- [rfc7252#5.6] ---- */

/* rows C01, C14 */
static void
hit_needs_every_selecting_option_equal(void **state)
{
    static const struct { uint16_t num; const char *value; } vary[] = {
        { OSP_OPT_ACCEPT, "2" }, { OSP_OPT_URI_QUERY, "q" }, { OSP_OPT_URI_PATH, "more" }, { OSP_OPT_URI_PORT, "\x20\x21" },
        { 65000, "x" }, { 65001, "x" },
    };
    struct osp_msg m, a;

    (void)state;
    get("t", &a);
    get("t", &a);
    assert_int_equal(asked, 1);
    EXPECT_BYTES(osp_slice_str("22"), a.payload);
    for (size_t i = 0; i < sizeof(vary) / sizeof(vary[0]); i++) {
        uint64_t before = asked;

        cacheable(&m, OSP_GET, "t");
        add(&m, vary[i].num, vary[i].value);
        if (vary[i].num == OSP_OPT_URI_PORT) {          /* goes to another port: nobody is there */
            struct world_out o;
            send_bytes(&m, 1);
            o = take_next(&a);
            assert_int_equal(o.to.peer.port, 0x2021);
            continue;
        }
        exchange(&m, &a);
        assert_int_equal(asked, before + 1);
        m.mid = ++next_mid;
        exchange(&m, &a);
        assert_int_equal(asked, before + 1);
    }
    osp_msg_init(&m, OSP_GET);
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    add(&m, OSP_OPT_URI_HOST, "t.example");
    add(&m, OSP_OPT_URI_PATH, "t");
    add(&m, OSP_OPT_PROXY_SCHEME, "coap");
    exchange(&m, &a);           /* same address, another name */
    assert_int_equal(at_origin.code, OSP_GET);
    EXPECT_BYTES(osp_slice_str("t.example"), osp_msg_get(&at_origin, OSP_OPT_URI_HOST)->val);
    w.out_count = 0;
}

/* The same request in its other form is the same request. */
static void
proxy_uri_and_proxy_scheme_share_an_entry(void **state)
{
    struct osp_msg m, a;

    (void)state;
    get("t", &a);
    osp_msg_init(&m, OSP_GET);
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    add(&m, OSP_OPT_PROXY_URI, "coap://s.example/t");
    exchange(&m, &a);
    assert_int_equal(asked, 1);
}

/* row C02 */
static void
no_cache_key_options_do_not_split(void **state)
{
    struct osp_msg m, a;

    (void)state;
    get("t", &a);
    cacheable(&m, OSP_GET, "t");
    add(&m, OSP_OPT_SIZE1, "1");
    add(&m, 65020, "x");
    exchange(&m, &a);
    assert_int_equal(asked, 1);
}

/* rows C03, C05 */
static void
default_freshness_is_sixty_seconds_and_age_counts(void **state)
{
    struct osp_msg a;

    (void)state;
    get("t", &a);
    assert_false(osp_msg_has(&a, OSP_OPT_MAX_AGE));     /* the first answer passes as it came */
    world_run(&w, OSP_SEC(20));
    get("t", &a);
    assert_in_range(max_age(&a), 39, 40);
    world_run(&w, OSP_SEC(39));
    get("t", &a);
    assert_int_equal(asked, 1);
    world_run(&w, OSP_SEC(2));
    get("t", &a);
    assert_int_equal(asked, 2);
}

/* row C04 */
static void
max_age_zero_is_not_reused(void **state)
{
    struct osp_msg a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "now", 0);
    get("t", &a);
    get("t", &a);
    assert_int_equal(asked, 2);
}

/* rows C06, C13 */
static void
changes_make_the_uri_stale(void **state)
{
    static const uint8_t methods[] = { OSP_PUT, OSP_POST, OSP_DELETE, OSP_PATCH, OSP_IPATCH };
    struct osp_msg       m, a;

    (void)state;
    for (size_t i = 0; i < sizeof(methods); i++) {
        uint64_t before = asked;

        origin_says(OSP_CODE(2, 5), "22", 60);
        get("t", &a);
        get("other", &a);
        origin_says(methods[i] == OSP_DELETE ? OSP_CODE(2, 2) : OSP_CODE(2, 4), "", 60);
        exchange(cacheable(&m, methods[i], "t"), &a);
        m.mid = ++next_mid;
        exchange(&m, &a);                               /* not cached itself */
        origin_says(OSP_CODE(2, 5), "23", 60);
        get("t", &a);
        EXPECT_BYTES(osp_slice_str("23"), a.payload);
        get("other", &a);
        assert_int_equal(asked - before, i == 0 ? 5 : 3);
    }
}

/* row C07 */
static void
unknown_success_is_not_cached(void **state)
{
    struct osp_msg a;

    (void)state;
    origin_says(OSP_CODE(2, 30), "?", 60);
    get("t", &a);
    get("t", &a);
    assert_int_equal(asked, 2);
}

/* row C08 */
static void
errors_are_cached_by_max_age(void **state)
{
    struct osp_msg a;

    (void)state;
    origin_says(OSP_CODE(4, 4), "no", 30);
    get("t", &a);
    world_run(&w, OSP_SEC(29));
    get("t", &a);
    assert_int_equal(a.code, OSP_CODE(4, 4));
    assert_int_equal(asked, 1);
    world_run(&w, OSP_SEC(2));
    get("t", &a);
    assert_int_equal(asked, 2);
}

/* rows C09, C10 */
static void
stale_entry_is_validated_and_refreshed(void **state)
{
    struct osp_msg a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "body", 10);
    add(&reply, OSP_OPT_ETAG, "e1");
    add(&reply, OSP_OPT_CONTENT_FORMAT, "2");
    get("t", &a);
    world_run(&w, OSP_SEC(11));
    origin_says(OSP_CODE(2, 3), "", 10);
    add(&reply, OSP_OPT_ETAG, "e1");
    add(&reply, OSP_OPT_CONTENT_FORMAT, "9");
    get("t", &a);
    EXPECT_BYTES(osp_slice_str("e1"), osp_msg_get(&at_origin, OSP_OPT_ETAG)->val);
    assert_int_equal(a.code, OSP_CODE(2, 5));           /* the client asked for no validation */
    EXPECT_BYTES(osp_slice_str("body"), a.payload);
    EXPECT_BYTES(osp_slice_str("9"), osp_msg_get(&a, OSP_OPT_CONTENT_FORMAT)->val);
    get("t", &a);
    assert_int_equal(asked, 2);
}

/* row C11 */
static void
etag_of_the_client_is_answered_from_the_cache(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "body", 60);
    add(&reply, OSP_OPT_ETAG, "e1");
    get("t", &a);
    cacheable(&m, OSP_GET, "t");
    add(&m, OSP_OPT_ETAG, "e1");
    exchange(&m, &a);
    assert_int_equal(a.code, OSP_CODE(2, 3));
    assert_int_equal(a.payload.n, 0);
    assert_int_equal(asked, 1);
}

/* row C12 */
static void
fetch_payload_selects(void **state)
{
    struct osp_msg m, a;

    (void)state;
    cacheable(&m, OSP_FETCH, "t");
    m.payload = osp_slice_str("q1");
    exchange(&m, &a);
    m.mid = ++next_mid;
    exchange(&m, &a);
    assert_int_equal(asked, 1);
    m.mid = ++next_mid;
    m.payload = osp_slice_str("q2");
    exchange(&m, &a);
    assert_int_equal(asked, 2);
}

/* row C15 */
/* [ocp#2.4] */
static void
entry_is_not_given_to_whom_the_policy_refuses(void **state)
{
    static struct osp_net one = { { { 0 } }, 128 };
    struct osp_msg        m, a;

    (void)state;
    one.ip = osp_ip_v4(192, 0, 2, 1);
    w.rules[0].any = false;
    w.rules[0].nets = &one;
    w.rules[0].net_count = 1;
    get("t", &a);
    exchange_from(2, cacheable(&m, OSP_GET, "t"), &a);
    assert_int_equal(a.code, OSP_CODE(4, 1));
    get("t", &a);
    assert_int_equal(a.code, OSP_CODE(2, 5));
    assert_int_equal(asked, 1);
}

/* rows C16, C17 */
/* [rfc8613#10] */
static void
ordinary_oscore_requests_bypass_the_cache(void **state)
{
    struct osp_cache_stats st;
    struct osp_msg         m, a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "ciphertext", 60);
    add(&reply, OSP_OPT_OSCORE, "");
    for (uint8_t code = OSP_POST; code <= OSP_FETCH; code = (uint8_t)(code + OSP_FETCH - OSP_POST)) {
        uint64_t before = asked;

        cacheable(&m, code, "t");
        osp_msg_remove(&m, OSP_OPT_URI_PATH);
        add(&m, OSP_OPT_OSCORE, "\x09\x14\x63");
        m.payload = osp_slice_str("sealed");
        exchange(&m, &a);
        m.mid = ++next_mid;
        exchange_from(2, &m, &a);
        assert_int_equal(asked, before + 2);
    }
    osp_cache_stats(cache, &st);
    assert_int_equal(st.entries, 0);
}

/* rows H06 */
/* [rfc8768#3] */
static void
cached_5_08_serves_equal_or_smaller_hop_limits(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(5, 8), "p9", 60);
    for (int i = 0; i < 3; i++) {
        static const char *const values[] = { "\x04", "\x03", "\x09" };

        cacheable(&m, OSP_GET, "t");
        add(&m, OSP_OPT_HOP_LIMIT, values[i]);
        exchange(&m, &a);
        assert_int_equal(a.code, OSP_CODE(5, 8));
        assert_int_equal(asked, i < 2 ? 1 : 2);
    }
}

static void
echo_is_never_answered_from_the_cache(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(4, 1), "", 60);
    add(&reply, OSP_OPT_ECHO, "challenge");
    get("t", &a);
    assert_int_equal(a.code, OSP_CODE(4, 1));
    origin_says(OSP_CODE(2, 5), "yes", 60);
    cacheable(&m, OSP_GET, "t");
    add(&m, OSP_OPT_ECHO, "challenge");
    exchange(&m, &a);
    assert_int_equal(a.code, OSP_CODE(2, 5));
    assert_int_equal(asked, 2);
}

static void
stale_response_stands_in_for_a_dead_origin_when_allowed(void **state)
{
    struct osp_msg   m, a;
    struct world_out o;

    (void)state;
    origin_says(OSP_CODE(2, 5), "old", 10);
    get("t", &a);
    world_run(&w, OSP_SEC(20));
    for (int allowed = 0; allowed < 2; allowed++) {
        uint8_t rst[4] = { 0x70, 0 };

        w.policy.serve_stale = allowed;
        send_bytes(cacheable(&m, OSP_GET, "t"), 1);
        o = take_next(&a);
        rst[2] = o.bytes[2];
        rst[3] = o.bytes[3];
        world_in(&w, 0, 9, 5683, osp_slice(rst, 4));
        take_next(&a);
        assert_int_equal(a.code, allowed ? OSP_CODE(2, 5) : OSP_CODE(5, 2));
        if (allowed)
            assert_int_equal(max_age(&a), 0);
    }
}

/* ---- whom the guard of addresses stops ---- */

/*
 * A name leads to a guarded address; the operator vouched for it in a route, and one rule names that address.  Nobody else gets
 * from the cache what he would not get from there.
 */
static void
guarded_answers_are_not_shared_with_those_the_guard_stops(void **state)
{
    static const struct osp_target loopback = { .kind = OSP_TARGET_NET, .scheme = OSP_SCHEME_UNKNOWN, .bits = 128,
                                                .net = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } } };
    struct osp_msg m, a;
    bool           first = true;

    (void)state;
    w.policy.reverse = true;
    w.routes[0] = (struct osp_route){ .name = "r", .host = osp_slice_str("dev.example") };
    w.routes[0].hop.to = (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str("u.example"), 5683, false, { { 0 } } };
    w.policy.routes = w.routes;
    w.policy.route_count = 1;
    for (int how = 0; how < 2; how++) { /* by the route; by the rule that names it */
        for (int i = 0; i < 4; i++) {
            bool             route = how == 0 && i % 2 == 0, may = route || (how == 1 && i % 2 == 0);
            struct world_out o;

            w.allow[0][2] = (struct osp_allow){ .kind = OSP_ALLOW_FORWARD, .target = loopback };
            w.rules[0].allow_count = how == 1 && may ? 3 : 2;
            osp_msg_init(&m, OSP_GET);
            m.mid = ++next_mid;
            m.token = osp_slice_str("tk");
            add(&m, OSP_OPT_URI_HOST, route ? "dev.example" : "u.example");
            add(&m, OSP_OPT_URI_PATH, how ? "b" : "a");
            if (!route)
                add(&m, OSP_OPT_PROXY_SCHEME, "coap");
            send_bytes(&m, 1);
            if (first)
                world_resolved(&w, "u.example", OSP_OK, "127.0.0.1", 1000);
            first = false;
            o = take_next(&a);
            if (o.to.sock == 0) {
                uint8_t       buf[2048];
                struct osp_wr d = osp_wr_to(buf, sizeof(buf));

                assert_true(may && i == 0);
                reply.type = OSP_ACK;
                reply.mid = a.mid;
                reply.token = a.token;
                EXPECT_OK(osp_msg_encode_udp(&reply, &d));
                world_in_from(&w, 0, &o.to.peer, osp_wr_slice(&d));
                o = take_next(&a);
            }
            assert_int_equal(o.to.sock, WORLD_LISTENER);
            assert_int_equal(a.code, may ? OSP_CODE(2, 5) : OSP_CODE(4, 1));
        }
    }
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, caching_setup, caching_teardown)
    const struct CMUnitTest tests[] = {
        T(hit_needs_every_selecting_option_equal),
        T(proxy_uri_and_proxy_scheme_share_an_entry),
        T(no_cache_key_options_do_not_split),
        T(default_freshness_is_sixty_seconds_and_age_counts),
        T(max_age_zero_is_not_reused),
        T(changes_make_the_uri_stale),
        T(unknown_success_is_not_cached),
        T(errors_are_cached_by_max_age),
        T(stale_entry_is_validated_and_refreshed),
        T(etag_of_the_client_is_answered_from_the_cache),
        T(fetch_payload_selects),
        T(entry_is_not_given_to_whom_the_policy_refuses),
        T(ordinary_oscore_requests_bypass_the_cache),
        T(cached_5_08_serves_equal_or_smaller_hop_limits),
        T(echo_is_never_answered_from_the_cache),
        T(stale_response_stands_in_for_a_dead_origin_when_allowed),
        T(guarded_answers_are_not_shared_with_those_the_guard_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
