/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this proxy is itself, in virtual time: addresses of its machine are reached by nobody whose rule does not name them,
 * and requests for its own authority are for it.
 */
#include "tests/unit/unit.h"

#include "world.h"

static struct world        w;
static struct osp_addrset *machine;
static uint16_t            next_mid;
static struct osp_own_port everywhere = { OSP_SCHEME_COAP, 5683, false };

static void
machine_has(const char *a, const char *b)
{
    struct osp_ip ips[2];
    size_t        n = 0, added, removed;

    assert_true(osp_ip_parse(osp_slice_str(a), &ips[n++]));
    assert_true(osp_ip_parse(osp_slice_str(b), &ips[n++]));
    EXPECT_OK(osp_addrset_replace(machine, ips, n, &added, &removed));
}

/* Listens at one address, 192.0.2.200, of a machine that has more. */
static int
setup(void **state)
{
    (void)state;
    everywhere.only_v4 = false;
    EXPECT_OK(osp_addrset_new(&machine));
    machine_has("198.51.100.7", "2001:db8::7");
    world_init_forward(&w);
    w.policy.addresses = machine;
    w.hosts[1] = (struct osp_host){ "loop.example", osp_ip_v4(127, 0, 0, 1) };
    w.hosts[2] = (struct osp_host){ "own.example", osp_ip_v4(198, 51, 100, 7) };
    w.policy.host_count = 3;
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://192.0.2.200:5683"), &w.own[0]));
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://me.example:5683"), &w.own[1]));
    w.policy.own_count = 2;
    world_start(&w);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_end(&w);
    osp_addrset_free(machine);
    return 0;
}

/* The code that a request for this URI is answered with; 0: it went on. */
static uint8_t
code_for(const char *uri)
{
    struct osp_msg   m;
    struct world_out o;

    world_request(&m, OSP_GET, OSP_NON, ++next_mid);
    add(&m, OSP_OPT_PROXY_URI, uri);
    world_send(&w, WORLD_LISTENER, 1, 40000, &m);
    o = world_next(&w, &m);
    return o.to.sock == WORLD_LISTENER ? m.code : 0;
}

/* row P22 */
/* [rfc7252#11] */
static void
every_address_of_the_machine_is_guarded(void **state)
{
    static const char *const guarded[] = { "coap://198.51.100.7/", "coap://198.51.100.7:5999/", "coap://[::ffff:198.51.100.7]/",
                                           "coap://[2001:db8::7]/", "coap://[2001:db8:0::7]:1/", "coap://own.example/" };

    (void)state;
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++)
        assert_int_equal(code_for(guarded[i]), OSP_CODE(4, 1));
    assert_int_equal(code_for("coap://198.51.100.8/"), 0);
    assert_int_equal(code_for("coap://[2001:db8::8]/"), 0);
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://[2001:db8::7]:5999"), &w.allow[0][1].target));
    w.allow[0][1].kind = OSP_ALLOW_FORWARD;
    assert_int_equal(code_for("coap://[2001:db8::7]:5999/"), 0);        /* who names it may */
}

/* row P22 */
/* [rfc7252#11] */
static void
guard_follows_the_addresses_as_they_change(void **state)
{
    (void)state;
    assert_int_equal(code_for("coap://203.0.113.9/"), 0);
    machine_has("203.0.113.9", "2001:db8::7");
    assert_int_equal(code_for("coap://203.0.113.9/"), OSP_CODE(4, 1));
    assert_int_equal(code_for("coap://[2001:db8::7]/"), OSP_CODE(4, 1));
    assert_int_equal(code_for("coap://198.51.100.7/"), 0);
}

