/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/metrics.h"

#include <inttypes.h>

enum kind { COUNTER, GAUGE, SUMMARY };
enum from { WORKERS, DAEMON };                  /* a field of struct osp_worker_stats, added up, or of struct osp_metrics */
enum unit { NUMBER, MICROSECONDS, PERCENT };    /* of the field; the two others are shown as seconds and as a ratio */

/*
 * One line of the text.  Lines of one name follow each other and differ in their label; the first of them has the help.
 * size_t and uint64_t are the same on all machines this runs on.
 */
struct row {
    const char *name, *label, *help;
    enum kind   kind;
    enum from   from;
    size_t      offset;
    enum unit   unit;
};

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "rows are read as 64-bit numbers");

#define W(member) WORKERS, offsetof(struct osp_worker_stats, member), NUMBER
#define U(kind, known) W(proxy.used[OSP_SHARE_##kind][known])
#define D(member) DAEMON, offsetof(struct osp_metrics, member), NUMBER
#define D_US(member) DAEMON, offsetof(struct osp_metrics, member), MICROSECONDS
#define D_PERCENT(member) DAEMON, offsetof(struct osp_metrics, member), PERCENT

static const struct row rows[] = {
    { "osprey_uptime_seconds", "", "Seconds since the start.", GAUGE, D(uptime_s) },
    { "osprey_workers", "", "Worker threads.", GAUGE, D(worker_count) },
    { "osprey_workers_alive", "", "Worker threads that answered in time.", GAUGE, D(workers_alive) },
    { "osprey_draining", "", "1 while stopping.", GAUGE, D(draining) },
    { "osprey_own_addresses", "", "Addresses of this machine, which rules have to name.", GAUGE, D(own_addresses) },
    { "osprey_own_addresses_changes_total", "", "Times that they changed.", COUNTER, D(own_changes) },
    { "osprey_memory_locked", "", "1 if no memory of the daemon gets into swap.", GAUGE, D(memory_locked) },
    { "osprey_reloads_total", "", "Configurations taken over by a reload.", COUNTER, D(own.reloads) },
    { "osprey_restart_needed", "", "Keys of the configuration whose change waits for a restart.", GAUGE,
      D(own.restart_needed) },
    { "osprey_reloads_refused_total", "", "Reloads that changed nothing.", COUNTER, D(own.reloads_refused) },
    { "osprey_datagrams_received_total", "", "Datagrams read.", COUNTER, W(udp.rx_datagrams) },
    { "osprey_receive_batches_total", "", "System calls that read at least one datagram.", COUNTER, W(udp.rx_batches) },
    { "osprey_datagrams_truncated_total", "", "Datagrams too long for the receive buffer, dropped.", COUNTER,
      W(udp.rx_truncated) },
    { "osprey_receive_errors_total", "", "Failed reads.", COUNTER, W(udp.rx_errors) },
    { "osprey_datagrams_sent_total", "", "Datagrams sent.", COUNTER, W(udp.tx_datagrams) },
    { "osprey_send_batches_total", "", "System calls that sent.", COUNTER, W(udp.tx_batches) },
    { "osprey_send_failures_total", "reason=\"error\"", "Datagrams that could not be sent.", COUNTER, W(udp.tx_errors) },
    { "osprey_send_failures_total", "reason=\"system_queue_full\"", NULL, COUNTER, W(udp.tx_full) },
    { "osprey_send_failures_total", "reason=\"turn_queue_full\"", NULL, COUNTER, W(dropped_tx) },
    { "osprey_requests_refused_total", "reason=\"no_listener\"", "Requests dropped before they were looked at.", COUNTER,
      W(dropped_foreign) },
    { "osprey_requests_refused_total", "reason=\"draining\"", NULL, COUNTER, W(refused_draining) },
    { "osprey_loop_turns_total", "", "Turns of the event loops.", COUNTER, W(turns) },
    { "osprey_messages_total", "kind=\"request\"", "Messages that came in, by kind.", COUNTER, W(ep.rx_request) },
    { "osprey_messages_total", "kind=\"response\"", NULL, COUNTER, W(ep.rx_response) },
    { "osprey_messages_total", "kind=\"empty\"", NULL, COUNTER, W(ep.rx_empty) },
    { "osprey_messages_total", "kind=\"duplicate\"", NULL, COUNTER, W(ep.rx_duplicate) },
    { "osprey_pings_answered_total", "", "CoAP pings answered.", COUNTER, W(ep.rx_pong) },
    { "osprey_retransmissions_total", "", "Confirmable messages sent again.", COUNTER, W(ep.retransmitted) },
    { "osprey_message_timeouts_total", "", "Confirmable messages given up.", COUNTER, W(ep.timeouts) },
    { "osprey_resets_total", "direction=\"sent\"", "Reset messages.", COUNTER, W(ep.resets_sent) },
    { "osprey_resets_total", "direction=\"received\"", NULL, COUNTER, W(ep.resets_received) },
    { "osprey_early_acks_total", "", "Empty ACKs sent because the answer took long.", COUNTER, W(ep.early_acks) },
    { "osprey_responses_sent_total", "how=\"piggybacked\"", "Responses to clients, by the message that carried them.",
      COUNTER,
      W(ep.piggybacked) },
    { "osprey_responses_sent_total", "how=\"separate\"", NULL, COUNTER, W(ep.separate) },
    { "osprey_deduplication_evicted_total", "", "Deduplication entries that had to go before their time.", COUNTER,
      W(ep.dedup_evicted) },
    { "osprey_deduplication_entries", "", "Deduplication entries now.", GAUGE, W(ep.messages) },
    { "osprey_upstream_requests", "", "Requests of ours without an answer yet.", GAUGE, W(ep.requests) },
    { "osprey_upstream_peers", "", "Upstream peers with state now.", GAUGE, W(ep.peers) },
    { "osprey_upstream_queued", "", "Confirmable requests waiting for NSTART.", GAUGE, W(ep.queued) },
    { "osprey_upstream_queue_refused_total", "", "Confirmable requests refused because the queues were full.", COUNTER,
      W(ep.queue_refused) },
    { "osprey_upstream_ports", "", "UDP ports open for requests to next hops.", GAUGE, W(upstream_ports) },
    { "osprey_upstream_ports_failed_total", "", "Failed attempts to open one.", COUNTER, W(ports_failed) },
    { "osprey_message_ids_exhausted_total", "", "Requests refused because no upstream port had a Message ID left.", COUNTER,
      W(ep.mids_exhausted) },
    { "osprey_requests_total", "", "New requests, duplicates not counted.", COUNTER, W(proxy.requests) },
    { "osprey_forwarded_total", "way=\"forward\"", "Requests sent on, by role.", COUNTER, W(proxy.forwarded_forward) },
    { "osprey_forwarded_total", "way=\"reverse\"", NULL, COUNTER, W(proxy.forwarded_reverse) },
    { "osprey_local_total", "", "Requests for this proxy itself.", COUNTER, W(proxy.local) },
    { "osprey_oscore_layers_removed_total", "", "OSCORE layers taken off.", COUNTER, W(proxy.layers_removed) },
    { "osprey_oscore_layers_left_total", "", "Requests under a kid of ours whose layer was another's, sent on as they were.",
      COUNTER, W(proxy.layers_left) },
    { "osprey_outer_authority_ignored_total", "",
      "Protected requests with a Uri-Host or Uri-Port outside that chose no route.",
      COUNTER, W(proxy.outer_ignored) },
    { "osprey_oscore_layers_added_total", "", "OSCORE layers put on.", COUNTER, W(proxy.layers_added) },
    { "osprey_echo_challenges_total", "kind=\"new\"", "Requests answered with an Echo challenge.",
      COUNTER, W(proxy.challenges) },
    { "osprey_echo_challenges_total", "kind=\"repeated\"", NULL, COUNTER, W(proxy.challenges_repeated) },
    { "osprey_echo_challenges_total", "kind=\"withheld\"", NULL, COUNTER, W(proxy.errors[OSP_E_WITHHELD]) },
    { "osprey_answers_shortened_total", "", "Answers cut into blocks, or without their text, for an unverified address.",
      COUNTER, W(proxy.shortened) },
    { "osprey_rekey_answers_total", "", "Requests answered with an R2, so that keys are derived anew.", COUNTER,
      W(proxy.rekey_begun) },
    { "osprey_rekeyings_total", "role=\"server\"", "Contexts derived anew, by our role.", COUNTER, W(proxy.rekeyed_server) },
    { "osprey_rekeyings_total", "role=\"client\"", NULL, COUNTER, W(proxy.rekeyed_client) },
    { "osprey_cached_answers_total", "kind=\"fresh\"", "Requests answered from the cache.", COUNTER, W(proxy.cached) },
    { "osprey_cached_answers_total", "kind=\"stale\"", NULL, COUNTER, W(proxy.stale) },
    { "osprey_answers_total", "class=\"2\"", "Answers to clients, by response class.", COUNTER, W(proxy.answers[2]) },
    { "osprey_answers_total", "class=\"3\"", NULL, COUNTER, W(proxy.answers[3]) },
    { "osprey_answers_total", "class=\"4\"", NULL, COUNTER, W(proxy.answers[4]) },
    { "osprey_answers_total", "class=\"5\"", NULL, COUNTER, W(proxy.answers[5]) },
    { "osprey_notifications_total", "", "Notifications of observed resources sent to clients.", COUNTER,
      W(proxy.notifications) },
    { "osprey_observations", "", "Observations that clients hold through the proxy.", GAUGE, W(proxy.observations) },
    { "osprey_observed_subjects", "", "What they observe, each with one registration upstream.", GAUGE, W(proxy.subjects) },
    { "osprey_edhoc_runs_total", "result=\"agreed\"", "EDHOC sessions as the Initiator, towards next hops.", COUNTER,
      W(proxy.agreed) },
    { "osprey_edhoc_runs_total", "result=\"failed\"", NULL, COUNTER, W(proxy.not_agreed) },
    { "osprey_edhoc_combined_total", "", "Requests that took message_3 along.", COUNTER, W(proxy.combined) },
    { "osprey_requests_joined_total", "", "Requests that waited for the answer to an equal one (cache.single-flight).",
      COUNTER,
      W(proxy.joined) },
    { "osprey_registrations_merged_total", "", "Registrations of clients that joined one that was there.", COUNTER,
      W(proxy.merged) },
    { "osprey_registrations_renewed_total", "", "Registrations upstream made again when Max-Age had passed.", COUNTER,
      W(proxy.renewed) },
    { "osprey_bodies_total", "what=\"assembled\"", "Messages put together from blocks or cut into them.", COUNTER,
      W(proxy.bodies_assembled) },
    { "osprey_bodies_total", "what=\"cut\"", NULL, COUNTER, W(proxy.bodies_cut) },
    { "osprey_bodies_total", "what=\"sent\"", NULL, COUNTER, W(proxy.bodies_sent) },
    { "osprey_bodies_total", "what=\"collected\"", NULL, COUNTER, W(proxy.bodies_collected) },
    { "osprey_bodies_total", "what=\"gathered\"", NULL, COUNTER, W(proxy.bodies_gathered) },
    { "osprey_blocks_total", "what=\"served\"", "Blocks given out of messages that were cut.",
      COUNTER, W(proxy.blocks_served) },
    { "osprey_blocks_total", "what=\"sent\"", NULL, COUNTER, W(proxy.blocks_sent) },
    { "osprey_bodies_lost_total", "why=\"evicted\"", "Block-wise transfers given up.", COUNTER, W(proxy.bodies_evicted) },
    { "osprey_bodies_lost_total", "why=\"expired\"", NULL, COUNTER, W(proxy.bodies_expired) },
    { "osprey_bodies", "", "Block-wise transfers that something is kept of.", GAUGE, W(proxy.bodies) },
    { "osprey_share_used", "table=\"exchanges\",client=\"unknown\"",
      "Entries of tables that clients with a security context (known) and without one (unknown) have.", GAUGE, U(EXCHANGES, 0) },
    { "osprey_share_used", "table=\"exchanges\",client=\"known\"", NULL, GAUGE, U(EXCHANGES, 1) },
    { "osprey_share_used", "table=\"observations\",client=\"unknown\"", NULL, GAUGE, U(OBSERVATIONS, 0) },
    { "osprey_share_used", "table=\"observations\",client=\"known\"", NULL, GAUGE, U(OBSERVATIONS, 1) },
    { "osprey_share_used", "table=\"bodies\",client=\"unknown\"", NULL, GAUGE, U(BODIES, 0) },
    { "osprey_share_used", "table=\"bodies\",client=\"known\"", NULL, GAUGE, U(BODIES, 1) },
    { "osprey_share_used", "table=\"separate\",client=\"unknown\"", NULL, GAUGE, U(SEPARATE, 0) },
    { "osprey_share_used", "table=\"separate\",client=\"known\"", NULL, GAUGE, U(SEPARATE, 1) },
    { "osprey_exchanges", "", "Exchanges in flight.", GAUGE, W(proxy.exchanges) },
    { "osprey_exchanges_parked", "", "Exchanges waiting for a name or a lease.", GAUGE, W(proxy.parked) },
    { "osprey_locations_dropped_total", "", "Responses whose Location led out of their route, or had dot segments.", COUNTER,
      W(proxy.locations_dropped) },
    { "osprey_names_cached", "", "Entries of the name caches.", GAUGE, W(proxy.names) },
    { "osprey_pool_bytes", "", "Memory of exchanges and stored messages in use.", GAUGE, W(proxy.pool_used) },
    { "osprey_pool_limit_bytes", "", "Its limit.", GAUGE, W(proxy.pool_limit) },
    { "osprey_cache_lookups_total", "result=\"hit\"", "Questions to the cache, by what came of them.", COUNTER,
      D(cache.hits) },
    { "osprey_cache_lookups_total", "result=\"not_modified\"", NULL, COUNTER, D(cache.not_modified) },
    { "osprey_cache_lookups_total", "result=\"stale\"", NULL, COUNTER, D(cache.stale) },
    { "osprey_cache_lookups_total", "result=\"miss\"", NULL, COUNTER, D(cache.misses) },
    { "osprey_cache_changes_total", "what=\"stored\"", "What became of responses and entries.", COUNTER, D(cache.stored) },
    { "osprey_cache_changes_total", "what=\"refreshed\"", NULL, COUNTER, D(cache.refreshed) },
    { "osprey_cache_changes_total", "what=\"invalidated\"", NULL, COUNTER, D(cache.invalidated) },
    { "osprey_cache_changes_total", "what=\"evicted\"", NULL, COUNTER, D(cache.evicted) },
    { "osprey_cache_changes_total", "what=\"expired\"", NULL, COUNTER, D(cache.expired) },
    { "osprey_cache_changes_total", "what=\"purged\"", NULL, COUNTER, D(cache.purged) },
    { "osprey_cache_changes_total", "what=\"refused\"", NULL, COUNTER, D(cache.refused) },
    { "osprey_cache_changes_total", "what=\"unprotected\"", NULL, COUNTER, D(cache.unprotected) },
    { "osprey_cache_entries", "", "Responses in the cache.", GAUGE, D(cache.entries) },
    { "osprey_cache_bytes", "", "Memory of the cache, tables included.", GAUGE, D(cache.bytes) },
    { "osprey_cache_limit_bytes", "", "Its limit, 0 without a cache.", GAUGE, D(cache.limit) },
    { "osprey_edhoc_sessions_total", "what=\"started\"", "EDHOC sessions as the Responder, by what became of them.",
      COUNTER, D(edhoc.started) },
    { "osprey_edhoc_sessions_total", "what=\"completed\"", NULL, COUNTER, D(edhoc.completed) },
    { "osprey_edhoc_sessions_total", "what=\"failed\"", NULL, COUNTER, D(edhoc.failed) },
    { "osprey_edhoc_sessions_total", "what=\"expired\"", NULL, COUNTER, D(edhoc.expired) },
    { "osprey_edhoc_sessions_total", "what=\"evicted\"", NULL, COUNTER, D(edhoc.evicted) },
    { "osprey_edhoc_sessions_total", "what=\"duplicate\"", NULL, COUNTER, D(edhoc.duplicates) },
    { "osprey_edhoc_sessions_total", "what=\"challenged\"", NULL, COUNTER, D(edhoc.verified) },
    { "osprey_edhoc_sessions", "", "Sessions that wait for message_3.", GAUGE, D(edhoc.unfinished) },
    { "osprey_kept_contexts_total", "what=\"made\"", "Security contexts made at run time, by what became of them.",
      COUNTER, D(kept.added) },
    { "osprey_kept_contexts_total", "what=\"replaced\"", NULL, COUNTER, D(kept.replaced) },
    { "osprey_kept_contexts_total", "what=\"no_room\"", NULL, COUNTER, D(kept.no_room) },
    { "osprey_kept_contexts_total", "what=\"expired\"", NULL, COUNTER, D(kept.expired) },
    { "osprey_kept_contexts_total", "what=\"revoked\"", NULL, COUNTER, D(kept.revoked) },
    { "osprey_kept_contexts", "", "Security contexts made at run time that are kept now.", GAUGE, D(kept.count) },
    { "osprey_kept_contexts_limit", "", "How many may be kept, by the configuration and the room in the state file.",
      GAUGE, D(kept.limit) },
    { "osprey_local_connections_total", "socket=\"control\",end=\"answered\"",
      "Connections to the control socket and the status page, by how they ended.", COUNTER, D(control.answered) },
    { "osprey_local_connections_total", "socket=\"control\",end=\"dropped\"", NULL, COUNTER, D(control.dropped) },
    { "osprey_local_connections_total", "socket=\"control\",end=\"late\"", NULL, COUNTER, D(control.late) },
    { "osprey_local_connections_total", "socket=\"control\",end=\"displaced\"", NULL, COUNTER, D(control.displaced) },
    { "osprey_local_connections_total", "socket=\"status\",end=\"answered\"", NULL, COUNTER, D(status.answered) },
    { "osprey_local_connections_total", "socket=\"status\",end=\"dropped\"", NULL, COUNTER, D(status.dropped) },
    { "osprey_local_connections_total", "socket=\"status\",end=\"late\"", NULL, COUNTER, D(status.late) },
    { "osprey_local_connections_total", "socket=\"status\",end=\"displaced\"", NULL, COUNTER, D(status.displaced) },
    { "osprey_accept_pauses_total", "", "Times that the system had no descriptor left for a connection to them.", COUNTER,
      D(accept_pauses) },
    { "osprey_status_foreign_host_total", "", "Requests to the status page under a host name that is not ours.", COUNTER,
      D(status_foreign) },
    { "osprey_leases_asked_total", "", "Requests to lease numbers or to write key usage down.", COUNTER, D(lease.asked) },
    { "osprey_leases_granted_total", "", "Such requests that were done.", COUNTER, D(lease.granted) },
    { "osprey_lease_numbers_total", "", "Sequence numbers that the leases have taken.", COUNTER, D(lease.numbers) },
    { "osprey_leases_failed_total", "", "Leases that the store refused.", COUNTER, D(lease.failed) },
    { "osprey_store_commit_longest_seconds", "", "The longest commit since the start.", GAUGE, D_US(lease.commit_us_max) },
    { "osprey_state_used_bytes", "", "Bytes of the state file in use.", GAUGE, D(state_used) },
    { "osprey_state_size_bytes", "", "Size of the state file.", GAUGE, D(state_size) },
    { "osprey_state_fill_ratio", "", "Part of the state file's room for records that is in use.", GAUGE,
      D_PERCENT(state_fill) },
    { "osprey_unclean_start", "", "1 if the stop before this run was unclean.", GAUGE, D(unclean_start) },
    { "osprey_contexts", "", "Security contexts configured.", GAUGE, D(contexts) },
    { "osprey_key_limits_total", "state=\"worn\"",
      "Security contexts whose keys came near a usage limit, or to it, in this run.", COUNTER, D(own.keys_worn) },
    { "osprey_key_limits_total", "state=\"over\"", NULL, COUNTER, D(own.keys_over) },
    { "osprey_dns_asked_total", "", "Host names that workers asked for.", COUNTER, D(dns.asked) },
    { "osprey_dns_shared_total", "", "Of these, names that joined a query under way.", COUNTER, D(dns.shared) },
    { "osprey_dns_answered_total", "", "Queries with an address.", COUNTER, D(dns.answered) },
    { "osprey_dns_failed_total", "", "Queries without one.", COUNTER, D(dns.failed) },
    { "osprey_dns_refused_total", "", "Names refused because too many were pending.", COUNTER, D(dns.refused) },
    { "osprey_dns_pending", "", "Queries under way.", GAUGE, D(dns.pending) },
};

