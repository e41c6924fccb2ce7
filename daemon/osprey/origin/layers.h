/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The OSCORE layers of an origin server: all of its own come off a request, the same go onto the
 * response in reverse [ocp#2.4] [ocp#2.5].  The innermost may be one of Group OSCORE, above all a deterministic
 * request [cacheable#3.4.3].  No sockets, no files.
 */
#ifndef OSP_DAEMON_OSPREY_ORIGIN_LAYERS_H
#define OSP_DAEMON_OSPREY_ORIGIN_LAYERS_H

#include "daemon/osprey/layers.h"
#include "oscore/configured.h"
#include "oscore/runtime.h"

/*
 * Processes EDHOC message_3 in request `m` with an EDHOC option, whose OSCORE option names `kid` [rfc9668#3.3.1]: then the
 * context of that name is in `runtime`, and `m` has become an ordinary protected request.  Otherwise it makes *reply.
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

/* The layers that came off one request, outermost first. */
struct osprey_served {
    struct osp_layer layers[OSPREY_LAYERS_MAX];
    size_t           count;
    struct osp_group_layer group;   /* inside all of them; its `group` is NULL when there is none */
    bool             challenge;     /* the last one is answered with an Echo challenge */
    enum osp_err     err;           /* why the request is answered without asking a resource */
};

/* OSP_E_NOMEM. */
OSP_CHECKED enum osp_err osprey_server_init(struct osprey_server *s);
void osprey_server_fini(struct osprey_server *s);

/*
 * Takes the layers off `in`.  True: *req is what a resource is asked, valid until the next call.
 * False: *reply answers it (an error, or a challenge); sv->err says why.
 * Either way osprey_serve_seal() puts the layers on the answer and osprey_served_fini() drops them.
 */
bool osprey_serve_open(struct osprey_server *s, struct osp_msg *in, struct osprey_served *sv, const struct osp_msg **req,
                       struct osp_msg *reply);

/*
 * Puts the layers on `resp`; *out borrows from `s` and `resp` until the next call. As osp_oscore_protect_response() and
 * osp_group_protect_response().
 */
OSP_CHECKED enum osp_err osprey_serve_seal(struct osprey_server *s, struct osprey_served *sv, const struct osp_msg *resp,
                                           const struct osp_msg **out);

void osprey_served_fini(struct osprey_served *sv);

#endif
