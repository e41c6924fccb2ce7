/* SPDX-License-Identifier: BSD-2-Clause */
/* deterministic-request.json and group-oscore-pairwise.json: every message and every intermediate value. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/pk.h"
#include "group/parts.h"
#include "oscore/configured.h"
#include "tests/unit/vec.h"
#include "tests/unit/with_crypto.h"

#define BIG 4096

/* ---- the group of the files ---- */

/* Everything a group is made of, with the bytes behind it. */
struct roster {
    struct osp_group_params p;
    struct osp_group_member m[2];
    uint8_t                 b[5][256], of_self[3][256], of_other[3][256];
};

static struct osp_slice
member(const json_t *members, const char *id, struct osp_group_member *out, uint8_t b[3][256])
{
    const json_t *v = json_object_get(members, id);
    size_t        n = 0;

    assert_true(osp_hex_decode(osp_slice_str(id), b[0], 256, &n));
    out->id = osp_slice(b[0], n);
    out->credential = vec_hex(v, "auth_cred", b[1], 256);
    out->public_key = OSP_EMPTY;        /* it is in the credential */
    return vec_hex(v, "ed25519_private", b[2], 256);
}

static int
number(const json_t *v, const char *key)
{
    return (int)json_integer_value(json_object_get(v, key));
}

/* The group as `self` sees it (NULL: as a client that only makes deterministic requests), with `other` as a member. */
static void
fill(const json_t *g, const char *self, const char *other, struct roster *r)
{
    const json_t *members = json_object_get(g, "members");

    memset(r, 0, sizeof(*r));
    r->p.gid = vec_hex(g, "gid", r->b[0], 256);
    r->p.master_secret = vec_hex(g, "master_secret", r->b[1], 256);
    r->p.master_salt = vec_hex(g, "master_salt", r->b[2], 256);
    r->p.gm_credential = vec_hex(g, "gm_cred", r->b[3], 256);
    r->p.hkdf = OSP_HKDF_SHA256;
    r->p.aead = number(g, "alg_aead");
    r->p.group_enc = number(g, "alg_group_enc");
    r->p.signature = number(g, "alg_signature");
    r->p.agreement = number(g, "alg_pairwise_key_agreement");
    r->p.has_det = true;
    r->p.det_id = vec_hex(g, "det_sender_id", r->b[4], 256);
    r->p.det_hash = number(g, "det_hash_alg");
    if (self) {
        r->p.has_self = true;
        r->p.private_key = member(members, self, &r->p.self, r->of_self);
    }
    (void)member(members, other, &r->m[0], r->of_other);
    r->p.members = r->m;
    r->p.member_count = 1;
}

static struct osp_group *
group_of(const json_t *g, const char *self, const char *other)
{
    struct roster     r;
    struct osp_group *out = NULL;

    fill(g, self, other, &r);
    EXPECT_OK(osp_group_new(&r.p, &out, NULL));
    return out;
}

/* Decodes hex member `key` as a datagram. */
static struct osp_msg
message(const json_t *v, const char *key, uint8_t *buf)
{
    struct osp_msg m;
    bool           header;

    EXPECT_OK(osp_msg_decode_udp(vec_hex(v, key, buf, BIG), &m, &header));
    return m;
}

static void
classes_of(const struct osp_msg *m, uint8_t classes[OSP_MSG_OPTS_MAX])
{
    struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, !osp_msg_has(m, OSP_OPT_PROXY_SCHEME), false };

    EXPECT_OK(osp_classes(&ends, m, classes));
}

static void
expect_wire(const json_t *v, const char *key, const struct osp_msg *m)
{
    uint8_t       wire[BIG], want[BIG];
    struct osp_wr w = osp_wr_to(wire, sizeof(wire));

    EXPECT_OK(osp_msg_encode_udp(m, &w));
    EXPECT_BYTES(vec_hex(v, key, want, sizeof(want)), osp_wr_slice(&w));
}

/* Code, options and payload of `m` are those of the plaintext `key`. */
static void
expect_plain(const json_t *v, const char *key, const struct osp_msg *m)
{
    uint8_t       body[BIG], want[BIG];
    struct osp_wr w = osp_wr_to(body, sizeof(body));

    osp_wr_u8(&w, m->code);
    EXPECT_OK(osp_msg_encode_body(m, &w));
    EXPECT_BYTES(vec_hex(v, key, want, sizeof(want)), osp_wr_slice(&w));
}

