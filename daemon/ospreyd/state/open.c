/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State is made by a command, once, and known again at every start: as the file that was written last, on the machine where
 * it was made, with no fewer commits than its mark has seen.  What is not known again is refused, since numbers could be used
 * a second time, until another command takes it over and skips all that may have been used.
 */
#include "daemon/ospreyd/state/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "daemon/ospreyd/log.h"

#define PATH_CAP 1024
#define MACHINE_ID "/etc/machine-id"
#define BLIND_SKIP (1ull << 36)         /* more than can be used without being noticed: two years at 1000 a second */
#define WAY_OUT "if nothing else runs with it, `ospreyd -c FILE --recover-state` goes on safely (docs/operations.md)"

static enum osp_err __attribute__((format(printf, 3, 4)))
say(const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX], const char *format, ...)
{
    va_list args;
    int     n = snprintf(why, OSP_STORE_WHY_MAX, "state %.200s: ", cfg->state);

    va_start(args, format);
    (void)vsnprintf(why + n, OSP_STORE_WHY_MAX - (size_t)n, format, args);
    va_end(args);
    return OSP_E_STORE;
}

/* ---- names and places ---- */

/* The directory of the mark: the configured one, or the name of `state` with ".mark" after it. */
static const char *
mark_dir(const struct osp_cfg *cfg, char dst[PATH_CAP])
{
    size_t n = strlen(cfg->state);

    while (n > 1 && cfg->state[n - 1] == '/')
        n--;
    (void)snprintf(dst, PATH_CAP, "%.*s.mark", (int)n, cfg->state);
    return cfg->state_mark ? cfg->state_mark : dst;
}

