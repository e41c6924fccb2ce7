/* SPDX-License-Identifier: BSD-2-Clause */
/* Insides of lib/oscore, shared by its files. */
#ifndef OSP_OSCORE_IMPL_H
#define OSP_OSCORE_IMPL_H

#include <stdatomic.h>

#include "base/lock.h"
#include "oscore/oscore.h"

/*
 * One malloc: the struct, then sender key, recipient key and ID Context.  Everything above `lock` is
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
    bool            has_id_context;

    struct osp_lock lock;
    bool            window_known;
    bool            echo_set;           /* `echo` was given out for the unknown window */
    bool            lease_asked;
    uint8_t         echo[OSP_ECHO_LEN];
    uint64_t        ssn_next, ssn_limit;
    struct osp_replay window;

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

/* Outcome of the window check before and after decryption; an Echo option that proves freshness is removed. */
bool octx_window_is_fresh(struct osp_octx *c, uint64_t piv);
enum osp_err octx_window_commit(struct osp_octx *c, uint64_t piv, struct osp_msg *request);

/* Partial IV of `ssn` in its shortest form, at least one byte; returns its length. */
uint8_t octx_piv_write(uint64_t ssn, uint8_t piv[5]);

#endif
