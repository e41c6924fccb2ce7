# SPDX-License-Identifier: BSD-2-Clause
"""
osprey keygen and osprey trust: credentials that others can read, that EDHOC runs with, and files that are never lost.
"""
import os
import stat

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daemon import run
from peer import coap, edhoc_coap, net
from peer.edhoc import Initiator
from peer.edhoc_cred import Credential, private_key, x_of
from program import Origin, ask

KINDS = {"p256": "P-256", "ed25519": "Ed25519", "x25519": "X25519"}


class Desk:
    """One party's directory."""

    def __init__(self, directory, name):
        self.path = os.path.join(directory, name)
        self.name = name

    def keygen(self, *words, name=None):
        return run("keygen", "-o", self.path, *words, self.name if name is None else name, program="osprey")

    def trust(self, other, file, *words):
        return run("trust", "-o", self.path, *words, other, file, program="osprey")

    def file(self, name):
        return os.path.join(self.path, name)

    def read(self, name):
        with open(self.file(name), encoding="utf-8") as file:
            return file.read()

    def credential(self, kind, name=None):
        """As the peer of the tests reads it."""
        name = name or self.name
        key = private_key(KINDS[kind], bytes.fromhex(self.read(f"{name}.key")))
        if os.path.exists(self.file(f"{name}.ccs")):
            return Credential.from_ccs(bytes.fromhex(self.read(f"{name}.ccs")), key)
        der = x509.load_pem_x509_certificate(self.read(f"{name}.pem").encode()).public_bytes(serialization.Encoding.DER)
        return Credential.from_der(der, key, by_value="x5chain" in self.read("edhoc.yaml"))


@pytest.fixture
def desks(workdir):
    return Desk(workdir, "alice"), Desk(workdir, "bob")


# [rfc9528#3.5.2]
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type", ["ccs", "x509"])
def test_others_can_read_what_comes_out(stage, desks, kind, type):
    alice, bob = desks
    if (kind, type) == ("x25519", "x509"):
        assert alice.keygen("--ca", name="plant")[0] == 0
        status, _, said = alice.keygen("-c", kind, "--sign-with", "plant")
    else:
        status, _, said = alice.keygen("-t", type, "-c", kind)
    assert status == 0, said
    made = alice.credential(kind)
    assert made.kind == KINDS[kind] and x_of(made.private.public_key()) == x_of(made.public)
    peer = Credential.new(KINDS[kind], kid=b"\x42")
    bob_file = os.path.join(alice.path, "peer.ccs")
    with open(bob_file, "wb") as file:                      # CBOR as bytes, too
        file.write(peer.cred)
    assert alice.trust("peer", bob_file)[0] == 0
    origin = stage.add(Origin(stage.directory, "--edhoc", alice.file("edhoc.yaml")))
    method, suite = {"p256": (3, 2), "ed25519": (0, 0), "x25519": (3, 0)}[kind]
    client = stage.client(origin)
    _, context = edhoc_coap.edhoc_run(client, Initiator(peer, [made.without_private()], method, [suite]))
    assert net.Secure(client, context).exchange(coap.request(path="hello")).payload == b"Hello from the origin"


def test_two_commands_on_each_side(stage, desks):
    alice, bob = desks
    for mine, other in ((alice, bob), (bob, alice)):
        assert mine.keygen()[0] == 0
    for mine, other in ((alice, bob), (bob, alice)):
        assert mine.trust(other.name, other.file(f"{other.name}.ccs"))[0] == 0
    origin = stage.add(Origin(stage.directory, "--edhoc", bob.file("edhoc.yaml")))
    status, answer, said = ask(stage.directory, "--edhoc", alice.file("edhoc.yaml"), "-E", "edhoc", origin.uri + "/hello")
    assert (status, answer["payload"]) == (0, "Hello from the origin"), said


