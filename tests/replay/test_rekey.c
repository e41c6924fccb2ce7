/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts derived multiple times through the proxy, with clients and with next hops, and what can go wrong [rfc8613#B.2]. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "oscore/b2.h"
#include "world.h"

static struct world       w;
static struct osp_crypto *cr;
static struct osp_randbuf rnd;
static uint64_t           counter;
static uint16_t           next_mid;

static void
fill(void *ctx, uint8_t *dst, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = counter += 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 30) * 0x94d049bb133111ebu;
        dst[i] = (uint8_t)(z >> 40);
    }
}

static struct osp_octx *
new_base(const char *sid, const char *rid)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str(sid), .recipient_id = osp_slice_str(rid) };
    struct osp_octx       *c;

    EXPECT_OK(osp_b2_new(&p, &c));
    return c;
}

/* The proxy's side, known to its policy; the other one is returned. */
static struct osp_octx *proxys;

static struct osp_octx *
shared(bool with_next_hop)
{
    proxys = new_base("P", "X");
    EXPECT_OK(osp_octx_configured_add(w.table, proxys));
    w.ctxs[w.ctx_count++] = proxys;
    if (with_next_hop)
        world_protect_upstream(&w, proxys);
    return new_base("X", "P");
}

static int
setup(void **state)
{
    (void)state;
    world_init_forward(&w);
    osp_randbuf_init(&rnd, (struct osp_rand){ .fill = fill });
    return osp_crypto_new(&cr) == OSP_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    world_end(&w);
    osp_crypto_free(cr);
    return 0;
}

static struct osp_proxy_stats
stats(void)
{
    struct osp_proxy_stats s;

    osp_proxy_stats(w.px, &s);
    return s;
}

/* ---- messages ---- */

static const struct osp_layer_ends to_proxy = { OSP_LAYER_TO_PROXY, true, false };
static const struct osp_layer_ends to_server = { OSP_LAYER_TO_SERVER, true, false };

struct datagram { uint8_t bytes[1024]; size_t n; };

static void
make(struct osp_msg *m, uint8_t type, struct datagram *d)
{
    struct osp_wr b = osp_wr_to(d->bytes, sizeof(d->bytes));

    m->type = type;
    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_encode_udp(m, &b));
    d->n = b.n;
}

/* To the listener; a recorded datagram comes again with another Message ID, or it would be taken for a repetition. */
static void
send(struct datagram *d)
{
    next_mid++;
    d->bytes[2] = (uint8_t)(next_mid >> 8);
    d->bytes[3] = (uint8_t)next_mid;
    world_in(&w, WORLD_LISTENER, 1, 40000, osp_slice(d->bytes, d->n));
}

static bool
take(struct world_out *o, struct osp_msg *m)
{
    return world_take_msg(&w, o, m);
}

static struct osp_slice
kid_context_of(const struct osp_msg *m)
{
    struct osp_oscore_opt opt;
    struct osp_slice      id = OSP_EMPTY;

    assert_true(osp_msg_has(m, OSP_OPT_OSCORE));
    EXPECT_OK(osp_oscore_opt_parse(osp_msg_get(m, OSP_OPT_OSCORE)->val, &opt));
    if (!opt.has_kid_context || !osp_b2_unwrap(opt.kid_context, &id))
        return OSP_EMPTY;
    return id;
}

/* ---- a client of the proxy ---- */

struct client { struct osp_octx *base, *ctx; struct osp_layer l; };

/* A GET in c->ctx. */
static struct datagram
client_asks(struct client *c)
{
    struct osp_msg  m, out;
    uint8_t         buf[1024], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr   b = osp_wr_to(buf, sizeof(buf));
    struct datagram d;

    world_get(&m);
    osp_layer_fini(&c->l);
    EXPECT_OK(osp_classes(&to_proxy, &m, classes));
    EXPECT_OK(osp_oscore_protect_request(cr, c->ctx, &m, classes, &b, &out, &c->l));
    make(&out, OSP_NON, &d);
    send(&d);
    return d;
}

