/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts over starts, stops, crashes and reloads: no number twice, no window that is not exact. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "tests/unit/daemon/unit_state.h"
#include "oscore/b2.h"
#include "oscore/impl.h"

#define BLOCK 10

static char               dir[64];
static char               why[OSP_STORE_WHY_MAX];
static uint8_t            secret[2][16] = { { 1 }, { 2 } };
static uint8_t            ids[4] = { 0x0a, 0x20, 0x0b, 0x21 };
static struct cfg_context contexts[2];
static struct osp_cfg     cfg;

static int
setup(void **state)
{
    (void)state;
    log_set_level(CFG_LOG_ERROR);
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-state-XXXXXX");
    memset(contexts, 0, sizeof(contexts));
    for (size_t i = 0; i < 2; i++) {
        static char names[2][2] = { "a", "b" };

        contexts[i].name = names[i];
        contexts[i].master_secret.value = (struct cfg_bytes){ secret[i], 16 };
        contexts[i].sender_id = (struct cfg_bytes){ &ids[2 * i], 1 };
        contexts[i].recipient_id = (struct cfg_bytes){ &ids[2 * i + 1], 1 };
        contexts[i].aead = OSP_AES_CCM_16_64_128;
        contexts[i].hkdf = OSP_HKDF_SHA256;
        contexts[i].fresh = true;
    }
    cfg = (struct osp_cfg){ .state = mkdtemp(dir), .contexts = contexts, .context_count = 1, .lease = { BLOCK },
                            .state_size = 1u << 20 };
    return cfg.state && unit_make_state(&cfg) ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    return unit_remove_store(dir);
}

static void
load(struct osp_state *st)
{
    unit_load(st, &cfg);
}

static struct osp_state *
start(void)
{
    return unit_start(&cfg, NULL);
}

static struct osp_octx *
ctx(struct osp_state *st, size_t i)
{
    return osp_state_set(st)->entries[i].octx;
}

static void
lease(struct osp_state *st, struct osp_octx *c)
{
    EXPECT_OK(osp_state_lease(st, &c, 1));
}

static uint64_t
take(struct osp_octx *c)
{
    uint64_t n = UINT64_MAX;

    EXPECT_OK(osp_octx_take_ssn(c, &n));
    return n;
}

static bool
is_known(struct osp_octx *c, struct osp_replay *w)
{
    return osp_octx_get_window(c, w) == OSP_WINDOW_KNOWN;
}

static void
numbers_need_a_lease(void **state)
{
    struct osp_state *st = start();
    uint64_t          n;

    (void)state;
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(ctx(st, 0), &n));
    lease(st, ctx(st, 0));
    for (uint64_t i = 0; i < BLOCK; i++)
        assert_int_equal(take(ctx(st, 0)), i);
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(ctx(st, 0), &n));
    lease(st, ctx(st, 0));
    assert_int_equal(take(ctx(st, 0)), BLOCK);
    unit_stop(st);
}

/* row S08 */
static void
numbers_after_a_crash_are_above_every_leased_one(void **state)
{
    struct osp_state *st = start();

    (void)state;
    lease(st, ctx(st, 0));
    (void)take(ctx(st, 0));
    lease(st, ctx(st, 0));
    osp_state_close(st); /* [rfc8613#B.1.1] no save: what kill -9 leaves behind */
    st = start();
    lease(st, ctx(st, 0));
    assert_int_equal(take(ctx(st, 0)), 2 * BLOCK);
    unit_stop(st);
}

static void
numbers_after_a_clean_stop_skip_nothing(void **state)
{
    struct osp_state *st = start();

    (void)state;
    lease(st, ctx(st, 0));
    (void)take(ctx(st, 0));
    (void)take(ctx(st, 0));
    unit_stop(st);
    st = start();
    lease(st, ctx(st, 0));
    assert_int_equal(take(ctx(st, 0)), 2);
    unit_stop(st);
}

static void
numbers_end_at_the_end_of_the_space(void **state)
{
    struct osp_state *st = start();
    uint64_t          n;

    (void)state;
    osp_octx_grant(ctx(st, 0), OSP_PIV_MAX - 2, OSP_PIV_MAX - 2);
    lease(st, ctx(st, 0));
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(take(ctx(st, 0)), OSP_PIV_MAX - 2 + i);
    lease(st, ctx(st, 0));
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_octx_take_ssn(ctx(st, 0), &n));
    unit_stop(st);
    st = start();
    lease(st, ctx(st, 0));
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_octx_take_ssn(ctx(st, 0), &n));
    unit_stop(st);
}

