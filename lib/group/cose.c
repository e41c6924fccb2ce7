/* SPDX-License-Identifier: BSD-2-Clause */
/* The COSE parts of Group OSCORE: the option with its Group Flag, the authenticated bytes, the signed bytes. */
#include "cbor/enc.h"
#include "group/impl.h"
#include "oscore/parts.h"

#define FLAG_GROUP 0x20

/* [gosc#4.1] [rfc8613#6.1] */
enum osp_err
osp_group_opt_parse(struct osp_slice value, struct osp_group_opt *out)
{
    struct osp_group_opt g;
    uint8_t              set;
    enum osp_err         e = osp_oscore_opt_read(value, FLAG_GROUP, &g.o, &set);

    if (e != OSP_OK)
        return e;
    g.group_mode = set & FLAG_GROUP;
    *out = g;
    return OSP_OK;
}

enum osp_err
osp_group_opt_write(const struct osp_group_opt *g, struct osp_wr *w)
{
    return osp_oscore_opt_put(&g->o, g->group_mode ? FLAG_GROUP : 0, w);
}

bool
osp_group_is_named(const struct osp_group *g, const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_OSCORE);
    struct osp_group_opt  opt;

    return o && osp_group_opt_parse(o->val, &opt) == OSP_OK && opt.o.has_kid_context &&
           osp_slice_eq(opt.o.kid_context, osp_group_gid(g));
}

static void
put_algorithm(struct osp_wr *w, int alg)
{
    if (alg)
        osp_cbor_put_int(w, alg);
    else
        osp_cbor_put_null(w);
}

/* [gosc#3.4] */
enum osp_err
osp_group_aad_array(const struct osp_group *g, const struct osp_group_aad *a, struct osp_wr *w)
{
    osp_cbor_put_array(w, 9);
    osp_cbor_put_int(w, 1);
    osp_cbor_put_array(w, 4);
    put_algorithm(w, g->aead);
    put_algorithm(w, g->group_enc);
    put_algorithm(w, g->signature);
    put_algorithm(w, g->agreement);
    osp_cbor_put_bstr(w, a->request_kid);
    osp_cbor_put_bstr(w, a->request_piv);
    osp_cbor_put_bstr(w, a->options);
    osp_cbor_put_bstr(w, osp_group_gid(g));
    osp_cbor_put_bstr(w, a->oscore_option);
    osp_cbor_put_bstr(w, a->sender_cred);
    osp_cbor_put_bstr(w, g->gm_credential);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

enum osp_err
osp_group_enc_structure(struct osp_slice aad_array, struct osp_wr *w)
{
    osp_cbor_put_array(w, 3);
    osp_cbor_put_tstr(w, "Encrypt0");
    osp_cbor_put_bstr(w, OSP_EMPTY);
    osp_cbor_put_bstr(w, aad_array);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

/* [gosc#3.1] [rfc9338#3.3] */
enum osp_err
osp_group_sign_structure(struct osp_slice aad_array, struct osp_slice ciphertext, struct osp_wr *w)
{
    osp_cbor_put_array(w, 5);
    osp_cbor_put_tstr(w, "CounterSignature0");
    osp_cbor_put_bstr(w, OSP_EMPTY);
    osp_cbor_put_bstr(w, OSP_EMPTY);
    osp_cbor_put_bstr(w, aad_array);
    osp_cbor_put_bstr(w, ciphertext);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

/* [cacheable#3.4.4] the option is encoded as the first option of a message [rfc8613#5.4] */
enum osp_err
osp_group_class_i(struct osp_slice hash, struct osp_wr *w)
{
    struct osp_msg m;
    enum osp_err   e;

    osp_msg_init(&m, 0);
    e = osp_msg_add(&m, OSP_OPT_REQUEST_HASH, hash);
    return e == OSP_OK ? osp_msg_encode_body(&m, w) : e;
}
