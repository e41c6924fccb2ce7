/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/schema.h"
#include "crypto/crypto.h"

#define BAD "tests/unit/bad-config"
#define SAMPLES "config/samples"
#define SECRET "0102030405060708090a0b0c0d0e0f10"

/* ---- what was reported ---- */

static char   said[65536];
static size_t said_n;

/* "line:column: key: text" lines, without the file. */
static void
collect(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    size_t room = sizeof(said) - said_n;
    int    n;

    (void)ctx;
    if (pos && pos->line)
        n = snprintf(said + said_n, room, "%u:%u: %s%s%s\n", pos->line, pos->column, key ? key : "", key ? ": " : "", text);
    else
        n = snprintf(said + said_n, room, "%s%s%s\n", key ? key : "", key ? ": " : "", text);
    said_n += (size_t)n < room ? (size_t)n : room - 1;
}

static struct cfg_report
report(void)
{
    said_n = 0;
    said[0] = '\0';
    return (struct cfg_report){ .emit = collect };
}

static struct osp_cfg *
load_text(const char *text)
{
    struct cfg_report r = report();
    struct osp_cfg   *cfg = cfg_load_text(osp_slice_str(text), "osprey.yaml", &r);

    assert_true((cfg == NULL) == (r.errors > 0));
    return cfg;
}

static void
expect_good(const char *text)
{
    struct osp_cfg *cfg = load_text(text);

    if (!cfg)
        fail_msg("refused:\n%s\n%s", text, said);
    cfg_free(cfg);
}

static void
expect_bad(const char *text, const char *what)
{
    struct osp_cfg *cfg = load_text(text);

    if (cfg)
        fail_msg("taken:\n%s", text);
    if (!strstr(said, what))
        fail_msg("%s\nsaid:\n%swant: %s", text, said, what);
}

/* ---- files ---- */

static char dir[128];

static const char *
in_dir(const char *name)
{
    static char path[4][512];
    static int  next;

    next = (next + 1) % 4;
    (void)snprintf(path[next], sizeof(path[next]), "%s/%s", dir, name);
    return path[next];
}

static void
write_file(const char *name, mode_t mode, const void *content, size_t n)
{
    FILE *f;

    (void)remove(in_dir(name));         /* it may be one that even its owner may not write */
    f = fopen(in_dir(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(in_dir(name), mode), 0);
}

static void
write_text(const char *name, mode_t mode, const char *text)
{
    write_file(name, mode, text, strlen(text));
}

static struct osp_slice
read_file(const char *path)
{
    static char buf[2][65536];
    static int  next;
    FILE       *f = fopen(path, "rb");
    size_t      n;

    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    next = !next;
    n = fread(buf[next], 1, sizeof(buf[next]) - 1, f);
    buf[next][n] = '\0';
    (void)fclose(f);
    return osp_slice(buf[next], n);
}

static void
copy_file(const char *from, const char *name, mode_t mode)
{
    struct osp_slice s = read_file(from);

    write_file(name, mode, s.p, s.n);
}

static int
make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/osprey-config-XXXXXX");
    return mkdtemp(dir) && mkdir(in_dir("keys"), 0700) == 0 && mkdir(in_dir("contexts.d"), 0700) == 0 &&
                   mkdir(in_dir("edhoc"), 0700) == 0 ? 0 : -1;
}

