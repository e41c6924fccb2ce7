/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/store/file_id.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SECOND_NS 1000000000u

struct osp_file_id
osp_file_id_of(int fd)
{
    struct osp_file_id id = { 0 };
    struct statx       st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0)
        return id;
    id.inode = st.stx_ino;
    if (st.stx_mask & STATX_BTIME)
        id.born = (uint64_t)st.stx_btime.tv_sec * SECOND_NS + st.stx_btime.tv_nsec;
    return id;
}

bool
osp_file_id_is_same(struct osp_file_id was, struct osp_file_id now)
{
    return was.inode != 0 && was.inode == now.inode && (was.born == 0 || now.born == 0 || was.born == now.born);
}
