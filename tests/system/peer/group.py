# SPDX-License-Identifier: BSD-2-Clause
"""
Group OSCORE [gosc#2]: pairwise mode, group mode, and deterministic requests [cacheable#3], at both ends.

A Group is one member's view of it.  Group.asking(server) and Group.answering() stand where the other modules take a
Context: the end-to-end layer of a client, and one of the contexts of an origin.
"""
import hashlib
from dataclasses import dataclass, field

import cbor2
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import coap, oscore
from .coap import MAX_AGE, OBSERVE, OSCORE
from .oscore import AEADS, Option, OscoreError, nonce, piv_bytes

REQUEST_HASH, PADDING = 548, 64988
GROUP_FLAG = 0x20
EDDSA, ECDH_SS_HKDF_256, SHA_256 = -8, -27, -16
SIGNATURE = 64
PRIME = 2 ** 255 - 19


class UnsafeRequest(OscoreError):
    """A deterministic request that is not GET or FETCH; `layer` protects the 4.01."""

    def __init__(self, layer):
        super().__init__("not safe")
        self.layer = layer


def raw(key):
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def montgomery(ed_public):
    """The u of an Ed25519 public key [rfc7748#4.1]; y = 1 and y = -1 are refused [gosc#2.5.2]."""
    y = int.from_bytes(ed_public, "little") & (2 ** 255 - 1)
    if y >= PRIME or y in (1, PRIME - 1):
        raise ValueError("no image")
    return ((1 + y) * pow(1 - y, -1, PRIME) % PRIME).to_bytes(32, "little")


def shared_secret(seed, peer_public):
    scalar = hashlib.sha512(seed).digest()[:32]
    return X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(montgomery(peer_public)))


def key_of(credential):
    """The Ed25519 key in a CWT Claims Set."""
    return cbor2.loads(credential)[8][1][-2]


def encode_option(option, signed):
    """The OSCORE option with its Group Flag [gosc#4.1]."""
    value = option.encode()
    if not signed:
        return value
    return bytes([value[0] | GROUP_FLAG]) + value[1:] if value else bytes([GROUP_FLAG])


def decode_option(value):
    """(Option, whether in group mode)"""
    if not value or not value[0] & GROUP_FLAG:
        return Option.decode(value), False
    rest = value[0] & ~GROUP_FLAG
    if not rest:
        if len(value) > 1:
            raise OscoreError("bytes left over")
        return Option(), True
    return Option.decode(bytes([rest]) + value[1:]), True


def encrypt_structure(array):
    return cbor2.dumps(["Encrypt0", b"", array])


def sign_structure(array, ciphertext):
    return cbor2.dumps(["CounterSignature0", b"", b"", array, ciphertext])


def class_i(request_hash):
    return coap.encode_body([(REQUEST_HASH, request_hash)], b"")


class Group:
    def __init__(self, secret, salt, gid, manager, det_id, members, self_id=None, seed=None, aead=10, group_enc=10, first=0):
        """`members`: {id: credential}, ours among them when there is `self_id`."""
        self.secret, self.salt, self.gid, self.manager, self.det_id = secret, salt, gid, manager, det_id
        self.members, self.self_id, self.seed = dict(members), self_id, seed
        self.aead, self.group_enc = aead, group_enc
        self.key_len, self.nonce_len, self.pairwise_cipher = AEADS[aead]
        self.group_key_len, group_nonce_len, self.group_cipher = AEADS[group_enc]
        self.common_iv = self.derive(b"", "IV", max(self.nonce_len, group_nonce_len))
        self.signature_key = self.derive(b"", "SEKey", self.group_key_len)
        self.next = first
        self.seen = set()                   # (kid, Partial IV) of requests of members

    def as_member(self, self_id, seed, first=0):
        """The view of another member."""
        return Group(self.secret, self.salt, self.gid, self.manager, self.det_id, self.members, self_id, seed, self.aead,
                     self.group_enc, first)

    # ---- keys ----

    def hkdf(self, ikm, salt, info, length):
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt or None, info=info).derive(ikm)

    def derive(self, ident, kind, length):
        return self.hkdf(self.secret, self.salt, oscore.info(ident, self.gid, self.group_enc, kind, length), length)

    def sender_key(self, ident):
        return self.derive(ident, "Key", self.group_key_len)

    def pairwise(self, salt, ikm, ident):
        return self.hkdf(ikm, salt, oscore.info(ident, self.gid, self.aead, "Key", self.key_len), self.key_len)

    def pairwise_key(self, sender, recipient):
        """For messages from one of two members to the other; we are one of them."""
        other = recipient if sender == self.self_id else sender
        ikm = self.members[sender] + self.members[recipient] + shared_secret(self.seed, key_of(self.members[other]))
        return self.pairwise(self.sender_key(sender), ikm, sender)

    def det_request_key(self, request_hash):
        return self.pairwise(self.sender_key(self.det_id), request_hash, self.det_id)

    def keystream(self, ident, piv, request):
        info = cbor2.dumps([ident, self.gid, request, SIGNATURE])
        return self.hkdf(self.signature_key, piv, info, SIGNATURE)

    # ---- what is authenticated ----

    def aad_array(self, kid, piv, options, option, sender):
        """`sender`: an ID, or None for the Deterministic Client, which has no credential."""
        credential = b"" if sender is None else self.members[sender]
        return cbor2.dumps([1, [self.aead, self.group_enc, EDDSA, ECDH_SS_HKDF_256], kid, piv, options, self.gid, option,
                            credential, self.manager])

    def request_hash(self, array, plain):
        return hashlib.sha256(self.sender_key(self.det_id) + array + plain).digest()

    def seal(self, cipher, key, ident, piv, array, plain):
        length = self.nonce_len if cipher is self.pairwise_cipher else AEADS[self.group_enc][1]
        return cipher(key).encrypt(nonce(ident, piv, self.common_iv[:length]), plain, encrypt_structure(array))

    def open(self, cipher, key, ident, piv, array, sealed):
        length = self.nonce_len if cipher is self.pairwise_cipher else AEADS[self.group_enc][1]
        try:
            return cipher(key).decrypt(nonce(ident, piv, self.common_iv[:length]), sealed, encrypt_structure(array))
        except (InvalidTag, ValueError) as error:
            raise OscoreError("tag") from error

    def sign(self, array, ciphertext, ident, piv, request):
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(sign_structure(array, ciphertext))
        return bytes(a ^ b for a, b in zip(signature, self.keystream(ident, piv, request)))

    def verify(self, array, ciphertext, sealed, ident, piv, request, signer):
        signature = bytes(a ^ b for a, b in zip(sealed, self.keystream(ident, piv, request)))
        try:
            Ed25519PublicKey.from_public_bytes(key_of(self.members[signer])).verify(signature, sign_structure(array, ciphertext))
        except InvalidSignature as error:
            raise OscoreError("signature") from error

    def take(self):
        self.next += 1
        return piv_bytes(self.next - 1)

    # ---- in place of a Context ----

    def asking(self, server):
        return Asking(self, server)

    def answering(self):
        return Answering(self)


