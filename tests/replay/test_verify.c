/* SPDX-License-Identifier: BSD-2-Clause */
/* What an address gets before somebody there has proven to hear us [rfc9175#2.4] [rfc9175#2.6]. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "msg/block.h"
#include "world.h"

static struct world      w;
static struct osp_cache *cache;
static uint16_t          next_mid;
static uint8_t           body[1000];
static struct osp_ip     client;

static void
limited(struct osp_proxy_cfg *cfg)
{
    cfg->amplification = 3;
    w.ep_cfg.max_token = 8;
}

static int
setup(void **state)
{
    struct osp_cache_cfg cfg;

    (void)state;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)(i * 7 + i / 256);
    client = osp_ip_v4(198, 51, 100, 1);
    world_init_forward(&w);
    w.tune = limited;
    osp_cache_cfg_default(&cfg);
    cfg.bytes = 1 << 20;
    EXPECT_OK(osp_cache_new(&cfg, (struct osp_hash_key){ 5, 6 }, &cache));
    w.policy.cache = cache;
    world_start(&w);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_run(&w, OSP_SEC(700));
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
    osp_cache_free(cache);
    return 0;
}

static void
request(struct osp_msg *m, uint8_t code, const char *path)
{
    osp_msg_init(m, code);
    m->token = osp_slice_str("tk");
    add(m, OSP_OPT_URI_HOST, "s.example");
    add(m, OSP_OPT_URI_PATH, path);
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
}

static size_t sent;                     /* bytes of the last request */

static void
send(struct osp_msg *m)
{
    uint8_t         buf[2048];
    struct osp_wr   d = osp_wr_to(buf, sizeof(buf));
    struct osp_flow f = { .sock = WORLD_LISTENER, .local = osp_ip_v4(192, 0, 2, 200) };

    m->mid = ++next_mid;
    EXPECT_OK(osp_msg_encode_udp(m, &d));
    sent = d.n;
    f.peer.ip = client;
    f.peer.port = 40000;
    udp_proxy_input(w.px, w.ep, &f, osp_wr_slice(&d), w.now, &w.tx);
    world_run(&w, 0);
}

static struct world_out last;

static void
take(struct osp_msg *m)
{
    last = world_next(&w, m);
}

static bool origin_seals;               /* its answer has an OSCORE option */

static bool origin_has_a_long_location;

static void
origin_answers(uint8_t code, size_t n, const char *etag, const struct osp_msg *q)
{
    struct osp_msg r;

    osp_msg_init(&r, code);
    if (etag)
        add(&r, OSP_OPT_ETAG, etag);
    if (origin_seals)
        add(&r, OSP_OPT_OSCORE, "");
    for (int i = 0; i < 20 && origin_has_a_long_location; i++)
        add(&r, OSP_OPT_LOCATION_PATH, "a segment of a very long path");
    r.payload = osp_slice(body, n);
    r.type = OSP_ACK;
    r.mid = q->mid;
    r.token = q->token;
    world_send(&w, 0, 9, 5683, &r);
}

/* The origin answers what was sent on. */
static void
origin_says(uint8_t code, size_t n, const char *etag, struct osp_msg *q)
{
    take(q);
    assert_int_equal(last.to.sock, 0);
    origin_answers(code, n, etag, q);
}

static void
expect(struct osp_msg *r, uint8_t code)
{
    take(r);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    if (r->code != code)
        fail_msg("answered %u.%02u, want %u.%02u", r->code >> 5, r->code & 31, code >> 5, code & 31);
    if (code != OSP_CODE(4, 1))
        return;
    assert_true(osp_msg_has(r, OSP_OPT_ECHO));
    assert_true(last.n <= 3 * sent);
    assert_int_equal(r->payload.n, 0);
}

/* GET `m` for `path`; the origin answers `q` with `n` bytes, and what the client gets is `r` with this code. */
static void
get(struct osp_msg *m, const char *path, size_t n, struct osp_msg *q, struct osp_msg *r, uint8_t code)
{
    request(m, OSP_GET, path);
    send(m);
    origin_says(OSP_CODE(2, 5), n, NULL, q);
    expect(r, code);
}

