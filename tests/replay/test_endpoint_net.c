/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Endpoints that ask each other over a network that loses, repeats, delays, reorders and spoils datagrams.  Whatever it
 * does: a request ends exactly once, is executed at most once, gets its own answer, a Message ID means one message
 * for its lifetime (net.c watches every datagram), and in the end all endpoints are idle and own nothing.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "net.h"

#define EXCHANGES_MAX 4096
#define NONE UINT64_MAX
#define RELAYED ((uint64_t)1 << 40)     /* in `user`: the relay's request for an exchange of a client's */

enum kind { ASK, ANSWER, NOTIFY, CANCEL, RESTART, CUT, HEAL };

struct exchange {
    unsigned      from, to;
    struct osp_request how;
    uint64_t      ours, job, relay_job; /* handles at the client, the server, the relay */
    unsigned      executed, relayed, ended, responses, rejected, news;
    uint32_t      newest;               /* highest notification that came */
    enum osp_err  err;
    bool          answered, cancelled, refused, stale, wrong;
};

struct app {
    struct net      net;
    struct exchange x[EXCHANGES_MAX];
    uint64_t        count;
    unsigned        slow;               /* per cent of the requests that are answered late, up to: */
    uint64_t        slow_us;
    unsigned        notifications;      /* of each observation */
    unsigned        relay;              /* node that asks node relay + 1 for its clients; 0: none */
    bool            spoiled;            /* contents cannot be relied on */
};

static struct app *
app_of(struct net *n)
{
    return n->user;
}

/* ---- messages: the exchange's number and the notification's ---- */

static struct osp_slice
number(uint8_t buf[8], uint64_t id, uint32_t news)
{
    struct osp_wr w = osp_wr_to(buf, 8);

    osp_wr_u32(&w, (uint32_t)id);
    osp_wr_u32(&w, news);
    return osp_wr_slice(&w);
}

static uint64_t
number_in(struct app *a, const struct osp_msg *m, uint32_t *news)
{
    struct osp_rd r = osp_rd_from(m->payload);
    uint64_t      id = osp_rd_u32(&r);

    *news = osp_rd_u32(&r);
    if (osp_rd_done(&r) && id < a->count)
        return id;
    assert_true(a->spoiled);
    return NONE;
}

static void
ask(struct app *a, uint64_t id, unsigned from, unsigned to, const struct osp_request *how, uint64_t *handle)
{
    struct net     *n = &a->net;
    struct osp_addr peer = net_addr(to);
    struct osp_msg  m;
    uint8_t         buf[8];

    osp_msg_init(&m, OSP_POST);
    m.payload = number(buf, id, 0);
    if (osp_exchange_request(&n->nodes[from].transports, &peer, &m, how, n->now, handle) != OSP_OK) {
        *handle = 0;
        if (how->user & RELAYED)
            return;
        a->x[id].refused = true;
        a->x[id].ended++;
    }
}

static enum osp_err
answer(struct app *a, unsigned node, uint64_t handle, uint8_t code, uint64_t id, uint32_t news, struct osp_respond how)
{
    struct net    *n = &a->net;
    struct osp_msg m;
    uint8_t        buf[8], observe[4];

    osp_msg_init(&m, code);
    if (a->x[id].how.keep)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_opt_uint_make(news, observe)));
    m.payload = number(buf, id, news);
    return osp_exchange_respond(&n->nodes[node].transports, handle, &m, how, n->now);
}

/* `handle` is of the server's, which may have several of one exchange when datagrams are spoiled. */
static uint64_t
task(enum kind k, uint64_t id, uint64_t handle)
{
    return (uint64_t)k << 60 | id << 32 | (handle & UINT32_MAX);
}

/* ---- the servers ---- */

