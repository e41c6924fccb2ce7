/* SPDX-License-Identifier: BSD-2-Clause */
/* Group OSCORE beyond the vectors: other algorithms, requests of members, parameters, credentials, and what must be refused. */
#include "tests/unit/group/group_cast.h"

/* ---- exchanges ---- */

/* A whole exchange of each mode under the algorithms of `w`. */
static void
round_trips(struct world *w)
{
    struct osp_msg q = get("a"), a = content("b"), on, got;
    struct osp_wr  s;

    on = ask(w, &q, false);
    got = take(w, &on);
    assert_int_equal(got.code, OSP_GET);
    on = reply(w, &a, OSP_GROUP_KID);
    EXPECT_OK(open_reply(w, &on, &got));
    EXPECT_BYTES(a.payload, got.payload);
    for (int mode = OSP_GROUP_PAIRWISE; mode <= OSP_GROUP_SIGNED; mode++) {
        s = pad(0);
        osp_group_layer_fini(&w->cl);
        EXPECT_OK(osp_group_protect_request(cr, w->client, (enum osp_group_mode)mode, TO_SERVER, &q, classes(w, &q), &s, &on,
                                            &w->cl));
        got = take(w, &on);
        assert_int_equal(got.code, OSP_GET);
        assert_int_equal(w->sl.mode, mode);
        on = reply(w, &a, 0);
        EXPECT_OK(open_reply(w, &on, &got));
        EXPECT_BYTES(a.payload, got.payload);
        on = reply(w, &a, OSP_GROUP_SIGN);      /* a second one has a number of its own */
        EXPECT_OK(open_reply(w, &on, &got));
        EXPECT_ERR(OSP_E_REPLAY, open_reply(w, &on, &got));
    }
}

/* [gosc#10] EdDSA with Ed25519, ECDSA with P-256 */
static void
all_modes_work_with_both_signatures(void **state)
{
    struct world w;

    (void)state;
    begin(&w, OSP_ED25519);
    round_trips(&w);
    end(&w);
    begin(&w, OSP_P256);
    round_trips(&w);
    end(&w);
}

/* [gosc#2.3] the Group Encryption Algorithm names the keys, the AEAD those of the pairwise mode */
static void
check_key_schedule(const struct world *w, const struct osp_group *g)
{
    const struct osp_group_params *p = &w->cast.p;
    struct osp_slice               key = osp_group_keys(g).sender_key;
    uint8_t                        info[64], out[32];
    struct osp_wr                  i = osp_wr_to(info, sizeof(info));

    EXPECT_OK(osp_oscore_info(osp_group_self(g), &p->gid, p->group_enc, "Key", osp_aead_info(p->group_enc)->key_len, &i));
    EXPECT_OK(osp_hkdf_derive(p->hkdf, p->master_secret, p->master_salt, osp_wr_slice(&i), out, key.n));
    EXPECT_BYTES(osp_slice(out, osp_aead_info(p->group_enc)->key_len), key);
    assert_int_equal(osp_group_member_keys(g, 0).to_member.n, osp_aead_info(p->aead)->key_len);
}

