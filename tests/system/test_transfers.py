# SPDX-License-Identifier: BSD-2-Clause
"""Block-wise bodies of the client and the demo origin: against each other, and each against a peer that does otherwise."""
import hashlib
import os
import random
import shutil
import socket
import subprocess
import time

import pytest

from daemon import context_entry
from peer import coap, net, oscore
from peer.coap import BLOCK1, BLOCK2, ETAG, OSCORE, POST, PUT, REQUEST_TAG, SIZE1, SIZE2, URI_QUERY
from program import Client, Origin, ask, block, block_of, context_file, via

OPEN = [{"match": {"context": "*"}, "allow": ["forward coap://[127.0.0.0/8]"]}]


def body_of(n, seed=1):
    return random.Random(seed).randbytes(n)


def uri(origin, path):
    return f"coap://{origin.host}:{origin.port}{path}"


@pytest.fixture
def origin(workdir, stage, keys):
    return stage.add(Origin(workdir, contexts=[keys.cs.other_side()]))


def end_to_end(workdir, keys):
    return "-E", context_file(workdir, "cs", keys.cs)


def blocks_seen(origin, option):
    """The values of that option in the requests as they came, and whether a Request-Tag was beside it."""
    found = []
    for line in origin.log():
        options = {o["name"]: o["value"] for o in line["options"]}
        if option in options:
            found.append((options[option] >> 4, bool(options[option] & 8), options[option] & 7, options.get("Request-Tag")))
    return found


# ---- client and origin ----

