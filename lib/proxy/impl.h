/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Insides of lib/proxy, shared by its files.
 *
 *   the flow      proxy.c (events in), dispatch.c (an incoming request), forward.c and send.c (to the next hop),
 *                 response.c (what came back), answer.c (to the client), resume.c (what had to wait),
 *                 notify.c (what observe/ says is to be sent), kinds.c (who hears of what)
 *   its steps     translate.c, location.c, local.c, loop.c, caching.c, flight.c
 *   below         exchange.c, park.c, asks.c, request.c
 *   sub-rooms     access/, blocks/, observe/, edhoc/
 *
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
#include "proxy/client.h"
#include "proxy/asks.h"
#include "proxy/edhoc/sessions.h"
#include "proxy/park.h"
#include "proxy/proxy.h"

#define PX_LAYERS_MAX 8         /* layers that can be removed from one request; the policy's limit is below */
#define PX_TURNS_MAX 24         /* turns of the dispatch loop: layers, and authorities that are ours */
#define PX_NAME_IPS 4
#define PX_LEASE_SLOTS 256
#define PX_CTX_ASKS 1024
#define PX_BODY_LIFE_US OSP_SEC(247)    /* EXCHANGE_LIFETIME [rfc7959#2.4] */
#define PX_KEEP_ASKS 64
#define PX_AGREEMENTS_MAX 1024
#define PX_AGREED_ASKS 16
#define PX_ECHO_LEN 12
#define PX_ECHO_SHORT 6

/* A run of ours for the context of the next hop, and what the request was sent in last. */
enum px_rekey { PX_REKEY_NONE, PX_REKEY_FIRST, PX_REKEY_THIRD };

struct px_turn;

/* Which notification is the newest [rfc7641#3.4]. */
struct px_order {
    uint64_t last_us;           /* when the last one came */
    uint32_t last;              /* its Observe value */
    bool     any;               /* there was one: the registration holds */
};

#define PX_CHANGES 256
#define PX_VERIFIED 4096
struct px_verified { uint64_t hash, until_us; };

/* Bytes in pool memory that grow. */
struct px_buf { uint8_t *p; uint32_t n, cap; };

/* Names one block-wise operation: two keyed hashes over who asks and what is asked. */
struct px_op { uint64_t a, b; };

enum px_body_kind {
    PX_BODY_REQUEST,    /* a request's body, block by block */
    PX_BODY_RESPONSE,   /* a response that is given out block by block */
    PX_BODY_UPLOAD,     /* an upload in blocks passed by: its Request-Tag */
    PX_BODY_GATHERED,   /* a response whose blocks pass by, for the cache */
};

/* Whose turn it is to go for a new body. */
enum px_body_list {
    PX_BODY_COMMON,     /* of unknown clients: the oldest goes for any new one */
    PX_BODY_FORMING,    /* requests' bodies of unknown clients: for another one's the oldest goes only when it stands still */
    PX_BODY_KNOWN,      /* of known clients: the oldest goes for a known client's */
    PX_BODY_LISTS,
};

struct px_body {
    struct osp_node by_op;      /* in px.bodies */
    struct osp_node by_owner;   /* in px.body_owners */
    struct osp_list age;        /* in px.body_age[list], last touched last */
    struct osp_account *account;        /* whose share it counts in */
    struct px_op    op;
    struct px_buf   data;       /* REQUEST, GATHERED: payload so far */
    struct osp_stored stored;   /* RESPONSE: the whole message; GATHERED: the first block's response without its payload */
    uint64_t        fresh_us;   /* GATHERED: until when all of its blocks are */
    uint64_t        expires_us, touched_us;
    uint64_t        tag;        /* UPLOAD */
    uint8_t         list;       /* enum px_body_list */
};

/* How a response came: see struct osp_event. */
struct px_came { bool confirmable, is_answer; };

/* An exchange's blocks towards the next hop. */
struct px_transfer {
    uint64_t         out;       /* handle of the request for the block that is under way; the exchange's own, or beside it */
    uint64_t         tag;       /* Request-Tag of the request in blocks, 0: not in blocks */
    struct osp_stored request;  /* it goes out in blocks */
    struct osp_stored head;     /* the first block's response without its payload */
    struct px_buf    body;      /* of the response, so far */
    struct osp_block at;        /* sent or asked for last */
    struct px_came   came;      /* the first block of the response */
    bool             sending, collecting;
};

