/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands around EDHOC messages in CoAP payloads [rfc9528#A.2] [rfc9668#3]. */
#include "edhoc/impl.h"

void
osp_edhoc_cid_put(struct osp_wr *w, struct osp_slice cid)
{
    osp_edhoc_bstr_put(w, cid);
}

/* [rfc9528#A.2.1] ( true / C_R, message ) */
enum osp_err
osp_edhoc_split_request(struct osp_slice payload, struct osp_edhoc_request *out)
{
    struct osp_cbor          c = osp_cbor_from(payload);
    struct osp_edhoc_request r = { .is_message_1 = osp_cbor_peek(&c) == OSP_CBOR_SIMPLE };

    if (r.is_message_1) {
        if (!osp_cbor_bool(&c))
            return OSP_E_FORMAT;
    } else {
        r.c_r = osp_edhoc_bstr(&c);
    }
    if (osp_cbor_bad(&c) || osp_rd_left(&c.r) == 0)
        return OSP_E_FORMAT;
    r.message = osp_rd_rest(&c.r);
    *out = r;
    return OSP_OK;
}

/* [rfc9668#3.3.1] steps 1, 2 and 6 */
enum osp_err
osp_edhoc_split_combined(struct osp_slice payload, struct osp_slice *message_3, struct osp_slice *ciphertext)
{
    struct osp_cbor c = osp_cbor_from(payload);

    (void)osp_cbor_bstr(&c);
    if (osp_cbor_bad(&c) || osp_rd_left(&c.r) == 0)
        return OSP_E_FORMAT;
    *message_3 = osp_slice_head(payload, payload.n - osp_rd_left(&c.r));
    *ciphertext = osp_rd_rest(&c.r);
    return OSP_OK;
}
