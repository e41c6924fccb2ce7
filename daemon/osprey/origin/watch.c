/* SPDX-License-Identifier: BSD-2-Clause */
/* Observations of the demo origin [rfc7641]: who gets notifications, when, and until when. */
#include "daemon/osprey/origin/origin.h"
#include "msg/option.h"


static struct osp_slice
slice_of(const struct origin_who *who)
{
    return osp_slice(who->bytes, who->len);
}

void
origin_watch_end(struct origin *o, struct origin_watch *w, const char *why)
{
    if (why)
        origin_log_watch(o, w, why);
    osprey_served_fini(&w->served);
    memset(w, 0, sizeof(*w));
}

/* ---- registration ---- */

/* Keeps the request, which is answered anew for each notification. */
static bool
write_request(const struct osp_msg *req, struct osp_wr *w)
{
    struct osp_msg m;

    osp_msg_copy(&m, req);
    m.type = OSP_CON;
    m.mid = 0;
    m.token = OSP_EMPTY;
    osp_msg_remove(&m, OSP_OPT_OBSERVE);
    osp_msg_remove(&m, OSP_OPT_ETAG);
    osp_msg_remove(&m, OSP_OPT_ECHO);
    return osp_msg_encode_udp(&m, w) == OSP_OK;
}

/* Finds an observation by the endpoint and the Token of its request [rfc7641#4.1], and by its client. */
static struct origin_watch *
find(struct origin *o, const struct origin_who *who, const struct osp_addr *peer, struct osp_slice token)
{
    for (size_t i = 0; i < ORIGIN_WATCHES_MAX; i++) {
        struct origin_watch *w = &o->watches[i];

        if (w->used && osp_slice_eq(slice_of(&w->who), slice_of(who)) && osp_addr_eq(&w->peer, peer) &&
            osp_slice_eq(osp_slice(w->token, w->token_len), token))
            return w;
    }
    return NULL;
}

static struct origin_watch *
place(struct origin *o)
{
    for (size_t i = 0; i < ORIGIN_WATCHES_MAX; i++)
        if (!o->watches[i].used)
            return &o->watches[i];
    return NULL;                /* the request is answered, but not observed [rfc7641#4.1] */
}

static bool
add_number(struct origin *o, struct osprey_reply *reply)
{
    o->observe_number = (o->observe_number + 1) & 0xffffff;
    return osp_msg_add(&reply->msg, OSP_OPT_OBSERVE, osp_opt_uint_make(o->observe_number, reply->observe)) == OSP_OK;
}

static struct origin_watch *
begin(struct origin *o, const struct origin_who *who, const struct osp_addr *peer, struct osp_slice token,
      const struct osp_msg *req, struct osprey_reply *reply)
{
    struct origin_watch *w = place(o);
    struct osp_wr        request = osp_wr_to(w ? w->request : NULL, w ? sizeof(w->request) : 0);

    if (!w || !osp_slice_copy(token, w->token, sizeof(w->token)) || !write_request(req, &request) || !add_number(o, reply))
        return NULL;
    w->used = true;
    w->subject = osprey_resource_subject(req);
    w->who = *who;
    w->peer = *peer;
    w->token_len = token.n;
    w->request_len = request.n;
    w->confirmable = o->wire.type == OSP_CON;
    w->count = 1;
    return w;
}

struct origin_watch *
origin_watch_judge(struct origin *o, const struct origin_who *who, const struct osp_addr *peer, const struct osp_msg *req,
                   struct osprey_reply *reply)
{
    const struct osp_opt *opt = osp_msg_get(req, OSP_OPT_OBSERVE);
    struct origin_watch  *old;
    uint32_t              v;

    if (!opt || !osp_opt_uint(opt->val, &v) || v > OSP_OBSERVE_DEREGISTER || osprey_resource_subject(req) == OSPREY_SUBJECT_NONE)
        return NULL;
    old = find(o, who, peer, o->wire.token);
    if (old) {
        osp_ep_dismiss(o->net.ep, old->handle, false, osprey_now(), &o->net.tx);
        origin_watch_end(o, old, v == OSP_OBSERVE_DEREGISTER ? "deregistered" : "registered again");
    }
    if (v == OSP_OBSERVE_DEREGISTER || OSP_CODE_CLASS(reply->msg.code) != 2)
        return NULL;
    return begin(o, who, peer, o->wire.token, req, reply);
}

void
origin_watch_rejected(struct origin *o, const struct osp_event *ev)
{
    for (size_t i = 0; i < ORIGIN_WATCHES_MAX; i++)
        if (o->watches[i].used && o->watches[i].handle == ev->handle)
            origin_watch_end(o, &o->watches[i], ev->err == OSP_E_RESET ? "rejected" : "given up");
}

/* ---- notifications ---- */

static void
notify(struct origin *o, struct origin_watch *w)
{
    static struct osprey_reply reply;
    static struct osp_msg      req;
    struct osp_respond         how = { .keep = true, .confirmable = w->confirmable };
    bool                       header;

    if (osp_msg_decode_udp(osp_slice(w->request, w->request_len), &req, &header) != OSP_OK)
        return;
    origin_ask(o, &w->who, &req, &reply);
    how.keep = OSP_CODE_CLASS(reply.msg.code) == 2 && add_number(o, &reply);
    w->count++;
    if (!origin_send(o, w->handle, &w->served, &reply.msg, how) || !how.keep)
        origin_watch_end(o, w, "ended");
}

void
origin_notify(struct origin *o, enum osprey_subject subject)
{
    for (size_t i = 0; i < ORIGIN_WATCHES_MAX; i++)
        if (o->watches[i].used && o->watches[i].subject == subject)
            notify(o, &o->watches[i]);
}

struct osp_time
origin_tick(struct origin *o)
{
    uint64_t every_us = (uint64_t)(o->every_s * 1e6), late;

    if (o->next_tick.us == 0)
        o->next_tick = osp_time_after(osprey_now(), every_us);
    if (!osp_time_due(o->next_tick, osprey_now()))
        return o->next_tick;
    late = osp_time_between(o->next_tick, osprey_now()) / every_us + 1;
    o->resources.ticks += (uint32_t)late;
    o->next_tick = osp_time_after(o->next_tick, late * every_us);
    origin_notify(o, OSPREY_SUBJECT_TICKS);
    return o->next_tick;
}
