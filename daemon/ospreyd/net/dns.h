/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host names to addresses, asynchronously, on the main thread's loop; /etc/hosts first, then DNS.
 *
 * Several askers of one name share one query.  The time an answer may be used is the smallest TTL in it,
 * kept between a minimum (else a zero TTL would mean a query per request) and a maximum.
 */
#ifndef OSP_DAEMON_OSPREYD_NET_DNS_H
#define OSP_DAEMON_OSPREYD_NET_DNS_H

#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/worker/mailbox.h"

struct osp_dns;

struct osp_dns_stats { uint64_t asked, shared, answered, failed, refused; size_t pending; };

/* OSP_E_NOMEM, OSP_E_INVALID: the system's resolver configuration cannot be used. */
OSP_CHECKED enum osp_err osp_dns_new(struct osp_loop *l, struct osp_mailbox *const *workers, size_t count, struct osp_dns **out);
void osp_dns_free(struct osp_dns *d);

/* Looks `host` up for `worker`; the answer is a RESOLVED note to it. */
void osp_dns_ask(struct osp_dns *d, const char *host, unsigned worker);

/* Reads the system's configuration again, once what is pending is through. */
void osp_dns_reload(struct osp_dns *d);

const struct osp_dns_stats *osp_dns_stats(const struct osp_dns *d);

#endif
