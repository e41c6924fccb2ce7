/* SPDX-License-Identifier: BSD-2-Clause */
/* The section `edhoc`: security contexts that are established instead of configured. */
#include "config/schema.h"

#include "base/time.h"
#include "edhoc/credential.h"
#include "edhoc/suite.h"

#define AT(member) .at = offsetof(struct osp_cfg, edhoc.member)
#define METHOD_MAX 3u
#define SUITE_MAX 6u

/* ---- the file of credentials ---- */

static void
read_file(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_edhoc *e = obj;
    size_t            before = l->errors;
    const char       *name = n ? cfg_scalar(l, n, path, "the path of a file") : NULL;

    if (!name || strcmp(name, "none") == 0)
        return;
    e->file = cfg_absolute(l, name);
    if (!l->files)
        cfg_error(l, &n->pos, path, "files are not read here");
    else if (e->file)
        cfg_read_credentials(l, e->file, &n->pos, path, &e->creds);
    if (e->file && l->errors == before && e->creds.own_count == 0)
        cfg_error(l, &n->pos, path, "has no own credential: nobody could be answered");
    l->bad_credentials = l->errors != before;
}

static void
print_file(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_edhoc *e = obj;

    if (e->file)
        cfg_out_text(o, key, e->file);
    else
        cfg_out_word(o, key, "none");
}

static const struct cfg_kind kind_file = { "a path", read_file, print_file, NULL };

/* ---- lists of small numbers ---- */

/* Reads a list of numbers in its order; reports those above `max` and those that stand twice. */
static size_t
read_numbers(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, unsigned max, int *out, size_t cap)
{
    const struct cfg_node *c = NULL;
    size_t                 count = cfg_each(l, n, path, "a number or a list of numbers", &c), got = 0;
    uint64_t               v;

    for (size_t i = 0; i < count; i++, c = c->next) {
        struct cfg_path        at = { path, NULL, i };
        const struct cfg_path *where = n->kind == CFG_LIST ? &at : path;
        const char            *text = cfg_scalar(l, c, where, "a number");
        bool                   twice = false;

        if (!text || !cfg_number(l, c, where, text, 0, max, &v))
            continue;
        for (size_t k = 0; k < got; k++)
            twice = twice || out[k] == (int)v;
        if (twice || got == cap)
            cfg_error(l, &c->pos, where, "%u stands there twice", (unsigned)v);
        else
            out[got++] = (int)v;
    }
    return got;
}

static void
read_methods(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_edhoc *e = obj;
    int               all[METHOD_MAX + 1] = { 0, 3 };
    size_t            count = n ? read_numbers(l, n, path, METHOD_MAX, all, METHOD_MAX + 1) : 2;

    for (size_t i = 0; i < count; i++)
        e->methods |= (uint8_t)(1u << all[i]);
}

static void
print_methods(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_edhoc *e = obj;
    char                    text[32] = "[";
    size_t                  n = 1;

    for (unsigned i = 0; i <= METHOD_MAX; i++)
        if (e->methods & 1u << i)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", n > 1 ? ", " : " ", i);
    (void)snprintf(text + n, sizeof(text) - n, " ]");
    cfg_out_word(o, key, text);
}

static const struct cfg_kind kind_methods = { "a list of 0 to 3", read_methods, print_methods, NULL };

static void
read_suites(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, void *obj)
{
    struct cfg_edhoc *e = obj;

    e->suite_count = n ? read_numbers(l, n, path, SUITE_MAX, e->suites, CFG_SUITES_MAX) : 0;
    if (n)
        return;
    e->suites[0] = 2;
    e->suites[1] = 0;
    e->suite_count = 2;
}

