/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 8613 appendix C, and every protect and unprotect step of the nested scenarios, intermediate values too. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "msg/option.h"
#include "oscore/configured.h"
#include "oscore/oscore.h"
#include "tests/unit/vec.h"
#include "tests/unit/with_crypto.h"

/* ---- RFC 8613, C.1 to C.3 ---- */

static struct osp_octx *
derive(const json_t *v, bool check)
{
    uint8_t                b[8][128];
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256 };
    struct osp_octx       *c;

    p.master_secret = vec_hex(v, "master_secret", b[0], 128);
    p.master_salt = vec_hex(v, "master_salt", b[1], 128);
    p.sender_id = vec_hex(v, "sender_id", b[2], 128);
    p.recipient_id = vec_hex(v, "recipient_id", b[3], 128);
    p.has_id_context = json_is_string(json_object_get(v, "id_context"));
    p.id_context = vec_hex(v, "id_context", b[4], 128);
    EXPECT_OK(osp_octx_new(&p, &c));
    if (check) {
        struct osp_octx_keys k = osp_octx_keys(c);
        uint8_t              info[128], nonce[13];
        struct osp_wr        w = osp_wr_to(info, sizeof(info));

        EXPECT_OK(osp_oscore_info(p.sender_id, p.has_id_context ? &p.id_context : NULL, 10, "Key", 16, &w));
        EXPECT_BYTES(vec_hex(v, "info_sender_key", b[5], 128), osp_wr_slice(&w));
        w = osp_wr_to(info, sizeof(info));
        EXPECT_OK(osp_oscore_info(OSP_EMPTY, p.has_id_context ? &p.id_context : NULL, 10, "IV", 13, &w));
        EXPECT_BYTES(vec_hex(v, "info_common_iv", b[5], 128), osp_wr_slice(&w));
        w = osp_wr_to(info, sizeof(info));
        EXPECT_OK(osp_oscore_info(p.recipient_id, p.has_id_context ? &p.id_context : NULL, 10, "Key", 16, &w));
        EXPECT_BYTES(vec_hex(v, "info_recipient_key", b[5], 128), osp_wr_slice(&w));
        osp_oscore_nonce(p.sender_id, osp_slice("", 1), k.common_iv.p, 13, nonce);
        EXPECT_BYTES(vec_hex(v, "sender_nonce_piv0", b[5], 128), osp_slice(nonce, 13));
        osp_oscore_nonce(p.recipient_id, osp_slice("", 1), k.common_iv.p, 13, nonce);
        EXPECT_BYTES(vec_hex(v, "recipient_nonce_piv0", b[5], 128), osp_slice(nonce, 13));
        EXPECT_BYTES(vec_hex(v, "sender_key", b[5], 128), k.sender_key);
        EXPECT_BYTES(vec_hex(v, "recipient_key", b[5], 128), k.recipient_key);
        EXPECT_BYTES(vec_hex(v, "common_iv", b[5], 128), k.common_iv);
    }
    return c;
}

/* row S06 */
/* [rfc8613#3.2.1] appendix C.1 to C.3 */
static void
keys_are_those_of_the_appendix(void **state)
{
    json_t *j = vec_load("oscore-rfc8613.json");
    size_t  i, n = 0;
    json_t *v;

    (void)state;
    json_array_foreach(json_object_get(j, "key_derivation"), i, v) {
        osp_octx_unref(derive(v, true));
        n++;
    }
    assert_int_equal(n, 6);
    json_decref(j);
}