static void
client_uses(struct client *c, struct osp_slice id)
{
    osp_octx_unref(c->ctx);
    EXPECT_OK(osp_b2_derive(c->base, id, &c->ctx));
    osp_octx_lend(c->ctx, 100);
}

static struct datagram
client_begins(struct client *c, const char *r1)
{
    client_uses(c, osp_slice_str(r1));
    return client_asks(c);
}

/* Takes the proxy's answer to request #1, and goes over to the third context. */
static void
client_goes_on(struct client *c)
{
    struct world_out      o;
    struct osp_msg        m, got;
    struct osp_octx      *second;
    struct osp_slice      r2, id1 = OSP_EMPTY;
    uint8_t               id3[64], scratch[256];
    struct osp_wr         b = osp_wr_to(id3, sizeof(id3)), s = osp_wr_to(scratch, sizeof(scratch));
    struct osp_layer      l = c->l;
    struct osp_oscore_opt opt;

    assert_true(take(&o, &m));
    assert_int_equal(o.to.sock, WORLD_LISTENER);
    r2 = kid_context_of(&m);
    assert_int_equal(r2.n, OSP_B2_R2_LEN);
    EXPECT_OK(osp_oscore_opt_parse(osp_msg_get(&m, OSP_OPT_OSCORE)->val, &opt));
    assert_int_equal(opt.piv.n, 1);                             /* its nonce is not left to interpretation */
    (void)osp_octx_id_context(c->ctx, &id1);
    EXPECT_OK(osp_b2_derive_second(c->base, r2, id1, &second));
    l.ctx = second;
    EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &m, &s, &got));
    assert_int_equal(got.code, OSP_CODE(4, 1));
    assert_int_equal(got.opt_count, 0);
    assert_int_equal(got.payload.n, 0);
    osp_octx_unref(second);
    osp_wr_put(&b, r2);
    osp_randbuf_take(&rnd, osp_wr_reserve(&b, OSP_B2_R_LEN), OSP_B2_R_LEN);
    client_uses(c, osp_wr_slice(&b));
}

/* The origin behind the proxy answers in the clear, and the client reads it in its context. */
static void
origin_answers_and_client_reads(struct client *c)
{
    struct world_out o;
    struct osp_msg   q, r, got;
    struct datagram  d;
    uint8_t          scratch[256];
    struct osp_wr    s = osp_wr_to(scratch, sizeof(scratch));

    assert_true(take(&o, &q));
    assert_int_equal(o.to.sock, 0);
    assert_int_equal(q.code, OSP_GET);
    osp_msg_init(&r, OSP_CODE(2, 5));
    r.payload = osp_slice_str("news");
    make(&r, OSP_NON, &d);
    r.token = q.token;
    {
        struct osp_wr b = osp_wr_to(d.bytes, sizeof(d.bytes));

        EXPECT_OK(osp_msg_encode_udp(&r, &b));
        d.n = b.n;
    }
    world_in(&w, 0, 9, 5683, osp_slice(d.bytes, d.n));
    assert_true(take(&o, &r));
    assert_int_equal(o.to.sock, WORLD_LISTENER);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &c->l, &r, &s, &got));
    EXPECT_BYTES(osp_slice_str("news"), got.payload);
}

/* The next datagram is an unprotected error for the client. */
static void
expect_error(uint8_t code, const char *text)
{
    struct world_out o;
    struct osp_msg   m;

    assert_true(take(&o, &m));
    assert_int_equal(o.to.sock, WORLD_LISTENER);
    assert_int_equal(m.code, code);
    EXPECT_BYTES(osp_slice_str(text), m.payload);
    assert_int_equal(w.out_count, 0);
}

static void
client_fini(struct client *c)
{
    osp_layer_fini(&c->l);
    osp_octx_unref(c->ctx);
    osp_octx_unref(c->base);
}

/* ---- as the server ---- */

