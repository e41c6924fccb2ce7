/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intrusive doubly linked list.  A node that is in no list points to itself, so removing it
 * twice is harmless.  Allocates nothing.
 */
#ifndef OSP_BASE_LIST_H
#define OSP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct osp_list {
    struct osp_list *next;
    struct osp_list *prev;
};

/* The struct of type `type` whose member `member` is at `ptr`. */
#define OSP_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline void
osp_list_init(struct osp_list *l)
{
    l->next = l->prev = l;
}

static inline bool
osp_list_empty(const struct osp_list *l)
{
    return l->next == l;
}

static inline void
osp_list_push(struct osp_list *head, struct osp_list *node) /* at the end */
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void
osp_list_remove(struct osp_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    osp_list_init(node);
}

/* Moves all nodes of `from` to the end of `head`, in their order. */
static inline void
osp_list_splice(struct osp_list *head, struct osp_list *from)
{
    if (osp_list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    osp_list_init(from);
}

/* The first node, which stays in the list; NULL: the list is empty. */
static inline struct osp_list *
osp_list_first(const struct osp_list *l)
{
    return osp_list_empty(l) ? NULL : l->next;
}

#endif
