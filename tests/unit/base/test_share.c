/* SPDX-License-Identifier: BSD-2-Clause */
/* Rates and shares over all workers: exact where they have to be, and given back in full. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/share.h"

#include "tests/prng.h"

#define WORKERS 4

static const struct osp_hash_key key = { 1, 2 };
static struct osp_shares        *shares;
static struct osp_pool           pools[WORKERS];
static struct osp_ledger         ledgers[WORKERS];
static unsigned                  workers;

static void
begin(unsigned count, size_t bound, unsigned client, unsigned prefix, unsigned reserve)
{
    struct osp_shares_cfg cfg = { .workers = count, .client = client, .prefix = prefix, .reserve = reserve, .rates = 64 };

    for (int k = 0; k < OSP_SHARE_KINDS; k++)
        cfg.bound[k] = bound;
    workers = count;
    EXPECT_OK(osp_shares_new(&cfg, key, &shares));
    for (unsigned i = 0; i < count; i++) {
        osp_pool_init(&pools[i], 16 << 20);
        EXPECT_OK(osp_ledger_init(&ledgers[i], shares, &pools[i]));
    }
}

static void
end(void)
{
    for (unsigned i = 0; i < workers; i++) {
        for (int k = 0; k < OSP_SHARE_KINDS; k++)
            assert_int_equal(ledgers[i].used[k][0] + ledgers[i].used[k][1], 0);
        assert_int_equal(ledgers[i].accounts.count, 0);
        assert_int_equal(pools[i].used, 0);
        osp_ledger_fini(&ledgers[i]);
        osp_pool_fini(&pools[i]);
    }
    osp_shares_free(shares);
}

/* One more for client `who`; the prefix of unknown ones is the client's number without its last digit. */
static struct osp_account *
take(unsigned worker, uint64_t who, bool known, enum osp_share_kind kind)
{
    struct osp_ledger  *l = &ledgers[worker];
    struct osp_account *a = osp_ledger_open(l, who, known, 1000000 + who / 10);
    bool                taken;

    assert_non_null(a);
    taken = osp_ledger_take(l, a, kind);
    osp_ledger_close(l, a);
    return taken ? a : NULL;
}

/* An entry of `who` in place of one of `leaving`; NULL: it may not be. */
static struct osp_account *
take_over(unsigned worker, uint64_t who, bool known, struct osp_account *leaving)
{
    struct osp_ledger  *l = &ledgers[worker];
    struct osp_account *a = osp_ledger_open(l, who, known, 1000000 + who / 10);
    bool                taken;

    assert_non_null(a);
    taken = osp_ledger_take_over(l, a, leaving, OSP_SHARE_BODIES);
    osp_ledger_close(l, a);
    return taken ? a : NULL;
}

/* ---- rates ---- */

static unsigned
how_many(uint64_t who, uint32_t rate, uint32_t burst, uint64_t at_us, unsigned tries)
{
    unsigned n = 0;

    for (unsigned i = 0; i < tries; i++)
        n += osp_shares_rate(shares, who, rate, burst, (struct osp_time){ at_us });
    return n;
}

static void
burst_and_then_the_rate(void **state)
{
    (void)state;
    begin(1, 100, 100, 100, 0);
    assert_int_equal(how_many(7, 10, 3, OSP_SEC(5), 50), 3);
    assert_int_equal(how_many(7, 10, 3, OSP_SEC(5) + OSP_MS(99), 50), 0);
    assert_int_equal(how_many(7, 10, 3, OSP_SEC(5) + OSP_MS(100), 50), 1);
    assert_int_equal(how_many(7, 10, 3, OSP_SEC(5) + OSP_MS(350), 50), 2);
    assert_int_equal(how_many(7, 10, 3, OSP_SEC(500), 50), 3);          /* no more than a burst is saved up */
    assert_int_equal(how_many(8, 10, 3, OSP_SEC(500), 50), 3);          /* another client */
    assert_int_equal(how_many(9, 1000000, 1, OSP_SEC(500), 2), 1);
    assert_int_equal(how_many(9, 1000000, 1, OSP_SEC(500) + 1, 2), 1);
    assert_int_equal(how_many(1, 1, 1000000, OSP_SEC(1), 1000001), 1000000);
    end();
}

