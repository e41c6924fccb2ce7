# SPDX-License-Identifier: BSD-2-Clause
"""Contexts derived multiple times [rfc8613#B.2] with the real daemon: both roles, restarts, kill -9."""
import secrets
import select

import pytest

from daemon import context_entry
from peer import coap, net, oscore, rekey
from peer.coap import OSCORE
from test_layers import ALLOW, forward
from test_key_limits import settled, usage


def make_base(sender_id, recipient_id):
    return rekey.Base(secrets.token_bytes(16), secrets.token_bytes(8), sender_id, recipient_id)


def entry(name, base, **more):
    return {**context_entry(name, base, fresh=False), "rekey": "b2", **more}


@pytest.fixture
def cp():
    return make_base(b"\x20", b"\x50")


@pytest.fixture
def ps():
    return make_base(b"\xd4", b"\x54")


def server(stage, cp, **more):
    """A proxy that clients share a base with."""
    return stage.proxy(contexts=[entry("c-p", cp.other_side(), **more)],
                       clients=[{"match": {"context": "c-p"}, "allow": ALLOW}])


def client_of(stage, ps, origin, start=True, **more):
    """A proxy that shares a base with the origin."""
    return stage.proxy(start=start, contexts=[entry("p-s", ps, **more)], clients=[{"match": {"any": True}, "allow": ALLOW}],
                       upstreams=[{"match": net.uri(origin.address), "context": "p-s"}])


# ---- clients ----

# row S11
def test_a_client_makes_a_context_at_first_contact(stage, cp):
    proxy, origin = server(stage, cp), stage.origin()
    client = rekey.Client(stage.client(proxy), cp)
    id3 = client.begin(forward(origin))
    assert origin.count() == 0
    assert client.finish(forward(origin), id3).dotted == "2.05"
    for _ in range(5):
        assert client.exchange(forward(origin)).dotted == "2.05"
    assert origin.count() == 6 and client.runs == 1
    assert proxy.metric("osprey_rekeyings_total", role="server") == 1
    assert f"id-context={id3.hex()}" in proxy.ctl("contexts", "c-p")[1]


# row S11
def test_the_id_context_of_ordinary_requests_may_come_as_it_is(stage, cp):
    proxy, origin = server(stage, cp), stage.origin()
    client = rekey.Client(stage.client(proxy), cp)
    assert client.exchange(forward(origin)).dotted == "2.05"
    client.base.current.kid_context = client.base.current.id_context
    for _ in range(5):
        assert client.exchange(forward(origin)).dotted == "2.05"
    assert client.runs == 1 and proxy.metric("osprey_rekeyings_total", role="server") == 1


# row S11
def test_recorded_requests_have_no_second_effect(stage, cp):
    proxy, origin = server(stage, cp), stage.origin()
    client = rekey.Client(stage.client(proxy), cp)
    assert client.exchange(forward(origin)).dotted == "2.05"
    attacker, seen = stage.client(proxy), set()
    for _ in range(50):
        answer = attacker.exchange(client.first)
        seen.add(oscore.Option.decode(answer.get(OSCORE)).kid_context)
    assert len(seen) == 50 and None not in seen         # R2 is never used twice
    answer = attacker.exchange(client.second)
    assert answer.dotted == "4.01" and not answer.has(OSCORE)
    assert origin.count() == 1
    assert client.exchange(forward(origin)).dotted == "2.05" and client.runs == 1
    assert proxy.metric("osprey_rekeyings_total", role="server") == 1


# row S11
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_current_context_survives_a_restart_of_the_proxy(stage, cp, how):
    proxy, origin = server(stage, cp), stage.origin()
    client = rekey.Client(stage.client(proxy), cp)
    for runs in range(1, 4):
        for _ in range(3):
            assert client.exchange(forward(origin)).dotted == "2.05"
        settled(proxy)
        getattr(proxy, how)()
        proxy.start()
        assert client.exchange(forward(origin)).dotted == "2.05"
        assert client.runs == runs                      # the same context goes on
        cp.current = None                               # the client was started anew, too
        assert client.exchange(forward(origin)).dotted == "2.05"
    assert proxy.metric("osprey_rekeyings_total", role="server") == 1
    assert origin.count() == 15


# row S11: what was not written down is made good by a run that the proxy begins
def test_a_proxy_without_its_state_begins_a_run(stage, cp):
    proxy, origin = server(stage, cp), stage.origin()
    client = rekey.Client(stage.client(proxy), cp)
    assert client.exchange(forward(origin)).dotted == "2.05"
    proxy.kill()
    for file in (proxy.dir / "state").iterdir():
        file.unlink()
    proxy.recover_state()
    proxy.start()
    old = client.second
    assert client.exchange(forward(origin)).dotted == "2.05" and client.runs == 2
    answer = client.client.exchange(old)                # of before: another R2, and nothing executed
    assert answer.has(OSCORE) and oscore.Option.decode(answer.get(OSCORE)).kid_context
    assert origin.count() == 2


