/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The turn, the exchange and the proxy: what the files of lib/proxy share.
 *
 *   the flow      proxy.c (events in), dispatch.c (an incoming request), forward.c and send.c (to the next hop),
 *                 response.c (what came back), answer.c (to the client), resume.c (what had to wait),
 *                 notify.c (what observe/ says is to be sent), kinds.c (who hears of what)
 *   its steps     translate.c, location.c, local.c, loop.c, caching.c, flight.c
 *   below         exchange.c, client.c, account.c, park.c, asks.c, request.c
 *   sub-rooms     access/, blocks/, observe/, edhoc/
 *
 * Each has its header: flow.h, steps.h, one for each file below, one for each sub-room.
 * Calls go down only.  A step returns an enum px_step, and the flow does what it says (px_conclude()); what is attached to an
 * exchange hears of its failure and of its end through tables (kinds.c).
 */
#ifndef OSP_PROXY_IMPL_H
#define OSP_PROXY_IMPL_H

#include "base/hash.h"
#include "base/list.h"
#include "base/share.h"
#include "base/table.h"
#include "base/timer.h"
#include "msg/block.h"
#include "msg/option.h"
#include "msg/stored.h"
#include "oscore/b2.h"
#include "oscore/recipe.h"
#include "proxy/asks.h"
#include "proxy/client.h"
#include "proxy/edhoc/sessions.h"
#include "proxy/park.h"
#include "proxy/proxy.h"

#define PX_LAYERS_MAX 8         /* layers that can be removed from one request; the policy's limit is below */
#define PX_TURNS_MAX 24         /* turns of the dispatch loop: layers, and authorities that are ours */
#define PX_LEASE_SLOTS 256
#define PX_CTX_ASKS 1024
#define PX_BODY_LISTS 3
#define PX_KEEP_ASKS 64
#define PX_AGREEMENTS_MAX 1024
#define PX_AGREED_ASKS 16

struct px_turn;

#define PX_CHANGES 256
#define PX_VERIFIED 4096
struct px_verified { uint64_t hash, until_us; };

/* Names one block-wise operation: two keyed hashes over who asks and what is asked. */
struct px_op { uint64_t a, b; };

/* How a response came: see struct osp_event. */
struct px_came { bool confirmable, is_answer; };

/*
 * What a step says to its caller.  Steps below the flow never answer, send or end the exchange they work for: they say what is to
 * be done, and the flow does it (px_conclude()).
 */
enum px_step {
    PX_GO_ON,           /* the next step */
    PX_RESPOND,         /* the client gets the response t->out */
    PX_FAIL,            /* the request failed for t->why */
    PX_FAIL_UPSTREAM,   /* the request failed for t->why; a stale response of the cache may stand in */
    PX_SEND,            /* the request t->out goes to the next hop */
    PX_PROVE,           /* the client has to prove its address first */
    PX_DROP,            /* the exchange ends without an answer */
    PX_DONE,            /* nothing more in this turn: it waits, or it has ended */
};

/* What kind of exchange it is: who gets what comes of it.  The tables are in kinds.c; ended may be NULL. */
struct px_kind {
    /* `resp` is whole, and out of our layer; t->came says how it came. */
    enum px_step (*response)(struct px_turn *t, struct px_exchange *x, struct osp_msg *resp);
    void (*failed)(struct px_turn *t, struct px_exchange *x, enum osp_err why);         /* ends it */
    void (*ended)(struct osp_proxy *px, struct px_exchange *x);
    bool has_client;
    bool in_the_clear;          /* its requests go out as they are, and all their blocks are for us */
};

extern const struct px_kind px_client_kind, px_registration_kind, px_session_kind;

/* What can be attached to an exchange beside its kind.  A bit of px_exchange.parts says that it is. */
enum px_part { PX_PART_OBSERVATION, PX_PART_FLIGHT, PX_PART_LOOP, PX_PART_CARRIED, PX_PART_REKEY, PX_PART_TRANSFER, PX_PARTS };

/* `failed`: the exchange is about to be answered with an error; NULL: no matter.  `ended`: it ends, the part is detached. */
struct px_part_hooks {
    void (*failed)(struct px_exchange *x, enum osp_err why);
    void (*ended)(struct osp_proxy *px, struct px_exchange *x);
};

extern const struct px_part_hooks px_part_hooks[PX_PARTS];

/* Blocks around a layer of ours, of blocks/. */
struct px_cut {
    struct px_op     op;                /* the request where its response is cut: outermost, or as `depth` says */
    struct osp_block block1, block2;
    uint8_t          depth;             /* layers outside of them */
    bool             block1_acked, block2_asked;
};

