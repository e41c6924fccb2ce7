/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

void
unit_expect_bytes(struct osp_slice want, struct osp_slice got, const char *what, const char *file, int line)
{
    char a[2048], b[2048];

    if (osp_slice_eq(want, got))
        return;
    osp_hex_encode(want, a, sizeof(a));
    osp_hex_encode(got, b, sizeof(b));
    fail_msg("%s:%d: %s\n  want %s\n  got  %s", file, line, what, a, b);
}

int
unit_remove_store(const char *dir)
{
    static const char *const files[] = { "state.mdb", "state.mdb.new", "state.sum", "lock" };
    char                     path[128];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s.mark/mark", dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s.mark", dir);
    (void)rmdir(path);
    return rmdir(dir);
}
