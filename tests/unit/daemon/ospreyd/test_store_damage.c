/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A damaged store is noticed, wherever the damage is: it is refused, or it opens with exactly the rows that were written and
 * goes on with them.  OSPREY_FLIPS sets the number of damaged files, OSPREY_SEED which ones.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include "base/hash.h"
#include "daemon/ospreyd/store/store.h"
#include "tests/prng.h"

#define SIZE ((size_t)1 << 20)
#define PAGE 4096u
#define ROWS 600u
#define KEPT 60u
#define FLIPS 400u
#define GO_ON_EACH 4u           /* of those that open, so many are also written to */
#define PAGES_MAX ((unsigned)(SIZE / PAGE))
#define IMAGE_MAX SIZE

static char    dir[64];
static char    why[OSP_STORE_WHY_MAX];
static uint8_t image[IMAGE_MAX];
static uint8_t sum[64];
static size_t  image_len, sum_len;
static bool    live[SIZE / PAGE];       /* pages of the last commit, by the image */

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s/osprey-damage-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    return unit_remove_store(dir);
}

/* ---- what is in it ---- */

static void
key_of(unsigned n, uint8_t out[OSP_STORE_KEY_LEN])
{
    static const struct osp_hash_key seed = { 1, 2 };
    uint64_t                         h = osp_hash(&seed, osp_slice(&n, sizeof(n)));

    memset(out, 0x77, OSP_STORE_KEY_LEN);
    memcpy(out, &h, sizeof(h));
    memcpy(out + 28, &n, sizeof(n));
}

static struct osp_slice
value_of(unsigned n, unsigned generation, uint8_t dst[OSP_STORE_VALUE_MAX])
{
    struct osp_wr w = osp_wr_to(dst, OSP_STORE_VALUE_MAX);

    osp_wr_u32(&w, n);
    osp_wr_u32(&w, generation);
    while (w.n < (n < ROWS ? 24u : 200u))
        osp_wr_u8(&w, (uint8_t)(n + w.n));
    return osp_wr_slice(&w);
}

static enum osp_store_table
table_of(unsigned n)
{
    return n >= ROWS ? OSP_STORE_KEPT : n % 2 ? OSP_STORE_SENDER : OSP_STORE_RECIPIENT;
}

/* Row n was written last with this generation. */
static unsigned
generation_of(unsigned n)
{
    return n % 5 == 0 ? 3 : n % 3 == 0 ? 2 : 1;
}

static void
put_row(struct osp_store *s, unsigned n, unsigned generation)
{
    uint8_t key[OSP_STORE_KEY_LEN], value[OSP_STORE_VALUE_MAX];

    key_of(n, key);
    EXPECT_OK(osp_store_put(s, table_of(n), key, value_of(n, generation, value)));
}

static void
expect_row(struct osp_store *s, unsigned n, unsigned generation)
{
    uint8_t          key[OSP_STORE_KEY_LEN], value[OSP_STORE_VALUE_MAX];
    struct osp_slice got = OSP_EMPTY, want = value_of(n, generation, value);
    enum osp_err     e;

    key_of(n, key);
    e = osp_store_get(s, table_of(n), key, &got);
    if (e != OSP_OK || !osp_slice_eq(got, want))
        fail_msg("row %u is not what was written: %s", n, osp_err_text(e));
}

/* Several commits, so that there are older rows, free pages and a list of them. */
static void
make_store(bool clean)
{
    struct osp_store *s = NULL;

    EXPECT_OK(osp_store_create(dir, SIZE, &s, why));
    for (unsigned generation = 1; generation <= 3; generation++) {
        EXPECT_OK(osp_store_begin(s));
        osp_store_mark(s, true);
        for (unsigned n = 0; n < ROWS + KEPT; n++)
            if (generation <= generation_of(n))
                put_row(s, n, generation);
        for (unsigned n = 1; n <= 100; n++) /* rows that come and go */
            if (generation == 1)
                put_row(s, ROWS + KEPT + n, 1);
        EXPECT_OK(osp_store_commit(s));
    }
    EXPECT_OK(osp_store_begin(s));
    for (unsigned n = 1; n <= 100; n++) {
        uint8_t key[OSP_STORE_KEY_LEN];

        key_of(ROWS + KEPT + n, key);
        EXPECT_OK(osp_store_del(s, OSP_STORE_KEPT, key));
    }
    osp_store_mark(s, !clean);
    EXPECT_OK(osp_store_commit(s));
    osp_store_close(s);
}

static void
expect_all(struct osp_store *s, bool clean)
{
    uint8_t          key[OSP_STORE_KEY_LEN];
    struct osp_slice value;
    bool             first = true;
    unsigned         kept = 0;

    assert_int_equal(osp_store_was_clean(s), clean);
    EXPECT_OK(osp_store_begin(s));
    for (unsigned n = 0; n < ROWS + KEPT; n++)
        expect_row(s, n, generation_of(n));
    while (osp_store_next(s, OSP_STORE_KEPT, first, key, &value) == OSP_OK) {
        first = false;
        kept++;
    }
    assert_int_equal(kept, KEPT);
    assert_int_equal(osp_store_count(s, OSP_STORE_KEPT), KEPT);
    osp_store_abort(s);
}

/* It goes on: every row is written again and read back by the next run. */
static void
go_on(struct osp_store *s)
{
    for (unsigned generation = 7; generation < 9; generation++) {
        EXPECT_OK(osp_store_begin(s));
        for (unsigned n = 0; n < ROWS; n += 4)
            put_row(s, n, generation);
        EXPECT_OK(osp_store_commit(s));
    }
    osp_store_close(s);
    if (osp_store_open(dir, SIZE, &s, why) != OSP_OK)
        fail_msg("%s", why);
    EXPECT_OK(osp_store_begin(s));
    for (unsigned n = 0; n < ROWS + KEPT; n++)
        expect_row(s, n, n < ROWS && n % 4 == 0 ? 8 : generation_of(n));
    osp_store_abort(s);
    osp_store_close(s);
}

