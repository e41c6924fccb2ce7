/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spin lock of one byte, for state that workers share and hold for a few instructions
 * (a replay window, a sequence number).  Never held across I/O or a cryptographic operation.
 */
#ifndef OSP_BASE_LOCK_H
#define OSP_BASE_LOCK_H

#include <stdatomic.h>

struct osp_lock { atomic_flag held; };

#define OSP_LOCK_INIT { ATOMIC_FLAG_INIT }

static inline void
osp_lock_take(struct osp_lock *l)
{
    while (atomic_flag_test_and_set_explicit(&l->held, memory_order_acquire))
        ;
}

static inline void
osp_lock_release(struct osp_lock *l)
{
    atomic_flag_clear_explicit(&l->held, memory_order_release);
}

#endif
