/* SPDX-License-Identifier: BSD-2-Clause */
/* The output of the client: payload or JSON on standard output, errors on standard error. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/osprey/osprey.h"
#include "daemon/osprey/client/client.h"
#include "msg/option.h"

int
client_complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey: %s: %s\n", what, wrong);
    return OSPREY_EXIT_USAGE;
}

/* The exit status for `e`.  Blocks that do not fit together make the answer unusable; that is no failure of protection. */
static bool
is_protection_error(const struct client *c)
{
    enum osp_err e = c->err;

    return e == OSP_E_OSCORE_OPTION || e == OSP_E_REPLAY || e == OSP_E_DECRYPT || e == OSP_E_FORMAT ||
           e == OSP_E_OPTION_COUNT || e == OSP_E_UNPROTECTED || e == OSP_E_EXTRA_LAYER || e == OSP_E_NO_CONTEXT ||
           (e == OSP_E_BAD_RESPONSE && !c->why) || e == OSP_E_EDHOC_AUTH || e == OSP_E_EDHOC_NO_CRED ||
           e == OSP_E_EDHOC_REFLECTED || e == OSP_E_CERTIFICATE;
}

int
client_exit_status(const struct client *c)
{
    if (!c->has_answer && c->err == OSP_E_EDHOC_REFUSED)
        return OSPREY_EXIT_CLIENT_ERROR;
    if (!c->has_answer && is_protection_error(c))
        return OSPREY_EXIT_PROTECTION;
    if (!c->has_answer)
        return osp_err_class(c->err) == OSP_CLASS_LOCAL && c->err != OSP_E_CANCELLED ? OSPREY_EXIT_USAGE
                                                                                     : OSPREY_EXIT_NO_ANSWER;
    switch (OSP_CODE_CLASS(c->answer.msg->code)) {
    case 2:
        return OSPREY_EXIT_OK;
    case 4:
        return OSPREY_EXIT_CLIENT_ERROR;
    case 5:
        return OSPREY_EXIT_SERVER_ERROR;
    default:
        return OSPREY_EXIT_NO_ANSWER;
    }
}

/* Who vouches for the answer; NULL: nobody. */
static const struct osprey_sec *
vouched_by(const struct client *c)
{
    return c->answer.level < c->onion->seal_count ? c->onion->seals[c->answer.level].sec : NULL;
}

/* ---- JSON ---- */

static void
put_layers(const struct client *c, const struct osprey_onion *onion)
{
    fputs(",\"layers\":[", stdout);
    for (size_t i = onion->seal_count; i > 0; i--) { /* outermost first, as they come off */
        const struct osprey_seal *s = &onion->seals[i - 1];

        printf("%s{\"context\":", i == onion->seal_count ? "" : ",");
        osprey_json_string(stdout, osp_slice_str(s->sec->name));
        fputs(",\"partial_iv\":", stdout);
        osprey_json_hex(stdout, osp_slice(s->layer.piv, s->layer.piv_len));
        if (s->layer.last_piv)
            printf(",\"notification_number\":%llu", (unsigned long long)s->layer.last_piv - 1);
        if (s->has_outer_max_age)
            printf(",\"outer_max_age\":%u", (unsigned)s->outer_max_age);
        printf(",\"came_off\":%s}", c->has_answer && i > c->answer.level ? "true" : "false");
    }
    fputc(']', stdout);
}

static void
put_answer(const struct client *c)
{
    const struct osprey_sec *by = c->has_answer ? vouched_by(c) : NULL;
    char                     code[8];
    const char              *phrase = NULL;

    fputs(",\"vouched_by\":", stdout);
    if (by)
        osprey_json_string(stdout, osp_slice_str(by->name));
    else
        fputs("null", stdout);
    if (!c->has_answer)
        return;
    osp_code_print(c->answer.msg->code, code, &phrase);
    printf(",\"code\":\"%s\",\"phrase\":\"%s\",\"options\":", code, phrase ? phrase : "");
    osprey_json_options(stdout, c->answer.msg, OSP_OPT_OSCORE);
    fputs(",\"payload\":", stdout);
    if (osprey_is_utf8(c->answer.msg->payload))
        osprey_json_string(stdout, c->answer.msg->payload);
    else
        fputs("null", stdout);
    fputs(",\"payload_hex\":", stdout);
    osprey_json_hex(stdout, c->answer.msg->payload);
}

static void
put_work(const struct client *c)
{
    printf(",\"attempts\":%u,\"challenges\":%u,\"blocks_sent\":%u,\"blocks_received\":%u", c->attempts, c->challenges,
           c->blocks_out, c->blocks_in);
    if (c->key_count == 0)
        return;
    printf(",\"round_trips\":%u,\"edhoc\":[", c->round_trips);
    for (size_t i = 0; i < c->key_count; i++) {
        const struct client_key *k = &c->keys[i];

        printf("%s{\"peer\":", i ? "," : "");
        osprey_json_string(stdout, osp_slice_str(k->plan.peer));
        if (k->ctx && !k->reused)
            printf(",\"method\":%d,\"suite\":%d", k->method, k->suite);
        printf(",\"done\":%s,\"reused\":%s}", k->ctx ? "true" : "false", k->reused ? "true" : "false");
    }
    fputc(']', stdout);
}

