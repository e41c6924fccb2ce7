/* SPDX-License-Identifier: BSD-2-Clause */
/* The bounds of the Responder of EDHOC, in virtual time: how many sessions, whose, how long, and a flood of message_1. */
#include "responder_world.h"

#include <malloc.h>

/* ---- bounds and load ---- */

/* At the bound finished sessions go first: what they made is kept elsewhere.  Then the oldest. */
static void
sessions_are_bounded_and_the_oldest_go(void **state)
{
    struct client  c[6];
    struct osp_msg resp;
    const char    *ids[] = { "a", "b", "c", "d", "e", "f" };

    (void)state;
    again(4, 100);
    world_start(&w);
    for (int i = 0; i < 6; i++) {
        begin(&c[i], 3, 2, ids[i]);
        if (i == 2)
            finish(&c[2]);
        world_run(&w, OSP_MS(10));
    }
    assert_int_equal(4, sessions().unfinished + sessions().finished);
    assert_int_equal(2, sessions().evicted);
    assert_true(passes(&c[2]));
    assert_int_equal(OSP_CODE(4, 0), send_3(&c[0], m3_of(&c[0]), &resp));
    for (int i = 1; i < 6; i++) {
        if (i != 2) {
            finish(&c[i]);
            assert_true(passes(&c[i]));
        }
    }
    for (int i = 0; i < 6; i++)
        client_fini(&c[i]);
}

/* row X10 [rfc9528#9.7]: one address that begins and begins displaces its own sessions, and nobody else's */
static void
one_address_has_its_share_of_sessions(void **state)
{
    struct client  slow, busy[20];
    struct osp_msg resp;
    char           id[3] = "00";

    (void)state;
    again(16, 100);
    world_start(&w);
    begin(&slow, 3, 2, "s");
    for (int i = 0; i < 20; i++) {
        id[0] = (char)('A' + i);
        client_init(&busy[i], 3, 2, osp_slice(id, 2));
        busy[i].from = host(2);
        assert_int_equal(OSP_CODE(2, 4), send_1(&busy[i], OSP_EMPTY, &resp));
        world_run(&w, OSP_MS(10));
    }
    assert_int_equal(1 + 15, sessions().unfinished);
    assert_int_equal(5, sessions().evicted);
    finish(&slow);
    assert_true(passes(&slow));
    client_fini(&slow);
    for (int i = 0; i < 20; i++)
        client_fini(&busy[i]);
}

/* [rfc9175#2.3] [rfc9528#9.7] an Echo counts for its address and for a minute */
static void
echo_is_for_one_address_and_one_minute(void **state)
{
    struct client         c;
    struct osp_msg        resp;
    uint8_t               value[16];
    const struct osp_opt *o;
    size_t                n;

    (void)state;
    again(64, 0);
    world_start(&w);
    client_init(&c, 3, 2, osp_slice_str("I"));
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, OSP_EMPTY, &resp));
    o = osp_msg_get(&resp, OSP_OPT_ECHO);
    assert_non_null(o);
    n = o->val.n;
    assert_true(osp_slice_copy(o->val, value, sizeof(value)));
    assert_int_equal(0, sessions().started);
    c.from = host(2);
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n), &resp));
    c.from = host(1);
    value[n - 1] ^= 1;
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n), &resp));
    value[n - 1] ^= 1;
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n - 1), &resp));
    world_run(&w, OSP_SEC(60));
    assert_int_equal(OSP_CODE(2, 4), send_1(&c, osp_slice(value, n), &resp));
    go_on(&c, &resp);
    finish(&c);
    assert_true(passes(&c));
    client_fini(&c);
    client_init(&c, 3, 2, osp_slice_str("J"));
    world_run(&w, OSP_SEC(1));
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n), &resp));
    client_fini(&c);
}

static void
begin_with_echo(struct client *c, const char *c_i)
{
    struct osp_msg        resp;
    uint8_t               value[16];
    const struct osp_opt *o;

    client_init(c, 3, 2, osp_slice_str(c_i));
    assert_int_equal(OSP_CODE(4, 1), send_1(c, OSP_EMPTY, &resp));
    o = osp_msg_get(&resp, OSP_OPT_ECHO);
    assert_true(o && osp_slice_copy(o->val, value, sizeof(value)));
    assert_int_equal(OSP_CODE(2, 4), send_1(c, osp_slice(value, o->val.n), &resp));
    go_on(c, &resp);
}

/* row X10: 10^5 message_1 from addresses that cannot answer, most of them copies of a few keys, all different */
static void
flood_of_message_1_takes_no_memory_and_stops_nobody(void **state)
{
    struct client          good, c;
    struct osp_msg         resp;
    struct osp_proxy_stats px;
    size_t                 pool = 0, heap = 0;
    char                   c_i[5] = "";

    (void)state;
    again(64, 16);
    world_start(&w);
    begin(&good, 3, 2, "I");
    finish(&good);
    client_init(&c, 3, 2, osp_slice_str("abcd"));
    for (uint32_t i = 0; i < 100000; i++) {
        c.from.ip = osp_ip_v4(198, 51, (uint8_t)(i >> 8), (uint8_t)i);
        c.from.port = (uint16_t)(1024 + (i >> 16));
        for (int k = 0; k < 4; k++)
            c_i[k] = (char)(1 + (i >> 4 * k) % 16);
        assert_true(osp_slice_copy(osp_slice(c_i, 4), c.m1 + c.n1 - 4, 4));
        (void)send_1(&c, OSP_EMPTY, &resp);
        assert_true(resp.code == OSP_CODE(4, 1) || resp.code == OSP_CODE(2, 4));
        assert_int_equal(resp.code == OSP_CODE(4, 1), osp_msg_has(&resp, OSP_OPT_ECHO));
        assert_true(sessions().unfinished <= 16);
        if (i % 1000 == 999) {
            assert_true(passes(&good));
            world_run(&w, OSP_SEC(1));
        }
        if (i % 20000 == 19999) {
            osp_proxy_stats(w.px, &px);
            if (i > 50000) {                    /* later than anything of before is kept */
                assert_true(px.pool_used <= pool);
                assert_true(mallinfo2().uordblks <= heap + 65536);
            }
            pool = px.pool_used > pool ? px.pool_used : pool;
            heap = mallinfo2().uordblks > heap ? mallinfo2().uordblks : heap;
        }
    }
    assert_true(sessions().verified > 90000);
    assert_true(sessions().expired > 0);
    client_fini(&c);
    begin_with_echo(&c, "J");                   /* who hears us gets through */
    finish(&c);
    assert_true(passes(&c));
    client_fini(&c);
    world_run(&w, OSP_SEC(SESSION_S));
    begin(&c, 3, 2, "K");                       /* the flood's sessions are gone */
    client_fini(&c);
    client_fini(&good);
}

/* ---- messages in blocks ---- */

#define T(test) cmocka_unit_test_setup_teardown(test, responder_setup, responder_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(sessions_are_bounded_and_the_oldest_go),
        T(one_address_has_its_share_of_sessions),
        T(echo_is_for_one_address_and_one_minute),
        T(flood_of_message_1_takes_no_memory_and_stops_nobody),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
