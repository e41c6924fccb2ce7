/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * osprey keygen: a key pair, the credential around its public key, and the entry of both in EDHOC.yaml; with --pair both ends
 * of an OSCORE Security Context (pair.c).
 * osprey trust: the entry of somebody else's credential.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "crypto/pem.h"
#include "crypto/x509.h"
#include "config/schema.h"
#include "daemon/osprey/osprey.h"
#include "daemon/osprey/keys/credentials.h"
#include "daemon/osprey/net.h"
#include "daemon/osprey/keys/pair.h"
#include "daemon/osprey/keys/state.h"
#include "edhoc/credential.h"

#define PATH_CAP 1024
#define KEY_LEN 32
#define KID_DEFAULT 4           /* random bytes of a kid that nobody chose */
#define DAYS_DEFAULT 3650
#define DAY_S 86400

static const char keygen_usage[] =
    "usage: osprey keygen [options] NAME\n"
    "       osprey keygen --pair [--sender-id HEX] [--recipient-id HEX] [-o DIR] NAME\n"
    "\n"
    "  -t, --type ccs|x509      what holds the public key: a CWT Claims Set (default), or a certificate\n"
    "  -c, --curve p256|ed25519|x25519\n"
    "                           p256 (default) for suites 2, 3 and 5; ed25519 (signs) and x25519 (does not) for 0, 1 and 4\n"
    "      --kid HEX            how messages refer to a Claims Set (4 random bytes)\n"
    "  -s, --subject NAME       whom the credential names (NAME)\n"
    "      --ca                 the certificate of an authority: it signs others, and speaks to nobody\n"
    "      --sign-with CA       a certificate signed with the key of DIR/CA.key and DIR/CA.pem, not by itself\n"
    "      --days N             how long the certificate is valid (3650)\n"
    "  -o, --directory DIR      where the files are (.)\n"
    "  -h, --help\n"
    "\n"
    "writes DIR/NAME.key, which stays secret, DIR/NAME.ccs or DIR/NAME.pem for the peers (osprey trust),\n"
    "and an entry under `own` in DIR/edhoc.yaml, which --edhoc and the configuration of ospreyd take\n"
    "\n"
    "      --pair               both ends of an OSCORE context instead, with a secret that is drawn now:\n"
    "                           DIR/NAME.yaml (with DIR/NAME.key) is our side, DIR/NAME.peer the other's, complete in itself\n"
    "      --sender-id HEX      our ID (4 random bytes); 0 to 7 bytes\n"
    "      --recipient-id HEX   the peer's ID (4 random bytes)\n";

static const char trust_usage[] =
    "usage: osprey trust [options] NAME FILE\n"
    "\n"
    "trusts the credential in FILE (of osprey keygen, or hexadecimal digits, or PEM), and calls it NAME\n"
    "\n"
    "      --ca                 trust whoever has a certificate from this authority\n"
    "  -o, --directory DIR      where edhoc.yaml is (.)\n"
    "  -h, --help\n";

struct job {
    const char    *name, *dir, *subject, *authority;
    bool           is_cert, is_ca, is_pair;
    bool           of_credential;           /* an option was given that --pair has no use for */
    enum osp_curve curve;
    uint8_t        kid[OSP_EDHOC_KID_MAX];
    size_t         kid_len;
    unsigned       days;
    uint8_t        priv[KEY_LEN];           /* secret */
    uint8_t        pub[64];
    size_t         pub_len;
    struct osprey_pair pair;
    struct osp_randbuf rand;
};

static bool
complain(const char *what, const char *wrong)
{
    fprintf(stderr, "osprey: %s: %s\n", what, wrong);
    return false;
}

/* ---- arguments ---- */

enum { ARG_KID = 256, ARG_CA, ARG_SIGN_WITH, ARG_DAYS, ARG_PAIR, ARG_SENDER_ID, ARG_RECIPIENT_ID };