/* [rfc8613#5.2] [rfc8613#5.4] */
static void
nonces_and_aads_are_those_of_the_appendix(void **state)
{
    json_t *j = vec_load("oscore-rfc8613.json");
    size_t  i;
    json_t *v;

    (void)state;
    json_array_foreach(json_object_get(j, "messages"), i, v) {
        uint8_t          a[128], b[128], c[128], d[128], nonce[13], buf[128];
        bool             response = strcmp(vec_str(v, "id"), "C.7") >= 0;
        struct osp_slice kid = response ? OSP_EMPTY : vec_hex(v, "sender_id", a, sizeof(a));
        struct osp_slice piv = vec_hex(v, "partial_iv", b, sizeof(b));
        struct osp_slice request_piv = response ? osp_slice("\x14", 1) : piv;
        struct osp_slice iv = vec_hex(v, "common_iv", c, sizeof(c));
        struct osp_wr    w = osp_wr_to(buf, sizeof(buf));

        EXPECT_OK(osp_oscore_aad(10, kid, request_piv, &w));
        EXPECT_BYTES(vec_hex(v, "aad", d, sizeof(d)), osp_wr_slice(&w));
        if (piv.n)
            osp_oscore_nonce(response ? vec_hex(v, "sender_id", a, sizeof(a)) : kid, piv, iv.p, 13, nonce);
        else
            osp_oscore_nonce(kid, request_piv, iv.p, 13, nonce);
        EXPECT_BYTES(vec_hex(v, "nonce", d, sizeof(d)), osp_slice(nonce, 13));
        EXPECT_OK(osp_aead_seal(cr, 10, vec_hex(v, "encryption_key", a, sizeof(a)).p, nonce, osp_wr_slice(&w),
                                vec_hex(v, "plaintext", b, sizeof(b)), c));
        EXPECT_BYTES(vec_hex(v, "ciphertext", d, sizeof(d)), osp_slice(c, vec_hex(v, "plaintext", b, sizeof(b)).n + 8));
    }
    json_decref(j);
}

/* The whole message of C.4 to C.8, out of our protect functions. */
/* [rfc8613#8.1] [rfc8613#8.3] */
static void
messages_are_those_of_the_appendix(void **state)
{
    /* C.4 C.5 C.6 requests by the client of C.1, C.2, C.3; C.7 C.8 responses by the server of C.1 */
    static const struct { const char *id; int context; } of[] = {
        { "C.4", 0 }, { "C.5", 2 }, { "C.6", 4 }, { "C.7", 1 }, { "C.8", 1 }
    };
    json_t *j = vec_load("oscore-rfc8613.json");
    json_t *kd = json_object_get(j, "key_derivation"), *ms = json_object_get(j, "messages");

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        json_t          *v = json_array_get(ms, i);
        struct osp_octx *c = derive(json_array_get(kd, (size_t)of[i].context), false);
        uint8_t          a[256], scratch[512], wire[512], want[512], classes[OSP_MSG_OPTS_MAX];
        struct osp_wr    s = osp_wr_to(scratch, sizeof(scratch)), w = osp_wr_to(wire, sizeof(wire));
        struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };
        struct osp_layer      layer = { 0 };
        struct osp_msg        in, out;
        bool                  header;

        assert_string_equal(vec_str(v, "id"), of[i].id);
        EXPECT_OK(osp_msg_decode_udp(vec_hex(v, "unprotected", a, sizeof(a)), &in, &header));
        EXPECT_OK(osp_classes(&ends, &in, classes));
        if (i < 3) {
            osp_octx_grant(c, 20, 21);
            EXPECT_OK(osp_oscore_protect_request(cr, c, &in, classes, &s, &out, &layer));
        } else {
            osp_octx_grant(c, 0, 1);
            osp_octx_ref(c);
            layer = (struct osp_layer){ .ctx = c, .piv = { 0x14 }, .piv_len = 1 };
            EXPECT_OK(osp_oscore_protect_response(cr, &layer, &in, classes, i == 4, &s, &out));
        }
        EXPECT_OK(osp_msg_encode_udp(&out, &w));
        EXPECT_BYTES(vec_hex(v, "protected", want, sizeof(want)), osp_wr_slice(&w));
        osp_layer_fini(&layer);
        osp_octx_unref(c);
    }
    json_decref(j);
}

