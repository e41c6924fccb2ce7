/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include "world.h"

#include <stdio.h>
#include <stdlib.h>

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    struct world *w = ctx;

    for (size_t i = 0; i < n; i++) {        /* splitmix64: deterministic, and no pattern in Tokens */
        uint64_t z = w->counter += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        dst[i] = (uint8_t)(z >> 56);
    }
}

static void
released(struct osp_policy *p)
{
    (void)p;                    /* it is part of the world */
}

void
world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->now.us = OSP_SEC(1000);
    EXPECT_OK(osp_txq_init(&w->tx, 64, 64 * 4096));
    atomic_init(&w->policy.refs, 1);
    w->policy.release = released;
    w->policy.max_layers = 4;
    w->policy.node_name = "";
    w->policy.response_timeout_us = OSP_SEC(100);
    w->ports[0] = 0;
    w->ports[WORLD_LISTENER] = 5683;
    w->policy.sock_port = w->ports;
    w->policy.sock_count = 2;
    w->policy.rules = w->rules;
    w->policy.routes = w->routes;
    w->policy.upstreams = w->upstreams;
    w->policy.hosts = w->hosts;
    w->policy.own = w->own;
    EXPECT_OK(osp_octx_configured_new(WORLD_CTXS, (struct osp_hash_key){ 1, 2 }, &w->table));
    w->policy.contexts = w->table;
}

void
world_init_forward(struct world *w)
{
    world_init(w);
    w->policy.forward = true;
    world_allow_all(w);
    w->hosts[0] = (struct osp_host){ "s.example", osp_ip_v4(192, 0, 2, 9) };
    w->policy.host_count = 1;
}

static struct osp_slice
unhex(const char *text, uint8_t *buf)
{
    size_t n = 0;

    assert_true(osp_hex_decode(osp_slice_str(text), buf, 64, &n));
    return osp_slice(buf, n);
}

struct osp_octx *
world_context(struct world *w, const char *secret, const char *salt, const char *sid, const char *rid, uint64_t ssn)
{
    uint8_t                b[4][64];
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .label = (uint32_t)w->ctx_count };
    struct osp_octx       *c;

    p.master_secret = unhex(secret, b[0]);
    p.master_salt = unhex(salt, b[1]);
    p.sender_id = unhex(sid, b[2]);
    p.recipient_id = unhex(rid, b[3]);
    EXPECT_OK(osp_octx_new(&p, &c));
    osp_octx_grant(c, ssn, ssn + 1000);
    osp_octx_set_window(c, &(struct osp_replay){ 0 });
    EXPECT_OK(osp_octx_configured_add(w->table, c));
    w->ctxs[w->ctx_count++] = c;
    return c;
}

struct osp_octx *
world_other_side(const char *secret, const char *sid, const char *rid)
{
    uint8_t                key[64];
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = unhex(secret, key),
                                 .sender_id = osp_slice_str(sid), .recipient_id = osp_slice_str(rid) };
    struct osp_octx       *c;

    EXPECT_OK(osp_octx_new(&p, &c));
    osp_octx_grant(c, 0, 1u << 30);
    osp_octx_set_window(c, &(struct osp_replay){ 0 });
    return c;
}

void
world_protect_upstream(struct world *w, struct osp_octx *c)
{
    w->upstreams[0] = (struct osp_upstream){ .match = { .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN }, .ctx = c };
    w->policy.upstream_count = 1;
}

void
world_allow_all(struct world *w)
{
    w->route_bits[0] = 0xff;
    w->rules[0] = (struct osp_rule){ .any = true, .allow = w->allow[0], .allow_count = 2 };
    w->allow[0][0] = (struct osp_allow){ .kind = OSP_ALLOW_FORWARD };
    w->allow[0][0].target = (struct osp_target){ .kind = OSP_TARGET_ANY, .scheme = OSP_SCHEME_UNKNOWN };
    w->allow[0][1] = (struct osp_allow){ .kind = OSP_ALLOW_ROUTE, .routes = w->route_bits };
    w->policy.rule_count = 1;
}

void
world_edhoc(struct world *w, const struct osp_responder_cfg *cfg)
{
    const struct osp_hash_key key = { 3, 4 };

    EXPECT_OK(osp_octx_runtime_new(4096, key, &w->runtime));
    EXPECT_OK(osp_responder_new(cfg, key, w->runtime, &w->responder));
    w->edhoc.responder = w->responder;
    w->policy.runtime = w->runtime;
    w->policy.edhoc = &w->edhoc;
}

void
world_start(struct world *w)
{
    struct osp_proxy_cfg cfg;
    struct osp_rand      rand = { fill, w };

    osp_proxy_cfg_default(&cfg);
    osp_ep_cfg_default(&w->ep_cfg);
    cfg.max_exchanges = w->exchanges ? w->exchanges : 1024;
    w->ep_cfg.max_messages = 4 * cfg.max_exchanges;
    w->ep_cfg.max_requests = 1024;
    w->ep_cfg.max_peers = 64;
    cfg.lease_low = 0;
    if (w->tune)
        w->tune(&cfg);
    EXPECT_OK(udp_proxy_new(&cfg, &w->ep_cfg, rand, w->now, &w->tx, &w->px, &w->ep));
    osp_proxy_set_policy(w->px, &w->policy);
}

