#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Nested OSCORE through real proxies, on loopback, with keys made for this run: an origin, two proxies, clients, and a
wire that is listened to between any two of them.  Each exchange is shown hop by hop and judged; the exit status is 0
only when all of them were as they have to be.
"""
import argparse
import ctypes
import hashlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import coap  # noqa: E402
from wire import Wires  # noqa: E402

# sender IDs: who, on which context
CONTEXTS = {
    "c-s": ("C", "5f", "S", "53"),
    "c-p1": ("C", "20", "P1", "50"),
    "c-p2": ("C", "21", "P2", "51"),
    "d-p1": ("D", "22", "P1", "55"),
    "stranger": ("C", "2f", "P1", "52"),
    "spare": ("C", "2e", "P1", "5a"),
    "p1-s": ("P1", "d4", "S", "54"),
}
RESPONSE_TIMEOUT = 2
EDHOC = 21                                  # the option of a combined request [rfc9668#3.1]
TICK = 0.3                                  # seconds between two states of S's /ticks
BODY = 65536                                # bytes of a body that does not fit one datagram
# member IDs of the OSCORE group of S and its clients; "det" is the client that all clients can be
MEMBERS = {"S": "53", "C": "43", "D": "44", "det": "dc"}


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG: nothing outlives the demo


class Stage:
    """Addresses, keys, files and processes of one run."""

    def __init__(self, build):
        self.osprey = os.path.abspath(os.path.join(build, "osprey"))
        self.ospreyd = os.path.abspath(os.path.join(build, "ospreyd"))
        self.dir = tempfile.mkdtemp(prefix="osprey-demo-")
        self.processes = {}
        self.origin_log = []
        self.log_lock = threading.Lock()
        self.wires = Wires()
        self.choose_addresses()
        self.write_keys()

    # ---- addresses ----

    def choose_addresses(self):
        """An address of 127.0.0.0/8 for each party and each wire, all with one port that is free on every one."""
        names = ["P1", "P2", "S", "C-P1", "P1-P2", "P1-S", "P2-S", "dead"]
        for attempt in range(200):
            prefix = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}"
            port = 5683 if attempt < 20 else random.randint(20000, 60000)
            self.ip = {name: f"{prefix}.{10 + i}" for i, name in enumerate(names)}
            if all(self.is_free(ip, port) for ip in self.ip.values()):
                self.port = port
                return
        raise RuntimeError("no free addresses on loopback")

    @staticmethod
    def is_free(ip, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((ip, port))
            except OSError:
                return False
        return True

    def uri(self, host, path=""):
        host = self.ip.get(host, host)
        return f"coap://{host}{'' if self.port == 5683 else f':{self.port}'}{path}"

    # ---- files ----

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return self.path(name)

    def context_yaml(self, name, who, key=None, indent="  "):
        first, first_id, second, second_id = CONTEXTS[name]
        mine, theirs = (first_id, second_id) if who == first else (second_id, first_id)
        lines = [f"- name: {name}", f"  master-secret: {{ file: {self.path(key or name + '.key')} }}",
                 f"  sender-id: {{ hex: \"{mine}\" }}", f"  recipient-id: {{ hex: \"{theirs}\" }}", "  fresh: true"]
        return "".join(f"{indent}{line}\n" for line in lines)

    def write_keys(self):
        for name in list(CONTEXTS) + ["wrong"]:
            self.write(f"{name}.key", secrets.token_hex(16))
        for name, party in CONTEXTS.items():
            if party[0] in ("C", "D"):
                self.write(f"{name}.yaml", "contexts:\n" + self.context_yaml(name, party[0]))
        self.write("wrong.yaml", "contexts:\n" + self.context_yaml("spare", "C", key="wrong.key"))
        self.write("origin.yaml", "contexts:\n" + self.context_yaml("c-s", "S") + self.context_yaml("p1-s", "S"))
        self.write_group()
        self.write_credentials()
        os.mkdir(self.path("p1"), 0o700)
        os.mkdir(self.path("p2"), 0o700)

    def write_credentials(self):
        """For EDHOC, as people make them: two commands for each party, one per peer after that."""
        peers = {"C": ["P1", "S"], "P1": ["C"], "S": ["C"]}
        for name in peers:
            self.tool("keygen", "-o", self.path(f"edhoc-{name}"), name)
        for name, others in peers.items():
            for other in others:
                self.tool("trust", "-o", self.path(f"edhoc-{name}"), other, self.path(f"edhoc-{other}", f"{other}.ccs"))

    def tool(self, *words):
        subprocess.run([self.osprey, *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=20)

    def write_group(self):
        """What each member of the group has from its Group Manager: the common secret, its own key, the others' credentials."""
        self.write("group.key", secrets.token_hex(16))
        keys = self.path("members")
        for name in ("S", "C", "D", "manager"):
            self.tool("keygen", "-c", "ed25519", "-o", keys, name)
        for name in ("S", "C", "D"):
            others = "".join(f"  - {{ name: {other}, id: {{ hex: \"{MEMBERS[other]}\" }}, credential: {{ hex: "
                             f"{self.credential(other)} }} }}\n" for other in (("C", "D") if name == "S" else ("S",)))
            self.write(f"group-{name}.yaml", f"""
gid: {{ hex: "0a0b" }}
master-secret: {{ file: {self.path('group.key')} }}
manager-credential: {{ hex: {self.credential('manager')} }}
deterministic-client: {{ id: {{ hex: {MEMBERS['det']} }}, hash: SHA-256 }}
self:
  id: {{ hex: "{MEMBERS[name]}" }}
  credential: {{ hex: {self.credential(name)} }}
  private-key: {{ file: {keys}/{name}.key }}
members:
{others}""")

    def credential(self, name):
        """What vouches for a member's public key, a CWT Claims Set [rfc9528#3.5.2], in hexadecimal digits."""
        with open(self.path("members", f"{name}.ccs"), encoding="ascii") as file:
            return file.read().strip()

    def write_proxies(self):
        """P1: forward for C, plain for everybody towards some hosts, two routes. P2: forward for C's second layer."""
        port = self.port
        net = f"forward coap://{self.ip['P1'].rsplit('.', 1)[0]}.0/24:{port}"   # loopback has to be named to be allowed
        origin = f"forward coap://{self.ip['P1-S']}:{port}"
        self.write("p1.yaml", f"""
listen: [ "coap://{self.ip['P1']}:{port}" ]
state: {self.path('p1')}
names: [ p1.example ]
node-name: p1
contexts:
{self.context_yaml('c-p1', 'P1')}{self.context_yaml('d-p1', 'P1')}{self.context_yaml('stranger', 'P1')}{self.context_yaml('spare', 'P1')}{self.context_yaml('p1-s', 'P1')}
hosts:
  sensor.example: {self.ip['P1-S']}
  vault.example: {self.ip['P1-S']}
  p2.example: {self.ip['P1-P2']}
  dead.example: {self.ip['dead']}
edhoc: {{ credentials: {self.path('edhoc-P1', 'edhoc.yaml')} }}
clients:
  - match: {{ edhoc: {{ credential: C }} }}
    allow: [ "forward coap://sensor.example:{port}", "{origin}" ]
  - match: {{ context: [ c-p1, d-p1, spare ] }}
    allow: [ "forward coap://*.example:{port}", "{net}", "route *" ]
  - match: {{ context: stranger }}
    allow: [ "forward coap://elsewhere.invalid" ]
  - match: {{ any: true }}
    allow: [ "forward coap://sensor.example:{port}", "forward coap://vault.example:{port}", "{origin}" ]
forward-proxy: {{ enabled: true }}
upstreams:
  - match: "coap://vault.example:{port}"
    context: p1-s
routes:
  - name: gateway
    match: {{ path: /dev1/* }}
    strip: 1
    upstream: {{ uri: "coap://{self.ip['P1-S']}:{port}", context: p1-s }}
  - name: device
    match: {{ host: dev.example }}
    outer-host: true
    upstream: {{ uri: "coap://{self.ip['P1-S']}:{port}", context: p1-s }}
cache: {{ size: 1MiB }}
limits: {{ response-timeout: {RESPONSE_TIMEOUT}s }}
""")
        self.write("p2.yaml", f"""
listen: [ "coap://{self.ip['P2']}:{port}" ]
state: {self.path('p2')}
names: [ p2.example ]
node-name: p2
contexts:
{self.context_yaml('c-p2', 'P2')}
hosts:
  sensor.example: {self.ip['P2-S']}
clients:
  - match: {{ context: c-p2 }}
    allow: [ "forward coap://sensor.example:{port}", "{net}" ]
forward-proxy: {{ enabled: true }}
limits: {{ response-timeout: {RESPONSE_TIMEOUT}s }}
""")

    # ---- processes ----

    def spawn(self, name, command):
        errors = open(self.path(f"{name}.err"), "ab")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors, cwd=self.dir,
                                   stdout=subprocess.PIPE if name == "S" else errors, preexec_fn=die_with_parent)
        errors.close()
        self.processes[name] = process
        return process

    def start(self, name):
        if name == "S":
            process = self.spawn("S", [self.osprey, "origin", "--listen", f"coap://{self.ip['S']}:{self.port}", "-E",
                                       self.path("origin.yaml"), "--group", self.path("group-S.yaml"),
                                       "--edhoc", self.path("edhoc-S", "edhoc.yaml"), "--every", str(TICK),
                                       "--state", self.path("state-origin"), "--json"])
            threading.Thread(target=self.read_log, args=(process.stdout,), daemon=True).start()
        else:
            self.spawn(name, [self.ospreyd, "-c", self.path(f"{name.lower()}.yaml")])
        self.wait_ready(name)

    def read_log(self, pipe):
        for line in pipe:
            if line.startswith(b"{"):
                with self.log_lock:
                    self.origin_log.append(json.loads(line))

    def wait_ready(self, name):
        """A ping, which CoAP answers with a Reset [rfc7252#4.3]."""
        deadline = time.monotonic() + 10
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            sock.connect((self.ip[name], self.port))
            while time.monotonic() < deadline:
                if self.processes[name].poll() is not None:
                    break
                try:
                    sock.send(bytes([0x40, 0, 0x12, 0x34]))
                    if sock.recv(64) == bytes([0x70, 0, 0x12, 0x34]):
                        return
                except OSError:
                    time.sleep(0.02)
        with open(self.path(f"{name}.err"), errors="replace") as file:
            raise RuntimeError(f"{name} did not start:\n{file.read()[-2000:]}")

    def kill(self, name):
        """As a power cut would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 3
        for process in self.processes.values():
            try:
                process.wait(max(0.05, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.wires.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def open(self):
        self.write_proxies()
        at = lambda name: (self.ip[name], self.port)  # noqa: E731
        self.wire = {
            "C-P1": self.wires.add("C-P1", "C", "P1", at("C-P1"), at("P1")),
            "P1-P2": self.wires.add("P1-P2", "P1", "P2", at("P1-P2"), at("P2")),
            "P1-S": self.wires.add("P1-S", "P1", "S", at("P1-S"), at("S")),
            "P2-S": self.wires.add("P2-S", "P2", "S", at("P2-S"), at("S")),
        }
        self.silence = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)     # takes everything, says nothing
        self.silence.bind(at("dead"))
        self.wires.sockets.append(self.silence)
        self.wires.start()
        for name in ("p1", "p2"):           # once: a start never makes state
            subprocess.run([self.ospreyd, "-c", self.path(f"{name}.yaml"), "--init-state"], check=True, timeout=20,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for name in ("S", "P2", "P1"):
            self.start(name)

    # ---- clients ----

    def run(self, *words):
        """(exit status, lines of JSON, standard error) of one run of the client."""
        command = [self.osprey, *words, "--json", "--state", self.path("state-client"), "--timeout", "10"]
        done = subprocess.run(command, capture_output=True, timeout=20, cwd=self.dir, check=False,
                              preexec_fn=die_with_parent)
        errors = done.stderr.decode(errors="replace")
        try:
            return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], errors
        except ValueError:
            return done.returncode, [], errors

    def client(self, *words):
        status, lines, errors = self.run(*words)
        answer = lines[0] if lines else {"error": "no JSON"}
        answer["exit"] = status
        answer["stderr"] = errors
        return answer

    def raw(self, datagram, timeout=2.0):
        """One datagram straight to P1, from an address it has not seen; the first answer or None."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((self.ip["P1"], self.port))
            sock.send(datagram)
            try:
                return sock.recv(65536)
            except OSError:
                return None