/* ... and back, by the other end. */
/* [rfc8613#8.2] [rfc8613#8.4] */
static void
messages_of_the_appendix_open_to_what_was_protected(void **state)
{
    static const int of[] = { 1, 3, 5, 0, 0 };          /* servers of C.1, C.2, C.3; the client of C.1 twice */
    json_t          *j = vec_load("oscore-rfc8613.json");
    json_t          *kd = json_object_get(j, "key_derivation"), *ms = json_object_get(j, "messages");

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        json_t          *v = json_array_get(ms, i);
        struct osp_octx *c = derive(json_array_get(kd, (size_t)of[i]), false);
        uint8_t          a[256], scratch[512], back[512], want[512];
        struct osp_wr    s = osp_wr_to(scratch, sizeof(scratch)), w = osp_wr_to(back, sizeof(back));
        struct osp_layer layer = { 0 };
        struct osp_msg   in, out;
        bool             header;

        EXPECT_OK(osp_msg_decode_udp(vec_hex(v, "protected", a, sizeof(a)), &in, &header));
        osp_octx_set_window(c, &(struct osp_replay){ 0 });
        if (i < 3) {
            EXPECT_OK(osp_oscore_unprotect_request(cr, c, &in, &s, &out, &layer));
        } else {
            osp_octx_ref(c);
            layer = (struct osp_layer){ .ctx = c, .piv = { 0x14 }, .piv_len = 1 };
            EXPECT_OK(osp_oscore_unprotect_response(cr, &layer, &in, &s, &out));
        }
        EXPECT_OK(osp_msg_encode_udp(&out, &w));
        EXPECT_BYTES(vec_hex(v, "unprotected", want, sizeof(want)), osp_wr_slice(&w));
        osp_layer_fini(&layer);
        osp_octx_unref(c);
    }
    json_decref(j);
}

/* ---- recovery of a lost window, appendix B.1.2 ---- */

struct b12 { struct osp_octx *client, *server; struct osp_layer cl, sl; json_t *steps; const char *echo; };

/* A server whose window is unknown and whose numbers go on at 1056; a client at 20. */
static void
b12_contexts(struct b12 *t, const json_t *v)
{
    const json_t          *x = json_object_get(v, "context");
    uint8_t                b[4][64];
    struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256 };

    p.master_secret = vec_hex(x, "master_secret", b[0], 64);
    p.master_salt = vec_hex(x, "master_salt", b[1], 64);
    p.sender_id = vec_hex(v, "client_sender_id", b[2], 64);
    p.recipient_id = vec_hex(v, "server_sender_id", b[3], 64);
    EXPECT_OK(osp_octx_new(&p, &t->client));
    EXPECT_BYTES(vec_hex(x, "client_key", b[0], 64), osp_octx_keys(t->client).sender_key);
    EXPECT_BYTES(vec_hex(x, "common_iv", b[0], 64), osp_octx_keys(t->client).common_iv);
    p.master_secret = vec_hex(x, "master_secret", b[0], 64);
    p.sender_id = vec_hex(v, "server_sender_id", b[3], 64);
    p.recipient_id = vec_hex(v, "client_sender_id", b[2], 64);
    EXPECT_OK(osp_octx_new(&p, &t->server));
    EXPECT_BYTES(vec_hex(x, "server_key", b[0], 64), osp_octx_keys(t->server).sender_key);
    osp_octx_grant(t->client, 20, 30);
    osp_octx_grant(t->server, 1056, 2000);
}

