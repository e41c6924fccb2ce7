/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many observers of one resource.  What is asked in the end: everybody who still observes has the newest state, the origin
 * knows one registration for all of them, and nothing is left behind.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "crowd.h"

static int
setup(void **state)
{
    (void)state;
    crowd_begin(16384, false);
    return 0;
}

static int
setup_cache(void **state)
{
    (void)state;
    crowd_begin(16384, true);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    crowd_end();
    return 0;
}

/* rows O01, O02 */
/* [rfc7641#5] */
static void
all_share_one_registration_and_each_gets_each_notification(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd.origin.registered, 1);
    assert_int_equal(crowd.origin.gets, 0);
    assert_int_equal(crowd_up_to_date(), 1000);
    for (int n = 1; n <= 5; n++) {
        crowd_notify(0, OSP_NON);
        crowd_run(OSP_SEC(4));
        assert_int_equal(crowd_up_to_date(), 1000);
    }
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(crowd.clients[i].got, 6);
        assert_int_equal(crowd.clients[i].confirmable, 1);      /* the first, to learn that somebody is there */
        assert_true(crowd.clients[i].observe < 5000);         /* ours, not the origin's */
    }
    assert_int_equal(crowd.origin.registered, 1);
    assert_int_equal(crowd_stats().subjects, 1);
    assert_int_equal(crowd_stats().merged, 999);
}

/* row O03 */
/* [rfc7641#5] */
static void
late_joiner_gets_what_is_there_with_the_age_it_has(void **state)
{
    (void)state;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(10));
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(40));
    crowd_register(2, 0);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.registered, 1);
    assert_int_equal(crowd.origin.gets, 0);
    assert_int_equal(crowd.clients[2].state, 1);
    assert_int_equal(crowd.clients[2].max_age, 20);
    assert_true(crowd.clients[2].counted);
    crowd_run(OSP_SEC(21));           /* stale, and not yet asked for again */
    assert_int_equal(crowd.origin.registered, 1);
    crowd.resources[0].state = 7;
    crowd_register(3, 0);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.registered, 2);
    assert_int_equal(crowd_registrations(0), 1);              /* under the same Token */
    assert_int_equal(crowd.clients[3].max_age, 60);
    assert_int_equal(crowd_up_to_date(), 3);
}

/* Once Observe was taken out of the notification, Size2 was read for Max-Age. */
static void
max_age_is_read_whatever_option_follows_it(void **state)
{
    (void)state;
    crowd.origin.tells_size = true;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(40));
    crowd_register(2, 0);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.registered, 1);
    assert_int_equal(crowd.clients[2].max_age, 20);
}

/* What a forged or careless Max-Age of years brought is not handed to everybody who comes later. */
static void
max_age_is_capped_for_those_who_join(void **state)
{
    (void)state;
    crowd.w.policy.max_age = 100;
    crowd.origin.max_age = UINT32_MAX;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(90));
    crowd_register(2, 0);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.registered, 1);
    assert_int_equal(crowd.clients[2].max_age, 10);
    crowd_run(OSP_SEC(11));
    crowd_register(3, 0);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.registered, 2);
}

/* row O04 */
/* [rfc7641#3.6] [rfc7641#4.5] */
static void
each_leaves_alone_and_the_others_stay(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    crowd_leave(0);           /* Observe 1 */
    crowd.clients[1].leaves = true;   /* a Reset */
    crowd.clients[2].silent = true;   /* a confirmable one that is not acknowledged */
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd.clients[0].code, OSP_CODE(2, 5));
    crowd_notify(0, OSP_CON);
    crowd_run(OSP_SEC(10));
    assert_int_equal(crowd_stats().observations, 3);
    crowd_notify(0, OSP_CON);
    crowd_run(OSP_SEC(100));
    assert_int_equal(crowd_stats().observations, 2);
    crowd.clients[2].observing = false;
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_up_to_date(), 2);
    assert_int_equal(crowd_registrations(0), 1);
    assert_int_equal(crowd.origin.deregistered, 0);
}