static void
window_starts_empty_only_for_fresh_keys(void **state)
{
    struct osp_state *st;
    struct osp_replay w;

    (void)state;
    cfg.context_count = 2;
    contexts[1].fresh = false;
    st = start();
    assert_true(is_known(ctx(st, 0), &w));
    assert_int_equal(w.next, 0);
    assert_false(is_known(ctx(st, 1), &w));
    unit_stop(st);
}

static void
window_survives_a_clean_stop_exactly(void **state)
{
    struct osp_state *st = start();
    struct osp_replay w = { .next = 9, .seen = 5 };

    (void)state;
    osp_octx_set_window(ctx(st, 0), &w);
    unit_stop(st);
    w = (struct osp_replay){ 0 };
    st = start();
    assert_true(is_known(ctx(st, 0), &w));
    assert_int_equal(w.next, 9);
    assert_int_equal(w.seen, 5);
    unit_stop(st);
}

/* row S09: `fresh` in the configuration does not make a used context fresh again */
static void
window_is_unknown_after_a_crash(void **state)
{
    struct osp_state *st = start();
    struct osp_replay w;

    (void)state;
    osp_state_close(st);
    st = start();
    assert_false(is_known(ctx(st, 0), &w));
    unit_stop(st);
    st = start();
    assert_false(is_known(ctx(st, 0), &w)); /* a clean stop does not make it known */
    unit_stop(st);
}

static void
reload_keeps_objects_and_labels(void **state)
{
    struct osp_state *st;
    struct osp_octx  *b;
    uint32_t          label;

    (void)state;
    cfg.context_count = 2;
    st = start();
    b = ctx(st, 1);
    label = osp_octx_label(b);
    assert_int_not_equal(label, osp_octx_label(ctx(st, 0)));
    contexts[0] = contexts[1]; /* only b is left, now the first */
    cfg.context_count = 1;
    load(st);
    assert_ptr_equal(ctx(st, 0), b);
    assert_int_equal(osp_octx_label(b), label);
    unit_stop(st);
}

static void
reload_gives_no_label_that_the_old_set_uses(void **state)
{
    struct osp_state  *st = start();
    struct osp_ctxset *set = NULL;

    (void)state;
    contexts[0] = contexts[1];
    EXPECT_OK(osp_state_build(st, &cfg, &set, why));
    assert_int_not_equal(osp_octx_label(set->entries[0].octx), osp_octx_label(ctx(st, 0)));
    osp_ctxset_free(set);
    unit_stop(st);
}

static void
reload_that_brings_a_context_back_brings_its_past_back(void **state)
{
    struct osp_state  *st = start();
    struct cfg_context a = contexts[0];
    struct osp_replay  w = { .next = 9, .seen = 5 };

    (void)state;
    osp_octx_set_window(ctx(st, 0), &w);
    lease(st, ctx(st, 0));
    contexts[0] = contexts[1];
    load(st);
    contexts[0] = a;
    load(st);
    assert_true(is_known(ctx(st, 0), &w));
    assert_int_equal(w.next, 9);
    lease(st, ctx(st, 0));
    assert_int_equal(take(ctx(st, 0)), BLOCK); /* an exchange in flight may use what is below */
    unit_stop(st);
}

/* The old object is still in an exchange while a new one of the same keys is in force. */
static void
two_objects_of_one_context_never_share_a_number(void **state)
{
    struct osp_state  *st = start();
    struct cfg_context a = contexts[0];
    struct osp_octx   *old = ctx(st, 0);
    uint64_t           highest = 0;

    (void)state;
    osp_octx_ref(old);
    lease(st, old);
    contexts[0] = contexts[1];
    load(st);
    assert_true(osp_octx_is_out_of_use(old));
    assert_false(osp_octx_is_out_of_use(ctx(st, 0)));   /* that one only moved */
    contexts[0] = a;
    load(st);
    assert_false(osp_octx_is_out_of_use(ctx(st, 0)));
    for (int i = 0; i < 25; i++) {
        uint64_t n = 0;

        if (osp_octx_take_ssn(ctx(st, 0), &n) == OSP_E_NO_LEASE) {
            lease(st, ctx(st, 0));
            n = take(ctx(st, 0));
        }
        assert_true(n >= BLOCK);
        highest = n;
    }
    for (int i = 0; i < BLOCK; i++)
        assert_true(take(old) < BLOCK);
    lease(st, old); /* it is gone: no lease */
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(old, &highest));
    osp_octx_unref(old);
    unit_stop(st);
}

