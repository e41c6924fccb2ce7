/* SPDX-License-Identifier: BSD-2-Clause */
/* The option-protection procedure: each step, each answer, and the class that each option gets on each leg. */
#include "tests/unit/unit.h"

#include "msg/option.h"
#include "oscore/classes.h"

/*
 * The nine steps once more, as the draft words them, so that table and text check each other.
 * [ocp#2.2]
 */
static bool
by_the_text(const struct osp_class_facts *f, uint16_t num, bool scheme)
{
    bool four = true;

    if (f->added && f->consumer) {                              /* 1, 2 */
        if (!f->next_consumer)                                  /* 3 */
            return false;
        if (f->needed_before)                                   /* 5 */
            return false;
        four = false;
    }
    if (four && !(f->next_hop || !f->hop_is_next_consumer))     /* 4 */
        return false;
    if (num == OSP_OPT_URI_HOST || num == OSP_OPT_URI_PORT)     /* 6 */
        return scheme;                                          /* 7 */
    return true;                                                /* 8 */
}

static struct osp_class_facts
facts_of(unsigned bits)
{
    return (struct osp_class_facts){ bits & 1, bits & 2, bits & 4, bits & 8, bits & 16, bits & 32 };
}

static void
every_combination_of_facts_gives_the_class_of_the_text(void **state)
{
    static const uint16_t nums[] = { OSP_OPT_URI_HOST, OSP_OPT_URI_PORT, OSP_OPT_OSCORE, OSP_OPT_PROXY_SCHEME, OSP_OPT_EDHOC };

    (void)state;
    for (unsigned bits = 0; bits < 64; bits++) {
        for (size_t i = 0; i < sizeof(nums) / sizeof(nums[0]); i++) {
            for (int scheme = 0; scheme < 2; scheme++) {
                struct osp_class_facts f = facts_of(bits);
                bool                   want = by_the_text(&f, nums[i], scheme);

                assert_int_equal(osp_class_is_e(&f, nums[i], scheme, NULL), want);
            }
        }
    }
}

/* A path begins at step 1, only goes forward, ends at 8 or 9 and agrees with the answer. */
static void
every_path_goes_forward_and_ends_at_eight_or_nine(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 64; bits++) {
        for (int scheme = 0; scheme < 2; scheme++) {
            struct osp_class_facts f = facts_of(bits);
            struct osp_class_path  path;
            bool                   is_e = osp_class_is_e(&f, OSP_OPT_URI_HOST, scheme, &path);

            assert_in_range(path.count, 3, sizeof(path.step));
            assert_int_equal(path.step[0], 1);
            for (size_t i = 1; i < path.count; i++)
                assert_true(path.step[i] > path.step[i - 1]);
            assert_int_equal(path.step[path.count - 1], is_e ? 8 : 9);
        }
    }
}

struct row {
    enum osp_layer_role role;
    bool                next_hop, scheme;
    uint16_t            num;
    bool                is_e;
};

#define S OSP_LAYER_TO_SERVER
#define P OSP_LAYER_TO_PROXY
#define R OSP_LAYER_RELAY

