/* SPDX-License-Identifier: BSD-2-Clause */
/* GROUP.yaml: the samples load, every mistake is told. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/file_group.h"
#include "tests/unit/vec.h"

static char   dir[64], said[16384];
static size_t said_n;

static void
collect(void *ctx, const struct cfg_pos *pos, const char *key, const char *text)
{
    size_t room = sizeof(said) - said_n;
    int    n = snprintf(said + said_n, room, "%u: %s: %s\n", pos ? pos->line : 0, key ? key : "", text);

    (void)ctx;
    said_n += (size_t)n < room ? (size_t)n : room - 1;
}

static const char *
path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void
write_file(const char *name, mode_t mode, const char *text)
{
    FILE *f = fopen(path_of(name), "wb");

    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static struct cfg_group *
load(const char *path)
{
    struct cfg_report r = { .emit = collect };
    struct cfg_group *g;

    said_n = 0;
    said[0] = '\0';
    g = cfg_load_group(path, &r);
    assert_true((g == NULL) == (r.errors > 0));
    return g;
}

static struct cfg_group *
load_text(const char *text)
{
    write_file("g.yaml", 0600, text);
    return load(path_of("g.yaml"));
}

/* ---- a group of the vectors, with places to change ---- */

#define CCS_A "a1a108a101a401010327200621582077ec358c1d344e41ee0e87b8383d23a2099acd39bdf989ce45b52e887463389b"
#define CCS_52 "a108a101a401010327200621582077ec358c1d344e41ee0e87b8383d23a2099acd39bdf989ce45b52e887463389b"
#define CCS_25 "a108a101a4010103272006215820069e912b83963acc5941b63546867dec106e5b9051f2ee14f3bc5cc961acd43a"
#define PRIV_52 "857eb61d3f6d70a278a36740d132c099f62880ed497e27bdfd4685fa1a304f26"

#define GID "gid: { hex: dd11 }\n"
#define SECRET "master-secret: { hex: 0102030405060708090a0b0c0d0e0f10 }\n"
#define MANAGER "manager-credential: { hex: a1 }\n"
#define DET "deterministic-client: { id: { hex: dc } }\n"
#define SELF "self: { id: { hex: \"52\" }, credential: { hex: " CCS_52 " }, private-key: { hex: " PRIV_52 " } }\n"
#define MEMBERS "members:\n"
#define ONE(name, id, cred) "  - { name: " name ", id: { hex: \"" id "\" }, credential: { hex: " cred " } }\n"
#define CLIENT MEMBERS ONE("c", "25", CCS_25)

static void
expect_bad(const char *text, const char *what)
{
    struct cfg_group *g = load_text(text);

    if (g)
        fail_msg("taken:\n%s", text);
    if (!strstr(said, what))
        fail_msg("%s\nsaid:\n%swant: %s", text, said, what);
}

static void
samples_hold_the_group_of_the_draft(void **state)
{
    json_t           *j = vec_load("deterministic-request.json"), *g = json_object_get(j, "group");
    struct cfg_group *c, *o;
    char              from[256], name[64], text[8192];
    uint8_t           b[256];

    (void)state;
    assert_int_equal(mkdir(path_of("keys"), 0700), 0);
    assert_int_equal(mkdir(path_of("group"), 0700), 0);
    write_file("keys/group", 0600, vec_str(g, "master_secret"));
    write_file("keys/group-origin", 0600, vec_str(json_object_get(json_object_get(g, "members"), "52"), "ed25519_private"));
    for (int i = 0; i < 2; i++) {
        FILE  *f;
        size_t n;

        (void)snprintf(name, sizeof(name), "group/%s.yaml", i ? "origin" : "client");
        (void)snprintf(from, sizeof(from), "config/samples/%s", name);
        f = fopen(from, "rb");
        assert_non_null(f);
        n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = '\0';
        (void)fclose(f);
        write_file(name, 0644, text);
    }
    c = load(path_of("group/client.yaml"));
    if (!c)
        fail_msg("%s", said);
    o = load(path_of("group/origin.yaml"));
    if (!o)
        fail_msg("%s", said);
    assert_false(c->has_self);
    assert_true(o->has_self);
    assert_int_equal(c->aead, json_integer_value(json_object_get(g, "alg_aead")));
    assert_int_equal(c->group_enc, json_integer_value(json_object_get(g, "alg_group_enc")));
    assert_int_equal(c->signature, json_integer_value(json_object_get(g, "alg_signature")));
    assert_int_equal(c->det.hash, json_integer_value(json_object_get(g, "det_hash_alg")));
    assert_int_equal(c->hkdf, -10);
    EXPECT_BYTES(vec_hex(g, "gid", b, 256), osp_slice(c->gid.p, c->gid.n));
    EXPECT_BYTES(vec_hex(g, "master_secret", b, 256), osp_slice(o->master_secret.value.p, o->master_secret.value.n));
    EXPECT_BYTES(vec_hex(g, "master_salt", b, 256), osp_slice(o->master_salt.value.p, o->master_salt.value.n));
    EXPECT_BYTES(vec_hex(g, "gm_cred", b, 256), osp_slice(c->manager_credential.p, c->manager_credential.n));
    EXPECT_BYTES(vec_hex(g, "det_sender_id", b, 256), osp_slice(o->det.id.p, o->det.id.n));
    assert_int_equal(c->member_count, 1);
    assert_string_equal(c->members[0].name, "server");
    EXPECT_BYTES(osp_slice(c->members[0].credential.p, c->members[0].credential.n),
                 osp_slice(o->self.credential.p, o->self.credential.n));
    cfg_group_free(c);
    cfg_group_free(o);
    (void)unlink(path_of("keys/group"));
    (void)unlink(path_of("keys/group-origin"));
    (void)unlink(path_of("group/client.yaml"));
    (void)unlink(path_of("group/origin.yaml"));
    (void)rmdir(path_of("keys"));
    (void)rmdir(path_of("group"));
    json_decref(j);
}

