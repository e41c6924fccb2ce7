/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of contexts: included directories, lists, libcoap's form, and very many of them. */
#include "tests/unit/config/config_files.h"

#include <stdio.h>
#include <unistd.h>

#include "crypto/crypto.h"

/* ---- files ---- */

static struct cfg_context *
load_contexts(const char *name, size_t *count)
{
    struct cfg_report r = report();

    return cfg_load_contexts(in_dir(name), count, &r);
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
    assert_int_equal(chdir(config_dir), 0);
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
        cmocka_unit_test_setup_teardown(include_reads_a_directory_in_order, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(include_tells_errors_in_their_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(include_does_not_go_round_in_circles, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(include_finds_a_clash_between_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(context_file_is_a_list_or_one_context, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(context_file_without_a_context_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(libcoap_conf_reads_like_libcoap_does, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(libcoap_conf_refuses_what_it_would_have_to_pass_over, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(paths_are_relative_to_the_file_they_stand_in, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(many_contexts_are_checked_in_a_moment, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