/* row S11 */
static void
client_makes_a_context_on_the_way(void **state)
{
    struct client    c = { .base = shared(false) };
    struct osp_octx *now;

    (void)state;
    world_start(&w);
    client_begins(&c, "R1R1R1R1");
    assert_int_equal(w.out_count, 1);                           /* nothing went to the origin */
    client_goes_on(&c);
    client_asks(&c);
    origin_answers_and_client_reads(&c);
    for (int i = 0; i < 3; i++) {                               /* ordinary requests in it */
        client_asks(&c);
        origin_answers_and_client_reads(&c);
    }
    assert_int_equal(stats().rekeyed_server, 1);
    assert_int_equal(stats().rekey_begun, 1);
    now = osp_b2_current(proxys);
    EXPECT_BYTES(osp_octx_keys(now).recipient_key, osp_octx_keys(c.ctx).sender_key);
    osp_octx_unref(now);
    client_fini(&c);
}

/* row S11: a new run replaces the context of the one before */
static void
later_run_replaces_the_context(void **state)
{
    struct client   c = { .base = shared(false) };
    struct datagram old;

    (void)state;
    world_start(&w);
    client_begins(&c, "R1R1R1R1");
    client_goes_on(&c);
    old = client_asks(&c);
    origin_answers_and_client_reads(&c);
    client_begins(&c, "r1r1r1r1");
    client_goes_on(&c);
    client_asks(&c);
    origin_answers_and_client_reads(&c);
    assert_int_equal(stats().rekeyed_server, 2);
    send(&old);                 /* it is no request #2 any more: no R2 of it is known; and not executed */
    assert_int_equal(w.out_count, 1);
    assert_int_equal(stats().rekey_begun, 3);
    assert_int_equal(stats().rekeyed_server, 2);
    w.out_count = 0;
    client_asks(&c);            /* and did not displace what is current */
    origin_answers_and_client_reads(&c);
    client_fini(&c);
}

/* row S11: recorded requests #1 and #2 have no second effect [rfc8613#B.2.2] */
static void
replays_have_no_second_effect(void **state)
{
    struct client   c = { .base = shared(false) };
    struct datagram first, second;
    uint64_t        leases;

    (void)state;
    world_start(&w);
    first = client_begins(&c, "R1R1R1R1");
    client_goes_on(&c);
    leases = w.leases;
    for (int i = 0; i < 500; i++) {                             /* in the middle of the run */
        struct world_out o;
        struct osp_msg   m;

        send(&first);
        assert_true(take(&o, &m) && o.to.sock == WORLD_LISTENER);
        assert_int_equal(kid_context_of(&m).n, OSP_B2_R2_LEN);
        assert_int_equal(w.out_count, 0);
    }
    assert_int_equal(w.leases, leases);                         /* nor did they take anything of the store */
    assert_null(osp_b2_current(proxys));
    second = client_asks(&c);
    origin_answers_and_client_reads(&c);
    send(&second);
    expect_error(OSP_CODE(4, 1), "Replay detected");
    send(&first);
    assert_int_equal(w.out_count, 1);
    w.out_count = 0;
    assert_int_equal(stats().rekeyed_server, 1);
    client_asks(&c);
    origin_answers_and_client_reads(&c);
    client_fini(&c);
}

/* row S11: of two runs at a time one ends, and the other begins again */
static void
of_two_runs_at_a_time_one_ends(void **state)
{
    struct osp_octx *base = shared(false);
    struct client    a = { .base = base }, b = { .base = base };

    (void)state;
    osp_octx_ref(base);
    world_start(&w);
    client_begins(&a, "AAAAAAAA");
    client_goes_on(&a);
    client_begins(&b, "BBBBBBBB");
    client_goes_on(&b);
    client_asks(&a);
    origin_answers_and_client_reads(&a);
    client_asks(&b);                                            /* its R2 is void: a request #1 again */
    assert_int_equal(w.out_count, 1);
    client_goes_on(&b);
    client_asks(&b);
    origin_answers_and_client_reads(&b);
    assert_int_equal(stats().rekeyed_server, 2);
    client_fini(&a);
    client_fini(&b);
}

