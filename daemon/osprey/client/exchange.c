/* SPDX-License-Identifier: BSD-2-Clause */
/* One request of the client and its answer. */
#include "daemon/osprey/client/client.h"
#include "msg/option.h"

#define LEASE_BLOCK 64          /* numbers per lease, once the first ones are used up */
#define EXTRA_MAX 6

/* ---- the request ---- */

/* The options of one request, and the values that are made here for some of them. */
struct content {
    struct osprey_content it;
    struct osp_opt        opts[OSPREY_OPTS_MAX + EXTRA_MAX];
    uint8_t               values[EXTRA_MAX][4];
    size_t                made;
};

static void
add(struct content *t, uint16_t num, struct osp_slice value)
{
    t->opts[t->it.opt_count++] = (struct osp_opt){ num, value };
}

static void
add_uint(struct content *t, uint16_t num, uint32_t value)
{
    add(t, num, osp_opt_uint_make(value, t->values[t->made++]));
}

static void
add_block(struct content *t, uint16_t num, const struct osp_block *b)
{
    add(t, num, osp_block_make(b, t->values[t->made++]));
}

/* All of these are options of the user's request, so they go inside the innermost layer [rfc8613#4.1.3.4.1]. */
static void
make_content(const struct client *c, const struct client_ask *ask, struct content *t)
{
    const struct client_extra *x = &ask->extra;

    t->made = 0;
    t->it = (struct osprey_content){ .method = c->args.method, .opts = t->opts, .payload = ask->payload };
    for (size_t i = 0; i < c->args.opt_count; i++)
        add(t, c->args.opts[i].num, c->args.opts[i].val);
    if (x->has_observe)
        add_uint(t, OSP_OPT_OBSERVE, x->observe);
    if (x->has_block1)
        add_block(t, OSP_OPT_BLOCK1, &x->block1);
    if (x->has_block2)
        add_block(t, OSP_OPT_BLOCK2, &x->block2);
    if (x->has_size1)
        add_uint(t, OSP_OPT_SIZE1, x->size1);
    if (x->has_tag)
        add(t, OSP_OPT_REQUEST_TAG, osp_slice(x->tag, x->tag_len));
}

static enum osp_err
send_request(struct client *c, const struct client_ask *ask, uint64_t instead_of, struct osp_time deadline, uint64_t *handle)
{
    struct osp_request    how = { .confirmable = !c->args.non, .deadline = deadline, .keep = ask->keep,
                                  .instead_of = instead_of };
    struct osp_ip         any = { { 0 } };
    struct content        content;
    const struct osp_msg *m;
    enum osp_err          e;

    if (!client_lease(c))
        return OSP_E_NO_LEASE;
    c->round_trips++;
    c->attempts += !ask->route;
    c->onion = ask->onion;
    if (!ask->route)
        make_content(c, ask, &content);
    e = osprey_onion_build(ask->onion, c->crypto, ask->route ? ask->route : &c->route, ask->route ? ask->content : &content.it,
                           &c->echo, &c->trace, &m);
    if (e == OSP_OK)
        e = osp_ep_request(c->net.ep, &c->peer, &any, m, &how, osprey_now(), &c->net.tx, handle);
    osprey_net_flush(&c->net);
    return e;
}

bool
client_lease(struct client *c)
{
    for (size_t i = 0; i < c->contexts.count; i++)
        if (!osprey_context_lease(c->contexts.items[i], c->state, 1, LEASE_BLOCK))
            return false;
    return true;
}

/* ---- the answer ---- */

enum osp_err
client_await(struct client *c, uint64_t handle, struct osp_time deadline, struct osp_event *ev)
{
    for (;;) {
        enum osp_err e = osprey_net_wait(&c->net, deadline, ev);

        if (e != OSP_OK)
            return e;
        if (ev->kind == OSP_EV_REQUEST) /* the client serves no requests */
            osp_ep_dismiss(c->net.ep, ev->handle, true, osprey_now(), &c->net.tx);
        else if (ev->handle == handle && ev->kind == OSP_EV_RESPONSE)
            return OSP_OK;
        else if (ev->handle == handle && ev->kind == OSP_EV_FAILED)
            return ev->err;
        else if (ev->handle == c->watch.handle && ev->kind == OSP_EV_RESPONSE)
            client_watch_hold(c, ev);
    }
}

