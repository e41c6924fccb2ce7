/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of CoAP: types, codes, options, content formats.  [rfc7252#12]
 */
#ifndef OSP_MSG_COAP_H
#define OSP_MSG_COAP_H

#include "msg/option_table.h"

enum osp_type { OSP_CON = 0, OSP_NON = 1, OSP_ACK = 2, OSP_RST = 3 };

#define OSP_CODE(c, dd) ((uint8_t)((c) << 5 | (dd)))
#define OSP_CODE_CLASS(code) ((code) >> 5)
#define OSP_CODE_DETAIL(code) ((code) & 31)

enum {
    OSP_EMPTY_CODE = 0,
    OSP_GET = 1, OSP_POST = 2, OSP_PUT = 3, OSP_DELETE = 4, OSP_FETCH = 5, OSP_PATCH = 6, OSP_IPATCH = 7,
};

/* OSP_OPT_URI_HOST and so on: the numbers of the table, and of options that are only named. */
enum osp_option {
#define OSP_OPT_NUMBER(id, number, ...) OSP_OPT_##id = number,
    OSP_OPTIONS(OSP_OPT_NUMBER)
#undef OSP_OPT_NUMBER
    OSP_OPT_MULTICAST_TIMEOUT = 2,
    OSP_OPT_Q_BLOCK1 = 19,
    OSP_OPT_Q_BLOCK2 = 31,
};

/* Content-Formats [rfc7252#12.3] [rfc9528#10.11]. */
enum osp_format { OSP_FORMAT_TEXT = 0, OSP_FORMAT_LINKS = 40, OSP_FORMAT_EDHOC = 64, OSP_FORMAT_CID_EDHOC = 65 };

/* Values of Observe in a request [rfc7641#2]. */
enum { OSP_OBSERVE_REGISTER = 0, OSP_OBSERVE_DEREGISTER = 1 };

#define OSP_EXCHANGE_LIFETIME_S 247     /* [rfc7252#4.8.2] */
#define OSP_NON_LIFETIME_S 145          /* [rfc7252#4.8.2] */
#define OSP_MAX_AGE_DEFAULT_S 60        /* of a response without Max-Age [rfc7252#5.10.5] */
#define OSP_RETRY_AFTER_S 5             /* Max-Age of our errors that ask to be tried again later [rfc7252#5.9.3.4] */
#define OSP_DATAGRAM_MAX 65507          /* bytes that UDP over IPv4 can carry */

#define OSP_COAP_PORT 5683
#define OSP_COAPS_PORT 5684

#endif