/* row S11: R2 of somebody's own making, IDs that are none, tags that do not verify */
static void
forgeries_lead_nowhere(void **state)
{
    struct client    c = { .base = shared(false) };
    struct osp_octx *other;
    struct datagram  d;
    uint8_t          forged[OSP_B2_R2_LEN + OSP_B2_R_LEN] = { 1, 2, 3 };

    (void)state;
    world_start(&w);
    client_begins(&c, "R1R1R1R1");
    w.out_count = 0;
    client_uses(&c, osp_slice(forged, sizeof(forged)));         /* even with the right keys: it is request #1 */
    client_asks(&c);
    assert_int_equal(w.out_count, 1);
    w.out_count = 0;
    assert_null(osp_b2_current(proxys));
    d = client_begins(&c, "R1R1R1R1");
    w.out_count = 0;
    d.bytes[d.n - 1] ^= 1;
    send(&d);
    expect_error(OSP_CODE(4, 0), "Decryption failed");
    other = c.base;                                             /* a kid context that is no byte string */
    EXPECT_OK(osp_octx_new(&(struct osp_octx_params){ .aead = 10, .hkdf = OSP_HKDF_SHA256,
                                                      .master_secret = osp_slice_str("0123456789abcdef"),
                                                      .sender_id = osp_slice_str("X"), .recipient_id = osp_slice_str("P"),
                                                      .has_id_context = true, .id_context = osp_slice_str("plain") },
                           &c.base));
    osp_octx_unref(c.ctx);
    c.ctx = c.base;
    osp_octx_ref(c.ctx);
    osp_octx_grant(c.ctx, 0, 10);
    client_asks(&c);
    expect_error(OSP_CODE(4, 1), "Security context not found");
    osp_octx_unref(other);
    client_fini(&c);
}

/* row S11: a rule for the context is one for whatever it is derived to */
static void
rules_and_answers_are_those_of_the_base(void **state)
{
    struct client    c = { .base = shared(false) };
    struct osp_msg   m, got;
    struct world_out o;
    uint8_t          scratch[256];
    struct osp_wr    s = osp_wr_to(scratch, sizeof(scratch));

    (void)state;
    w.ctx_bits[0] = 1;
    w.rules[0].any = false;
    w.rules[0].contexts = w.ctx_bits;
    w.rules[0].context_count = 8;
    world_start(&w);
    client_begins(&c, "R1R1R1R1");
    client_goes_on(&c);
    client_asks(&c);
    origin_answers_and_client_reads(&c);
    w.ctx_bits[0] = 0;
    client_asks(&c);
    assert_true(take(&o, &m) && o.to.sock == WORLD_LISTENER);
    EXPECT_OK(osp_oscore_unprotect_response(cr, &c.l, &m, &s, &got));
    assert_int_equal(got.code, OSP_CODE(4, 1));
    client_fini(&c);
}

/* ---- as the client: a next hop that is the server ---- */

struct hop { struct osp_octx *base; unsigned executed, begun, echoes; bool mute, challenges; };

