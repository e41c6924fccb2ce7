/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Initiator of EDHOC towards next hops, in virtual time: an origin made of lib/edhoc and lib/oscore that loses, refuses,
 * negotiates and forgets as the test says.  Every request is answered once, whatever becomes of the run.
 */
#include "tests/unit/edhoc/edhoc_pair.h"

#include "crypto/pk.h"
#include "msg/block.h"
#include "oscore/oscore.h"
#include "world.h"

#define LABEL(i) (OSP_MADE_LABEL | (uint32_t)(i))
#define ORIGIN 9
#define NOTHING -1              /* values of Observe */
#define REGISTER 0
#define DEREGISTER 1

static struct world           w;
static const char *const      names[] = { "unknown", "plant", "other" };
static uint8_t                plant_only[1] = { 1u << 1 };
static struct osp_hop_edhoc   hop = { .who = "plant", .credentials = plant_only, .credential_count = 3, .method = 3,
                                      .named = true };
static struct edhoc_side      ours, plant, other;
static struct osp_edhoc_own   own[1];
static struct osp_edhoc_peer  peers[2];
static uint16_t               next_mid, port;
static size_t                 datagram;         /* the longest one of the proxy, 0: the default */
static struct osp_slice       body;             /* of the clients' requests */
static const char            *to_host;          /* of their URIs */
static struct osp_slice       purpose;         /* of the context that leads to the origin */

/* ---- the origin ---- */

static struct origin {
    struct osp_edhoc_profile profile;
    struct osp_edhoc_own     cred;
    struct osp_edhoc_peers   trusted;
    struct osp_edhoc_peer    peer;
    struct osp_edhoc         s;
    struct osp_octx         *octx;              /* of the last complete session; NULL: none */
    uint8_t                  c_r;
    unsigned                 m1, m3, requests, errors, plain, observed, blocks, combined;
    int                      lose;              /* the datagram to it that is lost, 1 the next one; 0: none */
    bool                     is_dead, has_no_edhoc, wants_echo;
    bool                     knows_no_option, dies_after_1, garbles_answer;
    bool                     ignores_edhoc, dies_after_3, garbles_4, in_blocks;
    uint32_t                 busy_s;            /* 5.03 with this Max-Age */
    uint8_t                  whole[2048];       /* the answer that is given out in blocks */
    size_t                   whole_len;
    uint64_t                 carried, lowest;   /* Partial IVs: of the request with message_3, of the others */
    struct osp_policy       *reload;            /* in force before it answers; NULL: none */
    bool                     wavers;            /* always another suite than the one that is selected */
    struct osp_layer         observer;          /* of the last registration, if it has one; and its Token */
    bool                     has_observer;
    uint8_t                  registered[8];
    size_t                   registered_len;
} origin;

static void
forget_observer(void)
{
    if (origin.has_observer)
        osp_layer_fini(&origin.observer);
    origin.has_observer = false;
}

static void
origin_init(const struct edhoc_side *who)
{
    forget_observer();
    osp_octx_unref(origin.octx);
    memset(&origin, 0, sizeof(origin));
    origin.cred = who->own;
    origin.peer = (struct osp_edhoc_peer){ .cred = ours.own.cred, .label = 7 };
    EXPECT_OK(osp_edhoc_peers_init(&origin.trusted, &origin.peer, 1));
    origin.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2 }, 1 }, .own = &origin.cred, .own_count = 1,
                                                 .find = osp_edhoc_peers_find, .find_ctx = &origin.trusted };
}

static void
reply_to(const struct osp_msg *req, struct osp_msg *resp)
{
    resp->type = req->type == OSP_CON ? OSP_ACK : OSP_NON;
    resp->mid = req->mid;
    resp->token = req->token;
    world_send(&w, 0, ORIGIN, 5683, resp);
}

/* Block `num` of the answer, of 16 bytes. */
static void
add_block2(struct osp_msg *resp, uint32_t num)
{
    static uint8_t   value[4];
    struct osp_slice all = osp_slice(origin.whole, origin.whole_len);
    struct osp_block b = { num, all.n > (num + 1) * 16u, 0 };

    assert_true(num * 16u < all.n);
    EXPECT_OK(osp_msg_add(resp, OSP_OPT_BLOCK2, osp_block_make(&b, value)));
    resp->payload = osp_slice_head(osp_slice_tail(all, num * 16u), 16);
}

static void
reply_edhoc(const struct osp_msg *req, uint8_t code, struct osp_slice payload)
{
    struct osp_msg resp;
    uint8_t        format[4];

    osp_msg_init(&resp, code);
    if (payload.n)
        EXPECT_OK(osp_msg_add(&resp, OSP_OPT_CONTENT_FORMAT, osp_opt_uint_make(64, format)));
    resp.payload = payload;
    if (origin.in_blocks && payload.n) {
        assert_true(osp_slice_copy(payload, origin.whole, sizeof(origin.whole)));
        origin.whole_len = payload.n;
        add_block2(&resp, 0);
    }
    reply_to(req, &resp);
}

/* A later block of the answer: asked for by the same request, without its payload [rfc7959#2.4]. */
static bool
gave_block(const struct osp_msg *req)
{
    struct osp_msg   resp;
    struct osp_block b;
    bool             has;
    uint8_t          format[4];

    EXPECT_OK(osp_block_get(req, OSP_OPT_BLOCK2, &has, &b));
    if (!has)
        return false;
    assert_int_equal(0, req->payload.n);
    assert_true(osp_msg_has(req, OSP_OPT_CONTENT_FORMAT));
    assert_int_equal(0, b.szx);
    origin.blocks++;
    osp_msg_init(&resp, OSP_CODE(2, 4));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_CONTENT_FORMAT, osp_opt_uint_make(64, format)));
    add_block2(&resp, b.num);
    reply_to(req, &resp);
    return true;
}

static enum osp_err
answer_1(struct osp_slice message, struct osp_wr *out)
{
    uint8_t      seed[32] = { 5, (uint8_t)origin.m1 };
    enum osp_err e;

    origin.m1++;
    origin.is_dead = origin.dies_after_1;
    origin.c_r = (uint8_t)(origin.m1 % 24);
    osp_edhoc_init(&origin.s, OSP_EDHOC_RESPONDER, &origin.profile, edhoc_crypto, EDHOC_NOW);
    e = osp_edhoc_take_message_1(&origin.s, message, NULL);
    if (e == OSP_OK && osp_slice_eq(osp_edhoc_c_i(&origin.s), osp_slice(&origin.c_r, 1)))
        origin.c_r++;
    return e == OSP_OK ? osp_edhoc_make_message_2(&origin.s, seed, osp_slice(&origin.c_r, 1), OSP_EMPTY, out) : e;
}

