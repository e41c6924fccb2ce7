/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/store/lmdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRAIN ((size_t)1 << 16) /* the size of a file is a multiple of it */

static enum osp_err
say(struct osp_store *s, char why[OSP_STORE_WHY_MAX], int rc)
{
    return osp_store_say(&s->place, why, "cannot be used: %s; %s", mdb_strerror(rc),
                         rc == ENOMEM ? "lower state-size" : "this user must be able to read and write what is in it");
}

static struct osp_store *
new_store(char why[OSP_STORE_WHY_MAX])
{
    struct osp_store *s = calloc(1, sizeof(*s));

    why[0] = '\0';
    if (!s) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "state: out of memory");
        return NULL;
    }
    s->place.dir = s->place.lock = s->place.file = -1;
    (void)pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void
path_of(const struct osp_store *s, const char *file, char dst[OSP_STORE_PATH_MAX + 32])
{
    (void)snprintf(dst, OSP_STORE_PATH_MAX + 32, "%s/%s", s->place.name, file);
}

/* ---- the environment ---- */

static enum osp_err
open_env(struct osp_store *s, const char *file, size_t size, int fd, char why[OSP_STORE_WHY_MAX])
{
    char        path[OSP_STORE_PATH_MAX + 32];
    struct stat ours, its;
    int         rc = mdb_env_create(&s->env), its_fd = -1;

    path_of(s, file, path);
    if (rc == 0)
        rc = mdb_env_set_mapsize(s->env, size);
    if (rc == 0)
        rc = mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (rc == 0)
        rc = mdb_env_get_fd(s->env, &its_fd);
    if (rc == 0 && (fstat(its_fd, &its) != 0 || fstat(fd, &ours) != 0 || its.st_dev != ours.st_dev || its.st_ino != ours.st_ino))
        rc = ESTALE; /* LMDB opened the name, and it belongs to another file than the one that is locked */
    return rc == 0 ? OSP_OK : say(s, why, rc);
}

/* Finds out the number of this run, and how the last one ended. */
static void
take_head(struct osp_store *s, const struct osp_store_head *h)
{
    s->head = *h;
    s->was_clean = !h->dirty;
    s->was_moved = !osp_file_id_is_same(h->file, osp_file_id_of(s->place.file));
    s->run = h->run + 1;
    s->valid_from = h->dirty ? s->run : h->valid_from;
}

static enum osp_err
open_database(struct osp_store *s, char why[OSP_STORE_WHY_MAX])
{
    struct osp_slice      name = osp_store_head_name();
    struct osp_store_head h = { 0 };
    MDB_val               k = { name.n, (void *)(uintptr_t)name.p }, v;
    MDB_stat              st;
    int                   rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    enum osp_err          e = OSP_OK;

    if (rc == 0)
        rc = mdb_dbi_open(s->txn, NULL, 0, &s->dbi);
    if (rc == 0)
        rc = mdb_get(s->txn, s->dbi, &k, &v);
    if (rc != 0)
        e = osp_store_say_damaged(&s->place, why, mdb_strerror(rc));
    else if (!osp_store_head_decode(osp_slice(v.mv_data, v.mv_size), &h) || h.version != OSP_STORE_VERSION)
        e = osp_store_say_damaged(&s->place, why, "its head does not read back");
    if (e == OSP_OK) {
        s->page_len = mdb_stat(s->txn, s->dbi, &st) == 0 ? st.ms_psize : 4096;
        s->fill = osp_store_fill(s);
        s->given_back = osp_store_live_pages(s); /* as many pages as the last batch of the run before may have given back */
    }
    if (s->txn)
        mdb_txn_abort(s->txn); /* the handle of the main database stays valid */
    s->txn = NULL;
    if (e == OSP_OK)
        take_head(s, &h);
    return e;
}

/* ---- what is there ---- */

static enum osp_err
judge(struct osp_store *s, const struct osp_store_report *r, char why[OSP_STORE_WHY_MAX])
{
    switch (r->verdict) {
    case OSP_STORE_GOOD:
        return OSP_OK;
    case OSP_STORE_DAMAGED:
        return osp_store_say_damaged(&s->place, why, "state.mdb does not read back");
    case OSP_STORE_FOREIGN:
        return osp_store_say(&s->place, why, "written in format %u, this program knows %u; run the version that wrote it, or "
                             "provision new keys for all contexts and move the directory aside", r->version, OSP_STORE_VERSION);
    case OSP_STORE_NO_ROOM:
        return osp_store_say(&s->place, why, "no room to write state.mdb anew, as is done after an unclean stop: %s; free space",
                             strerror(r->error));
    case OSP_STORE_NO_CHILD:
        return osp_store_say(&s->place, why, "no process can be started to check it: %s", strerror(r->error));
    }
    return OSP_E_STORE;
}

/* Reads the whole store in a child process, which writes it to a new file. */
static enum osp_err
rebuild(struct osp_store *s, size_t size, char why[OSP_STORE_WHY_MAX])
{
    char                    from[OSP_STORE_PATH_MAX + 32], to[OSP_STORE_PATH_MAX + 32];
    struct osp_store_report r;
    int                     fd;
    enum osp_err            e = osp_store_place_new(&s->place, &fd, why);

    if (e != OSP_OK)
        return e;
    path_of(s, OSP_STORE_FILE, from);
    path_of(s, OSP_STORE_FILE_NEW, to);
    r = osp_store_check(from, s->place.file, to, osp_file_id_of(fd), size);
    e = judge(s, &r, why);
    if (e == OSP_OK)
        return osp_store_place_take(&s->place, fd, why);
    osp_store_place_drop(&s->place, fd);
    return e;
}

