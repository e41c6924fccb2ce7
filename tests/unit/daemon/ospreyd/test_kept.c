/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts that no configuration holds: over restarts, crashes, bounds, lifetimes and revocation. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "tests/unit/daemon/unit_state.h"

#define BLOCK 10

static char                  dir[64];
static char                  why[OSP_STORE_WHY_MAX];
static char                  meter[] = "meter", plant[] = "plant", file[] = "edhoc.yaml";
static struct cfg_credential trusted[2];
static struct osp_cfg        cfg;
static struct osp_kept_cfg   kept_cfg;
static struct osp_kept      *kept;
static struct osp_state     *state;
static uint64_t              print;             /* of the credentials of what is made */
static uint64_t              made_s;            /* time of day that what is made was made at; 0: now */

static int
setup(void **s)
{
    (void)s;
    log_set_level(CFG_LOG_ERROR);
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-kept-XXXXXX");
    trusted[0] = (struct cfg_credential){ .name = meter };
    trusted[1] = (struct cfg_credential){ .name = plant };
    cfg = (struct osp_cfg){ .state = mkdtemp(dir), .lease = { BLOCK }, .state_size = 1u << 20,
                            .edhoc = { .file = file, .creds = { .trusted = trusted, .trusted_count = 2 } } };
    kept_cfg = (struct osp_kept_cfg){ .bound = 100, .per_peer = 2 };
    return cfg.state && unit_make_state(&cfg) ? 0 : -1;
}

static int
teardown(void **s)
{
    (void)s;
    return unit_remove_store(dir);
}

static void
start(void)
{
    EXPECT_OK(osp_kept_new(&kept_cfg, &kept));
    state = unit_start(&cfg, kept);
}

/* Without a save it is what a crash leaves behind. */
static void
crash(void)
{
    osp_state_close(state);
    osp_kept_free(kept);
}

static void
stop(void)
{
    EXPECT_OK(osp_state_save(state));
    crash();
}

/* A context as EDHOC would leave it: fresh keys, an empty window, in the runtime table. */
static struct osp_octx *
make(const char *name, const char *peer, const char *recipient, const char *secret)
{
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_secret = osp_slice_str(secret), .master_salt = osp_slice_str("saltsalt"),
                                 .sender_id = osp_slice_str("P"), .recipient_id = osp_slice_str(recipient) };
    struct osp_replay      empty = { 0 };
    struct osp_recipe     *m = NULL;
    struct osp_octx       *c;

    EXPECT_OK(osp_recipe_new(&p, name, peer, &m));
    c = m->octx;
    osp_octx_set_label(c, osp_kept_label(kept, name, print));
    osp_octx_set_window(c, &empty);
    EXPECT_OK(osp_octx_runtime_add(osp_kept_runtime(kept), c));
    assert_true(osp_kept_add(kept, m, made_s ? made_s : (uint64_t)time(NULL)));
    return c;
}

static bool
is_live(const char *kid)
{
    struct osp_octx *c = osp_octx_runtime_find(osp_kept_runtime(kept), osp_slice_str(kid), false, OSP_EMPTY);

    osp_octx_unref(c);
    return c != NULL;
}

static size_t
count(void)
{
    struct osp_kept_stats s;

    osp_kept_stats(kept, &s);
    assert_int_equal(s.count, osp_octx_runtime_count(osp_kept_runtime(kept)));
    return s.count;
}

/* A lease of `c`, which writes what is due. */
static struct osp_ssn
lease(struct osp_octx *c)
{
    EXPECT_OK(osp_state_lease(state, &c, 1));
    return osp_octx_ssn(c);
}

static struct osp_octx *
found(const char *kid)
{
    struct osp_octx *c = osp_octx_runtime_find(osp_kept_runtime(kept), osp_slice_str(kid), false, OSP_EMPTY);

    assert_non_null(c);
    osp_octx_unref(c);          /* the table still holds it */
    return c;
}

static void
kept_context_survives_a_clean_stop(void **s)
{
    struct osp_octx  *c;
    struct osp_replay w;
    uint64_t          ssn;
    uint32_t          label;

    (void)s;
    start();
    c = make("meter", "kid 2b", "a", "secret number one");
    label = osp_octx_label(c);
    assert_int_equal(BLOCK, lease(c).limit);
    EXPECT_OK(osp_octx_take_ssn(c, &ssn));
    stop();
    start();
    c = found("a");
    assert_int_equal(1, osp_octx_ssn(c).next);
    assert_int_equal(OSP_WINDOW_KNOWN, osp_octx_get_window(c, &w));
    assert_int_equal(label, osp_octx_label(c));
    assert_int_equal(label, osp_kept_label(kept, "meter", print));
    stop();
}

