/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's nested requests: tests/vectors/nested-oscore.json and cases of our own. */
#include "tests/unit/daemon/osprey/parties.h"

/* ---- what C sends and reads ---- */

/* The datagram of `m` is wire[0] of the scenario, bit for bit. */
static void
expect_wire(json_t *s, size_t index, const struct osp_msg *built)
{
    json_t        *w = json_array_get(json_object_get(s, "wire"), index);
    uint8_t        want[1024], got[1024], token[8];
    struct osp_msg m;
    struct osp_wr  out = osp_wr_to(got, sizeof(got));

    osp_msg_copy(&m, built);
    m.type = OSP_CON;
    m.mid = (uint16_t)json_integer_value(json_object_get(w, "mid"));
    m.token = vec_hex(w, "token", token, sizeof(token));
    EXPECT_OK(osp_msg_encode_udp(&m, &out));
    EXPECT_BYTES(vec_hex(w, "udp", want, sizeof(want)), osp_wr_slice(&out));
}

/* C reads the answer of wire[index]: `levels` layers come off, `payload` is inside. */
static void
expect_answer(json_t *s, size_t index, uint8_t code, const char *payload, size_t level)
{
    json_t              *w = json_array_get(json_object_get(s, "wire"), index);
    uint8_t              bytes[1024];
    struct osp_msg       m;
    struct osprey_answer a;
    bool                 header_ok;

    EXPECT_OK(osp_msg_decode_udp(vec_hex(w, "udp", bytes, sizeof(bytes)), &m, &header_ok));
    EXPECT_OK(osprey_onion_open(&onion, crypto, &m, NULL, &a));
    assert_int_equal(level, a.level);
    assert_int_equal(code, a.msg->code);
    EXPECT_BYTES(osp_slice_str(payload), a.msg->payload);
}

static void
run(json_t *s, const struct osprey_route *r, size_t answer)
{
    assert_null(osprey_route_check(r));
    expect_wire(s, 0, build(r, NULL));
    expect_answer(s, answer, OSP_CODE(2, 5), "0", 0);
}

#define ALARM "coap://example.com/alarm_status"

/* Scenario `id`: the alarm status under a layer for the origin, by a proxy for which there is the layer `name` (NULL: none). */
static void
run_by_proxy(const char *id, const char *name, size_t answer)
{
    json_t             *s = scenario(id);
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 1 };

    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, name ? find(&client, name) : NULL };
    run(s, &r, answer);
}

/* row L01 */
/* [ocp#2.3] */
static void
end_to_end_and_proxy_layer_are_those_of_the_draft(void **state)
{
    (void)state;
    run_by_proxy("fwd C-S, C-P", "CTX_C_P", 3);
}

/* row L02 */
static void
end_to_end_layer_through_a_plain_proxy_is_that_of_the_draft(void **state)
{
    (void)state;
    run_by_proxy("fwd C-S, P-S", NULL, 3);
}

/* row L03 */
static void
all_three_layers_are_those_of_the_draft(void **state)
{
    (void)state;
    run_by_proxy("fwd C-S, C-P, P-S", "CTX_C_P", 3);
}

/* row L04 */
static void
first_of_two_proxies_gets_what_the_draft_says(void **state)
{
    (void)state;
    run_by_proxy("two fwd C-S, C-P1, P1-P2, P2-S", "CTX_C_P1", 5);
}

/* row L05 */
static void
reverse_by_host_leaves_uri_host_outside(void **state)
{
    json_t             *s = scenario("rev C-P, P-S");
    struct osprey_route r = { .target = uri("coap://dev.example/alarm_status"), .via_count = 1, .reverse = true };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    run(s, &r, 3);
}

/* row L05 */
static void
reverse_by_path_puts_the_segment_beside_the_inner_layer(void **state)
{
    json_t             *s = scenario("rev C-S, C-P, P-S");
    struct osp_slice    dev = osp_slice_str("dev1");
    struct osprey_route r = { .target = uri("coap://192.0.2.1/alarm_status"), .end_to_end = find(&client, "CTX_C_S"),
                              .via_count = 1, .reverse = true, .route_path = &dev, .route_path_count = 1 };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    run(s, &r, 3);
}

/* ---- EDHOC message_3 in a combined request ---- */

