/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of Group OSCORE share: a client and two servers who know each other, and their messages. */
#ifndef OSP_TESTS_GROUP_CAST_H
#define OSP_TESTS_GROUP_CAST_H

#include "tests/unit/unit.h"

#include "cbor/enc.h"
#include "crypto/digest.h"
#include "crypto/pk.h"
#include "group/parts.h"
#include "msg/option.h"
#include "tests/unit/with_crypto.h"

#define BIG 8192

static uint8_t scratch[4][3 * BIG];

/* ---- groups to play with ---- */

enum { CLIENT, SERVER, OTHER, PARTIES };

struct cast {
    uint8_t                 priv[PARTIES][32], pub[PARTIES][64], cred[PARTIES][160], id[PARTIES][1];
    struct osp_group_member party[PARTIES], others[PARTIES];
    struct osp_group_params p;
};

/* A CWT Claims Set { 2: "x", 8: { 1: COSE_Key } }. */
static inline struct osp_slice
ccs(int curve, const uint8_t *pub, uint8_t *buf, size_t cap)
{
    struct osp_wr w = osp_wr_to(buf, cap);
    bool          ec = curve == OSP_P256;

    osp_cbor_put_map(&w, 2);
    osp_cbor_put_int(&w, 2);
    osp_cbor_put_tstr(&w, "party");
    osp_cbor_put_int(&w, 8);
    osp_cbor_put_map(&w, 1);
    osp_cbor_put_int(&w, 1);
    osp_cbor_put_map(&w, ec ? 4 : 3);
    osp_cbor_put_int(&w, 1);
    osp_cbor_put_int(&w, ec ? 2 : 1);
    osp_cbor_put_int(&w, -1);
    osp_cbor_put_int(&w, curve);
    osp_cbor_put_int(&w, -2);
    osp_cbor_put_bstr(&w, osp_slice(pub, 32));
    if (ec) {
        osp_cbor_put_int(&w, -3);
        osp_cbor_put_bstr(&w, osp_slice(&pub[32], 32));
    }
    assert_false(osp_wr_bad(&w));
    return osp_wr_slice(&w);
}

static inline void
cast_init(struct cast *c, int curve)
{
    memset(c, 0, sizeof(*c));
    for (uint8_t i = 0; i < PARTIES; i++) {
        uint8_t seed[32];

        memset(seed, 0x11 + i, sizeof(seed));
        EXPECT_OK(osp_pk_pair((enum osp_curve)curve, seed, c->priv[i], c->pub[i]));
        c->id[i][0] = (uint8_t)(0x20 + i);
        c->party[i].id = osp_slice(c->id[i], 1);
        c->party[i].credential = ccs(curve, c->pub[i], c->cred[i], sizeof(c->cred[i]));
    }
    c->p = (struct osp_group_params){
        .gid = osp_slice("gid", 3), .master_secret = osp_slice_str("sixteen bytes ok"), .master_salt = osp_slice_str("salt"),
        .gm_credential = osp_slice_str("manager"), .hkdf = OSP_HKDF_SHA256, .aead = OSP_AES_CCM_16_64_128,
        .agreement = OSP_ECDH_SS_HKDF256, .group_enc = OSP_AES_CCM_16_64_128, .signature = OSP_EDDSA, .has_det = true,
        .det_id = osp_slice("\xdc", 1), .det_hash = OSP_SHA256, .has_self = true, .members = c->others,
        .member_count = PARTIES - 1,
    };
    if (curve == OSP_P256)
        c->p.signature = OSP_ES256;
}

/* The parameters of party `who`; the others are its members in order. */
static inline void
play(struct cast *c, size_t who)
{
    size_t n = 0;

    for (size_t i = 0; i < PARTIES; i++)
        if (i != who)
            c->others[n++] = c->party[i];
    c->p.self = c->party[who];
    c->p.private_key = osp_slice(c->priv[who], 32);
}

static inline struct osp_group *
make(struct cast *c, size_t who)
{
    struct osp_group *g = NULL;

    play(c, who);
    EXPECT_OK(osp_group_new(&c->p, &g, NULL));
    osp_group_grant(g, 0, 1000);
    for (size_t i = 0; i < osp_group_member_count(g); i++)
        osp_group_set_window(g, i, &(struct osp_replay){ 0 });
    return g;
}

/* A client and a server that know each other, and a second server. */
struct world {
    struct cast            cast;
    struct osp_group      *client, *server, *other;
    struct osp_group_layer cl, sl;
    uint8_t                classes[OSP_MSG_OPTS_MAX];
};

#define TO_SERVER 0     /* index of the server among the client's members */
#define TO_OTHER 1

static inline void
begin(struct world *w, int curve)
{
    memset(w, 0, sizeof(*w));
    cast_init(&w->cast, curve);
    w->client = make(&w->cast, CLIENT);
    w->server = make(&w->cast, SERVER);
    w->other = make(&w->cast, OTHER);
}

static inline void
end(struct world *w)
{
    osp_group_layer_fini(&w->cl);
    osp_group_layer_fini(&w->sl);
    osp_group_unref(w->client);
    osp_group_unref(w->server);
    osp_group_unref(w->other);
}

static inline struct osp_msg
get(const char *path)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str(path)));
    return m;
}

static inline struct osp_msg
content(const char *text)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice_str(text);
    return m;
}

static inline struct osp_wr
pad(size_t i)
{
    return osp_wr_to(scratch[i], sizeof(scratch[i]));
}

static inline const uint8_t *
classes(struct world *w, const struct osp_msg *m)
{
    struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };

    EXPECT_OK(osp_classes(&ends, m, w->classes));
    return w->classes;
}

/* The deterministic request of `in`, in scratch 0. */
static inline struct osp_msg
ask(struct world *w, const struct osp_msg *in, bool observe)
{
    struct osp_wr  s = pad(0);
    struct osp_msg out;

    osp_group_layer_fini(&w->cl);
    EXPECT_OK(osp_group_protect_deterministic(cr, w->client, TO_SERVER, in, classes(w, in), observe, &s, &out, &w->cl));
    return out;
}

/* The request `in` as the server reads it, in scratch 1. */
static inline struct osp_msg
take(struct world *w, const struct osp_msg *in)
{
    struct osp_wr  s = pad(1);
    struct osp_msg out;

    osp_group_layer_fini(&w->sl);
    EXPECT_OK(osp_group_unprotect_request(cr, w->server, in, &s, &out, &w->sl));
    return out;
}

/* The protected response, in scratch 2. */
static inline struct osp_msg
reply(struct world *w, const struct osp_msg *in, unsigned how)
{
    struct osp_wr  s = pad(2);
    struct osp_msg out;

    EXPECT_OK(osp_group_protect_response(cr, &w->sl, in, classes(w, in), how, &s, &out));
    return out;
}

static inline enum osp_err
open_reply(struct world *w, const struct osp_msg *in, struct osp_msg *out)
{
    struct osp_wr s = pad(3);

    return osp_group_unprotect_response(cr, &w->cl, in, &s, out);
}

static inline enum osp_err
serve(struct osp_group *g, const struct osp_msg *in)
{
    struct osp_wr          s = pad(1);
    struct osp_msg         out;
    struct osp_group_layer l = { 0 };
    enum osp_err           e = osp_group_unprotect_request(cr, g, in, &s, &out, &l);

    osp_group_layer_fini(&l);
    return e;
}

static inline void
set_option(struct osp_msg *m, uint16_t num, struct osp_slice val)
{
    osp_msg_remove(m, num);
    EXPECT_OK(osp_msg_add(m, num, val));
}

#endif
