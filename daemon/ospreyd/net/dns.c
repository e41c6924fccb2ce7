/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/net/dns.h"

#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include <ares.h>

#include "base/list.h"
#include "daemon/common/sockaddr.h"
#include "daemon/ospreyd/log.h"

#define PENDING_MAX 1024        /* queries at a time; further names count as not found for a second */
#define FDS_MAX 64
#define TTL_MIN_US OSP_SEC(5)
#define TTL_MAX_US OSP_SEC(3600)
#define NEGATIVE_US OSP_SEC(10) /* for so long a name counts as not found after the answer "no such name" */
#define TROUBLE_US OSP_SEC(2)   /* for so long a name counts as not found when no server answered */
#define TRY_MS 1500
#define TRIES 3

struct fd_watch { int fd; struct osp_watch *watch; struct osp_dns *dns; bool reading, writing; };

struct osp_dns {
    struct osp_loop           *loop;
    struct osp_mailbox *const *workers;
    size_t                     worker_count;
    ares_channel               channel;
    bool                       has_channel, stale;
    struct osp_alarm          *alarm;
    struct fd_watch            fds[FDS_MAX];
    struct osp_list            queries;
    struct osp_dns_stats       stats;
};

struct query {
    struct osp_list link;
    struct osp_dns *dns;
    char            host[256];
    uint8_t        *wanted;     /* by worker: 1 if that one asked */
};

/* ---- descriptors and timeouts of c-ares in our loop ---- */

static void
set_alarm(struct osp_dns *d)
{
    struct timeval  tv, *t;
    struct osp_time now = osp_loop_now();

    if (!d->has_channel)
        return;
    t = ares_timeout(d->channel, NULL, &tv);
    if (t)
        osp_alarm_at(d->alarm, osp_time_after(now, (uint64_t)t->tv_sec * 1000000u + (uint64_t)t->tv_usec), now);
}

static void
refresh(struct osp_dns *d)
{
    if (d->stale && osp_list_empty(&d->queries))
        osp_dns_reload(d);
    set_alarm(d);
}

static void
on_fd(void *ctx)
{
    struct fd_watch *f = ctx;
    struct osp_dns  *d = f->dns;
    int              fd = f->fd;

    ares_process_fd(d->channel, f->reading ? fd : ARES_SOCKET_BAD, f->writing ? fd : ARES_SOCKET_BAD);
    refresh(d);
}

static void
on_alarm(void *ctx)
{
    struct osp_dns *d = ctx;

    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    refresh(d);
}

static struct fd_watch *
find_fd(struct osp_dns *d, int fd)
{
    for (size_t i = 0; i < FDS_MAX; i++) {
        if (d->fds[i].fd == fd)
            return &d->fds[i];
    }
    return NULL;
}

/* Called by c-ares: watch `fd` for reading and writing as given from now on. */
static void
on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct osp_dns  *d = ctx;
    struct fd_watch *f = find_fd(d, fd);

    if (!readable && !writable) {
        if (f) {
            osp_watch_free(f->watch);
            *f = (struct fd_watch){ .fd = -1 };
        }
        return;
    }
    if (!f) {
        f = find_fd(d, -1);
        if (!f || osp_watch_new(d->loop, fd, on_fd, f, &f->watch) != OSP_OK)
            return; /* c-ares repeats the query after its timeout */
        f->fd = fd;
        f->dns = d;
    }
    f->reading = readable != 0;
    f->writing = writable != 0;
    if (osp_watch_set(f->watch, f->reading, f->writing) != OSP_OK)
        log_warning("dns-watch-failed", "fd=%d", fd);
}

/* ---- answers ---- */

static void
answer(struct osp_dns *d, const struct query *q, const struct osp_note *with)
{
    for (unsigned i = 0; i < d->worker_count; i++) {
        struct osp_note *n = q->wanted[i] ? osp_note_new(OSP_NOTE_RESOLVED) : NULL;

        if (!n)
            continue; /* did not ask; or out of memory, then the request ends at its deadline */
        *n = *with;
        osp_mailbox_post(d->workers[i], n);
    }
}

/* Copies the addresses of an answer and its smallest TTL. */
static void
read_addresses(const struct ares_addrinfo *res, struct osp_note *n)
{
    n->ttl_us = TTL_MAX_US;
    for (const struct ares_addrinfo_node *a = res->nodes; a; a = a->ai_next) {
        struct sockaddr_storage sa = { 0 };
        struct osp_addr         addr;
        uint64_t                ttl = a->ai_ttl > 0 ? OSP_SEC(a->ai_ttl) : 0;

        if (n->ip_count == OSP_NOTE_IPS_MAX || a->ai_addrlen > sizeof(sa))
            continue;
        memcpy(&sa, a->ai_addr, a->ai_addrlen);
        if (!osp_addr_from_sockaddr(&sa, &addr))
            continue;
        n->ips[n->ip_count++] = addr.ip;
        n->ttl_us = ttl < n->ttl_us ? ttl : n->ttl_us;
    }
    if (n->ttl_us < TTL_MIN_US)
        n->ttl_us = TTL_MIN_US;
}

