/* SPDX-License-Identifier: BSD-2-Clause */
/* Resources of the proxy itself: /.well-known/core, which lists the routes the client may use, and the resource of EDHOC. */
#include "proxy/access/access.h"
#include "proxy/blocks/blocks.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/steps.h"

#define CORE_MAX 4096           /* bytes of /.well-known/core: what fits */

static bool
path_is(const struct osp_msg *req, const char *const *segments, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < req->opt_count; i++) {
        if (req->opts[i].num != OSP_OPT_URI_PATH)
            continue;
        if (n >= count || !osp_slice_eq(req->opts[i].val, osp_slice_str(segments[n])))
            return false;
        n++;
    }
    return n == count;
}

/* [rfc6690] the path of a route as a link; segments with characters that would need encoding are left out */
static void
put_link(struct osp_wr *w, const struct osp_route *r)
{
    for (size_t i = 0; i < r->path_count; i++)
        for (size_t k = 0; k < r->path[i].n; k++)
            if (r->path[i].p[k] <= ' ' || r->path[i].p[k] > '~' || strchr("<>\"%\\/?#,;", r->path[i].p[k]))
                return;
    osp_wr_put(w, osp_slice_str(",<"));
    for (size_t i = 0; i < r->path_count; i++) {
        osp_wr_u8(w, '/');
        osp_wr_put(w, r->path[i]);
    }
    osp_wr_u8(w, '>');
}

static enum px_step
well_known_core(struct px_turn *t, struct px_exchange *x)
{
    static const struct osp_block own = { 0, false, OSP_BLOCK_SZX_MAX };
    uint8_t        *text = osp_wr_reserve(&t->scratch, CORE_MAX), *format = osp_wr_reserve(&t->scratch, 4);
    struct osp_wr   w = osp_wr_to(text, text ? CORE_MAX : 0);
    struct osp_msg *resp = &t->px->a;
    enum osp_err    e;

    osp_wr_put(&w, osp_slice_str("</.well-known/core>;ct=40"));
    if (x->policy->edhoc)       /* [rfc9668#6] */
        osp_wr_put(&w, osp_slice_str(x->policy->edhoc->profile.has_message_4
                                         ? ",</.well-known/edhoc>;rt=core.edhoc;ed-r"
                                         : ",</.well-known/edhoc>;rt=core.edhoc;ed-r;ed-comb-req"));
    for (size_t i = 0; i < x->policy->route_count; i++) {
        struct osp_wr before = w;

        if (x->policy->routes[i].path_count > 0 && px_sees_route(x, i))
            put_link(&w, &x->policy->routes[i]);
        if (osp_wr_bad(&w)) {           /* what fits */
            w = before;
            break;
        }
    }
    osp_msg_init(resp, OSP_CODE(2, 5));
    if (!text || !format || osp_msg_add(resp, OSP_OPT_CONTENT_FORMAT, osp_opt_uint_make(OSP_FORMAT_LINKS, format)) != OSP_OK)
        return px_fail(t, OSP_E_NOMEM);
    resp->payload = osp_wr_slice(&w);
    e = x->cached.asks_block || resp->payload.n > osp_block_size(own.szx) ? px_add_etag(t, resp) : OSP_OK;
    if (e == OSP_OK)
        e = px_add_block(t, resp, OSP_OPT_BLOCK2, &own);
    if (e == OSP_OK)
        e = px_cut_entry(t, x, resp);
    return e == OSP_OK ? px_respond(t, resp) : px_fail(t, e);
}

/* Nothing can be uploaded here but messages of EDHOC; a Block1 is known all the same, so that its value may be what is bad. */
static enum osp_err
judge_options(struct px_exchange *x, const struct osp_msg *req)
{
    static const uint16_t understood[] = { OSP_OPT_IF_MATCH, OSP_OPT_URI_HOST, OSP_OPT_IF_NONE_MATCH, OSP_OPT_URI_PORT,
                                           OSP_OPT_URI_PATH, OSP_OPT_URI_QUERY, OSP_OPT_ACCEPT, OSP_OPT_BLOCK2 };
    struct osp_block      b;
    bool                  has;

    if (osp_block_get(req, OSP_OPT_BLOCK1, &has, &b) != OSP_OK || !px_asks_block(x, req))
        return OSP_E_BAD_REQUEST;               /* [rfc7959#2.2] */
    for (size_t i = 0; i < req->opt_count; i++) {
        bool known = !osp_opt_is_critical(req->opts[i].num);

        for (size_t k = 0; k < sizeof(understood) / sizeof(understood[0]); k++)
            known = known || req->opts[i].num == understood[k];
        /* an EDHOC option without OSCORE carries nothing [rfc9668#3.3.1] */
        if (!known)
            return req->opts[i].num == OSP_OPT_EDHOC ? OSP_E_BAD_REQUEST : OSP_E_UNKNOWN_OPTION;
    }
    return OSP_OK;
}

/* EDHOC: whoever has to prove its address first gets an Echo, under the layers of its request [rfc9175#2.3]. */
static enum px_step
edhoc(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    bool         proven = x->verify.echoed || px_echo_is_mine(t, &x->from.peer, req);
    enum px_step v = px_edhoc(t, x, req, proven);
    uint8_t     *echo;

    if (v != PX_PROVE)
        return v;
    echo = osp_wr_reserve(&t->scratch, PX_ECHO_LEN);
    if (!echo)
        return px_fail(t, OSP_E_NOMEM);
    px_echo_make(t, &x->from.peer, PX_ECHO_LEN, echo);
    osp_msg_init(&t->px->a, OSP_CODE(4, 1));
    if (osp_msg_add(&t->px->a, OSP_OPT_ECHO, osp_slice(echo, PX_ECHO_LEN)) != OSP_OK)
        return px_fail(t, OSP_E_NOMEM);
    return px_respond(t, &t->px->a);
}

enum px_step
px_local(struct px_turn *t, struct px_exchange *x, struct osp_msg *req)
{
    static const char *const core[] = { ".well-known", "core" }, *const of_edhoc[] = { ".well-known", "edhoc" };
    uint16_t                 which;
    bool                     for_edhoc;
    enum osp_err             e;
    enum px_step             v;

    t->px->stats.local++;
    /* [rfc7252#5.4.1] as the server of it, every critical option has to be understood */
    if (osp_msg_sanitize(req, &which) != OSP_OK)
        return px_fail(t, OSP_E_UNKNOWN_OPTION);
    for_edhoc = x->policy->edhoc && path_is(req, of_edhoc, 2);
    if (for_edhoc && req->code == OSP_POST && osp_msg_has(req, OSP_OPT_BLOCK1)) {       /* chains of certificates are long */
        v = px_blocks_request(t, x, req);
        if (v != PX_GO_ON)
            return v;
        osp_msg_remove(req, OSP_OPT_BLOCK1);
        osp_msg_remove(req, OSP_OPT_BLOCK2);    /* the size that is asked for is known by now */
    }
    e = judge_options(x, req);
    if (e == OSP_OK && req->code > OSP_IPATCH)  /* [rfc7252#5.8] a method nobody knows */
        e = OSP_E_METHOD;
    if (e != OSP_OK)
        return px_fail(t, e);
    if (for_edhoc)
        return edhoc(t, x, req);
    if (!path_is(req, core, 2))         /* [ocp#2.4] step 5: 4.04; the July 2022 text had 4.00 */
        return px_fail(t, x->policy->otp_compat ? OSP_E_NO_APPLICATION : OSP_E_NOT_FOUND);
    return req->code == OSP_GET ? well_known_core(t, x) : px_fail(t, OSP_E_METHOD);
}
