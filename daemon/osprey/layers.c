/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/layers.h"

#include <stdlib.h>

#include "msg/option.h"

#define TEXT_CAP 8192u                      /* option values made here: names, ports, decoded paths */
#define SEALED_CAP (OSPREY_LAYERS_MAX * 66560u) /* a datagram and its overhead per layer */
#define PLAIN_CAP (OSPREY_LAYERS_MAX * 66560u)

enum osp_err
osprey_onion_init(struct osprey_onion *o)
{
    memset(o, 0, sizeof(*o));
    o->memory = malloc(TEXT_CAP + SEALED_CAP + PLAIN_CAP);
    return o->memory ? OSP_OK : OSP_E_NOMEM;
}

static void
drop_seals(struct osprey_onion *o)
{
    for (size_t i = 0; i < o->seal_count; i++) {
        osp_layer_fini(&o->seals[i].layer);
        osp_group_layer_fini(&o->seals[i].group);
    }
    memset(o->seals, 0, sizeof(o->seals));
    o->seal_count = 0;
}

void
osprey_onion_fini(struct osprey_onion *o)
{
    drop_seals(o);
    if (o->memory)
        osp_wipe(o->memory, TEXT_CAP + SEALED_CAP + PLAIN_CAP);
    free(o->memory);
    o->memory = NULL;
}

const char *
osprey_route_check(const struct osprey_route *r)
{
    bool secured = r->end_to_end != NULL;

    for (size_t i = 0; i < r->via_count; i++) {
        secured = secured || r->via[i].sec;
        if (i > 0 && !r->via[i].sec)
            return "only the nearest proxy may do without a context: nothing would part its options from those of the next";
    }
    if (r->reverse && r->via_count > 1 && !r->target.to.is_ip)
        return "a host name for a reverse-proxy stays outside its layer, where the proxy before it puts its own: "
               "name the reverse-proxy by --route-path, or write the URI with an address";
    if (r->proxy_uri.n && secured)
        return "Proxy-Uri would show a proxy what OSCORE shall hide: leave --proxy-uri out [RFC 8613, 4.1.3.3]";
    if (r->proxy_uri.n && r->via_count != 1)
        return "--proxy-uri needs exactly one proxy";
    if (r->proxy_uri.n && r->reverse)
        return "--proxy-uri asks a forward-proxy: it does not go with --reverse or --route-path";
    return NULL;
}

const struct osp_authority *
osprey_route_first_hop(const struct osprey_route *r)
{
    return r->via_count ? &r->via[0].to : &r->target.to;
}

/* ---- the plain request ---- */

static enum osp_err
add_uint(struct osprey_onion *o, struct osp_msg *m, uint16_t num, uint32_t value)
{
    uint8_t          buf[4];
    struct osp_slice v = osp_opt_uint_make(value, buf);
    uint8_t         *at;

    if (v.n == 0)
        return osp_msg_add(m, num, OSP_EMPTY);
    at = osp_wr_reserve(&o->text, v.n);
    if (!at)
        return OSP_E_NOSPACE;
    memcpy(at, v.p, v.n);
    return osp_msg_add(m, num, osp_slice(at, v.n));
}

/* Writes the host as in a URI, with IPv6 in brackets [rfc7252#6.5]. */
static enum osp_err
add_host(struct osprey_onion *o, struct osp_msg *m, const struct osp_authority *a)
{
    bool     brackets = a->is_ip && !osp_ip_is_v4(&a->ip);
    size_t   n = a->host.n + (brackets ? 2 : 0);
    uint8_t *at;

    if (!brackets)
        return osp_msg_add(m, OSP_OPT_URI_HOST, a->host);
    at = osp_wr_reserve(&o->text, n);
    if (!at)
        return OSP_E_NOSPACE;
    at[0] = '[';
    at[n - 1] = ']';
    memcpy(&at[1], a->host.p, a->host.n);
    return osp_msg_add(m, OSP_OPT_URI_HOST, osp_slice(at, n));
}

/*
 * Adds options that name the authority `a`, for the reader at `hop` [rfc7252#6.4].  In a request to a proxy a port is left out
 * only if it is both the default of the scheme and the port of the hop, since implementations differ in what an absent Uri-Port
 * means.
 */
static enum osp_err
add_authority(struct osprey_onion *o, struct osp_msg *m, const struct osp_authority *a, const struct osp_authority *hop,
              bool proxied)
{
    bool         elsewhere = a->is_ip && hop->is_ip && !osp_ip_eq(&a->ip, &hop->ip);
    enum osp_err e = OSP_OK;

    if (!a->is_ip || proxied || elsewhere)
        e = add_host(o, m, a);
    if (e == OSP_OK && (a->port != hop->port || (proxied && a->port != osp_scheme_port(a->scheme))))
        e = add_uint(o, m, OSP_OPT_URI_PORT, a->port);
    if (e == OSP_OK && proxied)
        e = osp_msg_add(m, OSP_OPT_PROXY_SCHEME, osp_slice_str(osp_scheme_name(a->scheme)));
    return e;
}

