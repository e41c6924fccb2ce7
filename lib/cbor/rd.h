/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded reader for hostile CBOR [rfc8949], over the cursor of lib/base.
 *
 * It reads definite lengths and integers of up to 64 bits only.  Nothing is allocated, and strings are borrowed
 * from the input.  It latches like osp_rd: after the first item of a wrong kind, every call returns zero or
 * empty, and osp_cbor_done() returns false.  Integers have to be in their shortest form, because EDHOC and COSE
 * require deterministic encoding.
 */
#ifndef OSP_CBOR_RD_H
#define OSP_CBOR_RD_H

#include "base/bytes.h"

enum osp_cbor_type {
    OSP_CBOR_UINT = 0, OSP_CBOR_NINT = 1, OSP_CBOR_BSTR = 2, OSP_CBOR_TSTR = 3, OSP_CBOR_ARRAY = 4, OSP_CBOR_MAP = 5,
    OSP_CBOR_TAG = 6, OSP_CBOR_SIMPLE = 7,
    OSP_CBOR_END = 8,           /* no byte is left, or the reader has latched */
};

struct osp_cbor { struct osp_rd r; };

static inline struct osp_cbor
osp_cbor_from(struct osp_slice s)
{
    struct osp_cbor c = { osp_rd_from(s) };
    return c;
}

/* The major type of the next item, which is not consumed. */
enum osp_cbor_type osp_cbor_peek(const struct osp_cbor *c);

/* Reads an integer that fits a signed 64-bit number. */
int64_t osp_cbor_int(struct osp_cbor *c);

struct osp_slice osp_cbor_bstr(struct osp_cbor *c);
struct osp_slice osp_cbor_tstr(struct osp_cbor *c);

/* Reads the head of an array or map, and returns how many items (or pairs) follow; more than `max` is an error. */
size_t osp_cbor_array(struct osp_cbor *c, size_t max);
size_t osp_cbor_map(struct osp_cbor *c, size_t max);

/* osp_cbor_bool() reads true or false; osp_cbor_null() skips a null.  Any other item is an error. */
bool osp_cbor_bool(struct osp_cbor *c);
void osp_cbor_null(struct osp_cbor *c);

/* Skips one item of any kind, nested at most `depth` levels, and returns its bytes. */
struct osp_slice osp_cbor_skip(struct osp_cbor *c, unsigned depth);

/* True if no read failed and all bytes were consumed. */
static inline bool
osp_cbor_done(const struct osp_cbor *c)
{
    return osp_rd_done(&c->r);
}

static inline bool
osp_cbor_bad(const struct osp_cbor *c)
{
    return osp_rd_bad(&c->r);
}

#endif
