/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes YAML: maps and lists in block form, texts in double quotes, everything else unquoted.
 * The caller opens and closes nested maps and lists with cfg_out_begin() and cfg_out_end().
 */
#ifndef OSP_CONFIG_DUMP_H
#define OSP_CONFIG_DUMP_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

struct cfg_out {
    FILE    *to;
    bool     secrets;           /* false: secrets are written as CFG_MASK */
    unsigned depth;
    bool     dash;              /* the next line is the first of a list's element */
};

#define CFG_MASK "<masked>"

/* Writes "key:"; what is written until cfg_out_end() is nested below it. */
void cfg_out_begin(struct cfg_out *o, const char *key);
void cfg_out_end(struct cfg_out *o);

struct cfg_item;

/* The line or lines of one key. */
void cfg_out_item(struct cfg_out *o, const struct cfg_item *item, const void *obj);

/* All keys of `obj` by its table: as lines of a map, or as one element of a list (call it between begin and end). */
void cfg_out_map(struct cfg_out *o, const struct cfg_item *items, const void *obj);
void cfg_out_element(struct cfg_out *o, const struct cfg_item *items, const void *obj);

/* "key: word", written as it is. `key` NULL: an element of a list. */
void cfg_out_word(struct cfg_out *o, const char *key, const char *word);

/* "key: "text"". */
void cfg_out_text(struct cfg_out *o, const char *key, const char *text);

/* ""key": "text"", for a key that a user chose. */
void cfg_out_entry(struct cfg_out *o, const char *key, const char *text);

/* "key: { form: "value" }" */
void cfg_out_tagged(struct cfg_out *o, const char *key, const char *form, const char *value);

/* "key: { hex: "digits" }". */
void cfg_out_hex(struct cfg_out *o, const char *key, struct osp_slice value);

#endif
