/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials for EDHOC as the client and the demo origin use them: an EDHOC.yaml (config/file_edhoc.h) made ready for
 * lib/edhoc, and what of it suits one peer.
 */
#ifndef OSP_DAEMON_OSPREY_KEYS_EDHOC_H
#define OSP_DAEMON_OSPREY_KEYS_EDHOC_H

#include "config/file_edhoc.h"
#include "edhoc/edhoc.h"

/* Content-Formats [rfc9528#10.11] */

struct osprey_edhoc {
    struct cfg_credentials  *file;
    struct osp_edhoc_own    *own;
    size_t                   own_count;
    struct osp_edhoc_peer   *list;
    struct osp_edhoc_peers   peers;         /* over `list`, without the authority; labels are indices of file->trusted */
    struct osp_x509_anchors *anchors;       /* NULL: no authority is trusted */
    uint32_t                 chain_label;   /* label of the authority */
};

/*
 * Loads "FILE", or with `may_name` "FILE#NAME", which uses only that own credential.  False: it cannot be used, which was said
 * on standard error.  The caller calls osprey_edhoc_fini() in both cases.
 */
bool osprey_edhoc_load(struct osprey_edhoc *e, const char *spec, bool may_name);
void osprey_edhoc_fini(struct osprey_edhoc *e);

/* The certificates of the trusted authority, borrowed; returns how many. */
size_t osprey_edhoc_authority(const struct osprey_edhoc *e, struct osp_slice ders[CFG_CHAIN_MAX]);

/* Reads suites in order of preference, such as "2" or "2,0"; returns NULL, or what is wrong. */
const char *osprey_edhoc_parse_suites(const char *text, struct osp_edhoc_suites *out);

/* ---- whom the client expects ---- */

/* `method` below 0, and no suites: they are chosen by the keys of both sides. */
struct osprey_edhoc_want {
    const char             *peer;       /* name of a trusted credential, or the name in a certificate; NULL: the only one */
    struct osp_slice        host;       /* of the URI: a certificate has to name it if `peer` is NULL */
    int                     method;
    struct osp_edhoc_suites suites;
};

/* One peer, and what to say to it. */
struct osprey_edhoc_plan {
    struct osp_edhoc_profile profile;   /* borrows from this struct and from the credentials */
    struct osp_edhoc_peer    one;       /* the credential that is expected, if it is known */
    struct osp_edhoc_peers   only;      /* `one`, or empty if the peer is accepted by chain */
    struct osp_slice         by_name;   /* by chain: the name that its certificate has to have */
    const char              *peer;      /* what to call it */
    int                      method;
};

/* Makes `plan`, which must not move afterwards.  Returns NULL, or what is wrong. */
const char *osprey_edhoc_plan(const struct osprey_edhoc *e, const struct osprey_edhoc_want *want,
                              struct osprey_edhoc_plan *plan);

/* The method to use with `suite`, as the keys of both sides allow; -1: no method. */
int osprey_edhoc_method(const struct osprey_edhoc_plan *plan, int64_t suite);

/* True if the peer that was proven is the one that was expected. */
bool osprey_edhoc_is_expected(const struct osprey_edhoc_plan *plan, const struct osp_edhoc_who *who);

#endif
