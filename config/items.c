/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of the top level and of the sections that are numbers. */
#include "config/schema.h"

#include "base/time.h"
#include "msg/coap.h"

#define AT(member) .at = offsetof(struct osp_cfg, member)
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

static const char *const levels[] = { "error", "warning", "info", "debug", NULL };
static const char *const formats[] = { "text", "json", NULL };

static const struct cfg_item log_items[] = {
    { .key = "level", .type = CFG_CHOICE, .reload = CFG_LIVE, .dflt = CFG_LOG_INFO, AT(log.level), .choices = levels,
      .doc = "what is logged: `error` an operator must act, `warning` something works less well, `info` starts, stops and "
             "reloads, `debug` why a name was not found" },
    { .key = "format", .type = CFG_CHOICE, .reload = CFG_LIVE, .dflt = CFG_LOG_TEXT, AT(log.format), .choices = formats,
      .doc = "one line for each event, as `name key=value`, or as a JSON object" },
    { .key = NULL },
};

static const struct cfg_item lease_items[] = {
    { .key = "block", .type = CFG_UINT, .reload = CFG_RESTART, .min = 2, .max = 1u << 30, .dflt = 10000, AT(lease.block),
      .doc = "sender sequence numbers reserved in the state at a time, ahead of their use (K of RFC 8613, B.1.1); an unclean "
             "stop skips up to this many, and a protected leg that sends more than a few of these blocks a second waits for "
             "the disk" },
    { .key = NULL },
};

#define CACHE_LEAST MIB(1)

static void
check_cache_size(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj)
{
    const struct osp_cfg *cfg = obj;

    if (cfg->cache.size > 0 && cfg->cache.size < CACHE_LEAST)
        cfg_error(l, &n->pos, path, "%zu bytes; 0 for no cache, or at least 1MiB", cfg->cache.size);
}

static const struct cfg_item cache_items[] = {
    { .key = "size", .type = CFG_BYTES, .reload = CFG_RESTART, .min = 0, .max = GIB(1024), .dflt = 0, AT(cache.size),
      .check = check_cache_size,
      .doc = "memory of the cache, tables included, shared by all workers; 0: no cache. At least 1MiB",
      .example = "64MiB" },
    { .key = "max-entry", .type = CFG_BYTES, .reload = CFG_RESTART, .min = 64, .max = 65536,
      .dflt = KIB(16), AT(cache.max_entry),
      .doc = "largest response kept, its key included" },
    { .key = "max-age", .type = CFG_DURATION, .reload = CFG_LIVE, .min = OSP_SEC(1), .max = OSP_SEC(366 * 86400),
      .dflt = OSP_SEC(86400),
      AT(cache.max_age_us),
      .doc = "no response is given from the cache, or to those who join an observation, for longer than this after it came, "
             "whatever its Max-Age says; whole seconds count. Responses that are stored already keep their time" },
    { .key = "serve-stale", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(cache.serve_stale),
      .doc = "where the next hop gives no usable answer, a response that is no longer fresh is given instead of 5.02 or 5.04, "
             "with Max-Age 0" },
    { .key = "single-flight", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(cache.single_flight),
      .doc = "while a request that the cache could answer is on its way, equal ones wait for its answer instead of being sent "
             "too; when that turns out to be none to keep, all are sent" },
    { .key = "request-hash", .type = CFG_UINT, .reload = CFG_RESTART, .min = 1, .max = 65535,
      .dflt = 548, AT(cache.request_hash),
      .doc = "number of the Request-Hash option, which draft-ietf-core-cacheable-oscore only proposes" },
    { .key = NULL },
};

