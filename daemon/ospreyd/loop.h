/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of one thread: descriptors, timers, signals.  loop.c alone uses libevent, and passes the messages of libevent on
 * to our log.
 *
 * Everything of a loop belongs to the thread that turns it.  Other threads reach it through a
 * mailbox (mailbox.h), whose descriptor is watched like any other.
 */
#ifndef OSP_DAEMON_OSPREYD_LOOP_H
#define OSP_DAEMON_OSPREYD_LOOP_H

#include <pthread.h>

#include "base/err.h"
#include "base/time.h"

struct osp_loop;
struct osp_watch;
struct osp_alarm;

typedef void (*osp_loop_fn)(void *ctx);

/* OSP_E_NOMEM: no memory or no descriptor. */
OSP_CHECKED enum osp_err osp_loop_new(struct osp_loop **out);
/* Everything that was made in the loop has to be freed before.  NULL is fine. */
void osp_loop_free(struct osp_loop *l);

/* One turn: waits until a descriptor, an alarm or a signal is due, and calls the functions of all that are. */
void osp_loop_turn(struct osp_loop *l);

/* The time of CLOCK_MONOTONIC. */
struct osp_time osp_loop_now(void);

/*
 * Initialises a condition variable whose waits with a deadline count on CLOCK_MONOTONIC, as osp_loop_now() does.
 * pthread_cond_init() alone counts on the time of day, which can be set back for hours.
 */
void osp_cond_init(pthread_cond_t *c);

/* Calls `fn` while `fd` is readable (and writable, if asked for). OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_watch_new(struct osp_loop *l, int fd, osp_loop_fn fn, void *ctx, struct osp_watch **out);
/* Changes what is watched for; a new watch waits for reading.  OSP_E_NOMEM: now nothing is watched for. */
OSP_CHECKED enum osp_err osp_watch_set(struct osp_watch *w, bool reading, bool writing);
void osp_watch_free(struct osp_watch *w);       /* does not close the descriptor; NULL is fine */

/* Makes a timer that is not set.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_alarm_new(struct osp_loop *l, osp_loop_fn fn, void *ctx, struct osp_alarm **out);
/* Sets the timer to ring once, at `due`; if it was set already it is moved. */
void osp_alarm_at(struct osp_alarm *a, struct osp_time due, struct osp_time now);
void osp_alarm_free(struct osp_alarm *a);       /* NULL is fine */

/* Calls `fn` for `signo` from the loop.  Only one loop of the process may do this.  OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osp_loop_on_signal(struct osp_loop *l, int signo, osp_loop_fn fn, void *ctx);

#endif
