# SPDX-License-Identifier: BSD-2-Clause
"""The message layer of RFC 7252 and the extended tokens of RFC 8974, seen from a socket."""
import json
import pathlib
import random
import socket
import statistics
import time

import pytest

from peer import coap, net
from peer.coap import ACK, CON, NON, RST, Message

CODEC = json.loads((pathlib.Path(__file__).resolve().parent.parent / "vectors" / "coap-codec.json").read_text())
MALFORMED = {c["id"]: c for c in CODEC["malformed"]}
H = bytes.fromhex


def cases(reaction):
    """(id, datagram) of the malformed UDP messages that get this reaction."""
    return [(c["id"], H(c["hex"])) for c in CODEC["malformed"] if c["transport"] == "udp" and
            c["expect"]["reaction"] == reaction and "extended_token = false" not in c["expect"].get("needs", "")]


def is_alive(stage, proxy):
    """A ping from somebody new."""
    client = stage.client(proxy)
    client.send(Message(type=CON, mid=0x7001))
    return client.receive_raw() == H("70007001")


def forward(origin, path="x", **kw):
    return coap.request(path=path, host=origin.host, port=origin.port, scheme="coap", **kw)


# row M01
def test_another_version_is_ignored(stage):
    proxy = stage.proxy()
    client = stage.client(proxy)
    for ident in ("b01", "b02", "b03", "b04", "b05"):
        client.send(H(MALFORMED[ident]["hex"]))
    client.expect_silence(0.5)
    assert is_alive(stage, proxy)
    assert proxy.dropped_by("VERSION") == 3


# row M02 M06
def test_a_con_with_a_format_error_is_reset(stage):
    proxy = stage.proxy()
    client = stage.client(proxy)
    todo = cases("RST with the same Message ID")
    assert len(todo) > 25
    for n, (ident, datagram) in enumerate(todo):
        mid = (0x1000 + n).to_bytes(2, "big")
        client.send(datagram[:2] + mid + datagram[4:])
        assert client.receive_raw() == b"\x70\0" + mid, ident
    # b45 and the reserved classes are no format errors
    assert proxy.dropped_by("FORMAT") == len(todo) - 4
    assert proxy.dropped_by("RESERVED_CODE") == 3
    assert is_alive(stage, proxy)


# row M03 M06
def test_a_bad_non_gets_nothing_but_a_reset(stage):
    proxy = stage.proxy()
    client = stage.client(proxy)
    for ident, datagram in cases("ignore (a RST is allowed)"):
        client.send(datagram)
        answer = client.receive_raw(0.15)
        assert answer is None or coap.decode(answer).type == RST, ident
    assert is_alive(stage, proxy)


# row M04
def test_a_bad_ack_or_reset_is_ignored(stage):
    proxy = stage.proxy()
    client = stage.client(proxy)
    todo = [(i, d) for i, d in cases("ignore silently") if i not in ("b01", "b02", "b03", "b04", "b05")]
    assert len(todo) >= 6
    for _, datagram in todo:
        client.send(datagram)
    client.send(Message(type=ACK, mid=0x5151))
    client.send(Message(type=RST, mid=0x5252))
    client.expect_silence(0.5)
    assert is_alive(stage, proxy)


# row M05
def test_a_ping_is_reset(stage):
    client = stage.client(stage.proxy())
    client.send(H("40001234"))
    assert client.receive_raw() == H("70001234")


# row M07 [rfc7252#5.2.1] [rfc7252#5.2.3] [rfc7252#5.3]
def test_message_id_and_token_come_back(stage):
    proxy, origin = stage.proxy(), stage.origin()
    client = stage.client(proxy)
    for n in range(100):
        token = random.randbytes(n % 9)
        sent = client.dress(forward(origin, type=CON if n % 3 else NON), token)
        client.send(sent)
        answer = client.receive()
        assert answer.token == token
        if sent.type == CON:
            assert (answer.type, answer.mid) == (ACK, sent.mid)
        else:
            assert answer.type == NON
        assert (answer.dotted, answer.payload) == ("2.05", b"hello")