static void
empty_dir(const char *path)
{
    DIR           *d = opendir(path);
    struct dirent *e;
    char           name[512];

    while (d && (e = readdir(d)) != NULL) {
        (void)snprintf(name, sizeof(name), "%s/%.200s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)remove(name);
    }
    if (d)
        (void)closedir(d);
}

static int
remove_dir(void **state)
{
    (void)state;
    empty_dir(in_dir("keys"));
    empty_dir(in_dir("contexts.d"));
    empty_dir(in_dir("edhoc"));
    empty_dir(dir);
    return rmdir(dir);
}

static struct osp_cfg *
load_file(const char *name)
{
    struct cfg_report r = report();

    return cfg_load(in_dir(name), &r);
}

static struct cfg_context *
load_contexts(const char *name, size_t *count)
{
    struct cfg_report r = report();

    return cfg_load_contexts(in_dir(name), count, &r);
}

static char *
dump(const struct osp_cfg *cfg, bool secrets)
{
    char  *text = NULL;
    size_t n = 0;
    FILE  *f = open_memstream(&text, &n);

    assert_non_null(f);
    cfg_dump(cfg, secrets, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

/* ---- good ones ---- */

#define LISTEN "listen: [ \"coap://[::]:5683\" ]\n"
#define STATE "state: /var/lib/osprey\n"
#define CONTEXT(name, secret, ours, theirs)                                                                                  \
    "  - name: " name "\n    master-secret: { hex: " secret " }\n    sender-id: { hex: \"" ours "\" }\n    recipient-id: { " \
    "hex: \"" theirs "\" }\n"

static void
config_of_one_line_has_every_default(void **state)
{
    struct osp_cfg *cfg = load_text(LISTEN);

    (void)state;
    assert_non_null(cfg);
    assert_string_equal(cfg->file, "osprey.yaml");
    assert_int_equal(cfg->listen_count, 1);
    assert_int_equal(cfg->listen[0].scheme, OSP_SCHEME_COAP);
    assert_int_equal(cfg->listen[0].port, 5683);
    assert_true(osp_ip_is_any(&cfg->listen[0].ip));
    assert_null(cfg->state);
    assert_null(cfg->control);
    assert_null(cfg->node_name);
    assert_false(cfg->forward.enabled);
    assert_false(cfg->forward.next_hop.present);
    assert_int_equal(cfg->forward.max_layers, 4);
    assert_int_equal(cfg->client_count, 0);
    assert_int_equal(cfg->workers, 1);
    assert_int_equal(cfg->limits.max_token, 64);
    assert_int_equal(cfg->limits.response_timeout_us, 100000000);
    assert_int_equal(cfg->limits.memory, 256u << 20);
    assert_false(cfg->status.enabled);
    assert_int_equal(cfg->log.level, CFG_LOG_INFO);
    cfg_free(cfg);
}

static void
config_reads_a_rule(void **state)
{
    struct osp_cfg *cfg = load_text(
        LISTEN STATE "contexts:\n" CONTEXT("m-1", SECRET, "01", "02")
        "clients:\n  - match: { context: [ m-1, \"x-*\" ], address: 192.0.2.0/24 }\n"
        "    allow: [ \"forward  coap://*.Example:7\", \"route r-?\" ]\n    rate: { requests: 5/s }\n"
        "  - match: { any: true }\n    allow: []\n");

    (void)state;
    assert_non_null(cfg);
    assert_int_equal(cfg->client_count, 2);
    assert_int_equal(cfg->clients[0].context_count, 2);
    assert_string_equal(cfg->clients[0].contexts[1], "x-*");
    assert_int_equal(cfg->clients[0].net_count, 1);
    assert_int_equal(cfg->clients[0].nets[0].bits, 96 + 24);
    assert_int_equal(cfg->clients[0].allow_count, 2);
    assert_int_equal(cfg->clients[0].allow[0].kind, CFG_ALLOW_FORWARD);
    assert_int_equal(cfg->clients[0].allow[0].target.kind, OSP_TARGET_BELOW);
    assert_string_equal(cfg->clients[0].allow[0].target.name, "example");
    assert_int_equal(cfg->clients[0].allow[0].target.port, 7);
    assert_int_equal(cfg->clients[0].allow[1].kind, CFG_ALLOW_ROUTE);
    assert_string_equal(cfg->clients[0].allow[1].route, "r-?");
    assert_int_equal(cfg->clients[0].rate, 5);
    assert_int_equal(cfg->clients[0].burst, 5);
    assert_int_equal(cfg->clients[0].pos.line, 9);
    assert_true(cfg->clients[1].any);
    assert_int_equal(cfg->clients[1].rate, 0);
    cfg_free(cfg);
}

static void
config_reads_a_route(void **state)
{
    struct osp_cfg *cfg = load_text(
        LISTEN "routes:\n"
               "  - { name: a, match: { host: \"*.A.example\", port: 7, path: \"/x/%2A/b%20c/*\" }, strip: 3, oscore: pass,\n"
               "      keep-host: true, outer-host: true, upstream: { uri: \"coap://H.example:8/p/q\" } }\n"
               "  - { name: b, match: { path: / }, upstream: { uri: \"coap://[::2]\" } }\n"
               "  - { name: c, match: { path: /* }, upstream: { uri: \"coap://[::2]\" } }\n");
    const struct cfg_route *r;

    (void)state;
    if (!cfg)
        fail_msg("%s", said);
    assert_int_equal(cfg->route_count, 3);
    r = &cfg->routes[0];
    assert_string_equal(r->host, "*.a.example");
    assert_int_equal(r->port, 7);
    assert_true(r->has_path && !r->exact && r->pass && r->keep_host && r->outer_host);
    assert_int_equal(r->path_count, 3);
    assert_string_equal(r->path[1], "*");
    assert_string_equal(r->path[2], "b c");
    assert_int_equal(r->strip, 3);
    assert_int_equal(r->upstream.parsed.to.port, 8);
    EXPECT_BYTES(osp_slice_str("h.example"), r->upstream.parsed.to.host);
    EXPECT_BYTES(osp_slice_str("p/q"), r->upstream.parsed.path);
    assert_true(cfg->routes[1].exact && cfg->routes[1].path_count == 0);
    assert_true(!cfg->routes[2].exact && cfg->routes[2].path_count == 0 && cfg->routes[2].has_path);
    assert_null(cfg->routes[1].host);
    assert_false(cfg->routes[1].outer_host);
    cfg_free(cfg);
}

static void
config_reads_a_context(void **state)
{
    static const uint8_t    id_context[] = { 0x37, 0xcb };
    struct osp_cfg         *cfg = load_text(LISTEN STATE "contexts:\n" CONTEXT("a", SECRET, "0A", "")
                                            "    master-salt: { hex: 9e7c }\n    id-context: { hex: 37cb }\n    aead: 1\n"
                                            "    hkdf: HKDF SHA-512\n    fresh: true\n" CONTEXT("b", SECRET, "01", "02"));
    const struct cfg_context *c;

    (void)state;
    if (!cfg)
        fail_msg("%s", said);
    assert_int_equal(cfg->context_count, 2);
    c = &cfg->contexts[0];
    assert_int_equal(c->master_secret.value.n, 16);
    assert_int_equal(c->master_secret.from, CFG_FROM_HEX);
    assert_int_equal(c->master_salt.value.n, 2);
    assert_int_equal(c->sender_id.p[0], 0x0a);
    assert_int_equal(c->recipient_id.n, 0);
    assert_true(c->has_id_context && c->fresh);
    EXPECT_BYTES(osp_slice(id_context, 2), osp_slice(c->id_context.p, c->id_context.n));
    assert_int_equal(c->aead, OSP_AES_GCM_128);
    assert_int_equal(c->hkdf, OSP_HKDF_SHA512);
    assert_int_equal(cfg->contexts[1].aead, OSP_AES_CCM_16_64_128);
    assert_int_equal(cfg->contexts[1].hkdf, OSP_HKDF_SHA256);
    assert_false(cfg->contexts[1].has_id_context);
    cfg_free(cfg);
}

static void
config_takes_json_for_the_yaml_it_is(void **state)
{
    (void)state;
    expect_good("{\"listen\": [\"coap://127.0.0.1:5683\"], \"limits\": {\"drain\": \"500ms\", \"memory\": \"32MiB\"},\n"
                "\"clients\": [{\"match\": {\"any\": true}, \"allow\": [\"forward coap://127.0.0.0/8\"]}], \"log\":\n"
                "{\"level\": \"debug\"}, \"hosts\": {\"a.example\": \"192.0.2.1\"}, \"contexts\": [], \"routes\": []}");
}

static void
config_without_contexts_needs_no_state(void **state)
{
    (void)state;
    expect_good(LISTEN);
    expect_good(LISTEN "state: none\ncontexts: []\n");
    expect_bad(LISTEN "state: none\ncontexts:\n" CONTEXT("a", SECRET, "01", "02"), "state: is missing");
    expect_good(LISTEN STATE "contexts:\n" CONTEXT("a", SECRET, "01", "02"));
}

/* ---- the corpus of bad files ---- */

/* The "# expect: " lines of a file, as collect() writes them. */
static void
expected_of(const char *text, char *dst, size_t cap)
{
    size_t n = 0;

    dst[0] = '\0';
    for (const char *line = text; (line = strstr(line, "# expect: ")) != NULL; line++) {
        const char *from = line + 10, *end = strchr(from, '\n');

        assert_non_null(end);
        n += (size_t)snprintf(dst + n, cap - n, "%.*s\n", (int)(end - from), from);
        assert_true(n < cap);
    }
}

static void
check_bad_file(const char *name)
{
    char              path[512], want[65536];
    struct osp_slice  text;
    struct cfg_report r = report();

    (void)snprintf(path, sizeof(path), BAD "/%.200s", name);
    text = read_file(path);
    expected_of((const char *)text.p, want, sizeof(want));
    assert_true(*want != '\0');
    assert_null(cfg_load_text(text, "osprey.yaml", &r));
    if (strcmp(said, want) != 0)
        fail_msg("%s: said\n%s-- but should say\n%s", path, said, want);
}

static void
bad_files_are_refused_with_every_error_in_its_place(void **state)
{
    DIR           *d = opendir(BAD);
    struct dirent *e;
    unsigned       count = 0;

    (void)state;
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (!strstr(e->d_name, ".yaml"))
            continue;
        check_bad_file(e->d_name);
        count++;
    }
    (void)closedir(d);
    assert_true(count >= 30);
}

/* The shape of a line as the daemon prints it. */
static void
errors_are_printed_with_file_line_column_and_key(void **state)
{
    char             *text = NULL;
    size_t            n = 0;
    FILE             *f = open_memstream(&text, &n);
    struct cfg_report r;

    (void)state;
    assert_non_null(f);
    cfg_report_to(&r, f);
    assert_null(cfg_load_text(osp_slice_str(LISTEN "limits:\n  exchanges: 0\n"), "osprey.yaml", &r));
    assert_null(cfg_load("/nowhere/osprey.yaml", &r));
    assert_int_equal(r.errors, 2);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text, "osprey.yaml:3:14: limits.exchanges: 0 is below 1 (1 to 10000000)\n"
                              "/nowhere/osprey.yaml: No such file or directory\n");
    free(text);
}

static void
errors_beyond_a_hundred_are_counted_only(void **state)
{
    char              text[8192] = LISTEN "limits:\n";
    struct cfg_report r = report();
    unsigned          lines = 0;

    (void)state;
    for (int i = 0; i < 300; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "  key-%d: 1\n", i);
    assert_null(cfg_load_text(osp_slice_str(text), "osprey.yaml", &r));
    assert_int_equal(r.errors, 300);
    for (const char *c = said; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 101);
}

/* ---- every key of the tables ---- */

static const char *
value_of(const struct cfg_item *i, uint64_t v, char dst[64])
{
    (void)snprintf(dst, 64, "%llu%s", (unsigned long long)(i->type == CFG_DURATION ? v / 1000 : v),
                   i->type == CFG_DURATION ? "ms" : "");
    return dst;
}

/* `key: value` below the path of its section. */
static void
put_key(char *dst, size_t cap, const char *section, const char *key, const char *value)
{
    bool is_listen = strcmp(key, "listen") == 0;
    bool is_edhoc = strcmp(section, "edhoc") == 0 && strcmp(key, "credentials") != 0;   /* they may not be left out */

    if (*section)
        (void)snprintf(dst, cap, LISTEN "%s:\n%s  %s: %s\n", section, is_edhoc ? "  credentials: none\n" : "", key, value);
    else
        (void)snprintf(dst, cap, "%s%s: %s\n", is_listen ? "" : LISTEN, key, value);
}

static void
check_number(const char *section, const struct cfg_item *i)
{
    char     text[512], v[64];
    uint64_t step = i->type == CFG_DURATION ? 1000 : 1;

    put_key(text, sizeof(text), section, i->key, value_of(i, i->min, v));
    expect_good(text);
    put_key(text, sizeof(text), section, i->key, value_of(i, i->max, v));
    expect_good(text);
    put_key(text, sizeof(text), section, i->key, value_of(i, i->max + step, v));
    expect_bad(text, " is above ");
    if (i->min > 0) {
        put_key(text, sizeof(text), section, i->key, value_of(i, i->min - step, v));
        expect_bad(text, " is below ");
    }
}

static void
check_item(const char *section, const struct cfg_item *i)
{
    static const char *const nothing[] = { "", "~", "null" };
    char                     text[512], key[64];

    (void)snprintf(key, sizeof(key), "%s:", i->key);
    if (i->type == CFG_LATER) {
        put_key(text, sizeof(text), section, i->key, "{}");
        expect_bad(text, "is not supported by this version");
        return;
    }
    for (size_t k = 0; k < 3; k++) {
        put_key(text, sizeof(text), section, i->key, nothing[k]);
        expect_bad(text, key);
    }
    put_key(text, sizeof(text), section, i->key, "[ [ 1 ] ]");
    expect_bad(text, i->key);
    put_key(text, sizeof(text), section, i->key, "{ no-such-key: 1 }");
    expect_bad(text, i->key);
    if (i->type == CFG_UINT || i->type == CFG_COUNT || i->type == CFG_BYTES || i->type == CFG_DURATION) {
        static const char *const no_number[] = { "\"\"", "x", "-1", "1.5", "0x1", "1 2", "1s1", "+1", "1e3",
                                                 "18446744073709551616" };

        check_number(section, i);
        for (size_t k = 0; k < sizeof(no_number) / sizeof(no_number[0]); k++) {
            put_key(text, sizeof(text), section, i->key, no_number[k]);
            expect_bad(text, key);
        }
    }
    if (i->type == CFG_BOOL || i->type == CFG_CHOICE) {
        put_key(text, sizeof(text), section, i->key, "True");
        expect_bad(text, key);
        put_key(text, sizeof(text), section, i->key, "yes");
        expect_bad(text, key);
    }
}

static void
every_key_refuses_what_is_outside_its_range_or_of_another_type(void **state)
{
    (void)state;
    for (const struct cfg_item *i = cfg_items; i->key; i++) {
        check_item("", i);
        for (const struct cfg_item *k = i->type == CFG_SECTION ? i->items : NULL; k && k->key; k++)
            check_item(i->key, k);
    }
}

static void
quantities_have_units(void **state)
{
    static const struct { const char *text; uint64_t us; } times[] = {
        { "90s", 90000000 }, { "1min", 60000000 }, { "246999ms", 246999000 }, { "10ms", 10000 },
    };
    static const char *const bad[] = { "90", "90 s", "90S", "1h", "90us", "s", "1m", "1min30s", "99999999999999999s", "0.5s" };
    struct osp_cfg          *cfg;
    char                     text[256];

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        (void)snprintf(text, sizeof(text), LISTEN "limits: { response-timeout: %s }\n", times[i].text);
        cfg = load_text(text);
        assert_non_null(cfg);
        assert_int_equal(cfg->limits.response_timeout_us, times[i].us);
        cfg_free(cfg);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(text, sizeof(text), LISTEN "limits: { response-timeout: %s }\n", bad[i]);
        expect_bad(text, "limits.response-timeout");
    }
    cfg = load_text(LISTEN "limits: { memory: 2GiB, receive-buffer: 16KiB, max-datagram: 2000 }\n");
    assert_non_null(cfg);
    assert_int_equal(cfg->limits.memory, 2ull << 30);
    assert_int_equal(cfg->limits.receive_buffer, 16384);
    assert_int_equal(cfg->limits.max_datagram, 2000);
    cfg_free(cfg);
    expect_bad(LISTEN "limits: { memory: 64MB }\n", "64MiB");
    expect_bad(LISTEN "limits: { memory: 17179869184GiB }\n", "above");     /* 2^64 bytes */
}

