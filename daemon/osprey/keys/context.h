/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Security contexts as the user names them on the command line, with keys derived and sequence
 * numbers leased.
 */
#ifndef OSP_DAEMON_OSPREY_KEYS_CONTEXT_H
#define OSP_DAEMON_OSPREY_KEYS_CONTEXT_H

#include "daemon/osprey/layers.h"
#include "daemon/osprey/keys/state.h"

struct osprey_context {
    struct osprey_sec    sec;       /* first: what the layers want to know */
    char                *name;
    struct osp_key_names keys;
    uint8_t              old_fp[OSPREY_FP_LEN];     /* fingerprint under which older versions filed its state */
    bool                 fresh;     /* its keys were never used before */
    enum osprey_side     side;
    bool                 entered;   /* the state knows its keys */
    struct osprey_state *state;     /* borrowed; set once it has leased numbers */
};

struct osprey_contexts {
    struct osprey_context **items;
    size_t                  count;
    enum osprey_side        side;   /* of contexts added from now on */
};

/*
 * Splits "FILE" or, with `may_name`, "FILE#NAME"; the caller frees the result, and *name points into it (NULL: no name).  If a
 * file has the whole text as its name, that file is meant.  NULL: out of memory, which was said on standard error.
 */
char *osprey_spec_split(const char *spec, bool may_name, const char **name);

/*
 * Adds contexts from "FILE" or "FILE#NAME" to `set`: the named one, or with `all` all of them, else
 * the only one.  Says on standard error what is wrong and returns false.
 */
bool osprey_context_load(struct osprey_contexts *set, const char *spec, bool all);

/*
 * Adds the context of `p`, whose label is its place in the set.  `fresh`: its keys were never used before.
 *   OSP_E_NOMEM, and the errors of osp_octx_new()
 */
OSP_CHECKED enum osp_err osprey_context_add(struct osprey_contexts *set, const struct osp_octx_params *p, const char *name,
                                            bool fresh, struct osprey_context **out);

/* Records once in the state what the keys of the context are used for.  False: refused, which was said on standard error. */
bool osprey_context_enter(struct osprey_context *c, struct osprey_state *state);

/* Records the context, and leases sequence numbers until at least `want` are there.  False: it failed, which was said on standard
   error. */
bool osprey_context_lease(struct osprey_context *c, struct osprey_state *state, uint64_t want, uint64_t block);

/* Gives unused numbers back, wipes and frees everything. */
void osprey_contexts_free(struct osprey_contexts *set);

#endif
