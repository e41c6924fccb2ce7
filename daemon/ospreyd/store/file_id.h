/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells files apart: a copy of a file, or a file that was restored under its name, is another file.
 */
#ifndef OSP_DAEMON_OSPREYD_STORE_FILE_ID_H
#define OSP_DAEMON_OSPREYD_STORE_FILE_ID_H

#include <stdbool.h>
#include <stdint.h>

struct osp_file_id {
    uint64_t inode;     /* 0: not known */
    uint64_t born;      /* when it was made, in nanoseconds; 0: the file system does not know */
};

/* The file that is open as `fd`.  Zeroes if the system does not tell. */
struct osp_file_id osp_file_id_of(int fd);

/* True if both are one file.  What is not known is no file's. */
bool osp_file_id_is_same(struct osp_file_id was, struct osp_file_id now);

#endif