/* [ocp#2.2] [ocp#3], as the examples of the draft have them */
static const struct row table[] = {
    /* C for S behind a proxy: what the proxy reads stays outside, and what opens the layer */
    { S, false, true, OSP_OPT_URI_HOST, false },
    { S, false, true, OSP_OPT_URI_PORT, false },
    { S, false, true, OSP_OPT_PROXY_SCHEME, false },
    { S, false, true, OSP_OPT_PROXY_SCHEME_NUMBER, false },
    { S, false, false, OSP_OPT_PROXY_URI, false },
    { S, false, true, OSP_OPT_HOP_LIMIT, false },
    { S, false, true, OSP_OPT_EDHOC, false },
    { S, false, true, OSP_OPT_REQUEST_HASH, false },
    /* C for S without a proxy between: Uri-Host stays, since without Proxy-Scheme it can name the host that is asked */
    { S, true, false, OSP_OPT_URI_HOST, false },
    { S, true, false, OSP_OPT_URI_PORT, false },
    { S, true, false, OSP_OPT_HOP_LIMIT, true },
    { S, true, false, OSP_OPT_EDHOC, false },
    { S, true, false, OSP_OPT_REQUEST_HASH, false },
    /* C for the proxy next to it: all that is meant for it or for others goes inside */
    { P, true, true, OSP_OPT_URI_HOST, true },
    { P, true, true, OSP_OPT_URI_PORT, true },
    { P, true, true, OSP_OPT_PROXY_SCHEME, true },
    { P, true, false, OSP_OPT_PROXY_URI, true },
    { P, true, false, OSP_OPT_PROXY_CRI, true },
    { P, true, true, OSP_OPT_HOP_LIMIT, true },
    { P, true, true, OSP_OPT_OSCORE, true },
    { P, true, true, OSP_OPT_EDHOC, true },
    { P, true, true, OSP_OPT_REQUEST_HASH, true },
    { P, true, false, OSP_OPT_URI_HOST, false },        /* a reverse-proxy is found by it */
    /* C for a proxy behind the first one */
    { P, false, true, OSP_OPT_URI_HOST, true },
    { P, false, true, OSP_OPT_PROXY_SCHEME, true },
    { P, false, true, OSP_OPT_OSCORE, true },
    { P, false, true, OSP_OPT_EDHOC, true },
    /* a proxy for its next hop: all, except Uri-Host once Proxy-Scheme is consumed */
    { R, true, false, OSP_OPT_URI_HOST, false },
    { R, true, false, OSP_OPT_URI_PORT, false },
    { R, true, true, OSP_OPT_URI_HOST, true },
    { R, true, true, OSP_OPT_PROXY_SCHEME, true },
    { R, true, false, OSP_OPT_HOP_LIMIT, true },
    { R, true, false, OSP_OPT_OSCORE, true },
    { R, true, false, OSP_OPT_EDHOC, true },
    { R, true, false, OSP_OPT_REQUEST_HASH, true },
};
#undef S
#undef P
#undef R

static void
each_leg_gives_each_option_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct row     *r = &table[i];
        struct osp_layer_ends ends = { r->role, r->next_hop, true };
        uint8_t               classes[OSP_MSG_OPTS_MAX];
        struct osp_msg        m;
        size_t                at = 0;

        osp_msg_init(&m, OSP_GET);
        EXPECT_OK(osp_msg_add(&m, r->num, OSP_EMPTY));
        if (r->scheme && r->num != OSP_OPT_PROXY_SCHEME)
            EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
        EXPECT_OK(osp_classes(&ends, &m, classes));
        while (m.opts[at].num != r->num)
            at++;
        if ((classes[at] == OSP_OPT_CLASS_E) != r->is_e)
            fail_msg("row %zu: option %u, leg %d: class %d", i, r->num, r->role, classes[at]);
    }
}

/* Proxy-Scheme-Number counts like Proxy-Scheme (step 7). */
static void
either_scheme_option_lets_uri_host_inside(void **state)
{
    struct osp_layer_ends ends = { OSP_LAYER_TO_PROXY, true, true };
    uint8_t               classes[OSP_MSG_OPTS_MAX];
    struct osp_msg        m;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("h")));
    EXPECT_OK(osp_classes(&ends, &m, classes));
    assert_int_equal(classes[0], OSP_OPT_CLASS_U);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME_NUMBER, OSP_EMPTY));
    EXPECT_OK(osp_classes(&ends, &m, classes));
    assert_int_equal(classes[0], OSP_OPT_CLASS_E);
}

