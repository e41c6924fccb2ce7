/* SPDX-License-Identifier: BSD-2-Clause */
#include "forward_world.h"

/* ---- making requests ---- */

struct osp_msg *
confirmable_get(struct osp_msg *m)
{
    world_request(m, OSP_GET, OSP_CON, ++next_mid);
    return m;
}

struct osp_msg *
forward(struct osp_msg *m, const char *host)
{
    confirmable_get(m);
    add(m, OSP_OPT_URI_HOST, host);
    add(m, OSP_OPT_URI_PATH, "x");
    add(m, OSP_OPT_PROXY_SCHEME, "coap");
    return m;
}

void
client_sends(const struct osp_msg *m)
{
    world_send(&w, WORLD_LISTENER, 1, 40000, m);
}

struct world_out last_out;

struct osp_msg *
taken(struct osp_msg *m)
{
    last_out = world_next(&w, m);
    return m;
}

void
nothing_left(void)
{
    struct world_out o;
    assert_false(world_take(&w, &o));
}

void
answer_request(const struct osp_msg *req, struct osp_msg *resp)
{
    struct world_out to = last_out;

    resp->type = req->type == OSP_CON ? OSP_ACK : OSP_NON;
    resp->mid = req->mid;
    resp->token = req->token;
    world_send(&w, to.to.sock, to.to.peer.ip.b[15], to.to.peer.port, resp);
}

void
expect_code(uint8_t code)
{
    struct osp_msg m;

    taken(&m);
    assert_int_equal(last_out.to.sock, WORLD_LISTENER);
    if (m.code != code)
        fail_msg("answered %u.%02u, want %u.%02u", m.code >> 5, m.code & 31, code >> 5, code & 31);
    nothing_left();
}

void
expect_refused(const struct osp_msg *m, uint8_t code)
{
    client_sends(m);
    expect_code(code);
}

/* ---- the world of most tests: an open forward-proxy, hosts s.example and gw.example ---- */

static void
open_world(void)
{
    world_init_forward(&w);
}

int
forward_setup(void **state)
{
    (void)state;
    open_world();
    return 0;
}

int
forward_teardown(void **state)
{
    (void)state;
    world_run(&w, OSP_SEC(500));
    assert_true(osp_proxy_idle(w.px));          /* whatever happened, nothing is pending */
    world_fini(&w);
    return 0;
}
