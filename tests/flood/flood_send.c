/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends COUNT datagrams at RATE a second to a server on loopback, each from another address of a network of this machine:
 *   flood_send TARGET-IP PORT COUNT RATE NETWORK BITS
 * Datagrams are made from templates on standard input, one a line, in turn:  HEX [OFFSET:LENGTH]...  with ranges that get
 * random bytes in each copy.  Answers are read and counted, never answered.  Prints one JSON object.
 *
 * Targets outside of 127.0.0.0/8 are refused.
 */
#include "tests/bench/bench.h"
#include "tests/prng.h"

#define TEMPLATES_MAX 4096
#define RANGES_MAX 6
#define PORTS 16
#define LINE_MAX 8192
#define SECOND_NS 1000000000u

struct range { uint16_t at, len; };
struct template { uint8_t b[DATAGRAM_MAX]; size_t len, ranges; struct range r[RANGES_MAX]; };

/* One message with the control data that chooses its source address. */
union control { size_t aligned; uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))]; };

static struct template   *templates;
static size_t             template_count;
static struct bench_batch out, in;
static union control      controls[BATCH];
static uint32_t           network, host_mask;
static uint64_t           seed = 0x9e3779b97f4a7c15u;
static struct { uint64_t sent, bytes, answers, answer_bytes; } seen;

static void
refuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

/* ---- templates ---- */

static void
read_template(char *line)
{
    struct template *t = &templates[template_count];
    char            *save, *word = strtok_r(line, " \n", &save), *end;
    size_t           at, len;

    if (!word)
        return;
    if (!osp_hex_decode(osp_slice_str(word), t->b, sizeof(t->b), &t->len))
        refuse(word, "not hexadecimal, or too long");
    while ((word = strtok_r(NULL, " \n", &save)) != NULL) {
        at = strtoul(word, &end, 10);
        len = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
        if (t->ranges == RANGES_MAX || at + len > t->len || len == 0)
            refuse(word, "no OFFSET:LENGTH within the datagram, or one too many");
        t->r[t->ranges++] = (struct range){ (uint16_t)at, (uint16_t)len };
    }
    template_count++;
}

static void
read_templates(void)
{
    static char line[LINE_MAX];

    templates = calloc(TEMPLATES_MAX, sizeof(*templates));
    if (!templates)
        bench_die("templates");
    while (template_count < TEMPLATES_MAX && fgets(line, sizeof(line), stdin))
        read_template(line);
    if (template_count == 0)
        refuse("standard input", "holds no template");
}

/* ---- out and in ---- */

static void
make_one(unsigned slot, const struct template *t)
{
    struct in_pktinfo source = { 0 };
    uint8_t          *b = out.b[slot];

    memcpy(b, t->b, t->len);
    for (size_t k = 0; k < t->ranges; k++) {
        for (size_t i = 0; i < t->r[k].len; i += 8) {
            uint64_t bits = prng_xorshift64(&seed);
            size_t   left = t->r[k].len - i;

            memcpy(b + t->r[k].at + i, &bits, left < 8 ? left : 8);
        }
    }
    out.v[slot].iov_len = t->len;
    source.ipi_spec_dst.s_addr = htonl(network | ((uint32_t)prng_xorshift64(&seed) & host_mask) | 1u);
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&out.m[slot].msg_hdr)), &source, sizeof(source));
    seen.bytes += t->len;
}

static void
prepare(struct sockaddr_in target)
{
    bench_batch_reset(&out);
    for (unsigned i = 0; i < BATCH; i++) {
        out.a[i] = target;
        out.m[i].msg_hdr.msg_control = controls[i].bytes;
        out.m[i].msg_hdr.msg_controllen = sizeof(controls[i].bytes);
        *CMSG_FIRSTHDR(&out.m[i].msg_hdr) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
                                                              .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO };
    }
}

static void
drain(const int *fd)
{
    unsigned n;

    for (unsigned p = 0; p < PORTS; p++) {
        while ((n = bench_receive(fd[p], &in)) > 0) {
            seen.answers += n;
            for (unsigned i = 0; i < n; i++)
                seen.answer_bytes += in.m[i].msg_len;
        }
    }
}

static void
wait_until(uint64_t ns)
{
    struct timespec t = { .tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS) };

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void
flood(const int *fd, uint64_t count, uint64_t rate)
{
    uint64_t begin = bench_now_ns();
    size_t   next = 0;

    for (unsigned turn = 0; seen.sent < count; turn++) {
        unsigned n = count - seen.sent < BATCH ? (unsigned)(count - seen.sent) : BATCH;

        for (unsigned i = 0; i < n; i++)
            make_one(i, &templates[next++ % template_count]);
        bench_send(fd[turn % PORTS], &out, n);
        seen.sent += n;
        if (turn % 4 == 0)
            drain(fd);
        wait_until(begin + seen.sent * SECOND_NS / rate);   /* at once when that is past */
    }
}

int
main(int argc, char **argv)
{
    struct sockaddr_in target;
    uint64_t           begin;
    unsigned long      bits;
    int                fd[PORTS];

    if (argc != 7)
        refuse("usage", "flood_send TARGET-IP PORT COUNT RATE NETWORK BITS < TEMPLATES");
    target = bench_addr(argv[1], argv[2]);
    if (ntohl(target.sin_addr.s_addr) >> 24 != 127)
        refuse(argv[1], "not on loopback");
    bits = strtoul(argv[6], NULL, 10);
    if (bits < 8 || bits > 30 || strtoull(argv[4], NULL, 10) == 0)
        refuse(argv[6], "a network has 8 to 30 bits, and a rate is at least 1");
    host_mask = 0xffffffffu >> bits;
    network = ntohl(bench_addr(argv[5], "0").sin_addr.s_addr) & ~host_mask;
    read_templates();
    prepare(target);
    for (unsigned p = 0; p < PORTS; p++)
        fd[p] = bench_socket(bench_addr("0.0.0.0", "0"));
    begin = bench_now_ns();
    flood(fd, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    wait_until(bench_now_ns() + SECOND_NS / 2);             /* for answers that are under way */
    drain(fd);
    printf("{\"sent\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.3f, \"answers\": %" PRIu64 ", \"answer_bytes\": %"
           PRIu64 "}\n", seen.sent, seen.bytes, (double)(bench_now_ns() - begin) / SECOND_NS - 0.5, seen.answers,
           seen.answer_bytes);
    return 0;
}
