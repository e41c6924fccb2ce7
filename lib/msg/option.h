/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of each CoAP option: one table for the whole project.
 *
 * Critical, unsafe and NoCacheKey follow from the number [rfc7252#5.4.6]; the rest is the
 * table in option.c, one row per option this proxy understands.  An option without a row is
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

struct osp_opt_def {
    uint16_t            number;
    const char         *name;           /* as its RFC spells it */
    enum osp_opt_format format;
    uint16_t            min_len, max_len;
    bool                repeatable;
    enum osp_opt_class  oscore;
};

/* The row of option `number`; NULL when unknown. Static. */
const struct osp_opt_def *osp_opt_def(uint16_t number);

/* The row with this name, any case; NULL when there is none. */
const struct osp_opt_def *osp_opt_by_name(struct osp_slice name);

static inline bool osp_opt_is_critical(uint16_t n) { return n & 1; }
static inline bool osp_opt_is_unsafe(uint16_t n) { return n & 2; }
static inline bool osp_opt_is_no_cache_key(uint16_t n) { return (n & 0x1e) == 0x1c; }

#endif
