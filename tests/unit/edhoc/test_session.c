/* SPDX-License-Identifier: BSD-2-Clause */
/* Both roles of EDHOC against each other: what completes, and everything that has to end a session. */
#include "tests/unit/edhoc/edhoc_pair.h"

#include <stdio.h>

#include "cbor/enc.h"
#include "crypto/pk.h"

#define SUITES 7

static bool
is_zero(const void *p, size_t n)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++)
        if (b[i])
            return false;
    return true;
}

/* A dead session: no keys in it, nothing to be had from it. */
static void
expect_dead(struct osp_edhoc *s)
{
    uint8_t out[16];

    assert_int_equal(osp_edhoc_state(s), OSP_EDHOC_ABORTED);
    assert_true(is_zero(s->ephemeral, sizeof(s->ephemeral)) && is_zero(s->prk, sizeof(s->prk)) &&
                is_zero(s->prk_exporter, sizeof(s->prk_exporter)));
    assert_null(osp_edhoc_who(s));
    EXPECT_ERR(OSP_E_EDHOC_STATE, osp_edhoc_exporter(s, 0, OSP_EMPTY, out, sizeof(out)));
}

/* ---- what completes ---- */

static void
expect_same_keys(struct edhoc_pair *p)
{
    struct osp_edhoc_oscore i, r;
    uint8_t                 a[40], b[40];

    EXPECT_OK(osp_edhoc_oscore(&p->i.s, &i));
    EXPECT_OK(osp_edhoc_oscore(&p->r.s, &r));
    EXPECT_BYTES(osp_slice(i.master_secret, i.master_secret_len), osp_slice(r.master_secret, r.master_secret_len));
    assert_int_equal(i.master_secret_len, osp_aead_info(osp_edhoc_suite(p->suite)->app_aead)->key_len);
    EXPECT_BYTES(osp_slice(i.master_salt, 8), osp_slice(r.master_salt, 8));
    EXPECT_BYTES(osp_slice_str("rr"), osp_slice(i.sender_id.bytes, i.sender_id.len));
    EXPECT_BYTES(osp_slice_str("\x21"), osp_slice(i.recipient_id.bytes, i.recipient_id.len));
    EXPECT_BYTES(osp_slice_str("\x21"), osp_slice(r.sender_id.bytes, r.sender_id.len));
    EXPECT_BYTES(osp_slice_str("rr"), osp_slice(r.recipient_id.bytes, r.recipient_id.len));
    assert_int_equal(i.aead, osp_edhoc_suite(p->suite)->app_aead);
    assert_int_equal(r.aead, i.aead);
    EXPECT_OK(osp_edhoc_exporter(&p->i.s, 40000, osp_slice_str("context"), a, sizeof(a)));
    EXPECT_OK(osp_edhoc_exporter(&p->r.s, 40000, osp_slice_str("context"), b, sizeof(b)));
    EXPECT_BYTES(osp_slice(a, sizeof(a)), osp_slice(b, sizeof(b)));
    EXPECT_OK(osp_edhoc_exporter(&p->r.s, 40001, osp_slice_str("context"), b, sizeof(b)));
    assert_memory_not_equal(a, b, sizeof(a));
}

static void
run_one(uint8_t method, int64_t suite, enum edhoc_kind ki, enum edhoc_kind kr, bool m4)
{
    static struct edhoc_pair p;

    edhoc_init(&p, method, suite, ki, kr, m4);
    edhoc_run(&p, m4 ? 4 : 3);
    expect_same_keys(&p);
    assert_int_equal(osp_edhoc_state(&p.i.s), OSP_EDHOC_COMPLETED);
    assert_int_equal(osp_edhoc_state(&p.r.s), OSP_EDHOC_COMPLETED);
    assert_int_equal(osp_edhoc_who(&p.i.s)->label, kr == EDHOC_X5CHAIN ? EDHOC_CHAIN_LABEL : EDHOC_R_LABEL);
    assert_int_equal(osp_edhoc_who(&p.r.s)->label, ki == EDHOC_X5CHAIN ? EDHOC_CHAIN_LABEL : EDHOC_I_LABEL);
    assert_true(osp_edhoc_who(&p.r.s)->by_chain == (ki == EDHOC_X5CHAIN));
    assert_true((osp_edhoc_who(&p.r.s)->name[0] != '\0') == (ki == EDHOC_X5CHAIN));
    /* [rfc9528#9.8] what nothing needs any more is gone */
    assert_true(is_zero(p.i.s.ephemeral, 32) && is_zero(p.r.s.ephemeral, 32));
    assert_true(is_zero(p.i.s.prk, sizeof(p.i.s.prk)) && is_zero(p.r.s.prk, sizeof(p.r.s.prk)));
    osp_edhoc_fini(&p.i.s);
    expect_dead(&p.i.s);
}

