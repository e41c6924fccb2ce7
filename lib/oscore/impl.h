/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/oscore share and nobody else sees. */
#ifndef OSP_OSCORE_IMPL_H
#define OSP_OSCORE_IMPL_H

#include <stdatomic.h>

#include "base/lock.h"
#include "oscore/oscore.h"

/*
 * A context is one block of memory: the struct, then sender key, recipient key, ID Context and kid context.  The fields above
 * `lock` are constant after osp_octx_new() unless their comment says otherwise; the lock guards the fields below it.
 */
struct osp_octx {
    atomic_uint     refs;
    uint32_t        label;
    uint8_t         common_iv[OSP_AEAD_NONCE_MAX];
    uint8_t         sender_id[OSP_OSCORE_ID_MAX], recipient_id[OSP_OSCORE_ID_MAX];
    uint8_t         sender_id_len, recipient_id_len;
    uint8_t         aead;
    uint8_t         key_len, nonce_len, tag_len;
    uint8_t         id_context_len;
    uint8_t         kid_context_len;    /* 0: the ID Context is sent */
    uint8_t         subject_len;
    bool            has_id_context, names_responses;
    struct octx_challenges *challenges; /* owned, guarded by the lock; NULL: no challenge was made for the unknown window */
    struct osp_b2  *b2;                 /* owned; NULL: the context is not a base (b2.h) */
    atomic_bool     out_of_use;         /* set once, without the lock */
    _Atomic uint32_t longest;           /* limits.l in bytes, read without the lock for each message; 0: no limit */

    struct osp_lock lock;
    bool            window_known;
    bool            echo_set;           /* `echo` was given out for the unknown window */
    bool            lease_asked;        /* the owner was asked for a lease or to write the usage down */
    bool            record_asked;       /* the owner was asked only to write the usage down */
    uint8_t         echo[OSP_ECHO_LEN];
    bool            usage_kept;         /* the owner writes the usage down; kept_q and kept_v are what is written */
    uint8_t         told;               /* enum osp_key_state that osp_octx_notice() returned last */
    uint64_t        ssn_next, ssn_limit;
    struct osp_replay window;
    uint32_t        used_q, used_v;     /* encryptions with the Sender Key, failed decryptions with the Recipient Key */
    uint32_t        kept_q, kept_v;
    struct osp_key_limits limits;

    uint8_t         bytes[];
};

static inline const uint8_t *
octx_sender_key(const struct osp_octx *c)
{
    return c->bytes;
}

static inline const uint8_t *
octx_recipient_key(const struct osp_octx *c)
{
    return c->bytes + c->key_len;
}

/*
 * octx_may_open() is called before a request is decrypted, octx_window_commit() after it.  The latter moves the replay window,
 * and removes an Echo option that proves freshness.
 *   OSP_E_REPLAY, OSP_E_KEY_SPENT   do not decrypt, or drop what was decrypted
 *   OSP_E_NOT_FRESH                 the window is unknown, and the request does not prove its freshness
 */
enum osp_err octx_may_open(struct osp_octx *c, uint64_t piv);
enum osp_err octx_window_commit(struct osp_octx *c, uint64_t piv, struct osp_msg *request);

/*
 * The sequence number for the challenge that answers the request with Partial IV `piv` (challenge.c), and the Echo value to put
 * into it, which is `drawn` if the context had none.  *repeated: both were given out for this request before, so the caller must
 * encrypt exactly the bytes of last time.
 *   OSP_E_WITHHELD   this request gets no challenge, or no further one: send nothing
 *   OSP_E_REPLAY     the window has become known: send nothing
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_KEY_LIMIT, OSP_E_NOMEM
 */
enum osp_err octx_challenge(struct osp_octx *c, uint64_t piv, struct osp_time now, const uint8_t drawn[OSP_ECHO_LEN],
                            uint8_t echo[OSP_ECHO_LEN], uint64_t *ssn, bool *repeated);

/* Takes the next number; the caller holds the lock.  Errors: see osp_octx_take_ssn(). */
enum osp_err octx_next_ssn(struct osp_octx *c, uint64_t *ssn);

/* The kid context that responses carry.  False: they carry none. */
bool octx_response_kid_context(const struct osp_octx *c, struct osp_slice *out);

/* Makes the replay window of `c` unknown again. */
void octx_forget_window(struct osp_octx *c);

/* Wipes the secrets of a base and frees its part of the context.  NULL is accepted. */
void octx_b2_free(struct osp_b2 *b);

/* Called before a response is decrypted, and before its request is protected.  OSP_E_KEY_SPENT: do neither. */
enum osp_err octx_may_open_response(struct osp_octx *c);

/* ---- usage.c ---- */

/*
 * True if one of the two keys is at a limit that stops it; the caller holds the lock.  Then no request is sent or accepted, since
 * it could not be answered.  For a response only the key that protects it counts.
 */
bool octx_is_spent(const struct osp_octx *c);
bool octx_may_seal(const struct osp_octx *c);
bool octx_may_decrypt(const struct osp_octx *c);
/* True if the keys were used more than is written down; the caller holds the lock. */
bool octx_usage_is_ahead(const struct osp_octx *c);
/* Counts an encryption that begins; the caller holds the lock. */
void octx_count_seal(struct osp_octx *c);
/* Counts an encryption under the nonce of a request.  OSP_E_KEY_LIMIT: do not encrypt, a limit is reached. */
enum osp_err octx_admit_seal(struct osp_octx *c);
/* Counts a message whose tag did not verify. */
void octx_count_failure(struct osp_octx *c);
/* How many bytes plaintext and tag of one message may have together. */
uint32_t octx_longest(const struct osp_octx *c);

/* Writes `ssn` as a Partial IV in its shortest form, at least one byte; returns its length. */
uint8_t octx_piv_write(uint64_t ssn, uint8_t piv[5]);

#endif
