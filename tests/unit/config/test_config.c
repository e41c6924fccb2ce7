/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: what it reads, the defaults, and every error in its place. */
#include "tests/unit/config/config_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/crypto.h"

#define BAD "tests/unit/bad-config"

/* ---- what was reported ---- */

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

/* ---- good ones ---- */

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
