/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of CoAP: types, codes, options, content formats.  [rfc7252#12]
 */
#ifndef OSP_MSG_COAP_H
#define OSP_MSG_COAP_H

enum osp_type { OSP_CON = 0, OSP_NON = 1, OSP_ACK = 2, OSP_RST = 3 };

#define OSP_CODE(c, dd) ((uint8_t)((c) << 5 | (dd)))
#define OSP_CODE_CLASS(code) ((code) >> 5)
#define OSP_CODE_DETAIL(code) ((code) & 31)

enum {
    OSP_EMPTY_CODE = 0,
    OSP_GET = 1, OSP_POST = 2, OSP_PUT = 3, OSP_DELETE = 4, OSP_FETCH = 5, OSP_PATCH = 6, OSP_IPATCH = 7,
};

enum osp_option {
    OSP_OPT_IF_MATCH = 1,
    OSP_OPT_MULTICAST_TIMEOUT = 2,
    OSP_OPT_URI_HOST = 3,
    OSP_OPT_ETAG = 4,
    OSP_OPT_IF_NONE_MATCH = 5,
    OSP_OPT_OBSERVE = 6,
    OSP_OPT_URI_PORT = 7,
    OSP_OPT_LOCATION_PATH = 8,
    OSP_OPT_OSCORE = 9,
    OSP_OPT_URI_PATH = 11,
    OSP_OPT_CONTENT_FORMAT = 12,
    OSP_OPT_URI_PATH_ABBREV = 13,
    OSP_OPT_MAX_AGE = 14,
    OSP_OPT_URI_QUERY = 15,
    OSP_OPT_HOP_LIMIT = 16,
    OSP_OPT_ACCEPT = 17,
    OSP_OPT_Q_BLOCK1 = 19,
    OSP_OPT_LOCATION_QUERY = 20,
    OSP_OPT_EDHOC = 21,
    OSP_OPT_BLOCK2 = 23,
    OSP_OPT_BLOCK1 = 27,
    OSP_OPT_SIZE2 = 28,
    OSP_OPT_Q_BLOCK2 = 31,
    OSP_OPT_PROXY_URI = 35,
    OSP_OPT_PROXY_SCHEME = 39,
    OSP_OPT_SIZE1 = 60,
    OSP_OPT_PROXY_CRI = 235,
    OSP_OPT_PROXY_SCHEME_NUMBER = 239,
    OSP_OPT_ECHO = 252,
    OSP_OPT_NO_RESPONSE = 258,
    OSP_OPT_REQUEST_TAG = 292,
    OSP_OPT_REQUEST_HASH = 548,         /* proposed by draft-ietf-core-cacheable-oscore */
};

#define OSP_COAP_PORT 5683
#define OSP_COAPS_PORT 5684

#endif
