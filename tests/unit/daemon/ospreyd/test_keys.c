/* SPDX-License-Identifier: BSD-2-Clause */
/* State belongs to keys: edits of the configuration, loss of state, and stores that versions before wrote. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/store/mark.h"
#include "daemon/ospreyd/state/records.h"
#include "tests/unit/daemon/unit_state.h"
#include "oscore/b2.h"

#define BLOCK 10
#define BLIND (1ull << 36)

static char               dir[64];
static char               why[OSP_STORE_WHY_MAX];
static uint8_t            secret[16] = { 1 };
static uint8_t            ids[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static char               names[2][2] = { "a", "b" };
static struct cfg_context contexts[2];
static struct osp_cfg     cfg;

static void
set_ids(size_t i, unsigned sender, unsigned recipient)
{
    contexts[i].sender_id = (struct cfg_bytes){ &ids[sender], 1 };
    contexts[i].recipient_id = (struct cfg_bytes){ &ids[recipient], 1 };
}

static int
setup(void **state)
{
    (void)state;
    log_set_level(CFG_LOG_ERROR);
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-keys-XXXXXX");
    memset(contexts, 0, sizeof(contexts));
    for (size_t i = 0; i < 2; i++) {
        contexts[i].name = names[i];
        contexts[i].master_secret.value = (struct cfg_bytes){ secret, 16 };
        contexts[i].aead = OSP_AES_CCM_16_64_128;
        contexts[i].hkdf = OSP_HKDF_SHA256;
        contexts[i].fresh = true;
    }
    set_ids(0, 0, 1);
    set_ids(1, 2, 3);
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

static enum osp_err
try_load(struct osp_state *st)
{
    struct osp_ctxset *set = NULL;
    enum osp_err       e = osp_state_build(st, &cfg, &set, why);

    if (e != OSP_OK)
        return e;
    e = osp_state_prepare(st, set, &cfg, why);
    if (e == OSP_OK)
        osp_state_adopt(st, set);
    else
        osp_state_discard(st, set);
    return e;
}

static void
load(struct osp_state *st)
{
    if (try_load(st) != OSP_OK)
        fail_msg("%s", why);
}

static struct osp_state *
start(void)
{
    struct osp_state *st = NULL;

    if (osp_state_open(&cfg, &st, why) != OSP_OK)
        fail_msg("%s", why);
    load(st);
    return st;
}

static void
stop(struct osp_state *st)
{
    EXPECT_OK(osp_state_save(st));
    osp_state_close(st);
}

static struct osp_octx *
ctx(struct osp_state *st, size_t i)
{
    return osp_state_set(st)->entries[i].octx;
}

/* The next number of a context, with a lease where it needs one. */
static uint64_t
take(struct osp_state *st, struct osp_octx *c)
{
    uint64_t n = UINT64_MAX;

    if (osp_octx_take_ssn(c, &n) == OSP_E_NO_LEASE) {
        EXPECT_OK(osp_state_lease(st, &c, 1));
        EXPECT_OK(osp_octx_take_ssn(c, &n));
    }
    return n;
}

static bool
is_known(struct osp_octx *c, struct osp_replay *w)
{
    return osp_octx_get_window(c, w) == OSP_WINDOW_KNOWN;
}

/* How a configuration that was edited comes into force: by a reload, a clean stop or a crash. */
enum { RELOAD, STOP, CRASH, WAYS };

static struct osp_state *
change(struct osp_state *st, int way)
{
    if (way == RELOAD) {
        load(st);
        return st;
    }
    if (way == STOP)
        stop(st);
    else
        osp_state_close(st);
    return start();
}

/* ---- edits ---- */

/* row S08 [rfc8613#7.2.1] */
static void
numbers_go_on_under_another_recipient_id(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct osp_state *st = start();
        uint64_t          last = 0;

        for (int i = 0; i < 3; i++)
            last = take(st, ctx(st, 0));
        set_ids(0, 0, 4u + (unsigned)way);
        st = change(st, way);
        assert_true(take(st, ctx(st, 0)) > last);
        stop(st);
    }
}

/* row S09 [rfc8613#7.4] `fresh` stays in the file, and says nothing about a key that was used */
static void
window_goes_on_under_another_sender_id(void **state)
{
    struct osp_replay w = { .next = 9, .seen = 5 };

    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct osp_state *st = start();
        struct osp_replay now;

        osp_octx_set_window(ctx(st, 0), &w);
        set_ids(0, 4u + (unsigned)way, 1);
        st = change(st, way);
        if (way == STOP)
            assert_true(is_known(ctx(st, 0), &now) && now.next == 9 && now.seen == 5);
        else
            assert_false(is_known(ctx(st, 0), &now));
        stop(st);
    }
}

