/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/uri.h"

static struct osp_msg m;
static uint8_t        storage[4096], opt_storage[8192];
static char           text[4096];

static struct osp_slice
str(const char *s)
{
    return osp_slice_str(s);
}

/* Splits from memory of exactly the text's size, so that a sanitizer sees a read past it. */
static enum osp_err
split(const char *s, struct osp_uri *u)
{
    static uint8_t *exact;
    size_t          n = strlen(s);

    free(exact);                                /* the slices of the last one end here */
    exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, s, n);
    return osp_uri_split(osp_slice(exact, n), storage, n, u);
}

/* Options of `s` as "path|path?query&query"; fails the test when it does not split. */
static const char *
options_of(const char *s)
{
    struct osp_uri u;
    struct osp_wr  w = osp_wr_to(opt_storage, sizeof(opt_storage)), out = osp_wr_to(text, sizeof(text) - 1);
    uint16_t       last = 0;

    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(split(s, &u));
    EXPECT_OK(osp_uri_to_options(&u, &m, &w));
    for (size_t i = 0; i < m.opt_count; i++) {
        bool is_query = m.opts[i].num == OSP_OPT_URI_QUERY;

        osp_wr_u8(&out, !is_query ? '|' : last == OSP_OPT_URI_QUERY ? '&' : '?');
        osp_wr_put(&out, m.opts[i].val);
        last = m.opts[i].num;
    }
    text[out.n] = '\0';
    return text;
}

/* ---- schemes ---- */

static void
schemes_are_known_by_name_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(osp_scheme_of(str("coap")), OSP_SCHEME_COAP);
    assert_int_equal(osp_scheme_of(str("COAPS")), OSP_SCHEME_COAPS);
    assert_int_equal(osp_scheme_of(str("Coap+TCP")), OSP_SCHEME_COAP_TCP);
    assert_int_equal(osp_scheme_of(str("coaps+tcp")), OSP_SCHEME_COAPS_TCP);
    assert_int_equal(osp_scheme_of(str("coa")), OSP_SCHEME_UNKNOWN);
    assert_int_equal(osp_scheme_of(str("coap+")), OSP_SCHEME_UNKNOWN);
    assert_int_equal(osp_scheme_of(str("http")), OSP_SCHEME_UNKNOWN);
    assert_int_equal(osp_scheme_of(OSP_EMPTY), OSP_SCHEME_UNKNOWN);
    assert_int_equal(osp_scheme_port(OSP_SCHEME_COAP_TCP), 5683);
    assert_int_equal(osp_scheme_port(OSP_SCHEME_COAPS_TCP), 5684);
    assert_string_equal(osp_scheme_name(OSP_SCHEME_COAPS), "coaps");
    assert_null(osp_scheme_name(OSP_SCHEME_UNKNOWN));
    assert_null(osp_scheme_name((enum osp_scheme)77));
}

/* ---- splitting ---- */

