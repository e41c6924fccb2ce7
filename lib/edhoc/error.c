/* SPDX-License-Identifier: BSD-2-Clause */
/* error = ( ERR_CODE, ERR_INFO )  [rfc9528#6] */
#include "cbor/enc.h"
#include "edhoc/impl.h"

#define INFO_DEPTH 4

bool
osp_edhoc_is_error(struct osp_slice message)
{
    struct osp_cbor c = osp_cbor_from(message);

    return osp_cbor_peek(&c) == OSP_CBOR_UINT || osp_cbor_peek(&c) == OSP_CBOR_NINT;
}

enum osp_err
osp_edhoc_read_error(struct osp_slice message, struct osp_edhoc_error *out)
{
    struct osp_cbor        c = osp_cbor_from(message), info;
    struct osp_edhoc_error r = { .code = osp_cbor_int(&c) };
    struct osp_slice       item = osp_cbor_skip(&c, INFO_DEPTH);
    enum osp_err           e = osp_cbor_done(&c) ? OSP_OK : OSP_E_FORMAT;

    if (e != OSP_OK)
        return e;
    info = osp_cbor_from(item);
    if (r.code == OSP_EDHOC_ERR_UNSPECIFIED) {
        r.text = osp_cbor_tstr(&info);
        e = osp_cbor_done(&info) ? OSP_OK : OSP_E_FORMAT;
    } else if (r.code == OSP_EDHOC_ERR_SUITE) {
        e = osp_edhoc_suites_read(item, &r.suites_r);
    } else if (r.code == OSP_EDHOC_ERR_CREDENTIAL) {
        e = osp_cbor_bool(&info) ? OSP_OK : OSP_E_FORMAT;
    } else if (r.code == 0) {   /* [rfc9528#6.1] code 0 (success) never stands in a message */
        e = OSP_E_FORMAT;
    }
    if (e == OSP_OK)
        *out = r;
    return e;
}

enum osp_err
edh_take_error(struct osp_edhoc *s, const struct edh_args *a)
{
    struct osp_edhoc_error r;
    enum osp_err           e = osp_edhoc_read_error(a->in, &r);

    (void)s;
    if (e == OSP_OK && a->error)
        *a->error = r;
    return e;
}

enum osp_err
osp_edhoc_put_error(struct osp_wr *out, enum osp_err e)
{
    size_t before = out->n;

    osp_cbor_put_int(out, OSP_EDHOC_ERR_UNSPECIFIED);
    osp_cbor_put_tstr(out, osp_err_text(e));
    if (!osp_wr_bad(out))
        return OSP_OK;
    out->n = before;
    return OSP_E_NOSPACE;
}

enum osp_err
osp_edhoc_make_error(struct osp_edhoc *s, struct osp_wr *out)
{
    size_t                  before = out->n;
    struct osp_edhoc_suites suites_r;
    enum osp_err            failure = s->failure;

    if (failure == OSP_OK)
        return OSP_E_EDHOC_STATE;
    if (failure == OSP_E_EDHOC_SUITE) {
        /* [rfc9528#6.3] SUITES_R lists all suites we support; their order means nothing */
        edh_usable_suites(s, &suites_r);
        osp_cbor_put_int(out, OSP_EDHOC_ERR_SUITE);
        osp_edhoc_suites_put(out, &suites_r);
    } else if (failure == OSP_E_EDHOC_NO_CRED) {
        osp_cbor_put_int(out, OSP_EDHOC_ERR_CREDENTIAL);
        osp_cbor_put_bool(out, true);
    } else if (osp_edhoc_put_error(out, failure) != OSP_OK) {
        return OSP_E_NOSPACE;
    }
    if (osp_wr_bad(out)) {
        out->n = before;
        return OSP_E_NOSPACE;
    }
    s->failure = OSP_OK;        /* an error message is sent once, and never answered [rfc9528#6] */
    return OSP_OK;
}