static void
on_request(struct app *a, unsigned node, const struct osp_event *ev)
{
    struct net        *n = &a->net;
    uint32_t           news;
    uint64_t           id = number_in(a, ev->msg, &news);
    struct exchange   *x = &a->x[id == NONE ? 0 : id];
    struct osp_request how = { .confirmable = true, .deadline = osp_time_after(n->now, OSP_SEC(100)), .user = id | RELAYED };

    if (id == NONE) {
        osp_exchange_dismiss(&n->nodes[node].transports, ev->handle, net_random(n) & 1, n->now);
        return;
    }
    if (a->relay && node == a->relay) {
        uint64_t handle;

        assert_int_equal(x->relayed++, 0);
        x->relay_job = ev->handle;
        ask(a, id, node, node + 1, &how, &handle);
        if (!handle)
            EXPECT_OK(answer(a, node, ev->handle, OSP_CODE(5, 3), id, 0, (struct osp_respond){ 0 }));
        return;
    }
    if (x->executed++ > 0)
        assert_true(a->spoiled);
    x->job = ev->handle;
    if (x->how.keep)
        net_at(n, OSP_SEC(1) + net_random(n) % OSP_SEC(20), node, task(NOTIFY, id, ev->handle));
    if (net_random(n) % 100 < a->slow)
        net_at(n, net_random(n) % a->slow_us, node, task(ANSWER, id, ev->handle));
    else
        EXPECT_OK(answer(a, node, ev->handle, OSP_CODE(2, 4), id, 0, (struct osp_respond){ .keep = x->how.keep }));
}

/* The next notification, or after the last one the end of the observation. */
static void
notify(struct app *a, unsigned node, uint64_t id)
{
    struct net        *n = &a->net;
    struct exchange   *x = &a->x[id];
    struct osp_respond how = { .keep = true, .confirmable = net_random(n) % 2 };
    enum osp_err       e;

    if (x->news == a->notifications) {
        osp_exchange_dismiss(&n->nodes[node].transports, x->job, false, n->now);
        return;
    }
    e = answer(a, node, x->job, OSP_CODE(2, 5), id, ++x->news, how);
    if (x->rejected)
        assert_int_equal(e, OSP_E_INVALID);
    if (e == OSP_OK)
        net_at(n, OSP_SEC(1) + net_random(n) % OSP_SEC(20), node, task(NOTIFY, id, x->job));
}

/* ---- the clients, and what the relay does with the answers it gets ---- */

static void
on_relay_end(struct app *a, unsigned node, const struct osp_event *ev)
{
    uint64_t         id = ev->user & ~RELAYED;
    struct exchange *x = &a->x[id];
    uint8_t          code = ev->kind == OSP_EV_RESPONSE ? OSP_CODE(2, 4) : OSP_CODE(5, 4);

    assert_int_equal(x->relayed++, 1);
    EXPECT_OK(answer(a, node, x->relay_job, code, id, 0, (struct osp_respond){ 0 }));
}

static void
on_response(struct app *a, struct exchange *x, uint64_t id, const struct osp_event *ev)
{
    uint32_t news;
    bool     own = number_in(a, ev->msg, &news) == id;

    assert_true(own || a->spoiled);
    assert_false(x->cancelled);
    x->wrong = x->wrong || !own;
    x->answered = true;
    x->responses++;
    x->newest = news > x->newest ? news : x->newest;
    if (x->how.keep) {
        if (x->responses == 1)
            net_at(&a->net, net_random(&a->net) % OSP_SEC(300), x->from, task(CANCEL, id, 0));
    } else {
        assert_int_equal(x->ended++, 0);
    }
}

static void
on_event(struct net *n, unsigned node, const struct osp_event *ev)
{
    struct app *a = app_of(n);

    if (ev->kind == OSP_EV_REQUEST) {
        on_request(a, node, ev);
    } else if (ev->kind == OSP_EV_DELIVERED || ev->kind == OSP_EV_REJECTED) {
        for (uint64_t id = 0; ev->kind == OSP_EV_REJECTED && id < a->count; id++)
            if (a->x[id].job == ev->handle && a->x[id].to == node)
                assert_int_equal(a->x[id].rejected++, 0);
    } else if (ev->user & RELAYED) {
        on_relay_end(a, node, ev);
    } else if (ev->kind == OSP_EV_RESPONSE) {
        assert_int_equal(a->x[ev->user].from, node);
        on_response(a, &a->x[ev->user], ev->user, ev);
    } else {
        assert_int_equal(ev->kind, OSP_EV_FAILED);
        assert_int_equal(a->x[ev->user].from, node);
        assert_int_equal(a->x[ev->user].ended++, 0);
        assert_int_equal(a->x[ev->user].responses, 0);
        a->x[ev->user].err = ev->err;
    }
}

