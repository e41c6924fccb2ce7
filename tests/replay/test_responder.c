/* SPDX-License-Identifier: BSD-2-Clause */
/* The Responder of EDHOC in the proxy: whole sessions, combined requests, repetitions, errors, messages in blocks. */
#include "responder_world.h"

#include <stdio.h>

#include "msg/block.h"

/* ---- whole sessions ---- */

/* row X01 */
static void
every_method_and_suite_makes_keys_that_work(void **state)
{
    struct client c;

    (void)state;
    world_start(&w);
    for (int m4 = 0; m4 < 2; m4++) {
        w.edhoc.profile.has_message_4 = m4;
        for (uint8_t method = 0; method < 4; method++) {
            for (int64_t suite = 0; suite <= 2; suite += 2) {
                begin(&c, method, suite, "I");
                assert_false(is_live(&c));      /* nobody has proven anything yet */
                finish(&c);
                assert_true(is_live(&c));
                assert_true(passes(&c));
                assert_int_equal(LABEL(method & 2 ? (suite == 2 ? P256 : X25519) : suite == 2 ? P256 : ED25519),
                                 osp_octx_label(w.made[w.made_count - 1]->octx));
                client_fini(&c);
            }
        }
    }
    assert_int_equal(16, w.kept);
}

/* row X02 X03 X04 */
static void
message_1_that_cannot_be_served_is_answered_and_leaves_nothing(void **state)
{
    struct client          c;
    struct osp_msg         resp;
    struct osp_edhoc_error e;

    (void)state;
    world_start(&w);
    client_init(&c, 3, 6, osp_slice_str("I"));
    assert_int_equal(OSP_CODE(4, 0), send_1(&c, OSP_EMPTY, &resp));
    expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_SUITE);
    EXPECT_OK(osp_edhoc_read_error(resp.payload, &e));
    assert_int_equal(2, e.suites_r.count);
    client_fini(&c);
    w.edhoc.profile.methods = 1;
    client_init(&c, 3, 2, osp_slice_str("I"));
    (void)send_1(&c, OSP_EMPTY, &resp);
    expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
    c.n1--;
    (void)send_1(&c, OSP_EMPTY, &resp);
    expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
    client_fini(&c);
    assert_int_equal(0, sessions().unfinished);
    assert_int_equal(3, sessions().failed);
}

/* row X05 [rfc9668#4.1.2]: the pool of one byte has 48 values, so the Initiator's choice is among them */
static void
c_r_is_never_taken_twice(void **state)
{
    static bool    used[256];
    struct client  c;
    struct osp_msg resp;
    char           c_i[2] = "";
    char           rid[3];

    (void)state;
    again(1100, 1100);
    for (int i = 0; i < 8; i++) {
        snprintf(rid, sizeof(rid), "%02x", i);
        (void)world_context(&w, "000102030405060708090a0b0c0d0e0f", "", "d4", rid, 0);
    }
    world_start(&w);
    memset(used, 0, sizeof(used));
    for (int i = 0; i < 1000; i++) {
        struct osp_slice c_r;

        c_i[0] = (char)(1 + i % 23);
        client_init(&c, 3, 0, osp_slice_str(c_i));
        c.from = host((uint8_t)(i % 8));
        assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));
        EXPECT_OK(osp_edhoc_take_message_2(&c.s, resp.payload, NULL));
        c_r = osp_edhoc_c_r(&c.s);
        assert_false(osp_slice_eq(c_r, osp_slice_str(c_i)));
        assert_false(osp_octx_configured_has_id(w.table, c_r));
        assert_int_equal(OSP_E_EXISTS, osp_octx_runtime_reserve(w.runtime, c_r));
        if (c_r.n == 1) {
            assert_false(used[c_r.p[0]]);
            used[c_r.p[0]] = true;
        }
        if (i == 100)           /* a reload brought another context */
            (void)world_context(&w, "000102030405060708090a0b0c0d0e0f", "", "d4", "2100", 0);
        client_fini(&c);
        world_run(&w, OSP_MS(1));
    }
    assert_int_equal(1000, sessions().unfinished);
}

/* ---- combined requests ---- */

