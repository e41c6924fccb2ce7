/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxy as an EDHOC Responder under a script: message_1, message_3 and combined requests of an Initiator that is in
 * earnest, each with a byte changed or not, from two addresses, repeated, reordered and beside datagrams of any kind.
 * A context is made only by a message_3 that is right; sessions are bounded, and nothing is left of them after their time.
 */
#include <assert.h>
#include <stdlib.h>

#include "proxy/edhoc/sessions.h"

#include "tests/prng.h"
#include "identity.h"
#include "proxy_run.h"

#define SESSIONS 3
#define MADE_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct osp_proxy        *px;
    struct osp_responder    *responder;
    struct osp_octx_runtime *runtime;
    struct osp_crypto       *crypto;
    struct osp_txq           tx;
    struct osp_ep           *ep;
    struct osp_time          now;
    struct osp_edhoc_profile profile;           /* of the Initiator */
    struct osp_edhoc         s;
    uint8_t                  m3[512], answer[512], last[600];
    size_t                   m3_len, answer_len, last_len;
    struct osp_recipe       *made[MADE_MAX];
    size_t                   made_count, right; /* right: message_3 as they were made that were sent */
    uint16_t                 mid;
};

/* Reads what clients were told, keeps what was made. */
static void
after(struct run *r)
{
    struct osp_ask ask;
    struct osp_msg m;
    bool           header;

    for (size_t i = 0; i < r->tx.count; i++) {
        if (osp_msg_decode_udp(r->tx.items[i].bytes, &m, &header) == OSP_OK &&
            osp_slice_copy(m.payload, r->answer, sizeof(r->answer)))
            r->answer_len = m.payload.n;
    }
    osp_txq_reset(&r->tx);
    while (osp_proxy_next_ask(r->px, &ask)) {
        if (ask.kind == OSP_ASK_KEEP) {
            assert(r->made_count < MADE_MAX && r->made_count < r->right);       /* one for each at most */
            osp_octx_grant(ask.recipe->octx, 0, 1000000);
            r->made[r->made_count++] = ask.recipe;
        } else if (ask.ctx) {
            osp_octx_unref(ask.ctx);
        }
    }
}

static void
input(struct run *r, uint8_t host, struct osp_slice datagram)
{
    struct osp_flow             from = { .sock = 1, .local = osp_ip_v4(192, 0, 2, 200) };
    struct osp_responder_stats s;

    from.peer.ip = osp_ip_v4(192, 0, 2, host);
    from.peer.port = 1000;
    udp_proxy_input(r->px, r->ep, &from, datagram, r->now, &r->tx);
    after(r);
    osp_responder_stats(r->responder, &s);
    assert(s.unfinished + s.finished <= SESSIONS);
    assert(osp_octx_runtime_count(r->runtime) == r->made_count);
}

/* A byte of `payload` is changed by `x` at `at`, if there. */
static void
send_message(struct run *r, uint8_t host, struct osp_msg *m, struct osp_slice payload, uint8_t at, uint8_t x)
{
    uint8_t       body[1024], bytes[1200];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));

    if (!osp_slice_copy(payload, body, sizeof(body)))
        return;
    if (at < payload.n)
        body[at] ^= x;
    m->payload = osp_slice(body, payload.n);
    m->type = OSP_NON;
    m->mid = ++r->mid;
    m->token = osp_slice_str("t");
    if (osp_msg_encode_udp(m, &w) != OSP_OK)
        abort();
    if (w.n <= sizeof(r->last)) {
        (void)osp_slice_copy(osp_wr_slice(&w), r->last, sizeof(r->last));
        r->last_len = w.n;
    }
    input(r, host, osp_wr_slice(&w));
}

static void
to_resource(struct osp_msg *m)
{
    osp_msg_init(m, OSP_POST);
    if (osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str(".well-known")) != OSP_OK ||
        osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str("edhoc")) != OSP_OK)
        abort();
}

static void
send_1(struct run *r, uint8_t host, struct osp_rd *in)
{
    uint8_t        seed[32], c_i = osp_rd_u8(in), at = osp_rd_u8(in), x = osp_rd_u8(in), bytes[256] = { 0xf5 };
    struct osp_wr  w = osp_wr_to(bytes + 1, sizeof(bytes) - 1);
    struct osp_msg m;

    memset(seed, c_i, sizeof(seed));
    seed[0] = 1;                        /* a scalar below the order */
    osp_edhoc_fini(&r->s);
    osp_edhoc_init(&r->s, OSP_EDHOC_INITIATOR, &r->profile, r->crypto, 0);
    if (osp_edhoc_make_message_1(&r->s, 3, 2, seed, osp_slice(&c_i, 1), OSP_EMPTY, &w) != OSP_OK)
        abort();
    r->m3_len = r->answer_len = 0;
    to_resource(&m);
    send_message(r, host, &m, osp_slice(bytes, w.n + 1), at, x);
    w = osp_wr_to(r->m3, sizeof(r->m3));
    if (osp_edhoc_take_message_2(&r->s, osp_slice(r->answer, r->answer_len), NULL) == OSP_OK &&
        osp_edhoc_make_message_3(&r->s, OSP_EMPTY, &w) == OSP_OK)
        r->m3_len = w.n;
}