/* ---- files ---- */

static size_t
file(const char *name, bool write_it, uint8_t *bytes, size_t cap)
{
    char    path[128];
    int     fd;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, write_it ? O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600);
    if (fd == -1)
        return 0;
    n = write_it ? write(fd, bytes, cap) : read(fd, bytes, cap);
    (void)close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static unsigned
flags_of(unsigned page)
{
    uint16_t flags;

    memcpy(&flags, image + (size_t)page * PAGE + 10, sizeof(flags));
    return flags;
}

static unsigned
used_pages(void)
{
    unsigned last = 0;

    for (unsigned p = 0; p < image_len / PAGE; p++)
        last = flags_of(p) ? p : last;
    return last + 1;
}

static uint64_t
number_at(size_t at, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, image + at, n);
    return v;
}

/* The tree from page `p` down. */
static void
mark_live(uint64_t p)
{
    size_t base = p * PAGE, count;

    if (p >= PAGES_MAX)
        return;
    live[p] = true;
    count = (number_at(base + 12, 2) - 16) / 2;
    for (size_t i = 0; (flags_of((unsigned)p) & 0x01) && i < count; i++) {
        size_t node = base + number_at(base + 16 + 2 * i, 2);

        mark_live(number_at(node, 4) | number_at(node + 4, 2) << 32);
    }
}

/* Pages that the newer meta page leads to, of the rows and of the list of free pages. */
static void
find_live(void)
{
    size_t meta = number_at(16 + 128, 8) > number_at(PAGE + 16 + 128, 8) ? 16 : PAGE + 16;

    memset(live, 0, sizeof(live));
    live[0] = live[1] = true;
    mark_live(number_at(meta + 64, 8));
    mark_live(number_at(meta + 112, 8));
}

static void
take_image(bool clean)
{
    make_store(clean);
    image_len = file("state.mdb", false, image, sizeof(image));
    sum_len = file("state.sum", false, sum, sizeof(sum));
    assert_true(image_len > 20 * PAGE);
    find_live();
}

/* ---- flips ---- */

static uint32_t
below(uint64_t *r, uint32_t n)
{
    return (uint32_t)((prng_next(r) >> 32) % n);
}

enum where { METAS, HEADERS, BRANCHES, POINTERS, NAMES, ANYWHERE, WHERES };

static const char *const where_text[] = { "meta pages", "page headers", "branch pages", "node pointers", "first halves of leaves",
                                          "anywhere" };

/* A page in use that has one of `flags`. */
static unsigned
pick_page(uint64_t *r, unsigned flags)
{
    unsigned used = used_pages(), page;

    do
        page = below(r, used);
    while (!live[page] || !(flags_of(page) & flags));
    return page;
}

static size_t
pick_byte(uint64_t *r, enum where where)
{
    switch (where) {
    case METAS:
        return below(r, 2) * PAGE + below(r, 152);
    case HEADERS:
        return (size_t)pick_page(r, 0x01 | 0x02) * PAGE + below(r, 16);
    case BRANCHES:
        return (size_t)pick_page(r, 0x01) * PAGE + below(r, PAGE);
    case POINTERS:
        return (size_t)pick_page(r, 0x02) * PAGE + 16 + below(r, 64);
    case NAMES:
        return (size_t)pick_page(r, 0x02) * PAGE + PAGE / 2 + below(r, PAGE / 2);
    default:
        return below(r, used_pages() * PAGE);
    }
}

struct tally { unsigned refused[WHERES], opened[WHERES]; };

static void
try_flips(uint64_t *r, enum where where, bool clean, struct tally *t)
{
    struct osp_store *s = NULL;
    size_t            at[4];
    uint8_t           was[4];
    unsigned          flips = 1 + below(r, 3);

    for (unsigned i = 0; i < flips; i++) {
        at[i] = pick_byte(r, where);
        was[i] = image[at[i]];
        image[at[i]] ^= (uint8_t)(1u << below(r, 8));
    }
    (void)file("state.mdb", true, image, image_len);
    (void)file("state.sum", true, sum, sum_len);
    if (osp_store_open(dir, SIZE, &s, why) == OSP_OK) {
        expect_all(s, clean);
        if (t->opened[where]++ % GO_ON_EACH == 0)
            go_on(s);
        else
            osp_store_close(s);
    } else {
        t->refused[where]++;
        if (!strstr(why, "damaged") && !strstr(why, "format"))
            fail_msg("refused for another reason: %s", why);
    }
    for (unsigned i = flips; i-- > 0;)
        image[at[i]] = was[i];
}

static unsigned
setting(const char *name, unsigned dflt)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : dflt;
}

static void
flip(bool clean)
{
    struct tally t = { 0 };
    uint64_t     r = setting("OSPREY_SEED", 20261124) + clean;

    take_image(clean);
    for (unsigned i = 0; i < setting("OSPREY_FLIPS", FLIPS) / 2; i++)
        try_flips(&r, (enum where)(i % WHERES), clean, &t);
    for (unsigned w = 0; w < WHERES; w++)
        print_message("%s stop, %s: %u refused, %u opened with all rows\n", clean ? "clean" : "unclean", where_text[w],
                      t.refused[w], t.opened[w]);
}

static void
damage_after_a_clean_stop_is_noticed(void **state)
{
    (void)state;
    flip(true);
}

static void
damage_after_an_unclean_stop_is_noticed(void **state)
{
    (void)state;
    flip(false);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(damage_after_a_clean_stop_is_noticed),
        T(damage_after_an_unclean_stop_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
