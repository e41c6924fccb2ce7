/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a security context costs when it is idle: bytes resident with its place in the look-up table, time to derive
 * and add it, time to find one of a million.  Prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>

#include "oscore/configured.h"

#include "bench.h"

#define COUNT 1000000u

static void
id_of(uint32_t i, uint8_t id[4])
{
    for (int k = 0; k < 4; k++)
        id[k] = (uint8_t)(i >> 8 * k);
}

int
main(void)
{
    struct osp_octx_configured *t;
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str("P") };
    uint8_t                secret[16] = { 0 }, id[4];
    long                   before = bench_resident(), after;
    double                 t0 = bench_cpu_s(), t1, t2;
    uint32_t               found = 0, x = 1;

    if (osp_octx_configured_new(COUNT, (struct osp_hash_key){ 1, 2 }, &t) != OSP_OK)
        return 2;
    for (uint32_t i = 0; i < COUNT; i++) {
        struct osp_octx *c;

        id_of(i, secret);
        id_of(i, id);
        p.master_secret = osp_slice(secret, sizeof(secret));
        p.recipient_id = osp_slice(id, sizeof(id));
        if (osp_octx_new(&p, &c) != OSP_OK || osp_octx_configured_add(t, c) != OSP_OK)
            return 2;
        osp_octx_unref(c);
    }
    t1 = bench_cpu_s();
    after = bench_resident();
    for (uint32_t i = 0; i < COUNT; i++) {
        x = x * 1664525u + 1013904223u;
        id_of(x % COUNT, id);
        found += osp_octx_configured_find(t, osp_slice(id, sizeof(id)), false, OSP_EMPTY) != NULL;
    }
    t2 = bench_cpu_s();
    printf("{\"contexts\": %u, \"resident_per_context\": %.1f, \"derive_and_add_us\": %.3f, \"find_us\": %.3f, \"found\": %u}\n",
           COUNT, (double)(after - before) / COUNT, (t1 - t0) * 1e6 / COUNT, (t2 - t1) * 1e6 / COUNT, found);
    osp_octx_configured_free(t);
    return 0;
}
