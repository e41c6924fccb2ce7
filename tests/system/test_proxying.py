# SPDX-License-Identifier: BSD-2-Clause
"""Forward and reverse-proxying of RFC 7252 section 5.7, without OSCORE."""
import json
import pathlib
import random
import socket
import time

import pytest

from daemon import RESPONSE_TIMEOUT
from peer import coap, net
from peer.coap import (CON, CONTENT_FORMAT, ECHO, ETAG, HOP_LIMIT, IF_NONE_MATCH, LOCATION_PATH, NO_RESPONSE, NON, PROXY_SCHEME,
                       PROXY_URI, REQUEST_TAG, RST, URI_HOST, URI_PATH, URI_PORT, URI_QUERY, Message)

CODEC = json.loads((pathlib.Path(__file__).resolve().parent.parent / "vectors" / "coap-codec.json").read_text())
SEMANTICS = {c["id"]: coap.decode(bytes.fromhex(c["hex"])) for c in CODEC["semantics"] if c["transport"] == "udp"}
UNKNOWN = {"elective safe": 65000, "critical safe": 65001, "elective unsafe": 65002, "critical unsafe": 65003,
           "no cache key": 65020}
OPEN = [{"match": {"any": True}, "allow": ["forward coap://127.0.0.0/8", "forward coap://*.example", "route *"]}]


def forward(origin, path="x", **kw):
    return coap.request(path=path, host=origin.host, port=origin.port, scheme="coap", **kw)


def proxy_uri(text, **kw):
    return coap.request(options=[(PROXY_URI, text.encode())], **kw)


def from_vector(ident, origin):
    """A message of the codec vectors, aimed at `origin`."""
    aim = [(PROXY_SCHEME, b"coap")]
    if not SEMANTICS[ident].has(URI_HOST):
        aim.append((URI_HOST, origin.host.encode()))
    if not SEMANTICS[ident].has(URI_PORT):
        aim.append((URI_PORT, coap.uint(origin.port)))
    return SEMANTICS[ident].without(PROXY_SCHEME).plus(*aim)


# row P01
@pytest.mark.parametrize("rest, want", [
    ("", []),
    ("/", []),
    ("/a", [(URI_PATH, b"a")]),
    ("/a/b?c=d&e", [(URI_PATH, b"a"), (URI_PATH, b"b"), (URI_QUERY, b"c=d"), (URI_QUERY, b"e")]),
    ("/%61%2Fb/%20", [(URI_PATH, b"a/b"), (URI_PATH, b" ")]),
    ("/a/", [(URI_PATH, b"a"), (URI_PATH, b"")]),
    ("?q=%26x", [(URI_QUERY, b"q=&x")]),
    ("/%C3%A4", [(URI_PATH, "ä".encode())]),
])
def test_a_proxy_uri_is_split(stage, rest, want):
    proxy, origin = stage.proxy(), stage.origin()
    answer = stage.client(proxy).exchange(proxy_uri(net.uri(origin.address) + rest))
    assert answer.dotted == "2.05"
    seen = origin.requests()[0].plain
    assert [o for o in seen.options if o[0] not in (URI_HOST, URI_PORT)] == want
    assert not seen.has(PROXY_URI) and not seen.has(PROXY_SCHEME)


# row P01
def test_a_proxy_uri_without_port_goes_to_5683_with_the_name_kept(stage):
    origin = stage.origin(address=net.free_address(5683))
    proxy = stage.proxy(clients=OPEN, hosts={"sensor.example": origin.host})
    assert stage.client(proxy).exchange(proxy_uri("coap://Sensor.Example/t")).dotted == "2.05"
    seen = origin.requests()[0].plain
    assert seen.get(URI_HOST) == b"sensor.example" and not seen.has(URI_PORT) and seen.path() == "/t"


# row P01
@pytest.mark.parametrize("text", ["coap://", "coap:", "coap://127.0.0.1:99999/", "coap://127.0.0.1/%zz", "coap://[::1", "x",
                                  "coap://127.0.0.1/" + "a" * 300, "coap://127.0.0.1/#frag"])
def test_a_malformed_proxy_uri_is_refused(stage, text):
    proxy = stage.proxy()
    client = stage.client(proxy)
    answer = client.exchange(proxy_uri(text))
    assert answer.dotted in ("4.00", "4.02", "5.05"), answer
    assert stage.client(proxy).get().dotted == "4.04"


