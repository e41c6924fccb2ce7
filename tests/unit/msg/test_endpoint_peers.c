/* SPDX-License-Identifier: BSD-2-Clause */
/* What the message layer keeps per upstream peer: Message IDs over many sockets, and who may have how many requests under way. */
#include "tests/unit/msg/endpoint_fix.h"

#define PER_SOCK 65536u
#define BLOCK 4096u

/* For every test: what goes out for many peers fits into one queue. */
static int
setup_peers(void **state)
{
    struct fix *f;

    (void)setup(state);
    f = *state;
    f->datagrams = 256;
    restart(f);
    return 0;
}

/* ---- Message IDs ---- */

/* One NON request that nobody waits for: the socket it went out on, or -1 when it was refused. */
static int
send_one(struct fix *f)
{
    struct osp_request how = { .deadline = osp_time_after(f->now, OSP_SEC(1)) };
    struct osp_msg     m;
    uint64_t           h;
    enum osp_err       e;

    osp_msg_init(&m, OSP_GET);
    osp_txq_reset(&f->tx);
    e = osp_ep_request(f->ep, &f->upstream.peer, NULL, &m, &how, f->now, &f->tx, &h);
    if (e != OSP_OK) {
        EXPECT_ERR(OSP_E_OVERLOAD, e);
        return -1;
    }
    osp_ep_cancel(f->ep, h);
    assert_int_equal(f->tx.count, 1);
    return f->tx.items[0].to.sock;
}

/* As many sockets as the configuration allows: what is kept per peer grows with those that are used. */
static void
any_number_of_sockets_works(void **state)
{
    static const uint16_t counts[] = { 1, 768, 769, 1024 };
    struct fix           *f = *state;

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        f->cfg.upstream_socks = counts[i];
        restart(f);
        assert_int_equal(send_one(f), 0);
        assert_true(f->pool.used < 1024);
    }
}

/* [rfc7252#4.4] */
static void
socket_is_left_only_when_it_is_used_up(void **state)
{
    struct fix *f = *state;

    f->cfg.upstream_socks = 1024;
    restart(f);
    for (uint32_t i = 0; i < 20 * PER_SOCK; i++) {
        int sock = send_one(f);

        assert_in_range(sock, i > BLOCK ? (i - BLOCK) / PER_SOCK : 0, (i + BLOCK) / PER_SOCK);
        f->now.us += 10;
    }
    assert_in_range(osp_ep_stats(f->ep)->socks_used, 20, 21);
    /* at rest for the lifetime, it begins with the first ones again: 4,000 requests a second need 16 sockets for ever */
    f->now.us += OSP_SEC(248);
    for (uint32_t i = 0; i < 3000000; i++) {
        assert_in_range(send_one(f), 0, 20);
        f->now.us += 250;
    }
    assert_in_range(osp_ep_stats(f->ep)->socks_used, 20, 21);
    assert_int_equal(osp_ep_stats(f->ep)->mids_exhausted, 0);
}

/* No number comes twice within the lifetime, whichever socket it is on. */
static void
numbers_of_many_sockets_are_not_reused_within_their_lifetime(void **state)
{
    static uint64_t sent_us[8][PER_SOCK];
    struct fix     *f = *state;
    uint32_t        refused = 0;

    f->cfg.upstream_socks = 8;
    restart(f);
    memset(sent_us, 0, sizeof(sent_us));
    for (uint32_t i = 0; i < 3000000; i++) {
        int      sock = send_one(f);
        uint64_t *at;

        f->now.us += i % 3 * 500;       /* 2,000 a second, where 8 sockets allow 2,122 */
        if (sock < 0) {
            refused++;
            continue;
        }
        at = &sent_us[sock][(unsigned)(f->tx.items[0].bytes.p[2] << 8 | f->tx.items[0].bytes.p[3])];
        assert_true(*at == 0 || f->now.us - *at > f->cfg.exchange_lifetime_us);
        *at = f->now.us;
    }
    assert_int_equal(osp_ep_stats(f->ep)->mids_exhausted, refused);
    assert_in_range(refused, 0, 300000);
}

/* The owner opens sockets ahead of their use, so that a request never waits for one. */
static void
sockets_come_as_they_are_needed(void **state)
{
    struct fix *f = *state;
    uint16_t    open = 2;

    f->cfg.upstream_socks = open;
    restart(f);
    for (uint32_t i = 0; i < 10 * PER_SOCK; i++) {
        assert_in_range(send_one(f), 0, open - 1);
        if (osp_ep_stats(f->ep)->socks_used == open)
            osp_ep_set_socks(f->ep, ++open);
    }
    assert_in_range(open, 11, 12);
    /* one that could not be opened is not used; the next attempt finds it */
    for (uint32_t i = 0; i < 3 * PER_SOCK; i++)
        (void)send_one(f);
    assert_int_equal(send_one(f), -1);
    assert_true(osp_ep_stats(f->ep)->mids_exhausted > 0);
    osp_ep_set_socks(f->ep, ++open);
    assert_int_equal(send_one(f), open - 1);
}