/* row O05 */
/* [rfc7641#3.6] */
static void
with_the_last_client_the_origin_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(crowd.origin.deregistered, 0);
        crowd_leave(i);
        crowd_run(OSP_SEC(1));
    }
    assert_int_equal(crowd.origin.deregistered, 1);
    assert_int_equal(crowd_registrations(0), 0);
    assert_int_equal(crowd.origin.resets, 0);
    assert_true(osp_proxy_idle(crowd.w.px));
    crowd_register(0, 0);     /* and anew */
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_registrations(0), 1);
    assert_int_equal(crowd_up_to_date(), 1);
}

/* One that registers again before anybody noticed that it was the last does not end what it asks for. */
static void
registering_again_keeps_the_subject(void **state)
{
    (void)state;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(1));
    for (int i = 0; i < 5; i++) {
        crowd.clients[1].observing = true;
        crowd_ask(1, OSP_GET, 0, 0, 0, NULL);         /* take_response() wants a larger Observe value */
        crowd_run(OSP_SEC(1));
    }
    assert_int_equal(crowd.clients[1].got, 6);
    assert_int_equal(crowd.origin.registered, 1);
    assert_int_equal(crowd.origin.deregistered, 0);
    assert_int_equal(crowd_stats().observations, 1);
}

static void
all_were_told(size_t n, uint8_t code)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(crowd.clients[i].code, code);
        assert_false(crowd.clients[i].observing);
    }
    assert_int_equal(crowd_stats().subjects, 0);
    assert_int_equal(crowd_stats().observations, 0);
    assert_true(osp_proxy_idle(crowd.w.px));
}

/* row O06 */
/* [rfc7641#4.2] */
static void
error_of_the_origin_ends_it_for_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < 300; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    crowd.origin.code = OSP_CODE(4, 4);
    crowd_origin_restarts();
    crowd_run(OSP_SEC(90));           /* asked again when Max-Age has passed */
    all_were_told(300, OSP_CODE(4, 4));
    crowd.origin.code = OSP_CODE(2, 5);
    crowd_register(0, 0);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_up_to_date(), 1);
}

/* row O06 */
static void
silence_of_the_origin_ends_it_for_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < 300; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    crowd.origin.silent = true;
    crowd_run(OSP_SEC(60));
    assert_int_equal(crowd_up_to_date(), 300);
    crowd_run(OSP_SEC(130));
    all_were_told(300, OSP_CODE(5, 4));
    for (size_t i = 0; i < 10; i++)             /* a first registration that is not answered */
        crowd_register(i, 0);
    crowd_run(OSP_SEC(120));
    all_were_told(10, OSP_CODE(5, 4));
    crowd_origin_restarts();
}

