/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dot segments and places outside of a route, in virtual time: what could lead an origin, or a client, out of the part of
 * the path space that a route shows.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "tests/unit/with_crypto.h"
#include "the_world.h"

static const char secret[] = "000102030405060708090a0b0c0d0e0f";

/* Routes /pub and below to /www, /things exactly, and all of *.dev.example, to 192.0.2.9; and an open forward-proxy. */
static int
setup(void **state)
{
    struct osp_next_hop hop = { .to = { OSP_SCHEME_COAP, osp_slice_str("192.0.2.9"), 5683, true, osp_ip_v4(192, 0, 2, 9) } };

    (void)state;
    world_init_forward(&w);
    w.segs[0] = osp_slice_str("pub");
    w.segs[1] = osp_slice_str("www");
    w.segs[2] = osp_slice_str("things");
    w.segs[3] = osp_slice_str("raw");
    w.routes[0] = (struct osp_route){ .name = "pub", .path = &w.segs[0], .path_count = 1, .has_path = true, .strip = 1,
                                      .hop = hop, .prefix = &w.segs[1], .prefix_count = 1 };
    w.routes[1] = (struct osp_route){ .name = "things", .path = &w.segs[2], .path_count = 1, .has_path = true, .exact = true,
                                      .hop = hop };
    w.routes[2] = (struct osp_route){ .name = "host", .host = osp_slice_str("*.dev.example"), .hop = hop };
    w.routes[3] = (struct osp_route){ .name = "raw", .path = &w.segs[3], .path_count = 1, .has_path = true, .hop = hop };
    w.policy.reverse = true;
    w.policy.route_count = 4;
    world_start(&w);
    return 0;
}

static void
begin(struct osp_msg *m, uint8_t code)
{
    world_request(m, code, OSP_NON, ++next_mid);
}

/* One Uri-Path option for each text between bars. */
static void
add_path(struct osp_msg *m, uint16_t num, const char *bars)
{
    while (*bars) {
        size_t n = strcspn(bars, "|");

        EXPECT_OK(osp_msg_add(m, num, osp_slice(bars, n)));
        bars += n + (bars[n] != '\0');
    }
}

/* True if the request went on; else it must have been refused with 4.00. */
static bool
passes(struct osp_msg *m)
{
    struct world_out o;
    struct osp_msg   got;

    world_send(&w, WORLD_LISTENER, 1, 40000, m);
    o = world_next(&w, &got);
    if (o.to.sock == WORLD_LISTENER && got.code != OSP_CODE(4, 0))
        fail_msg("answered %u.%02u", got.code >> 5, got.code & 31);
    return o.to.sock != WORLD_LISTENER;
}

static const struct { const char *bars; bool passes; } paths[] = {
    { "pub|..|secret", false }, { "pub|.|secret", false }, { "pub|secret|..", false }, { "pub|secret|.", false },
    { "pub|..", false },        { "pub|../secret", false }, { "pub|a/../../b", false }, { "pub|a/..", false },
    { "pub|./a", false },       { "pub|/..", false },       { "pub|../", false },       { "..|pub|x", false },
    { ".|pub|x", false },
    { "pub|...", true },        { "pub|..a", true },        { "pub|a..", true },        { "pub|.a", true },
    { "pub|a/b", true },        { "pub|%2e%2e", true },     { "pub|a|b.c", true },      { "pub|/", true },
};

/* row P23 */
/* [rfc7252#5.10.1] */
static void
dot_segments_are_refused_on_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct osp_msg m;

        begin(&m, OSP_GET);
        add_path(&m, OSP_OPT_URI_PATH, paths[i].bars);
        if (passes(&m) != paths[i].passes)
            fail_msg("%s", paths[i].bars);
    }
}

