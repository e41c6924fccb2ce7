/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "crypto/pem.h"
#include "crypto/pk.h"
#include "crypto/x509.h"
#include "tests/unit/vec.h"

#define CERT 1024

static json_t *file;

static struct osp_slice
cert(const char *key, uint8_t b[CERT])
{
    struct osp_slice s = vec_hex(file, key, b, CERT);

    if (s.n == 0)
        fail_msg("the file has no %s", key);
    return s;
}

static void
expect_key(const char *name, const char *priv, int curve, bool sign, bool agree, const char *subject)
{
    uint8_t         b[CERT], p[CERT];
    struct osp_x509 x;

    EXPECT_OK(osp_x509_read(cert(name, b), &x));
    assert_int_equal(x.curve, curve);
    EXPECT_OK(osp_pk_fits((enum osp_curve)curve, osp_slice(x.key, x.key_len), cert(priv, p).p));
    assert_int_equal(x.may_sign, sign);
    assert_int_equal(x.may_agree, agree);
    assert_string_equal(x.name, subject);
}

static void
keys_names_and_usages_are_found(void **state)
{
    (void)state;
    expect_key("ed25519", "ed25519_private", OSP_ED25519, true, false, "ed.example");
    expect_key("x25519", "x25519_private", OSP_X25519, false, true, "device-x");
    expect_key("p256_sign", "p256_private", OSP_P256, true, false, "device-p");
    expect_key("p256_agree", "p256_private", OSP_P256, false, true, "device-p");
    expect_key("p256_any", "p256_private", OSP_P256, true, true, "device-p");
}

static void
what_is_no_certificate_or_has_another_key_is_refused(void **state)
{
    uint8_t          b[CERT];
    struct osp_x509  x = { .curve = 99 };
    struct osp_slice der;

    (void)state;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_x509_read(cert("rsa", b), &x));
    EXPECT_ERR(OSP_E_ALGORITHM, osp_x509_read(cert("p384", b), &x));
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_read(OSP_EMPTY, &x));
    der = cert("ed25519", b);
    for (size_t n = 0; n < der.n; n++)
        EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_read(osp_slice_head(der, n), &x));
    b[der.n] = 0;
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_read(osp_slice(b, der.n + 1), &x));
    assert_int_equal(x.curve, 99);
}

/* ---- who it is for ---- */

/* [rfc9525#6.3] [rfc9528#D.2] */
static void
certificate_names_the_host_or_address_that_is_meant(void **state)
{
    static const struct { const char *host, *pattern, *ip; bool is; } rows[] = {
        { "gw.plant.example", NULL, NULL, true },
        { "gw.plant.example.", NULL, NULL, true },
        { "plant.example", NULL, NULL, false },
        { "a.gw.plant.example", NULL, NULL, false },
        { "gw.plant.exampl", NULL, NULL, false },
        { "cn.example", NULL, NULL, false },            /* the common name */
        { "uri.example", NULL, NULL, false },
        { "mail.example@x", NULL, NULL, false },
        { "a.wild.example", NULL, NULL, true },
        { "wild.example", NULL, NULL, false },
        { ".wild.example", NULL, NULL, false },
        { "a.b.wild.example", NULL, NULL, false },
        { "*.wild.example", NULL, NULL, true },
        { NULL, NULL, "192.0.2.7", true },
        { NULL, NULL, "2001:db8::7", true },
        { NULL, NULL, "192.0.2.8", false },
        { NULL, NULL, "192.0.2.9", false },             /* as a name: an address is none */
        { NULL, "gw.plant.example", NULL, true },
        { NULL, "GW.plant.*", NULL, true },
        { NULL, "?w.plant.example", NULL, true },
        { NULL, "*.example.org", NULL, false },
        { NULL, "b.wild.example", NULL, true },
        { NULL, "192.0.2.7", NULL, true },
        { NULL, "2001:db8::*", NULL, true },
        { NULL, "cn.example", NULL, false },
        { NULL, "*", NULL, true },
        { NULL, NULL, NULL, false },
    };
    uint8_t          b[CERT];
    struct osp_slice der = cert("names", b);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct osp_subject s = { .pattern = rows[i].pattern, .host = osp_slice_str(rows[i].host) };

        assert_true(!rows[i].ip || osp_ip_parse(osp_slice_str(rows[i].ip), &s.ip));
        if (osp_x509_names(der, &s) != rows[i].is)
            fail_msg("row %zu", i);
        assert_false(osp_x509_names(osp_slice_head(der, der.n - 1), &s));
        assert_false(osp_x509_names(OSP_EMPTY, &s));
    }
}

