/* SPDX-License-Identifier: BSD-2-Clause */
/* A store that strangers try to fill: contexts of the configuration get their numbers, and the oldest strangers go. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/ospreyd/log.h"
#include "tests/unit/daemon/unit_state.h"

#define BLOCK 10
#define SMALL ((size_t)1 << 20)
#define STRANGERS 3000u
#define ROUND 100u              /* strangers between two leases of the configuration's context */

static char                  dir[64];
static char                  why[OSP_STORE_WHY_MAX];
static uint8_t               secret[16] = { 1 }, id[2] = { 0x0a, 0x20 };
static char                  name[] = "plant", meter[] = "meter", file[] = "edhoc.yaml";
static struct cfg_context    context;
static struct cfg_credential trusted;
static struct osp_cfg        cfg;
static struct osp_kept      *kept;
static struct osp_state     *state;

static int
setup(void **s)
{
    (void)s;
    log_set_level(CFG_LOG_ERROR);
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-quota-XXXXXX");
    context = (struct cfg_context){ .name = name, .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256, .fresh = true,
                                    .master_secret.value = { secret, 16 }, .sender_id = { id, 1 },
                                    .recipient_id = { id + 1, 1 } };
    trusted = (struct cfg_credential){ .name = meter };
    cfg = (struct osp_cfg){ .state = mkdtemp(dir), .lease = { BLOCK }, .state_size = SMALL, .contexts = &context,
                            .context_count = 1,
                            .edhoc = { .file = file, .unknown = CFG_UNKNOWN_ACCEPT,
                                       .creds = { .trusted = &trusted, .trusted_count = 1 } } };
    return cfg.state && unit_make_state(&cfg) ? 0 : -1;
}

static int
teardown(void **s)
{
    (void)s;
    return unit_remove_store(dir);
}

static void
start(void)
{
    struct osp_kept_cfg k = { .bound = 10000, .guests = CFG_UNKNOWN_NAME };

    EXPECT_OK(osp_kept_new(&k, &kept));
    state = unit_start(&cfg, kept);
}

static void
stop(void)
{
    unit_stop(state);
    osp_kept_free(kept);
}

/* A context as EDHOC would leave it, with the longest names; false: it was not kept. */
static bool
make(const char *credential, unsigned n)
{
    char                   peer[OSP_RECIPE_PEER_MAX], master[33], kid[5];
    struct osp_recipe     *m = NULL;
    struct osp_replay      empty = { 0 };
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_salt = osp_slice_str("saltsalt"), .sender_id = osp_slice_str("P") };

    (void)snprintf(peer, sizeof(peer), "kid %0100u", n);
    (void)snprintf(master, sizeof(master), "%032u", n);
    (void)snprintf(kid, sizeof(kid), "%04u", n);
    p.master_secret = osp_slice_str(master);
    p.recipient_id = osp_slice_str(kid);
    EXPECT_OK(osp_recipe_new(&p, credential, peer, &m));
    osp_octx_set_label(m->octx, osp_kept_label(kept, credential, 0));
    osp_octx_set_window(m->octx, &empty);
    EXPECT_OK(osp_octx_runtime_add(osp_kept_runtime(kept), m->octx));
    return osp_kept_add(kept, m, (uint64_t)time(NULL));
}

static struct osp_octx *
find(unsigned n)
{
    char             kid[5];
    struct osp_octx *c;

    (void)snprintf(kid, sizeof(kid), "%04u", n);
    c = osp_octx_runtime_find(osp_kept_runtime(kept), osp_slice_str(kid), false, OSP_EMPTY);
    osp_octx_unref(c);
    return c;
}

static void
lease_of_the_configuration(void)
{
    struct osp_octx *c = osp_state_set(state)->entries[0].octx;
    uint64_t         before = osp_octx_ssn(c).limit, ssn;

    while (osp_octx_ssn(c).next < before)       /* who has numbers gets none */
        EXPECT_OK(osp_octx_take_ssn(c, &ssn));
    EXPECT_OK(osp_state_lease(state, &c, 1));
    assert_int_equal(osp_octx_ssn(c).limit, before + BLOCK);
}

static struct osp_kept_stats
stats(void)
{
    struct osp_kept_stats s;

    osp_kept_stats(kept, &s);
    return s;
}

