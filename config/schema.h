/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Second pass: tree to structs, by tables.  The same tables fill in the defaults, print the canonical form
 * (dump.c) and describe themselves (reference.c), so the four cannot disagree.
 */
#ifndef OSP_CONFIG_SCHEMA_H
#define OSP_CONFIG_SCHEMA_H

#include "config/dump.h"
#include "config/load.h"
#include "config/tree.h"

enum cfg_type {
    CFG_BOOL,           /* bool */
    CFG_UINT,           /* unsigned */
    CFG_COUNT,          /* size_t */
    CFG_BYTES,          /* size_t, written with a unit: 64MiB */
    CFG_DURATION,       /* uint64_t microseconds, written with a unit: 500ms */
    CFG_PATH,           /* char *, made absolute; "none" and the default are NULL */
    CFG_CHOICE,         /* an enum: index into `choices` */
    CFG_SECTION,        /* a map whose items belong to the same struct */
    CFG_ITEMS,          /* a list of maps, each a struct of `size` bytes: pointer here, number at `count_at` */
    CFG_OTHER,          /* as `kind` reads it */
    CFG_LATER,          /* known, but not to this version */
};

#define CFG_REQ 1u      /* has to be there */

/*
 * May a reload change the key?  Every row answers, but for a section, whose rows answer.  The rows of a map or list that is
 * one value (CFG_ITEMS, or a kind with items) answer as the row of that value does.
 */
enum cfg_reload {
    CFG_RELOAD_UNKNOWN, /* no answer: a unit test fails */
    CFG_LIVE,           /* a reload changes it */
    CFG_RESTART,        /* in force after a restart; a reload reports the change and keeps the old value */
};

struct cfg_item;

/* How a value that no other type fits is read (`n` NULL: by default) and written; `obj` is what it is stored at. */
struct cfg_kind {
    const char *form;   /* for the reference: what may stand there */
    void      (*read)(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj);
    void      (*print)(struct cfg_out *o, const char *key, const void *obj);
    const struct cfg_item *items;       /* of the map it may be, for the reference */
};

struct cfg_item {
    const char            *key;
    enum cfg_type          type;
    enum cfg_reload        reload;
    unsigned               flags;
    uint64_t               min, max, dflt;      /* of a DURATION in microseconds */
    size_t                 at;                  /* offset in the struct */
    const struct cfg_item *items;               /* of SECTION and ITEMS; the last has no key */
    size_t                 size;                /* of one of ITEMS; of an OTHER that is CFG_RESTART, which holds no pointers */
    size_t                 count_at, pos_at;    /* of ITEMS */
    const char *const     *choices;             /* the last is NULL */
    const struct cfg_kind *kind;
    const char            *dflt_text;           /* the default, where a number does not say it */
    void                 (*check)(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj);
    const char            *doc, *example;
};

/* Items of the whole configuration and of one context. */
extern const struct cfg_item cfg_items[], cfg_context_items[];
/* Parts of them, each in a file of its own. */
extern const struct cfg_item cfg_client_items[], cfg_route_items[], cfg_upstream_items[], cfg_limits_items[],
    cfg_edhoc_items[], cfg_key_limit_items[];
extern const struct cfg_kind cfg_kind_contexts, cfg_kind_next_hop, cfg_kind_hosts, cfg_kind_names, cfg_kind_listen,
    cfg_kind_status;

/* Of the edhoc section, as cfg_item.check. */
void cfg_check_edhoc(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj);

/* Reads the map `n` (NULL: none, so only defaults) into `obj`. */
void cfg_read_map(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *up, const struct cfg_item *items,
                  void *obj);

/* One key of the map `n` that was read by hand. */
void cfg_report_unknown(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *up, const struct cfg_item *items);

/* ---- for kinds ---- */

/* The text of a scalar; NULL, reported with what `form` would be right, when `n` is none or has no value. */
const char *cfg_scalar(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *form);

/* A text, or a list of texts, as a list of nodes; 0 when it is neither (reported). */
size_t cfg_each(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *form,
                const struct cfg_node **first);

/* A decimal number in [min, max]; false and reported otherwise. */
bool cfg_number(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *text, uint64_t min,
                uint64_t max, uint64_t *out);

/* Names of contexts and routes: 1 to 64 of A-Z a-z 0-9 - _ . : @ + /, so that they fit logs, labels and patterns. */
bool cfg_is_name(const char *s);
#define CFG_NAME_MAX 64
#define CFG_NAME_FORM "1 to 64 letters, digits, or any of - _ . : @ + /"

/* `text` as a host name in lower case, or with `below` as "*.name"; NULL and reported when it is none. */
char *cfg_host_name(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path, const char *text, bool below);

/* A pattern of names that a peer may have, in lower case; NULL and reported when it is none. */
#define CFG_SUBJECT_FORM "a host name or an address, with * and ?"
char *cfg_read_subject(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path);

/* A pattern of authorities with a scheme of this version; false and reported otherwise. */
bool cfg_read_target(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *text,
                     struct osp_target *out);

/* Hexadecimal digits as bytes; false, not reported, when they are none. */
bool cfg_decode_hex(struct cfg_load *l, struct osp_slice text, struct cfg_bytes *out);

/* Without white space at both ends. */
struct osp_slice cfg_trim(struct osp_slice s);

/* The only key of a map that stands for a value in one of several forms; NULL, reported, when it is none of them. */
const struct cfg_node *cfg_only_form(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path,
                                     const struct cfg_item *forms, const char *form);

/* Reports a Master Secret in a file that others may access. */
void cfg_check_inline_secret(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path);

/* The algorithm of this name or COSE number, 0 when there is none. */
int cfg_aead_of(const char *text);
int cfg_hkdf_of(const char *text);

/* A new context at the end of the list, zeroed but for its position; NULL: no memory. */
struct cfg_context *cfg_context_append(struct cfg_load *l, struct cfg_context_list *list, const struct cfg_pos *pos);

/* Kinds used in more than one table: a text of cfg_is_name(), a context that has to exist. */
extern const struct cfg_kind cfg_kind_name, cfg_kind_context;
/* ... a secret, one that may stand in a file for all, an ID; the number of an AEAD, of an HKDF. */
extern const struct cfg_kind cfg_kind_secret, cfg_kind_salt, cfg_kind_id, cfg_kind_aead, cfg_kind_hkdf;

/* "90s" for 90,000,000; the largest unit that is exact. */
#define CFG_QUANTITY_MAX 32
void cfg_print_duration(uint64_t us, char dst[CFG_QUANTITY_MAX]);
void cfg_print_bytes(uint64_t n, char dst[CFG_QUANTITY_MAX]);

#endif
