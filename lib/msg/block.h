/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfers [rfc7959]: the values of Block1 and Block2, putting a body together from its blocks in
 * order, and cutting a body into blocks.
 *
 * The offset of a block is NUM * 2^(SZX + 4), so both ends may change the block size during a transfer, as long
 * as offsets are multiples of it.  The functions here therefore work with offsets.  The caller provides the
 * storage, nothing is allocated.  SZX 7 is for reliable transports only [rfc8323#6]; here it is an error.
 */
#ifndef OSP_MSG_BLOCK_H
#define OSP_MSG_BLOCK_H

#include "msg/msg.h"

#define OSP_BLOCK_SZX_MAX 6             /* 1024 bytes */
#define OSP_BLOCK_NUM_MAX 0xfffffu      /* 20 bits */

struct osp_block {
    uint32_t num;
    bool     more;
    uint8_t  szx;
};

/*
 * Reads the value of a Block1 or Block2 option [rfc7959#2.2]; the empty value is block 0, 16 bytes, no more.
 *   OSP_E_BAD_REQUEST      SZX is 7: answer a request with 4.00; a response is unusable
 *   OSP_E_UNKNOWN_OPTION   the value is longer than 3 bytes: a critical option that is not understood [rfc7252#5.4.3]
 */
OSP_CHECKED enum osp_err osp_block_parse(struct osp_slice value, struct osp_block *out);

/* Writes the shortest value for `b`, which is in range, to `out`; the result borrows from `out`. */
struct osp_slice osp_block_make(const struct osp_block *b, uint8_t out[3]);

/*
 * Reads option `num` (OSP_OPT_BLOCK1 or OSP_OPT_BLOCK2) of `m`.  *has tells whether `m` has it; `out` is written
 * only then.
 *   OSP_E_UNKNOWN_OPTION   `m` has the option twice [rfc7252#5.4.5]
 *   and the errors of osp_block_parse()
 */
OSP_CHECKED enum osp_err osp_block_get(const struct osp_msg *m, uint16_t num, bool *has, struct osp_block *out);

/* The size of a block in bytes, 16 to 1024. */
static inline size_t
osp_block_size(uint8_t szx)
{
    return (size_t)16 << szx;
}

/* The offset of the block in the body; below 2^30. */
static inline size_t
osp_block_offset(const struct osp_block *b)
{
    return (size_t)b->num * osp_block_size(b->szx);
}

/* The largest SZX whose block fits in `n` bytes; 0 if no block fits (n < 16). */
uint8_t osp_block_szx_for(size_t n);

/*
 * Makes the block that follows `b`, with block size `szx`, which is not larger than b->szx: the next offset gets
 * its number in the new size.  False: no numbers are left.
 */
bool osp_block_next(const struct osp_block *b, uint8_t szx, struct osp_block *out);

/*
 * Finds the part of `body` that block `asked` names.  `cut` is the block to send: num and szx of `asked`, and `more`
 * if more of the body follows.  `piece` borrows from `body`.  An empty body has one empty block 0.
 *   OSP_E_BAD_REQUEST   the block begins after the end of the body [rfc7959#2.4]
 */
OSP_CHECKED enum osp_err osp_block_cut(struct osp_slice body, const struct osp_block *asked, struct osp_block *cut,
                                       struct osp_slice *piece);

/*
 * Adds block `b` with `payload` to `body`, a writer over the caller's storage that holds the blocks so far.
 * Blocks come in order.  A block that is there already, with equal bytes, is accepted as a duplicate.
 *   OSP_E_BAD_REQUEST     the payload is longer than the block size, or shorter although more follows [rfc7959#2.2]
 *   OSP_E_BODY_GAP        a block before it is missing, or it was received with other bytes: answer 4.08 [rfc7959#2.9.2]
 *   OSP_E_NOSPACE         body->cap is too small, and `body` is unchanged: make it larger, or answer 4.13
 */
OSP_CHECKED enum osp_err osp_body_add(struct osp_wr *body, const struct osp_block *b, struct osp_slice payload);

#endif
