/* SPDX-License-Identifier: BSD-2-Clause */
/* The Security Context of a group: making, sharing and freeing it; its sequence numbers, replay windows and Echo values. */
#include <stdlib.h>

#include "group/impl.h"

/* ---- making ---- */

/* Checks that each mode has all of its algorithms [gosc#2.1], and that the agreement uses the group's HKDF [gosc#2.1.9]. */
static enum osp_err
check_algorithms(const struct osp_group_params *p)
{
    int  agreement = p->hkdf == OSP_HKDF_SHA512 ? OSP_ECDH_SS_HKDF512 : OSP_ECDH_SS_HKDF256;
    bool pairwise = p->aead != 0, signing = p->group_enc != 0;

    if (!osp_hkdf_name(p->hkdf) || (!pairwise && !signing))
        return OSP_E_ALGORITHM;
    if (pairwise ? !osp_aead_info(p->aead) || p->agreement != agreement : p->agreement != 0)
        return OSP_E_ALGORITHM;
    if (signing && (!osp_aead_info(p->group_enc) || (p->signature != OSP_EDDSA && p->signature != OSP_ES256)))
        return OSP_E_ALGORITHM;
    if (!signing && p->signature != 0)
        return OSP_E_ALGORITHM;
    if (p->has_det && (!pairwise || !signing || osp_digest_len(p->det_hash) == 0))
        return OSP_E_ALGORITHM;
    return OSP_OK;
}

static void
take_algorithms(struct osp_group *g, const struct osp_group_params *p)
{
    g->hkdf = p->hkdf;
    g->aead = p->aead;
    g->agreement = p->agreement;
    g->group_enc = p->group_enc;
    g->signature = p->signature;
    g->pairwise = osp_aead_info(p->aead);
    g->signed_enc = osp_aead_info(p->group_enc);
    /* [gosc#2.1.4] as long as the longer nonce of both modes */
    g->iv_len = g->pairwise ? g->pairwise->nonce_len : 0;
    if (g->signed_enc && g->signed_enc->nonce_len > g->iv_len)
        g->iv_len = g->signed_enc->nonce_len;
    /* [gosc#2.3] the keys are for the group mode's algorithm, if that mode is used */
    g->key_len = g->signed_enc ? g->signed_enc->key_len : g->pairwise->key_len;
}

/* [gosc#2.2] the longest ID: the shortest nonce less 6 bytes */
static size_t
id_limit(const struct osp_group *g)
{
    size_t n = g->pairwise ? g->pairwise->nonce_len : g->signed_enc->nonce_len;

    if (g->signed_enc && g->signed_enc->nonce_len < n)
        n = g->signed_enc->nonce_len;
    return n - 6;
}

static bool
take_id(const struct osp_group *g, struct osp_slice id, struct grp_id *out)
{
    if (id.n > id_limit(g) || !osp_slice_copy(id, out->bytes, sizeof(out->bytes)))
        return false;
    out->len = (uint8_t)id.n;
    return true;
}

static enum osp_err
take_key(const struct osp_group *g, const struct osp_group_member *m, struct osp_group_key *out)
{
    enum osp_err e = OSP_OK;

    if (m->credential.n == 0 || m->credential.n > OSP_CREDENTIAL_MAX)
        return OSP_E_INVALID;
    e = m->public_key.n ? osp_credential_key_raw(g->signature, m->public_key, out) : osp_credential_key(m->credential, out);
    if (e == OSP_OK && !osp_credential_key_suits(out, g->signature))
        e = OSP_E_INVALID;
    return e == OSP_E_ALGORITHM ? OSP_E_INVALID : e;
}

static enum osp_err
take_members(struct osp_group *g, const struct osp_group_params *p, struct osp_wr *bytes, size_t *bad)
{
    enum osp_err e = OSP_OK;

    for (size_t i = 0; i < p->member_count && e == OSP_OK; i++) {
        struct grp_member *m = &g->members[i];

        *bad = i;
        e = take_key(g, &p->members[i], &m->key);
        if (e == OSP_OK && !take_id(g, p->members[i].id, &m->id))
            e = OSP_E_ID_LENGTH;
        m->credential = osp_wr_keep(bytes, p->members[i].credential);
    }
    return e;
}

static enum osp_err
take_self(struct osp_group *g, const struct osp_group_params *p, struct osp_wr *bytes, size_t *bad)
{
    struct osp_group_key key;
    enum osp_err         e;

    if (!p->has_self)
        return OSP_OK;
    *bad = p->member_count;
    e = take_key(g, &p->self, &key);
    if (e == OSP_OK)
        e = osp_credential_key_fits(&key, p->private_key);
    if (e != OSP_OK)
        return e;
    if (!take_id(g, p->self.id, &g->self_id))
        return OSP_E_ID_LENGTH;
    g->has_self = true;
    g->self_credential = osp_wr_keep(bytes, p->self.credential);
    return osp_slice_copy(p->private_key, g->private_key, sizeof(g->private_key)) ? OSP_OK : OSP_E_INVALID;
}

