/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/list.h"
#include "toy.h"

static struct toy *
toy_of(const struct osp_transport *t)
{
    return OSP_CONTAINER((struct osp_transport *)(uintptr_t)t, struct toy, transport);
}

static struct toy_open *
find(struct toy *t, uint64_t handle, bool ours)
{
    for (size_t i = 0; i < TOY_PLACES; i++)
        if (handle && t->open[i].handle == handle && t->open[i].ours == ours)
            return &t->open[i];
    return NULL;
}

static struct toy_open *
place(struct toy *t)
{
    for (size_t i = 0; i < TOY_PLACES; i++)
        if (!t->open[i].handle)
            return &t->open[i];
    return NULL;
}

/* Into the list of what was sent, as bytes of a stream and out of them again. */
static enum osp_err
send(struct toy *t, const struct toy_open *o, const struct osp_msg *m)
{
    struct toy_sent *s;
    struct osp_msg   out;
    struct osp_wr    w;
    size_t           used = 0;

    osp_msg_copy(&out, m);
    out.token = osp_slice(o->token, o->token_len);
    if (osp_msg_size_udp(&out) > t->can.largest_message)
        return OSP_E_NOSPACE;
    assert_true(t->sent_count < TOY_PLACES);
    s = malloc(sizeof(*s));
    assert_non_null(s);
    w = osp_wr_to(s->bytes, sizeof(s->bytes));
    EXPECT_OK(osp_msg_encode_tcp(&out, &w));
    s->n = w.n;
    s->to = o->flow;
    EXPECT_OK(osp_msg_decode_tcp(osp_wr_slice(&w), sizeof(s->bytes), 8, &s->m, &used));
    assert_int_equal(used, s->n);
    t->sent[t->sent_count++] = s;
    return OSP_OK;
}

static enum osp_err
request(struct osp_transport *transport, const struct osp_addr *peer, const struct osp_msg *m, const struct osp_request *how,
        struct osp_time now, uint64_t *handle)
{
    struct toy      *t = toy_of(transport);
    struct toy_open *old = find(t, how->instead_of, true), *o = old ? old : place(t);
    struct toy_open  new = { .ours = true, .user = how->user, .keep = how->keep, .deadline = how->deadline };
    enum osp_err     e;

    (void)now;
    if (how->instead_of && (!old || !osp_addr_eq(&old->flow.peer, peer)))
        return OSP_E_INVALID;
    if (!o)
        return OSP_E_OVERLOAD;
    new.handle = t->next_handle;
    new.has_deadline = true;
    new.flow.peer = *peer;
    new.token_len = 8;
    new.answered = old != NULL;         /* what comes next may be a notification under the same Token */
    memcpy(new.token, old ? old->token : (const uint8_t *)&t->next_handle, 8);
    e = send(t, &new, m);
    if (e != OSP_OK)
        return e;
    t->next_handle++;
    t->confirmable += how->confirmable;
    *o = new;
    *handle = new.handle;
    return OSP_OK;
}

static void
end(struct toy *t, uint64_t handle, bool ours)
{
    struct toy_open *o = find(t, handle, ours);

    if (o)
        *o = (struct toy_open){ 0 };
}

static void
cancel(struct osp_transport *t, uint64_t handle)
{
    end(toy_of(t), handle, true);
}

static enum osp_err
respond(struct osp_transport *transport, uint64_t handle, const struct osp_msg *resp, struct osp_respond how, struct osp_time now)
{
    struct toy      *t = toy_of(transport);
    struct toy_open *o = find(t, handle, false);
    enum osp_err     e;

    (void)now;
    if (!o)
        return OSP_E_INVALID;
    e = send(t, o, resp);
    if (e != OSP_OK)
        return e;
    t->confirmable += how.confirmable;
    if (!how.keep)
        end(t, handle, false);
    return OSP_OK;
}

static bool
will_repeat(const struct osp_transport *t, uint64_t handle)
{
    (void)t;
    (void)handle;
    return false;
}

static void
dismiss(struct osp_transport *t, uint64_t handle, bool reset, struct osp_time now)
{
    (void)reset;                /* there is no way to say so */
    (void)now;
    end(toy_of(t), handle, false);
}

static const struct osp_peer_can *
can(const struct osp_transport *t, const struct osp_addr *peer)
{
    assert_int_equal(peer->transport, OSP_TRANSPORT_TCP);
    return &toy_of(t)->can;
}

static bool
has_room(const struct osp_transport *t, size_t n)
{
    return toy_of(t)->sent_count + n <= TOY_PLACES;
}

static bool
expire(struct osp_transport *transport, struct osp_time now, struct osp_event *ev)
{
    struct toy *t = toy_of(transport);

    for (size_t i = 0; i < TOY_PLACES; i++) {
        struct toy_open *o = &t->open[i];

        if (!o->handle || !o->has_deadline || !osp_time_due(o->deadline, now))
            continue;
        *ev = (struct osp_event){ .kind = OSP_EV_FAILED, .err = OSP_E_TIMEOUT, .handle = o->handle, .user = o->user };
        *o = (struct toy_open){ 0 };
        return true;
    }
    ev->kind = OSP_EV_NONE;
    return false;
}