/* A stale response may stand in for an error, but not for the end of an observation. */
static void
no_stale_response_stands_in_for_the_end(void **state)
{
    (void)state;
    crowd.w.policy.serve_stale = true;
    for (size_t i = 0; i < 10; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    crowd.origin.silent = true;
    crowd_run(OSP_SEC(190));
    all_were_told(10, OSP_CODE(5, 4));
    crowd_origin_restarts();
}

/* row O09 */
/* [rfc7641#4.1] */
static void
answer_without_observe_is_one_for_all_who_wait(void **state)
{
    (void)state;
    crowd.origin.plain = true;
    for (size_t i = 0; i < 300; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    all_were_told(300, OSP_CODE(2, 5));
    for (size_t i = 0; i < 300; i++)
        assert_false(crowd.clients[i].counted);
}

/* [rfc7641#3.3.1] */
static void
observers_do_not_notice_that_the_origin_restarts(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    for (int n = 0; n < 5; n++) {
        crowd_notify(0, OSP_NON);
        crowd_run(OSP_SEC(4));
        crowd_origin_restarts();
        crowd.resources[0].state += 10;
        assert_int_equal(crowd_registrations(0), 0);
        crowd_run(OSP_SEC(60 + 15 + 1));
        assert_int_equal(crowd_registrations(0), 1);
        assert_int_equal(crowd_up_to_date(), 100);
    }
    assert_int_equal(crowd_stats().renewed, 5);
    assert_int_equal(crowd.origin.resets, 0);
}

/* Without news a registration lasts for days, and asks again once in a Max-Age. */
static void
registration_is_renewed_as_long_as_somebody_observes(void **state)
{
    (void)state;
    crowd.origin.max_age = 3600;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(3 * 24 * 3600));
    assert_in_range(crowd.origin.registered, 70, 73);
    assert_in_range(crowd.clients[1].confirmable, 2, 3);      /* once a day */
    assert_int_equal(crowd_registrations(0), 1);
    crowd_leave(1);
    crowd_run(OSP_SEC(10));
    crowd_run(OSP_SEC(24 * 3600));
    assert_in_range(crowd.origin.registered, 70, 73);
}

/*
 * A client waits for 5 to 15 seconds, at random, after Max-Age has passed before it registers again [rfc7641#3.3.1]: never less,
 * never more, and anything between.
 */
static void
registrations_are_renewed_5_to_15_seconds_after_max_age(void **state)
{
    uint64_t least = UINT64_MAX, most = 0;

    (void)state;
    crowd.origin.max_age = 60;
    crowd_register(1, 0);
    crowd_run(0);
    assert_int_equal(crowd.origin.registered, 1);
    for (unsigned n = 1; n <= 400; n++) {
        uint64_t asked = crowd.w.now.us, waited;

        while (crowd.origin.registered == n)
            crowd_run(100000);
        waited = crowd.w.now.us - asked - OSP_SEC(60);
        least = waited < least ? waited : least;
        most = waited > most ? waited : most;
    }
    assert_in_range(least, OSP_SEC(5), OSP_SEC(5) + 400000);
    assert_in_range(most, OSP_SEC(15) - 400000, OSP_SEC(15) + 200000);
}

/* What the notifications say is what the cache answers with; an unsafe method ends no observation. */
static void
notifications_keep_the_cache_fresh(void **state)
{
    (void)state;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(1));
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(20));
    crowd_ask(2, OSP_GET, 0, -1, 0, NULL);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.clients[2].state, 1);
    assert_int_equal(crowd.clients[2].max_age, 40);
    assert_false(crowd.clients[2].counted);
    assert_int_equal(crowd.origin.gets, 0);
    crowd_ask(2, OSP_POST, 0, -1, 0, NULL);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.posts, 1);
    crowd_ask(2, OSP_GET, 0, -1, 0, NULL);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.gets, 1);
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_MS(1));
    crowd_ask(2, OSP_GET, 0, -1, 0, NULL);
    crowd_run(OSP_MS(1));
    assert_int_equal(crowd.origin.gets, 1);
    assert_int_equal(crowd.clients[2].state, 2);
    assert_int_equal(crowd_up_to_date(), 1);
}

/* What would select another response is observed apart. */
static void
different_requests_are_different_subjects(void **state)
{
    static const struct { uint16_t num; const char *value; } extra[] = {
        { OSP_OPT_ACCEPT, "\x32" }, { OSP_OPT_ACCEPT, "\x3c" }, { OSP_OPT_ETAG, "e1" }, { OSP_OPT_ETAG, "e2" },
        { OSP_OPT_URI_QUERY, "q" }, { OSP_OPT_IF_NONE_MATCH, "" },
    };

    (void)state;
    crowd_register(50, 0);
    for (size_t i = 0; i < 6; i++) {
        crowd.clients[i].observing = true;
        crowd_ask(i, OSP_GET, 0, 0, extra[i].num, extra[i].value);
    }
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd.origin.registered, 7);
    assert_int_equal(crowd_stats().subjects, 6);      /* a conditional request is not merged at all */
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_up_to_date(), 7);
    for (size_t i = 0; i < 5; i++) {
        crowd.clients[i + 100].observing = true;
        crowd_ask(i + 100, OSP_GET, 0, 0, extra[i].num, extra[i].value);
    }
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd.origin.registered, 7);
    assert_int_equal(crowd_up_to_date(), 12);
    crowd.clients[5].leaves = true;           /* the one that is relayed: the next notification gets a Reset from us */
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(1));
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_registrations(0), 6);
}