static enum osp_err
answer_3(struct osp_slice message, struct osp_wr *out)
{
    static const struct osp_replay empty;
    struct osp_edhoc_oscore        o;
    struct osp_octx_params         p;
    enum osp_err                   e = osp_edhoc_take_message_3(&origin.s, message, NULL);

    origin.m3++;
    if (e == OSP_OK && origin.profile.has_message_4)
        e = osp_edhoc_make_message_4(&origin.s, OSP_EMPTY, out);
    if (origin.garbles_4)
        out->p[out->n - 1] ^= 1;
    origin.is_dead = origin.dies_after_3;
    if (e == OSP_OK)
        e = osp_edhoc_oscore(&origin.s, &o);
    if (e != OSP_OK)
        return e;
    p = osp_edhoc_octx_params(&o, 0);
    osp_octx_unref(origin.octx);
    EXPECT_OK(osp_octx_new(&p, &origin.octx));
    osp_octx_set_window(origin.octx, &empty);
    osp_octx_grant(origin.octx, 0, 1000);
    return OSP_OK;
}

static void
on_edhoc(const struct osp_msg *req)
{
    uint8_t                  bytes[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr            out = osp_wr_to(bytes, sizeof(bytes));
    struct osp_edhoc_request m;
    struct osp_msg           resp;
    enum osp_err             e;

    if (origin.ignores_edhoc || gave_block(req))
        return;
    if (origin.busy_s) {
        uint8_t age[4];

        osp_msg_init(&resp, OSP_CODE(5, 3));
        EXPECT_OK(osp_msg_add(&resp, OSP_OPT_MAX_AGE, osp_opt_uint_make(origin.busy_s, age)));
        reply_to(req, &resp);
        return;
    }
    if (origin.has_no_edhoc) {
        reply_edhoc(req, OSP_CODE(4, 4), OSP_EMPTY);
        return;
    }
    if (origin.wants_echo && !osp_msg_has(req, OSP_OPT_ECHO)) {
        osp_msg_init(&resp, OSP_CODE(4, 1));
        EXPECT_OK(osp_msg_add(&resp, OSP_OPT_ECHO, osp_slice_str("prove it")));
        reply_to(req, &resp);
        return;
    }
    EXPECT_OK(osp_edhoc_split_request(req->payload, &m));
    if (!m.is_message_1 && osp_edhoc_is_error(m.message)) {
        origin.errors++;
        return;
    }
    e = m.is_message_1 ? answer_1(m.message, &out) : answer_3(m.message, &out);
    if (origin.wavers && (e != OSP_OK || !m.is_message_1)) {
        const uint8_t other_one[2] = { 2, origin.profile.suites.value[0] == 3 ? 2 : 3 };

        reply_edhoc(req, OSP_CODE(4, 0), osp_slice(other_one, 2));
        origin.profile.suites.value[0] = other_one[1] == 2 ? 3 : 2;
        return;
    }
    if (e != OSP_OK) {
        out.n = 0;
        EXPECT_OK(osp_edhoc_make_error(&origin.s, &out));
    }
    reply_edhoc(req, e == OSP_OK ? OSP_CODE(2, 4) : OSP_CODE(4, 0), osp_wr_slice(&out));
}

static uint64_t
piv_of(const struct osp_oscore_opt *o)
{
    struct osp_rd r = osp_rd_from(o->piv);

    return osp_rd_uint(&r, o->piv.n);
}

/* Message_3 in front of the ciphertext [rfc9668#3.3.1]; false: that was answered with an error. */
static bool
took_message_3(const struct osp_msg *req, struct osp_msg *m)
{
    uint8_t          bytes[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr    out = osp_wr_to(bytes, sizeof(bytes));
    struct osp_slice message_3, ciphertext;
    struct osp_msg   resp;
    struct osp_oscore_opt opt = { 0 };

    origin.combined++;
    assert_true(osp_msg_has(req, OSP_OPT_OSCORE) && osp_msg_get(req, OSP_OPT_EDHOC)->val.n == 0);
    EXPECT_OK(osp_oscore_opt_parse(osp_msg_get(req, OSP_OPT_OSCORE)->val, &opt));
    origin.carried = piv_of(&opt);
    if (origin.knows_no_option) {
        osp_msg_init(&resp, OSP_CODE(4, 2));
        reply_to(req, &resp);
        return false;
    }
    EXPECT_OK(osp_edhoc_split_combined(req->payload, &message_3, &ciphertext));
    if (answer_3(message_3, &out) != OSP_OK) {
        out.n = 0;
        EXPECT_OK(osp_edhoc_put_error(&out, OSP_E_EDHOC_AUTH));
        reply_edhoc(req, OSP_CODE(4, 0), osp_wr_slice(&out));
        return false;
    }
    osp_msg_copy(m, req);
    m->payload = ciphertext;
    osp_msg_remove(m, OSP_OPT_EDHOC);
    return true;
}

/* A request under the context is answered under it, any other one in the clear. */
static void
on_request(const struct osp_msg *req)
{
    static const struct osp_leg leg = { OSP_LEG_RELAY, true, true };
    uint8_t                     scratch[4096], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr               s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_layer            layer;
    struct osp_msg              plain, resp, out, bare;
    struct osp_oscore_opt       opt;

    if (osp_msg_has(req, OSP_OPT_EDHOC)) {
        if (!took_message_3(req, &bare))
            return;
        req = &bare;
    }
    origin.requests++;
    osp_msg_init(&resp, OSP_CODE(2, 5));
    resp.payload = osp_slice_str("hello");
    if (osp_msg_has(req, OSP_OPT_OBSERVE)) {
        origin.observed++;
        origin.registered_len = req->token.n;
        assert_true(osp_slice_copy(req->token, origin.registered, sizeof(origin.registered)));
    }
    if (!osp_msg_has(req, OSP_OPT_OSCORE)) {
        origin.plain++;
        resp.payload = osp_slice_str("plain");
        reply_to(req, &resp);
        return;
    }
    if (!origin.octx || osp_oscore_unprotect_request(edhoc_crypto, origin.octx, req, &s, &plain, &layer) != OSP_OK) {
        osp_msg_init(&resp, OSP_CODE(4, 1));
        reply_to(req, &resp);
        return;
    }
    EXPECT_OK(osp_oscore_opt_parse(osp_msg_get(req, OSP_OPT_OSCORE)->val, &opt));
    if (origin.requests == 1 || piv_of(&opt) < origin.lowest)
        origin.lowest = piv_of(&opt);
    if (origin.reload)
        osp_proxy_set_policy(w.px, origin.reload);
    if (osp_msg_has(&plain, OSP_OPT_OBSERVE))
        EXPECT_OK(osp_msg_add(&resp, OSP_OPT_OBSERVE, OSP_EMPTY));
    EXPECT_OK(osp_classes(&leg, &resp, classes));
    EXPECT_OK(osp_oscore_protect_response(edhoc_crypto, &layer, &resp, classes, false, &s, &out));
    if (origin.garbles_answer)
        *(uint8_t *)(uintptr_t)(out.payload.p + out.payload.n - 1) ^= 1;
    reply_to(req, &out);
    if (osp_msg_has(&plain, OSP_OPT_OBSERVE)) {
        forget_observer();
        origin.observer = layer;
        origin.has_observer = true;
    } else {
        osp_layer_fini(&layer);
    }
}

/* ---- the clients ---- */

static unsigned answers[256];           /* by client */
static uint8_t  last_code[256];
static char     last_text[256][16];

static void
note_answer(const struct world_out *o, const struct osp_msg *m)
{
    uint8_t client = o->to.peer.ip.b[15];

    if (m->code == 0)
        return;
    answers[client]++;
    last_code[client] = m->code;
    memset(last_text[client], 0, sizeof(last_text[0]));
    (void)osp_slice_copy(osp_slice_head(m->payload, 15), last_text[client], 15);
    if (m->type == OSP_CON)             /* a notification */
        world_acknowledge(&w, client, 40000, m->mid);
}

/* Everybody does what is to be done now. */
static void
go(void)
{
    struct world_out o;
    struct osp_msg   m;
    bool             header;

    for (unsigned i = 0; i < 10000; i++) {
        if (!world_take(&w, &o)) {
            if (!world_expire(&w) && w.out_count == 0)
                return;
            continue;
        }
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &m, &header));
        if (o.to.sock != 0)
            note_answer(&o, &m);
        else if (origin.is_dead || (origin.lose > 0 && --origin.lose == 0))
            continue;
        else if (osp_msg_has(&m, OSP_OPT_CONTENT_FORMAT) && m.code == OSP_POST)
            on_edhoc(&m);
        else if (osp_code_is_request(m.code))
            on_request(&m);
    }
    fail_msg("no end");
}

