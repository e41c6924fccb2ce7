/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The facts about each CoAP option, in one table for the whole project.
 *
 * Critical, unsafe and NoCacheKey follow from the number [rfc7252#5.4.6]; the rest is the
 * table in option_table.h, one row per option this proxy understands.  An option without a row is
 * unknown: forwarded when safe, refused when unsafe [rfc7252#5.7.1], and refused by an
 * endpoint that has to protect the message [ocp#2.2].
 */
#ifndef OSP_MSG_OPTION_H
#define OSP_MSG_OPTION_H

#include "base/bytes.h"

enum osp_opt_format { OSP_FMT_EMPTY, OSP_FMT_UINT, OSP_FMT_STRING, OSP_FMT_OPAQUE };

/* OSCORE class of an option [rfc8613#4.1, figure 5], as its own document gives it. */
enum osp_opt_class {
    OSP_OPT_CLASS_E,            /* encrypted and integrity protected */
    OSP_OPT_CLASS_U,            /* unprotected, outer */
    OSP_OPT_CLASS_I,            /* integrity protected only */
    OSP_OPT_CLASS_E_AND_U,      /* may be both inner and outer, with rules of its own */
};

/* Who reads an option: what a proxy consumes, and what OSCORE has to leave outside, follow from it [ocp#2.2]. */
enum osp_opt_purpose {
    OSP_OPT_FOR_ENDPOINTS,      /* the two endpoints: representation, condition, transfer; also every unknown option */
    OSP_OPT_FOR_SERVER,         /* names the server: whoever ends the request or forwards it */
    OSP_OPT_FOR_RESOURCE,       /* names the resource at that server */
    OSP_OPT_FOR_PROXY,          /* Proxy-*: a forward-proxy, which consumes it [rfc7252#5.10.2] */
    OSP_OPT_FOR_HOPS,           /* every proxy on the way */
    OSP_OPT_FOR_OPENING,          /* needed before the layer of its own reader is removed */
    OSP_OPT_FOR_LAYER,          /* a layer of OSCORE */
};

/* What an option of a request means to a cache [rfc7252#5.6]. */
enum osp_opt_cache {
    OSP_OPT_CACHE_URI,          /* part of the cache key, and of the URI by which entries are invalidated */
    OSP_OPT_CACHE_KEY,          /* part of the cache key */
    OSP_OPT_CACHE_RULES,        /* not part of the cache key: the cache has rules for it */
    OSP_OPT_CACHE_NO_KEY,       /* not part of the cache key: NoCacheKey by its number */
};

struct osp_opt_def {
    uint16_t             number;
    const char          *name;          /* as its RFC spells it */
    enum osp_opt_format  format;
    uint16_t             min_len, max_len;
    bool                 repeatable;
    enum osp_opt_class   oscore;
    enum osp_opt_purpose purpose;
    enum osp_opt_cache   cache;
    bool                 varies;        /* may differ between the requests of one block-wise operation */
    bool                 alone;         /* a registration with it shares no observation */
};

/* The row of option `number`, static; NULL: the option is unknown. */
const struct osp_opt_def *osp_opt_def(uint16_t number);

/* The row of the option with this name, in any case; NULL: no option has it. */
const struct osp_opt_def *osp_opt_by_name(struct osp_slice name);

/* The columns of the table; an option without a row has what its number says, and is nobody's but the endpoints'. */
enum osp_opt_purpose osp_opt_purpose(uint16_t number);
enum osp_opt_cache osp_opt_cache(uint16_t number);
bool osp_opt_varies(uint16_t number);
bool osp_opt_is_alone(uint16_t number);

/* True if an option of this class stays outside the ciphertext, and is never inside. */
static inline bool
osp_opt_is_outer(enum osp_opt_class c)
{
    return c == OSP_OPT_CLASS_U || c == OSP_OPT_CLASS_I;
}

/*
 * Whether the notification with Observe value `v` is newer than the one with value `last`, which came `age_us` microseconds
 * before it; both are below 2^24. [rfc7641#3.4]
 */
bool osp_observe_is_newer(uint32_t last, uint32_t v, uint64_t age_us);

static inline bool osp_opt_is_critical(uint16_t n) { return n & 1; }
static inline bool osp_opt_is_unsafe(uint16_t n) { return n & 2; }
static inline bool osp_opt_is_no_cache_key(uint16_t n) { return (n & 0x1e) == 0x1c; }

#endif
