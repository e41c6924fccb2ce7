/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/keys/edhoc.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "daemon/osprey/keys/context.h"

#define SUITE_MAX 6

/* ---- the file ---- */

static enum osp_err
add_own(struct osprey_edhoc *e, const char *name)
{
    enum osp_err err = OSP_OK;

    e->own = calloc(e->file->own_count + 1, sizeof(*e->own));
    if (!e->own)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < e->file->own_count && err == OSP_OK; i++) {
        const struct cfg_credential *c = &e->file->own[i];

        if (name && strcmp(c->name, name) != 0)
            continue;
        err = osp_edhoc_own_init(&e->own[e->own_count], cfg_slice(&c->id_cred), cfg_slice(&c->item),
                                 cfg_slice(&c->private_key.value));
        e->own_count += err == OSP_OK;
    }
    return err;
}

size_t
osprey_edhoc_authority(const struct osprey_edhoc *e, struct osp_slice ders[CFG_CHAIN_MAX])
{
    const struct cfg_cred *ca = &e->file->trusted[e->chain_label].ca;

    for (size_t k = 0; k < ca->count; k++)
        ders[k] = cfg_slice(&ca->part[k]);
    return ca->count;
}

static enum osp_err
add_authority(struct osprey_edhoc *e, size_t i)
{
    struct osp_slice ders[CFG_CHAIN_MAX];

    e->chain_label = (uint32_t)i;
    return osp_x509_anchors_new(ders, osprey_edhoc_authority(e, ders), &e->anchors);
}

static enum osp_err
add_trusted(struct osprey_edhoc *e)
{
    enum osp_err err = OSP_OK;
    size_t       n = 0;

    e->list = calloc(e->file->trusted_count + 1, sizeof(*e->list));
    if (!e->list)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < e->file->trusted_count && err == OSP_OK; i++) {
        const struct cfg_credential *c = &e->file->trusted[i];

        if (c->ca.form != CFG_CRED_NONE) {
            err = add_authority(e, i);
            continue;
        }
        e->list[n].label = (uint32_t)i;
        err = osp_edhoc_cred_init(&e->list[n++].cred, cfg_slice(&c->id_cred), cfg_slice(&c->item));
    }
    return err == OSP_OK ? osp_edhoc_peers_init(&e->peers, e->list, n) : err;
}

bool
osprey_edhoc_load(struct osprey_edhoc *e, const char *spec, bool may_name)
{
    const char       *name;
    char             *file = osprey_spec_split(spec, may_name, &name);
    struct cfg_report report;
    enum osp_err      err = OSP_OK;

    memset(e, 0, sizeof(*e));
    if (!file)
        return false;
    cfg_report_to(&report, stderr);
    e->file = cfg_load_credentials(file, &report);
    if (e->file)
        err = add_own(e, name);
    if (e->file && err == OSP_OK)
        err = add_trusted(e);
    if (err != OSP_OK)
        fprintf(stderr, "osprey: %s: %s\n", file, osp_err_text(err));
    else if (e->file && e->own_count == 0)
        fprintf(stderr, "osprey: %s: has no credential of our own%s%s\n", file, name ? " called " : "", name ? name : "");
    free(file);
    return e->file && err == OSP_OK && e->own_count > 0;
}

void
osprey_edhoc_fini(struct osprey_edhoc *e)
{
    for (size_t i = 0; i < e->own_count; i++)
        osp_edhoc_own_fini(&e->own[i]);
    free(e->own);
    free(e->list);
    osp_x509_anchors_free(e->anchors);
    cfg_credentials_free(e->file);
    memset(e, 0, sizeof(*e));
}

const char *
osprey_edhoc_parse_suites(const char *text, struct osp_edhoc_suites *out)
{
    struct osp_edhoc_suites made = { .count = 0 };

    for (size_t i = 0; i == 0 || text[i - 1]; i += 2) {         /* a digit, then a comma or the end */
        int64_t v = text[i] - '0';

        if (v < 0 || v > SUITE_MAX || osp_edhoc_suites_has(&made, v) || (text[i + 1] && text[i + 1] != ','))
            return "not a list of different suites from 0 to 6, as in 2,0";
        made.value[made.count++] = v;
    }
    *out = made;
    return NULL;
}

/* ---- whom the client expects ---- */

static size_t
find_trusted(const struct osprey_edhoc *e, const char *name)
{
    size_t i = 0;

    while (i < e->file->trusted_count && strcmp(e->file->trusted[i].name, name) != 0)
        i++;
    return i;
}

/*
 * One peer is expected: a credential, or an authority and a name.  To accept any trusted peer would not be enough: a trusted
 * proxy could then pass for the origin.
 */
