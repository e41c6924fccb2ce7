/* SPDX-License-Identifier: BSD-2-Clause */
/* What of HTTP the status page understands, and for whom it answers. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "daemon/ospreyd/control/http.h"

static struct osp_http_request r;

static unsigned
ask(const char *text)
{
    r = (struct osp_http_request){ .head = false };
    assert_true(osp_http_is_complete(osp_slice_str(text)));
    return osp_http_read(osp_slice_str(text), &r);
}

#define IS(text, slice) EXPECT_BYTES(osp_slice_str(text), slice)

static void
requests_are_read_in_all_their_forms(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9683\r\nAccept: */*\r\n\r\n"), 0);
    IS("/metrics", r.path);
    IS("127.0.0.1", r.host);
    assert_false(r.head);
    assert_int_equal(ask("HEAD /?a=b/c HTTP/1.1\nhOST:\t[::1]:9683 \n\n"), 0);
    IS("/", r.path);
    IS("::1", r.host);
    assert_true(r.head);
    assert_int_equal(ask("GET / HTTP/1.0\r\n\r\n"), 0);
    assert_int_equal(r.host.n, 0);
    assert_int_equal(ask("GET http://one.example:9683/healthz HTTP/1.1\r\nHost: two.example\r\n\r\n"), 0);
    IS("/healthz", r.path);
    IS("one.example", r.host);          /* [rfc9112#3.2.2] */
    assert_int_equal(ask("GET http://one.example HTTP/1.1\r\nHost: one.example\r\n\r\n"), 0);
    IS("/", r.path);
}

static void
other_requests_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ask("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 405);
    assert_int_equal(ask("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"), 505);
    assert_int_equal(ask("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(ask("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), 400);
    assert_int_equal(ask("GET metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
    assert_int_equal(ask("GET http:///x HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
    assert_int_equal(ask("GET /\r\n\r\n"), 400);
    assert_int_equal(ask("\r\n"), 400);
}

/* Cut anywhere it is not complete, and whatever comes is read without reading past it. */
static void
cut_and_mutated_requests_do_no_harm(void **state)
{
    static const char good[] = "GET http://a.example:1/metrics?x HTTP/1.1\r\nHost: [::1]:9683\r\nA: b\r\n\r\n";
    size_t            n = sizeof(good) - 1;
    unsigned          seed = 1;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        uint8_t *text = malloc(i ? i : 1);

        assert_non_null(text);
        memcpy(text, good, i);
        assert_false(osp_http_is_complete(osp_slice(text, i)));
        (void)osp_http_read(osp_slice(text, i), &r);
        free(text);
    }
    for (int round = 0; round < 20000; round++) {
        uint8_t *text = malloc(n);

        assert_non_null(text);
        memcpy(text, good, n);
        for (int k = 0; k < 3; k++) {
            seed = seed * 1103515245u + 12345u;
            text[(seed >> 16) % n] = (uint8_t)(seed >> 8);
        }
        if (osp_http_is_complete(osp_slice(text, n)) && osp_http_read(osp_slice(text, n), &r) == 0)
            assert_true(r.path.n > 0 && r.path.p[0] == '/');
        free(text);
    }
}

/* A web site whose name is made to lead here (DNS rebinding) is not answered. */
static void
only_our_own_hosts_are_answered(void **state)
{
    static char one[] = "proxy.example";
    char *const names[] = { one };

    (void)state;
    assert_true(osp_http_host_is_ours(osp_slice_str("127.0.0.1"), names, 1));
    assert_true(osp_http_host_is_ours(osp_slice_str("::1"), names, 1));
    assert_true(osp_http_host_is_ours(osp_slice_str("LocalHost"), names, 1));
    assert_true(osp_http_host_is_ours(osp_slice_str("Proxy.example"), names, 1));
    assert_false(osp_http_host_is_ours(osp_slice_str("proxy.example.evil.example"), names, 1));
    assert_false(osp_http_host_is_ours(osp_slice_str("evil.example"), names, 1));
    assert_false(osp_http_host_is_ours(osp_slice_str("proxy.example"), names, 0));
    assert_false(osp_http_host_is_ours(osp_slice_str("127.0.0.1.evil.example"), names, 1));
    assert_false(osp_http_host_is_ours(osp_slice_str(""), names, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read_in_all_their_forms),
        cmocka_unit_test(other_requests_are_refused),
        cmocka_unit_test(cut_and_mutated_requests_do_no_harm),
        cmocka_unit_test(only_our_own_hosts_are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
