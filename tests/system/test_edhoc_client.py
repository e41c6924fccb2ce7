# SPDX-License-Identifier: BSD-2-Clause
"""
osprey as EDHOC Initiator and osprey origin as Responder, each against a peer that shares no code with it; and both, with
the daemon between them: who authenticates how, who is refused, what is kept, and how many round trips it takes.
"""
import datetime
import json
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from daemon import edhoc_file, write_private
from peer import coap, edhoc, edhoc_coap, net
from peer.coap import OSCORE
from peer.edhoc import Initiator, PeerError
from peer.edhoc_cred import Credential, new_key, private_bytes
from program import Client, Origin, ask

SIGN = {0: "Ed25519", 1: "Ed25519", 2: "P-256", 3: "P-256", 4: "Ed25519", 5: "P-256", 6: "P-256"}
DH = {0: "X25519", 1: "X25519", 2: "P-256", 3: "P-256", 4: "X25519", 5: "P-256", 6: "X25519"}
METHODS = pytest.mark.parametrize("method", [0, 1, 2, 3])
SUITES = pytest.mark.parametrize("suite", [0, 2])
HOW = pytest.mark.parametrize("how", ["kid", "kccs", "x5t", "x5chain"])
ALLOW = ["forward coap://127.0.0.0/8"]


def pair(method, suite, how="kid"):
    """Credentials for Initiator and Responder as the method wants them."""
    return (Credential.new((SIGN if method in (0, 1) else DH)[suite], how, b"\x2b"),
            Credential.new((SIGN if method in (0, 2) else DH)[suite], how, b"\x2c"))


def credentials(directory, name, own, trusted):
    """EDHOC.yaml of one party in a directory of its own."""
    path = os.path.join(directory, name)
    os.makedirs(path, exist_ok=True)
    return edhoc_file(path, [("me", own)], trusted)


def our_origin(stage, own, *words, **trusted):
    return stage.add(Origin(stage.directory, "--edhoc", credentials(stage.directory, "s", own, list(trusted.items())), *words))


