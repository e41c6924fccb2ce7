/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads files and lists directories for the loader. */
#include "config/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 4096u
#define DIR_FILES_MAX 1000000u

/* Reads `fd` to its end into memory of `a` that is doubled as needed.  False: errno says why, EFBIG if it is more than `max`. */
static bool
read_all(struct cfg_load *l, struct cfg_arena *a, int fd, size_t max, struct osp_slice *out)
{
    size_t   cap = max < READ_BYTES ? max + 1 : READ_BYTES, n = 0;
    uint8_t *buf = cfg_arena_get(a, cap);

    for (;;) {
        struct osp_wr w = osp_wr_to(buf, cap);
        ssize_t       got;

        if (!buf) {
            l->nomem = true;
            errno = ENOMEM;
            return false;
        }
        w.n = n;
        got = read(fd, osp_wr_reserve(&w, cap - n), cap - n);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return false;
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > max) {
            errno = EFBIG;
            return false;
        }
        if (n == cap) {
            uint8_t *more = cfg_arena_get(a, cap * 2);

            if (more)
                (void)osp_slice_copy(osp_slice(buf, n), more, cap * 2);
            buf = more;
            cap *= 2;
        }
    }
    *out = osp_slice(buf, n);
    return true;
}

bool
cfg_read_file(struct cfg_load *l, struct cfg_arena *a, const char *path, size_t max, bool regular, const struct cfg_pos *pos,
              const struct cfg_path *key, struct osp_slice *out, mode_t *mode)
{
    /* A FIFO without a writer must not hold a reload up. */
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
    struct stat st;
    bool        ok = false;

    if (fd == -1 || fstat(fd, &st) == -1) {
        cfg_error(l, pos, key, "%s: %s", path, strerror(errno));
    } else if (regular ? !S_ISREG(st.st_mode) : S_ISDIR(st.st_mode)) {
        cfg_error(l, pos, key, "%s: is not a file", path);
    } else if (!read_all(l, a, fd, max, out)) {
        if (errno == EFBIG)
            cfg_error(l, pos, key, "%s: larger than %zu bytes", path, max);
        else
            cfg_error(l, pos, key, "%s: %s", path, strerror(errno));
    } else {
        *mode = st.st_mode;
        ok = true;
    }
    if (fd != -1)
        (void)close(fd);
    return ok;
}

void
cfg_source_of(struct cfg_load *l, const char *path, mode_t mode, struct cfg_source *out)
{
    const char      *slash = strrchr(path, '/');
    struct osp_slice head = slash ? osp_slice(path, slash == path ? 1 : (size_t)(slash - path)) : osp_slice_str(".");
    char             real[PATH_MAX];
    char            *dir = cfg_text(l, head);

    *out = (struct cfg_source){ .file = cfg_text(l, osp_slice_str(path)), .dir = dir, .mode = mode };
    if (dir && realpath(dir, real))
        out->dir = cfg_text(l, osp_slice_str(real));
    if (!out->file || !out->dir)
        out->file = out->dir = "";
}

char *
cfg_absolute(struct cfg_load *l, const char *name)
{
    size_t n = strlen(l->source->dir) + strlen(name) + 2;
    char  *path;

    if (name[0] == '/')
        return cfg_text(l, osp_slice_str(name));
    path = cfg_get(l, n);
    if (path)
        (void)snprintf(path, n, "%s/%s", strcmp(l->source->dir, "/") == 0 ? "" : l->source->dir, name);
    return path;
}

static bool
is_context_file(const char *name)
{
    const char *dot = strrchr(name, '.');

    return name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".conf") == 0);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One name of the directory, in a list until their number is known. */
struct found { struct found *next; char *name; };

bool
cfg_list_dir(struct cfg_load *l, struct cfg_arena *a, const char *path, const struct cfg_pos *pos, const struct cfg_path *key,
             char ***names, size_t *count)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    struct found  *list = NULL;
    size_t         n = 0;

    if (!d) {
        cfg_error(l, pos, key, "%s: %s", path, strerror(errno));
        return false;
    }
    while ((e = readdir(d)) != NULL && n < DIR_FILES_MAX) {
        struct found *f = is_context_file(e->d_name) ? cfg_arena_get(a, sizeof(*f)) : NULL;

        if (!f)
            continue;
        *f = (struct found){ list, cfg_arena_text(a, osp_slice_str(e->d_name)) };
        list = f->name ? f : list;
        n += f->name != NULL;
    }
    (void)closedir(d);
    *names = cfg_arena_get(a, (n + 1) * sizeof(**names));
    if (!*names) {
        l->nomem = true;
        return false;
    }
    for (size_t i = 0; list; i++, list = list->next)
        (*names)[i] = list->name;
    qsort(*names, n, sizeof(**names), by_name);
    *count = n;
    return true;
}