/* [rfc8613#B.1.1] [rfc8613#B.1.2] numbers go on where they may have been used, the window is unknown */
static void
kept_context_survives_a_crash(void **s)
{
    struct osp_octx  *c;
    struct osp_replay w;

    (void)s;
    start();
    c = make("meter", "kid 2b", "a", "secret number one");
    (void)lease(c);
    (void)make("meter", "kid 2c", "b", "secret number two");    /* nothing of it was written: it is gone */
    crash();
    start();
    c = found("a");
    assert_int_equal(BLOCK, osp_octx_ssn(c).next);
    assert_int_equal(BLOCK, osp_octx_ssn(c).limit);
    assert_int_equal(OSP_WINDOW_UNKNOWN, osp_octx_get_window(c, &w));
    assert_false(is_live("b"));
    assert_int_equal(2 * BLOCK, lease(c).limit);
    stop();
}

/* Writes what the store keeps of the context with Recipient ID "a" as formats 1 and 2 had it. */
static void
write_as_before(const char *secret)
{
    struct osp_octx_params      p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                      .master_secret = osp_slice_str(secret), .master_salt = osp_slice_str("saltsalt"),
                                      .sender_id = osp_slice_str("P"), .recipient_id = osp_slice_str("a") };
    struct osp_store           *s = NULL;
    struct osp_sender_record    sender;
    struct osp_slice            row = OSP_EMPTY, recipient = OSP_EMPTY;
    uint8_t                     key[OSP_STORE_KEY_LEN], print_of[OSP_STORE_KEY_LEN], any[OSP_STORE_KEY_LEN];
    uint8_t                     bytes[OSP_STORE_VALUE_MAX], old[32];
    struct osp_wr               w = osp_wr_to(bytes, sizeof(bytes)), r = osp_wr_to(old, sizeof(old));
    bool                        is_old = true;

    EXPECT_OK(osp_octx_fingerprint(&p, print_of));
    EXPECT_OK(osp_store_open(dir, 1u << 20, &s, why));
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(osp_record_next_kept(s, true, key, &row, &is_old));
    assert_false(is_old);
    osp_wr_put(&w, row);
    EXPECT_OK(osp_record_get_sender(s, key, &sender));
    osp_wr_uint(&r, sender.limit, 8);
    EXPECT_OK(osp_store_next(s, OSP_STORE_RECIPIENT, true, any, &recipient));
    osp_wr_put(&r, osp_slice_head(recipient, 16));      /* window and run */
    osp_wr_uint(&r, 0, 8);
    EXPECT_OK(osp_record_forget_kept(s, key));
    assert_int_equal(osp_store_count(s, OSP_STORE_RECIPIENT), 0);
    EXPECT_OK(osp_store_put(s, OSP_STORE_KEPT, print_of, osp_wr_slice(&w)));
    EXPECT_OK(osp_store_put(s, OSP_STORE_OLD, print_of, osp_wr_slice(&r)));
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

static void
kept_context_of_a_version_before_is_taken_over(void **s)
{
    struct osp_octx  *c;
    struct osp_replay w;

    (void)s;
    start();
    c = make("meter", "kid 2b", "a", "secret number one");
    (void)lease(c);
    stop();
    write_as_before("secret number one");
    start();
    c = found("a");
    assert_int_equal(0, osp_octx_ssn(c).next);
    assert_int_equal(OSP_WINDOW_KNOWN, osp_octx_get_window(c, &w));
    (void)lease(c);             /* writes it as it is now */
    (void)lease(c);
    crash();
    start();
    c = found("a");
    assert_true(osp_octx_ssn(c).next >= BLOCK);
    assert_int_equal(OSP_WINDOW_UNKNOWN, osp_octx_get_window(c, &w));
    stop();
}

static void
kept_context_that_was_never_leased_is_saved_by_a_clean_stop(void **s)
{
    (void)s;
    start();
    (void)make("meter", "kid 2b", "a", "secret number one");
    stop();
    start();
    assert_true(is_live("a"));
    stop();
}

