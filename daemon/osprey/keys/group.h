/* SPDX-License-Identifier: BSD-2-Clause */
/* An OSCORE group as the user names it on the command line, for deterministic requests. */
#ifndef OSP_DAEMON_OSPREY_KEYS_GROUP_H
#define OSP_DAEMON_OSPREY_KEYS_GROUP_H

#include "daemon/osprey/layers.h"
#include "daemon/osprey/keys/state.h"

struct osprey_group {
    struct osprey_sec    sec;           /* first: what the layers want to know */
    char                *name;          /* name of the server, or of the file */
    uint8_t              sender[OSPREY_FP_LEN];     /* name of our Sender Key; not set without `self` in the file */
    uint8_t              old_fp[OSPREY_FP_LEN];     /* fingerprint under which older versions filed its state */
    bool                 entered;       /* the state knows its keys */
    struct osprey_state *state;         /* borrowed; set once it has leased numbers */
};

/*
 * Loads "FILE" or "FILE#MEMBER".  For a client the member is the server to ask, and may be left out when there is
 * one; an origin needs a `self` in the file.  Says on standard error what is wrong and returns false.
 */
bool osprey_group_load(struct osprey_group *g, const char *spec, bool origin);

/* As osprey_context_lease(), for a group with a `self`: deterministic requests take no number, so only an origin leases. */
bool osprey_group_lease(struct osprey_group *g, struct osprey_state *state, uint64_t want, uint64_t block);

/* Gives unused numbers back, wipes and frees. */
void osprey_group_fini(struct osprey_group *g);

#endif
