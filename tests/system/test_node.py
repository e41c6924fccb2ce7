# SPDX-License-Identifier: BSD-2-Clause
"""node's `coap` from npm as a client through the proxy; skipped where there is no node, npm or registry."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from daemon import BUILD, SLOW
from peer import coap, net

PACKAGE = "coap@1"
MODULES = BUILD / "node"
CLIENT = pathlib.Path(__file__).resolve().parent / "node_client.js"


@pytest.fixture(scope="module")
def modules():
    """Where `coap` is; it is fetched once for each build directory."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node or npm is not installed")
    if not (MODULES / "node_modules" / "coap").exists():
        MODULES.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--fetch-retries=0", "--fetch-timeout=15000",
                   "--prefix", str(MODULES), PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, timeout=25, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            pytest.skip("the npm registry does not answer")
        if done.returncode != 0:
            pytest.skip("npm could not install `coap`")
    return MODULES / "node_modules"


def ask(modules, proxy, target, *words):
    done = subprocess.run(["node", str(CLIENT), *map(str, proxy.address), target, *words], capture_output=True, timeout=15 * SLOW,
                          check=False, stdin=subprocess.DEVNULL, env=dict(os.environ, NODE_PATH=str(modules)))
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


# row P01 (partly: as node's coap writes it)
def test_a_get_with_proxy_uri(modules, stage):
    proxy, origin = stage.proxy(), stage.origin()
    got = ask(modules, proxy, net.uri(origin.address, "/a/b?c=d"))
    assert got == {"code": "2.05", "payload": "hello"}
    seen = origin.requests()[0].plain
    assert seen.path() == "/a/b" and seen.get(coap.URI_QUERY) == b"c=d"


def test_a_post_with_a_body(modules, stage):
    proxy, origin = stage.proxy(), stage.origin(lambda r: coap.response("2.04", r.payload[::-1]))
    assert ask(modules, proxy, net.uri(origin.address), "POST", "body") == {"code": "2.04", "payload": "ydob"}


def test_a_non_confirmable_get(modules, stage):
    proxy, origin = stage.proxy(), stage.origin()
    assert ask(modules, proxy, net.uri(origin.address), "GET", "", "non")["code"] == "2.05"


def test_an_error_of_the_proxy(modules, stage):
    proxy = stage.proxy(clients=[])
    assert ask(modules, proxy, "coap://127.0.0.1/x")["code"] == "4.01"


def test_debians_coap_server_behind_the_proxy(modules, stage):
    import test_libcoap
    if not test_libcoap.SERVER:
        pytest.skip("libcoap3-bin is not installed")
    server = stage.add(test_libcoap.Server())
    got = ask(modules, stage.proxy(), net.uri(server.address, "/"))
    assert got["code"] == "2.05" and "test server" in got["payload"]
