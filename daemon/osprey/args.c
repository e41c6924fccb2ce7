/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "daemon/osprey/osprey.h"
#include "daemon/osprey/keys/edhoc.h"
#include "msg/block.h"
#include "msg/option.h"

#define MAX_BODY ((size_t)1 << 20)
#define SECONDS_MIN 1e-6
#define MAX_BODY_MAX ((size_t)1 << 26)

static const char usage[] =
    "usage: osprey [get|post|put|delete|fetch|patch|ipatch] [options] URI\n"
    "       osprey origin --listen URI [options]       (osprey origin --help)\n"
    "       osprey keygen [options] NAME               (osprey keygen --help)\n"
    "       osprey trust [options] NAME FILE           (osprey trust --help)\n"
    "\n"
    "layers and proxies\n"
    "  -E, --oscore FILE[#NAME]      protect end to end, for the origin\n"
    "      --deterministic FILE[#MEMBER]\n"
    "                                ask that member of an OSCORE group with a deterministic request (GET, FETCH),\n"
    "                                whose answer a proxy may keep for other clients\n"
    "  -P, --proxy URI               send through this proxy, without a layer for it\n"
    "      --via URI,context=FILE[#NAME]\n"
    "                                send through this proxy, under a layer for it; once per proxy, nearest first\n"
    "      --via URI,edhoc[=PEER]    the same, with a context that EDHOC makes with PEER\n"
    "      --reverse                 the last proxy stands for the origin: no Proxy-Scheme for it\n"
    "      --route-path SEGMENT      Uri-Path segment by which that proxy finds the origin; implies --reverse\n"
    "      --proxy-uri               ask -P with Proxy-Uri instead of Proxy-Scheme and Uri-Host\n"
    "\n"
    "EDHOC: contexts are made when they are needed, and kept with the state\n"
    "      --edhoc FILE[#NAME]       our credential, and those we trust (osprey keygen, osprey trust)\n"
    "  -E, --oscore edhoc[=PEER]     protect end to end with a context that EDHOC makes with PEER, through the proxies\n"
    "      --method N                0: both sign, 1: we do, 2: the peer does, 3: static Diffie-Hellman keys (as the keys are)\n"
    "      --suite N[,N...]          cipher suites 0 to 6, the most preferred first (2,0)\n"
    "      --combined                message_3 and the first request in one: a round trip less, for peers that know RFC 9668\n"
    "      --message-4               demand message_4: the peer confirms its keys before it gets a request\n"
    "      --fresh                   new contexts, also where kept ones are at hand\n"
    "\n"
    "request\n"
    "  -d, --data TEXT               payload\n"
    "  -f, --file FILE               payload from a file, - for standard input\n"
    "  -t, --content-format NUMBER   Content-Format\n"
    "  -A, --accept NUMBER           Accept\n"
    "  -O, --option NUMBER,VALUE     any option; VALUE as the option's format wants it, or hex:.., uint:.., text:..\n"
    "      --hop-limit N             Hop-Limit (1 to 255)\n"
    "  -N, --non                     non-confirmable\n"
    "      --timeout SECONDS         how long to wait for an answer (60)\n"
    "  -b, --block-size N|none       larger bodies go in blocks of N bytes: 16, 32, ... 1024 (1024)\n"
    "      --max-body BYTES          largest body sent or taken (1048576)\n"
    "\n"
    "observation (GET, FETCH)\n"
    "      --observe[=COUNT]         print each notification; COUNT of them, else until stopped\n"
    "  -s, --duration SECONDS        observe for so long\n"
    "      --grace SECONDS           wait so long after Max-Age before registering again (random, 5 to 15)\n"
    "\n"
    "output and state\n"
    "  -o, --output FILE             payload to a file\n"
    "      --json                    print a JSON object instead of the payload\n"
    "  -v, --verbose                 show each layer as it goes on and comes off; twice: with all bytes\n"
    "      --state DIR               where sequence numbers are kept (~/.local/state/osprey)\n"
    "  -h, --help      -V, --version\n"
    "\n"
    "exit status: 0 2.xx, 1 usage or keys, 2 no answer, 3 answer does not verify, 4 4.xx, 5 5.xx\n";

