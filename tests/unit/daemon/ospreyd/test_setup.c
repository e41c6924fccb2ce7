/* SPDX-License-Identifier: BSD-2-Clause */
/* From a configuration file to the policy: every rule says what the file says, and who we are is complete. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ospreyd/setup/own.h"
#include "daemon/ospreyd/setup/setup.h"

static char              why[OSP_STORE_WHY_MAX];
static struct osp_state *state_dry;
static uint16_t          port_list[3] = { 0, 0, 5683 };
static const struct osp_sock_ports ports = { port_list, 3 };

#define KEY "master-secret: { hex: 000102030405060708090a0b0c0d0e0f }"

static const char text[] =
    "listen: [ \"coap://127.0.0.1:5683\", \"coap://[::]:5690\" ]\n"
    "state: /nonexistent\n"
    "names: [ Proxy.Example ]\n"
    "node-name: n1\n"
    "contexts:\n"
    "  - { name: meter-1, " KEY ", sender-id: { hex: \"01\" }, recipient-id: { hex: \"02\" } }\n"
    "  - { name: plant, " KEY ", sender-id: { hex: \"03\" }, recipient-id: { hex: \"04\" } }\n"
    "  - { name: meter-2, " KEY ", sender-id: { hex: \"05\" }, recipient-id: { hex: \"06\" } }\n"
    "clients:\n"
    "  - match: { context: \"meter-*\" }\n"
    "    allow: [ \"forward coap://*.example.org\", \"route pl*\" ]\n"
    "    rate: { requests: 50/s, burst: 100 }\n"
    "  - match: { any: true }\n"
    "    allow: [ \"route public\" ]\n"
    "forward-proxy: { enabled: true, max-layers: 3 }\n"
    "routes:\n"
    "  - { name: public, match: { path: /pub/* }, upstream: { uri: \"coap://192.0.2.8\" } }\n"
    "  - { name: plant, match: { path: /plant/* }, strip: 1, upstream: { uri: \"coap://192.0.2.7/a/b%20c\", context: plant } }\n"
    "upstreams:\n"
    "  - { match: \"coap://*.plant.example\", context: plant }\n";

static struct osp_cfg *
load(const char *yaml)
{
    struct cfg_report r;
    char              path[] = "/tmp/osprey-policy-XXXXXX";
    int               fd = mkstemp(path);
    struct osp_cfg   *cfg;

    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    (void)close(fd);
    cfg_report_to(&r, stderr);
    cfg = cfg_load(path, &r);
    (void)unlink(path);
    assert_non_null(cfg);
    return cfg;
}

static struct osp_policy *
make(const char *yaml)
{
    struct osp_cfg    *cfg = load(yaml);
    struct osp_ctxset *set = NULL;
    struct osp_policy *p = NULL;

    EXPECT_OK(osp_state_build(state_dry, cfg, &set, why));
    EXPECT_OK(osp_setup_policy(cfg, set, &ports, &(struct osp_edhoc_parts){ 0 }, &p, why));
    osp_ctxset_free(set); /* the policy keeps what it needs */
    return p;
}

static int
setup(void **state)
{
    (void)state;
    return osp_state_dry(&state_dry) == OSP_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    osp_state_close(state_dry);
    return 0;
}

static bool
bit(const uint8_t *bits, size_t i)
{
    return bits && (bits[i / 8] >> (i % 8) & 1);
}

static void
rules_match_the_contexts_their_patterns_name(void **state)
{
    struct osp_policy     *p = make(text);
    const struct osp_rule *r = &p->rules[0];

    (void)state;
    assert_int_equal(p->rule_count, 2);
    assert_false(r->any);
    assert_int_equal(r->context_count, 3);
    assert_true(bit(r->contexts, 0));
    assert_false(bit(r->contexts, 1));
    assert_true(bit(r->contexts, 2));
    assert_int_equal(r->rate, 50);
    assert_int_equal(r->burst, 100);
    assert_true(p->rules[1].any);
    assert_null(p->rules[1].contexts);
    osp_policy_unref(p);
}

