/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients, a proxy and an origin on a network that loses, repeats and reorders datagrams, in virtual time.  Each
 * client has a context with the proxy, the proxy one with the origin.  Whatever the network does: every request
 * ends once at its client, with its own answer or an error; the origin executes none twice; no nonce repeats;
 * and in the end nothing is pending anywhere.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/option.h"
#include "tests/udp_proxy.h"

#define CLIENTS 40
#define REQUESTS 50             /* of each client, 64 at most */
#define SEEDS 4                 /* no claim rests on one run of luck */
#define FLIGHT 4096
#define DATAGRAM 1200

enum node { CLIENT, PROXY, ORIGIN };

struct packet { uint64_t at; enum node to; struct osp_flow flow; uint16_t n; uint8_t bytes[DATAGRAM]; };

struct client {
    struct osp_ep   *ep;
    struct osp_transports side;         /* `ep`, as a client sees it */
    struct osp_octx *ctx;
    struct osp_layer layer;
    uint64_t         sent, done, answered;
    bool             busy;
    uint8_t          type;
};

struct net {
    struct osp_time   now;
    struct osp_pool   pool;
    struct osp_txq    tx;
    uint64_t          rng;
    unsigned          loss, dup;        /* per cent */
    struct osp_proxy *px;
    struct osp_ep    *ep;               /* of the proxy */
    struct osp_policy policy;
    struct osp_octx  *cp[CLIENTS], *ps, *sp;
    struct osp_octx_configured *table;
    struct osp_ep    *origin;
    struct osp_transports origin_side;
    struct client     clients[CLIENTS];
    struct packet    *flight;
    size_t            count;
    uint64_t          executed[CLIENTS];        /* bit i - 1: the origin executed request i of the client */
    uint64_t          executions, overtaken;
    struct osp_crypto *cr;
    uint8_t           seen_piv[4096];           /* P-S Partial IVs on the wire, once each but for retransmissions */
    uint8_t           seen_hash[4096][8];
};

static struct net n;

static uint64_t
rnd(void)
{
    uint64_t z = n.rng += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void
fill(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    for (size_t i = 0; i < len; i++)
        dst[i] = (uint8_t)(rnd() >> 11);
}

static struct osp_octx *
context(unsigned secret, const char *sid, const char *rid, uint32_t label)
{
    uint8_t                key[16] = { (uint8_t)secret, (uint8_t)(secret >> 8), 7 };
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice(key, 16), .label = label,
                                 .sender_id = osp_slice_str(sid), .recipient_id = osp_slice_str(rid) };
    struct osp_octx       *c;

    EXPECT_OK(osp_octx_new(&p, &c));
    osp_octx_grant(c, 0, 1u << 20);
    osp_octx_set_window(c, &(struct osp_replay){ 0 });
    return c;
}

static void
released(struct osp_policy *p)
{
    (void)p;
}

static struct osp_ip
ip_of(enum node who, unsigned i)
{
    return osp_ip_v4(10, (uint8_t)who, (uint8_t)(i >> 8), (uint8_t)i);
}

/* ---- the network ---- */

static void
carry(enum node from, unsigned i, const struct osp_tx *tx)
{
    enum node    to = tx->to.peer.ip.b[13];
    unsigned     copies = rnd() % 100 < n.loss ? 0 : rnd() % 100 < n.dup ? 2 : 1;

    while (copies-- > 0) {
        struct packet *p;

        assert_true(n.count < FLIGHT);
        p = &n.flight[n.count++];
        p->at = n.now.us + OSP_MS(1) + rnd() % OSP_MS(80);      /* so some overtake others */
        p->to = to;
        p->flow = tx->to;                                       /* turned around at delivery */
        p->n = (uint16_t)tx->bytes.n;
        assert_true(osp_slice_copy(tx->bytes, p->bytes, sizeof(p->bytes)));
        /* the sender's address travels in `local`, its socket in `sock` */
        p->flow.local = ip_of(from, i);
    }
}

