/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "msg/msg.h"
#include "msg/txq.h"

#include "tests/prng.h"

static struct osp_msg m, other;
static uint8_t        buf[140000], buf2[140000], filler[70000];

static struct osp_slice
str(const char *s)
{
    return osp_slice_str(s);
}

/* Decodes the hex of one datagram. */
static enum osp_err
udp(const char *hex, bool *header_ok)
{
    size_t n = 0;

    assert_true(osp_hex_decode(str(hex), buf, sizeof(buf), &n));
    return osp_msg_decode_udp(osp_slice(buf, n), &m, header_ok);
}

static void
make_message(void)
{
    osp_msg_init(&m, OSP_POST);
    m.type = OSP_NON;
    m.mid = 0x1234;
    m.token = str("tok");
    m.payload = str("payload");
    EXPECT_OK(osp_msg_add(&m, 60, str("\x10")));
    EXPECT_OK(osp_msg_add(&m, 11, str("a")));
    EXPECT_OK(osp_msg_add(&m, 3, str("host")));
    EXPECT_OK(osp_msg_add(&m, 65000, str("x")));
    EXPECT_OK(osp_msg_add(&m, 11, str("b")));
}

/* ---- header ---- */

/* row M01-M02 (partly: the codec) */
/* [rfc7252#3] [rfc7252#4.2] */
static void
udp_header_is_known_when_a_reset_is_to_be_sent(void **state)
{
    bool ok = true;

    (void)state;
    EXPECT_ERR(OSP_E_FORMAT, udp("", &ok));
    assert_false(ok);
    ok = true;
    EXPECT_ERR(OSP_E_FORMAT, osp_msg_decode_udp(OSP_EMPTY, &m, &ok));
    assert_false(ok);
    ok = true;
    EXPECT_ERR(OSP_E_FORMAT, udp("400112", &ok));
    assert_false(ok);
    ok = true;
    EXPECT_ERR(OSP_E_VERSION, udp("8f01000fff", &ok));
    assert_false(ok);
    EXPECT_ERR(OSP_E_FORMAT, udp("7f45abcd", &ok));
    assert_true(ok);
    assert_int_equal(m.type, OSP_RST);
    assert_int_equal(m.code, 0x45);
    assert_int_equal(m.mid, 0xabcd);
    assert_int_equal(m.token.n, 0);
    EXPECT_ERR(OSP_E_FORMAT, udp("4101abcd77ff", &ok));
    assert_true(ok);
    EXPECT_BYTES(str("w"), m.token);
}

static void
encoding_what_was_decoded_gives_equal_bytes(void **state)
{
    struct osp_wr w = osp_wr_to(buf, sizeof(buf)), w2 = osp_wr_to(buf2, sizeof(buf2));
    bool          ok;

    (void)state;
    make_message();
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    assert_int_equal(w.n, osp_msg_size_udp(&m));
    EXPECT_OK(osp_msg_decode_udp(osp_wr_slice(&w), &other, &ok));
    EXPECT_OK(osp_msg_encode_udp(&other, &w2));
    EXPECT_BYTES(osp_wr_slice(&w), osp_wr_slice(&w2));
    EXPECT_BYTES(str("tok"), other.token);
    EXPECT_BYTES(str("payload"), other.payload);
    assert_int_equal(other.opt_count, 5);
    EXPECT_BYTES(str("a"), other.opts[1].val);
    EXPECT_BYTES(str("b"), other.opts[2].val);
}

static void
encoding_into_too_little_room_is_an_error_at_every_length(void **state)
{
    (void)state;
    make_message();
    for (size_t n = 0; n < osp_msg_size_udp(&m); n++) {
        struct osp_wr w = osp_wr_to(buf, n);

        buf[n] = 0xaa;
        EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_udp(&m, &w));
        assert_true(osp_wr_bad(&w));
        assert_int_equal(buf[n], 0xaa);
    }
    for (size_t n = 0; n < osp_msg_size_udp(&m) - 2; n++) {    /* 2: no message id, but a length */
        struct osp_wr w = osp_wr_to(buf, n);

        buf[n] = 0xaa;
        EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_tcp(&m, &w));
        assert_int_equal(buf[n], 0xaa);
    }
}

