/* SPDX-License-Identifier: BSD-2-Clause */
/* The key schedule [rfc9528#4]: every suite here has a SHA-2 hash, so Extract and Expand are HKDF-Extract and HKDF-Expand. */
#include "cbor/enc.h"
#include "crypto/digest.h"
#include "edhoc/parts.h"

void
osp_edhoc_info_put(struct osp_wr *w, int64_t label, struct osp_slice context, size_t n)
{
    osp_cbor_put_int(w, label);
    osp_cbor_put_bstr(w, context);
    osp_cbor_put_int(w, (int64_t)n);
}

enum osp_err
osp_edhoc_kdf(int digest, struct osp_slice prk, int64_t label, struct osp_slice context, uint8_t *out, size_t n)
{
    uint8_t       info[OSP_HKDF_INFO_MAX];
    struct osp_wr w = osp_wr_to(info, sizeof(info));

    osp_edhoc_info_put(&w, label, context, n);
    if (osp_wr_bad(&w))
        return OSP_E_NOSPACE;
    return osp_hkdf_expand(digest, prk, osp_wr_slice(&w), out, n);
}

/* A transcript hash takes `s` as a CBOR byte string: this writes its head, and the caller adds the bytes. */
static void
head_of(struct osp_wr *w, struct osp_slice s)
{
    osp_cbor_put_bstr_head(w, s.n);
}

enum osp_err
osp_edhoc_th_2(int digest, struct osp_slice g_y, struct osp_slice h_message_1, uint8_t *out)
{
    uint8_t       a[8], b[8];
    struct osp_wr wa = osp_wr_to(a, sizeof(a)), wb = osp_wr_to(b, sizeof(b));

    head_of(&wa, g_y);
    head_of(&wb, h_message_1);
    struct osp_slice parts[] = { osp_wr_slice(&wa), g_y, osp_wr_slice(&wb), h_message_1 };
    return osp_digest(digest, parts, 4, out);
}

enum osp_err
osp_edhoc_th_next(int digest, struct osp_slice th, struct osp_slice plaintext, struct osp_slice cred, uint8_t *out)
{
    uint8_t       a[8];
    struct osp_wr w = osp_wr_to(a, sizeof(a));

    head_of(&w, th);
    struct osp_slice parts[] = { osp_wr_slice(&w), th, plaintext, cred };
    return osp_digest(digest, parts, 4, out);
}

void
osp_edhoc_context_put(struct osp_wr *w, const struct osp_edhoc_covered *c)
{
    osp_wr_put(w, c->c_r);
    osp_wr_put(w, c->id_cred);
    osp_cbor_put_bstr(w, c->th);
    osp_wr_put(w, c->cred);
    osp_wr_put(w, c->ead);
}

/* [ "Signature1", << ID_CRED >>, << TH, CRED, ? EAD >>, MAC ]  [rfc9052#4.4] */
void
osp_edhoc_sign_structure_put(struct osp_wr *w, const struct osp_edhoc_covered *c, struct osp_slice mac)
{
    uint8_t       head[8];
    struct osp_wr h = osp_wr_to(head, sizeof(head));

    head_of(&h, c->th);
    osp_cbor_put_array(w, 4);
    osp_cbor_put_tstr(w, "Signature1");
    osp_cbor_put_bstr(w, c->id_cred);
    osp_cbor_put_bstr_head(w, h.n + c->th.n + c->cred.n + c->ead.n);
    osp_cbor_put_bstr(w, c->th);
    osp_wr_put(w, c->cred);
    osp_wr_put(w, c->ead);
    osp_cbor_put_bstr(w, mac);
}

/* [ "Encrypt0", h'', TH ]  [rfc9052#5.3] */
void
osp_edhoc_enc_structure_put(struct osp_wr *w, struct osp_slice th)
{
    osp_cbor_put_array(w, 3);
    osp_cbor_put_tstr(w, "Encrypt0");
    osp_cbor_put_bstr(w, OSP_EMPTY);
    osp_cbor_put_bstr(w, th);
}
