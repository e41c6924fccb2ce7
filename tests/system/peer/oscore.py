# SPDX-License-Identifier: BSD-2-Clause
"""
OSCORE [rfc8613] with nesting [ocp#2]: contexts, one layer on or off, stacks of layers.
"""
from dataclasses import dataclass, field

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import coap
from .coap import ECHO, HOP_LIMIT, OBSERVE, OSCORE, PROXY_SCHEME, PROXY_URI, URI_HOST, URI_PORT


class OscoreError(Exception):
    """The layer does not come off."""


# COSE number: key length, nonce length, how to open
AEADS = {
    1: (16, 12, AESGCM), 3: (32, 12, AESGCM),
    10: (16, 13, lambda key: AESCCM(key, 8)), 11: (32, 13, lambda key: AESCCM(key, 8)),
    12: (16, 7, lambda key: AESCCM(key, 8)), 30: (16, 13, lambda key: AESCCM(key, 16)),
    31: (32, 13, lambda key: AESCCM(key, 16)), 24: (32, 12, ChaCha20Poly1305),
}
AEAD_NAMES = {1: "A128GCM", 3: "A256GCM", 10: "AES-CCM-16-64-128", 11: "AES-CCM-16-64-256", 12: "AES-CCM-64-64-128",
              30: "AES-CCM-16-128-128", 31: "AES-CCM-16-128-256", 24: "ChaCha20/Poly1305"}

# Figure 5 of RFC 8613, options that are never encrypted end to end; Hop-Limit by [ocp#3]
OUTER_ONLY = {URI_HOST, URI_PORT, PROXY_URI, PROXY_SCHEME, HOP_LIMIT, OSCORE}
TO_SERVER, TO_PROXY = "server", "proxy"


def classes(options, towards):
    """
    {number: 'E', 'U'}: how the sender of a message treats the options it holds.  Towards the server the original
    classes.  Towards the adjacent proxy, or from one, everything is encrypted, but for Uri-Host and Uri-Port when no
    Proxy-Scheme goes along, since they tell the receiver which of its names is meant [ocp#2.2].
    """
    numbers = {n for n, _ in options}
    if towards == TO_SERVER:
        return {n: "U" if n in OUTER_ONLY else "E" for n in numbers}
    keep = set() if PROXY_SCHEME in numbers else {URI_HOST, URI_PORT}
    return {n: "U" if n in keep else "E" for n in numbers}


def piv_bytes(number):
    """A Partial IV has no leading zeroes, zero is one byte."""
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


@dataclass
class Option:
    """The OSCORE option [rfc8613#6.1]; None is absent."""
    piv: bytes = None
    kid: bytes = None
    kid_context: bytes = None

    def encode(self):
        flags = (len(self.piv) if self.piv is not None else 0) | (8 if self.kid is not None else 0) | \
            (16 if self.kid_context is not None else 0)
        if not flags:
            return b""
        out = bytes([flags]) + (self.piv or b"")
        if self.kid_context is not None:
            out += bytes([len(self.kid_context)]) + self.kid_context
        return out + (self.kid or b"")

    @classmethod
    def decode(cls, value):
        if not value:
            return cls()
        flags, at = value[0], 1
        n = flags & 7
        if flags & 0xe0 or n > 5 or at + n > len(value):
            raise OscoreError("option")
        o = cls(piv=value[at:at + n] if n else None)
        at += n
        if flags & 16:
            if at >= len(value) or at + 1 + value[at] > len(value):
                raise OscoreError("kid context")
            o.kid_context = value[at + 1:at + 1 + value[at]]
            at += 1 + value[at]
        if flags & 8:
            o.kid = value[at:]
        elif at != len(value):
            raise OscoreError("bytes left over")
        return o


def info(ident, id_context, aead, kind, length):
    return cbor2.dumps([ident, id_context, aead, kind, length])


def aad(aead, request_kid, request_piv):
    array = cbor2.dumps([1, [aead], request_kid, request_piv, b""])
    return cbor2.dumps(["Encrypt0", b"", array])


