/* SPDX-License-Identifier: BSD-2-Clause */
/* The cache in the proxy, in virtual time: what reaches the origin, and what the second client gets. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/block.h"
#include "world.h"

static struct world      w;
static struct osp_cache *cache;
static uint16_t          next_mid;
static uint64_t          asked;         /* requests the origin got */

/* ---- one exchange: the client's request in, the origin's answer if it is asked, the client's answer out ---- */

static struct osp_msg reply;            /* what the origin answers */

static struct osp_msg *
request(struct osp_msg *m, uint8_t code, const char *path)
{
    osp_msg_init(m, code);
    m->type = OSP_CON;
    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str(path)));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    return m;
}

static struct osp_msg at_origin;        /* the last request it got */

static void
send_bytes(const struct osp_msg *m, uint8_t host)
{
    world_send(&w, WORLD_LISTENER, host, 40000, m);
}

/* Decodes the next datagram from the proxy into `m`; its bytes stay for some more calls. */
static struct world_out
take(struct osp_msg *m)
{
    return world_next(&w, m);
}

static struct osp_msg *
exchange_from(uint8_t host, const struct osp_msg *m, struct osp_msg *answer)
{
    struct world_out o;

    send_bytes(m, host);
    o = take(answer);
    if (o.to.sock == 0) {
        asked++;
        osp_msg_copy(&at_origin, answer);
        reply.type = OSP_ACK;
        reply.mid = answer->mid;
        reply.token = answer->token;
        world_send(&w, 0, 9, 5683, &reply);
        o = take(answer);
    }
    assert_int_equal(o.to.sock, WORLD_LISTENER);
    EXPECT_BYTES(m->token, answer->token);
    return answer;
}

static struct osp_msg *
exchange(const struct osp_msg *m, struct osp_msg *answer)
{
    return exchange_from(1, m, answer);
}

static struct osp_msg *
get(const char *path, struct osp_msg *answer)
{
    struct osp_msg m;
    return exchange(request(&m, OSP_GET, path), answer);
}

static void
origin_says(uint8_t code, const char *payload, int max_age)
{
    static uint8_t age[4];

    osp_msg_init(&reply, code);
    reply.payload = osp_slice_str(payload);
    if (max_age >= 0)
        EXPECT_OK(osp_msg_add(&reply, OSP_OPT_MAX_AGE, osp_opt_uint_make((uint32_t)max_age, age)));
}

static uint32_t
max_age(const struct osp_msg *m)
{
    uint32_t v = 0;

    assert_true(osp_msg_has(m, OSP_OPT_MAX_AGE));
    assert_true(osp_opt_uint(osp_msg_get(m, OSP_OPT_MAX_AGE)->val, &v));
    return v;
}

static void
narrow(struct osp_proxy_cfg *cfg)
{
    cfg->ep.max_datagram = 600;
}

static int
setup_with(void (*tune)(struct osp_proxy_cfg *))
{
    struct osp_cache_cfg cfg;

    asked = 0;
    world_init_forward(&w);
    w.tune = tune;
    w.hosts[1] = (struct osp_host){ "t.example", osp_ip_v4(192, 0, 2, 9) };
    w.hosts[2] = (struct osp_host){ "example.com", osp_ip_v4(192, 0, 2, 9) };
    w.policy.host_count = 3;
    osp_cache_cfg_default(&cfg);
    cfg.bytes = 1 << 20;
    EXPECT_OK(osp_cache_new(&cfg, (struct osp_hash_key){ 5, 6 }, &cache));
    w.policy.cache = cache;
    world_start(&w);
    origin_says(OSP_CODE(2, 5), "22", -1);
    return 0;
}

static int
setup(void **state)
{
    (void)state;
    return setup_with(NULL);
}

static int
setup_narrow(void **state)
{
    (void)state;
    return setup_with(narrow);
}

