/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Durable state: for each security context how far its Sender Sequence Numbers may have been used,
 * and its replay window when the last stop was a clean one.
 *
 * One process at a time.  Work is done in batches: begin, get and put, commit; what was put is
 * durable when commit returns OSP_OK, and all of a batch is or none of it.  begin waits for the
 * batch of another thread to end.
 *
 * Runs: a store is opened, marked as running before the first datagram, and marked as stopped with
 * the last batch.  If that mark is missing at the next open, the stop was unclean, and every window
 * saved up to then is void: a window is given out only if its context was not used by a later run
 * that ended uncleanly [rfc8613#B.1.2].
 *
 * This is an interface: store_lmdb.c is behind it.
 */
#ifndef OSP_DAEMON_STORE_H
#define OSP_DAEMON_STORE_H

#include "base/bytes.h"
#include "base/err.h"
#include "oscore/replay.h"

#define OSP_STORE_KEY_LEN 32
#define OSP_STORE_WHY_MAX 512

struct osp_record {
    uint64_t          limit;            /* all numbers below it may have been used */
    uint32_t          used_q, used_v;   /* so often at most the keys were used (osp_octx_usage_ahead()) */
    bool              has_window;
    struct osp_replay window;
};

struct osp_store;

/*
 * Opens the store in directory `dir` and keeps others out.  A new one takes `size` bytes of the disk at once.
 *   OSP_E_STORE   not a writable directory, in use, damaged, of another version, disk full: `why` says
 *                 in one line what is wrong and how to recover. Nothing was changed.
 */
OSP_CHECKED enum osp_err osp_store_open(const char *dir, size_t size, struct osp_store **out, char why[OSP_STORE_WHY_MAX]);
void osp_store_close(struct osp_store *s);

/* True if there was state before this run. */
bool osp_store_existed(const struct osp_store *s);
/* True if the run before ended with the mark (or there was none). */
bool osp_store_was_clean(const struct osp_store *s);
/* Bytes in use and in all. */
void osp_store_size(struct osp_store *s, size_t *used, size_t *size);

/* OSP_E_STORE: no batch was begun. */
OSP_CHECKED enum osp_err osp_store_begin(struct osp_store *s);

/* OSP_E_NOT_FOUND: there is no record.  OSP_E_STORE: it cannot be read; give the batch up. */
OSP_CHECKED enum osp_err osp_store_get(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_record *out);

/* OSP_E_NOSPACE: the store is full.  OSP_E_STORE.  Both: give the batch up. */
OSP_CHECKED enum osp_err osp_store_put(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], const struct osp_record *r);

/*
 * Contexts that no configuration holds (EDHOC made them) are kept whole: `value` is what their owner wrote, secrets
 * included, at most OSP_STORE_KEPT_MAX bytes.  OSP_E_INVALID: longer.  Else as osp_store_put().
 */
#define OSP_STORE_KEPT_MAX 512
OSP_CHECKED enum osp_err osp_store_keep(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice value);

/* In a batch: the next of them after `key` (or the first), borrowed until the next put. OSP_E_NOT_FOUND: no more. OSP_E_STORE. */
OSP_CHECKED enum osp_err osp_store_next_kept(struct osp_store *s, bool first, uint8_t key[OSP_STORE_KEY_LEN],
                                             struct osp_slice *value);

/*
 * The ID Context that is current in a base (oscore/b2.h), by the key of the base.  As osp_store_put() and osp_store_get();
 * what is got is borrowed until the next put.
 */
OSP_CHECKED enum osp_err osp_store_put_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice id);
OSP_CHECKED enum osp_err osp_store_get_id(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *out);

/*
 * Removes the record of a kept context and what was kept of it: its keys are gone, so its numbers can never be used again.
 * OSP_E_STORE, OSP_E_NOSPACE. It is fine if there is none.
 */
OSP_CHECKED enum osp_err osp_store_forget(struct osp_store *s, const uint8_t key[OSP_STORE_KEY_LEN]);

/* Marks the run as running (before the first datagram) or as stopped cleanly. As osp_store_put(). */
OSP_CHECKED enum osp_err osp_store_mark(struct osp_store *s, bool running);

/*
 * In a batch: OSP_E_NOSPACE if after it there would not be room to write every record anew.  A store writes
 * new pages before it gives the old ones back, so one that is more than half full could not save a clean stop.
 */
OSP_CHECKED enum osp_err osp_store_reserve(struct osp_store *s);

/* Ends the batch. OSP_E_STORE, OSP_E_NOSPACE: nothing of it is durable. */
OSP_CHECKED enum osp_err osp_store_commit(struct osp_store *s);
/* Ends the batch without a trace. */
void osp_store_abort(struct osp_store *s);

/* The longest text of the last failure, for the log: static or of the store. */
const char *osp_store_error(const struct osp_store *s);

#endif