/* [gosc#2.1.4] [gosc#3.3] nonces of other lengths take the start of the Common IV */
static void
algorithms_of_different_sizes_go_together(void **state)
{
    static const struct { int aead, group_enc, hkdf, agreement, hash; size_t iv; } t[] = {
        { OSP_AES_GCM_128, OSP_AES_CCM_16_64_128, OSP_HKDF_SHA256, OSP_ECDH_SS_HKDF256, OSP_SHA512, 13 },
        { OSP_AES_CCM_16_64_256, OSP_CHACHA20_POLY1305, OSP_HKDF_SHA512, OSP_ECDH_SS_HKDF512, OSP_SHA384, 13 },
        { OSP_AES_CCM_64_64_128, OSP_AES_CCM_64_128_256, OSP_HKDF_SHA256, OSP_ECDH_SS_HKDF256, OSP_SHA256, 7 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct world w;

        memset(&w, 0, sizeof(w));
        cast_init(&w.cast, OSP_ED25519);
        w.cast.p.aead = t[i].aead;
        w.cast.p.group_enc = t[i].group_enc;
        w.cast.p.hkdf = t[i].hkdf;
        w.cast.p.agreement = t[i].agreement;
        w.cast.p.det_hash = t[i].hash;
        w.client = make(&w.cast, CLIENT);
        w.server = make(&w.cast, SERVER);
        w.other = make(&w.cast, OTHER);
        assert_int_equal(osp_group_keys(w.client).common_iv.n, t[i].iv);
        check_key_schedule(&w, w.client);
        round_trips(&w);
        end(&w);
    }
}

/* [gosc#2.4] credentials of another format: the key is told apart */
static void
an_opaque_credential_with_its_key_beside_works(void **state)
{
    struct world w;

    (void)state;
    memset(&w, 0, sizeof(w));
    cast_init(&w.cast, OSP_ED25519);
    for (size_t i = 0; i < PARTIES; i++) {
        w.cast.party[i].public_key = osp_slice(w.cast.pub[i], 32);
        w.cast.cred[i][0] = 0x30;       /* as of an X.509 certificate */
    }
    w.client = make(&w.cast, CLIENT);
    w.server = make(&w.cast, SERVER);
    w.other = make(&w.cast, OTHER);
    round_trips(&w);
    end(&w);
}

/* A group with the pairwise mode alone: X25519 keys, null in the AAD for what is not set [gosc#3.4] */
static void
a_group_of_one_mode_refuses_the_other(void **state)
{
    struct world   w;
    struct osp_msg q = get("a"), a = content("b"), on, got;
    struct osp_wr  s = pad(0);

    (void)state;
    memset(&w, 0, sizeof(w));
    cast_init(&w.cast, OSP_X25519);
    w.cast.p.group_enc = w.cast.p.signature = 0;
    w.cast.p.has_det = false;
    w.client = make(&w.cast, CLIENT);
    w.server = make(&w.cast, SERVER);
    w.other = make(&w.cast, OTHER);
    EXPECT_OK(osp_group_protect_request(cr, w.client, OSP_GROUP_PAIRWISE, TO_SERVER, &q, classes(&w, &q), &s, &on, &w.cl));
    got = take(&w, &on);
    on = reply(&w, &a, 0);
    EXPECT_OK(open_reply(&w, &on, &got));
    s = pad(0);
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_request(cr, w.client, OSP_GROUP_SIGNED, TO_SERVER, &q, w.classes, &s, &on,
                &w.cl));
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_deterministic(cr, w.client, TO_SERVER, &q, w.classes, false, &s, &on, &w.cl));
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x39\x00\x03gid\x20", 7));
    on.payload = osp_slice_str("long enough to hold a signature, were it one, which it is not, of course; and a tag");
    EXPECT_ERR(OSP_E_OSCORE_OPTION, serve(w.server, &on));
    end(&w);

    memset(&w, 0, sizeof(w));
    cast_init(&w.cast, OSP_ED25519);
    w.cast.p.aead = w.cast.p.agreement = 0;
    w.cast.p.has_det = false;
    w.client = make(&w.cast, CLIENT);
    w.server = make(&w.cast, SERVER);
    w.other = make(&w.cast, OTHER);
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x19\x00\x03gid\x20", 7));
    EXPECT_ERR(OSP_E_OSCORE_OPTION, serve(w.server, &on));
    s = pad(0);
    EXPECT_ERR(OSP_E_INVALID, osp_group_protect_request(cr, w.client, OSP_GROUP_PAIRWISE, TO_SERVER, &q, w.classes, &s, &on,
                &w.cl));
    end(&w);
}

/* ---- requests of members ---- */

static struct osp_msg
member_request(struct world *w, enum osp_group_mode mode, const struct osp_msg *q)
{
    struct osp_wr  s = pad(0);
    struct osp_msg on;

    osp_group_layer_fini(&w->cl);
    EXPECT_OK(osp_group_protect_request(cr, w->client, mode, TO_SERVER, q, classes(w, q), &s, &on, &w->cl));
    return on;
}

