/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transport addresses, without <sys/socket.h>: the daemon converts.
 *
 * IPv4 is held as an IPv4-mapped IPv6 address (::ffff:a.b.c.d).  Unused bytes are zero,
 * so addresses compare and hash as plain bytes.
 */
#ifndef OSP_BASE_ADDR_H
#define OSP_BASE_ADDR_H

#include "base/bytes.h"

struct osp_ip { uint8_t b[16]; };

/* What carries the messages of a peer: port 5683 of UDP and port 5683 of TCP are two peers. */
enum osp_transport_id { OSP_TRANSPORT_UDP, OSP_TRANSPORT_DTLS, OSP_TRANSPORT_TCP, OSP_TRANSPORT_TLS, OSP_TRANSPORTS };

struct osp_addr {
    struct osp_ip ip;
    uint32_t      scope;        /* interface of a link-local address, else 0 */
    uint16_t      port;
    uint8_t       transport;    /* enum osp_transport_id */
    uint8_t       zero;         /* keeps the padding defined */
};

/*
 * The path a message takes: our socket and address on one side, the peer on the other.
 * An answer leaves by the flow its request came in on.
 */
struct osp_flow {
    struct osp_addr peer;
    struct osp_ip   local;      /* our address; all zero: the system chooses */
    uint32_t        ifindex;    /* interface; 0: the system chooses */
    uint16_t        sock;       /* index of the socket at its owner */
    uint16_t        zero;
};

static inline bool
osp_ip_eq(const struct osp_ip *a, const struct osp_ip *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool
osp_addr_eq(const struct osp_addr *a, const struct osp_addr *b)
{
    return osp_ip_eq(&a->ip, &b->ip) && a->port == b->port && a->scope == b->scope && a->transport == b->transport;
}

bool osp_ip_is_v4(const struct osp_ip *ip);
bool osp_ip_is_any(const struct osp_ip *ip);            /* 0.0.0.0 or :: */
bool osp_ip_is_loopback(const struct osp_ip *ip);
bool osp_ip_is_link_local(const struct osp_ip *ip);
bool osp_ip_is_multicast(const struct osp_ip *ip);      /* true for IPv4 broadcast as well */

/* True if the first `bits` (0-128; for IPv4 counted in the mapped form) of both agree. */
bool osp_ip_in_prefix(const struct osp_ip *ip, const struct osp_ip *prefix, unsigned bits);

/* Makes the mapped form of four bytes. */
struct osp_ip osp_ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);

/*
 * Reads an IPv4 or IPv6 literal without brackets and zone.  False: `text` is not such a literal.
 */
bool osp_ip_parse(struct osp_slice text, struct osp_ip *out);

#define OSP_ADDR_TEXT_MAX 64

/* Writes "192.0.2.1" / "2001:db8::1" with a terminating zero; cap >= OSP_ADDR_TEXT_MAX. */
void osp_ip_print(const struct osp_ip *ip, char *dst, size_t cap);

/* Writes "192.0.2.1:5683" / "[2001:db8::1]:5683"; cap >= OSP_ADDR_TEXT_MAX. */
void osp_addr_print(const struct osp_addr *a, char *dst, size_t cap);

#endif
