/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: YAML file -> checked, frozen struct.
 *
 * Four passes: YAML to a tree (with position, depth and size limits), tree to structs by schema
 * tables, checks across items, freeze.  Every error of a file is reported in one run, each with
 * file, line, column, key, and what would be right.  All memory belongs to the struct.
 */
#ifndef OSP_CONFIG_CONFIG_H
#define OSP_CONFIG_CONFIG_H

#include <stdio.h>

#include "base/addr.h"
#include "msg/uri.h"
#include "msg/target.h"

struct cfg_pos { const char *file; unsigned line, column; };

struct cfg_bytes { uint8_t *p; size_t n; };

static inline struct osp_slice
cfg_slice(const struct cfg_bytes *b)
{
    return osp_slice(b->p, b->n);
}

/* Where a secret or ID came from, so that --dump can write it back. */
enum cfg_bytes_from { CFG_FROM_NONE, CFG_FROM_HEX, CFG_FROM_FILE, CFG_FROM_ENV };
struct cfg_secret { struct cfg_bytes value; enum cfg_bytes_from from; char *source; /* file or variable name */ };

struct cfg_listen { enum osp_scheme scheme; struct osp_ip ip; uint16_t port; struct cfg_pos pos; };

/* How much keys may be used: the default, no limit, or a number.  The default of a context is what the section `key-limits` says,
   whose own default is what the algorithm recommends. */
enum cfg_limit_kind { CFG_LIMIT_DEFAULT, CFG_LIMIT_OFF, CFG_LIMIT_SET };
enum cfg_at_limit { CFG_AT_LIMIT_DEFAULT, CFG_AT_LIMIT_WARN, CFG_AT_LIMIT_STOP };
struct cfg_key_limit { enum cfg_limit_kind kind; uint32_t n; };
struct cfg_key_limits { struct cfg_key_limit q, v, l; enum cfg_at_limit at_limit; };

enum cfg_rekey { CFG_REKEY_NONE, CFG_REKEY_B2 };

struct cfg_context {
    char             *name;
    struct cfg_secret master_secret, master_salt;
    struct cfg_bytes  sender_id, recipient_id, id_context;
    bool              has_id_context;
    int               aead, hkdf;
    bool              fresh;            /* keys never used before: the replay window may start empty */
    enum cfg_rekey    rekey;
    struct cfg_key_limits key_limits;
    struct cfg_pos    pos;
};

/* ---- EDHOC ---- */

enum cfg_cred_form { CFG_CRED_NONE, CFG_CRED_CCS, CFG_CRED_X509 };

/* The bytes of a credential: one CWT Claims Set, or certificates in DER with the end entity's first. */
#define CFG_CHAIN_MAX 4
struct cfg_cred {
    enum cfg_cred_form form;
    struct cfg_bytes   part[CFG_CHAIN_MAX];
    size_t             count;
};

/* How we refer to a credential of ours [rfc9528#3.5.3]. */
enum cfg_cred_id { CFG_ID_DEFAULT, CFG_ID_KID, CFG_ID_VALUE, CFG_ID_X5T, CFG_ID_X5CHAIN };

struct cfg_credential {
    char             *name;
    struct cfg_cred   cred;             /* not set for a trusted entry that has a `ca` */
    struct cfg_cred   ca;               /* trusted: certificates of authorities that vouch for others */
    struct cfg_secret private_key;      /* own: 32 bytes after reading */
    unsigned          id;               /* own: enum cfg_cred_id */
    struct cfg_bytes  id_cred, item;    /* ID_CRED_x and CRED_x as EDHOC messages carry them, made from the fields above */
    uint64_t          print;            /* trusted: fingerprint of what is trusted; it changes when the content of a name does */
    struct cfg_pos    pos;
};

struct cfg_credentials {
    struct cfg_credential *own;     size_t own_count;
    struct cfg_credential *trusted; size_t trusted_count;
};

enum cfg_unknown { CFG_UNKNOWN_REFUSE, CFG_UNKNOWN_ACCEPT };

#define CFG_SUITES_MAX 8
struct cfg_edhoc {
    char                  *file;        /* path of the file of credentials; NULL: EDHOC is off */
    struct cfg_credentials creds;
    uint8_t                methods;     /* bit i: method i */
    int                    suites[CFG_SUITES_MAX]; size_t suite_count;  /* most preferred first */
    bool                   message_4;
    unsigned               unknown;     /* enum cfg_unknown: what to do with a credential sent by value that nobody configured */
    size_t                 sessions, verify_above, contexts, contexts_per_peer;
    uint64_t               session_us, lifetime_us;     /* lifetime 0: no end */
};

