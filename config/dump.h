/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes YAML: maps and lists in block form, texts in double quotes, everything else as it is.
 * The caller opens and closes what it nests.
 */
#ifndef OSP_CONFIG_DUMP_H
#define OSP_CONFIG_DUMP_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

struct cfg_out {
    FILE    *to;
    bool     secrets;           /* false: masked */
    unsigned depth;
    bool     dash;              /* the next line is the first of a list's element */
};

#define CFG_MASK "<masked>"

/* "key:" and what follows it on later lines; close with cfg_out_end(). */
void cfg_out_begin(struct cfg_out *o, const char *key);
void cfg_out_end(struct cfg_out *o);

struct cfg_item;

/* The line or lines of one key. */
void cfg_out_item(struct cfg_out *o, const struct cfg_item *item, const void *obj);

/* What a table says of `obj`: its keys, or all of them as one element of a list between begin and end. */
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

/* The same with the value in hexadecimal. */
void cfg_out_hex(struct cfg_out *o, const char *key, struct osp_slice value);

#endif