# row M08 [rfc7252#4.5]
def test_a_repeated_con_is_executed_once_and_answered_with_the_same_bytes(stage):
    proxy, origin = stage.proxy(), stage.origin(lambda r: coap.response("2.01", random.randbytes(8)))
    client = stage.client(proxy)
    datagram = coap.encode(client.dress(forward(origin, method=coap.POST, payload=b"count me")))
    answers = []
    for _ in range(3):
        client.send(datagram)
        answers.append(client.receive_raw())
    assert answers[0] is not None and len(set(answers)) == 1
    assert origin.count() == 1


# row M08
def test_a_con_repeated_before_the_answer_is_there_is_executed_once(stage):
    proxy = stage.proxy()
    origin = stage.origin(lambda r: time.sleep(0.3) or coap.response("2.01"))
    client = stage.client(proxy)
    datagram = client.send(client.dress(forward(origin, method=coap.POST)))
    for _ in range(3):
        time.sleep(0.05)
        client.send(datagram)
    answer = client.receive_raw()
    assert coap.decode(answer).dotted == "2.01"
    assert origin.count() == 1


# row M09
def test_a_repeated_non_is_ignored(stage):
    proxy, origin = stage.proxy(), stage.origin()
    client = stage.client(proxy)
    datagram = coap.encode(client.dress(forward(origin, method=coap.POST, type=NON)))
    client.send(datagram)
    assert client.receive().dotted == "2.05"
    client.send(datagram)
    client.send(datagram)
    client.expect_silence(0.3)
    assert origin.count() == 1


# row M10
def test_a_message_id_belongs_to_a_port(stage):
    proxy, origin = stage.proxy(), stage.origin()
    datagram = coap.encode(forward(origin, method=coap.POST).copy(mid=0x4711, token=b"same"))
    for _ in range(2):
        client = stage.client(proxy)
        client.send(datagram)
        assert client.receive().dotted == "2.05"
    assert origin.count() == 2


# row M11 M15 [rfc7252#5.2]
def test_a_slow_answer_is_acknowledged_early_and_comes_by_itself(stage):
    proxy = stage.proxy()
    origin = stage.origin(lambda r: None)
    client = stage.client(proxy)
    sent = client.ask(forward(origin))
    begin = time.monotonic()
    ack = client.receive(2.0)
    assert (ack.type, ack.code, ack.mid) == (ACK, coap.EMPTY, sent.mid)
    assert time.monotonic() - begin < 1.8
    request = origin.wait(1)[0]
    origin.send(Message(type=ACK, mid=request.message.mid), request.source)
    origin.send(Message(type=CON, code=coap.code("2.05"), mid=77, token=request.message.token, payload=b"late"), request.source)
    answer = client.receive(2.0)
    assert (answer.type, answer.dotted, answer.payload, answer.token) == (CON, "2.05", b"late", sent.token)
    assert answer.mid != 77
    client.send(Message(type=ACK, mid=answer.mid))
    assert origin.wait_for(lambda r: r.message and r.message.type == ACK).message.mid == 77
    client.expect_silence(0.3)


# row M14
def test_a_reset_ends_a_separate_response(stage):
    proxy = stage.proxy()
    origin = stage.origin(lambda r: time.sleep(0.8) or coap.response("2.05", b"late"))
    client = stage.client(proxy)
    client.ask(forward(origin))
    assert client.receive().code == coap.EMPTY
    answer = client.receive()
    assert answer.type == CON
    client.send(Message(type=RST, mid=answer.mid))
    client.expect_silence(3.4)


