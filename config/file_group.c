/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/file_group.h"

#include <stdlib.h>

#include "config/schema.h"
#include "crypto/crypto.h"
#include "group/credential.h"

#define AT(member) .at = offsetof(struct cfg_group, member)
#define AT_MEMBER(member) .at = offsetof(struct cfg_group_member, member)
#define MEMBERS_MAX 1024u
#define SECRET_MIN 16u          /* bytes of a Master Secret: the strength of AES-128 */
#define NONCE_TAKEN 6u          /* bytes of a nonce that are not the ID's [rfc8613#5.2] */
#define GID_MAX 64u

static const char *const signature_names[] = { "EdDSA", "ES256", NULL };
static const int         signature_numbers[] = { -8, -7 };
static const char *const hash_names[] = { "SHA-256", "SHA-384", "SHA-512", NULL };
static const int         hash_numbers[] = { -16, -43, -44 };

/* ---- tables ---- */

static const struct cfg_item member_items[] = {
    { .key = "name", .type = CFG_OTHER, .flags = CFG_REQ, AT_MEMBER(name), .kind = &cfg_kind_name,
      .doc = "what GROUP.yaml#NAME calls it" },
    { .key = "id", .type = CFG_OTHER, .flags = CFG_REQ, AT_MEMBER(id), .kind = &cfg_kind_id,
      .doc = "its Sender ID", .example = "{ hex: \"52\" }" },
    { .key = "credential", .type = CFG_OTHER, .flags = CFG_REQ, AT_MEMBER(credential), .kind = &cfg_kind_id,
      .doc = "its authentication credential, as the Group Manager hands it out" },
    { .key = "public-key", .type = CFG_OTHER, AT_MEMBER(public_key), .kind = &cfg_kind_id, .dflt_text = "from the credential",
      .doc = "its public key, when the credential is no CWT Claims Set: 32 bytes of Ed25519, or x and y of P-256" },
    { .key = NULL },
};

static const struct cfg_item self_items[] = {
    { .key = "id", .type = CFG_OTHER, .flags = CFG_REQ, AT(self.id), .kind = &cfg_kind_id, .doc = "our Sender ID" },
    { .key = "credential", .type = CFG_OTHER, .flags = CFG_REQ, AT(self.credential), .kind = &cfg_kind_id,
      .doc = "our authentication credential" },
    { .key = "public-key", .type = CFG_OTHER, AT(self.public_key), .kind = &cfg_kind_id, .dflt_text = "from the credential",
      .doc = "our public key, when the credential is no CWT Claims Set" },
    { .key = "private-key", .type = CFG_OTHER, .flags = CFG_REQ, AT(private_key), .kind = &cfg_kind_secret,
      .doc = "our private key, 32 bytes", .example = "{ file: server.key }" },
    { .key = NULL },
};

static const struct cfg_item det_items[] = {
    { .key = "id", .type = CFG_OTHER, .flags = CFG_REQ, AT(det.id), .kind = &cfg_kind_id, .doc = "its Sender ID" },
    { .key = "hash", .type = CFG_CHOICE, AT(hash_choice), .choices = hash_names, .doc = "hash of Request-Hash" },
    { .key = NULL },
};

static void
read_self(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_group *g = obj;

    if (!n)
        return;
    g->has_self = true;
    g->self_pos = n->pos;
    cfg_read_map(l, n, path, self_items, g);
}

/* Not of type CFG_SECTION: a section that is left out is read for its defaults, and `self` has none. */
static void
read_det(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    if (n)
        cfg_read_map(l, n, path, det_items, obj);
}

static const struct cfg_kind kind_det = { .form = "a map", .read = read_det, .items = det_items };
static const struct cfg_kind kind_self = { .form = "a map", .read = read_self, .items = self_items };