/* row P23 */
/* [rfc7252#5.10.1] */
static void
dot_segments_are_refused_in_forward_form(void **state)
{
    static const struct { const char *uri; bool passes; } uris[] = {
        { "coap://s.example/pub/../secret", false },     { "coap://s.example/pub/./secret", false },
        { "coap://s.example/pub/%2e%2e/secret", false }, { "coap://s.example/pub/%2E./secret", false },
        { "coap://s.example/pub/.%2e", false },          { "coap://s.example/..", false },
        { "coap://s.example/%2e", false },               { "coap://s.example/pub/..%2fsecret", false },
        { "coap://s.example/pub/%2e%2e%2Fsecret", false }, { "coap://s.example/a%2f..", false },
        { "coap://s.example/pub/.../x", true },          { "coap://s.example/pub/%252e%252e/x", true },
        { "coap://s.example/x?a=/../b", true },          { "coap://s.example/", true },
        { "coap://s.example", true },
    };
    struct osp_msg m;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        begin(&m, OSP_GET);
        add(&m, OSP_OPT_URI_HOST, "s.example");
        add_path(&m, OSP_OPT_URI_PATH, paths[i].bars);
        add(&m, OSP_OPT_PROXY_SCHEME, "coap");
        if (passes(&m) != paths[i].passes)
            fail_msg("%s", paths[i].bars);
    }
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        begin(&m, OSP_GET);
        add(&m, OSP_OPT_PROXY_URI, uris[i].uri);
        if (passes(&m) != uris[i].passes)
            fail_msg("%s", uris[i].uri);
    }
}

/* Sends `m` under a layer for the proxy, with one more option outside; the code in the answer, 0: it went on. */
static uint8_t
code_under_a_layer(struct osp_octx *c, struct osp_msg *m, uint16_t outer, const char *value)
{
    uint8_t          buf[2048];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));
    struct osp_layer l;
    struct osp_msg   out, a, inside;
    struct world_out o;
    uint8_t          code = 0;

    world_protect(cr, c, m, &b, &out, &l);
    if (outer)
        add(&out, outer, value);
    world_send(&w, WORLD_LISTENER, 1, 40000, &out);
    o = world_next(&w, &a);
    if (o.to.sock == WORLD_LISTENER && osp_msg_has(&a, OSP_OPT_OSCORE)) {
        EXPECT_OK(osp_oscore_unprotect_response(cr, &l, &a, &b, &inside));
        code = inside.code;
    } else if (o.to.sock == WORLD_LISTENER) {
        code = a.code;
    }
    osp_layer_fini(&l);
    return code;
}

/* row P23 */
/* [rfc7252#5.10.1] */
static void
dot_segments_are_refused_inside_and_outside_of_a_layer(void **state)
{
    struct osp_octx *c;
    struct osp_msg   m;

    (void)state;
    world_context(&w, secret, "", "50", "20", 0);
    c = world_other_side(secret, " ", "P");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        begin(&m, OSP_GET);
        add_path(&m, OSP_OPT_URI_PATH, paths[i].bars);
        assert_int_equal(code_under_a_layer(c, &m, 0, NULL), paths[i].passes ? 0 : OSP_CODE(4, 0));
        begin(&m, OSP_GET);
        add(&m, OSP_OPT_URI_HOST, "s.example");
        add(&m, OSP_OPT_PROXY_SCHEME, "coap");
        add_path(&m, OSP_OPT_URI_PATH, paths[i].bars);
        assert_int_equal(code_under_a_layer(c, &m, 0, NULL), paths[i].passes ? 0 : OSP_CODE(4, 0));
    }
    begin(&m, OSP_GET);
    add(&m, OSP_OPT_PROXY_URI, "coap://s.example/a/%2e%2e/b");
    assert_int_equal(code_under_a_layer(c, &m, 0, NULL), OSP_CODE(4, 0));
    begin(&m, OSP_GET);
    add_path(&m, OSP_OPT_URI_PATH, "pub|x");
    assert_int_equal(code_under_a_layer(c, &m, OSP_OPT_URI_PATH, ".."), OSP_CODE(4, 0));
    osp_octx_unref(c);
}

