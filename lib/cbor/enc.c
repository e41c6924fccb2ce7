/* SPDX-License-Identifier: BSD-2-Clause */
#include "cbor/enc.h"

#include <cbor.h>

#define HEAD_MAX 9

/* Appends what one of libcbor's encoders wrote to `buf`. */
static void
put(struct osp_wr *w, const uint8_t buf[HEAD_MAX], size_t n)
{
    osp_wr_put(w, osp_slice(buf, n));
}

void
osp_cbor_put_int(struct osp_wr *w, int64_t v)
{
    uint8_t b[HEAD_MAX];

    put(w, b, v >= 0 ? cbor_encode_uint((uint64_t)v, b, sizeof(b)) : cbor_encode_negint((uint64_t)(-1 - v), b, sizeof(b)));
}

void
osp_cbor_put_bstr_head(struct osp_wr *w, size_t n)
{
    uint8_t b[HEAD_MAX];

    put(w, b, cbor_encode_bytestring_start(n, b, sizeof(b)));
}

void
osp_cbor_put_bstr(struct osp_wr *w, struct osp_slice s)
{
    osp_cbor_put_bstr_head(w, s.n);
    osp_wr_put(w, s);
}

void
osp_cbor_put_tstr(struct osp_wr *w, const char *s)
{
    uint8_t          b[HEAD_MAX];
    struct osp_slice text = osp_slice_str(s);

    put(w, b, cbor_encode_string_start(text.n, b, sizeof(b)));
    osp_wr_put(w, text);
}

void
osp_cbor_put_array(struct osp_wr *w, size_t items)
{
    uint8_t b[HEAD_MAX];

    put(w, b, cbor_encode_array_start(items, b, sizeof(b)));
}

void
osp_cbor_put_map(struct osp_wr *w, size_t pairs)
{
    uint8_t b[HEAD_MAX];

    put(w, b, cbor_encode_map_start(pairs, b, sizeof(b)));
}

void
osp_cbor_put_bool(struct osp_wr *w, bool v)
{
    uint8_t b[HEAD_MAX];

    put(w, b, cbor_encode_bool(v, b, sizeof(b)));
}

void
osp_cbor_put_null(struct osp_wr *w)
{
    uint8_t b[HEAD_MAX];

    put(w, b, cbor_encode_null(b, sizeof(b)));
}
