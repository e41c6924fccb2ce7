/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/keys/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"

static void
context_free(struct osprey_context *c)
{
    struct osp_ssn ssn;

    if (!c)
        return;
    if (c->sec.octx && c->state) {
        ssn = osp_octx_ssn(c->sec.octx);
        if (ssn.next < ssn.limit)
            osprey_state_give_back(c->state, c->keys.sender, ssn.next, ssn.limit);
    }
    if (c->sec.octx)
        osp_octx_unref(c->sec.octx);
    free(c->name);
    free(c);
}

void
osprey_contexts_free(struct osprey_contexts *set)
{
    for (size_t i = 0; i < set->count; i++)
        context_free(set->items[i]);
    free(set->items);
    memset(set, 0, sizeof(*set));
}

static enum osp_err
context_new(const struct osp_octx_params *p, const char *name, bool fresh, struct osprey_context **out)
{
    struct osprey_context *c = calloc(1, sizeof(*c));
    enum osp_err           e;

    if (!c)
        return OSP_E_NOMEM;
    c->name = strdup(name);
    c->fresh = fresh;
    e = c->name ? osp_octx_fingerprint(p, c->old_fp) : OSP_E_NOMEM;
    if (e == OSP_OK)
        e = osp_octx_new(p, &c->sec.octx);
    if (e == OSP_OK)
        e = osp_octx_key_names(c->sec.octx, &c->keys);
    if (e != OSP_OK) {
        context_free(c);
        return e;
    }
    c->sec.name = c->name;
    *out = c;
    return OSP_OK;
}

enum osp_err
osprey_context_add(struct osprey_contexts *set, const struct osp_octx_params *p, const char *name, bool fresh,
                   struct osprey_context **out)
{
    struct osprey_context **items = realloc(set->items, (set->count + 1) * sizeof(*items));
    struct osp_octx_params  labelled = *p;
    enum osp_err            e;

    if (!items)
        return OSP_E_NOMEM;
    set->items = items;
    labelled.label = (uint32_t)set->count;
    e = context_new(&labelled, name, fresh, &items[set->count]);
    if (e != OSP_OK)
        return e;
    items[set->count]->side = set->side;
    *out = items[set->count++];
    return OSP_OK;
}

static bool
add_context(struct osprey_contexts *set, const struct cfg_context *cfg)
{
    struct osp_octx_params p = {
        .aead = cfg->aead,
        .hkdf = cfg->hkdf,
        .master_secret = cfg_slice(&cfg->master_secret.value),
        .master_salt = cfg_slice(&cfg->master_salt.value),
        .sender_id = cfg_slice(&cfg->sender_id),
        .recipient_id = cfg_slice(&cfg->recipient_id),
        .has_id_context = cfg->has_id_context,
        .id_context = cfg_slice(&cfg->id_context),
    };
    struct osprey_context *made;
    enum osp_err           e;

    if (cfg->rekey != CFG_REKEY_NONE) {
        (void)fprintf(stderr, "osprey: context %s: `rekey` is for ospreyd, this program does not derive keys anew\n",
                      cfg->name ? cfg->name : "");
        return false;
    }
    e = osprey_context_add(set, &p, cfg->name ? cfg->name : "context", cfg->fresh, &made);
    if (e != OSP_OK)
        fprintf(stderr, "%s:%u: context %s: %s\n", cfg->pos.file ? cfg->pos.file : "context", cfg->pos.line,
                cfg->name ? cfg->name : "", osp_err_text(e));
    return e == OSP_OK;
}

/* Adds what `name` selects, NULL: all, or the only one. */
static bool
add_selected(struct osprey_contexts *set, const char *file, const char *name, bool all, const struct cfg_context *list,
             size_t count)
{
    bool found = false;

    if (!name && !all && count != 1) {
        fprintf(stderr, "osprey: %s holds %zu contexts; choose one with %s#NAME:", file, count, file);
        for (size_t i = 0; i < count; i++)
            fprintf(stderr, " %s", list[i].name ? list[i].name : "?");
        fputc('\n', stderr);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (name && (!list[i].name || strcmp(list[i].name, name) != 0))
            continue;
        if (!add_context(set, &list[i]))
            return false;
        found = true;
    }
    if (!found)
        fprintf(stderr, "osprey: %s holds no context %s\n", file, name ? name : "");
    return found;
}

char *
osprey_spec_split(const char *spec, bool may_name, const char **name)
{
    char *file = strdup(spec);
    char *mark = file && may_name ? strrchr(file, '#') : NULL;

    *name = NULL;
    if (!file) {
        fputs("osprey: out of memory\n", stderr);
        return NULL;
    }
    if (mark && access(file, F_OK) == -1) { /* a file may have the sign in its name */
        *mark = '\0';
        *name = mark + 1;
    }
    return file;
}

bool
osprey_context_load(struct osprey_contexts *set, const char *spec, bool all)
{
    const char         *name;
    char               *file = osprey_spec_split(spec, true, &name);
    size_t              count = 0;
    struct cfg_report   report;
    struct cfg_context *list;
    bool                ok;

    if (!file)
        return false;
    cfg_report_to(&report, stderr);
    list = cfg_load_contexts(file, &count, &report);
    ok = list && add_selected(set, file, name, all, list, count);
    cfg_contexts_free(list, count);
    free(file);
    return ok;
}

bool
osprey_context_enter(struct osprey_context *c, struct osprey_state *state)
{
    struct osprey_keys k = { &c->keys.sender, &c->keys.recipient, 1, c->old_fp };

    if (!c->entered && osprey_state_enter(state, c->side, &k) != OSP_OK) {
        fprintf(stderr, "osprey: context %s: %s\n", c->name, osprey_state_why());
        return false;
    }
    c->entered = true;
    return true;
}

bool
osprey_context_lease(struct osprey_context *c, struct osprey_state *state, uint64_t want, uint64_t block)
{
    struct osp_ssn ssn = osp_octx_ssn(c->sec.octx);
    uint64_t       first, limit;

    if (ssn.limit - ssn.next >= want)
        return true;
    if (!osprey_context_enter(c, state))
        return false;
    if (osprey_state_lease(state, c->keys.sender, block > want ? block : want, &first, &limit) != OSP_OK) {
        fprintf(stderr, "osprey: context %s: %s\n", c->name, osprey_state_why());
        return false;
    }
    c->state = state;
    osp_octx_grant(c->sec.octx, first, limit);
    return true;
}
