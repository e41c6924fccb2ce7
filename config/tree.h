/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First pass: YAML text to a tree of nodes with their positions.
 *
 * What YAML can do beyond lists, maps and texts is refused: anchors and aliases (a few lines can stand for
 * gigabytes), tags, several documents, keys that are no texts.  A key twice in one map is an error.
 * Everything stays text: what a value means is the schema's business.
 */
#ifndef OSP_CONFIG_TREE_H
#define OSP_CONFIG_TREE_H

#include "config/load.h"

#define CFG_DEPTH_MAX 16
#define CFG_NODES_MAX 1000000u
#define CFG_SCALAR_MAX 65536u           /* bytes of one text */

enum cfg_node_kind {
    CFG_BAD,                            /* an error was reported for it already: skip it */
    CFG_SCALAR, CFG_LIST, CFG_MAP
};

struct cfg_node {
    enum cfg_node_kind kind;
    struct cfg_pos     pos;
    const char        *text;            /* of a scalar; without zero bytes inside */
    bool               null;            /* a plain scalar that YAML takes for no value: nothing, "~", "null" */
    struct cfg_node   *first, *next;    /* children; the next child of the same parent */
    size_t             count;
    const char        *key;             /* of a map's child */
    struct cfg_pos     key_pos;
};

struct cfg_tree;

/*
 * Reads the text of the current source; returns the root of its tree.  NULL: the text has no tree that later passes could read.
 * Errors are reported.  The caller frees *tree in any case.
 */
const struct cfg_node *cfg_tree_read(struct cfg_load *l, struct osp_slice text, struct cfg_tree **tree);

/* Wipes and frees. NULL is fine. */
void cfg_tree_free(struct cfg_tree *tree);

/* The child of the map `n` under `key`; NULL: it has no such child, or `n` is not a map. */
const struct cfg_node *cfg_child(const struct cfg_node *n, const char *key);

#endif
