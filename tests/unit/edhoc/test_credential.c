/* SPDX-License-Identifier: BSD-2-Clause */
/* Credentials of EDHOC: how they are identified, read, found and checked. */
#include "tests/unit/edhoc/edhoc_items.h"

#include "crypto/pk.h"

/* ---- identifiers ---- */

/* [rfc9528#3.3.2] */
static void
identifiers_are_ints_where_they_can_be(void **state)
{
    static const struct { const char *id, *wire; } rows[] = {
        { "21", "21" }, { "0d", "0d" }, { "18", "4118" }, { "38", "4138" }, { "abcd", "42abcd" }, { "", "40" }, { "00", "00" },
        { "17", "17" }, { "20", "20" }, { "37", "37" }, { "1f", "411f" }, { "3f", "413f" }, { "40", "4140" }, { "ff", "41ff" },
        { "2121", "422121" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t         b[16];
        struct osp_wr   w = osp_wr_to(b, sizeof(b));
        struct osp_cbor c;

        osp_edhoc_bstr_put(&w, hex(rows[i].id));
        EXPECT_BYTES(hex(rows[i].wire), osp_wr_slice(&w));
        c = osp_cbor_from(osp_wr_slice(&w));
        EXPECT_BYTES(hex(rows[i].id), osp_edhoc_bstr(&c));
        assert_true(osp_cbor_done(&c));
    }
}

static void
other_encodings_of_identifiers_are_refused(void **state)
{
    static const char *const bad[] = { "4121", "4100",   "4137", "1818", "3818", "1817", "190001",
                                       "f5",   "60",     "41",   "",     "80",   "5801ff" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct osp_cbor c = osp_cbor_from(hex(bad[i]));

        (void)osp_edhoc_bstr(&c);
        if (!osp_cbor_bad(&c))
            fail_msg("%s is taken for an identifier", bad[i]);
    }
}

/* ---- credentials ---- */

/* RFC 9528, figure 4, and a naked COSE_Key [rfc9528#3.5.2] [rfc9052#7.1] */
static void
claims_sets_are_made_as_published(void **state)
{
    struct osp_cose_key   key = { .curve = OSP_X25519, .len = 32 };
    struct osp_edhoc_cred c;
    uint8_t               b[256], id[8];
    struct osp_slice      x = hex("b1a3e89460e88d3a8d54211dc95f0b903ff205eb71912d6db8f4af980d2db83a");
    struct osp_wr         w = osp_wr_to(b, sizeof(b)), wi = osp_wr_to(id, sizeof(id));

    (void)state;
    memcpy(key.bytes, x.p, 32);
    osp_edhoc_ccs_put(&w, "42-50-31-FF-EF-37-32-39", hex("00"), &key);
    EXPECT_BYTES(hex("a2027734322d35302d33312d46462d45462d33372d33322d333908a101a40101024100200421"
                     "5820b1a3e89460e88d3a8d54211dc95f0b903ff205eb71912d6db8f4af980d2db83a"), osp_wr_slice(&w));
    osp_edhoc_id_kid_put(&wi, hex("00"));
    EXPECT_OK(osp_edhoc_cred_init(&c, osp_wr_slice(&wi), osp_wr_slice(&w)));
    assert_int_equal(c.key.curve, OSP_X25519);
    EXPECT_BYTES(x, osp_slice(c.key.bytes, c.key.len));
    w.n = 0;
    osp_edhoc_ccs_put(&w, NULL, OSP_EMPTY, &key);
    EXPECT_BYTES(hex("a108a101"), osp_slice_head(osp_wr_slice(&w), 4));
    EXPECT_OK(osp_edhoc_cred_init(&c, osp_wr_slice(&wi), osp_wr_slice(&w)));
}

/* A P-256 key keeps its form: x and y, or x and the sign of y. */
static void
p256_keys_go_through_a_claims_set(void **state)
{
    uint8_t               seed[32], priv[32], b[256], id[8];
    struct osp_cose_key   key = { .curve = OSP_P256, .len = 64 }, small = { .curve = OSP_P256, .len = 33 };
    struct osp_wr         wi = osp_wr_to(id, sizeof(id));
    struct osp_edhoc_own  own;

    (void)state;
    osp_edhoc_id_kid_put(&wi, hex("00"));
    for (uint8_t s = 1; s < 20; s++) {
        struct osp_wr w = osp_wr_to(b, sizeof(b));

        memset(seed, s, sizeof(seed));
        EXPECT_OK(osp_pk_pair(OSP_P256, seed, priv, key.bytes));
        small.bytes[0] = 2 | (key.bytes[63] & 1);
        memcpy(small.bytes + 1, key.bytes, 32);
        osp_edhoc_ccs_put(&w, "x", OSP_EMPTY, &key);
        EXPECT_OK(osp_edhoc_own_init(&own, osp_wr_slice(&wi), osp_wr_slice(&w), osp_slice(priv, 32)));
        EXPECT_BYTES(osp_slice(key.bytes, 64), osp_slice(own.cred.key.bytes, own.cred.key.len));
        w.n = 0;
        osp_edhoc_ccs_put(&w, "x", OSP_EMPTY, &small);
        EXPECT_OK(osp_edhoc_own_init(&own, osp_wr_slice(&wi), osp_wr_slice(&w), osp_slice(priv, 32)));
        EXPECT_BYTES(osp_slice(small.bytes, 33), osp_slice(own.cred.key.bytes, own.cred.key.len));
        priv[31] ^= 1;
        EXPECT_ERR(OSP_E_INVALID, osp_edhoc_own_init(&own, osp_wr_slice(&wi), osp_wr_slice(&w), osp_slice(priv, 32)));
    }
}

static void
unusable_credentials_are_refused(void **state)
{
    uint8_t               b[512];
    struct osp_edhoc_own  own;
    struct osp_edhoc_cred c;
    struct osp_slice      id = hex("a10400"), kid = hex("a1044100"), ccs;
    static struct edhoc_pair    p;

    (void)state;
    edhoc_init(&p, 3, 0, EDHOC_KID, EDHOC_KID, false);
    ccs = p.i.own.cred.cred;
    EXPECT_OK(osp_edhoc_cred_init(&c, kid, ccs));
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_cred_init(&c, id, ccs));                        /* kid is no byte string */
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_cred_init(&c, hex("a0"), ccs));
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_cred_init(&c, hex("a10a41ff"), ccs));           /* kid context alone */
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_cred_init(&c, kid, hex("43010203")));           /* no certificate */
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_cred_init(&c, kid, hex("a108a0")));
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_cred_init(&c, kid, OSP_EMPTY));
    EXPECT_ERR(OSP_E_ALGORITHM,
               osp_edhoc_cred_init(&c, kid, hex("a108a101a3010220022158300000000000000000000000000000000000000000000000000000"
                                                "00000000000000000000000000000000000000000000")));
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_own_init(&own, kid, ccs, osp_slice(p.r.own.priv, 32)));
    EXPECT_ERR(OSP_E_INVALID, osp_edhoc_own_init(&own, kid, ccs, osp_slice(p.i.own.priv, 31)));
    EXPECT_OK(osp_edhoc_own_init(&own, kid, ccs, osp_slice(p.i.own.priv, 32)));
    osp_edhoc_own_fini(&own);
    memset(b, 0, sizeof(own.priv));
    assert_memory_equal(own.priv, b, sizeof(own.priv));
}

