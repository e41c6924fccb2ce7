/* SPDX-License-Identifier: BSD-2-Clause */
#include "responder_world.h"

#include "crypto/pk.h"

#define EDHOC_FORMAT 64

static const int              curves[KEYS] = { OSP_ED25519, OSP_X25519, OSP_P256 };
static const char      *const names[] = { "ed25519", "x25519", "p256", "unknown" };
static struct edhoc_side      ours[KEYS], theirs[KEYS];
struct osp_edhoc_own          responder_own[2][KEYS];
static struct osp_edhoc_peer  peers[2][KEYS];       /* whom the Initiator trusts, whom the proxy trusts */
static struct osp_edhoc_peers known;
static uint64_t               seeds;
const struct osp_edhoc_own   *special;

/* ---- both ends ---- */

static void
make_credentials(void)
{
    for (int i = 0; i < KEYS; i++) {
        edhoc_ccs(&theirs[i], curves[i], (uint8_t)(0x31 + i), (uint8_t)(0x41 + i), false, false);
        edhoc_ccs(&ours[i], curves[i], (uint8_t)(0x51 + i), (uint8_t)(0x61 + i), false, false);
        responder_own[0][i] = theirs[i].own;
        responder_own[1][i] = ours[i].own;
        peers[0][i] = (struct osp_edhoc_peer){ .cred = ours[i].own.cred, .label = (uint32_t)i };
        peers[1][i] = (struct osp_edhoc_peer){ .cred = theirs[i].own.cred, .label = LABEL(i) };
    }
    EXPECT_OK(osp_edhoc_peers_init(&known, peers[0], KEYS));
}

static void
setup_with(size_t sessions, size_t verify_above)
{
    struct osp_responder_cfg cfg = { .sessions = sessions, .verify_above = verify_above, .session_us = OSP_SEC(SESSION_S) };

    world_init_forward(&w);
    make_credentials();
    world_edhoc(&w, &cfg);
    w.edhoc.profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { 2, 0 }, 2 }, .own = responder_own[1],
                                                  .own_count = KEYS };
    EXPECT_OK(osp_edhoc_peers_init(&w.edhoc.trusted, peers[1], KEYS));
    w.edhoc.names = names;
    w.edhoc.name_count = 4;
    w.edhoc.unknown_label = LABEL(3);
}

int
responder_setup(void **state)
{
    (void)state;
    setup_with(64, 64);
    return 0;
}

void
again(size_t sessions, size_t verify_above)
{
    world_fini(&w);
    setup_with(sessions, verify_above);
}

struct osp_responder_stats
sessions(void)
{
    struct osp_responder_stats s;

    osp_responder_stats(w.responder, &s);
    return s;
}

int
responder_teardown(void **state)
{
    struct osp_responder_stats s;

    (void)state;
    world_run(&w, OSP_SEC(500));
    osp_responder_expire(w.responder, w.now);
    s = sessions();
    assert_int_equal(0, s.unfinished + s.finished);
    world_stop(&w);
    assert_int_equal(1, atomic_load(&w.policy.refs) - 1);       /* ours and the proxy's: no session holds it */
    world_fini(&w);
    return 0;
}

/* ---- the Initiator ---- */

struct osp_slice
m1_of(const struct client *c)
{
    return osp_slice(c->m1, c->n1);
}

struct osp_slice
m3_of(const struct client *c)
{
    return osp_slice(c->m3, c->n3);
}

struct osp_addr
host(uint8_t n)
{
    return (struct osp_addr){ .ip = osp_ip_v4(192, 0, 2, n), .port = 40000 };
}