/* The record of a window is older than the window of a context in use: it must not come back by a second reload. */
static void
window_of_the_last_stop_is_void_once_it_was_loaded(void **state)
{
    struct osp_state *st = start();
    struct osp_replay w = { .next = 9, .seen = 5 }, now;

    (void)state;
    osp_octx_set_window(ctx(st, 0), &w);
    stop(st);
    st = start();
    assert_true(is_known(ctx(st, 0), &now));
    w.next = 20;
    osp_octx_set_window(ctx(st, 0), &w);        /* as if requests had come in since */
    set_ids(0, 4, 1);
    load(st);
    assert_false(is_known(ctx(st, 0), &now));
    set_ids(0, 5, 1);
    load(st);
    assert_false(is_known(ctx(st, 0), &now));
    set_ids(0, 0, 1);           /* back to the first: its window was saved, but others were in use since */
    load(st);
    assert_false(is_known(ctx(st, 0), &now));
    stop(st);
}

/* Two objects of one Sender Key, one of them in exchanges that are not over. */
static void
old_and_new_object_of_a_sender_key_share_no_number(void **state)
{
    struct osp_state *st = start();
    struct osp_octx  *old = ctx(st, 0);
    bool              seen[200] = { false };

    (void)state;
    osp_octx_ref(old);
    for (int i = 0; i < 3; i++)
        seen[take(st, old)] = true;
    set_ids(0, 0, 4);
    load(st);
    for (int i = 0; i < 30; i++) {
        uint64_t n = take(st, ctx(st, 0));

        assert_true(n < 200 && !seen[n]);
        seen[n] = true;
    }
    for (int i = 3; i < BLOCK; i++) {
        uint64_t n = take(st, old);     /* what it had leased is its own */

        assert_true(n < BLOCK && !seen[n]);
        seen[n] = true;
    }
    osp_octx_unref(old);
    stop(st);
    st = start();
    assert_true(take(st, ctx(st, 0)) >= 40);
    stop(st);
}

/* The old object may lease until the workers have switched, when the new one has its first numbers already. */
static void
old_object_that_leases_during_a_reload_shares_no_number(void **state)
{
    struct osp_state  *st = start();
    struct osp_octx   *old = ctx(st, 0), *new;
    struct osp_ctxset *set = NULL;
    bool               seen[200] = { false };

    (void)state;
    osp_octx_ref(old);
    (void)take(st, old);
    set_ids(0, 0, 4);
    EXPECT_OK(osp_state_build(st, &cfg, &set, why));
    EXPECT_OK(osp_state_prepare(st, set, &cfg, why));
    new = set->entries[0].octx;
    for (int i = 1; i < 25; i++) {
        seen[take(st, old)] = true;
        if (i % 8 == 0) {
            uint64_t n = take(st, new);

            assert_true(n < 200 && !seen[n]);
            seen[n] = true;
        }
    }
    osp_state_adopt(st, set);
    for (int i = 0; i < 30; i++) {
        uint64_t n = take(st, new);

        assert_true(n < 200 && !seen[n]);
        seen[n] = true;
    }
    osp_octx_unref(old);
    stop(st);
}

/* row S08 whoever sends under the peer's key repeats the peer's numbers */
static void
swapped_ids_are_refused_now_and_later(void **state)
{
    struct osp_state *st = start();

    (void)state;
    (void)take(st, ctx(st, 0));
    set_ids(0, 1, 0);
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    assert_non_null(strstr(why, "context a: its Sender Key was used as a Recipient Key"));
    set_ids(0, 4, 0);
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    assert_non_null(strstr(why, "context a: its Recipient Key was used as a Sender Key"));
    set_ids(0, 4, 5);           /* the context is gone for a while */
    load(st);
    stop(st);
    st = start();
    set_ids(0, 1, 4);
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    set_ids(0, 0, 1);           /* put right: nothing of what was refused is remembered */
    load(st);
    assert_true(take(st, ctx(st, 0)) >= 1);
    stop(st);
}

static void
keys_of_two_contexts_the_other_way_round_are_refused(void **state)
{
    struct osp_state *st = NULL;

    (void)state;
    set_ids(1, 1, 4);
    cfg.context_count = 2;
    EXPECT_OK(osp_state_open(&cfg, &st, why));
    EXPECT_ERR(OSP_E_EXISTS, try_load(st));
    osp_state_close(st);
}

