# SPDX-License-Identifier: BSD-2-Clause
"""
The daemon as an EDHOC Initiator towards an origin that shares no code with it: contexts that are made when a request needs one,
are kept, renewed when they are lost, and not made with the wrong party [rfc9528#A.2].
"""
import time

import pytest

from daemon import edhoc_file
from peer import coap, net
from peer.edhoc_cred import Credential
from test_edhoc import SUITE_AND_METHOD
from test_edhoc_proxied import reach

ALLOW = ["forward coap://127.0.0.0/8"]


class Initiator:
    """A daemon that may have to establish a context with the origin, which trusts all of its credentials."""

    def __init__(self, stage, method=3, suites=(2, 0), leg=None, meant=None, origin=None, **config):
        self.stage = stage
        kinds = ("Ed25519", "X25519", "P-256")
        self.own = {kind: Credential.new(kind, "kid", bytes([n + 1])) for n, kind in enumerate(kinds)}
        self.theirs = {kind: Credential.new(kind, "kid", bytes([n + 0x30])) for n, kind in enumerate(kinds)}
        options = {"methods": (0, 1, 2, 3)}
        options.update(origin or {})
        self.origin = stage.edhoc_origin(options.pop("credentials", list(self.theirs.values())), list(self.own.values()), **options)
        self.proxy = stage.proxy(start=False)
        trusted = [(f"origin-{kind}", c) for kind, c in self.theirs.items()]
        edhoc = {"credentials": edhoc_file(self.proxy.dir, list(self.own.items()), trusted), "suites": list(suites),
                 "methods": [0, 3]}
        leg = {"credential": meant or "origin-*", "method": method, **(leg or {})}
        made = {"clients": [{"match": {"any": True}, "allow": ALLOW}],
                "upstreams": [{"match": net.uri(self.origin.address), "edhoc": leg}]}
        made.update(config)
        self.proxy.write(edhoc=edhoc, **made)
        self.proxy.start()
        self.client = stage.client(self.proxy)

    def ask(self, path="x"):
        return self.client.exchange(coap.request(path=path, host=self.origin.host, port=self.origin.port, scheme="coap"))

    def runs(self, result="agreed"):
        return self.proxy.metric("osprey_edhoc_runs_total", result=result)


@SUITE_AND_METHOD
def test_a_context_is_made_when_it_is_needed(stage, method, suite):
    i = Initiator(stage, method, [suite])
    assert i.runs() == 0
    for _ in range(3):
        assert i.ask().payload == b"hello"
    assert i.runs() == 1 and len(i.origin.established()) == 1
    assert i.origin.count() == 2 + 3        # message_1 and message_3, then what they were for
    assert "origin-" in i.proxy.ctl("contexts")[1]
    assert f"edhoc-agreed with={net.uri(i.origin.address)} credential=" in i.proxy.log()


def test_requests_at_once_wait_for_one_run(stage):
    i = Initiator(stage)
    clients = [i.stage.client(i.proxy) for _ in range(20)]
    request = coap.request(path="x", host=i.origin.host, port=i.origin.port, scheme="coap")
    for c in clients:
        c.send(c.dress(request))
    for c in clients:
        assert c.receive().payload == b"hello"
    assert i.runs() == 1


# [rfc9528#6.3]
def test_the_suite_is_negotiated(stage):
    i = Initiator(stage, suites=[2, 0], origin={"suites": [0]})
    assert i.ask().payload == b"hello"
    assert i.runs() == 1


# [rfc9175#2.3]
def test_an_echo_before_message_2_is_answered(stage):
    i = Initiator(stage, origin={"challenge": b"are you there"})
    assert i.ask().payload == b"hello"
    assert i.runs() == 1


# row X06 (partly: as the client) [rfc9668#3.2]
@SUITE_AND_METHOD
def test_message_3_goes_with_the_first_request(stage, method, suite):
    i = Initiator(stage, method, [suite], leg={"combined": True})
    for _ in range(3):
        assert i.ask().payload == b"hello"
    assert i.runs() == 1 and len(i.origin.established()) == 1
    assert i.proxy.metric("osprey_edhoc_combined_total") == 1
    assert i.origin.count() == 1 + 3        # message_1, and what message_3 came with


def test_an_origin_that_does_not_take_combined_requests_is_told_so(stage):
    """With message_4 it must not [rfc9668#3.3.1]: an error of EDHOC, and the run has failed."""
    i = Initiator(stage, leg={"combined": True}, origin={"message_4": True})
    assert i.ask().dotted == "5.02"
    assert i.runs("failed") == 1 and not i.origin.established()


# [rfc9528#5.5.3]
def test_message_4_is_verified_where_it_comes(stage):
    i = Initiator(stage, origin={"message_4": True})
    assert i.ask().payload == b"hello"