/* Clients of the past make room for others; at the worst somebody gets a new burst. */
static void
strangers_do_not_wear_a_limit_out(void **state)
{
    (void)state;
    begin(1, 100, 100, 100, 0);
    assert_int_equal(how_many(7, 1, 1000, OSP_SEC(5), 2000), 1000);
    for (uint64_t i = 0; i < 100000; i++)
        assert_int_equal(how_many(1000 + i, 1000, 10, OSP_SEC(5) + i * 10, 1), 1);
    assert_true(how_many(7, 1, 1000, OSP_SEC(6), 2000) <= 1);           /* it is the one that is farthest ahead */
    end();
}

static atomic_uint let_through;

static void *
ask_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 20000; i++)
        atomic_fetch_add(&let_through, osp_shares_rate(shares, 42, 5, 1234, (struct osp_time){ OSP_SEC(9) }));
    return NULL;
}

/* Burst 10 let 40 through with 4 workers. */
static void
rate_is_one_for_all_threads(void **state)
{
    pthread_t t[WORKERS];

    (void)state;
    begin(WORKERS, 100, 100, 100, 0);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, ask_often, NULL), 0);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(let_through, 1234);
    end();
}

/* ---- shares ---- */

static void
client_has_its_share_and_no_more(void **state)
{
    struct osp_account *a[50] = { NULL };

    (void)state;
    begin(1, 100, 30, 100, 0);
    for (int i = 0; i < 30; i++) {
        a[i] = take(0, 5, true, OSP_SHARE_EXCHANGES);
        assert_non_null(a[i]);
    }
    assert_null(take(0, 5, true, OSP_SHARE_EXCHANGES));
    assert_int_equal(osp_shares_refused(shares, OSP_SHARE_EXCHANGES, true, OSP_SHARE_CLIENT), 1);
    a[30] = take(0, 5, true, OSP_SHARE_BODIES);         /* another table */
    a[31] = take(0, 15, true, OSP_SHARE_EXCHANGES);     /* another client */
    assert_true(a[30] && a[31]);
    osp_ledger_give(&ledgers[0], a[30], OSP_SHARE_BODIES);
    osp_ledger_give(&ledgers[0], a[31], OSP_SHARE_EXCHANGES);
    osp_ledger_give(&ledgers[0], a[0], OSP_SHARE_EXCHANGES);
    a[0] = take(0, 5, true, OSP_SHARE_EXCHANGES);
    assert_non_null(a[0]);
    for (int i = 0; i < 30; i++)
        osp_ledger_give(&ledgers[0], a[i], OSP_SHARE_EXCHANGES);
    end();
}

static void
unknown_clients_of_one_prefix_share_one_share(void **state)
{
    struct osp_account *a[100];
    unsigned            n = 0, known = 0;

    (void)state;
    begin(1, 100, 10, 40, 0);
    for (uint64_t who = 50; who < 60; who++)
        for (int i = 0; i < 10; i++)
            if ((a[n] = take(0, who, false, OSP_SHARE_BODIES)) != NULL)
                n++;
    assert_int_equal(n, 40);
    assert_int_equal(osp_shares_refused(shares, OSP_SHARE_BODIES, false, OSP_SHARE_PREFIX), 60);
    for (uint64_t who = 50; who < 60; who++)
        if ((a[n + known] = take(0, 100 + who, true, OSP_SHARE_BODIES)) != NULL)
            known++;
    assert_int_equal(known, 10);        /* they have proven a key: where they are does not matter */
    for (unsigned i = 0; i < n + known; i++)
        osp_ledger_give(&ledgers[0], a[i], OSP_SHARE_BODIES);
    end();
}

