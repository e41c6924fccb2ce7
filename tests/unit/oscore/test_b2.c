/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts derived multiple times: the steps of RFC 8613, appendix B.2, at both ends [rfc8613#B.2]. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdlib.h>

#include "msg/option.h"
#include "oscore/b2.h"
#include "oscore/oscore.h"
#include "tests/unit/vec.h"
#include "tests/unit/with_crypto.h"

static uint64_t counter;

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = counter += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        dst[i] = (uint8_t)(z >> 40);
    }
}

static struct osp_randbuf *
randomness(void)
{
    static struct osp_randbuf b;

    osp_randbuf_init(&b, (struct osp_rand){ .fill = fill });
    return &b;
}

static struct osp_octx *
base(bool server)
{
    static const uint8_t   secret[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
    static const uint8_t   salt[] = { 0x9e, 0x7c, 0xa9, 0x22, 0x23, 0x78, 0x63, 0x40 };
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice(secret, sizeof(secret)),
                                 .master_salt = osp_slice(salt, sizeof(salt)), .sender_id = osp_slice_str(server ? "S" : "C"),
                                 .recipient_id = osp_slice_str(server ? "C" : "S"), .label = 7 };
    struct osp_octx       *c;

    EXPECT_OK(osp_b2_new(&p, &c));
    return c;
}

/* ---- one message under one context ---- */

static const struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };

static void
get_tv1(struct osp_msg *m, uint16_t mid)
{
    osp_msg_init(m, OSP_GET);
    m->type = OSP_CON;
    m->mid = mid;
    m->token = osp_slice_str("z");
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str("tv1")));
}

/* A request of `c`, as bytes in `buf`. */
static struct osp_slice
ask(struct osp_octx *c, uint16_t mid, uint8_t buf[512], struct osp_layer *l)
{
    uint8_t        scratch[512], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  s = osp_wr_to(scratch, sizeof(scratch)), w = osp_wr_to(buf, 512);
    struct osp_msg m, out;

    get_tv1(&m, mid);
    osp_octx_grant(c, 0, 1);
    EXPECT_OK(osp_classes(&ends, &m, classes));
    EXPECT_OK(osp_oscore_protect_request(cr, c, &m, classes, &s, &out, l));
    EXPECT_OK(osp_msg_encode_udp(&out, &w));
    return osp_wr_slice(&w);
}

static enum osp_err
take(struct osp_octx *c, struct osp_slice wire, struct osp_layer *l)
{
    static uint8_t scratch[512];
    struct osp_wr  s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg in, out;
    bool           header;

    EXPECT_OK(osp_msg_decode_udp(wire, &in, &header));
    return osp_oscore_unprotect_request(cr, c, &in, &s, &out, l);
}

static struct osp_slice
answer(struct osp_layer *l, uint8_t code, const char *payload, uint16_t mid, uint8_t buf[512])
{
    uint8_t        scratch[512], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  s = osp_wr_to(scratch, sizeof(scratch)), w = osp_wr_to(buf, 512);
    struct osp_msg m, out;

    osp_msg_init(&m, code);
    m.type = OSP_ACK;
    m.mid = mid;
    m.token = osp_slice_str("z");
    m.payload = osp_slice_str(payload);
    EXPECT_OK(osp_classes(&ends, &m, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, l, &m, classes, false, &s, &out));
    EXPECT_OK(osp_msg_encode_udp(&out, &w));
    return osp_wr_slice(&w);
}

static enum osp_err
read_answer(struct osp_layer *l, struct osp_slice wire, uint8_t *code)
{
    static uint8_t scratch[512];
    struct osp_wr  s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg in, out;
    bool           header;
    enum osp_err   e;

    EXPECT_OK(osp_msg_decode_udp(wire, &in, &header));
    e = osp_oscore_unprotect_response(cr, l, &in, &s, &out);
    *code = out.code;
    return e;
}

/* The layer of a request under another context, as a run goes on to the next one. */
static struct osp_layer
under(const struct osp_layer *l, struct osp_octx *c)
{
    struct osp_layer n = *l;

    n.ctx = c;
    osp_octx_ref(c);
    return n;
}

/* ---- vectors ---- */

static void
check_keys(const json_t *v, const char *which, struct osp_octx *client)
{
    const json_t        *c = json_object_get(json_object_get(v, "contexts"), which);
    struct osp_octx_keys k = osp_octx_keys(client);
    struct osp_slice     id = OSP_EMPTY;
    uint8_t              b[64];

    EXPECT_BYTES(vec_hex(c, "client_key", b, sizeof(b)), k.sender_key);
    EXPECT_BYTES(vec_hex(c, "server_key", b, sizeof(b)), k.recipient_key);
    EXPECT_BYTES(vec_hex(c, "common_iv", b, sizeof(b)), k.common_iv);
    assert_true(osp_octx_id_context(client, &id));
    EXPECT_BYTES(vec_hex(c, "id_context", b, sizeof(b)), id);
    assert_int_equal(osp_octx_label(client), 7);
}

