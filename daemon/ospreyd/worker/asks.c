/* SPDX-License-Identifier: BSD-2-Clause */
/* What lib/proxy asks of the daemon: names, numbers, a place for the contexts that EDHOC made. */
#include "daemon/ospreyd/worker/impl.h"

#include <time.h>

#include "daemon/ospreyd/log.h"

static void
ask_name(struct osp_worker *w, const char *host, struct osp_time now)
{
    struct osp_note *n = osp_note_new(OSP_NOTE_RESOLVE);

    if (!n) {
        osp_proxy_resolved(w->proxy, host, OSP_E_RESOLVE, NULL, 0, OSP_SEC(1), now);
        return;
    }
    n->worker = w->cfg.index;
    (void)osp_slice_copy(osp_slice_head(osp_slice_str(host), sizeof(n->host) - 1), n->host, sizeof(n->host));
    osp_mailbox_post(w->cfg.main, n);
}

/* Keeps a context that EDHOC made.  The write that makes it durable also leases its first numbers. */
static void
keep(struct osp_worker *w, struct osp_recipe *m)
{
    struct osp_octx *c = m->octx;

    osp_octx_ref(c);
    if (!osp_kept_add(w->cfg.kept, m, (uint64_t)time(NULL))) {
        log_warning("context-lost", "reason=%s", osp_err_text(OSP_E_NOMEM));
        osp_octx_unref(c);
    } else if (osp_octx_wants_lease(c, w->cfg.proxy.lease_low)) {
        osp_leaser_ask(w->leaser, c);
    } else {
        osp_octx_unref(c);
    }
}

static void
tell_worn(struct osp_worker *w, struct osp_octx *c, enum osp_key_state state)
{
    struct osp_note *n = osp_note_new(OSP_NOTE_WORN);

    if (!n) {
        osp_octx_unref(c);
        return;
    }
    n->ctx = c;
    n->key_state = state;
    osp_mailbox_post(w->cfg.main, n);
}

/* Logs the end of an EDHOC session with a next hop.  `whom`: "coap://192.0.2.7:5683 NAME", and a blank and the subject
   behind it if the subject had to be proven. */
static void
tell_agreed(char *whom, enum osp_err e)
{
    char *name = strchr(whom, ' '), *subject;

    if (!name)
        return;
    *name++ = '\0';
    subject = strchr(name, ' ');
    if (subject)
        *subject++ = '\0';
    if (e == OSP_OK && subject)
        log_info("edhoc-agreed", "with=%s credential=%s subject=%s", whom, name, subject);
    else if (e == OSP_OK)
        log_info("edhoc-agreed", "with=%s credential=%s", whom, name);
    else if (subject)
        log_warning("edhoc-failed", "with=%s credential=%s subject=%s reason=%s", whom, name, subject, osp_err_text(e));
    else
        log_warning("edhoc-failed", "with=%s credential=%s reason=%s", whom, name, osp_err_text(e));
}

void
worker_take_asks(struct osp_worker *w, struct osp_time now)
{
    struct osp_ask ask;

    while (osp_proxy_next_ask(w->proxy, &ask)) {
        switch (ask.kind) {
        case OSP_ASK_RESOLVE:
            ask_name(w, ask.host, now);
            break;
        case OSP_ASK_LEASE:
            osp_leaser_ask(w->leaser, ask.ctx);
            break;
        case OSP_ASK_WORN:
            tell_worn(w, ask.ctx, ask.state);
            break;
        case OSP_ASK_AGREED:
            tell_agreed(ask.host, ask.err);
            break;
        case OSP_ASK_KEEP:
            keep(w, ask.recipe);
            break;
        }
    }
}
