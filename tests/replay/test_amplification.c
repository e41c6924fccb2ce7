/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a flood of spoofed datagrams can make us send to the address they claim to come from: at most three times their
 * bytes of UDP payload, whatever the requests are and whatever the origin says [rfc9175#2.6].
 */
#include "tests/unit/unit.h"

#include "tests/prng.h"
#include "world.h"

#define VICTIM_PORT 40000

static struct world  w;
static uint16_t      next_mid;
static uint8_t       body[1200];
static struct osp_ip victim;
static size_t        spoofed, received;  /* bytes in the victim's name, and bytes that it got */
static size_t        at_once;            /* bytes that it got for the last datagram */
static struct world_out to_victim[64];  /* the newest */
static size_t        got;

static void
limited(struct osp_proxy_cfg *cfg)
{
    cfg->amplification = 3;
}

static int
setup(void **state)
{
    (void)state;
    victim = osp_ip_v4(198, 51, 100, 1);
    spoofed = received = got = 0;
    world_init_forward(&w);
    w.tune = limited;
    world_start(&w);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_stop(&w);
    world_fini(&w);
    return 0;
}

static bool
is_to_victim(const struct world_out *o)
{
    return osp_ip_eq(&o->to.peer.ip, &victim);
}

/* Counts what goes to the victim; the newest request to the origin in *q, false: there was none. */
static bool
sort(struct osp_msg *q)
{
    struct world_out o;
    struct osp_msg   m;
    bool             any = false;

    at_once = 0;
    while (world_take_msg(&w, &o, &m)) {
        if (is_to_victim(&o)) {
            at_once += o.n;
            to_victim[got++ % 64] = o;
        } else if (osp_code_is_request(m.code)) {
            osp_msg_copy(q, &m);
            any = true;
        }
    }
    received += at_once;
    return any;
}

static void
spoof_bytes(struct osp_slice d)
{
    struct osp_flow f = { .sock = WORLD_LISTENER, .local = osp_ip_v4(192, 0, 2, 200) };

    f.peer.ip = victim;
    f.peer.port = VICTIM_PORT;
    spoofed += d.n;
    udp_proxy_input(w.px, w.ep, &f, d, w.now, &w.tx);
    world_run(&w, 0);
}

/* Returns its length. */
static size_t
spoof(struct osp_msg *m)
{
    uint8_t       buf[2048];
    struct osp_wr d = osp_wr_to(buf, sizeof(buf));

    m->mid = ++next_mid;
    EXPECT_OK(osp_msg_encode_udp(m, &d));
    spoof_bytes(osp_wr_slice(&d));
    return d.n;
}

static void
spoof_empty(uint8_t type, uint16_t mid)
{
    uint8_t d[4] = { (uint8_t)(0x40 | type << 4), 0, (uint8_t)(mid >> 8), (uint8_t)mid };

    spoof_bytes(osp_slice(d, 4));
}

static void
request(struct osp_msg *m, uint8_t code)
{
    world_get(m);
    m->code = code;
    m->type = OSP_CON;
    m->token = osp_slice_str("tk");
}

static void
origin_answers(const struct osp_msg *q, uint8_t type, uint8_t code, const char *observe, size_t n)
{
    struct osp_msg r;

    osp_msg_init(&r, code);
    if (observe)
        add(&r, OSP_OPT_OBSERVE, observe);
    r.payload = osp_slice(body, n);
    r.type = type;
    r.mid = type == OSP_ACK ? q->mid : ++next_mid;
    r.token = q->token;
    world_send(&w, 0, 9, 5683, &r);
}

/* ---- the ways in which it was more ---- */

/* 16 bits are guessed: 65,536 empty ACKs made an address verified, and then answers had any length. */
static void
empty_acks_prove_no_address(void **state)
{
    struct osp_msg m, q;

    (void)state;
    request(&m, OSP_GET);
    add(&m, OSP_OPT_OBSERVE, "");
    (void)spoof(&m);
    if (sort(&q)) {
        origin_answers(&q, OSP_ACK, OSP_CODE(2, 5), "\x05", 10);
        origin_answers(&q, OSP_NON, OSP_CODE(2, 5), "\x06", 10);
    }
    request(&m, OSP_POST);              /* its answer comes separately */
    (void)spoof(&m);
    assert_true(sort(&q));
    world_run(&w, OSP_MS(600));
    origin_answers(&q, OSP_ACK, OSP_CODE(2, 4), NULL, 10);
    for (unsigned mid = 0; mid < 65536; mid++)
        spoof_empty(OSP_ACK, (uint16_t)mid);
    (void)sort(&q);
    request(&m, OSP_GET);
    (void)spoof(&m);
    assert_true(sort(&q));
    origin_answers(&q, OSP_ACK, OSP_CODE(2, 5), NULL, 1000);
    (void)sort(&q);
    assert_true(at_once < 40);
}

/* Ten bytes of news every ten seconds, each of them five times. */
static void
spoofed_registration_is_no_observation(void **state)
{
    struct osp_msg         m, q;
    struct osp_proxy_stats s;
    bool                   went_on;

    (void)state;
    request(&m, OSP_GET);
    add(&m, OSP_OPT_OBSERVE, "");
    (void)spoof(&m);
    went_on = sort(&q);
    for (int i = 0; went_on && i < 20; i++) {
        origin_answers(&q, i ? OSP_NON : OSP_ACK, OSP_CODE(2, 5), (const char[]){ (char)(i + 1), 0 }, 100);
        world_run(&w, OSP_SEC(10));
        (void)sort(&m);
    }
    world_run(&w, OSP_SEC(100));
    (void)sort(&q);
    assert_true(received <= 3 * spoofed);
    osp_proxy_stats(w.px, &s);
    assert_int_equal(s.observations, 0);        /* and nothing is kept of it */
    assert_int_equal(s.subjects, 0);
    assert_int_equal(s.errors[OSP_E_UNVERIFIED], 1);
}

/* The table of verified addresses says that somebody there hears us, not that they want this. */
static void
registration_in_the_name_of_a_verified_address_is_asked_too(void **state)
{
    struct osp_msg m, q, r;
    bool           header_ok;

    (void)state;
    request(&m, OSP_GET);
    add(&m, OSP_OPT_OBSERVE, "");
    (void)spoof(&m);
    (void)sort(&q);
    assert_int_equal(got, 1);
    EXPECT_OK(osp_msg_decode_udp(osp_slice(to_victim[0].bytes, to_victim[0].n), &r, &header_ok));
    assert_int_equal(r.code, OSP_CODE(4, 1));
    request(&m, OSP_GET);               /* the real client asks for something with its Echo */
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));
    (void)spoof(&m);
    assert_true(sort(&q));
    origin_answers(&q, OSP_ACK, OSP_CODE(2, 5), NULL, 1000);
    (void)sort(&q);
    assert_true(at_once > 1000);
    request(&m, OSP_GET);
    add(&m, OSP_OPT_OBSERVE, "");
    (void)spoof(&m);
    assert_false(sort(&q));
    assert_true(at_once < 40);
}

