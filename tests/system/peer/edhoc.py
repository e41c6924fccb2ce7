# SPDX-License-Identifier: BSD-2-Clause
"""
EDHOC (RFC 9528), both roles, methods 0 to 3, cipher suites 0 to 3.  Written from the RFC.

An Initiator or a Responder is one session: message_1 .. message_4 make messages, take_message_1 .. take_message_4 accept
the other party's, and both keep everything that was computed in `values`, by the names of RFC 9529.  edhoc_coap carries
the messages.
"""
import hashlib
import hmac
import secrets
from dataclasses import dataclass

import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from . import edhoc_cred, oscore
from .edhoc_cred import CborError, Credential, Unknown, encode_id, items

ERR_UNSPECIFIED, ERR_SUITE, ERR_CREDENTIAL = 1, 2, 3
HASH = 32                                   # SHA-256 in suites 0 to 3
SIGNATURE = 64                              # EdDSA and ES256
COORDINATE = 32                             # X25519 and P-256


@dataclass(frozen=True)
class Suite:
    aead: int                               # of EDHOC itself; the application's is 10 in all four
    mac: int
    curve: str
    application: int = 10


SUITES = {0: Suite(10, 8, "X25519"), 1: Suite(30, 16, "X25519"), 2: Suite(10, 8, "P-256"), 3: Suite(30, 16, "P-256")}


class EdhocError(Exception):
    """The session has ended; `message` is what the other party is told (RFC 9528, 6)."""

    def __init__(self, text, code=ERR_UNSPECIFIED, info=None):
        super().__init__(text)
        self.code, self.info = code, text if info is None else info

    @property
    def message(self):
        return cbor2.dumps(self.code) + cbor2.dumps(self.info)


class PeerError(EdhocError):
    """The other party ended the session."""


def decode_error(data):
    """(ERR_CODE, ERR_INFO), None for anything else."""
    try:
        parts = items(data)
    except CborError:
        return None
    if len(parts) != 2 or type(parts[0].value) is not int or parts[0].value == 0:
        return None
    return parts[0].value, parts[1].value


def encode_suites(suites):
    return cbor2.dumps(suites[0] if len(suites) == 1 else list(suites))


def decode_suites(item):
    """A list (RFC 9528, 5.2.1); one suite has to be an int."""
    if type(item.value) is int:
        return [item.value]
    if isinstance(item.value, list) and len(item.value) >= 2 and all(type(s) is int for s in item.value):
        return list(item.value)
    raise EdhocError("SUITES")


def encode_ead(ead):
    return b"".join(cbor2.dumps(label) + (b"" if value is None else cbor2.dumps(value)) for label, value in ead)


def decode_ead(parts, understood=()):
    """[(label, value or None)]; a critical item that nobody understands ends the session (RFC 9528, 3.8)."""
    found, rest = [], list(parts)
    while rest:
        label = rest.pop(0).value
        if type(label) is not int:
            raise EdhocError("EAD label")
        value = rest.pop(0).value if rest and isinstance(rest[0].value, bytes) else None
        if label < 0 and -label not in understood:
            raise EdhocError("Critical EAD item not supported")
        found.append((label, value))
    return found


def new_ephemeral(curve):
    return X25519PrivateKey.generate() if curve == "X25519" else ec.generate_private_key(ec.SECP256R1())


def compact(key):
    """The x-coordinate of the public key."""
    public = key.public_key() if hasattr(key, "public_key") else key
    return edhoc_cred.x_of(public)


def point(curve, x):
    try:
        if curve == "X25519":
            return X25519PublicKey.from_public_bytes(x)
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x02" + x)    # RFC 9528, B
    except ValueError as error:
        raise EdhocError("Ephemeral key") from error


def exchange(private, public):
    """The shared secret; a point of low order is refused (RFC 9528, 9.2)."""
    try:
        if isinstance(private, X25519PrivateKey):
            return private.exchange(public)
        return private.exchange(ec.ECDH(), public)
    except ValueError as error:
        raise EdhocError("Shared secret") from error


def extract(salt, ikm):
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def encode_info(label, context, length):
    return cbor2.dumps(label) + cbor2.dumps(context) + cbor2.dumps(length)


def expand(prk, info, length):
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(prk) if length else b""


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def sequence(data, what):
    try:
        return items(data)
    except CborError as error:
        raise EdhocError(f"{what}: {error}") from error


