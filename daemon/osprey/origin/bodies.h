/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block-wise transfers of the demo origin [rfc7959]: bodies of requests as they come together from Block1 blocks, and
 * answers that are fetched in Block2 blocks.  Blocks inside OSCORE layers are as any other.
 *
 * One place per operation, found by who asks, and by the method and all options that make requests alike: all but the
 * block options themselves and those that are no part of a cache key [rfc9175#3.3].  So a Request-Tag keeps operations
 * apart.  An answer to GET is not kept: its later blocks are made anew, and the ETag tells whether they fit.
 *
 * Bounded in number and in bytes; the operation that moved longest ago goes first, and its next block is answered
 * with 4.08.  No sockets, no clock.
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
    struct osp_wr   bytes;              /* storage of its own; p NULL: the place is free */
    bool            is_answer;          /* `bytes` is an encoded response, else a body on its way in */
};

struct osprey_bodies {
    size_t             max_body;        /* of a request; 4.13 beyond */
    uint8_t            szx;             /* blocks are no larger than this says */
    bool               blocks;          /* false: answers are cut on request only, whatever their size */
    struct osprey_body items[OSPREY_BODIES_MAX];
    struct osp_msg     whole;           /* private: the request without its block options, a kept response */
    uint8_t            values[4][4], etag[32];
};

/* What a request is about to be answered under; made by osprey_bodies_take(). */
struct osprey_block_request {
    uint8_t          key[OSPREY_BODY_KEY_LEN];
    bool             has_block1, has_block2;
    struct osp_block block1, block2;
};

void osprey_bodies_fini(struct osprey_bodies *b);

/*
 * `req` of `who` (bytes that name the client, however it is known).  True: *whole is the request to be carried out,
 * with all of its body and without block options; it borrows from `b` and `req`, and osprey_bodies_cut() has to follow.
 * False: *reply answers it, borrowing from `b`.
 */
bool osprey_bodies_take(struct osprey_bodies *b, struct osp_slice who, const struct osp_msg *req, struct osp_time now,
                        struct osprey_block_request *br, const struct osp_msg **whole, struct osp_msg *reply);

/*
 * Makes of the answer `reply` to `whole` the block that was asked for, with its ETag, and keeps the rest where the
 * request cannot be carried out again.  Adds what the client needs to know of its own blocks.  The values that `reply`
 * borrows stay with `b` until the next call.
 */
void osprey_bodies_cut(struct osprey_bodies *b, const struct osprey_block_request *br, const struct osp_msg *whole,
                       struct osp_time now, struct osp_msg *reply);

#endif
