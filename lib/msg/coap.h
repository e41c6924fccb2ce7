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

#define OSP_COAP_PORT 5683
#define OSP_COAPS_PORT 5684

#endif
