/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of contexts that come and go: look-up, bound, reserved IDs, use by several threads. */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "oscore/oscore.h"
#include "oscore/recipe.h"
#include "oscore/runtime.h"

static const struct osp_hash_key key = { 1, 2 };

static struct osp_octx *
context(const char *recipient, const char *id_context)
{
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str("proxy"), .recipient_id = osp_slice_str(recipient),
                                 .has_id_context = id_context != NULL, .id_context = osp_slice_str(id_context) };
    struct osp_octx       *c = NULL;

    EXPECT_OK(osp_octx_new(&p, &c));
    return c;
}

static struct osp_octx_runtime *
table(size_t bound)
{
    struct osp_octx_runtime *l = NULL;

    EXPECT_OK(osp_octx_runtime_new(bound, key, &l));
    return l;
}

/* What is found has a reference of its own. */
static bool
finds(struct osp_octx_runtime *l, const char *kid, const char *kid_context, const struct osp_octx *want)
{
    struct osp_octx *c = osp_octx_runtime_find(l, osp_slice_str(kid), kid_context != NULL, osp_slice_str(kid_context));
    bool             same = c == want;

    osp_octx_unref(c);
    return same;
}

/* [rfc8613#5.1] */
static void
runtime_finds_by_kid_and_kid_context(void **state)
{
    struct osp_octx_runtime *l = table(8);
    struct osp_octx      *a = context("c", NULL), *b = context("c", "one"), *d = context("d", "two");

    (void)state;
    EXPECT_OK(osp_octx_runtime_add(l, a));
    EXPECT_OK(osp_octx_runtime_add(l, b));
    EXPECT_OK(osp_octx_runtime_add(l, d));
    EXPECT_ERR(OSP_E_EXISTS, osp_octx_runtime_add(l, b));
    assert_true(finds(l, "c", NULL, a));
    assert_true(finds(l, "c", "one", b));
    assert_true(finds(l, "c", "two", NULL));
    assert_true(finds(l, "d", NULL, d));
    assert_true(finds(l, "e", NULL, NULL));
    assert_int_equal(3, osp_octx_runtime_count(l));
    assert_true(osp_octx_runtime_remove(l, a));
    assert_false(osp_octx_runtime_remove(l, a));
    assert_true(finds(l, "c", NULL, b));
    osp_octx_unref(a);
    osp_octx_unref(b);
    osp_octx_unref(d);
    osp_octx_runtime_free(l);
}

static void
runtime_keeps_its_bound(void **state)
{
    struct osp_octx_runtime *l = table(2);
    struct osp_octx      *a = context("a", NULL), *b = context("b", NULL);

    (void)state;
    EXPECT_OK(osp_octx_runtime_add(l, a));
    EXPECT_OK(osp_octx_runtime_reserve(l, osp_slice_str("r")));
    EXPECT_ERR(OSP_E_OVERLOAD, osp_octx_runtime_add(l, b));
    EXPECT_ERR(OSP_E_OVERLOAD, osp_octx_runtime_reserve(l, osp_slice_str("s")));
    osp_octx_runtime_release(l, osp_slice_str("r"));
    EXPECT_OK(osp_octx_runtime_add(l, b));
    osp_octx_unref(a);
    osp_octx_unref(b);
    osp_octx_runtime_free(l);
}

/* [rfc9668#4.1.2] a Recipient ID that is being agreed on is nobody else's */
static void
runtime_reserves_an_id_once(void **state)
{
    struct osp_octx_runtime *l = table(8);
    struct osp_octx      *c = context("c", NULL);

    (void)state;
    EXPECT_OK(osp_octx_runtime_reserve(l, osp_slice_str("c")));
    EXPECT_ERR(OSP_E_EXISTS, osp_octx_runtime_reserve(l, osp_slice_str("c")));
    assert_true(finds(l, "c", NULL, NULL));
    EXPECT_OK(osp_octx_runtime_add(l, c));
    osp_octx_runtime_release(l, osp_slice_str("c"));
    EXPECT_ERR(OSP_E_EXISTS, osp_octx_runtime_reserve(l, osp_slice_str("c")));
    assert_true(finds(l, "c", NULL, c));
    EXPECT_OK(osp_octx_runtime_reserve(l, OSP_EMPTY));
    EXPECT_ERR(OSP_E_ID_LENGTH, osp_octx_runtime_reserve(l, osp_slice_str("12345678")));
    osp_octx_runtime_release(l, OSP_EMPTY);
    osp_octx_runtime_release(l, osp_slice_str("never"));
    osp_octx_unref(c);
    osp_octx_runtime_free(l);
}

