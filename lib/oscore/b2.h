/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts that are derived again and again from one Master Secret: RFC 8613, appendix B.2 [rfc8613#B.2].
 *
 *      client                          server
 *        |  #1 under ID Context R1       |     kid context: R1 in a CBOR byte string (so are R2 and R2||R3)
 *        |------------------------------>|     nothing is executed
 *        |  4.01 under R2||R1            |     kid context: R2
 *        |<------------------------------|
 *        |  #2 under R2||R3              |     kid context: R2||R3; an ordinary request
 *        |------------------------------>|     the context is the current one from here on
 *        |  response under R2||R3        |     and here at the client
 *        |<------------------------------|
 *
 * A run is one pass through this procedure.  A base holds the parameters that both sides were provisioned with, and the current
 * context; the base itself protects nothing.
 * A server keeps no state for a request #1: R2 = S2 || HMAC(K, S2) proves itself when it comes back (appendix B.2.1).  A replayed
 * request #1 costs the server two derivations.  K is drawn when it is first needed, and forgotten when a run makes a new current
 * context, so that a replayed request #2 cannot make that context current again.
 * A client has one run of a base at a time, over all workers.
 *
 * Bases are shared by all workers; every call is safe from any thread.  Randomness is an argument.
 */
#ifndef OSP_OSCORE_B2_H
#define OSP_OSCORE_B2_H

#include "base/rand.h"
#include "oscore/context.h"

#define OSP_B2_R_LEN 8          /* R1, R3, S2: a collision after 2^32 of them is nothing at the rate of one context */
#define OSP_B2_R2_LEN 16        /* length of an R2 that we make */
#define OSP_B2_ID_MAX 64        /* longest R1, R2||R1 and R2||R3 that a peer may send */

/*
 * Makes a base from parameters without ID Context.  Errors: see osp_octx_new().
 * All functions that read a context accept a base.  It has no sequence numbers, and nothing may be protected with it.
 */
OSP_CHECKED enum osp_err osp_b2_new(const struct osp_octx_params *p, struct osp_octx **out);
bool osp_b2_is_base(const struct osp_octx *c);

/* The context in use, with a reference for the caller; NULL: none yet. */
struct osp_octx *osp_b2_current(struct osp_octx *base);
/*
 * Derives the context with this ID Context, which an earlier process had as the current one, and makes it current again.
 * *out is borrowed from the base.  Errors: see osp_octx_new().
 */
OSP_CHECKED enum osp_err osp_b2_restore(struct osp_octx *base, struct osp_slice id_context, struct osp_octx **out);

/* Keys of the state store: for a base with these parameters, and for a context derived from a base.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_b2_key(const struct osp_octx_params *p, uint8_t out[32]);
OSP_CHECKED enum osp_err osp_b2_fingerprint(const struct osp_octx *base, const struct osp_slice *id_context, uint8_t out[32]);

/* Sets the limits of the base, of the current context, and of all contexts derived later. */
void osp_b2_set_limits(struct osp_octx *base, const struct osp_key_limits *limits);

/* ---- steps ---- */

/* Reads the byte string in a kid context.  False: there is no such string, or it is empty or longer than OSP_B2_ID_MAX. */
bool osp_b2_unwrap(struct osp_slice kid_context, struct osp_slice *out);

/*
 * Derives the first or third context of a run, with this ID Context; its kid context is the ID Context in a CBOR byte string.
 * Its replay window is empty and known.  It has no sequence numbers, and asks for no lease before it is current.
 *   OSP_E_ID_LENGTH   the ID Context is empty or too long
 *   and the errors of osp_octx_new()
 */
OSP_CHECKED enum osp_err osp_b2_derive(struct osp_octx *base, struct osp_slice id_context, struct osp_octx **out);

/* Derives the second context of a run: ID Context R2 || ID1; responses under it carry R2.  Errors: see osp_b2_derive(). */
OSP_CHECKED enum osp_err osp_b2_derive_second(struct osp_octx *base, struct osp_slice r2, struct osp_slice id1,
                                              struct osp_octx **out);

/* Server: makes a new R2.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_b2_make_r2(struct osp_octx *base, struct osp_randbuf *rand, uint8_t r2[OSP_B2_R2_LEN]);

/* Server: true if `id` begins with an R2 of ours and no run has ended since; *ticket is for osp_b2_accept(). */
bool osp_b2_knows_r2(struct osp_octx *base, struct osp_slice id, uint32_t *ticket);

/*
 * Server: makes `c` the current context, after a request verified under it; `ticket` is from osp_b2_knows_r2() for the R2 in
 * that request.  Other runs that have begun cannot end any more.
 *   OSP_E_REPLAY   another run has ended since the ticket was given: do not execute the request
 */
OSP_CHECKED enum osp_err osp_b2_accept(struct osp_octx *base, struct osp_octx *c, uint32_t ticket);

/* Client: begins a run.  False: a run is in progress already. */
bool osp_b2_begin(struct osp_octx *base);
/* Client: ends the run.  `c` is the context under which a response verified, and becomes current; NULL: the run failed. */
void osp_b2_end(struct osp_octx *base, struct osp_octx *c);

#endif
