/* SPDX-License-Identifier: BSD-2-Clause */
#include "oscore/classes.h"

#include "msg/option.h"

/*
 * Answers the questions of the procedure for each role: does X read the option, and is X the next to read it?  A relay answers
 * them for X as its next hop; an application endpoint knows for whom it added each option.
 */
struct osp_class_facts
osp_class_facts(const struct osp_layer_ends *ends, uint16_t num)
{
    enum osp_opt_purpose   p = osp_opt_purpose(num);
    bool                   server = p == OSP_OPT_FOR_SERVER, opens = p == OSP_OPT_FOR_OPENING;
    bool                   server_or_proxy = server || p == OSP_OPT_FOR_PROXY || p == OSP_OPT_FOR_HOPS;
    struct osp_class_facts f = { .added = ends->role != OSP_LAYER_RELAY, .next_hop = ends->is_next_hop };

    switch (ends->role) {
    case OSP_LAYER_TO_SERVER:
        f.consumer = server || opens;
        f.next_consumer = opens || (server && ends->is_next_hop);
        f.hop_is_next_consumer = !ends->is_next_hop && server_or_proxy;
        f.needed_before = opens;
        break;
    case OSP_LAYER_TO_PROXY:
        f.consumer = f.next_consumer = server_or_proxy;
        f.hop_is_next_consumer = ends->is_next_hop && f.consumer;
        break;
    case OSP_LAYER_RELAY:
        f.consumer = f.next_consumer = server_or_proxy;
        break;
    }
    return f;
}

/*
 * The procedure as a table: each step asks one question, `yes` and `no` are the next steps, and steps 8 and 9 end it.
 * [ocp#2.2]
 */
enum { ADDED, CONSUMER, NEXT_CONSUMER, HOP, NEEDED, LOCATION, SCHEME };

static const struct { uint8_t question, yes, no; } steps[] = {
    [1] = { ADDED, 2, 4 },
    [2] = { CONSUMER, 3, 4 },
    [3] = { NEXT_CONSUMER, 5, 9 },
    [4] = { HOP, 6, 9 },
    [5] = { NEEDED, 9, 6 },
    [6] = { LOCATION, 7, 8 },
    [7] = { SCHEME, 8, 9 },
};

bool
osp_class_is_e(const struct osp_class_facts *f, uint16_t num, bool has_proxy_scheme, struct osp_class_path *path)
{
    const bool answers[] = {
        [ADDED] = f->added,
        [CONSUMER] = f->consumer,
        [NEXT_CONSUMER] = f->next_consumer,
        [HOP] = f->next_hop || !f->hop_is_next_consumer,
        [NEEDED] = f->needed_before,
        [LOCATION] = osp_opt_purpose(num) == OSP_OPT_FOR_SERVER,
        [SCHEME] = has_proxy_scheme,
    };
    uint8_t    at = 1;

    if (path)
        path->count = 0;
    for (;;) {          /* ends, since every step leads to a later one */
        if (path)
            path->step[path->count++] = at;
        if (at >= 8)
            return at == 8;
        at = answers[steps[at].question] ? steps[at].yes : steps[at].no;
    }
}

enum osp_err
osp_classes(const struct osp_layer_ends *ends, const struct osp_msg *m, uint8_t classes[OSP_MSG_OPTS_MAX])
{
    bool scheme = osp_msg_has(m, OSP_OPT_PROXY_SCHEME) || osp_msg_has(m, OSP_OPT_PROXY_SCHEME_NUMBER);

    for (size_t i = 0; i < m->opt_count; i++) {
        uint16_t                  num = m->opts[i].num;
        const struct osp_opt_def *def = osp_opt_def(num);
        struct osp_class_facts    f;

        if (!def && ends->strict)
            return OSP_E_UNKNOWN_OPTION;
        /* [rfc8613#4.1] an unknown option is Class E */
        classes[i] = (uint8_t)(def ? def->oscore : OSP_OPT_CLASS_E);
        if (!osp_opt_is_outer(classes[i]))
            continue;
        f = osp_class_facts(ends, num);
        if (osp_class_is_e(&f, num, scheme, NULL))
            classes[i] = OSP_OPT_CLASS_E;
    }
    return OSP_OK;
}
