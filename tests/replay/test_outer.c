/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which bytes choose a route: those under the layer that came off, and what is outside of it only where the route says so.
 * And what becomes of an end-to-end layer whose kid happens to be one of ours.
 */
#include "tests/unit/unit.h"

#include "tests/unit/with_crypto.h"
#include "msg/block.h"
#include "msg/option.h"
#include "world.h"

#define KIDS 48                 /* all that EDHOC writes as one byte */

static struct world     w;
static uint16_t         next_mid;
static struct osp_octx *client;
static const char       secret[] = "000102030405060708090a0b0c0d0e0f";
static const char       foreign[] = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

enum { ADMIN, PLANT, ROUTES };  /* their upstreams are 192.0.2.8 and 192.0.2.9 */

static struct osp_authority
at(uint8_t host)
{
    return (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str(host == 8 ? "192.0.2.8" : "192.0.2.9"), 5683, true,
                                   osp_ip_v4(192, 0, 2, host) };
}

/* A reverse-proxy: admin.example has a host of its own, /plant is for whoever is let in. */
static int
setup(void **state)
{
    (void)state;
    world_init(&w);
    world_allow_all(&w);
    world_context(&w, secret, "", "50", "20", 0);
    client = world_other_side(secret, " ", "P");
    w.segs[0] = osp_slice_str("plant");
    w.routes[ADMIN] = (struct osp_route){ .name = "admin", .host = osp_slice_str("admin.example"), .hop = { .to = at(8) } };
    w.routes[PLANT] = (struct osp_route){ .name = "plant", .path = w.segs, .path_count = 1, .has_path = true,
                                          .hop = { .to = at(9) } };
    w.policy.reverse = true;
    w.policy.route_count = ROUTES;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_end(&w);
    osp_octx_unref(client);
    return 0;
}

static void
begin(struct osp_msg *m, uint8_t code)
{
    world_request(m, code, OSP_NON, ++next_mid);
}

/* `inner` under the layer of `c`; `host` and `port` are added outside, where anybody on the way could have put them. */
static void
send_under(struct osp_octx *c, const struct osp_msg *inner, const char *host, const char *port)
{
    struct osp_layer l;
    struct osp_msg   out;
    uint8_t          buf[2048], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));

    for (size_t i = 0; i < inner->opt_count; i++)
        classes[i] = OSP_OPT_CLASS_E;          /* all of it goes inside */
    EXPECT_OK(osp_oscore_protect_request(cr, c, inner, classes, &b, &out, &l));
    out.type = inner->type;
    out.mid = ++next_mid;
    out.token = inner->token;
    if (host)
        add(&out, OSP_OPT_URI_HOST, host);
    if (port)
        add(&out, OSP_OPT_URI_PORT, port);
    world_send(&w, WORLD_LISTENER, 1, 40000, &out);
    osp_layer_fini(&l);
}

/* The last byte of the address that the next datagram goes to; 0: nothing went upstream. */
static unsigned
went_to(struct osp_msg *m)
{
    struct world_out o = world_next(&w, m);

    return o.to.sock == 0 ? o.to.peer.ip.b[15] : 0;
}

static void
put_plant(struct osp_msg *m)
{
    begin(m, OSP_PUT);
    add(m, OSP_OPT_URI_PATH, "plant");
    add(m, OSP_OPT_URI_PATH, "valve");
    m->payload = osp_slice_str("open");
}

/* ---- protected bytes choose ---- */

/* row P24 */
static void
a_host_outside_of_the_layer_does_not_choose_the_route(void **state)
{
    struct osp_proxy_stats s;
    struct osp_msg         m, q;

    (void)state;
    world_start(&w);
    put_plant(&m);
    send_under(client, &m, NULL, NULL);
    assert_int_equal(9, went_to(&q));
    send_under(client, &m, "admin.example", NULL);
    assert_int_equal(9, went_to(&q));
    assert_false(osp_msg_has(&q, OSP_OPT_URI_HOST));
    EXPECT_BYTES(osp_slice_str("open"), q.payload);
    osp_proxy_stats(w.px, &s);
    assert_int_equal(1, s.outer_ignored);
}