static void
flush(enum node from, unsigned i)
{
    for (size_t k = 0; k < n.tx.count; k++)
        carry(from, i, &n.tx.items[k]);
    osp_txq_reset(&n.tx);
}

/* ---- origin: answers /<client>/<number> under the proxy's layer ---- */

static void
origin_request(struct osp_event *ev)
{
    static uint8_t  a[4096];
    uint8_t         classes[OSP_MSG_OPTS_MAX];
    struct osp_wr   w = osp_wr_to(a, sizeof(a));
    struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };
    struct osp_msg        plain, resp, out;
    struct osp_layer l;
    unsigned        who = 0;
    unsigned long   number = 0;
    char            text[64];
    enum osp_err    e;

    e = osp_oscore_unprotect_request(n.cr, n.sp, ev->msg, &w, &plain, &l);
    if (e == OSP_E_REPLAY) {    /* its first copy was lost, and 32 newer ones overtook the second [rfc8613#7.4] */
        osp_msg_init(&resp, OSP_CODE(4, 1));
        EXPECT_OK(osp_exchange_respond(&n.origin_side, ev->handle, &resp, (struct osp_respond){ 0 }, n.now));
        n.overtaken++;
        return;
    }
    EXPECT_OK(e);
    assert_true(plain.payload.n < sizeof(text));
    memcpy(text, plain.payload.p, plain.payload.n);
    text[plain.payload.n] = '\0';
    assert_int_equal(sscanf(text, "%u %lu", &who, &number), 2);
    assert_true(who < CLIENTS && number >= 1 && number <= REQUESTS);
    /* never twice; one whose client has given up may come late, after the next */
    assert_false(n.executed[who] >> (number - 1) & 1);
    n.executed[who] |= (uint64_t)1 << (number - 1);
    n.executions++;
    osp_msg_init(&resp, OSP_CODE(2, 4));
    resp.payload = plain.payload;
    EXPECT_OK(osp_classes(&ends, &resp, classes));
    EXPECT_OK(osp_oscore_protect_response(n.cr, &l, &resp, classes, false, &w, &out));
    EXPECT_OK(osp_exchange_respond(&n.origin_side, ev->handle, &out, (struct osp_respond){ 0 }, n.now));
    osp_layer_fini(&l);
}

/* ---- clients ---- */

static void
client_ask(unsigned i)
{
    struct client     *c = &n.clients[i];
    static uint8_t     a[4096];
    uint8_t            classes[OSP_MSG_OPTS_MAX];
    struct osp_wr      w = osp_wr_to(a, sizeof(a));
    struct osp_layer_ends ends = { OSP_LAYER_TO_PROXY, true, false };
    struct osp_msg        m, out;
    struct osp_addr    proxy = { .ip = ip_of(PROXY, 0), .port = 5683 };
    struct osp_request how = { .deadline = osp_time_after(n.now, OSP_SEC(200)) };
    uint64_t           handle;
    char               text[64];

    c->type = rnd() % 3 ? OSP_CON : OSP_NON;
    how.confirmable = c->type == OSP_CON;
    c->sent++;
    snprintf(text, sizeof(text), "%u %lu", i, (unsigned long)c->sent);
    osp_msg_init(&m, OSP_POST);
    m.payload = osp_slice_str(text);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    EXPECT_OK(osp_classes(&ends, &m, classes));
    osp_layer_fini(&c->layer);
    EXPECT_OK(osp_oscore_protect_request(n.cr, c->ctx, &m, classes, &w, &out, &c->layer));
    EXPECT_OK(osp_exchange_request(&c->side, &proxy, &out, &how, n.now, &handle));
    c->busy = true;
}

