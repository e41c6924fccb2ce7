/* SPDX-License-Identifier: BSD-2-Clause */
/* The origin's side of nested requests: challenges, replays, its limits, and what it is not. */
#include "tests/unit/daemon/osprey/parties.h"

/* ---- contexts of the vectors ---- */

static void
make_table(void)
{
    struct osp_hash_key key = { 1, 2 };

    EXPECT_OK(osp_octx_configured_new(CTX_MAX, key, &table));
    for (size_t i = 0; i < origin.count; i++)
        EXPECT_OK(osp_octx_configured_add(table, origin.sec[i].octx));
    server.contexts = table;
}

/* ---- EDHOC message_3 in a combined request ---- */

struct combined { struct osp_slice kid, message_3; unsigned calls; uint8_t bytes[2][256]; bool refuse; };

static enum osp_err
take_combined(void *ctx, struct osp_slice kid, struct osp_msg *m, struct osp_msg *reply)
{
    struct combined *x = ctx;
    struct osp_slice message_3, ciphertext;

    x->calls++;
    EXPECT_OK(osp_edhoc_split_combined(m->payload, &message_3, &ciphertext));
    assert_true(osp_slice_copy(kid, x->bytes[0], 256) && osp_slice_copy(message_3, x->bytes[1], 256));
    x->kid = osp_slice(x->bytes[0], kid.n);
    x->message_3 = osp_slice(x->bytes[1], message_3.n);
    if (x->refuse) {
        osp_msg_init(reply, OSP_CODE(4, 0));
        return OSP_E_EDHOC_AUTH;
    }
    osp_msg_remove(m, OSP_OPT_EDHOC);
    m->payload = ciphertext;
    return OSP_OK;
}

/* row X06 (partly: the demo origin) */
/* [rfc9668#3.3.1] */
static void
origin_takes_message_3_off_before_the_layer(void **state)
{
    json_t               *s = scenario(COMBINED), *w = json_array_get(json_object_get(s, "wire"), 7);
    uint8_t               bytes[1024], want[256];
    struct combined       x = { .calls = 0 };
    struct osprey_served  sv;
    struct osp_msg        in, reply;
    const struct osp_msg *req = NULL;
    bool                  header_ok;

    (void)state;
    make_table();
    EXPECT_OK(osp_msg_decode_udp(vec_hex(w, "udp", bytes, sizeof(bytes)), &in, &header_ok));
    assert_false(osprey_serve_open(&server, &in, &sv, &req, &reply));   /* an origin without EDHOC does not know the option */
    assert_int_equal(sv.err, OSP_E_UNKNOWN_OPTION);
    server.combined = take_combined;
    server.combined_ctx = &x;
    x.refuse = true;
    EXPECT_OK(osp_msg_decode_udp(vec_hex(w, "udp", bytes, sizeof(bytes)), &in, &header_ok));
    assert_false(osprey_serve_open(&server, &in, &sv, &req, &reply));
    assert_true(sv.err == OSP_E_EDHOC_AUTH && reply.code == OSP_CODE(4, 0) && sv.count == 0);
    x.refuse = false;
    EXPECT_OK(osp_msg_decode_udp(vec_hex(w, "udp", bytes, sizeof(bytes)), &in, &header_ok));
    assert_true(osprey_serve_open(&server, &in, &sv, &req, &reply));
    assert_int_equal(x.calls, 2);
    EXPECT_BYTES(osp_slice("\x27", 1), x.kid);
    EXPECT_BYTES(message_3_of(s, 14, want), x.message_3);
    assert_true(req->code == OSP_GET && !osp_msg_has(req, OSP_OPT_EDHOC));
    osprey_served_fini(&sv);
}

/* ---- both ends ---- */

static void
route_c_s_c_p(struct osprey_route *r)
{
    memset(r, 0, sizeof(*r));
    r->target = uri("coap://192.0.2.9/alarm_status");
    r->end_to_end = find(&client, "CTX_C_S");
}

static bool last_has_piv; /* the last answer of serve() carried a Partial IV */

