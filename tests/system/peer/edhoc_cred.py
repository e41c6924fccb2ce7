# SPDX-License-Identifier: BSD-2-Clause
"""
Credentials of EDHOC (RFC 9528, 3.5): CWT Claims Sets by kid and by value, X.509 certificates by x5t and by value; and the
strict CBOR in which they and the messages come.
"""
import datetime
import hashlib
from dataclasses import dataclass

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

KID, KCCS, X5CHAIN, X5T = 4, 14, 33, 34
SHA_256, SHA_256_64 = -16, -15
CNF, COSE_KEY, SUB = 8, 1, 2
DEPTH = 8


class CborError(ValueError):
    """Not what deterministic CBOR (RFC 8949, 4.2.1) and the form of the field allow."""


class Unknown(CborError):
    """A reference to a credential that is not known here."""


# ---- CBOR ----

@dataclass(frozen=True)
class Item:
    value: object
    raw: bytes


def _head(data, at):
    """(major type, additional information, argument, position behind)"""
    if at >= len(data):
        raise CborError("cut short")
    major, info = data[at] >> 5, data[at] & 31
    if info < 24:
        return major, info, info, at + 1
    if info > 27:
        raise CborError("indefinite length or reserved")
    n = 1 << (info - 24)
    if at + 1 + n > len(data):
        raise CborError("cut short")
    value = int.from_bytes(data[at + 1:at + 1 + n], "big")
    shortest = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}[n]
    if major != 7 and value < shortest:
        raise CborError("longer than needed")
    return major, info, value, at + 1 + n


def _end(data, at, depth=DEPTH):
    """The position behind the item at `at`."""
    if depth == 0:
        raise CborError("too deep")
    major, info, value, at = _head(data, at)
    if major in (2, 3):
        at += value
    elif major in (4, 5):
        for _ in range(value * (major - 3)):
            at = _end(data, at, depth - 1)
    elif major == 6:
        at = _end(data, at, depth - 1)
    elif major == 7 and info < 25 and value not in (20, 21, 22, 23):
        raise CborError("simple value")
    if at > len(data):
        raise CborError("cut short")
    return at


def items(data):
    """The items of a CBOR sequence, all of it."""
    found, at = [], 0
    while at < len(data):
        end = _end(data, at)
        try:
            found.append(Item(cbor2.loads(data[at:end]), data[at:end]))
        except (cbor2.CBORDecodeError, ValueError, TypeError) as error:     # a text that is not UTF-8, a list as a key
            raise CborError(str(error)) from error
        at = end
    return found


def first(data):
    """(the first item, what stands behind it)"""
    end = _end(data, 0)
    return items(data[:end])[0], data[end:]


def encode_id(value):
    """A byte string identifier; a one-byte integer stands for itself (RFC 9528, 3.3.2)."""
    if len(value) == 1 and (value[0] <= 0x17 or 0x20 <= value[0] <= 0x37):
        return value
    return cbor2.dumps(value)


def decode_id(item):
    if type(item.value) is int and len(item.raw) == 1:
        return item.raw
    if isinstance(item.value, bytes) and encode_id(item.value) == item.raw:
        return item.value
    raise CborError("identifier")


def decode_id_cred(item):
    """The map, encoded, that ID_CRED in a plaintext stands for (RFC 9528, 3.5.3.2)."""
    if not isinstance(item.value, dict):
        return cbor2.dumps({KID: decode_id(item)})
    if not item.value or (len(item.value) == 1 and KID in item.value):
        raise CborError("a lone kid in a map")
    return item.raw


# ---- keys ----

def kind_of(public):
    for kind, form in (("Ed25519", Ed25519PublicKey), ("X25519", X25519PublicKey), ("P-256", ec.EllipticCurvePublicKey)):
        if isinstance(public, form):
            return kind
    raise CborError("a key of another kind")


def x_of(public):
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_numbers().x.to_bytes(32, "big")
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def new_key(kind):
    return {"Ed25519": Ed25519PrivateKey.generate, "X25519": X25519PrivateKey.generate,
            "P-256": lambda: ec.generate_private_key(ec.SECP256R1())}[kind]()


