/* SPDX-License-Identifier: BSD-2-Clause */
/* The store: what is durable, and that it never opens onto numbers that could have been used. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ospreyd/state/records.h"

#define SIZE ((size_t)1 << 20)

static char dir[64];
static char why[OSP_STORE_WHY_MAX];

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-store-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static void
path_of(const char *name, char *dst, size_t cap)
{
    (void)snprintf(dst, cap, "%s/%s", dir, name);
}

static int
teardown(void **state)
{
    (void)state;
    return unit_remove_store(dir);
}

static struct osp_store *
open_store(void)
{
    struct osp_store *s = NULL;
    enum osp_err      e = osp_store_open(dir, SIZE, &s, why);

    if (e == OSP_E_NOT_FOUND)
        e = osp_store_create(dir, SIZE, &s, why);
    if (e != OSP_OK)
        fail_msg("%s", why);
    return s;
}

static void
expect_refused(const char *word)
{
    struct osp_store *s = NULL;

    EXPECT_ERR(OSP_E_STORE, osp_store_open(dir, SIZE, &s, why));
    assert_null(s);
    if (!strstr(why, word) || strchr(why, '\n'))
        fail_msg("not one line with \"%s\": %s", word, why);
}

static void
key(uint8_t out[OSP_STORE_KEY_LEN], unsigned n)
{
    memset(out, 0, OSP_STORE_KEY_LEN);
    out[0] = (uint8_t)n;
    out[31] = (uint8_t)(n >> 8);
}

/* What the store has of a key in both roles. */
struct record {
    uint64_t          limit;
    uint32_t          used_q, used_v;
    bool              has_window;
    struct osp_replay window;
};

static enum osp_err
put_record(struct osp_store *s, const uint8_t k[OSP_STORE_KEY_LEN], const struct record *r)
{
    struct osp_sender_record    sender = { r->limit, r->used_q };
    struct osp_recipient_record recipient = { r->used_v, r->has_window, r->window };
    enum osp_err                e = osp_record_put_sender(s, k, &sender);

    return e == OSP_OK ? osp_record_put_recipient(s, k, &recipient) : e;
}

static enum osp_err
get_record(struct osp_store *s, const uint8_t k[OSP_STORE_KEY_LEN], struct record *r)
{
    struct osp_sender_record    sender;
    struct osp_recipient_record recipient;
    enum osp_err                e = osp_record_get_sender(s, k, &sender);

    if (e == OSP_OK)
        e = osp_record_get_recipient(s, k, &recipient);
    if (e == OSP_OK)
        *r = (struct record){ sender.limit, sender.used_q, recipient.used_v, recipient.has_window, recipient.window };
    return e;
}

static struct osp_key_names
names_of(const uint8_t k[OSP_STORE_KEY_LEN])
{
    struct osp_key_names n;

    memcpy(n.sender, k, sizeof(n.sender));
    memcpy(n.recipient, k, sizeof(n.recipient));
    return n;
}

static void
put(struct osp_store *s, unsigned n, const struct record *r, bool running)
{
    uint8_t k[OSP_STORE_KEY_LEN];

    key(k, n);
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(put_record(s, k, r));
    osp_store_mark(s, running);
    EXPECT_OK(osp_store_commit(s));
}

static enum osp_err
get(struct osp_store *s, unsigned n, struct record *r)
{
    uint8_t      k[OSP_STORE_KEY_LEN];
    enum osp_err e;

    key(k, n);
    EXPECT_OK(osp_store_begin(s));
    e = get_record(s, k, r);
    osp_store_abort(s);
    return e;
}

static const struct record with_window = { .limit = 700, .has_window = true, .window = { .next = 42, .seen = 0x15 },
                                               .used_q = 0x89abcdef, .used_v = 16384 };

static void
store_gives_back_what_was_committed(void **state)
{
    struct osp_store *s = open_store();
    struct record     r;

    (void)state;
    put(s, 1, &with_window, false);
    osp_store_close(s);
    s = open_store();
    assert_true(osp_store_was_clean(s));
    EXPECT_OK(get(s, 1, &r));
    assert_int_equal(r.limit, 700);
    assert_true(r.has_window);
    assert_int_equal(r.window.next, 42);
    assert_int_equal(r.window.seen, 0x15);
    assert_int_equal(r.used_q, 0x89abcdef);
    assert_int_equal(r.used_v, 16384);
    EXPECT_ERR(OSP_E_NOT_FOUND, get(s, 2, &r));
    osp_store_close(s);
}

/* ---- contexts that are kept whole ---- */

static void fill(unsigned count);

