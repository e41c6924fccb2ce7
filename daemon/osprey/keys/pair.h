/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both ends of one OSCORE Security Context, as files: a random Master Secret, two IDs, and for each side a file that
 * ospreyd (`contexts`) and osprey (-E, --via) read.
 */
#ifndef OSP_DAEMON_OSPREY_KEYS_PAIR_H
#define OSP_DAEMON_OSPREY_KEYS_PAIR_H

#include <stdbool.h>

#include "base/rand.h"
#include "oscore/context.h"

struct osprey_pair {
    const char *dir, *name;                         /* borrowed; `name` is the context's name on both sides */
    uint8_t     sender_id[OSP_OSCORE_ID_MAX];       /* ours; the other side's is recipient_id */
    uint8_t     recipient_id[OSP_OSCORE_ID_MAX];
    size_t      sender_id_len, recipient_id_len;
    bool        has_sender_id, has_recipient_id;    /* false: random bytes are drawn */
};

/*
 * Writes DIR/NAME.key (the secret), DIR/NAME.yaml (our side) and DIR/NAME.peer (the other side, which needs no other file),
 * each with mode 0600, and makes DIR if absent.  False, said on standard error: one of them exists, or cannot be written, or
 * the IDs are equal; then none of the files that were made here stays.
 */
bool osprey_pair_make(struct osprey_pair *p, struct osp_randbuf *rand);

#endif
