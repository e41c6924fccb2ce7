# SPDX-License-Identifier: BSD-2-Clause
"""Whose the state directory is: one daemon's, one user's, and state.mdb stays in its place while the daemon runs."""
import os
import shutil
import time

import pytest

from daemon import SLOW, context_entry, run
from peer.edhoc_cred import Credential
from test_edhoc import ALLOW, Responder
from test_layers import Hop, forward, secure_proxy

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files to another user")


def refused(proxy, *words):
    """It ends by itself with one line that has these words."""
    proxy.write()
    status, out, err = run("-c", proxy.file, timeout=20)
    assert status == 1 and out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    for word in words:
        assert word in lines[0], lines[0]


def used_proxy(stage, keys, **more):
    """A proxy that ran once, and stopped; its state directory."""
    proxy = secure_proxy(stage, keys, **more)
    assert stage.secure(proxy, None, [Hop(keys.cp)]).exchange(forward(stage.origin())).dotted == "2.05"
    proxy.stop()
    return proxy, proxy.dir / "state"


# ---- one daemon ----

def test_a_removed_lock_file_lets_nobody_in(stage, keys):
    first = secure_proxy(stage, keys)
    (first.dir / "state" / "lock").unlink()
    refused(secure_proxy(stage, keys, start=False, state=str(first.dir / "state")), "in use")
    assert first.is_running()


def test_a_second_name_of_the_file_lets_nobody_in(stage, keys):
    first = secure_proxy(stage, keys)
    second = secure_proxy(stage, keys, start=False)
    os.link(first.dir / "state" / "state.mdb", second.dir / "state" / "state.mdb")
    refused(second, "in use")
    assert first.is_running()


# ---- one user ----

@pytest.mark.parametrize("what", ["directory", "directory/", "state.mdb", "lock"])
def test_symbolic_links_are_refused(stage, keys, what):
    proxy, state = used_proxy(stage, keys)
    elsewhere = proxy.dir / "elsewhere"
    path = state if what.startswith("directory") else state / what
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)
    if what.endswith("/"):
        proxy.config["state"] += "/"
    refused(proxy, "symbolic link")


@ROOT
@pytest.mark.parametrize("what", ["", "state.mdb", "lock"])
def test_what_belongs_to_another_user_is_refused_also_for_root(stage, keys, what):
    proxy, state = used_proxy(stage, keys)
    os.chown(state / what, 65534, 65534)
    refused(proxy, "belongs to user 65534", "the user of the daemon must own it")


@pytest.mark.parametrize("mode", [0o770, 0o707])
@pytest.mark.parametrize("what", ["", "state.mdb", "lock"])
def test_what_others_may_write_to_is_refused(stage, keys, what, mode):
    proxy, state = used_proxy(stage, keys)
    (state / what).chmod(mode)
    refused(proxy, "others may write", "chmod go-w")


# ---- while it runs ----

def cut_to(size):
    return lambda file: os.truncate(file, size)


def replace(file):
    copy = file.with_name("copy")
    shutil.copy(file, copy)
    os.rename(copy, file)


@pytest.mark.parametrize("damage", [cut_to(0), cut_to(8192), cut_to(20000), os.unlink, replace],
                         ids=["emptied", "metas", "cut", "removed", "replaced"])
@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_a_state_file_that_is_lost_ends_the_daemon(stage, keys, damage, busy):
    proxy = secure_proxy(stage, keys, lease={"block": 2})
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    origin = stage.origin()
    assert secure.exchange(forward(origin)).dotted == "2.05"
    damage(proxy.dir / "state" / "state.mdb")
    for _ in range(40 if busy else 0):
        secure.client.ask(secure.protect(forward(origin))[0])
    assert proxy.process.wait(20 * SLOW) == 1, proxy.log()[-3000:]
    lines = [line for line in proxy.log().splitlines() if "state-lost" in line]
    assert len(lines) == 1 and " error " in lines[0], proxy.log()[-3000:]
    proxy.check_log()
    proxy.process = None


# ---- strangers ----

def wait_for_log(proxy, text, seconds=30):
    until = time.monotonic() + seconds * SLOW
    while text not in proxy.log():
        assert time.monotonic() < until, proxy.log()[-3000:]
        time.sleep(0.05)


@pytest.mark.seconds(150)
def test_strangers_do_not_fill_the_store(stage, keys):
    """A small store, a context of the configuration, one of a trusted credential, and more strangers than fit."""
    r = Responder(stage, "kccs", edhoc={"unknown": "accept", "contexts-per-peer": 1000},
                  contexts=[context_entry("c-p", keys.cp.other_side())], lease={"block": 2},
                  clients=[{"match": {"any": True}, "allow": ALLOW}], **{"state-size": "1MiB"})
    metric = r.proxy.metric
    _, vouched_for = r.run(0, 2)
    assert r.passes(vouched_for)
    secure = stage.secure(r.proxy, None, [Hop(keys.cp)])
    assert secure.exchange(r.forward()).dotted == "2.05"
    limit = metric("osprey_kept_contexts_limit")
    assert 200 < limit < 500
    stranger = {"P-256": Credential.new("P-256", "kccs", bytes([0x77]))}
    contexts = []
    while len(contexts) < limit + 60:
        contexts.append(r.run(0, 2, trusted=stranger)[1])
        if len(contexts) % 10 == 0:
            assert secure.exchange(r.forward()).dotted == "2.05"        # each needs a lease now and then
    for _ in range(10):
        assert secure.exchange(r.forward()).dotted == "2.05"
    assert r.passes(vouched_for) and r.passes(contexts[-1]) and r.is_unknown(contexts[0])
    assert metric("osprey_leases_failed_total") == 0
    assert metric("osprey_kept_contexts") <= limit
    assert metric("osprey_kept_contexts_total", what="no_room") >= 50
    assert 0 < metric("osprey_state_fill_ratio") <= 1
    wait_for_log(r.proxy, "state-near-full")
    r.proxy.stop()
    r.proxy.start()
    assert r.passes(vouched_for) and r.passes(contexts[-1]) and r.is_unknown(contexts[0])
    assert secure.exchange(r.forward()).dotted == "2.05"
