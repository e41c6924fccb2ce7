/* SPDX-License-Identifier: BSD-2-Clause */
#include "msg/txq.h"

#include <assert.h>
#include <stdlib.h>

enum osp_err
osp_txq_init(struct osp_txq *q, size_t cap, size_t bytes_cap)
{
    struct osp_tx *items = calloc(cap ? cap : 1, sizeof(*items));
    uint8_t       *bytes = malloc(bytes_cap ? bytes_cap : 1);

    if (!items || !bytes) {
        free(items);
        free(bytes);
        return OSP_E_NOMEM;
    }
    *q = (struct osp_txq){ .items = items, .cap = cap, .bytes = bytes, .bytes_cap = bytes_cap };
    return OSP_OK;
}

void
osp_txq_fini(struct osp_txq *q)
{
    free(q->items);
    free(q->bytes);
    *q = (struct osp_txq){ 0 };
}

struct osp_wr
osp_txq_begin(struct osp_txq *q, size_t max)
{
    size_t room = q->count < q->cap ? q->bytes_cap - q->used : 0;

    return osp_wr_to(q->bytes + q->used, max < room ? max : room);
}

void
osp_txq_commit(struct osp_txq *q, const struct osp_wr *w, const struct osp_flow *to)
{
    assert(w->p == q->bytes + q->used);
    if (osp_wr_bad(w) || q->count == q->cap || w->n > q->bytes_cap - q->used) {
        q->dropped++;
        return;
    }
    q->items[q->count].to = *to;
    q->items[q->count].bytes = osp_wr_slice(w);
    q->count++;
    q->used += w->n;
}

void
osp_txq_put(struct osp_txq *q, struct osp_slice bytes, const struct osp_flow *to)
{
    struct osp_wr w = osp_txq_begin(q, bytes.n);

    osp_wr_put(&w, bytes);
    osp_txq_commit(q, &w, to);
}

bool
osp_txq_is_low(const struct osp_txq *q, size_t n, size_t max)
{
    if (q->cap - q->count < n)
        return true;
    return max > 0 && (q->bytes_cap - q->used) / max < n;
}

void
osp_txq_reset(struct osp_txq *q)
{
    q->count = 0;
    q->used = 0;
}