static void
print_suites(struct cfg_out *o, const char *key, const void *obj)
{
    const struct cfg_edhoc *e = obj;
    char                    text[64] = "[";
    size_t                  n = 1;

    for (size_t i = 0; i < e->suite_count; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d", i ? ", " : " ", e->suites[i]);
    (void)snprintf(text + n, sizeof(text) - n, " ]");
    cfg_out_word(o, key, text);
}

static const struct cfg_kind kind_suites = { "a list of 0 to 6", read_suites, print_suites, NULL };

/* ---- the section ---- */

/* True if a key on `curve` signs or does Diffie-Hellman in one of the suites [rfc9528#3.6]. */
static bool
is_of_a_suite(const struct cfg_edhoc *e, int curve)
{
    for (size_t i = 0; i < e->suite_count; i++) {
        const struct osp_edhoc_suite *s = osp_edhoc_suite(e->suites[i]);

        if (s && (s->curve == curve || osp_edhoc_sign_curve(s) == curve))
            return true;
    }
    return false;
}

static bool
has_key_for_suites(const struct cfg_edhoc *e)
{
    struct osp_edhoc_cred cred;

    for (size_t i = 0; i < e->creds.own_count; i++) {
        const struct cfg_credential *c = &e->creds.own[i];

        if (osp_edhoc_cred_init(&cred, cfg_slice(&c->id_cred), cfg_slice(&c->item)) == OSP_OK &&
            is_of_a_suite(e, (int)cred.key.curve))
            return true;
    }
    return false;
}

/* Reports keys of EDHOC without credentials, since they would be ignored, and own credentials that suit none of the suites. */
void
cfg_check_edhoc(struct cfg_load *l, const struct cfg_node *n, const struct cfg_path *path, const void *obj)
{
    const struct cfg_edhoc *e = &((const struct osp_cfg *)obj)->edhoc;
    const struct cfg_node  *suites = n->kind == CFG_MAP ? cfg_child(n, "suites") : NULL;

    if (n->kind == CFG_MAP && !cfg_child(n, "credentials"))
        cfg_error(l, &n->pos, path, "has no credentials, so EDHOC is off; name the file, or take this out");
    else if (e->file && !l->bad_credentials && e->suite_count > 0 && !has_key_for_suites(e))
        cfg_error(l, suites ? &suites->pos : &n->pos, path, "no own credential has a key for its suites: P-256 for 2, 3 and "
                  "5, X25519 or Ed25519 for 0, 1 and 4, X25519 or P-256 for 6");
}

static const char *const unknown_names[] = { "refuse", "accept", NULL };

const struct cfg_item cfg_edhoc_items[] = {
    { .key = "credentials", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(struct osp_cfg, edhoc), .kind = &kind_file,
      .dflt_text = "none", .example = "keys/edhoc.yaml",
      .doc = "file of our own credentials and of those we trust; `osprey keygen` writes one. None: EDHOC is off" },
    { .key = "methods", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(struct osp_cfg, edhoc), .kind = &kind_methods,
      .dflt_text = "[0, 3]", .example = "[ 0, 3 ]",
      .doc = "methods of RFC 9528 that are accepted: who authenticates with a signature (0: both, 1: the Initiator, 2: the "
             "Responder) and who with a static Diffie-Hellman key (3: both)" },
    { .key = "suites", .type = CFG_OTHER, .reload = CFG_LIVE, .at = offsetof(struct osp_cfg, edhoc), .kind = &kind_suites,
      .dflt_text = "[2, 0]", .example = "[ 2, 0 ]",
      .doc = "cipher suites, the most preferred first: 0 and 1 X25519 and Ed25519, 2 and 3 P-256, 4 to 6 with ChaCha20 or "
             "AES-GCM" },
    { .key = "message-4", .type = CFG_BOOL, .reload = CFG_LIVE, .dflt = false, AT(message_4),
      .doc = "answer message_3 with message_4, for clients that want key confirmation before they send a request" },
    { .key = "unknown", .type = CFG_CHOICE, .reload = CFG_LIVE, AT(unknown), .choices = unknown_names,
      .doc = "what a credential gets that was sent by value and is not among the trusted ones; accepted ones are called "
             "`unknown` in rules, and prove nothing but that it is the same peer as before" },
    { .key = "sessions", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 1000000, .dflt = 1024, AT(sessions),
      .doc = "EDHOC sessions at a time; at the bound the oldest finished one goes, or else the oldest" },
    { .key = "verify-above", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 0, .max = 1000000, .dflt = 128, AT(verify_above),
      .doc = "with so many unfinished sessions, message_1 has to prove its address with Echo (RFC 9175); 0: always" },
    { .key = "session-timeout", .type = CFG_DURATION, .reload = CFG_RESTART, .min = OSP_SEC(1), .max = OSP_SEC(3600),
      .dflt = OSP_SEC(60),
      AT(session_us), .doc = "how long a session waits for message_3, and duplicates of it are answered" },
    { .key = "contexts", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 1000000, .dflt = 10000, AT(contexts),
      .doc = "contexts made by EDHOC that are kept, 380 of them at most for each MiB of `state-size`, as configured contexts "
             "come first; at the bound the oldest of `unknown` credentials goes, or else the oldest" },
    { .key = "contexts-per-peer", .type = CFG_COUNT, .reload = CFG_RESTART, .min = 1, .max = 1000,
      .dflt = 4, AT(contexts_per_peer),
      .doc = "of them for one peer; beyond it its oldest goes" },
    { .key = "context-lifetime", .type = CFG_DURATION, .reload = CFG_RESTART, .min = 0, .max = OSP_SEC(366ull * 24 * 3600),
      .dflt = 0, AT(lifetime_us),
      .doc = "how long such a context is accepted; 0: until it is revoked or its credential is trusted no longer",
      .example = "168h" },
    { .key = NULL },
};
