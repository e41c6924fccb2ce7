/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/worker/shortage.h"

#include "daemon/ospreyd/log.h"

#define QUIET_US OSP_SEC(60)
#define MAX_TRANSMIT_SPAN_US OSP_SEC(45)        /* for how long a client may repeat a request [rfc7252#4.8.2] */

bool
osp_shortage_has_begun(struct osp_shortage *s, uint64_t count, struct osp_time now)
{
    bool begun = count != s->count && (s->count == 0 || osp_time_between(s->last, now) > QUIET_US);

    if (count != s->count)
        *s = (struct osp_shortage){ count, now };
    return begun;
}

void
osp_shortages_tell(struct osp_worker_shortages *s, const struct osp_ep_stats *ep, size_t max_messages, unsigned index,
                   size_t ports, struct osp_time now)
{
    if (ep->dedup_span_us < MAX_TRANSMIT_SPAN_US && osp_shortage_has_begun(&s->dedup, ep->dedup_evicted, now))
        log_warning("deduplication-short", "worker=%u seconds=%u effect=%s raise=%s", index,
                    (unsigned)(ep->dedup_span_us / OSP_SEC(1)), "a request that is repeated later than that is executed again",
                    ep->messages < max_messages ? "limits.memory" : "limits.messages");
    if (osp_shortage_has_begun(&s->mids, ep->mids_exhausted, now))
        log_warning("message-ids-exhausted", "worker=%u ports=%zu effect=%s", index, ports,
                    "requests to a next hop get 5.03: a port has 65536 numbers in 247 s, raise limits.upstream-ports");
    if (osp_shortage_has_begun(&s->queue, ep->queue_refused, now))
        log_warning("upstream-queue-full", "worker=%u queued=%zu effect=%s", index, ep->queued,
                    "confirmable requests get 5.03: a next hop does not answer, or limits.queued is too low");
}

void
osp_loop_tell(struct osp_worker_shortages *s, uint64_t count, const struct osp_addr *from, unsigned index, struct osp_time now)
{
    char text[OSP_ADDR_TEXT_MAX];

    if (!osp_shortage_has_begun(&s->loops, count, now))
        return;
    osp_addr_print(from, text, sizeof(text));
    log_warning("request-came-back", "worker=%u from=%s effect=%s", index, text,
                "it gets 5.08: that next hop sends requests back to us, see its next hop and ours");
}
