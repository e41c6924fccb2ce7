/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxy in virtual time: what is forwarded, what is refused and how, and that everything ends. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/with_crypto.h"
#include "world.h"

static struct world w;
static uint16_t     next_mid;

/* ---- making requests ---- */

static struct osp_msg *
get(struct osp_msg *m)
{
    osp_msg_init(m, OSP_GET);
    m->type = OSP_CON;
    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    return m;
}

/* GET coap://<host>/x, in forward-proxy form */
static struct osp_msg *
forward(struct osp_msg *m, const char *host)
{
    get(m);
    add(m, OSP_OPT_URI_HOST, host);
    add(m, OSP_OPT_URI_PATH, "x");
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
    return m;
}

static void
send(const struct osp_msg *m)
{
    world_send(&w, WORLD_LISTENER, 1, 40000, m);
}

/* The next datagram that left the proxy, decoded. */
static struct world_out last;

static struct osp_msg *
taken(struct osp_msg *m)
{
    last = world_next(&w, m);
    return m;
}

static void
nothing_left(void)
{
    struct world_out o;
    assert_false(world_take(&w, &o));
}

/* The answer of the origin to the request `req` that just left. */
static void
origin_answers(const struct osp_msg *req, struct osp_msg *resp)
{
    struct world_out to = last;

    resp->type = req->type == OSP_CON ? OSP_ACK : OSP_NON;
    resp->mid = req->mid;
    resp->token = req->token;
    world_send(&w, to.to.sock, to.to.peer.ip.b[15], to.to.peer.port, resp);
}

static void
expect_code(uint8_t code)
{
    struct osp_msg m;

    taken(&m);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    if (m.code != code)
        fail_msg("answered %u.%02u, want %u.%02u", m.code >> 5, m.code & 31, code >> 5, code & 31);
    nothing_left();
}

static void
expect_refused(const struct osp_msg *m, uint8_t code)
{
    send(m);
    expect_code(code);
}

/* ---- the world of most tests: an open forward-proxy, hosts s.example and gw.example ---- */

static void
open_world(void)
{
    world_init_forward(&w);
}

static int
setup(void **state)
{
    (void)state;
    open_world();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_run(&w, OSP_SEC(500));
    assert_true(osp_proxy_idle(w.px));          /* whatever happened, nothing is pending */
    world_fini(&w);
    return 0;
}

/* ---- forward-proxy ---- */

/* rows P02, P20 */
/* [rfc7252#5.7.2] */
static void
proxy_scheme_is_consumed_and_the_rest_travels(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    world_start(&w);
    forward(&m, "s.example");
    add(&m, OSP_OPT_URI_QUERY, "a=b");
    send(&m);
    taken(&q);
    assert_int_equal(last.to.peer.port, 5683);
    assert_int_equal(last.to.peer.ip.b[15], 9);
    assert_false(osp_msg_has(&q, OSP_OPT_PROXY_SCHEME));
    EXPECT_BYTES(osp_slice_str("s.example"), osp_msg_get(&q, OSP_OPT_URI_HOST)->val);
    EXPECT_BYTES(osp_slice_str("a=b"), osp_msg_get(&q, OSP_OPT_URI_QUERY)->val);
    assert_false(osp_slice_eq(q.token, m.token));
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice_str("22");
    origin_answers(&q, &r);
    taken(&r);
    assert_int_equal(r.mid, m.mid);
    EXPECT_BYTES(osp_slice_str("tk"), r.token);
    EXPECT_BYTES(osp_slice_str("22"), r.payload);
}

/* rows P01, P03 */
/* [rfc7252#5.10.2] [rfc7252#6.4] */
static void
proxy_uri_is_split_and_beats_uri_options(void **state)
{
    static const struct { const char *uri, *host, *path, *query; uint16_t port; } cases[] = {
        { "coap://s.example/a", "s.example", "a", NULL, 5683 },
        { "coap://S.EXAMPLE:61616/a%20b?x=%26", "s.example", "a b", "x=&", 61616 },
        { "coap://192.0.2.9", NULL, NULL, NULL, 5683 },
        { "coap://[2001:db8::9]:5684/", NULL, NULL, NULL, 5684 },
    };
    struct osp_msg m, q;

    (void)state;
    world_start(&w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        get(&m);
        add(&m, OSP_OPT_PROXY_URI, cases[i].uri);
        add(&m, OSP_OPT_URI_PATH, "ignored");
        add(&m, OSP_OPT_URI_HOST, "ignored.example");
        send(&m);
        taken(&q);
        assert_int_equal(last.to.peer.port, cases[i].port);
        assert_int_equal(osp_msg_has(&q, OSP_OPT_URI_HOST), cases[i].host != NULL);
        if (cases[i].host)
            EXPECT_BYTES(osp_slice_str(cases[i].host), osp_msg_get(&q, OSP_OPT_URI_HOST)->val);
        assert_int_equal(osp_msg_has(&q, OSP_OPT_URI_PATH), cases[i].path != NULL);
        if (cases[i].path)
            EXPECT_BYTES(osp_slice_str(cases[i].path), osp_msg_get(&q, OSP_OPT_URI_PATH)->val);
        if (cases[i].query)
            EXPECT_BYTES(osp_slice_str(cases[i].query), osp_msg_get(&q, OSP_OPT_URI_QUERY)->val);
        assert_false(osp_msg_has(&q, OSP_OPT_PROXY_URI));
        assert_false(osp_msg_has(&q, OSP_OPT_URI_PORT));
    }
    w.out_count = 0;
}