static int
teardown(void **state)
{
    (void)state;
    world_run(&w, OSP_SEC(300));
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
    osp_cache_free(cache);
    return 0;
}

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

        request(&m, OSP_GET, "t");
        add(&m, vary[i].num, vary[i].value);
        if (vary[i].num == OSP_OPT_URI_PORT) {          /* goes to another port: nobody is there */
            struct world_out o;
            send_bytes(&m, 1);
            o = take(&a);
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
    request(&m, OSP_GET, "t");
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
        exchange(request(&m, methods[i], "t"), &a);
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
    request(&m, OSP_GET, "t");
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
    request(&m, OSP_FETCH, "t");
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
    exchange_from(2, request(&m, OSP_GET, "t"), &a);
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

        request(&m, code, "t");
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

        request(&m, OSP_GET, "t");
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
    request(&m, OSP_GET, "t");
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
        send_bytes(request(&m, OSP_GET, "t"), 1);
        o = take(&a);
        rst[2] = o.bytes[2];
        rst[3] = o.bytes[3];
        world_in(&w, 0, 9, 5683, osp_slice(rst, 4));
        take(&a);
        assert_int_equal(a.code, allowed ? OSP_CODE(2, 5) : OSP_CODE(5, 2));
        if (allowed)
            assert_int_equal(max_age(&a), 0);
    }
}

/* ---- deterministic requests [cacheable#3] ---- */

/* A deterministic request as the proxy sees it: FETCH, OSCORE, Request-Hash, ciphertext. */
static struct osp_msg *
deterministic(struct osp_msg *m, const char *hash, const char *sealed)
{
    osp_msg_init(m, OSP_FETCH);
    m->type = OSP_CON;
    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    add(m, OSP_OPT_URI_HOST, "s.example");
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
    add(m, OSP_OPT_OSCORE, "\x19\x01\x02" "Gi" "dc");
    add(m, OSP_OPT_REQUEST_HASH, hash);
    m->payload = osp_slice_str(sealed);
    return m;
}

/* rows D01, D02, D03, D04, D10, D11 */
/* [cacheable#3.4.4] */
static void
equal_deterministic_request_of_another_client_is_a_hit(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "sealed answer", 40);
    add(&reply, OSP_OPT_OSCORE, "\x29\x07" "s");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_false(osp_msg_has(&at_origin, OSP_OPT_OBSERVE));
    EXPECT_BYTES(osp_slice_str("hash-1"), osp_msg_get(&at_origin, OSP_OPT_REQUEST_HASH)->val);
    world_run(&w, OSP_SEC(10));
    m.token = osp_slice_str("another");
    m.mid = ++next_mid;
    exchange_from(2, &m, &a);
    assert_int_equal(asked, 1);
    EXPECT_BYTES(osp_slice_str("sealed answer"), a.payload);
    EXPECT_BYTES(osp_slice_str("\x29\x07" "s"), osp_msg_get(&a, OSP_OPT_OSCORE)->val);
    assert_in_range(max_age(&a), 29, 30);
    exchange(deterministic(&m, "hash-2", "sealed-1"), &a);
    assert_int_equal(asked, 2);
    exchange(deterministic(&m, "hash-1", "forged"), &a);        /* a known hash over another payload */
    assert_int_equal(asked, 3);
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);      /* the good one was not touched */
    assert_int_equal(asked, 3);
}

/* rows D05, D08 */
static void
request_hash_in_a_response_has_to_be_the_requests(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "sealed answer", 40);
    add(&reply, OSP_OPT_OSCORE, "\x21\x07");
    add(&reply, OSP_OPT_REQUEST_HASH, "hash-9");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(a.code, OSP_CODE(5, 2));
    osp_msg_remove(&reply, OSP_OPT_REQUEST_HASH);
    add(&reply, OSP_OPT_REQUEST_HASH, "hash-1");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(asked, 2);
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(asked, 2);
    EXPECT_BYTES(osp_slice_str("hash-1"), osp_msg_get(&a, OSP_OPT_REQUEST_HASH)->val);
}

/*
 * Whoever sits on the way, or the origin for want of a context, answers a protected request in the clear: the
 * client that asked may make of it what it can, nobody else gets it.
 */
static void
plain_answer_to_a_deterministic_request_is_not_shared(void **state)
{
    static const uint8_t   codes[] = { OSP_CODE(2, 5), OSP_CODE(4, 0), OSP_CODE(4, 1), OSP_CODE(5, 3) };
    struct osp_cache_stats st;
    struct osp_msg         m, a;

    (void)state;
    for (size_t i = 0; i < sizeof(codes); i++) {
        origin_says(codes[i], "forged", 4000000);
        exchange_from(1, deterministic(&m, "hash-1", "sealed-1"), &a);
        assert_int_equal(a.code, codes[i]);
        m.mid = ++next_mid;
        exchange_from(2, &m, &a);
        assert_int_equal(asked, 2 * i + 2);
    }
    osp_cache_stats(cache, &st);
    assert_int_equal(st.entries, 0);
    assert_int_equal(st.unprotected, asked);
}

