/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of tests and fuzz targets that look random and come again with the same seed: a linear congruence. */
#ifndef OSP_TESTS_PRNG_H
#define OSP_TESTS_PRNG_H

#include <stddef.h>
#include <stdint.h>

/* The next state of `s`, which is the caller's; its high bits are the good ones. */
static inline uint64_t
prng_next(uint64_t *s)
{
    return *s = *s * 6364136223846793005u + 1442695040888963407u;
}

/* For a struct osp_rand; `ctx` is the state, an uint64_t. */
static inline void
prng_fill(void *ctx, uint8_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)(prng_next(ctx) >> 56);
}

#endif
