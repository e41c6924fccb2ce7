/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts that were made at run time: their limits, and what is written down of them. */
#include "tests/unit/unit.h"

#include "oscore/recipe.h"

static struct osp_recipe *
made(void)
{
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_secret = osp_slice_str("0123456789abcdef"), .master_salt = osp_slice_str("salt"),
                                 .sender_id = osp_slice_str("s"), .recipient_id = osp_slice_str("r"),
                                 .has_id_context = true, .id_context = osp_slice_str("id") };
    struct osp_recipe       *m = NULL;

    EXPECT_OK(osp_recipe_new(&p, "credential", "coap://192.0.2.7", &m));
    return m;
}

/* [key-limits#2.1.1] */
static void
made_context_stops_at_the_limits_of_its_keys(void **state)
{
    struct osp_recipe      *m = made();
    struct osp_key_limits dflt = osp_key_limits_default(OSP_AES_CCM_16_64_128);
    uint64_t              ssn;

    (void)state;
    osp_octx_lend(m->octx, 4);
    osp_octx_usage_restore(m->octx, dflt.q - 1, 0);
    EXPECT_OK(osp_octx_take_ssn(m->octx, &ssn));
    EXPECT_ERR(OSP_E_KEY_LIMIT, osp_octx_take_ssn(m->octx, &ssn));
    assert_int_equal(osp_octx_usage(m->octx).state, OSP_KEY_OVER);
    osp_recipe_free(m);
}

/* Its usage is counted from the start, so that it is asked for before the first lease. */
static void
made_context_asks_for_a_record_of_its_usage(void **state)
{
    struct osp_recipe *m = made();
    uint64_t         ssn;

    (void)state;
    osp_octx_lend(m->octx, 4);
    osp_octx_grant(m->octx, 0, 1000);
    assert_false(osp_octx_wants_record(m->octx));
    EXPECT_OK(osp_octx_take_ssn(m->octx, &ssn));
    assert_true(osp_octx_wants_record(m->octx));
    osp_recipe_free(m);
}

static void
made_context_keeps_its_purpose_when_it_is_written_down(void **state)
{
    static const bool leads[] = { true, false };

    (void)state;
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        struct osp_recipe *m = made(), *back = NULL;
        uint8_t          bytes[512];
        struct osp_wr    w = osp_wr_to(bytes, sizeof(bytes));
        struct osp_rd    r;

        m->leads = leads[i];
        osp_recipe_write(m, &w);
        r = osp_rd_from(osp_wr_slice(&w));
        EXPECT_OK(osp_recipe_read(&r, &back));
        assert_true(osp_rd_done(&r));
        assert_int_equal(back->leads, leads[i]);
        assert_string_equal(back->name, "credential");
        assert_string_equal(back->peer, "coap://192.0.2.7");
        osp_recipe_free(back);
        osp_recipe_free(m);
    }
}

static void
made_context_cut_short_is_refused(void **state)
{
    struct osp_recipe *m = made(), *back = NULL;
    uint8_t          bytes[512];
    struct osp_wr    w = osp_wr_to(bytes, sizeof(bytes));

    (void)state;
    osp_recipe_write(m, &w);
    for (size_t n = 0; n < osp_wr_slice(&w).n; n++) {
        struct osp_rd r = osp_rd_from(osp_slice(bytes, n));

        EXPECT_ERR(OSP_E_FORMAT, osp_recipe_read(&r, &back));
    }
    osp_recipe_free(m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_context_stops_at_the_limits_of_its_keys),
        cmocka_unit_test(made_context_asks_for_a_record_of_its_usage),
        cmocka_unit_test(made_context_keeps_its_purpose_when_it_is_written_down),
        cmocka_unit_test(made_context_cut_short_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
