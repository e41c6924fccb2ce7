/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the client and the demo origin keep on disk for each key: how far its sequence numbers are used if it is a Sender
 * Key, its replay window if it is a Recipient Key [rfc8613#B.1], and which of the two it was.
 *
 * One small file per key in one directory, named by osp_key_name(), so that a key keeps its numbers under any name, with
 * any IDs and in any file of keys.  A record is replaced as a whole (written aside, synced, renamed, directory synced) under a
 * lock on the directory, and a lease is on disk before any of its numbers is used: a crash skips numbers, it never repeats one.
 *
 * Versions before filed both keys of a context in one record, by a fingerprint of its parameters.  Such a record is taken over
 * when its context turns up.  While there are some whose context did not, keys that are not known start above all of their
 * numbers: the parameters may have been edited.
 */
#ifndef OSP_DAEMON_OSPREY_KEYS_STATE_H
#define OSP_DAEMON_OSPREY_KEYS_STATE_H

#include "oscore/context.h"

#define OSPREY_FP_LEN 32        /* a name of a key (OSP_KEY_NAME_LEN), or a fingerprint */

enum osprey_window {
    OSPREY_WINDOW_NONE,         /* this key was never a Recipient Key here */
    OSPREY_WINDOW_LOST,         /* in use, or left behind by a crash: unknown [rfc8613#B.1.2] */
    OSPREY_WINDOW_SAVED,        /* left by a clean stop: exact */
};

struct osprey_record {
    uint64_t           limit;   /* all numbers below may have been used */
    enum osprey_window state;
    struct osp_replay  window;  /* of SAVED */
    unsigned           roles;   /* what the key was used for: private to osprey_state.c */
};

struct osprey_state;

/* Default directory: $XDG_STATE_HOME/osprey, else ~/.local/state/osprey; false when neither is known. */
bool osprey_state_default_dir(char *dst, size_t cap);

/* mkdir -p, each of mode 0700; false: errno says why. */
bool osprey_dirs_make(const char *dir);

/*
 * Opens the directory, making it (mode 0700) when it is absent.
 *   OSP_E_STORE, OSP_E_NOMEM   osprey_state_why() says what happened
 */
OSP_CHECKED enum osp_err osprey_state_open(const char *dir, struct osprey_state **out);
void osprey_state_close(struct osprey_state *s);

/* Why the last call failed, one line. */
const char *osprey_state_why(void);

/* Keeps other origins out until the state is closed. OSP_E_EXISTS: there is one. OSP_E_STORE. */
OSP_CHECKED enum osp_err osprey_state_claim(struct osprey_state *s);

/* Client and origin may share a directory, and then they may be the two ends of one context. */
enum osprey_side { OSPREY_CLIENT, OSPREY_ORIGIN };

/* The keys of a context or of a group, by their names. */
struct osprey_keys {
    const uint8_t (*sender)[OSPREY_FP_LEN];     /* NULL: none */
    const uint8_t (*recipients)[OSPREY_FP_LEN];
    size_t          recipient_count;
    const uint8_t  *old;                        /* what versions before filed them under; NULL: nothing */
};

/*
 * Notes durably, before anything else is done with them, what the keys are used for.
 *   OSP_E_EXISTS     this side has used one of them the other way round before (IDs were swapped): whoever has it now as
 *                    its Sender Key would repeat the other's numbers.  osprey_state_why() says which
 *   OSP_E_STORE
 */
OSP_CHECKED enum osp_err osprey_state_enter(struct osprey_state *s, enum osprey_side side, const struct osprey_keys *k);

/*
 * Leases `count` numbers: [*first, *limit) are the caller's alone, durably.
 *   OSP_E_STORE           unreadable, damaged, not writable, full: use no number
 *   OSP_E_SSN_EXHAUSTED   none are left [rfc8613#7.2.1]
 */
OSP_CHECKED enum osp_err osprey_state_lease(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN], uint64_t count,
                                            uint64_t *first, uint64_t *limit);

/* Gives back [next, limit) of a lease, unless somebody has leased behind it. Best effort. */
void osprey_state_give_back(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN], uint64_t next, uint64_t limit);

/* Reads the record (all zero, NONE, when there is none) and durably marks its window as LOST. OSP_E_STORE. */
OSP_CHECKED enum osp_err osprey_state_take_window(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN],
                                                  struct osprey_record *out);

/* Saves the window at a clean stop. OSP_E_STORE. */
OSP_CHECKED enum osp_err osprey_state_save_window(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN],
                                                  const struct osp_replay *w);

/* ---- other records: one small text each, named by the caller ---- */

#define OSPREY_TEXT_MAX 1024

/* Replaces the record as a whole, durably, under the lock. OSP_E_STORE. */
OSP_CHECKED enum osp_err osprey_state_put(struct osprey_state *s, const char *name, const char *text);

/* Its text with a terminating zero.  OSP_E_NOT_FOUND: there is none.  OSP_E_STORE: also when it is too long to be one. */
OSP_CHECKED enum osp_err osprey_state_get(struct osprey_state *s, const char *name, char text[OSPREY_TEXT_MAX]);

/* Calls `fn` for the name of each record that ends in `suffix`, as long as it returns true. OSP_E_STORE. */
OSP_CHECKED enum osp_err osprey_state_each(struct osprey_state *s, const char *suffix, bool (*fn)(void *ctx, const char *name),
                                           void *ctx);

#endif
