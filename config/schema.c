/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/schema.h"

#include <stdlib.h>

struct unit { const char *name; uint64_t factor; };

/* The largest unit first: printing uses the first one that is exact. */
static const struct unit time_units[] = { { "h", 3600000000u }, { "min", 60000000 }, { "s", 1000000 }, { "ms", 1000 } };
static const struct unit byte_units[] = { { "GiB", 1u << 30 }, { "MiB", 1u << 20 }, { "KiB", 1u << 10 } };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void *
place(void *obj, size_t at)
{
    return (char *)obj + at;
}

/* ---- scalars ---- */

const char *
cfg_scalar(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *form)
{
    if (n->kind == CFG_BAD)
        return NULL;
    if (n->kind == CFG_SCALAR && !n->null)
        return n->text;
    if (n->kind == CFG_SCALAR)
        cfg_error(l, &n->pos, path, "has no value; write %s, or leave the key out", form);
    else
        cfg_error(l, &n->pos, path, "is a %s, but has to be %s", n->kind == CFG_LIST ? "list" : "map", form);
    return NULL;
}

size_t
cfg_each(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *form,
         const struct cfg_node **first)
{
    if (n->kind == CFG_LIST) {
        *first = n->first;
        if (n->count == 0)
            cfg_error(l, &n->pos, path, "is an empty list; write %s, or leave the key out", form);
        return n->count;
    }
    *first = n;
    return cfg_scalar(l, n, path, form) ? 1 : 0;
}

/* Reads the digits at the beginning of `text`; false: there are no digits, or the number is too large. */
static bool
take_digits(const char *text, uint64_t *out, const char **rest)
{
    uint64_t v = 0;
    size_t   i = 0;

    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        if (v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    *out = v;
    *rest = text + i;
    return i > 0;
}

bool
cfg_number(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *text, uint64_t min,
           uint64_t max, uint64_t *out)
{
    const char *rest;
    uint64_t    v;
    char        show[CFG_SHOW_MAX];

    if (!take_digits(text, &v, &rest) || *rest) {
        cfg_error(l, &n->pos, path, "\"%s\" is no number (%llu to %llu)", cfg_show(text, show), (unsigned long long)min,
                  (unsigned long long)max);
        return false;
    }
    if (v < min || v > max) {
        cfg_error(l, &n->pos, path, "%s is %s %llu (%llu to %llu)", cfg_show(text, show), v < min ? "below" : "above",
                  (unsigned long long)(v < min ? min : max), (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *out = v;
    return true;
}

static void
print_quantity(uint64_t v, const struct unit *units, size_t count, const char *plain, char dst[CFG_QUANTITY_MAX])
{
    for (size_t i = 0; v > 0 && i < count; i++) {
        if (v % units[i].factor == 0) {
            (void)snprintf(dst, CFG_QUANTITY_MAX, "%llu%s", (unsigned long long)(v / units[i].factor), units[i].name);
            return;
        }
    }
    (void)snprintf(dst, CFG_QUANTITY_MAX, "%llu%s", (unsigned long long)v, plain);
}

void
cfg_print_duration(uint64_t us, char dst[CFG_QUANTITY_MAX])
{
    print_quantity(us, time_units, COUNT(time_units), us == 0 ? "s" : "us", dst);
}

void
cfg_print_bytes(uint64_t n, char dst[CFG_QUANTITY_MAX])
{
    print_quantity(n, byte_units, COUNT(byte_units), "", dst);
}

/* Reads a number with a unit.  For bytes the unit may be missing, for a time it may not. */
static bool
read_quantity(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const struct cfg_item *item,
              uint64_t *out)
{
    bool               is_time = item->type == CFG_DURATION;
    const struct unit *units = is_time ? time_units : byte_units;
    size_t             count = is_time ? COUNT(time_units) : COUNT(byte_units);
    const char        *form = is_time ? "a time such as 500ms, 90s, 2min or 1h" : "a size such as 4096, 64KiB, 64MiB or 2GiB";
    const char        *text, *rest;
    uint64_t           v, factor = is_time ? 0 : 1;
    char               show[CFG_SHOW_MAX], lo[CFG_QUANTITY_MAX], hi[CFG_QUANTITY_MAX];

    text = cfg_scalar(l, n, path, form);
    if (!text)
        return false;
    if (!take_digits(text, &v, &rest)) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), form);
        return false;
    }
    for (size_t i = 0; *rest && i < count; i++)
        factor = strcmp(rest, units[i].name) == 0 ? units[i].factor : factor;
    if (factor == 0 || (*rest && factor == 1)) {
        cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), form);
        return false;
    }
    if (v > item->max / factor || v * factor < item->min) {
        (is_time ? cfg_print_duration : cfg_print_bytes)(item->min, lo);
        (is_time ? cfg_print_duration : cfg_print_bytes)(item->max, hi);
        cfg_error(l, &n->pos, path, "%s is %s %s (%s to %s)", cfg_show(text, show), v > item->max / factor ? "above" : "below",
                  v > item->max / factor ? hi : lo, lo, hi);
        return false;
    }
    *out = v * factor;
    return true;
}

