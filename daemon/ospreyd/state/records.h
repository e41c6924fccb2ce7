/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rows of the store mean.
 *
 *   SENDER     by the name of a key: how far its numbers may have been used as a Sender Key, and how often it was used
 *   RECIPIENT  by the name of a key: its replay window, if the run that wrote it and all since ended cleanly
 *   KEPT       by the name of the Sender Key: a context that no configuration holds, whole
 *   BASE       by the key of a base (oscore/b2.h): the ID Context that is current, and the names of its keys
 *   OLD        by the fingerprint of a context: numbers and window as older versions wrote them, until that context is configured
 *   META       which store this is, and the number at which keys without a record start
 *
 * Rows of SENDER and RECIPIENT are never removed for contexts of a configuration.  So the store knows every key that was ever
 * used, by osp_key_name(), and in which role.
 *
 * Every function is called in a batch of the store (osp_store_begin()).  Unless said otherwise their errors are
 *   OSP_E_NOT_FOUND  functions that read: there is no such row
 *   OSP_E_NOSPACE    functions that write: the store is full; the caller gives the batch up
 *   OSP_E_STORE      the store failed; the caller gives the batch up
 */
#ifndef OSP_DAEMON_OSPREYD_STATE_RECORDS_H
#define OSP_DAEMON_OSPREYD_STATE_RECORDS_H

#include "daemon/ospreyd/store/store.h"
#include "oscore/context.h"

struct osp_sender_record {
    uint64_t limit;             /* all numbers below it may have been used */
    uint32_t used_q;            /* how often the key was used, at most (osp_octx_usage_ahead()) */
};

struct osp_recipient_record {
    uint32_t          used_v;   /* how many messages failed to decrypt under it, at most */
    bool              has_window;
    struct osp_replay window;
};

OSP_CHECKED enum osp_err osp_record_get_sender(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN],
                                               struct osp_sender_record *out);
OSP_CHECKED enum osp_err osp_record_put_sender(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN],
                                               const struct osp_sender_record *r);
OSP_CHECKED enum osp_err osp_record_get_recipient(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN],
                                                  struct osp_recipient_record *out);
OSP_CHECKED enum osp_err osp_record_put_recipient(struct osp_store *s, const uint8_t name[OSP_KEY_NAME_LEN],
                                                  const struct osp_recipient_record *r);

/* Removes the records of keys that do not exist any more, so that their numbers cannot be used again.  Fine if there are none. */
OSP_CHECKED enum osp_err osp_record_forget(struct osp_store *s, const struct osp_key_names *names);

/*
 * OSP_E_EXISTS: one of the keys had the other role at some time.  Sending with it now would repeat numbers that the other party
 * used then.  *sender: true if it is the key that is to be the Sender Key.
 */
OSP_CHECKED enum osp_err osp_record_check_roles(struct osp_store *s, const struct osp_key_names *names, bool *sender);

/* ---- contexts that no configuration holds ---- */

/* Keeps `value`, secrets included; at most OSP_STORE_VALUE_MAX - OSP_KEY_NAME_LEN - 1 bytes.  OSP_E_INVALID: longer. */
OSP_CHECKED enum osp_err osp_record_keep(struct osp_store *s, const struct osp_key_names *names, struct osp_slice value);

/*
 * The kept context after `key`, or the first one, borrowed until the next change.  *old: an older version wrote it, and its
 * numbers are in the OLD row with that key.
 */
OSP_CHECKED enum osp_err osp_record_next_kept(struct osp_store *s, bool first, uint8_t key[OSP_STORE_KEY_LEN],
                                              struct osp_slice *value, bool *old);

/* Removes a kept context with its records.  Fine if there is none. */
OSP_CHECKED enum osp_err osp_record_forget_kept(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN]);

/* ---- bases ---- */

struct osp_base_record {
    struct osp_slice     id;    /* ID Context, borrowed until the next change */
    bool                 old;   /* an older version wrote it: `names` are not known, the numbers are in an OLD row */
    struct osp_key_names names;
};

OSP_CHECKED enum osp_err osp_record_get_base(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN],
                                             struct osp_base_record *out);
OSP_CHECKED enum osp_err osp_record_put_base(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN],
                                             const struct osp_base_record *r);

/* ---- what older versions wrote ---- */

OSP_CHECKED enum osp_err osp_record_get_old(struct osp_store *s, const uint8_t print[OSP_STORE_KEY_LEN],
                                            struct osp_sender_record *sender, struct osp_recipient_record *recipient);
OSP_CHECKED enum osp_err osp_record_drop_old(struct osp_store *s, const uint8_t print[OSP_STORE_KEY_LEN]);
/* The highest limit in all OLD rows; 0: there are no such rows. */
OSP_CHECKED enum osp_err osp_record_old_limit(struct osp_store *s, uint64_t *out);

/* ---- the store as a whole ---- */

#define OSP_STORE_ID_LEN 16

struct osp_identity {
    uint8_t store[OSP_STORE_ID_LEN];    /* random */
    uint8_t machine[OSP_STORE_ID_LEN];  /* hash of the machine ID where it was made; all zero: that machine has none */
};

OSP_CHECKED enum osp_err osp_record_get_identity(struct osp_store *s, struct osp_identity *out);
OSP_CHECKED enum osp_err osp_record_put_identity(struct osp_store *s, const struct osp_identity *id);

/* The number at which keys without a record start; 0 if nothing was ever lost. */
OSP_CHECKED enum osp_err osp_record_get_floor(struct osp_store *s, uint64_t *out);
OSP_CHECKED enum osp_err osp_record_put_floor(struct osp_store *s, uint64_t floor);

#define OSP_SSN_END (OSP_PIV_MAX + 1)   /* a limit beyond which there are no numbers [rfc8613#7.2.1] */

/*
 * After a loss of state: numbers that may have been used since are below `high`, or less than `skip` above what the records say.
 * Raises the records of all Sender Keys above both, voids all windows, and forgets contexts that can be made anew.
 * *floor: the number at which keys without a record start; *ended: how many Sender Keys have no number left.
 */
OSP_CHECKED enum osp_err osp_record_recover(struct osp_store *s, uint64_t high, uint64_t skip, uint64_t *floor, size_t *ended);

#endif