@pytest.mark.parametrize("size", [16, 64, 1024])
@pytest.mark.parametrize("length", [1, 1024, 1025, 4096, 5000])
def test_bodies_go_up_and_come_down_whole(workdir, origin, size, length):
    """[rfc7959#2.7] The last block up brings the first one down."""
    body = body_of(length)
    status, answer, errors = ask(workdir, "post", "-f", "-", "-b", size, uri(origin, "/echo"), data=body)
    assert (status, bytes.fromhex(answer["payload_hex"])) == (0, body), errors
    seen = blocks_seen(origin, "Block1")
    assert len(seen) == (-(-length // size) if length > size else 0)
    assert [b[:3] for b in seen] == [(i, i < len(seen) - 1, size.bit_length() - 5) for i in range(len(seen))]


def test_origin_tells_length_and_digest_of_what_it_got(workdir, origin):
    body = body_of(65536)
    status, answer, _ = ask(workdir, "put", "-f", "-", uri(origin, "/upload"), data=body)
    assert (status, answer["payload"]) == (0, f"65536 bytes, SHA-256 {hashlib.sha256(body).hexdigest()}")
    assert answer["blocks_sent"] == 64


def test_every_body_under_oscore_has_a_request_tag_of_its_own(workdir, origin, keys):
    """[rfc9175#3.5.1] Without a layer there is none: a client of one request has no other body to mix it with."""
    tags = []
    for _ in range(2):
        assert ask(workdir, "put", *end_to_end(workdir, keys), "-d", "x" * 3000, uri(origin, "/upload"))[0] == 0
        seen = blocks_seen(origin, "Block1")
        assert len(seen) == 3 and len({b[3] for b in seen}) == 1
        tags.append(seen[0][3])
    assert None not in tags and tags[0] != tags[1]
    assert ask(workdir, "put", "-d", "x" * 3000, uri(origin, "/upload"))[0] == 0
    assert {b[3] for b in blocks_seen(origin, "Block1")} == {None}


def layers(words, workdir, stage, keys):
    """Words for the client, by the name of the layers."""
    made = list(end_to_end(workdir, keys)) if "C-S" in words else []
    if "C-P" in words:
        proxy = stage.proxy(contexts=[context_entry("cp", keys.cp.other_side())], clients=OPEN)
        made += via(workdir, "cp", keys.cp, proxy)
    return made


@pytest.mark.parametrize("words", ["C-S", "C-P", "C-S C-P"])
def test_bodies_pass_layers(workdir, stage, keys, origin, words):
    body, made = body_of(20000), layers(words, workdir, stage, keys)
    status, answer, errors = ask(workdir, "post", *made, "-f", "-", "-b", 512, uri(origin, "/echo"), data=body)
    assert (status, bytes.fromhex(answer["payload_hex"])) == (0, body), errors
    assert (answer["blocks_sent"], answer["blocks_received"]) == (40, 40)
    assert all(layer["came_off"] for layer in answer["layers"]) and len(answer["layers"]) == len(words.split())


def test_size_is_bounded_on_both_sides(workdir, origin):
    status, answer, errors = ask(workdir, "put", "-f", "-", uri(origin, "/upload"), data=bytes(262145))
    assert (status, answer["code"], answer["blocks_sent"]) == (4, "4.13", 1) and "262144 bytes at most" in errors
    status, _, errors = ask(workdir, "put", "-f", "-", "--max-body", 1000, uri(origin, "/upload"), data=bytes(1001))
    assert status == 1 and "--max-body" in errors
    status, answer, errors = ask(workdir, "get", "--max-body", 5000, uri(origin, "/large?n=5001"))
    assert (status, answer["error"]) == (2, "TOO_LARGE") and "--max-body" in errors
    assert ask(workdir, "get", "--max-body", 5001, uri(origin, "/large?n=5001"))[0] == 0


def test_one_datagram_when_told_so(workdir, origin):
    status, answer, _ = ask(workdir, "post", "-b", "none", "-d", "x" * 3000, uri(origin, "/echo"))
    assert (status, answer["blocks_sent"], answer["blocks_received"]) == (0, 0, 3)
    assert ask(workdir, "post", "-b", "none", "-f", "-", uri(origin, "/echo"), data=bytes(70000))[0] == 1


def test_blocks_by_hand_are_left_alone(workdir, origin):
    status, answer, _ = ask(workdir, "get", "-O", "Block2,20", uri(origin, "/large?n=3000"))
    assert (status, len(answer["payload"])) == (0, 256)


@pytest.mark.parametrize("words", [["-b", "17"], ["-b", "2048"], ["--max-body", "0"], ["--observe=0"], ["-s", "0"]])
def test_mistakes_are_told(workdir, words):
    assert ask(workdir, "get", *words, "coap://127.0.0.1:9/")[0] == 1


# ---- the client against servers of another mind ----

class Sink:
    """A server that puts Block1 bodies together and does what `judge(num, request)` says first."""

    def __init__(self, judge):
        self.judge, self.body, self.asked = judge, b"", []

    def __call__(self, request):
        value = request.get(BLOCK1)
        num, more, szx = block_of(value) if value is not None else (0, False, 6)
        self.asked.append((num, more, szx, request.get(REQUEST_TAG)))
        said = self.judge(len(self.asked), num, request)
        if said:
            return said
        if num == 0:
            self.body = b""
        if len(self.body) != num * (16 << szx):
            return coap.response("4.08")
        self.body += request.payload
        return coap.response("2.31" if more else "2.04", options=[(BLOCK1, block(num, more, min(szx, self.szx)))])

    szx = 6


def put(workdir, origin, body, *words):
    return ask(workdir, "put", *words, "-f", "-", "--timeout", 5, uri(origin, "/x"), data=body)


def test_server_asks_for_smaller_blocks_on_the_way(workdir, stage):
    """[rfc7959#2.3] The next block follows the bytes that were taken."""
    sink, body = Sink(lambda *_: None), body_of(3000)
    sink.szx = 3
    assert put(workdir, stage.origin(sink), body)[0] == 0
    assert sink.body == body and [b[0] for b in sink.asked[:3]] == [0, 8, 9] and sink.asked[1][2] == 3


@pytest.mark.parametrize("length,words", [(3000, []), (800, []), (3000, ["-b", "none"])])
def test_server_takes_smaller_blocks_only(workdir, stage, length, words):
    """[rfc7959#2.9.3] 4.13 with a smaller SZX: again, in blocks of it. One datagram stays one when the user wants that."""
    def judge(_count, num, request):
        small = request.get(BLOCK1) is not None and block_of(request.get(BLOCK1))[2] <= 4
        return None if small else coap.response("4.13", options=[(BLOCK1, block(0, False, 4))])

    sink, body = Sink(judge), body_of(length)
    status, answer, _ = put(workdir, stage.origin(sink), body, *words)
    if words:
        assert (status, answer["code"], len(sink.asked)) == (4, "4.13", 1)
    else:
        assert status == 0 and sink.body == body and sink.asked[1][:3] == (0, True, 4)


def test_what_a_server_has_lost_is_sent_again_under_another_request_tag(workdir, stage, keys):
    """[rfc7959#2.9.2] [rfc9175#3.5.1]"""
    sink, body = Sink(lambda count, *_: coap.response("4.08") if count == 3 else None), body_of(5000)
    origin = stage.origin(sink, [keys.cs.other_side()])
    assert put(workdir, origin, body, *end_to_end(workdir, keys))[0] == 0
    tags = [b[3] for b in sink.asked]
    assert sink.body == body and len(tags) == 3 + 5 and len(set(tags[:3])) == len(set(tags[3:])) == 1 and tags[0] != tags[3]


def test_a_server_that_loses_everything_is_given_up(workdir, stage):
    sink = Sink(lambda count, num, _r: coap.response("4.08") if num == 1 else None)
    status, answer, _ = put(workdir, stage.origin(sink), body_of(5000))
    assert (status, answer["code"], len(sink.asked)) == (4, "4.08", 8)


@pytest.mark.parametrize("said", [coap.response("2.31", options=[(BLOCK1, block(7, True, 6))]), coap.response("2.31"),
                                  coap.response("2.04"), coap.response("2.31", options=[(BLOCK1, b"\x0f")]),
                                  coap.response("2.31", options=[(BLOCK1, bytes(4))])])
def test_nonsense_ends_an_upload(workdir, stage, said):
    sink = Sink(lambda *_: said)
    status, answer, errors = put(workdir, stage.origin(sink), body_of(3000))
    assert (status, answer["error"], len(sink.asked)) == (2, "BAD_RESPONSE", 1), errors


def test_continue_to_the_last_block_is_no_answer(workdir, stage):
    sink = Sink(lambda _c, num, _r: coap.response("2.31", options=[(BLOCK1, block(num, True, 6))]))
    status, answer, _ = put(workdir, stage.origin(sink), body_of(3000))
    assert (status, answer["error"], len(sink.asked)) == (2, "BAD_RESPONSE", 3)


class Source:
    """A server of a body in Block2 blocks; `state(count)` gives (body, ETag) for each request."""

    def __init__(self, state, szx=6):
        self.state, self.szx, self.asked = state, szx, []

    def __call__(self, request):
        value = request.get(BLOCK2)
        num, _, szx = block_of(value) if value is not None else (0, False, 6)
        szx = min(szx, self.szx) if num == 0 else szx
        self.asked.append((num, szx, request.payload))
        body, etag = self.state(len(self.asked))
        at, size = num * (16 << szx), 16 << szx
        options = [(BLOCK2, block(num, at + size < len(body), szx))] + ([(ETAG, etag)] if etag else [])
        return coap.response("2.05", body[at:at + size], options)


def get(workdir, origin, *words):
    return ask(workdir, *(words or ["get"]), "--timeout", 5, uri(origin, "/x"))


# row B06 (partly: the client)
def test_a_body_that_changes_is_fetched_again(workdir, stage):
    """[rfc7959#2.4] Blocks of one representation, never of two."""
    old, new = body_of(4000, 1), body_of(4100, 2)
    source = Source(lambda count: (old, b"\x01") if count < 3 else (new, b"\x02"))
    status, answer, errors = get(workdir, stage.origin(source))
    assert (status, bytes.fromhex(answer["payload_hex"])) == (0, new), errors
    assert [a[0] for a in source.asked] == [0, 1, 2, 0, 1, 2, 3, 4]


def test_a_body_that_always_changes_is_given_up(workdir, stage):
    source = Source(lambda count: (body_of(4000, count), bytes([count])))
    status, answer, errors = get(workdir, stage.origin(source))
    assert (status, answer["error"]) == (2, "BAD_RESPONSE") and "changed" in errors and len(source.asked) == 8


def test_an_answer_to_post_is_not_asked_for_twice(workdir, stage):
    source = Source(lambda count: (body_of(4000), bytes([count])))
    status, _, errors = get(workdir, stage.origin(source), "post", "-d", "x")
    assert status == 2 and "changed" in errors and [a[0] for a in source.asked] == [0, 1]
    assert [a[2] for a in source.asked] == [b"x", b""]


def test_later_blocks_of_fetch_repeat_what_is_asked_for(workdir, stage):
    source = Source(lambda _c: (body_of(3000), b"\x01"))
    assert get(workdir, stage.origin(source), "fetch", "-d", "which")[0] == 0
    assert [a[2] for a in source.asked] == [b"which"] * 3


def test_server_answers_in_smaller_blocks(workdir, stage):
    source, body = Source(lambda _c: (body_of(1000), None), szx=2), body_of(1000)
    status, answer, _ = get(workdir, stage.origin(source), "get", "-b", "256")
    assert (status, bytes.fromhex(answer["payload_hex"]), answer["blocks_received"]) == (0, body, 16)


@pytest.mark.parametrize("wrong", ["first-is-not-first", "gap", "again", "short", "reserved"])
def test_blocks_that_do_not_fit_are_refused(workdir, stage, wrong):
    def answer(request):
        num = block_of(request.get(BLOCK2) or b"")[0]
        number = {"first-is-not-first": num + 1, "gap": num * 2, "again": 0}.get(wrong, num)
        value = block(number, True, 7 if wrong == "reserved" else 2)
        return coap.response("2.05", bytes(63 if wrong == "short" else 64), [(BLOCK2, value)])

    origin = stage.origin(answer)
    status, said, _ = get(workdir, origin)
    assert (status, said["error"]) == (2, "BAD_RESPONSE") and origin.count() < 5


def test_an_endless_body_ends_at_the_bound(workdir, stage):
    origin = stage.origin(lambda r: coap.response("2.05", bytes(1024), [(BLOCK2, block(block_of(r.get(BLOCK2) or b"")[0], True, 6))]))
    status, said, _ = get(workdir, origin, "get", "--max-body", "20000")
    assert (status, said["error"], origin.count()) == (2, "TOO_LARGE", 20)


def test_an_error_in_the_middle_is_the_answer(workdir, stage):
    source = Source(lambda _c: (body_of(3000), b"\x01"))
    status, said, _ = get(workdir, stage.origin(lambda r: source(r) if len(source.asked) < 2 else coap.response("4.04")))
    assert (status, said["code"]) == (4, "4.04")


# ---- blocks around a layer ----

class Cutting(net.Origin):
    """Cuts what it has protected, as a proxy may [rfc8613#4.1.3.4.2]; `twist(num, message)` may spoil a block."""

    def __init__(self, answer, contexts, szx=1, twist=lambda num, m: m):
        self.szx, self.twist, self.made, self.later = szx, twist, None, []
        super().__init__(answer, contexts)

    def one(self, datagram, source):
        message = coap.decode(datagram)
        num = 0
        if message.is_request() and message.has(BLOCK2):
            num = block_of(message.get(BLOCK2))[0]
            self.later.append(message)
        elif message.is_request():
            plain, removed = oscore.remove_all(message, self.contexts)
            self.made = oscore.add_all(self.answer(plain), removed).plus((ETAG, b"x"))
        size = 16 << self.szx
        piece = self.made.payload[num * size:num * size + size]
        cut = self.made.copy(payload=piece).plus((BLOCK2, block(num, (num + 1) * size < len(self.made.payload), self.szx)))
        self.send(net.reply_to(message, self.twist(num, cut)), source)


def cut_get(workdir, stage, keys, **more):
    origin = stage.add(Cutting(lambda _r: coap.response("2.05", body_of(300)), [keys.cs.other_side()], **more))
    status, answer, errors = get(workdir, origin, "get", *end_to_end(workdir, keys))
    return origin, status, answer, errors


# row B07 (partly: a response, at the client)
def test_a_protected_message_in_blocks_is_put_together_and_then_opened(workdir, stage, keys):
    """[rfc8613#8.4.1] Later blocks are asked for with what anybody can read of the request."""
    origin, status, answer, errors = cut_get(workdir, stage, keys)
    assert (status, bytes.fromhex(answer["payload_hex"])) == (0, body_of(300)), errors
    assert len(origin.later) == 9 and len({m.get(OSCORE) for m in origin.later}) == 1
    assert all(m.code == coap.POST and not m.payload and m.get(OSCORE) for m in origin.later)


@pytest.mark.parametrize("wrong", ["gap", "another", "code", "whole", "late", "short", "bit"])
def test_blocks_around_a_layer_that_do_not_fit_are_refused(workdir, stage, keys, wrong):
    def twist(num, m):
        value = {"gap": block(num + 1, True, 1), "late": block(1, True, 1)}.get(wrong)
        if num == 2 and wrong == "gap" or num == 0 and wrong == "late":
            return m.copy(options=[(n, value if n == BLOCK2 else v) for n, v in m.options])
        if num == 2 and wrong == "another":
            return m.copy(options=[(n, b"y" if n == ETAG else v) for n, v in m.options])
        if num == 2 and wrong == "code":
            return coap.response("4.08")
        if num == 2 and wrong == "whole":
            return m.without(BLOCK2)
        if num == 2 and wrong == "short":
            return m.copy(payload=m.payload[1:])
        if num == 2 and wrong == "bit":
            return m.copy(payload=bytes([m.payload[0] ^ 1]) + m.payload[1:])
        return m

    _, status, answer, errors = cut_get(workdir, stage, keys, twist=twist)
    assert (status, answer["error"]) == ((3, "DECRYPT") if wrong == "bit" else (2, "BAD_RESPONSE")), errors


# row B08 (partly: the client)
def test_endless_blocks_around_a_layer_are_bounded(workdir, stage, keys):
    """[rfc8613#4.1.3.4.2] MAX_UNFRAGMENTED_SIZE"""
    def twist(num, m):
        return m.copy(payload=bytes(1024), options=[(n, block(num, True, 6) if n == BLOCK2 else v) for n, v in m.options])

    origin, status, answer, errors = cut_get(workdir, stage, keys, szx=6, twist=twist)
    assert (status, answer["error"], len(origin.later)) == (2, "TOO_LARGE", 64) and "MAX_UNFRAGMENTED_SIZE" in errors


def test_the_proxy_cuts_and_the_client_puts_together(workdir, stage, keys):
    origin = stage.add(Origin(workdir, "--block-size", "none"))
    proxy = stage.proxy(contexts=[context_entry("cp", keys.cp.other_side())], clients=OPEN,
                        limits={"max-datagram": 1280, "memory": "32MiB"})
    status, answer, errors = ask(workdir, "get", "-v", *via(workdir, "cp", keys.cp, proxy), uri(origin, "/large?n=1258"))
    assert (status, answer.get("payload")) == (0, "0123456789" * 125 + "01234567"), errors
    assert errors.count("<< ") == 2 and "Block2" in errors


# ---- libcoap's programs ----

@pytest.fixture
def libcoap_server(stage):
    at = net.free_address()
    process = subprocess.Popen(["coap-server-notls", "-A", at[0], "-p", str(at[1]), "-d", "10"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        sock.connect(at)
        for _ in range(50):
            try:
                sock.send(bytes([0x40, 0, 0x12, 0x34]))
                if sock.recv(8):
                    break
            except OSError:
                time.sleep(0.05)
    yield f"coap://{at[0]}:{at[1]}"
    process.kill()
    process.wait()


LIBCOAP = pytest.mark.skipif(not shutil.which("coap-client-notls") or not shutil.which("coap-server-notls"),
                             reason="libcoap3-bin is not there")


@LIBCOAP
@pytest.mark.parametrize("size", [64, 1024])
def test_bodies_go_to_and_come_from_libcoaps_server(workdir, libcoap_server, size):
    body = body_of(5000)
    status, answer, errors = ask(workdir, "put", "-f", "-", "-b", size, f"{libcoap_server}/made", data=body)
    assert (status, answer["blocks_sent"]) == (0, -(-5000 // size)), errors
    status, answer, errors = ask(workdir, "get", "-b", size, f"{libcoap_server}/made")
    assert (status, bytes.fromhex(answer["payload_hex"])) == (0, body), errors


@LIBCOAP
def test_libcoaps_server_is_observed(workdir, stage, libcoap_server):
    client = stage.add(Client(workdir, "get", "--observe=3", f"{libcoap_server}/time"))
    status, lines, errors = client.end()
    assert (status, len(lines), lines[-1]["deregistered"], lines[-1]["refused"]) == (0, 4, True, 0), errors


@LIBCOAP
@pytest.mark.parametrize("size", [32, 1024])
def test_libcoaps_client_sends_fetches_and_observes(workdir, origin, size):
    body, path = body_of(5000), os.path.join(workdir, "body")
    with open(path, "wb") as file:
        file.write(body)

    def run(*words):
        return subprocess.run(["coap-client-notls", "-b", str(size), *words], capture_output=True, timeout=20, check=False).stdout

    assert digest(body) in run("-m", "put", "-f", path, uri(origin, "/upload"))
    assert b"0123456789" * 300 in run("-m", "get", uri(origin, "/large?n=3000"))
    assert run("-s", "3", "-m", "get", uri(origin, "/ticks")).count(b"tick ") >= 3
    assert origin.wait_for("deregistered", "rejected")


# ---- the origin against clients of another mind ----

def send_block(client, num, more, payload, tag=None, path="upload", method=PUT, szx=2):
    options = [(BLOCK1, block(num, more, szx))] + ([(REQUEST_TAG, tag)] if tag is not None else [])
    return client.exchange(coap.request(method, path=path, options=options, payload=payload))


def digest(body):
    return f"{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()}".encode()


# row B05 (partly: the demo origin), B02 (partly: the demo origin)
def test_a_missing_block_is_told(stage, origin):
    client = stage.client(origin)
    assert send_block(client, 0, True, bytes(64)).dotted == "2.31"
    assert send_block(client, 2, True, bytes(64)).dotted == "4.08"
    assert send_block(stage.client(origin), 1, False, b"x").dotted == "4.08"
    assert send_block(client, 1, True, bytes(63)).dotted == "4.00"
    assert send_block(client, 1, False, b"x").payload == digest(bytes(64) + b"x")
    assert send_block(client, 0, True, bytes(64), szx=7).dotted == "4.00"


def test_too_large_is_told_before_and_on_the_way(workdir, stage):
    origin = stage.add(Origin(workdir, "--max-body", 100))
    client = stage.client(origin)
    announced = coap.request(PUT, path="upload", options=[(BLOCK1, block(0, True, 2)), (SIZE1, coap.uint(101))], payload=bytes(64))
    answer = client.exchange(announced)
    assert (answer.dotted, answer.get(SIZE1)) == ("4.13", b"\x64")
    assert send_block(client, 0, True, bytes(64)).dotted == "2.31"
    answer = send_block(client, 1, True, bytes(64))
    assert (answer.dotted, answer.get(SIZE1)) == ("4.13", b"\x64")
    assert send_block(client, 2, False, b"x").dotted == "4.08"
    assert client.exchange(coap.request(PUT, path="upload", payload=bytes(101))).dotted == "4.13"
    assert send_block(client, 0, True, bytes(64)).dotted == "2.31"
    assert send_block(client, 1, False, bytes(36)).payload == digest(bytes(100))


def test_operations_are_kept_apart(stage, origin, keys):
    """By address, Request-Tag [rfc9175#3.3] and security context, and found by context wherever from."""
    first, second = stage.client(origin), stage.client(origin)
    secure = [oscore_client(stage, origin, keys) for _ in range(2)]
    bodies = [bytes([i]) * 65 for i in range(6)]
    ways = [lambda n, m, p: send_block(first, n, m, p), lambda n, m, p: send_block(second, n, m, p),
            lambda n, m, p: send_block(first, n, m, p, b"a"), lambda n, m, p: send_block(first, n, m, p, b""),
            lambda n, m, p: send_block(secure[n % 2], n, m, p), lambda n, m, p: send_block(secure[n % 2], n, m, p, b"a")]
    for way, body in zip(ways, bodies):
        assert way(0, True, body[:64]).dotted == "2.31"
    for way, body in zip(ways, bodies):
        assert way(1, False, body[64:]).payload == digest(body)


def oscore_client(stage, origin, keys):
    return stage.secure(origin, keys.cs)


def test_the_oldest_operation_makes_room(stage, origin):
    clients = [stage.client(origin) for _ in range(18)]
    for client in clients:
        assert send_block(client, 0, True, bytes(64)).dotted == "2.31"
    answers = [send_block(client, 1, False, b"x").dotted for client in clients]
    assert answers == ["4.08"] * 2 + ["2.04"] * 16


@pytest.mark.parametrize("szx", range(7))
def test_any_block_of_any_size(stage, origin, szx):
    """[rfc7959#2.4] [rfc9175#3.8] All under one ETag."""
    client, size = stage.client(origin), 16 << szx
    body, etags = b"", set()
    for num in range(-(-3000 // size)):
        answer = client.exchange(coap.request(path="large", options=[(URI_QUERY, b"n=3000"), (BLOCK2, block(num, False, szx))]))
        assert block_of(answer.get(BLOCK2)) == (num, (num + 1) * size < 3000, szx)
        assert (answer.get(SIZE2) is not None) == (num == 0)
        etags.add(answer.get(ETAG))
        body += answer.payload
    assert body == (b"0123456789" * 300) and len(etags) == 1 and None not in etags
    behind = client.exchange(coap.request(path="large", options=[(URI_QUERY, b"n=3000"), (BLOCK2, block(3000, False, szx))]))
    assert behind.dotted == "4.00"


def test_an_answer_with_effects_is_made_once_and_kept(stage, origin):
    client = stage.client(origin)
    first = client.exchange(coap.request(POST, path="echo", payload=b"x" * 1500))
    assert block_of(first.get(BLOCK2)) == (0, True, 6)
    later = coap.request(POST, path="echo", options=[(BLOCK2, block(1, False, 6))])
    second = client.exchange(later)
    assert first.payload + second.payload == b"x" * 1500 and first.get(ETAG) == second.get(ETAG)
    assert stage.client(origin).exchange(later).dotted == "4.08"        # somebody else's


def test_origin_proposes_its_block_size(workdir, stage):
    origin = stage.add(Origin(workdir, "--block-size", 64))
    answer = stage.client(origin).exchange(coap.request(path="large", options=[(BLOCK2, block(0, False, 6))]))
    assert block_of(answer.get(BLOCK2)) == (0, True, 2) and len(answer.payload) == 64
    assert block_of(send_block(stage.client(origin), 0, True, bytes(1024), szx=6).get(BLOCK1)) == (0, True, 2)
    body = body_of(5000)
    status, answer, _ = ask(workdir, "post", "-f", "-", uri(origin, "/echo"), data=body)
    assert (status, bytes.fromhex(answer["payload_hex"])) == (0, body)


def test_origin_that_cuts_on_request_only(workdir, stage):
    origin = stage.add(Origin(workdir, "--block-size", "none"))
    client = stage.client(origin)
    whole = client.exchange(coap.request(path="large", options=[(URI_QUERY, b"n=9000")]))
    assert len(whole.payload) == 9000 and not whole.has(BLOCK2)
    part = client.exchange(coap.request(path="large", options=[(URI_QUERY, b"n=9000"), (BLOCK2, block(1, False, 0))]))
    assert part.payload == b"6789012345678901"


def test_several_layers_deep(stage, workdir, keys):
    """[rfc8613#4.1.3.4.1] Inner blocks are blocks whatever is around them."""
    origin = stage.add(Origin(workdir, contexts=[keys.cs.other_side(), keys.ps.other_side()]))
    secure = stage.secure(origin, keys.cs, [oscore.Hop(keys.ps)])
    assert send_block(secure, 0, True, bytes(64)).dotted == "2.31"
    assert send_block(secure, 1, False, b"x").payload == digest(bytes(64) + b"x")
