# SPDX-License-Identifier: BSD-2-Clause
"""
EDHOC between a client and an origin through the daemon, which has no part in it [ocp#5]: the sequential flow and the
combined request, in plain, under a layer for the proxy, and under the proxy's own layer towards the origin.
"""
import pytest

from daemon import context_entry
from peer import coap, edhoc_coap, net, oscore
from peer.coap import EDHOC, OSCORE, PROXY_SCHEME, URI_HOST, URI_PORT
from peer.edhoc import EdhocError, Initiator, PeerError
from peer.edhoc_cred import Credential
from peer.oscore import Hop
from test_layers import ALLOW

CLIENT, SERVER = Credential.new("P-256", kid=b"\x2b"), Credential.new("P-256", kid=b"\x2c")


def initiator(method=3, suites=(2,), **kw):
    return Initiator(CLIENT, [SERVER.without_private()], method, suites, **kw)


def reach(origin):
    return [(URI_HOST, origin.host.encode()), (URI_PORT, coap.uint(origin.port)), (PROXY_SCHEME, b"coap")]


class Through:
    """A client, the proxy, and an origin that does EDHOC; `cp` and `ps` say which layers are there besides."""

    def __init__(self, stage, keys, cp, ps, config=None, **options):
        self.origin = stage.edhoc_origin(SERVER, [CLIENT], contexts=[keys.ps.other_side()] if ps else [], **options)
        made = {"contexts": [context_entry("c-p", keys.cp.other_side()), context_entry("p-s", keys.ps)],
                "clients": [{"match": {"context": "c-p"} if cp else {"any": True}, "allow": ALLOW}]}
        if ps:
            made["upstreams"] = [{"match": net.uri(self.origin.address), "context": "p-s"}]
        made.update(config or {})
        self.proxy = stage.proxy(**made)
        self.hops = [Hop(keys.cp)] if cp else []
        self.client = stage.client(self.proxy)
        self.party = net.Secure(self.client, None, self.hops)
        self.reach, self.layers = reach(self.origin), int(ps)

    def asks(self, context, path):
        """A request under the new context."""
        secure = net.Secure(self.client, context, self.hops, self.reach)
        return secure.exchange(coap.request(path=path)).payload




LEGS = pytest.mark.parametrize("cp,ps", [(False, False), (True, False), (False, True), (True, True)])


# row X11 (partly: the daemon has no responder in these tests)
@LEGS
@pytest.mark.parametrize("message_4", [False, True])
def test_the_sequential_flow_passes(stage, keys, cp, ps, message_4):
    t = Through(stage, keys, cp, ps, message_4=message_4)
    done, context = edhoc_coap.edhoc_run(t.party, initiator(), t.reach, message_4)
    assert t.asks(context, "x") == b"hello"
    assert [s.responder.c_r for s in t.origin.established()] == [done.c_r]
    assert [len(r.removed) for r in t.origin.requests()] == [t.layers, t.layers, t.layers + 1]
    assert t.origin.requests()[0].plain.get(coap.CONTENT_FORMAT) == b"\x41"


# row X11 (partly: the daemon has no responder in these tests)
@LEGS
def test_the_combined_request_passes(stage, keys, cp, ps):
    t = Through(stage, keys, cp, ps)
    running = edhoc_coap.start(t.party, initiator(), t.reach)
    answer, context = edhoc_coap.combined(t.party, running, coap.request(path="x"), t.reach)
    assert answer.payload == b"hello"
    seen = t.origin.requests()[1]
    assert seen.plain.path() == "/x" and len(seen.removed) == t.layers + 1
    # under the proxy's own layer the option is encrypted like any other
    assert seen.message.has(EDHOC) == (not ps) and seen.message.has(OSCORE)
    assert t.asks(context, "y") == b"hello"


@LEGS
def test_errors_of_the_responder_pass(stage, keys, cp, ps):
    t = Through(stage, keys, cp, ps, suites=[2])
    with pytest.raises(PeerError) as caught:
        edhoc_coap.start(t.party, initiator(suites=[3, 2]), t.reach, negotiate=False)
    assert (caught.value.code, caught.value.info, caught.value.answer.dotted) == (2, 2, "4.00")
    running = edhoc_coap.start(t.party, initiator(suites=[3, 2]), t.reach)
    made, _, _ = edhoc_coap.combined_request(running, coap.request(path="x"), t.reach)
    spoiled = made.copy(payload=made.payload[:5] + bytes([made.payload[5] ^ 1]) + made.payload[6:])
    assert edhoc_coap.error_in(t.party.exchange(spoiled))[0] == 1
    assert not t.origin.established()


@LEGS
def test_errors_of_the_initiator_pass(stage, keys, cp, ps):
    t = Through(stage, keys, cp, ps)
    stranger = Initiator(CLIENT, [Credential.new("P-256", kid=b"\x2c")], 3, [2])
    with pytest.raises(EdhocError, match="verification"):
        edhoc_coap.start(t.party, stranger, t.reach)
    assert [(type(e), e.code) for e in t.origin.failures] == [(PeerError, 1)]


def test_an_echo_of_the_responder_passes(stage, keys):
    t = Through(stage, keys, False, True, challenge=b"01234567")
    edhoc_coap.edhoc_run(t.party, initiator(), t.reach)
    assert t.origin.count() == 3


def test_the_combined_request_with_observe_passes_as_fetch(stage, keys):
    """[rfc9668#3.1]: the option also stands beside an outer Observe."""
    t = Through(stage, keys, True, False)
    running = edhoc_coap.start(t.party, initiator(), t.reach)
    m = coap.request(path="x", options=[(coap.OBSERVE, b"")])
    made, _, layer = edhoc_coap.combined_request(running, m, t.reach)
    assert made.dotted == "0.05"
    assert layer.unprotect_response(t.party.exchange(made)).payload == b"hello"
    assert oscore.Option.decode(t.origin.requests()[1].message.get(OSCORE)).kid == running.c_r
