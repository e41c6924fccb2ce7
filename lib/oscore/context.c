/* SPDX-License-Identifier: BSD-2-Clause */
#include "oscore/context.h"

#include <stdlib.h>

#include "crypto/digest.h"
#include "oscore/b2.h"
#include "oscore/impl.h"

#define INFO_MAX 320            /* ID Context of 255 bytes and the rest of `info` */
#define SALT_PADDED 64          /* the block of HMAC-SHA-256: longer salts are hashed, not padded */
#define ID_CONTEXT_MAX 255      /* the largest length in the option's length byte */

/* ---- making ---- */

static enum osp_err
check_params(const struct osp_octx_params *p, const struct osp_aead_info *a)
{
    if (!a || !osp_hkdf_name(p->hkdf))
        return OSP_E_ALGORITHM;
    /* [rfc8613#3.3] nonce length minus 6 */
    if (p->sender_id.n > (size_t)a->nonce_len - 6 || p->recipient_id.n > (size_t)a->nonce_len - 6)
        return OSP_E_ID_LENGTH;
    if (osp_slice_eq(p->sender_id, p->recipient_id))
        return OSP_E_ID_LENGTH;
    if (p->kid_context.n > ID_CONTEXT_MAX)
        return OSP_E_ID_LENGTH;
    return p->has_id_context && p->id_context.n > ID_CONTEXT_MAX ? OSP_E_ID_LENGTH : OSP_OK;
}

/* The pseudorandom key of a context, from which its three secrets are expanded. */
struct prk { int digest; uint8_t bytes[OSP_DIGEST_MAX]; };

static enum osp_err
extract(const struct osp_octx_params *p, struct prk *prk)
{
    prk->digest = p->hkdf == OSP_HKDF_SHA512 ? OSP_SHA512 : OSP_SHA256;
    return osp_hkdf_extract(prk->digest, p->master_salt, p->master_secret, prk->bytes);
}

/* One output of the key derivation [rfc8613#3.2.1]. */
static enum osp_err
derive(const struct osp_octx_params *p, const struct prk *prk, struct osp_slice id, const char *type, uint8_t *out, size_t n)
{
    uint8_t       info[INFO_MAX];
    struct osp_wr w = osp_wr_to(info, sizeof(info));
    enum osp_err  e;

    e = osp_oscore_info(id, p->has_id_context ? &p->id_context : NULL, p->aead, type, (unsigned)n, &w);
    if (e != OSP_OK)
        return e;
    return osp_hkdf_expand(prk->digest, osp_slice(prk->bytes, osp_digest_len(prk->digest)), osp_wr_slice(&w), out, n);
}

enum osp_err
osp_octx_new(const struct osp_octx_params *p, struct osp_octx **out)
{
    const struct osp_aead_info *a = osp_aead_info(p->aead);
    enum osp_err                e = check_params(p, a);
    size_t                      id_context = p->has_id_context ? p->id_context.n : 0;
    struct osp_slice            subject = osp_slice_head(p->subject, UINT8_MAX);
    struct osp_octx            *c;
    struct osp_wr               w;
    struct prk                  prk;

    if (e != OSP_OK)
        return e;
    c = calloc(1, sizeof(*c) + 2u * a->key_len + id_context + p->kid_context.n + subject.n);
    if (!c)
        return OSP_E_NOMEM;
    atomic_init(&c->refs, 1);
    c->label = p->label;
    c->aead = (uint8_t)p->aead;
    c->key_len = a->key_len;
    c->nonce_len = a->nonce_len;
    c->tag_len = a->tag_len;
    c->has_id_context = p->has_id_context;
    c->id_context_len = (uint8_t)id_context;
    c->kid_context_len = (uint8_t)p->kid_context.n;
    c->subject_len = (uint8_t)subject.n;
    c->names_responses = p->names_responses;
    c->sender_id_len = (uint8_t)p->sender_id.n;
    c->recipient_id_len = (uint8_t)p->recipient_id.n;
    (void)osp_slice_copy(p->sender_id, c->sender_id, sizeof(c->sender_id));
    (void)osp_slice_copy(p->recipient_id, c->recipient_id, sizeof(c->recipient_id));
    w = osp_wr_to(c->bytes, 2u * a->key_len + id_context + p->kid_context.n + subject.n);
    e = extract(p, &prk);
    if (e == OSP_OK)
        e = derive(p, &prk, p->sender_id, "Key", osp_wr_reserve(&w, a->key_len), a->key_len);
    if (e == OSP_OK)
        e = derive(p, &prk, p->recipient_id, "Key", osp_wr_reserve(&w, a->key_len), a->key_len);
    if (e == OSP_OK)
        e = derive(p, &prk, OSP_EMPTY, "IV", c->common_iv, a->nonce_len);
    osp_wipe(&prk, sizeof(prk));
    if (e != OSP_OK) {
        osp_octx_unref(c);
        return e;
    }
    if (p->has_id_context)
        osp_wr_put(&w, p->id_context);
    osp_wr_put(&w, p->kid_context);
    for (size_t i = 0; i < subject.n; i++)
        osp_wr_u8(&w, (uint8_t)(subject.p[i] >= 'A' && subject.p[i] <= 'Z' ? subject.p[i] + ('a' - 'A') : subject.p[i]));
    *out = c;
    return OSP_OK;
}

