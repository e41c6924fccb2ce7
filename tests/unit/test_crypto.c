/* SPDX-License-Identifier: BSD-2-Clause */
/* Every AEAD against values computed with another implementation (Python's cryptography). */
#include "unit.h"

#include "crypto/crypto.h"

static const uint8_t key[32] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
static const uint8_t nonce[13] = { 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112 };
static const char    aad[] = "additional data", plain[] = "the message itself, longer than one block";

static const struct { int aead; const char *sealed; } known[] = {
    { 1, "6e0a2b85b667cb89fa593230efbe58895cee54dffec6b33d911d91e3d49399d3d5923704e97448f2e16236bd597d0515"
          "6f28fce36a1eabdf5e" },
    { 2, "9d00de5c3fca7d4bb2b687219386e8dbb13f72ea96e61f88e43168bede0ff660353a62bf3a792bd315acde7ebf4fc0ba"
          "b8da512a67d800ddf2" },
    { 3, "3c73bb46148c25ed5f053ac8b31119982ea42a2ae7039d15c2a38c3c93c2cb68fb8725e02e7ef46796d50ec09f804c06"
          "ed7624c8ad58624694" },
    { 10, "ed12f03411c85209d35907256e49bb340a1000f24a13452fd62b79a8e7fd275b393f0126e2fbc64853c3ae8ebd8f9a9e"
          "80" },
    { 11, "184c00f7dbb80038f1a608b8a5bb89fb376b55cad18331775178f0cb3756ed541bb7d2e5cadb34a339d72a61082e7343"
          "d7" },
    { 12, "393ab50fb6af276cb871dc00be255104f25da8069944a76ba63b08f38c5474d335818b35edf000e3626504933e017866"
          "e6" },
    { 13, "a53967445926401a04bc81c29e7e13812811dccc82982c3e012a8391c74e067c01e651ec2c7095c21d62487ca62824ec"
          "42" },
    { 24, "4079deeaf5c005219ab9705f9bfdabf61ca0be14f33f85caa34dd6c69253a2d3a5d7d7c0cd562510f49208dcb7aa8cab"
          "23098affc5d194c0aa" },
    { 30, "ed12f03411c85209d35907256e49bb340a1000f24a13452fd62b79a8e7fd275b393f0126e2fbc64853924b868d9dbaf7"
          "193edf98bd661d6555" },
    { 31, "184c00f7dbb80038f1a608b8a5bb89fb376b55cad18331775178f0cb3756ed541bb7d2e5cadb34a339d5321f13db2b0f"
          "28d413c83e3d806aa5" },
    { 32, "393ab50fb6af276cb871dc00be255104f25da8069944a76ba63b08f38c5474d335818b35edf000e3624450d7b2c58d15"
          "d3bbd60cdea601b01f" },
    { 33, "a53967445926401a04bc81c29e7e13812811dccc82982c3e012a8391c74e067c01e651ec2c7095c21d971aa576ec34ad"
          "e98f2e3cc5bbaa5378" },
};
#define KNOWN (sizeof(known) / sizeof(known[0]))

static void
every_aead_gives_the_known_answer_and_opens_it(void **state)
{
    struct osp_crypto *c;
    uint8_t            want[128], got[128], back[128];
    size_t             n;

    (void)state;
    EXPECT_OK(osp_crypto_new(&c));
    for (int round = 0; round < 2; round++) {           /* the second time with contexts that were used */
        for (size_t i = 0; i < KNOWN; i++) {
            assert_true(osp_hex_decode(osp_slice_str(known[i].sealed), want, sizeof(want), &n));
            EXPECT_OK(osp_aead_seal(c, known[i].aead, key, nonce, osp_slice_str(aad), osp_slice_str(plain), got));
            EXPECT_BYTES(osp_slice(want, n), osp_slice(got, n));
            EXPECT_OK(osp_aead_open(c, known[i].aead, key, nonce, osp_slice_str(aad), osp_slice(got, n), back));
            EXPECT_BYTES(osp_slice_str(plain), osp_slice(back, strlen(plain)));
            EXPECT_OK(osp_aead_open(c, known[i].aead, key, nonce, osp_slice_str(aad), osp_slice(got, n), got));
            EXPECT_BYTES(osp_slice_str(plain), osp_slice(got, strlen(plain)));  /* in place */
        }
    }
    osp_crypto_free(c);
}

static void
every_change_is_noticed_and_the_output_wiped(void **state)
{
    struct osp_crypto *c;
    uint8_t            sealed[128], back[128], zeroes[128] = { 0 };

    (void)state;
    EXPECT_OK(osp_crypto_new(&c));
    for (size_t i = 0; i < KNOWN; i++) {
        const struct osp_aead_info *a = osp_aead_info(known[i].aead);
        size_t                      n = strlen(plain) + a->tag_len;

        EXPECT_OK(osp_aead_seal(c, a->id, key, nonce, osp_slice_str(aad), osp_slice_str(plain), sealed));
        for (size_t k = 0; k < n; k++) {
            sealed[k] ^= 0x10;
            EXPECT_ERR(OSP_E_DECRYPT, osp_aead_open(c, a->id, key, nonce, osp_slice_str(aad), osp_slice(sealed, n), back));
            assert_memory_equal(back, zeroes, strlen(plain));
            sealed[k] ^= 0x10;
        }
        EXPECT_ERR(OSP_E_DECRYPT, osp_aead_open(c, a->id, key, nonce, osp_slice_str("other"), osp_slice(sealed, n), back));
        for (size_t k = 0; k < n; k++)
            EXPECT_ERR(OSP_E_DECRYPT, osp_aead_open(c, a->id, key, nonce, osp_slice_str(aad), osp_slice(sealed, k), back));
        EXPECT_OK(osp_aead_open(c, a->id, key, nonce, osp_slice_str(aad), osp_slice(sealed, n), back));
    }
    EXPECT_ERR(OSP_E_CRYPTO, osp_aead_seal(c, 99, key, nonce, OSP_EMPTY, OSP_EMPTY, sealed));
    osp_crypto_free(c);
}

static void
names_are_those_of_the_registry(void **state)
{
    (void)state;
    assert_int_equal(osp_aead_by_name(osp_slice_str("aes-ccm-16-64-128"))->id, 10);
    assert_int_equal(osp_aead_by_name(osp_slice_str("A128GCM"))->id, 1);
    assert_int_equal(osp_aead_by_name(osp_slice_str("ChaCha20/Poly1305"))->id, 24);
    assert_null(osp_aead_by_name(osp_slice_str("AES-CCM-16-64-129")));
    assert_null(osp_aead_info(0));
    assert_int_equal(osp_hkdf_by_name(osp_slice_str("HKDF SHA-256")), OSP_HKDF_SHA256);
    assert_int_equal(osp_hkdf_by_name(osp_slice_str("SHA-512")), OSP_HKDF_SHA512);
    assert_int_equal(osp_hkdf_by_name(osp_slice_str("SHA-1")), 0);
}

static void
random_bytes_are_not_constant(void **state)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };

    (void)state;
    EXPECT_OK(osp_crypto_random(a, sizeof(a)));
    EXPECT_OK(osp_crypto_random(b, sizeof(b)));
    assert_memory_not_equal(a, b, sizeof(a));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_aead_gives_the_known_answer_and_opens_it),
        cmocka_unit_test(every_change_is_noticed_and_the_output_wiped),
        cmocka_unit_test(names_are_those_of_the_registry),
        cmocka_unit_test(random_bytes_are_not_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
