# SPDX-License-Identifier: BSD-2-Clause
"""
The Python peer's EDHOC against the traces of RFC 9529, value by value, and against itself, so that it may judge the
daemon.
"""
import json
import pathlib

import cbor2
import pytest

from peer import coap, edhoc, edhoc_coap, edhoc_cred, net
from peer.coap import OSCORE
from peer.edhoc import EdhocError, Initiator, PeerError, Responder
from peer.edhoc_coap import EdhocOrigin, edhoc_run
from peer.edhoc_cred import CborError, Credential, private_key

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"
TRACES = json.loads((VECTORS / "edhoc-rfc9529.json").read_text())
T1, T2 = TRACES["trace_1"], TRACES["trace_2"]
H = bytes.fromhex


# ---- RFC 9529 ----

def parties_1():
    i = Credential.from_der(H(T1["message_3"]["cred_i"]), private_key("Ed25519", H(T1["message_3"]["sk_i"])))
    r = Credential.from_der(H(T1["message_2"]["cred_r"]), private_key("Ed25519", H(T1["message_2"]["sk_r"])))
    return (Initiator(i, [r.without_private()], 0, [0], c_i=H(T1["message_1"]["c_i"]),
                      ephemeral=private_key("X25519", H(T1["message_1"]["x"]))),
            Responder(r, [i.without_private()], [0], [0], c_r=H(T1["message_2"]["c_r"]),
                      ephemeral=private_key("X25519", H(T1["message_2"]["y"]))))


def parties_2(step="message_1_second_time", selected=2):
    m1 = T2[step]
    i = Credential.from_ccs(H(T2["message_3"]["cred_i_cbor"]), private_key("P-256", H(T2["message_3"]["sk_i"])))
    r = Credential.from_ccs(H(T2["message_2"]["cred_r_cbor"]), private_key("P-256", H(T2["message_2"]["sk_r"])))
    return (Initiator(i, [r.without_private()], 3, [6, 2], selected, c_i=H(m1["c_i"]),
                      ephemeral=private_key("P-256", H(m1["x"]))),
            Responder(r, [i.without_private()], [3], [2], c_r=H(T2["message_2"]["c_r"]),
                      ephemeral=private_key("P-256", H(T2["message_2"]["y"]))))


def run(initiator, responder, message_4=True):
    responder.take_message_1(initiator.message_1())
    initiator.take_message_2(responder.message_2())
    responder.take_message_3(initiator.message_3())
    if message_4:
        initiator.take_message_4(responder.message_4())
    return initiator, responder


def has_computed(session, name):
    """The value of that name in RFC 9529; its forms in CBOR are made from the value."""
    v = session.values
    if name in v:
        return v[name]
    for tail, form in (("_cbor", cbor2.dumps), ("_bstr", cbor2.dumps)):
        if name.endswith(tail) and name[:-len(tail)] in v:
            return form(v[name[:-len(tail)]])
    raise KeyError(name)


def facts(session, credential_i, credential_r):
    """What a trace tells about the parties and their keys, in its names."""
    s, i, r = session, credential_i, credential_r
    return {"method": cbor2.dumps(s.method), "c_i": s.c_i, "c_r": s.c_r, "c_i_cbor": edhoc.encode_id(s.c_i),
            "c_r_cbor": edhoc.encode_id(s.c_r), "id_cred_i": i.id_cred, "id_cred_r": r.id_cred, "cred_i_cbor": i.cred,
            "cred_r_cbor": r.cred, "ead_1": edhoc.encode_ead(s.ead.get(1, [])), "ead_2": edhoc.encode_ead(s.ead.get(2, [])),
            "ead_3": edhoc.encode_ead(s.ead.get(3, [])), "ead_4": edhoc.encode_ead(s.ead.get(4, [])),
            "client_oscore_sender_id": s.oscore().sender_id, "server_oscore_sender_id": s.oscore().recipient_id}


def public_of_private(kind, raw):
    return private_key(kind, H(raw)).public_key()