class Judge:
    """Prints one exchange and counts what was found as it has to be."""

    def __init__(self, total):
        self.total, self.number, self.good = total, 0, 0

    def begin(self, title, picture, command=None):
        self.number += 1
        self.failed = []
        self.passed = []
        print(f"\n[{self.number}/{self.total}] {title}")
        if picture:
            print(f"    {picture}")
        if command:
            print(f"    $ {command}")

    def hops(self, seen, most=None):
        """Shows what passed; of more than `most` datagrams only the first and the last."""
        left_out = len(seen) - most if most and len(seen) > most else 0
        for i, (_, source, target, datagram) in enumerate(seen):
            if left_out and most // 2 <= i < most // 2 + left_out:
                if i == most // 2:
                    print(f"    ... {left_out} datagrams like these ...")
                continue
            try:
                message = coap.Message(datagram)
            except ValueError:
                print(f"    {source:>2} -> {target:<2} {len(datagram):4} bytes, no CoAP message")
                continue
            head, options = message.describe()
            sealed = message.option(coap.OSCORE) is not None
            what = "sealed" if sealed else "of payload, open"
            body = f"; {len(message.payload)} bytes {what}" if message.payload else ""
            print(f"    {source:>2} -> {target:<2} {len(datagram):4} bytes  {head}; {', '.join(options) or 'no options'}{body}")
            text = datagram.hex()
            for at in range(0, min(len(text), 288), 96):
                print(f"                      {text[at:at + 96]}{'...' if at + 96 >= 288 and len(text) > 288 else ''}")

    def check(self, holds, claim):
        (self.passed if holds else self.failed).append(claim)

    def reads(self, **who):
        print("    who reads what: " + "; ".join(f"{name}: {what}" for name, what in who.items()))

    def end(self):
        for claim in self.failed:
            print(f"    WRONG  {claim}")
        print(f"    {'verified' if not self.failed else 'as it has to be'}: {'; '.join(self.passed) or 'nothing'}")
        self.good += not self.failed
        sys.stdout.flush()


