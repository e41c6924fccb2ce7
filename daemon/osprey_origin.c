/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demo origin: a few resources, plain or under any nesting of its contexts' layers.
 *
 * Its replay windows survive a clean stop; after any other end they are unknown, and the first request
 * of each context is answered with an Echo challenge [rfc8613#B.1.2].
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/osprey.h"
#include "daemon/osprey_context.h"
#include "daemon/osprey_group.h"
#include "daemon/osprey_net.h"
#include "daemon/osprey_resource.h"
#include "daemon/osprey_serve.h"
#include "daemon/osprey_show.h"

#define FILES_MAX 32
#define PENDING_MAX 64
#define LEASE_WANT 4    /* numbers at hand per context: an answer takes one at most */
#define LEASE_BLOCK 64
#define FOREVER_US OSP_SEC(3600)

static const char usage[] =
    "usage: osprey origin [options]\n"
    "\n"
    "  --listen URI             coap://ADDRESS[:PORT] (coap://127.0.0.1:5683); port 0: any free one\n"
    "  -E, --oscore FILE[#NAME] serve under the security contexts of this file, or that one; may be repeated\n"
    "  --group FILE             serve the members of this OSCORE group, and its deterministic requests\n"
    "  --require-echo           challenge the first request of every context, also of fresh ones\n"
    "  --state DIR              where sequence numbers and replay windows are kept (~/.local/state/osprey)\n"
    "  --log                    one line per request: layers that came off, options that were visible, answer\n"
    "  --json                   that line as JSON\n"
    "  -q, --quiet              do not print the address listened on\n"
    "  -h, --help\n"
    "\n"
    "resources: /.well-known/core /hello /time /echo (POST, FETCH, ...) /large?n= /alarm_status /put /slow?ms=\n";

struct pending {
    bool                 used;
    uint64_t             handle;
    struct osp_time      due;
    struct osprey_served served;
    uint8_t              code;
    char                 text[32];
};

struct origin {
    const char             *listen, *state_dir, *group_file, *files[FILES_MAX];
    size_t                  file_count;
    bool                    require_echo, log, json, quiet;
    struct osprey_contexts  contexts;
    struct osprey_group     group;
    struct osp_octx_table  *table;
    struct osprey_state    *state;
    struct osprey_server    server;
    struct osprey_resources resources;
    struct osprey_net       net;
    struct osp_randbuf      rand;
    struct pending          pending[PENDING_MAX];
    struct osp_msg          wire;       /* the request as it came, for the log */
};

static volatile sig_atomic_t stop;

static bool
complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey origin: %s: %s\n", what, wrong);
    return false;
}

/* ---- start ---- */

enum { ARG_LISTEN = 256, ARG_GROUP, ARG_REQUIRE_ECHO, ARG_STATE, ARG_LOG, ARG_JSON };

