# SPDX-License-Identifier: BSD-2-Clause
"""The response cache of the real daemon: what the origin is asked, what ospreyctl and the counters say."""
from daemon import context_entry
from peer import coap
from peer.coap import MAX_AGE, OSCORE, PROXY_SCHEME, URI_HOST, URI_PORT
from peer.oscore import Hop

REQUEST_HASH = 548
OPEN = [{"match": {"any": True}, "allow": ["forward coap://[127.0.0.0/8]"]}]
CACHE = {"size": "1MiB", "serve-stale": True}


def forward(origin, path, **kw):
    return coap.request(path=path, host=origin.host, port=origin.port, scheme="coap", **kw)


# row C18
def test_a_second_client_is_answered_without_asking(stage):
    proxy = stage.proxy(clients=OPEN, cache=CACHE)
    origin = stage.origin(lambda r: coap.response("2.05", b"22", [(MAX_AGE, b"\x1e")]))
    first = stage.client(proxy).exchange(forward(origin, "t"))
    second = stage.client(proxy).exchange(forward(origin, "t"))
    assert (first.payload, second.payload) == (b"22", b"22")
    assert 28 <= coap_uint(second, MAX_AGE) <= 30
    assert origin.count() == 1
    assert proxy.metric("osprey_cached_answers_total", kind="fresh") == 1
    assert proxy.metric("osprey_cache_lookups_total", result="hit") == 1
    assert proxy.metric("osprey_cache_entries") == 1


# row C18
def test_a_full_cache_goes_on_answering_within_its_bound(stage):
    proxy = stage.proxy(clients=OPEN, cache=CACHE)
    origin = stage.origin(lambda r: coap.response("2.05", bytes(1000)))
    client = stage.client(proxy)
    for n in range(1200):       # more than 1 MiB holds
        assert client.exchange(forward(origin, f"r{n}")).dotted == "2.05"
    assert 0 < proxy.metric("osprey_cache_entries") < 1200
    assert proxy.metric("osprey_cache_changes_total", what="evicted") > 100
    assert proxy.metric("osprey_cache_bytes") <= proxy.metric("osprey_cache_limit_bytes") == 1 << 20


def coap_uint(message, number):
    return int.from_bytes(dict(message.options)[number], "big")


def test_ospreyctl_shows_and_purges(stage):
    proxy = stage.proxy(clients=OPEN, cache=CACHE)
    origin = stage.origin(lambda r: coap.response("2.05", b"22"))
    client = stage.client(proxy)
    for path in ("a", "a", "b"):
        client.exchange(forward(origin, path))
    assert origin.count() == 2
    assert "entries: 2" in proxy.ctl("cache")[1]
    assert proxy.ctl("purge", f"coap://{origin.host}:{origin.port}/a*")[:2] == (0, "purged: 1\n")
    client.exchange(forward(origin, "a"))
    client.exchange(forward(origin, "b"))
    assert origin.count() == 3
    assert proxy.ctl("purge")[0] != 0


def test_without_a_size_there_is_no_cache(stage):
    proxy = stage.proxy(clients=OPEN)
    origin = stage.origin()
    client = stage.client(proxy)
    client.exchange(forward(origin, "t"))
    client.exchange(forward(origin, "t"))
    assert origin.count() == 2
    assert proxy.ctl("cache")[0] == 1


def test_a_reload_keeps_what_is_stored(stage):
    proxy = stage.proxy(clients=OPEN, cache=CACHE)
    origin = stage.origin()
    client = stage.client(proxy)
    client.exchange(forward(origin, "t"))
    assert proxy.ctl("reload")[0] == 0
    client.exchange(forward(origin, "t"))
    assert origin.count() == 1


# row D06 D07
def test_max_age_of_origins_is_capped_and_the_cap_can_be_reloaded(stage):
    proxy = stage.proxy(clients=OPEN, cache={**CACHE, "max-age": "100s"})
    origin = stage.origin(lambda r: coap.response("2.05", b"22", [(MAX_AGE, b"\xff\xff\xff\xff")]))
    client = stage.client(proxy)
    client.exchange(forward(origin, "a"))
    assert 0 < coap_uint(client.exchange(forward(origin, "a")), MAX_AGE) <= 100
    proxy.write(cache={**CACHE, "max-age": "2000s"})
    assert "reloaded" in proxy.reload()
    client.exchange(forward(origin, "b"))
    assert 1900 < coap_uint(client.exchange(forward(origin, "b")), MAX_AGE) <= 2000
    assert 0 < coap_uint(client.exchange(forward(origin, "a")), MAX_AGE) <= 100     # stored before
    assert origin.count() == 2


def test_an_answer_in_the_clear_to_a_protected_request_is_given_once(stage):
    proxy = stage.proxy(clients=OPEN, cache=CACHE)
    origin = stage.origin(lambda r: coap.response("4.00", b"forged", [(MAX_AGE, b"\xff\xff\xff\xff")]))
    request = coap.Message(code=coap.FETCH, payload=b"ciphertext", options=[
        (URI_HOST, origin.host.encode()), (URI_PORT, coap.uint(origin.port)), (OSCORE, b"\x19\x00\x02Gidc"),
        (PROXY_SCHEME, b"coap"), (REQUEST_HASH, bytes(32))])
    assert [stage.client(proxy).exchange(request).dotted for _ in range(2)] == ["4.00"] * 2
    assert origin.count() == 2
    assert proxy.metric("osprey_cache_entries") == 0
    assert proxy.metric("osprey_cache_changes_total", what="unprotected") == 2


def test_two_contexts_share_what_neither_they_nor_the_proxy_can_tell_apart(stage, keys):
    """A deterministic request below two different layers for the proxy: one request at the origin."""
    rules = [{"match": {"context": "*"}, "allow": ["forward coap://[127.0.0.0/8]"]}]
    proxy = stage.proxy(contexts=[context_entry("one", keys.cp.other_side()), context_entry("two", keys.cp2.other_side())],
                        clients=rules, cache=CACHE)
    origin = stage.origin(lambda r: coap.response("2.05", b"sealed answer", [(OSCORE, b"\x29\x07s"), (MAX_AGE, b"\x1e")]))
    inside = coap.Message(code=coap.FETCH, payload=b"the same ciphertext", options=[
        (URI_HOST, origin.host.encode()), (URI_PORT, coap.uint(origin.port)), (OSCORE, b"\x19\x00\x02Gidc"),
        (PROXY_SCHEME, b"coap"), (REQUEST_HASH, bytes(32))])
    answers = [stage.secure(proxy, hops=[Hop(context)]).exchange(inside) for context in (keys.cp, keys.cp2)]
    assert [a.payload for a in answers] == [b"sealed answer"] * 2
    assert [dict(a.options)[OSCORE] for a in answers] == [b"\x29\x07s"] * 2
    assert origin.count() == 1