static const struct {
    const char     *uri;
    enum osp_scheme scheme;
    const char     *host;
    uint16_t        port;
    bool            is_ip;
    const char     *path, *query;       /* NULL: no query */
} good[] = {
    { "coap://h", OSP_SCHEME_COAP, "h", 5683, false, "", NULL },
    { "coap://h/", OSP_SCHEME_COAP, "h", 5683, false, "", NULL },
    { "coap://h?", OSP_SCHEME_COAP, "h", 5683, false, "", "" },
    { "coap://h?q", OSP_SCHEME_COAP, "h", 5683, false, "", "q" },
    { "coap://h:1?q", OSP_SCHEME_COAP, "h", 1, false, "", "q" },
    { "coap://h/?a?b/c", OSP_SCHEME_COAP, "h", 5683, false, "", "a?b/c" },
    { "CoAP://Example.ORG:61616/A/b?C", OSP_SCHEME_COAP, "example.org", 61616, false, "A/b", "C" },
    { "COAPS://h", OSP_SCHEME_COAPS, "h", 5684, false, "", NULL },
    { "coap+TCP://h/x", OSP_SCHEME_COAP_TCP, "h", 5683, false, "x", NULL },
    { "coaps+tcp://h/x", OSP_SCHEME_COAPS_TCP, "h", 5684, false, "x", NULL },
    { "coap://h:", OSP_SCHEME_COAP, "h", 5683, false, "", NULL },
    { "coaps://h:/x", OSP_SCHEME_COAPS, "h", 5684, false, "x", NULL },
    { "coap://h:005683/", OSP_SCHEME_COAP, "h", 5683, false, "", NULL },
    { "coap://h:65535", OSP_SCHEME_COAP, "h", 65535, false, "", NULL },
    { "coap://h//x", OSP_SCHEME_COAP, "h", 5683, false, "/x", NULL },
    { "coap://192.0.2.1/x", OSP_SCHEME_COAP, "192.0.2.1", 5683, true, "x", NULL },
    { "coap://%31%32%37.0.0.1/x", OSP_SCHEME_COAP, "127.0.0.1", 5683, true, "x", NULL },
    { "coap://1.2.3/x", OSP_SCHEME_COAP, "1.2.3", 5683, false, "x", NULL },
    { "coap://010.0.0.1", OSP_SCHEME_COAP, "010.0.0.1", 5683, false, "", NULL },
    { "coap://[2001:DB8::1]/x", OSP_SCHEME_COAP, "2001:db8::1", 5683, true, "x", NULL },
    { "coap://[2001:db8::1]:77?q", OSP_SCHEME_COAP, "2001:db8::1", 77, true, "", "q" },
    { "coap://[::ffff:127.0.0.1]", OSP_SCHEME_COAP, "::ffff:127.0.0.1", 5683, true, "", NULL },
    { "coap://%48%6f%53t.example", OSP_SCHEME_COAP, "host.example", 5683, false, "", NULL },
    { "coap://b%c3%bc.example", OSP_SCHEME_COAP, "b\xc3\xbc.example", 5683, false, "", NULL },
    { "coap://a-._~!$&'()*+,;=z", OSP_SCHEME_COAP, "a-._~!$&'()*+,;=z", 5683, false, "", NULL },
    { "coap://h/%2F%25:@!$&'()*+,;=", OSP_SCHEME_COAP, "h", 5683, false, "%2F%25:@!$&'()*+,;=", NULL },
};

/* row P01 (partly: the URI) */
/* [rfc7252#6.4] */
static void
uris_split_into_their_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct osp_uri u;

        if (split(good[i].uri, &u) != OSP_OK)
            fail_msg("refused: %s", good[i].uri);
        assert_int_equal(u.to.scheme, good[i].scheme);
        EXPECT_BYTES(str(good[i].host), u.to.host);
        assert_int_equal(u.to.port, good[i].port);
        if (u.to.is_ip != good[i].is_ip)
            fail_msg("address or not: %s", good[i].uri);
        EXPECT_BYTES(str(good[i].path), u.path);
        assert_int_equal(u.has_query, good[i].query != NULL);
        EXPECT_BYTES(str(good[i].query), u.query);
    }
}

