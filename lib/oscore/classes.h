/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides which options of a message an OSCORE layer encrypts: the option-protection procedure of
 * draft-ietf-core-oscore-capable-proxies in nine steps, as data plus one function [ocp#2.2].
 */
#ifndef OSP_OSCORE_CLASSES_H
#define OSP_OSCORE_CLASSES_H

#include "msg/msg.h"

/* The two ends of a layer: who protects the message, and for which other OSCORE endpoint (X). */
enum osp_layer_role {
    OSP_LAYER_TO_SERVER,          /* an application endpoint protects for the other application endpoint */
    OSP_LAYER_TO_PROXY,           /* an application endpoint protects for an intermediary on the way */
    OSP_LAYER_RELAY,              /* an intermediary protects; it did not add the outer-only options that it relays */
};

struct osp_layer_ends {
    enum osp_layer_role role;
    bool                is_next_hop;    /* X is our next hop */
    bool                strict;         /* an unknown option is an error, since a proxy must know all options it protects */
};

/* The questions of the procedure, answered for one option. */
struct osp_class_facts { bool added, consumer, next_consumer, next_hop, hop_is_next_consumer, needed_before; };

struct osp_class_path { uint8_t step[8]; uint8_t count; };      /* the steps taken, for tests and --verbose */

/* The facts for option `num` in a layer with these ends. */
struct osp_class_facts osp_class_facts(const struct osp_layer_ends *ends, uint16_t num);

/* Goes through the nine steps.  True: the option is Class E.  `path` gets the steps taken, and may be NULL. */
bool osp_class_is_e(const struct osp_class_facts *f, uint16_t num, bool has_proxy_scheme, struct osp_class_path *path);

/*
 * Fills classes[i] (enum osp_opt_class: E, U, I or E_AND_U) for each option of `m`.
 *   OSP_E_UNKNOWN_OPTION   ends->strict is set and an option has no row in the table: answer 4.02, or 5.02 for a response
 */
OSP_CHECKED enum osp_err osp_classes(const struct osp_layer_ends *ends, const struct osp_msg *m,
                                      uint8_t classes[OSP_MSG_OPTS_MAX]);

#endif
