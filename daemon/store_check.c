/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lmdb.h>

#define CHECK_SECONDS 60        /* a tree with a cycle in it would be read for ever */

/* A store of another version is judged by its head alone; who opens it says so. */
static bool
is_foreign(MDB_txn *txn, MDB_dbi dbi)
{
    char             name[] = OSP_STORE_META;
    MDB_val          k = { sizeof(name) - 1, name }, v;
    struct osp_slice value;
    struct osp_rd    r;
    uint32_t         version;

    if (mdb_get(txn, dbi, &k, &v) != 0)
        return false;
    value = osp_slice(v.mv_data, v.mv_size);
    r = osp_rd_from(value);
    version = osp_rd_u32(&r);
    return osp_store_value_ok(osp_slice(k.mv_data, k.mv_size), value) &&
           (version < OSP_STORE_VERSION_OLDEST || version > OSP_STORE_VERSION);
}

static bool
walk(MDB_txn *txn)
{
    MDB_dbi     dbi;
    MDB_cursor *cursor;
    MDB_val     k, v;
    int         rc;

    if (mdb_dbi_open(txn, NULL, 0, &dbi) != 0 || mdb_cursor_open(txn, dbi, &cursor) != 0)
        return false;
    if (is_foreign(txn, dbi))
        return true;
    while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
        if (!osp_store_value_ok(osp_slice(k.mv_data, k.mv_size), osp_slice(v.mv_data, v.mv_size)))
            return false;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND;
}

static bool
reads_back(const char *file, size_t size)
{
    MDB_env    *env;
    MDB_txn    *txn;
    MDB_envinfo info;
    MDB_stat    st;
    struct stat on_disk;

    if (mdb_env_create(&env) != 0 || mdb_env_set_mapsize(env, size) != 0 ||
        mdb_env_open(env, file, MDB_NOSUBDIR | MDB_NOLOCK | MDB_RDONLY, 0600) != 0)
        return false;
    (void)mdb_env_info(env, &info);
    (void)mdb_env_stat(env, &st);
    if (stat(file, &on_disk) != 0 || (uint64_t)on_disk.st_size < (uint64_t)(info.me_last_pgno + 1) * st.ms_psize)
        return false;
    return mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0 && walk(txn);
}

static void
child(const char *file, size_t size)
{
    static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM };
    struct rlimit    none = { 0, 0 };
    sigset_t         all;
    int              null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null != -1)
        (void)dup2(null, STDERR_FILENO); /* LMDB reports a failed assertion there */
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        (void)signal(deadly[i], SIG_DFL); /* a handler of the parent's must not go on with its work here */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)alarm(CHECK_SECONDS);
    _exit(reads_back(file, size) ? 0 : 1);
}

bool
osp_store_check(const char *file, size_t size)
{
    pid_t pid = fork();
    int   status = 0;

    if (pid == 0)
        child(file, size);
    if (pid == -1)
        return reads_back(file, size); /* no process to spare: read it here */
    while (waitpid(pid, &status, 0) == -1) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