/* ---- fairness ---- */

/* A CON of `client`, whose number and `i` are its payload; OSP_OK also when it has to wait. */
static enum osp_err
ask(struct fix *f, uint64_t client, uint8_t i, uint64_t *h)
{
    struct osp_request how = { .confirmable = true, .deadline = osp_time_after(f->now, OSP_SEC(200)), .client = client };
    uint8_t            payload[2] = { (uint8_t)client, i };
    struct osp_msg     m;

    osp_msg_init(&m, OSP_GET);
    m.payload = osp_slice(payload, sizeof(payload));
    return osp_ep_request(f->ep, &f->upstream.peer, NULL, &m, &how, f->now, &f->tx, h);
}

static void
ask_times(struct fix *f, uint64_t client, unsigned times)
{
    uint64_t h;

    for (unsigned i = 0; i < times; i++)
        EXPECT_OK(ask(f, client, (uint8_t)i, &h));
}

/* Datagrams that went out for `client` and were not reset since. */
static unsigned
sent_for(const struct fix *f, uint64_t client)
{
    unsigned n = 0;

    for (size_t i = 0; i < f->tx.count; i++)
        n += f->tx.items[i].bytes.p[f->tx.items[i].bytes.n - 2] == client;
    return n;
}

/* The peer acknowledges the request in place `i` of what went out; what that lets go stands behind the others. */
static void
acknowledge(struct fix *f, size_t i)
{
    struct osp_flow from = f->tx.items[i].to;
    uint8_t         ack[4] = { 0x60, 0, f->tx.items[i].bytes.p[2], f->tx.items[i].bytes.p[3] };

    osp_ep_input(f->ep, &from, osp_slice(ack, sizeof(ack)), f->now, &f->tx, &f->ev);
    while (osp_ep_expire(f->ep, f->now, &f->tx, &f->ev))
        assert_int_equal(f->ev.kind, OSP_EV_NONE);
}

/* row M17 */
/* [rfc7252#4.7] */
static void
client_whose_requests_are_ignored_does_not_hold_others_up(void **state)
{
    struct fix *f = *state;

    ask_times(f, 1, 16);
    assert_int_equal(sent_for(f, 1), 12);               /* of NSTART 16 */
    ask_times(f, 2, 2);
    assert_int_equal(sent_for(f, 2), 1);
    ask_times(f, 3, 1);
    ask_times(f, 4, 1);
    assert_int_equal(f->tx.count, 15);
    acknowledge(f, 12);                                 /* client 2: its next one goes, although client 1 has waited longer */
    assert_int_equal(sent_for(f, 2), 2);
    assert_int_equal(sent_for(f, 1), 12);
    acknowledge(f, 0);
    acknowledge(f, 1);
    assert_int_equal(sent_for(f, 1), 12);               /* 3 places of the others and 10 of its own, but 3 are left */
    acknowledge(f, 2);
    assert_int_equal(sent_for(f, 1), 12);
    acknowledge(f, 13);
    assert_int_equal(sent_for(f, 1), 13);               /* 5 are free: more than the reserve */
}

/* One at a time when nothing is left for a reserve. */
static void
small_nstart_has_no_reserve_but_turns(void **state)
{
    struct fix *f = *state;

    f->cfg.nstart = 1;
    restart(f);
    ask_times(f, 1, 5);
    ask_times(f, 2, 2);
    ask_times(f, 3, 1);
    for (size_t i = 0; i < 8; i++)
        acknowledge(f, i);
    assert_int_equal(f->tx.count, 8);
    for (size_t i = 0; i < 8; i++) {
        static const uint8_t order[] = { 1, 2, 3, 1, 2, 1, 1, 1 };

        assert_int_equal(f->tx.items[i].bytes.p[f->tx.items[i].bytes.n - 2], order[i]);
    }
}

/* With many waiting on both sides each gets as much as the other. */
static void
queues_are_served_in_turn(void **state)
{
    struct fix *f = *state;
    size_t      done = 0;

    ask_times(f, 1, 60);
    ask_times(f, 2, 30);
    while (done < 60)
        acknowledge(f, done++);
    assert_in_range(sent_for(f, 2), 24, 30);
    while (done < f->tx.count)
        acknowledge(f, done++);
    assert_int_equal(f->tx.count, 90);
    assert_int_equal(osp_ep_stats(f->ep)->queued, 0);
}