/* A Token of one byte is guessed: it neither ends what the real client observes nor stands for an Echo. */
static void
registration_under_a_guessed_token_is_asked(void **state)
{
    struct osp_msg         m, q, r;
    struct osp_proxy_stats s;
    bool                   header_ok;

    (void)state;
    for (int turn = 0; turn < 2; turn++) {      /* without, and with the Echo of the real client */
        request(&m, OSP_GET);
        m.token = osp_slice_str("t");
        add(&m, OSP_OPT_OBSERVE, "");
        if (turn == 1)
            EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));
        (void)spoof(&m);
        assert_int_equal(sort(&q), turn == 1);
        if (turn == 0)
            EXPECT_OK(osp_msg_decode_udp(osp_slice(to_victim[0].bytes, to_victim[0].n), &r, &header_ok));
    }
    origin_answers(&q, OSP_ACK, OSP_CODE(2, 5), "\1", 100);
    (void)sort(&q);
    request(&m, OSP_GET);
    m.token = osp_slice_str("t");
    add(&m, OSP_OPT_OBSERVE, "");
    add(&m, OSP_OPT_URI_QUERY, "large");
    (void)spoof(&m);
    assert_false(sort(&q));
    assert_true(at_once < 60);
    osp_proxy_stats(w.px, &s);
    assert_int_equal(s.observations, 1);
}

