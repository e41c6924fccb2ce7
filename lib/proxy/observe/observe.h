/* SPDX-License-Identifier: BSD-2-Clause */
/* Observations of clients, and the subjects that they share upstream. */
#ifndef OSP_PROXY_OBSERVE_OBSERVE_H
#define OSP_PROXY_OBSERVE_OBSERVE_H

#include "proxy/exchange.h"

/* Which notification is the newest [rfc7641#3.4]. */
struct px_order {
    uint64_t last_us;           /* when the last one came */
    uint32_t last;              /* its Observe value */
    bool     any;               /* there was one: the registration holds */
};

/* An observation of a client [rfc7641#3]: its exchange stays open for notifications. */
struct px_observation {
    struct osp_node     by_client;      /* in px.obs_clients by (client, Token) */
    struct px_listed    by_handle;      /* in px.obs_handles */
    struct px_subject  *subject;        /* NULL: its registration upstream is its own exchange's */
    struct osp_list     fan;            /* in subject->fans or subject->late */
    struct px_exchange *x;
    struct osp_stored   held;           /* the newest notification, while it waits for a sequence number (no subject) */
    struct px_order     order;          /* of what comes from upstream (no subject) */
    uint64_t            sent_us;        /* when the last notification was sent */
    uint64_t            confirmed_us;   /* when one was last sent confirmably */
    uint64_t            rtt_us;         /* how long that took to be acknowledged, 0: not known */
    uint32_t            unconfirmed;    /* notifications since then */
    bool                answered;       /* the first one was sent */
    bool                held_last;      /* what is held ends the observation */
};

/*
 * What several clients observe: one registration upstream, whose notifications go to all of them [rfc7641#5].
 * It ends with its last observer, or with the registration; then it stays until everybody was told.
 */
struct px_subject {
    struct osp_node     node;           /* in px.subjects by `id`, until it has ended */
    struct osp_list     run;            /* in px.running while there is something to do: `late`, or nobody left */
    struct osp_list     fans;           /* px_observation.fan: who has the newest, or waits for the first or for a number */
    struct osp_list     late;           /* px_observation.fan: who is to get the newest */
    struct osp_timer    timer;          /* when to register again */
    struct px_exchange *up;             /* its exchange upstream; NULL once it has ended */
    struct osp_slice    id;             /* in pool memory: what the cache key says, and the ETags of the request */
    struct osp_stored   newest;         /* the newest representation, without Observe */
    struct px_order     order;
    uint64_t            asked_us;       /* when it was registered for last */
    uint64_t            tags;           /* what Request-Tags it was registered for with, hashed */
    uint32_t            max_age;        /* of `newest`, seconds; it came at order.last_us */
    uint32_t            version;        /* our Observe value */
    enum osp_err        why;            /* it ended with this error; OSP_OK: with the answer in `newest` */
    bool                asking;         /* a registration is under way */
    bool                con;            /* the newest came confirmably */
    bool                in_blocks;      /* the newest is the first of several, or not known yet */
    bool                ended;
};

/* ---- observations ---- */
/* What the Observe option of a request asks for. */
struct px_wish {
    uint64_t            hash;           /* of the client and its Token */
    struct px_exchange *old;            /* what it observes under this Token; NULL: nothing */
    bool                registers;
};
/* False: for nothing that is done here. */
bool px_observe_wish(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, struct px_wish *wish);
/* An observation begins, or ends. */
void px_observe_grant(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct px_wish *wish);
/* A response to an observed request. Sets x->notify for a notification; PX_DONE: it is old and to be ignored. */
enum px_step px_observe_response(struct px_turn *t, struct px_exchange *x, struct osp_msg *resp);
/*
 * Keeps notification `resp` until `ctx` has a number, in place of an older one that waits; without x->notify it is the last.
 * False: it cannot be kept, the caller ends the exchange.
 */
