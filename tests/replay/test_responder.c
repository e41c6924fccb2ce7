/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Responder of EDHOC in the proxy, in virtual time: whole sessions, repetitions, errors, bounds, load, reloads.  The
 * Initiator is lib/edhoc under a policy of its own.
 */
#include "tests/unit/edhoc/edhoc_pair.h"

#include <malloc.h>
#include <stdlib.h>

#include "crypto/pk.h"
#include "msg/block.h"
#include "world.h"

#define SESSION_S 60
#define EDHOC_FORMAT 64
#define LABEL(i) (OSP_MADE_LABEL | (uint32_t)(i))

enum { ED25519, X25519, P256, KEYS };
static const int           curves[KEYS] = { OSP_ED25519, OSP_X25519, OSP_P256 };
static const char *const   names[] = { "ed25519", "x25519", "p256", "unknown" };
static struct world        w;
static struct edhoc_side   ours[KEYS], theirs[KEYS];
static struct osp_edhoc_own own[2][KEYS];               /* of the Initiator, of the proxy */
static struct osp_edhoc_peer peers[2][KEYS];            /* whom the Initiator trusts, whom the proxy trusts */
static struct osp_edhoc_peers known;
static uint16_t            next_mid;
static uint64_t            seeds;
static const struct osp_edhoc_own *special;             /* the Initiator's only credential; NULL: it has those above */

/* ---- both ends ---- */

static void
make_credentials(void)
{
    for (int i = 0; i < KEYS; i++) {
        edhoc_ccs(&theirs[i], curves[i], (uint8_t)(0x31 + i), (uint8_t)(0x41 + i), false, false);
        edhoc_ccs(&ours[i], curves[i], (uint8_t)(0x51 + i), (uint8_t)(0x61 + i), false, false);
        own[0][i] = theirs[i].own;
        own[1][i] = ours[i].own;
        peers[0][i] = (struct osp_edhoc_peer){ .cred = ours[i].own.cred, .label = (uint32_t)i };
        peers[1][i] = (struct osp_edhoc_peer){ .cred = theirs[i].own.cred, .label = LABEL(i) };
    }
    EXPECT_OK(osp_edhoc_peers_init(&known, peers[0], KEYS));
}

static void
setup_with(size_t sessions, size_t verify_above)
{
    struct osp_responder_cfg cfg = { .sessions = sessions, .verify_above = verify_above, .session_us = OSP_SEC(SESSION_S) };

    world_init_forward(&w);
    make_credentials();
    world_edhoc(&w, &cfg);
    w.edhoc.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2, 0 }, 2 }, .own = own[1], .own_count = KEYS };
    EXPECT_OK(osp_edhoc_peers_init(&w.edhoc.trusted, peers[1], KEYS));
    w.edhoc.names = names;
    w.edhoc.name_count = 4;
    w.edhoc.unknown_label = LABEL(3);
}

static int
setup(void **state)
{
    (void)state;
    setup_with(64, 64);
    return 0;
}

/* With other bounds. */
static void
again(size_t sessions, size_t verify_above)
{
    world_fini(&w);
    setup_with(sessions, verify_above);
}

static struct osp_responder_stats
sessions(void)
{
    struct osp_responder_stats s;

    osp_responder_stats(w.responder, &s);
    return s;
}

/* Nothing is pending, and no identifier is reserved: as many places are left as there were. */
static int
teardown(void **state)
{
    struct osp_responder_stats s;

    (void)state;
    world_run(&w, OSP_SEC(500));
    osp_responder_expire(w.responder, w.now);
    s = sessions();
    assert_int_equal(0, s.unfinished + s.finished);
    world_stop(&w);
    assert_int_equal(1, atomic_load(&w.policy.refs) - 1);       /* ours and the proxy's: no session holds it */
    world_fini(&w);
    return 0;
}

/* ---- the Initiator ---- */

struct client {
    struct osp_addr          from;
    struct osp_edhoc_profile profile;
    struct osp_edhoc         s;
    struct osp_edhoc_cid     c_r;
    struct osp_octx         *octx;
    uint8_t                  m1[OSP_EDHOC_MESSAGE_MAX], m3[OSP_EDHOC_MESSAGE_MAX];
    size_t                   n1, n3;
};

static struct osp_slice
m1_of(const struct client *c)
{
    return osp_slice(c->m1, c->n1);
}

static struct osp_slice
m3_of(const struct client *c)
{
    return osp_slice(c->m3, c->n3);
}

static struct osp_addr
host(uint8_t n)
{
    return (struct osp_addr){ .ip = osp_ip_v4(192, 0, 2, n), .port = 40000 };
}

static void
client_init(struct client *c, uint8_t method, int64_t suite, struct osp_slice c_i)
{
    uint8_t       seed[32] = { 0 };
    struct osp_wr w1 = osp_wr_to(c->m1, sizeof(c->m1)), ws = osp_wr_to(seed, sizeof(seed));

    memset(c, 0, sizeof(*c));
    c->from = host(1);
    c->profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { suite }, 1 }, .own = special ? special : own[0],
                                             .own_count = special ? 1 : KEYS,
                                             .has_message_4 = w.edhoc.profile.has_message_4, .find = osp_edhoc_peers_find,
                                             .find_ctx = &known };
    osp_edhoc_init(&c->s, OSP_EDHOC_INITIATOR, &c->profile, edhoc_crypto, EDHOC_NOW);
    osp_wr_uint(&ws, ++seeds, 8);
    EXPECT_OK(osp_edhoc_make_message_1(&c->s, method, suite, seed, c_i, OSP_EMPTY, &w1));
    c->n1 = w1.n;
}

static void
client_fini(struct client *c)
{
    osp_edhoc_fini(&c->s);
    osp_octx_unref(c->octx);
    c->octx = NULL;
}

