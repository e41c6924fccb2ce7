/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/own.h"

#include <ctype.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <unistd.h>

#include "daemon/common_sockaddr.h"

struct out {
    struct osp_target *own;     /* NULL: only count */
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
put_net(struct out *o, const struct cfg_listen *l, const struct osp_ip *ip, unsigned bits)
{
    struct osp_target t = { .kind = OSP_TARGET_NET, .scheme = l->scheme, .net = *ip, .bits = bits, .port = l->port };

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

static void
put_interfaces(struct out *o, const struct cfg_listen *l, const struct ifaddrs *all)
{
    static const struct osp_ip any; /* "::" takes IPv4 too, "0.0.0.0" nothing else */
    bool                       six = osp_ip_eq(&l->ip, &any);
    struct osp_ip              loopback = osp_ip_v4(127, 0, 0, 0);

    put_net(o, l, &l->ip, 128);
    put_net(o, l, &loopback, 96 + 8); /* every address of it is here, though no interface lists them */
    for (; all; all = all->ifa_next) {
        struct sockaddr_storage sa = { 0 };
        struct osp_addr         a;

        if (!all->ifa_addr)
            continue;
        if (all->ifa_addr->sa_family == AF_INET)
            memcpy(&sa, all->ifa_addr, sizeof(struct sockaddr_in));
        else if (all->ifa_addr->sa_family == AF_INET6)
            memcpy(&sa, all->ifa_addr, sizeof(struct sockaddr_in6));
        if (osp_addr_from_sockaddr(&sa, &a) && (six || osp_ip_is_v4(&a.ip)))
            put_net(o, l, &a.ip, 128);
    }
}

bool
osp_own_targets(const struct osp_cfg *cfg, struct osp_target *own, size_t *count)
{
    struct out      o = { .own = own, .room = *count };
    struct ifaddrs *all = NULL;
    char            host[256] = "";

    if (getifaddrs(&all) != 0)
        return false;
    if (!cfg->node_name && gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    for (size_t i = 0; i < cfg->listen_count; i++) {
        const struct cfg_listen *l = &cfg->listen[i];

        if (osp_ip_is_any(&l->ip))
            put_interfaces(&o, l, all);
        else
            put_net(&o, l, &l->ip, 128);
        for (size_t n = 0; n < cfg->name_count; n++)
            put_name(&o, l, cfg->names[n]);
        if (*host)
            put_name(&o, l, host);
    }
    freeifaddrs(all);
    *count = o.own && o.count > o.room ? o.room : o.count;
    return true;
}