def check_trace(trace, first, kinds, sessions):
    """Every value of the trace, as computed by both parties; returns how many were compared."""
    initiator, responder = sessions
    for s in sessions:
        s.oscore()
    known = facts(initiator, responder.peer, initiator.peer)
    count = 0
    for part in (first, "message_2", "message_3", "message_4", "prk_out_and_prk_exporter", "oscore_parameters"):
        for name, value in trace[part].items():
            count += 1
            if name in ("x", "y", "sk_i", "sk_r"):          # inputs; their public keys are compared below
                partner = {"x": "g_x", "y": "g_y", "sk_i": "pk_i", "sk_r": "pk_r"}[name]
                public = public_of_private(kinds[name in ("sk_i", "sk_r")], value)
                assert edhoc_cred.x_of(public).hex() in (trace[part].get(partner), trace[part].get(partner + "_x")), name
            elif name.endswith("_y_coordinate") or name in ("pk_i_y", "pk_r_y"):
                source = {"g_x_y_coordinate": "x", "g_y_y_coordinate": "y", "pk_i_y": "sk_i", "pk_r_y": "sk_r"}[name]
                y = public_of_private("P-256", trace[part][source]).public_numbers().y
                assert y.to_bytes(32, "big").hex() == value, name
            elif name in ("pk_i", "pk_r", "pk_i_x", "pk_r_x"):
                peer = (responder if "_i" in name else initiator).peer
                assert edhoc_cred.x_of(peer.public).hex() == value, name
            elif name == "suites_i":
                offered = initiator.suites[:initiator.suites.index(initiator.suite) + 1]
                assert edhoc.encode_suites(offered).hex() == value
            elif name in ("cred_i", "cred_r"):
                assert cbor2.loads(known[name + "_cbor"]).hex() == value
            elif name == "application_aead_algorithm":
                assert str(initiator.oscore().aead) == value
            elif name == "application_hash_algorithm":
                assert (initiator.oscore().hash.name, value) == ("sha256", -16)
            elif name in known:
                assert known[name].hex() == value, name
            else:
                for session in sessions:
                    assert has_computed(session, name).hex() == value, (type(session).__name__, name)
    return count


def check_key_update(trace, sessions):
    new = trace["key_update"]
    context = H(new["context_for_keyupdate"])
    assert cbor2.dumps(context).hex() == new["context_for_keyupdate_cbor"]
    for s in sessions:
        s.key_update(context)
        assert s.values["prk_out"].hex() == new["prk_out_after_keyupdate"]
        assert s.values["prk_exporter"].hex() == new["prk_exporter_after_keyupdate"]
        after = s.oscore()
        assert after.secret.hex() == new["oscore_master_secret_after_keyupdate"]
        assert after.salt.hex() == new["oscore_master_salt_after_keyupdate"]


def test_every_value_of_trace_1():
    sessions = run(*parties_1())
    assert check_trace(T1, "message_1", ("X25519", "Ed25519"), sessions) == 92
    check_key_update(T1, sessions)


def test_every_value_of_trace_2():
    sessions = run(*parties_2())
    assert check_trace(T2, "message_1_second_time", ("P-256", "P-256"), sessions) == 98
    check_key_update(T2, sessions)


def test_the_root_of_trace_1_signed_both_certificates():
    root = edhoc_cred.public_of({1: 1, -1: 6, -2: H(T1["root_public_key"])})
    for der in (T1["message_2"]["cred_r"], T1["message_3"]["cred_i"]):
        certificate = edhoc_cred.x509.load_der_x509_certificate(H(der))
        root.verify(certificate.signature, certificate.tbs_certificate_bytes)