/* Runs a session whose Responder sees this Initiator's ID_CRED_I instead of the real one, in message_3. */
static enum osp_err
with_id_cred_i(struct edhoc_pair *p, struct osp_slice id_cred)
{
    EXPECT_OK(edhoc_make(p, 1, OSP_EMPTY));
    EXPECT_OK(edhoc_take(p, 1, NULL));
    EXPECT_OK(edhoc_make(p, 2, OSP_EMPTY));
    EXPECT_OK(edhoc_take(p, 2, NULL));
    p->i.own.cred.id_cred = id_cred;
    EXPECT_OK(edhoc_make(p, 3, OSP_EMPTY));
    return edhoc_take(p, 3, NULL);
}

/* [rfc9528#6.4] [rfc9528#3.5.3] [rfc9052#1.4] [rfc9052#3.1] [rfc9360#2] */
static void
unknown_credentials_are_told_from_kinds_that_are_not_accepted(void **state)
{
    static const struct { const char *id; enum osp_err want; int64_t code; } rows[] = {
        { "a1044177", OSP_E_EDHOC_NO_CRED, 3 },                         /* kid */
        { "a20441770a4101", OSP_E_EDHOC_NO_CRED, 3 },                   /* kid and kid context */
        { "a11822822e480102030405060708", OSP_E_EDHOC_NO_CRED, 3 },     /* x5t */
        { "a11822820041ff", OSP_E_EDHOC_NO_CRED, 3 },                   /* x5t of no known hash */
        { "a10ea108a101a3010120042158200900000000000000000000000000000000000000000000000000000000000000", OSP_E_EDHOC_AUTH, 1 },
        { "a11823d8206a636f61703a2f2f612f62", OSP_E_EDHOC_X5U, 1 },
        { "a10d81a0", OSP_E_EDHOC_CRED_TYPE, 1 },                       /* kcwt */
        { "a10440", OSP_E_EDHOC_NO_CRED, 3 },                           /* the empty kid */
        { "a1182143010203", OSP_E_CERTIFICATE, 1 },
        { "a118218143010203", OSP_E_FORMAT, 1 },                        /* x5chain: an array of one */
        { "a10401", OSP_E_FORMAT, 1 },
        { "a0", OSP_E_FORMAT, 1 },
        { "a1f54101", OSP_E_FORMAT, 1 },
    };
    static struct edhoc_pair p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum osp_err e;

        edhoc_init(&p, 3, 2, EDHOC_KID, EDHOC_KID, false);
        e = with_id_cred_i(&p, hex(rows[i].id));
        if (e != rows[i].want)
            fail_msg("%s: got %s, want %s", rows[i].id, osp_err_name(e), osp_err_name(rows[i].want));
        assert_int_equal(error_code(&p.r), rows[i].code);
        assert_int_equal(error_code(&p.r), 0);
    }
}