static void
on_timer(struct net *n, unsigned node, uint64_t arg)
{
    struct app      *a = app_of(n);
    uint64_t         id = arg >> 32 & 0xffffff, handle = arg & UINT32_MAX;
    struct exchange *x = &a->x[id];

    switch ((enum kind)(arg >> 60)) {
    case ASK:
        x->how.deadline = osp_time_after(n->now, OSP_SEC(200));
        ask(a, id, x->from, x->to, &x->how, &x->ours);
        break;
    case ANSWER:                /* stale only after a restart, or a Reset of an earlier answer */
        if (answer(a, node, handle, OSP_CODE(2, 4), id, x->news, (struct osp_respond){ .keep = x->how.keep }) != OSP_OK)
            x->stale = true;
        break;
    case NOTIFY:
        notify(a, node, id);
        break;
    case CANCEL:
        osp_exchange_cancel(&n->nodes[node].transports, x->ours);
        x->cancelled = true;
        x->ended++;
        break;
    case RESTART:
        net_restart(n, node);
        for (uint64_t i = 0; i < a->count; i++)
            if (a->x[i].from == node && a->x[i].ours && !a->x[i].ended) {
                a->x[i].ended++;        /* nobody is left to hear of it */
                a->x[i].cancelled = true;
            }
        break;
    case CUT:
        n->nodes[node].cut = true;
        break;
    case HEAL:
        n->nodes[node].cut = false;
        break;
    }
}

/* ---- building and judging ---- */

static struct app *
build(uint64_t seed, unsigned nodes, const struct osp_ep_cfg *cfg)
{
    struct app       *a = calloc(1, sizeof(*a));
    struct osp_ep_cfg small;

    assert_non_null(a);
    osp_ep_cfg_default(&small);
    small.max_messages = 16384;
    small.max_requests = 4096;
    small.max_peers = 16;
    small.upstream_socks = 2;
    net_init(&a->net, seed);
    a->net.event = on_event;
    a->net.timer = on_timer;
    a->net.user = a;
    a->slow_us = 1;
    for (unsigned i = 0; i < nodes; i++)
        (void)net_add(&a->net, cfg ? cfg : &small);
    return a;
}

/* `count` exchanges from one node to the other, begun at random times within `span_us`; `con` per cent are CON. */
static void
plan(struct app *a, unsigned from, unsigned to, unsigned count, uint64_t span_us, unsigned con)
{
    for (unsigned i = 0; i < count; i++) {
        struct exchange *x = &a->x[a->count];

        assert_true(a->count < EXCHANGES_MAX);
        x->from = from;
        x->to = to;
        x->how.confirmable = net_random(&a->net) % 100 < con;
        x->how.user = a->count;
        net_at(&a->net, net_random(&a->net) % span_us, from, task(ASK, a->count++, 0));
    }
}

/* Runs to the end and asks for what always holds; the number answered. */
static uint64_t
finish(struct app *a)
{
    uint64_t answered = 0;

    net_run(&a->net, 0);
    assert_true(net_idle(&a->net));
    for (uint64_t i = 0; i < a->count; i++) {
        assert_int_equal(a->x[i].ended, 1);
        assert_true(a->x[i].executed <= 1 || a->spoiled);
        assert_true(!a->x[i].stale || a->x[i].rejected || a->spoiled);
        answered += a->x[i].answered;
    }
    return answered;
}

static void
tear_down(struct app *a)
{
    net_fini(&a->net);
    free(a);
}

static uint64_t
sum_of(struct app *a, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < a->net.node_count; i++)
        sum += *(const uint64_t *)(const void *)((const char *)osp_ep_stats(a->net.nodes[i].ep) + offset);
    return sum;
}
#define SUM(a, counter) sum_of((a), offsetof(struct osp_ep_stats, counter))

/* ---- scenarios ---- */

