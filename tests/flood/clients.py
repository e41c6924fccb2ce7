# SPDX-License-Identifier: BSD-2-Clause
"""
Clients with a security context each that ask at a steady rate, confirmably, and retransmit as RFC 7252 says: whoever gives up
after MAX_RETRANSMIT has lost a request.
"""
import collections
import heapq
import os
import random
import secrets
import selectors
import sys
import threading
import time
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

from peer import coap, net, oscore  # noqa: E402
from peer.coap import ACK, CON, ECHO, OSCORE  # noqa: E402
from peer.oscore import Context  # noqa: E402

ACK_TIMEOUT, ACK_RANDOM_FACTOR, MAX_RETRANSMIT = 2.0, 1.5, 4        # [rfc7252#4.8]
SEPARATE_SECONDS = 110                  # for a response after an empty ACK: longer than limits.response-timeout


@dataclass
class Waiting:
    sent: coap.Message
    datagram: bytes
    layer: oscore.Layer
    begun: float
    timeout: float = 0.0
    times: int = 0                      # retransmissions
    acknowledged: bool = False
    echoed: bool = False


class Meter:
    """One client: a port, and a context that it and the proxy have (None: it asks in the clear)."""

    def __init__(self, target, context):
        self.net, self.context = net.Client(target), context
        self.waiting = {}               # token -> Waiting
        self.echo = None


class Fleet:
    """
    `count` meters that make `rate` requests a second together, in a thread, until stop().  `make(number)` gives the plain
    request; `prefix` begins the names of their contexts, which entries() gives for the proxy's configuration.
    """

    def __init__(self, count, rate, make, prefix="meter", secure=True):
        self.rate, self.make, self.prefix = rate, make, prefix
        secret = secrets.token_bytes(16)
        ids = [n.to_bytes(2, "big") for n in range(count)]
        self.contexts = [Context(secret, b"", b"\x40" + n, b"\x41" + n) for n in ids]
        self.secure = secure
        self.meters, self.count, self.codes, self.latency = [], collections.Counter(), collections.Counter(), []
        self.timers = []                # (time, order, meter, token)
        self.number = self.order = 0
        self.running = False
        self.excused = lambda begun: False      # whether a request of that time may have met a failure that was injected
        self.problems = []

    def entries(self):
        from daemon import context_entry
        return [context_entry(f"{self.prefix}-{n}", c.other_side()) for n, c in enumerate(self.contexts)] if self.secure else []

    def start(self, target):
        self.meters = [Meter(target, c if self.secure else None) for c in self.contexts]
        self.running = self.asking = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self, patience=100.0):
        """No new requests; returns when all are answered or given up."""
        self.asking = False
        self.thread.join(patience)
        self.running = False
        self.thread.join(5)
        for meter in self.meters:
            meter.net.close()

    # ---- the thread ----

    def run(self):
        selector = selectors.DefaultSelector()
        for meter in self.meters:
            meter.net.sock.setblocking(False)
            selector.register(meter.net.sock, selectors.EVENT_READ, meter)
        begin, made = time.monotonic(), 0
        while self.running and (self.asking or any(m.waiting for m in self.meters)):
            now = time.monotonic()
            while self.asking and made < (now - begin) * self.rate:
                self.ask(self.meters[made % len(self.meters)])
                made += 1
            while self.timers and self.timers[0][0] <= now:
                _, _, meter, token = heapq.heappop(self.timers)
                self.again(meter, token)
            for key, _ in selector.select(min(0.2, 1 / self.rate)):
                self.read(key.data)
        selector.close()

    def ask(self, meter, echo=None, begun=None):
        self.number += 1
        m = self.make(self.number).copy(type=CON)
        layer = None
        if meter.context:
            m = m.plus((ECHO, echo)) if echo else m
            m, layer = meter.context.protect_request(m, oscore.TO_PROXY)
        sent = meter.net.dress(m)
        waiting = Waiting(sent, coap.encode(sent), layer, begun or time.monotonic(), echoed=echo is not None,
                          timeout=random.uniform(ACK_TIMEOUT, ACK_TIMEOUT * ACK_RANDOM_FACTOR))
        meter.waiting[sent.token] = waiting
        self.count["sent"] += begun is None
        self.send(meter, waiting)

    def send(self, meter, w):
        try:
            meter.net.sock.sendto(w.datagram, meter.net.target)
        except OSError:                 # nobody listens just now: as lost
            pass
        self.arm(meter, w.sent.token, w.timeout)

    def arm(self, meter, token, seconds):
        self.order += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.order, meter, token))

    def again(self, meter, token):
        w = meter.waiting.get(token)
        if w is None:
            return
        if w.acknowledged and time.monotonic() - w.begun < SEPARATE_SECONDS:
            self.arm(meter, token, 1.0)
            return
        if w.acknowledged or w.times == MAX_RETRANSMIT:
            del meter.waiting[token]
            if self.excused(w.begun):
                self.count["excused"] += 1
            else:
                self.count["lost"] += 1
                self.problem(f"no answer to {w.sent}")
            return
        w.times += 1
        w.timeout *= 2
        self.count["retransmitted"] += 1
        self.send(meter, w)

    def read(self, meter):
        while True:
            try:
                datagram = meter.net.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                continue                # an ICMP error: the timer decides
            self.take(meter, datagram)

    def take(self, meter, datagram):
        m = coap.decode(datagram)
        if m.code == coap.EMPTY:
            for w in meter.waiting.values():
                if m.type == ACK and w.sent.mid == m.mid:
                    w.acknowledged = True
            return
        if m.type == CON:
            meter.net.sock.sendto(coap.encode(coap.Message(type=ACK, mid=m.mid)), meter.net.target)
        w = meter.waiting.pop(m.token, None)
        if w is None:
            return
        try:
            answer = w.layer.unprotect_response(m) if w.layer and m.has(OSCORE) else m
        except oscore.OscoreError as error:
            self.count["bad"] += 1
            self.problem(f"{error}: {m}")
            return
        challenge = oscore.challenge_of(answer) if w.layer and m.has(OSCORE) else None
        if challenge is not None and not w.echoed:
            self.count["challenged"] += 1
            self.ask(meter, challenge, w.begun)
            return
        self.judge(w, answer)

    def judge(self, w, answer):
        self.codes[answer.dotted] += 1
        if answer.code >> 5 == 2:
            self.count["answered"] += 1
            self.latency.append(time.monotonic() - w.begun)
        elif self.excused(w.begun):
            self.count["excused"] += 1
        else:
            self.count["refused"] += 1
            self.problem(f"{answer.dotted} for {w.sent}, sent {w.times} times again")

    def problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(text)

    # ---- figures ----

    def percentile(self, share):
        return sorted(self.latency)[min(len(self.latency) - 1, int(len(self.latency) * share))] if self.latency else 0.0
