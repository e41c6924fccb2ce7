/* SPDX-License-Identifier: BSD-2-Clause */
/* The fingerprint finds the state of a context: equal keys have to mean an equal fingerprint. */
#include "unit.h"

#include "oscore/oscore.h"

static bool
same(struct osp_slice a, struct osp_slice b)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str("a"), .recipient_id = osp_slice_str("b") };
    struct osp_octx       *ca, *cb;
    uint8_t                fa[32], fb[32];
    bool                   equal;

    p.master_salt = a;
    EXPECT_OK(osp_octx_fingerprint(&p, fa));
    EXPECT_OK(osp_octx_new(&p, &ca));
    p.master_salt = b;
    EXPECT_OK(osp_octx_fingerprint(&p, fb));
    EXPECT_OK(osp_octx_new(&p, &cb));
    equal = memcmp(fa, fb, sizeof(fa)) == 0;
    assert_int_equal(equal, osp_slice_eq(osp_octx_keys(ca).sender_key, osp_octx_keys(cb).sender_key));
    osp_octx_unref(ca);
    osp_octx_unref(cb);
    return equal;
}

/* [rfc8613#7.2.1] */
static void
salts_that_give_the_same_keys_share_a_fingerprint(void **state)
{
    static const uint8_t salt[80] = { 's' };

    (void)state;
    assert_true(same(OSP_EMPTY, osp_slice("\0", 1)));
    assert_true(same(osp_slice(salt, 1), osp_slice(salt, 3)));
    assert_true(same(osp_slice(salt, 1), osp_slice(salt, 64)));
    assert_false(same(osp_slice(salt, 1), osp_slice(salt, 65)));
    assert_false(same(osp_slice(salt, 65), osp_slice(salt, 66)));
    assert_false(same(osp_slice(salt, 1), OSP_EMPTY));
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(salts_that_give_the_same_keys_share_a_fingerprint) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
