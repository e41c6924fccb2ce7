/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/addr.h"

#include <stdio.h>

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool
osp_ip_is_v4(const struct osp_ip *ip)
{
    return memcmp(ip->b, v4_prefix, sizeof(v4_prefix)) == 0;
}

struct osp_ip
osp_ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    struct osp_ip ip = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d } };
    return ip;
}

bool
osp_ip_is_any(const struct osp_ip *ip)
{
    static const struct osp_ip any6 = { { 0 } };
    struct osp_ip              any4 = osp_ip_v4(0, 0, 0, 0);

    return osp_ip_eq(ip, &any6) || osp_ip_eq(ip, &any4);
}

bool
osp_ip_is_loopback(const struct osp_ip *ip)
{
    static const struct osp_ip one = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } };

    return osp_ip_is_v4(ip) ? ip->b[12] == 127 : osp_ip_eq(ip, &one);
}

bool
osp_ip_is_link_local(const struct osp_ip *ip)
{
    if (osp_ip_is_v4(ip))
        return ip->b[12] == 169 && ip->b[13] == 254;
    return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

bool
osp_ip_is_multicast(const struct osp_ip *ip)
{
    struct osp_ip broadcast = osp_ip_v4(255, 255, 255, 255);

    if (osp_ip_is_v4(ip))
        return (ip->b[12] & 0xf0) == 0xe0 || osp_ip_eq(ip, &broadcast);
    return ip->b[0] == 0xff;
}

bool
osp_ip_in_prefix(const struct osp_ip *ip, const struct osp_ip *prefix, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    if (bits > 128 || memcmp(ip->b, prefix->b, whole) != 0)
        return false;
    return rest == 0 || ((ip->b[whole] ^ prefix->b[whole]) >> (8 - rest)) == 0;
}

/* Four decimal numbers [RFC 3986, 3.2.2].  Leading zeroes are refused, since some programs read such numbers as octal. */
static bool
parse_v4(struct osp_rd *r, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned v = 0;
        int      digits = 0;
        bool     zero = osp_rd_peek(r) == '0';

        while (osp_rd_peek(r) >= '0' && osp_rd_peek(r) <= '9' && digits < 3) {
            v = v * 10 + (unsigned)(osp_rd_u8(r) - '0');
            digits++;
        }
        if (digits == 0 || v > 255 || (zero && digits > 1))
            return false;
        out[i] = (uint8_t)v;
        if (i < 3 && osp_rd_u8(r) != '.')
            return false;
    }
    return osp_rd_done(r);
}

/* RFC 4291 2.2: groups of hexadecimal digits, one "::", an IPv4 tail. */
static bool
parse_v6(struct osp_rd *r, uint8_t out[16])
{
    uint8_t head[16] = { 0 };
    size_t  n = 0;              /* bytes filled */
    size_t  gap = 17;           /* position of "::"; 17: there was none */

    if (osp_rd_peek(r) == ':') {
        osp_rd_u8(r);
        if (osp_rd_u8(r) != ':')
            return false;
        gap = 0;
    }
    while (osp_rd_left(r) > 0) {
        struct osp_rd at = *r;
        unsigned      v = 0;
        int           digits = 0;

        while (digits < 4 && osp_rd_left(r) > 0 && osp_hex_digit(osp_rd_peek(r)) >= 0) {
            v = v << 4 | (unsigned)osp_hex_digit(osp_rd_u8(r));
            digits++;
        }
        if (digits == 0)
            return false;
        if (osp_rd_peek(r) == '.') {
            if (n > 12 || !parse_v4(&at, head + n))
                return false;
            n += 4;
            osp_rd_rest(r);
            break;
        }
        if (n > 14)
            return false;
        head[n++] = (uint8_t)(v >> 8);
        head[n++] = (uint8_t)v;
        if (osp_rd_left(r) == 0)
            break;
        if (osp_rd_u8(r) != ':' || osp_rd_left(r) == 0)
            return false;
        if (osp_rd_peek(r) == ':') {
            if (gap != 17)
                return false;
            osp_rd_u8(r);
            gap = n;
        }
    }
    if (gap == 17 ? n != 16 : n > 14)
        return false;
    memset(out, 0, 16);
    if (gap == 17)
        gap = n;
    memcpy(out, head, gap);
    memcpy(out + 16 - (n - gap), head + gap, n - gap);
    return true;
}

bool
osp_ip_parse(struct osp_slice text, struct osp_ip *out)
{
    struct osp_rd r = osp_rd_from(text);
    uint8_t       v4[4];

    if (text.n == 0)
        return false;
    if (parse_v4(&r, v4)) {
        *out = osp_ip_v4(v4[0], v4[1], v4[2], v4[3]);
        return true;
    }
    r = osp_rd_from(text);
    return parse_v6(&r, out->b);
}

/* Writes the form of RFC 5952: lower case, and "::" for the longest run of zero groups. */
static void
print_v6(const struct osp_ip *ip, char *dst, size_t cap)
{
    int    best = -1, best_len = 1, at = -1, len = 0;
    size_t n = 0;

    for (int g = 0; g < 8; g++) {
        if (ip->b[2 * g] == 0 && ip->b[2 * g + 1] == 0) {
            at = len ? at : g;
            if (++len > best_len) {
                best = at;
                best_len = len;
            }
        } else {
            len = 0;
        }
    }
    dst[0] = '\0';
    for (int g = 0; g < 8 && n < cap; g++) {
        if (g == best) {
            n += (size_t)snprintf(dst + n, cap - n, "::");
            g += best_len - 1;
            continue;
        }
        n += (size_t)snprintf(dst + n, cap - n, "%s%x", g && g != best + best_len ? ":" : "",
                              (unsigned)ip->b[2 * g] << 8 | ip->b[2 * g + 1]);
    }
}

void
osp_ip_print(const struct osp_ip *ip, char *dst, size_t cap)
{
    if (osp_ip_is_v4(ip))
        snprintf(dst, cap, "%u.%u.%u.%u", ip->b[12], ip->b[13], ip->b[14], ip->b[15]);
    else
        print_v6(ip, dst, cap);
}

void
osp_addr_print(const struct osp_addr *a, char *dst, size_t cap)
{
    char ip[OSP_ADDR_TEXT_MAX];

    osp_ip_print(&a->ip, ip, sizeof(ip));
    if (osp_ip_is_v4(&a->ip))
        snprintf(dst, cap, "%.45s:%u", ip, a->port);
    else
        snprintf(dst, cap, "[%.45s]:%u", ip, a->port);
}