static const char *const bad[] = {
    /* no absolute URI */
    "", "coap", "coap:", "coap:/", "coap://", "coap:h", "coap:/h/x", "://h", "//h/x", "/x", "h/x", ":", "1coap://h",
    "co ap://h", "coap ://h", " coap://h", "coap:///x", "coap://?q", "coap://:5683/x",
    /* user info, fragments */
    "coap://user@h", "coap://user:pw@h/", "coap://user:1@h/", "coap://1:2@h/", "coap://@h", "coap://h#f", "coap://h/#f",
    "coap://h/x#", "coap://h?q#f", "coap://[::1]#f",
    /* ports */
    "coap://h:0", "coap://h:65536", "coap://h:99999999999999999999", "coap://h:4294972979", "coap://h:-1", "coap://h:5683x",
    "coap://h:x", "coap://h:1:2", "coap://h: 1", "coap://h:+1",
    /* hosts */
    "coap://a b", "coap://a\"b", "coap://a<b>", "coap://a\\b", "coap://a^b", "coap://a{b}", "coap://a|b", "coap://a`b",
    "coap://%", "coap://%4", "coap://%4g", "coap://h%", "coap://h%0", "coap://%00", "coap://h%0a", "coap://h%20x",
    "coap://h%7f", "coap://.", "coap://..", "coap://%2e", "coap://.example.org",
    "coap://\xc3\xbc", "coap://h%2", "coap://a[b", "coap://a]b",
    /* address literals */
    "coap://[", "coap://[]", "coap://[::1", "coap://::1", "coap://::1]", "coap://[::1]x", "coap://[::1]]", "coap://[[::1]]",
    "coap://[1.2.3.4]", "coap://[fe80::1%25eth0]", "coap://[fe80::1%eth0]", "coap://[v1.x]", "coap://[h]", "coap://[::1]:x",
    "coap://[::%31]", "coap://[1:2:3:4:5:6:7:8:9]", "coap://x[::1]",
    /* paths and queries */
    "coap://h/%", "coap://h/%4", "coap://h/%4g", "coap://h/%g4", "coap://h/a%", "coap://h/a b", "coap://h/\x01", "coap://h/\x80",
    "coap://h/[", "coap://h/]", "coap://h/\"", "coap://h/<", "coap://h/^", "coap://h/`", "coap://h/{", "coap://h/|",
    "coap://h/\\", "coap://h?%", "coap://h?%4", "coap://h?a%zz", "coap://h?a b", "coap://h?[", "coap://h?\x7f", "coap://h/x?\xff",
};

/* [rfc7252#6.4] [rfc7252#6.1] */
static void
what_is_no_coap_uri_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct osp_uri u = { .has_query = true, .to.port = 7 };

        if (split(bad[i], &u) != OSP_E_BAD_URI)
            fail_msg("not refused: %s", bad[i]);
        assert_true(u.has_query);               /* outputs are written on success only */
        assert_int_equal(u.to.port, 7);
    }
}

static void
zero_bytes_are_refused_everywhere(void **state)
{
    static const char uri[] = "coap://host/path?query";
    const size_t      n = sizeof(uri) - 1;
    char              copy[sizeof(uri)];
    struct osp_uri    u;

    (void)state;
    EXPECT_OK(osp_uri_split(osp_slice(uri, n), storage, n, &u));
    for (size_t i = 0; i < n; i++) {
        memcpy(copy, uri, sizeof(uri));
        copy[i] = '\0';
        EXPECT_ERR(OSP_E_BAD_URI, osp_uri_split(osp_slice(copy, n), storage, n, &u));
    }
    EXPECT_ERR(OSP_E_BAD_URI, osp_uri_split(OSP_EMPTY, storage, sizeof(storage), &u));
    EXPECT_ERR(OSP_E_NOSPACE, osp_uri_split(osp_slice(uri, n), storage, n - 1, &u));
    EXPECT_ERR(OSP_E_NOSPACE, osp_uri_split(osp_slice(uri, n), NULL, 0, &u));
}

/* row P04 (partly: the scheme) */
/* [rfc7252#5.7.2] */
static void
other_schemes_are_no_error(void **state)
{
    static const char *const uris[] = { "http://h/x", "urn:dev:ow:1", "coaps+ws://h", "coap+ws://h/", "x:", "mailto:a@b",
                                        "gopher://user@h:99999/#f", "coapx://h", "coap.x://h", "coap+tcps://h" };

    (void)state;
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        struct osp_uri u;

        EXPECT_OK(split(uris[i], &u));
        assert_int_equal(u.to.scheme, OSP_SCHEME_UNKNOWN);
        assert_int_equal(u.to.host.n + u.path.n + u.query.n, 0);
    }
}

