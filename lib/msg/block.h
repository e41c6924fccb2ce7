/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfers [rfc7959]: the value of Block1 and Block2, and the two things that are done with a
 * body: it is put together from its blocks, in order, or cut into blocks.
 *
 * A block says where it stands by NUM * 2^(SZX + 4), so both ends may change the size between blocks as long
 * as offsets stay multiples of it; everything here counts in offsets therefore.  Storage is the caller's,
 * nothing is allocated.  SZX 7 means something over reliable transports only [rfc8323#6]; here it is an error.
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
 *   OSP_E_BAD_REQUEST   SZX 7: 4.00 (in a response: unusable)
 *   OSP_E_UNKNOWN_OPTION   longer than 3 bytes: a critical option that is not understood [rfc7252#5.4.3]
 */
OSP_CHECKED enum osp_err osp_block_parse(struct osp_slice value, struct osp_block *out);

/* The shortest value for `b`, in `out`, which the slice borrows. `b` is in range. */
struct osp_slice osp_block_make(const struct osp_block *b, uint8_t out[3]);

/*
 * The option `num` (OSP_OPT_BLOCK1, OSP_OPT_BLOCK2) of `m`: *has tells whether there is one, and `out` is
 * written only then.  As osp_block_parse(); a second one is OSP_E_UNKNOWN_OPTION [rfc7252#5.4.5].
 */
OSP_CHECKED enum osp_err osp_block_get(const struct osp_msg *m, uint16_t num, bool *has, struct osp_block *out);

/* 16 to 1024 bytes. */
static inline size_t
osp_block_size(uint8_t szx)
{
    return (size_t)16 << szx;
}

/* Where the block begins in the body; below 2^30. */
static inline size_t
osp_block_offset(const struct osp_block *b)
{
    return (size_t)b->num * osp_block_size(b->szx);
}

/* The largest SZX whose block fits in `n` bytes; 0 when none does (n < 16). */
uint8_t osp_block_szx_for(size_t n);

/*
 * The block that follows `b` with blocks of `szx`, where b->szx is not smaller than it: the next offset in
 * new numbers.  False when there are no numbers left.
 */
bool osp_block_next(const struct osp_block *b, uint8_t szx, struct osp_block *out);

/*
 * The part of `body` that block `asked` names; `cut` is the block as it is sent (asked->num and szx, `more`
 * set when something follows), `piece` borrows from `body`.  An empty body has a block 0 that is empty.
 *   OSP_E_BAD_REQUEST   it begins behind the end [rfc7959#2.4]
 */
OSP_CHECKED enum osp_err osp_block_cut(struct osp_slice body, const struct osp_block *asked, struct osp_block *cut,
                                       struct osp_slice *piece);

/*
 * Adds block `b` with `payload` to `body`, a writer over the caller's storage that holds what came so far.
 * Blocks come in order; one that is there already, with the same bytes, is taken as the copy that it is.
 *   OSP_E_BAD_REQUEST     the payload is longer than the block, or shorter though more follows [rfc7959#2.2]
 *   OSP_E_BODY_GAP        a block is missing before it, or one came again with other bytes: 4.08 [rfc7959#2.9.2]
 *   OSP_E_NOSPACE         body->cap is too small; `body` is as before: make it larger, or answer 4.13
 */
OSP_CHECKED enum osp_err osp_body_add(struct osp_wr *body, const struct osp_block *b, struct osp_slice payload);

#endif
