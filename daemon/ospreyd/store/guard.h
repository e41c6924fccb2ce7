/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends the process as soon as state.mdb is no longer what it was opened as: cut short, removed, or another file in its place.
 *
 * LMDB reads the file through memory.  Reading memory whose part of the file is gone raises SIGBUS, in whatever thread it
 * happens.  So a thread of the guard's own looks at the file once a second, and as soon as a SIGBUS tells it to; it writes
 * the line `state-lost` to the log and ends the process with EXIT_FAILURE.  A SIGBUS with another cause ends the process as
 * ever.  No sequence number is granted meanwhile, since osp_store_begin() and osp_store_commit() look at the file, too.
 */
#ifndef OSP_DAEMON_OSPREYD_STORE_GUARD_H
#define OSP_DAEMON_OSPREYD_STORE_GUARD_H

#include "daemon/ospreyd/store/store.h"

/*
 * Starts to look after `s`, which outlives the guard; NULL: there is nothing to do.  One guard at a time.
 * OSP_E_NOMEM: no thread.
 */
OSP_CHECKED enum osp_err osp_guard_start(struct osp_store *s);

/* Fine if there is no guard. */
void osp_guard_stop(void);

#endif