static void
listen_takes_port_zero_for_any(void **state)
{
    struct osp_cfg *cfg = load_text("listen: coap://127.0.0.1:0\n");

    (void)state;
    assert_non_null(cfg);
    assert_int_equal(cfg->listen[0].port, 0);
    cfg_free(cfg);
    cfg = load_text("listen: [ \"coap://192.0.2.1\", \"coap://[::1]:61616/\" ]\n");
    assert_non_null(cfg);
    assert_int_equal(cfg->listen[0].port, 5683);
    assert_true(osp_ip_is_v4(&cfg->listen[0].ip));
    assert_int_equal(cfg->listen[1].port, 61616);
    cfg_free(cfg);
}

/* ---- limits of the tree ---- */

static void
tree_refuses_more_nodes_than_it_holds(void **state)
{
    size_t            n = 2 * (CFG_NODES_MAX + 10) + 64;
    char             *text = malloc(n);
    struct cfg_report r = report();

    (void)state;
    assert_non_null(text);
    (void)snprintf(text, n, "listen: [");
    for (size_t i = 9; i + 2 < n; i += 2) {
        text[i] = 'a';
        text[i + 1] = ',';
    }
    text[n - 2] = ']';
    text[n - 1] = '\0';
    assert_null(cfg_load_text(osp_slice(text, n - 1), "osprey.yaml", &r));
    assert_non_null(strstr(said, "too many values"));
    free(text);
}