def test_somebody_else_is_refused(stage):
    """A credential that is trusted, but not the one that is meant; then one that nobody knows."""
    i = Initiator(stage, meant="origin-Ed25519")
    assert i.ask().dotted == "5.02"
    assert i.runs("failed") == 1 and i.runs() == 0
    assert not i.origin.established()
    assert i.proxy.log().count("edhoc-failed") == 1
    i = Initiator(stage, origin={"credentials": [Credential.new("P-256", "kid", b"\x32")]})
    assert i.ask().dotted == "5.02"
    assert not i.origin.established()


def test_an_unknown_credential_is_nobody_we_meant(stage):
    """What clients may be is not good enough for a next hop: anybody on the way there could have made that credential."""
    i = Initiator(stage, origin={"credentials": [Credential.new("P-256", "kccs", b"\x32")]})
    for leg, answer in (({"credential": "origin-*"}, "5.02"), ({"credential": "*"}, "5.02"), ({"credential": "unknown"}, "2.05")):
        i.proxy.stop()
        i.proxy.config["edhoc"]["unknown"] = "accept"
        i.proxy.write(upstreams=[{"match": net.uri(i.origin.address), "edhoc": leg}])
        i.proxy.start()
        assert i.ask().dotted == answer


def test_after_a_failure_nothing_is_tried_for_a_while(stage):
    i = Initiator(stage, meant="origin-Ed25519")
    for _ in range(5):
        assert i.ask().dotted == "5.02"
    assert i.runs("failed") == 1


def test_an_origin_without_edhoc(stage):
    plain = stage.origin()
    for mode, answer in (("require", "5.02"), ("prefer", "2.05")):
        i = Initiator(stage, leg={"mode": mode})
        i.proxy.stop()
        i.proxy.write(upstreams=[{"match": net.uri(plain.address), "edhoc": {"credential": "origin-*", "mode": mode}}])
        i.proxy.start()
        i.origin = plain
        for _ in range(3):
            assert i.ask().dotted == answer
        assert i.runs("failed") == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_context_survives_a_restart_of_the_proxy(stage, how):
    i = Initiator(stage)
    assert i.ask().payload == b"hello"
    while i.proxy.metric("osprey_leases_granted_total") == 0:
        time.sleep(0.01)
    getattr(i.proxy, how)()
    i.proxy.start()
    assert i.ask().payload == b"hello"
    assert i.runs() == 0 and len(i.origin.established()) == 1


def test_an_origin_that_lost_the_context(stage):
    """It says so in the clear, which anybody could: not for a context that is quite new, then once."""
    i = Initiator(stage)
    assert i.ask().payload == b"hello"
    i.proxy.stop()
    i.proxy.start()                     # it does not know how old the context is
    i.origin.contexts.clear()
    assert i.ask().payload == b"hello"
    assert i.runs() == 1
    i.origin.contexts.clear()
    assert i.ask().dotted == "5.02"
    assert i.runs() == 1


def test_contexts_go_with_their_credential(stage):
    i = Initiator(stage)
    assert i.ask().payload == b"hello"
    assert i.proxy.ctl("revoke", "origin-*")[1].strip().endswith("1")
    assert i.ask().payload == b"hello"
    assert i.runs() == 2


# [ocp#5.1] Q2
def test_an_origin_that_takes_one_layer_only(stage, keys):
    i = Initiator(stage, origin={"contexts": [keys.cs.other_side()]})
    i.proxy.stop()
    i.proxy.write(upstreams=[{"match": net.uri(i.origin.address), "edhoc": {"credential": "origin-*"}, "nested": False}])
    i.proxy.start()
    secure = stage.secure(i.proxy, keys.cs, [], reach(i.origin))
    assert secure.exchange(coap.request(path="x")).payload == b"hello"
    assert i.runs() == 0
    assert i.ask().payload == b"hello"
    assert i.runs() == 1
    i.proxy.stop()
    i.proxy.write(upstreams=[{"match": net.uri(i.origin.address), "edhoc": {"credential": "origin-*"}}])
    i.proxy.start()
    assert secure.exchange(coap.request(path="x")).payload == b"hello"      # in two layers
    assert i.proxy.metric("osprey_oscore_layers_added_total") == 1


def test_a_route_with_edhoc(stage):
    i = Initiator(stage)
    i.proxy.stop()
    i.proxy.write(upstreams=[], clients=[{"match": {"any": True}, "allow": ["route r"]}],
                  routes=[{"name": "r", "match": {"path": "/r/*"}, "strip": 1,
                           "upstream": {"uri": net.uri(i.origin.address), "edhoc": {"credential": "origin-P-256"}}}])
    i.proxy.start()
    assert i.client.exchange(coap.request(path="r/x")).payload == b"hello"
    assert i.runs() == 1