/* row S09 */
static void
fresh_counts_once_for_each_key(void **state)
{
    struct osp_state *st = start();
    struct osp_replay w;

    (void)state;
    assert_true(is_known(ctx(st, 0), &w));
    set_ids(0, 0, 4);
    load(st);
    assert_true(is_known(ctx(st, 0), &w));      /* another Recipient Key, never used */
    set_ids(0, 0, 1);
    osp_state_close(st);
    st = start();
    assert_false(is_known(ctx(st, 0), &w));
    stop(st);
}

/* ---- the mark ---- */

static enum osp_err
try_open(void)
{
    struct osp_state *st = NULL;
    enum osp_err      e = osp_state_open(&cfg, &st, why);

    osp_state_close(st);
    return e;
}

static void
path_of(char dst[128], const char *name)
{
    (void)snprintf(dst, 128, "%s%s", dir, name);
}

static void
recover(void)
{
    FILE *null = fopen("/dev/null", "w");

    assert_non_null(null);
    if (osp_state_recover(&cfg, null, why) != OSP_OK)
        fail_msg("%s", why);
    (void)fclose(null);
}

/* A batch on the store itself, as nobody but a test does it. */
static void
edit_identity(void (*edit)(struct osp_identity *id))
{
    struct osp_store   *s = NULL;
    struct osp_identity id;

    EXPECT_OK(osp_store_open(dir, 1u << 20, &s, why));
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(osp_record_get_identity(s, &id));
    edit(&id);
    EXPECT_OK(osp_record_put_identity(s, &id));
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

static void
other_machine(struct osp_identity *id)
{
    id->machine[3] ^= 1;
    id->machine[4] |= 1;
}

static void
no_machine(struct osp_identity *id)
{
    memset(id->machine, 0, sizeof(id->machine));
}

static void
other_store(struct osp_identity *id)
{
    id->store[3] ^= 1;
}

static void
use(uint64_t count)
{
    struct osp_state *st = start();

    for (uint64_t i = 0; i < count; i++)
        (void)take(st, ctx(st, 0));
    stop(st);
}

/* Recovered, and all is as it has to be after a loss: numbers above `least`, no window, `fresh` of no effect. */
static void
expect_recovered(uint64_t least, uint64_t below)
{
    struct osp_state *st;
    struct osp_replay w;
    uint64_t          n;

    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "--recover-state"));
    recover();
    cfg.context_count = 2;
    st = start();
    for (size_t i = 0; i < 2; i++) {
        assert_false(is_known(ctx(st, i), &w));
        n = take(st, ctx(st, i));
        if (n < least || n >= below)
            fail_msg("number %llu is not in [%llu, %llu)", (unsigned long long)n, (unsigned long long)least,
                     (unsigned long long)below);
    }
    stop(st);
    stop(start());
}

static void
machine_is_told_from_others_if_it_has_a_name(void **state)
{
    bool named = access("/etc/machine-id", R_OK) == 0;

    (void)state;
    use(25);
    edit_identity(no_machine);
    EXPECT_OK(try_open());
    edit_identity(other_machine);
    if (!named) {
        EXPECT_OK(try_open());
        return;
    }
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "another machine"));
    expect_recovered(BLIND, 2 * BLIND); /* the mark may have come with it, and the other machine may have gone on */
}

static void
mark_of_other_state_is_refused(void **state)
{
    (void)state;
    use(25);
    edit_identity(other_store);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "other state"));
    expect_recovered(BLIND, 2 * BLIND);
}

static void
state_that_is_gone_goes_on_above_its_mark(void **state)
{
    char path[128];

    (void)state;
    use(25);
    path_of(path, "/state.mdb");
    assert_int_equal(unlink(path), 0);
    expect_recovered(30, 30 + 2 * BLOCK + 1);
}

static void
state_without_its_mark_goes_on_far_above(void **state)
{
    char path[128];

    (void)state;
    use(25);
    path_of(path, ".mark/mark");
    assert_int_equal(unlink(path), 0);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "its mark is missing"));
    expect_recovered(BLIND, 2 * BLIND);
}