/* ---- keys ---- */

/* [gosc#2.3] [gosc#2.1.8] [gosc#2.1.4] */
static void
keys_of_the_group_are_exact(void **state)
{
    json_t                      *j = vec_load("deterministic-request.json");
    const json_t                *g = json_object_get(j, "group"), *d = json_object_get(g, "derived");
    const json_t                *keys = json_object_get(d, "sender_keys");
    struct osp_group            *client = group_of(g, "25", "52"), *guest = group_of(g, NULL, "52");
    struct osp_group_keys        k = osp_group_keys(client);
    struct osp_group_member_keys m = osp_group_member_keys(client, 0);
    uint8_t                      b[64];

    (void)state;
    EXPECT_BYTES(vec_hex(d, "common_iv", b, 64), k.common_iv);
    EXPECT_BYTES(vec_hex(d, "signature_encryption_key", b, 64), k.signature_key);
    EXPECT_BYTES(vec_hex(keys, "25", b, 64), k.sender_key);
    EXPECT_BYTES(vec_hex(keys, "dc", b, 64), k.det_key);
    EXPECT_BYTES(vec_hex(keys, "52", b, 64), m.recipient_key);
    assert_int_equal(osp_group_keys(guest).sender_key.n, 0);
    EXPECT_BYTES(k.det_key, osp_group_keys(guest).det_key);
    osp_group_unref(client);
    osp_group_unref(guest);
    json_decref(j);
}

/* [gosc#2.5.1] [gosc#2.5.2] */
static void
pairwise_keys_are_exact_on_both_sides(void **state)
{
    json_t                      *j = vec_load("group-oscore-pairwise.json");
    const json_t                *g = json_object_get(j, "group"), *p = json_object_get(j, "pairwise");
    struct osp_group            *client = group_of(g, "25", "52"), *server = group_of(g, "52", "25");
    struct osp_group_member_keys c = osp_group_member_keys(client, 0), s = osp_group_member_keys(server, 0);
    struct roster                r;
    struct osp_group_key         pub;
    uint8_t                      b[64], secret[32];

    (void)state;
    EXPECT_BYTES(vec_hex(p, "client_to_server_key", b, 64), c.to_member);
    EXPECT_BYTES(vec_hex(p, "client_to_server_key", b, 64), s.from_member);
    EXPECT_BYTES(vec_hex(p, "server_to_client_key", b, 64), c.from_member);
    EXPECT_BYTES(vec_hex(p, "server_to_client_key", b, 64), s.to_member);
    fill(g, "25", "52", &r);
    EXPECT_OK(osp_credential_key(r.m[0].credential, &pub));
    EXPECT_BYTES(vec_hex(json_object_get(json_object_get(g, "members"), "52"), "ed25519_public", b, 64),
                 osp_slice(pub.bytes, pub.len));
    EXPECT_OK(osp_group_shared_secret(pub.curve, r.p.private_key.p, osp_slice(pub.bytes, pub.len), secret));
    EXPECT_BYTES(vec_hex(p, "shared_secret", b, 64), osp_slice(secret, 32));
    osp_group_unref(client);
    osp_group_unref(server);
    json_decref(j);
}

/* [gosc#2.5.1] */
static void
shared_secrets_are_those_of_another_implementation(void **state)
{
    json_t *j = vec_load("group-oscore-pairwise.json"), *kats = json_object_get(j, "shared_secret_kats"), *v;
    uint8_t a[64], b[64], c[64], out[32];
    size_t  i;

    (void)state;
    json_array_foreach(json_object_get(kats, "ed25519"), i, v) {
        EXPECT_OK(osp_group_shared_secret(OSP_ED25519, vec_hex(v, "private", a, 64).p, vec_hex(v, "peer_public", b, 64), out));
        EXPECT_BYTES(vec_hex(v, "shared_secret", c, 64), osp_slice(out, 32));
    }
    json_array_foreach(json_object_get(kats, "p256"), i, v) {
        (void)vec_hex(v, "peer_x", b, 32);
        (void)vec_hex(v, "peer_y", &b[32], 32);
        EXPECT_OK(osp_group_shared_secret(OSP_P256, vec_hex(v, "private", a, 64).p, osp_slice(b, 64), out));
        EXPECT_BYTES(vec_hex(v, "shared_secret", c, 64), osp_slice(out, 32));
        c[0] = (uint8_t)(2 + (b[63] & 1));
        memcpy(&c[1], b, 32);           /* the compressed point gives the same */
        EXPECT_OK(osp_group_shared_secret(OSP_P256, a, osp_slice(c, 33), out));
        EXPECT_BYTES(vec_hex(v, "shared_secret", c, 64), osp_slice(out, 32));
    }
    json_decref(j);
}