const struct cfg_item cfg_limits_items[] = {
    { .key = "max-datagram", .type = CFG_BYTES, .reload = CFG_RESTART, .min = 1152, .max = OSP_DATAGRAM_MAX,
      .dflt = 4096, AT(limits.max_datagram),
      .doc = "longest datagram that is made; what is longer goes out in blocks (RFC 7959)" },
    { .key = "max-body", .type = CFG_BYTES, .reload = CFG_RESTART, .min = 1152, .max = KIB(64),
      .dflt = KIB(16), AT(limits.max_body),
      .doc = "longest message that is put together from blocks, in either direction (MAX_UNFRAGMENTED_SIZE of RFC 8613); a "
             "longer request is answered 4.13, a longer response 5.02" },
    { .key = "bodies", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 1000000, .dflt = 4096, AT(limits.bodies),
      .doc = "block-wise transfers that something is kept of between two requests; at the bound the oldest one goes that was "
             "begun without a security context, but a body that is still coming does not go for another client's of that kind" },
    { .key = "bodies-per-peer", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 1024,
      .dflt = 64, AT(limits.bodies_per_peer),
      .doc = "of them by one client, which is its security context with us, or else its address; beyond it its oldest one goes" },
    { .key = "client-share", .type = CFG_UINT, .reload = CFG_RESTART, .min = 1, .max = 100, .dflt = 25, AT(limits.client_share),
      .doc = "percent of `exchanges`, of the observations among them, of `bodies`, and of unacknowledged separate responses (as "
             "many as `exchanges`) that one client may have, over all workers; beyond it a request gets 5.03, a registration an "
             "ordinary answer, and a separate response is not confirmable. A client is its security context with us, or else its "
             "address. At one worker it may have twice its part of that" },
    { .key = "prefix-share", .type = CFG_UINT, .reload = CFG_RESTART, .min = 1, .max = 100, .dflt = 50, AT(limits.prefix_share),
      .doc = "percent of each of these tables that all clients of one network (IPv4 /24, IPv6 /48) may have, those with a "
             "security context not counted" },
    { .key = "known-reserve", .type = CFG_UINT, .reload = CFG_RESTART, .min = 0, .max = 90,
      .dflt = 25, AT(limits.known_reserve),
      .doc = "percent of each of these tables that clients without a security context leave free for those with one" },
    { .key = "messages", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 10000000,
      .dflt = 4194304, AT(limits.messages),
      .doc = "messages remembered to answer duplicates, each for its lifetime (247 s for confirmable ones, 145 s for others). "
             "Size it by time: requests per second times the seconds to be covered; a client repeats a request for up to 45 s, "
             "which the default covers at 93,000 requests per second. At the bound, or when `memory` is used up, the message "
             "that was finished first goes first" },
    { .key = "exchanges", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 10000000,
      .dflt = 65536, AT(limits.exchanges),
      .doc = "requests on their way at a time; at the bound, or beyond a client's share, new ones get 5.03. Half of them may be "
             "observations and the registrations upstream that those share, beyond which a registration gets an ordinary "
             "answer" },
    { .key = "upstream-peers", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 10000000,
      .dflt = 4096, AT(limits.upstream_peers),
      .doc = "next hops that requests are on their way to" },
    { .key = "names", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 1000000, .dflt = 4096, AT(limits.names),
      .doc = "host names remembered with their addresses, or as not found" },
    { .key = "memory", .type = CFG_BYTES, .reload = CFG_RESTART, .min = MIB(1), .max = GIB(1024),
      .dflt = MIB(256), AT(limits.memory),
      .doc = "memory of exchanges and stored messages; the daemon shares it out among its workers, each of which needs at least "
             "6MiB with the default `max-body`, more with a larger one. A finished message takes 32 bytes, a confirmable one its "
             "answer besides; they give way to new work" },
    { .key = "max-token", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 8, .max = 4096, .dflt = 64, AT(limits.max_token),
      .doc = "longest token accepted from a client, in bytes (RFC 8974)" },
    { .key = "queued", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 10000000, .dflt = 10000, AT(limits.queued),
      .doc = "confirmable requests that wait because `nstart` of them are outstanding at their next hop. Each client has a queue "
             "per next hop; they are served in turn, and no client has more places, over all next hops, than are left to the "
             "others" },
    { .key = "amplification", .type = CFG_UINT, .reload = CFG_RESTART, .min = 0, .max = 1000,
      .dflt = 3, AT(limits.amplification),
      .doc = "an address of the Internet gets at most this many times the bytes of its request (payload of UDP, all answers and "
             "repetitions together), until an Echo that came back or a layer that came off has proven that somebody is there "
             "(RFC 9175, 2.6): a longer answer is a 4.01 with Echo, or goes out in small blocks, and a registration has to carry "
             "an Echo. Loopback, link-local and private addresses are not asked; 0: nobody is" },
    { .key = "nstart", .type = CFG_UINT, .reload = CFG_RESTART, .min = 1, .max = 65535, .dflt = 16, AT(limits.nstart),
      .doc = "confirmable requests outstanding at one next hop (NSTART of RFC 7252), of which the last quarter is for clients "
             "that have none. 1 spares a constrained origin, but one lost datagram then holds every client up. A client is "
             "its security context with us, or else its address" },
    { .key = "upstream-ports", .type = CFG_UINT, .reload = CFG_RESTART, .min = 1, .max = 1024,
      .dflt = 1024, AT(limits.upstream_ports),
      .doc = "UDP ports that requests are sent from, for each worker, at most. Each has 65536 Message IDs for each next hop in "
             "247 s, which is 265 requests per second; another one is opened when those before are used up. When none is left, "
             "requests get 5.03" },
    { .key = "response-timeout", .type = CFG_DURATION, .reload = CFG_LIVE, .min = OSP_MS(10),
      .max = OSP_SEC(OSP_EXCHANGE_LIFETIME_S) - OSP_MS(1),
      .dflt = OSP_SEC(100),
      AT(limits.response_timeout_us),
      .doc = "a request that has no answer by then is answered 5.04; below 247s, when the client forgets that it asked" },
    { .key = "early-ack", .type = CFG_DURATION, .reload = CFG_RESTART, .min = OSP_MS(1), .max = OSP_MS(1900),
      .dflt = OSP_MS(500),
      AT(limits.early_ack_us),
      .doc = "a confirmable request that has no answer by then is acknowledged, and answered separately; below the 2 s after "
             "which clients repeat it" },
    { .key = "drain", .type = CFG_DURATION, .reload = CFG_LIVE, .min = 0, .max = OSP_SEC(600),
      .dflt = OSP_SEC(5), AT(limits.drain_us),
      .doc = "how long a clean stop waits for exchanges on their way" },
    { .key = "receive-buffer", .type = CFG_BYTES, .reload = CFG_RESTART, .min = 0, .max = GIB(1),
      .dflt = MIB(4), AT(limits.receive_buffer),
      .doc = "socket receive buffer asked of the system; 0 leaves the system's" },
    { .key = NULL },
};

