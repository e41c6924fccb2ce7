/* SPDX-License-Identifier: BSD-2-Clause */
/* Insides of lib/oscore, shared by its files. */
#ifndef OSP_OSCORE_IMPL_H
#define OSP_OSCORE_IMPL_H

#include <stdatomic.h>

#include "base/lock.h"
#include "oscore/oscore.h"

/*
 * One malloc: the struct, then sender key, recipient key, ID Context and kid context.  Everything above `lock` is
 * constant after osp_octx_new(); what is below it is held under the lock.
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
    struct octx_challenges *challenges; /* owned, under the lock; NULL: none was made for the unknown window */
    struct osp_b2  *b2;                 /* owned; NULL: it is no base (b2.h) */
    atomic_bool     out_of_use;         /* not under the lock */
    _Atomic uint32_t longest;           /* not under the lock: `limits.l` in bytes, read for each message; 0: no limit */

    struct osp_lock lock;
    bool            window_known;
    bool            echo_set;           /* `echo` was given out for the unknown window */
    bool            lease_asked;        /* the owner was asked for something */
    bool            record_asked;       /* it was asked only to write the usage down */
    uint8_t         echo[OSP_ECHO_LEN];
    bool            usage_kept;         /* someone writes the usage down: kept_q, kept_v are what is written */
    uint8_t         told;               /* enum osp_key_state that osp_octx_notice() gave out */
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
 * Before decryption of a request, and after it; an Echo option that proves freshness is removed.
 *   OSP_E_REPLAY, OSP_E_KEY_SPENT   nothing is to be decrypted
 */
enum osp_err octx_may_open(struct osp_octx *c, uint64_t piv);
enum osp_err octx_window_commit(struct osp_octx *c, uint64_t piv, struct osp_msg *request);

/*
 * A number for the challenge that answers the request with Partial IV `piv` (challenge.c), and the Echo value to go into it,
 * which is `drawn` if there was none so far.  *repeated: both were given out for this request before, and whoever
 * uses them must encrypt the same bytes as then.
 *   OSP_E_WITHHELD   this request gets no challenge (any more): send nothing
 *   OSP_E_REPLAY     the window is known by now
 *   OSP_E_NO_LEASE, OSP_E_SSN_EXHAUSTED, OSP_E_KEY_LIMIT, OSP_E_NOMEM
 */
enum osp_err octx_challenge(struct osp_octx *c, uint64_t piv, struct osp_time now, const uint8_t drawn[OSP_ECHO_LEN],
                            uint8_t echo[OSP_ECHO_LEN], uint64_t *ssn, bool *repeated);

/* The lock is held: takes the next number.  As osp_octx_take_ssn(). */
enum osp_err octx_next_ssn(struct osp_octx *c, uint64_t *ssn);

/* The kid context that responses carry. False: none. */
bool octx_response_kid_context(const struct osp_octx *c, struct osp_slice *out);

/* Its window is unknown again. */
void octx_forget_window(struct osp_octx *c);

/* Of a base: its secrets wiped, and freed. NULL is fine. */
void octx_b2_free(struct osp_b2 *b);

/* Before decryption of a response, and before its request is made. OSP_E_KEY_SPENT. */
enum osp_err octx_may_open_response(struct osp_octx *c);

/* ---- usage.c ---- */

/*
 * The lock is held.  A request is neither sent nor taken with one of the two keys at its limit, since there would be no
 * answer to it; for the answer its own key counts.
 */
bool octx_is_spent(const struct osp_octx *c);
bool octx_may_seal(const struct osp_octx *c);
bool octx_may_decrypt(const struct osp_octx *c);
/* The lock is held: more was used than is written down. */
bool octx_usage_is_ahead(const struct osp_octx *c);
/* The lock is held: one encryption begins. */
void octx_count_seal(struct osp_octx *c);
/* One encryption under the nonce of a request begins. OSP_E_KEY_LIMIT: it must not. */
enum osp_err octx_admit_seal(struct osp_octx *c);
/* A tag did not verify. */
void octx_count_failure(struct osp_octx *c);
/* Bytes of plaintext and tag that one message may have. */
uint32_t octx_longest(const struct osp_octx *c);

/* Partial IV of `ssn` in its shortest form, at least one byte; returns its length. */
uint8_t octx_piv_write(uint64_t ssn, uint8_t piv[5]);

#endif