/* An observation of a client [rfc7641#3]: its exchange stays open for notifications. */
struct px_observation {
    struct osp_node     by_client;      /* in px.obs_clients by (client, Token) */
    struct osp_node     by_handle;      /* in px.obs_handles by the handle of the client's request */
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
    struct osp_list     late;           /* ... who is to get the newest */
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

/*
 * What a step says to its caller.  Steps below the flow never answer, send or end the exchange they work for: they say what is to
 * be done, and the flow does it (px_conclude()).
 */
enum px_step {
    PX_GO_ON,           /* the next step */
    PX_RESPOND,         /* the client gets the response t->out */
    PX_FAIL,            /* the request failed for t->why */
    PX_FAIL_UPSTREAM,   /* the same, but a stale response of the cache may stand in */
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

extern const struct px_kind px_client, px_registration, px_session;

/* What can be attached to an exchange beside its kind.  A bit of px_exchange.parts says that it is. */
enum px_part { PX_PART_OBSERVATION, PX_PART_FLIGHT, PX_PART_LOOP, PX_PART_CARRIED, PX_PART_REKEY, PX_PART_TRANSFER, PX_PARTS };

/* `failed`: the exchange is about to be answered with an error; NULL: no matter.  `ended`: it ends, the part is detached. */
struct px_part_hooks {
    void (*failed)(struct px_exchange *x, enum osp_err why);
    void (*ended)(struct osp_proxy *px, struct px_exchange *x);
};

extern const struct px_part_hooks px_part_hooks[PX_PARTS];

struct px_exchange {
    const struct px_kind   *kind;
    struct osp_list         link;       /* in px.exchanges */
    struct osp_list         wait;       /* in a queue or a lease slot's list while parked, or in px.ready */
    struct px_queue        *queue;      /* that it waits in; NULL: none */
    struct osp_policy      *policy;     /* a reference */
    const struct osp_route *route;      /* reverse-proxied by it; NULL: forward-proxied */
    struct osp_octx        *hop_ctx;    /* layer to put on, borrowed from the policy; NULL: none, or `current` */
    const struct osp_hop_edhoc *hop_edhoc;      /* its context is established when it is needed; NULL: not */
    uint8_t                *hop_host;   /* with hop_edhoc: name of the host it goes to, in pool memory; NULL: an address */
    struct osp_octx        *current;    /* the context in use with the next hop where it is made at run time, for `hop_edhoc` or
                                           derived from hop_ctx; a reference */
    struct px_agreement    *agreement;  /* whose run this is the exchange of; no client waits for it then */
    struct px_agreement    *carries;    /* whose message_3 is in its request, until that was answered */
    struct osp_octx        *lease_ctx;  /* whose lease it waits for, borrowed */
    const struct osp_rule  *rule;       /* that allowed it */
    uint64_t                in;         /* handle of the client's request */
    uint64_t                out;        /* handle of ours, 0: none */
    uint64_t                outbound;   /* its entry among those on their way to the next hop, 0: none */
    uint64_t                ends;       /* `in` of the exchange whose observation this request deregisters; 0: none */
    struct osp_flow         from;
    struct osp_addr         to;
    struct osp_stored       saved;
    struct px_observation  *obs;        /* NULL: an ordinary exchange */
    struct px_subject      *subject;    /* whose registration upstream this is; no client waits for it then */
    struct px_flight       *flight;     /* it leads; NULL: nobody may wait for its answer */
    struct px_transfer     *transfer;   /* NULL: nothing in blocks towards the next hop */
    struct osp_account     *account;    /* a reference; NULL: not needed so far */
    struct px_op            op;         /* the request where its response is cut: outermost, or as `cut_depth` says */
    struct osp_block        block1, block2;     /* around a layer of ours */
    uint8_t                 cut_depth;  /* layers outside of them */
    bool                    block1_acked, block2_asked;
    bool                    safe;               /* the client's request, as received, used a safe method */
    bool                    echoed;             /* the client proved its address: with a fresh Echo of ours in this request,
                                                   or with the registration that this request renews */
    bool                    is_error;           /* the answer is an error of ours: its payload is text for people */
    bool                    is_challenge;       /* the answer asks for freshness inside a layer */
    uint32_t                request_len, token_len;     /* bytes of the client's datagram, and of its Token */
    bool                    asks_block;         /* `asked` of what the cache may have */
    struct osp_block        asked;
    bool                    told_too_long;      /* the answer is the error about one that did not fit */
    struct osp_cache_key    key;        /* its bytes in pool memory; none: bytes.n is 0 */
    uint32_t                changes;    /* of its resource, when it was asked for */
    struct osp_time         deadline;
    struct osp_timer        patience;   /* set while parked: whoever should wake it up may be unable to */
    struct osp_layer        added;
    enum px_wait            state;
    enum px_rekey           rekey;
    uint8_t                 rekey_rounds;
    bool                    current_is_stale;       /* the next hop does not know `current` any more */
    enum osp_err            resolved;   /* what the name it waited for led to: `to`, or this error */
    bool                    confirmable;        /* the request, and ours */
    uint8_t                 parts;      /* bits by enum px_part */
    uint8_t                 no_response;        /* its No-Response option [rfc7967#2] */
    uint8_t                 removed_count;
    bool                    inner_oscore;       /* the forwarded request has an OSCORE option */
    bool                    has_added;
    bool                    agreed_again;       /* the next hop had lost `current`, once */
    uint8_t                 hop_host_len;
    uint8_t                 runs_awaited;
    bool                    echo_tried;         /* the next hop's Echo challenge was answered once */
    bool                    keep_answer;        /* the answer is offered to the cache under `key` */
    bool                    notify;             /* the answer being sent is not the last one */
    bool                    notify_con;         /* ... and is to be confirmed */
    bool                    validating;         /* the request carries the ETag of a stale entry */
    bool                    is_admitted;        /* it counts in the client's share of exchanges */
    bool                    vouched;            /* the operator named the address: the guard does not apply */
    struct osp_layer        removed[PX_LAYERS_MAX];
};

struct px_name {
    struct osp_node node;       /* in px.names by host */
    struct osp_list lru;        /* in px.name_lru while nobody waits */
    struct osp_list ask;        /* in px.name_asks until the daemon took it */
    struct px_queue waiters;
    uint64_t        expires_us;
    enum osp_err    err;        /* OSP_OK: ips are valid */
    bool            pending;
    uint8_t         count;
    uint8_t         host_len;
    struct osp_ip   ips[PX_NAME_IPS];
    char            host[256];
};

/* What the daemon is asked about a context; with a reference. */
struct px_ctx_ask { struct osp_octx *ctx; enum osp_ask_kind kind; enum osp_key_state state; };

/* How a run of EDHOC with a next hop ended. */
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

/* The saved request goes out again. */
enum px_step px_send_saved(struct px_turn *t, struct px_exchange *x);

/* ---- exchange.c ---- */
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
/* The exchange whose client's request has this handle, if it is an observation. */
struct px_exchange *px_exchange_find(struct osp_proxy *px, uint64_t handle);
/* Its request, which is saved, goes out before the turn is over. */
void px_send_at_once(struct osp_proxy *px, struct px_exchange *x);
/* Keeps the key in the exchange, which it outlives the turn in. */
bool px_key_keep(struct osp_proxy *px, struct px_exchange *x, const struct osp_cache_key *key);
/* Keeps a copy of the exchange's request, unless there is one already; false without memory. */
bool px_save(struct osp_proxy *px, struct px_exchange *x, const struct osp_msg *req);
/* The kept request, which `req` borrows from; false: there is none. */
bool px_restore(struct px_exchange *x, struct osp_msg *req);

/* ---- dispatch.c ---- */
void px_dispatch(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);

/* ---- policy.c ---- */
/* OSP_OK: the client may; x->rule is set. OSP_E_FORBIDDEN, OSP_E_RATE. */
enum osp_err px_may_forward(struct px_turn *t, struct px_exchange *x, const struct osp_authority *to);
enum osp_err px_may_route(struct px_turn *t, struct px_exchange *x, size_t route);
/* Like px_may_route() without counting the request. */
bool px_sees_route(const struct px_exchange *x, size_t route);
/* True if requests for `a` are for this proxy itself. */
bool px_is_own(struct osp_proxy *px, const struct px_exchange *x, const struct osp_authority *a);
/* The row of the operator's hosts table; NULL: there is none. */
const struct osp_host *px_host_of(const struct osp_policy *p, struct osp_slice name);
/* False: a guarded address, and nobody vouched for it. */
bool px_ip_is_allowed(struct osp_proxy *px, const struct px_exchange *x, const struct osp_ip *ip, uint16_t port);

/* ---- account.c ---- */
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

/* ---- loop.c ---- */
/* Notes a request that is about to go to the next hop `to`.  OSP_E_CAME_BACK: it is there already, and came back. */
enum osp_err px_loop_check(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req, const struct osp_authority *to);
/* True if the request of `x` came back while it was on its way. */
bool px_loop_came_back(const struct px_exchange *x);
/* The exchange ends. */
void px_loop_left(struct osp_proxy *px, struct px_exchange *x);

/* ---- location.c ---- */
/* Location of `resp` as the client has to write it; taken out where it leads out of route `r` (NULL: forward-proxied) or has
   dot segments.  OSP_E_OPTION_COUNT */
enum osp_err px_location_back(struct px_turn *t, const struct osp_route *r, struct osp_msg *resp);

/* ---- forward.c ---- */
void px_forward(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_next_hop *hop);

/* ---- request.c ---- */
uint64_t px_asks_for(const struct osp_proxy *px, const struct px_exchange *x);
enum osp_err px_request(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);

/* ---- send.c ---- */
/* Sends the translated request to x->to, under the next hop's layer if there is one. */
void px_send(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);
/* Does what a step of `x` says. */
void px_conclude(struct px_turn *t, struct px_exchange *x, enum px_step v);
/* Sends what px_send_at_once() was told of. */
void px_send_what_is_due(struct osp_proxy *px, struct osp_time now);
/* The next hop's layer on *req, which then is another message. */
enum osp_err px_protect(struct px_turn *t, struct px_exchange *x, struct osp_msg **req);

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

/* ---- resume.c ---- */
/* Takes up what is ready while there is room for its datagrams; true: all of it was. */
bool px_go_on(struct osp_proxy *px, struct osp_time now);
/* A parked exchange waited long enough. */
void px_give_up(struct px_turn *t, struct px_exchange *x);

/* ---- names.c ---- */
/* OSP_OK with *ip; OSP_E_RESOLVE; OSP_E_INCOMPLETE: the exchange waits in *name. OSP_E_OVERLOAD. */
enum osp_err px_name_find(struct px_turn *t, struct osp_slice host, struct osp_ip *ip, struct px_name **name);
/* True if `host` is known to have the address. */
bool px_name_has(struct osp_proxy *px, struct osp_slice host, const struct osp_ip *ip);
void px_name_wait(struct osp_proxy *px, struct px_name *n, struct px_exchange *x);
/* The daemon's answer: who waited for it is ready.  False: nobody did. */
bool px_name_resolved(struct osp_proxy *px, const char *host, enum osp_err err, const struct osp_ip *ips, size_t count,
                      uint64_t ttl_us, struct osp_time now);
void px_names_free(struct osp_proxy *px);

/* ---- answer.c ---- */
void px_answer(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp);
/* The client gets the error. */
void px_answer_error(struct px_turn *t, struct px_exchange *x, enum osp_err why);
/* The request came to nothing: a stale response of the cache stands in for the error, if there is one. */
void px_fail_upstream(struct px_turn *t, struct px_exchange *x, enum osp_err why);
void px_challenge(struct px_turn *t, struct px_exchange *x);
/* Ends the exchange with a 4.01 and an Echo: the client is to prove that it hears us, and to ask again. */
void px_challenge_address(struct px_turn *t, struct px_exchange *x);

/* ---- rekey.c ---- */
/* Could the OSCORE option be one of a run? */
bool px_rekey_is_for_us(const struct px_exchange *x, const struct osp_oscore_opt *o);
/* The current context of a base, if the option names it; a reference. NULL: none. */
struct osp_octx *px_rekey_find(const struct px_exchange *x, const struct osp_oscore_opt *o);
/*
 * A request that no context fits.  OSP_OK: a request #2, its layer is off, as of osp_oscore_unprotect_request().
 *   OSP_E_REKEY        a request #1: the next layer of x->removed is that of the answer, px_rekey_answer() gives it
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

/* ---- response.c ---- */
/* `handle`: of our request that it answers. */
void px_response(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg *resp);
enum px_step px_client_response(struct px_turn *t, struct px_exchange *x, struct osp_msg *resp);

/* ---- bodies.c ---- */
enum osp_err px_bodies_init(struct osp_proxy *px);
void px_bodies_free(struct osp_proxy *px);
/* True: there may be more to do. */
bool px_bodies_expire(struct osp_proxy *px, struct osp_time now);
/* *out, valid if `has`, or the time of the first that expires if that is earlier. False: neither. */
bool px_bodies_deadline(const struct osp_proxy *px, bool has, struct osp_time *out);
struct px_op px_op_of(const struct osp_proxy *px, const struct px_exchange *x, enum px_body_kind kind, const struct osp_msg *m);
struct px_op px_op_of_key(const struct osp_proxy *px, struct osp_slice key);
/* A Request-Tag for what this client sends under the tags of `req`. */
uint64_t px_client_tag(const struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req);
struct px_body *px_body_find(struct osp_proxy *px, const struct px_op *op, struct osp_time now);
/* NULL: at the bounds. Others may have been freed for it. */
struct px_body *px_body_new(struct px_turn *t, const struct px_exchange *x, const struct px_op *op, enum px_body_kind kind);
void px_body_touch(struct osp_proxy *px, struct px_body *b, uint64_t life_us, struct osp_time now);
void px_body_free(struct osp_proxy *px, struct px_body *b);
/* As osp_body_add(); OSP_E_TOO_LARGE: beyond `limit`; OSP_E_OVERLOAD: no memory. */
enum osp_err px_buf_add(struct osp_proxy *px, struct px_buf *b, const struct osp_block *at, struct osp_slice payload,
                        size_t limit);
void px_buf_free(struct osp_proxy *px, struct px_buf *b);

/* ---- blockwise.c ---- */
enum osp_err px_add_block(struct px_turn *t, struct osp_msg *m, uint16_t num, const struct osp_block *b);
enum osp_err px_add_uint(struct px_turn *t, struct osp_msg *m, uint16_t num, size_t v);
enum osp_err px_add_tag(struct px_turn *t, struct osp_msg *req, uint64_t tag);
/* One made from the payload, unless there is one. */
enum osp_err px_add_etag(struct px_turn *t, struct osp_msg *m);
/* The largest blocks of `m` that fit in `most` bytes, on the way to a peer that can do so much. */
uint8_t px_szx_for(const struct osp_peer_can *can, const struct osp_msg *m, size_t most);
void px_mark_upload(struct px_turn *t, const struct px_exchange *x, const struct px_op *op, uint64_t tag);
/* A Request-Tag of ours into a request that passes by in blocks. */
enum osp_err px_tag_request(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req);
/* Blocks around a layer that is about to come off. PX_GO_ON: *req is whole. */
enum px_step px_blocks_request(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);
/* PX_GO_ON: it does not ask for a later block of a response that was cut. */
enum px_step px_blocks_serve(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req);
/* True: the client's blocks were around the layer of this depth, so px_cut_response() is to be asked. */
bool px_cut_is_due(const struct px_exchange *x, size_t depth);
enum osp_err px_cut_response(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *in, struct osp_msg *out);
/* The first block of a message that is longer than `most` bytes; OSP_E_NOSPACE: it cannot be cut. */
enum osp_err px_cut_to_fit(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *in, size_t most,
                           struct osp_msg *out);
/* `out` is about to be sent as it is: the first block of a body that is not ours makes one that was kept out of date. */
void px_blocks_pass(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *out);

/* ---- verify.c ---- */
/* Somebody at this address hears what we send there. */
void px_verified(struct osp_proxy *px, const struct osp_ip *ip, struct osp_time now);
/* Notes what the request as it came allows, and takes an Echo of ours out of it. */
void px_note_request(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);
/* How many bytes of UDP payload the client's address may still get for its request, in all; SIZE_MAX: any number. */
size_t px_may_send(const struct px_turn *t, const struct px_exchange *x);
/* Whether the client may register: false until it has proven its address with this request. */
bool px_may_observe(const struct px_turn *t, const struct px_exchange *x);
/* The 4.01 with an Echo that asks for another one from there. */
enum osp_err px_ask_address(struct px_turn *t, const struct px_exchange *x, struct osp_msg *resp);

/* ---- gather.c ---- */
/* Notes which block of the cached representation the request is for. False: its Block2 is no such thing. */
bool px_asks_block(struct px_exchange *x, const struct osp_msg *req);
/* The part of entry `m` that the request asks for; OSP_E_BAD_REQUEST: behind its end; others: not to be had from it. */
enum osp_err px_cut_entry(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m);
/* Takes a block that passes by; what is complete goes into the cache. */
void px_gather(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *resp);

/* ---- transfer.c ---- */
/* Whether `m` has to go to this peer in blocks. */
bool px_is_too_long(const struct osp_proxy *px, const struct osp_addr *to, const struct osp_msg *m);
enum osp_err px_transfer_start(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);
/* PX_GO_ON: *resp is the whole response; PX_DONE: another block was sent or asked for. */
enum px_step px_transfer_response(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg **resp);
/*
 * The request `handle` of an observation failed. True: it was for a block of a notification, which is lost; the observation goes
 * on.
 */
bool px_transfer_failed(struct px_exchange *x, uint64_t handle);
void px_transfer_end(struct osp_proxy *px, struct px_exchange *x);

/* ---- observe.c ---- */
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

/* ---- subject.c ---- */
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

/* ---- local.c ---- */
enum px_step px_local(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);

/* ---- edhoc.c ---- */
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

/* ---- purpose.c ---- */
/* Notes with whom the context for the way to `to` is established, so that it can be judged who is there. OSP_E_NOMEM. */
enum osp_err px_agree_with(struct osp_proxy *px, struct px_exchange *x, const struct osp_hop_edhoc *h,
                           const struct osp_authority *to);
/* The same as for `from`. OSP_E_NOMEM. */
enum osp_err px_agree_as(struct osp_proxy *px, struct px_exchange *x, const struct px_exchange *from);

/* ---- initiator.c ---- */
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
/* The exchange of a run ends. */
void px_agreement_left(struct osp_proxy *px, struct px_exchange *up);
void px_agreements_free(struct osp_proxy *px);

/* ---- combined.c ---- */
/* `m`, the request of `x` as it was protected, gets message_3. */
enum osp_err px_combined_put(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m);
/* PX_GO_ON: `resp` does not say that message_3 was not taken. */
enum px_step px_combined_response(struct px_turn *t, struct px_exchange *x, const struct osp_msg *resp);
/* The response to a request with message_3 came out of its layer. */
void px_combined_verified(struct px_turn *t, struct px_exchange *x);
/* The exchange of such a request ends. */
void px_combined_left(struct osp_proxy *px, struct px_exchange *x);

/* ---- flight.c ---- */
/* True: `x` waits for the answer to an equal request that is on its way.  False: it goes, and others may wait for it. */
bool px_flight_join(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);
/* The exchange is about to be answered with an error of ours. */
void px_flight_failed(struct px_exchange *x, enum osp_err why);
/* The exchange ends: who waited for it is ready. */
void px_flight_land(struct osp_proxy *px, struct px_exchange *leader);

/* ---- echo.c ---- */
/* `len`: PX_ECHO_LEN, PX_ECHO_SHORT, or 0 for none. */
void px_echo_make(const struct px_turn *t, const struct osp_addr *peer, size_t len, uint8_t out[PX_ECHO_LEN]);
/* True: the Echo of `req` was made here for this address and port; *fresh: not long ago. */
bool px_echo_is_ours(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req, bool *fresh);
bool px_echo_is_mine(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req);

#endif
