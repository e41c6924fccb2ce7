/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keyed hash for tables that a peer can fill: SipHash-1-3, so that colliding keys cannot
 * be chosen without the seed.
 */
#ifndef OSP_BASE_HASH_H
#define OSP_BASE_HASH_H

#include "base/bytes.h"

struct osp_hash_key { uint64_t k0, k1; };

uint64_t osp_hash(const struct osp_hash_key *key, struct osp_slice data);

/*
 * 128 bits over several pieces without putting them together first: begin, then words and pieces, then end.  A piece is padded
 * to whole words, so its length has to be told by a word before it, or be fixed.  As SipHash-1-3 with a wider end, and
 * inline: it is computed for every request.
 */
struct osp_hash128 { uint64_t a, b, c, d; };

static inline uint64_t
osp_hash_rotl(uint64_t x, unsigned b)
{
    return x << b | x >> (64 - b);
}

static inline void
osp_hash_round(struct osp_hash128 *s)
{
    s->a += s->b;
    s->b = osp_hash_rotl(s->b, 13) ^ s->a;
    s->a = osp_hash_rotl(s->a, 32);
    s->c += s->d;
    s->d = osp_hash_rotl(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = osp_hash_rotl(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = osp_hash_rotl(s->b, 17) ^ s->c;
    s->c = osp_hash_rotl(s->c, 32);
}

static inline struct osp_hash128
osp_hash_begin(const struct osp_hash_key *key)
{
    struct osp_hash128 s = { key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                             key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u };
    return s;
}

static inline void
osp_hash_word(struct osp_hash128 *s, uint64_t w)
{
    s->d ^= w;
    osp_hash_round(s);
    s->a ^= w;
}

/* The last bytes of `data`, fewer than 8, from `at` on, as one word.  Two reads may overlap; they agree in the shared bytes. */
static inline uint64_t
osp_hash_rest(struct osp_slice data, size_t at)
{
    size_t         n = data.n - at;
    const uint8_t *p;
    uint32_t       lo, hi;

    if (n == 0)
        return 0;               /* nothing is added to the null pointer of an empty slice */
    p = data.p + at;
    if (n >= 4) {
        memcpy(&lo, p, 4);
        memcpy(&hi, p + n - 4, 4);
        return lo | (uint64_t)hi << 8 * (n - 4);
    }
    return (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
}

static inline void
osp_hash_piece(struct osp_hash128 *s, struct osp_slice piece)
{
    size_t   whole = piece.n / 8 * 8;
    uint64_t w;

    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&w, piece.p + i, 8);
        osp_hash_word(s, w);
    }
    if (whole < piece.n)
        osp_hash_word(s, osp_hash_rest(piece, whole));
}

static inline uint64_t
osp_hash_squeeze(struct osp_hash128 *s)
{
    osp_hash_round(s);
    osp_hash_round(s);
    osp_hash_round(s);
    return s->a ^ s->b ^ s->c ^ s->d;
}

/* 64 bits, enough to look a key up whose bytes are compared after that. */
static inline uint64_t
osp_hash_end64(struct osp_hash128 *s)
{
    s->c ^= 0xff;
    return osp_hash_squeeze(s);
}

/* 128 bits, for keys that only these bits tell apart, since their bytes are never compared. */
static inline void
osp_hash_end(struct osp_hash128 *s, uint64_t out[2])
{
    s->c ^= 0xee;               /* osp_hash() uses 0xff: so this is a different function under an equal key */
    (void)osp_hash_squeeze(s);
    out[0] = s->a ^ s->b;
    out[1] = s->c ^ s->d;
}

#endif
