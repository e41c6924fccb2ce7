# SPDX-License-Identifier: BSD-2-Clause
"""Nested OSCORE through real proxies: the draft's scenarios byte for byte, then what goes beyond them [ocp#2]."""
import json
import pathlib

import pytest

from daemon import RESPONSE_TIMEOUT, context_entry
from peer import coap, net, oscore
from peer.coap import (EDHOC, HOP_LIMIT, OSCORE, PROXY_SCHEME, RST, URI_HOST, URI_PATH, URI_PORT, Message)
from peer.oscore import Context, Hop, Layer, OscoreError

NESTED = {s["id"]: s for s in json.loads(
    (pathlib.Path(__file__).resolve().parent.parent / "vectors" / "nested-oscore.json").read_text())["scenarios"]}
H = bytes.fromhex


# ---- the draft's scenarios ----

def side(scenario, name, party, first=0):
    """`party`'s side of a context of the vectors."""
    c = scenario["contexts"][name]
    other = next(p for p in c["sender_ids"] if p != party)
    return Context(H(c["master_secret"]), H(c["master_salt"]), H(c["sender_ids"][party]), H(c["sender_ids"][other]),
                   None if c["id_context"] is None else H(c["id_context"]), c["alg_aead"], first=first)


def entries(scenario, party):
    """The contexts that a party holds, as configuration; their names are those of the vectors."""
    return [context_entry(n, side(scenario, n, party)) for n, c in scenario["contexts"].items() if party in c["sender_ids"]]


class Origin:
    """S of a scenario: answers anything in plain, and the scenario's request with the scenario's bytes."""

    def __init__(self, stage, scenario):
        self.contexts = [side(scenario, n, "S") for n, c in scenario["contexts"].items() if "S" in c["sender_ids"]]
        self.scripted = None
        self.party = stage.origin(self.answer, address=net.free_address(5683))

    def answer(self, request):
        if self.scripted:
            return Message(code=coap.code(self.scripted["code"]), payload=H(self.scripted["payload"]),
                           options=[(o[0], H(o[2])) for o in self.scripted["options"]])
        plain, removed = oscore.remove_all(request, self.contexts)
        assert plain is not None
        return oscore.add_all(coap.response("2.05"), removed)


def burn(client, message, count):
    """The proxy uses up Sender Sequence Numbers until it stands where the scenario begins."""
    for _ in range(count):
        assert client.exchange(message).dotted == "2.05"


def hop_by_hop(datagram):
    """A datagram without what is chosen anew on each hop."""
    m = coap.decode(datagram)
    return m.type, m.dotted, [(n, v.hex()) for n, v in m.options], m.payload.hex()


def play(scenario, client, origin, wires=()):
    """Sends the scenario's first datagram and compares every hop of it; `wires` are the relays between proxies."""
    path = scenario["wire"]
    hops = len(path) // 2
    origin.party.forget()
    origin.scripted = path[hops]
    for wire in wires:
        wire.seen.clear()
    client.send(H(path[0]["udp"]))
    answer = client.receive_raw(3)
    there = [*(w.towards() for w in wires), [r.datagram for r in origin.party.requests()]]
    for n, seen in enumerate(there):
        assert len(seen) == 1
        assert hop_by_hop(seen[0]) == hop_by_hop(H(path[1 + n]["udp"])), f"hop {n + 1}"
    for n, wire in enumerate(reversed(wires)):
        assert hop_by_hop(wire.back()[0]) == hop_by_hop(H(path[hops + 1 + n]["udp"])), f"hop {n + 1} of the way back"
    assert answer.hex() == path[-1]["udp"]


# the hosts table leads to loopback, which has to be named to be allowed
FORWARD = ["forward coap://example.com", "forward coap://p2.example", "forward coap://127.0.0.0/8", "route *"]


def one_proxy(stage, scenario, origin, upstream=None, routes=(), context="CTX_C_P"):
    clients = [{"match": {"any": True}, "allow": FORWARD}]
    if context in scenario["contexts"]:
        clients.insert(0, {"match": {"context": context}, "allow": FORWARD})
    more = {"routes": list(routes)} if routes else {}
    if upstream:
        more["upstreams"] = [{"match": "coap://example.com", "context": upstream}]
    return stage.proxy(contexts=entries(scenario, "P"), clients=clients, hosts={"example.com": origin.party.host}, **more)