# RFC 9528, 6.3
def test_the_refused_suite_of_trace_2():
    initiator, responder = parties_2("message_1_first_time", selected=6)
    m1 = initiator.message_1()
    assert m1.hex() == T2["message_1_first_time"]["message_1"]
    assert initiator.values["g_x"].hex() == T2["message_1_first_time"]["g_x"]
    with pytest.raises(EdhocError) as caught:
        responder.take_message_1(m1)
    assert caught.value.message.hex() == T2["error"]["error"]
    assert edhoc.decode_error(caught.value.message) == (2, 2)
    assert edhoc.encode_suites([2]).hex() == T2["error"]["suites_r"]
    again = initiator.retry([2])
    assert again.suite == 2 and again.ephemeral is None
    assert again.message_1().startswith(H("03820602"))


# RFC 9529, 4
@pytest.mark.parametrize("case", TRACES["invalid"], ids=lambda c: c["name"])
def test_an_invalid_message_is_refused(case):
    data = H(case["bytes"])
    if case["kind"] == "message_1":
        _, responder = parties_2()
        responder.methods, responder.suites = [0, 3], [0, 2]
        if "X25519" in case["why_invalid"]:
            responder.ephemeral = None
        with pytest.raises(EdhocError):
            responder.take_message_1(data)
        assert responder.state == "failed"
        return
    initiator, responder = parties_2()
    responder.take_message_1(initiator.message_1())
    responder.message_2()
    with pytest.raises(EdhocError) as caught:
        if case["kind"] == "message_2":
            initiator.take_message_2(data)
        else:
            initiator.values.update({k: responder.values[k] for k in ("th_2", "prk_2e")})
            initiator.g_y = edhoc.point("P-256", responder.values["g_y"])
            initiator.take_plaintext_2(data)
    # for its form, and not since some MAC over something else is wrong
    assert "verification" not in str(caught.value) and "credential" not in str(caught.value)


# ---- initiator against responder ----

KIND = {0: ("Ed25519", "X25519"), 1: ("Ed25519", "X25519"), 2: ("P-256", "P-256"), 3: ("P-256", "P-256")}


def pair(method, suite, how="kid", **changes):
    """An initiator and a responder that know each other."""
    i = Credential.new(KIND[suite][method >> 1 & 1], how, b"\x2b")
    r = Credential.new(KIND[suite][method & 1], how, b"\x4a\x4b")
    mine = {k: v for k, v in changes.items() if k in ("ead_1", "ead_3", "c_i")}
    theirs = {k: v for k, v in changes.items() if k in ("ead_2", "ead_4", "c_r", "taken", "suites", "methods")}
    return (Initiator(i, [r.without_private()], method, [suite], understood=changes.get("known_i", ()), **mine),
            Responder(r, [i.without_private()], understood=changes.get("known_r", ()), **theirs))


def agree(initiator, responder):
    """Both have the same keys, and these carry a request."""
    client, server = initiator.oscore(), responder.oscore()
    assert (client.secret, client.salt) == (server.secret, server.salt)
    assert (client.sender_id, client.recipient_id) == (initiator.c_r, initiator.c_i) == (server.recipient_id, server.sender_id)
    made, _ = client.protect_request(coap.request(path="x"))
    opened, _ = server.unprotect_request(made)
    return opened.path() == "/x"


@pytest.mark.parametrize("how", ["kid", "kccs", "x5t", "x5chain"])
@pytest.mark.parametrize("suite", [0, 1, 2, 3])
@pytest.mark.parametrize("method", [0, 1, 2, 3])
def test_both_roles_agree(method, suite, how):
    initiator, responder = run(*pair(method, suite, how))
    assert agree(initiator, responder)
    assert initiator.exporter(7, b"x", 40) == responder.exporter(7, b"x", 40) != responder.exporter(7, b"y", 40)
    assert responder.peer.cred == initiator.own(True).cred and initiator.peer.cred == responder.own(False).cred
    assert (initiator.state, responder.state) == ("complete", "complete")


def test_two_sessions_have_different_keys():
    first, _ = run(*pair(3, 2))
    second, _ = run(*pair(3, 2))
    assert first.oscore().secret != second.oscore().secret


