# SPDX-License-Identifier: BSD-2-Clause
"""
CoAP messages over UDP: one dataclass, encode and decode [rfc7252#3], extended tokens [rfc8974#2.1].
"""
from dataclasses import dataclass, field

CON, NON, ACK, RST = range(4)
TYPES = ("CON", "NON", "ACK", "RST")

EMPTY = 0
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)

IF_MATCH, URI_HOST, ETAG, IF_NONE_MATCH, OBSERVE, URI_PORT, LOCATION_PATH, OSCORE = 1, 3, 4, 5, 6, 7, 8, 9
URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, HOP_LIMIT, ACCEPT, Q_BLOCK1, EDHOC = 11, 12, 14, 15, 16, 17, 19, 21
BLOCK2, BLOCK1, SIZE2, PROXY_URI, PROXY_SCHEME, SIZE1, ECHO, NO_RESPONSE, REQUEST_TAG = \
    23, 27, 28, 35, 39, 60, 252, 258, 292


class FormatError(ValueError):
    """The datagram is no CoAP message."""


def code(dotted):
    """'2.05' -> 69"""
    cls, detail = str(dotted).split(".")
    return int(cls) << 5 | int(detail)


def dotted(number):
    return f"{number >> 5}.{number & 31:02d}"


def uint(value):
    """The shortest form of a uint option [rfc7252#3.2]."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


@dataclass
class Message:
    code: int = 0
    options: list = field(default_factory=list)         # (number, bytes), any order; encoding sorts, stably
    payload: bytes = b""
    type: int = CON
    mid: int = 0
    token: bytes = b""

    def get(self, number):
        return next((value for n, value in self.options if n == number), None)

    def all(self, number):
        return [value for n, value in self.options if n == number]

    def has(self, number):
        return any(n == number for n, _ in self.options)

    def without(self, *numbers):
        return self.copy(options=[(n, v) for n, v in self.options if n not in numbers])

    def plus(self, *options):
        return self.copy(options=sorted(self.options + list(options), key=lambda o: o[0]))

    def copy(self, **changes):
        values = dict(code=self.code, options=list(self.options), payload=self.payload, type=self.type, mid=self.mid,
                      token=self.token)
        values.update(changes)
        return Message(**values)

    def path(self):
        return "/" + "/".join(v.decode() for v in self.all(URI_PATH))

    @property
    def dotted(self):
        return dotted(self.code)

    def is_request(self):
        return 1 <= self.code <= 31

    def is_response(self):
        return 2 <= self.code >> 5 <= 5

    def __str__(self):
        options = ", ".join(f"{n}={v.hex() or '-'}" for n, v in self.options)
        return f"{TYPES[self.type]} {self.dotted} mid={self.mid:04x} token={self.token.hex()} [{options}] {self.payload!r}"


def _nibble(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, "big")


def encode_body(options, payload):
    """Options and payload: the tail of a datagram, and of an OSCORE plaintext."""
    out, last = bytearray(), 0
    for number, value in sorted(options, key=lambda o: o[0]):
        delta, delta_ext = _nibble(number - last)
        length, length_ext = _nibble(len(value))
        out += bytes([delta << 4 | length]) + delta_ext + length_ext + value
        last = number
    if payload:
        out += b"\xff" + payload
    return bytes(out)


def encode(m):
    tkl, ext = _nibble(len(m.token))
    return bytes([0x40 | m.type << 4 | tkl, m.code]) + m.mid.to_bytes(2, "big") + ext + m.token + \
        encode_body(m.options, m.payload)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, n):
        if n > self.left():
            raise FormatError("cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def extended(self, nibble):
        if nibble == 15:
            raise FormatError("reserved nibble")
        if nibble == 14:
            return self.number(2) + 269
        return self.number(1) + 13 if nibble == 13 else nibble


def decode_body(data):
    """(options, payload)"""
    r, options, number = _Reader(data), [], 0
    while r.left():
        first = r.number(1)
        if first == 0xff:
            if not r.left():
                raise FormatError("marker without payload")
            return options, r.take(r.left())
        number += r.extended(first >> 4)
        length = r.extended(first & 15)
        if number > 65535:
            raise FormatError("option number")
        options.append((number, r.take(length)))
    return options, b""


def decode(datagram):
    r = _Reader(datagram)
    first = r.number(1)
    if first >> 6 != 1:
        raise FormatError("version")
    m = Message(type=first >> 4 & 3, code=r.number(1), mid=r.number(2))
    m.token = r.take(r.extended(first & 15))
    if m.code == EMPTY and (m.token or r.left()):
        raise FormatError("an empty message with content")
    m.options, m.payload = decode_body(r.take(r.left()))
    return m


def path_options(path):
    return [(URI_PATH, segment.encode()) for segment in path.strip("/").split("/") if path.strip("/")]


def request(method=GET, path="", host=None, port=None, scheme=None, options=(), payload=b"", type=CON):
    """A request; `scheme` makes it one for a forward-proxy."""
    made = ([(URI_HOST, host.encode())] if host is not None else []) + ([(URI_PORT, uint(port))] if port else []) + \
        path_options(path) + ([(PROXY_SCHEME, scheme.encode())] if scheme else []) + list(options)
    return Message(code=method, options=sorted(made, key=lambda o: o[0]), payload=payload, type=type)


def response(dotted_code, payload=b"", options=()):
    return Message(code=code(dotted_code), options=sorted(options, key=lambda o: o[0]), payload=payload)
