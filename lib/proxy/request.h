/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the next hop, as the message layer takes them. */
#ifndef OSP_PROXY_REQUEST_H
#define OSP_PROXY_REQUEST_H

#include "proxy/impl.h"

uint64_t px_asks_for(const struct osp_proxy *px, const struct px_exchange *x);
enum osp_err px_request(struct px_turn *t, struct px_exchange *x, const struct osp_msg *req);

#endif