/* [rfc8974#2.1] */
static void
tokens_of_every_form_come_back(void **state)
{
    static const size_t lengths[] = { 0, 1, 8, 9, 12, 13, 14, 268, 269, 270, 65803, 65804 };
    size_t              used;
    bool                ok;

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct osp_wr w = osp_wr_to(buf, sizeof(buf));

        osp_msg_init(&m, OSP_GET);
        m.token = osp_slice(filler, lengths[i]);
        EXPECT_OK(osp_msg_encode_udp(&m, &w));
        assert_int_equal(w.n, osp_msg_size_udp(&m));
        EXPECT_OK(osp_msg_decode_udp(osp_wr_slice(&w), &other, &ok));
        assert_int_equal(other.token.n, lengths[i]);
        if (lengths[i] > 0)
            EXPECT_ERR(OSP_E_FORMAT, osp_msg_decode_udp(osp_slice(buf, w.n - 1), &other, &ok));

        w = osp_wr_to(buf, sizeof(buf));
        EXPECT_OK(osp_msg_encode_tcp(&m, &w));
        EXPECT_OK(osp_msg_decode_tcp(osp_wr_slice(&w), sizeof(buf), lengths[i], &other, &used));
        assert_int_equal(other.token.n, lengths[i]);
        if (lengths[i] > 0)
            EXPECT_ERR(OSP_E_FORMAT,
                       osp_msg_decode_tcp(osp_wr_slice(&w), sizeof(buf), lengths[i] - 1, &other, &used));
    }
}

/* row K02 (partly: the codec) */
/* [rfc8974#2.1] Also when bytes for a token of 15 and more are there. */
static void
tkl_15_is_refused_whatever_follows(void **state)
{
    size_t used;
    bool   ok;

    (void)state;
    memset(buf, 0, 400);
    memcpy(buf, "\x4f\x01\x00\x01", 4);
    for (size_t n = 4; n < 400; n++) {
        EXPECT_ERR(OSP_E_FORMAT, osp_msg_decode_udp(osp_slice(buf, n), &m, &ok));
        assert_true(ok);
    }
    buf[0] = 0x0f;
    for (size_t n = 1; n < 400; n++)
        EXPECT_ERR(OSP_E_FORMAT, osp_msg_decode_tcp(osp_slice(buf, n), 1000, 1000, &m, &used));
}

static void
what_no_encoding_can_say_is_refused(void **state)
{
    struct osp_wr w = osp_wr_to(buf, sizeof(buf));

    (void)state;
    osp_msg_init(&m, OSP_GET);
    m.token = osp_slice(filler, OSP_TOKEN_MAX + 1);
    EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_udp(&m, &w));
    assert_true(osp_wr_bad(&w));
    w = osp_wr_to(buf, sizeof(buf));
    EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_tcp(&m, &w));
    m.token = OSP_EMPTY;
    EXPECT_OK(osp_msg_add(&m, 4, osp_slice(filler, 65535 + 269)));
    w = osp_wr_to(buf, sizeof(buf));
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    m.opts[0].val.n++;
    w = osp_wr_to(buf, sizeof(buf));
    EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_udp(&m, &w));
}

/* ---- body ---- */

/* A second decoder, byte by byte, to compare with: options into `opts`, -1 when malformed. */
static int
reference_decode(const uint8_t *p, size_t n, struct osp_opt *opts, struct osp_slice *payload)
{
    size_t   at = 0;
    uint32_t num = 0;
    int      count = 0;

    *payload = OSP_EMPTY;
    while (at < n) {
        uint32_t part[2];

        if (p[at] == 0xff) {
            *payload = osp_slice(p + at + 1, n - at - 1);
            return at + 1 == n ? -1 : count;
        }
        part[0] = p[at] >> 4;
        part[1] = p[at] & 15;
        at++;
        for (int k = 0; k < 2; k++) {
            size_t more = part[k] == 13 ? 1 : part[k] == 14 ? 2 : 0;

            if (part[k] == 15 || n - at < more)
                return -1;
            if (more == 1)
                part[k] = 13u + p[at];
            else if (more == 2)
                part[k] = 269u + (uint32_t)(p[at] << 8 | p[at + 1]);
            at += more;
        }
        num += part[0];
        if (num > 65535 || n - at < part[1])
            return -1;
        if (count == OSP_MSG_OPTS_MAX)
            return -2;
        opts[count].num = (uint16_t)num;
        opts[count++].val = osp_slice(p + at, part[1]);
        at += part[1];
    }
    return count;
}

static uint32_t rng = 1;

static uint32_t
next_random(void)
{
    return prng_xorshift32(&rng);
}

