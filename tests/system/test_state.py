# SPDX-License-Identifier: BSD-2-Clause
"""
State belongs to keys: no edit of the configuration leads back to a number or an empty window [rfc8613#7.2.1] [rfc8613#7.4].
State that is missing, copied or older than it was is refused, and only a command makes new state [rfc8613#7.5].
"""
import shutil

import pytest
from cryptography.hazmat.primitives import hashes

import daemon
from daemon import context_entry
from peer import coap, net, oscore
from peer.oscore import Context, Hop, Option
from test_layers import ALLOW, forward, secure_proxy

MOVES = ["reload", "stop", "kill"]          # how a changed configuration comes into force


def with_ids(context, sender_id, recipient_id):
    return Context(context.secret, context.salt, sender_id, recipient_id, context.id_context, context.aead, context.hash)


def change(proxy, how, **config):
    """The changed configuration is in force afterwards."""
    proxy.write(**config)
    if how == "reload":
        assert "reload-refused" not in proxy.reload()
        return
    getattr(proxy, how)()
    proxy.start()


def numbers_of(origin):
    """Partial IVs of the requests that came under a layer, in the order in which they came."""
    return [int.from_bytes(Option.decode(r.message.get(coap.OSCORE)).piv, "big") for r in origin.requests()]


def refused(proxy, *words, command=()):
    """A start, or one run with `command`, that ends at once; what it says names all `words`."""
    status, out, err = daemon.run("-c", proxy.file, *command)
    assert status == 1, out + err
    for word in words:
        assert word in err, f"{word!r} is not in: {err}"
    return err


# ---- numbers and windows are filed under keys ----

# row S08
@pytest.mark.parametrize("how", MOVES)
def test_a_changed_recipient_id_repeats_no_number(stage, keys, how):
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}])
    client = stage.client(proxy)
    for _ in range(3):
        client.exchange(forward(origin))
    other = with_ids(keys.ps, keys.ps.sender_id, b"\x55")
    change(proxy, how, contexts=[context_entry("c-p", keys.cp.other_side()), context_entry("p-s", other)])
    for _ in range(3):
        client.exchange(forward(origin))
    numbers = numbers_of(origin)
    assert len(numbers) == 6 and numbers == sorted(set(numbers))


# row S09 S04
@pytest.mark.parametrize("how", MOVES)
def test_a_changed_sender_id_empties_no_window(stage, keys, how):
    """`fresh: true` stays in the file, as it does in everybody's."""
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    client = stage.client(proxy)
    recorded, layer = keys.cp.protect_request(forward(origin, method=coap.POST), oscore.TO_PROXY)
    assert layer.unprotect_response(client.exchange(recorded)).dotted == "2.05"
    other = with_ids(keys.cp.other_side(), b"\x51", keys.cp.sender_id)
    change(proxy, how, contexts=[context_entry("c-p", other)])
    client.exchange(recorded)
    assert origin.count() == 1
    secure = stage.secure(proxy, None, [Hop(with_ids(keys.cp, keys.cp.sender_id, b"\x51"))])
    secure.hops[0].context.next = 1
    assert secure.exchange(forward(origin)).dotted == "2.05"
    client.exchange(recorded)
    assert origin.count() == 2


# row S08
@pytest.mark.parametrize("how", ["reload", "stop"])
def test_salts_that_give_the_same_keys_are_one_context(stage, keys, how):
    """HMAC-SHA-512 pads its key with zeroes up to 128 bytes."""
    salt = bytes(range(1, 71))
    made = [Context(keys.ps.secret, salt + b"\0" * n, b"\xd4", b"\x54", hash_=hashes.SHA512) for n in (0, 30)]
    assert made[0].sender_key == made[1].sender_key
    entries = [{**context_entry("p-s", c), "hkdf": "HKDF SHA-512"} for c in made]
    origin = stage.origin()
    proxy = stage.proxy(contexts=entries[:1], clients=[{"match": {"any": True}, "allow": ALLOW}],
                        upstreams=[{"match": net.uri(origin.address), "context": "p-s"}])
    client = stage.client(proxy)
    for i in range(2):
        client.exchange(forward(origin))
        client.exchange(forward(origin))
        if i == 0:
            change(proxy, how, contexts=entries[1:])
    numbers = numbers_of(origin)
    assert len(numbers) == 4 and numbers == sorted(set(numbers))


# row S08
@pytest.mark.parametrize("later", [False, True])
def test_swapped_ids_are_refused(stage, keys, later):
    """Also when the context was out of the configuration for a while: the proxy would send under the client's key."""
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "2.05"
    if later:
        change(proxy, "reload", contexts=[context_entry("c-p", keys.cp2.other_side())])
        change(proxy, "stop")
    before = proxy.config["contexts"]
    proxy.write(contexts=[context_entry("c-p", keys.cp)])
    said = proxy.reload()
    assert "reload-refused" in said and "c-p" in said and "Recipient Key" in said
    if not later:
        assert secure.exchange(forward(origin)).dotted == "2.05"
    assert proxy.stop() == 0
    refused(proxy, "c-p", "Recipient Key")
    proxy.write(contexts=before)
    proxy.start()


