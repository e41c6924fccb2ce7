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

#endif