/* Bytes that are often option heads, long forms and markers. */
static uint8_t
likely_byte(void)
{
    static const uint8_t heads[] = { 0x00, 0x01, 0x10, 0x11, 0xd0, 0x0d, 0xdd, 0xe0, 0x0e, 0xee, 0xff, 0xf0, 0x0f, 0xb1,
                                     0xfe, 0xf2, 0xf3, 0xfd };
    uint32_t             r = next_random();

    return r & 0x100 ? heads[(r >> 9) % sizeof(heads)] : (uint8_t)r;
}

static void
compare_with_reference(const uint8_t *p, size_t n)
{
    static struct osp_opt opts[OSP_MSG_OPTS_MAX];
    struct osp_slice      payload;
    int                   want = reference_decode(p, n, opts, &payload);
    enum osp_err          err = osp_msg_decode_body(osp_slice(p, n), &m);

    if (want < 0) {
        assert_true(err == (want == -1 ? OSP_E_FORMAT : OSP_E_OPTION_COUNT));
        return;
    }
    EXPECT_OK(err);
    assert_int_equal(m.opt_count, want);
    for (int i = 0; i < want; i++) {
        assert_int_equal(m.opts[i].num, opts[i].num);
        EXPECT_BYTES(opts[i].val, m.opts[i].val);
    }
    EXPECT_BYTES(payload, m.payload);
}

/* row R02 (partly: options and payload) */
/* [rfc7252#3.1] Input ends where the next page is forbidden: reading a byte too many is a fault. */
static void
decoder_agrees_with_a_second_one_and_reads_nothing_beyond(void **state)
{
    size_t   page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
    rng = 1;
    for (int i = 0; i < 300000; i++) {
        size_t   n = next_random() % (i % 16 ? 12 : 400);
        uint8_t *p = map + page - n;

        for (size_t k = 0; k < n; k++)
            p[k] = likely_byte();
        compare_with_reference(p, n);
    }
    munmap(map, 2 * page);
}

/* [rfc7252#3.1] */
static void
every_delta_and_length_comes_back(void **state)
{
    static const uint32_t edges[] = { 0, 1, 12, 13, 14, 268, 269, 270, 524, 525, 65279, 65534, 65535 };
    const size_t          count = sizeof(edges) / sizeof(edges[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            struct osp_wr w = osp_wr_to(buf, sizeof(buf));

            osp_msg_init(&m, OSP_GET);
            EXPECT_OK(osp_msg_add(&m, (uint16_t)edges[i], osp_slice(filler, edges[k])));
            EXPECT_OK(osp_msg_add(&m, 65535, str("end")));
            EXPECT_OK(osp_msg_encode_body(&m, &w));
            assert_int_equal(w.n, osp_msg_size_body(&m));
            EXPECT_OK(osp_msg_decode_body(osp_wr_slice(&w), &other));
            assert_int_equal(other.opt_count, 2);
            assert_int_equal(other.opts[0].num, edges[i]);
            assert_int_equal(other.opts[0].val.n, edges[k]);
            assert_int_equal(other.opts[1].num, 65535);
            if (w.n < 2000)
                compare_with_reference(buf, w.n);
        }
    }
}

/* [rfc7252#3.1] */
static void
option_numbers_never_wrap_around(void **state)
{
    static const char *const bad[] = { "e0fef3", "e0feff", "e0ff00", "e0fff2", "e0fff3", "e0ffff", "e0fef210",
                                       "e0fef2d000", "e08000e08000", "d000e0fef2" };
    size_t                   n;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(osp_hex_decode(str(bad[i]), buf, sizeof(buf), &n));
        EXPECT_ERR(OSP_E_FORMAT, osp_msg_decode_body(osp_slice(buf, n), &m));
    }
    assert_true(osp_hex_decode(str("e0fef200"), buf, sizeof(buf), &n));     /* 65535 twice */
    EXPECT_OK(osp_msg_decode_body(osp_slice(buf, n), &m));
    assert_int_equal(m.opt_count, 2);
}

