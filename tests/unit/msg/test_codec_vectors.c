/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every case of tests/vectors/coap-codec.json, as far as bytes decide it: what decodes to which
 * fields, what is refused how, what encodes back to the same bytes, and which options a message
 * endpoint treats as unknown.  "reject" and "connection-error" cases decode; whom they offend is
 * the message layer.
 */
#include "tests/unit/unit.h"

#include "msg/msg.h"
#include "msg/option.h"
#include "tests/unit/vec.h"

#define MAX_SIZE (1u << 20)

static uint8_t bytes[70000], again[70000], field[70000];
static json_t *doc;

static int
setup(void **state)
{
    (void)state;
    doc = vec_load("coap-codec.json");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    json_decref(doc);
    return 0;
}

static bool
is_udp(const json_t *c)
{
    return strcmp(vec_str(c, "transport"), "udp") == 0;
}

static const char *
outcome_of(const json_t *c)
{
    return vec_str(json_object_get(c, "expect"), "outcome");
}

/* What the case says it presupposes; "" when nothing. */
static const char *
needs_of(const json_t *c)
{
    const char *s = json_string_value(json_object_get(json_object_get(c, "expect"), "needs"));
    return s ? s : "";
}

static enum osp_err
decode(const json_t *c, struct osp_slice in, struct osp_msg *m, bool *header_ok)
{
    size_t max_size = strstr(needs_of(c), "1152") ? 1152 : MAX_SIZE;
    size_t max_token = strstr(needs_of(c), "extended_token = false") ? 8 : OSP_TOKEN_MAX;
    size_t used = 0;

    if (is_udp(c))
        return osp_msg_decode_udp(in, m, header_ok);
    return osp_msg_decode_tcp(in, max_size, max_token, m, &used);
}

static unsigned
type_of(const char *name)
{
    static const char *const names[] = { "CON", "NON", "ACK", "RST" };

    for (unsigned i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    fail_msg("no type: %s", name);
    return 0;
}

/* The name the table gives to a number, as the vectors spell an unknown one. */
static void
check_name(uint16_t num, const char *want)
{
    const struct osp_opt_def *def = osp_opt_def(num);

    if (def)
        assert_string_equal(def->name, want);
}

static void
check_options(const json_t *c, const struct osp_msg *m)
{
    const json_t *options = json_object_get(json_object_get(c, "expect"), "options");
    bool          signaling = m->code >> 5 == 7;    /* a number space of its own [rfc8323#5.2] */

    assert_int_equal(json_array_size(options), m->opt_count);
    for (size_t i = 0; i < m->opt_count; i++) {
        const json_t *o = json_array_get(options, i);
        const json_t *flags = json_array_get(o, 3);
        uint16_t      num = m->opts[i].num;
        size_t        n;

        assert_int_equal(json_integer_value(json_array_get(o, 0)), num);
        assert_true(osp_hex_decode(osp_slice_str(json_string_value(json_array_get(o, 2))), field, sizeof(field), &n));
        EXPECT_BYTES(osp_slice(field, n), m->opts[i].val);
        if (signaling)
            continue;
        check_name(num, json_string_value(json_array_get(o, 1)));
        assert_int_equal(json_is_true(json_object_get(flags, "critical")), osp_opt_is_critical(num));
        assert_int_equal(json_is_true(json_object_get(flags, "unsafe")), osp_opt_is_unsafe(num) != 0);
        assert_int_equal(json_is_true(json_object_get(flags, "nocachekey")), osp_opt_is_no_cache_key(num));
    }
}

static void
check_fields(const json_t *c, const struct osp_msg *m)
{
    const json_t *want = json_object_get(c, "expect");

    assert_int_equal(vec_code(vec_str(want, "code")), m->code);
    if (is_udp(c)) {
        assert_int_equal(type_of(vec_str(want, "type")), m->type);
        assert_int_equal(json_integer_value(json_object_get(want, "message_id")), m->mid);
    }
    EXPECT_BYTES(vec_hex(want, "token", field, sizeof(field)), m->token);
    EXPECT_BYTES(vec_hex(want, "payload", field, sizeof(field)), m->payload);
    check_options(c, m);
}

static void
check_encodes_to(const json_t *c, const struct osp_msg *m, struct osp_slice want)
{
    struct osp_wr w = osp_wr_to(again, want.n);

    if (is_udp(c)) {
        assert_int_equal(osp_msg_size_udp(m), want.n);
        EXPECT_OK(osp_msg_encode_udp(m, &w));
    } else {
        EXPECT_OK(osp_msg_encode_tcp(m, &w));
    }
    EXPECT_BYTES(want, osp_wr_slice(&w));
    w = osp_wr_to(again, want.n - 1);       /* one byte less is never enough */
    if (is_udp(c))
        EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_udp(m, &w));
    else
        EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_tcp(m, &w));
}

