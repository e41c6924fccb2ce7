/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/osprey/origin/bodies.h"

#include <stdlib.h>

#include "crypto/digest.h"
#include "msg/option.h"

#define ETAG_LEN 8

/* ---- places ---- */

static void
drop(struct osprey_body *it)
{
    free(it->bytes.p);
    memset(it, 0, sizeof(*it));
}

void
osprey_bodies_fini(struct osprey_bodies *b)
{
    for (size_t i = 0; i < OSPREY_BODIES_MAX; i++)
        drop(&b->items[i]);
}

static struct osprey_body *
find(struct osprey_bodies *b, const uint8_t *key, bool is_answer)
{
    for (size_t i = 0; i < OSPREY_BODIES_MAX; i++) {
        struct osprey_body *it = &b->items[i];

        if (it->bytes.p && it->is_answer == is_answer && memcmp(it->key, key, OSPREY_BODY_KEY_LEN) == 0)
            return it;
    }
    return NULL;
}

static void
expire(struct osprey_bodies *b, struct osp_time now)
{
    for (size_t i = 0; i < OSPREY_BODIES_MAX; i++)
        if (b->items[i].bytes.p && osp_time_due(b->items[i].due, now))
            drop(&b->items[i]);
}

/* A place of `cap` bytes for `key`: the one it has, a free one, or else the one whose last block is the oldest.  NULL: out
   of memory. */
static struct osprey_body *
begin(struct osprey_bodies *b, const uint8_t *key, bool is_answer, size_t cap, struct osp_time now)
{
    struct osprey_body *it = find(b, key, is_answer), *best = &b->items[0];

    for (size_t i = 0; i < OSPREY_BODIES_MAX && best->bytes.p; i++)
        if (!b->items[i].bytes.p || b->items[i].due.us < best->due.us)
            best = &b->items[i];
    it = it ? it : best;
    drop(it);
    it->bytes = osp_wr_to(malloc(cap), cap);
    if (!it->bytes.p)
        return NULL;
    memcpy(it->key, key, OSPREY_BODY_KEY_LEN);
    it->is_answer = is_answer;
    it->due = osp_time_after(now, OSPREY_BODY_LIFETIME_US);
    return it;
}

/* ---- which operation ---- */

static bool
is_of_blocks(uint16_t num)
{
    return num == OSP_OPT_BLOCK1 || num == OSP_OPT_BLOCK2 || num == OSP_OPT_SIZE1 || num == OSP_OPT_SIZE2;
}

static enum osp_err
make_key(struct osp_slice who, const struct osp_msg *m, uint8_t key[OSPREY_BODY_KEY_LEN])
{
    uint8_t          heads[OSP_MSG_OPTS_MAX][4], first[5];
    struct osp_wr    w = osp_wr_to(first, sizeof(first));
    struct osp_slice parts[2 + 2 * OSP_MSG_OPTS_MAX];
    size_t           n = 2;

    osp_wr_u8(&w, m->code);
    osp_wr_u32(&w, (uint32_t)who.n);
    parts[0] = osp_wr_slice(&w);
    parts[1] = who;
    for (size_t i = 0; i < m->opt_count; i++) {
        if (is_of_blocks(m->opts[i].num) || m->opts[i].num == OSP_OPT_OBSERVE || osp_opt_is_no_cache_key(m->opts[i].num))
            continue;
        w = osp_wr_to(heads[i], sizeof(heads[i]));
        osp_wr_u16(&w, m->opts[i].num);
        osp_wr_u16(&w, (uint16_t)m->opts[i].val.n);
        parts[n++] = osp_wr_slice(&w);
        parts[n++] = m->opts[i].val;
    }
    return osp_digest(OSP_SHA256, parts, n, key);
}

/* ---- requests ---- */

static bool
refuse(struct osp_msg *reply, enum osp_err e)
{
    uint8_t code = osp_err_code(e);

    osp_msg_init(reply, code ? code : OSP_CODE(5, 0));
    return false;
}

static void
add(struct osp_msg *reply, uint16_t num, struct osp_slice value)
{
    if (osp_msg_add(reply, num, value) != OSP_OK) /* cannot fail: our answers have few options */
        osp_msg_init(reply, OSP_CODE(5, 0));
}

