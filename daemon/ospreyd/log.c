/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define NUMBER_BYTES 32
#define EVENTS_MAX 128          /* distinct event names that the rate limit tells apart */
#define RATE 10                 /* lines per second and event */
#define BURST 40

static atomic_int      current_level = CFG_LOG_INFO;
static atomic_int      current_format = CFG_LOG_TEXT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    const char *name;
    double      tokens;
    double      at;             /* seconds, monotonic */
    unsigned    suppressed;
} events[EVENTS_MAX];           /* guarded by `lock` */

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const int         journal_levels[] = { 3, 4, 6, 7 };

void
log_setup(enum cfg_log_level level, enum cfg_log_format format)
{
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
}

enum cfg_log_level
log_level(void)
{
    return (enum cfg_log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

void
log_set_level(enum cfg_log_level level)
{
    atomic_store(&current_level, (int)level);
}

const char *
log_level_name(enum cfg_log_level level)
{
    return level_names[level];
}

bool
log_level_by_name(const char *name, enum cfg_log_level *out)
{
    for (int i = CFG_LOG_ERROR; i <= CFG_LOG_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum cfg_log_level)i;
            return true;
        }
    }
    return false;
}

/* ---- one line ---- */

struct line {
    char   text[LINE_MAX_BYTES];
    size_t n;
    bool   json, full;
};

#define CLOSING 48              /* bytes kept free for a quote, the number suppressed, and the end */

/* Appends all of `s`; if it does not fit, nothing more is appended to the line. */
static void
put(struct line *l, const char *s)
{
    size_t n = strlen(s);

    l->full = l->full || n > sizeof(l->text) - CLOSING - l->n;
    for (size_t i = 0; !l->full && i < n; i++)
        l->text[l->n++] = s[i];
}

