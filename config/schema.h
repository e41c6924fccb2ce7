/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Second pass: tree to structs, by tables.  These tables also fill in the defaults, print the canonical form (dump.c), say what
 * a reload may change (reload.c) and describe themselves (reference.c), so that none of these can disagree.
 *
 * A new key is a field in config.h and a row in the table of its section (items*.c).
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
    CFG_SECTION,        /* a map whose keys are stored in the struct of the table that the section stands in */
    CFG_ITEMS,          /* a list of maps, each a struct of `size` bytes: pointer here, number at `count_at` */
    CFG_OTHER,          /* as `kind` reads it */
    CFG_LATER,          /* reserved for a later version, refused by this one */
};

#define CFG_REQ 1u      /* the key is required */

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

/* How a value of type CFG_OTHER is read and written.  `n` NULL: the key is absent, `read` sets the default.  `obj` is the place
   that the row's `at` says. */
struct cfg_kind {
    const char *form;   /* for the reference: which values are possible */
    void      (*read)(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj);
    void      (*print)(struct cfg_out *o, const char *key, const void *obj);
    const struct cfg_item *items;       /* if the value can be a map: its keys, for the reference; else NULL */
};

struct cfg_item {
    const char            *key;
    enum cfg_type          type;
    enum cfg_reload        reload;
    unsigned               flags;
    uint64_t               min, max, dflt;      /* in microseconds for a DURATION */
    size_t                 at;                  /* offset in the struct */
    const struct cfg_item *items;               /* for SECTION and ITEMS: the rows, ended by one whose key is NULL */
    size_t                 size;                /* bytes of one element of ITEMS, or of an OTHER with CFG_RESTART (no pointers) */
    size_t                 count_at, pos_at;    /* for ITEMS: where their number is stored, and in each its position */
    const char *const     *choices;             /* the last is NULL */
    const struct cfg_kind *kind;
    const char            *dflt_text;           /* the default, where a number does not say it */
    void                 (*check)(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj);
    const char            *doc, *example;
};

/* The rows of the whole configuration and of one context. */
extern const struct cfg_item cfg_items[], cfg_context_items[];
/* The rows of sections that have a file of their own. */
extern const struct cfg_item cfg_client_items[], cfg_route_items[], cfg_upstream_items[], cfg_limits_items[],
    cfg_edhoc_items[], cfg_key_limit_items[];
extern const struct cfg_kind cfg_kind_contexts, cfg_kind_next_hop, cfg_kind_hosts, cfg_kind_names, cfg_kind_listen,
    cfg_kind_status;

/* The cfg_item.check of the section `edhoc`. */
void cfg_check_edhoc(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj);

/* Reads the map `n` (NULL: none, so only defaults) into `obj`. */
void cfg_read_map(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *up, const struct cfg_item *items,
                  void *obj);

/* Reports the keys of the map `n` that `items` does not have; for maps that are not read by cfg_read_map(). */
void cfg_report_unknown(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *up, const struct cfg_item *items);

/* ---- for kinds ---- */

/* The text of a scalar, borrowed from the tree.  NULL: `n` is a list or a map, or has no value; reported, and `form` says what
   would be right. */
const char *cfg_scalar(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *form);

/* A text, or a list of texts, as a list of nodes that begins with *first; returns their number.  0: reported, it is neither. */
size_t cfg_each(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *form,
                const struct cfg_node **first);

/* A decimal number in [min, max]; false and reported otherwise. */
bool cfg_number(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *text, uint64_t min,
                uint64_t max, uint64_t *out);

/* Names of contexts and routes: 1 to 64 of A-Z a-z 0-9 - _ . : @ + /, so that they fit logs, labels and patterns. */
bool cfg_is_name(const char *s);
#define CFG_NAME_MAX 64
#define CFG_NAME_FORM "1 to 64 letters, digits, or any of - _ . : @ + /"

/* `text` as a host name in lower case; with `below`, "*.name" is possible too.  NULL: reported, it is no host name. */
char *cfg_host_name(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path, const char *text, bool below);

/* A pattern for the names of a peer, in lower case.  NULL: reported, it is no such pattern. */
#define CFG_SUBJECT_FORM "a host name or an address, with * and ?"
char *cfg_read_subject(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path);

/* A pattern of authorities with a scheme of this version; false and reported otherwise. */
bool cfg_read_target(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const char *text,
                     struct osp_target *out);

/* Decodes hexadecimal digits.  False, not reported: `text` has other characters or an odd length, or there is no memory. */
bool cfg_decode_hex(struct cfg_load *l, struct osp_slice text, struct cfg_bytes *out);

/* `s` without the white space at its beginning and end. */
struct osp_slice cfg_trim(struct osp_slice s);

/* For a value written as a map with one key, such as { file: PATH } or { hex: DIGITS }: the node of that key.  NULL: it is
   no such
   map, which was reported.  An unknown key is reported, too. */
const struct cfg_node *cfg_only_form(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path,
                                     const struct cfg_item *forms, const char *form);

/* Reports an error if the current file, in which a secret stands, can be accessed by others. */
void cfg_check_inline_secret(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path);

/* The algorithm with this name or COSE number; 0: there is no such algorithm. */
int cfg_aead_of(const char *text);
int cfg_hkdf_of(const char *text);

/* Appends a context to the list, zeroed but for its position; NULL: out of memory. */
struct cfg_context *cfg_context_append(struct cfg_load *l, struct cfg_context_list *list, const struct cfg_pos *pos);

/* Kinds that several tables use: a name (cfg_is_name()), and the name of a context, which has to exist. */
extern const struct cfg_kind cfg_kind_name, cfg_kind_context;
/* Further ones: a secret; a salt, which may stand in a file that everybody can read; an ID; the numbers of an AEAD and an
   HKDF. */
extern const struct cfg_kind cfg_kind_secret, cfg_kind_salt, cfg_kind_id, cfg_kind_aead, cfg_kind_hkdf;

/* "90s" for 90,000,000; the largest unit that is exact. */
#define CFG_QUANTITY_MAX 32
void cfg_print_duration(uint64_t us, char dst[CFG_QUANTITY_MAX]);
void cfg_print_bytes(uint64_t n, char dst[CFG_QUANTITY_MAX]);

#endif
