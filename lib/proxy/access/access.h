/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may do what, and where to: rules, names, verified addresses. */
#ifndef OSP_PROXY_ACCESS_ACCESS_H
#define OSP_PROXY_ACCESS_ACCESS_H

#include "proxy/impl.h"

#define PX_ECHO_LEN 12
#define PX_ECHO_SHORT 6
#define PX_NAME_IPS 4

struct px_name {
    struct osp_node node;       /* in px.names by host */
    struct osp_list lru;        /* in px.name_lru while nobody waits */
    struct osp_list ask;        /* in px.name_asks until the daemon took it */
    struct px_queue waiters;
    uint64_t        expires_us;
    enum osp_err    err;        /* OSP_OK: ips are valid */
    bool            pending;
    uint8_t         count;
    uint8_t         host_len;
    struct osp_ip   ips[PX_NAME_IPS];
    char            host[256];
};

/* ---- rules and addresses ---- */
/* OSP_OK: the client may; x->rule is set. OSP_E_FORBIDDEN, OSP_E_RATE. */
enum osp_err px_may_forward(struct px_turn *t, struct px_exchange *x, const struct osp_authority *to);
enum osp_err px_may_route(struct px_turn *t, struct px_exchange *x, size_t route);
/* Like px_may_route() without counting the request. */
bool px_sees_route(const struct px_exchange *x, size_t route);
/* True if requests for `a` are for this proxy itself. */
bool px_is_own(struct osp_proxy *px, const struct px_exchange *x, const struct osp_authority *a);
/* The row of the operator's hosts table; NULL: there is none. */
const struct osp_host *px_host_of(const struct osp_policy *p, struct osp_slice name);
/* False: a guarded address, and nobody vouched for it. */
bool px_ip_is_allowed(struct osp_proxy *px, const struct px_exchange *x, const struct osp_ip *ip, uint16_t port);

/* ---- names of next hops ---- */
/* OSP_OK with *ip; OSP_E_RESOLVE; OSP_E_INCOMPLETE: the exchange waits in *name. OSP_E_OVERLOAD. */
enum osp_err px_name_find(struct px_turn *t, struct osp_slice host, struct osp_ip *ip, struct px_name **name);
/* True if `host` is known to have the address. */
bool px_name_has(struct osp_proxy *px, struct osp_slice host, const struct osp_ip *ip);
void px_name_wait(struct osp_proxy *px, struct px_name *n, struct px_exchange *x);
/* Takes a name that the daemon is to look up; false: there is none. */
bool px_name_next_ask(struct osp_proxy *px, struct osp_ask *out);
/* The daemon's answer: who waited for it is ready.  False: nobody did. */
bool px_name_resolved(struct osp_proxy *px, const char *host, enum osp_err err, const struct osp_ip *ips, size_t count,
                      uint64_t ttl_us, struct osp_time now);
void px_names_free(struct osp_proxy *px);

/* ---- verified addresses ---- */
/* Somebody at this address hears what we send there. */
void px_verified(struct osp_proxy *px, const struct osp_ip *ip, struct osp_time now);
/* Notes what the request as it came allows, and takes an Echo of ours out of it. */
void px_note_request(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);
/* How many bytes of UDP payload the client's address may still get for its request, in all; SIZE_MAX: any number. */
size_t px_may_send(const struct px_turn *t, const struct px_exchange *x);
/* Whether the client may register: false until it has proven its address with this request. */
bool px_may_observe(const struct px_turn *t, const struct px_exchange *x);
/* The 4.01 with an Echo that asks for another one from there. */
enum osp_err px_ask_address(struct px_turn *t, const struct px_exchange *x, struct osp_msg *resp);

/* ---- Echo ---- */
/* `len`: PX_ECHO_LEN, PX_ECHO_SHORT, or 0 for none. */
void px_echo_make(const struct px_turn *t, const struct osp_addr *peer, size_t len, uint8_t out[PX_ECHO_LEN]);
/* True: the Echo of `req` was made here for this address and port; *fresh: not long ago. */
bool px_echo_is_ours(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req, bool *fresh);
bool px_echo_is_mine(const struct px_turn *t, const struct osp_addr *peer, const struct osp_msg *req);

#endif