static void
the_number_of_options_is_bounded(void **state)
{
    (void)state;
    memset(buf, 0, OSP_MSG_OPTS_MAX + 1);           /* option 0, empty, again and again */
    EXPECT_OK(osp_msg_decode_body(osp_slice(buf, OSP_MSG_OPTS_MAX), &m));
    assert_int_equal(m.opt_count, OSP_MSG_OPTS_MAX);
    EXPECT_ERR(OSP_E_OPTION_COUNT, osp_msg_add(&m, 0, OSP_EMPTY));
    m.opt_count = 3;
    EXPECT_ERR(OSP_E_OPTION_COUNT, osp_msg_decode_body(osp_slice(buf, OSP_MSG_OPTS_MAX + 1), &m));
    assert_int_equal(m.opt_count, 3);
    buf[OSP_MSG_OPTS_MAX] = 0xff;
    buf[OSP_MSG_OPTS_MAX + 1] = 'p';
    EXPECT_OK(osp_msg_decode_body(osp_slice(buf, OSP_MSG_OPTS_MAX + 2), &m));
    EXPECT_BYTES(str("p"), m.payload);
}

static void
an_empty_body_is_no_options_and_no_payload(void **state)
{
    (void)state;
    make_message();
    EXPECT_OK(osp_msg_decode_body(OSP_EMPTY, &m));
    assert_int_equal(m.opt_count, 0);
    assert_int_equal(m.payload.n, 0);
}

/* ---- TCP ---- */

static enum osp_err
tcp(const char *hex, size_t max_size, size_t max_token, size_t *used)
{
    size_t n = 0;

    assert_true(osp_hex_decode(str(hex), buf, sizeof(buf), &n));
    return osp_msg_decode_tcp(osp_slice(buf, n), max_size, max_token, &m, used);
}

/* row T08 (partly: the codec) */
/* [rfc8323#3.2] What is refused is refused before the rest is there. */
static void
tcp_sizes_are_judged_from_the_header_alone(void **state)
{
    size_t used = 99;

    (void)state;
    EXPECT_ERR(OSP_E_TOO_LARGE, tcp("f0ffffffff", 1152, 8, &used));
    EXPECT_ERR(OSP_E_TOO_LARGE, tcp("f0ffffffff01", UINT32_MAX, 8, &used));
    EXPECT_ERR(OSP_E_TOO_LARGE, tcp("50", 6, 8, &used));
    EXPECT_ERR(OSP_E_INCOMPLETE, tcp("50", 7, 8, &used));
    EXPECT_ERR(OSP_E_TOO_LARGE, tcp("5101", 7, 8, &used));             /* the token is one too many */
    EXPECT_ERR(OSP_E_INCOMPLETE, tcp("5101", 8, 8, &used));
    EXPECT_ERR(OSP_E_TOO_LARGE, tcp("0e01ffff", 65000, 70000, &used));
    EXPECT_ERR(OSP_E_FORMAT, tcp("0e01ffff", 65000, 8, &used));
    EXPECT_ERR(OSP_E_FORMAT, tcp("ff", 65000, 8, &used));
    EXPECT_ERR(OSP_E_FORMAT, tcp("0901", 65000, 8, &used));
    assert_int_equal(used, 99);
}

/* [rfc8323#3.4] */
static void
tcp_empty_message_has_no_bytes(void **state)
{
    size_t used = 0;

    (void)state;
    EXPECT_OK(tcp("0000", 100, 8, &used));
    assert_int_equal(used, 2);
    EXPECT_ERR(OSP_E_FORMAT, tcp("010042", 100, 8, &used));
    EXPECT_ERR(OSP_E_FORMAT, tcp("1000b0", 100, 8, &used));
    EXPECT_ERR(OSP_E_INCOMPLETE, osp_msg_decode_tcp(OSP_EMPTY, 100, 8, &m, &used));
    EXPECT_ERR(OSP_E_INCOMPLETE, tcp("00", 100, 8, &used));
}

/* row T07 (partly: the codec) */
/* [rfc8323#3.2] */
static void
tcp_takes_one_message_and_says_how_long_it_was(void **state)
{
    static const size_t sizes[] = { 0, 1, 10, 11, 12, 13, 266, 267, 268, 269, 65802, 65803, 65804, 65805, 65806 };
    size_t              used;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct osp_wr w = osp_wr_to(buf, sizeof(buf));
        size_t        first;

        osp_msg_init(&m, OSP_CODE(2, 5));
        m.token = str("tk");
        m.payload = osp_slice(filler, sizes[i]);
        EXPECT_OK(osp_msg_encode_tcp(&m, &w));
        first = w.n;
        m.payload = str("second");
        EXPECT_OK(osp_msg_encode_tcp(&m, &w));
        EXPECT_OK(osp_msg_decode_tcp(osp_wr_slice(&w), 70000, 8, &other, &used));
        assert_int_equal(used, first);
        assert_int_equal(other.payload.n, sizes[i]);
        EXPECT_ERR(OSP_E_TOO_LARGE, osp_msg_decode_tcp(osp_wr_slice(&w), first - 1, 8, &other, &used));
        EXPECT_OK(osp_msg_decode_tcp(osp_slice_tail(osp_wr_slice(&w), used), 70000, 8, &other, &used));
        EXPECT_BYTES(str("second"), other.payload);
    }
}

