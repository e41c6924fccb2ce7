/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "msg/target.h"

static struct osp_target
pattern(const char *text)
{
    struct osp_target t;

    if (osp_target_parse(osp_slice_str(text), &t) != OSP_OK)
        fail_msg("%s does not parse", text);
    return t;
}

static bool
matches(const char *text, const char *uri)
{
    struct osp_target t = pattern(text);
    uint8_t           storage[512];
    struct osp_uri    u;

    EXPECT_OK(osp_uri_split(osp_slice_str(uri), storage, sizeof(storage), &u));
    return osp_target_match(&t, &u.to);
}

static bool
names(const char *text, const char *address)
{
    struct osp_target t = pattern(text);
    struct osp_ip     ip;

    assert_true(osp_ip_parse(osp_slice_str(address), &ip));
    return osp_target_names_ip(&t, &ip);
}

static void
target_of_a_name_matches_that_name_only(void **state)
{
    (void)state;
    assert_true(matches("coap://host.example", "coap://host.example"));
    assert_true(matches("coap://HOST.Example", "coap://host.EXAMPLE:61616/a"));
    assert_false(matches("coap://host.example", "coap://a.host.example"));
    assert_false(matches("coap://host.example", "coap://xhost.example"));
    assert_false(matches("coap://host.example", "coap://host.exampl"));
    assert_false(matches("coap://host.example", "coap://host.example.org"));
    assert_false(matches("coap://host.example", "coap://host.example."));
}

static void
target_below_a_name_matches_neither_the_name_nor_a_lookalike(void **state)
{
    (void)state;
    assert_true(matches("coap://*.example.org", "coap://a.example.org"));
    assert_true(matches("coap://*.example.org", "coap://a.b.example.org:1"));
    assert_false(matches("coap://*.example.org", "coap://example.org"));
    assert_false(matches("coap://*.example.org", "coap://evilexample.org"));
    assert_false(matches("coap://*.example.org", "coap://a.example.org.evil.net"));
    assert_false(matches("coap://*.example.org", "coap://a.example.com"));
    assert_false(matches("coap://*.org", "coap://org"));
}

static void
target_with_a_port_matches_that_port_only(void **state)
{
    (void)state;
    assert_true(matches("coap://h:5684", "coap://h:5684"));
    assert_true(matches("coap://h:5683", "coap://h"));
    assert_false(matches("coap://h:5684", "coap://h"));
    assert_true(matches("coap://*:5684", "coap://anything:5684"));
    assert_false(matches("coap://*:5684", "coap://anything"));
    assert_false(matches("coap://[2001:db8::/32]:5683", "coap://[2001:db8::1]:5684"));
    assert_true(matches("coap://192.0.2.0/24:7", "coap://192.0.2.9:7"));
}

static void
target_matches_its_scheme_only(void **state)
{
    (void)state;
    assert_false(matches("coap://h", "coaps://h:5683"));
    assert_false(matches("coaps://h", "coap://h"));
    assert_false(matches("coap+tcp://*", "coap://h"));
    assert_true(matches("COAP+TCP://*", "coap+tcp://h"));
    assert_true(matches("*", "coaps+tcp://[::1]:9"));
    assert_true(matches("*", "coap://h"));
}

static void
target_of_a_network_matches_its_addresses_only(void **state)
{
    (void)state;
    assert_true(matches("coap://192.0.2.0/24", "coap://192.0.2.255"));
    assert_true(matches("coap://[192.0.2.0/24]", "coap://192.0.2.0"));
    assert_false(matches("coap://192.0.2.0/24", "coap://192.0.3.0"));
    assert_true(matches("coap://192.0.2.128/25", "coap://192.0.2.128"));
    assert_false(matches("coap://192.0.2.128/25", "coap://192.0.2.127"));
    assert_true(matches("coap://192.0.2.7", "coap://192.0.2.7"));
    assert_false(matches("coap://192.0.2.7", "coap://192.0.2.6"));
    assert_true(matches("coap://[2001:db8::/32]", "coap://[2001:db8:ffff::1]"));
    assert_false(matches("coap://[2001:db8::/32]", "coap://[2001:db9::1]"));
    assert_false(matches("coap://192.0.2.0/24", "coap://host.example"));
    assert_true(matches("coap://192.0.2.0/24", "coap://[::ffff:192.0.2.1]"));   /* the same address */
}