/* [gosc#7.2] [gosc#7.4] [gosc#8.4] */
static void
changed_member_requests_and_replays_are_refused(void **state)
{
    struct world     w;
    struct osp_msg   q = get("a"), on;
    struct osp_slice sealed;
    uint8_t          copy[256];

    (void)state;
    begin(&w, OSP_ED25519);
    for (int mode = OSP_GROUP_PAIRWISE; mode <= OSP_GROUP_SIGNED; mode++) {
        on = member_request(&w, (enum osp_group_mode)mode, &q);
        sealed = on.payload;
        for (size_t i = 0; i < sealed.n; i++) {
            assert_true(osp_slice_copy(sealed, copy, sizeof(copy)));
            copy[i] ^= 1;
            on.payload = osp_slice(copy, sealed.n);
            EXPECT_ERR(OSP_E_DECRYPT, serve(w.server, &on));
        }
        on.payload = sealed;
        EXPECT_OK(serve(w.server, &on));        /* the window did not move before */
        EXPECT_ERR(OSP_E_REPLAY, serve(w.server, &on));
        on.payload = osp_slice(copy, sealed.n);
        EXPECT_ERR(OSP_E_REPLAY, serve(w.server, &on));         /* asked before anything is decrypted */
    }
    /* what is pairwise with one server is not for another, what is signed is for all */
    on = member_request(&w, OSP_GROUP_PAIRWISE, &q);
    EXPECT_ERR(OSP_E_DECRYPT, serve(w.other, &on));
    on = member_request(&w, OSP_GROUP_SIGNED, &q);
    EXPECT_OK(serve(w.other, &on));
    end(&w);
}

/* [gosc#3.2] [gosc#7.4] */
static void
a_response_to_a_signed_request_names_its_server(void **state)
{
    struct world   w;
    struct osp_msg q = get("a"), a = content("x"), on, got;

    (void)state;
    begin(&w, OSP_ED25519);
    on = member_request(&w, OSP_GROUP_SIGNED, &q);
    (void)take(&w, &on);
    on = reply(&w, &a, 0);
    EXPECT_BYTES(osp_slice("\x28\x21", 2), osp_msg_get(&on, OSP_OPT_OSCORE)->val);
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x20", 1));
    EXPECT_ERR(OSP_E_OSCORE_OPTION, open_reply(&w, &on, &got));
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x28\x22", 2));
    EXPECT_ERR(OSP_E_DECRYPT, open_reply(&w, &on, &got));
    set_option(&on, OSP_OPT_OSCORE, osp_slice("\x28\x21", 2));
    EXPECT_OK(open_reply(&w, &on, &got));
    EXPECT_ERR(OSP_E_REPLAY, open_reply(&w, &on, &got));
    end(&w);
}

static void
fill_five(void *ctx, uint8_t *dst, size_t n)
{
    (void)ctx;
    memset(dst, 5, n);
}

/* [gosc#9] as appendix B.1.2 of RFC 8613 */
static void
an_unknown_window_asks_for_an_echo(void **state)
{
    struct world       w;
    struct osp_msg     q = get("a"), on, out, challenge;
    struct osp_randbuf rand;
    struct osp_wr      s = pad(1);
    struct osp_replay  win;
    uint8_t            echo[OSP_ECHO_LEN];

    (void)state;
    begin(&w, OSP_ED25519);
    osp_randbuf_init(&rand, (struct osp_rand){ fill_five, NULL });
    osp_group_unref(w.server);
    play(&w.cast, SERVER);
    EXPECT_OK(osp_group_new(&w.cast.p, &w.server, NULL));
    osp_group_grant(w.server, 0, 10);
    on = member_request(&w, OSP_GROUP_PAIRWISE, &q);
    EXPECT_ERR(OSP_E_NOT_FRESH, osp_group_unprotect_request(cr, w.server, &on, &s, &out, &w.sl));
    osp_group_challenge(&w.sl, &rand, echo, &challenge);
    assert_int_equal(challenge.code, OSP_CODE(4, 1));
    on = reply(&w, &challenge, 0);
    assert_int_equal(osp_msg_get(&on, OSP_OPT_OSCORE)->val.n, 2);       /* a number of our own, though not asked for */
    EXPECT_OK(open_reply(&w, &on, &out));
    EXPECT_BYTES(osp_slice(echo, sizeof(echo)), osp_msg_get(&out, OSP_OPT_ECHO)->val);
    osp_group_layer_fini(&w.sl);
    on = member_request(&w, OSP_GROUP_PAIRWISE, &q);                    /* without it, still not */
    EXPECT_ERR(OSP_E_NOT_FRESH, serve(w.server, &on));
    EXPECT_OK(osp_msg_add(&q, OSP_OPT_ECHO, osp_slice(echo, 7)));
    on = member_request(&w, OSP_GROUP_PAIRWISE, &q);
    EXPECT_ERR(OSP_E_NOT_FRESH, serve(w.server, &on));
    set_option(&q, OSP_OPT_ECHO, osp_slice(echo, 8));
    on = member_request(&w, OSP_GROUP_PAIRWISE, &q);
    out = take(&w, &on);
    assert_false(osp_msg_has(&out, OSP_OPT_ECHO));
    EXPECT_ERR(OSP_E_REPLAY, serve(w.server, &on));
    assert_int_equal(osp_group_get_window(w.server, 0, &win), OSP_WINDOW_KNOWN);
    assert_int_equal(osp_group_get_window(w.server, 1, &win), OSP_WINDOW_UNKNOWN);
    end(&w);
}

