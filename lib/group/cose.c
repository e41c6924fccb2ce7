/* SPDX-License-Identifier: BSD-2-Clause */
/* The COSE parts of Group OSCORE: the option with its Group Flag, what is authenticated, what is signed. */
#include "cbor/enc.h"
#include "group/impl.h"

#define FLAG_N 0x07
#define FLAG_KID 0x08
#define FLAG_KID_CONTEXT 0x10
#define FLAG_GROUP 0x20
#define FLAG_RESERVED 0xc0
#define PIV_MAX_LEN 5

/* [gosc#4.1] [rfc8613#6.1] */
enum osp_err
osp_group_opt_parse(struct osp_slice value, struct osp_group_opt *out)
{
    struct osp_rd        r = osp_rd_from(value);
    struct osp_group_opt g = { 0 };
    uint8_t              flags = 0;

    if (value.n > 0) {
        flags = osp_rd_u8(&r);
        /* all-zero flags are sent as an empty value, never as a zero byte */
        if ((flags & FLAG_RESERVED) || (flags & FLAG_N) > PIV_MAX_LEN || flags == 0)
            return OSP_E_OSCORE_OPTION;
    }
    g.group_mode = flags & FLAG_GROUP;
    g.o.piv = osp_rd_take(&r, flags & FLAG_N);
    g.o.has_kid_context = flags & FLAG_KID_CONTEXT;
    if (g.o.has_kid_context)
        g.o.kid_context = osp_rd_take(&r, osp_rd_u8(&r));
    g.o.has_kid = flags & FLAG_KID;
    if (g.o.has_kid)
        g.o.kid = osp_rd_rest(&r);
    if (!osp_rd_done(&r))
        return OSP_E_OSCORE_OPTION;
    *out = g;
    return OSP_OK;
}

enum osp_err
osp_group_opt_write(const struct osp_group_opt *g, struct osp_wr *w)
{
    unsigned flags = (unsigned)g->o.piv.n | (g->o.has_kid ? FLAG_KID : 0u) | (g->o.has_kid_context ? FLAG_KID_CONTEXT : 0u) |
                     (g->group_mode ? FLAG_GROUP : 0u);

    if (flags == 0)
        return OSP_OK;
    osp_wr_u8(w, (uint8_t)flags);
    osp_wr_put(w, g->o.piv);
    if (g->o.has_kid_context) {
        osp_wr_u8(w, (uint8_t)g->o.kid_context.n);
        osp_wr_put(w, g->o.kid_context);
    }
    if (g->o.has_kid)
        osp_wr_put(w, g->o.kid);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
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

/* [cacheable#3.4.4] the option as if it were the first of a message [rfc8613#5.4] */
enum osp_err
osp_group_class_i(struct osp_slice hash, struct osp_wr *w)
{
    struct osp_msg m;
    enum osp_err   e;

    osp_msg_init(&m, 0);
    e = osp_msg_add(&m, OSP_OPT_REQUEST_HASH, hash);
    return e == OSP_OK ? osp_msg_encode_body(&m, w) : e;
}