/* row E02 */
static void
long_answer_waits_for_an_echo_once(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    get(&m, "x", 1000, &q, &r, OSP_CODE(4, 1));
    request(&m, OSP_GET, "x");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));
    send(&m);                           /* from the cache now: an Echo of ours is no challenge answered */
    expect(&r, OSP_CODE(2, 5));
    assert_int_equal(r.payload.n, 1000);
    request(&m, OSP_GET, "x");          /* and the address is known */
    send(&m);
    expect(&r, OSP_CODE(2, 5));
    world_run(&w, OSP_SEC(601));        /* for some time */
    send(&m);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    expect(&r, OSP_CODE(4, 1));
}

/* row E01 */
/* [rfc9175#2.3] */
static void
own_echo_goes_no_further_and_others_do(void **state)
{
    struct osp_msg m, q, r;
    uint8_t        value[12];

    (void)state;
    get(&m, "x", 1000, &q, &r, OSP_CODE(4, 1));
    assert_int_equal(osp_msg_get(&r, OSP_OPT_ECHO)->val.n, sizeof(value));
    memcpy(value, osp_msg_get(&r, OSP_OPT_ECHO)->val.p, sizeof(value));
    request(&m, OSP_GET, "y");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(value, sizeof(value))));
    send(&m);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    assert_false(osp_msg_has(&q, OSP_OPT_ECHO));
    expect(&r, OSP_CODE(2, 5));
    for (size_t i = 0; i < sizeof(value); i++) {        /* not ours: to the origin, and no proof */
        client = osp_ip_v4(198, 51, 100, (uint8_t)(100 + i));
        value[i] ^= 1;
        request(&m, OSP_GET, "z");
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(value, sizeof(value))));
        send(&m);
        origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
        EXPECT_BYTES(osp_slice(value, sizeof(value)), osp_msg_get(&q, OSP_OPT_ECHO)->val);
        expect(&r, OSP_CODE(4, 1));
        value[i] ^= 1;
    }
    client = osp_ip_v4(198, 51, 100, 2);                /* of another address */
    request(&m, OSP_GET, "z");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(value, sizeof(value))));
    send(&m);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    assert_true(osp_msg_has(&q, OSP_OPT_ECHO));
    expect(&r, OSP_CODE(4, 1));
}

static void
old_echo_proves_nothing_and_goes_no_further(void **state)
{
    struct osp_msg m, q, r;
    uint8_t        value[12];

    (void)state;
    get(&m, "x", 1000, &q, &r, OSP_CODE(4, 1));
    memcpy(value, osp_msg_get(&r, OSP_OPT_ECHO)->val.p, sizeof(value));
    world_run(&w, OSP_SEC(249));
    request(&m, OSP_GET, "x");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(value, sizeof(value))));
    send(&m);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    assert_false(osp_msg_has(&q, OSP_OPT_ECHO));
    expect(&r, OSP_CODE(4, 1));
    assert_false(osp_slice_eq(osp_slice(value, sizeof(value)), osp_msg_get(&r, OSP_OPT_ECHO)->val));
}

/* What is sent and what comes back, in bytes of UDP payload: at most three times. */
static void
short_answers_come_at_once(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    for (size_t n = 10; n < 400; n += 10) {
        char path[8] = { 'p', (char)('a' + n / 100), (char)('a' + n / 10 % 10), 0 };

        request(&m, OSP_GET, path);
        send(&m);
        origin_says(OSP_CODE(2, 5), n, NULL, &q);
        take(&r);
        assert_true(last.n <= 3 * sent);
        assert_int_equal(r.code == OSP_CODE(2, 5), n + 4 + 2 + 1 <= 3 * sent);
    }
}

