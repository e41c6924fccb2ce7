/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "net.h"

#define CLIENT_PORT 50000u
#define SEEN_SLOTS (1u << 18)
#define LIFETIME OSP_SEC(247)   /* [rfc7252#4.8.2] EXCHANGE_LIFETIME */

struct net_item {               /* a datagram under way, or a timer of the test's */
    uint64_t        at, order, arg;
    struct osp_addr from, to;
    uint16_t        n;          /* 0: a timer for node `arg_node` */
    uint8_t         arg_node;
    uint8_t         bytes[NET_DATAGRAM];
};

struct net_seen { uint64_t key, bytes, since_us; };     /* by direction and Message ID */

uint64_t
net_random(struct net *n)
{
    uint64_t z = n->rng += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool
chance(struct net *n, unsigned percent)
{
    return percent > 0 && net_random(n) % 100 < percent;
}

static void
fill(void *ctx, uint8_t *dst, size_t len)
{
    for (size_t i = 0; i < len; i++)
        dst[i] = (uint8_t)(net_random(ctx) >> 11);
}

static uint64_t
fnv(uint64_t h, const void *p, size_t len)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < len; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

/* ---- nodes ---- */

void
net_init(struct net *n, uint64_t seed)
{
    memset(n, 0, sizeof(*n));
    n->rng = seed;
    n->now.us = OSP_SEC(1000);
    n->delay_min_us = OSP_MS(1);
    n->delay_max_us = OSP_MS(20);
    n->strict = true;
    n->heap_cap = 1024;
    n->heap = malloc(n->heap_cap * sizeof(*n->heap));
    n->seen = calloc(SEEN_SLOTS, sizeof(*n->seen));
    assert_non_null(n->heap);
    assert_non_null(n->seen);
    EXPECT_OK(osp_txq_init(&n->tx, 64, 64 * 2 * NET_DATAGRAM));
}

void
net_fini(struct net *n)
{
    for (unsigned i = 0; i < n->node_count; i++) {
        osp_exchange_free(&n->nodes[i].transports);
        assert_int_equal(n->nodes[i].pool.used, 0);
        osp_pool_fini(&n->nodes[i].pool);
    }
    osp_txq_fini(&n->tx);
    free(n->heap);
    free(n->seen);
}

unsigned
net_add(struct net *n, const struct osp_ep_cfg *cfg)
{
    struct net_node *node = &n->nodes[n->node_count];

    assert_true(n->node_count < NET_NODES);
    node->cfg = *cfg;
    node->cfg.max_datagram = NET_DATAGRAM;
    osp_pool_init(&node->pool, (size_t)64 << 20);
    EXPECT_OK(osp_ep_new(&node->cfg, (struct osp_rand){ fill, n }, &node->pool, n->now, &node->ep));
    node->transports.by[OSP_TRANSPORT_UDP] = osp_ep_transport(node->ep, &n->tx);
    return n->node_count++;
}

void
net_restart(struct net *n, unsigned node)
{
    struct net_node *it = &n->nodes[node];

    osp_exchange_free(&it->transports);
    assert_int_equal(it->pool.used, 0);
    EXPECT_OK(osp_ep_new(&it->cfg, (struct osp_rand){ fill, n }, &it->pool, n->now, &it->ep));
    it->transports.by[OSP_TRANSPORT_UDP] = osp_ep_transport(it->ep, &n->tx);
}

struct osp_addr
net_addr(unsigned node)
{
    return (struct osp_addr){ .ip = osp_ip_v4(10, 0, 0, (uint8_t)node), .port = NET_PORT };
}

static unsigned
node_at(const struct osp_addr *a)
{
    return a->ip.b[15];
}

/* ---- what is under way, the earliest first ---- */

static bool
before(const struct net_item *a, const struct net_item *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void
swap(struct net *n, size_t a, size_t b)
{
    struct net_item t = n->heap[a];

    n->heap[a] = n->heap[b];
    n->heap[b] = t;
}

static struct net_item *
push(struct net *n, const struct net_item *it)
{
    size_t i = n->heap_count++;

    if (i == n->heap_cap) {
        n->heap_cap *= 2;
        n->heap = realloc(n->heap, n->heap_cap * sizeof(*n->heap));
        assert_non_null(n->heap);
    }
    n->heap[i] = *it;
    n->heap[i].order = n->order++;
    for (; i > 0 && before(&n->heap[i], &n->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(n, i, (i - 1) / 2);
    return &n->heap[i];
}

static struct net_item
pop(struct net *n)
{
    struct net_item top = n->heap[0];

    n->heap[0] = n->heap[--n->heap_count];
    for (size_t i = 0;;) {
        size_t l = 2 * i + 1, least = i;

        if (l < n->heap_count && before(&n->heap[l], &n->heap[least]))
            least = l;
        if (l + 1 < n->heap_count && before(&n->heap[l + 1], &n->heap[least]))
            least = l + 1;
        if (least == i)
            return top;
        swap(n, i, least);
        i = least;
    }
}

void
net_at(struct net *n, uint64_t us, unsigned node, uint64_t arg)
{
    struct net_item it = { .at = n->now.us + us, .arg = arg, .arg_node = (uint8_t)node };

    (void)push(n, &it);
}

/* ---- the wire ---- */

/* [rfc7252#4.4] [rfc7252#4.5] what one Message ID means between two endpoints does not change within its lifetime */
static void
hold_against_the_rules(struct net *n, const struct net_item *it)
{
    bool     reply = it->bytes[0] >> 5 & 1;             /* ACK and RST answer the other side's number */
    uint64_t key = fnv(fnv(reply ? 17 : 19, &it->from, sizeof(it->from)), &it->to, sizeof(it->to));
    uint64_t bytes = fnv(0xcbf29ce484222325u, it->bytes, it->n);

    key = fnv(key, it->bytes + 2, 2) | 1;
    for (size_t i = key ^ key >> 29;; i++) {
        struct net_seen *s = &n->seen[i % SEEN_SLOTS];

        if (s->key == key && n->now.us - s->since_us < LIFETIME) {
            if (s->bytes != bytes)
                fail_msg("Message ID %02x%02x from node %u to node %u came again with other bytes after %lu ms", it->bytes[2],
                         it->bytes[3], node_at(&it->from), node_at(&it->to), (unsigned long)((n->now.us - s->since_us) / 1000));
            return;
        }
        if (s->key == 0 || s->key == key || n->now.us - s->since_us >= 2 * LIFETIME) {
            *s = (struct net_seen){ key, bytes, n->now.us };
            return;
        }
    }
}

/* One to three bytes changed, or the end cut off. */
static void
spoil(struct net *n, struct net_item *it)
{
    if (chance(n, 30)) {
        it->n = (uint16_t)(1 + net_random(n) % it->n);
        return;
    }
    for (uint64_t k = 1 + net_random(n) % 3; k > 0; k--)
        it->bytes[net_random(n) % it->n] = (uint8_t)net_random(n);
}

static void
carry(struct net *n, unsigned from, const struct osp_tx *tx)
{
    const struct net_node *node = &n->nodes[from];
    uint16_t               sock = tx->to.sock;
    struct net_item        it = { .to = tx->to.peer, .from = net_addr(from), .n = (uint16_t)tx->bytes.n };
    unsigned               copies = chance(n, n->loss) ? 0 : chance(n, n->dup) ? 2 : 1;

    assert_true(sock <= node->cfg.upstream_socks);
    assert_true(it.n > 0 && osp_slice_copy(tx->bytes, it.bytes, sizeof(it.bytes)));
    if (sock < node->cfg.upstream_socks)
        it.from.port = (uint16_t)(CLIENT_PORT + sock);
    if (n->strict)
        hold_against_the_rules(n, &it);
    n->carried++;
    n->lost += copies == 0;
    while (copies-- > 0) {
        struct net_item bad = it;

        it.at = n->now.us + n->delay_min_us + net_random(n) % (n->delay_max_us - n->delay_min_us + 1);
        (void)push(n, &it);
        if (chance(n, n->spoiled)) {
            bad.at = it.at;
            spoil(n, &bad);
            (void)push(n, &bad);
        }
    }
}

void
net_flush(struct net *n, unsigned node)
{
    assert_int_equal(n->tx.dropped, 0);
    for (size_t i = 0; i < n->tx.count; i++)
        if (!n->nodes[node].cut)
            carry(n, node, &n->tx.items[i]);
    osp_txq_reset(&n->tx);
}

static void
deliver(struct net *n, const struct net_item *it)
{
    unsigned            i = node_at(&it->to);
    struct net_node    *node = &n->nodes[i];
    struct osp_flow     flow = { .peer = it->from, .local = it->to.ip };
    struct osp_event ev;
    uint8_t            *exact;

    if (i >= n->node_count || node->cut)
        return;
    flow.sock = it->to.port == NET_PORT ? node->cfg.upstream_socks : (uint16_t)(it->to.port - CLIENT_PORT);
    n->trace = fnv(fnv(fnv(n->trace, &it->at, sizeof(it->at)), &it->to, sizeof(it->to)), it->bytes, it->n);
    exact = malloc(it->n);              /* so that a sanitizer sees a read past the end */
    assert_non_null(exact);
    memcpy(exact, it->bytes, it->n);
    osp_ep_input(node->ep, &flow, osp_slice(exact, it->n), n->now, &n->tx, &ev);
    if (ev.kind != OSP_EV_NONE)
        n->event(n, i, &ev);
    free(exact);
    net_flush(n, i);
}

/* ---- time ---- */

static uint64_t
earliest(const struct net *n)
{
    uint64_t        best = n->heap_count ? n->heap[0].at : UINT64_MAX;
    struct osp_time t;

    for (unsigned i = 0; i < n->node_count; i++)
        if (osp_exchange_deadline(&n->nodes[i].transports, &t) && t.us < best)
            best = t.us;
    return best;
}

static void
expire(struct net *n, unsigned i)
{
    struct osp_event ev;

    while (osp_exchange_expire(&n->nodes[i].transports, n->now, &ev)) {
        if (ev.kind != OSP_EV_NONE)
            n->event(n, i, &ev);
        net_flush(n, i);
    }
}

void
net_run(struct net *n, uint64_t us)
{
    uint64_t end = us ? n->now.us + us : UINT64_MAX, next;

    while ((next = earliest(n)) != UINT64_MAX && next <= end) {
        n->now.us = next > n->now.us ? next : n->now.us + 1;
        while (n->heap_count > 0 && n->heap[0].at <= n->now.us) {
            struct net_item it = pop(n);

            if (it.n > 0) {
                deliver(n, &it);
            } else {
                n->timer(n, it.arg_node, it.arg);
                net_flush(n, it.arg_node);
            }
        }
        for (unsigned i = 0; i < n->node_count; i++)
            expire(n, i);
    }
    if (us)
        n->now.us = end;
}

bool
net_idle(const struct net *n)
{
    for (unsigned i = 0; i < n->node_count; i++)
        if (!osp_ep_idle(n->nodes[i].ep))
            return false;
    return n->heap_count == 0;
}
