/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to the LMDB store: its format, and the check of a file before use. */
#ifndef OSP_DAEMON_STORE_LMDB_H
#define OSP_DAEMON_STORE_LMDB_H

#include "base/hash.h"
#include "daemon/store.h"

#define OSP_STORE_VERSION 2u
#define OSP_STORE_VERSION_OLDEST 1u     /* had no kept contexts, and no use of keys in records */
#define OSP_STORE_META "osprey-state"
#define OSP_STORE_KEPT "kept:"          /* before the key of a context that is kept whole */
#define OSP_STORE_ID "idof:"            /* before the key of a base: as long, and sorted before it */
#define OSP_STORE_RECORD_LEN 40
#define OSP_STORE_RECORD_LEN_OLD 32     /* without the use of keys: read, and written anew in full */
#define OSP_STORE_CHECK_LEN 8           /* at the end of every value */
#define OSP_STORE_KEY_MAX (sizeof(OSP_STORE_KEPT) - 1 + OSP_STORE_KEY_LEN)
#define OSP_STORE_PATH_MAX 1024

/* True if `value` is what was written for `key`. */
bool osp_store_value_ok(struct osp_slice key, struct osp_slice value);

/*
 * True if every record in `file` can be read and is whole.  Done in a child process, since a damaged
 * file may kill whoever reads it.  Call it while no other thread runs.
 */
bool osp_store_check(const char *file, size_t size);

#endif