/* [gosc#4.1] */
static void
options_are_those_of_the_examples(void **state)
{
    json_t *j = vec_load("group-oscore-pairwise.json"), *v;
    size_t  i, n = 0;

    (void)state;
    json_array_foreach(json_object_get(j, "option_examples"), i, v) {
        uint8_t              b[4][64], out[64];
        struct osp_wr        w = osp_wr_to(out, sizeof(out));
        struct osp_slice     value = vec_hex(v, "option", b[3], 64);
        struct osp_group_opt o = { .group_mode = strcmp(vec_str(v, "mode"), "group") == 0 }, back;

        o.o.has_kid = json_is_string(json_object_get(v, "kid"));
        o.o.kid = vec_hex(v, "kid", b[0], 64);
        o.o.piv = vec_hex(v, "piv", b[1], 64);
        o.o.has_kid_context = json_is_string(json_object_get(v, "kid_context"));
        o.o.kid_context = vec_hex(v, "kid_context", b[2], 64);
        EXPECT_OK(osp_group_opt_write(&o, &w));
        EXPECT_BYTES(value, osp_wr_slice(&w));
        EXPECT_OK(osp_group_opt_parse(value, &back));
        assert_int_equal(back.group_mode, o.group_mode);
        assert_int_equal(back.o.has_kid, o.o.has_kid);
        assert_int_equal(back.o.has_kid_context, o.o.has_kid_context);
        EXPECT_BYTES(o.o.kid, back.o.kid);
        EXPECT_BYTES(o.o.piv, back.o.piv);
        EXPECT_BYTES(o.o.kid_context, back.o.kid_context);
        n++;
    }
    assert_int_equal(n, 4);
    json_decref(j);
}

/* ---- the parts of one message ---- */

/* aad_array and Enc_structure of `v` from their parts; yields the array. */
static struct osp_slice
check_aad(const struct osp_group *g, const struct osp_group_aad *a, const json_t *v, uint8_t *buf)
{
    uint8_t       enc[BIG], want[BIG];
    struct osp_wr w = osp_wr_to(buf, BIG), e = osp_wr_to(enc, sizeof(enc));

    EXPECT_OK(osp_group_aad_array(g, a, &w));
    EXPECT_BYTES(vec_hex(v, "aad_array", want, sizeof(want)), osp_wr_slice(&w));
    EXPECT_OK(osp_group_enc_structure(osp_wr_slice(&w), &e));
    EXPECT_BYTES(vec_hex(v, "aad", want, sizeof(want)), osp_wr_slice(&e));
    return osp_wr_slice(&w);
}

static void
check_nonce(const struct osp_group *g, struct osp_slice id, struct osp_slice piv, const json_t *v)
{
    uint8_t nonce[13], want[16];

    osp_oscore_nonce(id, piv, osp_group_keys(g).common_iv.p, 13, nonce);
    EXPECT_BYTES(vec_hex(v, "nonce", want, sizeof(want)), osp_slice(nonce, 13));
}

static void
check_ciphertext(struct osp_slice key, const json_t *v)
{
    uint8_t          nonce[16], aad[BIG], plain[BIG], out[BIG], want[BIG], k[64];
    struct osp_slice p = vec_hex(v, "plaintext", plain, BIG);

    EXPECT_BYTES(vec_hex(v, "encryption_key", k, 64), key);
    EXPECT_OK(osp_aead_seal(cr, 10, key.p, vec_hex(v, "nonce", nonce, 16).p, vec_hex(v, "aad", aad, BIG), p, out));
    EXPECT_BYTES(vec_hex(v, "ciphertext", want, BIG), osp_slice(out, p.n + 8));
}

