/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxy as an EDHOC Initiator under a script: clients ask, and a next hop answers as it should, with a byte changed, with
 * anything else, late or not at all; contexts are revoked and trust taken away in between.
 *
 * Where a layer is required nothing goes to the next hop in the clear, and where it is preferred nothing new does while there is
 * a context; no Partial IV of a context seals two requests; a context is kept only if the next hop completed a session for it;
 * at the end nothing is pending and no ID reserved.
 */
#include <assert.h>
#include <stdlib.h>

#include "oscore/oscore.h"
#include "proxy/edhoc/sessions.h"

#include "tests/prng.h"
#include "identity.h"
#include "proxy_run.h"

#define MADE_MAX 64
#define SEEN_MAX 512
#define WAITING 8               /* datagrams on their way to the next hop */
#define PURPOSE "coap://192.0.2.9:5683 plant"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was sealed under one Partial IV to one C_R, which is another one in each session. */
struct seen { uint16_t c_r; uint64_t piv, payload; };

struct datagram { uint8_t bytes[1400]; size_t n; };

struct run {
    struct osp_proxy        *px;
    struct osp_responder    *responder;
    struct osp_octx_runtime *runtime;
    struct osp_crypto       *crypto;
    struct osp_txq           tx;
    struct osp_ep           *ep;
    struct osp_time          now;
    struct osp_policy        policy, without;           /* without: a reload took the trust away */
    struct osp_hop_edhoc     hop;
    struct osp_edhoc_profile profile;                   /* of the next hop */
    struct osp_edhoc         s;
    struct osp_octx         *octx;                      /* what it has; NULL: none */
    struct datagram          waiting[WAITING];
    size_t                   waiting_count;
    struct osp_recipe       *made[MADE_MAX];
    size_t                   made_count, kept, completed;
    struct seen              seen[SEEN_MAX];
    size_t                   seen_count, plain_count;
    uint64_t                 plain[SEEN_MAX];           /* Tokens of what went out in the clear */
    uint16_t                 c_r;
    uint16_t                 mid;
};

static bool
has_context(struct run *r)
{
    struct osp_octx *c = osp_octx_runtime_find_for(r->runtime, osp_slice_str(PURPOSE));

    osp_octx_unref(c);
    return c != NULL;
}

static bool
is_edhoc(const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_CONTENT_FORMAT);

    return m->code == OSP_POST && o && o->val.n == 1 && o->val.p[0] == 65;
}

/* [rfc8613#7.2.1] A repetition is the same; a request for another block of the answer has no payload. */
static void
note_number(struct run *r, const struct osp_msg *m)
{
    static const struct osp_hash_key key = { 3, 4 };
    struct osp_oscore_opt            opt;
    struct osp_rd                    kid, piv;
    struct seen                      now;

    if (m->payload.n == 0 || osp_oscore_opt_parse(osp_msg_get(m, OSP_OPT_OSCORE)->val, &opt) != OSP_OK)
        return;
    kid = osp_rd_from(opt.kid);
    piv = osp_rd_from(opt.piv);
    now = (struct seen){ (uint16_t)osp_rd_uint(&kid, opt.kid.n), osp_rd_uint(&piv, opt.piv.n), osp_hash(&key, m->payload) };
    for (size_t i = 0; i < r->seen_count; i++)
        assert(r->seen[i].c_r != now.c_r || r->seen[i].piv != now.piv || r->seen[i].payload == now.payload);
    if (r->seen_count < SEEN_MAX)
        r->seen[r->seen_count++] = now;
}

/* True if something went out in the clear under this Token before: a repetition, or the end of what was observed in the clear. */
static bool
was_plain(struct run *r, struct osp_slice token)
{
    static const struct osp_hash_key key = { 3, 4 };
    uint64_t                         h = osp_hash(&key, token);

    for (size_t i = 0; i < r->plain_count; i++)
        if (r->plain[i] == h)
            return true;
    if (r->plain_count == SEEN_MAX)
        return true;
    r->plain[r->plain_count++] = h;
    return false;
}

