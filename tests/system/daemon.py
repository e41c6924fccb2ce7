# SPDX-License-Identifier: BSD-2-Clause
"""
The real ospreyd: configuration, start, readiness, signals, end, and what it says of itself.
"""
import ctypes
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time
import urllib.request

import cbor2

from peer import edhoc_cred, place

BUILD = pathlib.Path(os.environ.get("OSPREY_BUILD", "build")).resolve()
REPORT = re.compile(rb"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehaviorSanitizer|ThreadSanitizer")


def is_sanitized():
    return b"__asan_init" in (BUILD / "ospreyd").read_bytes() if (BUILD / "ospreyd").exists() else False


SANITIZED = is_sanitized()
SLOW = 3 if SANITIZED else 1            # times for things that have to be computed, not waited for
RESPONSE_TIMEOUT = 2                    # limits.response-timeout of every proxy here, in seconds

ENVIRONMENT = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:halt_on_error=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
}


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)          # PR_SET_PDEATHSIG: nothing outlives the tests


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "JOURNAL_STREAM")}
    env.update(ENVIRONMENT)
    env.update({k: str(v) for k, v in more.items()})
    return env


def context_entry(name, context, fresh=True):
    """The configuration of `context`, which is the proxy's side of it."""
    entry = {"name": name, "master-secret": {"hex": context.secret.hex()},
             "sender-id": {"hex": context.sender_id.hex()}, "recipient-id": {"hex": context.recipient_id.hex()}}
    if context.salt:
        entry["master-salt"] = {"hex": context.salt.hex()}
    if context.id_context is not None:
        entry["id-context"] = {"hex": context.id_context.hex()}
    if fresh:
        entry["fresh"] = True
    return entry


def edhoc_file(directory, own, trusted, ca=()):
    """The file of credentials; own and trusted are [(name, Credential)], ca [(name, DER)]."""
    def entry(name, credential):
        """CRED_x of a certificate is its DER in a byte string; the file has the DER."""
        item = cbor2.loads(credential.cred)
        return {"name": name, "credential": {"hex": (item if isinstance(item, bytes) else credential.cred).hex()}}

    def own_entry(name, credential):
        ident = set(cbor2.loads(credential.id_cred))
        how = {4: "kid", 14: "value", 33: "x5chain", 34: "x5t"}[ident.pop()]
        return {**entry(name, credential), "id": how,
                "private-key": {"hex": edhoc_cred.private_bytes(credential.private).hex()}}

    made = {"own": [own_entry(*c) for c in own], "trusted": [entry(*c) for c in trusted]}
    made["trusted"] += [{"name": name, "ca": {"hex": der.hex()}} for name, der in ca]
    return write_private(os.path.join(directory, "edhoc.yaml"), json.dumps(made))


def write_private(path, text):
    """Secrets stand in these files: nobody else may read them."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def run(*words, timeout=10, program="ospreyd", cwd=None, env=None):
    """One run to its end: (exit status, stdout, stderr)."""
    done = subprocess.run([BUILD / program, *map(str, words)], capture_output=True, timeout=timeout * SLOW, check=False,
                          cwd=cwd, env=env or environment(), stdin=subprocess.DEVNULL)
    assert not REPORT.search(done.stderr), done.stderr.decode(errors="replace")
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Notify:
    """The socket of sd_notify."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.lines = []

    def wait(self, line, timeout, alive):
        deadline = time.monotonic() + timeout
        while line not in self.lines:
            if time.monotonic() > deadline:
                return False
            if select.select([self.sock], [], [], 0.02)[0]:
                self.lines += self.sock.recv(4096).decode().splitlines()
            elif not alive():
                return False
        return True

    def drain(self):
        while select.select([self.sock], [], [], 0)[0]:
            self.sock.recv(4096)
        self.lines = []

    def close(self):
        self.sock.close()
        os.unlink(self.path)


