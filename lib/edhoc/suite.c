/* SPDX-License-Identifier: BSD-2-Clause */
#include "edhoc/suite.h"

#include "cbor/enc.h"
#include "cbor/rd.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "crypto/pk.h"

/* [rfc9528#10.2] */
static const struct osp_edhoc_suite suites[] = {
    { 0, OSP_AES_CCM_16_64_128, OSP_SHA256, 8, OSP_X25519, OSP_EDDSA, OSP_AES_CCM_16_64_128, OSP_HKDF_SHA256 },
    { 1, OSP_AES_CCM_16_128_128, OSP_SHA256, 16, OSP_X25519, OSP_EDDSA, OSP_AES_CCM_16_64_128, OSP_HKDF_SHA256 },
    { 2, OSP_AES_CCM_16_64_128, OSP_SHA256, 8, OSP_P256, OSP_ES256, OSP_AES_CCM_16_64_128, OSP_HKDF_SHA256 },
    { 3, OSP_AES_CCM_16_128_128, OSP_SHA256, 16, OSP_P256, OSP_ES256, OSP_AES_CCM_16_64_128, OSP_HKDF_SHA256 },
    { 4, OSP_CHACHA20_POLY1305, OSP_SHA256, 16, OSP_X25519, OSP_EDDSA, OSP_CHACHA20_POLY1305, OSP_HKDF_SHA256 },
    { 5, OSP_CHACHA20_POLY1305, OSP_SHA256, 16, OSP_P256, OSP_ES256, OSP_CHACHA20_POLY1305, OSP_HKDF_SHA256 },
    { 6, OSP_AES_GCM_128, OSP_SHA256, 16, OSP_X25519, OSP_ES256, OSP_AES_GCM_128, OSP_HKDF_SHA256 },
};

const struct osp_edhoc_suite *
osp_edhoc_suite(int64_t value)
{
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        if (suites[i].value == value)
            return &suites[i];
    return NULL;
}

int
osp_edhoc_sign_curve(const struct osp_edhoc_suite *s)
{
    return s->sign == OSP_EDDSA ? OSP_ED25519 : OSP_P256;
}

bool
osp_edhoc_suites_has(const struct osp_edhoc_suites *list, int64_t value)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->value[i] == value)
            return true;
    return false;
}

void
osp_edhoc_suites_put(struct osp_wr *w, const struct osp_edhoc_suites *list)
{
    if (list->count != 1)
        osp_cbor_put_array(w, list->count);
    for (size_t i = 0; i < list->count; i++)
        osp_cbor_put_int(w, list->value[i]);
}

enum osp_err
osp_edhoc_suites_read(struct osp_slice item, struct osp_edhoc_suites *out)
{
    struct osp_cbor         c = osp_cbor_from(item);
    struct osp_edhoc_suites list = { .count = 1 };

    if (osp_cbor_peek(&c) == OSP_CBOR_ARRAY) {
        list.count = osp_cbor_array(&c, OSP_EDHOC_SUITES_MAX);
        if (list.count < 2)             /* [rfc9528#5.2.1] one suite would be an int, not an array */
            return OSP_E_FORMAT;
    }
    for (size_t i = 0; i < list.count; i++)
        list.value[i] = osp_cbor_int(&c);
    if (!osp_cbor_done(&c))
        return OSP_E_FORMAT;
    *out = list;
    return OSP_OK;
}

enum osp_err
osp_edhoc_suite_choose(const struct osp_edhoc_suites *own, const struct osp_edhoc_suites *suites_r, int64_t *out)
{
    for (size_t i = 0; i < own->count; i++)
        if (osp_edhoc_suites_has(suites_r, own->value[i])) {
            *out = own->value[i];
            return OSP_OK;
        }
    return OSP_E_EDHOC_SUITE;
}

enum osp_err
osp_edhoc_suites_judge(const struct osp_edhoc_suites *supported, const struct osp_edhoc_suites *suites_i)
{
    for (size_t i = 0; i < suites_i->count; i++)
        if (osp_edhoc_suites_has(supported, suites_i->value[i]))
            return i + 1 == suites_i->count ? OSP_OK : OSP_E_EDHOC_SUITE;
    return OSP_E_EDHOC_SUITE;
}
