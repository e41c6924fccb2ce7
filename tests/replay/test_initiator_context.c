/* SPDX-License-Identifier: BSD-2-Clause */
/* The contexts that the Initiator made, in virtual time: used, lost, revoked, near a limit of their keys, and made again. */
#include "initiator_world.h"

#define DEREGISTER 1

/*
 * [rfc8613#8.2] The next hop says in the clear that it does not know the context: it is believed when the context is not quite
 * new, and the same request is sent in another; right after that it is not.
 */
static void
initiator_renews_a_context_that_was_lost(void **state)
{
    (void)state;
    ask_for(OSP_CODE(2, 5), "hello");
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
    run(OSP_SEC(11));
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* The origin has forgotten the context, and some time has passed. */
static void
lose_context(void)
{
    ask_for(OSP_CODE(2, 5), "hello");
    run(OSP_SEC(11));
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
}

/* All that were under way in it, not only the one that hears of it first. */
static void
initiator_renews_a_lost_context_for_all(void **state)
{
    (void)state;
    lose_context();
    for (unsigned i = 20; i < 30; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(10, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* Another worker, or the operator, has put it out of use meanwhile: nothing is to be feared from asking in the next one. */
static void
initiator_asks_again_when_the_context_is_out_of_use(void **state)
{
    struct osp_octx *c;

    (void)state;
    ask_for(OSP_CODE(2, 5), "hello");
    send_request(20, "x");
    c = osp_octx_runtime_find_for(w.runtime, purpose);
    assert_non_null(c);
    assert_true(osp_octx_runtime_remove(w.runtime, c));
    osp_octx_unref(c);
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* A notification in the layer of the last registration. */
static void
notify_from_origin(const char *text)
{
    static const struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };
    uint8_t                            scratch[1024], classes[OSP_MSG_OPTS_MAX], one = 1;
    struct osp_wr               s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg              m, out;

    osp_msg_init(&m, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_slice(&one, 1)));
    m.payload = osp_slice_str(text);
    EXPECT_OK(osp_classes(&ends, &m, classes));
    EXPECT_OK(osp_oscore_protect_response(edhoc_crypto, &origin.observer, &m, classes, true, &s, &out));
    out.type = OSP_NON;
    out.mid = ++next_mid;
    out.token = osp_slice(origin.registered, origin.registered_len);
    world_send(&w, 0, ORIGIN, 5683, &out);
    go();
}

/* What comes under it is not passed on; the registration is made again in the next one, at once. */
static void
initiator_takes_no_news_under_a_revoked_context(void **state)
{
    (void)state;
    observe();
    notify_from_origin("news");
    expect_answers(1, OSP_CODE(2, 5), "news");
    notify_from_origin("more news");    /* [rfc8613#4.1.3.5.2] Partial IVs are its order, not what the option says */
    expect_answers(1, OSP_CODE(2, 5), "more news");
    revoke();
    notify_from_origin("old news");
    assert_int_equal(2, origin.m1);
    assert_int_equal(2, origin.observed);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    notify_from_origin("more");
    expect_answers(1, OSP_CODE(2, 5), "more");
    assert_int_equal(2, origin.m1);
}

/* The same for one that cannot be made again here: it ends, and the client may register again. */
static void
initiator_ends_what_it_cannot_renew(void **state)
{
    (void)state;
    send_with(20, OSP_FETCH, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    revoke();
    notify_from_origin("old news");
    expect_answers(1, OSP_CODE(5, 2), "");
}

/* The 4.01 may be forged, and the request have been executed: what must not be executed twice is not sent twice. */
static void
initiator_repeats_only_what_may_be_repeated(void **state)
{
    (void)state;
    lose_context();
    send_with(20, OSP_POST, "x", NOTHING);
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(2, origin.requests);
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* [rfc7641#3.1] a registration as any other request; the next time is under another context */
static void
initiator_renews_a_lost_context_for_observers(void **state)
{
    (void)state;
    lose_context();
    observe();
    assert_int_equal(2, origin.m1);
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    run(OSP_SEC(80));                   /* Max-Age is over */
    assert_int_equal(3, origin.m1);
    assert_int_equal(0, origin.plain);
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* An observation outlives its context, if that is put out of use, but does not go on with it. */
static void
initiator_observes_under_what_is_in_use(void **state)
{
    struct osp_octx *c;

    (void)state;
    observe();
    c = osp_octx_runtime_find_for(w.runtime, purpose);
    assert_true(osp_octx_runtime_remove(w.runtime, c));
    run(OSP_SEC(80));
    assert_int_equal(2, origin.m1);
    assert_int_equal(2, origin.observed);
    assert_int_equal(0, origin.plain);
    assert_int_equal(1, osp_octx_ssn(c).next);
    osp_octx_unref(c);
    assert_int_equal(OSP_CODE(2, 5), last_code[20]);
}

/* ... nor without any: the last observer leaves while there is no context, and nothing is said in the clear. */
static void
initiator_deregisters_under_a_layer_only(void **state)
{
    (void)state;
    observe();
    revoke();
    origin.is_dead = true;
    run(OSP_SEC(80));                   /* it waits for a context, which is not to be had */
    origin.is_dead = false;
    send_with(20, OSP_GET, "y", DEREGISTER);
    run(OSP_SEC(1));
    assert_int_equal(0, origin.plain);
}

/* A 4.01 that somebody made up, and a run that he disturbs: nothing goes in the clear for it, and the context serves on. */
static void
initiator_does_not_fall_back_from_a_context(void **state)
{
    struct osp_octx *right;

    (void)state;
    hop.prefer = true;
    ask_for(OSP_CODE(2, 5), "hello");
    run(OSP_SEC(61));
    right = origin.octx;
    origin.octx = NULL;
    origin.has_no_edhoc = true;
    for (uint8_t i = 0; i < 3; i++)
        ask((uint8_t)(20 + i));
    expect_answers(3, OSP_CODE(5, 2), "");
    assert_int_equal(1 + 3, origin.requests);   /* and none goes out again */
    origin.octx = right;
    ask_for(OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* A 4.01 that comes when there is another context already is about the old one, however new the other is. */
static void
initiator_takes_another_context_that_is_there(void **state)
{
    struct world_out late;
    struct osp_msg   m, no;

    (void)state;
    ask(20);
    run(OSP_SEC(11));
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    answers[20] = 0;
    send_request(20, "x");
    take_request(&late, &m);
    ask(21);
    assert_int_equal(1, answers[21]);
    assert_int_equal(2, origin.m1);
    osp_msg_init(&no, OSP_CODE(4, 1));
    reply_to(&m, &no);
    go();
    expect_answers(2, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* Contexts that are gone again at once: no request makes runs without end. */
static void
initiator_makes_two_runs_for_a_request_at_most(void **state)
{
    struct world_out o;
    struct osp_msg   m;
    (void)state;
    send_request(20, "x");
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            take_request(&o, &m);
            on_edhoc(&m);
        }
        revoke();
        while (world_expire(&w))
            ;
    }
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(2, origin.m1);
    assert_int_equal(0, origin.requests);
}

/* A 4.01 with an Echo is not about the context. */
static void
initiator_takes_an_echo_for_no_loss(void **state)
{
    struct osp_msg   resp, m;
    struct world_out o;

    (void)state;
    ask(20);
    run(OSP_SEC(11));
    answers[20] = 0;
    send_request(20, "x");
    take_request(&o, &m);
    osp_msg_init(&resp, OSP_CODE(4, 1));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_ECHO, osp_slice_str("prove it")));
    reply_to(&m, &resp);
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
}

/* ---- message_3 with a request [rfc9668#3.2] ---- */

/* What is not repeated is a reason for a run all the same. */
static void
initiator_renews_a_lost_context_for_what_it_does_not_repeat(void **state)
{
    (void)state;
    lose_context();
    for (int i = 0; i < 2; i++) {
        send_with(20, OSP_POST, "x", NOTHING);
        go();
        expect_answers(1, i == 0 ? OSP_CODE(5, 2) : OSP_CODE(2, 5), i == 0 ? "" : "hello");
    }
    assert_int_equal(2, origin.m1);
}

/* ---- the other way ---- */

/* A request of the next hop itself, in the context that it agreed on as the Responder. */
static void
send_from_origin(uint8_t client, int observe)
{
    uint8_t                            value[4];
    static const struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };
    uint8_t                            scratch[1024], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr               s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_layer            layer;
    struct osp_msg              m, out;

    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("x")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    if (observe >= 0)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_opt_uint_make((uint32_t)observe, value)));
    EXPECT_OK(osp_classes(&ends, &m, classes));
    EXPECT_OK(osp_oscore_protect_request(edhoc_crypto, origin.octx, &m, classes, &s, &out, &layer));
    osp_layer_fini(&layer);
    out.type = OSP_NON;
    out.mid = ++next_mid;
    out.token = osp_slice_str("tk");
    world_send(&w, WORLD_LISTENER, client, 40000, &out);
    go();
}

/*
 * [rfc9528#A.1] Both sides may be client and server in the context.  Whoever uses it has proven to be that credential, as if it
 * had been the Initiator: it has the rights of the credential, no more and no less.
 */
static void
initiator_serves_the_next_hop_with_the_rights_of_its_credential(void **state)
{
    static const uint8_t only_plant[1] = { 1u << 1 }, only_other[1] = { 1u << 2 };
    const struct osp_allow *allow = w.allow[0];

    (void)state;
    ask_for(OSP_CODE(2, 5), "hello");
    w.rules[0] = (struct osp_rule){ .credentials = only_plant, .credential_count = 3, .allow = allow, .allow_count = 2 };
    send_from_origin(20, NOTHING);
    assert_int_equal(3 - 1, origin.requests);
    assert_int_equal(1, answers[20]);
    w.rules[0].credentials = only_other;
    send_from_origin(20, NOTHING);
    assert_int_equal(3 - 1, origin.requests);
    assert_int_equal(2, answers[20]);
    assert_int_equal(0, w.policy.rules[0].any);
}

/* A context that is revoked ends what was observed under it, with one last answer. */
static void
initiator_tells_no_more_under_a_revoked_context(void **state)
{
    struct osp_proxy_stats st;
    (void)state;
    ask_for(OSP_CODE(2, 5), "hello");
    send_from_origin(21, REGISTER);
    send_with(20, OSP_GET, "x", REGISTER);
    go();
    expect_answers(2, OSP_CODE(2, 5), NULL);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(2, st.observations);
    revoke();
    run(OSP_SEC(76));                   /* there is news */
    osp_proxy_stats(w.px, &st);
    assert_int_equal(1, st.observations);
    assert_int_equal(1, st.errors[OSP_E_NO_CONTEXT]);
    assert_true(answers[20] > 0 && answers[21] > 0);
}

/* Near a limit of its keys a context is still used, and another one made beside. */
static void
initiator_renews_a_worn_context_in_time(void **state)
{
    struct osp_key_limits tight = { .q = 20, .v = 20, .stop = true };
    struct osp_octx      *c;

    (void)state;
    ask_for(OSP_CODE(2, 5), "hello");
    c = osp_octx_runtime_find_for(w.runtime, purpose);
    assert_non_null(c);
    osp_octx_set_limits(c, &tight);
    osp_octx_unref(c);
    for (unsigned i = 0; i < 40; i++) {
        ask_for(OSP_CODE(2, 5), "hello");
    }
    assert_int_equal(2, origin.m1);
}

/* What leads there, but to somebody who is not meant any more. */
static void
initiator_uses_the_context_of_whom_it_means(void **state)
{
    static uint8_t other_only[1] = { 1u << 2 };

    (void)state;
    ask_for(OSP_CODE(2, 5), "hello");
    hop.credentials = other_only;
    ask_for(OSP_CODE(5, 2), "");
    assert_int_equal(2, origin.m1);
    assert_int_equal(1, origin.requests);
}

/* [rfc8613#8.4.2] A 4.01 in place of a notification is no reason for anything. */
static void
initiator_ignores_forged_notifications(void **state)
{
    struct osp_octx *c;
    struct osp_msg   m;

    (void)state;
    observe();
    run(OSP_SEC(11));
    osp_msg_init(&m, OSP_CODE(4, 1));
    m.type = OSP_NON;
    m.mid = 4711;
    m.token = osp_slice(origin.registered, origin.registered_len);
    world_send(&w, 0, ORIGIN, 5683, &m);
    go();
    assert_int_equal(0, answers[20]);
    assert_int_equal(1, origin.m1);
    c = osp_octx_runtime_find_for(w.runtime, purpose);
    assert_non_null(c);
    osp_octx_unref(c);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, initiator_setup, initiator_teardown)
    const struct CMUnitTest tests[] = {
        T(initiator_renews_a_context_that_was_lost),
        T(initiator_renews_a_lost_context_for_all),
        T(initiator_asks_again_when_the_context_is_out_of_use),
        T(initiator_repeats_only_what_may_be_repeated),
        T(initiator_renews_a_lost_context_for_observers),
        T(initiator_observes_under_what_is_in_use),
        T(initiator_deregisters_under_a_layer_only),
        T(initiator_serves_the_next_hop_with_the_rights_of_its_credential),
        T(initiator_does_not_fall_back_from_a_context),
        T(initiator_takes_another_context_that_is_there),
        T(initiator_makes_two_runs_for_a_request_at_most),
        T(initiator_takes_an_echo_for_no_loss),
        T(initiator_renews_a_lost_context_for_what_it_does_not_repeat),
        T(initiator_tells_no_more_under_a_revoked_context),
        T(initiator_takes_no_news_under_a_revoked_context),
        T(initiator_ends_what_it_cannot_renew),
        T(initiator_renews_a_worn_context_in_time),
        T(initiator_uses_the_context_of_whom_it_means),
        T(initiator_ignores_forged_notifications),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