/* The same bytes under the same name, in another file: what `cp` and a restored backup leave behind. */
static void
copy_in_place(const char *name)
{
    static uint8_t bytes[1u << 20];
    char           path[128], copy[160];
    int            fd;
    ssize_t        n;

    path_of(path, name);
    (void)snprintf(copy, sizeof(copy), "%s.copy", path);
    fd = open(path, O_RDONLY);
    n = read(fd, bytes, sizeof(bytes));
    (void)close(fd);
    assert_true(n > 0);
    fd = open(copy, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, bytes, (size_t)n), n);
    (void)close(fd);
    assert_int_equal(rename(copy, path), 0);
}

static void
copied_state_goes_on_above_its_mark(void **state)
{
    (void)state;
    use(25);
    copy_in_place("/state.mdb");
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "it was copied or restored"));
    EXPECT_ERR(OSP_E_STORE, try_open());        /* and so it stays */
    expect_recovered(30, 30 + 2 * BLOCK + 1);
}

/* Its numbers are those of the moment when it was copied: the original may have gone on since. */
static void
copied_mark_is_no_help(void **state)
{
    (void)state;
    use(25);
    copy_in_place(".mark/mark");
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "its mark was copied or restored"));
    copy_in_place("/state.mdb");
    expect_recovered(BLIND, 2 * BLIND);
}

static void
older_state_goes_on_above_its_mark(void **state)
{
    char    path[128];
    uint8_t old[1u << 20], now[sizeof(old)];
    int     fd;

    (void)state;
    use(5);
    path_of(path, "/state.mdb");
    fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, old, sizeof(old), 0), sizeof(old));
    (void)close(fd);
    use(40);
    fd = open(path, O_RDWR);    /* in place, so that it is the same file */
    assert_int_equal(pread(fd, now, sizeof(now), 0), sizeof(now));
    assert_memory_not_equal(old, now, sizeof(old));
    assert_int_equal(pwrite(fd, old, sizeof(old), 0), sizeof(old));
    (void)close(fd);
    path_of(path, "/state.sum");
    (void)unlink(path);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "older"));
    expect_recovered(50, 50 + 3 * BLOCK);
}

/* Without a reason that can be seen there is one that cannot: a machine that was set back as a whole. */
static void
state_that_looks_whole_goes_on_far_above_when_told_to(void **state)
{
    struct osp_state *st;

    (void)state;
    use(25);
    recover();
    st = start();
    assert_true(take(st, ctx(st, 0)) >= BLIND);
    stop(st);
}

static void
numbers_that_do_not_suffice_are_refused(void **state)
{
    FILE             *null = fopen("/dev/null", "w");
    struct osp_state *st = start();

    (void)state;
    osp_octx_grant(ctx(st, 0), OSP_PIV_MAX - 5, OSP_PIV_MAX - 5);
    (void)take(st, ctx(st, 0));
    stop(st);
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osp_state_recover(&cfg, null, why));
    assert_non_null(strstr(why, "new keys"));
    EXPECT_OK(try_open());      /* nothing was changed */
    (void)fclose(null);
}

/* Whatever the mark could not be told is not used. */
static void
numbers_wait_for_the_mark(void **state)
{
    struct osp_state *st = start();
    struct osp_octx  *c = ctx(st, 0);
    char              path[128];
    uint64_t          n;
    struct osp_mark_value v;
    struct osp_mark  *m;

    (void)state;
    (void)take(st, c);
    osp_state_close(st);
    path_of(path, ".mark");
    EXPECT_OK(osp_mark_open(path, &m, &v, why));
    assert_int_equal(v.high, BLOCK);
    assert_true(v.seq > 1);
    osp_mark_close(m);
    st = start();
    n = take(st, ctx(st, 0));
    assert_int_equal(n, BLOCK);
    stop(st);
}

/* [rfc8613#B.1.1] A number whose lease the mark does not know could be leased again by a copy of the store. */
static void
nothing_is_granted_when_the_mark_cannot_be_written(void **state)
{
    struct osp_state *st = start();
    struct osp_octx  *c = ctx(st, 0);
    char              path[128];
    uint64_t          n;

    (void)state;
    path_of(path, ".mark/mark");
    unit_break(path);
    EXPECT_ERR(OSP_E_STORE, osp_state_lease(st, &c, 1));
    assert_non_null(strstr(osp_state_error(st), "mark"));
    EXPECT_ERR(OSP_E_NO_LEASE, osp_octx_take_ssn(c, &n));
    osp_state_close(st);
    st = start();               /* the commit is in the store: its numbers are skipped */
    assert_true(take(st, ctx(st, 0)) >= BLOCK);
    stop(st);
}

