/* SPDX-License-Identifier: BSD-2-Clause */
/* edhoc-rfc9529.json: both traces with every intermediate value, and the invalid messages. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/pk.h"
#include "edhoc/parts.h"
#include "tests/unit/vec.h"

#define BIG 1024

static struct osp_crypto *cr;
static json_t            *file;

/* ---- one side of a trace ---- */

struct side {
    struct osp_edhoc_own     own;
    struct osp_edhoc_peer    peer;
    struct osp_edhoc_peers   peers;
    struct osp_edhoc_profile profile;
    struct osp_edhoc         s;
    uint8_t                  id[BIG], cred[BIG], priv[32], seed[32];
};

static const json_t *
part(const char *trace, const char *section)
{
    return json_object_get(json_object_get(file, trace), section);
}

/* The credential item: *_cred_cbor is the byte string of a certificate, or the CCS itself. */
static void
own_of(struct side *x, const json_t *v, char who)
{
    char id[] = "id_cred_x", cred[] = "cred_x_cbor", item[] = "id_cred_x_cbor", sk[] = "sk_x";

    id[8] = cred[5] = item[8] = sk[3] = who;
    EXPECT_OK(osp_edhoc_own_init(&x->own, vec_hex(v, id, x->id, BIG),
                                 vec_hex(v, json_object_get(v, cred) ? cred : item, x->cred, BIG), vec_hex(v, sk, x->priv, 32)));
}

/* Initiator and Responder who know each other; `label` of a peer is 7 for R and 9 for I. */
static void
set_up(const char *trace, struct side *i, struct side *r, bool m4)
{
    const json_t *t = json_object_get(file, trace);

    memset(i, 0, sizeof(*i));
    memset(r, 0, sizeof(*r));
    own_of(i, part(trace, "message_3"), 'i');
    own_of(r, part(trace, "message_2"), 'r');
    i->peer = (struct osp_edhoc_peer){ .cred = r->own.cred, .label = 7 };
    r->peer = (struct osp_edhoc_peer){ .cred = i->own.cred, .label = 9 };
    for (int k = 0; k < 2; k++) {
        struct side *x = k ? r : i;

        EXPECT_OK(osp_edhoc_peers_init(&x->peers, &x->peer, 1));
        x->profile = (struct osp_edhoc_profile){
            .methods = (uint8_t)(1u << json_integer_value(json_object_get(t, "method"))), .has_message_4 = m4, .own = &x->own,
            .own_count = 1, .find = osp_edhoc_peers_find, .find_ctx = &x->peers,
        };
        osp_edhoc_init(&x->s, k ? OSP_EDHOC_RESPONDER : OSP_EDHOC_INITIATOR, &x->profile, cr, 0);
    }
    r->profile.suites = (struct osp_edhoc_suites){ { json_integer_value(json_object_get(t, "suite")) }, 1 };
    i->profile.suites = r->profile.suites;
    if (strcmp(trace, "trace_2") == 0)
        i->profile.suites = (struct osp_edhoc_suites){ { 6, 2 }, 2 };
}

static void
check_value(const json_t *v, const char *key, struct osp_slice got)
{
    uint8_t b[BIG];

    if (!json_object_get(v, key))
        fail_msg("the file has no %s", key);
    unit_expect_bytes(vec_hex(v, key, b, BIG), got, key, __FILE__, __LINE__);
}

static void
expect_bstr(const json_t *v, const char *key, struct osp_slice want)
{
    uint8_t         b[BIG];
    struct osp_cbor c = osp_cbor_from(vec_hex(v, key, b, BIG));

    unit_expect_bytes(want, osp_cbor_bstr(&c), key, __FILE__, __LINE__);
    assert_true(osp_cbor_done(&c));
}

/* ---- the messages ---- */