/* row D09 */
static void
refusal_of_a_forged_hash_does_not_stay(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(4, 0), "", 0);
    exchange(deterministic(&m, "hash-1", "forged"), &a);
    assert_int_equal(a.code, OSP_CODE(4, 0));
    origin_says(OSP_CODE(2, 5), "sealed answer", 40);
    add(&reply, OSP_OPT_OSCORE, "\x21\x07");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(a.code, OSP_CODE(2, 5));
    assert_int_equal(asked, 2);
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
            o = take(&a);
            if (o.to.sock == 0) {
                uint8_t       buf[2048];
                struct osp_wr d = osp_wr_to(buf, sizeof(buf));

                assert_true(may && i == 0);
                reply.type = OSP_ACK;
                reply.mid = a.mid;
                reply.token = a.token;
                EXPECT_OK(osp_msg_encode_udp(&reply, &d));
                world_in_from(&w, 0, &o.to.peer, osp_wr_slice(&d));
                o = take(&a);
            }
            assert_int_equal(o.to.sock, WORLD_LISTENER);
            assert_int_equal(a.code, may ? OSP_CODE(2, 5) : OSP_CODE(4, 1));
        }
    }
}

/* ---- single flight ---- */

#define CROWD 10u

/* Requests of CROWD clients for `path` at once, sent as `code`; how many reached the origin, whose last is at_origin. */
static unsigned
all_ask(const char *path)
{
    struct osp_msg   m, a;
    struct world_out o;
    unsigned         n = 0;
    bool             header;
    static uint8_t   last[2048];

    for (uint8_t i = 0; i < CROWD; i++)
        send_bytes(request(&m, OSP_GET, path), (uint8_t)(20 + i));
    while (world_take(&w, &o)) {
        if (o.to.sock != 0)
            continue;           /* an early ACK */
        n++;
        memcpy(last, o.bytes, o.n);
        EXPECT_OK(osp_msg_decode_udp(osp_slice(last, o.n), &a, &header));
        osp_msg_copy(&at_origin, &a);
    }
    return n;
}

static void
origin_answers(const struct osp_msg *to)
{
    reply.type = OSP_ACK;
    reply.mid = to->mid;
    reply.token = to->token;
    world_send(&w, 0, 9, 5683, &reply);
    (void)world_expire(&w);
}

/* What is on its way now: answers to clients with this code, each to another client, and requests to the origin. */
static void
expect_out(uint8_t code, unsigned answers, unsigned requests)
{
    struct world_out o;
    struct osp_msg   m;
    unsigned         got_answers = 0, got_requests = 0;
    bool             header, seen[256] = { false };

    while (world_take(&w, &o)) {
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &m, &header));
        if (o.to.sock == 0) {
            got_requests++;
        } else if (m.code != 0) {
            assert_int_equal(code, m.code);
            assert_false(seen[o.to.peer.ip.b[15]]);
            seen[o.to.peer.ip.b[15]] = true;
            got_answers++;
        }
    }
    assert_int_equal(answers, got_answers);
    assert_int_equal(requests, got_requests);
}

static void
single_flight_asks_the_origin_once(void **state)
{
    struct osp_proxy_stats st;

    (void)state;
    w.policy.single_flight = true;
    assert_int_equal(1, all_ask("t"));
    assert_int_equal(1, all_ask("u"));  /* another resource is another flight */
    origin_answers(&at_origin);
    expect_out(OSP_CODE(2, 5), CROWD, 0);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(2 * (CROWD - 1), st.joined);
    assert_int_equal(CROWD - 1, st.cached);
}

static void
single_flight_is_off_unless_configured(void **state)
{
    (void)state;
    assert_int_equal(CROWD, all_ask("t"));
}

/* An answer that is none to keep is the leader's alone; the others go, all at once, and do not wait again. */
static void
single_flight_ends_where_nothing_can_be_kept(void **state)
{
    (void)state;
    w.policy.single_flight = true;
    origin_says(OSP_CODE(2, 5), "22", 0);
    assert_int_equal(1, all_ask("t"));
    origin_answers(&at_origin);
    expect_out(OSP_CODE(2, 5), 1, CROWD - 1);
}