static void
client_gets_no_more_places_in_the_queue_than_are_left(void **state)
{
    struct fix *f = *state;
    unsigned    got[4] = { 0 };
    uint64_t    h, open[4][128];

    f->cfg.max_queued = 96;
    f->cfg.nstart = 1;
    restart(f);
    ask_times(f, 9, 1);
    for (uint64_t c = 1; c < 4; c++)
        for (unsigned i = 0; i < 100 && ask(f, c, 0, &h) == OSP_OK; i++)
            open[c][got[c]++] = h;
    assert_int_equal(got[1], 48);
    assert_int_equal(got[2], 24);
    assert_int_equal(got[3], 12);
    assert_int_equal(osp_ep_stats(f->ep)->queue_refused, 3);
    ask_times(f, 0, 12);                                /* the caller's own have no share */
    EXPECT_ERR(OSP_E_OVERLOAD, ask(f, 0, 0, &h));
    for (uint64_t c = 1; c < 4; c++)
        while (got[c] > 0)
            osp_ep_cancel(f->ep, open[c][--got[c]]);
    assert_int_equal(osp_ep_stats(f->ep)->queued, 12);
    EXPECT_OK(ask(f, 1, 0, &h));
}

/* Silent next hops, each with a queue of its own: a client's places count over all of them. */
static void
places_in_the_queue_count_over_all_peers(void **state)
{
    struct fix *f = *state;
    unsigned    got = 0;
    uint64_t    h, open[96];

    f->cfg.max_queued = 96;
    f->cfg.nstart = 1;
    restart(f);
    for (uint8_t p = 0; p < 16; p++) {
        f->upstream.peer.ip = osp_ip_v4(192, 0, 2, (uint8_t)(10 + p));
        ask_times(f, 1, 1);                             /* outstanding, and never answered */
        for (unsigned i = 0; i < 12 && ask(f, 1, 0, &h) == OSP_OK; i++)
            open[got++] = h;
    }
    assert_int_equal(got, 48);                          /* as many as were left to the others */
    assert_int_equal(osp_ep_stats(f->ep)->queue_refused, 12);
    ask_times(f, 2, 24);                                /* at the last of them */
    EXPECT_ERR(OSP_E_OVERLOAD, ask(f, 2, 0, &h));
    ask_times(f, 0, 24);                                /* the caller's own have no share */
    EXPECT_ERR(OSP_E_OVERLOAD, ask(f, 0, 0, &h));
    while (got > 0)
        osp_ep_cancel(f->ep, open[--got]);
    assert_int_equal(osp_ep_stats(f->ep)->queued, 48);
    ask_times(f, 1, 24);                                /* nothing of it was kept: half of 48 once more */
    EXPECT_ERR(OSP_E_OVERLOAD, ask(f, 1, 0, &h));
}

/* What goes out gives its place back too, and so does one that is cancelled while it waits. */
static void
place_in_the_queue_is_given_back_when_the_request_goes(void **state)
{
    struct fix *f = *state;
    uint64_t    h;

    f->cfg.max_queued = 8;
    f->cfg.nstart = 1;
    restart(f);
    ask_times(f, 1, 5);                                 /* 4 wait */
    EXPECT_ERR(OSP_E_OVERLOAD, ask(f, 1, 9, &h));
    for (size_t i = 0; i < 5; i++)
        acknowledge(f, i);
    assert_int_equal(f->tx.count, 5);
    assert_int_equal(osp_ep_stats(f->ep)->queued, 0);
    f->upstream.peer.ip = osp_ip_v4(192, 0, 2, 10);
    ask_times(f, 1, 5);
    EXPECT_ERR(OSP_E_OVERLOAD, ask(f, 1, 9, &h));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_peers, teardown)
    const struct CMUnitTest tests[] = {
        T(any_number_of_sockets_works),
        T(socket_is_left_only_when_it_is_used_up),
        T(numbers_of_many_sockets_are_not_reused_within_their_lifetime),
        T(sockets_come_as_they_are_needed),
        T(client_whose_requests_are_ignored_does_not_hold_others_up),
        T(small_nstart_has_no_reserve_but_turns),
        T(queues_are_served_in_turn),
        T(client_gets_no_more_places_in_the_queue_than_are_left),
        T(places_in_the_queue_count_over_all_peers),
        T(place_in_the_queue_is_given_back_when_the_request_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