/* rows P04, L12 */
static void
unknown_schemes_and_no_forward_proxy_are_5_05(void **state)
{
    static const char *const uris[] = { "http://h/x", "coaps://h/x", "coap+tcp://h/x", "gopher://h/" };
    struct osp_msg           m;

    (void)state;
    world_start(&w);
    for (size_t i = 0; i < 4; i++) {
        get(&m);
        add(&m, OSP_OPT_PROXY_URI, uris[i]);
        expect_refused(&m, OSP_CODE(5, 5));
    }
    get(&m);
    add(&m, OSP_OPT_URI_HOST, "s.example");
    add(&m, OSP_OPT_PROXY_SCHEME, "gopher");
    expect_refused(&m, OSP_CODE(5, 5));
    get(&m);
    add(&m, OSP_OPT_PROXY_URI, "coap://us er@h/");
    expect_refused(&m, OSP_CODE(4, 0));
    w.policy.forward = false;
    expect_refused(forward(&m, "s.example"), OSP_CODE(5, 5));
}

/* row P05 */
static void
own_authority_is_local(void **state)
{
    static const char *const uris[] = { "coap://me.example/.well-known/core", "coap://192.0.2.200/.well-known/core",
                                        "coap://[2001:db8::1]:5683/.well-known/core" };
    struct osp_msg           m;

    (void)state;
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://me.example:5683"), &w.own[0]));
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://[2001:db8::1]:5683"), &w.own[1]));
    w.policy.own_count = 2;
    world_start(&w);
    for (size_t i = 0; i < 3; i++) {
        get(&m);
        add(&m, OSP_OPT_PROXY_URI, uris[i]);
        expect_refused(&m, OSP_CODE(2, 5));
    }
    get(&m);                    /* Proxy-Scheme without Uri-Host: where the request was sent to */
    add(&m, OSP_OPT_URI_PATH, "nothing");
    add(&m, OSP_OPT_PROXY_SCHEME, "coap");
    expect_refused(&m, OSP_CODE(4, 4));
}

/* rows P06, P07, P12, P13, B01 (partly: Q-Block) */
/* [rfc7252#5.7.1] [rfc7252#5.4.3] [rfc7252#5.4.5] */
static void
unsafe_options_stop_and_safe_ones_travel(void **state)
{
    static const uint16_t unsafe[] = { 65002, 65003, 19, 31, 2 };
    struct osp_msg        m, q;

    (void)state;
    world_start(&w);
    for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++) {
        forward(&m, "s.example");
        add(&m, unsafe[i], "1");
        expect_refused(&m, OSP_CODE(4, 2));
    }
    forward(&m, "s.example");
    add(&m, OSP_OPT_URI_HOST, "again.example");
    expect_refused(&m, OSP_CODE(4, 2));
    forward(&m, "s.example");
    add(&m, OSP_OPT_URI_PORT, "123");
    expect_refused(&m, OSP_CODE(4, 2));

    forward(&m, "s.example");
    add(&m, 65000, "b");
    add(&m, 65000, "a");
    add(&m, 65001, "critical and safe");
    add(&m, 65020, "no cache key");
    add(&m, OSP_OPT_ETAG, "ninebytes");         /* elective, out of range: as if unknown, and safe */
    send(&m);
    taken(&q);
    assert_int_equal(q.opt_count, m.opt_count - 1);
    EXPECT_BYTES(osp_slice_str("b"), osp_msg_get(&q, 65000)->val);
    EXPECT_BYTES(osp_slice_str("a"), (osp_msg_get(&q, 65000) + 1)->val);
    EXPECT_BYTES(osp_slice_str("ninebytes"), osp_msg_get(&q, OSP_OPT_ETAG)->val);
}

