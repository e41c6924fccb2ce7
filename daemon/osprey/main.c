/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * osprey: a CoAP client that speaks nested OSCORE, a demo origin for it to talk to, and credentials for both.
 */
#include "daemon/osprey/osprey.h"

#include <signal.h>
#include <string.h>

#include "daemon/common/secrets.h"

int
main(int argc, char **argv)
{
    osp_secrets_hide();
    signal(SIGPIPE, SIG_IGN); /* a closed output is an error of the write, not the end of the process */
    if (argc > 1 && strcmp(argv[1], "origin") == 0)
        return osprey_origin_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "keygen") == 0)
        return osprey_keygen_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "trust") == 0)
        return osprey_trust_main(argc - 1, argv + 1);
    return osprey_client_main(argc, argv);
}
