# SPDX-License-Identifier: BSD-2-Clause
"""Rates and shares hold over all workers, and strangers leave room for clients with a context."""
import time

import pytest

from peer import oscore
from peer.coap import NON
from peer.oscore import Hop
from test_layers import ALLOW, forward, secure_proxy

WORKERS = 4
FORWARD = ["forward coap://127.0.0.0/8"]


def flood(stage, proxy, origin, count):
    """NONs from so many ports that they reach all workers."""
    clients = [stage.client(proxy) for _ in range(50)]
    for n in range(count):
        clients[n % len(clients)].ask(forward(origin, type=NON))


def settled(read, want, seconds=20):
    """The value once it is `want`, or what it is at the end."""
    deadline = time.monotonic() + seconds
    while (value := read()) != want and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


# Burst 10 let 40 through with 4 workers.
@pytest.mark.seconds(90)
def test_a_burst_is_one_for_all_workers(stage):
    proxy = stage.proxy(workers=WORKERS, clients=[{"match": {"any": True}, "allow": FORWARD,
                                                   "rate": {"requests": "1/s", "burst": 10}}])
    origin = stage.origin()
    clients = [stage.client(proxy) for _ in range(60)]
    began = time.monotonic()
    for client in clients:
        client.ask(forward(origin))
    got = [client.receive(20).dotted for client in clients]
    took = time.monotonic() - began
    assert set(got) == {"2.05", "4.29"}
    assert 10 <= got.count("2.05") <= 11 + took
    assert proxy.errors_by("RATE") == got.count("4.29")
    assert stage.client(proxy, source=("127.0.0.2", 0)).exchange(forward(origin)).dotted == "2.05"


# 600 NONs of one stranger gave 5.03 to clients with a context.
@pytest.mark.seconds(120)
def test_a_stranger_does_not_shut_clients_with_a_context_out(stage, keys):
    rules = [{"match": {"context": "*"}, "allow": ALLOW}, {"match": {"any": True}, "allow": FORWARD}]
    proxy = secure_proxy(stage, keys, workers=WORKERS, clients=rules,
                         limits={"exchanges": 400, "messages": 20000, "memory": "32MiB", "response-timeout": "60s",
                                 "drain": "100ms", "upstream-ports": 4})
    silent, origin = stage.origin(lambda r: None), stage.origin()
    flood(stage, proxy, silent, 600)
    assert settled(lambda: proxy.metric("osprey_requests_total"), 600) == 600
    held = proxy.metric("osprey_share_used", table="exchanges", client="unknown")
    refused = [proxy.metric("osprey_share_refused_total", table="exchanges", client="unknown", why=why)
               for why in ("client", "prefix", "reserve", "full")]
    assert 75 <= held <= 100 and sum(refused) == 600 - held     # a quarter of all, and most of that
    for _ in range(20):
        made, layers = oscore.protect(forward(origin), None, [Hop(keys.cp)])
        assert oscore.unprotect(stage.client(proxy).exchange(made, timeout=20), layers).dotted == "2.05"
    assert stage.client(proxy, source=("127.0.0.9", 0)).exchange(forward(origin), timeout=20).dotted == "2.05"
    assert settled(lambda: "shares-refused" in proxy.log(), True)
