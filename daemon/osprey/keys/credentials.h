/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes files of keys and credentials for `osprey keygen` and `osprey trust`.  An existing file is never overwritten, and an
 * EDHOC.yaml is changed only if the result can be read.
 */
#ifndef OSP_DAEMON_OSPREY_KEYS_CREDENTIALS_H
#define OSP_DAEMON_OSPREY_KEYS_CREDENTIALS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"

#define OSPREY_FILE_MAX 65536u

/* Writes "dir/name" into `path`; false: too long, which was said on standard error. */
bool osprey_path_join(char *path, size_t cap, const char *dir, const char *name);

/* Writes a new file.  False: it exists, or it cannot be written and was removed; said on standard error. */
bool osprey_file_new(const char *path, mode_t mode, struct osp_slice content);

/* Reads a file into `buf`, which has OSPREY_FILE_MAX bytes.  False: it cannot be read or is longer; said on standard error. */
bool osprey_file_read(const char *path, uint8_t *buf, struct osp_slice *out);

/*
 * Adds `entry` (lines of a list in YAML, two blanks in front) to list "own" or "trusted" of EDHOC.yaml `path`, which is made
 * if absent; everything else in it stays as it is.  False, said on standard error, when the result could not be read, or where
 * the list is written in another way.
 */
bool osprey_credentials_add(const char *path, const char *list, const char *entry);

#endif
