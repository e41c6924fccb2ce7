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
    struct osp_edhoc_peers   peers;         /* `list` without the authority; their labels are indices of file->trusted */
    struct osp_x509_anchors *anchors;       /* NULL: no authority is trusted */
    uint32_t                 chain_label;   /* of the authority */
};

/*
 * Loads "FILE", or where `may_name` "FILE#NAME", which uses only that credential of our own.  Says on standard error what is
 * wrong and returns false.  osprey_edhoc_fini() either way.
 */
bool osprey_edhoc_load(struct osprey_edhoc *e, const char *spec, bool may_name);
void osprey_edhoc_fini(struct osprey_edhoc *e);

/* The certificates of the authority that is trusted, borrowed; how many. */
size_t osprey_edhoc_authority(const struct osprey_edhoc *e, struct osp_slice ders[CFG_CHAIN_MAX]);

/* "2" or "2,0": suites in order of preference; NULL, or what is wrong. */
const char *osprey_edhoc_parse_suites(const char *text, struct osp_edhoc_suites *out);

/* ---- whom the client expects ---- */

/* `method` below 0 and no suites: to be chosen by the keys of both sides. */
struct osprey_edhoc_want {
    const char             *peer;       /* name of a trusted credential, or the name in a certificate; NULL: the only one */
    struct osp_slice        host;       /* of the URI: whom a certificate has to name when `peer` does not say */
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

/* NULL when `plan` is made, else what is wrong.  `plan` must not move afterwards. */
const char *osprey_edhoc_plan(const struct osprey_edhoc *e, const struct osprey_edhoc_want *want,
                              struct osprey_edhoc_plan *plan);

/* The method to use with `suite`, of those that the keys of both sides allow; -1: none. */
int osprey_edhoc_method(const struct osprey_edhoc_plan *plan, int64_t suite);

/* Whether it is the one that was expected. */
bool osprey_edhoc_is_expected(const struct osprey_edhoc_plan *plan, const struct osp_edhoc_who *who);

#endif
