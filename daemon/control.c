/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"

#define CLIENTS_MAX 16
#define LINE_BYTES 512
#define IDLE_US OSP_SEC(10)     /* a client that neither asks nor reads is let go */
#define CONTEXTS_MAX 10000
#define HEAD_BYTES 8

struct client {
    struct osp_control *control;
    struct osp_watch   *watch;
    struct osp_alarm   *alarm;
    int                 fd;     /* -1: free */
    bool                may_change;
    char                line[LINE_BYTES];
    size_t              line_n;
    char               *answer; /* of open_memstream */
    size_t              answer_n, sent;
};

struct osp_control {
    struct osp_loop   *loop;
    struct osp_daemon *daemon;
    struct osp_watch  *watch;
    int                fd;
    char               path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct client      clients[CLIENTS_MAX];
};

/* ---- commands: argument, where the answer goes; false: the answer is an error ---- */

static bool
do_ping(struct osp_daemon *d, const char *arg, FILE *to)
{
    (void)d;
    (void)arg;
    (void)fprintf(to, "pong\n");
    return true;
}

static bool
do_status(struct osp_daemon *d, const char *arg, FILE *to)
{
    (void)arg;
    osp_daemon_status(d, to);
    return true;
}

static bool
do_metrics(struct osp_daemon *d, const char *arg, FILE *to)
{
    struct osp_metrics m;

    (void)arg;
    osp_daemon_metrics(d, &m);
    osp_metrics_render(&m, to);
    return true;
}

static bool
do_contexts(struct osp_daemon *d, const char *arg, FILE *to)
{
    osp_daemon_contexts(d, *arg ? arg : "*", CONTEXTS_MAX, to);
    return true;
}

static bool
do_reload(struct osp_daemon *d, const char *arg, FILE *to)
{
    (void)arg;
    return osp_daemon_reload(d, to);
}

static bool
do_log_level(struct osp_daemon *d, const char *arg, FILE *to)
{
    enum cfg_log_level level;

    (void)d;
    if (!*arg) {
        (void)fprintf(to, "%s\n", log_level_name(log_level()));
        return true;
    }
    if (!log_level_by_name(arg, &level)) {
        (void)fprintf(to, "log-level: one of error, warning, info, debug\n");
        return false;
    }
    log_set_level(level);
    log_info("log-level", "level=%s", arg);
    return true;
}

static bool
do_cache(struct osp_daemon *d, const char *arg, FILE *to)
{
    (void)arg;
    return osp_daemon_cache(d, to);
}

static bool
do_purge(struct osp_daemon *d, const char *arg, FILE *to)
{
    return osp_daemon_purge(d, arg, to);
}

static bool
do_revoke(struct osp_daemon *d, const char *arg, FILE *to)
{
    return osp_daemon_revoke(d, arg, to);
}

static bool
do_stop(struct osp_daemon *d, const char *arg, FILE *to)
{
    (void)arg;
    (void)fprintf(to, "stopping\n");
    osp_daemon_stop(d);
    return true;
}

static const struct command {
    const char *name;
    bool        changes, changes_with_argument;
    bool      (*run)(struct osp_daemon *d, const char *arg, FILE *to);
} commands[] = {
    { "ping", false, false, do_ping },         { "status", false, false, do_status },
    { "metrics", false, false, do_metrics },   { "contexts", false, false, do_contexts },
    { "reload", true, true, do_reload },       { "log-level", false, true, do_log_level },
    { "cache", false, false, do_cache },       { "purge", true, true, do_purge },
    { "revoke", true, true, do_revoke },       { "stop", true, true, do_stop },
};

static bool
run_command(struct client *c, char *line, FILE *to)
{
    char       *space = strchr(line, ' ');
    const char *arg = "";

    if (space) {
        *space = '\0';
        arg = space + 1;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *m = &commands[i];

        if (strcmp(m->name, line) != 0)
            continue;
        if ((m->changes || (*arg && m->changes_with_argument)) && !c->may_change) {
            (void)fprintf(to, "%s: only for root and the daemon's own user\n", line);
            return false;
        }
        return m->run(c->control->daemon, arg, to);
    }
    (void)fprintf(to, "no such command\n");
    return false;
}

/* ---- clients ---- */

static void
drop(struct client *c)
{
    osp_watch_free(c->watch);
    osp_alarm_free(c->alarm);
    (void)close(c->fd);
    free(c->answer);
    *c = (struct client){ .control = c->control, .fd = -1 };
}

static void
on_idle(void *ctx)
{
    drop(ctx);
}

static void
send_more(struct client *c)
{
    while (c->sent < c->answer_n) {
        ssize_t n = send(c->fd, c->answer + c->sent, c->answer_n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            c->sent += (size_t)n;
            continue;
        }
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK) && osp_watch_set(c->watch, false, true) == OSP_OK) {
            osp_alarm_at(c->alarm, osp_time_after(osp_loop_now(), IDLE_US), osp_loop_now());
            return;
        }
        break;
    }
    drop(c);
}