static enum osp_err
add_route_path(struct osp_msg *m, const struct osprey_route *r)
{
    enum osp_err e = OSP_OK;

    for (size_t i = 0; i < r->route_path_count && e == OSP_OK; i++)
        e = osp_msg_add(m, OSP_OPT_URI_PATH, r->route_path[i]);
    return e;
}

static enum osp_err
add_target(struct osprey_onion *o, struct osp_msg *m, const struct osprey_route *r)
{
    const struct osp_authority *hop = r->via_count ? &r->via[r->via_count - 1].to : &r->target.to;
    enum osp_err                e = OSP_OK;

    if (r->proxy_uri.n)
        return osp_msg_add(m, OSP_OPT_PROXY_URI, r->proxy_uri);
    if (!r->end_to_end) /* else it goes beside the end-to-end layer, not into it */
        e = add_route_path(m, r);
    if (e == OSP_OK)
        e = osp_uri_to_options(&r->target, m, &o->text);
    if (e == OSP_OK)
        e = add_authority(o, m, &r->target.to, hop, r->via_count > 0 && !r->reverse);
    return e;
}

static enum osp_err
make_plain(struct osprey_onion *o, const struct osprey_route *r, const struct osprey_content *c)
{
    struct osp_msg *m = &o->made[o->at];
    enum osp_err    e;

    osp_msg_init(m, c->method);
    e = add_target(o, m, r);
    if (e == OSP_OK && r->hop_limit)
        e = add_uint(o, m, OSP_OPT_HOP_LIMIT, r->hop_limit);
    for (size_t i = 0; i < c->opt_count && e == OSP_OK; i++)
        e = osp_msg_add(m, c->opts[i].num, c->opts[i].val);
    m->payload = c->payload;
    return e;
}

/* ---- layers on ---- */

static enum osp_err
add_echo(struct osp_msg *m, const struct osprey_echo *echo, size_t level)
{
    if (!echo || !echo->present || echo->level != level)
        return OSP_OK;
    return osp_msg_add(m, OSP_OPT_ECHO, osp_slice(echo->value, echo->len));
}

/* The classes by draft-ietf-core-oscore-capable-proxies.  Our Echo is for the reader of this layer, so it goes inside
   [rfc9175#2.3]. */
static enum osp_err
choose_classes(const struct osp_layer_ends *ends, const struct osp_msg *m, uint8_t classes[OSP_MSG_OPTS_MAX])
{
    enum osp_err e = osp_classes(ends, m, classes);

    for (size_t i = 0; e == OSP_OK && i < m->opt_count; i++)
        if (m->opts[i].num == OSP_OPT_ECHO)
            classes[i] = OSP_OPT_CLASS_E;
    return e;
}

/* Adds one layer to `in`: of a context, or as a deterministic request. */
static enum osp_err
protect(struct osprey_onion *o, struct osp_crypto *cr, struct osprey_seal *s, const struct osp_msg *in, const uint8_t *classes,
        struct osp_msg *out)
{
    enum osp_err e;

    if (!s->sec->group)
        return osp_oscore_protect_request(cr, s->sec->octx, in, classes, &o->sealed, out, &s->layer);
    e = osp_group_protect_deterministic(cr, s->sec->group, s->sec->server, in, classes, false, &o->sealed, out, &s->group);
    if (e == OSP_OK && osp_slice_copy(osp_slice(s->group.piv, s->group.piv_len), s->layer.piv, sizeof(s->layer.piv)))
        s->layer.piv_len = s->group.piv_len;
    return e;
}

/* Puts EDHOC message_3 in front of the ciphertext, so that one request carries both [rfc9668#3.2.1]. */
static enum osp_err
combine(struct osprey_onion *o, struct osp_slice message_3, struct osp_msg *m)
{
    size_t        n = message_3.n + m->payload.n;
    struct osp_wr w = osp_wr_to(osp_wr_reserve(&o->sealed, n), n);

    if (!w.p)
        return OSP_E_NOSPACE;
    osp_wr_put(&w, message_3);
    osp_wr_put(&w, m->payload);
    m->payload = osp_wr_slice(&w);
    return osp_msg_add(m, OSP_OPT_EDHOC, OSP_EMPTY);
}

static enum osp_err
seal(struct osprey_onion *o, struct osp_crypto *cr, const struct osprey_sec *sec, enum osp_layer_role role, bool next_hop,
     const struct osprey_echo *echo, const struct osprey_trace *trace)
{
    struct osprey_seal *s = &o->seals[o->seal_count];
    struct osp_msg     *in = &o->made[o->at], *out = &o->made[!o->at];
    struct osprey_step  step = { .on = true, .level = o->seal_count, .sec = sec, .before = in };
    uint8_t             classes[OSP_MSG_OPTS_MAX];
    enum osp_err        e;

    s->sec = sec;
    s->ends = (struct osp_layer_ends){ .role = role, .is_next_hop = next_hop };
    e = add_echo(in, echo, o->seal_count);
    if (e == OSP_OK)
        e = choose_classes(&s->ends, in, classes);
    if (e == OSP_OK)
        e = protect(o, cr, s, in, classes, out);
    if (e != OSP_OK)
        return e;
    o->seal_count++;
    if (sec->message_3.n)
        e = combine(o, sec->message_3, out);
    if (e != OSP_OK)
        return e;
    o->at = !o->at;
    step.ends = s->ends;
    step.after = out;
    step.classes = classes;
    if (trace && trace->step)
        trace->step(trace->ctx, &step);
    return OSP_OK;
}