/* Decodes from memory of exactly the input's size, so that a sanitizer sees a read past it. */
static void
for_each(const char *group, void (*check)(const json_t *c, struct osp_slice in))
{
    const json_t *cases = json_object_get(doc, group);
    size_t        i;
    json_t       *c;

    assert_true(json_array_size(cases) > 0);
    json_array_foreach((json_t *)(uintptr_t)cases, i, c)
    {
        struct osp_slice in = vec_hex(c, "hex", bytes, sizeof(bytes));
        uint8_t         *exact = malloc(in.n ? in.n : 1);

        assert_non_null(exact);
        assert_true(osp_slice_copy(in, exact, in.n));
        print_message("%s %s\n", vec_str(c, "id"), vec_str(c, "what"));
        check(c, osp_slice(exact, in.n));
        free(exact);
    }
}

static void
check_valid(const json_t *c, struct osp_slice in)
{
    static struct osp_msg m;
    bool                  header_ok = false;

    EXPECT_OK(decode(c, in, &m, &header_ok));
    check_fields(c, &m);
    if (json_is_true(json_object_get(c, "canonical")))
        check_encodes_to(c, &m, in);
}

/* row K01 (partly: the codec) */
/* [rfc7252#3] [rfc7252#3.1] [rfc8323#3.2] [rfc8974#2.1] */
static void
valid_messages_decode_and_encode_back(void **state)
{
    (void)state;
    for_each("valid", check_valid);
}

/* A stream shorter than the message asks for more, at every length, and takes nothing. */
static void
check_cut_stream(const json_t *c, struct osp_slice in)
{
    static struct osp_msg m;
    size_t                used = 4711;

    if (is_udp(c))
        return;
    for (size_t n = 0; n < in.n; n += n < 300 ? 1 : 997)
        EXPECT_ERR(OSP_E_INCOMPLETE, osp_msg_decode_tcp(osp_slice_head(in, n), MAX_SIZE, OSP_TOKEN_MAX, &m, &used));
    assert_int_equal(used, 4711);
    memcpy(again, in.p, in.n);
    memcpy(again + in.n, "\xff\xff\xff", 3);
    EXPECT_OK(osp_msg_decode_tcp(osp_slice(again, in.n + 3), MAX_SIZE, OSP_TOKEN_MAX, &m, &used));
    assert_int_equal(used, in.n);
}

/* row T07 (partly: the codec) */
/* [rfc8323#3.2] */
static void
streams_may_be_cut_anywhere(void **state)
{
    (void)state;
    for_each("valid", check_cut_stream);
}

static void
check_malformed(const json_t *c, struct osp_slice in)
{
    static struct osp_msg m;
    const char           *outcome = outcome_of(c);
    bool                  header_ok = false;
    enum osp_err          err = decode(c, in, &m, &header_ok);

    if (strcmp(outcome, "ignore") == 0) {
        assert_true(err == (in.n < 4 ? OSP_E_FORMAT : OSP_E_VERSION));
        assert_false(header_ok);
    } else if (strcmp(outcome, "format-error") == 0) {
        if (is_udp(c) && needs_of(c)[0]) {  /* judged by the endpoint, which knows the limit */
            EXPECT_OK(err);
            assert_true(m.token.n > 8);
            return;
        }
        EXPECT_ERR(OSP_E_FORMAT, err);
        if (is_udp(c)) {                    /* enough for a Reset */
            assert_true(header_ok);
            assert_int_equal(m.type, in.p[0] >> 4 & 3);
            assert_int_equal(m.code, in.p[1]);
            assert_int_equal(m.mid, in.p[2] << 8 | in.p[3]);
            assert_int_equal(m.opt_count, 0);
            assert_int_equal(m.payload.n, 0);
        }
    } else if (strcmp(outcome, "incomplete") == 0) {
        EXPECT_ERR(OSP_E_INCOMPLETE, err);
    } else if (strcmp(outcome, "too-large") == 0) {
        EXPECT_ERR(OSP_E_TOO_LARGE, err);
    } else if (strcmp(outcome, "reject") == 0 || strcmp(outcome, "connection-error") == 0) {
        EXPECT_OK(err);
        if (is_udp(c))
            assert_int_equal(m.mid, in.p[2] << 8 | in.p[3]);
    } else {
        fail_msg("outcome %s", outcome);
    }
}

