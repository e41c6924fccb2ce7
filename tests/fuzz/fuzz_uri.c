/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A text taken for a URI: what splits and becomes options prints as a URI that splits to the same
 * authority and the same options.  The text is also tried as raw path and query, and as a host.
 * Reaches osp_uri_split, osp_uri_to_options, osp_uri_print, osp_authority_make, osp_ip_parse.
 */
#include <stdlib.h>

#include "msg/uri.h"

#define CHECK(claim)     \
    do {                 \
        if (!(claim))    \
            abort();     \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct osp_msg first, second;
static uint8_t        storage1[65536], storage2[65536 * 3], values1[65536 * 4], values2[65536 * 4];
static char           text[65536 * 3];

static void
check_authority(const struct osp_authority *a)
{
    CHECK(osp_scheme_name(a->scheme) != NULL);
    CHECK(a->port != 0);
    CHECK(a->host.n > 0 && a->host.n <= OSP_HOST_MAX);
    for (size_t i = 0; i < a->host.n; i++)
        CHECK(a->host.p[i] > ' ' && a->host.p[i] != 0x7f && !(a->host.p[i] >= 'A' && a->host.p[i] <= 'Z'));
}

static void
check_values(const struct osp_msg *m)
{
    for (size_t i = 0; i < m->opt_count; i++) {
        struct osp_slice v = m->opts[i].val;

        CHECK(v.n <= 255);
        if (m->opts[i].num == OSP_OPT_URI_PATH) /* never a dot segment */
            CHECK(!osp_slice_eq(v, osp_slice_str(".")) && !osp_slice_eq(v, osp_slice_str("..")));
    }
}

static void
check_same(const struct osp_authority *a, const struct osp_authority *b)
{
    CHECK(a->scheme == b->scheme && a->port == b->port && a->is_ip == b->is_ip);
    CHECK(osp_slice_eq(a->host, b->host));
    CHECK(first.opt_count == second.opt_count);
    for (size_t i = 0; i < first.opt_count; i++) {
        CHECK(first.opts[i].num == second.opts[i].num);
        CHECK(osp_slice_eq(first.opts[i].val, second.opts[i].val));
    }
}

static void
try_as_uri(struct osp_slice in)
{
    struct osp_uri u, again;
    struct osp_wr  w1 = osp_wr_to(values1, sizeof(values1)), w2 = osp_wr_to(values2, sizeof(values2));

    if (osp_uri_split(in, storage1, sizeof(storage1), &u) != OSP_OK || u.to.scheme == OSP_SCHEME_UNKNOWN)
        return;
    check_authority(&u.to);
    osp_msg_init(&first, OSP_GET);
    if (osp_uri_to_options(&u, &first, &w1) != OSP_OK) {
        CHECK(first.opt_count == 0);
        return;
    }
    check_values(&first);
    osp_uri_print(&first, &u.to, text, sizeof(text));
    CHECK(osp_uri_split(osp_slice_str(text), storage2, sizeof(storage2), &again) == OSP_OK);
    osp_msg_init(&second, OSP_GET);
    CHECK(osp_uri_to_options(&again, &second, &w2) == OSP_OK);
    check_same(&u.to, &again.to);
}

static void
try_as_parts(struct osp_slice in)
{
    struct osp_uri       u = { .path = in, .query = in, .has_query = true };
    struct osp_wr        w = osp_wr_to(values1, sizeof(values1));
    struct osp_authority a;

    osp_msg_init(&first, OSP_GET);
    if (osp_uri_to_options(&u, &first, &w) == OSP_OK)
        check_values(&first);
    if (osp_authority_make(OSP_SCHEME_COAP, in, 1, storage1, sizeof(storage1), &a) == OSP_OK)
        check_authority(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= 65535) {
        try_as_uri(osp_slice(data, size));
        try_as_parts(osp_slice(data, size));
    }
    return 0;
}
