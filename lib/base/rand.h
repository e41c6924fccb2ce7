/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Randomness as an argument.
 *
 * The library never draws random bytes of its own: it is handed a source.  `fill` must give
 * cryptographically strong bytes in the daemon; a test hands in a counter.
 * struct osp_randbuf draws them in bulk, since one draw of 8 bytes costs more than the rest
 * of a token (1.9 us for RAND_bytes(8), measured).
 */
#ifndef OSP_BASE_RAND_H
#define OSP_BASE_RAND_H

#include "base/bytes.h"

struct osp_rand {
    void (*fill)(void *ctx, uint8_t *dst, size_t n);
    void *ctx;
};

struct osp_randbuf {            /* private to rand.c */
    struct osp_rand src;
    size_t          used;
    uint8_t         buf[512];
};

void osp_randbuf_init(struct osp_randbuf *b, struct osp_rand src);

/* Fills `dst`; each byte is used once, and wiped from the buffer. */
void osp_randbuf_take(struct osp_randbuf *b, uint8_t *dst, size_t n);

/* A uniform number in [lo, hi]; lo <= hi. */
uint64_t osp_randbuf_between(struct osp_randbuf *b, uint64_t lo, uint64_t hi);

#endif
