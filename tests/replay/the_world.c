/* SPDX-License-Identifier: BSD-2-Clause */
#include "the_world.h"

struct world w;
uint16_t     next_mid;
