/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/group share and nobody else sees. */
#ifndef OSP_GROUP_IMPL_H
#define OSP_GROUP_IMPL_H

#include <stdatomic.h>

#include "base/lock.h"
#include "crypto/digest.h"
#include "crypto/pk.h"
#include "group/parts.h"

#define GRP_INFO_MAX 128
#define GRP_OPTION_MAX 255      /* bytes of an OSCORE option */
#define GRP_AAD_MAX (2 * OSP_CREDENTIAL_MAX + GRP_OPTION_MAX + 256)

struct grp_id { uint8_t bytes[OSP_OSCORE_ID_MAX], len; };

/* A Recipient Context; the fields above `window` are constant after osp_group_new(). */
struct grp_member {
    struct grp_id        id;
    struct osp_slice     credential;            /* borrowed from osp_group.bytes */
    struct osp_group_key key;
    uint8_t              recipient_key[OSP_AEAD_KEY_MAX];
    uint8_t              to[OSP_AEAD_KEY_MAX], from[OSP_AEAD_KEY_MAX];  /* pairwise keys */
    struct osp_replay    window;
    bool                 window_known, echo_set;
    uint8_t              echo[OSP_ECHO_LEN];
};

struct osp_group {
    atomic_uint          refs;
    int                  hkdf, aead, agreement, group_enc, signature;
    const struct osp_aead_info *pairwise, *signed_enc;  /* NULL: the mode is not used */
    uint8_t              gid[OSP_GROUP_GID_MAX];
    size_t               gid_len;
    uint8_t              common_iv[OSP_AEAD_NONCE_MAX], iv_len;
    uint8_t              signature_key[OSP_AEAD_KEY_MAX];
    uint8_t              key_len;               /* length of Sender and Recipient Keys */
    struct osp_slice     gm_credential;

    bool                 has_det, has_self;
    struct grp_id        det_id;
    int                  det_hash;
    uint8_t              det_key[OSP_AEAD_KEY_MAX];

    struct grp_id        self_id;
    struct osp_slice     self_credential;
    uint8_t              sender_key[OSP_AEAD_KEY_MAX];
    uint8_t              private_key[32];

    struct osp_lock      lock;                  /* guards sequence numbers, windows and Echo values */
    uint64_t             ssn_next, ssn_limit;

    struct grp_member   *members;
    size_t               member_count;
    uint8_t             *bytes;                 /* owned: all credentials */
};

static inline struct osp_slice
grp_id(const struct grp_id *id)
{
    return osp_slice(id->bytes, id->len);
}

/* Takes the next sequence number.  OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED. */
enum osp_err grp_take_ssn(struct osp_group *g, uint64_t *ssn);

/* Index of the member with this ID; member_count if no member has it. */
size_t grp_member_find(const struct osp_group *g, struct osp_slice id);

/* The replay window of a member; see octx_may_open() and octx_window_commit() in lib/oscore. */
bool grp_window_is_fresh(struct osp_group *g, size_t member, uint64_t piv);
enum osp_err grp_window_commit(struct osp_group *g, size_t member, uint64_t piv, struct osp_msg *request);

/* keys.c: derives all keys, after the identities are set.  OSP_E_INVALID: the key of member *bad is not on its curve. */
enum osp_err grp_derive(struct osp_group *g, struct osp_slice master_secret, struct osp_slice master_salt, size_t *bad);

#endif
