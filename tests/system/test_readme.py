# SPDX-License-Identifier: BSD-2-Clause
"""
What README.md and docs/quick-start.md tell people to type, typed: every command and every file as it stands there, in an empty
directory, with the ports that stand there too, which are free in a network namespace of its own.
"""
import os
import pathlib
import re
import subprocess
import time

import pytest

from daemon import BUILD, REPORT, SLOW, die_with_parent, environment

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
HELLO = "Hello from the origin"
UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]


def section_blocks(document, *titles):
    """[(language, text)] of the code blocks below the headings `titles`, of all of them without titles."""
    text = (TOP / document).read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.M)
    if titles:
        parts = [part for part in parts if part.split("\n", 1)[0] in titles]
        assert len(parts) == len(titles), f"{document} lacks a section"
    return [(m.group(1), m.group(2)) for part in parts for m in BLOCK.finditer(part)]


class Shell:
    """One bash that sources block after block; programs that a block leaves running are waited for until they listen."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.count = 0
        self.log = self.dir / "log"
        (self.dir / "build").symlink_to(BUILD)
        (self.dir / "home").mkdir()
        env = environment(PATH=f"{BUILD}:{os.environ['PATH']}", HOME=self.dir / "home")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*UNSHARE, "bash", "-e"], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.dir,
                                            env=env, preexec_fn=die_with_parent, start_new_session=True)
        self.say("ip link set lo up; trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT")

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 20 * SLOW
        while not condition():
            assert self.process.poll() is None, f"bash ended: {what}\n{self.said()}"
            assert time.monotonic() < deadline, f"{what}\n{self.said()}"
            time.sleep(0.02)

    def said(self):
        return self.log.read_text(errors="replace")

    def run(self, block):
        """Types a block; returns what was said meanwhile."""
        before = len(self.said())
        self.count += 1
        script, done = self.dir / f"block-{self.count}", self.dir / f"done-{self.count}"
        script.write_text(block)
        self.say(f". {script} </dev/null; touch {done}")
        self.wait_for(done.exists, f"this did not end well:\n{block}")
        for port in self.ports(block):
            self.wait_for(lambda p=port: p in self.bound(), f"nobody listens at port {port}")
        return self.said()[before:]

    def ports(self, block):
        for line in block.replace("\\\n", " ").splitlines():
            if re.search(r"&\s*(#.*)?$", line):
                found = re.search(r"--listen coap://\S*:(\d+)", line)
                yield int(found.group(1)) if found else 5683

    def bound(self):
        """UDP ports of the namespace that somebody is bound to."""
        ports = set()
        for name in ("udp", "udp6"):
            with open(f"/proc/{self.process.pid}/net/{name}", encoding="ascii") as table:
                ports |= {int(line.split()[1].rsplit(":", 1)[1], 16) for line in table.readlines()[1:]}
        return ports

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(20 * SLOW)
        assert not REPORT.search(self.log.read_bytes()), self.said()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def shell(stage, workdir):
    if subprocess.run([*UNSHARE, "ip", "link", "set", "lo", "up"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no network namespace can be made here")
    return stage.add(Shell(workdir))


def type_all(shell, blocks):
    """Types all blocks, and counts the requests for /hello that were answered."""
    asked = answered = 0
    for language, text in blocks:
        if language == "yaml":
            (shell.dir / "osprey.yaml").write_text(text)
            continue
        said = shell.run(text)
        commands = [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#") and "/hello" in line]
        assert said.count(HELLO) >= len(commands), f"{text}\n{said}"
        asked, answered = asked + len(commands), answered + said.count(HELLO)
    return asked, answered


@pytest.mark.seconds(60)
def test_what_the_readme_says_works_as_typed(shell):
    blocks = section_blocks("README.md", "A configuration that works", "Pointing a client at it")
    asked, answered = type_all(shell, blocks)
    assert asked == answered == 2
    text = "".join(text for _, text in blocks)
    assert "coap-client" in text and "osprey get" in text


@pytest.mark.seconds(90)
def test_the_quick_start_works_as_typed(shell):
    asked, answered = type_all(shell, section_blocks("docs/quick-start.md"))
    assert asked == answered == 2


@pytest.mark.seconds(90)
def test_installing_installs_what_building_needs():
    """On a machine that has make alone, too: `make install` runs the same deps as `make demo`."""
    for target in ("install", "deb-free", "demo", "all"):
        said = subprocess.run(["make", "-n", target, "PROGRAMS="], cwd=TOP, capture_output=True, text=True, check=True, timeout=60,
                              env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
        first = next(line for line in said.stdout.splitlines() if line and not line.startswith("make"))
        assert first.strip() == "sh .ci/deps", target
