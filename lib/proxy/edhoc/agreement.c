/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/edhoc/agreement.h"
#include "proxy/edhoc/edhoc.h"
#include "proxy/exchange.h"

#define PLAIN_US OSP_SEC(60)    /* after a failure where a layer is only preferred */

/* ---- which ---- */

static struct px_agreement *
find(const struct osp_proxy *px, struct osp_slice purpose)
{
    for (struct osp_node *n = osp_table_first(&px->agreements, osp_hash(&px->seed, purpose)); n; n = osp_table_next(n)) {
        struct px_agreement *a = OSP_CONTAINER(n, struct px_agreement, node);

        if (osp_slice_eq(osp_slice(a->purpose, a->purpose_len), purpose))
            return a;
    }
    return NULL;
}

static void
agreement_free(struct osp_proxy *px, struct px_agreement *a)
{
    osp_table_remove(&px->agreements, &a->node);
    osp_list_remove(&a->lru);
    osp_pool_put(&px->pool, a, sizeof(*a));
}

/* The one used longest ago that nobody needs: it has nothing but a pause to remember. */
static bool
make_room(struct osp_proxy *px)
{
    struct osp_list *n;

    if (px->agreements.count < PX_AGREEMENTS_MAX)
        return true;
    for (n = px->agreement_lru.next; n != &px->agreement_lru; n = n->next) {
        struct px_agreement *a = OSP_CONTAINER(n, struct px_agreement, lru);

        if (a->up || a->waiters.count > 0)
            continue;
        agreement_free(px, a);
        return true;
    }
    return false;
}

/* NULL: a table is full, or no memory. */
struct px_agreement *
px_agreement_get(struct osp_proxy *px, struct osp_slice purpose)
{
    struct px_agreement *a = find(px, purpose);

    if (a) {
        osp_list_remove(&a->lru);
        osp_list_push(&px->agreement_lru, &a->lru);
        return a;
    }
    a = make_room(px) ? osp_pool_get(&px->pool, sizeof(*a)) : NULL;
    if (!a)
        return NULL;
    *a = (struct px_agreement){ .purpose_len = (uint16_t)purpose.n };
    (void)osp_slice_copy(purpose, a->purpose, sizeof(a->purpose) - 1);
    px_queue_init(&a->waiters);
    osp_table_add(&px->agreements, &a->node, osp_hash(&px->seed, purpose));
    osp_list_push(&px->agreement_lru, &a->lru);
    return a;
}

void
px_agreements_free(struct osp_proxy *px)
{
    struct osp_list *n;

    while (px->agreement_lru.next && (n = osp_list_first(&px->agreement_lru)) != NULL)
        agreement_free(px, OSP_CONTAINER(n, struct px_agreement, lru));
}

/* ---- the message that a request carries ---- */

void
px_agreement_let_carrier_go(struct px_agreement *a)
{
    if (a->carrier) {
        a->carrier->edhoc->carries = NULL;
        px_part_detach(a->carrier, PX_PART_CARRIED);
    }
    a->carrier = NULL;
}

void
px_agreement_forget_message(struct osp_proxy *px, struct px_agreement *a)
{
    osp_pool_put(&px->pool, (uint8_t *)(uintptr_t)a->message_3.p, a->message_3.n);
    a->message_3 = OSP_EMPTY;
}

void
px_agreement_uncarry(struct osp_proxy *px, struct px_agreement *a)
{
    px_agreement_let_carrier_go(a);
    px_agreement_forget_message(px, a);
    osp_recipe_free(a->recipe);
    a->recipe = NULL;
}

/* ---- messages ---- */

enum osp_err
px_agreement_keep(struct px_turn *t, struct px_exchange *up, struct osp_slice payload)
{
    struct osp_msg m;
    uint8_t        format[4];
    enum osp_err   e;

    osp_msg_init(&m, OSP_POST);
    e = osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str(".well-known"));
    if (e == OSP_OK)
        e = osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("edhoc"));
    if (e == OSP_OK)
        e = osp_msg_add(&m, OSP_OPT_CONTENT_FORMAT, osp_opt_uint_make(OSP_FORMAT_CID_EDHOC, format));
    m.payload = payload;
    if (e == OSP_OK && !osp_stored_keep(&up->saved, &t->px->pool, &m))
        e = OSP_E_NOMEM;
    return e;
}

/* ---- the end of a session ---- */

void
px_session_ended(struct osp_proxy *px, struct px_exchange *up)
{
    struct px_agreement *a = up->edhoc ? up->edhoc->agreement : NULL;   /* without memory there is no `edhoc` */

    if (!a)
        return;
    osp_octx_runtime_release(up->policy->runtime, osp_slice(a->c_i.bytes, a->c_i.len));
    px_agreement_uncarry(px, a);
    osp_edhoc_fini(a->session);
    osp_pool_put(&px->pool, a->session, sizeof(*a->session));
    a->session = NULL;
    a->up = NULL;
    up->edhoc->agreement = NULL;
}

/* Who waited is ready: for the layer, or for what the failure means for it. */
void
px_agreement_finish(struct px_turn *t, struct px_agreement *a, enum osp_err why)
{
    uint64_t pause = a->up->edhoc->hop->prefer ? PLAIN_US : PAUSE_US;

    a->why = why;
    if (why == OSP_OK) {
        a->made_us = t->now.us;
        t->px->stats.agreed++;
    } else {
        a->not_before_us = t->now.us + (a->pause_us > pause ? a->pause_us : pause);
        t->px->stats.not_agreed++;
    }
    px_tell_agreed(t->px, a->purpose, why);
    px_exchange_end(t->px, a->up);
    px_queue_release(t->px, &a->waiters);
}

void
px_agreement_fail(struct px_turn *t, struct px_exchange *up, enum osp_err why)
{
    t->px->stats.errors[why]++;
    px_agreement_finish(t, up->edhoc->agreement, why);
}