/* [gosc#2.2] an ID stands for one endpoint */
static enum osp_err
check_unique(const struct osp_group *g, size_t *bad)
{
    for (size_t i = 0; i < g->member_count; i++) {
        struct osp_slice id = grp_id(&g->members[i].id);

        *bad = i;
        if (grp_member_find(g, id) != i || (g->has_self && osp_slice_eq(id, grp_id(&g->self_id))) ||
            (g->has_det && osp_slice_eq(id, grp_id(&g->det_id))))
            return OSP_E_EXISTS;
    }
    *bad = g->member_count;
    return g->has_self && g->has_det && osp_slice_eq(grp_id(&g->self_id), grp_id(&g->det_id)) ? OSP_E_EXISTS : OSP_OK;
}

static enum osp_err
fill(struct osp_group *g, const struct osp_group_params *p, struct osp_wr *bytes, size_t *bad)
{
    enum osp_err e;

    take_algorithms(g, p);
    g->gid_len = p->gid.n;
    if (!osp_slice_copy(p->gid, g->gid, sizeof(g->gid)))
        return OSP_E_ID_LENGTH;
    g->gm_credential = osp_wr_keep(bytes, p->gm_credential);
    g->has_det = p->has_det;
    g->det_hash = p->det_hash;
    if (p->has_det && !take_id(g, p->det_id, &g->det_id))
        return OSP_E_ID_LENGTH;
    e = take_members(g, p, bytes, bad);
    if (e == OSP_OK)
        e = take_self(g, p, bytes, bad);
    if (e == OSP_OK)
        e = check_unique(g, bad);
    return e == OSP_OK ? grp_derive(g, p->master_secret, p->master_salt, bad) : e;
}

static size_t
bytes_needed(const struct osp_group_params *p)
{
    size_t n = p->gm_credential.n + (p->has_self ? p->self.credential.n : 0);

    for (size_t i = 0; i < p->member_count; i++)
        n += p->members[i].credential.n;
    return n;
}

enum osp_err
osp_group_new(const struct osp_group_params *p, struct osp_group **out, size_t *bad)
{
    enum osp_err      e = check_algorithms(p);
    struct osp_group *g;
    struct osp_wr     w;
    size_t            n, nobody;

    if (!bad)
        bad = &nobody;
    *bad = p->member_count;
    if (e != OSP_OK)
        return e;
    if (p->member_count > OSP_GROUP_MEMBERS_MAX || p->gm_credential.n > OSP_CREDENTIAL_MAX)
        return OSP_E_INVALID;
    n = bytes_needed(p);
    g = calloc(1, sizeof(*g));
    if (!g)
        return OSP_E_NOMEM;
    atomic_init(&g->refs, 1);
    g->member_count = p->member_count;
    g->members = calloc(p->member_count + 1, sizeof(*g->members));
    g->bytes = malloc(n + 1);
    w = osp_wr_to(g->bytes, n);
    e = g->members && g->bytes ? fill(g, p, &w, bad) : OSP_E_NOMEM;
    if (e != OSP_OK) {
        osp_group_unref(g);
        return e;
    }
    *out = g;
    return OSP_OK;
}

void
osp_group_ref(struct osp_group *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
}

void
osp_group_unref(struct osp_group *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (g->members)
        osp_wipe(g->members, g->member_count * sizeof(*g->members));
    free(g->members);
    free(g->bytes);
    osp_wipe(g, sizeof(*g));
    free(g);
}

struct osp_slice
osp_group_gid(const struct osp_group *g)
{
    return osp_slice(g->gid, g->gid_len);
}

struct osp_slice
osp_group_self(const struct osp_group *g)
{
    return grp_id(&g->self_id);
}

size_t
osp_group_member_count(const struct osp_group *g)
{
    return g->member_count;
}

size_t
grp_member_find(const struct osp_group *g, struct osp_slice id)
{
    size_t i = 0;

    while (i < g->member_count && !osp_slice_eq(id, grp_id(&g->members[i].id)))
        i++;
    return i;
}

enum osp_err
osp_group_sender_name(const struct osp_group *g, uint8_t out[OSP_KEY_NAME_LEN])
{
    return g->has_self ? osp_key_name(osp_slice(g->sender_key, g->key_len), out) : OSP_E_NOT_FOUND;
}

enum osp_err
osp_group_member_name(const struct osp_group *g, size_t member, uint8_t out[OSP_KEY_NAME_LEN])
{
    return osp_key_name(osp_slice(g->members[member].recipient_key, g->key_len), out);
}

enum osp_err
osp_group_fingerprint(const struct osp_group_params *p, uint8_t out[32])
{
    const struct osp_slice in[] = { p->master_secret, p->master_salt, p->gid, p->has_self ? p->self.id : OSP_EMPTY };
    uint8_t                head[64];
    struct osp_wr          w = osp_wr_to(head, sizeof(head));
    struct osp_slice       parts[5];

    /* the lengths stand first, so that different parameters never hash equal bytes */
    osp_wr_put(&w, osp_slice_str("osprey oscore group 1"));
    osp_wr_uint(&w, (uint64_t)(int64_t)p->aead, 4);
    osp_wr_uint(&w, (uint64_t)(int64_t)p->group_enc, 4);
    osp_wr_uint(&w, (uint64_t)(int64_t)p->hkdf, 4);
    osp_wr_u8(&w, p->has_self);
    for (size_t i = 0; i < 4; i++) {
        osp_wr_u32(&w, (uint32_t)in[i].n);
        parts[i + 1] = in[i];
    }
    parts[0] = osp_wr_slice(&w);
    return osp_digest(OSP_SHA256, parts, 5, out);
}