static void
on_sent(struct run *r, struct osp_slice bytes, bool had_context)
{
    struct osp_msg m;
    bool           header;

    if (osp_msg_decode_udp(bytes, &m, &header) != OSP_OK)
        abort();
    if (!osp_code_is_request(m.code))
        return;
    if (!osp_msg_has(&m, OSP_OPT_OSCORE) && !is_edhoc(&m))
        assert(r->hop.prefer && (was_plain(r, m.token) || !had_context));
    if (osp_msg_has(&m, OSP_OPT_OSCORE))
        note_number(r, &m);
    if (r->waiting_count == WAITING)
        return;
    if (osp_slice_copy(bytes, r->waiting[r->waiting_count].bytes, sizeof(r->waiting[0].bytes)))
        r->waiting[r->waiting_count++].n = bytes.n;
}

/* As the daemon: the context before it leads to this place goes. */
static void
keep(struct run *r, struct osp_recipe *m)
{
    r->kept++;
    assert(r->kept <= r->completed && r->made_count < MADE_MAX);
    for (size_t i = 0; i < r->made_count; i++)
        (void)osp_octx_runtime_remove(r->runtime, r->made[i]->octx);
    r->made[r->made_count++] = m;
    osp_octx_grant(m->octx, 0, 1000000);
}

/* `had`: there was a context before what was done. */
static void
after(struct run *r, bool had)
{
    struct osp_ask ask;

    for (size_t i = 0; i < r->tx.count; i++)
        if (r->tx.items[i].to.sock == 0)
            on_sent(r, r->tx.items[i].bytes, had && has_context(r));
    osp_txq_reset(&r->tx);
    while (osp_proxy_next_ask(r->px, &ask)) {
        if (ask.kind == OSP_ASK_KEEP)
            keep(r, ask.recipe);
        else
            osp_octx_unref(ask.ctx);
    }
}

static void
input(struct run *r, uint16_t sock, uint8_t host, uint16_t port, struct osp_slice datagram)
{
    struct osp_flow from = { .sock = sock, .local = osp_ip_v4(192, 0, 2, 200) };
    bool            had = has_context(r);

    from.peer.ip = osp_ip_v4(192, 0, 2, host);
    from.peer.port = port;
    udp_proxy_input(r->px, r->ep, &from, datagram, r->now, &r->tx);
    after(r, had);
}

static void
pass(struct run *r, uint64_t us)
{
    struct osp_time end = osp_time_after(r->now, us), due;

    while (osp_proxy_deadline(r->px, &due) && due.us <= end.us) {
        bool had = has_context(r);

        r->now.us = due.us > r->now.us ? due.us : r->now.us + 1000;
        while (osp_proxy_expire(r->px, r->now))
            after(r, had);
        after(r, had);
    }
    r->now = end;
}

/* ---- clients ---- */

static void
ask(struct run *r, uint8_t client, uint8_t what)
{
    static const uint8_t codes[] = { OSP_GET, OSP_POST, OSP_PUT, OSP_FETCH };
    uint8_t              bytes[256];
    struct osp_wr        w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_msg       m;

    osp_msg_init(&m, codes[what & 3]);
    m.type = what & 4 ? OSP_CON : OSP_NON;
    m.mid = ++r->mid;
    m.token = osp_slice_str("t");
    if ((what & 8 && osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY) != OSP_OK) ||
        osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str(what & 16 ? "x" : "y")) != OSP_OK ||
        osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")) != OSP_OK ||
        osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("192.0.2.9")) != OSP_OK || osp_msg_encode_udp(&m, &w) != OSP_OK)
        abort();
    input(r, 1, client, 1000, osp_wr_slice(&w));
    osp_txq_reset(&r->tx);
}

/* ---- the next hop ---- */

static void
reply(struct run *r, const struct osp_msg *req, struct osp_msg *resp, uint8_t at, uint8_t x)
{
    uint8_t       bytes[1400];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));

    resp->type = req->type == OSP_CON ? OSP_ACK : OSP_NON;
    resp->mid = req->mid;
    resp->token = req->token;
    if (osp_msg_encode_udp(resp, &w) != OSP_OK)
        return;
    if (12u + at < w.n)                 /* behind the Token, or the proxy would not look at it */
        bytes[12 + at] ^= x;
    input(r, 0, 9, 5683, osp_wr_slice(&w));
}