static void
state_is_made_once(void **state)
{
    FILE *null = fopen("/dev/null", "w");
    char  path[128];

    (void)state;
    EXPECT_ERR(OSP_E_EXISTS, osp_state_init(&cfg, null, why));
    path_of(path, ".mark/mark");
    assert_int_equal(unlink(path), 0);
    EXPECT_ERR(OSP_E_EXISTS, osp_state_init(&cfg, null, why));
    assert_non_null(strstr(why, "already"));
    assert_int_equal(unit_remove_store(dir), 0);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "--init-state"));
    EXPECT_OK(osp_state_init(&cfg, null, why)); /* with its directories */
    EXPECT_OK(try_open());
    cfg.state = NULL;
    EXPECT_ERR(OSP_E_INVALID, osp_state_init(&cfg, null, why));
    (void)fclose(null);
}

/* ---- what versions before wrote ---- */

static void
put_old(struct osp_store *s, const struct cfg_context *c, uint64_t limit, uint32_t run)
{
    struct osp_octx_params p = { .aead = c->aead, .hkdf = c->hkdf, .master_secret = cfg_slice(&c->master_secret.value),
                                 .sender_id = cfg_slice(&c->sender_id), .recipient_id = cfg_slice(&c->recipient_id) };
    uint8_t                key[OSP_STORE_KEY_LEN], value[32];
    struct osp_wr          w = osp_wr_to(value, sizeof(value));

    EXPECT_OK(osp_octx_fingerprint(&p, key));
    osp_wr_uint(&w, limit, 8);
    osp_wr_uint(&w, 9, 8);
    osp_wr_u32(&w, 5);
    osp_wr_u32(&w, run);
    osp_wr_u32(&w, 11);
    osp_wr_u32(&w, 12);
    EXPECT_OK(osp_store_put(s, OSP_STORE_OLD, key, osp_wr_slice(&w)));
}

