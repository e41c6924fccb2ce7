/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets in batches over loopback, and the table of listeners over reloads. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ospreyd/net/listeners.h"

static const struct osp_udp_how listening = { .listener = true };
static const struct osp_udp_how asking = { .listener = false };

static struct osp_udp_sock
open_at(struct osp_ip ip, const struct osp_udp_how *how)
{
    struct osp_udp_sock s;
    struct osp_addr     at = { .ip = ip };

    EXPECT_OK(osp_udp_open(&at, how, &s));
    assert_int_not_equal(s.at.port, 0);
    return s;
}

static struct osp_ip
loopback(uint8_t last)
{
    return osp_ip_v4(127, 0, 0, last);
}

/* Waits for data, since loopback delivers at once but the test must not depend on it. */
static size_t
receive(struct osp_udp_io *io, const struct osp_udp_sock *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLIN };

    assert_int_equal(poll(&p, 1, 5000), 1);
    return osp_udp_receive(io, s);
}

static void
send_one(struct osp_udp_io *io, const struct osp_udp_sock *socks, size_t count, const struct osp_flow *to, struct osp_slice d)
{
    struct osp_txq q;

    EXPECT_OK(osp_txq_init(&q, 4, 8192));
    osp_txq_put(&q, d, to);
    osp_udp_flush(io, socks, count, &q);
    assert_int_equal(q.count, 0);
    osp_txq_fini(&q);
}

/* One datagram from `from` to `to`:`port`, answered; the answer must come from the address asked. */
static void
round_trip(struct osp_ip listen_ip, struct osp_ip to)
{
    struct osp_udp_sock s[2] = { open_at(listen_ip, &listening), open_at(to, &asking) };
    struct osp_flow     flow = { .peer = { .ip = to, .port = s[0].at.port }, .sock = 1 }, back, answer;
    struct osp_slice    d = OSP_EMPTY;
    struct osp_udp_io  *io;

    EXPECT_OK(osp_udp_io_new(1500, &io));
    send_one(io, s, 2, &flow, osp_slice("ping", 4));
    assert_int_equal(receive(io, &s[0]), 1);
    assert_true(osp_udp_datagram(io, &s[0], 0, 0, &back, &d));
    EXPECT_BYTES(osp_slice("ping", 4), d);
    assert_int_equal(back.sock, 0);
    EXPECT_BYTES(osp_slice(to.b, 16), osp_slice(back.local.b, 16));
    send_one(io, s, 2, &back, osp_slice("pong", 4));
    assert_int_equal(receive(io, &s[1]), 1);
    assert_true(osp_udp_datagram(io, &s[1], 0, 1, &answer, &d));
    EXPECT_BYTES(osp_slice("pong", 4), d);
    assert_true(osp_addr_eq(&answer.peer, &flow.peer));
    osp_udp_close(&s[0]);
    osp_udp_close(&s[1]);
    osp_udp_io_free(io);
}

static void
answer_leaves_from_the_address_asked(void **state)
{
    struct osp_ip any6 = { { 0 } }, one6 = { { 0 } };

    (void)state;
    one6.b[15] = 1;
    round_trip(osp_ip_v4(0, 0, 0, 0), loopback(7));
    round_trip(loopback(8), loopback(8));
    round_trip(any6, loopback(9)); /* [::] takes IPv4 */
    round_trip(any6, one6);
}

static void
batch_holds_many_and_keeps_order(void **state)
{
    struct osp_udp_sock s[2] = { open_at(loopback(1), &listening), open_at(loopback(1), &asking) };
    struct osp_flow     flow = { .peer = s[0].at, .sock = 1 }, from;
    struct osp_udp_io  *io;
    struct osp_txq      q;
    struct osp_slice    d = OSP_EMPTY;
    size_t              seen = 0;

    (void)state;
    EXPECT_OK(osp_udp_io_new(1500, &io));
    EXPECT_OK(osp_txq_init(&q, 100, 8192));
    for (uint8_t i = 0; i < 100; i++)
        osp_txq_put(&q, osp_slice(&i, 1), &flow);
    osp_udp_flush(io, s, 2, &q);
    assert_int_equal(osp_udp_io_stats(io)->tx_batches, 2); /* 64 and 36 */
    while (seen < 100) {
        size_t n = receive(io, &s[0]);

        for (size_t i = 0; i < n; i++) {
            assert_true(osp_udp_datagram(io, &s[0], i, 0, &from, &d));
            assert_int_equal(d.p[0], seen++);
        }
    }
    assert_int_equal(osp_udp_io_stats(io)->rx_datagrams, 100);
    osp_txq_fini(&q);
    osp_udp_io_free(io);
    osp_udp_close(&s[0]);
    osp_udp_close(&s[1]);
}

