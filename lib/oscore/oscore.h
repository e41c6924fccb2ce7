/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSCORE: one layer on or off one message [rfc8613#8], nested layers included [ocp#2].
 *
 * The caller chooses the context (configured.h), says with which class each option travels (classes.h)
 * and keeps a struct osp_layer per layer and request, which ties the response to its request.
 * Results borrow from the input message and from the scratch writer handed in; after an error
 * `out` and what was written to the scratch writer mean nothing.
 *
 * The model.  A layer turns one CoAP message into another:
 *
 *      code, options E, payload  --> encrypted, becomes the payload
 *      options U                 --> stay, readable
 *                                    outer code POST or Changed (FETCH or Content with Observe),
 *                                    one OSCORE option: who encrypted, under which Partial IV
 *
 * The result is an ordinary CoAP message, so it can get another layer; then its OSCORE option is
 * just an option, encrypted like the rest.  A client C asks the origin S through the proxy P, with
 * a context for each of them [ocp#2]:
 *
 *   C  GET   Uri-Host h, Uri-Path t, Proxy-Scheme coap              what is meant
 *      POST  Uri-Host h, Proxy-Scheme coap, OSCORE(C-S), {GET, t}   the layer for S, first
 *      POST  OSCORE(C-P), {POST, Uri-Host, Proxy-Scheme, OSCORE(C-S), {..}}     then the one for P
 *   P  find the context of the OSCORE option, osp_oscore_unprotect_request(): the second line again.
 *      P reads Proxy-Scheme and Uri-Host, takes Proxy-Scheme off, forwards what is left.
 *   S  osp_oscore_unprotect_request(): the first line without Proxy-Scheme.
 *      The answer goes back along this way: S puts on C-S, P puts on C-P, C takes off C-P, then C-S.
 *
 * What belongs together: the response is bound to its request by the AAD (request_kid, request_piv),
 * which travels nowhere; struct osp_layer keeps it, one for C-S at S and at C, one for C-P at P and at C.
 * What must never happen: two messages under one key and nonce.  A request takes a new number; the
 * first response may use its request's nonce, since the two ends have different keys; every further
 * one takes a number of its own, and says so in its OSCORE option.
 */
#ifndef OSP_OSCORE_OSCORE_H
#define OSP_OSCORE_OSCORE_H

#include "base/rand.h"
#include "msg/msg.h"
#include "oscore/classes.h"
#include "oscore/context.h"

/* ---- the OSCORE option [rfc8613#6.1] ---- */

struct osp_oscore_opt {
    struct osp_slice piv;               /* 0 to 5 bytes */
    bool             has_kid, has_kid_context;
    struct osp_slice kid, kid_context;  /* may be empty though present */
};

/* Parses an option value.  OSP_E_OSCORE_OPTION: a reserved bit is set (such as 0x80 or the group flag 0x20), or bad lengths. */
OSP_CHECKED enum osp_err osp_oscore_opt_parse(struct osp_slice value, struct osp_oscore_opt *out);

/* Appends the value; all-absent gives the empty value. OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_oscore_opt_write(const struct osp_oscore_opt *o, struct osp_wr *w);

/* ---- what one layer has to remember of its request ---- */

struct osp_layer {
    struct osp_octx *ctx;               /* one reference, dropped by osp_layer_fini() */
    uint8_t          piv[5];            /* request_piv */
    uint8_t          piv_len;
    bool             nonce_used;        /* a response has gone out (or come in) under the request's nonce */
    bool             observe;           /* the request had an Observe option */
    uint64_t         last_piv;          /* at the client, for Observe: 1 + the highest Partial IV accepted */
    const struct osp_octx *nonce_ctx;   /* borrowed: context of the request's nonce, if not `ctx` [rfc8613#B.2]; NULL: `ctx` */
};

void osp_layer_fini(struct osp_layer *l);

/* ---- server side ---- */

/*
 * Takes one layer off request `in`: parses its OSCORE option, checks the replay window, decrypts,
 * merges the options [rfc8613#8.2], then commits the window.
 * `ctx` must be the context the option names; a kid that is not its Recipient ID gives OSP_E_DECRYPT.
 * `out` is the decrypted request (type, mid and token copied); `scratch` receives the plaintext
 * (in->payload.n bytes are enough).
 *   OSP_E_OSCORE_OPTION  option undecodable, or no payload
 *   OSP_E_NO_CONTEXT     the context is out of use: nothing was decrypted
 *   OSP_E_REPLAY, OSP_E_DECRYPT   window unmoved; a tag that does not verify is counted against the key
 *   OSP_E_KEY_SPENT      the keys are at a limit: nothing was decrypted [key-limits#2.3.2]
 *   OSP_E_NOT_FRESH      decrypted and valid, but the window is unknown and the request carries no
 *                        valid Echo: `layer` is set, nothing else; the caller answers with
 *                        osp_oscore_challenge() and executes nothing [rfc8613#B.1.2]
 *   OSP_E_FORMAT, OSP_E_OPTION_COUNT   the plaintext is no CoAP message: treat as DECRYPT (4.00)
 * On OSP_OK and OSP_E_NOT_FRESH `layer` holds a reference on ctx.
 */
OSP_CHECKED enum osp_err osp_oscore_unprotect_request(struct osp_crypto *cr, struct osp_octx *ctx, const struct osp_msg *in,
                                                      struct osp_wr *scratch, struct osp_msg *out, struct osp_layer *layer);

/*
 * True if request `in` verifies under `ctx`.  Asked for a request that was refused as a replay, and that may belong to another
 * context with an equal kid; the replay window is neither asked nor moved.  A tag that does not verify is counted against the
 * key.  A key at a limit verifies nothing.  `scratch` needs room for in->payload.n bytes; the cursor is left where it was.
 */
bool osp_oscore_fits_request(struct osp_crypto *cr, struct osp_octx *ctx, const struct osp_msg *in, struct osp_wr *scratch);

/*
 * Builds the plain 4.01 with the Inner Echo of this context, to be protected with
 * osp_oscore_protect_response(own_piv = true).  The Echo value is drawn from `rand` once per
 * unknown window and stays until a request proves it, so an attacker cannot displace it.
 * `out` borrows the value from `echo`.
 */
void osp_oscore_challenge(struct osp_octx *ctx, struct osp_randbuf *rand, uint8_t echo[OSP_ECHO_LEN], struct osp_msg *out);

/*
 * Builds that challenge and puts the layer on it: what a server sends on OSP_E_NOT_FRESH for the request that `layer` came off.
 * A repeated request gets equal bytes or nothing, and takes no further number; how many requests get a challenge is limited
 * (challenge.c).  *repeated: these bytes were sent before.
 *   OSP_E_WITHHELD   send nothing
 *   OSP_E_REPLAY     another request has proven its freshness in the meantime: send nothing
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_KEY_LIMIT   nothing was used
 *   OSP_E_NOMEM, OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_oscore_protect_challenge(struct osp_crypto *cr, const struct osp_layer *layer, struct osp_time now,
                                                      struct osp_randbuf *rand, struct osp_wr *scratch, struct osp_msg *out,
                                                      bool *repeated);

/*
 * Puts the layer on response `in`.  Uses the request's nonce once, and a Partial IV of its own when
 * `own_piv`, when the nonce was used already, or for a further notification.
 * `classes` has an entry per option of `in` (classes.h). `out` borrows from `in` and `scratch`
 * (OSP_OSCORE_OVERHEAD bytes beyond the encoded message).
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_KEY_LIMIT   nothing was used
 *   OSP_E_TOO_LARGE   longer than the keys may encrypt at a time [key-limits#2.3]
 *   OSP_E_NOSPACE, OSP_E_CRYPTO, OSP_E_OPTION_COUNT
 */
OSP_CHECKED enum osp_err osp_oscore_protect_response(struct osp_crypto *cr, struct osp_layer *layer, const struct osp_msg *in,
                                                     const uint8_t *classes, bool own_piv,
                                                     struct osp_wr *scratch, struct osp_msg *out);

/* ---- client side ---- */

/*
 * Puts a layer on request `in` with the next sequence number of `ctx` and fills `layer`.
 * The kid context is sent when the context has an ID Context.
 *   OSP_E_INVALID   Proxy-Uri or Proxy-Cri would stay readable with the path in it: split it into options first
 *   and the errors of osp_oscore_protect_response()
 */
OSP_CHECKED enum osp_err osp_oscore_protect_request(struct osp_crypto *cr, struct osp_octx *ctx, const struct osp_msg *in,
                                                    const uint8_t *classes, struct osp_wr *scratch,
                                                    struct osp_msg *out, struct osp_layer *layer);

/*
 * Takes the layer off response `in` [rfc8613#8.4].
 *   OSP_E_UNPROTECTED     no OSCORE option: an error made by someone on the way, unverified
 *   OSP_E_OSCORE_OPTION, OSP_E_DECRYPT, OSP_E_KEY_SPENT, OSP_E_FORMAT, OSP_E_OPTION_COUNT
 *   OSP_E_BAD_RESPONSE    a notification though the request asked for none
 *   OSP_E_REPLAY          a second response without Partial IV, or a notification that is not newer; `layer` is unchanged
 */
OSP_CHECKED enum osp_err osp_oscore_unprotect_response(struct osp_crypto *cr, struct osp_layer *layer, const struct osp_msg *in,
                                                       struct osp_wr *scratch, struct osp_msg *out);

/* Bytes a layer may add to the encoded message: option, tag, inner code and marker, outer header changes. */
#define OSP_OSCORE_OVERHEAD 320

/* ---- building blocks, exported for the vectors and for group/ ---- */

/* info of the key derivation; type "Key" or "IV" [rfc8613#3.2.1]. OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_oscore_info(struct osp_slice id, const struct osp_slice *id_context, int aead, const char *type,
                                         unsigned len, struct osp_wr *w);
/* external_aad wrapped in the Enc_structure: the AAD of the AEAD [rfc8613#5.4]. OSP_E_NOSPACE. */
OSP_CHECKED enum osp_err osp_oscore_aad(int aead, struct osp_slice request_kid, struct osp_slice request_piv, struct osp_wr *w);
/* AEAD nonce [rfc8613#5.2]; id and piv within their limits. */
void osp_oscore_nonce(struct osp_slice id, struct osp_slice piv, const uint8_t *common_iv, size_t nonce_len, uint8_t *out);

/* Raw keys, borrowed: for the vectors, not used by the daemon. */
struct osp_octx_keys { struct osp_slice sender_key, recipient_key, common_iv; };
struct osp_octx_keys osp_octx_keys(const struct osp_octx *c);

#endif
