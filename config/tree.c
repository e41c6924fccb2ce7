/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/tree.h"

#include <stdlib.h>

#include <yaml.h>

struct cfg_tree {
    struct cfg_load  *load;
    struct cfg_arena *arena;
    size_t            nodes;
    yaml_parser_t     parser;
    yaml_event_t      event;            /* the current one */
    bool              has_event;
    bool              stop;             /* after an error of YAML itself nothing more can be read */
};

static struct cfg_pos
pos_at(const struct cfg_tree *t, const yaml_mark_t *m)
{
    return (struct cfg_pos){ t->load->source->file, (unsigned)m->line + 1, (unsigned)m->column + 1 };
}

/* ---- events ---- */

/* A scalar may be a secret, and libyaml frees without wiping. */
static void
drop_event(struct cfg_tree *t)
{
    if (!t->has_event)
        return;
    if (t->event.type == YAML_SCALAR_EVENT)
        osp_wipe(t->event.data.scalar.value, t->event.data.scalar.length);
    yaml_event_delete(&t->event);
    t->has_event = false;
}

static void
report_parser(struct cfg_tree *t)
{
    const yaml_parser_t *p = &t->parser;
    struct cfg_pos       pos = pos_at(t, p->error == YAML_READER_ERROR ? &p->mark : &p->problem_mark);

    if (p->error == YAML_MEMORY_ERROR)
        t->load->nomem = true;
    else if (p->context)
        cfg_error(t->load, &pos, NULL, "no YAML: %s, %s", p->context, p->problem ? p->problem : "?");
    else
        cfg_error(t->load, &pos, NULL, "no YAML: %s", p->problem ? p->problem : "?");
}

/* Makes the next event the current one; false: an error, which was reported. */
static bool
next_event(struct cfg_tree *t)
{
    drop_event(t);
    if (t->stop)
        return false;
    if (yaml_parser_parse(&t->parser, &t->event)) {
        t->has_event = true;
        return true;
    }
    report_parser(t);
    t->stop = true;
    return false;
}

static bool
stop_at(struct cfg_tree *t, const struct cfg_pos *pos, const char *why)
{
    cfg_error(t->load, pos, NULL, "%s", why);
    t->stop = true;
    return false;
}

/* ---- nodes ---- */

static struct cfg_node *read_node(struct cfg_tree *t, unsigned depth);

static struct cfg_node *
new_node(struct cfg_tree *t, enum cfg_node_kind kind, const struct cfg_pos *pos)
{
    struct cfg_node *n;

    if (++t->nodes > CFG_NODES_MAX) {
        (void)stop_at(t, pos, "too many values in one file (at most 1000000)");
        return NULL;
    }
    n = cfg_arena_get(t->arena, sizeof(*n));
    if (!n) {
        t->load->nomem = t->stop = true;
        return NULL;
    }
    n->kind = kind;
    n->pos = *pos;
    return n;
}

/* The text of the current scalar; NULL: it has a zero byte or is too long, which was reported. */
static const char *
take_text(struct cfg_tree *t, const struct cfg_pos *pos)
{
    struct osp_slice s = osp_slice(t->event.data.scalar.value, t->event.data.scalar.length);
    const char      *text;

    if (s.n > CFG_SCALAR_MAX || (s.n && memchr(s.p, 0, s.n))) {
        cfg_error(t->load, pos, NULL, s.n > CFG_SCALAR_MAX ? "text of more than 65536 bytes" : "text with a zero byte in it");
        return NULL;
    }
    text = cfg_arena_text(t->arena, s);
    if (!text)
        t->load->nomem = t->stop = true;
    return text;
}

static bool
is_null(const yaml_event_t *e)
{
    struct osp_slice s = osp_slice(e->data.scalar.value, e->data.scalar.length);

    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (s.n == 0 || osp_slice_eq(s, osp_slice_str("~")) || osp_slice_eq(s, osp_slice_str("null")));
}

static struct cfg_node *
read_scalar(struct cfg_tree *t)
{
    struct cfg_pos   pos = pos_at(t, &t->event.start_mark);
    const char      *text = take_text(t, &pos);
    struct cfg_node *n = new_node(t, text ? CFG_SCALAR : CFG_BAD, &pos);

    if (n) {
        n->text = text;
        n->null = is_null(&t->event);
    }
    return n;
}

/* Reads the children of a list or a map, in order, up to the event `end`. */
static void
read_children(struct cfg_tree *t, struct cfg_node *n, yaml_event_type_t end, unsigned depth)
{
    struct cfg_node **at = &n->first;

    while (next_event(t) && t->event.type != end) {
        struct cfg_pos   key_pos = pos_at(t, &t->event.start_mark);
        const char      *key = NULL;
        struct cfg_node *child;

        if (n->kind == CFG_MAP) {
            if (t->event.type != YAML_SCALAR_EVENT || t->event.data.scalar.anchor || t->event.data.scalar.tag) {
                (void)stop_at(t, &key_pos, "a key has to be a plain text");
                return;
            }
            key = take_text(t, &key_pos);
            if (!next_event(t))
                return;
        }
        child = read_node(t, depth + 1);
        if (!child)
            return;
        child->key = key;
        child->key_pos = key_pos;
        if (n->kind == CFG_MAP && !key)
            continue;                   /* was reported */
        *at = child;
        at = &child->next;
        n->count++;
    }
}

