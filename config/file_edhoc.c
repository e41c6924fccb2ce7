/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/file_edhoc.h"

#include <stdlib.h>

#include "config/schema.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "edhoc/credential.h"

#define AT(member) .at = offsetof(struct cfg_credential, member)
#define AT_ALL(member) .at = offsetof(struct cfg_credentials, member)
#define CREDENTIALS_MAX 100000u
#define CREDENTIAL_FILE_MAX 65536u
#define PRIVATE_KEY_LEN 32u
#define CBOR_MAP 0xa0u                  /* major type 5 */
#define DER_SEQUENCE 0x30u

/* ---- one credential ---- */

#define CRED_FORM "{ file: PATH } or { hex: DIGITS }"

static const struct cfg_kind a_path = { .form = "a path" }, digits = { .form = "digits" };

static const struct cfg_item cred_forms[] = {
    { .key = "file", .type = CFG_OTHER, .kind = &a_path, .dflt_text = "-",
      .doc = "a file with a CWT Claims Set or a certificate, as bytes or hexadecimal digits, or with certificates in PEM" },
    { .key = "hex", .type = CFG_OTHER, .kind = &digits, .dflt_text = "-", .doc = "hexadecimal digits of it" },
    { .key = NULL },
};

/* Reads certificates in PEM, the end entity's first. */
static bool
take_pem(struct cfg_load *l, struct osp_slice text, struct cfg_cred *out)
{
    struct osp_slice ders[CFG_CHAIN_MAX];
    uint8_t         *room = cfg_get(l, text.n);
    struct osp_wr    w = osp_wr_to(room, room ? text.n : 0);

    if (!room || osp_pem_certificates(text, &w, ders, CFG_CHAIN_MAX, &out->count) != OSP_OK)
        return false;
    for (size_t i = 0; i < out->count; i++)
        out->part[i] = (struct cfg_bytes){ (uint8_t *)(uintptr_t)ders[i].p, ders[i].n };
    out->form = CFG_CRED_X509;
    return true;
}

/* The first byte tells whether a credential is a CBOR map (CWT Claims Set) or a DER sequence (certificate). */
static bool
take_bytes(struct cfg_load *l, struct osp_slice s, struct cfg_cred *out)
{
    uint8_t *copy = cfg_get(l, s.n + 1);

    if (!copy || s.n == 0)
        return false;
    (void)osp_slice_copy(s, copy, s.n);
    out->part[0] = (struct cfg_bytes){ copy, s.n };
    out->count = 1;
    out->form = (s.p[0] & 0xe0u) == CBOR_MAP ? CFG_CRED_CCS : s.p[0] == DER_SEQUENCE ? CFG_CRED_X509 : CFG_CRED_NONE;
    return out->form != CFG_CRED_NONE;
}

static bool
take_content(struct cfg_load *l, struct osp_slice content, struct cfg_cred *out)
{
    struct cfg_bytes decoded;

    if (osp_pem_is(content))
        return take_pem(l, content, out);
    if (cfg_decode_hex(l, cfg_trim(content), &decoded))
        return take_bytes(l, cfg_slice(&decoded), out);
    return take_bytes(l, content, out);
}

static void
read_cred_file(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, struct cfg_cred *out)
{
    struct cfg_arena *scratch = cfg_arena_new();
    const char       *name = cfg_scalar(l, n, path, "the path of a file");
    char             *absolute = name ? cfg_absolute(l, name) : NULL;
    struct osp_slice  content;
    mode_t            mode;

    l->nomem = l->nomem || !scratch;
    if (absolute && !l->files)
        cfg_error(l, &n->pos, path, "files are not read here");
    else if (scratch && absolute &&
             cfg_read_file(l, scratch, absolute, CREDENTIAL_FILE_MAX, true, &n->pos, path, &content, &mode) &&
             !take_content(l, content, out))
        cfg_error(l, &n->pos, path, "holds neither a CWT Claims Set nor 1 to %d certificates", CFG_CHAIN_MAX);
    cfg_arena_free(scratch);
}

