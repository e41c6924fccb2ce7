/* SPDX-License-Identifier: BSD-2-Clause */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/prng.h"
#include "tests/unit/unit.h"

#define QUEUE 32768
#define ORIGIN_HOST 9

struct crowd crowd;

/* ---- the network ---- */

struct datagram { uint16_t sock, port; uint8_t host; size_t n; uint8_t bytes[128]; };

static struct datagram queue[QUEUE];            /* towards the proxy */
static size_t          queue_head, queue_count;
unsigned
crowd_roll(unsigned sides)
{
    return (unsigned)(prng_next(&crowd.dice) >> 33) % sides;
}

static bool
is_lost(void)
{
    return crowd.loss && crowd_roll(100) < crowd.loss;
}

static void
put(uint16_t sock, uint8_t host, uint16_t port, const struct osp_msg *m)
{
    struct datagram *d = &queue[(queue_head + queue_count) % QUEUE];
    struct osp_wr    wr;

    if (is_lost())
        return;
    assert_true(queue_count < QUEUE);
    d->sock = sock;
    d->host = host;
    d->port = port;
    wr = osp_wr_to(d->bytes, sizeof(d->bytes));
    EXPECT_OK(osp_msg_encode_udp(m, &wr));
    d->n = wr.n;
    queue_count++;
}

static void
put_empty(uint16_t sock, uint8_t host, uint16_t port, uint8_t type, uint16_t mid)
{
    struct osp_msg m;

    osp_msg_init(&m, 0);
    m.type = type;
    m.mid = mid;
    put(sock, host, port, &m);
}

/* ---- the origin ---- */

unsigned
crowd_registrations(unsigned path)
{
    unsigned n = 0;

    for (size_t i = 0; i < 8; i++)
        n += crowd.resources[path].regs[i].used;
    return n;
}

static struct crowd_registration *
find_registration(struct crowd_resource *r, const struct osp_msg *m, uint16_t port, bool make)
{
    struct crowd_registration *free_one = NULL;

    for (size_t i = 0; i < 8; i++) {
        struct crowd_registration *g = &r->regs[i];

        if (g->used && g->port == port && osp_slice_eq(m->token, osp_slice(g->token, 8)))
            return g;
        if (!g->used)
            free_one = g;
    }
    if (!make)
        return NULL;
    assert_non_null(free_one);
    *free_one = (struct crowd_registration){ .port = port, .used = true };
    assert_true(osp_slice_copy(m->token, free_one->token, 8));
    return free_one;
}

/* The representation of `r` in `m`, with an Observe option if `observe`. */
static void
represent(const struct crowd_resource *r, struct osp_msg *m, bool observe, char *text, uint8_t *values)
{
    snprintf(text, 16, "%u", r->state);
    m->payload = osp_slice_str(text);
    if (observe)
        EXPECT_OK(osp_msg_add(m, OSP_OPT_OBSERVE, osp_opt_uint_make(r->seq, values)));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_MAX_AGE, osp_opt_uint_make(crowd.origin.max_age, values + 4)));
    if (crowd.origin.tells_size)
        EXPECT_OK(osp_msg_add(m, OSP_OPT_SIZE2, osp_slice_str("\x01")));
}

static unsigned
path_of(const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_URI_PATH);

    assert_true(o && o->val.n == 1 && o->val.p[0] >= 'a' && o->val.p[0] < 'a' + CROWD_PATHS);
    return o->val.p[0] - 'a';
}

static void
origin_got_reset(uint16_t mid)
{
    crowd.origin.resets++;
    for (size_t p = 0; p < CROWD_PATHS; p++)
        for (size_t i = 0; i < 8; i++)
            if (crowd.resources[p].regs[i].mid == mid)
                crowd.resources[p].regs[i].used = false;
}

static void
origin_got(const struct osp_msg *m)
{
    const struct osp_opt *observe = osp_msg_get(m, OSP_OPT_OBSERVE);
    struct crowd_resource      *r;
    struct crowd_registration  *g;
    struct osp_msg        a;
    char                  text[16];
    uint8_t               values[8];
    bool                  keeps = false;

    if (crowd.origin.silent)
        return;
    if (m->code == 0) {
        if (m->type == OSP_RST)
            origin_got_reset(m->mid);
        return;
    }
    r = &crowd.resources[path_of(m)];
    osp_msg_init(&a, crowd.origin.code);
    if (m->code == OSP_POST) {
        crowd.origin.posts++;
        a.code = OSP_CODE(2, 4);
    } else if (observe && observe->val.n == 0) {
        crowd.origin.registered++;
        keeps = !crowd.origin.plain && OSP_CODE_CLASS(crowd.origin.code) == 2;
        if (keeps)
            (void)find_registration(r, m, 0, true);
    } else if (observe) {
        crowd.origin.deregistered++;
        g = find_registration(r, m, 0, false);
        if (g)
            g->used = false;
    } else {
        crowd.origin.gets++;
    }
    a.type = OSP_ACK;
    a.mid = m->mid;
    a.token = m->token;
    if (a.code == OSP_CODE(2, 5))
        represent(r, &a, keeps, text, values);
    put(0, ORIGIN_HOST, 5683, &a);
}

