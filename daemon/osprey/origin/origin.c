/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demo origin: a few resources, plain or under any nesting of layers of its contexts.
 *
 * Its replay windows survive a clean stop; after any other end they are unknown, and the first request
 * of each context is answered with an Echo challenge [rfc8613#B.1.2].
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/osprey/osprey.h"
#include "daemon/osprey/args.h"
#include "daemon/osprey/origin/origin.h"

#define EVERY_MIN_S 0.01
#define MAX_BODY ((size_t)1 << 18)

static const char usage[] =
    "usage: osprey origin [options]\n"
    "\n"
    "  --listen URI             coap://ADDRESS[:PORT] (coap://127.0.0.1:5683); port 0: any free one\n"
    "  -E, --oscore FILE[#NAME] serve under the security contexts of this file, or that one; may be repeated\n"
    "  --group FILE             serve the members of this OSCORE group, and its deterministic requests\n"
    "  --edhoc FILE             make contexts with clients by EDHOC, at /.well-known/edhoc: our credentials, and those we trust\n"
    "  --suites N[,N...]        its cipher suites, the most preferred first (2,0,3,1,4,5,6)\n"
    "  --message-4              it answers message_3 with message_4, and takes no combined requests\n"
    "  --require-echo           challenge the first request of every context, also of fresh ones\n"
    "  --every SECONDS          how often /ticks changes (1)\n"
    "  --block-size N|none      largest block of a body: 16, 32, ... 1024 (1024); none: answers are cut on request only\n"
    "  --max-body BYTES         largest body of a request (262144)\n"
    "  --state DIR              where sequence numbers and replay windows are kept (~/.local/state/osprey)\n"
    "  --log                    one line per request: layers that came off, options that were visible, answer\n"
    "  --json                   that line as JSON\n"
    "  -q, --quiet              do not print the address listened on\n"
    "  -h, --help\n"
    "\n"
    "resources: /.well-known/core /hello /time /ticks?n= (observable) /echo (POST, FETCH, ...) /large?n=\n"
    "           /alarm_status (observable) /put /upload (PUT, POST) /slow?ms=\n";

static volatile sig_atomic_t stop;

bool
origin_complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey origin: %s: %s\n", what, wrong);
    return false;
}

/* ---- start ---- */

enum { ARG_LISTEN = 256, ARG_GROUP, ARG_REQUIRE_ECHO, ARG_STATE, ARG_LOG, ARG_JSON, ARG_EVERY, ARG_BLOCK_SIZE,
       ARG_MAX_BODY, ARG_EDHOC, ARG_SUITES, ARG_MESSAGE_4 };