/* row X01 (partly: the library) */
/* [rfc9528#3.2] [rfc9528#3.6] [rfc9528#3.5] [rfc9528#10.2] */
static void
all_methods_suites_and_credentials_agree_on_keys(void **state)
{
    (void)state;
    for (uint8_t method = 0; method < 4; method++)
        for (int64_t suite = 0; suite < SUITES; suite++)
            for (int kind = 0; kind < EDHOC_KINDS; kind++) {
                run_one(method, suite, (enum edhoc_kind)kind, EDHOC_KID, kind % 2 == 0);
                run_one(method, suite, EDHOC_LONG_KID, (enum edhoc_kind)kind, kind % 2 != 0);
            }
}

/* ---- the table ---- */

enum { EVENTS = 9 };            /* make 1-4, take 1-4, take an error message */

static const char *const event_names[EVENTS] = { "make 1", "make 2", "make 3", "make 4", "take 1",
                                                 "take 2", "take 3", "take 4", "take error" };

/* Does event `k` to one side; messages are those of `p`, which are right ones. */
static enum osp_err
do_event(struct edhoc_pair *p, struct edhoc_side *x, int k, const struct osp_slice messages[4])
{
    uint8_t       seed[32] = { 7 }, b[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr w = osp_wr_to(b, sizeof(b));

    switch (k) {
    case 0:
        return osp_edhoc_make_message_1(&x->s, p->method, p->suite, seed, osp_slice_str("\x21"), OSP_EMPTY, &w);
    case 1:
        return osp_edhoc_make_message_2(&x->s, seed, osp_slice_str("rr"), OSP_EMPTY, &w);
    case 2:
        return osp_edhoc_make_message_3(&x->s, OSP_EMPTY, &w);
    case 3:
        return osp_edhoc_make_message_4(&x->s, OSP_EMPTY, &w);
    case 4:
        return osp_edhoc_take_message_1(&x->s, messages[0], NULL);
    case 5:
        return osp_edhoc_take_message_2(&x->s, messages[1], NULL);
    case 6:
        return osp_edhoc_take_message_3(&x->s, messages[2], NULL);
    case 7:
        return osp_edhoc_take_message_4(&x->s, messages[3], NULL);
    default:
        return osp_edhoc_take_error(&x->s, osp_slice_str("\x01\x61x"), NULL);
    }
}

/* What is possible: the state that follows, for each role, with and without message_4.  Everything else is refused. */
static const struct possible { bool r; enum osp_edhoc_state state; int event; enum osp_edhoc_state next, next_m4; } possible[] = {
    { false, OSP_EDHOC_START, 0, OSP_EDHOC_WAIT_M2, OSP_EDHOC_WAIT_M2 },
    { false, OSP_EDHOC_WAIT_M2, 5, OSP_EDHOC_VRFD_M2, OSP_EDHOC_VRFD_M2 },
    { false, OSP_EDHOC_WAIT_M2, 8, OSP_EDHOC_ABORTED, OSP_EDHOC_ABORTED },
    { false, OSP_EDHOC_VRFD_M2, 2, OSP_EDHOC_COMPLETED, OSP_EDHOC_WAIT_M4 },
    { false, OSP_EDHOC_WAIT_M4, 7, OSP_EDHOC_COMPLETED, OSP_EDHOC_COMPLETED },
    { false, OSP_EDHOC_WAIT_M4, 8, OSP_EDHOC_ABORTED, OSP_EDHOC_ABORTED },
    { true, OSP_EDHOC_START, 4, OSP_EDHOC_VRFD_M1, OSP_EDHOC_VRFD_M1 },
    { true, OSP_EDHOC_VRFD_M1, 1, OSP_EDHOC_WAIT_M3, OSP_EDHOC_WAIT_M3 },
    { true, OSP_EDHOC_WAIT_M3, 6, OSP_EDHOC_COMPLETED, OSP_EDHOC_VRFD_M3 },
    { true, OSP_EDHOC_WAIT_M3, 8, OSP_EDHOC_ABORTED, OSP_EDHOC_ABORTED },
    { true, OSP_EDHOC_VRFD_M3, 3, OSP_EDHOC_COMPLETED, OSP_EDHOC_COMPLETED },
};
#define POSSIBLE (sizeof(possible) / sizeof(possible[0]))

static const struct possible *
find_possible(bool r, enum osp_edhoc_state state, int event)
{
    for (size_t i = 0; i < POSSIBLE; i++)
        if (possible[i].r == r && possible[i].state == state && possible[i].event == event)
            return &possible[i];
    return NULL;
}

/* One cell of the table: `x` is in a state it came to honestly. */
static void
walk_cell(struct edhoc_pair *p, bool r, int event, const struct osp_slice messages[4], size_t *seen)
{
    struct edhoc_side      *x = r ? &p->r : &p->i;
    enum osp_edhoc_state   before = osp_edhoc_state(&x->s), want;
    const struct possible *f = find_possible(r, before, event);
    bool                   had_keys = x->s.has_keys, over = before == OSP_EDHOC_COMPLETED || before == OSP_EDHOC_ABORTED;
    enum osp_err           e = do_event(p, x, event, messages);
    uint8_t                out[16];

    if (f) {
        (*seen)++;
        want = x->profile.has_message_4 ? f->next_m4 : f->next;
    } else {
        want = over ? before : OSP_EDHOC_ABORTED;
    }
    if (e != (f ? OSP_OK : OSP_E_EDHOC_STATE) || osp_edhoc_state(&x->s) != want)
        fail_msg("%s in state %d of %s: %s, state %d", event_names[event], before, r ? "R" : "I", osp_err_name(e),
                 osp_edhoc_state(&x->s));
    if (osp_edhoc_state(&x->s) == OSP_EDHOC_ABORTED)
        expect_dead(&x->s);
    else if (before == OSP_EDHOC_COMPLETED && had_keys) /* [rfc9528#5.1] what comes after changes nothing */
        EXPECT_OK(osp_edhoc_exporter(&x->s, 0, OSP_EMPTY, out, sizeof(out)));
}

/* Both sides at the point after `steps` of make 1, take 1, make 2 and so on, and all messages of that run. */
static void
walk_point(bool m4, int steps, size_t *seen)
{
    static struct edhoc_pair p, kept;
    static uint8_t     bytes[4][OSP_EDHOC_MESSAGE_MAX];
    struct osp_slice   messages[4];

    edhoc_init(&p, 3, 2, EDHOC_KID, EDHOC_KID, true);      /* message_4 too, to have one */
    for (int n = 1; n <= 4; n++) {
        EXPECT_OK(edhoc_make(&p, n, OSP_EMPTY));
        EXPECT_OK(edhoc_take(&p, n, NULL));
        messages[n - 1] = osp_wr_slice(&edhoc_maker(&p, n)->out);
        memcpy(bytes[n - 1], messages[n - 1].p, messages[n - 1].n);
        messages[n - 1].p = bytes[n - 1];
    }
    p.i.profile.has_message_4 = p.r.profile.has_message_4 = m4;
    edhoc_begin(&p);
    for (int k = 0; k < steps; k++)
        EXPECT_OK(k % 2 ? edhoc_take(&p, k / 2 + 1, NULL) : edhoc_make(&p, k / 2 + 1, OSP_EMPTY));
    kept = p;
    for (int r = 0; r < 2; r++)
        for (int event = 0; event < EVENTS; event++) {
            p = kept;
            walk_cell(&p, r != 0, event, messages, seen);
        }
}

/* row X03 (partly: the library, the whole table) */
/* [rfc9528#5.1] */
static void
what_is_not_in_the_table_is_refused(void **state)
{
    static struct edhoc_pair p;
    struct osp_slice   none[4] = { { 0 } };
    size_t             seen = 0, least = 0;

    (void)state;
    for (int m4 = 0; m4 < 2; m4++)
        for (int steps = 0; steps <= (m4 ? 8 : 6); steps++) {
            seen = 0;
            walk_point(m4, steps, &seen);
            least += seen > 0;
        }
    assert_true(least >= 12);           /* nearly every point has something possible: the walk was not empty */
    edhoc_init(&p, 3, 2, EDHOC_KID, EDHOC_KID, false);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    EXPECT_OK(osp_edhoc_take_error(&p.i.s, osp_slice_str("\x01\x61x"), NULL));
    seen = 0;
    for (int event = 0; event < EVENTS; event++)
        walk_cell(&p, false, event, none, &seen);
    assert_int_equal(seen, 0);
}

/* ---- damage ---- */

/* Takes message `n` with each bit flipped, and cut at each length: nobody accepts it. */
static void
damage(uint8_t method, int64_t suite, int n)
{
    static struct edhoc_pair p, kept;
    struct edhoc_side  *maker, *taker;
    size_t             len;

    edhoc_init(&p, method, suite, EDHOC_KID, EDHOC_LONG_KID, true);
    edhoc_run(&p, n - 1);
    EXPECT_OK(edhoc_make(&p, n, OSP_EMPTY));
    kept = p;
    maker = edhoc_maker(&p, n);
    taker = edhoc_taker(&p, n);
    len = maker->out.n;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        p = kept;
        maker->message[bit / 8] = (uint8_t)(maker->message[bit / 8] ^ 1u << bit % 8);
        if (edhoc_take(&p, n, NULL) == OSP_OK)
            fail_msg("message_%d, method %d, suite %d: bit %zu may be flipped", n, method, (int)suite, bit);
        expect_dead(&taker->s);
    }
    for (size_t cut = 0; cut < len; cut++) {
        p = kept;
        maker->out.n = cut;
        if (edhoc_take(&p, n, NULL) == OSP_OK)
            fail_msg("message_%d of %zu bytes may be cut to %zu", n, len, cut);
        expect_dead(&taker->s);
    }
    p = kept;                   /* and one byte more is too much */
    osp_wr_u8(&maker->out, 0);
    EXPECT_ERR(OSP_E_FORMAT, edhoc_take(&p, n, NULL));
    p = kept;
    EXPECT_OK(edhoc_take(&p, n, NULL));
}