PLAIN = coap.request(host="example.com", scheme="coap", path="burn")


# row L01 L06 S06
def test_forward_cs_cp(stage):
    scenario = NESTED["fwd C-S, C-P"]
    origin = Origin(stage, scenario)
    proxy = one_proxy(stage, scenario, origin)
    play(scenario, stage.client(proxy), origin)


# row L02 L06
def test_forward_cs_ps(stage):
    scenario = NESTED["fwd C-S, P-S"]
    origin = Origin(stage, scenario)
    client = stage.client(one_proxy(stage, scenario, origin, "CTX_P_S"))
    burn(client, PLAIN, 31)
    play(scenario, client, origin)


# row L03 L06
def test_forward_cs_cp_ps(stage):
    scenario = NESTED["fwd C-S, C-P, P-S"]
    origin = Origin(stage, scenario)
    client = stage.client(one_proxy(stage, scenario, origin, "CTX_P_S"))
    burn(client, PLAIN, 53)
    play(scenario, client, origin)


# row H08
def test_hop_limit_is_escalated_on_each_leg(stage):
    scenario = NESTED["fwd C-S, C-P, P-S + Hop-Limit"]
    origin = Origin(stage, scenario)
    client = stage.client(one_proxy(stage, scenario, origin, "CTX_P_S"))
    burn(client, PLAIN, 53)
    play(scenario, client, origin)


# row L04 L06
def test_two_forward_proxies(stage):
    scenario = NESTED["two fwd C-S, C-P1, P1-P2, P2-S"]
    origin = Origin(stage, scenario)
    p2 = stage.proxy(contexts=entries(scenario, "P2"), hosts={"example.com": origin.party.host},
                     clients=[{"match": {"context": "CTX_P1_P2"}, "allow": FORWARD},
                              {"match": {"any": True}, "allow": FORWARD}],
                     upstreams=[{"match": "coap://example.com", "context": "CTX_P2_S"}])
    wire = stage.wire(p2)
    p1 = stage.proxy(contexts=entries(scenario, "P1"),
                     clients=[{"match": {"context": "CTX_C_P1"}, "allow": FORWARD},
                              {"match": {"any": True}, "allow": FORWARD}],
                     **{"forward-proxy": {"enabled": True,
                                          "next-hop": {"uri": net.uri(wire.address), "context": "CTX_P1_P2",
                                                       "hop-limit": 0}}})       # the draft's example has none
    client = stage.client(p1)
    burn(client, PLAIN, 53)
    burn(stage.client(p2), PLAIN, 75 - 53)
    play(scenario, client, origin, [wire])


# row L05 L06 P19 S07 (partly: the outer Uri-Host is kept)
def test_reverse_by_host(stage):
    scenario = NESTED["rev C-P, P-S"]
    origin = Origin(stage, scenario)
    routes = [{"name": "dev", "match": {"host": "dev.example"}, "outer-host": True,
               "upstream": {"uri": net.uri(origin.party.address), "context": "CTX_P_S"}}]
    client = stage.client(one_proxy(stage, scenario, origin, routes=routes))
    burn(client, coap.request(host="dev.example", path="burn"), 42)
    play(scenario, client, origin)


# row L05 L06 P19
def test_reverse_by_path_prefix(stage):
    scenario = NESTED["rev C-S, C-P, P-S"]
    origin = Origin(stage, scenario)
    routes = [{"name": "dev1", "match": {"path": "/dev1/*"}, "strip": 1,
               "upstream": {"uri": net.uri(origin.party.address), "context": "CTX_P_S"}}]
    client = stage.client(one_proxy(stage, scenario, origin, routes=routes))
    burn(client, coap.request(path="dev1/burn"), 53)
    play(scenario, client, origin)


# row L14 L06
def test_an_onion_of_two_proxies(stage):
    scenario = NESTED["onion C-S, C-P2, C-P1"]
    origin = Origin(stage, scenario)
    p2 = stage.proxy(contexts=entries(scenario, "P2"), address=net.free_address(5683), hosts={"example.com": origin.party.host},
                     clients=[{"match": {"context": "CTX_C_P2"}, "allow": FORWARD}])
    wire = stage.add(net.Wire(p2.address, net.free_address(5683)))
    p1 = stage.proxy(contexts=entries(scenario, "P1"), hosts={"p2.example": wire.address[0]},
                     clients=[{"match": {"context": "CTX_C_P1"}, "allow": FORWARD}])
    play(scenario, stage.client(p1), origin, [wire])


