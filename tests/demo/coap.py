# SPDX-License-Identifier: BSD-2-Clause
"""
What the demo needs of CoAP to show a datagram: header, visible options, the OSCORE option.  It opens nothing.
"""

TYPES = ("CON", "NON", "ACK", "RST")
METHODS = {1: "GET", 2: "POST", 3: "PUT", 4: "DELETE", 5: "FETCH", 6: "PATCH", 7: "iPATCH"}
NAMES = {3: "Uri-Host", 4: "ETag", 6: "Observe", 7: "Uri-Port", 9: "OSCORE", 11: "Uri-Path", 12: "Content-Format", 14: "Max-Age",
         15: "Uri-Query", 16: "Hop-Limit", 17: "Accept", 21: "EDHOC", 23: "Block2", 27: "Block1", 28: "Size2", 35: "Proxy-Uri",
         39: "Proxy-Scheme", 60: "Size1", 252: "Echo", 292: "Request-Tag", 548: "Request-Hash"}
TEXT = {3, 11, 15, 35, 39}
NUMBERS = {6, 7, 12, 14, 16, 17, 28, 60}
BLOCKS = {23, 27}
OSCORE = 9


class Message:
    """One datagram, taken apart; raises ValueError when it is no CoAP message."""

    def __init__(self, datagram):
        if len(datagram) < 4 or datagram[0] >> 6 != 1:
            raise ValueError("no CoAP message")
        self.bytes = datagram
        self.type = datagram[0] >> 4 & 3
        self.code = datagram[1]
        self.mid = int.from_bytes(datagram[2:4], "big")
        token_end = 4 + (datagram[0] & 15)
        self.token = datagram[4:token_end]
        self.options = []
        self.payload = b""
        at, number = token_end, 0
        while at < len(datagram):
            if datagram[at] == 0xff:
                self.payload = datagram[at + 1:]
                break
            delta, length = datagram[at] >> 4, datagram[at] & 15
            at += 1
            delta, at = self.extended(delta, at)
            length, at = self.extended(length, at)
            number += delta
            if at + length > len(datagram):
                raise ValueError("option is cut")
            self.options.append((number, datagram[at:at + length]))
            at += length

    def extended(self, nibble, at):
        if nibble < 13:
            return nibble, at
        if nibble == 15:
            raise ValueError("reserved nibble")
        size = nibble - 12
        value = int.from_bytes(self.bytes[at:at + size], "big")
        return value + (13 if nibble == 13 else 269), at + size

    def option(self, number):
        return next((value for n, value in self.options if n == number), None)

    @property
    def dotted(self):
        return f"{self.code >> 5}.{self.code & 31:02d}"

    def describe(self):
        """'CON 0.02 POST' and the options anybody can read."""
        name = METHODS.get(self.code, "")
        shown = [show_option(n, v) for n, v in self.options]
        return f"{TYPES[self.type]} {self.dotted} {name}".rstrip(), shown

    def with_mid(self, mid):
        """The same datagram under another Message ID."""
        return self.bytes[:2] + mid.to_bytes(2, "big") + self.bytes[4:]


def parse_oscore(value):
    """(kid, Partial IV) of an OSCORE option, each None when absent."""
    if not value:
        return None, None
    flags, at = value[0], 1
    piv = value[at:at + (flags & 7)]
    at += flags & 7
    if flags & 0x10:
        at += 1 + value[at]
    return (value[at:] if flags & 8 else None), (piv or None)


def show_option(number, value):
    name = NAMES.get(number, f"option {number}")
    if number == OSCORE:
        kid, piv = parse_oscore(value)
        parts = ([f"kid {kid.hex() or 'empty'}"] if kid is not None else []) + ([f"PIV {piv.hex()}"] if piv else [])
        return f"OSCORE[{', '.join(parts)}]"
    if number in BLOCKS:
        n = int.from_bytes(value, "big")
        return f"{name} {n >> 4}/{n >> 3 & 1}/{16 << (n & 7)}"          # as RFC 7959 writes them
    if number in TEXT:
        return f"{name} \"{value.decode('utf-8', 'replace')}\""
    if number in NUMBERS:
        return f"{name} {int.from_bytes(value, 'big')}"
    return f"{name} {value.hex()}".rstrip()
