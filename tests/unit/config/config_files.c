/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- what was reported ---- */

char   said[65536];
size_t said_n;

/* "line:column: key: text" lines, without the file. */
static void
collect(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    size_t room = sizeof(said) - said_n;
    int    n;

    (void)ctx;
    if (pos && pos->line)
        n = snprintf(said + said_n, room, "%u:%u: %s%s%s\n", pos->line, pos->column, key ? key : "", key ? ": " : "", text);
    else
        n = snprintf(said + said_n, room, "%s%s%s\n", key ? key : "", key ? ": " : "", text);
    said_n += (size_t)n < room ? (size_t)n : room - 1;
}

struct cfg_report
report(void)
{
    said_n = 0;
    said[0] = '\0';
    return (struct cfg_report){ .emit = collect };
}

struct osp_cfg *
load_text(const char *text)
{
    struct cfg_report r = report();
    struct osp_cfg   *cfg = cfg_load_text(osp_slice_str(text), "osprey.yaml", &r);

    assert_true((cfg == NULL) == (r.errors > 0));
    return cfg;
}

/* ---- files ---- */

char config_dir[128];

const char *
in_dir(const char *name)
{
    static char path[4][512];
    static int  next;

    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof(path[next]), "%s/%s", config_dir, name);
    return path[next];
}

void
write_file(const char *name, mode_t mode, const void *content, size_t n)
{
    FILE *f;

    (void)remove(in_dir(name));         /* it may be one that even its owner may not write */
    f = fopen(in_dir(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(in_dir(name), mode), 0);
}

void
write_text(const char *name, mode_t mode, const char *text)
{
    write_file(name, mode, text, strlen(text));
}

struct osp_slice
read_file(const char *path)
{
    static char buf[2][65536];
    static int  next;
    FILE       *f = fopen(path, "rb");
    size_t      n;

    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    next = !next;
    n = fread(buf[next], 1, sizeof(buf[next]) - 1, f);
    buf[next][n] = '\0';
    (void)fclose(f);
    return osp_slice(buf[next], n);
}

int
make_dir(void **state)
{
    (void)state;
    (void)snprintf(config_dir, sizeof(config_dir), "/tmp/osprey-config-XXXXXX");
    return mkdtemp(config_dir) && mkdir(in_dir("keys"), 0700) == 0 && mkdir(in_dir("contexts.d"), 0700) == 0 &&
                   mkdir(in_dir("edhoc"), 0700) == 0 ? 0 : -1;
}

static void
empty_dir(const char *path)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    char           name[512];

    while (d && (e = readdir(d)) != NULL) {
        (void)snprintf(name, sizeof(name), "%s/%.200s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)remove(name);
    }
    if (d)
        (void)closedir(d);
}

int
remove_dir(void **state)
{
    (void)state;
    empty_dir(in_dir("keys"));
    empty_dir(in_dir("contexts.d"));
    empty_dir(in_dir("edhoc"));
    empty_dir(config_dir);
    return rmdir(config_dir);
}

struct osp_cfg *
load_file(const char *name)
{
    struct cfg_report r = report();

    return cfg_load(in_dir(name), &r);
}

char *
dump(const struct osp_cfg *cfg, bool secrets)
{
    char  *text = NULL;
    size_t n = 0;
    FILE  *f = open_memstream(&text, &n);

    assert_non_null(f);
    cfg_dump(cfg, secrets, f);
    assert_int_equal(fclose(f), 0);
    return text;
}