static void
client_says(uint8_t type, uint16_t mid)
{
    uint8_t         d[4] = { (uint8_t)(0x40 | type << 4), 0, (uint8_t)(mid >> 8), (uint8_t)mid };
    struct osp_flow f = { .sock = WORLD_LISTENER, .local = osp_ip_v4(192, 0, 2, 200) };

    f.peer.ip = client;
    f.peer.port = 40000;
    udp_proxy_input(w.px, w.ep, &f, osp_slice(d, 4), w.now, &w.tx);
    world_run(&w, 0);
}

static void
origin_notifies(struct osp_slice token, uint8_t type, uint16_t mid, const char *number, size_t n)
{
    struct osp_msg r;

    osp_msg_init(&r, OSP_CODE(2, 5));
    r.type = type;
    r.mid = mid;
    r.token = token;
    add(&r, OSP_OPT_OBSERVE, number);
    add(&r, OSP_OPT_MAX_AGE, "\x10\x10");
    r.payload = osp_slice(body, n);
    world_send(&w, 0, 9, 5683, &r);
}

/* Who has registered with an Echo is asked no more, however late the next notification comes and long it is. */
static void
observer_is_verified_as_long_as_it_observes(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    request(&m, OSP_GET, "t");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, OSP_EMPTY));
    send(&m);
    expect(&r, OSP_CODE(4, 1));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));
    send(&m);
    take(&q);
    assert_false(osp_msg_has(&q, OSP_OPT_ECHO));
    origin_notifies(q.token, OSP_ACK, q.mid, "\x05", 10);
    expect(&r, OSP_CODE(2, 5));
    origin_notifies(q.token, OSP_NON, 1, "\x06", 20);
    expect(&r, OSP_CODE(2, 5));
    assert_int_equal(r.type, OSP_CON);
    world_run(&w, OSP_MS(50));
    client_says(OSP_ACK, r.mid);
    world_run(&w, OSP_SEC(3600));               /* any other proof is out of date by then */
    origin_notifies(q.token, OSP_NON, 2, "\x07", 900);
    expect(&r, OSP_CODE(2, 5));
    assert_true(osp_msg_has(&r, OSP_OPT_OBSERVE));
    assert_int_equal(r.payload.n, 900);
    client_says(OSP_RST, r.mid);
    take(&r);                                   /* the origin is told */
    assert_int_equal(last.to.sock, 0);
}

/* An executed request is not asked for again: its answer comes in blocks that are small enough. */
static void
answer_to_an_unsafe_request_comes_in_small_blocks(void **state)
{
    static uint8_t   got[1200];
    struct osp_wr    all = osp_wr_to(got, sizeof(got));
    struct osp_block b = { 0 };
    struct osp_msg   m, q, r;
    bool             has = false;

    (void)state;
    request(&m, OSP_POST, "x");
    send(&m);
    origin_says(OSP_CODE(2, 4), 1000, NULL, &q);
    for (;;) {
        expect(&r, OSP_CODE(2, 4));
        assert_true(last.n <= 3 * sent);
        EXPECT_OK(osp_block_get(&r, OSP_OPT_BLOCK2, &has, &b));
        assert_true(has);
        EXPECT_OK(osp_body_add(&all, &b, r.payload));
        if (!b.more)
            break;
        request(&m, OSP_POST, "x");
        {
            uint8_t          value[3];
            struct osp_block next = { b.num + 1, false, b.szx };

            EXPECT_OK(osp_msg_add(&m, OSP_OPT_BLOCK2, osp_block_make(&next, value)));
            send(&m);
        }
    }
    EXPECT_BYTES(osp_slice(body, 1000), osp_wr_slice(&all));
}

