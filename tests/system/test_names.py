# SPDX-License-Identifier: BSD-2-Clause
"""Who is at the other end, and which bytes say where a request goes: protected ones, and proven names."""
import pytest

from peer import coap, net, oscore
from peer.coap import OSCORE, URI_HOST
from peer.edhoc_coap import edhoc_run
from peer.edhoc_cred import Credential
from peer.oscore import Hop
from test_edhoc import Responder
from test_oscore import secure_proxy

ROUTES_ALLOW = ["route *"]


# ---- routes decide on protected bytes ----

# row P24
def test_a_host_added_outside_moves_no_protected_request(stage, keys):
    admin, plant = stage.origin(), stage.origin()
    routes = [{"name": "admin", "match": {"host": "admin.example"}, "upstream": {"uri": net.uri(admin.address)}},
              {"name": "plant", "match": {"path": "/plant/*"}, "upstream": {"uri": net.uri(plant.address)}}]
    proxy = secure_proxy(stage, keys, routes=routes, clients=[{"match": {"context": "*"}, "allow": ROUTES_ALLOW}])
    client = stage.client(proxy)
    put = coap.request(coap.PUT, path="plant/valve", payload=b"open")
    for outside in (), ((URI_HOST, b"admin.example"),):
        made, layers = oscore.protect(put, None, [Hop(keys.cp)])
        assert oscore.unprotect(client.exchange(made.plus(*outside)), layers).dotted[0] == "2"
    assert (admin.count(), plant.count()) == (0, 2)
    assert proxy.metric("osprey_outer_authority_ignored_total") == 1
    routes[0]["outer-host"] = True
    proxy.write(routes=routes)
    proxy.reload()
    made, layers = oscore.protect(put, None, [Hop(keys.cp)])
    assert oscore.unprotect(client.exchange(made.plus((URI_HOST, b"admin.example"))), layers).dotted[0] == "2"
    assert (admin.count(), plant.count()) == (1, 2)


# ---- kids of others ----

# row L17
@pytest.mark.seconds(60)
def test_sixty_sessions_leave_every_end_to_end_kid_alone(stage, keys):
    r = Responder(stage, start_it=False)
    r.proxy.write(routes=[{"name": "dev", "match": {"host": "dev.example"}, "upstream": {"uri": net.uri(r.origin.address)}}],
                  clients=[{"match": {"edhoc": {"credential": "P-256"}}, "allow": ["forward coap://127.0.0.0/8"]},
                           {"match": {"any": True}, "allow": ROUTES_ALLOW}],
                  edhoc={**r.proxy.config["edhoc"], "contexts-per-peer": 100})
    r.proxy.start()
    made = [r.run()[1] for _ in range(60)]
    assert all(len(c.sender_id) > 1 for c in made) and r.passes(made[0])
    before = r.origin.count()
    kids = [bytes([k]) for k in (*range(24), *range(0x20, 0x38))]
    for kid in kids:
        request, _ = keys.make(kid, b"origin").protect_request(coap.request(path="x"), oscore.TO_SERVER)
        assert r.client.exchange(request.plus((URI_HOST, b"dev.example"))).payload == b"hello"
    assert r.origin.count() == before + len(kids)
    request, _ = keys.make(made[0].sender_id, b"origin").protect_request(coap.request(path="x"), oscore.TO_SERVER)
    assert r.client.exchange(request.plus((URI_HOST, b"dev.example"))).payload == b"hello"      # not even that one
    assert r.origin.requests()[-1].message.has(OSCORE)
    assert r.proxy.metric("osprey_oscore_layers_left_total") == 1


# ---- rules ----

# [rfc9528#D.5]
def test_a_pattern_does_not_stand_for_unknown_credentials(stage):
    r = Responder(stage, "kccs", start_it=False)
    stranger = {"P-256": Credential.new("P-256", "kccs", b"\x77")}
    for pattern, passes in (("*", False), ("unknow?", False), ("unknown", True)):
        r.proxy.write(edhoc={**r.proxy.config["edhoc"], "unknown": "accept"},
                      clients=[{"match": {"edhoc": {"credential": pattern}}, "allow": ["forward coap://127.0.0.0/8"]}])
        r.proxy.start()
        _, context = edhoc_run(r.client, r.initiator(0, 2, trusted=stranger))
        answer = r.secure(context).exchange(r.forward())
        assert (answer.dotted == "2.05") == passes, pattern
        assert passes or answer.dotted == "4.01"
        if not passes and pattern == "*":
            assert r.passes(r.run(0, 2)[1])
        r.proxy.stop()
