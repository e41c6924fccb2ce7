/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages, layers and datagrams as text and as JSON, for people and for scripts.
 * Never keys.
 */
#ifndef OSP_DAEMON_OSPREY_SHOW_H
#define OSP_DAEMON_OSPREY_SHOW_H

#include <stdio.h>

#include "daemon/osprey/layers.h"

struct osprey_show {
    FILE    *to;
    unsigned level;     /* 0: nothing, 1: one block per layer, 2: all bytes too */
};

/* For struct osprey_trace: a layer goes on or comes off. `ctx` is a struct osprey_show. */
void osprey_show_step(void *ctx, const struct osprey_step *s);

/* For struct osprey_net: a datagram. `ctx` is a struct osprey_show. */
void osprey_show_wire(void *ctx, bool out, const struct osp_addr *peer, struct osp_slice datagram);

/* Options "Uri-Host: example.com, Uri-Path: a" whose class is encrypted, or is not, or all when `classes` is NULL. */
void osprey_show_options(FILE *to, const struct osp_msg *m, const uint8_t *classes, bool encrypted);

/* "GET", ..., or "2.05 Content" */
void osprey_show_code(FILE *to, uint8_t code);
const char *osprey_method_name(uint8_t code);   /* NULL: none of the seven */

/* ---- JSON ---- */

/* The string in quotes; bytes that are no UTF-8 are escaped one by one. */
void osprey_json_string(FILE *to, struct osp_slice s);
void osprey_json_hex(FILE *to, struct osp_slice s);
/* [{"number":12,"name":"Content-Format","value":0},...] without those of number `but` */
void osprey_json_options(FILE *to, const struct osp_msg *m, uint16_t but);

bool osprey_is_utf8(struct osp_slice s);

#endif
