/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Test vectors: the JSON files of tests/vectors, read with jansson.
 * Every function ends the test program with a message when the file lacks what is asked for.
 */
#ifndef OSP_TESTS_VEC_H
#define OSP_TESTS_VEC_H

#include <jansson.h>

#include "base/bytes.h"

/* The file tests/vectors/<name>, parsed; json_decref() it.  Tests run from the top of the tree. */
json_t *vec_load(const char *name);

/* String member `key` of `obj`. */
const char *vec_str(const json_t *obj, const char *key);

/* Hex member `key` decoded into `buf`; empty slice for "" and for null or an absent member. */
struct osp_slice vec_hex(const json_t *obj, const char *key, uint8_t *buf, size_t cap);

/* "2.05" -> 0x45 */
uint8_t vec_code(const char *text);

#endif