def leg(seen, source, target):
    return [datagram for _, a, b, datagram in seen if (a, b) == (source, target)]


class Demo:
    def __init__(self, stage, judge):
        self.stage, self.judge = stage, judge
        self.recorded = None                    # a request to P1, kept for replays

    # ---- an exchange that succeeds ----

    def success(self, title, picture, words, host, layers, came_off, hidden, shown=(), attempts=1, reads=None, extra=None):
        """
        The client posts a text nobody can guess to /echo and must get it back.  `layers`: what the origin took off;
        `came_off`: what the client did; `hidden`: {leg: what must not be readable there}; `shown`: the contrary;
        `extra`: more checks, once all has passed.
        """
        stage, judge = self.stage, self.judge
        secret = f"21.5 C, {secrets.token_hex(8)}"
        command = ["post", *words, stage.uri(host, "/echo"), "-d", secret]
        judge.begin(title, picture, self.short(command))
        mark, log_mark = stage.wires.mark(), len(stage.origin_log)
        answer = stage.client(*command)
        seen = stage.wires.since(mark)
        judge.hops(seen)
        if reads:
            judge.reads(**reads)
        judge.check(answer["exit"] == 0 and answer.get("code") == "2.04", f"2.04 and exit status 0{self.why(answer)}")
        judge.check(answer.get("payload") == secret, "the text came back unchanged")
        judge.check([x["context"] for x in answer.get("layers", []) if x["came_off"]] == came_off,
                    f"C took off {' then '.join(came_off) or 'no layer'}")
        judge.check(answer.get("attempts") == attempts, f"{attempts} attempt{'s' * (attempts > 1)}")
        asked = [entry for entry in self.origin_since(log_mark) if entry.get("code") == "0.02"]
        judge.check(len(asked) == 1 and asked[0].get("path") == "/echo" and not asked[0]["error"],
                    "S was asked exactly once, POST /echo")
        judge.check(bool(asked) and [x["context"] for x in asked[-1]["layers"]] == layers,
                    f"S took off {' then '.join(layers) or 'no layer'}")
        self.check_secrecy(seen, secret, hidden, shown)
        if extra:
            extra()
        judge.end()
        return seen

    def check_secrecy(self, seen, secret, hidden, shown):
        def value(what):
            return secret if what == "the text" else what

        for (a, b), words in hidden.items():
            data = b"".join(leg(seen, a, b) + leg(seen, b, a))
            open_words = [w for w in words if value(w).encode() in data]
            self.judge.check(bool(data) and not open_words, f"{', '.join(words)} not readable between {a} and {b}")
        for (a, b), words in dict(shown).items():
            data = b"".join(leg(seen, a, b) + leg(seen, b, a))
            self.judge.check(all(value(w).encode() in data for w in words), f"{', '.join(words)} in the open between {a} and {b}")

    def origin_since(self, mark):
        with self.stage.log_lock:
            return self.stage.origin_log[mark:]

    @staticmethod
    def why(answer):
        return f" ({answer.get('code')} {answer.get('error') or ''} {answer['stderr'].strip()})" if answer["exit"] else ""

    def short(self, command):
        text = " ".join(f"'{word}'" if " " in word else word for word in command)
        return "osprey " + text.replace(self.stage.dir + "/", "")

    def via(self, wire, context):
        return ["--via", f"{self.stage.uri(wire)},context={self.stage.path(context + '.yaml')}"]

    def end_to_end(self):
        return ["-E", self.stage.path("c-s.yaml")]

    # ---- the exchanges ----

    def plain(self):
        proxy = ["-P", self.stage.uri("C-P1")]
        self.success("plain forward", "C --open--> P1 --open--> S", proxy, "sensor.example", [], [], {},
                     {("C", "P1"): ["the text", "echo", "sensor.example"], ("P1", "S"): ["the text"]},
                     reads={"both wires, P1 and S": "everything"})
        self.success("plain forward, asked with Proxy-Uri", "C --open--> P1 --open--> S", proxy + ["--proxy-uri"],
                     "sensor.example", [], [], {}, {("C", "P1"): ["coap://sensor.example"]},
                     reads={"both wires, P1 and S": "everything"})

    def layered(self):
        inner, via = self.end_to_end(), self.via("C-P1", "c-p1")
        everything = ["the text", "echo", "sensor.example"]
        self.success("C-P: a layer for the proxy", "C ==[C-P]==> P1 --open--> S", via, "sensor.example", [], ["c-p1"],
                     {("C", "P1"): everything}, {("P1", "S"): ["the text", "echo"]},
                     reads={"wire C-P1": "nothing", "P1, wire P1-S and S": "everything"})
        self.success("C-S: end to end, through a proxy that has no part in it", "C ==[C-S]==> P1 ==[C-S]==> S",
                     inner + ["-P", self.stage.uri("C-P1")], "sensor.example", ["c-s"], ["c-s"],
                     {("C", "P1"): ["the text", "echo"], ("P1", "S"): ["the text", "echo"]}, {("C", "P1"): ["sensor.example"]},
                     reads={"wires and P1": "the host", "S": "everything"})
        seen = self.success("C-S + C-P: end to end, and a layer for the proxy", "C ==[C-P[C-S]]==> P1 ==[C-S]==> S",
                            inner + via, "sensor.example", ["c-s"], ["c-p1", "c-s"],
                            {("C", "P1"): everything, ("P1", "S"): ["the text", "echo"]}, {("P1", "S"): ["sensor.example"]},
                            reads={"wire C-P1": "nothing", "P1 and wire P1-S": "the host", "S": "everything"})
        self.recorded = leg(seen, "C", "P1")[0] if leg(seen, "C", "P1") else None
        self.success("C-S + P-S: the proxy adds a layer of its own", "C ==[C-S]==> P1 ==[P-S[C-S]]==> S",
                     inner + ["-P", self.stage.uri("C-P1")], "vault.example", ["p1-s", "c-s"], ["c-s"],
                     {("C", "P1"): ["the text", "echo"], ("P1", "S"): ["the text", "echo"]}, {("C", "P1"): ["vault.example"]},
                     reads={"wires and P1": "the host", "S": "everything, from P1 and from C"})
        self.success("C-S + C-P + P-S: one layer off, another on", "C ==[C-P[C-S]]==> P1 ==[P-S[C-S]]==> S", inner + via,
                     "vault.example", ["p1-s", "c-s"], ["c-p1", "c-s"],
                     {("C", "P1"): ["the text", "echo", "vault.example"], ("P1", "S"): ["the text", "echo"]},
                     reads={"wire C-P1": "nothing", "P1": "the host", "wire P1-S": "the host", "S": "everything"})

    def onion(self):
        inner = self.end_to_end()
        self.success("onion through two proxies: each learns its next hop and no more",
                     "C ==[C-P1[C-P2[C-S]]]==> P1 ==[C-P2[C-S]]==> P2 ==[C-S]==> S",
                     inner + self.via("C-P1", "c-p1") + self.via("p2.example", "c-p2"), "sensor.example", ["c-s"],
                     ["c-p1", "c-p2", "c-s"],
                     {("C", "P1"): ["the text", "echo", "sensor.example", "p2.example"],
                      ("P1", "P2"): ["the text", "echo", "sensor.example"], ("P2", "S"): ["the text", "echo"]},
                     reads={"wire C-P1": "nothing", "P1": "that it goes to P2", "P2": "that it goes to the sensor",
                            "S": "everything, but not who C is"})

    def reverse(self):
        inner, via = self.end_to_end(), self.via("C-P1", "c-p1")
        self.success("reverse by path: the first segment names the device behind the gateway",
                     "C ==[C-P[dev1, C-S]]==> P1 ==[P-S[C-S]]==> S", inner + via + ["--route-path", "dev1"], "C-P1",
                     ["p1-s", "c-s"], ["c-p1", "c-s"],
                     {("C", "P1"): ["the text", "echo", "dev1"], ("P1", "S"): ["the text", "echo", "dev1"]},
                     reads={"both wires": "nothing", "P1": "the device", "S": "everything"})
        self.success("reverse by host: C takes P1 for the device", "C ==[C-P]==> P1 ==[P-S]==> S", via + ["--reverse"],
                     "dev.example", ["p1-s"], ["c-p1"],
                     {("C", "P1"): ["the text", "echo"], ("P1", "S"): ["the text", "echo", "dev.example"]},
                     {("C", "P1"): ["dev.example"]},
                     reads={"wire C-P1": "the host", "wire P1-S": "nothing", "P1 and S": "everything"})

    # ---- a cache that cannot read what it keeps ----

    def deterministic(self):
        """All members of the group make the same request of the same words [cacheable#3.4.2], so P1 can keep the answer."""
        first = self.ask_as_member("C", "c-p1", "C ==[C-P[group]]==> P1 ==[group]==> S", hit=False)
        time.sleep(1.2)
        self.ask_as_member("D", "d-p1", "D ==[D-P[group]]==> P1", hit=True, before=first)

    def ask_as_member(self, who, context, picture, hit, before=None):
        stage, judge = self.stage, self.judge
        command = ["get", "--deterministic", stage.path(f"group-{who}.yaml"), *self.via("C-P1", context),
                   stage.uri("sensor.example", "/hello")]
        judge.begin("cached under end-to-end protection: " + ("another member's key, the same request: HIT" if hit else
                                                              "the first member asks: MISS"), picture, self.short(command))
        mark, log_mark = stage.wires.mark(), len(stage.origin_log)
        stage.wire["C-P1"].left = who
        answer = stage.client(*command)
        seen = stage.wires.since(mark)
        stage.wire["C-P1"].left = "C"
        judge.hops(seen)
        judge.reads(**{"wires and P1": "that it is a request of the group, and whether it was asked before", "S": "everything"})
        age = next((x["outer_max_age"] for x in answer.get("layers", []) if "outer_max_age" in x), None)
        judge.check(answer["exit"] == 0 and answer.get("payload") == "Hello from the origin" and answer.get("vouched_by") == "S",
                    f"S's words, signed by S{self.why(answer)}")
        judge.check([x["came_off"] for x in answer.get("layers", [])] == [True, True], f"{who} took off {context} and the group's layer")
        asked = self.origin_since(log_mark)
        if hit:
            judge.check(not asked and not leg(seen, "P1", "S"), "S was not asked, nothing passed between P1 and S")
            judge.check(age is not None and before is not None and 0 < age < before,
                        f"Max-Age {before} s became {age} s while P1 kept it")
        else:
            judge.check(len(asked) == 1 and asked[0].get("path") == "/hello" and asked[0]["layers"][0].get("deterministic") is True,
                        "S was asked once, with a deterministic request")
            judge.check(age is not None and age > 0, f"P1 may keep the answer for {age} s")
        legs = [(who, "P1")] + ([] if hit else [("P1", "S")])
        self.check_secrecy(seen, "Hello from the origin", {where: ["the text", "hello"] for where in legs}, ())
        judge.end()
        return age

    # ---- keys that nobody configured ----

    def agreed(self):
        """The two examples of the draft with EDHOC [ocp#B.4] [ocp#B.5], and what is left of them for the next call."""
        self.edhoc("EDHOC with P1, then through P1 with S, then the request: 5 round trips",
                   "C <-EDHOC-> P1; C ==[C-P[EDHOC]]==> P1 <-EDHOC-> S; C ==[C-P[C-S]]==> P1 ==[C-S]==> S", [], 5, 2, 2)
        self.edhoc("the same again: the contexts are kept", "C ==[C-P[C-S]]==> P1 ==[C-S]==> S", [], 1, 0, 0)
        self.edhoc("new contexts, each message_3 in a request that is on its way anyway: 3 round trips",
                   "C <-EDHOC-> P1; C ==[message_3, C-P[EDHOC]]==> P1 --> S; C ==[C-P[message_3, C-S]]==> P1 ==> S",
                   ["--fresh", "--combined"], 3, 1, 1)

    def edhoc(self, title, picture, words, trips, at_p1, at_s):
        """`at_p1`, `at_s`: requests in the open to the EDHOC resource of P1, and those that S gets."""
        stage, judge = self.stage, self.judge
        secret = f"21.5 C, {secrets.token_hex(8)}"
        command = ["post", "--edhoc", stage.path("edhoc-C", "edhoc.yaml"), "--via", f"{stage.uri('C-P1')},edhoc=P1", "-E",
                   "edhoc=S", *words, stage.uri("sensor.example", "/echo"), "-d", secret]
        judge.begin(title, picture, self.short(command))
        mark, log_mark = stage.wires.mark(), len(stage.origin_log)
        answer = stage.client(*command)
        seen = stage.wires.since(mark)
        judge.hops(seen)
        judge.reads(**{"wire C-P1": "that keys are agreed on" if at_p1 else "nothing", "P1": "the host", "S": "everything"})
        judge.check(answer["exit"] == 0 and answer.get("code") == "2.04", f"2.04 and exit status 0{self.why(answer)}")
        judge.check(answer.get("payload") == secret, "the text came back unchanged")
        judge.check([x["context"] for x in answer.get("layers", []) if x["came_off"]] == ["P1", "S"],
                    "C took off the layers of P1 and S")
        requests = [coap.Message(d) for d in leg(seen, "C", "P1")]
        judge.check(answer.get("round_trips") == trips == len(requests), f"{trips} round trip{'s' * (trips > 1)}, told and counted")
        judge.check(sum(m.option(coap.OSCORE) is None for m in requests) == at_p1,
                    f"{at_p1 or 'none'} of them without a layer")
        combined = sum(m.option(EDHOC) is not None for m in requests)
        onward = sum(coap.Message(d).option(EDHOC) is not None for d in leg(seen, "P1", "S"))
        both = "--combined" in words
        judge.check((combined, onward) == (both, both), "one combined request for P1, one for S" if both else "none combined")
        asked = [line.get("path") for line in self.origin_since(log_mark)]
        judge.check(asked == ["/.well-known/edhoc"] * at_s + ["/echo"], f"S saw {at_s or 'no'} message{'s' * (at_s != 1)} of EDHOC "
                                                                         "in requests of their own, and POST /echo")
        self.check_secrecy(seen, secret, {("C", "P1"): ["the text", "echo", "sensor.example"], ("P1", "S"): ["the text", "echo"]}, ())
        judge.end()

    # ---- observations ----

    def observed(self):
        stage, judge = self.stage, self.judge
        command = ["get", "--observe=4", *self.end_to_end(), *self.via("C-P1", "c-p1"), stage.uri("sensor.example", "/ticks")]
        judge.begin("an observation through two layers: four notifications, then deregistered",
                    "C ==[C-P[C-S]]==> P1 ==[C-S]==> S; S tells, P1 relays under a number of its own", self.short(command))
        mark, log_mark = stage.wires.mark(), len(stage.origin_log)
        status, lines, errors = stage.run(*command)
        told, end = [line for line in lines if "notification" in line], lines[-1] if lines else {}
        seen = stage.wires.since(mark, 3 * TICK)
        judge.hops(seen)
        judge.reads(**{"wires": "that something is observed", "P1": "the host, and when there is news", "S": "everything"})
        ticks = [line.get("payload", "").split()[-1:] for line in told]
        judge.check(status == 0 and len(told) == 4, f"four notifications and exit status 0{'' if status == 0 else f' ({errors.strip()})'}")
        judge.check(len(ticks) == 4 and all(int(a[0]) < int(b[0]) for a, b in zip(ticks, ticks[1:])),
                    f"in order: tick {', '.join(t[0] for t in ticks if t)}")
        judge.check(bool(told) and all([x["context"] for x in line["layers"] if x["came_off"]] == ["c-p1", "c-s"] for line in told),
                    "each came under both layers")
        for which, name in ((0, "P1"), (1, "S")):
            numbers = [line["layers"][which].get("notification_number") for line in told[1:]]
            judge.check(None not in numbers and numbers == sorted(set(numbers)) and len(numbers) == 3,
                        f"with Partial IVs of {name}'s own: {numbers}")
        judge.check(end.get("deregistered") is True and end.get("refused") == 0, "C deregistered, none was refused")
        log = self.origin_since(log_mark)       # the Token of Observe 1 ends it, or the Reset to what came after it
        ended = [line for line in log if "observation" in line]
        asked = [line for line in log if line.get("path") == "/ticks"]
        judge.check(len(asked) == 2 and [o["value"] for line in asked for o in line["options"] if o["name"] == "Observe"] == [0, 1],
                    "S was asked twice: Observe 0, Observe 1")
        judge.check(len(ended) == 1 and ended[0]["observation"] in ("deregistered", "rejected") and ended[0]["notifications"] >= 4,
                    f"S ended it: {ended[0]['observation'] if ended else 'no'}")
        self.check_secrecy(seen, "tick ", {("C", "P1"): ["the text", "ticks", "sensor.example"], ("P1", "S"): ["the text", "ticks"]}, ())
        judge.end()

    # ---- bodies ----

    def large(self):
        inner, via = self.end_to_end(), self.via("C-P1", "c-p1")
        self.body("64 KiB up and down under C-P, in blocks", "C ==[C-P]==> P1 --open--> S", via, [], [("C", "P1")], [("P1", "S")])
        self.body("64 KiB up and down under C-S and C-P: the blocks are inside both",
                  "C ==[C-P[C-S]]==> P1 ==[C-S]==> S", inner + via, ["c-s"], [("C", "P1"), ("P1", "S")], [])

    def body(self, title, picture, words, layers, hidden, shown):
        stage, judge = self.stage, self.judge
        sent = secrets.token_bytes(BODY)
        with open(stage.path("up"), "wb") as file:
            file.write(sent)
        command = ["post", *words, "-f", stage.path("up"), "-o", stage.path("down"), stage.uri("sensor.example", "/echo")]
        judge.begin(title, picture, self.short(command))
        mark, log_mark = stage.wires.mark(), len(stage.origin_log)
        answer = stage.client(*command)
        seen = stage.wires.since(mark)
        judge.hops(seen, 8)
        judge.check(answer["exit"] == 0 and answer.get("code") == "2.04", f"2.04 and exit status 0{self.why(answer)}")
        with open(stage.path("down"), "rb") as file:
            came = file.read()
        judge.check(came == sent, f"the same {BODY} bytes came back, SHA-256 {hashlib.sha256(came).hexdigest()[:16]}...")
        judge.check((answer.get("blocks_sent"), answer.get("blocks_received")) == (64, 64), "64 blocks up, 64 down")
        asked = self.origin_since(log_mark)
        judge.check(len(asked) == 127 and all([x["context"] for x in line["layers"]] == layers for line in asked),
                    f"S was asked 127 times, {'under ' + ' and '.join(layers) if layers else 'without a layer'}")
        tags = {next((o["value"] for o in line["options"] if o["name"] == "Request-Tag"), None) for line in asked}
        judge.check(len(tags) == 1 and (None not in tags), "all of one Request-Tag")
        judge.check(max(len(datagram) for *_, datagram in seen) < 1280, "no datagram larger than 1280 bytes")
        pieces = [sent[at:at + 32] for at in range(0, BODY, 1024)]
        for a, b in hidden + shown:
            data = b"".join(leg(seen, a, b) + leg(seen, b, a))
            if (a, b) in hidden:
                judge.check(bool(data) and not any(piece in data for piece in pieces), f"nothing of it readable between {a} and {b}")
            else:
                judge.check(all(piece in data for piece in pieces), f"all of it in the open between {a} and {b}")
        judge.end()

    # ---- exchanges that have to fail ----

    def failure(self, title, picture, words, host, code, vouched, status, reads=None, took_at_least=0, legs=(("C", "P1"),)):
        stage, judge = self.stage, self.judge
        command = ["get", *words, stage.uri(host, "/hello")]
        judge.begin(title, picture, self.short(command))
        mark, log_mark = stage.wires.mark(), len(stage.origin_log)
        begin = time.monotonic()
        answer = stage.client(*command)
        took = time.monotonic() - begin
        seen = stage.wires.since(mark)
        judge.hops(seen)
        if reads:
            judge.reads(**reads)
        judge.check(answer.get("code") == code and answer["exit"] == status,
                    f"{code} and exit status {status}{self.why(answer) if answer.get('code') != code else ''}")
        judge.check(answer.get("vouched_by") == vouched,
                    f"protected by {vouched}" if vouched else "unprotected, and told as such")
        judge.check(not self.origin_since(log_mark), "S was not asked")
        used = {(a, b) for _, a, b, _ in seen} - {(b, a) for a, b in legs}
        judge.check(used == set(legs), "nothing went any further")
        if took_at_least:
            judge.check(took >= took_at_least, f"after {took:.1f} s")
        judge.end()

    def refused(self):
        via = self.via("C-P1", "c-p1")
        self.failure("a client that may not: 4.01 under its layer", "C ==[C-P]==> P1", self.via("C-P1", "stranger"),
                     "sensor.example", "4.01", "stranger", 4, reads={"wire C-P1": "not even that it was refused"})
        self.failure("a client without a layer, where one is asked for: 4.01", "C --open--> P1",
                     ["-P", self.stage.uri("C-P1")], "dead.example", "4.01", None, 4)
        self.failure("wrong key: 4.00", "C ==[C-P, wrong key]==> P1",
                     ["--via", f"{self.stage.uri('C-P1')},context={self.stage.path('wrong.yaml')}"], "sensor.example", "4.00",
                     None, 4)
        self.success("the right key under the sequence number of the wrong one: a bad tag moves no window",
                     "C ==[C-P]==> P1 --open--> S", self.via("C-P1", "spare"), "sensor.example", [], ["spare"],
                     {("C", "P1"): ["the text"]})
        self.failure("dead upstream: 5.04 under the client's layer", "C ==[C-P[C-S]]==> P1 ==[C-S]==> nobody",
                     self.end_to_end() + via, "dead.example", "5.04", "c-p1", 5, took_at_least=RESPONSE_TIMEOUT * 0.9)

    def repeated(self):
        """A retransmission is answered from memory, with the same bytes [rfc7252#4.5]."""
        stage = self.stage
        stage.wire["C-P1"].repeat = True
        mark = stage.wires.mark()

        def both_answers():
            seen = stage.wires.since(mark, 0.2)
            there, back = leg(seen, "C", "P1"), [d for d in leg(seen, "P1", "C") if d[1]]
            self.judge.check(len(there) == 2 and there[0] == there[1], "P1 got the datagram twice")
            self.judge.check(len(back) == 2 and back[0] == back[1], "both answers are the same bytes")

        self.success("a datagram that arrives twice: one request, the same answer twice",
                     "C ==[C-P]==> P1 (twice) --open--> S", self.via("C-P1", "c-p1"), "sensor.example", [],
                     ["c-p1"], {("C", "P1"): ["the text"]}, extra=both_answers)

    def replayed(self):
        stage, judge = self.stage, self.judge
        judge.begin("a recorded datagram, sent again under a new Message ID: 4.01", "? ==[C-P[C-S]]==> P1")
        log_mark, mark = len(stage.origin_log), stage.wires.mark()
        judge.check(self.recorded is not None, "there is a recorded request")
        if self.recorded:
            datagram = coap.Message(self.recorded).with_mid(0xabcd)
            reply = stage.raw(datagram)
            judge.hops([(None, "?", "P1", datagram)] + ([(None, "P1", "?", reply)] if reply else []))
            message = coap.Message(reply) if reply else None
            judge.check(bool(message) and message.dotted == "4.01" and message.option(coap.OSCORE) is None,
                        "4.01, unprotected")
            judge.check(bool(message) and message.payload == b"Replay detected", "it says why")
        judge.check(not stage.wires.since(mark, 0.1) and not self.origin_since(log_mark), "nothing was forwarded, S was not asked")
        judge.end()

    def restarted(self):
        stage, judge = self.stage, self.judge
        judge.begin("P1 ends by kill -9 and starts again; an old recorded datagram comes first",
                    "? ==[C-P[C-S]]==> P1, whose replay window is unknown now")
        before = self.numbers_of_p1()
        stage.kill("P1")
        stage.start("P1")
        log_mark, mark = len(stage.origin_log), stage.wires.mark()
        judge.check(self.recorded is not None, "there is a recorded request")
        if self.recorded:
            datagram = coap.Message(self.recorded).with_mid(0xabce)
            reply = stage.raw(datagram)
            judge.hops([(None, "?", "P1", datagram)] + ([(None, "P1", "?", reply)] if reply else []))
            option = coap.Message(reply).option(coap.OSCORE) if reply else None
            judge.check(option is not None and coap.parse_oscore(option)[1] is not None,
                        "a challenge that only C can read, under a Partial IV of P1's own")
        judge.check(not stage.wires.since(mark, 0.1) and not self.origin_since(log_mark), "nothing was forwarded, S was not asked")
        judge.end()

        def echo_stays(seen_from):
            """P1's Echo is between C and P1 [rfc9175#2.3]."""
            onward = [coap.Message(d) for d in leg(stage.wires.since(seen_from), "P1", "S")]
            judge.check(bool(onward) and all(m.option(252) is None for m in onward), "P1's Echo went no further")

        def numbers_go_on():
            after = self.numbers_of_p1() - before
            judge.check(bool(before) and bool(after) and min(after) > max(before),
                        f"P1's sequence numbers towards S went on behind all used before ({max(before, default=-1)}, "
                        f"then {min(after, default=-1)})")

        inner, via = self.end_to_end(), self.via("C-P1", "c-p1")
        self.success("the real client after that restart: it is challenged, answers with the Echo, and gets through",
                     "C ==[C-P[C-S]]==> P1 4.01 Echo; C ==[C-P[Echo, C-S]]==> P1 ==[P-S[C-S]]==> S", inner + via,
                     "vault.example", ["p1-s", "c-s"], ["c-p1", "c-s"], {("C", "P1"): ["the text", "vault.example"]},
                     attempts=2, reads={"wire C-P1": "nothing, not even the challenge"}, extra=numbers_go_on)

        stage.kill("P1")
        stage.kill("S")
        stage.start("S")
        stage.start("P1")
        begin = stage.wires.mark()
        self.success("P1 and S end by kill -9 at once: two challenges, each at its own layer",
                     "C ==[C-P[C-S]]==> P1 4.01 Echo; then S 4.01 Echo under C-S and C-P; then through", inner + via,
                     "sensor.example", ["c-s"], ["c-p1", "c-s"], {("C", "P1"): ["the text", "sensor.example"]}, attempts=3,
                     extra=lambda: echo_stays(begin))

    def numbers_of_p1(self):
        """Partial IVs that P1 used towards S so far, from the wire."""
        numbers = set()
        with self.stage.wires.lock:
            seen = list(self.stage.wires.seen)
        kid = bytes.fromhex(CONTEXTS["p1-s"][1])
        for datagram in leg(seen, "P1", "S"):
            option = coap.Message(datagram).option(coap.OSCORE)
            if option and coap.parse_oscore(option)[0] == kid:
                numbers.add(int.from_bytes(coap.parse_oscore(option)[1], "big"))
        return numbers

    def run(self):
        for part in (self.plain, self.layered, self.onion, self.reverse, self.deterministic, self.agreed,
                     self.observed, self.large,
                     self.refused, self.repeated, self.replayed, self.restarted):
            part()