/* A store as an upgrade of the format leaves it: old records, no name, no mark; after a clean stop. */
static void
make_old(size_t count)
{
    struct osp_store *s = NULL;

    assert_int_equal(unit_remove_store(dir), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    EXPECT_OK(osp_store_create(dir, 1u << 20, &s, why));
    EXPECT_OK(osp_store_begin(s));
    for (size_t i = 0; i < count; i++)
        put_old(s, &contexts[i], 100 * (i + 1), osp_store_run(s));
    osp_store_mark(s, false);
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

static void
records_of_versions_before_go_to_the_keys(void **state)
{
    struct osp_state    *st;
    struct osp_replay    w;
    struct osp_key_usage used;

    (void)state;
    make_old(2);
    cfg.context_count = 2;
    st = start();
    for (size_t i = 0; i < 2; i++) {
        used = osp_octx_usage(ctx(st, i));
        assert_int_equal(osp_octx_ssn(ctx(st, i)).next, 100 * (i + 1));
        assert_true(is_known(ctx(st, i), &w) && w.next == 9 && w.seen == 5);
        assert_true(used.q == 11 && used.v == 12);
    }
    set_ids(0, 0, 4);           /* from now on they belong to the keys */
    load(st);
    assert_int_equal(take(st, ctx(st, 0)), 100);
    assert_true(is_known(ctx(st, 0), &w) && w.next == 0);       /* nothing is unclaimed: a new key may be fresh */
    stop(st);
    stop(start());              /* it has a mark */
}

/* That version had filed a key twice, since an ID of its context was edited: the older record has the higher numbers. */
static void
record_of_a_version_before_is_not_below_another_of_its_key(void **state)
{
    struct osp_state *st;
    struct osp_replay w;

    (void)state;
    make_old(2);                /* 100 and 200 */
    cfg.context_count = 1;      /* nobody claims the second one, which may be of the first one's keys */
    st = start();
    assert_true(take(st, ctx(st, 0)) >= 200);
    assert_false(is_known(ctx(st, 0), &w));
    stop(st);
}

/* An edit that came with the upgrade: whose record it is cannot be told, so no key starts below it. */
static void
unclaimed_records_hold_for_keys_without_any(void **state)
{
    struct osp_state *st;
    struct osp_replay w;

    (void)state;
    make_old(2);
    cfg.context_count = 2;
    set_ids(0, 0, 4);
    st = start();
    assert_int_equal(take(st, ctx(st, 0)), 100);
    assert_false(is_known(ctx(st, 0), &w));
    assert_int_equal(take(st, ctx(st, 1)), 200);
    set_ids(0, 5, 6);
    load(st);
    assert_int_equal(take(st, ctx(st, 0)), 100);
    set_ids(0, 0, 1);           /* the context that it was written for turns up */
    load(st);
    assert_true(take(st, ctx(st, 0)) >= 100);
    stop(st);
}

static void
state_of_versions_before_is_refused_once_it_has_a_mark(void **state)
{
    char    path[128], old_path[128];

    (void)state;
    make_old(1);
    path_of(path, "/state.mdb");
    path_of(old_path, ".old");
    assert_int_equal(rename(path, old_path), 0);
    assert_int_equal(unit_remove_store(dir), 0);
    EXPECT_OK(unit_make_state(&cfg) ? OSP_OK : OSP_E_STORE);
    assert_int_equal(rename(old_path, path), 0);
    EXPECT_ERR(OSP_E_STORE, try_open());
    assert_non_null(strstr(why, "older"));
    expect_recovered(BLIND, 2 * BLIND);
}

static struct osp_octx *
current(struct osp_state *st)
{
    struct osp_octx *c = osp_b2_current(ctx(st, 0));

    osp_octx_unref(c);          /* the base still holds it */
    return c;
}

/* row S11 */
static void
base_of_versions_before_goes_on(void **state)
{
    static const char    id[] = "R2R3R2R3";
    struct osp_slice     ctx_id = osp_slice_str(id);
    struct osp_octx_params p = { .aead = OSP_AES_CCM_16_64_128, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice(secret, 16),
                                 .sender_id = osp_slice(&ids[0], 1), .recipient_id = osp_slice(&ids[1], 1) };
    struct osp_octx     *base, *c;
    struct osp_store    *s = NULL;
    struct osp_state    *st;
    struct osp_replay    w;
    uint8_t              key[OSP_STORE_KEY_LEN], print[OSP_STORE_KEY_LEN], value[32];
    struct osp_wr        wr = osp_wr_to(value, sizeof(value));

    (void)state;
    contexts[0].rekey = CFG_REKEY_B2;
    make_old(0);
    EXPECT_OK(osp_b2_new(&p, &base));
    EXPECT_OK(osp_b2_key(&p, key));
    EXPECT_OK(osp_b2_fingerprint(base, &ctx_id, print));
    osp_octx_unref(base);
    EXPECT_OK(osp_store_open(dir, 1u << 20, &s, why));
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(osp_store_put(s, OSP_STORE_BASE, key, ctx_id));
    osp_wr_uint(&wr, 70, 8);
    osp_wr_uint(&wr, 9, 8);
    osp_wr_u32(&wr, 5);
    osp_wr_u32(&wr, osp_store_run(s));
    osp_wr_uint(&wr, 0, 8);
    EXPECT_OK(osp_store_put(s, OSP_STORE_OLD, print, osp_wr_slice(&wr)));
    osp_store_mark(s, false);
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
    for (int i = 0; i < 2; i++) {       /* as before, and then by the names of the keys */
        st = start();
        c = current(st);
        assert_non_null(c);
        assert_int_equal(take(st, c), 70 + i);
        assert_true(is_known(c, &w) && w.next == 9);
        stop(st);
    }
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(numbers_go_on_under_another_recipient_id),
        T(window_goes_on_under_another_sender_id),
        T(window_of_the_last_stop_is_void_once_it_was_loaded),
        T(old_and_new_object_of_a_sender_key_share_no_number),
        T(old_object_that_leases_during_a_reload_shares_no_number),
        T(swapped_ids_are_refused_now_and_later),
        T(keys_of_two_contexts_the_other_way_round_are_refused),
        T(fresh_counts_once_for_each_key),
        T(machine_is_told_from_others_if_it_has_a_name),
        T(mark_of_other_state_is_refused),
        T(state_that_is_gone_goes_on_above_its_mark),
        T(state_without_its_mark_goes_on_far_above),
        T(copied_state_goes_on_above_its_mark),
        T(copied_mark_is_no_help),
        T(older_state_goes_on_above_its_mark),
        T(state_that_looks_whole_goes_on_far_above_when_told_to),
        T(numbers_that_do_not_suffice_are_refused),
        T(numbers_wait_for_the_mark),
        T(nothing_is_granted_when_the_mark_cannot_be_written),
        T(state_is_made_once),
        T(records_of_versions_before_go_to_the_keys),
        T(record_of_a_version_before_is_not_below_another_of_its_key),
        T(unclaimed_records_hold_for_keys_without_any),
        T(base_of_versions_before_goes_on),
        T(state_of_versions_before_is_refused_once_it_has_a_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
