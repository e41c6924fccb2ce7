/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The child that reads a store as a whole and writes it anew.  It tells what it found in memory that it shares with its
 * parent, and ends with status 0; if it ends in another way, the file killed it and is damaged.
 */
#include "daemon/ospreyd/store/lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lmdb.h>

#define CHECK_SECONDS 300       /* then the child ends: a damaged tree with a cycle would be read for ever */
#define ROWS_PER_COMMIT 50000   /* bounds the memory of a transaction, which holds its changes until its end */

struct check {
    MDB_env                 *env_from, *env_to;
    MDB_txn                 *from, *to;
    MDB_dbi                  dbi_from, dbi_to;
    bool                     old;       /* the format of `from` is 1 or 2 */
    struct osp_store_head    head;      /* of the old file, as it was read */
    struct osp_store_head    made;      /* of the rows that were written to the new file */
    size_t                   pending;   /* rows since the last commit */
    struct osp_store_report *report;
};

static struct osp_slice
slice_of(MDB_val v)
{
    return osp_slice(v.mv_data, v.mv_size);
}

static MDB_val
val_of(struct osp_slice s)
{
    MDB_val v = { s.n, (void *)(uintptr_t)s.p }; /* LMDB only reads it */

    return v;
}

/* ---- writing ---- */

/* Writes one row to the new file.  False: it could not be written, which the report says. */
static bool
wrote(struct check *c, int rc)
{
    if (rc != 0) {
        c->report->verdict = OSP_STORE_NO_ROOM;
        c->report->error = rc == MDB_MAP_FULL ? ENOSPC : rc > 0 ? rc : EIO;
    }
    return rc == 0;
}

static bool
write_value(struct check *c, struct osp_slice name, struct osp_slice whole, unsigned flags)
{
    MDB_val k = val_of(name), v = val_of(whole);
    int     rc = mdb_put(c->to, c->dbi_to, &k, &v, flags);

    /* Rows of format 3 are read in the order of their names.  Any other order, or a name twice, is damage. */
    return rc != MDB_KEYEXIST && wrote(c, rc);
}

static bool
begin_writing(struct check *c)
{
    return wrote(c, mdb_txn_begin(c->env_to, NULL, 0, &c->to)) && wrote(c, mdb_dbi_open(c->to, NULL, 0, &c->dbi_to));
}

/* Writes the head in each transaction, since the two meta pages are compared by it. */
static bool
end_writing(struct check *c)
{
    uint8_t bytes[OSP_STORE_HEAD_MAX];

    c->made.txn = mdb_txn_id(c->to);
    return write_value(c, osp_store_head_name(), osp_store_head_encode(&c->made, bytes), 0) && wrote(c, mdb_txn_commit(c->to));
}

static bool
write_row(struct check *c, enum osp_store_table table, const uint8_t key[OSP_STORE_KEY_LEN], struct osp_slice value)
{
    uint8_t              name[OSP_STORE_NAME_LEN], whole[OSP_STORE_WHOLE_MAX];
    struct osp_slice     n = osp_store_row_name(table, key, name);
    struct osp_store_sum h;

    if (!write_value(c, n, osp_store_seal(n, value, whole, &h), c->old ? MDB_NOOVERWRITE : MDB_APPEND))
        return false;
    osp_store_sum_add(&c->made.sum, h);
    c->made.count[table]++;
    if (++c->pending < ROWS_PER_COMMIT)
        return true;
    c->pending = 0;
    return end_writing(c) && begin_writing(c);
}

/* ---- reading ---- */

static bool
copy_row(struct check *c, struct osp_slice name, struct osp_slice whole)
{
    uint8_t              key[OSP_STORE_KEY_LEN];
    struct osp_slice     value;
    struct osp_store_sum h;
    enum osp_store_table table;

    if (osp_slice_eq(name, osp_store_plate_name()) || (!c->old && osp_slice_eq(name, osp_store_head_name())))
        return true;
    if (c->old)
        return osp_store_old_place(name, &table, key) && osp_store_unseal_old(name, whole, &value) &&
               write_row(c, table, key, value);
    if (!osp_store_unseal(name, whole, &value, &h) || name.p[0] < OSP_STORE_OLD || name.p[0] >= OSP_STORE_TABLES)
        return false;
    (void)osp_slice_copy(osp_slice_tail(name, 1), key, sizeof(key));
    return write_row(c, (enum osp_store_table)name.p[0], key, value);
}

static bool
copy_rows(struct check *c)
{
    MDB_cursor *cursor;
    MDB_val     k, v;
    int         rc;

    if (mdb_cursor_open(c->from, c->dbi_from, &cursor) != 0)
        return false;
    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        if (!copy_row(c, slice_of(k), slice_of(v)))
            return false;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND;
}

