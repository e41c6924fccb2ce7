/* SPDX-License-Identifier: BSD-2-Clause */
/* The mark: what it said last is what it says, whatever happens to one of its slots. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ospreyd/store/mark.h"

#define SLOT_LEN 80
#define FILE_LEN (4096 + SLOT_LEN)

static char dir[64], file[96], why[OSP_MARK_WHY_MAX];

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-mark-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(file, sizeof(file), "%s/mark", dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(dir);
}

static struct osp_mark_value
value(uint64_t seq)
{
    return (struct osp_mark_value){ { 1, 2, 3 }, seq, 1000 + seq, false };
}

static void
create(void)
{
    struct osp_mark_value v = value(1);

    EXPECT_OK(osp_mark_create(dir, false, &v, why));
}

static uint64_t
seq_now(void)
{
    struct osp_mark      *m;
    struct osp_mark_value v = { 0 };

    if (osp_mark_open(dir, &m, &v, why) != OSP_OK)
        return 0;
    osp_mark_close(m);
    assert_int_equal(v.high, 1000 + v.seq);
    return v.seq;
}

static void
write_once(uint64_t seq)
{
    struct osp_mark      *m;
    struct osp_mark_value v;

    EXPECT_OK(osp_mark_open(dir, &m, &v, why));
    v = value(seq);
    EXPECT_OK(osp_mark_write(m, &v));
    osp_mark_close(m);
}

static void
edit(off_t at, uint8_t flip)
{
    int     fd = open(file, O_RDWR);
    uint8_t b = 0;

    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= flip;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    (void)close(fd);
}

static void
says_what_was_written_last(void **state)
{
    struct osp_mark      *m;
    struct osp_mark_value v;

    (void)state;
    create();
    assert_int_equal(seq_now(), 1);
    for (uint64_t i = 2; i < 9; i++) {
        write_once(i);
        assert_int_equal(seq_now(), i);
    }
    EXPECT_OK(osp_mark_open(dir, &m, &v, why));
    for (uint64_t i = 9; i < 20; i++) {
        v = value(i);
        EXPECT_OK(osp_mark_write(m, &v));
    }
    osp_mark_close(m);
    assert_int_equal(seq_now(), 19);
}

/* A write that was cut short changed one slot, after which nothing was granted: the other one counts. */
static void
one_damaged_slot_leaves_the_other(void **state)
{
    (void)state;
    create();
    write_once(2);
    for (unsigned slot = 0; slot < 2; slot++) {
        for (unsigned bit = 0; bit < SLOT_LEN * 8; bit++) {
            off_t    at = (off_t)slot * 4096 + bit / 8;
            uint64_t left;

            edit(at, (uint8_t)(1u << bit % 8));
            left = seq_now();
            assert_true(left == 1 || left == 2);
            edit(at, (uint8_t)(1u << bit % 8));
            assert_int_equal(seq_now(), 2);
        }
    }
    edit(5, 1);
    edit(4096 + 5, 1);
    assert_int_equal(seq_now(), 0);
    assert_non_null(strstr(why, "damaged"));
}

static void
damaged_slot_is_the_next_to_be_written(void **state)
{
    (void)state;
    create();
    write_once(2);
    write_once(3);
    edit(20, 0x80);             /* whichever it is: the mark works on */
    write_once(4);
    assert_int_equal(seq_now(), 4);
    edit(4096 + 20, 0x80);
    write_once(5);
    assert_int_equal(seq_now(), 5);
}

static void
file_that_was_cut_short_is_damaged(void **state)
{
    (void)state;
    create();
    for (off_t n = FILE_LEN - 1; n >= 0; n -= 37) {
        assert_int_equal(truncate(file, n), 0);
        assert_int_equal(seq_now(), n >= SLOT_LEN ? 1 : 0);
    }
}

static void
slot_in_the_place_of_the_other_does_not_count(void **state)
{
    uint8_t slot[SLOT_LEN];
    int     fd;

    (void)state;
    create();
    write_once(2);
    fd = open(file, O_RDWR);
    assert_int_equal(pread(fd, slot, sizeof(slot), 0), sizeof(slot));
    assert_int_equal(pwrite(fd, slot, sizeof(slot), 4096), sizeof(slot));
    (void)close(fd);
    assert_int_equal(seq_now(), 2);     /* the one in slot 0 */
}

/* Whoever copies the state and its mark has a store and a mark that agree. */
static void
copy_is_told_from_the_mark_that_was_written(void **state)
{
    struct osp_mark      *m;
    struct osp_mark_value v;
    uint8_t               bytes[FILE_LEN];
    int                   fd;

    (void)state;
    create();
    write_once(2);
    EXPECT_OK(osp_mark_open(dir, &m, &v, why));
    assert_false(v.is_copy);
    osp_mark_close(m);
    fd = open(file, O_RDONLY);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    (void)close(fd);
    (void)snprintf(why, sizeof(why), "%s.copy", file);
    fd = open(why, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    (void)close(fd);
    assert_int_equal(rename(why, file), 0);
    EXPECT_OK(osp_mark_open(dir, &m, &v, why));
    assert_true(v.is_copy && v.seq == 2);
    osp_mark_close(m);
}

static void
made_once_unless_told_to_replace(void **state)
{
    struct osp_mark_value v = value(7);

    (void)state;
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(seq_now(), 0);
    create();                   /* with its directory */
    EXPECT_ERR(OSP_E_EXISTS, osp_mark_create(dir, false, &v, why));
    assert_int_equal(seq_now(), 1);
    EXPECT_OK(osp_mark_create(dir, true, &v, why));
    assert_int_equal(seq_now(), 7);
}

static void
is_refused_where_others_could_write_or_while_in_use(void **state)
{
    struct osp_mark      *m, *other = NULL;
    struct osp_mark_value v;
    char                  link[128];

    (void)state;
    create();
    EXPECT_OK(osp_mark_open(dir, &m, &v, why));
    EXPECT_ERR(OSP_E_STORE, osp_mark_open(dir, &other, &v, why));
    assert_non_null(strstr(why, "in use"));
    osp_mark_close(m);
    assert_int_equal(chmod(file, 0620), 0);
    EXPECT_ERR(OSP_E_STORE, osp_mark_open(dir, &other, &v, why));
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(chmod(dir, 0770), 0);
    EXPECT_ERR(OSP_E_STORE, osp_mark_open(dir, &other, &v, why));
    EXPECT_ERR(OSP_E_STORE, osp_mark_create(dir, true, &v, why));
    assert_int_equal(chmod(dir, 0700), 0);
    (void)snprintf(link, sizeof(link), "%s.link", dir);
    assert_int_equal(symlink(dir, link), 0);
    EXPECT_ERR(OSP_E_STORE, osp_mark_open(link, &other, &v, why));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(seq_now(), 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(says_what_was_written_last),
        T(one_damaged_slot_leaves_the_other),
        T(damaged_slot_is_the_next_to_be_written),
        T(file_that_was_cut_short_is_damaged),
        T(slot_in_the_place_of_the_other_does_not_count),
        T(copy_is_told_from_the_mark_that_was_written),
        T(made_once_unless_told_to_replace),
        T(is_refused_where_others_could_write_or_while_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
