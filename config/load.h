/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of the loader: what its passes share.
 *
 * Every pass goes on after an error, so that one run reports all errors.  A function that reports an error leaves a value that
 * later passes can read safely: zero, NULL, or a node of kind CFG_BAD, about which nothing more is reported.
 */
#ifndef OSP_CONFIG_LOAD_H
#define OSP_CONFIG_LOAD_H

#include <sys/types.h>

#include "config/arena.h"
#include "config/config.h"

#define CFG_FILE_MAX (16u * 1024 * 1024)        /* bytes of one file */
#define CFG_SECRET_MAX 4096u                    /* bytes of a file that holds a secret */
#define CFG_ERRORS_SHOWN 100                    /* errors told one by one */
#define CFG_TEXT_MAX 512                        /* bytes of the text of an error */

/* The file being read. */
struct cfg_source {
    const char *file;           /* its name as it was given; in the result's memory */
    const char *dir;            /* absolute; relative file names in the file start here */
    mode_t      mode;           /* permission bits; 0: the text did not come from a file */
};

/* A name used somewhere, looked up once everything is read. */
enum cfg_ref_kind { CFG_REF_CONTEXT, CFG_REF_CONTEXTS /* glob */, CFG_REF_ROUTES /* glob */, CFG_REF_CREDENTIALS /* glob */ };
struct cfg_ref {
    struct cfg_ref   *next;
    enum cfg_ref_kind kind;
    const char       *name, *key;
    struct cfg_pos    pos;
};

struct cfg_load {
    struct cfg_report       *report;
    struct cfg_arena        *arena;     /* of the result */
    const struct cfg_source *source;
    bool                     files;     /* false: no other files and no environment variables are read */
    bool                     nomem;
    size_t                   errors;
    struct cfg_ref          *refs, **refs_end;
    struct cfg_place        *places;    /* of the keys that only a restart may change */
    /* True: some of these could not be read, so a name that is not found may be right and is not reported. */
    bool                     bad_contexts, bad_routes, bad_credentials;
};

/* The keys that lead to a value, the innermost first. */
struct cfg_path {
    const struct cfg_path *up;
    const char            *key;         /* NULL: an element of a list, the `index`th */
    size_t                 index;
};

#define CFG_PATH_TEXT_MAX 200

/* "clients[2].rate.burst", cut at `cap`. */
void cfg_path_print(const struct cfg_path *p, char *dst, size_t cap);

void cfg_load_init(struct cfg_load *l, struct cfg_arena *arena, struct cfg_report *report, bool files);

/* Reports an error at the position `pos` (NULL: none) about the key `path` (NULL: none). */
void cfg_error(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* As cfg_error(), with the key as text instead of a path. */
void cfg_error_key(struct cfg_load *l, const struct cfg_pos *pos, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The memory that `cfg` and all it points to come from, for what is added to it. */
struct cfg_arena *cfg_arena_of(struct osp_cfg *cfg);

/* Zeroed memory that belongs to the result.  NULL: out of memory, which is noted in `l` and reported once, at the end. */
void *cfg_get(struct cfg_load *l, size_t n);
char *cfg_text(struct cfg_load *l, struct osp_slice s);

/* `name` as an absolute path, in the result's memory. */
char *cfg_absolute(struct cfg_load *l, const char *name);

/* Remembers that `name` has to exist; cfg_check() looks it up once everything is read. */
void cfg_refer(struct cfg_load *l, enum cfg_ref_kind kind, const char *name, const struct cfg_pos *pos,
               const struct cfg_path *path);

/* `s` as an error can show it: cut to the size of `dst`, unprintable bytes as "?".  Returns `dst`. */
#define CFG_SHOW_MAX 48
const char *cfg_show(const char *s, char dst[CFG_SHOW_MAX]);

/* ---- files.c ---- */

/*
 * Reads a file of up to `max` bytes into the memory of `a`, and its mode.  On failure reports at `pos` and returns
 * false.  With `regular`, only a plain file will do: a secret is read once and whole.
 */
bool cfg_read_file(struct cfg_load *l, struct cfg_arena *a, const char *path, size_t max, bool regular, const struct cfg_pos *pos,
                   const struct cfg_path *key, struct osp_slice *out, mode_t *mode);

/* Fills *out for the file `path`; memory comes from the result. */
void cfg_source_of(struct cfg_load *l, const char *path, mode_t mode, struct cfg_source *out);

/*
 * The names, sorted, of the files in directory `path` that end in .yaml or .conf, in the memory of `a`.
 */
bool cfg_list_dir(struct cfg_load *l, struct cfg_arena *a, const char *path, const struct cfg_pos *pos,
                  const struct cfg_path *key, char ***names, size_t *count);

/* ---- passes ---- */

/* contexts.c: reads one file of contexts, of either form, and appends to the list. */
struct cfg_context_list { struct cfg_context_item *first, **end; size_t count; };
struct cfg_context_item { struct cfg_context_item *next; struct cfg_context c; };
void cfg_context_list_init(struct cfg_context_list *list);
void cfg_read_context_file(struct cfg_load *l, const char *path, const struct cfg_pos *pos, const struct cfg_path *key,
                           struct cfg_context_list *list);
struct cfg_context *cfg_context_list_freeze(struct cfg_load *l, const struct cfg_context_list *list);

/* file_edhoc.c: the file of credentials. */
void cfg_read_credentials(struct cfg_load *l, const char *path, const struct cfg_pos *pos, const struct cfg_path *key,
                          struct cfg_credentials *out);

/* file_libcoap.c */
bool cfg_is_libcoap_conf(struct osp_slice text);
void cfg_read_libcoap_conf(struct cfg_load *l, struct osp_slice text, struct cfg_context_list *list);

/* check.c: errors that show only when several items are compared. */
void cfg_check_contexts(struct cfg_load *l, const struct cfg_context *c, size_t count);
void cfg_check(struct cfg_load *l, const struct osp_cfg *cfg);

/* Loads a text that reads nothing else (no files, no environment).  As cfg_load(). */
struct osp_cfg *cfg_load_text(struct osp_slice text, const char *file, struct cfg_report *r);

/* reference.c: the table of every key, in Markdown or as the items of a man page. */
void cfg_reference(bool man, FILE *to);

#endif