static bool
take_3(struct run *r, struct osp_slice message)
{
    static const struct osp_replay empty;
    struct osp_edhoc_oscore        o;
    struct osp_octx_params         p;

    if (osp_edhoc_take_message_3(&r->s, message, NULL) != OSP_OK || osp_edhoc_oscore(&r->s, &o) != OSP_OK)
        return false;
    p = osp_edhoc_octx_params(&o, 0);
    osp_octx_unref(r->octx);
    if (osp_octx_new(&p, &r->octx) != OSP_OK)
        abort();
    osp_octx_set_window(r->octx, &empty);
    osp_octx_grant(r->octx, 0, 1000000);
    r->completed++;
    return true;
}

static void
serve_edhoc(struct run *r, const struct osp_msg *req, uint8_t at, uint8_t x)
{
    uint8_t                  bytes[1024], seed[32] = { 7 }, format[4], c_r[2];
    struct osp_wr            w = osp_wr_to(bytes, sizeof(bytes));
    struct osp_edhoc_request m;
    struct osp_msg           resp;

    if (osp_edhoc_split_request(req->payload, &m) != OSP_OK)
        abort();
    osp_msg_init(&resp, OSP_CODE(2, 4));
    if (m.is_message_1) {
        osp_edhoc_fini(&r->s);
        osp_edhoc_init(&r->s, OSP_EDHOC_RESPONDER, &r->profile, r->crypto, 0);
        r->c_r++;
        seed[1] = c_r[1] = (uint8_t)r->c_r;
        c_r[0] = (uint8_t)(r->c_r >> 8);
        if (osp_edhoc_take_message_1(&r->s, m.message, NULL) != OSP_OK ||
            osp_edhoc_make_message_2(&r->s, seed, osp_slice(c_r, 2), OSP_EMPTY, &w) != OSP_OK)
            return;
    } else if (osp_edhoc_is_error(m.message) || !take_3(r, m.message)) {
        return;
    } else if (r->profile.has_message_4 && osp_edhoc_make_message_4(&r->s, OSP_EMPTY, &w) != OSP_OK) {
        abort();
    }
    resp.payload = osp_wr_slice(&w);
    if (w.n && osp_msg_add(&resp, OSP_OPT_CONTENT_FORMAT, osp_opt_uint_make(64, format)) != OSP_OK)
        abort();
    reply(r, req, &resp, at, x);
}

static void
serve(struct run *r, struct osp_msg *req, uint8_t at, uint8_t x)
{
    static const struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };
    uint8_t                            scratch[4096], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr               s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_layer            layer;
    struct osp_msg              plain, resp, out;
    struct osp_slice            message_3, ciphertext;

    osp_msg_init(&resp, OSP_CODE(2, 5));
    resp.payload = osp_slice_str("hello");
    if (!osp_msg_has(req, OSP_OPT_OSCORE)) {
        reply(r, req, &resp, at, x);
        return;
    }
    if (osp_msg_has(req, OSP_OPT_EDHOC) && osp_edhoc_split_combined(req->payload, &message_3, &ciphertext) == OSP_OK &&
        take_3(r, message_3)) {
        osp_msg_remove(req, OSP_OPT_EDHOC);
        req->payload = ciphertext;
    }
    if (!r->octx || osp_oscore_unprotect_request(r->crypto, r->octx, req, &s, &plain, &layer) != OSP_OK) {
        osp_msg_init(&resp, OSP_CODE(4, 1));
        resp.payload = osp_slice_str("Security context not found");
        reply(r, req, &resp, at, x);
        return;
    }
    if (osp_msg_has(&plain, OSP_OPT_OBSERVE) && osp_msg_add(&resp, OSP_OPT_OBSERVE, OSP_EMPTY) != OSP_OK)
        abort();
    if (osp_classes(&ends, &resp, classes) != OSP_OK ||
        osp_oscore_protect_response(r->crypto, &layer, &resp, classes, false, &s, &out) != OSP_OK)
        abort();
    reply(r, req, &out, at, x);
    osp_layer_fini(&layer);
}

