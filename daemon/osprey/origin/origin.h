/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the demo origin share.
 *
 *   origin.c   start and stop
 *   answer.c   requests and their answers, at once or later
 *   edhoc.c    EDHOC as the Responder, and the contexts that it makes
 *   watch.c    observations
 *   log.c      output about requests
 */
#ifndef OSP_DAEMON_OSPREY_ORIGIN_ORIGIN_H
#define OSP_DAEMON_OSPREY_ORIGIN_ORIGIN_H

#include "daemon/osprey/origin/bodies.h"
#include "daemon/osprey/keys/context.h"
#include "daemon/osprey/keys/edhoc.h"
#include "daemon/osprey/keys/group.h"
#include "daemon/osprey/net.h"
#include "daemon/osprey/origin/resource.h"
#include "daemon/osprey/origin/layers.h"

#define ORIGIN_FILES_MAX 32
#define ORIGIN_PENDING_MAX 64
#define ORIGIN_WATCHES_MAX 64
#define ORIGIN_REQUEST_MAX 512  /* bytes of a request that is kept for its notifications */
#define ORIGIN_TOKEN_MAX 8
#define ORIGIN_SESSIONS_MAX 32  /* EDHOC sessions that wait for message_3, or answer it again */
#define ORIGIN_CLIENTS_MAX 256  /* contexts made by EDHOC, at most; the oldest is replaced */
#define ORIGIN_WHO_MAX 32
#define ORIGIN_LEASE_WANT 4     /* numbers leased for each context at least; an answer takes one at most */
#define ORIGIN_LEASE_BLOCK 64

struct origin_pending {
    bool                 used;
    uint64_t             handle;
    struct osp_time      due;
    struct osprey_served served;
    uint8_t              code;
    char                 text[32];
};

/* What is known of the client: its security context, or else its address. */
struct origin_who {
    uint8_t bytes[ORIGIN_WHO_MAX];
    size_t  len;
};

struct origin_watch {
    bool                 used;
    uint64_t             handle;
    enum osprey_subject  subject;
    struct osprey_served served;        /* its layers; each notification takes a number in each of them */
    struct origin_who    who;
    struct osp_addr      peer;
    uint8_t              token[ORIGIN_TOKEN_MAX];
    size_t               token_len;
    /* The request that is answered anew for each notification, encoded, without Observe. */
    uint8_t              request[ORIGIN_REQUEST_MAX];
    size_t               request_len;
    bool                 confirmable;
    unsigned             count;         /* notifications sent, the first answer included */
};

/* One EDHOC session. */
struct origin_session {
    bool                used, finished;
    struct osp_edhoc    edhoc;
    struct osp_edhoc_cid c_r;
    struct osp_time     since;
    uint8_t             message_1[32], message_3[32];   /* digests, to recognise duplicates */
    uint8_t             answer[OSP_EDHOC_MESSAGE_MAX];  /* message_2, then message_4 or nothing */
    size_t              answer_len;
};

/* A context made by EDHOC; it ends with the process. */
struct origin_client {
    struct osp_octx *octx;              /* NULL: the place is free */
    uint32_t         label;
    char             name[OSP_X509_NAME_MAX];
};

struct origin_edhoc {
    struct osprey_edhoc      credentials;
    struct osp_edhoc_profile profile;
    struct osp_octx_runtime *runtime;   /* NULL: no EDHOC */
    struct origin_session    sessions[ORIGIN_SESSIONS_MAX];
    struct origin_client     clients[ORIGIN_CLIENTS_MAX];       /* in a ring */
    uint32_t                 made;      /* how many contexts were made so far */
};

struct origin {
    const char                 *listen, *state_dir, *group_file, *edhoc_file, *files[ORIGIN_FILES_MAX];
    size_t                      file_count;
    bool                        require_echo, log, json, quiet;
    double                      every_s;
    struct osprey_contexts      contexts;
    struct osprey_group         group;
    struct origin_edhoc         edhoc;
    struct osp_octx_configured *table;
    struct osprey_state        *state;
    struct osprey_server        server;
    struct osprey_resources     resources;
    struct osprey_bodies        bodies;
    struct osprey_net           net;
    struct osp_randbuf          rand;
    struct origin_pending       pending[ORIGIN_PENDING_MAX];
    struct origin_watch         watches[ORIGIN_WATCHES_MAX];
    struct osp_time             next_tick;
    uint32_t                    observe_number;
    struct osp_msg              wire;   /* the request as it came, for the log */
};

/* Says on standard error what is wrong; returns false. */
bool origin_complain(const char *what, const char *wrong);

/* ---- answer.c ---- */

/* Serves until *stop. */
void origin_serve(struct origin *o, const volatile sig_atomic_t *stop);

/* Sends `resp` under the layers of `sv`, which stay valid.  False: not sent, which was said on standard error unless the
   client is gone. */
bool origin_send(struct origin *o, uint64_t handle, struct osprey_served *sv, const struct osp_msg *resp,
                 struct osp_respond how);

/* Makes the answer of the resources to `req` of `who`, cut to the block that was asked for. */
void origin_ask(struct origin *o, const struct origin_who *who, const struct osp_msg *req, struct osprey_reply *reply);

/* ---- edhoc.c ---- */

/* Loads the credentials of --edhoc; false: not possible, which was said on standard error. */
bool origin_edhoc_start(struct origin *o);
void origin_edhoc_fini(struct origin *o);

/* True if `req` is for /.well-known/edhoc and EDHOC is on; then *reply answers it. */
bool origin_edhoc_ask(struct origin *o, const struct osp_msg *req, struct osprey_reply *reply);

/* The name of the context with this label; NULL: EDHOC made no such context. */
const char *origin_edhoc_name(const struct origin *o, uint32_t label);

/* ---- watch.c ---- */

/*
 * Acts on the Observe option of `req`, which `reply` answers.  To register, it adds an Observe option to the reply and returns
 * Acts on the Observe option of `req`, which `reply` answers.  To register, it adds Observe to the reply and returns the
 * observation [rfc7641#3.6].
 */
struct origin_watch *origin_watch_judge(struct origin *o, const struct origin_who *who, const struct osp_addr *peer,
                                        const struct osp_msg *req, struct osprey_reply *reply);

/* Ends an observation; `why` is for the log, NULL: it never began. */
void origin_watch_end(struct origin *o, struct origin_watch *w, const char *why);

/* Ends the observation whose notification was rejected or not acknowledged. */
void origin_watch_rejected(struct origin *o, const struct osp_event *ev);

/* Sends a notification to all observers of `subject`. */
void origin_notify(struct origin *o, enum osprey_subject subject);

/* Moves /ticks on with the time; returns when it has to be called again. */
struct osp_time origin_tick(struct origin *o);

/* ---- log.c ---- */

void origin_log_request(const struct origin *o, const struct osp_addr *peer, const struct osprey_served *sv,
                        const struct osp_msg *req, uint8_t answer);
void origin_log_watch(const struct origin *o, const struct origin_watch *w, const char *what);

#endif