static void
client_event(unsigned i, const struct osp_event *ev)
{
    struct client *c = &n.clients[i];
    static uint8_t a[4096];
    struct osp_wr  w = osp_wr_to(a, sizeof(a));
    struct osp_msg out;
    char           text[64];

    if (ev->kind != OSP_EV_RESPONSE && ev->kind != OSP_EV_FAILED)
        return;
    assert_true(c->busy);       /* each request ends once */
    c->busy = false;
    c->done++;
    if (ev->kind == OSP_EV_FAILED)
        return;
    EXPECT_OK(osp_oscore_unprotect_response(n.cr, &c->layer, ev->msg, &w, &out));
    if (out.code == OSP_CODE(2, 4)) {
        snprintf(text, sizeof(text), "%u %lu", i, (unsigned long)c->sent);
        EXPECT_BYTES(osp_slice_str(text), out.payload);         /* its own answer, nobody else's */
        c->answered++;
    } else {
        assert_true(out.code == OSP_CODE(5, 4) || (out.code == OSP_CODE(5, 2) && n.overtaken > 0));
    }
}

/* ---- delivery and time ---- */

/* [rfc8613#7.2.1] a Partial IV of the proxy's means one message, sent again at most */
static void
observe_wire(const struct packet *p)
{
    struct osp_msg        m;
    struct osp_oscore_opt o;
    uint64_t              piv = 0;
    bool                  header;

    if (p->to != ORIGIN || osp_msg_decode_udp(osp_slice(p->bytes, p->n), &m, &header) != OSP_OK ||
        !osp_msg_has(&m, OSP_OPT_OSCORE))
        return;
    EXPECT_OK(osp_oscore_opt_parse(osp_msg_get(&m, OSP_OPT_OSCORE)->val, &o));
    for (size_t i = 0; i < o.piv.n; i++)
        piv = piv << 8 | o.piv.p[i];
    assert_true(piv < 4096);
    if (n.seen_piv[piv])
        assert_memory_equal(n.seen_hash[piv], m.payload.p + m.payload.n - 8, 8);
    n.seen_piv[piv] = 1;
    memcpy(n.seen_hash[piv], m.payload.p + m.payload.n - 8, 8);
}

static void
deliver(const struct packet *p)
{
    struct osp_flow     f = { .peer = { .ip = p->flow.local, .port = 5683 }, .local = p->flow.peer.ip };
    struct osp_slice    d = osp_slice(p->bytes, p->n);
    struct osp_event ev;
    unsigned            i = (unsigned)p->flow.peer.ip.b[14] << 8 | p->flow.peer.ip.b[15];

    observe_wire(p);
    switch (p->to) {
    case PROXY:                 /* from a client to the listener, from the origin to the client socket */
        f.sock = f.peer.ip.b[13] == CLIENT;
        udp_proxy_input(n.px, n.ep, &f, d, n.now, &n.tx);
        flush(PROXY, 0);
        break;
    case ORIGIN:
        osp_ep_input(n.origin, &f, d, n.now, &n.tx, &ev);
        if (ev.kind == OSP_EV_REQUEST)
            origin_request(&ev);
        flush(ORIGIN, 0);
        break;
    case CLIENT:
        osp_ep_input(n.clients[i].ep, &f, d, n.now, &n.tx, &ev);
        flush(CLIENT, i);
        client_event(i, &ev);
        break;
    }
}

static uint64_t
earliest(void)
{
    uint64_t        best = UINT64_MAX;
    struct osp_time t;

    for (size_t i = 0; i < n.count; i++)
        best = n.flight[i].at < best ? n.flight[i].at : best;
    if (osp_proxy_deadline(n.px, &t) && t.us < best)
        best = t.us;
    if (osp_exchange_deadline(&n.origin_side, &t) && t.us < best)
        best = t.us;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (osp_exchange_deadline(&n.clients[i].side, &t) && t.us < best)
            best = t.us;
    return best;
}

