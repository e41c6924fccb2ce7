/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fairness between clients at one upstream peer, where at most NSTART confirmable requests may be outstanding [rfc7252#4.7].
 *
 * Each client has a queue of its own per peer.  Queues are served in turn, one request at a turn, since NSTART counts
 * messages: a deficit round robin whose quantum is one message.  Clients with nothing outstanding come first.  The
 * last quarter of NSTART is for them alone, so that a client whose requests the peer ignores cannot hold the others up.
 * No client takes more places in the queues of all peers than are left for the others.
 *
 * The caller tells clients apart by a number.  Client 0 is the caller itself, to which neither share applies.
 */
#include "msg/endpoint_impl.h"

/* ---- finding and freeing ---- */

static uint64_t
hash_share(const struct osp_ep *ep, const struct ep_peer *p, uint64_t client)
{
    struct osp_hash128 h = osp_hash_begin(&ep->seed);

    osp_hash_word(&h, (uint64_t)(uintptr_t)p);
    osp_hash_word(&h, client);
    return osp_hash_end64(&h);
}

bool
ep_share_join(struct osp_ep *ep, struct ep_req *r, uint64_t client)
{
    uint64_t         h = hash_share(ep, r->peer, client);
    struct ep_share *s = NULL;

    for (struct osp_node *n = osp_table_first(&ep->shares, h); n && !s; n = osp_table_next(n)) {
        s = OSP_CONTAINER(n, struct ep_share, node);
        if (s->peer != r->peer || s->client != client)
            s = NULL;
    }
    if (!s) {
        s = osp_pool_get(ep->pool, sizeof(*s));
        if (!s)
            return false;
        *s = (struct ep_share){ .peer = r->peer, .client = client };
        osp_list_init(&s->turn);
        osp_list_init(&s->queue);
        osp_table_add(&ep->shares, &s->node, h);
    }
    s->requests++;
    r->share = s;
    return true;
}

void
ep_share_leave(struct osp_ep *ep, struct ep_req *r)
{
    struct ep_share *s = r->share;

    r->share = NULL;
    if (!s || --s->requests > 0)
        return;
    osp_table_remove(&ep->shares, &s->node);
    osp_pool_put(ep->pool, s, sizeof(*s));
}

/* ---- a client's places in all queues ---- */

static uint64_t
hash_client(const struct osp_ep *ep, uint64_t client)
{
    struct osp_hash128 h = osp_hash_begin(&ep->seed);

    osp_hash_word(&h, client);
    return osp_hash_end64(&h);
}

/* The places of this client; NULL: it has none. */
static struct ep_waiting *
waiting_find(const struct osp_ep *ep, uint64_t client, uint64_t hash)
{
    for (struct osp_node *n = osp_table_first(&ep->waiting, hash); n; n = osp_table_next(n)) {
        struct ep_waiting *w = OSP_CONTAINER(n, struct ep_waiting, node);

        if (w->client == client)
            return w;
    }
    return NULL;
}

/* Takes a place for the client of `s`.  False: it has as many places as are `left` for the others, or there is no memory. */
static bool
take_place(struct osp_ep *ep, struct ep_share *s, size_t left)
{
    uint64_t           h = hash_client(ep, s->client);
    struct ep_waiting *w = s->waiting ? s->waiting : waiting_find(ep, s->client, h);

    if (w && w->queued >= left)
        return false;
    if (!w) {
        w = osp_pool_get(ep->pool, sizeof(*w));
        if (!w)
            return false;
        *w = (struct ep_waiting){ .client = s->client };
        osp_table_add(&ep->waiting, &w->node, h);
    }
    w->queued++;
    s->waiting = w;
    return true;
}

/* Gives back the place of a request of `s` that is not queued any more. */
static void
give_place(struct osp_ep *ep, struct ep_share *s)
{
    struct ep_waiting *w = s->waiting;

    ep->stats.queued--;
    if (--s->queued == 0)
        s->waiting = NULL;
    if (!w || --w->queued > 0)
        return;
    osp_table_remove(&ep->waiting, &w->node);
    osp_pool_put(ep->pool, w, sizeof(*w));
}

/* ---- whose turn it is ---- */

/* Places that only clients with nothing outstanding may take. */
static uint32_t
reserve(const struct osp_ep *ep)
{
    return ep->cfg.nstart / 4;
}

static uint32_t
places(const struct osp_ep *ep, const struct ep_peer *p)
{
    return p->outstanding < ep->cfg.nstart ? ep->cfg.nstart - p->outstanding : 0;
}

/* True if the client may also use the reserve. */
static bool
comes_first(const struct ep_share *s)
{
    return s->client == 0 || s->outstanding == 0;
}

bool
ep_share_may_start(const struct osp_ep *ep, const struct ep_share *s)
{
    return s->queued == 0 && places(ep, s->peer) > (comes_first(s) ? 0 : reserve(ep));
}

/* Puts a client that has something queued at the end of the line it belongs to. */
static void
line_up(struct ep_share *s)
{
    osp_list_remove(&s->turn);
    if (s->queued)
        osp_list_push(comes_first(s) ? &s->peer->first : &s->peer->others, &s->turn);
}

static struct ep_share *
next_turn(const struct osp_ep *ep, const struct ep_peer *p)
{
    uint32_t         n = places(ep, p);
    struct osp_list *t = n > 0 ? osp_list_first(&p->first) : NULL;

    if (!t && n > reserve(ep))
        t = osp_list_first(&p->others);
    return t ? OSP_CONTAINER(t, struct ep_share, turn) : NULL;
}

/* ---- what is outstanding, and what waits ---- */

void
ep_share_count(struct ep_req *r)
{
    r->counted = true;
    r->peer->outstanding++;
    r->share->outstanding++;
}

/* Starts the requests whose turn it is, each on a timer that is due at once. */
static void
start_next(struct osp_ep *ep, struct ep_peer *p)
{
    struct ep_share *s;

    while ((s = next_turn(ep, p)) != NULL) {
        struct ep_req *r = OSP_CONTAINER(osp_list_first(&s->queue), struct ep_req, queued);

        osp_list_remove(&r->queued);
        give_place(ep, s);
        ep_share_count(r);
        line_up(s);
        osp_timer_init(&r->out.timer, EP_T_START_REQUEST);
        osp_timer_set(&ep->wheel, &r->out.timer, (struct osp_time){ 0 });
    }
}

void
ep_share_uncount(struct osp_ep *ep, struct ep_req *r)
{
    if (!r->counted)
        return;
    r->counted = false;
    r->peer->outstanding--;
    if (--r->share->outstanding == 0)
        line_up(r->share);
    start_next(ep, r->peer);
}

bool
ep_share_queue(struct osp_ep *ep, struct ep_req *r)
{
    struct ep_share *s = r->share;
    size_t           left = ep->stats.queued < ep->cfg.max_queued ? ep->cfg.max_queued - ep->stats.queued : 0;

    if (left == 0 || (s->client != 0 && !take_place(ep, s, left))) {
        ep->stats.queue_refused++;
        return false;
    }
    osp_list_push(&s->queue, &r->queued);
    ep->stats.queued++;
    if (s->queued++ == 0)
        line_up(s);
    return true;
}

void
ep_share_unqueue(struct osp_ep *ep, struct ep_req *r)
{
    if (osp_list_empty(&r->queued))
        return;
    osp_list_remove(&r->queued);
    give_place(ep, r->share);
    if (r->share->queued == 0)
        line_up(r->share);
}
