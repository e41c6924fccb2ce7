/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an EDHOC handshake costs (three messages and the keys for OSCORE), whole and on the Responder's side alone, beside the
 * bare cryptography of the same side: as many key generations, Diffie-Hellman operations, signatures, HMACs, hashes and AEAD
 * operations, straight on OpenSSL with its own keys loaded once and those of the peer loaded from bytes, no check repeated.
 *   bench_edhoc [HANDSHAKES]         (400)
 * Prints CPU microseconds, the least and the median of the tries; ours and the bare ones take turns.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>

#include "crypto/pk.h"
#include "edhoc/parts.h"
#include "tests/bench/bench.h"

#define TRIES 9

static void
need(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static double
cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- ours ---- */

struct side {
    struct osp_edhoc_own     own;
    struct osp_edhoc_peer    peer;
    struct osp_edhoc_peers   peers;
    struct osp_edhoc_profile profile;
    uint8_t                  id[16], cred[160];
};

struct ours { struct side i, r; struct osp_crypto *crypto; uint8_t method; int64_t suite; };

static void
side_init(struct side *x, int curve, uint8_t kid)
{
    uint8_t             seed[32], priv[32];
    struct osp_cose_key key = { .curve = curve, .len = curve == OSP_P256 ? 64 : 32 };
    struct osp_wr       wi = osp_wr_to(x->id, sizeof(x->id)), wc = osp_wr_to(x->cred, sizeof(x->cred));

    memset(seed, kid, sizeof(seed));
    bench_need(osp_pk_pair((enum osp_curve)curve, seed, priv, key.bytes), "pair");
    osp_edhoc_ccs_put(&wc, "42-50-31-FF-EF-37-32-39", osp_slice(&kid, 1), &key);
    osp_edhoc_id_kid_put(&wi, osp_slice(&kid, 1));
    bench_need(osp_edhoc_own_init(&x->own, osp_wr_slice(&wi), osp_wr_slice(&wc), osp_slice(priv, 32)), "credential");
}

static void
ours_init(struct ours *o, uint8_t method, int64_t suite)
{
    const struct osp_edhoc_suite *s = osp_edhoc_suite(suite);

    memset(o, 0, sizeof(*o));
    o->method = method;
    o->suite = suite;
    side_init(&o->i, method & 2 ? s->curve : osp_edhoc_sign_curve(s), 0x2b);
    side_init(&o->r, method & 1 ? s->curve : osp_edhoc_sign_curve(s), 0x32);
    for (int k = 0; k < 2; k++) {
        struct side *x = k ? &o->r : &o->i;

        x->peer.cred = k ? o->i.own.cred : o->r.own.cred;
        bench_need(osp_edhoc_peers_init(&x->peers, &x->peer, 1), "peers");
        x->profile = (struct osp_edhoc_profile){
            .methods = 15, .suites = { { suite }, 1 }, .own = &x->own, .own_count = 1, .find = osp_edhoc_peers_find,
            .find_ctx = &x->peers,
        };
    }
    bench_need(osp_crypto_new(&o->crypto), "crypto");
}

struct spent { double whole, responder; };

/* One handshake; adds to `spent`. */
static void
handshake(struct ours *o, uint32_t number, struct spent *spent)
{
    struct osp_edhoc        i, r;
    struct osp_edhoc_oscore keys;
    uint8_t                 b[3][512], seed[32] = { 1 };
    struct osp_wr           m[3] = { osp_wr_to(b[0], 512), osp_wr_to(b[1], 512), osp_wr_to(b[2], 512) };
    double                  begin = cpu_us(), at[4];

    memcpy(seed + 1, &number, sizeof(number));
    osp_edhoc_init(&i, OSP_EDHOC_INITIATOR, &o->i.profile, o->crypto, 0);
    osp_edhoc_init(&r, OSP_EDHOC_RESPONDER, &o->r.profile, o->crypto, 0);
    bench_need(osp_edhoc_make_message_1(&i, o->method, o->suite, seed, osp_slice_str("\x01"), OSP_EMPTY, &m[0]), "message_1");
    seed[0] = 2;
    at[0] = cpu_us();
    bench_need(osp_edhoc_take_message_1(&r, osp_wr_slice(&m[0]), NULL), "message_1");
    bench_need(osp_edhoc_make_message_2(&r, seed, osp_slice_str("\x02"), OSP_EMPTY, &m[1]), "message_2");
    at[1] = cpu_us();
    bench_need(osp_edhoc_take_message_2(&i, osp_wr_slice(&m[1]), NULL), "message_2");
    bench_need(osp_edhoc_make_message_3(&i, OSP_EMPTY, &m[2]), "message_3");
    bench_need(osp_edhoc_oscore(&i, &keys), "keys");
    at[2] = cpu_us();
    bench_need(osp_edhoc_take_message_3(&r, osp_wr_slice(&m[2]), NULL), "message_3");
    bench_need(osp_edhoc_oscore(&r, &keys), "keys");
    osp_edhoc_fini(&r);
    at[3] = cpu_us();
    osp_edhoc_fini(&i);
    spent->responder += at[1] - at[0] + at[3] - at[2];
    spent->whole += cpu_us() - begin;
}

/* ---- the bare operations ---- */

struct bare {
    bool            p256, sign_p256;
    EVP_PKEY       *own_dh, *own_sign;
    EVP_PKEY_CTX   *generator;          /* kept: the cheapest way to many keys */
    EVP_CIPHER_CTX *aead;
    uint8_t         dh_pub[65], sign_pub[65], ephemeral_pub[65], sig[80];
    size_t          dh_len, sign_len, ephemeral_len, sig_len;
};

static const uint8_t text[192] = { 7 };         /* about as long as what is hashed and signed */

static EVP_PKEY *
generate(EVP_PKEY_CTX *ctx)
{
    EVP_PKEY *key = NULL;

    need(EVP_PKEY_keygen(ctx, &key) == 1, "keygen");
    return key;
}

static EVP_PKEY_CTX *
generator(int type)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(type, NULL);

    need(ctx && EVP_PKEY_keygen_init(ctx) == 1, "generator");
    if (type == EVP_PKEY_EC)
        need(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) == 1, "curve");
    return ctx;
}