/* EDHOC with the next hop, of edhoc/. */
struct px_hop_edhoc {
    const struct osp_hop_edhoc *hop;
    struct px_agreement        *agreement;      /* this is the exchange of its session, for which no client waits */
    struct px_agreement        *carries;        /* its message_3 is in this exchange's request, until that was answered */
    uint8_t                     host_len;
    uint8_t                     sessions_awaited;
    bool                        asked_anew;     /* the next hop had lost `current`, once */
    uint8_t                     host[];         /* name of the host it goes to; host_len 0: an address */
};

/* A context of the next hop is derived anew by a run of ours, of edhoc/rekey.c. */
enum px_rekey { PX_REKEY_NONE, PX_REKEY_FIRST, PX_REKEY_THIRD };
struct px_run {
    uint8_t stage;                      /* enum px_rekey: what the request was sent in last */
    uint8_t rounds;
};

/* What the client's address may get, of access/verify.c. */
struct px_verify {
    uint32_t request_len, token_len;    /* bytes of the client's datagram, and of its Token */
    bool     safe;                      /* the client's request, as received, used a safe method */
    bool     echoed;                    /* the client proved its address: with a fresh Echo of ours in this request, or with the
                                           registration that this request renews */
};

/* What the cache is asked and given, of caching.c and blocks/gather.c. */
struct px_cached {
    struct osp_cache_key key;           /* its bytes in pool memory; none: bytes.n is 0 */
    struct osp_block     asked;         /* if `asks_block`: of the representation that the cache may have */
    uint32_t             changes;       /* of its resource, when it was asked for */
    bool                 asks_block;
    bool                 keep_answer;   /* the answer is offered to the cache under `key` */
    bool                 validating;    /* the request carries the ETag of a stale entry */
};

struct px_exchange {
    const struct px_kind   *kind;
    struct osp_list         link;       /* in px.exchanges */
    struct osp_list         wait;       /* in a queue or a lease slot's list while parked, or in px.ready */
    struct px_queue        *queue;      /* that it waits in; NULL: none */
    struct osp_policy      *policy;     /* a reference */
    const struct osp_route *route;      /* reverse-proxied by it; NULL: forward-proxied */
    struct osp_octx        *hop_ctx;    /* layer to put on, borrowed from the policy; NULL: none, or `current` */
    struct osp_octx        *current;    /* the context in use with the next hop where it is made at run time, for `edhoc` or
                                           derived from hop_ctx; a reference */
    struct osp_octx        *lease_ctx;  /* the context for whose lease it waits, borrowed */
    const struct osp_rule  *rule;       /* that allowed it */
    uint64_t                in;         /* handle of the client's request */
    uint64_t                out;        /* handle of ours, 0: none */
    uint64_t                outbound;   /* its entry among those on their way to the next hop, 0: none */
    uint64_t                ends;       /* `in` of the exchange whose observation this request deregisters; 0: none */
    struct osp_flow         from;
    struct osp_addr         to;
    struct osp_stored       saved;
    struct px_observation  *obs;        /* NULL: an ordinary exchange */
    struct px_subject      *subject;    /* this is its registration upstream, for which no client waits */
    struct px_flight       *flight;     /* it leads; NULL: nobody may wait for its answer */
    struct px_cut           cut;
    struct px_hop_edhoc    *edhoc;      /* the next hop's context is established when it is needed; NULL: not */
    struct px_verify        verify;
    struct px_run           rekey;
    struct px_cached        cached;
    struct px_transfer     *transfer;   /* NULL: nothing in blocks towards the next hop */
    struct osp_account     *account;    /* a reference; NULL: not needed so far */
    struct osp_time         deadline;
    struct osp_timer        patience;   /* set while parked: whoever should wake it up may be unable to */
    struct osp_layer        added;
    enum px_wait            state;
    enum osp_err            resolved;   /* what the name it waited for led to: `to`, or this error */
    uint8_t                 parts;      /* bits by enum px_part */
    uint8_t                 no_response;        /* its No-Response option [rfc7967#2] */
    uint8_t                 removed_count;
    bool                    is_error;           /* the answer is an error of ours: its payload is text for people */
    bool                    is_challenge;       /* the answer asks for freshness inside a layer */
    bool                    told_too_long;      /* the answer is the error about one that did not fit */
    bool                    current_is_stale;   /* the next hop does not know `current` any more */
    bool                    confirmable;        /* the request, and ours */
    bool                    inner_oscore;       /* the forwarded request has an OSCORE option */
    bool                    has_added;
    bool                    echo_tried;         /* the next hop's Echo challenge was answered once */
    bool                    notify;             /* the answer being sent is not the last one */
    bool                    notify_con;         /* the answer being sent, a notification, is to be confirmed */
    bool                    is_admitted;        /* it counts in the client's share of exchanges */
    bool                    vouched;            /* the operator named the address: the guard does not apply */
    struct osp_layer        removed[PX_LAYERS_MAX];
};