static void
send_from(const struct osp_addr *from, struct osp_msg *m)
{
    uint8_t       buf[2048];
    struct osp_wr d = osp_wr_to(buf, sizeof(buf));

    m->type = OSP_NON;
    m->mid = ++next_mid;
    if (m->token.n == 0)
        m->token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_encode_udp(m, &d));
    world_in_from(&w, WORLD_LISTENER, from, osp_wr_slice(&d));
}

static bool
take(struct world_out *o, struct osp_msg *m)
{
    return world_take_msg(&w, o, m);
}

/* What the client was told; 0: nothing. */
static uint8_t
told(struct osp_msg *m)
{
    struct world_out o;

    if (!take(&o, m))
        return 0;
    assert_int_equal(WORLD_LISTENER, o.to.sock);
    return m->code;
}

static void
edhoc_request(struct osp_msg *m, struct osp_slice payload)
{
    osp_msg_init(m, OSP_POST);
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str(".well-known")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str("edhoc")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_CONTENT_FORMAT, osp_slice_str("\x41")));
    m->payload = payload;
}

static uint8_t
post(const struct osp_addr *from, struct osp_slice payload, struct osp_slice echo, struct osp_msg *resp)
{
    struct osp_msg m;

    edhoc_request(&m, payload);
    if (echo.n)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, echo));
    send_from(from, &m);
    return told(resp);
}

/* message_1 as it travels. */
static uint8_t
send_1(const struct client *c, struct osp_slice echo, struct osp_msg *resp)
{
    uint8_t       bytes[OSP_EDHOC_MESSAGE_MAX + 1];
    struct osp_wr d = osp_wr_to(bytes, sizeof(bytes));

    osp_wr_u8(&d, 0xf5);
    osp_wr_put(&d, m1_of(c));
    return post(&c->from, osp_wr_slice(&d), echo, resp);
}

static uint8_t
send_3(const struct client *c, struct osp_slice m3, struct osp_msg *resp)
{
    uint8_t       bytes[OSP_EDHOC_MESSAGE_MAX + 16];
    struct osp_wr d = osp_wr_to(bytes, sizeof(bytes));

    osp_edhoc_cid_put(&d, osp_slice(c->c_r.bytes, c->c_r.len));
    osp_wr_put(&d, m3);
    return post(&c->from, osp_wr_slice(&d), OSP_EMPTY, resp);
}

/* Message_2 in, message_3 made. */
static void
go_on(struct client *c, const struct osp_msg *resp)
{
    struct osp_wr d = osp_wr_to(c->m3, sizeof(c->m3));
    struct osp_slice c_r;

    EXPECT_OK(osp_edhoc_take_message_2(&c->s, resp->payload, NULL));
    c_r = osp_edhoc_c_r(&c->s);
    c->c_r.len = (uint8_t)c_r.n;
    assert_true(osp_slice_copy(c_r, c->c_r.bytes, sizeof(c->c_r.bytes)));
    EXPECT_OK(osp_edhoc_make_message_3(&c->s, OSP_EMPTY, &d));
    c->n3 = d.n;
}

static void
begin(struct client *c, uint8_t method, int64_t suite, const char *c_i)
{
    struct osp_msg resp;

    client_init(c, method, suite, osp_slice_str(c_i));
    assert_int_equal(OSP_CODE(2, 4), send_1(c, OSP_EMPTY, &resp));
    go_on(c, &resp);
}

static void
derive(struct client *c)
{
    struct osp_edhoc_oscore o;
    struct osp_octx_params  p;

    EXPECT_OK(osp_edhoc_oscore(&c->s, &o));
    p = osp_edhoc_octx_params(&o, 0);
    EXPECT_OK(osp_octx_new(&p, &c->octx));
    osp_octx_grant(c->octx, 0, 1000);
    osp_octx_set_window(c->octx, &(struct osp_replay){ 0 });
}

static void
finish(struct client *c)
{
    struct osp_msg resp;

    assert_int_equal(OSP_CODE(2, 4), send_3(c, m3_of(c), &resp));
    if (c->profile.has_message_4)
        EXPECT_OK(osp_edhoc_take_message_4(&c->s, resp.payload, NULL));
    else
        assert_int_equal(0, resp.payload.n);
    derive(c);
}

/* ---- requests under the keys ---- */

/* `m` under the client's layer; with `m3` as a combined request [rfc9668#3.2]. */
static void
send_protected(struct client *c, const struct osp_msg *m, struct osp_slice m3, struct osp_layer *l)
{
    struct osp_leg leg = { OSP_LEG_TO_PROXY, true, false };
    struct osp_msg out;
    uint8_t        buf[1024], both[2048], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf)), d = osp_wr_to(both, sizeof(both));

    EXPECT_OK(osp_classes(&leg, m, classes));
    EXPECT_OK(osp_oscore_protect_request(edhoc_crypto, c->octx, m, classes, &b, &out, l));
    osp_wr_put(&d, m3);
    osp_wr_put(&d, out.payload);
    out.payload = osp_wr_slice(&d);
    if (m3.n)
        EXPECT_OK(osp_msg_add(&out, OSP_OPT_EDHOC, OSP_EMPTY));
    out.token = OSP_EMPTY;
    send_from(&c->from, &out);
}

/* The origin answers 2.05 to the request that left last; false: none did. */
static bool
origin_answers(void)
{
    struct world_out o;
    struct osp_msg   q, r;

    if (w.out_count == 0 || w.out[0].to.sock != 0)
        return false;
    assert_true(take(&o, &q));
    assert_false(osp_msg_has(&q, OSP_OPT_EDHOC));
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.type = OSP_NON;
    r.mid = ++next_mid;
    r.token = q.token;
    world_send(&w, o.to.sock, o.to.peer.ip.b[15], o.to.peer.port, &r);
    return true;
}