bool
cfg_is_name(const char *s)
{
    size_t n = 0;

    for (; s[n]; n++) {
        bool alnum = (s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9');

        if (n == CFG_NAME_MAX || (!alnum && !strchr("-_.:@+/", s[n])))
            return false;
    }
    return n > 0;
}

/* ---- one item ---- */

static void
read_bool(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, bool *out)
{
    const char *text = cfg_scalar(l, n, path, "true or false");
    char        show[CFG_SHOW_MAX];

    if (!text)
        return;
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        cfg_error(l, &n->pos, path, "\"%s\" is neither true nor false", cfg_show(text, show));
    else
        *out = strcmp(text, "true") == 0;
}

static void
read_choice(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const struct cfg_item *item, unsigned *out)
{
    char          all[CFG_TEXT_MAX / 2];
    struct osp_wr w = osp_wr_to(all, sizeof(all) - 1);
    const char   *text;
    char          show[CFG_SHOW_MAX];

    for (size_t i = 0; item->choices[i]; i++) {
        osp_wr_put(&w, osp_slice_str(i == 0 ? "" : item->choices[i + 1] ? ", " : " or "));
        osp_wr_put(&w, osp_slice_str(item->choices[i]));
    }
    all[w.n] = '\0';
    text = cfg_scalar(l, n, path, all);
    if (!text)
        return;
    for (unsigned i = 0; item->choices[i]; i++) {
        if (strcmp(text, item->choices[i]) == 0) {
            *out = i;
            return;
        }
    }
    cfg_error(l, &n->pos, path, "\"%s\" is not %s", cfg_show(text, show), all);
}

static void
read_path(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, char **out)
{
    const char *text = cfg_scalar(l, n, path, "a path, or none");

    if (text && *text == '\0')
        cfg_error(l, &n->pos, path, "is empty; write a path, or none");
    else if (text && strcmp(text, "none") != 0)
        *out = cfg_absolute(l, text);
}

static void
read_items(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const struct cfg_item *item, void *obj)
{
    char                  *all;
    size_t                 i = 0, before = l->errors;
    const struct cfg_node *c;

    if (n->kind == CFG_BAD)
        return;
    if (n->kind != CFG_LIST) {
        cfg_error(l, &n->pos, path, "has to be a list: lines that begin with \"- \"");
        return;
    }
    if (n->count > item->max) {
        cfg_error(l, &n->pos, path, "%zu entries; at most %llu", n->count, (unsigned long long)item->max);
        return;
    }
    all = n->count ? cfg_get(l, n->count * item->size) : NULL;
    if (!all)
        return;
    for (c = n->first; c; c = c->next, i++) {
        struct cfg_path at = { path, NULL, i };
        void           *one = all + i * item->size;

        *(struct cfg_pos *)place(one, item->pos_at) = c->pos;
        cfg_read_map(l, c, &at, item->items, one);
    }
    l->bad_routes = l->bad_routes || (item->items == cfg_route_items && l->errors != before);
    *(void **)place(obj, item->at) = all;
    *(size_t *)place(obj, item->count_at) = n->count;
}

static void
set_default(struct cfg_load *l, const struct cfg_path *path, const struct cfg_item *item, void *obj)
{
    void *at = place(obj, item->at);

    switch (item->type) {
    case CFG_BOOL: *(bool *)at = item->dflt != 0; break;
    case CFG_UINT:
    case CFG_CHOICE: *(unsigned *)at = (unsigned)item->dflt; break;
    case CFG_COUNT:
    case CFG_BYTES: *(size_t *)at = (size_t)item->dflt; break;
    case CFG_DURATION: *(uint64_t *)at = item->dflt; break;
    case CFG_SECTION: cfg_read_map(l, NULL, path, item->items, obj); break;
    case CFG_OTHER: item->kind->read(l, NULL, path, at); break;
    case CFG_PATH:
    case CFG_ITEMS:
    case CFG_LATER: break;
    }
}

static void
read_value(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const struct cfg_item *item, void *obj)
{
    void       *at = place(obj, item->at);
    const char *text;
    uint64_t    v;

    switch (item->type) {
    case CFG_BOOL: read_bool(l, n, path, at); break;
    case CFG_UINT:
    case CFG_COUNT:
        text = cfg_scalar(l, n, path, "a number");
        if (!text || !cfg_number(l, n, path, text, item->min, item->max, &v))
            break;
        if (item->type == CFG_UINT)
            *(unsigned *)at = (unsigned)v;
        else
            *(size_t *)at = (size_t)v;
        break;
    case CFG_BYTES:
        if (read_quantity(l, n, path, item, &v))
            *(size_t *)at = (size_t)v;
        break;
    case CFG_DURATION:
        if (read_quantity(l, n, path, item, &v))
            *(uint64_t *)at = v;
        break;
    case CFG_PATH: read_path(l, n, path, at); break;
    case CFG_CHOICE: read_choice(l, n, path, item, at); break;
    case CFG_SECTION: cfg_read_map(l, n, path, item->items, obj); break;
    case CFG_ITEMS: read_items(l, n, path, item, obj); break;
    case CFG_OTHER:
        if (n->kind != CFG_BAD)
            item->kind->read(l, n, path, at);
        break;
    case CFG_LATER: cfg_error(l, &n->key_pos, path, "is not supported by this version; take it out"); break;
    }
}

/* ---- unknown keys ---- */

#define WORD_MAX 24u

static size_t
least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* How many changes make `b` of `a`: one letter changed, added, left out, or swapped with its neighbour. */
static size_t
distance(const char *a, const char *b)
{
    size_t d[WORD_MAX + 1][WORD_MAX + 1], n = strlen(a), m = strlen(b);

    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1, d[i][j]);
        }
    }
    return d[n][m];
}