void
world_stop(struct world *w)
{
    osp_proxy_abort_all(w->px, w->now);
    osp_txq_reset(&w->tx);
    assert_true(osp_proxy_idle(w->px));
}

/* A day after the last exchange has ended the proxy owns nothing for any client, and its counters say so. */
static void
expect_nothing_is_owned(struct world *w)
{
    struct osp_proxy_stats st;

    if (!w->px)
        return;
    osp_proxy_abort_all(w->px, w->now);
    osp_txq_reset(&w->tx);
    for (int hour = 0; hour < 24; hour++) {
        w->now = osp_time_after(w->now, OSP_SEC(3600));
        while (osp_proxy_expire(w->px, w->now))
            osp_txq_reset(&w->tx);
        osp_txq_reset(&w->tx);
    }
    osp_proxy_stats(w->px, &st);
    assert_true(osp_proxy_idle(w->px));
    assert_int_equal(st.exchanges, 0);
    assert_int_equal(st.parked, 0);
    assert_int_equal(st.observations, 0);
    assert_int_equal(st.subjects, 0);
    assert_int_equal(st.bodies, 0);
    for (size_t i = 0; i < OSP_SHARE_KINDS; i++)
        assert_int_equal(st.used[i][0] + st.used[i][1], 0);
}

void
world_fini(struct world *w)
{
    expect_nothing_is_owned(w);
    osp_proxy_free(w->px);
    osp_responder_free(w->responder);
    for (size_t i = 0; i < w->held_count; i++)
        osp_octx_unref(w->held[i]);
    for (size_t i = 0; i < w->made_count; i++)
        osp_recipe_free(w->made[i]);
    osp_octx_runtime_free(w->runtime);
    osp_octx_configured_free(w->table);
    for (size_t i = 0; i < w->ctx_count; i++)
        osp_octx_unref(w->ctxs[i]);
    osp_txq_fini(&w->tx);
}

void
world_end(struct world *w)
{
    world_run(w, OSP_SEC(500));
    world_stop(w);
    world_fini(w);
}

static void
collect(struct world *w)
{
    for (size_t i = 0; i < w->tx.count; i++) {
        struct world_out *o;

        assert_true(w->out_count < WORLD_OUT);
        o = &w->out[w->out_count++];
        o->to = w->tx.items[i].to;
        o->n = w->tx.items[i].bytes.n;
        assert_true(osp_slice_copy(w->tx.items[i].bytes, o->bytes, sizeof(o->bytes)));
    }
    osp_txq_reset(&w->tx);
}

/* What a store would have written. */
static void
write_and_grant(struct osp_octx *c)
{
    uint32_t q, v;

    osp_octx_usage_ahead(c, &q, &v);
    osp_octx_usage_kept(c, q, v);
    osp_octx_grant(c, 0, osp_octx_ssn(c).limit + 100);
}

/* As the daemon: what was made is written down, and then has numbers. */
static void
keep(struct world *w, struct osp_recipe *m)
{
    assert_false(osp_octx_wants_lease(m->octx, 128));   /* another worker that has found it asked for no lease so far */
    w->kept++;
    if (w->made_count == WORLD_MADE) {
        osp_recipe_free(w->made[0]);
        memmove(&w->made[0], &w->made[1], --w->made_count * sizeof(w->made[0]));
    }
    w->made[w->made_count++] = m;
    write_and_grant(m->octx);
    osp_recipe_wipe(m);
}

static void
answer_asks(struct world *w)
{
    struct osp_ask ask;

    while (osp_proxy_next_ask(w->px, &ask)) {
        if (ask.kind == OSP_ASK_RESOLVE) {
            assert_true(w->resolving_count < 8);
            snprintf(w->resolving[w->resolving_count++], 256, "%s", ask.host);
            continue;
        }
        if (ask.kind == OSP_ASK_AGREED) {
            w->agreed[ask.err]++;
            continue;
        }
        if (ask.kind == OSP_ASK_KEEP) {
            keep(w, ask.recipe);
            continue;
        }
        if (ask.kind == OSP_ASK_WORN) {
            w->worn++;
            osp_octx_unref(ask.ctx);
            continue;
        }
        w->leases++;
        if (w->hold_leases) {
            assert_true(w->held_count < 8);
            w->held[w->held_count++] = ask.ctx;
            continue;
        }
        write_and_grant(ask.ctx);
        osp_proxy_leased(w->px, ask.ctx, w->now);
        osp_octx_unref(ask.ctx);
    }
    collect(w);
}

void
world_release_leases(struct world *w, bool grant)
{
    for (size_t i = 0; i < w->held_count; i++) {
        if (grant)
            write_and_grant(w->held[i]);
        else
            osp_octx_lease_failed(w->held[i]);
        osp_proxy_leased(w->px, w->held[i], w->now);
        osp_octx_unref(w->held[i]);
    }
    w->held_count = 0;
    answer_asks(w);
}