static void
keep(unsigned n, const char *value)
{
    struct osp_store    *s = open_store();
    struct osp_key_names names;
    uint8_t              k[OSP_STORE_KEY_LEN];

    key(k, n);
    EXPECT_OK(osp_store_begin(s));
    names = names_of(k);
    EXPECT_OK(osp_record_keep(s, &names, osp_slice_str(value)));
    EXPECT_OK(put_record(s, k, &with_window));
    osp_store_mark(s, false);
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

/* The kept values one after another. */
static void
expect_kept(struct osp_store *s, const char *want)
{
    uint8_t          k[OSP_STORE_KEY_LEN];
    char             text[256];
    struct osp_wr    w = osp_wr_to((uint8_t *)text, sizeof(text));
    struct osp_slice v;
    bool             first = true, old = true;
    enum osp_err     e;

    EXPECT_OK(osp_store_begin(s));
    while ((e = osp_record_next_kept(s, first, k, &v, &old)) == OSP_OK) {
        first = false;
        assert_false(old);
        osp_wr_put(&w, v);
    }
    osp_store_abort(s);
    EXPECT_ERR(OSP_E_NOT_FOUND, e);
    EXPECT_BYTES(osp_slice_str(want), osp_wr_slice(&w));
}

static void
store_keeps_contexts_whole(void **state)
{
    struct osp_store *s;
    struct record r;
    struct osp_key_names names;
    const size_t      most = OSP_STORE_VALUE_MAX - OSP_KEY_NAME_LEN - 1;
    uint8_t           k[OSP_STORE_KEY_LEN], large[OSP_STORE_VALUE_MAX] = { 0 };

    (void)state;
    fill(300);                  /* plain records before, between and after them */
    keep('k', "one.");
    keep('z', "two.");
    keep(0, "three.");
    s = open_store();
    expect_kept(s, "three.one.two.");
    key(k, 'k');
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(osp_record_forget_kept(s, k));
    EXPECT_OK(osp_record_forget_kept(s, k));
    names = names_of(k);
    EXPECT_ERR(OSP_E_INVALID, osp_record_keep(s, &names, osp_slice(large, most + 1)));
    EXPECT_OK(osp_record_keep(s, &names, osp_slice(large, most)));
    EXPECT_OK(osp_record_forget_kept(s, k));
    EXPECT_OK(osp_store_commit(s));
    expect_kept(s, "three.two.");
    EXPECT_ERR(OSP_E_NOT_FOUND, get(s, 'k', &r));
    EXPECT_OK(get(s, 'z', &r));
    osp_store_close(s);
}

static void
store_keeps_nothing_of_an_aborted_batch(void **state)
{
    struct osp_store *s = open_store();
    struct record     r;
    uint8_t           k[OSP_STORE_KEY_LEN];

    (void)state;
    key(k, 1);
    EXPECT_OK(osp_store_begin(s));
    EXPECT_OK(put_record(s, k, &with_window));
    osp_store_abort(s);
    EXPECT_ERR(OSP_E_NOT_FOUND, get(s, 1, &r));
    osp_store_close(s);
}

/* [rfc8613#B.1.2] a window is worth something only after a clean stop */
static void
store_voids_windows_after_an_unclean_stop(void **state)
{
    struct osp_store *s = open_store();
    struct record     r;

    (void)state;
    put(s, 1, &with_window, true);
    osp_store_close(s);
    s = open_store();
    assert_false(osp_store_was_clean(s));
    EXPECT_OK(get(s, 1, &r));
    assert_false(r.has_window);
    assert_int_equal(r.limit, 700);
    osp_store_close(s);
}

/* The window of run 1 must stay void though run 3, which did not touch the context, ended cleanly. */
static void
store_voids_windows_from_before_any_unclean_stop(void **state)
{
    struct osp_store *s = open_store();
    struct record r, other = { .limit = 1 };

    (void)state;
    put(s, 1, &with_window, false);
    osp_store_close(s);
    s = open_store();
    put(s, 2, &other, true); /* a crash follows */
    osp_store_close(s);
    s = open_store();
    put(s, 2, &other, false);
    osp_store_close(s);
    s = open_store();
    assert_true(osp_store_was_clean(s));
    EXPECT_OK(get(s, 1, &r));
    assert_false(r.has_window);
    osp_store_close(s);
}

static void
store_that_was_only_opened_counts_as_before(void **state)
{
    struct osp_store *s = open_store();
    struct record     r;

    (void)state;
    put(s, 1, &with_window, false);
    osp_store_close(s);
    for (int i = 0; i < 3; i++)
        osp_store_close(open_store()); /* starts that failed before the first datagram */
    s = open_store();
    assert_true(osp_store_was_clean(s));
    EXPECT_OK(get(s, 1, &r));
    assert_true(r.has_window);
    osp_store_close(s);
}

static void
store_keeps_a_second_process_out(void **state)
{
    struct osp_store *s = open_store();

    (void)state;
    expect_refused("in use by process");
    osp_store_close(s);
    osp_store_close(open_store());
}

static void
store_refuses_what_is_no_directory(void **state)
{
    struct osp_store *s = NULL;

    (void)state;
    EXPECT_ERR(OSP_E_STORE, osp_store_open("/nonexistent/osprey", SIZE, &s, why));
    assert_non_null(strstr(why, "must be a directory"));
    EXPECT_ERR(OSP_E_STORE, osp_store_open("/dev/null", SIZE, &s, why));
}

static void
store_refuses_more_than_the_disk_has(void **state)
{
    struct osp_store *s = NULL;
    struct rlimit     was, small;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = SIZE / 2; /* stands for a full disk */
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    EXPECT_ERR(OSP_E_STORE, osp_store_create(dir, SIZE, &s, why));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_non_null(strstr(why, "state-size"));
    osp_store_close(open_store()); /* nothing of the attempt is left */
}

static void
store_says_when_it_is_full(void **state)
{
    struct osp_store *s = open_store();
    enum osp_err      e = OSP_OK;
    uint8_t           k[OSP_STORE_KEY_LEN];

    (void)state;
    EXPECT_OK(osp_store_begin(s));
    for (unsigned i = 0; i < 65000 && e == OSP_OK; i++) {
        key(k, i);
        e = put_record(s, k, &with_window);
    }
    EXPECT_ERR(OSP_E_NOSPACE, e);
    osp_store_abort(s);
    put(s, 1, &with_window, false); /* and goes on */
    osp_store_close(s);
}

/* ---- damage ---- */

static void
fill(unsigned count)
{
    struct osp_store *s = open_store();
    uint8_t           k[OSP_STORE_KEY_LEN];

    EXPECT_OK(osp_store_begin(s));
    for (unsigned i = 0; i < count; i++) {
        key(k, i);
        EXPECT_OK(put_record(s, k, &with_window));
    }
    osp_store_mark(s, false);
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

static int
open_file(void)
{
    char path[128];

    path_of("state.mdb", path, sizeof(path));
    return open(path, O_RDWR | O_CLOEXEC);
}

static void
store_refuses_a_file_cut_short(void **state)
{
    int fd;

    (void)state;
    fill(500);
    fd = open_file();
    assert_int_equal(ftruncate(fd, 16384), 0);
    (void)close(fd);
    expect_refused("damaged");
}

static void
store_refuses_a_file_of_something_else(void **state)
{
    int     fd;
    uint8_t junk[8192];

    (void)state;
    fill(1);
    memset(junk, 0x5a, sizeof(junk));
    fd = open_file();
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
    (void)close(fd);
    expect_refused("provision new keys");
}

/* Bytes of every page are overwritten in turn: it opens with the same numbers, or not at all. */
static void
store_never_opens_onto_changed_numbers(void **state)
{
    unsigned refused = 0;

    (void)state;
    fill(200);
    for (unsigned page = 0; page < 12; page++) {
        for (unsigned at = 16; at < 4096; at += 1000) {
            uint8_t           was[40], junk[40];
            struct osp_store *s = NULL;
            struct record r;
            int               fd = open_file();
            off_t             offset = (off_t)(page * 4096 + at);

            assert_int_equal(pread(fd, was, sizeof(was), offset), (ssize_t)sizeof(was));
            for (size_t i = 0; i < sizeof(junk); i++)
                junk[i] = (uint8_t)(was[i] ^ (0x81 + i));
            assert_int_equal(pwrite(fd, junk, sizeof(junk), offset), (ssize_t)sizeof(junk));
            if (osp_store_open(dir, SIZE, &s, why) == OSP_OK) {
                for (unsigned i = 0; i < 200; i++) {
                    EXPECT_OK(get(s, i, &r));
                    assert_int_equal(r.limit, 700);
                }
                osp_store_close(s);
            } else {
                refused++;
            }
            assert_int_equal(pwrite(fd, was, sizeof(was), offset), (ssize_t)sizeof(was));
            (void)close(fd);
        }
    }
    assert_true(refused > 0);
    osp_store_close(open_store());
}

static void
store_refuses_a_file_it_may_not_write(void **state)
{
    int fd;

    (void)state;
    if (geteuid() == 0)
        skip(); /* root may */
    fill(1);
    fd = open_file();
    assert_int_equal(fchmod(fd, 0), 0);
    (void)close(fd);
    expect_refused("read and write");
}

static void
store_takes_its_whole_size_at_once(void **state)
{
    struct stat st;
    int         fd;

    (void)state;
    osp_store_close(open_store());
    fd = open_file();
    assert_int_equal(fstat(fd, &st), 0);
    (void)close(fd);
    assert_true((size_t)st.st_size >= SIZE);
    assert_true((size_t)st.st_blocks * 512 >= SIZE);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(store_gives_back_what_was_committed),
        T(store_keeps_contexts_whole),
        T(store_keeps_nothing_of_an_aborted_batch),
        T(store_voids_windows_after_an_unclean_stop),
        T(store_voids_windows_from_before_any_unclean_stop),
        T(store_that_was_only_opened_counts_as_before),
        T(store_keeps_a_second_process_out),
        T(store_refuses_what_is_no_directory),
        T(store_refuses_more_than_the_disk_has),
        T(store_says_when_it_is_full),
        T(store_refuses_a_file_cut_short),
        T(store_refuses_a_file_of_something_else),
        T(store_never_opens_onto_changed_numbers),
        T(store_refuses_a_file_it_may_not_write),
        T(store_takes_its_whole_size_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
