/* SPDX-License-Identifier: BSD-2-Clause */
/* Block-wise transfers: towards clients, towards next hops, and for the cache. */
#ifndef OSP_PROXY_BLOCKS_BLOCKS_H
#define OSP_PROXY_BLOCKS_BLOCKS_H

#include "proxy/impl.h"

#define PX_BODY_LIFE_US OSP_SEC(OSP_EXCHANGE_LIFETIME_S)    /* EXCHANGE_LIFETIME [rfc7959#2.4] */

enum px_body_kind {
    PX_BODY_REQUEST,    /* a request's body, block by block */
    PX_BODY_RESPONSE,   /* a response that is given out block by block */
    PX_BODY_UPLOAD,     /* an upload in blocks passed by: its Request-Tag */
    PX_BODY_GATHERED,   /* a response whose blocks pass by, for the cache */
};

/* Whose turn it is to go for a new body. */
enum px_body_list {
    PX_BODY_COMMON,     /* of unknown clients: the oldest goes for any new one */
    PX_BODY_FORMING,    /* requests' bodies of unknown clients: for another one's the oldest goes only when it stands still */
    PX_BODY_KNOWN,      /* of known clients: the oldest goes for a known client's */
};
_Static_assert(PX_BODY_KNOWN + 1 == PX_BODY_LISTS, "as many lists as the proxy has");

/* Bytes in pool memory that grow. */
struct px_buf { uint8_t *p; uint32_t n, cap; };

struct px_body {
    struct osp_node by_op;      /* in px.bodies */
    struct osp_node by_owner;   /* in px.body_owners */
    struct osp_list age;        /* in px.body_age[list], last touched last */
    struct osp_account *account;        /* of the client in whose share the body counts */
    struct px_op    op;
    struct px_buf   data;       /* REQUEST, GATHERED: payload so far */
    struct osp_stored stored;   /* RESPONSE: the whole message; GATHERED: the first block's response without its payload */
    uint64_t        fresh_us;   /* GATHERED: until when all of its blocks are */
    uint64_t        expires_us, touched_us;
    uint64_t        tag;        /* UPLOAD */
    uint8_t         list;       /* enum px_body_list */
};

/* An exchange's blocks towards the next hop. */
struct px_transfer {
    uint64_t         out;       /* handle of the request for the block that is under way; the exchange's own, or beside it */
    uint64_t         tag;       /* Request-Tag of the request in blocks, 0: not in blocks */
    struct osp_stored request;  /* it goes out in blocks */
    struct osp_stored head;     /* the first block's response without its payload */
    struct px_buf    body;      /* of the response, so far */
    struct osp_block at;        /* sent or asked for last */
    struct px_came   came;      /* the first block of the response */
    bool             sending, collecting;
};

/* ---- what is kept between requests ---- */
enum osp_err px_bodies_init(struct osp_proxy *px);
void px_bodies_free(struct osp_proxy *px);
/* True: there may be more to do. */
bool px_bodies_expire(struct osp_proxy *px, struct osp_time now);
/* *out, valid if `has`, or the time of the first that expires if that is earlier. False: neither. */
bool px_bodies_deadline(const struct osp_proxy *px, bool has, struct osp_time *out);
struct px_op px_op_of(const struct osp_proxy *px, const struct px_exchange *x, enum px_body_kind kind, const struct osp_msg *m);
struct px_op px_op_of_key(const struct osp_proxy *px, struct osp_slice key);
/* A Request-Tag for what this client sends under the tags of `req`. */
uint64_t px_client_tag(const struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req);
struct px_body *px_body_find(struct osp_proxy *px, const struct px_op *op, struct osp_time now);
/* NULL: at the bounds. Others may have been freed for it. */
struct px_body *px_body_new(struct px_turn *t, const struct px_exchange *x, const struct px_op *op, enum px_body_kind kind);
void px_body_touch(struct osp_proxy *px, struct px_body *b, uint64_t life_us, struct osp_time now);
void px_body_free(struct osp_proxy *px, struct px_body *b);
/* As osp_body_add(); OSP_E_TOO_LARGE: beyond `limit`; OSP_E_OVERLOAD: no memory. */
enum osp_err px_buf_add(struct osp_proxy *px, struct px_buf *b, const struct osp_block *at, struct osp_slice payload,
                        size_t limit);
void px_buf_free(struct osp_proxy *px, struct px_buf *b);

/* ---- towards clients ---- */
enum osp_err px_add_block(struct px_turn *t, struct osp_msg *m, uint16_t num, const struct osp_block *b);
enum osp_err px_add_uint(struct px_turn *t, struct osp_msg *m, uint16_t num, size_t v);
enum osp_err px_add_tag(struct px_turn *t, struct osp_msg *req, uint64_t tag);
/* One made from the payload, unless there is one. */
enum osp_err px_add_etag(struct px_turn *t, struct osp_msg *m);
/* The largest blocks of `m` that fit in `most` bytes, on the way to a peer that can do so much. */
uint8_t px_szx_for(const struct osp_peer_can *can, const struct osp_msg *m, size_t most);
void px_mark_upload(struct px_turn *t, const struct px_exchange *x, const struct px_op *op, uint64_t tag);
/* A Request-Tag of ours into a request that passes by in blocks. */
enum osp_err px_tag_request(struct px_turn *t, const struct px_exchange *x, struct osp_msg *req);
/* Blocks around a layer that is about to come off. PX_GO_ON: *req is whole. */
enum px_step px_blocks_request(struct px_turn *t, struct px_exchange *x, struct osp_msg *req);
/* PX_GO_ON: it does not ask for a later block of a response that was cut. */
enum px_step px_blocks_serve(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req);
/* True: the client's blocks were around the layer of this depth, so px_cut_response() is to be asked. */
bool px_cut_is_due(const struct px_exchange *x, size_t depth);
enum osp_err px_cut_response(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *in, struct osp_msg *out);
/* The first block of a message that is longer than `most` bytes; OSP_E_NOSPACE: it cannot be cut. */
enum osp_err px_cut_to_fit(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *in, size_t most,
                           struct osp_msg *out);
/* `out` is about to be sent as it is: the first block of a body that is not ours makes one that was kept out of date. */
void px_blocks_pass(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *out);

/* ---- for the cache ---- */
/* Notes which block of the cached representation the request is for. False: its Block2 is no such thing. */
bool px_asks_block(struct px_exchange *x, const struct osp_msg *req);
/* The part of entry `m` that the request asks for; OSP_E_BAD_REQUEST: behind its end; others: not to be had from it. */
enum osp_err px_cut_entry(struct px_turn *t, const struct px_exchange *x, struct osp_msg *m);
/* Takes a block that passes by; what is complete goes into the cache. */
void px_gather(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *resp);

/* ---- towards the next hop ---- */
/* Whether `m` has to go to this peer in blocks. */
bool px_is_too_long(const struct osp_proxy *px, const struct osp_addr *to, const struct osp_msg *m);
enum osp_err px_transfer_start(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);
/* PX_GO_ON: *resp is the whole response; PX_DONE: another block was sent or asked for. */
enum px_step px_transfer_response(struct px_turn *t, struct px_exchange *x, uint64_t handle, struct osp_msg **resp);
/*
 * The request `handle` of an observation failed. True: it was for a block of a notification, which is lost; the observation goes
 * on.
 */
bool px_transfer_failed(struct px_exchange *x, uint64_t handle);
void px_transfer_end(struct osp_proxy *px, struct px_exchange *x);

#endif
