/* SPDX-License-Identifier: BSD-2-Clause */
/* One OSCORE Security Context: secrets, IDs, algorithms.  No error ever shows a secret, not even a malformed one. */
#include "config/schema.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "crypto/crypto.h"

#define AT(member) .at = offsetof(struct cfg_context, member)
#define ID_CONTEXT_MAX 64u              /* bytes; with a kid it has to fit the OSCORE option */

/* ---- bytes ---- */

static bool
is_hex_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct osp_slice
cfg_trim(struct osp_slice s)
{
    while (s.n && is_blank(s.p[0]))
        s = osp_slice_tail(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool
cfg_decode_hex(struct cfg_load *l, struct osp_slice text, struct cfg_bytes *out)
{
    uint8_t *p = cfg_get(l, text.n / 2 + 1);
    size_t   n = 0;

    if (!p || !osp_hex_decode(text, p, text.n / 2, &n))
        return false;
    *out = (struct cfg_bytes){ p, n };
    return true;
}

static void
read_hex(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_bytes *out)
{
    struct cfg_path at = { path, "hex", 0 };
    const char     *text = cfg_scalar(l, n, &at, "hexadecimal digits");

    if (text && !cfg_decode_hex(l, osp_slice_str(text), out))
        cfg_error(l, &n->pos, &at, "is not an even number of hexadecimal digits, without blanks");
}

/* Counts hexadecimal digits, and apart from them blanks and colons. */
static void
count_hex(struct osp_slice s, size_t *digits, size_t *between)
{
    *digits = *between = 0;
    for (size_t i = 0; i < s.n; i++) {
        *digits += is_hex_digit(s.p[i]);
        *between += is_blank(s.p[i]) || s.p[i] == ':';
    }
}

/*
 * Takes the content of a file or a variable: hexadecimal digits, or else the bytes themselves.  Digits with an error in them are
 * refused: taken as bytes they would be a secret that the peer does not have.
 */
static void
take_secret(struct cfg_load *l, struct osp_slice content, const struct cfg_pos *pos, const struct cfg_path *path,
            struct cfg_bytes *out)
{
    struct osp_slice text = cfg_trim(content);
    size_t           digits, between;
    uint8_t         *copy;

    count_hex(text, &digits, &between);
    if (text.n > 0 && digits == text.n && text.n % 2 == 0) {
        (void)cfg_decode_hex(l, text, out);
    } else if (text.n > 0 && digits + between == text.n) {
        cfg_error(l, pos, path, between ? "holds hexadecimal digits with blanks or colons between them; take these out"
                                        : "holds an odd number of hexadecimal digits");
    } else {
        copy = cfg_get(l, content.n + 1);
        if (!copy)
            return;
        (void)osp_slice_copy(content, copy, content.n);
        *out = (struct cfg_bytes){ copy, content.n };
    }
}

/* ---- where secrets come from ---- */

static void
read_secret_file(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_secret *out)
{
    struct cfg_path  at = { path, "file", 0 };
    const char      *name = cfg_scalar(l, n, &at, "the path of a file");
    struct osp_slice content;
    mode_t           mode;
    char             show[CFG_SHOW_MAX];

    if (!name)
        return;
    out->from = CFG_FROM_FILE;
    out->source = cfg_absolute(l, name);
    if (!l->files) {
        cfg_error(l, &n->pos, &at, "files are not read here");
        return;
    }
    if (!out->source || !cfg_read_file(l, l->arena, out->source, CFG_SECRET_MAX, true, &n->pos, &at, &content, &mode))
        return;
    if (mode & (S_IRWXG | S_IRWXO)) {
        cfg_error(l, &n->pos, &at, "group or others may access %s (mode %04o); run: chmod 0600 %s", cfg_show(name, show),
                  (unsigned)mode & 07777, out->source);
        return;
    }
    take_secret(l, content, &n->pos, &at, &out->value);
}

static void
read_secret_env(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_secret *out)
{
    struct cfg_path at = { path, "env", 0 };
    const char     *name = cfg_scalar(l, n, &at, "the name of an environment variable");
    const char     *value = name && l->files ? getenv(name) : NULL;
    char            show[CFG_SHOW_MAX];

    if (!name)
        return;
    out->from = CFG_FROM_ENV;
    out->source = cfg_text(l, osp_slice_str(name));
    if (!value)
        cfg_error(l, &n->pos, &at, "the environment has no variable %s", cfg_show(name, show));
    else
        take_secret(l, osp_slice_str(value), &n->pos, &at, &out->value);
}

/* A file with a secret in it has to be private like a key file, but the daemon's group may read it. */
void
cfg_check_inline_secret(struct cfg_load *l, const struct cfg_pos *pos, const struct cfg_path *path)
{
    mode_t mode = l->source->mode;

    if (mode & (S_IWGRP | S_IRWXO))
        cfg_error(l, pos, path,
                  "a secret stands in this file, which others may access (mode %04o); put it into a file of its own, or run: "
                  "chmod 0640 %s",
                  (unsigned)mode & 07777, l->source->file);
}

static const struct cfg_kind a_path = { .form = "a path" }, digits = { .form = "digits" }, a_name = { .form = "a name" };

/* The forms of a secret; a value has exactly one of these keys. */
static const struct cfg_item secret_forms[] = {
    { .key = "file", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &a_path, .dflt_text = "-",
      .doc = "a file of hexadecimal digits, or else of the bytes themselves; a plain file of mode 0600" },
    { .key = "hex", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &digits, .dflt_text = "-",
      .doc = "hexadecimal digits; a file with a Master Secret in it must be kept from others (mode 0640 or less)" },
    { .key = "env", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &a_name, .dflt_text = "-",
      .doc = "an environment variable with the same content as a file" },
    { .key = NULL },
};

#define SECRET_FORM "{ file: PATH }, { hex: DIGITS } or { env: NAME }"

const struct cfg_node *
cfg_only_form(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const struct cfg_item *forms,
              const char *form)
{
    if (n->kind == CFG_BAD)
        return NULL;
    if (n->kind != CFG_MAP || n->count == 0) {
        cfg_error(l, &n->pos, path, "has to be %s", form);
        return NULL;
    }
    cfg_report_unknown(l, n, path, forms);
    if (n->count > 1) {
        cfg_error(l, &n->pos, path, "has %zu keys, but has to be %s", n->count, form);
        return NULL;
    }
    return n->first;
}

static void
read_secret(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_secret *s, bool is_key)
{
    const struct cfg_node *c = cfg_only_form(l, n, path, secret_forms, SECRET_FORM);

    if (!c)
        return;
    if (strcmp(c->key, "file") == 0) {
        read_secret_file(l, c, path, s);
    } else if (strcmp(c->key, "env") == 0) {
        read_secret_env(l, c, path, s);
    } else if (strcmp(c->key, "hex") == 0) {
        s->from = CFG_FROM_HEX;
        read_hex(l, c, path, &s->value);
        if (is_key)
            cfg_check_inline_secret(l, &c->pos, path);
    }
}

static void
read_master_secret(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    if (n)
        read_secret(l, n, path, obj, true);
}

static void
read_master_salt(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    if (n)
        read_secret(l, n, path, obj, false);
}

static void
print_secret(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_secret *s = obj;

    switch (s->from) {
    case CFG_FROM_NONE: break;
    case CFG_FROM_FILE: cfg_out_tagged(o, key, "file", s->source); break;
    case CFG_FROM_ENV: cfg_out_tagged(o, key, "env", s->source); break;
    case CFG_FROM_HEX:
        if (o->secrets)
            cfg_out_hex(o, key, cfg_slice(&s->value));
        else
            cfg_out_tagged(o, key, "hex", CFG_MASK);
        break;
    }
}

const struct cfg_kind cfg_kind_secret = { SECRET_FORM, read_master_secret, print_secret, secret_forms };
const struct cfg_kind cfg_kind_salt = { SECRET_FORM, read_master_salt, print_secret, NULL };

/* ---- IDs ---- */

static const struct cfg_item id_forms[] = {
    { .key = "hex", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &digits },
    { .key = NULL },
};

static void
read_id(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const struct cfg_node *c = n ? cfg_only_form(l, n, path, id_forms, "{ hex: DIGITS }") : NULL;

    if (c && strcmp(c->key, "hex") == 0)
        read_hex(l, c, path, obj);
}

static void
print_id(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_bytes *b = obj;

    cfg_out_hex(o, key, cfg_slice(b));
}

const struct cfg_kind cfg_kind_id = { "{ hex: DIGITS }", read_id, print_id, NULL };

static void
read_id_context(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_context *c = obj;

    if (!n)
        return;
    read_id(l, n, path, &c->id_context);
    c->has_id_context = true;
    if (c->id_context.n > ID_CONTEXT_MAX)
        cfg_error(l, &n->pos, path, "%zu bytes; at most %u", c->id_context.n, ID_CONTEXT_MAX);
}

static void
print_id_context(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_context *c = obj;

    if (c->has_id_context)
        print_id(o, key, &c->id_context);
}

static const struct cfg_kind kind_id_context = { "{ hex: DIGITS }, at most 64 bytes", read_id_context, print_id_context, NULL };

/* ---- algorithms ---- */

/* Reads a COSE algorithm number; false: `text` is no number. */
static bool
algorithm_number(const char *text, int *out)
{
    char *end;
    long  v = strtol(text, &end, 10);

    if (end == text || *end || v < -1000 || v > 1000)
        return false;
    *out = (int)v;
    return true;
}

int
cfg_aead_of(const char *text)
{
    const struct osp_aead_info *info = osp_aead_by_name(osp_slice_str(text));
    int                         id;

    if (!info && algorithm_number(text, &id))
        info = osp_aead_info(id);
    return info ? info->id : 0;
}

int
cfg_hkdf_of(const char *text)
{
    int id = osp_hkdf_by_name(osp_slice_str(text));

    if (id == 0 && algorithm_number(text, &id) && !osp_hkdf_name(id))
        id = 0;
    return id;
}

static void
read_algorithm(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, int (*find)(const char *),
               const char *form, int *out)
{
    const char *text = cfg_scalar(l, n, path, form);
    char        show[CFG_SHOW_MAX];

    if (!text)
        return;
    *out = find(text);
    if (*out == 0)
        cfg_error(l, &n->pos, path, "\"%s\" is not supported; write %s", cfg_show(text, show), form);
}

#define AEAD_FORM "AES-CCM-16-64-128, AES-CCM-16-128-128, A128GCM, ChaCha20/Poly1305 or another AEAD of RFC 9053"
#define HKDF_FORM "SHA-256 or SHA-512"

static void
read_aead(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    int *out = obj;

    *out = OSP_AES_CCM_16_64_128;
    if (n)
        read_algorithm(l, n, path, cfg_aead_of, AEAD_FORM, out);
}

static void
print_aead(struct cfg_out *o, const char *key, const void *obj)
{
    const struct osp_aead_info *info = osp_aead_info(*(const int *)obj);

    cfg_out_word(o, key, info ? info->name : "none");
}

static void
read_hkdf(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    int *out = obj;

    *out = OSP_HKDF_SHA256;
    if (n)
        read_algorithm(l, n, path, cfg_hkdf_of, HKDF_FORM, out);
}

static void
print_hkdf(struct cfg_out *o, const char *key, const void *obj)
{
    const char *name = osp_hkdf_name(*(const int *)obj);

    cfg_out_text(o, key, name ? name : "none");
}

const struct cfg_kind cfg_kind_aead = { "the name or number of an AEAD algorithm of COSE: " AEAD_FORM, read_aead,
                                           print_aead, NULL };
const struct cfg_kind cfg_kind_hkdf = { HKDF_FORM, read_hkdf, print_hkdf, NULL };

/* ---- how much keys may be used ---- */

#define LIMIT_FORM "a number, `off` or `default`"

static void
read_limit(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_key_limit *out = obj;
    const char           *text = n ? cfg_scalar(l, n, path, LIMIT_FORM) : NULL;
    uint64_t              v = 0;

    *out = (struct cfg_key_limit){ .kind = CFG_LIMIT_DEFAULT };
    if (!text || strcmp(text, "default") == 0)
        return;
    if (strcmp(text, "off") == 0)
        out->kind = CFG_LIMIT_OFF;
    else if (cfg_number(l, n, path, text, 1, UINT32_MAX, &v))
        *out = (struct cfg_key_limit){ .kind = CFG_LIMIT_SET, .n = (uint32_t)v };
}

static void
print_limit(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_key_limit *limit = obj;
    char                        text[16];

    switch (limit->kind) {
    case CFG_LIMIT_DEFAULT: cfg_out_word(o, key, "default"); break;
    case CFG_LIMIT_OFF: cfg_out_word(o, key, "off"); break;
    case CFG_LIMIT_SET:
        (void)snprintf(text, sizeof(text), "%u", limit->n);
        cfg_out_word(o, key, text);
        break;
    }
}

static const struct cfg_kind kind_limit = { LIMIT_FORM, read_limit, print_limit, NULL };

static const char *const at_limit[] = { "default", "warn", "stop", NULL };

/* Rows for the section `key-limits`, which is for all contexts, and for those keys of one context. */
#define KEY_LIMIT_ITEMS(of)                                                                                                    \
    { .key = "q", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(of, key_limits.q), .kind = &kind_limit,                \
      .dflt_text = "default",                                                                                                  \
      .doc = "messages encrypted with one key; the default is 2^20" },                                                         \
    { .key = "v", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(of, key_limits.v), .kind = &kind_limit,                \
      .dflt_text = "default",                                                                                                  \
      .doc = "messages that did not decrypt with one key, replays not counted; the default is 2^14 for algorithms with a tag " \
             "of 8 bytes (AES-CCM-16-64-128), 2^20 for others" },                                                              \
    { .key = "l", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(of, key_limits.l), .kind = &kind_limit,                \
      .dflt_text = "default",                                                                                                  \
      .doc = "blocks of the cipher in one message of ours. The default with `at-limit: stop` is 2^8 (4096 bytes) for "         \
             "algorithms with a tag of 8 bytes, 2^10 for others, else `off`: bodies in blocks are protected as a whole" },     \
    { .key = "at-limit", .type = CFG_CHOICE, .reload = CFG_LIVE, .dflt = CFG_AT_LIMIT_DEFAULT,                                 \
      .at = offsetof(of, key_limits.at_limit),                                                                                 \
      .choices = at_limit,                                                                                                     \
      .doc = "at q or v, `warn` logs it and goes on, `stop` does not use the keys any more. The default is `stop` with "       \
             "`rekey`, else `warn`: the context could not renew itself, and anybody can make decryptions fail" },              \
    { .key = NULL }

static const struct cfg_item key_limit_items[] = { KEY_LIMIT_ITEMS(struct cfg_context) };
const struct cfg_item cfg_key_limit_items[] = { KEY_LIMIT_ITEMS(struct osp_cfg) };

static const char *const rekeys[] = { "none", "b2", NULL };

/* ---- the context ---- */

const struct cfg_item cfg_context_items[] = {
    { .key = "name", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, AT(name), .kind = &cfg_kind_name,
      .doc = "what rules, routes and logs call it" },
    { .key = "master-secret", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, AT(master_secret),
      .kind = &cfg_kind_secret,
      .doc = "Master Secret, at least 16 bytes, shared with the peer and nobody else", .example = "{ file: keys/meter-17 }" },
    { .key = "master-salt", .type = CFG_OTHER, .reload = CFG_LIVE, AT(master_salt), .kind = &cfg_kind_salt,
      .dflt_text = "empty",
      .doc = "Master Salt", .example = "{ hex: 9e7ca92223786340 }" },
    { .key = "sender-id", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, AT(sender_id), .kind = &cfg_kind_id,
      .doc = "our ID; at most as long as the nonce of `aead` less 6 bytes (7 for AES-CCM-16-64-128)",
      .example = "{ hex: \"0a\" }" },
    { .key = "recipient-id", .type = CFG_OTHER, .reload = CFG_LIVE, .flags = CFG_REQ, AT(recipient_id), .kind = &cfg_kind_id,
      .doc = "the peer's ID, as long as that at most", .example = "{ hex: \"20\" }" },
    { .key = "id-context", .type = CFG_OTHER, .reload = CFG_LIVE, .kind = &kind_id_context, .dflt_text = "none",
      .doc = "ID Context" },
    { .key = "aead", .type = CFG_OTHER, .reload = CFG_LIVE, AT(aead), .kind = &cfg_kind_aead, .dflt_text = "AES-CCM-16-64-128",
      .doc = "AEAD algorithm" },
    { .key = "hkdf", .type = CFG_OTHER, .reload = CFG_LIVE, AT(hkdf), .kind = &cfg_kind_hkdf, .dflt_text = "HKDF SHA-256",
      .doc = "hash function of the key derivation" },
    { .key = "rekey", .type = CFG_CHOICE, .reload = CFG_LIVE, .dflt = CFG_REKEY_NONE, AT(rekey), .choices = rekeys,
      .doc = "`b2`: keys are derived anew as RFC 8613, B.2 has it, by either end: when one has lost its state, at first contact, "
             "and when they are used up; the peer has to do the same. Then there is no `id-context`" },
    { .key = "key-limits", .type = CFG_SECTION, .items = key_limit_items,
      .doc = "how much these keys may be used, where it differs from what `key-limits` says for all" },
    { .key = "fresh", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(fresh),
      .doc = "these keys were never used before, so the replay window may start empty; without it the first request is "
             "answered with an Echo challenge. Counts once, when the state meets the peer's key for the first time" },
    { .key = NULL },
};