static struct osp_slice
udp(const json_t *v, size_t step, uint8_t buf[512])
{
    return vec_hex(json_array_get(json_object_get(v, "steps"), step), "udp", buf, 512);
}

/* row S11 [rfc8613#B.2] both ends, byte by byte */
static void
run_of_the_vectors_is_exact(void **state)
{
    json_t          *j = vec_load("oscore-rekey.json"), *v = json_object_get(j, "b2_rederivation");
    struct osp_octx *client = base(false), *server = base(true), *c[3], *s[3];
    struct osp_layer cl[2] = { { 0 } }, sl[2] = { { 0 } }, c2, s2;
    struct osp_slice r1, r2, r3;
    uint8_t          b[3][16], id3[32], got[512], want[512], code = 0;
    struct osp_wr    w = osp_wr_to(id3, sizeof(id3));

    (void)state;
    r1 = vec_hex(v, "r1", b[0], 16);
    r2 = vec_hex(v, "r2", b[1], 16);
    r3 = vec_hex(v, "r3", b[2], 16);
    osp_wr_put(&w, r2);
    osp_wr_put(&w, r3);
    for (int end = 0; end < 2; end++) {
        struct osp_octx **of = end ? s : c, *from = end ? server : client;

        EXPECT_OK(osp_b2_derive(from, r1, &of[0]));
        EXPECT_OK(osp_b2_derive_second(from, r2, r1, &of[1]));
        EXPECT_OK(osp_b2_derive(from, osp_wr_slice(&w), &of[2]));
    }
    check_keys(v, "first", c[0]);
    check_keys(v, "second", c[1]);
    check_keys(v, "third", c[2]);

    EXPECT_BYTES(udp(v, 0, want), ask(c[0], 1, got, &cl[0]));
    EXPECT_OK(take(s[0], udp(v, 0, want), &sl[0]));
    s2 = under(&sl[0], s[1]);
    EXPECT_BYTES(udp(v, 1, want), answer(&s2, OSP_CODE(4, 1), "", 1, got));
    c2 = under(&cl[0], c[1]);
    EXPECT_OK(read_answer(&c2, udp(v, 1, want), &code));
    assert_int_equal(code, OSP_CODE(4, 1));
    EXPECT_BYTES(udp(v, 2, want), ask(c[2], 2, got, &cl[1]));
    EXPECT_OK(take(s[2], udp(v, 2, want), &sl[1]));
    EXPECT_BYTES(udp(v, 3, want), answer(&sl[1], OSP_CODE(2, 5), "ok", 2, got));
    EXPECT_OK(read_answer(&cl[1], udp(v, 3, want), &code));
    assert_int_equal(code, OSP_CODE(2, 5));

    osp_layer_fini(&c2);
    osp_layer_fini(&s2);
    for (int i = 0; i < 3; i++) {
        osp_octx_unref(c[i]);
        osp_octx_unref(s[i]);
    }
    for (int i = 0; i < 2; i++) {
        osp_layer_fini(&cl[i]);
        osp_layer_fini(&sl[i]);
    }
    osp_octx_unref(client);
    osp_octx_unref(server);
    json_decref(j);
}

/* ---- with R2 of our own ---- */

/* ID Context R2 || R3 for an R2 that `server` made. */
static struct osp_slice
id3_of(struct osp_octx *server, uint8_t out[OSP_B2_R2_LEN + OSP_B2_R_LEN])
{
    struct osp_randbuf *r = randomness();

    EXPECT_OK(osp_b2_make_r2(server, r, out));
    osp_randbuf_take(r, out + OSP_B2_R2_LEN, OSP_B2_R_LEN);
    return osp_slice(out, OSP_B2_R2_LEN + OSP_B2_R_LEN);
}