enum { ARG_VIA = 256, ARG_REVERSE, ARG_ROUTE_PATH, ARG_PROXY_URI, ARG_HOP_LIMIT, ARG_TIMEOUT, ARG_JSON, ARG_STATE,
       ARG_DETERMINISTIC, ARG_MAX_BODY, ARG_OBSERVE, ARG_GRACE, ARG_EDHOC, ARG_METHOD, ARG_SUITE, ARG_COMBINED,
       ARG_MESSAGE_4, ARG_FRESH };

static const struct option long_options[] = {
    { "oscore", required_argument, NULL, 'E' },
    { "deterministic", required_argument, NULL, ARG_DETERMINISTIC },
    { "proxy", required_argument, NULL, 'P' },
    { "via", required_argument, NULL, ARG_VIA },
    { "reverse", no_argument, NULL, ARG_REVERSE },
    { "route-path", required_argument, NULL, ARG_ROUTE_PATH },
    { "proxy-uri", no_argument, NULL, ARG_PROXY_URI },
    { "edhoc", required_argument, NULL, ARG_EDHOC },
    { "method", required_argument, NULL, ARG_METHOD },
    { "suite", required_argument, NULL, ARG_SUITE },
    { "combined", no_argument, NULL, ARG_COMBINED },
    { "message-4", no_argument, NULL, ARG_MESSAGE_4 },
    { "fresh", no_argument, NULL, ARG_FRESH },
    { "data", required_argument, NULL, 'd' },
    { "file", required_argument, NULL, 'f' },
    { "content-format", required_argument, NULL, 't' },
    { "accept", required_argument, NULL, 'A' },
    { "option", required_argument, NULL, 'O' },
    { "hop-limit", required_argument, NULL, ARG_HOP_LIMIT },
    { "non", no_argument, NULL, 'N' },
    { "timeout", required_argument, NULL, ARG_TIMEOUT },
    { "block-size", required_argument, NULL, 'b' },
    { "max-body", required_argument, NULL, ARG_MAX_BODY },
    { "observe", optional_argument, NULL, ARG_OBSERVE },
    { "duration", required_argument, NULL, 's' },
    { "grace", required_argument, NULL, ARG_GRACE },
    { "output", required_argument, NULL, 'o' },
    { "json", no_argument, NULL, ARG_JSON },
    { "verbose", no_argument, NULL, 'v' },
    { "state", required_argument, NULL, ARG_STATE },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static const struct { const char *name; uint8_t code; } methods[] = {
    { "get", OSP_GET },     { "post", OSP_POST },   { "put", OSP_PUT },       { "delete", OSP_DELETE },
    { "fetch", OSP_FETCH }, { "patch", OSP_PATCH }, { "ipatch", OSP_IPATCH },
};

/* ---- option values ---- */

static bool
parse_number(const char *text, unsigned long long max, unsigned long long *out)
{
    char              *end;
    unsigned long long v;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno || *end || v > max)
        return false;
    *out = v;
    return true;
}

static const char *
value_uint(struct osprey_args *a, const char *text, struct osp_slice *out)
{
    unsigned long long v;
    uint8_t            buf[4];
    struct osp_slice   made;
    uint8_t           *at;

    if (!parse_number(text, UINT32_MAX, &v))
        return "not a number from 0 to 4294967295";
    made = osp_opt_uint_make((uint32_t)v, buf);
    at = osp_wr_reserve(&a->values, made.n);
    if (!at || !osp_slice_copy(made, at, made.n))
        return "options are too long";
    *out = osp_slice(at, made.n);
    return NULL;
}

static const char *
value_hex(struct osprey_args *a, const char *text, struct osp_slice *out)
{
    size_t   n = strlen(text) / 2, len;
    uint8_t *at = osp_wr_reserve(&a->values, n);

    if (!at)
        return "options are too long";
    if (!osp_hex_decode(osp_slice_str(text), at, n, &len))
        return "not an even number of hexadecimal digits";
    *out = osp_slice(at, len);
    return NULL;
}

static const char *
option_value(struct osprey_args *a, const struct osp_opt_def *def, const char *text, struct osp_slice *out)
{
    if (strncmp(text, "hex:", 4) == 0)
        return value_hex(a, text + 4, out);
    if (strncmp(text, "uint:", 5) == 0)
        return value_uint(a, text + 5, out);
    if (strncmp(text, "text:", 5) == 0)
        *out = osp_slice_str(text + 5);
    else if (def && def->format == OSP_FMT_UINT)
        return value_uint(a, text, out);
    else if (def && def->format == OSP_FMT_EMPTY && text[0])
        return "this option has no value";
    else
        *out = osp_slice_str(text);
    return NULL;
}