/* row X06 */
static void
combined_request_is_message_3_and_the_first_request(void **state)
{
    struct client c;

    (void)state;
    world_start(&w);
    for (uint8_t method = 0; method < 4; method++) {
        begin(&c, method, 2, "I");
        derive(&c);
        assert_true(passes_with(&c, m3_of(&c)));
        assert_true(passes(&c));
        client_fini(&c);
    }
    assert_int_equal(4, sessions().completed);
    assert_int_equal(4, w.kept);
}

/* row X09: a copy of the request is not executed, another request beside the same message_3 is; one context in all */
static void
repeated_combined_request_makes_no_second_context(void **state)
{
    struct osp_layer l = { 0 };
    struct client    c;
    struct osp_msg   m, out, resp;
    uint8_t          buf[1024], both[2048];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf)), d = osp_wr_to(both, sizeof(both));

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    derive(&c);
    world_get(&m);
    world_protect(edhoc_crypto, c.octx, &m, &b, &out, &l);
    osp_wr_put(&d, m3_of(&c));
    osp_wr_put(&d, out.payload);
    out.payload = osp_wr_slice(&d);
    EXPECT_OK(osp_msg_add(&out, OSP_OPT_EDHOC, OSP_EMPTY));
    send_from(&c.from, &out);
    assert_true(origin_answers());
    assert_int_equal(OSP_CODE(2, 4), told(&resp));
    out.token = osp_slice_str("other");
    send_from(&c.from, &out);           /* a new MID and a new Token: a replay [rfc8613#7.4] */
    assert_false(origin_answers());
    assert_int_equal(OSP_CODE(4, 1), told(&resp));
    assert_true(passes_with(&c, m3_of(&c)));
    assert_int_equal(1, sessions().completed);
    assert_int_equal(2, sessions().duplicates);
    assert_int_equal(1, w.kept);
    assert_int_equal(1, osp_octx_runtime_count(w.runtime));
    osp_layer_fini(&l);
    client_fini(&c);
}

/* row X07 X08 */
static void
combined_request_that_fails_leaves_no_context(void **state)
{
    struct osp_layer l = { 0 };
    struct client    c;
    struct osp_msg   m, resp;
    uint8_t          bad[OSP_EDHOC_MESSAGE_MAX];

    (void)state;
    world_start(&w);
    edhoc_request(&m, OSP_EMPTY);               /* without OSCORE */
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_EDHOC, OSP_EMPTY));
    send_from(&(struct osp_addr){ .ip = osp_ip_v4(192, 0, 2, 1), .port = 40000 }, &m);
    assert_int_equal(OSP_CODE(4, 0), told(&resp));
    for (int what = 0; what < 3; what++) {
        begin(&c, 3, 2, "I");
        derive(&c);
        memcpy(bad, c.m3, c.n3);
        if (what == 0)
            bad[0] = 0xf5;                      /* no byte string: the session is not touched */
        else
            bad[c.n3 - 1] ^= 1;
        w.edhoc.profile.has_message_4 = what == 2;
        world_get(&m);
        send_protected(&c, &m, osp_slice(bad, c.n3), &l);
        osp_layer_fini(&l);
        assert_int_equal(OSP_CODE(4, 0), told(&resp));
        if (what > 0)
            expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
        assert_false(is_live(&c));
        assert_int_equal(what == 0, passes_with(&c, m3_of(&c)));
        w.out_count = 0;
        client_fini(&c);
    }
    assert_int_equal(1, w.kept);
}

/* Good message_3, bad request: the context is there, and the request has no effect. */
static void
bad_request_behind_a_good_message_3(void **state)
{
    struct osp_layer l = { 0 };
    struct client    c;
    struct osp_msg   m, resp;
    uint8_t          both[OSP_EDHOC_MESSAGE_MAX + 64];
    struct osp_wr    d = osp_wr_to(both, sizeof(both));

    (void)state;
    world_start(&w);
    begin(&c, 0, 0, "I");
    derive(&c);
    osp_wr_put(&d, m3_of(&c));
    osp_wr_put(&d, osp_slice_str("garbage that nobody sealed"));
    world_get(&m);
    send_protected(&c, &m, osp_wr_slice(&d), &l);
    osp_layer_fini(&l);
    assert_int_equal(OSP_CODE(4, 0), told(&resp));
    assert_true(is_live(&c));
    assert_true(passes(&c));
    client_fini(&c);
}

/* ---- message_3 ---- */

