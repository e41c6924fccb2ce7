/* SPDX-License-Identifier: BSD-2-Clause */
/* An EDHOC Initiator and Responder who know each other, for the tests of lib/edhoc. */
#ifndef OSP_TESTS_EDHOC_PAIR_H
#define OSP_TESTS_EDHOC_PAIR_H

#include "tests/unit/unit.h"

#include "edhoc/parts.h"

#define EDHOC_I_LABEL 11         /* how the Responder calls the Initiator */
#define EDHOC_R_LABEL 22
#define EDHOC_CHAIN_LABEL 33
#define EDHOC_EAD 5              /* the EAD label that both know */
#define EDHOC_NOW 1800000000     /* within the validity of the certificates */

/* How one side's credential is identified. */
enum edhoc_kind {
    EDHOC_KID, EDHOC_LONG_KID, EDHOC_KCCS, EDHOC_X5T, EDHOC_X5T_FULL, EDHOC_X5CHAIN_KNOWN, EDHOC_X5CHAIN, EDHOC_KINDS,
};

struct edhoc_side {
    struct osp_edhoc_own     own;
    struct osp_edhoc_peer    peer;              /* the other side */
    struct osp_edhoc_peers   peers;
    struct osp_edhoc_profile profile;
    struct osp_edhoc         s;
    uint8_t                  id[1024], cred[512];
    uint8_t                  message[OSP_EDHOC_MESSAGE_MAX];
    struct osp_wr            out;               /* into `message`: the last one made */
};

struct edhoc_pair { struct edhoc_side i, r; uint8_t method; int64_t suite; };

/* For all tests of a program.  The trust anchors are those of edhoc-x509.json. */
int edhoc_setup(void **state);
int edhoc_teardown(void **state);
extern struct osp_crypto *edhoc_crypto;
extern struct osp_x509_anchors *edhoc_anchors;

/* Certificate or key `name` of edhoc-x509.json. */
struct osp_slice edhoc_vector(const char *name, uint8_t *buf, size_t cap);

/* Sides with credentials of the given kinds; both sessions begin. */
void edhoc_init(struct edhoc_pair *p, uint8_t method, int64_t suite, enum edhoc_kind i, enum edhoc_kind r, bool m4);

/* Begins both sessions again. */
void edhoc_begin(struct edhoc_pair *p);

/* A CCS of a key of `curve` from `seed` in `side`; its kid is the one byte `kid`, or that and more when `is_long`. */
void edhoc_ccs(struct edhoc_side *side, int curve, uint8_t seed, uint8_t kid, bool is_long, bool by_value);

/* Makes or takes message `n` with fixed random bytes; `ead` is sent. */
enum osp_err edhoc_make(struct edhoc_pair *p, int n, struct osp_slice ead);
enum osp_err edhoc_take(struct edhoc_pair *p, int n, struct osp_edhoc_eads *eads);

/* The side that makes message `n`, and the one that takes it. */
struct edhoc_side *edhoc_maker(struct edhoc_pair *p, int n);
struct edhoc_side *edhoc_taker(struct edhoc_pair *p, int n);

/* Runs messages 1 to `last`, all of which have to succeed. */
void edhoc_run(struct edhoc_pair *p, int last);

#endif