static const struct option long_options[] = {
    { "listen", required_argument, NULL, ARG_LISTEN },
    { "oscore", required_argument, NULL, 'E' },
    { "group", required_argument, NULL, ARG_GROUP },
    { "require-echo", no_argument, NULL, ARG_REQUIRE_ECHO },
    { "state", required_argument, NULL, ARG_STATE },
    { "log", no_argument, NULL, ARG_LOG },
    { "json", no_argument, NULL, ARG_JSON },
    { "quiet", no_argument, NULL, 'q' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* -1: go on, else the exit status. */
static int
parse_args(struct origin *o, int argc, char **argv)
{
    int c;

    o->listen = "coap://127.0.0.1:5683";
    optind = 1;
    while ((c = getopt_long(argc, argv, "E:qh", long_options, NULL)) != -1) {
        switch (c) {
        case ARG_LISTEN:
            o->listen = optarg;
            break;
        case 'E':
            if (o->file_count == FILES_MAX)
                return complain("-E", "too many files"), OSPREY_EXIT_USAGE;
            o->files[o->file_count++] = optarg;
            break;
        case ARG_GROUP:
            if (o->group_file)
                return complain("--group", "given twice"), OSPREY_EXIT_USAGE;
            o->group_file = optarg;
            break;
        case ARG_REQUIRE_ECHO:
            o->require_echo = true;
            break;
        case ARG_STATE:
            o->state_dir = optarg;
            break;
        case ARG_JSON:
            o->json = true;
            o->log = true;
            break;
        case ARG_LOG:
            o->log = true;
            break;
        case 'q':
            o->quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return OSPREY_EXIT_OK;
        default:
            return OSPREY_EXIT_USAGE;
        }
    }
    if (optind < argc)
        return complain(argv[optind], "not expected here; osprey origin --help tells how it is used"), OSPREY_EXIT_USAGE;
    return -1;
}

static bool
open_listener(struct origin *o)
{
    struct osp_slice text = osp_slice_str(o->listen);
    bool             any_port = text.n > 2 && memcmp(&text.p[text.n - 2], ":0", 2) == 0; /* no port a URI may name */
    struct osp_uri   uri;
    struct osp_addr  a = { 0 };
    uint8_t          host[256];

    if (any_port)
        text = osp_slice_head(text, text.n - 2);
    if (osp_uri_split(text, host, sizeof(host), &uri) != OSP_OK || uri.to.scheme != OSP_SCHEME_COAP || !uri.to.is_ip)
        return complain(o->listen, "the form is coap://ADDRESS[:PORT], with an IP address");
    a.ip = uri.to.ip;
    a.port = any_port ? 0 : uri.to.port;
    if (!osprey_net_open(&o->net, &a, NULL))
        return false;
    osprey_net_stop_on_signals(&o->net, &stop);
    return true;
}

/* Sets the window as far as it is known. */
static bool
restore_window(struct origin *o, struct osprey_context *c)
{
    struct osprey_record r;
    struct osp_replay    empty = { 0 };

    if (osprey_state_take_window(o->state, c->fp, &r) != OSP_OK)
        return complain(c->name, osprey_state_why());
    if (o->require_echo)
        return true;
    if (r.state == OSPREY_WINDOW_SAVED)
        osp_octx_set_window(c->sec.octx, &r.window);
    else if (r.state == OSPREY_WINDOW_NONE && c->fresh)
        osp_octx_set_window(c->sec.octx, &empty);
    return true;
}

static bool
open_state(struct origin *o)
{
    char dir[256];

    if (!o->state_dir && !osprey_state_default_dir(dir, sizeof(dir)))
        return complain("state", "neither XDG_STATE_HOME nor HOME is set: name a directory with --state");
    if (osprey_state_open(o->state_dir ? o->state_dir : dir, &o->state) != OSP_OK ||
        osprey_state_claim(o->state) != OSP_OK)
        return complain("state", osprey_state_why());
    for (size_t i = 0; i < o->contexts.count; i++) {
        if (!restore_window(o, o->contexts.items[i]) ||
            !osprey_context_lease(o->contexts.items[i], o->state, LEASE_WANT, LEASE_BLOCK))
            return false;
    }
    return !o->group_file || osprey_group_lease(&o->group, o->state, LEASE_WANT, LEASE_BLOCK);
}

static bool
load_contexts(struct origin *o)
{
    struct osp_hash_key key;
    enum osp_err        e;

    for (size_t i = 0; i < o->file_count; i++)
        if (!osprey_context_load(&o->contexts, o->files[i], true))
            return false;
    if (o->group_file && !osprey_group_load(&o->group, o->group_file, true))
        return false;
    o->server.group = o->group.sec.group;
    if (o->contexts.count == 0)
        return !o->group_file || open_state(o);
    osp_randbuf_take(&o->rand, (uint8_t *)&key, sizeof(key));
    e = osp_octx_table_new(o->contexts.count, key, &o->table);
    for (size_t i = 0; i < o->contexts.count && e == OSP_OK; i++) {
        e = osp_octx_table_add(o->table, o->contexts.items[i]->sec.octx);
        if (e == OSP_E_EXISTS)
            return complain(o->contexts.items[i]->name, "another context has the same recipient ID and ID Context");
    }
    o->server.contexts = o->table;
    return e == OSP_OK ? open_state(o) : complain("contexts", osp_err_text(e));
}

static bool
start(struct origin *o)
{
    char text[OSP_ADDR_TEXT_MAX];

    osp_randbuf_init(&o->rand, osprey_random());
    if (osprey_server_init(&o->server) != OSP_OK)
        return complain("start", "out of memory");
    o->server.rand = &o->rand;
    if (!open_listener(o) || !load_contexts(o)) /* in this order: a port in use costs no replay window */
        return false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    osp_addr_print(&o->net.local, text, sizeof(text));
    if (!o->quiet)
        printf("osprey origin: listening on coap://%s\n", text);
    return true;
}

/* ---- log ---- */

static const char *
context_name(const struct origin *o, const struct osp_octx *c)
{
    uint32_t i = osp_octx_label(c);

    return i < o->contexts.count ? o->contexts.items[i]->name : "?";
}

static void
log_json(const struct origin *o, const struct osp_addr *peer, const struct osprey_served *sv, const struct osp_msg *req,
         uint8_t answer)
{
    char text[OSP_ADDR_TEXT_MAX], path[OSPREY_PATH_MAX], code[8];

    osp_addr_print(peer, text, sizeof(text));
    osp_code_print(o->wire.code, code, NULL);
    printf("{\"peer\":\"%s\",\"wire_code\":\"%s\",\"wire_options\":", text, code);
    osprey_json_options(stdout, &o->wire, 0);
    fputs(",\"layers\":[", stdout);
    for (size_t i = 0; i < sv->count; i++) {
        printf("%s{\"context\":", i ? "," : "");
        osprey_json_string(stdout, osp_slice_str(context_name(o, sv->layers[i].ctx)));
        fputs(",\"partial_iv\":", stdout);
        osprey_json_hex(stdout, osp_slice(sv->layers[i].piv, sv->layers[i].piv_len));
        fputc('}', stdout);
    }
    if (sv->group.group) {
        printf("%s{\"group\":", sv->count ? "," : "");
        osprey_json_hex(stdout, osp_group_gid(sv->group.group));
        printf(",\"deterministic\":%s,\"partial_iv\":", sv->group.mode == OSP_GROUP_DETERMINISTIC ? "true" : "false");
        osprey_json_hex(stdout, osp_slice(sv->group.piv, sv->group.piv_len));
        fputc('}', stdout);
    }
    fputs("],\"error\":", stdout);
    if (sv->err != OSP_OK)
        osprey_json_string(stdout, osp_slice_str(osp_err_name(sv->err)));
    else
        fputs("null", stdout);
    if (req) {
        osprey_path_print(req, path);
        osp_code_print(req->code, code, NULL);
        printf(",\"code\":\"%s\",\"path\":", code);
        osprey_json_string(stdout, osp_slice_str(path));
        fputs(",\"options\":", stdout);
        osprey_json_options(stdout, req, 0);
        printf(",\"payload_length\":%zu", req->payload.n);
    }
    osp_code_print(answer, code, NULL);
    printf(",\"answer\":\"%s\"}\n", code);
}

static void
log_text(const struct origin *o, const struct osp_addr *peer, const struct osprey_served *sv, const struct osp_msg *req,
         uint8_t answer)
{
    char text[OSP_ADDR_TEXT_MAX];

    osp_addr_print(peer, text, sizeof(text));
    printf("%s visible: ", text);
    osprey_show_code(stdout, o->wire.code);
    fputs("; ", stdout);
    osprey_show_options(stdout, &o->wire, NULL, false);
    for (size_t i = 0; i < sv->count; i++)
        printf(" | layer \"%s\" off", context_name(o, sv->layers[i].ctx));
    if (sv->group.group)
        printf(" | layer of the group off, %s", sv->group.mode == OSP_GROUP_DETERMINISTIC ? "deterministic" : "of a member");
    if (req && (sv->count || sv->group.group)) {
        fputs(" | ", stdout);
        osprey_show_code(stdout, req->code);
        fputs("; ", stdout);
        osprey_show_options(stdout, req, NULL, false);
    }
    if (sv->err != OSP_OK)
        printf(" | %s", osp_err_text(sv->err));
    fputs(" | answer ", stdout);
    osprey_show_code(stdout, answer);
    fputc('\n', stdout);
}

static void
log_request(const struct origin *o, const struct osp_addr *peer, const struct osprey_served *sv, const struct osp_msg *req,
            uint8_t answer)
{
    if (o->json)
        log_json(o, peer, sv, req, answer);
    else if (o->log)
        log_text(o, peer, sv, req, answer);
}

/* ---- requests ---- */

/* Sends `resp` under the layers of `sv`, which end here. */
static void
answer(struct origin *o, uint64_t handle, struct osprey_served *sv, const struct osp_msg *resp)
{
    struct osp_respond    how = { .keep = false, .confirmable = true };
    const struct osp_msg *out = NULL;
    enum osp_err          e = OSP_OK;

    for (size_t i = 0; i < sv->count; i++) { /* a challenge needs a number of its own */
        uint32_t label = osp_octx_label(sv->layers[i].ctx);

        if (label < o->contexts.count &&
            !osprey_context_lease(o->contexts.items[label], o->state, LEASE_WANT, LEASE_BLOCK))
            e = OSP_E_NO_LEASE;
    }
    if (sv->group.group && !osprey_group_lease(&o->group, o->state, LEASE_WANT, LEASE_BLOCK))
        e = OSP_E_NO_LEASE;
    if (e == OSP_OK)
        e = osprey_serve_seal(&o->server, sv, resp, &out);
    if (e == OSP_OK)
        e = osp_ep_respond(o->net.ep, handle, out, how, osprey_now(), &o->net.tx);
    if (e != OSP_OK && e != OSP_E_INVALID) {
        complain("answer", osp_err_text(e));
        osp_ep_dismiss(o->net.ep, handle, false, osprey_now(), &o->net.tx);
    }
    osprey_served_fini(sv);
    osprey_net_flush(&o->net);
}

/* Keeps the answer for later; false when too many wait. The layers move along. */
static bool
postpone(struct origin *o, uint64_t handle, struct osprey_served *sv, const struct osprey_reply *reply)
{
    for (size_t i = 0; i < PENDING_MAX; i++) {
        struct pending *p = &o->pending[i];

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

static void
on_request(struct origin *o, const struct osp_ep_event *ev)
{
    static struct osprey_reply reply; /* large, and there is one request at a time */
    struct osprey_served       sv;
    const struct osp_msg      *req = NULL;

    osp_msg_copy(&o->wire, ev->msg);
    reply.delay_us = 0;
    if (osprey_serve_open(&o->server, ev->msg, &sv, &req, &reply.msg))
        osprey_resource_answer(&o->resources, req, (int64_t)time(NULL), &reply);
    if (reply.delay_us && !postpone(o, ev->handle, &sv, &reply)) {
        osp_msg_init(&reply.msg, OSP_CODE(5, 3));
        reply.delay_us = 0;
    }
    log_request(o, &ev->flow.peer, &sv, req, reply.msg.code);
    if (!reply.delay_us)
        answer(o, ev->handle, &sv, &reply.msg);
}

/* Answers what is due; returns when to come back. */
static struct osp_time
answer_due(struct origin *o)
{
    struct osp_time now = osprey_now(), next = osp_time_after(now, FOREVER_US);
    struct osp_msg  m;

    for (size_t i = 0; i < PENDING_MAX; i++) {
        struct pending *p = &o->pending[i];

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

static void
serve(struct origin *o)
{
    struct osp_ep_event ev;

    while (!stop) {
        struct osp_time next = answer_due(o);

        if (osprey_net_wait(&o->net, next, &ev) == OSP_OK && ev.kind == OSP_EV_REQUEST)
            on_request(o, &ev);
    }
}

/* ---- stop ---- */

static bool
save_windows(struct origin *o)
{
    bool ok = true;

    for (size_t i = 0; i < o->contexts.count; i++) {
        struct osprey_context *c = o->contexts.items[i];
        struct osp_replay      w;

        if (osp_octx_get_window(c->sec.octx, &w) == OSP_WINDOW_KNOWN &&
            osprey_state_save_window(o->state, c->fp, &w) != OSP_OK)
            ok = complain(c->name, osprey_state_why());
    }
    return ok;
}

static void
origin_fini(struct origin *o)
{
    for (size_t i = 0; i < PENDING_MAX; i++)
        if (o->pending[i].used)
            osprey_served_fini(&o->pending[i].served);
    osprey_net_close(&o->net);
    osprey_server_fini(&o->server);
    if (o->table)
        osp_octx_table_free(o->table);
    osprey_contexts_free(&o->contexts);
    osprey_group_fini(&o->group);
    osprey_state_close(o->state);
    free(o);
}

int
osprey_origin_main(int argc, char **argv)
{
    struct origin *o = calloc(1, sizeof(*o));
    int            status;

    if (!o)
        return complain("start", "out of memory"), OSPREY_EXIT_USAGE;
    o->net.fd = -1;
    status = parse_args(o, argc, argv);
    if (status < 0) {
        status = OSPREY_EXIT_USAGE;
        if (start(o)) {
            serve(o);
            status = OSPREY_EXIT_OK;
        }
        if (o->state && !save_windows(o)) /* also those of a start that failed half-way */
            status = OSPREY_EXIT_USAGE;
    }
    origin_fini(o);
    return status;
}
