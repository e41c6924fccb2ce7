/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/net/addresses.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "daemon/common/sockaddr.h"
#include "daemon/ospreyd/log.h"

#define READ_US OSP_SEC(30)     /* after so long without a message the addresses are read again */
#define REST_US OSP_MS(50)      /* wait after a message, since several come at once */
#define MESSAGES_MAX 64         /* messages read in one turn, at most */

struct osp_addresses {
    struct osp_addrset *set;
    int                 fd;     /* of rtnetlink; -1: changes are not announced */
    struct osp_watch   *watch;
    struct osp_alarm   *alarm;
    uint64_t            changes;
    bool                unreadable;     /* that the addresses cannot be read has been logged */
};

static bool
ip_of(const struct sockaddr *from, struct osp_ip *out)
{
    struct sockaddr_storage sa = { 0 };
    struct osp_addr         a;

    if (!from)
        return false;
    if (from->sa_family == AF_INET)
        memcpy(&sa, from, sizeof(struct sockaddr_in));
    else if (from->sa_family == AF_INET6)
        memcpy(&sa, from, sizeof(struct sockaddr_in6));
    else
        return false;
    if (!osp_addr_from_sockaddr(&sa, &a))
        return false;
    *out = a.ip;
    return true;
}

/* Reads all addresses from the system and puts them into the set. */
static enum osp_err
look(struct osp_addresses *a, size_t *added, size_t *removed)
{
    struct ifaddrs *all = NULL;
    struct osp_ip  *ips;
    size_t          count = 0;
    enum osp_err    e;

    if (getifaddrs(&all) != 0)
        return OSP_E_INVALID;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        count++;
    ips = calloc(count ? count : 1, sizeof(*ips));
    count = 0;
    for (const struct ifaddrs *i = all; ips && i; i = i->ifa_next)
        count += ip_of(i->ifa_addr, &ips[count]);
    e = ips ? osp_addrset_replace(a->set, ips, count, added, removed) : OSP_E_NOMEM;
    free(ips);
    freeifaddrs(all);
    return e;
}

static void
on_alarm(void *ctx)
{
    struct osp_addresses *a = ctx;
    struct osp_time       now = osp_loop_now();
    size_t                added = 0, removed = 0;
    enum osp_err          e = look(a, &added, &removed);

    osp_alarm_at(a->alarm, osp_time_after(now, READ_US), now);
    if (e == OSP_OK && added + removed > 0) {
        a->changes++;
        log_info("addresses-changed", "count=%zu added=%zu removed=%zu", osp_addrset_count(a->set), added, removed);
    }
    if (e != OSP_OK && !a->unreadable)
        log_warning("addresses-unreadable", "reason=%s effect=%s", osp_err_text(e),
                    "requests may reach an address that this machine has got since");
    a->unreadable = e != OSP_OK;
}

/* Empties the socket.  The content of the messages does not matter, since all addresses are read again. */
static void
on_message(void *ctx)
{
    struct osp_addresses *a = ctx;
    struct osp_time       now = osp_loop_now();
    char                  bytes[8192];

    for (int i = 0; i < MESSAGES_MAX; i++)
        if (recv(a->fd, bytes, sizeof(bytes), MSG_DONTWAIT) == -1 && errno != ENOBUFS && errno != EINTR)
            break;
    osp_alarm_at(a->alarm, osp_time_after(now, REST_US), now);
}

/* Opens the socket for announcements.  If that fails, changes are noticed when the addresses are read again. */
static void
follow(struct osp_addresses *a, struct osp_loop *l)
{
    struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };

    a->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (a->fd != -1 && bind(a->fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
        osp_watch_new(l, a->fd, on_message, a, &a->watch) == OSP_OK)
        return;
    log_warning("addresses-not-followed", "reason=%s effect=%s", strerror(errno), "changes are found within 30 s");
    if (a->fd != -1)
        (void)close(a->fd);
    a->fd = -1;
}

enum osp_err
osp_addresses_new(struct osp_loop *l, struct osp_addresses **out)
{
    struct osp_addresses *a = calloc(1, sizeof(*a));
    struct osp_time       now = osp_loop_now();
    size_t                added, removed;
    enum osp_err          e;

    if (!a)
        return OSP_E_NOMEM;
    a->fd = -1;
    e = osp_addrset_new(&a->set);
    if (e == OSP_OK)
        e = osp_alarm_new(l, on_alarm, a, &a->alarm);
    if (e == OSP_OK) {
        follow(a, l);           /* before the first reading, so that no change between the two is missed */
        e = look(a, &added, &removed);
    }
    if (e != OSP_OK) {
        osp_addresses_free(a);
        return e;
    }
    osp_alarm_at(a->alarm, osp_time_after(now, READ_US), now);
    *out = a;
    return OSP_OK;
}

void
osp_addresses_free(struct osp_addresses *a)
{
    if (!a)
        return;
    osp_watch_free(a->watch);
    osp_alarm_free(a->alarm);
    if (a->fd != -1)
        (void)close(a->fd);
    osp_addrset_free(a->set);
    free(a);
}

struct osp_addrset *
osp_addresses_set(struct osp_addresses *a)
{
    return a->set;
}

uint64_t
osp_addresses_changes(const struct osp_addresses *a)
{
    return a->changes;
}
