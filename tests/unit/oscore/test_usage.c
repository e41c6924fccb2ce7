/* SPDX-License-Identifier: BSD-2-Clause */
/* How much keys are used, and the limits where that ends [key-limits#2]. */
#include "tests/unit/oscore/oscore_pair.h"

#include <pthread.h>
#include <stdlib.h>

#include "oscore/impl.h"

static void
limit(struct osp_octx *c, uint32_t q, uint32_t v, uint32_t l, bool stop)
{
    osp_octx_set_limits(c, &(struct osp_key_limits){ q, v, l, stop });
}

static enum osp_err
try_protect(struct fix *f)
{
    uint8_t       classes[OSP_MSG_OPTS_MAX];
    struct osp_wr w = osp_wr_to(f->scratch, sizeof(f->scratch));

    osp_layer_fini(&f->cl);
    EXPECT_OK(osp_classes(&to_server, &f->plain, classes));
    return osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl);
}

/* The last request again with a bit of its tag turned. */
static enum osp_err
deliver_broken(struct fix *f)
{
    struct osp_slice good = f->wire.payload;
    uint8_t          bad[2048];
    enum osp_err     e;

    assert_true(osp_slice_copy(good, bad, sizeof(bad)));
    bad[good.n - 1] ^= 1;
    f->wire.payload = osp_slice(bad, good.n);
    e = unprotect(f);
    f->wire.payload = good;
    return e;
}

/* row S12 [key-limits#2.1.1] */
static void
defaults_follow_the_length_of_the_tag(void **state)
{
    struct osp_key_limits ccm8 = osp_key_limits_default(OSP_AES_CCM_16_64_128);
    struct osp_key_limits gcm = osp_key_limits_default(OSP_AES_GCM_128);

    (void)state;
    assert_int_equal(ccm8.q, 1u << 20);
    assert_int_equal(ccm8.v, 1u << 14);
    assert_int_equal(ccm8.l, 1u << 8);
    assert_int_equal(gcm.q, 1u << 20);
    assert_int_equal(gcm.v, 1u << 20);
    assert_int_equal(gcm.l, 1u << 10);
    assert_int_equal(osp_key_limits_default(OSP_CHACHA20_POLY1305).v, 1u << 20);
    assert_int_equal(osp_key_limits_default(OSP_AES_CCM_16_128_128).l, 1u << 10);
}

/* row S12 [key-limits#2.3.1] */
static void
encryptions_end_at_q(void **state)
{
    struct fix *f = *state;

    limit(f->client, 20, 0, 0, true);
    request(f);
    for (int i = 1; i <= 20; i++) {
        EXPECT_OK(try_protect(f));
        assert_int_equal(osp_octx_usage(f->client).q, i);
        assert_int_equal(osp_octx_is_worn(f->client), i >= 18);
    }
    for (int i = 0; i < 3; i++)
        EXPECT_ERR(OSP_E_KEY_LIMIT, try_protect(f));
    assert_int_equal(osp_octx_usage(f->client).q, 20);
    assert_int_equal(osp_octx_ssn(f->client).next, 20);         /* no number is lost */
    limit(f->client, 0, 0, 0, true);
    EXPECT_OK(try_protect(f));
}

/* row S12: responses count, under the nonce of the request or their own */
static void
responses_count_as_encryptions(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp;

    limit(f->server, 3, 0, 0, true);
    osp_msg_init(&resp, OSP_CODE(2, 5));
    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    EXPECT_OK(respond(f, &resp, false));
    assert_int_equal(osp_octx_usage(f->server).q, 1);
    EXPECT_OK(respond(f, &resp, false));                        /* a further one */
    assert_int_equal(osp_octx_usage(f->server).q, 2);
    protect(f);
    EXPECT_OK(unprotect(f));
    EXPECT_OK(respond(f, &resp, false));
    EXPECT_ERR(OSP_E_KEY_LIMIT, respond(f, &resp, false));
    protect(f);
    EXPECT_ERR(OSP_E_KEY_SPENT, unprotect(f));                  /* what could not be answered is not executed */
}

