/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts that are derived again and again from one Master Secret: RFC 8613, appendix B.2 [rfc8613#B.2].
 *
 *      client                          server
 *        |  #1 under ID Context R1       |     kid context: R1 in a CBOR byte string, as below
 *        |------------------------------>|     nothing is executed
 *        |  4.01 under R2||R1            |     kid context: R2
 *        |<------------------------------|
 *        |  #2 under R2||R3              |     kid context: R2||R3; an ordinary request
 *        |------------------------------>|     the context is the current one from here on
 *        |  response under R2||R3        |     and here at the client
 *        |<------------------------------|
 *
 * A base holds what both sides were provisioned with and the context that is current; it protects nothing itself.
 * A server keeps nothing of a request #1, whose replays cost it two derivations: R2 = S2 || HMAC(K, S2) proves itself
 * when it comes back (appendix B.2.1).  K is drawn when it is first needed and forgotten when a run ends with a new
 * current context, so that no request #2 begins a context twice.
 * A client has one run of a base at a time, whichever worker it is in.
 *
 * Bases are shared by all workers; every call is safe from any thread.  Randomness is an argument.
 */
#ifndef OSP_OSCORE_B2_H
#define OSP_OSCORE_B2_H

#include "base/rand.h"
#include "oscore/context.h"

#define OSP_B2_R_LEN 8          /* R1, R3, S2: a collision after 2^32 of them is nothing at the rate of one context */
#define OSP_B2_R2_LEN 16        /* of ours */
#define OSP_B2_ID_MAX 64        /* bytes of a peer's R1, of R2||R1, of R2||R3 */

/*
 * Makes a base from parameters without ID Context.  As osp_octx_new().
 * The result answers to all functions of a context that read; it has no numbers, and is to protect nothing.
 */
OSP_CHECKED enum osp_err osp_b2_new(const struct osp_octx_params *p, struct osp_octx **out);
bool osp_b2_is_base(const struct osp_octx *c);

/* The context in use, with a reference for the caller; NULL: none yet. */
struct osp_octx *osp_b2_current(struct osp_octx *base);
/* What its ID Context was in an earlier run: it is current again; borrowed in *out.  As osp_octx_new(). */
OSP_CHECKED enum osp_err osp_b2_restore(struct osp_octx *base, struct osp_slice id_context, struct osp_octx **out);

/* Keys of the state store: of a base with these parameters, and of a context derived from one. */
OSP_CHECKED enum osp_err osp_b2_key(const struct osp_octx_params *p, uint8_t out[32]);
OSP_CHECKED enum osp_err osp_b2_fingerprint(const struct osp_octx *base, const struct osp_slice *id_context, uint8_t out[32]);

/* For the base, the current context and all to come. */
void osp_b2_set_limits(struct osp_octx *base, const struct osp_key_limits *limits);

/* ---- steps ---- */

/* The byte string in a kid context; false: it is none, or it is empty or longer than OSP_B2_ID_MAX. */
bool osp_b2_unwrap(struct osp_slice kid_context, struct osp_slice *out);

/*
 * A context with this ID Context, which is its kid context too, wrapped: the first and the third of a run.
 * Its window is empty and known, its numbers are none, and it wants no lease before it is current.
 * As osp_octx_new(); OSP_E_ID_LENGTH: empty or too long.
 */
OSP_CHECKED enum osp_err osp_b2_derive(struct osp_octx *base, struct osp_slice id_context, struct osp_octx **out);

/* The second of a run: ID Context R2 || ID1; responses under it carry R2.  As osp_b2_derive(). */
OSP_CHECKED enum osp_err osp_b2_derive_second(struct osp_octx *base, struct osp_slice r2, struct osp_slice id1,
                                              struct osp_octx **out);

/* Server: a new R2.  OSP_E_CRYPTO. */
OSP_CHECKED enum osp_err osp_b2_make_r2(struct osp_octx *base, struct osp_randbuf *rand, uint8_t r2[OSP_B2_R2_LEN]);

/* Server: true if `id` begins with an R2 that was made here, and no run has ended since; *ticket is for osp_b2_accept(). */
bool osp_b2_knows_r2(struct osp_octx *base, struct osp_slice id, uint32_t *ticket);

/*
 * Server: a request verified under `c`, whose R2 gave the ticket: it is the current context now, and no other run that
 * has begun can end.  OSP_E_REPLAY: one has ended since; nothing is to be executed.
 */
OSP_CHECKED enum osp_err osp_b2_accept(struct osp_octx *base, struct osp_octx *c, uint32_t ticket);

/* Client: begins a run; false: there is one. */
bool osp_b2_begin(struct osp_octx *base);
/* Client: the run is over. A response verified under `c`: it is current from now on; NULL: it failed. */
void osp_b2_end(struct osp_octx *base, struct osp_octx *c);

#endif