/* row P24 */
static void
a_host_inside_of_the_layer_does(void **state)
{
    struct osp_msg m, q;

    (void)state;
    world_start(&w);
    begin(&m, OSP_PUT);
    add(&m, OSP_OPT_URI_HOST, "admin.example");
    add(&m, OSP_OPT_URI_PATH, "plant");
    send_under(client, &m, NULL, NULL);
    assert_int_equal(8, went_to(&q));
    send_under(client, &m, "else.example", "\x10");
    assert_int_equal(8, went_to(&q));
}

/* row P24 */
static void
a_route_may_take_the_host_outside(void **state)
{
    struct osp_proxy_stats s;
    struct osp_msg         m, q;

    (void)state;
    w.routes[ADMIN].outer_host = w.routes[ADMIN].keep_host = true;
    world_start(&w);
    put_plant(&m);
    send_under(client, &m, "Admin.Example", NULL);
    assert_int_equal(8, went_to(&q));
    EXPECT_BYTES(osp_slice_str("Admin.Example"), osp_msg_get(&q, OSP_OPT_URI_HOST)->val);
    send_under(client, &m, "other.example", NULL);
    assert_int_equal(9, went_to(&q));
    osp_proxy_stats(w.px, &s);
    assert_int_equal(1, s.outer_ignored);
}

static void
a_host_outside_is_not_kept_for_the_upstream(void **state)
{
    struct osp_msg m, q;

    (void)state;
    w.routes[PLANT].keep_host = true;
    world_start(&w);
    put_plant(&m);
    send_under(client, &m, "admin.example", NULL);
    assert_int_equal(9, went_to(&q));
    assert_false(osp_msg_has(&q, OSP_OPT_URI_HOST));
}

/* row P24 */
static void
a_port_outside_does_not_choose_either(void **state)
{
    struct osp_msg m, q;

    (void)state;
    w.routes[ADMIN] = (struct osp_route){ .name = "admin", .port = 7, .path = w.segs, .path_count = 1, .has_path = true,
                                          .hop = { .to = at(8) } };
    world_start(&w);
    put_plant(&m);
    send_under(client, &m, NULL, "\x07");
    assert_int_equal(9, went_to(&q));
    w.routes[ADMIN].port = 5683;                /* nor does the port that it was sent to, which is outside as well */
    send_under(client, &m, NULL, NULL);
    assert_int_equal(9, went_to(&q));
    w.routes[ADMIN].outer_host = true;
    send_under(client, &m, NULL, NULL);
    assert_int_equal(8, went_to(&q));
    w.routes[ADMIN].outer_host = false;
    begin(&m, OSP_GET);
    add(&m, OSP_OPT_URI_PORT, "\x16\x33");
    add(&m, OSP_OPT_URI_PATH, "plant");
    send_under(client, &m, NULL, NULL);
    assert_int_equal(8, went_to(&q));
}

/* A request for nothing stays one for nothing: the route for everything is not reached by a host that anybody can add. */
static void
a_host_outside_makes_no_request_for_a_route(void **state)
{
    struct osp_msg m, q;

    (void)state;
    w.routes[PLANT] = (struct osp_route){ .name = "all", .has_path = true, .hop = { .to = at(9) } };
    world_start(&w);
    begin(&m, OSP_GET);
    send_under(client, &m, "other.example", NULL);
    assert_int_equal(0, went_to(&q));
    begin(&m, OSP_GET);
    add(&m, OSP_OPT_URI_PATH, "x");
    send_under(client, &m, "other.example", NULL);
    assert_int_equal(9, went_to(&q));
}

/* Without a layer of ours nothing is protected for us: the host is what it says. */
static void
a_request_without_a_layer_is_routed_by_its_host(void **state)
{
    struct osp_msg m, q;

    (void)state;
    world_start(&w);
    put_plant(&m);
    add(&m, OSP_OPT_URI_HOST, "admin.example");
    world_send(&w, WORLD_LISTENER, 1, 40000, &m);
    assert_int_equal(8, went_to(&q));
}

