# SPDX-License-Identifier: BSD-2-Clause
"""
What a restart must not lose: Sender Sequence Numbers [rfc8613#B.1.1] and replay protection [rfc8613#B.1.2].
"""
import random
import select
import threading
import time

import pytest

from daemon import SANITIZED, context_entry
from peer import coap, net, oscore
from peer.coap import ECHO, OSCORE
from peer.oscore import Hop, Option
from test_layers import ALLOW, forward, secure_proxy

ROUNDS = 60 if SANITIZED else 200


# row S09
def test_after_kill_9_the_first_request_is_challenged(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "2.05" and secure.challenged == 0
    proxy.kill()
    proxy.start()
    assert proxy.metric("osprey_unclean_start") == 1
    made, (layer,) = oscore.protect(forward(origin), None, secure.hops)
    outer = secure.client.exchange(made)
    challenge = layer.unprotect_response(outer)
    # a protected 4.01 with nothing but Echo, under a Partial IV of the proxy's own
    assert (outer.dotted, challenge.dotted, challenge.payload) == ("2.04", "4.01", b"")
    assert [n for n, _ in challenge.options] == [ECHO] and layer.last.piv is not None
    assert origin.count() == 1
    assert secure.exchange(forward(origin)).dotted == "2.05" and secure.challenged == 1
    assert secure.exchange(forward(origin)).dotted == "2.05" and secure.challenged == 1
    assert origin.count() == 3


# row S09
def test_without_echo_nothing_is_executed_however_often(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    proxy.kill()
    proxy.start()
    values, pivs = set(), []
    for _ in range(5):
        made, (layer,) = oscore.protect(forward(origin), None, secure.hops)
        answer = layer.unprotect_response(secure.client.exchange(made))
        values.add(oscore.challenge_of(answer))
        pivs.append(layer.last.piv)
    assert None not in values and len(values) == 1      # an attacker cannot displace it
    assert len(set(pivs)) == 5
    for wrong in (b"", b"\0" * 8, values.copy().pop()[:-1]):
        made, (layer,) = oscore.protect(forward(origin, options=[(ECHO, wrong)]), None, secure.hops)
        assert layer.unprotect_response(secure.client.exchange(made)).dotted == "4.01"
    assert origin.count() == 0


# row S09 S04
def test_messages_of_before_the_restart_are_never_executed_again(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    old = [oscore.protect(forward(origin, method=coap.POST), None, secure.hops)[0] for _ in range(10)]
    for m in old[:8]:
        assert secure.client.exchange(m).has(OSCORE)
    assert origin.count() == 8
    proxy.kill()
    proxy.start()
    for m in old:
        assert secure.client.exchange(m).has(OSCORE)    # challenged, each under a nonce of its own
    assert origin.count() == 8
    assert secure.exchange(forward(origin)).dotted == "2.05"
    for m in old:
        assert secure.client.exchange(m).dotted == "4.01"
    assert origin.count() == 9


# row S09 S08
def test_after_a_clean_stop_nobody_is_challenged_and_the_window_is_kept(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin(contexts=[keys.ps.other_side()])
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    made = [keys.cp.protect_request(forward(origin), oscore.TO_PROXY, piv=bytes([n])) for n in (0, 2, 3)]
    for m, layer in made:
        assert layer.unprotect_response(secure.client.exchange(m)).dotted == "2.05"
    assert proxy.stop() == 0
    proxy.start()
    assert proxy.metric("osprey_unclean_start") == 0
    for m, _ in made:
        assert secure.client.exchange(m).dotted == "4.01"
    for piv in (1, 4):
        m, layer = keys.cp.protect_request(forward(origin), oscore.TO_PROXY, piv=bytes([piv]))
        assert layer.unprotect_response(secure.client.exchange(m)).dotted == "2.05"
    assert origin.count() == 5


# row S08
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_numbers_go_on_after_a_restart(stage, keys, how):
    origin = stage.origin(contexts=[keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}])
    for _ in range(4):
        client = stage.client(proxy)
        for _ in range(7):
            assert client.exchange(forward(origin)).dotted == "2.05"
        getattr(proxy, how)()
        proxy.start()
    pivs = [int.from_bytes(r.removed[0].piv, "big") for r in origin.requests()]
    assert pivs == sorted(set(pivs)) and len(pivs) == 28
    if how == "stop":
        assert pivs == list(range(28))      # a clean stop loses none


# row E03 S09
def test_an_echo_counts_only_in_the_context_it_was_given_to(stage, keys):
    contexts = [context_entry("a", keys.cp.other_side()), context_entry("b", keys.cp2.other_side())]
    origin = stage.origin()
    proxy = stage.proxy(contexts=contexts, clients=[{"match": {"context": ["a", "b"]}, "allow": ALLOW}])
    proxy.kill()
    proxy.start()
    client = stage.client(proxy)

    def ask(context, outer=(), options=()):
        made, layer = context.protect_request(forward(origin, options=options), oscore.TO_PROXY)
        return layer.unprotect_response(client.exchange(made.plus(*outer)))

    of_a, of_b = (oscore.challenge_of(ask(c)) for c in (keys.cp, keys.cp2))
    assert of_a and of_b and of_a != of_b
    assert ask(keys.cp2, options=[(ECHO, of_a)]).dotted == "4.01"
    assert ask(keys.cp, outer=[(ECHO, of_a)]).dotted == "4.01"      # outside the layer it proves nothing
    assert origin.count() == 0
    assert ask(keys.cp, options=[(ECHO, of_a)]).dotted == "2.05"
    assert ask(keys.cp2).dotted == "4.01"
    assert ask(keys.cp2, options=[(ECHO, of_b)]).dotted == "2.05"
    # the Echo was for the proxy: the origin does not get to see it
    assert [r.plain.has(ECHO) for r in origin.requests()] == [False, False]


# row S09
def test_keys_with_a_past_are_challenged_even_at_the_first_start(stage, keys):
    origin = stage.origin()
    proxy = stage.proxy(contexts=[context_entry("c-p", keys.cp.other_side(), fresh=False)],
                        clients=[{"match": {"context": "c-p"}, "allow": ALLOW}])
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "2.05" and secure.challenged == 1


# row S09
def test_a_second_sigterm_ends_at_once_and_counts_as_unclean(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin(lambda r: None)
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    secure.client.ask(oscore.protect(forward(origin), None, secure.hops)[0])
    origin.wait(1)
    proxy.signal(15)
    time.sleep(0.05)
    if proxy.is_running():
        proxy.signal(15)
    proxy.process.wait(3)
    proxy.start()
    made, (layer,) = oscore.protect(forward(origin), None, secure.hops)
    origin.answer = net.hello
    assert layer.unprotect_response(secure.client.exchange(made)).dotted in ("4.01", "2.05")


# ---- kill -9 under load ----

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


# row S08 S09 S04 [rfc8613#B.1]
@pytest.mark.seconds(120)
def test_kill_9_at_random_moments_under_load(stage, keys):
    """
    No Partial IV of the proxy's is seen twice under any of its Sender Keys, and no request reaches the origin twice.
    """
    load = Load(None, keys)
    stage.add(load)
    proxy = secure_proxy(stage, keys, net.uri(load.origin.address), start=False, log={"level": "warning"},
                         lease={"block": 50})
    load.proxy, load.client.target = proxy, proxy.address
    progressed = 0
    for round_ in range(ROUNDS):
        proxy.start()
        load.replay(10)
        answered = load.answered
        timer = threading.Timer(random.uniform(0.0, 0.12), proxy.process.kill)
        timer.start()
        load.run(time.monotonic() + 0.5, lambda: proxy.process.poll() is None)
        timer.join()
        proxy.kill()
        load.waiting.clear()
        load.echo = None
        progressed += load.answered > answered
        if round_ % 20 == 19:
            check(load)
    check(load)
    assert progressed > ROUNDS // 2, "the rounds were too short to prove anything"
    assert load.challenges >= ROUNDS // 4
    assert len(load.origin.requests()) > ROUNDS
    proxy.start()
    load.replay(200)
    check(load)


def check(load):
    requests = load.origin.requests()
    assert not load.origin.errors, load.origin.errors
    by_piv, by_name = {}, {}
    for r in requests:
        piv = r.removed[0].piv
        assert by_piv.setdefault(piv, r.datagram) == r.datagram, f"Partial IV {piv.hex()} for two requests"
        assert by_name.setdefault(r.plain.payload, r.datagram) == r.datagram, f"request {r.plain.payload} came in twice"
    assert len(by_piv) == len(by_name)


def test_the_checks_of_the_kill_test_see_a_repetition(keys):
    """The observer itself, without a proxy."""
    load = Load(None, keys)
    try:
        made, layer = keys.ps.protect_request(coap.Message(code=coap.POST, payload=b"1"))
        for mid in (1, 2):
            load.origin.received.append(net.Received(0, None, coap.encode(made.copy(mid=mid)), made, made.copy(payload=b"1"), [layer]))
        with pytest.raises(AssertionError):
            check(load)
        sent, client = keys.cp.protect_request(coap.Message(code=coap.GET))
        _, server = keys.cp.other_side().unprotect_request(sent)
        for own_piv in (True, False):
            once = server.protect_response(coap.response("2.05"), own_piv=own_piv).copy(type=coap.NON, token=b"t")
            load.waiting[b"t"] = client
            load.take(coap.encode(once))
            load.waiting[b"t"] = client
            with pytest.raises(AssertionError):
                load.take(coap.encode(once))
    finally:
        load.close()