/* row O07 */
/* [rfc7641#4.5.1] */
static void
news_is_paced_by_the_client(void **state)
{
    const struct osp_ep_stats *ep;
    uint64_t                   before;

    (void)state;
    crowd_register(1, 0);
    crowd_register(2, 0);
    crowd_run(OSP_SEC(1));
    crowd.clients[1].silent = true;
    before = crowd_stats().notifications;
    for (int i = 0; i < 1000; i++) {
        crowd_notify(0, OSP_NON);
        crowd_run(OSP_MS(20));
    }
    assert_true(crowd_stats().notifications > before);
    assert_int_equal(crowd.clients[2].state, 1000);
    assert_in_range(crowd.clients[2].confirmable, 1000 / 33, 1000 / 33 + 3);  /* its round-trip time is known by then */
    /* to the one that says nothing: one that is not confirmable, and what is repeated every 2, 4, 8 s */
    ep = osp_ep_stats(crowd.w.ep);
    assert_in_range(ep->retransmitted + ep->separate - crowd.clients[2].got, 2, 8);
    crowd_run(OSP_SEC(100));
    assert_int_equal(crowd_stats().observations, 1);
    crowd.clients[1].observing = false;
}

/* row O07 */
/* [rfc7641#4.5] */
static void
some_notifications_are_confirmable(void **state)
{
    (void)state;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(1));
    for (int i = 0; i < 100; i++) {
        crowd_notify(0, OSP_NON);
        crowd_run(OSP_SEC(5));
    }
    assert_int_equal(crowd.clients[1].got, 101);
    assert_int_equal(crowd.clients[1].confirmable, 4);          /* the first, and then each 33rd */
}

/* Their number bounds the memory, and with them it comes back. */
static void
ten_thousand_observers_that_vanish_leave_nothing(void **state)
{
    size_t empty, full;

    (void)state;
    world_fini(&crowd.w);
    crowd_begin(32768, false);
    empty = crowd_stats().pool_used;
    for (size_t i = 0; i < 10000; i++) {
        crowd_register(i, 0);
        crowd_pump();
    }
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_up_to_date(), 10000);
    assert_int_equal(crowd.origin.registered, 1);
    full = crowd_stats().pool_used;
    assert_true(full < (size_t)10000 * 3000);
    for (size_t i = 0; i < 10000; i++)
        crowd.clients[i].silent = true;
    for (int n = 0; n < 200; n++) {             /* news does not wait for those who are gone */
        crowd_notify(0, OSP_NON);
        crowd_run(OSP_SEC(1));
    }
    assert_int_equal(crowd_stats().observations, 0);
    assert_int_equal(crowd_registrations(0), 0);
    assert_int_equal(crowd.origin.deregistered, 1);
    assert_true(osp_proxy_idle(crowd.w.px));
    crowd_run(OSP_SEC(300));
    crowd_register(10001, 1);         /* ages what was seen */
    crowd_run(OSP_SEC(1));
    for (size_t i = 0; i < 10000; i++) {
        crowd.clients[i].observing = false;
        crowd_ask(10001, OSP_GET, 2, -1, 0, NULL);
        crowd_pump();
        if (i % 1000 == 0)
            crowd_run(OSP_SEC(250));
    }
    crowd_run(OSP_SEC(1));
    assert_true(crowd_stats().pool_used < empty + full / 4);
}

