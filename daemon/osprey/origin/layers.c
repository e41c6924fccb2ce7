/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/origin/layers.h"

#include <stdlib.h>

#include "msg/option.h"

#define PLAIN_CAP (OSPREY_LAYERS_MAX * 66560u) /* a datagram per layer */
#define SEALED_CAP (OSPREY_LAYERS_MAX * 66560u)

enum osp_err
osprey_server_init(struct osprey_server *s)
{
    enum osp_err e;

    memset(s, 0, sizeof(*s));
    s->memory = malloc(PLAIN_CAP + SEALED_CAP);
    if (!s->memory)
        return OSP_E_NOMEM;
    e = osp_crypto_new(&s->crypto);
    if (e != OSP_OK) {
        free(s->memory);
        s->memory = NULL;
    }
    return e;
}

void
osprey_server_fini(struct osprey_server *s)
{
    if (s->memory) {
        osp_wipe(s->memory, PLAIN_CAP + SEALED_CAP);
        osp_crypto_free(s->crypto);
    }
    free(s->memory);
    memset(s, 0, sizeof(*s));
}

void
osprey_served_fini(struct osprey_served *sv)
{
    for (size_t i = 0; i < sv->count; i++)
        osp_layer_fini(&sv->layers[i]);
    osp_group_layer_fini(&sv->group);
    memset(sv, 0, sizeof(*sv));
}

/* ---- layers off ---- */

static bool
is_proxied(const struct osp_msg *m)
{
    return osp_msg_has(m, OSP_OPT_PROXY_URI) || osp_msg_has(m, OSP_OPT_PROXY_SCHEME) ||
           osp_msg_has(m, OSP_OPT_PROXY_CRI) || osp_msg_has(m, OSP_OPT_PROXY_SCHEME_NUMBER);
}

/* Removes one layer from `in`.  OSP_E_NOT_FRESH: it was removed, and a challenge has to be the answer. */
static enum osp_err
open_one(struct osprey_server *s, const struct osp_msg *in, struct osprey_served *sv, struct osp_msg *out)
{
    struct osp_oscore_opt f;
    struct osp_octx      *ctx = NULL;
    bool                  made = false;
    enum osp_err          e;

    if (sv->count == OSPREY_LAYERS_MAX) /* layers are counted before decryption [ocp#2.1] */
        return OSP_E_LAYERS;
    e = osp_oscore_opt_parse(osp_msg_get(in, OSP_OPT_OSCORE)->val, &f);
    if (e != OSP_OK)
        return e;
    if (!f.has_kid || f.piv.n == 0) /* a request has both [rfc8613#8.2] */
        return OSP_E_OSCORE_OPTION;
    if (s->contexts)
        ctx = osp_octx_configured_find(s->contexts, f.kid, f.has_kid_context, f.kid_context);
    if (!ctx && s->runtime) {
        ctx = osp_octx_runtime_find(s->runtime, f.kid, f.has_kid_context, f.kid_context);
        made = ctx != NULL;
    }
    if (!ctx)
        return OSP_E_NO_CONTEXT;
    e = osp_oscore_unprotect_request(s->crypto, ctx, in, &s->plain, out, &sv->layers[sv->count]);
    if (made)
        osp_octx_unref(ctx);    /* the layer has a reference of its own */
    if (e == OSP_OK || e == OSP_E_NOT_FRESH)
        sv->count++;
    if (e == OSP_E_FORMAT || e == OSP_E_OPTION_COUNT) /* it decrypted to something that is no message: handled like a wrong tag */
        return OSP_E_DECRYPT;
    return e;
}

/*
 * Removes the layer of the group from `in`; no layer may be inside of it.  OSP_E_NOT_FRESH, OSP_E_FORBIDDEN: it was removed, and
 * the answer is protected.
 */
static enum osp_err
open_group(struct osprey_server *s, const struct osp_msg *in, struct osprey_served *sv, struct osp_msg *out)
{
    enum osp_err e = osp_group_unprotect_request(s->crypto, s->group, in, &s->plain, out, &sv->group);

    if (e == OSP_OK && osp_msg_has(out, OSP_OPT_OSCORE))
        return OSP_E_LAYERS;
    if (e == OSP_E_FORMAT || e == OSP_E_OPTION_COUNT) /* the plaintext is no CoAP message */
        return OSP_E_DECRYPT;
    return e;
}

/*
 * Makes an error response.  If layers were removed it is protected by them; otherwise it has a text, and caches must not keep it
 * [rfc8613#8.2] [ocp#2.5].
 */
static bool
refuse(struct osprey_served *sv, enum osp_err e, struct osp_msg *reply)
{
    uint8_t code = osp_err_code(e);

    sv->err = e;
    osp_msg_init(reply, code ? code : OSP_CODE(5, 0));
    if (sv->count == 0 && !sv->group.group) {
        if (osp_msg_add(reply, OSP_OPT_MAX_AGE, OSP_EMPTY) != OSP_OK)
            return false;
        reply->payload = osp_slice_str(osp_err_text(e));
    }
    return false;
}

/* Makes an Echo challenge [rfc8613#B.1.2] [gosc#9]. */
static bool
challenge(struct osprey_server *s, struct osprey_served *sv, struct osp_msg *reply)
{
    sv->err = OSP_E_NOT_FRESH;
    sv->challenge = true;
    if (sv->group.group)
        osp_group_challenge(&sv->group, s->rand, s->echo, reply);
    else
        osp_oscore_challenge(sv->layers[sv->count - 1].ctx, s->rand, s->echo, reply);
    return false;
}

