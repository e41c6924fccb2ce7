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
    unsigned level;     /* 0: nothing, 1: one block of lines for each layer, 2: also all bytes */
};

/* The `step` of struct osprey_trace: shows a layer that is added or removed.  `ctx` is a struct osprey_show. */
void osprey_show_step(void *ctx, const struct osprey_step *s);

/* The `wire` of struct osprey_net: shows a datagram.  `ctx` is a struct osprey_show. */
void osprey_show_wire(void *ctx, bool out, const struct osp_addr *peer, struct osp_slice datagram);

/* Writes options as "Uri-Host: example.com, Uri-Path: a": encrypted ones, or the others; all if `classes` is NULL. */
void osprey_show_options(FILE *to, const struct osp_msg *m, const uint8_t *classes, bool encrypted);

/* Such as "GET" or "2.05 Content". */
void osprey_show_code(FILE *to, uint8_t code);
const char *osprey_method_name(uint8_t code);   /* NULL: not one of the seven methods */

/* ---- JSON ---- */

/* Writes a string in quotes; bytes that are not UTF-8 are escaped one by one. */
void osprey_json_string(FILE *to, struct osp_slice s);
void osprey_json_hex(FILE *to, struct osp_slice s);
/* Writes the options, without those of number `but`: [{"number":12,"name":"Content-Format","value":0}, and so on]. */
void osprey_json_options(FILE *to, const struct osp_msg *m, uint16_t but);

bool osprey_is_utf8(struct osp_slice s);

#endif
