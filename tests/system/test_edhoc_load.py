# SPDX-License-Identifier: BSD-2-Clause
"""
The daemon as an EDHOC Responder under load: floods of message_1, kill -9 with contexts in use, reloads.
"""
import random
import select
import threading
import time

import pytest

from daemon import SANITIZED, context_entry, edhoc_file
from load import Load, check
from peer import coap, edhoc_coap, net
from peer.edhoc_coap import request_1, start
from peer.oscore import Context
from test_edhoc import ALLOW, Responder

FLOOD = 20_000 if SANITIZED else 100_000
ADDRESSES = 250
AT_A_TIME = 50                          # more would not fit into the socket's buffer
ROUNDS = 8 if SANITIZED else 25


class Flood:
    """Clients at many addresses that send different message_1 and never answer an Echo."""

    def __init__(self, target, message_1):
        self.socks = [net.udp((f"127.9.{i // 50}.{i % 50 + 1}", 0)) for i in range(ADDRESSES)]
        self.target, self.message_1, self.sent = target, message_1, 0
        self.codes = {}

    def close(self):
        for s in self.socks:
            s.close()

    def datagram(self):
        """Each has a C_I of its own; a Message ID comes again at an address after 65,536 of them."""
        self.sent += 1
        c_i = self.sent.to_bytes(4, "big")
        m = request_1(self.message_1[:-4] + c_i, type=coap.NON)
        return coap.encode(m.copy(mid=self.sent // ADDRESSES & 0xffff, token=c_i))

    def burst(self):
        asked = [self.socks[(self.sent + i) % ADDRESSES] for i in range(AT_A_TIME)]
        for s in asked:
            s.sendto(self.datagram(), self.target)
        for s in asked:
            while select.select([s], [], [], 2.0)[0]:
                code = coap.decode(s.recv(2048)).dotted
                self.codes[code] = self.codes.get(code, 0) + 1
                break

    def answered(self):
        return sum(self.codes.values())


def resident(proxy):
    """VmRSS in bytes."""
    with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


# row X10 [rfc9528#9.7] [rfc9528#A.2]
@pytest.mark.seconds(120)
def test_a_flood_of_message_1_takes_no_memory_and_stops_nobody(stage):
    r = Responder(stage, edhoc={"sessions": 256, "verify-above": 64, "session-timeout": "2s", "contexts-per-peer": 10},
                  workers=2)
    limits = dict(r.proxy.config["limits"], messages=4000)
    r.proxy.stop()
    r.proxy.write(limits=limits)
    r.proxy.start()
    _, context = r.run()
    flood = stage.add(Flood(r.proxy.address, r.initiator(c_i=b"abcd").message_1()))
    sizes = []
    while flood.sent < FLOOD:
        flood.burst()
        if flood.sent % (FLOOD // 50) == 0:
            assert r.passes(context)                    # OSCORE traffic goes on
            sizes.append(resident(r.proxy))
        if flood.sent % (FLOOD // 5) == 0:              # and so does EDHOC for who hears the Echo
            assert r.passes(r.run()[1])
            assert r.proxy.metric("osprey_edhoc_sessions") <= 64 + 2
    assert flood.answered() > 0.99 * flood.sent
    assert set(flood.codes) == {"2.04", "4.01"} and flood.codes["4.01"] > 0.8 * flood.sent
    assert r.proxy.metric("osprey_edhoc_sessions_total", what="challenged") >= flood.codes["4.01"]
    if not SANITIZED:                                   # its quarantine grows
        assert max(sizes[len(sizes) // 2:]) - max(sizes[:len(sizes) // 2]) < 1 << 20, sizes
    deadline = time.monotonic() + 25                    # they are looked for every 10 s
    while r.proxy.metric("osprey_edhoc_sessions") > 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert r.proxy.metric("osprey_edhoc_sessions_total", what="expired") >= 64


# ---- kill -9 ----

class KeysOf:
    """Contexts for a load: that of EDHOC with the client, a configured one with the origin."""

    def __init__(self, ps, cp=None):
        self.ps, self.cp = ps, cp


def wait_until_saved(proxy):
    """The contexts of now are written: with their first lease."""
    while proxy.metric("osprey_leases_granted_total") == 0:
        time.sleep(0.01)


# row S08 S09 S04 [rfc8613#B.1]
@pytest.mark.seconds(120)
def test_kill_9_with_contexts_that_edhoc_made(stage, keys):
    """No Partial IV of the proxy's is seen twice, no request comes in twice, and each start challenges."""
    load = Load(None, KeysOf(keys.ps))
    stage.add(load)
    r = Responder(stage, start_it=False, contexts=[context_entry("p-s", keys.ps)], lease={"block": 50},
                  upstreams=[{"match": net.uri(load.origin.address), "context": "p-s"}], log={"level": "warning"})
    r.proxy.start()
    load.proxy, load.client.target = r.proxy, r.proxy.address
    _, load.keys.cp = r.run()
    wait_until_saved(r.proxy)
    progressed = 0
    for round_ in range(ROUNDS):
        if round_:
            r.proxy.start()
            load.replay(10)
        answered, challenges = load.answered, load.challenges
        timer = threading.Timer(random.uniform(0.05, 0.15), r.proxy.process.kill)
        timer.start()
        load.run(time.monotonic() + 0.5, lambda: r.proxy.process.poll() is None)
        timer.join()
        r.proxy.kill()
        load.waiting.clear()
        load.echo = None
        progressed += load.answered > answered
        assert round_ == 0 or load.answered == answered or load.challenges > challenges
    check(load)
    assert progressed > ROUNDS // 2 and load.challenges >= ROUNDS // 2
    assert len(load.origin.requests()) > ROUNDS
    r.proxy.start()
    load.replay(100)
    check(load)


# ---- reloads ----

def configured_under(identifier):
    """A context of the client's side whose requests carry this kid."""
    return Context(bytes(range(16)), b"", identifier, b"\xee\xee")


# row X05 [rfc9668#4.1.2]
@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_configured_context_takes_its_identifier_from_one_that_edhoc_made(stage, how):
    r = Responder(stage)
    _, lost = r.run()
    _, other = r.run()
    running = start(r.client, r.initiator())
    assert r.passes(lost) and r.passes(other)
    wait_until_saved(r.proxy)
    made = [configured_under(lost.sender_id), Context(bytes(range(1, 17)), b"", running.c_r, b"\xee\xef")]
    r.proxy.write(contexts=[context_entry(f"c{n}", c.other_side()) for n, c in enumerate(made)],
                  clients=[{"match": {"any": True}, "allow": ALLOW}])
    if how == "reload":
        r.proxy.reload()
        answer = r.client.exchange(edhoc_coap.request_3(running.c_r, running.message_3()))
        assert edhoc_coap.error_in(answer)[0] == 1 and answer.dotted == "5.00"
    else:
        r.proxy.stop()
        r.proxy.start()
    assert r.proxy.metric("osprey_kept_contexts") == 1
    assert all(r.passes(c) for c in made) and r.passes(other)


def test_a_session_of_before_a_reload_trusts_nobody_whom_the_reload_took_away(stage):
    r = Responder(stage)
    running = start(r.client, r.initiator())
    edhoc_file(r.proxy.dir, list(r.own.items()), [])
    r.proxy.write(clients=[{"match": {"any": True}, "allow": ALLOW}])
    r.proxy.reload()
    answer = r.client.exchange(edhoc_coap.request_3(running.c_r, running.message_3()))
    assert edhoc_coap.error_in(answer)[0] == 3
    assert r.proxy.metric("osprey_kept_contexts") == 0 and r.is_unknown(running.oscore())
