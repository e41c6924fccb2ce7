/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a reload cannot change.  The column `reload` of the schema tables says which keys these are; here two configurations
 * are walked by the tables and compared key by key.
 */
#include "config/schema.h"

#include <stdlib.h>

struct keep {
    const struct osp_cfg *old;
    struct osp_cfg       *now;
    struct cfg_report    *report;
    size_t                count;
    bool                  nomem;
};

/* The value of one key as the dump writes it, without the key; the caller frees it.  NULL: out of memory. */
static char *
value_text(const struct cfg_item *item, const struct osp_cfg *cfg)
{
    char          *line = NULL, *text = NULL;
    size_t         n = 0, key_n = strlen(item->key) + 2; /* "key: " */
    struct cfg_out o = { .to = open_memstream(&line, &n) };

    if (!o.to)
        return NULL;
    cfg_out_item(&o, item, cfg);
    if (fclose(o.to) == 0 && n > key_n)
        text = strndup(line + key_n, n - key_n - 1); /* without the line end */
    free(line);
    return text;
}

static size_t
size_of(const struct cfg_item *item)
{
    switch (item->type) {
    case CFG_BOOL: return sizeof(bool);
    case CFG_UINT:
    case CFG_CHOICE: return sizeof(unsigned);
    case CFG_COUNT:
    case CFG_BYTES: return sizeof(size_t);
    case CFG_DURATION: return sizeof(uint64_t);
    case CFG_PATH: return sizeof(char *);
    case CFG_OTHER: return item->size;
    case CFG_SECTION:
    case CFG_ITEMS:
    case CFG_LATER: break;
    }
    return 0;
}

/* Gives `now` the value that is in force.  A text is copied, since the old configuration is freed before the new one. */
static void
put_back(struct keep *k, const struct cfg_item *item)
{
    const char *from = (const char *)k->old + item->at;
    char       *to = (char *)k->now + item->at, *text;

    if (item->type != CFG_PATH) {
        memcpy(to, from, size_of(item));
        return;
    }
    text = *(char *const *)(const void *)from;
    if (text) {
        text = cfg_arena_text(cfg_arena_of(k->now), osp_slice_str(text));
        k->nomem = k->nomem || !text;
    }
    *(char **)(void *)to = text;
}

/* Where the key stands in the new file; NULL: it is not there, so its default counts. */
static const struct cfg_pos *
place_of(const struct osp_cfg *cfg, const struct cfg_item *item)
{
    for (const struct cfg_place *p = cfg->places; p; p = p->next) {
        if (p->item == item)
            return &p->pos;
    }
    return NULL;
}

static void
compare(struct keep *k, const struct cfg_item *item, const struct cfg_path *path)
{
    char *was = value_text(item, k->old), *is = value_text(item, k->now);
    char  key[CFG_PATH_TEXT_MAX], text[CFG_TEXT_MAX];

    if (!was || !is) {
        k->nomem = true;
    } else if (strcmp(was, is) != 0) {
        cfg_path_print(path, key, sizeof(key));
        (void)snprintf(text, sizeof(text), "%.200s goes on until a restart, then %.200s is in force", was, is);
        k->report->emit(k->report->ctx, place_of(k->now, item), key, text);
        k->count++;
        put_back(k, item);
    }
    free(was);
    free(is);
}

static void
walk(struct keep *k, const struct cfg_item *items, const struct cfg_path *up)
{
    for (const struct cfg_item *i = items; i->key; i++) {
        struct cfg_path path = { up, i->key, 0 };

        if (i->type == CFG_SECTION)
            walk(k, i->items, &path);
        else if (i->reload == CFG_RESTART)
            compare(k, i, &path);
    }
}

bool
cfg_keep_started(const struct osp_cfg *old, struct osp_cfg *now, struct cfg_report *r, size_t *count)
{
    struct keep k = { .old = old, .now = now, .report = r };

    walk(&k, cfg_items, NULL);
    *count = k.count;
    return !k.nomem;
}
