/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/asks.h"

#include "proxy/impl.h"

static void
ask_about(struct osp_proxy *px, struct osp_octx *ctx, enum osp_ask_kind kind, enum osp_key_state state)
{
    osp_octx_ref(ctx);
    px->ctx_asks[(px->ctx_ask_head + px->ctx_ask_count++) % PX_CTX_ASKS] = (struct px_ctx_ask){ ctx, kind, state };
}

/* A lease once, when few numbers are left; once each that the keys are worn, and at their limit. */
void
px_count_key_use(struct osp_proxy *px, struct osp_octx *ctx)
{
    enum osp_key_state state;

    if (px->ctx_ask_count + 2 > PX_CTX_ASKS)    /* the daemon is far behind: ask again later */
        return;
    if (osp_octx_wants_lease(ctx, px->cfg.lease_low))
        ask_about(px, ctx, OSP_ASK_LEASE, OSP_KEY_FINE);
    state = osp_octx_notice(ctx);
    if (state != OSP_KEY_FINE)
        ask_about(px, ctx, OSP_ASK_WORN, state);
}

void
px_count_use_during_lease(struct osp_proxy *px, struct osp_octx *ctx)
{
    if (px->ctx_ask_count < PX_CTX_ASKS && osp_octx_wants_record(ctx))
        ask_about(px, ctx, OSP_ASK_LEASE, OSP_KEY_FINE);
}

enum osp_err
px_keep_recipe(struct osp_proxy *px, struct osp_recipe *m)
{
    if (px->keep_count == PX_KEEP_ASKS) {
        (void)osp_octx_runtime_remove(px->policy->runtime, m->octx);
        return OSP_E_OVERLOAD;
    }
    px->keep_asks[px->keep_count++] = m;
    return OSP_OK;
}

void
px_tell_agreed(struct osp_proxy *px, const char *purpose, enum osp_err why)
{
    struct px_agreed *to = &px->agreed_asks[px->agreed_count];

    if (px->aborting || px->agreed_count == PX_AGREED_ASKS)
        return;
    px->agreed_count++;
    to->why = why;
    memcpy(to->purpose, purpose, sizeof(to->purpose));
}

bool
px_next_ask(struct osp_proxy *px, struct osp_ask *ask)
{
    if (px->keep_count > 0) {   /* before a lease is asked for it */
        ask->kind = OSP_ASK_KEEP;
        ask->recipe = px->keep_asks[--px->keep_count];
        return true;
    }
    if (px->ctx_ask_count > 0) {
        ask->kind = px->ctx_asks[px->ctx_ask_head].kind;
        ask->ctx = px->ctx_asks[px->ctx_ask_head].ctx;
        ask->state = px->ctx_asks[px->ctx_ask_head].state;
        px->ctx_ask_head = (px->ctx_ask_head + 1) % PX_CTX_ASKS;
        px->ctx_ask_count--;
        return true;
    }
    ask->ctx = NULL;
    if (px->agreed_count > 0) {
        const struct px_agreed *a = &px->agreed_asks[--px->agreed_count];

        ask->kind = OSP_ASK_AGREED;
        ask->err = a->why;
        memcpy(ask->host, a->purpose, sizeof(a->purpose));
        return true;
    }
    return false;
}
