/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the demo origin: layers removed, bodies put together, the resource asked, and the answer. */
#include <stdio.h>
#include <time.h>

#include "daemon/osprey/origin/origin.h"

#define FOREVER_US OSP_SEC(3600)

/* ---- answers ---- */

/* Leases a number for each context from which the answer may need one, such as a challenge does. */
static bool
has_numbers(struct origin *o, const struct osprey_served *sv)
{
    for (size_t i = 0; i < sv->count; i++) {
        uint32_t label = osp_octx_label(sv->layers[i].ctx);

        if (label < o->contexts.count &&
            !osprey_context_lease(o->contexts.items[label], o->state, ORIGIN_LEASE_WANT, ORIGIN_LEASE_BLOCK))
            return false;
    }
    return !sv->group.group || osprey_group_lease(&o->group, o->state, ORIGIN_LEASE_WANT, ORIGIN_LEASE_BLOCK);
}

bool
origin_send(struct origin *o, uint64_t handle, struct osprey_served *sv, const struct osp_msg *resp, struct osp_respond how)
{
    const struct osp_msg *out = NULL;
    enum osp_err          e = has_numbers(o, sv) ? OSP_OK : OSP_E_NO_LEASE;

    if (e == OSP_OK)
        e = osprey_serve_seal(&o->server, sv, resp, &out);
    if (e == OSP_OK)
        e = osp_ep_respond(o->net.ep, handle, out, how, osprey_now(), &o->net.tx);
    if (e != OSP_OK && e != OSP_E_INVALID) {
        origin_complain("answer", osp_err_text(e));
        osp_ep_dismiss(o->net.ep, handle, false, osprey_now(), &o->net.tx);
    }
    osprey_net_flush(&o->net);
    return e == OSP_OK;
}

/* Sends the last answer; the layers of `sv` end here. */
static void
answer(struct origin *o, uint64_t handle, struct osprey_served *sv, const struct osp_msg *resp)
{
    (void)origin_send(o, handle, sv, resp, (struct osp_respond){ .confirmable = true });
    osprey_served_fini(sv);
}

/* Keeps the answer, with its layers, for later; false: too many wait already. */
static bool
postpone(struct origin *o, uint64_t handle, struct osprey_served *sv, const struct osprey_reply *reply)
{
    for (size_t i = 0; i < ORIGIN_PENDING_MAX; i++) {
        struct origin_pending *p = &o->pending[i];

        if (p->used)
            continue;
        p->used = true;
        p->handle = handle;
        p->due = osp_time_after(osprey_now(), reply->delay_us);
        p->served = *sv;
        p->code = reply->msg.code;
        osp_slice_copy(reply->msg.payload, p->text, sizeof(p->text) - 1);
        p->text[reply->msg.payload.n < sizeof(p->text) ? reply->msg.payload.n : 0] = '\0';
        return true;
    }
    return false;
}

/* Sends the answers that are due; returns when the next one is. */
static struct osp_time
answer_due(struct origin *o)
{
    struct osp_time now = osprey_now(), next = osp_time_after(now, FOREVER_US);
    struct osp_msg  m;

    for (size_t i = 0; i < ORIGIN_PENDING_MAX; i++) {
        struct origin_pending *p = &o->pending[i];

        if (!p->used)
            continue;
        if (!osp_time_due(p->due, now)) {
            if (p->due.us < next.us)
                next = p->due;
            continue;
        }
        osp_msg_init(&m, p->code);
        m.payload = osp_slice_str(p->text);
        answer(o, p->handle, &p->served, &m);
        p->used = false;
    }
    return next;
}

/* ---- requests ---- */

/* The client is known by its innermost context, whatever its address; without a context, or as the common client of a group,
   by its address. */
static void
name_client(const struct osprey_served *sv, const struct osp_addr *peer, struct origin_who *who)
{
    struct osp_wr w = osp_wr_to(who->bytes, sizeof(who->bytes));
    bool          known = sv->count > 0 && !sv->group.group;

    osp_wr_u8(&w, known);
    if (known) {
        osp_wr_u32(&w, osp_octx_label(sv->layers[sv->count - 1].ctx));
    } else {
        osp_wr_put(&w, osp_slice(peer->ip.b, sizeof(peer->ip.b)));
        osp_wr_u16(&w, peer->port);
    }
    who->len = w.n;
}

void
origin_ask(struct origin *o, const struct origin_who *who, const struct osp_msg *req, struct osprey_reply *reply)
{
    struct osprey_block_request br;
    const struct osp_msg       *whole;

    reply->delay_us = 0;
    if (!osprey_bodies_take(&o->bodies, osp_slice(who->bytes, who->len), req, osprey_now(), &br, &whole, &reply->msg))
        return;
    if (!origin_edhoc_ask(o, whole, reply))
        osprey_resource_answer(&o->resources, whole, (int64_t)time(NULL), reply);
    osprey_bodies_cut(&o->bodies, &br, whole, osprey_now(), &reply->msg);
}

static void
on_request(struct origin *o, const struct osp_event *ev)
{
    static struct osprey_reply reply; /* static since it is large; requests are handled one at a time */
    struct osprey_served       sv;
    struct origin_who          who;
    const struct osp_msg      *req = NULL;
    struct origin_watch       *watch = NULL;
    uint64_t                   handle = ev->handle;
    bool                       alarm = o->resources.alarm;

    osp_msg_copy(&o->wire, ev->msg);
    reply.delay_us = 0;
    if (osprey_serve_open(&o->server, ev->msg, &sv, &req, &reply.msg)) {
        name_client(&sv, &ev->flow.peer, &who);
        origin_ask(o, &who, req, &reply);
        if (!sv.group.group)    /* a deterministic request belongs to no single client, so nobody observes with it */
            watch = origin_watch_judge(o, &who, &ev->flow.peer, req, &reply);
    }
    if (reply.delay_us && !postpone(o, handle, &sv, &reply)) {
        osp_msg_init(&reply.msg, OSP_CODE(5, 3));
        reply.delay_us = 0;
    }
    origin_log_request(o, &ev->flow.peer, &sv, req, reply.msg.code);
    if (watch) {
        watch->handle = handle;
        watch->served = sv;
        if (!origin_send(o, handle, &watch->served, &reply.msg, (struct osp_respond){ .keep = true, .confirmable = true }))
            origin_watch_end(o, watch, NULL);
    } else if (!reply.delay_us) {
        answer(o, handle, &sv, &reply.msg);
    }
    if (o->resources.alarm != alarm)
        origin_notify(o, OSPREY_SUBJECT_ALARM);
}

void
origin_serve(struct origin *o, const volatile sig_atomic_t *stop)
{
    struct osp_event ev;

    while (!*stop) {
        struct osp_time next = answer_due(o), tick = origin_tick(o);
        enum osp_err    e = osprey_net_wait(&o->net, tick.us < next.us ? tick : next, &ev);

        if (e != OSP_OK)
            continue;
        if (ev.kind == OSP_EV_REQUEST) {
            (void)origin_tick(o);
            on_request(o, &ev);
        } else if (ev.kind == OSP_EV_REJECTED) {
            origin_watch_rejected(o, &ev);
        }
    }
}
