/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/keys/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FP 16      /* bytes of the fingerprint in a file name */
#define NAME_CAP 64
#define SUFFIX ".key"
#define SUFFIX_OLD ".context"   /* both keys of a context, by its fingerprint */
#define RECORD_CAP 256  /* a record has some 80 bytes; a larger file is not a record */

struct osprey_state {
    int  dir;           /* the directory */
    int  lock;          /* file whose lock is held for one change */
    int  claim;         /* file whose lock an origin holds while it runs; -1: no such lock */
    char path[256];
};

static char last_error[512]; /* one thread, one state at a time */

static enum osp_err __attribute__((format(printf, 1, 2)))
failed(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(last_error, sizeof(last_error), format, ap);
    va_end(ap);
    return OSP_E_STORE;
}

const char *
osprey_state_why(void)
{
    return last_error;
}

bool
osprey_state_default_dir(char *dst, size_t cap)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int         n;

    if (state && state[0] == '/')
        n = snprintf(dst, cap, "%s/osprey", state);
    else if (home && home[0] == '/')
        n = snprintf(dst, cap, "%s/.local/state/osprey", home);
    else
        return false;
    return n > 0 && (size_t)n < cap;
}

bool
osprey_dirs_make(const char *dir)
{
    char   part[1024];
    size_t n = strlen(dir);

    if (n >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t i = 1; i <= n; i++) {
        if (dir[i] != '/' && dir[i] != '\0')
            continue;
        memcpy(part, dir, i);
        part[i] = '\0';
        if (mkdir(part, 0700) == -1 && errno != EEXIST)
            return false;
    }
    return true;
}

enum osp_err
osprey_state_open(const char *dir, struct osprey_state **out)
{
    struct osprey_state *s;

    if (strlen(dir) >= sizeof(s->path) || dir[0] == '\0')
        return failed("state directory: unusable name");
    s = calloc(1, sizeof(*s));
    if (!s) {
        failed("state directory %s: out of memory", dir);
        return OSP_E_NOMEM;
    }
    memcpy(s->path, dir, strlen(dir) + 1);
    s->dir = s->lock = s->claim = -1;
    if (osprey_dirs_make(dir))
        s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir != -1)
        s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock == -1) {
        failed("state directory %s: %s; sequence numbers have to be kept somewhere: name a writable directory with --state",
               dir, strerror(errno));
        osprey_state_close(s);
        return OSP_E_STORE;
    }
    *out = s;
    return OSP_OK;
}

void
osprey_state_close(struct osprey_state *s)
{
    if (!s)
        return;
    if (s->dir != -1)
        close(s->dir);
    if (s->lock != -1)
        close(s->lock);
    if (s->claim != -1)
        close(s->claim);
    free(s);
}

