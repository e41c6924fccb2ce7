# SPDX-License-Identifier: BSD-2-Clause
"""
The client and the demo origin as programs: exit statuses, state over crashes, answers that do not verify, other
implementations.
"""
import json
import os
import pathlib
import random
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "demo"))
import coap  # noqa: E402

OSPREY = (TOP / os.environ.get("OSPREY_BUILD", "build") / "osprey").resolve()


class Party:
    """A directory of keys and states; clients and origins that use them."""

    def __init__(self, path):
        self.path = path
        self.running = []
        self.key("secret")
        self.context("client.yaml", "5f", "53")
        self.context("origin.yaml", "53", "5f")

    def key(self, name):
        path = self.path / name
        path.write_text(secrets.token_hex(16))
        path.chmod(0o600)

    def context(self, file, mine, theirs, key="secret", fresh=True, name="c-s"):
        path = self.path / file
        path.write_text(f"contexts:\n  - name: {name}\n    master-secret: {{ file: {key} }}\n"
                        f"    sender-id: {{ hex: \"{mine}\" }}\n    recipient-id: {{ hex: \"{theirs}\" }}\n"
                        f"    fresh: {str(fresh).lower()}\n")
        path.chmod(0o600)

    def origin(self, *words, files=("origin.yaml",), state="state-origin"):
        command = [OSPREY, "origin", "--listen", "coap://127.0.0.1:0", "--json", "--state", self.path / state, *words]
        for file in files:
            command += ["-E", self.path / file]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.running.append(process)
        line = self.line(process)
        assert "listening on coap://" in line, line
        return process, line.split()[-1]

    @staticmethod
    def line(process, timeout=5):
        """One line of its output; it writes whole lines."""
        ready, _, _ = select.select([process.stdout], [], [], timeout)
        assert ready, "nothing was said"
        return process.stdout.readline().decode()

    def run(self, *words, stdin=None, state="state-client", timeout=20):
        command = [OSPREY, *words, "--state", self.path / state]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)

    def ask(self, *words, **more):
        done = self.run(*words, "--json", **more)
        answer = json.loads(done.stdout)
        assert answer["status"] == done.returncode
        return answer

    def stop(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def party(tmp_path):
    it = Party(tmp_path)
    yield it
    it.stop()


@pytest.fixture
def peer():
    """A socket that a test answers from by hand."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5)
    yield sock
    sock.close()


def uri(sock):
    return f"coap://127.0.0.1:{sock.getsockname()[1]}"


def inside(party):
    return "-E", party.path / "client.yaml"


# ---- plain ----

def test_plain_request_prints_the_payload_and_nothing_else(party):
    _, at = party.origin()
    done = party.run("get", f"{at}/hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Hello from the origin", b"")


def test_exit_status_tells_the_class_of_the_answer(party):
    _, at = party.origin()
    assert party.run("get", f"{at}/nothing").returncode == 4
    assert party.run("post", f"{at}/hello").returncode == 4
    assert party.run("get", "-P", at, "coap://elsewhere.example/").returncode == 5


def test_payload_comes_from_standard_input_and_goes_to_a_file(party):
    _, at = party.origin()
    payload = bytes(random.Random(1).randrange(256) for _ in range(3000))
    target = party.path / "out"
    done = party.run("post", "-f", "-", "-o", target, f"{at}/echo", stdin=payload)
    assert done.returncode == 0 and done.stdout == b""
    assert target.read_bytes() == payload
    assert party.run("post", "-f", party.path / "absent", f"{at}/echo").returncode == 1
    assert party.run("post", "-f", "-", "-b", "none", f"{at}/echo", stdin=bytes(70000)).returncode == 1
    assert party.run("get", "-o", party.path / "no" / "such", f"{at}/hello").returncode == 1


@pytest.mark.parametrize("method,code", [("put", "2.01"), ("get", "2.05"), ("delete", "2.02"), ("get", "4.04")])
def test_methods_reach_the_resource(party, method, code):
    _, at = party.origin()
    if (method, code) != ("get", "4.04"):
        party.ask("put", "-d", "v", f"{at}/put")
        if method == "put":
            party.ask("delete", f"{at}/put")
    assert party.ask(method, "-d", "value", f"{at}/put")["code"] == code


def test_fetch_patch_and_ipatch_reach_the_resource(party):
    _, at = party.origin()
    assert [party.ask(m, "-d", "x", f"{at}/echo")["code"] for m in ("fetch", "patch", "ipatch")] == ["2.05", "2.04", "2.04"]


def test_non_confirmable_request_is_answered(party):
    _, at = party.origin()
    assert party.ask("get", "-N", f"{at}/hello")["code"] == "2.05"


def test_separate_response_is_awaited(party):
    _, at = party.origin()
    assert party.ask("get", *inside(party), f"{at}/slow?ms=900")["payload"] == "at last"


def test_large_answer_under_a_layer(party):
    _, at = party.origin()
    assert len(party.ask("get", *inside(party), f"{at}/large?n=20000")["payload"]) == 20000


# ---- usage ----

@pytest.mark.parametrize("words", [
    ["get"], ["get", "http://h/"], ["get", "nonsense"], ["get", "coap://h/#f"], ["get", "coaps://127.0.0.1/"],
    ["get", "-E", "/nowhere/context.yaml", "coap://127.0.0.1/"], ["get", "--proxy-uri", "coap://127.0.0.1/"],
    ["get", "-P", "coap://127.0.0.1", "-P", "coap://127.0.0.2", "coap://h/"], ["get", "-O", "9,x", "coap://127.0.0.1/"],
])
def test_unusable_arguments_end_with_one_clear_line(party, words):
    done = party.run(*words)
    assert done.returncode == 1
    assert 1 <= len(done.stderr.splitlines()) <= 2 and done.stdout == b""


def test_secrets_that_others_can_read_are_refused(party):
    (party.path / "secret").chmod(0o644)
    done = party.run("get", *inside(party), "coap://127.0.0.1/")
    assert done.returncode == 1 and b"secret" in done.stderr


def test_file_of_several_contexts_wants_a_name(party):
    both = (party.path / "client.yaml").read_text() + \
        "  - name: other\n    master-secret: { file: secret2 }\n    sender-id: { hex: \"01\" }\n    recipient-id: { hex: \"02\" }\n"
    party.key("secret2")
    (party.path / "both.yaml").write_text(both)
    (party.path / "both.yaml").chmod(0o600)
    _, at = party.origin()
    done = party.run("get", "-E", party.path / "both.yaml", f"{at}/hello")
    assert done.returncode == 1 and b"c-s" in done.stderr and b"other" in done.stderr
    assert party.run("get", "-E", f"{party.path / 'both.yaml'}#c-s", f"{at}/hello").returncode == 0
    assert party.run("get", "-E", f"{party.path / 'both.yaml'}#none", f"{at}/hello").returncode == 1


def test_unusable_state_sends_nothing(party, peer):
    (party.path / "file").write_text("")
    done = party.run("get", *inside(party), f"{uri(peer)}/", state="file/below")
    assert done.returncode == 1 and b"--state" in done.stderr
    peer.settimeout(0.2)
    with pytest.raises(socket.timeout):
        peer.recv(100)


def test_port_in_use_is_one_clear_line(party, peer):
    done = subprocess.run([OSPREY, "origin", "--listen", uri(peer), "--state", party.path / "s"], capture_output=True,
                          timeout=10, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and b"in use" in done.stderr


# ---- no answer ----

def test_closed_port_is_no_answer(party):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        at = uri(sock)
    assert party.run("get", f"{at}/").returncode == 2


def test_silence_is_no_answer(party, peer):
    assert party.run("get", "--timeout", "0.3", f"{uri(peer)}/").returncode == 2


def test_reset_is_no_answer(party, peer):
    client = subprocess.Popen([OSPREY, "get", f"{uri(peer)}/"], stderr=subprocess.PIPE)
    party.running.append(client)
    datagram, source = peer.recvfrom(2000)
    peer.sendto(bytes([0x70, 0]) + datagram[2:4], source)
    client.communicate(timeout=5)
    assert client.returncode == 2


def test_unanswered_request_is_repeated_with_the_same_bytes(party, peer):
    client = subprocess.Popen([OSPREY, "get", *inside(party), "--state", party.path / "s", f"{uri(peer)}/"],
                              stderr=subprocess.DEVNULL)
    party.running.append(client)
    first, begin = peer.recv(2000), time.monotonic()
    assert peer.recv(2000) == first
    assert 1.9 < time.monotonic() - begin < 3.5         # [rfc7252#4.2]
    client.kill()


# ---- answers that do not verify ----

def answer_by_hand(party, peer, reply, words=()):
    """The exit status when `reply` (code, options and payload as bytes) answers a request under a layer."""
    client = subprocess.Popen([OSPREY, "get", *inside(party), "--state", party.path / "s", *words, f"{uri(peer)}/"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    party.running.append(client)
    datagram, source = peer.recvfrom(2000)
    request = coap.Message(datagram)
    peer.sendto(bytes([0x60 | len(request.token), reply[0]]) + datagram[2:4] + request.token + reply[1:], source)
    out, errors = client.communicate(timeout=5)
    assert out == b""
    return client.returncode, errors


def test_answer_with_a_bad_tag_is_refused(party, peer):
    assert answer_by_hand(party, peer, b"\x44\x90\xff" + bytes(20))[0] == 3


def test_success_without_the_layer_is_refused(party, peer):
    assert answer_by_hand(party, peer, b"\x45\xffforged")[0] == 3


def test_error_without_the_layer_is_told_as_unprotected(party, peer):
    status, errors = answer_by_hand(party, peer, b"\x81\xffReplay detected")
    assert status == 4 and b"not protected" in errors


def test_undecodable_oscore_option_is_refused(party, peer):
    assert answer_by_hand(party, peer, b"\x44\x91\x80\xff" + bytes(20))[0] == 3


def test_diagnostic_payload_cannot_reach_into_the_terminal(party, peer):
    _, errors = answer_by_hand(party, peer, b"\x81\xff\x1b[2Jgone")
    assert b"\x1b" not in errors


def test_unknown_critical_option_of_an_answer_is_refused(party, peer):
    client = subprocess.Popen([OSPREY, "get", f"{uri(peer)}/"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    party.running.append(client)
    datagram, source = peer.recvfrom(2000)
    token = coap.Message(datagram).token
    option = bytes([0xe0]) + (65001 - 269).to_bytes(2, "big")
    peer.sendto(bytes([0x60 | len(token), 0x45]) + datagram[2:4] + token + option + b"\xffx", source)
    out, _ = client.communicate(timeout=5)
    assert client.returncode == 2 and out == b""


def test_unprotected_echo_is_answered_once(party, peer):
    """[rfc9175#2.3] An outer Echo of whoever sits in front; asking again and again gets no further request."""
    client = subprocess.Popen([OSPREY, "get", *inside(party), "--state", party.path / "s", f"{uri(peer)}/"],
                              stderr=subprocess.PIPE)
    party.running.append(client)
    for attempt in range(2):
        datagram, source = peer.recvfrom(2000)
        request = coap.Message(datagram)
        assert (request.option(252) == b"12345678") == (attempt == 1)
        peer.sendto(bytes([0x60 | len(request.token), 0x81]) + datagram[2:4] + request.token + bytes([0xd8, 0xef])
                    + b"12345678", source)
    client.communicate(timeout=5)
    assert client.returncode == 4
    peer.settimeout(0.2)
    with pytest.raises(socket.timeout):
        peer.recv(100)


# ---- sequence numbers and windows over crashes ----

def numbers(datagrams):
    return [int.from_bytes(coap.parse_oscore(coap.Message(d).option(9))[1], "big") for d in datagrams]


# row S08
def test_client_killed_at_any_moment_never_repeats_a_number(party, peer):
    """[rfc8613#B.1.1]"""
    seen = {}
    rng = random.Random(7)
    command = [OSPREY, "get", *inside(party), "--state", party.path / "s", f"{uri(peer)}/"]
    peer.settimeout(20)
    begin = time.monotonic()
    client = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    peer.recv(2000)
    most = max(0.03, 2 * (time.monotonic() - begin))    # a loaded machine takes longer to get as far as to send
    client.kill()
    client.wait()
    peer.settimeout(0.002)
    for _ in range(40):
        client = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + rng.uniform(0, most)
        while time.monotonic() < end:
            try:
                datagram = peer.recv(2000)
                seen.setdefault(numbers([datagram])[0], set()).add(datagram[4:])
            except socket.timeout:
                pass
        client.kill()
        client.wait()
    while True:
        try:
            datagram = peer.recv(2000)
            seen.setdefault(numbers([datagram])[0], set()).add(datagram[4:])
        except socket.timeout:
            break
    assert len(seen) > 3
    assert all(len(datagrams) == 1 for datagrams in seen.values())


def test_clients_at_once_use_different_numbers(party):
    """
    Three at a time: each takes a few numbers at hand, and what more of them take together would span more than the
    origin's replay window, so that a slow one would be refused, as it should be.
    """
    origin, at = party.origin()
    used = []
    for _ in range(4):
        clients = [subprocess.Popen([OSPREY, "get", *inside(party), "--state", party.path / "s", f"{at}/hello"],
                                    stdout=subprocess.DEVNULL) for _ in range(3)]
        assert [client.wait(10) for client in clients] == [0] * 3
        used += [json.loads(party.line(origin))["layers"][0]["partial_iv"] for _ in clients]
    assert len(set(used)) == 12


def test_numbers_go_on_without_gaps_when_all_ends_well(party):
    origin, at = party.origin()
    for _ in range(4):
        assert party.run("get", *inside(party), f"{at}/hello").returncode == 0
    used = [int(json.loads(party.line(origin))["layers"][0]["partial_iv"], 16) for _ in range(4)]
    assert used == [0, 1, 2, 3]


# row S09
def test_origin_challenges_after_a_crash_and_not_after_a_clean_stop(party):
    """[rfc8613#B.1.2]"""
    origin, at = party.origin()
    assert party.ask("get", *inside(party), f"{at}/hello")["attempts"] == 1
    origin.send_signal(signal.SIGTERM)
    assert origin.wait(5) == 0
    origin, at = party.origin()
    assert party.ask("get", *inside(party), f"{at}/hello")["attempts"] == 1
    origin.kill()
    origin.wait()
    origin, at = party.origin()
    answer = party.ask("get", *inside(party), f"{at}/hello")
    assert (answer["attempts"], answer["challenges"], answer["code"]) == (2, 1, "2.05")
    assert party.ask("get", *inside(party), f"{at}/hello")["attempts"] == 1


def test_origin_challenges_keys_with_a_past_and_when_told_to(party):
    party.context("used.yaml", "53", "5f", fresh=False)
    _, at = party.origin(files=["used.yaml"], state="a")
    assert party.ask("get", *inside(party), f"{at}/hello")["attempts"] == 2
    _, at = party.origin("--require-echo", state="b")
    assert party.ask("get", *inside(party), f"{at}/hello")["attempts"] == 2


def test_second_origin_on_one_state_is_refused(party):
    party.origin()
    done = subprocess.run([OSPREY, "origin", "--listen", "coap://127.0.0.1:0", "-E", party.path / "origin.yaml", "--state",
                           party.path / "state-origin"], capture_output=True, timeout=10, check=False)
    assert done.returncode == 1 and b"another origin" in done.stderr


def test_wrong_key_is_told(party):
    party.key("wrong")
    party.context("client.yaml", "5f", "53", key="wrong")
    _, at = party.origin()
    answer = party.ask("get", *inside(party), f"{at}/hello")
    assert (answer["code"], answer["status"], answer["vouched_by"]) == ("4.00", 4, None)


def test_verbose_shows_the_layers_and_no_key(party):
    _, at = party.origin()
    done = party.run("get", "-vv", *inside(party), f"{at}/hello")
    text = done.stderr.decode()
    assert done.returncode == 0 and "layer 1 on" in text and "layer 1 off" in text and "encrypted: 0.01 GET" in text
    assert (party.path / "secret").read_text() not in text


# ---- others ----

def libcoap_conf(party, name, mine, theirs, secret):
    path = party.path / name
    path.write_text(f'master_secret,hex,"{secret}"\nsender_id,hex,"{mine}"\nrecipient_id,hex,"{theirs}"\n')
    path.chmod(0o600)
    return path


def test_libcoap_context_files_are_read(party):
    secret = secrets.token_hex(16)
    client = libcoap_conf(party, "client.conf", "5f", "53", secret)
    libcoap_conf(party, "origin.conf", "53", "5f", secret)
    _, at = party.origin(files=["origin.conf"])
    answer = party.ask("get", "-E", client, f"{at}/hello")
    assert (answer["code"], len(answer["layers"])) == ("2.05", 1)


@pytest.mark.skipif(not shutil.which("coap-client-notls"), reason="libcoap3-bin is not there")
def test_debians_client_talks_to_the_origin(party):
    _, at = party.origin()
    done = subprocess.run(["coap-client-notls", "-m", "get", f"{at}/hello"], capture_output=True, timeout=20, check=False)
    assert b"Hello from the origin" in done.stdout


@pytest.mark.skipif(not shutil.which("coap-server-notls"), reason="libcoap3-bin is not there")
def test_client_talks_to_debians_server(party):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    server = subprocess.Popen(["coap-server-notls", "-A", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    party.running.append(server)
    for _ in range(50):
        done = party.run("get", f"coap://127.0.0.1:{port}/time")
        if done.returncode == 0:
            break
        time.sleep(0.1)
    assert done.returncode == 0 and b":" in done.stdout
