/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/origin/resource.h"

#include <stdio.h>
#include <time.h>

#include "crypto/digest.h"
#include "msg/option.h"


static const char links[] = "</hello>;ct=0,</time>;ct=0,</ticks>;ct=0;obs,</echo>;rt=\"echo\",</large>;ct=0,"
                            "</alarm_status>;obs,</put>,</upload>;ct=0,</slow>;ct=0";

void
osprey_path_print(const struct osp_msg *m, char dst[OSPREY_PATH_MAX])
{
    struct osp_wr w = osp_wr_to(dst, OSPREY_PATH_MAX - 1);

    for (size_t i = 0; i < m->opt_count; i++) {
        if (m->opts[i].num != OSP_OPT_URI_PATH)
            continue;
        osp_wr_u8(&w, '/');
        osp_wr_put(&w, m->opts[i].val);
    }
    if (w.n == 0)
        osp_wr_u8(&w, '/');
    dst[w.n] = '\0';
}

/* Reads the number in a Uri-Query "name=number", at most `max`; `dflt` if it is absent.  False: malformed. */
static bool
query_number(const struct osp_msg *m, const char *name, uint32_t dflt, uint32_t max, uint32_t *out)
{
    size_t n = strlen(name);

    *out = dflt;
    for (size_t i = 0; i < m->opt_count; i++) {
        struct osp_slice v = m->opts[i].val, digits = osp_slice_tail(v, n + 1);
        uint64_t         sum = 0;

        if (m->opts[i].num != OSP_OPT_URI_QUERY || v.n <= n || memcmp(v.p, name, n) != 0 || v.p[n] != '=')
            continue;
        if (digits.n == 0 || digits.n > 9)
            return false;
        for (size_t k = 0; k < digits.n; k++) {
            if (digits.p[k] < '0' || digits.p[k] > '9')
                return false;
            sum = sum * 10 + digits.p[k] - '0';
        }
        *out = (uint32_t)(sum < max ? sum : max);
    }
    return true;
}

static void
set_code(struct osprey_reply *out, uint8_t code)
{
    osp_msg_init(&out->msg, code);
}

static void
add(struct osprey_reply *out, uint16_t num, struct osp_slice val)
{
    if (osp_msg_add(&out->msg, num, val) != OSP_OK) /* cannot fail: our answers have few options */
        set_code(out, OSP_CODE(5, 0));
}

static void
set_text(struct osprey_reply *out, struct osp_slice text)
{
    static const uint8_t none = 0;

    set_code(out, OSP_CODE(2, 5));
    add(out, OSP_OPT_CONTENT_FORMAT, osp_slice(&none, OSP_FORMAT_TEXT)); /* 0 in its shortest form: no byte */
    out->msg.payload = text;
}

/* ---- one function per resource; false: method not allowed ---- */

static bool
get_core(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    static const uint8_t format = OSP_FORMAT_LINKS;

    (void)r;
    if (req->code != OSP_GET)
        return false;
    set_code(out, OSP_CODE(2, 5));
    add(out, OSP_OPT_CONTENT_FORMAT, osp_slice(&format, 1));
    out->msg.payload = osp_slice_str(links);
    return true;
}

static bool
get_hello(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    (void)r;
    if (req->code != OSP_GET)
        return false;
    set_text(out, osp_slice_str("Hello from the origin"));
    return true;
}

static bool
do_echo(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    const struct osp_opt *format = osp_msg_get(req, OSP_OPT_CONTENT_FORMAT);

    (void)r;
    if (req->code != OSP_POST && req->code != OSP_FETCH && req->code != OSP_PUT && req->code != OSP_PATCH &&
        req->code != OSP_IPATCH)
        return false;
    set_code(out, req->code == OSP_FETCH ? OSP_CODE(2, 5) : OSP_CODE(2, 4));
    if (format)
        add(out, OSP_OPT_CONTENT_FORMAT, format->val);
    out->msg.payload = req->payload;
    return true;
}

