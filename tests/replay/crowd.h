/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A proxy in virtual time between one origin and a crowd of observers: an origin that keeps registrations as RFC 7641
 * says, clients that keep the newest notification, and a network that may lose datagrams.
 *
 * Resources are /a, /b, ...; a representation is the number of the resource's state.  A client has one observation at a
 * time, always under the same Token.
 */
#ifndef OSP_TESTS_CROWD_H
#define OSP_TESTS_CROWD_H

#include "world.h"

#define CROWD_CLIENTS 12000
#define CROWD_PATHS 3

struct crowd_registration { uint8_t token[8]; uint16_t port, mid; bool used; };

struct crowd_resource {
    struct crowd_registration regs[8];
    unsigned                  state;
    uint32_t                  seq;              /* its Observe value */
};

struct crowd_client {
    unsigned path, state, got, confirmable;     /* what it observes, the newest it has, responses, of those confirmable */
    uint32_t observe, max_age;                  /* of the newest */
    uint16_t mid, last_mid;
    uint8_t  code;                              /* of the last answer */
    bool     observing;
    bool     waiting;                           /* for the answer to its request; what comes before is of an older one */
    bool     counted;                           /* `observe` is valid */
    bool     silent;                            /* gone without a word */
    bool     leaves;                            /* answers the next notification with a Reset */
};

struct crowd {
    struct world          w;
    struct osp_cache     *cache;
    struct crowd_client   clients[CROWD_CLIENTS];
    struct crowd_resource resources[CROWD_PATHS];
    struct {
        unsigned gets, registered, deregistered, resets, posts;
        uint32_t max_age;
        bool     tells_size;                    /* an option behind Max-Age */
        uint16_t mid;
        uint8_t  code;                          /* what it answers */
        bool     silent, plain;                 /* says nothing; observes nothing */
    } origin;
    unsigned              loss;                 /* percent, both ways */
    uint64_t              dice;
};

extern struct crowd crowd;

/* `exchanges`: the proxy's bound. */
void crowd_begin(size_t exchanges, bool caching);
/* Everybody goes; then there is nothing left, and the origin knows it. */
void crowd_end(void);

/* Requests of client `i`: `observe` < 0: without the option; one more option `extra` if not 0. */
void crowd_ask(size_t i, uint8_t code, unsigned path, int observe, uint16_t extra, const char *value);
void crowd_register(size_t i, unsigned path);
void crowd_leave(size_t i);

/* The resource has a new state: a notification of `type` to everybody who is registered at the origin. */
void crowd_notify(unsigned path, uint8_t type);
/* It has forgotten all registrations and begins to count anew. */
void crowd_origin_restarts(void);
unsigned crowd_registrations(unsigned path);

/* Hands out what is under way now. */
void crowd_pump(void);
/* Moves the clock, doing what is due on the way. */
void crowd_run(uint64_t us);
unsigned crowd_roll(unsigned sides);

struct osp_proxy_stats crowd_stats(void);
/* Everybody who observes has the newest state, or the test fails; returns how many they are. */
size_t crowd_up_to_date(void);

#endif
