/* SPDX-License-Identifier: BSD-2-Clause */
/* Deterministic requests and the cache, in virtual time: which of them are equal, and what becomes of their responses. */
#include "caching_world.h"

/* ---- deterministic requests [cacheable#3] ---- */

/* A deterministic request as the proxy sees it: FETCH, OSCORE, Request-Hash, ciphertext. */
static struct osp_msg *
deterministic(struct osp_msg *m, const char *hash, const char *sealed)
{
    world_request(m, OSP_FETCH, OSP_CON, ++next_mid);
    add(m, OSP_OPT_URI_HOST, "s.example");
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
    add(m, OSP_OPT_OSCORE, "\x19\x01\x02" "Gi" "dc");
    add(m, OSP_OPT_REQUEST_HASH, hash);
    m->payload = osp_slice_str(sealed);
    return m;
}

/* rows D01, D02, D03, D04, D10, D11 */
/* [cacheable#3.4.4] */
static void
equal_deterministic_request_of_another_client_is_a_hit(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "sealed answer", 40);
    add(&reply, OSP_OPT_OSCORE, "\x29\x07" "s");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_false(osp_msg_has(&at_origin, OSP_OPT_OBSERVE));
    EXPECT_BYTES(osp_slice_str("hash-1"), osp_msg_get(&at_origin, OSP_OPT_REQUEST_HASH)->val);
    world_run(&w, OSP_SEC(10));
    m.token = osp_slice_str("another");
    m.mid = ++next_mid;
    exchange_from(2, &m, &a);
    assert_int_equal(asked, 1);
    EXPECT_BYTES(osp_slice_str("sealed answer"), a.payload);
    EXPECT_BYTES(osp_slice_str("\x29\x07" "s"), osp_msg_get(&a, OSP_OPT_OSCORE)->val);
    assert_in_range(max_age(&a), 29, 30);
    exchange(deterministic(&m, "hash-2", "sealed-1"), &a);
    assert_int_equal(asked, 2);
    exchange(deterministic(&m, "hash-1", "forged"), &a);        /* a known hash over another payload */
    assert_int_equal(asked, 3);
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);      /* the good one was not touched */
    assert_int_equal(asked, 3);
}

/*
 * ETag is for the endpoints of OSCORE alone, inside the ciphertext [rfc8613#4.1]: what is kept of a protected response is not
 * validated, whatever its outer options say.  The request goes on as it came.
 */
static void
stale_answer_to_a_deterministic_request_is_not_validated(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "sealed answer", 40);
    add(&reply, OSP_OPT_ETAG, "e1");
    add(&reply, OSP_OPT_OSCORE, "\x29\x07" "s");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    world_run(&w, OSP_SEC(41));
    origin_says(OSP_CODE(2, 5), "sealed anew", 40);
    add(&reply, OSP_OPT_OSCORE, "\x29\x08" "s");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(asked, 2);
    assert_false(osp_msg_has(&at_origin, OSP_OPT_ETAG));
    EXPECT_BYTES(osp_slice_str("sealed anew"), a.payload);
}

/* rows D05, D08 */
static void
request_hash_in_a_response_has_to_be_the_requests(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(2, 5), "sealed answer", 40);
    add(&reply, OSP_OPT_OSCORE, "\x21\x07");
    add(&reply, OSP_OPT_REQUEST_HASH, "hash-9");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(a.code, OSP_CODE(5, 2));
    osp_msg_remove(&reply, OSP_OPT_REQUEST_HASH);
    add(&reply, OSP_OPT_REQUEST_HASH, "hash-1");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(asked, 2);
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(asked, 2);
    EXPECT_BYTES(osp_slice_str("hash-1"), osp_msg_get(&a, OSP_OPT_REQUEST_HASH)->val);
}

/*
 * Whoever sits on the way, or the origin for want of a context, answers a protected request in the clear: the
 * client that asked may make of it what it can, nobody else gets it.
 */
static void
plain_answer_to_a_deterministic_request_is_not_shared(void **state)
{
    static const uint8_t   codes[] = { OSP_CODE(2, 5), OSP_CODE(4, 0), OSP_CODE(4, 1), OSP_CODE(5, 3) };
    struct osp_cache_stats st;
    struct osp_msg         m, a;

    (void)state;
    for (size_t i = 0; i < sizeof(codes); i++) {
        origin_says(codes[i], "forged", 4000000);
        exchange_from(1, deterministic(&m, "hash-1", "sealed-1"), &a);
        assert_int_equal(a.code, codes[i]);
        m.mid = ++next_mid;
        exchange_from(2, &m, &a);
        assert_int_equal(asked, 2 * i + 2);
    }
    osp_cache_stats(cache, &st);
    assert_int_equal(st.entries, 0);
    assert_int_equal(st.unprotected, asked);
}

/* row D09 */
static void
refusal_of_a_forged_hash_does_not_stay(void **state)
{
    struct osp_msg m, a;

    (void)state;
    origin_says(OSP_CODE(4, 0), "", 0);
    exchange(deterministic(&m, "hash-1", "forged"), &a);
    assert_int_equal(a.code, OSP_CODE(4, 0));
    origin_says(OSP_CODE(2, 5), "sealed answer", 40);
    add(&reply, OSP_OPT_OSCORE, "\x21\x07");
    exchange(deterministic(&m, "hash-1", "sealed-1"), &a);
    assert_int_equal(a.code, OSP_CODE(2, 5));
    assert_int_equal(asked, 2);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, caching_setup, caching_teardown)
    const struct CMUnitTest tests[] = {
        T(equal_deterministic_request_of_another_client_is_a_hit),
        T(stale_answer_to_a_deterministic_request_is_not_validated),
        T(request_hash_in_a_response_has_to_be_the_requests),
        T(plain_answer_to_a_deterministic_request_is_not_shared),
        T(refusal_of_a_forged_hash_does_not_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