static uint64_t
value_at(const void *stats, size_t offset)
{
    uint64_t v;

    memcpy(&v, (const char *)stats + offset, sizeof(v));
    return v;
}

uint64_t
osp_metrics_sum(const struct osp_metrics *m, size_t offset)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < m->worker_count; i++)
        sum += value_at(&m->workers[i], offset);
    return sum;
}

static void
head(FILE *to, const char *name, const char *help, enum kind kind)
{
    static const char *const types[] = { "counter", "gauge", "summary" };

    (void)fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[kind]);
}

/* A line for each error of the list, so that a counter exists before its first event. */
static void
by_reason(const struct osp_metrics *m, FILE *to, const char *name, const char *help, size_t offset)
{
    head(to, name, help, COUNTER);
    for (int e = OSP_OK + 1; e < OSP_ERR_COUNT; e++)
        (void)fprintf(to, "%s{reason=\"%s\"} %" PRIu64 "\n", name, osp_err_name((enum osp_err)e),
                      osp_metrics_sum(m, offset + (size_t)e * sizeof(uint64_t)));
}

static void
put_value(FILE *to, uint64_t v, enum unit unit)
{
    switch (unit) {
    case NUMBER: (void)fprintf(to, " %" PRIu64 "\n", v); break;
    case MICROSECONDS: (void)fprintf(to, " %" PRIu64 ".%06" PRIu64 "\n", v / 1000000, v % 1000000); break;
    case PERCENT: (void)fprintf(to, " %" PRIu64 ".%02" PRIu64 "\n", v / 100, v % 100); break;
    }
}

