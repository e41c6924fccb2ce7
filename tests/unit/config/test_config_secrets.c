/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets in the configuration: where they may stand, who may read them, and that they are never shown. */
#include "tests/unit/config/config_files.h"

#include <stdio.h>
#include <stdlib.h>

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(secret_of_a_file_is_hex_or_else_its_bytes, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_that_looks_like_broken_hex_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_file_that_others_may_access_is_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_file_has_to_be_a_plain_file_of_sane_size, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_in_the_configuration_asks_that_it_be_kept, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_of_the_environment_is_read_from_it, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(secret_is_never_shown, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
