/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/setup/own.h"

#include <ctype.h>
#include <unistd.h>

struct out {
    struct osp_target *own;     /* NULL: targets are only counted */
    size_t             room, count;
};

static void
put(struct out *o, const struct osp_target *t)
{
    if (o->own && o->count < o->room)
        o->own[o->count] = *t;
    o->count++;
}

static void
put_ip(struct out *o, const struct cfg_listen *l)
{
    struct osp_target t = { .kind = OSP_TARGET_NET, .scheme = l->scheme, .net = l->ip, .bits = 128, .port = l->port };

    put(o, &t);
}

static void
put_name(struct out *o, const struct cfg_listen *l, const char *name)
{
    struct osp_target t = { .kind = OSP_TARGET_NAME, .scheme = l->scheme, .port = l->port };

    for (size_t i = 0; name[i] && i < sizeof(t.name) - 1; i++)
        t.name[i] = (char)tolower((unsigned char)name[i]);
    put(o, &t);
}

void
osp_setup_own_targets(const struct osp_cfg *cfg, struct osp_target *own, size_t *count)
{
    struct out o = { .own = own, .room = *count };
    char       host[256] = "";

    if (!cfg->node_name && gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    for (size_t i = 0; i < cfg->listen_count; i++) {
        const struct cfg_listen *l = &cfg->listen[i];

        if (!osp_ip_is_any(&l->ip))
            put_ip(&o, l);
        for (size_t n = 0; n < cfg->name_count; n++)
            put_name(&o, l, cfg->names[n]);
        if (*host)
            put_name(&o, l, host);
    }
    *count = o.own && o.count > o.room ? o.room : o.count;
}

size_t
osp_setup_own_ports(const struct osp_cfg *cfg, struct osp_own_port *ports)
{
    size_t n = 0;

    for (size_t i = 0; i < cfg->listen_count; i++) {
        const struct cfg_listen *l = &cfg->listen[i];

        if (osp_ip_is_any(&l->ip))      /* a socket at "::" takes IPv4 as well, one at "0.0.0.0" IPv4 only */
            ports[n++] = (struct osp_own_port){ l->scheme, l->port, osp_ip_is_v4(&l->ip) };
    }
    return n;
}
