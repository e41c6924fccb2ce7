/* SPDX-License-Identifier: BSD-2-Clause */
/* Who a client is when it comes to its share of the tables, and to its rate. */
#ifndef OSP_PROXY_ACCOUNT_H
#define OSP_PROXY_ACCOUNT_H

#include "proxy/impl.h"

/* A layer of ours came off from there, and the request was fresh. */
void px_note_known(struct osp_proxy *px, const struct osp_flow *from, struct osp_time now);
/* The request is under a layer that came off, or comes from where one came off lately. */
bool px_is_known(const struct osp_proxy *px, const struct px_exchange *x, struct osp_time now);
/* The client's account, which the exchange refers to from now on; NULL without memory. */
struct osp_account *px_account(struct osp_proxy *px, struct px_exchange *x);
/* The exchange is about to outlive its turn: it counts from now on.  OSP_E_SHARE, OSP_E_OVERLOAD: it may not. */
enum osp_err px_admit(struct px_turn *t, struct px_exchange *x);
void px_account_end(struct osp_proxy *px, struct px_exchange *x);
/*
 * Counts one body of this client, in place of one of `leaving` if that is not NULL; NULL: it has too many, and nothing was
 * changed.  osp_ledger_give() takes it back.
 */
struct osp_account *px_body_account(struct px_turn *t, const struct px_exchange *x, bool known, struct osp_account *leaving);
/* Counts one request by rule `r`, which has a rate; false: it is one too many. */
bool px_rate_allows(const struct px_turn *t, const struct px_exchange *x, const struct osp_rule *r);

#endif
