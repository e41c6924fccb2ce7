/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of two notifications is the newer one [rfc7641#3.4]. */
#include "proxy/observe/observe.h"

#define NEWER_AFTER_US OSP_SEC(128)
#define HALF_OF_24_BITS 0x800000u

static bool
is_newer(const struct px_order *o, uint32_t v, struct osp_time now)
{
    if (!o->any || now.us > o->last_us + NEWER_AFTER_US)
        return true;
    return (o->last < v && v - o->last < HALF_OF_24_BITS) || (o->last > v && o->last - v > HALF_OF_24_BITS);
}

bool
px_is_in_order(const struct osp_proxy *px, const struct px_exchange *up)
{
    return up->has_added || osp_exchange_can(&px->transports, &up->to)->reliable;
}

bool
px_order_take(struct px_order *o, const struct osp_msg *resp, struct osp_time now)
{
    const struct osp_opt *opt = osp_msg_get(resp, OSP_OPT_OBSERVE);
    uint32_t              v;

    if (!opt || !osp_opt_uint(opt->val, &v) || !is_newer(o, v & 0xffffff, now))
        return false;
    *o = (struct px_order){ .last_us = now.us, .last = v & 0xffffff, .any = true };
    return true;
}