static void
print_json(const struct client *c, int status)
{
    printf("{\"status\":%d,\"error\":", status);
    if (c->has_answer)
        fputs("null", stdout);
    else
        osprey_json_string(stdout, osp_slice_str(osp_err_name(c->err)));
    put_work(c);
    printf(",\"took_ms\":%.3f", (double)c->took_us / 1e3);
    put_layers(c, c->onion);
    put_answer(c);
    fputs("}\n", stdout);
}

/* ---- text ---- */

static void
print_error_answer(const struct client *c, const struct osprey_sec *by)
{
    const struct osp_opt *size = c->answer.msg->code == OSP_CODE(4, 13) ? osp_msg_get(c->answer.msg, OSP_OPT_SIZE1) : NULL;
    struct osp_slice      text = c->answer.msg->payload;
    uint32_t              most;

    fputs("osprey: ", stderr);
    osprey_show_code(stderr, c->answer.msg->code);
    if (text.n > 0 && text.n < 200 && osprey_is_utf8(text) && !memchr(text.p, 0x1b, text.n))
        fprintf(stderr, " (%.*s)", (int)text.n, (const char *)text.p);
    if (size && osp_opt_uint(size->val, &most))
        fprintf(stderr, ", %u bytes at most", (unsigned)most);
    if (by)
        fprintf(stderr, ", protected by context \"%s\"\n", by->name);
    else
        fputs(c->onion->seal_count ? ", not protected: anybody on the way may have said so\n" : "\n", stderr);
}

/* Prints an error, and who says so, as one line on standard error; a success only with --verbose. */
static void
print_verdict(const struct client *c)
{
    const struct osprey_sec *by;

    if (!c->has_answer) {
        fprintf(stderr, "osprey: %s: %s\n", c->args.uri, c->why ? c->why : osp_err_text(c->err));
        return;
    }
    by = vouched_by(c);
    if (OSP_CODE_CLASS(c->answer.msg->code) != 2) {
        print_error_answer(c, by);
    } else if (c->show.level) {
        fputs("  = ", c->show.to);
        osprey_show_code(c->show.to, c->answer.msg->code);
        fprintf(c->show.to, " in %.1f ms, %s%s%s\n", (double)c->took_us / 1e3, by ? "protected by context \"" : "not protected",
                by ? by->name : "", by ? "\"" : "");
    }
}

/* Writes the payload of a success to standard output; the payload of an error goes to standard error with the error.
   `line`: add a line end. */
static bool
write_payload(const struct client *c, bool line)
{
    struct osp_slice p = c->answer.msg->payload;
    FILE            *f = c->args.output ? fopen(c->args.output, "wb") : stdout;
    bool             ok = f != NULL;

    if (ok && p.n)
        ok = fwrite(p.p, 1, p.n, f) == p.n;
    if (ok && f == stdout && p.n && p.p[p.n - 1] != '\n' && (line || isatty(STDOUT_FILENO)))
        ok = fputc('\n', f) != EOF;
    if (f && f != stdout)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        client_complain(c->args.output ? c->args.output : "standard output", strerror(errno));
    return ok;
}

int
client_report(const struct client *c)
{
    int status = client_exit_status(c);

    print_verdict(c);
    if (status == OSPREY_EXIT_OK && (!c->args.json || c->args.output) && !write_payload(c, false))
        status = OSPREY_EXIT_USAGE;
    if (c->args.json)
        print_json(c, status);
    if (fflush(stdout) != 0 && status == OSPREY_EXIT_OK)
        status = client_complain("standard output", strerror(errno));
    return status;
}


/* ---- observations ---- */

bool
client_report_notification(const struct client *c)
{
    const struct client_watch *w = &c->watch;
    bool                       ok = true;

    if (!c->args.json || c->args.output)
        ok = write_payload(c, true);
    if (c->args.json) {
        printf("{\"notification\":%u,\"observe\":%u", w->count, (unsigned)w->last);
        put_work(c);
        put_layers(c, w->onion);
        put_answer(c);
        fputs("}\n", stdout);
    }
    if (ok && fflush(stdout) != 0) {
        client_complain("standard output", strerror(errno));
        ok = false;
    }
    return ok;
}

void
client_report_end(const struct client *c, int status)
{
    const struct client_watch *w = &c->watch;

    if (c->args.json) {
        printf("{\"status\":%d,\"notifications\":%u,\"registered_again\":%u,\"late\":%u,\"refused\":%u,\"deregistered\":%s}\n",
               status, w->count, w->again, w->late, w->refused, w->deregistered ? "true" : "false");
        (void)fflush(stdout);
    }
    if (c->show.level)
        fprintf(c->show.to, "  = %u notifications, %u registrations, %u came late, %u refused, %s\n", w->count, w->again + 1,
                w->late, w->refused, w->deregistered ? "deregistered" : "not deregistered");
}
