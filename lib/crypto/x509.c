/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/x509.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/glob.h"
#include "crypto/pk.h"

struct osp_x509_anchors { X509_STORE *store; };

static X509 *
parse(struct osp_slice der)
{
    const unsigned char *at = der.p;
    X509                *x;

    if (der.n == 0 || der.n > OSP_X509_DER_MAX)
        return NULL;
    x = d2i_X509(NULL, &at, (long)der.n);
    if (x && at != der.p + der.n) {
        X509_free(x);
        x = NULL;
    }
    return x;
}

static enum osp_err
key_of(X509 *x, struct osp_x509 *out)
{
    EVP_PKEY    *key = X509_get0_pubkey(x);
    uint8_t      point[65];
    size_t       n = sizeof(point);
    char         group[32] = "";
    enum osp_err e = OSP_E_ALGORITHM;

    if (!key)
        return OSP_E_ALGORITHM;
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
    case EVP_PKEY_X25519:
        out->curve = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? OSP_ED25519 : OSP_X25519;
        if (EVP_PKEY_get_raw_public_key(key, point, &n) == 1 && n == 32) {
            memcpy(out->key, point, 32);
            out->key_len = 32;
            e = OSP_OK;
        }
        break;
    case EVP_PKEY_EC:
        out->curve = OSP_P256;
        /* a compressed point is returned unchanged; the functions of pk.h accept it */
        if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) == 1 &&
            strcmp(group, "prime256v1") == 0 &&
            EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) == 1 &&
            (n == 65 || n == 33)) {
            out->key_len = n == 65 ? 64 : 33;
            memcpy(out->key, n == 65 ? point + 1 : point, out->key_len);
            e = OSP_OK;
        }
        break;
    default:
        break;
    }
    return e;
}

static void
keep_name(struct osp_x509 *out, const unsigned char *text, int n)
{
    struct osp_slice s = osp_slice(text, n > 0 ? (size_t)n : 0);

    for (size_t i = 0; i < s.n; i++)    /* a name with a zero or a control character is not shown as another one */
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return;
    if (osp_slice_copy(s, out->name, sizeof(out->name) - 1))
        out->name[s.n] = '\0';
}

static void
name_of(X509 *x, struct osp_x509 *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    X509_NAME     *subject = X509_get_subject_name(x);
    int            at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !out->name[0]; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

        if (g->type == GEN_DNS)
            keep_name(out, ASN1_STRING_get0_data(g->d.dNSName), ASN1_STRING_length(g->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    if (!out->name[0] && at >= 0) {
        unsigned char *text = NULL;
        int            n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

        keep_name(out, text, n);
        OPENSSL_free(text);
    }
}

static enum osp_err
read_into(X509 *x, struct osp_x509 *out)
{
    struct osp_x509 r = { 0 };
    uint32_t        usage = X509_get_key_usage(x);      /* all bits when the extension is absent */
    enum osp_err    e = key_of(x, &r);

    if (e != OSP_OK)
        return e;
    r.may_sign = (usage & KU_DIGITAL_SIGNATURE) != 0;
    r.may_agree = (usage & KU_KEY_AGREEMENT) != 0;
    name_of(x, &r);
    *out = r;
    return OSP_OK;
}

enum osp_err
osp_x509_read(struct osp_slice der, struct osp_x509 *out)
{
    X509        *x = parse(der);
    enum osp_err e = x ? read_into(x, out) : OSP_E_CERTIFICATE;

    X509_free(x);
    return e;
}

enum osp_err
osp_x509_anchors_new(const struct osp_slice *ders, size_t count, struct osp_x509_anchors **out)
{
    struct osp_x509_anchors *a = calloc(1, sizeof(*a));
    enum osp_err             e = OSP_OK;

    if (a)
        a->store = X509_STORE_new();
    if (!a || !a->store)
        e = OSP_E_NOMEM;
    for (size_t i = 0; i < count && e == OSP_OK; i++) {
        X509 *x = parse(ders[i]);

        if (!x || X509_STORE_add_cert(a->store, x) != 1)        /* it takes a reference */
            e = OSP_E_CERTIFICATE;
        X509_free(x);
    }
    if (e != OSP_OK) {
        osp_x509_anchors_free(a);
        return e;
    }
    *out = a;
    return OSP_OK;
}

void
osp_x509_anchors_free(struct osp_x509_anchors *a)
{
    if (!a)
        return;
    X509_STORE_free(a->store);
    free(a);
}

/* Parses the certificates after the first, to build a path; NULL: one of them is not a certificate. */
static STACK_OF(X509) *
others_of(const struct osp_slice *chain, size_t count)
{
    STACK_OF(X509) *others = sk_X509_new_null();

    for (size_t i = 1; others && i < count; i++) {
        X509 *x = parse(chain[i]);

        if (!x || sk_X509_push(others, x) <= 0) {
            X509_free(x);
            sk_X509_pop_free(others, X509_free);
            others = NULL;
        }
    }
    return others;
}

enum osp_err
osp_x509_verify(const struct osp_x509_anchors *a, const struct osp_slice *chain, size_t count, int64_t now_s,
                struct osp_x509 *out)
{
    X509           *leaf = count > 0 && count <= OSP_X509_CHAIN_MAX ? parse(chain[0]) : NULL;
    STACK_OF(X509) *others = leaf ? others_of(chain, count) : NULL;
    X509_STORE_CTX *ctx = others ? X509_STORE_CTX_new() : NULL;
    enum osp_err    e = OSP_E_CERTIFICATE;

    if (ctx && X509_STORE_CTX_init(ctx, a->store, leaf, others) == 1) {
        X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);

        X509_VERIFY_PARAM_set_time(p, (time_t)now_s);
        X509_VERIFY_PARAM_set_depth(p, OSP_X509_CHAIN_MAX);
        X509_VERIFY_PARAM_set_auth_level(p, 2);
        /* a trust anchor is one because it is configured, self-signed or not */
        (void)X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_PARTIAL_CHAIN);
        if (X509_verify_cert(ctx) == 1)
            e = read_into(leaf, out);
    }
    X509_STORE_CTX_free(ctx);
    sk_X509_pop_free(others, X509_free);
    X509_free(leaf);
    return e;
}

