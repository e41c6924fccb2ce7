/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What selects a cached response [rfc7252#5.6] [rfc8132#2].
 *
 * The key is made of the translated request, as it would be forwarded before the next hop's layer
 * goes on: destination, method, every option that the table of options puts into the key (all but those that
 * are NoCacheKey or for which the cache has rules, such as ETag and Block2), and for FETCH the payload.
 * Never the Token, the Message ID or the type.  Unknown safe options count unless NoCacheKey.
 * Two requests have equal keys exactly when their key bytes are equal; the hashes only find them.
 */
#ifndef OSP_CACHE_KEY_H
#define OSP_CACHE_KEY_H

#include "base/hash.h"
#include "msg/uri.h"

#define OSP_CACHE_NO_HOP_LIMIT 256

struct osp_cache_key {
    struct osp_slice bytes;     /* borrowed from the writer given to osp_cache_key_make() */
    uint64_t         hash;      /* of all of it */
    uint64_t         uri;       /* of the part that names the resource: destination, path, query */
    size_t           uri_len;   /* length of that part, at the front of `bytes` */
    bool             hidden;    /* the real resource is inside an OSCORE layer that is not ours */
    uint16_t         hop_limit; /* of the request; OSP_CACHE_NO_HOP_LIMIT when it has none: not part of the key */
    struct osp_slice request_hash;      /* within `bytes`; empty when the request has none */
};

/*
 * Makes the key of `req` (no Proxy-* options) for the destination `to`; `request_hash` is the number of the
 * Request-Hash option.
 *   OSP_E_NOSPACE   `w` is too small: do not use the cache for this request
 */
OSP_CHECKED enum osp_err osp_cache_key_make(const struct osp_hash_key *seed, const struct osp_authority *to,
                                            uint16_t request_hash, const struct osp_msg *req, struct osp_wr *w,
                                            struct osp_cache_key *out);

/* `key` with its bytes in `block` (key->bytes.n of them) instead of where they are. */
struct osp_cache_key osp_cache_key_move(const struct osp_cache_key *key, uint8_t *block);

/*
 * True if the cache may be asked for, and may keep the answer of, `req`: GET and FETCH; with an OSCORE
 * option only a FETCH that carries Request-Hash (option number `request_hash`), a deterministic request
 * [cacheable#3].  Ordinary OSCORE requests bypass the cache [rfc8613#10]; so does Observe, which has
 * state of its own, a request of a block or for one of anything but a plain GET, and one that answers an Echo
 * challenge [rfc9175#2.3].  Block2 is not in the key: which part of an entry is given out is the caller's to say, and
 * an answer to a request for a later block is not to be stored.
 */
bool osp_cache_is_usable(const struct osp_msg *req, uint16_t request_hash);

#endif