enum osp_err
osprey_state_claim(struct osprey_state *s)
{
    s->claim = openat(s->dir, "origin.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->claim == -1)
        return failed("%s/origin.lock: %s", s->path, strerror(errno));
    if (flock(s->claim, LOCK_EX | LOCK_NB) == -1) {
        failed("%s: another origin uses this state directory; give each its own with --state", s->path);
        return OSP_E_EXISTS;
    }
    return OSP_OK;
}

/* ---- one record ---- */

static void
record_name(const uint8_t fp[OSPREY_FP_LEN], const char *suffix, char name[NAME_CAP])
{
    char hex[2 * NAME_FP + 1];

    osp_hex_encode(osp_slice(fp, NAME_FP), hex, sizeof(hex));
    snprintf(name, NAME_CAP, "%s%s", hex, suffix);
}

static bool
parse_record(const char *text, struct osprey_record *r)
{
    char     window[16] = "";
    int      used = 0;
    uint64_t limit, next;
    uint32_t seen;
    unsigned roles = 0;
    bool     ok = sscanf(text, "osprey-key 1\nroles %x\nlimit %" SCNu64 "\nwindow %15s %" SCNu64 " %" SCNx32 "\nend\n%n",
                         &roles, &limit, window, &next, &seen, &used) == 5 ||
              sscanf(text, "osprey-context 1\nlimit %" SCNu64 "\nwindow %15s %" SCNu64 " %" SCNx32 "\nend\n%n", &limit,
                     window, &next, &seen, &used) == 4;

    if (!ok || used <= 0 || text[used] != '\0' || limit > OSP_PIV_MAX + 1)
        return false;
    r->roles = roles;
    r->limit = limit;
    r->window = (struct osp_replay){ .next = next, .seen = seen };
    if (strcmp(window, "none") == 0)
        r->state = OSPREY_WINDOW_NONE;
    else if (strcmp(window, "lost") == 0)
        r->state = OSPREY_WINDOW_LOST;
    else if (strcmp(window, "saved") == 0)
        r->state = OSPREY_WINDOW_SAVED;
    else
        return false;
    return true;
}

static enum osp_err
read_record(struct osprey_state *s, const char *name, struct osprey_record *r)
{
    char    text[RECORD_CAP];
    ssize_t n;
    int     fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC);

    memset(r, 0, sizeof(*r));
    if (fd == -1 && errno == ENOENT)
        return OSP_OK;
    if (fd == -1)
        return failed("%s/%s: %s", s->path, name, strerror(errno));
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n == -1)
        return failed("%s/%s: %s", s->path, name, strerror(errno));
    text[n] = '\0';
    if (memchr(text, '\0', (size_t)n) || !parse_record(text, r))
        return failed("%s/%s is damaged, so it is not known which sequence numbers were used: give this context new keys "
                      "on both sides, or restore the file with a limit above every number used",
                      s->path, name);
    return OSP_OK;
}

static bool
write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, text, n);

        if (k <= 0)
            return false;
        text += k;
        n -= (size_t)k;
    }
    return true;
}

/* Writes a record under another name, syncs and renames it, and syncs the directory. */
static enum osp_err
replace(struct osprey_state *s, const char *name, const char *text)
{
    char aside[NAME_CAP + 8];
    int  fd;
    bool ok;

    snprintf(aside, sizeof(aside), "%s.new", name);
    fd = openat(s->dir, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd == -1)
        return failed("%s/%s: %s", s->path, aside, strerror(errno));
    ok = write_all(fd, text, strlen(text)) && fsync(fd) == 0;
    if (!ok)
        failed("%s/%s: %s", s->path, aside, strerror(errno));
    if (close(fd) == -1 || !ok)
        return OSP_E_STORE;
    if (renameat(s->dir, aside, s->dir, name) == -1 || fsync(s->dir) == -1)
        return failed("%s/%s: %s", s->path, name, strerror(errno));
    return OSP_OK;
}

static enum osp_err
write_record(struct osprey_state *s, const char *name, const struct osprey_record *r)
{
    static const char *const windows[] = { "none", "lost", "saved" };
    char                     text[RECORD_CAP];

    snprintf(text, sizeof(text), "osprey-key 1\nroles %x\nlimit %" PRIu64 "\nwindow %s %" PRIu64 " %08" PRIx32 "\nend\n",
             r->roles, r->limit, windows[r->state], r->window.next, r->window.seen);
    return replace(s, name, text);
}

static enum osp_err
take_lock(struct osprey_state *s)
{
    while (flock(s->lock, LOCK_EX) == -1)
        if (errno != EINTR)
            return failed("%s/lock: %s", s->path, strerror(errno));
    return OSP_OK;
}

/* Under the lock: reads the record, lets `change` change it, and writes it back. */
typedef enum osp_err (*change_fn)(struct osprey_record *r, void *arg);

static enum osp_err
change_record(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN], change_fn change, void *arg)
{
    struct osprey_record r;
    char                 name[NAME_CAP];
    enum osp_err         e;

    record_name(fp, SUFFIX, name);
    e = take_lock(s);
    if (e != OSP_OK)
        return e;
    e = read_record(s, name, &r);
    if (e == OSP_OK)
        e = change(&r, arg);
    if (e == OSP_OK)
        e = write_record(s, name, &r);
    flock(s->lock, LOCK_UN);
    return e;
}

/* ---- which keys there are ---- */

static unsigned
role(enum osprey_side side, bool sends)
{
    return 1u << (2 * (unsigned)side + sends);
}