static const struct cfg_item forward_items[] = {
    { .key = "enabled", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(forward.enabled),
      .doc = "forward-proxy: requests that name another host (Proxy-Scheme, Proxy-Uri) are forwarded, if a rule of `clients` "
             "allows it; otherwise they are answered 5.05" },
    { .key = "next-hop", .type = CFG_OTHER, .reload = CFG_LIVE, AT(forward.next_hop), .kind = &cfg_kind_next_hop,
      .dflt_text = "none",
      .doc = "send them on to this proxy instead of to the host they name",
      .example = "{ uri: \"coap://192.0.2.1\", context: p2 }" },
    { .key = "max-layers", .type = CFG_UINT, .reload = CFG_LIVE, .min = 1, .max = 8, .dflt = 4, AT(forward.max_layers),
      .doc = "OSCORE layers removed from one request, for routes too; more are answered 4.01" },
    { .key = "hop-limit", .type = CFG_UINT, .reload = CFG_LIVE, .min = 0, .max = 255, .dflt = 0, AT(forward.hop_limit),
      .doc = "Hop-Limit (RFC 8768) put into every request that has none, also towards hosts and upstreams of routes; 0: only on "
             "the way to `next-hop`. 16 is a good value where routes lead to other proxies" },
    { .key = NULL },
};

