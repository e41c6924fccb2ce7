/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EDHOC [rfc9528]: Initiator and Responder as pure state machines.
 *
 * A session is one run of the protocol, in the caller's storage.  Messages go in and out as bytes without what a transport
 * puts before them (osp_edhoc_cid_put() and osp_edhoc_split_request() do that for CoAP).  Random bytes and the time
 * are arguments; the profile has a function that says whom a credential stands for.
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
 * One table (session.c) says which message is possible in which state.  A failure before the session is complete aborts it: its
 * keys are wiped and every later call fails with OSP_E_EDHOC_STATE, except for one call of osp_edhoc_make_error().
 * Messages that come after completion fail and change nothing.
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
 * Finds the `nth` credential (from 0) that `id_cred` may mean, since several peers may have one kid [rfc9528#3.5.3].
 * `*out` must stay valid until the function of this library that asked returns.
 *   OSP_E_NOT_FOUND   fewer than nth + 1 credentials fit
 */
typedef enum osp_err (*osp_edhoc_find)(void *ctx, struct osp_slice id_cred, unsigned nth, const struct osp_edhoc_peer **out);

/*
 * A list of peers; osp_edhoc_peers_find() is an osp_edhoc_find that searches it, with the list as its `ctx`.  It compares
 * ID_CRED_x if that is a reference, and the credential or its SHA-256 (whole or truncated) if that was sent.  The work grows
 * with the logarithm of the count.
 */
struct osp_edhoc_peers { const struct osp_edhoc_peer *list; size_t count; };

/*
 * Prepares `list` for the search; the caller has filled in `cred` and `label` of each entry.  The list is borrowed: the caller
 * frees it, and neither moves nor changes it before.
 *   OSP_E_TOO_LARGE   `count` is 2^32 - 1 or more
 *   OSP_E_NOMEM, OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_edhoc_peers_init(struct osp_edhoc_peers *peers, struct osp_edhoc_peer *list, size_t count);
enum osp_err osp_edhoc_peers_find(void *ctx, struct osp_slice id_cred, unsigned nth, const struct osp_edhoc_peer **out);

/* The application profile, which both sides have agreed on [rfc9528#3.9].  It is only read, and outlives its sessions. */
struct osp_edhoc_profile {
    uint8_t                        methods;             /* bit m: method m is accepted */
    struct osp_edhoc_suites        suites;              /* in order of preference */
    bool                           has_message_4;
    const struct osp_edhoc_own    *own;                 /* our credentials; the first one that suits method and suite is used */
    size_t                         own_count;
    osp_edhoc_find                 find;
    void                          *find_ctx;
    const struct osp_x509_anchors *anchors;             /* NULL: a chain is accepted only if `find` knows its end entity */
    uint32_t                       chain_label;         /* label of a peer whose chain leads to an anchor */
    const struct osp_subject      *subject;             /* name that the certificate of such a peer has to have; NULL: any name */
    const uint64_t                *ead_labels;          /* labels of the EAD items that the caller understands */
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
    uint32_t label;                     /* label of the struct osp_edhoc_peer, or the profile's chain_label */
    bool     by_chain;                  /* the chain leads to a trust anchor, and `name` is from the certificate */
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
    enum osp_err                    failure;            /* why the session was aborted, until osp_edhoc_make_error() */
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
 * Begins a session.  `profile` and `crypto` are borrowed until osp_edhoc_fini(); `now_s` (seconds since 1970) is the time that
 * certificates are checked against.
 */
void osp_edhoc_init(struct osp_edhoc *s, enum osp_edhoc_role role, const struct osp_edhoc_profile *profile,
                    struct osp_crypto *crypto, int64_t now_s);

/*
 * Goes on with a session that another thread began.  `crypto` belongs to this thread, and `profile` has equal contents to the
 * previous one.  Both are borrowed until osp_edhoc_fini() or the next osp_edhoc_attach().
 */
void osp_edhoc_attach(struct osp_edhoc *s, const struct osp_edhoc_profile *profile, struct osp_crypto *crypto);

/* Wipes the session.  May be called at any time, and twice. */
void osp_edhoc_fini(struct osp_edhoc *s);

enum osp_edhoc_state osp_edhoc_state(const struct osp_edhoc *s);

/*
 * Errors of the functions that take a message.  Each error aborts the session; osp_edhoc_make_error() then makes the message
 * that tells the peer.
 *   OSP_E_EDHOC_STATE       the message is not expected in this state
 *   OSP_E_FORMAT            the message is not as its CDDL says, or not deterministically encoded
 *   OSP_E_TOO_LARGE         a field is beyond the limits of this library
 *   OSP_E_EDHOC_METHOD, OSP_E_EDHOC_SUITE, OSP_E_EDHOC_CID, OSP_E_EDHOC_KEY, OSP_E_EDHOC_EAD   see err.h
 *   OSP_E_EDHOC_NO_CRED     no credential is known by this ID_CRED_x
 *   OSP_E_EDHOC_CRED_TYPE, OSP_E_EDHOC_X5U   this kind of ID_CRED_x is not accepted
 *   OSP_E_EDHOC_REFLECTED   the credential is one of our own
 *   OSP_E_CERTIFICATE       the chain does not verify
 *   OSP_E_EDHOC_NAME        the chain verifies, but its certificate does not name the profile's `subject`
 *   OSP_E_DECRYPT           the AEAD tag does not verify
 *   OSP_E_EDHOC_AUTH        the MAC or signature does not verify, or the key is of the wrong kind for it
 *   OSP_E_CRYPTO, OSP_E_NOMEM   trouble on our side
 * Errors of the functions that make a message.  Each error aborts the session, too.
 *   OSP_E_NOSPACE           `out` is too small; the message was not written
 *   OSP_E_EDHOC_STATE, OSP_E_FORMAT (`ead`), OSP_E_TOO_LARGE (`ead`), OSP_E_CRYPTO
 *   OSP_E_INVALID           `seed` gives no key of the curve, which happens once in 2^32 sessions with P-256
 * `ead` is an EAD field written with osp_edhoc_ead_put(), or empty.  `eads` gets the received items whose labels the profile
 * knows; it may be NULL.
 */

/*
 * Initiator: makes message_1 with `method` and the selected `suite` of the profile; suites that the profile prefers to it go into
 * SUITES_I as well [rfc9528#5.2.2].  `seed` is 32 fresh random bytes.  `c_i` is an identifier that none of our sessions and
 * security contexts uses [rfc9668#4.1.1].
 *   OSP_E_EDHOC_METHOD   the profile does not accept `method`, or no credential of ours suits method and suite
 *   OSP_E_EDHOC_SUITE    `suite` is not in the profile
 *   OSP_E_EDHOC_CID      `c_i` is too long for OSCORE with this suite
 */
OSP_CHECKED enum osp_err osp_edhoc_make_message_1(struct osp_edhoc *s, uint8_t method, int64_t suite, const uint8_t seed[32],
                                                  struct osp_slice c_i, struct osp_slice ead, struct osp_wr *out);

/* The fields of message_1, for the Responder to choose C_R before there is a session.  Slices borrow from the message. */
struct osp_edhoc_message_1 {
    int64_t                 method;
    struct osp_edhoc_suites suites_i;
    struct osp_slice        g_x, c_i, ead;
};

/* Reads message_1 and checks only its format.  OSP_E_FORMAT, OSP_E_TOO_LARGE. */
OSP_CHECKED enum osp_err osp_edhoc_peek_message_1(struct osp_slice message, struct osp_edhoc_message_1 *out);

/* Responder: takes message_1. */
OSP_CHECKED enum osp_err osp_edhoc_take_message_1(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/*
 * Responder: makes message_2.  `seed` is 32 fresh random bytes.  `c_r` is an identifier that no other session and no security
 * context of ours uses, and differs from C_I [rfc9668#4.1.2].
 *   OSP_E_EDHOC_CID   `c_r` equals C_I, or is too long
 */
OSP_CHECKED enum osp_err osp_edhoc_make_message_2(struct osp_edhoc *s, const uint8_t seed[32], struct osp_slice c_r,
                                                  struct osp_slice ead, struct osp_wr *out);

/* Initiator: takes message_2. */
OSP_CHECKED enum osp_err osp_edhoc_take_message_2(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/* Initiator: makes message_3.  Keys can be exported from then on. */
OSP_CHECKED enum osp_err osp_edhoc_make_message_3(struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *out);

/* Responder: takes message_3.  Keys can be exported from then on. */
OSP_CHECKED enum osp_err osp_edhoc_take_message_3(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/* The Responder makes and the Initiator takes message_4, which confirms the keys, if the profile has it. */
OSP_CHECKED enum osp_err osp_edhoc_make_message_4(struct osp_edhoc *s, struct osp_slice ead, struct osp_wr *out);
OSP_CHECKED enum osp_err osp_edhoc_take_message_4(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_eads *eads);

/* ---- error messages ---- */

enum { OSP_EDHOC_ERR_UNSPECIFIED = 1, OSP_EDHOC_ERR_SUITE = 2, OSP_EDHOC_ERR_CREDENTIAL = 3 };

struct osp_edhoc_error {
    int64_t                 code;
    struct osp_slice        text;       /* code 1: UTF-8 from the peer, to be shown with care; borrows from the message */
    struct osp_edhoc_suites suites_r;   /* code 2 */
};

/* True if `message` is an error message, where message_2, 3 or 4 is awaited, since these begin with a byte string. */
bool osp_edhoc_is_error(struct osp_slice message);

/* Reads an error message.  The information of an unknown code is skipped.  OSP_E_FORMAT: `message` is not an error message. */
OSP_CHECKED enum osp_err osp_edhoc_read_error(struct osp_slice message, struct osp_edhoc_error *out);

/*
 * Takes an error message of the peer, which aborts the session; no error message answers it [rfc9528#6].  `out` may be NULL.
 *   OSP_OK               the session is aborted
 *   OSP_E_FORMAT         `message` is not an error message; the session is aborted all the same
 *   OSP_E_EDHOC_STATE    no message is awaited; a complete session is unchanged
 */
OSP_CHECKED enum osp_err osp_edhoc_take_error(struct osp_edhoc *s, struct osp_slice message, struct osp_edhoc_error *out);

/*
 * Writes the error message for the failure that aborted the session; possible once.
 *   OSP_E_EDHOC_STATE   no error message is to be sent
 *   OSP_E_NOSPACE
 */
OSP_CHECKED enum osp_err osp_edhoc_make_error(struct osp_edhoc *s, struct osp_wr *out);

/* Writes an error message with code 1 and the text of `e`, for failures outside a session.  OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_edhoc_put_error(struct osp_wr *out, enum osp_err e);

/* ---- results ---- */

/* Who the peer is, borrowed until osp_edhoc_fini(); NULL until the peer has proven it. */
const struct osp_edhoc_who *osp_edhoc_who(const struct osp_edhoc *s);

/* Connection identifiers, borrowed.  They are empty until they are known; a known identifier may be empty, too. */
struct osp_slice osp_edhoc_c_i(const struct osp_edhoc *s);
struct osp_slice osp_edhoc_c_r(const struct osp_edhoc *s);

/*
 * EDHOC_Exporter [rfc9528#4.2.1]: writes `n` bytes to `out`.  Each pair of label and context is used for one purpose only.
 *   OSP_E_EDHOC_STATE   the session has no keys yet, or was aborted
 *   OSP_E_NOSPACE, OSP_E_INVALID (context or `n` too long), OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_edhoc_exporter(const struct osp_edhoc *s, uint32_t label, struct osp_slice context, uint8_t *out,
                                            size_t n);

/* The parameters of an OSCORE Security Context [rfc9528#A.1].  It holds a secret: osp_wipe() it after use. */
struct osp_edhoc_oscore {
    uint8_t              master_secret[OSP_AEAD_KEY_MAX];
    size_t               master_secret_len;
    uint8_t              master_salt[8];
    struct osp_edhoc_cid sender_id, recipient_id;
    int                  aead, hkdf;
};

/* Exports the parameters.  OSP_E_EDHOC_STATE: the session has no keys yet, or was aborted.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_edhoc_oscore(const struct osp_edhoc *s, struct osp_edhoc_oscore *out);

/* The parameters for osp_octx_new(), borrowed from `o`. */
struct osp_octx_params osp_edhoc_octx_params(const struct osp_edhoc_oscore *o, uint32_t label);

/* ---- over CoAP ---- */

/* A request to /.well-known/edhoc in Content-Format 65 [rfc9528#A.2.1]. */
struct osp_edhoc_request {
    bool             is_message_1;      /* the payload begins with `true`; false: it begins with C_R */
    struct osp_slice c_r;
    struct osp_slice message;           /* message_1 or message_3, or an error message after C_R */
};

/* Splits the payload of such a request.  OSP_E_FORMAT: it begins with neither `true` nor an identifier, or nothing follows. */
OSP_CHECKED enum osp_err osp_edhoc_split_request(struct osp_slice payload, struct osp_edhoc_request *out);

/* Writes the identifier that stands before message_3.  The writer latches when there is no room. */
void osp_edhoc_cid_put(struct osp_wr *w, struct osp_slice cid);

/*
 * Splits the payload of a request with an EDHOC option into EDHOC_MSG_3 and OSCORE ciphertext [rfc9668#3.2.1] [rfc9668#3.3.1].
 *   OSP_E_FORMAT   the payload does not begin with a CBOR byte string, or nothing follows it: answer 4.00
 */
OSP_CHECKED enum osp_err osp_edhoc_split_combined(struct osp_slice payload, struct osp_slice *message_3,
                                                  struct osp_slice *ciphertext);

/*
 * Responder: takes message_3 of a combined request.
 *   OSP_E_BAD_REQUEST   the profile has message_4, which a combined request excludes [rfc9668#3.3.1]; the session is aborted
 *   and the errors of osp_edhoc_take_message_3()
 */
OSP_CHECKED enum osp_err osp_edhoc_take_combined(struct osp_edhoc *s, struct osp_slice message_3, struct osp_edhoc_eads *eads);

#endif