static const struct option keygen_options[] = {
    { "type", required_argument, NULL, 't' },
    { "curve", required_argument, NULL, 'c' },
    { "kid", required_argument, NULL, ARG_KID },
    { "subject", required_argument, NULL, 's' },
    { "ca", no_argument, NULL, ARG_CA },
    { "sign-with", required_argument, NULL, ARG_SIGN_WITH },
    { "days", required_argument, NULL, ARG_DAYS },
    { "pair", no_argument, NULL, ARG_PAIR },
    { "sender-id", required_argument, NULL, ARG_SENDER_ID },
    { "recipient-id", required_argument, NULL, ARG_RECIPIENT_ID },
    { "directory", required_argument, NULL, 'o' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static const struct option trust_options[] = {
    { "ca", no_argument, NULL, ARG_CA },
    { "directory", required_argument, NULL, 'o' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static const char *
set_curve(struct job *j, const char *text)
{
    static const struct { const char *name; enum osp_curve curve; } curves[] = {
        { "p256", OSP_P256 }, { "ed25519", OSP_ED25519 }, { "x25519", OSP_X25519 },
    };

    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (strcmp(text, curves[i].name) == 0) {
            j->curve = curves[i].curve;
            return NULL;
        }
    }
    return "not p256, ed25519 or x25519";
}

static const char *
set_kid(struct job *j, const char *text)
{
    return osp_hex_decode(osp_slice_str(text), j->kid, sizeof(j->kid), &j->kid_len) && j->kid_len > 0
               ? NULL : "not 1 to 64 bytes in hexadecimal digits";
}

static const char *
set_days(struct job *j, const char *text)
{
    char *end;
    long  v = strtol(text, &end, 10);

    if (end == text || *end || v < 1 || v > 36500)
        return "not a number of days from 1 to 36500";
    j->days = (unsigned)v;
    return NULL;
}

static const char *
set_id(const char *text, uint8_t *id, size_t *len, bool *has)
{
    *has = osp_hex_decode(osp_slice_str(text), id, OSP_OSCORE_ID_MAX, len);
    return *has ? NULL : "not 0 to 7 bytes in hexadecimal digits";
}

static const char *
apply(struct job *j, int c, const char *value)
{
    j->of_credential = j->of_credential || (c != 'o' && c < ARG_PAIR);
    switch (c) {
    case 't':
        j->is_cert = strcmp(value, "x509") == 0;
        return j->is_cert || strcmp(value, "ccs") == 0 ? NULL : "not ccs or x509";
    case 'c':
        return set_curve(j, value);
    case 's':
        j->subject = value;
        return NULL;
    case 'o':
        j->dir = value;
        return NULL;
    case ARG_KID:
        return set_kid(j, value);
    case ARG_SIGN_WITH:
        j->authority = value;
        return NULL;
    case ARG_DAYS:
        return set_days(j, value);
    case ARG_PAIR:
        j->is_pair = true;
        return NULL;
    case ARG_SENDER_ID:
        return set_id(value, j->pair.sender_id, &j->pair.sender_id_len, &j->pair.has_sender_id);
    case ARG_RECIPIENT_ID:
        return set_id(value, j->pair.recipient_id, &j->pair.recipient_id_len, &j->pair.has_recipient_id);
    default:
        j->is_ca = true;
        return NULL;
    }
}

/* Reads the options; returns -1 to go on with `words` words, else the exit status. */
static int
parse(struct job *j, int argc, char **argv, const struct option *options, const char *letters, const char *usage, int words)
{
    const char *wrong;
    int         c;

    *j = (struct job){ .dir = ".", .curve = OSP_P256, .days = DAYS_DEFAULT };
    optind = 1;
    while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return OSPREY_EXIT_OK;
        }
        if (c == '?')
            return OSPREY_EXIT_USAGE;   /* getopt has said why */
        wrong = apply(j, c, optarg);
        if (wrong)
            return complain(optarg ? optarg : "", wrong), OSPREY_EXIT_USAGE;
    }
    if (argc - optind != words) {
        fputs(usage, stderr);
        return OSPREY_EXIT_USAGE;
    }
    j->name = argv[optind];
    if (cfg_is_name(j->name) && !strchr(j->name, '/') && j->name[0] != '.')
        return -1;
    complain(j->name, "not a name of a credential: letters, digits, \".\", \"_\" and \"-\"");
    return OSPREY_EXIT_USAGE;
}

/* Reports options that would have no effect. */
static bool
check(struct job *j)
{
    bool cert = j->is_cert || j->is_ca || j->authority;

    if (j->is_pair)
        return j->of_credential ? complain("--pair", "makes no credential: of the other options it takes only --sender-id, "
                                           "--recipient-id and -o") : true;
    if (j->pair.has_sender_id || j->pair.has_recipient_id)
        return complain("--sender-id, --recipient-id", "are for --pair");
    j->is_cert = cert;
    if (!j->subject)
        j->subject = j->name;
    if (cert && j->kid_len)
        return complain("--kid", "a certificate has none: messages refer to it by its hash");
    if (j->is_ca && j->authority)
        return complain("--ca", "does not go with --sign-with");
    if (cert && j->curve == OSP_X25519 && !j->authority)
        return complain("x25519", "this key cannot sign its own certificate: make an authority with --ca, and use --sign-with");
    return true;
}

/* ---- keys ---- */

static bool
make_key(struct job *j)
{
    uint8_t      seed[KEY_LEN];
    enum osp_err e;

    do {
        osp_randbuf_take(&j->rand, seed, sizeof(seed));
        e = osp_pk_pair(j->curve, seed, j->priv, j->pub);
    } while (e == OSP_E_INVALID);
    osp_wipe(seed, sizeof(seed));
    j->pub_len = j->curve == OSP_P256 ? 64 : 32;
    return e == OSP_OK ? true : complain(j->name, osp_err_text(e));
}

/* ---- credentials ---- */

static bool
put_ccs(struct job *j, struct osp_wr *w)
{
    struct osp_cose_key key = { .curve = (int)j->curve, .len = (uint8_t)j->pub_len };
    uint8_t             bytes[1024];
    char                hex[2 * sizeof(bytes) + 1];
    struct osp_wr       ccs = osp_wr_to(bytes, sizeof(bytes));

    memcpy(key.bytes, j->pub, sizeof(key.bytes));
    if (j->kid_len == 0) {
        j->kid_len = KID_DEFAULT;
        osp_randbuf_take(&j->rand, j->kid, j->kid_len);
    }
    osp_edhoc_ccs_put(&ccs, j->subject, osp_slice(j->kid, j->kid_len), &key);
    if (osp_wr_bad(&ccs))
        return complain(j->subject, "too long");
    osp_hex_encode(osp_wr_slice(&ccs), hex, sizeof(hex));
    osp_wr_put(w, osp_slice_str(hex));
    osp_wr_u8(w, '\n');
    return true;
}

/* Reads key and certificate of the authority from its files. */
static bool
load_authority(struct job *j, uint8_t priv[KEY_LEN], uint8_t der[OSP_X509_DER_MAX], struct osp_x509_wish *wish)
{
    static uint8_t   text[OSPREY_FILE_MAX];
    struct osp_wr    w = osp_wr_to(der, OSP_X509_DER_MAX);
    struct osp_slice s, list[1];
    struct osp_x509  read;
    char             path[PATH_CAP], file[PATH_CAP];
    size_t           n = 0;
    bool             ok;

    (void)snprintf(file, sizeof(file), "%s.key", j->authority);
    if (!osprey_path_join(path, sizeof(path), j->dir, file) || !osprey_file_read(path, text, &s))
        return false;
    while (s.n && s.p[s.n - 1] == '\n')
        s.n--;
    ok = osp_hex_decode(s, priv, KEY_LEN, &n) && n == KEY_LEN;
    osp_wipe(text, sizeof(text));
    if (!ok)
        return complain(path, "not a key of osprey keygen");
    (void)snprintf(file, sizeof(file), "%s.pem", j->authority);
    if (!osprey_path_join(path, sizeof(path), j->dir, file) || !osprey_file_read(path, text, &s))
        return false;
    if (osp_pem_certificates(s, &w, list, 1, &n) != OSP_OK || osp_x509_read(list[0], &read) != OSP_OK ||
        osp_pk_fits((enum osp_curve)read.curve, osp_slice(read.key, read.key_len), priv) != OSP_OK)
        return complain(path, "not the certificate of that key");
    wish->issuer = list[0];
    wish->signer = (enum osp_curve)read.curve;
    wish->signer_priv = priv;
    return true;
}

static bool
put_certificate(struct job *j, struct osp_wr *w)
{
    uint8_t              priv[KEY_LEN] = { 0 }, issuer[OSP_X509_DER_MAX], der[OSP_X509_DER_MAX];
    struct osp_wr        to = osp_wr_to(der, sizeof(der));
    struct osp_x509_wish wish = { .name = j->subject, .curve = j->curve, .pub = osp_slice(j->pub, j->pub_len),
                                  .is_ca = j->is_ca, .signer = j->curve, .signer_priv = j->priv };
    enum osp_err         e;

    if (j->authority && !load_authority(j, priv, issuer, &wish))
        return false;
    osp_randbuf_take(&j->rand, wish.serial, sizeof(wish.serial));
    wish.from_s = (int64_t)time(NULL) - DAY_S;  /* for clocks that are slow */
    wish.until_s = wish.from_s + DAY_S + (int64_t)j->days * DAY_S;
    e = osp_x509_make(&wish, &to);
    osp_wipe(priv, sizeof(priv));
    if (e == OSP_E_INVALID)
        return complain(j->subject, "a certificate names letters, digits, \".\", \"_\" and \"-\", 64 at most");
    osp_pem_put(w, "CERTIFICATE", osp_wr_slice(&to));
    return e == OSP_OK ? true : complain(j->name, osp_err_text(e));
}

/* ---- files ---- */

static bool
write_key(const struct job *j, const char *file)
{
    char path[PATH_CAP], hex[2 * KEY_LEN + 2];
    bool ok;

    osp_hex_encode(osp_slice(j->priv, KEY_LEN), hex, sizeof(hex));
    hex[2 * KEY_LEN] = '\n';
    hex[2 * KEY_LEN + 1] = '\0';
    ok = osprey_path_join(path, sizeof(path), j->dir, file) && osprey_file_new(path, 0600, osp_slice_str(hex));
    osp_wipe(hex, sizeof(hex));
    return ok;
}

static bool
add_own(const struct job *j, const char *key_file, const char *file)
{
    char path[PATH_CAP], entry[4 * PATH_CAP];

    (void)snprintf(entry, sizeof(entry),
                   "  - name: %s\n    credential: { file: %s }\n    private-key: { file: %s }\n%s", j->name, file, key_file,
                   j->authority ? "    id: x5chain\n" : "");
    return osprey_path_join(path, sizeof(path), j->dir, "edhoc.yaml") && osprey_credentials_add(path, "own", entry);
}

static bool
generate(struct job *j)
{
    uint8_t       bytes[4 * OSP_X509_DER_MAX];
    struct osp_wr w = osp_wr_to(bytes, sizeof(bytes));
    char          path[PATH_CAP], file[PATH_CAP], key_file[PATH_CAP];

    (void)snprintf(file, sizeof(file), "%s.%s", j->name, j->is_cert ? "pem" : "ccs");
    (void)snprintf(key_file, sizeof(key_file), "%s.key", j->name);
    if (!osprey_dirs_make(j->dir))
        return complain(j->dir, strerror(errno));
    if (!make_key(j) || !(j->is_cert ? put_certificate(j, &w) : put_ccs(j, &w)))
        return false;
    if (!write_key(j, key_file) || !osprey_path_join(path, sizeof(path), j->dir, file) ||
        !osprey_file_new(path, 0644, osp_wr_slice(&w)) || (!j->is_ca && !add_own(j, key_file, file)))
        return false;
    printf("%s is for the peers: osprey trust %s%s %s\n", path, j->is_ca ? "--ca " : "", j->name, file);
    return true;
}

static bool
make_pair(struct job *j)
{
    j->pair.dir = j->dir;
    j->pair.name = j->name;
    return osprey_pair_make(&j->pair, &j->rand);
}

int
osprey_keygen_main(int argc, char **argv)
{
    struct job j;
    int        status = parse(&j, argc, argv, keygen_options, "t:c:s:o:h", keygen_usage, 1);

    if (status >= 0)
        return status;
    osp_randbuf_init(&j.rand, osprey_random());
    status = check(&j) && (j.is_pair ? make_pair(&j) : generate(&j)) ? OSPREY_EXIT_OK : OSPREY_EXIT_USAGE;
    osp_wipe(&j, sizeof(j));
    return status;
}

/* ---- trust ---- */

/* Writes the credential as YAML: hexadecimal digits, or the name of a file with several certificates. */
static bool
put_credential(const char *path, struct osp_slice text, struct osp_wr *w)
{
    static uint8_t   der[OSPREY_FILE_MAX], hex_bytes[OSPREY_FILE_MAX];
    static char      hex[2 * OSPREY_FILE_MAX + 1];
    struct osp_wr    to = osp_wr_to(der, sizeof(der));
    struct osp_slice list[CFG_CHAIN_MAX], one = text;
    size_t           n = 1;
    char            *absolute;

    if (osp_pem_is(text)) {
        if (osp_pem_certificates(text, &to, list, CFG_CHAIN_MAX, &n) != OSP_OK)
            return complain(path, "holds no certificate that could be read, or too many");
        one = list[0];
    }
    if (n > 1) {
        absolute = realpath(path, NULL);
        osp_wr_put(w, osp_slice_str("{ file: \""));
        osp_wr_put(w, osp_slice_str(absolute));
        osp_wr_put(w, osp_slice_str("\" }\n"));
        free(absolute);
        return !osp_wr_bad(w);
    }
    if (osp_hex_decode(cfg_trim(text), hex_bytes, sizeof(hex_bytes), &n))
        one = osp_slice(hex_bytes, n);
    osp_hex_encode(one, hex, sizeof(hex));
    osp_wr_put(w, osp_slice_str("{ hex: "));
    osp_wr_put(w, osp_slice_str(hex));
    osp_wr_put(w, osp_slice_str(" }\n"));
    return osp_wr_bad(w) ? complain(path, "too large") : true;
}

static bool
trust(const struct job *j, const char *file)
{
    static uint8_t   text[OSPREY_FILE_MAX];
    static char      entry[OSPREY_FILE_MAX];
    struct osp_wr    w = osp_wr_to(entry, sizeof(entry) - 1);
    struct osp_slice s;
    char             path[PATH_CAP];

    osp_wr_put(&w, osp_slice_str("  - name: "));
    osp_wr_put(&w, osp_slice_str(j->name));
    osp_wr_put(&w, osp_slice_str(j->is_ca ? "\n    ca: " : "\n    credential: "));
    return osprey_file_read(file, text, &s) && put_credential(file, s, &w) &&
           osprey_path_join(path, sizeof(path), j->dir, "edhoc.yaml") && osprey_credentials_add(path, "trusted", entry);
}

int
osprey_trust_main(int argc, char **argv)
{
    struct job j;
    int        status = parse(&j, argc, argv, trust_options, "o:h", trust_usage, 2);

    if (status >= 0)
        return status;
    return trust(&j, argv[optind + 1]) ? OSPREY_EXIT_OK : OSPREY_EXIT_USAGE;
}