# ---- the errors of the draft's scenario, byte for byte ----

ERRORS = NESTED["errors fwd C-S, C-P"]


def error_of(stage, alternative, allow=FORWARD, answer=None, message=None, contexts=None, more=None):
    """Plays alternative `alternative`; returns the proxy."""
    origin = stage.origin(answer or (lambda r: None), address=net.free_address(5683))
    proxy = stage.proxy(contexts=entries(ERRORS, "P") if contexts is None else contexts,
                        hosts={"example.com": origin.host},
                        clients=[{"match": {"any": True}, "allow": allow}], **(more or {}))
    client, want = stage.client(proxy), coap.decode(H(ERRORS["wire"][alternative]["udp"]))
    sent = message or coap.decode(H(ERRORS["wire"][0]["udp"]))
    client.send(sent)
    got = client.answer_to(sent)
    assert (got.dotted, got.options, got.payload) == (want.dotted, want.options, want.payload)
    return proxy, origin, client


def inside(options=(), **kw):
    """The scenario's request with other content under the same Partial IV; the answer's bytes do not depend on it."""
    context = side(ERRORS, "CTX_C_P", "C")
    m = coap.request(host="example.com", scheme="coap", path="x", options=options, **kw)
    made, layer = context.protect_request(m, oscore.TO_PROXY, piv=b"\x1f")
    return made.copy(mid=0x1111, token=b"\x8c"), layer


# row L07 S15 P21
def test_error_not_allowed_is_protected(stage):
    proxy, origin, _ = error_of(stage, 1, allow=["forward coap://elsewhere.example"])
    assert origin.count() == 0 and proxy.errors_by("FORBIDDEN") == 1


# row L09 S15
def test_error_unclassifiable_option_is_protected(stage):
    made, _ = inside([(65000, b"?")])
    more = {"upstreams": [{"match": "coap://example.com", "context": "up"}]}
    up = Context(bytes(range(16)), b"", b"\x0a", b"\x0b")
    proxy, origin, _ = error_of(stage, 2, message=made, more=more, contexts=entries(ERRORS, "P") + [context_entry("up", up)])
    assert origin.count() == 0 and proxy.errors_by("UNKNOWN_OPTION") == 1


# row S15 P11
def test_error_no_answer_is_protected(stage):
    proxy, _, _ = error_of(stage, 3)
    assert proxy.errors_by("TIMEOUT") == 1


# row S15 P10
def test_error_unusable_response_is_protected(stage):
    error_of(stage, 4, answer=lambda r: coap.encode(Message(type=RST, mid=r.mid)))


# row H02 S15
def test_error_hop_limit_is_protected(stage):
    made, layer = inside([(HOP_LIMIT, b"\x01")])
    proxy = stage.proxy(contexts=entries(ERRORS, "P"), clients=[{"match": {"any": True}, "allow": FORWARD}])
    client = stage.client(proxy)
    client.send(made)
    got = layer.unprotect_response(client.answer_to(made))
    assert (got.dotted, got.payload) == ("5.08", b"p")


# row S02
def test_error_unknown_kid(stage):
    other = Context(bytes(16), b"", b"\x50", b"\x2f")
    proxy, origin, _ = error_of(stage, 6, contexts=[context_entry("other", other)])
    assert origin.count() == 0 and proxy.errors_by("NO_CONTEXT") == 1


# row S03
def test_error_bad_tag(stage):
    good = coap.decode(H(ERRORS["wire"][0]["udp"]))
    bad = good.copy(payload=good.payload[:-1] + bytes([good.payload[-1] ^ 1]))
    proxy, origin, client = error_of(stage, 7, message=bad, answer=net.hello)
    assert origin.count() == 0 and proxy.errors_by("DECRYPT") == 1
    # the window did not move: the good one is accepted
    client.send(good.copy(mid=0x2222))
    assert client.answer_to(good.copy(mid=0x2222)).has(OSCORE)
    assert origin.count() == 1


# row S04
def test_error_replay(stage):
    proxy, origin, client = error_of(stage, 4, answer=lambda r: coap.encode(Message(type=RST, mid=r.mid)))
    again = coap.decode(H(ERRORS["wire"][0]["udp"])).copy(mid=0x3333)
    want = coap.decode(H(ERRORS["wire"][8]["udp"]))
    client.send(again)
    got = client.answer_to(again)
    assert (got.dotted, got.options, got.payload) == (want.dotted, want.options, want.payload)
    assert origin.count() == 1 and proxy.errors_by("REPLAY") == 1


