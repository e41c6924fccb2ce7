/* SPDX-License-Identifier: BSD-2-Clause */
/* The state directory of the client and the demo origin: no number is ever handed out twice. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/osprey/keys/kept.h"
#include "oscore/oscore.h"

static char                 dir[64], deep[96];
static struct osprey_state *st;
static const uint8_t        fp[OSPREY_FP_LEN] = { 1, 2, 3 };
static const uint8_t        other_fp[OSPREY_FP_LEN] = { 1, 2, 4 };

static int
setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/osprey-state-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(deep, sizeof(deep), "%s/a/b", dir);
    EXPECT_OK(osprey_state_open(deep, &st));
    return 0;
}

static void
remove_all(const char *path)
{
    DIR           *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)))
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(path);
}

static int
teardown(void **state)
{
    char path[96];

    (void)state;
    osprey_state_close(st);
    st = NULL;
    remove_all(deep);
    snprintf(path, sizeof(path), "%s/a", dir);
    remove_all(path);
    remove_all(dir);
    return 0;
}

static uint64_t
lease(const uint8_t *of, uint64_t count, uint64_t *limit)
{
    uint64_t first = 0;

    EXPECT_OK(osprey_state_lease(st, of, count, &first, limit));
    return first;
}

/* The file of the one context, opened for spoiling. */
static FILE *
record(const char *mode)
{
    char path[192];

    snprintf(path, sizeof(path), "%s/01020300000000000000000000000000.key", deep);
    return fopen(path, mode);
}

