/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/keys/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/file_edhoc.h"

#define PATH_CAP 1024

static bool
complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey: %s: %s\n", what, wrong);
    return false;
}

bool
osprey_path_join(char *path, size_t cap, const char *dir, const char *name)
{
    int n = strcmp(dir, ".") == 0 ? snprintf(path, cap, "%s", name) : snprintf(path, cap, "%s/%s", dir, name);

    return n > 0 && (size_t)n < cap ? true : complain(name, "the path is too long");
}

/* Writes `content` to `fd`, syncs and closes it. */
static bool
finish(int fd, const char *path, struct osp_slice content)
{
    bool ok = true;

    for (size_t at = 0; at < content.n && ok;) {
        ssize_t k = write(fd, osp_slice_tail(content, at).p, content.n - at);

        ok = k > 0;
        at += ok ? (size_t)k : 0;
    }
    ok = ok && fsync(fd) == 0;
    if (close(fd) == -1 || !ok) {
        complain(path, strerror(errno));
        (void)unlink(path);
        return false;
    }
    return true;
}

bool
osprey_file_new(const char *path, mode_t mode, struct osp_slice content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd == -1)
        return complain(path, errno == EEXIST ? "exists already, and is left as it is" : strerror(errno));
    return finish(fd, path, content);
}

bool
osprey_file_read(const char *path, uint8_t *buf, struct osp_slice *out)
{
    FILE  *f = fopen(path, "rb");
    size_t n = f ? fread(buf, 1, OSPREY_FILE_MAX, f) : 0;
    bool   ok = f && !ferror(f);

    if (!ok)
        complain(path, strerror(errno));
    else if (n == OSPREY_FILE_MAX)
        ok = complain(path, "too large");
    if (f)
        fclose(f);
    *out = osp_slice(buf, n);
    return ok;
}

/* ---- EDHOC.yaml ---- */

/* Finds the end of the list, 0: there is no such list.  False: it is written in a form to which no line can be added. */
static bool
find_list(struct osp_slice text, const char *list, size_t *end)
{
    size_t n = strlen(list);
    bool   inside = false;

    *end = 0;
    for (size_t at = 0; at < text.n;) {
        struct osp_slice line = osp_slice_tail(text, at);
        size_t           len = 0;

        while (len < line.n && line.p[len] != '\n')
            len++;
        if (len > 0 && line.p[0] != ' ' && line.p[0] != '#')
            inside = false;
        if (len > n && memcmp(line.p, list, n) == 0 && line.p[n] == ':') {
            for (size_t i = n + 1; i < len && line.p[i] != '#'; i++)
                if (line.p[i] != ' ' && line.p[i] != '\r')
                    return false;
            inside = true;
        }
        at += len + 1;
        if (inside)
            *end = at < text.n ? at : text.n;
    }
    return true;
}

/* Makes the content of the file with the entry in its place. */
static void
compose(struct osp_slice text, size_t at, const char *list, const char *entry, struct osp_wr *w)
{
    struct osp_slice head = at ? osp_slice_head(text, at) : text;

    osp_wr_put(w, head);
    if (head.n && head.p[head.n - 1] != '\n')
        osp_wr_u8(w, '\n');
    if (!at) {
        osp_wr_put(w, osp_slice_str(list));
        osp_wr_put(w, osp_slice_str(":\n"));
    }
    osp_wr_put(w, osp_slice_str(entry));
    osp_wr_put(w, at ? osp_slice_tail(text, at) : OSP_EMPTY);
}

static bool
has_twice(const struct cfg_credential *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            if (strcmp(list[i].name, list[k].name) == 0)
                return !complain(list[i].name, "this name stands there already");
    return false;
}

static bool
can_be_read(const char *path)
{
    struct cfg_report       report;
    struct cfg_credentials *c;
    bool                    ok;

    cfg_report_to(&report, stderr);
    c = cfg_load_credentials(path, &report);
    ok = c && !has_twice(c->own, c->own_count) && !has_twice(c->trusted, c->trusted_count);
    cfg_credentials_free(c);
    return ok;
}

static bool
replace(const char *path, const char *aside, struct osp_slice content)
{
    if (!osprey_file_new(aside, 0600, content))
        return false;
    if (can_be_read(aside) && (rename(aside, path) == 0 || complain(path, strerror(errno))))
        return true;
    (void)unlink(aside);
    return complain(path, "left as it was");
}

bool
osprey_credentials_add(const char *path, const char *list, const char *entry)
{
    static uint8_t   before[OSPREY_FILE_MAX], after[2 * OSPREY_FILE_MAX];
    struct osp_wr    w = osp_wr_to(after, sizeof(after));
    struct osp_slice text = OSP_EMPTY;
    char             aside[PATH_CAP];
    size_t           at = 0;
    bool             ok = true;

    if (access(path, F_OK) == 0)
        ok = osprey_file_read(path, before, &text);
    if (ok && !find_list(text, list, &at)) {
        ok = complain(path, "its list is not one entry after another; add these lines to it by hand:");
        fputs(entry, stderr);
    }
    if (ok && snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
        ok = complain(path, "the path is too long");
    if (ok) {
        compose(text, at, list, entry, &w);
        ok = osp_wr_bad(&w) ? complain(path, "too large") : replace(path, aside, osp_wr_slice(&w));
    }
    osp_wipe(before, sizeof(before));
    osp_wipe(after, sizeof(after));
    return ok;
}
