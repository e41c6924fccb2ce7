/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's command line, and the demo origin's resources. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/osprey/osprey.h"
#include "daemon/osprey/args.h"
#include "daemon/osprey/origin/resource.h"
#include "daemon/osprey/show.h"

static struct osprey_args      args;
static struct osprey_resources res;
static struct osprey_reply     reply;
static struct osp_msg          req;
static int                     saved_err = -1;

/* Messages of refusals are looked at elsewhere; here they would only be noise. */
static int
setup(void **state)
{
    int null = open("/dev/null", O_WRONLY);

    (void)state;
    memset(&args, 0, sizeof(args));
    memset(&res, 0, sizeof(res));
    args.values = osp_wr_to(args.value_bytes, sizeof(args.value_bytes));
    saved_err = dup(STDERR_FILENO);
    dup2(null, STDERR_FILENO);
    close(null);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    osprey_args_fini(&args);
    dup2(saved_err, STDERR_FILENO);
    close(saved_err);
    return 0;
}

static int
parse(char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    osprey_args_fini(&args);
    return osprey_args_parse(&args, argc, argv);
}

#define PARSE(...) parse((char *[]){ name, __VA_ARGS__, NULL })
static char det[] = "--deterministic", det_file[] = "g.yaml#s", e2e[] = "-E", e2e_file[] = "k.yaml", post[] = "post",
            fetch[] = "fetch";
static char name[] = "osprey", get[] = "get", put[] = "PUT", uri[] = "coap://h/a", v[] = "-v", verbose[] = "--verbose";

/* ---- command line ---- */

static void
contexts_by_edhoc_are_asked_for_per_hop(void **state)
{
    static char edhoc[] = "--edhoc", file[] = "c.yaml#me", via[] = "--via", near[] = "coap://p1,edhoc=p1", four[] = "4",
                far[] = "coap://p2,edhoc", by_name[] = "edhoc=s", combined[] = "--combined", m4[] = "--message-4",
                suite[] = "--suite", suites[] = "3,2,0", twice[] = "2,2", seven[] = "7", comma[] = "2,", fresh[] = "--fresh",
                method[] = "--method", three[] = "3", empty[] = "coap://p,edhoc=", other[] = "coap://p,edhocs", proxy[] = "-P";

    (void)state;
    assert_int_equal(PARSE(get, edhoc, file, via, near, via, far, e2e, by_name, suite, suites, method, three, fresh, uri), -1);
    assert_true(args.via[0].edhoc && args.via[1].edhoc && args.end_to_end_edhoc && args.fresh && !args.combined);
    assert_string_equal(args.via[0].uri, "coap://p1");
    assert_string_equal(args.via[0].peer, "p1");
    assert_null(args.via[1].peer);
    assert_string_equal(args.end_to_end_peer, "s");
    assert_null(args.end_to_end);
    assert_true(args.suites.count == 3 && args.suites.value[0] == 3 && args.suites.value[2] == 0 && args.edhoc_method == 3);
    assert_int_equal(PARSE(get, e2e, by_name, uri), OSPREY_EXIT_USAGE);                  /* no credentials */
    assert_int_equal(PARSE(get, edhoc, file, uri), OSPREY_EXIT_USAGE);                   /* for nobody */
    assert_int_equal(PARSE(get, e2e, e2e_file, combined, uri), OSPREY_EXIT_USAGE);       /* without EDHOC */
    assert_int_equal(PARSE(get, edhoc, file, e2e, by_name, combined, m4, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, e2e, by_name, e2e, e2e_file, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, e2e, by_name, det, det_file, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, e2e, by_name, suite, twice, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, e2e, by_name, suite, seven, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, e2e, by_name, suite, comma, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, e2e, by_name, method, four, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, via, empty, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, via, other, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, edhoc, file, proxy, near, uri), OSPREY_EXIT_USAGE);
}

