/* SPDX-License-Identifier: BSD-2-Clause */
/* Security contexts and the table that finds them: parameters, numbers, windows, Echo, sharing between threads. */
#include "tests/unit/unit.h"

#include <malloc.h>
#include <pthread.h>

#include "oscore/configured.h"
#include "oscore/impl.h"

static struct osp_octx_params
params(void)
{
    return (struct osp_octx_params){ .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                     .master_secret = osp_slice_str("0123456789abcdef"),
                                     .master_salt = osp_slice_str("salt"),
                                     .sender_id = osp_slice_str("s"), .recipient_id = osp_slice_str("c") };
}

static struct osp_octx *
make(const struct osp_octx_params *p)
{
    struct osp_octx *c = NULL;

    EXPECT_OK(osp_octx_new(p, &c));
    return c;
}

static struct osp_octx *
fresh(void)
{
    struct osp_octx_params p = params();
    return make(&p);
}

static void
count_up(void *ctx, uint8_t *dst, size_t n)
{
    uint8_t *next = ctx;

    for (size_t i = 0; i < n; i++)
        dst[i] = (*next)++;
}

/* ---- parameters ---- */

/* [rfc8613#3.3] */
static void
context_refuses_bad_parameters(void **state)
{
    struct osp_octx_params p = params();
    struct osp_octx       *c = NULL;
    uint8_t                long_context[256] = { 0 };

    (void)state;
    p.sender_id = osp_slice_str("12345678");
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p = params();
    p.recipient_id = osp_slice_str("12345678");
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p = params();
    p.recipient_id = p.sender_id;               /* two equal IDs: both ends would use one key */
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p.sender_id = p.recipient_id = OSP_EMPTY;
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p = params();
    p.sender_id = osp_slice_str("ab");
    p.aead = OSP_AES_CCM_64_64_128;             /* nonce of 7 bytes: IDs of one */
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p = params();
    p.sender_id = osp_slice_str("1234567");
    p.aead = OSP_AES_GCM_128;                   /* nonce of 12 bytes: IDs of six */
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    p = params();
    p.aead = 99;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_octx_new(&p, &c));
    p = params();
    p.hkdf = 5;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_octx_new(&p, &c));
    p = params();
    p.has_id_context = true;
    p.id_context = osp_slice(long_context, sizeof(long_context));       /* its length would not fit the option */
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_new(&p, &c));
    assert_null(c);
}

static void
context_keeps_the_longest_parameters(void **state)
{
    uint8_t                id_context[255] = { 7 };
    struct osp_octx_params p = params();
    struct osp_octx       *c;
    struct osp_slice       got;

    (void)state;
    p.sender_id = osp_slice_str("1234567");
    p.recipient_id = OSP_EMPTY;
    p.has_id_context = true;
    p.id_context = osp_slice(id_context, sizeof(id_context));
    p.label = 42;
    c = make(&p);
    EXPECT_BYTES(p.sender_id, osp_octx_sender_id(c));
    EXPECT_BYTES(p.recipient_id, osp_octx_recipient_id(c));
    assert_true(osp_octx_id_context(c, &got));
    EXPECT_BYTES(p.id_context, got);
    assert_int_equal(osp_octx_label(c), 42);
    osp_octx_set_label(c, 43);
    assert_int_equal(osp_octx_label(c), 43);
    assert_int_equal(osp_octx_aead(c), 10);
    osp_octx_unref(c);
    c = fresh();
    assert_false(osp_octx_id_context(c, &got));
    osp_octx_unref(c);
}

/* An absent ID Context, an empty one and another one derive three sets of keys [rfc8613#3.2.1]. */
static void
context_keys_depend_on_the_id_context(void **state)
{
    struct osp_octx_params p = params();
    struct osp_octx       *c[3];

    (void)state;
    c[0] = make(&p);
    p.has_id_context = true;
    c[1] = make(&p);
    p.id_context = osp_slice_str("x");
    c[2] = make(&p);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(osp_slice_eq(osp_octx_keys(c[i]).sender_key, osp_octx_keys(c[k]).sender_key));
    for (size_t i = 0; i < 3; i++)
        osp_octx_unref(c[i]);
}