/* A hash of the machine ID, which itself should not leave the machine (machine-id(5)).  All zero: the machine has none. */
static void
name_machine(uint8_t out[OSP_STORE_ID_LEN])
{
    char    id[64];
    uint8_t digest[OSP_DIGEST_MAX];
    int     fd = open(MACHINE_ID, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd != -1 ? read(fd, id, sizeof(id)) : -1;

    if (fd != -1)
        (void)close(fd);
    memset(out, 0, OSP_STORE_ID_LEN);
    if (n >= 32) {      /* shorter if it is empty or "uninitialized" */
        struct osp_slice parts[] = { osp_slice_str("osprey machine 1"), osp_slice(id, 32) };

        if (osp_digest(OSP_SHA256, parts, 2, digest) == OSP_OK)
            (void)osp_slice_copy(osp_slice(digest, OSP_STORE_ID_LEN), out, OSP_STORE_ID_LEN);
    }
}

static bool
is_other_machine(const struct osp_identity *id)
{
    static const uint8_t none[OSP_STORE_ID_LEN];
    uint8_t              here[OSP_STORE_ID_LEN];

    name_machine(here);
    return memcmp(id->machine, none, sizeof(none)) != 0 && memcmp(here, none, sizeof(none)) != 0 &&
           memcmp(id->machine, here, sizeof(here)) != 0;
}

/* Opens the store.  OSP_E_NOT_FOUND: there is no store, or no directory for it. */
static enum osp_err
open_existing(struct osp_state *st, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    struct stat info;

    if (lstat(cfg->state, &info) != 0 && errno == ENOENT) {
        (void)say(cfg, why, "there is no such directory");
        return OSP_E_NOT_FOUND;
    }
    return osp_store_open(cfg->state, cfg->state_size, &st->store, why);
}

/* Reads the identity of the store.  OSP_E_NOT_FOUND: it has none, since an older version wrote it; *rows: it has rows. */
static enum osp_err
read_identity(struct osp_state *st, struct osp_identity *id, bool *rows)
{
    enum osp_err e = state_begin(st);

    if (e != OSP_OK)
        return e;
    e = osp_record_get_identity(st->store, id);
    *rows = false;
    for (int i = 1; i < OSP_STORE_TABLES; i++)
        *rows |= osp_store_count(st->store, (enum osp_store_table)i) > 0;
    state_abort(st);
    return e;
}

/* ---- known again? ---- */

/* Why store and mark are not those that were written last; NULL: they are.  `mark`: the result of opening the mark. */
static const char *
stranger(const struct osp_state *st, const struct osp_identity *id, enum osp_err mark)
{
    if (is_other_machine(id))
        return "it was copied here from another machine";
    if (osp_store_was_moved(st->store))
        return "it was copied or restored: state.mdb is not the file that was written last";
    if (mark == OSP_E_NOT_FOUND)
        return "its mark is missing";
    if (mark == OSP_E_FORMAT)
        return "its mark is damaged";
    if (st->marked.is_copy)
        return "its mark was copied or restored";
    if (memcmp(id->store, st->marked.store, sizeof(id->store)) != 0)
        return "its mark is that of other state";
    if (osp_store_seq(st->store) < st->marked.seq)
        return "it is older than its mark: what was written since is lost";
    return NULL;
}

static enum osp_err
new_identity(struct osp_identity *id)
{
    name_machine(id->machine);
    return osp_crypto_random(id->store, sizeof(id->store));
}

/* Gives the store an identity, in a batch of its own. */
static enum osp_err
put_identity(struct osp_state *st, const struct osp_identity *id)
{
    enum osp_err e = osp_store_begin(st->store);

    if (e != OSP_OK)
        return e;
    e = osp_record_put_identity(st->store, id);
    if (e == OSP_OK) {
        osp_store_accept_file(st->store);
        return osp_store_commit(st->store);
    }
    osp_store_abort(st->store);
    return e;
}

/* Makes and opens a mark that says what the store is now. */
static enum osp_err
make_mark(struct osp_state *st, const struct osp_cfg *cfg, const struct osp_identity *id, uint64_t high, bool replace,
          char why[OSP_STORE_WHY_MAX])
{
    char                  buf[PATH_CAP];
    const char           *dir = mark_dir(cfg, buf);
    struct osp_mark_value v = { .seq = osp_store_seq(st->store), .high = high };
    enum osp_err          e;

    memcpy(v.store, id->store, sizeof(v.store));
    osp_mark_close(st->mark);
    st->mark = NULL;
    e = osp_mark_create(dir, replace, &v, why);
    return e == OSP_OK ? osp_mark_open(dir, &st->mark, &st->marked, why) : e;
}

/* State of an older version has neither identity nor mark: both are made. */
static enum osp_err
adopt_old(struct osp_state *st, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    struct osp_identity id;
    uint64_t            high = 0;
    enum osp_err        e = new_identity(&id);

    if (e == OSP_OK)
        e = state_begin(st);
    if (e == OSP_OK) {
        e = osp_record_old_limit(st->store, &high);
        state_abort(st);
    }
    if (e == OSP_OK)
        e = put_identity(st, &id);
    if (e != OSP_OK)
        return say(cfg, why, "cannot be written: %s", osp_state_error(st));
    e = make_mark(st, cfg, &id, high, false, why);
    if (e == OSP_OK)
        log_info("state-taken-over", "state=%s effect=%s", cfg->state, "written by a version before; it has a mark from now on");
    return e == OSP_OK ? OSP_OK : OSP_E_STORE;
}

static enum osp_err
say_missing(const struct osp_cfg *cfg, enum osp_err mark, char why[OSP_STORE_WHY_MAX])
{
    if (mark == OSP_E_NOT_FOUND)
        return say(cfg, why, "there is none yet. If the keys are new, `ospreyd -c FILE --init-state` makes it; if it "
                             "was lost, `ospreyd -c FILE --recover-state` goes on safely (docs/operations.md)");
    return say(cfg, why, "it is missing, but its mark shows that it was there; " WAY_OUT);
}

enum osp_err
state_open_store(struct osp_state *st, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    char                mark_why[OSP_MARK_WHY_MAX], buf[PATH_CAP];
    struct osp_identity id;
    enum osp_err        e = open_existing(st, cfg, why), mark;
    const char         *odd;
    bool                rows = false;

    if (e != OSP_OK && e != OSP_E_NOT_FOUND)
        return e;
    mark = osp_mark_open(mark_dir(cfg, buf), &st->mark, &st->marked, mark_why);
    if (mark == OSP_E_STORE) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "%s", mark_why);
        return OSP_E_STORE;
    }
    if (e == OSP_E_NOT_FOUND)
        return say_missing(cfg, mark, why);
    e = read_identity(st, &id, &rows);
    if (e == OSP_E_NOT_FOUND && !rows)
        return say_missing(cfg, mark, why);
    if (e == OSP_E_NOT_FOUND && mark == OSP_E_NOT_FOUND)
        return adopt_old(st, cfg, why);
    if (e == OSP_E_NOT_FOUND)
        return say(cfg, why, "it is older than its mark: a version before wrote it; " WAY_OUT);
    if (e != OSP_OK)
        return say(cfg, why, "cannot be read: %s", osp_state_error(st));
    odd = stranger(st, &id, mark);
    return odd ? say(cfg, why, "%s; " WAY_OUT, odd) : OSP_OK;
}