# row S01
def test_error_undecodable_option(stage):
    good = coap.decode(H(ERRORS["wire"][0]["udp"]))
    bad = good.without(OSCORE).plus((OSCORE, b"\x89\x1f\x20"))
    proxy, origin, _ = error_of(stage, 9, message=bad)
    assert origin.count() == 0 and proxy.errors_by("OSCORE_OPTION") == 1


# ---- beyond the vectors ----

ALLOW = ["forward coap://127.0.0.0/8", "route *"]


def secure_proxy(stage, keys, ps=None, start=True, **more):
    """A proxy with a client's context, and one towards origins when `ps` names those."""
    config = {"contexts": [context_entry("c-p", keys.cp.other_side()), context_entry("p-s", keys.ps)],
              "clients": [{"match": {"context": "c-p"}, "allow": ALLOW}]}
    if ps:
        config["upstreams"] = [{"match": ps, "context": "p-s"}]
    config.update(more)
    return stage.proxy(start=start, **config)


def forward(origin, path="x", **kw):
    return coap.request(path=path, host=origin.host, port=origin.port, scheme="coap", **kw)


# row L01-L03 L06
@pytest.mark.parametrize("kind", [coap.CON, coap.NON])
@pytest.mark.parametrize("ps", [False, True])
@pytest.mark.parametrize("cs", [False, True])
def test_all_combinations_of_layers_with_a_live_peer(stage, keys, kind, cs, ps):
    def answer(request):
        return coap.response("2.04", request.payload[::-1], [(coap.CONTENT_FORMAT, b"\x2a")])

    origin = stage.origin(answer, [keys.cs.other_side(), keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address) if ps else None)
    secure = stage.secure(proxy, keys.cs if cs else None, [Hop(keys.cp)])
    for n in range(5):
        body = b"\x01" * n * 20 + b"end"
        got = secure.exchange(forward(origin, "a/b", method=coap.POST, payload=body, type=kind))
        assert (got.dotted, got.payload, got.get(coap.CONTENT_FORMAT)) == ("2.04", body[::-1], b"\x2a")
        assert secure.outer.has(OSCORE)
    assert secure.challenged == 0
    seen = origin.requests()[0]
    assert len(seen.removed) == cs + ps
    assert seen.plain.path() == "/a/b"
    if cs or ps:
        assert not seen.message.has(URI_PATH)


# row L03 P14
def test_what_is_end_to_end_stays_unseen(stage, keys):
    origin = stage.origin(contexts=[keys.cs.other_side()])
    secure = stage.secure(secure_proxy(stage, keys), keys.cs, [Hop(keys.cp)])
    assert secure.exchange(forward(origin, "secret/path", options=[(65003, b"unsafe inside"), (HOP_LIMIT, b"\x05")])).dotted == "2.05"
    seen = origin.requests()[0]
    assert [n for n, _ in seen.message.options] in ([URI_HOST, URI_PORT, OSCORE, HOP_LIMIT], [OSCORE, HOP_LIMIT])
    assert seen.message.get(HOP_LIMIT) == b"\x04"
    assert seen.plain.get(65003) == b"unsafe inside"


# row L08 [ocp#2.1]
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_too_many_layers_are_401_under_those_removed(stage, keys, limit):
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, **{"forward-proxy": {"enabled": True, "max-layers": limit}})
    client = stage.client(proxy)
    nest = [Hop(keys.cp)] * limit
    assert stage.secure(proxy, None, nest).exchange(forward(origin)).dotted == "2.05"
    before = proxy.metric("osprey_oscore_layers_removed_total")
    made, layers = oscore.protect(forward(origin), None, [*nest, Hop(keys.cp)])
    answer = client.exchange(made)
    for layer in layers[:limit]:
        answer = layer.unprotect_response(answer)
    assert answer.dotted == "4.01" and not answer.has(OSCORE)
    assert proxy.metric("osprey_oscore_layers_removed_total") == before + limit
    assert origin.count() == 1 and proxy.errors_by("LAYERS") == 1


