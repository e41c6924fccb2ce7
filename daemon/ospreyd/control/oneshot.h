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

/* What a question leads to. */
enum osp_oneshot_verdict {
    OSP_ONESHOT_MORE,           /* it is not complete */
    OSP_ONESHOT_ANSWER,         /* *answer is to be sent, then the connection ends */
    OSP_ONESHOT_DROP,           /* the connection ends */
};

/* An answer in memory of malloc(), which the connection frees. */
struct osp_oneshot_answer { char *text; size_t n; };

struct osp_oneshot_cfg {
    const char *name;           /* for the log: "control"; a literal */
    int         fd;             /* listens, does not block; taken over */
    unsigned    connections;    /* at a time */
    size_t      question_max;   /* bytes; whoever sends more is let go */
    uint64_t    deadline_us;    /* from accept to end */
    /* Judges what came on connection `fd` so far: `n` bytes and a NUL behind them, which it may change if it answers. */
    enum osp_oneshot_verdict (*ask)(void *ctx, int fd, char *text, size_t n, struct osp_oneshot_answer *answer);
    void       *ctx;
};

/* Connections by how they ended, and pauses for want of descriptors. */
struct osp_oneshot_stats { uint64_t answered, dropped, late, displaced, pauses; };

/* OSP_E_NOMEM: cfg->fd is closed all the same. */
OSP_CHECKED enum osp_err osp_oneshot_new(struct osp_loop *l, const struct osp_oneshot_cfg *cfg, struct osp_oneshot **out);
/* NULL is fine. */
void osp_oneshot_free(struct osp_oneshot *o);

/* Zeroes for NULL. */
struct osp_oneshot_stats osp_oneshot_stats(const struct osp_oneshot *o);

#endif
