/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes: a borrowed slice, a reading cursor, a writing cursor.
 *
 * All parsing and building goes through these.  A cursor latches its first error: after
 * that a reader yields zeroes and empty slices, a writer drops what it is given, and the
 * caller asks once at the end.  An inner parser cannot leave the slice it was handed.
 * Every helper accepts {NULL, 0}.  Integers are in network byte order.
 *
 * Nothing here owns memory: a slice borrows, a writer writes into the caller's buffer.
 */
#ifndef OSP_BASE_BYTES_H
#define OSP_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct osp_slice {
    const uint8_t *p;
    size_t         n;
};

#define OSP_EMPTY ((struct osp_slice){ NULL, 0 })

static inline struct osp_slice
osp_slice(const void *p, size_t n)
{
    struct osp_slice s = { (const uint8_t *)p, n };
    return s;
}

/* The characters of `s` without the terminating zero. */
static inline struct osp_slice
osp_slice_str(const char *s)
{
    return osp_slice(s, s ? strlen(s) : 0);
}

static inline bool
osp_slice_eq(struct osp_slice a, struct osp_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Orders by bytes, then by length: <0, 0, >0. */
static inline int
osp_slice_cmp(struct osp_slice a, struct osp_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int    c = n ? memcmp(a.p, b.p, n) : 0;

    if (c == 0)
        c = a.n < b.n ? -1 : a.n > b.n;
    return c;
}

/* The first `n` bytes of `s`, all of it when it is shorter. */
static inline struct osp_slice
osp_slice_head(struct osp_slice s, size_t n)
{
    return osp_slice(s.p, n < s.n ? n : s.n);
}

/* `s` without its first `n` bytes, empty when it is shorter. */
static inline struct osp_slice
osp_slice_tail(struct osp_slice s, size_t n)
{
    return n < s.n ? osp_slice(s.p + n, s.n - n) : OSP_EMPTY;
}

/* Copies `s` to `dst`; false, and nothing written, when it does not fit in `cap`. */
static inline bool
osp_slice_copy(struct osp_slice s, void *dst, size_t cap)
{
    if (s.n > cap)
        return false;
    if (s.n)
        memcpy(dst, s.p, s.n);
    return true;
}

/* ---- reader ---- */

struct osp_rd {
    const uint8_t *p;
    size_t         left;
    bool           bad;
};

static inline struct osp_rd
osp_rd_from(struct osp_slice s)
{
    struct osp_rd r = { s.p, s.n, false };
    return r;
}

static inline size_t
osp_rd_left(const struct osp_rd *r)
{
    return r->left;
}

/* True once something was read that was not there. */
static inline bool
osp_rd_bad(const struct osp_rd *r)
{
    return r->bad;
}

/* True if no read failed and every byte was consumed. */
static inline bool
osp_rd_done(const struct osp_rd *r)
{
    return !r->bad && r->left == 0;
}

static inline void
osp_rd_fail(struct osp_rd *r)
{
    r->bad = true;
    r->left = 0;
}

/* The next `n` bytes, borrowed from the input; empty after an error. */
static inline struct osp_slice
osp_rd_take(struct osp_rd *r, size_t n)
{
    struct osp_slice s = OSP_EMPTY;

    if (n > r->left) {
        osp_rd_fail(r);
    } else if (n > 0) {
        s = osp_slice(r->p, n);
        r->p += n;
        r->left -= n;
    }
    return s;
}

/* All that is left. */
static inline struct osp_slice
osp_rd_rest(struct osp_rd *r)
{
    return osp_rd_take(r, r->left);
}

/* The next byte, which is not consumed; 0 if no byte is left, which is not an error. */
static inline uint8_t
osp_rd_peek(const struct osp_rd *r)
{
    return r->left ? *r->p : 0;
}

static inline uint8_t
osp_rd_u8(struct osp_rd *r)
{
    struct osp_slice s = osp_rd_take(r, 1);
    return s.n ? s.p[0] : 0;
}

/* Unsigned integer of `n` bytes (0 to 8). */
static inline uint64_t
osp_rd_uint(struct osp_rd *r, size_t n)
{
    struct osp_slice s = osp_rd_take(r, n);
    uint64_t         v = 0;

    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

static inline uint16_t
osp_rd_u16(struct osp_rd *r)
{
    return (uint16_t)osp_rd_uint(r, 2);
}

static inline uint32_t
osp_rd_u32(struct osp_rd *r)
{
    return (uint32_t)osp_rd_uint(r, 4);
}

/* ---- writer ---- */

struct osp_wr {
    uint8_t *p;
    size_t   cap;
    size_t   n;
    bool     bad;
};

static inline struct osp_wr
osp_wr_to(void *buf, size_t cap)
{
    struct osp_wr w = { (uint8_t *)buf, cap, 0, false };
    return w;
}

static inline bool
osp_wr_bad(const struct osp_wr *w)
{
    return w->bad;
}

/* What was written so far, borrowed from the buffer. */
static inline struct osp_slice
osp_wr_slice(const struct osp_wr *w)
{
    return osp_slice(w->p, w->n);
}

/* Room for `n` bytes, which the caller fills at once.  NULL: there is no room, and the writer latches. */
static inline uint8_t *
osp_wr_reserve(struct osp_wr *w, size_t n)
{
    uint8_t *at;

    if (w->bad || n > w->cap - w->n) {
        w->bad = true;
        return NULL;
    }
    at = w->p ? w->p + w->n : NULL;
    w->n += n;
    return at;
}

static inline void
osp_wr_put(struct osp_wr *w, struct osp_slice s)
{
    if (s.n) {
        uint8_t *at = osp_wr_reserve(w, s.n);
        if (at)
            memcpy(at, s.p, s.n);
    }
}

/* Appends `s` and returns the copy in the buffer, which is empty if there was no room. */
static inline struct osp_slice
osp_wr_keep(struct osp_wr *w, struct osp_slice s)
{
    size_t start = w->n;

    osp_wr_put(w, s);
    return osp_slice_tail(osp_wr_slice(w), start);
}

static inline void
osp_wr_u8(struct osp_wr *w, uint8_t v)
{
    uint8_t *at = osp_wr_reserve(w, 1);
    if (at)
        *at = v;
}

/* Appends the low `n` bytes of `v` (n is 0 to 8). */
static inline void
osp_wr_uint(struct osp_wr *w, uint64_t v, size_t n)
{
    uint8_t *at = n ? osp_wr_reserve(w, n) : NULL;

    if (at)
        for (size_t i = n; i > 0; i--, v >>= 8)
            at[i - 1] = (uint8_t)v;
}

static inline void
osp_wr_u16(struct osp_wr *w, uint16_t v)
{
    osp_wr_uint(w, v, 2);
}

static inline void
osp_wr_u32(struct osp_wr *w, uint32_t v)
{
    osp_wr_uint(w, v, 4);
}

/* ---- text ---- */

/* The value of a hexadecimal digit of either case; -1: it is none. */
int osp_hex_digit(uint8_t c);

/*
 * Decodes hexadecimal text (even number of digits, either case, nothing else) into `dst`
 * and stores the length.  False, nothing stored, when malformed or larger than `cap`.
 */
bool osp_hex_decode(struct osp_slice text, uint8_t *dst, size_t cap, size_t *len);

/* Lower-case hexadecimal of `s` with a terminating zero, cut to what fits `cap` (>= 1). */
void osp_hex_encode(struct osp_slice s, char *dst, size_t cap);

/* ---- secrets ---- */

/* Overwrites `n` bytes in a way that the compiler does not remove. */
void osp_wipe(void *p, size_t n);

/* True if `a` equals `b`; the time does not depend on which bytes differ.  Lengths are not secret. */
bool osp_equal_ct(struct osp_slice a, struct osp_slice b);

#endif
