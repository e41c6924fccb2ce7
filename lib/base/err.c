/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include <stddef.h>

/* 402 -> 4.02 as the byte on the wire */
#define CODE(c) ((uint8_t)((((c) / 100) << 5) | ((c) % 100)))

static const struct {
    const char        *name;
    const char        *text;
    enum osp_err_class cls;
    uint8_t            code;
} errors[OSP_ERR_COUNT] = {
    [OSP_OK] = { "ok", "ok", OSP_CLASS_NONE, 0 },
#define X(id, cls, code, text) [OSP_E_##id] = { #id, text, OSP_CLASS_##cls, CODE(code) },
    OSP_ERR_LIST(X)
#undef X
};

const char *
osp_err_text(enum osp_err e)
{
    return (unsigned)e < OSP_ERR_COUNT ? errors[e].text : "unknown error";
}

const char *
osp_err_name(enum osp_err e)
{
    return (unsigned)e < OSP_ERR_COUNT ? errors[e].name : "UNKNOWN";
}

enum osp_err_class
osp_err_class(enum osp_err e)
{
    return (unsigned)e < OSP_ERR_COUNT ? errors[e].cls : OSP_CLASS_LOCAL;
}

uint8_t
osp_err_code(enum osp_err e)
{
    return (unsigned)e < OSP_ERR_COUNT ? errors[e].code : 0;
}