/* Takes EDHOC message_3 off the request, which comes first [rfc9668#3.3.1].  False: *reply says what is wrong. */
static bool
open_combined(struct osprey_server *s, struct osp_msg *m, struct osprey_served *sv, struct osp_msg *reply)
{
    const struct osp_opt *oscore = osp_msg_get(m, OSP_OPT_OSCORE);
    struct osp_oscore_opt f;

    if (!s->combined)
        return refuse(sv, OSP_E_UNKNOWN_OPTION, reply);
    if (!oscore)
        return refuse(sv, sv->count ? OSP_E_UNKNOWN_OPTION : OSP_E_BAD_REQUEST, reply);
    if (osp_oscore_opt_parse(oscore->val, &f) != OSP_OK || !f.has_kid)
        return refuse(sv, OSP_E_OSCORE_OPTION, reply);
    sv->err = s->combined(s->combined_ctx, f.kid, m, reply);
    return sv->err == OSP_OK;
}

bool
osprey_serve_open(struct osprey_server *s, struct osp_msg *in, struct osprey_served *sv, const struct osp_msg **req,
                  struct osp_msg *reply)
{
    struct osp_msg *m = in;
    uint16_t        which;
    enum osp_err    e;

    memset(sv, 0, sizeof(*sv));
    s->plain = osp_wr_to(s->memory, PLAIN_CAP);
    for (;;) {
        struct osp_msg *next = &s->work[sv->count & 1];

        e = osp_msg_sanitize(m, &which); /* [rfc7252#5.4.3] [rfc7252#5.4.5] */
        if (e != OSP_OK)
            return refuse(sv, e, reply);
        if (is_proxied(m)) /* [ocp#2.4] step 2 */
            return refuse(sv, OSP_E_NOT_PROXY, reply);
        if (osp_msg_has(m, OSP_OPT_EDHOC) && !open_combined(s, m, sv, reply))
            return false;
        if (!osp_msg_has(m, OSP_OPT_OSCORE))
            break;
        if (s->group && osp_group_is_named(s->group, m))
            e = open_group(s, m, sv, next);
        else
            e = open_one(s, m, sv, next);
        if (e == OSP_E_NOT_FRESH)
            return challenge(s, sv, reply);
        if (e != OSP_OK)
            return refuse(sv, e, reply);
        m = next;
    }
    *req = m;
    return true;
}

/* ---- layers on ---- */

/* An Echo is for the one who put the layer on. */
static enum osp_err
choose_classes(const struct osp_layer_ends *ends, const struct osp_msg *m, uint8_t classes[OSP_MSG_OPTS_MAX])
{
    enum osp_err e = osp_classes(ends, m, classes);

    for (size_t k = 0; e == OSP_OK && k < m->opt_count; k++)
        if (m->opts[k].num == OSP_OPT_ECHO)
            classes[k] = OSP_OPT_CLASS_E;
    return e;
}

/* A response with Max-Age 0 is not to be cached, so its resource is not offered to deterministic requests. */
static bool
forbids_keeping(const struct osp_msg *resp)
{
    const struct osp_opt *o = osp_msg_get(resp, OSP_OPT_MAX_AGE);
    uint32_t              v;

    return o && (!osp_opt_uint(o->val, &v) || v == 0);
}

/* Protects `resp` with the layer of the group, with our ID, so that the client knows who answers [cacheable#3.4.4]. */
static enum osp_err
seal_group(struct osprey_server *s, struct osprey_served *sv, const struct osp_msg *resp, struct osp_msg *out)
{
    struct osp_layer_ends ends = { .role = OSP_LAYER_TO_SERVER, .is_next_hop = sv->count == 0 };
    uint8_t               classes[OSP_MSG_OPTS_MAX];
    struct osp_msg        refusal;
    enum osp_err          e;

    osp_msg_init(&refusal, osp_err_code(OSP_E_FORBIDDEN));
    if (sv->group.mode == OSP_GROUP_DETERMINISTIC && forbids_keeping(resp))
        resp = &refusal;
    e = choose_classes(&ends, resp, classes);
    return e == OSP_OK ? osp_group_protect_response(s->crypto, &sv->group, resp, classes, OSP_GROUP_KID, &s->sealed, out) : e;
}

enum osp_err
osprey_serve_seal(struct osprey_server *s, struct osprey_served *sv, const struct osp_msg *resp, const struct osp_msg **out)
{
    const struct osp_msg *m = resp;
    uint8_t               classes[OSP_MSG_OPTS_MAX];
    enum osp_err          e;

    s->sealed = osp_wr_to(&s->memory[PLAIN_CAP], SEALED_CAP);
    if (sv->group.group) {
        e = seal_group(s, sv, resp, &s->work[(sv->count + 1) & 1]);
        if (e != OSP_OK)
            return e;
        m = &s->work[(sv->count + 1) & 1];
    }
    for (size_t i = sv->count; i > 0; i--) {
        bool                  innermost = i == sv->count && !sv->group.group;
        struct osp_layer_ends ends = { .role = innermost ? OSP_LAYER_TO_SERVER : OSP_LAYER_TO_PROXY, .is_next_hop = i == 1 };
        struct osp_msg       *next = &s->work[i & 1];

        e = choose_classes(&ends, m, classes);
        if (e == OSP_OK)
            e = osp_oscore_protect_response(s->crypto, &sv->layers[i - 1], m, classes, sv->challenge && innermost, &s->sealed,
                                            next);
        if (e != OSP_OK)
            return e;
        m = next;
    }
    *out = m;
    return OSP_OK;
}