/* rows P08, P09, P14 */
static void
responses_pass_unless_an_option_is_unsafe(void **state)
{
    static const uint8_t codes[] = { OSP_CODE(2, 1), OSP_CODE(2, 5), OSP_CODE(2, 30), OSP_CODE(4, 4), OSP_CODE(4, 9),
                                     OSP_CODE(4, 22), OSP_CODE(5, 0), OSP_CODE(5, 31) };
    struct osp_msg       m, q, r, a;

    (void)state;
    world_start(&w);
    for (size_t i = 0; i < sizeof(codes); i++) {
        send(forward(&m, "s.example"));
        taken(&q);
        osp_msg_init(&r, codes[i]);
        add(&r, 65000, "x");
        add(&r, 65001, "y");
        r.payload = osp_slice_str("why");
        origin_answers(&q, &r);
        taken(&a);
        assert_int_equal(a.code, codes[i]);
        assert_int_equal(a.opt_count, 2);
        EXPECT_BYTES(osp_slice_str("why"), a.payload);
    }
    send(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, 65002, "x");
    origin_answers(&q, &r);
    expect_code(OSP_CODE(5, 2));
}

/* rows P15, F01 (partly: codes pass) */
/* [rfc8132#2] */
static void
every_method_passes_through(void **state)
{
    struct osp_msg m, q;

    (void)state;
    world_start(&w);
    for (uint8_t code = OSP_GET; code <= OSP_IPATCH; code++) {
        forward(&m, "s.example");
        m.code = code;
        m.payload = osp_slice_str(code > 1 ? "p" : "");
        send(&m);
        taken(&q);
        assert_int_equal(q.code, code);
    }
}

/* row P11 */
static void
silence_is_5_04_once(void **state)
{
    struct osp_msg   m, a;
    struct world_out o;
    unsigned         answers = 0;

    (void)state;
    world_start(&w);
    send(forward(&m, "s.example"));
    for (int i = 0; i < 60; i++) {
        world_run(&w, OSP_SEC(5));
        while (world_take(&w, &o)) {
            bool header;
            EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &a, &header));
            if (o.to.sock == WORLD_LISTENER && a.code) {
                assert_int_equal(a.code, OSP_CODE(5, 4));
                assert_true(i <= 20);
                answers++;
            }
            if (o.to.sock == WORLD_LISTENER && a.code && a.type == OSP_CON) {
                uint8_t ack[4] = { 0x60, 0, (uint8_t)(a.mid >> 8), (uint8_t)a.mid };
                world_in(&w, WORLD_LISTENER, 1, 40000, osp_slice(ack, 4));
            }
        }
    }
    assert_int_equal(answers, 1);
}

/* [rfc7967#2] */
static void
no_response_is_honoured(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    world_start(&w);
    forward(&m, "s.example");
    add(&m, OSP_OPT_NO_RESPONSE, "\x1a");
    send(&m);
    taken(&q);
    osp_msg_init(&r, OSP_CODE(2, 5));
    origin_answers(&q, &r);
    taken(&r);
    assert_int_equal(r.type, OSP_ACK);          /* the CON is acknowledged, nothing else */
    assert_int_equal(r.code, 0);
    forward(&m, "s.example");
    add(&m, OSP_OPT_NO_RESPONSE, "\x02");
    w.policy.rule_count = 0;
    expect_refused(&m, OSP_CODE(4, 1));         /* only 2.xx is unwanted */
}

/* ---- local resources ---- */

/* rows P16, P17, P18, L13, B02 */
static void
local_requests_get_their_codes(void **state)
{
    struct osp_msg m;

    (void)state;
    world_start(&w);
    get(&m);
    add(&m, OSP_OPT_URI_PATH, "nothing");
    expect_refused(&m, OSP_CODE(4, 4));
    get(&m);
    add(&m, OSP_OPT_URI_PATH, ".well-known");
    add(&m, OSP_OPT_URI_PATH, "core");
    expect_refused(&m, OSP_CODE(2, 5));
    m.mid = ++next_mid;
    m.code = OSP_POST;
    expect_refused(&m, OSP_CODE(4, 5));
    m.mid = ++next_mid;
    m.code = 31;
    expect_refused(&m, OSP_CODE(4, 5));
    for (uint8_t type = OSP_CON; type <= OSP_NON; type++) {
        get(&m);
        m.type = type;
        add(&m, OSP_OPT_URI_PATH, "nothing");
        add(&m, 65001, "critical");
        expect_refused(&m, OSP_CODE(4, 2));
    }
    get(&m);
    add(&m, OSP_OPT_URI_PATH, "a");
    add(&m, OSP_OPT_BLOCK2, "\x07");
    expect_refused(&m, OSP_CODE(4, 0));
    w.policy.otp_compat = true;
    get(&m);
    add(&m, OSP_OPT_URI_PATH, "nothing");
    expect_refused(&m, OSP_CODE(4, 0));
}