# row P02
def test_proxy_scheme_is_consumed_and_the_rest_is_passed_on(stage):
    origin = stage.origin()
    proxy = stage.proxy(clients=OPEN, hosts={"s.example": origin.host})
    sent = coap.request(path="a/b", host="s.example", port=origin.port, scheme="coap", options=[(URI_QUERY, b"k=v")])
    assert stage.client(proxy).exchange(sent).payload == b"hello"
    seen = origin.requests()[0].plain
    assert not seen.has(PROXY_SCHEME)
    assert seen.get(URI_HOST) == b"s.example" and seen.path() == "/a/b" and seen.get(URI_QUERY) == b"k=v"


# row P03 [rfc7252#5.10.2]
def test_proxy_uri_wins_over_uri_options(stage):
    origin, other = stage.origin(), stage.origin()
    proxy = stage.proxy()
    m = proxy_uri(net.uri(origin.address, "/a")).plus((URI_HOST, other.host.encode()), (URI_PORT, coap.uint(other.port)),
                                                      (URI_PATH, b"x"), (URI_QUERY, b"y"))
    assert stage.client(proxy).exchange(m).dotted == "2.05"
    assert other.count() == 0
    seen = origin.requests()[0].plain
    assert seen.path() == "/a" and not seen.has(URI_QUERY)


# row P04
@pytest.mark.parametrize("m", [
    coap.request(host="127.0.0.1", path="x", scheme="gopher"),
    coap.request(host="127.0.0.1", path="x", scheme="http"),
    proxy_uri("http://127.0.0.1/x"),
    proxy_uri("coaps://127.0.0.1/x"),
], ids=["gopher", "http", "http-uri", "coaps-uri"])
def test_an_unsupported_scheme_is_505(stage, m):
    assert stage.client(stage.proxy()).exchange(m).dotted == "5.05"


# row P04
def test_no_forward_proxy_is_505(stage):
    origin = stage.origin()
    proxy = stage.proxy(**{"forward-proxy": {"enabled": False}, "clients": OPEN})
    client = stage.client(proxy)
    assert client.exchange(forward(origin)).dotted == "5.05"
    assert client.exchange(proxy_uri(net.uri(origin.address))).dotted == "5.05"
    assert origin.count() == 0
    assert proxy.errors_by("NOT_PROXY") == 2


# row P05
@pytest.mark.parametrize("how", ["address", "name", "name in capitals", "proxy-uri"])
def test_the_proxys_own_authority_is_local(stage, how):
    address = net.free_address()
    proxy = stage.proxy(address=address, clients=OPEN, names=["proxy.example"])
    name = {"address": address[0], "name": "proxy.example", "name in capitals": "PROXY.example"}.get(how)
    client = stage.client(proxy)
    for path, want in ((".well-known/core", "2.05"), ("nothing", "4.04")):
        if how == "proxy-uri":
            m = proxy_uri(net.uri(address, "/" + path))
        else:
            m = coap.request(path=path, host=name, port=address[1], scheme="coap")
        assert client.exchange(m).dotted == want
    assert proxy.metric("osprey_forwarded_total", way="forward") == 0


# row P05
def test_its_own_authority_on_the_default_port_is_local(stage):
    address = net.free_address(5683)
    proxy = stage.proxy(address=address)
    client = stage.client(proxy)
    assert client.exchange(coap.request(path="nothing", host=address[0], scheme="coap")).dotted == "4.04"
    assert client.exchange(coap.request(path="nothing", scheme="coap")).dotted == "4.04"
    assert proxy.metric("osprey_forwarded_total", way="forward") == 0


# row P06
@pytest.mark.parametrize("ident", ["s04", "s05"])
def test_an_unknown_unsafe_option_of_a_request_is_402(stage, ident):
    proxy, origin = stage.proxy(), stage.origin()
    assert stage.client(proxy).exchange(from_vector(ident, origin)).dotted == "4.02"
    assert origin.count() == 0
    assert proxy.errors_by("UNKNOWN_OPTION") == 1


# row P06
@pytest.mark.parametrize("number", [coap.Q_BLOCK1, 31])
def test_q_block_is_402(stage, number):
    proxy, origin = stage.proxy(), stage.origin()
    assert stage.client(proxy).exchange(forward(origin, options=[(number, b"\x08")])).dotted == "4.02"
    assert origin.count() == 0


