/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the Responder share: a proxy with credentials of three kinds of keys, and clients that are lib/edhoc under a
 * policy of its own.
 */
#ifndef OSP_TESTS_RESPONDER_WORLD_H
#define OSP_TESTS_RESPONDER_WORLD_H

#include "tests/unit/edhoc/edhoc_pair.h"

#include "the_world.h"

#define SESSION_S 60
#define LABEL(i) (OSP_RECIPE_LABEL | (uint32_t)(i))

enum { ED25519, X25519, P256, KEYS };
extern struct osp_edhoc_own        responder_own[2][KEYS];      /* of the Initiator, of the proxy */
extern const struct osp_edhoc_own *special;                     /* the Initiator's only one; NULL: responder_own[0] */

/* ---- both ends ---- */

/* For every test: room for 64 sessions. */
int responder_setup(void **state);

/* The test begins anew: so many sessions, and addresses are verified above so many. */
void again(size_t sessions, size_t verify_above);

/* What the Responder counted. */
struct osp_responder_stats sessions(void);

/* Nothing is pending, and no identifier is reserved: as many places are left as there were. */
int responder_teardown(void **state);

/* ---- the Initiator ---- */

struct client {
    struct osp_addr          from;
    struct osp_edhoc_profile profile;
    struct osp_edhoc         s;
    struct osp_edhoc_cid     c_r;
    struct osp_octx         *octx;
    uint8_t                  m1[OSP_EDHOC_MESSAGE_MAX], m3[OSP_EDHOC_MESSAGE_MAX];
    size_t                   n1, n3;
};

/* Message_1 of the client. */
struct osp_slice m1_of(const struct client *c);

/* Message_3 of the client. */
struct osp_slice m3_of(const struct client *c);

/* 192.0.2.`n`, port 40000. */
struct osp_addr host(uint8_t n);

/* A client at 192.0.2.1 that has made message_1. */
void client_init(struct client *c, uint8_t method, int64_t suite, struct osp_slice c_i);

/* Forgets the client's session and context. */
void client_fini(struct client *c);

/* Sends `m` from this address to the proxy. */
void send_from(const struct osp_addr *from, struct osp_msg *m);

/* world_take_msg() of the test's world. */
bool take(struct world_out *o, struct osp_msg *m);

/* What the client was told; 0: nothing. */
uint8_t told(struct osp_msg *m);

/* POST of `payload` to /.well-known/edhoc as EDHOC; the caller sends it. */
void edhoc_request(struct osp_msg *m, struct osp_slice payload);

/* Sends message_1, with this Echo where there is one; the code of the answer. */
uint8_t send_1(const struct client *c, struct osp_slice echo, struct osp_msg *resp);

/* Sends message_3; the code of the answer. */
uint8_t send_3(const struct client *c, struct osp_slice m3, struct osp_msg *resp);

/* The client takes message_2 and makes message_3. */
void go_on(struct client *c, const struct osp_msg *resp);

/* A client up to message_3, which it has not sent yet. */
void begin(struct client *c, uint8_t method, int64_t suite, const char *c_i);

/* The client's context, as agreed. */
void derive(struct client *c);

/* Sends message_3; the client has its context then. */
void finish(struct client *c);

/* ---- requests under the keys ---- */

/* Sends `m` under the client's layer, behind message_3 where `m3` is one [rfc9668#3.2]. */
void send_protected(struct client *c, const struct osp_msg *m, struct osp_slice m3, struct osp_layer *l);

/* The origin answers 2.05 to the request that left last; false: none did. */
bool origin_answers(void);

/* A request through the proxy and its answer back, both under the keys. */
bool passes_with(struct client *c, struct osp_slice m3);

/* passes_with() without message_3. */
bool passes(struct client *c);

/* [rfc9528#A.2.3] `m` is an unprotected EDHOC error with these codes. */
void expect_error(const struct osp_msg *m, uint8_t code, int64_t err_code);

/* There is a context under the C_R of this client. */
bool is_live(const struct client *c);

#endif
