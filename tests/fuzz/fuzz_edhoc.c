/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An Initiator and a Responder, and an attacker who may put anything in the place of a message, of a plaintext under the
 * right keys, or of a part of one.  The first byte says which; its highest bit chooses signatures instead of static
 * Diffie-Hellman keys.  Whatever comes
 *   - nobody completes a session with bytes other than those the real peer sends,
 *   - what fails leaves an aborted session without keys and exactly one well-formed error message,
 *   - what was read of a message can be written again to the same bytes.
 * Reaches osp_edhoc_take_message_1 to _4, osp_edhoc_peek_message_1, osp_edhoc_read_error, osp_edhoc_ead_read, osp_edhoc_id,
 * osp_edhoc_cred_init, osp_edhoc_peers_find, osp_x509_read, osp_x509_verify, osp_edhoc_split_*, osp_edhoc_suites_read.
 */
#include <assert.h>
#include <stdlib.h>

#include "cbor/enc.h"
#include "crypto/pk.h"
#include "edhoc/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum place { REQUEST, MESSAGE_1, MESSAGE_2, PLAIN_2, MESSAGE_3, PLAIN_3, MESSAGE_4, PLAIN_4, ERROR_MESSAGE, COMBINED, ITEMS,
             CREDENTIAL, CERTIFICATE, PLACES };

struct side {
    struct osp_edhoc_own     own;
    struct osp_edhoc_peer    peer;
    struct osp_edhoc_peers   peers;
    struct osp_edhoc_profile profile;
    uint8_t                  id[16], cred[128];
};

/* The sides and their sessions before each message, and the messages themselves. */
struct world {
    struct side      i, r;
    struct osp_edhoc before_2, before_3, before_4;
    uint8_t          m1[128], m2[256], m3[256], m4[64], prk_2e[32], th_2[32];
    size_t           n1, n2, n3, n4;
};

static struct osp_crypto *cr;
static struct world       worlds[2];

/* ---- an honest run ---- */

#define MUST(call)                  \
    do {                            \
        if ((call) != OSP_OK)       \
            abort();                \
    } while (0)

static void
side_init(struct side *x, int curve, uint8_t kid)
{
    uint8_t             seed[32], priv[32];
    struct osp_cose_key key = { .curve = curve, .len = 32 };
    struct osp_wr       wi = osp_wr_to(x->id, sizeof(x->id)), wc = osp_wr_to(x->cred, sizeof(x->cred));

    memset(seed, kid, sizeof(seed));
    MUST(osp_pk_pair((enum osp_curve)curve, seed, priv, key.bytes));
    osp_edhoc_ccs_put(&wc, "x", osp_slice(&kid, 1), &key);
    osp_edhoc_id_kid_put(&wi, osp_slice(&kid, 1));
    MUST(osp_edhoc_own_init(&x->own, osp_wr_slice(&wi), osp_wr_slice(&wc), osp_slice(priv, 32)));
}

static void
profile_init(struct side *x, const struct side *other, uint8_t method)
{
    x->peer = (struct osp_edhoc_peer){ .cred = other->own.cred, .label = 1 };
    MUST(osp_edhoc_peers_init(&x->peers, &x->peer, 1));
    x->profile = (struct osp_edhoc_profile){
        .methods = (uint8_t)(1u << method), .suites = { { 0 }, 1 }, .has_message_4 = true, .own = &x->own, .own_count = 1,
        .find = osp_edhoc_peers_find, .find_ctx = &x->peers,
    };
}

/* TH_2 and PRK_2e of the run, from Y and what both have sent. */
static void
keys_of_message_2(struct world *w, const uint8_t y[32], const struct osp_edhoc *responder)
{
    struct osp_slice m1 = osp_slice(w->m1, w->n1);
    uint8_t          h[32], shared[32];

    MUST(osp_digest(OSP_SHA256, &m1, 1, h));
    MUST(osp_edhoc_th_2(OSP_SHA256, osp_slice(w->m2 + 2, 32), osp_slice(h, 32), w->th_2));
    MUST(osp_pk_shared(OSP_X25519, y, osp_slice(responder->g_peer, 32), shared));
    MUST(osp_hkdf_extract(OSP_SHA256, osp_slice(w->th_2, 32), osp_slice(shared, 32), w->prk_2e));
}