/* The origin gets `m` and says `code`; what C reads of it is in *a. */
static enum osp_err
serve(const struct osp_msg *m, uint8_t code, struct osprey_answer *a, struct osprey_served *sv, bool *delivered)
{
    static struct osp_msg in, reply;
    const struct osp_msg *req, *out;
    enum osp_err          e;

    osp_msg_copy(&in, m);
    *delivered = osprey_serve_open(&server, &in, sv, &req, &reply);
    if (*delivered) {
        osp_msg_init(&reply, code);
        reply.payload = osp_slice_str("0");
    }
    EXPECT_OK(osprey_serve_seal(&server, sv, &reply, &out));
    last_has_piv = osp_msg_has(out, OSP_OPT_OSCORE) && osp_msg_get(out, OSP_OPT_OSCORE)->val.n > 0;
    e = osprey_onion_open(&onion, crypto, out, NULL, a);
    return e;
}

/* The origin's context once more, as after a crash: its window is unknown. */
static void
forget_window(void)
{
    json_t                *all = json_array_get(json_object_get(vectors, "scenarios"), 0);
    json_t                *ctx = json_object_get(json_object_get(all, "contexts"), "CTX_C_S");
    uint8_t                secret[64], salt[64];
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256 };

    p.master_secret = vec_hex(ctx, "master_secret", secret, sizeof(secret));
    p.master_salt = vec_hex(ctx, "master_salt", salt, sizeof(salt));
    p.sender_id = osp_slice("\x53", 1);
    p.recipient_id = osp_slice("\x5f", 1);
    osp_octx_unref(origin.sec[0].octx);
    EXPECT_OK(osp_octx_new(&p, &origin.sec[0].octx));
    osp_octx_grant(origin.sec[0].octx, 5, 64);
}

/* row S09 */
/* [rfc8613#B.1.2] [rfc9175#2.3] */
static void
echo_challenge_is_answered_at_its_level_and_only_then_served(void **state)
{
    struct osprey_route  r;
    struct osprey_answer a;
    struct osprey_served sv;
    struct osprey_echo   echo = { 0 };
    bool                 delivered;

    (void)state;
    (void)scenario("fwd C-S, C-P");
    route_c_s_c_p(&r);
    forget_window();
    make_table();

    EXPECT_OK(serve(build(&r, NULL), OSP_CODE(2, 5), &a, &sv, &delivered));
    assert_false(delivered);
    assert_int_equal(OSP_E_NOT_FRESH, sv.err);
    osprey_served_fini(&sv);
    assert_int_equal(0, a.level); /* the challenge verifies under all layers */
    assert_true(last_has_piv);    /* its nonce is not the request's: what we knew of that one is lost */
    assert_true(osprey_answer_challenges(&a, &echo));
    assert_int_equal(0, echo.level);
    assert_int_equal(OSP_ECHO_LEN, echo.len);

    echo.value[0] ^= 1; /* a wrong Echo is challenged again */
    EXPECT_OK(serve(build(&r, &echo), OSP_CODE(2, 5), &a, &sv, &delivered));
    assert_false(delivered);
    osprey_served_fini(&sv);
    echo.value[0] ^= 1;
    EXPECT_OK(serve(build(&r, &echo), OSP_CODE(2, 5), &a, &sv, &delivered));
    assert_true(delivered);
    osprey_served_fini(&sv);
    assert_int_equal(OSP_CODE(2, 5), a.msg->code);
    assert_false(osprey_answer_challenges(&a, &echo));
    assert_false(last_has_piv);
}

