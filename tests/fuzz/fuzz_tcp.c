/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A byte stream, decoded message by message under two limits chosen by the first byte.  Each message
 * encodes to the bytes it came from; cut short it is incomplete; nothing over a limit comes out.
 * Reaches osp_msg_decode_tcp, osp_msg_encode_tcp, osp_msg_size_body.
 */
#include <stdlib.h>

#include "msg/msg.h"

#define CHECK(claim)     \
    do {                 \
        if (!(claim))    \
            abort();     \
    } while (0)

#define HEADER_MAX 8    /* Len, TKL and code with their longest extensions */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct osp_msg m, cut;
static uint8_t        out[70000];

/* One message off the front of `in`; its length, 0 at the end. */
static size_t
take(struct osp_slice in, size_t max_size, size_t max_token)
{
    struct osp_wr w = osp_wr_to(out, sizeof(out));
    size_t        used = 0, part = 0;
    enum osp_err  err = osp_msg_decode_tcp(in, max_size, max_token, &m, &used);

    if (err == OSP_E_INCOMPLETE)                /* with all of a header there, the limit decides */
        CHECK(in.n < max_size || in.n < HEADER_MAX);
    if (err != OSP_OK)
        return 0;
    CHECK(used >= 2 && used <= in.n && used <= max_size);
    CHECK(m.token.n <= max_token);
    for (size_t i = 1; i < m.opt_count; i++)
        CHECK(m.opts[i - 1].num <= m.opts[i].num);
    CHECK(osp_msg_encode_tcp(&m, &w) == OSP_OK);
    CHECK(osp_slice_eq(osp_wr_slice(&w), osp_slice_head(in, used)));
    for (size_t n = 0; n < used; n += 1 + n / 4)
        CHECK(osp_msg_decode_tcp(osp_slice_head(in, n), max_size, max_token, &cut, &part) == OSP_E_INCOMPLETE);
    CHECK(osp_msg_decode_tcp(in, used - 1, max_token, &cut, &part) == OSP_E_TOO_LARGE);
    return used;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t max_sizes[] = { 1152, 70000, 16, 0 }, max_tokens[] = { 8, OSP_TOKEN_MAX, 0, 20 };
    struct osp_slice    in = osp_slice_tail(osp_slice(data, size), 1);
    size_t              used;

    if (size == 0)
        return 0;
    while ((used = take(in, max_sizes[data[0] & 3], max_tokens[data[0] >> 2 & 3])) > 0)
        in = osp_slice_tail(in, used);
    return 0;
}