/* What one end sends with, the other receives with. */
static void
context_of_the_peer_mirrors_the_keys(void **state)
{
    static const int       aeads[] = { 1, 2, 3, 10, 11, 12, 13, 24, 30, 31, 32, 33 };
    static const int       hkdfs[] = { OSP_HKDF_SHA256, OSP_HKDF_SHA512 };

    (void)state;
    for (size_t i = 0; i < 24; i++) {
        struct osp_octx_params p = params();
        struct osp_octx       *a, *b;
        struct osp_octx_keys   ka, kb;

        p.aead = aeads[i / 2];
        p.hkdf = hkdfs[i % 2];
        a = make(&p);
        p.sender_id = osp_slice_str("c");
        p.recipient_id = osp_slice_str("s");
        b = make(&p);
        ka = osp_octx_keys(a);
        kb = osp_octx_keys(b);
        EXPECT_BYTES(ka.sender_key, kb.recipient_key);
        EXPECT_BYTES(ka.recipient_key, kb.sender_key);
        EXPECT_BYTES(ka.common_iv, kb.common_iv);
        assert_false(osp_slice_eq(ka.sender_key, ka.recipient_key));
        assert_int_equal(ka.sender_key.n, osp_aead_info(p.aead)->key_len);
        assert_int_equal(ka.common_iv.n, osp_aead_info(p.aead)->nonce_len);
        osp_octx_unref(a);
        osp_octx_unref(b);
    }
}

static void
fingerprint_covers_every_parameter_and_its_length(void **state)
{
    struct osp_octx_params p[16];
    uint8_t                prints[16][32], again[32];
    size_t                 n = 0;

    (void)state;
    for (size_t i = 0; i < 16; i++)
        p[i] = params();
    n++;
    p[n++].aead = OSP_AES_CCM_16_64_256;
    p[n++].hkdf = OSP_HKDF_SHA512;
    p[n++].master_secret = osp_slice_str("0123456789abcdeF");
    p[n++].master_salt = OSP_EMPTY;
    p[n++].master_salt = osp_slice_str("sal");          /* ... and a byte moved over to its neighbour */
    p[n - 1].sender_id = osp_slice_str("ts");
    p[n++].sender_id = osp_slice_str("sc");
    p[n - 1].recipient_id = OSP_EMPTY;
    p[n].sender_id = osp_slice_str("c");
    p[n++].recipient_id = osp_slice_str("s");
    p[n++].has_id_context = true;
    p[n].has_id_context = true;
    p[n++].id_context = osp_slice_str("x");
    for (size_t i = 0; i < n; i++) {
        EXPECT_OK(osp_octx_fingerprint(&p[i], prints[i]));
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(prints[i], prints[k], 32);
    }
    p[0].label = 9;                                     /* the owner's business, not the peer's */
    EXPECT_OK(osp_octx_fingerprint(&p[0], again));
    assert_memory_equal(again, prints[0], 32);
}

/* The budget is 256 bytes resident for an idle context with its two slots (half full) in the table. */
static void
idle_context_is_small(void **state)
{
    struct osp_octx *c = fresh();

    (void)state;
    if (sizeof(*c) + 2 * 16 + 16 + 4 * sizeof(void *) > 256)
        fail_msg("a context takes %zu bytes", sizeof(*c));
#if !defined(__SANITIZE_ADDRESS__)
    assert_in_range(malloc_usable_size(c) + 8, 0, 256 - 4 * sizeof(void *));
#endif
    osp_octx_unref(c);
}

/* ---- sender sequence numbers ---- */

/* [rfc8613#B.1.1] */
static void
numbers_are_given_only_below_the_limit(void **state)
{
    struct osp_octx *c = fresh();
    uint64_t         n = 77;

    (void)state;
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(c, &n));
    assert_int_equal(n, 77);
    osp_octx_grant(c, 0, 2);
    EXPECT_OK(osp_octx_take_ssn(c, &n));
    assert_int_equal(n, 0);
    EXPECT_OK(osp_octx_take_ssn(c, &n));
    assert_int_equal(n, 1);
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(c, &n));
    assert_int_equal(osp_octx_ssn(c).next, 2);
    assert_int_equal(osp_octx_ssn(c).limit, 2);
    osp_octx_unref(c);
}

