# SPDX-License-Identifier: BSD-2-Clause
"""
What a restart must not lose: Sender Sequence Numbers [rfc8613#B.1.1] and replay protection [rfc8613#B.1.2].
"""
import pathlib
import sys
import time

import pytest

from daemon import SANITIZED, context_entry
from peer import coap, net, oscore
from peer.coap import ECHO, OSCORE
from peer.oscore import Hop
from test_layers import ALLOW, forward, secure_proxy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kill"))

from killtest import KillTest, telling  # noqa: E402
from ledger import Ledger, Pair  # noqa: E402

ROUNDS = 60 if SANITIZED else 200
EDITED_ROUNDS = 15 if SANITIZED else 40


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


# ---- kill -9 under load (tests/kill) ----

# row S08 S09 S04 [rfc8613#B.1]
@pytest.mark.seconds(180)
def test_kill_9_at_random_moments_under_load(workdir):
    """
    No Partial IV of the proxy's is seen twice under any of its Sender Keys, and no request reaches the origin twice.
    """
    run_kill_test(workdir, ROUNDS, edit=False, workers=1)


# row S08 S09 S04 [rfc8613#B.1]
@pytest.mark.seconds(120)
def test_kill_9_with_edits_of_the_configuration_in_between(workdir):
    """IDs, swapped IDs, names, zeroes behind the salt, `fresh` and workers change; what is refused is undone."""
    run_kill_test(workdir, EDITED_ROUNDS)


def run_kill_test(workdir, rounds, **how):
    test = KillTest(workdir, **how)
    try:
        test.run(rounds)
    finally:
        test.close()
    bad = [claim for claim, holds in test.checks() if not holds]
    assert not bad, "\n".join([*bad, *test.failures, *telling(test.ledger.findings)[:5]])
    assert test.load.count["executed"] > rounds


def sealed(payload, key=b"k", iv=b"n"):
    """A history in which `payload` is the second message of a pair."""
    ledger = Ledger()
    ledger.seal(key, iv, b"first", "request of the proxy")
    ledger.seal(b"k", b"n", payload, "request of the proxy")
    return ledger.count["number"]


def test_the_history_of_the_kill_test_sees_a_repetition():
    """The observer itself, without a proxy."""
    assert sealed(b"second") == 1
    assert sealed(b"first") == 0                            # a retransmission
    assert sealed(b"second", key=b"other") == 0 and sealed(b"second", iv=b"other") == 0
    ledger = Ledger()
    for datagram in (b"a", b"a", b"b"):
        ledger.execute(b"1", datagram)
    assert ledger.count["executed"] == 1


@pytest.mark.parametrize("own_piv", [True, False])
def test_the_kill_test_sees_a_repeated_nonce_of_the_proxy(own_piv):
    """Two responses under one nonce, by a proxy of the test's own; under the next ID of the proxy they are none."""
    ledger = Ledger()
    pair = Pair(bytes(16), ledger)
    client, proxy = pair.context(b"\x20", b"\x50", b"salt"), Pair(bytes(16), Ledger()).context(b"\x50", b"\x20", b"salt\0\0")
    for n, payload in enumerate((b"1", b"1", b"2")):
        proxy.next = 7                                      # it forgets its numbers
        made, layer = client.protect_request(coap.Message(code=coap.GET), oscore.TO_PROXY, piv=b"\x01")
        _, server = proxy.unprotect_request(made, check_replay=False)
        answer = server.protect_response(coap.response("2.05", payload), own_piv=own_piv)
        assert pair.open_response(answer, layer, b"salt\0", [b"\x51", b"\x50"]).payload == payload
        assert ledger.count["number"] == (n == 2)
    assert pair.open_response(answer.copy(payload=answer.payload[:-1]), layer, b"salt", [b"\x50"]) is None
    assert ledger.count["opened"] == 1
