/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Initiator of EDHOC towards next hops, in virtual time: its sessions, and the requests that wait for them.  Every request is
 * answered once, whatever becomes of the session.
 */
#include "initiator_world.h"

static void
initiator_makes_a_context_when_it_is_needed(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 5; i++)
        ask((uint8_t)(20 + i));
    expect_answers(5, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.m3);
    assert_int_equal(5, origin.requests);
    assert_int_equal(1, w.kept);
    assert_int_equal(1, w.agreed[OSP_OK]);
}

static void
initiator_lets_requests_wait_for_one_run(void **state)
{
    (void)state;
    for (unsigned i = 20; i < 120; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(100, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* Message_1 is lost, then message_3. */
static void
initiator_survives_loss(void **state)
{
    for (int lost = 1; lost <= 2; lost++) {
        initiator_again(state);
        origin.lose = lost;
        ask(20);
        run(OSP_SEC(60));
        expect_answers(1, OSP_CODE(2, 5), "hello");
        assert_int_equal(1, origin.m3);
    }
}

/* [rfc9528#6.3] */
static void
initiator_negotiates_the_suite(void **state)
{
    (void)state;
    origin.profile.suites = (struct osp_edhoc_suites){ { 3 }, 1 };
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
    initiator_again(state);
    origin.profile.suites = (struct osp_edhoc_suites){ { 0 }, 1 };     /* none of ours */
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
}

/* [rfc9175#2.3] */
static void
initiator_answers_an_echo_once(void **state)
{
    (void)state;
    origin.wants_echo = true;
    ask_for(OSP_CODE(5, 2), "");      /* with message_3 too: one Echo is enough for a run */
    initiator_again(state);
    origin.wants_echo = true;
    send_request(20, "x");
    for (unsigned i = 0; i < 10 && origin.m1 == 0; i++) {
        struct world_out o;
        struct osp_msg   m;
        bool             header;

        assert_true(world_take(&w, &o));
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &m, &header));
        on_edhoc(&m);
    }
    origin.wants_echo = false;
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* Trusted, but somebody else; and nothing is tried again for a while. */
static void
initiator_insists_on_whom_it_means(void **state)
{
    (void)state;
    origin_init(&other);
    for (uint8_t i = 0; i < 5; i++)
        ask((uint8_t)(20 + i));
    expect_answers(5, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
    assert_int_equal(0, origin.m3);
    assert_int_equal(1, origin.errors);         /* [rfc9528#5.3.3] it is told */
    assert_int_equal(1, w.agreed[OSP_E_EDHOC_NAME]);    /* and so is the operator, once */
    assert_int_equal(0, w.agreed[OSP_OK]);
    assert_int_equal(0, origin.requests);
    assert_int_equal(0, w.kept);
    origin_init(&plant);
    run(OSP_SEC(11));
    ask_for(OSP_CODE(2, 5), "hello");
}

/* row X12: for several hosts a credential has to have the name of the one that the request goes to [rfc9528#D.2] */
static void
initiator_wants_the_name_of_the_host(void **state)
{
    static const char *const hosts[] = { "unknown", "S.Example", "t.example" };
    static uint8_t           both[1] = { 6 };

    (void)state;
    hop.credentials = both;
    hop.named = false;
    ask(20);                                    /* trusted, but as "plant" */
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, w.agreed[OSP_E_EDHOC_NAME]);
    assert_int_equal(1, origin.errors);
    w.edhoc.names = hosts;
    run(OSP_SEC(11));
    ask_for(OSP_CODE(2, 5), "hello");
    to_host = "t.example";                      /* at the same address: what was made for the other name is not for this one */
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(2, w.agreed[OSP_E_EDHOC_NAME]);
    origin_init(&other);                        /* and now the one that is called so is there */
    run(OSP_SEC(11));
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(2, w.agreed[OSP_OK]);
}

/* row X12 */
static void
initiator_wants_the_name_in_the_configuration(void **state)
{
    static uint8_t both[1] = { 6 };

    (void)state;
    hop.credentials = both;
    hop.subject = "oth?r";                      /* also where the credential is meant for this leg */
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(1, w.agreed[OSP_E_EDHOC_NAME]);
    hop.subject = "pla*";
    ask(20);                                    /* another purpose: it waits for no pause */
    expect_answers(1, OSP_CODE(2, 5), "hello");
    hop.named = false;
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(1, w.agreed[OSP_OK]);
}

static void
initiator_falls_back_where_a_layer_is_only_preferred(void **state)
{
    (void)state;
    hop.prefer = true;
    origin.has_no_edhoc = true;
    for (uint8_t i = 0; i < 3; i++)
        ask((uint8_t)(20 + i));
    expect_answers(3, OSP_CODE(2, 5), "plain");
    origin.has_no_edhoc = false;
    ask_for(OSP_CODE(2, 5), "plain");
    run(OSP_SEC(61));
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* A dead next hop: each request is answered once, when the run or its own patience ends. */
static void
initiator_gives_up_on_a_dead_next_hop(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (uint8_t i = 0; i < 50; i++)
        send_request((uint8_t)(20 + i), "x");
    run(OSP_SEC(300));
    for (unsigned i = 20; i < 70; i++) {
        assert_int_equal(1, answers[i]);
        assert_int_equal(5, OSP_CODE_CLASS(last_code[i]));
        answers[i] = 0;
    }
}

/* Where a layer is only preferred, an observation goes on without it, and what comes then is not taken for protected. */
static void
initiator_observes_without_a_layer_that_is_only_preferred(void **state)
{
    (void)state;
    hop.prefer = true;
    observe();
    revoke();
    origin.has_no_edhoc = true;
    run(OSP_SEC(80));
    assert_int_equal(1, origin.plain);
    assert_int_equal(OSP_CODE(2, 5), last_code[20]);
    assert_string_equal("plain", last_text[20]);
}

static void
policy_is_kept(struct osp_policy *p)
{
    (void)p;
}

/* A reload while a run is under way: whom it takes the trust from does not get a context any more. */
static void
initiator_asks_the_policy_of_now_whom_it_trusts(void **state)
{
    static struct osp_policy     later;
    static struct osp_edhoc_conf conf;

    for (int off = 0; off < 2; off++) {
        initiator_again(state);
        send_request(20, "x");          /* message_1 is on its way */
        later = w.policy;
        conf = w.edhoc;
        EXPECT_OK(osp_edhoc_peers_init(&conf.trusted, &initiator_peers[1], 1));
        later.edhoc = off ? NULL : &conf;
        later.release = policy_is_kept;
        atomic_init(&later.refs, 1);
        osp_proxy_set_policy(w.px, &later);
        go();
        expect_answers(1, OSP_CODE(5, 2), "");
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_runtime_count(w.runtime));
        osp_proxy_set_policy(w.px, &w.policy);
    }
}

/* ---- message_3 with a request [rfc9668#3.2] ---- */

/* [rfc9528#5.4.2] nothing is written down before something came back under the keys */
static void
initiator_keeps_what_is_confirmed(void **state)
{
    (void)state;
    w.policy.response_timeout_us = OSP_SEC(5);
    origin.dies_after_3 = true;
    ask(20);
    assert_int_equal(1, origin.m3);
    run(OSP_SEC(6));
    expect_answers(1, OSP_CODE(5, 4), "");
    assert_int_equal(0, w.kept);
    origin.is_dead = false;
    for (uint8_t i = 0; i < 5; i++)
        ask((uint8_t)(20 + i));
    expect_answers(5, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, w.kept);
    assert_int_equal(1, origin.m1);
}

/* [rfc9528#5.5.3] with message_4 that is so at once; one that does not verify ends the run, and the other side hears of it. */
static void
initiator_verifies_message_4_where_it_comes(void **state)
{
    (void)state;
    w.policy.response_timeout_us = OSP_SEC(5);
    origin.profile.has_message_4 = true;
    origin.dies_after_3 = true;
    ask(20);
    run(OSP_SEC(6));
    assert_int_equal(1, w.kept);
    initiator_again(state);
    origin.profile.has_message_4 = true;
    origin.garbles_4 = true;
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(0, w.kept);
    assert_int_equal(1, origin.errors);
    assert_int_equal(0, origin.requests);
}

/* [rfc7959#2.4] message_2 and message_4 may be longer than a datagram of theirs. */
static void
initiator_collects_answers_in_blocks(void **state)
{
    (void)state;
    origin.in_blocks = true;
    origin.profile.has_message_4 = true;
    ask_for(OSP_CODE(2, 5), "hello");
    assert_true(origin.blocks >= 2);
    assert_int_equal(1, origin.m3);
}

static void
initiator_waits_as_long_as_a_busy_next_hop_says(void **state)
{
    (void)state;
    origin.busy_s = 120;
    ask_for(OSP_CODE(5, 2), "");
    origin.busy_s = 0;
    run(OSP_SEC(119));
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(0, origin.m1);
    run(OSP_SEC(2));
    ask_for(OSP_CODE(2, 5), "hello");
}

/* Where a layer is only preferred nobody waits long for it. */
static void
initiator_goes_without_after_ten_seconds(void **state)
{
    (void)state;
    hop.prefer = true;
    origin.ignores_edhoc = true;
    send_request(20, "x");
    run(OSP_SEC(9));
    assert_int_equal(0, answers[20]);
    run(OSP_SEC(2));
    expect_answers(1, OSP_CODE(2, 5), "plain");
}

/* Those whose patience is over make room for others: more requests than may wait at a time, in one run. */
static void
initiator_counts_who_waits_now(void **state)
{
    (void)state;
    w.policy.response_timeout_us = OSP_SEC(1);
    origin.ignores_edhoc = true;
    for (unsigned round = 0; round < 15; round++) {
        for (unsigned i = 20; i < 120; i++)
            send_request((uint8_t)i, "x");
        run(OSP_SEC(2));
        expect_answers(100, OSP_CODE(5, 4), "");
    }
}

/* ... and once more before the context is made. */
static void
initiator_asks_the_policy_of_now_after_message_2_too(void **state)
{
    struct osp_edhoc_conf conf;
    struct osp_policy     later;
    struct world_out      o;
    struct osp_msg        m;

    for (int combined = 0; combined < 2; combined++) {
        initiator_again(state);
        hop.combined = combined;
        send_request(20, "x");
        take_request(&o, &m);
        on_edhoc(&m);
        take_request(&o, &m);   /* message_3 is on its way */
        conf = w.edhoc;
        conf.trusted.count = 0;
        later = w.policy;
        later.edhoc = &conf;
        atomic_init(&later.refs, 1);
        osp_proxy_set_policy(w.px, &later);
        if (combined)
            on_request(&m);
        else
            on_edhoc(&m);
        go();
        expect_answers(1, combined ? OSP_CODE(2, 5) : OSP_CODE(5, 2), combined ? "hello" : "");    /* asked for before it */
        assert_int_equal(1, origin.m3);
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_runtime_count(w.runtime));
        osp_proxy_set_policy(w.px, &w.policy);
        assert_int_equal(1, atomic_load(&later.refs));
    }
}

/* ... and once more when the context is confirmed, which no reload has looked at before. */
static void
initiator_asks_the_policy_of_now_before_it_keeps(void **state)
{
    for (int off = 0; off < 2; off++) {
        struct osp_edhoc_conf conf = w.edhoc;
        struct osp_policy     later = w.policy;

        conf.trusted.count = 0;
        later.edhoc = off ? NULL : &conf;
        atomic_init(&later.refs, 1);
        origin.reload = &later;
        ask_for(OSP_CODE(2, 5), "hello");     /* it was under way */
        assert_int_equal(1, origin.m3);
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_runtime_count(w.runtime));
        osp_proxy_set_policy(w.px, &w.policy);
        initiator_again(state);
    }
}

