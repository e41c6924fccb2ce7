# SPDX-License-Identifier: BSD-2-Clause
"""
Deterministic requests as programs: the client and the demo origin against each other, against the Python peer, and
through the daemon, whose cache answers the second client.
"""
import json
import os
import select
import subprocess

import pytest

from daemon import BUILD, SLOW, context_entry, environment, write_private
from peer import coap, group, net, oscore
from peer.coap import MAX_AGE, OBSERVE
from peer.group import REQUEST_HASH
from test_peer_group import DET, H, member

OSPREY = BUILD / "osprey"
OPEN = [{"match": {"context": "*"}, "allow": ["forward coap://[127.0.0.0/8]"]}]
CACHE = {"size": "1MiB"}


def group_file(directory, name, self_id=None, others=("52",), **more):
    """GROUP.yaml; YAML takes JSON."""
    g = DET["group"]
    entry = {"gid": {"hex": g["gid"]}, "master-secret": {"hex": g["master_secret"]}, "master-salt": {"hex": g["master_salt"]},
             "manager-credential": {"hex": g["gm_cred"]}, "deterministic-client": {"id": {"hex": g["det_sender_id"]}},
             "members": [{"name": f"m{i}", "id": {"hex": i}, "credential": {"hex": g["members"][i]["auth_cred"]}}
                         for i in others]}
    if self_id:
        m = g["members"][self_id]
        entry["self"] = {"id": {"hex": self_id}, "credential": {"hex": m["auth_cred"]},
                         "private-key": {"hex": m["ed25519_private"]}}
    entry.update(more)
    return write_private(os.path.join(directory, name), json.dumps(entry))


class Origin:
    """osprey origin --group"""

    def __init__(self, directory, *words):
        self.directory = directory
        file = group_file(directory, "origin.yaml", "52", ["25"])
        self.process = subprocess.Popen([OSPREY, "origin", "--listen", "coap://127.0.0.1:0", "--json", "--group", file,
                                         "--state", os.path.join(directory, "origin"), *words],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, env=environment())
        line = self.line()
        assert "listening on coap://" in line, self.process.stderr.read()
        self.uri = line.split()[-1]
        host, port = self.uri[len("coap://"):].rsplit(":", 1)
        self.address = (host, int(port))

    def line(self, timeout=5):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout * SLOW)
        assert ready, "nothing was said"
        return self.process.stdout.readline().decode()

    def seen(self):
        """What it says of the next request."""
        return json.loads(self.line())

    def is_idle(self):
        return not select.select([self.process.stdout], [], [], 0)[0]

    def close(self):
        self.process.terminate()
        _, said = self.process.communicate(timeout=10 * SLOW)
        assert self.process.returncode == 0, said


@pytest.fixture
def origin(workdir):
    it = Origin(workdir)
    yield it
    it.close()


def run(directory, *words, file=None, target=""):
    spec = (file or group_file(directory, "client.yaml")) + target
    return subprocess.run([OSPREY, *words, "--deterministic", spec, "--state", os.path.join(directory, "client"), "--timeout", "5"],
                          capture_output=True, timeout=20 * SLOW, check=False, env=environment())


def ask(directory, *words, **kw):
    done = run(directory, *words, "--json", **kw)
    answer = json.loads(done.stdout)
    assert answer["status"] == done.returncode
    return answer


# ---- client and origin ----

def test_a_deterministic_request_is_answered_under_the_group(workdir, origin):
    answer = ask(workdir, "get", f"{origin.uri}/hello")
    assert (answer["status"], answer["code"], answer["payload"]) == (0, "2.05", "Hello from the origin")
    assert (answer["vouched_by"], answer["layers"][0]["partial_iv"]) == ("m52", "00")
    seen = origin.seen()
    assert (seen["wire_code"], seen["code"], seen["path"]) == ("0.05", "0.01", "/hello")
    assert seen["layers"] == [{"group": "dd11", "deterministic": True, "partial_iv": "00"}]
    assert run(workdir, "fetch", "-d", "abc", f"{origin.uri}/echo").stdout == b"abc"
    assert run(workdir, "get", f"{origin.uri}/missing").returncode == 4