static void
strangers_do_not_fill_the_store(void **s)
{
    size_t count;

    (void)s;
    start();
    for (unsigned n = 0; n < 5; n++)
        assert_true(make("meter", n));
    for (unsigned n = 5; n < STRANGERS; n++) {
        assert_true(make(CFG_UNKNOWN_NAME, n));
        if (n % ROUND == 0)
            lease_of_the_configuration();
    }
    lease_of_the_configuration();
    count = stats().count;
    assert_in_range(count, 100, 1000);
    assert_int_equal(stats().limit, count);
    assert_true(stats().no_room >= STRANGERS - 1000);
    for (unsigned n = 0; n < STRANGERS; n++)    /* those that somebody vouches for, and the newest strangers */
        assert_int_equal(find(n) != NULL, n < 5 || n >= STRANGERS - (count - 5));
    stop();
    start();
    assert_int_equal(stats().count, count);
    for (unsigned n = 0; n < 5; n++)
        assert_non_null(find(n));
    lease_of_the_configuration();
    stop();
}

/* A burst between two batches is written and forgotten in parts that fit. */
static void
a_burst_of_strangers_fits_too(void **s)
{
    (void)s;
    start();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned n = 0; n < 2000; n++)
            assert_true(make(CFG_UNKNOWN_NAME, round * 2000 + n));
        lease_of_the_configuration();
        while (osp_kept_is_due(kept))
            lease_of_the_configuration();
    }
    stop();
}

static void
strangers_do_not_take_the_place_of_others(void **s)
{
    unsigned n = 0;

    (void)s;
    start();
    lease_of_the_configuration();       /* from here on the room is known */
    while (stats().no_room == 0 && n < STRANGERS)
        assert_true(make("meter", n++));
    assert_true(n > 100 && n < 1000);
    assert_false(make(CFG_UNKNOWN_NAME, n));
    assert_null(find(n));
    assert_non_null(find(n - 1));
    assert_non_null(find(1));           /* 0 went for the last one that was vouched for */
    lease_of_the_configuration();
    stop();
}

/* What one batch gives back can be used in the one after the next: a store without spare pages needs a batch in between. */
static void
a_store_that_is_nearly_full_takes_batches_that_write_every_row(void **s)
{
    struct osp_store *store = NULL;
    uint8_t           key[OSP_STORE_KEY_LEN] = { 0 }, value[200] = { 0 };
    unsigned          rows = 0;

    (void)s;
    assert_int_equal(unit_remove_store(dir), 0);        /* a smaller one than that of the other tests */
    assert_int_equal(mkdir(dir, 0700), 0);
    EXPECT_OK(osp_store_create(dir, SMALL, &store, why));
    do {
        EXPECT_OK(osp_store_begin(store));
        for (unsigned i = 0; i < 8; i++, rows++) {
            key[0] = (uint8_t)(rows * 7);
            key[1] = (uint8_t)(rows >> 8);
            key[2] = (uint8_t)rows;
            EXPECT_OK(osp_store_put(store, OSP_STORE_SENDER, key, osp_slice(value, sizeof(value))));
        }
        EXPECT_OK(osp_store_commit(store));
    } while (osp_store_fill_committed(store) < 97);
    for (unsigned round = 1; round < 30; round++) {
        value[0] = (uint8_t)round;
        EXPECT_OK(osp_store_begin(store));
        for (unsigned i = 0; i < rows; i++) {
            key[0] = (uint8_t)(i * 7);
            key[1] = (uint8_t)(i >> 8);
            key[2] = (uint8_t)i;
            EXPECT_OK(osp_store_put(store, OSP_STORE_SENDER, key, osp_slice(value, sizeof(value))));
        }
        EXPECT_OK(osp_store_reserve(store));
        EXPECT_OK(osp_store_commit(store));
        assert_in_range(osp_store_fill_committed(store), 90, 100);
    }
    osp_store_close(store);
    EXPECT_OK(osp_store_open(dir, SMALL, &store, why));
    osp_store_close(store);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(strangers_do_not_fill_the_store),
        T(a_burst_of_strangers_fits_too),
        T(strangers_do_not_take_the_place_of_others),
        T(a_store_that_is_nearly_full_takes_batches_that_write_every_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