/* What left for the next hop, answered as such a server does; false: nothing did.  `code` of the last answer's outside. */
static bool
hop_answers(struct hop *h)
{
    struct world_out o;
    struct osp_msg   q, plain, r, out;
    struct osp_octx *c, *now = osp_b2_current(h->base);
    struct osp_layer l = { 0 };
    struct osp_slice id, own = OSP_EMPTY;
    uint8_t          buf[1024], classes[OSP_MSG_OPTS_MAX], r2[OSP_B2_R2_LEN];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf)), wire;
    struct datagram  d;
    uint32_t         ticket = 0;
    bool             is_current, known;

    if (!take(&o, &q) || o.to.sock != 0) {
        osp_octx_unref(now);
        return false;
    }
    id = kid_context_of(&q);
    assert_true(id.n > 0);
    is_current = now && osp_octx_id_context(now, &own) && osp_slice_eq(own, id);
    known = osp_b2_knows_r2(h->base, id, &ticket);
    if (is_current)
        osp_octx_ref(c = now);
    else
        EXPECT_OK(osp_b2_derive(h->base, id, &c));
    EXPECT_OK(osp_oscore_unprotect_request(cr, c, &q, &b, &plain, &l));
    if (!is_current && known)
        EXPECT_OK(osp_b2_accept(h->base, c, ticket));
    osp_msg_init(&r, is_current || known ? OSP_CODE(2, 5) : OSP_CODE(4, 1));
    h->executed += is_current || known;
    h->echoes += osp_msg_has(&plain, OSP_OPT_ECHO);
    if (h->challenges && (is_current || known)) {
        h->challenges = false;
        r.code = OSP_CODE(4, 1);
        EXPECT_OK(osp_msg_add(&r, OSP_OPT_ECHO, osp_slice_str("e")));
    }
    if (!is_current && !known) {
        h->begun++;
        osp_octx_unref(l.ctx);
        EXPECT_OK(osp_b2_make_r2(h->base, &rnd, r2));
        EXPECT_OK(osp_b2_derive_second(h->base, osp_slice(r2, sizeof(r2)), id, &l.ctx));
    }
    EXPECT_OK(osp_classes(&to_server, &r, classes));
    EXPECT_OK(osp_oscore_protect_response(cr, &l, &r, classes, false, &b, &out));
    out.type = q.type == OSP_CON ? OSP_ACK : OSP_NON;
    out.mid = q.type == OSP_CON ? q.mid : ++next_mid;
    out.token = q.token;
    wire = osp_wr_to(d.bytes, sizeof(d.bytes));
    EXPECT_OK(osp_msg_encode_udp(&out, &wire));
    d.n = wire.n;
    osp_layer_fini(&l);
    osp_octx_unref(c);
    osp_octx_unref(now);
    if (!h->mute)
        world_in(&w, o.to.sock, o.to.peer.ip.b[15], o.to.peer.port, osp_slice(d.bytes, d.n));
    return true;
}

static void
ask_plain(uint8_t type)
{
    struct osp_msg  m;
    struct datagram d;

    world_get(&m);
    make(&m, type, &d);
    send(&d);
}

/* Code of the next answer to the client in the clear; 0: none. */
static uint8_t
told(void)
{
    struct world_out o;
    struct osp_msg   m;

    while (take(&o, &m)) {
        if (m.code == 0)
            continue;           /* an acknowledgement in between */
        assert_int_equal(o.to.sock, WORLD_LISTENER);
        return m.code;
    }
    return 0;
}

/* row S11: what was proven to a context ends with it */
static void
echo_of_a_lost_context_is_not_sent_in_the_next(void **state)
{
    struct hop h = { .base = shared(true), .challenges = true };

    (void)state;
    world_start(&w);
    ask_plain(OSP_NON);
    assert_true(hop_answers(&h));                               /* #1, and #2 that is challenged */
    assert_true(hop_answers(&h));
    osp_octx_unref(h.base);                                     /* and then it restarts */
    h.base = new_base("X", "P");
    assert_true(hop_answers(&h));                               /* with Echo: request #1 to it */
    assert_true(h.begun == 2 && h.echoes == 1);
    h.challenges = true;
    assert_true(hop_answers(&h));
    assert_int_equal(h.echoes, 1);
    assert_true(hop_answers(&h));                               /* its own challenge is answered */
    assert_int_equal(h.echoes, 2);
    assert_int_equal(told(), OSP_CODE(2, 5));
    osp_octx_unref(h.base);
}

/* row S11 */
static void
first_request_to_a_next_hop_makes_the_context(void **state)
{
    struct hop h = { .base = shared(true) };

    (void)state;
    world_start(&w);
    ask_plain(OSP_NON);
    assert_true(hop_answers(&h));                               /* 4.01 with R2 */
    assert_int_equal(h.executed, 0);
    assert_true(hop_answers(&h));                               /* the same request again, in the third */
    assert_int_equal(told(), OSP_CODE(2, 5));
    assert_true(h.executed == 1 && h.begun == 1);
    for (unsigned i = 0; i < 20; i++) {                         /* and then at once, beyond what was lent */
        ask_plain(OSP_NON);
        assert_true(hop_answers(&h));
        assert_int_equal(told(), OSP_CODE(2, 5));
        assert_int_equal(h.executed, 2 + i);
    }
    assert_int_equal(stats().rekeyed_client, 1);
    assert_int_equal(stats().forwarded_forward, 21);
    osp_octx_unref(h.base);
}

