/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of known peers.  Each entry of the array also holds one index for each of two sorted orders. */
#include <stdlib.h>

#include "crypto/digest.h"
#include "edhoc/edhoc.h"

/* A key to search for; `whole` is false if `bytes` is a prefix of a hash. */
struct key { struct osp_slice bytes; bool is_hash, whole; };

static bool
is_certificate(const struct osp_edhoc_peer *p)
{
    return p->cred.cred.n > 0 && p->cred.cred.p[0] >> 5 == OSP_CBOR_BSTR;
}

/* The key of a peer: the hash of a certificate, or the bytes of a Claims Set. */
static struct key
value_of(const struct osp_edhoc_peer *p)
{
    bool cert = is_certificate(p);

    return (struct key){ cert ? osp_slice(p->hash, sizeof(p->hash)) : p->cred.cred, cert, true };
}

/* Compares a stored key with a key that is searched for. */
static int
compare(struct key stored, const struct key *k)
{
    if (stored.is_hash != k->is_hash)
        return stored.is_hash ? 1 : -1;
    return osp_slice_cmp(k->whole ? stored.bytes : osp_slice_head(stored.bytes, k->bytes.n), k->bytes);
}

/* ---- order ---- */

struct two { uint32_t x, y; };

static struct two
indices(const void *a, const void *b)
{
    struct two t;

    memcpy(&t.x, a, sizeof(t.x));
    memcpy(&t.y, b, sizeof(t.y));
    return t;
}

/* Peers with equal keys stay in the order of the list. */
static int
by_place(int difference, struct two t)
{
    return difference ? difference : t.x < t.y ? -1 : t.x > t.y;
}

static int
order_ids(const void *a, const void *b, void *list)
{
    const struct osp_edhoc_peer *p = list;
    struct two                   t = indices(a, b);

    return by_place(osp_slice_cmp(p[t.x].cred.id_cred, p[t.y].cred.id_cred), t);
}

static int
order_values(const void *a, const void *b, void *list)
{
    const struct osp_edhoc_peer *p = list;
    struct two                   t = indices(a, b);
    struct key                   k = value_of(&p[t.y]);

    return by_place(compare(value_of(&p[t.x]), &k), t);
}

enum osp_err
osp_edhoc_peers_init(struct osp_edhoc_peers *peers, struct osp_edhoc_peer *list, size_t count)
{
    uint32_t    *order = count && count < UINT32_MAX ? calloc(count, sizeof(*order)) : NULL;
    enum osp_err e = count >= UINT32_MAX ? OSP_E_TOO_LARGE : count && !order ? OSP_E_NOMEM : OSP_OK;

    for (size_t i = 0; i < count && e == OSP_OK; i++) {
        order[i] = (uint32_t)i;
        if (is_certificate(&list[i]))
            e = osp_edhoc_cred_hash(list[i].cred.cred, list[i].hash);
    }
    if (e == OSP_OK && count) {
        qsort_r(order, count, sizeof(*order), order_ids, list);
        for (size_t i = 0; i < count; i++)
            list[i].by_id = order[i];
        qsort_r(order, count, sizeof(*order), order_values, list);
        for (size_t i = 0; i < count; i++)
            list[i].by_value = order[i];
    }
    free(order);
    if (e == OSP_OK)
        *peers = (struct osp_edhoc_peers){ list, count };
    return e;
}

/* ---- search ---- */

/* The `at`th peer in one of the orders, with its key there. */
static const struct osp_edhoc_peer *
peer_at(const struct osp_edhoc_peers *p, bool by_id, size_t at, struct key *key)
{
    const struct osp_edhoc_peer *peer = &p->list[by_id ? p->list[at].by_id : p->list[at].by_value];

    *key = by_id ? (struct key){ peer->cred.id_cred, false, true } : value_of(peer);
    return peer;
}

static enum osp_err
search(const struct osp_edhoc_peers *p, bool by_id, const struct key *k, unsigned nth, const struct osp_edhoc_peer **out)
{
    size_t     low = 0, high = p->count;
    struct key stored;

    while (low < high) {        /* finds the first key that is not below `k` */
        size_t middle = low + (high - low) / 2;

        (void)peer_at(p, by_id, middle, &stored);
        if (compare(stored, k) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (nth < p->count - low) {
        const struct osp_edhoc_peer *peer = peer_at(p, by_id, low + nth, &stored);

        if (compare(stored, k) == 0) {
            *out = peer;
            return OSP_OK;
        }
    }
    return OSP_E_NOT_FOUND;
}

/* [rfc9360#2] COSE_CertHash = [ hashAlg, hashValue ]; only SHA-256 is stored, so other hashes fail. */
static bool
read_hash(struct osp_slice item, struct key *k)
{
    struct osp_cbor c = osp_cbor_from(item);
    size_t          parts = osp_cbor_array(&c, 2);
    int64_t         alg = osp_cbor_int(&c);

    *k = (struct key){ osp_cbor_bstr(&c), true, alg == OSP_SHA256 };
    return parts == 2 && osp_cbor_done(&c) && k->bytes.n == (alg == OSP_SHA256 ? 32 : alg == OSP_SHA256_64 ? 8 : SIZE_MAX);
}

enum osp_err
osp_edhoc_peers_find(void *ctx, struct osp_slice id_cred, unsigned nth, const struct osp_edhoc_peer **out)
{
    const struct osp_edhoc_peers *p = ctx;
    struct osp_slice              value, chain[OSP_X509_CHAIN_MAX];
    struct key                    k = { id_cred, false, true };
    enum osp_edhoc_id_kind        kind;
    uint8_t                       hash[32];
    size_t                        n;

    if (osp_edhoc_id_kind(id_cred, &kind, &value) != OSP_OK)
        return OSP_E_NOT_FOUND;
    switch (kind) {
    case OSP_EDHOC_KCCS:
        k.bytes = value;
        return search(p, false, &k, nth, out);
    case OSP_EDHOC_X5T:
        return read_hash(value, &k) ? search(p, false, &k, nth, out) : OSP_E_NOT_FOUND;
    case OSP_EDHOC_X5CHAIN:
        if (osp_edhoc_x5chain_read(value, chain, &n) != OSP_OK || osp_digest(OSP_SHA256, chain, 1, hash) != OSP_OK)
            return OSP_E_NOT_FOUND;
        k = (struct key){ osp_slice(hash, sizeof(hash)), true, true };
        return search(p, false, &k, nth, out);
    case OSP_EDHOC_KID:
    case OSP_EDHOC_X5U:         /* compared as a name; nothing is retrieved */
        return search(p, true, &k, nth, out);
    }
    return OSP_E_NOT_FOUND;
}
