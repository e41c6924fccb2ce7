/* SPDX-License-Identifier: BSD-2-Clause */
/* Message_3 of the Initiator together with the first request, in virtual time [rfc9668#3.2]. */
#include "initiator_world.h"

/* ---- message_3 with a request [rfc9668#3.2] ---- */

/* row X06 (partly: as the client) */
static void
initiator_sends_message_3_with_the_first_request(void **state)
{
    (void)state;
    hop.combined = true;
    for (unsigned i = 20; i < 30; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(10, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.combined);
    assert_int_equal(1, origin.m3);
    assert_int_equal(10, origin.requests);
    assert_int_equal(1, w.kept);
    assert_int_equal(1, w.agreed[OSP_OK]);
    assert_int_equal(1, osp_octx_runtime_count(w.runtime));
}

/* Nobody uses the context before the other side has it; a copy of the request is a copy of message_3. */
static void
initiator_lets_others_wait_for_the_combined_request(void **state)
{
    (void)state;
    hop.combined = true;
    origin.lose = 2;                    /* the combined request */
    send_request(20, "x");
    send_request(21, "x");
    go();
    assert_int_equal(0, origin.requests);
    assert_int_equal(0, osp_octx_runtime_count(w.runtime));
    ask(22);
    assert_int_equal(0, origin.requests);
    run(OSP_SEC(60));
    expect_answers(3, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.combined);
    assert_int_equal(3, origin.requests);
}

/* [rfc7252#5.4.1] in the same session */
static void
initiator_sends_message_3_alone_where_it_has_to(void **state)
{
    (void)state;
    hop.combined = true;
    origin.knows_no_option = true;
    for (unsigned i = 20; i < 25; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(5, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.m3);
    assert_int_equal(1, origin.combined);
    assert_int_equal(1, w.kept);
    assert_true(origin.lowest > origin.carried);        /* [rfc8613#7.2.1] the same keys: no number twice */
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    run(OSP_SEC(11));
    ask(20);                            /* and it is remembered */
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
    assert_int_equal(1, origin.combined);
}

/* What might have been executed is not sent again for a 4.02 in the clear; message_3 goes on. */
static void
initiator_does_not_repeat_the_request_of_message_3(void **state)
{
    (void)state;
    hop.combined = true;
    origin.knows_no_option = true;
    send_with(20, OSP_POST, "x", NOTHING);
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m3);
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* [rfc9668#3.3.1] message_3 was refused, or nothing came back, or nothing that verifies: the run has failed for all. */
static void
initiator_ends_a_run_with_its_combined_request(void **state)
{
    for (int how = 0; how < 3; how++) {
        initiator_again(state);
        w.policy.response_timeout_us = OSP_SEC(50);
        hop.combined = true;
        if (how == 0) {
            origin.peer.cred = other.own.cred;
            EXPECT_OK(osp_edhoc_peers_init(&origin.trusted, &origin.peer, 1));
        }
        origin.dies_after_1 = how == 1;
        origin.garbles_answer = how == 2;
        send_request(20, "x");
        send_request(21, "x");
        run(OSP_SEC(60));
        for (unsigned i = 20; i < 22; i++) {
            assert_int_equal(1, answers[i]);
            assert_int_equal(5, OSP_CODE_CLASS(last_code[i]));
            answers[i] = 0;
        }
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_runtime_count(w.runtime));
        assert_int_equal(0, w.agreed[OSP_OK]);
        origin_init(&plant);
        run(OSP_SEC(11));
        ask_for(OSP_CODE(2, 5), "hello");
    }
}

/* Where nobody can carry it: observers, and layers of others. */
static void
initiator_sends_message_3_alone_for_an_observer(void **state)
{
    (void)state;
    hop.combined = true;
    send_with(20, OSP_GET, "x", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(0, origin.combined);
    assert_int_equal(1, origin.m3);
    osp_proxy_abort_all(w.px, w.now);
    osp_txq_reset(&w.tx);
}

/* [rfc9668#3.2.2] nor does a request that fits a datagram only by itself */
static void
initiator_sends_message_3_alone_for_a_long_request(void **state)
{
    static uint8_t long_one[250];

    (void)initiator_teardown(state);
    datagram = 400;
    (void)initiator_setup(state);
    datagram = 0;
    hop.combined = true;
    body = osp_slice(long_one, sizeof(long_one));
    send_with(20, OSP_PUT, "x", NOTHING);
    body = OSP_EMPTY;
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(0, origin.combined);
    assert_int_equal(1, origin.m3);
    assert_int_equal(1, origin.requests);
}

static void
initiator_ends_a_combined_request_with_the_proxy(void **state)
{
    (void)state;
    hop.combined = true;
    origin.dies_after_1 = true;
    send_request(20, "x");
    send_request(21, "x");
    go();
    osp_proxy_abort_all(w.px, w.now);
    osp_txq_reset(&w.tx);
    assert_true(osp_proxy_idle(w.px));
    assert_int_equal(0, osp_octx_runtime_count(w.runtime));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, initiator_setup, initiator_teardown)
    const struct CMUnitTest tests[] = {
        T(initiator_sends_message_3_with_the_first_request),
        T(initiator_lets_others_wait_for_the_combined_request),
        T(initiator_sends_message_3_alone_where_it_has_to),
        T(initiator_does_not_repeat_the_request_of_message_3),
        T(initiator_ends_a_run_with_its_combined_request),
        T(initiator_sends_message_3_alone_for_an_observer),
        T(initiator_ends_a_combined_request_with_the_proxy),
        T(initiator_sends_message_3_alone_for_a_long_request),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