/* [rfc9528#3.5.3] kids need not be unique */
static void
of_several_with_one_kid_the_right_one_is_found(void **state)
{
    static struct edhoc_pair    p;
    struct osp_edhoc_peer list[6];

    (void)state;
    for (uint8_t method = 0; method <= 3; method += 3)
        for (size_t right = 0; right < 6; right++) {
            edhoc_init(&p, method, 2, EDHOC_KID, EDHOC_KID, false);
            for (size_t k = 0; k < 6; k++) {            /* the others: the Responder's key and name, and the Initiator's kid */
                list[k] = p.r.peer;
                if (k != right) {
                    static struct edhoc_side other;

                    edhoc_ccs(&other, OSP_P256, 77, 3, false, false);
                    list[k].cred = other.own.cred;
                    list[k].label = 99;
                }
            }
            EXPECT_OK(osp_edhoc_peers_init(&p.r.peers, list, 6));
            EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
            EXPECT_OK(edhoc_take(&p, 1, NULL));
            EXPECT_OK(edhoc_make(&p, 2, OSP_EMPTY));
            EXPECT_OK(edhoc_take(&p, 2, NULL));
            EXPECT_OK(edhoc_make(&p, 3, OSP_EMPTY));
            if (right < 4) {                            /* so many are tried and no more */
                EXPECT_OK(edhoc_take(&p, 3, NULL));
                assert_int_equal(osp_edhoc_who(&p.r.s)->label, EDHOC_I_LABEL);
            } else {
                EXPECT_ERR(OSP_E_EDHOC_AUTH, edhoc_take(&p, 3, NULL));
            }
        }
}

#define MANY 200

/* Claims Sets of one key, two of three with a kid in common, and two certificates among them. */
struct crowd {
    struct osp_edhoc_peer  list[MANY + 2];
    struct osp_edhoc_peers peers;
    uint8_t                id[MANY + 2][64], cred[MANY + 2][512];
};

static void
crowd_init(struct crowd *c)
{
    static struct edhoc_pair p;
    uint8_t                  b[512];

    edhoc_init(&p, 3, 0, EDHOC_KID, EDHOC_KID, false);
    for (unsigned i = 0; i < MANY + 2; i++) {
        struct osp_wr wi = osp_wr_to(c->id[i], 64), wc = osp_wr_to(c->cred[i], 512);
        char          sub[] = { 's', (char)('a' + i % 26), (char)('a' + i / 26), 0 };
        uint8_t       kid[] = { 'k', (uint8_t)(i % 3 == 2 ? i - 1 : i) };

        if (i % 101 == 100) {           /* 100 and 201 */
            osp_edhoc_cert_put(&wc, edhoc_vector(i == 100 ? "x25519" : "p256_any", b, sizeof(b)));
            osp_edhoc_id_x5t_put(&wi, edhoc_vector(i == 100 ? "x25519" : "p256_any", b, sizeof(b)), true);
        } else {
            osp_edhoc_ccs_put(&wc, sub, OSP_EMPTY, &p.i.own.cred.key);
            osp_edhoc_id_kid_put(&wi, osp_slice(kid, 2));
        }
        c->list[i].label = i;
        EXPECT_OK(osp_edhoc_cred_init(&c->list[i].cred, osp_wr_slice(&wi), osp_wr_slice(&wc)));
    }
    EXPECT_OK(osp_edhoc_peers_init(&c->peers, c->list, MANY + 2));
}