/* x 9.9 and x 3.5 where headers below CoAP counted. */
static void
small_requests_get_small_answers(void **state)
{
    static const uint8_t codes[] = { OSP_GET, OSP_POST, OSP_PUT, OSP_FETCH, OSP_DELETE };
    struct osp_msg       m, q;

    (void)state;
    for (size_t c = 0; c < sizeof(codes); c++) {
        for (size_t n = 0; n < 300; n += 7) {
            request(&m, codes[c]);
            m.payload = osp_slice(body, codes[c] == OSP_POST ? 1 : 0);
            spoofed = spoof(&m);
            assert_true(sort(&q));
            origin_answers(&q, OSP_ACK, OSP_CODE(2, 5), NULL, n);
            (void)sort(&q);
            assert_true(at_once > 0 && at_once <= 3 * spoofed);
        }
    }
}

/* A route without a path: five bytes are a whole request, and 15 the most that it may draw. */
static void
request_of_five_bytes_draws_fifteen(void **state)
{
    static const char *const tokens[] = { "", "t", "tk", "tok", "token678" };
    struct osp_msg           m, q, r;
    struct world_out        *o;
    bool                     header_ok;

    (void)state;
    w.policy.reverse = true;
    w.policy.route_count = 1;
    w.routes[0] = (struct osp_route){ .hop = { .to = { .is_ip = true, .ip = osp_ip_v4(192, 0, 2, 9), .port = 5683 } } };
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        for (int late = 0; late < 2; late++) {
            osp_msg_init(&m, OSP_GET);
            m.token = osp_slice_str(tokens[i]);
            add(&m, OSP_OPT_URI_PATH, "");
            spoofed = spoof(&m);
            received = 0;
            assert_true(sort(&q));
            world_run(&w, late ? OSP_MS(600) : 0);
            origin_answers(&q, OSP_ACK, OSP_CODE(2, 5), NULL, 100);
            (void)sort(&q);
            assert_true(received <= 3 * spoofed);
            o = &to_victim[(got - 1) % 64];
            EXPECT_OK(osp_msg_decode_udp(osp_slice(o->bytes, o->n), &r, &header_ok));
            assert_int_equal(r.code, OSP_CODE(4, 1));
            if (late)
                continue;
            EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));       /* and the short one works */
            w.now.us += OSP_SEC(59);
            (void)spoof(&m);
            assert_true(sort(&q));
            origin_answers(&q, OSP_ACK, OSP_CODE(2, 5), NULL, 100);
            (void)sort(&q);
            assert_true(at_once > 100);
            world_run(&w, OSP_SEC(601));
        }
    }
}

/* The answer to a long request is not there for whoever repeats its Message ID in four bytes. */
static void
duplicates_that_are_no_copies_get_nothing(void **state)
{
    struct osp_msg m, q;
    uint8_t        d[8];
    struct osp_wr  wr = osp_wr_to(d, sizeof(d));

    (void)state;
    request(&m, OSP_PUT);
    m.payload = osp_slice(body, 900);
    (void)spoof(&m);
    assert_true(sort(&q));
    origin_answers(&q, OSP_ACK, OSP_CODE(2, 4), NULL, 1000);
    (void)sort(&q);
    assert_true(at_once > 1000);
    osp_msg_init(&m, OSP_PUT);
    m.mid = next_mid - 1;
    EXPECT_OK(osp_msg_encode_udp(&m, &wr));
    for (unsigned i = 0; i < 100; i++) {
        m.mid = (uint16_t)(next_mid - i);
        wr = osp_wr_to(d, sizeof(d));
        EXPECT_OK(osp_msg_encode_udp(&m, &wr));
        spoofed = received = 0;
        spoof_bytes(osp_wr_slice(&wr));
        (void)sort(&q);
        assert_true(received <= 3 * spoofed);
    }
}

/* Errors have a text, and requests that are none are short. */
static void
errors_lose_their_text_before_they_are_too_long(void **state)
{
    static const uint8_t cipher[] = { 1 };
    static const char *const options[] = { "", "\x01", "\x08", "\x09\x05", "\x19\x05\x01x", "\xff" };
    struct osp_msg m, q;

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        for (uint8_t code = 1; code < 8; code++) {
            osp_msg_init(&m, code);
            add(&m, OSP_OPT_OSCORE, options[i]);
            m.payload = osp_slice(cipher, i % 3 == 0 ? 0 : 1);
            spoofed = spoof(&m);
            received = 0;
            (void)sort(&q);
            assert_true(received > 0 && received <= 3 * spoofed);
        }
    }
}

