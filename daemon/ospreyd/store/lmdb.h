/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to the store: its format in LMDB, and the check of a file before use.
 *
 *   00                       -> head row (struct osp_store_head), check
 *   table, key (1 + 32)      -> value, check
 *   "osprey-state"           -> the format again, where formats 1 and 2 had their head: older programs say what they found
 *
 * Formats 1 and 2 had no table in the keys: a record had its 32 bytes, a kept context "kept:" and 32 bytes, the ID Context of
 * a base "idof:" and 32 bytes.
 *
 * A check is 8 bytes at the end of a value, a hash over the name (the key in LMDB) and the value before it.  The head and
 * all rows of formats 1 and 2 use osp_store_check_of(), the rows of format 3 the first half of osp_store_hash().
 */
#ifndef OSP_DAEMON_OSPREYD_STORE_LMDB_H
#define OSP_DAEMON_OSPREYD_STORE_LMDB_H

#include <pthread.h>

#include <lmdb.h>

#include "base/hash.h"
#include "daemon/ospreyd/store/file_id.h"
#include "daemon/ospreyd/store/store.h"

#define OSP_STORE_VERSION 3u
#define OSP_STORE_VERSION_OLDEST 1u     /* formats 1 and 2 differ in the length of a record only */
#define OSP_STORE_CHECK_LEN 8
#define OSP_STORE_NAME_LEN (1 + OSP_STORE_KEY_LEN)
#define OSP_STORE_OLD_NAME_MAX (5 + OSP_STORE_KEY_LEN)
#define OSP_STORE_WHOLE_MAX (OSP_STORE_VALUE_MAX + OSP_STORE_CHECK_LEN)
#define OSP_STORE_HEAD_MAX 160
#define OSP_STORE_PATH_MAX 1024
#define OSP_STORE_FILE "state.mdb"
#define OSP_STORE_FILE_NEW "state.mdb.new"
#define OSP_STORE_FILE_SUM "state.sum"

/* The sum of the hashes of rows; the order in which they came does not matter. */
struct osp_store_sum { uint64_t w[2]; };

struct osp_store_head {
    uint32_t version;
    uint32_t run, valid_from;           /* the run that wrote last; the first of those since the last unclean end */
    bool     dirty;                     /* that run has not ended cleanly */
    uint64_t seq;                       /* commits ever */
    uint64_t txn;                       /* LMDB's number of the transaction that wrote this */
    struct osp_file_id file;      /* it was written to this file; 0: the file was a copy */
    uint64_t count[OSP_STORE_TABLES];   /* rows of each table; [0] is not used */
    struct osp_store_sum     sum;
};

/* ---- rows: store_row.c ---- */

/* The name of the head row, and of what older programs look for. */
struct osp_slice osp_store_head_name(void);
struct osp_slice osp_store_plate_name(void);

struct osp_slice osp_store_row_name(enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN],
                                    uint8_t dst[OSP_STORE_NAME_LEN]);

struct osp_store_sum osp_store_hash(struct osp_slice name, struct osp_slice value);
void osp_store_sum_add(struct osp_store_sum *sum, struct osp_store_sum h);
void osp_store_sum_sub(struct osp_store_sum *sum, struct osp_store_sum h);

/* `value` with its check, in `dst`, and its hash. */
struct osp_slice osp_store_seal(struct osp_slice name, struct osp_slice value, uint8_t dst[OSP_STORE_WHOLE_MAX],
                                struct osp_store_sum *h);
/* False if `whole` is not what was written under `name`; else the value without the check, and its hash. */
bool osp_store_unseal(struct osp_slice name, struct osp_slice whole, struct osp_slice *value, struct osp_store_sum *h);
/* As osp_store_unseal(), for a row of formats 1 and 2. */
bool osp_store_unseal_old(struct osp_slice name, struct osp_slice whole, struct osp_slice *value);
/* Where a row of formats 1 and 2 belongs now; false: no such row. */
bool osp_store_old_place(struct osp_slice name, enum osp_store_table *table, uint8_t key[OSP_STORE_KEY_LEN]);

struct osp_slice osp_store_head_encode(const struct osp_store_head *h, uint8_t dst[OSP_STORE_HEAD_MAX]);
/* False: damaged.  If h->version is not OSP_STORE_VERSION, nothing else of *h is set. */
bool osp_store_head_decode(struct osp_slice whole, struct osp_store_head *h);
struct osp_slice osp_store_plate_encode(uint8_t dst[OSP_STORE_HEAD_MAX]);
/* The head of formats 1 and 2, or the version of another one.  False: damaged. */
bool osp_store_plate_decode(struct osp_slice whole, struct osp_store_head *h);

/* ---- the two meta pages: store_raw.c ---- */

/*
 * LMDB starts at the newer of its two meta pages.  True if neither of them, nor the head row that each leads to, contradicts
 * the other: so a newer one that was damaged into an older one is found.  `old` is true for formats 1 and 2, which have no
 * head row to compare with.
 */