/* row L08 */
/* [ocp#2.1] */
static void
origin_stops_at_its_layer_limit(void **state)
{
    static uint8_t           bytes[8192];
    static struct osp_msg    m[2], reply;
    struct osp_wr            w = osp_wr_to(bytes, sizeof(bytes));
    struct osprey_served     sv;
    const struct osp_msg    *req, *out;
    const struct osprey_sec *sec;
    uint8_t                  classes[OSP_MSG_OPTS_MAX];
    struct osp_layer_ends    ends = { .role = OSP_LAYER_TO_PROXY, .is_next_hop = true };
    unsigned                 at = 0;

    (void)state;
    (void)scenario("fwd C-S, C-P");
    make_table();
    sec = find(&client, "CTX_C_S");
    osp_msg_init(&m[at], OSP_GET);
    for (size_t i = 0; i <= OSPREY_LAYERS_MAX; i++, at = !at) {
        struct osp_layer layer = { 0 };

        EXPECT_OK(osp_classes(&ends, &m[at], classes));
        EXPECT_OK(osp_oscore_protect_request(crypto, sec->octx, &m[at], classes, &w, &m[!at], &layer));
        osp_layer_fini(&layer);
    }
    assert_false(osprey_serve_open(&server, &m[at], &sv, &req, &reply));
    assert_int_equal(OSP_E_LAYERS, sv.err);
    assert_int_equal(OSPREY_LAYERS_MAX, sv.count);
    assert_int_equal(OSP_CODE(4, 1), reply.code);
    assert_int_equal(0, reply.payload.n);
    EXPECT_OK(osprey_serve_seal(&server, &sv, &reply, &out)); /* it goes back under all that came off */
    assert_int_equal(OSP_CODE(2, 4), out->code);
    osprey_served_fini(&sv);
}

/* row S04 */
static void
origin_refuses_a_replay_and_says_so_unprotected(void **state)
{
    struct osprey_route  r;
    struct osprey_answer a;
    struct osprey_served sv;
    const struct osp_msg *m;
    bool                 delivered;

    (void)state;
    (void)scenario("fwd C-S, C-P");
    route_c_s_c_p(&r);
    make_table();
    m = build(&r, NULL);
    EXPECT_OK(serve(m, OSP_CODE(2, 5), &a, &sv, &delivered));
    assert_true(delivered);
    osprey_served_fini(&sv);
    EXPECT_OK(serve(m, OSP_CODE(2, 5), &a, &sv, &delivered));
    assert_false(delivered);
    assert_int_equal(OSP_E_REPLAY, sv.err);
    assert_int_equal(OSP_CODE(4, 1), a.msg->code);
    assert_int_equal(1, a.level); /* nobody vouches for it */
    assert_true(osp_msg_has(a.msg, OSP_OPT_MAX_AGE));
    osprey_served_fini(&sv);
}

/* row S03 */
static void
origin_refuses_a_bad_tag_and_takes_the_good_one_after(void **state)
{
    static uint8_t       spoiled[256];
    struct osprey_route  r;
    struct osprey_answer a;
    struct osprey_served sv;
    struct osp_msg       bad;
    const struct osp_msg *m;
    bool                 delivered;

    (void)state;
    (void)scenario("fwd C-S, C-P");
    route_c_s_c_p(&r);
    make_table();
    m = build(&r, NULL);
    osp_msg_copy(&bad, m);
    assert_true(osp_slice_copy(m->payload, spoiled, sizeof(spoiled)));
    spoiled[m->payload.n - 1] ^= 0x80;
    bad.payload = osp_slice(spoiled, m->payload.n);
    EXPECT_OK(serve(&bad, OSP_CODE(2, 5), &a, &sv, &delivered));
    assert_false(delivered);
    assert_int_equal(OSP_CODE(4, 0), a.msg->code);
    osprey_served_fini(&sv);
    EXPECT_OK(serve(m, OSP_CODE(2, 5), &a, &sv, &delivered));
    assert_true(delivered);
    osprey_served_fini(&sv);
}

/* row S01 */
static void
origin_refuses_undecodable_oscore_options(void **state)
{
    static const char *const bad[] = { "", "\x08\x5f", "\x0e", "\x80", "\x20", "\x09", "\x19\x01\x09z", "\x01\x01" };
    struct osp_msg           m, reply;
    struct osprey_served     sv;
    const struct osp_msg    *req;

    (void)state;
    (void)scenario("fwd C-S, C-P");
    make_table();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        osp_msg_init(&m, OSP_POST);
        m.payload = osp_slice_str("0123456789abcdef");
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice_str(bad[i])));
        assert_false(osprey_serve_open(&server, &m, &sv, &req, &reply));
        assert_int_equal(0, sv.count);
        if (reply.code != OSP_CODE(4, 2))
            fail_msg("option %zu got code %02x", i, reply.code);
        osprey_served_fini(&sv);
    }
}