static void
world_init(struct world *w, uint8_t method)
{
    struct osp_edhoc i, r;
    uint8_t          x[32], y[32];
    struct osp_wr    o1 = osp_wr_to(w->m1, sizeof(w->m1)), o2 = osp_wr_to(w->m2, sizeof(w->m2));
    struct osp_wr    o3 = osp_wr_to(w->m3, sizeof(w->m3)), o4 = osp_wr_to(w->m4, sizeof(w->m4));

    memset(x, 5, sizeof(x));
    memset(y, 6, sizeof(y));
    side_init(&w->i, method ? OSP_X25519 : OSP_ED25519, 0x2b);
    side_init(&w->r, method ? OSP_X25519 : OSP_ED25519, 0x32);
    profile_init(&w->i, &w->r, method);
    profile_init(&w->r, &w->i, method);
    osp_edhoc_init(&i, OSP_EDHOC_INITIATOR, &w->i.profile, cr, 0);
    osp_edhoc_init(&r, OSP_EDHOC_RESPONDER, &w->r.profile, cr, 0);
    MUST(osp_edhoc_make_message_1(&i, method, 0, x, osp_slice_str("\x01"), OSP_EMPTY, &o1));
    w->n1 = o1.n;
    w->before_2 = i;
    MUST(osp_edhoc_take_message_1(&r, osp_wr_slice(&o1), NULL));
    MUST(osp_edhoc_make_message_2(&r, y, osp_slice_str("\x02"), OSP_EMPTY, &o2));
    w->n2 = o2.n;
    w->before_3 = r;
    keys_of_message_2(w, y, &r);
    MUST(osp_edhoc_take_message_2(&i, osp_wr_slice(&o2), NULL));
    MUST(osp_edhoc_make_message_3(&i, OSP_EMPTY, &o3));
    w->n3 = o3.n;
    w->before_4 = i;
    MUST(osp_edhoc_take_message_3(&r, osp_wr_slice(&o3), NULL));
    MUST(osp_edhoc_make_message_4(&r, OSP_EMPTY, &o4));
    w->n4 = o4.n;
}

/* ---- what must be so ---- */

/* A session that took a message: alive only if the message was `real` and whole. */
static void
judge(struct osp_edhoc *s, enum osp_err e, struct osp_slice got, struct osp_slice real)
{
    static const uint8_t   zeroes[OSP_DIGEST_MAX];
    uint8_t                b[256];
    struct osp_wr          w = osp_wr_to(b, sizeof(b));
    struct osp_edhoc_error error;

    if (e == OSP_OK) {
        assert(real.p == NULL || osp_slice_eq(got, real));
        return;
    }
    assert(osp_edhoc_state(s) == OSP_EDHOC_ABORTED && !osp_edhoc_who(s));
    assert(memcmp(s->prk, zeroes, sizeof(s->prk)) == 0 && memcmp(s->ephemeral, zeroes, 32) == 0);
    MUST(osp_edhoc_make_error(s, &w));
    MUST(osp_edhoc_read_error(osp_wr_slice(&w), &error));
    assert(osp_edhoc_make_error(s, &w) == OSP_E_EDHOC_STATE);
}

/* ---- the places ---- */

static void
message_1(const struct world *w, struct osp_slice in)
{
    struct osp_edhoc           s;
    struct osp_edhoc_message_1 m;
    struct osp_edhoc_eads      eads;
    uint8_t                    b[OSP_EDHOC_MESSAGE_MAX], seed[32];
    struct osp_wr              o = osp_wr_to(b, sizeof(b));
    enum osp_err               e;

    memset(seed, 9, sizeof(seed));
    if (osp_edhoc_peek_message_1(in, &m) == OSP_OK) {
        osp_cbor_put_int(&o, m.method);
        osp_edhoc_suites_put(&o, &m.suites_i);
        osp_cbor_put_bstr(&o, m.g_x);
        osp_edhoc_bstr_put(&o, m.c_i);
        osp_wr_put(&o, m.ead);
        assert(osp_slice_eq(osp_wr_slice(&o), in));
        o.n = 0;
    }
    osp_edhoc_init(&s, OSP_EDHOC_RESPONDER, &w->r.profile, cr, 0);
    e = osp_edhoc_take_message_1(&s, in, &eads);
    if (e == OSP_OK)
        e = osp_edhoc_make_message_2(&s, seed, osp_slice_str("\x02"), OSP_EMPTY, &o);
    judge(&s, e, in, OSP_EMPTY);
}