def certificate(key, name, signer, is_ca=False):
    """DER of one that the authority `signer` has signed."""
    to_name = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, "plant")]
    begin = datetime.datetime(2024, 1, 1)
    made = x509.CertificateBuilder().subject_name(to_name[0]).issuer_name(to_name[1]).public_key(key.public_key()) \
        .serial_number(x509.random_serial_number()).not_valid_before(begin) \
        .not_valid_after(begin + datetime.timedelta(days=9000)) \
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True).sign(signer, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


class Bench:
    """A client of ours with its file of credentials."""

    def __init__(self, stage, own, **trusted):
        self.stage, self.own = stage, own
        self.file = credentials(stage.directory, "client", own, list(trusted.items()))

    def ask(self, uri, *words, peer="s", **more):
        return ask(self.stage.directory, "--edhoc", self.file, "-E", f"edhoc={peer}", *words, uri, **more)


# ---- the client against another Responder ----

# [rfc9528#3.2]
@METHODS
@SUITES
def test_methods_and_suites(stage, method, suite):
    mine, theirs = pair(method, suite)
    origin = stage.edhoc_origin(theirs, [mine])
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x", "--method", method, "--suite", suite)
    assert (status, answer["payload"]) == (0, "hello"), said
    assert answer["edhoc"] == [{"peer": "s", "method": method, "suite": suite, "done": True, "reused": False}]
    assert answer["round_trips"] == 3 and len(origin.established()) == 1


# [rfc9528#3.5.3]
@HOW
@pytest.mark.parametrize("method", [0, 3])
def test_ways_to_refer_to_a_credential(stage, how, method):
    mine, theirs = pair(method, 2, how)
    origin = stage.edhoc_origin(theirs, [mine])
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x", "--method", method)
    assert (status, answer.get("payload")) == (0, "hello"), said


# [rfc9528#3.2] the method follows from the keys
@METHODS
def test_the_method_that_fits_the_keys_is_chosen(stage, method):
    mine, theirs = pair(method, 0)
    origin = stage.edhoc_origin(theirs, [mine])
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x")
    assert status == 0 and (answer["edhoc"][0]["method"], answer["edhoc"][0]["suite"]) == (method, 0), said


# [rfc9668#3.2.1]
@METHODS
def test_message_3_in_the_first_request(stage, method):
    mine, theirs = pair(method, 2)
    origin = stage.edhoc_origin(theirs, [mine])
    bench = Bench(stage, mine, s=theirs)
    status, answer, said = bench.ask(net.uri(origin.address) + "/x", "--method", method, "--combined")
    assert (status, answer["payload"], answer["round_trips"]) == (0, "hello", 2), said
    status, answer, said = bench.ask(net.uri(origin.address) + "/x", "--method", method, "--combined")
    assert (status, answer["round_trips"], answer["edhoc"][0]["reused"]) == (0, 1, True), said


# [rfc9668#3.2.2] the EDHOC option stands with the first block only
def test_message_3_with_the_first_block_of_a_body(stage):
    mine, theirs = pair(3, 2)
    origin = our_origin(stage, theirs, c=mine)
    body = os.urandom(1500).hex()
    file = write_private(os.path.join(stage.directory, "body"), body)
    status, answer, said = Bench(stage, mine, s=theirs).ask(origin.uri + "/echo", "post", "--combined", "-f", file)
    assert (status, answer["payload"], answer["blocks_sent"]) == (0, body, 3), said
    marks = [[o["name"] for o in line["wire_options"]].count("EDHOC") for line in origin.log()]
    assert sum(marks) == 1 and marks[1] == 1                    # after message_1


# [rfc9528#6.3]
def test_the_suite_is_negotiated(stage):
    mine, theirs = pair(3, 2)
    origin = stage.edhoc_origin(theirs, [mine], suites=[2])
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x", "--suite", "3,2", "-v")
    assert (status, answer["edhoc"][0]["suite"], answer["round_trips"]) == (0, 2, 4), said
    assert "error 2" in said


def test_no_common_suite(stage):
    mine, theirs = pair(3, 2)
    origin = stage.edhoc_origin(theirs, [mine], suites=[2])
    status, _, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x", "--suite", "3")
    assert status == 2 and "no suite that both sides support" in said


# [rfc9175#2.3]
def test_an_echo_before_edhoc_is_answered(stage):
    mine, theirs = pair(3, 2)
    origin = stage.edhoc_origin(theirs, [mine], challenge=b"really you")
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x")
    assert (status, answer["challenges"], answer["round_trips"]) == (0, 1, 4), said


# [rfc9528#5.5]
def test_message_4(stage):
    mine, theirs = pair(3, 2)
    confirming, silent = (stage.edhoc_origin(theirs, [mine], message_4=sends) for sends in (True, False))
    bench = Bench(stage, mine, s=theirs)
    for words in ((), ("--message-4", "--fresh")):
        status, _, said = bench.ask(net.uri(confirming.address) + "/x", *words)
        assert status == 0, said
    status, _, said = bench.ask(net.uri(silent.address) + "/x", "--message-4")
    assert status == 3 and "no message_4" in said


# ---- who is refused ----

# row X03 (partly: the Initiator) [rfc9528#D.2]
@pytest.mark.parametrize("method", [0, 3])
def test_a_peer_with_another_key_is_refused(stage, method):
    mine, theirs = pair(method, 2)
    other = Credential.new("P-256", kid=b"\x2c")                # says that it is the same one
    origin = stage.edhoc_origin(other, [mine])
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x", "--method", method)
    assert status == 3 and answer["error"] in ("EDHOC_AUTH", "DECRYPT"), said
    assert not origin.established() and isinstance(origin.failures[-1], PeerError)     # it was told


def test_a_peer_that_nobody_trusts_is_refused(stage):
    mine, theirs = pair(3, 2)
    origin = stage.edhoc_origin(Credential.new("P-256", kid=b"\x77"), [mine])
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x")
    assert (status, answer["error"]) == (3, "EDHOC_NO_CRED"), said
    assert not origin.established()


def test_a_trusted_peer_in_the_place_of_another_is_refused(stage):
    """What a proxy could try: to be taken for the origin."""
    mine, theirs = pair(3, 2)
    proxy = Credential.new("P-256", kid=b"\x77")
    origin = stage.edhoc_origin(proxy, [mine])
    bench = Bench(stage, mine, s=theirs, p=proxy)
    status, answer, said = bench.ask(net.uri(origin.address) + "/x")
    assert (status, answer["error"]) == (3, "EDHOC_NO_CRED"), said
    assert bench.ask(net.uri(origin.address) + "/x", peer="p")[0] == 0
    status, _, said = ask(stage.directory, "--edhoc", bench.file, "-E", "edhoc", net.uri(origin.address))
    assert status == 1 and "several credentials are trusted" in said


def test_who_is_not_trusted_there_hears_it(stage):
    mine, theirs = pair(3, 2)
    origin = stage.edhoc_origin(theirs, [Credential.new("P-256", kid=b"\x01")])
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x")
    assert (status, answer["error"]) == (4, "EDHOC_REFUSED") and "error 3: unknown credential" in said
    status, answer, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x", "--combined")
    assert (status, answer["error"]) == (4, "EDHOC_REFUSED") and "error 1" in said


def test_an_origin_without_edhoc(stage):
    mine, theirs = pair(3, 2)
    origin = stage.origin(lambda m: coap.response("4.04"))
    status, _, said = Bench(stage, mine, s=theirs).ask(net.uri(origin.address) + "/x")
    assert status == 2 and "4.04" in said


# [rfc9528#3.5.1]
def test_a_certificate_of_an_authority_has_to_name_the_peer(stage):
    authority, keys = new_key("P-256"), [new_key("P-256") for _ in range(2)]
    mine = Credential.new("P-256", kid=b"\x01")
    theirs, others = (Credential.from_der(certificate(key, name, authority), key, by_value=True)
                      for key, name in zip(keys, ("sensor.example", "else.example")))
    path = os.path.join(stage.directory, "ca")
    os.makedirs(path)
    file = write_private(os.path.join(path, "edhoc.yaml"), json.dumps({
        "own": [{"name": "me", "credential": {"hex": mine.cred.hex()},
                 "private-key": {"hex": private_bytes(mine.private).hex()}}],
        "trusted": [{"name": "plant", "ca": {"hex": certificate(authority, "plant", authority, True).hex()}}]}))
    for credential, peer, status in ((theirs, "sensor.example", 0), (others, "sensor.example", 3), (theirs, "plant", 3)):
        origin = stage.edhoc_origin(credential, [mine])
        got, _, said = ask(stage.directory, "--edhoc", file, "-E", f"edhoc={peer}", net.uri(origin.address) + "/x")
        assert got == status, said


# ---- what is kept ----

def test_a_context_is_used_again_and_renewed_on_demand(stage):
    mine, theirs = pair(3, 2)
    origin = stage.edhoc_origin(theirs, [mine])
    bench = Bench(stage, mine, s=theirs)
    trips = [bench.ask(net.uri(origin.address) + "/x", *words)[1]["round_trips"] for words in ((), (), ("--fresh",), ())]
    assert trips == [3, 1, 3, 1] and len(origin.established()) == 2
    other = Bench(stage, Credential.new("P-256", kid=b"\x2b"), s=theirs)       # another key is another context
    assert other.ask(net.uri(origin.address) + "/x")[0] == 4


# [rfc8613#7.2.1]
def test_no_number_is_used_twice(stage):
    mine, theirs = pair(3, 2)
    origin = our_origin(stage, theirs, c=mine)
    bench = Bench(stage, mine, s=theirs)
    for _ in range(5):
        assert bench.ask(origin.uri + "/hello")[0] == 0
    used = [line["layers"][0]["partial_iv"] for line in origin.log() if line["layers"]]
    assert len(used) == 5 == len(set(used))


def test_a_context_that_the_peer_has_lost_is_made_again(stage):
    mine, theirs = pair(3, 2)
    first = our_origin(stage, theirs, c=mine)
    bench = Bench(stage, mine, s=theirs)
    assert bench.ask(first.uri + "/hello")[0] == 0
    first.close()
    stage.parties.remove(first)
    again = our_origin(stage, theirs, "--listen", first.uri, c=mine)
    status, answer, said = bench.ask(again.uri + "/hello")
    assert (status, answer["payload"], answer["round_trips"]) == (0, "Hello from the origin", 4), said
    assert bench.ask(again.uri + "/hello")[1]["round_trips"] == 1


def test_an_observation_under_a_lost_context_begins_anew(stage):
    mine, theirs = pair(3, 2)
    first = our_origin(stage, theirs, c=mine)
    bench = Bench(stage, mine, s=theirs)
    assert bench.ask(first.uri + "/hello")[0] == 0
    first.close()
    stage.parties.remove(first)
    again = our_origin(stage, theirs, "--listen", first.uri, "--every", "0.1", c=mine)
    client = stage.add(Client(stage.directory, "--edhoc", bench.file, "-E", "edhoc=s", "--observe=3", again.uri + "/ticks"))
    status, lines, said = client.end()
    assert (status, lines[-1]["notifications"], lines[-1]["deregistered"]) == (0, 3, True), said


def test_the_origin_may_challenge_new_contexts_too(stage):
    mine, theirs = pair(3, 2)
    origin = our_origin(stage, theirs, "--require-echo", c=mine)
    for words, trips in ((("--combined",), 3), ((), 1), (("--fresh",), 4)):
        status, answer, said = Bench(stage, mine, s=theirs).ask(origin.uri + "/hello", *words)
        assert (status, answer["round_trips"]) == (0, trips), said


def test_a_forged_refusal_costs_one_run(stage):
    """Anybody on the way can say that a context is unknown."""
    mine, theirs = pair(3, 2)
    origin = stage.edhoc_origin(theirs, [mine])
    bench = Bench(stage, mine, s=theirs)
    assert bench.ask(net.uri(origin.address) + "/x")[0] == 0
    origin.open = lambda m: (_ for _ in ()).throw(net.Turned(coap.response("4.01"), [])) if m.has(OSCORE) else (m, [])
    status, answer, _ = bench.ask(net.uri(origin.address) + "/x")
    assert (status, answer["code"], answer["round_trips"]) == (4, "4.01", 4)


# ---- the demo origin against another Initiator ----

# row X01 (partly: the demo origin), X06 (partly: the demo origin) [rfc9528#A.2]
@METHODS
@SUITES
@pytest.mark.parametrize("combine", [False, True])
def test_the_origin_as_responder(stage, method, suite, combine):
    mine, theirs = pair(method, suite)
    origin = our_origin(stage, theirs, c=mine)
    client = stage.client(origin)
    running = Initiator(mine, [theirs.without_private()], method, [suite])
    if combine:
        answer, context = edhoc_coap.combined(client, edhoc_coap.start(client, running), coap.request(path="hello"))
        assert answer.payload == b"Hello from the origin"
    else:
        _, context = edhoc_coap.edhoc_run(client, running)
    assert net.Secure(client, context).exchange(coap.request(path="hello")).payload == b"Hello from the origin"
    assert [layer["context"] for line in origin.log() for layer in line["layers"]] == ["c"] * (1 + combine)


@HOW
def test_the_origin_knows_credentials_in_all_ways(stage, how):
    mine, theirs = pair(3, 2, how)
    client = stage.client(our_origin(stage, theirs, c=mine))
    _, context = edhoc_coap.edhoc_run(client, Initiator(mine, [theirs.without_private()], 3, [2]))
    assert net.Secure(client, context).exchange(coap.request(path="hello")).payload == b"Hello from the origin"


def test_the_origin_sends_message_4(stage):
    mine, theirs = pair(3, 2)
    client = stage.client(our_origin(stage, theirs, "--message-4", c=mine))
    done, _ = edhoc_coap.edhoc_run(client, Initiator(mine, [theirs.without_private()], 3, [2]), message_4=True)
    assert done.state == "complete"


# rows X02-X04 (partly: the demo origin)
def test_the_origin_refuses(stage):
    mine, theirs = pair(3, 2)
    client = stage.client(our_origin(stage, theirs, "--suites", "2", c=mine))
    with pytest.raises(PeerError) as caught:            # another suite
        edhoc_coap.start(client, Initiator(mine, [theirs.without_private()], 3, [3]), negotiate=False)
    assert (caught.value.code, caught.value.info) == (edhoc.ERR_SUITE, 2)
    stranger = Credential.new("P-256", kid=b"\x55")
    with pytest.raises(PeerError) as caught:
        edhoc_coap.edhoc_run(client, Initiator(stranger, [theirs.without_private()], 3, [2]))
    assert caught.value.code == edhoc.ERR_CREDENTIAL
    running = edhoc_coap.start(client, Initiator(mine, [theirs.without_private()], 3, [2]))
    message_3 = running.message_3()
    broken = message_3[:-1] + bytes([message_3[-1] ^ 1])
    assert edhoc_coap.error_in(client.exchange(edhoc_coap.request_3(running.c_r, broken)))[0] == 1
    answer = client.exchange(edhoc_coap.request_3(running.c_r, message_3))
    assert edhoc_coap.error_in(answer)[0] == 1          # that session is over
    assert client.exchange(coap.request(path=".well-known/edhoc")).dotted == "4.05"
    assert client.exchange(edhoc_coap.request(b"\xf5\x03", content_format=64)).dotted == "4.15"
    assert edhoc_coap.error_in(client.exchange(edhoc_coap.request(b"\xff")))[0] == 1


# row X09 (partly: the demo origin) [rfc9528#7]
def test_the_origin_answers_again_and_makes_nothing_twice(stage):
    mine, theirs = pair(3, 2)
    client = stage.client(our_origin(stage, theirs, c=mine))
    running = Initiator(mine, [theirs.without_private()], 3, [2])
    first = edhoc_coap.request_1(running.message_1())
    answers = {client.exchange(first).payload for _ in range(3)}
    assert len(answers) == 1
    running.take_message_2(answers.pop())
    third = edhoc_coap.request_3(running.c_r, running.message_3())
    assert [client.exchange(third).dotted for _ in range(3)] == ["2.04"] * 3
    context = running.oscore()
    assert net.Secure(client, context).exchange(coap.request(path="hello")).payload == b"Hello from the origin"


# row X10 (partly: the demo origin)
def test_the_origin_has_bounds(stage):
    mine, theirs = pair(3, 2)
    client = stage.client(our_origin(stage, theirs, c=mine))
    runs = [edhoc_coap.start(client, Initiator(mine, [theirs.without_private()], 3, [2])) for _ in range(40)]
    assert len({r.c_r for r in runs[-32:]}) == 32
    edhoc_coap.finish(client, runs[-1])
    with pytest.raises(PeerError):                      # the oldest had to go
        edhoc_coap.finish(client, runs[0])


# row X07 (partly: the demo origin) [rfc9668#3.3.1]
def test_an_edhoc_option_that_is_out_of_place(stage):
    mine, theirs = pair(3, 2)
    client = stage.client(our_origin(stage, theirs, c=mine))
    assert client.exchange(coap.request(path="hello").plus((coap.EDHOC, b""))).dotted == "4.00"
    running = edhoc_coap.start(client, Initiator(mine, [theirs.without_private()], 3, [2]))
    made, _, _ = edhoc_coap.combined_request(running, coap.request(path="hello"))
    assert client.exchange(made.copy(payload=b"\x01" + made.payload)).dotted == "4.00"
    assert client.exchange(made).dotted == "2.04"
    plain = stage.client(stage.add(Origin(stage.directory)))
    assert plain.exchange(coap.request(path="hello").plus((coap.EDHOC, b""))).dotted == "4.02"


# ---- both of ours ----

@pytest.mark.parametrize("suite", [1, 3, 4, 5, 6])
@METHODS
def test_more_suites_between_our_own(stage, suite, method):
    mine, theirs = pair(method, suite)
    origin = our_origin(stage, theirs, c=mine)
    status, answer, said = Bench(stage, mine, s=theirs).ask(origin.uri + "/hello", "--suite", suite, "--method", method)
    assert (status, answer["payload"], answer["edhoc"][0]["suite"]) == (0, "Hello from the origin", suite), said


# row X06, X11 [ocp#B.4] [ocp#B.5]
@pytest.mark.parametrize("combine,trips", [(False, 5), (True, 3)])
def test_with_the_proxy_and_through_it_with_the_origin(stage, combine, trips):
    """The draft's two examples: five round trips, or three with combined requests."""
    mine, theirs = pair(3, 2)
    proxys = Credential.new("P-256", kid=b"\x50")
    proxy = stage.proxy(start=False)
    proxy.write(edhoc={"credentials": edhoc_file(proxy.dir, [("p", proxys)], [("c", mine)])},
                clients=[{"match": {"edhoc": {"credential": "c"}}, "allow": ALLOW}])
    proxy.start()
    origin = our_origin(stage, theirs, c=mine)
    bench = Bench(stage, mine, s=theirs, p=proxys)
    via = ["--via", net.uri(proxy.address) + ",edhoc=p", *(["--combined"] if combine else [])]
    status, answer, said = bench.ask(origin.uri + "/hello", *via)
    assert (status, answer["payload"], answer["round_trips"]) == (0, "Hello from the origin", trips), said
    assert [layer["context"] for layer in answer["layers"] if layer["came_off"]] == ["p", "s"]
    assert bench.ask(origin.uri + "/hello", *via)[1]["round_trips"] == 1
    proxy.ctl("revoke", "c")
    status, answer, said = bench.ask(origin.uri + "/hello", *via)               # its context is gone, the origin's is not
    assert (status, answer["round_trips"]) == (0, (3 if combine else 4)), said
    assert [e["reused"] for e in answer["edhoc"]] == [False, True]


# [ocp#5]
@pytest.mark.parametrize("combine,trips", [(False, 7), (True, 4)])
def test_through_two_proxies(stage, combine, trips):
    """With each proxy through those before it: two round trips for each party, or one with combined requests."""
    mine, theirs = pair(3, 2)
    own = {"p1": Credential.new("P-256", kid=b"\x50"), "p2": Credential.new("P-256", kid=b"\x51")}
    via = []
    for name, credential in own.items():
        proxy = stage.proxy(start=False)
        proxy.write(edhoc={"credentials": edhoc_file(proxy.dir, [(name, credential)], [("c", mine)])},
                    clients=[{"match": {"edhoc": {"credential": "c"}}, "allow": ALLOW}])
        proxy.start()
        via += ["--via", f"{net.uri(proxy.address)},edhoc={name}"]
    origin = our_origin(stage, theirs, c=mine)
    words = via + (["--combined"] if combine else [])
    status, answer, said = Bench(stage, mine, s=theirs, **own).ask(origin.uri + "/hello", *words)
    assert (status, answer["payload"], answer["round_trips"]) == (0, "Hello from the origin", trips), said
    assert [layer["context"] for layer in answer["layers"] if layer["came_off"]] == ["p1", "p2", "s"]


# [ocp#5]
def test_with_the_origin_through_a_proxy_that_has_no_layer(stage):
    mine, theirs = pair(3, 2)
    proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": ALLOW}])
    origin = our_origin(stage, theirs, c=mine)
    status, answer, said = Bench(stage, mine, s=theirs).ask(origin.uri + "/hello", "-P", net.uri(proxy.address), "--combined")
    assert (status, answer["payload"], answer["round_trips"]) == (0, "Hello from the origin", 2), said