static enum osp_err
open_existing(struct osp_store *s, const char *dir, size_t size, char why[OSP_STORE_WHY_MAX])
{
    struct stat  st;
    enum osp_err e = osp_store_place_open(dir, &s->place, why);

    if (e == OSP_OK)
        e = osp_store_place_file(&s->place, why);
    if (e != OSP_OK)
        return e;
    if (fstat(s->place.file, &st) == 0 && (size_t)st.st_size > size)
        size = (size_t)st.st_size; /* a store never gets smaller */
    s->size = size = (size + GRAIN - 1) / GRAIN * GRAIN;
    if (!osp_store_place_is_same(&s->place))
        e = rebuild(s, size, why);
    if (e == OSP_OK)
        e = open_env(s, OSP_STORE_FILE, size, s->place.file, why);
    if (e == OSP_OK)
        e = open_database(s, why);
    return e == OSP_OK ? osp_store_place_fill(&s->place, s->place.file, size, why) : e;
}

enum osp_err
osp_store_open(const char *dir, size_t size, struct osp_store **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_store *s = new_store(why);
    enum osp_err      e = s ? open_existing(s, dir, size, why) : OSP_E_STORE;

    if (e == OSP_OK)
        *out = s;
    else
        osp_store_close(s);
    return e;
}

/* ---- a new one ---- */

static int
put(struct osp_store *s, struct osp_slice name, struct osp_slice value)
{
    MDB_val k = { name.n, (void *)(uintptr_t)name.p }, v = { value.n, (void *)(uintptr_t)value.p };

    return mdb_put(s->txn, s->dbi, &k, &v, 0);
}

/* Makes the first commit: a head, and no rows. */
static enum osp_err
write_first(struct osp_store *s, int fd, char why[OSP_STORE_WHY_MAX])
{
    struct osp_store_head h = { .version = OSP_STORE_VERSION, .seq = 1, .file = osp_file_id_of(fd) };
    uint8_t               bytes[OSP_STORE_HEAD_MAX], plate[OSP_STORE_HEAD_MAX];
    int                   rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);

    if (rc == 0)
        rc = mdb_dbi_open(s->txn, NULL, 0, &s->dbi);
    if (rc == 0) {
        h.txn = mdb_txn_id(s->txn);
        rc = put(s, osp_store_head_name(), osp_store_head_encode(&h, bytes));
    }
    if (rc == 0)
        rc = put(s, osp_store_plate_name(), osp_store_plate_encode(plate));
    if (rc == 0)
        rc = mdb_txn_commit(s->txn);
    else if (s->txn)
        mdb_txn_abort(s->txn);
    s->txn = NULL;
    return rc == 0 ? OSP_OK : say(s, why, rc);
}

/* Makes the file under another name first, so that a start that is killed leaves no incomplete store. */
static enum osp_err
make_file(struct osp_store *s, size_t size, char why[OSP_STORE_WHY_MAX])
{
    int          fd;
    enum osp_err e = osp_store_place_new(&s->place, &fd, why);

    if (e != OSP_OK)
        return e;
    e = open_env(s, OSP_STORE_FILE_NEW, size, fd, why);
    if (e == OSP_OK)
        e = write_first(s, fd, why);
    if (e == OSP_OK)
        e = osp_store_place_fill(&s->place, fd, size, why);
    if (e == OSP_OK)
        return osp_store_place_take(&s->place, fd, why);
    osp_store_place_drop(&s->place, fd);
    return e;
}

static enum osp_err
create(struct osp_store *s, const char *dir, size_t size, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err e = osp_store_place_open(dir, &s->place, why);

    if (e == OSP_OK)
        e = osp_store_place_file(&s->place, why);
    if (e == OSP_OK) {
        (void)osp_store_say(&s->place, why, "there is a state.mdb already; it is not touched");
        return OSP_E_EXISTS;
    }
    s->size = (size + GRAIN - 1) / GRAIN * GRAIN;
    if (e == OSP_E_NOT_FOUND)
        e = make_file(s, s->size, why);
    return e == OSP_OK ? open_database(s, why) : e;
}

enum osp_err
osp_store_create(const char *dir, size_t size, struct osp_store **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_store *s = new_store(why);
    enum osp_err      e = s ? create(s, dir, size, why) : OSP_E_STORE;

    if (e == OSP_OK)
        *out = s;
    else
        osp_store_close(s);
    return e;
}

/* ---- the end ---- */

void
osp_store_close(struct osp_store *s)
{
    size_t used, size;

    if (!s)
        return;
    if (s->env && s->written && !s->head.dirty && !osp_store_is_lost(s)) {
        osp_store_size(s, &used, &size);
        osp_store_place_sum(&s->place, used);
    }
    if (s->env)
        mdb_env_close(s->env);
    osp_store_place_close(&s->place);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}