bool px_observe_hold(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp, struct osp_octx *ctx);
/* A number was leased, or not: what was held is sent, or lost. */
enum px_step px_observe_release(struct px_turn *t, struct px_exchange *x, bool leased);
/* Whether notifications to `up` come in order, whatever their Observe options say. */
bool px_is_in_order(const struct osp_proxy *px, const struct px_exchange *up);
/* False: the notification is old. Otherwise it is the newest now. */
bool px_order_take(struct px_order *o, const struct osp_msg *resp, struct osp_time now);
/* Whether the next notification to this client is to be confirmed: `con`: the one that came was [rfc7641#4.5]. */
bool px_observe_confirms(const struct px_observation *o, bool con, struct osp_time now);
/* It was sent; what was held is out of date. */
void px_observe_sent(struct osp_proxy *px, struct px_observation *o, bool con, struct osp_time now);
/* A confirmable notification was acknowledged. */
void px_observe_delivered(struct px_observation *o, struct osp_time now);
void px_observe_end(struct osp_proxy *px, struct px_exchange *x);

/* ---- subjects ---- */
bool px_subject_may_merge(const struct osp_msg *req);
/* What a registration asks for. */
struct px_interest {
    struct osp_slice id;        /* the cache key, and the ETags of the request; in the turn's scratch memory */
    uint64_t         hash, tags;
};
/* False: there is no room for it. */
bool px_interest_of(struct px_turn *t, const struct osp_msg *req, const struct osp_cache_key *key, struct px_interest *out);
/* The first subject of this interest whose registration goes the way of `x`, or the next one after `after`; NULL: none. */
struct px_subject *px_subject_next(struct osp_proxy *px, const struct px_interest *i, const struct px_exchange *x,
                                   struct px_subject *after);
/* The observation of `x` is one of `s` from now on. */
void px_subject_join(struct px_turn *t, struct px_subject *s, const struct px_exchange *x);
/* A subject for `x`, whose s->up goes on upstream; NULL: no memory. */
struct px_subject *px_subject_new(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req,
                                  const struct osp_cache_key *key, const struct px_interest *i);
/* An observer has gone. */
void px_subject_left(struct osp_proxy *px, struct px_observation *o);
/* ---- to its observers */
bool px_subject_is_fresh(const struct px_subject *s, struct osp_time now);
bool px_subject_compose(struct px_turn *t, const struct px_subject *s, struct osp_msg *out);
/* Who is to get the newest; NULL: nobody. */
struct px_observation *px_subject_next_late(const struct px_subject *s);
/* It has been told, or will be when there is a number for it. */
void px_subject_is_told(struct px_observation *o);
/* ---- its registration */
/* Whether a response that did not verify leaves it as it is: all but the answer to a registration. */
bool px_subject_ignores(const struct px_turn *t, const struct px_subject *s);
/* One that is due to register again, or whose registration was not answered; NULL: none. */
struct px_subject *px_subject_due(struct osp_proxy *px, struct osp_time now);
/* px_subject_due() names it again then. */
void px_subject_look_again(struct osp_proxy *px, struct px_subject *s, struct osp_time when);
/* Begins to register again; true: with the request in t->px->a. */
bool px_subject_renew(struct px_turn *t, struct px_subject *s);
/* True: that its registration failed does not end it. */
bool px_subject_outlives(struct px_subject *s, enum osp_err why);
/* The registration came to nothing: everybody gets the error. */
void px_subject_end(struct px_turn *t, struct px_subject *s, enum osp_err why);
/* What a response to the registration says; takes Observe out of it. */
struct px_news { uint32_t max_age; bool con, goes_on; };
struct px_news px_subject_news(const struct px_turn *t, const struct px_subject *s, struct osp_msg *resp);
/* False: it is older than what is there. */
bool px_subject_is_news(struct px_turn *t, struct px_subject *s, const struct osp_msg *resp);
/* The newest is `resp`: out to everybody. OSP_E_NOMEM. */
enum osp_err px_subject_take(struct px_turn *t, struct px_subject *s, const struct osp_msg *resp, const struct px_news *news);
void px_subject_free(struct osp_proxy *px, struct px_subject *s);
/* Frees what is left when no exchange is. */
void px_subjects_free(struct osp_proxy *px);

#endif
