/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the library's addresses and those of the system.
 */
#ifndef OSP_DAEMON_COMMON_SOCKADDR_H
#define OSP_DAEMON_COMMON_SOCKADDR_H

#include <sys/socket.h>

#include "base/addr.h"

/*
 * Writes `a` for a socket of `family`; an AF_INET6 socket takes IPv4 in its mapped form.
 * Returns the length of the result (what is behind it is not written), 0 when `a` cannot be reached by
 * such a socket (IPv6 by AF_INET).
 */
socklen_t osp_addr_to_sockaddr(const struct osp_addr *a, int family, struct sockaddr_storage *out);

/* False, nothing written, when `sa` is neither AF_INET nor AF_INET6. */
bool osp_addr_from_sockaddr(const struct sockaddr_storage *sa, struct osp_addr *out);

/* AF_INET for an IPv4 address (mapped form), AF_INET6 for all others. */
int osp_addr_family(const struct osp_addr *a);

#endif
