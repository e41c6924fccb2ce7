/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/common/commands.h"
#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/control/oneshot.h"

#define CONNECTIONS_MAX 16
#define LINE_BYTES 511
#define DEADLINE_US OSP_SEC(10)
#define CONTEXTS_MAX 10000
#define HEAD_BYTES 8

struct osp_control {
    struct osp_daemon  *daemon;
    struct osp_oneshot *connections;
    char                path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- what each command does: `arg` is "" without an argument, the answer goes to `to`; false: the answer is an error ---- */

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

typedef bool (*run_fn)(struct osp_daemon *d, const char *arg, FILE *to);

#define RUN(id, name, argument, who, help) do_##id,
static const run_fn runs[OSP_COMMAND_COUNT] = { OSP_COMMANDS(RUN) };
#undef RUN

static bool
may_change(int fd)
{
    struct ucred peer;
    socklen_t    len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static bool
run_command(struct osp_daemon *d, int fd, char *line, FILE *to)
{
    const struct osp_command *c;
    char                     *space = strchr(line, ' ');
    const char               *arg = "";

    if (space) {
        *space = '\0';
        arg = space + 1;
    }
    c = osp_command_find(line);
    if (!c) {
        (void)fprintf(to, "no such command\n");
        return false;
    }
    if (osp_command_is_restricted(c, *arg != '\0') && !may_change(fd)) {
        (void)fprintf(to, "%s: only for root and the daemon's own user\n", line);
        return false;
    }
    return runs[c - osp_commands](d, arg, to);
}

/* ---- connections ---- */

/* Runs the command.  The answer is "ok\n" or "error: ", and then the text of the command. */
static enum osp_oneshot_verdict
reply(struct osp_daemon *d, int fd, char *line, struct osp_oneshot_answer *out)
{
    char         *body = NULL;
    size_t        body_n = 0;
    FILE         *to = open_memstream(&body, &body_n);
    bool          ok = to && run_command(d, fd, line, to);
    struct osp_wr w = { 0 };

    if (to && fclose(to) == 0 && body)
        w = osp_wr_to(malloc(body_n + HEAD_BYTES), body_n + HEAD_BYTES);
    if (w.p) {
        osp_wr_put(&w, osp_slice_str(ok ? "ok\n" : "error: "));
        osp_wr_put(&w, osp_slice(body, body_n));
        *out = (struct osp_oneshot_answer){ (char *)w.p, w.n };
    }
    free(body);
    return w.p ? OSP_ONESHOT_ANSWER : OSP_ONESHOT_DROP;         /* out of memory */
}

static enum osp_oneshot_verdict
ask(void *ctx, int fd, char *text, size_t n, struct osp_oneshot_answer *out)
{
    struct osp_control *k = ctx;
    char               *line_end = memchr(text, '\n', n);

    if (!line_end)
        return OSP_ONESHOT_MORE;
    *line_end = '\0';
    return reply(k->daemon, fd, text, out);
}

/* ---- the socket ---- */

/* Removes the socket that an earlier run left.  OSP_E_EXISTS: somebody answers there; OSP_E_INVALID: errno says why. */
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

/* Opens the listening socket.  On an error *fd may be open all the same, else it is -1. */
static enum osp_err
listen_at(const struct osp_control *k, int *fd)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    enum osp_err       e;
    mode_t             mask;
    int                rc;

    memcpy(sa.sun_path, k->path, sizeof(sa.sun_path));
    e = clear_name(&sa);
    if (e != OSP_OK)
        return e;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd == -1)
        return OSP_E_INVALID;
    mask = umask(0117); /* 0660 from the first moment */
    rc = bind(*fd, (struct sockaddr *)&sa, sizeof(sa));
    (void)umask(mask);
    return rc == 0 && listen(*fd, CONNECTIONS_MAX) == 0 ? OSP_OK : OSP_E_INVALID;
}

enum osp_err
osp_control_new(struct osp_loop *l, const char *path, struct osp_daemon *d, struct osp_control **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_control    *k = calloc(1, sizeof(*k));
    struct osp_oneshot_cfg cfg = { .name = "control", .fd = -1, .connections = CONNECTIONS_MAX, .question_max = LINE_BYTES,
                                   .deadline_us = DEADLINE_US, .ask = ask, .ctx = k };
    enum osp_err           e = k ? OSP_OK : OSP_E_NOMEM;

    if (k) {
        k->daemon = d;
        errno = ENAMETOOLONG;
        e = osp_slice_copy(osp_slice_str(path), k->path, sizeof(k->path) - 1) ? listen_at(k, &cfg.fd) : OSP_E_INVALID;
    }
    if (e == OSP_OK) {
        e = osp_oneshot_new(l, &cfg, &k->connections);
        cfg.fd = -1;            /* taken over */
    }
    if (e == OSP_OK) {
        *out = k;
        return OSP_OK;
    }
    (void)snprintf(why, OSP_STORE_WHY_MAX, "control %s: %s", path,
                   e == OSP_E_EXISTS    ? "another program answers at this socket"
                   : e == OSP_E_INVALID ? strerror(errno)
                                        : osp_err_text(e));
    if (cfg.fd != -1)
        (void)close(cfg.fd);
    free(k);
    return e;
}

struct osp_oneshot_stats
osp_control_stats(const struct osp_control *c)
{
    return osp_oneshot_stats(c ? c->connections : NULL);
}

void
osp_control_free(struct osp_control *c)
{
    if (!c)
        return;
    osp_oneshot_free(c->connections);
    (void)unlink(c->path);
    free(c);
}
