/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Location of a response: on its way through a route it becomes what the client has to ask for, which is the inverse of
 * what px_translate_reverse() did to the path of the request.  A place that the client could not reach through the route, or
 * that has dot segments, is not told: the response goes on without it, since what it reports has happened.
 */
#include "proxy/steps.h"

static size_t
segments_of(const struct osp_msg *resp, struct osp_slice *out)
{
    size_t n = 0;

    for (size_t i = 0; i < resp->opt_count; i++)
        if (resp->opts[i].num == OSP_OPT_LOCATION_PATH)
            out[n++] = resp->opts[i].val;
    return n;
}

/*
 * The client's form of the origin's path `at`: the segments of the route that were taken off, then what follows the path of
 * the upstream.  False: there is none, or the route would not take it.
 */
static bool
through_route(const struct osp_route *r, const struct osp_slice *at, size_t n, struct osp_slice *out, size_t *count)
{
    size_t front = r->strip < r->path_count ? r->strip : r->path_count;

    if (n < r->prefix_count || front + n - r->prefix_count > OSP_MSG_OPTS_MAX)
        return false;
    for (size_t i = 0; i < r->prefix_count; i++)
        if (!osp_slice_eq(at[i], r->prefix[i]))
            return false;
    *count = 0;
    for (size_t i = 0; i < front; i++)
        out[(*count)++] = r->path[i];
    for (size_t i = r->prefix_count; i < n; i++)
        out[(*count)++] = at[i];
    if (r->has_path && (*count < r->path_count || (r->exact && *count > r->path_count)))
        return false;
    for (size_t i = front; r->has_path && i < r->path_count; i++)
        if (!osp_slice_eq(out[i], r->path[i]))
            return false;
    return true;
}

static void
forget(struct px_turn *t, struct osp_msg *resp)
{
    osp_msg_remove(resp, OSP_OPT_LOCATION_PATH);
    osp_msg_remove(resp, OSP_OPT_LOCATION_QUERY);
    t->px->stats.locations_dropped++;
}

/* [rfc7252#5.10.7] [rfc7252#5.7.3] */
enum osp_err
px_location_back(struct px_turn *t, const struct osp_route *r, struct osp_msg *resp)
{
    struct osp_slice at[OSP_MSG_OPTS_MAX], out[OSP_MSG_OPTS_MAX];
    size_t           count = 0, n;
    enum osp_err     e = OSP_OK;

    if (!osp_msg_has(resp, OSP_OPT_LOCATION_PATH))
        return OSP_OK;
    if (osp_path_has_dots(resp, OSP_OPT_LOCATION_PATH)) {
        forget(t, resp);
        return OSP_OK;
    }
    if (!r)
        return OSP_OK;
    n = segments_of(resp, at);
    if (!through_route(r, at, n, out, &count)) {
        forget(t, resp);
        return OSP_OK;
    }
    if (!r->strip && !r->prefix_count)
        return OSP_OK;
    osp_msg_remove(resp, OSP_OPT_LOCATION_PATH);
    for (size_t i = 0; i < count && e == OSP_OK; i++)
        e = osp_msg_add(resp, OSP_OPT_LOCATION_PATH, out[i]);
    return e;
}