static void
target_never_takes_a_name_for_an_address(void **state)
{
    struct osp_target    t = pattern("coap://*.0.0.1");
    struct osp_authority a = { .scheme = OSP_SCHEME_COAP, .host = osp_slice_str("127.0.0.1"), .port = 5683, .is_ip = true };

    (void)state;
    assert_int_equal(t.kind, OSP_TARGET_BELOW);
    assert_false(osp_target_match(&t, &a));
    t = pattern("coap://h");
    a.host = osp_slice_str("h");
    assert_false(osp_target_match(&t, &a));
    t = pattern("coap://*.h");          /* no label in front of the dot */
    a = (struct osp_authority){ .scheme = OSP_SCHEME_COAP, .host = osp_slice_str(".h"), .port = 5683 };
    assert_false(osp_target_match(&t, &a));
}

/* "Everything" has to mean the same for the reader and for the guard. */
static void
target_of_an_ipv6_network_does_not_cover_ipv4(void **state)
{
    (void)state;
    assert_false(matches("coap://[::/0]", "coap://127.0.0.1"));
    assert_false(names("coap://[::/0]", "127.0.0.1"));
    assert_false(names("coap://[::ffff:0:0/95]", "127.0.0.1"));
    assert_true(names("coap://[::/0]", "::1"));
    assert_true(names("coap://[::ffff:127.0.0.0/104]", "127.0.0.1"));
    assert_true(names("coap://0.0.0.0/0", "127.0.0.1"));
    assert_false(names("coap://0.0.0.0/0", "::1"));
}

/* row P22: only a network lifts the guard, never a name or a star */
static void
target_that_is_no_network_names_no_address(void **state)
{
    (void)state;
    assert_false(names("*", "127.0.0.1"));
    assert_false(names("coap://*", "127.0.0.1"));
    assert_false(names("coap://localhost", "127.0.0.1"));
    assert_false(names("coap://*.example", "::1"));
    assert_true(names("coap://127.0.0.0/8", "127.9.9.9"));
    assert_true(names("coap://[fe80::/10]", "fe80::1"));
    assert_false(names("coap://127.0.0.1", "127.0.0.2"));
}

static void
target_refuses_what_is_no_pattern(void **state)
{
    static const char *const bad[] = {
        "", "**", "h", "host.example", "192.0.2.1", "coap:", "coap:/", "coap://", "coap:///", "coap://:5683", "http://h",
        "coap//h", "coap://h/", "coap://h/path", "coap://h?q", "coap://h#f", "coap://u@h", "coap://h:", "coap://h:0",
        "coap://h:65536", "coap://h:05", "coap://h:5x", "coap://h:-1", "coap://h:1:2", "coap://2001:db8::1", "coap://[::1",
        "coap://::1]", "coap://[::1]5683", "coap://[::1]:", "coap://[::1]:0", "coap://[h]", "coap://[]", "coap://[*]",
        "coap://[::/129]", "coap://[::/-1]", "coap://[::/]", "coap://[::1/064]", "coap://[/8]", "coap://192.0.2.0/33",
        "coap://192.0.2.0/", "coap://192.0.2.0/08", "coap://h/8", "coap://*.", "coap://*..h", "coap://.h", "coap://*h",
        "coap://h.*", "coap://a.*.b", "coap://*.*", "coap://*.192.0.2.1", "coap://a b", "coap://h\n", "coap://h%41",
        "coap://\"h\"",
        " coap://h", "coap://h ", "*:5683", "*://h", "coap://192.0.2.0/24/8", "coap://[::1/64]/8", "coap://a,b|c", "coap://h?",
    };
    struct osp_target t;
    char              with_zero[] = "coap://h\0x";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (osp_target_parse(osp_slice_str(bad[i]), &t) != OSP_E_BAD_URI)
            fail_msg("\"%s\" is taken for a pattern", bad[i]);
    }
    EXPECT_ERR(OSP_E_BAD_URI, osp_target_parse(OSP_EMPTY, &t));
    EXPECT_ERR(OSP_E_BAD_URI, osp_target_parse(osp_slice(with_zero, sizeof(with_zero) - 1), &t));
}