static void
grant_never_lowers_limit_or_number(void **state)
{
    struct osp_octx *c = fresh();
    uint64_t         n = 0;

    (void)state;
    osp_octx_grant(c, 10, 20);
    EXPECT_OK(osp_octx_take_ssn(c, &n));
    assert_int_equal(n, 10);
    osp_octx_grant(c, 5, 15);                   /* comes late, or twice */
    assert_int_equal(osp_octx_ssn(c).next, 11);
    assert_int_equal(osp_octx_ssn(c).limit, 20);
    osp_octx_grant(c, 30, 25);                  /* next beyond the limit: nothing to give */
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(c, &n));
    osp_octx_unref(c);
}

/* row S10 */
/* [rfc8613#7.2.1] */
static void
numbers_end_at_two_to_the_forty(void **state)
{
    struct osp_octx *c = fresh();
    uint64_t         n = 0;

    (void)state;
    osp_octx_grant(c, OSP_PIV_MAX - 1, UINT64_MAX);
    assert_int_equal(osp_octx_ssn(c).limit, OSP_PIV_MAX + 1);
    EXPECT_OK(osp_octx_take_ssn(c, &n));
    assert_int_equal(n, OSP_PIV_MAX - 1);
    EXPECT_OK(osp_octx_take_ssn(c, &n));
    assert_int_equal(n, OSP_PIV_MAX);
    for (int i = 0; i < 3; i++)
        EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_octx_take_ssn(c, &n));
    assert_false(osp_octx_wants_lease(c, 1000));        /* there is none to have */
    osp_octx_grant(c, 0, UINT64_MAX);
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_octx_take_ssn(c, &n));
    osp_octx_unref(c);
}

static void
lease_is_wanted_once_until_granted_or_failed(void **state)
{
    struct osp_octx *c = fresh();
    uint64_t         n;

    (void)state;
    assert_true(osp_octx_wants_lease(c, 2));
    assert_false(osp_octx_wants_lease(c, 2));
    osp_octx_lease_failed(c);
    assert_true(osp_octx_wants_lease(c, 2));
    osp_octx_grant(c, 0, 4);
    assert_false(osp_octx_wants_lease(c, 2));
    EXPECT_OK(osp_octx_take_ssn(c, &n));
    assert_false(osp_octx_wants_lease(c, 2));
    EXPECT_OK(osp_octx_take_ssn(c, &n));
    assert_true(osp_octx_wants_lease(c, 2));
    assert_false(osp_octx_wants_lease(c, 2));
    osp_octx_unref(c);
}

#define THREADS 2
#define EACH 20000

struct taker { struct osp_octx *c; uint64_t got[EACH]; pthread_t thread; };

static void *
take_many(void *arg)
{
    struct taker *t = arg;

    for (size_t i = 0; i < EACH; i++)
        if (osp_octx_take_ssn(t->c, &t->got[i]) != OSP_OK)
            t->got[i] = UINT64_MAX;
    return NULL;
}