/* row X08: whatever was changed, the answer is an error in the clear and there is no context */
static void
message_3_with_any_byte_changed_ends_the_session(void **state)
{
    struct client  c;
    struct osp_msg resp;
    size_t         len = 1;

    (void)state;
    world_start(&w);
    for (size_t at = 0; at < len; at++) {
        begin(&c, 3, 2, "I");
        len = c.n3;
        c.m3[at] ^= 1;
        (void)send_3(&c, m3_of(&c), &resp);
        expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
        assert_false(is_live(&c));
        c.m3[at] ^= 1;
        (void)send_3(&c, m3_of(&c), &resp);     /* the right one comes too late */
        expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
        client_fini(&c);
    }
    assert_true(len > 10);
    assert_int_equal(0, w.kept);
    assert_int_equal(0, sessions().unfinished);
}

/* row X09 */
static void
messages_that_come_twice_are_processed_once(void **state)
{
    struct client  c;
    struct osp_msg first, resp;
    uint8_t        copy[512];

    (void)state;
    w.edhoc.profile.has_message_4 = true;
    world_start(&w);
    client_init(&c, 3, 2, osp_slice_str("I"));
    assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &first));
    assert_true(osp_slice_copy(first.payload, copy, sizeof(copy)));
    for (int i = 0; i < 3; i++) {               /* new MIDs */
        assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));
        EXPECT_BYTES(osp_slice(copy, resp.payload.n), resp.payload);
    }
    assert_int_equal(1, sessions().started);
    assert_int_equal(1, sessions().unfinished);
    go_on(&c, &resp);
    assert_int_equal(OSP_CODE(2, 4), send_3(&c, m3_of(&c), &first));
    assert_true(first.payload.n > 0 && osp_slice_copy(first.payload, copy, sizeof(copy)));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(OSP_CODE(2, 4), send_3(&c, m3_of(&c), &resp));
        EXPECT_BYTES(osp_slice(copy, resp.payload.n), resp.payload);
    }
    c.m3[c.n3 - 1] ^= 1;                        /* another one: refused, and nothing is lost */
    assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
    EXPECT_OK(osp_edhoc_take_message_4(&c.s, osp_slice(copy, first.payload.n), NULL));
    derive(&c);
    assert_true(passes(&c));
    assert_int_equal(1, sessions().completed);
    assert_int_equal(6, sessions().duplicates);
    assert_int_equal(1, w.kept);
    assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));     /* it is over: this begins another one */
    assert_int_equal(2, sessions().started);
    assert_int_equal(6, sessions().duplicates);
    client_fini(&c);
}

/* Message_3 has to come from where message_1 did, and the wrong one does not hurt the session. */
static void
session_is_not_reached_from_another_address(void **state)
{
    struct client  c;
    struct osp_msg resp;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    c.from = host(2);
    assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
    assert_false(is_live(&c));
    c.from = host(1);
    c.from.port++;                      /* another port is: the same host behind a NAT */
    finish(&c);
    assert_true(passes(&c));
    client_fini(&c);
}

static void
session_ends_at_its_time(void **state)
{
    struct client  c, d;
    struct osp_msg resp;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    world_run(&w, OSP_SEC(SESSION_S) - OSP_MS(1));
    begin(&d, 3, 2, "J");
    world_run(&w, OSP_MS(1));
    assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
    assert_int_equal(1, sessions().expired);
    finish(&d);
    EXPECT_OK(osp_octx_runtime_reserve(w.runtime, osp_slice(c.c_r.bytes, c.c_r.len)));  /* it was given back */
    osp_octx_runtime_release(w.runtime, osp_slice(c.c_r.bytes, c.c_r.len));
    client_fini(&c);
    client_fini(&d);
}

/* The Initiator gives up: a session on its way ends, a complete one does not. */
static void
error_message_ends_what_is_not_complete(void **state)
{
    struct client  c, d;
    struct osp_msg resp;
    uint8_t        error[64];
    struct osp_wr  e = osp_wr_to(error, sizeof(error));

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    begin(&d, 3, 2, "J");
    finish(&c);
    EXPECT_OK(osp_edhoc_put_error(&e, OSP_E_EDHOC_AUTH));
    assert_int_equal(OSP_CODE(2, 4), send_3(&c, osp_wr_slice(&e), &resp));
    assert_int_equal(OSP_CODE(2, 4), send_3(&d, osp_wr_slice(&e), &resp));
    assert_int_equal(0, resp.payload.n);
    assert_true(passes(&c));
    assert_int_equal(OSP_CODE(4, 0), send_3(&d, m3_of(&d), &resp));
    assert_int_equal(1, w.kept);
    client_fini(&c);
    client_fini(&d);
}

