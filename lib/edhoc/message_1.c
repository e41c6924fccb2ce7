/* SPDX-License-Identifier: BSD-2-Clause */
/* message_1 = ( METHOD, SUITES_I, G_X, C_I, ? EAD_1 )  [rfc9528#5.2] */
#include "cbor/enc.h"
#include "crypto/pk.h"
#include "edhoc/impl.h"

/* Makes SUITES_I: the suites preferred to the selected one, then the selected suite [rfc9528#5.2.2]. */
static enum osp_err
select_suites(const struct osp_edhoc_profile *p, int64_t selected, struct osp_edhoc_suites *out)
{
    out->count = 0;
    for (size_t i = 0; i < p->suites.count; i++) {
        out->value[out->count++] = p->suites.value[i];
        if (p->suites.value[i] == selected)
            return OSP_OK;
    }
    return OSP_E_EDHOC_SUITE;
}

static enum osp_err
hash_message_1(struct osp_edhoc *s, struct osp_slice message)
{
    return osp_digest(s->suite->digest, &message, 1, s->th);
}

enum osp_err
edh_make_1(struct osp_edhoc *s, const struct edh_args *a)
{
    struct osp_edhoc_suites suites_i;
    uint8_t                 g_x[64];
    size_t                  begin = a->out->n;
    enum osp_err            e = select_suites(s->profile, a->suite, &suites_i);

    s->suite = osp_edhoc_suite(a->suite);
    s->method = a->method;
    if (e != OSP_OK || !s->suite)
        return OSP_E_EDHOC_SUITE;
    s->own = a->method <= 3 ? edh_own(s->profile, s->role, a->method, s->suite) : NULL;
    if (!s->own)
        return OSP_E_EDHOC_METHOD;
    e = edh_check_ead(a->ead);
    if (e == OSP_OK)
        e = edh_keep_cid(s, a->cid, &s->c_i);
    if (e == OSP_OK)
        e = osp_pk_pair((enum osp_curve)s->suite->curve, a->seed, s->ephemeral, g_x);
    if (e != OSP_OK)
        return e;
    osp_cbor_put_int(a->out, s->method);
    osp_edhoc_suites_put(a->out, &suites_i);
    osp_cbor_put_bstr(a->out, osp_slice(g_x, OSP_EDHOC_G_LEN));
    osp_edhoc_bstr_put(a->out, a->cid);
    osp_wr_put(a->out, a->ead);
    if (osp_wr_bad(a->out))
        return OSP_E_NOSPACE;
    return hash_message_1(s, osp_slice_tail(osp_wr_slice(a->out), begin));
}

enum osp_err
osp_edhoc_peek_message_1(struct osp_slice message, struct osp_edhoc_message_1 *out)
{
    struct osp_cbor            c = osp_cbor_from(message);
    struct osp_edhoc_message_1 m = { 0 };
    struct osp_slice           suites;
    enum osp_err               e;

    if (message.n > OSP_EDHOC_MESSAGE_MAX)
        return OSP_E_TOO_LARGE;
    m.method = osp_cbor_int(&c);
    suites = osp_cbor_skip(&c, 1);
    m.g_x = osp_cbor_bstr(&c);
    m.c_i = osp_edhoc_bstr(&c);
    if (osp_cbor_bad(&c))
        return OSP_E_FORMAT;
    m.ead = osp_rd_rest(&c.r);
    e = osp_edhoc_suites_read(suites, &m.suites_i);
    if (e == OSP_OK)
        e = edh_check_ead(m.ead);
    if (e == OSP_OK)
        *out = m;
    return e;
}

/* [rfc9528#5.2.3] the suite is checked first, since its error tells the peer how to go on */
enum osp_err
edh_take_1(struct osp_edhoc *s, const struct edh_args *a)
{
    const struct osp_edhoc_profile *p = s->profile;
    struct osp_edhoc_message_1      m;
    struct osp_edhoc_suites         usable;
    enum osp_err                    e = osp_edhoc_peek_message_1(a->in, &m);

    if (e != OSP_OK)
        return e;
    if (m.method < 0 || m.method > 3 || (p->methods >> m.method & 1) == 0)
        return OSP_E_EDHOC_METHOD;
    s->method = (uint8_t)m.method;
    edh_usable_suites(s, &usable);
    if (usable.count == 0)              /* no credential of ours suits this method */
        return OSP_E_EDHOC_METHOD;
    e = osp_edhoc_suites_judge(&usable, &m.suites_i);
    if (e != OSP_OK)
        return e;
    s->suite = osp_edhoc_suite(m.suites_i.value[m.suites_i.count - 1]);
    s->own = edh_own(p, s->role, s->method, s->suite);
    /* the key agreement will check that G_X is a point [rfc9528#9.8] */
    if (m.g_x.n != OSP_EDHOC_G_LEN || !osp_slice_copy(m.g_x, s->g_peer, sizeof(s->g_peer)))
        return OSP_E_EDHOC_KEY;
    e = edh_keep_cid(s, m.c_i, &s->c_i);
    if (e == OSP_OK)
        e = osp_edhoc_ead_read(m.ead, p->ead_labels, p->ead_label_count, a->eads);
    return e == OSP_OK ? hash_message_1(s, a->in) : e;
}