static void
quiet_network_takes_two_datagrams_an_exchange(void **state)
{
    struct app *a = build(1, 3, NULL);

    (void)state;
    plan(a, 0, 2, 1500, OSP_SEC(100), 50);
    plan(a, 1, 2, 1500, OSP_SEC(100), 50);
    assert_int_equal(finish(a), 3000);
    assert_int_equal(a->net.carried, 6000);
    assert_int_equal(SUM(a, retransmitted) + SUM(a, separate) - 3000 + SUM(a, piggybacked), 0);
    tear_down(a);
}

/* After their lifetimes the messages are forgotten, on a timer: no datagram has to come for that. */
static void
store_is_empty_again_after_the_lifetimes(void **state)
{
    struct app *a = build(2, 2, NULL);
    uint64_t    carried;

    (void)state;
    plan(a, 0, 1, 2000, OSP_SEC(10), 50);
    net_run(&a->net, OSP_SEC(60));
    assert_int_equal(osp_ep_stats(a->net.nodes[1].ep)->messages, 2000);
    carried = a->net.carried;
    assert_int_equal(finish(a), 2000);
    assert_int_equal(a->net.carried, carried);
    assert_int_equal(osp_ep_stats(a->net.nodes[1].ep)->messages, 0);
    assert_int_equal(a->net.nodes[1].pool.used, 0);
    tear_down(a);
}

/* row M08 M09 M12 M13 M15 */
/* [rfc7252#4.2] [rfc7252#4.5] */
static void
loss_copies_and_reordering_end_every_exchange_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct app *a = build(seed, 5, NULL);
        uint64_t    answered, con = 0;

        a->net.loss = 20;
        a->net.dup = 15;
        a->net.delay_max_us = OSP_SEC(3);       /* longer than the first retransmission takes */
        a->slow = 30;
        a->slow_us = OSP_SEC(8);
        for (unsigned from = 0; from < 3; from++)
            for (unsigned to = 3; to < 5; to++)
                plan(a, from, to, 500, OSP_SEC(600), 70);
        answered = finish(a);
        for (uint64_t i = 0; i < a->count; i++) {
            con += a->x[i].how.confirmable;
            assert_true(a->x[i].answered || a->x[i].err == OSP_E_TIMEOUT);
        }
        assert_true(answered > con * 95 / 100 + (a->count - con) / 2);
        assert_true(answered < a->count);
        assert_true(SUM(a, retransmitted) > 500 && SUM(a, rx_duplicate) > 500 && SUM(a, early_acks) > 100);
        tear_down(a);
    }
}

/* A peer is client and server at the same time: Message IDs of both roles do not meet. */
static void
endpoints_that_ask_each_other_do_not_mix_up_their_roles(void **state)
{
    struct app *a = build(7, 2, NULL);

    (void)state;
    a->net.loss = 10;
    a->net.dup = 10;
    a->net.delay_max_us = OSP_MS(900);
    a->slow = 50;
    a->slow_us = OSP_SEC(2);
    plan(a, 0, 1, 1500, OSP_SEC(400), 60);
    plan(a, 1, 0, 1500, OSP_SEC(400), 60);
    assert_true(finish(a) > 2400);
    tear_down(a);
}

/* row M11 M13 */
/* [rfc7252#5.2.2] */
static void
slow_servers_answer_in_messages_of_their_own(void **state)
{
    struct app *a = build(3, 2, NULL);

    (void)state;
    a->slow = 100;
    a->slow_us = OSP_SEC(60);
    plan(a, 0, 1, 1000, OSP_SEC(600), 100);
    assert_int_equal(finish(a), 1000);
    assert_true(SUM(a, early_acks) > 950);
    assert_int_equal(SUM(a, separate), SUM(a, early_acks));
    assert_int_equal(SUM(a, retransmitted), 0);
    tear_down(a);
}

