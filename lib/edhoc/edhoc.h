/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EDHOC [rfc9528]: Initiator and Responder as pure state machines.
 *
 * A session is one run of the protocol, in the caller's storage.  Messages go in and out as bytes without what a transport
 * puts before them (osp_edhoc_cid_put() and osp_edhoc_split_request() do that for CoAP).  Random bytes and the time
 * are arguments; who a credential stands for is asked through the profile.
 *
 *     Initiator                              Responder
 *     osp_edhoc_init(I)                      osp_edhoc_init(R)
 *     osp_edhoc_make_message_1   -------->   osp_edhoc_peek_message_1, osp_edhoc_take_message_1
 *     osp_edhoc_take_message_2   <--------   osp_edhoc_make_message_2
 *     osp_edhoc_make_message_3   -------->   osp_edhoc_take_message_3
 *     osp_edhoc_take_message_4   <--------   osp_edhoc_make_message_4       (if the profile says so)
 *     osp_edhoc_oscore                       osp_edhoc_oscore
 *     osp_edhoc_fini                         osp_edhoc_fini
 *
 * Which message is possible in which state stands in one table (session.c).  Whatever fails before the session is complete
 * ends it: its keys are wiped and every later call fails with OSP_E_EDHOC_STATE, except osp_edhoc_make_error(), once.
 * What comes after completion fails and changes nothing.
 */
#ifndef OSP_EDHOC_EDHOC_H
#define OSP_EDHOC_EDHOC_H

#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "edhoc/credential.h"
#include "edhoc/item.h"
#include "edhoc/suite.h"
#include "oscore/context.h"

/* Bytes of the longest message this library makes or takes. */
#define OSP_EDHOC_MESSAGE_MAX (OSP_EDHOC_ID_CRED_MAX + OSP_EDHOC_EAD_MAX + 256)

/* ---- application profile ---- */

/*
 * Asks for the `nth` credential that may be meant by `id_cred` (several peers may have one kid [rfc9528#3.5.3]).
 * `*out` must stay valid until the call that asked returns.
 *   OSP_E_NOT_FOUND   there is no such one, or no further one
 */
typedef enum osp_err (*osp_edhoc_find)(void *ctx, struct osp_slice id_cred, unsigned nth, const struct osp_edhoc_peer **out);

/*
 * A list of peers, and the osp_edhoc_find that searches it (its `ctx` is the list): by equal ID_CRED_x where that is a
 * reference, by the credential or its SHA-256 (whole or truncated) where it was sent or hashed.  The work grows with the
 * logarithm of the count.
 */
struct osp_edhoc_peers { const struct osp_edhoc_peer *list; size_t count; };

/*
 * Puts `list`, whose `cred` and `label` are filled in, in order.  It stays the caller's, in its place and unchanged.
 *   OSP_E_TOO_LARGE   2^32 - 1 or more
 *   OSP_E_NOMEM, OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_edhoc_peers_init(struct osp_edhoc_peers *peers, struct osp_edhoc_peer *list, size_t count);
enum osp_err osp_edhoc_peers_find(void *ctx, struct osp_slice id_cred, unsigned nth, const struct osp_edhoc_peer **out);

/* What both sides have agreed on [rfc9528#3.9].  Read only; it outlives the sessions that use it. */
struct osp_edhoc_profile {
    uint8_t                        methods;             /* bit m: method m is accepted */
    struct osp_edhoc_suites        suites;              /* in order of preference */
    bool                           has_message_4;
    const struct osp_edhoc_own    *own;                 /* the first that suits method and suite is used */
    size_t                         own_count;
    osp_edhoc_find                 find;
    void                          *find_ctx;
    const struct osp_x509_anchors *anchors;             /* NULL: a chain is accepted only if `find` knows its end entity */
    uint32_t                       chain_label;         /* of a peer that `anchors` vouch for */
    const struct osp_subject      *subject;             /* whom such a peer's certificate has to name; NULL: anybody */
    const uint64_t                *ead_labels;          /* EAD items the caller understands */
    size_t                         ead_label_count;
};

/* ---- sessions ---- */