/* Reads the head of either format.  An older version left an empty tree if it was stopped before its first batch. */
static bool
read_head(struct check *c)
{
    MDB_val  k = val_of(osp_store_head_name()), v;
    MDB_stat st;
    int      rc = mdb_get(c->from, c->dbi_from, &k, &v);

    if (rc == 0)
        return osp_store_head_decode(slice_of(v), &c->head);
    k = val_of(osp_store_plate_name());
    if (rc != MDB_NOTFOUND)
        return false;
    rc = mdb_get(c->from, c->dbi_from, &k, &v);
    c->old = true;
    c->head.version = OSP_STORE_VERSION_OLDEST;
    if (rc == MDB_NOTFOUND)
        return mdb_stat(c->from, c->dbi_from, &st) == 0 && st.ms_entries == 0 && mdb_txn_id(c->from) == 0;
    return rc == 0 && osp_store_plate_decode(slice_of(v), &c->head) && c->head.version != OSP_STORE_VERSION;
}

static bool
open_from(struct check *c, const char *file, size_t size)
{
    MDB_envinfo info;
    MDB_stat    st;
    struct stat on_disk;

    if (mdb_env_create(&c->env_from) != 0 || mdb_env_set_mapsize(c->env_from, size) != 0 ||
        mdb_env_open(c->env_from, file, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0600) != 0)
        return false;
    (void)mdb_env_info(c->env_from, &info);
    (void)mdb_env_stat(c->env_from, &st);
    if (stat(file, &on_disk) != 0 || (uint64_t)on_disk.st_size / st.ms_psize <= info.me_last_pgno)
        return false;
    return mdb_txn_begin(c->env_from, NULL, MDB_RDONLY, &c->from) == 0 && mdb_dbi_open(c->from, NULL, 0, &c->dbi_from) == 0;
}

static bool
open_to(struct check *c, const char *file, size_t size)
{
    return wrote(c, mdb_env_create(&c->env_to)) && wrote(c, mdb_env_set_mapsize(c->env_to, size)) &&
           wrote(c, mdb_env_open(c->env_to, file, MDB_NOSUBDIR | MDB_NOLOCK, 0600)) && begin_writing(c);
}

/* Writes the plate, last, since its name sorts after those of all rows. */
static bool
finish_writing(struct check *c)
{
    uint8_t bytes[OSP_STORE_HEAD_MAX];

    if (!write_value(c, osp_store_plate_name(), osp_store_plate_encode(bytes), 0) || !end_writing(c))
        return false;
    mdb_env_close(c->env_to);
    return true;
}

/* Prepares the new file before it has rows. */
static void
begin_head(struct check *c, struct osp_file_id from, struct osp_file_id to)
{
    bool moved = !c->old && !osp_file_id_is_same(c->head.file, from);

    c->made = c->head;
    c->made.version = OSP_STORE_VERSION;
    c->made.file = moved ? (struct osp_file_id){ 0 } : to;
    memset(c->made.count, 0, sizeof(c->made.count));
    c->made.sum = (struct osp_store_sum){ 0 };
}

/* Checks that the new file has as many rows as the head says, and that their hashes have its sum. */
static bool
is_complete(const struct check *c)
{
    return c->old || (memcmp(c->made.count, c->head.count, sizeof(c->made.count)) == 0 &&
                      memcmp(&c->made.sum, &c->head.sum, sizeof(c->made.sum)) == 0);
}

static bool
check_and_copy(struct check *c, const char *from, int fd, const char *to, struct osp_file_id id, size_t size)
{
    if (!open_from(c, from, size) || !read_head(c))
        return false;
    if (c->head.version < OSP_STORE_VERSION_OLDEST || c->head.version > OSP_STORE_VERSION) {
        c->report->verdict = OSP_STORE_FOREIGN;
        c->report->version = c->head.version;
        return false;
    }
    if (!osp_store_raw_ok(fd, c->old))
        return false;
    begin_head(c, osp_file_id_of(fd), id);
    return open_to(c, to, size) && copy_rows(c) && is_complete(c) && finish_writing(c);
}

/* ---- the process ---- */

static void
set_up_child(void)
{
    static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM };
    struct rlimit    none = { 0, 0 };
    sigset_t         all;
    int              null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null != -1)
        (void)dup2(null, STDERR_FILENO); /* LMDB writes failed assertions to standard error */
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        (void)signal(deadly[i], SIG_DFL); /* handlers of the parent must not run in the child */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)alarm(CHECK_SECONDS);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the child shares the locks of its parent, so it must not outlive it */
}

struct osp_store_report
osp_store_check(const char *from, int fd, const char *to, struct osp_file_id id, size_t size)
{
    struct osp_store_report  out = { .verdict = OSP_STORE_NO_CHILD }, *shared;
    struct check             c = { 0 };
    pid_t                    pid;
    int                      status = 0;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid = shared == MAP_FAILED ? -1 : fork();
    if (pid == 0) {
        set_up_child();
        c.report = shared;
        if (check_and_copy(&c, from, fd, to, id, size))
            shared->verdict = OSP_STORE_GOOD;
        _exit(0);
    }
    out.error = errno;
    if (pid != -1) {
        while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
            ;
        out = *shared;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            out.verdict = OSP_STORE_DAMAGED;
    }
    if (shared != MAP_FAILED)
        (void)munmap(shared, sizeof(*shared));
    return out;
}
