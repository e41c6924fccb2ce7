/* SPDX-License-Identifier: BSD-2-Clause */
/* An open forward-proxy in virtual time, its client 192.0.2.1 and the origin s.example: requests in, what left the proxy out. */
#ifndef OSP_TESTS_FORWARD_WORLD_H
#define OSP_TESTS_FORWARD_WORLD_H

#include "tests/unit/unit.h"

#include "the_world.h"

/* ---- making requests ---- */

/* A GET with a Message ID and a Token of its own; returns `m`. */
struct osp_msg *confirmable_get(struct osp_msg *m);

/* GET coap://<host>/x, in forward-proxy form; returns `m`. */
struct osp_msg *forward(struct osp_msg *m, const char *host);

/* Sends `m` from 192.0.2.1. */
void client_sends(const struct osp_msg *m);

/* The next datagram that left the proxy, decoded. */
extern struct world_out last_out;

struct osp_msg *taken(struct osp_msg *m);

/* The proxy has sent nothing else. */
void nothing_left(void);

/* The answer of the origin to the request `req` that just left. */
void answer_request(const struct osp_msg *req, struct osp_msg *resp);

/* The next datagram of the proxy is an answer with this code, and nothing else is left. */
void expect_code(uint8_t code);

/* Sends `m`, which is answered with this code. */
void expect_refused(const struct osp_msg *m, uint8_t code);

/* ---- the world ---- */

/* For every test: an open forward-proxy with the hosts s.example and gw.example, which the test starts. */
int forward_setup(void **state);

/* Whatever happened, nothing is pending. */
int forward_teardown(void **state);

#endif
