/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/ospreyd/setup/edhoc.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/x509.h"
#include "proxy/edhoc/sessions.h"

struct osp_setup_edhoc {
    struct osp_edhoc_conf    conf;
    struct osp_edhoc_own    *own;
    struct osp_edhoc_peer   *peers;
    struct osp_x509_anchors *anchors;
    const char             **names;
};

void
osp_setup_edhoc_free(struct osp_setup_edhoc *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->own && i < s->conf.profile.own_count; i++)
        osp_edhoc_own_fini(&s->own[i]);
    osp_x509_anchors_free(s->anchors);
    free(s->own);
    free(s->peers);
    free(s->names);
    free(s);
}

static enum osp_err
make_own(struct osp_setup_edhoc *s, const struct cfg_edhoc *cfg)
{
    const struct cfg_credentials *c = &cfg->creds;
    enum osp_err                  e = OSP_OK;

    s->own = calloc(c->own_count ? c->own_count : 1, sizeof(*s->own));
    if (!s->own)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < c->own_count && e == OSP_OK; i++) {
        e = osp_edhoc_own_init(&s->own[i], cfg_slice(&c->own[i].id_cred), cfg_slice(&c->own[i].item),
                               cfg_slice(&c->own[i].private_key.value));
        s->conf.profile.own_count += e == OSP_OK;
    }
    s->conf.profile.own = s->own;
    return e;
}

static uint32_t
label_of(struct osp_kept *kept, const struct cfg_credential *c)
{
    return osp_kept_label(kept, c->name, c->print);
}

/* Makes the table of names by the number in a label.  A label keeps its meaning for the life of the process. */
static enum osp_err
make_names(struct osp_setup_edhoc *s, const struct cfg_edhoc *cfg, struct osp_kept *kept)
{
    const struct cfg_credentials *c = &cfg->creds;

    s->conf.unknown_label = osp_kept_label(kept, CFG_UNKNOWN_NAME, 0);
    for (size_t i = 0; i < c->trusted_count; i++)
        if (label_of(kept, &c->trusted[i]) == 0)
            return OSP_E_NOMEM;
    s->conf.name_count = osp_kept_label_end(kept);
    s->names = calloc(s->conf.name_count, sizeof(char *));
    if (!s->names)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < s->conf.name_count; i++)
        s->names[i] = "";
    s->names[s->conf.unknown_label & ~OSP_RECIPE_LABEL] = CFG_UNKNOWN_NAME;
    for (size_t i = 0; i < c->trusted_count; i++)
        s->names[label_of(kept, &c->trusted[i]) & ~OSP_RECIPE_LABEL] = c->trusted[i].name;
    s->conf.names = s->names;
    return OSP_OK;
}

static enum osp_err
make_anchors(struct osp_setup_edhoc *s, const struct cfg_credential *c, uint32_t label)
{
    struct osp_slice ders[CFG_CHAIN_MAX];

    for (size_t i = 0; i < c->ca.count; i++)
        ders[i] = cfg_slice(&c->ca.part[i]);
    s->conf.profile.chain_label = label;
    return osp_x509_anchors_new(ders, c->ca.count, &s->anchors);
}

static enum osp_err
make_peers(struct osp_setup_edhoc *s, const struct cfg_edhoc *cfg, struct osp_kept *kept)
{
    const struct cfg_credentials *c = &cfg->creds;
    size_t                        n = 0;
    enum osp_err                  e = OSP_OK;

    s->peers = calloc(c->trusted_count ? c->trusted_count : 1, sizeof(*s->peers));
    if (!s->peers)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < c->trusted_count && e == OSP_OK; i++) {
        uint32_t label = label_of(kept, &c->trusted[i]);

        if (c->trusted[i].ca.form != CFG_CRED_NONE) {
            e = make_anchors(s, &c->trusted[i], label);
            continue;
        }
        s->peers[n].label = label;
        e = osp_edhoc_cred_init(&s->peers[n++].cred, cfg_slice(&c->trusted[i].id_cred), cfg_slice(&c->trusted[i].item));
    }
    s->conf.profile.anchors = s->anchors;
    return e == OSP_OK ? osp_edhoc_peers_init(&s->conf.trusted, s->peers, n) : e;
}

enum osp_err
osp_setup_edhoc_new(const struct cfg_edhoc *cfg, struct osp_kept *kept, struct osp_responder *responder,
                    struct osp_setup_edhoc **out, char why[OSP_STORE_WHY_MAX])
{
    struct osp_setup_edhoc *s = calloc(1, sizeof(*s));
    enum osp_err            e = s ? make_own(s, cfg) : OSP_E_NOMEM;

    if (e == OSP_OK)
        e = make_names(s, cfg, kept);
    if (e == OSP_OK)
        e = make_peers(s, cfg, kept);
    if (e != OSP_OK) {
        (void)snprintf(why, OSP_STORE_WHY_MAX, "edhoc %s: %s", cfg->file, osp_err_text(e));
        osp_setup_edhoc_free(s);
        return e;
    }
    s->conf.profile.methods = cfg->methods;
    s->conf.profile.has_message_4 = cfg->message_4;
    for (size_t i = 0; i < cfg->suite_count; i++)
        s->conf.profile.suites.value[s->conf.profile.suites.count++] = cfg->suites[i];
    s->conf.accept_unknown = cfg->unknown == CFG_UNKNOWN_ACCEPT;
    s->conf.responder = responder;
    *out = s;
    return OSP_OK;
}

const struct osp_edhoc_conf *
osp_setup_edhoc_conf(const struct osp_setup_edhoc *s)
{
    return &s->conf;
}

struct osp_kept_cfg
osp_setup_kept_cfg(const struct cfg_edhoc *cfg)
{
    return (struct osp_kept_cfg){ .bound = cfg->contexts, .per_peer = cfg->contexts_per_peer, .reserved = cfg->sessions,
                                  .guests = CFG_UNKNOWN_NAME,
                                  .lifetime_s = (cfg->lifetime_us + OSP_SEC(1) - 1) / OSP_SEC(1) };
}

struct osp_responder_cfg
osp_setup_responder_cfg(const struct cfg_edhoc *cfg)
{
    return (struct osp_responder_cfg){ .sessions = cfg->sessions, .verify_above = cfg->verify_above,
                                       .session_us = cfg->session_us };
}
