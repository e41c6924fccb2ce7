/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much of HTTP/1.1 as a status page needs [rfc9112#3]: one request without a body, one response, then the end.
 */
#ifndef OSP_DAEMON_OSPREYD_CONTROL_HTTP_H
#define OSP_DAEMON_OSPREYD_CONTROL_HTTP_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

struct osp_http_request {
    struct osp_slice path;      /* without query; "/" at least */
    struct osp_slice host;      /* of the Host field or of an absolute target, without its port; {NULL, 0}: there is none */
    bool             head;      /* HEAD: the answer has no body */
};

/* True once `text` has the empty line behind the last field. */
bool osp_http_is_complete(struct osp_slice text);

/* Reads a complete request; borrows from `text`.  The status code of the refusal, or 0: *out is there. */
unsigned osp_http_read(struct osp_slice text, struct osp_http_request *out);

/*
 * True for an IP address, "localhost", or one of `names`: a page that is asked for under any other name is asked for by a
 * script of a web site whose name was made to lead here (DNS rebinding).
 */
bool osp_http_host_is_ours(struct osp_slice host, char *const *names, size_t count);

/* The head of a response with `n` bytes of body. `more`: further fields, each with its line end. */
void osp_http_head(FILE *to, unsigned status, const char *type, const char *more, size_t n);

#endif