/* [gosc#2.5.3] [rfc8613#7.2.1] [rfc8613#B.1.1] */
static void
no_number_is_used_that_was_not_granted(void **state)
{
    struct world      w;
    struct osp_group *g = NULL;
    struct osp_msg    q = get("a"), on;
    struct osp_wr     s = pad(0);

    (void)state;
    begin(&w, OSP_ED25519);
    play(&w.cast, CLIENT);
    EXPECT_OK(osp_group_new(&w.cast.p, &g, NULL));
    for (int mode = OSP_GROUP_PAIRWISE; mode <= OSP_GROUP_SIGNED; mode++)
        EXPECT_ERR(OSP_E_NO_LEASE, osp_group_protect_request(cr, g, (enum osp_group_mode)mode, TO_SERVER, &q, classes(&w, &q), &s,
                                                             &on, &w.cl));
    osp_group_grant(g, OSP_PIV_MAX, OSP_PIV_MAX + 100);
    EXPECT_OK(osp_group_protect_request(cr, g, OSP_GROUP_SIGNED, TO_SERVER, &q, w.classes, &s, &on, &w.cl));
    osp_group_layer_fini(&w.cl);
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_group_protect_request(cr, g, OSP_GROUP_PAIRWISE, TO_SERVER, &q, w.classes, &s, &on,
                &w.cl));
    /* deterministic requests need none */
    EXPECT_OK(osp_group_protect_deterministic(cr, g, TO_SERVER, &q, w.classes, false, &s, &on, &w.cl));
    osp_group_unref(g);
    end(&w);
}

static void
little_room_is_an_error_and_no_overrun(void **state)
{
    struct world   w;
    struct osp_msg q = get("a"), a = content("x"), on, out, resp;
    uint8_t        small[700];

    (void)state;
    begin(&w, OSP_ED25519);
    on = ask(&w, &q, false);
    (void)take(&w, &on);
    resp = reply(&w, &a, 0);
    for (size_t n = 0; n < sizeof(small); n++) {
        struct osp_wr          s = osp_wr_to(small, n);
        struct osp_group_layer l = { 0 };
        enum osp_err           e;

        e = osp_group_protect_deterministic(cr, w.client, TO_SERVER, &q, classes(&w, &q), false, &s, &out, &l);
        assert_true(e == OSP_E_NOSPACE || e == OSP_OK);
        osp_group_layer_fini(&l);
        s = osp_wr_to(small, n);
        e = osp_group_unprotect_request(cr, w.server, &on, &s, &out, &l);
        assert_true(e == OSP_E_NOSPACE || e == OSP_OK);
        osp_group_layer_fini(&l);
        s = osp_wr_to(small, n);
        e = osp_group_protect_response(cr, &w.sl, &a, classes(&w, &a), OSP_GROUP_KID, &s, &out);
        assert_true(e == OSP_E_NOSPACE || e == OSP_OK);
        s = osp_wr_to(small, n);
        w.cl.last_piv = 0;
        e = osp_group_unprotect_response(cr, &w.cl, &resp, &s, &out);
        assert_true(e == OSP_E_NOSPACE || e == OSP_OK);
    }
    end(&w);
}

/* ---- parameters ---- */

