/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CBOR for output [rfc8949], deterministic encoding, appended to a writing cursor.
 *
 * libcbor encodes; only enc.c includes its header.  The writer latches when an item does not fit, and the
 * caller asks it once at the end.
 */
#ifndef OSP_CBOR_ENC_H
#define OSP_CBOR_ENC_H

#include "base/bytes.h"

void osp_cbor_put_int(struct osp_wr *w, int64_t v);
void osp_cbor_put_bstr(struct osp_wr *w, struct osp_slice s);
void osp_cbor_put_tstr(struct osp_wr *w, const char *s);
void osp_cbor_put_array(struct osp_wr *w, size_t items);
void osp_cbor_put_map(struct osp_wr *w, size_t pairs);
void osp_cbor_put_bool(struct osp_wr *w, bool v);
void osp_cbor_put_null(struct osp_wr *w);

/* Appends only the head of a byte string of `n` bytes; the caller appends the bytes. */
void osp_cbor_put_bstr_head(struct osp_wr *w, size_t n);

#endif