static void
what_may_be_left_out_has_its_default(void **state)
{
    struct cfg_group *g = load_text(GID SECRET MANAGER DET SELF);

    (void)state;
    if (!g)
        fail_msg("%s", said);
    assert_int_equal(g->aead, 10);
    assert_int_equal(g->group_enc, 10);
    assert_int_equal(g->hkdf, -10);
    assert_int_equal(g->signature, -8);
    assert_int_equal(g->det.hash, -16);
    assert_int_equal(g->member_count, 0);
    cfg_group_free(g);
    g = load_text(GID SECRET MANAGER "deterministic-client: { id: { hex: dc }, hash: SHA-512 }\nhkdf: SHA-512\n" CLIENT);
    assert_non_null(g);
    assert_int_equal(g->det.hash, -44);
    assert_int_equal(g->hkdf, -11);
    cfg_group_free(g);
}

static void
a_key_may_stand_beside_its_credential(void **state)
{
    struct cfg_group *g = load_text(GID SECRET MANAGER DET
                                    "members:\n  - { name: x, id: { hex: \"01\" }, credential: { hex: \"3082\" }, public-key: "
                                    "{ hex: 77ec358c1d344e41ee0e87b8383d23a2099acd39bdf989ce45b52e887463389b } }\n");

    (void)state;
    if (!g)
        fail_msg("%s", said);
    assert_int_equal(g->members[0].public_key.n, 32);
    cfg_group_free(g);
}

static void
what_is_missing_or_unknown_is_told(void **state)
{
    (void)state;
    expect_bad(SECRET MANAGER DET CLIENT, "gid: is missing");
    expect_bad(GID MANAGER DET CLIENT, "master-secret: is missing");
    expect_bad(GID SECRET DET CLIENT, "manager-credential: is missing");
    expect_bad(GID SECRET MANAGER CLIENT, "deterministic-client: is missing");
    expect_bad(GID SECRET MANAGER "deterministic-client: { hash: SHA-256 }\n" CLIENT, "deterministic-client.id: is missing");
    expect_bad(GID SECRET MANAGER DET, "nobody to ask");
    expect_bad(GID SECRET MANAGER DET "self: { id: { hex: \"52\" } }\n", "self.private-key: is missing");
    expect_bad(GID SECRET MANAGER DET "self: { id: { hex: \"52\" } }\n", "self.credential: is missing");
    expect_bad(GID SECRET MANAGER DET "self: yes\n", "self: has to be a map");
    expect_bad(GID SECRET MANAGER DET "members: [ { id: { hex: \"25\" } } ]\n", "members[0].name: is missing");
    expect_bad(GID SECRET MANAGER DET CLIENT "master-sult: { hex: aa }\n", "did you mean \"master-salt\"?");
    expect_bad(GID SECRET MANAGER DET CLIENT "signature: RSA\n", "EdDSA or ES256");
    expect_bad(GID SECRET MANAGER CLIENT "deterministic-client: { id: { hex: dc }, hash: MD5 }\n", "SHA-256, SHA-384 or SHA-512");
    expect_bad(GID SECRET MANAGER DET CLIENT "aead: ROT13\n", "\"ROT13\" is not supported");
    expect_bad("", "");
    expect_bad("[1, 2", "");
}

