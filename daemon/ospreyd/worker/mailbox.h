/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notes from one thread to another: a queue and a descriptor that becomes readable.
 *
 * Posting waits only for the lock of the queue.  Whoever takes a note owns it and everything in it.  The notes of one sender
 * arrive in order.
 */
#ifndef OSP_DAEMON_OSPREYD_WORKER_MAILBOX_H
#define OSP_DAEMON_OSPREYD_WORKER_MAILBOX_H

#include <pthread.h>

#include "proxy/proxy.h"

#define OSP_NOTE_IPS_MAX 16

enum osp_note_kind {
    OSP_NOTE_RESOLVE,   /* worker -> main: look `host` up for `worker` */
    OSP_NOTE_RESOLVED,  /* main -> worker: `host` has `ips` for `ttl_us`, or `err` */
    OSP_NOTE_LEASED,    /* store -> worker: a lease for `ctx` (a reference) was granted or failed */
    OSP_NOTE_CHANGE,    /* main -> worker: do what `change` says */
    OSP_NOTE_PUBLISH,   /* main -> worker: publish counters */
    OSP_NOTE_DRAIN,     /* main -> worker: refuse new requests, and answer DRAINED when nothing is in flight */
    OSP_NOTE_DRAINED,   /* worker -> main: nothing is in flight */
    OSP_NOTE_WORN,      /* worker -> main: the keys of `ctx` (a reference) are near a usage limit, or at it */
    OSP_NOTE_END,       /* main -> worker: end all exchanges, then end the thread */
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
    int              fd;        /* readable if there may be notes */
};

/* OSP_E_NOMEM: no descriptor. */
OSP_CHECKED enum osp_err osp_mailbox_init(struct osp_mailbox *m);
/* Frees notes that nobody took. */
void osp_mailbox_fini(struct osp_mailbox *m);

/* A note of `kind`, zeroed otherwise; NULL: out of memory. */
struct osp_note *osp_note_new(enum osp_note_kind kind);
/* Frees the note and drops the reference in it. */
void osp_note_free(struct osp_note *n);

/* Posts `n`, which then belongs to whoever takes it.  May be called from any thread. */
void osp_mailbox_post(struct osp_mailbox *m, struct osp_note *n);

/* Takes all notes, oldest first, linked by `next`; NULL: no notes. */
struct osp_note *osp_mailbox_take(struct osp_mailbox *m);

#endif