/* row S11: random R2 and R3 */
static void
run_ends_with_the_same_context_at_both_ends(void **state)
{
    struct osp_octx *client = base(false), *server = base(true);

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct osp_octx *c, *s, *now;
        struct osp_layer cl, sl;
        uint8_t          id[24], wire[512];
        struct osp_slice id3 = id3_of(server, id), kid_context = OSP_EMPTY, unwrapped = OSP_EMPTY, second;
        uint32_t         ticket;

        EXPECT_OK(osp_b2_derive(client, id3, &c));
        assert_true(osp_octx_kid_context(c, &kid_context));
        assert_true(osp_b2_unwrap(kid_context, &unwrapped));
        assert_true(osp_b2_knows_r2(server, unwrapped, &ticket));
        EXPECT_OK(osp_b2_derive(server, unwrapped, &s));
        second = ask(c, 3, wire, &cl);
        EXPECT_OK(take(s, second, &sl));
        EXPECT_OK(osp_b2_accept(server, s, ticket));
        now = osp_b2_current(server);
        assert_ptr_equal(now, s);
        EXPECT_ERR(OSP_E_REPLAY, take(s, second, &sl));         /* the window began with it */
        osp_octx_unref(now);
        osp_octx_unref(s);
        osp_octx_unref(c);
        osp_layer_fini(&cl);
        osp_layer_fini(&sl);
    }
    osp_octx_unref(client);
    osp_octx_unref(server);
}

/* row S11: R2 is of this server and this base, whole, and not from a run that is over */
static void
only_an_r2_of_a_run_that_is_on_is_known(void **state)
{
    struct osp_octx *server = base(true), *other = base(true), *s;
    uint8_t          id[24], id_other[24];
    struct osp_slice a, b;
    uint32_t         ticket, first, was;

    (void)state;
    memset(id, 0, sizeof(id));
    assert_false(osp_b2_knows_r2(server, osp_slice(id, sizeof(id)), &ticket));  /* before there is any */
    a = id3_of(server, id);
    b = id3_of(server, id_other);
    assert_true(osp_b2_knows_r2(server, a, &first));
    assert_true(osp_b2_knows_r2(server, b, &ticket));   /* several at a time */
    assert_memory_not_equal(id, id_other, OSP_B2_R2_LEN);
    assert_false(osp_b2_knows_r2(other, a, &was));
    assert_false(osp_b2_knows_r2(server, osp_slice_head(a, OSP_B2_R2_LEN), &was));      /* R3 is missing */
    for (size_t i = 0; i < OSP_B2_R2_LEN; i++) {        /* forged */
        id[i] ^= 0x10;
        assert_false(osp_b2_knows_r2(server, a, &was));
        id[i] ^= 0x10;
    }
    EXPECT_OK(osp_b2_derive(server, a, &s));
    EXPECT_OK(osp_b2_accept(server, s, first));
    assert_false(osp_b2_knows_r2(server, a, &was));     /* replayed */
    assert_false(osp_b2_knows_r2(server, b, &was));     /* of a run that was on beside it */
    EXPECT_ERR(OSP_E_REPLAY, osp_b2_accept(server, s, first));
    EXPECT_ERR(OSP_E_REPLAY, osp_b2_accept(server, s, ticket));
    a = id3_of(server, id);                             /* a new key */
    assert_false(osp_b2_knows_r2(server, b, &was));
    EXPECT_ERR(OSP_E_REPLAY, osp_b2_accept(server, s, first));          /* looked at in the run before */
    assert_true(osp_b2_knows_r2(server, a, &ticket));
    EXPECT_OK(osp_b2_accept(server, s, ticket));
    (void)id3_of(server, id_other);                     /* and a new one after each run */
    assert_false(osp_b2_knows_r2(server, a, &was));
    osp_octx_unref(s);
    osp_octx_unref(server);
    osp_octx_unref(other);
}

static void
kid_contexts_that_are_no_byte_string_are_refused(void **state)
{
    static const struct { const char *bytes; size_t n; bool ok; } v[] = {
        { "\x41x", 2, true }, { "\x40", 1, false }, { "", 0, false }, { "\x42x", 2, false }, { "\x41xx", 3, false },
        { "\x61x", 2, false }, { "x", 1, false }, { "\x58\x01x", 3, false }, { "\x5f\x41x\xff", 4, false },
    };
    uint8_t          big[68] = { 0x58, OSP_B2_ID_MAX };
    struct osp_slice out = OSP_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        assert_int_equal(osp_b2_unwrap(osp_slice(v[i].bytes, v[i].n), &out), v[i].ok);
    assert_true(osp_b2_unwrap(osp_slice(big, 2 + OSP_B2_ID_MAX), &out));
    big[1]++;
    assert_false(osp_b2_unwrap(osp_slice(big, 3 + OSP_B2_ID_MAX), &out));
}

static void
contexts_are_derived_within_bounds_only(void **state)
{
    static const uint8_t bytes[OSP_B2_ID_MAX + 1];
    struct osp_octx     *b = base(true), *c;

    (void)state;
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_b2_derive(b, OSP_EMPTY, &c));
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_b2_derive(b, osp_slice(bytes, sizeof(bytes)), &c));
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_b2_derive_second(b, OSP_EMPTY, osp_slice(bytes, 8), &c));
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_b2_derive_second(b, osp_slice(bytes, 33), osp_slice(bytes, 32), &c));
    EXPECT_OK(osp_b2_derive_second(b, osp_slice(bytes, 32), osp_slice(bytes, 32), &c));
    osp_octx_unref(c);
    osp_octx_unref(b);
}

