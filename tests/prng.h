/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of tests and fuzz targets that look random and come again with the same seed. */
#ifndef OSP_TESTS_PRNG_H
#define OSP_TESTS_PRNG_H

#include <stddef.h>
#include <stdint.h>

/* A linear congruence: the next state of `s`, whose high bits are the good ones. */
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

/* Xorshift, of 32 and of 64 bits; a state is never 0. */
static inline uint32_t
prng_xorshift32(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s;
}

static inline uint64_t
prng_xorshift64(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

#endif