@pytest.mark.parametrize("method,suite", [(0, 0), (3, 2)])
def test_no_changed_byte_is_accepted(method, suite):
    made = pair(method, suite)[0].message_1()
    for n in range(len(made)):              # message_1 is plain: TH_2 differs then, and message_2 fails
        initiator, responder = pair(method, suite)
        m1 = bytearray(initiator.message_1())
        m1[n] ^= 1
        with pytest.raises(EdhocError):
            responder.take_message_1(bytes(m1))
            initiator.take_message_2(responder.message_2())
    good_i, good_r = pair(method, suite)
    good_r.take_message_1(good_i.message_1())
    m2 = good_r.message_2()
    for n in range(len(m2)):
        bad = bytearray(m2)
        bad[n] ^= 1
        good_i.state = "wait_2"
        with pytest.raises(EdhocError):
            good_i.take_message_2(bytes(bad))
    good_i.state = "wait_2"
    good_i.take_message_2(m2)
    m3 = good_i.message_3()
    for n in range(len(m3)):
        bad = bytearray(m3)
        bad[n] ^= 1
        good_r.state = "wait_3"
        with pytest.raises(EdhocError):
            good_r.take_message_3(bytes(bad))
    good_r.state = "wait_3"
    good_r.take_message_3(m3)
    m4 = good_r.message_4()
    for n in range(len(m4)):
        bad = bytearray(m4)
        bad[n] ^= 1
        good_i.state = "wait_4"
        with pytest.raises(EdhocError):
            good_i.take_message_4(bytes(bad))


# RFC 9528, 5
def test_a_session_takes_its_messages_once_and_in_order():
    initiator, responder = pair(0, 0)
    m1 = initiator.message_1()
    for early in (lambda: responder.take_message_3(b"\x40"), lambda: initiator.take_message_4(b"\x40"), initiator.message_3,
                  responder.message_2, responder.message_4):
        with pytest.raises(EdhocError):
            early()
    responder.take_message_1(m1)
    with pytest.raises(EdhocError):
        responder.take_message_1(m1)
    m2 = responder.message_2()
    initiator.take_message_2(m2)
    with pytest.raises(EdhocError):
        initiator.take_message_2(m2)
    m3 = initiator.message_3()
    responder.take_message_3(m3)
    for again in (lambda: responder.take_message_3(m3), initiator.message_3):
        with pytest.raises(EdhocError):
            again()
    assert agree(initiator, responder)


def test_a_message_is_one_byte_string():
    initiator, responder = pair(3, 2)
    responder.take_message_1(initiator.message_1())
    for make, take, waits in ((responder.message_2, initiator.take_message_2, "wait_2"),
                              (initiator.message_3, responder.take_message_3, "wait_3"),
                              (responder.message_4, initiator.take_message_4, "wait_4")):
        good = make()
        for bad in (good + b"\x40", b"", b"\x01", b"\x81" + good):
            with pytest.raises(EdhocError, match="is not one byte string"):
                take(bad)
            take.__self__.state = waits
        take(good)


def test_a_method_that_is_not_supported():
    initiator, responder = pair(1, 2, methods=[0, 3])
    with pytest.raises(EdhocError, match="Method not supported"):
        responder.take_message_1(initiator.message_1())


@pytest.mark.parametrize("value,wire", [("21", "21"), ("0d", "0d"), ("18", "4118"), ("38", "4138"), ("abcd", "42abcd"),
                                        ("", "40"), ("17", "17"), ("37", "37"), ("1f", "411f"), ("ff", "41ff"), ("0000", "420000")])
def test_identifiers(value, wire):
    """RFC 9528, 3.3.2"""
    assert edhoc.encode_id(H(value)).hex() == wire
    item, rest = edhoc_cred.first(H(wire) + b"\x01")
    assert (edhoc_cred.decode_id(item), rest) == (H(value), b"\x01")