static const struct cfg_item group_items[] = {
    { .key = "gid", .type = CFG_OTHER, .flags = CFG_REQ, AT(gid), .kind = &cfg_kind_id, .doc = "Group Identifier" },
    { .key = "master-secret", .type = CFG_OTHER, .flags = CFG_REQ, AT(master_secret), .kind = &cfg_kind_secret,
      .doc = "Master Secret of the group, at least 16 bytes" },
    { .key = "master-salt", .type = CFG_OTHER, AT(master_salt), .kind = &cfg_kind_salt, .doc = "Master Salt" },
    { .key = "manager-credential", .type = CFG_OTHER, .flags = CFG_REQ, AT(manager_credential), .kind = &cfg_kind_id,
      .doc = "authentication credential of the Group Manager" },
    { .key = "aead", .type = CFG_OTHER, AT(aead), .kind = &cfg_kind_aead, .doc = "AEAD Algorithm, of the pairwise mode" },
    { .key = "group-encryption", .type = CFG_OTHER, AT(group_enc), .kind = &cfg_kind_aead,
      .doc = "Group Encryption Algorithm, of the group mode" },
    { .key = "hkdf", .type = CFG_OTHER, AT(hkdf), .kind = &cfg_kind_hkdf,
      .doc = "HKDF Algorithm; the pairwise key agreement is ECDH-SS with it" },
    { .key = "signature", .type = CFG_CHOICE, AT(signature_choice), .choices = signature_names, .doc = "Signature Algorithm" },
    { .key = "deterministic-client", .type = CFG_OTHER, .flags = CFG_REQ, .kind = &kind_det,
      .doc = "ID and hash of the Deterministic Client" },
    { .key = "self", .type = CFG_OTHER, .kind = &kind_self, .doc = "our own ID and keys" },
    { .key = "members", .type = CFG_ITEMS, .max = MEMBERS_MAX, AT(members), .items = member_items,
      .size = sizeof(struct cfg_group_member), .count_at = offsetof(struct cfg_group, member_count),
      .pos_at = offsetof(struct cfg_group_member, pos), .doc = "the other members" },
    { .key = NULL },
};

/* ---- checks over what could be read; what could not is NULL or zero, and passed over ---- */

/* What messages call a member; "?" if its name could not be read. */
static const char *
name_of(const struct cfg_group *g, const struct cfg_group_member *m)
{
    return m == &g->self ? "self" : m->name ? m->name : "?";
}

static void
report(struct cfg_load *l, const struct cfg_group *g, const struct cfg_group_member *m, const char *wrong)
{
    bool self = m == &g->self;

    cfg_error_key(l, self ? &g->self_pos : &m->pos, self ? "self" : "members", "%s: %s", name_of(g, m), wrong);
}

/* [gosc#2.2] The longest ID: the length of the shortest nonce less 6 bytes. */
static size_t
id_limit(const struct cfg_group *g)
{
    const struct osp_aead_info *a = osp_aead_info(g->aead), *e = osp_aead_info(g->group_enc);
    size_t                      n = OSP_AEAD_NONCE_MAX;

    if (a && a->nonce_len < n)
        n = a->nonce_len;
    if (e && e->nonce_len < n)
        n = e->nonce_len;
    return n - NONCE_TAKEN;
}

/* Reads the public key of `m`; returns NULL, or what is wrong with it for this group. */
static const char *
find_key(const struct cfg_group *g, const struct cfg_group_member *m, struct osp_group_key *key)
{
    bool         beside = m->public_key.n > 0;
    enum osp_err e;

    if (m->credential.n == 0 || m->credential.n > OSP_CREDENTIAL_MAX)
        return "its credential is empty, or longer than 2048 bytes";
    e = beside ? osp_credential_key_raw(g->signature, cfg_slice(&m->public_key), key)
               : osp_credential_key(cfg_slice(&m->credential), key);
    if (e == OSP_E_ALGORITHM)
        return "the key in its credential is of a curve that is not supported";
    if (e != OSP_OK)
        return beside ? "its public-key has not the length of a key for the group's signature algorithm"
                      : "its credential is no CWT Claims Set with a key; give its public-key beside it";
    return osp_credential_key_suits(key, g->signature) ? NULL : "its key is not one for the group's signature algorithm";
}

static void
check_member(struct cfg_load *l, const struct cfg_group *g, const struct cfg_group_member *m)
{
    struct osp_group_key key;
    const char          *wrong = m->credential.p ? find_key(g, m, &key) : NULL;

    if (m->id.n > id_limit(g))
        report(l, g, m, "its id is longer than the shortest nonce of aead and group-encryption less 6 bytes");
    if (wrong)
        report(l, g, m, wrong);
    else if (m == &g->self && m->credential.p && g->private_key.value.p &&
             osp_credential_key_fits(&key, cfg_slice(&g->private_key.value)) != OSP_OK)
        report(l, g, m, "private-key is not the one of its credential");
}