void
client_init(struct client *c, uint8_t method, int64_t suite, struct osp_slice c_i)
{
    uint8_t       seed[32] = { 0 };
    struct osp_wr w1 = osp_wr_to(c->m1, sizeof(c->m1)), ws = osp_wr_to(seed, sizeof(seed));

    memset(c, 0, sizeof(*c));
    c->from = host(1);
    c->profile = (struct osp_edhoc_profile){ .methods = 0xf, .suites = { { suite }, 1 },
                                             .own = special ? special : responder_own[0],
                                             .own_count = special ? 1 : KEYS,
                                             .has_message_4 = w.edhoc.profile.has_message_4, .find = osp_edhoc_peers_find,
                                             .find_ctx = &known };
    osp_edhoc_init(&c->s, OSP_EDHOC_INITIATOR, &c->profile, edhoc_crypto, EDHOC_NOW);
    osp_wr_uint(&ws, ++seeds, 8);
    EXPECT_OK(osp_edhoc_make_message_1(&c->s, method, suite, seed, c_i, OSP_EMPTY, &w1));
    c->n1 = w1.n;
}

void
client_fini(struct client *c)
{
    osp_edhoc_fini(&c->s);
    osp_octx_unref(c->octx);
    c->octx = NULL;
}

void
send_from(const struct osp_addr *from, struct osp_msg *m)
{
    uint8_t       buf[2048];
    struct osp_wr d = osp_wr_to(buf, sizeof(buf));

    m->type = OSP_NON;
    m->mid = ++next_mid;
    if (m->token.n == 0)
        m->token = osp_slice_str("tk");
    EXPECT_OK(osp_msg_encode_udp(m, &d));
    world_in_from(&w, WORLD_LISTENER, from, osp_wr_slice(&d));
}

bool
take(struct world_out *o, struct osp_msg *m)
{
    return world_take_msg(&w, o, m);
}

uint8_t
told(struct osp_msg *m)
{
    struct world_out o;

    if (!take(&o, m))
        return 0;
    assert_int_equal(WORLD_LISTENER, o.to.sock);
    return m->code;
}

void
edhoc_request(struct osp_msg *m, struct osp_slice payload)
{
    osp_msg_init(m, OSP_POST);
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str(".well-known")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str("edhoc")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_CONTENT_FORMAT, osp_slice_str("\x41")));
    m->payload = payload;
}

static uint8_t
post(const struct osp_addr *from, struct osp_slice payload, struct osp_slice echo, struct osp_msg *resp)
{
    struct osp_msg m;

    edhoc_request(&m, payload);
    if (echo.n)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_ECHO, echo));
    send_from(from, &m);
    return told(resp);
}

uint8_t
send_1(const struct client *c, struct osp_slice echo, struct osp_msg *resp)
{
    uint8_t       bytes[OSP_EDHOC_MESSAGE_MAX + 1];
    struct osp_wr d = osp_wr_to(bytes, sizeof(bytes));

    osp_wr_u8(&d, 0xf5);
    osp_wr_put(&d, m1_of(c));
    return post(&c->from, osp_wr_slice(&d), echo, resp);
}

uint8_t
send_3(const struct client *c, struct osp_slice m3, struct osp_msg *resp)
{
    uint8_t       bytes[OSP_EDHOC_MESSAGE_MAX + 16];
    struct osp_wr d = osp_wr_to(bytes, sizeof(bytes));

    osp_edhoc_cid_put(&d, osp_slice(c->c_r.bytes, c->c_r.len));
    osp_wr_put(&d, m3);
    return post(&c->from, osp_wr_slice(&d), OSP_EMPTY, resp);
}

void
go_on(struct client *c, const struct osp_msg *resp)
{
    struct osp_wr d = osp_wr_to(c->m3, sizeof(c->m3));
    struct osp_slice c_r;

    EXPECT_OK(osp_edhoc_take_message_2(&c->s, resp->payload, NULL));
    c_r = osp_edhoc_c_r(&c->s);
    c->c_r.len = (uint8_t)c_r.n;
    assert_true(osp_slice_copy(c_r, c->c_r.bytes, sizeof(c->c_r.bytes)));
    EXPECT_OK(osp_edhoc_make_message_3(&c->s, OSP_EMPTY, &d));
    c->n3 = d.n;
}