static inline bool
px_has_part(const struct px_exchange *x, enum px_part part)
{
    return x->parts >> part & 1;
}

/* With whom the next hop's context is established; NULL: it is not. */
static inline const struct osp_hop_edhoc *
px_edhoc_hop(const struct px_exchange *x)
{
    return x->edhoc ? x->edhoc->hop : NULL;
}

/* What the daemon is asked about a context; with a reference. */
struct px_ctx_ask { struct osp_octx *ctx; enum osp_ask_kind kind; enum osp_key_state state; };

/* How a session of EDHOC with a next hop ended. */
struct px_agreed { enum osp_err why; char purpose[OSP_RECIPE_PEER_MAX]; };

struct osp_proxy {
    struct osp_proxy_cfg   cfg;
    struct osp_pool        pool;
    struct osp_transports  transports;          /* all peers are behind these */
    struct osp_crypto     *crypto;
    struct osp_randbuf     rand;
    struct osp_hash_key    seed;
    struct osp_policy     *policy;
    struct osp_addrview    addresses;           /* of this machine */
    struct osp_list        exchanges;
    struct osp_list        ready;               /* px_exchange.wait: parked no longer, not yet taken up */
    struct osp_list        at_once;             /* px_exchange.wait: their saved requests go out before the turn is over */
    struct osp_shares     *shares, *own_shares;         /* of all workers; what was made here when there was none */
    struct osp_ledger      ledger;
    struct osp_table       names, obs_clients, obs_handles, subjects, flights, agreements;
    struct osp_list        running;             /* px_subject.run */
    struct osp_wheel       renewals;            /* px_subject.timer */
    bool                   aborting;            /* nothing is parked any more */
    bool                   draining;            /* no new request is taken */
    struct osp_list        name_lru, name_asks, agreement_lru;
    uint32_t               changes[PX_CHANGES];         /* by unsafe requests, by hash of the URI */
    struct px_verified     verified[PX_VERIFIED];       /* addresses, by hash */
    struct px_verified     known[PX_VERIFIED];          /* flows that a layer came off from, by hash */
    struct osp_table       bodies, body_owners;
    struct osp_list        body_age[PX_BODY_LISTS];     /* the one that was touched longest ago first */
    struct osp_list        lease_waiters[PX_LEASE_SLOTS];
    struct px_ctx_ask      ctx_asks[PX_CTX_ASKS];       /* ring */
    size_t                 ctx_ask_head, ctx_ask_count;
    struct osp_wheel       patience;                    /* px_exchange.patience */
    struct osp_recipe     *keep_asks[PX_KEEP_ASKS];     /* made, and to be kept by the daemon; taken after every input */
    size_t                 keep_count;
    struct px_agreed       agreed_asks[PX_AGREED_ASKS];  /* for the log: one that finds no room is only counted */
    size_t                 agreed_count;
    struct osp_proxy_stats stats;
    struct osp_addr        came_back_from;      /* the last request that did */
    uint8_t               *scratch;             /* plaintexts and values of one turn */
    size_t                 scratch_cap;
    struct osp_msg         a, b;                /* messages of one turn, besides the endpoint's */
};

/* Uri-Host and Uri-Port that stood outside of the layer that came off last: anybody on the way may have written them. */
struct px_outer {
    struct osp_slice host, port;
    bool             has_host, has_port;
};

/* One turn: what every step needs. */
struct px_turn {
    struct osp_proxy *px;
    struct osp_time   now;
    struct osp_wr     scratch;
    struct px_outer   outer;    /* of the request that is dispatched */
    struct px_came    came;     /* how the response came that is dealt with */
    struct osp_msg   *out;      /* with PX_RESPOND and PX_SEND: what; it lives as long as the turn */
    enum osp_err      why;      /* with PX_FAIL, PX_FAIL_UPSTREAM and PX_DROP */
};

struct px_turn px_turn_begin(struct osp_proxy *px, struct osp_time now);

/* The one of the proxy's two messages that `m` is not. */
static inline struct osp_msg *
px_other(const struct px_turn *t, const struct osp_msg *m)
{
    return m == &t->px->a ? &t->px->b : &t->px->a;
}

static inline enum px_step
px_fail(struct px_turn *t, enum osp_err why)
{
    t->why = why;
    return PX_FAIL;
}

/* PX_GO_ON for OSP_OK. */
static inline enum px_step
px_judge(struct px_turn *t, enum osp_err e)
{
    return e == OSP_OK ? PX_GO_ON : px_fail(t, e);
}

static inline enum px_step
px_respond(struct px_turn *t, struct osp_msg *resp)
{
    t->out = resp;
    return PX_RESPOND;
}

#endif