/* ---- authorization and guard ---- */

/* rows P21, P22 */
/* [ocp#2.4] [rfc7252#11] */
static void
nothing_is_allowed_that_no_rule_allows(void **state)
{
    static const char *const guarded[] = { "coap://127.0.0.1/", "coap://[::1]/", "coap://224.0.1.187/", "coap://[ff02::fd]/",
                                           "coap://169.254.1.1/", "coap://[fe80::1]/", "coap://0.0.0.0/", "coap://192.0.2.77/" };
    struct osp_msg m, q;

    (void)state;
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://192.0.2.77"), &w.own[0]));
    w.own[0].port = 9999;       /* own address, another port: still not by accident */
    w.policy.own_count = 1;
    world_start(&w);
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
        get(&m);
        add(&m, OSP_OPT_PROXY_URI, guarded[i]);
        expect_refused(&m, OSP_CODE(4, 1));
    }
    /* an entry that names the address lifts the guard */
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://127.0.0.1:5683"), &w.allow[0][0].target));
    get(&m);
    add(&m, OSP_OPT_PROXY_URI, "coap://127.0.0.1/");
    send(&m);
    taken(&q);
    assert_int_equal(last.to.peer.ip.b[12], 127);
    get(&m);
    add(&m, OSP_OPT_PROXY_URI, "coap://127.0.0.1:5999/");
    expect_refused(&m, OSP_CODE(4, 1));
    w.policy.rule_count = 0;
    expect_refused(forward(&m, "s.example"), OSP_CODE(4, 1));
}

static void
name_that_leads_to_a_guarded_address_is_refused(void **state)
{
    struct osp_msg m;

    (void)state;
    world_start(&w);
    send(forward(&m, "rebind.example"));
    assert_int_equal(w.resolving_count, 1);
    world_resolved(&w, "rebind.example", OSP_OK, "127.0.0.1", 60);
    expect_code(OSP_CODE(4, 1));
    expect_refused(forward(&m, "rebind.example"), OSP_CODE(4, 1));      /* from the name cache too */
}

static void
first_matching_rule_decides(void **state)
{
    struct osp_msg m, q;
    struct osp_net net = { osp_ip_v4(192, 0, 2, 0), 120 };

    (void)state;
    w.rules[1] = w.rules[0];
    w.rules[0] = (struct osp_rule){ .nets = &net, .net_count = 1, .allow = NULL, .allow_count = 0 };
    w.policy.rule_count = 2;
    world_start(&w);
    expect_refused(forward(&m, "s.example"), OSP_CODE(4, 1));
    net.ip = osp_ip_v4(198, 51, 100, 0);
    send(forward(&m, "s.example"));
    taken(&q);
}

static void
rate_limit_refills(void **state)
{
    struct osp_msg m, q;

    (void)state;
    w.rules[0].rate = 10;
    w.rules[0].burst = 3;
    world_start(&w);
    for (int i = 0; i < 3; i++) {
        send(forward(&m, "s.example"));
        taken(&q);
    }
    send(forward(&m, "s.example"));
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(4, 29));
    assert_true(osp_msg_has(&q, OSP_OPT_MAX_AGE));
    world_run(&w, OSP_MS(150));
    w.out_count = 0;
    send(forward(&m, "s.example"));
    taken(&q);
    assert_int_equal(last.to.sock, 0);
    send(forward(&m, "s.example"));
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(4, 29));
}

/* ---- names ---- */

static void
name_is_asked_for_once_and_cached_for_its_ttl(void **state)
{
    struct osp_msg m, q;

    (void)state;
    world_start(&w);
    for (int i = 0; i < 3; i++)
        send(forward(&m, "dns.example"));
    assert_int_equal(w.resolving_count, 1);
    nothing_left();
    world_resolved(&w, "dns.example", OSP_OK, "192.0.2.44", 30);
    for (int i = 0; i < 3; i++) {
        taken(&q);
        assert_int_equal(last.to.peer.ip.b[15], 44);
    }
    send(forward(&m, "dns.example"));
    taken(&q);
    assert_int_equal(w.resolving_count, 0);
    world_run(&w, OSP_SEC(31));
    w.out_count = 0;
    send(forward(&m, "dns.example"));
    assert_int_equal(w.resolving_count, 1);
    world_resolved(&w, "dns.example", OSP_E_RESOLVE, NULL, 5);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 2));
    send(forward(&m, "dns.example"));           /* a failure is remembered too */
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 2));
}