/* ---- sender sequence numbers ---- */

void
osp_group_grant(struct osp_group *g, uint64_t at_least, uint64_t limit)
{
    if (limit > OSP_PIV_MAX + 1)
        limit = OSP_PIV_MAX + 1;
    osp_lock_take(&g->lock);
    if (g->ssn_next < at_least)
        g->ssn_next = at_least;
    if (g->ssn_limit < limit)
        g->ssn_limit = limit;
    osp_lock_release(&g->lock);
}

struct osp_ssn
osp_group_ssn(struct osp_group *g)
{
    struct osp_ssn s;

    osp_lock_take(&g->lock);
    s.next = g->ssn_next;
    s.limit = g->ssn_limit;
    osp_lock_release(&g->lock);
    return s;
}

/* [rfc8613#7.2.1] [rfc8613#B.1.1] */
enum osp_err
grp_take_ssn(struct osp_group *g, uint64_t *ssn)
{
    enum osp_err e = OSP_OK;

    osp_lock_take(&g->lock);
    if (g->ssn_next > OSP_PIV_MAX)
        e = OSP_E_SSN_EXHAUSTED;
    else if (g->ssn_next >= g->ssn_limit)
        e = OSP_E_NO_LEASE;
    else
        *ssn = g->ssn_next++;
    osp_lock_release(&g->lock);
    return e;
}

/* ---- replay windows ---- */

void
osp_group_set_window(struct osp_group *g, size_t member, const struct osp_replay *w)
{
    struct grp_member *m = &g->members[member];

    osp_lock_take(&g->lock);
    m->window = *w;
    m->window_known = true;
    m->echo_set = false;
    osp_lock_release(&g->lock);
}

enum osp_window_state
osp_group_get_window(struct osp_group *g, size_t member, struct osp_replay *out)
{
    bool known;

    osp_lock_take(&g->lock);
    *out = g->members[member].window;
    known = g->members[member].window_known;
    osp_lock_release(&g->lock);
    return known ? OSP_WINDOW_KNOWN : OSP_WINDOW_UNKNOWN;
}

bool
grp_window_is_fresh(struct osp_group *g, size_t member, uint64_t piv)
{
    bool fresh;

    osp_lock_take(&g->lock);
    fresh = !g->members[member].window_known || osp_replay_is_fresh(&g->members[member].window, piv);
    osp_lock_release(&g->lock);
    return fresh;
}

static bool
proves_echo(const struct grp_member *m, const struct osp_msg *request)
{
    const struct osp_opt *o = osp_msg_get(request, OSP_OPT_ECHO);

    return o && m->echo_set && osp_equal_ct(o->val, osp_slice(m->echo, OSP_ECHO_LEN));
}

/* [gosc#9], which applies appendix B.1.2 of RFC 8613 to each member */
enum osp_err
grp_window_commit(struct osp_group *g, size_t member, uint64_t piv, struct osp_msg *request)
{
    struct grp_member *m = &g->members[member];
    enum osp_err       e = OSP_OK;
    bool               proved = false;

    osp_lock_take(&g->lock);
    if (m->window_known) {
        e = osp_replay_commit(&m->window, piv);
    } else if (proves_echo(m, request)) {
        osp_replay_start_at(&m->window, piv);
        m->window_known = true;
        m->echo_set = false;
        osp_wipe(m->echo, sizeof(m->echo));
        proved = true;
    } else {
        e = OSP_E_NOT_FRESH;
    }
    osp_lock_release(&g->lock);
    if (proved)
        osp_msg_remove(request, OSP_OPT_ECHO);
    return e;
}

void
osp_group_challenge(struct osp_group_layer *layer, struct osp_randbuf *rand, uint8_t echo[OSP_ECHO_LEN], struct osp_msg *out)
{
    struct grp_member *m = &layer->group->members[layer->peer];
    uint8_t            drawn[OSP_ECHO_LEN];

    osp_randbuf_take(rand, drawn, sizeof(drawn));
    osp_lock_take(&layer->group->lock);
    if (!m->echo_set) {
        memcpy(m->echo, drawn, sizeof(drawn));
        m->echo_set = true;
    }
    memcpy(echo, m->echo, sizeof(m->echo));
    osp_lock_release(&layer->group->lock);
    osp_msg_init(out, OSP_CODE(4, 1));
    if (osp_msg_add(out, OSP_OPT_ECHO, osp_slice(echo, OSP_ECHO_LEN)) != OSP_OK)
        out->opt_count = 0;             /* never happens, since one option always fits */
}

void
osp_group_layer_fini(struct osp_group_layer *l)
{
    osp_group_unref(l->group);
    *l = (struct osp_group_layer){ 0 };
}