/* row X06 (partly: the client's side) */
/* [ocp#B.5] [rfc9668#3.2.1] */
static void
combined_requests_are_those_of_the_draft(void **state)
{
    json_t             *s = scenario(COMBINED);
    uint8_t             for_p[256], for_s[256], m1[256], format = 65;
    struct osprey_sec   p = *find(&client, "CTX_C_P"), e = *find(&client, "CTX_C_S");
    struct osprey_route edhoc = { .target = uri("coap://example.com/.well-known/edhoc"), .via_count = 1 };
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = &e, .via_count = 1 };
    json_t             *before = json_object_get(json_array_get(json_object_get(s, "steps"), 2), "before");
    struct osp_opt      opt = { OSP_OPT_CONTENT_FORMAT, osp_slice(&format, 1) };
    struct osprey_content c = { .method = OSP_POST, .opts = &opt, .opt_count = 1,
                                .payload = vec_hex(before, "payload", m1, sizeof(m1)) };
    const struct osp_msg *m = NULL;

    (void)state;
    edhoc.via[0] = r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, &p };
    p.message_3 = message_3_of(s, 3, for_p);
    EXPECT_OK(osprey_onion_build(&onion, crypto, &edhoc, &c, NULL, NULL, &m));
    expect_wire(s, 2, m);
    p.message_3 = OSP_EMPTY;            /* P has it now */
    e.message_3 = message_3_of(s, 14, for_s);
    expect_wire(s, 6, build(&r, NULL));
    expect_answer(s, 9, OSP_CODE(2, 5), "0", 0);
}

/* row H08 */
/* [ocp#3] */
static void
hop_limit_stays_outside_end_to_end_and_goes_inside_for_the_proxy(void **state)
{
    json_t             *s = scenario("fwd C-S, C-P, P-S + Hop-Limit");
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 1, .hop_limit = 8 };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    run(s, &r, 3);
}

/* row L14 */
static void
onion_has_a_layer_per_proxy_and_an_address_between(void **state)
{
    json_t             *s = scenario("onion C-S, C-P2, C-P1");
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 2 };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P1") };
    r.via[1] = (struct osprey_via){ uri("coap://p2.example").to, find(&client, "CTX_C_P2") };
    run(s, &r, 5);
}

/* ---- errors made on the way ---- */

static void
prepare_errors(json_t **s)
{
    struct osprey_route r = { .target = uri(ALARM), .via_count = 1 };

    *s = scenario("errors fwd C-S, C-P");
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    (void)build(&r, NULL);
}

/* row S15 */
static void
protected_error_of_the_proxy_verifies(void **state)
{
    static const uint8_t codes[] = { OSP_CODE(4, 1), OSP_CODE(4, 2), OSP_CODE(5, 4), OSP_CODE(5, 2), OSP_CODE(5, 8) };
    json_t              *s;

    (void)state;
    for (size_t i = 0; i < sizeof(codes); i++) {
        storage_used = 0;
        prepare_errors(&s);
        expect_answer(s, 1 + i, codes[i], "", 0);
        party_fini(&client);
        party_fini(&proxies);
    }
}

static void
unprotected_error_is_told_but_verified_by_nobody(void **state)
{
    json_t *s;

    (void)state;
    prepare_errors(&s);
    expect_answer(s, 6, OSP_CODE(4, 1), "Security context not found", 1);
    expect_answer(s, 7, OSP_CODE(4, 0), "Decryption failed", 1);
    expect_answer(s, 8, OSP_CODE(4, 1), "Replay detected", 1);
    expect_answer(s, 9, OSP_CODE(4, 2), "Failed to decode COSE", 1);
}

/* [rfc8613#8.4] */
static void
unprotected_success_is_refused(void **state)
{
    json_t              *s;
    struct osp_msg       m;
    struct osprey_answer a;

    (void)state;
    prepare_errors(&s);
    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice_str("0");
    EXPECT_ERR(OSP_E_UNPROTECTED, osprey_onion_open(&onion, crypto, &m, NULL, &a));
    m.code = OSP_CODE(2, 31);
    EXPECT_ERR(OSP_E_UNPROTECTED, osprey_onion_open(&onion, crypto, &m, NULL, &a));
}

/* The answer of the whole exchange, with one bit of it flipped at a time. */
static void
answer_with_any_flipped_bit_is_refused(void **state)
{
    json_t              *s = scenario("fwd C-S, C-P");
    struct osprey_route  r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 1 };
    json_t              *w = json_array_get(json_object_get(s, "wire"), 3);
    uint8_t              bytes[256];
    struct osp_slice     udp = vec_hex(w, "udp", bytes, sizeof(bytes));
    struct osp_msg       m;
    struct osprey_answer a;
    bool                 header_ok;

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    (void)build(&r, NULL);
    for (size_t i = 7; i < udp.n; i++) { /* behind header, token, empty OSCORE option and marker */
        bytes[i] ^= 1;
        EXPECT_OK(osp_msg_decode_udp(udp, &m, &header_ok));
        EXPECT_ERR(OSP_E_DECRYPT, osprey_onion_open(&onion, crypto, &m, NULL, &a));
        bytes[i] ^= 1;
    }
    expect_answer(s, 3, OSP_CODE(2, 5), "0", 0);
}

