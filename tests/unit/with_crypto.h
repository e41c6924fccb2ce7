/* SPDX-License-Identifier: BSD-2-Clause */
/* For programs whose tests share one `cr`: set-up and tear-down of the group that they are. */
#ifndef OSP_TESTS_WITH_CRYPTO_H
#define OSP_TESTS_WITH_CRYPTO_H

#include "tests/unit/unit.h"

#include "crypto/crypto.h"

static struct osp_crypto *cr;

static inline int
crypto_setup(void **state)
{
    (void)state;
    return osp_crypto_new(&cr) != OSP_OK;
}

static inline int
crypto_teardown(void **state)
{
    (void)state;
    osp_crypto_free(cr);
    return 0;
}

#endif
