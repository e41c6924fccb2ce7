/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile OSCORE messages against a few contexts.  The first byte chooses: the rest is a datagram to unprotect,
 * or an instruction to protect, damage and unprotect one of ours.  A window may move only when a message
 * verified, and no Partial IV is accepted twice.
 * Reaches osp_oscore_opt_parse, osp_oscore_unprotect_request, osp_oscore_unprotect_response, osp_replay_*.
 */
#include <assert.h>
#include <stdlib.h>

#include "oscore/oscore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct osp_crypto *cr;

static struct osp_octx *
make(const char *sid, const char *rid)
{
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .sender_id = osp_slice_str(sid), .recipient_id = osp_slice_str(rid) };
    struct osp_octx       *c;

    if (osp_octx_new(&p, &c) != OSP_OK)
        abort();
    osp_octx_grant(c, 0, 100);
    osp_octx_set_window(c, &(struct osp_replay){ 0 });
    return c;
}

static void
foreign(struct osp_octx *server, struct osp_octx *client, struct osp_slice d)
{
    static uint8_t    scratch[4096];
    struct osp_wr     w = osp_wr_to(scratch, sizeof(scratch));
    struct osp_msg    in, out;
    struct osp_layer  l = { .ctx = client, .piv = { 7 }, .piv_len = 1, .observe = true };
    struct osp_layer  got;
    struct osp_replay before, after;
    bool              header;

    if (osp_msg_decode_udp(d, &in, &header) != OSP_OK)
        return;
    osp_octx_get_window(server, &before);
    if (osp_oscore_unprotect_request(cr, server, &in, &w, &out, &got) == OSP_OK)
        osp_layer_fini(&got);           /* only with the key: not by chance */
    osp_octx_get_window(server, &after);
    assert(before.next == after.next && before.seen == after.seen);
    w = osp_wr_to(scratch, sizeof(scratch));
    if (osp_oscore_unprotect_response(cr, &l, &in, &w, &out) == OSP_OK)
        assert(out.opt_count <= OSP_MSG_OPTS_MAX);
}

static void
own(struct osp_octx *server, struct osp_octx *client, struct osp_rd *r)
{
    static uint8_t      a[4096], b[4096], wire[2048];
    struct osp_wr       wa = osp_wr_to(a, sizeof(a)), wb = osp_wr_to(b, sizeof(b)), ww = osp_wr_to(wire, sizeof(wire));
    struct osp_layer_ends      ends = { OSP_LAYER_TO_SERVER, true, false };
    uint8_t             classes[OSP_MSG_OPTS_MAX], flip = osp_rd_u8(r), where = osp_rd_u8(r);
    struct osp_msg      m, out, in, got;
    struct osp_layer    l, sl;
    enum osp_err        e;
    bool                header;

    osp_msg_init(&m, OSP_GET);
    m.payload = osp_rd_rest(r);
    if (m.payload.n > 512 || osp_classes(&ends, &m, classes) != OSP_OK ||
        osp_oscore_protect_request(cr, client, &m, classes, &wa, &out, &l) != OSP_OK)
        return;
    if (osp_msg_encode_udp(&out, &ww) != OSP_OK)
        abort();
    osp_layer_fini(&l);
    wire[4 + where % (ww.n - 4)] ^= flip;
    if (osp_msg_decode_udp(osp_wr_slice(&ww), &in, &header) != OSP_OK)
        return;
    e = osp_oscore_unprotect_request(cr, server, &in, &wb, &got, &sl);
    if (e != OSP_OK)
        return;
    osp_layer_fini(&sl);
    wb = osp_wr_to(b, sizeof(b));
    e = osp_oscore_unprotect_request(cr, server, &in, &wb, &got, &sl);
    assert(e == OSP_E_REPLAY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osp_rd    r = osp_rd_from(osp_slice(data, size));
    struct osp_octx *client, *server;

    if (!cr && osp_crypto_new(&cr) != OSP_OK)
        abort();
    client = make("c", "s");
    server = make("s", "c");
    if (osp_rd_u8(&r) & 1)
        own(server, client, &r);
    else
        foreign(server, client, osp_rd_rest(&r));
    osp_octx_unref(client);
    osp_octx_unref(server);
    return 0;
}
