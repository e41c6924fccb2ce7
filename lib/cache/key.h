/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache key: the parts of a request that select a cached response [rfc7252#5.6] [rfc8132#2].
 *
 * The key is made of the translated request, before the next hop's layer is put on: destination, method, for FETCH the
 * payload, and every option that the table of options puts into the key.  Options that are NoCacheKey, or that the cache has
 * rules for (such as ETag and Block2), are left out; unknown safe options count unless they are NoCacheKey.  Token, Message ID
 * and type are never part of the key.
 * Two requests have equal keys exactly when their key bytes are equal; the hashes only find them.
 */
#ifndef OSP_CACHE_KEY_H
#define OSP_CACHE_KEY_H

#include "base/hash.h"
#include "msg/uri.h"

#define OSP_CACHE_NO_HOP_LIMIT 256

struct osp_cache_key {
    struct osp_slice bytes;     /* borrowed from the writer given to osp_cache_key_make() */
    uint64_t         hash;      /* hash of all key bytes */
    uint64_t         uri;       /* hash of the part that names the resource: destination, path, query */
    size_t           uri_len;   /* length of that part, at the front of `bytes` */
    bool             hidden;    /* the real resource is inside an OSCORE layer that is not ours */
    uint16_t         hop_limit; /* Hop-Limit of the request, not part of the key; OSP_CACHE_NO_HOP_LIMIT: it has none */
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

/* Returns `key` with its bytes (key->bytes.n) copied to `block`, from which the result borrows. */
struct osp_cache_key osp_cache_key_move(const struct osp_cache_key *key, uint8_t *block);

/*
 * True if the cache may answer `req` and may keep its response.  It may for GET and FETCH, except for:
 *   - requests with an OSCORE option [rfc8613#10], unless it is a deterministic request [cacheable#3]: a FETCH with
 *     Request-Hash, whose option number is `request_hash`
 *   - requests with Observe, since observations have state of their own
 *   - requests with Block1, and requests with Block2 unless they are a GET without an OSCORE option
 *   - requests that answer an Echo challenge [rfc9175#2.3]
 * Block2 is not in the key: the caller chooses which block of an entry is sent, and does not store the response to a request
 * for a later block.
 */
bool osp_cache_is_usable(const struct osp_msg *req, uint16_t request_hash);

#endif