static bool
deadline(const struct osp_transport *transport, struct osp_time *out)
{
    const struct toy *t = toy_of(transport);
    bool              has = false;

    for (size_t i = 0; i < TOY_PLACES; i++) {
        if (t->open[i].handle && t->open[i].has_deadline && (!has || t->open[i].deadline.us < out->us)) {
            *out = t->open[i].deadline;
            has = true;
        }
    }
    return has;
}

static size_t
longest(const struct osp_transport *t)
{
    return toy_of(t)->can.largest_message;
}

static void
free_toy(struct osp_transport *transport)
{
    struct toy *t = toy_of(transport);

    while (t->sent_count > 0)
        toy_drop(t);
}

static const struct osp_transport_ops ops = {
    .request = request,
    .cancel = cancel,
    .respond = respond,
    .will_repeat = will_repeat,
    .dismiss = dismiss,
    .can = can,
    .has_room = has_room,
    .expire = expire,
    .deadline = deadline,
    .longest = longest,
    .free = free_toy,
};

/* ---- for the test ---- */

struct osp_transport *
toy_init(struct toy *t)
{
    memset(t, 0, sizeof(*t));
    t->transport.ops = &ops;
    t->next_handle = OSP_HANDLE_FIRST(OSP_TRANSPORT_TCP);
    t->can = (struct osp_peer_can){ .largest_message = TOY_LONGEST - 16, .longest_token = 8, .copies = 1, .reliable = true,
                                    .proven = true };
    return &t->transport;
}

static void
receive_request(struct toy *t, const struct osp_flow *from, struct osp_event *ev)
{
    struct toy_open *o = place(t);

    assert_non_null(o);
    assert_true(t->msg.token.n <= sizeof(o->token));
    *o = (struct toy_open){ .handle = t->next_handle++, .flow = *from, .token_len = (uint8_t)t->msg.token.n };
    assert_true(osp_slice_copy(t->msg.token, o->token, sizeof(o->token)));
    ev->kind = OSP_EV_REQUEST;
    ev->confirmable = true;
    ev->handle = o->handle;
}

static void
receive_response(struct toy *t, const struct osp_flow *from, struct osp_event *ev)
{
    for (size_t i = 0; i < TOY_PLACES; i++) {
        struct toy_open *o = &t->open[i];

        if (!o->handle || !o->ours || !osp_addr_eq(&o->flow.peer, &from->peer) ||
            !osp_slice_eq(t->msg.token, osp_slice(o->token, o->token_len)))
            continue;
        ev->kind = OSP_EV_RESPONSE;
        ev->handle = o->handle;
        ev->user = o->user;
        ev->is_answer = !o->answered;
        o->answered = true;
        o->has_deadline = false;
        if (!o->keep)
            *o = (struct toy_open){ 0 };
        return;
    }
}

void
toy_receive(struct toy *t, const struct osp_flow *from, const struct osp_msg *m, struct osp_event *ev)
{
    struct osp_wr w = osp_wr_to(t->bytes, sizeof(t->bytes));
    size_t        used = 0;

    assert_int_equal(from->peer.transport, OSP_TRANSPORT_TCP);
    EXPECT_OK(osp_msg_encode_tcp(m, &w));
    EXPECT_OK(osp_msg_decode_tcp(osp_wr_slice(&w), sizeof(t->bytes), 8, &t->msg, &used));
    *ev = (struct osp_event){ .kind = OSP_EV_NONE, .flow = *from, .length = (uint32_t)used, .msg = &t->msg };
    if (osp_code_is_request(t->msg.code))
        receive_request(t, from, ev);
    else
        receive_response(t, from, ev);
}

bool
toy_lose(struct toy *t, const struct osp_addr *peer, struct osp_event *ev)
{
    for (size_t i = 0; i < TOY_PLACES; i++) {
        struct toy_open *o = &t->open[i];

        if (!o->handle || !osp_addr_eq(&o->flow.peer, peer))
            continue;
        *ev = (struct osp_event){ .kind = o->ours ? OSP_EV_FAILED : OSP_EV_REJECTED, .err = OSP_E_UNREACHABLE,
                                  .handle = o->handle, .user = o->user, .flow = o->flow };
        *o = (struct toy_open){ 0 };
        return true;
    }
    return false;
}

const struct toy_sent *
toy_next(struct toy *t)
{
    if (t->sent_count == 0)
        fail_msg("nothing left the proxy over the toy");
    return t->sent[0];
}

void
toy_drop(struct toy *t)
{
    assert_true(t->sent_count > 0);
    free(t->sent[0]);
    memmove(&t->sent[0], &t->sent[1], --t->sent_count * sizeof(t->sent[0]));
}

size_t
toy_open_count(const struct toy *t)
{
    size_t n = 0;

    for (size_t i = 0; i < TOY_PLACES; i++)
        n += t->open[i].handle != 0;
    return n;
}
