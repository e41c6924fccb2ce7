/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ospreyd: the daemon's command line.
 *
 * Exit status: 0 a clean stop, or a good configuration; 1 a bad configuration, a failed start or an
 * unclean stop; 2 wrong usage.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/config.h"
#include "daemon/common/secrets.h"
#include "daemon/ospreyd/daemon.h"
#include "daemon/ospreyd/log.h"
#include "daemon/ospreyd/state/state.h"

#define USAGE 2

struct args {
    const char *file;
    bool        check, dump, secrets, init, recover;
};

static void
usage(FILE *to)
{
    (void)fprintf(to, "usage: ospreyd -c FILE [--check | --dump [--secrets] | --init-state | --recover-state]\n"
                      "  -c, --config FILE  the configuration\n"
                      "      --check        judge it and exit: 0 good, 1 bad\n"
                      "      --dump         print what would be in force, defaults included, secrets masked\n"
                      "      --secrets      ... with secrets: loads back to the same\n"
                      "      --init-state     make the state directory and its mark, for keys that were never used, and exit\n"
                      "      --recover-state  make state that is lost, copied or older than it was usable again, and exit:\n"
                      "                       keys go on above all numbers that may be used up; nothing else may run with them\n"
                      "      --version, --help\n"
                      "Signals: TERM and INT stop cleanly (twice: at once), HUP reloads.\n");
}

/* Returns the exit status, or -1 to go on. */
static int
read_args(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
        { "dump", no_argument, NULL, 'd' },         { "secrets", no_argument, NULL, 's' },
        { "init-state", no_argument, NULL, 'i' },   { "recover-state", no_argument, NULL, 'r' },
        { "version", no_argument, NULL, 'V' },      { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (c) {
        case 'c': a->file = optarg; break;
        case 'k': a->check = true; break;
        case 'd': a->dump = true; break;
        case 's': a->secrets = true; break;
        case 'i': a->init = true; break;
        case 'r': a->recover = true; break;
        case 'V': (void)printf("ospreyd %s\n", OSP_VERSION); return EXIT_SUCCESS;
        case 'h': usage(stdout); return EXIT_SUCCESS;
        default: usage(stderr); return USAGE;
        }
    }
    if (!a->file || optind != argc || a->check + a->dump + a->init + a->recover > 1 || (a->secrets && !a->dump)) {
        usage(stderr);
        return USAGE;
    }
    return -1;
}

static int
run(struct osp_cfg *cfg)
{
    struct osp_daemon *d = NULL;
    char               why[OSP_STORE_WHY_MAX];
    bool               clean;

    if (osp_daemon_start(cfg, &d, why) != OSP_OK) {
        log_error("not-started", "reason=%s", why);
        return EXIT_FAILURE;
    }
    clean = osp_daemon_run(d);
    osp_daemon_free(d);
    return clean ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The commands that make state. */
static int
change_state(const struct args *a, struct osp_cfg *cfg)
{
    char         why[OSP_STORE_WHY_MAX];
    enum osp_err e = a->init ? osp_state_init(cfg, stdout, why) : osp_state_recover(cfg, stdout, why);

    if (e != OSP_OK)
        (void)fprintf(stderr, "%s: %s\n", a->file, why);
    cfg_free(cfg);
    return e == OSP_OK && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
    struct args       args = { 0 };
    struct cfg_report report;
    struct osp_cfg   *cfg;
    char              why[OSP_STORE_WHY_MAX];
    int               status = read_args(argc, argv, &args);

    if (status != -1)
        return status;
    osp_secrets_hide();
    (void)umask(0077);
    cfg_report_to(&report, stderr);
    cfg = cfg_load(args.file, &report);
    if (!cfg)
        return EXIT_FAILURE;
    if (args.dump) {
        cfg_dump(cfg, args.secrets, stdout);
        cfg_free(cfg);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (args.init || args.recover)
        return change_state(&args, cfg);
    if (!args.check)
        return run(cfg);
    if (osp_daemon_check(cfg, why))
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "%s: %s\n", args.file, why);
    return EXIT_FAILURE;
}
