/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replay window of one OSCORE Recipient Context [rfc8613#7.4] [rfc8613#3.2.2].
 *
 * Storage is the caller's, nothing is allocated.  No time, randomness or I/O.
 * Invariant: a Partial IV accepted by osp_replay_commit() is never accepted again, and neither does a copy
 * of the struct (saved and loaded) accept it.
 */
#ifndef OSP_OSCORE_REPLAY_H
#define OSP_OSCORE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define OSP_REPLAY_SIZE 32      /* Partial IVs behind the highest that are still accepted */

struct osp_replay {
    uint64_t next;              /* 1 + the highest Partial IV seen; 0: none yet */
    uint32_t seen;              /* bit i: next-1-i was seen */
};

/* True if `piv` could be accepted.  Changes nothing: ask before decrypting. */
bool osp_replay_is_fresh(const struct osp_replay *w, uint64_t piv);

/*
 * Records `piv`; call only after decryption succeeded.
 *   OSP_E_REPLAY   already seen or older than the window; window unchanged.
 */
OSP_CHECKED enum osp_err osp_replay_commit(struct osp_replay *w, uint64_t piv);

/* Refuses `piv` and all numbers before it from now on [rfc8613#B.1.2]. */
void osp_replay_start_at(struct osp_replay *w, uint64_t piv);

#endif