/* A second notification while the first is on its way to many: nobody gets an older one after a newer one, all the newest. */
static void
news_during_the_fan_out_reaches_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5000; i++) {
        crowd_register(i, 0);
        crowd_pump();
    }
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_up_to_date(), 5000);
    crowd_notify(0, OSP_NON);   /* confirmable: from now on the round-trip times are known */
    crowd_run(OSP_SEC(10));
    assert_int_equal(crowd_up_to_date(), 5000);
    crowd_notify(0, OSP_NON);
    crowd_pump();               /* some have it now */
    assert_true(crowd.clients[0].state == 2 && crowd.clients[4999].state == 1);
    crowd_notify(0, OSP_NON);
    crowd_pump();
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_MS(100));
    assert_int_equal(crowd_up_to_date(), 5000);
    assert_true(crowd.clients[4999].got < 5);         /* it was spared the ones in between */
}

/* Whom one turn does not serve the next one does, also where there is room for the datagrams of all. */
static void
observers_that_one_turn_does_not_serve_get_the_news_too(void **state)
{
    (void)state;
    osp_txq_fini(&crowd.w.tx);
    EXPECT_OK(osp_txq_init(&crowd.w.tx, 2048, 2048 * 2048));
    for (size_t i = 0; i < 500; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_up_to_date(), 500);
}

/* A fan-out that never comes to its end holds up nothing else: who is gone is noticed. */
static void
news_without_a_pause_does_not_stop_the_clock(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2000; i++) {
        crowd_register(i, 0);
        crowd_pump();
    }
    crowd_run(OSP_SEC(1));
    for (size_t i = 0; i < 2000; i++)
        crowd.clients[i].silent = true;
    for (int i = 0; i < 3000 && crowd_stats().observations > 0; i++) {
        crowd_notify(0, OSP_NON);
        crowd_pump();
        crowd.w.now.us += OSP_MS(50);
        (void)world_expire(&crowd.w);
        crowd_pump();
    }
    assert_int_equal(crowd_stats().observations, 0);
}

static void
thousand_observers_get_the_newest_through_loss(void **state)
{
    size_t n;

    (void)state;
    crowd.loss = 20;
    for (int round = 0; round < 16; round++) {
        for (size_t i = 0; i < 1000; i++) {
            if (crowd.clients[i].code)
                continue;
            crowd.clients[i].mid = (uint16_t)(crowd.clients[i].mid - (round > 0));    /* the same request again */
            crowd_register(i, 0);
        }
        crowd_run(OSP_SEC(5));
    }
    for (int k = 0; k < 30; k++) {
        crowd_notify(0, k % 5 ? OSP_NON : OSP_CON);
        crowd_run(OSP_MS(500) + crowd_roll(5000) * 1000);
    }
    crowd.loss = 0;
    crowd_run(OSP_SEC(100));          /* the proxy registers again, if it lost the last one */
    crowd_run(OSP_SEC(100));
    assert_true(crowd_registrations(0) >= 1);
    n = 0;
    for (size_t i = 0; i < 1000; i++)
        n += crowd.clients[i].observing && crowd.clients[i].state == crowd.resources[0].state;
    /* some did not acknowledge one of many in five tries, and were given up; nobody else missed anything */
    assert_true(n >= crowd_stats().observations && crowd_stats().observations > 700);
    for (size_t i = 0; i < 1000; i++)
        crowd.clients[i].observing = crowd.clients[i].observing && crowd.clients[i].state == crowd.resources[0].state;
    crowd_notify(0, OSP_CON);
    crowd_run(OSP_SEC(5));
    assert_int_equal(crowd_registrations(0), 1);
}

/* Whatever the order of joining, leaving, news and restarts: in the end all agree. */
static void
random_histories_end_in_agreement(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        crowd.dice = seed * 977;
        for (int op = 0; op < 300; op++) {
            unsigned i = crowd_roll(40), what = crowd_roll(100);

            if (what < 35 && !crowd.clients[i].observing)
                crowd_register(i, crowd_roll(CROWD_PATHS));
            else if (what < 50 && crowd.clients[i].observing)
                crowd_leave(i);
            else if (what < 55 && crowd.clients[i].observing)
                crowd.clients[i].leaves = true;
            else if (what < 80)
                crowd_notify(crowd_roll(CROWD_PATHS), crowd_roll(4) ? OSP_NON : OSP_CON);
            else if (what < 82)
                crowd_origin_restarts();
            if (crowd_roll(3) == 0)
                crowd_run(OSP_MS(1) << crowd_roll(16));
        }
        crowd_run(OSP_SEC(80));
        for (unsigned p = 0; p < CROWD_PATHS; p++)
            crowd_notify(p, OSP_NON);
        crowd_run(OSP_SEC(4));
        assert_int_equal(crowd_up_to_date(), crowd_stats().observations);
        for (unsigned p = 0; p < CROWD_PATHS; p++) {
            unsigned some = 0;

            for (size_t i = 0; i < 40; i++)
                some += crowd.clients[i].observing && crowd.clients[i].path == p;
            assert_int_equal(crowd_registrations(p), some > 0);
        }
    }
}