/* ---- threads: a context that is taken out lives on with whoever found it ---- */

#define ROUNDS 2000

static void *
come_and_go(void *arg)
{
    struct osp_octx_runtime *l = arg;
    struct osp_octx      *c = context("x", NULL);

    for (int i = 0; i < ROUNDS; i++)
        if (osp_octx_runtime_add(l, c) == OSP_OK)
            (void)osp_octx_runtime_remove(l, c);
    osp_octx_unref(c);
    return NULL;
}

static void *
look_up(void *arg)
{
    struct osp_octx_runtime *l = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct osp_octx *c = osp_octx_runtime_find(l, osp_slice_str("x"), false, OSP_EMPTY);

        if (c && !osp_slice_eq(osp_octx_recipient_id(c), osp_slice_str("x")))
            return arg;
        osp_octx_unref(c);
    }
    return NULL;
}

static void
runtime_is_shared_by_threads(void **state)
{
    struct osp_octx_runtime *l = table(8);
    pthread_t             t[4];
    void                 *wrong[4] = { NULL };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(0, pthread_create(&t[i], NULL, i % 2 ? look_up : come_and_go, l));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_join(t[i], &wrong[i]));
        assert_null(wrong[i]);
    }
    assert_int_equal(0, osp_octx_runtime_count(l));
    osp_octx_runtime_free(l);
}

/* ---- made, and not confirmed ---- */

static struct osp_recipe *
made(const char *recipient, const char *leads_to)
{
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str("proxy"), .recipient_id = osp_slice_str(recipient) };
    struct osp_recipe       *m = NULL;

    EXPECT_OK(osp_recipe_new(&p, "plant", leads_to, &m));
    m->leads = true;
    return m;
}

static bool
leads(struct osp_octx_runtime *l, const char *purpose, const struct osp_octx *want)
{
    struct osp_octx *c = osp_octx_runtime_find_for(l, osp_slice_str(purpose));
    bool             same = c == want;

    osp_octx_unref(c);
    return same;
}

/* [rfc9528#5.4.2] */
static void
runtime_made_has_numbers_and_is_handed_out_once(void **state)
{
    struct osp_octx_runtime *l = table(8);
    struct osp_recipe      *m = made("a", "coap://one");
    struct osp_octx      *c = m->octx, *other = context("b", NULL);
    uint64_t              n;

    (void)state;
    EXPECT_OK(osp_octx_runtime_add(l, other));
    EXPECT_OK(osp_octx_runtime_add_unconfirmed(l, m, 16));
    assert_true(leads(l, "coap://one", c));
    assert_true(finds(l, "a", NULL, c));
    for (uint64_t i = 0; i < 16; i++) {
        EXPECT_OK(osp_octx_take_ssn(c, &n));
        assert_int_equal(i, n);
        assert_false(osp_octx_wants_lease(c, 100));
        assert_false(osp_octx_wants_record(c));
    }
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(c, &n));
    assert_null(osp_octx_runtime_confirm(l, other));
    assert_ptr_equal(m, osp_octx_runtime_confirm(l, c));
    assert_null(osp_octx_runtime_confirm(l, c));
    assert_false(osp_octx_wants_lease(c, 100));         /* not before somebody keeps it */
    osp_octx_lease_failed(c);
    assert_true(osp_octx_wants_lease(c, 100));
    assert_true(leads(l, "coap://one", c));
    assert_true(osp_octx_runtime_remove(l, c));
    osp_recipe_free(m);
    osp_octx_unref(other);
    osp_octx_runtime_free(l);
}