/* Runs a trace through both machines and compares every message; leaves both sessions complete. */
static void
run(const char *trace, struct side *i, struct side *r)
{
    bool          second = strcmp(trace, "trace_2") == 0;
    const json_t *m1 = part(trace, second ? "message_1_second_time" : "message_1"), *m2 = part(trace, "message_2");
    uint8_t       b[BIG], seed[32], c[8];
    struct osp_wr w = osp_wr_to(b, sizeof(b));
    uint8_t       method = (uint8_t)json_integer_value(json_object_get(json_object_get(file, trace), "method"));
    int64_t       suite = json_integer_value(json_object_get(json_object_get(file, trace), "suite"));

    (void)vec_hex(m1, "x", seed, 32);
    EXPECT_OK(osp_edhoc_make_message_1(&i->s, method, suite, seed, vec_hex(m1, "c_i", c, 8), OSP_EMPTY, &w));
    check_value(m1, "message_1", osp_wr_slice(&w));
    EXPECT_OK(osp_edhoc_take_message_1(&r->s, osp_wr_slice(&w), NULL));
    check_value(m2, "h_message_1", osp_edhoc_secrets(&r->s).th);
    w.n = 0;
    (void)vec_hex(m2, "y", seed, 32);
    EXPECT_OK(osp_edhoc_make_message_2(&r->s, seed, vec_hex(m2, "c_r", c, 8), OSP_EMPTY, &w));
    check_value(m2, "message_2", osp_wr_slice(&w));
    check_value(m2, "prk_3e2m", osp_edhoc_secrets(&r->s).prk);
    EXPECT_OK(osp_edhoc_take_message_2(&i->s, osp_wr_slice(&w), NULL));
    check_value(m2, "prk_3e2m", osp_edhoc_secrets(&i->s).prk);
    check_value(part(trace, "message_3"), "th_3", osp_edhoc_secrets(&i->s).th);
    assert_int_equal(osp_edhoc_who(&i->s)->label, 7);
    w.n = 0;
    EXPECT_OK(osp_edhoc_make_message_3(&i->s, OSP_EMPTY, &w));
    check_value(part(trace, "message_3"), "message_3", osp_wr_slice(&w));
    assert_null(osp_edhoc_who(&r->s));
    EXPECT_OK(osp_edhoc_take_message_3(&r->s, osp_wr_slice(&w), NULL));
    assert_int_equal(osp_edhoc_who(&r->s)->label, 9);
    check_value(part(trace, "message_3"), "th_4", osp_edhoc_secrets(&r->s).th);
    check_value(part(trace, "message_3"), "prk_4e3m", osp_edhoc_secrets(&r->s).prk);
    w.n = 0;
    EXPECT_OK(osp_edhoc_make_message_4(&r->s, OSP_EMPTY, &w));
    check_value(part(trace, "message_4"), "message_4", osp_wr_slice(&w));
    EXPECT_OK(osp_edhoc_take_message_4(&i->s, osp_wr_slice(&w), NULL));
}

static void
expect_oscore(const char *trace, const struct osp_edhoc *s, bool client)
{
    const json_t           *v = part(trace, "oscore_parameters");
    struct osp_edhoc_oscore o;

    EXPECT_OK(osp_edhoc_oscore(s, &o));
    check_value(v, "oscore_master_secret", osp_slice(o.master_secret, o.master_secret_len));
    check_value(v, "oscore_master_salt", osp_slice(o.master_salt, 8));
    check_value(v, "client_oscore_sender_id", client ? osp_slice(o.sender_id.bytes, o.sender_id.len)
                                                      : osp_slice(o.recipient_id.bytes, o.recipient_id.len));
    check_value(v, "server_oscore_sender_id", client ? osp_slice(o.recipient_id.bytes, o.recipient_id.len)
                                                      : osp_slice(o.sender_id.bytes, o.sender_id.len));
    assert_int_equal(o.aead, strtol(vec_str(v, "application_aead_algorithm"), NULL, 10));
    assert_int_equal(o.hkdf, OSP_HKDF_SHA256);
    check_value(part(trace, "prk_out_and_prk_exporter"), "prk_exporter", osp_edhoc_secrets(s).prk_exporter);
}

static void
messages_of(const char *trace)
{
    struct side i, r;

    set_up(trace, &i, &r, true);
    run(trace, &i, &r);
    assert_int_equal(osp_edhoc_state(&i.s), OSP_EDHOC_COMPLETED);
    assert_int_equal(osp_edhoc_state(&r.s), OSP_EDHOC_COMPLETED);
    expect_oscore(trace, &i.s, true);
    expect_oscore(trace, &r.s, false);
    osp_edhoc_fini(&i.s);
    osp_edhoc_fini(&r.s);
}