/* `plain` under KEYSTREAM_2. */
static void
plain_2(const struct world *w, struct osp_slice plain)
{
    uint8_t               b[OSP_EDHOC_MESSAGE_MAX], key[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr         o = osp_wr_to(b, sizeof(b));
    struct osp_edhoc      s = w->before_2;
    struct osp_edhoc_eads eads;

    if (plain.n > 4000)
        return;
    MUST(osp_edhoc_kdf(OSP_SHA256, osp_slice(w->prk_2e, 32), OSP_EDHOC_KEYSTREAM_2, osp_slice(w->th_2, 32), key, plain.n));
    osp_cbor_put_bstr_head(&o, 32 + plain.n);
    osp_wr_put(&o, osp_slice(w->m2 + 2, 32));
    for (size_t i = 0; i < plain.n; i++)
        osp_wr_u8(&o, plain.p[i] ^ key[i]);
    judge(&s, osp_edhoc_take_message_2(&s, osp_wr_slice(&o), &eads), osp_wr_slice(&o), osp_slice(w->m2, w->n2));
}

/* `plain` sealed as message_3 or message_4 is. */
static struct osp_slice
sealed(const struct osp_edhoc *s, int k_label, struct osp_slice plain, uint8_t *b, size_t cap)
{
    struct osp_edhoc_secrets k = osp_edhoc_secrets(s);
    uint8_t                  key[16], nonce[13], aad[64];
    struct osp_wr            o = osp_wr_to(b, cap), a = osp_wr_to(aad, sizeof(aad));
    uint8_t                 *at;

    MUST(osp_edhoc_kdf(OSP_SHA256, k.prk, k_label, k.th, key, sizeof(key)));
    MUST(osp_edhoc_kdf(OSP_SHA256, k.prk, k_label + 1, k.th, nonce, sizeof(nonce)));
    osp_edhoc_enc_structure_put(&a, k.th);
    osp_cbor_put_bstr_head(&o, plain.n + 8);
    at = osp_wr_reserve(&o, plain.n + 8);
    if (!at)
        abort();
    MUST(osp_aead_seal(cr, OSP_AES_CCM_16_64_128, key, nonce, osp_wr_slice(&a), plain, at));
    return osp_wr_slice(&o);
}

static void
protected(const struct world *w, enum place place, struct osp_slice in)
{
    uint8_t               b[OSP_EDHOC_MESSAGE_MAX];
    struct osp_edhoc      s = place < MESSAGE_4 ? w->before_3 : w->before_4;
    struct osp_edhoc_eads eads;

    if (in.n > 4000)
        return;
    if (place == PLAIN_3)
        in = sealed(&s, OSP_EDHOC_K_3, in, b, sizeof(b));
    if (place == PLAIN_4)
        in = sealed(&s, OSP_EDHOC_K_4, in, b, sizeof(b));
    if (place < MESSAGE_4)
        judge(&s, osp_edhoc_take_message_3(&s, in, &eads), in, osp_slice(w->m3, w->n3));
    else        /* with the keys anybody makes a message_4 with other EAD */
        judge(&s, osp_edhoc_take_message_4(&s, in, &eads), in, place == PLAIN_4 ? OSP_EMPTY : osp_slice(w->m4, w->n4));
}

static void
error_message(const struct world *w, struct osp_slice in)
{
    struct osp_edhoc       s = w->before_2;
    struct osp_edhoc_error error;
    uint8_t                b[64];
    struct osp_wr          o = osp_wr_to(b, sizeof(b));

    if (osp_edhoc_take_error(&s, in, &error) == OSP_OK)
        assert(osp_edhoc_is_error(in) && error.code != 0);
    assert(osp_edhoc_state(&s) == OSP_EDHOC_ABORTED && osp_edhoc_make_error(&s, &o) == OSP_E_EDHOC_STATE);
}

static void
payloads(const struct world *w, bool combined, struct osp_slice in)
{
    struct osp_edhoc_request r;
    struct osp_slice         m3, rest;
    struct osp_edhoc         s = w->before_3;
    struct osp_edhoc_profile p = w->r.profile;

    if (combined) {
        if (osp_edhoc_split_combined(in, &m3, &rest) == OSP_OK) {
            assert(m3.n + rest.n == in.n && rest.n > 0);
            p.has_message_4 = false;    /* which excludes it */
            s.profile = &p;
            judge(&s, osp_edhoc_take_combined(&s, m3, NULL), m3, osp_slice(w->m3, w->n3));
        }
    } else if (osp_edhoc_split_request(in, &r) == OSP_OK) {
        assert(r.message.n > 0);
        if (r.is_message_1)
            message_1(w, r.message);
    }
}

static void
items(struct osp_slice in)
{
    static const uint64_t   known[] = { 1, 5 };
    struct osp_edhoc_eads   eads;
    struct osp_edhoc_suites suites;
    uint8_t                 b[OSP_EDHOC_EAD_MAX];
    struct osp_wr           o = osp_wr_to(b, sizeof(b));

    if (osp_edhoc_ead_read(in, known, 2, &eads) == OSP_OK) {
        assert(eads.count <= OSP_EDHOC_EAD_ITEMS);
        for (size_t i = 0; i < eads.count; i++) {
            assert(eads.item[i].label == 1 || eads.item[i].label == 5);
            osp_edhoc_ead_put(&o, &eads.item[i]);
        }
        assert(!osp_wr_bad(&o) && o.n <= in.n);
    }
    if (osp_edhoc_suites_read(in, &suites) == OSP_OK) {
        o.n = 0;
        osp_edhoc_suites_put(&o, &suites);
        assert(osp_slice_eq(osp_wr_slice(&o), in));
    }
}

/* ID_CRED_x as it stands in a plaintext, then a CRED_x: what is read makes the same bytes again. */
static void
credential(struct osp_slice in)
{
    struct osp_cbor              c = osp_cbor_from(in);
    uint8_t                      kid[OSP_EDHOC_KID_MAX + 4], b[OSP_EDHOC_ID_CRED_MAX];
    struct osp_wr                o = osp_wr_to(b, sizeof(b));
    struct osp_slice             id = osp_edhoc_id(&c, kid), cred;
    struct osp_edhoc_peers       peers;
    struct osp_edhoc_peer        known = { 0 };
    const struct osp_edhoc_peer *found;

    if (osp_cbor_bad(&c))
        return;
    osp_edhoc_id_put(&o, id);
    assert(!osp_wr_bad(&o) && osp_slice_eq(osp_wr_slice(&o), osp_slice_head(in, o.n)));
    cred = osp_rd_rest(&c.r);
    if (osp_edhoc_cred_init(&known.cred, id, cred) == OSP_OK) {
        assert(known.cred.key.len == 32 || known.cred.key.len == 33 || known.cred.key.len == 64);
        MUST(osp_edhoc_peers_init(&peers, &known, 1));
        if (osp_edhoc_peers_find(&peers, id, 0, &found) == OSP_OK)
            assert(found == &known && osp_edhoc_peers_find(&peers, id, 1, &found) == OSP_E_NOT_FOUND);
    }
}

static void
certificate(struct osp_slice in)
{
    static struct osp_x509_anchors *anchors;
    struct osp_slice                chain[2] = { in, in };
    struct osp_x509                 x;

    if (!anchors)
        MUST(osp_x509_anchors_new(NULL, 0, &anchors));
    if (osp_x509_read(in, &x) == OSP_OK)
        assert(x.key_len <= sizeof(x.key) && memchr(x.name, 0, sizeof(x.name)));
    assert(osp_x509_verify(anchors, chain, 2, 1800000000, &x) != OSP_OK);       /* nobody is trusted */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osp_slice    in = osp_slice_tail(osp_slice(data, size), 1);
    const struct world *w;
    enum place          place;

    if (!cr) {
        MUST(osp_crypto_new(&cr));
        world_init(&worlds[0], 3);
        world_init(&worlds[1], 0);
    }
    if (size == 0)
        return 0;
    w = &worlds[data[0] >> 7];
    place = (enum place)((data[0] & 0x7f) % PLACES);
    switch (place) {
    case REQUEST:
    case COMBINED:
        payloads(w, place == COMBINED, in);
        break;
    case MESSAGE_1:
        message_1(w, in);
        break;
    case MESSAGE_2: {
        struct osp_edhoc s = w->before_2;

        judge(&s, osp_edhoc_take_message_2(&s, in, NULL), in, osp_slice(w->m2, w->n2));
        break;
    }
    case PLAIN_2:
        plain_2(w, in);
        break;
    case MESSAGE_3:
    case PLAIN_3:
    case MESSAGE_4:
    case PLAIN_4:
        protected(w, place, in);
        break;
    case ERROR_MESSAGE:
        error_message(w, in);
        break;
    case ITEMS:
        items(in);
        break;
    case CREDENTIAL:
        credential(in);
        break;
    case CERTIFICATE:
        certificate(in);
        break;
    case PLACES:
        break;
    }
    return 0;
}
