/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/hash.h"

static inline uint64_t
rotl(uint64_t x, unsigned b)
{
    return x << b | x >> (64 - b);
}

struct sip { uint64_t a, b, c, d; };

static inline void
sip_round(struct sip *s)
{
    s->a += s->b;
    s->b = rotl(s->b, 13) ^ s->a;
    s->a = rotl(s->a, 32);
    s->c += s->d;
    s->d = rotl(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = rotl(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = rotl(s->b, 17) ^ s->c;
    s->c = rotl(s->c, 32);
}

uint64_t
osp_hash(const struct osp_hash_key *key, struct osp_slice data)
{
    struct sip s = { key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                     key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u };
    uint64_t   last = (uint64_t)data.n << 56;
    size_t     whole = data.n / 8 * 8;
    uint64_t   w;

    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&w, data.p + i, 8);
        s.d ^= w;
        sip_round(&s);
        s.a ^= w;
    }
    for (size_t i = whole; i < data.n; i++)
        last |= (uint64_t)data.p[i] << 8 * (i - whole);
    s.d ^= last;
    sip_round(&s);
    s.a ^= last;
    s.c ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
