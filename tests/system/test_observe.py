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


def notify_registered(origin, number, payload):
    """... to whoever registered first."""
    request = origin.requests()[0]
    origin.send(Message(type=NON, mid=0x5000 + number, code=coap.code("2.05"), token=request.message.token, payload=payload,
                        options=[(OBSERVE, coap.uint(number))]), request.source)


def receive(client, timeout=2.0, ack=True):
    """The next notification, acknowledged when it is confirmable: the first one is."""
    got = client.receive(timeout)
    if ack and got.type == CON:
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
        got = client.receive() if number == 4 else receive(client)
        assert (got.token, got.payload) == (sent.token, b"news %d" % number)
    assert proxy.metric("osprey_observations") == 1
    assert proxy.metric("osprey_notifications_total") == 4
    client.send(Message(type=RST, mid=got.mid, code=0))
    time.sleep(0.1)
    assert proxy.metric("osprey_observations") == 0
    notify(origin, 5, b"late")
    assert client.receive(0.2) is None
    origin.wait_for(lambda r: r.message and r.message.type == RST)


# row O01 O02 O03 O04 O05
def test_observers_of_one_resource_are_one_registration_at_the_origin(stage, keys):
    open_to_all = [{"match": {"any": True}, "allow": ["forward coap://[127.0.0.0/8]"]}]
    proxy = stage.proxy(clients=open_to_all, contexts=[context_entry("one", keys.cp.other_side())], workers=1)
    origin = stage.origin(lambda r: coap.response("2.05", b"first", [(OBSERVE, b"\x40")]))
    plain = [stage.client(proxy) for _ in range(3)]
    secure = stage.secure(proxy, hops=[keys.hop()])
    sent = [c.ask(registration(origin)) for c in plain]
    firsts = [c.answer_to(s) for c, s in zip(plain, sent)]
    made, layers = secure.protect(registration(origin))
    firsts.append(oscore.unprotect_some(secure.client.answer_to(secure.client.ask(made)), layers))
    assert all(f.has(OBSERVE) and f.payload == b"first" for f in firsts)
    assert len(origin.requests()) == 1
    assert proxy.metric("osprey_observed_subjects") == 1 and proxy.metric("osprey_registrations_merged_total") == 3
    seen = [[] for _ in plain]
    for number in range(0x41, 0x44):
        notify(origin, number, b"news %d" % number)
        for client, numbers in zip(plain, seen):
            got = receive(client)
            assert got.payload == b"news %d" % number
            numbers.append(int.from_bytes(dict(got.options)[OBSERVE], "big"))
        assert oscore.unprotect_some(receive(secure.client), layers).payload == b"news %d" % number
    assert all(n == sorted(set(n)) and max(n) < 0x40 for n in seen)     # numbers of the proxy, increasing
    for client, first in zip(plain, sent):                              # each leaves under its Token; one stays
        assert client.exchange(coap.request(path="t", host=origin.host, port=origin.port, scheme="coap",
                                            options=[(OBSERVE, b"\x01")]), token=first.token).payload == b"first"
    assert proxy.metric("osprey_observations") == 1
    deregistration, _ = secure.protect(coap.request(path="t", host=origin.host, port=origin.port, scheme="coap",
                                                    options=[(OBSERVE, b"\x01")]))
    secure.client.answer_to(secure.client.ask(deregistration, token=None))
    assert proxy.metric("osprey_observations") == 1                     # under another Token: nobody's
    notify_registered(origin, 0x50, b"to reset")
    got = receive(secure.client, ack=False)
    secure.client.send(Message(type=RST, mid=got.mid, code=0))
    registered = origin.requests()[0].message.token
    origin.wait_for(lambda r: r.message and r.message.token == registered and dict(r.message.options).get(OBSERVE) == b"\x01")
    assert proxy.metric("osprey_observations") == 0 and proxy.metric("osprey_observed_subjects") == 0


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


@pytest.mark.skipif(not shutil.which("coap-client-notls"), reason="libcoap3-bin is not there")
# row O01
def test_two_libcoap_clients_are_one_registration(stage):
    from peer import net
    proxy = stage.proxy(clients=OPEN, workers=1)
    origin = stage.origin(lambda r: coap.response("2.05", b"first\n", [(OBSERVE, b"\x01")]))
    command = ["coap-client-notls", "-s", "3", "-w", "-P", net.uri(proxy.address), f"coap://{origin.host}:{origin.port}/t"]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        deadline = time.monotonic() + 3
        while proxy.metric("osprey_observations") < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len([r for r in origin.requests() if r.message.has(OBSERVE)]) == 1
        for number in (2, 3, 4):
            time.sleep(0.2)
            notify_registered(origin, number, b"news %d\n" % number)
        for out in [c.communicate(timeout=15)[0] for c in clients]:
            assert [line for line in out.split(b"\n") if line][:4] == [b"first", b"news 2", b"news 3", b"news 4"]
        deadline = time.monotonic() + 3
        while proxy.metric("osprey_observed_subjects") > 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert proxy.metric("osprey_observed_subjects") == 0
    finally:
        for client in clients:
            client.kill()
            client.wait()