/* ---- a kid of ours on an end-to-end layer ---- */

static uint8_t
kid_at(unsigned i)
{
    return (uint8_t)(i < 24 ? i : 0x20 + i - 24);
}

/* Contexts with every kid of one byte, as EDHOC made them before routes with end-to-end layers were there. */
static void
fill_live(void)
{
    EXPECT_OK(osp_octx_runtime_new(256, (struct osp_hash_key){ 3, 4 }, &w.runtime));
    w.policy.runtime = w.runtime;
    for (unsigned i = 0; i < KIDS; i++) {
        uint8_t                kid = kid_at(i), key[16] = { 9, (uint8_t)i };
        struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .label = OSP_RECIPE_LABEL,
                                     .master_secret = osp_slice(key, sizeof(key)), .sender_id = osp_slice_str("peer"),
                                     .recipient_id = osp_slice(&kid, 1) };
        struct osp_octx       *c;

        EXPECT_OK(osp_octx_new(&p, &c));
        osp_octx_set_window(c, &(struct osp_replay){ 0 });
        if (kid == 0x20) {      /* the world's own context has that one */
            osp_octx_unref(c);
            continue;
        }
        EXPECT_OK(osp_octx_runtime_add(w.runtime, c));
        osp_octx_unref(c);
    }
}

/* row L17 */
static void
an_end_to_end_layer_with_a_kid_of_ours_is_forwarded(void **state)
{
    struct osp_proxy_stats s;
    struct osp_msg         m, q;

    (void)state;
    fill_live();
    world_start(&w);
    for (unsigned i = 0; i < KIDS; i++) {
        char             kid[2] = { (char)kid_at(i), 0 };
        struct osp_octx *c;

        if (!kid[0])            /* the helper takes texts */
            continue;
        c = world_other_side(foreign, kid, "origin");
        begin(&m, OSP_GET);
        add(&m, OSP_OPT_URI_PATH, "secret");
        send_under(c, &m, "admin.example", NULL);
        assert_int_equal(8, went_to(&q));
        assert_true(osp_msg_has(&q, OSP_OPT_OSCORE));
        osp_octx_unref(c);
    }
    osp_proxy_stats(w.px, &s);
    assert_int_equal(KIDS - 1, s.layers_left);
    assert_int_equal(0, s.layers_removed);
}

/* row L17 */
static void
a_partial_iv_seen_before_under_our_kid_is_no_replay_of_an_end_to_end_one(void **state)
{
    struct osp_octx *c = world_other_side(foreign, " ", "origin");
    struct osp_msg   m, q;

    (void)state;
    world_start(&w);
    put_plant(&m);
    send_under(client, &m, NULL, NULL);         /* Partial IV 0 under our keys */
    assert_int_equal(9, went_to(&q));
    send_under(c, &m, "admin.example", NULL);   /* and under those of others */
    assert_int_equal(8, went_to(&q));
    assert_true(osp_msg_has(&q, OSP_OPT_OSCORE));
    osp_octx_unref(c);
}

/*
 * Blocks around it are put together before it is known whose layer it is: then it goes on as it is, whole, and the client is told
 * that its blocks were taken.
 */