/* The datagram of a step, made of `plain` by the client or the server, and what the other end makes of it. */
static enum osp_err
b12_step(struct b12 *t, size_t i, struct osp_msg *plain, bool own, struct osp_msg *got)
{
    static uint8_t scratch[2][512], wire[512];
    const json_t  *v = json_array_get(t->steps, i);
    bool           client = strcmp(vec_str(v, "from"), "client") == 0;
    struct osp_layer_ends ends = { OSP_LAYER_TO_SERVER, true, false };
    uint8_t               want[512], classes[OSP_MSG_OPTS_MAX];
    struct osp_wr  s = osp_wr_to(scratch[0], 512), d = osp_wr_to(scratch[1], 512), w = osp_wr_to(wire, 512);
    struct osp_msg out, in;
    bool           header;

    EXPECT_OK(osp_classes(&ends, plain, classes));
    if (client) {
        osp_layer_fini(&t->cl);
        EXPECT_OK(osp_oscore_protect_request(cr, t->client, plain, classes, &s, &out, &t->cl));
    } else {
        EXPECT_OK(osp_oscore_protect_response(cr, &t->sl, plain, classes, own, &s, &out));
    }
    EXPECT_BYTES(vec_hex(v, "oscore_option", want, sizeof(want)), osp_msg_get(&out, OSP_OPT_OSCORE)->val);
    EXPECT_OK(osp_msg_encode_udp(&out, &w));
    EXPECT_BYTES(vec_hex(v, "udp", want, sizeof(want)), osp_wr_slice(&w));
    EXPECT_OK(osp_msg_decode_udp(osp_wr_slice(&w), &in, &header));
    if (!client)
        return osp_oscore_unprotect_response(cr, &t->cl, &in, &d, got);
    osp_layer_fini(&t->sl);
    return osp_oscore_unprotect_request(cr, t->server, &in, &d, got, &t->sl);
}

static void
give_echo(void *ctx, uint8_t *dst, size_t n)
{
    const struct b12 *t = ctx;
    size_t            len;

    memset(dst, 0, n);
    assert_true(osp_hex_decode(osp_slice_str(t->echo), dst, n, &len));
}

static void
b12_message(struct osp_msg *m, uint8_t code, uint8_t type, uint16_t mid)
{
    osp_msg_init(m, code);
    m->type = type;
    m->mid = mid;
    m->token = osp_slice_str("z");
}

/* row S09 (partly: at the library) */
/* [rfc8613#B.1.2] */
static void
lost_window_is_recovered_as_in_the_appendix(void **state)
{
    json_t            *j = vec_load("oscore-rekey.json"), *v = json_object_get(j, "b12_echo");
    struct b12         t = { .steps = json_object_get(v, "steps"), .echo = vec_str(v, "echo") };
    struct osp_randbuf rand;
    struct osp_replay  window;
    struct osp_msg     m, got;
    uint8_t            echo[OSP_ECHO_LEN], kept[OSP_ECHO_LEN];

    (void)state;
    b12_contexts(&t, v);
    osp_randbuf_init(&rand, (struct osp_rand){ give_echo, &t });
    b12_message(&m, OSP_GET, OSP_CON, 1);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("tv1")));
    EXPECT_ERR(OSP_E_NOT_FRESH, b12_step(&t, 0, &m, false, &got));
    osp_oscore_challenge(t.server, &rand, echo, &m);
    m.type = OSP_ACK;
    m.mid = 1;
    m.token = osp_slice_str("z");
    EXPECT_OK(b12_step(&t, 1, &m, true, &got));
    assert_true(osp_slice_copy(osp_msg_get(&got, OSP_OPT_ECHO)->val, kept, sizeof(kept)));
    b12_message(&m, OSP_GET, OSP_CON, 2);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str("tv1")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, osp_slice(kept, sizeof(kept))));
    EXPECT_OK(b12_step(&t, 2, &m, false, &got));
    assert_int_equal(osp_octx_get_window(t.server, &window), OSP_WINDOW_KNOWN);
    assert_int_equal(window.next, 22);
    assert_false(osp_replay_is_fresh(&window, 20));     /* what was challenged does not count now either */
    b12_message(&m, OSP_CODE(2, 5), OSP_ACK, 2);
    m.payload = osp_slice_str("ok");
    EXPECT_OK(b12_step(&t, 3, &m, false, &got));
    osp_layer_fini(&t.cl);
    osp_layer_fini(&t.sl);
    osp_octx_unref(t.client);
    osp_octx_unref(t.server);
    json_decref(j);
}

/* ---- nested scenarios ---- */

#define ENDS 8

/* One side of one context of a scenario. */
struct end { char ctx[32], at[8]; struct osp_octx *c; struct osp_layer layer; };

struct scene {
    json_t     *j;
    struct end  ends[ENDS];
    size_t      count;
    uint8_t     scratch[16384], before[8192];   /* what a protected message borrows from */
};

