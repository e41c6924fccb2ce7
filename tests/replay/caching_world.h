/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the cache in the proxy share: a forward-proxy with a cache, its clients, and an origin that counts. */
#ifndef OSP_TESTS_CACHING_WORLD_H
#define OSP_TESTS_CACHING_WORLD_H

#include "tests/unit/unit.h"

#include "the_world.h"

extern struct osp_cache *cache;
extern uint64_t          asked;     /* how many requests the origin got */

/* ---- one exchange: the client's request in, the origin's answer if it is asked, the client's answer out ---- */

extern struct osp_msg reply;            /* what the origin answers */

/* A request for coap://s.example/`path`; returns `m`. */
struct osp_msg *cacheable(struct osp_msg *m, uint8_t code, const char *path);

extern struct osp_msg at_origin;        /* the last request it got */

/* Sends `m` from 192.0.2.`host`. */
void send_bytes(const struct osp_msg *m, uint8_t host);

/* Decodes the next datagram from the proxy into `m`; its bytes stay for some more calls. */
struct world_out take_next(struct osp_msg *m);

/* A request of 192.0.2.`host` and its answer; the origin says `reply` when it is asked. */
struct osp_msg *exchange_from(uint8_t host, const struct osp_msg *m, struct osp_msg *answer);

/* exchange_from() with the client 192.0.2.1. */
struct osp_msg *exchange(const struct osp_msg *m, struct osp_msg *answer);

/* A GET of 192.0.2.1 and its answer. */
struct osp_msg *get(const char *path, struct osp_msg *answer);

/* What the origin answers from now on; `max_age` < 0: without the option. */
void origin_says(uint8_t code, const char *payload, int max_age);

/* Max-Age of `m`, which has to be there. */
uint32_t max_age(const struct osp_msg *m);

/* For every test: three hosts at one origin, a cache of 1 MiB, and an origin that says 2.05. */
int caching_setup(void **state);

/* caching_setup() with datagrams of at most 600 bytes. */
int caching_setup_narrow(void **state);

/* Nothing is pending. */
int caching_teardown(void **state);

#endif
