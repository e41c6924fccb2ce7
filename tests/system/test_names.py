# SPDX-License-Identifier: BSD-2-Clause
"""Who is at the other end, and which bytes say where a request goes: protected ones, and proven names."""
import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daemon import edhoc_file, run
from peer import coap, net, oscore
from peer.coap import OSCORE, URI_HOST
from peer.edhoc import Initiator
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


# ---- certificates of one authority ----

class Authority:
    """It vouches for names, each with a key of its own."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.der = self.sign(self.key.public_key(), "plant", [], True)

    def sign(self, public, name, names, is_ca=False):
        to_name = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, "plant")]
        begin = datetime.datetime(2024, 1, 1)
        made = x509.CertificateBuilder().subject_name(to_name[0]).issuer_name(to_name[1]).public_key(public) \
            .serial_number(x509.random_serial_number()).not_valid_before(begin) \
            .not_valid_after(begin + datetime.timedelta(days=9000)) \
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def credential(self, name, *names):
        key = ec.generate_private_key(ec.SECP256R1())
        return Credential.from_der(self.sign(key.public_key(), name, list(names)), key, by_value=True)


class Towards:
    """A daemon that makes contexts with origins under names of their own, all at one address, which one of them answers."""

    def __init__(self, stage, credential, leg, trusted=(), ca=None, target="coap://*.plant.example"):
        self.own = Credential.new("P-256", "kid", b"\x01")
        self.origin = stage.edhoc_origin([credential], [self.own], methods=(0, 1, 2, 3))
        self.proxy = stage.proxy(start=False)
        creds = edhoc_file(self.proxy.dir, [("me", self.own)], list(trusted), [("plant", ca.der)] if ca else [])
        self.proxy.write(edhoc={"credentials": creds, "methods": [0, 3]},
                         hosts={f"{n}.plant.example": self.origin.host for n in "ab"},
                         clients=[{"match": {"any": True}, "allow": ["forward coap://*", "forward coap://127.0.0.0/8"]}],
                         upstreams=[{"match": target, "edhoc": leg}])
        self.proxy.start()
        self.client = stage.client(self.proxy)

    def ask(self, host):
        return self.client.exchange(coap.request(path="x", host=host, port=self.origin.port, scheme="coap")).dotted


# row X12 [rfc9528#D.2]
@pytest.mark.parametrize("combined", [False, True])
def test_a_certificate_has_to_name_the_host_that_a_request_is_for(stage, combined):
    ca = Authority()
    leg = {"method": 0, "combined": combined}
    t = Towards(stage, ca.credential("b.plant.example", x509.DNSName("a.plant.example")), leg, ca=ca)
    assert t.ask("b.plant.example") == "5.02"           # its common name, which does not count
    assert t.ask("a.plant.example") == "2.05"
    assert t.ask("b.plant.example") == "5.02"           # at the same address: not under the context for the other name
    assert t.proxy.metric("osprey_edhoc_runs_total", result="agreed") == 1
    assert t.proxy.metric("osprey_errors_total", reason="EDHOC_NAME") == 1
    log = t.proxy.log()
    assert f"edhoc-agreed with={net.uri(t.origin.address)} credential=* subject=a.plant.example" in log
    assert f"edhoc-failed with={net.uri(t.origin.address)} credential=* subject=b.plant.example reason=" in log
    t.proxy.stop()
    t.proxy.start()                                     # nor after a restart
    assert (t.ask("a.plant.example"), t.ask("b.plant.example")) == ("2.05", "5.02")
    assert t.proxy.metric("osprey_edhoc_runs_total", result="agreed") == 0


# row X12
def test_an_address_or_the_configured_name_will_do(stage):
    ca = Authority()
    for names, subject, answer in (((), None, "5.02"), ((x509.DNSName("gw.example"),), None, "5.02"),
                                   ((x509.DNSName("gw.example"),), "GW.example", "2.05"),
                                   ((x509.DNSName("gw.example"),), "*.example", "2.05"),
                                   ((x509.DNSName("gw.example"),), "*.example.org", "5.02"),
                                   ("address", None, "2.05")):
        origin = net.free_address()
        if names == "address":
            names = (x509.IPAddress(ipaddress.ip_address(origin[0])),)
        leg = {"method": 0, "credential": "plant", **({"subject": subject} if subject else {})}
        t = Towards(stage, ca.credential("x", *names), leg, ca=ca, target="coap://127.0.0.0/8")
        t.origin.close()
        t.origin = stage.edhoc_origin(t.origin.credentials, [t.own], methods=(0, 1, 2, 3), address=origin)
        assert t.ask(origin[0]) == answer, (names, subject)
        t.proxy.stop()


# row X12
def test_a_client_does_not_pass_for_an_origin(stage):
    """Every one of them is trusted; what differs is what for."""
    names = ("me-too", "a.plant.example", "b.plant.example")
    made = {n: Credential.new("P-256", "kid", bytes([i + 0x30])) for i, n in enumerate(names)}
    for name in names:
        t = Towards(stage, made[name], {"credential": "*"}, made.items())
        assert [t.ask(f"{n}.plant.example") == "2.05" for n in "ab"] == [name.startswith("a."), name.startswith("b.")]
        t.proxy.stop()
        t = Towards(stage, made[name], {"credential": "b.plant.example"}, made.items())
        assert t.ask("a.plant.example") == ("2.05" if name.startswith("b.") else "5.02")    # one gateway for all of them
        t.proxy.stop()


def test_which_certificate_is_a_matter_of_rules(stage):
    ca = Authority()
    own = Credential.new("P-256", "kid", b"\x01")
    proxy = stage.proxy(start=False)
    proxy.write(edhoc={"credentials": edhoc_file(proxy.dir, [("me", own)], [], [("plant", ca.der)]), "methods": [0, 3]},
                clients=[{"match": {"edhoc": {"credential": "plant", "subject": ["Meter-*.plant", "x.plant"]}},
                          "allow": ["forward coap://127.0.0.0/8"]}])
    proxy.start()
    origin, client, made = stage.origin(), stage.client(proxy), {}
    request = coap.request(path="x", host=origin.host, port=origin.port, scheme="coap")
    for name, answer in (("METER-1.plant", "2.05"), ("valve.plant", "4.01"), ("x.plant", "2.05")):
        _, made[name] = edhoc_run(client, Initiator([ca.credential("cn", x509.DNSName(name))], [own.without_private()], 0, [2]))
        assert net.Secure(client, None, [Hop(made[name])]).exchange(request).dotted == answer, name
    proxy.stop()
    proxy.start()
    for name, answer in (("METER-1.plant", "2.05"), ("valve.plant", "4.01")):
        assert net.Secure(client, None, [Hop(made[name])]).exchange(request).dotted == answer, name


# ---- what --check says ----

def test_check_wants_to_know_who_the_next_hop_is(stage):
    trusted = [(n, Credential.new("P-256", "kid", bytes([i]))) for i, n in enumerate(("meter", "gw"))]
    ca, own = Authority(), [("me", Credential.new("P-256", "kid", b"\x70"))]
    cases = (
        (trusted[:1], [], True, None),
        ([], [("plant", ca.der)], True, None),
        (trusted, [], True, "upstreams: several credentials are trusted"),
        (trusted[:1], [("plant", ca.der)], {"mode": "prefer"}, "upstreams: several credentials are trusted"),
        ([trusted[0], ("meter", trusted[1][1])], [], True, None),       # the keys of one are replaced
        (trusted, [], {"credential": "gw"}, None),
        (trusted, [], {"credential": "nobody"}, 'there is no trusted credential "nobody"'),
        (trusted, [], {"subject": "gw"}, None),
        (trusted, [], {"credential": "gw", "subject": "gw.example"}, "upstreams: nobody fits both"),
        (trusted, [("plant", ca.der)], {"credential": "plant", "subject": "gw.example"}, None),
        (trusted, [], {"subject": "gw example"}, '"gw example" is not a host name'),
    )
    for some, authorities, leg, error in cases:
        proxy = stage.proxy(start=False)
        proxy.write(edhoc={"credentials": edhoc_file(proxy.dir, own, some, authorities)},
                    upstreams=[{"match": "coap://*.plant.example", "edhoc": leg}])
        status, _, said = run("-c", proxy.file, "--check")
        assert (status != 0) == (error is not None) and (not error or error in said), (leg, said)


def test_check_finds_rules_for_subjects_that_nobody_has(stage):
    ca, own = Authority(), [("me", Credential.new("P-256", "kid", b"\x70"))]
    trusted = [("meter", Credential.new("P-256", "kid", b"\x01"))]
    for some, authorities, match, error in (
            (trusted, [("plant", ca.der)], {"subject": "*.plant"}, None),
            (trusted, [("plant", ca.der)], {"credential": ["meter", "pl*"], "subject": "*.plant"}, None),
            (trusted, [("plant", ca.der)], {"credential": "meter", "subject": "*.plant"}, "only those that plant vouches for"),
            (trusted, [], {"subject": "*.plant"}, "none of those trusted has a ca")):
        proxy = stage.proxy(start=False)
        proxy.write(edhoc={"credentials": edhoc_file(proxy.dir, own, some, authorities)},
                    clients=[{"match": {"edhoc": match}, "allow": []}])
        status, _, said = run("-c", proxy.file, "--check")
        assert (status != 0) == (error is not None) and (not error or error in said), (match, said)