/* row X01 (partly: the library, both traces) */
/* [rfc9528#5.2] [rfc9528#5.3] [rfc9528#5.3.2] [rfc9528#5.4] [rfc9528#5.4.2] [rfc9528#5.5] [rfc9528#A.1] RFC 9529, 2 and 3 */
static void
messages_and_keys_of_both_traces_are_exact(void **state)
{
    (void)state;
    messages_of("trace_1");
    messages_of("trace_2");
}

/* ---- the values between ---- */

static void
expect_kdf(const json_t *v, const char *info_key, const char *key, struct osp_slice prk, int64_t label, struct osp_slice context)
{
    uint8_t       b[BIG], want[BIG];
    size_t        n = vec_hex(v, key, want, BIG).n;
    struct osp_wr w = osp_wr_to(b, sizeof(b));

    osp_edhoc_info_put(&w, label, context, n);
    check_value(v, info_key, osp_wr_slice(&w));
    EXPECT_OK(osp_edhoc_kdf(OSP_SHA256, prk, label, context, b, n));
    check_value(v, key, osp_slice(b, n));
}

static void
expect_th(const json_t *v, const char *input_key, const char *key, struct osp_slice th, struct osp_slice plain,
          struct osp_slice cred)
{
    uint8_t       b[BIG], out[64];
    struct osp_wr w = osp_wr_to(b, sizeof(b));

    osp_wr_u8(&w, 0x58);
    osp_wr_u8(&w, 32);
    osp_wr_put(&w, th);
    osp_wr_put(&w, plain);
    osp_wr_put(&w, cred);
    check_value(v, input_key, osp_wr_slice(&w));
    EXPECT_OK(osp_edhoc_th_next(OSP_SHA256, th, plain, cred, out));
    check_value(v, key, osp_slice(out, 32));
}

/* The MAC, its context and what is signed over it, for message_2 or message_3. */
static void
expect_proof(const json_t *v, char y, const struct osp_edhoc_covered *c, struct osp_slice prk)
{
    uint8_t       b[BIG], d[BIG];
    struct osp_wr w = osp_wr_to(b, sizeof(b));
    char          key[64];
    char          info[] = "info_for_mac_x", mac[] = "mac_x";
    struct osp_slice p;

    info[13] = mac[4] = y;
    osp_edhoc_context_put(&w, c);
    (void)snprintf(key, sizeof(key), "context_%c", y);
    check_value(v, key, osp_wr_slice(&w));
    (void)snprintf(key, sizeof(key), "context_%c_bstr", y);
    expect_bstr(v, key, osp_wr_slice(&w));
    expect_kdf(v, info, mac, prk, y == '2' ? OSP_EDHOC_MAC_2 : OSP_EDHOC_MAC_3, osp_wr_slice(&w));
    (void)snprintf(key, sizeof(key), "mac_%c_cbor", y);
    expect_bstr(v, key, vec_hex(v, mac, d, BIG));
    (void)snprintf(key, sizeof(key), "message_to_be_signed_%c", y);
    if (json_object_get(v, key)) {
        w.n = 0;
        osp_edhoc_sign_structure_put(&w, c, vec_hex(v, mac, d, BIG));
        check_value(v, key, osp_wr_slice(&w));
    }
    (void)snprintf(key, sizeof(key), "signature_or_mac_%c", y);
    p = vec_hex(v, key, d, BIG);
    (void)snprintf(key, sizeof(key), "signature_or_mac_%c_cbor", y);
    expect_bstr(v, key, p);
}

/* PRK_2e to PRK_3e2m, or PRK_3e2m to PRK_4e3m, of a side that uses static Diffie-Hellman. */
static void
expect_dh_prk(const json_t *v, const char *const keys[4], struct osp_slice prk, int64_t label, struct osp_slice th,
              struct osp_slice own, struct osp_slice peer)
{
    uint8_t b[BIG], shared[32], out[64];

