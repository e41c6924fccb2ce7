/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the Initiator share: a proxy that makes its contexts with EDHOC, its clients, and an origin made of lib/edhoc
 * and lib/oscore that loses, refuses, negotiates and forgets as the test says.
 */
#ifndef OSP_TESTS_INITIATOR_WORLD_H
#define OSP_TESTS_INITIATOR_WORLD_H

#include "tests/unit/edhoc/edhoc_pair.h"

#include "oscore/oscore.h"
#include "the_world.h"

#define ORIGIN 9
#define NOTHING -1              /* values of Observe */
#define REGISTER 0

extern const char     *const initiator_names[];
extern struct osp_hop_edhoc  hop;
extern struct edhoc_side     initiator_ours, plant, other;
extern struct osp_edhoc_own  initiator_own[1];
extern struct osp_edhoc_peer initiator_peers[2];
extern uint16_t              port;
extern size_t                datagram;      /* the longest one of the proxy, 0: the default */
extern struct osp_slice      body;          /* of the clients' requests */
extern const char           *to_host;       /* of their URIs */
extern struct osp_slice      purpose;       /* of the context that leads to the origin */

/* ---- the origin ---- */

struct origin {
    struct osp_edhoc_profile profile;
    struct osp_edhoc_own     cred;
    struct osp_edhoc_peers   trusted;
    struct osp_edhoc_peer    peer;
    struct osp_edhoc         s;
    struct osp_octx         *octx;              /* of the last complete session; NULL: none */
    uint8_t                  c_r;
    unsigned                 m1, m3, requests, errors, plain, observed, blocks, combined;
    int                      lose;              /* the datagram to it that is lost, 1 the next one; 0: none */
    bool                     is_dead, has_no_edhoc, wants_echo;
    bool                     knows_no_option, dies_after_1, garbles_answer;
    bool                     ignores_edhoc, dies_after_3, garbles_4, in_blocks;
    uint32_t                 busy_s;            /* 5.03 with this Max-Age */
    uint8_t                  whole[2048];       /* the answer that is given out in blocks */
    size_t                   whole_len;
    uint64_t                 carried, lowest;   /* Partial IVs: of the request with message_3, of the others */
    struct osp_policy       *reload;            /* in force before it answers; NULL: none */
    bool                     wavers;            /* always another suite than the one that is selected */
    struct osp_layer         observer;          /* of the last registration, if it has one; and its Token */
    bool                     has_observer;
    uint8_t                  registered[8];
    size_t                   registered_len;
};
extern struct origin origin;

/* A new origin with the credential of `who` and nothing else. */
void origin_init(const struct edhoc_side *who);

/* The origin answers this request with `resp`. */
void reply_to(const struct osp_msg *req, struct osp_msg *resp);

/* The origin takes an EDHOC message and answers it. */
void on_edhoc(const struct osp_msg *req);

/* A request under the context is answered under it, any other one in the clear. */
void on_request(const struct osp_msg *req);

/* ---- the clients ---- */

extern unsigned answers[256];       /* by client */
extern uint8_t  last_code[256];
extern char     last_text[256][16];

/* Everybody does what is to be done now. */
void go(void);

/* Time passes, and everybody does what is to be done. */
void run(uint64_t us);

/* A request of a client at 192.0.2.`client`, with this value of Observe or NOTHING.  A FETCH has a layer for the origin. */
void send_with(uint8_t client, uint8_t code, const char *path, int observe);

/* Sends a GET for `path`. */
void send_request(uint8_t client, const char *path);

/* A client's GET for "x"; everything goes on until nothing is left to do. */
void ask(uint8_t client);

/* Every one of clients 20.. got exactly one answer, with this code and text. */
void expect_answers(unsigned count, uint8_t code, const char *text);

/* A GET of client 20, which gets this answer. */
void ask_for(uint8_t code, const char *text);

/* Client 20 registers for "y" and gets the first representation. */
void observe(void);

/* The context that leads to the origin is put out of use. */
void revoke(void);

/* For every test: the origin knows the proxy and is trusted as "plant", and every next hop gets a context of EDHOC. */
int initiator_setup(void **state);

/* Nothing is pending, and no identifier is reserved. */
int initiator_teardown(void **state);

/* The test begins anew. */
void initiator_again(void **state);

/* The next datagram of the proxy to the origin. */
void take_request(struct world_out *o, struct osp_msg *m);

#endif
