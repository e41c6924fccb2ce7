/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bytes.h"

int
osp_hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
osp_hex_decode(struct osp_slice text, uint8_t *dst, size_t cap, size_t *len)
{
    if (text.n % 2 != 0 || text.n / 2 > cap)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (osp_hex_digit(text.p[i]) < 0)
            return false;
    for (size_t i = 0; i < text.n / 2; i++)
        dst[i] = (uint8_t)(osp_hex_digit(text.p[2 * i]) << 4 | osp_hex_digit(text.p[2 * i + 1]));
    *len = text.n / 2;
    return true;
}

void
osp_hex_encode(struct osp_slice s, char *dst, size_t cap)
{
    static const char digits[] = "0123456789abcdef";
    size_t            n = (cap - 1) / 2 < s.n ? (cap - 1) / 2 : s.n;

    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = digits[s.p[i] >> 4];
        dst[2 * i + 1] = digits[s.p[i] & 15];
    }
    dst[2 * n] = '\0';
}

void
osp_wipe(void *p, size_t n)
{
    volatile uint8_t *v = (volatile uint8_t *)p;

    while (n--)
        *v++ = 0;
}

bool
osp_equal_ct(struct osp_slice a, struct osp_slice b)
{
    uint8_t diff = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
    return diff == 0;
}
