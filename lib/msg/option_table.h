/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of options: everything that this project knows of a CoAP option, one row an option.
 *
 * A new option is a new row here, plus the code that acts on its value.  A row without an answer in every column
 * does not compile.  Codec, OSCORE, cache, block-wise transfers, observations and the proxy read the table through
 * msg/option.h; none of them has a list of its own.
 *
 * No row, on purpose, for what this proxy does not take part in: Q-Block1/2 (unsafe, so 4.02) and the options of
 * group communication.
 */
#ifndef OSP_MSG_OPTION_TABLE_H
#define OSP_MSG_OPTION_TABLE_H

#define OSP_OPT_ANY_LEN UINT16_MAX

/*
 *  number, name, format, least and most bytes   as the option's document gives them
 *  twice      the option may be repeated (AGAIN) or not (ONCE)
 *  class      for OSCORE: E, U, I or E_AND_U, as the option's document gives it [rfc8613#4.1]
 *  purpose    who reads the option: enum osp_opt_purpose [ocp#2.2]
 *  cache      what the option means to a cache: enum osp_opt_cache [rfc7252#5.6]
 *  operation  whether the option has to be equal in all requests of one block-wise operation (SAME) or may differ
 *             between them (VARIES) [rfc7959#2.4] [rfc9175#3.3]; Observe stands in the first one only [rfc7959#2.6]
 *  observers  whether a registration with the option may share an observation with other clients' registrations
 *             (SHARED) or needs one of its own (ALONE) [rfc7641#5]
 *
 * Two rows are wider than their RFC's table of options.  The RFC has a rule of its own for a value out of that range,
 * which RFC 7252 section 5.4.3 would otherwise forestall:
 *   Hop-Limit      any other value is 4.00, not ignored [rfc8768#3]
 *   EDHOC          a value is ignored, not the option [rfc9668#3.1]
 * Hop-Limit is Class U since the draft of 2026 (E by default before) [ocp#3].
 * Request-Hash is proposed by draft-ietf-core-cacheable-oscore; it is Class U in requests and I in responses, and an
 * outer option in both.
 */
/* clang-format off */
#define OSP_OPTIONS(X)                                                                                                          \
    /* id               number name              format  least most   twice  class    purpose    cache   operation observers */ \
    X(IF_MATCH,             1, "If-Match",       OPAQUE, 0, 8,        AGAIN, E,       ENDPOINTS, KEY,    SAME,     ALONE)       \
    X(URI_HOST,             3, "Uri-Host",       STRING, 1, 255,      ONCE,  U,       SERVER,    KEY,    SAME,     SHARED)      \
    X(ETAG,                 4, "ETag",           OPAQUE, 1, 8,        AGAIN, E,       ENDPOINTS, RULES,  VARIES,   SHARED)      \
    X(IF_NONE_MATCH,        5, "If-None-Match",  EMPTY,  0, 0,        ONCE,  E,       ENDPOINTS, KEY,    SAME,     ALONE)       \
    X(OBSERVE,              6, "Observe",        UINT,   0, 3,        ONCE,  E_AND_U, ENDPOINTS, RULES,  VARIES,   SHARED)      \
    X(URI_PORT,             7, "Uri-Port",       UINT,   0, 2,        ONCE,  U,       SERVER,    KEY,    SAME,     SHARED)      \
    X(LOCATION_PATH,        8, "Location-Path",  STRING, 0, 255,      AGAIN, E,       ENDPOINTS, KEY,    SAME,     SHARED)      \
    X(OSCORE,               9, "OSCORE",         OPAQUE, 0, 255,      ONCE,  U,       LAYER,     KEY,    SAME,     ALONE)       \
    X(URI_PATH,            11, "Uri-Path",       STRING, 0, 255,      AGAIN, E,       RESOURCE,  URI,    SAME,     SHARED)      \
    X(CONTENT_FORMAT,      12, "Content-Format", UINT,   0, 2,        ONCE,  E,       ENDPOINTS, KEY,    SAME,     SHARED)      \
    X(URI_PATH_ABBREV,     13, "Uri-Path-Abbrev", UINT,  0, 4,        ONCE,  E,       RESOURCE,  KEY,    SAME,     SHARED)      \
    X(MAX_AGE,             14, "Max-Age",        UINT,   0, 4,        ONCE,  E_AND_U, ENDPOINTS, KEY,    SAME,     SHARED)      \
    X(URI_QUERY,           15, "Uri-Query",      STRING, 0, 255,      AGAIN, E,       RESOURCE,  URI,    SAME,     SHARED)      \
    X(HOP_LIMIT,           16, "Hop-Limit",      UINT,   0, OSP_OPT_ANY_LEN, ONCE, U, HOPS,      RULES,  VARIES,   SHARED)      \
    X(ACCEPT,              17, "Accept",         UINT,   0, 2,        ONCE,  E,       ENDPOINTS, KEY,    SAME,     SHARED)      \
    X(LOCATION_QUERY,      20, "Location-Query", STRING, 0, 255,      AGAIN, E,       ENDPOINTS, KEY,    SAME,     SHARED)      \
    X(EDHOC,               21, "EDHOC",          EMPTY,  0, OSP_OPT_ANY_LEN, ONCE, U, OPENING,   KEY,    SAME,     SHARED)      \
    X(BLOCK2,              23, "Block2",         UINT,   0, 3,        ONCE,  E_AND_U, ENDPOINTS, RULES,  VARIES,   ALONE)       \
    X(BLOCK1,              27, "Block1",         UINT,   0, 3,        ONCE,  E_AND_U, ENDPOINTS, RULES,  VARIES,   ALONE)       \
    X(SIZE2,               28, "Size2",          UINT,   0, 4,        ONCE,  E_AND_U, ENDPOINTS, NO_KEY, VARIES,   SHARED)      \
    X(PROXY_URI,           35, "Proxy-Uri",      STRING, 1, 1034,     ONCE,  U,       PROXY,     KEY,    SAME,     SHARED)      \
    X(PROXY_SCHEME,        39, "Proxy-Scheme",   STRING, 1, 255,      ONCE,  U,       PROXY,     KEY,    SAME,     SHARED)      \
    X(SIZE1,               60, "Size1",          UINT,   0, 4,        ONCE,  E_AND_U, ENDPOINTS, NO_KEY, VARIES,   SHARED)      \
    X(PROXY_CRI,          235, "Proxy-Cri",      OPAQUE, 1, 1023,     ONCE,  U,       PROXY,     KEY,    SAME,     SHARED)      \
    X(PROXY_SCHEME_NUMBER, 239, "Proxy-Scheme-Number", UINT, 0, 3,    ONCE,  U,       PROXY,     KEY,    SAME,     SHARED)      \
    X(ECHO,               252, "Echo",           OPAQUE, 1, 40,       ONCE,  E_AND_U, ENDPOINTS, NO_KEY, VARIES,   ALONE)       \
    X(NO_RESPONSE,        258, "No-Response",    UINT,   0, 1,        ONCE,  E_AND_U, ENDPOINTS, RULES,  VARIES,   ALONE)       \
    X(REQUEST_TAG,        292, "Request-Tag",    OPAQUE, 0, 8,        AGAIN, E_AND_U, ENDPOINTS, RULES,  SAME,     SHARED)      \
    X(REQUEST_HASH,       548, "Request-Hash",   OPAQUE, 0, OSP_OPT_ANY_LEN, ONCE, U, OPENING,   KEY,    SAME,     SHARED)
/* clang-format on */

#endif