def nonce(ident, piv, common_iv):
    n = len(common_iv)
    padded = bytes([len(ident)]) + ident.rjust(n - 6, b"\0") + piv.rjust(5, b"\0")
    return bytes(a ^ b for a, b in zip(padded, common_iv))


class Context:
    """A Security Context as one of its two parties sees it."""

    def __init__(self, secret, salt=b"", sender_id=b"", recipient_id=b"", id_context=None, aead=10, hash_=hashes.SHA256,
                 first=0):
        self.secret, self.salt, self.id_context, self.aead, self.hash = secret, salt, id_context, aead, hash_
        self.sender_id, self.recipient_id = sender_id, recipient_id
        key_len, nonce_len, self.cipher = AEADS[aead]
        self.sender_key = self.derive(sender_id, "Key", key_len)
        self.recipient_key = self.derive(recipient_id, "Key", key_len)
        self.common_iv = self.derive(b"", "IV", nonce_len)
        self.kid_context = id_context   # what names it on the wire
        self.response_kid_context = None
        self.next = first               # Sender Sequence Number
        self.seen = set()               # Partial IVs of requests that were accepted

    def derive(self, ident, kind, length):
        return HKDF(algorithm=self.hash(), length=length, salt=self.salt or None,
                    info=info(ident, self.id_context, self.aead, kind, length)).derive(self.secret)

    def other_side(self, first=0):
        """The context of the other party."""
        return Context(self.secret, self.salt, self.recipient_id, self.sender_id, self.id_context, self.aead, self.hash, first)

    def take(self):
        self.next += 1
        return piv_bytes(self.next - 1)

    # ---- requests ----

    def protect_request(self, m, towards=TO_SERVER, piv=None, kinds=None):
        """(protected message, layer): the layer opens the response."""
        piv = self.take() if piv is None else piv
        kinds = kinds or classes(m.options, towards)
        observe = m.has(OBSERVE)
        inner = [(n, v) for n, v in m.options if n == OBSERVE or kinds[n] == "E"]
        outer = [(n, v) for n, v in m.options if n == OBSERVE or kinds[n] != "E"]
        option = Option(piv=piv, kid=self.sender_id, kid_context=self.kid_context)
        layer = Layer(self, self.sender_id, piv, observe)
        sealed = self.cipher(self.sender_key).encrypt(
            nonce(self.sender_id, piv, self.common_iv), bytes([m.code]) + coap.encode_body(inner, m.payload), layer.aad())
        return m.copy(code=coap.FETCH if observe else coap.POST, payload=sealed,
                      options=sorted(outer + [(OSCORE, option.encode())], key=lambda o: o[0])), layer

    def unprotect_request(self, m, check_replay=True):
        """(message, layer)"""
        option = Option.decode(m.get(OSCORE))
        if option.kid != self.recipient_id or option.piv is None:
            raise OscoreError("not of this context")
        layer = Layer(self, option.kid, option.piv, m.has(OBSERVE))
        if check_replay and option.piv in self.seen:
            raise OscoreError("replay")
        plain = self.open(nonce(option.kid, option.piv, self.common_iv), m.payload, layer.aad())
        self.seen.add(option.piv)
        return self.merge(m, plain), layer

    def open(self, iv, sealed, additional):
        try:
            return self.cipher(self.recipient_key).decrypt(iv, sealed, additional)
        except (InvalidTag, ValueError) as error:
            raise OscoreError("tag") from error

    @staticmethod
    def merge(m, plain):
        """Code, options and payload of the plaintext; of the outer options those that are never encrypted."""
        options, payload = coap.decode_body(plain[1:])
        inner = {n for n, _ in options}
        kept = [(n, v) for n, v in m.options if n in OUTER_ONLY - {OSCORE} and n not in inner]
        return m.copy(code=plain[0], options=sorted(kept + options, key=lambda o: o[0]), payload=payload)


