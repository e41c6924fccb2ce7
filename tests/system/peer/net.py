# SPDX-License-Identifier: BSD-2-Clause
"""
Parties on loopback: a client, an origin and a wire, each of which keeps every datagram it saw.
"""
import random
import select
import socket
import threading
import time
from dataclasses import dataclass, field

from . import coap, oscore
from .coap import ACK, CON, NON, RST, Message
from .place import free_address, uri          # noqa: F401 - part of this module for its users


class NoAnswer(AssertionError):
    """Nothing came in time."""


def udp(address):
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind(address)
    return sock


class Client:
    """A CoAP client with a port of its own.  It retransmits nothing: on loopback a lost datagram is a finding."""

    def __init__(self, target, source=None):
        self.target = target
        self.sock = udp(source or (("::1" if target and ":" in target[0] else "127.0.0.1"), 0))
        self.mid = random.randint(0, 65535)
        self.log = []                       # (time, datagram) of what came in

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def address(self):
        return self.sock.getsockname()[:2]

    # ---- raw ----

    def send(self, what, to=None):
        datagram = coap.encode(what) if isinstance(what, Message) else what
        self.sock.sendto(datagram, to or self.target)
        return datagram

    def receive_raw(self, timeout=2.0):
        """The next datagram from the target, None when there is none in time."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if not select.select([self.sock], [], [], max(0, left))[0]:
                return None
            try:
                datagram, source = self.sock.recvfrom(65536)
            except ConnectionError:
                continue
            self.log.append((time.monotonic(), datagram))
            if source[:2] == self.target[:2]:
                return datagram

    def receive(self, timeout=2.0):
        datagram = self.receive_raw(timeout)
        return None if datagram is None else coap.decode(datagram)

    def expect_silence(self, seconds=0.25):
        datagram = self.receive_raw(seconds)
        assert datagram is None, f"nothing was to come, but: {describe(datagram)}"

    # ---- requests ----

    def dress(self, m, token=None):
        """`m` with a Message ID and a Token of ours."""
        self.mid = (self.mid + 1) & 0xffff
        return m.copy(mid=self.mid, token=random.randbytes(4) if token is None else token)

    def ask(self, m, token=None):
        """Sends a request; returns it as sent."""
        sent = self.dress(m, token)
        self.send(sent)
        return sent

    def answer_to(self, sent, timeout=4.0):
        """
        The response to `sent`: piggybacked, or separate, then acknowledged.  Empty ACKs are skipped, a Reset raises.
        """
        deadline = time.monotonic() + timeout
        while True:
            m = self.receive(deadline - time.monotonic())
            if m is None:
                raise NoAnswer(f"no answer within {timeout} s to {sent}")
            if m.type == RST and m.mid == sent.mid:
                raise NoAnswer("reset")
            if m.code == coap.EMPTY or m.token != sent.token:
                continue
            if m.type == ACK:
                assert m.mid == sent.mid, "the ACK carries another Message ID than the request"
            if m.type == CON:
                self.send(Message(type=ACK, mid=m.mid))
            return m

    def exchange(self, m, timeout=4.0, token=None):
        return self.answer_to(self.ask(m, token), timeout)

    def get(self, path="", **kw):
        return self.exchange(coap.request(path=path, **kw))


class Secure:
    """A client with layers: an end-to-end context, proxies from the nearest on, and what the last proxy needs."""

    def __init__(self, client, end=None, hops=(), add=()):
        self.client, self.end, self.hops, self.add = client, end, list(hops), list(add)
        self.challenged = 0
        self.outer = None                   # the last answer as it came over the wire

    def protect(self, m):
        return oscore.protect(m, self.end, self.hops, self.add)

    def exchange(self, m, timeout=4.0, echo=True):
        """The response with its layers off; an Echo challenge of the nearest proxy is answered when `echo`."""
        made, layers = self.protect(m)
        self.outer = self.client.exchange(made, timeout)
        answer = oscore.unprotect_some(self.outer, layers)
        value = oscore.challenge_of(answer)
        if not echo or value is None or len(layers) == 0:
            return answer
        self.challenged += 1
        return self.repeat_with(value, m, timeout)

    def repeat_with(self, value, m, timeout):
        """The Echo goes into the outermost layer."""
        inner, layers = oscore.protect(m, self.end, self.hops[1:], self.add) if self.hops else (m, [])
        if self.hops:
            made, layer = self.hops[0].context.protect_request(inner.plus((coap.ECHO, value)), oscore.TO_PROXY)
            made = made.plus(*self.hops[0].reach)
            layers = [layer] + layers
        else:
            made, layer = self.end.protect_request(inner.plus((coap.ECHO, value)), oscore.TO_SERVER)
            layers = [layer]
        self.outer = self.client.exchange(made, timeout)
        return oscore.unprotect_some(self.outer, layers)


def describe(datagram):
    try:
        return str(coap.decode(datagram))
    except coap.FormatError as error:
        return f"{datagram.hex()} ({error})"


@dataclass
class Received:
    time: float
    source: tuple
    datagram: bytes
    message: Message                        # None when it does not decode
    plain: Message = None                   # without the layers that were for the origin
    removed: list = field(default_factory=list)


class Turned(Exception):
    """A request that is not opened but answered, under the layers that came off before."""

    def __init__(self, answer, removed=()):
        super().__init__(str(answer))
        self.answer, self.removed = answer, list(removed)


def hello(_request):
    return coap.response("2.05", b"hello")


class Origin:
    """
    Writes down every datagram and answers requests in a thread.  `answer(request)` sees the request without the
    layers of `contexts` and returns a response, bytes as they are to go out, a list of these, or None.
    """

    def __init__(self, answer=hello, contexts=(), address=None):
        self.sock = udp(address or free_address())
        self.sock.settimeout(0.05)
        self.answer, self.contexts = answer, list(contexts)
        self.received, self.errors = [], []
        self.lock = threading.Condition()
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return self.sock.getsockname()[:2]

    @property
    def host(self):
        return self.address[0]

    @property
    def port(self):
        return self.address[1]

    def close(self):
        self.running = False
        self.thread.join(2)
        self.sock.close()
        assert not self.errors, f"origin: {self.errors}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self):
        while self.running:
            try:
                datagram, source = self.sock.recvfrom(65536)
            except (TimeoutError, ConnectionError):
                continue
            except OSError:
                return
            try:
                self.one(datagram, source[:2])
            except Exception as error:      # noqa: BLE001 - shown by close()
                self.errors.append(repr(error))

    def one(self, datagram, source):
        got, early = Received(time.monotonic(), source, datagram, None), None
        try:
            got.message = coap.decode(datagram)
        except coap.FormatError:
            pass
        request = got.message is not None and got.message.is_request()
        if request:
            got.plain = got.message
            try:
                got.plain, got.removed = self.open(got.message)
            except Turned as turned:
                early, got.removed = turned.answer, turned.removed
        with self.lock:
            self.received.append(got)
            self.lock.notify_all()
        if request:
            self.reply(got, early or self.answer(got.plain))

    def open(self, m):
        """(request without the layers that are for us, these layers); may raise Turned."""
        return oscore.remove_all(m, self.contexts) if self.contexts and m.has(coap.OSCORE) else (m, [])

    def reply(self, got, answers):
        for answer in answers if isinstance(answers, list) else [answers]:
            if isinstance(answer, Message):
                made = oscore.add_all(answer, got.removed)
                self.send(reply_to(got.message, made), got.source)
            elif answer is not None:
                self.send(answer, got.source)

    def send(self, what, to):
        self.sock.sendto(coap.encode(what) if isinstance(what, Message) else what, to)

    # ---- what was seen ----

    def requests(self):
        with self.lock:
            return [r for r in self.received if r.plain is not None]

    def count(self):
        return len(self.requests())

    def wait(self, count, timeout=3.0):
        """The requests, once there are `count`."""
        deadline = time.monotonic() + timeout
        with self.lock:
            while sum(1 for r in self.received if r.plain is not None) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"the origin saw {self.count_locked()} requests, not {count}"
                self.lock.wait(left)
        return self.requests()

    def count_locked(self):
        return sum(1 for r in self.received if r.plain is not None)

    def wait_for(self, claim, timeout=3.0):
        """The first datagram for which claim(Received) holds."""
        deadline = time.monotonic() + timeout
        with self.lock:
            while True:
                for r in self.received:
                    if claim(r):
                        return r
                left = deadline - time.monotonic()
                assert left > 0, "the origin did not see what it was to see"
                self.lock.wait(left)

    def forget(self):
        with self.lock:
            self.received.clear()


def reply_to(request, answer):
    """Type, Message ID and Token of a piggybacked or non-confirmable response."""
    if request.type == CON:
        return answer.copy(type=ACK, mid=request.mid, token=request.token)
    return answer.copy(type=NON, mid=random.randint(0, 65535), token=request.token)


class Wire:
    """A relay between whoever sends to it and `target`, which writes down what passes."""

    def __init__(self, target, address=None):
        self.target = target
        self.sock = udp(address or free_address())
        self.backs = {}                     # source -> socket towards the target
        self.seen = []                      # (True for towards the target, datagram)
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return self.sock.getsockname()[:2]

    def close(self):
        self.running = False
        self.thread.join(2)
        for sock in [self.sock, *self.backs.values()]:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self):
        while self.running:
            ready, _, _ = select.select([self.sock, *self.backs.values()], [], [], 0.05)
            for sock in ready:
                try:
                    self.pass_on(sock)
                except OSError:             # nobody there just now: a lost datagram
                    pass

    def pass_on(self, sock):
        datagram, source = sock.recvfrom(65536)
        if sock is self.sock:
            if source not in self.backs:
                self.backs[source] = udp(("127.0.0.1", 0))
            self.seen.append((True, datagram))
            self.backs[source].sendto(datagram, self.target)
        else:
            self.seen.append((False, datagram))
            client = next(s for s, b in self.backs.items() if b is sock)
            self.sock.sendto(datagram, client)

    def towards(self):
        return [d for there, d in self.seen if there]

    def back(self):
        return [d for there, d in self.seen if not there]
