/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells the service manager how the daemon is, without its library: datagrams to $NOTIFY_SOCKET.
 * If that is not set every call does nothing.
 */
#ifndef OSP_DAEMON_OSPREYD_SYSTEMD_H
#define OSP_DAEMON_OSPREYD_SYSTEMD_H

#include <stdint.h>

void osp_systemd_ready(const char *status);
void osp_systemd_reloading(void);
void osp_systemd_stopping(void);
void osp_systemd_alive(void);

/* How often the service manager wants a sign of life, in microseconds; 0: it does not. */
uint64_t osp_systemd_watchdog_us(void);

#endif