static void
rules_allow_the_routes_their_patterns_name(void **state)
{
    struct osp_policy      *p = make(text);
    const struct osp_allow *a = p->rules[0].allow;

    (void)state;
    assert_int_equal(p->rules[0].allow_count, 2);
    assert_int_equal(a[0].kind, OSP_ALLOW_FORWARD);
    assert_string_equal(a[0].target.name, "example.org");
    assert_int_equal(a[1].kind, OSP_ALLOW_ROUTE);
    assert_false(bit(a[1].routes, 0));
    assert_true(bit(a[1].routes, 1));
    a = p->rules[1].allow;
    assert_true(bit(a[0].routes, 0));
    assert_false(bit(a[0].routes, 1));
    osp_policy_unref(p);
}

static void
routes_carry_path_strip_prefix_and_context(void **state)
{
    struct osp_policy      *p = make(text);
    const struct osp_route *r = &p->routes[1];

    (void)state;
    assert_int_equal(p->route_count, 2);
    assert_true(p->reverse && p->forward);
    assert_int_equal(r->path_count, 1);
    EXPECT_BYTES(osp_slice_str("plant"), r->path[0]);
    assert_int_equal(r->strip, 1);
    assert_int_equal(r->prefix_count, 2);
    EXPECT_BYTES(osp_slice_str("a"), r->prefix[0]);
    EXPECT_BYTES(osp_slice_str("b c"), r->prefix[1]);
    assert_int_equal(r->hop.to.port, 5683);
    assert_non_null(r->hop.ctx);
    EXPECT_BYTES(osp_slice("\x03", 1), osp_octx_sender_id(r->hop.ctx));
    assert_null(p->routes[0].hop.ctx);
    assert_int_equal(p->routes[0].prefix_count, 0);
    assert_ptr_equal(p->upstreams[0].ctx, r->hop.ctx);
    assert_int_equal(p->max_layers, 3);
    osp_policy_unref(p);
}

static bool
is_own(const struct osp_policy *p, const char *uri)
{
    uint8_t        storage[128];
    struct osp_uri u;

    EXPECT_OK(osp_uri_split(osp_slice_str(uri), storage, sizeof(storage), &u));
    return osp_policy_is_own(p, &u.to, u.to.is_ip && osp_ip_is_loopback(&u.to.ip));
}

/* row P05 (the list the proxy compares with) */
static void
own_names_are_every_name_and_address_at_every_port(void **state)
{
    struct osp_policy *p = make(text);

    (void)state;
    assert_true(is_own(p, "coap://127.0.0.1"));
    assert_true(is_own(p, "coap://proxy.example"));
    assert_true(is_own(p, "coap://proxy.example:5690"));
    assert_true(is_own(p, "coap://[::1]:5690"));
    assert_true(is_own(p, "coap://127.0.0.1:5690"));
    assert_true(is_own(p, "coap://127.1.2.3:5690"));
    assert_false(is_own(p, "coap://127.1.2.3"));        /* listens on one address there */
    assert_false(is_own(p, "coap://127.0.0.1:5684"));
    assert_false(is_own(p, "coap://other.example"));
    assert_false(is_own(p, "coap://192.0.2.1"));
    assert_string_equal(p->node_name, "n1");
    assert_int_equal(p->sock_count, 3);
    assert_int_equal(p->sock_port[2], 5683);
    osp_policy_unref(p);
}

static void
node_name_defaults_to_that_of_the_machine(void **state)
{
    struct osp_policy *p = make("listen: [ \"coap://127.0.0.1:5683\" ]\nforward-proxy: { enabled: true }\n");
    char               host[256] = "";

    (void)state;
    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    if (!strchr(host, ' '))
        assert_string_equal(p->node_name, host);
    assert_null(strchr(p->node_name, ' '));
    osp_policy_unref(p);
}

static void
contexts_live_as_long_as_a_policy_that_has_them(void **state)
{
    struct osp_policy *p = make(text);
    uint8_t            kid = 0x04;

    (void)state;
    osp_policy_ref(p);
    osp_policy_unref(p);
    assert_non_null(osp_octx_configured_find(p->contexts, osp_slice(&kid, 1), false, OSP_EMPTY));
    assert_non_null(osp_setup_cfg(p));
    osp_policy_unref(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_match_the_contexts_their_patterns_name),
        cmocka_unit_test(rules_allow_the_routes_their_patterns_name),
        cmocka_unit_test(routes_carry_path_strip_prefix_and_context),
        cmocka_unit_test(own_names_are_every_name_and_address_at_every_port),
        cmocka_unit_test(node_name_defaults_to_that_of_the_machine),
        cmocka_unit_test(contexts_live_as_long_as_a_policy_that_has_them),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