/* row S02 */
static void
origin_knows_only_its_own_contexts(void **state)
{
    struct osp_msg        m, reply;
    struct osprey_served  sv;
    const struct osp_msg *req;

    (void)state;
    osp_msg_init(&m, OSP_POST);
    m.payload = osp_slice_str("0123456789abcdef");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice("\x09\x00\x5e", 3)));
    assert_false(osprey_serve_open(&server, &m, &sv, &req, &reply)); /* none at all */
    assert_int_equal(OSP_E_NO_CONTEXT, sv.err);
    (void)scenario("fwd C-S, C-P");
    make_table();
    assert_false(osprey_serve_open(&server, &m, &sv, &req, &reply));
    assert_int_equal(OSP_CODE(4, 1), reply.code);
    EXPECT_BYTES(osp_slice_str("Security context not found"), reply.payload);
}

/* row L12 */
/* [ocp#2.4] */
static void
origin_is_no_proxy_under_any_layer(void **state)
{
    struct osp_msg        m, reply;
    struct osprey_served  sv;
    const struct osp_msg *req;
    static const uint16_t nums[] = { OSP_OPT_PROXY_URI, OSP_OPT_PROXY_SCHEME };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        osp_msg_init(&m, OSP_GET);
        EXPECT_OK(osp_msg_add(&m, nums[i], osp_slice_str("coap")));
        assert_false(osprey_serve_open(&server, &m, &sv, &req, &reply));
        assert_int_equal(OSP_CODE(5, 5), reply.code);
    }
}

/* row L06 */
/* [ocp#2.5] S of the draft's scenario takes P's layer off, then C's, and puts both on again. */
static void
origin_restores_nested_layers_byte_for_byte(void **state)
{
    json_t               *s = scenario("fwd C-S, C-P, P-S");
    json_t               *w = json_array_get(json_object_get(s, "wire"), 1);
    uint8_t               bytes[512];
    struct osp_msg        in, reply;
    struct osprey_served  sv;
    const struct osp_msg *req, *out;
    bool                  header_ok;

    (void)state;
    make_table();
    EXPECT_OK(osp_msg_decode_udp(vec_hex(w, "udp", bytes, sizeof(bytes)), &in, &header_ok));
    assert_true(osprey_serve_open(&server, &in, &sv, &req, &reply));
    assert_int_equal(2, sv.count);
    assert_int_equal(OSP_GET, req->code);
    osp_msg_init(&reply, OSP_CODE(2, 5));
    reply.payload = osp_slice_str("0");
    EXPECT_OK(osprey_serve_seal(&server, &sv, &reply, &out));
    {
        json_t        *answer = json_array_get(json_object_get(s, "wire"), 2);
        uint8_t        want[512], got[512], token[8];
        struct osp_msg m;
        struct osp_wr  wr = osp_wr_to(got, sizeof(got));

        osp_msg_copy(&m, out);
        m.type = OSP_ACK;
        m.mid = (uint16_t)json_integer_value(json_object_get(answer, "mid"));
        m.token = vec_hex(answer, "token", token, sizeof(token));
        EXPECT_OK(osp_msg_encode_udp(&m, &wr));
        EXPECT_BYTES(vec_hex(answer, "udp", want, sizeof(want)), osp_wr_slice(&wr));
    }
    osprey_served_fini(&sv);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(origin_takes_message_3_off_before_the_layer),
        CASE(origin_stops_at_its_layer_limit),
        CASE(echo_challenge_is_answered_at_its_level_and_only_then_served),
        CASE(origin_refuses_a_replay_and_says_so_unprotected),
        CASE(origin_refuses_a_bad_tag_and_takes_the_good_one_after),
        CASE(origin_refuses_undecodable_oscore_options),
        CASE(origin_knows_only_its_own_contexts),
        CASE(origin_is_no_proxy_under_any_layer),
        CASE(origin_restores_nested_layers_byte_for_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