/* ---- how much keys were used ---- */

/* row S12 */
static void
usage_survives_a_clean_stop_exactly(void **state)
{
    struct osp_state    *st = start();
    struct osp_key_usage u;

    (void)state;
    lease(st, ctx(st, 0));
    for (int i = 0; i < 7; i++)
        (void)take(ctx(st, 0));
    unit_stop(st);
    for (int i = 0; i < 2; i++) {
        st = start();
        u = osp_octx_usage(ctx(st, 0));
        assert_int_equal(u.q, 7);
        assert_int_equal(u.v, 0);
        unit_stop(st);
    }
}

/* row S12: never less than the truth, and not so much more that crashes use keys up */
static void
usage_after_a_crash_is_rounded_up(void **state)
{
    struct osp_state    *st;
    struct osp_key_usage u;

    (void)state;
    contexts[0].key_limits.q = (struct cfg_key_limit){ CFG_LIMIT_SET, 2560 };   /* written 10 ahead */
    st = start();
    for (unsigned i = 0; i < 100; i++) {
        if (osp_octx_wants_lease(ctx(st, 0), 2))
            lease(st, ctx(st, 0));
        (void)take(ctx(st, 0));
    }
    osp_state_close(st);
    st = start();
    u = osp_octx_usage(ctx(st, 0));
    assert_true(u.q >= 100 && u.q <= 110);
    osp_state_close(st); /* it was not used: another crash costs nothing */
    st = start();
    assert_int_equal(osp_octx_usage(ctx(st, 0)).q, u.q);
    unit_stop(st);
}

/* As a worker does with a context that it has used. */
static unsigned
lease_if_wanted(struct osp_state *st, struct osp_octx *c)
{
    if (!osp_octx_wants_lease(c, BLOCK / 2))
        return 0;
    lease(st, c);
    return 1;
}

/* row S12: whoever sends forged messages uses up commits, a bounded number of them, and no sequence numbers */
static void
forged_tags_cost_no_numbers(void **state)
{
    struct osp_state    *st;
    struct osp_octx     *c;
    struct osp_key_usage u;
    uint64_t             limit;
    unsigned             records = 0;

    (void)state;
    contexts[0].key_limits.v = (struct cfg_key_limit){ CFG_LIMIT_SET, 1u << 14 };
    st = start();
    c = ctx(st, 0);
    lease(st, c);
    assert_int_equal(take(c), 0);
    (void)lease_if_wanted(st, c);
    limit = osp_octx_ssn(c).limit;
    for (unsigned i = 0; i < 10000; i++) {
        octx_count_failure(c);
        records += lease_if_wanted(st, c);
    }
    assert_int_equal(osp_octx_ssn(c).limit, limit);
    assert_true(records >= 10000 / 256 && records <= 10000 / 256 + 2);
    osp_state_close(st);        /* a crash */
    st = start();
    c = ctx(st, 0);
    u = osp_octx_usage(c);
    assert_true(u.v >= 10000 && u.v <= 10000 + 256);
    assert_int_equal(osp_octx_ssn(c).next, limit);      /* what was leased before may have been used, no more */
    lease(st, c);
    while (osp_octx_ssn(c).limit - osp_octx_ssn(c).next > BLOCK / 2)
        (void)take(c);
    assert_int_equal(lease_if_wanted(st, c), 1);        /* numbers run low: a block, in a record with the usage */
    assert_int_equal(osp_octx_ssn(c).limit, limit + 2 * BLOCK);
    unit_stop(st);
}

