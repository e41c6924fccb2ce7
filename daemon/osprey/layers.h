/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's request under nested OSCORE layers, and the way back [ocp#2.3] [ocp#2.6].
 *
 * The request is made innermost first: the plain request, the end-to-end layer, then one layer per
 * proxy from the farthest to the nearest; before a layer for a proxy goes on, the message says where
 * that proxy shall send it (Uri-Host, Uri-Port, Proxy-Scheme).  Levels are counted in this order: level 0 is
 * the plain request, level k the message after k layers.
 *
 * No sockets, no files: contexts have their sequence numbers granted already.
 */
#ifndef OSP_DAEMON_OSPREY_LAYERS_H
#define OSP_DAEMON_OSPREY_LAYERS_H

#include "group/group.h"
#include "msg/uri.h"
#include "oscore/oscore.h"

#define OSPREY_VIA_MAX 8
#define OSPREY_LAYERS_MAX (OSPREY_VIA_MAX + 1) /* more layers are neither added nor removed [ocp#2.1] */
#define OSPREY_ECHO_MAX 40                     /* [rfc9175#2.2.1] */

/* A security context with the name that the user gave it: an OSCORE context, or a group and the member that is asked. */
struct osprey_sec {
    struct osp_octx  *octx;
    const char       *name;
    struct osp_group *group;            /* not NULL: the layer is a deterministic request [cacheable#3.4.2] */
    size_t            server;
    struct osp_slice  message_3;        /* not empty: EDHOC message_3, sent in front of the ciphertext [rfc9668#3.2.1] */
};

/* One proxy on the way. `sec` NULL: no layer for it; only the nearest proxy may lack one. */
struct osprey_via {
    struct osp_authority     to;
    const struct osprey_sec *sec;
};

struct osprey_route {
    struct osp_uri           target;        /* the URI the user asked for */
    const struct osprey_sec *end_to_end;    /* NULL: no layer for the origin */
    struct osprey_via        via[OSPREY_VIA_MAX];   /* nearest first */
    size_t                   via_count;
    bool                     reverse;       /* the last proxy stands for the origin: no Proxy-Scheme for it */
    const struct osp_slice  *route_path;    /* Uri-Path segments by which a reverse-proxy chooses the origin */
    size_t                   route_path_count;
    unsigned                 hop_limit;     /* 0: no Hop-Limit option */
    struct osp_slice         proxy_uri;     /* not empty: sent as Proxy-Uri instead of the target's options */
};

/* The request itself; everything is borrowed until its last response was opened. */
struct osprey_content {
    uint8_t               method;
    const struct osp_opt *opts;
    size_t                opt_count;
    struct osp_slice      payload;
};

/* An Echo value to repeat, and the level it belongs to. */
struct osprey_echo {
    bool    present;
    size_t  level;
    uint8_t value[OSPREY_ECHO_MAX];
    size_t  len;
};

/* One layer that goes on or comes off. */
struct osprey_step {
    bool                     on;
    size_t                   level;     /* of the inner message */
    const struct osprey_sec *sec;
    struct osp_layer_ends    ends;
    const struct osp_msg    *before, *after;    /* `after` is NULL when `err` is set */
    const uint8_t           *classes;   /* OSCORE classes of the options of `before`; NULL: the layer is removed */
    enum osp_err             err;
};

/* Called for every step; `step` may be NULL. */
struct osprey_trace {
    void (*step)(void *ctx, const struct osprey_step *s);
    void *ctx;
};

struct osprey_seal {
    const struct osprey_sec *sec;
    struct osp_layer_ends    ends;
    struct osp_layer         layer;     /* for a group only the Partial IV is set, for the output */
    struct osp_group_layer   group;
    bool                     has_outer_max_age;     /* the response says how long a cache may keep it */
    uint32_t                 outer_max_age;
};

struct osprey_onion {
    struct osprey_seal seals[OSPREY_LAYERS_MAX];    /* innermost first */
    size_t             seal_count;
    struct osp_msg     made[2], opened[2];          /* private: the two ends of a step */
    unsigned           at;
    struct osp_wr      text, sealed, plain;         /* private: option values, ciphertexts, plaintexts */
    uint8_t           *memory;
};

/* What came of opening a response. */
struct osprey_answer {
    const struct osp_msg *msg;
    size_t                level;    /* layers that did not come off: 0 when all did.  Above it, whoever
                                       shares seals[level] answered, or, at seal_count, nobody knows who */
};

/* Makes the buffers.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osprey_onion_init(struct osprey_onion *o);
void osprey_onion_fini(struct osprey_onion *o);

/* Checks a route; returns NULL, or what is wrong with it. */
const char *osprey_route_check(const struct osprey_route *r);

/* The authority whose address the datagram goes to. */
const struct osp_authority *osprey_route_first_hop(const struct osprey_route *r);

/*
 * Makes the request and puts all layers on; *out is ready for the endpoint and borrows from `o`, `r`
 * and `c` until the next build.  Takes one sequence number of each context; on an error too.
 *   OSP_E_INVALID   osprey_route_check() says why
 *   further errors as osp_oscore_protect_request(), osp_classes() and osp_uri_to_options()
 */
OSP_CHECKED enum osp_err osprey_onion_build(struct osprey_onion *o, struct osp_crypto *cr, const struct osprey_route *r,
                                            const struct osprey_content *c, const struct osprey_echo *echo,
                                            const struct osprey_trace *trace, const struct osp_msg **out);

/*
 * Takes the layers off the response to what was built last; out->msg borrows from `o` and `in`.
 * Stops early where an error response was made by somebody on the way.
 *   OSP_E_UNPROTECTED   a success lacks a layer, so it is not from the server that was asked
 *   OSP_E_EXTRA_LAYER   there is a layer more than were added [ocp#2.6]
 *   OSP_E_DECRYPT and the other errors of osp_oscore_unprotect_response()
 */
OSP_CHECKED enum osp_err osprey_onion_open(struct osprey_onion *o, struct osp_crypto *cr, const struct osp_msg *in,
                                           const struct osprey_trace *trace, struct osprey_answer *out);

/* The message that was built last, as it goes to the endpoint; borrowed like the result of osprey_onion_build(). */
const struct osp_msg *osprey_onion_outside(const struct osprey_onion *o);

/* True if `a` asks for the request again with its Echo option, which goes to *echo [rfc9175#2.3]. */
bool osprey_answer_challenges(const struct osprey_answer *a, struct osprey_echo *echo);

#endif
