/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the client share.
 *
 *   client.c     from the command line to the first request
 *   exchange.c   one request and its answer: layers on, sending, layers off, Echo challenges
 *   edhoc.c      contexts that EDHOC makes before the request
 *   outer.c      protected answers that a proxy cut into blocks
 *   transfer.c   bodies: requests in Block1 blocks, answers from Block2 blocks
 *   observe.c    observations
 *   report.c     output about all of this
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

/* Options that one request of a transfer or an observation has in addition to the user's. */
struct client_extra {
    bool             has_observe, has_block1, has_block2, has_size1, has_tag;
    uint32_t         observe, size1;
    struct osp_block block1, block2;
    uint8_t          tag[CLIENT_TAG_MAX];
    size_t           tag_len;
};

/* One request of the client. */
struct client_ask {
    struct osprey_onion *onion;         /* keeps the state that opens the answers */
    struct client_extra  extra;
    struct osp_slice     payload;
    const struct osprey_route   *route;     /* NULL: the user's request, with `extra` and `payload` */
    const struct osprey_content *content;   /* with `route` */
    bool                 keep;          /* notifications may follow the answer */
    uint64_t             instead_of;    /* as in struct osp_request */
    double               timeout_s;     /* at most as long as the user's timeout; 0: that one */
};

/* An observation that is registered. */
struct client_watch {
    struct client_extra  extra;         /* options of the registration */
    struct osprey_onion *onion;         /* opens the notifications */
    uint64_t         handle;            /* 0: no observation */
    struct osp_slice held;              /* a notification that came during another exchange; of held_bytes */
    uint8_t         *held_bytes;
    uint32_t         last;              /* the newest Observe value, and when it came [rfc7641#3.4] */
    struct osp_time  last_at;
    struct osp_time  stale_at;          /* when Max-Age of the last notification has passed */
    unsigned         count, again, late, refused;       /* notifications, registrations after the first, not newer,
                                                           not verified */
    bool             deregistered;
};

/* One hop whose context EDHOC makes. */
struct client_key {
    const struct osprey_sec **slot;     /* where the route points to its context */
    size_t                    hop;      /* its place among the proxies, the nearest first; the number of proxies: the origin */
    struct osprey_edhoc_plan  plan;
    struct osprey_context    *ctx;      /* NULL: there is no context yet */
    struct osp_recipe        *recipe;   /* to be kept once the peer has confirmed it */
    uint8_t                   record[32];       /* key under which the context is kept */
    uint8_t                   c_i[OSP_EDHOC_CID_MAX];
    size_t                    c_i_len;
    uint8_t                   message_3[OSP_EDHOC_MESSAGE_MAX];     /* with --combined it waits for the first request */
    size_t                    message_3_len;
    int                       method, suite;
    bool                      reused, renew;    /* the context is from an earlier call; the peer does not know it any more */
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
    /* results */
    struct osprey_answer   answer;
    struct osp_msg         whole;       /* the last message of a body, with the whole body; then `answer` points here */
    struct osp_wr          body;
    struct osp_msg         outer;       /* the protected message that was put together; its bytes are in outer_bytes */
    uint8_t               *outer_bytes;
    bool                   has_answer;
    enum osp_err           err;
    const char            *why;         /* more about `err`; NULL: the text of `err` is enough */
    char                   why_text[320];
    struct osprey_echo     echo;
    bool                   challenged[OSPREY_LAYERS_MAX + 1];   /* by level, in this exchange */
    unsigned               attempts, challenges, blocks_out, blocks_in;
    unsigned               round_trips; /* round trips of EDHOC are included */
    uint64_t               took_us;
    struct client_watch    watch;
};

/* ---- exchange.c ---- */

/*
 * Sends `ask` and opens the answer into c->answer; asks once more for each level that wants an Echo [rfc9175#2.3].
 * With `keep`, *handle is the handle of the request if the answer is a notification, else 0; without `keep` it may be NULL.
 *   OSP_E_UNKNOWN_OPTION_RESPONSE   the answer has a critical option that is not known here
 *   further errors as osprey_onion_build(), osprey_onion_open() and osprey_net_wait()
 */
OSP_CHECKED enum osp_err client_exchange(struct client *c, const struct client_ask *ask, uint64_t *handle);