/* row S12 */
static void
limits_are_those_of_the_context_of_all_or_of_the_algorithm(void **state)
{
    struct osp_state    *st;
    struct osp_key_usage u;

    (void)state;
    cfg.context_count = 2;
    cfg.key_limits.v = (struct cfg_key_limit){ CFG_LIMIT_SET, 99 };
    contexts[1].key_limits.l = (struct cfg_key_limit){ .kind = CFG_LIMIT_OFF };
    contexts[1].key_limits.v = (struct cfg_key_limit){ .kind = CFG_LIMIT_OFF };
    contexts[1].key_limits.at_limit = CFG_AT_LIMIT_STOP;
    st = start();
    u = osp_octx_usage(ctx(st, 0));
    assert_true(u.limits.q == 1u << 20 && u.limits.v == 99 && u.limits.l == 0 && !u.limits.stop);
    u = osp_octx_usage(ctx(st, 1));
    assert_true(u.limits.q == 1u << 20 && u.limits.v == 0 && u.limits.l == 0 && u.limits.stop);
    cfg.key_limits.at_limit = CFG_AT_LIMIT_STOP;        /* a reload changes those of contexts that stay */
    contexts[1].key_limits.at_limit = CFG_AT_LIMIT_WARN;
    contexts[1].key_limits.q = (struct cfg_key_limit){ CFG_LIMIT_SET, 5 };
    load(st);
    u = osp_octx_usage(ctx(st, 0));
    assert_true(u.limits.stop && u.limits.l == 1u << 8);
    u = osp_octx_usage(ctx(st, 1));
    assert_true(u.limits.q == 5 && !u.limits.stop);
    unit_stop(st);
}

/* row S12 */
static void
context_at_its_limit_stays_there(void **state)
{
    struct osp_state *st;
    uint64_t          n;

    (void)state;
    contexts[0].key_limits = (struct cfg_key_limits){ .q = { CFG_LIMIT_SET, 5 }, .at_limit = CFG_AT_LIMIT_STOP };
    for (int crash = 0; crash < 2; crash++) {
        st = start();
        lease(st, ctx(st, 0));
        for (int i = 0; i < 5; i++)
            if (osp_octx_take_ssn(ctx(st, 0), &n) == OSP_OK)
                lease(st, ctx(st, 0));
        EXPECT_ERR(OSP_E_KEY_LIMIT, osp_octx_take_ssn(ctx(st, 0), &n));
        if (crash)
            osp_state_close(st);
        else
            unit_stop(st);
    }
    st = start();
    lease(st, ctx(st, 0));
    EXPECT_ERR(OSP_E_KEY_LIMIT, osp_octx_take_ssn(ctx(st, 0), &n));
    unit_stop(st);
}

/* ---- contexts that are derived anew ---- */

/* The current context of the first entry, which is a base; a reference that the base keeps for us. */
static struct osp_octx *
current(struct osp_state *st)
{
    struct osp_octx *c = osp_b2_current(ctx(st, 0));

    osp_octx_unref(c);
    return c;
}

/* As if a run of ours had just ended with it. */
static void
end_run(struct osp_state *st, const char *id)
{
    struct osp_octx *c;

    EXPECT_OK(osp_b2_derive(ctx(st, 0), osp_slice_str(id), &c));
    osp_octx_lend(c, 16);
    osp_b2_end(ctx(st, 0), c);
    osp_octx_unref(c);
}

static void
expect_current(struct osp_state *st, const char *id)
{
    struct osp_slice own = OSP_EMPTY;

    assert_non_null(current(st));
    assert_true(osp_octx_id_context(current(st), &own));
    EXPECT_BYTES(osp_slice_str(id), own);
}

/* row S11 [rfc8613#B.2] no number of a context before it is durable, but those that no later run can use */
static void
current_context_is_durable_before_its_numbers(void **state)
{
    struct osp_state *st;
    struct osp_replay w = { .next = 9, .seen = 5 };
    uint64_t          n;

    (void)state;
    contexts[0].rekey = CFG_REKEY_B2;
    st = start();
    assert_null(current(st));
    end_run(st, "R2R3R2R3");
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(take(current(st)), i);
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(current(st), &n));
    osp_state_close(st);        /* a crash before the lease: it is as if it had never been */
    st = start();
    assert_null(current(st));
    end_run(st, "R2R3R2R4");
    assert_int_equal(take(current(st)), 0);
    lease(st, current(st));
    osp_state_close(st);        /* and one after it */
    st = start();
    expect_current(st, "R2R3R2R4");
    assert_false(is_known(current(st), &w));
    lease(st, current(st));
    assert_int_equal(take(current(st)), 16 + BLOCK);
    osp_octx_set_window(current(st), &(struct osp_replay){ 9, 5 });
    unit_stop(st);
    st = start();
    expect_current(st, "R2R3R2R4");
    assert_true(is_known(current(st), &w));
    assert_int_equal(w.next, 9);
    lease(st, current(st));
    assert_int_equal(take(current(st)), 16 + BLOCK + 1);
    unit_stop(st);
}

