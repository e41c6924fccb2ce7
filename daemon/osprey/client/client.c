/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client, from its command line to its first request: contexts and their sequence numbers, the route, the payload,
 * the peer.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/common/sockaddr.h"
#include "daemon/osprey/osprey.h"
#include "daemon/osprey/client/client.h"

#define DATAGRAM_PAYLOAD_MAX 61440u             /* leaves room in a datagram for what all layers add */
#define LEASE_WANT (OSPREY_LAYERS_MAX + 2)      /* numbers at hand per context: each level may ask for an Echo once */

static bool
split_uri(struct client *c, size_t slot, const char *text, struct osp_uri *out)
{
    size_t       n = strlen(text);
    enum osp_err e;

    c->uri_text[slot] = malloc(n + 1);
    if (!c->uri_text[slot]) {
        client_complain(text, "out of memory");
        return false;
    }
    e = osp_uri_split(osp_slice_str(text), c->uri_text[slot], n + 1, out);
    if (e == OSP_OK && out->to.scheme == OSP_SCHEME_UNKNOWN)
        e = OSP_E_BAD_URI;
    if (e != OSP_OK)
        client_complain(text, "not a URI of CoAP, such as coap://host:5683/path?query");
    return e == OSP_OK;
}

static const struct osprey_sec *
load_context(struct client *c, const char *spec)
{
    if (!osprey_context_load(&c->contexts, spec, false))
        return NULL;
    return &c->contexts.items[c->contexts.count - 1]->sec;
}

static bool
plan_via(struct client *c, size_t i)
{
    const struct osprey_via_arg *arg = &c->args.via[i];
    struct osprey_via           *via = &c->route.via[i];
    struct osp_uri               uri;

    if (!split_uri(c, i + 1, arg->uri, &uri))
        return false;
    via->to = uri.to;
    via->sec = arg->context ? load_context(c, arg->context) : NULL;
    return !arg->context || via->sec;
}

static bool
plan_route(struct client *c)
{
    struct osprey_route *r = &c->route;
    const char          *wrong;

    if (!split_uri(c, 0, c->args.uri, &r->target))
        return false;
    if (c->args.end_to_end) {
        r->end_to_end = load_context(c, c->args.end_to_end);
        if (!r->end_to_end)
            return false;
    }
    if (c->args.deterministic) {
        if (!osprey_group_load(&c->group, c->args.deterministic, false))
            return false;
        r->end_to_end = &c->group.sec;
    }
    r->via_count = c->args.via_count;
    for (size_t i = 0; i < r->via_count; i++)
        if (!plan_via(c, i))
            return false;
    r->reverse = c->args.reverse;
    r->route_path = c->args.route_path;
    r->route_path_count = c->args.route_path_count;
    r->hop_limit = c->args.hop_limit;
    if (!client_edhoc_plan(c))
        return false;
    if (c->args.proxy_uri)
        r->proxy_uri = osp_slice_str(c->args.uri);
    wrong = osprey_route_check(r);
    if (!wrong && osprey_route_first_hop(r)->scheme != OSP_SCHEME_COAP)
        wrong = "the first hop has to be coap:// (UDP); other schemes are reached through a proxy";
    if (wrong)
        client_complain(c->args.uri, wrong);
    return !wrong;
}

/* Checks that the payload can be sent, in blocks or in one datagram. */
static size_t
payload_max(const struct client *c)
{
    return c->args.blocks && !client_is_by_hand(c) ? c->args.max_body : DATAGRAM_PAYLOAD_MAX;
}

static bool
read_file(struct client *c, FILE *f)
{
    size_t max = payload_max(c), n;

    c->payload_bytes = f ? malloc(max + 1) : NULL;
    if (!c->payload_bytes)
        return client_complain(c->args.file, strerror(errno)), false;
    n = fread(c->payload_bytes, 1, max + 1, f);
    if (ferror(f))
        return client_complain(c->args.file, strerror(errno)), false;
    c->payload = osp_slice(c->payload_bytes, n);
    return true;
}

static bool
read_payload(struct client *c)
{
    bool  from_stdin = c->args.file && strcmp(c->args.file, "-") == 0, ok = true;
    FILE *f = NULL;

    c->payload = osp_slice_str(c->args.data);
    if (c->args.file) {
        f = from_stdin ? stdin : fopen(c->args.file, "rb");
        ok = read_file(c, f);
    }
    if (f && !from_stdin)
        fclose(f);
    if (ok && c->payload.n > payload_max(c)) {
        client_complain("payload", c->args.blocks ? "larger than --max-body" : "too large for one datagram");
        ok = false;
    }
    if (ok && c->args.observe && c->args.blocks && c->payload.n > osp_block_size(c->args.szx)) {
        client_complain("payload", "--observe takes one of a single block");
        ok = false;
    }
    return ok;
}

