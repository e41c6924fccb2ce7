/* SPDX-License-Identifier: BSD-2-Clause */
/* The message layer, one endpoint in virtual time: what cannot be read, and its bounds. */
#include "tests/unit/msg/endpoint_fix.h"

#include "tests/unit/vec.h"

/* ---- what cannot be read ---- */

/* rows M01, M02, M03, M04, M05, M06, K02 */
/* [rfc7252#3] [rfc7252#4.2] [rfc7252#4.3] [rfc8974#2.1] */
static void
every_vector_gets_the_reaction_it_asks_for(void **state)
{
    struct fix *f = *state;
    json_t     *j = vec_load("coap-codec.json"), *v;
    const char *lists[] = { "malformed", "valid" };
    uint8_t     buf[70000];
    size_t      i, checked = 0;

    for (int l = 0; l < 2; l++) {
        json_array_foreach(json_object_get(j, lists[l]), i, v) {
            json_t          *expect = json_object_get(v, "expect");
            const char      *reaction = json_string_value(json_object_get(expect, "reaction"));
            struct osp_slice d = vec_hex(v, "hex", buf, sizeof(buf));

            if (strcmp(vec_str(v, "transport"), "udp") != 0 || !reaction)
                continue;
            if (json_object_get(expect, "needs"))       /* an endpoint without extended tokens: ours has them */
                continue;
            restart(f);
            if (in(f, &f->client, d) != OSP_EV_NONE)
                fail_msg("%s came up", vec_str(v, "id"));
            if (strstr(reaction, "RST with") == reaction) {
                if (f->count != 1 || f->out[0].n != 4 || f->out[0].bytes[0] != 0x70 ||
                    memcmp(f->out[0].bytes + 2, buf + 2, 2) != 0)
                    fail_msg("%s: %s", vec_str(v, "id"), reaction);
                f->count = 0;
            } else if (f->count != 0) {
                fail_msg("%s: %s, but something was sent", vec_str(v, "id"), reaction);
            }
            checked++;
        }
    }
    assert_true(checked > 35);
    /* a ping [rfc7252#4.3] */
    assert_int_equal(in(f, &f->client, osp_slice("\x40\x00\x12\x34", 4)), OSP_EV_NONE);
    EXPECT_BYTES(osp_slice("\x70\x00\x12\x34", 4), osp_slice(f->out[0].bytes, f->out[0].n));
    json_decref(j);
}

/* row K03 */
/* [rfc8974#2.2.2] */
static void
token_that_is_too_long_gets_4_00_and_no_reset(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    char           token[101];
    struct osp_msg m;

    memset(token, 't', 100);
    token[100] = '\0';
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, token, "")), OSP_EV_NONE);
    take(f, &m);
    assert_int_equal(m.type, OSP_ACK);
    assert_int_equal(m.code, OSP_CODE(4, 0));
    assert_int_equal(m.token.n, 100);
}

/* ---- bounds ---- */

static void
full_store_evicts_finished_entries_and_refuses_beyond(void **state)
{
    struct fix    *f = *state;
    uint8_t        buf[1500];
    struct osp_msg m;

    f->cfg.max_messages = 64;
    restart(f);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "t", "")), OSP_EV_REQUEST);
        respond(f, f->ev.handle, "x", (struct osp_respond){ 0 });
        f->count = 0;
    }
    assert_int_equal(osp_ep_stats(f->ep)->messages, 64);
    assert_int_equal(osp_ep_stats(f->ep)->dedup_evicted, 1000 - 64);
    for (int i = 1000; i < 1064; i++)
        assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "t", "")), OSP_EV_REQUEST);
    nothing_sent(f);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 2000, "t", "")), OSP_EV_NONE);
    take(f, &m);
    assert_int_equal(m.code, OSP_CODE(5, 3));
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_NON, OSP_GET, 2001, "t", "")), OSP_EV_NONE);
    nothing_sent(f);
}

static void
open_requests_are_bounded_even_beyond_their_lifetime(void **state)
{
    struct fix        *f = *state;
    struct osp_respond more = { .keep = true };
    uint8_t            buf[1500];
    struct osp_msg     m;

    f->cfg.max_messages = 64;
    restart(f);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "t", "")), OSP_EV_REQUEST);
        respond(f, f->ev.handle, "x", more);
        f->count = 0;
    }
    f->now.us += OSP_SEC(300);
    for (int i = 0; i < 20; i++)        /* the store is empty by now, the observations are not over */
        (void)osp_ep_expire(f->ep, f->now, &f->tx, &f->ev);
    assert_int_equal(osp_ep_stats(f->ep)->messages, 0);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", "")), OSP_EV_NONE);
    take(f, &m);
    assert_int_equal(m.code, OSP_CODE(5, 3));
    osp_ep_dismiss(f->ep, 1, false, f->now, &f->tx);
    assert_int_equal(in(f, &f->client, datagram(buf, OSP_CON, OSP_GET, 7, "t", "")), OSP_EV_REQUEST);
}

static void
no_memory_is_an_answer_not_a_crash(void **state)
{
    struct fix *f = *state;
    uint8_t     buf[1500];
    int         came = 0;

    osp_ep_free(f->ep);
    osp_pool_fini(&f->pool);
    osp_pool_init(&f->pool, 600 * 1024);
    EXPECT_OK(osp_ep_new(&f->cfg, (struct osp_rand){ prng_fill, &f->rng }, &f->pool, f->now, &f->ep));
    for (int i = 0; i < 3000; i++) {
        struct osp_slice d = datagram(buf, OSP_CON, OSP_GET, (uint16_t)i, "a-token-of-some-length-12345678", "");

        f->client.peer.port = (uint16_t)(1000 + i);
        came += in(f, &f->client, d) == OSP_EV_REQUEST;
        f->count = 0;
    }
    assert_in_range(came, 100, 2999);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_vector_gets_the_reaction_it_asks_for),
        T(token_that_is_too_long_gets_4_00_and_no_reset),
        T(full_store_evicts_finished_entries_and_refuses_beyond),
        T(open_requests_are_bounded_even_beyond_their_lifetime),
        T(no_memory_is_an_answer_not_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