/* [gosc#2.2] Reports an ID that two members have, or a name. */
static void
check_unique(struct cfg_load *l, const struct cfg_group *g, size_t i)
{
    const struct cfg_group_member *m = &g->members[i];

    if (m->id.p && g->det.id.p && osp_slice_eq(cfg_slice(&m->id), cfg_slice(&g->det.id)))
        report(l, g, m, "its id is that of the deterministic-client");
    if (m->id.p && g->has_self && g->self.id.p && osp_slice_eq(cfg_slice(&m->id), cfg_slice(&g->self.id)))
        report(l, g, m, "its id is our own");
    for (size_t k = 0; k < i; k++) {
        const struct cfg_group_member *o = &g->members[k];

        if (m->id.p && o->id.p && osp_slice_eq(cfg_slice(&m->id), cfg_slice(&o->id)))
            report(l, g, m, "another member has its id");
        if (m->name && o->name && strcmp(m->name, o->name) == 0)
            report(l, g, m, "another member has its name");
    }
}

static void
check(struct cfg_load *l, const struct cfg_group *g)
{
    if (g->gid.p && (g->gid.n == 0 || g->gid.n > GID_MAX))
        cfg_error_key(l, NULL, "gid", "%zu bytes; 1 to %u", g->gid.n, GID_MAX);
    if (g->master_secret.value.p && g->master_secret.value.n < SECRET_MIN)
        cfg_error_key(l, NULL, "master-secret", "%zu bytes; at least %u", g->master_secret.value.n, SECRET_MIN);
    if (g->manager_credential.p && (g->manager_credential.n == 0 || g->manager_credential.n > OSP_CREDENTIAL_MAX))
        cfg_error_key(l, NULL, "manager-credential", "%zu bytes; 1 to %u", g->manager_credential.n, OSP_CREDENTIAL_MAX);
    if (g->det.id.n > id_limit(g))
        cfg_error_key(l, NULL, "deterministic-client.id", "%zu bytes; with these algorithms at most %zu", g->det.id.n,
                      id_limit(g));
    if (g->has_self)
        check_member(l, g, &g->self);
    if (g->has_self && g->self.id.p && g->det.id.p && osp_slice_eq(cfg_slice(&g->self.id), cfg_slice(&g->det.id)))
        report(l, g, &g->self, "its id is that of the deterministic-client");
    for (size_t i = 0; i < g->member_count; i++) {
        check_member(l, g, &g->members[i]);
        check_unique(l, g, i);
    }
    if (!g->has_self && g->member_count == 0 && l->errors == 0)
        cfg_error_key(l, NULL, "members", "there is neither a self nor another member: nobody to ask, and nobody to answer");
}

/* ---- the file ---- */

/* The group, and the memory that it and everything it points to are in. */
struct box { struct cfg_arena *arena; struct cfg_group group; };

void
cfg_group_free(struct cfg_group *g)
{
    if (g)
        cfg_arena_free(((struct box *)(void *)((char *)g - offsetof(struct box, group)))->arena);
}

static void
load(struct cfg_load *l, struct osp_slice text, const struct cfg_source *source, struct cfg_group *g)
{
    struct cfg_tree       *tree = NULL;
    const struct cfg_node *root;

    l->source = source;
    root = cfg_tree_read(l, text, &tree);
    if (root) {
        cfg_read_map(l, root, NULL, group_items, g);
        g->signature = signature_numbers[g->signature_choice];
        g->det.hash = hash_numbers[g->hash_choice];
        if (!l->nomem)
            check(l, g);
    }
    cfg_tree_free(tree);
}

struct cfg_group *
cfg_load_group(const char *path, struct cfg_report *r)
{
    struct cfg_arena *arena = cfg_arena_new(), *scratch = cfg_arena_new();
    struct box       *b = arena ? cfg_arena_get(arena, sizeof(*b)) : NULL;
    struct cfg_load   l;
    struct cfg_source source;
    struct osp_slice  content = OSP_EMPTY;
    mode_t            mode = 0;

    cfg_load_init(&l, arena, r, true);
    if (!b || !scratch) {
        l.nomem = true;
    } else if (cfg_read_file(&l, scratch, path, CFG_FILE_MAX, false, NULL, NULL, &content, &mode)) {
        cfg_source_of(&l, path, mode, &source);
        load(&l, content, &source, &b->group);
    }
    cfg_arena_free(scratch);
    if (l.nomem)
        cfg_error(&l, NULL, NULL, "out of memory");
    if (l.errors > 0) {
        cfg_arena_free(arena);
        return NULL;
    }
    b->arena = arena;
    return &b->group;
}