static void
base_itself_can_protect_nothing(void **state)
{
    struct osp_octx *b = base(true);
    uint64_t         n;

    (void)state;
    assert_true(osp_b2_is_base(b));
    assert_null(osp_b2_current(b));
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(b, &n));
    osp_octx_unref(b);
}

/* ---- the client's side ---- */

static void
client_has_one_run_at_a_time(void **state)
{
    struct osp_octx *b = base(false), *c, *now;

    (void)state;
    assert_true(osp_b2_begin(b));
    assert_false(osp_b2_begin(b));
    osp_b2_end(b, NULL);                                /* it failed */
    assert_null(osp_b2_current(b));
    assert_true(osp_b2_begin(b));
    EXPECT_OK(osp_b2_derive(b, osp_slice_str("R2R3"), &c));
    osp_b2_end(b, c);
    now = osp_b2_current(b);
    assert_ptr_equal(now, c);
    osp_octx_unref(now);
    osp_octx_unref(c);
    osp_octx_unref(b);
}

static void
restored_context_is_the_same_with_an_unknown_window(void **state)
{
    struct osp_octx     *b = base(true), *c, *again;
    struct osp_replay    w;
    struct osp_key_limits limits = { 5, 6, 7, true };
    uint8_t              fp[4][32];
    struct osp_slice     id = osp_slice_str("R2R3");
    struct osp_octx_params params = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                      .sender_id = osp_slice_str("S"), .recipient_id = osp_slice_str("C") };

    (void)state;
    osp_b2_set_limits(b, &limits);
    EXPECT_OK(osp_b2_derive(b, id, &c));
    EXPECT_OK(osp_b2_restore(b, id, &again));
    EXPECT_BYTES(osp_octx_keys(c).sender_key, osp_octx_keys(again).sender_key);
    assert_int_equal(osp_octx_get_window(c, &w), OSP_WINDOW_KNOWN);
    assert_int_equal(osp_octx_get_window(again, &w), OSP_WINDOW_UNKNOWN);
    assert_int_equal(osp_octx_usage(again).limits.q, 5);
    limits.q = 9;
    osp_b2_set_limits(b, &limits);
    assert_int_equal(osp_octx_usage(again).limits.q, 9);
    EXPECT_OK(osp_b2_fingerprint(b, &id, fp[1]));
    id = osp_slice_str("R2R4");
    EXPECT_OK(osp_b2_fingerprint(b, &id, fp[2]));
    assert_memory_not_equal(fp[1], fp[2], 32);
    EXPECT_OK(osp_octx_fingerprint(&params, fp[0]));
    EXPECT_OK(osp_b2_key(&params, fp[3]));
    assert_memory_not_equal(fp[0], fp[3], 32);          /* the record of these keys without B.2 is another */
    osp_octx_unref(c);
    osp_octx_unref(b);
}

/* ---- threads ---- */

#define THREADS 4

struct racer { struct osp_octx *server, *c; uint32_t ticket; bool won; pthread_t thread; };

static void *
race(void *arg)
{
    struct racer *r = arg;

    r->won = osp_b2_accept(r->server, r->c, r->ticket) == OSP_OK;
    return NULL;
}

/* row S11: one request #2 in two workers begins one context */
static void
one_of_several_accepts_wins(void **state)
{
    struct osp_octx *server = base(true);

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct racer r[THREADS];
        uint8_t      id[24];
        int          won = 0;

        id3_of(server, id);
        for (int i = 0; i < THREADS; i++) {
            r[i] = (struct racer){ .server = server };
            assert_true(osp_b2_knows_r2(server, osp_slice(id, 24), &r[i].ticket));
            EXPECT_OK(osp_b2_derive(server, osp_slice(id, 24), &r[i].c));
        }
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(r[i].thread, NULL);
            won += r[i].won;
            osp_octx_unref(r[i].c);
        }
        assert_int_equal(won, 1);
    }
    osp_octx_unref(server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_of_the_vectors_is_exact),
        cmocka_unit_test(run_ends_with_the_same_context_at_both_ends),
        cmocka_unit_test(only_an_r2_of_a_run_that_is_on_is_known),
        cmocka_unit_test(kid_contexts_that_are_no_byte_string_are_refused),
        cmocka_unit_test(contexts_are_derived_within_bounds_only),
        cmocka_unit_test(base_itself_can_protect_nothing),
        cmocka_unit_test(client_has_one_run_at_a_time),
        cmocka_unit_test(restored_context_is_the_same_with_an_unknown_window),
        cmocka_unit_test(one_of_several_accepts_wins),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
