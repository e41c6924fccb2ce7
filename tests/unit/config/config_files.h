/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the configuration share: texts that are loaded, what was reported of them, and a directory for files. */
#ifndef OSP_TESTS_CONFIG_FILES_H
#define OSP_TESTS_CONFIG_FILES_H

#include "tests/unit/unit.h"

#include <string.h>
#include <sys/stat.h>

#include "config/schema.h"

#define SAMPLES "config/samples"
#define SECRET "0102030405060708090a0b0c0d0e0f10"

/* ---- what was reported ---- */

extern char   said[65536];
extern size_t said_n;

/* A report to collect in `said`, which is empty now. */
struct cfg_report report(void);

/* The configuration of this text; NULL: it was refused, and `said` says why. */
struct osp_cfg *load_text(const char *text);

/* ---- files ---- */

extern char config_dir[128];

/* The path of `name` in the test's directory, good for the next 3 calls. */
const char *in_dir(const char *name);

/* Writes a file into the test's directory. */
void write_file(const char *name, mode_t mode, const void *content, size_t n);

/* Writes a string as a file into the test's directory. */
void write_text(const char *name, mode_t mode, const char *text);

/* The content of a file, good for the next call. */
struct osp_slice read_file(const char *path);

/* Set-up of a test with files: an empty directory with keys, contexts.d and edhoc in it. */
int make_dir(void **state);

/* Tear-down of a test with files. */
int remove_dir(void **state);

/* Loads a file of the test's directory. */
struct osp_cfg *load_file(const char *name);

/* The dump; the caller frees it. */
char *dump(const struct osp_cfg *cfg, bool secrets);

/* ---- good ones ---- */

#define LISTEN "listen: [ \"coap://[::]:5683\" ]\n"
#define STATE "state: /var/lib/osprey\n"
#define CONTEXT(name, secret, ours, theirs)                                                                                  \
    "  - name: " name "\n    master-secret: { hex: " secret " }\n    sender-id: { hex: \"" ours "\" }\n    recipient-id: { " \
    "hex: \"" theirs "\" }\n"

#endif