/* row L10 */
/* [ocp#2.6] */
static void
layer_too_many_in_the_answer_is_refused(void **state)
{
    json_t              *s = scenario("fwd C-S, C-P");
    struct osprey_route  r = { .target = uri(ALARM), .via_count = 1 };
    json_t              *w = json_array_get(json_object_get(s, "wire"), 3);
    uint8_t              bytes[256];
    struct osp_slice     udp = vec_hex(w, "udp", bytes, sizeof(bytes));
    struct osp_msg       m;
    struct osprey_answer a;
    bool                 header_ok;

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    (void)build(&r, NULL); /* without the layer for S, whose answer this is */
    EXPECT_OK(osp_msg_decode_udp(udp, &m, &header_ok));
    EXPECT_ERR(OSP_E_EXTRA_LAYER, osprey_onion_open(&onion, crypto, &m, NULL, &a));
}

/* ---- routes that cannot be ---- */

static void
routes_that_would_mix_options_are_refused(void **state)
{
    struct osprey_route r = { .target = uri(ALARM), .via_count = 2 };
    const struct osp_msg *m = NULL;
    struct osprey_content c = { .method = OSP_GET };

    (void)state;
    (void)scenario("onion C-S, C-P2, C-P1");
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P1") };
    r.via[1] = (struct osprey_via){ uri("coap://p2.example").to, NULL };
    assert_non_null(osprey_route_check(&r)); /* nothing parts the two proxies' options */
    EXPECT_ERR(OSP_E_INVALID, osprey_onion_build(&onion, crypto, &r, &c, NULL, NULL, &m));
    r.via[1].sec = find(&client, "CTX_C_P2");
    assert_null(osprey_route_check(&r));
    r.reverse = true; /* Uri-Host for P2 would stand where P1 needs its own */
    assert_non_null(osprey_route_check(&r));
    r.reverse = false;
    r.proxy_uri = osp_slice_str(ALARM); /* [rfc8613#4.1.3.3] */
    assert_non_null(osprey_route_check(&r));
}

static void
proxy_uri_needs_exactly_one_plain_proxy(void **state)
{
    struct osprey_route r = { .target = uri(ALARM), .proxy_uri = osp_slice_str(ALARM) };

    (void)state;
    assert_non_null(osprey_route_check(&r));
    r.via_count = 1;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, NULL };
    assert_null(osprey_route_check(&r));
    r.reverse = true;
    assert_non_null(osprey_route_check(&r));
}

/* ---- what the plain request says ---- */

static void
expect_option(const struct osp_msg *m, uint16_t num, const char *text)
{
    const struct osp_opt *o = osp_msg_get(m, num);

    if (!text)
        assert_null(o);
    else
        assert_non_null(o);
    if (text && o)
        EXPECT_BYTES(osp_slice_str(text), o->val);
}

/* [rfc7252#6.4] */
static void
direct_request_names_the_host_only_when_it_has_a_name(void **state)
{
    struct osprey_route r = { .target = uri("coap://127.0.0.1:7000/a") };

    (void)state;
    expect_option(build(&r, NULL), OSP_OPT_URI_HOST, NULL);
    expect_option(build(&r, NULL), OSP_OPT_URI_PORT, NULL);
    expect_option(build(&r, NULL), OSP_OPT_PROXY_SCHEME, NULL);
    r.target = uri("coap://Example.COM/a");
    expect_option(build(&r, NULL), OSP_OPT_URI_HOST, "example.com");
}

static void
proxied_request_names_literals_ports_and_scheme(void **state)
{
    struct osprey_route r = { .target = uri("coap+tcp://[2001:db8::1]/a?b=c"), .via_count = 1 };

    (void)state;
    r.via[0].to = uri("coap://192.0.2.1:7000").to;
    expect_option(build(&r, NULL), OSP_OPT_URI_HOST, "[2001:db8::1]");
    expect_option(build(&r, NULL), OSP_OPT_URI_PORT, "\x16\x33"); /* not the proxy's own 7000 */
    expect_option(build(&r, NULL), OSP_OPT_PROXY_SCHEME, "coap+tcp");
    expect_option(build(&r, NULL), OSP_OPT_URI_QUERY, "b=c");
    r.target = uri("coap://192.0.2.1:7000/a"); /* the proxy itself: said in full, absent ports are read both ways */
    expect_option(build(&r, NULL), OSP_OPT_URI_HOST, "192.0.2.1");
    expect_option(build(&r, NULL), OSP_OPT_URI_PORT, "\x1b\x58");
}