static void
run(uint64_t us)
{
    struct osp_time end = osp_time_after(w.now, us);

    go();
    while (w.now.us < end.us) {
        world_run(&w, OSP_MS(250));
        go();
    }
}

static void
send_with(uint8_t client, uint8_t code, const char *path, int observe)
{
    uint8_t        value[4], at[4];
    struct osp_msg m;

    osp_msg_init(&m, code);
    m.payload = body;
    m.type = OSP_NON;
    m.mid = ++next_mid;
    m.token = osp_slice_str("tk");
    if (observe >= 0)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_opt_uint_make((uint32_t)observe, value)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str(to_host)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PORT, osp_opt_uint_make(port, at)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str(path)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    if (code == OSP_FETCH) {            /* under a layer for the origin, which is nobody's business here */
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice("\x09\x01\x77", 3)));
        m.payload = osp_slice_str("ciphertext");
    }
    world_send(&w, WORLD_LISTENER, client, 40000, &m);
}

static void
send_request(uint8_t client, const char *path)
{
    send_with(client, OSP_GET, path, NOTHING);
}

static void
ask(uint8_t client)
{
    send_request(client, "x");
    go();
}

/* Every one of clients 20.. got exactly one answer, with this code and text. */
static void
expect_answers(unsigned count, uint8_t code, const char *text)
{
    for (unsigned i = 20; i < 20 + count; i++) {
        assert_int_equal(1, answers[i]);
        assert_int_equal(code, last_code[i]);
        if (text)
            assert_string_equal(text, last_text[i]);
        answers[i] = 0;
    }
}

/* As many clients and next hops as a table of ours is to be filled with. */
static void
tune(struct osp_proxy_cfg *cfg)
{
    cfg->max_exchanges = cfg->ep.max_requests = cfg->ep.max_peers = 4096;
    cfg->ep.max_messages = 4 * 4096;
    if (datagram)
        cfg->ep.max_datagram = datagram;
}

static int
setup(void **state)
{
    struct osp_responder_cfg cfg = { .sessions = 8, .verify_above = 8, .session_us = OSP_SEC(60) };

    (void)state;
    purpose = osp_slice_str("coap://192.0.2.9:5683 plant");
    memset(answers, 0, sizeof(answers));
    world_init(&w);
    w.policy.forward = true;
    world_allow_all(&w);
    w.hosts[0] = (struct osp_host){ "s.example", osp_ip_v4(192, 0, 2, ORIGIN) };
    w.hosts[1] = (struct osp_host){ "t.example", osp_ip_v4(192, 0, 2, ORIGIN) };
    w.policy.host_count = 2;
    hop.prefer = hop.combined = false;
    hop.credentials = plant_only;
    hop.named = true;
    hop.subject = NULL;
    to_host = "s.example";
    port = 5683;
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://*"), &w.upstreams[0].match));
    w.upstreams[0].edhoc = &hop;
    w.policy.upstream_count = 1;
    edhoc_ccs(&ours, OSP_P256, 0x51, 0x61, false, false);
    edhoc_ccs(&plant, OSP_P256, 0x31, 0x41, false, false);
    edhoc_ccs(&other, OSP_P256, 0x32, 0x42, false, false);
    own[0] = ours.own;
    peers[0] = (struct osp_edhoc_peer){ .cred = plant.own.cred, .label = LABEL(1) };
    peers[1] = (struct osp_edhoc_peer){ .cred = other.own.cred, .label = LABEL(2) };
    world_edhoc(&w, &cfg);
    w.edhoc.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2, 3 }, 2 }, .own = own, .own_count = 1 };
    EXPECT_OK(osp_edhoc_peers_init(&w.edhoc.trusted, peers, 2));
    w.edhoc.names = names;
    w.edhoc.name_count = 3;
    w.edhoc.unknown_label = LABEL(0);
    origin_init(&plant);
    w.tune = tune;
    world_start(&w);
    return 0;
}

static int
teardown(void **state)
{
    struct osp_proxy_stats st;

    (void)state;
    run(OSP_SEC(400));
    osp_proxy_stats(w.px, &st);
    if (st.observations > 0) {                  /* these go on */
        osp_proxy_abort_all(w.px, w.now, &w.tx);
        osp_txq_reset(&w.tx);
    }
    assert_true(osp_proxy_idle(w.px));          /* nothing else is pending */
    forget_observer();
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    world_fini(&w);
    return 0;
}

/* ---- tests ---- */

static void
initiator_makes_a_context_when_it_is_needed(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 5; i++)
        ask((uint8_t)(20 + i));
    expect_answers(5, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.m3);
    assert_int_equal(5, origin.requests);
    assert_int_equal(1, w.kept);
    assert_int_equal(1, w.agreed[OSP_OK]);
}

