/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the reference of all keys from the tables.  docs/configuration.md and osprey.yaml(5) contain it, and a test compares. */
#include "config/schema.h"

#define ROW_MAX 512

/* ---- text ---- */

/* For a man page: characters that are special to roff are escaped, and text in `quotes` becomes bold. */
static void
put_roff(FILE *to, const char *s)
{
    bool bold = false;

    for (; *s; s++) {
        if (*s == '`')
            (void)fputs((bold = !bold) ? "\\fB" : "\\fR", to);
        else if (*s == '-')
            (void)fputs("\\-", to);
        else if (*s == '\\')
            (void)fputs("\\e", to);
        else
            (void)fputc(*s, to);
    }
}

static void
put_markdown(FILE *to, const char *s)
{
    bool code = false;

    for (; *s; s++) {
        code = code != (*s == '`');
        if (*s == '|' || (!code && (*s == '*' || *s == '<')))
            (void)fputc('\\', to);
        (void)fputc(*s, to);
    }
}

static void
put(FILE *to, bool man, const char *s)
{
    if (man)
        put_roff(to, s);
    else
        put_markdown(to, s);
}

/* ---- one item ---- */

static void
type_of(const struct cfg_item *i, char dst[ROW_MAX])
{
    struct osp_wr w = osp_wr_to(dst, ROW_MAX - 1);
    char          lo[CFG_QUANTITY_MAX] = "", hi[CFG_QUANTITY_MAX] = "";

    switch (i->type) {
    case CFG_BOOL: osp_wr_put(&w, osp_slice_str("true or false")); break;
    case CFG_UINT:
    case CFG_COUNT: osp_wr_put(&w, osp_slice_str("a number")); break;
    case CFG_BYTES: osp_wr_put(&w, osp_slice_str("a size")); break;
    case CFG_DURATION: osp_wr_put(&w, osp_slice_str("a time")); break;
    case CFG_PATH: osp_wr_put(&w, osp_slice_str("a path, or none")); break;
    case CFG_SECTION: osp_wr_put(&w, osp_slice_str("a map, see below")); break;
    case CFG_ITEMS: osp_wr_put(&w, osp_slice_str("a list of maps, see below")); break;
    case CFG_OTHER: osp_wr_put(&w, osp_slice_str(i->kind->form)); break;
    case CFG_LATER: break;
    case CFG_CHOICE:
        for (size_t c = 0; i->choices[c]; c++) {
            osp_wr_put(&w, osp_slice_str(c == 0 ? "" : i->choices[c + 1] ? ", " : " or "));
            osp_wr_put(&w, osp_slice_str(i->choices[c]));
        }
        break;
    }
    if (i->type == CFG_UINT || i->type == CFG_COUNT) {
        (void)snprintf(lo, sizeof(lo), "%llu", (unsigned long long)i->min);
        (void)snprintf(hi, sizeof(hi), "%llu", (unsigned long long)i->max);
    } else if (i->type == CFG_BYTES || i->type == CFG_DURATION) {
        (i->type == CFG_BYTES ? cfg_print_bytes : cfg_print_duration)(i->min, lo);
        (i->type == CFG_BYTES ? cfg_print_bytes : cfg_print_duration)(i->max, hi);
    }
    if (*hi) {
        osp_wr_put(&w, osp_slice_str(", "));
        osp_wr_put(&w, osp_slice_str(lo));
        osp_wr_put(&w, osp_slice_str(" to "));
        osp_wr_put(&w, osp_slice_str(hi));
    }
    dst[w.n] = '\0';
}

/* The default as text; false: the reference shows none. */
static bool
default_of(const struct cfg_item *i, char dst[ROW_MAX])
{
    char text[CFG_QUANTITY_MAX] = "";

    if (i->flags & CFG_REQ)
        (void)snprintf(text, sizeof(text), "required");
    else if (i->dflt_text)
        (void)snprintf(dst, ROW_MAX, "%s", strcmp(i->dflt_text, "-") == 0 ? "" : i->dflt_text);
    else if (i->type == CFG_BOOL)
        (void)snprintf(text, sizeof(text), "%s", i->dflt ? "true" : "false");
    else if (i->type == CFG_UINT || i->type == CFG_COUNT)
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)i->dflt);
    else if (i->type == CFG_BYTES)
        cfg_print_bytes(i->dflt, text);
    else if (i->type == CFG_DURATION)
        cfg_print_duration(i->dflt, text);
    else if (i->type == CFG_CHOICE)
        (void)snprintf(text, sizeof(text), "%s", i->choices[i->dflt]);
    if (!i->dflt_text || (i->flags & CFG_REQ))
        (void)snprintf(dst, ROW_MAX, "%s", text);
    return *dst != '\0';
}

/* May a reload change it?  A section leaves that to its keys. */
static const char *
reload_of(const struct cfg_item *i)
{
    switch (i->reload) {
    case CFG_LIVE: return "live";
    case CFG_RESTART: return "restart";
    case CFG_RELOAD_UNKNOWN: break;
    }
    return "";
}

static void
print_row(const struct cfg_item *i, bool man, FILE *to)
{
    char type[ROW_MAX], dflt[ROW_MAX];
    bool has_default = default_of(i, dflt);

    type_of(i, type);
    (void)fputs(man ? ".TP\n.B " : "| `", to);
    if (man)
        put_roff(to, i->key);
    else
        (void)fputs(i->key, to);
    (void)fputs(man ? "\n" : "` | ", to);
    if (i->type == CFG_LATER) {
        (void)fputs(man ? "Refused: not supported by this version; " : "refused | | | not supported by this version; ", to);
    } else {
        put(to, man, type);
        (void)fputs(man ? (has_default ? "; " : "") : " | ", to);
        if (man && has_default && !(i->flags & CFG_REQ))
            (void)fputs("default: ", to);
        put(to, man, dflt);
        if (!man)
            (void)fprintf(to, " | %s | ", reload_of(i));
        else
            (void)fprintf(to, "%s.\n.br\n", i->reload == CFG_RESTART ? "; a change needs a restart" : "");
    }
    put(to, man, i->doc);
    if (i->example) {
        (void)fputs(man ? ".\n.br\nExample: \\fB" : "; example: `", to);
        if (man)
            put_roff(to, i->example);
        else
            (void)fputs(i->example, to);
        (void)fputs(man ? "\\fR" : "`", to);
    }
    (void)fputs(man ? "\n" : " |\n", to);
}

/* ---- tables ---- */

static void
print_table(const char *path, const struct cfg_item *items, bool man, FILE *to)
{
    if (man) {
        (void)fprintf(to, ".SS %s\n", *path ? path : "Top level");
    } else {
        (void)fprintf(to, *path ? "\n### `%s`\n\n" : "\n### Top level%s\n\n", path);
        (void)fputs("| key | value | default | reload | meaning |\n|---|---|---|---|---|\n", to);
    }
    for (const struct cfg_item *i = items; i->key; i++)
        print_row(i, man, to);
    for (const struct cfg_item *i = items; i->key; i++) {
        const struct cfg_item *inner = i->items ? i->items : i->kind ? i->kind->items : NULL;
        bool                   is_list = i->type == CFG_ITEMS || inner == cfg_context_items;
        char                   below[CFG_PATH_TEXT_MAX];

        (void)snprintf(below, sizeof(below), "%.80s%s%.80s%s", path, *path ? "." : "", i->key, is_list ? "[]" : "");
        if (inner)
            print_table(below, inner, man, to);
    }
}

void
cfg_reference(bool man, FILE *to)
{
    print_table("", cfg_items, man, to);
}
