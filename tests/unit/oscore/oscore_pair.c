/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/oscore/oscore_pair.h"

#include <stdlib.h>

void
pair(struct fix *f, int aead, const char *id_context)
{
    struct osp_octx_params p = { .aead = aead, .hkdf = OSP_HKDF_SHA256, .master_secret = osp_slice_str("0123456789abcdef"),
                                 .master_salt = osp_slice_str("salt"), .sender_id = osp_slice_str("c"),
                                 .recipient_id = osp_slice_str("s"), .has_id_context = id_context != NULL,
                                 .id_context = osp_slice_str(id_context) };

    EXPECT_OK(osp_octx_new(&p, &f->client));
    p.sender_id = osp_slice_str("s");
    p.recipient_id = osp_slice_str("c");
    EXPECT_OK(osp_octx_new(&p, &f->server));
    osp_octx_grant(f->client, 0, 1000);
    osp_octx_grant(f->server, 0, 1000);
    osp_octx_set_window(f->server, &(struct osp_replay){ 0 });
}

int
pair_setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    if (osp_crypto_new(&f->cr) != OSP_OK)
        return -1;
    pair(f, 10, NULL);
    *state = f;
    return 0;
}

void
drop_pair(struct fix *f)
{
    osp_layer_fini(&f->cl);
    osp_layer_fini(&f->sl);
    osp_octx_unref(f->client);
    osp_octx_unref(f->server);
}

int
pair_teardown(void **state)
{
    struct fix *f = *state;

    drop_pair(f);
    osp_crypto_free(f->cr);
    free(f);
    return 0;
}

const struct osp_layer_ends to_server = { OSP_LAYER_TO_SERVER, true, false };

void
protect(struct fix *f)
{
    uint8_t       classes[OSP_MSG_OPTS_MAX];
    struct osp_wr w = osp_wr_to(f->scratch, sizeof(f->scratch));

    osp_layer_fini(&f->cl);
    EXPECT_OK(osp_classes(&to_server, &f->plain, classes));
    EXPECT_OK(osp_oscore_protect_request(f->cr, f->client, &f->plain, classes, &w, &f->wire, &f->cl));
}

enum osp_err
unprotect(struct fix *f)
{
    struct osp_wr    w = osp_wr_to(f->scratch2, sizeof(f->scratch2));
    struct osp_layer l;
    enum osp_err     e = osp_oscore_unprotect_request(f->cr, f->server, &f->wire, &w, &f->got, &l);

    if (e == OSP_OK || e == OSP_E_NOT_FRESH) {
        osp_layer_fini(&f->sl);
        f->sl = l;
    }
    return e;
}

void
request(struct fix *f)
{
    osp_msg_init(&f->plain, OSP_PUT);
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_URI_HOST, osp_slice_str("h")));
    EXPECT_OK(osp_msg_add(&f->plain, OSP_OPT_URI_PATH, osp_slice_str("path")));
    EXPECT_OK(osp_msg_add(&f->plain, 65000, osp_slice_str("unknown")));
    f->plain.payload = osp_slice_str("body");
}

enum osp_err
respond(struct fix *f, const struct osp_msg *resp, bool own)
{
    uint8_t       classes[OSP_MSG_OPTS_MAX];
    struct osp_wr w = osp_wr_to(f->scratch, sizeof(f->scratch));

    EXPECT_OK(osp_classes(&to_server, resp, classes));
    return osp_oscore_protect_response(f->cr, &f->sl, resp, classes, own, &w, &f->wire);
}

enum osp_err
receive(struct fix *f)
{
    struct osp_wr w = osp_wr_to(f->scratch2, sizeof(f->scratch2));
    return osp_oscore_unprotect_response(f->cr, &f->cl, &f->wire, &w, &f->got);
}
