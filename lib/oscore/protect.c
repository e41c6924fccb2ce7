/* SPDX-License-Identifier: BSD-2-Clause */
/* Putting a layer on: requests as a client, responses as a server. */
#include "msg/option.h"
#include "oscore/impl.h"
#include "oscore/parts.h"

/* What one protection needs beside the message. */
struct seal {
    struct osp_octx  *ctx;
    struct osp_slice  request_kid, request_piv; /* go into the AAD */
    const uint8_t    *nonce;
    struct osp_oscore_opt opt;
    bool              response;
};

/* Sorts the options of `in`: inner ones into `inner`, outer ones into `out`. */
static enum osp_err
split_options(const struct osp_msg *in, const uint8_t *classes, bool response, struct osp_msg *inner, struct osp_msg *out)
{
    enum osp_err e = OSP_OK;

    for (size_t i = 0; i < in->opt_count && e == OSP_OK; i++) {
        const struct osp_opt *o = &in->opts[i];
        bool                  observe = o->num == OSP_OPT_OBSERVE;

        if (osp_opt_is_outer(classes[i])) {
            e = osp_msg_add(out, o->num, o->val);
            continue;
        }
        /* [rfc8613#4.1.3.5] Observe is inner and outer; the Inner one of a notification is empty */
        e = osp_msg_add(inner, o->num, observe && response ? OSP_EMPTY : o->val);
        if (e == OSP_OK && observe)
            e = osp_msg_add(out, o->num, o->val);
    }
    return e;
}

/* [rfc8613#4.2] POST / Changed, but FETCH / Content with Observe */
static uint8_t
outer_code(bool response, bool observe)
{
    if (response)
        return observe ? OSP_CODE(2, 5) : OSP_CODE(2, 4);
    return observe ? OSP_FETCH : OSP_POST;
}

static enum osp_err
seal_message(struct osp_crypto *cr, const struct seal *s, const struct osp_msg *in, const uint8_t *classes,
             struct osp_wr *scratch, struct osp_msg *out)
{
    struct osp_msg inner;
    uint8_t        aad[96];
    struct osp_wr  a = osp_wr_to(aad, sizeof(aad));
    size_t         opt_at, plain_at;
    struct osp_slice option, plain;
    uint8_t       *sealed;
    enum osp_err   e;

    osp_msg_init(&inner, in->code);
    inner.payload = in->payload;
    osp_msg_init(out, outer_code(s->response, osp_msg_has(in, OSP_OPT_OBSERVE)));
    out->type = in->type;
    out->mid = in->mid;
    out->token = in->token;
    e = split_options(in, classes, s->response, &inner, out);
    if (e == OSP_OK)
        e = osp_oscore_aad(s->ctx->aead, s->request_kid, s->request_piv, &a);
    if (e != OSP_OK)
        return e;

    opt_at = scratch->n;
    e = osp_oscore_opt_write(&s->opt, scratch);
    if (e != OSP_OK)
        return e;
    option = osp_slice_tail(osp_wr_slice(scratch), opt_at);
    plain_at = scratch->n;
    osp_wr_u8(scratch, in->code);
    e = osp_msg_encode_body(&inner, scratch);
    if (e != OSP_OK)
        return e;
    plain = osp_slice_tail(osp_wr_slice(scratch), plain_at);
    sealed = plain_at < scratch->cap ? scratch->p + plain_at : NULL;
    if (!osp_wr_reserve(scratch, s->ctx->tag_len))
        return OSP_E_NOSPACE;
    if (plain.n + s->ctx->tag_len > octx_longest(s->ctx))       /* [key-limits#2.3] */
        return OSP_E_TOO_LARGE;
    e = osp_aead_seal(cr, s->ctx->aead, octx_sender_key(s->ctx), s->nonce, osp_wr_slice(&a), plain, sealed);
    if (e != OSP_OK)
        return e;
    out->payload = osp_slice(sealed, plain.n + s->ctx->tag_len);
    return osp_msg_add(out, OSP_OPT_OSCORE, option);
}

/* [rfc8613#8.1] */
enum osp_err
osp_oscore_protect_request(struct osp_crypto *cr, struct osp_octx *ctx, const struct osp_msg *in, const uint8_t *classes,
                           struct osp_wr *scratch, struct osp_msg *out, struct osp_layer *layer)
{
    uint8_t      nonce[OSP_AEAD_NONCE_MAX];
    uint64_t     ssn = 0;
    struct seal  s = { .ctx = ctx, .request_kid = osp_octx_sender_id(ctx), .nonce = nonce };
    enum osp_err e = osp_oscore_shows_uri(in, classes) ? OSP_E_INVALID : OSP_OK;