static void
tree_refuses_zero_bytes_and_what_is_no_utf8(void **state)
{
    (void)state;
    expect_bad(LISTEN "names: [ \"a\\0b\" ]\n", "zero byte");
    expect_bad(LISTEN "names: [ \"a\xff\" ]\n", "no YAML");
    expect_bad("\xff\xfel\0i\0", "no YAML");
    expect_bad("", "is empty");
    expect_bad("%YAML 3.0\n---\na: b\n", "no YAML");
}

static void
tree_refuses_a_text_without_end(void **state)
{
    size_t            n = CFG_SCALAR_MAX + 100;
    char             *text = calloc(1, n + 64);
    struct cfg_report r = report();

    (void)state;
    assert_non_null(text);
    (void)snprintf(text, n, LISTEN "node-name: ");
    memset(text + strlen(text), 'a', CFG_SCALAR_MAX + 1);
    assert_null(cfg_load_text(osp_slice_str(text), "osprey.yaml", &r));
    assert_non_null(strstr(said, "65536"));
    free(text);
}

/* Cut anywhere, a file is refused or means something; it is never read past its end. */
static void
tree_survives_every_cut_of_a_file(void **state)
{
    struct osp_slice  s = read_file(SAMPLES "/full.yaml");
    struct cfg_report r;

    (void)state;
    for (size_t n = 0; n <= s.n; n += 7) {
        char *cut = malloc(n + 1);

        assert_non_null(cut);
        if (n)
            memcpy(cut, s.p, n);
        r = report();
        cfg_free(cfg_load_text(osp_slice(cut, n), "osprey.yaml", &r));
        free(cut);
    }
}

/* ---- secrets ---- */

#define WITH_KEY(source)                                                                                              \
    LISTEN STATE "contexts:\n  - { name: a, master-secret: " source ", sender-id: { hex: \"01\" }, recipient-id: { " \
                 "hex: \"02\" } }\n"

static void
secret_of_a_file_is_hex_or_else_its_bytes(void **state)
{
    static const uint8_t raw[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 11, 12, 13, 14, '\n' };
    struct osp_cfg      *cfg;

    (void)state;
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys/k }"));
    write_text("keys/k", 0600, "  " SECRET "\r\n");
    cfg = load_file("osprey.yaml");
    if (!cfg)
        fail_msg("%s", said);
    assert_int_equal(cfg->contexts[0].master_secret.value.n, 16);
    assert_int_equal(cfg->contexts[0].master_secret.value.p[15], 16);
    assert_int_equal(cfg->contexts[0].master_secret.from, CFG_FROM_FILE);
    assert_string_equal(cfg->contexts[0].master_secret.source, in_dir("keys/k"));
    cfg_free(cfg);
    write_file("keys/k", 0600, raw, sizeof(raw));
    cfg = load_file("osprey.yaml");
    assert_non_null(cfg);
    EXPECT_BYTES(osp_slice(raw, sizeof(raw)),
                 osp_slice(cfg->contexts[0].master_secret.value.p, cfg->contexts[0].master_secret.value.n));
    cfg_free(cfg);
}

static void
secret_that_looks_like_broken_hex_is_refused(void **state)
{
    static const char *const bad[][2] = {
        { "0102030405060708090a0b0c0d0e0f1\n", "odd number" },
        { "01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10\n", "blanks" },
        { "01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10\n", "colons" },
        { "0102030405060708\n090a0b0c0d0e0f10\n", "blanks" },
        { "0102030405060708090a0b0c0d0e0f", "15 bytes" },
        { "", "0 bytes" },
        { "short", "5 bytes" },
    };

    (void)state;
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys/k }"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_text("keys/k", 0600, bad[i][0]);
        assert_null(load_file("osprey.yaml"));
        if (!strstr(said, bad[i][1]))
            fail_msg("%s: said %s", bad[i][0], said);
    }
}

static void
secret_file_that_others_may_access_is_refused(void **state)
{
    static const mode_t bad[] = { 0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666, 0660, 0777 };

    (void)state;
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys/k }"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_text("keys/k", bad[i], SECRET);
        assert_null(load_file("osprey.yaml"));
        assert_non_null(strstr(said, "4:39: contexts[0].master-secret.file: group or others may access"));
        assert_non_null(strstr(said, "chmod 0600 "));
    }
    write_text("keys/k", 0400, SECRET);
    cfg_free(load_file("osprey.yaml"));
    assert_string_equal(said, "");
}

