/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request of the client: contexts and their sequence numbers, layers on, the exchange, layers off,
 * Echo challenges on the way, and what is told about it.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/common_sockaddr.h"
#include "daemon/osprey.h"
#include "daemon/osprey_args.h"
#include "daemon/osprey_context.h"
#include "daemon/osprey_group.h"
#include "daemon/osprey_net.h"
#include "daemon/osprey_show.h"
#include "msg/option.h"

#define PAYLOAD_MAX 61440u                      /* leaves room in a datagram for what all layers add */
#define ATTEMPTS_MAX (OSPREY_LAYERS_MAX + 2)    /* each level may ask for an Echo once */
#define LEASE_WANT ATTEMPTS_MAX                 /* numbers at hand per context: one per attempt */

struct client {
    struct osprey_args     args;
    struct osprey_show     show;
    struct osprey_trace    trace;
    struct osprey_contexts contexts;
    struct osprey_group    group;
    struct osprey_state   *state;
    struct osp_crypto     *crypto;
    struct osprey_onion    onion;
    struct osprey_net      net;
    struct osprey_route    route;
    struct osprey_content  content;
    uint8_t               *uri_text[OSPREY_VIA_MAX + 1];    /* lower-cased hosts of the URIs */
    uint8_t               *payload;
    /* what came of it */
    struct osprey_answer   answer;
    bool                   has_answer;
    enum osp_err           err;
    struct osprey_echo     echo;
    bool                   challenged[OSPREY_LAYERS_MAX + 1];   /* by level */
    unsigned               attempts;
    uint64_t               took_us;
};

/* ---- before ---- */

static int
complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey: %s: %s\n", what, wrong);
    return OSPREY_EXIT_USAGE;
}

static bool
split_uri(struct client *c, size_t slot, const char *text, struct osp_uri *out)
{
    size_t       n = strlen(text);
    enum osp_err e;

    c->uri_text[slot] = malloc(n + 1);
    if (!c->uri_text[slot]) {
        complain(text, "out of memory");
        return false;
    }
    e = osp_uri_split(osp_slice_str(text), c->uri_text[slot], n + 1, out);
    if (e == OSP_OK && out->to.scheme == OSP_SCHEME_UNKNOWN)
        e = OSP_E_BAD_URI;
    if (e != OSP_OK)
        complain(text, "not a URI of CoAP, such as coap://host:5683/path?query");
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
    if (c->args.proxy_uri)
        r->proxy_uri = osp_slice_str(c->args.uri);
    wrong = osprey_route_check(r);
    if (!wrong && osprey_route_first_hop(r)->scheme != OSP_SCHEME_COAP)
        wrong = "the first hop has to be coap:// (UDP); other schemes are reached through a proxy";
    if (wrong)
        complain(c->args.uri, wrong);
    return !wrong;
}

static bool
read_payload(struct client *c)
{
    bool   from_stdin = c->args.file && strcmp(c->args.file, "-") == 0;
    FILE  *f;
    size_t n;

    c->content.payload = osp_slice_str(c->args.data);
    if (c->content.payload.n > PAYLOAD_MAX) {
        complain("payload", "too large for one datagram");
        return false;
    }
    if (!c->args.file)
        return true;
    f = from_stdin ? stdin : fopen(c->args.file, "rb");
    c->payload = f ? malloc(PAYLOAD_MAX + 1) : NULL;
    if (!c->payload) {
        complain(c->args.file, strerror(errno));
        return false;
    }
    n = fread(c->payload, 1, PAYLOAD_MAX + 1, f);
    if (ferror(f))
        complain(c->args.file, strerror(errno));
    else if (n > PAYLOAD_MAX)
        complain(c->args.file, "too large for one datagram");
    else
        c->content.payload = osp_slice(c->payload, n);
    if (!from_stdin)
        fclose(f);
    return c->content.payload.n == n && n <= PAYLOAD_MAX;
}