/* Server and client role in one endpoint, one exchange waiting for another. */
static void
relay_ends_what_it_took_in_whatever_its_origin_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct osp_ep_cfg cfg;
        struct app       *a;
        uint64_t          answered, full = 0;

        osp_ep_cfg_default(&cfg);
        cfg.max_messages = 8192;
        cfg.max_requests = 512;
        cfg.max_peers = 16;
        cfg.nstart = 4;         /* so that most wait for their turn */
        cfg.max_queued = 100;
        a = build(seed, 4, &cfg);
        a->relay = 2;
        a->net.loss = 10;
        a->net.dup = 10;
        a->net.delay_max_us = OSP_MS(1200);
        a->slow = 20;
        a->slow_us = OSP_SEC(5);
        plan(a, 0, 2, 1000, OSP_SEC(1200), 80);
        plan(a, 1, 2, 1000, OSP_SEC(1200), 80);
        net_at(&a->net, OSP_SEC(300), 3, task(CUT, 0, 0));
        net_at(&a->net, OSP_SEC(500), 3, task(HEAL, 0, 0));
        answered = finish(a);
        assert_true(answered > 1500);
        for (uint64_t i = 0; i < a->count; i++)
            full += a->x[i].relayed == 1;       /* its own request was refused, which it said with a 5.03 */
        assert_true(full > 0);
        tear_down(a);
    }
}

/* row M12 */
/* [rfc7252#4.8.2] */
static void
unreachable_peer_costs_one_timeout_each_and_is_back_when_it_is_back(void **state)
{
    struct app *a = build(11, 2, NULL);
    uint64_t    failed = 0;

    (void)state;
    net_at(&a->net, OSP_SEC(100), 1, task(CUT, 0, 0));
    net_at(&a->net, OSP_SEC(500), 1, task(HEAL, 0, 0));
    plan(a, 0, 1, 500, OSP_SEC(1000), 100);
    (void)finish(a);
    for (uint64_t i = 0; i < a->count; i++) {
        failed += !a->x[i].answered;
        assert_true(a->x[i].answered || a->x[i].err == OSP_E_TIMEOUT);
    }
    assert_in_range(failed, 40, 200);    /* of about 200 asked meanwhile: some are sent again, or for the first time, later */
    assert_int_equal(SUM(a, timeouts), failed);
    tear_down(a);
}

static void
restart_of_either_side_leaves_nothing_behind(void **state)
{
    struct app *a = build(13, 3, NULL);

    (void)state;
    a->net.strict = false;      /* a node that forgot everything may draw any Message ID */
    a->spoiled = true;          /* and executes again what it has forgotten */
    a->net.loss = 10;
    a->net.dup = 10;
    a->net.delay_max_us = OSP_MS(800);
    a->slow = 60;
    a->slow_us = OSP_SEC(20);
    plan(a, 0, 2, 800, OSP_SEC(400), 70);
    plan(a, 1, 2, 800, OSP_SEC(400), 70);
    for (unsigned i = 1; i < 10; i++)
        net_at(&a->net, OSP_SEC(40) * i, i % 3, task(RESTART, 0, 0));
    assert_true(finish(a) > 1000);
    tear_down(a);
}

static void
spoiled_datagrams_do_no_more_than_spoil_an_answer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct app *a = build(seed, 4, NULL);
        uint64_t    right = 0;

        a->net.strict = false;
        a->spoiled = true;
        a->net.spoiled = 50;
        a->net.loss = 5;
        a->net.dup = 10;
        a->net.delay_max_us = OSP_MS(900);
        a->slow = 40;
        a->slow_us = OSP_SEC(3);
        plan(a, 0, 2, 700, OSP_SEC(300), 60);
        plan(a, 1, 3, 700, OSP_SEC(300), 60);
        plan(a, 2, 3, 700, OSP_SEC(300), 60);
        (void)finish(a);
        for (uint64_t i = 0; i < a->count; i++)
            right += a->x[i].answered && !a->x[i].wrong;
        assert_true(right > a->count / 2);
        tear_down(a);
    }
}