/* row S11: requests that come meanwhile wait for the one that runs */
static void
others_wait_for_the_run(void **state)
{
    struct hop h = { .base = shared(true) };

    (void)state;
    world_start(&w);
    for (int i = 0; i < 5; i++)
        ask_plain(OSP_NON);
    assert_int_equal(w.out_count, 1);                           /* one request #1 */
    assert_int_equal(stats().parked, 4);
    assert_true(hop_answers(&h));
    assert_true(hop_answers(&h));
    assert_int_equal(told(), OSP_CODE(2, 5));
    world_run(&w, OSP_MS(50));
    for (int i = 0; i < 4; i++)
        assert_true(hop_answers(&h));
    for (int i = 0; i < 4; i++)
        assert_int_equal(told(), OSP_CODE(2, 5));
    assert_true(h.begun == 1 && h.executed == 5);
    osp_octx_unref(h.base);
}

/* row S11: whatever is lost, the client hears of it and the next request makes it good */
static void
loss_of_any_message_is_survived(void **state)
{
    struct hop h = { .base = shared(true) };

    (void)state;
    w.policy.response_timeout_us = OSP_SEC(5);
    world_start(&w);
    for (int lost = 0; lost < 4; lost++) {
        struct world_out o;
        struct osp_msg   m;

        ask_plain(OSP_NON);
        if (lost > 1)
            assert_true(hop_answers(&h));                       /* #1 and its answer got through */
        if (lost % 2 == 0) {
            assert_true(take(&o, &m));                          /* the request is lost */
        } else {
            h.mute = true;                                      /* the answer is */
            assert_true(hop_answers(&h));
            h.mute = false;
        }
        assert_int_equal(w.out_count, 0);
        world_run(&w, OSP_SEC(6));
        assert_int_equal(told(), OSP_CODE(5, 4));
        assert_int_equal(stats().rekeyed_client, 0);
    }
    ask_plain(OSP_NON);
    assert_true(hop_answers(&h) && hop_answers(&h));
    assert_int_equal(told(), OSP_CODE(2, 5));
    assert_int_equal(stats().rekeyed_client, 1);
    osp_octx_unref(h.base);
}

/* A confirmable one is repeated by the message layer, in the same context. */
static void
confirmable_requests_are_repeated(void **state)
{
    struct hop       h = { .base = shared(true) };
    struct world_out o;
    struct osp_msg   m;

    (void)state;
    world_start(&w);
    ask_plain(OSP_CON);
    for (int step = 0; step < 2; step++) {
        assert_true(take(&o, &m) && o.to.sock == 0);            /* lost */
        world_run(&w, OSP_SEC(4));
        while (w.out_count && w.out[0].to.sock != 0)
            world_take(&w, &o);                                 /* the client's ACK */
        assert_true(hop_answers(&h));
    }
    assert_int_equal(told(), OSP_CODE(2, 5));
    assert_true(h.begun == 1 && h.executed == 1);
    osp_octx_unref(h.base);
}

/* row S11: the server begins, since it has lost what it had [rfc8613#B.2] */
static void
next_hop_that_forgot_the_context_gets_a_new_one(void **state)
{
    struct hop h = { .base = shared(true) };

    (void)state;
    world_start(&w);
    ask_plain(OSP_NON);
    assert_true(hop_answers(&h) && hop_answers(&h));
    assert_int_equal(told(), OSP_CODE(2, 5));
    osp_octx_unref(h.base);
    h.base = new_base("X", "P");                                /* it was started anew */
    for (int i = 0; i < 3; i++)
        ask_plain(OSP_NON);
    for (int i = 0; i < 3; i++)
        assert_true(hop_answers(&h));                           /* three answers with an R2 */
    world_run(&w, OSP_MS(100));
    assert_true(hop_answers(&h));                               /* one run */
    world_run(&w, OSP_MS(100));
    while (w.out_count)
        (void)hop_answers(&h);                                  /* and what the client is told in between */
    assert_int_equal(h.begun, 1 + 3);
    assert_int_equal(h.executed, 4);
    assert_int_equal(stats().rekeyed_client, 2);
    osp_octx_unref(h.base);
}

