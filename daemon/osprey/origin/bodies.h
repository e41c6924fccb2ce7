/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfers of the demo origin [rfc7959]: bodies of requests, put together from Block1 blocks, and answers that are
 * fetched in Block2 blocks.  Blocks inside OSCORE layers are handled like any others.
 *
 * Each operation has a place, found by the client, the method, and the options of the request except block options and those
 * that do not belong to a cache key [rfc9175#3.3].  So a Request-Tag keeps operations apart.  An answer to GET is not kept: its
 * later blocks are made anew, and the ETag tells whether they fit.
 *
 * Number and bytes are bounded.  At the bound the operation is given up whose last block is the oldest; its next block
 * is answered with 4.08.  No sockets, no clock.
 */
#ifndef OSP_DAEMON_OSPREY_ORIGIN_BODIES_H
#define OSP_DAEMON_OSPREY_ORIGIN_BODIES_H

#include "base/time.h"
#include "msg/block.h"

#define OSPREY_BODIES_MAX 16
#define OSPREY_BODY_KEY_LEN 32
#define OSPREY_BODY_LIFETIME_US OSP_SEC(OSP_EXCHANGE_LIFETIME_S)        /* no block of it comes later [rfc7252#4.8.2] */

struct osprey_body {
    uint8_t         key[OSPREY_BODY_KEY_LEN];
    struct osp_time due;
    struct osp_wr   bytes;              /* owns its memory; p NULL: the place is free */
    bool            is_answer;          /* `bytes` is an encoded response; otherwise the body of a request so far */
};

struct osprey_bodies {
    size_t             max_body;        /* bytes of the body of a request; a longer one gets 4.13 */
    uint8_t            szx;             /* largest block size, as SZX [rfc7959#2.2] */
    bool               blocks;          /* false: answers are cut only if the client asks for blocks */
    struct osprey_body items[OSPREY_BODIES_MAX];
    struct osp_msg     whole;           /* private: the request without its block options, a kept response */
    uint8_t            values[4][4], etag[32];
};

/* The operation that a request belongs to; made by osprey_bodies_take(). */
struct osprey_block_request {
    uint8_t          key[OSPREY_BODY_KEY_LEN];
    bool             has_block1, has_block2;
    struct osp_block block1, block2;
};

void osprey_bodies_fini(struct osprey_bodies *b);

/*
 * Takes the request `req` of `who` (bytes that name the client).  True: *whole is the request to be carried out, with its whole
 * body and without block options; it borrows from `b` and `req`, and osprey_bodies_cut() has to be called afterwards.
 * False: *reply answers `req`; it borrows from `b`.
 */
bool osprey_bodies_take(struct osprey_bodies *b, struct osp_slice who, const struct osp_msg *req, struct osp_time now,
                        struct osprey_block_request *br, const struct osp_msg **whole, struct osp_msg *reply);

/*
 * Cuts `reply`, the answer to `whole`, to the block that was asked for, with an ETag, and adds the options that the client needs
 * for its own blocks.  Keeps the rest if the request cannot be carried out again.  The values that `reply` borrows stay in `b`
 * until the next call.
 */
void osprey_bodies_cut(struct osprey_bodies *b, const struct osprey_block_request *br, const struct osp_msg *whole,
                       struct osp_time now, struct osp_msg *reply);

#endif
