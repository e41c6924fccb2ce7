/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datagram: what decodes, encodes to the same bytes (every field has one encoding), and the
 * operations on it keep options in order.
 * Reaches osp_msg_decode_udp, _decode_body, _encode_udp, _size_udp, _copy, _add, _remove,
 * osp_msg_sanitize, osp_uri_print, osp_code_print.
 */
#include <stdlib.h>

#include "msg/msg.h"
#include "msg/option.h"
#include "msg/uri.h"

#define CHECK(claim)     \
    do {                 \
        if (!(claim))    \
            abort();     \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct osp_msg m, copy;
static uint8_t        out[70000];

static void
check_order(const struct osp_msg *msg)
{
    CHECK(msg->opt_count <= OSP_MSG_OPTS_MAX);
    for (size_t i = 1; i < msg->opt_count; i++)
        CHECK(msg->opts[i - 1].num <= msg->opts[i].num);
}

/* Reads all of `s`, so that the sanitizer judges where it lies. */
static void
touch(struct osp_slice s)
{
    static volatile uint8_t sink;

    for (size_t i = 0; i < s.n; i++)
        sink = s.p[i];
    (void)sink;
}

static void
check_operations(void)
{
    struct osp_authority dflt = { .scheme = OSP_SCHEME_COAP, .host = osp_slice_str("h"), .port = OSP_COAP_PORT };
    char                 text[300];
    uint16_t             which = 0, num = m.opt_count ? m.opts[m.opt_count / 2].num : 11;
    size_t               before = m.opt_count;

    osp_uri_print(&m, &dflt, text, sizeof(text));
    CHECK(memchr(text, 0, sizeof(text)) != NULL);
    osp_code_print(m.code, text, NULL);
    osp_msg_copy(&copy, &m);
    if (osp_msg_add(&copy, num, osp_slice_str("x")) == OSP_OK)
        CHECK(copy.opt_count == before + 1);
    check_order(&copy);
    osp_msg_remove(&copy, num);
    CHECK(!osp_msg_has(&copy, num));
    check_order(&copy);
    if (osp_msg_sanitize(&m, &which) != OSP_OK) {
        CHECK(osp_opt_is_critical(which) && osp_opt_def(which));
        CHECK(m.opt_count == before);
    } else {
        CHECK(m.opt_count <= before);
        before = m.opt_count;
        CHECK(osp_msg_sanitize(&m, &which) == OSP_OK && m.opt_count == before);
    }
    check_order(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osp_wr w = osp_wr_to(out, sizeof(out));
    bool          header_ok = false;
    enum osp_err  err = osp_msg_decode_udp(osp_slice(data, size), &m, &header_ok);

    CHECK(header_ok == (size >= 4 && data[0] >> 6 == 1));
    if (err != OSP_OK)
        return 0;
    touch(m.token);
    touch(m.payload);
    for (size_t i = 0; i < m.opt_count; i++)
        touch(m.opts[i].val);
    check_order(&m);
    CHECK(osp_msg_size_udp(&m) == size);
    CHECK(osp_msg_encode_udp(&m, &w) == OSP_OK);
    CHECK(osp_slice_eq(osp_wr_slice(&w), osp_slice(data, size)));
    check_operations();
    return 0;
}
