/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asks: a client of the proxy, as everything that has to tell clients apart sees it.
 *
 * A client is the security context of the innermost layer that came off its request, wherever it sends from.  Without a layer
 * of ours it is an address.  Layers come off while a request is dispatched, so the answer changes on the way: take it when it
 * is needed, with px_client_of().
 *
 *   what is told apart          function            context              without a context
 *   shares, rates, fairness     px_client_share()   label (and, made     IP address; with the port if it is a known flow
 *                                                   by EDHOC, its ID)
 *   block-wise operations,      px_client_hash()    IDs                  address, port and socket
 *   Request-Tags
 *   observations                both of the parts   IDs                  and in any case address, port and socket
 *
 * Labels and shares hold over all workers and survive a new run of Appendix B.2.  IDs name the context that protects one
 * operation [rfc9175#3.5.1].  Hashes are keyed, so that nobody can aim at another client's.
 */
#ifndef OSP_PROXY_CLIENT_H
#define OSP_PROXY_CLIENT_H

#include "base/addr.h"
#include "base/hash.h"
#include "oscore/context.h"

struct osp_proxy;
struct px_exchange;

struct px_client {
    const struct osp_octx *ctx;         /* of the innermost layer that came off so far; NULL: none did */
    const struct osp_flow *flow;        /* where the request came from */
};

/* Whoever sent the request of `x`; borrows from it. */
struct px_client px_client_of(const struct px_exchange *x);

/*
 * The key of the client's share of the tables, its rate and its places in queues, at all workers.  With `known`, a client
 * without a context counts by address and port: for flows that px_is_known() knows.
 */
uint64_t px_client_share(const struct osp_proxy *px, const struct px_client *c, bool known);

/* The key of the flow alone: address and port. */
uint64_t px_client_flow(const struct osp_proxy *px, const struct px_client *c);

/* The key of the network that the client's address lies in. */
uint64_t px_client_prefix(const struct osp_proxy *px, const struct px_client *c);

/* Adds the client to a hash: its context, or else where it sends from. */
void px_client_hash(struct osp_hash128 *h, const struct px_client *c);
/* The two parts: address, port and socket; Sender ID, Recipient ID and ID Context. */
void px_hash_flow(struct osp_hash128 *h, const struct osp_flow *f);
void px_hash_context(struct osp_hash128 *h, const struct osp_octx *ctx);

#endif