/* [rfc9175#2.4] An executed request is answered also when the answer comes late, and not five times as much then. */
static void
late_answer_to_an_unsafe_request_comes_once(void **state)
{
    static const size_t len[] = { 0, 60, 1000 };
    struct osp_msg      m, q, r;
    size_t              all;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        request(&m, OSP_POST, "x");
        send(&m);
        take(&q);
        assert_int_equal(last.to.sock, 0);
        world_run(&w, OSP_MS(600));     /* acknowledged in the meantime */
        take(&r);
        assert_int_equal(last.n, 4);
        origin_answers(OSP_CODE(2, 4), len[i], NULL, &q);
        expect(&r, OSP_CODE(2, 4));
        assert_true(len[i] == 0 || r.payload.n > 0);
        all = 4 + last.n;
        world_run(&w, OSP_SEC(100));
        while (world_take(&w, &last))
            all += last.n;
        assert_true(all <= 3 * sent);
    }
    request(&m, OSP_POST, "x");         /* so does an error */
    send(&m);
    take(&q);
    world_run(&w, OSP_SEC(100));
    do
        take(&r);
    while (last.to.sock == 0 || r.code == 0);
    assert_int_equal(r.code, OSP_CODE(5, 4));
}

/* What is around a block counts too. */
static void
options_of_an_answer_cannot_be_cut(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    request(&m, OSP_POST, "x");
    send(&m);
    origin_has_a_long_location = true;
    origin_says(OSP_CODE(2, 1), 100, NULL, &q);
    origin_has_a_long_location = false;
    take(&r);
    assert_int_equal(last.to.sock, WORLD_LISTENER);
    assert_true(last.n <= 3 * sent);
    assert_int_equal(r.code, OSP_CODE(5, 2));
}

/* [rfc9175#2.4] never in a message that is repeated; and an answer that would be counts as often */
static void
challenge_is_not_repeated(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    request(&m, OSP_GET, "x");
    send(&m);
    world_run(&w, OSP_MS(600));         /* acknowledged in the meantime */
    w.out_count--;
    {
        struct world_out ack = w.out[1];
        assert_int_equal(ack.n, 4);
    }
    origin_says(OSP_CODE(2, 5), 100, NULL, &q);         /* short enough, but not five times */
    take(&r);
    assert_int_equal(r.code, OSP_CODE(4, 1));
    assert_int_equal(r.type, OSP_NON);
    world_run(&w, OSP_SEC(100));
    assert_false(world_take(&w, &last));
}

static void
private_addresses_are_not_asked(void **state)
{
    static const uint8_t near[][4] = { { 10, 1, 2, 3 }, { 172, 31, 0, 1 }, { 192, 168, 7, 7 }, { 127, 0, 0, 1 },
                                       { 169, 254, 1, 1 } };
    struct osp_msg       m, q, r;

    (void)state;
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        client = osp_ip_v4(near[i][0], near[i][1], near[i][2], near[i][3]);
        request(&m, OSP_PUT, "x");
        send(&m);
        origin_says(OSP_CODE(2, 4), 1000, NULL, &q);
        expect(&r, OSP_CODE(2, 4));
        assert_int_equal(r.payload.n, 1000);
    }
    client = osp_ip_v4(172, 32, 0, 1);
    get(&m, "x", 1000, &q, &r, OSP_CODE(4, 1));
}

/* Who pretends to be the origin, or is in league with it, can make an answer look protected. */
static void
answer_that_looks_like_oscore_is_no_exception(void **state)
{
    static const uint8_t codes[] = { OSP_FETCH, OSP_POST };
    struct osp_msg       m, q, r;

    (void)state;
    for (int i = 0; i < 4; i++) {       /* an ordinary OSCORE request, and a deterministic one, which anybody may repeat */
        request(&m, codes[i % 2], i % 2 ? "x" : "y");
        add(&m, OSP_OPT_OSCORE, "\x09\x05" "C");
        if (i > 1)
            add(&m, OSP_OPT_REQUEST_HASH, "hash");
        m.payload = osp_slice(body, 20);
        send(&m);
        origin_seals = true;
        origin_says(i % 2 ? OSP_CODE(2, 4) : OSP_CODE(2, 5), 1000, NULL, &q);
        origin_seals = false;
        expect(&r, i % 2 ? OSP_CODE(2, 4) : OSP_CODE(4, 1));
        assert_true(last.n <= 3 * sent);
    }
}