/* row X03 (partly: the library) */
/* [rfc9528#5.3.3] [rfc9528#5.4.3] [rfc9528#5.5.3] */
static void
damaged_and_cut_messages_end_the_session(void **state)
{
    (void)state;
    for (int n = 2; n <= 4; n++) {
        damage(0, 0, n);
        damage(3, 0, n);
        damage(1, 2, n);
        damage(2, 6, n);
        damage(3, 3, n);
    }
}

/* [rfc9528#9.1] message_1 is bound by TH_2: a change shows to the Initiator at the latest */
static void
a_changed_message_1_never_leads_to_a_session(void **state)
{
    static struct edhoc_pair p, kept;
    size_t             len, reached = 0;
    enum osp_err       e;

    (void)state;
    edhoc_init(&p, 3, 0, EDHOC_KID, EDHOC_KID, false);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    kept = p;
    len = p.i.out.n;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        p = kept;
        p.i.message[bit / 8] = (uint8_t)(p.i.message[bit / 8] ^ 1u << bit % 8);
        e = edhoc_take(&p, 1, NULL);
        if (e == OSP_OK)
            e = edhoc_make(&p, 2, OSP_EMPTY);
        if (e == OSP_OK) {
            reached++;
            e = edhoc_take(&p, 2, NULL);
        }
        if (e == OSP_OK)
            fail_msg("bit %zu may be flipped", bit);
    }
    assert_true(reached > 100);
}

