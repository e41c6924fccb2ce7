/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this proxy may and shall do: the frozen form of the configuration that lib/proxy reads.
 *
 * The daemon builds one with its own memory, hands it to every worker, and frees it when the last
 * reference is gone.  Nothing in it changes after osp_proxy_set_policy().
 */
#ifndef OSP_PROXY_ACCESS_POLICY_H
#define OSP_PROXY_ACCESS_POLICY_H

#include <stdatomic.h>

#include "base/addrset.h"
#include "cache/cache.h"
#include "edhoc/edhoc.h"
#include "msg/target.h"
#include "oscore/configured.h"
#include "oscore/runtime.h"
#include "proxy/outbound.h"

/* Where to send, and the layer to put on for it. */
struct osp_next_hop {
    struct osp_authority to;
    struct osp_octx     *ctx;           /* NULL: no layer of ours, or the one of `edhoc` */
    const struct osp_hop_edhoc *edhoc;  /* its context is established when it is needed; NULL: not */
    bool                 single;        /* no layer of ours around another one: it would not come off there */
};

/*
 * With whom a context is established for a leg, as the Initiator of EDHOC.  That a credential is trusted does not say that it is
 * the next hop's [rfc9528#D.2]: a certificate has to name the next hop, and so has the name of a credential in the
 * configuration, unless that was meant for this leg.
 */
struct osp_hop_edhoc {
    const char          *who;           /* what the configuration calls it: tells contexts to one address apart */
    const char          *subject;       /* pattern of names that the peer may have; NULL: the host that requests go to */
    const uint8_t       *credentials;   /* bit i: the peer may prove to be credential i */
    uint32_t             credential_count;
    bool                 named;         /* without `subject`: any of `credentials` may be there, whatever its name; not those
                                           that an authority vouches for */
    uint8_t              method;
    bool                 prefer;        /* without a context requests go as they are */
    bool                 combined;      /* the first request takes message_3 along */
};

enum osp_allow_kind { OSP_ALLOW_FORWARD, OSP_ALLOW_ROUTE };

struct osp_allow {
    enum osp_allow_kind kind;
    struct osp_target   target;         /* of FORWARD */
    const uint8_t      *routes;         /* of ROUTE: bit i is set if routes[i] is allowed */
};

struct osp_net { struct osp_ip ip; unsigned bits; };

/* clients: first rule whose match fits decides; no rule: 4.01. */
struct osp_rule {
    bool                    any;        /* matches every client, with or without a layer for us */
    const uint8_t          *contexts;   /* bit `label` is set if the last removed layer's context matches; NULL: none */
    uint32_t                context_count;
    const uint8_t          *credentials;        /* bit i is set if what EDHOC made for credential i matches; NULL: none.
                                                   With `contexts`, one of both has to fit */
    uint32_t                credential_count;
    char *const            *subjects;   /* patterns: of those that an authority vouches for only who has such a name; NULL: all */
    size_t                  subject_count;
    const struct osp_net   *nets;       /* source address; with the others or alone */
    size_t                  net_count;
    const struct osp_allow *allow;
    size_t                  allow_count;
    uint32_t                rate;       /* requests per second and client, 0: no limit */
    uint32_t                burst;
};

/* routes: reverse-proxied URIs. The longest path match of the first host/port that fits. */
struct osp_route {
    const char             *name;
    struct osp_slice        host;       /* lower case, "*.x" for all below, empty: any or none */
    uint16_t                port;       /* 0: any */
    const struct osp_slice *path;       /* segments that must lead the Uri-Path */
    size_t                  path_count;
    bool                    exact;      /* no further segments may follow */
    bool                    has_path;   /* false: the path is not looked at */
    unsigned                strip;      /* Uri-Path segments consumed */
    bool                    pass;       /* true: forwarded as is even with an OSCORE option of ours ("pass");
                                           false: such a layer is removed first ("terminate") */
    struct osp_next_hop     hop;
    bool                    keep_host;  /* forward Uri-Host as it came; else: set from the upstream URI (none for a literal) */
    bool                    outer_host; /* after a layer came off, Uri-Host and Uri-Port outside of it count where there are
                                           none inside, and so does the port it was sent to; false: protected bytes only */
    const struct osp_slice *prefix;     /* Uri-Path segments put in front (path of the upstream's URI) */
    size_t                  prefix_count;
};