/* Writes `n` bytes 0123456789 and so on, behind the first `at` bytes of the body. */
static struct osp_slice
fill_body(struct osprey_resources *r, size_t at, size_t n)
{
    for (size_t i = at; i < n; i++)
        r->body[i] = (uint8_t)('0' + i % 10);
    return osp_slice(r->body, n);
}

static bool
get_large(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    uint32_t n;

    if (req->code != OSP_GET)
        return false;
    if (query_number(req, "n", 1024, OSPREY_LARGE_MAX, &n))
        set_text(out, fill_body(r, 0, n));
    else
        set_code(out, OSP_CODE(4, 0));
    return true;
}

/* Answers "tick 7", filled up to ?n= bytes.  Max-Age is the time to the next tick, so an observer notices when none comes. */
static bool
get_ticks(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    uint32_t n;
    int      len;

    if (req->code != OSP_GET)
        return false;
    if (!query_number(req, "n", 0, OSPREY_LARGE_MAX, &n)) {
        set_code(out, OSP_CODE(4, 0));
        return true;
    }
    len = snprintf((char *)r->body, 32, "tick %u\n", (unsigned)r->ticks);
    set_text(out, fill_body(r, (size_t)len, n > (uint32_t)len ? n : (uint32_t)len));
    add(out, OSP_OPT_MAX_AGE, osp_opt_uint_make(r->every_s, r->max_age));
    return true;
}

/* Answers with the length and a hash of the payload. */
static bool
take_upload(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    uint8_t digest[OSP_DIGEST_MAX];
    char    hex[65];
    int     len;

    if (req->code != OSP_PUT && req->code != OSP_POST)
        return false;
    if (osp_digest(OSP_SHA256, &req->payload, 1, digest) != OSP_OK) {
        set_code(out, OSP_CODE(5, 0));
        return true;
    }
    osp_hex_encode(osp_slice(digest, 32), hex, sizeof(hex));
    len = snprintf((char *)r->body, 128, "%zu bytes, SHA-256 %s", req->payload.n, hex);
    set_text(out, osp_slice(r->body, (size_t)len));
    out->msg.code = OSP_CODE(2, 4);
    return true;
}

/* Answers "0" or "1" alone, as in the examples of the draft. */
static bool
do_alarm(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    if (req->code == OSP_GET) {
        set_code(out, OSP_CODE(2, 5));
        out->msg.payload = osp_slice(r->alarm ? "1" : "0", 1);
        return true;
    }
    if (req->code != OSP_PUT)
        return false;
    if (req->payload.n != 1 || (req->payload.p[0] != '0' && req->payload.p[0] != '1')) {
        set_code(out, OSP_CODE(4, 0));
        return true;
    }
    r->alarm = req->payload.p[0] == '1';
    set_code(out, OSP_CODE(2, 4));
    return true;
}

static void
store(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    const struct osp_opt *format = osp_msg_get(req, OSP_OPT_CONTENT_FORMAT);

    if (!osp_slice_copy(req->payload, r->stored, sizeof(r->stored))) {
        set_code(out, OSP_CODE(4, 13));
        return;
    }
    set_code(out, r->is_stored ? OSP_CODE(2, 4) : OSP_CODE(2, 1));
    r->is_stored = true;
    r->stored_len = req->payload.n;
    r->has_format = format && osp_slice_copy(format->val, r->format, sizeof(r->format));
    r->format_len = r->has_format ? format->val.n : 0;
}

static bool
do_put(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    switch (req->code) {
    case OSP_PUT:
        store(r, req, out);
        return true;
    case OSP_DELETE:
        r->is_stored = false;
        set_code(out, OSP_CODE(2, 2)); /* also if there was nothing to delete [rfc7252#5.8.4] */
        return true;
    case OSP_GET:
        set_code(out, r->is_stored ? OSP_CODE(2, 5) : OSP_CODE(4, 4));
        if (r->is_stored && r->has_format)
            add(out, OSP_OPT_CONTENT_FORMAT, osp_slice(r->format, r->format_len));
        if (r->is_stored)
            out->msg.payload = osp_slice(r->stored, r->stored_len);
        return true;
    default:
        return false;
    }
}

