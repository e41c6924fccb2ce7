/* SPDX-License-Identifier: BSD-2-Clause */
/* The flow of lib/proxy: what comes in is dispatched, forwarded, answered.  Only its files and proxy.c include this. */
#ifndef OSP_PROXY_FLOW_H
#define OSP_PROXY_FLOW_H

#include "proxy/impl.h"

/* ---- dispatch.c ---- */
void px_dispatch(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);

/* ---- forward.c ---- */
void px_forward(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_next_hop *hop);

/* ---- send.c ---- */
/* Sends the translated request to x->to, under the next hop's layer if there is one. */
void px_send(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);
/* Does what a step of `x` says. */
void px_conclude(struct px_turn *t, struct px_exchange *x, enum px_step v);
/* Sends what px_send_at_once() was told of. */
void px_send_what_is_due(struct osp_proxy *px, struct osp_time now);
/* The next hop's layer on *req, which then is another message. */
enum osp_err px_protect(struct px_turn *t, struct px_exchange *x, struct osp_msg **req);

/* ---- answer.c ---- */
void px_answer(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp);
/* The client gets the error. */
void px_answer_error(struct px_turn *t, struct px_exchange *x, enum osp_err why);
/* The request came to nothing: a stale response of the cache stands in for the error, if there is one. */
void px_fail_upstream(struct px_turn *t, struct px_exchange *x, enum osp_err why);
void px_challenge(struct px_turn *t, struct px_exchange *x);
/* Ends the exchange with a 4.01 and an Echo: the client is to prove that it hears us, and to ask again. */
void px_challenge_address(struct px_turn *t, struct px_exchange *x);

/* ---- response.c ---- */
/* `handle`: of our request that it answers. */
void px_response(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg *resp);
enum px_step px_client_response(struct px_turn *t, struct px_exchange *x, struct osp_msg *resp);

/* ---- resume.c ---- */
/* Takes up what is ready while there is room for its datagrams; true: all of it was. */
bool px_go_on(struct osp_proxy *px, struct osp_time now);
/* A parked exchange waited long enough. */
void px_give_up(struct px_turn *t, struct px_exchange *x);

/* ---- notify.c ---- */
/* The newest of its subject to observer `x` now. */
void px_deliver(struct px_turn *t, struct px_exchange *x);
/* Does what is to be done for subjects while there is room for its datagrams; true: all of it was. */
bool px_notify(struct osp_proxy *px, struct osp_time now);
/*
 * Observer `x` joined.  It gets the newest at once while that is fresh; otherwise with the answer to another registration.
 */
void px_catch_up(struct px_turn *t, struct px_exchange *x);
/* Registers again for one subject that is due; false: none is. */
bool px_renew_next(struct osp_proxy *px, struct osp_time now);
enum px_step px_registration_response(struct px_turn *t, struct px_exchange *up, struct osp_msg *resp);
void px_registration_failed(struct px_turn *t, struct px_exchange *up, enum osp_err why);

#endif
