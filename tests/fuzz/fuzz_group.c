/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client, a server and an attacker who owns the network, in one OSCORE group.  The input is a list of instructions:
 * make a request of some mode, deliver one of those made (again, damaged, cut), answer it, deliver any bytes.
 * Whatever happens
 *   - what is accepted is what was sent: nobody without the keys makes a message,
 *   - a request of a member is accepted once, a deterministic one as often as it comes,
 *   - the server uses no number twice, and answers a deterministic request with a number of its own, signed,
 *   - a response is accepted for its own request alone.
 * Reaches osp_group_opt_parse, osp_credential_key, osp_group_protect_*, osp_group_unprotect_*.
 */
#include <assert.h>
#include <stdlib.h>

#include "cbor/enc.h"
#include "crypto/digest.h"
#include "crypto/pk.h"
#include "group/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEPT 4
#define STEPS 24
#define NUMBERS 64

struct kept {
    uint8_t                bytes[256], answer[256];
    size_t                 n, answer_n;
    struct osp_group_layer client, server;
    uint8_t                mark;
    bool                   at_server, seen;
};

struct world {
    struct osp_group *client, *server;
    struct kept       k[KEPT];
    bool              used[NUMBERS];
};

static struct osp_crypto   *cr;
static const struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };

/* ---- the group ---- */

struct party { uint8_t priv[32], pub[64], cred[64]; struct osp_group_member m; };

static void
party_init(struct party *p, const char *id, uint8_t seed)
{
    uint8_t       bytes[32];
    struct osp_wr w = osp_wr_to(p->cred, sizeof(p->cred));

    memset(bytes, seed, sizeof(bytes));
    if (osp_pk_pair(OSP_ED25519, bytes, p->priv, p->pub) != OSP_OK)
        abort();
    osp_cbor_put_bstr(&w, osp_slice_str(id));   /* any bytes: the key is told beside */
    p->m = (struct osp_group_member){ osp_slice_str(id), osp_wr_slice(&w), osp_slice(p->pub, 32) };
}

static struct osp_group *
make(const struct party *self, const struct party *other)
{
    struct osp_group_params p = {
        .gid = osp_slice_str("g"), .master_secret = osp_slice_str("0123456789abcdef"), .gm_credential = osp_slice_str("manager"),
        .hkdf = OSP_HKDF_SHA256, .aead = OSP_AES_CCM_16_64_128, .agreement = OSP_ECDH_SS_HKDF256,
        .group_enc = OSP_AES_CCM_16_64_128, .signature = OSP_EDDSA, .has_det = true, .det_id = osp_slice_str("d"),
        .det_hash = OSP_SHA256, .has_self = true, .self = self->m, .private_key = osp_slice(self->priv, 32),
        .members = &other->m, .member_count = 1,
    };
    struct osp_group *g = NULL;

    if (osp_group_new(&p, &g, NULL) != OSP_OK)
        abort();
    osp_group_grant(g, 0, NUMBERS);
    osp_group_set_window(g, 0, &(struct osp_replay){ 0 });
    return g;
}

static size_t
keep(const struct osp_msg *m, uint8_t to[256])
{
    struct osp_wr w = osp_wr_to(to, 256);

    if (osp_msg_encode_udp(m, &w) != OSP_OK)
        abort();
    return w.n;
}

/* ---- instructions ---- */

static void
forget(struct kept *k)
{
    osp_group_layer_fini(&k->client);
    osp_group_layer_fini(&k->server);
    memset(k, 0, sizeof(*k));
}

static void
make_request(struct world *w, struct kept *k, unsigned mode, uint8_t mark)
{
    static uint8_t scratch[OSP_GROUP_OVERHEAD + 512];
    struct osp_wr  s = osp_wr_to(scratch, sizeof(scratch));
    uint8_t        classes[OSP_MSG_OPTS_MAX];
    struct osp_msg m, out;
    enum osp_err   e;

    forget(k);
    k->mark = mark;
    osp_msg_init(&m, OSP_FETCH);
    m.payload = osp_slice(&k->mark, 1);
    if ((mark & 1) && osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY) != OSP_OK)
        abort();
    if (osp_classes(&ends, &m, classes) != OSP_OK)
        abort();
    if (mode == OSP_GROUP_DETERMINISTIC)
        e = osp_group_protect_deterministic(cr, w->client, 0, &m, classes, mark & 2, &s, &out, &k->client);
    else
        e = osp_group_protect_request(cr, w->client, (enum osp_group_mode)mode, 0, &m, classes, &s, &out, &k->client);
    if (e == OSP_OK)
        k->n = keep(&out, k->bytes);
    else
        assert(e == OSP_E_NO_LEASE);
}

/* What made `k`, if it is unharmed and the window lets it in; else NULL. */
static void
deliver_request(struct world *w, struct osp_slice datagram, struct kept *k, bool genuine)
{
    static uint8_t         scratch[OSP_GROUP_OVERHEAD + 4096];
    struct osp_wr          s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg         in, out;
    struct osp_group_layer l = { 0 };
    bool                   header;
    enum osp_err           e;

    if (osp_msg_decode_udp(datagram, &in, &header) != OSP_OK || !osp_msg_has(&in, OSP_OPT_OSCORE))
        return;
    e = osp_group_unprotect_request(cr, w->server, &in, &s, &out, &l);
    if (!genuine) {     /* but for the message's header and its other options, which nobody protects */
        assert(e != OSP_OK || (k && k->mark == out.payload.p[0]));
        osp_group_layer_fini(&l);
        if (k && e == OSP_OK)
            k->seen = true;
        return;
    }
    if (k->client.mode == OSP_GROUP_DETERMINISTIC)
        assert(e == OSP_OK);
    else
        assert(e == (k->seen ? OSP_E_REPLAY : OSP_OK));
    if (e != OSP_OK)
        return;
    assert(out.code == OSP_FETCH && out.payload.n == 1 && out.payload.p[0] == k->mark);
    k->seen = true;
    osp_group_layer_fini(&k->server);
    k->server = l;
    k->at_server = true;
}

