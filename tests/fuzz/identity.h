/* SPDX-License-Identifier: BSD-2-Clause */
/* Credentials of the fuzz targets that run EDHOC. */
#ifndef OSP_TESTS_FUZZ_IDENTITY_H
#define OSP_TESTS_FUZZ_IDENTITY_H

#include <stdlib.h>

#include "crypto/pk.h"
#include "edhoc/parts.h"

/* A CCS of a P-256 key, and what stands for it; `own` points into the rest. */
struct identity {
    uint8_t              id[64], cred[256];
    struct osp_edhoc_own own;
};

/* The same for the same seed, which is its kid too; aborts when it cannot be made. */
static inline void
make_identity(struct identity *x, uint8_t seed)
{
    uint8_t             bytes[32], priv[32];
    struct osp_cose_key key = { .curve = OSP_P256, .len = 64 };
    struct osp_wr       wi = osp_wr_to(x->id, sizeof(x->id)), wc = osp_wr_to(x->cred, sizeof(x->cred));

    memset(bytes, seed, sizeof(bytes));
    if (osp_pk_pair(OSP_P256, bytes, priv, key.bytes) != OSP_OK)
        abort();
    osp_edhoc_ccs_put(&wc, "x", osp_slice(&seed, 1), &key);
    osp_edhoc_id_kid_put(&wi, osp_slice(&seed, 1));
    if (osp_edhoc_own_init(&x->own, osp_wr_slice(&wi), osp_wr_slice(&wc), osp_slice(priv, 32)) != OSP_OK)
        abort();
}

#endif
