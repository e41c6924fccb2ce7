/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/store/guard.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ospreyd/log.h"

#define LOOK_SECONDS 1

/* There is one guard in a process, since a signal has one handler. */
static struct {
    struct osp_store *store;            /* NULL: no guard */
    pthread_t         thread;
    sem_t             wake;
    bool              stopping;         /* set before `wake` is posted */
    struct sigaction  before;
} guard;

static void
on_bus_error(int number)
{
    int saved = errno;

    if (!osp_store_is_lost(guard.store)) {
        (void)signal(number, SIG_DFL); /* not an access to the store: it is repeated without a handler, which ends the process */
        errno = saved;
        return;
    }
    (void)sem_post(&guard.wake);
    for (;;)
        (void)pause(); /* this thread cannot go on; the guard ends the process */
}

static void
end_process(void)
{
    log_error("state-lost", "reason=%s advice=%s", "state.mdb was cut short, removed or replaced while it was in use",
              "start again only with the file as it was, or with new keys for all contexts");
    _exit(EXIT_FAILURE);
}

static void *
look(void *arg)
{
    (void)arg;
    for (;;) {
        struct timespec until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOK_SECONDS;
        while (sem_clockwait(&guard.wake, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR)
            ;
        if (osp_store_is_lost(guard.store))
            end_process();
        if (__atomic_load_n(&guard.stopping, __ATOMIC_ACQUIRE))
            return NULL;
    }
}

static enum osp_err
start_thread(void)
{
    sigset_t all, old;
    int      rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals have to come to the main thread */
    rc = pthread_create(&guard.thread, NULL, look, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc == 0 ? OSP_OK : OSP_E_NOMEM;
}

enum osp_err
osp_guard_start(struct osp_store *s)
{
    struct sigaction act = { .sa_handler = on_bus_error };
    enum osp_err     e;

    if (!s)
        return OSP_OK;
    guard.store = s;
    guard.stopping = false;
    (void)sem_init(&guard.wake, 0, 0);
    (void)sigaction(SIGBUS, &act, &guard.before);
    e = start_thread();
    if (e != OSP_OK) {
        (void)sigaction(SIGBUS, &guard.before, NULL);
        (void)sem_destroy(&guard.wake);
        guard.store = NULL;
    }
    return e;
}

void
osp_guard_stop(void)
{
    if (!guard.store)
        return;
    __atomic_store_n(&guard.stopping, true, __ATOMIC_RELEASE);
    (void)sem_post(&guard.wake);
    (void)pthread_join(guard.thread, NULL);
    (void)sigaction(SIGBUS, &guard.before, NULL);
    (void)sem_destroy(&guard.wake);
    guard.store = NULL;
}