/* row S11 */
static void
new_context_takes_the_place_of_the_old_one(void **state)
{
    struct osp_state *st;
    struct osp_octx  *old;

    (void)state;
    contexts[0].rekey = CFG_REKEY_B2;
    st = start();
    end_run(st, "AAAAAAAA");
    lease(st, current(st));
    old = current(st);
    osp_octx_ref(old);
    end_run(st, "BBBBBBBB");
    lease(st, old);             /* what is in flight under it gets no more */
    assert_int_equal(osp_octx_ssn(old).limit, 16 + BLOCK);
    lease(st, current(st));
    assert_int_equal(osp_octx_ssn(current(st)).limit, 16 + BLOCK);
    osp_octx_unref(old);
    osp_state_close(st);
    st = start();
    expect_current(st, "BBBBBBBB");
    end_run(st, "CCCCCCCC");
    unit_stop(st);                   /* a clean stop writes what had no lease yet */
    st = start();
    expect_current(st, "CCCCCCCC");
    lease(st, current(st));
    assert_int_equal(take(current(st)), 0);     /* none was used, and that is known */
    unit_stop(st);
}

/* row S11 */
static void
reload_keeps_the_current_context(void **state)
{
    struct osp_state  *st;
    struct cfg_context a;

    (void)state;
    contexts[0].rekey = CFG_REKEY_B2;
    a = contexts[0];
    st = start();
    end_run(st, "AAAAAAAA");
    load(st);
    expect_current(st, "AAAAAAAA");
    contexts[0] = contexts[1];  /* gone, and back */
    load(st);
    contexts[0] = a;
    load(st);
    expect_current(st, "AAAAAAAA");
    assert_true(osp_octx_ssn(current(st)).next >= 16);
    contexts[0].rekey = CFG_REKEY_NONE;         /* the same keys without it are another context */
    load(st);
    assert_int_equal(osp_octx_ssn(ctx(st, 0)).next, 0);
    unit_stop(st);
}

static void
distrusted_state_saves_no_window(void **state)
{
    struct osp_state *st = start();
    struct osp_replay w;

    (void)state;
    osp_state_distrust(st);
    EXPECT_ERR(OSP_E_STORE, osp_state_save(st));
    osp_state_close(st);
    st = start();
    assert_false(is_known(ctx(st, 0), &w));
    unit_stop(st);
}

static void
same_keys_twice_are_refused(void **state)
{
    struct osp_state  *st = NULL;
    struct osp_ctxset *set = NULL;

    (void)state;
    contexts[1] = contexts[0];
    cfg.context_count = 2;
    EXPECT_OK(osp_state_open(&cfg, &st, why));
    EXPECT_ERR(OSP_E_EXISTS, osp_state_build(st, &cfg, &set, why));
    osp_state_close(st);
}

static void
contexts_without_a_state_directory_are_refused(void **state)
{
    struct osp_state  *st = NULL;
    struct osp_ctxset *set = NULL;

    (void)state;
    cfg.state = NULL;
    EXPECT_OK(osp_state_open(&cfg, &st, why));
    EXPECT_ERR(OSP_E_INVALID, osp_state_build(st, &cfg, &set, why));
    osp_state_close(st);
}

static void
failed_reload_leaves_the_set_as_it_was(void **state)
{
    struct osp_state  *st = start();
    struct osp_ctxset *set = NULL;
    struct osp_octx   *a = ctx(st, 0);

    (void)state;
    cfg.context_count = 2;
    EXPECT_OK(osp_state_build(st, &cfg, &set, why));
    EXPECT_OK(osp_state_prepare(st, set, &cfg, why));
    osp_state_discard(st, set);
    assert_int_equal(osp_state_set(st)->count, 1);
    lease(st, a);
    assert_int_equal(take(a), 0);
    unit_stop(st);
}