void
osp_octx_ref(struct osp_octx *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void
osp_octx_unref(struct osp_octx *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    octx_b2_free(c->b2);
    free(c->challenges);
    osp_wipe(c->bytes, 2u * c->key_len);
    osp_wipe(c->common_iv, sizeof(c->common_iv));
    free(c);
}

struct osp_slice
osp_octx_sender_id(const struct osp_octx *c)
{
    return osp_slice(c->sender_id, c->sender_id_len);
}

struct osp_slice
osp_octx_recipient_id(const struct osp_octx *c)
{
    return osp_slice(c->recipient_id, c->recipient_id_len);
}

bool
osp_octx_id_context(const struct osp_octx *c, struct osp_slice *out)
{
    if (c->has_id_context)
        *out = osp_slice(c->bytes + 2u * c->key_len, c->id_context_len);
    return c->has_id_context;
}

static struct osp_slice
kid_context(const struct osp_octx *c)
{
    return osp_slice(c->bytes + 2u * c->key_len + c->id_context_len, c->kid_context_len);
}

struct osp_slice
osp_octx_subject(const struct osp_octx *c)
{
    return osp_slice(c->bytes + 2u * c->key_len + c->id_context_len + c->kid_context_len, c->subject_len);
}

bool
osp_octx_kid_context(const struct osp_octx *c, struct osp_slice *out)
{
    if (c->kid_context_len == 0 || c->names_responses)
        return osp_octx_id_context(c, out);
    *out = kid_context(c);
    return true;
}

bool
octx_response_kid_context(const struct osp_octx *c, struct osp_slice *out)
{
    if (c->names_responses)
        *out = kid_context(c);
    return c->names_responses;
}

int
osp_octx_aead(const struct osp_octx *c)
{
    return c->aead;
}

uint32_t
osp_octx_label(const struct osp_octx *c)
{
    return c->label;
}

bool
osp_octx_is_out_of_use(const struct osp_octx *c)
{
    return atomic_load_explicit(&c->out_of_use, memory_order_relaxed);
}

void
osp_octx_put_out_of_use(struct osp_octx *c)
{
    struct osp_octx *now = osp_b2_is_base(c) ? osp_b2_current(c) : NULL;

    atomic_store_explicit(&c->out_of_use, true, memory_order_relaxed);
    if (now)
        atomic_store_explicit(&now->out_of_use, true, memory_order_relaxed);
    osp_octx_unref(now);
}

void
osp_octx_set_label(struct osp_octx *c, uint32_t label)
{
    c->label = label;
}

struct osp_octx_keys
osp_octx_keys(const struct osp_octx *c)
{
    struct osp_octx_keys k = { osp_slice(octx_sender_key(c), c->key_len), osp_slice(octx_recipient_key(c), c->key_len),
                               osp_slice(c->common_iv, c->nonce_len) };
    return k;
}

/* HMAC pads a key with zeroes, so salts that differ only in trailing zeroes give equal keys, and have to give one fingerprint. */
static struct osp_slice
salt_that_counts(struct osp_slice salt)
{
    while (salt.n > 0 && salt.n <= SALT_PADDED && salt.p[salt.n - 1] == 0)
        salt.n--;
    return salt;
}

enum osp_err
osp_octx_fingerprint(const struct osp_octx_params *p, uint8_t out[32])
{
    const struct osp_slice in[] = { p->master_secret, salt_that_counts(p->master_salt), p->sender_id, p->recipient_id,
                                    p->has_id_context ? p->id_context : OSP_EMPTY };
    uint8_t                head[64];
    struct osp_wr          w = osp_wr_to(head, sizeof(head));
    struct osp_slice       parts[6];

    /* the lengths stand first, so that different parameters never hash equal bytes */
    osp_wr_put(&w, osp_slice_str("osprey oscore context 1"));
    osp_wr_uint(&w, (uint64_t)(int64_t)p->aead, 4);
    osp_wr_uint(&w, (uint64_t)(int64_t)p->hkdf, 4);
    osp_wr_u8(&w, p->has_id_context);
    for (size_t i = 0; i < 5; i++) {
        osp_wr_u32(&w, (uint32_t)in[i].n);
        parts[i + 1] = in[i];
    }
    parts[0] = osp_wr_slice(&w);
    return osp_digest(OSP_SHA256, parts, 6, out);
}

/* ---- names of keys ---- */

enum osp_err
osp_key_name(struct osp_slice key, uint8_t out[OSP_KEY_NAME_LEN])
{
    const struct osp_slice parts[] = { osp_slice_str("osprey key 1"), key };

    return osp_digest(OSP_SHA256, parts, 2, out);
}

enum osp_err
osp_octx_key_names(const struct osp_octx *c, struct osp_key_names *out)
{
    struct osp_octx_keys keys = osp_octx_keys(c);
    enum osp_err         e = osp_key_name(keys.sender_key, out->sender);

    return e == OSP_OK ? osp_key_name(keys.recipient_key, out->recipient) : e;
}

/* ---- sender sequence numbers ---- */

void
osp_octx_grant(struct osp_octx *c, uint64_t at_least, uint64_t limit)
{
    if (limit > OSP_PIV_MAX + 1)
        limit = OSP_PIV_MAX + 1;
    osp_lock_take(&c->lock);
    if (c->ssn_next < at_least)
        c->ssn_next = at_least;
    if (c->ssn_limit < limit)
        c->ssn_limit = limit;
    c->lease_asked = c->record_asked = false;
    osp_lock_release(&c->lock);
}

void
osp_octx_lend(struct osp_octx *c, uint64_t count)
{
    osp_lock_take(&c->lock);
    c->ssn_limit = count;
    c->lease_asked = true;      /* nobody could grant a lease */
    osp_lock_release(&c->lock);
}

struct osp_ssn
osp_octx_ssn(struct osp_octx *c)
{
    struct osp_ssn s;

    osp_lock_take(&c->lock);
    s.next = c->ssn_next;
    s.limit = c->ssn_limit;
    osp_lock_release(&c->lock);
    return s;
}

/* [rfc8613#7.2.1] [rfc8613#B.1.1] */
enum osp_err
octx_next_ssn(struct osp_octx *c, uint64_t *ssn)
{
    if (c->ssn_next > OSP_PIV_MAX)
        return OSP_E_SSN_EXHAUSTED;
    if (!octx_may_seal(c))
        return OSP_E_KEY_LIMIT;
    if (c->ssn_next >= c->ssn_limit)
        return OSP_E_NO_LEASE;
    *ssn = c->ssn_next++;
    octx_count_seal(c);
    return OSP_OK;
}

enum osp_err
osp_octx_take_ssn(struct osp_octx *c, uint64_t *ssn)
{
    enum osp_err e;

    osp_lock_take(&c->lock);
    e = octx_next_ssn(c, ssn);
    osp_lock_release(&c->lock);
    return e;
}

/* True if at most `low` numbers are left; the caller holds the lock. */
static bool
is_low(const struct osp_octx *c, uint64_t low)
{
    return c->ssn_limit <= OSP_PIV_MAX && c->ssn_next + low >= c->ssn_limit;
}

bool
osp_octx_needs_numbers(struct osp_octx *c, uint64_t low)
{
    bool needs;

    osp_lock_take(&c->lock);
    needs = !c->record_asked || is_low(c, low);
    osp_lock_release(&c->lock);
    return needs;
}

bool
osp_octx_wants_lease(struct osp_octx *c, uint64_t low)
{
    bool wants, is_short;

    osp_lock_take(&c->lock);
    is_short = is_low(c, low);
    wants = !c->lease_asked && (is_short || octx_usage_is_ahead(c));
    if (wants) {
        c->lease_asked = true;
        c->record_asked = !is_short;
    }
    osp_lock_release(&c->lock);
    return wants;
}

void
osp_octx_lease_failed(struct osp_octx *c)
{
    osp_lock_take(&c->lock);
    c->lease_asked = c->record_asked = false;
    osp_lock_release(&c->lock);
}

/* ---- replay window and freshness ---- */

/* Forgets all challenges; the caller holds the lock, and frees the result after releasing it. */
static struct octx_challenges *
end_challenges(struct osp_octx *c)
{
    struct octx_challenges *old = c->challenges;

    c->challenges = NULL;
    c->echo_set = false;
    osp_wipe(c->echo, sizeof(c->echo));
    return old;
}

void
osp_octx_set_window(struct osp_octx *c, const struct osp_replay *w)
{
    struct octx_challenges *old;

    osp_lock_take(&c->lock);
    c->window = *w;
    c->window_known = true;
    old = end_challenges(c);
    osp_lock_release(&c->lock);
    free(old);
}

void
octx_forget_window(struct osp_octx *c)
{
    struct octx_challenges *old;

    osp_lock_take(&c->lock);
    c->window = (struct osp_replay){ 0 };
    c->window_known = false;
    old = end_challenges(c);
    osp_lock_release(&c->lock);
    free(old);
}

enum osp_window_state
osp_octx_get_window(struct osp_octx *c, struct osp_replay *out)
{
    bool known;

    osp_lock_take(&c->lock);
    *out = c->window;
    known = c->window_known;
    osp_lock_release(&c->lock);
    return known ? OSP_WINDOW_KNOWN : OSP_WINDOW_UNKNOWN;
}

/* A replay is not decrypted, so it does not count against the key [key-limits#2.3.2] */
enum osp_err
octx_may_open(struct osp_octx *c, uint64_t piv)
{
    enum osp_err e = OSP_OK;

    osp_lock_take(&c->lock);
    if (c->window_known && !osp_replay_is_fresh(&c->window, piv))
        e = OSP_E_REPLAY;
    else if (octx_is_spent(c))
        e = OSP_E_KEY_SPENT;
    osp_lock_release(&c->lock);
    return e;
}

enum osp_err
octx_may_open_response(struct osp_octx *c)
{
    bool may;

    osp_lock_take(&c->lock);
    may = octx_may_decrypt(c);
    osp_lock_release(&c->lock);
    return may ? OSP_OK : OSP_E_KEY_SPENT;
}

/* True if `request` carries the Echo value that this context gave out [rfc8613#B.1.2]. */
static bool
proves_echo(const struct osp_octx *c, const struct osp_msg *request)
{
    const struct osp_opt *o = osp_msg_get(request, OSP_OPT_ECHO);

    return o && c->echo_set && osp_equal_ct(o->val, osp_slice(c->echo, OSP_ECHO_LEN));
}

enum osp_err
octx_window_commit(struct osp_octx *c, uint64_t piv, struct osp_msg *request)
{
    struct octx_challenges *old = NULL;
    enum osp_err            e = OSP_OK;
    bool                    proved = false;

    osp_lock_take(&c->lock);
    if (c->window_known) {
        e = osp_replay_commit(&c->window, piv);
    } else if (proves_echo(c, request)) {
        osp_replay_start_at(&c->window, piv);
        c->window_known = true;
        old = end_challenges(c);
        proved = true;
    } else {
        e = OSP_E_NOT_FRESH;
    }
    osp_lock_release(&c->lock);
    free(old);
    if (proved)     /* the Echo value was ours, so the proxy does not pass it on [rfc9175#2.3] */
        osp_msg_remove(request, OSP_OPT_ECHO);
    return e;
}

void
osp_oscore_challenge(struct osp_octx *c, struct osp_randbuf *rand, uint8_t echo[OSP_ECHO_LEN], struct osp_msg *out)
{
    uint8_t drawn[OSP_ECHO_LEN];

    osp_randbuf_take(rand, drawn, sizeof(drawn));
    osp_lock_take(&c->lock);
    if (!c->echo_set) {
        memcpy(c->echo, drawn, sizeof(drawn));
        c->echo_set = true;
    }
    memcpy(echo, c->echo, sizeof(c->echo));
    osp_lock_release(&c->lock);
    osp_msg_init(out, OSP_CODE(4, 1));
    if (osp_msg_add(out, OSP_OPT_ECHO, osp_slice(echo, OSP_ECHO_LEN)) != OSP_OK)
        out->opt_count = 0;             /* never happens, since one option always fits */
}