# row P07
@pytest.mark.parametrize("ident", ["s01", "s03", "s06", "s07"])
def test_an_unknown_safe_option_is_forwarded_unchanged(stage, ident):
    proxy, origin = stage.proxy(), stage.origin()
    sent = from_vector(ident, origin)
    assert stage.client(proxy).exchange(sent).dotted == "2.05"
    aim = (URI_HOST, URI_PORT, PROXY_SCHEME)
    seen = [o for o in origin.requests()[0].plain.options if o[0] not in aim]
    assert seen == [o for o in sent.options if o[0] not in aim]


# rows P07, E04
def test_a_tag_of_ours_stands_before_those_of_the_client(stage):
    proxy, origin = stage.proxy(), stage.origin()
    sent = from_vector("s32", origin)
    assert stage.client(proxy).exchange(sent).dotted == "2.05"
    tags = origin.requests()[0].plain.all(REQUEST_TAG)
    assert len(tags[0]) == 8 and tags[1:] == sent.all(REQUEST_TAG) == [b"\x01", b""]


# row P07
def test_safe_options_keep_their_order_and_number(stage):
    proxy, origin = stage.proxy(), stage.origin()
    extra = [(65000, b"2"), (65000, b"1"), (65000, b""), (65001, b"x" * 300), (2048 + 12, b"z"), (REQUEST_TAG, b"b"),
             (REQUEST_TAG, b"a"), (ECHO, b"other"), (ETAG, b"e2"), (ETAG, b"e1")]
    assert stage.client(proxy).exchange(forward(origin, options=extra)).dotted == "2.05"
    seen = [o for o in origin.requests()[0].plain.options if o[0] not in (URI_HOST, URI_PORT, URI_PATH)]
    assert seen == sorted(extra, key=lambda o: o[0])


# row P08
@pytest.mark.parametrize("number", [UNKNOWN["elective unsafe"], UNKNOWN["critical unsafe"]])
def test_an_unknown_unsafe_option_of_a_response_is_502(stage, number):
    proxy = stage.proxy()
    origin = stage.origin(lambda r: coap.response("2.05", b"x", [(number, b"?")]))
    assert stage.client(proxy).exchange(forward(origin)).dotted == "5.02"
    assert proxy.errors_by("UNKNOWN_OPTION_RESPONSE") == 1


# row P09
def test_an_unknown_safe_option_of_a_response_is_passed_on(stage):
    options = [(65000, b"b"), (65000, b"a"), (65001, b""), (65020, b"c"), (ETAG, b"tag"), (LOCATION_PATH, b"l")]
    proxy, origin = stage.proxy(), stage.origin(lambda r: coap.response("2.05", b"x", options))
    answer = stage.client(proxy).exchange(forward(origin))
    assert answer.dotted == "2.05"
    assert answer.options == sorted(options, key=lambda o: o[0])


# row P10
@pytest.mark.parametrize("how", ["reset", "format error in the ACK", "format error in the separate response", "a request back"])
def test_an_unusable_response_is_502(stage, how):
    def answer(request):
        head = bytes([0x60 | len(request.token), 0x45]) + request.mid.to_bytes(2, "big") + request.token
        return {
            "reset": coap.encode(Message(type=RST, mid=request.mid)),
            "format error in the ACK": head + b"\xff",
            "format error in the separate response": [coap.encode(Message(type=coap.ACK, mid=request.mid)),
                                                      bytes([0x40 | len(request.token), 0x45, 9, 9]) + request.token + b"\xf0"],
            "a request back": bytes([head[0], 1]) + head[2:],
        }[how]

    proxy, origin = stage.proxy(), stage.origin(answer)
    answer = stage.client(proxy).exchange(forward(origin))
    # what does not even say that it is a response to this request may count as no answer
    assert answer.dotted in (("5.02",) if how == "reset" else ("5.02", "5.04"))


# row P11
@pytest.mark.parametrize("kind", [CON, NON])
def test_no_answer_is_504(stage, kind):
    proxy, origin = stage.proxy(), stage.origin(lambda r: None)
    begin = time.monotonic()
    assert stage.client(proxy).exchange(forward(origin, type=kind), timeout=6).dotted == "5.04"
    assert RESPONSE_TIMEOUT - 0.3 < time.monotonic() - begin < RESPONSE_TIMEOUT + 1
    assert proxy.errors_by("TIMEOUT") == 1