static struct end *
end_of(struct scene *s, const char *ctx, const char *at)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->ends[i].ctx, ctx) == 0 && strcmp(s->ends[i].at, at) == 0)
            return &s->ends[i];
    fail_msg("no end %s of %s", at, ctx);
    return NULL;
}

static void
make_ends(struct scene *s)
{
    const char *name;
    json_t     *v;

    json_object_foreach(json_object_get(s->j, "contexts"), name, v) {
        json_t     *ids = json_object_get(v, "sender_ids");
        const char *who, *other;
        json_t     *id, *id2;

        json_object_foreach(ids, who, id) {
            json_object_foreach(ids, other, id2) {
                uint8_t                b[4][64];
                size_t                 n = 0;
                struct osp_octx_params p = { .aead = 10, .hkdf = OSP_HKDF_SHA256 };
                struct end            *e;
                uint64_t               first;

                if (strcmp(who, other) == 0)
                    continue;
                e = &s->ends[s->count++];
                snprintf(e->ctx, sizeof(e->ctx), "%s", name);
                snprintf(e->at, sizeof(e->at), "%s", who);
                p.master_secret = vec_hex(v, "master_secret", b[0], 64);
                p.master_salt = vec_hex(v, "master_salt", b[1], 64);
                assert_true(osp_hex_decode(osp_slice_str(json_string_value(id)), b[2], 64, &n));
                p.sender_id = osp_slice(b[2], n);
                assert_true(osp_hex_decode(osp_slice_str(json_string_value(id2)), b[3], 64, &n));
                p.recipient_id = osp_slice(b[3], n);
                EXPECT_OK(osp_octx_new(&p, &e->c));
                first = (uint64_t)json_integer_value(json_object_get(json_object_get(v, "first_sender_sequence_number"), who));
                osp_octx_grant(e->c, first, first + 1000);
                osp_octx_set_window(e->c, &(struct osp_replay){ 0 });
            }
        }
    }
}

/* {code, options, payload} of a step */
static void
load_msg(const json_t *v, struct osp_msg *m, uint8_t *store, size_t cap)
{
    struct osp_wr w = osp_wr_to(store, cap);
    size_t        i, n = 0;
    json_t       *o;

    osp_msg_init(m, vec_code(vec_str(v, "code")));
    json_array_foreach(json_object_get(v, "options"), i, o) {
        struct osp_slice text = osp_slice_str(json_string_value(json_array_get(o, 2)));
        uint8_t         *to = text.n ? osp_wr_reserve(&w, text.n / 2) : store;

        assert_true(osp_hex_decode(text, to, text.n / 2, &n));
        EXPECT_OK(osp_msg_add(m, (uint16_t)json_integer_value(json_array_get(o, 0)), osp_slice(to, n)));
    }
    m->payload = vec_hex(v, "payload", osp_wr_reserve(&w, 1024), 1024);
}

static void
expect_msg(const json_t *v, const struct osp_msg *got)
{
    uint8_t        store[8192], a[4096], b[4096];
    struct osp_msg want;
    struct osp_wr  wa = osp_wr_to(a, sizeof(a)), wb = osp_wr_to(b, sizeof(b));

    load_msg(v, &want, store, sizeof(store));
    assert_int_equal(want.code, got->code);
    EXPECT_OK(osp_msg_encode_body(&want, &wa));
    EXPECT_OK(osp_msg_encode_body(got, &wb));
    EXPECT_BYTES(osp_wr_slice(&wa), osp_wr_slice(&wb));
}

/* Who protects for whom, as the steps of the scenario have it. */
static struct osp_layer_ends
leg_of(const json_t *step, const char *topology)
{
    const char    *at = vec_str(step, "at"), *towards = vec_str(step, "towards");
    bool                  application = at[0] == 'C' || at[0] == 'S';
    bool                  to_application = towards[0] == 'C' || towards[0] == 'S';
    char                  pair[32], back[32];
    struct osp_layer_ends ends = { OSP_LAYER_RELAY, true, true };

    if (application)
        ends.role = to_application ? OSP_LAYER_TO_SERVER : OSP_LAYER_TO_PROXY;
    snprintf(pair, sizeof(pair), "%s -> %s", at, towards);
    snprintf(back, sizeof(back), "%s -> %s", towards, at);
    ends.is_next_hop = strstr(topology, pair) || strstr(topology, back);
    if (strcmp(at, "P1") == 0 || strcmp(at, "P2") == 0 || strcmp(at, "P") == 0)
        ends.is_next_hop = true;        /* a response goes to the previous hop, whoever the layer is for */
    return ends;
}