/* One that leads to `place`, as the Initiator makes it: it has used numbers when something is heard under it. */
static struct osp_octx *
reach(const char *name, const char *place, const char *recipient, const char *secret)
{
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256,
                                 .master_secret = osp_slice_str(secret), .sender_id = osp_slice_str("P"),
                                 .recipient_id = osp_slice_str(recipient) };
    struct osp_recipe     *m = NULL;
    uint64_t               ssn;

    EXPECT_OK(osp_recipe_new(&p, name, place, &m));
    m->leads = true;
    EXPECT_OK(osp_octx_runtime_add_unconfirmed(osp_kept_runtime(kept), m, 2 * BLOCK));
    for (int i = 0; i < BLOCK + 1; i++)
        EXPECT_OK(osp_octx_take_ssn(m->octx, &ssn));
    assert_ptr_equal(m, osp_octx_runtime_confirm(osp_kept_runtime(kept), m->octx));
    assert_true(osp_kept_add(kept, m, (uint64_t)time(NULL)));
    return m->octx;
}

static void
kept_context_that_was_used_before_uses_no_number_twice(void **s)
{
    struct osp_octx *c;

    (void)s;
    start();
    c = reach("plant", "coap://one", "a", "secret number one");
    assert_true(osp_octx_wants_lease(c, BLOCK));
    osp_octx_lease_failed(c);
    EXPECT_OK(osp_state_lease(state, NULL, 0));         /* it is written, and no lease */
    crash();
    start();
    c = found("a");
    assert_int_equal(2 * BLOCK, osp_octx_ssn(c).next);
    assert_true(osp_octx_usage(c).q >= BLOCK + 1);
    assert_int_equal(3 * BLOCK, lease(c).limit);
    stop();
}

/* Whoever has proven to be there: after a restart, too, there is one to be found. */
static void
kept_contexts_to_one_place_are_one(void **s)
{
    (void)s;
    start();
    (void)reach("plant", "coap://one", "a", "secret number one");
    (void)reach("meter", "coap://two", "b", "secret number two");
    (void)make("meter", "coap://one", "c", "secret number 3");
    (void)reach("meter", "coap://one", "d", "secret number 4");
    assert_int_equal(3, count());
    assert_false(is_live("a"));
    stop();
    start();
    assert_true(!is_live("a") && is_live("b") && is_live("c") && is_live("d"));
    stop();
}

static void
kept_contexts_of_one_peer_are_bounded(void **s)
{
    struct osp_kept_stats st;

    (void)s;
    start();
    (void)make("meter", "kid 2b", "a", "secret number one");
    (void)make("meter", "kid 2c", "x", "secret of somebody else");
    (void)make("meter", "kid 2b", "b", "secret number two");
    assert_true(is_live("a"));
    (void)lease(make("meter", "kid 2b", "c", "secret number three"));
    assert_false(is_live("a"));
    assert_true(is_live("b") && is_live("c") && is_live("x"));
    osp_kept_stats(kept, &st);
    assert_int_equal(1, st.replaced);
    crash();
    start();
    assert_false(is_live("a"));
    assert_true(is_live("b") && is_live("c") && is_live("x"));
    stop();
}

static void
kept_contexts_are_bounded_in_all(void **s)
{
    char recipient[3] = "00", peer[8], secret[20];

    (void)s;
    kept_cfg.bound = 5;
    start();
    for (unsigned i = 0; i < 50; i++) {
        recipient[0] = (char)('0' + i / 10);
        recipient[1] = (char)('0' + i % 10);
        (void)snprintf(peer, sizeof(peer), "kid %u", i);
        (void)snprintf(secret, sizeof(secret), "secret number %02u", i);
        (void)lease(make("meter", peer, recipient, secret));
        assert_true(count() <= 5);
    }
    assert_false(is_live("44"));
    assert_true(is_live("45") && is_live("49"));
    crash();
    start();
    assert_int_equal(5, count());       /* and the store forgot the rest */
    stop();
}

/* Identities that cost nothing must not drive out those that somebody vouches for. */
static void
kept_contexts_of_strangers_go_first(void **s)
{
    char recipient[3] = "00", peer[8], secret[20];

    (void)s;
    kept_cfg.bound = 5;
    kept_cfg.guests = CFG_UNKNOWN_NAME;
    cfg.edhoc.unknown = CFG_UNKNOWN_ACCEPT;
    start();
    for (unsigned i = 0; i < 60; i++) {
        if (i == 30) {
            crash();
            start();                    /* they are known again after a restart */
        }
        recipient[0] = (char)('0' + i / 10);
        recipient[1] = (char)('0' + i % 10);
        (void)snprintf(peer, sizeof(peer), "kid %u", i);
        (void)snprintf(secret, sizeof(secret), "secret number %02u", i);
        (void)lease(make(i < 3 || i == 50 ? "meter" : CFG_UNKNOWN_NAME, peer, recipient, secret));
        assert_true(count() <= 5);
    }
    assert_true(is_live("00") && is_live("01") && is_live("02") && is_live("50") && is_live("59"));
    assert_int_equal(5, count());
    stop();
}