# row P11
def test_nobody_at_the_other_end_is_an_answer_too(stage):
    proxy = stage.proxy()
    host, port = net.free_address()
    answer = stage.client(proxy).exchange(coap.request(path="x", host=host, port=port, scheme="coap"), timeout=6)
    assert answer.dotted in ("5.02", "5.04")


# row P12
def test_a_supernumerary_critical_option_is_402(stage):
    proxy, origin = stage.proxy(), stage.origin()
    twice = coap.request(scheme="coap", port=origin.port, path="x").plus((URI_HOST, origin.host.encode()), (URI_HOST, b"b"))
    assert stage.client(proxy).exchange(twice).dotted == "4.02"
    assert stage.client(proxy).exchange(from_vector("s22", origin)).dotted == "4.02"
    assert origin.count() == 0


# row P12
def test_a_supernumerary_elective_option_is_as_an_unknown_one(stage):
    proxy, origin = stage.proxy(), stage.origin()
    sent = from_vector("s09", origin)
    assert stage.client(proxy).exchange(sent).dotted == "2.05"
    formats = origin.requests()[0].plain.all(CONTENT_FORMAT)
    assert formats in (sent.all(CONTENT_FORMAT), sent.all(CONTENT_FORMAT)[:1])


# row P13
@pytest.mark.parametrize("ident", ["s10", "s11", "s21"])
def test_a_critical_option_of_a_bad_length_is_402(stage, ident):
    proxy, origin = stage.proxy(), stage.origin()
    assert stage.client(proxy).exchange(from_vector(ident, origin)).dotted == "4.02"
    assert origin.count() == 0


# row P13
@pytest.mark.parametrize("ident, number", [("s12", ETAG), ("s13", ETAG), ("s14", IF_NONE_MATCH), ("s31", ECHO)])
def test_a_safe_option_of_a_bad_length_is_as_an_unknown_one(stage, ident, number):
    proxy, origin = stage.proxy(), stage.origin()
    sent = from_vector(ident, origin)
    answer = stage.client(proxy).exchange(sent)
    assert answer.dotted == "2.05"
    assert origin.requests()[0].plain.all(number) in (sent.all(number), [])


# row P14
@pytest.mark.seconds(60)
def test_every_response_passes_unchanged(stage):
    codes = [f"{c}.{d:02d}" for c in (2, 4, 5) for d in (0, 1, 2, 3, 4, 5, 6, 8, 9, 12, 13, 15, 22, 29, 30, 31)]
    options = [(ETAG, b"\x01"), (CONTENT_FORMAT, b"\x2a"), (coap.MAX_AGE, b"\x07"), (coap.SIZE2, b"\x09"), (ECHO, b"echo")]
    codes.remove("5.08")                    # has a rule of its own

    def answer(request):
        wanted = request.path()[1:]
        return coap.response(wanted, b"payload of " + wanted.encode(), options)

    proxy, origin = stage.proxy(), stage.origin(answer)
    client = stage.client(proxy)
    for wanted in codes:
        got = client.exchange(forward(origin, path=wanted))
        assert (got.dotted, got.options, got.payload) == (wanted, options, b"payload of " + wanted.encode())


# row P15
@pytest.mark.parametrize("method", [coap.GET, coap.POST, coap.PUT, coap.DELETE, coap.FETCH, coap.PATCH, coap.IPATCH, 9, 31])
def test_methods_pass_through(stage, method):
    proxy, origin = stage.proxy(), stage.origin(lambda r: coap.response("2.04", bytes([r.code]) + r.payload))
    answer = stage.client(proxy).exchange(forward(origin, method=method, payload=b"body"))
    assert answer.payload == bytes([method]) + b"body"


# row P16 [rfc7252#5.8]
def test_an_unknown_method_here_is_405(stage):
    client = stage.client(stage.proxy())
    assert client.exchange(coap.request(method=9, path=".well-known/core")).dotted == "4.05"
    assert client.exchange(coap.request(method=coap.DELETE, path=".well-known/core")).dotted == "4.05"
    assert client.exchange(coap.request(path=".well-known/core")).dotted == "2.05"