/* The name that rules and lists use for credentials nobody configured. */
#define CFG_UNKNOWN_NAME "unknown"

/* True if there is a credential `name`. */
bool cfg_edhoc_knows(const struct cfg_edhoc *e, const char *name);
/* True if contexts of the credential `name` are still to be kept: the name is configured and its fingerprint is still `print`.
   For CFG_UNKNOWN_NAME `print` is 0. */
bool cfg_edhoc_trusts(const struct cfg_edhoc *e, const char *name, uint64_t print);
/* How many different names of trusted credentials the pattern fits (NULL: every name).  Exact for 0 and 1; otherwise at
   least 2. */
size_t cfg_edhoc_count(const struct cfg_edhoc *e, const char *pattern);
/* The trusted entry that has a `ca`, borrowed; NULL: no entry has one. */
const struct cfg_credential *cfg_edhoc_authority(const struct cfg_edhoc *e);

enum cfg_allow_kind { CFG_ALLOW_FORWARD, CFG_ALLOW_ROUTE };
struct cfg_allow { enum cfg_allow_kind kind; struct osp_target target; char *route; /* glob */ };

struct cfg_net { struct osp_ip ip; unsigned bits; };

struct cfg_client {
    bool              any;
    char            **contexts; size_t context_count;   /* globs */
    struct cfg_net   *nets;     size_t net_count;       /* match: { address: ... } */
    char            **credentials; size_t credential_count;     /* globs; match: { edhoc: { credential: ... } } */
    char            **subjects; size_t subject_count;   /* globs in lower case; match: { edhoc: { subject: ... } } */
    struct cfg_allow *allow;    size_t allow_count;
    uint32_t          rate, burst;                      /* 0: no limit */
    struct cfg_pos    pos;
};

/* A way to a next hop whose security context is established with EDHOC when it is needed. */
enum cfg_edhoc_mode { CFG_EDHOC_REQUIRE, CFG_EDHOC_PREFER };
struct cfg_hop_edhoc {
    bool           on;
    char          *credential;          /* glob for the credential that the other side has to prove; NULL: any trusted one */
    char          *subject;             /* names it may have, a glob in lower case; NULL: the host name of the next hop */
    unsigned       mode;                /* enum cfg_edhoc_mode */
    unsigned       method;
    bool           combined;            /* message_3 goes with the first request */
    struct cfg_pos pos;
};

/* An upstream URI with the context that protects the way to it. */
struct cfg_hop {
    bool           present;
    char          *uri;
    struct osp_uri parsed;
    uint8_t       *uri_storage;
    char          *context;             /* NULL: none */
    struct cfg_hop_edhoc edhoc;         /* instead of `context`; not `on`: no EDHOC on the way there */
    bool           nested;              /* the next hop accepts a layer of ours around another layer */
    unsigned       hop_limit;           /* next-hop only: the Hop-Limit for requests without one; 0: none is put in */
    struct cfg_pos pos;
};

struct cfg_route {
    char            *name;
    char            *host;              /* lower case, may begin with "*."; NULL: not looked at */
    uint16_t         port;              /* 0: not looked at */
    char           **path; size_t path_count; bool has_path, exact;     /* a trailing "*" segment: not exact */
    unsigned         strip;
    bool             pass;              /* `oscore: pass`: layers are not removed, requests are forwarded with them */
    bool             keep_host;
    bool             outer_host;        /* Uri-Host and Uri-Port outside of a layer for us choose the route as well */
    struct cfg_hop   upstream;
    struct cfg_pos   pos;
};

struct cfg_upstream { struct osp_target match; char *context; struct cfg_hop_edhoc edhoc; bool nested; struct cfg_pos pos; };
struct cfg_host { char *name; struct osp_ip ip; };

enum cfg_log_level { CFG_LOG_ERROR, CFG_LOG_WARNING, CFG_LOG_INFO, CFG_LOG_DEBUG };
enum cfg_log_format { CFG_LOG_TEXT, CFG_LOG_JSON };

