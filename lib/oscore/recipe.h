/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A context that was made at run time, with what it was made from: whoever keeps it has to be able to write it down.
 *
 * The secrets are wiped by osp_recipe_wipe() as soon as they are written, and by osp_recipe_free().
 */
#ifndef OSP_OSCORE_RECIPE_H
#define OSP_OSCORE_RECIPE_H

#include "oscore/context.h"

#define OSP_RECIPE_BYTES_MAX 192  /* secret, salt, IDs and ID Context together */
#define OSP_RECIPE_NAME_MAX 64
#define OSP_RECIPE_PEER_MAX 128
#define OSP_RECIPE_LABEL 0x80000000u      /* labels of contexts that EDHOC made: this and the number of the credential */

struct osp_recipe {
    struct osp_octx       *octx;        /* one reference */
    struct osp_octx_params params;      /* borrows from `bytes` */
    char                   name[OSP_RECIPE_NAME_MAX];   /* of the credential */
    char                   peer[OSP_RECIPE_PEER_MAX];   /* who it is, for people: a kid, a subject; or where it leads */
    bool                   leads;       /* we asked for it, to reach `peer`: that is its purpose */
    uint8_t                bytes[OSP_RECIPE_BYTES_MAX];
};

/*
 * Derives the context of `p` and notes what it was made from; names that are too long are cut short.  p->subject is not noted: it
 * is `peer` of a context that does not lead anywhere.
 * Its keys have the limits of their algorithm, and end there.  The caller owns the result.
 * As osp_octx_new(); OSP_E_INVALID: more than OSP_RECIPE_BYTES_MAX bytes.
 */
OSP_CHECKED enum osp_err osp_recipe_new(const struct osp_octx_params *p, const char *name, const char *peer,
                                        struct osp_recipe **out);
void osp_recipe_free(struct osp_recipe *m); /* drops the reference. NULL is fine */

/* The secrets are not needed any more. */
void osp_recipe_wipe(struct osp_recipe *m);

/* Appends what osp_recipe_read() needs. Latches. */
void osp_recipe_write(const struct osp_recipe *m, struct osp_wr *w);

/* The other way; the context is derived anew.  OSP_E_FORMAT: not what was written.  As osp_recipe_new(). */
OSP_CHECKED enum osp_err osp_recipe_read(struct osp_rd *r, struct osp_recipe **out);

#endif