static void
datagram_that_does_not_fit_is_dropped_and_counted(void **state)
{
    struct osp_udp_sock s[2] = { open_at(loopback(1), &listening), open_at(loopback(1), &asking) };
    struct osp_flow     flow = { .peer = s[0].at, .sock = 1 }, from;
    struct osp_udp_io  *io;
    struct osp_slice    d = OSP_EMPTY;
    uint8_t             big[101] = { 0 };

    (void)state;
    EXPECT_OK(osp_udp_io_new(100, &io));
    send_one(io, s, 2, &flow, osp_slice(big, 101));
    assert_int_equal(receive(io, &s[0]), 1);
    assert_false(osp_udp_datagram(io, &s[0], 0, 0, &from, &d));
    assert_int_equal(osp_udp_io_stats(io)->rx_truncated, 1);
    send_one(io, s, 2, &flow, osp_slice(big, 100));
    assert_int_equal(receive(io, &s[0]), 1);
    assert_true(osp_udp_datagram(io, &s[0], 0, 0, &from, &d));
    assert_int_equal(d.n, 100);
    osp_udp_io_free(io);
    osp_udp_close(&s[0]);
    osp_udp_close(&s[1]);
}

/* What cannot be sent is counted; the rest of the batch goes out. */
static void
failed_datagram_does_not_hold_the_others_up(void **state)
{
    struct osp_udp_sock s[2] = { open_at(loopback(1), &listening), open_at(loopback(1), &asking) };
    struct osp_flow     good = { .peer = s[0].at, .sock = 1 }, v6 = good, closed = good, port0 = good, from;
    struct osp_udp_io  *io;
    struct osp_txq      q;
    struct osp_slice    d = OSP_EMPTY;

    (void)state;
    v6.peer.ip = (struct osp_ip){ { 0xfd } }; /* not through an IPv4 socket */
    closed.sock = 9;
    port0.peer.port = 0;
    EXPECT_OK(osp_udp_io_new(100, &io));
    EXPECT_OK(osp_txq_init(&q, 8, 800));
    osp_txq_put(&q, osp_slice("1", 1), &v6);
    osp_txq_put(&q, osp_slice("2", 1), &port0);
    osp_txq_put(&q, osp_slice("3", 1), &closed);
    osp_txq_put(&q, osp_slice("4", 1), &good);
    osp_udp_flush(io, s, 2, &q);
    assert_int_equal(osp_udp_io_stats(io)->tx_errors, 3);
    assert_int_equal(receive(io, &s[0]), 1);
    assert_true(osp_udp_datagram(io, &s[0], 0, 0, &from, &d));
    EXPECT_BYTES(osp_slice("4", 1), d);
    osp_txq_fini(&q);
    osp_udp_io_free(io);
    osp_udp_close(&s[0]);
    osp_udp_close(&s[1]);
}

static void
address_in_use_is_told_even_when_ports_are_shared(void **state)
{
    struct osp_udp_how  shared = { .listener = true, .share = true };
    struct osp_udp_sock s = open_at(loopback(1), &shared), again;

    (void)state;
    EXPECT_OK(osp_udp_open(&s.at, &shared, &again)); /* a second worker */
    EXPECT_ERR(OSP_E_EXISTS, osp_udp_probe(&s.at));
    EXPECT_ERR(OSP_E_EXISTS, osp_udp_open(&s.at, &listening, &again));
    osp_udp_close(&s);
    osp_udp_close(&again);
}

/* ---- listeners ---- */

static char              why[OSP_STORE_WHY_MAX];
static struct cfg_listen addresses[2];

