/* SPDX-License-Identifier: BSD-2-Clause */
/* The one world of a test program, where the program and its helper work on it together. */
#ifndef OSP_TESTS_THE_WORLD_H
#define OSP_TESTS_THE_WORLD_H

#include "world.h"

extern struct world w;
extern uint16_t     next_mid;       /* the last Message ID that the test gave to a message */

/* The end of a test that has nothing but the world: world_end(). */
int the_world_end(void **state);

#endif
