/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one AEAD operation costs here: AES-CCM-16-64-128, re-keyed each time as the proxy does.
 *   bench_aead [BYTES]         (40)
 */
#include "crypto/crypto.h"
#include "tests/bench/bench.h"

#define ROUNDS 200000
#define TRIES 5                 /* the least is taken: everything else is noise */

struct op { struct osp_crypto *crypto; uint8_t plain[1280], sealed[1280 + OSP_AEAD_TAG_MAX]; size_t n; };

static uint64_t
measure(struct op *o, bool open)
{
    static const uint8_t   aad[20] = { 1 };
    static const uint8_t   nonce[13] = { 2 };
    static const uint8_t   keys[2][16] = { { 3 }, { 4 } };
    struct osp_slice       a = osp_slice(aad, sizeof(aad));
    const size_t           tag = 8;
    uint64_t               best = UINT64_MAX;

    bench_need(osp_aead_seal(o->crypto, OSP_AES_CCM_16_64_128, keys[0], nonce, a, osp_slice(o->plain, o->n), o->sealed), "seal");
    for (int t = 0; t < TRIES; t++) {
        uint64_t begin = bench_now_ns();

        for (unsigned i = 0; i < ROUNDS; i++) {
            if (open)
                bench_need(osp_aead_open(o->crypto, OSP_AES_CCM_16_64_128, keys[0], nonce, a, osp_slice(o->sealed, o->n + tag),
                                         o->plain), "open");
            else
                bench_need(osp_aead_seal(o->crypto, OSP_AES_CCM_16_64_128, keys[i & 1], nonce, a, osp_slice(o->plain, o->n),
                                         o->sealed), "seal");
        }
        if (bench_now_ns() - begin < best)
            best = bench_now_ns() - begin;
    }
    return best / ROUNDS;
}

int
main(int argc, char **argv)
{
    static struct op o;
    uint64_t         open, seal;

    o.n = argc > 1 ? strtoul(argv[1], NULL, 10) : 40;
    if (o.n > sizeof(o.plain))
        return 2;
    bench_need(osp_crypto_new(&o.crypto), "crypto");
    open = measure(&o, true);
    seal = measure(&o, false);
    (void)printf("{\"bytes\": %zu, \"seal_ns\": %" PRIu64 ", \"open_ns\": %" PRIu64 "}\n", o.n, seal, open);
    osp_crypto_free(o.crypto);
    return 0;
}