/* ---- commands ---- */

static struct osp_state *
bare_state(const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX], enum osp_err *e)
{
    struct osp_state *st = NULL;

    why[0] = '\0';
    *e = OSP_OK;
    if (!cfg->state) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "there is no `state` in the configuration, so there is nothing to make");
        *e = OSP_E_INVALID;
    } else {
        *e = osp_state_dry(&st);
        if (*e != OSP_OK)
            (void)snprintf(why, OSP_STORE_WHY_MAX, "state: out of memory");
    }
    return st;
}

/* Opens the store for --init-state, or makes it.  A store without rows and identity was never used, so it counts as new. */
static enum osp_err
create_store(struct osp_state *st, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    struct osp_identity id;
    bool                rows = true;
    enum osp_err        e;

    if (mkdir(cfg->state, 0700) != 0 && errno != EEXIST)
        return say(cfg, why, "the directory cannot be made: %s", strerror(errno));
    e = osp_store_create(cfg->state, cfg->state_size, &st->store, why);
    if (e != OSP_E_EXISTS)
        return e;
    e = osp_store_open(cfg->state, cfg->state_size, &st->store, why);
    if (e != OSP_OK)
        return e;
    if (read_identity(st, &id, &rows) == OSP_E_NOT_FOUND && !rows)
        return OSP_OK;
    (void)say(cfg, why, "there is state already; nothing was changed");
    return OSP_E_EXISTS;
}

static enum osp_err
init(struct osp_state *st, const struct osp_cfg *cfg, char why[OSP_STORE_WHY_MAX])
{
    char                buf[PATH_CAP];
    struct osp_identity id;
    enum osp_err        e = osp_mark_open(mark_dir(cfg, buf), &st->mark, &st->marked, why);

    if (e == OSP_OK || e == OSP_E_FORMAT) {
        (void)say(cfg, why, "there is a mark of it already (%.200s), so the keys may have been used; " WAY_OUT,
                  mark_dir(cfg, buf));
        return OSP_E_EXISTS;
    }
    if (e != OSP_E_NOT_FOUND)
        return e;
    e = create_store(st, cfg, why);
    if (e != OSP_OK)
        return e;
    e = new_identity(&id);
    if (e == OSP_OK)
        e = put_identity(st, &id);
    if (e != OSP_OK)
        return say(cfg, why, "cannot be written: %s", osp_state_error(st));
    return make_mark(st, cfg, &id, 0, false, why);
}

enum osp_err
osp_state_init(const struct osp_cfg *cfg, FILE *to, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err      e;
    struct osp_state *st = bare_state(cfg, why, &e);
    char              buf[PATH_CAP];

    if (e == OSP_OK)
        e = init(st, cfg, why);
    if (e == OSP_OK)
        (void)fprintf(to, "state %s: made, with its mark in %s\n", cfg->state, mark_dir(cfg, buf));
    osp_state_close(st);
    return e;
}

/* ---- after a loss ---- */

struct loss {
    enum osp_err        mark;           /* the result of opening the mark */
    bool                had_store, named;
    struct osp_identity id;             /* set if `named` */
};

/*
 * How many numbers may have been used beyond what the records and the mark say.  The mark covers all of them if it is the one
 * that was written last, belongs to this store, and shows that the store is not the newest.  If nothing shows that anything was
 * lost, whoever gives the command knows of a loss that cannot be seen, such as a machine that was set back as a whole.
 */