/* The table of verified addresses is small: who falls into the place of another is not verified by that. */
static void
others_in_the_same_place_are_not_verified(void **state)
{
    struct osp_msg m, q, r;

    (void)state;
    get(&m, "x", 1000, &q, &r, OSP_CODE(4, 1));
    request(&m, OSP_GET, "x");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));
    send(&m);
    expect(&r, OSP_CODE(2, 5));
    for (unsigned i = 0; i < 30000; i++) {
        client = osp_ip_v4(203, 0, (uint8_t)(i >> 8), (uint8_t)i);
        request(&m, OSP_GET, "x");
        send(&m);
        expect(&r, OSP_CODE(4, 1));
    }
}

/* docs/configuration.md: an address that was proven is not asked again for ten minutes. */
static void
proven_address_is_not_asked_for_ten_minutes(void **state)
{
    struct osp_msg  m, q, r;
    struct osp_time proven;

    (void)state;
    request(&m, OSP_GET, "x");
    send(&m);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    expect(&r, OSP_CODE(4, 1));
    request(&m, OSP_GET, "x");
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_msg_get(&r, OSP_OPT_ECHO)->val));
    proven = w.now;
    send(&m);
    expect(&r, OSP_CODE(2, 5));
    world_run(&w, proven.us + OSP_SEC(600) - 1000 - w.now.us);
    request(&m, OSP_GET, "x");
    send(&m);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    expect(&r, OSP_CODE(2, 5));
    world_run(&w, proven.us + OSP_SEC(600) - w.now.us);
    request(&m, OSP_GET, "y");
    send(&m);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    expect(&r, OSP_CODE(4, 1));
}

/* What came off a layer is from somebody who knows a key, and is answered in full. */
static void
clients_with_a_context_are_not_asked(void **state)
{
    static const char            secret[] = "000102030405060708090a0b0c0d0e0f";
    uint8_t                      key[16], buf[2048];
    struct osp_wr                wr = osp_wr_to(buf, sizeof(buf));
    struct osp_octx_params       p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .sender_id = osp_slice_str("C"),
                                       .recipient_id = osp_slice_str("P") };
    struct osp_crypto           *cr;
    struct osp_octx             *c;
    struct osp_layer             l;
    struct osp_msg               m, out, q, r;
    size_t                       n;

    (void)state;
    world_context(&w, secret, "", "50", "43", 0);
    assert_true(osp_hex_decode(osp_slice_str(secret), key, 16, &n));
    p.master_secret = osp_slice(key, 16);
    EXPECT_OK(osp_crypto_new(&cr));
    EXPECT_OK(osp_octx_new(&p, &c));
    osp_octx_grant(c, 0, 1000);
    request(&m, OSP_GET, "x");
    world_protect(cr, c, &m, &wr, &out, &l);
    out.token = osp_slice_str("tk");
    send(&out);
    origin_says(OSP_CODE(2, 5), 1000, NULL, &q);
    expect(&r, OSP_CODE(2, 4));
    assert_true(r.payload.n > 1000);
    osp_layer_fini(&l);
    osp_octx_unref(c);
    osp_crypto_free(cr);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(long_answer_waits_for_an_echo_once),
        T(own_echo_goes_no_further_and_others_do),
        T(old_echo_proves_nothing_and_goes_no_further),
        T(short_answers_come_at_once),
        T(observer_is_verified_as_long_as_it_observes),
        T(answer_to_an_unsafe_request_comes_in_small_blocks),
        T(late_answer_to_an_unsafe_request_comes_once),
        T(options_of_an_answer_cannot_be_cut),
        T(challenge_is_not_repeated),
        T(others_in_the_same_place_are_not_verified),
        T(proven_address_is_not_asked_for_ten_minutes),
        T(clients_with_a_context_are_not_asked),
        T(private_addresses_are_not_asked),
        T(answer_that_looks_like_oscore_is_no_exception),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