/* ---- what goes into which layer ---- */

struct layer_seen { bool echo, hop_limit, next_hop; enum osp_layer_role role; };
static struct layer_seen seen[OSPREY_LAYERS_MAX];
static size_t            seen_count;

static void
note_step(void *ctx, const struct osprey_step *s)
{
    (void)ctx;
    assert_true(s->on && s->level == seen_count);
    seen[seen_count++] = (struct layer_seen){ osp_msg_has(s->before, OSP_OPT_ECHO), osp_msg_has(s->before, OSP_OPT_HOP_LIMIT),
                                              s->ends.is_next_hop, s->ends.role };
}

/* An onion of three layers with an Echo at `level`. */
static const struct osp_msg *
build_onion(size_t level, unsigned hop_limit)
{
    struct osprey_route   r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 2,
                                .hop_limit = hop_limit };
    struct osprey_content c = { .method = OSP_GET };
    struct osprey_echo    echo = { .present = true, .level = level, .value = { 1, 2, 3 }, .len = 3 };
    struct osprey_trace   trace = { note_step, NULL };
    const struct osp_msg *m = NULL;

    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P1") };
    r.via[1] = (struct osprey_via){ uri("coap://p2.example").to, find(&client, "CTX_C_P2") };
    seen_count = storage_used = 0;
    EXPECT_OK(osprey_onion_build(&onion, crypto, &r, &c, &echo, &trace, &m));
    assert_int_equal(3, seen_count);
    return m;
}

/* row E03 (partly: the client) */
/* [rfc9175#2.3] */
static void
echo_goes_into_the_layer_that_asked_and_no_other(void **state)
{
    (void)state;
    (void)scenario("onion C-S, C-P2, C-P1");
    for (size_t level = 0; level <= 3; level++) {
        const struct osp_msg *m = build_onion(level, 0);

        for (size_t i = 0; i < 3; i++)
            assert_int_equal(level == i, seen[i].echo);
        assert_int_equal(level == 3, osp_msg_has(m, OSP_OPT_ECHO));
    }
}

static void
each_layer_of_an_onion_has_its_leg_and_its_hop_limit(void **state)
{
    (void)state;
    (void)scenario("onion C-S, C-P2, C-P1");
    assert_false(osp_msg_has(build_onion(9, 8), OSP_OPT_HOP_LIMIT)); /* nothing of it is left outside */
    for (size_t i = 0; i < 3; i++) {
        assert_true(seen[i].hop_limit);
        assert_int_equal(i == 2, seen[i].next_hop);
        assert_int_equal(i == 0 ? OSP_LAYER_TO_SERVER : OSP_LAYER_TO_PROXY, seen[i].role);
    }
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(end_to_end_and_proxy_layer_are_those_of_the_draft),
        CASE(end_to_end_layer_through_a_plain_proxy_is_that_of_the_draft),
        CASE(all_three_layers_are_those_of_the_draft),
        CASE(first_of_two_proxies_gets_what_the_draft_says),
        CASE(reverse_by_host_leaves_uri_host_outside),
        CASE(reverse_by_path_puts_the_segment_beside_the_inner_layer),
        CASE(combined_requests_are_those_of_the_draft),
        CASE(hop_limit_stays_outside_end_to_end_and_goes_inside_for_the_proxy),
        CASE(onion_has_a_layer_per_proxy_and_an_address_between),
        CASE(protected_error_of_the_proxy_verifies),
        CASE(unprotected_error_is_told_but_verified_by_nobody),
        CASE(unprotected_success_is_refused),
        CASE(answer_with_any_flipped_bit_is_refused),
        CASE(layer_too_many_in_the_answer_is_refused),
        CASE(routes_that_would_mix_options_are_refused),
        CASE(proxy_uri_needs_exactly_one_plain_proxy),
        CASE(direct_request_names_the_host_only_when_it_has_a_name),
        CASE(proxied_request_names_literals_ports_and_scheme),
        CASE(echo_goes_into_the_layer_that_asked_and_no_other),
        CASE(each_layer_of_an_onion_has_its_leg_and_its_hop_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