/* ---- the other way ---- */

static unsigned
answers_of_all(void)
{
    unsigned sum = 0;

    for (size_t i = 0; i < 256; i++)
        sum += answers[i];
    return sum;
}

/* 1024 wait at one agreement, and there are 1024 agreements; whoever comes then is told at once. */
static void
initiator_lets_only_so_many_wait(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (unsigned i = 0; i < 1030; i++) {
        send_request((uint8_t)(20 + i % 100), "x");
        go();
    }
    assert_int_equal(6, answers_of_all());
    assert_int_equal(OSP_CODE(5, 3), last_code[20 + 1029 % 100]);
    run(OSP_SEC(200));
    assert_int_equal(1030, answers_of_all());
}

static void
initiator_runs_with_so_many_only(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (unsigned i = 0; i < 1030; i++) {
        port = (uint16_t)(6000 + i);
        send_request((uint8_t)(20 + i % 100), "x");
        go();
    }
    assert_int_equal(6, answers_of_all());
    run(OSP_SEC(200));
    assert_int_equal(1030, answers_of_all());
    memset(answers, 0, sizeof(answers));
    origin.is_dead = false;
    port = 5683;
    ask(20);                            /* those that ended make room */
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* A next hop that never agrees on a suite, or wants another one when it is too late. */
static void
initiator_does_not_negotiate_for_ever(void **state)
{
    (void)state;
    origin.profile.suites = (struct osp_edhoc_suites){ { 3 }, 1 };
    origin.wavers = true;
    ask_for(OSP_CODE(5, 2), "");
    assert_in_range(origin.m1 + origin.m3, 2, 4);
    initiator_again(state);
    origin.wavers = true;               /* once it has message_3 */
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.m3);
    assert_int_equal(0, w.kept);
}

