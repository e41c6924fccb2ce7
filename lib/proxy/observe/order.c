/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of two notifications is the newer one [rfc7641#3.4]. */
#include "proxy/observe/observe.h"

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

    if (!opt || !osp_opt_uint(opt->val, &v) || (o->any && !osp_observe_is_newer(o->last, v & 0xffffff, now.us - o->last_us)))
        return false;
    *o = (struct px_order){ .last_us = now.us, .last = v & 0xffffff, .any = true };
    return true;
}