/* row S12 [key-limits#2.3.2] the recommended limit itself */
static void
failed_decryptions_end_at_v_and_replays_do_not_count(void **state)
{
    struct fix           *f = *state;
    struct osp_key_limits dflt = osp_key_limits_default(10);

    dflt.stop = true;
    osp_octx_set_limits(f->server, &dflt);
    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    for (int i = 0; i < 100; i++)
        EXPECT_ERR(OSP_E_REPLAY, deliver_broken(f));
    assert_int_equal(osp_octx_usage(f->server).v, 0);
    protect(f);
    for (int i = 0; i < 1 << 14; i++)
        EXPECT_ERR(OSP_E_DECRYPT, deliver_broken(f));
    assert_int_equal(osp_octx_usage(f->server).v, 1 << 14);
    EXPECT_ERR(OSP_E_KEY_SPENT, deliver_broken(f));
    EXPECT_ERR(OSP_E_KEY_SPENT, unprotect(f));
    assert_int_equal(osp_octx_usage(f->server).v, 1 << 14);
}

/* row S12 */
static void
responses_that_do_not_decrypt_count(void **state)
{
    struct fix    *f = *state;
    struct osp_msg resp;

    limit(f->client, 0, 2, 0, true);
    osp_msg_init(&resp, OSP_CODE(2, 5));
    request(f);
    protect(f);
    EXPECT_OK(unprotect(f));
    EXPECT_OK(respond(f, &resp, false));
    for (int i = 0; i < 2; i++) {
        uint8_t          bad[64];
        struct osp_slice good = f->wire.payload;

        assert_true(osp_slice_copy(good, bad, sizeof(bad)));
        bad[0] ^= 1;
        f->wire.payload = osp_slice(bad, good.n);
        EXPECT_ERR(OSP_E_DECRYPT, receive(f));
        f->wire.payload = good;
    }
    EXPECT_ERR(OSP_E_KEY_SPENT, receive(f));
    request(f);                                                 /* what comes back could not be read */
    EXPECT_ERR(OSP_E_KEY_LIMIT, try_protect(f));
}

/* row S12 [key-limits#2.3] */
static void
messages_are_no_longer_than_l(void **state)
{
    static uint8_t body[4096];
    struct fix    *f = *state;

    limit(f->client, 0, 0, 4, true);                            /* 64 bytes with the tag of 8 */
    osp_msg_init(&f->plain, OSP_PUT);
    f->plain.payload = osp_slice(body, 54);                     /* code, marker, 54, 8 */
    EXPECT_OK(try_protect(f));
    f->plain.payload = osp_slice(body, 55);
    EXPECT_ERR(OSP_E_TOO_LARGE, try_protect(f));
    limit(f->client, 0, 0, 4, false);                           /* it is kept where the others only warn */
    EXPECT_ERR(OSP_E_TOO_LARGE, try_protect(f));
    limit(f->client, 0, 0, 0, true);
    EXPECT_OK(try_protect(f));
    drop_pair(f);
    pair(f, OSP_CHACHA20_POLY1305, NULL);
    limit(f->client, 0, 0, 1, true);                            /* its blocks have 64 bytes; a tag of 16 */
    f->plain.payload = osp_slice(body, 46);
    EXPECT_OK(try_protect(f));
    f->plain.payload = osp_slice(body, 47);
    EXPECT_ERR(OSP_E_TOO_LARGE, try_protect(f));
}

/* row S12 */
static void
context_that_only_warns_goes_on_and_says_so_once(void **state)
{
    struct fix *f = *state;
    int         worn = 0, over = 0;

    limit(f->client, 10, 0, 0, false);
    request(f);
    for (int i = 1; i <= 30; i++) {
        enum osp_key_state s;

        EXPECT_OK(try_protect(f));
        s = osp_octx_notice(f->client);
        worn += s == OSP_KEY_WORN;
        over += s == OSP_KEY_OVER;
        assert_int_equal(worn, i >= 9);
        assert_int_equal(over, i >= 10);
    }
    assert_int_equal(osp_octx_usage(f->client).q, 30);
    limit(f->client, 100, 0, 0, false);                         /* other limits: told anew */
    assert_int_equal(osp_octx_notice(f->client), OSP_KEY_FINE);
    limit(f->client, 30, 0, 0, false);
    assert_int_equal(osp_octx_notice(f->client), OSP_KEY_OVER);
}

