/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole proxy under a script of datagrams from clients and from the next hop, time, names and leases.  After
 * everything had its time no exchange but observations may be in flight, and those end when told to.
 * One context is derived anew, from clients and on the way to a route [rfc8613#B.2].
 * Reaches osp_proxy_event, osp_proxy_expire, osp_proxy_resolved, osp_proxy_leased, dispatch, translate, layers.
 */
#include <assert.h>
#include <stdlib.h>

#include "oscore/b2.h"

#include "tests/prng.h"
#include "proxy_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct osp_proxy *px;
    struct osp_txq    tx;
    struct osp_ep    *ep;
    struct osp_time   now;
    uint8_t           to_upstream[512];         /* the last request that left, to be answered */
    size_t            to_upstream_len;
    struct osp_flow   upstream;
};

/* Reads what left, answers what was asked. */
static void
after(struct run *r)
{
    struct osp_ask ask;
    struct osp_ip  ip = osp_ip_v4(192, 0, 2, 7);
    uint32_t       q, v;

    for (size_t i = 0; i < r->tx.count; i++) {
        if (r->tx.items[i].to.sock == 0 && r->tx.items[i].bytes.n <= sizeof(r->to_upstream)) {
            r->to_upstream_len = r->tx.items[i].bytes.n;
            (void)osp_slice_copy(r->tx.items[i].bytes, r->to_upstream, sizeof(r->to_upstream));
            r->upstream = r->tx.items[i].to;
        }
    }
    osp_txq_reset(&r->tx);
    while (osp_proxy_next_ask(r->px, &ask)) {
        if (ask.kind == OSP_ASK_LEASE) {
            osp_octx_usage_ahead(ask.ctx, &q, &v);
            osp_octx_usage_kept(ask.ctx, q, v);
            osp_octx_grant(ask.ctx, 0, osp_octx_ssn(ask.ctx).limit + 4);
            osp_proxy_leased(r->px, ask.ctx, r->now);
            osp_octx_unref(ask.ctx);
        } else if (ask.kind == OSP_ASK_WORN) {
            osp_octx_unref(ask.ctx);
        } else if (ask.kind == OSP_ASK_RESOLVE) {
            osp_proxy_resolved(r->px, ask.host, ask.host[0] & 1 ? OSP_OK : OSP_E_RESOLVE, &ip, 1, OSP_SEC(1), r->now);
        }
    }
    osp_txq_reset(&r->tx);
}

static void
pass(struct run *r, uint64_t us)
{
    pass_time(r->px, &r->tx, &r->now, us, after, r);
}

/* The next hop answers the last request with the options and payload given. */
static void
answer(struct run *r, struct osp_slice body)
{
    struct osp_msg req, resp;
    uint8_t        buf[1024];
    struct osp_wr  w = osp_wr_to(buf, sizeof(buf));
    struct osp_rd  in = osp_rd_from(body);
    bool           header;

    if (osp_msg_decode_udp(osp_slice(r->to_upstream, r->to_upstream_len), &req, &header) != OSP_OK)
        return;
    osp_msg_init(&resp, osp_rd_u8(&in));
    resp.type = req.type == OSP_CON ? OSP_ACK : OSP_NON;
    resp.mid = req.mid;
    resp.token = req.token;
    if (osp_msg_decode_body(osp_rd_rest(&in), &resp) != OSP_OK || osp_msg_encode_udp(&resp, &w) != OSP_OK)
        return;
    udp_proxy_input(r->px, r->ep, &r->upstream, osp_wr_slice(&w), r->now, &r->tx);
}

static void
step(struct run *r, struct osp_rd *in)
{
    uint8_t         op = osp_rd_u8(in);
    struct osp_flow from = { .sock = 1, .local = osp_ip_v4(192, 0, 2, 200) };

    from.peer.ip = osp_ip_v4(192, 0, 2, op >> 4 & 3);
    from.peer.port = 1000;
    switch (op & 3) {
    case 0:
    case 1:
        udp_proxy_input(r->px, r->ep, &from, osp_rd_take(in, osp_rd_u8(in)), r->now, &r->tx);
        break;
    case 2:
        answer(r, osp_rd_take(in, osp_rd_u8(in)));
        break;
    default:
        pass(r, OSP_MS(10) << (op >> 2 & 15));
        break;
    }
    after(r);
}