enum osp_edhoc_role { OSP_EDHOC_INITIATOR, OSP_EDHOC_RESPONDER };
enum osp_edhoc_state {
    OSP_EDHOC_START, OSP_EDHOC_WAIT_M2, OSP_EDHOC_VRFD_M2, OSP_EDHOC_WAIT_M4,           /* Initiator */
    OSP_EDHOC_VRFD_M1, OSP_EDHOC_WAIT_M3, OSP_EDHOC_VRFD_M3,                            /* Responder */
    OSP_EDHOC_COMPLETED, OSP_EDHOC_ABORTED,
    OSP_EDHOC_STATE_COUNT,
};

struct osp_edhoc_cid { uint8_t len, bytes[OSP_EDHOC_CID_MAX]; };

/* Who the other side has proven to be. */
struct osp_edhoc_who {
    uint32_t label;                     /* of the struct osp_edhoc_peer, or the profile's chain_label */
    bool     by_chain;                  /* vouched for by the trust anchors; `name` is the certificate's */
    char     name[OSP_X509_NAME_MAX];
};

struct osp_edhoc {                      /* private to lib/edhoc; holds secrets until fini */
    const struct osp_edhoc_profile *profile;
    const struct osp_edhoc_suite   *suite;
    const struct osp_edhoc_own     *own;
    struct osp_crypto              *crypto;
    int64_t                         now_s;
    enum osp_edhoc_role             role;
    enum osp_edhoc_state            state;
    enum osp_err                    failure;            /* why it was aborted, until that was reported */
    uint8_t                         method;
    bool                            has_keys;
    struct osp_edhoc_cid            c_i, c_r;
    uint8_t                         g_peer[OSP_EDHOC_G_LEN];
    uint8_t                         ephemeral[32];      /* secret */
    uint8_t                         th[OSP_DIGEST_MAX]; /* H(message_1), then TH_2 to TH_4 */
    uint8_t                         prk[OSP_DIGEST_MAX];            /* secret */
    uint8_t                         prk_exporter[OSP_DIGEST_MAX];   /* secret */
    struct osp_edhoc_who            who;
};

/*
 * Begins a session.  `profile` and `crypto` are borrowed until fini; `now_s` (seconds since 1970) is the time at which
 * certificates are judged.
 */
void osp_edhoc_init(struct osp_edhoc *s, enum osp_edhoc_role role, const struct osp_edhoc_profile *profile,
                    struct osp_crypto *crypto, int64_t now_s);

/*
 * Goes on with a session that was begun elsewhere: with another thread's `crypto`, and a profile with the same contents.
 * Both are borrowed until fini or the next attach.
 */
void osp_edhoc_attach(struct osp_edhoc *s, const struct osp_edhoc_profile *profile, struct osp_crypto *crypto);

/* Wipes it.  May be called at any time, and twice. */
void osp_edhoc_fini(struct osp_edhoc *s);

enum osp_edhoc_state osp_edhoc_state(const struct osp_edhoc *s);

/*
 * Errors of the functions that take a message; each of them aborts the session, and osp_edhoc_make_error() then has the
 * message that tells the peer.
 *   OSP_E_EDHOC_STATE       it is not expected in this state
 *   OSP_E_FORMAT            not the CDDL of this message, or not deterministically encoded
 *   OSP_E_TOO_LARGE         a field is beyond the limits of this library
 *   OSP_E_EDHOC_METHOD, OSP_E_EDHOC_SUITE, OSP_E_EDHOC_CID, OSP_E_EDHOC_KEY, OSP_E_EDHOC_EAD
 *   OSP_E_EDHOC_NO_CRED     no credential is known by this ID_CRED_x
 *   OSP_E_EDHOC_CRED_TYPE, OSP_E_EDHOC_X5U   this kind of ID_CRED_x is not accepted
 *   OSP_E_EDHOC_REFLECTED   the credential is one of our own
 *   OSP_E_CERTIFICATE       the chain does not verify
 *   OSP_E_EDHOC_NAME        the chain verifies, but its certificate is somebody else's than `subject`
 *   OSP_E_DECRYPT           the AEAD tag does not verify
 *   OSP_E_EDHOC_AUTH        the MAC or signature does not verify, or the key is of the wrong kind for it
 *   OSP_E_CRYPTO, OSP_E_NOMEM      our own trouble
 * Errors of those that make one, which also abort:
 *   OSP_E_NOSPACE           `out` is too small; nothing of the message is in it
 *   OSP_E_EDHOC_STATE, OSP_E_FORMAT (`ead`), OSP_E_TOO_LARGE (`ead`), OSP_E_CRYPTO
 *   OSP_E_INVALID           `seed` gives no key of the curve, which happens once in 2^32 sessions with P-256
 * `ead` is an EAD field made of osp_edhoc_ead_put(), empty for none.  `eads` gets the items received whose labels are in the
 * profile; it may be NULL.
 */