/* [cacheable#3.4.2] */
static void
a_deterministic_request_is_get_or_fetch_and_the_only_layer_for_the_origin(void **state)
{
    (void)state;
    assert_int_equal(PARSE(get, det, det_file, uri), -1);
    assert_string_equal(args.deterministic, det_file);
    assert_int_equal(PARSE(fetch, det, det_file, uri), -1);
    assert_int_equal(PARSE(post, det, det_file, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(put, det, det_file, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, det, det_file, e2e, e2e_file, uri), OSPREY_EXIT_USAGE);
    assert_int_equal(PARSE(get, det, det_file, det, det_file, uri), OSPREY_EXIT_USAGE);
}

static void
method_and_uri_stand_anywhere(void **state)
{
    (void)state;
    assert_int_equal(-1, PARSE(uri));
    assert_int_equal(OSP_GET, args.method);
    assert_string_equal("coap://h/a", args.uri);
    assert_int_equal(-1, PARSE(v, put, uri, verbose));
    assert_int_equal(OSP_PUT, args.method);
    assert_int_equal(2, args.verbose);
}

static void
nonsense_is_a_usage_error(void **state)
{
    char bad[] = "--no-such", move[] = "move", d[] = "-d", f[] = "-f", x[] = "x", t[] = "--timeout", zero[] = "0",
         hop[] = "--hop-limit", big[] = "256", minus[] = "-1", p[] = "-P", with[] = "coap://p,context=f", via[] = "--via",
         without[] = "coap://p", none[] = "coap://p,context=", e[] = "-E", a[] = "-A", wide[] = "65536";

    (void)state;
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(get, bad, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(move, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(get, uri, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(v));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(put, d, x, f, x, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(put, d, x, d, x, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(t, zero, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(t, x, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(hop, zero, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(hop, big, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(hop, minus, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(p, with, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(via, without, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(via, none, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(e, x, e, x, uri));
    assert_int_equal(OSPREY_EXIT_USAGE, PARSE(a, wide, uri));
}

static void
proxies_keep_their_order(void **state)
{
    char p[] = "-P", a[] = "coap://a", via[] = "--via", b[] = "coap://b:1,context=keys,1#n", seg[] = "--route-path", dev[] = "d";

    (void)state;
    assert_int_equal(-1, PARSE(p, a, via, b, uri));
    assert_int_equal(2, args.via_count);
    assert_string_equal("coap://a", args.via[0].uri);
    assert_null(args.via[0].context);
    assert_string_equal("coap://b:1", args.via[1].uri);
    assert_string_equal("keys,1#n", args.via[1].context);
    assert_false(args.reverse);
    assert_int_equal(-1, PARSE(seg, dev, seg, dev, uri));
    assert_true(args.reverse);
    assert_int_equal(2, args.route_path_count);
}

static void
too_many_proxies_and_segments_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < OSPREY_VIA_MAX; i++)
        assert_null(osprey_args_add_via(&args, "coap://a"));
    assert_non_null(osprey_args_add_via(&args, "coap://a"));
    for (size_t i = 0; i < OSPREY_OPTS_MAX; i++)
        assert_null(osprey_args_add_option(&args, "65000,x"));
    assert_non_null(osprey_args_add_option(&args, "65000,x"));
}

static void
expect_option(const char *text, uint16_t num, const char *value, size_t n)
{
    const char *wrong;

    args.opt_count = 0;
    wrong = osprey_args_add_option(&args, text);
    if (wrong)
        fail_msg("%s: %s", text, wrong);
    assert_int_equal(num, args.opts[0].num);
    EXPECT_BYTES(osp_slice(value, n), args.opts[0].val);
}

static void
option_values_follow_the_format(void **state)
{
    (void)state;
    expect_option("12,0", 12, "", 0);
    expect_option("12,60", 12, "\x3c", 1);
    expect_option("60,65536", 60, "\x01\0\0", 3);
    expect_option("Uri-Query,a=b,c", 15, "a=b,c", 5);
    expect_option("uri-query,text:hex:", 15, "hex:", 4);
    expect_option("4,hex:0AfF", 4, "\x0a\xff", 2);
    expect_option("4,hex:", 4, "", 0);
    expect_option("5", 5, "", 0);
    expect_option("65000,uint:300", 65000, "\x01\x2c", 2);
    expect_option("65000,plain", 65000, "plain", 5);
}

static void
bad_options_are_refused(void **state)
{
    static const char *const bad[] = { "",     "x",          "65536,a",       "99999999,a", "12,x",   "12,-1", "12,4294967296",
                                       "4,hex:0", "4,hex:zz", "9,hex:00",     "OSCORE,a",   "5,full", "1x,a",  "-1,a" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!osprey_args_add_option(&args, bad[i]))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

/* "osprey", the words of `line`, and a URI. */
static int
parse_line(const char *line)
{
    static char words[256];
    char       *argv[16] = { name };
    size_t      n = 1;

    (void)snprintf(words, sizeof(words), "%s", line);
    for (char *w = words; *w && n < 14; w += strspn(w, " ")) {
        argv[n++] = w;
        w += strcspn(w, " ");
        if (*w)
            *w++ = '\0';
    }
    argv[n] = uri;
    return parse(argv);
}

static void
bodies_and_observations_have_bounds(void **state)
{
    static const char *const bad[] = { "-b 17", "-b 8", "-b 2048", "-b none16", "--max-body 0", "--max-body 1e3", "--observe=0",
                                       "--observe=1x", "-s 0", "-s 86401", "--grace -1", "--timeout nan", "put --observe",
                                       "--observe --deterministic g.yaml" };

    (void)state;
    assert_int_equal(-1, parse_line(""));
    assert_true(args.blocks && !args.has_szx && args.szx == 6 && args.max_body == 1048576 && !args.observe);
    for (uint8_t szx = 0; szx <= 6; szx++) {
        char line[16];

        (void)snprintf(line, sizeof(line), "-b %d", 16 << szx);
        assert_int_equal(-1, parse_line(line));
        assert_true(args.has_szx && args.szx == szx);
    }
    assert_int_equal(-1, parse_line("--block-size none --max-body 67108864"));
    assert_true(!args.blocks && args.max_body == 67108864);
    assert_int_equal(-1, parse_line("--observe"));
    assert_true(args.observe && args.observe_count == 0);
    assert_int_equal(-1, parse_line("-s 1.5 --observe=3 --grace 0"));
    assert_true(args.observe && args.observe_count == 3 && args.has_grace && args.grace_s < 0.001);
    assert_true(args.duration_s > 1.4 && args.duration_s < 1.6);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse_line(bad[i]) != OSPREY_EXIT_USAGE)
            fail_msg("\"%s\" was taken", bad[i]);
}

/* ---- resources ---- */

static uint8_t
ask(uint8_t code, const char *path, const char *query)
{
    osp_msg_init(&req, code);
    for (const char *p = path; *p; p += strcspn(p, "/")) {
        p++;
        EXPECT_OK(osp_msg_add(&req, OSP_OPT_URI_PATH, osp_slice(p, strcspn(p, "/"))));
    }
    if (query)
        EXPECT_OK(osp_msg_add(&req, OSP_OPT_URI_QUERY, osp_slice_str(query)));
    osprey_resource_answer(&res, &req, 86400, &reply);
    return reply.msg.code;
}

static void
resources_answer_their_methods_and_no_others(void **state)
{
    (void)state;
    assert_int_equal(OSP_CODE(2, 5), ask(OSP_GET, "/.well-known/core", NULL));
    assert_int_equal(OSP_CODE(2, 5), ask(OSP_GET, "/hello", NULL));
    assert_int_equal(OSP_CODE(2, 5), ask(OSP_GET, "/time", NULL));
    EXPECT_BYTES(osp_slice_str("1970-01-02T00:00:00Z"), reply.msg.payload);
    assert_int_equal(OSP_CODE(4, 5), ask(OSP_POST, "/hello", NULL));
    assert_int_equal(OSP_CODE(4, 5), ask(OSP_POST, "/time", NULL));
    assert_int_equal(OSP_CODE(4, 5), ask(OSP_GET, "/echo", NULL));
    assert_int_equal(OSP_CODE(4, 5), ask(OSP_POST, "/put", NULL));
    assert_int_equal(OSP_CODE(4, 5), ask(31, "/put", NULL));
    assert_int_equal(OSP_CODE(4, 4), ask(OSP_GET, "/nothing", NULL));
    assert_int_equal(OSP_CODE(4, 4), ask(OSP_GET, "", NULL));
    assert_int_equal(OSP_CODE(4, 4), ask(OSP_GET, "/hello/", NULL));
}

static void
alarm_status_is_that_of_the_draft(void **state)
{
    (void)state;
    assert_int_equal(OSP_CODE(2, 5), ask(OSP_GET, "/alarm_status", NULL));
    assert_int_equal(0, reply.msg.opt_count);
    EXPECT_BYTES(osp_slice_str("0"), reply.msg.payload);
}

static void
large_and_slow_keep_their_bounds(void **state)
{
    (void)state;
    (void)ask(OSP_GET, "/large", "n=3");
    EXPECT_BYTES(osp_slice_str("012"), reply.msg.payload);
    (void)ask(OSP_GET, "/large", "n=999999999");
    assert_int_equal(OSPREY_LARGE_MAX, reply.msg.payload.n);
    res.ticks = 7;
    res.every_s = 300;
    (void)ask(OSP_GET, "/ticks", NULL);
    EXPECT_BYTES(osp_slice_str("tick 7\n"), reply.msg.payload);
    EXPECT_BYTES(osp_slice("\x01\x2c", 2), osp_msg_get(&reply.msg, OSP_OPT_MAX_AGE)->val);
    (void)ask(OSP_GET, "/ticks", "n=10");
    EXPECT_BYTES(osp_slice_str("tick 7\n789"), reply.msg.payload);
    assert_int_equal(OSP_CODE(4, 5), ask(OSP_PUT, "/ticks", NULL));
    assert_int_equal(OSP_CODE(4, 5), ask(OSP_GET, "/upload", NULL));
    assert_int_equal(OSP_CODE(2, 4), ask(OSP_POST, "/upload", NULL));
    EXPECT_BYTES(osp_slice_str("0 bytes, SHA-256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                 reply.msg.payload);
    assert_int_equal(OSP_CODE(4, 0), ask(OSP_GET, "/large", "n=9999999999"));
    assert_int_equal(OSP_CODE(4, 0), ask(OSP_GET, "/large", "n="));
    assert_int_equal(OSP_CODE(4, 0), ask(OSP_GET, "/large", "n=-1"));
    assert_int_equal(OSP_CODE(2, 5), ask(OSP_GET, "/slow", "ms=5"));
    assert_int_equal(5000, reply.delay_us);
    assert_int_equal(OSP_CODE(2, 5), ask(OSP_GET, "/hello", NULL));
    assert_int_equal(0, reply.delay_us);
}

static void
stored_value_comes_and_goes(void **state)
{
    (void)state;
    assert_int_equal(OSP_CODE(4, 4), ask(OSP_GET, "/put", NULL));
    osp_msg_init(&req, OSP_PUT);
    EXPECT_OK(osp_msg_add(&req, OSP_OPT_URI_PATH, osp_slice_str("put")));
    EXPECT_OK(osp_msg_add(&req, OSP_OPT_CONTENT_FORMAT, osp_slice("\x3c", 1)));
    req.payload = osp_slice_str("value");
    osprey_resource_answer(&res, &req, 0, &reply);
    assert_int_equal(OSP_CODE(2, 1), reply.msg.code);
    osprey_resource_answer(&res, &req, 0, &reply);
    assert_int_equal(OSP_CODE(2, 4), reply.msg.code);
    assert_int_equal(OSP_CODE(2, 5), ask(OSP_GET, "/put", NULL));
    EXPECT_BYTES(osp_slice_str("value"), reply.msg.payload);
    assert_true(osp_msg_has(&reply.msg, OSP_OPT_CONTENT_FORMAT));
    assert_int_equal(OSP_CODE(2, 2), ask(OSP_DELETE, "/put", NULL));
    assert_int_equal(OSP_CODE(4, 4), ask(OSP_GET, "/put", NULL));
}

/* [rfc7252#5.4.1] [rfc7252#5.10.4] */
static void
critical_options_and_accept_are_heeded(void **state)
{
    static const uint16_t refused[] = { OSP_OPT_IF_MATCH, OSP_OPT_BLOCK1, OSP_OPT_BLOCK2, OSP_OPT_EDHOC, 65001 };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        (void)ask(OSP_GET, "/hello", NULL);
        EXPECT_OK(osp_msg_add(&req, refused[i], OSP_EMPTY));
        osprey_resource_answer(&res, &req, 0, &reply);
        assert_int_equal(OSP_CODE(4, 2), reply.msg.code);
    }
    (void)ask(OSP_GET, "/hello", NULL);
    EXPECT_OK(osp_msg_add(&req, 65000, OSP_EMPTY));
    osprey_resource_answer(&res, &req, 0, &reply);
    assert_int_equal(OSP_CODE(2, 5), reply.msg.code);
    EXPECT_OK(osp_msg_add(&req, OSP_OPT_ACCEPT, osp_slice("\x3c", 1)));
    osprey_resource_answer(&res, &req, 0, &reply);
    assert_int_equal(OSP_CODE(4, 6), reply.msg.code);
}

/* ---- JSON ---- */

static void
json_strings_are_valid_whatever_the_bytes(void **state)
{
    char   out[128] = "";
    FILE  *f = fmemopen(out, sizeof(out), "w");
    size_t n;

    (void)state;
    osprey_json_string(f, osp_slice("a\"\\\n\x80\xc3\xa4\xc0\xaf\xed\xa0\x80\0", 13));
    fclose(f);
    n = strlen(out);
    assert_true(n > 0);
    assert_string_equal("\"a\\\"\\\\\\u000a\\u0080\xc3\xa4\\u00c0\\u00af\\u00ed\\u00a0\\u0080\\u0000\"", out);
    assert_false(osprey_is_utf8(osp_slice("\xf4\x90\x80\x80", 4)));
    assert_false(osprey_is_utf8(osp_slice("\xe0\x80\x80", 3)));
    assert_false(osprey_is_utf8(osp_slice("\xc3", 1)));
    assert_true(osprey_is_utf8(OSP_EMPTY));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(contexts_by_edhoc_are_asked_for_per_hop),
        CASE(a_deterministic_request_is_get_or_fetch_and_the_only_layer_for_the_origin),
        CASE(method_and_uri_stand_anywhere),
        CASE(nonsense_is_a_usage_error),
        CASE(proxies_keep_their_order),
        CASE(too_many_proxies_and_segments_are_refused),
        CASE(option_values_follow_the_format),
        CASE(bad_options_are_refused),
        CASE(bodies_and_observations_have_bounds),
        CASE(resources_answer_their_methods_and_no_others),
        CASE(alarm_status_is_that_of_the_draft),
        CASE(large_and_slow_keep_their_bounds),
        CASE(stored_value_comes_and_goes),
        CASE(critical_options_and_accept_are_heeded),
        CASE(json_strings_are_valid_whatever_the_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