/* ---- identifiers and keys that are no good ---- */

/* row X05 (partly: C_R and C_I) */
/* [rfc9668#4.1.2] [rfc9668#4.1.3] */
static void
c_r_that_equals_c_i_is_neither_made_nor_taken(void **state)
{
    static struct edhoc_pair p;
    uint8_t            seed[32] = { 1 }, b[256];
    struct osp_wr      w = osp_wr_to(b, sizeof(b));

    (void)state;
    edhoc_init(&p, 3, 2, EDHOC_KID, EDHOC_KID, false);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    EXPECT_OK(edhoc_take(&p, 1, NULL));
    EXPECT_ERR(OSP_E_EDHOC_CID, osp_edhoc_make_message_2(&p.r.s, seed, osp_slice_str("\x21"), OSP_EMPTY, &w));
    expect_dead(&p.r.s);
    /* an Initiator that has forgotten which C_I it sent stands for a Responder that takes it for itself */
    edhoc_begin(&p);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    EXPECT_OK(edhoc_take(&p, 1, NULL));
    EXPECT_OK(edhoc_make(&p, 2, OSP_EMPTY));
    p.i.s.c_i = (struct osp_edhoc_cid){ 2, "rr" };
    EXPECT_ERR(OSP_E_EDHOC_CID, edhoc_take(&p, 2, NULL));
}

