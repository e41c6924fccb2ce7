/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of the client.
 */
#ifndef OSP_DAEMON_OSPREY_ARGS_H
#define OSP_DAEMON_OSPREY_ARGS_H

#include <stdbool.h>

#include "daemon/osprey/layers.h"
#include "edhoc/suite.h"

#define OSPREY_OPTS_MAX 32
#define OSPREY_SEGMENTS_MAX 16

struct osprey_via_arg {
    char       *uri;            /* owned */
    const char *context;        /* FILE[#NAME], borrowed from argv; NULL: no context from a file */
    bool        edhoc;          /* true: EDHOC makes the context */
    const char *peer;           /* with `edhoc`: the peer that is expected; NULL: not given */
};

struct osprey_args {
    uint8_t               method;
    const char           *uri;
    const char           *end_to_end;           /* FILE[#NAME] */
    bool                  end_to_end_edhoc;     /* true: EDHOC makes the end-to-end context */
    const char           *end_to_end_peer;      /* then the peer that is expected; NULL: not given */
    const char           *edhoc;                /* FILE[#NAME] of credentials */
    int                   edhoc_method;         /* -1: not given */
    struct osp_edhoc_suites suites;             /* count 0: not given */
    bool                  combined, message_4, fresh;
    const char           *deterministic;        /* FILE[#MEMBER] */
    struct osprey_via_arg via[OSPREY_VIA_MAX];
    size_t                via_count;
    bool                  reverse, proxy_uri;
    struct osp_slice      route_path[OSPREY_SEGMENTS_MAX];
    size_t                route_path_count;
    struct osp_opt        opts[OSPREY_OPTS_MAX];
    size_t                opt_count;
    struct osp_wr         values;               /* holds the values of opts */
    uint8_t               value_bytes[4096];
    const char           *data, *file, *output;
    const char           *state;
    unsigned              hop_limit;
    double                timeout_s;
    bool                  blocks, has_szx;      /* send bodies in blocks; the user gave a block size */
    uint8_t               szx;
    size_t                max_body;
    bool                  observe, has_grace;
    unsigned              observe_count;        /* notifications; 0: any number */
    double                duration_s;           /* 0: for ever */
    double                grace_s;
    bool                  non, json;
    unsigned              verbose;              /* 0, 1, 2 */
};

/*
 * Reads the command line.  Returns -1 if there is work to do.  Otherwise help, the version or an error was printed, and the
 * result is the exit status.
 */
int osprey_args_parse(struct osprey_args *a, int argc, char **argv);
void osprey_args_fini(struct osprey_args *a);

/* Read values of options that the client and the origin share.  They return NULL, or what is wrong. */
const char *osprey_args_seconds(const char *text, double least, double *out);
const char *osprey_args_block_size(const char *text, bool *blocks, uint8_t *szx);   /* with "none" *szx is not written */
const char *osprey_args_max_body(const char *text, size_t *out);

/* Adds "NUMBER,VALUE" or "NAME,VALUE"; NULL, or what is wrong. */
const char *osprey_args_add_option(struct osprey_args *a, const char *text);

/* Adds "URI", "URI,context=FILE[#NAME]" or "URI,edhoc[=PEER]"; NULL, or what is wrong. */
const char *osprey_args_add_via(struct osprey_args *a, const char *text);

#endif