    expect_kdf(v, keys[0], keys[1], prk, label, th);
    EXPECT_OK(osp_pk_shared(OSP_P256, own.p, peer, shared));
    check_value(v, keys[2], osp_slice(shared, 32));
    EXPECT_OK(osp_hkdf_extract(OSP_SHA256, vec_hex(v, keys[1], b, BIG), osp_slice(shared, 32), out));
    check_value(v, keys[3], osp_slice(out, 32));
}

/* From the ephemeral keys to TH_2, PRK_2e and KEYSTREAM_2. */
static void
values_of_message_2(const char *trace, const struct osp_edhoc_cred *cred_r)
{
    bool              p256 = strcmp(trace, "trace_2") == 0;
    const json_t     *m1 = part(trace, p256 ? "message_1_second_time" : "message_1"), *v = part(trace, "message_2");
    enum osp_curve    curve = p256 ? OSP_P256 : OSP_X25519;
    uint8_t           a[BIG], b[BIG], d[BIG], e[BIG], out[64], pub[64], k[BIG];
    struct osp_slice  message_1 = vec_hex(m1, "message_1", a, BIG), th, prk, plain, c_r;

    EXPECT_OK(osp_digest(OSP_SHA256, &message_1, 1, out));
    check_value(v, "h_message_1", osp_slice(out, 32));
    EXPECT_OK(osp_pk_pair(curve, vec_hex(m1, "x", b, 32).p, out, pub));
    check_value(m1, "g_x", osp_slice(pub, 32));
    expect_bstr(m1, "g_x_cbor", osp_slice(pub, 32));
    EXPECT_OK(osp_pk_pair(curve, vec_hex(v, "y", b, 32).p, out, pub));
    check_value(v, "g_y", osp_slice(pub, 32));
    expect_bstr(v, "g_y_cbor", osp_slice(pub, 32));
    EXPECT_OK(osp_pk_shared(curve, b, vec_hex(m1, "g_x", d, BIG), out));
    check_value(v, "g_xy", osp_slice(out, 32));
    EXPECT_OK(osp_edhoc_th_2(OSP_SHA256, osp_slice(pub, 32), vec_hex(v, "h_message_1", d, BIG), k));
    check_value(v, "th_2", osp_slice(k, 32));
    expect_bstr(v, "th_2_cbor", osp_slice(k, 32));
    check_value(v, "salt", osp_slice(k, 32));
    EXPECT_OK(osp_hkdf_extract(OSP_SHA256, osp_slice(k, 32), osp_slice(out, 32), pub));
    check_value(v, "prk_2e", osp_slice(pub, 32));
    th = vec_hex(v, "th_2", a, BIG);
    if (p256)
        expect_dh_prk(v, (const char *const[]){ "info_for_salt_3e2m", "salt_3e2m", "g_rx", "prk_3e2m" }, osp_slice(pub, 32),
                      OSP_EDHOC_SALT_3E2M, th, vec_hex(v, "sk_r", b, 32), vec_hex(m1, "g_x", d, BIG));
    c_r = vec_hex(v, "c_r_cbor", d, BIG);
    prk = vec_hex(v, "prk_3e2m", b, BIG);
    expect_proof(v, '2', &(struct osp_edhoc_covered){ c_r, cred_r->id_cred, cred_r->cred, OSP_EMPTY, th }, prk);
    plain = vec_hex(v, "plaintext_2", e, BIG);
    expect_kdf(v, "info_for_keystream_2", "keystream_2", osp_slice(pub, 32), OSP_EDHOC_KEYSTREAM_2, th);
    (void)vec_hex(v, "keystream_2", k, BIG);
    for (size_t i = 0; i < plain.n; i++)
        k[i] ^= plain.p[i];
    check_value(v, "ciphertext_2", osp_slice(k, plain.n));
    expect_th(part(trace, "message_3"), "input_to_calculate_th_3", "th_3", th, plain, cred_r->cred);
}

