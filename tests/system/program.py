# SPDX-License-Identifier: BSD-2-Clause
"""osprey and osprey origin as programs, for tests that have the other party at hand."""
import json
import os
import queue
import select
import subprocess
import threading

from daemon import BUILD, REPORT, SLOW, context_entry, environment, write_private
from peer import coap

OSPREY = BUILD / "osprey"


def context_file(directory, name, context):
    return write_private(os.path.join(directory, f"{name}.yaml"), json.dumps(dict(context_entry(name, context))))


def via(directory, name, context, proxy):
    file = context_file(directory, name, context)
    return "--via", f"coap://{proxy.address[0]}:{proxy.address[1]},context={file}"


class Client:
    """One run of osprey, under way."""

    def __init__(self, directory, *words, stdin=subprocess.DEVNULL):
        command = [OSPREY, *map(str, words), "--json", "--state", os.path.join(directory, "client")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin, bufsize=0,
                                        env=environment())

    def line(self, timeout=5):
        """The next line of JSON, None at the end."""
        ready, _, _ = select.select([self.process.stdout], [], [], timeout * SLOW)
        assert ready, "nothing was said"
        text = self.process.stdout.readline()
        return json.loads(text) if text else None

    def end(self, timeout=20):
        """Exit status, the lines that are left, standard error."""
        out, errors = self.process.communicate(timeout=timeout * SLOW)
        assert not REPORT.search(errors), errors.decode(errors="replace")
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], errors.decode(errors="replace")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def ask(directory, *words, data=None):
    """(exit status, JSON, standard error) of one run."""
    done = subprocess.run([OSPREY, *map(str, words), "--json", "--state", os.path.join(directory, "client")], input=data,
                          capture_output=True, timeout=30 * SLOW, check=False, env=environment())
    assert not REPORT.search(done.stderr), done.stderr.decode(errors="replace")
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.decode(errors="replace")


class Origin:
    """osprey origin"""

    def __init__(self, directory, *words, contexts=()):
        files = [word for i, context in enumerate(contexts) for word in ("-E", context_file(directory, f"s{i}", context))]
        command = [OSPREY, "origin", "--listen", "coap://127.0.0.1:0", "--json", "--state", os.path.join(directory, "origin"),
                   *files, *map(str, words)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.lines = queue.Queue()          # read all the time: a full pipe would stop the origin
        threading.Thread(target=self.read, daemon=True).start()
        line = self.raw_line()
        assert "listening on coap://" in line, self.process.stderr.read()
        self.uri = line.split()[-1]
        host, port = self.uri[len("coap://"):].rsplit(":", 1)
        self.host, self.port = host, int(port)
        self.address = (self.host, self.port)

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode())

    def raw_line(self, timeout=5):
        try:
            return self.lines.get(timeout=timeout * SLOW)
        except queue.Empty:
            raise AssertionError("nothing was said") from None

    def log(self):
        """What was said since the last time."""
        said = []
        try:
            while True:
                said.append(json.loads(self.lines.get(timeout=0.1)))
        except queue.Empty:
            return said

    def wait_for(self, *what):
        """The next line about an observation that says one of these."""
        while True:
            line = json.loads(self.raw_line())
            if line.get("observation") in what:
                return line

    def close(self):
        self.process.terminate()
        self.process.wait(10 * SLOW)
        said = self.process.stderr.read()
        assert self.process.returncode == 0 and not REPORT.search(said), said

    def kill(self):
        self.process.kill()
        self.process.wait()


def block(num, more, szx):
    return coap.uint(num << 4 | more << 3 | szx)


def block_of(value):
    """(NUM, M, SZX)"""
    number = int.from_bytes(value, "big")
    return number >> 4, bool(number & 8), number & 7