static void
runtime_made_gives_way_to_the_next_unless_it_was_confirmed(void **state)
{
    struct osp_octx_runtime *l = table(8);
    struct osp_recipe      *m[4] = { made("a", "coap://one"), made("b", "coap://one"), made("c", "coap://one"),
                                     made("d", "coap://two") };

    (void)state;
    for (int i = 0; i < 2; i++)
        EXPECT_OK(osp_octx_runtime_add_unconfirmed(l, m[i], 16));
    assert_int_equal(1, osp_octx_runtime_count(l));
    assert_true(finds(l, "a", NULL, NULL));
    assert_ptr_equal(m[1], osp_octx_runtime_confirm(l, m[1]->octx));
    for (int i = 2; i < 4; i++)
        EXPECT_OK(osp_octx_runtime_add_unconfirmed(l, m[i], 16));
    assert_int_equal(3, osp_octx_runtime_count(l));
    assert_true(leads(l, "coap://one", m[2]->octx));    /* the newest, if nothing was heard under it so far */
    assert_true(leads(l, "coap://two", m[3]->octx));
    assert_true(osp_octx_runtime_remove(l, m[2]->octx));    /* and `m` with it */
    assert_true(leads(l, "coap://one", m[1]->octx));
    m[0] = made("b", "coap://three");
    EXPECT_ERR(OSP_E_EXISTS, osp_octx_runtime_add_unconfirmed(l, m[0], 16));
    osp_recipe_free(m[0]);
    osp_recipe_free(m[1]);
    osp_octx_runtime_free(l);
}

/* ---- written down and made again ---- */

static void
made_contexts_come_back_with_the_same_keys(void **state)
{
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_secret = osp_slice_str("0123456789abcdef"), .master_salt = osp_slice_str("saltsalt"),
                                 .sender_id = osp_slice_str(""), .recipient_id = osp_slice_str("c"),
                                 .has_id_context = true, .id_context = osp_slice_str("context") };
    struct osp_recipe     *a = NULL, *b = NULL;
    uint8_t                bytes[512];
    struct osp_wr          w = osp_wr_to(bytes, sizeof(bytes));

    (void)state;
    EXPECT_OK(osp_recipe_new(&p, "meters", "kid 2b", &a));
    osp_recipe_write(a, &w);
    assert_false(osp_wr_bad(&w));
    for (size_t n = 0; n <= w.n; n++) {
        struct osp_rd r = osp_rd_from(osp_slice(bytes, n));

        EXPECT_ERR(n == w.n ? OSP_OK : OSP_E_FORMAT, osp_recipe_read(&r, &b));
    }
    EXPECT_BYTES(osp_octx_keys(a->octx).sender_key, osp_octx_keys(b->octx).sender_key);
    EXPECT_BYTES(osp_octx_keys(a->octx).recipient_key, osp_octx_keys(b->octx).recipient_key);
    EXPECT_BYTES(osp_octx_keys(a->octx).common_iv, osp_octx_keys(b->octx).common_iv);
    assert_string_equal("meters", b->name);
    assert_string_equal("kid 2b", b->peer);
    osp_recipe_wipe(a);
    for (size_t i = 0; i < sizeof(a->bytes); i++)
        assert_int_equal(0, a->bytes[i]);
    osp_recipe_free(a);
    osp_recipe_free(b);
    p.master_secret = osp_slice(bytes, OSP_RECIPE_BYTES_MAX + 1);
    EXPECT_ERR(OSP_E_INVALID, osp_recipe_new(&p, "", "", &a));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime_finds_by_kid_and_kid_context),
        cmocka_unit_test(runtime_keeps_its_bound),
        cmocka_unit_test(runtime_reserves_an_id_once),
        cmocka_unit_test(runtime_is_shared_by_threads),
        cmocka_unit_test(runtime_made_has_numbers_and_is_handed_out_once),
        cmocka_unit_test(runtime_made_gives_way_to_the_next_unless_it_was_confirmed),
        cmocka_unit_test(made_contexts_come_back_with_the_same_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