static const char *
add_option(struct osprey_args *a, uint16_t num, struct osp_slice val)
{
    if (a->opt_count == OSPREY_OPTS_MAX)
        return "too many options";
    a->opts[a->opt_count++] = (struct osp_opt){ num, val };
    return NULL;
}

const char *
osprey_args_add_option(struct osprey_args *a, const char *text)
{
    size_t                    n = strcspn(text, ",");
    const char               *value = text[n] ? &text[n + 1] : "";
    const struct osp_opt_def *def;
    char                      number[8];
    unsigned long long        num;
    struct osp_slice          val = OSP_EMPTY;
    const char               *wrong;

    if (n > 0 && n < sizeof(number) && text[0] >= '0' && text[0] <= '9') {
        memcpy(number, text, n);
        number[n] = '\0';
        if (!parse_number(number, UINT16_MAX, &num))
            return "option number is not from 0 to 65535";
        def = osp_opt_def((uint16_t)num);
    } else {
        def = osp_opt_by_name(osp_slice(text, n));
        if (!def)
            return "no option of this number or name";
        num = def->number;
    }
    if (num == OSP_OPT_OSCORE)
        return "the OSCORE option is made by -E and --via";
    wrong = option_value(a, def, value, &val);
    return wrong ? wrong : add_option(a, (uint16_t)num, val);
}

static const char *
add_uint_option(struct osprey_args *a, uint16_t num, const char *text)
{
    struct osp_slice val = OSP_EMPTY;
    const char      *wrong = value_uint(a, text, &val);

    if (!wrong && val.n > 2)
        wrong = "not a number from 0 to 65535";
    return wrong ? wrong : add_option(a, num, val);
}

/* ---- the rest ---- */

static const char context_mark[] = ",context=", edhoc_mark[] = ",edhoc";

/* Reads "edhoc" or "edhoc=PEER"; false: it is something else. */
static bool
is_edhoc(const char *text, const char **peer)
{
    const size_t n = sizeof(edhoc_mark) - 2;

    if (strncmp(text, edhoc_mark + 1, n) != 0 || (text[n] && (text[n] != '=' || !text[n + 1])))
        return false;
    *peer = text[n] ? &text[n + 1] : NULL;
    return true;
}

const char *
osprey_args_add_via(struct osprey_args *a, const char *text)
{
    struct osprey_via_arg via = { .uri = NULL };
    const char           *context = strstr(text, context_mark), *edhoc = context ? NULL : strstr(text, edhoc_mark);
    const char           *end = context ? context : edhoc;

    if (a->via_count == OSPREY_VIA_MAX)
        return "too many proxies";
    via.context = context ? context + sizeof(context_mark) - 1 : NULL;
    if (context && !via.context[0])
        return "context= names no file";
    via.edhoc = edhoc && is_edhoc(edhoc + 1, &via.peer);
    if (edhoc && !via.edhoc)
        return "the form is URI,edhoc or URI,edhoc=PEER";
    via.uri = end ? strndup(text, (size_t)(end - text)) : strdup(text);
    if (!via.uri)
        return "out of memory";
    a->via[a->via_count++] = via;
    return NULL;
}

static bool
has_layer(const char *text)
{
    return strstr(text, context_mark) || strstr(text, edhoc_mark);
}

static const char *
add_proxy(struct osprey_args *a, const char *text)
{
    return has_layer(text) ? "a proxy with a context is given with --via" : osprey_args_add_via(a, text);
}

static const char *
add_layered(struct osprey_args *a, const char *text)
{
    if (has_layer(text))
        return osprey_args_add_via(a, text);
    return "the form is URI,context=FILE[#NAME] or URI,edhoc[=PEER]; a proxy without a context is given with -P";
}

static const char *
add_segment(struct osprey_args *a, const char *text)
{
    if (a->route_path_count == OSPREY_SEGMENTS_MAX)
        return "too many segments";
    a->route_path[a->route_path_count++] = osp_slice_str(text);
    a->reverse = true;
    return NULL;
}

const char *
osprey_args_seconds(const char *text, double least, double *out)
{
    char  *end;
    double v = strtod(text, &end);

    if (end == text || *end || !(v >= least && v <= 86400))
        return least > 0 ? "not a number of seconds above 0 and up to 86400" : "not a number of seconds up to 86400";
    *out = v;
    return NULL;
}