/* A request through the proxy and its answer back, both under the keys. */
static bool
passes_with(struct client *c, struct osp_slice m3)
{
    struct osp_layer l = { 0 };
    struct osp_msg   m, resp, plain;
    uint8_t          buf[512];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));
    bool             ok;

    world_get(&m);
    send_protected(c, &m, m3, &l);
    ok = origin_answers();
    ok = told(&resp) == OSP_CODE(2, 4) && ok;
    ok = ok && osp_oscore_unprotect_response(edhoc_crypto, &l, &resp, &b, &plain) == OSP_OK && plain.code == OSP_CODE(2, 5);
    osp_layer_fini(&l);
    return ok;
}

static bool
passes(struct client *c)
{
    return passes_with(c, OSP_EMPTY);
}

/* [rfc9528#A.2.3] an unprotected error with this ERR_CODE */
static void
expect_error(const struct osp_msg *m, uint8_t code, int64_t err_code)
{
    struct osp_edhoc_error e;
    const struct osp_opt  *f = osp_msg_get(m, OSP_OPT_CONTENT_FORMAT);
    uint32_t               format = 0;

    assert_int_equal(code, m->code);
    assert_true(f && osp_opt_uint(f->val, &format));
    assert_int_equal(EDHOC_FORMAT, format);
    assert_false(osp_msg_has(m, OSP_OPT_OSCORE));
    EXPECT_OK(osp_edhoc_read_error(m->payload, &e));
    assert_int_equal(err_code, e.code);
}

static bool
is_live(const struct client *c)
{
    struct osp_octx *o = osp_octx_live_find(w.live, osp_slice(c->c_r.bytes, c->c_r.len), false, OSP_EMPTY);

    osp_octx_unref(o);
    return o != NULL;
}

/* ---- whole sessions ---- */

/* row X01 */
static void
every_method_and_suite_makes_keys_that_work(void **state)
{
    struct client c;

    (void)state;
    world_start(&w);
    for (int m4 = 0; m4 < 2; m4++) {
        w.edhoc.profile.has_message_4 = m4;
        for (uint8_t method = 0; method < 4; method++) {
            for (int64_t suite = 0; suite <= 2; suite += 2) {
                begin(&c, method, suite, "I");
                assert_false(is_live(&c));      /* nobody has proven anything yet */
                finish(&c);
                assert_true(is_live(&c));
                assert_true(passes(&c));
                assert_int_equal(LABEL(method & 2 ? (suite == 2 ? P256 : X25519) : suite == 2 ? P256 : ED25519),
                                 osp_octx_label(w.made[w.made_count - 1]->octx));
                client_fini(&c);
            }
        }
    }
    assert_int_equal(16, w.kept);
}

/* row X02 X03 X04 */
static void
message_1_that_cannot_be_served_is_answered_and_leaves_nothing(void **state)
{
    struct client          c;
    struct osp_msg         resp;
    struct osp_edhoc_error e;

    (void)state;
    world_start(&w);
    client_init(&c, 3, 6, osp_slice_str("I"));
    assert_int_equal(OSP_CODE(4, 0), send_1(&c, OSP_EMPTY, &resp));
    expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_SUITE);
    EXPECT_OK(osp_edhoc_read_error(resp.payload, &e));
    assert_int_equal(2, e.suites_r.count);
    client_fini(&c);
    w.edhoc.profile.methods = 1;
    client_init(&c, 3, 2, osp_slice_str("I"));
    (void)send_1(&c, OSP_EMPTY, &resp);
    expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
    c.n1--;
    (void)send_1(&c, OSP_EMPTY, &resp);
    expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
    client_fini(&c);
    assert_int_equal(0, sessions().unfinished);
    assert_int_equal(3, sessions().failed);
}

/* row X05 [rfc9668#4.1.2]: the pool of one byte has 48 values, so the Initiator's choice is among them */
static void
c_r_is_never_taken_twice(void **state)
{
    static bool    used[256];
    struct client  c;
    struct osp_msg resp;
    char           c_i[2] = "";
    char           rid[3];

    (void)state;
    again(1100, 1100);
    for (int i = 0; i < 8; i++) {
        snprintf(rid, sizeof(rid), "%02x", i);
        (void)world_context(&w, "000102030405060708090a0b0c0d0e0f", "", "d4", rid, 0);
    }
    world_start(&w);
    memset(used, 0, sizeof(used));
    for (int i = 0; i < 1000; i++) {
        struct osp_slice c_r;

        c_i[0] = (char)(1 + i % 23);
        client_init(&c, 3, 0, osp_slice_str(c_i));
        c.from = host((uint8_t)(i % 8));
        assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));
        EXPECT_OK(osp_edhoc_take_message_2(&c.s, resp.payload, NULL));
        c_r = osp_edhoc_c_r(&c.s);
        assert_false(osp_slice_eq(c_r, osp_slice_str(c_i)));
        assert_false(osp_octx_table_has_id(w.table, c_r));
        assert_int_equal(OSP_E_EXISTS, osp_octx_live_reserve(w.live, c_r));
        if (c_r.n == 1) {
            assert_false(used[c_r.p[0]]);
            used[c_r.p[0]] = true;
        }
        if (i == 100)           /* a reload brought another context */
            (void)world_context(&w, "000102030405060708090a0b0c0d0e0f", "", "d4", "2100", 0);
        client_fini(&c);
        world_run(&w, OSP_MS(1));
    }
    assert_int_equal(1000, sessions().unfinished);
}

/* ---- combined requests ---- */

/* row X06 */
static void
combined_request_is_message_3_and_the_first_request(void **state)
{
    struct client c;

    (void)state;
    world_start(&w);
    for (uint8_t method = 0; method < 4; method++) {
        begin(&c, method, 2, "I");
        derive(&c);
        assert_true(passes_with(&c, m3_of(&c)));
        assert_true(passes(&c));
        client_fini(&c);
    }
    assert_int_equal(4, sessions().completed);
    assert_int_equal(4, w.kept);
}