# row P17 P18
@pytest.mark.parametrize("kind", [CON, NON])
def test_an_unknown_critical_option_here_is_402(stage, kind):
    client = stage.client(stage.proxy())
    m = coap.request(path=".well-known/core", options=[(65001, b"x")], type=kind)
    assert client.exchange(m).dotted == "4.02"
    m = coap.request(path=".well-known/core", options=[(65000, b"x")], type=kind)
    assert client.exchange(m).dotted == "2.05"


def two_origins(stage):
    return [stage.origin(lambda r, n=n: coap.response("2.05", b"%d %s" % (n, r.path().encode()), [(ETAG, b"same")]))
            for n in (1, 2)]


# row P19
def test_a_reverse_proxy_maps_by_path_and_by_host(stage):
    one, two = two_origins(stage)
    proxy = stage.proxy(clients=OPEN, routes=[
        {"name": "one", "match": {"path": "/one/*"}, "strip": 1, "upstream": {"uri": net.uri(one.address)}},
        {"name": "two", "match": {"host": "two.example"}, "upstream": {"uri": net.uri(two.address)}},
        {"name": "deep", "match": {"path": "/deep/er"}, "strip": 1, "upstream": {"uri": net.uri(two.address, "/base")}},
    ])
    client = stage.client(proxy)
    assert client.get("one/a/b").payload == b"1 /a/b"
    assert client.get("a", host="two.example").payload == b"2 /a"
    assert client.get("deep/er").payload == b"2 /base/er"
    assert client.get("deep/er/x").dotted == "4.04"
    assert client.get("three").dotted == "4.04"
    assert client.get("a", host="three.example").dotted == "4.04"
    assert [r.plain.get(URI_HOST) for r in two.requests()] == [None, None]


# row P19
def test_locations_are_mapped_back(stage):
    origin = stage.origin(lambda r: coap.response("2.01", options=[(LOCATION_PATH, s) for s in (b"base", b"a", b"b")]))
    proxy = stage.proxy(clients=OPEN, routes=[
        {"name": "plain", "match": {"path": "/one/*"}, "strip": 1, "upstream": {"uri": net.uri(origin.address)}},
        {"name": "based", "match": {"path": "/x/two/*"}, "strip": 2, "upstream": {"uri": net.uri(origin.address, "/base")}},
    ])
    client = stage.client(proxy)
    for path, want in (("one/new", [b"one", b"base", b"a", b"b"]), ("x/two/new", [b"x", b"two", b"a", b"b"])):
        answer = client.exchange(coap.request(coap.POST, path))
        assert (answer.dotted, answer.all(LOCATION_PATH)) == ("2.01", want)


# row P23
def test_dot_segments_lead_nowhere(stage):
    origin = stage.origin(lambda r: coap.response("2.01", options=[(LOCATION_PATH, s) for s in (b"www", b"..", b"b")]))
    proxy = stage.proxy(clients=OPEN, routes=[
        {"name": "pub", "match": {"path": "/pub/*"}, "strip": 1, "upstream": {"uri": net.uri(origin.address, "/www")}}])
    client = stage.client(proxy)
    outside = coap.request(host=origin.host, port=origin.port, scheme="coap")
    for path in ("pub/../secret", "pub/./x", "pub/x/.."):
        assert client.exchange(coap.request(coap.GET, path)).dotted == "4.00"
        assert client.exchange(coap.request(path=path, host=origin.host, port=origin.port, scheme="coap")).dotted == "4.00"
    for path in ("a/../b", "a/%2e%2E/b", "a/..%2fb", ".."):
        request = coap.Message(code=coap.GET, options=[(35, f"coap://{origin.host}:{origin.port}/{path}".encode())])
        assert client.exchange(request).dotted == "4.00"
    assert origin.count() == 0
    answer = client.exchange(coap.request(coap.POST, "pub/x"))
    assert (answer.dotted, answer.all(LOCATION_PATH)) == ("2.01", [])
    assert client.exchange(outside).all(LOCATION_PATH) == []
    assert proxy.errors_by("DOT_SEGMENT") == 10
    assert proxy.metric("osprey_locations_dropped_total") == 2


