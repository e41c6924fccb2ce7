/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's nested requests, and the origin's side of them: tests/vectors/nested-oscore.json and cases of our own. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "crypto/crypto.h"
#include "daemon/osprey/layers.h"
#include "daemon/osprey/origin/layers.h"
#include "edhoc/edhoc.h"
#include "msg/option.h"
#include "tests/unit/vec.h"

#define CTX_MAX 8

/* The contexts of one party of a scenario. */
struct party {
    struct osprey_sec sec[CTX_MAX];
    size_t            count;
};

static struct osp_crypto    *crypto;
static struct osprey_onion   onion;
static struct osprey_server  server;
static struct osp_randbuf    rand_buf;
static struct party          client, origin, proxies;
static json_t               *vectors;
static struct osp_octx_table *table;
static uint8_t               storage[4][512];
static size_t                storage_used;

static void
fill_counter(void *ctx, uint8_t *dst, size_t n)
{
    uint8_t *c = ctx;

    for (size_t i = 0; i < n; i++)
        dst[i] = (*c)++;
}

/* ---- contexts of the vectors ---- */

static void
party_fini(struct party *p)
{
    for (size_t i = 0; i < p->count; i++)
        osp_octx_unref(p->sec[i].octx);
    memset(p, 0, sizeof(*p));
}

/* `who` in `ctx`, if it has a part in it; others' IDs are the recipient's. */
static void
party_join(struct party *p, const char *who, const char *name, json_t *ctx)
{
    json_t                *ids = json_object_get(ctx, "sender_ids"), *first, *id;
    uint8_t                secret[64], salt[64], mine[8], theirs[8], idctx[64];
    struct osp_octx_params params = { .aead = (int)json_integer_value(json_object_get(ctx, "alg_aead")),
                                      .hkdf = osp_hkdf_by_name(osp_slice_str(vec_str(ctx, "hkdf"))),
                                      .label = (uint32_t)p->count };
    struct osp_replay      empty = { 0 };
    const char            *other;
    uint64_t               ssn;

    if (!json_object_get(ids, who))
        return;
    params.master_secret = vec_hex(ctx, "master_secret", secret, sizeof(secret));
    params.master_salt = vec_hex(ctx, "master_salt", salt, sizeof(salt));
    params.has_id_context = json_is_string(json_object_get(ctx, "id_context"));
    params.id_context = vec_hex(ctx, "id_context", idctx, sizeof(idctx));
    params.sender_id = vec_hex(ids, who, mine, sizeof(mine));
    json_object_foreach(ids, other, id)
    {
        if (strcmp(other, who) != 0)
            params.recipient_id = vec_hex(ids, other, theirs, sizeof(theirs));
    }
    assert_true(p->count < CTX_MAX);
    EXPECT_OK(osp_octx_new(&params, &p->sec[p->count].octx));
    p->sec[p->count].name = name;
    first = json_object_get(ctx, "first_sender_sequence_number");
    ssn = (uint64_t)json_integer_value(json_object_get(first, who));
    osp_octx_grant(p->sec[p->count].octx, ssn, ssn + 64);
    osp_octx_set_window(p->sec[p->count].octx, &empty);
    p->count++;
}

static void
join_all(json_t *scenario)
{
    const char *name;
    json_t     *ctx;

    json_object_foreach(json_object_get(scenario, "contexts"), name, ctx)
    {
        party_join(&client, "C", name, ctx);
        party_join(&origin, "S", name, ctx);
        party_join(&proxies, "P", name, ctx);
        party_join(&proxies, "P1", name, ctx);
        party_join(&proxies, "P2", name, ctx);
    }
}

static const struct osprey_sec *
find(const struct party *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->sec[i].name, name) == 0)
            return &p->sec[i];
    fail_msg("no context %s", name);
    return NULL;
}

static json_t *
scenario(const char *id)
{
    json_t *s;
    size_t  i;

    json_array_foreach(json_object_get(vectors, "scenarios"), i, s)
    {
        if (strcmp(vec_str(s, "id"), id) == 0) {
            join_all(s);
            return s;
        }
    }
    fail_msg("no scenario %s", id);
    return NULL;
}

static struct osp_uri
uri(const char *text)
{
    struct osp_uri u;

    assert_true(storage_used < 4);
    EXPECT_OK(osp_uri_split(osp_slice_str(text), storage[storage_used++], sizeof(storage[0]), &u));
    return u;
}