/* row X09: a copy of the request is not executed, another request beside the same message_3 is; one context in all */
static void
repeated_combined_request_makes_no_second_context(void **state)
{
    struct osp_layer l = { 0 };
    struct client    c;
    struct osp_msg   m, out, resp;
    struct osp_leg   leg = { OSP_LEG_TO_PROXY, true, false };
    uint8_t          buf[1024], both[2048], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf)), d = osp_wr_to(both, sizeof(both));

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    derive(&c);
    world_get(&m);
    EXPECT_OK(osp_classes(&leg, &m, classes));
    EXPECT_OK(osp_oscore_protect_request(edhoc_crypto, c.octx, &m, classes, &b, &out, &l));
    osp_wr_put(&d, m3_of(&c));
    osp_wr_put(&d, out.payload);
    out.payload = osp_wr_slice(&d);
    EXPECT_OK(osp_msg_add(&out, OSP_OPT_EDHOC, OSP_EMPTY));
    send_from(&c.from, &out);
    assert_true(origin_answers());
    assert_int_equal(OSP_CODE(2, 4), told(&resp));
    out.token = osp_slice_str("other");
    send_from(&c.from, &out);           /* a new MID and a new Token: a replay [rfc8613#7.4] */
    assert_false(origin_answers());
    assert_int_equal(OSP_CODE(4, 1), told(&resp));
    assert_true(passes_with(&c, m3_of(&c)));
    assert_int_equal(1, sessions().completed);
    assert_int_equal(2, sessions().duplicates);
    assert_int_equal(1, w.kept);
    assert_int_equal(1, osp_octx_live_count(w.live));
    osp_layer_fini(&l);
    client_fini(&c);
}

/* row X07 X08 */
static void
combined_request_that_fails_leaves_no_context(void **state)
{
    struct osp_layer l = { 0 };
    struct client    c;
    struct osp_msg   m, resp;
    uint8_t          bad[OSP_EDHOC_MESSAGE_MAX];

    (void)state;
    world_start(&w);
    edhoc_request(&m, OSP_EMPTY);               /* without OSCORE */
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_EDHOC, OSP_EMPTY));
    send_from(&(struct osp_addr){ .ip = osp_ip_v4(192, 0, 2, 1), .port = 40000 }, &m);
    assert_int_equal(OSP_CODE(4, 0), told(&resp));
    for (int what = 0; what < 3; what++) {
        begin(&c, 3, 2, "I");
        derive(&c);
        memcpy(bad, c.m3, c.n3);
        if (what == 0)
            bad[0] = 0xf5;                      /* no byte string: the session is not touched */
        else
            bad[c.n3 - 1] ^= 1;
        w.edhoc.profile.has_message_4 = what == 2;
        world_get(&m);
        send_protected(&c, &m, osp_slice(bad, c.n3), &l);
        osp_layer_fini(&l);
        assert_int_equal(OSP_CODE(4, 0), told(&resp));
        if (what > 0)
            expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
        assert_false(is_live(&c));
        assert_int_equal(what == 0, passes_with(&c, m3_of(&c)));
        w.out_count = 0;
        client_fini(&c);
    }
    assert_int_equal(1, w.kept);
}

/* Good message_3, bad request: the context is there, and the request has no effect. */
static void
bad_request_behind_a_good_message_3(void **state)
{
    struct osp_layer l = { 0 };
    struct client    c;
    struct osp_msg   m, resp;
    uint8_t          both[OSP_EDHOC_MESSAGE_MAX + 64];
    struct osp_wr    d = osp_wr_to(both, sizeof(both));

    (void)state;
    world_start(&w);
    begin(&c, 0, 0, "I");
    derive(&c);
    osp_wr_put(&d, m3_of(&c));
    osp_wr_put(&d, osp_slice_str("garbage that nobody sealed"));
    world_get(&m);
    send_protected(&c, &m, osp_wr_slice(&d), &l);
    osp_layer_fini(&l);
    assert_int_equal(OSP_CODE(4, 0), told(&resp));
    assert_true(is_live(&c));
    assert_true(passes(&c));
    client_fini(&c);
}

/* ---- message_3 ---- */

/* row X08: whatever was changed, the answer is an error in the clear and there is no context */
static void
message_3_with_any_byte_changed_ends_the_session(void **state)
{
    struct client  c;
    struct osp_msg resp;
    size_t         len = 1;

    (void)state;
    world_start(&w);
    for (size_t at = 0; at < len; at++) {
        begin(&c, 3, 2, "I");
        len = c.n3;
        c.m3[at] ^= 1;
        (void)send_3(&c, m3_of(&c), &resp);
        expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
        assert_false(is_live(&c));
        c.m3[at] ^= 1;
        (void)send_3(&c, m3_of(&c), &resp);     /* the right one comes too late */
        expect_error(&resp, OSP_CODE(4, 0), OSP_EDHOC_ERR_UNSPECIFIED);
        client_fini(&c);
    }
    assert_true(len > 10);
    assert_int_equal(0, w.kept);
    assert_int_equal(0, sessions().unfinished);
}

/* row X09 */
static void
messages_that_come_twice_are_processed_once(void **state)
{
    struct client  c;
    struct osp_msg first, resp;
    uint8_t        copy[512];

    (void)state;
    w.edhoc.profile.has_message_4 = true;
    world_start(&w);
    client_init(&c, 3, 2, osp_slice_str("I"));
    assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &first));
    assert_true(osp_slice_copy(first.payload, copy, sizeof(copy)));
    for (int i = 0; i < 3; i++) {               /* new MIDs */
        assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));
        EXPECT_BYTES(osp_slice(copy, resp.payload.n), resp.payload);
    }
    assert_int_equal(1, sessions().started);
    assert_int_equal(1, sessions().unfinished);
    go_on(&c, &resp);
    assert_int_equal(OSP_CODE(2, 4), send_3(&c, m3_of(&c), &first));
    assert_true(first.payload.n > 0 && osp_slice_copy(first.payload, copy, sizeof(copy)));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(OSP_CODE(2, 4), send_3(&c, m3_of(&c), &resp));
        EXPECT_BYTES(osp_slice(copy, resp.payload.n), resp.payload);
    }
    c.m3[c.n3 - 1] ^= 1;                        /* another one: refused, and nothing is lost */
    assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
    EXPECT_OK(osp_edhoc_take_message_4(&c.s, osp_slice(copy, first.payload.n), NULL));
    derive(&c);
    assert_true(passes(&c));
    assert_int_equal(1, sessions().completed);
    assert_int_equal(6, sessions().duplicates);
    assert_int_equal(1, w.kept);
    assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));     /* it is over: this begins another one */
    assert_int_equal(2, sessions().started);
    assert_int_equal(6, sessions().duplicates);
    client_fini(&c);
}