/* Something it should not say: a code, an option, a payload. */
static void
say(struct run *r, const struct osp_msg *req, struct osp_rd *in)
{
    static const uint16_t options[] = { OSP_OPT_ECHO, OSP_OPT_MAX_AGE, OSP_OPT_CONTENT_FORMAT, OSP_OPT_BLOCK2, OSP_OPT_BLOCK1,
                                        OSP_OPT_OSCORE, OSP_OPT_OBSERVE, OSP_OPT_EDHOC };
    struct osp_msg        resp;
    uint8_t               which;

    osp_msg_init(&resp, osp_rd_u8(in));
    which = osp_rd_u8(in);
    if (which & 8 && osp_msg_add(&resp, options[which & 7], osp_rd_take(in, which >> 4)) != OSP_OK)
        return;
    resp.payload = osp_rd_take(in, osp_rd_u8(in));
    reply(r, req, &resp, 0, 0);
}

/* The oldest datagram, and who waits for an answer to it. */
static void
answer(struct run *r, uint8_t how, struct osp_rd *in)
{
    struct datagram d = r->waiting[0];
    struct osp_msg  req;
    bool            header;
    uint8_t         at, x;

    if (r->waiting_count == 0)
        return;
    r->waiting_count--;
    for (size_t i = 0; i < r->waiting_count; i++)
        r->waiting[i] = r->waiting[i + 1];
    if (osp_msg_decode_udp(osp_slice(d.bytes, d.n), &req, &header) != OSP_OK)
        abort();
    if (how == 0) {
        say(r, &req, in);
        return;
    }
    at = how == 1 ? 0 : osp_rd_u8(in);
    x = how == 1 ? 0 : osp_rd_u8(in);
    if (is_edhoc(&req) && req.payload.n > 0)
        serve_edhoc(r, &req, at, x);
    else
        serve(r, &req, at, x);
}

static void
lose(struct run *r, uint8_t what)
{
    struct osp_octx *c;

    if (what & 1) {
        osp_octx_unref(r->octx);
        r->octx = NULL;
    }
    if (what & 2 && (c = osp_octx_runtime_find_for(r->runtime, osp_slice_str(PURPOSE))) != NULL) {
        (void)osp_octx_runtime_remove(r->runtime, c);
        osp_octx_unref(c);
    }
    if (what & 4)
        r->waiting_count = 0;
    if (what & 8)
        osp_proxy_set_policy(r->px, what & 16 ? &r->policy : &r->without);
}

static void
step(struct run *r, struct osp_rd *in)
{
    uint8_t op = osp_rd_u8(in);

    switch (op & 7) {
    case 0:
        ask(r, 20 + (op >> 3 & 3), osp_rd_u8(in));
        break;
    case 1:
    case 2:
    case 3:
        answer(r, (op & 7) - 1, in);
        break;
    case 4:
        pass(r, OSP_SEC(1) << (op >> 3 & 7));
        break;
    case 5:
        lose(r, op >> 3);
        break;
    case 6:
        input(r, 0, 9, 5683, osp_rd_take(in, osp_rd_u8(in)));
        break;
    default:
        while (r->waiting_count > 0)
            answer(r, 1, in);
        break;
    }
}

