/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the program osprey, and how it ends. */
#ifndef OSP_DAEMON_OSPREY_OSPREY_H
#define OSP_DAEMON_OSPREY_OSPREY_H

enum osprey_exit {
    OSPREY_EXIT_OK = 0,             /* 2.xx, verified under every layer */
    OSPREY_EXIT_USAGE = 1,          /* arguments, keys, state, output file */
    OSPREY_EXIT_NO_ANSWER = 2,      /* timeout, Reset, unreachable, unusable answer */
    OSPREY_EXIT_PROTECTION = 3,     /* an answer that does not verify */
    OSPREY_EXIT_CLIENT_ERROR = 4,   /* 4.xx */
    OSPREY_EXIT_SERVER_ERROR = 5,   /* 5.xx */
};

int osprey_client_main(int argc, char **argv);
int osprey_origin_main(int argc, char **argv);
int osprey_keygen_main(int argc, char **argv);
int osprey_trust_main(int argc, char **argv);

#endif
