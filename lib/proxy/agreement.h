/* SPDX-License-Identifier: BSD-2-Clause */
/* What initiator.c and combined.c share: the place of runs of EDHOC with one next hop. */
#ifndef OSP_PROXY_AGREEMENT_H
#define OSP_PROXY_AGREEMENT_H

#include "proxy/impl.h"

struct px_agreement {
    struct osp_node       node;         /* in px.agreements by purpose */
    struct osp_list       lru;          /* in px.agreement_lru, used last last */
    struct osp_list       waiters;      /* px_exchange.wait */
    size_t                waiting;      /* how many those are */
    struct px_exchange   *up;           /* the run's exchange; NULL: none is under way */
    struct osp_edhoc     *session;      /* of the run, in pool memory */
    struct osp_edhoc_cid  c_i;
    struct px_exchange   *carrier;      /* whose request has message_3 with it; NULL: none */
    struct px_buf         message_3;    /* ... after C_R */
    size_t                c_r_len;      /* bytes of that */
    struct osp_made      *made;         /* the context of the session, once a request went out in it; nobody else has it */
    bool                  no_combined;  /* the next hop does not take such requests */
    uint64_t              pause_us;     /* what the run's failure is to be followed by; 0: as usual */
    uint64_t              not_before_us;
    uint64_t              made_us;      /* when the last run succeeded */
    enum osp_err          why;          /* the last one did not */
    int64_t               suite;
    unsigned              restarts;
    bool                  echo_tried, asked_3;
    uint16_t              purpose_len;
    char                  purpose[OSP_MADE_PEER_MAX];
};

/* ---- initiator.c ---- */
/* POST to the EDHOC resource of the next hop. */
enum osp_err px_agreement_post(struct px_turn *t, struct px_exchange *up, struct osp_slice payload);
/* The run is over: who waited is ready. */
void px_agreement_finish(struct px_turn *t, struct px_agreement *a, enum osp_err why);
/* Parks `x`, whose request is kept, until the run is over. */
void px_agreement_wait(struct px_turn *t, struct px_exchange *x, struct px_agreement *a);
/* The request may be sent again, although somebody may have executed it. */
bool px_may_repeat(const struct px_exchange *x, const struct osp_msg *req);

/* ---- combined.c ---- */
/* One of those that wait takes `message_3`, the bytes after C_R, along: true. */
bool px_combined_begin(struct px_turn *t, struct px_agreement *a, const struct px_finder *f, struct osp_slice c_r_and_message_3,
                       size_t c_r_len);
/* The run ends. */
void px_combined_end(struct osp_proxy *px, struct px_agreement *a);

#endif