/* The name goes into payloads of 5.08, in which blanks separate names: so it has none. */
static void
read_node_name(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const char *text = n ? cfg_scalar(l, n, path, "a name") : NULL;
    char      **out = obj;

    if (!text)
        return;
    if (!cfg_is_name(text))
        cfg_error(l, &n->pos, path, "has to be " CFG_NAME_FORM);
    else
        *out = cfg_text(l, osp_slice_str(text));
}

static void
print_node_name(struct cfg_out *o, const char *key, const void *obj)
{
    char *const *name = obj;

    if (*name)
        cfg_out_text(o, key, *name);
    else
        (void)fprintf(o->to, "# %s: the host name of the machine\n", key);
}

static const struct cfg_kind kind_node_name = { CFG_NAME_FORM, read_node_name, print_node_name, NULL };

#define SOCKET_PATH_MAX 107             /* bytes of a sun_path */

static void
check_control(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj)
{
    const struct osp_cfg *cfg = obj;

    if (cfg->control && strlen(cfg->control) > SOCKET_PATH_MAX)
        cfg_error(l, &n->pos, path, "%zu bytes as an absolute path; a socket's has at most %d", strlen(cfg->control),
                  SOCKET_PATH_MAX);
}

/* A mark within the state directory would be copied or restored with it, and could not show that this happened. */
static void
check_state_mark(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj)
{
    const struct osp_cfg *cfg = obj;
    struct osp_slice      state = osp_slice_str(cfg->state), mark = osp_slice_str(cfg->state_mark);

    while (state.n > 1 && state.p[state.n - 1] == '/')
        state.n--;
    if (!cfg->state_mark)
        return;
    if (!cfg->state)
        cfg_error(l, &n->pos, path, "there is no `state` that it could be the mark of");
    else if (osp_slice_eq(osp_slice_head(mark, state.n), state) && (mark.n == state.n || mark.p[state.n] == '/'))
        cfg_error(l, &n->pos, path, "lies within `state`; the mark belongs into a directory outside of it");
}

