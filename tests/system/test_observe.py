# SPDX-License-Identifier: BSD-2-Clause
"""Observe through the real daemon: in plain, under a layer for the proxy, and with libcoap's client and server."""
import shutil
import subprocess
import time

import pytest

from daemon import context_entry
from peer import coap, oscore
from peer.coap import ACK, CON, NON, OBSERVE, OSCORE, PROXY_SCHEME, RST, URI_HOST, URI_PORT, Message

OPEN = [{"match": {"any": True}, "allow": ["forward coap://[127.0.0.0/8]"]}]


def registration(origin, **kw):
    return coap.request(path="t", host=origin.host, port=origin.port, scheme="coap", options=[(OBSERVE, b"")], **kw)


def notify(origin, number, payload, mtype=NON):
    """A notification to whoever registered last."""
    request = origin.requests()[-1]
    origin.send(Message(type=mtype, mid=0x5000 + number, code=coap.code("2.05"), token=request.message.token, payload=payload,
                        options=[(OBSERVE, coap.uint(number))]), request.source)


def receive(client, timeout=2.0):
    """The next notification, acknowledged when it is confirmable: what comes fast is."""
    got = client.receive(timeout)
    if got.type == CON:
        client.send(Message(type=ACK, mid=got.mid, code=0))
    return got


# row O04 O05 O09
def test_notifications_reach_the_client_until_it_resets_one(stage):
    proxy = stage.proxy(clients=OPEN)
    origin = stage.origin(lambda r: coap.response("2.05", b"first", [(OBSERVE, b"\x01")]))
    client = stage.client(proxy)
    sent = client.ask(registration(origin))
    first = client.answer_to(sent)
    assert first.has(OBSERVE) and first.payload == b"first"
    for number in (2, 3, 4):
        notify(origin, number, b"news %d" % number)
        got = receive(client)
        assert (got.token, got.payload) == (sent.token, b"news %d" % number)
    assert proxy.metric("osprey_observations") == 1
    assert proxy.metric("osprey_notifications_total") == 4
    client.send(Message(type=RST, mid=got.mid, code=0))
    time.sleep(0.1)
    assert proxy.metric("osprey_observations") == 0
    notify(origin, 5, b"late")
    assert client.receive(0.2) is None
    origin.wait_for(lambda r: r.message and r.message.type == RST)


# row O12
def test_each_notification_under_the_proxys_layer_has_its_own_partial_iv(stage, keys):
    rules = [{"match": {"context": "*"}, "allow": ["forward coap://[127.0.0.0/8]"]}]
    proxy = stage.proxy(contexts=[context_entry("one", keys.cp.other_side())], clients=rules)
    origin = stage.origin(lambda r: coap.response("2.05", b"first", [(OBSERVE, b"\x01")]))
    secure = stage.secure(proxy, hops=[keys.hop()])
    made, layers = secure.protect(registration(origin))
    sent = secure.client.ask(made)
    answers = [secure.client.answer_to(sent)]
    for number in (2, 3, 4):
        notify(origin, number, b"news %d" % number)
        answers.append(receive(secure.client, 4))
    options = [dict(a.options)[OSCORE] for a in answers]
    assert options[0] == b"" and all(options[1:]) and len(set(options)) == 4
    assert [oscore.unprotect_some(a, layers).payload for a in answers] == [b"first", b"news 2", b"news 3", b"news 4"]


@pytest.mark.skipif(not shutil.which("coap-client-notls"), reason="libcoap3-bin is not there")
def test_libcoaps_client_observes_libcoaps_server(stage, workdir):
    from peer import net
    proxy, at = stage.proxy(clients=OPEN), net.free_address()
    server = subprocess.Popen(["coap-server-notls", "-A", at[0], "-p", str(at[1])], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        seen = subprocess.run(["coap-client-notls", "-s", "3", "-w", "-P", net.uri(proxy.address),
                               f"coap://{at[0]}:{at[1]}/time"], capture_output=True, timeout=20, check=False).stdout
        assert len(seen.split(b"\n")) >= 3      # the time, and again each second
        assert proxy.metric("osprey_notifications_total") >= 2
    finally:
        server.kill()
        server.wait()
