/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EDHOC sessions in which we are the Responder, of all workers: message_3 may reach another worker than message_1 did.
 *
 * A session is taken out while it is worked on and given back, so no lock is held during public-key operations.  A
 * finished one stays until it is out of date, for duplicates [rfc9528#7], without keys.  Bounded: at the bound the oldest
 * finished one goes, or else the oldest of all; but an address that has more than its share of unfinished ones displaces
 * its own.  While a session runs its C_R is reserved in the runtime table
 * [rfc9668#4.1.2].  Every call is safe from any thread.
 */
#ifndef OSP_PROXY_EDHOC_SESSIONS_H
#define OSP_PROXY_EDHOC_SESSIONS_H

#include "base/addr.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/table.h"
#include "base/time.h"
#include "edhoc/edhoc.h"
#include "oscore/runtime.h"

struct osp_responder;
struct osp_policy;

struct osp_responder_cfg {
    size_t   sessions;          /* at most */
    size_t   verify_above;      /* with so many unfinished ones, message_1 has to prove its address */
    uint64_t session_us;        /* how long one waits for message_3, and answers duplicates */
};

/* `runtime` is borrowed and outlives it. OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_responder_new(const struct osp_responder_cfg *cfg, struct osp_hash_key key,
                                           struct osp_octx_runtime *runtime, struct osp_responder **out);
void osp_responder_free(struct osp_responder *r);

/* What the time of day is when the monotonic clock is at 0; certificates are judged by it. Seconds since 1970. */
void osp_responder_set_clock(struct osp_responder *r, int64_t zero_s);

/* Ends what is out of date. */
void osp_responder_expire(struct osp_responder *r, struct osp_time now);

struct osp_responder_stats {
    uint64_t started, completed, failed, expired, evicted, duplicates, verified;    /* verified: asked to prove their address */
    size_t   unfinished, finished;      /* now */
};
void osp_responder_stats(struct osp_responder *r, struct osp_responder_stats *out);

/* ---- for lib/proxy ---- */

/* One session, in memory of its own; whoever took it owns it. */
struct px_session {
    struct osp_node    by_cr, by_request, by_from;      /* private */
    struct osp_list    lru;                     /* private */
    struct osp_edhoc   edhoc;
    struct osp_policy *policy;          /* a reference: our credentials and the profile are its; NULL once it is finished */
    struct osp_ip      from;            /* message_3 has to come from where message_1 did */
    uint64_t           request_hash;    /* of message_1 and its sender */
    uint64_t           message_3_hash;
    uint64_t           expires_us;
    bool               finished;
    bool               reserved;        /* C_R in the runtime table */
    struct osp_edhoc_cid c_r;
    uint8_t           *answer;          /* message_2, when finished message_4 or nothing: in memory of its own */
    size_t             answer_len;
};

/* A new one, not in the table; NULL: no memory. `policy` is referenced. */
struct px_session *px_session_new(struct osp_policy *policy, const struct osp_ip *from);
/* Ends it: wipes its keys, gives C_R back. */
void px_session_end(struct osp_responder *r, struct px_session *session);
/* Keeps a copy of `answer` in place of the one before. False: no memory. */
bool px_session_set_answer(struct px_session *session, struct osp_slice answer);

/* Takes out the session of C_R that began at this address; NULL: there is none. A finished one only if there is no other. */
struct px_session *osp_responder_take(struct osp_responder *r, struct osp_slice c_r, const struct osp_ip *from,
                                      struct osp_time now);
/* Puts a session in, or back. */
void osp_responder_give(struct osp_responder *r, struct px_session *session, struct osp_time now);
/* True if a session of ours has this C_R. */
bool osp_responder_has(struct osp_responder *r, struct osp_slice c_r);
/* True if one of them began at this address. */
bool osp_responder_has_from(struct osp_responder *r, struct osp_slice c_r, const struct osp_ip *from);
/* Takes out the unfinished session that this message_1 began; NULL: it is a new one. */
struct px_session *osp_responder_take_duplicate(struct osp_responder *r, uint64_t request_hash, struct osp_time now);

/* Which of two messages is which; not for peers to compute. */
uint64_t osp_responder_hash(const struct osp_responder *r, const struct osp_ip *from, struct osp_slice message);
/* True if message_1 has to prove its address now. */
bool osp_responder_is_loaded(struct osp_responder *r);
int64_t osp_responder_now_s(struct osp_responder *r, struct osp_time now);

enum osp_responder_event { OSP_RESPONDER_STARTED, OSP_RESPONDER_COMPLETED, OSP_RESPONDER_FAILED, OSP_RESPONDER_DUPLICATE,
                           OSP_RESPONDER_VERIFIED };
void osp_responder_count(struct osp_responder *r, enum osp_responder_event what);

#endif
