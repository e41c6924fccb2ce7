/* SPDX-License-Identifier: BSD-2-Clause */
#include "initiator_world.h"

#include "crypto/pk.h"
#include "msg/block.h"

#define LABEL(i) (OSP_RECIPE_LABEL | (uint32_t)(i))

const char *const initiator_names[] = { "unknown", "plant", "other" };
static uint8_t    plant_only[1] = { 1u << 1 };
struct osp_hop_edhoc  hop = { .who = "plant", .credentials = plant_only, .credential_count = 3, .method = 3, .named = true };
struct edhoc_side     initiator_ours, plant, other;
struct osp_edhoc_own  initiator_own[1];
struct osp_edhoc_peer initiator_peers[2];
uint16_t              port;
size_t                datagram;
struct osp_slice      body;
const char           *to_host;
struct osp_slice      purpose;

/* ---- the origin ---- */

struct origin origin;

static void
forget_observer(void)
{
    if (origin.has_observer)
        osp_layer_fini(&origin.observer);
    origin.has_observer = false;
}

void
origin_init(const struct edhoc_side *who)
{
    forget_observer();
    osp_octx_unref(origin.octx);
    memset(&origin, 0, sizeof(origin));
    origin.cred = who->own;
    origin.peer = (struct osp_edhoc_peer){ .cred = initiator_ours.own.cred, .label = 7 };
    EXPECT_OK(osp_edhoc_peers_init(&origin.trusted, &origin.peer, 1));
    origin.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2 }, 1 }, .own = &origin.cred, .own_count = 1,
                                                 .find = osp_edhoc_peers_find, .find_ctx = &origin.trusted };
}

void
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

void
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
        if (origin.in_blocks)
            EXPECT_OK(osp_msg_add(&resp, OSP_OPT_BLOCK2, OSP_EMPTY));
        reply_to(req, &resp);
        return;
    }
    if (osp_msg_has(req, OSP_OPT_ECHO))
        assert_true(osp_slice_eq(osp_msg_get(req, OSP_OPT_ECHO)->val, osp_slice_str("prove it")));
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

void
on_request(const struct osp_msg *req)
{
    static const struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };
    uint8_t                            scratch[4096], classes[OSP_MSG_OPTS_MAX];
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
    EXPECT_OK(osp_classes(&ends, &resp, classes));
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

unsigned answers[256];
uint8_t  last_code[256];
char     last_text[256][16];

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

void
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

void
run(uint64_t us)
{
    struct osp_time end = osp_time_after(w.now, us);

    go();
    while (w.now.us < end.us) {
        world_run(&w, OSP_MS(250));
        go();
    }
}

void
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

void
send_request(uint8_t client, const char *path)
{
    send_with(client, OSP_GET, path, NOTHING);
}

void
ask(uint8_t client)
{
    send_request(client, "x");
    go();
}

void
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

void
ask_for(uint8_t code, const char *text)
{
    ask(20);
    expect_answers(1, code, text);
}

void
observe(void)
{
    send_with(20, OSP_GET, "y", REGISTER);
    go();
    expect_answers(1, OSP_CODE(2, 5), "hello");
}

void
revoke(void)
{
    struct osp_octx *c = osp_octx_runtime_find_for(w.runtime, purpose);

    assert_true(osp_octx_runtime_remove(w.runtime, c));
    osp_octx_unref(c);
}

/* As many clients and next hops as a table of ours is to be filled with. */
static void
tune(struct osp_proxy_cfg *cfg)
{
    cfg->max_exchanges = w.ep_cfg.max_requests = w.ep_cfg.max_peers = 4096;
    w.ep_cfg.max_messages = 4 * 4096;
    if (datagram)
        w.ep_cfg.max_datagram = datagram;
}

int
initiator_setup(void **state)
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
    edhoc_ccs(&initiator_ours, OSP_P256, 0x51, 0x61, false, false);
    edhoc_ccs(&plant, OSP_P256, 0x31, 0x41, false, false);
    edhoc_ccs(&other, OSP_P256, 0x32, 0x42, false, false);
    initiator_own[0] = initiator_ours.own;
    initiator_peers[0] = (struct osp_edhoc_peer){ .cred = plant.own.cred, .label = LABEL(1) };
    initiator_peers[1] = (struct osp_edhoc_peer){ .cred = other.own.cred, .label = LABEL(2) };
    world_edhoc(&w, &cfg);
    w.edhoc.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2, 3 }, 2 }, .own = initiator_own,
                                                  .own_count = 1 };
    EXPECT_OK(osp_edhoc_peers_init(&w.edhoc.trusted, initiator_peers, 2));
    w.edhoc.names = initiator_names;
    w.edhoc.name_count = 3;
    w.edhoc.unknown_label = LABEL(0);
    origin_init(&plant);
    w.tune = tune;
    world_start(&w);
    return 0;
}

int
initiator_teardown(void **state)
{
    struct osp_proxy_stats st;

    (void)state;
    run(OSP_SEC(400));
    osp_proxy_stats(w.px, &st);
    if (st.observations > 0) {                  /* these go on */
        osp_proxy_abort_all(w.px, w.now);
        osp_txq_reset(&w.tx);
    }
    assert_true(osp_proxy_idle(w.px));          /* nothing else is pending */
    forget_observer();
    osp_octx_unref(origin.octx);
    origin.octx = NULL;
    world_fini(&w);
    return 0;
}

void
initiator_again(void **state)
{
    (void)initiator_teardown(state);
    (void)initiator_setup(state);
}

void
take_request(struct world_out *o, struct osp_msg *m)
{
    bool header;

    assert_true(world_take(&w, o));
    assert_int_equal(0, o->to.sock);
    EXPECT_OK(osp_msg_decode_udp(osp_slice(o->bytes, o->n), m, &header));
}