static enum osp_err
seal_for_proxies(struct osprey_onion *o, struct osp_crypto *cr, const struct osprey_route *r, const struct osprey_echo *echo,
                 const struct osprey_trace *trace)
{
    enum osp_err e = OSP_OK;

    for (size_t i = r->via_count; i > 0 && e == OSP_OK; i--) { /* from the farthest to the nearest [ocp#2.3] */
        const struct osprey_via *via = &r->via[i - 1];

        if (i < r->via_count)
            e = add_authority(o, &o->made[o->at], &r->via[i].to, &via->to, true);
        if (e == OSP_OK && i < r->via_count && r->hop_limit)
            e = add_uint(o, &o->made[o->at], OSP_OPT_HOP_LIMIT, r->hop_limit);
        if (e == OSP_OK && via->sec)
            e = seal(o, cr, via->sec, OSP_LAYER_TO_PROXY, i == 1, echo, trace);
    }
    return e;
}

enum osp_err
osprey_onion_build(struct osprey_onion *o, struct osp_crypto *cr, const struct osprey_route *r,
                   const struct osprey_content *c, const struct osprey_echo *echo, const struct osprey_trace *trace,
                   const struct osp_msg **out)
{
    enum osp_err e;

    if (osprey_route_check(r))
        return OSP_E_INVALID;
    drop_seals(o);
    o->at = 0;
    o->text = osp_wr_to(o->memory, TEXT_CAP);
    o->sealed = osp_wr_to(&o->memory[TEXT_CAP], SEALED_CAP);
    e = make_plain(o, r, c);
    if (e == OSP_OK && r->end_to_end)
        e = seal(o, cr, r->end_to_end, OSP_LAYER_TO_SERVER, r->via_count == 0, echo, trace);
    if (e == OSP_OK && r->end_to_end)
        e = add_route_path(&o->made[o->at], r);
    if (e == OSP_OK)
        e = seal_for_proxies(o, cr, r, echo, trace);
    if (e == OSP_OK)
        e = add_echo(&o->made[o->at], echo, o->seal_count);
    if (e == OSP_OK)
        *out = &o->made[o->at];
    return e;
}

const struct osp_msg *
osprey_onion_outside(const struct osprey_onion *o)
{
    return &o->made[o->at];
}

/* ---- layers off ---- */

static enum osp_err
open_one(struct osprey_onion *o, struct osp_crypto *cr, size_t level, const struct osp_msg *in,
         const struct osprey_trace *trace, struct osp_msg *out)
{
    struct osprey_seal   *s = &o->seals[level];
    struct osprey_step    step = { .level = level, .sec = s->sec, .ends = s->ends, .before = in };
    const struct osp_opt *age = osp_msg_get(in, OSP_OPT_MAX_AGE);

    s->has_outer_max_age = age && osp_opt_uint(age->val, &s->outer_max_age);
    step.err = s->sec->group ? osp_group_unprotect_response(cr, &s->group, in, &o->plain, out)
                             : osp_oscore_unprotect_response(cr, &s->layer, in, &o->plain, out);
    if (step.err == OSP_OK)
        step.after = out;
    if (trace && trace->step)
        trace->step(trace->ctx, &step);
    return step.err;
}

enum osp_err
osprey_onion_open(struct osprey_onion *o, struct osp_crypto *cr, const struct osp_msg *in, const struct osprey_trace *trace,
                  struct osprey_answer *out)
{
    const struct osp_msg *m = in;
    size_t                level = o->seal_count;
    enum osp_err          e;

    o->plain = osp_wr_to(&o->memory[TEXT_CAP + SEALED_CAP], PLAIN_CAP);
    while (level > 0 && osp_msg_has(m, OSP_OPT_OSCORE)) {
        struct osp_msg *next = &o->opened[level & 1];

        e = open_one(o, cr, level - 1, m, trace, next);
        if (e != OSP_OK)
            return e;
        m = next;
        level--;
    }
    if (osp_msg_has(m, OSP_OPT_OSCORE))
        return OSP_E_EXTRA_LAYER;
    if (level > 0 && OSP_CODE_CLASS(m->code) < 4) /* an error may come from a proxy on the way, a success may not */
        return OSP_E_UNPROTECTED;
    out->msg = m;
    out->level = level;
    return OSP_OK;
}

bool
osprey_answer_challenges(const struct osprey_answer *a, struct osprey_echo *echo)
{
    const struct osp_opt *o = osp_msg_get(a->msg, OSP_OPT_ECHO);

    if (a->msg->code != OSP_CODE(4, 1) || !o || o->val.n == 0 || !osp_slice_copy(o->val, echo->value, sizeof(echo->value)))
        return false;
    echo->present = true;
    echo->level = a->level;
    echo->len = o->val.n;
    return true;
}