def test_numbers_of_the_origin_are_not_used_twice_after_a_kill(workdir):
    wire = []
    for _ in range(2):
        origin = Origin(workdir)
        wire.append(exchange(origin, member().asking(H("52"))))
        origin.process.kill()
        origin.process.communicate()
    pivs = [group.decode_option(answer.get(coap.OSCORE))[0].piv for answer in wire]
    assert pivs[0] != pivs[1]


def exchange(origin, asking):
    """The protected response to GET /hello of the Python peer."""
    made, layer = asking.protect_request(coap.request(path="hello"))
    with net.Client(origin.address) as client:
        answer = client.exchange(made)
    assert layer.unprotect_response(answer).payload == b"Hello from the origin"
    return answer


def test_mistakes_on_the_command_line_are_told(workdir):
    uri = "coap://127.0.0.1:9/x"
    assert b"only get and fetch" in run(workdir, "post", uri).stderr
    assert b"exclude each other" in run(workdir, "get", "-E", "none.yaml", uri).stderr
    assert b"has no member m77" in run(workdir, "get", uri, target="#m77").stderr
    both = group_file(workdir, "both.yaml", None, ["52", "25"])
    assert b"choose the server" in run(workdir, "get", uri, file=both).stderr
    bad = group_file(workdir, "bad.yaml", None, ["52"], gid={"hex": ""}, colour="blue")
    said = run(workdir, "get", uri, file=bad).stderr
    assert b"gid: 0 bytes" in said and b"colour: unknown key" in said
    guest = group_file(workdir, "guest.yaml")
    done = subprocess.run([OSPREY, "origin", "--listen", "coap://127.0.0.1:0", "--group", guest, "--state",
                           os.path.join(workdir, "s")], capture_output=True, timeout=10 * SLOW, check=False, env=environment())
    assert done.returncode == 1 and b"has no self" in done.stderr


# ---- against the Python peer ----

def test_the_client_reads_what_the_peer_signs(workdir, stage):
    server = member("52", 5)
    origin = stage.origin(lambda r: coap.response("2.05", b"21.5", [(MAX_AGE, b"\x0a")]), [server.answering()])
    answer = ask(workdir, "get", f"coap://{origin.host}:{origin.port}/t")
    assert (answer["code"], answer["payload"]) == ("2.05", "21.5")
    assert origin.requests()[0].plain.path() == "/t"


def test_the_origin_answers_the_peer(stage, origin):
    for number, self_id in enumerate([None, "25"]):
        made, layer = member(self_id).asking(H("52")).protect_request(coap.request(path="hello"))
        answer = stage.client(origin).exchange(made)
        assert (answer.dotted, answer.get(MAX_AGE), answer.has(REQUEST_HASH)) == ("2.05", b"\x3c", False)
        assert group.decode_option(answer.get(coap.OSCORE))[0].piv == bytes([number])
        assert layer.unprotect_response(answer).payload == b"Hello from the origin"


def test_an_observe_inside_alone_is_answered_once(stage, origin):
    made, layer = member().asking(H("52")).protect_request(coap.request(path="hello", options=[(OBSERVE, b"")]))
    answer = stage.client(origin).exchange(made)
    assert not made.has(OBSERVE) and not answer.has(OBSERVE)
    assert layer.unprotect_response(answer).dotted == "2.05"


def test_a_member_is_challenged_before_its_pairwise_requests_count(stage, origin):
    g = member("25")
    asking, client = group.Asking(g, H("52"), deterministic=False), stage.client(origin)
    made, layer = asking.protect_request(coap.request(path="hello"))
    echo = oscore.challenge_of(layer.unprotect_response(client.exchange(made)))
    assert echo
    made, layer = asking.protect_request(coap.request(path="hello", options=[(coap.ECHO, echo)]))
    assert layer.unprotect_response(client.exchange(made)).payload == b"Hello from the origin"


