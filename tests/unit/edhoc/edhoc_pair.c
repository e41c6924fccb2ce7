/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/edhoc/edhoc_pair.h"

#include "crypto/pk.h"
#include "tests/unit/vec.h"

struct osp_crypto       *edhoc_crypto;
struct osp_x509_anchors *edhoc_anchors;
static json_t           *file;

struct osp_slice
edhoc_vector(const char *name, uint8_t *buf, size_t cap)
{
    struct osp_slice s = vec_hex(file, name, buf, cap);

    if (s.n == 0)
        fail_msg("no %s", name);
    return s;
}

int
edhoc_setup(void **state)
{
    uint8_t          b[512];
    struct osp_slice root;

    (void)state;
    file = vec_load("edhoc-x509.json");
    root = edhoc_vector("root", b, sizeof(b));
    return osp_crypto_new(&edhoc_crypto) == OSP_OK && osp_x509_anchors_new(&root, 1, &edhoc_anchors) == OSP_OK ? 0 : -1;
}

int
edhoc_teardown(void **state)
{
    (void)state;
    json_decref(file);
    osp_crypto_free(edhoc_crypto);
    osp_x509_anchors_free(edhoc_anchors);
    return 0;
}

/* ---- credentials ---- */

void
edhoc_ccs(struct edhoc_side *side, int curve, uint8_t seed, uint8_t kid, bool is_long, bool by_value)
{
    uint8_t             bytes[32], priv[32], long_kid[] = { kid, 'l', 'o', 'n', 'g' };
    struct osp_cose_key key = { .curve = curve, .len = curve == OSP_P256 ? 64 : 32 };
    struct osp_wr       wi = osp_wr_to(side->id, sizeof(side->id)), wc = osp_wr_to(side->cred, sizeof(side->cred));
    struct osp_slice    name = osp_slice(long_kid, is_long ? sizeof(long_kid) : 1);

    memset(bytes, seed, sizeof(bytes));
    EXPECT_OK(osp_pk_pair((enum osp_curve)curve, bytes, priv, key.bytes));
    osp_edhoc_ccs_put(&wc, "example", name, &key);
    if (by_value)
        osp_edhoc_id_kccs_put(&wi, osp_wr_slice(&wc));
    else
        osp_edhoc_id_kid_put(&wi, name);
    assert_false(osp_wr_bad(&wi) || osp_wr_bad(&wc));
    EXPECT_OK(osp_edhoc_own_init(&side->own, osp_wr_slice(&wi), osp_wr_slice(&wc), osp_slice(priv, 32)));
}

static void
certificate(struct edhoc_side *side, int curve, bool dh, enum edhoc_kind kind)
{
    const char      *name = curve == OSP_ED25519 ? "ed25519" : curve == OSP_X25519 ? "x25519" : dh ? "p256_agree" : "p256_sign";
    const char      *priv = curve == OSP_ED25519 ? "ed25519_private" : curve == OSP_X25519 ? "x25519_private" : "p256_private";
    uint8_t          b[3][512];
    struct osp_slice chain[2] = { edhoc_vector(name, b[0], 512), edhoc_vector("intermediate", b[1], 512) };
    struct osp_wr    wi = osp_wr_to(side->id, sizeof(side->id)), wc = osp_wr_to(side->cred, sizeof(side->cred));

    osp_edhoc_cert_put(&wc, chain[0]);
    if (kind == EDHOC_X5CHAIN || kind == EDHOC_X5CHAIN_KNOWN)
        osp_edhoc_id_x5chain_put(&wi, chain, kind == EDHOC_X5CHAIN ? 2 : 1);
    else
        osp_edhoc_id_x5t_put(&wi, chain[0], kind == EDHOC_X5T);
    assert_false(osp_wr_bad(&wi) || osp_wr_bad(&wc));
    EXPECT_OK(osp_edhoc_own_init(&side->own, osp_wr_slice(&wi), osp_wr_slice(&wc), edhoc_vector(priv, b[2], 512)));
}

/* ---- sessions ---- */

void
edhoc_begin(struct edhoc_pair *p)
{
    osp_edhoc_init(&p->i.s, OSP_EDHOC_INITIATOR, &p->i.profile, edhoc_crypto, EDHOC_NOW);
    osp_edhoc_init(&p->r.s, OSP_EDHOC_RESPONDER, &p->r.profile, edhoc_crypto, EDHOC_NOW);
    p->i.out = osp_wr_to(p->i.message, sizeof(p->i.message));
    p->r.out = osp_wr_to(p->r.message, sizeof(p->r.message));
}

