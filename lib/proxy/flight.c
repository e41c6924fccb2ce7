/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single flight: while a request is on its way whose response may be cached, equal ones wait for that response instead of
 * being sent too.  Equal is what the cache key says, and the next hop with it.
 *
 * The first is the leader.  When its exchange ends, however it ends, the others are taken up again: the cache has the answer
 * for them; or the leader's request failed upstream, and so have theirs; or its response was none to keep, and each
 * goes its own way, to where the leader's went.  Who has waited once does not wait again.
 */
#include "proxy/account.h"
#include "proxy/exchange.h"
#include "proxy/steps.h"

struct px_flight {
    struct osp_node     node;           /* in px.flights by the key's hash */
    struct px_queue     followers;
    struct px_exchange *leader;
    enum osp_err        why;            /* the leader was answered with this error; OSP_OK: not with one of ours */
};

static struct px_flight *
find(const struct osp_proxy *px, const struct px_exchange *x)
{
    for (struct osp_node *n = osp_table_first(&px->flights, x->cached.key.hash); n; n = osp_table_next(n)) {
        struct px_flight         *f = OSP_CONTAINER(n, struct px_flight, node);
        const struct px_exchange *l = f->leader;

        if (osp_slice_eq(l->cached.key.bytes, x->cached.key.bytes) && l->cached.changes == x->cached.changes &&
            l->policy == x->policy && l->hop_ctx == x->hop_ctx && px_edhoc_hop(l) == px_edhoc_hop(x) && l->vouched == x->vouched)
            return f;
    }
    return NULL;
}

/* Without memory it is an ordinary request. */
static void
lead(struct osp_proxy *px, struct px_exchange *x)
{
    struct px_flight *f = osp_pool_get(&px->pool, sizeof(*f));

    if (!f)
        return;
    *f = (struct px_flight){ .leader = x };
    px_queue_init(&f->followers);
    osp_table_add(&px->flights, &f->node, x->cached.key.hash);
    x->flight = f;
    px_part_attach(x, PX_PART_FLIGHT);
}

bool
px_flight_join(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req)
{
    struct px_flight *f;

    if (!x->policy->single_flight || x->obs || !x->kind->has_client)
        return false;
    f = find(t->px, x);
    if (!f) {
        lead(t->px, x);
        return false;
    }
    if (px_admit(t, x) != OSP_OK || !px_save(t->px, x, req))
        return false;
    px_wait_in(t->px, x, PX_WAIT_FLIGHT, &f->followers);
    t->px->stats.joined++;
    return true;
}

void
px_flight_failed(struct px_exchange *x, enum osp_err why)
{
    x->flight->why = why;
}

void
px_flight_land(struct osp_proxy *px, struct px_exchange *leader)
{
    struct px_flight *f = leader->flight;
    struct osp_list  *n;

    for (n = f->followers.waiters.next; n != &f->followers.waiters; n = n->next) {
        struct px_exchange *x = OSP_CONTAINER(n, struct px_exchange, wait);

        x->resolved = f->why;
        x->to = leader->to;
    }
    px_queue_release(px, &f->followers);
    osp_table_remove(&px->flights, &f->node);
    osp_pool_put(&px->pool, f, sizeof(*f));
    leader->flight = NULL;
}

