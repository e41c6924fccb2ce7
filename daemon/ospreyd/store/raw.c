/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LMDB 0.9 as it is on disk, as far as it takes to find both meta pages and the first row of each of the trees they lead to.
 * LMDB itself reads the newer meta page only, so this reads the file without it.  All numbers are in the order of the machine.
 *
 * Transaction n writes meta page n & 1.  Pages that transaction n gave back are used again from n + 2 on, so the trees of the
 * last two transactions are always whole.
 */
#include "daemon/ospreyd/store/lmdb.h"

#include <stdlib.h>
#include <unistd.h>

#define PAGE_HEADER 16          /* number (8), 2 unused bytes, flags (2), end and start of the gap in the middle (2, 2) */
#define PAGE_MIN 512
#define PAGE_MAX 65536
#define META_MAGIC 0xBEEFC0DEu
#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_META 0x08
#define NODE_HEADER 8           /* size or page number (2, 2), flags (2), length of the name (2) */
#define NO_PAGE UINT64_MAX
#define DEPTH_MAX 32

struct meta { uint64_t root, txn; };

static uint64_t
number(struct osp_slice s, size_t at, size_t n)
{
    uint64_t v = 0;
    uint32_t v4;
    uint16_t v2;

    if (at > s.n || n > s.n - at)
        return 0;
    s = osp_slice_tail(s, at);
    if (n == 2) {
        memcpy(&v2, s.p, 2);
        return v2;
    }
    if (n == 4) {
        memcpy(&v4, s.p, 4);
        return v4;
    }
    memcpy(&v, s.p, 8);
    return v;
}

static bool
read_page(int fd, uint64_t page, size_t page_len, uint8_t *dst)
{
    return page < (uint64_t)INT64_MAX / PAGE_MAX && pread(fd, dst, page_len, (off_t)(page * page_len)) == (ssize_t)page_len;
}

static bool
read_meta(int fd, unsigned which, size_t page_len, uint8_t *buf, struct meta *out)
{
    struct osp_slice p = osp_slice(buf, page_len);

    if (!read_page(fd, which, page_len, buf) || number(p, 10, 2) != PAGE_META || number(p, PAGE_HEADER, 4) != META_MAGIC)
        return false;
    out->root = number(p, PAGE_HEADER + 112, 8);
    out->txn = number(p, PAGE_HEADER + 128, 8);
    return true;
}

/* The head row, which is the first row of the leaf `p`. */
static bool
first_row(struct osp_slice p, struct osp_store_head *out)
{
    size_t           at = number(p, PAGE_HEADER, 2), size = number(p, at, 2) | number(p, at + 2, 2) << 16;
    struct osp_slice node = osp_slice_tail(p, at + NODE_HEADER), name = osp_slice_head(node, number(p, at + 6, 2));

    return osp_slice_eq(name, osp_store_head_name()) && number(p, at + 4, 2) == 0 && size <= node.n - name.n &&
           osp_store_head_decode(osp_slice_head(osp_slice_tail(node, name.n), size), out);
}

static bool
read_head(int fd, uint64_t root, size_t page_len, uint8_t *buf, struct osp_store_head *out)
{
    struct osp_slice p = osp_slice(buf, page_len);

    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        size_t at;

        if (root < 2 || !read_page(fd, root, page_len, buf) || number(p, 12, 2) < PAGE_HEADER + 2)
            return false;
        if (number(p, 10, 2) == PAGE_LEAF)
            return first_row(p, out);
        if (number(p, 10, 2) != PAGE_BRANCH)
            return false;
        at = number(p, PAGE_HEADER, 2);
        root = number(p, at, 2) | number(p, at + 2, 2) << 16 | number(p, at + 4, 2) << 32;
    }
    return false;
}

/* True if the head row belongs to the transaction of the meta page, or if there was no transaction yet. */
static bool
leads_to_its_head(int fd, const struct meta *m, size_t page_len, uint8_t *buf)
{
    struct osp_store_head h;

    if (m->txn == 0)
        return m->root == NO_PAGE;
    return read_head(fd, m->root, page_len, buf, &h) && h.version == OSP_STORE_VERSION && h.txn == m->txn;
}

static bool
is_consistent(int fd, bool old, uint8_t *buf)
{
    struct osp_slice first = osp_slice(buf, PAGE_MIN);
    struct meta      m[2];
    size_t           page_len;

    if (!read_page(fd, 0, PAGE_MIN, buf))
        return false;
    page_len = number(first, PAGE_HEADER + 24, 4);
    if (page_len < PAGE_MIN || page_len > PAGE_MAX || (page_len & (page_len - 1)) != 0 ||
        !read_meta(fd, 0, page_len, buf, &m[0]) || !read_meta(fd, 1, page_len, buf, &m[1]))
        return false;
    if (old && m[0].txn == 0 && m[1].txn == 0)
        return true; /* no transaction was ever written */
    if ((m[0].txn & 1) != 0 || (m[1].txn & 1) != 1 || (m[0].txn + 1 != m[1].txn && m[1].txn + 1 != m[0].txn))
        return false;
    return old || (leads_to_its_head(fd, &m[0], page_len, buf) && leads_to_its_head(fd, &m[1], page_len, buf));
}

bool
osp_store_raw_ok(int fd, bool old)
{
    uint8_t *buf = malloc(PAGE_MAX);
    bool     ok = buf && is_consistent(fd, old, buf);

    free(buf);
    return ok;
}
