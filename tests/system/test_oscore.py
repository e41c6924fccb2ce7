# SPDX-License-Identifier: BSD-2-Clause
"""RFC 8613 at the proxy as an endpoint: replays, windows, contexts, algorithms."""
import json
import pathlib
import random
import secrets

import pytest

from daemon import context_entry
from peer import coap, net, oscore
from peer.coap import ECHO, IF_MATCH, MAX_AGE, OSCORE, URI_HOST, URI_PATH, URI_QUERY
from peer.oscore import Context, Hop, Option
from test_layers import ALLOW, forward, secure_proxy

CODEC = json.loads((pathlib.Path(__file__).resolve().parent.parent / "vectors" / "coap-codec.json").read_text())
SEMANTICS = {c["id"]: coap.decode(bytes.fromhex(c["hex"])) for c in CODEC["semantics"] if c["transport"] == "udp"}


def is_plain_error(answer, code):
    """An error of OSCORE processing: unprotected, and not to be cached [rfc8613#8.2]."""
    return answer.dotted == code and not answer.has(OSCORE) and answer.get(MAX_AGE) in (b"", b"\0")


# row S01
@pytest.mark.parametrize("value", ["890001", "0e010203040506", "190108aabb", "0105", "29", "1901", "ff" * 20, ""])
def test_an_undecodable_option_is_402(stage, keys, value):
    proxy = secure_proxy(stage, keys)
    m = coap.Message(code=coap.POST, options=[(OSCORE, bytes.fromhex(value))], payload=b"0123456789")
    answer = stage.client(proxy).exchange(m)
    # "0105" and "" decode, but name no context
    assert is_plain_error(answer, "4.02") or (value in ("0105", "") and is_plain_error(answer, "4.01"))


# row S01 [rfc8613#2]
def test_an_oscore_option_twice_or_without_payload_is_refused(stage, keys):
    proxy = secure_proxy(stage, keys)
    client = stage.client(proxy)
    assert client.exchange(SEMANTICS["s23"]).dotted == "4.02"
    made, _ = oscore.protect(coap.request(), None, [Hop(keys.cp)])
    assert client.exchange(made.copy(payload=b"")).dotted in ("4.00", "4.02")
    assert client.exchange(made.copy(payload=b"short")).dotted == "4.00"


