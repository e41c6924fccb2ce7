/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The OSCORE layers of an origin server: it removes all layers that are for it from a request, and protects the response with
 * these layers in reverse order [ocp#2.4] [ocp#2.5].  The innermost may be a layer of Group OSCORE, most likely a deterministic
 * request [cacheable#3.4.3].  No sockets, no files.
 */
#ifndef OSP_DAEMON_OSPREY_ORIGIN_LAYERS_H
#define OSP_DAEMON_OSPREY_ORIGIN_LAYERS_H

#include "daemon/osprey/layers.h"
#include "oscore/configured.h"
#include "oscore/runtime.h"

/*
 * Processes EDHOC message_3 in request `m`, which has an EDHOC option and an OSCORE option with `kid` [rfc9668#3.3.1].  True: the
 * context with that ID is in `runtime`, and `m` has become an ordinary protected request.  False: *reply says what is wrong.
 */
typedef enum osp_err (*osprey_combined)(void *ctx, struct osp_slice kid, struct osp_msg *m, struct osp_msg *reply);

struct osprey_server {
    struct osp_crypto                *crypto;
    const struct osp_octx_configured *contexts; /* NULL: none */
    struct osp_octx_runtime          *runtime;  /* made by EDHOC; NULL: none */
    osprey_combined                   combined; /* with `runtime` */
    void                             *combined_ctx;
    struct osp_group                 *group;    /* NULL: none */
    struct osp_randbuf               *rand;
    struct osp_wr                     plain, sealed;    /* private */
    struct osp_msg                    work[2];
    uint8_t                           echo[OSP_ECHO_LEN];
    uint8_t                          *memory;
};

/* The layers that were removed from one request, the outermost first. */
struct osprey_served {
    struct osp_layer layers[OSPREY_LAYERS_MAX];
    size_t           count;
    struct osp_group_layer group;   /* inside of all others; `group` in it NULL: no layer of a group */
    bool             challenge;     /* the last layer wants an Echo challenge as the answer */
    enum osp_err     err;           /* why the request is answered without a resource */
};

/* OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osprey_server_init(struct osprey_server *s);
void osprey_server_fini(struct osprey_server *s);

/*
 * Removes the layers from `in`.  True: *req is the request for a resource, valid until the next call.
 * False: *reply answers it (an error or a challenge); sv->err says why.
 * In both cases osprey_serve_seal() protects the answer, and osprey_served_fini() drops the layers.
 */
bool osprey_serve_open(struct osprey_server *s, struct osp_msg *in, struct osprey_served *sv, const struct osp_msg **req,
                       struct osp_msg *reply);

/*
 * Protects `resp` with the layers; *out borrows from `s` and `resp` until the next call.  Errors as osp_oscore_protect_response()
 * and osp_group_protect_response().
 */
OSP_CHECKED enum osp_err osprey_serve_seal(struct osprey_server *s, struct osprey_served *sv, const struct osp_msg *resp,
                                           const struct osp_msg **out);

void osprey_served_fini(struct osprey_served *sv);

#endif