static void
initiator_lets_requests_wait_for_one_run(void **state)
{
    (void)state;
    for (unsigned i = 20; i < 120; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(100, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* Message_1 is lost, then message_3. */
static void
initiator_survives_loss(void **state)
{
    for (int lost = 1; lost <= 2; lost++) {
        (void)teardown(state);
        (void)setup(state);
        origin.lose = lost;
        ask(20);
        run(OSP_SEC(60));
        expect_answers(1, OSP_CODE(2, 5), "hello");
        assert_int_equal(1, origin.m3);
    }
}

/* [rfc9528#6.3] */
static void
initiator_negotiates_the_suite(void **state)
{
    (void)state;
    origin.profile.suites = (struct osp_edhoc_suites){ { 3 }, 1 };
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
    (void)teardown(state);
    (void)setup(state);
    origin.profile.suites = (struct osp_edhoc_suites){ { 0 }, 1 };     /* none of ours */
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
}

/* [rfc9175#2.3] */
static void
initiator_answers_an_echo_once(void **state)
{
    (void)state;
    origin.wants_echo = true;
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");      /* with message_3 too: one Echo is enough for a run */
    (void)teardown(state);
    (void)setup(state);
    origin.wants_echo = true;
    send_request(20, "x");
    for (unsigned i = 0; i < 10 && origin.m1 == 0; i++) {
        struct world_out o;
        struct osp_msg   m;
        bool             header;

        assert_true(world_take(&w, &o));
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o.bytes, o.n), &m, &header));
        on_edhoc(&m);
    }
    origin.wants_echo = false;
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* Trusted, but somebody else; and nothing is tried again for a while. */
static void
initiator_insists_on_whom_it_means(void **state)
{
    (void)state;
    origin_init(&other);
    for (uint8_t i = 0; i < 5; i++)
        ask((uint8_t)(20 + i));
    expect_answers(5, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
    assert_int_equal(0, origin.m3);
    assert_int_equal(1, origin.errors);         /* [rfc9528#5.3.3] it is told */
    assert_int_equal(1, w.agreed[OSP_E_EDHOC_NAME]);    /* and so is the operator, once */
    assert_int_equal(0, w.agreed[OSP_OK]);
    assert_int_equal(0, origin.requests);
    assert_int_equal(0, w.kept);
    origin_init(&plant);
    run(OSP_SEC(11));
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* row X12: for several hosts a credential has to have the name of the one that the request goes to [rfc9528#D.2] */
static void
initiator_wants_the_name_of_the_host(void **state)
{
    static const char *const hosts[] = { "unknown", "S.Example", "t.example" };
    static uint8_t           both[1] = { 6 };

    (void)state;
    hop.credentials = both;
    hop.named = false;
    ask(20);                                    /* trusted, but as "plant" */
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, w.agreed[OSP_E_EDHOC_NAME]);
    assert_int_equal(1, origin.errors);
    w.edhoc.names = hosts;
    run(OSP_SEC(11));
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    to_host = "t.example";                      /* at the same address: what was made for the other name is not for this one */
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(2, w.agreed[OSP_E_EDHOC_NAME]);
    origin_init(&other);                        /* and now the one that is called so is there */
    run(OSP_SEC(11));
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, w.agreed[OSP_OK]);
}

/* row X12 */
static void
initiator_wants_the_name_in_the_configuration(void **state)
{
    static uint8_t both[1] = { 6 };

    (void)state;
    hop.credentials = both;
    hop.subject = "oth?r";                      /* also where the credential is meant for this leg */
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, w.agreed[OSP_E_EDHOC_NAME]);
    hop.subject = "pla*";
    ask(20);                                    /* another purpose: it waits for no pause */
    expect_answers(1, OSP_CODE(2, 5), "hello");
    hop.named = false;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, w.agreed[OSP_OK]);
}

static void
initiator_falls_back_where_a_layer_is_only_preferred(void **state)
{
    (void)state;
    hop.prefer = true;
    origin.has_no_edhoc = true;
    for (uint8_t i = 0; i < 3; i++)
        ask((uint8_t)(20 + i));
    expect_answers(3, OSP_CODE(2, 5), "plain");
    origin.has_no_edhoc = false;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "plain");
    run(OSP_SEC(61));
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* A dead next hop: each request is answered once, when the run or its own patience ends. */
static void
initiator_gives_up_on_a_dead_next_hop(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (uint8_t i = 0; i < 50; i++)
        send_request((uint8_t)(20 + i), "x");
    run(OSP_SEC(300));
    for (unsigned i = 20; i < 70; i++) {
        assert_int_equal(1, answers[i]);
        assert_int_equal(5, OSP_CODE_CLASS(last_code[i]));
        answers[i] = 0;
    }
}

/*
 * [rfc8613#8.2] The next hop says in the clear that it does not know the context: it is believed when the context is not quite
 * new, and the same request is sent in another; right after that it is not.
 */