/* row S12 */
static void
usage_asks_to_be_written_down_and_is_written_ahead(void **state)
{
    struct fix *f = *state;
    uint32_t    q, v, before;

    limit(f->client, 2560, 640, 0, true);                       /* steps of 10 each */
    request(f);
    EXPECT_OK(try_protect(f));
    assert_false(osp_octx_wants_lease(f->client, 10));          /* nobody keeps it */
    osp_octx_usage_restore(f->client, 100, 7);
    assert_int_equal(osp_octx_usage(f->client).q, 100);
    assert_int_equal(osp_octx_usage(f->client).v, 7);
    EXPECT_OK(try_protect(f));
    assert_true(osp_octx_wants_lease(f->client, 10));
    osp_octx_usage_ahead(f->client, &q, &v);
    assert_true(q == 111 && v == 7);                            /* what was not used is not rounded up */
    osp_octx_usage_kept(f->client, q, v);
    octx_count_failure(f->client);
    osp_octx_usage_ahead(f->client, &q, &v);
    assert_true(q == 111 && v == 18);
    osp_octx_usage_kept(f->client, q, v);
    osp_octx_grant(f->client, 0, 1000);
    before = osp_octx_usage(f->client).q;
    while (!osp_octx_wants_lease(f->client, 10))
        EXPECT_OK(try_protect(f));
    assert_true(osp_octx_usage(f->client).q > before && osp_octx_usage(f->client).q <= q);       /* in time */
    osp_octx_usage_ahead(f->client, &q, &v);
    for (int i = 0; i < 20; i++)                                /* used while it is being written */
        EXPECT_OK(try_protect(f));
    assert_false(osp_octx_wants_record(f->client));
    osp_octx_usage_kept(f->client, q, v);
    osp_octx_grant(f->client, 0, 1000);
    assert_true(osp_octx_wants_record(f->client));
    assert_false(osp_octx_wants_record(f->client));             /* asked once */
    osp_octx_usage_ahead(f->client, &q, &v);
    osp_octx_usage_kept(f->client, q, v);
    osp_octx_grant(f->client, 0, 1000);
    assert_false(osp_octx_wants_record(f->client));
}

#define THREADS 4
#define EACH 20000

static void *
use(void *arg)
{
    struct osp_octx *c = arg;
    uint64_t         n;

    for (int i = 0; i < EACH; i++) {
        if (osp_octx_take_ssn(c, &n) == OSP_E_NO_LEASE)
            break;                      /* there are enough */
        (void)octx_admit_seal(c);
        octx_count_failure(c);
    }
    return NULL;
}

/* row S12: exact, whoever counts */
static void
counts_of_threads_add_up_and_none_passes_the_limit(void **state)
{
    struct fix *f = *state;
    pthread_t   t[THREADS];

    osp_octx_grant(f->client, 0, 1u << 30);
    for (int round = 0; round < 2; round++) {
        osp_octx_usage_restore(f->client, 0, 0);
        limit(f->client, round ? 50000 : 0, 0, 0, true);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&t[i], NULL, use, f->client), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(t[i], NULL);
        assert_int_equal(osp_octx_usage(f->client).q, round ? 50000 : 2 * THREADS * EACH);
        assert_int_equal(osp_octx_usage(f->client).v, THREADS * EACH);
    }
}

static atomic_bool protecting;

static void *
reload(void *arg)
{
    while (atomic_load(&protecting)) {
        limit(arg, 0, 0, 8, true);
        limit(arg, 0, 0, 4, true);
    }
    return NULL;
}

/* A reload sets the limits of a context that workers are using: `make check-tsan` sees whether that is a data race. */
static void
limits_change_while_messages_are_protected(void **state)
{
    struct fix   *f = *state;
    pthread_t     t;
    enum osp_err  e;
    static uint8_t body[60];

    osp_octx_grant(f->client, 0, 1u << 30);
    osp_msg_init(&f->plain, OSP_PUT);
    f->plain.payload = osp_slice(body, sizeof(body));           /* fits a limit of 8 blocks, and none of 4 */
    limit(f->client, 0, 0, 8, true);
    atomic_store(&protecting, true);
    assert_int_equal(pthread_create(&t, NULL, reload, f->client), 0);
    for (int i = 0; i < 20000; i++) {
        e = try_protect(f);
        assert_true(e == OSP_OK || e == OSP_E_TOO_LARGE);
    }
    atomic_store(&protecting, false);
    pthread_join(t, NULL);
    EXPECT_ERR(OSP_E_TOO_LARGE, try_protect(f));
}

#define T(test) cmocka_unit_test_setup_teardown(test, pair_setup, pair_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(defaults_follow_the_length_of_the_tag),
        T(encryptions_end_at_q),
        T(responses_count_as_encryptions),
        T(failed_decryptions_end_at_v_and_replays_do_not_count),
        T(responses_that_do_not_decrypt_count),
        T(messages_are_no_longer_than_l),
        T(context_that_only_warns_goes_on_and_says_so_once),
        T(usage_asks_to_be_written_down_and_is_written_ahead),
        T(counts_of_threads_add_up_and_none_passes_the_limit),
        T(limits_change_while_messages_are_protected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