/* ---- who it is for ---- */

#define NAME_MAX 255            /* bytes of a host name */

static size_t
lower(struct osp_slice from, uint8_t to[NAME_MAX])
{
    size_t n = from.n > 0 && from.p[from.n - 1] == '.' ? from.n - 1 : from.n;   /* the root adds nothing to a name */

    if (n > NAME_MAX)
        return 0;
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(from.p[i] >= 'A' && from.p[i] <= 'Z' ? from.p[i] + ('a' - 'A') : from.p[i]);
    return n;
}

static bool
is_same_name(struct osp_slice a, struct osp_slice b)
{
    uint8_t x[NAME_MAX], y[NAME_MAX];
    size_t  n = lower(a, x), m = lower(b, y);

    return n > 0 && osp_slice_eq(osp_slice(x, n), osp_slice(y, m));
}

bool
osp_subject_is(const struct osp_subject *s, struct osp_slice name)
{
    uint8_t       pattern[NAME_MAX], text[NAME_MAX];
    struct osp_ip ip;
    size_t        n;

    if (s->pattern) {
        n = lower(name, text);
        return n > 0 && osp_glob(osp_slice(pattern, lower(osp_slice_str(s->pattern), pattern)), osp_slice(text, n));
    }
    return s->host.n ? is_same_name(s->host, name) : osp_ip_parse(name, &ip) && osp_ip_eq(&ip, &s->ip) && !osp_ip_is_any(&ip);
}

/* The name that the subject has by itself, if there is just one. */
static struct osp_slice
only_name(const struct osp_subject *s)
{
    if (!s->pattern)
        return s->host;
    return strpbrk(s->pattern, "*?") ? OSP_EMPTY : osp_slice_str(s->pattern);
}

/* "*.example" names "a.example", but neither "example" nor "a.b.example". */
static bool
is_below_wildcard(struct osp_slice wildcard, struct osp_slice name)
{
    const uint8_t *dot = name.n ? memchr(name.p, '.', name.n) : NULL;
    size_t         label = dot ? (size_t)(dot - name.p) : 0;

    return wildcard.n > 2 && wildcard.p[0] == '*' && wildcard.p[1] == '.' && label > 0 &&
           is_same_name(osp_slice_tail(wildcard, 2), osp_slice_tail(name, label + 1));
}

static bool
names_host(const struct osp_subject *s, struct osp_slice dns)
{
    if (!s->pattern && !s->host.n)      /* a name that looks like an address is not a host name */
        return false;
    if (dns.n && memchr(dns.p, 0, dns.n))
        return false;
    return osp_subject_is(s, dns) || is_below_wildcard(dns, only_name(s));
}

static bool
names_address(const struct osp_subject *s, struct osp_slice bytes)
{
    struct osp_ip ip;
    char          text[OSP_ADDR_TEXT_MAX];

    if (bytes.n == 4)
        ip = osp_ip_v4(bytes.p[0], bytes.p[1], bytes.p[2], bytes.p[3]);
    else if (!osp_slice_copy(bytes, ip.b, sizeof(ip.b)) || bytes.n != sizeof(ip.b))
        return false;
    osp_ip_print(&ip, text, sizeof(text));
    return osp_subject_is(s, osp_slice_str(text));
}

bool
osp_x509_names(struct osp_slice der, const struct osp_subject *s)
{
    X509          *x = parse(der);
    GENERAL_NAMES *names = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
    bool           found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING  *a = g->type == GEN_DNS ? g->d.dNSName : g->type == GEN_IPADD ? g->d.iPAddress : NULL;
        struct osp_slice    v = a ? osp_slice(ASN1_STRING_get0_data(a), (size_t)ASN1_STRING_length(a)) : OSP_EMPTY;

        found = v.n > 0 && (g->type == GEN_DNS ? names_host(s, v) : names_address(s, v));
    }
    GENERAL_NAMES_free(names);
    X509_free(x);
    return found;
}