static void
put_row(const struct osp_metrics *m, const struct row *r, FILE *to)
{
    bool labelled = *r->label != '\0';

    if (r->help)
        head(to, r->name, r->help, r->kind);
    (void)fprintf(to, "%s%s%s%s", r->name, labelled ? "{" : "", r->label, labelled ? "}" : "");
    put_value(to, r->from == WORKERS ? osp_metrics_sum(m, r->offset) : value_at(m, r->offset), r->unit);
}

/* The shortest of the workers' spans: for how long every worker remembers finished messages. */
static uint64_t
dedup_span_us(const struct osp_metrics *m)
{
    uint64_t least = m->worker_count ? m->workers[0].ep.dedup_span_us : 0;

    for (size_t i = 1; i < m->worker_count; i++)
        least = m->workers[i].ep.dedup_span_us < least ? m->workers[i].ep.dedup_span_us : least;
    return least;
}

static void
render_commits(const struct osp_metrics *m, FILE *to)
{
    head(to, "osprey_store_commit_seconds", "Time of the store's commits.", SUMMARY);
    (void)fprintf(to, "osprey_store_commit_seconds_sum");
    put_value(to, m->lease.commit_us_sum, MICROSECONDS);
    (void)fprintf(to, "osprey_store_commit_seconds_count");
    put_value(to, m->lease.commits, NUMBER);
}

