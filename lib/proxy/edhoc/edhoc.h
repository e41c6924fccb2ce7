/* SPDX-License-Identifier: BSD-2-Clause */
/* EDHOC on both sides of the proxy, and contexts that are derived anew. */
#ifndef OSP_PROXY_EDHOC_EDHOC_H
#define OSP_PROXY_EDHOC_EDHOC_H

#include "proxy/impl.h"

/* ---- contexts derived anew ---- */
/* Could the OSCORE option be one of a run? */
bool px_rekey_is_for_us(const struct px_exchange *x, const struct osp_oscore_opt *o);
/* The current context of a base, if the option names it; a reference. NULL: none. */
struct osp_octx *px_rekey_find(const struct px_exchange *x, const struct osp_oscore_opt *o);
/*
 * A request that no context fits.  OSP_OK: a request #2, its layer is off, as of osp_oscore_unprotect_request().
 *   OSP_E_REKEY        a request #1: the next layer of x->removed is the layer of the answer, which px_rekey_answer() gives
 *   OSP_E_NO_CONTEXT   it is none of them.  OSP_E_REPLAY, OSP_E_DECRYPT and others
 */
enum osp_err px_rekey_request(struct px_turn *t, struct px_exchange *x, const struct osp_oscore_opt *o,
                              const struct osp_msg *in, struct osp_msg *out);
enum px_step px_rekey_answer(struct px_turn *t, struct px_exchange *x);
/* Before a request is protected for a base: x->current is what to use. OSP_E_REKEY: wait for another exchange's run. */
enum osp_err px_rekey_choose(struct px_turn *t, struct px_exchange *x);
enum px_step px_rekey_wait(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);
/* PX_GO_ON: `resp` is none of a run. */
enum px_step px_rekey_response(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp);
/* A response came out of its layer. */
void px_rekey_verified(struct px_turn *t, struct px_exchange *x);
/* The exchange ends, or its request will not be answered in what it was sent in. */
void px_rekey_end(struct osp_proxy *px, struct px_exchange *x);

/* ---- as the Responder ---- */
/* `proven`: the client's address is. PX_PROVE: it has to be. */
enum px_step px_edhoc(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, bool proven);
/* True if a combined request under this kid is for us: we have a session by this C_R with its sender [rfc9668#3.3.1]. */
bool px_edhoc_is_combined(const struct px_exchange *x, struct osp_slice kid);
/* Takes message_3 out of it: the context for the rest is there then. */
enum px_step px_edhoc_combined(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, struct osp_slice kid);

/* Asked about credentials during one call of lib/edhoc; knows the policy, and has room for one that came by value. */
struct px_finder {
    const struct osp_policy *policy;
    struct osp_edhoc_peer    unknown;
    uint8_t                  hash[32];  /* of the unknown credential */
    struct osp_subject       subject;   /* towards a next hop: who it has to be */
};

/* The profile of the policy under which a session began, with a finder for this call that asks the policy of now. */
struct osp_edhoc_profile px_edhoc_profile(struct px_finder *f, const struct osp_policy *began, const struct osp_policy *now);
/* Chooses and reserves an identifier that nobody here uses, and that is not `other`. False: there is none left. */
bool px_edhoc_choose_id(struct px_turn *t, const struct osp_policy *p, struct osp_slice other, struct osp_edhoc_cid *out);
/* The context of a complete session; the caller owns it. */
enum osp_err px_edhoc_derive(const struct osp_edhoc *s, const struct px_finder *f, const char *leads_to, struct osp_recipe **out);
/* Into the runtime table, and to the daemon, as above; takes `m` over. */
enum osp_err px_edhoc_put_context(struct px_turn *t, const struct osp_policy *now, struct osp_recipe *m, bool confirmed);
/*
 * The context of a complete session, into the runtime table and to the daemon; `leads_to`: its purpose, NULL: none.  Not
 * confirmed: the daemon keeps it when something verified under it, which px_agreement_verified() is told.
 */
enum osp_err px_edhoc_make_context(struct px_turn *t, const struct osp_edhoc *s, const struct px_finder *f, const char *leads_to,
                                   bool confirmed);

/* ---- who has to be there ---- */
/* Notes with whom the context for the way to `to` is established, so that it can be judged who is there. OSP_E_NOMEM. */
enum osp_err px_note_hop(struct osp_proxy *px, struct px_exchange *x, const struct osp_hop_edhoc *h,
                           const struct osp_authority *to);
/* `x` establishes its context with the host that `from` does. OSP_E_NOMEM. */
enum osp_err px_copy_hop(struct osp_proxy *px, struct px_exchange *x, const struct px_exchange *from);

/* ---- as the Initiator ---- */
/*
 * Before `req` is sent to a next hop with EDHOC.  PX_GO_ON: x->current is its context, or NULL where requests may go without.
 * PX_DONE: `x` waits for one.
 */
enum px_step px_ensure_context(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);
/* The next hop may have lost the context: PX_SEND, the request goes out again, in another. */
enum px_step px_ask_in_another_context(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp);
/* The request of an observation is about to be sent again: in the context that is in use now. */
void px_forget_context(struct px_exchange *x);
/* What came back to the exchange of a session, or that nothing did. */
enum px_step px_session_response(struct px_turn *t, struct px_exchange *up, struct osp_msg *resp);
void px_agreement_fail(struct px_turn *t, struct px_exchange *up, enum osp_err why);
/* A response came out of the layer x->added. */
void px_agreement_verified(struct px_turn *t, struct px_exchange *x);
/* The exchange of a session ends. */
void px_session_ended(struct osp_proxy *px, struct px_exchange *up);
void px_agreements_free(struct osp_proxy *px);

/* ---- message_3 in a request ---- */
/* `m`, the request of `x` as it was protected, gets message_3. */
enum osp_err px_carry_message(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m);
/* PX_GO_ON: `resp` does not say that message_3 was not taken. */
enum px_step px_combined_response(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp);
/* The response to a request with message_3 came out of its layer. */
void px_combined_verified(struct px_turn *t, struct px_exchange *x);
/* The exchange of such a request ends. */
void px_carrier_ended(struct osp_proxy *px, struct px_exchange *x);

#endif