# row P19
def test_etags_of_two_origins_are_not_mixed(stage):
    one, two = two_origins(stage)
    proxy = stage.proxy(clients=OPEN, routes=[
        {"name": f"r{n}", "match": {"path": f"/{n}/*"}, "strip": 1, "upstream": {"uri": net.uri(o.address)}}
        for n, o in ((1, one), (2, two))])
    client = stage.client(proxy)
    for n in (1, 2, 1, 2):
        answer = client.get(f"{n}/x")
        assert (answer.dotted, answer.payload[:1]) == ("2.05", b"%d" % n)


# row P20
def test_clients_with_equal_tokens_and_message_ids_are_kept_apart(stage):
    proxy = stage.proxy()
    origin = stage.origin(lambda r: time.sleep(0.05) or coap.response("2.05", r.payload))
    clients = [stage.client(proxy) for _ in range(8)]
    for n, client in enumerate(clients):
        client.send(forward(origin, method=coap.POST, payload=b"%d" % n).copy(mid=0x1111, token=b"\xaa\xbb"))
    for n, client in enumerate(clients):
        answer = client.receive(4)
        assert (answer.mid, answer.token, answer.payload) == (0x1111, b"\xaa\xbb", b"%d" % n)
    tokens = [r.message.token for r in origin.requests()]
    assert len(set(tokens)) == 8 and b"\xaa\xbb" not in tokens


# row P21
def test_a_client_without_the_right_is_401(stage):
    origin, other = stage.origin(), stage.origin()
    proxy = stage.proxy(clients=[
        {"match": {"address": "127.0.0.1"}, "allow": [f"forward coap://{origin.host}:{origin.port}"]},
        {"match": {"address": "127.64.0.0/16"}, "allow": []},
    ])
    client = stage.client(proxy)
    assert client.exchange(forward(origin)).dotted == "2.05"
    assert client.exchange(forward(other)).dotted == "4.01"
    for source in ("127.64.1.1", "127.65.1.1"):
        stranger = stage.client(proxy, source=(source, 0))
        assert stranger.exchange(forward(origin)).dotted == "4.01"
        assert stranger.exchange(forward(origin, type=NON)).dotted == "4.01"
    assert (origin.count(), other.count()) == (1, 0)
    assert proxy.errors_by("FORBIDDEN") == 5


# row P21
def test_a_route_needs_a_right_too(stage):
    origin = stage.origin()
    routes = [{"name": n, "match": {"path": f"/{n}/*"}, "strip": 1, "upstream": {"uri": net.uri(origin.address)}}
              for n in ("public-a", "secret")]
    proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": ["route public-*"]}], routes=routes)
    client = stage.client(proxy)
    assert client.get("public-a/x").dotted == "2.05"
    assert client.get("secret/x").dotted == "4.01"
    assert client.exchange(forward(origin)).dotted == "4.01"
    assert origin.count() == 1


# row P22 [rfc7252#11]
@pytest.mark.parametrize("target", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "224.0.1.187", "[ff02::fd]", "[fe80::1]",
                                    "169.254.1.1", "0.0.0.0", "[::]", "localhost", "127.1", "2130706433"])
def test_dangerous_targets_need_a_rule_that_names_them(stage, target):
    origin = stage.origin(address=("127.0.0.1", net.free_address()[1]))
    proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": ["forward coap://*"]}])
    answer = stage.client(proxy).exchange(proxy_uri(f"coap://{target}:{origin.port}/x"), timeout=8)
    assert answer.dotted in (("4.01",) if target[0] in "[0" or target.startswith(("127.0", "224", "169")) else
                             ("4.01", "4.00", "5.02", "5.04")), answer
    assert origin.count() == 0


# row P22
def test_a_name_that_leads_to_loopback_is_refused_after_the_look_up(stage):
    name = socket.gethostname()
    try:
        found = {a[4][0] for a in socket.getaddrinfo(name, 5683, socket.AF_INET)}
    except OSError:
        found = set()
    name = name if any(a.startswith("127.") for a in found) else "localhost"
    origin = stage.origin(address=("127.0.0.1", net.free_address()[1]))
    proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": ["forward coap://*"]}])
    answer = stage.client(proxy).exchange(coap.request(path="x", host=name, port=origin.port, scheme="coap"), timeout=8)
    assert answer.dotted in ("4.01", "5.02")
    assert origin.count() == 0