/* [rfc9528#3.3.3] [rfc8613#3.3] an identifier is an OSCORE Recipient ID */
static void
identifiers_too_long_for_oscore_are_refused(void **state)
{
    static struct edhoc_pair p;
    uint8_t            seed[32] = { 1 }, b[256];
    struct osp_wr      w = osp_wr_to(b, sizeof(b));

    (void)state;
    for (int64_t suite = 2; suite <= 5; suite += 3) {
        size_t max = suite == 5 ? 6 : 7;

        edhoc_init(&p, 3, suite, EDHOC_KID, EDHOC_KID, false);
        EXPECT_ERR(OSP_E_EDHOC_CID,
                   osp_edhoc_make_message_1(&p.i.s, 3, suite, seed, osp_slice("12345678", max + 1), OSP_EMPTY, &w));
        assert_int_equal(w.n, 0);
        edhoc_begin(&p);
        EXPECT_OK(osp_edhoc_make_message_1(&p.i.s, 3, suite, seed, osp_slice("12345678", max), OSP_EMPTY, &p.i.out));
        EXPECT_OK(edhoc_take(&p, 1, NULL));
        edhoc_begin(&p);         /* from the other side: one byte is put into C_I of a message_1 */
        EXPECT_OK(osp_edhoc_make_message_1(&p.i.s, 3, suite, seed, osp_slice("12345678", max), OSP_EMPTY, &p.i.out));
        p.i.message[p.i.out.n - max - 1]++;
        osp_wr_u8(&p.i.out, 0);
        EXPECT_ERR(OSP_E_EDHOC_CID, edhoc_take(&p, 1, NULL));
    }
}

/* [rfc9528#9.2] */
static void
nobody_talks_to_itself(void **state)
{
    static struct edhoc_pair p;

    (void)state;
    for (uint8_t method = 0; method <= 3; method += 3) {
        edhoc_init(&p, method, 2, EDHOC_KID, EDHOC_KID, false);
        p.r.own = p.i.own;      /* the Responder has the Initiator's credential and key */
        p.i.peer.cred = p.i.own.cred;
        EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
        EXPECT_OK(edhoc_take(&p, 1, NULL));
        EXPECT_OK(edhoc_make(&p, 2, OSP_EMPTY));
        EXPECT_ERR(OSP_E_EDHOC_REFLECTED, edhoc_take(&p, 2, NULL));
        expect_dead(&p.i.s);
    }
}

/* [rfc9528#5.2.3] */
static void
methods_are_those_of_the_profile(void **state)
{
    static struct edhoc_pair p;
    uint8_t            seed[32] = { 1 };

    (void)state;
    edhoc_init(&p, 3, 2, EDHOC_KID, EDHOC_KID, false);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    p.i.message[0] = 2;
    EXPECT_ERR(OSP_E_EDHOC_METHOD, edhoc_take(&p, 1, NULL));
    edhoc_begin(&p);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    p.i.message[0] = 4;
    p.r.profile.methods = 0xff;
    EXPECT_ERR(OSP_E_EDHOC_METHOD, edhoc_take(&p, 1, NULL));
    p.r.profile.own_count = 0;  /* no credential for it */
    edhoc_begin(&p);
    EXPECT_OK(edhoc_make(&p, 1, OSP_EMPTY));
    EXPECT_ERR(OSP_E_EDHOC_METHOD, edhoc_take(&p, 1, NULL));
    edhoc_begin(&p);
    EXPECT_ERR(OSP_E_EDHOC_METHOD, osp_edhoc_make_message_1(&p.i.s, 4, 2, seed, OSP_EMPTY, OSP_EMPTY, &p.i.out));
}

/* What does not fit is not sent in part, and the session is over: its nonce is used. */
static void
a_buffer_that_is_too_small_ends_the_session(void **state)
{
    static struct edhoc_pair p, kept;

    (void)state;
    for (int n = 1; n <= 4; n++) {
        size_t need;

        edhoc_init(&p, 0, 2, EDHOC_KID, EDHOC_KID, true);
        edhoc_run(&p, n - 1);
        kept = p;
        EXPECT_OK(edhoc_make(&p, n, OSP_EMPTY));
        need = edhoc_maker(&p, n)->out.n;
        for (size_t cap = 0; cap < need; cap++) {
            struct edhoc_side *x = edhoc_maker(&p, n);

            p = kept;
            x->out = osp_wr_to(x->message, cap);
            EXPECT_ERR(OSP_E_NOSPACE, edhoc_make(&p, n, OSP_EMPTY));
            assert_int_equal(x->out.n, 0);
            expect_dead(&x->s);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_methods_suites_and_credentials_agree_on_keys),
        cmocka_unit_test(what_is_not_in_the_table_is_refused),
        cmocka_unit_test(damaged_and_cut_messages_end_the_session),
        cmocka_unit_test(a_changed_message_1_never_leads_to_a_session),
        cmocka_unit_test(c_r_that_equals_c_i_is_neither_made_nor_taken),
        cmocka_unit_test(identifiers_too_long_for_oscore_are_refused),
        cmocka_unit_test(nobody_talks_to_itself),
        cmocka_unit_test(methods_are_those_of_the_profile),
        cmocka_unit_test(a_buffer_that_is_too_small_ends_the_session),
    };

    return cmocka_run_group_tests(tests, edhoc_setup, edhoc_teardown);
}
