/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is freed as a whole.  It is wiped first, since anything in a configuration may be a secret. */
#ifndef OSP_CONFIG_ARENA_H
#define OSP_CONFIG_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

struct cfg_arena;

/* NULL: out of memory. */
struct cfg_arena *cfg_arena_new(void);

/* Wipes and frees all that came from `a`. NULL is fine. */
void cfg_arena_free(struct cfg_arena *a);

/* `n` zeroed bytes, aligned for any type; NULL: out of memory. */
void *cfg_arena_get(struct cfg_arena *a, size_t n);

/* A copy of `s` with a terminating zero; NULL: out of memory. */
char *cfg_arena_text(struct cfg_arena *a, struct osp_slice s);

#endif