def split(m, response, observe_outer):
    """(inner, outer) options [rfc8613#4.1]."""
    kinds = oscore.classes(m.options, oscore.TO_SERVER)
    inner = [(n, b"" if response and n == OBSERVE else v) for n, v in m.options if kinds[n] == "E"]
    outer = [(n, v) for n, v in m.options if kinds[n] != "E" or (n == OBSERVE and observe_outer)]
    return inner, outer


def merge(m, plain):
    made = oscore.Context.merge(m, plain)
    return made.without(REQUEST_HASH)


@dataclass
class Asking:
    """A client's layer for `server`: deterministic, or pairwise when `deterministic` is False."""
    group: Group
    server: bytes
    deterministic: bool = True

    def protect_request(self, m, towards=oscore.TO_SERVER, observe=False, piv=None):
        """(protected, layer) [cacheable#3.4.2] [gosc#8.3]; `observe`: an observation is meant."""
        del towards
        g, det = self.group, self.deterministic
        kid = g.det_id if det else g.self_id
        piv = b"\0" if det else g.take() if piv is None else piv
        inner, outer = split(m, False, observe or not det)
        option = encode_option(Option(piv=piv, kid=kid, kid_context=g.gid), False)
        array = g.aad_array(kid, piv, b"", option, None if det else kid)
        plain = bytes([m.code]) + coap.encode_body(inner, m.payload)
        layer = Layer(g, kid, piv, self.server, inner_observe=m.has(OBSERVE), outer_observe=m.has(OBSERVE) and (observe or not det))
        outer.append((OSCORE, option))
        if det:
            layer.hash = g.request_hash(array, plain)
            outer.append((REQUEST_HASH, layer.hash))
            key, code = g.det_request_key(layer.hash), coap.FETCH
        else:
            key, code = g.pairwise_key(kid, self.server), coap.FETCH if m.has(OBSERVE) else coap.POST
        layer.array, layer.plain, layer.key = array, plain, key
        sealed = g.seal(g.pairwise_cipher, key, kid, piv, array, plain)
        return m.copy(code=code, payload=sealed, options=sorted(outer, key=lambda o: o[0])), layer