static void
values_that_do_not_fit_are_told(void **state)
{
    (void)state;
    expect_bad("gid: { hex: \"\" }\n" SECRET MANAGER DET CLIENT, "gid: 0 bytes");
    expect_bad(GID "master-secret: { hex: 010203 }\n" MANAGER DET CLIENT, "master-secret: 3 bytes; at least 16");
    expect_bad(GID SECRET "manager-credential: { hex: \"\" }\n" DET CLIENT, "manager-credential: 0 bytes");
    expect_bad(GID SECRET MANAGER "deterministic-client: { id: { hex: \"0102030405060708\" } }\n" CLIENT, "8 bytes");
    expect_bad(GID SECRET MANAGER DET "aead: AES-CCM-64-64-128\n" MEMBERS ONE("c", "0102", CCS_25), "longer than the shortest");
    expect_bad(GID SECRET MANAGER DET MEMBERS ONE("c", "25", "\"\""), "empty");
    expect_bad(GID SECRET MANAGER DET MEMBERS ONE("c", "25", CCS_A), "no CWT Claims Set");
    expect_bad(GID SECRET MANAGER DET "signature: ES256\n" CLIENT, "not one for the group's signature algorithm");
    expect_bad(GID SECRET MANAGER DET "self: { id: { hex: \"52\" }, credential: { hex: " CCS_25 " }, private-key: { hex: " PRIV_52
               " } }\n", "not the one of its credential");
    expect_bad(GID SECRET MANAGER DET "self: { id: { hex: \"52\" }, credential: { hex: " CCS_52 " }, "
               "private-key: { hex: aa } }\n", "not the one of its credential");
    expect_bad(GID SECRET MANAGER DET
               "members: [ { name: x, id: { hex: \"01\" }, credential: { hex: aa }, public-key: { hex: aabb } } ]\n",
               "length of a key");
}

static void
ids_and_names_stand_for_one_member(void **state)
{
    (void)state;
    expect_bad(GID SECRET MANAGER DET MEMBERS ONE("a", "25", CCS_25) ONE("b", "25", CCS_52),
               "7: members: b: another member has its id");
    expect_bad(GID SECRET MANAGER DET MEMBERS ONE("a", "25", CCS_25) ONE("a", "26", CCS_52), "another member has its name");
    expect_bad(GID SECRET MANAGER DET MEMBERS ONE("a", "dc", CCS_25), "that of the deterministic-client");
    expect_bad(GID SECRET MANAGER DET SELF MEMBERS ONE("a", "52", CCS_25), "our own");
    expect_bad(GID SECRET MANAGER "deterministic-client: { id: { hex: \"52\" } }\n" SELF, "that of the deterministic-client");
}

static void
all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    expect_bad("master-secret: { hex: 0102 }\ncolour: blue\nsignature: RSA\n" MEMBERS ONE("a", "25", CCS_A)
               ONE("b", "25", CCS_25),
               "gid: is missing");
    assert_non_null(strstr(said, "colour"));
    assert_non_null(strstr(said, "RSA"));
    assert_non_null(strstr(said, "2 bytes; at least 16"));
    assert_non_null(strstr(said, "a: its credential"));
    assert_non_null(strstr(said, "b: another member has its id"));
    assert_null(strstr(said, "0102"));
}

static void
secrets_that_others_may_read_are_refused(void **state)
{
    (void)state;
    write_file("g.yaml", 0644, GID SECRET MANAGER DET CLIENT);
    assert_null(load(path_of("g.yaml")));
    assert_non_null(strstr(said, "others may access"));
    write_file("key", 0644, PRIV_52);
    expect_bad(GID SECRET MANAGER DET "self: { id: { hex: \"52\" }, credential: { hex: " CCS_52 " }, "
               "private-key: { file: key } }\n", "others may access");
    assert_null(load(path_of("absent.yaml")));
    (void)unlink(path_of("key"));
}

static void
every_cut_of_a_file_is_survived(void **state)
{
    static const char whole[] = GID SECRET MANAGER DET SELF CLIENT;
    char              cut[sizeof(whole)];

    (void)state;
    for (size_t n = 0; n < sizeof(whole); n += 3) {
        memcpy(cut, whole, n);
        cut[n] = '\0';
        cfg_group_free(load_text(cut));
    }
}

static int
setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/osp-group-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
    (void)state;
    (void)unlink(path_of("g.yaml"));
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_hold_the_group_of_the_draft),
        cmocka_unit_test(what_may_be_left_out_has_its_default),
        cmocka_unit_test(a_key_may_stand_beside_its_credential),
        cmocka_unit_test(what_is_missing_or_unknown_is_told),
        cmocka_unit_test(values_that_do_not_fit_are_told),
        cmocka_unit_test(ids_and_names_stand_for_one_member),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(secrets_that_others_may_read_are_refused),
        cmocka_unit_test(every_cut_of_a_file_is_survived),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