/* ---- the clients ---- */

static uint8_t
host_of(size_t i)
{
    return (uint8_t)(10 + i % 100);
}

static uint16_t
port_of(size_t i)
{
    return (uint16_t)(30000 + i / 100);
}

void
crowd_ask(size_t i, uint8_t code, unsigned path, int observe, uint16_t extra, const char *value)
{
    struct crowd_client *c = &crowd.clients[i];
    struct osp_msg m;
    uint8_t        token[4] = { (uint8_t)(i >> 8), (uint8_t)i, 7, 7 }, buf[4];
    char           name[2] = { (char)('a' + path), 0 };

    osp_msg_init(&m, code);
    m.mid = ++c->mid;
    m.token = osp_slice(token, 4);
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_URI_PATH, osp_slice_str(name)));
    EXPECT_OK(osp_msg_add(&m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    if (observe >= 0)
        EXPECT_OK(osp_msg_add(&m, OSP_OPT_OBSERVE, osp_opt_uint_make((uint32_t)observe, buf)));
    if (extra)
        EXPECT_OK(osp_msg_add(&m, extra, osp_slice_str(value)));
    c->path = path;
    put(WORLD_LISTENER, host_of(i), port_of(i), &m);
}

void
crowd_register(size_t i, unsigned path)
{
    crowd.clients[i].observing = true;
    crowd.clients[i].counted = false;
    crowd.clients[i].leaves = false;
    crowd.clients[i].waiting = true;
    crowd.clients[i].code = 0;
    crowd_ask(i, OSP_GET, path, 0, 0, NULL);
}

void
crowd_leave(size_t i)
{
    crowd.clients[i].observing = false;
    crowd_ask(i, OSP_GET, crowd.clients[i].path, 1, 0, NULL);
}

static void
take_response(struct crowd_client *c, const struct osp_msg *m)
{
    const struct osp_opt *o = osp_msg_get(m, OSP_OPT_OBSERVE), *age = osp_msg_get(m, OSP_OPT_MAX_AGE);
    char                  text[16] = "";
    uint32_t              v = 0;

    c->code = m->code;
    c->got++;
    c->confirmable += m->type == OSP_CON;
    assert_true(osp_slice_copy(m->payload, (uint8_t *)text, sizeof(text) - 1));
    c->state = (unsigned)strtoul(text, NULL, 10);
    if (age)
        assert_true(osp_opt_uint(age->val, &c->max_age));
    if (!o) {
        c->observing = false;
        return;
    }
    assert_true(osp_opt_uint(o->val, &v));
    assert_true(!c->counted || v > c->observe);         /* [rfc7641#3.4] what is not newer would be thrown away */
    c->observe = v;
    c->counted = true;
}

static void
client_got(size_t i, const struct osp_msg *m)
{
    struct crowd_client *c = &crowd.clients[i];
    bool           again = m->type == OSP_CON && c->got > 0 && m->mid == c->last_mid;

    if (c->silent)
        return;
    if (m->type == OSP_ACK && m->mid == c->mid)
        c->waiting = false;
    if (m->code == 0)
        return;
    if (m->type != OSP_ACK)
        c->last_mid = m->mid;
    if (osp_msg_has(m, OSP_OPT_OBSERVE) && (!c->observing || c->leaves)) {
        c->observing = false;
        put_empty(WORLD_LISTENER, host_of(i), port_of(i), OSP_RST, m->mid);
        return;
    }
    if (m->type == OSP_CON)
        put_empty(WORLD_LISTENER, host_of(i), port_of(i), OSP_ACK, m->mid);
    if (!again && !c->waiting)
        take_response(c, m);
}

/* ---- time ---- */

static void
hand_out(void)
{
    for (size_t k = 0; k < crowd.w.out_count; k++) {
        const struct world_out *o = &crowd.w.out[k];
        struct osp_msg          m;
        bool                    header;

        if (is_lost())
            continue;
        EXPECT_OK(osp_msg_decode_udp(osp_slice(o->bytes, o->n), &m, &header));
        if (o->to.sock == 0)
            origin_got(&m);
        else
            client_got((size_t)(o->to.peer.port - 30000) * 100 + o->to.peer.ip.b[15] - 10, &m);
    }
    crowd.w.out_count = 0;
}

void
crowd_pump(void)
{
    hand_out();
    while (queue_count > 0) {
        struct datagram *d = &queue[queue_head];

        queue_head = (queue_head + 1) % QUEUE;
        queue_count--;
        world_in(&crowd.w, d->sock, d->host, d->port, osp_slice(d->bytes, d->n));
        hand_out();
    }
}

void
crowd_run(uint64_t us)
{
    struct osp_time end = osp_time_after(crowd.w.now, us), due;

    crowd_pump();
    while (osp_proxy_deadline(crowd.w.px, &due) && due.us <= end.us) {
        crowd.w.now.us = due.us > crowd.w.now.us ? due.us : crowd.w.now.us + 1000;
        while (world_expire(&crowd.w))
            crowd_pump();
        crowd_pump();
    }
    if (crowd.w.now.us < end.us)
        crowd.w.now = end;
}

void
crowd_notify(unsigned path, uint8_t type)
{
    struct crowd_resource *r = &crowd.resources[path];

    r->state++;
    r->seq++;
    for (size_t i = 0; i < 8; i++) {
        struct osp_msg m;
        char           text[16];
        uint8_t        values[8];

        if (!r->regs[i].used)
            continue;
        osp_msg_init(&m, OSP_CODE(2, 5));
        m.type = type;
        m.mid = r->regs[i].mid = ++crowd.origin.mid;
        m.token = osp_slice(r->regs[i].token, 8);
        represent(r, &m, true, text, values);
        put(0, ORIGIN_HOST, 5683, &m);
    }
}

void
crowd_origin_restarts(void)
{
    for (size_t p = 0; p < CROWD_PATHS; p++) {
        memset(crowd.resources[p].regs, 0, sizeof(crowd.resources[p].regs));
        crowd.resources[p].seq = 2;
    }
}

struct osp_proxy_stats
crowd_stats(void)
{
    struct osp_proxy_stats st;

    osp_proxy_stats(crowd.w.px, &st);
    return st;
}

size_t
crowd_up_to_date(void)
{
    size_t n = 0;

    for (size_t i = 0; i < CROWD_CLIENTS; i++) {
        if (!crowd.clients[i].observing)
            continue;
        assert_int_equal(crowd.clients[i].state, crowd.resources[crowd.clients[i].path].state);
        n++;
    }
    return n;
}

/* ---- beginning and end ---- */

void
crowd_begin(size_t exchanges, bool caching)
{
    struct osp_cache_cfg cfg;

    memset(&crowd, 0, sizeof(crowd));
    for (size_t p = 0; p < CROWD_PATHS; p++)
        crowd.resources[p].seq = 5000;
    crowd.origin.code = OSP_CODE(2, 5);
    crowd.origin.max_age = 60;
    queue_head = queue_count = 0;
    crowd.dice = 1;
    world_init(&crowd.w);
    crowd.w.exchanges = exchanges;
    crowd.w.policy.forward = true;
    world_allow_all(&crowd.w);
    crowd.w.hosts[0] = (struct osp_host){ "s.example", osp_ip_v4(192, 0, 2, ORIGIN_HOST) };
    crowd.w.policy.host_count = 1;
    if (caching) {
        osp_cache_cfg_default(&cfg);
        cfg.bytes = 1 << 20;
        EXPECT_OK(osp_cache_new(&cfg, (struct osp_hash_key){ 5, 6 }, &crowd.cache));
        crowd.w.policy.cache = crowd.cache;
    }
    world_start(&crowd.w);
}

void
crowd_end(void)
{
    crowd.loss = 0;
    crowd.origin.silent = false;
    for (size_t i = 0; i < CROWD_CLIENTS; i++)
        if (crowd.clients[i].observing && !crowd.clients[i].silent)
            crowd_leave(i);
    crowd_run(OSP_SEC(300));
    assert_int_equal(crowd_stats().observations, 0);
    assert_int_equal(crowd_stats().subjects, 0);
    assert_true(osp_proxy_idle(crowd.w.px));
    for (unsigned p = 0; p < CROWD_PATHS; p++)
        assert_int_equal(crowd_registrations(p), 0);
    world_fini(&crowd.w);
    osp_cache_free(crowd.cache);
}
