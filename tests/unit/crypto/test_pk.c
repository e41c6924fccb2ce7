/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "crypto/digest.h"
#include "crypto/pk.h"

static struct osp_slice
hex(const char *text, uint8_t *buf)
{
    size_t n = 0;

    assert_true(osp_hex_decode(osp_slice_str(text), buf, 256, &n));
    return osp_slice(buf, n);
}

/* RFC 5869, A.1 */
static void
hkdf_halves_give_the_published_values(void **state)
{
    uint8_t          a[256], b[256], c[256], prk[64], okm[42];
    struct osp_slice ikm = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", a);
    struct osp_slice salt = hex("000102030405060708090a0b0c", b);

    (void)state;
    EXPECT_OK(osp_hkdf_extract(OSP_SHA256, salt, ikm, prk));
    EXPECT_BYTES(hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", c), osp_slice(prk, 32));
    EXPECT_OK(osp_hkdf_expand(OSP_SHA256, osp_slice(prk, 32), hex("f0f1f2f3f4f5f6f7f8f9", b), okm, sizeof(okm)));
    EXPECT_BYTES(hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865", c),
                 osp_slice(okm, sizeof(okm)));
    /* A.3: no salt, no info */
    EXPECT_OK(osp_hkdf_extract(OSP_SHA256, OSP_EMPTY, ikm, prk));
    EXPECT_BYTES(hex("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", c), osp_slice(prk, 32));
    EXPECT_OK(osp_hkdf_expand(OSP_SHA256, osp_slice(prk, 32), OSP_EMPTY, okm, sizeof(okm)));
    EXPECT_BYTES(hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8", c),
                 osp_slice(okm, sizeof(okm)));
    EXPECT_ERR(OSP_E_ALGORITHM, osp_hkdf_expand(0, osp_slice(prk, 32), OSP_EMPTY, okm, sizeof(okm)));
}

/* RFC 8032, 7.1, test 2 */
static void
ed25519_signs_and_verifies_the_published_message(void **state)
{
    uint8_t          a[256], b[256], c[256], d[256], pair_priv[32], pub[64], sig[64];
    struct osp_slice priv = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", a);
    struct osp_slice want = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", b);
    struct osp_slice msg = hex("72", c);

    (void)state;
    EXPECT_OK(osp_pk_pair(OSP_ED25519, priv.p, pair_priv, pub));
    EXPECT_BYTES(want, osp_slice(pub, 32));
    EXPECT_OK(osp_pk_sign(OSP_EDDSA, priv.p, msg, sig));
    EXPECT_BYTES(hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00", d), osp_slice(sig, 64));
    EXPECT_OK(osp_pk_verify(OSP_EDDSA, want, msg, osp_slice(sig, 64)));
    for (int i = 0; i < 64; i++) {
        sig[i] ^= 1;
        EXPECT_ERR(OSP_E_DECRYPT, osp_pk_verify(OSP_EDDSA, want, msg, osp_slice(sig, 64)));
        sig[i] ^= 1;
    }
    EXPECT_ERR(OSP_E_DECRYPT, osp_pk_verify(OSP_EDDSA, want, OSP_EMPTY, osp_slice(sig, 64)));
    EXPECT_ERR(OSP_E_DECRYPT, osp_pk_verify(OSP_EDDSA, want, msg, osp_slice(sig, 63)));
    EXPECT_ERR(OSP_E_INVALID, osp_pk_verify(OSP_EDDSA, osp_slice(pub, 31), msg, osp_slice(sig, 64)));
}

/* the second public key is that of RFC 7748, 6.1 */
static void
x25519_agrees_on_both_sides(void **state)
{
    uint8_t          a[256], b[256], c[256], out[32], zero[32] = { 0 };
    struct osp_slice alice = hex("77076d0a7318a57d3c16c17251b26645df4cf7a8b5a0a1f7d9a5f7b2a5c3e0f1", a);
    uint8_t          pa[32], pb[32], A[64], B[64], s1[32], s2[32];

    (void)state;
    /* both sides agree, whatever the keys */
    EXPECT_OK(osp_pk_pair(OSP_X25519, alice.p, pa, A));
    EXPECT_OK(osp_pk_pair(OSP_X25519, hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b).p, pb, B));
    EXPECT_BYTES(hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", c), osp_slice(B, 32));
    EXPECT_OK(osp_pk_shared(OSP_X25519, pa, osp_slice(B, 32), s1));
    EXPECT_OK(osp_pk_shared(OSP_X25519, pb, osp_slice(A, 32), s2));
    EXPECT_BYTES(osp_slice(s1, 32), osp_slice(s2, 32));
    EXPECT_ERR(OSP_E_INVALID, osp_pk_shared(OSP_X25519, pa, osp_slice(zero, 32), out));
    EXPECT_ERR(OSP_E_INVALID, osp_pk_shared(OSP_X25519, pa, osp_slice(B, 31), out));
}

static void
p256_works_with_and_without_the_second_coordinate(void **state)
{
    uint8_t a[32], b[32], A[64], B[64], s1[32], s2[32], s3[32], sig[64], bad[64] = { 1 };

    (void)state;
    memset(a, 0x11, 32);
    memset(b, 0x22, 32);
    EXPECT_OK(osp_pk_pair(OSP_P256, a, a, A));
    EXPECT_OK(osp_pk_pair(OSP_P256, b, b, B));
    EXPECT_OK(osp_pk_shared(OSP_P256, a, osp_slice(B, 64), s1));
    EXPECT_OK(osp_pk_shared(OSP_P256, b, osp_slice(A, 64), s2));
    EXPECT_OK(osp_pk_shared(OSP_P256, b, osp_slice(A, 32), s3));
    EXPECT_BYTES(osp_slice(s1, 32), osp_slice(s2, 32));
    EXPECT_BYTES(osp_slice(s1, 32), osp_slice(s3, 32));
    EXPECT_ERR(OSP_E_INVALID, osp_pk_shared(OSP_P256, a, osp_slice(bad, 64), s3));
    memcpy(bad + 1, B, 32);
    for (int first = 0; first < 8; first++) {   /* compressed: 2 and 3, with the same shared x */
        bad[0] = (uint8_t)first;
        EXPECT_ERR(first == 2 || first == 3 ? OSP_OK : OSP_E_INVALID, osp_pk_shared(OSP_P256, a, osp_slice(bad, 33), s3));
    }
    EXPECT_BYTES(osp_slice(s1, 32), osp_slice(s3, 32));
    memset(bad, 0, sizeof(bad));
    EXPECT_ERR(OSP_E_INVALID, osp_pk_shared(OSP_P256, a, osp_slice(bad, 1), s3));       /* the point at infinity */
    EXPECT_ERR(OSP_E_INVALID, osp_pk_shared(OSP_P256, bad, osp_slice(B, 64), s3));
    memset(bad, 0xff, 32);                      /* above the order */
    EXPECT_ERR(OSP_E_INVALID, osp_pk_shared(OSP_P256, bad, osp_slice(B, 64), s3));
    EXPECT_ERR(OSP_E_INVALID, osp_pk_sign(OSP_ES256, bad, osp_slice_str("m"), sig));
    memset(bad, 0, 32);
    EXPECT_ERR(OSP_E_INVALID, osp_pk_sign(OSP_ES256, bad, osp_slice_str("m"), sig));
    EXPECT_ERR(OSP_E_INVALID, osp_pk_shared(OSP_ED25519, a, osp_slice(B, 32), s3));
    EXPECT_OK(osp_pk_sign(OSP_ES256, a, osp_slice_str("m"), sig));
    EXPECT_OK(osp_pk_verify(OSP_ES256, osp_slice(A, 64), osp_slice_str("m"), osp_slice(sig, 64)));
    EXPECT_ERR(OSP_E_DECRYPT, osp_pk_verify(OSP_ES256, osp_slice(B, 64), osp_slice_str("m"), osp_slice(sig, 64)));
    EXPECT_ERR(OSP_E_DECRYPT, osp_pk_verify(OSP_ES256, osp_slice(A, 64), osp_slice_str("n"), osp_slice(sig, 64)));
    memset(a, 0, 32);
    EXPECT_ERR(OSP_E_INVALID, osp_pk_pair(OSP_P256, a, a, A));
    memset(a, 0xff, 32);
    EXPECT_ERR(OSP_E_INVALID, osp_pk_pair(OSP_P256, a, a, A));
}

/* The two maps belong together: the X25519 public key of the private one is the mapped public key. */
static void
ed25519_maps_to_x25519_on_both_sides(void **state)
{
    uint8_t seed[32], priv[32], ed[64], x_priv[32], x_pub[32], again[64];

    (void)state;
    for (int i = 0; i < 20; i++) {
        memset(seed, i + 1, 32);
        EXPECT_OK(osp_pk_pair(OSP_ED25519, seed, priv, ed));
        EXPECT_OK(osp_pk_ed_to_x_private(priv, x_priv));
        EXPECT_OK(osp_pk_ed_to_x_public(ed, x_pub));
        EXPECT_OK(osp_pk_pair(OSP_X25519, x_priv, x_priv, again));
        EXPECT_BYTES(osp_slice(again, 32), osp_slice(x_pub, 32));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf_halves_give_the_published_values),
        cmocka_unit_test(ed25519_signs_and_verifies_the_published_message),
        cmocka_unit_test(x25519_agrees_on_both_sides),
        cmocka_unit_test(p256_works_with_and_without_the_second_coordinate),
        cmocka_unit_test(ed25519_maps_to_x25519_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
