/* SPDX-License-Identifier: BSD-2-Clause */
#include "oscore/parts.h"

#include "msg/option.h"

/* True if the outer instance of an option stays in the decrypted message: Class U and I only [rfc8613#8.2]. */
static bool
outer_stays(uint16_t num)
{
    const struct osp_opt_def *def = osp_opt_def(num);

    return num != OSP_OPT_OSCORE && def && osp_opt_is_outer(def->oscore);
}

enum osp_err
osp_oscore_merge_outer(const struct osp_msg *in, struct osp_msg *out)
{
    bool         authority = osp_msg_has(out, OSP_OPT_PROXY_SCHEME) || osp_msg_has(out, OSP_OPT_PROXY_SCHEME_NUMBER);
    enum osp_err e = OSP_OK;

    for (size_t i = 0; i < in->opt_count && e == OSP_OK; i++) {
        const struct osp_opt     *o = &in->opts[i];
        const struct osp_opt_def *def = osp_opt_def(o->num);

        if (authority && osp_opt_purpose(o->num) == OSP_OPT_FOR_SERVER)
            continue;
        if (outer_stays(o->num) && (def->repeatable || !osp_msg_has(out, o->num)))
            e = osp_msg_add(out, o->num, o->val);
    }
    return e;
}

bool
osp_oscore_shows_uri(const struct osp_msg *in, const uint8_t *classes)
{
    for (size_t i = 0; i < in->opt_count; i++)
        if ((in->opts[i].num == OSP_OPT_PROXY_URI || in->opts[i].num == OSP_OPT_PROXY_CRI) && classes[i] == OSP_OPT_CLASS_U)
            return true;
    return false;
}

enum osp_err
osp_oscore_check_order(bool *nonce_used, uint64_t *last_piv, bool notification, bool has_piv, uint64_t piv)
{
    if (!has_piv) {
        if (*nonce_used || (notification && *last_piv > 0))
            return OSP_E_REPLAY;
        *nonce_used = true;
        return OSP_OK;
    }
    if (piv < *last_piv)
        return OSP_E_REPLAY;
    *last_piv = piv + 1;
    return OSP_OK;
}

uint64_t
osp_oscore_piv_value(struct osp_slice piv)
{
    struct osp_rd r = osp_rd_from(piv);

    return osp_rd_uint(&r, piv.n);
}

enum osp_err
osp_oscore_decode(struct osp_slice plain, const struct osp_msg *in, struct osp_msg *out)
{
    struct osp_rd r = osp_rd_from(plain);

    osp_msg_init(out, osp_rd_u8(&r));
    out->type = in->type;
    out->mid = in->mid;
    out->token = in->token;
    return osp_msg_decode_body(osp_rd_rest(&r), out);
}

void
osp_oscore_take_observe(const struct osp_msg *in, bool has_piv, struct osp_msg *out)
{
    const struct osp_opt *outer = osp_msg_get(in, OSP_OPT_OBSERVE);

    if (!has_piv || !outer)
        return;
    for (size_t i = 0; i < out->opt_count; i++)
        if (out->opts[i].num == OSP_OPT_OBSERVE)
            out->opts[i].val = outer->val;
}