static uint64_t
skip_of(const struct osp_state *st, const struct osp_cfg *cfg, const struct loss *l)
{
    bool mark_is_last = l->mark == OSP_OK && !st->marked.is_copy;

    if (!mark_is_last)
        return BLIND_SKIP;
    if (!l->had_store)
        return cfg->lease.block;
    if (!l->named || is_other_machine(&l->id) || memcmp(l->id.store, st->marked.store, sizeof(l->id.store)) != 0)
        return BLIND_SKIP;
    return stranger(st, &l->id, l->mark) ? cfg->lease.block : BLIND_SKIP;
}

static enum osp_err
open_loss(struct osp_state *st, const struct osp_cfg *cfg, struct loss *l, char why[OSP_STORE_WHY_MAX])
{
    char         buf[PATH_CAP];
    bool         rows;
    enum osp_err e;

    l->mark = osp_mark_open(mark_dir(cfg, buf), &st->mark, &st->marked, why);
    if (l->mark == OSP_E_STORE)
        return l->mark;
    e = open_existing(st, cfg, why);
    l->had_store = e == OSP_OK;
    if (e == OSP_E_NOT_FOUND)
        return create_store(st, cfg, why);
    if (e != OSP_OK)
        return e;
    e = read_identity(st, &l->id, &rows);
    l->named = e == OSP_OK;
    return e == OSP_OK || e == OSP_E_NOT_FOUND ? OSP_OK : say(cfg, why, "cannot be read: %s", osp_state_error(st));
}

/* Raises all records above the numbers that may have been used, and gives the store a new identity, so that no older copy is
   taken for it. */
static enum osp_err
lift_records(struct osp_state *st, const struct osp_identity *id, uint64_t skip, uint64_t *floor, size_t *ended)
{
    enum osp_err e = osp_store_begin(st->store);

    if (e != OSP_OK)
        return e;
    e = osp_record_recover(st->store, st->marked.high, skip, floor, ended);
    if (e == OSP_OK && *floor >= OSP_SSN_END)
        e = OSP_E_SSN_EXHAUSTED;
    if (e == OSP_OK)
        e = osp_record_put_identity(st->store, id);
    if (e != OSP_OK) {
        osp_store_abort(st->store);
        return e;
    }
    osp_store_accept_file(st->store);
    osp_store_mark(st->store, false);
    return osp_store_commit(st->store);
}

static enum osp_err
recover(struct osp_state *st, const struct osp_cfg *cfg, FILE *to, char why[OSP_STORE_WHY_MAX])
{
    struct loss         l = { .mark = OSP_OK };
    struct osp_identity id;
    uint64_t            skip, floor = 0;
    size_t              ended = 0;
    char                buf[PATH_CAP];
    enum osp_err        e = open_loss(st, cfg, &l, why);

    if (e != OSP_OK)
        return e;
    skip = skip_of(st, cfg, &l);
    e = new_identity(&id);
    if (e == OSP_OK)
        e = lift_records(st, &id, skip, &floor, &ended);
    if (e == OSP_E_SSN_EXHAUSTED) {
        (void)say(cfg, why, "no sequence numbers are left above those that may have been used; provision new keys for all "
                  "contexts, move the directory and its mark (%.200s) aside, and make new state", mark_dir(cfg, buf));
        return e;
    }
    if (e != OSP_OK)
        return say(cfg, why, "cannot be written: %s", osp_state_error(st));
    e = make_mark(st, cfg, &id, floor, true, why);
    if (e != OSP_OK)
        return e;
    (void)fprintf(to, "state %s: recovered. Contexts go on %s%" PRIu64 " sequence numbers above all that are known; those that "
                  "are not known start at %" PRIu64 ". Every client proves once that it is not replayed.\n",
                  cfg->state, skip == BLIND_SKIP ? "blindly, " : "", skip, floor);
    if (ended)
        (void)fprintf(to, "state %s: %zu keys have no sequence number left; provision new ones\n", cfg->state, ended);
    return OSP_OK;
}

enum osp_err
osp_state_recover(const struct osp_cfg *cfg, FILE *to, char why[OSP_STORE_WHY_MAX])
{
    enum osp_err      e;
    struct osp_state *st = bare_state(cfg, why, &e);

    if (e == OSP_OK)
        e = recover(st, cfg, to, why);
    osp_state_close(st);
    return e;
}
