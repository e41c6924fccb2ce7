/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/edhoc/sessions.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/lock.h"
#include "proxy/access/policy.h"

#define SHARE_MIN 4u            /* unfinished sessions of one address: an eighth of all, between these */
#define SHARE_MAX 64u
#define EXPIRES_PER_CALL 16     /* sessions ended while one is put in: more than come */

struct osp_responder {
    struct osp_responder_cfg   cfg;
    struct osp_hash_key        key;
    struct osp_octx_runtime   *runtime;
    atomic_int_least64_t       zero_s;
    struct osp_lock            lock;            /* guards what follows */
    struct osp_table           by_cr, by_request;
    struct osp_table           by_from;         /* unfinished ones, by where they come from */
    struct osp_list            unfinished, finished;    /* oldest first */
    struct osp_responder_stats stats;
};

enum osp_err
osp_responder_new(const struct osp_responder_cfg *cfg, struct osp_hash_key key, struct osp_octx_runtime *runtime,
                  struct osp_responder **out)
{
    struct osp_responder *r = calloc(1, sizeof(*r));
    enum osp_err          e;

    if (!r)
        return OSP_E_NOMEM;
    r->cfg = *cfg;
    r->key = key;
    r->runtime = runtime;
    osp_list_init(&r->unfinished);
    osp_list_init(&r->finished);
    e = osp_table_init(&r->by_cr, cfg->sessions);
    if (e == OSP_OK)
        e = osp_table_init(&r->by_request, cfg->sessions);
    if (e == OSP_OK)
        e = osp_table_init(&r->by_from, cfg->sessions);
    if (e != OSP_OK) {
        osp_responder_free(r);
        return e;
    }
    *out = r;
    return OSP_OK;
}

/* ---- sessions ---- */

struct px_session *
px_session_new(struct osp_policy *policy, const struct osp_ip *from)
{
    struct px_session *session = calloc(1, sizeof(*session));

    if (!session)
        return NULL;
    osp_list_init(&session->lru);
    osp_policy_ref(policy);
    session->policy = policy;
    session->from = *from;
    return session;
}

static struct osp_slice
cr_of(const struct px_session *session)
{
    return osp_slice(session->c_r.bytes, session->c_r.len);
}

static void
free_answer(struct px_session *session)
{
    free(session->answer);
    session->answer = NULL;
    session->answer_len = 0;
}

void
px_session_end(struct osp_responder *r, struct px_session *session)
{
    if (!session)
        return;
    if (session->reserved)
        osp_octx_runtime_release(r->runtime, cr_of(session));
    osp_edhoc_fini(&session->edhoc);
    osp_policy_unref(session->policy);
    free_answer(session);
    free(session);
}

bool
px_session_set_answer(struct px_session *session, struct osp_slice answer)
{
    uint8_t *copy = answer.n ? malloc(answer.n) : NULL;

    if (answer.n && !copy)
        return false;
    free_answer(session);
    if (copy)
        (void)osp_slice_copy(answer, copy, answer.n);
    session->answer = copy;
    session->answer_len = answer.n;
    return true;
}

/* ---- the table, under the lock ---- */

static struct px_session *
oldest(const struct osp_list *l)
{
    struct osp_list *n = osp_list_first(l);

    return n ? OSP_CONTAINER(n, struct px_session, lru) : NULL;
}

static uint64_t
hash_from(const struct osp_responder *r, const struct osp_ip *from)
{
    return osp_hash(&r->key, osp_slice(from->b, sizeof(from->b)));
}

static void
take_out(struct osp_responder *r, struct px_session *session)
{
    osp_table_remove(&r->by_cr, &session->by_cr);
    osp_table_remove(&r->by_request, &session->by_request);
    osp_list_remove(&session->lru);
    if (session->finished) {
        r->stats.finished--;
    } else {
        osp_table_remove(&r->by_from, &session->by_from);
        r->stats.unfinished--;
    }
}

static void
put_in(struct osp_responder *r, struct px_session *session)
{
    osp_table_add(&r->by_cr, &session->by_cr, osp_hash(&r->key, cr_of(session)));
    osp_table_add(&r->by_request, &session->by_request, session->request_hash);
    osp_list_push(session->finished ? &r->finished : &r->unfinished, &session->lru);
    if (session->finished) {
        r->stats.finished++;
    } else {
        osp_table_add(&r->by_from, &session->by_from, hash_from(r, &session->from));
        r->stats.unfinished++;
    }
}

/* The next that has to go: out of date, or (`full`) the oldest finished one, then the oldest of all. */
static struct px_session *
next_to_go(struct osp_responder *r, struct osp_time now, bool full)
{
    struct px_session *f = oldest(&r->finished), *u = oldest(&r->unfinished), *go = NULL;

    if (f && f->expires_us <= now.us)
        go = f;
    else if (u && u->expires_us <= now.us)
        go = u;
    if (go) {
        r->stats.expired++;
    } else if (full) {
        go = f ? f : u;
        r->stats.evicted++;
    }
    if (go)
        take_out(r, go);
    return go;
}

/* At the bound: the oldest session of this address, if it has its share of unfinished ones. */
static struct px_session *
over_share(struct osp_responder *r, const struct osp_ip *from)
{
    size_t             share = r->cfg.sessions / 8, count = 0;
    struct px_session *first = NULL;

    if (r->stats.unfinished < r->cfg.sessions)
        return NULL;
    share = share < SHARE_MIN ? SHARE_MIN : share > SHARE_MAX ? SHARE_MAX : share;
    for (struct osp_node *n = osp_table_first(&r->by_from, hash_from(r, from)); n; n = osp_table_next(n)) {
        struct px_session *session = OSP_CONTAINER(n, struct px_session, by_from);

        if (!osp_ip_eq(&session->from, from))
            continue;
        count++;
        if (!first || session->expires_us < first->expires_us)
            first = session;
    }
    if (count < share)
        return NULL;
    take_out(r, first);
    r->stats.evicted++;
    return first;
}

