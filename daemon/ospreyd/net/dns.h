/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host names to addresses, asynchronously, on the main thread's loop; /etc/hosts first, then DNS.
 *
 * Workers that ask for one name at a time share one query.  An answer may be used for the smallest TTL in it, but never
 * shorter than a minimum (a TTL of zero would mean a query for each request) or longer than a maximum.
 */
#ifndef OSP_DAEMON_OSPREYD_NET_DNS_H
#define OSP_DAEMON_OSPREYD_NET_DNS_H

#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/worker/mailbox.h"

struct osp_dns;

struct osp_dns_stats { uint64_t asked, shared, answered, failed, refused; size_t pending; };

/* `workers` (mailboxes, `count` of them) get the answers and outlive it.
   OSP_E_NOMEM; OSP_E_INVALID: the resolver configuration of the system cannot be used. */
OSP_CHECKED enum osp_err osp_dns_new(struct osp_loop *l, struct osp_mailbox *const *workers, size_t count, struct osp_dns **out);
/* Ends all queries without an answer.  NULL is fine. */
void osp_dns_free(struct osp_dns *d);

/* Looks `host` up for worker number `worker`, which gets a note OSP_NOTE_RESOLVED. */
void osp_dns_ask(struct osp_dns *d, const char *host, unsigned worker);

/* Reads the resolver configuration of the system again, when the pending queries have ended. */
void osp_dns_reload(struct osp_dns *d);

/* Counters, borrowed. */
const struct osp_dns_stats *osp_dns_stats(const struct osp_dns *d);

#endif
