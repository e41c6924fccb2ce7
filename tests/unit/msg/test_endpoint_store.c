/* SPDX-License-Identifier: BSD-2-Clause */
/* The deduplication store of the message layer: lifetimes, what a record takes, and what happens when memory is used up. */
#include "tests/unit/msg/endpoint_fix.h"

#define PAYLOAD 1024

static uint8_t payload[PAYLOAD];

/* For every test: the default bounds. */
static int
setup_defaults(void **state)
{
    struct fix *f;

    (void)setup(state);
    f = *state;
    osp_ep_cfg_default(&f->cfg);
    restart(f);
    return 0;
}

static void
restart_with(struct fix *f, size_t memory)
{
    f->memory = memory;
    restart(f);
}

/* Request `i`, each from a port and with a Message ID of its own; what came up for it. */
static enum osp_ev_kind
ask_with(struct fix *f, uint32_t i, uint8_t type, const char *token)
{
    struct osp_msg m;
    uint8_t        buf[64];
    struct osp_wr  w = osp_wr_to(buf, sizeof(buf));

    osp_msg_init(&m, OSP_POST);
    m.type = type;
    m.mid = (uint16_t)i;
    m.token = osp_slice_str(token);
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    f->client.peer.port = (uint16_t)(1 + (i >> 16));
    osp_txq_reset(&f->tx);
    osp_ep_input(f->ep, &f->client, osp_wr_slice(&w), f->now, &f->tx, &f->ev);
    return f->ev.kind;
}

static enum osp_ev_kind
ask(struct fix *f, uint32_t i, uint8_t type)
{
    return ask_with(f, i, type, "token");
}

static void
answer(struct fix *f, size_t n)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_CODE(2, 4));
    m.payload = osp_slice(payload, n);
    EXPECT_OK(osp_ep_respond(f->ep, f->ev.handle, &m, (struct osp_respond){ 0 }, f->now, &f->tx));
}

static void
serve(struct fix *f, uint32_t i, uint8_t type, size_t n)
{
    assert_int_equal(ask(f, i, type), OSP_EV_REQUEST);
    answer(f, n);
}

/* Moves the clock and does what is due on the way. */
static void
idle_for(struct fix *f, uint64_t us)
{
    struct osp_time end = osp_time_after(f->now, us), due;

    while (osp_ep_deadline(f->ep, &due) && due.us <= end.us) {
        f->now.us = due.us > f->now.us ? due.us : f->now.us + 1;
        while (osp_ep_expire(f->ep, f->now, &f->tx, &f->ev))
            assert_int_equal(f->ev.kind, OSP_EV_NONE);
    }
    f->now = end;
}

/* ---- lifetimes ---- */

/* row M08 */
/* [rfc7252#4.5] also when nothing was done meanwhile, and however many entries stand before it */
static void
entry_past_its_lifetime_never_matches(void **state)
{
    struct fix *f = *state;

    for (uint32_t i = 0; i < 500; i++)
        serve(f, i, i % 2 ? OSP_CON : OSP_NON, 4);
    f->now.us += OSP_SEC(144);
    assert_int_equal(ask(f, 498, OSP_NON), OSP_EV_NONE);
    f->now.us += OSP_SEC(1);
    assert_int_equal(ask(f, 498, OSP_NON), OSP_EV_REQUEST);
    assert_int_equal(ask(f, 499, OSP_CON), OSP_EV_NONE);
    f->now.us += OSP_SEC(102);
    assert_int_equal(ask(f, 499, OSP_CON), OSP_EV_REQUEST);
}

/* A request whose answer took long ends as early as any other that came with it. */
static void
late_answer_does_not_make_the_lifetime_longer(void **state)
{
    struct fix *f = *state;
    uint64_t    slow;

    assert_int_equal(ask(f, 1, OSP_NON), OSP_EV_REQUEST);
    slow = f->ev.handle;
    idle_for(f, OSP_SEC(100));
    serve(f, 2, OSP_NON, 4);
    f->ev.handle = slow;
    answer(f, 4);
    assert_int_equal(ask(f, 1, OSP_NON), OSP_EV_NONE);
    idle_for(f, OSP_SEC(45));
    assert_int_equal(ask(f, 1, OSP_NON), OSP_EV_REQUEST);
    assert_int_equal(ask(f, 2, OSP_NON), OSP_EV_NONE);
}

/* No datagram has to come for that. */
static void
entries_end_on_a_timer(void **state)
{
    struct fix *f = *state;

    for (uint32_t i = 0; i < 20000; i++)
        serve(f, i, i % 2 ? OSP_CON : OSP_NON, 100);
    idle_for(f, OSP_SEC(144));
    assert_int_equal(osp_ep_stats(f->ep)->messages, 20000);
    idle_for(f, OSP_SEC(2));
    assert_int_equal(osp_ep_stats(f->ep)->messages, 10000);
    idle_for(f, OSP_SEC(102));
    assert_int_equal(osp_ep_stats(f->ep)->messages, 0);
    assert_int_equal(f->pool.used, 0);
    assert_false(osp_ep_deadline(f->ep, &f->now));
}

