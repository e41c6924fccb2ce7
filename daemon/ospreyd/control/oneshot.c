/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/control/oneshot.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"

#define ACCEPTS_PER_TURN 32
#define PAUSE_US OSP_SEC(1)     /* of accepting, when the process has no descriptor left */
#define LEFTOVER 4096           /* bytes read and thrown away at the end: closing with unread bytes would cut the answer short */

struct connection {
    struct osp_oneshot       *owner;
    struct osp_watch         *watch;
    struct osp_alarm         *alarm;
    int                       fd;       /* -1: free */
    uint64_t                  number;   /* in the order of accepting */
    bool                      answering;
    char                     *text;     /* the question so far, and a byte for its NUL */
    size_t                    text_n, sent;
    struct osp_oneshot_answer answer;
};

struct osp_oneshot {
    struct osp_loop         *loop;
    struct osp_oneshot_cfg   cfg;
    struct osp_watch        *watch;
    struct osp_alarm        *pause;
    struct osp_oneshot_stats stats;
    uint64_t                 accepted;
    struct connection        connections[];
};

static void
end(struct connection *c)
{
    osp_watch_free(c->watch);
    osp_alarm_free(c->alarm);
    (void)close(c->fd);
    free(c->text);
    free(c->answer.text);
    *c = (struct connection){ .owner = c->owner, .fd = -1 };
}

static void
on_deadline(void *ctx)
{
    struct connection *c = ctx;

    c->owner->stats.late++;
    end(c);
}

/* Ends a connection whose answer is sent.  Bytes that the peer sent beyond its question are read and thrown away. */
static void
finish(struct connection *c)
{
    char leftover[LEFTOVER];

    (void)shutdown(c->fd, SHUT_WR);
    if (recv(c->fd, leftover, sizeof(leftover), MSG_DONTWAIT) < 0)
        errno = 0;              /* nothing to read, or the peer is gone */
    c->owner->stats.answered++;
    end(c);
}

static void
send_more(struct connection *c)
{
    while (c->sent < c->answer.n) {
        ssize_t n = send(c->fd, c->answer.text + c->sent, c->answer.n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            c->sent += (size_t)n;
            continue;
        }
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK) && osp_watch_set(c->watch, false, true) == OSP_OK)
            return;
        c->owner->stats.dropped++;
        end(c);
        return;
    }
    finish(c);
}

static void
drop(struct connection *c)
{
    c->owner->stats.dropped++;
    end(c);
}

static void
on_ready(void *ctx)
{
    struct connection            *c = ctx;
    const struct osp_oneshot_cfg *cfg = &c->owner->cfg;
    ssize_t                       n;

    if (c->answering) {
        send_more(c);
        return;
    }
    n = recv(c->fd, c->text + c->text_n, cfg->question_max - c->text_n, MSG_DONTWAIT);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->text_n += (size_t)n;
    c->text[c->text_n] = '\0';
    switch (cfg->ask(cfg->ctx, c->fd, c->text, c->text_n, &c->answer)) {
    case OSP_ONESHOT_MORE:
        if (c->text_n == cfg->question_max)
            drop(c);
        break;
    case OSP_ONESHOT_ANSWER:
        c->answering = true;
        send_more(c);
        break;
    case OSP_ONESHOT_DROP:
        drop(c);
        break;
    }
}

/* ---- accepting ---- */

/* True if `a` is to be ended before `b`: first those whose question is not complete, then the others; of each the oldest. */
static bool
goes_before(const struct connection *a, const struct connection *b)
{
    if (a->answering != b->answering)
        return !a->answering;
    return a->number < b->number;
}

/* A free place.  At the bound another connection is ended for it. */
static struct connection *
find_place(struct osp_oneshot *o)
{
    struct connection *first = &o->connections[0];

    for (unsigned i = 0; i < o->cfg.connections; i++) {
        struct connection *c = &o->connections[i];

        if (c->fd == -1)
            return c;
        if (goes_before(c, first))
            first = c;
    }
    o->stats.displaced++;
    end(first);
    return first;
}

static void
begin(struct osp_oneshot *o, int fd)
{
    struct connection *c = find_place(o);
    struct osp_time    now = osp_loop_now();

    c->fd = fd;
    c->number = ++o->accepted;
    c->text = malloc(o->cfg.question_max + 1);
    if (!c->text || osp_alarm_new(o->loop, on_deadline, c, &c->alarm) != OSP_OK ||
        osp_watch_new(o->loop, fd, on_ready, c, &c->watch) != OSP_OK) {
        drop(c);
        return;
    }
    osp_alarm_at(c->alarm, osp_time_after(now, o->cfg.deadline_us), now);
}

static void
on_pause_end(void *ctx)
{
    struct osp_oneshot *o = ctx;
    struct osp_time     now = osp_loop_now();

    if (osp_watch_set(o->watch, true, false) != OSP_OK)
        osp_alarm_at(o->pause, osp_time_after(now, PAUSE_US), now);
}

/* The connection that cannot be accepted keeps the socket readable: looking at it again at once would spin. */
static void
pause_accepting(struct osp_oneshot *o)
{
    struct osp_time now = osp_loop_now();

    o->stats.pauses++;
    log_warning("accept-paused", "socket=%s reason=%s", o->cfg.name, strerror(errno));
    osp_alarm_at(o->pause, osp_time_after(now, PAUSE_US), now);
    if (osp_watch_set(o->watch, false, false) != OSP_OK)
        errno = 0;              /* cannot fail: nothing is added to what is watched for */
}

static void
on_connect(void *ctx)
{
    struct osp_oneshot *o = ctx;

    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(o->cfg.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd != -1) {
            begin(o, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(o);
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

/* ---- the whole ---- */

enum osp_err
osp_oneshot_new(struct osp_loop *l, const struct osp_oneshot_cfg *cfg, struct osp_oneshot **out)
{
    struct osp_oneshot *o = calloc(1, sizeof(*o) + cfg->connections * sizeof(o->connections[0]));

    if (!o) {
        (void)close(cfg->fd);
        return OSP_E_NOMEM;
    }
    o->loop = l;
    o->cfg = *cfg;
    for (unsigned i = 0; i < cfg->connections; i++)
        o->connections[i] = (struct connection){ .owner = o, .fd = -1 };
    if (osp_alarm_new(l, on_pause_end, o, &o->pause) != OSP_OK || osp_watch_new(l, cfg->fd, on_connect, o, &o->watch) != OSP_OK) {
        osp_oneshot_free(o);
        return OSP_E_NOMEM;
    }
    *out = o;
    return OSP_OK;
}

void
osp_oneshot_free(struct osp_oneshot *o)
{
    if (!o)
        return;
    for (unsigned i = 0; i < o->cfg.connections; i++)
        if (o->connections[i].fd != -1)
            end(&o->connections[i]);
    osp_watch_free(o->watch);
    osp_alarm_free(o->pause);
    (void)close(o->cfg.fd);
    free(o);
}

struct osp_oneshot_stats
osp_oneshot_stats(const struct osp_oneshot *o)
{
    return o ? o->stats : (struct osp_oneshot_stats){ 0 };
}
