/* SPDX-License-Identifier: BSD-2-Clause */
#include "caching_world.h"

struct osp_cache *cache;
uint64_t          asked;

/* ---- one exchange: the client's request in, the origin's answer if it is asked, the client's answer out ---- */

struct osp_msg reply;

struct osp_msg *
cacheable(struct osp_msg *m, uint8_t code, const char *path)
{
    world_request(m, code, OSP_CON, ++next_mid);
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_HOST, osp_slice_str("s.example")));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_URI_PATH, osp_slice_str(path)));
    EXPECT_OK(osp_msg_add(m, OSP_OPT_PROXY_SCHEME, osp_slice_str("coap")));
    return m;
}

struct osp_msg at_origin;

void
send_bytes(const struct osp_msg *m, uint8_t host)
{
    world_send(&w, WORLD_LISTENER, host, 40000, m);
}

struct world_out
take_next(struct osp_msg *m)
{
    return world_next(&w, m);
}

struct osp_msg *
exchange_from(uint8_t host, const struct osp_msg *m, struct osp_msg *answer)
{
    struct world_out o;

    send_bytes(m, host);
    o = take_next(answer);
    if (o.to.sock == 0) {
        asked++;
        osp_msg_copy(&at_origin, answer);
        reply.type = OSP_ACK;
        reply.mid = answer->mid;
        reply.token = answer->token;
        world_send(&w, 0, 9, 5683, &reply);
        o = take_next(answer);
    }
    assert_int_equal(o.to.sock, WORLD_LISTENER);
    EXPECT_BYTES(m->token, answer->token);
    return answer;
}

struct osp_msg *
exchange(const struct osp_msg *m, struct osp_msg *answer)
{
    return exchange_from(1, m, answer);
}

struct osp_msg *
get(const char *path, struct osp_msg *answer)
{
    struct osp_msg m;
    return exchange(cacheable(&m, OSP_GET, path), answer);
}

void
origin_says(uint8_t code, const char *payload, int max_age)
{
    static uint8_t age[4];

    osp_msg_init(&reply, code);
    reply.payload = osp_slice_str(payload);
    if (max_age >= 0)
        EXPECT_OK(osp_msg_add(&reply, OSP_OPT_MAX_AGE, osp_opt_uint_make((uint32_t)max_age, age)));
}

uint32_t
max_age(const struct osp_msg *m)
{
    uint32_t v = 0;

    assert_true(osp_msg_has(m, OSP_OPT_MAX_AGE));
    assert_true(osp_opt_uint(osp_msg_get(m, OSP_OPT_MAX_AGE)->val, &v));
    return v;
}

static void
narrow(struct osp_proxy_cfg *cfg)
{
    (void)cfg;
    w.ep_cfg.max_datagram = 600;
}

static int
setup_with(void (*tune)(struct osp_proxy_cfg *))
{
    struct osp_cache_cfg cfg;

    asked = 0;
    world_init_forward(&w);
    w.tune = tune;
    w.hosts[1] = (struct osp_host){ "t.example", osp_ip_v4(192, 0, 2, 9) };
    w.hosts[2] = (struct osp_host){ "example.com", osp_ip_v4(192, 0, 2, 9) };
    w.policy.host_count = 3;
    osp_cache_cfg_default(&cfg);
    cfg.bytes = 1 << 20;
    EXPECT_OK(osp_cache_new(&cfg, (struct osp_hash_key){ 5, 6 }, &cache));
    w.policy.cache = cache;
    world_start(&w);
    origin_says(OSP_CODE(2, 5), "22", -1);
    return 0;
}

int
caching_setup(void **state)
{
    (void)state;
    return setup_with(NULL);
}

int
caching_setup_narrow(void **state)
{
    (void)state;
    return setup_with(narrow);
}

int
caching_teardown(void **state)
{
    (void)state;
    world_run(&w, OSP_SEC(300));
    assert_true(osp_proxy_idle(w.px));
    world_fini(&w);
    osp_cache_free(cache);
    return 0;
}