static int
by_key(const void *a, const void *b)
{
    const struct cfg_node *x = *(struct cfg_node *const *)a, *y = *(struct cfg_node *const *)b;
    int                    c = strcmp(x->key, y->key);

    if (c == 0)
        c = x->key_pos.line < y->key_pos.line ? -1 : x->key_pos.line > y->key_pos.line;
    if (c == 0)
        c = x->key_pos.column < y->key_pos.column ? -1 : 1;
    return c;
}

/* Reports keys that stand twice in a map: otherwise one of the values would be ignored silently. */
static void
report_twice(struct cfg_tree *t, const struct cfg_node *map)
{
    const struct cfg_node **all = cfg_arena_get(t->arena, (map->count + 1) * sizeof(*all));
    size_t                  n = 0;
    char                    show[CFG_SHOW_MAX];

    if (!all) {
        t->load->nomem = true;
        return;
    }
    for (const struct cfg_node *c = map->first; c; c = c->next)
        all[n++] = c;
    qsort(all, n, sizeof(*all), by_key);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(all[i - 1]->key, all[i]->key) == 0)
            cfg_error(t->load, &all[i]->key_pos, NULL, "%s: stands here a second time, after line %u",
                      cfg_show(all[i]->key, show), all[i - 1]->key_pos.line);
    }
}

static struct cfg_node *
read_collection(struct cfg_tree *t, enum cfg_node_kind kind, unsigned depth)
{
    struct cfg_pos   pos = pos_at(t, &t->event.start_mark);
    struct cfg_node *n = new_node(t, kind, &pos);

    if (!n)
        return NULL;
    if (depth >= CFG_DEPTH_MAX) {
        (void)stop_at(t, &pos, "nested too deep (at most 16 levels)");
        return NULL;
    }
    read_children(t, n, kind == CFG_LIST ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT, depth);
    if (kind == CFG_MAP)
        report_twice(t, n);
    return n;
}

/* A node with an anchor or a tag becomes CFG_BAD; the nodes around it stay good. */
static const char *
unwanted(const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (e->type == YAML_ALIAS_EVENT)
        return "aliases (*name) are not supported: write the value out";
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor)
        return "anchors (&name) are not supported";
    return tag ? "tags (!name) are not supported" : NULL;
}

/* Reads the node that begins with the current event; NULL: reading stopped. */
static struct cfg_node *
read_node(struct cfg_tree *t, unsigned depth)
{
    const char      *why = unwanted(&t->event);
    struct cfg_pos   pos = pos_at(t, &t->event.start_mark);
    struct cfg_node *n = NULL;

    if (why)
        cfg_error(t->load, &pos, NULL, "%s", why);
    switch (t->event.type) {
    case YAML_SCALAR_EVENT: n = read_scalar(t); break;
    case YAML_SEQUENCE_START_EVENT: n = read_collection(t, CFG_LIST, depth); break;
    case YAML_MAPPING_START_EVENT: n = read_collection(t, CFG_MAP, depth); break;
    default: n = new_node(t, CFG_BAD, &pos); break;
    }
    if (n && why)
        n->kind = CFG_BAD;
    return n;
}

/* ---- the document ---- */

static struct cfg_node *
read_document(struct cfg_tree *t)
{
    struct cfg_pos   top = { t->load->source->file, 1, 1 }, pos;
    struct cfg_node *root = NULL;

    if (!next_event(t) || !next_event(t))       /* the stream's start, the document's start */
        return NULL;
    if (t->event.type == YAML_STREAM_END_EVENT) {
        (void)stop_at(t, &top, "is empty");
        return NULL;
    }
    if (next_event(t))
        root = read_node(t, 0);
    if (!root || !next_event(t) || !next_event(t))      /* the document's end, what follows */
        return NULL;
    if (t->event.type != YAML_STREAM_END_EVENT) {
        pos = pos_at(t, &t->event.start_mark);
        (void)stop_at(t, &pos, "a second document: one file is one document");
        return NULL;
    }
    return root;
}

/* libyaml keeps the text in buffers of its own. */
static void
wipe_parser(yaml_parser_t *p)
{
    if (p->raw_buffer.start)
        osp_wipe(p->raw_buffer.start, (size_t)(p->raw_buffer.end - p->raw_buffer.start));
    if (p->buffer.start)
        osp_wipe(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
    yaml_parser_delete(p);
}

const struct cfg_node *
cfg_tree_read(struct cfg_load *l, struct osp_slice text, struct cfg_tree **tree)
{
    struct cfg_tree       *t = calloc(1, sizeof(*t));
    const struct cfg_node *root = NULL;

    if (t)
        t->arena = cfg_arena_new();
    if (!t || !t->arena || !yaml_parser_initialize(&t->parser)) {
        l->nomem = true;
        cfg_tree_free(t);
        return NULL;
    }
    t->load = l;
    yaml_parser_set_encoding(&t->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&t->parser, text.n ? text.p : (const uint8_t *)"", text.n);
    root = read_document(t);
    drop_event(t);
    wipe_parser(&t->parser);
    *tree = t;
    return t->stop ? NULL : root;
}

void
cfg_tree_free(struct cfg_tree *tree)
{
    if (tree)
        cfg_arena_free(tree->arena);
    free(tree);
}

const struct cfg_node *
cfg_child(const struct cfg_node *n, const char *key)
{
    const struct cfg_node *c = n && n->kind == CFG_MAP ? n->first : NULL;

    while (c && strcmp(c->key, key) != 0)
        c = c->next;
    return c;
}
