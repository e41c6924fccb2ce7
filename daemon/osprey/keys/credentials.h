/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of keys and credentials as `osprey keygen` and `osprey trust` write them: never over one that is there, and an
 * EDHOC.yaml only when what comes out can be read.
 */
#ifndef OSP_DAEMON_OSPREY_KEYS_CREDENTIALS_H
#define OSP_DAEMON_OSPREY_KEYS_CREDENTIALS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"

#define OSPREY_FILE_MAX 65536u

/* "dir/name" into `path`; false, said on standard error, when it is too long. */
bool osprey_path_join(char *path, size_t cap, const char *dir, const char *name);

/* A new file. False, said on standard error: it exists, or cannot be written, and then is not there. */
bool osprey_file_new(const char *path, mode_t mode, struct osp_slice content);

/* All of a file of at most OSPREY_FILE_MAX bytes into `buf`, which is as large.  False, said on standard error. */
bool osprey_file_read(const char *path, uint8_t *buf, struct osp_slice *out);

/*
 * Adds `entry` (lines of a list in YAML, two blanks in front) to list "own" or "trusted" of EDHOC.yaml `path`, which is made
 * if absent; everything else in it stays as it is.  False, said on standard error, when the result could not be read, or where
 * the list is written in another way.
 */
bool osprey_credentials_add(const char *path, const char *list, const char *entry);

#endif