const struct cfg_item cfg_items[] = {
    { .key = "listen", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, .kind = &cfg_kind_listen,
      .doc = "addresses requests are received at; only `coap://` in this version", .example = "[ \"coap://[::]:5683\" ]" },
    { .key = "state", .type = CFG_PATH, .reload = CFG_RESTART, AT(state), .dflt_text = "none",
      .doc = "directory of what must survive a stop: sender sequence numbers and replay windows; mode 0700, on a local disk. "
             "Required as soon as there are `contexts`: without it a restart would use a (key, nonce) pair twice. Made by "
             "`ospreyd --init-state`, never by a start",
      .example = "/var/lib/osprey" },
    { .key = "state-size", .type = CFG_BYTES, .reload = CFG_RESTART, .min = MIB(1), .max = GIB(1024),
      .dflt = MIB(64), AT(state_size),
      .doc = "room taken from the disk for it at the start, so that no write can fail later for want of it; it never shrinks" },
    { .key = "state-mark", .type = CFG_PATH, .reload = CFG_RESTART, AT(state_mark),
      .dflt_text = "the name of `state` with `.mark` after it",
      .check = check_state_mark,
      .doc = "directory of the mark, a file that says how far the state had come, so that a copy of the state or an older one is "
             "noticed; not within `state`, mode 0700, best on another file system",
      .example = "/var/lib/osprey.mark" },
    { .key = "contexts", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &cfg_kind_contexts, .dflt_text = "[]",
      .doc = "OSCORE Security Contexts: a list, or `{ include: PATH }`; see below", .example = "{ include: contexts.d }" },
    { .key = "clients", .type = CFG_ITEMS, .reload = CFG_LIVE, AT(clients), .max = 10000, .items = cfg_client_items,
      .size = sizeof(struct cfg_client),
      .count_at = offsetof(struct osp_cfg, client_count), .pos_at = offsetof(struct cfg_client, pos), .dflt_text = "[]",
      .doc = "who may do what: the first rule whose `match` fits decides; a client that none fits gets 4.01" },
    { .key = "forward-proxy", .type = CFG_SECTION, .items = forward_items,
      .doc = "requests for other hosts" },
    { .key = "upstreams", .type = CFG_ITEMS, .reload = CFG_LIVE, AT(upstreams), .max = 10000, .items = cfg_upstream_items,
      .size = sizeof(struct cfg_upstream),
      .count_at = offsetof(struct osp_cfg, upstream_count), .pos_at = offsetof(struct cfg_upstream, pos), .dflt_text = "[]",
      .doc = "hosts that forward-proxied requests reach under a layer of ours; the first that fits decides" },
    { .key = "routes", .type = CFG_ITEMS, .reload = CFG_LIVE, AT(routes), .max = 10000, .items = cfg_route_items,
      .size = sizeof(struct cfg_route),
      .count_at = offsetof(struct osp_cfg, route_count), .pos_at = offsetof(struct cfg_route, pos), .dflt_text = "[]",
      .doc = "reverse-proxy: requests for us, by host, port and path, that another server answers" },
    { .key = "hosts", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &cfg_kind_hosts, .dflt_text = "{}",
      .doc = "host names resolved here, before the system is asked; an address that is guarded (see Targets) stays so",
      .example = "{ sensor.example: 192.0.2.7 }" },
    { .key = "names", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &cfg_kind_names, .dflt_text = "[]",
      .doc = "our own host names: a request for one of them is for us and never forwarded", .example = "[ proxy.example ]" },
    { .key = "node-name", .type = CFG_OTHER, .reload = CFG_LIVE, AT(node_name), .kind = &kind_node_name,
      .dflt_text = "the host name of the machine",
      .doc = "what 5.08 answers call this proxy (RFC 8768); unique among the proxies of a chain. The default is one of `names`, "
             "too" },
    { .key = "otp-compat", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(otp_compat),
      .doc = "answer as draft-tiloca-core-oscore-to-proxies-03 (July 2022) says where the newer text differs" },
    { .key = "workers", .type = CFG_UINT, .reload = CFG_RESTART, .min = 1, .max = 64, .dflt = 1, AT(workers),
      .doc = "threads that serve, each with sockets of its own" },
    { .key = "limits", .type = CFG_SECTION, .items = cfg_limits_items,
      .doc = "bounds of every table a peer can fill, shared out among the workers, and times" },
    { .key = "cache", .type = CFG_SECTION, .items = cache_items,
      .doc = "responses kept and given again while they are fresh (RFC 7252, 5.6), deterministic OSCORE requests included" },
    { .key = "key-limits", .type = CFG_SECTION, .items = cfg_key_limit_items,
      .doc = "how much the keys of a context may be used (draft-ietf-core-oscore-key-limits)" },
    { .key = "lease", .type = CFG_SECTION, .items = lease_items,
      .doc = "how sequence numbers are reserved" },
    { .key = "control", .type = CFG_PATH, .reload = CFG_RESTART, AT(control), .dflt_text = "none", .check = check_control,
      .doc = "path of the socket that `ospreyctl` talks to", .example = "/run/osprey/control.sock" },
    { .key = "status", .type = CFG_OTHER, .reload = CFG_RESTART, AT(status), .kind = &cfg_kind_status,
      .size = sizeof(((struct osp_cfg *)NULL)->status), .dflt_text = "none",
      .doc = "address of the status page and of /metrics; both are open to whoever reaches it",
      .example = "http://127.0.0.1:9683" },
    { .key = "log", .type = CFG_SECTION, .items = log_items,
      .doc = "the log, on standard error" },
    { .key = "edhoc", .type = CFG_SECTION, .items = cfg_edhoc_items, .check = cfg_check_edhoc,
      .doc = "contexts that clients establish with EDHOC (RFC 9528) instead of having them configured" },
    { .key = NULL },
};