/*
 * Opens the answer into c->answer.  A notification that was on its way when its Token was taken over is not the answer: it
 * was not made for this request.
 */
static enum osp_err
await_answer(struct client *c, const struct client_ask *ask, uint64_t handle, struct osp_time deadline)
{
    for (;;) {
        struct osp_event ev = { .kind = OSP_EV_NONE };
        enum osp_err        e = client_await(c, handle, deadline, &ev);
        bool                crossed;

        if (e != OSP_OK)
            return e;
        crossed = ask->instead_of && osp_msg_has(ev.msg, OSP_OPT_OBSERVE);
        e = client_open(c, ask->onion, ev.msg, deadline);
        if (e == OSP_OK || !crossed)
            return e == OSP_OK ? client_check_critical(c->answer.msg) : e;
    }
}

enum osp_err
client_broken(struct client *c, const char *why)
{
    c->why = why;
    return OSP_E_BAD_RESPONSE;
}

enum osp_err
client_check_critical(const struct osp_msg *m)
{
    for (size_t i = 0; i < m->opt_count; i++)
        if (osp_opt_is_critical(m->opts[i].num) && !osp_opt_def(m->opts[i].num))
            return OSP_E_UNKNOWN_OPTION_RESPONSE;
    return OSP_OK;
}

/* ---- both ---- */

static struct osp_time
deadline_of(const struct client *c, const struct client_ask *ask)
{
    double s = ask->timeout_s > 0 && ask->timeout_s < c->args.timeout_s ? ask->timeout_s : c->args.timeout_s;

    return osp_time_after(osprey_now(), (uint64_t)(s * 1e6));
}

static enum osp_err
exchange(struct client *c, const struct client_ask *ask, uint64_t *handle)
{
    struct osp_time deadline = deadline_of(c, ask);
    uint64_t        instead_of = ask->instead_of;

    for (;;) {
        enum osp_err e = send_request(c, ask, instead_of, deadline, handle);

        if (e == OSP_OK)
            e = await_answer(c, ask, *handle, deadline);
        if (e == OSP_OK)
            e = client_edhoc_confirm(c, ask->onion);
        if (e != OSP_OK || !osprey_answer_challenges(&c->answer, &c->echo) || c->challenged[c->echo.level])
            return e;
        c->challenged[c->echo.level] = true;
        c->challenges++;
        instead_of = ask->keep ? *handle : 0;
        if (c->show.level)
            fprintf(c->show.to, "  = the request is repeated with the Echo of this answer, at the same level\n");
    }
}

/*
 * Repeats the request once for each level that asks for an Echo [rfc9175#2.3] [rfc8613#B.1.2].  An Echo for a replay window is
 * needed once; an Echo for our address is sent again until the peer wants a new one.
 */
enum osp_err
client_exchange(struct client *c, const struct client_ask *ask, uint64_t *handle)
{
    uint64_t     open = 0;
    bool         again = false;
    enum osp_err e;

    memset(&c->answer, 0, sizeof(c->answer));
    memset(c->challenged, 0, sizeof(c->challenged));
    if (c->onion && c->echo.level < c->onion->seal_count)
        c->echo.present = false;
    do {
        e = exchange(c, ask, &open);
        if (e == OSP_OK && !ask->route)
            e = client_edhoc_renew(c, ask->onion, &again);
        if (again && open) {
            osp_ep_cancel(c->net.ep, open);
            open = 0;
        }
    } while (e == OSP_OK && again);
    if (open && (e != OSP_OK || !ask->keep || !client_is_notification(c->answer.msg))) {
        osp_ep_cancel(c->net.ep, open);
        open = 0;
    }
    if (handle)
        *handle = open;
    return e;
}

bool
client_is_notification(const struct osp_msg *m)
{
    return OSP_CODE_CLASS(m->code) == 2 && osp_msg_has(m, OSP_OPT_OBSERVE);
}