class Answering:
    """An origin's side: looked up like a context by the kid of the Deterministic Client."""

    def __init__(self, group):
        self.group, self.recipient_id, self.kid_context = group, group.det_id, group.gid

    def unprotect_request(self, m, check_replay=True):
        """(plain, layer) [cacheable#3.4.3] [gosc#8.4]"""
        g = self.group
        option, signed = decode_option(m.get(OSCORE))
        if option.kid is None or option.piv is None or option.kid_context is None or not m.payload:
            raise OscoreError("option")
        if option.kid_context != g.gid or signed:
            raise OscoreError("not for this")
        if option.kid == g.det_id:
            return self.deterministic(m, option)
        if option.kid not in g.members or option.kid == g.self_id:
            raise OscoreError("not of this group")
        if check_replay and (option.kid, option.piv) in g.seen:
            raise OscoreError("replay")
        array = g.aad_array(option.kid, option.piv, b"", m.get(OSCORE), option.kid)
        plain = g.open(g.pairwise_cipher, g.pairwise_key(option.kid, g.self_id), option.kid, option.piv, array, m.payload)
        g.seen.add((option.kid, option.piv))
        return merge(m, plain), Layer(g, option.kid, option.piv, option.kid)

    def deterministic(self, m, option):
        g, values = self.group, m.all(REQUEST_HASH)
        if len(values) != 1 or len(values[0]) != 32 or option.piv != b"\0":
            raise OscoreError("not deterministic")
        array = g.aad_array(option.kid, option.piv, b"", m.get(OSCORE), None)
        plain = g.open(g.pairwise_cipher, g.det_request_key(values[0]), option.kid, option.piv, array, m.payload)
        if g.request_hash(array, plain) != values[0]:
            raise OscoreError("hash")
        made = merge(m, plain)
        layer = Layer(g, option.kid, option.piv, None, hash=values[0], inner_observe=made.has(OBSERVE),
                      outer_observe=made.has(OBSERVE) and m.has(OBSERVE))
        if made.code not in (coap.GET, coap.FETCH):
            raise UnsafeRequest(layer)
        return made, layer


@dataclass
class Layer:
    """What ties a response to its request; `other` is the server for a client, the client for a server."""
    group: Group
    kid: bytes
    piv: bytes
    other: bytes
    hash: bytes = b""
    inner_observe: bool = False
    outer_observe: bool = False
    opened: set = field(default_factory=set)
    array: bytes = b""                      # of the last message made, for the vectors
    plain: bytes = b""
    key: bytes = b""

    @property
    def class_i(self):
        return class_i(self.hash) if self.hash else b""

    def protect_response(self, m, towards=oscore.TO_PROXY, kid=None, piv=None, own_piv=False):
        """[cacheable#3.4.4] [gosc#8.5]; `kid`: whether to say who answers, by default only to deterministic requests."""
        del towards
        g, det = self.group, bool(self.hash)
        kid = det if kid is None else kid
        if piv is None and (own_piv or det):
            piv = g.take()
        inner, outer = split(m, True, self.outer_observe)
        option = encode_option(Option(piv=piv, kid=g.self_id if kid else None), det)
        array = g.aad_array(self.kid, self.piv, self.class_i, option, g.self_id)
        plain = bytes([m.code]) + coap.encode_body(inner, m.payload)
        ident, number = (g.self_id, piv) if piv is not None else (self.kid, self.piv)
        outer.append((OSCORE, option))
        if det:
            age = m.get(MAX_AGE)
            assert age is None or int.from_bytes(age, "big"), "Max-Age 0 in a response that is made to be kept"
            outer.append((MAX_AGE, b"\x3c" if age is None else age))
            key = g.sender_key(g.self_id)
            payload = g.seal(g.group_cipher, key, ident, number, array, plain)
            payload += g.sign(array, payload, ident, number, False)
        else:
            key = g.pairwise_key(g.self_id, self.other)
            payload = g.seal(g.pairwise_cipher, key, ident, number, array, plain)
        self.array, self.plain, self.key = array, plain, key
        code = "2.05" if det or (self.outer_observe and m.has(OBSERVE)) else "2.04"
        return m.copy(code=coap.code(code), payload=payload, options=sorted(outer, key=lambda o: o[0]))

    def unprotect_response(self, m):
        """[cacheable#3.4.4] [gosc#7.4] [gosc#8.6]"""
        if not m.has(OSCORE):
            raise OscoreError(f"no layer on {m}")
        g, det = self.group, bool(self.hash)
        option, signed = decode_option(m.get(OSCORE))
        if option.kid not in (None, self.other):
            raise OscoreError("another server")
        if det and (not signed or option.piv is None):
            raise OscoreError("neither signed nor numbered")
        if det and m.all(REQUEST_HASH) not in ([], [self.hash]):
            raise OscoreError("another Request-Hash")
        array = g.aad_array(self.kid, self.piv, self.class_i, m.get(OSCORE), self.other)
        ident, number = (self.other, option.piv) if option.piv is not None else (self.kid, self.piv)
        if (option.piv or b"") in self.opened:
            raise OscoreError("nonce used for a second response")
        if signed:
            sealed, signature = m.payload[:-SIGNATURE], m.payload[-SIGNATURE:]
            g.verify(array, sealed, signature, ident, number, False, self.other)
            plain = g.open(g.group_cipher, g.sender_key(self.other), ident, number, array, sealed)
        else:
            plain = g.open(g.pairwise_cipher, g.pairwise_key(self.other, g.self_id), ident, number, array, m.payload)
        self.opened.add(option.piv or b"")
        made = merge(m, plain)
        if det and self.inner_observe and not self.outer_observe:
            made = made.without(OBSERVE)
        return made
