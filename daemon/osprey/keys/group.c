/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/keys/group.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/file_group.h"
#include "daemon/osprey/keys/context.h"

static struct osp_group_member
member_of(const struct cfg_group_member *m)
{
    struct osp_group_member out = { cfg_slice(&m->id), cfg_slice(&m->credential), cfg_slice(&m->public_key) };

    return out;
}

static enum osp_err
make(struct osprey_group *g, const struct cfg_group *cfg)
{
    struct osp_group_member *members = calloc(cfg->member_count + 1, sizeof(*members));
    struct osp_group_params  p = {
         .gid = cfg_slice(&cfg->gid),
         .master_secret = cfg_slice(&cfg->master_secret.value),
         .master_salt = cfg_slice(&cfg->master_salt.value),
         .gm_credential = cfg_slice(&cfg->manager_credential),
         .hkdf = cfg->hkdf,
         .aead = cfg->aead,
         .agreement = cfg->hkdf == OSP_HKDF_SHA512 ? OSP_ECDH_SS_HKDF512 : OSP_ECDH_SS_HKDF256,
         .group_enc = cfg->group_enc,
         .signature = cfg->signature,
         .has_det = true,
         .det_id = cfg_slice(&cfg->det.id),
         .det_hash = cfg->det.hash,
         .has_self = cfg->has_self,
         .self = member_of(&cfg->self),
         .private_key = cfg_slice(&cfg->private_key.value),
         .members = members,
         .member_count = cfg->member_count,
    };
    enum osp_err e;

    if (!members)
        return OSP_E_NOMEM;
    for (size_t i = 0; i < cfg->member_count; i++)
        members[i] = member_of(&cfg->members[i]);
    e = osp_group_fingerprint(&p, g->old_fp);
    if (e == OSP_OK)
        e = osp_group_new(&p, &g->sec.group, NULL);
    if (e == OSP_OK && cfg->has_self)
        e = osp_group_sender_name(g->sec.group, g->sender);
    free(members);
    return e;
}

/* The member that a client asks: the one that is named, or the only one. */
static bool
choose_server(struct osprey_group *g, const struct cfg_group *cfg, const char *file, const char *name)
{
    size_t i = 0;

    if (!name && cfg->member_count != 1) {
        fprintf(stderr, "osprey: %s has %zu members; choose the server with %s#NAME:", file, cfg->member_count, file);
        for (i = 0; i < cfg->member_count; i++)
            fprintf(stderr, " %s", cfg->members[i].name);
        fputc('\n', stderr);
        return false;
    }
    while (name && i < cfg->member_count && strcmp(cfg->members[i].name, name) != 0)
        i++;
    if (i == cfg->member_count) {
        fprintf(stderr, "osprey: %s has no member %s\n", file, name);
        return false;
    }
    g->sec.server = i;
    g->name = strdup(cfg->members[i].name);
    return g->name != NULL;
}

static bool
load(struct osprey_group *g, const char *file, const char *member, bool origin)
{
    struct cfg_report report;
    struct cfg_group *cfg;
    enum osp_err      e = OSP_OK;
    bool              ok = false;

    cfg_report_to(&report, stderr);
    cfg = cfg_load_group(file, &report);
    if (!cfg)
        return false;
    if (origin && !cfg->has_self) {
        fprintf(stderr, "osprey: %s has no self: nobody to sign the responses\n", file);
    } else if (origin) {
        g->name = strdup(file);
        ok = g->name != NULL;
    } else {
        ok = choose_server(g, cfg, file, member);
    }
    if (ok)
        e = make(g, cfg);
    if (e != OSP_OK)
        fprintf(stderr, "osprey: %s: %s\n", file, osp_err_text(e));
    g->sec.name = g->name;
    cfg_group_free(cfg);
    return ok && e == OSP_OK;
}

bool
osprey_group_load(struct osprey_group *g, const char *spec, bool origin)
{
    const char *name;
    char       *file = osprey_spec_split(spec, !origin, &name);
    bool        ok;

    if (!file)
        return false;
    ok = load(g, file, name, origin);
    free(file);
    return ok;
}

/* Records in the state what our keys and the keys of the members are used for. */
static enum osp_err
enter(struct osprey_group *g, struct osprey_state *state)
{
    size_t             count = osp_group_member_count(g->sec.group);
    uint8_t          (*names)[OSPREY_FP_LEN] = calloc(count + 1, sizeof(*names));
    struct osprey_keys k = { &g->sender, names, count, g->old_fp };
    enum osp_err       e = names ? OSP_OK : OSP_E_NOMEM;

    for (size_t i = 0; i < count && e == OSP_OK; i++)
        e = osp_group_member_name(g->sec.group, i, names[i]);
    if (e == OSP_OK)
        e = osprey_state_enter(state, OSPREY_ORIGIN, &k);
    g->entered = e == OSP_OK;
    free(names);
    return e;
}

bool
osprey_group_lease(struct osprey_group *g, struct osprey_state *state, uint64_t want, uint64_t block)
{
    struct osp_ssn ssn = osp_group_ssn(g->sec.group);
    uint64_t       first, limit;

    if (ssn.limit - ssn.next >= want)
        return true;
    if ((!g->entered && enter(g, state) != OSP_OK) ||
        osprey_state_lease(state, g->sender, block > want ? block : want, &first, &limit) != OSP_OK) {
        fprintf(stderr, "osprey: group %s: %s\n", g->name, osprey_state_why());
        return false;
    }
    g->state = state;
    osp_group_grant(g->sec.group, first, limit);
    return true;
}

void
osprey_group_fini(struct osprey_group *g)
{
    if (g->sec.group && g->state) {
        struct osp_ssn ssn = osp_group_ssn(g->sec.group);

        if (ssn.next < ssn.limit)
            osprey_state_give_back(g->state, g->sender, ssn.next, ssn.limit);
    }
    osp_group_unref(g->sec.group);
    free(g->name);
    memset(g, 0, sizeof(*g));
}