static void
number_is_never_given_to_two_threads(void **state)
{
    static struct taker t[THREADS];
    static bool         seen[THREADS * EACH];
    struct osp_octx    *c = fresh();

    (void)state;
    osp_octx_grant(c, 0, THREADS * EACH);
    for (size_t i = 0; i < THREADS; i++) {
        t[i].c = c;
        assert_int_equal(pthread_create(&t[i].thread, NULL, take_many, &t[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(t[i].thread, NULL);
    for (size_t i = 0; i < THREADS * EACH; i++) {
        uint64_t n = t[i / EACH].got[i % EACH];

        assert_true(n < THREADS * EACH && !seen[n]);
        seen[n] = true;
    }
    osp_octx_unref(c);
}

/* ---- replay window, shared ---- */

struct receiver { struct osp_octx *c; uint32_t accepted[EACH]; pthread_t thread; };

static void *
receive_many(void *arg)
{
    struct receiver *r = arg;
    struct osp_msg   m;

    osp_msg_init(&m, OSP_GET);
    for (uint64_t piv = 0; piv < EACH; piv++)
        if (octx_may_open(r->c, piv) == OSP_OK && octx_window_commit(r->c, piv, &m) == OSP_OK)
            r->accepted[piv]++;
    return NULL;
}

/* [rfc8613#7.4] validating and updating is one step */
static void
piv_is_never_accepted_by_two_threads(void **state)
{
    static struct receiver r[THREADS];
    struct osp_octx       *c = fresh();

    (void)state;
    osp_octx_set_window(c, &(struct osp_replay){ 0 });
    for (size_t i = 0; i < THREADS; i++) {
        r[i].c = c;
        assert_int_equal(pthread_create(&r[i].thread, NULL, receive_many, &r[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(r[i].thread, NULL);
    for (size_t piv = 0; piv < EACH; piv++) {
        uint32_t times = 0;

        for (size_t i = 0; i < THREADS; i++)
            times += r[i].accepted[piv];
        assert_in_range(times, 0, 1);
    }
    osp_octx_unref(c);
}

static void
window_is_unknown_until_set(void **state)
{
    struct osp_octx  *c = fresh();
    struct osp_replay w = { 9, 9 }, saved = { 41, 0x5 };

    (void)state;
    assert_int_equal(osp_octx_get_window(c, &w), OSP_WINDOW_UNKNOWN);
    osp_octx_set_window(c, &saved);
    assert_int_equal(osp_octx_get_window(c, &w), OSP_WINDOW_KNOWN);
    assert_int_equal(w.next, 41);
    assert_int_equal(w.seen, 5);
    assert_false(octx_may_open(c, 40) == OSP_OK);
    assert_true(octx_may_open(c, 39) == OSP_OK);
    osp_octx_unref(c);
}

/* ---- Echo [rfc8613#B.1.2] ---- */

static enum osp_err
prove(struct osp_octx *c, uint64_t piv, struct osp_slice echo, struct osp_msg *m)
{
    osp_msg_init(m, OSP_GET);
    EXPECT_OK(osp_msg_add(m, OSP_OPT_ECHO, echo));
    return octx_window_commit(c, piv, m);
}

static void
only_the_whole_echo_opens_an_unknown_window(void **state)
{
    struct osp_octx   *c = fresh();
    struct osp_randbuf rand;
    struct osp_replay  w;
    struct osp_msg     m;
    uint8_t            next = 1, echo[OSP_ECHO_LEN], wrong[OSP_ECHO_LEN + 1], zero[OSP_ECHO_LEN] = { 0 };

    (void)state;
    osp_randbuf_init(&rand, (struct osp_rand){ count_up, &next });
    /* before a challenge was made, nothing is right, not even what the memory holds */
    EXPECT_ERR(OSP_E_NOT_FRESH, prove(c, 5, osp_slice(zero, sizeof(zero)), &m));
    EXPECT_ERR(OSP_E_NOT_FRESH, prove(c, 5, OSP_EMPTY, &m));
    osp_oscore_challenge(c, &rand, echo, &m);
    assert_int_equal(m.code, OSP_CODE(4, 1));
    assert_int_equal(m.opt_count, 1);
    assert_int_equal(m.payload.n, 0);
    for (size_t i = 0; i < OSP_ECHO_LEN; i++) {
        memcpy(wrong, echo, sizeof(echo));
        wrong[i] ^= 1;
        EXPECT_ERR(OSP_E_NOT_FRESH, prove(c, 5, osp_slice(wrong, OSP_ECHO_LEN), &m));
        EXPECT_ERR(OSP_E_NOT_FRESH, prove(c, 5, osp_slice(echo, i), &m));
    }
    memcpy(wrong, echo, sizeof(echo));
    wrong[OSP_ECHO_LEN] = 0;
    EXPECT_ERR(OSP_E_NOT_FRESH, prove(c, 5, osp_slice(wrong, sizeof(wrong)), &m));
    osp_msg_init(&m, OSP_GET);
    EXPECT_ERR(OSP_E_NOT_FRESH, octx_window_commit(c, 5, &m));
    assert_int_equal(osp_octx_get_window(c, &w), OSP_WINDOW_UNKNOWN);
    EXPECT_OK(prove(c, 5, osp_slice(echo, sizeof(echo)), &m));
    assert_false(osp_msg_has(&m, OSP_OPT_ECHO));
    assert_int_equal(osp_octx_get_window(c, &w), OSP_WINDOW_KNOWN);
    for (uint64_t piv = 0; piv <= 5; piv++)             /* the window begins behind that request */
        assert_false(octx_may_open(c, piv) == OSP_OK);
    assert_true(octx_may_open(c, 6) == OSP_OK);
    osp_octx_unref(c);
}

/* What an attacker provokes between challenge and answer changes nothing, and a value proves once. */
static void
echo_stays_until_proven_and_is_new_after(void **state)
{
    struct osp_octx   *c = fresh();
    struct osp_randbuf rand;
    struct osp_msg     m;
    uint8_t            next = 1, first[OSP_ECHO_LEN], second[OSP_ECHO_LEN];

    (void)state;
    osp_randbuf_init(&rand, (struct osp_rand){ count_up, &next });
    osp_oscore_challenge(c, &rand, first, &m);
    for (int i = 0; i < 100; i++) {
        osp_oscore_challenge(c, &rand, second, &m);
        assert_memory_equal(first, second, OSP_ECHO_LEN);
    }
    EXPECT_OK(prove(c, 5, osp_slice(first, sizeof(first)), &m));
    EXPECT_ERR(OSP_E_REPLAY, prove(c, 5, osp_slice(first, sizeof(first)), &m));
    osp_oscore_challenge(c, &rand, second, &m);
    assert_memory_not_equal(first, second, OSP_ECHO_LEN);
    osp_octx_unref(c);
}

static void
setting_the_window_ends_the_challenge(void **state)
{
    struct osp_octx   *c = fresh();
    struct osp_randbuf rand;
    struct osp_msg     m;
    uint8_t            next = 1, echo[OSP_ECHO_LEN];

    (void)state;
    osp_randbuf_init(&rand, (struct osp_rand){ count_up, &next });
    osp_oscore_challenge(c, &rand, echo, &m);
    osp_octx_set_window(c, &(struct osp_replay){ 100, 1 });
    EXPECT_ERR(OSP_E_REPLAY, prove(c, 99, osp_slice(echo, sizeof(echo)), &m));
    EXPECT_OK(prove(c, 98, osp_slice(echo, sizeof(echo)), &m));
    assert_true(osp_msg_has(&m, OSP_OPT_ECHO));         /* it proved nothing, so it is the peer's own business */
    assert_false(octx_may_open(c, 60) == OSP_OK);          /* and did not start the window anew */
    assert_true(octx_may_open(c, 97) == OSP_OK);
    osp_octx_unref(c);
}

/* ---- table ---- */

static const struct osp_hash_key hash_key = { 1, 2 };

/* row S14 */
/* [rfc8613#5.1] */
static void
equal_kids_are_told_apart_by_kid_context(void **state)
{
    struct osp_octx_params p = params();
    struct osp_octx_configured *t;
    struct osp_octx            *a, *b, *c, *d;
    struct osp_slice       kid = osp_slice_str("c");

    (void)state;
    EXPECT_OK(osp_octx_configured_new(4, hash_key, &t));
    a = make(&p);
    p.has_id_context = true;
    p.id_context = osp_slice_str("one");
    b = make(&p);
    EXPECT_OK(osp_octx_configured_add(t, b));
    EXPECT_ERR(OSP_E_EXISTS, osp_octx_configured_add(t, b));
    assert_ptr_equal(osp_octx_configured_find(t, kid, false, OSP_EMPTY), b);    /* the only one with that kid */
    EXPECT_OK(osp_octx_configured_add(t, a));
    p.id_context = osp_slice_str("two");
    c = make(&p);
    EXPECT_OK(osp_octx_configured_add(t, c));
    assert_ptr_equal(osp_octx_configured_find(t, kid, false, OSP_EMPTY), a);
    assert_ptr_equal(osp_octx_configured_find(t, kid, true, osp_slice_str("one")), b);
    assert_ptr_equal(osp_octx_configured_find(t, kid, true, osp_slice_str("two")), c);
    assert_null(osp_octx_configured_find(t, kid, true, osp_slice_str("three")));
    assert_null(osp_octx_configured_find(t, kid, true, OSP_EMPTY));
    assert_null(osp_octx_configured_find(t, osp_slice_str("d"), false, OSP_EMPTY));
    assert_null(osp_octx_configured_find(t, OSP_EMPTY, false, OSP_EMPTY));
    p.id_context = OSP_EMPTY;                           /* empty is not absent */
    d = make(&p);
    EXPECT_OK(osp_octx_configured_add(t, d));
    assert_ptr_equal(osp_octx_configured_find(t, kid, true, OSP_EMPTY), d);
    assert_ptr_equal(osp_octx_configured_find(t, kid, false, OSP_EMPTY), a);
    assert_int_equal(osp_octx_configured_count(t), 4);
    osp_octx_unref(a);
    osp_octx_unref(b);
    osp_octx_unref(c);
    osp_octx_unref(d);
    osp_octx_configured_free(t);
}

/* Two with an ID Context and none without: a request that does not say which names neither. */
static void
ambiguous_kid_finds_nothing(void **state)
{
    struct osp_octx_params p = params();
    struct osp_octx_configured *t;
    struct osp_octx            *c[2];

    (void)state;
    EXPECT_OK(osp_octx_configured_new(2, hash_key, &t));
    p.has_id_context = true;
    p.id_context = osp_slice_str("one");
    c[0] = make(&p);
    p.id_context = osp_slice_str("two");
    c[1] = make(&p);
    for (size_t i = 0; i < 2; i++)
        EXPECT_OK(osp_octx_configured_add(t, c[i]));
    assert_null(osp_octx_configured_find(t, osp_slice_str("c"), false, OSP_EMPTY));
    for (size_t i = 0; i < 2; i++)
        osp_octx_unref(c[i]);
    osp_octx_configured_free(t);
}

static void
table_finds_each_of_many_and_stops_at_its_bound(void **state)
{
    enum { N = 300 };
    struct osp_octx_params p = params();
    struct osp_octx_configured *t;
    size_t                      added = 0;

    (void)state;
    EXPECT_OK(osp_octx_configured_new(N, hash_key, &t));
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t          id[3] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };
        struct osp_octx *c;
        enum osp_err     e;

        p.recipient_id = osp_slice(id, sizeof(id));
        c = make(&p);
        e = osp_octx_configured_add(t, c);
        osp_octx_unref(c);                              /* the table holds its own reference */
        if (e == OSP_E_NOMEM)
            break;
        EXPECT_OK(e);
        added++;
    }
    assert_in_range(added, N, 2 * N);
    assert_int_equal(osp_octx_configured_count(t), added);
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t          id[3] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };
        struct osp_octx *c = osp_octx_configured_find(t, osp_slice(id, sizeof(id)), false, OSP_EMPTY);

        assert_int_equal(c != NULL, i < added);
        if (c)
            EXPECT_BYTES(osp_slice(id, sizeof(id)), osp_octx_recipient_id(c));
    }
    osp_octx_configured_free(t);
    osp_octx_configured_free(NULL);
}

static void
kid_longer_than_any_id_finds_nothing(void **state)
{
    struct osp_octx_configured *t;
    struct osp_octx       *c = fresh();
    uint8_t                kid[254] = { 'c' };

    (void)state;
    EXPECT_OK(osp_octx_configured_new(1, hash_key, &t));
    EXPECT_OK(osp_octx_configured_add(t, c));
    for (size_t n = 2; n <= sizeof(kid); n++)
        assert_null(osp_octx_configured_find(t, osp_slice(kid, n), false, OSP_EMPTY));
    assert_ptr_equal(osp_octx_configured_find(t, osp_slice(kid, 1), false, OSP_EMPTY), c);
    osp_octx_unref(c);
    osp_octx_configured_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_refuses_bad_parameters),
        cmocka_unit_test(context_keeps_the_longest_parameters),
        cmocka_unit_test(context_keys_depend_on_the_id_context),
        cmocka_unit_test(context_of_the_peer_mirrors_the_keys),
        cmocka_unit_test(fingerprint_covers_every_parameter_and_its_length),
        cmocka_unit_test(idle_context_is_small),
        cmocka_unit_test(numbers_are_given_only_below_the_limit),
        cmocka_unit_test(grant_never_lowers_limit_or_number),
        cmocka_unit_test(numbers_end_at_two_to_the_forty),
        cmocka_unit_test(lease_is_wanted_once_until_granted_or_failed),
        cmocka_unit_test(number_is_never_given_to_two_threads),
        cmocka_unit_test(piv_is_never_accepted_by_two_threads),
        cmocka_unit_test(window_is_unknown_until_set),
        cmocka_unit_test(only_the_whole_echo_opens_an_unknown_window),
        cmocka_unit_test(echo_stays_until_proven_and_is_new_after),
        cmocka_unit_test(setting_the_window_ends_the_challenge),
        cmocka_unit_test(equal_kids_are_told_apart_by_kid_context),
        cmocka_unit_test(ambiguous_kid_finds_nothing),
        cmocka_unit_test(table_finds_each_of_many_and_stops_at_its_bound),
        cmocka_unit_test(kid_longer_than_any_id_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