static void
finish(struct run *r)
{
    osp_proxy_abort_all(r->px, r->now);
    after(r, has_context(r));
    r->waiting_count = 0;
    pass(r, OSP_SEC(600));
    assert(osp_proxy_idle(r->px));
    for (uint8_t i = 0; i < 48; i++) {          /* C_I are free again, but for those of contexts */
        uint8_t          id = (uint8_t)(i < 24 ? i : 0x20 + i - 24);
        struct osp_octx *c = osp_octx_runtime_find(r->runtime, osp_slice(&id, 1), false, OSP_EMPTY);

        osp_octx_unref(c);
        assert(c || osp_octx_runtime_reserve(r->runtime, osp_slice(&id, 1)) == OSP_OK);
    }
    osp_proxy_free(r->px);
    osp_responder_free(r->responder);
    for (size_t i = 0; i < r->made_count; i++)
        osp_recipe_free(r->made[i]);
    osp_octx_unref(r->octx);
    osp_octx_runtime_free(r->runtime);
    osp_edhoc_fini(&r->s);
    osp_txq_fini(&r->tx);
    osp_crypto_free(r->crypto);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct osp_hash_key key = { 1, 2 };
    static const char *const         names[] = { "unknown", "plant" };
    static const uint8_t             plant_only[1] = { 2 };
    static struct identity           proxy, plant;
    const uint16_t                   ports[2] = { 0, 5683 };
    struct osp_edhoc_peer            trusted = { .label = OSP_RECIPE_LABEL | 1 }, client = { 0 };
    struct osp_edhoc_peers           clients;
    struct osp_octx_configured      *table;
    struct osp_responder_cfg         bounds = { 4, 4, OSP_SEC(60) };
    struct osp_edhoc_conf            conf = { .names = names, .name_count = 2, .unknown_label = OSP_RECIPE_LABEL,
                                              .profile = { .methods = 0xf, .suites = { { 2 }, 1 }, .own_count = 1 } };
    struct osp_edhoc_conf            bare;
    struct osp_allow                 allow = { .kind = OSP_ALLOW_FORWARD,
                                               .target = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN } };
    struct osp_rule                  rule = { .any = true, .allow = &allow, .allow_count = 1 };
    struct osp_upstream              upstream = { .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN } };
    struct osp_proxy_cfg             cfg;
    struct osp_ep_cfg                udp;
    struct osp_rd                    in = osp_rd_from(osp_slice(data, size < 512 ? size : 512));
    struct run                       r = { .now = { 1000000 } };
    uint64_t                         seed = 1;
    uint8_t                          flags = osp_rd_u8(&in);

    if (proxy.own.cred.cred.n == 0) {
        make_identity(&proxy, 3);
        make_identity(&plant, 4);
    }
    trusted.cred = plant.own.cred;
    client.cred = proxy.own.cred;
    conf.profile.own = &proxy.own;
    r.hop = (struct osp_hop_edhoc){ .who = "plant", .credentials = plant_only, .credential_count = 2, .method = 3,
                                    .named = true, .prefer = flags & 1, .combined = flags & 2 };
    upstream.edhoc = &r.hop;
    osp_proxy_cfg_default(&cfg);
    osp_ep_cfg_default(&udp);
    cfg.max_exchanges = 8;
    cfg.lease_low = 0;
    udp.max_messages = 32;
    udp.max_requests = 16;
    udp.max_peers = 2;
    if (osp_edhoc_peers_init(&conf.trusted, &trusted, 1) != OSP_OK || osp_edhoc_peers_init(&clients, &client, 1) != OSP_OK ||
        osp_crypto_new(&r.crypto) != OSP_OK || osp_octx_configured_new(4, key, &table) != OSP_OK ||
        osp_octx_runtime_new(1000, key, &r.runtime) != OSP_OK ||
        osp_responder_new(&bounds, key, r.runtime, &r.responder) != OSP_OK ||
        osp_txq_init(&r.tx, 64, 64 * 2048) != OSP_OK ||
        udp_proxy_new(&cfg, &udp, (struct osp_rand){ prng_fill, &seed }, r.now, &r.tx, &r.px, &r.ep) != OSP_OK)
        abort();
    r.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2 }, 1 }, .own = &plant.own, .own_count = 1,
                                            .has_message_4 = flags & 4, .find = osp_edhoc_peers_find, .find_ctx = &clients };
    conf.responder = r.responder;
    bare = conf;
    bare.trusted.count = 0;
    r.policy = (struct osp_policy){ .release = released, .max_layers = 3, .node_name = "p", .edhoc = &conf, .forward = true,
                                    .response_timeout_us = OSP_SEC(50), .sock_port = ports, .sock_count = 2, .rules = &rule,
                                    .rule_count = 1, .upstreams = &upstream, .upstream_count = 1, .contexts = table,
                                    .runtime = r.runtime };
    r.without = r.policy;
    r.without.edhoc = flags & 8 ? NULL : &bare;
    r.without.forward = !(flags & 8);   /* without EDHOC no leg has it */
    atomic_init(&r.policy.refs, 1);
    atomic_init(&r.without.refs, 1);
    osp_proxy_set_policy(r.px, &r.policy);
    for (int i = 0; i < 40 && osp_rd_left(&in) > 0; i++)
        step(&r, &in);
    finish(&r);
    osp_octx_configured_free(table);
    return 0;
}