/* Message_3 has to come from where message_1 did, and the wrong one does not hurt the session. */
static void
session_is_not_reached_from_another_address(void **state)
{
    struct client  c;
    struct osp_msg resp;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    c.from = host(2);
    assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
    assert_false(is_live(&c));
    c.from = host(1);
    c.from.port++;                      /* another port is: the same host behind a NAT */
    finish(&c);
    assert_true(passes(&c));
    client_fini(&c);
}

static void
session_ends_at_its_time(void **state)
{
    struct client  c, d;
    struct osp_msg resp;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    world_run(&w, OSP_SEC(SESSION_S) - OSP_MS(1));
    begin(&d, 3, 2, "J");
    world_run(&w, OSP_MS(1));
    assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
    assert_int_equal(1, sessions().expired);
    finish(&d);
    EXPECT_OK(osp_octx_live_reserve(w.live, osp_slice(c.c_r.bytes, c.c_r.len)));        /* it was given back */
    osp_octx_live_release(w.live, osp_slice(c.c_r.bytes, c.c_r.len));
    client_fini(&c);
    client_fini(&d);
}

/* The Initiator gives up: a session on its way ends, a complete one does not. */
static void
error_message_ends_what_is_not_complete(void **state)
{
    struct client  c, d;
    struct osp_msg resp;
    uint8_t        error[64];
    struct osp_wr  e = osp_wr_to(error, sizeof(error));

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    begin(&d, 3, 2, "J");
    finish(&c);
    EXPECT_OK(osp_edhoc_put_error(&e, OSP_E_EDHOC_AUTH));
    assert_int_equal(OSP_CODE(2, 4), send_3(&c, osp_wr_slice(&e), &resp));
    assert_int_equal(OSP_CODE(2, 4), send_3(&d, osp_wr_slice(&e), &resp));
    assert_int_equal(0, resp.payload.n);
    assert_true(passes(&c));
    assert_int_equal(OSP_CODE(4, 0), send_3(&d, m3_of(&d), &resp));
    assert_int_equal(1, w.kept);
    client_fini(&c);
    client_fini(&d);
}

/* ---- bounds and load ---- */

/* At the bound finished sessions go first: what they made is kept elsewhere.  Then the oldest. */
static void
sessions_are_bounded_and_the_oldest_go(void **state)
{
    struct client  c[6];
    struct osp_msg resp;
    const char    *ids[] = { "a", "b", "c", "d", "e", "f" };

    (void)state;
    again(4, 100);
    world_start(&w);
    for (int i = 0; i < 6; i++) {
        begin(&c[i], 3, 2, ids[i]);
        if (i == 2)
            finish(&c[2]);
        world_run(&w, OSP_MS(10));
    }
    assert_int_equal(4, sessions().unfinished + sessions().finished);
    assert_int_equal(2, sessions().evicted);
    assert_true(passes(&c[2]));
    assert_int_equal(OSP_CODE(4, 0), send_3(&c[0], m3_of(&c[0]), &resp));
    for (int i = 1; i < 6; i++) {
        if (i != 2) {
            finish(&c[i]);
            assert_true(passes(&c[i]));
        }
    }
    for (int i = 0; i < 6; i++)
        client_fini(&c[i]);
}

/* row X10 [rfc9528#9.7]: one address that begins and begins displaces its own sessions, and nobody else's */
static void
one_address_has_its_share_of_sessions(void **state)
{
    struct client  slow, busy[20];
    struct osp_msg resp;
    char           id[3] = "00";

    (void)state;
    again(16, 100);
    world_start(&w);
    begin(&slow, 3, 2, "s");
    for (int i = 0; i < 20; i++) {
        id[0] = (char)('A' + i);
        client_init(&busy[i], 3, 2, osp_slice(id, 2));
        busy[i].from = host(2);
        assert_int_equal(OSP_CODE(2, 4), send_1(&busy[i], OSP_EMPTY, &resp));
        world_run(&w, OSP_MS(10));
    }
    assert_int_equal(1 + 15, sessions().unfinished);
    assert_int_equal(5, sessions().evicted);
    finish(&slow);
    assert_true(passes(&slow));
    client_fini(&slow);
    for (int i = 0; i < 20; i++)
        client_fini(&busy[i]);
}

/* [rfc9175#2.3] [rfc9528#9.7] an Echo counts for its address and for a minute */
static void
echo_is_for_one_address_and_one_minute(void **state)
{
    struct client        c;
    struct osp_msg       resp;
    uint8_t              value[16];
    const struct osp_opt *o;
    size_t               n;

    (void)state;
    again(64, 0);
    world_start(&w);
    client_init(&c, 3, 2, osp_slice_str("I"));
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, OSP_EMPTY, &resp));
    o = osp_msg_get(&resp, OSP_OPT_ECHO);
    assert_non_null(o);
    n = o->val.n;
    assert_true(osp_slice_copy(o->val, value, sizeof(value)));
    assert_int_equal(0, sessions().started);
    c.from = host(2);
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n), &resp));
    c.from = host(1);
    value[n - 1] ^= 1;
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n), &resp));
    value[n - 1] ^= 1;
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n - 1), &resp));
    world_run(&w, OSP_SEC(60));
    assert_int_equal(OSP_CODE(2, 4), send_1(&c, osp_slice(value, n), &resp));
    go_on(&c, &resp);
    finish(&c);
    assert_true(passes(&c));
    client_fini(&c);
    client_init(&c, 3, 2, osp_slice_str("J"));
    world_run(&w, OSP_SEC(1));
    assert_int_equal(OSP_CODE(4, 1), send_1(&c, osp_slice(value, n), &resp));
    client_fini(&c);
}