static void
name_in_the_configuration_is_the_one_that_is_meant(void **state)
{
    struct osp_subject host = { .host = osp_slice_str("gw.example") }, pattern = { .pattern = "gw-?.example" }, ip = { 0 };

    (void)state;
    assert_true(osp_subject_is(&host, osp_slice_str("GW.Example")));
    assert_false(osp_subject_is(&host, osp_slice_str("gw.example.org")));
    assert_false(osp_subject_is(&host, osp_slice_str("*.example")));
    assert_false(osp_subject_is(&host, OSP_EMPTY));
    assert_true(osp_subject_is(&pattern, osp_slice_str("gw-1.example")));
    assert_false(osp_subject_is(&pattern, osp_slice_str("gw-10.example")));
    assert_false(osp_subject_is(&ip, osp_slice_str("::")));
    assert_true(osp_ip_parse(osp_slice_str("192.0.2.7"), &ip.ip));
    assert_true(osp_subject_is(&ip, osp_slice_str("192.0.2.7")));
    assert_false(osp_subject_is(&ip, osp_slice_str("192.0.2.70")));
    assert_false(osp_subject_is(&ip, osp_slice_str("gw")));
}

/* ---- chains ---- */

static struct osp_x509_anchors *
anchors_of(const char *a, const char *b)
{
    uint8_t                  da[CERT], db[CERT];
    struct osp_slice         ders[] = { cert(a, da), cert(b, db) };
    struct osp_x509_anchors *out = NULL;

    EXPECT_OK(osp_x509_anchors_new(ders, 2, &out));
    return out;
}

static enum osp_err
verify(const struct osp_x509_anchors *a, int64_t now_s, const char *first, const char *second)
{
    uint8_t          b[2][CERT];
    struct osp_slice chain[2] = { cert(first, b[0]), second ? cert(second, b[1]) : OSP_EMPTY };
    struct osp_x509  x = { .curve = 99 };
    enum osp_err     e = osp_x509_verify(a, chain, second ? 2 : 1, now_s, &x);

    assert_true((e == OSP_OK) == (x.curve != 99));
    return e;
}

/* [rfc5280#6] */
static void
chains_verify_up_to_an_anchor_at_the_given_time(void **state)
{
    int64_t                  now = json_integer_value(json_object_get(file, "now"));
    struct osp_x509_anchors *a = anchors_of("root", "ed25519_root");

    (void)state;
    EXPECT_OK(verify(a, now, "ed25519", "intermediate"));
    EXPECT_OK(verify(a, now, "x25519", "intermediate"));
    EXPECT_OK(verify(a, now, "p256_any", NULL));
    EXPECT_OK(verify(a, now, "p256_any", "intermediate"));      /* not needed, does no harm */
    EXPECT_OK(verify(a, now, "ed25519_by_ed25519", NULL));
    EXPECT_ERR(OSP_E_ALGORITHM, verify(a, now, "rsa", NULL));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, now, "ed25519", NULL));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, now, "expired", NULL));
    EXPECT_OK(verify(a, 2240000000, "future", NULL));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, now, "future", NULL));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, now, "unknown_issuer", NULL));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, now, "forged", NULL));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, now, "by_not_a_ca", "not_a_ca"));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, 4000000000, "p256_any", NULL));
    osp_x509_anchors_free(a);
}

static void
an_intermediate_may_be_the_anchor(void **state)
{
    int64_t                  now = json_integer_value(json_object_get(file, "now"));
    struct osp_x509_anchors *a = anchors_of("intermediate", "intermediate");

    (void)state;
    EXPECT_OK(verify(a, now, "ed25519", NULL));
    EXPECT_ERR(OSP_E_CERTIFICATE, verify(a, now, "p256_any", NULL));
    osp_x509_anchors_free(a);
}