/* ---- any way ---- */

static uint64_t dice;

static unsigned
roll(unsigned sides)
{
    return (unsigned)((prng_next(&dice) >> 33) % sides);
}

static void
add_bytes(struct osp_msg *m, uint16_t num, struct osp_slice value)
{
    EXPECT_OK(osp_msg_add(m, num, value));
}

static void
random_request(struct osp_msg *m)
{
    static const uint16_t extras[] = { OSP_OPT_OBSERVE, OSP_OPT_OSCORE, OSP_OPT_BLOCK1, OSP_OPT_BLOCK2, OSP_OPT_ECHO,
                                       OSP_OPT_NO_RESPONSE, OSP_OPT_ACCEPT, OSP_OPT_REQUEST_TAG, OSP_OPT_HOP_LIMIT };
    static uint8_t        value[12];

    osp_msg_init(m, (uint8_t)(1 + roll(7)));
    m->type = roll(4) ? OSP_CON : OSP_NON;
    m->token = osp_slice(body, roll(9));
    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (uint8_t)(roll(3) ? roll(10) : roll(256));
    if (roll(8)) {
        add(m, OSP_OPT_URI_HOST, "s.example");
        add(m, OSP_OPT_PROXY_SCHEME, "coap");
    }
    if (roll(3))
        add(m, OSP_OPT_URI_PATH, roll(2) ? "x" : ".well-known");
    for (unsigned i = roll(3); i > 0; i--)
        add_bytes(m, extras[roll(sizeof(extras) / sizeof(extras[0]))], osp_slice(value, roll(4) ? roll(4) : roll(12)));
    m->payload = osp_slice(body, roll(3) ? 0 : roll(200));
}

/* The origin answers at once, late, never, several times, in any length. */
static void
random_answers(const struct osp_msg *q)
{
    static const uint8_t codes[] = { OSP_CODE(2, 5), OSP_CODE(2, 4), OSP_CODE(2, 1), OSP_CODE(4, 4), OSP_CODE(5, 0),
                                     OSP_CODE(2, 31), OSP_CODE(4, 1) };
    uint8_t              code = codes[roll(sizeof(codes))];

    world_run(&w, roll(3) ? 0 : OSP_MS(roll(4000)));
    if (roll(6) == 0)
        return;
    origin_answers(q, roll(3) ? OSP_ACK : OSP_NON, code, roll(3) ? NULL : "\x01", roll(sizeof(body)));
    for (unsigned i = roll(3); i > 0; i--)
        origin_answers(q, roll(2) ? OSP_CON : OSP_NON, code, "\x02", roll(sizeof(body)));
}

/* row E02 */
static void
nothing_that_is_spoofed_draws_more_than_three_times_its_bytes(void **state)
{
    struct osp_msg m, q;

    (void)state;
    dice = 9;
    for (unsigned i = 0; i < 3000; i++) {
        victim = osp_ip_v4(198, 51, (uint8_t)(i >> 8), (uint8_t)i);
        spoofed = received = 0;
        random_request(&m);
        (void)spoof(&m);
        if (sort(&q))
            random_answers(&q);
        for (unsigned n = roll(4) ? 0 : roll(4); n > 0; n--)
            spoof_empty(OSP_ACK, to_victim[(got + 63) % 64].bytes[3]);
        world_run(&w, OSP_SEC(250));
        (void)sort(&q);
        if (received > 3 * spoofed)
            fail_msg("request %u: %zu bytes for %zu", i, received, spoofed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(empty_acks_prove_no_address),
        T(spoofed_registration_is_no_observation),
        T(registration_in_the_name_of_a_verified_address_is_asked_too),
        T(registration_under_a_guessed_token_is_asked),
        T(small_requests_get_small_answers),
        T(request_of_five_bytes_draws_fifteen),
        T(duplicates_that_are_no_copies_get_nothing),
        T(errors_lose_their_text_before_they_are_too_long),
        T(nothing_that_is_spoofed_draws_more_than_three_times_its_bytes),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
