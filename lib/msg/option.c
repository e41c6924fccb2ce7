/* SPDX-License-Identifier: BSD-2-Clause */
/* Look-ups in the table of options, uint values, and the two rules that make a known option unknown. */
#include "msg/option.h"

#include "base/time.h"
#include "msg/msg.h"

#define NEWER_AFTER_US OSP_SEC(128)
#define HALF_OF_24_BITS 0x800000u

enum {
#define X(id, ...) ROW_##id,
    OSP_OPTIONS(X)
#undef X
    ROWS,
};

/* The words of the table's yes-or-no columns. */
enum { ONCE = false, AGAIN = true };
enum { SAME = false, VARIES = true };
enum { SHARED = false, ALONE = true };

static const struct osp_opt_def rows[ROWS] = {
#define X(id, number, name, format, least, most, twice, class, purpose, cache, operation, observers)                   \
    [ROW_##id] = { number, name, OSP_FMT_##format, least, most, twice, OSP_OPT_CLASS_##class, OSP_OPT_FOR_##purpose,   \
                   OSP_OPT_CACHE_##cache, operation, observers },
    OSP_OPTIONS(X)
#undef X
};

/* Row of a number plus one: the look-up is made for every option of every message. */
static const uint8_t row_of[] = {
#define X(id, number, ...) [number] = ROW_##id + 1,
    OSP_OPTIONS(X)
#undef X
};

const struct osp_opt_def *
osp_opt_def(uint16_t number)
{
    if (number >= sizeof(row_of) || row_of[number] == 0)
        return NULL;
    return &rows[row_of[number] - 1];
}

enum osp_opt_purpose
osp_opt_purpose(uint16_t number)
{
    const struct osp_opt_def *def = osp_opt_def(number);

    return def ? def->purpose : OSP_OPT_FOR_ENDPOINTS;
}

/* [rfc7252#5.4.2] what is unknown is part of the key unless its number says otherwise */
enum osp_opt_cache
osp_opt_cache(uint16_t number)
{
    const struct osp_opt_def *def = osp_opt_def(number);

    if (def)
        return def->cache;
    return osp_opt_is_no_cache_key(number) ? OSP_OPT_CACHE_NO_KEY : OSP_OPT_CACHE_KEY;
}

bool
osp_opt_varies(uint16_t number)
{
    const struct osp_opt_def *def = osp_opt_def(number);

    return def ? def->varies : osp_opt_is_no_cache_key(number);
}

bool
osp_opt_is_alone(uint16_t number)
{
    const struct osp_opt_def *def = osp_opt_def(number);

    return def && def->alone;
}

static uint8_t
lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool
is_name(const char *name, struct osp_slice text)
{
    struct osp_slice n = osp_slice_str(name);

    if (n.n != text.n)
        return false;
    for (size_t i = 0; i < n.n; i++)
        if (lower(n.p[i]) != lower(text.p[i]))
            return false;
    return true;
}

const struct osp_opt_def *
osp_opt_by_name(struct osp_slice name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (is_name(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* ---- uint values ---- */

bool
osp_opt_uint(struct osp_slice val, uint32_t *out)
{
    struct osp_rd r = osp_rd_from(val);

    if (val.n > 4)
        return false;
    *out = (uint32_t)osp_rd_uint(&r, val.n);
    return true;
}

struct osp_slice
osp_opt_uint_make(uint32_t v, uint8_t buf[4])
{
    struct osp_wr w = osp_wr_to(buf, 4);
    size_t        n = 0;

    while (n < 4 && v >> 8 * n != 0)
        n++;
    osp_wr_uint(&w, v, n);
    return n ? osp_wr_slice(&w) : OSP_EMPTY;
}

bool
osp_observe_is_newer(uint32_t last, uint32_t v, uint64_t age_us)
{
    if (age_us > NEWER_AFTER_US)
        return true;
    return (last < v && v - last < HALF_OF_24_BITS) || (last > v && last - v > HALF_OF_24_BITS);
}

/* ---- known, but to be treated as unknown ---- */

bool
osp_opt_is_acceptable(const struct osp_opt *opt, bool again)
{
    const struct osp_opt_def *def = osp_opt_def(opt->num);

    if (!def)
        return true;                        /* not judged here */
    if (opt->val.n < def->min_len || opt->val.n > def->max_len)
        return false;                       /* [rfc7252#5.4.3] */
    return !again || def->repeatable;       /* [rfc7252#5.4.5] */
}

/*
 * Two passes, so that a refused message is left as it was.  An occurrence counts for the next
 * one even when it is refused itself: which of two is meant must not depend on their values.
 */
enum osp_err
osp_msg_sanitize(struct osp_msg *m, uint16_t *which)
{
    uint16_t kept = 0;
    uint16_t last = 0;
    size_t   bad = 0;

    for (size_t i = 0; i < m->opt_count; i++) {
        bool ok = osp_opt_is_acceptable(&m->opts[i], i > 0 && m->opts[i].num == m->opts[i - 1].num);

        if (!ok && osp_opt_is_critical(m->opts[i].num)) {
            *which = m->opts[i].num;
            return OSP_E_UNKNOWN_OPTION;
        }
        bad += !ok;
    }
    if (bad == 0)
        return OSP_OK;
    for (size_t i = 0; i < m->opt_count; i++) {
        bool again = i > 0 && m->opts[i].num == last;

        last = m->opts[i].num;
        if (osp_opt_is_acceptable(&m->opts[i], again))
            m->opts[kept++] = m->opts[i];
    }
    m->opt_count = kept;
    return OSP_OK;
}