static void
reserve_is_for_known_clients(void **state)
{
    struct osp_account *a[100];
    unsigned            n = 0;

    (void)state;
    begin(1, 100, 100, 100, 25);
    for (uint64_t who = 0; who < 600; who++)
        if ((a[n] = take(0, 10 * who, false, OSP_SHARE_EXCHANGES)) != NULL)
            n++;
    assert_int_equal(n, 75);
    assert_int_equal(osp_shares_refused(shares, OSP_SHARE_EXCHANGES, false, OSP_SHARE_RESERVE), 525);
    for (uint64_t who = 0; who < 600; who++)
        if (n < 100 && (a[n] = take(0, 7000 + who, true, OSP_SHARE_EXCHANGES)) != NULL)
            n++;
    assert_int_equal(n, 100);
    assert_null(take(0, 5, true, OSP_SHARE_EXCHANGES));
    assert_int_equal(osp_shares_refused(shares, OSP_SHARE_EXCHANGES, true, OSP_SHARE_FULL), 1);
    for (unsigned i = 0; i < n; i++)
        osp_ledger_give(&ledgers[0], a[i], OSP_SHARE_EXCHANGES);
    end();
}

/* Wherever its datagrams arrive, a client has its share in all, and most of it if they arrive at one worker. */
/* An entry in place of another one: as many as before, and nothing happens to the other one if it may not be. */
static void
entry_is_taken_over_within_the_shares(void **state)
{
    struct osp_account *a[6], *b;

    (void)state;
    begin(1, 10, 30, 50, 50);
    for (uint64_t i = 0; i < 3; i++)
        a[i] = take(0, 10, false, OSP_SHARE_BODIES);
    for (uint64_t i = 3; i < 5; i++)
        a[i] = take(0, 20 + i, false, OSP_SHARE_BODIES);
    assert_null(take(0, 24, false, OSP_SHARE_BODIES));  /* the reserve */
    assert_null(take_over(0, 10, false, a[4]));         /* beyond its share */
    assert_int_equal(osp_shares_refused(shares, OSP_SHARE_BODIES, false, OSP_SHARE_CLIENT), 1);
    a[4] = take_over(0, 11, false, a[4]);
    a[3] = take_over(0, 12, false, a[3]);               /* five of this prefix */
    assert_null(take(0, 13, false, OSP_SHARE_BODIES));
    assert_int_equal(ledgers[0].used[OSP_SHARE_BODIES][0], 5);
    a[3] = take_over(0, 13, false, a[3]);               /* within the prefix */
    b = take(0, 99, true, OSP_SHARE_BODIES);
    assert_null(take_over(0, 14, false, b));            /* what is kept for known ones */
    assert_int_equal(osp_shares_refused(shares, OSP_SHARE_BODIES, false, OSP_SHARE_RESERVE), 3);
    a[5] = take(0, 99, true, OSP_SHARE_BODIES);
    a[5] = take_over(0, 98, true, a[5]);
    a[0] = take_over(0, 98, true, a[0]);
    assert_int_equal(ledgers[0].used[OSP_SHARE_BODIES][0], 4);
    a[1] = take_over(0, 10, false, a[1]);               /* its own */
    assert_non_null(a[1]);
    for (size_t i = 0; i < 6; i++)
        osp_ledger_give(&ledgers[0], a[i], OSP_SHARE_BODIES);
    osp_ledger_give(&ledgers[0], b, OSP_SHARE_BODIES);
    end();
}

/* A prefix at its share: an entry of another one is no room for it. */
static void
entry_of_another_prefix_is_no_room_beyond_the_share(void **state)
{
    struct osp_account *a[6];

    (void)state;
    begin(1, 10, 30, 50, 0);
    for (uint64_t i = 0; i < 5; i++)
        a[i] = take(0, 10 + i, false, OSP_SHARE_BODIES);
    a[5] = take(0, 20, false, OSP_SHARE_BODIES);
    assert_null(take_over(0, 15, false, a[5]));
    assert_int_equal(osp_shares_refused(shares, OSP_SHARE_BODIES, false, OSP_SHARE_PREFIX), 1);
    a[0] = take_over(0, 15, false, a[0]);
    assert_non_null(a[0]);
    for (size_t i = 0; i < 6; i++)
        osp_ledger_give(&ledgers[0], a[i], OSP_SHARE_BODIES);
    end();
}

