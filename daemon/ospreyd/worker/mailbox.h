/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notes from one thread to another: a queue and a descriptor that becomes readable.
 *
 * Posting never blocks for longer than the queue's lock is held; what is in a note belongs to whoever
 * takes it.  Notes of one sender arrive in order.
 */
#ifndef OSP_DAEMON_OSPREYD_WORKER_MAILBOX_H
#define OSP_DAEMON_OSPREYD_WORKER_MAILBOX_H

#include <pthread.h>

#include "proxy/proxy.h"

#define OSP_NOTE_IPS_MAX 16

enum osp_note_kind {
    OSP_NOTE_RESOLVE,   /* worker -> main: look `host` up for `worker` */
    OSP_NOTE_RESOLVED,  /* main -> worker: `host` has `ips` for `ttl_us`, or `err` */
    OSP_NOTE_LEASED,    /* store -> worker: numbers of `ctx` were granted, or not; a reference comes along */
    OSP_NOTE_CHANGE,    /* main -> worker: take the `change` on */
    OSP_NOTE_PUBLISH,   /* main -> worker: publish counters */
    OSP_NOTE_DRAIN,     /* main -> worker: no new requests; say when idle */
    OSP_NOTE_DRAINED,   /* worker -> main */
    OSP_NOTE_WORN,      /* worker -> main: the keys of `ctx` are near a limit or at it; a reference comes along */
    OSP_NOTE_END,       /* main -> worker: end all exchanges and leave */
};

struct osp_change;

struct osp_note {
    struct osp_note   *next;
    enum osp_note_kind kind;
    unsigned           worker;
    uint64_t           seq;
    char               host[256];
    enum osp_err       err;
    struct osp_ip      ips[OSP_NOTE_IPS_MAX];
    size_t             ip_count;
    uint64_t           ttl_us;
    struct osp_octx   *ctx;
    enum osp_key_state key_state;
    struct osp_change *change;
};

struct osp_mailbox {
    pthread_mutex_t  lock;
    struct osp_note *head, **tail;
    int              fd;        /* readable when there may be notes */
};

/* OSP_E_NOMEM: no descriptor. */
OSP_CHECKED enum osp_err osp_mailbox_init(struct osp_mailbox *m);
/* Frees what was not taken. */
void osp_mailbox_fini(struct osp_mailbox *m);

/* A note of `kind`, zero otherwise; NULL when out of memory. */
struct osp_note *osp_note_new(enum osp_note_kind kind);
void osp_note_free(struct osp_note *n);         /* drops the reference in it too */

/* Gives `n` away. */
void osp_mailbox_post(struct osp_mailbox *m, struct osp_note *n);

/* All notes, oldest first, linked by `next`; NULL when there are none. */
struct osp_note *osp_mailbox_take(struct osp_mailbox *m);

#endif
