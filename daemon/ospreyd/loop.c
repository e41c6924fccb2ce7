/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/loop.h"

#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "daemon/ospreyd/log.h"

#define SIGNALS_MAX 8

/* Without this libevent writes to standard error, as often as the error happens. */
static void
log_libevent(int severity, const char *text)
{
    if (severity == EVENT_LOG_ERR)
        log_error("event-loop", "text=%s", text);
    else if (severity == EVENT_LOG_WARN)
        log_warning("event-loop", "text=%s", text);
}

struct osp_loop {
    struct event_base *base;
    struct osp_watch  *signals[SIGNALS_MAX];
    size_t             signal_count;
};

struct osp_watch {
    struct osp_loop *loop;
    struct event    *ev;
    int              fd;
    osp_loop_fn      fn;
    void            *ctx;
};

struct osp_alarm {
    struct event *ev;
    osp_loop_fn   fn;
    void         *ctx;
};

enum osp_err
osp_loop_new(struct osp_loop **out)
{
    struct osp_loop     *l = calloc(1, sizeof(*l));
    struct event_config *cfg = event_config_new();

    event_set_log_callback(log_libevent);
    if (l && cfg && event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
        l->base = event_base_new_with_config(cfg);
    if (cfg)
        event_config_free(cfg);
    if (!l || !l->base) {
        free(l);
        return OSP_E_NOMEM;
    }
    *out = l;
    return OSP_OK;
}

void
osp_loop_free(struct osp_loop *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->signal_count; i++)
        osp_watch_free(l->signals[i]);
    event_base_free(l->base);
    free(l);
}

void
osp_loop_turn(struct osp_loop *l)
{
    (void)event_base_loop(l->base, EVLOOP_ONCE);
}

struct osp_time
osp_loop_now(void)
{
    struct timespec ts;
    struct osp_time t;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    t.us = (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
    return t;
}

void
osp_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* ---- descriptors ---- */

static void
watch_fired(evutil_socket_t fd, short what, void *arg)
{
    struct osp_watch *w = arg;

    (void)fd;
    (void)what;
    w->fn(w->ctx);
}

enum osp_err
osp_watch_new(struct osp_loop *l, int fd, osp_loop_fn fn, void *ctx, struct osp_watch **out)
{
    struct osp_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return OSP_E_NOMEM;
    *w = (struct osp_watch){ .loop = l, .fd = fd, .fn = fn, .ctx = ctx };
    if (osp_watch_set(w, true, false) != OSP_OK) {
        osp_watch_free(w);
        return OSP_E_NOMEM;
    }
    *out = w;
    return OSP_OK;
}

enum osp_err
osp_watch_set(struct osp_watch *w, bool reading, bool writing)
{
    short what = (short)(EV_PERSIST | (reading ? EV_READ : 0) | (writing ? EV_WRITE : 0));

    if (w->ev)
        event_free(w->ev);
    w->ev = NULL;
    if (!reading && !writing)
        return OSP_OK;
    w->ev = event_new(w->loop->base, w->fd, what, watch_fired, w);
    return w->ev && event_add(w->ev, NULL) == 0 ? OSP_OK : OSP_E_NOMEM;
}

void
osp_watch_free(struct osp_watch *w)
{
    if (!w)
        return;
    if (w->ev)
        event_free(w->ev);
    free(w);
}

/* ---- timers ---- */

static void
alarm_fired(evutil_socket_t fd, short what, void *arg)
{
    struct osp_alarm *a = arg;

    (void)fd;
    (void)what;
    a->fn(a->ctx);
}

enum osp_err
osp_alarm_new(struct osp_loop *l, osp_loop_fn fn, void *ctx, struct osp_alarm **out)
{
    struct osp_alarm *a = calloc(1, sizeof(*a));

    if (a) {
        a->fn = fn;
        a->ctx = ctx;
        a->ev = event_new(l->base, -1, 0, alarm_fired, a);
    }
    if (!a || !a->ev) {
        free(a);
        return OSP_E_NOMEM;
    }
    *out = a;
    return OSP_OK;
}

void
osp_alarm_at(struct osp_alarm *a, struct osp_time due, struct osp_time now)
{
    uint64_t       us = osp_time_between(now, due);
    struct timeval tv = { (time_t)(us / 1000000u), (suseconds_t)(us % 1000000u) };

    (void)event_add(a->ev, &tv);
}

void
osp_alarm_free(struct osp_alarm *a)
{
    if (!a)
        return;
    event_free(a->ev);
    free(a);
}

/* ---- signals ---- */

enum osp_err
osp_loop_on_signal(struct osp_loop *l, int signo, osp_loop_fn fn, void *ctx)
{
    struct osp_watch *w;

    if (l->signal_count == SIGNALS_MAX)
        return OSP_E_NOSPACE;
    w = calloc(1, sizeof(*w));
    if (!w)
        return OSP_E_NOMEM;
    *w = (struct osp_watch){ .loop = l, .fd = -1, .fn = fn, .ctx = ctx };
    w->ev = evsignal_new(l->base, signo, watch_fired, w);
    if (!w->ev || event_add(w->ev, NULL) != 0) {
        osp_watch_free(w);
        return OSP_E_NOMEM;
    }
    l->signals[l->signal_count++] = w;
    return OSP_OK;
}