static void
an_end_to_end_layer_in_blocks_is_forwarded_whole(void **state)
{
    struct osp_octx *c = world_other_side(foreign, " ", "origin");
    struct osp_layer l;
    struct osp_msg   m, whole, part, q, r;
    struct world_out o;
    uint8_t          buf[2048], value[4], classes[OSP_MSG_OPTS_MAX] = { OSP_OPT_CLASS_E };
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));

    (void)state;
    world_start(&w);
    begin(&m, OSP_PUT);
    add(&m, OSP_OPT_URI_PATH, "x");
    m.payload = osp_slice_str("twenty bytes of body");
    EXPECT_OK(osp_oscore_protect_request(cr, c, &m, classes, &b, &whole, &l));
    add(&whole, OSP_OPT_URI_HOST, "admin.example");
    for (uint32_t i = 0; i * 16 < whole.payload.n; i++) {
        struct osp_block block = { i, (i + 1) * 16 < whole.payload.n, 0 };

        osp_msg_copy(&part, &whole);
        part.type = OSP_NON;
        part.mid = ++next_mid;
        part.token = osp_slice_str("tk");
        EXPECT_OK(osp_msg_add(&part, OSP_OPT_BLOCK1, osp_block_make(&block, value)));
        part.payload = osp_slice_head(osp_slice_tail(whole.payload, i * 16), 16);
        world_send(&w, WORLD_LISTENER, 1, 40000, &part);
        o = world_next(&w, &q);
        if (block.more)
            assert_int_equal(OSP_CODE(2, 31), q.code);
    }
    assert_int_equal(8, o.to.peer.ip.b[15]);
    EXPECT_BYTES(whole.payload, q.payload);
    assert_false(osp_msg_has(&q, OSP_OPT_BLOCK1));
    osp_msg_init(&r, OSP_CODE(2, 4));
    r.type = OSP_NON;
    r.mid = ++next_mid;
    r.token = q.token;
    r.payload = osp_slice_str("sealed");
    add(&r, OSP_OPT_OSCORE, "");
    world_send(&w, o.to.sock, 8, 5683, &r);
    assert_int_equal(0, went_to(&q));
    assert_int_equal(OSP_CODE(2, 4), q.code);
    assert_true(osp_msg_has(&q, OSP_OPT_BLOCK1));
    EXPECT_BYTES(osp_slice_str("sealed"), q.payload);
    osp_layer_fini(&l);
    osp_octx_unref(c);
}

/* A replay of a layer of ours is one, and goes nowhere. */
static void
a_replay_is_not_forwarded_for_want_of_a_layer(void **state)
{
    struct osp_octx *again = world_other_side(secret, " ", "P");
    struct osp_msg   m, q;

    (void)state;
    world_start(&w);
    put_plant(&m);
    send_under(client, &m, NULL, NULL);
    assert_int_equal(9, went_to(&q));
    send_under(again, &m, "admin.example", NULL);
    assert_int_equal(0, went_to(&q));
    assert_int_equal(OSP_CODE(4, 1), q.code);
    osp_octx_unref(again);
}

/* Whoever may not use the route without a layer hears that the layer did not come off. */
static void
a_layer_that_does_not_come_off_gives_no_rights(void **state)
{
    static const uint8_t ours[1] = { 1 };
    struct osp_octx     *c = world_other_side(foreign, " ", "origin");
    struct osp_msg       m, q;

    (void)state;
    w.rules[0].any = false;
    w.rules[0].contexts = ours;
    w.rules[0].context_count = 1;
    world_start(&w);
    put_plant(&m);
    send_under(c, &m, "admin.example", NULL);
    assert_int_equal(0, went_to(&q));
    assert_int_equal(OSP_CODE(4, 0), q.code);
    osp_octx_unref(c);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_host_outside_of_the_layer_does_not_choose_the_route),
        T(a_host_inside_of_the_layer_does),
        T(a_route_may_take_the_host_outside),
        T(a_host_outside_is_not_kept_for_the_upstream),
        T(a_port_outside_does_not_choose_either),
        T(a_host_outside_makes_no_request_for_a_route),
        T(a_request_without_a_layer_is_routed_by_its_host),
        T(an_end_to_end_layer_with_a_kid_of_ours_is_forwarded),
        T(a_partial_iv_seen_before_under_our_kid_is_no_replay_of_an_end_to_end_one),
        T(an_end_to_end_layer_in_blocks_is_forwarded_whole),
        T(a_replay_is_not_forwarded_for_want_of_a_layer),
        T(a_layer_that_does_not_come_off_gives_no_rights),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
