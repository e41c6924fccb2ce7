/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The deduplication store: it recognises messages that were handled already, and has the reply for their duplicates
 * [rfc7252#4.5].
 *
 * While a message is open, its ep_in is in the table `messages`.  When it is finished, a record of 32 bytes takes its place;
 * the record of a confirmable message is followed by the reply.  Records are appended to whole chunks of the pool, in the order
 * in which messages are finished, and leave in this order: on a timer when their lifetime is over, or earlier when the table is
 * full or somebody else needs the pool's memory.  So nothing is searched, memory has no holes, and a full store makes room for
 * new work instead of refusing it.
 *
 * Confirmable and non-confirmable messages have different lifetimes, and one log each.  If the response to a message took long,
 * its lifetime ends before the lifetimes of messages that were finished earlier.  Such a record stays in its log behind them, but
 * is not found any more.
 */
#include "msg/endpoint_impl.h"

#define SEGMENT_BYTES ((uint32_t)OSP_POOL_WHOLE)
#define FORGET_PER_CALL 64
#define EVICT_AHEAD 2                   /* records given up for each new one while the pool is used up */
#define RECORD_ALIGN 8u

struct segment {
    struct osp_list link;
    uint32_t        used;       /* bytes in use, this head included */
    uint32_t        at;         /* offset of the oldest record */
};

/* ---- keys and times ---- */

/* The key includes the Token, so that a client that reuses a Message ID too early, for another request, still gets an answer. */
struct ep_key
ep_key_of(const struct osp_ep *ep, const struct osp_flow *from, const struct osp_msg *m)
{
    struct osp_hash128 h = osp_hash_begin(&ep->seed);
    struct ep_key      k;

    osp_hash_piece(&h, osp_slice(&from->peer.ip, sizeof(from->peer.ip)));
    osp_hash_word(&h, (uint64_t)from->peer.port << 48 | (uint64_t)from->sock << 32 | (uint64_t)m->mid << 16);
    osp_hash_word(&h, (uint64_t)from->peer.scope << 32 | (uint32_t)m->token.n);
    osp_hash_piece(&h, m->token);
    osp_hash_end(&h, k.half);
    return k;
}

uint32_t
ep_end_after(struct osp_time now, uint64_t lifetime_us)
{
    return ep_units(now.us + lifetime_us);
}

bool
ep_has_ended(uint32_t ends, struct osp_time now)
{
    return (int32_t)(ep_units(now.us) - ends) >= 0;
}

static uint64_t
lifetime_of(const struct osp_ep *ep, bool con)
{
    return con ? ep->cfg.exchange_lifetime_us : ep->cfg.non_lifetime_us;
}

/* How long ago the message came, in units. */
static uint32_t
age_of(const struct osp_ep *ep, const struct ep_seen *s, bool con)
{
    uint32_t age = ep_units(ep->now.us) - (s->ends - ep_units(lifetime_of(ep, con)));

    return (int32_t)age < 0 ? 0 : age;          /* rounding made a message of right now negative */
}

struct ep_seen *
ep_seen_find(struct osp_ep *ep, const struct ep_key *key, struct osp_time now)
{
    for (struct osp_node *n = osp_table_first(&ep->messages, key->half[0]); n; n = osp_table_next(n)) {
        struct ep_seen *s = OSP_CONTAINER(n, struct ep_seen, node);

        if (s->key_rest == key->half[1] && !ep_has_ended(s->ends, now))
            return s;
    }
    return NULL;
}

/* ---- the timer ---- */

void
ep_forget_at(struct osp_ep *ep, uint32_t ends)
{
    uint64_t        now = ep->now.us >> EP_END_SHIFT;
    struct osp_time due;

    if (osp_timer_is_set(&ep->forget) && (int32_t)(ends - ep->forget_ends) >= 0)
        return;
    ep->forget_ends = ends;
    due.us = (now + (uint64_t)(int64_t)(int32_t)(ends - (uint32_t)now)) << EP_END_SHIFT;
    osp_timer_set(&ep->wheel, &ep->forget, due);
}

/* ---- records ---- */

static uint32_t
record_bytes(uint16_t reply_len)
{
    uint32_t n = reply_len == EP_IS_NON ? 0 : reply_len;

    return (uint32_t)sizeof(struct ep_seen) + (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

static struct ep_seen *
record_at(struct segment *g, uint32_t at)
{
    return (struct ep_seen *)(void *)((char *)g + at);
}

static struct segment *
oldest_segment(const struct ep_log *l)
{
    struct osp_list *n = osp_list_first(&l->segments);

    return n ? OSP_CONTAINER(n, struct segment, link) : NULL;
}

static struct ep_seen *
oldest(const struct ep_log *l)
{
    struct segment *g = oldest_segment(l);

    return g ? record_at(g, g->at) : NULL;
}

/* Room for `n` bytes at the end of the log; NULL: no memory. */
static struct ep_seen *
append(struct osp_ep *ep, struct ep_log *l, uint32_t n)
{
    struct segment *g = osp_list_empty(&l->segments) ? NULL : OSP_CONTAINER(l->segments.prev, struct segment, link);

    if (!g || n > SEGMENT_BYTES - g->used) {
        if (n > SEGMENT_BYTES - sizeof(*g))
            return NULL;
        g = osp_pool_get_whole(ep->pool);       /* may free the oldest segment of this log */
        if (!g)
            return NULL;
        g->used = g->at = sizeof(*g);
        osp_list_push(&l->segments, &g->link);
    }
    g->used += n;
    return record_at(g, g->used - n);
}

/* Takes the oldest record out of a log that has one; true if a segment ended with it. */
static bool
pop(struct osp_ep *ep, struct ep_log *l)
{
    struct segment *g = oldest_segment(l);
    struct ep_seen *s = record_at(g, g->at);

    osp_table_remove(&ep->messages, &s->node);
    g->at += record_bytes(s->reply_len);
    if (g->at < g->used)
        return false;
    osp_list_remove(&g->link);
    osp_pool_put_whole(ep->pool, g);
    return true;
}

/* The log that has the older message at its front; NULL: both logs are empty. */
static struct ep_log *
older_log(struct osp_ep *ep)
{
    struct ep_seen *non = oldest(&ep->done[0]), *con = oldest(&ep->done[1]);

    if (non && con)
        return &ep->done[age_of(ep, con, true) >= age_of(ep, non, false)];
    return con ? &ep->done[1] : non ? &ep->done[0] : NULL;
}

/* Removes one record before its time; *ended: a segment ended with it.  False: the store is empty. */
static bool
evict(struct osp_ep *ep, bool *ended)
{
    struct ep_log        *l = older_log(ep);
    const struct ep_seen *s = l ? oldest(l) : NULL;

    if (!s)
        return false;
    if (!ep_has_ended(s->ends, ep->now)) {
        ep->stats.dedup_evicted++;
        ep->evicted_age_us = (uint64_t)age_of(ep, s, l == &ep->done[1]) << EP_END_SHIFT;
        ep->evicted_us = ep->now.us;
    }
    *ended = pop(ep, l);
    return true;
}

bool
ep_seen_evict(struct osp_ep *ep)
{
    bool ended = false;

    return evict(ep, &ended);
}

bool
ep_seen_reclaim(void *ctx)
{
    bool ended = false;

    while (!ended && evict(ctx, &ended))
        continue;
    return ended;
}

bool
ep_seen_keep(struct osp_ep *ep, const struct ep_seen *like, bool con, struct osp_slice reply)
{
    struct ep_seen *s;

    /* removing a whole chunk of records at once would take too long, so a few go with each new message */
    for (int i = 0; i < EVICT_AHEAD && osp_pool_is_low(ep->pool); i++)
        (void)ep_seen_evict(ep);
    if (reply.n >= EP_IS_NON)
        return false;
    s = append(ep, &ep->done[con], record_bytes(con ? (uint16_t)reply.n : EP_IS_NON));
    if (!s)
        return false;
    s->key_rest = like->key_rest;
    s->ends = like->ends;
    s->length = like->length;
    s->reply_len = con ? (uint16_t)reply.n : EP_IS_NON;
    if (con)
        (void)osp_slice_copy(reply, (uint8_t *)(s + 1), reply.n);
    osp_table_add(&ep->messages, &s->node, like->node.hash);
    ep_forget_at(ep, s->ends);
    return true;
}

/* Answers a duplicate of a finished message [rfc7252#4.5]. */
void
ep_seen_duplicate(struct osp_ep *ep, const struct ep_seen *s, const struct osp_flow *from, uint16_t mid, struct osp_txq *tx)
{
    if (s->reply_len == EP_IS_NON)
        return;
    if (s->reply_len)
        osp_txq_put(tx, osp_slice(s + 1, s->reply_len), from);
    else
        ep_send_empty(ep, from, OSP_ACK, mid, tx);
}

/* ---- lifetimes ---- */

static void
forget_done(struct osp_ep *ep, struct ep_log *l, struct osp_time now)
{
    struct ep_seen *s;

    for (int i = 0; i < FORGET_PER_CALL && (s = oldest(l)) != NULL && ep_has_ended(s->ends, now); i++)
        (void)pop(ep, l);
}

/* Ends the lifetimes of open requests: they stay open, but are not found by Message ID any more. */
static void
forget_open(struct osp_ep *ep, struct osp_list *l, struct osp_time now)
{
    struct osp_list *n;

    for (int i = 0; i < FORGET_PER_CALL && (n = osp_list_first(l)) != NULL; i++) {
        struct ep_in *in = OSP_CONTAINER(n, struct ep_in, age);

        if (!ep_has_ended(in->seen.ends, now))
            return;
        osp_table_remove(&ep->messages, &in->seen.node);
        osp_list_remove(&in->age);
    }
}

void
ep_forget(struct osp_ep *ep, struct osp_time now)
{
    for (int con = 0; con < 2; con++) {
        struct osp_list *open = &ep->open[con], *n;
        struct ep_seen  *s;

        forget_open(ep, open, now);
        forget_done(ep, &ep->done[con], now);
        n = osp_list_first(open);
        s = oldest(&ep->done[con]);
        if (n)
            ep_forget_at(ep, OSP_CONTAINER(n, struct ep_in, age)->seen.ends);
        if (s)
            ep_forget_at(ep, s->ends);
    }
}

uint64_t
ep_seen_span(const struct osp_ep *ep)
{
    uint64_t full = ep->cfg.exchange_lifetime_us;

    return ep->stats.dedup_evicted == 0 || ep->now.us - ep->evicted_us > full ? full : ep->evicted_age_us;
}

void
ep_seen_free(struct osp_ep *ep)
{
    for (int con = 0; con < 2; con++) {
        struct segment *g;

        while (ep->done[con].segments.next && (g = oldest_segment(&ep->done[con])) != NULL) {
            osp_list_remove(&g->link);
            osp_pool_put_whole(ep->pool, g);
        }
    }
}
