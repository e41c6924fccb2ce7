# SPDX-License-Identifier: BSD-2-Clause
"""Debian's coap-client and coap-server as client and origin through the proxy."""
import shutil
import subprocess
import time

import pytest

from daemon import SLOW, die_with_parent
from peer import coap, net

CLIENT = shutil.which("coap-client-notls") or shutil.which("coap-client")
SERVER = shutil.which("coap-server-notls") or shutil.which("coap-server")
pytestmark = pytest.mark.skipif(not CLIENT or not SERVER, reason="libcoap3-bin is not installed")


class Server:
    """A coap-server of Debian on loopback."""

    def __init__(self, port=None, *options):
        self.address = net.free_address(port)
        self.running = subprocess.Popen([SERVER, "-A", self.address[0], "-p", str(self.address[1]), "-d", "10", *options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=die_with_parent)
        with net.Client(self.address) as client:
            for _ in range(100):
                client.send(bytes.fromhex("40001234"))
                if client.receive_raw(0.05) is not None:
                    return
        raise AssertionError("coap-server did not start")

    def close(self):
        self.running.terminate()
        self.running.wait(5)


def ask(*words, wait=5):
    """(payload, what it said): one run of coap-client."""
    done = subprocess.run([CLIENT, "-B", str(wait), *map(str, words)], capture_output=True, timeout=(wait + 10) * SLOW,
                          stdin=subprocess.DEVNULL, check=False)
    return done.stdout.decode().strip(), done.stderr.decode()


@pytest.fixture
def server(stage):
    return stage.add(Server())


def test_coap_client_with_P_gets_its_answer_from_coap_server(stage, server):
    proxy = stage.proxy()
    out, err = ask("-P", net.uri(proxy.address), net.uri(server.address, "/"))
    assert "test server" in out, err
    out, err = ask("-P", net.uri(proxy.address), net.uri(server.address, "/time"))
    assert out, err
    assert proxy.metric("osprey_forwarded_total", way="forward") == 2


def test_coap_client_non_confirmable(stage, server):
    proxy = stage.proxy()
    out, err = ask("-N", "-P", net.uri(proxy.address), net.uri(server.address, "/"))
    assert "test server" in out, err


def test_coap_client_with_proxy_uri_as_an_option(stage, server):
    proxy = stage.proxy()
    out, err = ask("-O", f"35,{net.uri(server.address, '/')}", net.uri(proxy.address))
    assert "test server" in out, err


def test_the_well_known_core_of_the_origin_and_of_the_proxy(stage, server):
    proxy = stage.proxy()
    out, err = ask("-P", net.uri(proxy.address), net.uri(server.address, "/.well-known/core"))
    assert "</time>" in out, err
    out, err = ask(net.uri(proxy.address, "/.well-known/core"))
    assert "</time>" not in out, err


def test_put_get_delete(stage, server):
    proxy = stage.proxy()
    through = ["-P", net.uri(proxy.address)]
    where = net.uri(server.address, "/made")
    ask("-m", "put", "-e", "content", *through, where)
    assert ask(*through, where)[0] == "content"
    ask("-m", "delete", *through, where)
    out, err = ask(*through, where)
    assert "4.04" in out + err


# row M11 (partly: an origin that answers later)
def test_a_separate_response_of_coap_server(stage, server):
    proxy = stage.proxy(limits={"response-timeout": "10s"})
    out, err = ask("-P", net.uri(proxy.address), net.uri(server.address, "/async?1"), wait=8)
    assert "done" in out, err


def test_a_body_of_many_blocks_both_ways(stage, server, tmp_path):
    proxy = stage.proxy()
    body = "".join(f"line {n:05d}\n" for n in range(500))
    file = tmp_path / "body"
    file.write_text(body)
    through = ["-P", net.uri(proxy.address)]
    where = net.uri(server.address, "/big")
    ask("-m", "put", "-b", "512", "-f", file, *through, where, wait=10)
    out, err = ask("-b", "512", *through, where, wait=10)
    assert out.strip() == body.strip(), err[-500:]


def test_a_refused_target(stage, server):
    proxy = stage.proxy(clients=[])
    out, err = ask("-P", net.uri(proxy.address), net.uri(server.address, "/"))
    assert "4.01" in out + err


def test_a_reverse_route_to_coap_server(stage, server):
    proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": ["route *"]}],
                        routes=[{"name": "dev", "match": {"path": "/dev/*"}, "strip": 1, "upstream": {"uri": net.uri(server.address)}}])
    out, err = ask(net.uri(proxy.address, "/dev/time"))
    assert out and "4.0" not in out + err, err


def test_a_dead_origin(stage):
    proxy = stage.proxy()
    silent = stage.origin(lambda r: None)
    begin = time.monotonic()
    out, err = ask("-P", net.uri(proxy.address), net.uri(silent.address, "/"))
    assert "5.04" in out + err
    assert time.monotonic() - begin < 5 * SLOW


def test_the_python_client_gets_answers_of_coap_server(stage, server):
    proxy = stage.proxy()
    m = coap.request(path="", host=server.address[0], port=server.address[1], scheme="coap")
    assert b"test server" in stage.client(proxy).exchange(m).payload
