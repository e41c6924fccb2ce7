/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys of this process stay in its memory: no core dump, no debugger of another process, no swap where that can be had.
 */
#ifndef OSP_DAEMON_COMMON_SECRETS_H
#define OSP_DAEMON_COMMON_SECRETS_H

#include <stdbool.h>

/*
 * No core file is written from here on, and no process without CAP_SYS_PTRACE reads this one's memory, not even under the same
 * user.  Before the first secret is read.
 */
void osp_secrets_hide(void);

/*
 * Keeps all memory out of swap, what is allocated later included.  False, and errno: the system does not allow as much as may be
 * needed, and nothing is locked.  A limit that would hold now and be reached later counts as too little: allocations would
 * fail then.
 */
bool osp_secrets_lock(void);

#endif