/* [cacheable#3.4.2] steps 1 to 3 */
static void
check_request_parts(const struct osp_group *g, const json_t *v)
{
    uint8_t              b[BIG], option[64], plain[BIG], hash[64], key[32], want[64];
    static const uint8_t piv[1] = { 0 };
    struct osp_group_aad a = { .request_kid = osp_slice("\xdc", 1), .request_piv = osp_slice(piv, 1) };
    struct osp_slice     array;

    a.oscore_option = vec_hex(v, "oscore_option", option, 64);
    array = check_aad(g, &a, v, b);
    EXPECT_BYTES(vec_hex(v, "det_sender_key", want, 64), osp_group_keys(g).det_key);
    EXPECT_OK(osp_group_request_hash(g, array, vec_hex(v, "plaintext", plain, BIG), hash));
    EXPECT_BYTES(vec_hex(v, "request_hash", want, 64), osp_slice(hash, 32));
    EXPECT_OK(osp_group_det_request_key(g, osp_slice(hash, 32), key));
    check_nonce(g, a.request_kid, a.request_piv, v);
    check_ciphertext(osp_slice(key, 16), v);
}

/* [cacheable#3.4.4] [gosc#3.1] [gosc#4.2] */
static void
check_response_parts(const struct osp_group *server, const json_t *request, const json_t *v, struct osp_slice piv)
{
    uint8_t              b[BIG], c[BIG], option[64], hash[64], cls[64], want[BIG], sig[64], cred[256], priv[64];
    static const uint8_t request_piv[1] = { 0 };
    struct osp_wr        w = osp_wr_to(cls, sizeof(cls)), s = osp_wr_to(c, sizeof(c));
    struct osp_group_aad a = { .request_kid = osp_slice("\xdc", 1), .request_piv = osp_slice(request_piv, 1) };
    struct osp_slice     array;
    json_t              *j = vec_load("deterministic-request.json");
    const json_t        *self = json_object_get(json_object_get(json_object_get(j, "group"), "members"), "52");

    EXPECT_OK(osp_group_class_i(vec_hex(request, "request_hash", hash, 64), &w));
    if (json_object_get(v, "class_i_options"))
        EXPECT_BYTES(vec_hex(v, "class_i_options", want, BIG), osp_wr_slice(&w));
    a.options = osp_wr_slice(&w);
    a.oscore_option = vec_hex(v, "oscore_option", option, 64);
    a.sender_cred = vec_hex(self, "auth_cred", cred, 256);
    array = check_aad(server, &a, v, b);
    check_nonce(server, osp_slice("\x52", 1), piv, v);
    check_ciphertext(osp_group_keys(server).sender_key, v);
    EXPECT_OK(osp_group_sign_structure(array, vec_hex(v, "ciphertext", want, BIG), &s));
    if (json_object_get(v, "countersign_structure"))
        EXPECT_BYTES(vec_hex(v, "countersign_structure", want, BIG), osp_wr_slice(&s));
    EXPECT_OK(osp_pk_sign(OSP_EDDSA, vec_hex(self, "ed25519_private", priv, 64).p, osp_wr_slice(&s), sig));
    EXPECT_BYTES(vec_hex(v, "signature", want, BIG), osp_slice(sig, 64));
    EXPECT_OK(osp_group_keystream(server, osp_slice("\x52", 1), piv, false, c, 64));
    EXPECT_BYTES(vec_hex(v, "signature_keystream", want, BIG), osp_slice(c, 64));
    for (size_t i = 0; i < 64; i++)
        sig[i] ^= c[i];
    EXPECT_BYTES(vec_hex(v, "encrypted_signature", want, BIG), osp_slice(sig, 64));
    json_decref(j);
}

/* ---- deterministic requests ---- */

/* The response of a vector before it was protected. */
static struct osp_msg
plain_response(const json_t *v, const struct osp_msg *wire, uint8_t *buf)
{
    struct osp_slice p = vec_hex(v, "plaintext", buf, BIG);
    struct osp_rd    r = osp_rd_from(p);
    struct osp_msg   m;

    osp_msg_init(&m, osp_rd_u8(&r));
    EXPECT_OK(osp_msg_decode_body(osp_rd_rest(&r), &m));
    m.type = wire->type;
    m.mid = wire->mid;
    m.token = wire->token;
    return m;
}

