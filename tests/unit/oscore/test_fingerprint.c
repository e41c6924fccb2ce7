/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of keys find the state of a context: equal keys have to mean an equal name, whatever they were derived from. */
#include "tests/unit/unit.h"

#include "oscore/oscore.h"

static struct osp_octx_params
params(void)
{
    return (struct osp_octx_params){ .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                     .sender_id = osp_slice_str("a"), .recipient_id = osp_slice_str("b") };
}

static struct osp_key_names
names_of(const struct osp_octx_params *p)
{
    struct osp_key_names n;
    struct osp_octx     *c;

    EXPECT_OK(osp_octx_new(p, &c));
    EXPECT_OK(osp_octx_key_names(c, &n));
    osp_octx_unref(c);
    return n;
}

static bool
is_equal(const uint8_t a[OSP_KEY_NAME_LEN], const uint8_t b[OSP_KEY_NAME_LEN])
{
    return memcmp(a, b, OSP_KEY_NAME_LEN) == 0;
}

/* True if both keys have the names that they have under the other salt; they go together. */
static bool
same(int hkdf, struct osp_slice a, struct osp_slice b)
{
    struct osp_octx_params p = params();
    struct osp_key_names   na, nb;

    p.hkdf = hkdf;
    p.master_salt = a;
    na = names_of(&p);
    p.master_salt = b;
    nb = names_of(&p);
    assert_int_equal(is_equal(na.sender, nb.sender), is_equal(na.recipient, nb.recipient));
    return is_equal(na.sender, nb.sender);
}

/* [rfc8613#7.2.1] HMAC fills its key up with zeroes to a block: 64 bytes, or 128 with SHA-512 */
static void
salts_that_give_the_same_keys_give_the_same_names(void **state)
{
    static const uint8_t salt[140] = { 's' };

    (void)state;
    for (int i = 0; i < 2; i++) {
        int    hkdf = i ? OSP_HKDF_SHA512 : OSP_HKDF_SHA256;
        size_t block = i ? 128 : 64;

        assert_true(same(hkdf, OSP_EMPTY, osp_slice("\0", 1)));
        assert_true(same(hkdf, osp_slice(salt, 1), osp_slice(salt, 3)));
        assert_true(same(hkdf, osp_slice(salt, 1), osp_slice(salt, 64)));
        assert_true(same(hkdf, osp_slice(salt, 1), osp_slice(salt, block)));
        assert_false(same(hkdf, osp_slice(salt, 1), osp_slice(salt, block + 1)));
        assert_false(same(hkdf, osp_slice(salt, block + 1), osp_slice(salt, block + 2)));
        assert_false(same(hkdf, osp_slice(salt, 1), OSP_EMPTY));
    }
    assert_true(same(OSP_HKDF_SHA512, osp_slice(salt, 65), osp_slice(salt, 128)));
}

/* [rfc8613#7.2.1] [rfc8613#7.4] the other ID has no part in a key */
static void
name_of_a_key_does_not_change_with_the_other_key(void **state)
{
    struct osp_octx_params p = params(), q = params();
    struct osp_key_names   np = names_of(&p), nq;

    (void)state;
    q.recipient_id = osp_slice_str("c");
    nq = names_of(&q);
    assert_true(is_equal(np.sender, nq.sender));
    assert_false(is_equal(np.recipient, nq.recipient));
    q = params();
    q.sender_id = osp_slice_str("c");
    nq = names_of(&q);
    assert_false(is_equal(np.sender, nq.sender));
    assert_true(is_equal(np.recipient, nq.recipient));
    q.sender_id = p.recipient_id;       /* a key has one name in both roles */
    q.recipient_id = p.sender_id;
    nq = names_of(&q);
    assert_true(is_equal(np.sender, nq.recipient) && is_equal(np.recipient, nq.sender));
}

static void
keys_that_differ_have_other_names(void **state)
{
    struct osp_octx_params p[6];
    struct osp_key_names   n[6];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        p[i] = params();
    p[1].aead = 30;
    p[2].hkdf = OSP_HKDF_SHA512;
    p[3].has_id_context = true;
    p[4].master_secret = osp_slice_str("0123456789abcdeF");
    p[5].sender_id = osp_slice_str("A");
    for (size_t i = 0; i < 6; i++) {
        n[i] = names_of(&p[i]);
        for (size_t k = 0; k < i; k++)
            assert_false(is_equal(n[i].sender, n[k].sender));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(salts_that_give_the_same_keys_give_the_same_names),
        cmocka_unit_test(name_of_a_key_does_not_change_with_the_other_key),
        cmocka_unit_test(keys_that_differ_have_other_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
