# SPDX-License-Identifier: BSD-2-Clause
"""
Everything that was ever encrypted under the keys of one run, by whom it was, and what an origin executed: the history in which
no (key, nonce) pair may stand beside two messages [rfc8613#7.1], and no request may be executed twice [rfc8613#7.4].
"""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from peer import oscore  # noqa: E402
from peer.oscore import Context, OscoreError, piv_bytes  # noqa: E402

FINDINGS_MAX = 1000                     # kept; the rest is counted


class Ledger:
    """Written from the threads of several parties."""

    def __init__(self):
        self.lock = threading.Lock()
        self.used = {}                  # (key, nonce) -> (ciphertext, where and when)
        self.executed = {}              # name of a request -> (datagram, when)
        self.findings = []              # (kind, text)
        self.count = {"number": 0, "executed": 0, "opened": 0}
        self.now = "start"              # what the round and the configuration are, for the reader of a finding

    def find(self, kind, text):
        self.count[kind] += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append((kind, text))

    def seal(self, key, iv, sealed, what):
        """`sealed` was encrypted under this pair by somebody; the bytes of before are a retransmission and count once."""
        with self.lock:
            first = self.used.setdefault((key, iv), (sealed, f"{what} in {self.now}"))
            if first[0] != sealed:
                self.find("number", f"nonce {iv.hex()} with two messages: {first[1]}; {what} in {self.now}")

    def execute(self, name, datagram):
        with self.lock:
            first = self.executed.setdefault(name, (datagram, self.now))
            if first[0] != datagram:
                self.find("executed", f"request {name.decode()} came to the origin in {first[1]} and again in {self.now}")

    def cannot_open(self, what):
        with self.lock:
            self.find("opened", f"{what} in {self.now}")


class Pair:
    """
    All contexts that one Master Secret can give, whatever IDs and salt the configuration has at the moment.  Numbers of
    parties other than the proxy are counted here for each Sender Key, as honest parties with good memory do.
    """

    def __init__(self, secret, ledger):
        self.secret, self.ledger = secret, ledger
        self.contexts, self.next = {}, {}

    def context(self, sender_id, recipient_id, salt=b""):
        salt = salt.rstrip(b"\0")       # HMAC pads its key: salts that differ in zeroes at the end give the same keys
        ident = (sender_id, recipient_id, salt)
        if ident not in self.contexts:
            self.contexts[ident] = Context(self.secret, salt, sender_id, recipient_id)
        return self.contexts[ident]

    def take(self, context):
        """A number that no party but the proxy uses again under this Sender Key."""
        number = self.next.get(context.sender_key, 0)
        self.next[context.sender_key] = number + 1
        return piv_bytes(number)

    def note_sent(self, context, kid, piv, sealed, what):
        self.ledger.seal(context.sender_key, oscore.nonce(kid, piv, context.common_iv), sealed, what)

    def note_received(self, context, kid, piv, sealed, what):
        self.ledger.seal(context.recipient_key, oscore.nonce(kid, piv, context.common_iv), sealed, what)

    def open_response(self, m, layer, salt, proxy_ids):
        """
        The plain response to `layer`, whichever of `proxy_ids` the proxy had when it made it; None, and a finding, when none
        opens it.
        """
        own = oscore.Option.decode(m.get(oscore.OSCORE)).piv
        for proxy_id in proxy_ids:
            context = self.context(layer.kid, proxy_id, salt)
            kid, piv = (layer.kid, layer.piv) if own is None else (proxy_id, own)
            try:
                plain = context.open(oscore.nonce(kid, piv, context.common_iv), m.payload, layer.aad())
            except OscoreError:
                continue
            whose = "the request's" if own is None else "its own"
            self.note_received(context, kid, piv, m.payload,
                               f"response of the proxy ({proxy_id.hex()}) under {whose} PIV {piv.hex()}")
            return context.merge(m, plain)
        self.ledger.cannot_open(f"a response to PIV {layer.piv.hex()} of {layer.kid.hex()} that no ID of the proxy opens")
        return None
