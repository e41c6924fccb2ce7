/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group OSCORE: one Security Context of a group, as one of its members sees it.  It has pairwise mode, group mode
 * for two endpoints, and deterministic requests [gosc#2] [cacheable#3].
 *
 * The model.  All members share a Master Secret, so each can derive every member's symmetric key.  Key pairs prove
 * which member sent a message:
 *
 *   group mode      encrypted under the sender's key, which all know, and signed (Group Flag 1)
 *   pairwise mode   encrypted under a key that also hashes in the Diffie-Hellman secret of the two (Group Flag 0)
 *   deterministic   encrypted under a key made of the request itself, in the name of a member that does not exist,
 *                   the Deterministic Client.  Every client makes the same bytes, so a proxy that knows nothing
 *                   of the group can answer the second one from its cache.  The hash of the request travels in
 *                   the Request-Hash option and is what binds the (signed) response to it.
 *
 * A struct osp_group_layer ties a response to its request, as struct osp_layer does in lib/oscore.  Results borrow
 * from the input message and the scratch writer; after an error `out` and the bytes written mean nothing.
 *
 * What must never happen: two messages under one key and nonce.  Numbers come from one space for all modes
 * [gosc#2.5.3] and are used only below a limit that the owner made durable before [rfc8613#B.1.1].  A deterministic
 * request takes no number, since its key encrypts these bytes alone.
 *
 * Not supported: rekeying (a new Security Context is a new object; a layer stays with the old one), requests to several
 * servers at once, algorithms without integrity protection in group mode.
 *
 * Every call is safe from any thread.  A lock guards numbers, replay windows and Echo values; everything else is constant
 * after osp_group_new().
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
    struct osp_slice public_key;        /* empty: take the key from the credential, which is a CWT Claims Set */
};

struct osp_group_params {
    struct osp_slice gid;               /* ID Context */
    struct osp_slice master_secret, master_salt;
    struct osp_slice gm_credential;     /* credential of the Group Manager */
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
    const struct osp_group_member *members;     /* all members except `self` */
    size_t           member_count;
};

struct osp_group;

/*
 * Derives all keys [gosc#2.3] [gosc#2.5.1].
 *   OSP_E_ALGORITHM   an algorithm is not supported, or the algorithms do not fit together: pairwise mode needs `aead`
 *                     and the `agreement` of the HKDF, group mode needs `group_enc` and `signature`, a Deterministic
 *                     Client needs all four
 *   OSP_E_ID_LENGTH   an ID is longer than the shortest nonce less 6 bytes, or the gid than OSP_GROUP_GID_MAX
 *   OSP_E_EXISTS      two members, or a member and the Deterministic Client, have equal IDs
 *   OSP_E_INVALID     a credential or public key is unusable, the private key does not belong to `self`, or there are too
 *                     many members; *bad (if not NULL) is the member's index, or member_count for `self`
 *   OSP_E_NOMEM, OSP_E_CRYPTO
 * The result has one reference, which the caller owns.
 */
OSP_CHECKED enum osp_err osp_group_new(const struct osp_group_params *p, struct osp_group **out, size_t *bad);
void osp_group_ref(struct osp_group *g);
void osp_group_unref(struct osp_group *g);      /* the last reference wipes the keys and frees the group */

/* Slices are borrowed from the group, and never change. */
struct osp_slice osp_group_gid(const struct osp_group *g);
struct osp_slice osp_group_self(const struct osp_group *g);             /* our Sender ID; empty if there is no `self` */
size_t osp_group_member_count(const struct osp_group *g);

/*
 * The names under which state is filed [gosc#2.5.3]: osp_key_name() of our Sender Key, and of a member's Sender Key.  The Sender
 * Key alone names our numbers, since all modes take their numbers from its space.
 *   OSP_E_NOT_FOUND   there is no `self`, so no number is ever taken
 *   OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_group_sender_name(const struct osp_group *g, uint8_t out[OSP_KEY_NAME_LEN]);
OSP_CHECKED enum osp_err osp_group_member_name(const struct osp_group *g, size_t member, uint8_t out[OSP_KEY_NAME_LEN]);

/* SHA-256 of the parameters.  Older versions filed their state under it; it has no other use.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_group_fingerprint(const struct osp_group_params *p, uint8_t out[32]);

/* ---- sender sequence numbers; see osp_octx_grant() and osp_octx_ssn() ---- */

void osp_group_grant(struct osp_group *g, uint64_t at_least, uint64_t limit);
struct osp_ssn osp_group_ssn(struct osp_group *g);

/* ---- replay windows: one per member, unknown until it is set ---- */

void osp_group_set_window(struct osp_group *g, size_t member, const struct osp_replay *w);
enum osp_window_state osp_group_get_window(struct osp_group *g, size_t member, struct osp_replay *out);

/* ---- the OSCORE option with the Group Flag [gosc#4.1] ---- */

struct osp_group_opt {
    struct osp_oscore_opt o;
    bool                  group_mode;
};

/* Parses and writes an option value.  OSP_E_OSCORE_OPTION: a reserved bit other than the Group Flag is set, or bad lengths. */
OSP_CHECKED enum osp_err osp_group_opt_parse(struct osp_slice value, struct osp_group_opt *out);
OSP_CHECKED enum osp_err osp_group_opt_write(const struct osp_group_opt *o, struct osp_wr *w);

/* True if request `m` names this group: its kid context is the gid [gosc#6]. */
bool osp_group_is_named(const struct osp_group *g, const struct osp_msg *m);

/* ---- what is kept of a request for its response ---- */

enum osp_group_mode { OSP_GROUP_PAIRWISE, OSP_GROUP_SIGNED, OSP_GROUP_DETERMINISTIC };

struct osp_group_layer {
    struct osp_group   *group;          /* one reference, dropped by osp_group_layer_fini() */
    enum osp_group_mode mode;           /* mode of the request */
    size_t              peer;           /* index of the member at the other end; the server of a deterministic
                                           request does not use it */
    uint8_t             kid[OSP_OSCORE_ID_MAX], kid_len;        /* request_kid */
    uint8_t             piv[5], piv_len;                        /* request_piv */
    uint8_t             hash[64], hash_len;                     /* Request-Hash */
    bool                nonce_used;     /* a response was sent or received under the request's nonce */
    bool                observe;        /* the request had an Observe option */
    bool                observe_outer;  /* the request had an Observe option outside, so the client wants an observation */
    uint64_t            last_piv;       /* at the client: 1 + the highest Partial IV accepted */
};

void osp_group_layer_fini(struct osp_group_layer *l);

/* ---- client side ---- */

/*
 * Makes the deterministic request of `in` for member `server` [cacheable#3.4.2].
 * An Observe option of `in` is always protected.  It is also put outside if `observe` is set, which asks for an observation.
 * `in` should not differ needlessly between clients [cacheable#3.1]: each difference costs cache hits.
 * `classes` has an entry per option of `in`, from osp_classes().
 *   OSP_E_INVALID       the group has no Deterministic Client or no such member, `in` has a Request-Hash of its own, or an
 *                       option with the whole URI would stay readable
 *   OSP_E_METHOD        `in` is neither GET nor FETCH
 *   OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_group_protect_deterministic(struct osp_crypto *cr, struct osp_group *g, size_t server,
                                                         const struct osp_msg *in, const uint8_t *classes, bool observe,
                                                         struct osp_wr *scratch, struct osp_msg *out,
                                                         struct osp_group_layer *layer);

/*
 * Protects `in` for member `server` in pairwise or group mode [gosc#8.3] [gosc#7.1]; takes a sequence number.
 *   OSP_E_INVALID       the group does not use the mode or has no such member, we have no key pair, `in` has a Request-Hash, or
 *                       an option with the whole URI would stay readable
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_group_protect_request(struct osp_crypto *cr, struct osp_group *g, enum osp_group_mode mode,
                                                   size_t server, const struct osp_msg *in, const uint8_t *classes,
                                                   struct osp_wr *scratch, struct osp_msg *out,
                                                   struct osp_group_layer *layer);

/*
 * Verifies and opens response `in` [gosc#8.6] [gosc#7.4] [cacheable#3.4.4].
 *   OSP_E_UNPROTECTED     `in` has no OSCORE option
 *   OSP_E_OSCORE_OPTION, OSP_E_FORMAT, OSP_E_OPTION_COUNT
 *   OSP_E_NO_CONTEXT      the response was made under another Security Context of the group
 *   OSP_E_DECRYPT         the response is from another server or for another request, or its signature or tag is wrong
 *   OSP_E_BAD_RESPONSE    the response to a deterministic request is not in group mode or has no Partial IV; or it is a
 *                         notification that nobody asked for
 *   OSP_E_REPLAY          see osp_oscore_unprotect_response()
 */
OSP_CHECKED enum osp_err osp_group_unprotect_response(struct osp_crypto *cr, struct osp_group_layer *layer,
                                                      const struct osp_msg *in, struct osp_wr *scratch, struct osp_msg *out);

/* ---- server side ---- */

/*
 * Verifies and opens request `in` in any mode [gosc#8.4] [gosc#7.2] [cacheable#3.4.3].
 *   OSP_E_OSCORE_OPTION  the option is malformed or incomplete, there is no payload, or the group does not use the mode:
 *                        answer 4.02
 *   OSP_E_NO_CONTEXT     the request is for another group, or its sender is not a member that may ask us: answer 4.01
 *   OSP_E_REPLAY         the Partial IV was used before; never for deterministic requests, which are made to be repeated
 *   OSP_E_DECRYPT        tag or signature is wrong, or the Request-Hash is not the hash of the request: answer 4.00
 *   OSP_E_FORMAT, OSP_E_OPTION_COUNT   the plaintext is not a CoAP message: treat as OSP_E_DECRYPT
 *   OSP_E_FORBIDDEN      a deterministic request with an unsafe method: only `layer` is set; answer with a protected 4.01
 *   OSP_E_NOT_FRESH      the member's window is unknown: only `layer` is set; answer with osp_group_challenge()
 * On OSP_OK, OSP_E_FORBIDDEN and OSP_E_NOT_FRESH `layer` holds a reference to `g`.  All other errors are answered without
 * protection, with Max-Age 0 so that no cache keeps them.
 * If layer->mode is DETERMINISTIC, the caller still has to check that the resource has no side effects.
 */
OSP_CHECKED enum osp_err osp_group_unprotect_request(struct osp_crypto *cr, struct osp_group *g, const struct osp_msg *in,
                                                     struct osp_wr *scratch, struct osp_msg *out,
                                                     struct osp_group_layer *layer);

/* Builds the plain 4.01 with Echo for the member at the other end of `layer` [gosc#9]; see osp_oscore_challenge(). */
void osp_group_challenge(struct osp_group_layer *layer, struct osp_randbuf *rand, uint8_t echo[OSP_ECHO_LEN],
                         struct osp_msg *out);

enum {
    OSP_GROUP_KID = 1,          /* send our Sender ID; it is always sent where the mode needs it */
    OSP_GROUP_OWN_PIV = 2,      /* use a Partial IV of our own, even if the nonce of the request is unused */
    OSP_GROUP_SIGN = 4,         /* use group mode for the response to a pairwise request */
};

/*
 * Protects response `in` in the mode of its request.  The response to a deterministic request is in group mode, with a Partial
 * IV of our own, outer code 2.05 and an outer Max-Age [cacheable#3.4.4].  `how` is a set of OSP_GROUP_* flags.
 *   OSP_E_INVALID   we have no key pair, or `in` has a Request-Hash, or the response to a deterministic request has Max-Age 0,
 *                   although such responses are made to be cached
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_group_protect_response(struct osp_crypto *cr, struct osp_group_layer *layer,
                                                    const struct osp_msg *in, const uint8_t *classes, unsigned how,
                                                    struct osp_wr *scratch, struct osp_msg *out);

/*
 * Bytes of scratch needed in addition to twice the encoded message: options, tag, signature, and the structures that are signed
 * or authenticated.
 */
#define OSP_GROUP_OVERHEAD (2 * OSP_CREDENTIAL_MAX + 1024)

#endif
