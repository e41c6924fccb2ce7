/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * X.509 certificates: the public key in one, and the verification of a chain against trust anchors at a given time.
 *
 * Signatures and keys of the three kinds that lib/crypto knows elsewhere: Ed25519, X25519 and P-256 keys.  Signatures
 * within a chain are whatever the library verifies at security level 2 (112 bits).
 */
#ifndef OSP_CRYPTO_X509_H
#define OSP_CRYPTO_X509_H

#include "base/addr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/pk.h"

#define OSP_X509_CHAIN_MAX 4            /* certificates in one chain, the trust anchor not counted */
#define OSP_X509_DER_MAX 4096           /* bytes of one certificate */
#define OSP_X509_NAME_MAX 128           /* bytes of a subject's name with its zero */

struct osp_x509 {
    int     curve;                      /* enum osp_curve */
    uint8_t key[64];                    /* as pk.h takes it */
    uint8_t key_len;
    bool    may_sign, may_agree;        /* keyUsage digitalSignature, keyAgreement; both when the extension is absent */
    char    name[OSP_X509_NAME_MAX];    /* first dNSName, else the subject's common name, else empty */
};

/*
 * Reads a certificate.  Nothing about it is verified.
 *   OSP_E_CERTIFICATE   no certificate, bytes after it, too long
 *   OSP_E_ALGORITHM     a key of another kind
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_x509_read(struct osp_slice der, struct osp_x509 *out);

/* Trust anchors.  May be read by several threads once it is made. */
struct osp_x509_anchors;

/* OSP_E_CERTIFICATE: one of `ders` is no certificate; OSP_E_NOMEM.  Nothing was made. */
OSP_CHECKED enum osp_err osp_x509_anchors_new(const struct osp_slice *ders, size_t count, struct osp_x509_anchors **out);
void osp_x509_anchors_free(struct osp_x509_anchors *a);

/*
 * Verifies `chain` (end entity first) up to one of the anchors at `now_s` (seconds since 1970, UTC) [rfc5280#6], and reads
 * its end entity.  Revocation is not looked at.
 *   OSP_E_CERTIFICATE   does not verify: expired, unknown issuer, bad signature, an issuer that is not a CA, or malformed
 *   OSP_E_ALGORITHM     verifies, but has a key of another kind
 *   OSP_E_NOMEM
 */
OSP_CHECKED enum osp_err osp_x509_verify(const struct osp_x509_anchors *a, const struct osp_slice *chain, size_t count,
                                         int64_t now_s, struct osp_x509 *out);

/* Who somebody has to be [rfc9528#D.2]: a name, an address, or one of several.  All zero: the address ::, which nobody has. */
struct osp_subject {
    const char      *pattern;           /* fits the name, upper and lower case alike; NULL: `host` decides, or `ip` */
    struct osp_slice host;              /* a host name; empty: `ip` decides */
    struct osp_ip    ip;
};

/* True if `name`, a host name or the text of an address, is the expected one. */
bool osp_subject_is(const struct osp_subject *s, struct osp_slice name);

/*
 * True if the certificate `der` names the subject: by a dNSName, also one with "*" as its first label [rfc9525#6.3], or by an
 * iPAddress.  The common name does not count [rfc9525#2].  Nothing else about it is verified; what is no certificate names
 * nobody.
 */
bool osp_x509_names(struct osp_slice der, const struct osp_subject *s);

/* What a new certificate shall say. */
struct osp_x509_wish {
    const char      *name;              /* letters, digits, ".", "_", "-": the subject's common name, and a dNSName */
    enum osp_curve   curve;             /* of `pub`, which is as pk.h has it */
    struct osp_slice pub;
    bool             is_ca;             /* signs others */
    struct osp_slice issuer;            /* DER of the authority; empty: self-signed */
    enum osp_curve   signer;            /* OSP_ED25519 or OSP_P256: kind of `signer_priv`, the authority's or our own key */
    const uint8_t   *signer_priv;       /* 32 bytes, secret */
    uint8_t          serial[16];        /* random */
    int64_t          from_s, until_s;   /* seconds since 1970 */
};

/*
 * Appends the DER of a certificate.
 *   OSP_E_INVALID   a name with other characters, keys that are none, an issuer that is none
 *   OSP_E_NOSPACE, OSP_E_NOMEM, OSP_E_CRYPTO
 */
OSP_CHECKED enum osp_err osp_x509_make(const struct osp_x509_wish *w, struct osp_wr *out);

#endif