static void
begin_with_echo(struct client *c, const char *c_i)
{
    struct osp_msg       resp;
    uint8_t              value[16];
    const struct osp_opt *o;

    client_init(c, 3, 2, osp_slice_str(c_i));
    assert_int_equal(OSP_CODE(4, 1), send_1(c, OSP_EMPTY, &resp));
    o = osp_msg_get(&resp, OSP_OPT_ECHO);
    assert_true(o && osp_slice_copy(o->val, value, sizeof(value)));
    assert_int_equal(OSP_CODE(2, 4), send_1(c, osp_slice(value, o->val.n), &resp));
    go_on(c, &resp);
}

/* row X10: 10^5 message_1 from addresses that cannot answer, most of them copies of a few keys, all different */
static void
flood_of_message_1_takes_no_memory_and_stops_nobody(void **state)
{
    struct client          good, c;
    struct osp_msg         resp;
    struct osp_proxy_stats px;
    size_t                 pool = 0, heap = 0;
    char                   c_i[5] = "";

    (void)state;
    again(64, 16);
    world_start(&w);
    begin(&good, 3, 2, "I");
    finish(&good);
    client_init(&c, 3, 2, osp_slice_str("abcd"));
    for (uint32_t i = 0; i < 100000; i++) {
        c.from.ip = osp_ip_v4(198, 51, (uint8_t)(i >> 8), (uint8_t)i);
        c.from.port = (uint16_t)(1024 + (i >> 16));
        for (int k = 0; k < 4; k++)
            c_i[k] = (char)(1 + (i >> 4 * k) % 16);
        assert_true(osp_slice_copy(osp_slice(c_i, 4), c.m1 + c.n1 - 4, 4));
        (void)send_1(&c, OSP_EMPTY, &resp);
        assert_true(resp.code == OSP_CODE(4, 1) || resp.code == OSP_CODE(2, 4));
        assert_int_equal(resp.code == OSP_CODE(4, 1), osp_msg_has(&resp, OSP_OPT_ECHO));
        assert_true(sessions().unfinished <= 16);
        if (i % 1000 == 999) {
            assert_true(passes(&good));
            world_run(&w, OSP_SEC(1));
        }
        if (i % 20000 == 19999) {
            osp_proxy_stats(w.px, &px);
            if (i > 50000) {                    /* later than anything of before is kept */
                assert_true(px.pool_used <= pool);
                assert_true(mallinfo2().uordblks <= heap + 65536);
            }
            pool = px.pool_used > pool ? px.pool_used : pool;
            heap = mallinfo2().uordblks > heap ? mallinfo2().uordblks : heap;
        }
    }
    assert_true(sessions().verified > 90000);
    assert_true(sessions().expired > 0);
    client_fini(&c);
    begin_with_echo(&c, "J");                   /* who hears us gets through */
    finish(&c);
    assert_true(passes(&c));
    client_fini(&c);
    world_run(&w, OSP_SEC(SESSION_S));
    begin(&c, 3, 2, "K");                       /* the flood's sessions are gone */
    client_fini(&c);
    client_fini(&good);
}

/* ---- reloads ---- */

/* A second policy with EDHOC of its own, as a reload brings it. */
static void
reload(struct osp_policy *p, struct osp_edhoc_conf *e)
{
    *e = w.edhoc;
    *p = w.policy;
    atomic_init(&p->refs, 1);
    p->edhoc = e;
}

/* Who is trusted is judged when the context is made, whenever the session began. */
static void
session_of_before_a_reload_asks_the_new_policy_whom_to_trust(void **state)
{
    struct client         c;
    struct osp_msg        resp;
    struct osp_policy     later;
    struct osp_edhoc_conf e;

    (void)state;
    world_start(&w);
    for (int combined = 0; combined < 2; combined++) {
        begin(&c, 3, 2, "I");
        reload(&later, &e);
        e.trusted.count = 0;
        osp_proxy_set_policy(w.px, &later);
        if (combined) {
            derive(&c);
            assert_false(passes_with(&c, m3_of(&c)));
            w.out_count = 0;
        } else {
            assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
        }
        assert_false(is_live(&c));
        client_fini(&c);
        e.trusted.count = KEYS;                 /* trusted again, with a session that began before it */
        begin(&c, 3, 2, "I");
        osp_proxy_set_policy(w.px, &w.policy);
        finish(&c);
        assert_true(passes(&c));
        client_fini(&c);
        assert_int_equal(1, atomic_load(&later.refs));
    }
    assert_int_equal(2, w.kept);
}

/* The same for an authority that vouches for certificates. */
static void
session_of_before_a_reload_asks_the_new_policy_who_vouches(void **state)
{
    static struct edhoc_pair p;
    struct client            c;
    struct osp_msg           resp;
    struct osp_policy        later;
    struct osp_edhoc_conf    e;

    (void)state;
    w.edhoc.profile.anchors = edhoc_anchors;
    w.edhoc.profile.chain_label = LABEL(2);
    osp_responder_set_clock(w.responder, EDHOC_NOW);
    edhoc_init(&p, 0, 2, EDHOC_X5CHAIN, EDHOC_KID, false);
    special = &p.i.own;
    world_start(&w);
    for (int reloaded = 0; reloaded < 2; reloaded++) {
        client_init(&c, 0, 2, osp_slice_str("I"));
        assert_int_equal(OSP_CODE(2, 4), send_1(&c, OSP_EMPTY, &resp));
        go_on(&c, &resp);
        reload(&later, &e);
        e.profile.anchors = NULL;
        if (reloaded)
            osp_proxy_set_policy(w.px, &later);
        assert_int_equal(reloaded ? OSP_CODE(4, 0) : OSP_CODE(2, 4), send_3(&c, m3_of(&c), &resp));
        assert_int_equal(!reloaded, is_live(&c));
        client_fini(&c);
    }
    special = NULL;
    osp_proxy_set_policy(w.px, &w.policy);
}