const char *
osprey_args_block_size(const char *text, bool *blocks, uint8_t *szx)
{
    unsigned long long v;

    *blocks = strcmp(text, "none") != 0;
    if (!*blocks)
        return NULL;
    for (*szx = 0; parse_number(text, 1024, &v) && *szx <= OSP_BLOCK_SZX_MAX; (*szx)++)
        if (v == osp_block_size(*szx))
            return NULL;
    return "not 16, 32, 64, 128, 256, 512, 1024 or none";
}

const char *
osprey_args_max_body(const char *text, size_t *out)
{
    unsigned long long v;

    if (!parse_number(text, MAX_BODY_MAX, &v) || v == 0)
        return "not a number of bytes from 1 to 67108864";
    *out = (size_t)v;
    return NULL;
}

static const char *
set_block_size(struct osprey_args *a, const char *text)
{
    const char *wrong = osprey_args_block_size(text, &a->blocks, &a->szx);

    a->has_szx = a->blocks;
    return wrong;
}

static const char *
set_observe(struct osprey_args *a, const char *text)
{
    unsigned long long v = 0;

    if (text && (!parse_number(text, 1000000, &v) || v == 0))
        return "not a number of notifications from 1 to 1000000";
    a->observe = true;
    a->observe_count = (unsigned)v;
    return NULL;
}

static const char *
set_hop_limit(struct osprey_args *a, const char *text)
{
    unsigned long long v;

    if (!parse_number(text, 255, &v) || v == 0)
        return "not a number from 1 to 255";
    a->hop_limit = (unsigned)v;
    return NULL;
}

static const char *
set_once(const char **field, const char *value)
{
    if (*field)
        return "given twice";
    *field = value;
    return NULL;
}

static const char *
set_end_to_end(struct osprey_args *a, const char *value)
{
    if (a->end_to_end || a->end_to_end_edhoc)
        return "given twice";
    a->end_to_end_edhoc = is_edhoc(value, &a->end_to_end_peer);
    return a->end_to_end_edhoc ? NULL : set_once(&a->end_to_end, value);
}

static const char *
set_edhoc_method(struct osprey_args *a, const char *text)
{
    unsigned long long v;

    if (!parse_number(text, 3, &v))
        return "not a method from 0 to 3";
    a->edhoc_method = (int)v;
    return NULL;
}

static const char *
apply_edhoc(struct osprey_args *a, int c, const char *value)
{
    switch (c) {
    case ARG_EDHOC:
        return set_once(&a->edhoc, value);
    case ARG_METHOD:
        return set_edhoc_method(a, value);
    case ARG_SUITE:
        return osprey_edhoc_parse_suites(value, &a->suites);
    case ARG_COMBINED:
        a->combined = true;
        return NULL;
    case ARG_MESSAGE_4:
        a->message_4 = true;
        return NULL;
    default:
        a->fresh = true;
        return NULL;
    }
}

static const char *
apply(struct osprey_args *a, int c, const char *value)
{
    switch (c) {
    case 'E':
        return set_end_to_end(a, value);
    case ARG_EDHOC:
    case ARG_METHOD:
    case ARG_SUITE:
    case ARG_COMBINED:
    case ARG_MESSAGE_4:
    case ARG_FRESH:
        return apply_edhoc(a, c, value);
    case ARG_DETERMINISTIC:
        return set_once(&a->deterministic, value);
    case 'P':
        return add_proxy(a, value);
    case ARG_VIA:
        return add_layered(a, value);
    case ARG_ROUTE_PATH:
        return add_segment(a, value);
    case 'd':
        return set_once(&a->data, value);
    case 'f':
        return set_once(&a->file, value);
    case 'o':
        return set_once(&a->output, value);
    case ARG_STATE:
        return set_once(&a->state, value);
    case 't':
        return add_uint_option(a, OSP_OPT_CONTENT_FORMAT, value);
    case 'A':
        return add_uint_option(a, OSP_OPT_ACCEPT, value);
    case 'O':
        return osprey_args_add_option(a, value);
    case ARG_HOP_LIMIT:
        return set_hop_limit(a, value);
    case ARG_TIMEOUT:
        return osprey_args_seconds(value, SECONDS_MIN, &a->timeout_s);
    case 'b':
        return set_block_size(a, value);
    case ARG_MAX_BODY:
        return osprey_args_max_body(value, &a->max_body);
    case ARG_OBSERVE:
        return set_observe(a, value);
    case 's':
        a->observe = true;
        return osprey_args_seconds(value, SECONDS_MIN, &a->duration_s);
    case ARG_GRACE:
        a->has_grace = true;
        return osprey_args_seconds(value, 0, &a->grace_s);
    case ARG_REVERSE:
        a->reverse = true;
        return NULL;
    case ARG_PROXY_URI:
        a->proxy_uri = true;
        return NULL;
    case ARG_JSON:
        a->json = true;
        return NULL;
    case 'N':
        a->non = true;
        return NULL;
    default:
        a->verbose++;
        return NULL;
    }
}