static void
read_cred(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    const struct cfg_node *c = n ? cfg_only_form(l, n, path, cred_forms, CRED_FORM) : NULL;
    struct cfg_path        at = { path, c ? c->key : NULL, 0 };
    const char            *text;
    struct cfg_bytes       decoded;

    if (!c)
        return;
    if (strcmp(c->key, "file") == 0) {
        read_cred_file(l, c, &at, obj);
        return;
    }
    text = cfg_scalar(l, c, &at, "hexadecimal digits");
    if (text && (!cfg_decode_hex(l, osp_slice_str(text), &decoded) || !take_bytes(l, cfg_slice(&decoded), obj)))
        cfg_error(l, &c->pos, &at, "holds neither a CWT Claims Set nor a certificate in hexadecimal digits");
}

static const struct cfg_kind kind_cred = { CRED_FORM, read_cred, NULL, cred_forms };

/* ---- tables ---- */

static const char *const id_names[] = { "default", "kid", "value", "x5t", "x5chain", NULL };

static const struct cfg_item own_items[] = {
    { .key = "name", .type = CFG_OTHER, .flags = CFG_REQ, AT(name), .kind = &cfg_kind_name, .doc = "what logs call it" },
    { .key = "credential", .type = CFG_OTHER, .flags = CFG_REQ, AT(cred), .kind = &kind_cred,
      .doc = "our credential: a CWT Claims Set, or a certificate", .example = "{ file: proxy.ccs }" },
    { .key = "private-key", .type = CFG_OTHER, .flags = CFG_REQ, AT(private_key), .kind = &cfg_kind_secret,
      .doc = "its private key: 32 bytes, or PEM", .example = "{ file: proxy.key }" },
    { .key = "id", .type = CFG_CHOICE, AT(id), .choices = id_names,
      .doc = "how messages refer to it: `kid` or `value` (the credential itself) of a CWT Claims Set, `x5t` (a hash) or "
             "`x5chain` of a certificate; by default kid, or value where it has none, and x5t" },
    { .key = NULL },
};

static const struct cfg_item trusted_items[] = {
    { .key = "name", .type = CFG_OTHER, .flags = CFG_REQ, AT(name), .kind = &cfg_kind_name,
      .doc = "what `match: { edhoc: { credential: NAME } }` calls it" },
    { .key = "credential", .type = CFG_OTHER, AT(cred), .kind = &kind_cred,
      .doc = "the credential of a peer: a CWT Claims Set, or a certificate", .example = "{ hex: a2.. }" },
    { .key = "ca", .type = CFG_OTHER, AT(ca), .kind = &kind_cred,
      .doc = "instead: certificates of an authority; whoever has a certificate from it may come, with `x5chain`",
      .example = "{ file: ca.pem }" },
    { .key = NULL },
};

static const struct cfg_item file_items[] = {
    { .key = "own", .type = CFG_ITEMS, .max = 16, AT_ALL(own), .items = own_items, .size = sizeof(struct cfg_credential),
      .count_at = offsetof(struct cfg_credentials, own_count), .pos_at = offsetof(struct cfg_credential, pos),
      .doc = "our own credentials; the first that fits the method and the suite is used" },
    { .key = "trusted", .type = CFG_ITEMS, .max = CREDENTIALS_MAX, AT_ALL(trusted), .items = trusted_items,
      .size = sizeof(struct cfg_credential), .count_at = offsetof(struct cfg_credentials, trusted_count),
      .pos_at = offsetof(struct cfg_credential, pos), .doc = "whom we trust" },
    { .key = NULL },
};

/* ---- checks ---- */

static const char *
name_of(const struct cfg_credential *c)
{
    return c->name ? c->name : "?";
}

/* Replaces a private key in PEM by its 32 bytes. */
static void
finish_key(struct cfg_load *l, struct cfg_credential *c)
{
    struct cfg_bytes *v = &c->private_key.value;
    int               curve;

    if (!v->p)
        return;
    if (osp_pem_is(cfg_slice(v))) {
        uint8_t *raw = cfg_get(l, PRIVATE_KEY_LEN);

        if (!raw)
            return;
        if (osp_pem_private_key(cfg_slice(v), &curve, raw) != OSP_OK) {
            cfg_error_key(l, &c->pos, "own", "%s: private-key is no Ed25519, X25519 or P-256 key without passphrase",
                          name_of(c));
            return;
        }
        osp_wipe(v->p, v->n);
        *v = (struct cfg_bytes){ raw, PRIVATE_KEY_LEN };
    } else if (v->n != PRIVATE_KEY_LEN) {
        cfg_error_key(l, &c->pos, "own", "%s: private-key has %zu bytes; 32, or PEM", name_of(c), v->n);
    }
}

