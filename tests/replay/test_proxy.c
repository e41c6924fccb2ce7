/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxy in virtual time: what is forwarded, what is refused and how, and that everything ends. */
#include "forward_world.h"

#include "tests/unit/with_crypto.h"

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
    client_sends(&m);
    taken(&q);
    assert_int_equal(last_out.to.peer.port, 5683);
    assert_int_equal(last_out.to.peer.ip.b[15], 9);
    assert_false(osp_msg_has(&q, OSP_OPT_PROXY_SCHEME));
    EXPECT_BYTES(osp_slice_str("s.example"), osp_msg_get(&q, OSP_OPT_URI_HOST)->val);
    EXPECT_BYTES(osp_slice_str("a=b"), osp_msg_get(&q, OSP_OPT_URI_QUERY)->val);
    assert_false(osp_slice_eq(q.token, m.token));
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice_str("22");
    answer_request(&q, &r);
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
        confirmable_get(&m);
        add(&m, OSP_OPT_PROXY_URI, cases[i].uri);
        add(&m, OSP_OPT_URI_PATH, "ignored");
        add(&m, OSP_OPT_URI_HOST, "ignored.example");
        client_sends(&m);
        taken(&q);
        assert_int_equal(last_out.to.peer.port, cases[i].port);
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
        confirmable_get(&m);
        add(&m, OSP_OPT_PROXY_URI, uris[i]);
        expect_refused(&m, OSP_CODE(5, 5));
    }
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_HOST, "s.example");
    add(&m, OSP_OPT_PROXY_SCHEME, "gopher");
    expect_refused(&m, OSP_CODE(5, 5));
    confirmable_get(&m);
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
        confirmable_get(&m);
        add(&m, OSP_OPT_PROXY_URI, uris[i]);
        expect_refused(&m, OSP_CODE(2, 5));
    }
    confirmable_get(&m);                    /* Proxy-Scheme without Uri-Host: where the request was sent to */
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
    client_sends(&m);
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
        client_sends(forward(&m, "s.example"));
        taken(&q);
        osp_msg_init(&r, codes[i]);
        add(&r, 65000, "x");
        add(&r, 65001, "y");
        r.payload = osp_slice_str("why");
        answer_request(&q, &r);
        taken(&a);
        assert_int_equal(a.code, codes[i]);
        assert_int_equal(a.opt_count, 2);
        EXPECT_BYTES(osp_slice_str("why"), a.payload);
    }
    client_sends(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(2, 5));
    add(&r, 65002, "x");
    answer_request(&q, &r);
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
        client_sends(&m);
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
    client_sends(forward(&m, "s.example"));
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
    client_sends(&m);
    taken(&q);
    osp_msg_init(&r, OSP_CODE(2, 5));
    answer_request(&q, &r);
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
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_PATH, "nothing");
    expect_refused(&m, OSP_CODE(4, 4));
    confirmable_get(&m);
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
        confirmable_get(&m);
        m.type = type;
        add(&m, OSP_OPT_URI_PATH, "nothing");
        add(&m, 65001, "critical");
        expect_refused(&m, OSP_CODE(4, 2));
    }
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_PATH, "a");
    add(&m, OSP_OPT_BLOCK2, "\x07");
    expect_refused(&m, OSP_CODE(4, 0));
    w.policy.otp_compat = true;
    confirmable_get(&m);
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
        confirmable_get(&m);
        add(&m, OSP_OPT_PROXY_URI, guarded[i]);
        expect_refused(&m, OSP_CODE(4, 1));
    }
    /* an entry that names the address lifts the guard */
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://127.0.0.1:5683"), &w.allow[0][0].target));
    confirmable_get(&m);
    add(&m, OSP_OPT_PROXY_URI, "coap://127.0.0.1/");
    client_sends(&m);
    taken(&q);
    assert_int_equal(last_out.to.peer.ip.b[12], 127);
    confirmable_get(&m);
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
    client_sends(forward(&m, "rebind.example"));
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
    client_sends(forward(&m, "s.example"));
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
        client_sends(forward(&m, "s.example"));
        taken(&q);
    }
    client_sends(forward(&m, "s.example"));
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(4, 29));
    assert_true(osp_msg_has(&q, OSP_OPT_MAX_AGE));
    world_run(&w, OSP_MS(150));
    w.out_count = 0;
    client_sends(forward(&m, "s.example"));
    taken(&q);
    assert_int_equal(last_out.to.sock, 0);
    client_sends(forward(&m, "s.example"));
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
        client_sends(forward(&m, "dns.example"));
    assert_int_equal(w.resolving_count, 1);
    nothing_left();
    world_resolved(&w, "dns.example", OSP_OK, "192.0.2.44", 30);
    for (int i = 0; i < 3; i++) {
        taken(&q);
        assert_int_equal(last_out.to.peer.ip.b[15], 44);
    }
    client_sends(forward(&m, "dns.example"));
    taken(&q);
    assert_int_equal(w.resolving_count, 0);
    world_run(&w, OSP_SEC(31));
    w.out_count = 0;
    client_sends(forward(&m, "dns.example"));
    assert_int_equal(w.resolving_count, 1);
    world_resolved(&w, "dns.example", OSP_E_RESOLVE, NULL, 5);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 2));
    client_sends(forward(&m, "dns.example"));           /* a failure is remembered too */
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
    client_sends(&m);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 8));
    EXPECT_BYTES(osp_slice_str("p1"), q.payload);
    forward(&m, "s.example");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_HOP_LIMIT, osp_slice("\0", 1)));
    expect_refused(&m, OSP_CODE(4, 0));
    forward(&m, "s.example");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_HOP_LIMIT, osp_slice("\1\0", 2)));
    expect_refused(&m, OSP_CODE(4, 0));
    client_sends(forward(&m, "s.example"));
    taken(&q);
    assert_false(osp_msg_has(&q, OSP_OPT_HOP_LIMIT));
    w.policy.hop_limit = 16;
    client_sends(forward(&m, "s.example"));
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
    client_sends(forward(&m, "s.example"));
    taken(&q);
    osp_msg_init(&r, OSP_CODE(5, 8));
    r.payload = osp_slice_str("p9");
    answer_request(&q, &r);
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 8));
    EXPECT_BYTES(osp_slice_str("p1 p9"), q.payload);
    client_sends(forward(&m, "s.example"));
    taken(&q);
    r.payload = osp_slice_str("p9 p1 p3");
    answer_request(&q, &r);
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
    confirmable_get(&m);
    m.code = OSP_POST;
    add(&m, OSP_OPT_URI_PATH, "plant");
    add(&m, OSP_OPT_URI_PATH, "t");
    client_sends(&m);
    taken(&q);
    EXPECT_BYTES(osp_slice_str("v1"), osp_msg_get(&q, OSP_OPT_URI_PATH)->val);
    EXPECT_BYTES(osp_slice_str("t"), (osp_msg_get(&q, OSP_OPT_URI_PATH) + 1)->val);
    osp_msg_init(&r, OSP_CODE(2, 1));
    add(&r, OSP_OPT_LOCATION_PATH, "v1");
    add(&r, OSP_OPT_LOCATION_PATH, "new");
    answer_request(&q, &r);
    taken(&q);
    EXPECT_BYTES(osp_slice_str("plant"), osp_msg_get(&q, OSP_OPT_LOCATION_PATH)->val);
    EXPECT_BYTES(osp_slice_str("new"), (osp_msg_get(&q, OSP_OPT_LOCATION_PATH) + 1)->val);
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_HOST, "A.Dev.Example");
    add(&m, OSP_OPT_URI_PATH, "t");
    client_sends(&m);
    taken(&q);
    EXPECT_BYTES(osp_slice_str("s.example"), osp_msg_get(&q, OSP_OPT_URI_HOST)->val);
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_HOST, "dev.example");
    add(&m, OSP_OPT_URI_PATH, "t");
    expect_refused(&m, OSP_CODE(4, 4));
    w.route_bits[0] = 1;
    confirmable_get(&m);
    add(&m, OSP_OPT_URI_HOST, "a.dev.example");
    expect_refused(&m, OSP_CODE(4, 1));
}

/* ---- layers ---- */

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
        client_sends(&m);
    }
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.exchanges, 1024);
    client_sends(forward(&m, "s.example"));
    taken(&q);
    assert_int_equal(q.code, OSP_CODE(5, 3));
    w.resolving_count = 0;
    world_stop(&w);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, forward_setup, forward_teardown)
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
        T(bound_of_exchanges_is_kept),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