static void
run_exchange(const json_t *x, struct osp_group *client, struct osp_group *server)
{
    const json_t          *q = json_object_get(x, "request"), *a = json_object_get(x, "response");
    uint64_t               ssn = (uint64_t)json_integer_value(json_object_get(a, "sender_sequence_number"));
    static uint8_t         scratch[5 * BIG], scratch2[5 * BIG];
    uint8_t                b[BIG], c[BIG], opt[64], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr          w = osp_wr_to(scratch, sizeof(scratch)), w2 = osp_wr_to(scratch2, sizeof(scratch2));
    struct osp_msg         in = message(q, "unprotected", b), out, got, wire;
    struct osp_group_layer cl, sl;
    struct osp_group_opt   o;

    classes_of(&in, classes);
    EXPECT_OK(osp_group_protect_deterministic(cr, client, 0, &in, classes, false, &w, &out, &cl));
    expect_wire(q, "protected", &out);
    check_request_parts(client, q);

    assert_true(osp_group_is_named(server, &out));
    EXPECT_OK(osp_group_unprotect_request(cr, server, &out, &w2, &got, &sl));
    assert_int_equal(sl.mode, OSP_GROUP_DETERMINISTIC);
    expect_wire(q, "unprotected", &got);

    EXPECT_OK(osp_group_opt_parse(vec_hex(a, "oscore_option", opt, 64), &o));
    check_response_parts(server, q, a, o.o.piv);
    wire = message(a, "protected", b);
    in = plain_response(a, &wire, c);
    classes_of(&in, classes);
    osp_group_grant(server, ssn, ssn + 1);
    w = osp_wr_to(scratch, sizeof(scratch));
    EXPECT_OK(osp_group_protect_response(cr, &sl, &in, classes, o.o.has_kid ? OSP_GROUP_KID : 0, &w, &out));
    expect_wire(a, "protected", &out);
    EXPECT_ERR(OSP_E_NO_LEASE, osp_group_protect_response(cr, &sl, &in, classes, 0, &w, &got));

    w = osp_wr_to(scratch, sizeof(scratch));
    EXPECT_OK(osp_group_unprotect_response(cr, &cl, &wire, &w, &got));
    osp_msg_remove(&in, OSP_OPT_OBSERVE);       /* the client did not mean it [cacheable#3.4.4] step 4 */
    w2 = osp_wr_to(scratch2, sizeof(scratch2));
    osp_wr_u8(&w2, in.code);
    EXPECT_OK(osp_msg_encode_body(&in, &w2));
    w = osp_wr_to(b, sizeof(b));
    osp_wr_u8(&w, got.code);
    EXPECT_OK(osp_msg_encode_body(&got, &w));
    EXPECT_BYTES(osp_wr_slice(&w2), osp_wr_slice(&w));
    osp_group_layer_fini(&cl);
    osp_group_layer_fini(&sl);
}

/* [cacheable#3.4.2] [cacheable#3.4.3] [cacheable#3.4.4] [gosc#7.3] [gosc#7.4] */
static void
deterministic_exchanges_are_exact_at_client_and_server(void **state)
{
    json_t           *j = vec_load("deterministic-request.json"), *g = json_object_get(j, "group"), *x;
    struct osp_group *clients[2] = { group_of(g, "25", "52"), group_of(g, NULL, "52") };
    size_t            i, n = 0;

    (void)state;
    json_array_foreach(json_object_get(j, "exchanges"), i, x) {
        for (size_t k = 0; k < 2; k++) {        /* a member and a client without a key pair make the same bytes */
            struct osp_group *server = group_of(g, "52", "25");

            run_exchange(x, clients[k], server);
            osp_group_unref(server);
        }
        n++;
    }
    assert_int_equal(n, 6);
    osp_group_unref(clients[0]);
    osp_group_unref(clients[1]);
    json_decref(j);
}

