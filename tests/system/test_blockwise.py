# SPDX-License-Identifier: BSD-2-Clause
"""Block-wise transfers through a running proxy: of other implementations, and around layers [rfc7959] [rfc8613#4.1.3.4]."""
import concurrent.futures
import shutil

import pytest

from peer import coap, net, oscore
from peer.coap import BLOCK1, BLOCK2, ETAG, REQUEST_TAG, SIZE1
from peer.oscore import Hop
from test_layers import forward, secure_proxy
from test_libcoap import Server, ask

BODY = bytes(range(256)) * 12
needs_libcoap = pytest.mark.skipif(not shutil.which("coap-server-notls"), reason="libcoap3-bin is not installed")


def block(num, more, szx):
    return coap.uint(num << 4 | (8 if more else 0) | szx)


def parts(value):
    v = int.from_bytes(value, "big")
    return v >> 4, bool(v & 8), v & 7


def upload(client, made, szx):
    """Sends the message in Block1 blocks; the answer to the last one."""
    size, count = 16 << szx, (len(made.payload) - 1) // (16 << szx) + 1
    for n in range(count):
        part = made.copy(payload=made.payload[n * size:(n + 1) * size]).plus((BLOCK1, block(n, n + 1 < count, szx)))
        answer = client.exchange(part)
        if n + 1 < count:
            assert (answer.dotted, parts(answer.get(BLOCK1))) == ("2.31", (n, True, szx))
    return answer


def download(client, made, answer):
    """The whole answer, its later blocks asked for one by one."""
    first, body = answer, answer.payload
    while answer.has(BLOCK2) and parts(answer.get(BLOCK2))[1]:
        num, _, szx = parts(answer.get(BLOCK2))
        answer = client.exchange(made.without(BLOCK1, BLOCK2).copy(payload=b"").plus((BLOCK2, block(num + 1, False, szx))))
        assert answer.get(ETAG) == first.get(ETAG) is not None
        body += answer.payload
    return first.without(BLOCK1, BLOCK2, ETAG).copy(payload=body)


class Collector:
    """An origin that takes uploads in blocks, and gives back the beginning of what it got, in one piece."""

    def __init__(self):
        self.bodies = {}

    def __call__(self, request):
        num, more, _ = parts(request.get(BLOCK1) or b"")
        key = tuple(request.all(REQUEST_TAG))
        self.bodies[key] = (self.bodies.get(key, b"") if num else b"") + request.payload
        if more:
            return coap.response("2.31", b"", [(BLOCK1, request.get(BLOCK1))])
        answer = coap.response("2.04", self.bodies[key][:1900])
        return answer.plus((BLOCK1, request.get(BLOCK1))) if request.has(BLOCK1) else answer


# rows B05, B07, B08
def test_a_message_under_our_layer_in_outer_blocks_there_and_back(stage, keys):
    proxy = secure_proxy(stage, keys, limits={"max-datagram": 1200, "max-body": "8KiB"})
    collector = Collector()
    origin, client = stage.origin(collector), stage.client(proxy)
    made, layers = oscore.protect(forward(origin, method=coap.PUT).copy(payload=BODY), None, [Hop(keys.cp)])
    whole = download(client, made, upload(client, made, 4))
    plain = oscore.unprotect(whole, layers)
    assert (plain.dotted, plain.payload) == ("2.04", BODY[:1900])
    assert list(collector.bodies.values()) == [BODY] and len(origin.requests()) == 3      # in blocks of 1024 there
    assert all(r.plain.has(SIZE1) == (parts(r.plain.get(BLOCK1))[0] == 0) for r in origin.requests())
    for what in ("assembled", "cut", "sent"):
        assert proxy.metric("osprey_bodies_total", what=what) == 1
    big, _ = oscore.protect(forward(origin, method=coap.PUT).copy(payload=BODY * 3), None, [Hop(keys.cp)])
    for n in range(9):
        answer = client.exchange(big.copy(payload=big.payload[n * 1024:n * 1024 + 1024]).plus((BLOCK1, block(n, True, 6))))
    assert (answer.dotted, answer.get(SIZE1)) == ("4.13", coap.uint(8192))
    answer = client.exchange(big.copy(payload=big.payload[:1024]).plus((BLOCK1, block(3, True, 6))))
    assert answer.dotted == "4.08"
    assert proxy.errors_by("TOO_LARGE") == 1 and proxy.errors_by("BODY_GAP") == 1


# row B03
@needs_libcoap
def test_uploads_of_two_coap_clients_at_once_are_not_mixed(stage, tmp_path):
    proxy, server = stage.proxy(), stage.add(Server())
    where = net.uri(server.address, "/both")
    files = []
    for n in range(4):
        files.append(tmp_path / f"body{n}")
        files[n].write_text(f"{n}" * 6000)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(ask, "-m", "put", "-b", "64", "-f", file, "-P", net.uri(proxy.address), where, wait=20)
                for file in files]
        for run in runs:
            assert "4." not in run.result()[1]
    out, err = ask("-b", "1024", "-P", net.uri(proxy.address), where, wait=10)
    assert out in [f.read_text() for f in files], err


# row B06 (partly: one entry for all sizes)
@needs_libcoap
def test_what_one_coap_client_fetched_in_blocks_another_gets_from_the_cache(stage, tmp_path):
    proxy, server = stage.proxy(cache={"size": "1MiB"}), stage.add(Server())
    where, through = net.uri(server.address, "/large"), ["-P", net.uri(proxy.address)]
    file = tmp_path / "body"
    file.write_text("".join(f"line {n:05d}\n" for n in range(400)))
    ask("-m", "put", "-b", "512", "-f", file, *through, where, wait=10)
    assert ask("-b", "256", *through, where, wait=10)[0] == file.read_text().strip()
    before = proxy.metric("osprey_forwarded_total", way="forward")
    assert proxy.metric("osprey_bodies_total", what="gathered") == 1
    for size in ("16", "128", "1024"):
        assert ask("-b", size, *through, where, wait=15)[0] == file.read_text().strip()
    assert ask(*through, where, wait=10)[0] == file.read_text().strip()
    assert proxy.metric("osprey_forwarded_total", way="forward") == before