/* Makes 4.13, which says how long a body may be [rfc7959#2.9.3]. */
static bool
too_large(struct osprey_bodies *b, struct osp_msg *reply)
{
    osp_msg_init(reply, OSP_CODE(4, 13));
    add(reply, OSP_OPT_SIZE1, osp_opt_uint_make((uint32_t)b->max_body, b->values[0]));
    return false;
}

static bool
announces_too_much(const struct osprey_bodies *b, const struct osp_msg *req)
{
    const struct osp_opt *o = osp_msg_get(req, OSP_OPT_SIZE1);
    uint32_t              size;

    return req->payload.n > b->max_body || (o && osp_opt_uint(o->val, &size) && size > b->max_body);
}

/* Appends a block; OSP_E_NOSPACE: the body is longer than the limit. */
static enum osp_err
put_together(struct osprey_bodies *b, const struct osprey_block_request *br, struct osp_slice payload, struct osp_time now,
             struct osprey_body **out)
{
    struct osprey_body *it = br->block1.num == 0 ? begin(b, br->key, false, 4096, now) : find(b, br->key, false);
    enum osp_err        e;

    if (!it)
        return br->block1.num == 0 ? OSP_E_NOMEM : OSP_E_BODY_GAP;
    e = osp_body_add(&it->bytes, &br->block1, payload);
    if (e == OSP_E_NOSPACE && it->bytes.n + payload.n <= b->max_body) {
        size_t   cap = 2 * it->bytes.cap;
        uint8_t *p = realloc(it->bytes.p, cap);

        if (!p)
            return OSP_E_NOMEM;
        it->bytes.p = p;
        it->bytes.cap = cap;
        e = osp_body_add(&it->bytes, &br->block1, payload);
    }
    if (e == OSP_OK && it->bytes.n > b->max_body)
        e = OSP_E_NOSPACE;
    it->due = osp_time_after(now, OSPREY_BODY_LIFETIME_US);
    *out = it;
    return e;
}

/* Adds the Block1 option to the answer to a block, with the size that the next blocks should have [rfc7959#2.3]. */
static void
add_block1(struct osprey_bodies *b, const struct osprey_block_request *br, bool more, struct osp_msg *reply)
{
    struct osp_block block = { br->block1.num, more, br->block1.szx < b->szx ? br->block1.szx : b->szx };

    if (br->has_block1)
        add(reply, OSP_OPT_BLOCK1, osp_block_make(&block, b->values[1]));
}

static bool
take_block(struct osprey_bodies *b, struct osprey_block_request *br, struct osp_slice payload, struct osp_time now,
           struct osp_msg *reply)
{
    struct osprey_body *it = NULL;
    enum osp_err        e = put_together(b, br, payload, now, &it);

    if (e == OSP_E_NOSPACE) {
        drop(it);
        return too_large(b, reply);
    }
    if (e != OSP_OK)
        return refuse(reply, e);        /* 4.08 for a gap [rfc7959#2.9.2] */
    if (br->block1.more) {
        osp_msg_init(reply, OSP_CODE(2, 31));
        add_block1(b, br, true, reply);
        return false;
    }
    it->due.us = UINT64_MAX;            /* so that no other operation takes its place before the answer is made */
    b->whole.payload = osp_wr_slice(&it->bytes);
    return true;
}

static void
strip(struct osprey_bodies *b, const struct osp_msg *req)
{
    osp_msg_copy(&b->whole, req);
    osp_msg_remove(&b->whole, OSP_OPT_BLOCK1);
    osp_msg_remove(&b->whole, OSP_OPT_BLOCK2);
}

/* Decodes the answer that was kept; false: no answer was kept. */
static bool
give_kept(struct osprey_bodies *b, const struct osprey_block_request *br, struct osp_time now, struct osp_msg *reply)
{
    struct osprey_body *it = find(b, br->key, true);
    bool                header;

    if (!it || osp_msg_decode_udp(osp_wr_slice(&it->bytes), reply, &header) != OSP_OK)
        return false;
    it->due = osp_time_after(now, OSPREY_BODY_LIFETIME_US);
    return true;
}

static bool
is_safe(uint8_t code)
{
    return code == OSP_GET || code == OSP_FETCH;
}