void
world_in(struct world *w, uint16_t sock, uint8_t host, uint16_t port, struct osp_slice bytes)
{
    struct osp_addr from = { .ip = osp_ip_v4(192, 0, 2, host), .port = port };

    world_in_from(w, sock, &from, bytes);
}

void
world_in_from(struct world *w, uint16_t sock, const struct osp_addr *from, struct osp_slice bytes)
{
    struct osp_flow f = { .sock = sock, .local = osp_ip_v4(192, 0, 2, 200), .peer = *from };

    udp_proxy_input(w->px, w->ep, &f, bytes, w->now, &w->tx);
    answer_asks(w);
}

void
world_send(struct world *w, uint16_t sock, uint8_t host, uint16_t port, const struct osp_msg *m)
{
    uint8_t       buf[4096];
    struct osp_wr d = osp_wr_to(buf, sizeof(buf));

    EXPECT_OK(osp_msg_encode_udp(m, &d));
    world_in(w, sock, host, port, osp_wr_slice(&d));
}

void
world_protect(struct osp_crypto *cr, struct osp_octx *c, const struct osp_msg *m, struct osp_wr *wr, struct osp_msg *out,
              struct osp_layer *l)
{
    static const struct osp_layer_ends ends = { OSP_LAYER_TO_PROXY, true, false };
    uint8_t                            classes[OSP_MSG_OPTS_MAX];

    EXPECT_OK(osp_classes(&ends, m, classes));
    EXPECT_OK(osp_oscore_protect_request(cr, c, m, classes, wr, out, l));
}

void
world_answer(struct world *w, const struct world_out *to, const struct osp_msg *q, struct osp_msg *r, uint16_t mid)
{
    r->type = OSP_NON;
    r->mid = mid;
    r->token = q->token;
    world_send(w, to->to.sock, to->to.peer.ip.b[15], to->to.peer.port, r);
}

void
world_acknowledge(struct world *w, uint8_t host, uint16_t port, uint16_t mid)
{
    uint8_t d[4] = { 0x60, 0, (uint8_t)(mid >> 8), (uint8_t)mid };

    world_in(w, WORLD_LISTENER, host, port, osp_slice(d, 4));
}

bool
world_expire(struct world *w)
{
    bool more = osp_proxy_expire(w->px, w->now);

    answer_asks(w);
    return more;
}

void
world_run(struct world *w, uint64_t us)
{
    struct osp_time end = osp_time_after(w->now, us), due;

    while (osp_proxy_deadline(w->px, &due) && due.us <= end.us) {
        if (due.us > w->now.us)
            w->now = due;
        else
            w->now.us += 1000;
        while (osp_proxy_expire(w->px, w->now))
            collect(w);
        answer_asks(w);
        if (w->now.us > end.us)
            break;
    }
    if (w->now.us < end.us)
        w->now = end;
    osp_proxy_expire(w->px, w->now);
    answer_asks(w);
}

bool
world_take(struct world *w, struct world_out *out)
{
    if (w->out_count == 0)
        return false;
    *out = w->out[0];
    memmove(&w->out[0], &w->out[1], --w->out_count * sizeof(w->out[0]));
    return true;
}

bool
world_take_msg(struct world *w, struct world_out *out, struct osp_msg *m)
{
    static uint8_t keep[256][sizeof(out->bytes)];
    static int     turn;
    bool           header;

    if (!world_take(w, out))
        return false;
    turn = (turn + 1) % 256;
    memcpy(keep[turn], out->bytes, out->n);
    EXPECT_OK(osp_msg_decode_udp(osp_slice(keep[turn], out->n), m, &header));
    return true;
}

struct world_out
world_next(struct world *w, struct osp_msg *m)
{
    struct world_out o = { .n = 0 };

    if (!world_take_msg(w, &o, m))
        fail_msg("nothing left the proxy");
    return o;
}

void
world_request(struct osp_msg *m, uint8_t code, uint8_t type, uint16_t mid)
{
    osp_msg_init(m, code);
    m->type = type;
    m->mid = mid;
    m->token = osp_slice_str("tk");
}

void
world_get(struct osp_msg *m)
{
    osp_msg_init(m, OSP_GET);
    add(m, OSP_OPT_URI_HOST, "s.example");
    add(m, OSP_OPT_URI_PATH, "x");
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
}

void
add(struct osp_msg *m, uint16_t num, const char *value)
{
    EXPECT_OK(osp_msg_add(m, num, osp_slice_str(value)));
}

void
world_resolved(struct world *w, const char *host, enum osp_err err, const char *ip, uint64_t ttl_s)
{
    struct osp_ip a = { { 0 } };

    if (ip)
        assert_true(osp_ip_parse(osp_slice_str(ip), &a));
    osp_proxy_resolved(w->px, host, err, &a, ip ? 1 : 0, OSP_SEC(ttl_s), w->now);
    w->resolving_count = 0;
    answer_asks(w);
}