/* K, IV and AAD of message_3 or message_4, and the ciphertext that they make. */
static void
expect_sealed(const json_t *v, char y, struct osp_slice prk, struct osp_slice th)
{
    uint8_t          b[BIG], k[32], iv[16], plain[BIG], out[BIG];
    struct osp_wr    w = osp_wr_to(b, sizeof(b));
    char             key[4][32];
    struct osp_slice p;

    (void)snprintf(key[0], 32, "info_for_k_%c", y);
    (void)snprintf(key[1], 32, "k_%c", y);
    expect_kdf(v, key[0], key[1], prk, y == '3' ? OSP_EDHOC_K_3 : OSP_EDHOC_K_4, th);
    (void)vec_hex(v, key[1], k, 32);
    (void)snprintf(key[0], 32, "info_for_iv_%c", y);
    (void)snprintf(key[1], 32, "iv_%c", y);
    expect_kdf(v, key[0], key[1], prk, y == '3' ? OSP_EDHOC_IV_3 : OSP_EDHOC_IV_4, th);
    (void)vec_hex(v, key[1], iv, 16);
    osp_edhoc_enc_structure_put(&w, th);
    (void)snprintf(key[0], 32, "a_%c", y);
    check_value(v, key[0], osp_wr_slice(&w));
    (void)snprintf(key[0], 32, "plaintext_%c", y);
    p = vec_hex(v, key[0], plain, BIG);
    EXPECT_OK(osp_aead_seal(cr, OSP_AES_CCM_16_64_128, k, iv, osp_wr_slice(&w), p, out));
    (void)snprintf(key[0], 32, "ciphertext_%c", y);
    check_value(v, key[0], osp_slice(out, p.n + 8));
    (void)snprintf(key[0], 32, "message_%c", y);
    expect_bstr(v, key[0], osp_slice(out, p.n + 8));
}

static void
values_of_message_3_and_4(const char *trace, const struct osp_edhoc_cred *cred_i)
{
    bool             p256 = strcmp(trace, "trace_2") == 0;
    const json_t    *v = part(trace, "message_3"), *out = part(trace, "prk_out_and_prk_exporter");
    uint8_t          a[BIG], b[BIG], d[BIG], e[BIG], f[BIG];
    struct osp_slice th_3 = vec_hex(v, "th_3", a, BIG), prk = vec_hex(part(trace, "message_2"), "prk_3e2m", b, BIG), th_4;

    if (p256)
        expect_dh_prk(v, (const char *const[]){ "info_for_salt_4e3m", "salt_4e3m", "g_iy", "prk_4e3m" }, prk, OSP_EDHOC_SALT_4E3M,
                      th_3, vec_hex(v, "sk_i", d, 32), vec_hex(part(trace, "message_2"), "g_y", e, BIG));
    expect_sealed(v, '3', prk, th_3);
    prk = vec_hex(v, "prk_4e3m", b, BIG);
    expect_proof(v, '3', &(struct osp_edhoc_covered){ OSP_EMPTY, cred_i->id_cred, cred_i->cred, OSP_EMPTY, th_3 }, prk);
    expect_th(v, "input_to_calculate_th_4", "th_4", th_3, vec_hex(v, "plaintext_3", f, BIG), cred_i->cred);
    th_4 = vec_hex(v, "th_4", a, BIG);
    expect_sealed(part(trace, "message_4"), '4', prk, th_4);
    expect_kdf(out, "info_for_prk_out", "prk_out", prk, OSP_EDHOC_PRK_OUT, th_4);
    expect_kdf(out, "info_for_prk_exporter", "prk_exporter", vec_hex(out, "prk_out", b, BIG), OSP_EDHOC_PRK_EXPORTER, OSP_EMPTY);
    prk = vec_hex(out, "prk_exporter", b, BIG);
    v = part(trace, "oscore_parameters");
    expect_kdf(v, "info_for_oscore_master_secret", "oscore_master_secret", prk, 0, OSP_EMPTY);
    expect_kdf(v, "info_for_oscore_master_salt", "oscore_master_salt", prk, 1, OSP_EMPTY);
}

/* [rfc9528#4.1.1.2] [rfc9528#4.1.1.3] [rfc9528#4.1.2] [rfc9528#4.1.3] [rfc9528#4.2.1] [rfc9052#4.4] [rfc9052#5.3] */
static void
every_value_between_is_exact(void **state)
{
    struct side i, r;

    (void)state;
    for (int k = 1; k <= 2; k++) {
        const char *trace = k == 1 ? "trace_1" : "trace_2";

        set_up(trace, &i, &r, true);
        values_of_message_2(trace, &r.own.cred);
        values_of_message_3_and_4(trace, &i.own.cred);
    }
}