static void
check_id(struct cfg_load *l, const struct cfg_credential *c)
{
    bool by_cert = c->id == CFG_ID_X5T || c->id == CFG_ID_X5CHAIN;

    if (c->cred.form == CFG_CRED_NONE || c->id == CFG_ID_DEFAULT || by_cert == (c->cred.form == CFG_CRED_X509))
        return;
    cfg_error_key(l, &c->pos, "own", "%s: id %s does not fit a %s", name_of(c), id_names[c->id],
                  c->cred.form == CFG_CRED_CCS ? "CWT Claims Set" : "certificate");
}

/* Makes the ID_CRED_x by which messages refer to this credential [rfc9528#3.5.3]. */
static void
put_id(const struct cfg_credential *c, struct osp_wr *w)
{
    struct osp_slice ders[CFG_CHAIN_MAX], kid = osp_claims_kid(cfg_slice(&c->cred.part[0]));

    for (size_t i = 0; i < c->cred.count; i++)
        ders[i] = cfg_slice(&c->cred.part[i]);
    if (c->id == CFG_ID_X5CHAIN)
        osp_edhoc_id_x5chain_put(w, ders, c->cred.count);
    else if (c->cred.form == CFG_CRED_X509)
        osp_edhoc_id_x5t_put(w, ders[0], true);
    else if (c->id == CFG_ID_VALUE || (c->id == CFG_ID_DEFAULT && kid.n == 0))
        osp_edhoc_id_kccs_put(w, ders[0]);
    else
        osp_edhoc_id_kid_put(w, kid);
}

/* Makes ID_CRED_x and CRED_x; false: out of memory. */
static bool
make_items(struct cfg_load *l, struct cfg_credential *c)
{
    size_t        n = 64;
    struct osp_wr w;
    size_t        start;

    for (size_t i = 0; i < c->cred.count; i++)
        n += 2 * (c->cred.part[i].n + 16);
    w = osp_wr_to(cfg_get(l, n), n);
    if (!w.p)
        return false;
    put_id(c, &w);
    c->id_cred = (struct cfg_bytes){ w.p, w.n };
    start = w.n;
    if (c->cred.form == CFG_CRED_X509)
        osp_edhoc_cert_put(&w, cfg_slice(&c->cred.part[0]));
    else
        osp_wr_put(&w, cfg_slice(&c->cred.part[0]));
    c->item = (struct cfg_bytes){ w.p + start, w.n - start };
    return !osp_wr_bad(&w);
}

static void
finish_cred(struct cfg_load *l, struct cfg_credential *c, const char *list)
{
    struct osp_edhoc_cred made;
    enum osp_err          e;

    if (c->cred.form == CFG_CRED_NONE || !make_items(l, c))
        return;
    e = osp_edhoc_cred_init(&made, cfg_slice(&c->id_cred), cfg_slice(&c->item));
    if (e == OSP_E_ALGORITHM)
        cfg_error_key(l, &c->pos, list, "%s: has a key of another kind than Ed25519, X25519 and P-256", name_of(c));
    else if (e != OSP_OK)
        cfg_error_key(l, &c->pos, list, "%s: %s", name_of(c),
                      c->cred.form == CFG_CRED_CCS && c->id == CFG_ID_KID && osp_claims_kid(cfg_slice(&c->cred.part[0])).n == 0
                          ? "has no kid to be referred to; write id: value"
                          : "has no key that could be read");
}

/* Reports a private key that does not belong to the public key of the credential. */
static void
check_own(struct cfg_load *l, const struct cfg_credential *c)
{
    struct osp_edhoc_own own;

    if (!c->item.p || c->private_key.value.n != PRIVATE_KEY_LEN)
        return;
    if (osp_edhoc_own_init(&own, cfg_slice(&c->id_cred), cfg_slice(&c->item), cfg_slice(&c->private_key.value)) == OSP_E_INVALID)
        cfg_error_key(l, &c->pos, "own", "%s: private-key is not the one of its credential", name_of(c));
    osp_edhoc_own_fini(&own);
}

