/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of pk.h as OpenSSL has them: within lib/crypto only.  NULL: no such key, or no memory; the caller frees. */
#ifndef OSP_CRYPTO_IMPL_H
#define OSP_CRYPTO_IMPL_H

#include <openssl/evp.h>

#include "crypto/pk.h"

EVP_PKEY *osp_pk_evp_public(enum osp_curve curve, struct osp_slice pub);
EVP_PKEY *osp_pk_evp_signing(enum osp_sign alg, const uint8_t priv[32]);

#endif