/* [rfc9528#3.5.1] keys are found in certificates and Claims Sets */
static void
keys_of_the_credentials_are_found(void **state)
{
    struct side   i, r;
    const json_t *m2 = part("trace_1", "message_2"), *m3 = part("trace_1", "message_3");

    (void)state;
    set_up("trace_1", &i, &r, false);
    check_value(m2, "pk_r", osp_slice(r.own.cred.key.bytes, 32));
    check_value(m3, "pk_i", osp_slice(i.own.cred.key.bytes, 32));
    assert_int_equal(r.own.cred.key.curve, OSP_ED25519);
    set_up("trace_2", &i, &r, false);
    m2 = part("trace_2", "message_2");
    check_value(m2, "pk_r_x", osp_slice(r.own.cred.key.bytes, 32));
    check_value(m2, "pk_r_y", osp_slice(r.own.cred.key.bytes + 32, 32));
    assert_int_equal(r.own.cred.key.curve, OSP_P256);
}

/* row X02 (partly: the library) */
/* [rfc9528#6.3] the first message_1 of trace 2 selects suite 6, the answer is SUITES_R = 2 */
static void
suite_6_is_refused_with_the_message_of_the_trace(void **state)
{
    const json_t           *v = part("trace_2", "message_1_first_time");
    struct side             i, r;
    uint8_t                 b[BIG], d[BIG];
    struct osp_wr           w = osp_wr_to(d, sizeof(d));
    struct osp_edhoc_error  error;
    int64_t                 next = -1;

    (void)state;
    set_up("trace_2", &i, &r, false);
    EXPECT_ERR(OSP_E_EDHOC_SUITE, osp_edhoc_take_message_1(&r.s, vec_hex(v, "message_1", b, BIG), NULL));
    EXPECT_OK(osp_edhoc_make_error(&r.s, &w));
    check_value(part("trace_2", "error"), "error", osp_wr_slice(&w));
    EXPECT_OK(osp_edhoc_read_error(osp_wr_slice(&w), &error));
    assert_int_equal(error.code, OSP_EDHOC_ERR_SUITE);
    EXPECT_OK(osp_edhoc_suite_choose(&i.profile.suites, &error.suites_r, &next));
    assert_int_equal(next, 2);
}

/* ---- invalid messages ---- */

/* The Responder of trace 2 with every suite switched on that it can have. */
static enum osp_err
take_1_then_2(struct osp_slice message, int64_t suite)
{
    static struct side   i, r;
    struct osp_edhoc_own x25519;
    uint8_t              out[BIG], seed[32] = { 9 };
    struct osp_wr        w = osp_wr_to(out, sizeof(out));
    enum osp_err         e;

    set_up("trace_2", &i, &r, false);
    x25519 = r.own;
    x25519.cred.key.curve = OSP_X25519;
    if (suite == 0)
        r.profile.own = &x25519;
    r.profile.suites = (struct osp_edhoc_suites){ { suite }, 1 };
    e = osp_edhoc_take_message_1(&r.s, message, NULL);
    if (e == OSP_OK)            /* whether G_X is a point shows when it is used */
        e = osp_edhoc_make_message_2(&r.s, seed, osp_slice_str("\x01"), OSP_EMPTY, &w);
    assert_int_equal(osp_edhoc_state(&r.s), OSP_EDHOC_ABORTED);
    assert_int_equal(w.n, 0);
    w.n = 0;
    EXPECT_OK(osp_edhoc_make_error(&r.s, &w));
    EXPECT_ERR(OSP_E_EDHOC_STATE, osp_edhoc_make_error(&r.s, &w));
    return e;
}