/* The contexts of the nested scenarios at the proxy, so that their datagrams make a corpus. */
static struct osp_octx *
context(const char *secret, const char *salt, const char *sid, const char *rid, bool base)
{
    uint8_t                b[4][16];
    size_t                 n[4];
    const char            *hex[4] = { secret, salt, sid, rid };
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256 };
    struct osp_octx       *c;

    for (int i = 0; i < 4; i++)
        if (!osp_hex_decode(osp_slice_str(hex[i]), b[i], 16, &n[i]))
            abort();
    p.master_secret = osp_slice(b[0], n[0]);
    p.master_salt = osp_slice(b[1], n[1]);
    p.sender_id = osp_slice(b[2], n[2]);
    p.recipient_id = osp_slice(b[3], n[3]);
    if ((base ? osp_b2_new(&p, &c) : osp_octx_new(&p, &c)) != OSP_OK)
        abort();
    osp_octx_set_window(c, &(struct osp_replay){ 0 });
    return c;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct osp_hash_key key = { 1, 2 };
    const uint16_t         ports[2] = { 0, 5683 };
    const uint8_t          all[1] = { 0xff };
    const struct osp_slice segs[1] = { osp_slice_str("dev1") };
    struct osp_octx       *cp = context("f3c1069684c4e754e92101e3ab437a5b", "9f5fe9ab96396938", "50", "20", false);
    struct osp_octx       *ps = context("60b10541742f5001910d0102cfae17cb", "c06994ff8058dd0e", "d4", "54", false);
    struct osp_octx       *b2 = context("0102030405060708090a0b0c0d0e0f10", "9e7ca92223786340", "53", "43", true);
    struct osp_octx_configured *table;
    struct osp_allow       allow[2] = { { .kind = OSP_ALLOW_FORWARD, .target = { .scheme = OSP_SCHEME_UNKNOWN } },
                                        { .kind = OSP_ALLOW_ROUTE, .routes = all } };
    struct osp_rule        rule = { .any = true, .allow = allow, .allow_count = 2, .rate = 100, .burst = 50 };
    struct osp_host        host = { "example.com", osp_ip_v4(192, 0, 2, 9) };
    struct osp_upstream    up = { .match = { .kind = OSP_TARGET_NAME, .scheme = OSP_SCHEME_COAP, .name = "example.com" },
                                  .ctx = ps };
    struct osp_route       route = { .name = "dev1", .path = segs, .path_count = 1, .has_path = true, .strip = 1,
                                     .hop = { .to = { OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true,
                                                      osp_ip_v4(192, 0, 2, 9) }, .ctx = b2 } };
    struct osp_policy      policy = { .release = released, .forward = true, .reverse = true, .max_layers = 3, .node_name = "p",
                                      .response_timeout_us = OSP_SEC(20), .sock_port = ports, .sock_count = 2, .rules = &rule,
                                      .rule_count = 1, .routes = &route, .route_count = 1, .upstreams = &up, .upstream_count = 1,
                                      .hosts = &host, .host_count = 1 };
    struct osp_proxy_cfg   cfg;
    struct osp_ep_cfg      udp;
    struct osp_proxy_stats st;
    struct osp_rd          in = osp_rd_from(osp_slice(data, size));
    struct run             r = { .now = { 1000000 } };
    uint64_t               seed = 1;

    osp_proxy_cfg_default(&cfg);
    osp_ep_cfg_default(&udp);
    cfg.max_exchanges = 6;
    cfg.max_names = 2;
    cfg.client_share = cfg.prefix_share = 50;
    cfg.known_reserve = 20;
    cfg.lease_low = 0;
    cfg.pool_bytes = (size_t)16 << 20;
    udp.max_messages = 16;
    udp.max_requests = 6;
    udp.max_peers = 2;
    udp.max_datagram = 512;
    cfg.amplification = 3;
    cfg.max_body = 1024;
    cfg.max_bodies = 3;
    cfg.max_bodies_per_peer = 2;
    atomic_init(&policy.refs, 1);
    if (osp_octx_configured_new(4, key, &table) != OSP_OK || osp_octx_configured_add(table, cp) != OSP_OK ||
        osp_octx_configured_add(table, ps) != OSP_OK || osp_octx_configured_add(table, b2) != OSP_OK ||
        osp_txq_init(&r.tx, 64, 64 * 512) != OSP_OK ||
        udp_proxy_new(&cfg, &udp, (struct osp_rand){ prng_fill, &seed }, r.now, &r.tx, &r.px, &r.ep) != OSP_OK)
        abort();
    policy.contexts = table;
    osp_proxy_set_policy(r.px, &policy);
    while (osp_rd_left(&in) > 0)
        step(&r, &in);
    pass(&r, OSP_SEC(600));
    osp_proxy_stats(r.px, &st);
    assert(st.bodies == 0);
    assert(st.exchanges == st.observations);    /* only those live as long as both sides want */
    osp_proxy_abort_all(r.px, r.now);
    assert(osp_proxy_idle(r.px));
    osp_proxy_free(r.px);
    osp_octx_configured_free(table);
    osp_octx_unref(cp);
    osp_octx_unref(ps);
    osp_octx_unref(b2);
    osp_txq_fini(&r.tx);
    return 0;
}
