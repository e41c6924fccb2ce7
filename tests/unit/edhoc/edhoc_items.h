/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that a test writes as text, and the error that a side has to send. */
#ifndef OSP_TESTS_EDHOC_ITEMS_H
#define OSP_TESTS_EDHOC_ITEMS_H

#include "tests/unit/edhoc/edhoc_pair.h"

/* The bytes of `text`, good for the next 31 calls. */
static inline struct osp_slice
hex(const char *text)
{
    static uint8_t  buf[32][256];
    static unsigned at;
    uint8_t        *to = buf[at++ % 32];
    size_t          n = 0;

    assert_true(osp_hex_decode(osp_slice_str(text), to, sizeof(buf[0]), &n));
    return osp_slice(to, n);
}

/* The code of the error message that the Responder has to send, 0 for none. */
static inline int64_t
error_code(struct edhoc_side *x)
{
    uint8_t                b[512];
    struct osp_wr          w = osp_wr_to(b, sizeof(b));
    struct osp_edhoc_error e;

    if (osp_edhoc_make_error(&x->s, &w) != OSP_OK)
        return 0;
    EXPECT_OK(osp_edhoc_read_error(osp_wr_slice(&w), &e));
    return e.code;
}

#endif
