/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon is asked for or told: noted in the middle of a turn, taken after it. */
#ifndef OSP_PROXY_ASKS_H
#define OSP_PROXY_ASKS_H

#include <stdbool.h>

#include "base/err.h"

struct osp_ask;
struct osp_recipe;
struct osp_octx;
struct osp_proxy;

/*
 * The keys of `ctx` were used: asks for sequence numbers when few are left, and tells once each that the keys are worn, and that
 * they are at their limit.
 */
void px_count_key_use(struct osp_proxy *px, struct osp_octx *ctx);

/* A lease of `ctx` is over: asks for a record of what was used while it was under way. */
void px_count_use_during_lease(struct osp_proxy *px, struct osp_octx *ctx);

/* Hands a context that is in the runtime table to the daemon. OSP_E_OVERLOAD: it was taken out of the table again. */
enum osp_err px_keep_recipe(struct osp_proxy *px, struct osp_recipe *m);

/* Tells how a session of EDHOC with a next hop ended, for the log; one that finds no room is only counted. */
void px_tell_agreed(struct osp_proxy *px, const char *purpose, enum osp_err why);

/* Takes what was noted first of what is most urgent; false: there is nothing. */
bool px_next_ask(struct osp_proxy *px, struct osp_ask *ask);

#endif