/* ---- options of a message ---- */

static void
options_stay_ascending_and_keep_their_order_within_a_number(void **state)
{
    static const uint16_t want[] = { 3, 11, 11, 60, 65000 };

    (void)state;
    make_message();
    assert_int_equal(m.opt_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(m.opts[i].num, want[i]);
    EXPECT_BYTES(str("a"), m.opts[1].val);
    EXPECT_BYTES(str("b"), m.opts[2].val);
}

static void
get_finds_the_first_or_nothing(void **state)
{
    (void)state;
    make_message();
    EXPECT_BYTES(str("a"), osp_msg_get(&m, 11)->val);
    EXPECT_BYTES(str("x"), osp_msg_get(&m, 65000)->val);
    assert_null(osp_msg_get(&m, 0));
    assert_null(osp_msg_get(&m, 12));
    assert_null(osp_msg_get(&m, 65535));
    assert_true(osp_msg_has(&m, 3));
    assert_false(osp_msg_has(&m, 4));
    osp_msg_init(&m, OSP_GET);
    assert_null(osp_msg_get(&m, 3));
}

static void
remove_takes_all_of_a_number_and_nothing_else(void **state)
{
    (void)state;
    make_message();
    osp_msg_remove(&m, 12);
    assert_int_equal(m.opt_count, 5);
    osp_msg_remove(&m, 11);
    assert_int_equal(m.opt_count, 3);
    assert_int_equal(m.opts[1].num, 60);
    osp_msg_remove_at(&m, 2);
    osp_msg_remove_at(&m, 0);
    assert_int_equal(m.opt_count, 1);
    assert_int_equal(m.opts[0].num, 60);
    osp_msg_remove(&m, 60);
    osp_msg_remove(&m, 60);
    assert_int_equal(m.opt_count, 0);
}

static void
a_copy_has_the_same_fields_and_is_independent(void **state)
{
    struct osp_wr w = osp_wr_to(buf, sizeof(buf)), w2 = osp_wr_to(buf2, sizeof(buf2));

    (void)state;
    make_message();
    osp_msg_copy(&other, &m);
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    osp_msg_remove(&m, 11);
    EXPECT_OK(osp_msg_encode_udp(&other, &w2));
    EXPECT_BYTES(osp_wr_slice(&w), osp_wr_slice(&w2));
    osp_msg_copy(&other, &other);
    assert_int_equal(other.opt_count, 5);
}

static void
codes_are_printed_with_their_phrase(void **state)
{
    static const struct { uint8_t code; const char *text, *phrase; } cases[] = {
        { 0, "0.00", "Empty" },
        { OSP_GET, "0.01", "GET" },
        { OSP_IPATCH, "0.07", "iPATCH" },
        { 8, "0.08", NULL },
        { OSP_CODE(2, 5), "2.05", "Content" },
        { OSP_CODE(2, 31), "2.31", "Continue" },
        { OSP_CODE(4, 29), "4.29", "Too Many Requests" },
        { OSP_CODE(5, 8), "5.08", "Hop Limit Reached" },
        { OSP_CODE(7, 0), "7.00", NULL },
        { OSP_CODE(7, 1), "7.01", "CSM" },
        { OSP_CODE(7, 5), "7.05", "Abort" },
        { 255, "7.31", NULL },
    };
    char        text[8];
    const char *phrase;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        osp_code_print(cases[i].code, text, &phrase);
        assert_string_equal(text, cases[i].text);
        if (cases[i].phrase)
            assert_string_equal(phrase, cases[i].phrase);
        else
            assert_null(phrase);
        osp_code_print(cases[i].code, text, NULL);
    }
    assert_true(osp_code_is_request(1) && osp_code_is_request(31));
    assert_false(osp_code_is_request(0) || osp_code_is_request(32));
    assert_true(osp_code_is_response(64) && osp_code_is_response(191));
    assert_false(osp_code_is_response(63) || osp_code_is_response(192));
}

/* ---- txq ---- */

static const struct osp_flow to = { .peer = { .port = 5683 } };

