/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/load.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "config/schema.h"
#include "config/tree.h"

/* ---- what the passes share ---- */

void
cfg_load_init(struct cfg_load *l, struct cfg_arena *arena, struct cfg_report *report, bool files)
{
    *l = (struct cfg_load){ .report = report, .arena = arena, .files = files };
    l->refs_end = &l->refs;
}

void *
cfg_get(struct cfg_load *l, size_t n)
{
    void *p = cfg_arena_get(l->arena, n);

    l->nomem = l->nomem || !p;
    return p;
}

char *
cfg_text(struct cfg_load *l, struct osp_slice s)
{
    char *p = cfg_arena_text(l->arena, s);

    l->nomem = l->nomem || !p;
    return p;
}

void
cfg_path_print(const struct cfg_path *p, char *dst, size_t cap)
{
    const struct cfg_path *way[CFG_DEPTH_MAX + 1];
    size_t                 n = 0;
    struct osp_wr          w = osp_wr_to(dst, cap - 1);
    char                   index[24];

    for (; p && n < sizeof(way) / sizeof(way[0]); p = p->up)
        way[n++] = p;
    while (n-- > 0) {
        if (!way[n]->key) {
            (void)snprintf(index, sizeof(index), "[%zu]", way[n]->index);
            osp_wr_put(&w, osp_slice_str(index));
            continue;
        }
        if (w.n > 0)
            osp_wr_u8(&w, '.');
        osp_wr_put(&w, osp_slice_str(cfg_show(way[n]->key, (char[CFG_SHOW_MAX]){ 0 })));
    }
    dst[w.n] = '\0';
}

static void __attribute__((format(printf, 4, 0)))
emit(struct cfg_load *l, const struct cfg_pos *pos, const char *key, const char *format, va_list args)
{
    char text[CFG_TEXT_MAX];

    l->report->errors++;
    l->errors++;
    if (l->errors > CFG_ERRORS_SHOWN)
        return;
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    l->report->emit(l->report->ctx, pos, key, text);
    if (l->errors == CFG_ERRORS_SHOWN)
        l->report->emit(l->report->ctx, NULL, NULL, "and more; the rest is not shown");
}

void
cfg_error(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path, const char *format, ...)
{
    char    key[CFG_PATH_TEXT_MAX];
    va_list args;

    cfg_path_print(path, key, sizeof(key));
    va_start(args, format);
    emit(l, pos, *key ? key : NULL, format, args);
    va_end(args);
}

void
cfg_error_key(struct cfg_load *l, const struct cfg_pos *pos, const char *key, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    emit(l, pos, key, format, args);
    va_end(args);
}

void
cfg_refer(struct cfg_load *l, enum cfg_ref_kind kind, const char *name, const struct cfg_pos *pos, const struct cfg_path *path)
{
    struct cfg_ref *r = cfg_get(l, sizeof(*r));
    char            key[CFG_PATH_TEXT_MAX];

    if (!r)
        return;
    cfg_path_print(path, key, sizeof(key));
    *r = (struct cfg_ref){ .kind = kind, .name = name, .key = cfg_text(l, osp_slice_str(key)), .pos = *pos };
    *l->refs_end = r;
    l->refs_end = &r->next;
}

const char *
cfg_show(const char *s, char dst[CFG_SHOW_MAX])
{
    size_t n = 0;

    for (; s[n] && n < CFG_SHOW_MAX - 1; n++)
        dst[n] = isprint((unsigned char)s[n]) ? s[n] : '?';
    dst[n] = '\0';
    if (s[n])
        dst[n - 1] = dst[n - 2] = dst[n - 3] = '.';
    return dst;
}

static void
print_line(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    FILE *to = ctx;

    if (pos && pos->file && pos->line > 0)
        (void)fprintf(to, "%s:%u:%u: ", pos->file, pos->line, pos->column);
    else if (pos && pos->file)
        (void)fprintf(to, "%s: ", pos->file);
    if (key && *key)
        (void)fprintf(to, "%s: ", key);
    (void)fprintf(to, "%s\n", text);
}

void
cfg_report_to(struct cfg_report *r, FILE *to)
{
    *r = (struct cfg_report){ .emit = print_line, .ctx = to };
}

/* ---- the whole configuration ---- */

/* A configuration, and the memory that it and everything it points to are in. */
struct box { struct cfg_arena *arena; struct osp_cfg cfg; };

struct cfg_arena *
cfg_arena_of(struct osp_cfg *cfg)
{
    return ((struct box *)(void *)((char *)cfg - offsetof(struct box, cfg)))->arena;
}

void
cfg_free(struct osp_cfg *cfg)
{
    if (cfg)
        cfg_arena_free(cfg_arena_of(cfg));
}

/* Runs the passes over `text`: tree, structs, checks across items.  False: there were errors. */
static bool
load(struct cfg_load *l, struct osp_slice text, const struct cfg_source *source, struct osp_cfg *cfg)
{
    struct cfg_tree       *tree = NULL;
    const struct cfg_node *root;

    l->source = source;
    root = cfg_tree_read(l, text, &tree);
    if (root) {
        cfg->file = cfg_text(l, osp_slice_str(source->file));
        cfg_read_map(l, root, NULL, cfg_items, cfg);
        cfg->places = l->places;
        if (!l->nomem)
            cfg_check(l, cfg);
    }
    cfg_tree_free(tree);
    if (l->nomem)
        cfg_error(l, NULL, NULL, "out of memory");
    return l->errors == 0;
}

