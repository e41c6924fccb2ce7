/* SPDX-License-Identifier: BSD-2-Clause */
/* What the message layer keeps per upstream peer: Message IDs over many sockets, and who may have how many requests under way. */
#include "unit.h"

#include <stdlib.h>

#include "msg/endpoint.h"

#define PER_SOCK 65536u
#define BLOCK 4096u

struct fix {
    struct osp_ep      *ep;
    struct osp_pool     pool;
    struct osp_txq      tx;
    struct osp_time     now;
    struct osp_ep_event ev;
    struct osp_ep_cfg   cfg;
    uint64_t            rng;
    struct osp_addr     peer;
};

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    struct fix *f = ctx;

    for (size_t i = 0; i < n; i++) {
        f->rng = f->rng * 6364136223846793005u + 1442695040888963407u;
        dst[i] = (uint8_t)(f->rng >> 56);
    }
}

static void
start(struct fix *f)
{
    osp_pool_init(&f->pool, (size_t)64 << 20);
    EXPECT_OK(osp_txq_init(&f->tx, 256, 256 * 4096));
    EXPECT_OK(osp_ep_new(&f->cfg, (struct osp_rand){ fill, f }, &f->pool, f->now, &f->ep));
}

static void
stop(struct fix *f)
{
    osp_ep_free(f->ep);
    assert_int_equal(f->pool.used, 0);
    osp_pool_fini(&f->pool);
    osp_txq_fini(&f->tx);
}

static int
setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    f->now.us = OSP_SEC(1000);
    osp_ep_cfg_default(&f->cfg);
    f->cfg.max_messages = 1024;
    f->cfg.max_requests = 1024;
    f->peer.ip = osp_ip_v4(192, 0, 2, 9);
    f->peer.port = 5683;
    start(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    stop(*state);
    free(*state);
    return 0;
}

static void
restart(struct fix *f)
{
    stop(f);
    start(f);
}

/* ---- Message IDs ---- */

/* One NON request that nobody waits for: the socket it went out on, or -1 when it was refused. */
static int
send_one(struct fix *f)
{
    struct osp_request how = { .type = OSP_NON, .deadline = osp_time_after(f->now, OSP_SEC(1)) };
    struct osp_msg     m;
    uint64_t           h;
    enum osp_err       e;

    osp_msg_init(&m, OSP_GET);
    osp_txq_reset(&f->tx);
    e = osp_ep_request(f->ep, &f->peer, NULL, &m, &how, f->now, &f->tx, &h);
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
        f->cfg.client_socks = counts[i];
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

    f->cfg.client_socks = 1024;
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

    f->cfg.client_socks = 8;
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

    f->cfg.client_socks = open;
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

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(any_number_of_sockets_works),
        T(socket_is_left_only_when_it_is_used_up),
        T(numbers_of_many_sockets_are_not_reused_within_their_lifetime),
        T(sockets_come_as_they_are_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