# row D09 (partly: the origin's answer)
def test_the_origin_refuses_what_the_vectors_refuse(stage, origin):
    forged, unsafe = (coap.decode(H(c["protected"])) for c in DET["to_reject_at_server"])
    answer = stage.client(origin).exchange(forged)
    assert (answer.dotted, answer.payload, answer.get(MAX_AGE)) == ("4.00", b"Decryption failed", b"")
    answer = stage.client(origin).exchange(unsafe)
    with pytest.raises(group.UnsafeRequest) as refused:
        member("25").answering().unprotect_request(unsafe)
    layer = refused.value.layer
    layer.other = H("52")
    assert answer.dotted == "2.05"
    assert layer.unprotect_response(answer).dotted == "4.01"


@pytest.mark.parametrize("wrong", ["another-server", "another-request", "unsigned", "not-protected", "another-hash"])
def test_the_client_refuses_an_answer_that_does_not_verify(workdir, stage, wrong):
    server, other = member("52"), member("25")

    def answer(_request):
        received = origin.received[-1]
        who = other if wrong == "another-server" else server
        sent = received.message
        if wrong == "another-request":
            sent, _ = member().asking(H("52")).protect_request(coap.request(path="other"))
        _, layer = who.answering().unprotect_request(sent)
        plain = coap.response("2.05", b"a lie")
        made = layer.protect_response(plain)
        if wrong == "unsigned":
            made = made.copy(options=[(n, b"\x01\x07" if n == coap.OSCORE else v) for n, v in made.options])
        if wrong == "not-protected":
            made = plain
        if wrong == "another-hash":
            made = made.plus((REQUEST_HASH, bytes(32)))
        return made

    origin = stage.origin(answer)
    done = run(workdir, "get", f"coap://{origin.host}:{origin.port}/t")
    assert (done.returncode, done.stdout) == (3, b"")


# ---- through the daemon ----

def via(directory, name, context, proxy):
    file = write_private(os.path.join(directory, name + ".yaml"), json.dumps(dict(context_entry(name, context))))
    return "--via", f"coap://{proxy.address[0]}:{proxy.address[1]},context={file}"


# rows D01 D03 D06 D07
def test_the_second_client_is_answered_by_the_proxy(workdir, stage, keys, origin):
    """Client A is `osprey`, client B the Python peer; each has a context of its own with the proxy, the group with the origin."""
    proxy = stage.proxy(contexts=[context_entry("a", keys.cp.other_side()), context_entry("b", keys.cp2.other_side())],
                        clients=OPEN, cache=CACHE)
    first = ask(workdir, "get", f"{origin.uri}/hello", *via(workdir, "a", keys.cp, proxy))
    assert (first["code"], first["payload"], first["vouched_by"]) == ("2.05", "Hello from the origin", "m52")
    assert origin.seen()["layers"][0]["deterministic"]

    host, port = origin.address
    secure = stage.secure(proxy, member("25").asking(H("52")), [oscore.Hop(keys.cp2)],
                          [(coap.URI_HOST, host.encode()), (coap.URI_PORT, coap.uint(port)), (coap.PROXY_SCHEME, b"coap")])
    second = secure.exchange(coap.request(path="hello"))
    assert (second.dotted, second.payload) == ("2.05", b"Hello from the origin")
    assert origin.is_idle()
    assert proxy.metric("osprey_cached_answers_total", kind="fresh") == 1

    third = secure.exchange(coap.request(path="time"))
    assert third.dotted == "2.05" and third.payload != second.payload
    assert origin.seen()["path"] == "/time"


# row D09
def test_a_forged_hash_leaves_nothing_behind(stage, keys, origin):
    proxy = stage.proxy(contexts=[context_entry("a", keys.cp.other_side())], clients=OPEN, cache=CACHE)
    host, port = origin.address
    reach = [(coap.URI_HOST, host.encode()), (coap.URI_PORT, coap.uint(port)), (coap.PROXY_SCHEME, b"coap")]
    forged = coap.decode(H(DET["to_reject_at_server"][0]["protected"])).plus(*reach)
    secure = stage.secure(proxy, hops=[oscore.Hop(keys.cp)])
    for _ in range(2):
        assert secure.exchange(forged).dotted == "4.00"
        assert origin.seen()["error"] == "DECRYPT"