/*
 * Initiator: `method`, and the selected `suite` (one of the profile's; those preferred to it go into SUITES_I too
 * [rfc9528#5.2.2]).  `seed` is 32 fresh random bytes, `c_i` an identifier that none of our sessions and security contexts has
 * in use [rfc9668#4.1.1].
 *   OSP_E_EDHOC_METHOD   also: no credential of ours suits method and suite
 *   OSP_E_EDHOC_SUITE    not in the profile
 *   OSP_E_EDHOC_CID      `c_i` is too long for OSCORE with this suite
 */
OSP_CHECKED enum osp_err osp_edhoc_make_message_1(struct osp_edhoc *s, uint8_t method, int64_t suite, const uint8_t seed[32],
                                                  struct osp_slice c_i, struct osp_slice ead, struct osp_wr *out);

/* What message_1 says, before there is a session: the Responder chooses C_R from it.  Slices borrow from the message. */
struct osp_edhoc_message_1 {
    int64_t                 method;
    struct osp_edhoc_suites suites_i;
    struct osp_slice        g_x, c_i, ead;
};

/* OSP_E_FORMAT, OSP_E_TOO_LARGE.  Nothing is judged but the format. */
OSP_CHECKED enum osp_err osp_edhoc_peek_message_1(struct osp_slice message, struct osp_edhoc_message_1 *out);