/* The facts behind the steps that were taken; what no step asked for may be answered either way. */
static void
check_answers(const json_t *want, const struct osp_class_facts *f, const struct osp_class_path *path)
{
    bool hop = !json_is_true(json_object_get(want, "hop_is_next_consumer")) || json_is_true(json_object_get(want, "next_hop"));
    const struct { uint8_t step; bool want, got; } asked[] = {
        { 1, json_is_true(json_object_get(want, "added")), f->added },
        { 2, json_is_true(json_object_get(want, "consumer")), f->consumer },
        { 3, json_is_true(json_object_get(want, "next_consumer")), f->next_consumer },
        { 4, hop, f->next_hop || !f->hop_is_next_consumer },
        { 5, json_is_true(json_object_get(want, "needed_before")), f->needed_before },
    };

    for (size_t i = 0; i < path->count; i++)
        for (size_t k = 0; k < sizeof(asked) / sizeof(asked[0]); k++)
            if (asked[k].step == path->step[i] && asked[k].want != asked[k].got)
                fail_msg("the answer at step %u", asked[k].step);
}

static void
check_classes(const json_t *step, const struct osp_layer_ends *ends, const struct osp_msg *m, const uint8_t *classes)
{
    bool    scheme = osp_msg_has(m, OSP_OPT_PROXY_SCHEME);
    size_t  i, k;
    json_t *oc, *st;

    json_array_foreach(json_object_get(step, "option_classes"), i, oc) {
        uint16_t               num = (uint16_t)json_integer_value(json_object_get(oc, "number"));
        const char            *used = vec_str(oc, "used_class");
        json_t                *want = json_object_get(oc, "steps");
        struct osp_class_path  path;
        struct osp_class_facts f = osp_class_facts(ends, num);
        size_t                 at = 0;

        while (m->opts[at].num != num)
            at++;
        if (strcmp(used, "E") == 0)
            assert_int_equal(classes[at], OSP_OPT_CLASS_E);
        else if (strcmp(used, "U") == 0)
            assert_int_equal(classes[at], OSP_OPT_CLASS_U);
        if (!want)
            continue;
        osp_class_is_e(&f, num, scheme, &path);
        check_answers(json_object_get(oc, "answers"), &f, &path);
        json_array_foreach(want, k, st) {
            if (k >= path.count || path.step[k] != json_integer_value(st))
                fail_msg("%s at %s towards %s: step %zu", vec_str(oc, "option"), vec_str(step, "at"),
                         vec_str(step, "towards"), k);
        }
        assert_int_equal(path.count, json_array_size(want));
    }
}

/* Key, AAD and nonce as the building blocks give them, and that they open the ciphertext to the plaintext. */
static void
check_inputs(const json_t *step, const struct end *e)
{
    uint8_t              b[4][2048], got[2048], nonce[13];
    struct osp_octx_keys k = osp_octx_keys(e->c);
    struct osp_slice     kid = vec_hex(step, "request_kid", b[0], 64), piv = vec_hex(step, "request_piv", b[1], 64);
    bool                 sent = json_is_true(json_object_get(step, "partial_iv_sent"));
    struct osp_wr        w = osp_wr_to(got, sizeof(got));
    struct osp_slice     sealed, plain;

    EXPECT_BYTES(vec_hex(step, "key", b[2], 64), k.sender_key);
    EXPECT_OK(osp_oscore_aad(10, kid, piv, &w));
    EXPECT_BYTES(vec_hex(step, "aad", b[2], sizeof(b[2])), osp_wr_slice(&w));
    if (sent)
        osp_oscore_nonce(osp_octx_sender_id(e->c), vec_hex(step, "partial_iv", b[2], 64), k.common_iv.p, 13, nonce);
    else
        osp_oscore_nonce(kid, piv, k.common_iv.p, 13, nonce);
    EXPECT_BYTES(vec_hex(step, "nonce", b[2], 64), osp_slice(nonce, 13));
    sealed = vec_hex(step, "ciphertext", b[2], sizeof(b[2]));
    plain = vec_hex(step, "plaintext", b[3], sizeof(b[3]));
    assert_int_equal(sealed.n, plain.n + 8);
    EXPECT_OK(osp_aead_open(cr, 10, k.sender_key.p, nonce, vec_hex(step, "aad", b[0], sizeof(b[0])), sealed, got));
    EXPECT_BYTES(plain, osp_slice(got, plain.n));
}