/* [gosc#2.1] [gosc#2.1.9] [gosc#2.2] */
static void
parameters_that_do_not_go_together_are_refused(void **state)
{
    struct cast       c;
    struct osp_group *g = NULL;
    uint8_t           long_gid[OSP_GROUP_GID_MAX + 1] = { 0 };

    (void)state;
#define REFUSED(want, change)                                       \
    do {                                                            \
        cast_init(&c, OSP_ED25519);                                 \
        play(&c, CLIENT);                                           \
        change;                                                     \
        EXPECT_ERR(want, osp_group_new(&c.p, &g, NULL));            \
    } while (0)
    REFUSED(OSP_E_ALGORITHM, c.p.hkdf = 0);
    REFUSED(OSP_E_ALGORITHM, c.p.hkdf = OSP_HKDF_SHA512);           /* and the agreement is not of it */
    REFUSED(OSP_E_ALGORITHM, c.p.aead = 99);
    REFUSED(OSP_E_ALGORITHM, c.p.aead = 0);                         /* an agreement without what it is for */
    REFUSED(OSP_E_ALGORITHM, c.p.agreement = 0);
    REFUSED(OSP_E_ALGORITHM, c.p.group_enc = 99);
    REFUSED(OSP_E_ALGORITHM, c.p.group_enc = 0);
    REFUSED(OSP_E_ALGORITHM, c.p.signature = 0);
    REFUSED(OSP_E_ALGORITHM, c.p.signature = -35);
    REFUSED(OSP_E_ALGORITHM, c.p.det_hash = 0);
    REFUSED(OSP_E_ALGORITHM, c.p.aead = c.p.agreement = c.p.group_enc = c.p.signature = 0);
    REFUSED(OSP_E_ALGORITHM, c.p.aead = c.p.agreement = 0);         /* no pairwise mode, but a Deterministic Client */
    REFUSED(OSP_E_INVALID, c.p.signature = OSP_ES256);              /* keys of another curve */
    REFUSED(OSP_E_ID_LENGTH, c.p.gid = osp_slice(long_gid, sizeof(long_gid)));
    REFUSED(OSP_E_ID_LENGTH, c.p.det_id = osp_slice(long_gid, 8));
    REFUSED(OSP_E_ID_LENGTH, c.p.self.id = osp_slice(long_gid, 8));
    REFUSED(OSP_E_ID_LENGTH, c.others[1].id = osp_slice(long_gid, 8));
    REFUSED(OSP_E_ID_LENGTH, (c.p.aead = OSP_AES_CCM_64_64_128, c.others[0].id = osp_slice(long_gid, 2)));
    REFUSED(OSP_E_EXISTS, c.others[1].id = c.others[0].id);
    REFUSED(OSP_E_EXISTS, c.others[1].id = c.p.self.id);
    REFUSED(OSP_E_EXISTS, c.p.det_id = c.p.self.id);
    REFUSED(OSP_E_EXISTS, c.p.det_id = c.others[0].id);
    REFUSED(OSP_E_INVALID, c.p.private_key = osp_slice(c.priv[OTHER], 32));
    REFUSED(OSP_E_INVALID, c.p.private_key = osp_slice(c.priv[CLIENT], 31));
    REFUSED(OSP_E_INVALID, c.others[0].credential = OSP_EMPTY);
    REFUSED(OSP_E_INVALID, c.others[0].credential = osp_slice_str("no claims"));
    REFUSED(OSP_E_INVALID, c.others[0].public_key = osp_slice(c.pub[0], 31));
    REFUSED(OSP_E_INVALID, c.p.member_count = OSP_GROUP_MEMBERS_MAX + 1);
    REFUSED(OSP_E_INVALID, c.p.gm_credential = osp_slice(scratch, OSP_CREDENTIAL_MAX + 1));
    REFUSED(OSP_E_INVALID, c.p.self.credential = osp_slice(scratch, OSP_CREDENTIAL_MAX + 1));
#undef REFUSED
    assert_null(g);
}

static void
the_member_at_fault_is_told(void **state)
{
    struct cast       c;
    struct osp_group *g = NULL;
    size_t            bad = 99;

    (void)state;
    cast_init(&c, OSP_ED25519);
    play(&c, CLIENT);
    c.others[1].credential = osp_slice_str("no claims");
    EXPECT_ERR(OSP_E_INVALID, osp_group_new(&c.p, &g, &bad));
    assert_int_equal(bad, 1);
    play(&c, CLIENT);
    c.p.private_key = osp_slice(c.priv[OTHER], 32);
    EXPECT_ERR(OSP_E_INVALID, osp_group_new(&c.p, &g, &bad));
    assert_int_equal(bad, c.p.member_count);
}