/* ---- Location ---- */

/* What the client gets as Location, for a POST to `path` that the origin answers with `location`. */
static const char *
location_of(const char *host, bool forward, const char *path, const char *location)
{
    static char      text[256];
    struct osp_msg   m, q, r;
    struct world_out o;
    size_t           n = 0;

    begin(&m, OSP_POST);
    if (host)
        add(&m, OSP_OPT_URI_HOST, host);
    add_path(&m, OSP_OPT_URI_PATH, path);
    if (forward)
        add(&m, OSP_OPT_PROXY_SCHEME, "coap");
    world_send(&w, WORLD_LISTENER, 1, 40000, &m);
    o = world_next(&w, &q);
    assert_int_not_equal(o.to.sock, WORLD_LISTENER);
    osp_msg_init(&r, OSP_CODE(2, 1));
    add_path(&r, OSP_OPT_LOCATION_PATH, location);
    add(&r, OSP_OPT_LOCATION_QUERY, "q");
    world_answer(&w, &o, &q, &r, ++next_mid);
    (void)world_next(&w, &q);
    assert_int_equal(q.code, OSP_CODE(2, 1));           /* it was made, whatever is said of its place */
    text[0] = '\0';
    for (size_t i = 0; i < q.opt_count; i++)
        if (q.opts[i].num == OSP_OPT_LOCATION_PATH || q.opts[i].num == OSP_OPT_LOCATION_QUERY)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", q.opts[i].num == OSP_OPT_LOCATION_QUERY ? "?" : "/",
                                  (int)q.opts[i].val.n, (const char *)q.opts[i].val.p);
    return text;
}

/* [rfc7252#5.10.7] [rfc7252#5.7.3] */
static void
location_stays_inside_of_the_route(void **state)
{
    static const struct { const char *host, *path, *location, *want; } cases[] = {
        { NULL, "pub|x", "www|new", "/pub/new?q" },
        { NULL, "pub|x", "www", "/pub?q" },
        { NULL, "pub|x", "new", "" },                           /* not below the upstream's path */
        { NULL, "pub|x", "wwwx|new", "" },
        { NULL, "pub|x", "www|..|secret", "" },
        { NULL, "pub|x", "www|.", "" },
        { NULL, "pub|x", "www|../secret", "" },
        { NULL, "pub|x", "..|www|new", "" },
        { NULL, "things", "things", "/things?q" },
        { NULL, "things", "things|1", "" },                     /* the route shows /things and nothing below it */
        { NULL, "things", "admin", "" },
        { NULL, "raw|x", "raw|new", "/raw/new?q" },
        { NULL, "raw|x", "admin|new", "" },
        { "a.dev.example", "any", "anything|else", "/anything/else?q" },
        { "a.dev.example", "any", "a|..|b", "" },
    };
    struct osp_proxy_stats st;
    uint64_t               dropped = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(location_of(cases[i].host, false, cases[i].path, cases[i].location), cases[i].want);
        dropped += !*cases[i].want;
    }
    osp_proxy_stats(w.px, &st);
    assert_int_equal(st.locations_dropped, dropped);
}

/* row P23 */
/* [rfc7252#5.10.7] */
static void
location_with_a_dot_segment_goes_nowhere(void **state)
{
    (void)state;
    assert_string_equal(location_of("s.example", true, "x", "anywhere|new"), "/anywhere/new?q");
    assert_string_equal(location_of("s.example", true, "x", "anywhere|..|new"), "");
    assert_string_equal(location_of("s.example", true, "x", "."), "");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, the_world_end)
    const struct CMUnitTest tests[] = {
        T(dot_segments_are_refused_on_routes),
        T(dot_segments_are_refused_in_forward_form),
        T(dot_segments_are_refused_inside_and_outside_of_a_layer),
        T(location_stays_inside_of_the_route),
        T(location_with_a_dot_segment_goes_nowhere),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