static void
hosts_have_255_bytes_at_most(void **state)
{
    struct osp_uri u;
    char           uri[1200];
    size_t         n;

    (void)state;
    for (size_t host = 254; host <= 257; host++) {
        n = (size_t)snprintf(uri, sizeof(uri), "coap://%0*d/x", (int)host, 0);
        assert_int_equal(n, 7 + host + 2);
        EXPECT_ERR(host <= 255 ? OSP_OK : OSP_E_BAD_URI, split(uri, &u));
    }
    for (size_t host = 255; host <= 256; host++) {      /* counted after decoding */
        memcpy(uri, "coap://", 8);
        for (size_t i = 0; i < host; i++)
            memcpy(uri + 7 + 3 * i, "%61", 4);
        EXPECT_ERR(host <= 255 ? OSP_OK : OSP_E_BAD_URI, split(uri, &u));
        if (host <= 255)
            assert_int_equal(u.to.host.n, host);
    }
}

/* ---- authorities ---- */

/* row P02 (partly: the authority) */
static void
authorities_are_made_from_options(void **state)
{
    struct osp_authority a;
    char                 zero[3] = { 'a', '\0', 'b' };

    (void)state;
    EXPECT_OK(osp_authority_make(OSP_SCHEME_COAP, str("Example.ORG"), 61616, storage, 11, &a));
    EXPECT_BYTES(str("example.org"), a.host);
    assert_int_equal(a.port, 61616);
    assert_false(a.is_ip);
    EXPECT_OK(osp_authority_make(OSP_SCHEME_COAPS, str("192.0.2.1"), 1, storage, 9, &a));
    assert_true(a.is_ip && osp_ip_is_v4(&a.ip));
    EXPECT_OK(osp_authority_make(OSP_SCHEME_COAP, str("2001:DB8::1"), 1, storage, 11, &a));
    assert_true(a.is_ip);
    EXPECT_OK(osp_authority_make(OSP_SCHEME_COAP, str("[2001:DB8::1]"), 1, storage, 13, &a));
    EXPECT_BYTES(str("2001:db8::1"), a.host);
    assert_true(a.is_ip);
    EXPECT_OK(osp_authority_make(OSP_SCHEME_COAP, str("100%41"), 1, storage, 6, &a));  /* not decoded again */
    EXPECT_BYTES(str("100%41"), a.host);

    a.port = 7;
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_COAP, OSP_EMPTY, 1, storage, 9, &a));
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_COAP, str("h"), 0, storage, 9, &a));
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_UNKNOWN, str("h"), 1, storage, 9, &a));
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_COAP, str("a b"), 1, storage, 9, &a));
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_COAP, str("a\n"), 1, storage, 9, &a));
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_COAP, osp_slice(zero, 3), 1, storage, 9, &a));
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_COAP, str("[h]"), 1, storage, 9, &a));
    EXPECT_ERR(OSP_E_BAD_URI, osp_authority_make(OSP_SCHEME_COAP, str("[1.2.3.4]"), 1, storage, 9, &a));
    EXPECT_ERR(OSP_E_NOSPACE, osp_authority_make(OSP_SCHEME_COAP, str("abc"), 1, storage, 2, &a));
    assert_int_equal(a.port, 7);
}

/* ---- to options ---- */

