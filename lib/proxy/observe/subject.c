/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Subjects: what several clients observe, registered for upstream once [rfc7641#5].
 *
 *     registration of a client --+                            +-- notification, under this client's layers
 *     registration of a client --+-- subject -- `up` -- next hop
 *     registration of a client --+                            +-- notification, under that client's layers
 *
 * Registrations are equal when their cache keys are (the context of the layer for the next hop is in it) and their ETags.
 * `up` is an exchange without a client.  What comes back is kept as the newest representation and goes to every observer
 * with an Observe value of ours and with the Max-Age that is left; a later one gets it at once while it is fresh.
 *
 * Sending to many takes many turns: who is to get the newest stands in `late`, and goes back to `fans` when it was sent.
 * Whoever has not got one when the next comes gets the next only [rfc7641#1.3].
 *
 * When Max-Age passes without news, the subject registers again under the same Token [rfc7641#3.3.1]; so the observers do
 * not notice when the origin has forgotten us.  With the last observer it deregisters [rfc7641#3.6].  It ends, for all of
 * them, with an answer without Observe, one that is not 2.xx, or none.
 */
#include "proxy/exchange.h"
#include "proxy/observe/observe.h"

#define MAX_AGE_LEAST 10                /* seconds between registrations, whatever Max-Age says */
#define WAIT_LEAST_US OSP_SEC(5)        /* [rfc7641#3.3.1] after Max-Age has passed */
#define WAIT_MOST_US OSP_SEC(15)

/* ---- which ---- */

/*
 * A conditional request, or one for a part, is about more than the state of the resource.  A Request-Tag without blocks
 * means nothing [rfc9175#3.4], and there are clients that put another one into each of their requests.
 */
bool
px_subject_may_merge(const struct osp_msg *req)
{
    for (size_t i = 0; i < req->opt_count; i++)
        if (osp_opt_is_alone(req->opts[i].num))
            return false;
    return true;
}

/* What tells subjects apart: the key, and behind it the ETags, which the key does not have but a 2.03 depends on. */
static bool
make_id(struct px_turn *t, const struct osp_msg *req, const struct osp_cache_key *key, struct osp_slice *id)
{
    size_t start = t->scratch.n, tail;

    osp_wr_put(&t->scratch, key->bytes);
    tail = t->scratch.n;
    for (size_t i = 0; i < req->opt_count; i++) {
        if (req->opts[i].num != OSP_OPT_ETAG)
            continue;
        osp_wr_u16(&t->scratch, (uint16_t)req->opts[i].val.n);
        osp_wr_put(&t->scratch, req->opts[i].val);
    }
    osp_wr_u16(&t->scratch, (uint16_t)(t->scratch.n - tail));
    if (osp_wr_bad(&t->scratch))
        return false;
    *id = osp_slice_tail(osp_wr_slice(&t->scratch), start);
    return true;
}

/*
 * Request-Tags: 0 for none.  They may differ [rfc9175#3.4], but who fetches further blocks under another tag may meet a
 * server that does not find what the registration under its tag has begun.
 */
static uint64_t
tags_of(struct px_turn *t, const struct osp_msg *req)
{
    struct osp_wr w = t->scratch;
    size_t        start = w.n;

    for (size_t i = 0; i < req->opt_count; i++) {
        if (req->opts[i].num != OSP_OPT_REQUEST_TAG)
            continue;
        osp_wr_u16(&w, (uint16_t)req->opts[i].val.n);
        osp_wr_put(&w, req->opts[i].val);
    }
    return w.n == start ? 0 : osp_hash(&t->px->seed, osp_slice_tail(osp_wr_slice(&w), start));
}

bool
px_interest_of(struct px_turn *t, const struct osp_msg *req, const struct osp_cache_key *key, struct px_interest *out)
{
    if (!make_id(t, req, key, &out->id))
        return false;
    out->hash = osp_hash(&t->px->seed, out->id);
    out->tags = tags_of(t, req);
    return true;
}

static bool
is_it(const struct px_subject *s, const struct px_interest *i, const struct px_exchange *x)
{
    return osp_slice_eq(s->id, i->id) && s->up->hop_ctx == x->hop_ctx && px_edhoc_hop(s->up) == px_edhoc_hop(x) &&
           s->up->vouched == x->vouched && (s->tags == i->tags || !s->in_blocks);
}

struct px_subject *
px_subject_next(struct osp_proxy *px, const struct px_interest *i, const struct px_exchange *x, struct px_subject *after)
{
    struct osp_node *n = after ? osp_table_next(&after->node) : osp_table_first(&px->subjects, i->hash);

    while (n && !is_it(OSP_CONTAINER(n, struct px_subject, node), i, x))
        n = osp_table_next(n);
    return n ? OSP_CONTAINER(n, struct px_subject, node) : NULL;
}

/* ---- beginning and end ---- */

void
px_subject_free(struct osp_proxy *px, struct px_subject *s)
{
    if (s->up)
        px_exchange_end(px, s->up);
    if (!s->ended)
        osp_table_remove(&px->subjects, &s->node);
    osp_timer_stop(&px->renewals, &s->timer);
    osp_list_remove(&s->run);
    osp_stored_release(&s->newest, &px->pool);
    osp_pool_put(&px->pool, (uint8_t *)(uintptr_t)s->id.p, s->id.n);
    osp_pool_put(&px->pool, s, sizeof(*s));
}

static void
attach(struct px_subject *s, struct px_observation *o)
{
    o->subject = s;
    osp_list_push(&s->fans, &o->fan);
}

struct px_subject *
px_subject_new(struct px_turn *t, const struct px_exchange *x, const struct osp_msg *req, const struct osp_cache_key *key,
               const struct px_interest *i)
{
    struct osp_proxy   *px = t->px;
    struct px_subject  *s = osp_pool_get(&px->pool, sizeof(*s));
    struct px_exchange *up = px_exchange_branch(px, x, &px_registration_kind);
    uint8_t            *block = osp_pool_get(&px->pool, i->id.n);

    if (!s || !up || !block || !px_save(px, up, req) || !px_key_keep(px, up, key)) {
        osp_pool_put(&px->pool, s, sizeof(*s));
        osp_pool_put(&px->pool, block, i->id.n);
        if (up)
            px_exchange_end(px, up);
        return NULL;
    }
    (void)osp_slice_copy(i->id, block, i->id.n);
    *s = (struct px_subject){ .up = up, .id = osp_slice(block, i->id.n), .asking = true, .asked_us = t->now.us,
                              .tags = i->tags, .in_blocks = true };
    osp_list_init(&s->run);
    osp_list_init(&s->fans);
    osp_list_init(&s->late);
    osp_timer_init(&s->timer, 0);
    osp_table_add(&px->subjects, &s->node, i->hash);
    up->subject = s;
    up->cached.keep_answer = true;
    attach(s, x->obs);
    return s;
}

/* There is something to do for it. */
static void
make_run(struct osp_proxy *px, struct px_subject *s)
{
    if (osp_list_empty(&s->run))
        osp_list_push(&px->running, &s->run);
}

static void
everybody_is_late(struct osp_proxy *px, struct px_subject *s)
{
    osp_list_splice(&s->late, &s->fans);        /* behind those who miss an older one already */
    make_run(px, s);
}

static void
end_upstream(struct px_turn *t, struct px_subject *s)
{
    s->ended = true;
    osp_table_remove(&t->px->subjects, &s->node);
    osp_timer_stop(&t->px->renewals, &s->timer);
    px_exchange_end(t->px, s->up);
}

void
px_subject_left(struct osp_proxy *px, struct px_observation *o)
{
    struct px_subject *s = o->subject;

    osp_list_remove(&o->fan);
    o->subject = NULL;
    if (osp_list_empty(&s->fans) && osp_list_empty(&s->late))
        make_run(px, s);        /* not here: somebody may be about to join, and this may be its own turn */
}

void
px_subjects_free(struct osp_proxy *px)
{
    struct osp_list *n;

    while (px->running.next && (n = osp_list_first(&px->running)) != NULL)
        px_subject_free(px, OSP_CONTAINER(n, struct px_subject, run));
}

/* ---- to the observers ---- */

static uint64_t
age_us(const struct px_subject *s, struct osp_time now)
{
    return now.us - s->order.last_us;
}

bool
px_subject_is_fresh(const struct px_subject *s, struct osp_time now)
{
    return osp_stored_has(&s->newest) && age_us(s, now) < OSP_SEC(s->max_age);
}

/* The newest as it is to be sent now. */
bool
px_subject_compose(struct px_turn *t, const struct px_subject *s, struct osp_msg *out)
{
    uint32_t age = (uint32_t)(age_us(s, t->now) / OSP_SEC(1));
    uint8_t *value = osp_wr_reserve(&t->scratch, 4);

    if (!value || !osp_stored_get(&s->newest, out))
        return false;
    if (age > 0) {              /* [rfc7641#5] */
        osp_msg_remove(out, OSP_OPT_MAX_AGE);
        if (osp_msg_add(out, OSP_OPT_MAX_AGE, osp_opt_uint_make(s->max_age > age ? s->max_age - age : 0, value)) != OSP_OK)
            return false;
    }
    value = osp_wr_reserve(&t->scratch, 4);
    return s->ended || (value && osp_msg_add(out, OSP_OPT_OBSERVE, osp_opt_uint_make(s->version & 0xffffff, value)) == OSP_OK);
}

struct px_observation *
px_subject_next_late(const struct px_subject *s)
{
    struct osp_list *n = osp_list_first(&s->late);

    return n ? OSP_CONTAINER(n, struct px_observation, fan) : NULL;
}

void
px_subject_is_told(struct px_observation *o)
{
    osp_list_remove(&o->fan);
    osp_list_push(&o->subject->fans, &o->fan);
}

/* ---- from upstream ---- */

static void
arm(struct osp_proxy *px, struct px_subject *s, struct osp_time now)
{
    uint64_t age = OSP_SEC(s->max_age > MAX_AGE_LEAST ? s->max_age : MAX_AGE_LEAST);
    uint64_t wait = osp_randbuf_between(&px->rand, WAIT_LEAST_US, WAIT_MOST_US);

    osp_timer_set(&px->renewals, &s->timer, osp_time_after(now, age + wait));
}

bool
px_subject_ignores(const struct px_turn *t, const struct px_subject *s)
{
    return s->order.any && !(s->asking && t->came.is_answer);
}

/*
 * False: it is older than what is there [rfc7641#3.4].  Under a layer of ours Partial IVs have seen to the order.  The
 * answer to a registration is news whatever it says, if nothing else came since: the origin may have begun to count anew.
 */
static bool
is_newer(struct px_turn *t, struct px_subject *s, const struct osp_msg *resp)
{
    struct px_order o = s->order;

    if (px_is_in_order(t->px, s->up) || (t->came.is_answer && o.last_us <= s->asked_us))
        o.any = false;
    if (!px_order_take(&o, resp, t->now))
        return false;
    s->order = o;
    return true;
}

/* How long the representation with this Max-Age (NULL: none) is given to those who join, and when it is asked for again. */
static uint32_t
max_age_of(const struct px_subject *s, const struct osp_opt *age)
{
    uint32_t most = s->up->policy->max_age, v;

    if (!age || !osp_opt_uint(age->val, &v))
        v = OSP_MAX_AGE_DEFAULT_S;
    return most && most < v ? most : v;
}

struct px_subject *
px_subject_due(struct osp_proxy *px, struct osp_time now)
{
    struct osp_timer *due = osp_wheel_pop(&px->renewals, now);

    return due ? OSP_CONTAINER(due, struct px_subject, timer) : NULL;
}

void
px_subject_look_again(struct osp_proxy *px, struct px_subject *s, struct osp_time when)
{
    osp_timer_set(&px->renewals, &s->timer, when);
}

bool
px_subject_renew(struct px_turn *t, struct px_subject *s)
{
    struct px_exchange *up = s->up;

    arm(t->px, s, t->now);
    if (s->asking || up->state != PX_RUNNING || !px_restore(up, &t->px->a))
        return false;
    osp_msg_remove(&t->px->a, OSP_OPT_ECHO);
    s->asking = true;
    s->asked_us = t->now.us;
    up->echo_tried = false;
    up->deadline = osp_time_after(t->now, up->policy->response_timeout_us);
    t->px->stats.renewed++;
    return true;
}

bool
px_subject_outlives(struct px_subject *s, enum osp_err why)
{
    if (why != OSP_E_TIMEOUT || !s->order.any || s->order.last_us <= s->asked_us)
        return false;
    s->asking = false;          /* there was news, only the registration found no answer: with a new Token */
    return true;
}

void
px_subject_end(struct px_turn *t, struct px_subject *s, enum osp_err why)
{
    s->why = why;
    end_upstream(t, s);
    everybody_is_late(t->px, s);
}

static bool
goes_on(const struct osp_msg *resp)
{
    return osp_msg_has(resp, OSP_OPT_OBSERVE) && OSP_CODE_CLASS(resp->code) == 2;
}

bool
px_subject_is_news(struct px_turn *t, struct px_subject *s, const struct osp_msg *resp)
{
    return !goes_on(resp) || is_newer(t, s, resp);
}

struct px_news
px_subject_news(const struct px_turn *t, const struct px_subject *s, struct osp_msg *resp)
{
    struct px_news news = { .max_age = max_age_of(s, osp_msg_get(resp, OSP_OPT_MAX_AGE)), .con = t->came.confirmable,
                            .goes_on = goes_on(resp) };

    osp_msg_remove(resp, OSP_OPT_OBSERVE);
    return news;
}

enum osp_err
px_subject_take(struct px_turn *t, struct px_subject *s, const struct osp_msg *resp, const struct px_news *news)
{
    if (!osp_stored_keep(&s->newest, &t->px->pool, resp))
        return OSP_E_NOMEM;
    s->order.last_us = t->now.us;
    s->max_age = news->max_age;
    s->con = news->con;
    s->in_blocks = osp_msg_has(resp, OSP_OPT_BLOCK2);
    s->asking = false;
    s->version++;
    if (news->goes_on)
        arm(t->px, s, t->now);
    else
        end_upstream(t, s);
    everybody_is_late(t->px, s);
    return OSP_OK;
}

/* ---- joining ---- */

void
px_subject_join(struct px_turn *t, struct px_subject *s, const struct px_exchange *x)
{
    t->px->stats.merged++;
    attach(s, x->obs);
}