/* upstreams: layer of ours for forward-proxied requests, by authority; first match wins. */
struct osp_upstream { struct osp_target match; struct osp_octx *ctx; const struct osp_hop_edhoc *edhoc; bool single; };

/* hosts: names the operator resolves himself. */
struct osp_host { const char *name; struct osp_ip ip; };

/* A port at which we listen on every address of the machine; only_v4: on those of IPv4. */
struct osp_own_port { enum osp_scheme scheme; uint16_t port; bool only_v4; };

/* EDHOC as the Responder. */
struct osp_edhoc_conf {
    struct osp_edhoc_profile profile;   /* whom to ask for credentials is set for each call */
    struct osp_edhoc_peers   trusted;   /* labels: those of contexts, OSP_RECIPE_LABEL and a number */
    bool                     accept_unknown;    /* a credential that came by value and that nobody configured */
    uint32_t                 unknown_label;
    const char *const       *names;     /* of credentials, by the number in the label */
    uint32_t                 name_count;
    struct osp_responder    *responder; /* its sessions, of all workers and policies; borrowed */
};

struct osp_policy {
    atomic_uint                refs;
    void                     (*release)(struct osp_policy *p);  /* called with the last reference */
    const struct osp_octx_configured *contexts;
    struct osp_octx_runtime      *runtime;      /* contexts made at run time; NULL: none.  Shared and borrowed */
    const struct osp_edhoc_conf *edhoc;         /* NULL: no EDHOC */
    bool                       forward;         /* is a forward-proxy */
    bool                       reverse;         /* has routes */
    bool                       otp_compat;      /* answers of the July 2022 text */
    unsigned                   max_layers;      /* layers removed from one request */
    bool                       has_next_hop;    /* forward-proxied requests go to another proxy */
    struct osp_next_hop        next_hop;
    unsigned                   hop_limit;       /* inserted when absent, wherever the request goes; 0: not inserted */
    unsigned                   next_hop_limit;  /* inserted when absent, on the way to next_hop; 0: as hop_limit says */
    struct osp_outbound       *outbound;        /* what is on its way there; NULL: not noted.  Shared and borrowed */
    const char                *node_name;       /* identifier in 5.08 payloads; no spaces */
    uint64_t                   response_timeout_us;     /* request deadline -> 5.04, below 247 s */
    struct osp_target const   *own;             /* names of ours, and single addresses that we listen at, with their ports */
    size_t                     own_count;
    const struct osp_own_port *own_ports;       /* where we listen on all addresses */
    size_t                     own_port_count;
    struct osp_addrset        *addresses;       /* all of this machine, as they are now; NULL: not known.  Shared and borrowed */
    const uint16_t            *sock_port;       /* local port of socket i */
    size_t                     sock_count;
    const struct osp_rule     *rules;
    size_t                     rule_count;
    const struct osp_route    *routes;
    size_t                     route_count;
    const struct osp_upstream *upstreams;
    size_t                     upstream_count;
    const struct osp_host     *hosts;
    size_t                     host_count;
    struct osp_cache          *cache;           /* NULL: none.  Shared by workers and policies; borrowed */
    uint32_t                   max_age;         /* seconds a representation counts as fresh at most; 0: as its Max-Age says */
    bool                       single_flight;   /* equal requests wait for the answer to the first */
    bool                       serve_stale;     /* a stale response instead of 5.02 and 5.04 */
};

static inline void
osp_policy_ref(struct osp_policy *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

static inline void
osp_policy_unref(struct osp_policy *p)
{
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
        p->release(p);
}

/* True if `a` is an authority of this proxy; `here`: its address is one of this machine. */
bool osp_policy_is_own(const struct osp_policy *p, const struct osp_authority *a, bool here);

/* True if contexts with `label` may be made and kept: a reload may have taken EDHOC or the credential away. */
bool osp_policy_trusts(const struct osp_policy *p, uint32_t label);

#endif