static const struct { const char *uri, *options; } as_options[] = {
    { "coap://h", "" },
    { "coap://h/", "" },
    { "coap://h//", "||" },
    { "coap://h/a", "|a" },
    { "coap://h/a/", "|a|" },
    { "coap://h//a", "||a" },
    { "coap://h/a//b", "|a||b" },
    { "coap://h/.well-known/core", "|.well-known|core" },
    { "coap://h/%2F/%25/%3f%23", "|/|%|?#" },
    { "coap://h/a%20b%C3%BC", "|a b\xc3\xbc" },
    { "coap://h/a&b=c;d", "|a&b=c;d" },
    /* dot segments are resolved, however they are written */
    { "coap://h/.", "" },
    { "coap://h/..", "" },
    { "coap://h/./", "" },
    { "coap://h/a/.", "|a|" },
    { "coap://h/a/..", "" },
    { "coap://h/a/../", "" },
    { "coap://h/a/./b", "|a|b" },
    { "coap://h/a/../b", "|b" },
    { "coap://h/a/b/../../c", "|c" },
    { "coap://h/../../a", "|a" },
    { "coap://h/a/b/..", "|a|" },
    { "coap://h/a/%2e%2E/b", "|b" },
    { "coap://h/%2e/a/.%2e/b", "|b" },
    { "coap://h/a/%2e", "|a|" },
    { "coap://h/...", "|..." },
    { "coap://h/..a/.b/%2e%2e%2e", "|..a|.b|..." },
    { "coap://h/%252e%252e/x", "|%2e%2e|x" },
    { "coap://h//../x", "|x" },
    { "coap://h/x//..", "|x|" },
    /* queries */
    { "coap://h?", "?" },
    { "coap://h?a", "?a" },
    { "coap://h?a&b", "?a&b" },
    { "coap://h?&", "?&" },
    { "coap://h?a&&b&", "?a&&b&" },
    { "coap://h/x?a=%26&%3D=/?:@", "|x?a=&&==/?:@" },
    { "coap://h/x?..&.", "|x?..&." },
    { "coap://h?%23", "?#" },
};

/* row P01 (partly: the options) */
/* [rfc7252#6.4] [rfc7252#5.10.1] */
static void
uris_become_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(as_options) / sizeof(as_options[0]); i++) {
        const char *got = options_of(as_options[i].uri);

        if (strcmp(got, as_options[i].options) != 0)
            fail_msg("%s: got %s, want %s", as_options[i].uri, got, as_options[i].options);
    }
}

/* [rfc7252#5.10.1] */
static void
segments_have_255_bytes_at_most(void **state)
{
    char uri[2000];

    (void)state;
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t n = 254; n <= 300; n++) {
            struct osp_wr  out = osp_wr_to(uri, sizeof(uri)), w = osp_wr_to(opt_storage, sizeof(opt_storage));
            struct osp_uri u;

            osp_wr_put(&out, str(kind < 2 ? "coap://h/ok/" : "coap://h?ok&"));
            for (size_t i = 0; i < n; i++)
                osp_wr_put(&out, str(kind % 2 ? "%2b" : "x"));
            osp_wr_u8(&out, 0);
            osp_msg_init(&m, OSP_GET);
            EXPECT_OK(split(uri, &u));
            EXPECT_ERR(n <= 255 ? OSP_OK : OSP_E_BAD_URI, osp_uri_to_options(&u, &m, &w));
            assert_int_equal(m.opt_count, n <= 255 ? 2 : 0);
        }
    }
}

static void
options_are_added_all_or_none(void **state)
{
    struct osp_uri u;
    char           uri[400] = "coap://h/";
    struct osp_wr  w;

    (void)state;
    for (size_t i = 0; i < OSP_MSG_OPTS_MAX - 2; i++)
        memcpy(uri + 9 + 2 * i, "/a", 3);               /* 127 segments, the first empty */
    for (size_t before = 0; before < 4; before++) {
        bool fits = before <= 1;

        osp_msg_init(&m, OSP_GET);
        for (size_t i = 0; i < before; i++)
            EXPECT_OK(osp_msg_add(&m, 60, OSP_EMPTY));
        EXPECT_OK(split(uri, &u));
        w = osp_wr_to(opt_storage, sizeof(opt_storage));
        EXPECT_ERR(fits ? OSP_OK : OSP_E_OPTION_COUNT, osp_uri_to_options(&u, &m, &w));
        assert_int_equal(m.opt_count, before + (fits ? OSP_MSG_OPTS_MAX - 1 : 0));
    }
    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(split("coap://h/abc/d?ef", &u));
    for (size_t cap = 0; cap < 9; cap++) {              /* 6 bytes of values and 3 of heads */
        w = osp_wr_to(opt_storage, cap);
        opt_storage[cap] = 0xaa;
        EXPECT_ERR(OSP_E_NOSPACE, osp_uri_to_options(&u, &m, &w));
        assert_int_equal(m.opt_count, 0);
        assert_int_equal(opt_storage[cap], 0xaa);
    }
    w = osp_wr_to(opt_storage, 9);
    EXPECT_OK(osp_uri_to_options(&u, &m, &w));
    assert_int_equal(m.opt_count, 3);
}