static void
tables_that_are_too_small_refuse_and_recover(void **state)
{
    struct osp_ep_cfg cfg;
    struct app       *a;
    uint64_t          refused = 0;

    (void)state;
    osp_ep_cfg_default(&cfg);
    cfg.max_messages = 16;
    cfg.max_requests = 24;
    cfg.max_peers = 2;
    cfg.nstart = 4;
    cfg.max_queued = 8;
    a = build(17, 4, &cfg);
    a->net.strict = false;      /* an overloaded server answers 5.03 without remembering it */
    a->spoiled = true;
    a->net.delay_max_us = OSP_MS(700);
    a->slow = 50;
    a->slow_us = OSP_SEC(4);
    for (unsigned from = 0; from < 3; from++)
        plan(a, from, 3, 600, OSP_SEC(60), 60);
    for (unsigned to = 0; to < 3; to++)
        plan(a, 3, to, 100, OSP_SEC(60), 60);           /* three peers where two have room */
    (void)finish(a);
    for (uint64_t i = 0; i < a->count; i++)
        refused += a->x[i].refused;
    assert_in_range(refused, 100, a->count - 100);
    assert_true(osp_ep_stats(a->net.nodes[3].ep)->dropped[OSP_E_OVERLOAD] > 0);
    assert_true(osp_ep_stats(a->net.nodes[3].ep)->dedup_evicted > 0);
    assert_true(osp_ep_stats(a->net.nodes[3].ep)->messages <= 16);
    assert_true(osp_ep_stats(a->net.nodes[3].ep)->peers <= 2);
    /* and with nobody asking any more, new work is taken again */
    a->count = 0;
    memset(a->x, 0, sizeof(a->x));
    plan(a, 0, 3, 4, OSP_SEC(60), 100);
    assert_int_equal(finish(a), 4);
    tear_down(a);
}

/* row M14 */
/* [rfc7641#3.6] [rfc7641#4.5] */
static void
observations_end_by_reset_silence_or_dismissal(void **state)
{
    struct app *a = build(19, 4, NULL);
    uint64_t    rejected = 0, all = 0;

    (void)state;
    a->net.loss = 10;
    a->net.dup = 10;
    a->net.delay_max_us = OSP_SEC(2);
    a->slow = 20;
    a->slow_us = OSP_SEC(1);
    a->notifications = 20;
    for (unsigned from = 0; from < 3; from++)
        plan(a, from, 3, 100, OSP_SEC(60), 60);
    for (uint64_t i = 0; i < a->count; i++)
        a->x[i].how.keep = true;
    net_at(&a->net, OSP_SEC(100), 2, task(CUT, 0, 0));     /* these are never heard of again */
    (void)finish(a);
    for (uint64_t i = 0; i < a->count; i++) {
        rejected += a->x[i].rejected;
        all += a->x[i].newest == a->notifications;
        assert_true(a->x[i].responses <= a->notifications + 1);
    }
    assert_true(rejected > 150);
    assert_true(all > 20);
    tear_down(a);
}

/* The same inputs give the same bytes. */
static void
same_seed_gives_the_same_datagrams(void **state)
{
    uint64_t trace[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct app *a = build(i < 2 ? 23 : 24, 3, NULL);

        a->net.loss = a->net.dup = 15;
        a->net.delay_max_us = OSP_SEC(2);
        a->slow = 30;
        a->slow_us = OSP_SEC(4);
        plan(a, 0, 2, 300, OSP_SEC(100), 60);
        plan(a, 1, 2, 300, OSP_SEC(100), 60);
        (void)finish(a);
        trace[i] = a->net.trace;
        tear_down(a);
    }
    assert_true(trace[0] == trace[1]);
    assert_true(trace[0] != trace[2]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_network_takes_two_datagrams_an_exchange),
        cmocka_unit_test(store_is_empty_again_after_the_lifetimes),
        cmocka_unit_test(loss_copies_and_reordering_end_every_exchange_once),
        cmocka_unit_test(endpoints_that_ask_each_other_do_not_mix_up_their_roles),
        cmocka_unit_test(slow_servers_answer_in_messages_of_their_own),
        cmocka_unit_test(relay_ends_what_it_took_in_whatever_its_origin_does),
        cmocka_unit_test(unreachable_peer_costs_one_timeout_each_and_is_back_when_it_is_back),
        cmocka_unit_test(restart_of_either_side_leaves_nothing_behind),
        cmocka_unit_test(spoiled_datagrams_do_no_more_than_spoil_an_answer),
        cmocka_unit_test(tables_that_are_too_small_refuse_and_recover),
        cmocka_unit_test(observations_end_by_reset_silence_or_dismissal),
        cmocka_unit_test(same_seed_gives_the_same_datagrams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