def test_a_client_beyond_its_rate_is_429(stage):
    proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": ["forward coap://127.0.0.0/8"],
                                  "rate": {"requests": "1/s", "burst": 5}}])
    origin = stage.origin()
    client = stage.client(proxy)
    got = [client.exchange(forward(origin)).dotted for _ in range(12)]
    assert got[:5] == ["2.05"] * 5 and "4.29" in got[5:]
    assert proxy.errors_by("RATE") == got.count("4.29")
    assert stage.client(proxy, source=("127.0.0.2", 0)).exchange(forward(origin)).dotted == "2.05"


# [rfc7967#2]
def test_no_response_is_respected(stage):
    proxy, origin = stage.proxy(), stage.origin(lambda r: coap.response(r.path()[1:]))
    client = stage.client(proxy)
    silent = coap.uint(2 | 8 | 16)
    for code in ("2.04", "4.04", "5.00"):
        client.ask(forward(origin, path=code, type=NON, options=[(NO_RESPONSE, silent)]))
        client.expect_silence(0.2)
    sent = client.ask(forward(origin, path="2.04", options=[(NO_RESPONSE, silent)]))
    ack = client.receive(2)
    assert (ack.type, ack.code, ack.mid) == (coap.ACK, coap.EMPTY, sent.mid)
    client.expect_silence(0.3)
    answer = client.exchange(forward(origin, path="4.04", type=NON, options=[(NO_RESPONSE, b"\x02")]))
    assert answer.dotted == "4.04"


# row E04
def test_request_tags_are_opaque_and_kept(stage):
    proxy, origin = stage.proxy(), stage.origin()
    tags = [b"", b"\x00", random.randbytes(8), b"\x00"]
    assert stage.client(proxy).exchange(forward(origin, method=coap.PUT, options=[(REQUEST_TAG, t) for t in tags])).dotted == "2.05"
    assert origin.requests()[0].plain.all(REQUEST_TAG) == tags


# row F01
@pytest.mark.parametrize("code", ["4.09", "4.22"])
def test_conflict_and_unprocessable_entity_pass(stage, code):
    proxy, origin = stage.proxy(), stage.origin(lambda r: coap.response(code, b"why"))
    answer = stage.client(proxy).exchange(forward(origin, method=coap.PATCH, payload=b"p"))
    assert (answer.dotted, answer.payload) == (code, b"why")


# row E01 (partly: Echo of others)
def test_echo_of_the_origin_passes_both_ways(stage):
    def answer(request):
        if request.get(ECHO) == b"origin":
            return coap.response("2.05", b"fresh")
        return coap.response("4.01", options=[(ECHO, b"origin")])

    proxy, origin = stage.proxy(), stage.origin(answer)
    client = stage.client(proxy)
    challenged = client.exchange(forward(origin))
    assert (challenged.dotted, challenged.get(ECHO)) == ("4.01", b"origin")
    assert client.exchange(forward(origin, options=[(ECHO, b"origin")])).payload == b"fresh"
    assert origin.requests()[-1].plain.get(ECHO) == b"origin"


# row B01
@pytest.mark.parametrize("szx", range(7))
def test_block_options_pass(stage, szx):
    block = coap.uint(3 << 4 | 8 | szx)
    proxy = stage.proxy()
    origin = stage.origin(lambda r: coap.response("2.05", b"x" * (16 << szx), [(coap.BLOCK2, r.get(coap.BLOCK2))]))
    answer = stage.client(proxy).exchange(forward(origin, options=[(coap.BLOCK2, block)]))
    assert (answer.dotted, answer.get(coap.BLOCK2), len(answer.payload)) == ("2.05", block, 16 << szx)


# ---- Hop-Limit [rfc8768] ----

# row H01 [rfc8768#3]
@pytest.mark.parametrize("limit", [255, 8, 2])
def test_hop_limit_is_one_less(stage, limit):
    proxy, origin = stage.proxy(), stage.origin()
    assert stage.client(proxy).exchange(forward(origin, options=[(HOP_LIMIT, bytes([limit]))])).dotted == "2.05"
    assert origin.requests()[0].plain.all(HOP_LIMIT) == [bytes([limit - 1])]


