/* SPDX-License-Identifier: BSD-2-Clause */
/* The parties of the scenarios in tests/vectors/nested-oscore.json: client, origin and proxies, and the contexts of each. */
#ifndef OSP_TESTS_PARTIES_H
#define OSP_TESTS_PARTIES_H

#include "tests/unit/unit.h"

#include "crypto/crypto.h"
#include "daemon/osprey/layers.h"
#include "daemon/osprey/origin/layers.h"
#include "edhoc/edhoc.h"
#include "tests/unit/vec.h"

#define CTX_MAX 8

/* The contexts of one party of a scenario. */
struct party {
    struct osprey_sec sec[CTX_MAX];
    size_t            count;
};

static struct osp_crypto     *crypto;
static struct osprey_onion    onion;
static struct osprey_server   server;
static struct osp_randbuf     rand_buf;
static struct party           client, origin, proxies;
static json_t                *vectors;
static struct osp_octx_configured *table;
static uint8_t                storage[4][512];
static size_t                 storage_used;

static inline void
fill_counter(void *ctx, uint8_t *dst, size_t n)
{
    uint8_t *c = ctx;

    for (size_t i = 0; i < n; i++)
        dst[i] = (*c)++;
}

/* ---- contexts of the vectors ---- */

static inline void
party_fini(struct party *p)
{
    for (size_t i = 0; i < p->count; i++)
        osp_octx_unref(p->sec[i].octx);
    memset(p, 0, sizeof(*p));
}

/* `who` in `ctx`, if it has a part in it; others' IDs are the recipient's. */
static inline void
party_join(struct party *p, const char *who, const char *name, json_t *ctx)
{
    json_t                *ids = json_object_get(ctx, "sender_ids"), *first, *id;
    uint8_t                secret[64], salt[64], mine[8], theirs[8], idctx[64];
    struct osp_octx_params params = { .aead = (int)json_integer_value(json_object_get(ctx, "alg_aead")),
                                      .hkdf = osp_hkdf_by_name(osp_slice_str(vec_str(ctx, "hkdf"))),
                                      .label = (uint32_t)p->count };
    struct osp_replay      empty = { 0 };
    const char            *other;
    uint64_t               ssn;

    if (!json_object_get(ids, who))
        return;
    params.master_secret = vec_hex(ctx, "master_secret", secret, sizeof(secret));
    params.master_salt = vec_hex(ctx, "master_salt", salt, sizeof(salt));
    params.has_id_context = json_is_string(json_object_get(ctx, "id_context"));
    params.id_context = vec_hex(ctx, "id_context", idctx, sizeof(idctx));
    params.sender_id = vec_hex(ids, who, mine, sizeof(mine));
    json_object_foreach(ids, other, id)
    {
        if (strcmp(other, who) != 0)
            params.recipient_id = vec_hex(ids, other, theirs, sizeof(theirs));
    }
    assert_true(p->count < CTX_MAX);
    EXPECT_OK(osp_octx_new(&params, &p->sec[p->count].octx));
    p->sec[p->count].name = name;
    first = json_object_get(ctx, "first_sender_sequence_number");
    ssn = (uint64_t)json_integer_value(json_object_get(first, who));
    osp_octx_grant(p->sec[p->count].octx, ssn, ssn + 64);
    osp_octx_set_window(p->sec[p->count].octx, &empty);
    p->count++;
}

static inline void
join_all(json_t *scenario)
{
    const char *name;
    json_t     *ctx;

    json_object_foreach(json_object_get(scenario, "contexts"), name, ctx)
    {
        party_join(&client, "C", name, ctx);
        party_join(&origin, "S", name, ctx);
        party_join(&proxies, "P", name, ctx);
        party_join(&proxies, "P1", name, ctx);
        party_join(&proxies, "P2", name, ctx);
    }
}

static inline const struct osprey_sec *
find(const struct party *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->sec[i].name, name) == 0)
            return &p->sec[i];
    fail_msg("no context %s", name);
    return NULL;
}

static inline json_t *
scenario(const char *id)
{
    json_t *s;
    size_t  i;

    json_array_foreach(json_object_get(vectors, "scenarios"), i, s)
    {
        if (strcmp(vec_str(s, "id"), id) == 0) {
            join_all(s);
            return s;
        }
    }
    fail_msg("no scenario %s", id);
    return NULL;
}

static inline struct osp_uri
uri(const char *text)
{
    struct osp_uri u;

    assert_true(storage_used < 4);
    EXPECT_OK(osp_uri_split(osp_slice_str(text), storage[storage_used++], sizeof(storage[0]), &u));
    return u;
}

static inline int
setup(void **state)
{
    static uint8_t counter;

    (void)state;
    counter = 0;
    storage_used = 0;
    osp_randbuf_init(&rand_buf, (struct osp_rand){ fill_counter, &counter });
    EXPECT_OK(osp_crypto_new(&crypto));
    EXPECT_OK(osprey_onion_init(&onion));
    EXPECT_OK(osprey_server_init(&server));
    server.rand = &rand_buf;
    vectors = vec_load("nested-oscore.json");
    return 0;
}

static inline int
teardown(void **state)
{
    (void)state;
    osprey_onion_fini(&onion);
    osprey_server_fini(&server);
    if (table)
        osp_octx_configured_free(table);
    table = NULL;
    party_fini(&client);
    party_fini(&origin);
    party_fini(&proxies);
    osp_crypto_free(crypto);
    json_decref(vectors);
    return 0;
}

/* ---- what C sends and reads ---- */

static inline const struct osp_msg *
build(const struct osprey_route *r, const struct osprey_echo *echo)
{
    struct osprey_content c = { .method = OSP_GET };
    const struct osp_msg *m = NULL;

    EXPECT_OK(osprey_onion_build(&onion, crypto, r, &c, echo, NULL, &m));
    return m;
}

/* ---- EDHOC message_3 in a combined request ---- */

#define COMBINED "edhoc-optimized fwd C-S, C-P"

/* What stands before the ciphertext at step `step`. */
static inline struct osp_slice
message_3_of(json_t *s, size_t step, uint8_t bytes[256])
{
    json_t          *after = json_object_get(json_array_get(json_object_get(s, "steps"), step), "after");
    struct osp_slice m3 = OSP_EMPTY, ciphertext;

    EXPECT_OK(osp_edhoc_split_combined(vec_hex(after, "payload", bytes, 256), &m3, &ciphertext));
    return m3;
}

#endif