static int
setup(void **state)
{
    static uint8_t counter;

    (void)state;
    counter = 0;
    storage_used = 0;
    osp_randbuf_init(&rand_buf, (struct osp_rand){ fill_counter, &counter });
    EXPECT_OK(osp_crypto_new(&crypto));
    EXPECT_OK(osprey_onion_init(&onion));
    EXPECT_OK(osprey_server_init(&server));
    server.rand = &rand_buf;
    vectors = vec_load("nested-oscore.json");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    osprey_onion_fini(&onion);
    osprey_server_fini(&server);
    if (table)
        osp_octx_table_free(table);
    table = NULL;
    party_fini(&client);
    party_fini(&origin);
    party_fini(&proxies);
    osp_crypto_free(crypto);
    json_decref(vectors);
    return 0;
}

static void
make_table(void)
{
    struct osp_hash_key key = { 1, 2 };

    EXPECT_OK(osp_octx_table_new(CTX_MAX, key, &table));
    for (size_t i = 0; i < origin.count; i++)
        EXPECT_OK(osp_octx_table_add(table, origin.sec[i].octx));
    server.contexts = table;
}

/* ---- what C sends and reads ---- */

static const struct osp_msg *
build(const struct osprey_route *r, const struct osprey_echo *echo)
{
    struct osprey_content c = { .method = OSP_GET };
    const struct osp_msg *m = NULL;

    EXPECT_OK(osprey_onion_build(&onion, crypto, r, &c, echo, NULL, &m));
    return m;
}

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

/* row L01 */
/* [ocp#2.3] */
static void
end_to_end_and_proxy_layer_are_those_of_the_draft(void **state)
{
    json_t             *s = scenario("fwd C-S, C-P");
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 1 };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    run(s, &r, 3);
}

/* row L02 */
static void
end_to_end_layer_through_a_plain_proxy_is_that_of_the_draft(void **state)
{
    json_t             *s = scenario("fwd C-S, P-S");
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 1 };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, NULL };
    run(s, &r, 3);
}

/* row L03 */
static void
all_three_layers_are_those_of_the_draft(void **state)
{
    json_t             *s = scenario("fwd C-S, C-P, P-S");
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 1 };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P") };
    run(s, &r, 3);
}

/* row L04 */
static void
first_of_two_proxies_gets_what_the_draft_says(void **state)
{
    json_t             *s = scenario("two fwd C-S, C-P1, P1-P2, P2-S");
    struct osprey_route r = { .target = uri(ALARM), .end_to_end = find(&client, "CTX_C_S"), .via_count = 1 };

    (void)state;
    r.via[0] = (struct osprey_via){ uri("coap://192.0.2.1").to, find(&client, "CTX_C_P1") };
    run(s, &r, 5);
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

#define COMBINED "edhoc-optimized fwd C-S, C-P"

/* What stands before the ciphertext at step `step`. */
static struct osp_slice
message_3_of(json_t *s, size_t step, uint8_t bytes[256])
{
    json_t          *after = json_object_get(json_array_get(json_object_get(s, "steps"), step), "after");
    struct osp_slice m3 = OSP_EMPTY, ciphertext;

    EXPECT_OK(osp_edhoc_split_combined(vec_hex(after, "payload", bytes, 256), &m3, &ciphertext));
    return m3;
}

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

struct layer_seen { bool echo, hop_limit, next_hop; enum osp_leg_role role; };
static struct layer_seen seen[OSPREY_LAYERS_MAX];
static size_t            seen_count;

static void
note_step(void *ctx, const struct osprey_step *s)
{
    (void)ctx;
    assert_true(s->on && s->level == seen_count);
    seen[seen_count++] = (struct layer_seen){ osp_msg_has(s->before, OSP_OPT_ECHO), osp_msg_has(s->before, OSP_OPT_HOP_LIMIT),
                                              s->leg.is_next_hop, s->leg.role };
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
        assert_int_equal(i == 0 ? OSP_LEG_TO_SERVER : OSP_LEG_TO_PROXY, seen[i].role);
    }
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
    struct osp_leg           leg = { .role = OSP_LEG_TO_PROXY, .is_next_hop = true };
    unsigned                 at = 0;

    (void)state;
    (void)scenario("fwd C-S, C-P");
    make_table();
    sec = find(&client, "CTX_C_S");
    osp_msg_init(&m[at], OSP_GET);
    for (size_t i = 0; i <= OSPREY_LAYERS_MAX; i++, at = !at) {
        struct osp_layer layer = { 0 };

        EXPECT_OK(osp_classes(&leg, &m[at], classes));
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
        CASE(end_to_end_and_proxy_layer_are_those_of_the_draft),
        CASE(end_to_end_layer_through_a_plain_proxy_is_that_of_the_draft),
        CASE(all_three_layers_are_those_of_the_draft),
        CASE(first_of_two_proxies_gets_what_the_draft_says),
        CASE(reverse_by_host_leaves_uri_host_outside),
        CASE(reverse_by_path_puts_the_segment_beside_the_inner_layer),
        CASE(combined_requests_are_those_of_the_draft),
        CASE(origin_takes_message_3_off_before_the_layer),
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