/* A newer policy joins what began under the older one where both lead to the same. */
static void
new_policy_joins_the_subject_of_the_old_one(void **state)
{
    static struct osp_policy newer;

    (void)state;
    crowd_register(1, 0);
    crowd_run(OSP_SEC(1));
    newer = crowd.w.policy;
    atomic_init(&newer.refs, 1);
    osp_proxy_set_policy(crowd.w.px, &newer);
    crowd_register(2, 0);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd.origin.registered, 1);
    newer.forward = false;              /* this one forbids it: who observes stays, nobody joins */
    crowd_register(3, 0);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd.clients[3].code, OSP_CODE(5, 5));
    crowd.clients[3].observing = false;
    crowd_notify(0, OSP_NON);
    crowd_run(OSP_SEC(1));
    assert_int_equal(crowd_up_to_date(), 2);
    newer.forward = true;
    for (size_t i = 1; i <= 2; i++) {
        crowd_leave(i);
        crowd_run(OSP_SEC(1));
    }
    osp_proxy_set_policy(crowd.w.px, &crowd.w.policy);
    crowd_run(OSP_SEC(300));
    assert_int_equal(atomic_load(&newer.refs), 1);
}

/* At the end of the process the origin is told as well. */
static void
shutdown_deregisters(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i++)
        crowd_register(i, 0);
    crowd_run(OSP_SEC(1));
    osp_proxy_abort_all(crowd.w.px, crowd.w.now);
    assert_true(osp_proxy_idle(crowd.w.px));
    crowd_run(OSP_SEC(5));
    assert_int_equal(crowd.origin.deregistered, 1);
    all_were_told(20, OSP_CODE(5, 3));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_share_one_registration_and_each_gets_each_notification),
        T(late_joiner_gets_what_is_there_with_the_age_it_has),
        T(max_age_is_read_whatever_option_follows_it),
        T(max_age_is_capped_for_those_who_join),
        T(each_leaves_alone_and_the_others_stay),
        T(with_the_last_client_the_origin_is_told),
        T(registering_again_keeps_the_subject),
        T(error_of_the_origin_ends_it_for_all),
        T(silence_of_the_origin_ends_it_for_all),
        cmocka_unit_test_setup_teardown(no_stale_response_stands_in_for_the_end, setup_cache, teardown),
        T(answer_without_observe_is_one_for_all_who_wait),
        T(observers_do_not_notice_that_the_origin_restarts),
        T(registration_is_renewed_as_long_as_somebody_observes),
        T(registrations_are_renewed_5_to_15_seconds_after_max_age),
        cmocka_unit_test_setup_teardown(notifications_keep_the_cache_fresh, setup_cache, teardown),
        T(different_requests_are_different_subjects),
        T(news_is_paced_by_the_client),
        T(some_notifications_are_confirmable),
        T(ten_thousand_observers_that_vanish_leave_nothing),
        T(news_during_the_fan_out_reaches_all),
        T(observers_that_one_turn_does_not_serve_get_the_news_too),
        T(news_without_a_pause_does_not_stop_the_clock),
        T(thousand_observers_get_the_newest_through_loss),
        T(random_histories_end_in_agreement),
        T(new_policy_joins_the_subject_of_the_old_one),
        T(shutdown_deregisters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