/* Options that are specified as E, or as both, do not run through the procedure. */
static void
options_of_class_e_keep_it_on_every_leg(void **state)
{
    static const uint16_t e[] = { OSP_OPT_IF_MATCH, OSP_OPT_ETAG, OSP_OPT_IF_NONE_MATCH, OSP_OPT_LOCATION_PATH, OSP_OPT_URI_PATH,
                                  OSP_OPT_CONTENT_FORMAT, OSP_OPT_URI_PATH_ABBREV, OSP_OPT_URI_QUERY, OSP_OPT_ACCEPT,
                                  OSP_OPT_LOCATION_QUERY };
    static const uint16_t both[] = { OSP_OPT_OBSERVE, OSP_OPT_MAX_AGE, OSP_OPT_BLOCK1, OSP_OPT_BLOCK2, OSP_OPT_SIZE1,
                                     OSP_OPT_SIZE2, OSP_OPT_ECHO, OSP_OPT_NO_RESPONSE, OSP_OPT_REQUEST_TAG };

    (void)state;
    for (int role = OSP_LAYER_TO_SERVER; role <= OSP_LAYER_RELAY; role++) {
        for (int hop = 0; hop < 2; hop++) {
            struct osp_layer_ends ends = { (enum osp_layer_role)role, hop, true };
            uint8_t        classes[OSP_MSG_OPTS_MAX];
            struct osp_msg m;

            osp_msg_init(&m, OSP_GET);
            for (size_t i = 0; i < sizeof(e) / sizeof(e[0]); i++)
                EXPECT_OK(osp_msg_add(&m, e[i], OSP_EMPTY));
            for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
                EXPECT_OK(osp_msg_add(&m, both[i], OSP_EMPTY));
            EXPECT_OK(osp_classes(&ends, &m, classes));
            for (size_t i = 0; i < m.opt_count; i++) {
                bool is_both = false;

                for (size_t k = 0; k < sizeof(both) / sizeof(both[0]); k++)
                    is_both = is_both || both[k] == m.opts[i].num;
                assert_int_equal(classes[i], is_both ? OSP_OPT_CLASS_E_AND_U : OSP_OPT_CLASS_E);
            }
        }
    }
}

/* row L09 (partly: at the library) */
/* [rfc8613#4.1] */
static void
unknown_option_is_class_e_for_an_endpoint_and_an_error_for_a_proxy(void **state)
{
    static const uint16_t unknown[] = { 2, 18, 19, 24, 31, 47, 248, 549, 2049, 64988, 65000, 65535 };

    (void)state;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        for (int strict = 0; strict < 2; strict++) {
            struct osp_layer_ends ends = { strict ? OSP_LAYER_RELAY : OSP_LAYER_TO_SERVER, true, strict };
            uint8_t               classes[OSP_MSG_OPTS_MAX] = { 99 };
            struct osp_msg        m;

            osp_msg_init(&m, strict ? OSP_GET : OSP_CODE(2, 5));
            EXPECT_OK(osp_msg_add(&m, unknown[i], OSP_EMPTY));
            if (strict) {
                EXPECT_ERR(OSP_E_UNKNOWN_OPTION, osp_classes(&ends, &m, classes));
                continue;
            }
            EXPECT_OK(osp_classes(&ends, &m, classes));
            assert_int_equal(classes[0], OSP_OPT_CLASS_E);
        }
    }
}

/* One unknown option anywhere is enough, also the last of the most there can be. */
static void
unknown_option_is_found_wherever_it_is(void **state)
{
    struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };
    uint8_t               classes[OSP_MSG_OPTS_MAX];
    struct osp_msg        m;

    (void)state;
    osp_msg_init(&m, OSP_GET);
    for (size_t i = 1; i < OSP_MSG_OPTS_MAX; i++)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("x")));
    EXPECT_OK(osp_classes(&ends, &m, classes));
    EXPECT_OK(osp_msg_add(&m, 65535, OSP_EMPTY));
    EXPECT_ERR(OSP_E_UNKNOWN_OPTION, osp_classes(&ends, &m, classes));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_of_facts_gives_the_class_of_the_text),
        cmocka_unit_test(every_path_goes_forward_and_ends_at_eight_or_nine),
        cmocka_unit_test(each_leg_gives_each_option_its_class),
        cmocka_unit_test(either_scheme_option_lets_uri_host_inside),
        cmocka_unit_test(options_of_class_e_keep_it_on_every_leg),
        cmocka_unit_test(unknown_option_is_class_e_for_an_endpoint_and_an_error_for_a_proxy),
        cmocka_unit_test(unknown_option_is_found_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