/* The whole way through a proxy: both layers on, the proxy's off, and the response of the cache back. */
static void
run_through_proxy(const json_t *j, size_t i, struct osp_group *group)
{
    const json_t          *t = json_object_get(j, "through_proxy"), *q = json_array_get(json_object_get(t, "requests"), i);
    const json_t          *ctx = json_object_get(q, "ctx_c_p"), *a = json_array_get(json_object_get(t, "responses"), i);
    static uint8_t         scratch[6 * BIG];
    uint8_t                b[8][256], big[BIG], classes[OSP_MSG_OPTS_MAX];
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256 };
    struct osp_layer_ends  ends = { OSP_LAYER_TO_PROXY, true, false };
    struct osp_wr          w = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg         in, mid, out;
    struct osp_octx       *c;
    struct osp_layer       cp;
    struct osp_group_layer cs;
    uint64_t               ssn = (uint64_t)json_integer_value(json_object_get(q, "client_sender_sequence_number"));
    struct osp_msg         wire = message(q, "to_proxy", big);

    p.master_secret = vec_hex(ctx, "master_secret", b[0], 256);
    p.master_salt = vec_hex(ctx, "master_salt", b[1], 256);
    p.sender_id = vec_hex(ctx, "client_sender_id", b[2], 256);
    p.recipient_id = vec_hex(ctx, "proxy_sender_id", b[3], 256);
    EXPECT_OK(osp_octx_new(&p, &c));
    osp_octx_grant(c, ssn, ssn + 1);
    osp_msg_init(&in, OSP_GET);
    EXPECT_OK(osp_msg_add(&in, OSP_OPT_URI_PATH, osp_slice_str("helloWorld")));
    classes_of(&in, classes);
    EXPECT_OK(osp_group_protect_deterministic(cr, group, 0, &in, classes, false, &w, &mid, &cs));
    EXPECT_OK(osp_msg_add(&mid, OSP_OPT_URI_HOST, osp_slice_str("example.com")));
    EXPECT_OK(osp_msg_add(&mid, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    mid.type = wire.type;
    mid.mid = wire.mid;
    mid.token = wire.token;
    EXPECT_OK(osp_classes(&ends, &mid, classes));
    EXPECT_OK(osp_oscore_protect_request(cr, c, &mid, classes, &w, &out, &cp));
    expect_wire(q, "to_proxy", &out);

    wire = message(a, "to_client", big);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &cp, &wire, &w, &mid));
    expect_plain(a, "plaintext", &mid);
    EXPECT_OK(osp_group_unprotect_response(cr, &cs, &mid, &w, &out));
    expect_plain(json_object_get(t, "server_response"), "plaintext", &out);
    osp_layer_fini(&cp);
    osp_group_layer_fini(&cs);
    osp_octx_unref(c);
}

/* row D01 (partly: the clients' bytes) */
/* [cacheable#3.4.4] [ocp#4] */
static void
two_clients_send_the_same_inside_and_both_open_the_cached_answer(void **state)
{
    json_t           *j = vec_load("deterministic-request.json");
    const json_t     *g = json_object_get(j, "group"), *t = json_object_get(j, "through_proxy");
    struct osp_group *a = group_of(g, "25", "52"), *b = group_of(g, NULL, "52"), *server = group_of(g, "52", "25");
    static uint8_t    scratch[5 * BIG], plain[BIG], buf[BIG], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr     w = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg    in = message(json_array_get(json_object_get(t, "requests"), 0), "forwarded_to_server", buf), got, out;
    struct osp_group_layer l;

    (void)state;
    run_through_proxy(j, 0, a);
    run_through_proxy(j, 1, b);
    /* what the proxy forwards is what the server answers */
    osp_group_grant(server, 6, 7);
    EXPECT_OK(osp_group_unprotect_request(cr, server, &in, &w, &got, &l));
    out = message(json_object_get(t, "server_response"), "protected", buf);
    in = plain_response(json_object_get(t, "server_response"), &out, plain);
    classes_of(&in, classes);
    check_response_parts(server, json_object_get(json_array_get(json_object_get(j, "exchanges"), 0), "request"),
                         json_object_get(t, "server_response"), osp_slice("\x06", 1));
    EXPECT_OK(osp_group_protect_response(cr, &l, &in, classes, OSP_GROUP_KID, &w, &out));
    expect_wire(json_object_get(t, "server_response"), "protected", &out);
    osp_group_layer_fini(&l);
    osp_group_unref(a);
    osp_group_unref(b);
    osp_group_unref(server);
    json_decref(j);
}

