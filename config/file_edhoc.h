/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EDHOC.yaml: our own credentials and whom we trust [rfc9528#D].  Read and judged like the configuration: every error in
 * one run.  `osprey keygen` writes such files.
 *
 *   own:
 *     - name: proxy
 *       credential: { hex: a2.. }            # a CWT Claims Set, or a certificate
 *       private-key: { file: proxy.key }
 *   trusted:
 *     - name: meter-17
 *       credential: { file: meter-17.ccs }
 *     - name: plant
 *       ca: { file: plant-ca.pem }           # trusts everybody who has a certificate from it
 *
 * A file or hex digits may hold a CWT Claims Set in CBOR, or a certificate, or with { file } certificates in PEM.
 */
#ifndef OSP_CONFIG_FILE_EDHOC_H
#define OSP_CONFIG_FILE_EDHOC_H

#include "config/config.h"

/* Loads the file `path`.  NULL: it has errors, all of which went to `r`.  The caller frees the result. */
struct cfg_credentials *cfg_load_credentials(const char *path, struct cfg_report *r);

/* Wipes and frees everything.  NULL is fine. */
void cfg_credentials_free(struct cfg_credentials *c);

#endif