# ---- new state only on request ----

def bare(stage, keys, **config):
    """A proxy that has not run yet, without state."""
    return secure_proxy(stage, keys, start=False, **config)


def test_a_start_without_state_is_refused_with_the_way_out(stage, keys):
    proxy = bare(stage, keys)
    refused(proxy, "--init-state", "--recover-state")
    assert not (proxy.dir / "state" / "state.mdb").exists() and not (proxy.dir / "state.mark").exists()
    proxy.init_state()
    refused(proxy, "already", command=["--init-state"])
    proxy.start()
    assert proxy.stop() == 0


# row S08 S09
@pytest.mark.parametrize("what", ["files", "directory", "file"])
def test_state_that_was_deleted_is_refused_and_recovered(stage, keys, what):
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}])
    client = stage.client(proxy)
    recorded, _ = keys.cp.protect_request(forward(origin, method=coap.POST), oscore.TO_PROXY)
    client.exchange(recorded)
    for _ in range(3):
        client.exchange(forward(origin))
    assert proxy.stop() == 0
    state = proxy.dir / "state"
    for file in state.iterdir():
        if what != "file" or file.name == "state.mdb":
            file.unlink()
    if what == "directory":
        state.rmdir()
    refused(proxy, "--recover-state")
    refused(proxy, "--recover-state", command=["--init-state"])
    proxy.recover_state()
    proxy.start()
    client.exchange(recorded)
    for _ in range(3):
        client.exchange(forward(origin))
    numbers = numbers_of(origin)
    assert len(numbers) == 7 and numbers == sorted(set(numbers))
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "5.02" or secure.challenged == 1


def served(proxy, client, origin, count=3):
    for _ in range(count):
        client.exchange(forward(origin))
    return numbers_of(origin)


# row S08
@pytest.mark.parametrize("how", ["copied", "restored", "mark lost", "both lost"])
def test_state_that_is_not_what_it_was_is_refused_and_recovered(stage, keys, how):
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}],
                         lease={"block": 4})
    client = stage.client(proxy)
    served(proxy, client, origin)
    assert proxy.stop() == 0
    file = proxy.dir / "state" / "state.mdb"
    old = file.read_bytes()
    proxy.start()
    served(proxy, client, origin, 12)
    assert proxy.stop() == 0
    if how == "copied":
        shutil.copytree(proxy.dir / "state", proxy.dir / "copy")
        shutil.rmtree(proxy.dir / "state")
        (proxy.dir / "copy").rename(proxy.dir / "state")
        word = "copied"
    elif how == "restored":
        with open(file, "r+b") as same_inode:
            same_inode.write(old)
        (proxy.dir / "state" / "state.sum").unlink(missing_ok=True)
        word = "older"
    else:
        shutil.rmtree(proxy.dir / "state.mark")
        word = "mark"
        if how == "both lost":
            shutil.rmtree(proxy.dir / "state")
            word = "--init-state"
    refused(proxy, word, "--recover-state")
    proxy.recover_state()
    proxy.start()
    numbers = served(proxy, client, origin)
    assert len(numbers) == 18 and numbers == sorted(set(numbers))
    assert (numbers[-1] > 1 << 36) == ("lost" in how)
    assert proxy.stop() == 0
    proxy.start()


# row S08
def test_a_damaged_mark_is_refused(stage, keys):
    """[rfc8613#B.1.1] What it would say of the store can be known no more."""
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}],
                         lease={"block": 4})
    client = stage.client(proxy)
    served(proxy, client, origin)
    assert proxy.stop() == 0
    mark = proxy.dir / "state.mark" / "mark"
    data = bytearray(mark.read_bytes())
    for at in range(0, len(data), 97):
        data[at] ^= 0x10
    mark.write_bytes(data)
    refused(proxy, "mark", "damaged", "--recover-state")


def test_two_daemons_on_one_machine_are_both_ends_of_a_context(stage, keys):
    """A Sender Key here is a Recipient Key there: what is remembered of keys is remembered by directory."""
    origin = stage.origin()
    far = stage.proxy(contexts=[context_entry("p-p", keys.ps.other_side())],
                      clients=[{"match": {"context": "p-p"}, "allow": ALLOW}])
    near = stage.proxy(contexts=[context_entry("p-p", keys.ps)], clients=[{"match": {"any": True}, "allow": ALLOW}],
                       **{"forward-proxy": {"enabled": True, "next-hop": {"uri": net.uri(far.address), "context": "p-p"}}})
    assert stage.client(near).exchange(forward(origin)).dotted == "2.05"
