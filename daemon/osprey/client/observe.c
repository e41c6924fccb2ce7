/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An observation of the client [rfc7641], through any layers [rfc8613#4.1.3.5].
 *
 * One onion registers and opens the notifications.  The other onion is for requests beside the observation: later blocks of a
 * notification, and the next registration, after which the two change places.
 */
#include <stdlib.h>

#include "daemon/osprey/osprey.h"
#include "daemon/osprey/client/client.h"
#include "msg/option.h"

#define GRACE_MIN_MS 5000               /* [rfc7641#3.3.1] */
#define GRACE_MAX_MS 15000
#define DEREGISTER_TIMEOUT_S 10
#define HELD_CAP 66000u
#define FOREVER_US OSP_SEC(3600)

enum news { NEWS_COME, NEWS_STALE, NEWS_ENOUGH, NEWS_LOST };

static volatile sig_atomic_t stop;

static struct osprey_onion *
spare(struct client *c)
{
    return c->watch.onion == &c->onions[0] ? &c->onions[1] : &c->onions[0];
}

/* ---- what a notification says ---- */

static uint32_t
observe_value(const struct osp_msg *m)
{
    uint32_t v = 0;

    (void)osp_opt_uint(osp_msg_get(m, OSP_OPT_OBSERVE)->val, &v);
    return v & 0xffffff;
}

/* [rfc7641#3.4]; under OSCORE Partial IVs have put it in order already, and this value counts for nothing [rfc8613#4.1.3.5.2] */
static bool
is_newer(const struct client *c, uint32_t v)
{
    const struct client_watch *w = &c->watch;

    return w->onion->seal_count > 0 || osp_observe_is_newer(w->last, v, osp_time_between(w->last_at, osprey_now()));
}

/* Until Max-Age is over the representation is fresh; then we wait a while longer for the next [rfc7641#3.3.1]. */
static void
note(struct client *c)
{
    const struct osp_opt *o = osp_msg_get(c->answer.msg, OSP_OPT_MAX_AGE);
    uint64_t              grace_ms = osp_randbuf_between(&c->rand, GRACE_MIN_MS, GRACE_MAX_MS);
    uint32_t              age = OSP_MAX_AGE_DEFAULT_S;

    if (o)
        (void)osp_opt_uint(o->val, &age);
    if (c->args.has_grace)
        grace_ms = (uint64_t)(c->args.grace_s * 1e3);
    c->watch.last = observe_value(c->answer.msg);
    c->watch.last_at = osprey_now();
    c->watch.stale_at = osp_time_after(osprey_now(), OSP_SEC(age) + OSP_MS(grace_ms));
    c->watch.count++;
}

/* ---- registering and ending ---- */

/* OSP_OK with watch.handle 0: the answer is in c->answer, but it is no notification. */
static enum osp_err
register_now(struct client *c)
{
    struct client_ask ask = { .onion = spare(c), .extra = c->watch.extra, .payload = c->payload, .keep = true,
                              .instead_of = c->watch.handle };
    enum osp_err      e;

    c->watch.held = OSP_EMPTY;
    e = client_exchange(c, &ask, &c->watch.handle);
    c->watch.onion = ask.onion;
    return e;
}

/* Deregisters, with the Token and the options of the registration, but another Observe value [rfc7641#3.6]. */
static void
deregister(struct client *c)
{
    struct client_ask ask = { .onion = spare(c), .extra = c->watch.extra, .payload = c->payload, .keep = true,
                              .instead_of = c->watch.handle, .timeout_s = DEREGISTER_TIMEOUT_S };
    enum osp_err      e;

    stop = 0;                           /* a second signal ends the wait for this answer */
    ask.extra.observe = OSP_OBSERVE_DEREGISTER;
    c->watch.handle = 0;
    e = client_exchange(c, &ask, NULL);
    c->watch.deregistered = e == OSP_OK && OSP_CODE_CLASS(c->answer.msg->code) == 2;
    if (!c->watch.deregistered)
        client_complain(c->args.uri, "the deregistration was not confirmed: notifications may still be sent, and rejected");
}

/* ---- waiting ---- */

void
client_watch_hold(struct client *c, const struct osp_event *ev)
{
    struct osp_wr w = osp_wr_to(c->watch.held_bytes, HELD_CAP);

    if (osp_msg_encode_udp(ev->msg, &w) == OSP_OK)
        c->watch.held = osp_wr_slice(&w);
}

/*
 * Handles one response to the registration.  A response that does not verify does not end the observation, and is no reason to
 * register again [rfc8613#8.4.2].  NEWS_STALE: it is not newer, go on waiting.
 */
static enum news
take(struct client *c, const struct osp_msg *m)
{
    enum osp_err e = client_open(c, c->watch.onion, m, osp_time_after(osprey_now(), (uint64_t)(c->args.timeout_s * 1e6)));

    c->onion = c->watch.onion;
    if (e == OSP_OK)
        e = client_check_critical(c->answer.msg);
    if (e == OSP_E_REPLAY) {
        c->watch.late++;
        return NEWS_STALE;
    }
    if (e != OSP_OK) {
        c->watch.refused++;
        client_complain("a notification was refused", c->why ? c->why : osp_err_text(e));
        c->why = NULL;
        return NEWS_STALE;
    }
    if (!client_is_notification(c->answer.msg))
        return NEWS_LOST;
    if (is_newer(c, observe_value(c->answer.msg)))
        return NEWS_COME;
    c->watch.late++;
    return NEWS_STALE;
}

static enum news
take_held(struct client *c)
{
    struct osp_slice held = c->watch.held;
    bool             header;

    c->watch.held = OSP_EMPTY;
    if (held.n == 0 || osp_msg_decode_udp(held, &c->whole, &header) != OSP_OK)
        return NEWS_STALE;
    return take(c, &c->whole);
}

static enum news
take_event(struct client *c, const struct osp_event *ev)
{
    if (ev->kind == OSP_EV_REQUEST)     /* the client serves no requests */
        osp_ep_dismiss(c->net.ep, ev->handle, true, osprey_now(), &c->net.tx);
    if (ev->handle != c->watch.handle)
        return NEWS_STALE;
    if (ev->kind == OSP_EV_RESPONSE)
        return take(c, ev->msg);
    if (ev->kind != OSP_EV_FAILED)
        return NEWS_STALE;
    c->err = ev->err;
    return NEWS_LOST;
}

static enum news
await_news(struct client *c, struct osp_time end)
{
    struct osp_time until = c->watch.stale_at.us < end.us ? c->watch.stale_at : end;
    enum news       n = take_held(c);

    while (n == NEWS_STALE) {
        struct osp_event ev;
        enum osp_err        e = osprey_net_wait(&c->net, until, &ev);

        if (e == OSP_OK)
            n = take_event(c, &ev);
        else if (e == OSP_E_CANCELLED || (e == OSP_E_TIMEOUT && osp_time_due(end, osprey_now())))
            return NEWS_ENOUGH;
        else if (e == OSP_E_TIMEOUT)
            return NEWS_STALE;
        /* an unreachable port may be open again when Max-Age is over */
    }
    return n;
}

/* ---- the whole of it ---- */

/* Fetches the rest of the body and prints c->answer; false: the output failed. */
static bool
tell(struct client *c)
{
    enum osp_err e;

    note(c);
    e = client_download(c, spare(c), &c->watch.extra);
    c->has_answer = e == OSP_OK;
    if (e == OSP_OK)
        return client_report_notification(c);
    c->watch.refused++;
    client_complain("the body of a notification", c->why ? c->why : osp_err_text(e));
    c->why = NULL;
    return true;
}

/* Reports that the observation ended though the user did not end it. */
static int
lost(struct client *c)
{
    int status;

    if (c->err == OSP_OK)
        c->err = client_download(c, spare(c), &c->watch.extra);
    c->has_answer = c->err == OSP_OK;
    status = client_report(c);
    if (status != OSPREY_EXIT_OK)
        return status;
    client_complain(c->args.uri, c->watch.count ? "the observation has ended: the answer came without Observe"
                                                : "cannot be observed: the answer came without Observe");
    return OSPREY_EXIT_NO_ANSWER;
}

static int
enough(struct client *c)
{
    deregister(c);
    c->err = OSP_OK;
    client_report_end(c, OSPREY_EXIT_OK);
    return OSPREY_EXIT_OK;
}

static int
watch(struct client *c, struct osp_time end)
{
    enum news n = NEWS_STALE;

    for (;;) {
        c->err = n == NEWS_STALE ? register_now(c) : OSP_OK;
        if (c->err != OSP_OK || !c->watch.handle)
            return lost(c);
        if (!tell(c))
            return OSPREY_EXIT_USAGE;
        if (c->args.observe_count && c->watch.count >= c->args.observe_count)
            return enough(c);
        n = await_news(c, end);
        if (n == NEWS_ENOUGH)
            return enough(c);
        if (n == NEWS_LOST)
            return lost(c);
        c->watch.again += n == NEWS_STALE;
    }
}

int
client_observe(struct client *c)
{
    uint64_t us = c->args.duration_s > 0 ? (uint64_t)(c->args.duration_s * 1e6) : UINT64_MAX / 2;
    int      status;

    c->watch.held_bytes = malloc(HELD_CAP);
    if (!c->watch.held_bytes)
        return client_complain("start", "out of memory");
    osprey_net_stop_on_signals(&c->net, &stop);
    c->watch.extra = (struct client_extra){ .has_observe = true, .observe = OSP_OBSERVE_REGISTER, .has_block2 = c->args.has_szx,
                                            .block2.szx = c->args.szx };
    status = watch(c, osp_time_after(osprey_now(), us));
    if (c->watch.handle)
        osp_ep_cancel(c->net.ep, c->watch.handle);
    return status;
}
