/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes of a reverse-proxy in virtual time: which requests they take, and which of them are listed. */
#include "tests/unit/unit.h"

#include "tests/unit/with_crypto.h"
#include "the_world.h"

static int
setup(void **state)
{
    struct osp_next_hop hop = { .to = { OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true, osp_ip_v4(192, 0, 2, 9) } };

    (void)state;
    world_init(&w);
    world_allow_all(&w);
    w.segs[0] = osp_slice_str("plant");
    w.segs[1] = osp_slice_str("north");
    w.segs[2] = osp_slice_str("a b");
    w.routes[0] = (struct osp_route){ .name = "plant", .path = &w.segs[0], .path_count = 2, .has_path = true, .strip = 2,
                                      .hop = hop };
    w.routes[1] = (struct osp_route){ .name = "host", .host = osp_slice_str("*.dev.example"), .hop = hop };
    w.routes[2] = (struct osp_route){ .name = "blank", .path = &w.segs[2], .path_count = 1, .has_path = true, .strip = 1,
                                      .hop = hop };
    w.policy.reverse = true;
    w.policy.route_count = 3;
    world_start(&w);
    return 0;
}

static void
send(struct osp_msg *m)
{
    m->type = OSP_NON;
    m->mid = ++next_mid;
    m->token = osp_slice_str("tk");
    world_send(&w, WORLD_LISTENER, 1, 40000, m);
}

/* True if the request went on to the origin; else it was answered 4.04. */
static bool
passes(struct osp_msg *m)
{
    struct world_out o;
    struct osp_msg   got;

    send(m);
    o = world_next(&w, &got);
    if (o.to.sock == WORLD_LISTENER)
        assert_int_equal(got.code, OSP_CODE(4, 4));
    return o.to.sock != WORLD_LISTENER;
}

static bool
host_passes(const char *host)
{
    struct osp_msg m;

    osp_msg_init(&m, OSP_GET);
    add(&m, OSP_OPT_URI_HOST, host);
    add(&m, OSP_OPT_URI_PATH, "t");
    return passes(&m);
}

/* [rfc7252#5.7.3] */
static void
pattern_of_hosts_takes_names_below_it_alone(void **state)
{
    (void)state;
    assert_true(host_passes("a.dev.example"));
    assert_true(host_passes("b.a.dev.example"));
    assert_false(host_passes("dev.example"));
    assert_false(host_passes("a.dev.example.evil.example"));
    assert_false(host_passes("a-name-that-is-longer.example"));
    assert_false(host_passes("a.dev.examplf"));
}

/* [rfc7252#5.7.3] */
static void
path_of_a_route_is_matched_segment_by_segment(void **state)
{
    static const struct { const char *a, *b; bool passes; } cases[] = {
        { "plant", "north", true }, { "plant", "nort", false }, { "plant", "northx", false }, { "plant", NULL, false },
        { "north", "plant", false }, { "plan", "tnorth", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osp_msg m;

        osp_msg_init(&m, OSP_GET);
        add(&m, OSP_OPT_URI_PATH, cases[i].a);
        if (cases[i].b)
            add(&m, OSP_OPT_URI_PATH, cases[i].b);
        assert_int_equal(passes(&m), cases[i].passes);
    }
}

/* [rfc6690#2] [rfc6690#4] */
static void
routes_are_listed_with_whole_paths(void **state)
{
    struct osp_msg m, a;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    add(&m, OSP_OPT_URI_PATH, ".well-known");
    add(&m, OSP_OPT_URI_PATH, "core");
    send(&m);
    (void)world_next(&w, &a);
    assert_int_equal(a.code, OSP_CODE(2, 5));
    EXPECT_BYTES(osp_slice_str("</.well-known/core>;ct=40,</plant/north>"), a.payload);
}

/* [rfc7252#6.4] [rfc7252#5.10.1] */
static void
port_of_a_request_is_sixteen_bits_and_not_zero(void **state)
{
    static const struct { const char *value; size_t n; uint16_t port; } cases[] = {
        { "\x01", 1, 1 }, { "\xff\xff", 2, 65535 }, { "", 0, 0 }, { "\x01\x00\x00", 3, 0 }, { "\x01\x00\x00\x00\x01", 5, 0 },
    };

    (void)state;
    w.policy.forward = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osp_msg   m, got;
        struct world_out o;

        osp_msg_init(&m, OSP_GET);
        add(&m, OSP_OPT_URI_HOST, "192.0.2.44");
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PORT, osp_slice(cases[i].value, cases[i].n)));
        add(&m, OSP_OPT_PROXY_SCHEME, "coap");
        send(&m);
        o = world_next(&w, &got);
        if (cases[i].port)
            assert_int_equal(o.to.peer.port, cases[i].port);
        else
            assert_true(o.to.sock == WORLD_LISTENER && got.code >> 5 == 4);
    }
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, the_world_end)
    const struct CMUnitTest tests[] = {
        T(pattern_of_hosts_takes_names_below_it_alone),
        T(path_of_a_route_is_matched_segment_by_segment),
        T(routes_are_listed_with_whole_paths),
        T(port_of_a_request_is_sixteen_bits_and_not_zero),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