/* ---- messages in blocks ---- */

static uint8_t
send_block(const struct client *c, struct osp_slice all, uint32_t num, struct osp_msg *resp)
{
    struct osp_block b = { num, all.n > (num + 1) * 16u, 0 };
    struct osp_msg   m;
    uint8_t          value[4];

    edhoc_request(&m, osp_slice_head(osp_slice_tail(all, num * 16u), 16));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK1, osp_block_make(&b, value)));
    send_from(&c->from, &m);
    return told(resp);
}

/* [rfc9528#A.2] [rfc7959#2.3]: as long messages may come, with chains of certificates in them */
static void
messages_in_blocks_are_put_together(void **state)
{
    struct client  c;
    struct osp_msg resp;
    uint8_t        bytes[2][OSP_EDHOC_MESSAGE_MAX + 16];
    struct osp_wr  d1 = osp_wr_to(bytes[0], sizeof(bytes[0])), d3 = osp_wr_to(bytes[1], sizeof(bytes[1]));

    (void)state;
    world_start(&w);
    client_init(&c, 0, 2, osp_slice_str("I"));
    osp_wr_u8(&d1, 0xf5);
    osp_wr_put(&d1, m1_of(&c));
    assert_int_equal(OSP_CODE(4, 8), send_block(&c, osp_wr_slice(&d1), 1, &resp));
    for (uint32_t i = 0; i * 16 < d1.n; i++)
        assert_int_equal((i + 1) * 16 < d1.n ? OSP_CODE(2, 31) : OSP_CODE(2, 4), send_block(&c, osp_wr_slice(&d1), i, &resp));
    assert_true(osp_msg_has(&resp, OSP_OPT_BLOCK1));
    for (struct osp_block b = { 0, false, 0 }; osp_msg_has(&resp, OSP_OPT_BLOCK2);) {   /* in blocks, as it was asked */
        static uint8_t   whole[512];
        static size_t    n;
        struct osp_block got;
        struct osp_msg   m;
        uint8_t          value[3];
        bool             has;

        EXPECT_OK(osp_block_get(&resp, OSP_OPT_BLOCK2, &has, &got));
        n = got.num == 0 ? 0 : n;
        assert_true(osp_slice_copy(resp.payload, whole + n, sizeof(whole) - n));
        n += resp.payload.n;
        resp.payload = osp_slice(whole, n);
        if (!got.more)
            break;
        edhoc_request(&m, OSP_EMPTY);
        b.num = got.num + 1;
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
        send_from(&c.from, &m);
        assert_int_equal(OSP_CODE(2, 4), told(&resp));
    }
    go_on(&c, &resp);
    osp_edhoc_cid_put(&d3, osp_slice(c.c_r.bytes, c.c_r.len));
    osp_wr_put(&d3, m3_of(&c));
    for (uint32_t i = 0; i * 16 < d3.n; i++)
        assert_int_equal((i + 1) * 16 < d3.n ? OSP_CODE(2, 31) : OSP_CODE(2, 4), send_block(&c, osp_wr_slice(&d3), i, &resp));
    derive(&c);
    assert_true(passes(&c));
    client_fini(&c);
}

#define T(test) cmocka_unit_test_setup_teardown(test, responder_setup, responder_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_method_and_suite_makes_keys_that_work),
        T(message_1_that_cannot_be_served_is_answered_and_leaves_nothing),
        T(c_r_is_never_taken_twice),
        T(combined_request_is_message_3_and_the_first_request),
        T(repeated_combined_request_makes_no_second_context),
        T(combined_request_that_fails_leaves_no_context),
        T(bad_request_behind_a_good_message_3),
        T(message_3_with_any_byte_changed_ends_the_session),
        T(messages_that_come_twice_are_processed_once),
        T(session_is_not_reached_from_another_address),
        T(session_ends_at_its_time),
        T(error_message_ends_what_is_not_complete),
        T(messages_in_blocks_are_put_together),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