/* row P05 */
/* [rfc7252#5.7.2] */
static void
listener_on_all_addresses_makes_all_of_them_our_authority(void **state)
{
    (void)state;
    assert_int_equal(code_for("coap://198.51.100.7/.well-known/core"), OSP_CODE(4, 1));        /* nobody listens there */
    w.policy.own_ports = &everywhere;
    w.policy.own_port_count = 1;
    assert_int_equal(code_for("coap://198.51.100.7/.well-known/core"), OSP_CODE(2, 5));
    assert_int_equal(code_for("coap://[2001:db8::7]/.well-known/core"), OSP_CODE(2, 5));
    assert_int_equal(code_for("coap://127.3.2.1/.well-known/core"), OSP_CODE(2, 5));
    assert_int_equal(code_for("coap://[::1]/.well-known/core"), OSP_CODE(2, 5));
    assert_int_equal(code_for("coap://198.51.100.7:5999/.well-known/core"), OSP_CODE(4, 1));
    everywhere.only_v4 = true;          /* as 0.0.0.0 does */
    assert_int_equal(code_for("coap://198.51.100.7/.well-known/core"), OSP_CODE(2, 5));
    assert_int_equal(code_for("coap://[2001:db8::7]/.well-known/core"), OSP_CODE(4, 1));
}

/* row P22 */
/* [rfc7252#11] */
static void
hosts_that_lead_to_guarded_addresses_need_a_rule_that_names_these(void **state)
{
    (void)state;
    assert_int_equal(code_for("coap://s.example/"), 0);
    assert_int_equal(code_for("coap://loop.example/"), OSP_CODE(4, 1));
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://127.0.0.0/8"), &w.allow[0][1].target));
    w.allow[0][1].kind = OSP_ALLOW_FORWARD;
    assert_int_equal(code_for("coap://loop.example/"), 0);
    assert_int_equal(code_for("coap://own.example/"), OSP_CODE(4, 1));
}

static struct osp_slice segment[1];

/* The route "mine" takes what is for me.example, at port 5690 when `port` says so. */
static void
one_route(uint16_t port)
{
    segment[0] = osp_slice_str("r");
    w.routes[0] = (struct osp_route){ .name = "mine", .host = osp_slice_str("me.example"), .port = port, .path = segment,
                                      .path_count = 1, .has_path = true };
    w.routes[0].hop.to = (struct osp_authority){ OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true,
                                                 osp_ip_v4(192, 0, 2, 9) };
    w.policy.routes = w.routes;
    w.policy.route_count = 1;
    w.policy.reverse = true;
}

/* row P05 */
/* [rfc7252#5.7.2] */
static void
forward_form_for_our_own_authority_is_routed_like_the_request_itself(void **state)
{
    static struct osp_own_port other = { OSP_SCHEME_COAP, 5690, false };
    struct osp_msg             m;
    struct world_out           o;

    (void)state;
    one_route(0);
    assert_int_equal(code_for("coap://me.example/r"), 0);
    assert_int_equal(code_for("coap://me.example/else"), OSP_CODE(4, 4));
    for (int port = 0; port < 2; port++) {
        world_request(&m, OSP_GET, OSP_NON, ++next_mid);
        add(&m, OSP_OPT_URI_HOST, "ME.example");
        if (port)
            add(&m, OSP_OPT_URI_PORT, "\x16\x33");
        add(&m, OSP_OPT_URI_PATH, "r");
        add(&m, OSP_OPT_PROXY_SCHEME, "coap");
        world_send(&w, WORLD_LISTENER, 1, 40000, &m);
        o = world_next(&w, &m);
        assert_int_not_equal(o.to.sock, WORLD_LISTENER);
        assert_false(osp_msg_has(&m, OSP_OPT_PROXY_SCHEME));
    }
    /* the port that is asked for counts, not the one that the request came to */
    EXPECT_OK(osp_target_parse(osp_slice_str("coap://me.example:5690"), &w.own[0]));
    w.policy.own_ports = &other;
    w.policy.own_port_count = 1;
    one_route(5690);
    assert_int_equal(code_for("coap://me.example:5690/r"), 0);
    assert_int_equal(code_for("coap://me.example/r"), OSP_CODE(4, 4));
    w.routes[0].host = OSP_EMPTY;
    assert_int_equal(code_for("coap://198.51.100.7:5690/r"), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_address_of_the_machine_is_guarded),
        T(guard_follows_the_addresses_as_they_change),
        T(listener_on_all_addresses_makes_all_of_them_our_authority),
        T(hosts_that_lead_to_guarded_addresses_need_a_rule_that_names_these),
        T(forward_form_for_our_own_authority_is_routed_like_the_request_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