static bool
lease_numbers(struct client *c)
{
    char        dir[256];
    const char *name = c->args.state;

    if (c->contexts.count == 0)
        return true;
    if (!name && !osprey_state_default_dir(dir, sizeof(dir))) {
        complain("state", "neither XDG_STATE_HOME nor HOME is set: name a directory with --state");
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
        complain("first hop", "host name too long or malformed");
        return false;
    }
    memcpy(host, a->host.p, a->host.n);
    host[a->host.n] = '\0';
    e = getaddrinfo(host, NULL, &hints, &list);
    if (e != 0) {
        complain(host, gai_strerror(e));
        return false;
    }
    memcpy(&sa, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    if (!osp_addr_from_sockaddr(&sa, out))
        return false;
    out->port = a->port;
    return true;
}

/* ---- one attempt ---- */

/* Waits for the answer to `handle`, at most until `deadline`. */
static enum osp_err
await_answer(struct client *c, uint64_t handle, struct osp_time deadline, struct osp_ep_event *ev)
{
    enum osp_err e;

    for (;;) {
        e = osprey_net_wait(&c->net, deadline, ev);
        if (e != OSP_OK) {
            osp_ep_cancel(c->net.ep, handle);
            return e;
        }
        if (ev->kind == OSP_EV_RESPONSE)
            return OSP_OK;
        if (ev->kind == OSP_EV_FAILED)
            return ev->err;
        if (ev->kind == OSP_EV_REQUEST) /* we serve nothing */
            osp_ep_dismiss(c->net.ep, ev->handle, true, osprey_now(), &c->net.tx);
    }
}

static enum osp_err
attempt(struct client *c, const struct osp_addr *peer, struct osp_time deadline)
{
    struct osp_request    how = { .type = c->args.non ? OSP_NON : OSP_CON, .deadline = deadline };
    const struct osp_msg *m;
    struct osp_ip         any = { { 0 } };
    struct osp_ep_event   ev = { .kind = OSP_EV_NONE };
    uint64_t              handle = 0;
    enum osp_err          e;

    c->attempts++;
    e = osprey_onion_build(&c->onion, c->crypto, &c->route, &c->content, &c->echo, &c->trace, &m);
    if (e == OSP_OK)
        e = osp_ep_request(c->net.ep, peer, &any, m, &how, osprey_now(), &c->net.tx, &handle);
    if (e != OSP_OK)
        return e;
    osprey_net_flush(&c->net);
    e = await_answer(c, handle, deadline, &ev);
    if (e != OSP_OK)
        return e;
    return osprey_onion_open(&c->onion, c->crypto, ev.msg, &c->trace, &c->answer);
}

/* Repeats the request once for each level that asks for an Echo [rfc9175#2.3] [rfc8613#B.1.2]. */
static enum osp_err
exchange(struct client *c, const struct osp_addr *peer)
{
    struct osp_time deadline = osp_time_after(osprey_now(), (uint64_t)(c->args.timeout_s * 1e6));
    enum osp_err    e;

    for (;;) {
        memset(&c->answer, 0, sizeof(c->answer));
        e = attempt(c, peer, deadline);
        if (e != OSP_OK || !osprey_answer_challenges(&c->answer, &c->echo) || c->challenged[c->echo.level])
            return e;
        c->challenged[c->echo.level] = true;
        if (c->show.level)
            fprintf(c->show.to, "  = the request is repeated with the Echo of this answer, at the same level\n");
    }
}

/* [rfc7252#5.4.1] */
static enum osp_err
check_critical(const struct osp_msg *m)
{
    for (size_t i = 0; i < m->opt_count; i++)
        if (osp_opt_is_critical(m->opts[i].num) && !osp_opt_def(m->opts[i].num))
            return OSP_E_UNKNOWN_OPTION_RESPONSE;
    return OSP_OK;
}

static bool
perform(struct client *c)
{
    struct osp_addr peer;
    struct osp_time begin = osprey_now();

    if (!resolve(osprey_route_first_hop(&c->route), &peer)) {
        c->err = OSP_E_RESOLVE;
        return true;
    }
    if (!osprey_net_open(&c->net, NULL, &peer)) {
        c->err = OSP_E_UNREACHABLE;
        return true;
    }
    c->net.wire = osprey_show_wire;
    c->net.wire_ctx = &c->show;
    if (osp_crypto_new(&c->crypto) != OSP_OK || osprey_onion_init(&c->onion) != OSP_OK) {
        complain("start", "out of memory");
        return false;
    }
    c->err = exchange(c, &peer);
    if (c->err == OSP_OK)
        c->err = check_critical(c->answer.msg);
    c->has_answer = c->err == OSP_OK;
    c->took_us = osp_time_between(begin, osprey_now());
    return true;
}

/* ---- after ---- */

static bool
is_protection_error(enum osp_err e)
{
    return e == OSP_E_OSCORE_OPTION || e == OSP_E_REPLAY || e == OSP_E_DECRYPT || e == OSP_E_FORMAT ||
           e == OSP_E_OPTION_COUNT || e == OSP_E_UNPROTECTED || e == OSP_E_EXTRA_LAYER || e == OSP_E_NO_CONTEXT ||
           e == OSP_E_BAD_RESPONSE;
}

static int
exit_status(const struct client *c)
{
    if (!c->has_answer && is_protection_error(c->err))
        return OSPREY_EXIT_PROTECTION;
    if (!c->has_answer)
        return osp_err_class(c->err) == OSP_CLASS_LOCAL && c->err != OSP_E_CANCELLED ? OSPREY_EXIT_USAGE
                                                                                     : OSPREY_EXIT_NO_ANSWER;
    switch (OSP_CODE_CLASS(c->answer.msg->code)) {
    case 2:
        return OSPREY_EXIT_OK;
    case 4:
        return OSPREY_EXIT_CLIENT_ERROR;
    case 5:
        return OSPREY_EXIT_SERVER_ERROR;
    default:
        return OSPREY_EXIT_NO_ANSWER;
    }
}

/* Who vouches for the answer: NULL when nobody does. */
static const struct osprey_sec *
vouched_by(const struct client *c)
{
    return c->answer.level < c->onion.seal_count ? c->onion.seals[c->answer.level].sec : NULL;
}

static void
print_json(const struct client *c, int status)
{
    const struct osprey_sec *by = c->has_answer ? vouched_by(c) : NULL;
    char                     code[8];
    const char              *phrase = NULL;
    unsigned                 challenges = 0;

    for (size_t i = 0; i <= OSPREY_LAYERS_MAX; i++)
        challenges += c->challenged[i];
    printf("{\"status\":%d,\"error\":", status);
    if (c->has_answer)
        fputs("null", stdout);
    else
        osprey_json_string(stdout, osp_slice_str(osp_err_name(c->err)));
    printf(",\"attempts\":%u,\"challenges\":%u,\"took_ms\":%.3f,\"layers\":[", c->attempts, challenges,
           (double)c->took_us / 1e3);
    for (size_t i = c->onion.seal_count; i > 0; i--) { /* outermost first, as they come off */
        const struct osprey_seal *s = &c->onion.seals[i - 1];

        printf("%s{\"context\":", i == c->onion.seal_count ? "" : ",");
        osprey_json_string(stdout, osp_slice_str(s->sec->name));
        fputs(",\"partial_iv\":", stdout);
        osprey_json_hex(stdout, osp_slice(s->layer.piv, s->layer.piv_len));
        printf(",\"came_off\":%s}", c->has_answer && i > c->answer.level ? "true" : "false");
    }
    fputs("],\"vouched_by\":", stdout);
    if (by)
        osprey_json_string(stdout, osp_slice_str(by->name));
    else
        fputs("null", stdout);
    if (c->has_answer) {
        osp_code_print(c->answer.msg->code, code, &phrase);
        printf(",\"code\":\"%s\",\"phrase\":\"%s\",\"options\":", code, phrase ? phrase : "");
        osprey_json_options(stdout, c->answer.msg, OSP_OPT_OSCORE);
        fputs(",\"payload\":", stdout);
        if (osprey_is_utf8(c->answer.msg->payload))
            osprey_json_string(stdout, c->answer.msg->payload);
        else
            fputs("null", stdout);
        fputs(",\"payload_hex\":", stdout);
        osprey_json_hex(stdout, c->answer.msg->payload);
    }
    fputs("}\n", stdout);
}

static void
print_error_answer(const struct client *c, const struct osprey_sec *by)
{
    struct osp_slice text = c->answer.msg->payload;

    fputs("osprey: ", stderr);
    osprey_show_code(stderr, c->answer.msg->code);
    if (text.n > 0 && text.n < 200 && osprey_is_utf8(text) && !memchr(text.p, 0x1b, text.n))
        fprintf(stderr, " (%.*s)", (int)text.n, (const char *)text.p);
    if (by)
        fprintf(stderr, ", protected by context \"%s\"\n", by->name);
    else
        fputs(c->onion.seal_count ? ", not protected: anybody on the way may have said so\n" : "\n", stderr);
}

/* An error, and who says so, in one line on standard error; a success only when asked to be verbose. */
static void
print_verdict(const struct client *c)
{
    const struct osprey_sec *by;

    if (!c->has_answer) {
        fprintf(stderr, "osprey: %s: %s\n", c->args.uri, osp_err_text(c->err));
        return;
    }
    by = vouched_by(c);
    if (OSP_CODE_CLASS(c->answer.msg->code) != 2) {
        print_error_answer(c, by);
    } else if (c->show.level) {
        fputs("  = ", c->show.to);
        osprey_show_code(c->show.to, c->answer.msg->code);
        fprintf(c->show.to, " in %.1f ms, %s%s%s\n", (double)c->took_us / 1e3, by ? "protected by context \"" : "not protected",
                by ? by->name : "", by ? "\"" : "");
    }
}

/* Standard output carries the payload of a success and nothing else; that of an error is told with it. */
static bool
write_payload(const struct client *c)
{
    struct osp_slice p = c->answer.msg->payload;
    FILE            *f = c->args.output ? fopen(c->args.output, "wb") : stdout;
    bool             ok = f != NULL;

    if (ok && p.n)
        ok = fwrite(p.p, 1, p.n, f) == p.n;
    if (ok && f == stdout && p.n && p.p[p.n - 1] != '\n' && isatty(STDOUT_FILENO))
        ok = fputc('\n', f) != EOF;
    if (f && f != stdout)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        complain(c->args.output ? c->args.output : "standard output", strerror(errno));
    return ok;
}

static int
report(const struct client *c)
{
    int status = exit_status(c);

    print_verdict(c);
    if (status == OSPREY_EXIT_OK && (!c->args.json || c->args.output) && !write_payload(c))
        status = OSPREY_EXIT_USAGE;
    if (c->args.json)
        print_json(c, status);
    if (fflush(stdout) != 0 && status == OSPREY_EXIT_OK)
        status = complain("standard output", strerror(errno));
    return status;
}

static void
client_fini(struct client *c)
{
    osprey_onion_fini(&c->onion);
    osprey_net_close(&c->net);
    osprey_contexts_free(&c->contexts);
    osprey_group_fini(&c->group);
    osprey_state_close(c->state);
    if (c->crypto)
        osp_crypto_free(c->crypto);
    for (size_t i = 0; i <= OSPREY_VIA_MAX; i++)
        free(c->uri_text[i]);
    free(c->payload);
    osprey_args_fini(&c->args);
}

int
osprey_client_main(int argc, char **argv)
{
    struct client *c = calloc(1, sizeof(*c));
    int            status;

    if (!c)
        return complain("start", "out of memory");
    c->net.fd = -1;
    status = osprey_args_parse(&c->args, argc, argv);
    if (status >= 0) {
        osprey_args_fini(&c->args);
        free(c);
        return status;
    }
    c->show = (struct osprey_show){ stderr, c->args.verbose };
    c->trace = (struct osprey_trace){ osprey_show_step, &c->show };
    c->content = (struct osprey_content){ .method = c->args.method, .opts = c->args.opts, .opt_count = c->args.opt_count };
    status = OSPREY_EXIT_USAGE;
    if (plan_route(c) && read_payload(c) && lease_numbers(c) && perform(c))
        status = report(c);
    client_fini(c);
    free(c);
    return status;
}