static bool
lease_numbers(struct client *c)
{
    char        dir[256];
    const char *name = c->args.state;

    if (c->contexts.count == 0 && c->key_count == 0)
        return true;
    if (!name && !osprey_state_default_dir(dir, sizeof(dir))) {
        client_complain("state", "neither XDG_STATE_HOME nor HOME is set: name a directory with --state");
        return false;
    }
    if (osprey_state_open(name ? name : dir, &c->state) != OSP_OK) {
        fprintf(stderr, "osprey: %s\n", osprey_state_why());
        return false;
    }
    for (size_t i = 0; i < c->contexts.count; i++)
        if (!osprey_context_lease(c->contexts.items[i], c->state, LEASE_WANT, LEASE_WANT))
            return false;
    return true;
}

/* ---- the peer ---- */

static bool
resolve(const struct osp_authority *a, struct osp_addr *out)
{
    struct addrinfo         hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG }, *list = NULL;
    struct sockaddr_storage sa = { 0 };
    char                    host[256];
    int                     e;

    memset(out, 0, sizeof(*out));
    if (a->is_ip) {
        out->ip = a->ip;
        out->port = a->port;
        return true;
    }
    if (a->host.n >= sizeof(host) || memchr(a->host.p, '\0', a->host.n)) {
        client_complain("first hop", "host name too long or malformed");
        return false;
    }
    memcpy(host, a->host.p, a->host.n);
    host[a->host.n] = '\0';
    e = getaddrinfo(host, NULL, &hints, &list);
    if (e != 0) {
        client_complain(host, gai_strerror(e));
        return false;
    }
    memcpy(&sa, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    if (!osp_addr_from_sockaddr(&sa, out))
        return false;
    out->port = a->port;
    return true;
}

/* ---- the request ---- */

/* Makes buffers and socket.  False: not possible, which was said on standard error. */
static bool
open_net(struct client *c)
{
    if (osp_crypto_new(&c->crypto) != OSP_OK || osprey_onion_init(&c->onions[0]) != OSP_OK ||
        osprey_onion_init(&c->onions[1]) != OSP_OK) {
        client_complain("start", "out of memory");
        return false;
    }
    c->onion = &c->onions[0];
    osp_randbuf_init(&c->rand, osprey_random());
    if (!resolve(osprey_route_first_hop(&c->route), &c->peer))
        c->err = OSP_E_RESOLVE;
    else if (!osprey_net_open(&c->net, NULL, &c->peer))
        c->err = OSP_E_UNREACHABLE;
    c->net.wire = osprey_show_wire;
    c->net.wire_ctx = &c->show;
    return true;
}

static int
perform(struct client *c)
{
    struct osp_time begin = osprey_now();

    if (!open_net(c))
        return OSPREY_EXIT_USAGE;
    if (c->err == OSP_OK)
        c->err = client_edhoc_establish(c, &c->onions[0]);
    if (c->err == OSP_OK && c->args.observe)
        return client_observe(c);
    if (c->err == OSP_OK)
        c->err = client_transfer(c);
    c->has_answer = c->err == OSP_OK;
    c->took_us = osp_time_between(begin, osprey_now());
    return client_report(c);
}

static void
client_fini(struct client *c)
{
    osprey_onion_fini(&c->onions[0]);
    osprey_onion_fini(&c->onions[1]);
    osprey_net_close(&c->net);
    osprey_contexts_free(&c->contexts);
    client_edhoc_fini(c);
    osprey_group_fini(&c->group);
    osprey_state_close(c->state);
    if (c->crypto)
        osp_crypto_free(c->crypto);
    for (size_t i = 0; i <= OSPREY_VIA_MAX; i++)
        free(c->uri_text[i]);
    free(c->payload_bytes);
    free(c->body.p);
    free(c->watch.held_bytes);
    free(c->outer_bytes);
    osprey_args_fini(&c->args);
}

int
osprey_client_main(int argc, char **argv)
{
    struct client *c = calloc(1, sizeof(*c));
    int            status;

    if (!c)
        return client_complain("start", "out of memory");
    c->net.fd = -1;
    status = osprey_args_parse(&c->args, argc, argv);
    if (status >= 0) {
        osprey_args_fini(&c->args);
        free(c);
        return status;
    }
    c->show = (struct osprey_show){ stderr, c->args.verbose };
    c->trace = (struct osprey_trace){ osprey_show_step, &c->show };
    status = OSPREY_EXIT_USAGE;
    if (plan_route(c) && read_payload(c) && lease_numbers(c))
        status = perform(c);
    client_fini(c);
    free(c);
    return status;
}