/* What goes out is byte for byte the datagram of the scenario; `sent`: the message of the step before. */
static void
check_wire(const json_t *wire, struct osp_msg *sent)
{
    uint8_t       token[16], buf[2048], want[2048];
    struct osp_wr w = osp_wr_to(buf, sizeof(buf));
    const char   *type = vec_str(wire, "type");

    sent->type = strcmp(type, "CON") == 0 ? OSP_CON : strcmp(type, "NON") == 0 ? OSP_NON : OSP_ACK;
    sent->mid = (uint16_t)json_integer_value(json_object_get(wire, "mid"));
    sent->token = vec_hex(wire, "token", token, sizeof(token));
    EXPECT_OK(osp_msg_encode_udp(sent, &w));
    EXPECT_BYTES(vec_hex(wire, "udp", want, sizeof(want)), osp_wr_slice(&w));
    sent->token = OSP_EMPTY;
}

/* Keys that the scenario gives for each end. */
static void
check_derived(const struct scene *s)
{
    const char *name, *what;
    json_t     *v, *hex;

    json_object_foreach(json_object_get(s->j, "contexts"), name, v) {
        json_object_foreach(json_object_get(v, "derived"), what, hex) {
            uint8_t          b[64];
            struct osp_slice want = vec_hex(json_object_get(v, "derived"), what, b, sizeof(b));
            size_t           found = 0;

            assert_non_null(hex);
            for (size_t i = 0; i < s->count; i++) {
                struct osp_octx_keys k = osp_octx_keys(s->ends[i].c);

                if (strcmp(s->ends[i].ctx, name) != 0)
                    continue;
                if (strcmp(what, "common_iv") == 0) {
                    EXPECT_BYTES(want, k.common_iv);
                    found++;
                } else if (strcmp(what + strlen("key_"), s->ends[i].at) == 0) {
                    EXPECT_BYTES(want, k.sender_key);
                    found++;
                } else {
                    EXPECT_BYTES(want, k.recipient_key);
                }
            }
            assert_true(found > 0);
        }
    }
}

static bool
is_request(const json_t *m)
{
    return osp_code_is_request(vec_code(vec_str(m, "code")));
}

static void
do_protect(struct scene *s, const json_t *step, const char *topology, struct osp_msg *last)
{
    struct end     *e = end_of(s, vec_str(step, "context"), vec_str(step, "at"));
    struct osp_layer_ends  ends = leg_of(step, topology);
    const json_t   *before = json_object_get(step, "before");
    uint8_t         classes[OSP_MSG_OPTS_MAX], want[2048];
    struct osp_wr   w = osp_wr_to(s->scratch, sizeof(s->scratch));
    struct osp_msg  m;

    check_inputs(step, e);
    load_msg(before, &m, s->before, sizeof(s->before));
    EXPECT_OK(osp_classes(&ends, &m, classes));
    check_classes(step, &ends, &m, classes);
    if (is_request(before)) {
        osp_layer_fini(&e->layer);
        EXPECT_OK(osp_oscore_protect_request(cr, e->c, &m, classes, &w, last, &e->layer));
    } else {
        EXPECT_OK(osp_oscore_protect_response(cr, &e->layer, &m, classes, false, &w, last));
    }
    EXPECT_BYTES(vec_hex(step, "ciphertext", want, sizeof(want)), last->payload);
    expect_msg(json_object_get(step, "after"), last);
}

