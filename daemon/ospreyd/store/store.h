/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Durable state: rows of bytes in a few tables, each with a check of its own.  What the rows mean is not known here: see
 * daemon/ospreyd/state/records.h.
 *
 * One process at a time.  Work is done in batches: begin, then get, put, del and next, then commit.  A batch is durable as a
 * whole when commit returns OSP_OK; otherwise nothing of it is.  begin waits for the batch of another thread to end.
 *
 * Each row is stored with a hash over its table, key and value.  The head row counts the commits and the rows of each table,
 * and holds the sum of the hashes of all rows, so that a row that is lost, doubled or older than the head is noticed.  Every
 * row is compared with the head before a store is used, by a child process, since a damaged file may kill its reader.  The
 * child also writes the rows to a new file, and only that one is used from then on: damage in pages that hold no row is left
 * behind with the old file.  After a clean stop this is not done if every byte of the file is still as it was then.
 *
 * Runs: a store is opened, marked as running before the first datagram, and marked as stopped with the last batch.  If that
 * mark is missing at the next open, the stop was unclean [rfc8613#B.1.2].  Each run has a number; what a row says about the
 * replay window is worth something only if no run ended uncleanly since the run that wrote it: osp_store_trusts_run().
 */
#ifndef OSP_DAEMON_OSPREYD_STORE_STORE_H
#define OSP_DAEMON_OSPREYD_STORE_STORE_H

#include "base/bytes.h"
#include "base/err.h"

#define OSP_STORE_KEY_LEN 32
#define OSP_STORE_VALUE_MAX 512
#define OSP_STORE_WHY_MAX 512

/* The numbers are in the file: they never change. */
enum osp_store_table {
    OSP_STORE_OLD = 1,          /* records by the fingerprint of formats 1 and 2, exactly as those formats wrote them */
    OSP_STORE_SENDER,           /* how far the numbers of a Sender Key may have been used */
    OSP_STORE_RECIPIENT,        /* the replay window of a Recipient Key */
    OSP_STORE_KEPT,             /* contexts that no configuration holds, secrets included */
    OSP_STORE_BASE,             /* by the key of a base (oscore/b2.h): its current ID Context */
    OSP_STORE_META,             /* what concerns the store as a whole */
    OSP_STORE_TABLES            /* one more than the last table */
};

struct osp_store;

/* ---- opening ---- */

/*
 * Opens the store that is in directory `dir` and keeps others out; never makes one.  It takes `size` bytes of the disk, or
 * what it has already if that is more.  Forks: call it while no other thread runs.  A store of an older format is written
 * anew in this one.
 *   OSP_E_NOT_FOUND  the directory can be used, and there is no store in it
 *   OSP_E_STORE      the store is not opened, and its rows are as before: other users may write to the directory, another process
 *                    uses it, it is damaged or of another version, or the disk has no room
 * In both cases `why` says in one line what is wrong and how to go on.
 */
OSP_CHECKED enum osp_err osp_store_open(const char *dir, size_t size, struct osp_store **out, char why[OSP_STORE_WHY_MAX]);

/*
 * Makes a store without rows in directory `dir`, and opens it.
 *   OSP_E_EXISTS     there is a store already; it is not changed
 *   OSP_E_STORE      as for osp_store_open(); no file is left behind
 */
OSP_CHECKED enum osp_err osp_store_create(const char *dir, size_t size, struct osp_store **out, char why[OSP_STORE_WHY_MAX]);

/* Closes the store.  If the last batch marked the run as stopped, the file is hashed for the next open.  NULL is fine. */
void osp_store_close(struct osp_store *s);

/* ---- what is known of it ---- */

/* True if the run before this one was marked as stopped, or if this is the first run. */
bool osp_store_was_clean(const struct osp_store *s);
/* The number of this run, from 1 on. */
uint32_t osp_store_run(const struct osp_store *s);
/* True if every run since the start of run `run` (not 0) ended cleanly. */
bool osp_store_trusts_run(const struct osp_store *s, uint32_t run);
/* The number of commits that the store ever had, without the batch that is under way. */
uint64_t osp_store_seq(const struct osp_store *s);
/*
 * True if the store was last written to another file than this one, so it was copied or restored from a backup.  It stays true,
 * also in later runs, until osp_store_accept_file().
 */
bool osp_store_was_moved(const struct osp_store *s);
/* In a batch: from the commit on, this file counts as the file of the store. */
void osp_store_accept_file(struct osp_store *s);
/*
 * True if state.mdb is no longer what was opened: it was cut short, removed, or replaced.  Nothing can be read or written then.
 * May be called from any thread at any time, also from a signal handler.
 */
bool osp_store_is_lost(const struct osp_store *s);
/* In a batch: the number of rows of a table. */
uint64_t osp_store_count(const struct osp_store *s, enum osp_store_table table);
/*
 * Pages that hold rows, in per cent of what may hold them: less than half of the store, since new pages are written before the
 * old ones are given back.  More than 100: osp_store_reserve() fails.  In a batch, or as of the last commit from any thread.
 */
unsigned osp_store_fill(struct osp_store *s);
unsigned osp_store_fill_committed(const struct osp_store *s);
/* Bytes of the pages that may hold rows, which are 100 per cent. */
size_t osp_store_capacity(const struct osp_store *s);
/* Bytes in use, and bytes of the whole file. */
void osp_store_size(struct osp_store *s, size_t *used, size_t *size);
/* The text of the last failure, for the log; a literal. */
const char *osp_store_error(const struct osp_store *s);

/* ---- batches ---- */

/* Begins a batch; waits until a batch of another thread has ended.  OSP_E_STORE: no batch was begun, or the file is lost. */
OSP_CHECKED enum osp_err osp_store_begin(struct osp_store *s);

/*
 * Reads a row; *value is borrowed until the next put, del, commit or abort.
 *   OSP_E_NOT_FOUND  there is no such row
 *   OSP_E_STORE      it cannot be read; the caller gives the batch up
 */
OSP_CHECKED enum osp_err osp_store_get(struct osp_store *s, enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN],
                                       struct osp_slice *value);