/* [cacheable#3.4.2] equal requests are equal bytes, others are not */
static void
cache_hit_pairs_follow_from_the_plain_requests(void **state)
{
    json_t           *j = vec_load("deterministic-request.json"), *v;
    struct osp_group *server = group_of(json_object_get(j, "group"), "52", "25");
    size_t            i;

    (void)state;
    json_array_foreach(json_object_get(j, "cache_hit_pairs"), i, v) {
        static uint8_t         s[2][BIG];
        uint8_t                a[BIG], b[BIG], x[BIG], y[BIG];
        struct osp_wr          w0 = osp_wr_to(s[0], BIG), w1 = osp_wr_to(s[1], BIG), wx = osp_wr_to(x, BIG),
                               wy = osp_wr_to(y, BIG);
        struct osp_msg         first = message(v, "first", a), second = message(v, "second", b), p, q;
        struct osp_group_layer l, k;

        EXPECT_OK(osp_group_unprotect_request(cr, server, &first, &w0, &p, &l));
        EXPECT_OK(osp_group_unprotect_request(cr, server, &second, &w1, &q, &k));
        EXPECT_OK(osp_msg_encode_body(&p, &wx));
        EXPECT_OK(osp_msg_encode_body(&q, &wy));
        assert_int_equal(p.code == q.code && osp_slice_eq(osp_wr_slice(&wx), osp_wr_slice(&wy)),
                         json_is_true(json_object_get(v, "hit")));
        osp_group_layer_fini(&l);
        osp_group_layer_fini(&k);
    }
    osp_group_unref(server);
    json_decref(j);
}

/* [cacheable#3.4.3] a forged Request-Hash is 4.00 without protection, an unsafe request 4.01 under it */
static void
the_server_refuses_what_the_vectors_refuse(void **state)
{
    json_t                *j = vec_load("deterministic-request.json"), *bad = json_object_get(j, "to_reject_at_server");
    struct osp_group      *server = group_of(json_object_get(j, "group"), "52", "25");
    static uint8_t         scratch[5 * BIG];
    uint8_t                b[BIG], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr          w = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg         in = message(json_array_get(bad, 0), "protected", b), out, resp;
    struct osp_group_layer l = { 0 };

    (void)state;
    assert_int_equal(json_array_size(bad), 2);
    EXPECT_ERR(OSP_E_DECRYPT, osp_group_unprotect_request(cr, server, &in, &w, &out, &l));
    assert_int_equal(osp_err_code(OSP_E_DECRYPT), OSP_CODE(4, 0));
    assert_null(l.group);
    in = message(json_array_get(bad, 1), "protected", b);
    EXPECT_ERR(OSP_E_FORBIDDEN, osp_group_unprotect_request(cr, server, &in, &w, &out, &l));
    assert_ptr_equal(l.group, server);
    osp_msg_init(&resp, osp_err_code(OSP_E_FORBIDDEN));
    assert_int_equal(resp.code, OSP_CODE(4, 1));
    classes_of(&resp, classes);
    osp_group_grant(server, 0, 1);
    EXPECT_OK(osp_group_protect_response(cr, &l, &resp, classes, OSP_GROUP_KID, &w, &out));
    assert_int_equal(out.code, OSP_CODE(2, 5));
    osp_group_layer_fini(&l);
    osp_group_unref(server);
    json_decref(j);
}

/* ---- pairwise mode ---- */

static const json_t *
by_id(const json_t *list, const char *id)
{
    const json_t *v = NULL;

    for (size_t i = 0; i < json_array_size(list); i++) {
        v = json_array_get(list, i);
        if (strcmp(vec_str(v, "id"), id) == 0)
            break;
    }
    return v;
}

static void
check_pairwise_parts(struct osp_group *sender, const json_t *v, const json_t *request, struct osp_slice cred)
{
    uint8_t              b[BIG], own[8], rp[8], option[64];
    struct osp_group_aad a = { .request_kid = osp_slice("\x25", 1), .request_piv = vec_hex(request, "partial_iv", rp, 8) };
    struct osp_slice     piv = vec_hex(v, "partial_iv", own, 8);

    a.oscore_option = vec_hex(v, "oscore_option", option, 64);
    a.sender_cred = cred;
    (void)check_aad(sender, &a, v, b);
    if (piv.n)
        check_nonce(sender, osp_group_self(sender), piv, v);
    else
        check_nonce(sender, a.request_kid, a.request_piv, v);
    check_ciphertext(osp_group_member_keys(sender, 0).to_member, v);
}

static void
run_pairwise_request(const json_t *v, struct osp_group *client, struct osp_group *server, struct osp_slice cred,
                     struct osp_group_layer *cl, struct osp_group_layer *sl)
{
    static uint8_t scratch[4 * BIG];
    uint8_t        b[BIG], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  w = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg in = message(v, "unprotected", b), out, got;
    uint64_t       ssn = (uint64_t)json_integer_value(json_object_get(v, "sender_sequence_number"));

