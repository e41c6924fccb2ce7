/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every error of the project, in one list.
 *
 * Each entry: identifier, whose fault it is, the CoAP code a peer may see for it
 * (402 stands for 4.02; 0 for "nothing is ever sent"), and its text.  The text of an
 * OSCORE error is the diagnostic payload RFC 8613 gives for it; the identifier is the label
 * of the counters.  Both are stable.
 *
 *   WIRE      bytes that break a format; counted, never logged one by one
 *   PEER      a well-formed message that asks for something it does not get; counted
 *   UPSTREAM  the next hop failed us; counted, shows in the status
 *   LOCAL     our own trouble (memory, keys, state); counted and logged where handled
 */
#ifndef OSP_BASE_ERR_H
#define OSP_BASE_ERR_H

#include <stdint.h>

/* A result that must not be ignored. */
#define OSP_CHECKED __attribute__((warn_unused_result))

#define OSP_ERR_LIST(X)                                                                    \
    /* message format */                                                                   \
    X(VERSION,        WIRE,     0,   "version is not 1")                                   \
    X(FORMAT,         WIRE,     400, "message format error")                               \
    X(INCOMPLETE,     WIRE,     0,   "message is incomplete")                              \
    X(OPTION_COUNT,   WIRE,     400, "too many options")                                   \
    X(TOO_LARGE,      WIRE,     413, "message too large")                                  \
    X(TOKEN_LENGTH,   WIRE,     400, "token too long")                                     \
    X(RESERVED_CODE,  WIRE,     0,   "reserved code class")                                \
    X(UNMATCHED,      WIRE,     0,   "matches no message of ours")                         \
    X(DUPLICATE_MSG,  WIRE,     0,   "duplicate message")                                  \
    X(BAD_URI,        PEER,     400, "malformed URI")                                      \
    /* OSCORE, RFC 8613 8.2 */                                                             \
    X(OSCORE_OPTION,  WIRE,     402, "Failed to decode COSE")                              \
    X(NO_CONTEXT,     PEER,     401, "Security context not found")                         \
    X(REPLAY,         PEER,     401, "Replay detected")                                    \
    X(DECRYPT,        PEER,     400, "Decryption failed")                                  \
    X(KEY_SPENT,      PEER,     401, "Security context not found")                         \
    X(REKEY,          PEER,     503, "the security context is being derived anew")         \
    X(NOT_FRESH,      PEER,     401, "freshness not proven yet")                           \
    X(WITHHELD,       PEER,     0,   "no Echo challenge for this request any more")         \
    X(LAYERS,         PEER,     401, "too many OSCORE layers")                             \
    X(UNPROTECTED,    UPSTREAM, 502, "response lacks an OSCORE layer")                     \
    X(EXTRA_LAYER,    UPSTREAM, 502, "response has an OSCORE layer too many")              \
    X(SSN_EXHAUSTED,  LOCAL,    500, "sender sequence numbers are used up")                \
    X(KEY_LIMIT,      LOCAL,    503, "key usage limit of the security context reached")    \
    X(NO_LEASE,       LOCAL,    503, "no leased sender sequence number")                   \
    X(ID_LENGTH,      LOCAL,    500, "ID too long for the AEAD algorithm")                 \
    X(ALGORITHM,      LOCAL,    500, "algorithm not supported")                            \
    X(CRYPTO,         LOCAL,    500, "cryptographic library failed")                       \
    /* EDHOC; the texts are those of its error messages with code 1 */                     \
    X(EDHOC_STATE,    PEER,     400, "message not expected in this state")                 \
    X(EDHOC_SESSION,  PEER,     400, "no such session")                                    \
    X(EDHOC_METHOD,   PEER,     400, "Method not supported")                               \
    X(EDHOC_SUITE,    PEER,     400, "wrong selected cipher suite")                        \
    X(EDHOC_CID,      PEER,     400, "connection identifier cannot be used")               \
    X(EDHOC_KEY,      PEER,     400, "invalid public key")                                 \
    X(EDHOC_EAD,      PEER,     400, "critical EAD item not understood")                   \
    X(EDHOC_NO_CRED,  PEER,     400, "unknown credential referenced")                      \
    X(EDHOC_CRED_TYPE, PEER,    400, "type of credential not supported")                   \
    X(EDHOC_X5U,      PEER,     400, "x5u is not retrieved")                               \
    X(EDHOC_REFLECTED, PEER,    400, "credential is our own")                              \
    X(EDHOC_AUTH,     PEER,     400, "authentication failed")                              \
    X(EDHOC_NAME,     PEER,     400, "credential is another's than the one meant")         \
    X(EDHOC_REFUSED,  PEER,     0,   "peer refused EDHOC, or does not do it")              \
    X(CERTIFICATE,    PEER,     400, "certificate not valid")                              \
    /* dispatch and forwarding */                                                          \
    X(BAD_REQUEST,    PEER,     400, "bad request")                                        \
    X(DOT_SEGMENT,    PEER,     400, "path with a dot segment")                            \
    X(UNKNOWN_OPTION, PEER,     402, "option not understood")                              \
    X(FORBIDDEN,      PEER,     401, "not allowed")                                        \
    X(NOT_PROXY,      PEER,     505, "proxying not supported")                             \
    X(NOT_FOUND,      PEER,     404, "no such resource")                                   \
    X(NO_APPLICATION, PEER,     400, "no application for this request")                    \
    X(METHOD,         PEER,     405, "method not allowed")                                 \
    X(CONTENT_FORMAT, PEER,     415, "Content-Format not supported")                       \
    X(HOP_LIMIT_BAD,  PEER,     400, "bad Hop-Limit")                                      \
    X(HOP_LIMIT,      PEER,     508, "Hop-Limit reached")                                  \
    X(CAME_BACK,      PEER,     508, "request came back from the next hop")                \
    X(LOOP,           UPSTREAM, 0,   "forwarding loop: own name in a 5.08")                \
    X(UNVERIFIED,     PEER,     401, "address not verified yet")                           \
    X(BODY_GAP,       PEER,     408, "a block of the body is missing")                     \
    X(RATE,           PEER,     429, "rate limit of this client reached")                  \
    X(SHARE,          PEER,     503, "share of this client, or of unknown clients, is used up") \
    X(OVERLOAD,       LOCAL,    503, "a table is full")                                    \
    X(TIMEOUT,        UPSTREAM, 504, "no answer in time")                                  \
    X(RESET,          UPSTREAM, 502, "request was rejected with a Reset")                  \
    X(BAD_RESPONSE,   UPSTREAM, 502, "response is unusable")                               \
    X(UNKNOWN_OPTION_RESPONSE, UPSTREAM, 502, "option of the response not understood")     \
    X(TOO_LONG,       UPSTREAM, 502, "response does not fit, not even in blocks")          \
    X(NOT_AGREED,     UPSTREAM, 502, "no security context with the next hop")              \
    X(RESOLVE,        UPSTREAM, 502, "host name does not resolve")                         \
    X(UNREACHABLE,    UPSTREAM, 502, "next hop unreachable")                               \
    X(CANCELLED,      LOCAL,    0,   "cancelled")                                          \
    /* general */                                                                          \
    X(NOMEM,          LOCAL,    500, "out of memory")                                      \
    X(NOSPACE,        LOCAL,    500, "buffer too small")                                   \
    X(EXISTS,         LOCAL,    0,   "exists already")                                     \
    X(INVALID,        LOCAL,    0,   "invalid value")                                      \
    X(STORE,          LOCAL,    0,   "state store failed")

enum osp_err {
    OSP_OK = 0,
#define X(id, cls, code, text) OSP_E_##id,
    OSP_ERR_LIST(X)
#undef X
    OSP_ERR_COUNT,
};

enum osp_err_class { OSP_CLASS_NONE, OSP_CLASS_WIRE, OSP_CLASS_PEER, OSP_CLASS_UPSTREAM, OSP_CLASS_LOCAL };

/* Text of `e`, static; "ok" for OSP_OK. */
const char *osp_err_text(enum osp_err e);

/* Identifier of `e` as in the list ("NO_CONTEXT"), static: the label in metrics and logs. */
const char *osp_err_name(enum osp_err e);

/* Whose fault `e` is. */
enum osp_err_class osp_err_class(enum osp_err e);

/*
 * CoAP code (class << 5 | detail) a peer sees for `e`, 0 when nothing is to be sent.
 */
uint8_t osp_err_code(enum osp_err e);

#endif