/* Runs the command; its text comes after what says how it went. */
static void
reply(struct client *c, char *line)
{
    char         *body = NULL;
    size_t        body_n = 0;
    FILE         *to = open_memstream(&body, &body_n);
    bool          ok = to && run_command(c, line, to);
    struct osp_wr w;

    if (!to || fclose(to) != 0 || !body) {
        free(body);
        drop(c);
        return;
    }
    w = osp_wr_to(malloc(body_n + HEAD_BYTES), body_n + HEAD_BYTES);
    c->answer = (char *)w.p;
    if (w.p) {
        osp_wr_put(&w, osp_slice_str(ok ? "ok\n" : "error: "));
        osp_wr_put(&w, osp_slice(body, body_n));
        c->answer_n = w.n;
    }
    free(body);
    send_more(c); /* out of memory: nothing to send, and the connection closes */
}

static void
on_client(void *ctx)
{
    struct client *c = ctx;
    char          *end;
    ssize_t        n;

    if (c->answer) {
        send_more(c);
        return;
    }
    n = recv(c->fd, c->line + c->line_n, sizeof(c->line) - 1 - c->line_n, MSG_DONTWAIT);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->line_n += (size_t)n;
    c->line[c->line_n] = '\0';
    end = strchr(c->line, '\n');
    if (end) {
        *end = '\0';
        reply(c, c->line);
    } else if (c->line_n == sizeof(c->line) - 1) {
        drop(c);
    }
}

static bool
may_change(int fd)
{
    struct ucred peer;
    socklen_t    len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static void
on_connect(void *ctx)
{
    struct osp_control *k = ctx;
    int                 fd = accept4(k->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    for (size_t i = 0; fd != -1 && i < CLIENTS_MAX; i++) {
        struct client *c = &k->clients[i];

        if (c->fd != -1)
            continue;
        c->fd = fd;
        c->may_change = may_change(fd);
        if (osp_watch_new(k->loop, fd, on_client, c, &c->watch) != OSP_OK ||
            osp_alarm_new(k->loop, on_idle, c, &c->alarm) != OSP_OK) {
            drop(c);
            return;
        }
        osp_alarm_at(c->alarm, osp_time_after(osp_loop_now(), IDLE_US), osp_loop_now());
        return;
    }
    if (fd != -1)
        (void)close(fd); /* too many at once */
}

/* ---- the socket ---- */

/* True if the name can be bound: nobody answers there, and what is left of an earlier run is gone. */
static enum osp_err
clear_name(const struct sockaddr_un *sa)
{
    struct stat st;
    int         fd, rc, saved;

    if (lstat(sa->sun_path, &st) != 0)
        return OSP_OK;
    if (!S_ISSOCK(st.st_mode)) {
        errno = ENOTSOCK;
        return OSP_E_INVALID;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return OSP_E_INVALID;
    rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
    saved = errno;
    (void)close(fd);
    if (rc == 0 || saved != ECONNREFUSED) {
        errno = saved;
        return OSP_E_EXISTS;
    }
    return unlink(sa->sun_path) == 0 ? OSP_OK : OSP_E_INVALID;
}

static enum osp_err
listen_at(struct osp_control *k)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    enum osp_err       e;
    mode_t             mask;
    int                rc;

    memcpy(sa.sun_path, k->path, sizeof(sa.sun_path));
    e = clear_name(&sa);
    if (e != OSP_OK)
        return e;
    k->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->fd == -1)
        return OSP_E_INVALID;
    mask = umask(0117); /* 0660 from the first moment */
    rc = bind(k->fd, (struct sockaddr *)&sa, sizeof(sa));
    (void)umask(mask);
    return rc == 0 && listen(k->fd, CLIENTS_MAX) == 0 ? OSP_OK : OSP_E_INVALID;
}

enum osp_err
osp_control_new(struct osp_loop *l, const char *path, struct osp_daemon *d, struct osp_control **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_control *k = calloc(1, sizeof(*k));
    enum osp_err        e = k ? OSP_OK : OSP_E_NOMEM;

    if (k) {
        k->fd = -1;
        k->loop = l;
        k->daemon = d;
        for (size_t i = 0; i < CLIENTS_MAX; i++)
            k->clients[i] = (struct client){ .control = k, .fd = -1 };
        errno = ENAMETOOLONG;
        e = osp_slice_copy(osp_slice_str(path), k->path, sizeof(k->path) - 1) ? listen_at(k) : OSP_E_INVALID;
    }
    if (e == OSP_OK)
        e = osp_watch_new(l, k->fd, on_connect, k, &k->watch);
    if (e == OSP_OK) {
        *out = k;
        return OSP_OK;
    }
    (void)snprintf(why, OSP_STORE_WHY_MAX, "control %s: %s", path,
                   e == OSP_E_EXISTS    ? "another program answers at this socket"
                   : e == OSP_E_INVALID ? strerror(errno)
                                        : osp_err_text(e));
    if (k && k->fd != -1)
        (void)close(k->fd);
    free(k);
    return e;
}

void
osp_control_free(struct osp_control *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        if (c->clients[i].fd != -1)
            drop(&c->clients[i]);
    }
    osp_watch_free(c->watch);
    (void)close(c->fd);
    (void)unlink(c->path);
    free(c);
}
