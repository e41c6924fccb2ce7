/* SPDX-License-Identifier: BSD-2-Clause */
/* The COSE parts of OSCORE: the option's encoding, info, AAD and nonce. */
#include "cbor/enc.h"
#include "oscore/impl.h"
#include "oscore/parts.h"

#define FLAG_N 0x07
#define FLAG_KID 0x08
#define FLAG_KID_CONTEXT 0x10
#define FLAG_RESERVED 0xe0      /* 0x80 belongs to KUDOS, 0x20 is the group flag; plain OSCORE understands neither */
#define PIV_MAX_LEN 5

/* [rfc8613#6.1] */
enum osp_err
osp_oscore_opt_read(struct osp_slice value, uint8_t extra, struct osp_oscore_opt *out, uint8_t *set)
{
    struct osp_rd         r = osp_rd_from(value);
    struct osp_oscore_opt o = { 0 };
    uint8_t               flags = 0;

    if (value.n > 0) {
        flags = osp_rd_u8(&r);
        /* all-zero flags are sent as an empty value, never as a zero byte */
        if ((flags & FLAG_RESERVED & ~extra) || (flags & FLAG_N) > PIV_MAX_LEN || flags == 0)
            return OSP_E_OSCORE_OPTION;
    }
    o.piv = osp_rd_take(&r, flags & FLAG_N);
    o.has_kid_context = flags & FLAG_KID_CONTEXT;
    if (o.has_kid_context)
        o.kid_context = osp_rd_take(&r, osp_rd_u8(&r));
    o.has_kid = flags & FLAG_KID;
    if (o.has_kid)
        o.kid = osp_rd_rest(&r);        /* may be empty: a zero-length ID is legal */
    if (!osp_rd_done(&r))               /* a field is too short, or bytes are left over */
        return OSP_E_OSCORE_OPTION;
    *out = o;
    *set = flags & extra;
    return OSP_OK;
}

enum osp_err
osp_oscore_opt_parse(struct osp_slice value, struct osp_oscore_opt *out)
{
    uint8_t none;

    return osp_oscore_opt_read(value, 0, out, &none);
}

enum osp_err
osp_oscore_opt_put(const struct osp_oscore_opt *o, uint8_t extra, struct osp_wr *w)
{
    unsigned flags = (unsigned)o->piv.n | (o->has_kid ? FLAG_KID : 0u) | (o->has_kid_context ? FLAG_KID_CONTEXT : 0u) | extra;

    if (flags == 0)
        return OSP_OK;
    osp_wr_u8(w, (uint8_t)flags);
    osp_wr_put(w, o->piv);
    if (o->has_kid_context) {
        osp_wr_u8(w, (uint8_t)o->kid_context.n);
        osp_wr_put(w, o->kid_context);
    }
    if (o->has_kid)
        osp_wr_put(w, o->kid);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

enum osp_err
osp_oscore_opt_write(const struct osp_oscore_opt *o, struct osp_wr *w)
{
    return osp_oscore_opt_put(o, 0, w);
}

/* info = [ id, id_context / null, alg_aead, type, L ]  [rfc8613#3.2.1] */
enum osp_err
osp_oscore_info(struct osp_slice id, const struct osp_slice *id_context, int aead, const char *type, unsigned len,
                struct osp_wr *w)
{
    osp_cbor_put_array(w, 5);
    osp_cbor_put_bstr(w, id);
    if (id_context)
        osp_cbor_put_bstr(w, *id_context);
    else
        osp_cbor_put_null(w);
    osp_cbor_put_int(w, aead);
    osp_cbor_put_tstr(w, type);
    osp_cbor_put_int(w, len);
    return osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

/*
 * Enc_structure = [ "Encrypt0", h'', external_aad ],
 * external_aad = bstr .cbor [ 1, [ alg_aead ], request_kid, request_piv, h'' ]  [rfc8613#5.4]
 */
enum osp_err
osp_oscore_aad(int aead, struct osp_slice request_kid, struct osp_slice request_piv, struct osp_wr *w)
{
    uint8_t       ext[64];
    struct osp_wr e = osp_wr_to(ext, sizeof(ext));

    osp_cbor_put_array(&e, 5);
    osp_cbor_put_int(&e, 1);
    osp_cbor_put_array(&e, 1);
    osp_cbor_put_int(&e, aead);
    osp_cbor_put_bstr(&e, request_kid);
    osp_cbor_put_bstr(&e, request_piv);
    osp_cbor_put_bstr(&e, OSP_EMPTY);
    osp_cbor_put_array(w, 3);
    osp_cbor_put_tstr(w, "Encrypt0");
    osp_cbor_put_bstr(w, OSP_EMPTY);
    osp_cbor_put_bstr(w, osp_wr_slice(&e));
    return osp_wr_bad(&e) || osp_wr_bad(w) ? OSP_E_NOSPACE : OSP_OK;
}

/* length of ID || ID, left-padded || Partial IV, left-padded to 5, all XORed with the Common IV  [rfc8613#5.2] */
void
osp_oscore_nonce(struct osp_slice id, struct osp_slice piv, const uint8_t *common_iv, size_t nonce_len, uint8_t *out)
{
    uint8_t       plain[OSP_AEAD_NONCE_MAX] = { 0 };
    struct osp_wr w = osp_wr_to(plain, nonce_len);

    osp_wr_u8(&w, (uint8_t)id.n);
    osp_wr_uint(&w, 0, nonce_len - 1 - PIV_MAX_LEN - id.n);
    osp_wr_put(&w, id);
    osp_wr_uint(&w, 0, PIV_MAX_LEN - piv.n);
    osp_wr_put(&w, piv);
    for (size_t i = 0; i < nonce_len; i++)
        out[i] = plain[i] ^ common_iv[i];
}

uint8_t
octx_piv_write(uint64_t ssn, uint8_t piv[5])
{
    struct osp_wr w = osp_wr_to(piv, PIV_MAX_LEN);
    uint8_t       n = 1;

    while (n < PIV_MAX_LEN && ssn >> (8 * n))
        n++;
    osp_wr_uint(&w, ssn, n);
    return n;
}
