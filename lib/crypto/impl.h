/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes OpenSSL's objects for keys of pk.h; the caller frees them.  NULL: the bytes are not such a key, or there is no memory. */
#ifndef OSP_CRYPTO_IMPL_H
#define OSP_CRYPTO_IMPL_H

#include <openssl/evp.h>

#include "crypto/pk.h"

EVP_PKEY *osp_pk_evp_public(enum osp_curve curve, struct osp_slice pub);
EVP_PKEY *osp_pk_evp_signing(enum osp_sign alg, const uint8_t priv[32]);

#endif