static void
public_of(EVP_PKEY *key, bool p256, uint8_t out[65], size_t *len)
{
    *len = 65;
    if (p256)
        need(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, out, 65, len) == 1, "public key");
    else
        need(EVP_PKEY_get_raw_public_key(key, out, len) == 1, "public key");
}

/* A peer's key from bytes; a compressed P-256 point as EDHOC sends it, when `len` is 33. */
static EVP_PKEY *
load(int type, const uint8_t *pub, size_t len)
{
    OSSL_PARAM    params[3];
    EVP_PKEY_CTX *ctx;
    EVP_PKEY     *key = NULL;
    char          group[] = "prime256v1";
    uint8_t       copy[65];

    if (type != EVP_PKEY_EC)
        return EVP_PKEY_new_raw_public_key(type, NULL, pub, len);
    memcpy(copy, pub, len);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, len);
    params[2] = OSSL_PARAM_construct_end();
    ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    need(ctx && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1, "load");
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void
derive(EVP_PKEY *own, EVP_PKEY *peer)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    uint8_t       out[32];
    size_t        n = sizeof(out);

    need(ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
         EVP_PKEY_derive(ctx, out, &n) == 1, "derive");
    EVP_PKEY_CTX_free(ctx);
}

static void
sign(struct bare *b)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    b->sig_len = sizeof(b->sig);
    need(ctx && EVP_DigestSignInit(ctx, NULL, b->sign_p256 ? EVP_sha256() : NULL, NULL, b->own_sign) == 1 &&
         EVP_DigestSign(ctx, b->sig, &b->sig_len, text, sizeof(text)) == 1, "sign");
    EVP_MD_CTX_free(ctx);
}