/* ---- Hop-Limit ---- */

/* rows H02, H03, H04 */
/* [rfc8768#3] [rfc8768#4] */
static void
hop_limit_is_judged_and_inserted(void **state)
{
    struct osp_msg m, q;

    (void)state;
    w.policy.node_name = "p1";
    world_start(&w);
    forward(&m, "s.example");
    add(&m, OSP_OPT_HOP_LIMIT, "\x01");
    send(&m);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 8));
    EXPECT_BYTES(osp_slice_str("p1"), q.payload);
    forward(&m, "s.example");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_HOP_LIMIT, osp_slice("\0", 1)));
    expect_refused(&m, OSP_CODE(4, 0));
    forward(&m, "s.example");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_HOP_LIMIT, osp_slice("\1\0", 2)));
    expect_refused(&m, OSP_CODE(4, 0));
    send(forward(&m, "s.example"));
    taken(&q);
    assert_false(osp_msg_has(&q, OSP_OPT_HOP_LIMIT));
    w.policy.hop_limit = 16;
    send(forward(&m, "s.example"));
    taken(&q);
    EXPECT_BYTES(osp_slice("\x10", 1), osp_msg_get(&q, OSP_OPT_HOP_LIMIT)->val);
}

/* rows H05, H07 (partly: one proxy of the loop) */
static void
relayed_5_08_carries_our_name_once(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    w.policy.node_name = "p1";
    world_start(&w);
    send(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(5, 8));
    r.payload = osp_slice_str("p9");
    origin_answers(&q, &r);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 8));
    EXPECT_BYTES(osp_slice_str("p1 p9"), q.payload);
    send(forward(&m, "s.example"));
    taken(&q);
    r.payload = osp_slice_str("p9 p1 p3");
    origin_answers(&q, &r);
    expect_code(OSP_CODE(5, 2));
}

/* ---- reverse-proxy ---- */

static void
two_routes(void)
{
    struct osp_next_hop hop = { .to = { OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true, osp_ip_v4(192, 0, 2, 9) } };

    w.segs[0] = osp_slice_str("plant");
    w.segs[1] = osp_slice_str("v1");
    w.routes[0] = (struct osp_route){ .name = "plant", .path = &w.segs[0], .path_count = 1, .has_path = true, .strip = 1,
                                      .hop = hop, .prefix = &w.segs[1], .prefix_count = 1 };
    hop.to = (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str("s.example"), 5683, false, { { 0 } } };
    w.routes[1] = (struct osp_route){ .name = "host", .host = osp_slice_str("*.dev.example"), .hop = hop };
    w.policy.reverse = true;
    w.policy.route_count = 2;
}

/* row P19 (partly: mapping) */
/* [rfc7252#5.7.3] */
static void
routes_translate_paths_and_hosts_both_ways(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    two_routes();
    world_start(&w);
    get(&m);
    m.code = OSP_POST;
    add(&m, OSP_OPT_URI_PATH, "plant");
    add(&m, OSP_OPT_URI_PATH, "t");
    send(&m);
    taken(&q);
    EXPECT_BYTES(osp_slice_str("v1"), osp_msg_get(&q, OSP_OPT_URI_PATH)->val);
    EXPECT_BYTES(osp_slice_str("t"), (osp_msg_get(&q, OSP_OPT_URI_PATH) + 1)->val);
    osp_msg_init(&r, OSP_CODE(2, 1));
    add(&r, OSP_OPT_LOCATION_PATH, "v1");
    add(&r, OSP_OPT_LOCATION_PATH, "new");
    origin_answers(&q, &r);
    taken(&q);
    EXPECT_BYTES(osp_slice_str("plant"), osp_msg_get(&q, OSP_OPT_LOCATION_PATH)->val);
    EXPECT_BYTES(osp_slice_str("new"), (osp_msg_get(&q, OSP_OPT_LOCATION_PATH) + 1)->val);
    get(&m);
    add(&m, OSP_OPT_URI_HOST, "A.Dev.Example");
    add(&m, OSP_OPT_URI_PATH, "t");
    send(&m);
    taken(&q);
    EXPECT_BYTES(osp_slice_str("s.example"), osp_msg_get(&q, OSP_OPT_URI_HOST)->val);
    get(&m);
    add(&m, OSP_OPT_URI_HOST, "dev.example");
    add(&m, OSP_OPT_URI_PATH, "t");
    expect_refused(&m, OSP_CODE(4, 4));
    w.route_bits[0] = 1;
    get(&m);
    add(&m, OSP_OPT_URI_HOST, "a.dev.example");
    expect_refused(&m, OSP_CODE(4, 1));
}

