/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of ospreyd: one line per event on standard error, as text or JSON.
 *
 *     log_info("listening", "address=%s workers=%u", text, n);
 *     2026-01-31T12:00:00.123Z info listening address=127.0.0.1:5683 workers=2
 *
 * An event has a stable name and key=value fields.  The field list is a printf format of the form
 * "key=%x key=%x" with one conversion per key (%s %d %u %x with the length l, ll or z), so that the
 * compiler checks it and each value can be quoted by itself.  Payloads, keys and tokens are never
 * passed.  Each event may write BURST lines at once and RATE per second; the next line of the event says how many
 * were left out.  errno is preserved.  Any thread may log.
 *
 * Levels: error = an operator must act, warning = degraded, info = lifecycle, debug = per exchange.
 */
#ifndef OSP_DAEMON_OSPREYD_LOG_H
#define OSP_DAEMON_OSPREYD_LOG_H

#include <stdbool.h>

#include "config/config.h"

#define LOG_FORMAT __attribute__((format(printf, 3, 4)))

/* Sets level and form from now on; before the first call they are info and text. */
void log_setup(enum cfg_log_level level, enum cfg_log_format format);

enum cfg_log_level log_level(void);
void log_set_level(enum cfg_log_level level);

/* "error", "warning", "info", "debug". */
const char *log_level_name(enum cfg_log_level level);
bool log_level_by_name(const char *name, enum cfg_log_level *out);

/* `event` must be a string literal: the rate limit knows it by its text. `fields` may be "". */
void log_event(enum cfg_log_level level, const char *event, const char *fields, ...) LOG_FORMAT;

#define log_error(...) log_event(CFG_LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_event(CFG_LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_event(CFG_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_event(CFG_LOG_DEBUG, __VA_ARGS__)

#endif