/* The highest limit in records of older versions that no context has taken over yet. */
struct unclaimed { struct osprey_state *state; uint64_t limit; size_t count; enum osp_err e; };

static bool
count_unclaimed(void *ctx, const char *name)
{
    struct unclaimed    *u = ctx;
    struct osprey_record r;

    u->e = read_record(u->state, name, &r);
    u->count++;
    if (u->e == OSP_OK && r.limit > u->limit)
        u->limit = r.limit;
    return u->e == OSP_OK;
}

/*
 * Reads the record of an older version that has these keys into *r, and its name; without one, *r is the default for unknown
 * keys.  The caller holds the lock.
 */
static enum osp_err
read_old(struct osprey_state *s, const uint8_t *old, char name[NAME_CAP], struct osprey_record *r)
{
    struct unclaimed u = { .state = s };
    enum osp_err     e;

    *r = (struct osprey_record){ 0 };
    name[0] = '\0';
    if (old) {
        record_name(old, SUFFIX_OLD, name);
        if (faccessat(s->dir, name, F_OK, 0) == 0)
            return read_record(s, name, r);
        name[0] = '\0';
    }
    e = osprey_state_each(s, SUFFIX_OLD, count_unclaimed, &u);
    r->limit = u.limit;
    r->state = u.count ? OSPREY_WINDOW_LOST : OSPREY_WINDOW_NONE;
    return e == OSP_OK ? u.e : e;
}

/* Notes that `side` uses a key to send, or to receive; `old` is what is known of a key that has no record. */
static enum osp_err
enter_key(struct osprey_state *s, enum osprey_side side, bool sends, const uint8_t key[OSPREY_FP_LEN],
          const struct osprey_record *old, bool claimed)
{
    struct osprey_record r;
    char                 name[NAME_CAP];
    enum osp_err         e;
    bool                 known;

    record_name(key, SUFFIX, name);
    e = read_record(s, name, &r);
    if (e != OSP_OK)
        return e;
    if (r.roles & role(side, !sends)) {
        failed("its %s was used as a %s here before (were the IDs swapped?): whoever sends with it now would use sequence "
               "numbers a second time; give the context new keys on both sides",
               sends ? "Sender Key" : "Recipient Key", sends ? "Recipient Key" : "Sender Key");
        return OSP_E_EXISTS;
    }
    known = r.roles & (role(OSPREY_CLIENT, sends) | role(OSPREY_ORIGIN, sends));
    if (known && !claimed && (r.roles & role(side, sends)))
        return OSP_OK;
    if ((!known || claimed) && sends && r.limit < old->limit)
        r.limit = old->limit;
    if (!sends && claimed) {
        r.state = known ? OSPREY_WINDOW_LOST : old->state;
        r.window = known ? (struct osp_replay){ 0 } : old->window;
    } else if (!sends && !known && old->state != OSPREY_WINDOW_NONE) {
        r.state = OSPREY_WINDOW_LOST;
    }
    r.roles |= role(side, sends);
    return write_record(s, name, &r);
}

static enum osp_err
enter_keys(struct osprey_state *s, enum osprey_side side, const struct osprey_keys *k)
{
    struct osprey_record old;
    char                 name[NAME_CAP];
    enum osp_err         e = read_old(s, k->old, name, &old);

    if (e == OSP_OK && k->sender)
        e = enter_key(s, side, true, *k->sender, &old, name[0] != '\0');
    for (size_t i = 0; i < k->recipient_count && e == OSP_OK; i++)
        e = enter_key(s, side, false, k->recipients[i], &old, name[0] != '\0');
    if (e == OSP_OK && name[0] && unlinkat(s->dir, name, 0) == -1)      /* an older version would read outdated numbers in it */
        e = failed("%s/%s: %s", s->path, name, strerror(errno));
    return e;
}

enum osp_err
osprey_state_enter(struct osprey_state *s, enum osprey_side side, const struct osprey_keys *k)
{
    enum osp_err e = take_lock(s);

    if (e != OSP_OK)
        return e;
    e = enter_keys(s, side, k);
    flock(s->lock, LOCK_UN);
    return e;
}

/* ---- what callers do with it ---- */

struct lease { uint64_t count, first, limit; };

