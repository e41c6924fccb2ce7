/* SPDX-License-Identifier: BSD-2-Clause */
#include "cache/key.h"

#include "msg/option.h"

/* Writes number, length and bytes, so that different lists of options never give equal bytes. */
static void
put_option(struct osp_wr *w, const struct osp_opt *o)
{
    osp_wr_u16(w, o->num);
    osp_wr_u16(w, (uint16_t)o->val.n);
    osp_wr_put(w, o->val);
}

static uint16_t
hop_limit_of(const struct osp_msg *req)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_HOP_LIMIT);
    uint32_t              v;

    return o && osp_opt_uint(o->val, &v) && v < OSP_CACHE_NO_HOP_LIMIT ? (uint16_t)v : OSP_CACHE_NO_HOP_LIMIT;
}

/* [rfc7252#5.6] [rfc8132#2] */
enum osp_err
osp_cache_key_make(const struct osp_hash_key *seed, const struct osp_authority *to, uint16_t request_hash,
                   const struct osp_msg *req, struct osp_wr *w, struct osp_cache_key *out)
{
    size_t           start = w->n;
    size_t           uri_end, hash_at = 0, hash_len = 0;
    struct osp_slice all;

    osp_wr_u8(w, (uint8_t)to->scheme);
    osp_wr_u16(w, to->port);
    osp_wr_u16(w, (uint16_t)to->host.n);
    osp_wr_put(w, to->host);
    for (size_t i = 0; i < req->opt_count; i++)
        if (osp_opt_cache(req->opts[i].num) == OSP_OPT_CACHE_URI)
            put_option(w, &req->opts[i]);
    uri_end = w->n;
    osp_wr_u8(w, req->code);
    for (size_t i = 0; i < req->opt_count; i++) {
        if (osp_opt_cache(req->opts[i].num) != OSP_OPT_CACHE_KEY)
            continue;
        put_option(w, &req->opts[i]);
        if (req->opts[i].num == request_hash) {
            hash_len = req->opts[i].val.n;
            hash_at = w->n - start - hash_len;
        }
    }
    if (req->code == OSP_FETCH) {
        osp_wr_u8(w, 0xff);
        osp_wr_put(w, req->payload);
    }
    if (osp_wr_bad(w))
        return OSP_E_NOSPACE;
    all = osp_slice_tail(osp_wr_slice(w), start);
    out->bytes = all;
    out->uri_len = uri_end - start;
    out->hidden = osp_msg_has(req, OSP_OPT_OSCORE);
    out->hop_limit = hop_limit_of(req);
    out->request_hash = osp_slice_head(osp_slice_tail(all, hash_at), hash_len);
    out->hash = osp_hash(seed, all);
    out->uri = osp_hash(seed, osp_slice_head(all, out->uri_len));
    return OSP_OK;
}

struct osp_cache_key
osp_cache_key_move(const struct osp_cache_key *key, uint8_t *block)
{
    struct osp_cache_key k = *key;
    size_t               hash_at = key->request_hash.n ? (size_t)(key->request_hash.p - key->bytes.p) : 0;

    (void)osp_slice_copy(key->bytes, block, key->bytes.n);
    k.bytes = osp_slice(block, key->bytes.n);
    k.request_hash = osp_slice_head(osp_slice_tail(k.bytes, hash_at), key->request_hash.n);
    return k;
}

bool
osp_cache_is_usable(const struct osp_msg *req, uint16_t request_hash)
{
    if (req->code != OSP_GET && req->code != OSP_FETCH)
        return false;
    if (osp_msg_has(req, OSP_OPT_OBSERVE) || osp_msg_has(req, OSP_OPT_BLOCK1))
        return false;
    if (osp_msg_has(req, OSP_OPT_BLOCK2) && (req->code != OSP_GET || osp_msg_has(req, OSP_OPT_OSCORE)))
        return false;           /* the request for a later block of a FETCH lacks the payload that selects the response */
    if (osp_msg_has(req, OSP_OPT_ECHO))         /* an answer to a challenge; a stored response proves no freshness */
        return false;
    if (osp_msg_has(req, OSP_OPT_OSCORE))       /* [rfc8613#10] [cacheable#3] */
        return req->code == OSP_FETCH && osp_msg_has(req, request_hash);
    return true;
}