# row L09
@pytest.mark.parametrize("number", [65000, 65001])
def test_an_unclassifiable_option_while_protecting_upstream_is_402(stage, keys, number):
    origin = stage.origin(contexts=[keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}])
    assert stage.client(proxy).exchange(forward(origin, options=[(number, b"?")])).dotted == "4.02"
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin, options=[(number, b"?")])).dotted == "4.02"
    assert secure.outer.has(OSCORE)
    assert origin.count() == 0


# row L09
@pytest.mark.parametrize("number", [65000, 65001])
def test_an_unclassifiable_option_of_a_response_is_502(stage, keys, number):
    origin = stage.origin(lambda r: coap.response("2.05", b"x", [(number, b"?")]))
    secure = stage.secure(secure_proxy(stage, keys), None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "5.02"
    assert secure.outer.has(OSCORE)


# row L10 [ocp#2.6]
@pytest.mark.parametrize("layered", [False, True])
def test_a_layer_too_many_on_a_response_is_502(stage, keys, layered):
    origin = stage.origin(lambda r: coap.response("2.04", b"ciphertext", [(OSCORE, b"")]))
    proxy = secure_proxy(stage, keys, clients=[{"match": {"any": True}, "allow": ALLOW}])
    party = stage.secure(proxy, None, [Hop(keys.cp)]) if layered else stage.client(proxy)
    assert party.exchange(forward(origin)).dotted == "5.02"
    assert proxy.errors_by("EXTRA_LAYER") == 1


# row L10
def test_a_response_without_our_layer_is_502(stage, keys):
    origin = stage.origin(lambda r: coap.response("2.05", b"forged"))
    secure = stage.secure(secure_proxy(stage, keys, net.uri(origin.address)), None, [Hop(keys.cp)])
    answer = secure.exchange(forward(origin))
    assert (answer.dotted, answer.payload) == ("5.02", b"")


# row L10
def test_a_response_under_a_wrong_key_is_502(stage, keys):
    wrong = keys.make(b"\x54", b"\xd4")

    def answer(request):
        option = oscore.Option.decode(request.get(OSCORE))
        return Layer(wrong, option.kid, option.piv).protect_response(coap.response("2.05", b"forged"))

    origin = stage.origin(answer)
    proxy = secure_proxy(stage, keys, net.uri(origin.address))
    assert stage.secure(proxy, None, [Hop(keys.cp)]).exchange(forward(origin)).dotted == "5.02"


# row L11
@pytest.mark.parametrize("layered", [False, True])
def test_an_edhoc_option_for_another_hop_passes(stage, keys, layered):
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, clients=[{"match": {"any": True}, "allow": ALLOW}])
    m = forward(origin, path="", method=coap.POST, payload=b"message_3 and ciphertext",
                options=[(EDHOC, b""), (OSCORE, oscore.Option(b"\0", b"\x37").encode())])
    party = stage.secure(proxy, None, [Hop(keys.cp)]) if layered else stage.client(proxy)
    assert party.exchange(m).payload == b"hello"
    seen = origin.requests()[0].message
    assert seen.get(EDHOC) == b"" and seen.get(OSCORE) == m.get(OSCORE) and seen.payload == m.payload