static const struct cfg_item *
find_item(const struct cfg_item *items, const char *key)
{
    for (; items->key; items++) {
        if (strcmp(items->key, key) == 0)
            return items;
    }
    return NULL;
}

/* The known key that is most similar to `key`; NULL: no key is similar enough. */
static const char *
nearest(const struct cfg_item *items, const char *key)
{
    const char *best = NULL;
    size_t      limit = strlen(key) / 3 + 1;

    for (; items->key; items++) {
        size_t d = items->type == CFG_LATER ? WORD_MAX : distance(key, items->key);

        if (d <= limit) {
            best = items->key;
            limit = d - (d > 0);
        }
    }
    return best;
}

void
cfg_report_unknown(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *up, const struct cfg_item *items)
{
    const struct cfg_node *c;

    for (c = n->first; c; c = c->next) {
        struct cfg_path path = { up, c->key, 0 };
        const char     *better = nearest(items, c->key);
        char            all[CFG_TEXT_MAX / 2];
        struct osp_wr   w = osp_wr_to(all, sizeof(all) - 1);

        if (find_item(items, c->key))
            continue;
        for (const struct cfg_item *i = items; i->key; i++) {
            if (i->type == CFG_LATER)
                continue;
            osp_wr_put(&w, osp_slice_str(w.n ? ", " : ""));
            osp_wr_put(&w, osp_slice_str(i->key));
        }
        all[w.n] = '\0';
        if (better)
            cfg_error(l, &c->key_pos, &path, "unknown key; did you mean \"%s\"?", better);
        else
            cfg_error(l, &c->key_pos, &path, "unknown key; known here: %s", all);
    }
}

/* ---- maps ---- */

static void
note_place(struct cfg_load *l, const struct cfg_item *item, const struct cfg_node *n)
{
    struct cfg_place *p = cfg_get(l, sizeof(*p));

    if (!p)
        return;
    *p = (struct cfg_place){ .next = l->places, .item = item, .pos = n->key_pos };
    l->places = p;
}

void
cfg_read_map(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *up, const struct cfg_item *items, void *obj)
{
    if (n && n->kind == CFG_BAD)
        return;
    if (n && n->kind != CFG_MAP) {
        cfg_error(l, &n->pos, up, "has to be a map: lines of the form \"key: value\"");
        return;
    }
    if (n)
        cfg_report_unknown(l, n, up, items);
    for (const struct cfg_item *i = items; i->key; i++) {
        const struct cfg_node *c = cfg_child(n, i->key);
        struct cfg_path        path = { up, i->key, 0 };

        if (!c && (i->flags & CFG_REQ)) {
            cfg_error(l, n ? &n->pos : NULL, &path, "is missing; %s", i->doc);
            continue;
        }
        set_default(l, &path, i, obj);
        if (c)
            read_value(l, c, &path, i, obj);
        if (c && i->reload == CFG_RESTART)
            note_place(l, i, c);
        if (c && i->check)
            i->check(l, c, &path, obj);
    }
}