static void
a_certificate_with_any_bit_flipped_does_not_verify(void **state)
{
    int64_t                  now = json_integer_value(json_object_get(file, "now"));
    struct osp_x509_anchors *a = anchors_of("root", "root");
    uint8_t                  b[CERT];
    struct osp_slice         der = cert("p256_any", b);
    struct osp_x509          x;

    (void)state;
    EXPECT_OK(osp_x509_verify(a, &der, 1, now, &x));
    for (size_t i = 0; i < der.n; i++) {
        b[i] = (uint8_t)(b[i] ^ 1u << i % 8);
        if (osp_x509_verify(a, &der, 1, now, &x) == OSP_OK)
            fail_msg("byte %zu may be changed", i);
        b[i] = (uint8_t)(b[i] ^ 1u << i % 8);
    }
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_verify(a, &der, 0, now, &x));
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_verify(a, &der, OSP_X509_CHAIN_MAX + 1, now, &x));
    osp_x509_anchors_free(a);
}

static void
anchors_have_to_be_certificates(void **state)
{
    struct osp_slice         bad[] = { osp_slice_str("no certificate") };
    struct osp_x509_anchors *a = NULL;

    (void)state;
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_anchors_new(bad, 1, &a));
    assert_null(a);
    osp_x509_anchors_free(NULL);
}

static int
begin(void **state)
{
    (void)state;
    file = vec_load("edhoc-x509.json");
    return 0;
}

static int
end(void **state)
{
    (void)state;
    json_decref(file);
    return 0;
}

/* ---- making them ---- */

static const uint8_t seeds[3][32] = { { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 } };

static struct osp_x509_wish
wish_for(const char *name, enum osp_curve curve, size_t i, uint8_t priv[32], uint8_t pub[64])
{
    struct osp_x509_wish w = { .name = name, .curve = curve, .signer = curve, .serial = { 1 }, .from_s = 1700000000,
                               .until_s = 1700086400 };

    EXPECT_OK(osp_pk_pair(curve, seeds[i], priv, pub));
    w.pub = osp_slice(pub, curve == OSP_P256 ? 64 : 32);
    w.signer_priv = priv;
    return w;
}

/* An authority with a key of `by` signs for one of `curve`: whoever trusts it accepts that, while it is valid. */
static void
expect_chain(enum osp_curve by, enum osp_curve curve, bool sign, bool agree)
{
    uint8_t                  ca_priv[32], ca_pub[64], priv[32], pub[64], ca_der[CERT], der[CERT];
    struct osp_x509_wish     authority = wish_for("plant", by, 0, ca_priv, ca_pub);
    struct osp_x509_wish     w = wish_for("sensor.example", curve, 1, priv, pub);
    struct osp_wr            to_ca = osp_wr_to(ca_der, sizeof(ca_der)), to = osp_wr_to(der, sizeof(der));
    struct osp_x509_anchors *a = NULL;
    struct osp_slice         ders[1], chain[1];
    struct osp_x509          x;

    authority.is_ca = true;
    EXPECT_OK(osp_x509_make(&authority, &to_ca));
    ders[0] = osp_wr_slice(&to_ca);
    w.issuer = ders[0];
    w.signer = by;
    w.signer_priv = ca_priv;
    EXPECT_OK(osp_x509_make(&w, &to));
    chain[0] = osp_wr_slice(&to);
    EXPECT_OK(osp_x509_anchors_new(ders, 1, &a));
    EXPECT_OK(osp_x509_verify(a, chain, 1, 1700000001, &x));
    assert_string_equal(x.name, "sensor.example");
    assert_int_equal(x.curve, curve);
    assert_true(x.may_sign == sign && x.may_agree == agree);
    EXPECT_OK(osp_pk_fits(curve, osp_slice(x.key, x.key_len), priv));
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_verify(a, chain, 1, 1700090000, &x));
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_verify(a, chain, 1, 1699990000, &x));
    osp_x509_anchors_free(a);
}

static void
certificates_of_an_authority_verify(void **state)
{
    (void)state;
    expect_chain(OSP_P256, OSP_P256, true, true);
    expect_chain(OSP_P256, OSP_X25519, false, true);
    expect_chain(OSP_ED25519, OSP_ED25519, true, false);
    expect_chain(OSP_ED25519, OSP_X25519, false, true);
}

