/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/worker/mailbox.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum osp_err
osp_mailbox_init(struct osp_mailbox *m)
{
    *m = (struct osp_mailbox){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    m->tail = &m->head;
    if (m->fd == -1)
        return OSP_E_NOMEM;
    (void)pthread_mutex_init(&m->lock, NULL);
    return OSP_OK;
}

void
osp_mailbox_fini(struct osp_mailbox *m)
{
    struct osp_note *n, *next;

    for (n = m->head; n; n = next) {
        next = n->next;
        osp_note_free(n);
    }
    (void)pthread_mutex_destroy(&m->lock);
    (void)close(m->fd);
}

struct osp_note *
osp_note_new(enum osp_note_kind kind)
{
    struct osp_note *n = calloc(1, sizeof(*n));

    if (n)
        n->kind = kind;
    return n;
}

void
osp_note_free(struct osp_note *n)
{
    if (n && n->ctx)
        osp_octx_unref(n->ctx);
    free(n);
}

void
osp_mailbox_post(struct osp_mailbox *m, struct osp_note *n)
{
    uint64_t one = 1;
    bool     was_empty;

    n->next = NULL;
    (void)pthread_mutex_lock(&m->lock);
    was_empty = m->head == NULL;
    *m->tail = n;
    m->tail = &n->next;
    (void)pthread_mutex_unlock(&m->lock);
    if (was_empty && write(m->fd, &one, sizeof(one)) < 0)
        (void)0; /* the counter is at its limit, so the descriptor is readable already */
}

struct osp_note *
osp_mailbox_take(struct osp_mailbox *m)
{
    struct osp_note *all;
    uint64_t         count;

    /* The descriptor is read before the queue, so a note that is posted in between makes it readable again. */
    if (read(m->fd, &count, sizeof(count)) < 0)
        (void)0;
    (void)pthread_mutex_lock(&m->lock);
    all = m->head;
    m->head = NULL;
    m->tail = &m->head;
    (void)pthread_mutex_unlock(&m->lock);
    return all;
}