static const char *
expect(const struct osprey_edhoc *e, const struct osprey_edhoc_want *want, struct osprey_edhoc_plan *plan)
{
    size_t i = want->peer ? find_trusted(e, want->peer) : 0;
    bool   known = i < e->file->trusted_count;

    if (e->file->trusted_count == 0)
        return "no credential is trusted in the file of --edhoc";
    if (!want->peer && e->file->trusted_count > 1)
        return "several credentials are trusted in the file of --edhoc: say which one it has to be, with edhoc=NAME";
    plan->peer = want->peer ? want->peer : e->file->trusted[0].name;
    if (known && e->file->trusted[i].ca.form == CFG_CRED_NONE) {
        for (size_t k = 0; k < e->peers.count; k++)
            if (e->list[k].label == i)
                plan->one = e->list[k];
        return osp_edhoc_peers_init(&plan->only, &plan->one, 1) == OSP_OK ? NULL : "out of memory";
    }
    if (!known && !e->anchors)
        return "no credential of this name is trusted in the file of --edhoc";
    plan->by_name = known ? want->host : osp_slice_str(want->peer);
    plan->profile.anchors = e->anchors;
    plan->profile.chain_label = e->chain_label;
    return NULL;
}

static bool
own_has(const struct osprey_edhoc_plan *plan, int curve)
{
    for (size_t i = 0; i < plan->profile.own_count; i++)
        if (plan->profile.own[i].cred.key.curve == curve)
            return true;
    return false;
}

/* True if the peer's credential is not known yet, so that it may be of any kind. */
static bool
peer_has(const struct osprey_edhoc_plan *plan, int curve)
{
    return plan->only.count == 0 || plan->only.list[0].cred.key.curve == curve;
}

/* Whose key can do what with these curves; static keys first, their messages are shorter [rfc9528#3.2]. */
static int
method_for(const struct osprey_edhoc_plan *plan, const struct osp_edhoc_suite *s)
{
    int  sign = osp_edhoc_sign_curve(s);
    bool i_dh = own_has(plan, s->curve), i_sign = own_has(plan, sign);
    bool r_dh = peer_has(plan, s->curve), r_sign = peer_has(plan, sign);

    if (i_dh && r_dh)
        return 3;
    if (i_dh && r_sign)
        return 2;
    if (i_sign && r_sign)
        return 0;
    return i_sign && r_dh ? 1 : -1;
}

static bool
method_suits(const struct osprey_edhoc_plan *plan, const struct osp_edhoc_suite *s, int method)
{
    int sign = osp_edhoc_sign_curve(s);

    return own_has(plan, method >= 2 ? s->curve : sign) && peer_has(plan, method == 1 || method == 3 ? s->curve : sign);
}

int
osprey_edhoc_method(const struct osprey_edhoc_plan *plan, int64_t suite)
{
    const struct osp_edhoc_suite *s = osp_edhoc_suite(suite);
    bool                          unknown_peer = plan->only.count == 0;

    if (!s)
        return -1;
    if (plan->method >= 0)
        return method_suits(plan, s, plan->method) ? plan->method : -1;
    if (unknown_peer)           /* it most likely has a key of our kind */
        return own_has(plan, s->curve) ? 3 : own_has(plan, osp_edhoc_sign_curve(s)) ? 0 : -1;
    return method_for(plan, s);
}

static const char *
choose_suites(const struct osprey_edhoc_want *want, struct osprey_edhoc_plan *plan)
{
    static const struct osp_edhoc_suites usual = { { 2, 0 }, 2 };
    const struct osp_edhoc_suites       *from = want->suites.count ? &want->suites : &usual;
    struct osp_edhoc_suites             *to = &plan->profile.suites;

    for (size_t i = 0; i < from->count; i++)
        if (osprey_edhoc_method(plan, from->value[i]) >= 0)
            to->value[to->count++] = from->value[i];
    return to->count ? NULL : "no suite and method suit the keys of both credentials";
}

const char *
osprey_edhoc_plan(const struct osprey_edhoc *e, const struct osprey_edhoc_want *want, struct osprey_edhoc_plan *plan)
{
    const char *wrong;

    memset(plan, 0, sizeof(*plan));
    plan->method = want->method;
    plan->profile.methods = 0x0f;
    plan->profile.own = e->own;
    plan->profile.own_count = e->own_count;
    plan->profile.find = osp_edhoc_peers_find;
    plan->profile.find_ctx = &plan->only;
    wrong = expect(e, want, plan);
    return wrong ? wrong : choose_suites(want, plan);
}

bool
osprey_edhoc_is_expected(const struct osprey_edhoc_plan *plan, const struct osp_edhoc_who *who)
{
    size_t n = strlen(who->name);

    if (!who->by_chain)
        return plan->only.count == 1 && who->label == plan->only.list[0].label;
    return n > 0 && n == plan->by_name.n && strncasecmp(who->name, (const char *)plan->by_name.p, n) == 0;
}