/* ---- layers ---- */

static const char secret[] = "000102030405060708090a0b0c0d0e0f";

/* A client's side of the world's context `i`. */
static struct osp_octx *
client_side(const char *sid, const char *rid)
{
    return world_other_side(secret, sid, rid);
}

/* Puts a layer for the proxy on `m`; the result borrows from `buf`. */
static void
wrap(struct osp_octx *c, struct osp_msg *m, uint8_t *buf, size_t cap, struct osp_layer *l)
{
    struct osp_leg leg = { OSP_LEG_TO_PROXY, true, false };
    uint8_t        classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  b = osp_wr_to(buf, cap);
    struct osp_msg out;

    EXPECT_OK(osp_classes(&leg, m, classes));
    EXPECT_OK(osp_oscore_protect_request(cr, c, m, classes, &b, &out, l));
    osp_msg_copy(m, &out);
}

static uint8_t
unwrap(struct osp_layer *l, struct osp_msg *m)
{
    static uint8_t buf[4096];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf));
    struct osp_msg out;

    EXPECT_OK(osp_oscore_unprotect_response(cr, l, m, &b, &out));
    osp_msg_copy(m, &out);
    return m->code;
}

/* row L08 */
/* [ocp#2.1] */
static void
layers_beyond_the_limit_are_refused_under_those_removed(void **state)
{
    struct osp_octx *c[5];
    struct osp_layer l[5];
    struct osp_msg   m, a;
    static uint8_t   buf[5][2048];
    const char      *ids[] = { "a", "b", "c", "d", "e" };

    (void)state;
    w.policy.max_layers = 4;
    for (int i = 0; i < 5; i++) {
        char hex[3], hex2[3];
        snprintf(hex, sizeof(hex), "%02x", ids[i][0]);
        snprintf(hex2, sizeof(hex2), "%02x", ids[i][0] - 32);
        world_context(&w, secret, "", hex2, hex, 0);
        char up[2] = { (char)(ids[i][0] - 32), 0 };
        c[i] = client_side(ids[i], up);
    }
    world_start(&w);
    forward(&m, "s.example");
    for (int i = 0; i < 5; i++)
        wrap(c[i], &m, buf[i], sizeof(buf[i]), &l[i]);
    send(&m);
    taken(&a);
    for (int i = 4; i >= 1; i--)
        assert_int_equal(unwrap(&l[i], &a), i > 1 ? OSP_CODE(2, 4) : OSP_CODE(4, 1));
    nothing_left();
    for (int i = 0; i < 5; i++) {
        osp_layer_fini(&l[i]);
        osp_octx_unref(c[i]);
    }
}

/* rows L07, L12 */
static void
decrypted_refusals_are_protected(void **state)
{
    struct osp_octx *c;
    struct osp_layer l;
    struct osp_msg   m, a;
    uint8_t          buf[2048];

    (void)state;
    world_context(&w, secret, "", "50", "20", 0);
    c = client_side(" ", "P");
    w.policy.forward = false;
    world_start(&w);
    forward(&m, "s.example");
    wrap(c, &m, buf, sizeof(buf), &l);
    send(&m);
    taken(&a);
    assert_int_equal(a.code, OSP_CODE(2, 4));
    assert_int_equal(unwrap(&l, &a), OSP_CODE(5, 5));
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* row L09 */
/* [ocp#2.2] */
static void
option_that_cannot_be_classified_is_4_02_and_5_02(void **state)
{
    struct osp_octx *origin;
    struct osp_layer l;
    struct osp_msg   m, q, plain, resp, out;
    uint8_t          buf[2048], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));
    struct osp_leg   leg = { OSP_LEG_TO_SERVER, true, false };

    (void)state;
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN },
                                            .ctx = world_context(&w, secret, "", "d4", "54", 0) };
    w.policy.upstream_count = 1;
    origin = client_side("T", "\xd4");
    world_start(&w);
    forward(&m, "s.example");
    add(&m, 65000, "x");
    expect_refused(&m, OSP_CODE(4, 2));
    send(forward(&m, "s.example"));
    taken(&q);
    EXPECT_OK(osp_oscore_unprotect_request(cr, origin, &q, &b, &plain, &l));
    assert_int_equal(plain.code, OSP_GET);
    /* a response whose inside has an unsafe unknown option */
    osp_msg_init(&resp, OSP_CODE(2, 5));
    add(&resp, 65002, "x");
    EXPECT_OK(osp_classes(&leg, &resp, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, &l, &resp, classes, false, &b, &out));
    origin_answers(&q, &out);
    expect_code(OSP_CODE(5, 2));
    osp_layer_fini(&l);
    osp_octx_unref(origin);
}

