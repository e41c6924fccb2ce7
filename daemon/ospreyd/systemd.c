/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/loop.h"

#define PATIENCE_US 200000

static void
notify(const char *text)
{
    const char        *path = getenv("NOTIFY_SOCKET");
    struct timeval     patience = { .tv_usec = PATIENCE_US };
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    size_t             n = path ? strlen(path) : 0;
    int                fd;

    if (n < 2 || n >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(sa.sun_path, path, n);
    if (sa.sun_path[0] == '@')
        sa.sun_path[0] = '\0'; /* the abstract name space */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return;
    /* A manager that does not read must not stop us: its queue holds about ten messages. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sa,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == -1)
        log_warning("notify-failed", "reason=%s", strerror(errno));
    (void)close(fd);
}

void
osp_systemd_ready(const char *status)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
    notify(text);
}

void
osp_systemd_reloading(void)
{
    char text[96];

    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, osp_loop_now().us);
    notify(text);
}

void
osp_systemd_stopping(void)
{
    notify("STOPPING=1");
}

void
osp_systemd_alive(void)
{
    notify("WATCHDOG=1");
}

uint64_t
osp_systemd_watchdog_us(void)
{
    const char        *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    unsigned long long us = text ? strtoull(text, NULL, 10) : 0;

    if (pid && strtoull(pid, NULL, 10) != (unsigned long long)getpid())
        return 0; /* meant for another process */
    return us;
}