    classes_of(&in, classes);
    osp_group_grant(client, ssn, ssn + 1);
    EXPECT_OK(osp_group_protect_request(cr, client, OSP_GROUP_PAIRWISE, 0, &in, classes, &w, &out, cl));
    expect_wire(v, "protected", &out);
    check_pairwise_parts(client, v, v, cred);
    EXPECT_OK(osp_group_unprotect_request(cr, server, &out, &w, &got, sl));
    expect_wire(v, "unprotected", &got);
    EXPECT_ERR(OSP_E_REPLAY, osp_group_unprotect_request(cr, server, &out, &w, &got, sl));
}

static void
run_pairwise_response(const json_t *v, const json_t *request, struct osp_group *server, struct osp_slice cred,
                      struct osp_group_layer *cl, struct osp_group_layer *sl)
{
    static uint8_t         scratch[4 * BIG];
    uint8_t                b[BIG], opt[64], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr          w = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg         in = message(v, "unprotected", b), out, got;
    struct osp_group_layer copy = *sl, reader = *cl;
    struct osp_group_opt   o;
    struct osp_slice       piv = vec_hex(v, "partial_iv", opt, 64);
    uint64_t               ssn = (uint64_t)json_integer_value(json_object_get(v, "sender_sequence_number"));

    EXPECT_OK(osp_group_opt_parse(vec_hex(v, "oscore_option", opt, 64), &o));
    if (o.o.piv.n)
        osp_group_grant(server, ssn, ssn + 1);
    check_pairwise_parts(server, v, request, cred);
    classes_of(&in, classes);
    EXPECT_OK(osp_group_protect_response(cr, &copy, &in, classes,
                                         (o.o.has_kid ? OSP_GROUP_KID : 0) | (piv.n ? OSP_GROUP_OWN_PIV : 0), &w, &out));
    expect_wire(v, "protected", &out);
    EXPECT_OK(osp_group_unprotect_response(cr, &reader, &out, &w, &got));
    expect_wire(v, "unprotected", &got);
    EXPECT_ERR(OSP_E_REPLAY, osp_group_unprotect_response(cr, &reader, &out, &w, &got));
}

/* [gosc#8.3] [gosc#8.4] [gosc#8.5] [gosc#8.6] [gosc#3.4] */
static void
pairwise_messages_are_exact_at_both_ends(void **state)
{
    json_t           *j = vec_load("group-oscore-pairwise.json"), *v;
    const json_t     *g = json_object_get(j, "group"), *all = json_object_get(j, "messages");
    struct osp_group *client = group_of(g, "25", "52"), *server = NULL;
    struct osp_group_layer cl = { 0 }, sl = { 0 };
    struct roster     r;
    size_t            i, n = 0;

    (void)state;
    fill(g, "25", "52", &r);
    json_array_foreach(all, i, v) {
        if (strcmp(vec_str(v, "direction"), "request") == 0) {
            osp_group_layer_fini(&cl);
            osp_group_layer_fini(&sl);
            osp_group_unref(server);
            server = group_of(g, "52", "25");
            osp_group_set_window(server, 0, &(struct osp_replay){ 0 });
            run_pairwise_request(v, client, server, r.p.self.credential, &cl, &sl);
        } else {
            struct osp_group *again = group_of(g, "52", "25");      /* numbers begin anew for each variant */

            sl.group = again;
            run_pairwise_response(v, by_id(all, vec_str(v, "to")), again, r.m[0].credential, &cl, &sl);
            sl.group = server;
            osp_group_unref(again);
        }
        n++;
    }
    assert_int_equal(n, 8);
    osp_group_layer_fini(&cl);
    osp_group_layer_fini(&sl);
    osp_group_unref(client);
    osp_group_unref(server);
    json_decref(j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_the_group_are_exact),
        cmocka_unit_test(pairwise_keys_are_exact_on_both_sides),
        cmocka_unit_test(shared_secrets_are_those_of_another_implementation),
        cmocka_unit_test(options_are_those_of_the_examples),
        cmocka_unit_test(deterministic_exchanges_are_exact_at_client_and_server),
        cmocka_unit_test(two_clients_send_the_same_inside_and_both_open_the_cached_answer),
        cmocka_unit_test(cache_hit_pairs_follow_from_the_plain_requests),
        cmocka_unit_test(the_server_refuses_what_the_vectors_refuse),
        cmocka_unit_test(pairwise_messages_are_exact_at_both_ends),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