/* row L10 */
/* [ocp#2.6] */
static void
unexpected_and_missing_layers_in_a_response_are_5_02(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    world_start(&w);
    send(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(2, 4));
    add(&r, OSP_OPT_OSCORE, "");
    r.payload = osp_slice_str("ciphertext");
    origin_answers(&q, &r);
    expect_code(OSP_CODE(5, 2));
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN },
                                            .ctx = world_context(&w, secret, "", "d4", "54", 0) };
    w.policy.upstream_count = 1;
    send(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(4, 1));
    origin_answers(&q, &r);
    expect_code(OSP_CODE(5, 2));
}

/* row L11 (partly: passed through untouched) */
/* [rfc9668#3.3] */
static void
edhoc_option_for_another_hop_travels(void **state)
{
    struct osp_msg m, q;

    (void)state;
    world_start(&w);
    forward(&m, "s.example");
    add(&m, OSP_OPT_OSCORE, "\x09\x01\x63");
    add(&m, OSP_OPT_EDHOC, "");
    m.payload = osp_slice_str("message_3 and ciphertext");
    send(&m);
    taken(&q);
    assert_true(osp_msg_has(&q, OSP_OPT_EDHOC));
    EXPECT_BYTES(m.payload, q.payload);
}

/* rows S09, E03 */
/* [rfc8613#B.1.2] [rfc9175#2.3] */
static void
unknown_window_is_challenged_and_executes_nothing(void **state)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str("P"),
                                 .recipient_id = osp_slice_str(" ") };
    struct osp_octx       *c, *server;
    struct osp_layer       l;
    struct osp_msg         m, a, q;
    uint8_t                key[16], buf[2048], echo[64];
    size_t                 n;

    (void)state;
    assert_true(osp_hex_decode(osp_slice_str(secret), key, 16, &n));
    p.master_secret = osp_slice(key, 16);
    EXPECT_OK(osp_octx_new(&p, &server));
    EXPECT_OK(osp_octx_table_add(w.table, server));
    w.ctxs[w.ctx_count++] = server;
    c = client_side(" ", "P");
    w.hold_leases = true;
    world_start(&w);
    forward(&m, "s.example");
    wrap(c, &m, buf, sizeof(buf), &l);
    send(&m);
    nothing_left();                             /* no number is leased yet: it waits */
    assert_int_equal(w.held_count, 1);
    world_release_leases(&w, true);
    taken(&a);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    assert_true(osp_msg_get(&a, OSP_OPT_OSCORE)->val.n > 0);    /* a Partial IV of its own */
    assert_int_equal(unwrap(&l, &a), OSP_CODE(4, 1));
    assert_int_equal(a.payload.n, 0);
    assert_int_equal(a.opt_count, 1);
    n = osp_msg_get(&a, OSP_OPT_ECHO)->val.n;
    assert_true(osp_slice_copy(osp_msg_get(&a, OSP_OPT_ECHO)->val, echo, sizeof(echo)));
    osp_layer_fini(&l);
    nothing_left();
    /* outside of the layer the Echo proves nothing */
    forward(&m, "s.example");
    wrap(c, &m, buf, sizeof(buf), &l);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(echo, n)));
    send(&m);
    taken(&a);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    assert_int_equal(unwrap(&l, &a), OSP_CODE(4, 1));
    osp_layer_fini(&l);
    /* inside it does */
    forward(&m, "s.example");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(echo, n)));
    wrap(c, &m, buf, sizeof(buf), &l);
    send(&m);
    taken(&q);
    assert_int_equal(last.to.sock, 0);
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* row S13 */
static void
late_response_after_5_04_is_dropped(void **state)
{
    struct osp_octx *c;
    struct osp_layer l;
    struct osp_msg   m, a, q, r;
    uint8_t          buf[2048];
    struct world_out to;

    (void)state;
    world_context(&w, secret, "", "50", "20", 0);
    c = client_side(" ", "P");
    w.policy.response_timeout_us = OSP_SEC(1);
    world_start(&w);
    forward(&m, "s.example");
    m.type = OSP_NON;
    wrap(c, &m, buf, sizeof(buf), &l);
    send(&m);
    taken(&q);
    to = last;
    world_run(&w, OSP_SEC(2));
    taken(&a);
    assert_int_equal(unwrap(&l, &a), OSP_CODE(5, 4));
    osp_msg_init(&r, OSP_CODE(2, 5));
    last = to;
    origin_answers(&q, &r);
    nothing_left();
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* A lease that fails is answered, not waited for. */
static void
no_lease_is_5_03_and_a_granted_one_goes_on(void **state)
{
    struct osp_octx *up = world_context(&w, secret, "", "d4", "54", 0);
    struct osp_msg   m, q;
    uint64_t         n;

    (void)state;
    while (osp_octx_take_ssn(up, &n) == OSP_OK)
        ;
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN }, .ctx = up };
    w.policy.upstream_count = 1;
    w.hold_leases = true;
    world_start(&w);
    for (int i = 0; i < 4; i++)
        send(forward(&m, "s.example"));
    assert_int_equal(w.held_count, 1);          /* asked for once */
    nothing_left();
    world_release_leases(&w, true);
    for (int i = 0; i < 4; i++) {
        taken(&q);
        assert_int_equal(last.to.sock, 0);
    }
    while (osp_octx_take_ssn(up, &n) == OSP_OK)
        ;
    send(forward(&m, "s.example"));
    world_release_leases(&w, false);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 3));
}