# row L12 P04
def test_no_forward_proxy_is_505_under_the_layer(stage, keys):
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, **{"forward-proxy": {"enabled": False}})
    secure = stage.secure(proxy, keys.cs, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "5.05"
    assert secure.outer.has(OSCORE) and origin.count() == 0


# row L13 [otp#3]
@pytest.mark.parametrize("otp, want", [(False, "4.04"), (True, "4.00")])
def test_no_application_here(stage, keys, otp, want):
    proxy = secure_proxy(stage, keys, **{"otp-compat": otp})
    assert stage.client(proxy).get("nothing/here").dotted == want
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(coap.request(path="nothing/here")).dotted == want
    assert secure.outer.has(OSCORE)


# row L13 [otp#3]
@pytest.mark.parametrize("otp", [False, True])
def test_an_outer_uri_path_beside_the_oscore_option(stage, keys, otp):
    proxy = secure_proxy(stage, keys, **{"otp-compat": otp})
    made, layers = oscore.protect(coap.request(path=".well-known/core"), None, [Hop(keys.cp)])
    answer = stage.client(proxy).exchange(made.plus((URI_PATH, b"x")))
    if otp:
        assert answer.dotted == "4.00" and not answer.has(OSCORE)
    else:                                   # a Class E option outside is dropped
        assert oscore.unprotect(answer, layers).dotted == "2.05"


# row L07 P21
def test_rights_go_by_the_last_layer_removed(stage, keys):
    origin = stage.origin()
    config = {"contexts": [context_entry("a", keys.cp.other_side()), context_entry("b", keys.cp2.other_side())],
              "clients": [{"match": {"context": "a"}, "allow": ALLOW}, {"match": {"context": "b"}, "allow": []}]}
    proxy = stage.proxy(**config)
    a, b = Hop(keys.cp), Hop(keys.cp2)
    assert stage.client(proxy).exchange(forward(origin)).dotted == "4.01"
    for nest, want in (([a], "2.05"), ([b], "4.01"), ([b, a], "2.05"), ([a, b], "4.01")):
        made, layers = oscore.protect(forward(origin), None, nest)
        assert oscore.unprotect(stage.client(proxy).exchange(made), layers).dotted == want
    assert origin.count() == 2


# row L05 (partly: terminate and pass)
def test_a_route_that_passes_leaves_a_layer_of_ours_on(stage, keys):
    origin = stage.origin(contexts=[keys.cp.other_side()])
    routes = [{"name": "t", "match": {"host": "t.example"}, "oscore": "terminate", "outer-host": True,
               "upstream": {"uri": net.uri(origin.address)}},
              {"name": "p", "match": {"host": "p.example"}, "oscore": "pass", "upstream": {"uri": net.uri(origin.address)}}]
    proxy = secure_proxy(stage, keys, routes=routes, clients=[{"match": {"any": True}, "allow": ALLOW}])
    for host, removed_at_origin in (("t.example", 0), ("p.example", 1)):
        made, layers = oscore.protect(coap.request(path="x", host=host), None, [Hop(keys.cp)])
        assert made.get(URI_HOST) == host.encode()
        assert oscore.unprotect(stage.client(proxy).exchange(made), layers).dotted == "2.05"
        assert len(origin.requests()[-1].removed) == removed_at_origin


# row L04
def test_proxy_scheme_is_kept_for_the_next_proxy(stage, keys):
    origin = stage.origin()
    p2 = stage.proxy()
    wire = stage.wire(p2)
    p1 = secure_proxy(stage, keys, **{"forward-proxy": {"enabled": True, "next-hop": {"uri": net.uri(wire.address)}}})
    secure = stage.secure(p1, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin, "t")).dotted == "2.05"
    between = coap.decode(wire.towards()[0])
    assert between.get(PROXY_SCHEME) == b"coap" and between.get(URI_HOST) == origin.host.encode()
    assert between.path() == "/t"


# row S13 L15 (partly: two responses to one request) [ocp#2.5.1] [rfc8613#5.2]
def test_a_late_answer_after_504_never_uses_the_nonce_again(stage, keys):
    origin = stage.origin(lambda r: None)
    proxy = secure_proxy(stage, keys)
    client = stage.client(proxy)
    made, (layer,) = oscore.protect(forward(origin, type=coap.NON), None, [Hop(keys.cp)])
    sent = client.ask(made)
    request = origin.wait(1)[0]
    first = client.answer_to(sent, RESPONSE_TIMEOUT + 2)
    assert layer.unprotect_response(first).dotted == "5.04"
    origin.send(net.reply_to(request.message, coap.response("2.05", b"late")), request.source)
    second = client.receive(0.5)
    if second is not None:
        assert oscore.Option.decode(second.get(OSCORE)).piv is not None
        assert layer.unprotect_response(second).payload == b"late"
    with pytest.raises(OscoreError):
        layer.unprotect_response(first)


# row E01 S09 (partly: the proxy as client of the layer)
def test_an_echo_challenge_for_the_proxys_own_layer_is_answered_by_the_proxy(stage, keys):
    def answer(request):
        if request.get(coap.ECHO) == b"prove it":
            return coap.response("2.05", b"fresh")
        return coap.response("4.01", options=[(coap.ECHO, b"prove it")])

    origin = stage.origin(answer, [keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address))
    got = stage.secure(proxy, None, [Hop(keys.cp)]).exchange(forward(origin), echo=False)
    assert (got.dotted, got.payload) == ("2.05", b"fresh")
    assert origin.count() == 2 and len({r.removed[0].piv for r in origin.requests()}) == 2