static void
answer(struct world *w, struct kept *k, unsigned how)
{
    static uint8_t       scratch[OSP_GROUP_OVERHEAD + 512];
    struct osp_wr        s = osp_wr_to(scratch, sizeof(scratch));
    uint8_t              classes[OSP_MSG_OPTS_MAX];
    struct osp_group_opt opt;
    struct osp_msg       m, out;
    enum osp_err         e;

    if (!k->at_server)
        return;
    osp_msg_init(&m, OSP_CODE(2, 5));
    m.payload = osp_slice(&k->mark, 1);
    if (osp_classes(&ends, &m, classes) != OSP_OK)
        abort();
    e = osp_group_protect_response(cr, &k->server, &m, classes, how, &s, &out);
    if (e != OSP_OK) {
        assert(e == OSP_E_NO_LEASE);
        return;
    }
    if (osp_group_opt_parse(osp_msg_get(&out, OSP_OPT_OSCORE)->val, &opt) != OSP_OK)
        abort();
    if (k->server.mode == OSP_GROUP_DETERMINISTIC)
        assert(opt.group_mode && opt.o.piv.n && osp_msg_has(&out, OSP_OPT_MAX_AGE));
    if (opt.o.piv.n) {
        assert(opt.o.piv.n == 1 && !w->used[opt.o.piv.p[0]]);
        w->used[opt.o.piv.p[0]] = true;
    }
    k->answer_n = keep(&out, k->answer);
}

/* Delivers a datagram as the response to `k`; `from` is the request it was made for, or NULL. */
static void
deliver_response(struct kept *k, struct osp_slice datagram, const struct kept *from)
{
    static uint8_t scratch[OSP_GROUP_OVERHEAD + 4096];
    struct osp_wr  s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg in, out;
    bool           header;

    if (!k->client.group || osp_msg_decode_udp(datagram, &in, &header) != OSP_OK)
        return;
    if (osp_group_unprotect_response(cr, &k->client, &in, &s, &out) != OSP_OK)
        return;
    assert(from && out.payload.n == 1 && out.payload.p[0] == from->mark);
    /* equal requests have the same answers; all others do not */
    assert(from == k || (k->client.mode == OSP_GROUP_DETERMINISTIC && from->n == k->n && k->mark == from->mark));
}

static void
step(struct world *w, struct osp_rd *r)
{
    uint8_t          op = osp_rd_u8(r), arg = osp_rd_u8(r), copy[256];
    struct kept     *k = &w->k[op & 3], *from = &w->k[arg & 3];
    struct osp_slice raw;

    switch (op >> 2 & 7) {
    case 0:
    case 1:
    case 2:
        make_request(w, k, op >> 2 & 7, arg);
        break;
    case 3:
        if (k->n)
            deliver_request(w, osp_slice(k->bytes, k->n), k, true);
        break;
    case 4:
        answer(w, k, arg & 7);
        break;
    case 5:
        deliver_response(k, osp_slice(from->answer, from->answer_n), from);
        break;
    case 6:                             /* damaged: a byte of the request, or of the answer */
        memcpy(copy, op & 0x80 ? k->answer : k->bytes, sizeof(copy));
        copy[arg] ^= osp_rd_u8(r);
        if (op & 0x80)
            deliver_response(k, osp_slice(copy, k->answer_n), k);
        else
            deliver_request(w, osp_slice(copy, k->n), k, false);
        break;
    default:
        raw = osp_rd_take(r, arg < osp_rd_left(r) ? arg : osp_rd_left(r));
        deliver_request(w, raw, NULL, false);
        deliver_response(k, raw, NULL);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct party  client, server;
    struct osp_rd        r = osp_rd_from(osp_slice(data, size));
    struct world         w = { 0 };
    struct osp_group_key key;
    struct osp_group_opt opt;

    if (!cr) {
        if (osp_crypto_new(&cr) != OSP_OK)
            abort();
        party_init(&client, "c", 1);
        party_init(&server, "s", 2);
    }
    if (osp_credential_key(osp_slice(data, size), &key) == OSP_OK)
        assert(key.len == 32 || key.len == 33 || key.len == 64);
    if (osp_group_opt_parse(osp_slice(data, size), &opt) == OSP_OK) {
        uint8_t       back[4096];
        struct osp_wr b = osp_wr_to(back, sizeof(back));

        assert(osp_group_opt_write(&opt, &b) == OSP_OK || size > sizeof(back));
        assert(size > sizeof(back) || osp_slice_eq(osp_wr_slice(&b), osp_slice(data, size)));
    }
    w.client = make(&client, &server);
    w.server = make(&server, &client);
    for (int i = 0; i < STEPS && osp_rd_left(&r); i++)
        step(&w, &r);
    for (int i = 0; i < KEPT; i++)
        forget(&w.k[i]);
    osp_group_unref(w.client);
    osp_group_unref(w.server);
    return 0;
}