bool osp_store_raw_ok(int fd, bool old);

/* ---- the check: store_check.c ---- */

enum osp_store_verdict { OSP_STORE_DAMAGED, OSP_STORE_GOOD, OSP_STORE_FOREIGN, OSP_STORE_NO_ROOM, OSP_STORE_NO_CHILD };

struct osp_store_report {
    enum osp_store_verdict verdict;
    uint32_t               version;     /* OSP_STORE_FOREIGN: what it was written in */
    int                    error;       /* OSP_STORE_NO_ROOM, OSP_STORE_NO_CHILD: errno */
};

/*
 * Compares the rows of file `from` (open as `fd`) with its head, and writes them to the empty file `to` (of `id`), with maps
 * of `size` bytes.  Done in a child process; no other thread may run.
 */
struct osp_store_report osp_store_check(const char *from, int fd, const char *to, struct osp_file_id id, size_t size);

/* The directory. */
struct osp_store_place {
    char name[OSP_STORE_PATH_MAX];
    int  dir, lock, file;               /* -1: not open. `lock` and `file` are locked */
};

/* ---- a store that is open: store_open.c and store_lmdb.c ---- */

struct osp_store {
    MDB_env               *env;
    MDB_txn               *txn;         /* of the batch, guarded by `lock` */
    MDB_dbi                dbi;
    pthread_mutex_t        lock;
    struct osp_store_place place;
    struct osp_store_head  head, work;  /* of the last commit; with what the batch changed */
    bool                   changed;     /* by the batch */
    bool                   accepted;    /* the file, by the batch */
    bool                   written;     /* there was a commit since it was opened */
    bool                   was_clean, was_moved;
    uint32_t               run, valid_from;
    int                    last_error;  /* errno or LMDB's */
    size_t                 size;        /* of the map; the file is as long or longer */
    size_t                 page_len;
    unsigned               fill;        /* of the last commit; atomic */
    size_t                 changes;     /* calls of put and del in the batch */
    size_t                 given_back;  /* pages at most that the last commit gave back, not to be used in the next one */
    char                   file[OSP_STORE_PATH_MAX];
};

/* In a batch, or in a transaction that only reads: pages that hold rows. */
size_t osp_store_live_pages(struct osp_store *s);
/* How many pages there must be, so that `live` of them can be written anew. */
size_t osp_store_pages_for(size_t live);

/* ---- files: store_file.c ---- */

/* Opens and locks the directory.  OSP_E_STORE: `why`. */
OSP_CHECKED enum osp_err osp_store_place_open(const char *dir, struct osp_store_place *p, char why[OSP_STORE_WHY_MAX]);
void osp_store_place_close(struct osp_store_place *p);

/* Opens and locks state.mdb.  OSP_E_NOT_FOUND; OSP_E_STORE: `why`. */
OSP_CHECKED enum osp_err osp_store_place_file(struct osp_store_place *p, char why[OSP_STORE_WHY_MAX]);

/* Makes state.mdb.new anew, empty and locked, *fd. OSP_E_STORE: `why`. */
OSP_CHECKED enum osp_err osp_store_place_new(const struct osp_store_place *p, int *fd, char why[OSP_STORE_WHY_MAX]);
/* state.mdb.new becomes state.mdb, durably; takes `fd`, also on an error. OSP_E_STORE: `why`. */
OSP_CHECKED enum osp_err osp_store_place_take(struct osp_store_place *p, int fd, char why[OSP_STORE_WHY_MAX]);
/* Removes state.mdb.new. */
void osp_store_place_drop(const struct osp_store_place *p, int fd);

/* True if state.mdb has at least `size` bytes and is what the directory has under that name. Only reads: safe anywhere. */
bool osp_store_place_is_whole(const struct osp_store_place *p, size_t size);

/* Takes `size` bytes from the disk for `fd`, so that no commit can meet a full one.  OSP_E_STORE: `why`. */
OSP_CHECKED enum osp_err osp_store_place_fill(const struct osp_store_place *p, int fd, size_t size, char why[OSP_STORE_WHY_MAX]);

/* Writes the hash of the first `length` bytes of state.mdb to state.sum; a failure only makes the next open slower. */
void osp_store_place_sum(const struct osp_store_place *p, size_t length);
/* True if state.mdb is byte for byte as it was then. */
bool osp_store_place_is_same(const struct osp_store_place *p);

/* One line about the directory. Returns OSP_E_STORE. */
enum osp_err osp_store_say(const struct osp_store_place *p, char why[OSP_STORE_WHY_MAX], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One line with the advice of damaged state. Returns OSP_E_STORE. */
enum osp_err osp_store_say_damaged(const struct osp_store_place *p, char why[OSP_STORE_WHY_MAX], const char *what);

#endif
