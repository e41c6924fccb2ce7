# SPDX-License-Identifier: BSD-2-Clause
"""Addresses of the machine itself, real ones: nobody reaches them through the proxy whose rule does not name them."""
import subprocess
import time

import pytest

from daemon import SLOW
from peer import coap

EVERYWHERE = [{"match": {"any": True}, "allow": ["forward coap://*"]}]
ADDRESSES = ["192.0.2.5/24", "2001:db8:5::5/64"]
PORT = 5999                     # somebody else's on this machine


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def add_address(address):
    ip("address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))


def code_for(client, host, port=PORT):
    """How a request for `host` is answered; None: it went on, and nobody answers there."""
    answer = client.exchange(coap.request(path=".well-known/core", host=host, port=port, scheme="coap"), timeout=8 * SLOW)
    return answer.dotted


def wait_for_log(proxy, text):
    deadline = time.monotonic() + 10 * SLOW
    while text not in proxy.log():
        assert time.monotonic() < deadline, proxy.log()[-2000:]
        time.sleep(0.02)


# row P22
@pytest.mark.own_network
@pytest.mark.seconds(90)
@pytest.mark.parametrize("listen", ["coap://0.0.0.0:5683", "coap://127.0.0.1:5683", "coap://[::]:5683"])
def test_every_address_of_the_machine_is_guarded_and_changes_are_followed(stage, listen):
    for address in ADDRESSES:
        add_address(address)
    proxy = stage.proxy(clients=EVERYWHERE, address=("127.0.0.1", 5683), listen=[listen])
    client = stage.client(proxy)
    for host in ("192.0.2.5", "2001:db8:5::5", "::ffff:192.0.2.5", "127.0.0.1", "::1"):
        assert code_for(client, host) == "4.01", host
    assert proxy.metric("osprey_own_addresses") >= 4

    # 2.05 where it is our own authority, which depends on where we listen
    ours = {"coap://0.0.0.0:5683": ["192.0.2.5", "127.0.0.1"], "coap://127.0.0.1:5683": ["127.0.0.1"],
            "coap://[::]:5683": ["192.0.2.5", "2001:db8:5::5", "127.0.0.1"]}[listen]
    for host in ("192.0.2.5", "2001:db8:5::5", "127.0.0.1"):
        assert code_for(client, host, 5683) == ("2.05" if host in ours else "4.01"), host

    for address in ("192.0.2.77", "2001:db8:5::77"):
        assert code_for(client, address) != "4.01"              # nobody is there: 5.02 or 5.04
        before = proxy.metric("osprey_own_addresses_changes_total")
        add_address(f"{address}/{128 if ':' in address else 32}")
        deadline = time.monotonic() + 10 * SLOW
        while proxy.metric("osprey_own_addresses_changes_total") == before:
            assert time.monotonic() < deadline, "the new address was not noticed"
            time.sleep(0.02)
        assert code_for(client, address) == "4.01"
    wait_for_log(proxy, "addresses-changed")


# row P22
def test_hosts_that_lead_to_loopback_need_a_rule_that_names_it(stage):
    origin = stage.origin()
    named = f"forward coap://127.0.0.0/8:{origin.port}"
    for allow, want in ((["forward coap://s.example"], "4.01"), (["forward coap://s.example", named], "2.05")):
        proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": allow}], hosts={"s.example": origin.host})
        request = coap.request(path="t", host="s.example", port=origin.port, scheme="coap")
        assert stage.client(proxy).exchange(request).dotted == want
    assert origin.count() == 1