/* The labels that `id` finds: two at most, 9999 for none. */
static void
expect_found(struct crowd *c, struct osp_slice id, unsigned first, unsigned second)
{
    const unsigned               want[] = { first, second, 9999 };
    const struct osp_edhoc_peer *found;

    for (unsigned nth = 0; nth < 3; nth++) {
        unsigned got = osp_edhoc_peers_find(&c->peers, id, nth, &found) == OSP_OK ? found->label : 9999;

        assert_int_equal(got, want[nth]);
    }
}

/* [rfc9528#3.5.3] [rfc9360#2] */
static void
peers_are_found_among_many(void **state)
{
    static struct crowd c;
    uint8_t             b[600], der[512];
    struct osp_wr       w = osp_wr_to(b, sizeof(b));
    struct osp_slice    leaf;

    (void)state;
    crowd_init(&c);
    for (unsigned i = 0; i < MANY + 2; i++) {
        bool cert = i % 101 == 100, first = !cert && i % 3 == 1 && i + 1 < MANY + 1, second = !cert && i % 3 == 2;

        if (!cert && i != 99 && i != 101)       /* the neighbours of a certificate may have lost their twin */
            expect_found(&c, c.list[i].cred.id_cred, second ? i - 1 : i, first ? i + 1 : second ? i : 9999);
        if (!cert) {
            w.n = 0;
            osp_edhoc_id_kccs_put(&w, c.list[i].cred.cred);
            expect_found(&c, osp_wr_slice(&w), i, 9999);
        }
    }
    for (unsigned i = 100; i < MANY + 2; i += 101) {
        leaf = edhoc_vector(i == 100 ? "x25519" : "p256_any", der, sizeof(der));
        for (int form = 0; form < 3; form++) {
            w.n = 0;
            if (form == 2)
                osp_edhoc_id_x5chain_put(&w, &leaf, 1);
            else
                osp_edhoc_id_x5t_put(&w, leaf, form == 0);
            expect_found(&c, osp_wr_slice(&w), i, 9999);
        }
    }
    expect_found(&c, hex("a10442ffff"), 9999, 9999);
    expect_found(&c, hex("a1182282382b41ff"), 9999, 9999);
    expect_found(&c, hex("a118228232c0"), 9999, 9999);
    EXPECT_OK(osp_edhoc_peers_init(&c.peers, c.list, 0));
    expect_found(&c, hex("a10442ffff"), 9999, 9999);
}

/* [rfc9528#3.5.1] a key is used for what its method says */
static void
a_key_of_the_wrong_kind_does_not_authenticate(void **state)
{
    static struct edhoc_pair p;

    (void)state;
    for (uint8_t method = 0; method <= 3; method += 3) {
        edhoc_init(&p, method, 0, EDHOC_KID, EDHOC_KID, false);
        p.r.peer.cred.key.curve = method == 0 ? OSP_X25519 : OSP_ED25519;       /* everything else is right */
        EXPECT_ERR(OSP_E_EDHOC_AUTH, with_id_cred_i(&p, p.i.own.cred.id_cred));
        assert_int_equal(error_code(&p.r), 1);
    }
}

/* Credential of the Initiator: certificate `name`, sent as a chain with the intermediate if `with`. */
static enum osp_err
with_chain(uint8_t method, const char *name, const char *priv, bool with, const struct osp_x509_anchors *anchors, int64_t now)
{
    static struct edhoc_pair p;
    uint8_t            b[3][512];
    struct osp_slice   chain[2] = { edhoc_vector(name, b[0], 512), edhoc_vector("intermediate", b[1], 512) };
    struct osp_wr      wi, wc;

    edhoc_init(&p, method, 2, EDHOC_X5CHAIN, EDHOC_KID, false);
    wi = osp_wr_to(p.i.id, sizeof(p.i.id));
    wc = osp_wr_to(p.i.cred, sizeof(p.i.cred));
    osp_edhoc_cert_put(&wc, chain[0]);
    osp_edhoc_id_x5chain_put(&wi, chain, with ? 2 : 1);
    EXPECT_OK(osp_edhoc_own_init(&p.i.own, osp_wr_slice(&wi), osp_wr_slice(&wc), edhoc_vector(priv, b[2], 512)));
    p.r.profile.anchors = anchors;
    p.r.s.now_s = now;
    return with_id_cred_i(&p, p.i.own.cred.id_cred);
}

