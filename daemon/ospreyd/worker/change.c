/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/worker/change.h"

#include <stdlib.h>

struct osp_change *
osp_change_new(size_t slot_count)
{
    struct osp_change *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->slots = calloc(slot_count ? slot_count : 1, sizeof(*c->slots));
    if (!c->slots) {
        free(c);
        return NULL;
    }
    for (size_t i = 0; i < slot_count; i++)
        c->slots[i].sock.fd = -1;
    return c;
}

void
osp_change_free(struct osp_change *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->slot_count; i++)
        osp_udp_close(&c->slots[i].sock);
    osp_policy_unref(c->policy);
    free(c->slots);
    free(c);
}
