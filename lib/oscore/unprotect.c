/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking a layer off: requests as a server, responses as a client. */
#include "oscore/impl.h"
#include "oscore/parts.h"

/* Opens in->payload into `scratch`: code, then the body decoded into `inner`. */
static enum osp_err
open_message(struct osp_crypto *cr, struct osp_octx *ctx, const struct osp_msg *in, struct osp_slice request_kid,
             struct osp_slice request_piv, const uint8_t *nonce, struct osp_wr *scratch, struct osp_msg *inner)
{
    uint8_t          aad[96];
    struct osp_wr    a = osp_wr_to(aad, sizeof(aad));
    size_t           at = scratch->n;
    struct osp_slice plain;
    uint8_t         *to;
    enum osp_err     e = osp_oscore_aad(ctx->aead, request_kid, request_piv, &a);

    if (e != OSP_OK)
        return e;
    if (in->payload.n <= ctx->tag_len)          /* a plaintext has at least a code */
        return OSP_E_DECRYPT;
    to = osp_wr_reserve(scratch, in->payload.n - ctx->tag_len);
    if (!to)
        return OSP_E_NOSPACE;
    e = osp_aead_open(cr, ctx->aead, octx_recipient_key(ctx), nonce, osp_wr_slice(&a), in->payload, to);
    if (e == OSP_E_DECRYPT)
        octx_count_failure(ctx);
    if (e != OSP_OK)
        return e;
    plain = osp_slice_tail(osp_wr_slice(scratch), at);
    return osp_oscore_decode(plain, in, inner);
}

static enum osp_err
find_option(const struct osp_msg *in, struct osp_oscore_opt *out)
{
    const struct osp_opt *o = osp_msg_get(in, OSP_OPT_OSCORE);

    if (osp_msg_count(in, OSP_OPT_OSCORE) != 1 || in->payload.n == 0) /* [rfc8613#2] not repeatable, not without ciphertext */
        return OSP_E_OSCORE_OPTION;
    return osp_oscore_opt_parse(o->val, out);
}

/* [rfc8613#8.2] */
enum osp_err
osp_oscore_unprotect_request(struct osp_crypto *cr, struct osp_octx *ctx, const struct osp_msg *in, struct osp_wr *scratch,
                             struct osp_msg *out, struct osp_layer *layer)
{
    struct osp_oscore_opt opt;
    uint8_t               nonce[OSP_AEAD_NONCE_MAX];
    uint64_t              piv;
    enum osp_err          e = find_option(in, &opt);
    bool                  fresh;

    if (e != OSP_OK)
        return e;
    if (!opt.has_kid || opt.piv.n == 0)
        return OSP_E_OSCORE_OPTION;
    if (!osp_slice_eq(opt.kid, osp_octx_recipient_id(ctx)))     /* the request is not for this context */
        return OSP_E_DECRYPT;
    if (osp_octx_is_out_of_use(ctx))            /* another object may own the window by now, and have seen more */
        return OSP_E_NO_CONTEXT;
    piv = osp_oscore_piv_value(opt.piv);
    e = octx_may_open(ctx, piv);                /* [rfc8613#7.4] the window is asked now and moved after decryption */
    if (e != OSP_OK)
        return e;
    osp_oscore_nonce(opt.kid, opt.piv, ctx->common_iv, ctx->nonce_len, nonce);
    e = open_message(cr, ctx, in, opt.kid, opt.piv, nonce, scratch, out);
    if (e != OSP_OK)
        return e;
    e = osp_oscore_merge_outer(in, out);
    if (e != OSP_OK)
        return e;
    e = octx_window_commit(ctx, piv, out);
    fresh = e == OSP_OK;
    if (!fresh && e != OSP_E_NOT_FRESH)
        return e;
    /* A request that is not fresh may have been answered before the window was lost.  So its nonce counts as used, and any
       answer now, even an error, takes a Partial IV of our own. [rfc8613#B.1.2] */
    *layer = (struct osp_layer){ .ctx = ctx, .piv_len = (uint8_t)opt.piv.n, .nonce_used = !fresh,
                                 .observe = osp_msg_has(out, OSP_OPT_OBSERVE) };
    (void)osp_slice_copy(opt.piv, layer->piv, sizeof(layer->piv));
    osp_octx_ref(ctx);
    return e;
}

bool
osp_oscore_fits_request(struct osp_crypto *cr, struct osp_octx *ctx, const struct osp_msg *in, struct osp_wr *scratch)
{
    struct osp_wr         room = *scratch;
    struct osp_oscore_opt opt;
    struct osp_msg        inner;
    uint8_t               nonce[OSP_AEAD_NONCE_MAX];
    enum osp_err          e = find_option(in, &opt);

    if (e != OSP_OK || !opt.has_kid || opt.piv.n == 0 || !osp_slice_eq(opt.kid, osp_octx_recipient_id(ctx)) ||
        octx_may_open_response(ctx) != OSP_OK)
        return false;
    osp_oscore_nonce(opt.kid, opt.piv, ctx->common_iv, ctx->nonce_len, nonce);
    e = open_message(cr, ctx, in, opt.kid, opt.piv, nonce, &room, &inner);
    return e != OSP_E_DECRYPT;
}

/* [rfc8613#8.4] */
enum osp_err
osp_oscore_unprotect_response(struct osp_crypto *cr, struct osp_layer *layer, const struct osp_msg *in, struct osp_wr *scratch,
                              struct osp_msg *out)
{
    struct osp_octx      *ctx = layer->ctx;
    struct osp_slice      request_kid = osp_octx_sender_id(ctx);
    struct osp_slice      request_piv = osp_slice(layer->piv, layer->piv_len);
    struct osp_oscore_opt opt;
    uint8_t               nonce[OSP_AEAD_NONCE_MAX];
    bool                  has_piv;
    enum osp_err          e;

    if (!osp_msg_has(in, OSP_OPT_OSCORE))
        return OSP_E_UNPROTECTED;
    e = find_option(in, &opt);
    if (e == OSP_OK)
        e = octx_may_open_response(ctx);
    if (e != OSP_OK)
        return e;
    has_piv = opt.piv.n > 0;
    if (has_piv)
        osp_oscore_nonce(osp_octx_recipient_id(ctx), opt.piv, ctx->common_iv, ctx->nonce_len, nonce);
    else
        osp_oscore_nonce(request_kid, request_piv, (layer->nonce_ctx ? layer->nonce_ctx : ctx)->common_iv, ctx->nonce_len,
                         nonce);
    e = open_message(cr, ctx, in, request_kid, request_piv, nonce, scratch, out);
    if (e != OSP_OK)
        return e;
    if (osp_msg_has(out, OSP_OPT_OBSERVE) && !layer->observe)   /* nobody asked for this notification */
        return OSP_E_BAD_RESPONSE;
    osp_oscore_take_observe(in, has_piv, out);
    e = osp_oscore_merge_outer(in, out);
    if (e != OSP_OK)
        return e;
    return osp_oscore_check_order(&layer->nonce_used, &layer->last_piv, osp_msg_has(out, OSP_OPT_OBSERVE), has_piv,
                                  osp_oscore_piv_value(opt.piv));
}
