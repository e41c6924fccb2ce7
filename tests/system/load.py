# SPDX-License-Identifier: BSD-2-Clause
"""
Load through the proxy under one context on each side, with every nonce and every request written down: for tests that
kill the daemon or take contexts away.  tests/kill has the form with edits of the configuration.
"""
import random
import select
import time

from peer import coap, net, oscore
from peer.coap import ECHO, OSCORE
from peer.oscore import Option
from test_layers import forward


class Load:
    """
    A client that keeps requests outstanding under C-P, while the proxy puts P-S on; every request has a name that the
    origin reads.  What the proxy sends is written down by both ends.
    """

    def __init__(self, proxy, keys):
        self.proxy, self.keys = proxy, keys
        self.origin = net.Origin(lambda r: coap.response("2.04"), [keys.ps.other_side()])
        self.client = net.Client(proxy.address if proxy else None)
        self.name = 0
        self.sent = []                      # requests under C-P as they went out
        self.waiting = {}                   # token -> layer
        self.nonces = {}                    # what made the nonce of a response under the proxy's Sender Key -> ciphertext
        self.challenges = 0
        self.echo = None
        self.answered = 0

    def close(self):
        self.client.close()
        self.origin.close()

    def request(self):
        self.name += 1
        options = [(ECHO, self.echo)] if self.echo else []
        m = forward(self.origin, method=coap.POST, payload=b"%d" % self.name, type=coap.NON, options=options)
        made, layer = self.keys.cp.protect_request(m, oscore.TO_PROXY)
        sent = self.client.ask(made)
        self.sent.append(sent)
        self.waiting[sent.token] = layer

    def note(self, m, request_piv):
        """A response: its nonce comes from a Partial IV of the proxy's own, or is that of the request."""
        own = Option.decode(m.get(OSCORE)).piv
        nonce = ("request", request_piv) if own is None else ("own", own)
        assert nonce not in self.nonces, f"nonce of {nonce[0]} Partial IV {nonce[1].hex()} a second time"
        self.nonces[nonce] = m.payload

    def take(self, datagram):
        m = coap.decode(datagram)
        layer = self.waiting.pop(m.token, None)
        if layer is None or not m.has(OSCORE):
            return
        self.note(m, layer.piv)
        answer = layer.unprotect_response(m)
        self.answered += 1
        if answer.dotted == "4.01" and answer.has(ECHO):
            self.challenges += 1
            self.echo = answer.get(ECHO)
        elif self.echo:
            self.echo = None

    def run(self, until, alive):
        while time.monotonic() < until and alive():
            while len(self.waiting) < 8:
                self.request()
            if not select.select([self.client.sock], [], [], 0.01)[0]:
                continue
            try:
                self.take(self.client.sock.recv(65536))
            except ConnectionError:
                return

    def replay(self, count):
        """Datagrams of before, with a Message ID and Token that are new, as an attacker would."""
        with net.Client(self.proxy.address) as attacker:
            pivs = {}
            for m in random.sample(self.sent, min(count, len(self.sent))):
                pivs[attacker.ask(m.copy(type=coap.NON)).token] = Option.decode(m.get(OSCORE)).piv
            deadline = time.monotonic() + 0.02
            while time.monotonic() < deadline:
                datagram = attacker.receive_raw(0.005)
                m = coap.decode(datagram) if datagram else None
                if m and m.has(OSCORE):
                    self.note(m, pivs[m.token])


def check(load):
    requests = load.origin.requests()
    assert not load.origin.errors, load.origin.errors
    by_piv, by_name = {}, {}
    for r in requests:
        piv = r.removed[0].piv
        assert by_piv.setdefault(piv, r.datagram) == r.datagram, f"Partial IV {piv.hex()} for two requests"
        assert by_name.setdefault(r.plain.payload, r.datagram) == r.datagram, f"request {r.plain.payload} came in twice"
    assert len(by_piv) == len(by_name)