static void
send_3(struct run *r, uint8_t host, struct osp_rd *in, bool combined)
{
    uint8_t          at = osp_rd_u8(in), x = osp_rd_u8(in), bytes[700], option[2 + OSP_OSCORE_ID_MAX] = { 0x09, 0x00 };
    struct osp_wr    w = osp_wr_to(bytes, sizeof(bytes)), o = osp_wr_to(option + 2, OSP_OSCORE_ID_MAX);
    struct osp_slice c_r = osp_edhoc_c_r(&r->s);
    struct osp_msg   m;

    if (r->m3_len == 0)
        return;
    if (combined) {
        osp_msg_init(&m, OSP_POST);
        osp_wr_put(&o, c_r);
        if (osp_msg_add(&m, OSP_OPT_OSCORE, osp_slice(option, 2 + o.n)) != OSP_OK ||
            osp_msg_add(&m, OSP_OPT_EDHOC, OSP_EMPTY) != OSP_OK)
            abort();
    } else {
        to_resource(&m);
        osp_edhoc_cid_put(&w, c_r);
    }
    osp_wr_put(&w, osp_slice(r->m3, r->m3_len));
    r->right += at >= w.n || x == 0 || (at < w.n - r->m3_len && !combined);    /* another C_R may be that of another session */
    if (combined)
        osp_wr_put(&w, osp_slice_str("nothing that anybody sealed"));
    send_message(r, host, &m, osp_wr_slice(&w), combined && at >= r->m3_len ? 255 : at, x);
}

static void
pass(struct run *r, uint64_t us)
{
    pass_time(r->px, &r->tx, &r->now, us, after, r);
}

static void
step(struct run *r, struct osp_rd *in)
{
    uint8_t op = osp_rd_u8(in), host = op >> 3 & 1;

    switch (op & 7) {
    case 0:
        send_1(r, host, in);
        break;
    case 1:
    case 2:
        send_3(r, host, in, (op & 7) == 2);
        break;
    case 3:
        input(r, host, osp_slice(r->last, r->last_len));        /* the same datagram, perhaps from elsewhere */
        break;
    case 4:
        pass(r, OSP_SEC(1) << (op >> 4 & 7));
        break;
    default:
        input(r, host, osp_rd_take(in, osp_rd_u8(in)));
        break;
    }
}

static void
finish(struct run *r)
{
    struct osp_responder_stats s;

    pass(r, OSP_SEC(600));
    osp_responder_expire(r->responder, r->now);
    osp_responder_stats(r->responder, &s);
    assert(s.unfinished + s.finished == 0);
    assert(s.completed == r->made_count);
    osp_proxy_abort_all(r->px, r->now);
    assert(osp_proxy_idle(r->px));
    osp_proxy_free(r->px);
    osp_responder_free(r->responder);
    for (size_t i = 0; i < r->made_count; i++)
        osp_recipe_free(r->made[i]);
    osp_octx_runtime_free(r->runtime);
    osp_edhoc_fini(&r->s);
    osp_txq_fini(&r->tx);
    osp_crypto_free(r->crypto);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct osp_hash_key key = { 1, 2 };
    static const char *const         names[] = { "client", "unknown" };
    static struct identity           client, proxy;
    const uint16_t                   ports[2] = { 0, 5683 };
    struct osp_edhoc_peer            trusted = { .label = OSP_RECIPE_LABEL }, server = { 0 };
    struct osp_edhoc_peers           servers;
    struct osp_octx_configured      *table;
    struct osp_responder_cfg         bounds = { SESSIONS, 2, OSP_SEC(60) };
    struct osp_edhoc_conf            conf = { .names = names, .name_count = 2, .unknown_label = OSP_RECIPE_LABEL | 1,
                                              .profile = { .methods = 0xf, .suites = { { 2 }, 1 }, .own_count = 1 } };
    struct osp_rule                  rule = { .any = true };
    struct osp_policy                policy = { .release = released, .max_layers = 3, .node_name = "p", .edhoc = &conf,
                                                .response_timeout_us = OSP_SEC(20), .sock_port = ports, .sock_count = 2,
                                                .rules = &rule, .rule_count = 1 };
    struct osp_proxy_cfg             cfg;
    struct osp_ep_cfg                udp;
    struct osp_rd                    in = osp_rd_from(osp_slice(data, size < 512 ? size : 512));
    struct run                       r = { .now = { 1000000 } };
    uint64_t                         seed = 1;

    if (client.own.cred.cred.n == 0) {
        make_identity(&client, 3);
        make_identity(&proxy, 4);
    }
    trusted.cred = client.own.cred;
    server.cred = proxy.own.cred;
    conf.profile.own = &proxy.own;
    osp_proxy_cfg_default(&cfg);
    osp_ep_cfg_default(&udp);
    cfg.max_exchanges = 6;
    cfg.lease_low = 0;
    udp.max_messages = 16;
    udp.max_requests = 6;
    udp.max_peers = 2;
    atomic_init(&policy.refs, 1);
    if (osp_edhoc_peers_init(&conf.trusted, &trusted, 1) != OSP_OK || osp_edhoc_peers_init(&servers, &server, 1) != OSP_OK ||
        osp_crypto_new(&r.crypto) != OSP_OK || osp_octx_configured_new(4, key, &table) != OSP_OK ||
        osp_octx_runtime_new(1000, key, &r.runtime) != OSP_OK ||
        osp_responder_new(&bounds, key, r.runtime, &r.responder) != OSP_OK ||
        osp_txq_init(&r.tx, 64, 64 * 2048) != OSP_OK ||
        udp_proxy_new(&cfg, &udp, (struct osp_rand){ prng_fill, &seed }, r.now, &r.tx, &r.px, &r.ep) != OSP_OK)
        abort();
    r.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2 }, 1 }, .own = &client.own, .own_count = 1,
                                            .find = osp_edhoc_peers_find, .find_ctx = &servers };
    conf.responder = r.responder;
    policy.contexts = table;
    policy.runtime = r.runtime;
    osp_proxy_set_policy(r.px, &policy);
    for (int i = 0; i < 24 && osp_rd_left(&in) > 0; i++)
        step(&r, &in);
    finish(&r);
    osp_octx_configured_free(table);
    return 0;
}