static void
render_shares(const struct osp_metrics *m, FILE *to)
{
    static const char *const tables[] = { "exchanges", "observations", "bodies", "separate" };
    static const char *const whys[] = { "full", "reserve", "client", "prefix" };

    _Static_assert(sizeof(tables) / sizeof(tables[0]) == OSP_SHARE_KINDS, "all");
    _Static_assert(sizeof(whys) / sizeof(whys[0]) == OSP_SHARE_WHYS, "all");
    head(to, "osprey_share_limit", "Entries that each table may have.", GAUGE);
    for (int k = 0; m->shares && k < OSP_SHARE_KINDS; k++)
        (void)fprintf(to, "osprey_share_limit{table=\"%s\"} %zu\n", tables[k],
                      osp_shares_bound(m->shares, (enum osp_share_kind)k));
    head(to, "osprey_share_refused_total", "Entries refused to clients, by table, class of client and reason.", COUNTER);
    for (int i = 0; m->shares && i < OSP_SHARE_KINDS * 2 * OSP_SHARE_WHYS; i++) {
        int k = i / (2 * OSP_SHARE_WHYS), known = i / OSP_SHARE_WHYS % 2, why = i % OSP_SHARE_WHYS;

        (void)fprintf(to, "osprey_share_refused_total{table=\"%s\",client=\"%s\",why=\"%s\"} %" PRIu64 "\n", tables[k],
                      known ? "known" : "unknown", whys[why],
                      osp_shares_refused(m->shares, (enum osp_share_kind)k, known, (enum osp_share_why)why));
    }
}

void
osp_metrics_render(const struct osp_metrics *m, FILE *to)
{
    head(to, "osprey_build_info", "The version, as a label.", GAUGE);
    (void)fprintf(to, "osprey_build_info{version=\"%s\"} 1\n", OSP_VERSION);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        put_row(m, &rows[i], to);
    head(to, "osprey_deduplication_seconds", "For how long a finished message is remembered at present.", GAUGE);
    (void)fprintf(to, "osprey_deduplication_seconds");
    put_value(to, dedup_span_us(m), MICROSECONDS);
    by_reason(m, to, "osprey_datagrams_dropped_total", "Datagrams that the message layer refused, by reason.",
              offsetof(struct osp_worker_stats, ep.dropped));
    by_reason(m, to, "osprey_errors_total", "Requests that ended with an error, by reason.",
              offsetof(struct osp_worker_stats, proxy.errors));
    render_shares(m, to);
    render_commits(m, to);
}
