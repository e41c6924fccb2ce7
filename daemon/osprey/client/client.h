/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Insides of the client, shared by its files.
 *
 *   osprey_client.c     from the command line to the first request
 *   osprey_exchange.c   one request and its answer: layers on, sent, layers off, Echo challenges
 *   osprey_edhoc_client.c   contexts that EDHOC makes before
 *   osprey_outer.c      answers that somebody cut around their layers
 *   osprey_transfer.c   bodies: requests in Block1 blocks, answers from Block2 blocks
 *   osprey_observe.c    observations
 *   osprey_report.c     what is told about it
 */
#ifndef OSP_DAEMON_OSPREY_CLIENT_CLIENT_H
#define OSP_DAEMON_OSPREY_CLIENT_CLIENT_H

#include <signal.h>

#include "daemon/osprey/args.h"
#include "daemon/osprey/keys/context.h"
#include "daemon/osprey/keys/edhoc.h"
#include "daemon/osprey/keys/group.h"
#include "daemon/osprey/net.h"
#include "daemon/osprey/show.h"
#include "msg/block.h"
#include "oscore/recipe.h"

#define CLIENT_ETAG_MAX 8
#define CLIENT_TAG_MAX 8        /* Request-Tag [rfc9175#3.2.1] */

/* Beside what the user asked for: the options of one request of a transfer or an observation. */
struct client_extra {
    bool             has_observe, has_block1, has_block2, has_size1, has_tag;
    uint32_t         observe, size1;
    struct osp_block block1, block2;
    uint8_t          tag[CLIENT_TAG_MAX];
    size_t           tag_len;
};

/* One request of the client. */
struct client_ask {
    struct osprey_onion *onion;         /* keeps what its answers are opened with */
    struct client_extra  extra;
    struct osp_slice     payload;
    const struct osprey_route   *route;     /* NULL: the user's request, with `extra` and `payload` */
    const struct osprey_content *content;   /* with `route` */
    bool                 keep;          /* notifications may follow the answer */
    uint64_t             instead_of;    /* as in struct osp_request */
    double               timeout_s;     /* 0: what the user says, which is never exceeded */
};

/* An observation, once it is registered. */
struct client_watch {
    struct client_extra  extra;         /* of the registration */
    struct osprey_onion *onion;         /* that opens the notifications */
    uint64_t         handle;            /* 0: none */
    struct osp_slice held;              /* a notification that came during another exchange; of held_bytes */
    uint8_t         *held_bytes;
    uint32_t         last;              /* Observe value, and when it came [rfc7641#3.4] */
    struct osp_time  last_at;
    struct osp_time  stale_at;          /* Max-Age of what came last has passed */
    unsigned         count, again, late, refused;       /* notifications, registrations after the first, not newer,
                                                           not verified */
    bool             deregistered;
};

/* One hop whose context EDHOC makes. */
struct client_key {
    const struct osprey_sec **slot;     /* where the route has it */
    size_t                    hop;      /* its place among the proxies; their number: the origin */
    struct osprey_edhoc_plan  plan;
    struct osprey_context    *ctx;      /* NULL: none yet */
    struct osp_recipe        *recipe;   /* to be kept once the peer has confirmed it */
    uint8_t                   record[32];       /* names what is kept of it */
    uint8_t                   c_i[OSP_EDHOC_CID_MAX];
    size_t                    c_i_len;
    uint8_t                   message_3[OSP_EDHOC_MESSAGE_MAX];     /* combined: waits for the first request */
    size_t                    message_3_len;
    int                       method, suite;
    bool                      reused, renew;    /* of an earlier call; that one is known to be lost */
};

struct client {
    struct osprey_args     args;
    struct osprey_show     show;
    struct osprey_trace    trace;
    struct osprey_contexts contexts;
    struct osprey_group    group;
    struct osprey_edhoc    edhoc;
    struct client_key      keys[OSPREY_LAYERS_MAX];
    size_t                 key_count;
    struct osprey_state   *state;
    struct osp_crypto     *crypto;
    struct osprey_onion    onions[2];
    struct osprey_onion   *onion;       /* of the last answer */
    struct osprey_net      net;
    struct osp_addr        peer;
    struct osprey_route    route;
    struct osp_slice       payload;
    uint8_t               *uri_text[OSPREY_VIA_MAX + 1];    /* lower-cased hosts of the URIs */
    uint8_t               *payload_bytes;
    struct osp_randbuf     rand;
    /* what came of it */
    struct osprey_answer   answer;
    struct osp_msg         whole;       /* the last message of a body, with all of it; `answer` points here then */
    struct osp_wr          body;
    struct osp_msg         outer;       /* the protected message that was put together, of outer_bytes */
    uint8_t               *outer_bytes;
    bool                   has_answer;
    enum osp_err           err;
    const char            *why;         /* more about `err`; NULL: its text says it */
    char                   why_text[320];
    struct osprey_echo     echo;
    bool                   challenged[OSPREY_LAYERS_MAX + 1];   /* by level, in this exchange */
    unsigned               attempts, challenges, blocks_out, blocks_in;
    unsigned               round_trips; /* round trips of EDHOC are included */
    uint64_t               took_us;
    struct client_watch    watch;
};

