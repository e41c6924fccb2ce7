/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps of the flow that have a subject of their own: URIs, loops, local resources, the cache. */
#ifndef OSP_PROXY_STEPS_H
#define OSP_PROXY_STEPS_H

#include "proxy/impl.h"

/* ---- translate.c ---- */
bool px_is_forward_form(const struct osp_msg *req);
/* The authority of a forward-proxy request; the URI's parts become options. */
enum osp_err px_request_authority(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req, struct osp_authority *to);
void px_consume_proxy_options(struct osp_msg *req);
/* A request for ourselves as it would be without a proxy.  OSP_E_OPTION_COUNT, OSP_E_NOSPACE */
enum osp_err px_become_local(struct px_turn *t, const struct px_exchange *x, const struct osp_authority *to, struct osp_msg *req);
/*
 * The route whose URIs include the request's; NULL when there is none.  Once a layer has come off, what stood outside of it
 * counts for routes with outer_host only.
 */
const struct osp_route *px_find_route(const struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req);
/* Takes Uri-Host and Uri-Port out of `req`, whose layer is to come off, into `outer`. */
void px_outer_take(struct osp_msg *req, struct px_outer *outer);
/* Puts back what is missing of them. OSP_E_OPTION_COUNT. */
enum osp_err px_outer_put_back(const struct px_outer *outer, struct osp_msg *req);
enum osp_err px_translate_reverse(const struct osp_route *r, struct osp_msg *req);
enum osp_err px_translate_to_proxy(struct px_turn *t, const struct osp_authority *to, struct osp_msg *req);
enum osp_err px_hop_limit(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req);
/* An option that may not be forwarded: 0 when all may. [rfc7252#5.7.1] */
uint16_t px_unsafe_option(const struct osp_msg *m);

/* ---- location.c ---- */
/* Location of `resp` as the client has to write it; taken out where it leads out of route `r` (NULL: forward-proxied) or has
   dot segments.  OSP_E_OPTION_COUNT */
enum osp_err px_location_back(struct px_turn *t, const struct osp_route *r, struct osp_msg *resp);

/* ---- loop.c ---- */
/* Notes a request that is about to go to the next hop `to`.  OSP_E_CAME_BACK: it is there already, and came back. */
enum osp_err px_loop_check(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, const struct osp_authority *to);
/* True if the request of `x` came back while it was on its way. */
bool px_loop_came_back(const struct px_exchange *x);
/* The exchange ends. */
void px_loop_ended(struct osp_proxy *px, struct px_exchange *x);

/* ---- local.c ---- */
enum px_step px_local(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);

/* ---- caching.c ---- */
/* Answers from the cache. PX_GO_ON: what is needed for the answer to come is kept. */
enum px_step px_cache_answers(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_authority *to);
/* The key of `req`, in the turn's scratch memory; also without a cache. */
bool px_key_make(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req, const struct osp_authority *to,
                 struct osp_cache_key *key);
/* Answers the request `req` of an exchange that waited. PX_GO_ON: the cache cannot. */
enum px_step px_cache_has(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);
/* Offers `resp`; *resp is replaced where the cache knows better (a validated entry). */
enum osp_err px_cache_take(struct px_turn *t, struct px_exchange *x, struct osp_msg **resp);
/* True if a stale response stands in for the error: in t->out. */
bool px_cache_stands_in(struct px_turn *t, struct px_exchange *x, enum osp_err why);

/* ---- flight.c ---- */
/* True: `x` waits for the answer to an equal request that is on its way.  False: it goes, and others may wait for it. */
bool px_flight_join(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);
/* The exchange is about to be answered with an error of ours. */
void px_flight_failed(struct px_exchange *x, enum osp_err why);
/* The exchange ends: who waited for it is ready. */
void px_flight_land(struct osp_proxy *px, struct px_exchange *leader);

#endif
