/* SPDX-License-Identifier: BSD-2-Clause */
/* Exchanges: made, ended, found, and what is attached to one. */
#ifndef OSP_PROXY_EXCHANGE_H
#define OSP_PROXY_EXCHANGE_H

#include "proxy/impl.h"

/* For request `ev` of a client; NULL at the bound. */
struct px_exchange *px_exchange_new(struct osp_proxy *px, const struct osp_event *ev);
/* One upstream for the request of `x`, without a client of its own; NULL at the bound. */
struct px_exchange *px_exchange_branch(struct osp_proxy *px, const struct px_exchange *x, const struct px_kind *kind);
void px_exchange_end(struct osp_proxy *px, struct px_exchange *x);
/* Ends it without an answer; `why` is counted, if any. */
void px_drop(struct px_turn *t, struct px_exchange *x, enum osp_err why);
/* It is about to be answered with an error: its parts hear of it. */
void px_parts_failed(struct px_exchange *x, enum osp_err why);
void px_part_attach(struct px_exchange *x, enum px_part part);
void px_part_detach(struct px_exchange *x, enum px_part part);
/* Lets go of the context in use with the next hop. */
void px_current_drop(struct px_exchange *x);
/* Whether the context of the layer it put on has been let go meanwhile. */
bool px_is_out_of_use(const struct px_exchange *x);
/* An entry of px.obs_handles: `x` is found by the handle of its client's request. */
struct px_listed { struct osp_node node; struct px_exchange *x; };
/* The exchange whose client's request has this handle, if it is an observation. */
struct px_exchange *px_exchange_find(struct osp_proxy *px, uint64_t handle);
/* A verdict: the saved request goes out again. */
enum px_step px_send_saved(struct px_turn *t, struct px_exchange *x);
/* Its request, which is saved, goes out before the turn is over. */
void px_send_at_once(struct osp_proxy *px, struct px_exchange *x);
/* Keeps the key in the exchange, which it outlives the turn in. */
bool px_key_keep(struct osp_proxy *px, struct px_exchange *x, const struct osp_cache_key *key);
/* Keeps a copy of the exchange's request, unless there is one already; false without memory. */
bool px_save(struct osp_proxy *px, struct px_exchange *x, const struct osp_msg *req);
/* The kept request, which `req` borrows from; false: there is none. */
bool px_restore(struct px_exchange *x, struct osp_msg *req);

#endif