/* [gosc#2.5.2] y = 1 and y = -1 have to be refused, and what is no key of the curve */
static void
degenerate_public_keys_are_refused(void **state)
{
    struct cast       c;
    struct osp_group *g = NULL;
    uint8_t           y[4][32] = { { 1 }, { 0xec }, { 0xed }, { 0 } };
    size_t            bad;

    (void)state;
    for (size_t i = 1; i < 3; i++) {    /* p - 1, that is -1, and p itself */
        memset(&y[i][1], 0xff, 30);
        y[i][31] = 0x7f;
    }
    for (size_t i = 0; i < 3; i++) {
        cast_init(&c, OSP_ED25519);
        play(&c, CLIENT);
        c.others[0].public_key = osp_slice(y[i], 32);
        EXPECT_ERR(OSP_E_INVALID, osp_group_new(&c.p, &g, &bad));
        assert_int_equal(bad, 0);
    }
    cast_init(&c, OSP_P256);
    play(&c, CLIENT);
    c.pub[SERVER][63] ^= 1;             /* not on the curve */
    c.others[0].public_key = osp_slice(c.pub[SERVER], 64);
    EXPECT_ERR(OSP_E_INVALID, osp_group_new(&c.p, &g, &bad));
    assert_int_equal(bad, 0);
}

static void
fingerprints_tell_sender_contexts_apart(void **state)
{
    struct cast c;
    uint8_t     fp[6][32];

    (void)state;
    cast_init(&c, OSP_ED25519);
    play(&c, CLIENT);
    EXPECT_OK(osp_group_fingerprint(&c.p, fp[0]));
    EXPECT_OK(osp_group_fingerprint(&c.p, fp[1]));
    assert_memory_equal(fp[0], fp[1], 32);
    play(&c, SERVER);
    EXPECT_OK(osp_group_fingerprint(&c.p, fp[1]));
    c.p.gid = osp_slice("gie", 3);
    EXPECT_OK(osp_group_fingerprint(&c.p, fp[2]));
    c.p.master_salt = OSP_EMPTY;
    EXPECT_OK(osp_group_fingerprint(&c.p, fp[3]));
    c.p.has_self = false;
    EXPECT_OK(osp_group_fingerprint(&c.p, fp[4]));
    c.p.master_secret = osp_slice_str("x");
    EXPECT_OK(osp_group_fingerprint(&c.p, fp[5]));
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(fp[i], fp[k], 32);
}

static void
sender_name_of(const struct osp_group_params *p, uint8_t out[OSP_KEY_NAME_LEN])
{
    struct osp_group *g;

    EXPECT_OK(osp_group_new(p, &g, NULL));
    EXPECT_OK(osp_group_sender_name(g, out));
    osp_group_unref(g);
}

/* [gosc#2.5.3] numbers are those of the Sender Key, in which the pairwise mode and zeroes after the salt have no part */
static void
sender_key_has_one_name_whatever_the_pairwise_mode(void **state)
{
    struct cast       c;
    struct osp_group *g;
    uint8_t           name[3][OSP_KEY_NAME_LEN], salt[65];

    (void)state;
    cast_init(&c, OSP_ED25519);
    play(&c, CLIENT);
    sender_name_of(&c.p, name[0]);
    c.p.aead = c.p.aead == OSP_AES_CCM_16_64_128 ? OSP_AES_GCM_128 : OSP_AES_CCM_16_64_128;
    sender_name_of(&c.p, name[1]);
    assert_memory_equal(name[0], name[1], OSP_KEY_NAME_LEN);
    memset(salt, 0, sizeof(salt));
    assert_true(c.p.master_salt.n < 60);
    (void)osp_slice_copy(c.p.master_salt, salt, sizeof(salt));
    c.p.master_salt = osp_slice(salt, 64);
    sender_name_of(&c.p, name[1]);
    assert_memory_equal(name[0], name[1], OSP_KEY_NAME_LEN);
    EXPECT_OK(osp_group_new(&c.p, &g, NULL));
    EXPECT_OK(osp_group_member_name(g, 0, name[2]));        /* the server's Sender Key, seen from both ends */
    assert_memory_not_equal(name[1], name[2], OSP_KEY_NAME_LEN);
    osp_group_unref(g);
    play(&c, SERVER);
    sender_name_of(&c.p, name[1]);
    assert_memory_equal(name[1], name[2], OSP_KEY_NAME_LEN);
    c.p.gid = osp_slice("gie", 3);
    sender_name_of(&c.p, name[1]);
    assert_memory_not_equal(name[1], name[2], OSP_KEY_NAME_LEN);
    c.p.has_self = false;
    EXPECT_OK(osp_group_new(&c.p, &g, NULL));
    EXPECT_ERR(OSP_E_NOT_FOUND, osp_group_sender_name(g, name[1]));
    osp_group_unref(g);
}

