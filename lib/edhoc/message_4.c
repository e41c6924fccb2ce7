/* SPDX-License-Identifier: BSD-2-Clause */
/* message_4 = ( CIPHERTEXT_4 )  [rfc9528#5.5] */
#include "edhoc/impl.h"

enum osp_err
edh_make_4(struct osp_edhoc *s, const struct edh_args *a)
{
    enum osp_err e = edh_check_ead(a->ead);

    return e == OSP_OK ? edh_seal(s, OSP_EDHOC_K_4, a->ead, a->out) : e;
}

enum osp_err
edh_take_4(struct osp_edhoc *s, const struct edh_args *a)
{
    const struct osp_edhoc_profile *p = s->profile;
    uint8_t                         bytes[OSP_EDHOC_MESSAGE_MAX];
    struct osp_slice                plain;
    enum osp_err                    e = edh_open(s, OSP_EDHOC_K_4, a->in, bytes, &plain);

    return e == OSP_OK ? osp_edhoc_ead_read(plain, p->ead_labels, p->ead_label_count, a->eads) : e;
}