/* row X05: a reload gave its identifier to somebody else while the session was on its way */
static void
session_whose_c_r_was_configured_meanwhile_fails(void **state)
{
    struct client  c;
    struct osp_msg resp;
    char           rid[32];

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    osp_hex_encode(osp_slice(c.c_r.bytes, c.c_r.len), rid, sizeof(rid));
    (void)world_context(&w, "000102030405060708090a0b0c0d0e0f", "", "d4", rid, 0);
    (void)send_3(&c, m3_of(&c), &resp);
    assert_false(is_live(&c));
    expect_error(&resp, OSP_CODE(5, 0), OSP_EDHOC_ERR_UNSPECIFIED);
    assert_int_equal(0, w.kept);
    client_fini(&c);
}

/* ---- credentials nobody configured ---- */

static void
unknown_credential_by_value(void **state)
{
    struct client     c;
    struct osp_msg    resp;
    struct edhoc_side stranger;

    (void)state;
    world_start(&w);
    edhoc_ccs(&stranger, OSP_P256, 0x77, 0x7a, false, true);
    own[0][P256] = stranger.own;
    for (int accept = 0; accept < 2; accept++) {
        w.edhoc.accept_unknown = accept;
        begin(&c, 3, 2, "I");
        if (!accept) {
            assert_int_equal(OSP_CODE(4, 0), send_3(&c, m3_of(&c), &resp));
            assert_false(is_live(&c));
        } else {
            finish(&c);
            assert_true(passes(&c));
            assert_int_equal(LABEL(3), osp_octx_label(w.made[0]->octx));
            assert_string_equal("unknown", w.made[0]->name);
            assert_int_equal(16, strlen(w.made[0]->peer));
        }
        client_fini(&c);
    }
    assert_int_equal(1, w.kept);
}

/* ---- where EDHOC is not for us, and where it is under a layer ---- */

/* A reverse-proxy that takes layers off, in front of 192.0.2.9. */
static void
add_route_that_terminates(void)
{
    w.routes[0] = (struct osp_route){ .name = "dev", .host = osp_slice_str("dev.example"),
                                      .hop = { .to = { OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true,
                                                       osp_ip_v4(192, 0, 2, 9) } } };
    w.policy.reverse = true;
    w.policy.route_count = 1;
}

/* row L17: an end-to-end kid of one byte, which is what origins choose first, is none of ours where it could come by */
static void
c_r_is_long_where_end_to_end_layers_pass(void **state)
{
    struct client c;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");
    assert_int_equal(1, c.c_r.len);
    client_fini(&c);
    add_route_that_terminates();
    begin(&c, 3, 2, "I");
    assert_int_equal(4, c.c_r.len);
    finish(&c);
    client_fini(&c);
    w.routes[0].pass = true;
    begin(&c, 3, 2, "I");
    assert_int_equal(1, c.c_r.len);
    client_fini(&c);
}

/* row L17: message_3 for an origin, beside a kid that a session of another client, and a context, have here */
static void
combined_request_for_an_origin_passes_beside_a_c_r_of_ours(void **state)
{
    struct client    c;
    struct osp_addr  elsewhere = host(7);
    struct osp_msg   m;
    struct world_out o;

    (void)state;
    world_start(&w);
    begin(&c, 3, 2, "I");               /* before the route was there: C_R has one byte */
    assert_int_equal(1, c.c_r.len);
    add_route_that_terminates();
    for (int complete = 0; complete < 2; complete++) {
        uint8_t option[3] = { 9, 1, c.c_r.bytes[0] };

        osp_msg_init(&m, OSP_POST);
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("dev.example")));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_EDHOC, OSP_EMPTY));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice(option, sizeof(option))));
        m.payload = osp_slice_str("\x43" "abcsealed for the origin");
        send_from(&elsewhere, &m);
        assert_true(take(&o, &m));
        assert_int_equal(0, o.to.sock);
        assert_true(osp_msg_has(&m, OSP_OPT_EDHOC) && osp_msg_has(&m, OSP_OPT_OSCORE));
        if (!complete)
            finish(&c);
    }
    assert_int_equal(0, sessions().failed);
    client_fini(&c);
}

/* row X11 */
static void
edhoc_for_somebody_else_passes_untouched(void **state)
{
    struct client    c;
    struct osp_msg   m;
    struct world_out o;
    uint8_t          bytes[OSP_EDHOC_MESSAGE_MAX + 1];
    struct osp_wr    d = osp_wr_to(bytes, sizeof(bytes));

    (void)state;
    world_start(&w);
    client_init(&c, 3, 2, osp_slice_str("I"));
    osp_wr_u8(&d, 0xf5);
    osp_wr_put(&d, m1_of(&c));
    for (int combined = 0; combined < 2; combined++) {
        edhoc_request(&m, osp_wr_slice(&d));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
        if (combined) {
            EXPECT_OK(osp_msg_add(&m, OSP_OPT_EDHOC, OSP_EMPTY));
            EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice_str("\x09\x01\x21")));
        }
        send_from(&c.from, &m);
        assert_true(take(&o, &m));
        assert_int_equal(0, o.to.sock);
        assert_int_equal(OSP_POST, m.code);
        EXPECT_BYTES(osp_wr_slice(&d), m.payload);
        assert_int_equal(combined, osp_msg_has(&m, OSP_OPT_EDHOC));
        assert_int_equal(combined, osp_msg_has(&m, OSP_OPT_OSCORE));
    }
    assert_int_equal(0, sessions().started + sessions().failed);
    client_fini(&c);
}