/* A fingerprint of the content: when a credential is replaced under its old name, contexts made with the old one must end. */
static void
finish_print(struct cfg_load *l, struct cfg_credential *c)
{
    const struct cfg_cred *from = c->ca.form != CFG_CRED_NONE ? &c->ca : &c->cred;
    struct osp_slice       parts[CFG_CHAIN_MAX];
    uint8_t                hash[OSP_DIGEST_MAX];
    struct osp_rd          r = osp_rd_from(osp_slice(hash, sizeof(hash)));

    for (size_t i = 0; i < from->count; i++)
        parts[i] = cfg_slice(&from->part[i]);
    if (osp_digest(OSP_SHA256, parts, from->count, hash) != OSP_OK)
        l->nomem = true;
    else
        c->print = osp_rd_uint(&r, sizeof(c->print));
}

static void
check_trusted(struct cfg_load *l, const struct cfg_credentials *all, size_t i)
{
    const struct cfg_credential *c = &all->trusted[i];

    if (l->errors == 0 && (c->cred.form == CFG_CRED_NONE) == (c->ca.form == CFG_CRED_NONE))
        cfg_error_key(l, &c->pos, "trusted", "%s: has to have either a credential or a ca", name_of(c));
    if (c->ca.form == CFG_CRED_CCS)
        cfg_error_key(l, &c->pos, "trusted", "%s: ca is no certificate", name_of(c));
    if (c->name && strcmp(c->name, CFG_UNKNOWN_NAME) == 0)
        cfg_error_key(l, &c->pos, "trusted", CFG_UNKNOWN_NAME " stands for those that nobody configured; choose another name");
}

static int
by_item(const void *a, const void *b)
{
    const struct cfg_credential *x = *(const struct cfg_credential *const *)a, *y = *(const struct cfg_credential *const *)b;
    int                          d = x->item.n == y->item.n ? 0 : x->item.n < y->item.n ? -1 : 1;

    if (d == 0 && x->item.n > 0)
        d = memcmp(x->item.p, y->item.p, x->item.n);
    return d ? d : (x > y) - (x < y);
}

/* Reports a credential that stands under two names.  Only one name would count: rules for the other would fit nobody, and
   removing the other would not shut the peer out. */
static void
check_once(struct cfg_load *l, const struct cfg_credentials *all)
{
    const struct cfg_credential **sorted = all->trusted_count > 1 ? cfg_get(l, all->trusted_count * sizeof(*sorted)) : NULL;

    if (!sorted)
        return;
    for (size_t i = 0; i < all->trusted_count; i++)
        sorted[i] = &all->trusted[i];
    qsort(sorted, all->trusted_count, sizeof(*sorted), by_item);
    for (size_t i = 1; i < all->trusted_count; i++) {
        const struct cfg_credential *a = sorted[i - 1], *b = sorted[i];

        if (b->item.n > 0 && a->item.n == b->item.n && memcmp(a->item.p, b->item.p, b->item.n) == 0 &&
            strcmp(name_of(a), name_of(b)) != 0)
            cfg_error_key(l, &b->pos, "trusted", "%s: is the credential of %s; leave one of both", name_of(b), name_of(a));
    }
}

static void
check(struct cfg_load *l, struct cfg_credentials *all)
{
    size_t before = l->errors, authorities = 0;

    for (size_t i = 0; i < all->own_count; i++) {
        finish_key(l, &all->own[i]);
        check_id(l, &all->own[i]);
        if (l->errors == before)
            finish_cred(l, &all->own[i], "own");
        if (l->errors == before)
            check_own(l, &all->own[i]);
    }
    for (size_t i = 0; i < all->trusted_count; i++) {
        check_trusted(l, all, i);
        finish_cred(l, &all->trusted[i], "trusted");
        finish_print(l, &all->trusted[i]);
        authorities += all->trusted[i].ca.form == CFG_CRED_X509;
    }
    if (l->errors == before)
        check_once(l, all);
    if (authorities > 1)        /* path validation does not tell which of several vouched [rfc5280#6] */
        cfg_error_key(l, &all->trusted[0].pos, "trusted", "%zu have a ca; put the certificates of all authorities into one file",
                      authorities);
}