/* What is refused after message_3 is no context; and nothing of a run that failed stays. */
static void
initiator_has_nothing_from_a_run_that_failed(void **state)
{
    (void)state;
    origin.peer.cred = other.own.cred;  /* we are nobody there */
    EXPECT_OK(osp_edhoc_peers_init(&origin.trusted, &origin.peer, 1));
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m3);
    assert_int_equal(0, w.kept);
    assert_null(osp_octx_runtime_find_for(w.runtime, purpose));
    for (uint8_t i = 0; i < 48; i++) {  /* C_I was one of these */
        uint8_t id = (uint8_t)(i < 24 ? i : 0x20 + i - 24);

        EXPECT_OK(osp_octx_runtime_reserve(w.runtime, osp_slice(&id, 1)));
        osp_octx_runtime_release(w.runtime, osp_slice(&id, 1));
    }
}

/* The 4.01 with the Echo may be put together from blocks: then it stands where the request is made. */
static void
initiator_answers_an_echo_in_blocks(void **state)
{
    (void)state;
    origin.wants_echo = origin.in_blocks = true;
    ask_for(OSP_CODE(5, 2), "");
}

/* The exchanges of the proxy end while a run is under way, and requests wait for it. */
static void
initiator_ends_with_the_proxy(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (uint8_t i = 0; i < 5; i++)
        send_request((uint8_t)(20 + i), "x");
    osp_proxy_abort_all(w.px, w.now);
    osp_txq_reset(&w.tx);
    assert_true(osp_proxy_idle(w.px));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, initiator_setup, initiator_teardown)
    const struct CMUnitTest tests[] = {
        T(initiator_makes_a_context_when_it_is_needed),
        T(initiator_lets_requests_wait_for_one_run),
        T(initiator_survives_loss),
        T(initiator_negotiates_the_suite),
        T(initiator_answers_an_echo_once),
        T(initiator_insists_on_whom_it_means),
        T(initiator_wants_the_name_of_the_host),
        T(initiator_wants_the_name_in_the_configuration),
        T(initiator_falls_back_where_a_layer_is_only_preferred),
        T(initiator_gives_up_on_a_dead_next_hop),
        T(initiator_observes_without_a_layer_that_is_only_preferred),
        T(initiator_asks_the_policy_of_now_whom_it_trusts),
        T(initiator_keeps_what_is_confirmed),
        T(initiator_verifies_message_4_where_it_comes),
        T(initiator_collects_answers_in_blocks),
        T(initiator_waits_as_long_as_a_busy_next_hop_says),
        T(initiator_goes_without_after_ten_seconds),
        T(initiator_counts_who_waits_now),
        T(initiator_asks_the_policy_of_now_after_message_2_too),
        T(initiator_asks_the_policy_of_now_before_it_keeps),
        T(initiator_lets_only_so_many_wait),
        T(initiator_runs_with_so_many_only),
        T(initiator_does_not_negotiate_for_ever),
        T(initiator_has_nothing_from_a_run_that_failed),
        T(initiator_ends_with_the_proxy),
        T(initiator_answers_an_echo_in_blocks),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
