# SPDX-License-Identifier: BSD-2-Clause
"""Key usage limits (draft-ietf-core-oscore-key-limits): counted by the real daemon, over restarts, told to the operator."""
import re
import select

import pytest

from daemon import context_entry
from peer import coap, net, oscore
from peer.coap import OSCORE
from peer.oscore import Hop
from test_layers import ALLOW, forward, secure_proxy


def limited(keys, cp=None, ps=None):
    entries = [context_entry("c-p", keys.cp.other_side()), context_entry("p-s", keys.ps)]
    for entry, limits in zip(entries, (cp, ps)):
        if limits:
            entry["key-limits"] = limits
    return entries


def usage(proxy, name):
    status, out, _ = proxy.ctl("contexts", name)
    assert status == 0
    found = re.search(r" q=(\d+) v=(\d+) keys=(\w+)", out)
    return int(found[1]), int(found[2]), found[3]


def settled(proxy):
    """Until all that was asked of the store is written."""
    before = None
    for _ in range(100):
        counts = proxy.metrics()
        now = counts["osprey_leases_asked_total"], counts["osprey_leases_granted_total"]
        if now == before and now[0] == now[1] > 0:
            return
        before = now
        select.select([], [], [], 0.05)
    assert False, "the store does not write"


def broken(keys, origin):
    made, _ = oscore.protect(forward(origin), None, [Hop(keys.cp)])
    return made.copy(payload=made.payload[:-1] + bytes([made.payload[-1] ^ 1]))


# row S12
def test_forged_messages_end_a_context_that_is_to_stop_and_a_restart_does_not_revive_it(stage, keys):
    proxy = secure_proxy(stage, keys, contexts=limited(keys, {"v": 30, "at-limit": "stop"}))
    origin, client = stage.origin(), stage.client(proxy)
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    for _ in range(29):
        assert client.exchange(broken(keys, origin)).dotted == "4.00"
    assert secure.exchange(forward(origin)).dotted == "2.05"
    assert usage(proxy, "c-p") == (1, 29, "worn")
    assert client.exchange(broken(keys, origin)).dotted == "4.00"
    for how in ("stop", "kill", None):
        made, _ = oscore.protect(forward(origin), None, [Hop(keys.cp)])
        answer = client.exchange(made)
        assert answer.dotted == "4.01" and not answer.has(OSCORE) and answer.payload == b"Security context not found"
        assert usage(proxy, "c-p")[1:] == (30, "over")
        if how:
            getattr(proxy, how)()
            proxy.start()
    assert origin.count() == 1
    log = [line for line in proxy.log().splitlines() if "key-limit" in line and "context=c-p" in line]
    # once each, and once in each run
    assert [re.search(r"state=(\w+)", line)[1] for line in log] == ["worn", "over", "over", "over"]


# row S12: the limit of AES-CCM-16-64-128 as it is recommended
@pytest.mark.seconds(60)
def test_2_to_the_14_bad_tags_are_the_end(stage, keys):
    proxy = secure_proxy(stage, keys, **{"key-limits": {"at-limit": "stop"}})
    origin, client = stage.origin(), stage.client(proxy)
    bad = broken(keys, origin)
    answers = {}
    for _ in range(2 ** 14 + 10):
        answer = client.exchange(bad)
        answers[answer.dotted] = answers.get(answer.dotted, 0) + 1
    assert answers == {"4.00": 2 ** 14, "4.01": 10}
    assert usage(proxy, "c-p") == (0, 2 ** 14, "over")
    assert proxy.metric("osprey_key_limits_total", state="over") == 1


# row S12
def test_a_leg_at_its_limit_is_closed_and_a_reload_may_open_it(stage, keys):
    origin = stage.origin(contexts=[keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}],
                         contexts=limited(keys, None, {"q": 20, "at-limit": "stop"}))
    client = stage.client(proxy)
    for _ in range(20):
        assert client.exchange(forward(origin)).dotted == "2.05"
    answer = client.exchange(forward(origin))
    assert (answer.dotted, answer.payload) == ("5.03", b"key usage limit of the security context reached")
    assert usage(proxy, "p-s") == (20, 0, "over") and origin.count() == 20
    proxy.write(contexts=limited(keys, None, {"q": 30, "at-limit": "stop"}))
    assert proxy.ctl("reload")[0] == 0
    assert client.exchange(forward(origin)).dotted == "2.05"
    assert usage(proxy, "p-s") == (21, 0, "fine")


# row S12
def test_by_default_a_provisioned_context_goes_on_and_the_operator_is_told(stage, keys):
    proxy = secure_proxy(stage, keys, contexts=limited(keys, {"q": 10, "v": 10}))
    origin, client = stage.origin(), stage.client(proxy)
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    for _ in range(15):
        assert client.exchange(broken(keys, origin)).dotted == "4.00"
        assert secure.exchange(forward(origin)).dotted == "2.05"
    assert usage(proxy, "c-p") == (15, 15, "over")
    assert proxy.metric("osprey_key_limits_total", state="over") == 1
    assert proxy.log().count("key-limit") == 2


# row S12
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_usage_is_kept_over_restarts(stage, keys, how):
    proxy = secure_proxy(stage, keys, contexts=limited(keys, {"q": 2560, "v": 640}))
    origin, client = stage.origin(), stage.client(proxy)
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    for _ in range(40):
        assert secure.exchange(forward(origin)).dotted == "2.05"
    for _ in range(5):
        assert client.exchange(broken(keys, origin)).dotted == "4.00"
    assert usage(proxy, "c-p") == (40, 5, "fine")
    settled(proxy)
    getattr(proxy, how)()
    proxy.start()
    q, v, _ = usage(proxy, "c-p")
    if how == "stop":
        assert (q, v) == (40, 5)
    else:
        assert 40 <= q <= 50 and 5 <= v <= 15


# row S12
def test_forged_messages_cost_writes_and_no_numbers(stage, keys):
    proxy = secure_proxy(stage, keys, contexts=limited(keys, {"v": 640}))       # written down every 10
    origin, client = stage.origin(), stage.client(proxy)
    assert stage.secure(proxy, None, [Hop(keys.cp)]).exchange(forward(origin)).dotted == "2.05"
    settled(proxy)
    leased, asked = proxy.metric("osprey_lease_numbers_total"), proxy.metric("osprey_leases_asked_total")
    bad = broken(keys, origin)
    for _ in range(600):
        assert client.exchange(bad).dotted == "4.00"
    settled(proxy)
    assert proxy.metric("osprey_leases_asked_total") > asked
    assert proxy.metric("osprey_lease_numbers_total") == leased


# row S09
def test_a_recorded_request_draws_one_challenge_after_a_crash(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    made, _ = oscore.protect(forward(origin), None, secure.hops)
    proxy.kill()
    proxy.start()
    client = stage.client(proxy)
    answers = {(answer.payload, answer.get(OSCORE)) for answer in (client.exchange(made) for _ in range(300))}
    assert len(answers) == 1
    settled(proxy)
    assert usage(proxy, "c-p")[0] == 1
    assert proxy.metric("osprey_echo_challenges_total", kind="new") == 1
    assert proxy.metric("osprey_echo_challenges_total", kind="repeated") == 299
    assert origin.count() == 0
    assert secure.exchange(forward(origin)).dotted == "2.05"
