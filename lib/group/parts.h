/* SPDX-License-Identifier: BSD-2-Clause */
/* Building blocks of Group OSCORE, exported for the vectors: raw keys and the bytes that are authenticated. */
#ifndef OSP_GROUP_PARTS_H
#define OSP_GROUP_PARTS_H

#include "group/group.h"

/* Raw keys, borrowed; a key is empty if the group does not use it. */
struct osp_group_keys { struct osp_slice common_iv, signature_key, sender_key, det_key; };
struct osp_group_keys osp_group_keys(const struct osp_group *g);

/* Keys shared with a member: its Sender Key (our Recipient Key), and the pairwise keys in both directions. */
struct osp_group_member_keys { struct osp_slice recipient_key, to_member, from_member; };
struct osp_group_member_keys osp_group_member_keys(const struct osp_group *g, size_t i);

/*
 * The static-static Diffie-Hellman secret of two key pairs [gosc#2.5.1]; Ed25519 keys are mapped to X25519 [gosc#2.5.2].
 *   OSP_E_INVALID   a key is not on the curve, or has small order
 */
OSP_CHECKED enum osp_err osp_group_shared_secret(int curve, const uint8_t priv[32], struct osp_slice peer, uint8_t out[32]);

/* The parts of the AAD of one message [gosc#3.4]. */
struct osp_group_aad {
    struct osp_slice request_kid, request_piv;
    struct osp_slice options;           /* Class I options, encoded */
    struct osp_slice oscore_option;     /* value of the message's own OSCORE option */
    struct osp_slice sender_cred;       /* empty: the sender is the Deterministic Client */
};

/* Writes aad_array.  OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_group_aad_array(const struct osp_group *g, const struct osp_group_aad *a, struct osp_wr *w);
/* Writes Enc_structure, the AAD of the AEAD.  OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_group_enc_structure(struct osp_slice aad_array, struct osp_wr *w);
/* Writes Countersign_structure, the bytes that are signed [gosc#3.1].  OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_group_sign_structure(struct osp_slice aad_array, struct osp_slice ciphertext, struct osp_wr *w);
/* Writes Request-Hash as a Class I option, encoded with its delta from 0 [cacheable#3.4.4].  OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_group_class_i(struct osp_slice hash, struct osp_wr *w);

/* The keystream that encrypts a signature [gosc#4.2]; `id` is the member that generated `piv`. */
OSP_CHECKED enum osp_err osp_group_keystream(const struct osp_group *g, struct osp_slice id, struct osp_slice piv, bool request,
                                             uint8_t *out, size_t n);

/* The Request-Hash of a request [cacheable#3.4.2] step 2; osp_digest_len() bytes. */
OSP_CHECKED enum osp_err osp_group_request_hash(const struct osp_group *g, struct osp_slice aad_array, struct osp_slice plain,
                                                uint8_t out[64]);

/* The key of the deterministic request with this hash [cacheable#3.4.2] step 3; it has the key length of the AEAD. */
OSP_CHECKED enum osp_err osp_group_det_request_key(const struct osp_group *g, struct osp_slice hash, uint8_t *out);

#endif