/* A full table of contexts leaves room for all sessions that may be on their way [rfc9668#4.1.2]. */
static void
identifiers_can_be_reserved_beside_all_contexts(void **s)
{
    char recipient[2] = "a", secret[20];
    char id[5];

    (void)s;
    kept_cfg.bound = 5;
    kept_cfg.reserved = 3000;
    start();
    for (unsigned i = 0; i < 5; i++) {
        recipient[0] = (char)('a' + i);
        (void)snprintf(secret, sizeof(secret), "secret number %02u", i);
        (void)make("meter", recipient, recipient, secret);
    }
    for (unsigned i = 0; i < 3001; i++) {       /* one more comes before the oldest session goes */
        (void)snprintf(id, sizeof(id), "%04u", i);
        EXPECT_OK(osp_octx_runtime_reserve(osp_kept_runtime(kept), osp_slice_str(id)));
    }
    (void)make("meter", "x", "x", "secret that came then");
    assert_int_equal(5, count());
    stop();
}

static bool
is_not_b(void *ctx, const struct osp_octx *c)
{
    const uint32_t *label = ctx;

    return osp_octx_label(c) == *label && !osp_slice_eq(osp_octx_recipient_id(c), osp_slice_str("b"));
}

static void
kept_contexts_are_judged_by_label_and_identifier(void **s)
{
    uint32_t label;

    (void)s;
    start();
    label = osp_octx_label(make("meter", "kid 1", "a", "secret number one"));
    (void)lease(make("meter", "kid 2", "b", "secret number two"));
    (void)lease(make("plant", "kid 3", "c", "secret number three"));
    assert_int_equal(2, osp_kept_prune(kept, is_not_b, &label));
    assert_true(is_live("a") && !is_live("b") && !is_live("c"));
    stop();
}

/* The name stays, what it stands for is another: nobody whom the old one vouched for comes in. */
static void
kept_contexts_end_with_what_vouched_for_them(void **s)
{
    uint32_t was;

    (void)s;
    start();
    was = osp_octx_label(make("meter", "kid 1", "a", "secret number one"));
    (void)lease(make("plant", "kid 2", "b", "secret number two"));
    trusted[0].print = print = 7;
    assert_int_not_equal(was, osp_octx_label(make("meter", "kid 3", "c", "secret number three")));
    (void)lease(found("b"));
    stop();
    start();
    assert_true(!is_live("a") && is_live("b") && is_live("c"));
    assert_int_equal(osp_kept_label(kept, "meter", 7), osp_octx_label(found("c")));
    stop();
    print = 0;
    start();
    assert_false(is_live("a"));         /* and it was forgotten */
    trusted[1] = (struct cfg_credential){ .name = meter };      /* the old one too, while its keys are replaced */
    (void)lease(make("meter", "kid 1", "d", "secret number four"));
    stop();
    start();
    assert_true(is_live("c") && is_live("d"));
    stop();
}

static void
kept_contexts_expire(void **s)
{
    (void)s;
    kept_cfg.lifetime_s = 100;
    start();
    (void)lease(make("meter", "kid 2b", "a", "secret number one"));
    assert_int_equal(0, osp_kept_expire(kept, (uint64_t)time(NULL) + 98));
    assert_int_equal(1, osp_kept_expire(kept, (uint64_t)time(NULL) + 102));
    assert_false(is_live("a"));
    assert_true(osp_kept_is_due(kept));
    stop();
    start();
    assert_int_equal(0, count());
    made_s = (uint64_t)time(NULL) - 101;        /* over while nobody was there to see to it */
    (void)lease(make("meter", "kid 2b", "b", "secret number two"));
    made_s = 0;
    assert_true(is_live("b"));
    stop();
    start();
    assert_int_equal(0, count());
    stop();
}

