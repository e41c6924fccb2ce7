/* SPDX-License-Identifier: BSD-2-Clause */
#include "cbor/rd.h"

#define FALSE_VALUE 20
#define TRUE_VALUE 21
#define NULL_VALUE 22

struct head { uint8_t major; bool is_float; uint64_t value; };

/* [rfc8949#4.2.1] Reads a head, which has to be in its shortest form and of definite length. */
static struct head
read_head(struct osp_rd *r)
{
    static const uint64_t least[] = { 24, 256, 65536, 4294967296u };
    uint8_t               b = osp_rd_u8(r);
    uint8_t               info = b & 31;
    struct head           h = { b >> 5, false, info };

    if (info < 24)
        return h;
    if (info > 27) {            /* reserved, or an indefinite length */
        osp_rd_fail(r);
        return (struct head){ 0 };
    }
    h.value = osp_rd_uint(r, (size_t)1 << (info - 24));
    h.is_float = h.major == OSP_CBOR_SIMPLE && info > 24;
    /* simple values below 32 may not use the second byte; floats (25-27) are not checked here */
    if (h.major == OSP_CBOR_SIMPLE ? info == 24 && h.value < 32 : h.value < least[info - 24])
        osp_rd_fail(r);
    return h;
}

static uint64_t
expect(struct osp_cbor *c, uint8_t major)
{
    struct head h = read_head(&c->r);

    if (h.major != major || h.is_float)         /* a float is not a simple value */
        osp_rd_fail(&c->r);
    return osp_rd_bad(&c->r) ? 0 : h.value;
}

enum osp_cbor_type
osp_cbor_peek(const struct osp_cbor *c)
{
    return osp_rd_left(&c->r) ? (enum osp_cbor_type)(osp_rd_peek(&c->r) >> 5) : OSP_CBOR_END;
}

int64_t
osp_cbor_int(struct osp_cbor *c)
{
    struct head h = read_head(&c->r);

    if (h.major > OSP_CBOR_NINT || h.value > INT64_MAX) {
        osp_rd_fail(&c->r);
        return 0;
    }
    if (osp_rd_bad(&c->r))
        return 0;
    return h.major == OSP_CBOR_UINT ? (int64_t)h.value : -1 - (int64_t)h.value;
}

static struct osp_slice
string(struct osp_cbor *c, uint8_t major)
{
    uint64_t n = expect(c, major);

    if (n > osp_rd_left(&c->r)) {
        osp_rd_fail(&c->r);
        return OSP_EMPTY;
    }
    return osp_rd_take(&c->r, (size_t)n);
}

struct osp_slice
osp_cbor_bstr(struct osp_cbor *c)
{
    return string(c, OSP_CBOR_BSTR);
}

struct osp_slice
osp_cbor_tstr(struct osp_cbor *c)
{
    return string(c, OSP_CBOR_TSTR);
}

static size_t
count(struct osp_cbor *c, uint8_t major, size_t max)
{
    uint64_t n = expect(c, major);

    if (n > max) {
        osp_rd_fail(&c->r);
        return 0;
    }
    return (size_t)n;
}

size_t
osp_cbor_array(struct osp_cbor *c, size_t max)
{
    return count(c, OSP_CBOR_ARRAY, max);
}

size_t
osp_cbor_map(struct osp_cbor *c, size_t max)
{
    return count(c, OSP_CBOR_MAP, max);
}

bool
osp_cbor_bool(struct osp_cbor *c)
{
    uint64_t v = expect(c, OSP_CBOR_SIMPLE);

    if (v != FALSE_VALUE && v != TRUE_VALUE)
        osp_rd_fail(&c->r);
    return v == TRUE_VALUE;
}

void
osp_cbor_null(struct osp_cbor *c)
{
    if (expect(c, OSP_CBOR_SIMPLE) != NULL_VALUE)
        osp_rd_fail(&c->r);
}

/* Each level of nesting is one call.  It ends, since each item takes at least one byte of input. */
static void
skip(struct osp_rd *r, unsigned depth)
{
    struct head h = read_head(r);
    uint64_t    items = 0;

    switch ((enum osp_cbor_type)h.major) {
    case OSP_CBOR_BSTR:
    case OSP_CBOR_TSTR:
        if (h.value > osp_rd_left(r))
            osp_rd_fail(r);
        else
            osp_rd_take(r, (size_t)h.value);
        return;
    case OSP_CBOR_ARRAY:
    case OSP_CBOR_TAG:
        items = h.major == OSP_CBOR_TAG ? 1 : h.value;
        break;
    case OSP_CBOR_MAP:
        items = h.value > osp_rd_left(r) ? h.value : 2 * h.value;
        break;
    case OSP_CBOR_UINT:
    case OSP_CBOR_NINT:
    case OSP_CBOR_SIMPLE:
    case OSP_CBOR_END:
        return;
    }
    if (items > osp_rd_left(r) || (items > 0 && depth == 0)) {
        osp_rd_fail(r);
        return;
    }
    for (uint64_t i = 0; i < items && !osp_rd_bad(r); i++)
        skip(r, depth - 1);
}

struct osp_slice
osp_cbor_skip(struct osp_cbor *c, unsigned depth)
{
    struct osp_slice from = osp_slice(c->r.p, osp_rd_left(&c->r));

    skip(&c->r, depth);
    return osp_rd_bad(&c->r) ? OSP_EMPTY : osp_slice_head(from, from.n - osp_rd_left(&c->r));
}