static const struct option long_options[] = {
    { "listen", required_argument, NULL, ARG_LISTEN },
    { "oscore", required_argument, NULL, 'E' },
    { "group", required_argument, NULL, ARG_GROUP },
    { "edhoc", required_argument, NULL, ARG_EDHOC },
    { "suites", required_argument, NULL, ARG_SUITES },
    { "message-4", no_argument, NULL, ARG_MESSAGE_4 },
    { "require-echo", no_argument, NULL, ARG_REQUIRE_ECHO },
    { "state", required_argument, NULL, ARG_STATE },
    { "every", required_argument, NULL, ARG_EVERY },
    { "block-size", required_argument, NULL, ARG_BLOCK_SIZE },
    { "max-body", required_argument, NULL, ARG_MAX_BODY },
    { "log", no_argument, NULL, ARG_LOG },
    { "json", no_argument, NULL, ARG_JSON },
    { "quiet", no_argument, NULL, 'q' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static const char *
apply(struct origin *o, int c, const char *value)
{
    switch (c) {
    case ARG_LISTEN:
        o->listen = value;
        return NULL;
    case 'E':
        if (o->file_count == ORIGIN_FILES_MAX)
            return "too many files";
        o->files[o->file_count++] = value;
        return NULL;
    case ARG_GROUP:
        if (o->group_file)
            return "given twice";
        o->group_file = value;
        return NULL;
    case ARG_EDHOC:
        if (o->edhoc_file)
            return "given twice";
        o->edhoc_file = value;
        return NULL;
    case ARG_SUITES:
        return osprey_edhoc_parse_suites(value, &o->edhoc.profile.suites);
    case ARG_MESSAGE_4:
        o->edhoc.profile.has_message_4 = true;
        return NULL;
    case ARG_STATE:
        o->state_dir = value;
        return NULL;
    case ARG_EVERY:
        return osprey_args_seconds(value, EVERY_MIN_S, &o->every_s);
    case ARG_BLOCK_SIZE:
        return osprey_args_block_size(value, &o->bodies.blocks, &o->bodies.szx);
    case ARG_MAX_BODY:
        return osprey_args_max_body(value, &o->bodies.max_body);
    case ARG_REQUIRE_ECHO:
        o->require_echo = true;
        return NULL;
    case 'q':
        o->quiet = true;
        return NULL;
    default:
        o->json = o->json || c == ARG_JSON;
        o->log = true;
        return NULL;
    }
}

static void
set_defaults(struct origin *o)
{
    o->listen = "coap://127.0.0.1:5683";
    o->every_s = 1;
    o->bodies.blocks = true;
    o->bodies.szx = OSP_BLOCK_SZX_MAX;
    o->bodies.max_body = MAX_BODY;
}

/* Reads the options; returns -1 to go on, else the exit status. */
static int
parse_args(struct origin *o, int argc, char **argv)
{
    const char *wrong;
    int         c;

    set_defaults(o);
    optind = 1;
    while ((c = getopt_long(argc, argv, "E:qh", long_options, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return OSPREY_EXIT_OK;
        }
        if (c == '?')
            return OSPREY_EXIT_USAGE; /* getopt has said why */
        wrong = apply(o, c, optarg);
        if (wrong)
            return origin_complain(optarg ? optarg : "", wrong), OSPREY_EXIT_USAGE;
    }
    if (optind < argc)
        return origin_complain(argv[optind], "not expected here; osprey origin --help tells how it is used"), OSPREY_EXIT_USAGE;
    if (!o->edhoc_file && (o->edhoc.profile.suites.count || o->edhoc.profile.has_message_4))
        return origin_complain("--suites, --message-4", "go with --edhoc"), OSPREY_EXIT_USAGE;
    o->resources.every_s = (uint32_t)(o->every_s + 0.999);
    return -1;
}

static bool
open_listener(struct origin *o)
{
    struct osp_slice text = osp_slice_str(o->listen);
    bool             any_port = text.n > 2 && memcmp(&text.p[text.n - 2], ":0", 2) == 0; /* port 0 is not possible in a URI */
    struct osp_uri   uri;
    struct osp_addr  a = { 0 };
    uint8_t          host[256];

    if (any_port)
        text = osp_slice_head(text, text.n - 2);
    if (osp_uri_split(text, host, sizeof(host), &uri) != OSP_OK || uri.to.scheme != OSP_SCHEME_COAP || !uri.to.is_ip)
        return origin_complain(o->listen, "the form is coap://ADDRESS[:PORT], with an IP address");
    a.ip = uri.to.ip;
    a.port = any_port ? 0 : uri.to.port;
    if (!osprey_net_open(&o->net, &a, NULL))
        return false;
    osprey_net_stop_on_signals(&o->net, &stop);
    return true;
}

/* Sets the replay window of a context, if it is known. */
static bool
restore_window(struct origin *o, struct osprey_context *c)
{
    struct osprey_record r;
    struct osp_replay    empty = { 0 };

    if (!osprey_context_enter(c, o->state))
        return false;
    if (osprey_state_take_window(o->state, c->keys.recipient, &r) != OSP_OK)
        return origin_complain(c->name, osprey_state_why());
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
        return origin_complain("state", "neither XDG_STATE_HOME nor HOME is set: name a directory with --state");
    if (osprey_state_open(o->state_dir ? o->state_dir : dir, &o->state) != OSP_OK ||
        osprey_state_claim(o->state) != OSP_OK)
        return origin_complain("state", osprey_state_why());
    for (size_t i = 0; i < o->contexts.count; i++) {
        if (!restore_window(o, o->contexts.items[i]) ||
            !osprey_context_lease(o->contexts.items[i], o->state, ORIGIN_LEASE_WANT, ORIGIN_LEASE_BLOCK))
            return false;
    }
    return !o->group_file || osprey_group_lease(&o->group, o->state, ORIGIN_LEASE_WANT, ORIGIN_LEASE_BLOCK);
}

static bool
load_contexts(struct origin *o)
{
    struct osp_hash_key key;
    enum osp_err        e;

    o->contexts.side = OSPREY_ORIGIN;
    for (size_t i = 0; i < o->file_count; i++)
        if (!osprey_context_load(&o->contexts, o->files[i], true))
            return false;
    if (o->group_file && !osprey_group_load(&o->group, o->group_file, true))
        return false;
    o->server.group = o->group.sec.group;
    if (o->contexts.count == 0)
        return !o->group_file || open_state(o);
    osp_randbuf_take(&o->rand, (uint8_t *)&key, sizeof(key));
    e = osp_octx_configured_new(o->contexts.count, key, &o->table);
    for (size_t i = 0; i < o->contexts.count && e == OSP_OK; i++) {
        e = osp_octx_configured_add(o->table, o->contexts.items[i]->sec.octx);
        if (e == OSP_E_EXISTS)
            return origin_complain(o->contexts.items[i]->name, "another context has the same recipient ID and ID Context");
    }
    o->server.contexts = o->table;
    return e == OSP_OK ? open_state(o) : origin_complain("contexts", osp_err_text(e));
}

static bool
start(struct origin *o)
{
    char text[OSP_ADDR_TEXT_MAX];

    osp_randbuf_init(&o->rand, osprey_random());
    if (osprey_server_init(&o->server) != OSP_OK)
        return origin_complain("start", "out of memory");
    o->server.rand = &o->rand;
    /* The socket comes first: if the port is in use, no replay window is marked as lost. */
    if (!open_listener(o) || !origin_edhoc_start(o) || !load_contexts(o))
        return false;
    setvbuf(stdout, NULL, _IOLBF, 0);
    osp_addr_print(&o->net.local, text, sizeof(text));
    if (!o->quiet)
        printf("osprey origin: listening on coap://%s\n", text);
    return true;
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
            osprey_state_save_window(o->state, c->keys.recipient, &w) != OSP_OK)
            ok = origin_complain(c->name, osprey_state_why());
    }
    return ok;
}

static void
origin_fini(struct origin *o)
{
    for (size_t i = 0; i < ORIGIN_PENDING_MAX; i++)
        if (o->pending[i].used)
            osprey_served_fini(&o->pending[i].served);
    for (size_t i = 0; i < ORIGIN_WATCHES_MAX; i++)
        osprey_served_fini(&o->watches[i].served);
    osprey_bodies_fini(&o->bodies);
    osprey_net_close(&o->net);
    osprey_server_fini(&o->server);
    if (o->table)
        osp_octx_configured_free(o->table);
    origin_edhoc_fini(o);
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
        return origin_complain("start", "out of memory"), OSPREY_EXIT_USAGE;
    o->net.fd = -1;
    status = parse_args(o, argc, argv);
    if (status < 0) {
        status = OSPREY_EXIT_USAGE;
        if (start(o)) {
            origin_serve(o, &stop);
            status = OSPREY_EXIT_OK;
        }
        if (o->state && !save_windows(o)) /* also after a start that failed half-way */
            status = OSPREY_EXIT_USAGE;
    }
    origin_fini(o);
    return status;
}