/* [ocp#2.4] EDHOC with the proxy, inside a layer that is there already: keys are renewed without being seen. */
static void
edhoc_under_a_layer(void **state)
{
    struct client    outer, c;
    struct osp_layer l = { 0 };
    struct osp_msg   m, resp, plain;
    uint8_t          bytes[OSP_EDHOC_MESSAGE_MAX + 1], buf[1024];
    struct osp_wr    d = osp_wr_to(bytes, sizeof(bytes)), b = osp_wr_to(buf, sizeof(buf));

    (void)state;
    world_start(&w);
    begin(&outer, 3, 2, "O");
    finish(&outer);
    client_init(&c, 3, 2, osp_slice_str("I"));
    osp_wr_u8(&d, 0xf5);
    osp_wr_put(&d, m1_of(&c));
    edhoc_request(&m, osp_wr_slice(&d));
    send_protected(&outer, &m, OSP_EMPTY, &l);
    assert_int_equal(OSP_CODE(2, 4), told(&resp));
    EXPECT_OK(osp_oscore_unprotect_response(edhoc_crypto, &l, &resp, &b, &plain));
    assert_int_equal(OSP_CODE(2, 4), plain.code);
    osp_layer_fini(&l);
    go_on(&c, &plain);
    finish(&c);                         /* message_3 in the clear, from the same address */
    assert_true(passes(&c));
    client_fini(&c);
    client_fini(&outer);
}

/* ---- messages in blocks ---- */

static uint8_t
send_block(const struct client *c, struct osp_slice all, uint32_t num, struct osp_msg *resp)
{
    struct osp_block b = { num, all.n > (num + 1) * 16u, 0 };
    struct osp_msg   m;
    uint8_t          value[4];

    edhoc_request(&m, osp_slice_head(osp_slice_tail(all, num * 16u), 16));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK1, osp_block_make(&b, value)));
    send_from(&c->from, &m);
    return told(resp);
}

/* [rfc9528#A.2] [rfc7959#2.3]: as long messages may come, with chains of certificates in them */
static void
messages_in_blocks_are_put_together(void **state)
{
    struct client  c;
    struct osp_msg resp;
    uint8_t        bytes[2][OSP_EDHOC_MESSAGE_MAX + 16];
    struct osp_wr  d1 = osp_wr_to(bytes[0], sizeof(bytes[0])), d3 = osp_wr_to(bytes[1], sizeof(bytes[1]));

    (void)state;
    world_start(&w);
    client_init(&c, 0, 2, osp_slice_str("I"));
    osp_wr_u8(&d1, 0xf5);
    osp_wr_put(&d1, m1_of(&c));
    assert_int_equal(OSP_CODE(4, 8), send_block(&c, osp_wr_slice(&d1), 1, &resp));
    for (uint32_t i = 0; i * 16 < d1.n; i++)
        assert_int_equal((i + 1) * 16 < d1.n ? OSP_CODE(2, 31) : OSP_CODE(2, 4), send_block(&c, osp_wr_slice(&d1), i, &resp));
    assert_true(osp_msg_has(&resp, OSP_OPT_BLOCK1));
    for (struct osp_block b = { 0, false, 0 }; osp_msg_has(&resp, OSP_OPT_BLOCK2);) {   /* in blocks, as it was asked */
        static uint8_t   whole[512];
        static size_t    n;
        struct osp_block got;
        struct osp_msg   m;
        uint8_t          value[3];
        bool             has;

        EXPECT_OK(osp_block_get(&resp, OSP_OPT_BLOCK2, &has, &got));
        n = got.num == 0 ? 0 : n;
        assert_true(osp_slice_copy(resp.payload, whole + n, sizeof(whole) - n));
        n += resp.payload.n;
        resp.payload = osp_slice(whole, n);
        if (!got.more)
            break;
        edhoc_request(&m, OSP_EMPTY);
        b.num = got.num + 1;
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
        send_from(&c.from, &m);
        assert_int_equal(OSP_CODE(2, 4), told(&resp));
    }
    go_on(&c, &resp);
    osp_edhoc_cid_put(&d3, osp_slice(c.c_r.bytes, c.c_r.len));
    osp_wr_put(&d3, m3_of(&c));
    for (uint32_t i = 0; i * 16 < d3.n; i++)
        assert_int_equal((i + 1) * 16 < d3.n ? OSP_CODE(2, 31) : OSP_CODE(2, 4), send_block(&c, osp_wr_slice(&d3), i, &resp));
    derive(&c);
    assert_true(passes(&c));
    client_fini(&c);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_method_and_suite_makes_keys_that_work),
        T(message_1_that_cannot_be_served_is_answered_and_leaves_nothing),
        T(c_r_is_never_taken_twice),
        T(combined_request_is_message_3_and_the_first_request),
        T(repeated_combined_request_makes_no_second_context),
        T(combined_request_that_fails_leaves_no_context),
        T(bad_request_behind_a_good_message_3),
        T(message_3_with_any_byte_changed_ends_the_session),
        T(messages_that_come_twice_are_processed_once),
        T(session_is_not_reached_from_another_address),
        T(session_ends_at_its_time),
        T(error_message_ends_what_is_not_complete),
        T(sessions_are_bounded_and_the_oldest_go),
        T(one_address_has_its_share_of_sessions),
        T(echo_is_for_one_address_and_one_minute),
        T(flood_of_message_1_takes_no_memory_and_stops_nobody),
        T(session_of_before_a_reload_asks_the_new_policy_whom_to_trust),
        T(session_of_before_a_reload_asks_the_new_policy_who_vouches),
        T(session_whose_c_r_was_configured_meanwhile_fails),
        T(unknown_credential_by_value),
        T(c_r_is_long_where_end_to_end_layers_pass),
        T(combined_request_for_an_origin_passes_beside_a_c_r_of_ours),
        T(edhoc_for_somebody_else_passes_untouched),
        T(edhoc_under_a_layer),
        T(messages_in_blocks_are_put_together),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