static void
verify(struct bare *b)
{
    EVP_PKEY   *key = load(b->sign_p256 ? EVP_PKEY_EC : EVP_PKEY_ED25519, b->sign_pub, b->sign_len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    need(ctx && EVP_DigestVerifyInit(ctx, NULL, b->sign_p256 ? EVP_sha256() : NULL, NULL, key) == 1 &&
         EVP_DigestVerify(ctx, b->sig, b->sig_len, text, sizeof(text)) == 1, "verify");
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

static void
bare_init(struct bare *b, int64_t suite)
{
    const struct osp_edhoc_suite *s = osp_edhoc_suite(suite);
    EVP_PKEY_CTX                 *g;
    EVP_PKEY                     *ephemeral;

    memset(b, 0, sizeof(*b));
    b->p256 = s->curve == OSP_P256;
    b->sign_p256 = s->sign == OSP_ES256;
    b->generator = generator(b->p256 ? EVP_PKEY_EC : EVP_PKEY_X25519);
    b->own_dh = generate(b->generator);
    g = generator(b->sign_p256 ? EVP_PKEY_EC : EVP_PKEY_ED25519);
    b->own_sign = generate(g);
    EVP_PKEY_CTX_free(g);
    public_of(b->own_dh, b->p256, b->dh_pub, &b->dh_len);
    public_of(b->own_sign, b->sign_p256, b->sign_pub, &b->sign_len);
    ephemeral = generate(b->generator);
    public_of(ephemeral, b->p256, b->ephemeral_pub, &b->ephemeral_len);
    EVP_PKEY_free(ephemeral);
    if (b->p256) {
        b->ephemeral_pub[0] = 2;
        b->ephemeral_len = 33;
    }
    b->aead = EVP_CIPHER_CTX_new();
    need(EVP_CipherInit_ex(b->aead, EVP_aes_128_ccm(), NULL, NULL, NULL, 1) == 1 &&
         EVP_CIPHER_CTX_ctrl(b->aead, EVP_CTRL_AEAD_SET_IVLEN, 13, NULL) == 1 &&
         EVP_CIPHER_CTX_ctrl(b->aead, EVP_CTRL_AEAD_SET_TAG, 8, NULL) == 1, "AEAD");
    sign(b);
}

static void
bare_fini(struct bare *b)
{
    EVP_PKEY_free(b->own_dh);
    EVP_PKEY_free(b->own_sign);
    EVP_PKEY_CTX_free(b->generator);
    EVP_CIPHER_CTX_free(b->aead);
}

/* HMACs, hashes and one AEAD of one side: Extract is one HMAC, Expand one for each 32 bytes. */
static void
symmetric(struct bare *b, unsigned hmacs, unsigned hashes)
{
    uint8_t  out[64], key[32] = { 3 }, nonce[13] = { 4 };
    unsigned n = 0;
    int      len = 0;

    for (unsigned k = 0; k < hmacs; k++)
        need(HMAC(EVP_sha256(), key, sizeof(key), text, 40, out, &n) != NULL, "HMAC");
    for (unsigned k = 0; k < hashes; k++)
        need(EVP_Digest(text, 120, out, &n, EVP_sha256(), NULL) == 1, "hash");
    need(EVP_CipherInit_ex(b->aead, NULL, NULL, key, nonce, 1) == 1 &&
         EVP_CipherUpdate(b->aead, NULL, &len, NULL, 20) == 1 &&
         EVP_CipherUpdate(b->aead, NULL, &len, text, 45) == 1 && EVP_CipherUpdate(b->aead, out, &len, text, 20) == 1, "AEAD");
}

/* What one side does: `own_dh`, `peer_dh`: who authenticates with a static Diffie-Hellman key. */
static void
bare_side(struct bare *b, bool own_dh, bool peer_dh)
{
    int       type = b->p256 ? EVP_PKEY_EC : EVP_PKEY_X25519;
    EVP_PKEY *ephemeral = generate(b->generator), *peer = load(type, b->ephemeral_pub, b->ephemeral_len);
    uint8_t   pub[65];
    size_t    n;

    public_of(ephemeral, b->p256, pub, &n);
    derive(ephemeral, peer);
    if (own_dh)
        derive(b->own_dh, peer);
    else
        sign(b);
    if (peer_dh) {
        EVP_PKEY *peer_static = load(type, b->dh_pub, b->dh_len);

        derive(ephemeral, peer_static);
        EVP_PKEY_free(peer_static);
    } else {
        verify(b);
    }
    /*
     * Extract: PRK_2e and one for each static key.  Expand: keystream, MACs, K_3, IV_3, PRK_out, PRK_exporter, two for OSCORE,
     * a salt for each static key; the keystream over a signature takes three.
     */
    symmetric(b, 1u + 9u + 2u * own_dh + 2u * peer_dh + (own_dh && peer_dh ? 0 : 2), 4);
    EVP_PKEY_free(ephemeral);
    EVP_PKEY_free(peer);
}

static void
bare_handshake(struct bare *b, uint8_t method, struct spent *spent)
{
    double begin = cpu_us(), middle;

    bare_side(b, method & 1, (method & 2) != 0);
    middle = cpu_us();
    bare_side(b, (method & 2) != 0, method & 1);
    spent->responder += middle - begin;
    spent->whole += cpu_us() - begin;
}

/* ---- figures ---- */

static int
by_value(const void *a, const void *b)
{
    double x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static void
print_of(const char *name, double v[TRIES], const char *after)
{
    qsort(v, TRIES, sizeof(v[0]), by_value);
    (void)printf("\"%s\": {\"least\": %.2f, \"median\": %.2f}%s", name, v[0], v[TRIES / 2], after);
}

static void
measure(uint8_t method, int64_t suite, unsigned count, const char *after)
{
    static struct ours o;
    struct bare        b;
    double             v[4][TRIES];

    ours_init(&o, method, suite);
    bare_init(&b, suite);
    for (int t = -1; t < TRIES; t++) {          /* one round warms up */
        struct spent ours = { 0, 0 }, bare = { 0, 0 };

        for (unsigned k = 0; k < count; k++) {
            handshake(&o, k, &ours);
            bare_handshake(&b, method, &bare);
        }
        if (t < 0)
            continue;
        v[0][t] = ours.whole / count;
        v[1][t] = ours.responder / count;
        v[2][t] = bare.whole / count;
        v[3][t] = bare.responder / count;
    }
    (void)printf("  {\"method\": %u, \"suite\": %d, ", method, (int)suite);
    print_of("whole_us", v[0], ", ");
    print_of("responder_us", v[1], ", ");
    print_of("bare_whole_us", v[2], ", ");
    print_of("bare_responder_us", v[3], "}");
    (void)printf("%s\n", after);
    bare_fini(&b);
    osp_crypto_free(o.crypto);
}

int
main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 400;

    if (count == 0)
        return 2;
    (void)printf("[\n");
    measure(0, 0, count, ",");
    measure(3, 0, count, ",");
    measure(0, 2, count, ",");
    measure(3, 2, count, "");
    (void)printf("]\n");
    return 0;
}
