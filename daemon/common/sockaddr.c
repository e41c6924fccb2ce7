/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/common/sockaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define V4_OFFSET 12 /* where the four bytes of IPv4 stand in the mapped form */

int
osp_addr_family(const struct osp_addr *a)
{
    return osp_ip_is_v4(&a->ip) ? AF_INET : AF_INET6;
}

socklen_t
osp_addr_to_sockaddr(const struct osp_addr *a, int family, struct sockaddr_storage *out)
{
    struct sockaddr_in  in4 = { 0 };
    struct sockaddr_in6 in6 = { 0 };

    if (family == AF_INET) {
        if (!osp_ip_is_v4(&a->ip) && !osp_ip_is_any(&a->ip))
            return 0;
        in4.sin_family = AF_INET;
        in4.sin_port = htons(a->port);
        memcpy(&in4.sin_addr, &a->ip.b[V4_OFFSET], sizeof(in4.sin_addr));
        memcpy(out, &in4, sizeof(in4));
        return sizeof(in4);
    }
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(a->port);
    in6.sin6_scope_id = a->scope;
    memcpy(&in6.sin6_addr, a->ip.b, sizeof(in6.sin6_addr));
    memcpy(out, &in6, sizeof(in6));
    return sizeof(in6);
}

bool
osp_addr_from_sockaddr(const struct sockaddr_storage *sa, struct osp_addr *out)
{
    struct osp_addr     a = { 0 };
    struct sockaddr_in  in4;
    struct sockaddr_in6 in6;

    if (sa->ss_family == AF_INET) {
        memcpy(&in4, sa, sizeof(in4));
        a.ip.b[10] = a.ip.b[11] = 0xff;
        memcpy(&a.ip.b[V4_OFFSET], &in4.sin_addr, sizeof(in4.sin_addr));
        a.port = ntohs(in4.sin_port);
    } else if (sa->ss_family == AF_INET6) {
        memcpy(&in6, sa, sizeof(in6));
        memcpy(a.ip.b, &in6.sin6_addr, sizeof(in6.sin6_addr));
        a.port = ntohs(in6.sin6_port);
        a.scope = in6.sin6_scope_id;
    } else {
        return false;
    }
    *out = a;
    return true;
}
