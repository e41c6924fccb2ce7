/* SPDX-License-Identifier: BSD-2-Clause */
#include "oscore/recipe.h"

#include <stdlib.h>

static void
copy_text(const char *from, char *to, size_t cap)
{
    struct osp_slice s = osp_slice_head(osp_slice_str(from), cap - 1);

    (void)osp_slice_copy(s, to, cap - 1);
    to[s.n] = '\0';
}

enum osp_err
osp_recipe_new(const struct osp_octx_params *p, const char *name, const char *peer, struct osp_recipe **out)
{
    struct osp_recipe *m = calloc(1, sizeof(*m));
    struct osp_wr      w;
    enum osp_err       e;
    struct osp_key_limits limits = osp_key_limits_default(p->aead);

    if (!m)
        return OSP_E_NOMEM;
    w = osp_wr_to(m->bytes, sizeof(m->bytes));
    m->params = *p;
    m->params.master_secret = osp_wr_keep(&w, p->master_secret);
    m->params.master_salt = osp_wr_keep(&w, p->master_salt);
    m->params.sender_id = osp_wr_keep(&w, p->sender_id);
    m->params.recipient_id = osp_wr_keep(&w, p->recipient_id);
    m->params.id_context = osp_wr_keep(&w, p->has_id_context ? p->id_context : OSP_EMPTY);
    copy_text(name, m->name, sizeof(m->name));
    copy_text(peer, m->peer, sizeof(m->peer));
    e = osp_wr_bad(&w) ? OSP_E_INVALID : osp_octx_new(&m->params, &m->octx);
    m->params.subject = OSP_EMPTY;      /* the context has a copy of the subject */
    if (e != OSP_OK) {
        osp_recipe_free(m);
        return e;
    }
    limits.stop = true;         /* EDHOC can make another context, so this one may stop */
    limits.l = 0;               /* no limit: a body is protected as a whole, and limits.max-body bounds it */
    osp_octx_set_limits(m->octx, &limits);
    osp_octx_usage_restore(m->octx, 0, 0);
    *out = m;
    return OSP_OK;
}

void
osp_recipe_wipe(struct osp_recipe *m)
{
    osp_wipe(m->bytes, sizeof(m->bytes));
    m->params.master_secret = m->params.master_salt = OSP_EMPTY;
    m->params.sender_id = m->params.recipient_id = m->params.id_context = OSP_EMPTY;
}

void
osp_recipe_free(struct osp_recipe *m)
{
    if (!m)
        return;
    osp_octx_unref(m->octx);
    osp_recipe_wipe(m);
    free(m);
}

/* ---- the written form: numbers of fixed length; a length byte stands before each string ---- */

static void
put_string(struct osp_wr *w, struct osp_slice s)
{
    osp_wr_u8(w, (uint8_t)s.n);
    osp_wr_put(w, s);
}

void
osp_recipe_write(const struct osp_recipe *m, struct osp_wr *w)
{
    const struct osp_octx_params *p = &m->params;

    osp_wr_u32(w, (uint32_t)p->aead);
    osp_wr_u32(w, (uint32_t)p->hkdf);
    osp_wr_u8(w, p->has_id_context);
    put_string(w, p->master_secret);
    put_string(w, p->master_salt);
    put_string(w, p->sender_id);
    put_string(w, p->recipient_id);
    put_string(w, p->id_context);
    put_string(w, osp_slice_str(m->name));
    put_string(w, osp_slice_str(m->peer));
    osp_wr_u8(w, m->leads);
}

static struct osp_slice
get_string(struct osp_rd *r)
{
    return osp_rd_take(r, osp_rd_u8(r));
}

static void
get_text(struct osp_rd *r, char *to, size_t cap)
{
    struct osp_slice s = osp_slice_head(get_string(r), cap - 1);

    (void)osp_slice_copy(s, to, cap - 1);
    to[s.n] = '\0';
}

enum osp_err
osp_recipe_read(struct osp_rd *r, struct osp_recipe **out)
{
    struct osp_octx_params p = { 0 };
    char                   name[OSP_RECIPE_NAME_MAX], peer[OSP_RECIPE_PEER_MAX];
    bool                   leads;
    enum osp_err           e;

    p.aead = (int32_t)osp_rd_u32(r);
    p.hkdf = (int32_t)osp_rd_u32(r);
    p.has_id_context = osp_rd_u8(r) != 0;
    p.master_secret = get_string(r);
    p.master_salt = get_string(r);
    p.sender_id = get_string(r);
    p.recipient_id = get_string(r);
    p.id_context = get_string(r);
    get_text(r, name, sizeof(name));
    get_text(r, peer, sizeof(peer));
    leads = osp_rd_u8(r) != 0;
    if (osp_rd_bad(r))
        return OSP_E_FORMAT;
    if (!leads)
        p.subject = osp_slice_str(peer);
    e = osp_recipe_new(&p, name, peer, out);
    if (e == OSP_OK)
        (*out)->leads = leads;
    return e;
}
