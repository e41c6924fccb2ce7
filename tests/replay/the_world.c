/* SPDX-License-Identifier: BSD-2-Clause */
#include "the_world.h"

struct world w;
uint16_t     next_mid;

int
the_world_end(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}
