/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager is told, and that it cannot hold us up. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/loop.h"
#include "daemon/ospreyd/systemd.h"

static int  fd;
static char path[64];

/* `path`, or its abstract form when it begins with "@". */
static void
listen_as(const char *name)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    socklen_t          len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));

    memcpy(sa.sun_path, name, strlen(name));
    if (*name == '@')
        sa.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(fd, -1);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static int
setup(void **state)
{
    (void)state;
    log_set_level(CFG_LOG_ERROR);
    (void)snprintf(path, sizeof(path), "@osprey-notify-%ld", (long)getpid());
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    return close(fd);
}

static void
expect(const char *want)
{
    char    got[256];
    ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

    assert_true(n > 0);
    got[n] = '\0';
    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("got \"%s\", want \"%s\"", got, want);
}

static void
manager_is_told_what_happens(void **state)
{
    (void)state;
    listen_as(path);
    osp_systemd_ready("Serving");
    expect("READY=1\nSTATUS=Serving");
    osp_systemd_reloading();
    expect("RELOADING=1\nMONOTONIC_USEC=");
    osp_systemd_stopping();
    expect("STOPPING=1");
    osp_systemd_alive();
    expect("WATCHDOG=1");
}

static void
manager_that_does_not_read_holds_nobody_up(void **state)
{
    uint64_t longest = 0;

    (void)state;
    listen_as(path);
    for (int i = 0; i < 2000 && longest < OSP_MS(100); i++) { /* until its queue is full */
        struct osp_time from = osp_loop_now();
        uint64_t        took;

        osp_systemd_alive();
        took = osp_time_between(from, osp_loop_now());
        longest = took > longest ? took : longest;
    }
    assert_in_range(longest, OSP_MS(100), OSP_SEC(5));
}

static void
nobody_is_told_without_a_socket(void **state)
{
    static const char *const no_sockets[] = { "", "x", "relative/path", "@" };

    (void)state;
    listen_as(path);
    for (size_t i = 0; i < sizeof(no_sockets) / sizeof(no_sockets[0]); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", no_sockets[i], 1), 0);
        osp_systemd_alive();
    }
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    osp_systemd_alive();
    assert_int_equal(recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
}

static void
watchdog_time_is_for_this_process_only(void **state)
{
    char pid[32];

    (void)state;
    listen_as(path);
    (void)unsetenv("WATCHDOG_PID");
    (void)unsetenv("WATCHDOG_USEC");
    assert_int_equal(osp_systemd_watchdog_us(), 0);
    (void)setenv("WATCHDOG_USEC", "3000000", 1);
    assert_int_equal(osp_systemd_watchdog_us(), 3000000);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    (void)setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(osp_systemd_watchdog_us(), 3000000);
    (void)setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(osp_systemd_watchdog_us(), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(manager_is_told_what_happens),
        T(manager_that_does_not_read_holds_nobody_up),
        T(nobody_is_told_without_a_socket),
        T(watchdog_time_is_for_this_process_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