/* Where a key stands that only a restart may change, for the messages of a reload. */
struct cfg_item;
struct cfg_place { const struct cfg_place *next; const struct cfg_item *item; struct cfg_pos pos; };

struct osp_cfg {
    char                *file;
    const struct cfg_place *places;                     /* of the keys in the file that only a restart may change */
    struct cfg_listen   *listen;    size_t listen_count;
    char                *state;                         /* directory, NULL: volatile */
    char                *state_mark;                    /* directory of its mark, NULL: beside it */
    struct cfg_context  *contexts;  size_t context_count;
    struct cfg_client   *clients;   size_t client_count;
    struct { bool enabled; struct cfg_hop next_hop; unsigned max_layers; unsigned hop_limit; } forward;
    struct cfg_route    *routes;    size_t route_count;
    struct cfg_upstream *upstreams; size_t upstream_count;
    struct cfg_host     *hosts;     size_t host_count;
    char               **names;     size_t name_count;  /* our own host names */
    char                *node_name;                     /* default: the host name, filled by the daemon when NULL */
    bool                 otp_compat;
    unsigned             workers;
    struct {
        size_t   max_datagram, max_body, bodies, bodies_per_peer;
        size_t   messages, exchanges, upstream_peers, names, memory, max_token, queued;
        unsigned amplification, nstart, upstream_ports;
        unsigned client_share, prefix_share, known_reserve;             /* percent */
        uint64_t response_timeout_us, early_ack_us, drain_us;
        size_t   receive_buffer;
    } limits;
    struct {
        size_t   size, max_entry;                       /* size 0: no cache */
        uint64_t max_age_us;
        bool     serve_stale, single_flight;
        unsigned request_hash;
    } cache;
    struct cfg_edhoc     edhoc;
    struct cfg_key_limits key_limits;                   /* of contexts that have none of their own */
    struct { unsigned block; } lease;                   /* sequence numbers leased at a time [rfc8613#B.1.1], K there */
    size_t               state_size;                    /* bytes preallocated for the store */
    char                *control;                       /* socket path, NULL: none */
    struct { bool enabled; struct osp_ip ip; uint16_t port; } status;
    struct { enum cfg_log_level level; enum cfg_log_format format; } log;
};

/* Where messages go, each by a call of `emit`; `text` says what is wrong and what would be right. */
struct cfg_report {
    void (*emit)(void *ctx, const struct cfg_pos *pos, const char *key, const char *text);
    void *ctx;
    size_t errors;
};

/* A report that prints "file:line:column: key: text" lines to `to`. */
void cfg_report_to(struct cfg_report *r, FILE *to);

/*
 * Loads and checks `path`.  NULL when there was any error; all of them went to `r`.
 * Relative file names in it are relative to the directory of the file they stand in.
 */
struct osp_cfg *cfg_load(const char *path, struct cfg_report *r);

/*
 * For a reload: `now` was loaded from the file again while `old` is in force.  Finds the keys that differ although only a
 * restart may change them.  `r` gets one message for each, with the place in the new file; errors of `r` are not counted.
 * `now` gets the values of `old` for these keys, so that it says what is in force and the next reload finds them again.
 * *count: how many keys wait for a restart.  False: out of memory; the caller frees `now` and goes on with `old`.
 */
bool cfg_keep_started(const struct osp_cfg *old, struct osp_cfg *now, struct cfg_report *r, size_t *count);

/* The path of the control socket that the file `path` names, even if the file has other errors; the caller frees it.
   NULL, reported to `r`: the file cannot be read as YAML, or it names no control socket. */
char *cfg_load_control(const char *path, struct cfg_report *r);

/* Loads one file of security contexts: our own form (a `contexts:` list, or one context's keys at the
   top level), or libcoap's -E form (key,type,value lines), told apart by content.  NULL: errors, all reported to `r`.
   The caller frees the result with cfg_contexts_free(). */
struct cfg_context *cfg_load_contexts(const char *path, size_t *count, struct cfg_report *r);
void cfg_contexts_free(struct cfg_context *c, size_t count);

/* Wipes the secrets and frees everything. NULL is fine. */
void cfg_free(struct osp_cfg *cfg);

/*
 * Prints what is in force, every default included, as YAML.  Secrets are masked unless `secrets`;
 * with them, loading the output and dumping it again gives an equal text.
 */
void cfg_dump(const struct osp_cfg *cfg, bool secrets, FILE *to);

#endif