static void
share_holds_over_all_workers(void **state)
{
    static const size_t bounds[] = { 4, 10, 40, 400, 4000 };
    static struct osp_account *a[WORKERS][4000];

    (void)state;
    for (size_t b = 0; b < 5; b++) {
        size_t share = bounds[b] * 50 / 100, n[WORKERS] = { 0 }, all = 0;

        begin(WORKERS, bounds[b], 50, 100, 0);
        while ((a[0][n[0]] = take(0, 3, true, OSP_SHARE_EXCHANGES)) != NULL)
            n[0]++;
        assert_true(n[0] > 0 && n[0] <= share && n[0] <= (bounds[b] + WORKERS - 1) / WORKERS);
        for (unsigned i = 0; i < 4 * 4000; i++) {
            unsigned worker = i % WORKERS;

            if ((a[worker][n[worker]] = take(worker, 3, true, OSP_SHARE_EXCHANGES)) != NULL)
                n[worker]++;
        }
        for (unsigned i = 0; i < WORKERS; i++)
            all += n[i];
        assert_true(all <= share && all * 4 >= share * 3);
        for (unsigned i = 0; i < WORKERS; i++)
            while (n[i] > 0)
                osp_ledger_give(&ledgers[i], a[i][--n[i]], OSP_SHARE_EXCHANGES);
        end();
    }
}

/* Takes and gives at random, against a plain count for each client and for each prefix. */
static void
model(void **state)
{
    enum { CLIENTS = 30, HELD = 2000 };
    static struct { struct osp_account *a; unsigned worker, who; enum osp_share_kind kind; } held[HELD];
    static unsigned count[CLIENTS][OSP_SHARE_KINDS], by_prefix[CLIENTS / 10][OSP_SHARE_KINDS];
    unsigned        n = 0;
    uint64_t        rng = 5;

    (void)state;
    begin(WORKERS, 300, 20, 40, 10);
    for (unsigned i = 0; i < 400000; i++) {
        unsigned dice = (unsigned)(prng_next(&rng) >> 40);

        if (n > 0 && (n == HELD || dice % 100 < (i / 1000 % 2 ? 60u : 40u))) {
            unsigned k = dice / 100 % n;

            osp_ledger_give(&ledgers[held[k].worker], held[k].a, held[k].kind);
            count[held[k].who][held[k].kind]--;
            if (held[k].who % 2 == 0)
                by_prefix[held[k].who / 10][held[k].kind]--;
            held[k] = held[--n];
            continue;
        }
        held[n].worker = dice % WORKERS;
        held[n].who = dice / 8 % CLIENTS;
        held[n].kind = (enum osp_share_kind)(dice / 1000 % OSP_SHARE_KINDS);
        held[n].a = take(held[n].worker, held[n].who, held[n].who % 2 != 0, held[n].kind);
        if (!held[n].a)
            continue;
        assert_true(++count[held[n].who][held[n].kind] <= 60);
        if (held[n].who % 2 == 0)
            assert_true(++by_prefix[held[n].who / 10][held[n].kind] <= 120);
        n++;
    }
    while (n-- > 0)
        osp_ledger_give(&ledgers[held[n].worker], held[n].a, held[n].kind);
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test(name)
        T(burst_and_then_the_rate),
        T(strangers_do_not_wear_a_limit_out),
        T(rate_is_one_for_all_threads),
        T(client_has_its_share_and_no_more),
        T(unknown_clients_of_one_prefix_share_one_share),
        T(reserve_is_for_known_clients),
        T(entry_is_taken_over_within_the_shares),
        T(entry_of_another_prefix_is_no_room_beyond_the_share),
        T(share_holds_over_all_workers),
        T(model),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
