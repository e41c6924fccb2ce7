/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of HTTP/1.1 that a status page needs [rfc9112#3]: one request without a body, one response, then the end.
 */
#ifndef OSP_DAEMON_OSPREYD_CONTROL_HTTP_H
#define OSP_DAEMON_OSPREYD_CONTROL_HTTP_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

struct osp_http_request {
    struct osp_slice path;      /* without query; "/" at least */
    struct osp_slice host;      /* from the Host field or from an absolute target, without port; {NULL, 0}: neither */
    bool             head;      /* HEAD: the answer has no body */
};

/* True if `text` has the empty line that ends the fields. */
bool osp_http_is_complete(struct osp_slice text);

/* Reads a complete request; *out borrows from `text`.  Returns 0, or the status code to refuse it with; then *out is not
   written. */
unsigned osp_http_read(struct osp_slice text, struct osp_http_request *out);

/*
 * True for an IP address, "localhost", or one of `names`.  Under any other name it is probably the script of a web site that
 * asks, whose name was made to lead to this address (DNS rebinding).
 */
bool osp_http_host_is_ours(struct osp_slice host, char *const *names, size_t count);

/* Writes the head of a response with `n` bytes of body.  `more`: further fields, each with its line end. */
void osp_http_head(FILE *to, unsigned status, const char *type, const char *more, size_t n);

#endif