static void
more_segments_than_options_are_refused_in_bounded_memory(void **state)
{
    static char    uri[3000];
    struct osp_uri u;
    struct osp_wr  w = osp_wr_to(opt_storage, sizeof(opt_storage));

    (void)state;
    memset(uri, '/', sizeof(uri) - 1);
    memcpy(uri, "coap://h", 8);
    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(split(uri, &u));
    EXPECT_ERR(OSP_E_OPTION_COUNT, osp_uri_to_options(&u, &m, &w));
    memset(uri + 8, '&', sizeof(uri) - 9);
    uri[8] = '?';
    EXPECT_OK(split(uri, &u));
    EXPECT_ERR(OSP_E_OPTION_COUNT, osp_uri_to_options(&u, &m, &w));
    assert_int_equal(m.opt_count, 0);
}

/* A struct made by hand may hold anything. */
static void
raw_parts_are_judged_again(void **state)
{
    static const char *const parts[] = { "%", "a%2", "%g0", "a b", "a#b", "\x80", "%4" };

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct osp_uri u = { .path = str(parts[i]) };
        struct osp_wr  w = osp_wr_to(opt_storage, sizeof(opt_storage));

        osp_msg_init(&m, OSP_GET);
        EXPECT_ERR(OSP_E_BAD_URI, osp_uri_to_options(&u, &m, &w));
        u = (struct osp_uri){ .query = str(parts[i]), .has_query = true };
        EXPECT_ERR(OSP_E_BAD_URI, osp_uri_to_options(&u, &m, &w));
        assert_int_equal(m.opt_count, 0);
    }
    {
        struct osp_uri u = { .path = str("a?b") };
        struct osp_wr  w = osp_wr_to(opt_storage, sizeof(opt_storage));

        EXPECT_ERR(OSP_E_BAD_URI, osp_uri_to_options(&u, &m, &w));
    }
}

/* ---- printing ---- */

static struct osp_authority
default_authority(void)
{
    return (struct osp_authority){ .scheme = OSP_SCHEME_COAP, .host = str("192.0.2.1"), .port = 5683 };
}

static const char *
printed(const struct osp_authority *dflt)
{
    osp_uri_print(&m, dflt, text, sizeof(text));
    return text;
}

/* [rfc7252#6.5] */
static void
request_uris_are_printed_from_options(void **state)
{
    struct osp_authority dflt = default_authority();

    (void)state;
    osp_msg_init(&m, OSP_GET);
    assert_string_equal(printed(&dflt), "coap://192.0.2.1/");
    dflt.port = 61616;
    assert_string_equal(printed(&dflt), "coap://192.0.2.1:61616/");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, str("h x")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, str("a/b")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, str("")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, str("\xc3\xbc?#[]%&=:@")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_QUERY, str("a&b=/?:@")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_QUERY, str("")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_SIZE1, str("1")));
    assert_string_equal(printed(&dflt), "coap://h%20x:61616/a%2Fb//%C3%BC%3F%23%5B%5D%25&=:@?a%26b=/?:@&");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, str("coaps")));
    assert_string_equal(printed(&dflt), "coaps://h%20x/a%2Fb//%C3%BC%3F%23%5B%5D%25&=:@?a%26b=/?:@&");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PORT, str("\x10")));
    osp_msg_remove(&m, OSP_OPT_URI_PATH);
    osp_msg_remove(&m, OSP_OPT_URI_QUERY);
    assert_string_equal(printed(&dflt), "coaps://h%20x:16/");
}