/* [rfc7252#4.4] a client that uses a Message ID too early has a new request all the same */
static void
message_id_with_another_token_is_another_request(void **state)
{
    struct fix *f = *state;

    for (uint8_t type = OSP_CON; type <= OSP_NON; type++) {
        assert_int_equal(ask_with(f, 7 + type, type, "one"), OSP_EV_REQUEST);
        assert_int_equal(ask_with(f, 7 + type, type, "two"), OSP_EV_REQUEST);       /* the first is still open */
        answer(f, 4);
        assert_int_equal(ask_with(f, 7 + type, type, "two"), OSP_EV_NONE);
        assert_int_equal(ask_with(f, 7 + type, type, "one"), OSP_EV_NONE);
        assert_int_equal(ask_with(f, 7 + type, type, ""), OSP_EV_REQUEST);          /* the second is finished */
        assert_int_equal(ask_with(f, 7 + type, type, "onetwothreefour"), OSP_EV_REQUEST);
    }
}

/* ---- memory ---- */

static void
answered_non_takes_64_bytes_at_most(void **state)
{
    struct fix *f = *state;

    for (uint32_t i = 0; i < 100000; i++)
        serve(f, i, OSP_NON, PAYLOAD);
    assert_int_equal(osp_ep_stats(f->ep)->messages, 100000);
    assert_true(f->pool.used / 100000 + 2 * sizeof(void *) <= 64);      /* and its place in the table */
}

/* More than the pool holds: everything is served, and memory is flat. */
static void
used_up_pool_evicts_what_was_finished_first(void **state)
{
    static const struct { uint8_t type; size_t payload; } kinds[] = { { OSP_CON, PAYLOAD }, { OSP_NON, 4 }, { OSP_CON, 4 } };
    struct fix *f = *state;
    uint32_t    i = 0;

    restart_with(f, (size_t)2 << 20);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (uint32_t n = 0; n < 100000; n++) {
            serve(f, i++, kinds[k].type, kinds[k].payload);
            f->now.us += 100;
        }
        assert_true(f->pool.chunk_bytes <= (size_t)2 << 20);
        assert_int_equal(ask(f, i - 1, kinds[k].type), OSP_EV_NONE);    /* the newest is there */
        assert_int_equal(ask(f, i - 500, kinds[k].type), OSP_EV_NONE);
        assert_true(osp_ep_stats(f->ep)->dedup_evicted > k * 50000);
        assert_true(osp_ep_stats(f->ep)->dedup_span_us < OSP_SEC(10));
    }
    assert_int_equal(osp_ep_stats(f->ep)->dropped[OSP_E_OVERLOAD], 0);
    idle_for(f, OSP_SEC(300));
    assert_int_equal(f->pool.used, 0);
    assert_int_equal(ask(f, 1, OSP_NON), OSP_EV_REQUEST);
    assert_int_equal(osp_ep_stats(f->ep)->dedup_span_us, f->cfg.exchange_lifetime_us);
}

/* What is finished gives way to whatever else needs memory, in blocks of any size. */
static void
store_gives_memory_back_to_others(void **state)
{
    struct fix *f = *state;
    void       *blocks[8];

    restart_with(f, (size_t)2 << 20);
    for (uint32_t i = 0; i < 100000; i++) {
        serve(f, i, i % 2 ? OSP_CON : OSP_NON, i % 3 * 200);
        f->now.us += 100;
    }
    for (size_t i = 0; i < 8; i++)
        assert_non_null(blocks[i] = osp_pool_get(&f->pool, 70000));
    assert_int_equal(ask(f, 99999, OSP_CON), OSP_EV_NONE);
    for (size_t i = 0; i < 8; i++)
        osp_pool_put(&f->pool, blocks[i], 70000);
}

/* Nothing is left to evict: what is open stays, and the answer of a CON that cannot be kept is not sent. */
static void
without_memory_open_requests_stay(void **state)
{
    struct fix    *f = *state;
    struct osp_msg m;
    uint64_t       first;
    uint32_t       open = 0;

    restart_with(f, OSP_POOL_CHUNK);
    assert_int_equal(ask(f, open++, OSP_CON), OSP_EV_REQUEST);
    first = f->ev.handle;
    while (ask(f, open, OSP_CON) == OSP_EV_REQUEST)
        open++;
    assert_int_equal(osp_ep_stats(f->ep)->dropped[OSP_E_OVERLOAD], 1);
    osp_msg_init(&m, OSP_CODE(2, 4));
    m.payload = osp_slice(payload, PAYLOAD);
    EXPECT_ERR(OSP_E_NOMEM, osp_ep_respond(f->ep, first, &m, (struct osp_respond){ 0 }, f->now, &f->tx));
    osp_ep_dismiss(f->ep, first, true, f->now, &f->tx);
    EXPECT_ERR(OSP_E_INVALID, osp_ep_respond(f->ep, first, &m, (struct osp_respond){ 0 }, f->now, &f->tx));
    assert_int_equal(ask(f, 1, OSP_CON), OSP_EV_NONE);          /* the others are still there */
    assert_int_equal(osp_ep_stats(f->ep)->messages, open - 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_defaults, teardown)
    const struct CMUnitTest tests[] = {
        T(entry_past_its_lifetime_never_matches),
        T(late_answer_does_not_make_the_lifetime_longer),
        T(entries_end_on_a_timer),
        T(message_id_with_another_token_is_another_request),
        T(answered_non_takes_64_bytes_at_most),
        T(used_up_pool_evicts_what_was_finished_first),
        T(store_gives_memory_back_to_others),
        T(without_memory_open_requests_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