/* Makes sure that each context has a sequence number; false: one has not, which was said on standard error. */
bool client_lease(struct client *c);

/* True for a success with an Observe option. */
bool client_is_notification(const struct osp_msg *m);

/* [rfc7252#5.4.1] OSP_E_UNKNOWN_OPTION_RESPONSE if `m` has a critical option that is not known here. */
OSP_CHECKED enum osp_err client_check_critical(const struct osp_msg *m);

/* Waits for a response to `handle`, at most until `deadline`; notifications that come meanwhile are held. */
OSP_CHECKED enum osp_err client_await(struct client *c, uint64_t handle, struct osp_time deadline, struct osp_event *ev);

/* Returns OSP_E_BAD_RESPONSE and sets c->why. */
enum osp_err client_broken(struct client *c, const char *why);

/* ---- edhoc.c ---- */

/* Loads the credentials and plans the hops that need EDHOC; false: it is not possible, which was said on standard error. */
bool client_edhoc_plan(struct client *c);

/*
 * Gives each of these hops a context, the nearest first: one that was kept, or a new one.  Uses `onion` for its exchanges.
 *   OSP_E_EDHOC_REFUSED     the peer sent an error message, which is in c->why
 *   further errors as lib/edhoc and client_exchange()
 */
OSP_CHECKED enum osp_err client_edhoc_establish(struct client *c, struct osprey_onion *onion);

/* True if c->answer says that a context of an earlier call is not known at its peer. */
bool client_edhoc_is_lost(struct client *c, const struct osprey_onion *onion);

/* If so, makes a new context and sets *again: the request has to be repeated.  Errors as client_edhoc_establish(). */
OSP_CHECKED enum osp_err client_edhoc_renew(struct client *c, struct osprey_onion *onion, bool *again);

/*
 * Looks at c->answer to see what became of the message_3 in a combined request.
 *   OSP_E_EDHOC_REFUSED   the peer sent an error message, which is in c->why
 */
OSP_CHECKED enum osp_err client_edhoc_confirm(struct client *c, const struct osprey_onion *onion);
void client_edhoc_fini(struct client *c);

/* ---- outer.c ---- */

/*
 * Opens `m`, the response to what `onion` built last, into c->answer.  If `m` is the first of several Block2 blocks around a
 * layer, all blocks are fetched first [rfc8613#8.4.1].
 *   OSP_E_TOO_LARGE      they are more than MAX_UNFRAGMENTED_SIZE [rfc8613#4.1.3.4.2]
 *   OSP_E_BAD_RESPONSE   the blocks do not belong together; c->why says more
 *   further errors as osprey_onion_open()
 */
OSP_CHECKED enum osp_err client_open(struct client *c, struct osprey_onion *onion, const struct osp_msg *m,
                                     struct osp_time deadline);

/* ---- transfer.c ---- */

/*
 * Sends the request with its whole body, and fetches the whole body of the answer into c->answer.
 *   OSP_E_TOO_LARGE      the body of the answer is longer than --max-body
 *   OSP_E_BAD_RESPONSE   blocks do not follow each other, or belong to different representations; c->why says which
 *   further errors as client_exchange()
 */
OSP_CHECKED enum osp_err client_transfer(struct client *c);

/* Fetches the rest of the body whose first block is c->answer, using `onion`.  Errors as client_transfer(). */
OSP_CHECKED enum osp_err client_download(struct client *c, struct osprey_onion *onion, const struct client_extra *extra);

/* True if the user gave block options: these are sent unchanged, and nothing is put together. */
bool client_is_by_hand(const struct client *c);

/* ---- observe.c ---- */

/* Observes as the command line says and prints each notification; returns the exit status. */
int client_observe(struct client *c);

/* Keeps a notification for later; it replaces the one that was kept before. */
void client_watch_hold(struct client *c, const struct osp_event *ev);

/* ---- report.c ---- */

/* Says on standard error what is wrong; returns the exit status for it. */
int client_complain(const char *what, const char *wrong);

int client_exit_status(const struct client *c);

/* Prints c->answer or c->err; returns the exit status. */
int client_report(const struct client *c);

/* Prints one notification; false: the output failed. */
bool client_report_notification(const struct client *c);

/* Prints how the observation ended. */
void client_report_end(const struct client *c, int status);

#endif