static void
hosts_are_printed_in_brackets_when_ipv6(void **state)
{
    struct osp_authority dflt = default_authority();

    (void)state;
    osp_msg_init(&m, OSP_GET);
    dflt.host = str("2001:db8::1");
    assert_string_equal(printed(&dflt), "coap://[2001:db8::1]/");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, str("[::1]")));
    assert_string_equal(printed(&dflt), "coap://[::1]/");
    m.opts[0].val = str("a:b");                 /* no address: nothing that could be misread */
    assert_string_equal(printed(&dflt), "coap://a%3Ab/");
    m.opts[0].val = str("[x]");
    assert_string_equal(printed(&dflt), "coap://%5Bx%5D/");
    m.opts[0].val = OSP_EMPTY;
    assert_string_equal(printed(&dflt), "coap:///");
}

static void
odd_options_print_harmlessly(void **state)
{
    struct osp_authority dflt = default_authority();

    (void)state;
    dflt.scheme = OSP_SCHEME_UNKNOWN;
    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PORT, str("12345")));
    assert_string_equal(printed(&dflt), "coap://192.0.2.1/");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, str("go\npher")));
    assert_string_equal(printed(&dflt), "go%0Apher://192.0.2.1/");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_URI, str("coap://s/a?b%20\n\x1b[m\"")));
    assert_string_equal(printed(&dflt), "coap://s/a?b%20%0A%1B[m%22");
}

/* What was printed is a prefix of the whole and ends between characters. */
static void
printing_is_cut_at_any_length_without_half_an_escape(void **state)
{
    struct osp_authority dflt = default_authority();
    char                 whole[200], part[200];
    size_t               n;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, str("a b\xff\xff")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_QUERY, str("  x")));
    osp_uri_print(&m, &dflt, whole, sizeof(whole));
    n = strlen(whole);
    for (size_t cap = 1; cap <= n + 1; cap++) {
        memset(part, 'Z', sizeof(part));
        osp_uri_print(&m, &dflt, part, cap);
        assert_true(strlen(part) < cap);
        assert_int_equal(strncmp(part, whole, strlen(part)), 0);
        assert_int_equal(part[cap], 'Z');
        for (size_t i = 0; i < 2; i++)
            assert_false(strlen(part) > i && part[strlen(part) - 1 - i] == '%');
    }
    assert_string_equal(part, whole);
}

/* [rfc7252#6.4] [rfc7252#6.5] */
static void
printed_uris_split_into_the_same_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(as_options) / sizeof(as_options[0]); i++) {
        struct osp_authority dflt;
        struct osp_uri       u;
        char                 first[1000];
        struct osp_wr        w = osp_wr_to(opt_storage, sizeof(opt_storage));

        EXPECT_OK(split(as_options[i].uri, &u));
        dflt = u.to;
        osp_msg_init(&m, OSP_GET);
        EXPECT_OK(osp_uri_to_options(&u, &m, &w));
        osp_uri_print(&m, &dflt, first, sizeof(first));
        assert_string_equal(options_of(first), as_options[i].options);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemes_are_known_by_name_in_any_case),
        cmocka_unit_test(uris_split_into_their_parts),
        cmocka_unit_test(what_is_no_coap_uri_is_refused),
        cmocka_unit_test(zero_bytes_are_refused_everywhere),
        cmocka_unit_test(other_schemes_are_no_error),
        cmocka_unit_test(hosts_have_255_bytes_at_most),
        cmocka_unit_test(authorities_are_made_from_options),
        cmocka_unit_test(uris_become_options),
        cmocka_unit_test(segments_have_255_bytes_at_most),
        cmocka_unit_test(options_are_added_all_or_none),
        cmocka_unit_test(more_segments_than_options_are_refused_in_bounded_memory),
        cmocka_unit_test(raw_parts_are_judged_again),
        cmocka_unit_test(request_uris_are_printed_from_options),
        cmocka_unit_test(hosts_are_printed_in_brackets_when_ipv6),
        cmocka_unit_test(odd_options_print_harmlessly),
        cmocka_unit_test(printing_is_cut_at_any_length_without_half_an_escape),
        cmocka_unit_test(printed_uris_split_into_the_same_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
