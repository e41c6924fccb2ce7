/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the service manager wants to know, without its library: datagrams to $NOTIFY_SOCKET.
 * Without one every call does nothing.
 */
#ifndef OSP_DAEMON_OSPREYD_SYSTEMD_H
#define OSP_DAEMON_OSPREYD_SYSTEMD_H

#include <stdint.h>

void osp_systemd_ready(const char *status);
void osp_systemd_reloading(void);
void osp_systemd_stopping(void);
void osp_systemd_alive(void);

/* Microseconds between two signs of life that are wanted, 0: none. */
uint64_t osp_systemd_watchdog_us(void);

#endif