/* ---- osprey_exchange.c ---- */

/*
 * Sends `ask` and opens the answer into c->answer; asks once more for each level that wants an Echo [rfc9175#2.3].
 * *handle is the request's when `keep` and the answer is a notification, else 0; it may be NULL without `keep`.
 * What osprey_onion_build(), osprey_onion_open() and osprey_net_wait() return, and
 *   OSP_E_UNKNOWN_OPTION_RESPONSE   a critical option that is not known here
 */
OSP_CHECKED enum osp_err client_exchange(struct client *c, const struct client_ask *ask, uint64_t *handle);

/* A number at hand in each context; false, said on standard error, when there is none. */
bool client_lease(struct client *c);

/* A success with an Observe option. */
bool client_is_notification(const struct osp_msg *m);

/* [rfc7252#5.4.1] OSP_E_UNKNOWN_OPTION_RESPONSE. */
OSP_CHECKED enum osp_err client_check_critical(const struct osp_msg *m);

/* Waits for a response to `handle`, at most until `deadline`; notifications that come meanwhile are held. */
OSP_CHECKED enum osp_err client_await(struct client *c, uint64_t handle, struct osp_time deadline, struct osp_event *ev);

/* OSP_E_BAD_RESPONSE, and the words for it in c->why. */
enum osp_err client_broken(struct client *c, const char *why);

/* ---- osprey_edhoc_client.c ---- */

/* Loads the credentials and plans the hops that want EDHOC; false, said on standard error, when that cannot be. */
bool client_edhoc_plan(struct client *c);

/*
 * Gives each of those hops a context, nearest first: one that was kept, or of a new run. Exchanges are made with `onion`.
 *   OSP_E_EDHOC_REFUSED     the peer sent an error message; c->why has it
 *   what lib/edhoc and client_exchange() return
 */
OSP_CHECKED enum osp_err client_edhoc_establish(struct client *c, struct osprey_onion *onion);

/* True if c->answer says that a context of an earlier call is not known at its peer. */
bool client_edhoc_is_lost(struct client *c, const struct osprey_onion *onion);

/* Makes a new one if so; then *again: the request is to be repeated. As client_edhoc_establish(). */
OSP_CHECKED enum osp_err client_edhoc_renew(struct client *c, struct osprey_onion *onion, bool *again);

/*
 * Looks at c->answer for what message_3 of a combined request has come to.
 *   OSP_E_EDHOC_REFUSED   as above
 */
OSP_CHECKED enum osp_err client_edhoc_confirm(struct client *c, const struct osprey_onion *onion);
void client_edhoc_fini(struct client *c);

/* ---- osprey_outer.c ---- */

/*
 * Opens response `m` to what `onion` built last into c->answer; when `m` is the first of several Block2 blocks around a
 * layer, all of them are fetched before [rfc8613#8.4.1].  As osprey_onion_open(), and
 *   OSP_E_TOO_LARGE      more than MAX_UNFRAGMENTED_SIZE [rfc8613#4.1.3.4.2]
 *   OSP_E_BAD_RESPONSE   blocks that do not belong together; c->why says which
 */
OSP_CHECKED enum osp_err client_open(struct client *c, struct osprey_onion *onion, const struct osp_msg *m,
                                     struct osp_time deadline);

/* ---- osprey_transfer.c ---- */

/*
 * The request with all of its body, and the answer with all of its own, in c->answer. As client_exchange(), and
 *   OSP_E_TOO_LARGE      more than --max-body
 *   OSP_E_BAD_RESPONSE   blocks that do not follow each other, or of several representations; c->why says which
 */
OSP_CHECKED enum osp_err client_transfer(struct client *c);

/* Fetches what is missing of the body whose first block is c->answer, by `onion`. As client_transfer(). */
OSP_CHECKED enum osp_err client_download(struct client *c, struct osprey_onion *onion, const struct client_extra *extra);

/* The user's own block options are sent as they are, and nothing is put together. */
bool client_is_by_hand(const struct client *c);

/* ---- osprey_observe.c ---- */

/* Observes as the command line says, telling each notification; returns the exit status. */
int client_observe(struct client *c);

/* Keeps a notification of the observation for later; the newest replaces the one before. */
void client_watch_hold(struct client *c, const struct osp_event *ev);

/* ---- osprey_report.c ---- */

/* Says what is wrong; the exit status for it. */
int client_complain(const char *what, const char *wrong);

int client_exit_status(const struct client *c);

/* Tells of c->answer or c->err, and returns the exit status. */
int client_report(const struct client *c);

/* Tells of one notification; false when the output fails. */
bool client_report_notification(const struct client *c);

/* Tells how the observation ended. */
void client_report_end(const struct client *c, int status);

#endif
