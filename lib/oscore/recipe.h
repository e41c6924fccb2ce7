/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recipe of a context that was made at run time: the context, and the parameters it was derived from, so that whoever keeps
 * the context can write it down and derive it anew.
 *
 * osp_recipe_wipe() wipes the secrets once they are written down; osp_recipe_free() wipes them too.
 */
#ifndef OSP_OSCORE_RECIPE_H
#define OSP_OSCORE_RECIPE_H

#include "oscore/context.h"

#define OSP_RECIPE_BYTES_MAX 192  /* secret, salt, IDs and ID Context together */
#define OSP_RECIPE_NAME_MAX 64
#define OSP_RECIPE_PEER_MAX 128
#define OSP_RECIPE_LABEL 0x80000000u      /* bit in the label of each context made by EDHOC; the rest numbers the credential */

struct osp_recipe {
    struct osp_octx       *octx;        /* one reference */
    struct osp_octx_params params;      /* borrows from `bytes` */
    char                   name[OSP_RECIPE_NAME_MAX];   /* name of the credential */
    char                   peer[OSP_RECIPE_PEER_MAX];   /* the purpose if `leads`, else who the peer is (a kid, a subject) */
    bool                   leads;       /* we asked for this context, and its purpose is `peer` (runtime.h) */
    uint8_t                bytes[OSP_RECIPE_BYTES_MAX];
};

/*
 * Derives the context of `p` and copies the parameters.  Names that are too long are cut short.  p->subject is given to the
 * context but not copied into the recipe: when the recipe is read back, `peer` takes its place, unless `leads`.
 * The keys have the default limits of their algorithm and stop being used there.  The caller owns the result.
 *   OSP_E_INVALID   the parameters are longer than OSP_RECIPE_BYTES_MAX bytes together
 *   OSP_E_NOMEM, and the errors of osp_octx_new()
 */
OSP_CHECKED enum osp_err osp_recipe_new(const struct osp_octx_params *p, const char *name, const char *peer,
                                        struct osp_recipe **out);
void osp_recipe_free(struct osp_recipe *m); /* drops the reference to the context; NULL is accepted */

/* Wipes the secrets.  After that the recipe cannot be written any more. */
void osp_recipe_wipe(struct osp_recipe *m);

/* Appends the recipe in the form that osp_recipe_read() reads.  The writer latches when there is no room. */
void osp_recipe_write(const struct osp_recipe *m, struct osp_wr *w);

/*
 * Reads a recipe that osp_recipe_write() wrote, and derives its context anew.  The caller owns the result.
 *   OSP_E_FORMAT   the bytes are not what osp_recipe_write() writes
 *   and the errors of osp_recipe_new()
 */
OSP_CHECKED enum osp_err osp_recipe_read(struct osp_rd *r, struct osp_recipe **out);

#endif