@pytest.mark.parametrize("wire", ["4121", "410d", "1818", "3818", "f5", "60", "5801ff", "01" * 2])
def test_identifiers_that_are_refused(wire):
    with pytest.raises(CborError):
        item, rest = edhoc_cred.first(H(wire))
        if rest:
            raise CborError("more than one")
        edhoc_cred.decode_id(item)


# RFC 9668, 4.1.2 and 4.1.3
def test_connection_identifiers_differ():
    taken = {bytes([n]) for n in range(63)}
    for _ in range(50):
        initiator, responder = pair(3, 2, c_i=b"\x3f", taken=taken)
        responder.take_message_1(initiator.message_1())
        responder.message_2()
        assert responder.c_r not in taken | {b"\x3f"}
    responder.c_i = b"\x40"
    assert b"\x40" not in {responder.choose() for _ in range(5000)}
    initiator, responder = pair(3, 2, c_i=b"\x01", c_r=b"\x01")
    responder.take_message_1(initiator.message_1())
    with pytest.raises(EdhocError, match="C_R equals C_I"):
        initiator.take_message_2(responder.message_2())


@pytest.mark.parametrize("how,code", [("kid", 3), ("x5t", 3), ("kccs", 1), ("x5chain", 1)])
def test_an_unknown_credential(how, code):
    """Error 3 for references only (RFC 9528, 6.4)."""
    initiator, responder = pair(0, 2, how)
    responder.peers = [Credential.new("P-256", how, b"\x77").without_private()]
    responder.take_message_1(initiator.message_1())
    initiator.take_message_2(responder.message_2())
    with pytest.raises(EdhocError) as caught:
        responder.take_message_3(initiator.message_3())
    assert edhoc.decode_error(caught.value.message) == (code, True if code == 3 else str(caught.value))


def test_a_kid_may_mean_several_credentials():
    """RFC 9528, 3.5.3"""
    initiator, responder = pair(3, 2)
    responder.peers.insert(0, Credential.new("P-256", "kid", b"\x2b").without_private())
    run(initiator, responder)
    assert agree(initiator, responder) and responder.peer.cred == responder.peers[1].cred


def test_a_key_of_another_kind_proves_nothing():
    initiator, responder = pair(3, 0)
    responder.peers = [Credential.new("Ed25519", "kid", b"\x2b").without_private()]
    responder.take_message_1(initiator.message_1())
    initiator.take_message_2(responder.message_2())
    with pytest.raises(EdhocError, match="verification failed"):
        responder.take_message_3(initiator.message_3())


# ---- cipher suites (RFC 9528, 6.3) ----

@pytest.mark.parametrize("offered,ours,info", [([5], [6, 7], [6, 7]), ([5, 6], [8, 9], [8, 9]), ([5, 6], [5, 6], 5),
                                               ([3, 2], [3], 3), ([6, 5], [6], 6), ([5], [2], 2)])
def test_suites_that_are_refused(offered, ours, info):
    responder = pair(3, 2, suites=ours)[1]
    with pytest.raises(EdhocError) as caught:
        responder.take_message_1(b"\x03" + edhoc.encode_suites(offered) + cbor2.dumps(bytes(32)) + b"\x01")
    assert edhoc.decode_error(caught.value.message) == (2, info)


def test_the_examples_of_negotiation():
    """RFC 9528, 6.3.2: what SUITES_I becomes."""
    c = Credential.new("P-256")
    for selected, suites_r, chosen, wire in ((5, [6], 6, "820506"), (6, [9, 8], 8, "8405060708")):
        again = Initiator(c, [c], 3, [5, 6, 7, 8, 9], selected).retry(suites_r)
        assert again.suite == chosen and again.message_1()[1:].startswith(H(wire))
    with pytest.raises(EdhocError, match="No common"):
        Initiator(c, [c], 3, [5, 6]).retry([2, 3])


# ---- EAD (RFC 9528, 3.8) ----

