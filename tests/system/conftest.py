# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures: the daemon, the parties around it, and keys made for one test."""
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from daemon import BUILD, SLOW, Proxy  # noqa: E402
from peer import net  # noqa: E402
from peer.edhoc_coap import EdhocOrigin  # noqa: E402
from peer.oscore import Context, Hop  # noqa: E402

TEST_SECONDS = 30


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): the test may take this long")
    config.addinivalue_line("markers", "peer_only: needs no daemon")
    config.addinivalue_line("markers", "own_network: runs in a network namespace of its own, with loopback up")


INSIDE = "OSPREY_OWN_NETWORK"
UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """A test marked own_network is run by another pytest, inside."""
    if not pyfuncitem.get_closest_marker("own_network") or INSIDE in os.environ:
        return None
    if subprocess.run([*UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no network namespace can be made here")
    inside = f"{pyfuncitem.path}::{pyfuncitem.name}"
    ran = subprocess.run([*UNSHARE, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-m", "pytest", "-q", "-p",
                          "no:cacheprovider", inside], env={**os.environ, INSIDE: "1"}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test hangs."""
    marker = item.get_closest_marker("seconds")
    seconds = int((marker.args[0] if marker else TEST_SECONDS) * SLOW)

    def too_long(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture
def workdir():
    """A directory with a short name, since sockets live in it."""
    path = tempfile.mkdtemp(prefix="osp-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Stage:
    """Makes parties, and takes them away at the end of the test."""

    def __init__(self, directory):
        self.directory = directory
        self.parties = []

    def add(self, party):
        self.parties.append(party)
        return party

    def close(self):
        first = None
        for party in reversed(self.parties):
            try:
                party.close()
            except Exception as error:      # noqa: BLE001 - all of them are closed, then the first error is raised
                first = first or error
                if getattr(party, "process", None):
                    party.kill()
        if first:
            raise first

    def proxy(self, start=True, address=None, **config):
        proxy = self.add(Proxy(os.path.join(self.directory, f"p{len(self.parties)}"), config, address))
        proxy.write()
        return proxy.start() if start else proxy

    def origin(self, answer=net.hello, contexts=(), address=None):
        return self.add(net.Origin(answer, contexts, address))

    def edhoc_origin(self, credentials, peers, answer=net.hello, **options):
        """An EDHOC Responder that knows `peers`; options of EdhocOrigin."""
        return self.add(EdhocOrigin(credentials, [p.without_private() for p in peers], answer, **options))

    def client(self, to, source=None):
        return self.add(net.Client(getattr(to, "address", to), source))

    def wire(self, to):
        return self.add(net.Wire(getattr(to, "address", to)))

    def secure(self, to, end=None, hops=(), add=()):
        return net.Secure(self.client(to), end, hops, add)


@pytest.fixture
def stage(workdir):
    assert (BUILD / "ospreyd").exists(), f"{BUILD}/ospreyd is not there: make, or set OSPREY_BUILD"
    made = Stage(workdir)
    yield made
    made.close()


class Keys:
    """
    Contexts between client, proxy and origin with the IDs of the draft's examples; each is the side of the party
    named first, .other_side() is the other's.
    """

    def __init__(self):
        self.cs = self.make(b"\x5f", b"\x53")
        self.cp = self.make(b"\x20", b"\x50")
        self.cp2 = self.make(b"\x21", b"\x51")
        self.ps = self.make(b"\xd4", b"\x54")

    @staticmethod
    def make(sender_id, recipient_id, **kw):
        return Context(secrets.token_bytes(16), secrets.token_bytes(8), sender_id, recipient_id, **kw)

    def hop(self):
        return Hop(self.cp)


@pytest.fixture
def keys():
    return Keys()