TOTAL = 2 + 5 + 1 + 2 + 2 + 3 + 1 + 2 + 5 + 1 + 1 + 3


def introduce(stage):
    print(f"""Osprey demo: OSCORE end to end (C-S), for a proxy (C-P), of a proxy (P-S), nested, on loopback.

  C   client                         S   origin, coap://{stage.ip['S']}:{stage.port}, context c-s with C, p1-s with P1
  P1  proxy at {stage.ip['P1']:<15}       context c-p1 with C, d-p1 with D; a cache; route /dev1/* and host dev.example to S
  P2  proxy at {stage.ip['P2']:<15}       context c-p2 with C
  C, P1 and S have credentials for EDHOC, and no context of each other for it.
  D   another client; C, D and S are members of one OSCORE group, each with a key of its own
  Every datagram passes a wire that writes it down; all keys were drawn a moment ago.  --open--> anybody can read,
  ==[X[Y]]==> layer Y inside layer X.""")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="directory of the built programs")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    judge = Judge(TOTAL)
    stage = Stage(args.build)
    begin = time.monotonic()
    try:
        stage.open()
        introduce(stage)
        Demo(stage, judge).run()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"demo: stopped: {error}")
    finally:
        stage.stop()
    print(f"\n{time.monotonic() - begin:.1f} s")
    print(f"demo: {judge.good} of {judge.total} exchanges verified")
    sys.exit(0 if judge.good == judge.total == judge.number else 1)


if __name__ == "__main__":
    main()
