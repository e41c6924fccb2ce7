/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ospreyctl: asks a running ospreyd, over its control socket.
 *
 * Exit status: 0 done, 1 the daemon refused, 2 wrong usage, 3 no daemon answers.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/config.h"
#include "crypto/crypto.h"
#include "daemon/common/commands.h"

#define DEFAULT_SOCKET "/run/osprey/control.sock"
#define ANSWER_SECONDS 60
#define REFUSED 1
#define USAGE 2
#define NOBODY 3

static void
usage_line(FILE *to, const char *name, const char *argument, const char *help)
{
    char what[32];

    (void)snprintf(what, sizeof(what), "%s%s%s", name, *argument ? " " : "", argument);
    (void)fprintf(to, "  %-21s %s\n", what, help);
}

static void
usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: ospreyctl [-s SOCKET | -c FILE] COMMAND\n"
                  "  -s, --socket SOCKET   the daemon's control socket (" DEFAULT_SOCKET ")\n"
                  "  -c, --config FILE     ... or the configuration that names it\n");
    for (size_t i = 0; i < OSP_COMMAND_COUNT; i++)
        usage_line(to, osp_commands[i].name, osp_commands[i].argument, osp_commands[i].help);
    usage_line(to, "context import", "FILE", "print a libcoap -E file as `contexts:`, with its secrets; needs no daemon");
}

static int
connect_to(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct timeval     patience = { .tv_sec = ANSWER_SECONDS };
    int                fd;

    if (strlen(path) >= sizeof(sa.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
        connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* Reads to the end of the stream; the caller frees the text.  NULL: errno says why. */
static char *
read_all(int fd)
{
    char  *text = NULL, part[4096];
    size_t size = 0;
    FILE  *to = open_memstream(&text, &size);
    ssize_t n = 0;

    if (!to)
        return NULL;
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        (void)fwrite(part, 1, (size_t)n, to);
    if (fclose(to) != 0 || n == -1) {
        free(text);
        return NULL;
    }
    return text;
}

static int
show(const char *answer)
{
    if (strncmp(answer, "ok\n", 3) == 0) {
        (void)fputs(answer + 3, stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : REFUSED;
    }
    if (strncmp(answer, "error: ", 7) == 0)
        answer += 7;
    (void)fprintf(stderr, "ospreyctl: %s", *answer ? answer : "the daemon closed the connection\n");
    return REFUSED;
}

static int
ask(const char *path, const char *command, const char *arg)
{
    char    line[512];
    char   *answer;
    int     fd = connect_to(path), n, status;

    if (fd == -1) {
        (void)fprintf(stderr, "ospreyctl: %s: %s\n", path, strerror(errno));
        return NOBODY;
    }
    n = snprintf(line, sizeof(line), "%s%s%s\n", command, arg ? " " : "", arg ? arg : "");
    if (n < 0 || (size_t)n >= sizeof(line) || (arg && strchr(arg, '\n'))) {
        (void)close(fd);
        usage(stderr);
        return USAGE;
    }
    answer = send(fd, line, (size_t)n, MSG_NOSIGNAL) == n ? read_all(fd) : NULL;
    (void)close(fd);
    if (!answer) {
        (void)fprintf(stderr, "ospreyctl: %s: %s\n", path, strerror(errno));
        return NOBODY;
    }
    status = show(answer);
    free(answer);
    return status;
}

/* The control socket that a configuration names.  The file may have errors, since the command may be the one that tells them.
   NULL: it names no socket, which was said on standard error. */
static char *
socket_of(const char *file)
{
    struct cfg_report report;

    cfg_report_to(&report, stderr);
    return cfg_load_control(file, &report);
}

static void
print_hex(const char *key, const struct cfg_bytes *b)
{
    (void)printf("    %s: { hex: \"", key);
    for (size_t i = 0; i < b->n; i++)
        (void)printf("%02x", b->p[i]);
    (void)printf("\" }\n");
}

static int
import(const char *file)
{
    struct cfg_report   report;
    size_t              count = 0;
    struct cfg_context *c;

    cfg_report_to(&report, stderr);
    c = cfg_load_contexts(file, &count, &report);
    if (!c)
        return REFUSED;
    (void)printf("contexts:\n");
    for (size_t i = 0; i < count; i++) {
        const struct osp_aead_info *aead = osp_aead_info(c[i].aead);

        (void)printf("  - name: \"%s\"\n", c[i].name ? c[i].name : "imported");
        print_hex("master-secret", &c[i].master_secret.value);
        if (c[i].master_salt.value.n)
            print_hex("master-salt", &c[i].master_salt.value);
        print_hex("sender-id", &c[i].sender_id);
        print_hex("recipient-id", &c[i].recipient_id);
        if (c[i].has_id_context)
            print_hex("id-context", &c[i].id_context);
        (void)printf("    aead: %s\n    hkdf: %s\n", aead ? aead->name : "", osp_hkdf_name(c[i].hkdf));
    }
    cfg_contexts_free(c, count);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : REFUSED;
}

static int
run(int argc, char **argv, const char *path)
{
    const struct osp_command *c = argc > 0 ? osp_command_find(argv[0]) : NULL;

    if (argc == 3 && strcmp(argv[0], "context") == 0 && strcmp(argv[1], "import") == 0)
        return import(argv[2]);
    if (c && osp_command_takes(c, (size_t)argc - 1))
        return ask(path, argv[0], argc > 1 ? argv[1] : NULL);
    usage(stderr);
    return USAGE;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "socket", required_argument, NULL, 's' }, { "config", required_argument, NULL, 'c' },
        { "version", no_argument, NULL, 'V' },      { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *path = DEFAULT_SOCKET;
    char       *named = NULL;
    int         c, status;

    while ((c = getopt_long(argc, argv, "+s:c:h", options, NULL)) != -1) {
        switch (c) {
        case 's': path = optarg; break;
        case 'c':
            free(named);
            named = socket_of(optarg);
            if (!named)
                return USAGE;
            path = named;
            break;
        case 'V': (void)printf("ospreyctl %s\n", OSP_VERSION); return EXIT_SUCCESS;
        case 'h': usage(stdout); return EXIT_SUCCESS;
        default: usage(stderr); return USAGE;
        }
    }
    status = run(argc - optind, argv + optind, path);
    free(named);
    return status;
}
