/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/rand.h"

void
osp_randbuf_init(struct osp_randbuf *b, struct osp_rand src)
{
    b->src = src;
    b->used = sizeof(b->buf);
}

void
osp_randbuf_take(struct osp_randbuf *b, uint8_t *dst, size_t n)
{
    if (n > sizeof(b->buf)) {
        b->src.fill(b->src.ctx, dst, n);
        return;
    }
    if (n > sizeof(b->buf) - b->used) {
        b->src.fill(b->src.ctx, b->buf, sizeof(b->buf));
        b->used = 0;
    }
    if (n) {
        memcpy(dst, b->buf + b->used, n);
        memset(b->buf + b->used, 0, n);
        b->used += n;
    }
}

uint64_t
osp_randbuf_between(struct osp_randbuf *b, uint64_t lo, uint64_t hi)
{
    uint64_t span = hi - lo + 1;        /* 0 stands for the whole range of 2^64 */
    uint64_t limit = span ? UINT64_MAX - UINT64_MAX % span : 0;
    uint64_t v;

    do {        /* ends soon, since each round succeeds with a chance above one half */
        osp_randbuf_take(b, (uint8_t *)&v, sizeof(v));
    } while (span && v >= limit);
    return span ? lo + v % span : v;
}
