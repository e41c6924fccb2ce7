/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vec.h"

#include <stdio.h>
#include <stdlib.h>

static void
die(const char *what, const char *key)
{
    fprintf(stderr, "vectors: %s: %s\n", what, key);
    exit(2);
}

json_t *
vec_load(const char *name)
{
    char         path[256];
    json_error_t e;
    json_t      *j;

    snprintf(path, sizeof(path), "tests/vectors/%s", name);
    j = json_load_file(path, 0, &e);
    if (!j)
        die(path, e.text);
    return j;
}

const char *
vec_str(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));

    if (!s)
        die("no string member", key);
    return s;
}

struct osp_slice
vec_hex(const json_t *obj, const char *key, uint8_t *buf, size_t cap)
{
    const json_t *v = json_object_get(obj, key);
    size_t        n = 0;

    if (!v || json_is_null(v))
        return OSP_EMPTY;
    if (!json_is_string(v) || !osp_hex_decode(osp_slice_str(json_string_value(v)), buf, cap, &n))
        die("no hex member", key);
    return osp_slice(buf, n);
}

uint8_t
vec_code(const char *text)
{
    unsigned c = 0, d = 0;

    if (sscanf(text, "%u.%u", &c, &d) != 2)
        die("no code", text);
    return (uint8_t)(c << 5 | d);
}