static void
secret_file_has_to_be_a_plain_file_of_sane_size(void **state)
{
    char big[CFG_SECRET_MAX + 1];

    (void)state;
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys }"));
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "is not a file"));
    assert_int_equal(mkfifo(in_dir("keys/fifo"), 0600), 0);     /* must not wait for a writer */
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys/fifo }"));
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "is not a file"));
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys/absent }"));
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "No such file"));
    memset(big, 'x', sizeof(big));
    write_file("keys/big", 0600, big, sizeof(big));
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys/big }"));
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "larger than 4096"));
    write_file("keys/big", 0600, big, CFG_SECRET_MAX);
    cfg_free(load_file("osprey.yaml"));
    assert_string_equal(said, "");
}

static void
secret_in_the_configuration_asks_that_it_be_kept(void **state)
{
    static const struct { mode_t mode; bool good; } rows[] = {
        { 0600, true }, { 0640, true }, { 0400, true }, { 0644, false }, { 0660, false }, { 0604, false }, { 0602, false },
        { 0601, false }, { 0666, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct osp_cfg *cfg;

        write_text("osprey.yaml", rows[i].mode, WITH_KEY("{ hex: " SECRET " }"));
        cfg = load_file("osprey.yaml");
        assert_int_equal(cfg != NULL, rows[i].good);
        if (!cfg)
            assert_non_null(strstr(said, "contexts[0].master-secret: a secret stands in this file"));
        cfg_free(cfg);
    }
    /* A salt and IDs are no secrets. */
    write_text("keys/k", 0600, SECRET);
    write_text("osprey.yaml", 0644, WITH_KEY("{ file: keys/k }, master-salt: { hex: \"01\" }"));
    cfg_free(load_file("osprey.yaml"));
    assert_string_equal(said, "");
}

static void
secret_of_the_environment_is_read_from_it(void **state)
{
    struct osp_cfg *cfg;

    (void)state;
    write_text("osprey.yaml", 0644, WITH_KEY("{ env: OSPREY_TEST_SECRET }"));
    assert_int_equal(unsetenv("OSPREY_TEST_SECRET"), 0);
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "the environment has no variable OSPREY_TEST_SECRET"));
    assert_int_equal(setenv("OSPREY_TEST_SECRET", SECRET, 1), 0);
    cfg = load_file("osprey.yaml");
    assert_non_null(cfg);
    assert_int_equal(cfg->contexts[0].master_secret.value.n, 16);
    assert_int_equal(cfg->contexts[0].master_secret.from, CFG_FROM_ENV);
    assert_string_equal(cfg->contexts[0].master_secret.source, "OSPREY_TEST_SECRET");
    cfg_free(cfg);
    assert_int_equal(unsetenv("OSPREY_TEST_SECRET"), 0);
}

/* Whatever is wrong with a secret, no message holds a part of it. */
static void
secret_is_never_shown(void **state)
{
    static const char *const forms[] = {
        "5ec2e75ec2e75ec2e75ec2e75ec2e75e", "{ hex: 5ec2e75ec2e75ec2e75ec2e75ec2e7x }", "[ 5ec2e75ec2e7 ]",
        "{ hex: [ 5ec2e75ec2e7 ] }", "{ hex: 5ec2e7 }", "{ hex: 5ec2e75ec2e75ec2e75ec2e75ec2e75e, file: k }", "{ file: keys/s }",
        "{ env: OSPREY_TEST_SECRET }",
    };
    char            text[1024];
    struct osp_cfg *cfg;

    (void)state;
    write_text("keys/s", 0600, "5ec2e75ec2e75ec2e75ec2e75ec2e75");
    assert_int_equal(setenv("OSPREY_TEST_SECRET", "5ec2e75ec", 1), 0);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       LISTEN STATE "contexts:\n  - { name: a, master-secret: %s, sender-id: { hex: \"01\" }, recipient-id: { "
                                    "hex: \"02\" } }\n",
                       forms[i]);
        write_text("osprey.yaml", 0600, text);
        assert_null(load_file("osprey.yaml"));
        assert_null(strstr(said, "5ec2e7"));
    }
    assert_int_equal(unsetenv("OSPREY_TEST_SECRET"), 0);
    cfg = load_text(WITH_KEY("{ hex: 5ec2e75ec2e75ec2e75ec2e75ec2e75e }, master-salt: { hex: 5ec2e7 }"));
    assert_non_null(cfg);
    for (int secrets = 0; secrets < 2; secrets++) {
        char *out = dump(cfg, secrets != 0);

        assert_int_equal(strstr(out, "5ec2e7") != NULL, secrets);
        assert_int_equal(strstr(out, CFG_MASK) != NULL, !secrets);
        free(out);
    }
    cfg_free(cfg);
}

/* ---- files of contexts ---- */

#define ONE(name, id)                                                                                                        \
    "name: " name "\nmaster-secret: { file: ../keys/" name " }\nsender-id: { hex: \"01\" }\nrecipient-id: { hex: \"" id "\" }\n"

static void
include_reads_a_directory_in_order(void **state)
{
    struct osp_cfg *cfg;

    (void)state;
    write_text("keys/a", 0600, "aa" SECRET);
    write_text("keys/b", 0600, "bb" SECRET);
    write_text("contexts.d/2.yaml", 0644, ONE("a", "0a"));
    write_text("contexts.d/1.yaml", 0644,
               "contexts:\n  - name: b\n    master-secret: { file: ../keys/b }\n    sender-id: { hex: \"01\" }\n"
               "    recipient-id: { hex: \"0b\" }\n");
    write_text("contexts.d/.hidden.yaml", 0644, "not: read\n");
    write_text("contexts.d/3.yaml.bak", 0644, "not: read\n");
    write_text("contexts.d/3.conf", 0600,
               "master_secret,hex,\"cc" SECRET "\"\nsender_id,ascii,\"p\"\nrecipient_id,ascii,\"c\"\n");
    write_text("osprey.yaml", 0644, LISTEN STATE "contexts: { include: contexts.d }\n");
    cfg = load_file("osprey.yaml");
    if (!cfg)
        fail_msg("%s", said);
    assert_int_equal(cfg->context_count, 3);
    assert_string_equal(cfg->contexts[0].name, "b");
    assert_string_equal(cfg->contexts[1].name, "a");
    assert_string_equal(cfg->contexts[2].name, "3");
    assert_string_equal(cfg->contexts[1].pos.file, in_dir("contexts.d/2.yaml"));
    assert_int_equal(cfg->contexts[1].pos.line, 1);
    cfg_free(cfg);
}