static void
txq_queues_until_full_and_counts_the_rest(void **state)
{
    struct osp_txq q;

    (void)state;
    EXPECT_OK(osp_txq_init(&q, 3, 10));
    assert_false(osp_txq_is_low(&q, 2, 5));
    assert_true(osp_txq_is_low(&q, 3, 5));
    assert_true(osp_txq_is_low(&q, 4, 1));
    assert_false(osp_txq_is_low(&q, 3, 0));
    assert_true(osp_txq_is_low(&q, 2, SIZE_MAX));
    osp_txq_put(&q, str("abcd"), &to);
    osp_txq_put(&q, str("efgh"), &to);
    osp_txq_put(&q, str("ijk"), &to);           /* one byte too many */
    assert_int_equal(q.count, 2);
    assert_int_equal(q.dropped, 1);
    osp_txq_put(&q, str("ij"), &to);
    osp_txq_put(&q, OSP_EMPTY, &to);            /* no item left */
    assert_int_equal(q.count, 3);
    assert_int_equal(q.dropped, 2);
    EXPECT_BYTES(str("abcd"), q.items[0].bytes);
    EXPECT_BYTES(str("efgh"), q.items[1].bytes);
    EXPECT_BYTES(str("ij"), q.items[2].bytes);
    assert_int_equal(q.items[2].to.peer.port, 5683);
    assert_int_equal(osp_txq_begin(&q, 100).cap, 0);
    osp_txq_reset(&q);
    assert_int_equal(osp_txq_begin(&q, 100).cap, 10);
    assert_int_equal(osp_txq_begin(&q, 4).cap, 4);
    assert_int_equal(q.dropped, 2);
    for (int i = 0; i < 3; i++)
        osp_txq_put(&q, str("a"), &to);
    assert_int_equal(osp_txq_begin(&q, 100).cap, 0);    /* bytes are left, items are not */
    osp_txq_fini(&q);
}

static void
txq_drops_a_message_that_was_cut(void **state)
{
    struct osp_txq q;
    struct osp_wr  w;

    (void)state;
    EXPECT_OK(osp_txq_init(&q, 3, 100));
    make_message();
    w = osp_txq_begin(&q, 10);
    EXPECT_ERR(OSP_E_NOSPACE, osp_msg_encode_udp(&m, &w));
    osp_txq_commit(&q, &w, &to);
    assert_int_equal(q.count, 0);
    assert_int_equal(q.used, 0);
    assert_int_equal(q.dropped, 1);
    w = osp_txq_begin(&q, 100);
    EXPECT_OK(osp_msg_encode_udp(&m, &w));
    osp_txq_commit(&q, &w, &to);
    assert_int_equal(q.count, 1);
    assert_int_equal(q.items[0].bytes.n, osp_msg_size_udp(&m));
    osp_txq_fini(&q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_header_is_known_when_a_reset_is_to_be_sent),
        cmocka_unit_test(encoding_what_was_decoded_gives_equal_bytes),
        cmocka_unit_test(encoding_into_too_little_room_is_an_error_at_every_length),
        cmocka_unit_test(tokens_of_every_form_come_back),
        cmocka_unit_test(tkl_15_is_refused_whatever_follows),
        cmocka_unit_test(what_no_encoding_can_say_is_refused),
        cmocka_unit_test(decoder_agrees_with_a_second_one_and_reads_nothing_beyond),
        cmocka_unit_test(every_delta_and_length_comes_back),
        cmocka_unit_test(option_numbers_never_wrap_around),
        cmocka_unit_test(the_number_of_options_is_bounded),
        cmocka_unit_test(an_empty_body_is_no_options_and_no_payload),
        cmocka_unit_test(tcp_sizes_are_judged_from_the_header_alone),
        cmocka_unit_test(tcp_empty_message_has_no_bytes),
        cmocka_unit_test(tcp_takes_one_message_and_says_how_long_it_was),
        cmocka_unit_test(options_stay_ascending_and_keep_their_order_within_a_number),
        cmocka_unit_test(get_finds_the_first_or_nothing),
        cmocka_unit_test(remove_takes_all_of_a_number_and_nothing_else),
        cmocka_unit_test(a_copy_has_the_same_fields_and_is_independent),
        cmocka_unit_test(codes_are_printed_with_their_phrase),
        cmocka_unit_test(txq_queues_until_full_and_counts_the_rest),
        cmocka_unit_test(txq_drops_a_message_that_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