void
begin(struct client *c, uint8_t method, int64_t suite, const char *c_i)
{
    struct osp_msg resp;

    client_init(c, method, suite, osp_slice_str(c_i));
    assert_int_equal(OSP_CODE(2, 4), send_1(c, OSP_EMPTY, &resp));
    go_on(c, &resp);
}

void
derive(struct client *c)
{
    struct osp_edhoc_oscore o;
    struct osp_octx_params  p;

    EXPECT_OK(osp_edhoc_oscore(&c->s, &o));
    p = osp_edhoc_octx_params(&o, 0);
    EXPECT_OK(osp_octx_new(&p, &c->octx));
    osp_octx_grant(c->octx, 0, 1000);
    osp_octx_set_window(c->octx, &(struct osp_replay){ 0 });
}

void
finish(struct client *c)
{
    struct osp_msg resp;

    assert_int_equal(OSP_CODE(2, 4), send_3(c, m3_of(c), &resp));
    if (c->profile.has_message_4)
        EXPECT_OK(osp_edhoc_take_message_4(&c->s, resp.payload, NULL));
    else
        assert_int_equal(0, resp.payload.n);
    derive(c);
}

/* ---- requests under the keys ---- */

void
send_protected(struct client *c, const struct osp_msg *m, struct osp_slice m3, struct osp_layer *l)
{
    struct osp_msg out;
    uint8_t        buf[1024], both[2048];
    struct osp_wr  b = osp_wr_to(buf, sizeof(buf)), d = osp_wr_to(both, sizeof(both));

    world_protect(edhoc_crypto, c->octx, m, &b, &out, l);
    osp_wr_put(&d, m3);
    osp_wr_put(&d, out.payload);
    out.payload = osp_wr_slice(&d);
    if (m3.n)
        EXPECT_OK(osp_msg_add(&out, OSP_OPT_EDHOC, OSP_EMPTY));
    out.token = OSP_EMPTY;
    send_from(&c->from, &out);
}

bool
origin_answers(void)
{
    struct world_out o;
    struct osp_msg   q, r;

    if (w.out_count == 0 || w.out[0].to.sock != 0)
        return false;
    assert_true(take(&o, &q));
    assert_false(osp_msg_has(&q, OSP_OPT_EDHOC));
    osp_msg_init(&r, OSP_CODE(2, 5));
    world_answer(&w, &o, &q, &r, ++next_mid);
    return true;
}

bool
passes_with(struct client *c, struct osp_slice m3)
{
    struct osp_layer l = { 0 };
    struct osp_msg   m, resp, plain;
    uint8_t          buf[512];
    struct osp_wr    b = osp_wr_to(buf, sizeof(buf));
    bool             ok;

    world_get(&m);
    send_protected(c, &m, m3, &l);
    ok = origin_answers();
    ok = told(&resp) == OSP_CODE(2, 4) && ok;
    ok = ok && osp_oscore_unprotect_response(edhoc_crypto, &l, &resp, &b, &plain) == OSP_OK && plain.code == OSP_CODE(2, 5);
    osp_layer_fini(&l);
    return ok;
}

bool
passes(struct client *c)
{
    return passes_with(c, OSP_EMPTY);
}

void
expect_error(const struct osp_msg *m, uint8_t code, int64_t err_code)
{
    struct osp_edhoc_error e;
    const struct osp_opt  *f = osp_msg_get(m, OSP_OPT_CONTENT_FORMAT);
    uint32_t               format = 0;

    assert_int_equal(code, m->code);
    assert_true(f && osp_opt_uint(f->val, &format));
    assert_int_equal(EDHOC_FORMAT, format);
    assert_false(osp_msg_has(m, OSP_OPT_OSCORE));
    EXPECT_OK(osp_edhoc_read_error(m->payload, &e));
    assert_int_equal(err_code, e.code);
}

bool
is_live(const struct client *c)
{
    struct osp_octx *o = osp_octx_runtime_find(w.runtime, osp_slice(c->c_r.bytes, c->c_r.len), false, OSP_EMPTY);

    osp_octx_unref(o);
    return o != NULL;
}