static void
include_tells_errors_in_their_file(void **state)
{
    (void)state;
    write_text("keys/a", 0600, SECRET);
    write_text("contexts.d/a.yaml", 0644, ONE("a", "0a") "nmae: x\n");
    write_text("osprey.yaml", 0644,
               LISTEN STATE "contexts:\n  - include: contexts.d/a.yaml\n  - include: contexts.d/no.yaml\n"
                            "  - include: contexts.d\n    name: x\n");
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "5:1: nmae: unknown key; did you mean \"name\"?\n"));
    assert_non_null(strstr(said, "5:14: contexts[1].include: "));
    assert_non_null(strstr(said, "No such file"));
    assert_non_null(strstr(said, "7:5: contexts[2].name: unknown key; known here: include\n"));
}

static void
include_does_not_go_round_in_circles(void **state)
{
    (void)state;
    write_text("contexts.d/a.yaml", 0644, "contexts: { include: a.yaml }\n");
    write_text("contexts.d/b.yaml", 0644, "contexts: [ { include: b.yaml } ]\n");
    write_text("osprey.yaml", 0644, LISTEN STATE "contexts: { include: contexts.d }\n");
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "has to be a list of contexts"));
    assert_non_null(strstr(said, "include: unknown key"));
}

static void
include_finds_a_clash_between_files(void **state)
{
    (void)state;
    write_text("keys/a", 0600, SECRET);
    write_text("contexts.d/1.yaml", 0644, ONE("a", "0a"));
    write_text("contexts.d/2.yaml", 0644, ONE("a", "0b"));
    write_text("osprey.yaml", 0644, LISTEN STATE "contexts: { include: contexts.d }\n");
    assert_null(load_file("osprey.yaml"));
    assert_non_null(strstr(said, "a: has the name of a ("));
    assert_non_null(strstr(said, "a: has the same Sender Key"));
    assert_non_null(strstr(said, "1.yaml:1)"));
}

static void
context_file_is_a_list_or_one_context(void **state)
{
    size_t              count = 0;
    struct cfg_context *c;

    (void)state;
    write_text("c.yaml", 0600,
               "contexts:\n" CONTEXT("a", SECRET, "01", "02") CONTEXT("b", "ff" SECRET, "01", "02")
               "    id-context: { hex: \"\" }\n");
    c = load_contexts("c.yaml", &count);
    if (!c)
        fail_msg("%s", said);
    assert_int_equal(count, 2);
    assert_string_equal(c[1].name, "b");
    cfg_contexts_free(c, count);
    write_text("c.yaml", 0600,
               "name: a\nmaster-secret: { hex: " SECRET " }\nsender-id: { hex: \"\" }\nrecipient-id: { hex: \"01\" }\n");
    c = load_contexts("c.yaml", &count);
    assert_non_null(c);
    assert_int_equal(count, 1);
    cfg_contexts_free(c, count);
    cfg_contexts_free(NULL, 0);
}

static void
context_file_without_a_context_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "[]", "contexts: []\n", "contexts: 5\n", "contexts: {}\n", "hello\n", "name: a\n", "contexts: []\nname: a\n",
        "# nothing\n", "master_secret\n", "master_secret,\n",
    };
    size_t count = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_text("c.yaml", 0600, bad[i]);
        assert_null(load_contexts("c.yaml", &count));
        assert_true(said_n > 0);
    }
    assert_null(load_contexts("absent", &count));
    assert_int_equal(count, 77);
}

/* ---- libcoap's form ---- */

#define CONF_HEAD "master_secret,hex,\"" SECRET "\"\nsender_id,ascii,\"client\"\nrecipient_id,ascii,\"server\"\n"

static void
libcoap_conf_reads_like_libcoap_does(void **state)
{
    size_t              count = 0;
    struct cfg_context *c;

    (void)state;
    write_text("c.yaml", 0600,
               "\n# Master Secret (same for both client and server)\nmaster_secret,hex,\"" SECRET "\"\r\n"
               "master_salt,hex,9e7ca92223786340\n\nsender_id,ascii,client "
               "\nrecipient_id,ascii,\"serv,r\"\nreplay_window,integer,32\n"
               "aead_alg,text,\"AES-CCM-16-128-128\"\nhkdf_alg,integer,-11\nid_context,hex,\nssn_freq,integer,1\n"
               "rfc8613_b_1_2,bool,true\nrfc8613_b_2,bool,false\nbreak_sender_key,bool,false\nbreak_recipient_key,bool,false");
    c = load_contexts("c.yaml", &count);
    if (!c)
        fail_msg("%s", said);
    assert_int_equal(count, 1);
    assert_string_equal(c->name, "c");
    assert_int_equal(c->master_secret.value.n, 16);
    assert_int_equal(c->master_salt.value.n, 8);
    EXPECT_BYTES(osp_slice_str("client "), osp_slice(c->sender_id.p, c->sender_id.n));
    EXPECT_BYTES(osp_slice_str("serv,r"), osp_slice(c->recipient_id.p, c->recipient_id.n));
    assert_int_equal(c->aead, OSP_AES_CCM_16_128_128);
    assert_int_equal(c->hkdf, OSP_HKDF_SHA512);
    assert_true(c->has_id_context);
    assert_int_equal(c->id_context.n, 0);
    assert_false(c->fresh);
    cfg_contexts_free(c, count);
    write_text("a b*c.conf", 0600, CONF_HEAD);
    c = load_contexts("a b*c.conf", &count);
    assert_non_null(c);
    assert_string_equal(c->name, "a-b-c");
    assert_int_equal(c->aead, OSP_AES_CCM_16_64_128);
    assert_false(c->has_id_context);
    cfg_contexts_free(c, count);
}