def private_bytes(private):
    """The raw private key, 32 bytes."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.private_numbers().private_value.to_bytes(32, "big")
    return private.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())


def private_key(kind, raw):
    if kind == "P-256":
        return ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1())
    return {"Ed25519": Ed25519PrivateKey, "X25519": X25519PrivateKey}[kind].from_private_bytes(raw)


def cose_key(public, kid=None):
    key = {1: 2 if kind_of(public) == "P-256" else 1}
    if kid is not None:
        key[2] = kid
    key.update({-1: {"P-256": 1, "X25519": 4, "Ed25519": 6}[kind_of(public)], -2: x_of(public)})
    if kind_of(public) == "P-256":
        key[-3] = public.public_numbers().y.to_bytes(32, "big")
    return key


def public_of(key):
    """The public key in a COSE_Key."""
    try:
        form, curve, x, y = key[1], key[-1], key[-2], key.get(-3, False)
        if (form, curve) == (1, 4):
            return X25519PublicKey.from_public_bytes(x)
        if (form, curve) == (1, 6):
            return Ed25519PublicKey.from_public_bytes(x)
        if (form, curve) == (2, 1):
            encoded = b"\x04" + x + y if isinstance(y, bytes) else bytes([3 if y else 2]) + x
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CborError(f"COSE_Key: {error}") from error
    raise CborError("COSE_Key of another kind")


# ---- credentials ----

@dataclass
class Credential:
    cred: bytes                             # CRED_x, an encoded CBOR item
    id_cred: bytes                          # ID_CRED_x, an encoded map
    public: object
    private: object = None

    @property
    def kind(self):
        return kind_of(self.public)

    @property
    def compact_id_cred(self):
        """ID_CRED_x in a plaintext (RFC 9528, 3.5.3.2)."""
        ident = cbor2.loads(self.id_cred)
        return encode_id(ident[KID]) if set(ident) == {KID} else self.id_cred

    def without_private(self):
        return Credential(self.cred, self.id_cred, self.public)

    @classmethod
    def new(cls, kind, how="kid", kid=b"\x05"):
        """With a new key; `how` is the way in which messages refer to it: kid, kccs, x5t, x5chain."""
        key = new_key(kind)
        if how in ("x5t", "x5chain"):
            return cls.certificate(key, by_value=how == "x5chain")
        return cls.ccs(key, kid, "test", by_value=how == "kccs")

    @classmethod
    def from_ccs(cls, ccs, private=None, by_value=False):
        """`ccs` as encoded; referred to by the kid in its COSE_Key."""
        try:
            key = cbor2.loads(ccs)[CNF][COSE_KEY]
        except (KeyError, TypeError, cbor2.CBORDecodeError) as error:
            raise CborError(f"CCS: {error}") from error
        public = public_of(key)
        if by_value or 2 not in key:
            return cls(ccs, b"\xa1" + cbor2.dumps(KCCS) + ccs, public, private)
        return cls(ccs, cbor2.dumps({KID: key[2]}), public, private)

    @classmethod
    def ccs(cls, private, kid=None, subject=None, by_value=False):
        """A new CCS around the public key of `private`."""
        claims = {} if subject is None else {SUB: subject}
        claims[CNF] = {COSE_KEY: cose_key(private.public_key(), kid)}
        return cls.from_ccs(cbor2.dumps(claims), private, by_value)

    @classmethod
    def from_der(cls, der, private=None, by_value=False, hash_alg=SHA_256_64):
        """A certificate, by x5t or as an x5chain of one."""
        digest = hashlib.sha256(der).digest()[:8 if hash_alg == SHA_256_64 else 32]
        ident = {X5CHAIN: der} if by_value else {X5T: [hash_alg, digest]}
        return cls(cbor2.dumps(der), cbor2.dumps(ident), x509.load_der_x509_certificate(der).public_key(), private)

    @classmethod
    def certificate(cls, private, name="edhoc", signer=None, **kw):
        """A new certificate for the key of `private`; a key that cannot sign needs a `signer`."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        signer = signer or (Ed25519PrivateKey.generate() if isinstance(private, X25519PrivateKey) else private)
        begin = datetime.datetime(2024, 1, 1)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key()) \
            .serial_number(x509.random_serial_number()).not_valid_before(begin) \
            .not_valid_after(begin + datetime.timedelta(days=9000)) \
            .sign(signer, None if isinstance(signer, Ed25519PrivateKey) else hashes.SHA256())
        return cls.from_der(made.public_bytes(serialization.Encoding.DER), private, **kw)


def look_up(id_cred, known):
    """The credentials among `known` that ID_CRED may mean; one that is sent by value has to be among them, too."""
    ident = cbor2.loads(id_cred)
    if set(ident) == {KID}:
        found = [c for c in known if kid_of(c) == ident[KID]]
    elif set(ident) == {X5T}:
        found = [c for c in known if is_hash_of(ident[X5T], c)]
    elif set(ident) in ({KCCS}, {X5CHAIN}):
        sent = first(id_cred[1:])[1] if KCCS in ident else cbor2.dumps(ident[X5CHAIN])
        found = [c for c in known if c.cred == sent]
        if not found:
            raise CborError("credential not trusted")
    else:
        raise CborError("credential identifier of another type")
    if not found:
        raise Unknown("no such credential")
    return [Credential(c.cred, id_cred, c.public, c.private) for c in found]


def kid_of(credential):
    """The kid of a credential, whichever way it refers to itself."""
    ident = cbor2.loads(credential.id_cred)
    if KID in ident:
        return ident[KID]
    try:
        return cbor2.loads(credential.cred)[CNF][COSE_KEY].get(2)
    except (TypeError, KeyError):           # a certificate
        return None


def is_hash_of(cert_hash, credential):
    der = cbor2.loads(credential.cred)
    if not isinstance(der, bytes) or not isinstance(cert_hash, list) or len(cert_hash) != 2:
        return False
    length = {SHA_256: 32, SHA_256_64: 8}.get(cert_hash[0])
    return length is not None and hashlib.sha256(der).digest()[:length] == cert_hash[1]