/* Responder. */
OSP_CHECKED enum osp_err osp_edhoc_take_message_1(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/*
 * Responder: `c_r` is used by no other session or security context of ours and differs from C_I [rfc9668#4.1.2].
 *   OSP_E_EDHOC_CID   it equals C_I, or is too long
 */
OSP_CHECKED enum osp_err osp_edhoc_make_message_2(struct osp_edhoc *s, const uint8_t seed[32], struct osp_slice c_r,
                                                  struct osp_slice ead, struct osp_wr *out);

/* Initiator. */
OSP_CHECKED enum osp_err osp_edhoc_take_message_2(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/* Initiator.  Keys can be exported from then on. */
OSP_CHECKED enum osp_err osp_edhoc_make_message_3(struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *out);

/* Responder.  Keys can be exported from then on. */
OSP_CHECKED enum osp_err osp_edhoc_take_message_3(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/* Responder, Initiator: key confirmation, if the profile has it. */
OSP_CHECKED enum osp_err osp_edhoc_make_message_4(struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *out);
OSP_CHECKED enum osp_err osp_edhoc_take_message_4(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/* ---- error messages ---- */

enum { OSP_EDHOC_ERR_UNSPECIFIED = 1, OSP_EDHOC_ERR_SUITE = 2, OSP_EDHOC_ERR_CREDENTIAL = 3 };

struct osp_edhoc_error {
    int64_t                 code;
    struct osp_slice        text;       /* code 1: UTF-8 from the peer, to be shown with care; borrows from the message */
    struct osp_edhoc_suites suites_r;   /* code 2 */
};

/* True if `message` can be nothing but an error message, where message_2, 3 or 4 is awaited: those begin with a bstr. */
bool osp_edhoc_is_error(struct osp_slice message);

/* OSP_E_FORMAT: no error message.  An unknown code is none: its information is skipped. */
OSP_CHECKED enum osp_err osp_edhoc_read_error(struct osp_slice message, struct osp_edhoc_error *out);

/*
 * Takes an error message: the session is aborted, and no error is sent in answer [rfc9528#6].  `out` may be NULL.
 *   OSP_OK               it was one; the session is aborted
 *   OSP_E_FORMAT         aborted as well
 *   OSP_E_EDHOC_STATE    nothing is awaited; a complete session stays as it is
 */
OSP_CHECKED enum osp_err osp_edhoc_take_error(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_error *out);

/*
 * Writes the error message for the failure that aborted the session while a message was processed, once.
 *   OSP_E_EDHOC_STATE   there is none to be sent
 *   OSP_E_NOSPACE
 */
OSP_CHECKED enum osp_err osp_edhoc_make_error(struct osp_edhoc *s, struct osp_wr *out);

/* An error message with code 1 and the text of `e`, for failures outside a session.  OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_edhoc_put_error(struct osp_wr *out, enum osp_err e);

/* ---- results ---- */

/* NULL until the peer has proven who it is.  Valid until fini. */
const struct osp_edhoc_who *osp_edhoc_who(const struct osp_edhoc *s);

/* Connection identifiers, borrowed; empty slices until they are known (and an identifier may be empty). */
struct osp_slice osp_edhoc_c_i(const struct osp_edhoc *s);
struct osp_slice osp_edhoc_c_r(const struct osp_edhoc *s);

/*
 * EDHOC_Exporter [rfc9528#4.2.1]: `n` bytes.  A pair of label and context is used for one purpose.
 *   OSP_E_EDHOC_STATE   there are no keys yet, or the session was aborted
 *   OSP_E_NOSPACE, OSP_E_INVALID (context or `n` too long), OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_edhoc_exporter(const struct osp_edhoc *s, uint32_t label, struct osp_slice context, uint8_t *out,
                                            size_t n);

/* What an OSCORE Security Context is made of [rfc9528#A.1].  Holds a secret: osp_wipe() it. */
struct osp_edhoc_oscore {
    uint8_t              master_secret[OSP_AEAD_KEY_MAX];
    size_t               master_secret_len;
    uint8_t              master_salt[8];
    struct osp_edhoc_cid sender_id, recipient_id;
    int                  aead, hkdf;
};

/* OSP_E_EDHOC_STATE, OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_edhoc_oscore(const struct osp_edhoc *s, struct osp_edhoc_oscore *out);

/* For osp_octx_new(); borrows from `o`. */
struct osp_octx_params osp_edhoc_octx_params(const struct osp_edhoc_oscore *o, uint32_t label);

/* ---- over CoAP ---- */

/* A request to /.well-known/edhoc in Content-Format 65 [rfc9528#A.2.1]. */
struct osp_edhoc_request {
    bool             is_message_1;      /* `true` stands before it; else C_R does */
    struct osp_slice c_r;
    struct osp_slice message;           /* message_1 or message_3, or an error message after C_R */
};

/* OSP_E_FORMAT: neither `true` nor an identifier stands first, or nothing follows. */
OSP_CHECKED enum osp_err osp_edhoc_split_request(struct osp_slice payload, struct osp_edhoc_request *out);

/* The identifier that stands before message_3.  Latches. */
void osp_edhoc_cid_put(struct osp_wr *w, struct osp_slice cid);

/*
 * The payload of a request with an EDHOC option: EDHOC_MSG_3 and OSCORE ciphertext [rfc9668#3.2.1] [rfc9668#3.3.1].
 *   OSP_E_FORMAT   no CBOR byte string stands first, or nothing follows: 4.00
 */
OSP_CHECKED enum osp_err osp_edhoc_split_combined(struct osp_slice payload, struct osp_slice *message_3,
                                                  struct osp_slice *ciphertext);

/*
 * osp_edhoc_take_message_3() of a combined request: fails and aborts where the profile has message_4
 * (OSP_E_BAD_REQUEST), for there is none then [rfc9668#3.3.1].
 */
OSP_CHECKED enum osp_err osp_edhoc_take_combined(struct osp_edhoc *s, struct osp_slice message_3, struct osp_edhoc_eads *eads);

#endif