# row H02
def test_hop_limit_1_is_508_with_the_proxys_name(stage):
    proxy, origin = stage.proxy(**{"node-name": "p1"}), stage.origin()
    answer = stage.client(proxy).exchange(forward(origin, options=[(HOP_LIMIT, b"\x01")]))
    assert (answer.dotted, answer.payload) == ("5.08", b"p1")
    assert origin.count() == 0


# row H03
@pytest.mark.parametrize("value", [b"\x00", b"\x01\x00", b"", b"\xff\xff"])
def test_a_bad_hop_limit_is_400(stage, value):
    proxy, origin = stage.proxy(), stage.origin()
    assert stage.client(proxy).exchange(forward(origin, options=[(HOP_LIMIT, value)])).dotted == "4.00"
    assert origin.count() == 0


# row H04
@pytest.mark.parametrize("configured, seen", [(16, [b"\x10"]), (0, []), (None, None)])
def test_hop_limit_is_put_in_when_configured(stage, configured, seen):
    forward_proxy = {"enabled": True} | ({} if configured is None else {"hop-limit": configured})
    proxy, origin = stage.proxy(**{"forward-proxy": forward_proxy}), stage.origin()
    assert stage.client(proxy).exchange(forward(origin)).dotted == "2.05"
    got = origin.requests()[0].plain.all(HOP_LIMIT)
    assert got == seen if seen is not None else got in ([], [b"\x10"])


# row H05 [rfc8768#4]
def test_508_gets_the_proxys_name_in_front(stage):
    proxy = stage.proxy(**{"node-name": "p1"})
    origin = stage.origin(lambda r: coap.response("5.08", b"p9"))
    answer = stage.client(proxy).exchange(forward(origin))
    assert (answer.dotted, answer.payload) == ("5.08", b"p1 p9")


# row H05 [rfc8768#4]
def test_508_with_the_proxys_name_in_it_is_not_passed_on(stage):
    proxy = stage.proxy(**{"node-name": "p1"})
    origin = stage.origin(lambda r: coap.response("5.08", b"p9 p1 p7"))
    client = stage.client(proxy)
    sent = client.ask(forward(origin))
    answer = client.receive(RESPONSE_TIMEOUT + 2)
    while answer and answer.code == coap.EMPTY:
        answer = client.receive(RESPONSE_TIMEOUT + 2)
    assert answer is None or (answer.token == sent.token and answer.dotted != "5.08")
    assert proxy.errors_by("LOOP") == 1


# row H07
@pytest.mark.parametrize("way", [{}, {"hop-limit": 0}])
def test_a_loop_of_two_proxies_ends_with_508(stage, way):
    """Each other's next hop: what comes back is recognised at once, also without Hop-Limit."""
    one, two = net.free_address(), net.free_address()
    p1, p2 = (stage.proxy(address=here, **{
        "node-name": name, "clients": OPEN, "forward-proxy": {"enabled": True, "next-hop": {"uri": net.uri(there), **way}}})
        for here, there, name in ((one, two, "p1"), (two, one, "p2")))
    answer = stage.client(p1).exchange(coap.request(path="x", host="s.example", scheme="coap"), timeout=6)
    assert (answer.dotted, answer.payload) == ("5.08", b"p2 p1")
    assert sum(p.metric("osprey_forwarded_total", way="forward") for p in (p1, p2)) == 2
    assert p1.errors_by("CAME_BACK") == 1
    deadline = time.monotonic() + 10
    while "request-came-back" not in p1.log() and time.monotonic() < deadline:      # told when the turn is over
        time.sleep(0.05)
    told = [line for line in p1.log().split("\n") if "request-came-back" in line]
    assert len(told) == 1 and "from=127." in told[0], p1.log()


# row H04 H07
def test_a_hop_limit_of_the_client_ends_at_the_second_proxy(stage):
    one, two = net.free_address(), net.free_address()
    p1, p2 = (stage.proxy(address=here, **{
        "node-name": name, "clients": OPEN, "forward-proxy": {"enabled": True, "next-hop": {"uri": net.uri(there)}}})
        for here, there, name in ((one, two, "p1"), (two, one, "p2")))
    answer = stage.client(p1).exchange(coap.request(path="x", host="s.example", scheme="coap", options=[(HOP_LIMIT, b"\x02")]),
                                       timeout=6)
    assert (answer.dotted, answer.payload) == ("5.08", b"p1 p2")
    assert p2.errors_by("HOP_LIMIT") == 1