/* ---- credentials ---- */

/* [gosc#2.4] */
static void
credentials_are_read_whole_or_not_at_all(void **state)
{
    struct cast          c;
    struct osp_group_key k;
    uint8_t              copy[256];
    struct osp_slice     cred;
    static const char   *bad[] = {
        "a0", "a10800", "a108a0", "a108a10100", "a108a101a0",
        "a108a101a2200621581f00",                       /* x cut short */
        "a108a101a1200", "f6", "80",
        "a108a101a22001214400000000",                   /* P-256 with a short x */
        "d2a108a0",                                     /* tagged: the untagged one is used */
    };

    (void)state;
    cast_init(&c, OSP_P256);
    cred = c.party[0].credential;
    EXPECT_OK(osp_credential_key(cred, &k));
    assert_int_equal(k.curve, OSP_P256);
    EXPECT_BYTES(osp_slice(c.pub[0], 64), osp_slice(k.bytes, k.len));
    for (size_t n = 0; n < cred.n; n++)
        EXPECT_ERR(OSP_E_INVALID, osp_credential_key(osp_slice_head(cred, n), &k));
    assert_true(osp_slice_copy(cred, copy, sizeof(copy)));
    copy[cred.n] = 0;
    EXPECT_ERR(OSP_E_INVALID, osp_credential_key(osp_slice(copy, cred.n + 1), &k));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = 0;

        (void)osp_hex_decode(osp_slice_str(bad[i]), copy, sizeof(copy), &n);
        EXPECT_ERR(OSP_E_INVALID, osp_credential_key(osp_slice(copy, n), &k));
    }
}

/* [gosc#2.5.1] a P-256 key may come with the sign of y alone */
static void
a_compressed_key_is_the_same_key(void **state)
{
    struct cast          c;
    struct osp_group_key k;
    uint8_t              hex[200], buf[200];
    struct osp_wr        w = osp_wr_to(buf, sizeof(buf));

    (void)state;
    (void)hex;
    cast_init(&c, OSP_P256);
    osp_cbor_put_map(&w, 1);
    osp_cbor_put_int(&w, 8);
    osp_cbor_put_map(&w, 1);
    osp_cbor_put_int(&w, 1);
    osp_cbor_put_map(&w, 3);
    osp_cbor_put_int(&w, -1);
    osp_cbor_put_int(&w, OSP_P256);
    osp_cbor_put_int(&w, -2);
    osp_cbor_put_bstr(&w, osp_slice(c.pub[0], 32));
    osp_cbor_put_int(&w, -3);
    osp_cbor_put_bool(&w, c.pub[0][63] & 1);
    EXPECT_OK(osp_credential_key(osp_wr_slice(&w), &k));
    assert_int_equal(k.len, 33);
    EXPECT_OK(osp_credential_key_fits(&k, osp_slice(c.priv[0], 32)));
    EXPECT_ERR(OSP_E_INVALID, osp_credential_key_fits(&k, osp_slice(c.priv[1], 32)));
    k.bytes[0] ^= 1;                    /* the other point */
    EXPECT_ERR(OSP_E_INVALID, osp_credential_key_fits(&k, osp_slice(c.priv[0], 32)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_modes_work_with_both_signatures),
        cmocka_unit_test(algorithms_of_different_sizes_go_together),
        cmocka_unit_test(an_opaque_credential_with_its_key_beside_works),
        cmocka_unit_test(a_group_of_one_mode_refuses_the_other),
        cmocka_unit_test(changed_member_requests_and_replays_are_refused),
        cmocka_unit_test(a_response_to_a_signed_request_names_its_server),
        cmocka_unit_test(an_unknown_window_asks_for_an_echo),
        cmocka_unit_test(no_number_is_used_that_was_not_granted),
        cmocka_unit_test(little_room_is_an_error_and_no_overrun),
        cmocka_unit_test(parameters_that_do_not_go_together_are_refused),
        cmocka_unit_test(the_member_at_fault_is_told),
        cmocka_unit_test(degenerate_public_keys_are_refused),
        cmocka_unit_test(fingerprints_tell_sender_contexts_apart),
        cmocka_unit_test(sender_key_has_one_name_whatever_the_pairwise_mode),
        cmocka_unit_test(credentials_are_read_whole_or_not_at_all),
        cmocka_unit_test(a_compressed_key_is_the_same_key),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
