/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys and certificates as people keep them. */
#include "tests/unit/unit.h"

#include "crypto/pem.h"
#include "crypto/pk.h"

static const char ed25519[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEICjlyAM4kjSsAMQ5Wxh4LfgAMvmyMtegonNmlX1kHgoH\n"
    "-----END PRIVATE KEY-----\n";

static const char x25519[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VuBCIEIKAthYtfU/RispeLbUdACJOad88cMh0kG/GDmuOcLiJe\n"
    "-----END PRIVATE KEY-----\n";

static const char p256_sec1[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEINQBG7T1bV57AJ4WOZ96k2TsokFzq2sNRWCqQ4jEeoxHoAoGCCqGSM49\n"
    "AwEHoUQDQgAEaAIPofJ1+BZNLvEC8hS9uJ2SuZ6pEw01bQRibIoJJkQcpkQN1yj8\n"
    "ZBmgHMAhP3q11I8ZSqmbmfGorPymsPWGSg==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char p256_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1AEbtPVtXnsAnhY5\n"
    "n3qTZOyiQXOraw1FYKpDiMR6jEehRANCAARoAg+h8nX4Fk0u8QLyFL24nZK5nqkT\n"
    "DTVtBGJsigkmRBymRA3XKPxkGaAcwCE/erXUjxlKqZuZ8ais/Kaw9YZK\n"
    "-----END PRIVATE KEY-----\n";

static const char p384[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MIGkAgEBBDD2BWk1lt82q+Bc3ndILSd+cldOunus2zHQWS97Em4W7DR8Zvm8Aa0J\n"
    "24y79W5po0WgBwYFK4EEACKhZANiAAT5Lgf6q7aYN19/GTUOdWRmtpkSTx0T4xi2\n"
    "/ppG3+NcxV4enIB9HvFiPrylGaolayUKQ46Xw5NWOWE9Qk3Npb+pPuglL0OrI+5w\n"
    "T/DY5vrdPOxX50VJR9W6wI3jXAAywKU=\n"
    "-----END EC PRIVATE KEY-----\n";

static const char encrypted[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi66R34i331JAICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEFfJDbShBebuabSLB2J2UxsEQJCq\n"
    "Vem0HmDTAdxuqeL0hRNjieBy/h9NnDRa+KqDkFP5gzAwzmuwYbvMqgFeSQL+m0hc\n"
    "PBggk6zY55Lypy1G3ps=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char meter[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBPDCB76ADAgECAhRzLlxMa+1fgi9Y9JAlmZ0NS0+TFjAFBgMrZXAwEzERMA8G\n"
    "A1UEAwwIbWV0ZXItMTcwIBcNMjYxMTI0MTQyODU1WhgPMjEyNjEwMzExNDI4NTVa\n"
    "MBMxETAPBgNVBAMMCG1ldGVyLTE3MCowBQYDK2VwAyEAsN+hF10c2c6LeOd+d3Xw\n"
    "AurE/XDppWRFgIx0KaO/Hn2jUzBRMB0GA1UdDgQWBBQgxnYea/1D7iexx3ksc+7Y\n"
    "cxBP5jAfBgNVHSMEGDAWgBQgxnYea/1D7iexx3ksc+7YcxBP5jAPBgNVHRMBAf8E\n"
    "BTADAQH/MAUGAytlcANBALN0yZhJMRp70goVuwbouAFSWnMlsWR7VoI1cGM2G8v4\n"
    "YVX1xb9JdDz1+c2hDakIyW/717p76y1oYAHKHLThHAk=\n"
    "-----END CERTIFICATE-----\n";

static const char gateway[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBfDCCASGgAwIBAgIUVgURUKUq66Tte46KtXEJpeZeQ0IwCgYIKoZIzj0EAwIw\n"
    "EjEQMA4GA1UEAwwHZ2F0ZXdheTAgFw0yNjExMjQxNDI4NTVaGA8yMTI2MTAzMTE0\n"
    "Mjg1NVowEjEQMA4GA1UEAwwHZ2F0ZXdheTBZMBMGByqGSM49AgEGCCqGSM49AwEH\n"
    "A0IABGgCD6HydfgWTS7xAvIUvbidkrmeqRMNNW0EYmyKCSZEHKZEDdco/GQZoBzA\n"
    "IT96tdSPGUqpm5nxqKz8prD1hkqjUzBRMB0GA1UdDgQWBBS2fvzngqoqASFgMZAE\n"
    "E/0ohLFwFTAfBgNVHSMEGDAWgBS2fvzngqoqASFgMZAEE/0ohLFwFTAPBgNVHRMB\n"
    "Af8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDBgalvnfdmLCT+hO0ib5xE+Xsl\n"
    "PlJ4i33eMgTFpior6wIhAK6dUuO/tXfPYwodiq9e0YdETpqBGaW2wFV9K6A+KcBk\n"
    "-----END CERTIFICATE-----\n";

/* The public key that belongs to what was read. */
static void
expect_key(const char *pem, int want_curve, const char *want_public)
{
    uint8_t priv[32], again[32], pub[64], want[64];
    size_t  n = 0;
    int     curve = 0;

    EXPECT_OK(osp_pem_private_key(osp_slice_str(pem), &curve, priv));
    assert_int_equal(want_curve, curve);
    assert_true(osp_hex_decode(osp_slice_str(want_public), want, sizeof(want), &n));
    EXPECT_OK(osp_pk_pair((enum osp_curve)curve, priv, again, pub));
    EXPECT_BYTES(osp_slice(priv, 32), osp_slice(again, 32));
    EXPECT_BYTES(osp_slice(want, n), osp_slice(pub, n));
}

static void
pem_private_keys_become_their_bytes(void **state)
{
    (void)state;
    expect_key(ed25519, OSP_ED25519, "b0dfa1175d1cd9ce8b78e77e7775f002eac4fd70e9a56445808c7429a3bf1e7d");
    expect_key(x25519, OSP_X25519, "ff141f9b95d7662ed9c11315a741d548b2d78153cf7aac032bd43c8a2d1bfd67");
    expect_key(p256_sec1, OSP_P256,
               "68020fa1f275f8164d2ef102f214bdb89d92b99ea9130d356d04626c8a092644"
               "1ca6440dd728fc6419a01cc0213f7ab5d48f194aa99b99f1a8acfca6b0f5864a");
    expect_key(p256_pkcs8, OSP_P256,
               "68020fa1f275f8164d2ef102f214bdb89d92b99ea9130d356d04626c8a092644"
               "1ca6440dd728fc6419a01cc0213f7ab5d48f194aa99b99f1a8acfca6b0f5864a");
}

static void
pem_private_keys_of_other_kinds_are_refused(void **state)
{
    static const uint8_t zero[32];
    uint8_t              priv[32];
    int                  curve;

    (void)state;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_pem_private_key(osp_slice_str(p384), &curve, priv));
    EXPECT_ERR(OSP_E_INVALID, osp_pem_private_key(osp_slice_str(encrypted), &curve, priv));
    EXPECT_ERR(OSP_E_INVALID, osp_pem_private_key(osp_slice_str(meter), &curve, priv));
    EXPECT_ERR(OSP_E_INVALID, osp_pem_private_key(osp_slice_str("-----BEGIN PRIVATE KEY-----\n"), &curve, priv));
    EXPECT_ERR(OSP_E_INVALID, osp_pem_private_key(OSP_EMPTY, &curve, priv));
    EXPECT_BYTES(osp_slice(zero, 32), osp_slice(priv, 32));
}

static void
pem_certificates_become_der(void **state)
{
    uint8_t          both[4096], room[4096];
    struct osp_wr    text = osp_wr_to(both, sizeof(both)), w = osp_wr_to(room, sizeof(room)), tiny = osp_wr_to(room, 100);
    struct osp_slice ders[2];
    size_t           count = 0;

    (void)state;
    osp_wr_put(&text, osp_slice_str("Subject: anything may stand between\n"));
    osp_wr_put(&text, osp_slice_str(meter));
    osp_wr_put(&text, osp_slice_str(ed25519));
    osp_wr_put(&text, osp_slice_str(gateway));
    EXPECT_OK(osp_pem_certificates(osp_wr_slice(&text), &w, ders, 2, &count));
    assert_int_equal(2, count);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(0x30, ders[i].p[0]);
        assert_int_equal(ders[i].n, ders[i].p[1] == 0x82 ? ders[i].p[2] * 256u + ders[i].p[3] + 4 : ders[i].p[2] + 3u);
    }
    w.n = 0;
    EXPECT_ERR(OSP_E_INVALID, osp_pem_certificates(osp_wr_slice(&text), &w, ders, 1, &count));
    EXPECT_ERR(OSP_E_INVALID, osp_pem_certificates(osp_slice_str(ed25519), &w, ders, 2, &count));
    EXPECT_ERR(OSP_E_NOSPACE, osp_pem_certificates(osp_slice_str(meter), &tiny, ders, 2, &count));
    assert_true(osp_pem_is(osp_slice_str(meter)));
    assert_true(osp_pem_is(osp_wr_slice(&text)));
    assert_false(osp_pem_is(osp_slice_str("-----BEGIN")));
    assert_false(osp_pem_is(OSP_EMPTY));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pem_private_keys_become_their_bytes),
        cmocka_unit_test(pem_private_keys_of_other_kinds_are_refused),
        cmocka_unit_test(pem_certificates_become_der),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
