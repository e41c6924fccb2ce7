/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Converts between struct osp_addr of the library and struct sockaddr of the system.
 */
#ifndef OSP_DAEMON_COMMON_SOCKADDR_H
#define OSP_DAEMON_COMMON_SOCKADDR_H

#include <sys/socket.h>

#include "base/addr.h"

/*
 * Writes `a` for a socket of `family`; an AF_INET6 socket takes IPv4 in its mapped form.
 * Returns the length of the result; bytes after it are not written.  0: such a socket cannot reach `a` (AF_INET and IPv6).
 */
socklen_t osp_addr_to_sockaddr(const struct osp_addr *a, int family, struct sockaddr_storage *out);

/* Reads `sa`.  False, and *out is not written: it is neither AF_INET nor AF_INET6. */
bool osp_addr_from_sockaddr(const struct sockaddr_storage *sa, struct osp_addr *out);

/* AF_INET for an IPv4 address (mapped form), AF_INET6 for all others. */
int osp_addr_family(const struct osp_addr *a);

#endif