static void
expire_all(void)
{
    struct osp_event ev;

    while (osp_proxy_expire(n.px, n.now))
        flush(PROXY, 0);
    flush(PROXY, 0);
    while (osp_exchange_expire(&n.origin_side, n.now, &ev))
        flush(ORIGIN, 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        while (osp_exchange_expire(&n.clients[i].side, n.now, &ev)) {
            flush(CLIENT, i);
            client_event(i, &ev);
        }
}

static bool
turn(void)
{
    uint64_t next;
    bool     more = false;

    for (unsigned i = 0; i < CLIENTS; i++) {
        if (!n.clients[i].busy && n.clients[i].sent < REQUESTS) {
            client_ask(i);
            flush(CLIENT, i);
        }
        more = more || n.clients[i].busy;
    }
    next = earliest();
    if (next == UINT64_MAX)
        return more;
    n.now.us = next > n.now.us ? next : n.now.us + 1000;
    for (size_t i = 0; i < n.count;) {
        struct packet p;

        if (n.flight[i].at > n.now.us) {
            i++;
            continue;
        }
        p = n.flight[i];
        n.flight[i] = n.flight[--n.count];
        deliver(&p);
    }
    expire_all();
    return true;
}

static void
build(void)
{
    static const uint16_t    ports[2] = { 0, 5683 };
    static struct osp_allow  allow = { .kind = OSP_ALLOW_FORWARD, .target = { .scheme = OSP_SCHEME_UNKNOWN } };
    static struct osp_rule   rule = { .any = true, .allow = &allow, .allow_count = 1 };
    static struct osp_host   host;
    static struct osp_upstream up;
    struct osp_rand          rand = { fill, NULL };
    struct osp_proxy_cfg     cfg;
    struct osp_ep_cfg        ep;

    osp_pool_init(&n.pool, (size_t)256 << 20);
    EXPECT_OK(osp_txq_init(&n.tx, 256, 256 * 1500));
    EXPECT_OK(osp_crypto_new(&n.cr));
    EXPECT_OK(osp_octx_configured_new(CLIENTS + 1, (struct osp_hash_key){ 3, 4 }, &n.table));
    osp_ep_cfg_default(&ep);
    ep.max_messages = 4096;
    ep.max_requests = 64;
    ep.max_peers = 4;
    for (unsigned i = 0; i < CLIENTS; i++) {
        char id[4] = { (char)('A' + i / 26), (char)('a' + i % 26), 0 };

        n.cp[i] = context(i, "P", id, i);
        EXPECT_OK(osp_octx_configured_add(n.table, n.cp[i]));
        n.clients[i].ctx = context(i, id, "P", 0);
        EXPECT_OK(osp_ep_new(&ep, rand, &n.pool, n.now, &n.clients[i].ep));
        n.clients[i].side.by[OSP_TRANSPORT_UDP] = osp_ep_transport(n.clients[i].ep, &n.tx);
    }
    n.ps = context(999, "p", "s", CLIENTS);
    n.sp = context(999, "s", "p", 0);
    EXPECT_OK(osp_ep_new(&ep, rand, &n.pool, n.now, &n.origin));
    n.origin_side.by[OSP_TRANSPORT_UDP] = osp_ep_transport(n.origin, &n.tx);
    host = (struct osp_host){ "s.example", ip_of(ORIGIN, 0) };
    up = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN }, .ctx = n.ps };
    n.policy = (struct osp_policy){ .release = released, .contexts = n.table, .forward = true, .max_layers = 2, .node_name = "p",
                                    .response_timeout_us = OSP_SEC(100), .sock_port = ports, .sock_count = 2, .rules = &rule,
                                    .rule_count = 1, .upstreams = &up, .upstream_count = 1, .hosts = &host, .host_count = 1 };
    atomic_init(&n.policy.refs, 1);
    osp_proxy_cfg_default(&cfg);
    ep.max_requests = 1024;
    cfg.lease_low = 0;
    EXPECT_OK(udp_proxy_new(&cfg, &ep, rand, n.now, &n.tx, &n.px, &n.ep));
    osp_proxy_set_policy(n.px, &n.policy);
}