static void
libcoap_conf_refuses_what_it_would_have_to_pass_over(void **state)
{
    static const struct { const char *text, *said; } rows[] = {
        { CONF_HEAD "color,ascii,blue\n", "4:1: color: unknown keyword" },
        { CONF_HEAD "Aead_alg,integer,10\n", "4:1: Aead_alg: unknown keyword" },
        { CONF_HEAD "aead_alg,integer,99\n", "4:1: aead_alg: AEAD algorithm not supported" },
        { CONF_HEAD "hkdf_alg,text,\"MD5\"\n", "4:1: hkdf_alg: HKDF algorithm not supported" },
        { CONF_HEAD "aead_alg,hex,0a\n", "4:1: aead_alg: does not go with this encoding" },
        { CONF_HEAD "replay_window,integer,63\n", "4:1: replay_window: the replay window is always 32" },
        { CONF_HEAD "ssn_freq,integer,0\n", "4:1: ssn_freq: is no positive number" },
        { CONF_HEAD "ssn_freq,integer,1x\n", "4:1: ssn_freq: is no positive number" },
        { CONF_HEAD "rfc8613_b_1_2,bool,false\n", "4:1: rfc8613_b_1_2: has to be true" },
        { CONF_HEAD "rfc8613_b_2,bool,true\n", "4:1: rfc8613_b_2: is not supported" },
        { CONF_HEAD "break_sender_key,bool,true\n", "4:1: break_sender_key: is not supported" },
        { CONF_HEAD "break_recipient_key,bool,1\n", "4:1: break_recipient_key: is not supported" },
        { CONF_HEAD "master_salt,hex,0\n", "4:1: master_salt: is not an even number of hexadecimal digits" },
        { CONF_HEAD "master_salt,hex,\"00\n", "4:1: master_salt: has quotes that do not match" },
        { CONF_HEAD "master_salt,hex,\"00\" # salt\n", "4:1: master_salt: has quotes that do not match" },
        { CONF_HEAD "master_salt\n", "4:1: master_salt: has to be a line of the form" },
        { CONF_HEAD "master_salt,base64,AAAA\n", "4:1: master_salt: has to be a line of the form" },
        { CONF_HEAD "sender_id,ascii,x\n", "4:1: sender_id: stands here a second time" },
        { CONF_HEAD "recipient_id,ascii,x\n", "4:1: recipient_id: a second peer would use the same Sender Key" },
        { "sender_id,hex,01\n", "1:1: master_secret: is missing" },
        { "sender_id,hex,01\n", "1:1: recipient_id: is missing" },
        { "master_secret,ascii,short\nsender_id,hex,01\nrecipient_id,hex,02\n", "its master-secret has 5 bytes" },
        { "master_secret,hex," SECRET "\nsender_id,hex,01\nrecipient_id,hex,01\n", "are the same" },
        { "master_secret,hex," SECRET "\nsender_id,hex,01\nrecipient_id,ascii,12345678\n", "at most 7" },
    };
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_text("c.conf", 0600, rows[i].text);
        assert_null(load_contexts("c.conf", &count));
        if (!strstr(said, rows[i].said))
            fail_msg("%s: said %s", rows[i].text, said);
    }
    write_text("c.conf", 0644, CONF_HEAD);
    assert_null(load_contexts("c.conf", &count));
    assert_non_null(strstr(said, "1:1: master_secret: a secret stands in this file"));
}

/* ---- samples and dumps ---- */

static void
make_samples(void)
{
    static const char *const keys[] = { "meter-17", "meter-18", "laptop", "vault", "plant-gw", "second", "operator-1" };
    DIR                     *d = opendir(SAMPLES);
    struct dirent           *e;
    char                     from[512], name[64], secret[40];

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        (void)snprintf(from, sizeof(from), SAMPLES "/%.200s", e->d_name);
        if (strstr(e->d_name, ".yaml"))
            copy_file(from, e->d_name, 0644);
    }
    (void)closedir(d);
    copy_file(SAMPLES "/contexts.d/operator-1.yaml", "contexts.d/operator-1.yaml", 0644);
    copy_file(SAMPLES "/edhoc/proxy.yaml", "edhoc/proxy.yaml", 0644);
    write_text("keys/edhoc-proxy", 0600, "72cc4761dbd4c78f758931aa589d348d1ef874a7e303ede2f140dcf3e6aa4aac");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        (void)snprintf(name, sizeof(name), "keys/%s", keys[i]);
        (void)snprintf(secret, sizeof(secret), "%s%02zx\n", SECRET, i);
        write_text(name, 0600, secret);
    }
}

/* dump(load(dump)) == dump, masked and not; returns the open one. */
static char *
round_trip(const struct osp_cfg *cfg)
{
    char           *first = dump(cfg, true), *second, *masked = dump(cfg, false);
    struct osp_cfg *again;

    write_text("dumped.yaml", 0600, first);
    again = load_file("dumped.yaml");
    if (!again)
        fail_msg("a dump does not load:\n%s\n%s", first, said);
    second = dump(again, true);
    assert_string_equal(first, second);
    free(second);
    second = dump(again, false);
    assert_string_equal(masked, second);
    free(second);
    free(masked);
    cfg_free(again);
    return first;
}

static void
every_sample_loads_and_dumps_to_itself(void **state)
{
    DIR           *d = opendir(SAMPLES);
    struct dirent *e;
    unsigned       count = 0;

    (void)state;
    make_samples();
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        struct osp_cfg *cfg;

        if (!strstr(e->d_name, ".yaml"))
            continue;
        cfg = load_file(e->d_name);
        if (!cfg)
            fail_msg("%s:\n%s", e->d_name, said);
        free(round_trip(cfg));
        cfg_free(cfg);
        count++;
    }
    (void)closedir(d);
    assert_true(count >= 5);
}

/* Each key stands at the start of a line of it, as a comment's reader would look for it. */
static void
expect_keys(const char *text, const struct cfg_item *items)
{
    for (; items->key; items++) {
        char key[64];

        (void)snprintf(key, sizeof(key), "%s:", items->key);
        if (items->type != CFG_LATER && !strstr(text, key))
            fail_msg("full.yaml lacks %s", key);
        if (items->items)
            expect_keys(text, items->items);
        if (items->type == CFG_OTHER && items->kind->items && strcmp(items->key, "master-secret") != 0)
            expect_keys(text, items->kind->items);
    }
}

static void
full_sample_has_every_key(void **state)
{
    (void)state;
    expect_keys((const char *)read_file(SAMPLES "/full.yaml").p, cfg_items);
}

static void
readme_shows_the_minimal_sample(void **state)
{
    const char *readme = (const char *)read_file("README.md").p;
    const char *sample = strstr((const char *)read_file(SAMPLES "/minimal.yaml").p, "listen:");

    (void)state;
    assert_non_null(sample);
    if (!strstr(readme, sample))
        fail_msg("README.md does not show config/samples/minimal.yaml");
}

static void
dump_quotes_what_yaml_would_take_for_something_else(void **state)
{
    static const char odd[] = "/a \"b\"\\c: #d/\xc3\xa9\xe2\x80\xa8\xf0\x9f\x90\x9f\t{}[]&*!|>'%@`,?-\xc2\x85";
    char              text[512];
    struct osp_cfg   *cfg;
    char             *out;

    (void)state;
    (void)snprintf(text, sizeof(text), LISTEN
                   "state: \"/a \\\"b\\\"\\\\c: #d/\xc3\xa9\\L\xf0\x9f\x90\x9f\\t{}[]&*!|>'%%@`,?-\\N\"\n"
                   "hosts: { \"h-\xc3\xa9\": 192.0.2.1 }\nnode-name: \"true\"\n");
    cfg = load_text(text);
    if (!cfg)
        fail_msg("%s", said);
    assert_string_equal(cfg->state, odd);
    out = round_trip(cfg);
    for (const char *c = out; *c; c++)
        assert_true((*c >= ' ' && *c <= '~') || *c == '\n');
    free(out);
    cfg_free(cfg);
}