def lone_bstr(data, what):
    """message_2, message_3 and message_4 are one byte string each."""
    parts = sequence(data, what)
    if len(parts) != 1 or not isinstance(parts[0].value, bytes):
        raise EdhocError(f"{what} is not one byte string")
    return parts[0].value


def identifier(item):
    try:
        return edhoc_cred.decode_id(item)
    except CborError as error:
        raise EdhocError("Identifier") from error


class Session:
    """What both roles have.  `credentials` are ours, with private keys; `peers` are those we know."""

    def __init__(self, credentials, peers, understood=(), ephemeral=None):
        self.credentials = [credentials] if isinstance(credentials, Credential) else list(credentials)
        self.peers, self.understood, self.ephemeral = list(peers), set(understood), ephemeral
        self.values = {}
        self.method = self.suite = None
        self.c_i = self.c_r = None
        self.peer = None                    # the credential that the other party proved to own
        self.ead = {}                       # {1: [(label, value)], ..} of what came in
        self.state = "start"

    def enter(self, state, *allowed):
        if self.state not in allowed:
            raise EdhocError(f"No session that waits for this ({self.state})")
        self.state = "failed"               # until the step is complete; `done` says so
        self.next_state = state

    def done(self):
        self.state = self.next_state

    # ---- values ----

    def note(self, name, value):
        self.values[name] = value
        return value

    def kdf(self, name, prk, label, context, length):
        info = self.note(f"info_for_{name}", encode_info(label, context, length))
        return self.note(name, expand(prk, info, length))

    def hash(self, name, data):
        return self.note(name, hashlib.sha256(self.note(f"input_to_calculate_{name}", data)).digest())

    @property
    def algorithms(self):
        return SUITES[self.suite]

    def is_static(self, initiator):
        """Whether that role authenticates with a static Diffie-Hellman key (RFC 9528, 3.2)."""
        return bool(self.method & 2) if initiator else bool(self.method & 1)

    def mac_length(self, initiator):
        return self.algorithms.mac if self.is_static(initiator) else HASH

    def kind(self, initiator):
        if self.algorithms.curve == "P-256":
            return "P-256"
        return "X25519" if self.is_static(initiator) else "Ed25519"

    def own(self, initiator):
        kind = self.kind(initiator)
        found = next((c for c in self.credentials if c.kind == kind), None)
        if not found:
            raise EdhocError(f"No credential with a key for {kind}")
        return found

    # ---- keys, each from the one before (RFC 9528, 4.1) ----

    def set_th_2(self, g_y):
        self.note("g_y", g_y)
        h = self.note("h_message_1", hashlib.sha256(self.values["message_1"]).digest())
        self.hash("th_2", cbor2.dumps(g_y) + cbor2.dumps(h))

    def set_prk_2e(self, g_xy):
        self.note("prk_2e", extract(self.note("salt", self.values["th_2"]), self.note("g_xy", g_xy)))

    def set_prk_3e2m(self, secret):
        """`secret` gives G_RX; it is asked only when the Responder's key is a static one."""
        if not self.is_static(False):
            self.note("prk_3e2m", self.values["prk_2e"])
            return
        salt = self.kdf("salt_3e2m", self.values["prk_2e"], 1, self.values["th_2"], HASH)
        self.note("prk_3e2m", extract(salt, self.note("g_rx", secret())))

    def set_prk_4e3m(self, secret):
        if not self.is_static(True):
            self.note("prk_4e3m", self.values["prk_3e2m"])
            return
        salt = self.kdf("salt_4e3m", self.values["prk_3e2m"], 5, self.values["th_3"], HASH)
        self.note("prk_4e3m", extract(salt, self.note("g_iy", secret())))

    def set_th_3(self, cred_r):
        self.hash("th_3", cbor2.dumps(self.values["th_2"]) + self.values["plaintext_2"] + cred_r)

    def set_th_4(self, cred_i):
        self.hash("th_4", cbor2.dumps(self.values["th_3"]) + self.values["plaintext_3"] + cred_i)

    def set_prk_out(self):
        out = self.kdf("prk_out", self.values["prk_4e3m"], 7, self.values["th_4"], HASH)
        self.kdf("prk_exporter", out, 10, b"", HASH)

    # ---- authentication, the same for message_2 and message_3 but for n ----

    def mac(self, n, credential, ead):
        """MAC_2 or MAC_3 over the credential (RFC 9528, 5.3.2 and 5.4.2)."""
        th, prk = self.values[f"th_{n}"], self.values["prk_3e2m" if n == 2 else "prk_4e3m"]
        context = credential.id_cred + cbor2.dumps(th) + credential.cred + ead
        if n == 2:
            context = encode_id(self.c_r) + context
        self.note(f"context_{n}", context)
        return self.kdf(f"mac_{n}", prk, n if n == 2 else 6, context, self.mac_length(n == 3))

    def to_be_signed(self, n, credential, ead, mac):
        aad = cbor2.dumps(self.values[f"th_{n}"]) + credential.cred + ead
        return self.note(f"message_to_be_signed_{n}", cbor2.dumps(["Signature1", credential.id_cred, aad, mac]))

    def prove(self, n, credential, ead):
        """Signature_or_MAC of ours."""
        mac = self.mac(n, credential, ead)
        if self.is_static(n == 3):
            return self.note(f"signature_or_mac_{n}", mac)
        signed = self.to_be_signed(n, credential, ead, mac)
        if credential.kind == "Ed25519":
            return self.note(f"signature_or_mac_{n}", credential.private.sign(signed))
        r, s = decode_dss_signature(credential.private.sign(signed, ec.ECDSA(hashes.SHA256())))
        return self.note(f"signature_or_mac_{n}", r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def verify(self, n, credential, ead, proof):
        mac = self.mac(n, credential, ead)
        if self.is_static(n == 3):
            return hmac.compare_digest(mac, proof)
        signed = self.to_be_signed(n, credential, ead, mac)
        try:
            if credential.kind == "Ed25519":
                credential.public.verify(proof, signed)
            else:
                der = encode_dss_signature(int.from_bytes(proof[:32], "big"), int.from_bytes(proof[32:], "big"))
                credential.public.verify(der, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def read_plaintext(self, n, parts):
        """ID_CRED, proof and EAD of message_2 or message_3; checks their form."""
        if len(parts) < 2:
            raise EdhocError(f"PLAINTEXT_{n} is too short")
        try:
            id_cred = edhoc_cred.decode_id_cred(parts[0])
        except CborError as error:
            raise EdhocError(f"ID_CRED in message_{n}") from error
        proof = parts[1].value
        length = self.algorithms.mac if self.is_static(n == 3) else SIGNATURE
        if not isinstance(proof, bytes) or len(proof) != length:
            raise EdhocError(f"Signature_or_MAC_{n}")
        self.note(f"signature_or_mac_{n}", proof)
        self.ead[n] = decode_ead(parts[2:], self.understood)
        return id_cred, proof, encode_ead(self.ead[n])

    def authenticate(self, n, id_cred, proof, ead, attempt):
        """Tries the credentials that ID_CRED may mean (RFC 9528, 3.5.3); attempt(c) derives what depends on one."""
        try:
            found = edhoc_cred.look_up(id_cred, self.peers)
        except Unknown as error:            # only a reference, and only one of a known type (RFC 9528, 6.4)
            raise EdhocError("Unknown credential referenced", ERR_CREDENTIAL, True) from error
        except CborError as error:
            raise EdhocError(f"ID_CRED: {error}") from error
        for credential in found:
            if credential.kind != self.kind(n == 3):
                continue
            attempt(credential)
            if self.verify(n, credential, ead, proof):
                self.peer = credential
                return credential
        raise EdhocError(f"Signature_or_MAC_{n} verification failed")

    # ---- encryption (RFC 9528, 5.4.2 and 5.5.2) ----

    def aead(self, n):
        key_len, iv_len, cipher = oscore.AEADS[self.algorithms.aead]
        th, prk = self.values[f"th_{n}"], self.values["prk_3e2m" if n == 3 else "prk_4e3m"]
        key = self.kdf(f"k_{n}", prk, 3 if n == 3 else 8, th, key_len)
        iv = self.kdf(f"iv_{n}", prk, 4 if n == 3 else 9, th, iv_len)
        return cipher(key), iv, self.note(f"a_{n}", cbor2.dumps(["Encrypt0", b"", th]))

    def seal(self, n, plaintext):
        cipher, iv, aad = self.aead(n)
        sealed = self.note(f"ciphertext_{n}", cipher.encrypt(iv, self.note(f"plaintext_{n}", plaintext), aad))
        return self.note(f"message_{n}", cbor2.dumps(sealed))

    def open(self, n, message):
        sealed = lone_bstr(message, f"message_{n}")
        cipher, iv, aad = self.aead(n)
        try:
            plaintext = cipher.decrypt(iv, sealed, aad)
        except (InvalidTag, ValueError) as error:
            raise EdhocError(f"message_{n} does not decrypt") from error
        self.note(f"ciphertext_{n}", sealed)
        self.note(f"message_{n}", message)
        return self.note(f"plaintext_{n}", plaintext)

    # ---- the outcome ----

    def exporter(self, label, context=b"", length=16, name="exported"):
        return self.kdf(name, self.values["prk_exporter"], label, context, length)

    def key_update(self, context):
        """EDHOC_KeyUpdate (RFC 9528, H)."""
        out = self.kdf("prk_out", self.values["prk_out"], 11, context, HASH)
        self.kdf("prk_exporter", out, 10, b"", HASH)

    def oscore(self, first=0):
        """The OSCORE Security Context (RFC 9528, A.1), our side of it."""
        key_len = oscore.AEADS[self.algorithms.application][0]
        secret = self.exporter(0, b"", key_len, "oscore_master_secret")
        salt = self.exporter(1, b"", 8, "oscore_master_salt")
        ours, theirs = (self.c_i, self.c_r) if isinstance(self, Initiator) else (self.c_r, self.c_i)
        return oscore.Context(secret, salt, theirs, ours, aead=self.algorithms.application, first=first)


class Initiator(Session):
    """`suites` in order of preference; `selected` is one of them, the first when nothing is known of the Responder."""

    def __init__(self, credentials, peers, method=0, suites=(0,), selected=None, c_i=None, ead_1=(), ead_3=(), understood=(),
                 ephemeral=None):
        super().__init__(credentials, peers, understood, ephemeral)
        self.method, self.suites = method, list(suites)
        self.suite = self.suites[0] if selected is None else selected
        self.c_i = secrets.token_bytes(2) if c_i is None else c_i
        self.ead_1, self.ead_3 = list(ead_1), list(ead_3)

    def retry(self, suites_r):
        """The next session, after error 2: the most preferred suite that the Responder has (RFC 9528, 6.3.1)."""
        selected = next((s for s in self.suites if s in suites_r), None)
        if selected is None or selected == self.suite:
            raise EdhocError("No common cipher suite")
        return Initiator(self.credentials, self.peers, self.method, self.suites, selected, self.c_i, self.ead_1, self.ead_3,
                         self.understood)

    def message_1(self):
        self.enter("wait_2", "start")
        offered = self.suites[:self.suites.index(self.suite) + 1]
        if self.ephemeral is None:          # a suite we only pretend to have still gets a key of its size
            self.ephemeral = new_ephemeral(SUITES[self.suite].curve if self.suite in SUITES else "P-256")
        g_x = self.note("g_x", compact(self.ephemeral))
        message = cbor2.dumps(self.method) + encode_suites(offered) + cbor2.dumps(g_x) + encode_id(self.c_i) + \
            encode_ead(self.ead_1)
        self.done()
        return self.note("message_1", message)

    def take_message_2(self, message):
        self.enter("make_3", "wait_2")
        both = lone_bstr(message, "message_2")
        self.note("message_2", message)
        g_y, ciphertext = both[:COORDINATE], self.note("ciphertext_2", both[COORDINATE:])
        self.g_y = point(self.algorithms.curve, g_y)
        self.set_th_2(g_y)
        self.set_prk_2e(exchange(self.ephemeral, self.g_y))
        stream = self.kdf("keystream_2", self.values["prk_2e"], 0, self.values["th_2"], len(ciphertext))
        self.take_plaintext_2(xor(ciphertext, stream))
        self.done()

    def take_plaintext_2(self, plaintext):
        parts = sequence(self.note("plaintext_2", plaintext), "PLAINTEXT_2")
        if not parts:
            raise EdhocError("PLAINTEXT_2 is empty")
        self.c_r = identifier(parts[0])
        id_cred, proof, ead = self.read_plaintext(2, parts[1:])
        if self.c_r == self.c_i:            # RFC 9668, 4.1.3
            raise EdhocError("C_R equals C_I")
        found = self.authenticate(2, id_cred, proof, ead,
                                  lambda c: self.set_prk_3e2m(lambda: exchange(self.ephemeral, c.public)))
        self.set_th_3(found.cred)

    def message_3(self):
        self.enter("wait_4", "make_3")
        ours, ead = self.own(True), encode_ead(self.ead_3)
        self.set_prk_4e3m(lambda: exchange(ours.private, self.g_y))
        proof = self.prove(3, ours, ead)
        message = self.seal(3, ours.compact_id_cred + cbor2.dumps(proof) + ead)
        self.set_th_4(ours.cred)
        self.set_prk_out()
        self.done()
        return message

    def take_message_4(self, message):
        self.enter("complete", "wait_4")
        self.ead[4] = decode_ead(sequence(self.open(4, message), "PLAINTEXT_4"), self.understood)
        self.done()


class Responder(Session):
    """`taken` are identifiers that C_R must not be: of other sessions and Recipient IDs (RFC 9668, 4.1.2)."""

    def __init__(self, credentials, peers, methods=(0, 1, 2, 3), suites=(0, 1, 2, 3), c_r=None, taken=(), ead_2=(), ead_4=(),
                 understood=(), ephemeral=None):
        super().__init__(credentials, peers, understood, ephemeral)
        self.methods, self.suites, self.taken = list(methods), list(suites), set(taken)
        self.chosen = c_r
        self.ead_2, self.ead_4 = list(ead_2), list(ead_4)

    def take_message_1(self, message):
        self.enter("make_2", "start")
        parts = sequence(self.note("message_1", message), "message_1")
        if len(parts) < 4 or type(parts[0].value) is not int or not isinstance(parts[2].value, bytes):
            raise EdhocError("message_1")
        self.method = parts[0].value
        if self.method not in self.methods:
            raise EdhocError("Method not supported")
        self.select(decode_suites(parts[1]))
        g_x = self.note("g_x", parts[2].value)
        self.g_x = point(self.algorithms.curve, g_x)
        self.c_i = identifier(parts[3])
        self.ead[1] = decode_ead(parts[4:], self.understood)
        self.ephemeral = self.ephemeral or new_ephemeral(self.algorithms.curve)
        self.g_xy = exchange(self.ephemeral, self.g_x)
        self.done()

    def select(self, suites_i):
        """The last is the selected one, and no other before it may be ours (RFC 9528, 5.2.3 and 6.3)."""
        common = next((s for s in suites_i if s in self.suites), None)
        if suites_i[-1] not in self.suites or common != suites_i[-1]:
            offer = self.suites if common is None else [common]
            raise EdhocError("Wrong selected cipher suite", ERR_SUITE, offer[0] if len(offer) == 1 else list(offer))
        self.suite = suites_i[-1]

    def choose(self):
        if self.chosen is not None:
            return self.chosen
        while True:
            c_r = secrets.token_bytes(1 if len(self.taken) < 64 else 2)
            if c_r != self.c_i and c_r not in self.taken:
                return c_r

    def message_2(self):
        self.enter("wait_3", "make_2")
        self.c_r, ours, ead = self.choose(), self.own(False), encode_ead(self.ead_2)
        g_y = compact(self.ephemeral)
        self.set_th_2(g_y)
        self.set_prk_2e(self.g_xy)
        self.set_prk_3e2m(lambda: exchange(ours.private, self.g_x))
        proof = self.prove(2, ours, ead)
        plaintext = self.note("plaintext_2", encode_id(self.c_r) + ours.compact_id_cred + cbor2.dumps(proof) + ead)
        stream = self.kdf("keystream_2", self.values["prk_2e"], 0, self.values["th_2"], len(plaintext))
        ciphertext = self.note("ciphertext_2", xor(plaintext, stream))
        self.set_th_3(ours.cred)
        self.done()
        return self.note("message_2", cbor2.dumps(g_y + ciphertext))

    def take_message_3(self, message):
        self.enter("make_4", "wait_3")
        id_cred, proof, ead = self.read_plaintext(3, sequence(self.open(3, message), "PLAINTEXT_3"))
        found = self.authenticate(3, id_cred, proof, ead,
                                  lambda c: self.set_prk_4e3m(lambda: exchange(self.ephemeral, c.public)))
        self.set_th_4(found.cred)
        self.set_prk_out()
        self.done()

    def message_4(self):
        self.enter("complete", "make_4")
        message = self.seal(4, encode_ead(self.ead_4))
        self.done()
        return message
