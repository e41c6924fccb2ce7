/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/dump.h"

#include "config/schema.h"

/* ---- lines ---- */

static void
indent(struct cfg_out *o)
{
    for (unsigned i = 0; i < o->depth; i++)
        (void)fputs(i + 1 == o->depth && o->dash ? "- " : "  ", o->to);
    o->dash = false;
}

void
cfg_out_begin(struct cfg_out *o, const char *key)
{
    indent(o);
    (void)fprintf(o->to, "%s:\n", key);
    o->depth++;
}

void
cfg_out_end(struct cfg_out *o)
{
    o->depth--;
    o->dash = false;
}

static void
put_key(struct cfg_out *o, const char *key)
{
    if (key) {
        indent(o);
        (void)fprintf(o->to, "%s: ", key);
        return;
    }
    for (unsigned i = 0; i < o->depth; i++)
        (void)fputs("  ", o->to);
    (void)fputs("- ", o->to);
}

void
cfg_out_word(struct cfg_out *o, const char *key, const char *word)
{
    put_key(o, key);
    (void)fprintf(o->to, "%s\n", word);
}

/* Takes one code point of UTF-8; if there is no valid one, takes one byte and returns false. */
static bool
take_code(struct osp_rd *r, uint32_t *out)
{
    struct osp_rd ahead = *r;
    uint32_t      c = osp_rd_u8(&ahead);
    unsigned      more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    *out = osp_rd_u8(r);
    if (c >= 0xf8 || (c >= 0x80 && more == 0))
        return false;
    c = more ? c & (0x3fu >> more) : c;
    for (; more > 0; more--) {
        if ((osp_rd_peek(&ahead) & 0xc0) != 0x80)
            return false;
        c = c << 6 | (osp_rd_u8(&ahead) & 0x3fu);
    }
    *r = ahead;
    *out = c;
    return true;
}

/*
 * Writes a text in double quotes and in ASCII only, so that nothing in it is special to YAML.  A file name may hold bytes that
 * are no text; they are written unchanged, so that reading them back fails instead of finding another file.
 */
static void
put_quoted(struct cfg_out *o, const char *text)
{
    struct osp_rd r = osp_rd_from(osp_slice_str(text));
    uint32_t      c;

    (void)fputc('"', o->to);
    while (osp_rd_left(&r) > 0) {
        bool is_text = take_code(&r, &c);

        if (c == '"' || c == '\\')
            (void)fprintf(o->to, "\\%c", (int)c);
        else if ((c >= ' ' && c <= '~') || !is_text)
            (void)fputc((int)c, o->to);
        else if (c <= 0xff)
            (void)fprintf(o->to, "\\x%02X", (unsigned)c);
        else if (c <= 0xffff)
            (void)fprintf(o->to, "\\u%04X", (unsigned)c);
        else
            (void)fprintf(o->to, "\\U%08X", (unsigned)c);
    }
    (void)fputc('"', o->to);
}

void
cfg_out_text(struct cfg_out *o, const char *key, const char *text)
{
    put_key(o, key);
    put_quoted(o, text);
    (void)fputc('\n', o->to);
}

void
cfg_out_entry(struct cfg_out *o, const char *key, const char *text)
{
    indent(o);
    put_quoted(o, key);
    (void)fputs(": ", o->to);
    put_quoted(o, text);
    (void)fputc('\n', o->to);
}

void
cfg_out_tagged(struct cfg_out *o, const char *key, const char *form, const char *value)
{
    put_key(o, key);
    (void)fprintf(o->to, "{ %s: ", form);
    put_quoted(o, value);
    (void)fputs(" }\n", o->to);
}

void
cfg_out_hex(struct cfg_out *o, const char *key, struct osp_slice value)
{
    put_key(o, key);
    (void)fputs("{ hex: \"", o->to);
    for (size_t i = 0; i < value.n; i++)
        (void)fprintf(o->to, "%02x", value.p[i]);
    (void)fputs("\" }\n", o->to);
}

/* ---- items ---- */

void
cfg_out_map(struct cfg_out *o, const struct cfg_item *items, const void *obj)
{
    for (; items->key; items++)
        cfg_out_item(o, items, obj);
}

void
cfg_out_element(struct cfg_out *o, const struct cfg_item *items, const void *obj)
{
    o->depth++;                         /* the dash takes the place of an indentation */
    o->dash = true;
    cfg_out_map(o, items, obj);
    o->depth--;
}

static void
print_items(struct cfg_out *o, const struct cfg_item *i, const void *obj, size_t count)
{
    const char *all = *(const char *const *)((const char *)obj + i->at);

    if (count == 0) {
        cfg_out_word(o, i->key, "[]");
        return;
    }
    cfg_out_begin(o, i->key);
    for (size_t n = 0; n < count; n++)
        cfg_out_element(o, i->items, all + n * i->size);
    cfg_out_end(o);
}

static void
print_path(struct cfg_out *o, const char *key, const char *path)
{
    if (path)
        cfg_out_text(o, key, path);
    else
        cfg_out_word(o, key, "none");
}

void
cfg_out_item(struct cfg_out *o, const struct cfg_item *i, const void *obj)
{
    const void *at = (const char *)obj + i->at;
    char        text[CFG_QUANTITY_MAX] = "";

    switch (i->type) {
    case CFG_BOOL: cfg_out_word(o, i->key, *(const bool *)at ? "true" : "false"); return;
    case CFG_UINT: (void)snprintf(text, sizeof(text), "%u", *(const unsigned *)at); break;
    case CFG_COUNT: (void)snprintf(text, sizeof(text), "%zu", *(const size_t *)at); break;
    case CFG_BYTES: cfg_print_bytes(*(const size_t *)at, text); break;
    case CFG_DURATION: cfg_print_duration(*(const uint64_t *)at, text); break;
    case CFG_CHOICE: cfg_out_word(o, i->key, i->choices[*(const unsigned *)at]); return;
    case CFG_PATH: print_path(o, i->key, *(char *const *)at); return;
    case CFG_SECTION:
        cfg_out_begin(o, i->key);
        cfg_out_map(o, i->items, obj);
        cfg_out_end(o);
        return;
    case CFG_ITEMS: print_items(o, i, obj, *(const size_t *)(const void *)((const char *)obj + i->count_at)); return;
    case CFG_OTHER: i->kind->print(o, i->key, at); return;
    case CFG_LATER: return;
    }
    cfg_out_word(o, i->key, text);
}

void
cfg_dump(const struct osp_cfg *cfg, bool secrets, FILE *to)
{
    struct cfg_out o = { .to = to, .secrets = secrets };

    cfg_out_map(&o, cfg_items, cfg);
}