static void
target_name_may_have_255_bytes_and_no_more(void **state)
{
    char              text[300] = "coap://";
    struct osp_target t, again;
    char              printed[OSP_TARGET_TEXT_MAX];

    (void)state;
    memset(text + 7, 'a', 255);
    EXPECT_OK(osp_target_parse(osp_slice(text, 7 + 255), &t));
    osp_target_print(&t, printed, sizeof(printed));
    EXPECT_OK(osp_target_parse(osp_slice_str(printed), &again));
    assert_memory_equal(&t, &again, sizeof(t));
    memset(text + 7, 'a', 256);
    EXPECT_ERR(OSP_E_BAD_URI, osp_target_parse(osp_slice(text, 7 + 256), &t));
}

static void
target_prints_to_what_parses_to_the_same(void **state)
{
    static const struct { const char *in, *out; } rows[] = {
        { "*", "*" },
        { "coap://*", "coap://*" },
        { "COAPS://*:7", "coaps://*:7" },
        { "coap://*.Example.ORG:5683", "coap://*.example.org:5683" },
        { "coap+tcp://Host", "coap+tcp://host" },
        { "coap://192.0.2.7", "coap://192.0.2.7" },
        { "coap://[192.0.2.7/32]:9", "coap://192.0.2.7:9" },
        { "coap://192.0.2.7/24", "coap://192.0.2.0/24" },
        { "coap://0.0.0.0/0", "coap://0.0.0.0/0" },
        { "coap://[::ffff:192.0.2.0/120]", "coap://192.0.2.0/24" },
        { "coap://[::ffff:0:0/95]", "coap://[::fffe:0:0/95]" },
        { "coap://[2001:db8::1/33]:1", "coap://[2001:db8::/33]:1" },
        { "coap://[2001:DB8::1]", "coap://[2001:db8::1]" },
        { "coap://[::/0]", "coap://[::/0]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct osp_target t = pattern(rows[i].in), again;
        char              text[OSP_TARGET_TEXT_MAX];

        osp_target_print(&t, text, sizeof(text));
        assert_string_equal(text, rows[i].out);
        again = pattern(text);
        assert_memory_equal(&t, &again, sizeof(t));
    }
}

static void
target_is_cut_to_the_room_there_is(void **state)
{
    struct osp_target t = pattern("coap://host.example:5683");
    char              text[9] = "xxxxxxxx";

    (void)state;
    osp_target_print(&t, text, 1);
    assert_string_equal(text, "");
    osp_target_print(&t, text, sizeof(text));
    assert_true(strlen(text) < sizeof(text));
}

static void
glob_matches_as_a_whole(void **state)
{
    (void)state;
    assert_true(osp_glob_match("meter-*", "meter-17"));
    assert_true(osp_glob_match("meter-?", "meter-1"));
    assert_true(osp_glob_match("*", ""));
    assert_false(osp_glob_match("meter-*", "a-meter-17"));
    assert_false(osp_glob_match("meter-?", "meter-17"));
    assert_false(osp_glob_match("meter", "meter-17"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_of_a_name_matches_that_name_only),
        cmocka_unit_test(target_below_a_name_matches_neither_the_name_nor_a_lookalike),
        cmocka_unit_test(target_with_a_port_matches_that_port_only),
        cmocka_unit_test(target_matches_its_scheme_only),
        cmocka_unit_test(target_of_a_network_matches_its_addresses_only),
        cmocka_unit_test(target_never_takes_a_name_for_an_address),
        cmocka_unit_test(target_of_an_ipv6_network_does_not_cover_ipv4),
        cmocka_unit_test(target_that_is_no_network_names_no_address),
        cmocka_unit_test(target_refuses_what_is_no_pattern),
        cmocka_unit_test(target_name_may_have_255_bytes_and_no_more),
        cmocka_unit_test(target_prints_to_what_parses_to_the_same),
        cmocka_unit_test(target_is_cut_to_the_room_there_is),
        cmocka_unit_test(glob_matches_as_a_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