/* Cuts `reply` to the block that was asked for, or to the first one. */
static void
cut(struct osprey_bodies *b, const struct osprey_block_request *br, struct osp_msg *reply)
{
    struct osp_block asked = { .szx = b->szx }, block;
    size_t           all = reply->payload.n;

    if (br->has_block2)
        asked = (struct osp_block){ .num = br->block2.num, .szx = br->block2.szx };
    if (asked.num == 0 && asked.szx > b->szx)
        asked.szx = b->szx;             /* smaller than the client proposed [rfc7959#2.4] */
    if (osp_block_cut(reply->payload, &asked, &block, &reply->payload) != OSP_OK) {
        osp_msg_init(reply, OSP_CODE(4, 0));
        return;
    }
    add(reply, OSP_OPT_BLOCK2, osp_block_make(&block, b->values[2]));
    if (block.num == 0)
        add(reply, OSP_OPT_SIZE2, osp_opt_uint_make((uint32_t)all, b->values[3]));
}

bool
osprey_bodies_take(struct osprey_bodies *b, struct osp_slice who, const struct osp_msg *req, struct osp_time now,
                   struct osprey_block_request *br, const struct osp_msg **whole, struct osp_msg *reply)
{
    enum osp_err e;

    expire(b, now);
    memset(br, 0, sizeof(*br));
    e = osp_block_get(req, OSP_OPT_BLOCK1, &br->has_block1, &br->block1);
    if (e == OSP_OK)
        e = osp_block_get(req, OSP_OPT_BLOCK2, &br->has_block2, &br->block2);
    if (e == OSP_OK)
        e = make_key(who, req, br->key);
    if (e != OSP_OK) {
        br->has_block1 = br->has_block2 = false;
        return refuse(reply, e);
    }
    strip(b, req);
    *whole = &b->whole;
    if (br->has_block2 && br->block2.num > 0 && !br->has_block1) {
        if (give_kept(b, br, now, reply)) {
            cut(b, br, reply);
            return false;
        }
        if (!is_safe(req->code))
            return refuse(reply, OSP_E_BODY_GAP);       /* the answer was given up, or there never was one */
    }
    if (announces_too_much(b, req))
        return too_large(b, reply);
    return !br->has_block1 || take_block(b, br, req->payload, now, reply);
}

/* ---- answers ---- */

/* Makes an ETag of the representation [rfc9175#3.8]. */
static bool
add_etag(struct osprey_bodies *b, struct osp_msg *reply)
{
    const struct osp_opt *format = osp_msg_get(reply, OSP_OPT_CONTENT_FORMAT);
    struct osp_slice      parts[2] = { format ? format->val : OSP_EMPTY, reply->payload };

    if (osp_msg_has(reply, OSP_OPT_ETAG))
        return true;
    return osp_digest(OSP_SHA256, parts, 2, b->etag) == OSP_OK &&
           osp_msg_add(reply, OSP_OPT_ETAG, osp_slice(b->etag, ETAG_LEN)) == OSP_OK;
}

/* Keeps the whole `reply` for later blocks; if there is no memory these are answered with 4.08. */
static void
keep(struct osprey_bodies *b, const struct osprey_block_request *br, const struct osp_msg *reply, struct osp_time now)
{
    struct osp_msg      m;
    struct osprey_body *it;

    osp_msg_copy(&m, reply);
    m.token = OSP_EMPTY;
    it = begin(b, br->key, true, osp_msg_size_udp(&m), now);
    if (it && osp_msg_encode_udp(&m, &it->bytes) != OSP_OK)
        drop(it);
}

/* Gives up the body of the request, which was carried out. */
static void
forget_request(struct osprey_bodies *b, const struct osprey_block_request *br)
{
    struct osprey_body *it = br->has_block1 && !br->block1.more ? find(b, br->key, false) : NULL;

    if (it)
        it->due.us = 0;                 /* freed with the next request, since the answer borrows from it */
}

void
osprey_bodies_cut(struct osprey_bodies *b, const struct osprey_block_request *br, const struct osp_msg *whole,
                  struct osp_time now, struct osp_msg *reply)
{
    size_t limit = osp_block_size(br->has_block2 && br->block2.szx < b->szx ? br->block2.szx : b->szx);
    bool   large = (b->blocks || br->has_block2) && reply->payload.n > limit;

    if (OSP_CODE_CLASS(reply->code) == 2 && (large || br->has_block2)) {
        if (large && !add_etag(b, reply))
            osp_msg_init(reply, OSP_CODE(5, 0));
        if (large && (!is_safe(whole->code) || br->has_block1))
            keep(b, br, reply, now);
        cut(b, br, reply);
    }
    add_block1(b, br, false, reply);
    forget_request(b, br);
}
