/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache as the proxy uses it: asked with the translated request, before the next hop's layer goes on and after
 * the client was authorized; given the response after that layer is off and before the client's layers go on
 * [ocp#4].  What is stored is therefore the same for every client, whatever layers it speaks; only the layer that we put
 * on for the next hop tells entries apart.
 */
#include "proxy/access/access.h"
#include "proxy/blocks/blocks.h"
#include "proxy/exchange.h"
#include "proxy/steps.h"

static bool
is_safe(uint8_t method)
{
    return method == OSP_GET || method == OSP_FETCH;
}

/* Sender, Recipient and ID Context of `ctx`: who is at the other end of a layer. */
static void
put_context(struct osp_wr *w, const struct osp_octx *ctx)
{
    struct osp_slice id[3] = { osp_octx_sender_id(ctx), osp_octx_recipient_id(ctx), OSP_EMPTY };

    (void)osp_octx_id_context(ctx, &id[2]);
    for (size_t i = 0; i < 3; i++) {
        osp_wr_u16(w, (uint16_t)id[i].n);
        osp_wr_put(w, id[i]);
    }
}

/*
 * Where a name leads is not known here, and not everybody may go there (px_ip_is_allowed()): whom the operator vouched for
 * and whose rule names addresses have entries of their own.  An address that is known before, as those of the hosts table are,
 * was judged before the cache is asked.
 */
static void
put_guard(struct px_turn *t, const struct px_exchange *x, const struct osp_authority *to, const struct osp_hash_key *seed)
{
    bool               anybody = to->is_ip || px_host_of(x->policy, to->host);
    struct osp_hash128 h = osp_hash_begin(seed);
    uint64_t           nets[2];
    size_t             count = 0;

    for (size_t i = 0; !anybody && !x->vouched && x->rule && i < x->rule->allow_count; i++) {
        const struct osp_allow *a = &x->rule->allow[i];

        if (a->kind != OSP_ALLOW_FORWARD || a->target.kind != OSP_TARGET_NET)
            continue;
        osp_hash_piece(&h, osp_slice(&a->target.net, sizeof(a->target.net)));
        osp_hash_word(&h, (uint64_t)a->target.bits << 16 | a->target.port);
        count++;
    }
    osp_hash_end(&h, nets);
    osp_wr_put(&t->scratch, osp_slice(nets, count ? sizeof(nets) : 0));
    osp_wr_u8(&t->scratch, count ? 2 : !anybody && x->vouched);
}

/*
 * An origin may tell our context what it does not tell just anybody, and what came over an unprotected leg is not for
 * those who take the protected one: the context of the leg is a part of the key.  It stands at the end with its length
 * last, so that no payload can pretend to be one.
 */
static bool
add_leg(struct px_turn *t, const struct px_exchange *x, const struct osp_authority *to, const struct osp_hash_key *seed,
        struct osp_cache_key *key)
{
    size_t start = t->scratch.n;

    if (x->hop_ctx)
        put_context(&t->scratch, x->hop_ctx);
    if (x->edhoc) {                 /* whom it leads to, whatever context that is at the time */
        osp_wr_u16(&t->scratch, UINT16_MAX);    /* no ID is that long */
        osp_wr_put(&t->scratch, osp_slice_str(x->edhoc->hop->who));
        osp_wr_u8(&t->scratch, 0);
        osp_wr_put(&t->scratch, osp_slice_str(x->edhoc->hop->subject));
    }
    osp_wr_u16(&t->scratch, (uint16_t)(t->scratch.n - start));
    put_guard(t, x, to, seed);          /* the guard of the extended key stands last, too */
    if (osp_wr_bad(&t->scratch))
        return false;
    key->bytes = osp_slice(key->bytes.p, key->bytes.n + (t->scratch.n - start));
    key->hash = osp_hash(seed, key->bytes);
    return true;
}

bool
px_key_make(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req, const struct osp_authority *to,
            struct osp_cache_key *key)
{
    const struct osp_cache    *c = x->policy->cache;
    const struct osp_hash_key *seed = c ? osp_cache_seed(c) : &t->px->seed;
    uint16_t                   hash = c ? osp_cache_cfg(c)->request_hash : OSP_OPT_REQUEST_HASH;

    return osp_cache_key_make(seed, to, hash, req, &t->scratch, key) == OSP_OK && add_leg(t, x, to, seed, key);
}

/*
 * What was asked for before a change and is answered after it may be the old state: it is given to whoever asked, but it is
 * no entry, and who asks later does not wait for it [rfc7252#5.9.1].  As far as this worker knows.
 */
static uint32_t *
changes_of(struct osp_proxy *px, const struct px_exchange *x)
{
    return &px->changes[x->cached.key.uri % PX_CHANGES];
}

/*
 * A stale entry with an ETag is validated [rfc7252#5.6.2]: the request as it is is kept (what the client itself
 * knows decides between 2.03 and 2.05 later), and the ETag added to what is sent.
 */
static void
validate(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_msg *entry)
{
    const struct osp_opt *etag = osp_msg_get(entry, OSP_OPT_ETAG);

    if (!etag || osp_msg_has(req, OSP_OPT_OSCORE) || !px_save(t->px, x, req))
        return;
    x->cached.validating = osp_msg_add(req, OSP_OPT_ETAG, etag->val) == OSP_OK;
}

/* PX_GO_ON: this part of it cannot be had from the entry. */
static enum px_step
answer_from(struct px_turn *t, struct px_exchange *x, struct osp_msg *entry)
{
    enum osp_err e = px_cut_entry(t, x, entry);

    if (e != OSP_OK)
        return e == OSP_E_BAD_REQUEST ? px_fail(t, e) : PX_GO_ON;
    t->px->stats.cached++;
    return px_respond(t, entry);
}

/* A part is no answer to others. */
static enum px_step
join_flight(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    return !x->cached.asks_block && px_flight_join(t, x, req) ? PX_DONE : PX_GO_ON;
}

enum px_step
px_cache_answers(struct px_turn *t, struct px_exchange *x, struct osp_msg *req, const struct osp_authority *to)
{
    struct osp_cache    *c = x->policy->cache;
    struct osp_msg      *out = px_other(t, req);
    struct osp_cache_key key;
    uint16_t             hash;
    bool                 usable;
    uint32_t             age;
    enum px_step         v;

    if (!c)
        return PX_GO_ON;
    hash = osp_cache_cfg(c)->request_hash;
    usable = osp_cache_is_usable(req, hash) && px_asks_block(x, req);
    if (!usable && (is_safe(req->code) || osp_msg_has(req, OSP_OPT_OSCORE)))
        return PX_GO_ON;
    if (!px_key_make(t, x, req, to, &key) || !px_key_keep(t->px, x, &key))
        return PX_GO_ON;
    x->cached.keep_answer = usable;
    x->cached.changes = *changes_of(t->px, x);
    if (!usable)
        return PX_GO_ON;
    switch (osp_cache_lookup(c, &x->cached.key, req, t->now, &t->scratch, out, &age)) {
    case OSP_CACHE_HIT:
    case OSP_CACHE_NOT_MODIFIED:
        return answer_from(t, x, out);
    case OSP_CACHE_STALE:
        v = join_flight(t, x, req);
        if (v == PX_GO_ON && (!x->cached.asks_block || x->cached.asked.num == 0))
            validate(t, x, req, out);
        return v;
    case OSP_CACHE_MISS:
        return join_flight(t, x, req);
    }
    return PX_GO_ON;
}

enum px_step
px_cache_has(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    struct osp_msg       *out = px_other(t, req);
    uint32_t              age;
    enum osp_cache_found  found = osp_cache_lookup(x->policy->cache, &x->cached.key, req, t->now, &t->scratch, out, &age);

    return found == OSP_CACHE_HIT || found == OSP_CACHE_NOT_MODIFIED ? answer_from(t, x, out) : PX_GO_ON;
}

/* 2.03 to our validation: the entry is fresh again, and the client gets what it would have got from it. */
static enum osp_err
refreshed(struct px_turn *t, struct px_exchange *x, struct osp_msg **resp)
{
    struct osp_cache *c = x->policy->cache;
    struct osp_msg   *out = *resp == &t->px->a ? &t->px->b : &t->px->a;
    struct osp_msg    req;
    uint32_t          age;

    if (!px_restore(x, &req))
        return OSP_E_BAD_RESPONSE;
    if (osp_cache_refresh(c, &x->cached.key, *resp, t->now)) {
        switch (osp_cache_lookup(c, &x->cached.key, &req, t->now, &t->scratch, out, &age)) {
        case OSP_CACHE_HIT:
        case OSP_CACHE_NOT_MODIFIED:
            *resp = out;
            return px_cut_entry(t, x, out) == OSP_OK ? OSP_OK : OSP_E_BAD_RESPONSE;
        case OSP_CACHE_STALE:           /* Max-Age 0: valid for this once */
            osp_msg_copy(*resp, out);
            return px_cut_entry(t, x, *resp) == OSP_OK ? OSP_OK : OSP_E_BAD_RESPONSE;
        case OSP_CACHE_MISS:
            break;
        }
    }
    /* about an ETag of the client's own: its business */
    return osp_msg_has(&req, OSP_OPT_ETAG) ? OSP_OK : OSP_E_BAD_RESPONSE;
}

static void
change(struct px_turn *t, const struct px_exchange *x)
{
    osp_cache_invalidate(x->policy->cache, &x->cached.key, t->now);
    ++*changes_of(t->px, x);
}

enum osp_err
px_cache_take(struct px_turn *t, struct px_exchange *x, struct osp_msg **resp)
{
    struct osp_cache *c = x->policy->cache;

    if (!c || x->cached.key.bytes.n == 0)
        return OSP_OK;
    if (!x->cached.keep_answer) {      /* [rfc7252#5.9.1] 2.01, 2.02 and 2.04 make what is stored stale */
        if ((*resp)->code == OSP_CODE(2, 1) || (*resp)->code == OSP_CODE(2, 2) || (*resp)->code == OSP_CODE(2, 4))
            change(t, x);
        return OSP_OK;
    }
    if (x->cached.validating && (*resp)->code == OSP_CODE(2, 3))
        return refreshed(t, x, resp);
    if (x->subject && (*resp)->code == OSP_CODE(2, 3)) {        /* to an ETag of its observers */
        (void)osp_cache_refresh(c, &x->cached.key, *resp, t->now);
        return OSP_OK;
    }
    if (!x->subject && !x->cached.key.hidden && x->cached.changes != *changes_of(t->px, x))
        return OSP_OK;          /* it may be from before the change */
    if (osp_msg_has(*resp, OSP_OPT_BLOCK2) || (x->cached.asks_block && x->cached.asked.num > 0))
        px_gather(t, x, *resp);
    if (x->cached.asks_block && x->cached.asked.num > 0)
        return OSP_OK;          /* about a part: nothing to answer whole requests with */
    /* [cacheable#3.4.4] a wrong Request-Hash: not used */
    return osp_cache_store(c, &x->cached.key, *resp, t->now) == OSP_CACHE_WRONG_HASH ? OSP_E_BAD_RESPONSE : OSP_OK;
}

bool
px_cache_stands_in(struct px_turn *t, struct px_exchange *x, enum osp_err why)
{
    struct osp_cache *c = x->policy->cache;
    struct osp_msg    req;
    uint32_t          age;

    if (!c || x->subject || !x->policy->serve_stale || !x->cached.keep_answer || osp_err_class(why) != OSP_CLASS_UPSTREAM)
        return false;
    osp_msg_init(&req, OSP_GET);        /* no ETag: the whole response, with Max-Age 0 */
    if (osp_cache_lookup(c, &x->cached.key, &req, t->now, &t->scratch, &t->px->a, &age) != OSP_CACHE_STALE ||
        px_cut_entry(t, x, &t->px->a) != OSP_OK)
        return false;
    t->px->stats.errors[why]++;
    t->px->stats.stale++;
    t->out = &t->px->a;
    return true;
}