/* Loads the file `path`; if `text` is not NULL, that is the content and no file is read. */
static struct osp_cfg *
load_box(const char *path, const struct osp_slice *text, struct cfg_report *r)
{
    struct cfg_arena *arena = cfg_arena_new(), *scratch = cfg_arena_new();
    struct box       *b = arena ? cfg_arena_get(arena, sizeof(*b)) : NULL;
    struct cfg_load   l;
    struct cfg_source source = { .file = path, .dir = "/" };
    struct osp_slice  content = OSP_EMPTY;
    mode_t            mode = 0;
    bool              ok = false;

    cfg_load_init(&l, arena, r, text == NULL);
    if (!b || !scratch) {
        cfg_error(&l, NULL, NULL, "out of memory");
    } else if (text) {
        source.file = cfg_text(&l, osp_slice_str(path));
        ok = source.file && load(&l, *text, &source, &b->cfg);
    } else if (cfg_read_file(&l, scratch, path, CFG_FILE_MAX, false, NULL, NULL, &content, &mode)) {
        cfg_source_of(&l, path, mode, &source);
        ok = load(&l, content, &source, &b->cfg);
    }
    cfg_arena_free(scratch);
    if (!ok) {
        cfg_arena_free(arena);
        return NULL;
    }
    b->arena = arena;
    return &b->cfg;
}

struct osp_cfg *
cfg_load(const char *path, struct cfg_report *r)
{
    return load_box(path, NULL, r);
}

/* An emit that drops every message. */
static void
ignore(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    (void)ctx;
    (void)pos;
    (void)key;
    (void)text;
}

/* Reads the key `control` alone and ignores errors of all others.  NULL: it is absent, or has an error itself. */
static char *
control_in(struct cfg_load *l, const struct cfg_node *root)
{
    struct cfg_report  silent = { .emit = ignore }, *r = l->report;
    struct osp_cfg     cfg = { .control = NULL };
    struct cfg_item    only[2] = { { .key = NULL } };
    size_t             before = l->errors;

    for (const struct cfg_item *i = cfg_items; i->key; i++)
        if (strcmp(i->key, "control") == 0)
            only[0] = *i;
    l->report = &silent;
    cfg_read_map(l, root, NULL, only, &cfg);
    l->report = r;
    l->errors = before;
    return cfg.control ? strdup(cfg.control) : NULL;
}

char *
cfg_load_control(const char *path, struct cfg_report *r)
{
    struct cfg_arena      *arena = cfg_arena_new();
    struct cfg_source      source = { .file = path, .dir = "/" };
    struct cfg_pos         pos = { .file = path };
    struct cfg_tree       *tree = NULL;
    struct cfg_load        l;
    const struct cfg_node *root = NULL;
    struct osp_slice       text = OSP_EMPTY;
    char                  *control = NULL;
    mode_t                 mode = 0;

    cfg_load_init(&l, arena, r, true);
    if (arena && cfg_read_file(&l, arena, path, CFG_FILE_MAX, false, NULL, NULL, &text, &mode)) {
        cfg_source_of(&l, path, mode, &source);
        l.source = &source;
        root = cfg_tree_read(&l, text, &tree);
    }
    if (root)
        control = control_in(&l, root);
    if (!control && l.errors == 0)
        cfg_error(&l, &pos, NULL, arena ? "has no `control` that could be used" : "out of memory");
    cfg_tree_free(tree);
    cfg_arena_free(arena);
    return control;
}

struct osp_cfg *
cfg_load_text(struct osp_slice text, const char *file, struct cfg_report *r)
{
    return load_box(file, &text, r);
}

/* ---- contexts alone ---- */

struct context_box { struct cfg_arena *arena; max_align_t pad; struct cfg_context items[]; };

void
cfg_contexts_free(struct cfg_context *c, size_t count)
{
    (void)count;
    if (c)
        cfg_arena_free(((struct context_box *)(void *)((char *)c - offsetof(struct context_box, items)))->arena);
}

static struct cfg_context *
box_contexts(struct cfg_load *l, const struct cfg_context_list *list)
{
    struct context_box      *b = cfg_get(l, sizeof(*b) + list->count * sizeof(b->items[0]));
    struct cfg_context_item *i = list->first;

    if (!b)
        return NULL;
    b->arena = l->arena;
    for (size_t n = 0; n < list->count; n++, i = i->next)
        b->items[n] = i->c;
    return b->items;
}

struct cfg_context *
cfg_load_contexts(const char *path, size_t *count, struct cfg_report *r)
{
    struct cfg_arena       *arena = cfg_arena_new();
    struct cfg_load         l;
    struct cfg_context_list list;
    struct cfg_context     *c = NULL;

    cfg_load_init(&l, arena, r, true);
    if (!arena) {
        cfg_error(&l, NULL, NULL, "out of memory");
        return NULL;
    }
    cfg_context_list_init(&list);
    cfg_read_context_file(&l, path, NULL, NULL, &list);
    if (l.errors == 0)
        c = box_contexts(&l, &list);
    if (c)
        cfg_check_contexts(&l, c, list.count);
    if (l.nomem)
        cfg_error(&l, NULL, NULL, "out of memory");
    if (l.errors > 0) {
        cfg_arena_free(arena);
        return NULL;
    }
    *count = list.count;
    return c;
}
