/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client and a server that share one context, for the tests of lib/oscore: requests and responses go through
 * `wire`, and what came out last is in `got`.
 */
#ifndef OSP_TESTS_OSCORE_PAIR_H
#define OSP_TESTS_OSCORE_PAIR_H

#include "tests/unit/unit.h"

#include "msg/option.h"
#include "oscore/configured.h"
#include "oscore/oscore.h"

struct fix {
    struct osp_crypto *cr;
    struct osp_octx   *client, *server;
    struct osp_layer   cl, sl;                  /* of the last request, at either end */
    uint8_t            scratch[8192], scratch2[8192];
    struct osp_msg     plain, wire, got;
    uint64_t           rng;
};

extern const struct osp_layer_ends to_server;

/* cmocka set-up and tear-down; pair() and drop_pair() change the contexts between. */
int  pair_setup(void **state);
int  pair_teardown(void **state);
void pair(struct fix *f, int aead, const char *id_context);
void drop_pair(struct fix *f);

/* A PUT with Uri-Host, Uri-Path, an unknown option and a payload in `plain`. */
void request(struct fix *f);
/* plain -> wire, and wire -> got at the server. */
void protect(struct fix *f);
OSP_CHECKED enum osp_err unprotect(struct fix *f);
/* resp -> wire at the server, and wire -> got at the client. */
OSP_CHECKED enum osp_err respond(struct fix *f, const struct osp_msg *resp, bool own);
OSP_CHECKED enum osp_err receive(struct fix *f);

#endif