/* `in` is what the step before produced or the wire carried. */
static void
do_unprotect(struct scene *s, const json_t *step, const struct osp_msg *in)
{
    struct end    *e = end_of(s, vec_str(step, "context"), vec_str(step, "at"));
    struct osp_wr  w = osp_wr_to(s->scratch, sizeof(s->scratch));
    struct osp_msg out;

    if (osp_code_is_request(in->code)) {
        struct osp_layer l;

        EXPECT_OK(osp_oscore_unprotect_request(cr, e->c, in, &w, &out, &l));
        osp_layer_fini(&e->layer);
        e->layer = l;
    } else {
        EXPECT_OK(osp_oscore_unprotect_response(cr, &e->layer, in, &w, &out));
    }
    expect_msg(json_object_get(step, "after"), &out);
}

static void
run_scenario(json_t *scenario)
{
    static struct scene s;
    const char         *topology = vec_str(scenario, "topology");
    json_t             *prev = NULL, *step;
    uint8_t             store[8192];
    struct osp_msg      m;
    size_t              i, sent = 0;

    memset(&s, 0, sizeof(s));
    s.j = scenario;
    make_ends(&s);
    check_derived(&s);
    json_array_foreach(json_object_get(scenario, "steps"), i, step) {
        const char *what = vec_str(step, "do");

        if (strncmp(what, "alternative", 11) == 0) {    /* each begins with a request that was just removed */
            struct end *e = end_of(&s, "CTX_C_P", "P");
            e->layer.nonce_used = false;
        }
        if (strcmp(what, "protect") == 0) {
            do_protect(&s, step, topology, &m);
        } else if (strcmp(what, "unprotect") == 0) {
            json_t *wire = prev ? json_object_get(prev, "wire") : NULL;
            json_t *from = wire ? json_array_get(json_object_get(scenario, "wire"), (size_t)json_integer_value(wire))
                                : json_object_get(prev, "after");

            load_msg(from, &m, store, sizeof(store));
            do_unprotect(&s, step, &m);
        } else if (strncmp(what, "send", 4) == 0 && prev && json_object_get(prev, "after")) {
            json_t *wire = json_array_get(json_object_get(scenario, "wire"),
                                          (size_t)json_integer_value(json_object_get(step, "wire")));

            if (strcmp(vec_str(prev, "do"), "protect") != 0)    /* else `m` is what was just made */
                load_msg(json_object_get(prev, "after"), &m, store, sizeof(store));
            check_wire(wire, &m);
            sent++;
        }
        prev = step;
    }
    assert_true(sent >= 4);
    for (i = 0; i < s.count; i++) {
        osp_layer_fini(&s.ends[i].layer);
        osp_octx_unref(s.ends[i].c);
    }
}

/* rows L01-L06, L14, H08, O11, O12, S15 (partly: at the library) */
/* [ocp#2.2] [ocp#2.3] [ocp#2.4] [ocp#2.5] [ocp#2.6] [rfc8613#4.1.3.5] */
static void
every_layer_of_the_nested_scenarios_is_exact(void **state)
{
    json_t *j = vec_load("nested-oscore.json");
    size_t  i, n = 0;
    json_t *s;

    (void)state;
    json_array_foreach(json_object_get(j, "scenarios"), i, s) {
        run_scenario(s);
        n++;
    }
    assert_int_equal(n, 11);
    json_decref(j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_appendix),
        cmocka_unit_test(nonces_and_aads_are_those_of_the_appendix),
        cmocka_unit_test(messages_are_those_of_the_appendix),
        cmocka_unit_test(messages_of_the_appendix_open_to_what_was_protected),
        cmocka_unit_test(lost_window_is_recovered_as_in_the_appendix),
        cmocka_unit_test(every_layer_of_the_nested_scenarios_is_exact),
    };
    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