/* The next hop lost its window: the proxy answers its challenge itself, once. */
static void
echo_challenge_of_the_next_hop_is_answered_once(void **state)
{
    struct osp_octx *origin;
    struct osp_layer l;
    struct osp_msg   m, q, plain, resp, out;
    uint8_t          buf[4096], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr    b;
    struct osp_leg   leg = { OSP_LEG_TO_SERVER, true, false };

    (void)state;
    w.upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN },
                                            .ctx = world_context(&w, secret, "", "d4", "54", 0) };
    w.policy.upstream_count = 1;
    origin = client_side("T", "\xd4");
    world_start(&w);
    send(forward(&m, "s.example"));
    for (int round = 0; round < 2; round++) {
        b = osp_wr_to(buf, sizeof(buf));
        taken(&q);
        assert_int_equal(last.to.sock, 0);
        EXPECT_OK(osp_oscore_unprotect_request(cr, origin, &q, &b, &plain, &l));
        assert_int_equal(osp_msg_has(&plain, OSP_OPT_ECHO), round == 1);
        osp_msg_init(&resp, OSP_CODE(4, 1));
        add(&resp, OSP_OPT_ECHO, "fresh?");
        EXPECT_OK(osp_classes(&leg, &resp, classes));
        EXPECT_OK(osp_oscore_protect_response(cr, &l, &resp, classes, true, &b, &out));
        origin_answers(&q, &out);
        osp_layer_fini(&l);
    }
    taken(&q);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    assert_int_equal(q.code, OSP_CODE(4, 1));
    osp_octx_unref(origin);
}

/* Exchanges beyond the bound get 5.03; all others go on. */
static void
bound_of_exchanges_is_kept(void **state)
{
    struct osp_proxy_stats st;
    struct osp_msg         m, q;

    (void)state;
    world_start(&w);
    for (int i = 0; i < 1024; i++) {
        forward(&m, "slow.example");
        m.type = OSP_NON;
        send(&m);
    }
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.exchanges, 1024);
    send(forward(&m, "s.example"));
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 3));
    w.resolving_count = 0;
    world_stop(&w);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(proxy_scheme_is_consumed_and_the_rest_travels),
        T(proxy_uri_is_split_and_beats_uri_options),
        T(unknown_schemes_and_no_forward_proxy_are_5_05),
        T(own_authority_is_local),
        T(unsafe_options_stop_and_safe_ones_travel),
        T(responses_pass_unless_an_option_is_unsafe),
        T(every_method_passes_through),
        T(silence_is_5_04_once),
        T(no_response_is_honoured),
        T(local_requests_get_their_codes),
        T(nothing_is_allowed_that_no_rule_allows),
        T(name_that_leads_to_a_guarded_address_is_refused),
        T(first_matching_rule_decides),
        T(rate_limit_refills),
        T(name_is_asked_for_once_and_cached_for_its_ttl),
        T(hop_limit_is_judged_and_inserted),
        T(relayed_5_08_carries_our_name_once),
        T(routes_translate_paths_and_hosts_both_ways),
        T(layers_beyond_the_limit_are_refused_under_those_removed),
        T(decrypted_refusals_are_protected),
        T(option_that_cannot_be_classified_is_4_02_and_5_02),
        T(unexpected_and_missing_layers_in_a_response_are_5_02),
        T(edhoc_option_for_another_hop_travels),
        T(unknown_window_is_challenged_and_executes_nothing),
        T(late_response_after_5_04_is_dropped),
        T(no_lease_is_5_03_and_a_granted_one_goes_on),
        T(echo_challenge_of_the_next_hop_is_answered_once),
        T(bound_of_exchanges_is_kept),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
