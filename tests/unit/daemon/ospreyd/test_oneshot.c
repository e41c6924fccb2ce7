/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that ask once: slow, silent and many ones, and a process without descriptors. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/control/oneshot.h"

#define BOUND 4

static struct osp_loop    *loop;
static struct osp_alarm   *tick;
static struct osp_oneshot *served;
static struct sockaddr_un  at;

static void
on_tick(void *ctx)
{
    (void)ctx;
}

/* Turns the loop for `ms` at least. */
static void
turn(unsigned ms)
{
    struct osp_time now = osp_loop_now(), until = osp_time_after(now, OSP_MS(ms));

    do {
        osp_alarm_at(tick, osp_time_after(now, OSP_MS(ms < 5 ? ms : 5)), now);
        osp_loop_turn(loop);
        now = osp_loop_now();
    } while (!osp_time_due(until, now));
}

/* "x...\n" is answered by "yes". */
static enum osp_oneshot_verdict
ask(void *ctx, int fd, char *text, size_t n, struct osp_oneshot_answer *answer)
{
    (void)ctx;
    (void)fd;
    if (text[n - 1] != '\n')
        return OSP_ONESHOT_MORE;
    if (text[0] != 'x')
        return OSP_ONESHOT_DROP;
    *answer = (struct osp_oneshot_answer){ strdup("yes"), 3 };
    return OSP_ONESHOT_ANSWER;
}

static int
setup(void **state)
{
    struct osp_oneshot_cfg cfg = { .name = "test", .connections = BOUND, .question_max = 16, .deadline_us = OSP_MS(300),
                                   .ask = ask };

    (void)state;
    log_set_level(CFG_LOG_ERROR);
    at = (struct sockaddr_un){ .sun_family = AF_UNIX };
    (void)snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "osprey-oneshot-%ld", (long)getpid());  /* abstract: no file */
    cfg.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(cfg.fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(cfg.fd, 64), 0);
    EXPECT_OK(osp_loop_new(&loop));
    EXPECT_OK(osp_alarm_new(loop, on_tick, NULL, &tick));
    EXPECT_OK(osp_oneshot_new(loop, &cfg, &served));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    osp_oneshot_free(served);
    osp_alarm_free(tick);
    osp_loop_free(loop);
    return 0;
}

static int
dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd != -1);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* Asks on `fd`; true if the answer is there and the stream ends. */
static bool
is_served(int fd)
{
    char buf[16];

    if (send(fd, "x\n", 2, MSG_NOSIGNAL) != 2)
        return false;
    turn(20);
    return recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 3 && recv(fd, buf, sizeof(buf), MSG_DONTWAIT) == 0;
}

static bool
is_open(int fd)
{
    char b;

    return recv(fd, &b, 1, MSG_DONTWAIT | MSG_PEEK) == -1 && errno == EAGAIN;
}

static void
question_is_answered_and_the_connection_ends(void **state)
{
    int fd = dial(), wrong = dial(), longer = dial();

    (void)state;
    assert_true(is_served(fd));
    assert_int_equal(send(wrong, "y\n", 2, 0), 2);
    assert_int_equal(send(longer, "x234567890123456", 16, 0), 16);
    turn(20);
    assert_false(is_open(wrong));
    assert_false(is_open(longer));
    assert_int_equal(osp_oneshot_stats(served).answered, 1);
    assert_int_equal(osp_oneshot_stats(served).dropped, 2);
    (void)close(fd);
    (void)close(wrong);
    (void)close(longer);
}

/* Whoever is silent makes room, the longest silent one first: many of them keep nobody out. */
static void
silent_connections_make_room(void **state)
{
    int silent[40], fd;

    (void)state;
    for (size_t i = 0; i < 40; i++)
        silent[i] = dial();
    turn(20);
    fd = dial();
    assert_true(is_served(fd));
    assert_int_equal(osp_oneshot_stats(served).displaced, 41 - BOUND);
    assert_true(is_open(silent[39]));
    assert_false(is_open(silent[0]));
    (void)close(fd);
    for (size_t i = 0; i < 40; i++)
        (void)close(silent[i]);
}

/* A byte now and then does not move the deadline. */
static void
slow_connection_ends_at_its_deadline(void **state)
{
    int             fd = dial();
    struct osp_time from = osp_loop_now();
    unsigned        sent = 0;

    (void)state;
    turn(1);
    while (is_open(fd) && sent < 15) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
            break;
        sent++;
        turn(50);
    }
    assert_false(is_open(fd));
    assert_true(sent < 15);
    assert_true(osp_time_between(from, osp_loop_now()) >= OSP_MS(290));
    assert_int_equal(osp_oneshot_stats(served).late, 1);
    (void)close(fd);
}

/* Without descriptors the socket stays readable: it is looked at again a second later, not thousands of times. */
static void
process_without_descriptors_does_not_spin(void **state)
{
    struct rlimit   old, few;
    struct osp_time from;
    int             fd = dial(), next = dup(fd);
    unsigned        turns = 0;

    (void)state;
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)next;        /* the next descriptor would be this one */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    from = osp_loop_now();
    while (osp_time_between(from, osp_loop_now()) < OSP_MS(200)) {
        turn(10);
        turns++;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(turns <= 21);
    assert_int_equal(osp_oneshot_stats(served).pauses, 1);
    turn(900);
    assert_true(is_served(fd));
    (void)close(fd);
}

/* What libevent has to say is a line of our log. */
static void
complaints_of_the_loop_go_into_the_log(void **state)
{
    struct osp_watch *w = NULL;
    char              text[4096];
    int               fds[2], saved = dup(STDERR_FILENO);
    ssize_t           n;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    log_set_level(CFG_LOG_WARNING);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    (void)!osp_watch_new(loop, 9999, on_tick, NULL, &w);        /* is no descriptor */
    turn(5);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    n = read(fds[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "event-loop text="));
    assert_null(strstr(text, "[warn]"));
    osp_watch_free(w);
    (void)close(saved);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(question_is_answered_and_the_connection_ends),
        T(silent_connections_make_room),
        T(slow_connection_ends_at_its_deadline),
        T(process_without_descriptors_does_not_spin),
        T(complaints_of_the_loop_go_into_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