static void
side_init(struct edhoc_side *x, const struct edhoc_pair *p, bool dh, enum edhoc_kind kind, uint8_t seed, bool m4)
{
    const struct osp_edhoc_suite *s = osp_edhoc_suite(p->suite);
    int                           curve = dh ? s->curve : osp_edhoc_sign_curve(s);
    static const uint64_t         known[] = { EDHOC_EAD };

    if (kind <= EDHOC_KCCS)
        edhoc_ccs(x, curve, seed, seed, kind == EDHOC_LONG_KID, kind == EDHOC_KCCS);
    else
        certificate(x, curve, dh, kind);
    x->profile = (struct osp_edhoc_profile){
        .methods = (uint8_t)(1u << p->method), .suites = { { p->suite }, 1 }, .has_message_4 = m4, .own = &x->own, .own_count = 1,
        .find = osp_edhoc_peers_find, .find_ctx = &x->peers, .anchors = edhoc_anchors, .chain_label = EDHOC_CHAIN_LABEL,
        .ead_labels = known, .ead_label_count = 1,
    };
}

void
edhoc_init(struct edhoc_pair *p, uint8_t method, int64_t suite, enum edhoc_kind i, enum edhoc_kind r, bool m4)
{
    memset(p, 0, sizeof(*p));
    p->method = method;
    p->suite = suite;
    side_init(&p->i, p, (method & 2) != 0, i, 3, m4);
    side_init(&p->r, p, (method & 1) != 0, r, 4, m4);
    p->i.peer = (struct osp_edhoc_peer){ .cred = p->r.own.cred, .label = EDHOC_R_LABEL };
    p->r.peer = (struct osp_edhoc_peer){ .cred = p->i.own.cred, .label = EDHOC_I_LABEL };
    EXPECT_OK(osp_edhoc_peers_init(&p->i.peers, &p->i.peer, r == EDHOC_X5CHAIN ? 0 : 1));
    EXPECT_OK(osp_edhoc_peers_init(&p->r.peers, &p->r.peer, i == EDHOC_X5CHAIN ? 0 : 1));
    edhoc_begin(p);
}

struct edhoc_side *
edhoc_maker(struct edhoc_pair *p, int n)
{
    return n % 2 ? &p->i : &p->r;
}

struct edhoc_side *
edhoc_taker(struct edhoc_pair *p, int n)
{
    return n % 2 ? &p->r : &p->i;
}

enum osp_err
edhoc_make(struct edhoc_pair *p, int n, struct osp_slice ead)
{
    struct edhoc_side *x = edhoc_maker(p, n);
    uint8_t           seed[32];

    memset(seed, 0x40 + n, sizeof(seed));
    x->out.n = 0;
    switch (n) {
    case 1:
        return osp_edhoc_make_message_1(&x->s, p->method, p->suite, seed, osp_slice_str("\x21"), ead, &x->out);
    case 2:
        return osp_edhoc_make_message_2(&x->s, seed, osp_slice_str("rr"), ead, &x->out);
    case 3:
        return osp_edhoc_make_message_3(&x->s, ead, &x->out);
    default:
        return osp_edhoc_make_message_4(&x->s, ead, &x->out);
    }
}

enum osp_err
edhoc_take(struct edhoc_pair *p, int n, struct osp_edhoc_eads *eads)
{
    struct osp_slice  m = osp_wr_slice(&edhoc_maker(p, n)->out);
    struct osp_edhoc *s = &edhoc_taker(p, n)->s;

    switch (n) {
    case 1:
        return osp_edhoc_take_message_1(s, m, eads);
    case 2:
        return osp_edhoc_take_message_2(s, m, eads);
    case 3:
        return osp_edhoc_take_message_3(s, m, eads);
    default:
        return osp_edhoc_take_message_4(s, m, eads);
    }
}

void
edhoc_run(struct edhoc_pair *p, int last)
{
    for (int n = 1; n <= last; n++) {
        EXPECT_OK(edhoc_make(p, n, OSP_EMPTY));
        EXPECT_OK(edhoc_take(p, n, NULL));
    }
}