# row S02
def test_an_unknown_kid_or_kid_context_is_401(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    client = stage.client(proxy)
    for context in (keys.cs, keys.make(b"", b"\x01"), keys.make(b"\x20\x00", b"\x50"), keys.make(b"\x20", b"\x50", id_context=b"x")):
        made, _ = oscore.protect(forward(origin), None, [Hop(context)])
        answer = client.exchange(made)
        assert is_plain_error(answer, "4.01") and answer.payload == b"Security context not found"
    assert origin.count() == 0
    assert proxy.errors_by("NO_CONTEXT") == 4


# row S03
def test_no_changed_byte_is_accepted_and_none_moves_the_window(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    client = stage.client(proxy)
    made, layers = oscore.protect(forward(origin), None, [Hop(keys.cp)])
    for i in range(len(made.payload)):
        bad = bytearray(made.payload)
        bad[i] ^= 1 << random.randrange(8)
        assert is_plain_error(client.exchange(made.copy(payload=bytes(bad))), "4.00")
    for piv in (b"\x01", b"\x7f", b"\xff" * 5):
        assert is_plain_error(client.exchange(made.without(OSCORE).plus((OSCORE, Option(piv, b"\x20").encode()))), "4.00")
    assert origin.count() == 0
    assert oscore.unprotect(client.exchange(made), layers).dotted == "2.05"
    assert origin.count() == 1


# row S04
@pytest.mark.parametrize("kind", [coap.CON, coap.NON])
def test_a_replay_is_401_and_not_forwarded(stage, keys, kind):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    client = stage.client(proxy)
    made, layers = oscore.protect(forward(origin, type=kind), None, [Hop(keys.cp)])
    assert oscore.unprotect(client.exchange(made), layers).dotted == "2.05"
    for other in (client, stage.client(proxy), stage.client(proxy, source=("127.0.0.9", 0))):
        answer = other.exchange(made)
        assert is_plain_error(answer, "4.01") and answer.payload == b"Replay detected"
    broken = made.copy(payload=bytes(len(made.payload)))        # the window is asked before the tag
    assert is_plain_error(client.exchange(broken), "4.01")
    assert origin.count() == 1
    assert proxy.errors_by("REPLAY") == 4


# row S05 [rfc8613#3.2.2] [rfc8613#7.4]
def test_the_window_takes_what_is_late_but_not_what_is_too_late(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    client = stage.client(proxy)
    for piv, accepted in ((40, True), (20, True), (39, True), (5, False), (20, False), (9, True), (8, False), (100, True),
                          (68, False), (69, True), (40, False)):
        made, layer = keys.cp.protect_request(forward(origin), oscore.TO_PROXY, piv=oscore.piv_bytes(piv))
        answer = client.exchange(made)
        if accepted:
            assert layer.unprotect_response(answer).dotted == "2.05", piv
        else:
            assert is_plain_error(answer, "4.01"), piv
    assert origin.count() == 6


# row S05
def test_the_largest_partial_iv_is_accepted(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    made, layer = keys.cp.protect_request(forward(origin), oscore.TO_PROXY, piv=b"\xff" * 5)
    assert layer.unprotect_response(stage.client(proxy).exchange(made)).dotted == "2.05"


# row S07
def test_class_e_options_outside_have_no_effect(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    made, layers = oscore.protect(forward(origin, "inside"), None, [Hop(keys.cp)])
    attacked = made.plus((IF_MATCH, b"x"), (URI_QUERY, b"admin=1"), (coap.CONTENT_FORMAT, b"\x3c"), (ECHO, b"guess"))
    assert oscore.unprotect(stage.client(proxy).exchange(attacked), layers).dotted == "2.05"
    seen = origin.requests()[0].plain
    assert seen.path() == "/inside"
    assert not any(seen.has(n) for n in (IF_MATCH, URI_QUERY, coap.CONTENT_FORMAT, ECHO))


# row S07
def test_an_outer_uri_host_does_not_redirect_what_is_inside(stage, keys):
    origin, other = stage.origin(), stage.origin()
    proxy = secure_proxy(stage, keys)
    made, layers = oscore.protect(forward(origin), None, [Hop(keys.cp)])
    answer = stage.client(proxy).exchange(made.plus((URI_HOST, other.host.encode())))
    assert oscore.unprotect(answer, layers).dotted == "2.05"
    assert (origin.count(), other.count()) == (1, 0)


# row S14 [rfc8613#5.1]
def test_equal_kids_are_told_apart_by_kid_context(stage):
    origin = stage.origin()
    contexts = [Context(secrets.token_bytes(16), b"", b"\x20", b"\x50", id_context=i) for i in (b"one", b"two", b"")]
    proxy = stage.proxy(contexts=[context_entry(f"c{n}", c.other_side()) for n, c in enumerate(contexts)],
                        clients=[{"match": {"context": ["c0", "c1", "c2"]}, "allow": ALLOW}])
    clients = [stage.secure(proxy, None, [Hop(c)]) for c in contexts]
    for _ in range(3):
        for secure in clients:
            assert secure.exchange(forward(origin)).dotted == "2.05"
    crossed, _ = oscore.protect(forward(origin), None, [Hop(contexts[0])])
    option = Option.decode(crossed.get(OSCORE))
    option.kid_context = b"two"
    answer = stage.client(proxy).exchange(crossed.without(OSCORE).plus((OSCORE, option.encode())))
    # the other context's window already knows this Partial IV, or its key does not fit
    assert answer.dotted in ("4.00", "4.01")
    assert origin.count() == 9


# row S06
@pytest.mark.parametrize("aead", sorted(oscore.AEADS))
def test_algorithms(stage, aead):
    origin = stage.origin()
    id_len = oscore.AEADS[aead][1] - 6
    context = Context(secrets.token_bytes(16), secrets.token_bytes(8), secrets.token_bytes(id_len), b"", aead=aead)
    entry = context_entry("c", context.other_side()) | {"aead": oscore.AEAD_NAMES[aead]}
    proxy = stage.proxy(contexts=[entry], clients=[{"match": {"context": "c"}, "allow": ALLOW}])
    secure = stage.secure(proxy, None, [Hop(context)])
    assert secure.exchange(forward(origin)).dotted == "2.05" and secure.outer.has(OSCORE)


# row S14 [rfc8613#3.3]
@pytest.mark.parametrize("mine, theirs", [(b"", b"\x01"), (b"\x01", b""), (b"1234567", b"7654321"), (b"\0", b"\0\0")])
def test_ids_of_every_length(stage, mine, theirs):
    origin = stage.origin()
    context = Context(secrets.token_bytes(32), b"", mine, theirs)
    proxy = stage.proxy(contexts=[context_entry("c", context.other_side())],
                        clients=[{"match": {"context": "c"}, "allow": ALLOW}])
    assert stage.secure(proxy, None, [Hop(context)]).exchange(forward(origin)).dotted == "2.05"


# row S15
@pytest.mark.parametrize("path, want", [("nothing", "4.04"), (".well-known/core", "2.05")])
def test_local_answers_are_protected(stage, keys, path, want):
    secure = stage.secure(secure_proxy(stage, keys), None, [Hop(keys.cp)])
    assert secure.exchange(coap.request(path=path)).dotted == want
    assert secure.outer.dotted == "2.04" and secure.outer.has(OSCORE)


# row S15
def test_an_error_of_the_second_layer_goes_under_the_first(stage, keys):
    proxy = secure_proxy(stage, keys, contexts=[context_entry("c-p", keys.cp.other_side()),
                                                context_entry("c-p2", keys.cp2.other_side())])
    inner, _ = keys.cp2.protect_request(coap.request(path="x"), oscore.TO_PROXY)
    broken = [
        (inner.copy(payload=inner.payload[:-1] + b"?"), "4.00"),
        (inner.without(OSCORE).plus((OSCORE, Option(b"\0", b"\x77").encode())), "4.01"),
        (inner.without(OSCORE).plus((OSCORE, b"\x89\0\x21")), "4.02"),
    ]
    client = stage.client(proxy)
    for bad, want in broken:
        made, layer = keys.cp.protect_request(bad, oscore.TO_PROXY)
        assert layer.unprotect_response(client.exchange(made)).dotted == want
    made, layer = keys.cp.protect_request(inner, oscore.TO_PROXY)
    assert layer.unprotect_response(client.exchange(made)).has(OSCORE)
    made, layer = keys.cp.protect_request(inner, oscore.TO_PROXY)
    assert layer.unprotect_response(client.exchange(made)).dotted == "4.01"       # the inner one is a replay now


# row M08 S13
def test_a_retransmission_gets_the_same_bytes_and_is_no_replay(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    client = stage.client(proxy)
    made, _ = oscore.protect(forward(origin), None, [Hop(keys.cp)])
    datagram = client.send(client.dress(made))
    first = client.receive_raw()
    for _ in range(3):
        client.send(datagram)
        assert client.receive_raw() == first
    assert origin.count() == 1 and proxy.errors_by("REPLAY") == 0


def test_many_requests_at_once_keep_to_their_layers(stage, keys):
    origin = stage.origin(lambda r: coap.response("2.05", r.payload), [keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address))
    client = stage.client(proxy)
    waiting = {}
    for n in range(200):
        made, (layer,) = oscore.protect(forward(origin, method=coap.POST, payload=b"%d" % n, type=coap.NON), None, [Hop(keys.cp)])
        waiting[client.ask(made).token] = (n, layer)
    for _ in range(200):
        answer = client.receive()
        n, layer = waiting.pop(answer.token)
        assert layer.unprotect_response(answer).payload == b"%d" % n
    pivs = [r.removed[0].piv for r in origin.requests()]
    assert len(set(pivs)) == 200
    assert not any(r.plain.has(URI_PATH) and r.plain.path() != "/x" for r in origin.requests())