/* Nobody asks an origin that has just not answered the same question. */
static void
single_flight_shares_a_failure(void **state)
{
    (void)state;
    w.policy.single_flight = true;
    assert_int_equal(1, all_ask("t"));
    world_run(&w, OSP_SEC(3));          /* it is repeated, and acknowledged early to the clients */
    while (w.out_count > 0) {
        struct world_out o;
        (void)world_take(&w, &o);
    }
    world_run(&w, OSP_SEC(200));
    {
        struct world_out o;
        struct osp_msg   m;
        bool             header, seen[256] = { false };
        unsigned         answers = 0;

        while (world_take(&w, &o)) {
            EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &m, &header));
            if (o.to.sock == 0) {
                EXPECT_BYTES(at_origin.token, m.token);         /* only ever the leader's request */
            } else if (m.code != 0 && !seen[o.to.peer.ip.b[15]]) {
                seen[o.to.peer.ip.b[15]] = true;
                assert_int_equal(OSP_CODE(5, 4), m.code);
                answers++;
            }
        }
        assert_int_equal(CROWD, answers);
    }
}

/* [rfc7252#5.9.1] What was asked for before a change is no answer to what is asked for after it, nor an entry. */
static void
answers_of_before_a_change_are_not_kept(void **state)
{
    struct osp_msg m, a, before, after;

    (void)state;
    w.policy.single_flight = true;
    send_bytes(request(&m, OSP_GET, "t"), 1);
    (void)take(&before);
    origin_says(OSP_CODE(2, 4), "", -1);
    exchange_from(2, request(&m, OSP_PUT, "t"), &a);
    send_bytes(request(&m, OSP_GET, "t"), 2);
    assert_int_equal(0, take(&after).to.sock);          /* it does not wait */
    origin_says(OSP_CODE(2, 5), "new", 60);
    origin_answers(&after);
    assert_int_equal(2, take(&a).to.peer.ip.b[15]);
    origin_says(OSP_CODE(2, 5), "old", 60);
    origin_answers(&before);
    assert_int_equal(1, take(&a).to.peer.ip.b[15]);
    get("t", &a);
    EXPECT_BYTES(osp_slice_str("new"), a.payload);
    assert_int_equal(asked, 1);                         /* the PUT */
}

/* ... also when what is stale has to do for an answer. */
static void
single_flight_shares_a_stale_answer(void **state)
{
    uint8_t        rst[4] = { 0x70, 0 };
    struct osp_msg a;

    (void)state;
    w.policy.single_flight = w.policy.serve_stale = true;
    origin_says(OSP_CODE(2, 5), "old", 10);
    get("t", &a);
    world_run(&w, OSP_SEC(20));
    assert_int_equal(1, all_ask("t"));
    rst[2] = (uint8_t)(at_origin.mid >> 8);
    rst[3] = (uint8_t)at_origin.mid;
    world_in(&w, 0, 9, 5683, osp_slice(rst, 4));
    (void)world_expire(&w);
    expect_out(OSP_CODE(2, 5), CROWD, 0);
}