/* [rfc9528#D.1] [rfc9528#D.3] */
static void
a_chain_is_believed_only_if_it_verifies(void **state)
{
    const struct osp_x509_anchors *a = edhoc_anchors;

    (void)state;
    EXPECT_OK(with_chain(0, "p256_sign", "p256_private", true, a, EDHOC_NOW));
    EXPECT_OK(with_chain(3, "p256_agree", "p256_private", true, a, EDHOC_NOW));
    EXPECT_OK(with_chain(0, "p256_any", "p256_private", false, a, EDHOC_NOW));
    EXPECT_ERR(OSP_E_CERTIFICATE, with_chain(3, "p256_sign", "p256_private", true, a, EDHOC_NOW));
    EXPECT_ERR(OSP_E_CERTIFICATE, with_chain(0, "p256_agree", "p256_private", true, a, EDHOC_NOW));
    EXPECT_ERR(OSP_E_CERTIFICATE, with_chain(0, "p256_sign", "p256_private", false, a, EDHOC_NOW));
    EXPECT_ERR(OSP_E_EDHOC_CRED_TYPE, with_chain(0, "p256_sign", "p256_private", true, NULL, EDHOC_NOW));
    EXPECT_ERR(OSP_E_CERTIFICATE, with_chain(0, "p256_any", "p256_private", false, a, 1000000000));
    EXPECT_ERR(OSP_E_CERTIFICATE, with_chain(0, "expired", "p256_private", false, a, EDHOC_NOW));
    EXPECT_ERR(OSP_E_CERTIFICATE, with_chain(0, "unknown_issuer", "p256_private", false, a, EDHOC_NOW));
    EXPECT_ERR(OSP_E_CERTIFICATE, with_chain(0, "forged", "p256_private", false, a, EDHOC_NOW));
}

/* The chain is somebody else's: a certificate is public, its key is not. */
static void
a_certificate_without_its_key_does_not_authenticate(void **state)
{
    static struct edhoc_pair p;
    uint8_t            b[512], id[512], cred[512];
    struct osp_slice   other = edhoc_vector("p256_b_any", b, 512);
    struct osp_wr      wi = osp_wr_to(id, sizeof(id)), wc = osp_wr_to(cred, sizeof(cred));

    (void)state;
    osp_edhoc_id_x5chain_put(&wi, &other, 1);
    osp_edhoc_cert_put(&wc, other);
    for (uint8_t method = 0; method <= 3; method += 3) {
        edhoc_init(&p, method, 2, EDHOC_X5CHAIN, EDHOC_KID, false);
        p.i.own.cred.cred = osp_wr_slice(&wc);
        EXPECT_ERR(OSP_E_EDHOC_AUTH, with_id_cred_i(&p, osp_wr_slice(&wi)));
    }
}

/* row X12 [rfc9528#D.2] a chain that verifies, of somebody else than who is meant */
static void
a_certificate_has_to_name_the_one_that_is_meant(void **state)
{
    static const struct { struct osp_subject s; enum osp_err e; } rows[] = {
        { { .host = { (const uint8_t *)"ed.example", 10 } }, OSP_OK },
        { { .host = { (const uint8_t *)"de.example", 10 } }, OSP_E_EDHOC_NAME },
        { { .pattern = "*.example" }, OSP_OK },
        { { .pattern = "*.org" }, OSP_E_EDHOC_NAME },
        { { .pattern = NULL }, OSP_E_EDHOC_NAME },
    };
    struct edhoc_pair p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        edhoc_init(&p, 0, 0, EDHOC_KID, EDHOC_X5CHAIN, false);
        p.i.profile.subject = &rows[i].s;
        edhoc_run(&p, 1);
        EXPECT_OK(edhoc_make(&p, 2, OSP_EMPTY));
        assert_int_equal(rows[i].e, edhoc_take(&p, 2, NULL));
        assert_int_equal(rows[i].e == OSP_OK, osp_edhoc_who(&p.i.s) != NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_has_to_name_the_one_that_is_meant),
        cmocka_unit_test(identifiers_are_ints_where_they_can_be),
        cmocka_unit_test(other_encodings_of_identifiers_are_refused),
        cmocka_unit_test(claims_sets_are_made_as_published),
        cmocka_unit_test(p256_keys_go_through_a_claims_set),
        cmocka_unit_test(unusable_credentials_are_refused),
        cmocka_unit_test(unknown_credentials_are_told_from_kinds_that_are_not_accepted),
        cmocka_unit_test(of_several_with_one_kid_the_right_one_is_found),
        cmocka_unit_test(peers_are_found_among_many),
        cmocka_unit_test(a_key_of_the_wrong_kind_does_not_authenticate),
        cmocka_unit_test(a_chain_is_believed_only_if_it_verifies),
        cmocka_unit_test(a_certificate_without_its_key_does_not_authenticate),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
