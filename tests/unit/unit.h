/* SPDX-License-Identifier: BSD-2-Clause */
/* cmocka with the project's checks; include it first in every unit test. */
#ifndef OSP_TESTS_UNIT_H
#define OSP_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"

#define EXPECT_OK(call) EXPECT_ERR(OSP_OK, call)
#define EXPECT_ERR(want, call)                                                                       \
    do {                                                                                             \
        enum osp_err got_ = (call);                                                                  \
        if (got_ != (want))                                                                          \
            fail_msg("%s: got %s, want %s", #call, osp_err_name(got_), osp_err_name(want));          \
    } while (0)

/* Equal bytes, with both printed when not. */
#define EXPECT_BYTES(want, got) unit_expect_bytes((want), (got), #got, __FILE__, __LINE__)

void unit_expect_bytes(struct osp_slice want, struct osp_slice got, const char *what, const char *file, int line);

/* Removes the state directory `dir` with the files of the store, and its mark; 0: nothing else was there. */
int unit_remove_store(const char *dir);

#endif