/* Enough of them that several threads share the work: each is in its place, and an error among them is told. */
static void
many_contexts_are_each_in_their_place(void **state)
{
    enum { MANY = 5000 };
    struct cfg_context *many = calloc(MANY, sizeof(*many));
    uint8_t           (*kid)[2] = calloc(MANY, sizeof(*kid));
    struct osp_state   *st;
    struct osp_ctxset  *set = NULL;

    (void)state;
    assert_non_null(many);
    assert_non_null(kid);
    for (size_t i = 0; i < MANY; i++) {
        kid[i][0] = (uint8_t)i;
        kid[i][1] = (uint8_t)(i >> 8);
        many[i] = contexts[0];
        many[i].recipient_id = (struct cfg_bytes){ kid[i], 2 };
    }
    cfg.contexts = many;
    cfg.context_count = MANY;
    cfg.state_size = 4u << 20;
    st = start();
    for (size_t i = 0; i < MANY; i++)
        EXPECT_BYTES(osp_slice(kid[i], 2), osp_octx_recipient_id(ctx(st, i)));
    unit_stop(st);
    st = start();
    many[MANY / 2].recipient_id = many[3].recipient_id;
    EXPECT_ERR(OSP_E_EXISTS, osp_state_build(st, &cfg, &set, why));
    many[MANY / 2].aead = 999;
    EXPECT_ERR(OSP_E_ALGORITHM, osp_state_build(st, &cfg, &set, why));
    unit_stop(st);
    free(many);
    free(kid);
}

/* A store is refused at the start when it could not take the clean stop; it is never found out at the stop. */
static void
store_that_is_large_enough_to_start_is_large_enough_to_stop(void **state)
{
    enum { MANY = 10000, STEP = 500 };
    struct cfg_context *many = calloc(MANY, sizeof(*many));
    uint8_t           (*kid)[3] = calloc(MANY, sizeof(*kid));
    struct osp_octx    *some[200];
    size_t              n = 0, refused = 0;

    (void)state;
    assert_non_null(many);
    assert_non_null(kid);
    cfg.contexts = many;
    for (; n < MANY && !refused; n += STEP) {
        struct osp_state  *st = NULL;
        struct osp_ctxset *set = NULL;

        for (size_t i = n; i < n + STEP; i++) {
            kid[i][0] = (uint8_t)i;
            kid[i][1] = (uint8_t)(i >> 8);
            many[i] = contexts[0];
            many[i].sender_id = (struct cfg_bytes){ kid[i], 3 };
            many[i].recipient_id = (struct cfg_bytes){ kid[i], 2 };
        }
        cfg.context_count = n + STEP;
        assert_int_equal(unit_remove_store(dir), 0);    /* all of them at once into a new one */
        assert_true(unit_make_state(&cfg));
        EXPECT_OK(osp_state_open(&cfg, &st, why));
        EXPECT_OK(osp_state_build(st, &cfg, &set, why));
        if (osp_state_prepare(st, set, &cfg, why) != OSP_OK) {
            assert_non_null(strstr(why, "state-size"));
            osp_state_discard(st, set);
            osp_state_close(st);
            refused = n;
            continue;
        }
        osp_state_adopt(st, set);
        for (size_t i = 0; i < 200; i++) /* the largest batch right before the stop */
            some[i] = ctx(st, i * set->count / 200);
        EXPECT_OK(osp_state_lease(st, some, 200));
        unit_stop(st);
    }
    assert_in_range(refused, 1000, MANY);
    cfg.context_count = refused; /* and what ran before runs again */
    unit_stop(start());
    free(many);
    free(kid);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(numbers_need_a_lease),
        T(numbers_after_a_crash_are_above_every_leased_one),
        T(numbers_after_a_clean_stop_skip_nothing),
        T(numbers_end_at_the_end_of_the_space),
        T(window_starts_empty_only_for_fresh_keys),
        T(window_survives_a_clean_stop_exactly),
        T(window_is_unknown_after_a_crash),
        T(reload_keeps_objects_and_labels),
        T(reload_gives_no_label_that_the_old_set_uses),
        T(reload_that_brings_a_context_back_brings_its_past_back),
        T(two_objects_of_one_context_never_share_a_number),
        T(usage_survives_a_clean_stop_exactly),
        T(usage_after_a_crash_is_rounded_up),
        T(forged_tags_cost_no_numbers),
        T(limits_are_those_of_the_context_of_all_or_of_the_algorithm),
        T(context_at_its_limit_stays_there),
        T(current_context_is_durable_before_its_numbers),
        T(new_context_takes_the_place_of_the_old_one),
        T(reload_keeps_the_current_context),
        T(distrusted_state_saves_no_window),
        T(same_keys_twice_are_refused),
        T(contexts_without_a_state_directory_are_refused),
        T(failed_reload_leaves_the_set_as_it_was),
        T(many_contexts_are_each_in_their_place),
        T(store_that_is_large_enough_to_start_is_large_enough_to_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