/* The Initiator of trace 2 gets this as message_2. */
static enum osp_err
take_2(struct osp_slice message)
{
    static struct side i, r;
    const json_t      *m1 = part("trace_2", "message_1_second_time");
    uint8_t            out[BIG], seed[32], c[8];
    struct osp_wr      w = osp_wr_to(out, sizeof(out));
    enum osp_err       e;

    set_up("trace_2", &i, &r, false);
    EXPECT_OK(osp_edhoc_make_message_1(&i.s, 3, 2, vec_hex(m1, "x", seed, 32).p, vec_hex(m1, "c_i", c, 8), OSP_EMPTY, &w));
    e = osp_edhoc_take_message_2(&i.s, message, NULL);
    assert_int_equal(osp_edhoc_state(&i.s), e == OSP_OK ? OSP_EDHOC_VRFD_M2 : OSP_EDHOC_ABORTED);
    return e;
}

/* The same with a plaintext under the trace's own keys. */
static enum osp_err
take_plaintext_2(struct osp_slice plain)
{
    const json_t *v = part("trace_2", "message_2");
    uint8_t       b[BIG], g[32], key[64], prk[32], th[32];
    struct osp_wr w = osp_wr_to(b, sizeof(b));

    EXPECT_OK(osp_edhoc_kdf(OSP_SHA256, vec_hex(v, "prk_2e", prk, 32), OSP_EDHOC_KEYSTREAM_2, vec_hex(v, "th_2", th, 32), key,
                            plain.n));
    osp_wr_u8(&w, 0x58);
    osp_wr_u8(&w, (uint8_t)(32 + plain.n));
    osp_wr_put(&w, vec_hex(v, "g_y", g, 32));
    for (size_t k = 0; k < plain.n; k++)
        osp_wr_u8(&w, plain.p[k] ^ key[k]);
    return take_2(osp_wr_slice(&w));
}

/* row X03 (partly: the library) */
/* [rfc9528#9.8] [rfc9528#3.5.3.2] RFC 9529, 4 */
static void
all_invalid_messages_are_refused(void **state)
{
    const json_t *list = json_object_get(file, "invalid");
    static const enum osp_err want[] = {
        OSP_E_FORMAT, OSP_E_FORMAT, OSP_E_FORMAT, OSP_E_FORMAT, OSP_E_FORMAT, OSP_E_FORMAT, OSP_E_FORMAT, OSP_E_EDHOC_SUITE,
        OSP_E_EDHOC_KEY, OSP_E_EDHOC_KEY, OSP_E_EDHOC_KEY, OSP_E_FORMAT, OSP_E_EDHOC_KEY, OSP_E_FORMAT, OSP_E_FORMAT,
    };
    uint8_t          b[BIG];
    struct osp_slice bytes;

    (void)state;
    assert_int_equal(json_array_size(list), sizeof(want) / sizeof(want[0]));
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *v = json_array_get(list, k);
        const char   *kind = vec_str(v, "kind");
        enum osp_err  e;

        bytes = vec_hex(v, "bytes", b, BIG);
        if (strcmp(kind, "message_1") == 0)
            e = take_1_then_2(bytes, want[k] == OSP_E_EDHOC_KEY && bytes.p[1] == 0 ? 0 : 2);
        else
            e = strcmp(kind, "message_2") == 0 ? take_2(bytes) : take_plaintext_2(bytes);
        if (e != want[k])
            fail_msg("%s: got %s, want %s", vec_str(v, "name"), osp_err_name(e), osp_err_name(want[k]));
    }
    /* a right form with a wrong MAC gets further, and the plaintext of the trace all the way */
    bytes = vec_hex(part("trace_2", "message_2"), "plaintext_2", b, BIG);
    EXPECT_OK(take_plaintext_2(bytes));
    b[10] ^= 1;
    EXPECT_ERR(OSP_E_EDHOC_AUTH, take_plaintext_2(bytes));
}

static int
begin(void **state)
{
    (void)state;
    file = vec_load("edhoc-rfc9529.json");
    return osp_crypto_new(&cr) == OSP_OK ? 0 : -1;
}

static int
end(void **state)
{
    (void)state;
    json_decref(file);
    osp_crypto_free(cr);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_and_keys_of_both_traces_are_exact),
        cmocka_unit_test(every_value_between_is_exact),
        cmocka_unit_test(keys_of_the_credentials_are_found),
        cmocka_unit_test(suite_6_is_refused_with_the_message_of_the_trace),
        cmocka_unit_test(all_invalid_messages_are_refused),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