/* ---- the file ---- */

static void
load(struct cfg_load *l, struct osp_slice text, const struct cfg_source *source, struct cfg_credentials *out)
{
    const struct cfg_source *outer = l->source;
    struct cfg_tree         *tree = NULL;
    const struct cfg_node   *root;

    l->source = source;
    root = cfg_tree_read(l, text, &tree);
    if (root) {
        cfg_read_map(l, root, NULL, file_items, out);
        if (!l->nomem)
            check(l, out);
    }
    cfg_tree_free(tree);
    l->source = outer;
}

void
cfg_read_credentials(struct cfg_load *l, const char *path, const struct cfg_pos *pos, const struct cfg_path *key,
                     struct cfg_credentials *out)
{
    struct cfg_arena  *scratch = cfg_arena_new();
    struct cfg_source *source = cfg_get(l, sizeof(*source));
    struct osp_slice   content = OSP_EMPTY;
    mode_t             mode = 0;

    l->nomem = l->nomem || !scratch;
    if (scratch && source && cfg_read_file(l, scratch, path, CFG_FILE_MAX, false, pos, key, &content, &mode)) {
        cfg_source_of(l, path, mode, source);
        load(l, content, source, out);
    }
    cfg_arena_free(scratch);
}

/* The credentials, and the memory that they and everything they point to are in. */
struct box { struct cfg_arena *arena; struct cfg_credentials all; };

void
cfg_credentials_free(struct cfg_credentials *c)
{
    if (c)
        cfg_arena_free(((struct box *)(void *)((char *)c - offsetof(struct box, all)))->arena);
}

struct cfg_credentials *
cfg_load_credentials(const char *path, struct cfg_report *r)
{
    struct cfg_arena *arena = cfg_arena_new();
    struct box       *b = arena ? cfg_arena_get(arena, sizeof(*b)) : NULL;
    struct cfg_load   l;

    cfg_load_init(&l, arena, r, true);
    if (b)
        cfg_read_credentials(&l, path, NULL, NULL, &b->all);
    else
        l.nomem = true;
    if (l.nomem)
        cfg_error(&l, NULL, NULL, "out of memory");
    if (l.errors > 0) {
        cfg_arena_free(arena);
        return NULL;
    }
    b->arena = arena;
    return &b->all;
}

static bool
is_unknown(const struct cfg_edhoc *e, const char *name)
{
    return e->file && e->unknown == CFG_UNKNOWN_ACCEPT && strcmp(name, CFG_UNKNOWN_NAME) == 0;
}

/* Several credentials may have one name, while the keys of a peer are being replaced. */
bool
cfg_edhoc_knows(const struct cfg_edhoc *e, const char *name)
{
    for (size_t i = 0; e->file && i < e->creds.trusted_count; i++)
        if (strcmp(e->creds.trusted[i].name, name) == 0)
            return true;
    return is_unknown(e, name);
}

bool
cfg_edhoc_trusts(const struct cfg_edhoc *e, const char *name, uint64_t print)
{
    for (size_t i = 0; e->file && i < e->creds.trusted_count; i++)
        if (e->creds.trusted[i].print == print && strcmp(e->creds.trusted[i].name, name) == 0)
            return true;
    return is_unknown(e, name);
}

size_t
cfg_edhoc_count(const struct cfg_edhoc *e, const char *pattern)
{
    const struct cfg_credential *all = e->creds.trusted;
    size_t                       count = 0;

    for (size_t i = 0; e->file && i < e->creds.trusted_count; i++) {
        bool again = false;

        if (!all[i].name || (pattern && !osp_glob_match(pattern, all[i].name)))
            continue;
        for (size_t k = 0; k < i && count < 2 && !again; k++)   /* nobody asks whether it is more than two */
            again = all[k].name && strcmp(all[k].name, all[i].name) == 0;
        count += !again;
    }
    return count;
}

const struct cfg_credential *
cfg_edhoc_authority(const struct cfg_edhoc *e)
{
    for (size_t i = 0; e->file && i < e->creds.trusted_count; i++)
        if (e->creds.trusted[i].ca.form != CFG_CRED_NONE)
            return &e->creds.trusted[i];
    return NULL;
}