static struct px_session *
find(struct osp_responder *r, struct osp_slice c_r, const struct osp_ip *from)
{
    struct px_session *best = NULL;

    for (struct osp_node *n = osp_table_first(&r->by_cr, osp_hash(&r->key, c_r)); n; n = osp_table_next(n)) {
        struct px_session *session = OSP_CONTAINER(n, struct px_session, by_cr);

        if (!osp_slice_eq(cr_of(session), c_r) || (from && !osp_ip_eq(&session->from, from)))
            continue;
        if (!best || best->finished)
            best = session;
    }
    return best;
}

/* ---- */

static void
expire(struct osp_responder *r, struct osp_time now, size_t most, bool make_room)
{
    for (size_t i = 0; i < most; i++) {
        struct px_session *session;

        osp_lock_take(&r->lock);
        session = next_to_go(r, now, make_room && r->stats.unfinished + r->stats.finished >= r->cfg.sessions);
        osp_lock_release(&r->lock);
        if (!session)
            return;
        px_session_end(r, session);
    }
}

void
osp_responder_expire(struct osp_responder *r, struct osp_time now)
{
    expire(r, now, SIZE_MAX, false);
}

void
osp_responder_free(struct osp_responder *r)
{
    struct osp_time end = { UINT64_MAX };

    if (!r)
        return;
    expire(r, end, SIZE_MAX, false);
    if (r->by_cr.slots)
        osp_table_fini(&r->by_cr);
    if (r->by_request.slots)
        osp_table_fini(&r->by_request);
    if (r->by_from.slots)
        osp_table_fini(&r->by_from);
    free(r);
}

struct px_session *
osp_responder_take(struct osp_responder *r, struct osp_slice c_r, const struct osp_ip *from, struct osp_time now)
{
    struct px_session *session;

    expire(r, now, EXPIRES_PER_CALL, false);
    osp_lock_take(&r->lock);
    session = find(r, c_r, from);
    if (session)
        take_out(r, session);
    osp_lock_release(&r->lock);
    return session;
}

struct px_session *
osp_responder_take_duplicate(struct osp_responder *r, uint64_t request_hash, struct osp_time now)
{
    struct px_session *session = NULL;

    expire(r, now, EXPIRES_PER_CALL, false);
    osp_lock_take(&r->lock);
    for (struct osp_node *n = osp_table_first(&r->by_request, request_hash); n && !session; n = osp_table_next(n)) {
        session = OSP_CONTAINER(n, struct px_session, by_request);
        session = session->finished ? NULL : session;
    }
    if (session)
        take_out(r, session);
    osp_lock_release(&r->lock);
    return session;
}

void
osp_responder_give(struct osp_responder *r, struct px_session *session, struct osp_time now)
{
    struct px_session *surplus;

    expire(r, now, EXPIRES_PER_CALL, false);
    if (session->expires_us == 0)
        session->expires_us = now.us + r->cfg.session_us;
    osp_lock_take(&r->lock);
    surplus = session->finished ? NULL : over_share(r, &session->from);
    osp_lock_release(&r->lock);
    px_session_end(r, surplus);
    expire(r, now, EXPIRES_PER_CALL, true);
    osp_lock_take(&r->lock);
    put_in(r, session);
    osp_lock_release(&r->lock);
}

bool
osp_responder_has_from(struct osp_responder *r, struct osp_slice c_r, const struct osp_ip *from)
{
    bool has;

    osp_lock_take(&r->lock);
    has = find(r, c_r, from) != NULL;
    osp_lock_release(&r->lock);
    return has;
}

bool
osp_responder_has(struct osp_responder *r, struct osp_slice c_r)
{
    return osp_responder_has_from(r, c_r, NULL);
}

uint64_t
osp_responder_hash(const struct osp_responder *r, const struct osp_ip *from, struct osp_slice message)
{
    uint64_t both[2];

    both[0] = osp_hash(&r->key, osp_slice(from->b, sizeof(from->b)));
    both[1] = osp_hash(&r->key, message);
    return osp_hash(&r->key, osp_slice(both, sizeof(both)));
}

bool
osp_responder_is_loaded(struct osp_responder *r)
{
    bool loaded;

    osp_lock_take(&r->lock);
    loaded = r->stats.unfinished >= r->cfg.verify_above;
    osp_lock_release(&r->lock);
    return loaded;
}

void
osp_responder_set_clock(struct osp_responder *r, int64_t zero_s)
{
    atomic_store_explicit(&r->zero_s, zero_s, memory_order_relaxed);
}

int64_t
osp_responder_now_s(struct osp_responder *r, struct osp_time now)
{
    return atomic_load_explicit(&r->zero_s, memory_order_relaxed) + (int64_t)(now.us / OSP_SEC(1));
}

void
osp_responder_count(struct osp_responder *r, enum osp_responder_event what)
{
    osp_lock_take(&r->lock);
    switch (what) {
    case OSP_RESPONDER_STARTED: r->stats.started++; break;
    case OSP_RESPONDER_COMPLETED: r->stats.completed++; break;
    case OSP_RESPONDER_FAILED: r->stats.failed++; break;
    case OSP_RESPONDER_DUPLICATE: r->stats.duplicates++; break;
    case OSP_RESPONDER_VERIFIED: r->stats.verified++; break;
    }
    osp_lock_release(&r->lock);
}

void
osp_responder_stats(struct osp_responder *r, struct osp_responder_stats *out)
{
    osp_lock_take(&r->lock);
    *out = r->stats;
    osp_lock_release(&r->lock);
}