static enum osp_err
change_lease(struct osprey_record *r, void *arg)
{
    struct lease *l = arg;
    uint64_t      left = OSP_PIV_MAX + 1 - r->limit;

    if (left == 0) {
        failed("all 2^40 sequence numbers of this context are used: it needs new keys");
        return OSP_E_SSN_EXHAUSTED;
    }
    l->first = r->limit;
    r->limit += l->count < left ? l->count : left;
    l->limit = r->limit;
    return OSP_OK;
}

enum osp_err
osprey_state_lease(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN], uint64_t count, uint64_t *first,
                   uint64_t *limit)
{
    struct lease l = { .count = count };
    enum osp_err e = change_record(s, fp, change_lease, &l);

    if (e == OSP_OK) {
        *first = l.first;
        *limit = l.limit;
    }
    return e;
}

static enum osp_err
change_give_back(struct osprey_record *r, void *arg)
{
    const struct lease *l = arg;

    if (r->limit != l->limit || l->first >= l->limit)
        return OSP_E_EXISTS; /* leaves the record as it is */
    r->limit = l->first;
    return OSP_OK;
}

void
osprey_state_give_back(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN], uint64_t next, uint64_t limit)
{
    struct lease l = { .first = next, .limit = limit };

    (void)change_record(s, fp, change_give_back, &l); /* numbers that stay leased are only skipped */
}

static enum osp_err
change_take_window(struct osprey_record *r, void *arg)
{
    struct osprey_record *out = arg;

    *out = *r;
    r->state = OSPREY_WINDOW_LOST;
    r->window = (struct osp_replay){ 0 };
    return OSP_OK;
}

enum osp_err
osprey_state_take_window(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN], struct osprey_record *out)
{
    struct osprey_record r;
    enum osp_err         e = change_record(s, fp, change_take_window, &r);

    if (e == OSP_OK)
        *out = r;
    return e;
}

static enum osp_err
change_save_window(struct osprey_record *r, void *arg)
{
    const struct osp_replay *w = arg;

    r->state = OSPREY_WINDOW_SAVED;
    r->window = *w;
    return OSP_OK;
}

enum osp_err
osprey_state_save_window(struct osprey_state *s, const uint8_t fp[OSPREY_FP_LEN], const struct osp_replay *w)
{
    struct osp_replay copy = *w;

    return change_record(s, fp, change_save_window, &copy);
}

/* ---- other records ---- */

enum osp_err
osprey_state_put(struct osprey_state *s, const char *name, const char *text)
{
    enum osp_err e = strlen(name) < NAME_CAP && strlen(text) < OSPREY_TEXT_MAX ? OSP_OK : failed("%s: too long", name);

    if (e == OSP_OK)
        e = take_lock(s);
    if (e != OSP_OK)
        return e;
    e = replace(s, name, text);
    flock(s->lock, LOCK_UN);
    return e;
}

enum osp_err
osprey_state_get(struct osprey_state *s, const char *name, char text[OSPREY_TEXT_MAX])
{
    int     fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd == -1 && errno == ENOENT)
        return OSP_E_NOT_FOUND;
    if (fd == -1)
        return failed("%s/%s: %s", s->path, name, strerror(errno));
    n = read(fd, text, OSPREY_TEXT_MAX);
    close(fd);
    if (n == -1 || n == OSPREY_TEXT_MAX)
        return failed("%s/%s: %s", s->path, name, n == -1 ? strerror(errno) : "too long");
    text[n] = '\0';
    return OSP_OK;
}

enum osp_err
osprey_state_each(struct osprey_state *s, const char *suffix, bool (*fn)(void *ctx, const char *name), void *ctx)
{
    int            fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *d = fd == -1 ? NULL : fdopendir(fd);
    size_t         end = strlen(suffix);
    struct dirent *entry;

    if (!d) {
        if (fd != -1)
            close(fd);
        return failed("%s: %s", s->path, strerror(errno));
    }
    while ((entry = readdir(d))) {
        size_t n = strlen(entry->d_name);

        if (n > end && strcmp(&entry->d_name[n - end], suffix) == 0 && !fn(ctx, entry->d_name))
            break;
    }
    closedir(d);
    return OSP_OK;
}