def test_ead_arrives_and_padding_is_ignored():
    eads = {f"ead_{n}": [(0, b"pad"), (n + 20, b"value"), (0, None), (99, None), (-300, b"")] for n in (1, 2, 3, 4)}
    initiator, responder = run(*pair(0, 2, known_i=[300], known_r=[300], **eads))
    assert agree(initiator, responder)
    assert {f"ead_{n}": v for n, v in {**initiator.ead, **responder.ead}.items()} == eads


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("method", [0, 3])
def test_a_critical_ead_that_is_not_understood_ends_the_session(n, method):
    with pytest.raises(EdhocError, match="Critical EAD"):
        run(*pair(method, 2, **{f"ead_{n}": [(-77, b"x")]}))
    assert agree(*run(*pair(method, 2, **{f"ead_{n}": [(77, b"x")]})))


@pytest.mark.parametrize("ead", ["40", "f5", "014040", "61", "8101", "18184040"])
def test_ead_of_another_form_is_refused(ead):
    initiator, responder = pair(3, 2)
    with pytest.raises(EdhocError):
        responder.take_message_1(initiator.message_1() + H(ead))


# ---- over CoAP ----

@pytest.fixture
def loopback():
    """Makes clients and EDHOC origins, and takes them away."""
    parties = []

    def make(method=0, suite=0, how="kid", message_4=False, **options):
        i = Credential.new(KIND[suite][method >> 1 & 1], how, b"\x2b")
        r = Credential.new(KIND[suite][method & 1], how, b"\x4a\x4b")
        origin = EdhocOrigin(r, [i.without_private()], message_4=message_4, **options)
        client = net.Client(origin.address)
        parties.extend([client, origin])
        return client, origin, Initiator(i, [r.without_private()], method, [suite])
    yield make
    for party in parties:
        party.close()


@pytest.mark.parametrize("message_4", [False, True])
@pytest.mark.parametrize("method,suite,how", [(0, 0, "x5t"), (1, 1, "kid"), (2, 3, "kccs"), (3, 2, "kid")])
def test_the_sequential_flow(loopback, method, suite, how, message_4):
    client, origin, initiator = loopback(method, suite, how, message_4)
    done, context = edhoc_run(client, initiator, message_4=message_4)
    assert net.Secure(client, context).exchange(coap.request(path="x")).payload == b"hello"
    assert [s.responder.c_r for s in origin.established()] == [done.c_r]
    first, second, third = origin.requests()
    assert first.message.payload[:1] == b"\xf5" and second.message.payload.startswith(edhoc.encode_id(done.c_r))
    assert all(r.message.get(coap.CONTENT_FORMAT) == b"\x41" for r in (first, second))
    assert third.plain.path() == "/x" and len(third.removed) == 1


# RFC 9668, 3.3
@pytest.mark.parametrize("method", [0, 3])
def test_the_combined_request(loopback, method):
    client, origin, initiator = loopback(method, 2)
    initiator = edhoc_coap.start(client, initiator)
    answer, context = edhoc_coap.combined(client, initiator, coap.request(path="x"))
    assert answer.payload == b"hello" and origin.count() == 2
    assert net.Secure(client, context).exchange(coap.request(path="y")).payload == b"hello"
    assert [r.plain.path() for r in origin.requests()[1:]] == ["/x", "/y"]


def test_the_form_of_a_combined_request():
    """The example of RFC 9668, 3.4."""
    protected = coap.decode(H("44025d1f0000397493090001ff612f1092f1776f1c1668b3825e"))
    made = edhoc_coap.combine(protected, H("52d5535f3147e85f1cfacd9e78abf9e0a81bbf"))
    assert coap.encode(made).hex() == "44025d1f0000397493090001c0ff52d5535f3147e85f1cfacd9e78abf9e0a81bbf" \
                                      "612f1092f1776f1c1668b3825e"
    assert edhoc_coap.split(made.payload) == (H("52d5535f3147e85f1cfacd9e78abf9e0a81bbf"), protected.payload)


