/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of this process stay in its memory: no core dump, no debugger of another process, no swap where that can be had.
 */
#ifndef OSP_DAEMON_COMMON_SECRETS_H
#define OSP_DAEMON_COMMON_SECRETS_H

#include <stdbool.h>

/*
 * From here on no core file is written, and no process without CAP_SYS_PTRACE can read the memory of this one, not even a
 * process of this user.  To be called before the first secret is read.
 */
void osp_secrets_hide(void);

/*
 * Keeps all memory out of swap, also memory that is allocated later.  False, errno says why: nothing is locked, since the system
 * does not allow as much as may be needed.  A limit that is high enough only for now counts as too low: allocations would fail
 * when it is reached.
 */
bool osp_secrets_lock(void);

#endif