static struct osp_cfg
cfg_for(size_t count, uint16_t port_a, uint16_t port_b)
{
    struct osp_cfg c = { .listen = addresses, .listen_count = count };

    addresses[0] = (struct cfg_listen){ .ip = loopback(1), .port = port_a };
    addresses[1] = (struct cfg_listen){ .ip = loopback(2), .port = port_b };
    return c;
}

static void
free_changes(struct osp_change **c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        osp_change_free(c[i]);
}

static void
listeners_are_opened_once_for_each_worker(void **state)
{
    struct osp_listeners none, next;
    struct osp_change   *c[2];
    struct osp_cfg       cfg = cfg_for(1, 0, 0);

    (void)state;
    osp_listeners_init(&none, 4);
    EXPECT_OK(osp_listeners_plan(&none, &cfg, 2, &next, c, why));
    assert_int_equal(next.count, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(c[i]->slot_count, 1);
        assert_int_equal(c[i]->slots[0].index, 4);
        assert_int_equal(c[i]->slots[0].sock.at.port, next.items[0].at.port);
    }
    assert_int_equal(addresses[0].port, next.items[0].at.port);
    free_changes(c, 2);
    osp_listeners_fini(&next);
}

static void
listeners_keep_what_is_unchanged_and_its_number(void **state)
{
    struct osp_listeners none, one, two, three;
    struct osp_change   *c[1];
    struct osp_cfg       cfg = cfg_for(1, 0, 0);
    uint16_t             ports[6];

    (void)state;
    osp_listeners_init(&none, 4);
    EXPECT_OK(osp_listeners_plan(&none, &cfg, 1, &one, c, why));
    free_changes(c, 1);
    cfg = cfg_for(2, 0, 0); /* one more */
    EXPECT_OK(osp_listeners_plan(&one, &cfg, 1, &two, c, why));
    assert_int_equal(c[0]->slot_count, 1);
    assert_int_equal(c[0]->slots[0].index, 5);
    assert_int_equal(osp_listeners_ports_count(&two), 6);
    osp_listeners_ports(&two, ports);
    assert_int_equal(ports[0], 0);
    assert_int_equal(ports[4], two.items[0].at.port);
    free_changes(c, 1);
    addresses[0] = addresses[1]; /* the first goes */
    addresses[0].port = 0;
    cfg.listen_count = 1;
    EXPECT_OK(osp_listeners_plan(&two, &cfg, 1, &three, c, why));
    assert_int_equal(c[0]->slot_count, 1);
    assert_int_equal(c[0]->slots[0].index, 4);
    assert_int_equal(c[0]->slots[0].sock.fd, -1);
    assert_false(three.items[0].open);
    assert_true(three.items[1].open);
    free_changes(c, 1);
    osp_listeners_fini(&one);
    osp_listeners_fini(&two);
    osp_listeners_fini(&three);
}

static void
listeners_leave_nothing_open_when_one_port_is_in_use(void **state)
{
    struct osp_udp_sock  other = open_at(loopback(2), &listening), free_one = open_at(loopback(1), &listening);
    struct osp_listeners none, next;
    struct osp_change   *c[2];
    struct osp_cfg       cfg;

    (void)state;
    osp_udp_close(&free_one);
    cfg = cfg_for(2, free_one.at.port, other.at.port);
    osp_listeners_init(&none, 4);
    EXPECT_ERR(OSP_E_EXISTS, osp_listeners_plan(&none, &cfg, 2, &next, c, why));
    assert_non_null(strstr(why, "in use"));
    assert_non_null(strstr(why, "127.0.0.2"));
    EXPECT_OK(osp_udp_probe(&free_one.at));
    osp_udp_close(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_leaves_from_the_address_asked),
        cmocka_unit_test(batch_holds_many_and_keeps_order),
        cmocka_unit_test(datagram_that_does_not_fit_is_dropped_and_counted),
        cmocka_unit_test(failed_datagram_does_not_hold_the_others_up),
        cmocka_unit_test(address_in_use_is_told_even_when_ports_are_shared),
        cmocka_unit_test(listeners_are_opened_once_for_each_worker),
        cmocka_unit_test(listeners_keep_what_is_unchanged_and_its_number),
        cmocka_unit_test(listeners_leave_nothing_open_when_one_port_is_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