/* How many bytes a character of UTF-8 has that begins with `first`; 0: no character begins so. */
static size_t
char_len(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The length of the character at `s`, and in *c its code point.  If it is not UTF-8 [rfc3629#4], 1 and UINT32_MAX. */
static size_t
take_char(const char *s, uint32_t *c)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t               n = char_len(*u), i = 1;
    uint32_t             v = n > 1 ? *u & (0x7fu >> n) : *u;

    *c = UINT32_MAX;
    for (; i < n && (u[i] & 0xc0) == 0x80; i++)
        v = v << 6 | (u[i] & 0x3fu);
    if (n == 0 || i < n || (n == 3 && v < 0x800) || (n == 4 && (v < 0x10000 || v > 0x10ffff)) || (v >= 0xd800 && v < 0xe000))
        return 1;
    *c = v;
    return n;
}

/* True if `c` is more than text to a terminal or a reader: C0, C1, line separators, changes of direction. */
static bool
is_tricky(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
           c == UINT32_MAX;
}

static bool
is_plain(const struct line *l, const char *s)
{
    uint32_t c;

    if (l->json || !*s || strcspn(s, " \"=\\") != strlen(s) || strlen(s) >= sizeof(l->text) - CLOSING - l->n)
        return false;
    while (*s) {
        s += take_char(s, &c);
        if (is_tricky(c))
            return false;
    }
    return true;
}

/* Writes a string value.  Characters that could be read as structure or as a terminal command are escaped, and so is each byte
   that is not UTF-8. */
static void
put_quoted(struct line *l, const char *s)
{
    char     esc[16];
    uint32_t c;
    size_t   n;

    if (is_plain(l, s)) {
        put(l, s);
        return;
    }
    put(l, "\"");
    if (l->full)
        return; /* the line is full: the key of this value was left out, too */
    for (; *s; s += n) {
        n = take_char(s, &c);
        if (c == '"' || c == '\\')
            (void)snprintf(esc, sizeof(esc), "\\%c", (char)c);
        else if (is_tricky(c))
            (void)snprintf(esc, sizeof(esc), "\\u%04x", c == UINT32_MAX ? (unsigned char)*s : (unsigned)c);
        else
            (void)snprintf(esc, sizeof(esc), "%.*s", (int)n, s);
        put(l, esc);
    }
    l->text[l->n++] = '"';
}

static void
put_key(struct line *l, const char *key, size_t n)
{
    char k[64];

    (void)snprintf(k, sizeof(k), l->json ? ",\"%.*s\":" : " %.*s=", (int)n, key);
    if (l->n + strlen(k) + NUMBER_BYTES > sizeof(l->text) - CLOSING)
        l->full = true; /* a key without its value would mislead */
    put(l, k);
}

/* Writes the value of one conversion, which `spec` points to behind its '%'; returns the place behind the conversion. */
static const char *
put_value(struct line *l, const char *spec, va_list *ap)
{
    char     number[NUMBER_BYTES] = "";
    unsigned longs = 0;
    bool     size = false;

    for (; *spec == 'l' || *spec == 'z'; spec++) {
        longs += *spec == 'l';
        size = size || *spec == 'z';
    }
    switch (*spec) {
    case 's': {
        const char *s = va_arg(*ap, const char *);
        put_quoted(l, s ? s : "");
        break;
    }
    case 'd':
        (void)snprintf(number, sizeof(number), "%lld",
                       longs > 1 ? va_arg(*ap, long long) : longs ? (long long)va_arg(*ap, long) : va_arg(*ap, int));
        break;
    case 'u':
    case 'x': {
        unsigned long long v = size        ? va_arg(*ap, size_t)
                               : longs > 1 ? va_arg(*ap, unsigned long long)
                               : longs     ? va_arg(*ap, unsigned long)
                                           : va_arg(*ap, unsigned);
        (void)snprintf(number, sizeof(number), *spec == 'u' ? "%llu" : l->json ? "\"%llx\"" : "%llx", v);
        break;
    }
    default:
        break;
    }
    put(l, number);
    return *spec ? spec + 1 : spec;
}

static void
put_fields(struct line *l, const char *f, va_list *ap)
{
    while (*f) {
        size_t key = strcspn(f, "= ");

        if (f[key] == '=' && f[key + 1] == '%') {
            put_key(l, f, key);
            f = put_value(l, f + key + 2, ap);
        } else {
            f += key + (f[key] != 0);
        }
        f += strspn(f, " ");
    }
}

static void
put_head(struct line *l, enum cfg_log_level level, const char *event, bool journal)
{
    struct timespec now;
    struct tm       tm;
    char            head[160], date[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    if (journal) {
        (void)snprintf(head, sizeof(head), "<%d>", journal_levels[level]);
        put(l, head);
    }
    if (l->json)
        (void)snprintf(head, sizeof(head), "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"", date,
                       now.tv_nsec / 1000000, level_names[level], event);
    else if (journal)
        (void)snprintf(head, sizeof(head), "%s %s", level_names[level], event);
    else
        (void)snprintf(head, sizeof(head), "%s.%03ldZ %s %s", date, now.tv_nsec / 1000000, level_names[level], event);
    put(l, head);
}

/* True if `event` may be written now; *suppressed: lines of it that were left out before.  The caller holds `lock`. */
static bool
admit(const char *event, unsigned *suppressed)
{
    struct timespec now;
    double          t;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    t = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        if (!events[i].name) {
            events[i].name = event;
            events[i].tokens = BURST;
            events[i].at = t;
        }
        if (strcmp(events[i].name, event) != 0)
            continue;
        events[i].tokens += (t - events[i].at) * RATE;
        events[i].at = t;
        if (events[i].tokens > BURST)
            events[i].tokens = BURST;
        if (events[i].tokens < 1) {
            events[i].suppressed++;
            return false;
        }
        events[i].tokens -= 1;
        *suppressed = events[i].suppressed;
        events[i].suppressed = 0;
        return true;
    }
    return true;
}

void
log_event(enum cfg_log_level level, const char *event, const char *fields, ...)
{
    int         saved = errno;
    struct line l = { .n = 0, .json = atomic_load(&current_format) == CFG_LOG_JSON };
    unsigned    suppressed = 0;
    va_list     ap;
    char        more[32];

    if (level > log_level())
        return;
    put_head(&l, level, event, getenv("JOURNAL_STREAM") != NULL);
    va_start(ap, fields);
    put_fields(&l, fields, &ap);
    va_end(ap);
    (void)pthread_mutex_lock(&lock);
    if (admit(event, &suppressed)) {
        if (suppressed) {
            (void)snprintf(more, sizeof(more), l.json ? ",\"suppressed\":%u" : " suppressed=%u", suppressed);
            for (const char *c = more; *c; c++)
                l.text[l.n++] = *c;
        }
        if (l.json)
            l.text[l.n++] = '}';
        l.text[l.n++] = '\n';
        if (write(STDERR_FILENO, l.text, l.n) < 0)
            (void)0; /* standard error is gone: there is nowhere to report it */
    }
    (void)pthread_mutex_unlock(&lock);
    errno = saved;
}
