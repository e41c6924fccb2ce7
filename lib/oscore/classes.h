/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which options of a message are encrypted in a layer: the option-protection procedure of
 * draft-ietf-core-oscore-capable-proxies, nine steps, as data plus one function [ocp#2.2].
 */
#ifndef OSP_OSCORE_CLASSES_H
#define OSP_OSCORE_CLASSES_H

#include "msg/msg.h"

/* Who protects, and for whom (the other OSCORE endpoint, X). */
enum osp_layer_role {
    OSP_LAYER_TO_SERVER,          /* an application endpoint, for the other application endpoint */
    OSP_LAYER_TO_PROXY,           /* an application endpoint, for an intermediary on the way */
    OSP_LAYER_RELAY,              /* an intermediary: it added none of the outer-only options it relays */
};

struct osp_layer_ends {
    enum osp_layer_role role;
    bool                is_next_hop;    /* X is our next hop */
    bool                strict;         /* an unknown option is an error (a proxy must know all) */
};

/* The questions of the procedure, answered for one option. */
struct osp_class_facts { bool added, consumer, next_consumer, next_hop, hop_is_next_consumer, needed_before; };

struct osp_class_path { uint8_t step[8]; uint8_t count; };      /* the steps taken, for tests and --verbose */

/* The facts for option `num` in a layer with these ends. */
struct osp_class_facts osp_class_facts(const struct osp_layer_ends *ends, uint16_t num);

/* Runs the nine steps; true: Class E. `path` may be NULL. */
bool osp_class_is_e(const struct osp_class_facts *f, uint16_t num, bool has_proxy_scheme, struct osp_class_path *path);

/*
 * Fills classes[i] (enum osp_opt_class: E, U, I or E_AND_U) for each option of `m`.
 *   OSP_E_UNKNOWN_OPTION   ends->strict and an option without a row in the table: 4.02, or 5.02 for a response
 */
OSP_CHECKED enum osp_err osp_classes(const struct osp_layer_ends *ends, const struct osp_msg *m,
                                      uint8_t classes[OSP_MSG_OPTS_MAX]);

#endif
