/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams on their way out of one turn: the library fills it, the daemon sends it in one
 * batch.  Storage is fixed at creation.
 */
#ifndef OSP_MSG_TXQ_H
#define OSP_MSG_TXQ_H

#include "base/addr.h"
#include "base/err.h"

struct osp_tx {
    struct osp_flow  to;
    struct osp_slice bytes;     /* into the queue, until osp_txq_reset() */
};

struct osp_txq {
    struct osp_tx *items;
    size_t         count, cap;
    uint8_t       *bytes;
    size_t         used, bytes_cap;
    uint64_t       dropped;     /* datagrams that found the queue full: like loss on the wire */
};

/* Room for `cap` datagrams and `bytes_cap` bytes. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_txq_init(struct osp_txq *q, size_t cap, size_t bytes_cap);
void osp_txq_fini(struct osp_txq *q);

/* A writer over the free bytes for one datagram of at most `max` bytes; cap 0 when full. */
struct osp_wr osp_txq_begin(struct osp_txq *q, size_t max);

/* Queues what was written to the writer of osp_txq_begin() towards `to`. */
void osp_txq_commit(struct osp_txq *q, const struct osp_wr *w, const struct osp_flow *to);

/* Copies `bytes` in and queues it; counts it as dropped when there is no room. */
void osp_txq_put(struct osp_txq *q, struct osp_slice bytes, const struct osp_flow *to);

/* True if fewer than `n` datagrams of `max` bytes each fit: flush before the next input. */
bool osp_txq_is_low(const struct osp_txq *q, size_t n, size_t max);

/* Empties the queue (after sending). */
void osp_txq_reset(struct osp_txq *q);

#endif
