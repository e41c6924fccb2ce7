/* SPDX-License-Identifier: BSD-2-Clause */
/* Where contexts come from: the `contexts` section, files and directories it includes, files of their own. */
#include "config/schema.h"

#include <sys/stat.h>

void
cfg_context_list_init(struct cfg_context_list *list)
{
    list->first = NULL;
    list->end = &list->first;
    list->count = 0;
}

struct cfg_context *
cfg_context_append(struct cfg_load *l, struct cfg_context_list *list, const struct cfg_pos *pos)
{
    struct cfg_context_item *i = cfg_get(l, sizeof(*i));

    if (!i)
        return NULL;
    i->c.pos = *pos;
    *list->end = i;
    list->end = &i->next;
    list->count++;
    return &i->c;
}

static void
read_one(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_context_list *list)
{
    struct cfg_context *c = n->kind == CFG_BAD ? NULL : cfg_context_append(l, list, &n->pos);

    if (c)
        cfg_read_map(l, n, path, cfg_context_items, c);
}

/* ---- one file ---- */

/* Our own form: `contexts:` and a list, or one context's keys at the top level. */
static void
read_tree(struct cfg_load *l, const struct cfg_node *root, struct cfg_context_list *list)
{
    static const struct cfg_item top[] = { { .key = "contexts" }, { .key = NULL } };
    const struct cfg_node       *all = cfg_child(root, "contexts"), *c;
    struct cfg_path              path = { NULL, "contexts", 0 };
    size_t                       i = 0;

    if (!all) {
        read_one(l, root, NULL, list);
        return;
    }
    cfg_report_unknown(l, root, NULL, top);
    if (all->kind == CFG_MAP || all->kind == CFG_SCALAR || (all->kind == CFG_LIST && all->count == 0))
        cfg_error(l, &all->pos, &path, "has to be a list of contexts");
    for (c = all->kind == CFG_LIST ? all->first : NULL; c; c = c->next, i++) {
        struct cfg_path at = { &path, NULL, i };

        read_one(l, c, &at, list);
    }
}

static void
read_content(struct cfg_load *l, struct osp_slice content, struct cfg_context_list *list)
{
    struct cfg_tree       *tree = NULL;
    const struct cfg_node *root;

    if (cfg_is_libcoap_conf(content)) {
        cfg_read_libcoap_conf(l, content, list);
        return;
    }
    root = cfg_tree_read(l, content, &tree);
    if (root)
        read_tree(l, root, list);
    cfg_tree_free(tree);
}

void
cfg_read_context_file(struct cfg_load *l, const char *path, const struct cfg_pos *pos, const struct cfg_path *key,
                      struct cfg_context_list *list)
{
    const struct cfg_source *outer = l->source;
    struct cfg_arena        *scratch = cfg_arena_new();
    struct cfg_source       *source = cfg_get(l, sizeof(*source));
    struct osp_slice         content;
    mode_t                   mode;

    if (!scratch)
        l->nomem = true;
    if (scratch && source && cfg_read_file(l, scratch, path, CFG_FILE_MAX, false, pos, key, &content, &mode)) {
        cfg_source_of(l, path, mode, source);
        l->source = source;
        read_content(l, content, list);
        l->source = outer;
    }
    cfg_arena_free(scratch);
}

/* ---- include ---- */

static void
include_dir(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *dir,
            struct cfg_context_list *list)
{
    struct cfg_arena *scratch = cfg_arena_new();
    char            **names, file[4096];
    size_t            count;

    if (scratch && cfg_list_dir(l, scratch, dir, &n->pos, path, &names, &count)) {
        for (size_t i = 0; i < count; i++) {
            if (snprintf(file, sizeof(file), "%s/%s", dir, names[i]) >= (int)sizeof(file))
                cfg_error(l, &n->pos, path, "%s/%s: path too long", dir, names[i]);
            else
                cfg_read_context_file(l, file, &n->pos, path, list);
        }
    }
    l->nomem = l->nomem || !scratch;
    cfg_arena_free(scratch);
}

static void
include(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_context_list *list)
{
    const char *name = cfg_scalar(l, n, path, "the path of a file or directory");
    char       *absolute = name ? cfg_absolute(l, name) : NULL;
    struct stat st;

    if (!absolute)
        return;
    if (!l->files)
        cfg_error(l, &n->pos, path, "files are not read here");
    else if (stat(absolute, &st) == 0 && S_ISDIR(st.st_mode))
        include_dir(l, n, path, absolute, list);
    else
        cfg_read_context_file(l, absolute, &n->pos, path, list);
}

/* ---- the section ---- */

static const struct cfg_item include_items[] = { { .key = "include" }, { .key = NULL } };

/* Reads an element of the list, or the section as a whole. */
static void
read_entry(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_context_list *list)
{
    const struct cfg_node *c = cfg_child(n, "include");
    struct cfg_path        at = { path, "include", 0 };

    if (!c) {
        read_one(l, n, path, list);
        return;
    }
    cfg_report_unknown(l, n, path, include_items);
    include(l, c, &at, list);
}

struct cfg_context *
cfg_context_list_freeze(struct cfg_load *l, const struct cfg_context_list *list)
{
    struct cfg_context      *all = list->count ? cfg_get(l, list->count * sizeof(*all)) : NULL;
    struct cfg_context_item *i = list->first;

    for (size_t n = 0; all && n < list->count; n++, i = i->next)
        all[n] = i->c;
    return all;
}

static void
read_contexts(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct osp_cfg         *cfg = obj;
    struct cfg_context_list list;
    size_t                  i = 0, before = l->errors;

    if (!n)
        return;
    cfg_context_list_init(&list);
    if (n->kind == CFG_MAP && cfg_child(n, "include")) {
        read_entry(l, n, path, &list);
    } else if (n->kind != CFG_LIST) {
        cfg_error(l, &n->pos, path, "has to be a list of contexts, or { include: PATH }");
    } else {
        for (const struct cfg_node *c = n->first; c; c = c->next, i++) {
            struct cfg_path at = { path, NULL, i };

            read_entry(l, c, &at, &list);
        }
    }
    l->bad_contexts = l->errors != before;
    cfg->contexts = cfg_context_list_freeze(l, &list);
    cfg->context_count = cfg->contexts ? list.count : 0;
}

static void
print_contexts(struct cfg_out *o, const char *key, const void *obj)
{
    const struct osp_cfg *cfg = obj;

    if (cfg->context_count == 0) {
        cfg_out_word(o, key, "[]");
        return;
    }
    cfg_out_begin(o, key);
    for (size_t i = 0; i < cfg->context_count; i++)
        cfg_out_element(o, cfg_context_items, &cfg->contexts[i]);
    cfg_out_end(o);
}

const struct cfg_kind cfg_kind_contexts = { .form = "a list of maps, or of `include: PATH` entries, or { include: PATH }",
                                            .read = read_contexts, .print = print_contexts, .items = cfg_context_items };
