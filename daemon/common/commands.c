/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/common/commands.h"

#include <string.h>

#define ROW(id, name, argument, who, help) { name, argument, help, OSP_COMMAND_##who },

const struct osp_command osp_commands[OSP_COMMAND_COUNT] = { OSP_COMMANDS(ROW) };

const struct osp_command *
osp_command_find(const char *name)
{
    for (size_t i = 0; i < OSP_COMMAND_COUNT; i++) {
        if (strcmp(osp_commands[i].name, name) == 0)
            return &osp_commands[i];
    }
    return NULL;
}

bool
osp_command_takes(const struct osp_command *c, size_t arguments)
{
    return arguments == 0 || (arguments == 1 && *c->argument != '\0');
}

bool
osp_command_is_restricted(const struct osp_command *c, bool has_argument)
{
    return c->who == OSP_COMMAND_OWNER || (c->who == OSP_COMMAND_OWNER_SETS && has_argument);
}