/* One that is no authority cannot vouch for others [rfc5280#4.2.1.9]. */
static void
who_is_no_authority_signs_nothing(void **state)
{
    uint8_t                  mid_priv[32], mid_pub[64], priv[32], pub[64], mid_der[CERT], der[CERT];
    struct osp_x509_wish     mid = wish_for("device", OSP_P256, 0, mid_priv, mid_pub), w = wish_for("x", OSP_P256, 1, priv, pub);
    struct osp_wr            to_mid = osp_wr_to(mid_der, sizeof(mid_der)), to = osp_wr_to(der, sizeof(der));
    struct osp_x509_anchors *a = NULL;
    struct osp_slice         ders[1], chain[1];
    struct osp_x509          x;

    (void)state;
    EXPECT_OK(osp_x509_make(&mid, &to_mid));
    ders[0] = w.issuer = osp_wr_slice(&to_mid);
    w.signer_priv = mid_priv;
    EXPECT_OK(osp_x509_make(&w, &to));
    chain[0] = osp_wr_slice(&to);
    EXPECT_OK(osp_x509_anchors_new(ders, 1, &a));
    EXPECT_ERR(OSP_E_CERTIFICATE, osp_x509_verify(a, chain, 1, 1700000001, &x));
    osp_x509_anchors_free(a);
}

static void
a_wish_that_cannot_be_is_refused(void **state)
{
    static const char *const names[] = { "", "a b", "a,DNS:b", "a/CN=b", "\xc3\xa4" };
    uint8_t                  priv[32], pub[64], der[CERT];
    struct osp_x509_wish     w = wish_for("x", OSP_P256, 2, priv, pub), bad;
    struct osp_wr            to = osp_wr_to(der, sizeof(der)), small = osp_wr_to(der, 50);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bad = w;
        bad.name = names[i];
        EXPECT_ERR(OSP_E_INVALID, osp_x509_make(&bad, &to));
    }
    bad = w;
    bad.signer = OSP_X25519;
    EXPECT_ERR(OSP_E_INVALID, osp_x509_make(&bad, &to));
    bad = w;
    bad.pub = osp_slice(pub, 31);
    EXPECT_ERR(OSP_E_INVALID, osp_x509_make(&bad, &to));
    bad = w;
    bad.issuer = osp_slice("x", 1);
    EXPECT_ERR(OSP_E_INVALID, osp_x509_make(&bad, &to));
    EXPECT_ERR(OSP_E_NOSPACE, osp_x509_make(&w, &small));
    assert_int_equal(to.n, 0);
}

/* [rfc7468#5.1] */
static void
pem_and_back(void **state)
{
    uint8_t          bytes[200], text[600], back[300];
    struct osp_wr    w, out;
    struct osp_slice ders[2];
    size_t           count;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t n = 1; n <= sizeof(bytes); n++) {
        w = osp_wr_to(text, sizeof(text));
        out = osp_wr_to(back, sizeof(back));
        osp_pem_put(&w, "CERTIFICATE", osp_slice(bytes, n));
        assert_false(osp_wr_bad(&w));
        assert_true(osp_pem_is(osp_wr_slice(&w)));
        EXPECT_OK(osp_pem_certificates(osp_wr_slice(&w), &out, ders, 2, &count));
        assert_int_equal(count, 1);
        assert_true(osp_slice_eq(ders[0], osp_slice(bytes, n)));
    }
    w = osp_wr_to(text, 100);
    osp_pem_put(&w, "CERTIFICATE", osp_slice(bytes, sizeof(bytes)));
    assert_true(osp_wr_bad(&w));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificate_names_the_host_or_address_that_is_meant),
        cmocka_unit_test(name_in_the_configuration_is_the_one_that_is_meant),
        cmocka_unit_test(keys_names_and_usages_are_found),
        cmocka_unit_test(what_is_no_certificate_or_has_another_key_is_refused),
        cmocka_unit_test(chains_verify_up_to_an_anchor_at_the_given_time),
        cmocka_unit_test(an_intermediate_may_be_the_anchor),
        cmocka_unit_test(a_certificate_with_any_bit_flipped_does_not_verify),
        cmocka_unit_test(anchors_have_to_be_certificates),
        cmocka_unit_test(certificates_of_an_authority_verify),
        cmocka_unit_test(who_is_no_authority_signs_nothing),
        cmocka_unit_test(a_wish_that_cannot_be_is_refused),
        cmocka_unit_test(pem_and_back),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