# row M13 (partly: the first two copies)
@pytest.mark.seconds(20)
def test_a_separate_response_is_sent_again_until_it_is_acknowledged(stage):
    proxy = stage.proxy()
    origin = stage.origin(lambda r: time.sleep(0.8) or coap.response("2.05", b"late"))
    client = stage.client(proxy)
    client.ask(forward(origin))
    assert client.receive().code == coap.EMPTY
    first = client.receive_raw()
    begin = time.monotonic()
    assert client.receive_raw(3.5) == first
    assert 1.8 < time.monotonic() - begin < 3.3
    client.send(Message(type=ACK, mid=coap.decode(first).mid))
    client.expect_silence(1.0)


# row M12 (partly: the first two gaps)
@pytest.mark.seconds(30)
def test_a_request_is_sent_again_with_a_growing_pause(stage):
    proxy = stage.proxy(limits={"response-timeout": "12s", "drain": "100ms"})
    origin = stage.origin(lambda r: None)
    stage.client(proxy).ask(forward(origin))
    copies = origin.wait(3, timeout=11)
    assert len({c.datagram for c in copies}) == 1
    first, second = copies[1].time - copies[0].time, copies[2].time - copies[1].time
    assert 1.9 < first < 3.2
    assert 1.9 * first < second < 2.1 * first


# row M15
def test_each_copy_of_a_con_response_is_acknowledged_and_one_is_passed_on(stage):
    proxy = stage.proxy()

    def answer(request):
        separate = Message(type=CON, code=coap.code("2.05"), mid=0x0b0b, token=request.token, payload=b"once")
        return [coap.encode(Message(type=ACK, mid=request.mid)), coap.encode(separate), coap.encode(separate)]

    origin = stage.origin(answer)
    client = stage.client(proxy)
    assert client.exchange(forward(origin)).payload == b"once"
    client.expect_silence(0.3)
    acks = [r for r in origin.received if r.message and r.message.type == ACK]
    assert [r.message.mid for r in acks] == [0x0b0b, 0x0b0b]


# row M16
def test_a_stray_con_response_is_reset(stage):
    proxy = stage.proxy()
    client = stage.client(proxy)
    client.send(H(MALFORMED["b45"]["hex"]))
    assert client.receive_raw() == H("70000001")
    # and at the port that requests leave from
    origin = stage.origin()
    client.exchange(forward(origin))
    upstream = origin.requests()[0].source
    origin.send(Message(type=CON, code=coap.code("2.05"), mid=0x0c0c, token=b"nobodys"), upstream)
    assert origin.wait_for(lambda r: r.message and r.message.type == RST).message.mid == 0x0c0c


# row M08 [rfc7252#4.5]
def test_a_full_deduplication_store_is_told_and_refuses_nobody(stage):
    proxy = stage.proxy(workers=1, limits={"messages": 40, "response-timeout": "5s", "drain": "100ms"})
    origin = stage.origin()
    client = stage.client(proxy)
    for n in range(200):
        assert client.exchange(forward(origin, path=str(n), type=CON if n % 2 else NON)).code == coap.code("2.05")
    assert proxy.metric("osprey_deduplication_evicted_total") >= 160
    assert proxy.metric("osprey_deduplication_seconds") < 45
    assert proxy.metric("osprey_deduplication_entries") <= 40
    assert proxy.log().count("deduplication-short") == 1
    assert "raise=limits.messages" in proxy.log()


# row M17 [rfc7252#4.7]
def test_no_more_than_nstart_requests_are_outstanding(stage):
    proxy = stage.proxy(limits={"nstart": 3, "response-timeout": "2s", "drain": "100ms"})
    origin = stage.origin(lambda r: None)
    client = stage.client(proxy)
    for n in range(12):
        client.ask(forward(origin, path=str(n)))
    origin.wait(3)
    time.sleep(0.5)
    first = origin.requests()
    assert len(first) == 3
    for r in first:                         # each answer lets one more go
        origin.send(net.reply_to(r.message, coap.response("2.05")), r.source)
    origin.wait(6)
    time.sleep(0.2)
    assert origin.count() == 6


