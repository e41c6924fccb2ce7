/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A proxy in virtual time: the real lib/, a policy made by hand, a clock that the test moves, and queues
 * instead of sockets.  Randomness is a counter, or what the test scripts (Tokens and Message IDs of vectors).
 */
#ifndef OSP_TESTS_WORLD_H
#define OSP_TESTS_WORLD_H

#include "tests/udp_proxy.h"
#include "proxy/edhoc/sessions.h"

#define WORLD_CTXS 16
#define WORLD_OUT 2048
#define WORLD_MADE 16
#define WORLD_LISTENER 1        /* socket 0 is the client socket */

struct world_out { struct osp_flow to; uint8_t bytes[2048]; size_t n; };

struct world {
    struct osp_proxy           *px;
    struct osp_ep              *ep;             /* its message layer for UDP */
    struct osp_policy           policy;
    struct osp_octx            *ctxs[WORLD_CTXS];
    size_t                      ctx_count;
    struct osp_octx_configured *table;
    struct osp_rule             rules[4];
    struct osp_allow            allow[4][4];
    struct osp_route            routes[4];
    struct osp_upstream         upstreams[4];
    struct osp_host             hosts[8];
    struct osp_target           own[4];
    struct osp_slice            segs[16];
    uint16_t                    ports[2];
    uint8_t                     ctx_bits[4], route_bits[1];
    struct osp_time             now;
    struct osp_txq              tx;
    struct world_out            out[WORLD_OUT]; /* what left the proxy, oldest first */
    size_t                      out_count;
    uint64_t                    counter;        /* randomness */
    uint64_t                    leases;         /* asks that came */
    uint64_t                    worn;           /* contexts that came near a limit of their keys, or to it */
    size_t                      exchanges;      /* bound, 0: 1024 */
    bool                        hold_leases;    /* leave lease asks unanswered, kept below */
    struct osp_ep_cfg           ep_cfg;         /* of `ep`, as world_start() sets it up */
    void                 (*tune)(struct osp_proxy_cfg *);   /* changes what world_start() sets up, ep_cfg too; NULL: nothing */
    struct osp_octx         *held[8];
    size_t                   held_count;
    struct osp_edhoc_conf    edhoc;             /* of the policy, once world_edhoc() was called */
    struct osp_octx_runtime *runtime;
    struct osp_responder    *responder;
    struct osp_recipe       *made[WORLD_MADE];  /* contexts that EDHOC made, oldest first; older ones are only live */
    uint64_t                 agreed[OSP_ERR_COUNT];     /* runs of ours that ended, by how */
    size_t                   made_count, kept;  /* kept: asks that came */
    char                     resolving[8][256]; /* names asked for and not answered yet */
    size_t                   resolving_count;
};

/* An empty proxy that allows nothing; tests set w->policy before world_start(). */
void world_init(struct world *w);
/* The same as a forward-proxy for everybody, whose host s.example is 192.0.2.9. */
void world_init_forward(struct world *w);
struct osp_octx *world_context(struct world *w, const char *secret_hex, const char *salt_hex, const char *sid, const char *rid,
                               uint64_t ssn);
/* The other side of such a context, with its empty window and more numbers than anybody needs; the caller's. */
struct osp_octx *world_other_side(const char *secret_hex, const char *sid, const char *rid);
/* Every forward-proxied request gets the layer of `c`, which the world has. */
void world_protect_upstream(struct world *w, struct osp_octx *c);
/* The policy gets an EDHOC Responder with these bounds; credentials and profile are the test's: w->edhoc. */
void world_edhoc(struct world *w, const struct osp_responder_cfg *cfg);
void world_start(struct world *w);
/* Ends what goes on without an end of its own; then nothing may be pending. */
void world_stop(struct world *w);
void world_fini(struct world *w);
/* For a test's end: 500 s pass, then world_stop() and world_fini(). */
void world_end(struct world *w);

/* An allow entry for every client, forward or all routes. */
void world_allow_all(struct world *w);

/* A datagram to the proxy's listener (or client socket) from 192.0.2.x:port. */
void world_in(struct world *w, uint16_t sock, uint8_t host, uint16_t port, struct osp_slice bytes);

/* The same from any address. */
void world_in_from(struct world *w, uint16_t sock, const struct osp_addr *from, struct osp_slice bytes);

/* The same as a message, complete but for its encoding. */
void world_send(struct world *w, uint16_t sock, uint8_t host, uint16_t port, const struct osp_msg *m);

/* Puts the layer of `c` for the proxy on the request `m`; `out` borrows from `wr`, the layer `l` is the caller's. */
void world_protect(struct osp_crypto *cr, struct osp_octx *c, const struct osp_msg *m, struct osp_wr *wr, struct osp_msg *out,
                   struct osp_layer *l);

/* Whoever got `q`, which left as `to`, answers it with `r`: a NON with this Message ID. */
void world_answer(struct world *w, const struct world_out *to, const struct osp_msg *q, struct osp_msg *r, uint16_t mid);

/* The client at 192.0.2.x:port acknowledges what came with this Message ID. */
void world_acknowledge(struct world *w, uint8_t host, uint16_t port, uint16_t mid);

/* Moves the clock, doing what is due on the way. */
void world_run(struct world *w, uint64_t us);

/* One turn of what is due now; true: there is more. */
bool world_expire(struct world *w);

/* Takes the oldest datagram that left the proxy; false when there is none. */
bool world_take(struct world *w, struct world_out *out);

/* The same, decoded into `m`, whose bytes stay for 255 more calls. */
bool world_take_msg(struct world *w, struct world_out *out, struct osp_msg *m);

/* The same where something must have left. */
struct world_out world_next(struct world *w, struct osp_msg *m);

void world_resolved(struct world *w, const char *host, enum osp_err err, const char *ip, uint64_t ttl_s);
void world_release_leases(struct world *w, bool grant);

/* A request without options, with the Token "tk". */
void world_request(struct osp_msg *m, uint8_t code, uint8_t type, uint16_t mid);

/* GET coap://s.example/x for a forward-proxy; Token and Message ID are the caller's. */
void world_get(struct osp_msg *m);

/* One more option of `m`, which borrows `value`. */
void add(struct osp_msg *m, uint16_t num, const char *value);

#endif