/*
 * Writes a row, or replaces it.  `value` may not be borrowed from the store.  On an error the caller gives the batch up:
 *   OSP_E_INVALID  `value` is longer than OSP_STORE_VALUE_MAX
 *   OSP_E_NOSPACE  the store is full
 *   OSP_E_STORE
 */
OSP_CHECKED enum osp_err osp_store_put(struct osp_store *s, enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN],
                                       struct osp_slice value);

/* Removes a row; fine if there is no such row.  OSP_E_NOSPACE, OSP_E_STORE: the caller gives the batch up. */
OSP_CHECKED enum osp_err osp_store_del(struct osp_store *s, enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN]);

/*
 * Reads the first row of `table`, or the one after `key`, and writes its key to `key`.  *value as for osp_store_get().
 *   OSP_E_NOT_FOUND  there are no more rows
 *   OSP_E_STORE      the caller gives the batch up
 */
OSP_CHECKED enum osp_err osp_store_next(struct osp_store *s, enum osp_store_table table, bool first,
                                        uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice *value);

/* Marks the run as running (before the first datagram) or as stopped cleanly, from the commit on. */
void osp_store_mark(struct osp_store *s, bool running);

/*
 * OSP_E_NOSPACE: after this batch there would not be enough room to write every row anew.  A store writes new pages before it
 * gives the old ones back, so a store that is more than half full could not save a clean stop.
 */
OSP_CHECKED enum osp_err osp_store_reserve(struct osp_store *s);

/* Ends the batch. OSP_E_STORE, OSP_E_NOSPACE: nothing of it is durable. */
OSP_CHECKED enum osp_err osp_store_commit(struct osp_store *s);
/* Ends the batch without a trace. */
void osp_store_abort(struct osp_store *s);

#endif
