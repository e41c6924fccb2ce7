/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A listening stream socket whose connections each ask one question and get one answer: the control socket and the status page.
 *
 * Whoever can connect may be slow, silent, or many.  So there is a bound of connections, beyond which the newcomer takes the
 * place of the one that has been silent longest; every connection has one deadline from its first moment to its end, however
 * often it moves a byte; and where no descriptor is left, accepting pauses instead of spinning.
 */
#ifndef OSP_DAEMON_OSPREYD_CONTROL_ONESHOT_H
#define OSP_DAEMON_OSPREYD_CONTROL_ONESHOT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/ospreyd/loop.h"

struct osp_oneshot;

/* What to do after the bytes of a question that have come so far. */
enum osp_oneshot_verdict {
    OSP_ONESHOT_MORE,           /* the question is not complete: read on */
    OSP_ONESHOT_ANSWER,         /* send *answer, then end the connection */
    OSP_ONESHOT_DROP,           /* end the connection */
};

/* An answer in memory of malloc(), which the connection frees. */
struct osp_oneshot_answer { char *text; size_t n; };

struct osp_oneshot_cfg {
    const char *name;           /* for the log: "control"; a literal */
    int         fd;             /* listens, does not block; taken over */
    unsigned    connections;    /* at a time, at most */
    size_t      question_max;   /* bytes; a longer question ends its connection */
    uint64_t    deadline_us;    /* from accept to end */
    /* Judges the `n` bytes that have come on connection `fd` so far, with a NUL behind them.  May change them if it answers. */
    enum osp_oneshot_verdict (*ask)(void *ctx, int fd, char *text, size_t n, struct osp_oneshot_answer *answer);
    void       *ctx;
};

/* Connections by how they ended, and pauses for want of descriptors. */
struct osp_oneshot_stats { uint64_t answered, dropped, late, displaced, pauses; };

/* Takes cfg->fd, also on an error.  OSP_E_NOMEM: nothing listens. */
OSP_CHECKED enum osp_err osp_oneshot_new(struct osp_loop *l, const struct osp_oneshot_cfg *cfg, struct osp_oneshot **out);
/* Ends all connections and closes the socket.  NULL is fine. */
void osp_oneshot_free(struct osp_oneshot *o);

/* All zero for NULL. */
struct osp_oneshot_stats osp_oneshot_stats(const struct osp_oneshot *o);

#endif
