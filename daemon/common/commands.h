/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of the control socket, one row each: the daemon reads who may give a command, ospreyctl which there are, how
 * many arguments they take and what its help says, and a unit test compares docs/man/ospreyctl.8 with the rows.
 *
 * A new command is a row here and a function do_<id>() in daemon/ospreyd/control/control.c.
 */
#ifndef OSP_DAEMON_COMMON_COMMANDS_H
#define OSP_DAEMON_COMMON_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

/* Who may give a command, of those who may connect to the socket (mode 0660). */
enum osp_command_who {
    OSP_COMMAND_ALL,            /* everybody: it changes nothing */
    OSP_COMMAND_OWNER,          /* root and the daemon's own user */
    OSP_COMMAND_OWNER_SETS,     /* everybody without an argument, to see; root and the daemon's own user with one, to set */
};

/* id, name, its argument as help shows it ("": none; in brackets: it may be left out), who may give it, help */
#define OSP_COMMANDS(X)                                                                                        \
    X(ping, "ping", "", ALL, "is it there")                                                                    \
    X(status, "status", "", ALL, "what it is doing")                                                           \
    X(metrics, "metrics", "", ALL, "every counter, in the Prometheus text form")                               \
    X(contexts, "contexts", "[PATTERN]", ALL, "security contexts: IDs, sequence numbers, replay window")       \
    X(revoke, "revoke", "PATTERN", OWNER, "end contexts that EDHOC made, by credential or peer")               \
    X(log_level, "log-level", "[LEVEL]", OWNER_SETS, "show or set: error, warning, info, debug")               \
    X(cache, "cache", "", ALL, "the response cache: entries, memory, hits")                                    \
    X(purge, "purge", "PATTERN", OWNER, "remove cached responses: coap://host/path, with * and ?")             \
    X(reload, "reload", "", OWNER, "take the changed configuration over")                                      \
    X(stop, "stop", "", OWNER, "stop cleanly")

struct osp_command {
    const char          *name, *argument, *help;
    enum osp_command_who who;
};

#define OSP_COMMAND_INDEX(id, name, argument, who, help) OSP_COMMAND_##id,
enum osp_command_id { OSP_COMMANDS(OSP_COMMAND_INDEX) OSP_COMMAND_COUNT };
#undef OSP_COMMAND_INDEX

/* The rows, by enum osp_command_id. */
extern const struct osp_command osp_commands[OSP_COMMAND_COUNT];

/* The row of the command `name`; NULL: there is no such command. */
const struct osp_command *osp_command_find(const char *name);

/* True if the command can be given with so many arguments; one that is missing is told by the daemon, which knows what for. */
bool osp_command_takes(const struct osp_command *c, size_t arguments);

/* True if only root and the daemon's own user may give the command, with an argument or without one. */
bool osp_command_is_restricted(const struct osp_command *c, bool has_argument);

#endif
