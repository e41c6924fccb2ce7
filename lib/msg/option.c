/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option table, uint values, and the two rules that make a known option unknown.
 *
 * No row, on purpose, for what this proxy does not take part in: Q-Block1/2 (unsafe, so 4.02)
 * and the options of group communication.
 */
#include "msg/option.h"

#include "msg/msg.h"

#define ANY UINT16_MAX

/*
 *  number              name                  format   least most  repeatable  OSCORE class
 *
 * Two rows are wider than their RFC's table of options, because the RFC has a rule of its own for
 * a value out of that range, and 5.4.3 would come first:
 *   Hop-Limit      any other value is 4.00, not ignored [rfc8768#3]
 *   EDHOC          a value is ignored, not the option [rfc9668#3.1]
 * Hop-Limit is Class U since the draft of 2026 (E by default before) [ocp#3].
 * Request-Hash is Class U in requests and I in responses; either way it is an outer option.
 */
#define OPTIONS(X)                                                                     \
    X(IF_MATCH,            "If-Match",            OPAQUE, 0, 8,    true,  E)           \
    X(URI_HOST,            "Uri-Host",            STRING, 1, 255,  false, U)           \
    X(ETAG,                "ETag",                OPAQUE, 1, 8,    true,  E)           \
    X(IF_NONE_MATCH,       "If-None-Match",       EMPTY,  0, 0,    false, E)           \
    X(OBSERVE,             "Observe",             UINT,   0, 3,    false, E_AND_U)     \
    X(URI_PORT,            "Uri-Port",            UINT,   0, 2,    false, U)           \
    X(LOCATION_PATH,       "Location-Path",       STRING, 0, 255,  true,  E)           \
    X(OSCORE,              "OSCORE",              OPAQUE, 0, 255,  false, U)           \
    X(URI_PATH,            "Uri-Path",            STRING, 0, 255,  true,  E)           \
    X(CONTENT_FORMAT,      "Content-Format",      UINT,   0, 2,    false, E)           \
    X(URI_PATH_ABBREV,     "Uri-Path-Abbrev",     UINT,   0, 4,    false, E)           \
    X(MAX_AGE,             "Max-Age",             UINT,   0, 4,    false, E_AND_U)     \
    X(URI_QUERY,           "Uri-Query",           STRING, 0, 255,  true,  E)           \
    X(HOP_LIMIT,           "Hop-Limit",           UINT,   0, ANY,  false, U)           \
    X(ACCEPT,              "Accept",              UINT,   0, 2,    false, E)           \
    X(LOCATION_QUERY,      "Location-Query",      STRING, 0, 255,  true,  E)           \
    X(EDHOC,               "EDHOC",               EMPTY,  0, ANY,  false, U)           \
    X(BLOCK2,              "Block2",              UINT,   0, 3,    false, E_AND_U)     \
    X(BLOCK1,              "Block1",              UINT,   0, 3,    false, E_AND_U)     \
    X(SIZE2,               "Size2",               UINT,   0, 4,    false, E_AND_U)     \
    X(PROXY_URI,           "Proxy-Uri",           STRING, 1, 1034, false, U)           \
    X(PROXY_SCHEME,        "Proxy-Scheme",        STRING, 1, 255,  false, U)           \
    X(SIZE1,               "Size1",               UINT,   0, 4,    false, E_AND_U)     \
    X(PROXY_CRI,           "Proxy-Cri",           OPAQUE, 1, 1023, false, U)           \
    X(PROXY_SCHEME_NUMBER, "Proxy-Scheme-Number", UINT,   0, 3,    false, U)           \
    X(ECHO,                "Echo",                OPAQUE, 1, 40,   false, E_AND_U)     \
    X(NO_RESPONSE,         "No-Response",         UINT,   0, 1,    false, E_AND_U)     \
    X(REQUEST_TAG,         "Request-Tag",         OPAQUE, 0, 8,    true,  E_AND_U)     \
    X(REQUEST_HASH,        "Request-Hash",        OPAQUE, 0, ANY,  false, U)

#define NUMBER_MAX OSP_OPT_REQUEST_HASH

enum {
#define X(id, name, format, least, most, again, cls) ROW_##id,
    OPTIONS(X)
#undef X
    ROWS,
};

static const struct osp_opt_def rows[ROWS] = {
#define X(id, name, format, least, most, again, cls) \
    [ROW_##id] = { OSP_OPT_##id, name, OSP_FMT_##format, least, most, again, OSP_OPT_CLASS_##cls },
    OPTIONS(X)
#undef X
};

/* Row of a number plus one: the look-up is made for every option of every message. */
static const uint8_t row_of[NUMBER_MAX + 1] = {
#define X(id, name, format, least, most, again, cls) [OSP_OPT_##id] = ROW_##id + 1,
    OPTIONS(X)
#undef X
};

const struct osp_opt_def *
osp_opt_def(uint16_t number)
{
    if (number > NUMBER_MAX || row_of[number] == 0)
        return NULL;
    return &rows[row_of[number] - 1];
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

/* ---- known, but to be treated as unknown ---- */

/* True if option `i` is as its row wants it; `again`: its number came before. */
static bool
is_acceptable(const struct osp_opt *opt, bool again)
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
        bool ok = is_acceptable(&m->opts[i], i > 0 && m->opts[i].num == m->opts[i - 1].num);

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
        if (is_acceptable(&m->opts[i], again))
            m->opts[kept++] = m->opts[i];
    }
    m->opt_count = kept;
    return OSP_OK;
}