@dataclass
class Layer:
    """What ties a response to its request on one leg."""
    context: Context
    kid: bytes
    piv: bytes
    observe: bool = False
    opened: set = field(default_factory=set)    # Partial IVs of responses, b"" for the request's nonce
    last: Option = None                         # option of the last response that came off
    request_iv: bytes = None                    # Common IV of the request's nonce, where that was another [rfc8613#B.2]

    def request_nonce(self):
        return nonce(self.kid, self.piv, self.request_iv or self.context.common_iv)

    def aad(self):
        return aad(self.context.aead, self.kid, self.piv)

    def protect_response(self, m, own_piv=False, towards=TO_PROXY, piv=None):
        """`towards` the client end to end is the same for the options that responses carry."""
        c = self.context
        kinds = classes(m.options, towards)
        observe = m.has(OBSERVE)
        piv = piv if piv is not None else c.take() if own_piv else None
        inner = [(n, b"" if n == OBSERVE else v) for n, v in m.options if n == OBSERVE or kinds[n] == "E"]
        outer = [(n, v) for n, v in m.options if n == OBSERVE or kinds[n] != "E"]
        iv = nonce(c.sender_id, piv, c.common_iv) if piv is not None else self.request_nonce()
        sealed = c.cipher(c.sender_key).encrypt(iv, bytes([m.code]) + coap.encode_body(inner, m.payload), self.aad())
        return m.copy(code=coap.code("2.05" if observe else "2.04"), payload=sealed,
                      options=sorted(outer + [(OSCORE, Option(piv=piv, kid_context=c.response_kid_context).encode())],
                                     key=lambda o: o[0]))

    def unprotect_response(self, m):
        if not m.has(OSCORE):
            raise OscoreError(f"no layer on {m}")
        c, option = self.context, Option.decode(m.get(OSCORE))
        if option.piv is None:
            iv = self.request_nonce()
        else:
            iv = nonce(c.recipient_id, option.piv, c.common_iv)
        if (option.piv or b"") in self.opened:
            raise OscoreError("nonce used for a second response")
        plain = c.open(iv, m.payload, self.aad())
        self.opened.add(option.piv or b"")
        self.last = option
        return c.merge(m, plain)


# ---- stacks ----

@dataclass
class Hop:
    """A proxy that a client has a layer for; `reach` are the options by which the hop before it finds it."""
    context: Context
    reach: list = field(default_factory=list)


def protect(m, end=None, hops=(), add=()):
    """
    The client's side: the end-to-end layer first, then `add` (for the last proxy), then a layer per proxy from the
    farthest to the nearest; between two of them go the options that lead the nearer to the farther [ocp#2.3].
    Returns (message, layers in the order in which they come off the response).
    """
    layers = []
    if end:
        m, layer = end.protect_request(m, TO_SERVER)
        layers.insert(0, layer)
    m = m.plus(*add)
    for hop in reversed(hops):
        m, layer = hop.context.protect_request(m, TO_PROXY)
        layers.insert(0, layer)
        m = m.plus(*hop.reach)
    return m, layers


def unprotect(m, layers):
    """The client's side of the response: every layer comes off."""
    for layer in layers:
        m = layer.unprotect_response(m)
    return m


def unprotect_some(m, layers):
    """As far as layers are there: an error made by a nearer party lacks those of the farther ones."""
    for layer in layers:
        if not m.has(OSCORE):
            break
        m = layer.unprotect_response(m)
    return m


def remove_one(m, contexts, check_replay=True):
    """(message, layer)"""
    option = Option.decode(m.get(OSCORE))
    context = next((c for c in contexts if c.recipient_id == option.kid and
                    (option.kid_context is None or option.kid_context == c.kid_context)), None)
    if not context:
        raise OscoreError(f"unknown kid {option.kid}")
    return context.unprotect_request(m, check_replay)


def remove_all(m, contexts, check_replay=True):
    """An origin's side: removes layers as long as there are any. (message, layers in the order removed)"""
    removed = []
    while m.has(OSCORE):
        m, layer = remove_one(m, contexts, check_replay)
        removed.append(layer)
    return m, removed


def add_all(m, removed):
    """... and its response, under the same layers in reverse."""
    for layer in reversed(removed):
        m = layer.protect_response(m)
    return m


def challenge_of(m):
    """The Echo value of a 4.01 challenge, or None."""
    return m.get(ECHO) if m.code == coap.code("4.01") else None
