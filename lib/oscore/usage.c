/* SPDX-License-Identifier: BSD-2-Clause */
/* How much the keys of a context were used, and how much they may be used [key-limits#2]. */
#include "oscore/impl.h"

#define WORN_PART 10            /* keys are worn when less than a tenth of a limit is left */
#define Q_STEPS 256             /* usage is written ahead in steps of limit/256, which is what a crash may cost */
#define V_STEPS 64
#define Q_STEP_NO_LIMIT 65536u
#define V_STEP_NO_LIMIT 1024u

/* Bytes in one block of the cipher: 16 for AES, 64 for ChaCha20 [key-limits#2.1.1] */
static uint32_t
block_of(int aead)
{
    return aead == OSP_CHACHA20_POLY1305 ? 64 : 16;
}

/* How many bytes `blocks` of the cipher are; 0: no limit. */
static uint32_t
bytes_of(int aead, uint32_t blocks)
{
    uint64_t n = (uint64_t)blocks * block_of(aead);

    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

struct osp_key_limits
osp_key_limits_default(int aead)
{
    const struct osp_aead_info *a = osp_aead_info(aead);
    bool                        short_tag = a && a->tag_len <= 8;

    return (struct osp_key_limits){ .q = 1u << 20, .v = short_tag ? 1u << 14 : 1u << 20, .l = short_tag ? 1u << 8 : 1u << 10 };
}

void
osp_octx_set_limits(struct osp_octx *c, const struct osp_key_limits *limits)
{
    osp_lock_take(&c->lock);
    if (c->limits.q != limits->q || c->limits.v != limits->v || c->limits.stop != limits->stop)
        c->told = OSP_KEY_FINE; /* the states are judged anew under the new limits */
    c->limits = *limits;
    atomic_store_explicit(&c->longest, bytes_of(c->aead, limits->l), memory_order_relaxed);
    osp_lock_release(&c->lock);
}

uint32_t
octx_longest(const struct osp_octx *c)
{
    uint32_t n = atomic_load_explicit(&c->longest, memory_order_relaxed);

    return n ? n : UINT32_MAX;
}

/* ---- states; the lock is held ---- */

static enum osp_key_state
state_of(uint32_t used, uint32_t limit)
{
    if (limit == 0)
        return OSP_KEY_FINE;
    if (used >= limit)
        return OSP_KEY_OVER;
    return used >= limit - limit / WORN_PART ? OSP_KEY_WORN : OSP_KEY_FINE;
}

static enum osp_key_state
key_state(const struct osp_octx *c)
{
    enum osp_key_state q = state_of(c->used_q, c->limits.q), v = state_of(c->used_v, c->limits.v);

    return q > v ? q : v;
}

bool
octx_is_spent(const struct osp_octx *c)
{
    return c->limits.stop && key_state(c) == OSP_KEY_OVER;
}

bool
octx_may_seal(const struct osp_octx *c)
{
    return !c->limits.stop || state_of(c->used_q, c->limits.q) != OSP_KEY_OVER;
}

bool
octx_may_decrypt(const struct osp_octx *c)
{
    return !c->limits.stop || state_of(c->used_v, c->limits.v) != OSP_KEY_OVER;
}

static uint32_t
step_of(uint32_t limit, uint32_t steps, uint32_t no_limit)
{
    if (limit == 0)
        return no_limit;
    return limit > steps ? limit / steps : 1;
}

static uint32_t
q_step(const struct osp_octx *c)
{
    return step_of(c->limits.q, Q_STEPS, Q_STEP_NO_LIMIT);
}

static uint32_t
v_step(const struct osp_octx *c)
{
    return step_of(c->limits.v, V_STEPS, V_STEP_NO_LIMIT);
}

static uint32_t
plus(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static bool
is_ahead_q(const struct osp_octx *c)
{
    return c->used_q > 0 && plus(c->used_q, q_step(c) / 2) > c->kept_q;
}

bool
octx_usage_is_ahead(const struct osp_octx *c)
{
    return c->usage_kept && (is_ahead_q(c) || c->used_v > c->kept_v);
}

bool
osp_octx_wants_record(struct osp_octx *c)
{
    bool wants;

    osp_lock_take(&c->lock);
    wants = !c->lease_asked && octx_usage_is_ahead(c);
    if (wants)
        c->lease_asked = c->record_asked = true;
    osp_lock_release(&c->lock);
    return wants;
}

void
octx_count_seal(struct osp_octx *c)
{
    c->used_q = plus(c->used_q, 1);
}

/* ---- counting ---- */

/* [key-limits#2.3.1] */
enum osp_err
octx_admit_seal(struct osp_octx *c)
{
    enum osp_err e = OSP_OK;

    osp_lock_take(&c->lock);
    if (!octx_may_seal(c))
        e = OSP_E_KEY_LIMIT;
    else
        octx_count_seal(c);
    osp_lock_release(&c->lock);
    return e;
}

/* [key-limits#2.3.2] */
void
octx_count_failure(struct osp_octx *c)
{
    osp_lock_take(&c->lock);
    c->used_v = plus(c->used_v, 1);
    osp_lock_release(&c->lock);
}

struct osp_key_usage
osp_octx_usage(struct osp_octx *c)
{
    struct osp_key_usage u;

    osp_lock_take(&c->lock);
    u.q = c->used_q;
    u.v = c->used_v;
    u.limits = c->limits;
    u.state = key_state(c);
    osp_lock_release(&c->lock);
    return u;
}

bool
osp_octx_is_worn(struct osp_octx *c)
{
    return osp_octx_usage(c).state != OSP_KEY_FINE;
}

enum osp_key_state
osp_octx_notice(struct osp_octx *c)
{
    enum osp_key_state s;

    osp_lock_take(&c->lock);
    s = key_state(c);
    if (s <= c->told)
        s = OSP_KEY_FINE;
    else
        c->told = (uint8_t)s;
    osp_lock_release(&c->lock);
    return s;
}

/* ---- usage that outlives the process ---- */

void
osp_octx_usage_restore(struct osp_octx *c, uint32_t q, uint32_t v)
{
    osp_lock_take(&c->lock);
    c->usage_kept = true;
    c->used_q = c->kept_q = q;
    c->used_v = c->kept_v = v;
    osp_lock_release(&c->lock);
}

void
osp_octx_usage_abandon(struct osp_octx *c)
{
    osp_lock_take(&c->lock);
    c->usage_kept = false;
    osp_lock_release(&c->lock);
}

void
osp_octx_usage_ahead(struct osp_octx *c, uint32_t *q, uint32_t *v)
{
    osp_lock_take(&c->lock);
    *q = is_ahead_q(c) ? plus(c->used_q, q_step(c)) : c->kept_q;
    *v = c->used_v > c->kept_v ? plus(c->used_v, v_step(c)) : c->kept_v;
    osp_lock_release(&c->lock);
}

void
osp_octx_usage_kept(struct osp_octx *c, uint32_t q, uint32_t v)
{
    osp_lock_take(&c->lock);
    if (c->kept_q < q)
        c->kept_q = q;
    if (c->kept_v < v)
        c->kept_v = v;
    osp_lock_release(&c->lock);
}