# row S11 S12
def test_keys_that_are_used_up_are_no_end(stage, cp):
    proxy, origin = server(stage, cp, **{"key-limits": {"q": 10}}), stage.origin()
    client = rekey.Client(stage.client(proxy), cp)
    done = 0
    for _ in range(40):
        made, layer = (client.base.current or cp.derive(b"none")).protect_request(forward(origin), oscore.TO_PROXY)
        if not client.base.current:
            client.exchange(forward(origin))
            continue
        answer = client.client.exchange(made)
        if not answer.has(OSCORE):                      # 4.01: the client begins again
            assert answer.payload == b"Security context not found"
            client.base.current = None
            continue
        assert layer.unprotect_response(answer).dotted == "2.05"
        done += 1
    assert done >= 30 and client.runs >= 3
    assert usage(proxy, "c-p")[0] <= 10


# ---- next hops ----

# row S11
@pytest.mark.parametrize("literal", [True, False])
def test_the_proxy_makes_a_context_with_its_first_request(stage, ps, literal):
    origin = stage.add(rekey.Origin(ps.other_side(), literal=literal))
    proxy = client_of(stage, ps, origin)
    client = stage.client(proxy)
    for _ in range(30):
        assert client.exchange(forward(origin)).dotted == "2.05"
    assert (origin.begun, origin.runs) == (1, 1)
    assert proxy.metric("osprey_rekeyings_total", role="client") == 1
    assert proxy.metric("osprey_forwarded_total", way="forward") == 30


# row S11
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_numbers_of_the_current_context_go_on_after_a_restart(stage, ps, how):
    origin = stage.add(rekey.Origin(ps.other_side()))
    proxy = client_of(stage, ps, origin)
    for _ in range(4):
        client = stage.client(proxy)
        for _ in range(7):
            assert client.exchange(forward(origin)).dotted == "2.05"
        settled(proxy)
        getattr(proxy, how)()
        proxy.start()
    assert (origin.begun, origin.runs) == (1, 1)
    pivs = [int.from_bytes(r.removed[0].piv, "big") for r in origin.requests()][1:]
    assert pivs == sorted(set(pivs)) and len(pivs) == 28
    if how == "stop":
        assert pivs == list(range(28))


# row S11: no (key, nonce) pair twice, whenever the process dies
@pytest.mark.seconds(90)
def test_kill_9_at_any_time_repeats_no_number(stage, ps):
    origin = stage.add(rekey.Origin(ps.other_side()))
    proxy = client_of(stage, ps, origin, start=False)
    for round_ in range(15):
        proxy.start()
        client = stage.client(proxy)
        for _ in range(3):
            client.ask(forward(origin))
        select.select([], [], [], 0.004 * round_)
        proxy.kill()
        if round_ % 5 == 4:
            origin.forget_all()
    used = [(r.removed[0].context.id_context, r.removed[0].piv) for r in origin.requests() if r.removed]
    assert len(set(used)) == len(used) > 0


# row S11
def test_an_origin_that_forgot_the_context_gets_a_new_one(stage, ps):
    origin = stage.add(rekey.Origin(ps.other_side()))
    proxy = client_of(stage, ps, origin)
    client = stage.client(proxy)
    for _ in range(3):
        assert client.exchange(forward(origin)).dotted == "2.05"
        origin.forget_all()
    assert (origin.begun, origin.runs) == (3, 3)
    assert proxy.metric("osprey_errors_total", reason="BAD_RESPONSE") == 0


# row S11 S12
def test_worn_keys_are_renewed_on_the_way(stage, ps):
    origin = stage.add(rekey.Origin(ps.other_side()))
    proxy = client_of(stage, ps, origin, **{"key-limits": {"q": 20}})
    client = stage.client(proxy)
    for _ in range(60):
        assert client.exchange(forward(origin)).dotted == "2.05"
    assert 3 <= origin.runs <= 5
    assert usage(proxy, "p-s")[0] <= 20


# row S11: workers share the context, and one of them makes it
def test_several_workers_have_one_run(stage, ps):
    origin = stage.add(rekey.Origin(ps.other_side()))
    proxy = stage.proxy(contexts=[entry("p-s", ps)], clients=[{"match": {"any": True}, "allow": ALLOW}], workers=3,
                        upstreams=[{"match": net.uri(origin.address), "context": "p-s"}])
    clients = [stage.client(proxy) for _ in range(12)]
    sent = [(c, c.ask(forward(origin))) for c in clients]
    for c, m in sent:
        assert c.answer_to(m).dotted == "2.05"
    assert origin.runs == 1


# ---- both, and what is refused ----

# row S11
def test_a_context_may_serve_both_ways_and_a_reload_keeps_it(stage, cp):
    origin = stage.add(rekey.Origin(cp))
    proxy = stage.proxy(contexts=[entry("peer", cp.other_side())],
                        clients=[{"match": {"any": True}, "allow": ALLOW}],
                        upstreams=[{"match": net.uri(origin.address), "context": "peer"}])
    client = stage.client(proxy)
    assert client.exchange(forward(origin)).dotted == "2.05"
    proxy.write(names=["other.example"])
    assert proxy.ctl("reload")[0] == 0
    assert client.exchange(forward(origin)).dotted == "2.05"
    assert origin.runs == 1
    local = rekey.Client(stage.client(proxy), cp)       # and in the other direction
    assert local.exchange(coap.request(path=".well-known/core")).dotted == "2.05"
    assert local.runs == 0


# row S01: the flag of KUDOS is not known here
def test_the_flag_of_another_key_update_is_402(stage, cp):
    proxy = server(stage, cp)
    m = coap.Message(code=coap.POST, options=[(OSCORE, bytes.fromhex("89014120"))], payload=b"0123456789")
    assert stage.client(proxy).exchange(m).dotted == "4.02"