static void
spoil(const char *text)
{
    FILE *f = record("w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* ---- leases ---- */

/* row S08 (partly: the client's own) */
/* [rfc8613#B.1.1] */
static void
leases_never_overlap_also_across_reopening(void **state)
{
    uint64_t a, b, c, limit;

    (void)state;
    a = lease(fp, 10, &limit);
    assert_int_equal(0, a);
    assert_int_equal(10, limit);
    osprey_state_close(st);
    EXPECT_OK(osprey_state_open(deep, &st));
    b = lease(fp, 5, &limit);
    assert_int_equal(10, b);
    c = lease(other_fp, 5, &limit);
    assert_int_equal(0, c); /* contexts do not share numbers */
}

static void
lease_of_a_process_that_dies_is_never_given_again(void **state)
{
    uint64_t limit;
    int      status;
    pid_t    pid = fork();

    (void)state;
    if (pid == 0) {
        uint64_t first;

        _exit(osprey_state_lease(st, fp, 7, &first, &limit) == OSP_OK ? 0 : 1);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(0, status);
    assert_int_equal(7, lease(fp, 1, &limit));
}

static void
processes_at_once_get_different_numbers(void **state)
{
    enum { N = 8, EACH = 25 };
    int      fds[2];
    uint64_t got[N * EACH];
    size_t   have = 0;
    ssize_t  n;

    (void)state;
    assert_int_equal(0, pipe(fds));
    for (int i = 0; i < N; i++) {
        if (fork() == 0) {
            struct osprey_state *own;
            uint64_t             first, limit;

            for (int k = 0; k < EACH; k++) {
                if (osprey_state_open(deep, &own) != OSP_OK || osprey_state_lease(own, fp, 1, &first, &limit) != OSP_OK ||
                    write(fds[1], &first, sizeof(first)) != sizeof(first))
                    _exit(1);
                osprey_state_close(own);
            }
            _exit(0);
        }
    }
    close(fds[1]);
    while (have < N * EACH && (n = read(fds[0], &got[have], sizeof(got[0]))) == sizeof(got[0]))
        have++;
    close(fds[0]);
    for (int i = 0; i < N; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(0, status);
    }
    assert_int_equal(N * EACH, have);
    for (size_t i = 0; i < have; i++)
        for (size_t k = i + 1; k < have; k++)
            assert_true(got[i] != got[k]);
}

static void
unused_rest_comes_back_only_when_nobody_leased_behind_it(void **state)
{
    uint64_t limit, later;

    (void)state;
    (void)lease(fp, 10, &limit);
    osprey_state_give_back(st, fp, 3, limit);
    assert_int_equal(3, lease(fp, 10, &limit)); /* 0, 1, 2 were used */
    (void)lease(fp, 10, &later);
    osprey_state_give_back(st, fp, 4, limit); /* too late */
    assert_int_equal(23, lease(fp, 1, &limit));
    osprey_state_give_back(st, fp, 24, 24); /* nothing left of it */
    assert_int_equal(24, lease(fp, 1, &limit));
}

/* row S10 (partly: the lease) */
/* [rfc8613#7.2.1] */
static void
last_numbers_are_given_once_and_then_no_more(void **state)
{
    uint64_t first = 0, limit = 0;

    (void)state;
    spoil("osprey-key 1\nroles 2\nlimit 1099511627774\nwindow none 0 00000000\nend\n");
    assert_int_equal(1099511627774u, lease(fp, 64, &limit));
    assert_int_equal(OSP_PIV_MAX + 1, limit);
    EXPECT_ERR(OSP_E_SSN_EXHAUSTED, osprey_state_lease(st, fp, 1, &first, &limit));
}

/* ---- damage ---- */

static void
damaged_record_gives_no_number(void **state)
{
    static const char *const bad[] = {
        "",
        "osprey-key 1\n",
        "osprey-key 2\nroles 2\nlimit 5\nwindow none 0 00000000\nend\n",
        "osprey-key 1\nroles 2\nlimit five\nwindow none 0 00000000\nend\n",
        "osprey-key 1\nroles 2\nlimit 5\nwindow none 0 00000000\n",
        "osprey-key 1\nroles 2\nlimit 5\nwindow other 0 00000000\nend\n",
        "osprey-key 1\nroles 2\nlimit 5\nwindow none 0 00000000\nend\nmore",
        "osprey-key 1\nroles 2\nlimit 1099511627777\nwindow none 0 00000000\nend\n",
        "osprey-key 1\nlimit 5\nwindow none 0 00000000\nend\n",
        "osprey-key 1\nroles none\nlimit 5\nwindow none 0 00000000\nend\n",
        "osprey-key 1\nroles 2\nlimit -5\nwindow none 0 00000000\nend\n",
    };
    uint64_t first, limit;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        spoil(bad[i]);
        if (osprey_state_lease(st, fp, 1, &first, &limit) != OSP_E_STORE)
            fail_msg("record %zu was taken", i);
        assert_non_null(strstr(osprey_state_why(), "damaged"));
        assert_non_null(strstr(osprey_state_why(), "new keys"));
    }
}

static void
record_cut_at_any_length_gives_no_number(void **state)
{
    static const char whole[] = "osprey-key 1\nroles 2\nlimit 123\nwindow saved 7 0000007f\nend\n";
    char              text[sizeof(whole)];
    uint64_t          first, limit;

    (void)state;
    for (size_t n = 0; n + 2 < sizeof(whole); n++) { /* the last line break may be missing */
        memcpy(text, whole, n);
        text[n] = '\0';
        spoil(text);
        if (osprey_state_lease(st, fp, 1, &first, &limit) != OSP_E_STORE)
            fail_msg("%zu bytes were taken", n);
    }
    spoil(whole);
    assert_int_equal(123, lease(fp, 1, &limit));
}

static void
unusable_directories_are_named(void **state)
{
    struct osprey_state *s = NULL;
    char                 path[160];

    (void)state;
    EXPECT_ERR(OSP_E_STORE, osprey_state_open("", &s));
    EXPECT_ERR(OSP_E_STORE, osprey_state_open("/proc/nowhere/osprey", &s));
    assert_non_null(strstr(osprey_state_why(), "/proc/nowhere/osprey"));
    snprintf(path, sizeof(path), "%s/lock/x", deep); /* below a file */
    EXPECT_ERR(OSP_E_STORE, osprey_state_open(path, &s));
    assert_null(s);
}

static void
directory_is_for_its_owner_only(void **state)
{
    struct stat sb;

    (void)state;
    assert_int_equal(0, stat(deep, &sb));
    assert_int_equal(0700, sb.st_mode & 0777);
}

/* ---- windows ---- */

/* row S09 (partly: the demo origin) */
/* [rfc8613#B.1.2] */
static void
window_is_exact_after_a_clean_stop_and_lost_after_any_other(void **state)
{
    struct osprey_record r;
    struct osp_replay    w = { .next = 41, .seen = 0x8000000fu };
    uint64_t             limit;

    (void)state;
    EXPECT_OK(osprey_state_take_window(st, fp, &r));
    assert_int_equal(OSPREY_WINDOW_NONE, r.state);
    EXPECT_OK(osprey_state_take_window(st, fp, &r)); /* no save in between: a crash */
    assert_int_equal(OSPREY_WINDOW_LOST, r.state);
    EXPECT_OK(osprey_state_save_window(st, fp, &w));
    (void)lease(fp, 3, &limit); /* a lease leaves the window alone */
    EXPECT_OK(osprey_state_take_window(st, fp, &r));
    assert_int_equal(OSPREY_WINDOW_SAVED, r.state);
    assert_int_equal(41, r.window.next);
    assert_int_equal(0x8000000fu, r.window.seen);
    assert_int_equal(3, r.limit);
    EXPECT_OK(osprey_state_take_window(st, fp, &r));
    assert_int_equal(OSPREY_WINDOW_LOST, r.state); /* taken is taken */
}

static void
second_origin_is_kept_out_until_the_first_is_gone(void **state)
{
    struct osprey_state *second;

    (void)state;
    EXPECT_OK(osprey_state_claim(st));
    EXPECT_OK(osprey_state_open(deep, &second));
    EXPECT_ERR(OSP_E_EXISTS, osprey_state_claim(second));
    assert_non_null(strstr(osprey_state_why(), "another origin"));
    osprey_state_close(second);
    osprey_state_close(st);
    EXPECT_OK(osprey_state_open(deep, &st));
    EXPECT_OK(osprey_state_claim(st));
}

/* ---- keys ---- */

static const uint8_t old_fp[OSPREY_FP_LEN] = { 9 };

static enum osp_err
enter_as(enum osprey_side side, const uint8_t sender, const uint8_t recipient, const uint8_t *old)
{
    uint8_t            s[OSPREY_FP_LEN] = { sender, 2, 3 }, r[1][OSPREY_FP_LEN] = { { recipient, 2, 3 } };
    struct osprey_keys k = { &s, r, 1, old };

    return osprey_state_enter(st, side, &k);
}

static void
write_old(const char *first_byte, unsigned limit, const char *window)
{
    char  path[192];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s000000000000000000000000000000.context", deep, first_byte);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "osprey-context 1\nlimit %u\nwindow %s 7 0000007f\nend\n", limit, window);
    fclose(f);
}

static enum osprey_window
window_of(uint8_t key)
{
    uint8_t              fp_[OSPREY_FP_LEN] = { key, 2, 3 };
    struct osprey_record r;

    EXPECT_OK(osprey_state_take_window(st, fp_, &r));
    return r.state;
}

/* row S08 (partly: the client's own) [rfc8613#7.2.1] */
static void
key_is_refused_in_the_other_role_for_good(void **state)
{
    (void)state;
    EXPECT_OK(enter_as(OSPREY_CLIENT, 1, 5, NULL));
    EXPECT_OK(enter_as(OSPREY_CLIENT, 1, 5, NULL));
    EXPECT_ERR(OSP_E_EXISTS, enter_as(OSPREY_CLIENT, 5, 1, NULL));
    assert_non_null(strstr(osprey_state_why(), "Recipient Key"));
    EXPECT_ERR(OSP_E_EXISTS, enter_as(OSPREY_CLIENT, 5, 6, NULL));
    EXPECT_ERR(OSP_E_EXISTS, enter_as(OSPREY_CLIENT, 7, 1, NULL));
    EXPECT_OK(enter_as(OSPREY_CLIENT, 1, 6, NULL));     /* a changed recipient-id */
    osprey_state_close(st);
    EXPECT_OK(osprey_state_open(deep, &st));
    EXPECT_ERR(OSP_E_EXISTS, enter_as(OSPREY_CLIENT, 6, 8, NULL));
}

/* Both ends of a context may be tried out in one directory. */
static void
two_sides_of_one_context_share_a_directory(void **state)
{
    uint8_t  one[OSPREY_FP_LEN] = { 1, 2, 3 };
    uint64_t limit;

    (void)state;
    EXPECT_OK(enter_as(OSPREY_CLIENT, 1, 5, NULL));
    EXPECT_OK(enter_as(OSPREY_ORIGIN, 5, 1, NULL));
    assert_int_equal(0, lease(one, 10, &limit));
    EXPECT_ERR(OSP_E_EXISTS, enter_as(OSPREY_ORIGIN, 1, 5, NULL));
    EXPECT_OK(enter_as(OSPREY_CLIENT, 1, 5, NULL));
    assert_int_equal(10, lease(one, 10, &limit));
}

static void
record_of_a_version_before_goes_to_the_keys_of_its_context(void **state)
{
    uint8_t  one[OSPREY_FP_LEN] = { 1, 2, 3 };
    uint64_t limit;

    (void)state;
    write_old("09", 40, "saved");
    EXPECT_OK(enter_as(OSPREY_ORIGIN, 1, 5, old_fp));
    assert_int_equal(40, lease(one, 1, &limit));
    assert_int_equal(OSPREY_WINDOW_SAVED, window_of(5));
    EXPECT_OK(enter_as(OSPREY_ORIGIN, 1, 5, old_fp));   /* once */
    assert_int_equal(41, lease(one, 1, &limit));
    EXPECT_OK(enter_as(OSPREY_ORIGIN, 3, 7, NULL));     /* nothing is left of it */
    assert_int_equal(OSPREY_WINDOW_NONE, window_of(7));
}

/* Whose it is cannot be told: the parameters that named it may have been edited since. */
static void
record_that_nobody_claims_counts_for_all_new_keys(void **state)
{
    uint8_t  one[OSPREY_FP_LEN] = { 1, 2, 3 };
    uint64_t limit;

    (void)state;
    write_old("08", 30, "saved");
    write_old("0a", 50, "lost");
    EXPECT_OK(enter_as(OSPREY_ORIGIN, 1, 5, old_fp));
    assert_int_equal(50, lease(one, 1, &limit));
    assert_int_equal(OSPREY_WINDOW_LOST, window_of(5));
}

/* ---- contexts that EDHOC made ---- */

static struct osp_recipe *
make(uint8_t sender, uint8_t recipient)
{
    static const uint8_t   secret[16] = { 9, 8, 7 }, salt[8] = { 1 };
    struct osp_octx_params p = { .aead = 10, .master_secret = osp_slice(secret, 16), .master_salt = osp_slice(salt, 8),
                                 .sender_id = osp_slice(&sender, 1), .recipient_id = osp_slice(&recipient, 1) };
    struct osp_recipe       *m = NULL;

    p.hkdf = osp_hkdf_by_name(osp_slice_str("SHA-256"));
    EXPECT_OK(osp_recipe_new(&p, "peer", "", &m));
    return m;
}

static void
kept_contexts_come_back_as_they_were(void **state)
{
    uint8_t          one[OSPREY_KEPT_KEY] = { 1 }, two[OSPREY_KEPT_KEY] = { 2 };
    struct osp_recipe *m = make(0x10, 0x20), *n = make(0x11, 0x21), *back = NULL;
    struct osp_octx_keys a, b;
    struct stat      info;
    char             path[200];

    (void)state;
    EXPECT_ERR(OSP_E_NOT_FOUND, osprey_kept_get(st, one, &back));
    EXPECT_OK(osprey_kept_put(st, one, n));
    EXPECT_OK(osprey_kept_put(st, one, m));         /* in place of it */
    EXPECT_OK(osprey_kept_put(st, two, n));
    EXPECT_OK(osprey_kept_get(st, one, &back));
    a = osp_octx_keys(m->octx);
    b = osp_octx_keys(back->octx);
    EXPECT_BYTES(a.sender_key, b.sender_key);
    EXPECT_BYTES(osp_slice("\x20", 1), osp_octx_recipient_id(back->octx));
    snprintf(path, sizeof(path), "%s/01000000000000000000000000000000.edhoc", deep);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);    /* it holds keys */
    assert_true(osprey_kept_has_id(st, osp_slice("\x20", 1)) && osprey_kept_has_id(st, osp_slice("\x21", 1)));
    assert_false(osprey_kept_has_id(st, osp_slice("\x10", 1)));
    osp_recipe_free(back);
    osp_recipe_free(m);
    osp_recipe_free(n);
}

/* New keys can be had at any time, so nothing is read into what is damaged. */
static void
damaged_kept_context_is_none(void **state)
{
    uint8_t          key[OSPREY_KEPT_KEY] = { 1 };
    struct osp_recipe *m = make(0x10, 0x20), *back = NULL;
    char             path[200], text[OSPREY_TEXT_MAX];
    size_t           n;
    FILE            *f;

    (void)state;
    EXPECT_OK(osprey_kept_put(st, key, m));
    osp_recipe_free(m);
    snprintf(path, sizeof(path), "%s/01000000000000000000000000000000.edhoc", deep);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(text, 1, sizeof(text), f);
    fclose(f);
    for (size_t cut = 0; cut + 1 < n; cut++) {
        f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, cut, f), cut);
        fclose(f);
        EXPECT_ERR(OSP_E_NOT_FOUND, osprey_kept_get(st, key, &back));
    }
    assert_null(back);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(leases_never_overlap_also_across_reopening),
        CASE(lease_of_a_process_that_dies_is_never_given_again),
        CASE(processes_at_once_get_different_numbers),
        CASE(unused_rest_comes_back_only_when_nobody_leased_behind_it),
        CASE(last_numbers_are_given_once_and_then_no_more),
        CASE(damaged_record_gives_no_number),
        CASE(record_cut_at_any_length_gives_no_number),
        CASE(unusable_directories_are_named),
        CASE(directory_is_for_its_owner_only),
        CASE(window_is_exact_after_a_clean_stop_and_lost_after_any_other),
        CASE(second_origin_is_kept_out_until_the_first_is_gone),
        CASE(key_is_refused_in_the_other_role_for_good),
        CASE(two_sides_of_one_context_share_a_directory),
        CASE(record_of_a_version_before_goes_to_the_keys_of_its_context),
        CASE(record_that_nobody_claims_counts_for_all_new_keys),
        CASE(kept_contexts_come_back_as_they_were),
        CASE(damaged_kept_context_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