/* row S11 S12: keys that are worn are renewed before they are used up */
static void
worn_keys_are_renewed_in_time(void **state)
{
    struct osp_key_limits limits = { .q = 20, .v = 20, .stop = true };
    struct hop            h = { .base = shared(true) };

    (void)state;
    osp_b2_set_limits(proxys, &limits);
    world_start(&w);
    for (int i = 0; i < 100; i++) {
        ask_plain(OSP_NON);
        while (w.out_count && w.out[0].to.sock == 0)
            assert_true(hop_answers(&h));
        assert_int_equal(told(), OSP_CODE(2, 5));
    }
    assert_int_equal(h.executed, 100);
    assert_true(stats().rekeyed_client >= 5 && stats().rekeyed_client <= 7);
    assert_int_equal(stats().errors[OSP_E_KEY_LIMIT], 0);
    osp_octx_unref(h.base);
}

/* row S11: an answer that somebody made up ends the exchange, and its run with it */
static void
forged_answer_ends_the_run(void **state)
{
    struct hop       h = { .base = shared(true) };
    struct world_out o;
    struct osp_msg   q, r;
    struct datagram  d;
    struct osp_wr    b = osp_wr_to(d.bytes, sizeof(d.bytes));

    (void)state;
    world_start(&w);
    ask_plain(OSP_NON);
    assert_true(take(&o, &q));
    osp_msg_init(&r, OSP_CODE(2, 4));
    EXPECT_OK(osp_msg_add(&r, OSP_OPT_OSCORE, osp_slice("\x10\x09\x48" "RRRRRRRR", 11)));
    r.payload = osp_slice_str("0123456789");
    r.type = OSP_NON;
    r.mid = ++next_mid;
    r.token = q.token;
    EXPECT_OK(osp_msg_encode_udp(&r, &b));
    world_in(&w, o.to.sock, o.to.peer.ip.b[15], o.to.peer.port, osp_wr_slice(&b));
    assert_int_equal(told(), OSP_CODE(5, 2));
    ask_plain(OSP_NON);                                         /* nobody waits for a run that is over */
    assert_true(hop_answers(&h) && hop_answers(&h));
    assert_int_equal(told(), OSP_CODE(2, 5));
    osp_octx_unref(h.base);
}

/* row S11: a server that answers every request with an R2 is not asked for ever */
static void
rounds_are_bounded(void **state)
{
    struct hop h = { .base = shared(true) };
    unsigned   rounds = 0;

    (void)state;
    world_start(&w);
    ask_plain(OSP_NON);
    while (w.out_count && w.out[0].to.sock == 0) {
        osp_octx_unref(h.base);
        h.base = new_base("X", "P");                            /* it remembers no R2 */
        assert_true(hop_answers(&h));
        rounds++;
    }
    assert_int_equal(told(), OSP_CODE(5, 2));
    assert_int_equal(rounds, 4);
    osp_octx_unref(h.base);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(client_makes_a_context_on_the_way),
        T(later_run_replaces_the_context),
        T(replays_have_no_second_effect),
        T(of_two_runs_at_a_time_one_ends),
        T(forgeries_lead_nowhere),
        T(rules_and_answers_are_those_of_the_base),
        T(echo_of_a_lost_context_is_not_sent_in_the_next),
        T(first_request_to_a_next_hop_makes_the_context),
        T(others_wait_for_the_run),
        T(loss_of_any_message_is_survived),
        T(confirmable_requests_are_repeated),
        T(next_hop_that_forgot_the_context_gets_a_new_one),
        T(worn_keys_are_renewed_in_time),
        T(forged_answer_ends_the_run),
        T(rounds_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