/* row M01-M06 (partly: the codec), T06 (partly: the codec), T08 (partly: the codec) */
/* row K02 (partly: the codec), K04 (partly: the codec) */
/* [rfc7252#3] [rfc7252#4.1] [rfc8323#5.6] [rfc8974#2.1] [rfc8974#2.2.1] */
static void
malformed_messages_are_refused_as_listed(void **state)
{
    (void)state;
    for_each("malformed", check_malformed);
}

/* What as_origin_server says of the rules of 5.4.3 and 5.4.5, where the option has a row. */
static const struct {
    const char *id;
    uint16_t    refused;        /* the critical option that makes 4.02; 0: none */
    size_t      left;           /* options left when there is none */
} sanitized[] = {
    { "s08", OSP_OPT_URI_HOST, 0 },      { "s09", 0, 2 },                 { "s10", OSP_OPT_URI_PORT, 0 },
    { "s11", OSP_OPT_URI_PATH, 0 },      { "s12", 0, 1 },                 { "s13", 0, 1 },
    { "s14", OSP_OPT_IF_NONE_MATCH, 0 }, { "s15", 0, 3 },                 { "s16", 0, 3 },
    { "s17", 0, 3 },                     { "s20", 0, 2 },                 { "s21", OSP_OPT_BLOCK1, 0 },
    { "s22", OSP_OPT_BLOCK1, 0 },        { "s23", OSP_OPT_OSCORE, 0 },    { "s24", 0, 1 },
    { "s30", 0, 2 },                     { "s31", 0, 1 },                 { "s32", 0, 4 },
    { "s33", 0, 2 },
};

static void
check_semantics(const json_t *c, struct osp_slice in)
{
    static struct osp_msg m;
    bool                  header_ok = false;
    uint16_t              which = 0;
    size_t                left, i = 0;

    EXPECT_OK(decode(c, in, &m, &header_ok));
    check_fields(c, &m);
    check_encodes_to(c, &m, in);
    left = m.opt_count;
    while (i < sizeof(sanitized) / sizeof(sanitized[0]) && strcmp(sanitized[i].id, vec_str(c, "id")) != 0)
        i++;
    if (i == sizeof(sanitized) / sizeof(sanitized[0])) {        /* nothing in it breaks these rules */
        EXPECT_OK(osp_msg_sanitize(&m, &which));
        assert_int_equal(m.opt_count, left);
    } else if (sanitized[i].refused) {
        EXPECT_ERR(OSP_E_UNKNOWN_OPTION, osp_msg_sanitize(&m, &which));
        assert_int_equal(which, sanitized[i].refused);
        assert_int_equal(m.opt_count, left);
        check_fields(c, &m);
        assert_int_equal(strncmp(vec_str(json_object_get(c, "expect"), "as_origin_server"), "4.02", 4), 0);
    } else {
        EXPECT_OK(osp_msg_sanitize(&m, &which));
        assert_int_equal(m.opt_count, sanitized[i].left);
    }
}

/* row P12-P13 (partly: the codec) */
/* [rfc7252#5.4.3] [rfc7252#5.4.5] [rfc7252#5.4.6] */
static void
options_out_of_range_or_supernumerary_count_as_unknown(void **state)
{
    (void)state;
    for_each("semantics", check_semantics);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_messages_decode_and_encode_back),
        cmocka_unit_test(streams_may_be_cut_anywhere),
        cmocka_unit_test(malformed_messages_are_refused_as_listed),
        cmocka_unit_test(options_out_of_range_or_supernumerary_count_as_unknown),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