static void
initiator_renews_a_context_that_was_lost(void **state)
{
    (void)state;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
    run(OSP_SEC(11));
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* The origin has forgotten the context, and some time has passed. */
static void
lose_context(void)
{
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    run(OSP_SEC(11));
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
}

/* All that were under way in it, not only the one that hears of it first. */
static void
initiator_renews_a_lost_context_for_all(void **state)
{
    (void)state;
    lose_context();
    for (unsigned i = 20; i < 30; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(10, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* Another worker, or the operator, has put it out of use meanwhile: nothing is to be feared from asking in the next one. */
static void
initiator_asks_again_when_the_context_is_out_of_use(void **state)
{
    struct osp_octx *c;

    (void)state;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    send_request(20, "x");
    c = osp_octx_live_for(w.live, purpose);
    assert_non_null(c);
    assert_true(osp_octx_live_remove(w.live, c));
    osp_octx_unref(c);
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* A notification in the layer of the last registration. */
static void
notify_from_origin(const char *text)
{
    static const struct osp_leg leg = { OSP_LEG_RELAY, true, true };
    uint8_t                     scratch[1024], classes[OSP_MSG_OPTS_MAX], one = 1;
    struct osp_wr               s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg              m, out;

    osp_msg_init(&m, OSP_CODE(2, 5));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_slice(&one, 1)));
    m.payload = osp_slice_str(text);
    EXPECT_OK(osp_classes(&leg, &m, classes));
    EXPECT_OK(osp_oscore_protect_response(edhoc_crypto, &origin.observer, &m, classes, true, &s, &out));
    out.type = OSP_NON;
    out.mid = ++next_mid;
    out.token = osp_slice(origin.registered, origin.registered_len);
    world_send(&w, 0, ORIGIN, 5683, &out);
    go();
}

/* What comes under it is not passed on; the registration is made again in the next one, at once. */
static void
initiator_takes_no_news_under_a_revoked_context(void **state)
{
    struct osp_octx *c;

    (void)state;
    send_with(20, OSP_GET, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    notify_from_origin("news");
    expect_answers(1, OSP_CODE(2, 5), "news");
    notify_from_origin("more news");    /* [rfc8613#4.1.3.5.2] Partial IVs are its order, not what the option says */
    expect_answers(1, OSP_CODE(2, 5), "more news");
    c = osp_octx_live_for(w.live, purpose);
    assert_true(osp_octx_live_remove(w.live, c));
    osp_octx_unref(c);
    notify_from_origin("old news");
    assert_int_equal(2, origin.m1);
    assert_int_equal(2, origin.observed);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    notify_from_origin("more");
    expect_answers(1, OSP_CODE(2, 5), "more");
    assert_int_equal(2, origin.m1);
}

/* The same for one that cannot be made again here: it ends, and the client may register again. */
static void
initiator_ends_what_it_cannot_renew(void **state)
{
    struct osp_octx *c;

    (void)state;
    send_with(20, OSP_FETCH, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    c = osp_octx_live_for(w.live, purpose);
    assert_true(osp_octx_live_remove(w.live, c));
    osp_octx_unref(c);
    notify_from_origin("old news");
    expect_answers(1, OSP_CODE(5, 2), "");
}

/* The 4.01 may be forged, and the request have been executed: what must not be executed twice is not sent twice. */
static void
initiator_repeats_only_what_may_be_repeated(void **state)
{
    (void)state;
    lose_context();
    send_with(20, OSP_POST, "x", NOTHING);
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(2, origin.requests);
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* [rfc7641#3.1] a registration as any other request; the next time is under another context */
static void
initiator_renews_a_lost_context_for_observers(void **state)
{
    (void)state;
    lose_context();
    send_with(20, OSP_GET, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    run(OSP_SEC(80));                   /* Max-Age is over */
    assert_int_equal(3, origin.m1);
    assert_int_equal(0, origin.plain);
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* An observation outlives its context, if that is put out of use, but does not go on with it. */
static void
initiator_observes_under_what_is_in_use(void **state)
{
    struct osp_octx *c;

    (void)state;
    send_with(20, OSP_GET, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    c = osp_octx_live_for(w.live, purpose);
    assert_true(osp_octx_live_remove(w.live, c));
    run(OSP_SEC(80));
    assert_int_equal(2, origin.m1);
    assert_int_equal(2, origin.observed);
    assert_int_equal(0, origin.plain);
    assert_int_equal(1, osp_octx_ssn(c).next);
    osp_octx_unref(c);
    assert_int_equal(OSP_CODE(2, 5), last_code[20]);
}

/* ... nor without any: the last observer leaves while there is no context, and nothing is said in the clear. */
static void
initiator_deregisters_under_a_layer_only(void **state)
{
    struct osp_octx *c;

    (void)state;
    send_with(20, OSP_GET, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    c = osp_octx_live_for(w.live, purpose);
    assert_true(osp_octx_live_remove(w.live, c));
    osp_octx_unref(c);
    origin.is_dead = true;
    run(OSP_SEC(80));                   /* it waits for a context, which is not to be had */
    origin.is_dead = false;
    send_with(20, OSP_GET, "y", DEREGISTER);
    run(OSP_SEC(1));
    assert_int_equal(0, origin.plain);
}

/* Where a layer is only preferred, an observation goes on without it, and what comes then is not taken for protected. */
static void
initiator_observes_without_a_layer_that_is_only_preferred(void **state)
{
    struct osp_octx *c;

    (void)state;
    hop.prefer = true;
    send_with(20, OSP_GET, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    c = osp_octx_live_for(w.live, purpose);
    assert_true(osp_octx_live_remove(w.live, c));
    osp_octx_unref(c);
    origin.has_no_edhoc = true;
    run(OSP_SEC(80));
    assert_int_equal(1, origin.plain);
    assert_int_equal(OSP_CODE(2, 5), last_code[20]);
    assert_string_equal("plain", last_text[20]);
}

static void
policy_is_kept(struct osp_policy *p)
{
    (void)p;
}

/* A reload while a run is under way: whom it takes the trust from does not get a context any more. */
static void
initiator_asks_the_policy_of_now_whom_it_trusts(void **state)
{
    static struct osp_policy     later;
    static struct osp_edhoc_conf conf;

    for (int off = 0; off < 2; off++) {
        (void)teardown(state);
        (void)setup(state);
        send_request(20, "x");          /* message_1 is on its way */
        later = w.policy;
        conf = w.edhoc;
        EXPECT_OK(osp_edhoc_peers_init(&conf.trusted, &peers[1], 1));
        later.edhoc = off ? NULL : &conf;
        later.release = policy_is_kept;
        atomic_init(&later.refs, 1);
        osp_proxy_set_policy(w.px, &later);
        go();
        expect_answers(1, OSP_CODE(5, 2), "");
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_live_count(w.live));
        osp_proxy_set_policy(w.px, &w.policy);
    }
}

/* A 4.01 that somebody made up, and a run that he disturbs: nothing goes in the clear for it, and the context serves on. */
static void
initiator_does_not_fall_back_from_a_context(void **state)
{
    struct osp_octx *right;

    (void)state;
    hop.prefer = true;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    run(OSP_SEC(61));
    right = origin.octx;
    origin.octx = NULL;
    origin.has_no_edhoc = true;
    for (uint8_t i = 0; i < 3; i++)
        ask((uint8_t)(20 + i));
    expect_answers(3, OSP_CODE(5, 2), "");
    assert_int_equal(1 + 3, origin.requests);   /* and none goes out again */
    origin.octx = right;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* The next datagram of the proxy to the origin. */
static void
take_request(struct world_out *o, struct osp_msg *m)
{
    bool header;

    assert_true(world_take(&w, o));
    assert_int_equal(0, o->to.sock);
    EXPECT_OK(osp_msg_decode_udp(osp_slice(o->bytes, o->n), m, &header));
}

/* A 4.01 that comes when there is another context already is about the old one, however new the other is. */
static void
initiator_takes_another_context_that_is_there(void **state)
{
    struct world_out late;
    struct osp_msg   m, no;

    (void)state;
    ask(20);
    run(OSP_SEC(11));
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    answers[20] = 0;
    send_request(20, "x");
    take_request(&late, &m);
    ask(21);
    assert_int_equal(1, answers[21]);
    assert_int_equal(2, origin.m1);
    osp_msg_init(&no, OSP_CODE(4, 1));
    reply_to(&m, &no);
    go();
    expect_answers(2, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
}

/* Contexts that are gone again at once: no request makes runs without end. */
static void
initiator_makes_two_runs_for_a_request_at_most(void **state)
{
    struct world_out o;
    struct osp_msg   m;
    struct osp_octx *c;

    (void)state;
    send_request(20, "x");
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            take_request(&o, &m);
            on_edhoc(&m);
        }
        c = osp_octx_live_for(w.live, purpose);
        assert_true(osp_octx_live_remove(w.live, c));
        osp_octx_unref(c);
        while (world_expire(&w))
            ;
    }
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(2, origin.m1);
    assert_int_equal(0, origin.requests);
}

/* A 4.01 with an Echo is not about the context. */
static void
initiator_takes_an_echo_for_no_loss(void **state)
{
    struct osp_msg   resp, m;
    struct world_out o;

    (void)state;
    ask(20);
    run(OSP_SEC(11));
    answers[20] = 0;
    send_request(20, "x");
    take_request(&o, &m);
    osp_msg_init(&resp, OSP_CODE(4, 1));
    EXPECT_OK(osp_msg_add(&resp, OSP_OPT_ECHO, osp_slice_str("prove it")));
    reply_to(&m, &resp);
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
}

/* ---- message_3 with a request [rfc9668#3.2] ---- */

/* row X06 (partly: as the client) */
static void
initiator_sends_message_3_with_the_first_request(void **state)
{
    (void)state;
    hop.combined = true;
    for (unsigned i = 20; i < 30; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(10, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.combined);
    assert_int_equal(1, origin.m3);
    assert_int_equal(10, origin.requests);
    assert_int_equal(1, w.kept);
    assert_int_equal(1, w.agreed[OSP_OK]);
    assert_int_equal(1, osp_octx_live_count(w.live));
}

/* Nobody uses the context before the other side has it; a copy of the request is a copy of message_3. */
static void
initiator_lets_others_wait_for_the_combined_request(void **state)
{
    (void)state;
    hop.combined = true;
    origin.lose = 2;                    /* the combined request */
    send_request(20, "x");
    send_request(21, "x");
    go();
    assert_int_equal(0, origin.requests);
    assert_int_equal(0, osp_octx_live_count(w.live));
    ask(22);
    assert_int_equal(0, origin.requests);
    run(OSP_SEC(60));
    expect_answers(3, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.combined);
    assert_int_equal(3, origin.requests);
}

/* [rfc7252#5.4.1] in the same session */
static void
initiator_sends_message_3_alone_where_it_has_to(void **state)
{
    (void)state;
    hop.combined = true;
    origin.knows_no_option = true;
    for (unsigned i = 20; i < 25; i++)
        send_request((uint8_t)i, "x");
    go();
    expect_answers(5, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.m3);
    assert_int_equal(1, origin.combined);
    assert_int_equal(1, w.kept);
    assert_true(origin.lowest > origin.carried);        /* [rfc8613#7.2.1] the same keys: no number twice */
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    run(OSP_SEC(11));
    ask(20);                            /* and it is remembered */
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(2, origin.m1);
    assert_int_equal(1, origin.combined);
}

/* What might have been executed is not sent again for a 4.02 in the clear; message_3 goes on. */
static void
initiator_does_not_repeat_the_request_of_message_3(void **state)
{
    (void)state;
    hop.combined = true;
    origin.knows_no_option = true;
    send_with(20, OSP_POST, "x", NOTHING);
    go();
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m3);
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, origin.m1);
}

/* [rfc9668#3.3.1] message_3 was refused, or nothing came back, or nothing that verifies: the run has failed for all. */
static void
initiator_ends_a_run_with_its_combined_request(void **state)
{
    for (int how = 0; how < 3; how++) {
        (void)teardown(state);
        (void)setup(state);
        w.policy.response_timeout_us = OSP_SEC(50);
        hop.combined = true;
        if (how == 0) {
            origin.peer.cred = other.own.cred;
            EXPECT_OK(osp_edhoc_peers_init(&origin.trusted, &origin.peer, 1));
        }
        origin.dies_after_1 = how == 1;
        origin.garbles_answer = how == 2;
        send_request(20, "x");
        send_request(21, "x");
        run(OSP_SEC(60));
        for (unsigned i = 20; i < 22; i++) {
            assert_int_equal(1, answers[i]);
            assert_int_equal(5, OSP_CODE_CLASS(last_code[i]));
            answers[i] = 0;
        }
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_live_count(w.live));
        assert_int_equal(0, w.agreed[OSP_OK]);
        origin_init(&plant);
        run(OSP_SEC(11));
        ask(20);
        expect_answers(1, OSP_CODE(2, 5), "hello");
    }
}

/* Where nobody can carry it: observers, and layers of others. */
static void
initiator_sends_message_3_alone_for_an_observer(void **state)
{
    (void)state;
    hop.combined = true;
    send_with(20, OSP_GET, "x", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(0, origin.combined);
    assert_int_equal(1, origin.m3);
    osp_proxy_abort_all(w.px, w.now, &w.tx);
    osp_txq_reset(&w.tx);
}

/* [rfc9668#3.2.2] nor does a request that fits a datagram only by itself */
static void
initiator_sends_message_3_alone_for_a_long_request(void **state)
{
    static uint8_t long_one[250];

    (void)teardown(state);
    datagram = 400;
    (void)setup(state);
    datagram = 0;
    hop.combined = true;
    body = osp_slice(long_one, sizeof(long_one));
    send_with(20, OSP_PUT, "x", NOTHING);
    body = OSP_EMPTY;
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_int_equal(0, origin.combined);
    assert_int_equal(1, origin.m3);
    assert_int_equal(1, origin.requests);
}

static void
initiator_ends_a_combined_request_with_the_proxy(void **state)
{
    (void)state;
    hop.combined = true;
    origin.dies_after_1 = true;
    send_request(20, "x");
    send_request(21, "x");
    go();
    osp_proxy_abort_all(w.px, w.now, &w.tx);
    osp_txq_reset(&w.tx);
    assert_true(osp_proxy_idle(w.px));
    assert_int_equal(0, osp_octx_live_count(w.live));
}

/* [rfc9528#5.4.2] nothing is written down before something came back under the keys */
static void
initiator_keeps_what_is_confirmed(void **state)
{
    (void)state;
    w.policy.response_timeout_us = OSP_SEC(5);
    origin.dies_after_3 = true;
    ask(20);
    assert_int_equal(1, origin.m3);
    run(OSP_SEC(6));
    expect_answers(1, OSP_CODE(5, 4), "");
    assert_int_equal(0, w.kept);
    origin.is_dead = false;
    for (uint8_t i = 0; i < 5; i++)
        ask((uint8_t)(20 + i));
    expect_answers(5, OSP_CODE(2, 5), "hello");
    assert_int_equal(1, w.kept);
    assert_int_equal(1, origin.m1);
}

/* [rfc9528#5.5.3] with message_4 that is so at once; one that does not verify ends the run, and the other side hears of it. */
static void
initiator_verifies_message_4_where_it_comes(void **state)
{
    (void)state;
    w.policy.response_timeout_us = OSP_SEC(5);
    origin.profile.has_message_4 = true;
    origin.dies_after_3 = true;
    ask(20);
    run(OSP_SEC(6));
    assert_int_equal(1, w.kept);
    (void)teardown(state);
    (void)setup(state);
    origin.profile.has_message_4 = true;
    origin.garbles_4 = true;
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(0, w.kept);
    assert_int_equal(1, origin.errors);
    assert_int_equal(0, origin.requests);
}

/* [rfc7959#2.4] message_2 and message_4 may be longer than a datagram of theirs. */
static void
initiator_collects_answers_in_blocks(void **state)
{
    (void)state;
    origin.in_blocks = true;
    origin.profile.has_message_4 = true;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    assert_true(origin.blocks >= 2);
    assert_int_equal(1, origin.m3);
}

static void
initiator_waits_as_long_as_a_busy_next_hop_says(void **state)
{
    (void)state;
    origin.busy_s = 120;
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    origin.busy_s = 0;
    run(OSP_SEC(119));
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(0, origin.m1);
    run(OSP_SEC(2));
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* Where a layer is only preferred nobody waits long for it. */
static void
initiator_goes_without_after_ten_seconds(void **state)
{
    (void)state;
    hop.prefer = true;
    origin.ignores_edhoc = true;
    send_request(20, "x");
    run(OSP_SEC(9));
    assert_int_equal(0, answers[20]);
    run(OSP_SEC(2));
    expect_answers(1, OSP_CODE(2, 5), "plain");
}

/* Those whose patience is over make room for others: more requests than may wait at a time, in one run. */
static void
initiator_counts_who_waits_now(void **state)
{
    (void)state;
    w.policy.response_timeout_us = OSP_SEC(1);
    origin.ignores_edhoc = true;
    for (unsigned round = 0; round < 15; round++) {
        for (unsigned i = 20; i < 120; i++)
            send_request((uint8_t)i, "x");
        run(OSP_SEC(2));
        expect_answers(100, OSP_CODE(5, 4), "");
    }
}

/* ... and once more before the context is made. */
static void
initiator_asks_the_policy_of_now_after_message_2_too(void **state)
{
    struct osp_edhoc_conf conf;
    struct osp_policy     later;
    struct world_out      o;
    struct osp_msg        m;

    for (int combined = 0; combined < 2; combined++) {
        (void)teardown(state);
        (void)setup(state);
        hop.combined = combined;
        send_request(20, "x");
        take_request(&o, &m);
        on_edhoc(&m);
        take_request(&o, &m);   /* message_3 is on its way */
        conf = w.edhoc;
        conf.trusted.count = 0;
        later = w.policy;
        later.edhoc = &conf;
        atomic_init(&later.refs, 1);
        osp_proxy_set_policy(w.px, &later);
        if (combined)
            on_request(&m);
        else
            on_edhoc(&m);
        go();
        expect_answers(1, combined ? OSP_CODE(2, 5) : OSP_CODE(5, 2), combined ? "hello" : "");    /* asked for before it */
        assert_int_equal(1, origin.m3);
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_live_count(w.live));
        osp_proxy_set_policy(w.px, &w.policy);
        assert_int_equal(1, atomic_load(&later.refs));
    }
}

/* ... and once more when the context is confirmed, which no reload has looked at before. */
static void
initiator_asks_the_policy_of_now_before_it_keeps(void **state)
{
    for (int off = 0; off < 2; off++) {
        struct osp_edhoc_conf conf = w.edhoc;
        struct osp_policy     later = w.policy;

        conf.trusted.count = 0;
        later.edhoc = off ? NULL : &conf;
        atomic_init(&later.refs, 1);
        origin.reload = &later;
        ask(20);
        expect_answers(1, OSP_CODE(2, 5), "hello");     /* it was under way */
        assert_int_equal(1, origin.m3);
        assert_int_equal(0, w.kept);
        assert_int_equal(0, osp_octx_live_count(w.live));
        osp_proxy_set_policy(w.px, &w.policy);
        (void)teardown(state);
        (void)setup(state);
    }
}

/* What is not repeated is a reason for a run all the same. */
static void
initiator_renews_a_lost_context_for_what_it_does_not_repeat(void **state)
{
    (void)state;
    lose_context();
    for (int i = 0; i < 2; i++) {
        send_with(20, OSP_POST, "x", NOTHING);
        go();
        expect_answers(1, i == 0 ? OSP_CODE(5, 2) : OSP_CODE(2, 5), i == 0 ? "" : "hello");
    }
    assert_int_equal(2, origin.m1);
}

/* ---- the other way ---- */

/* A request of the next hop itself, in the context that it agreed on as the Responder. */
static void
send_from_origin(uint8_t client, int observe)
{
    uint8_t                     value[4];
    static const struct osp_leg leg = { OSP_LEG_RELAY, true, true };
    uint8_t                     scratch[1024], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr               s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_layer            layer;
    struct osp_msg              m, out;

    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("x")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    if (observe >= 0)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_opt_uint_make((uint32_t)observe, value)));
    EXPECT_OK(osp_classes(&leg, &m, classes));
    EXPECT_OK(osp_oscore_protect_request(edhoc_crypto, origin.octx, &m, classes, &s, &out, &layer));
    osp_layer_fini(&layer);
    out.type = OSP_NON;
    out.mid = ++next_mid;
    out.token = osp_slice_str("tk");
    world_send(&w, WORLD_LISTENER, client, 40000, &out);
    go();
}

/*
 * [rfc9528#A.1] Both sides may be client and server in the context.  Whoever uses it has proven to be that credential, as if it
 * had been the Initiator: it has the rights of the credential, no more and no less.
 */
static void
initiator_serves_the_next_hop_with_the_rights_of_its_credential(void **state)
{
    static const uint8_t only_plant[1] = { 1u << 1 }, only_other[1] = { 1u << 2 };
    const struct osp_allow *allow = w.allow[0];

    (void)state;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    w.rules[0] = (struct osp_rule){ .credentials = only_plant, .credential_count = 3, .allow = allow, .allow_count = 2 };
    send_from_origin(20, NOTHING);
    assert_int_equal(3 - 1, origin.requests);
    assert_int_equal(1, answers[20]);
    w.rules[0].credentials = only_other;
    send_from_origin(20, NOTHING);
    assert_int_equal(3 - 1, origin.requests);
    assert_int_equal(2, answers[20]);
    assert_int_equal(0, w.policy.rules[0].any);
}

/* A context that is revoked ends what was observed under it, with one last answer. */
static void
initiator_tells_no_more_under_a_revoked_context(void **state)
{
    struct osp_proxy_stats st;
    struct osp_octx       *c;

    (void)state;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    send_from_origin(21, REGISTER);
    send_with(20, OSP_GET, "x", REGISTER);
    go();
    expect_answers(2, OSP_CODE(2, 5), NULL);
    osp_proxy_stats(w.px, &st);
    assert_int_equal(2, st.observations);
    c = osp_octx_live_for(w.live, purpose);
    assert_true(osp_octx_live_remove(w.live, c));
    osp_octx_unref(c);
    run(OSP_SEC(76));                   /* there is news */
    osp_proxy_stats(w.px, &st);
    assert_int_equal(1, st.observations);
    assert_int_equal(1, st.errors[OSP_E_NO_CONTEXT]);
    assert_true(answers[20] > 0 && answers[21] > 0);
}

/* Near a limit of its keys a context is still used, and another one made beside. */
static void
initiator_renews_a_worn_context_in_time(void **state)
{
    struct osp_key_limits tight = { .q = 20, .v = 20, .stop = true };
    struct osp_octx      *c;

    (void)state;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    c = osp_octx_live_for(w.live, purpose);
    assert_non_null(c);
    osp_octx_set_limits(c, &tight);
    osp_octx_unref(c);
    for (unsigned i = 0; i < 40; i++) {
        ask(20);
        expect_answers(1, OSP_CODE(2, 5), "hello");
    }
    assert_int_equal(2, origin.m1);
}

static unsigned
answers_of_all(void)
{
    unsigned sum = 0;

    for (size_t i = 0; i < 256; i++)
        sum += answers[i];
    return sum;
}

/* 1024 wait at one agreement, and there are 1024 agreements; whoever comes then is told at once. */
static void
initiator_lets_only_so_many_wait(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (unsigned i = 0; i < 1030; i++) {
        send_request((uint8_t)(20 + i % 100), "x");
        go();
    }
    assert_int_equal(6, answers_of_all());
    assert_int_equal(OSP_CODE(5, 3), last_code[20 + 1029 % 100]);
    run(OSP_SEC(200));
    assert_int_equal(1030, answers_of_all());
}

static void
initiator_runs_with_so_many_only(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (unsigned i = 0; i < 1030; i++) {
        port = (uint16_t)(6000 + i);
        send_request((uint8_t)(20 + i % 100), "x");
        go();
    }
    assert_int_equal(6, answers_of_all());
    run(OSP_SEC(200));
    assert_int_equal(1030, answers_of_all());
    memset(answers, 0, sizeof(answers));
    origin.is_dead = false;
    port = 5683;
    ask(20);                            /* those that ended make room */
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

/* A next hop that never agrees on a suite, or wants another one when it is too late. */
static void
initiator_does_not_negotiate_for_ever(void **state)
{
    (void)state;
    origin.profile.suites = (struct osp_edhoc_suites){ { 3 }, 1 };
    origin.wavers = true;
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_in_range(origin.m1 + origin.m3, 2, 4);
    (void)teardown(state);
    (void)setup(state);
    origin.wavers = true;               /* once it has message_3 */
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m1);
    assert_int_equal(1, origin.m3);
    assert_int_equal(0, w.kept);
}

/* What is refused after message_3 is no context; and nothing of a run that failed stays. */
static void
initiator_has_nothing_from_a_run_that_failed(void **state)
{
    (void)state;
    origin.peer.cred = other.own.cred;  /* we are nobody there */
    EXPECT_OK(osp_edhoc_peers_init(&origin.trusted, &origin.peer, 1));
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(1, origin.m3);
    assert_int_equal(0, w.kept);
    assert_null(osp_octx_live_for(w.live, purpose));
    for (uint8_t i = 0; i < 48; i++) {  /* C_I was one of these */
        uint8_t id = (uint8_t)(i < 24 ? i : 0x20 + i - 24);

        EXPECT_OK(osp_octx_live_reserve(w.live, osp_slice(&id, 1)));
        osp_octx_live_release(w.live, osp_slice(&id, 1));
    }
}

/* What leads there, but to somebody who is not meant any more. */
static void
initiator_uses_the_context_of_whom_it_means(void **state)
{
    static uint8_t other_only[1] = { 1u << 2 };

    (void)state;
    ask(20);
    expect_answers(1, OSP_CODE(2, 5), "hello");
    hop.credentials = other_only;
    ask(20);
    expect_answers(1, OSP_CODE(5, 2), "");
    assert_int_equal(2, origin.m1);
    assert_int_equal(1, origin.requests);
}

/* [rfc8613#8.4.2] A 4.01 in place of a notification is no reason for anything. */
static void
initiator_ignores_forged_notifications(void **state)
{
    struct osp_octx *c;
    struct osp_msg   m;

    (void)state;
    send_with(20, OSP_GET, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
    run(OSP_SEC(11));
    osp_msg_init(&m, OSP_CODE(4, 1));
    m.type = OSP_NON;
    m.mid = 4711;
    m.token = osp_slice(origin.registered, origin.registered_len);
    world_send(&w, 0, ORIGIN, 5683, &m);
    go();
    assert_int_equal(0, answers[20]);
    assert_int_equal(1, origin.m1);
    c = osp_octx_live_for(w.live, purpose);
    assert_non_null(c);
    osp_octx_unref(c);
}

/* The exchanges of the proxy end while a run is under way, and requests wait for it. */
static void
initiator_ends_with_the_proxy(void **state)
{
    (void)state;
    origin.is_dead = true;
    for (uint8_t i = 0; i < 5; i++)
        send_request((uint8_t)(20 + i), "x");
    osp_proxy_abort_all(w.px, w.now, &w.tx);
    osp_txq_reset(&w.tx);
    assert_true(osp_proxy_idle(w.px));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(initiator_makes_a_context_when_it_is_needed),
        T(initiator_lets_requests_wait_for_one_run),
        T(initiator_survives_loss),
        T(initiator_negotiates_the_suite),
        T(initiator_answers_an_echo_once),
        T(initiator_insists_on_whom_it_means),
        T(initiator_wants_the_name_of_the_host),
        T(initiator_wants_the_name_in_the_configuration),
        T(initiator_falls_back_where_a_layer_is_only_preferred),
        T(initiator_gives_up_on_a_dead_next_hop),
        T(initiator_renews_a_context_that_was_lost),
        T(initiator_renews_a_lost_context_for_all),
        T(initiator_asks_again_when_the_context_is_out_of_use),
        T(initiator_repeats_only_what_may_be_repeated),
        T(initiator_renews_a_lost_context_for_observers),
        T(initiator_observes_under_what_is_in_use),
        T(initiator_deregisters_under_a_layer_only),
        T(initiator_observes_without_a_layer_that_is_only_preferred),
        T(initiator_asks_the_policy_of_now_whom_it_trusts),
        T(initiator_serves_the_next_hop_with_the_rights_of_its_credential),
        T(initiator_does_not_fall_back_from_a_context),
        T(initiator_takes_another_context_that_is_there),
        T(initiator_makes_two_runs_for_a_request_at_most),
        T(initiator_takes_an_echo_for_no_loss),
        T(initiator_keeps_what_is_confirmed),
        T(initiator_verifies_message_4_where_it_comes),
        T(initiator_collects_answers_in_blocks),
        T(initiator_waits_as_long_as_a_busy_next_hop_says),
        T(initiator_goes_without_after_ten_seconds),
        T(initiator_counts_who_waits_now),
        T(initiator_asks_the_policy_of_now_after_message_2_too),
        T(initiator_asks_the_policy_of_now_before_it_keeps),
        T(initiator_renews_a_lost_context_for_what_it_does_not_repeat),
        T(initiator_tells_no_more_under_a_revoked_context),
        T(initiator_takes_no_news_under_a_revoked_context),
        T(initiator_ends_what_it_cannot_renew),
        T(initiator_sends_message_3_with_the_first_request),
        T(initiator_lets_others_wait_for_the_combined_request),
        T(initiator_sends_message_3_alone_where_it_has_to),
        T(initiator_does_not_repeat_the_request_of_message_3),
        T(initiator_ends_a_run_with_its_combined_request),
        T(initiator_sends_message_3_alone_for_an_observer),
        T(initiator_ends_a_combined_request_with_the_proxy),
        T(initiator_sends_message_3_alone_for_a_long_request),
        T(initiator_renews_a_worn_context_in_time),
        T(initiator_lets_only_so_many_wait),
        T(initiator_runs_with_so_many_only),
        T(initiator_does_not_negotiate_for_ever),
        T(initiator_has_nothing_from_a_run_that_failed),
        T(initiator_uses_the_context_of_whom_it_means),
        T(initiator_ignores_forged_notifications),
        T(initiator_ends_with_the_proxy),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
