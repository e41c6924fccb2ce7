/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/net/listeners.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void
osp_listeners_init(struct osp_listeners *l, unsigned first)
{
    *l = (struct osp_listeners){ .first = first };
}

void
osp_listeners_fini(struct osp_listeners *l)
{
    free(l->items);
    l->items = NULL;
    l->count = 0;
}

static struct osp_listener *
find(const struct osp_listeners *l, const struct osp_addr *want)
{
    for (size_t i = 0; i < l->count; i++) {
        if (osp_addr_eq(&l->items[i].want, want))
            return &l->items[i];
    }
    return NULL;
}

/* Copies the table `now`, all places closed, with room for every address of `cfg` in addition. */
static enum osp_err
copy(const struct osp_listeners *now, const struct osp_cfg *cfg, struct osp_listeners *next)
{
    size_t room = now->count + cfg->listen_count;

    *next = (struct osp_listeners){ .items = calloc(room ? room : 1, sizeof(*next->items)), .first = now->first };
    if (!next->items)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < now->count; i++) {
        next->items[i] = now->items[i];
        next->items[i].open = false;
    }
    next->count = now->count;
    for (size_t i = 0; i < cfg->listen_count; i++) {
        struct osp_addr      want = { .ip = cfg->listen[i].ip, .port = cfg->listen[i].port };
        struct osp_listener *there = find(next, &want);

        if (!there) {
            there = &next->items[next->count++];
            there->want = there->at = want;
        }
        there->open = true;
    }
    return OSP_OK;
}

static void
say(char why[OSP_STORE_WHY_MAX], const struct osp_addr *at, enum osp_err e)
{
    char text[OSP_ADDR_TEXT_MAX];

    osp_addr_print(at, text, sizeof(text));
    if (e == OSP_E_EXISTS)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "listen coap://%s: the port is in use, by another program or listen address",
                       text);
    else if (e == OSP_E_NOMEM)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "listen coap://%s: out of memory", text);
    else
        (void)snprintf(why, OSP_STORE_WHY_MAX, "listen coap://%s: %s", text, strerror(errno));
}

/* Opens place `i` for every worker. */
static enum osp_err
open_place(struct osp_listener *l, uint16_t index, size_t receive_buffer, size_t workers, struct osp_change **changes)
{
    struct osp_udp_how how = { .listener = true, .share = workers > 1, .receive_buffer = receive_buffer };
    struct osp_addr    at = l->want;

    /* Sockets with SO_REUSEPORT would share the port with another daemon of this user as well, so look first. */
    if (how.share && at.port != 0) {
        enum osp_err e = osp_udp_probe(&at);
        if (e != OSP_OK)
            return e;
    }
    for (size_t w = 0; w < workers; w++) {
        struct osp_slot *slot = &changes[w]->slots[changes[w]->slot_count];
        enum osp_err     e = osp_udp_open(&at, &how, &slot->sock);

        if (e != OSP_OK)
            return e;
        slot->index = index;
        changes[w]->slot_count++;
        at.port = slot->sock.at.port; /* port 0: all workers use the port that the first one got */
    }
    l->at = at;
    return OSP_OK;
}

static void
close_place(uint16_t index, size_t workers, struct osp_change **changes)
{
    for (size_t w = 0; w < workers; w++)
        changes[w]->slots[changes[w]->slot_count++].index = index; /* the socket stays -1: close it */
}

static enum osp_err
make_changes(const struct osp_listeners *now, const struct osp_listeners *next, size_t receive_buffer, size_t workers,
             struct osp_change **changes, char why[OSP_STORE_WHY_MAX])
{
    for (size_t i = 0; i < next->count; i++) {
        bool         was_open = i < now->count && now->items[i].open;
        uint16_t     index = (uint16_t)(next->first + i);
        enum osp_err e = OSP_OK;

        if (next->first + i > UINT16_MAX) {
            (void)snprintf(why, OSP_STORE_WHY_MAX, "listen: too many addresses since the start; start again");
            return OSP_E_NOSPACE;
        }
        if (next->items[i].open && !was_open)
            e = open_place(&next->items[i], index, receive_buffer, workers, changes);
        else if (!next->items[i].open && was_open)
            close_place(index, workers, changes);
        if (e != OSP_OK) {
            say(why, &next->items[i].want, e);
            return e;
        }
    }
    return OSP_OK;
}

static void
free_changes(struct osp_change **changes, size_t workers)
{
    for (size_t w = 0; w < workers; w++) {
        osp_change_free(changes[w]);
        changes[w] = NULL;
    }
}

enum osp_err
osp_listeners_plan(const struct osp_listeners *now, struct osp_cfg *cfg, size_t workers, struct osp_listeners *next,
                   struct osp_change **changes, char why[OSP_STORE_WHY_MAX])
{
    struct osp_listeners n = { 0 };
    enum osp_err         e = copy(now, cfg, &n);

    for (size_t w = 0; w < workers; w++) {
        changes[w] = e == OSP_OK ? osp_change_new(n.count) : NULL;
        if (!changes[w])
            e = OSP_E_NOMEM;
    }
    if (e != OSP_OK)
        (void)snprintf(why, OSP_STORE_WHY_MAX, "listen: out of memory");
    else
        e = make_changes(now, &n, cfg->limits.receive_buffer, workers, changes, why);
    if (e != OSP_OK) {
        free_changes(changes, workers);
        osp_listeners_fini(&n);
        return e;
    }
    for (size_t i = 0; i < cfg->listen_count; i++) {
        struct osp_addr want = { .ip = cfg->listen[i].ip, .port = cfg->listen[i].port };

        cfg->listen[i].port = find(&n, &want)->at.port;
    }
    *next = n;
    return OSP_OK;
}

size_t
osp_listeners_ports_count(const struct osp_listeners *l)
{
    return l->first + l->count;
}

void
osp_listeners_ports(const struct osp_listeners *l, uint16_t *port)
{
    for (size_t i = 0; i < l->first; i++)
        port[i] = 0; /* no requests are taken at these sockets */
    for (size_t i = 0; i < l->count; i++)
        port[l->first + i] = l->items[i].at.port;
}
