/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A text taken for a configuration: it is refused with an error that is shown, or it dumps, with its secrets, to a
 * text that loads and dumps to the same.  Reads no files.
 * Reaches cfg_tree_read, cfg_read_map and every kind, cfg_check, cfg_dump; cfg_read_libcoap_conf.
 */
#include <stdlib.h>

#include "config/load.h"

#define CHECK(claim)     \
    do {                 \
        if (!(claim))    \
            abort();     \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t shown;

/* Every error has a text, and a place inside the file. */
static void
emit(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    (void)ctx;
    (void)key;
    CHECK(text && *text);
    CHECK(!pos || (pos->file && pos->line > 0 && pos->column > 0));
    shown++;
}

static struct osp_cfg *
load(struct osp_slice text)
{
    struct cfg_report r = { .emit = emit };
    struct osp_cfg   *cfg;

    shown = 0;
    cfg = cfg_load_text(text, "fuzz.yaml", &r);
    CHECK((cfg == NULL) == (r.errors > 0));
    CHECK((r.errors > 0) == (shown > 0));
    return cfg;
}

static char *
dump(const struct osp_cfg *cfg, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);

    CHECK(f);
    cfg_dump(cfg, true, f);
    CHECK(fclose(f) == 0);
    return text;
}

static void
check_dump(const struct osp_cfg *cfg)
{
    size_t          n = 0, m = 0;
    char           *first = dump(cfg, &n), *second;
    struct osp_cfg *again = load(osp_slice(first, n));

    CHECK(again);
    second = dump(again, &m);
    CHECK(osp_slice_eq(osp_slice(first, n), osp_slice(second, m)));
    free(first);
    free(second);
    cfg_free(again);
}

/* The same text as a file of contexts in libcoap's form. */
static void
try_conf(struct osp_slice text)
{
    struct cfg_arena       *arena = cfg_arena_new();
    struct cfg_report       r = { .emit = emit };
    struct cfg_source       source = { .file = "fuzz.conf", .dir = "/" };
    struct cfg_load         l;
    struct cfg_context_list list;
    struct cfg_context     *c;

    CHECK(arena);
    cfg_load_init(&l, arena, &r, false);
    l.source = &source;
    cfg_context_list_init(&list);
    cfg_read_libcoap_conf(&l, text, &list);
    c = cfg_context_list_freeze(&l, &list);
    CHECK(c && list.count == 1);
    cfg_check_contexts(&l, c, list.count);
    cfg_arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osp_slice text = osp_slice(data, size);
    struct osp_cfg  *cfg = load(text);

    if (cfg)
        check_dump(cfg);
    cfg_free(cfg);
    if (cfg_is_libcoap_conf(text))
        try_conf(text);
    return 0;
}
