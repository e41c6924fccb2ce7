/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns with "*" (any number of bytes, also none) and "?" (one byte); every other byte is literal. */
#ifndef OSP_BASE_GLOB_H
#define OSP_BASE_GLOB_H

#include "base/bytes.h"

/* True if all of `text` matches. Takes at most pattern.n * text.n steps. */
bool osp_glob(struct osp_slice pattern, struct osp_slice text);

#endif