/* What kept the leader from getting its answer is no failure of the others', for whom it was stored. */
static void
single_flight_serves_others_when_the_leader_cannot_be_answered(void **state)
{
    uint8_t        token[64] = { 1 };
    struct osp_msg m, a;

    (void)state;
    w.policy.single_flight = true;
    origin_says(OSP_CODE(2, 5), "22", 60);
    for (int i = 0; i < 18; i++)
        add(&reply, 65000, "an option that cannot be cut");
    request(&m, OSP_GET, "t");
    m.token = osp_slice(token, 64);     /* with it the answer is too long */
    send_bytes(&m, 1);
    (void)take(&at_origin);
    send_bytes(request(&m, OSP_GET, "t"), 2);
    assert_int_equal(w.out_count, 0);
    origin_answers(&at_origin);
    assert_int_equal(1, take(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(5, 2), a.code);
    assert_int_equal(2, take(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(2, 5), a.code);
}

/* A client's own ETag gives it a 2.03, also when it waited. */
static void
single_flight_keeps_what_each_client_asked(void **state)
{
    struct osp_msg   m, a;
    struct world_out o;

    (void)state;
    w.policy.single_flight = true;
    origin_says(OSP_CODE(2, 5), "22", 60);
    add(&reply, OSP_OPT_ETAG, "e1");
    send_bytes(request(&m, OSP_GET, "t"), 1);
    (void)take(&at_origin);
    request(&m, OSP_GET, "t");
    add(&m, OSP_OPT_ETAG, "e1");
    send_bytes(&m, 2);
    assert_false(world_take(&w, &o));
    origin_answers(&at_origin);
    assert_int_equal(1, take(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(2, 5), a.code);
    assert_int_equal(2, take(&a).to.peer.ip.b[15]);
    assert_int_equal(OSP_CODE(2, 3), a.code);
}

/* ---- [rfc7959#2.10] large representations ---- */

#define LARGE 300

static uint8_t large[LARGE];

/* The origin has `large` (from byte `from`) under `etag` (NULL: none) and answers with this block of it. */
static void
origin_has(const char *etag, size_t from, uint32_t num, uint8_t szx, int age)
{
    static uint8_t   value[3];
    struct osp_block at = { num, false, szx }, b;
    struct osp_slice piece;

    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 7 + from);
    origin_says(OSP_CODE(2, 5), "", age);
    EXPECT_OK(osp_block_cut(osp_slice(large, LARGE), &at, &b, &piece));
    if (etag)
        add(&reply, OSP_OPT_ETAG, etag);
    EXPECT_OK(osp_msg_add(&reply, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
    reply.payload = piece;
}

static struct osp_msg *
get_block(uint8_t host, uint32_t num, uint8_t szx, struct osp_msg *a)
{
    struct osp_block b = { num, false, szx };
    uint8_t          value[3];
    struct osp_msg   m;

    request(&m, OSP_GET, "large");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
    return exchange_from(host, &m, a);
}

/* All of it, through the proxy, in blocks of `szx`, if need be from an origin whose ETag is `etag`. */
static void
get_all(uint8_t host, const char *etag, uint8_t szx, int age)
{
    uint8_t          got[LARGE + 64];
    struct osp_wr    w_got = osp_wr_to(got, sizeof(got));
    struct osp_block b = { 0 };
    bool             has = false;
    struct osp_msg   a;

    for (uint32_t n = 0;; n++) {
        origin_has(etag, 1, n, szx, age);
        get_block(host, n, szx, &a);
        assert_int_equal(a.code, OSP_CODE(2, 5));
        EXPECT_OK(osp_block_get(&a, OSP_OPT_BLOCK2, &has, &b));
        assert_true(has);
        assert_int_equal(b.num, n);
        assert_int_equal(b.szx, szx);
        EXPECT_OK(osp_body_add(&w_got, &b, a.payload));
        if (!b.more)
            break;
    }
    EXPECT_BYTES(osp_slice(large, LARGE), osp_wr_slice(&w_got));
}

/* row B06 */
static void
blocks_that_pass_by_become_one_entry(void **state)
{
    struct osp_msg   m, a;
    struct osp_block b = { 0 };
    uint32_t         v = 0;
    bool             has = false;

    (void)state;
    get_all(1, "v1", 2, -1);
    assert_int_equal(asked, 5);
    for (uint8_t szx = 0; szx <= 6; szx++)
        get_all((uint8_t)(2 + szx), "v9", szx, -1);
    assert_int_equal(asked, 5);
    exchange(request(&m, OSP_GET, "large"), &a);        /* who names no size gets the origin's */
    EXPECT_OK(osp_block_get(&a, OSP_OPT_BLOCK2, &has, &b));
    assert_true(has && b.num == 0 && b.more && b.szx == 2);
    EXPECT_BYTES(osp_slice(large, 64), a.payload);
    EXPECT_BYTES(osp_slice_str("v1"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
    assert_true(osp_opt_uint(osp_msg_get(&a, OSP_OPT_SIZE2)->val, &v));
    assert_int_equal(v, LARGE);
    get_block(2, 5, 2, &a);                 /* behind its end */
    assert_int_equal(a.code, OSP_CODE(4, 0));
    request(&m, OSP_GET, "large");
    add(&m, OSP_OPT_ETAG, "v1");
    exchange(&m, &a);
    assert_int_equal(a.code, OSP_CODE(2, 3));
    assert_int_equal(asked, 5);
}

/* What a 2.03 to it would be about is not what the client asked for. */
static void
later_block_of_a_stale_entry_is_not_validated(void **state)
{
    struct osp_msg a;

    (void)state;
    get_all(1, "v1", 2, 10);
    world_run(&w, OSP_SEC(20));
    origin_has("v1", 1, 3, 2, 10);
    get_block(2, 3, 2, &a);
    assert_false(osp_msg_has(&at_origin, OSP_OPT_ETAG));
    origin_has("v1", 1, 0, 2, 10);
    get_block(2, 0, 2, &a);
    assert_true(osp_msg_has(&at_origin, OSP_OPT_ETAG));
}

/* A part is no answer to others, and they are none to it. */
static void
blocks_wait_for_nobody(void **state)
{
    struct osp_msg   m, a;
    struct osp_block b = { 0, false, 2 };
    uint8_t          value[3];

    (void)state;
    w.policy.single_flight = true;
    for (int stale = 0; stale < 2; stale++) {
        for (uint8_t i = 0; i < 3; i++) {
            request(&m, OSP_GET, "large");
            if (i > 0)
                EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
            send_bytes(&m, (uint8_t)(10 * stale + i + 1));
            assert_int_equal(0, take(&a).to.sock);
        }
        world_run(&w, OSP_SEC(300));
        w.out_count = 0;
        origin_has("v1", 1, 0, 6, 10);
        osp_msg_remove(&reply, OSP_OPT_BLOCK2);
        exchange(request(&m, OSP_GET, "large"), &a);
        world_run(&w, OSP_SEC(20));
    }
}

/* row B06 */
/* [rfc7959#2.4] */
static void
blocks_of_two_versions_are_no_entry(void **state)
{
    static const char *const etags[][5] = {
        { "v1", "v2", "v2", "v2", "v2" }, { "v1", "v1", "v1", "v1", "v2" }, { "v1", "v1", NULL, "v1", "v1" },
    };
    struct osp_msg a;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint64_t before;

        for (uint32_t n = 0; n < 5; n++) {
            origin_has(etags[i][n], 1, n, 2, -1);
            get_block(1, n, 2, &a);
        }
        before = asked;
        origin_has("v3", 1, 0, 2, 0);
        get_block(2, 0, 2, &a);
        assert_int_equal(asked, before + 1);
        EXPECT_BYTES(osp_slice_str("v3"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
    }
}

static void
blocks_out_of_order_or_without_an_etag_are_no_entry(void **state)
{
    struct osp_msg a;
    uint64_t       before;

    (void)state;
    get_all(1, NULL, 2, -1);
    get_all(1, NULL, 2, -1);
    assert_int_equal(asked, 10);
    origin_has("v1", 1, 0, 2, -1);
    get_block(1, 0, 2, &a);
    for (uint32_t n = 2; n < 5; n++) {      /* block 1 is missing */
        origin_has("v1", 1, n, 2, -1);
        get_block(1, n, 2, &a);
    }
    before = asked;
    origin_has("v1", 1, 4, 2, -1);
    get_block(2, 4, 2, &a);
    assert_int_equal(asked, before + 1);
}

static void
error_about_a_block_is_no_entry(void **state)
{
    struct osp_msg a;

    (void)state;
    origin_says(OSP_CODE(4, 0), "no such block", -1);
    get_block(1, 9, 2, &a);
    assert_int_equal(a.code, OSP_CODE(4, 0));
    get_all(2, "v1", 2, -1);
    assert_int_equal(asked, 6);
}

static void
entry_in_blocks_is_as_fresh_as_the_shortest_of_them(void **state)
{
    struct osp_msg a;

    (void)state;
    for (uint32_t n = 0; n < 5; n++) {
        origin_has("v1", 1, n, 2, n == 2 ? 10 : 100);
        get_block(1, n, 2, &a);
        world_run(&w, OSP_SEC(1));
    }
    get_block(2, 0, 2, &a);                 /* its tenth second ends 7 s from now */
    assert_int_equal(asked, 5);
    assert_int_equal(max_age(&a), 7);
    world_run(&w, OSP_SEC(8));
    origin_says(OSP_CODE(2, 3), "", 50);    /* stale: validated, and given out in blocks again */
    add(&reply, OSP_OPT_ETAG, "v1");
    get_block(3, 0, 2, &a);
    assert_int_equal(a.code, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice(large, 64), a.payload);
    EXPECT_BYTES(osp_slice_str("v1"), osp_msg_get(&at_origin, OSP_OPT_ETAG)->val);
    get_block(3, 1, 2, &a);
    EXPECT_BYTES(osp_slice(&large[64], 64), a.payload);
    assert_int_equal(asked, 6);
}

/* An entry that came whole is given out in blocks to those who ask, if its ETag says that they belong together. */
static void
whole_entry_is_given_out_in_blocks(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_has("v1", 1, 0, 6, -1);
    osp_msg_remove(&reply, OSP_OPT_BLOCK2);
    exchange(request(&m, OSP_GET, "large"), &a);
    assert_int_equal(a.payload.n, LARGE);
    get_all(2, "v9", 1, -1);
    exchange(request(&m, OSP_GET, "large"), &a);
    assert_int_equal(a.payload.n, LARGE);
    assert_int_equal(asked, 1);
    world_run(&w, OSP_SEC(4000));
    origin_has(NULL, 1, 0, 6, -1);
    osp_msg_remove(&reply, OSP_OPT_BLOCK2);
    exchange(request(&m, OSP_GET, "large"), &a);
    origin_has(NULL, 1, 0, 1, -1);
    get_block(2, 0, 1, &a);
    assert_int_equal(asked, 3);
}

/* row B10 */
/* A notification in blocks makes what the cache has stale: its later blocks are not taken from an older version. */
static void
later_blocks_of_a_notification_are_its_own(void **state)
{
    struct osp_msg m, a;
    uint64_t       before;

    (void)state;
    get_all(1, "v1", 2, 1000);
    request(&m, OSP_GET, "large");
    add(&m, OSP_OPT_OBSERVE, "");
    origin_has("v2", 2, 0, 2, 1000);
    add(&reply, OSP_OPT_OBSERVE, "\x05");
    exchange_from(2, &m, &a);
    EXPECT_BYTES(osp_slice_str("v2"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
    before = asked;
    for (uint32_t n = 1; n < 5; n++) {
        origin_has("v2", 2, n, 2, 1000);
        get_block(2, n, 2, &a);
        EXPECT_BYTES(osp_slice_str("v2"), osp_msg_get(&a, OSP_OPT_ETAG)->val);
        assert_false(osp_msg_has(&at_origin, OSP_OPT_OBSERVE));
    }
    assert_int_equal(asked, before + 4);
    get_block(3, 2, 2, &a);                 /* and they became the new entry */
    assert_int_equal(asked, before + 4);
    request(&m, OSP_GET, "large");
    add(&m, OSP_OPT_OBSERVE, "\x01");
    exchange_from(2, &m, &a);
    w.out_count = 0;
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
        T(equal_deterministic_request_of_another_client_is_a_hit),
        T(request_hash_in_a_response_has_to_be_the_requests),
        T(plain_answer_to_a_deterministic_request_is_not_shared),
        T(refusal_of_a_forged_hash_does_not_stay),
        T(guarded_answers_are_not_shared_with_those_the_guard_stops),
        T(single_flight_asks_the_origin_once),
        T(single_flight_is_off_unless_configured),
        T(single_flight_ends_where_nothing_can_be_kept),
        T(single_flight_shares_a_failure),
        T(answers_of_before_a_change_are_not_kept),
        T(single_flight_shares_a_stale_answer),
        cmocka_unit_test_setup_teardown(single_flight_serves_others_when_the_leader_cannot_be_answered, setup_narrow, teardown),
        T(single_flight_keeps_what_each_client_asked),
        T(blocks_that_pass_by_become_one_entry),
        T(later_block_of_a_stale_entry_is_not_validated),
        T(blocks_wait_for_nobody),
        T(blocks_of_two_versions_are_no_entry),
        T(blocks_out_of_order_or_without_an_etag_are_no_entry),
        T(error_about_a_block_is_no_entry),
        T(entry_in_blocks_is_as_fresh_as_the_shortest_of_them),
        T(whole_entry_is_given_out_in_blocks),
        T(later_blocks_of_a_notification_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
