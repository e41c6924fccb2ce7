/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/state/lease.h"

#include <stdlib.h>
#include <time.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/loop.h"

#define BATCH 256               /* leases in one commit, at most */
#define QUEUE_MIN 64
#define RETRY_SECONDS 1         /* between two attempts while the store fails */

struct osp_leaser {
    struct osp_state         *state;
    struct osp_mailbox *const *workers;
    size_t                    worker_count;
    pthread_t                 thread;
    pthread_mutex_t           lock;     /* guards what follows */
    pthread_cond_t            wake;
    struct osp_octx         **queue;
    size_t                    count, cap;
    bool                      stopping, woken;
    struct osp_lease_stats    stats;
};

static void
tell(struct osp_leaser *l, struct osp_octx *c)
{
    for (size_t i = 0; i < l->worker_count; i++) {
        struct osp_note *n = osp_note_new(OSP_NOTE_LEASED);

        if (!n)
            continue; /* out of memory: requests that wait there end at their deadline */
        osp_octx_ref(c);
        n->ctx = c;
        osp_mailbox_post(l->workers[i], n);
    }
}

/* Waits for work and moves up to BATCH waiting contexts to `batch`; it may be none if only kept contexts are to be written.
   False: the thread ends. */
static bool
next_batch(struct osp_leaser *l, struct osp_octx **batch, size_t *count)
{
    bool   more;
    size_t n;

    (void)pthread_mutex_lock(&l->lock);
    while (l->count == 0 && !l->stopping && !l->woken)
        (void)pthread_cond_wait(&l->wake, &l->lock);
    more = l->count > 0 || !l->stopping;
    l->woken = false;
    n = l->count < BATCH ? l->count : BATCH;
    for (size_t i = 0; i < n; i++)
        batch[i] = l->queue[i];
    for (size_t i = n; i < l->count; i++)
        l->queue[i - n] = l->queue[i];
    l->count -= n;
    (void)pthread_mutex_unlock(&l->lock);
    *count = n;
    return more;
}

static void
account(struct osp_leaser *l, size_t n, enum osp_err e, uint64_t us)
{
    (void)pthread_mutex_lock(&l->lock);
    l->stats.commits++;
    l->stats.commit_us_sum += us;
    if (us > l->stats.commit_us_max)
        l->stats.commit_us_max = us;
    if (e == OSP_OK)
        l->stats.granted += n;
    else
        l->stats.failed += n;
    (void)pthread_mutex_unlock(&l->lock);
}

/* Waits before it tells of a failure, since a worker that is told asks again at once. */
static void
back_off(struct osp_leaser *l)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_SECONDS;
    (void)pthread_mutex_lock(&l->lock);
    while (!l->stopping && pthread_cond_timedwait(&l->wake, &l->lock, &until) == 0)
        ;
    (void)pthread_mutex_unlock(&l->lock);
}

static void *
run(void *arg)
{
    struct osp_leaser *l = arg;
    struct osp_octx   *batch[BATCH];
    size_t             n;

    while (next_batch(l, batch, &n)) {
        struct osp_time from = osp_loop_now();
        enum osp_err    e = osp_state_lease(l->state, batch, n);

        account(l, n, e, osp_time_between(from, osp_loop_now()));
        if (e != OSP_OK) {
            log_error("lease-failed", "contexts=%zu reason=%s advice=%s", n, osp_state_error(l->state),
                      e == OSP_E_NOSPACE ? "the store is full: raise state-size and start again" : "check the disk");
            back_off(l);
        }
        for (size_t i = 0; i < n; i++) {
            tell(l, batch[i]);
            osp_octx_unref(batch[i]);
        }
    }
    return NULL;
}

enum osp_err
osp_leaser_start(struct osp_state *st, struct osp_mailbox *const *workers, size_t count, struct osp_leaser **out)
{
    struct osp_leaser *l = calloc(1, sizeof(*l));

    if (!l)
        return OSP_E_NOMEM;
    l->state = st;
    l->workers = workers;
    l->worker_count = count;
    l->cap = QUEUE_MIN;
    l->queue = calloc(l->cap, sizeof(struct osp_octx *));
    (void)pthread_mutex_init(&l->lock, NULL);
    osp_cond_init(&l->wake);
    if (!l->queue || pthread_create(&l->thread, NULL, run, l) != 0) {
        free(l->queue);
        free(l);
        return OSP_E_NOMEM;
    }
    *out = l;
    return OSP_OK;
}

void
osp_leaser_ask(struct osp_leaser *l, struct osp_octx *c)
{
    bool taken = true;

    (void)pthread_mutex_lock(&l->lock);
    l->stats.asked++;
    if (l->count == l->cap) {
        struct osp_octx **more = reallocarray(l->queue, l->cap * 2, sizeof(struct osp_octx *));

        taken = more != NULL;
        if (more) {
            l->queue = more;
            l->cap *= 2;
        }
    }
    if (taken)
        l->queue[l->count++] = c; /* at most one entry for each context, since osp_octx_wants_lease() is true once */
    (void)pthread_cond_signal(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
    if (!taken) {
        osp_octx_lease_failed(c);
        osp_octx_unref(c);
    }
}

void
osp_leaser_wake(struct osp_leaser *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->woken = true;
    (void)pthread_cond_signal(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
}

void
osp_leaser_stats(struct osp_leaser *l, struct osp_lease_stats *out)
{
    (void)pthread_mutex_lock(&l->lock);
    *out = l->stats;
    out->numbers = osp_state_numbers_leased(l->state);
    (void)pthread_mutex_unlock(&l->lock);
}

void
osp_leaser_stop(struct osp_leaser *l)
{
    if (!l)
        return;
    (void)pthread_mutex_lock(&l->lock);
    l->stopping = true;
    (void)pthread_cond_signal(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
    (void)pthread_join(l->thread, NULL);
    for (size_t i = 0; i < l->count; i++)
        osp_octx_unref(l->queue[i]);
    (void)pthread_cond_destroy(&l->wake);
    (void)pthread_mutex_destroy(&l->lock);
    free(l->queue);
    free(l);
}
