/* SPDX-License-Identifier: BSD-2-Clause */
/* Every AEAD against values computed with another implementation (Python's cryptography). */
#include "tests/unit/unit.h"

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

/* Nothing but a tag; computed by the same other implementation. */
static const struct { int aead; const char *tag; } empty[] = {
    { 1, "d98e648dac30428398b1d2ed6d460788" }, { 2, "5c93e776244286a51d1e9937b75c02aa" },
    { 3, "1a2bc1453566aa9b4e8553ab8c2fbee0" }, { 10, "27a848072e9d7523" }, { 11, "ad0653523113f598" },
    { 12, "a8ac3780b5df0b36" }, { 13, "df69ef53acfa7490" }, { 24, "0487789e26a15ec0205129fdcebdf17b" },
    { 30, "540f08567dde88bfae942f5aa5699495" }, { 31, "45861980307cc8b34076c36d6c4de758" },
    { 32, "67669f4b01ce77e276c640e0f411c3e0" }, { 33, "cf42f0ad8b457a4ce583ee45e5a1e3a8" },
};

static void
every_aead_seals_and_opens_an_empty_message(void **state)
{
    struct osp_crypto *c;
    uint8_t            want[16], got[16], back[1] = { 7 };
    size_t             n;

    (void)state;
    EXPECT_OK(osp_crypto_new(&c));
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        assert_true(osp_hex_decode(osp_slice_str(empty[i].tag), want, sizeof(want), &n));
        assert_int_equal(n, osp_aead_info(empty[i].aead)->tag_len);
        EXPECT_OK(osp_aead_seal(c, empty[i].aead, key, nonce, osp_slice_str(aad), OSP_EMPTY, got));
        EXPECT_BYTES(osp_slice(want, n), osp_slice(got, n));
        EXPECT_OK(osp_aead_open(c, empty[i].aead, key, nonce, osp_slice_str(aad), osp_slice(got, n), back));
        got[0] ^= 1;
        EXPECT_ERR(OSP_E_DECRYPT, osp_aead_open(c, empty[i].aead, key, nonce, osp_slice_str(aad), osp_slice(got, n), back));
        assert_int_equal(back[0], 7);
    }
    osp_crypto_free(c);
}

/* A context that was used with one key and failed with it serves the next key as if it were new. */
static void
contexts_remember_nothing_of_the_key_before(void **state)
{
    struct osp_crypto *c;
    uint8_t            other[32] = { 0xff }, a[64], b[64], back[64];
    const char         text[] = "forty bytes of a message, give or take";
    size_t             n = strlen(text);

    (void)state;
    EXPECT_OK(osp_crypto_new(&c));
    for (size_t i = 0; i < KNOWN; i++) {
        const struct osp_aead_info *info = osp_aead_info(known[i].aead);
        size_t                      all = n + info->tag_len;

        EXPECT_OK(osp_aead_seal(c, info->id, key, nonce, osp_slice_str(aad), osp_slice_str(text), a));
        EXPECT_OK(osp_aead_seal(c, info->id, other, nonce, OSP_EMPTY, osp_slice_str(text), b));
        assert_memory_not_equal(a, b, n);
        EXPECT_ERR(OSP_E_DECRYPT, osp_aead_open(c, info->id, other, nonce, osp_slice_str(aad), osp_slice(a, all), back));
        EXPECT_OK(osp_aead_open(c, info->id, key, nonce, osp_slice_str(aad), osp_slice(a, all), back));
        EXPECT_BYTES(osp_slice_str(text), osp_slice(back, n));
        EXPECT_OK(osp_aead_open(c, info->id, other, nonce, OSP_EMPTY, osp_slice(b, all), back));
        EXPECT_BYTES(osp_slice_str(text), osp_slice(back, n));
    }
    osp_crypto_free(c);
    osp_crypto_free(NULL);
}

/* RFC 5869, A.1 to A.3, and SHA-512 computed by another implementation. [rfc5869#2.3] */
static void
hkdf_gives_the_known_answers(void **state)
{
    static const struct { int hkdf; const char *ikm, *salt, *info, *okm; } cases[] = {
        { OSP_HKDF_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
        { OSP_HKDF_SHA256,
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031"
          "32333435363738393a3b"
          "3c3d3e3f404142434445464748494a4b4c4d4e4f",
          "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f9091"
          "92939495969798999a9b"
          "9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
          "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1"
          "e2e3e4e5e6e7e8e9eaeb"
          "ecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
          "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da32"
          "75600c2f09b8367793a9"
          "aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
        { OSP_HKDF_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
        { OSP_HKDF_SHA512, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
          "832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cb" },
        { OSP_HKDF_SHA512, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
          "f5fa02b18298a72a8c23898a8703472c6eb179dc204c03425c970e3b164bf90fff22d04836d0e2343bacc4e7cb6045faaa69"
          "8e0e3b3eb91331306def"
          "1db8319e8a699b5ee45ab993847dc4df75bde023692c8c0710a67a55123f10a8b2d8327f9eb138da" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t b[4][128], got[128];
        size_t  n[4];

        assert_true(osp_hex_decode(osp_slice_str(cases[i].ikm), b[0], 128, &n[0]));
        assert_true(osp_hex_decode(osp_slice_str(cases[i].salt), b[1], 128, &n[1]));
        assert_true(osp_hex_decode(osp_slice_str(cases[i].info), b[2], 128, &n[2]));
        assert_true(osp_hex_decode(osp_slice_str(cases[i].okm), b[3], 128, &n[3]));
        for (size_t len = 0; len <= n[3]; len++) {              /* a shorter output is a prefix */
            EXPECT_OK(osp_hkdf_derive(cases[i].hkdf, osp_slice(b[0], n[0]), osp_slice(b[1], n[1]), osp_slice(b[2], n[2]),
                                      got, len));
            EXPECT_BYTES(osp_slice(b[3], len), osp_slice(got, len));
        }
    }
}

static void
hkdf_refuses_what_it_cannot_do(void **state)
{
    static uint8_t out[255 * 32 + 1];

    (void)state;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_hkdf_derive(0, osp_slice_str("x"), OSP_EMPTY, OSP_EMPTY, out, 16));
    EXPECT_OK(osp_hkdf_derive(OSP_HKDF_SHA256, osp_slice_str("x"), OSP_EMPTY, OSP_EMPTY, out, sizeof(out) - 1));
    EXPECT_ERR(OSP_E_INVALID, osp_hkdf_derive(OSP_HKDF_SHA256, osp_slice_str("x"), OSP_EMPTY, OSP_EMPTY, out, sizeof(out)));
}

/* [rfc9053#4] */
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
        cmocka_unit_test(every_aead_seals_and_opens_an_empty_message),
        cmocka_unit_test(contexts_remember_nothing_of_the_key_before),
        cmocka_unit_test(hkdf_gives_the_known_answers),
        cmocka_unit_test(hkdf_refuses_what_it_cannot_do),
        cmocka_unit_test(names_are_those_of_the_registry),
        cmocka_unit_test(random_bytes_are_not_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