    if (e == OSP_OK && octx_may_open_response(ctx) != OSP_OK)
        e = OSP_E_KEY_LIMIT;            /* its response could not be decrypted */
    if (e == OSP_OK)
        e = osp_octx_take_ssn(ctx, &ssn);
    if (e != OSP_OK)
        return e;
    *layer = (struct osp_layer){ .ctx = ctx, .observe = osp_msg_has(in, OSP_OPT_OBSERVE) };
    layer->piv_len = octx_piv_write(ssn, layer->piv);
    s.request_piv = osp_slice(layer->piv, layer->piv_len);
    s.opt.piv = s.request_piv;
    s.opt.has_kid = true;
    s.opt.kid = s.request_kid;
    s.opt.has_kid_context = osp_octx_kid_context(ctx, &s.opt.kid_context);
    osp_oscore_nonce(s.request_kid, s.request_piv, ctx->common_iv, ctx->nonce_len, nonce);
    e = seal_message(cr, &s, in, classes, scratch, out);
    if (e != OSP_OK) {
        *layer = (struct osp_layer){ 0 };
        return e;
    }
    osp_octx_ref(ctx);
    return OSP_OK;
}

/* [rfc8613#8.3] [ocp#2.5.1] */
enum osp_err
osp_oscore_protect_response(struct osp_crypto *cr, struct osp_layer *layer, const struct osp_msg *in, const uint8_t *classes,
                            bool own_piv, struct osp_wr *scratch, struct osp_msg *out)
{
    struct osp_octx *ctx = layer->ctx;
    uint8_t          nonce[OSP_AEAD_NONCE_MAX], piv[5];
    struct seal      s = { .ctx = ctx, .request_kid = osp_octx_recipient_id(ctx),
                           .request_piv = osp_slice(layer->piv, layer->piv_len), .nonce = nonce, .response = true };

    s.opt.has_kid_context = octx_response_kid_context(ctx, &s.opt.kid_context);
    if (own_piv || layer->nonce_used) {
        uint64_t     ssn = 0;
        enum osp_err e = osp_octx_take_ssn(ctx, &ssn);

        if (e != OSP_OK)
            return e;
        s.opt.piv = osp_slice(piv, octx_piv_write(ssn, piv));
        osp_oscore_nonce(osp_octx_sender_id(ctx), s.opt.piv, ctx->common_iv, ctx->nonce_len, nonce);
    } else {
        enum osp_err e = octx_admit_seal(ctx);

        if (e != OSP_OK)
            return e;
        layer->nonce_used = true;       /* even if encryption fails, the nonce is not used again */
        osp_oscore_nonce(s.request_kid, s.request_piv, ctx->common_iv, ctx->nonce_len, nonce);
    }
    return seal_message(cr, &s, in, classes, scratch, out);
}

/*
 * No other function encrypts under the number of a challenge.  The plaintext depends on the Echo value alone, which is kept as
 * long as the number, so a repeated challenge never encrypts two messages under one nonce.
 */
enum osp_err
osp_oscore_protect_challenge(struct osp_crypto *cr, const struct osp_layer *layer, struct osp_time now, struct osp_randbuf *rand,
                             struct osp_wr *scratch, struct osp_msg *out, bool *repeated)
{
    static const uint8_t classes[] = { OSP_OPT_CLASS_E };
    struct osp_octx     *ctx = layer->ctx;
    uint8_t              nonce[OSP_AEAD_NONCE_MAX], piv[5], drawn[OSP_ECHO_LEN], echo[OSP_ECHO_LEN];
    struct seal          s = { .ctx = ctx, .request_kid = osp_octx_recipient_id(ctx),
                               .request_piv = osp_slice(layer->piv, layer->piv_len), .nonce = nonce, .response = true };
    struct osp_msg       m;
    uint64_t             ssn = 0;
    enum osp_err         e;

    osp_randbuf_take(rand, drawn, sizeof(drawn));
    e = octx_challenge(ctx, osp_oscore_piv_value(s.request_piv), now, drawn, echo, &ssn, repeated);
    if (e != OSP_OK)
        return e;
    osp_msg_init(&m, OSP_CODE(4, 1));
    e = osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(echo, OSP_ECHO_LEN));
    if (e != OSP_OK)
        return e;
    s.opt.has_kid_context = octx_response_kid_context(ctx, &s.opt.kid_context);
    s.opt.piv = osp_slice(piv, octx_piv_write(ssn, piv));
    osp_oscore_nonce(osp_octx_sender_id(ctx), s.opt.piv, ctx->common_iv, ctx->nonce_len, nonce);
    return seal_message(cr, &s, &m, classes, scratch, out);
}

void
osp_layer_fini(struct osp_layer *l)
{
    osp_octx_unref(l->ctx);
    *l = (struct osp_layer){ 0 };
}
