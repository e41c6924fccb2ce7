/* SPDX-License-Identifier: BSD-2-Clause */
/* What initiator.c and combined.c share: the place of EDHOC sessions with one next hop. */
#ifndef OSP_PROXY_EDHOC_AGREEMENT_H
#define OSP_PROXY_EDHOC_AGREEMENT_H

#include "proxy/edhoc/edhoc.h"

struct px_agreement {
    struct osp_node       node;         /* in px.agreements by purpose */
    struct osp_list       lru;          /* in px.agreement_lru, used last last */
    struct px_queue       waiters;
    struct px_exchange   *up;           /* the session's exchange; NULL: none is under way */
    struct osp_edhoc     *session;      /* of the session, in pool memory */
    struct osp_edhoc_cid  c_i;
    struct px_exchange   *carrier;      /* the exchange whose request carries message_3; NULL: none */
    struct osp_slice      message_3;    /* C_R and message_3 for the carrier's request, in pool memory */
    size_t                c_r_len;      /* bytes of C_R at the beginning of message_3 */
    struct osp_recipe    *recipe;       /* the context of the session, once a request went out in it; nobody else has it */
    bool                  no_combined;  /* the next hop does not take such requests */
    uint64_t              pause_us;     /* what the session's failure is to be followed by; 0: as usual */
    uint64_t              not_before_us;
    uint64_t              made_us;      /* when the last session succeeded */
    enum osp_err          why;          /* the last one did not */
    int64_t               suite;
    unsigned              restarts;
    bool                  echo_tried, asked_3;
    uint16_t              purpose_len;
    char                  purpose[OSP_RECIPE_PEER_MAX];
};

/* ---- purpose.c ---- */
/* Who has to be at the other end; borrows from the exchange. */
struct osp_subject px_subject_of(const struct px_exchange *x);
/*
 * "coap://192.0.2.7:5683 plant-gw gw.plant.example": whom the context leads to, whom the configuration means, and who had to be
 * there, unless the credential is meant whatever the name is.  Another name at one address is another purpose.
 * Written to `dst`; names that have no room stand there as a digest.
 */
struct osp_slice px_purpose_of(const struct px_exchange *x, char dst[OSP_RECIPE_PEER_MAX]);
/*
 * True if the credential with this label may be at the other end.  Of those that an authority vouches for (`by_chain`) the
 * certificate was asked when the session was made; their contexts are found by a purpose that says whom it had to name.
 */
bool px_is_wanted(const struct px_exchange *x, uint32_t label, bool by_chain);
/* True if an authority vouches for the contexts with this label. */
bool px_is_by_chain(const struct px_exchange *x, uint32_t label);

/* ---- agreement.c ---- */
#define PAUSE_US OSP_SEC(10)    /* after a failure, and before a context that the peer says it lost is made anew */

/* The agreement of this purpose, which is made if there is none; NULL: a table is full, or no memory. */
struct px_agreement *px_agreement_get(struct osp_proxy *px, struct osp_slice purpose);
/* The session's next request is a POST to the EDHOC resource of the next hop; it is saved. OSP_E_NOMEM and others. */
enum osp_err px_agreement_keep(struct px_turn *t, struct px_exchange *up, struct osp_slice payload);
/* The session is over: who waited is ready. */
void px_agreement_finish(struct px_turn *t, struct px_agreement *a, enum osp_err why);
/* The session failed: as px_agreement_finish(), and the error is counted. */
void px_agreement_fail(struct px_turn *t, struct px_exchange *up, enum osp_err why);
/* message_3 is not needed any more. */
void px_agreement_forget_message(struct osp_proxy *px, struct px_agreement *a);
/* No request carries message_3 any more. */
void px_agreement_let_carrier_go(struct px_agreement *a);
/* No request carries message_3, none will, and the context that was made for it is freed. */
void px_agreement_uncarry(struct osp_proxy *px, struct px_agreement *a);

/* ---- combined.c ---- */
/* One of those that wait takes `message_3`, the bytes after C_R, along: true. */
bool px_choose_carrier(struct px_turn *t, struct px_agreement *a, const struct px_finder *f, struct osp_slice c_r_and_message_3,
                       size_t c_r_len);
/* The request may be sent again, although somebody may have executed it. */
bool px_may_repeat(const struct px_exchange *x, const struct osp_msg *req);

#endif