# [rfc5280#6]
def test_an_authority_and_its_certificates(stage, desks):
    alice, plant = desks
    assert plant.keygen("--ca", name="plant")[0] == 0
    assert not os.path.exists(plant.file("edhoc.yaml"))     # it speaks to nobody
    assert plant.keygen("--sign-with", "plant", "-s", "sensor.example", name="sensor")[0] == 0
    issued = x509.load_pem_x509_certificate(plant.read("sensor.pem").encode())
    authority = x509.load_pem_x509_certificate(plant.read("plant.pem").encode())
    authority.public_key().verify(issued.signature, issued.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    assert issued.issuer == authority.subject
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["sensor.example"]
    assert alice.keygen()[0] == 0 and alice.trust("plant", plant.file("plant.pem"), "--ca")[0] == 0
    assert plant.trust("alice", alice.file("alice.ccs"))[0] == 0
    origin = stage.add(Origin(stage.directory, "--edhoc", plant.file("edhoc.yaml")))
    for peer, status in (("sensor.example", 0), ("plant", 3), ("other.example", 3)):
        got, _, said = ask(stage.directory, "--edhoc", alice.file("edhoc.yaml"), "-E", f"edhoc={peer}", origin.uri + "/hello")
        assert got == status, said


def test_secrets_are_for_their_owner(desks):
    alice, _ = desks
    assert alice.keygen("--kid", "2b", "-s", "Alice in Wonderland")[0] == 0
    for name in ("alice.key", "edhoc.yaml"):
        assert stat.S_IMODE(os.stat(alice.file(name)).st_mode) == 0o600
    claims = cbor2.loads(bytes.fromhex(alice.read("alice.ccs")))
    assert claims[2] == "Alice in Wonderland" and claims[8][1][2] == b"\x2b"


def test_nothing_is_overwritten(desks):
    alice, bob = desks
    assert alice.keygen()[0] == 0 and bob.keygen()[0] == 0
    key, yaml = alice.read("alice.key"), alice.read("edhoc.yaml")
    status, _, said = alice.keygen()
    assert status == 1 and "exists already" in said
    assert (alice.read("alice.key"), alice.read("edhoc.yaml")) == (key, yaml)
    assert alice.trust("bob", bob.file("bob.ccs"))[0] == 0
    yaml = alice.read("edhoc.yaml")
    status, _, said = alice.trust("bob", bob.file("bob.ccs"))
    assert status == 1 and "stands there already" in said and alice.read("edhoc.yaml") == yaml
    assert sorted(os.listdir(alice.path)) == ["alice.ccs", "alice.key", "edhoc.yaml"]


def test_what_people_wrote_stays(desks):
    alice, bob = desks
    assert alice.keygen()[0] == 0 and bob.keygen()[0] == 0
    with open(alice.file("edhoc.yaml"), encoding="utf-8") as file:
        before = file.read()
    with open(alice.file("edhoc.yaml"), "w", encoding="utf-8") as file:
        file.write("# ours\n" + before + "trusted:   # friends\n  # none yet\n")
    assert alice.trust("bob", bob.file("bob.ccs"))[0] == 0
    assert alice.keygen(name="second")[0] == 0
    text = alice.read("edhoc.yaml")
    assert text.startswith("# ours\n") and "# friends\n  # none yet\n  - name: bob\n" in text
    assert text.index("name: alice") < text.index("name: second") < text.index("trusted:")
    with open(alice.file("edhoc.yaml"), "w", encoding="utf-8") as file:
        file.write("trusted: []\n" + before)
    status, _, said = alice.trust("bob", bob.file("bob.ccs"))
    assert status == 1 and "by hand" in said and "name: bob" in said


@pytest.mark.parametrize("words", [
    ("--kid", "zz"), ("--kid", ""), ("-c", "rsa"), ("-t", "x400"), ("--days", "0"), ("-t", "x509", "-c", "x25519"),
    ("-t", "x509", "--kid", "01"), ("--ca", "--sign-with", "plant"), ("--sign-with", "nobody"), ("-t", "x509", "-s", "a,DNS:b"),
])
def test_what_cannot_be_made_is_refused(desks, words):
    alice, _ = desks
    status, _, said = alice.keygen(*words)
    assert status == 1 and said
    assert not os.path.exists(alice.path) or os.listdir(alice.path) == []


def test_a_credential_has_one_name(desks):
    alice, bob = desks
    assert alice.keygen()[0] == 0 and bob.keygen()[0] == 0
    assert alice.trust("bob", bob.file("bob.ccs"))[0] == 0
    before = alice.read("edhoc.yaml")
    status, _, said = alice.trust("robert", bob.file("bob.ccs"))
    assert status == 1 and "robert: is the credential of bob" in said
    assert alice.read("edhoc.yaml") == before


def test_directories_are_made(workdir):
    desk = Desk(os.path.join(workdir, "home", ".config"), "alice")
    assert desk.keygen()[0] == 0
    assert stat.S_IMODE(os.stat(desk.path).st_mode) == 0o700 and os.path.exists(desk.file("alice.key"))


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a b", ""])
def test_names_stay_in_the_directory(desks, name):
    assert desks[0].keygen(name=name)[0] == 1


def test_only_credentials_are_trusted(desks):
    alice, _ = desks
    assert alice.keygen()[0] == 0
    for content in (b"", b"hello", b"a1", os.urandom(70)):
        with open(alice.file("x"), "wb") as file:
            file.write(content)
        status, _, said = alice.trust("x", alice.file("x"))
        assert status == 1 and "left as it was" in said
    assert alice.trust("ca", alice.file("alice.ccs"), "--ca")[0] == 1


# ---- both ends of an OSCORE context ----

# [rfc8613#3.2]
def test_a_pair_is_two_ends_of_one_context(stage, desks):
    """Each end is a file, and either may be the client's; the peer's needs no other file."""
    desk, other = desks
    status, _, said = desk.keygen("--pair", name="meter-17")
    assert status == 0, said
    assert sorted(os.listdir(desk.path)) == ["meter-17.key", "meter-17.peer", "meter-17.yaml"]
    for name in os.listdir(desk.path):
        assert stat.S_IMODE(os.stat(desk.file(name)).st_mode) == 0o600
    os.mkdir(other.path)
    os.rename(desk.file("meter-17.peer"), other.file("elsewhere"))
    origin = stage.add(Origin(stage.directory, "-E", desk.file("meter-17.yaml")))
    status, answer, said = ask(stage.directory, "-E", other.file("elsewhere"), origin.uri + "/hello")
    assert (status, answer["payload"], answer["layers"][0]["context"]) == (0, "Hello from the origin", "meter-17"), said
    os.mkdir(os.path.join(stage.directory, "back"))     # the other way round, each with a state that knows nothing yet
    assert desk.keygen("--pair", name="meter-18")[0] == 0
    back = stage.add(Origin(os.path.join(stage.directory, "back"), "-E", desk.file("meter-18.peer")))
    status, answer, said = ask(stage.directory, "-E", desk.file("meter-18.yaml"), back.uri + "/hello")
    assert status == 0, said


def test_a_directory_of_pairs_is_a_configuration(stage, desks):
    """`include` reads our sides and not the peers'; each context has a secret and IDs of its own."""
    desk, _ = desks
    for name in ("meter-1", "meter-2", "meter-3"):
        assert desk.keygen("--pair", name=name)[0] == 0
    assert len({desk.read(f"meter-{n}.key") for n in (1, 2, 3)}) == 3
    assert len({desk.read(f"meter-{n}.peer").split("recipient-id")[1] for n in (1, 2, 3)}) == 3
    origin = stage.origin()
    proxy = stage.proxy(contexts={"include": desk.path},
                        clients=[{"match": {"context": "meter-*"}, "allow": ["forward coap://127.0.0.0/8"]}])
    via = f"coap://{proxy.address[0]}:{proxy.address[1]},context={desk.file('meter-2.peer')}"
    status, answer, said = ask(stage.directory, "--via", via, f"coap://{origin.address[0]}:{origin.address[1]}/hello")
    assert (status, answer["code"]) == (0, "2.05"), said


def test_a_pair_has_the_ids_that_were_asked_for(desks):
    desk, _ = desks
    assert desk.keygen("--pair", "--sender-id", "50", "--recipient-id", "", name="x")[0] == 0
    assert 'sender-id: { hex: "50" }' in desk.read("x.yaml") and 'recipient-id: { hex: "" }' in desk.read("x.yaml")
    assert 'sender-id: { hex: "" }' in desk.read("x.peer") and 'recipient-id: { hex: "50" }' in desk.read("x.peer")


def test_a_pair_overwrites_nothing(desks):
    desk, _ = desks
    assert desk.keygen("--pair", name="x")[0] == 0
    os.unlink(desk.file("x.key"))
    before = desk.read("x.yaml")
    status, _, said = desk.keygen("--pair", name="x")
    assert status == 1 and "exists already" in said
    assert desk.read("x.yaml") == before and sorted(os.listdir(desk.path)) == ["x.peer", "x.yaml"]


@pytest.mark.parametrize("words", [
    ("--pair", "--sender-id", "50", "--recipient-id", "50"), ("--pair", "--sender-id", "5"), ("--pair", "--sender-id", "00" * 8),
    ("--pair", "-t", "ccs"), ("--pair", "--ca"), ("--pair", "--kid", "01"), ("--sender-id", "50"), ("--recipient-id", "50"),
])
def test_what_no_pair_can_have_is_refused(desks, words):
    status, _, said = desks[0].keygen(*words)
    assert status == 1 and said
    assert not os.path.exists(desks[0].path) or os.listdir(desks[0].path) == []
