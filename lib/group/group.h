/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group OSCORE: one Security Context of a group, as one of its members sees it; pairwise mode, group mode for
 * two endpoints, and deterministic requests [gosc#2] [cacheable#3].
 *
 * The model.  All members share a Master Secret, so each can derive every member's symmetric key; who said
 * something follows from key pairs:
 *
 *   group mode      encrypted under the sender's key, which all know, and signed (Group Flag 1)
 *   pairwise mode   encrypted under a key that also hashes in the Diffie-Hellman secret of the two (Group Flag 0)
 *   deterministic   encrypted under a key made of the request itself, in the name of a member that does not exist,
 *                   the Deterministic Client.  Every client makes the same bytes, so a proxy that knows nothing
 *                   of the group can answer the second one from its cache.  The hash of the request travels in
 *                   the Request-Hash option and is what binds the (signed) response to it.
 *
 * A response is tied to its request by a struct osp_group_layer, as in lib/oscore.  Results borrow from the input
 * message and the scratch writer; after an error `out` and what was written mean nothing.
 *
 * What must never happen: two messages under one key and nonce.  Numbers come from one space for all modes
 * [gosc#2.5.3] and are used below a limit that the owner made durable before [rfc8613#B.1.1]; a deterministic
 * request takes none, since its key is used for these bytes alone.
 *
 * Not here: rekeying (a new Security Context is a new object; a layer stays with the old one), requests to several
 * servers at once, algorithms without integrity protection in group mode.
 *
 * Shared by threads like struct osp_octx: what does not change after osp_group_new() is read freely, numbers, replay
 * windows and Echo values are guarded by a lock.
 */
#ifndef OSP_GROUP_GROUP_H
#define OSP_GROUP_GROUP_H

#include "group/credential.h"
#include "oscore/oscore.h"

#define OSP_GROUP_GID_MAX 64
#define OSP_GROUP_MEMBERS_MAX 1024

/* COSE algorithms of the pairwise key agreement [rfc9053#6.3.1] */
enum osp_agreement { OSP_ECDH_SS_HKDF256 = -27, OSP_ECDH_SS_HKDF512 = -28 };

struct osp_group_member {
    struct osp_slice id;
    struct osp_slice credential;        /* as the Group Manager hands it out */
    struct osp_slice public_key;        /* empty: the one in the credential, a CWT Claims Set */
};

struct osp_group_params {
    struct osp_slice gid;               /* ID Context */
    struct osp_slice master_secret, master_salt;
    struct osp_slice gm_credential;     /* Group Manager's */
    int              hkdf;              /* OSP_HKDF_* */
    int              aead;              /* pairwise mode; 0: not set */
    int              agreement;         /* enum osp_agreement; 0: not set */
    int              group_enc;         /* group mode, an AEAD; 0: not set */
    int              signature;         /* enum osp_sign; 0: not set */
    bool             has_det;           /* there is a Deterministic Client [cacheable#3.4.1] */
    struct osp_slice det_id;
    int              det_hash;          /* enum osp_digest */
    bool             has_self;          /* false: we only make deterministic requests */
    struct osp_group_member self;
    struct osp_slice private_key;       /* 32 bytes */
    const struct osp_group_member *members;     /* the others */
    size_t           member_count;
};

struct osp_group;

/*
 * Derives all keys [gosc#2.3] [gosc#2.5.1].
 *   OSP_E_ALGORITHM   not supported, or they do not go together: pairwise mode takes `aead` and the `agreement` of the
 *                     HKDF, group mode takes `group_enc` and `signature`, a Deterministic Client takes all four
 *   OSP_E_ID_LENGTH   an ID is longer than the shortest nonce less 6 bytes, or the gid over OSP_GROUP_GID_MAX
 *   OSP_E_EXISTS      two members, or one and the Deterministic Client, have the same ID
 *   OSP_E_INVALID     a credential or public key is no good, the private key is not that of `self`, too many members;
 *                     *bad (if not NULL) is the member's index, or member_count for `self`
 *   OSP_E_NOMEM, OSP_E_CRYPTO
 * It has one reference, the caller's.
 */
OSP_CHECKED enum osp_err osp_group_new(const struct osp_group_params *p, struct osp_group **out, size_t *bad);
void osp_group_ref(struct osp_group *g);
void osp_group_unref(struct osp_group *g);      /* the last one wipes and frees it */

/* Borrowed, constant for its life. */
struct osp_slice osp_group_gid(const struct osp_group *g);
struct osp_slice osp_group_self(const struct osp_group *g);             /* our Sender ID; empty without one */
size_t osp_group_member_count(const struct osp_group *g);

/*
 * Names of keys, under which state is filed [gosc#2.5.3]: osp_key_name() of our Sender Key and of the one of a member.  All
 * modes take their numbers from the space of the Sender Key, and neither the AEAD of the pairwise mode nor the form of the
 * salt says anything about it.
 *   OSP_E_NOT_FOUND  there is no `self`, so nothing of ours takes a number.  OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_group_sender_name(const struct osp_group *g, uint8_t out[OSP_KEY_NAME_LEN]);
OSP_CHECKED enum osp_err osp_group_member_name(const struct osp_group *g, size_t member, uint8_t out[OSP_KEY_NAME_LEN]);

/* SHA-256 of values of the configuration. State written by older versions is filed under it; not of use for anything else. */
OSP_CHECKED enum osp_err osp_group_fingerprint(const struct osp_group_params *p, uint8_t out[32]);

/* ---- sender sequence numbers, as osp_octx_grant(), osp_octx_ssn() ---- */

void osp_group_grant(struct osp_group *g, uint64_t at_least, uint64_t limit);
struct osp_ssn osp_group_ssn(struct osp_group *g);

/* ---- replay windows, one per member; unknown until set ---- */

void osp_group_set_window(struct osp_group *g, size_t member, const struct osp_replay *w);
enum osp_window_state osp_group_get_window(struct osp_group *g, size_t member, struct osp_replay *out);

/* ---- the OSCORE option with the Group Flag [gosc#4.1] ---- */

struct osp_group_opt {
    struct osp_oscore_opt o;
    bool                  group_mode;
};

/* OSP_E_OSCORE_OPTION: reserved bits (not the Group Flag), bad lengths. */
OSP_CHECKED enum osp_err osp_group_opt_parse(struct osp_slice value, struct osp_group_opt *out);
OSP_CHECKED enum osp_err osp_group_opt_write(const struct osp_group_opt *o, struct osp_wr *w);

/* True if request `m` names this group: its kid context is the gid [gosc#6]. */
bool osp_group_is_named(const struct osp_group *g, const struct osp_msg *m);

/* ---- what a response has to know of its request ---- */

enum osp_group_mode { OSP_GROUP_PAIRWISE, OSP_GROUP_SIGNED, OSP_GROUP_DETERMINISTIC };

struct osp_group_layer {
    struct osp_group   *group;          /* one reference, dropped by osp_group_layer_fini() */
    enum osp_group_mode mode;           /* of the request */
    size_t              peer;           /* index of the member at the other end; of no meaning to the server of a
                                           deterministic request */
    uint8_t             kid[OSP_OSCORE_ID_MAX], kid_len;        /* request_kid */
    uint8_t             piv[5], piv_len;                        /* request_piv */
    uint8_t             hash[64], hash_len;                     /* Request-Hash */
    bool                nonce_used;     /* a response went out, or came in, under the request's nonce */
    bool                observe;        /* the request had an Observe option */
    bool                observe_outer;  /* ... also outside: an observation is meant */
    uint64_t            last_piv;       /* client side: highest Partial IV accepted + 1 */
};

void osp_group_layer_fini(struct osp_group_layer *l);

/* ---- client side ---- */

/*
 * Makes the deterministic request of `in` [cacheable#3.4.2].  It is meant for member `server`.
 * An Observe option of `in` goes inside, and outside too when `observe`: then an observation is meant.
 * `in` should not vary needlessly between clients [cacheable#3.1]: what an application adds to it costs cache hits.
 * `classes` as for lib/oscore.
 *   OSP_E_INVALID       no Deterministic Client, no such member, `in` has a Request-Hash of its own, or would show its URI
 *   OSP_E_METHOD        not GET or FETCH
 *   OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_group_protect_deterministic(struct osp_crypto *cr, struct osp_group *g, size_t server,
                                                         const struct osp_msg *in, const uint8_t *classes, bool observe,
                                                         struct osp_wr *scratch, struct osp_msg *out,
                                                         struct osp_group_layer *layer);

/*
 * Protects `in` for member `server` in pairwise or group mode [gosc#8.3] [gosc#7.1]; takes a sequence number.
 *   OSP_E_INVALID       the group has no such mode, we have no key pair, or as above
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_group_protect_request(struct osp_crypto *cr, struct osp_group *g, enum osp_group_mode mode,
                                                   size_t server, const struct osp_msg *in, const uint8_t *classes,
                                                   struct osp_wr *scratch, struct osp_msg *out,
                                                   struct osp_group_layer *layer);

/*
 * Verifies and opens response `in` [gosc#8.6] [gosc#7.4] [cacheable#3.4.4].
 *   OSP_E_UNPROTECTED     no OSCORE option
 *   OSP_E_OSCORE_OPTION, OSP_E_FORMAT, OSP_E_OPTION_COUNT
 *   OSP_E_NO_CONTEXT      made under another Security Context of the group
 *   OSP_E_DECRYPT         from another server, for another request, wrong signature or tag
 *   OSP_E_BAD_RESPONSE    the response to a deterministic request is not in group mode or has no Partial IV; a
 *                         notification nobody asked for
 *   OSP_E_REPLAY          as osp_oscore_unprotect_response()
 */
OSP_CHECKED enum osp_err osp_group_unprotect_response(struct osp_crypto *cr, struct osp_group_layer *layer,
                                                      const struct osp_msg *in, struct osp_wr *scratch, struct osp_msg *out);

/* ---- server side ---- */

/*
 * Opens request `in`, of whatever mode [gosc#8.4] [gosc#7.2] [cacheable#3.4.3].
 *   OSP_E_OSCORE_OPTION  option undecodable or incomplete, no payload, or the group does not use the mode: 4.02
 *   OSP_E_NO_CONTEXT     another group, or no member of this one that may ask us: 4.01
 *   OSP_E_REPLAY         (not for deterministic requests, which are made to be repeated)
 *   OSP_E_DECRYPT        tag or signature is wrong, or the Request-Hash is not the hash of the request: 4.00
 *   OSP_E_FORMAT, OSP_E_OPTION_COUNT   no CoAP message inside: treat as DECRYPT
 *   OSP_E_FORBIDDEN      a deterministic request that is not safe: `layer` is set, nothing else; the answer is a
 *                        protected 4.01
 *   OSP_E_NOT_FRESH      the member's window is unknown: `layer` is set; answer with osp_group_challenge()
 * On OSP_OK, OSP_E_FORBIDDEN and OSP_E_NOT_FRESH `layer` holds a reference on `g`.  All other errors are answered without
 * protection, with Max-Age 0 so that no cache keeps them.
 * The caller still has to see that the resource has no side effects, when layer->mode is DETERMINISTIC.
 */
OSP_CHECKED enum osp_err osp_group_unprotect_request(struct osp_crypto *cr, struct osp_group *g, const struct osp_msg *in,
                                                     struct osp_wr *scratch, struct osp_msg *out,
                                                     struct osp_group_layer *layer);

/* As osp_oscore_challenge(), for the member at the other end of `layer` [gosc#9]. */
void osp_group_challenge(struct osp_group_layer *layer, struct osp_randbuf *rand, uint8_t echo[OSP_ECHO_LEN],
                         struct osp_msg *out);

enum {
    OSP_GROUP_KID = 1,          /* say who answers: our Sender ID; always done where the mode asks for it */
    OSP_GROUP_OWN_PIV = 2,      /* a Partial IV of our own, though the nonce of the request is free */
    OSP_GROUP_SIGN = 4,         /* group mode for a pairwise request */
};

/*
 * Protects response `in` in the mode of its request; to a deterministic request as [cacheable#3.4.4] has it: group mode,
 * own Partial IV, outer code 2.05 and an outer Max-Age.
 *   OSP_E_INVALID   we have no key pair; `in` has a Request-Hash; a Max-Age of 0 for a deterministic request, since such
 *                   a response is made to be kept
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_group_protect_response(struct osp_crypto *cr, struct osp_group_layer *layer,
                                                    const struct osp_msg *in, const uint8_t *classes, unsigned how,
                                                    struct osp_wr *scratch, struct osp_msg *out);

/* Bytes of scratch beside twice the encoded message: options, tag, signature, and what is signed or authenticated. */
#define OSP_GROUP_OVERHEAD (2 * OSP_CREDENTIAL_MAX + 1024)

#endif