static void
on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *res)
{
    struct query   *q = ctx;
    struct osp_dns *d = q->dns;
    struct osp_note n = { .kind = OSP_NOTE_RESOLVED, .err = OSP_E_RESOLVE };

    (void)timeouts;
    memcpy(n.host, q->host, sizeof(n.host));
    if (status == ARES_SUCCESS && res)
        read_addresses(res, &n);
    if (n.ip_count > 0) {
        n.err = OSP_OK;
        d->stats.answered++;
    } else {
        bool no_name = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_SUCCESS || status == ARES_EBADNAME;

        n.ttl_us = no_name ? NEGATIVE_US : TROUBLE_US;
        d->stats.failed++;
        log_debug("name-unresolved", "host=%s reason=%s", q->host, ares_strerror(status));
    }
    if (res)
        ares_freeaddrinfo(res);
    osp_list_remove(&q->link);
    d->stats.pending--;
    if (status != ARES_EDESTRUCTION)
        answer(d, q, &n);
    free(q->wanted);
    free(q);
}

static struct query *
find_query(struct osp_dns *d, const char *host)
{
    for (struct osp_list *l = d->queries.next; l != &d->queries; l = l->next) {
        struct query *q = OSP_CONTAINER(l, struct query, link);
        if (strcmp(q->host, host) == 0)
            return q;
    }
    return NULL;
}

static struct query *
new_query(struct osp_dns *d, const char *host)
{
    struct query *q = d->stats.pending < PENDING_MAX ? calloc(1, sizeof(*q)) : NULL;

    if (!q)
        return NULL;
    q->wanted = calloc(d->worker_count, 1);
    if (!q->wanted || !osp_slice_copy(osp_slice_str(host), q->host, sizeof(q->host) - 1)) {
        free(q->wanted);
        free(q);
        return NULL;
    }
    q->dns = d;
    osp_list_push(&d->queries, &q->link);
    d->stats.pending++;
    return q;
}

static void
refuse(struct osp_dns *d, const char *host, unsigned worker)
{
    struct osp_note *n = osp_note_new(OSP_NOTE_RESOLVED);

    d->stats.refused++;
    if (!n)
        return;
    (void)osp_slice_copy(osp_slice_head(osp_slice_str(host), sizeof(n->host) - 1), n->host, sizeof(n->host));
    n->err = OSP_E_RESOLVE;
    n->ttl_us = OSP_SEC(1);
    osp_mailbox_post(d->workers[worker], n);
}

void
osp_dns_ask(struct osp_dns *d, const char *host, unsigned worker)
{
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };
    struct query              *q;

    d->stats.asked++;
    q = find_query(d, host);
    if (q) {
        d->stats.shared++;
        q->wanted[worker] = 1;
        return;
    }
    q = d->has_channel ? new_query(d, host) : NULL;
    if (!q) {
        refuse(d, host, worker);
        return;
    }
    q->wanted[worker] = 1;
    /* This may call on_answer(), which frees q, before it returns. */
    ares_getaddrinfo(d->channel, host, NULL, &hints, on_answer, q);
    refresh(d);
}

/* ---- life ---- */

static bool
open_channel(struct osp_dns *d)
{
    char                lookups[] = "fb"; /* the hosts file, then DNS */
    struct ares_options o = { .sock_state_cb = on_state, .sock_state_cb_data = d, .timeout = TRY_MS, .tries = TRIES,
                              .lookups = lookups };

    d->has_channel = ares_init_options(&d->channel, &o,
                                       ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS) ==
                     ARES_SUCCESS;
    return d->has_channel;
}

static void
close_channel(struct osp_dns *d)
{
    if (d->has_channel)
        ares_destroy(d->channel);
    d->has_channel = false;
}

void
osp_dns_reload(struct osp_dns *d)
{
    d->stale = !osp_list_empty(&d->queries);
    if (d->stale)
        return;
    close_channel(d);
    if (!open_channel(d))
        log_error("dns-unavailable", "effect=%s", "host names are not resolved until the next reload");
}

enum osp_err
osp_dns_new(struct osp_loop *l, struct osp_mailbox *const *workers, size_t count, struct osp_dns **out)
{
    struct osp_dns *d = calloc(1, sizeof(*d));

    if (!d)
        return OSP_E_NOMEM;
    d->loop = l;
    d->workers = workers;
    d->worker_count = count;
    osp_list_init(&d->queries);
    for (size_t i = 0; i < FDS_MAX; i++)
        d->fds[i].fd = -1;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(d);
        return OSP_E_INVALID;
    }
    if (osp_alarm_new(l, on_alarm, d, &d->alarm) != OSP_OK || !open_channel(d)) {
        osp_dns_free(d);
        return OSP_E_INVALID;
    }
    *out = d;
    return OSP_OK;
}

void
osp_dns_free(struct osp_dns *d)
{
    if (!d)
        return;
    close_channel(d);
    osp_alarm_free(d->alarm);
    ares_library_cleanup();
    free(d);
}

const struct osp_dns_stats *
osp_dns_stats(const struct osp_dns *d)
{
    return &d->stats;
}