static void
tear_down(void)
{
    osp_proxy_free(n.px);
    osp_exchange_free(&n.origin_side);
    for (unsigned i = 0; i < CLIENTS; i++) {
        osp_layer_fini(&n.clients[i].layer);
        osp_exchange_free(&n.clients[i].side);
        osp_octx_unref(n.clients[i].ctx);
        osp_octx_unref(n.cp[i]);
    }
    osp_octx_configured_free(n.table);
    osp_octx_unref(n.ps);
    osp_octx_unref(n.sp);
    osp_crypto_free(n.cr);
    assert_int_equal(n.pool.used, 0);
    osp_pool_fini(&n.pool);
    osp_txq_fini(&n.tx);
    free(n.flight);
}

static void
run(unsigned loss, unsigned dup, uint64_t seed, uint64_t *answered)
{
    uint64_t total = 0;

    memset(&n, 0, sizeof(n));
    n.rng = seed;
    n.loss = loss;
    n.dup = dup;
    n.now.us = OSP_SEC(1000);
    n.flight = malloc(FLIGHT * sizeof(*n.flight));
    assert_non_null(n.flight);
    build();
    for (int turns = 0; turns < 2000000; turns++) {
        bool pending = n.count > 0 || !osp_proxy_idle(n.px);

        for (unsigned i = 0; i < CLIENTS; i++)
            pending = pending || n.clients[i].done < REQUESTS || !osp_ep_idle(n.clients[i].ep);
        if (!pending && osp_ep_idle(n.origin))
            break;
        if (!turn())
            break;
    }
    assert_true(osp_proxy_idle(n.px));
    assert_true(osp_ep_idle(n.origin));
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(n.clients[i].done, REQUESTS);
        assert_true(osp_ep_idle(n.clients[i].ep));
        total += n.clients[i].answered;
    }
    assert_true(n.executions <= CLIENTS * REQUESTS);
    *answered = total;
    tear_down();
}

/* But for what more than a window of newer requests overtook on the proxy's leg [rfc8613#7.4]. */
static void
quiet_network_answers_everything(void **state)
{
    uint64_t answered;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(0, 0, seed, &answered);
        assert_int_equal(answered + n.overtaken, CLIENTS * REQUESTS);
        assert_int_equal(answered, n.executions);
        assert_true(n.overtaken < CLIENTS * REQUESTS / 100);
    }
}

/* [rfc7252#4.2] [rfc7252#4.5] */
static void
duplicates_and_reordering_change_nothing(void **state)
{
    uint64_t answered;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(0, 60, seed, &answered);
        assert_int_equal(answered + n.overtaken, CLIENTS * REQUESTS);
        assert_int_equal(answered, n.executions);
        assert_true(n.overtaken < CLIENTS * REQUESTS / 100);
    }
}

static void
loss_costs_time_and_some_non_requests_only(void **state)
{
    uint64_t answered;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(20, 10, seed, &answered);
        assert_true(answered > CLIENTS * REQUESTS * 6 / 10);
    }
}

static void
heavy_loss_still_ends_everything_once(void **state)
{
    uint64_t answered;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(60, 20, seed, &answered);
        assert_true(answered > 0);
    }
}

/* Same inputs, same bytes: two runs agree on every count. */
static void
runs_are_reproducible(void **state)
{
    uint64_t a, b, executions;

    (void)state;
    run(30, 30, 5, &a);
    executions = n.executions;
    run(30, 30, 5, &b);
    assert_int_equal(a, b);
    assert_int_equal(executions, n.executions);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_network_answers_everything),
        cmocka_unit_test(duplicates_and_reordering_change_nothing),
        cmocka_unit_test(loss_costs_time_and_some_non_requests_only),
        cmocka_unit_test(heavy_loss_still_ends_everything_once),
        cmocka_unit_test(runs_are_reproducible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