static int
complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey: %s%s%s\n", what, what[0] ? ": " : "", wrong);
    fputs("osprey --help tells how it is used\n", stderr);
    return OSPREY_EXIT_USAGE;
}

/* Reports options that would have no effect. */
static int
check_edhoc(const struct osprey_args *a)
{
    bool used = a->end_to_end_edhoc;

    for (size_t i = 0; i < a->via_count; i++)
        used = used || a->via[i].edhoc;
    if (used && !a->edhoc)
        return complain("", "a context made by EDHOC needs credentials: name their file with --edhoc");
    if (a->edhoc && !used)
        return complain("--edhoc", "for whom? With --via URI,edhoc=PEER for a proxy, with -E edhoc=PEER for the origin");
    if (!a->edhoc && (a->edhoc_method >= 0 || a->suites.count || a->combined || a->message_4 || a->fresh))
        return complain("", "--method, --suite, --combined, --message-4 and --fresh go with --edhoc");
    if (a->combined && a->message_4)
        return complain("", "--combined and --message-4 exclude each other: no message_4 follows a combined request");
    return -1;
}

static int
positionals(struct osprey_args *a, int count, char **words)
{
    bool known = false;

    if (count == 0)
        return complain("", "no URI given");
    a->method = OSP_GET;
    if (count > 1) {
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
            if (strcasecmp(words[0], methods[i].name) == 0) {
                a->method = methods[i].code;
                known = true;
            }
        }
        if (!known)
            return complain(words[0], "no such method");
    }
    if (count > 2)
        return complain(words[2], "one URI is enough");
    a->uri = words[count - 1];
    if (a->data && a->file)
        return complain("", "-d and -f exclude each other");
    if (a->deterministic && (a->end_to_end || a->end_to_end_edhoc))
        return complain("", "-E and --deterministic exclude each other: both are the layer for the origin");
    if (a->observe && a->method != OSP_GET && a->method != OSP_FETCH)
        return complain("--observe", "only get and fetch");
    if (a->observe && a->deterministic)
        return complain("", "--observe and --deterministic exclude each other: all clients would register with one request");
    if (a->deterministic && a->method != OSP_GET && a->method != OSP_FETCH)
        return complain("--deterministic", "only get and fetch: anybody may repeat the request");
    return check_edhoc(a);
}

int
osprey_args_parse(struct osprey_args *a, int argc, char **argv)
{
    int         c, index = 0;
    const char *wrong;

    memset(a, 0, sizeof(*a));
    a->values = osp_wr_to(a->value_bytes, sizeof(a->value_bytes));
    a->timeout_s = 60;
    a->edhoc_method = -1;
    a->blocks = true;
    a->szx = OSP_BLOCK_SZX_MAX;
    a->max_body = MAX_BODY;
    optind = 1;
    while ((c = getopt_long(argc, argv, "E:P:d:f:t:A:O:b:s:No:vhV", long_options, &index)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return OSPREY_EXIT_OK;
        }
        if (c == 'V') {
            puts("osprey " OSP_VERSION);
            return OSPREY_EXIT_OK;
        }
        if (c == '?')
            return OSPREY_EXIT_USAGE; /* getopt has said why */
        wrong = apply(a, c, optarg);
        if (wrong)
            return complain(optarg ? optarg : "", wrong);
    }
    return positionals(a, argc - optind, argv + optind);
}

void
osprey_args_fini(struct osprey_args *a)
{
    for (size_t i = 0; i < a->via_count; i++)
        free(a->via[i].uri);
    a->via_count = 0;
}
