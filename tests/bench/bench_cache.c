/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache alone: hit ratio of LRU, S3-FIFO and SIEVE on the same requests, and what the real cache
 * costs in memory and time.  Prints one JSON object.
 *
 *   zipf    1,000,000 requests over 100,000 resources, popularity 1/rank
 *   scan    the same, and one request in two walks resources that nobody asks for again
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"

#include "tests/prng.h"
#include "bench.h"

#define RESOURCES 100000u
#define REQUESTS 1000000u
#define CAPACITY 5000u
#define IDS (RESOURCES + REQUESTS)

static uint64_t rng = 88172645463325252ull;

static uint64_t
rnd(void)
{
    return prng_xorshift64(&rng);
}

static double *cumulative;

static void
zipf_init(void)
{
    double sum = 0;

    cumulative = malloc(RESOURCES * sizeof(*cumulative));
    if (!cumulative)
        exit(2);
    for (uint32_t i = 0; i < RESOURCES; i++)
        cumulative[i] = sum += 1.0 / (i + 1);
    for (uint32_t i = 0; i < RESOURCES; i++)
        cumulative[i] /= sum;
}

static uint32_t
zipf(void)
{
    double   u = (double)(rnd() >> 11) / 9007199254740992.0;
    uint32_t lo = 0, hi = RESOURCES - 1;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (cumulative[mid] < u)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t *
workload(int scan)
{
    uint32_t *w = malloc(REQUESTS * sizeof(*w));

    if (!w)
        exit(2);
    rng = 88172645463325252ull;
    for (uint32_t i = 0; i < REQUESTS; i++)
        w[i] = scan && i % 2 ? RESOURCES + i : zipf();
    return w;
}

/* ---- policies, on ids: a doubly linked list over arrays ---- */

struct node { uint32_t prev, next; uint8_t where, mark; };
struct queue { uint32_t head, tail, count; };   /* head: newest; 0 is no node */

static struct node nodes[IDS + 1];

static void
push(struct queue *q, uint32_t i)
{
    nodes[i].prev = 0;
    nodes[i].next = q->head;
    if (q->head)
        nodes[q->head].prev = i;
    q->head = i;
    if (!q->tail)
        q->tail = i;
    q->count++;
}

static void
drop(struct queue *q, uint32_t i)
{
    if (nodes[i].prev)
        nodes[nodes[i].prev].next = nodes[i].next;
    else
        q->head = nodes[i].next;
    if (nodes[i].next)
        nodes[nodes[i].next].prev = nodes[i].prev;
    else
        q->tail = nodes[i].prev;
    q->count--;
}

static double
run_lru(const uint32_t *w)
{
    struct queue q = { 0 };
    uint32_t     hits = 0;

    memset(nodes, 0, sizeof(nodes));
    for (uint32_t n = 0; n < REQUESTS; n++) {
        uint32_t i = w[n] + 1;

        if (nodes[i].where) {
            hits++;
            drop(&q, i);
        } else if (q.count == CAPACITY) {
            nodes[q.tail].where = 0;
            drop(&q, q.tail);
        }
        nodes[i].where = 1;
        push(&q, i);
    }
    return hits / (double)REQUESTS;
}

/* S3-FIFO: small (10 %), main, ghost. */
static double
run_s3fifo(const uint32_t *w)
{
    struct queue small = { 0 }, mainq = { 0 }, ghost = { 0 };
    uint32_t     hits = 0;

    memset(nodes, 0, sizeof(nodes));
    for (uint32_t n = 0; n < REQUESTS; n++) {
        uint32_t i = w[n] + 1;

        if (nodes[i].where == 1 || nodes[i].where == 2) {
            hits++;
            nodes[i].mark = (uint8_t)(nodes[i].mark < 3 ? nodes[i].mark + 1 : 3);
            continue;
        }
        while (small.count + mainq.count >= CAPACITY) {
            if (small.count >= CAPACITY / 10 || !mainq.count) {
                uint32_t t = small.tail;
                drop(&small, t);
                if (nodes[t].mark > 0) {
                    nodes[t].mark = 0;
                    nodes[t].where = 2;
                    push(&mainq, t);
                } else {
                    nodes[t].where = 3;
                    push(&ghost, t);
                    if (ghost.count > CAPACITY) {
                        nodes[ghost.tail].where = 0;
                        drop(&ghost, ghost.tail);
                    }
                }
            } else {
                uint32_t t = mainq.tail;
                drop(&mainq, t);
                if (nodes[t].mark > 0) {
                    nodes[t].mark--;
                    push(&mainq, t);
                } else {
                    nodes[t].where = 0;
                }
            }
        }
        nodes[i].mark = 0;
        if (nodes[i].where == 3) {
            drop(&ghost, i);
            nodes[i].where = 2;
            push(&mainq, i);
        } else {
            nodes[i].where = 1;
            push(&small, i);
        }
    }
    return hits / (double)REQUESTS;
}

static double
run_sieve(const uint32_t *w)
{
    struct queue q = { 0 };
    uint32_t     hits = 0, hand = 0;

    memset(nodes, 0, sizeof(nodes));
    for (uint32_t n = 0; n < REQUESTS; n++) {
        uint32_t i = w[n] + 1;

        if (nodes[i].where) {
            hits++;
            nodes[i].mark = 1;
            continue;
        }
        if (q.count == CAPACITY) {
            uint32_t t = hand ? hand : q.tail;
            while (nodes[t].mark) {
                nodes[t].mark = 0;
                t = nodes[t].prev ? nodes[t].prev : q.tail;
            }
            hand = nodes[t].prev;
            nodes[t].where = 0;
            drop(&q, t);
        }
        nodes[i].where = 1;
        nodes[i].mark = 0;
        push(&q, i);
    }
    return hits / (double)REQUESTS;
}

/* ---- the real cache ---- */

static struct osp_authority to;
static struct osp_hash_key  seed = { 1, 2 };

static void
request_for(uint32_t id, struct osp_msg *req, char path[16], uint8_t *buf, size_t cap, struct osp_cache_key *key)
{
    struct osp_wr w = osp_wr_to(buf, cap);

    snprintf(path, 16, "r%u", id);
    osp_msg_init(req, OSP_GET);
    if (osp_msg_add(req, OSP_OPT_URI_PATH, osp_slice_str(path)) != OSP_OK ||
        osp_cache_key_make(&seed, &to, 548, req, &w, key) != OSP_OK)
        exit(2);
}

/* A cache of `bytes`, and the response it keeps. */
static struct osp_cache *
make_cache(size_t bytes, struct osp_msg *resp)
{
    static uint8_t       payload[64];
    struct osp_cache_cfg cfg;
    struct osp_cache    *c;

    to = (struct osp_authority){ .scheme = OSP_SCHEME_COAP, .host = osp_slice_str("s.example"), .port = 5683 };
    osp_cache_cfg_default(&cfg);
    cfg.bytes = bytes;
    if (osp_cache_new(&cfg, seed, &c) != OSP_OK)
        exit(2);
    osp_msg_init(resp, OSP_CODE(2, 5));
    resp->payload = osp_slice(payload, sizeof(payload));
    return c;
}

/* How many entries fit into `bytes`. */
static size_t
entries_in(size_t bytes)
{
    uint8_t                keybuf[512];
    struct osp_cache_stats st;
    struct osp_cache_key   key;
    struct osp_msg         req, resp;
    struct osp_cache      *c = make_cache(bytes, &resp);
    char                   path[16];

    for (uint32_t i = 0; i < 4 * CAPACITY; i++) {
        request_for(RESOURCES + i, &req, path, keybuf, sizeof(keybuf), &key);
        osp_cache_store(c, &key, &resp, (struct osp_time){ 0 });
    }
    osp_cache_stats(c, &st);
    osp_cache_free(c);
    return st.entries;
}

/* The bytes of a cache for CAPACITY entries, at most. */
static size_t
bytes_for_capacity(void)
{
    size_t lo = 0, hi = (size_t)CAPACITY * 1024;

    while (hi - lo > 64) {
        size_t mid = (lo + hi) / 2;

        if (mid >= (size_t)64 << 10 && entries_in(mid) > CAPACITY)
            hi = mid;
        else
            lo = mid;
    }
    return lo;
}

/* Hit ratio of lib/cache with as much room as the models above. */
static double
run_cache(const uint32_t *w, size_t bytes)
{
    uint8_t              keybuf[512], outbuf[2048];
    struct osp_cache_key key;
    struct osp_msg       req, resp, out;
    struct osp_cache    *c = make_cache(bytes, &resp);
    struct osp_time      now = { 0 };
    char                 path[16];
    uint32_t             age, hits = 0;

    for (uint32_t n = 0; n < REQUESTS; n++) {
        struct osp_wr wr = osp_wr_to(outbuf, sizeof(outbuf));

        request_for(w[n], &req, path, keybuf, sizeof(keybuf), &key);
        if (osp_cache_lookup(c, &key, &req, now, &wr, &out, &age) == OSP_CACHE_HIT)
            hits++;
        else
            osp_cache_store(c, &key, &resp, now);
    }
    osp_cache_free(c);
    return hits / (double)REQUESTS;
}

static void
real(void)
{
    static uint8_t         keybuf[512], outbuf[2048];
    struct osp_cache      *c;
    struct osp_cache_stats st;
    struct osp_cache_key   key;
    struct osp_msg         req, resp, out;
    struct osp_time        now = { 0 };
    char                   path[16];
    uint32_t               age, hits = 0;
    long                   before = bench_resident(), after;
    double                 t0, t1, t2;

    c = make_cache((size_t)256 << 20, &resp);
    t0 = bench_cpu_s();
    for (uint32_t i = 0; i < REQUESTS; i++) {
        request_for(i, &req, path, keybuf, sizeof(keybuf), &key);
        osp_cache_store(c, &key, &resp, now);
    }
    t1 = bench_cpu_s();
    after = bench_resident();
    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct osp_wr w = osp_wr_to(outbuf, sizeof(outbuf));
        request_for((uint32_t)(rnd() % REQUESTS), &req, path, keybuf, sizeof(keybuf), &key);
        hits += osp_cache_lookup(c, &key, &req, now, &w, &out, &age) == OSP_CACHE_HIT;
    }
    t2 = bench_cpu_s();
    osp_cache_stats(c, &st);
    printf("\"entries\": %zu, \"bytes\": %zu, \"resident\": %ld, \"resident_per_entry\": %.1f, "
           "\"store_us\": %.3f, \"lookup_us\": %.3f, \"found\": %u",
           st.entries, st.bytes, after - before, (double)(after - before) / (double)st.entries,
           (t1 - t0) * 1e6 / REQUESTS, (t2 - t1) * 1e6 / REQUESTS, hits);
    osp_cache_free(c);
}

int
main(void)
{
    static const char *const names[] = { "zipf", "scan" };
    size_t                   bytes = bytes_for_capacity();

    zipf_init();
    printf("{");
    for (int scan = 0; scan < 2; scan++) {
        uint32_t *w = workload(scan);
        printf("\"%s\": {\"lru\": %.4f, \"s3fifo\": %.4f, \"sieve\": %.4f, \"cache\": %.4f}, ", names[scan], run_lru(w),
               run_s3fifo(w), run_sieve(w), run_cache(w, bytes));
        free(w);
    }
    real();
    printf("}\n");
    free(cumulative);
    return 0;
}
