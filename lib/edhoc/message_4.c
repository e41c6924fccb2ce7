/* SPDX-License-Identifier: BSD-2-Clause */
/* message_4 = ( CIPHERTEXT_4 )  [rfc9528#5.5] */
#include "cbor/enc.h"
#include "edhoc/impl.h"

enum osp_err
edh_make_4(struct osp_edhoc *s, const struct edh_args *a)
{
    size_t       n = a->ead.n + osp_aead_info(s->suite->aead)->tag_len;
    enum osp_err e = edh_check_ead(a->ead);
    uint8_t     *at;

    if (e != OSP_OK)
        return e;
    osp_cbor_put_bstr_head(a->out, n);
    at = osp_wr_reserve(a->out, n);
    return at ? edh_seal(s, s->prk, OSP_EDHOC_K_4, a->ead, at) : OSP_E_NOSPACE;
}

enum osp_err
edh_take_4(struct osp_edhoc *s, const struct edh_args *a)
{
    const struct osp_edhoc_profile *p = s->profile;
    uint8_t                         plain[OSP_EDHOC_MESSAGE_MAX];
    size_t                          tag = osp_aead_info(s->suite->aead)->tag_len;
    struct osp_slice                sealed;
    enum osp_err                    e = edh_one_bstr(a->in, &sealed);

    if (e == OSP_OK && sealed.n < tag)
        e = OSP_E_FORMAT;
    if (e == OSP_OK)
        e = edh_open(s, s->prk, OSP_EDHOC_K_4, sealed, plain);
    if (e == OSP_OK)
        e = osp_edhoc_ead_read(osp_slice(plain, sealed.n - tag), p->ead_labels, p->ead_label_count, a->eads);
    return e;
}