class Proxy:
    """One ospreyd with a directory, an address and a configuration of its own."""

    def __init__(self, directory, config=None, address=None):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "state").mkdir(mode=0o700, exist_ok=True)
        self.address = address or place.free_address()
        self.status = "http://{}:{}".format(*place.free_address(kind=socket.SOCK_STREAM))
        self.file = self.dir / "osprey.yaml"
        self.config = self.defaults()
        self.config.update(config or {})
        self.process = None
        self.notify = None
        self.errors = self.dir / "stderr"
        self.has_state = set()              # directories in which state was made: once, so that a start never begins anew

    def defaults(self):
        return {
            "listen": [place.uri(self.address)],
            "state": str(self.dir / "state"),
            "state-size": "4MiB",
            "node-name": "p",
            "clients": [{"match": {"any": True}, "allow": ["forward coap://127.0.0.0/8"]}],
            "forward-proxy": {"enabled": True},
            "limits": {"response-timeout": f"{RESPONSE_TIMEOUT}s", "drain": "500ms", "upstream-ports": 4,
                       "memory": "32MiB", "messages": 20000, "exchanges": 2000},
            "control": str(self.dir / "control"),
            "status": self.status,
            "log": {"level": "debug"},
        }

    def write(self, **changes):
        """The configuration, as JSON, which is YAML."""
        self.config.update(changes)
        return write_private(self.file, json.dumps(self.config, indent=1))

    # ---- life ----

    def init_state(self):
        """Makes the state of a directory that is new in this test; nothing else ever does. What it said, if it could not."""
        state = self.config.get("state")
        if not state or state in self.has_state:
            return ""
        status, _, err = run("-c", self.file, "--init-state", cwd=self.dir)
        if status == 0:
            self.has_state.add(state)
        return err

    def recover_state(self):
        """The way out where state was lost; what it says it did."""
        status, out, err = run("-c", self.file, "--recover-state", cwd=self.dir)
        assert status == 0, err
        return out

    def start(self, timeout=5.0, wait=True):
        if not self.file.exists():
            self.write()
        self.init_state()
        self.notify = self.notify or Notify(self.dir / "n")
        self.notify.drain()
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen([BUILD / "ospreyd", "-c", str(self.file)], stdin=subprocess.DEVNULL, stdout=errors,
                                            stderr=errors, env=environment(NOTIFY_SOCKET=self.notify.path), cwd=self.dir,
                                            preexec_fn=die_with_parent)
        if wait and not self.notify.wait("READY=1", timeout * SLOW, lambda: self.process.poll() is None):
            raise AssertionError(f"ospreyd did not get ready:\n{self.log()[-3000:]}")
        return self

    def log(self):
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=5.0):
        """A clean stop; returns the exit status."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"ospreyd did not stop on SIGTERM:\n{self.log()[-3000:]}") from None
        self.process = None
        self.check_log()
        return status

    def kill(self):
        """As a power cut would."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def check_log(self):
        text = self.errors.read_bytes() if self.errors.exists() else b""
        assert not REPORT.search(text), text.decode(errors="replace")[-6000:]

    def close(self):
        """The end of a test: nothing is left running, and it went well."""
        if self.process is not None:
            crashed = self.process.poll()
            assert crashed is None, f"ospreyd ended by itself with {crashed}:\n{self.log()[-6000:]}"
            assert self.stop() == 0, f"ospreyd did not end well:\n{self.log()[-3000:]}"
        self.check_log()
        if self.notify:
            self.notify.close()
            self.notify = None

    def reload(self, timeout=5.0):
        """SIGHUP; waits until it has said so."""
        self.notify.drain()
        before = self.log().count("\n")
        self.signal(signal.SIGHUP)
        assert self.notify.wait("READY=1", timeout * SLOW, self.is_running), self.log()[-3000:]
        return "\n".join(self.log().split("\n")[before:])

    # ---- what it says of itself ----

    def http(self, path, timeout=3.0):
        with urllib.request.urlopen(self.status + path, timeout=timeout * SLOW) as answer:
            return answer.read().decode()

    def metrics(self):
        """{'name{labels}': value}"""
        found = {}
        for line in self.http("/metrics").splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def metric(self, name, **labels):
        inside = ",".join(f'{k}="{v}"' for k, v in labels.items())
        return self.metrics()[f"{name}{{{inside}}}" if labels else name]

    def errors_by(self, reason):
        return self.metric("osprey_errors_total", reason=reason)

    def dropped_by(self, reason):
        return self.metric("osprey_datagrams_dropped_total", reason=reason)

    def ctl(self, *words):
        return run("--socket", self.config["control"], *words, program="ospreyctl")
