/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/hash.h"

uint64_t
osp_hash(const struct osp_hash_key *key, struct osp_slice data)
{
    struct osp_hash128 s = osp_hash_begin(key);
    size_t             whole = data.n / 8 * 8;

    osp_hash_piece(&s, osp_slice(data.p, whole));
    osp_hash_word(&s, osp_hash_rest(data, whole) | (uint64_t)data.n << 56);
    return osp_hash_end64(&s);
}