def test_a_suite_is_negotiated_over_coap(loopback):
    client, origin, initiator = loopback(3, 2, suites=[2])
    initiator = Initiator(initiator.credentials, initiator.peers, 3, [6, 3, 2])
    done, context = edhoc_run(client, initiator)
    assert done.suite == 2 and origin.requests()[1].message.payload[2:6] == H("83060302")
    assert net.Secure(client, context).exchange(coap.request()).payload == b"hello"
    with pytest.raises(PeerError) as caught:
        edhoc_coap.start(client, Initiator(initiator.credentials, initiator.peers, 3, [6, 3]), negotiate=False)
    assert (caught.value.code, caught.value.info, caught.value.answer.dotted) == (2, 2, "4.00")


def test_an_echo_is_wanted_before_message_2(loopback):
    client, origin, initiator = loopback(3, 2, challenge=b"12345678")
    edhoc_run(client, initiator)
    assert origin.count() == 3 and len(origin.established()) == 1


# RFC 9528, 7
def test_repeated_messages_are_answered_with_what_was_answered(loopback):
    client, origin, initiator = loopback(0, 2)
    m1 = edhoc_coap.request_1(initiator.message_1())
    first = client.exchange(m1)
    assert client.exchange(m1).payload == first.payload and len(origin.sessions) == 1
    initiator.take_message_2(first.payload)
    m3 = edhoc_coap.request_3(initiator.c_r, initiator.message_3())
    assert [client.exchange(m3).dotted for _ in range(2)] == ["2.04", "2.04"]
    assert len(origin.contexts) == 1


# RFC 9668, 3.3.1
def test_a_combined_request_with_a_bad_message_3(loopback):
    client, origin, initiator = loopback(3, 2)
    initiator = edhoc_coap.start(client, initiator)
    made, _, _ = edhoc_coap.combined_request(initiator, coap.request(path="x"))
    answer = client.exchange(made.copy(payload=made.payload[:3] + bytes([made.payload[3] ^ 1]) + made.payload[4:]))
    assert edhoc_coap.error_in(answer)[0] == 1 and answer.dotted == "4.00"
    assert origin.contexts == [] and len(origin.failures) == 1


# RFC 9668, 3.3.1
@pytest.mark.parametrize("payload", [b"", b"\x52short", b"\x01\x02\x03", b"\x41\x41"])
def test_a_combined_request_of_another_form(loopback, payload):
    client, _, initiator = loopback(3, 2)
    initiator = edhoc_coap.start(client, initiator)
    made, _, _ = edhoc_coap.combined_request(initiator, coap.request(path="x"))
    for bad in (made.copy(payload=payload), made.without(OSCORE)):
        answer = client.exchange(bad)
        assert answer.dotted == "4.00" and not answer.payload


def test_what_is_an_error_of_edhoc():
    error = edhoc_coap.error_response(EdhocError("x"))
    assert edhoc_coap.error_in(error) == (1, "x")
    for other in (error.plus((OSCORE, b"")), error.without(coap.CONTENT_FORMAT), error.copy(code=coap.code("2.04")),
                  error.copy(payload=b"\x00\x01"), error.copy(payload=b"\x01"), error.copy(payload=b"text")):
        assert edhoc_coap.error_in(other) is None


def test_a_bad_message_2_is_reported(loopback):
    client, origin, initiator = loopback(0, 2)
    initiator.peers = [Credential.new("P-256", "kid", b"\x4a\x4b").without_private()]
    with pytest.raises(EdhocError, match="verification"):
        edhoc_coap.start(client, initiator)
    assert [e.code for e in origin.failures] == [1] and not origin.established()


def test_what_the_origin_refuses(loopback):
    client, _, _ = loopback(0, 2)
    for payload, code in ((b"", 1), (b"\x01", 1), (b"\xf5", 1), (b"\xf4\x01", 1), (b"\xf5\xff", 1)):
        answer = client.exchange(edhoc_coap.request(payload))
        assert (answer.dotted, answer.get(coap.CONTENT_FORMAT)) == ("4.00", b"\x40")
        assert edhoc_coap.error_in(answer)[0] == code
