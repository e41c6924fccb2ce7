/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GROUP.yaml: what the Group Manager gave to a member of an OSCORE group, or to a client that only makes deterministic
 * requests in it [gosc#2] [cacheable#3.4.1].  Read and judged like the configuration: every error in one run.
 *
 *   gid: { hex: dd11 }
 *   master-secret: { file: group.secret }
 *   master-salt: { hex: 9e7ca92223786340 }
 *   manager-credential: { hex: a5.. }
 *   deterministic-client: { id: { hex: dc } }
 *   self:                                        # left out: we only make deterministic requests
 *     id: { hex: "52" }
 *     credential: { hex: a5.. }
 *     private-key: { file: server.key }
 *   members:
 *     - name: client-1
 *       id: { hex: "25" }
 *       credential: { hex: a5.. }
 */
#ifndef OSP_CONFIG_FILE_GROUP_H
#define OSP_CONFIG_FILE_GROUP_H

#include "config/config.h"

struct cfg_group_member {
    char            *name;
    struct cfg_bytes id, credential;
    struct cfg_bytes public_key;        /* empty: the public key is the one in the credential */
    struct cfg_pos   pos;
};

struct cfg_group {
    struct cfg_bytes  gid, manager_credential;
    struct cfg_secret master_secret, master_salt;
    int               aead, group_enc, hkdf;    /* COSE algorithm numbers */
    int               signature;                /* COSE algorithm number: -8 EdDSA, -7 ES256 */
    struct { struct cfg_bytes id; int hash; } det;
    bool              has_self;
    struct cfg_group_member  self;              /* without a name */
    struct cfg_secret        private_key;
    struct cfg_group_member *members; size_t member_count;
    unsigned          signature_choice, hash_choice;    /* private */
    struct cfg_pos    self_pos;
};

/* Loads the file `path`.  NULL: it has errors, all of which went to `r`.  The caller frees the result. */
struct cfg_group *cfg_load_group(const char *path, struct cfg_report *r);

/* Wipes and frees everything. NULL is fine. */
void cfg_group_free(struct cfg_group *g);

#endif