/* A file name that is no text must not come back as another one. */
static void
dump_of_a_path_that_is_no_text_does_not_load(void **state)
{
    static const char *const paths[] = { "/a\xff", "/\xc3", "/\xc3z", "/\xe2\x80", "/\x80", "/\xf8\x80\x80\x80",
                                         "/\xed\xa0\x80" };

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct osp_cfg   *cfg = load_text(LISTEN "control: /x\n");
        struct cfg_report r;
        char             *text;
        char             *had;

        assert_non_null(cfg);
        had = cfg->control;
        cfg->control = strdup(paths[i]);
        text = dump(cfg, true);
        r = report();
        assert_null(cfg_load_text(osp_slice_str(text), "dump", &r));
        free(text);
        free(cfg->control);
        cfg->control = had;
        cfg_free(cfg);
    }
}

static void
dump_of_segments_reads_back_as_the_same_segments(void **state)
{
    struct osp_cfg *cfg = load_text(
        LISTEN "routes:\n"
               "  - { name: a, match: { path: \"/%2A/%2F%25/a%3Fb/%C3%A9/*\" }, upstream: { uri: \"coap://h\" } }\n"
               "  - { name: b, match: { path: \"/x//\" }, upstream: { uri: \"coap://h\" } }\n"
               "  - { name: c, match: { path: \"/~:@!$&'()+,;=-._\" }, upstream: { uri: \"coap://h\" } }\n");
    char           *out;

    (void)state;
    if (!cfg)
        fail_msg("%s", said);
    assert_string_equal(cfg->routes[0].path[0], "*");
    assert_string_equal(cfg->routes[0].path[1], "/%");
    assert_int_equal(cfg->routes[1].path_count, 3);
    out = round_trip(cfg);
    assert_non_null(strstr(out, "\"/%2A/%2F%25/a%3Fb/%C3%A9/*\""));
    assert_non_null(strstr(out, "\"/x//\""));
    free(out);
    cfg_free(cfg);
}

static void
paths_are_relative_to_the_file_they_stand_in(void **state)
{
    struct osp_cfg *cfg;
    char            here[512];

    (void)state;
    write_text("osprey.yaml", 0644, LISTEN "state: state\ncontrol: /run/c\n");
    cfg = load_file("osprey.yaml");
    assert_non_null(cfg);
    assert_string_equal(cfg->state, in_dir("state"));
    assert_string_equal(cfg->control, "/run/c");
    assert_string_equal(cfg->file, in_dir("osprey.yaml"));
    cfg_free(cfg);
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(dir), 0);
    {
        struct cfg_report r = report();

        cfg = cfg_load("osprey.yaml", &r);
    }
    assert_int_equal(chdir(here), 0);
    assert_non_null(cfg);
    assert_string_equal(cfg->state, in_dir("state"));
    assert_string_equal(cfg->file, "osprey.yaml");
    cfg_free(cfg);
    cfg_free(NULL);
}

/* The daemon's check of many contexts must not take longer than reading them. */
static void
many_contexts_are_checked_in_a_moment(void **state)
{
    enum { MANY = 20000 };
    FILE           *f = fopen(in_dir("many.yaml"), "w");
    struct osp_cfg *cfg;

    (void)state;
    assert_non_null(f);
    (void)fprintf(f, LISTEN STATE "contexts:\n");
    for (int i = 0; i < MANY; i++)
        (void)fprintf(f, "  - { name: n-%d, master-secret: { hex: %032x }, sender-id: { hex: \"01\" }, "
                         "recipient-id: { hex: \"%08x\" } }\n", i, i + 1, i + 256);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(in_dir("many.yaml"), 0600), 0);
    cfg = load_file("many.yaml");
    if (!cfg)
        fail_msg("%.2000s", said);
    assert_int_equal(cfg->context_count, MANY);
    cfg_free(cfg);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_of_one_line_has_every_default),
        cmocka_unit_test(config_reads_a_rule),
        cmocka_unit_test(config_reads_a_route),
        cmocka_unit_test(config_reads_a_context),
        cmocka_unit_test(config_takes_json_for_the_yaml_it_is),
        cmocka_unit_test(config_without_contexts_needs_no_state),
        cmocka_unit_test(bad_files_are_refused_with_every_error_in_its_place),
        cmocka_unit_test(errors_are_printed_with_file_line_column_and_key),
        cmocka_unit_test(errors_beyond_a_hundred_are_counted_only),
        cmocka_unit_test(every_key_refuses_what_is_outside_its_range_or_of_another_type),
        cmocka_unit_test(quantities_have_units),
        cmocka_unit_test(listen_takes_port_zero_for_any),
        cmocka_unit_test(tree_refuses_more_nodes_than_it_holds),
        cmocka_unit_test(tree_refuses_zero_bytes_and_what_is_no_utf8),
        cmocka_unit_test(tree_refuses_a_text_without_end),
        cmocka_unit_test(tree_survives_every_cut_of_a_file),
        cmocka_unit_test_setup_teardown(secret_of_a_file_is_hex_or_else_its_bytes, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_that_looks_like_broken_hex_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_file_that_others_may_access_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_file_has_to_be_a_plain_file_of_sane_size, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_in_the_configuration_asks_that_it_be_kept, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_of_the_environment_is_read_from_it, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_is_never_shown, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(include_reads_a_directory_in_order, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(include_tells_errors_in_their_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(include_does_not_go_round_in_circles, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(include_finds_a_clash_between_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(context_file_is_a_list_or_one_context, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(context_file_without_a_context_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(libcoap_conf_reads_like_libcoap_does, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(libcoap_conf_refuses_what_it_would_have_to_pass_over, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(every_sample_loads_and_dumps_to_itself, make_dir, remove_dir),
        cmocka_unit_test(full_sample_has_every_key),
        cmocka_unit_test(readme_shows_the_minimal_sample),
        cmocka_unit_test_setup_teardown(dump_quotes_what_yaml_would_take_for_something_else, make_dir, remove_dir),
        cmocka_unit_test(dump_of_a_path_that_is_no_text_does_not_load),
        cmocka_unit_test_setup_teardown(dump_of_segments_reads_back_as_the_same_segments, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(paths_are_relative_to_the_file_they_stand_in, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(many_contexts_are_checked_in_a_moment, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