/* A revoked context is gone at once, and stays gone even if the process dies right after the next write. */
static void
kept_contexts_are_revoked(void **s)
{
    struct osp_octx *other;

    (void)s;
    start();
    (void)lease(make("meter", "kid 2b", "a", "secret number one"));
    other = make("plant", "CN gateway", "b", "secret number two");
    (void)lease(other);
    assert_int_equal(0, osp_kept_revoke(kept, "nobody*"));
    assert_int_equal(1, osp_kept_revoke(kept, "kid 2*"));
    assert_false(is_live("a"));
    (void)lease(other);
    assert_false(osp_kept_is_due(kept));
    crash();
    start();
    assert_false(is_live("a"));
    assert_true(is_live("b"));
    stop();
}

static void
break_mark(void)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "%s.mark/mark", dir);
    unit_break(path);
}

/* What was written in a batch whose mark failed is in the store: it has to be forgotten. */
static void
kept_context_stays_revoked_when_the_mark_cannot_be_written(void **s)
{
    struct osp_octx *c;

    (void)s;
    start();
    c = make("meter", "kid 2b", "a", "secret number one");
    break_mark();
    EXPECT_ERR(OSP_E_STORE, osp_state_lease(state, &c, 1));
    assert_int_equal(1, osp_kept_revoke(kept, "kid 2*"));
    EXPECT_ERR(OSP_E_STORE, osp_state_forget_kept(state));      /* a copy of the store could bring it back: it is told */
    assert_non_null(strstr(osp_state_error(state), "mark"));
    EXPECT_ERR(OSP_E_STORE, osp_state_forget_kept(state));      /* and again, until it is written */
    assert_int_equal(0, osp_kept_unforgotten(kept));
    crash();
    start();
    assert_false(is_live("a"));
    stop();
}

/* The store itself cannot be written: that is told, and it is tried again. */
static void
revocation_that_is_not_stored_is_told(void **s)
{
    char path[80], away[80];

    (void)s;
    (void)snprintf(path, sizeof(path), "%s/state.mdb", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    start();
    (void)lease(make("meter", "kid 2b", "a", "secret number one"));
    assert_int_equal(0, rename(path, away));
    assert_int_equal(1, osp_kept_revoke(kept, "kid 2*"));
    EXPECT_ERR(OSP_E_STORE, osp_state_forget_kept(state));
    assert_int_equal(1, osp_kept_unforgotten(kept));
    assert_int_equal(0, rename(away, path));
    EXPECT_OK(osp_state_forget_kept(state));
    assert_int_equal(0, osp_kept_unforgotten(kept));
    crash();
    start();
    assert_false(is_live("a"));
    stop();
}

/* Whoever is configured no longer has no contexts either. */
static void
kept_contexts_end_with_their_credential(void **s)
{
    (void)s;
    start();
    (void)make("meter", "kid 2b", "a", "secret number one");
    (void)make("plant", "CN gateway", "b", "secret number two");
    stop();
    cfg.edhoc.creds.trusted_count = 1;
    start();
    assert_true(is_live("a"));
    assert_false(is_live("b"));
    stop();
    cfg.edhoc.creds.trusted_count = 2;
    start();
    assert_false(is_live("b"));
    stop();
}

static void
kept_contexts_need_no_store(void **s)
{
    struct osp_octx *c;
    char            *where = cfg.state;

    (void)s;
    cfg.state = NULL;
    start();
    c = make("meter", "kid 2b", "a", "secret number one");
    assert_int_equal(BLOCK, lease(c).limit);
    stop();
    cfg.state = where;
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(kept_context_survives_a_clean_stop),
        T(kept_context_survives_a_crash),
        T(kept_context_of_a_version_before_is_taken_over),
        T(kept_context_that_was_never_leased_is_saved_by_a_clean_stop),
        T(kept_context_that_was_used_before_uses_no_number_twice),
        T(kept_contexts_to_one_place_are_one),
        T(kept_contexts_of_one_peer_are_bounded),
        T(kept_contexts_are_bounded_in_all),
        T(kept_contexts_of_strangers_go_first),
        T(identifiers_can_be_reserved_beside_all_contexts),
        T(kept_contexts_are_judged_by_label_and_identifier),
        T(kept_contexts_end_with_what_vouched_for_them),
        T(kept_contexts_expire),
        T(kept_contexts_are_revoked),
        T(kept_context_stays_revoked_when_the_mark_cannot_be_written),
        T(revocation_that_is_not_stored_is_told),
        T(kept_contexts_end_with_their_credential),
        T(kept_contexts_need_no_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