# row M17 [rfc7252#4.7]
def test_requests_that_an_origin_ignores_hold_no_other_client_up(stage):
    proxy = stage.proxy(workers=1, limits={"response-timeout": "60s", "drain": "100ms"})
    origin = stage.origin(lambda r: None if any(v == b"ignored" for _, v in r.options) else coap.response("2.05"))
    greedy, other = stage.client(proxy), stage.client(proxy, ("127.0.0.2", 0))
    for _ in range(40):
        greedy.ask(forward(origin, path="ignored"))
    origin.wait(12)
    assert proxy.metric("osprey_upstream_queued") == 28
    for n in range(20):
        assert other.exchange(forward(origin, path=str(n)), timeout=10).code == coap.code("2.05")


# row M18 (partly: one burst)
def test_no_message_id_is_used_twice_towards_an_origin(stage):
    proxy, origin = stage.proxy(), stage.origin()
    client = stage.client(proxy)
    for burst in range(40):
        sent = [client.ask(forward(origin, type=NON)) for _ in range(50)]
        got = {client.receive().token for _ in sent}
        assert len(got) == 50, burst
    used = [(r.source, r.message.mid) for r in origin.requests()]
    assert len(used) == 2000 and len(set(used)) == 2000


def use_up_a_port(proxy, enough):
    """Requests that nobody answers, some more than a port has Message IDs, until `enough(metrics)`."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    ask = coap.request(path="x", host="127.0.0.1", port=silent.getsockname()[1], scheme="coap", type=NON)
    ask.mid, ask.token = 0, b""
    datagram = coap.encode(ask)
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    for n in range(200000):
        senders[n % 4].sendto(datagram[:2] + (n >> 2 & 0xffff).to_bytes(2, "big") + datagram[4:], proxy.address)
        if n % 5000 == 4999 and enough(proxy.metrics()):
            return
    raise AssertionError(f"not reached: {proxy.metrics()}")


# row M18 [rfc7252#4.4]
def test_upstream_ports_open_as_they_are_needed(stage):
    proxy = stage.proxy(workers=1, limits={"upstream-ports": 1000, "response-timeout": "50ms", "exchanges": 100000,
                                           "memory": "256MiB", "drain": "100ms"})
    assert proxy.metric("osprey_upstream_ports") == 2
    use_up_a_port(proxy, lambda m: m["osprey_upstream_ports"] == 3)
    assert proxy.metric("osprey_message_ids_exhausted_total") == 0
    origin = stage.origin()
    assert stage.client(proxy).exchange(forward(origin)).code == coap.code("2.05")


# row M18 [rfc7252#4.4]
def test_exhausted_message_ids_are_told_once_and_counted(stage):
    proxy = stage.proxy(workers=1, limits={"upstream-ports": 1, "response-timeout": "50ms", "exchanges": 100000,
                                           "memory": "256MiB", "drain": "100ms"})
    use_up_a_port(proxy, lambda m: m["osprey_message_ids_exhausted_total"] > 100)
    assert proxy.metric("osprey_upstream_ports") == 1
    assert proxy.log().count(" message-ids-exhausted ") == 1
    origin = stage.origin()                 # another next hop has numbers of its own
    assert stage.client(proxy).exchange(forward(origin)).code == coap.code("2.05")


# row M19
def test_tokens_towards_the_origin_do_not_repeat_and_show_no_pattern(stage):
    proxy, origin = stage.proxy(), stage.origin()
    client = stage.client(proxy)
    for _ in range(20):
        for _ in range(50):
            client.ask(forward(origin, type=NON))
        for _ in range(50):
            assert client.receive() is not None
    tokens = [r.message.token for r in origin.requests()]
    assert len(set(tokens)) == 1000
    assert min(map(len, tokens)) >= 4
    numbers = [int.from_bytes(t[:4], "big") for t in tokens]
    gaps = [b - a for a, b in zip(numbers, numbers[1:])]
    assert len(set(gaps)) > 990                                 # no counter
    assert abs(sum(n >> 31 for n in numbers) - 500) < 110       # 7 standard deviations
    assert statistics.pstdev(numbers) > 2 ** 29
    assert not any(t in coap.encode(Message(token=t)) and t == b"" for t in tokens)


# row M20 [rfc7252#5.3.2]
def test_only_the_origin_that_was_asked_may_answer(stage):
    proxy, origin = stage.proxy(), stage.origin(lambda r: None)
    client = stage.client(proxy)
    sent = client.ask(forward(origin, type=NON))
    request = origin.wait(1)[0]
    attacker = stage.client(request.source)
    attacker.send(Message(type=NON, code=coap.code("2.05"), mid=1, token=request.message.token, payload=b"forged"))
    client.expect_silence(0.3)
    origin.send(Message(type=NON, code=coap.code("2.05"), mid=2, token=request.message.token, payload=b"true"), request.source)
    assert client.answer_to(sent).payload == b"true"


# row M20
def test_an_ack_from_elsewhere_ends_nothing(stage):
    proxy, origin = stage.proxy(), stage.origin(lambda r: None)
    client = stage.client(proxy)
    sent = client.ask(forward(origin))
    request = origin.wait(1)[0].message
    attacker = stage.client(origin.requests()[0].source)
    attacker.send(Message(type=ACK, code=coap.code("2.05"), mid=request.mid, token=request.token, payload=b"forged"))
    attacker.send(Message(type=RST, mid=request.mid))
    time.sleep(0.2)
    origin.send(net.reply_to(request, coap.response("2.05", b"true")), origin.requests()[0].source)
    assert client.answer_to(sent).payload == b"true"


# row K01
@pytest.mark.parametrize("length", [9, 13, 64, 268, 269])
def test_an_extended_token_comes_back(stage, length):
    proxy = stage.proxy(limits={"max-token": 300, "response-timeout": "2s"})
    origin = stage.origin()
    token = random.randbytes(length)
    for kind in (CON, NON):
        client = stage.client(proxy)
        answer = client.exchange(forward(origin, type=kind), token=token)
        assert (answer.token, answer.dotted) == (token, "2.05")
    assert all(len(r.message.token) <= 8 for r in origin.requests())


# row K02
def test_tkl_15_is_a_format_error(stage):
    client = stage.client(stage.proxy())
    client.send(H(MALFORMED["b06"]["hex"]))
    assert client.receive_raw() == H("70000001")


# row K03
def test_a_token_longer_than_wanted_is_answered_and_not_reset(stage):
    proxy = stage.proxy(limits={"max-token": 64, "response-timeout": "2s"})
    origin = stage.origin()
    client, token = stage.client(proxy), random.randbytes(1000)
    answer = client.exchange(forward(origin), token=token)
    assert answer.dotted in ("4.00", "5.03") and answer.token == token
    assert origin.count() == 0
    assert client.exchange(forward(origin), token=token[:64]).dotted == "2.05"


# row R02 (partly: a few thousand datagrams)
@pytest.mark.seconds(60)
def test_garbage_harms_nobody(stage):
    proxy, origin = stage.proxy(log={"level": "info"}), stage.origin()
    client, prng = stage.client(proxy), random.Random(7)
    seeds = [H(c["hex"]) for group in ("valid", "malformed", "semantics") for c in CODEC[group] if c["transport"] == "udp"]
    for n in range(4000):
        datagram = bytearray(prng.choice(seeds))
        for _ in range(prng.randint(1, 4)):
            if datagram:
                datagram[prng.randrange(len(datagram))] ^= 1 << prng.randrange(8)
        client.send(bytes(datagram[:1400]))
        if n % 50 == 0:
            while client.receive_raw(0.01) is not None:
                pass
    while client.receive_raw(0.05) is not None:
        pass
    assert stage.client(proxy).exchange(forward(origin)).dotted == "2.05"
    assert proxy.log().count("\n") < 200, "bad input floods the log"