static bool
get_slow(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out)
{
    uint32_t ms;

    (void)r;
    if (req->code != OSP_GET)
        return false;
    if (!query_number(req, "ms", 1000, OSPREY_SLOW_MAX_MS, &ms)) {
        set_code(out, OSP_CODE(4, 0));
        return true;
    }
    set_text(out, osp_slice_str("at last"));
    out->delay_us = ms * 1000ull;
    return true;
}

static const struct {
    const char *path;
    bool      (*answer)(struct osprey_resources *r, const struct osp_msg *req, struct osprey_reply *out);
} resources[] = {
    { "/.well-known/core", get_core }, { "/hello", get_hello },       { "/echo", do_echo }, { "/large", get_large },
    { "/alarm_status", do_alarm },     { "/put", do_put },            { "/slow", get_slow }, { "/ticks", get_ticks },
    { "/upload", take_upload },
};

static void
get_time(struct osprey_resources *r, int64_t clock_s, struct osprey_reply *out)
{
    static const uint8_t one = 1;
    time_t               t = (time_t)clock_s;
    struct tm            tm;
    size_t               n = 0;

    if (gmtime_r(&t, &tm))
        n = strftime((char *)r->body, 64, "%Y-%m-%dT%H:%M:%SZ", &tm);
    set_text(out, osp_slice(r->body, n));
    add(out, OSP_OPT_MAX_AGE, osp_slice(&one, 1));
}

enum osprey_subject
osprey_resource_subject(const struct osp_msg *req)
{
    char path[OSPREY_PATH_MAX];

    osprey_path_print(req, path);
    if (req->code != OSP_GET)
        return OSPREY_SUBJECT_NONE;
    if (strcmp(path, "/ticks") == 0)
        return OSPREY_SUBJECT_TICKS;
    return strcmp(path, "/alarm_status") == 0 ? OSPREY_SUBJECT_ALARM : OSPREY_SUBJECT_NONE;
}

/* Critical options that are not in this list are not understood here [rfc7252#5.4.1]. */
static bool
understands(uint16_t num)
{
    return !osp_opt_is_critical(num) || num == OSP_OPT_URI_HOST || num == OSP_OPT_URI_PORT || num == OSP_OPT_URI_PATH ||
           num == OSP_OPT_URI_QUERY || num == OSP_OPT_ACCEPT;
}

/* Refuses an Accept that the representation does not satisfy [rfc7252#5.10.4]. */
static void
judge_accept(const struct osp_msg *req, struct osprey_reply *out)
{
    const struct osp_opt *accept = osp_msg_get(req, OSP_OPT_ACCEPT), *format = osp_msg_get(&out->msg, OSP_OPT_CONTENT_FORMAT);
    uint32_t              want, have;

    if (!accept || out->msg.code != OSP_CODE(2, 5))
        return;
    if (!format || !osp_opt_uint(accept->val, &want) || !osp_opt_uint(format->val, &have) || want != have) {
        set_code(out, OSP_CODE(4, 6));
        out->delay_us = 0;
    }
}

void
osprey_resource_answer(struct osprey_resources *r, const struct osp_msg *req, int64_t clock_s, struct osprey_reply *out)
{
    char path[OSPREY_PATH_MAX];

    out->delay_us = 0;
    for (size_t i = 0; i < req->opt_count; i++) {
        if (!understands(req->opts[i].num)) {
            set_code(out, OSP_CODE(4, 2));
            return;
        }
    }
    osprey_path_print(req, path);
    set_code(out, OSP_CODE(4, 4));
    if (strcmp(path, "/time") == 0) {
        if (req->code == OSP_GET)
            get_time(r, clock_s, out);
        else
            set_code(out, OSP_CODE(4, 5));
    }
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
        if (strcmp(path, resources[i].path) == 0 && !resources[i].answer(r, req, out))
            set_code(out, OSP_CODE(4, 5));
    judge_accept(req, out);
}
