# SPDX-License-Identifier: BSD-2-Clause
"""Start, stop, reload, workers, control, status: what an operator does with the daemon."""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from daemon import RESPONSE_TIMEOUT, SLOW, Proxy, context_entry, run, write_private
from peer import coap, net, oscore
from peer.coap import OSCORE, Message
from peer.oscore import Hop
from test_layers import ALLOW, forward, secure_proxy


def fails_to_start(proxy, state=True):
    """Starts and ends by itself; what it said."""
    proxy.write()
    if state:
        proxy.init_state()
    status, out, err = run("-c", proxy.file, timeout=5)
    assert status == 1 and out == ""
    return err


def one_line(text):
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


# ---- addresses ----

def test_a_port_in_use_is_one_clear_line(stage):
    taken = stage.origin()
    proxy = stage.proxy(start=False, listen=[net.uri(taken.address)])
    line = one_line(fails_to_start(proxy))
    assert "in use" in line and f"{taken.host}:{taken.port}" in line


def test_a_port_in_use_by_another_ospreyd_is_noticed(stage):
    first = stage.proxy(workers=2)
    second = stage.proxy(start=False, workers=2, listen=[net.uri(first.address)])
    assert "in use" in one_line(fails_to_start(second))


def test_a_listen_address_that_is_not_ours_is_one_clear_line(stage):
    proxy = stage.proxy(start=False, listen=["coap://192.0.2.1:25683"])
    assert "192.0.2.1" in one_line(fails_to_start(proxy))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_answer_leaves_from_the_address_that_was_asked(stage, workers):
    port = net.free_address()[1]
    proxy = stage.proxy(listen=[f"coap://[::]:{port}"], workers=workers)
    origin = stage.origin()
    for ip in ("127.0.0.1", "127.0.0.7", "127.9.8.7", "::1"):
        client = stage.client((ip, port))   # skips what comes from another address
        assert client.exchange(forward(origin)).payload == b"hello"
    assert proxy.is_running()


def test_ipv6_both_ways(stage):
    port = net.free_address()[1]
    stage.proxy(listen=[f"coap://[::1]:{port}"], clients=[{"match": {"address": "::1"}, "allow": ["forward coap://[::1]"]}])
    origin = stage.origin(address=("::1", 0))
    client = stage.client(("::1", port))
    uri = [(coap.PROXY_URI, net.uri(origin.address, "/v6").encode())]
    assert client.exchange(coap.request(options=uri)).payload == b"hello"
    assert origin.requests()[0].plain.path() == "/v6"


def test_several_listeners(stage):
    a, b = net.free_address(), net.free_address()
    stage.proxy(listen=[net.uri(a), net.uri(b)])
    origin = stage.origin()
    for address in (a, b):
        assert stage.client(address).exchange(forward(origin)).dotted == "2.05"


def test_a_datagram_longer_than_allowed_is_dropped_and_counted(stage):
    proxy, origin = stage.proxy(limits={"max-datagram": 1500, "response-timeout": "2s"}), stage.origin()
    client = stage.client(proxy)
    client.send(client.dress(forward(origin, method=coap.POST, payload=b"x" * 4000)))
    client.expect_silence(0.2)
    assert client.exchange(forward(origin, method=coap.POST, payload=b"x" * 1200)).dotted == "2.05"
    assert proxy.metric("osprey_datagrams_truncated_total") == 1


# ---- names ----

def test_names_are_resolved_without_blocking_others(stage):
    origin = stage.origin()
    proxy = stage.proxy(clients=[{"match": {"any": True}, "allow": ["forward coap://127.0.0.0/8", "forward coap://*.invalid"]}])
    slow, quick = stage.client(proxy), stage.client(proxy)
    sent = slow.ask(coap.request(host="nobody.invalid", scheme="coap", path="x"))
    assert quick.exchange(forward(origin), timeout=1).dotted == "2.05"
    assert slow.answer_to(sent, timeout=15).dotted in ("5.02", "5.04")


# ---- stop ----

def test_a_stop_lets_running_exchanges_end(stage):
    proxy = stage.proxy(limits={"drain": "3s", "response-timeout": "2s"})
    origin = stage.origin(lambda r: time.sleep(0.4) or coap.response("2.05", b"in time"))
    client = stage.client(proxy)
    sent = client.ask(forward(origin, type=coap.NON))
    origin.wait(1)
    proxy.signal(signal.SIGTERM)
    assert client.answer_to(sent).payload == b"in time"
    assert proxy.process.wait(5) == 0
    proxy.process = None


def test_a_stop_tells_observers_and_answers_whoever_comes_while_it_lasts(stage):
    proxy = stage.proxy(limits={"drain": "60s", "response-timeout": "60s"})
    hold = threading.Event()

    def serve(request):
        if request.has(coap.OBSERVE):
            return coap.response("2.05", b"seen", [(coap.OBSERVE, b"\x07")])
        hold.wait(40)
        return coap.response("2.05", b"in time")

    origin = stage.origin(serve)
    observer, busy, late = stage.client(proxy), stage.client(proxy), stage.client(proxy)
    sent = observer.ask(forward(origin, type=coap.NON).plus((coap.OBSERVE, b"")))
    assert observer.answer_to(sent).payload == b"seen"
    running = busy.ask(forward(origin, type=coap.NON))
    origin.wait(2)
    proxy.signal(signal.SIGTERM)
    assert observer.answer_to(sent, 20).dotted == "5.03"            # at once, though an exchange is in flight
    refused = late.answer_to(late.ask(forward(origin, type=coap.NON)), 20)
    assert refused.dotted == "5.03" and int.from_bytes(refused.get(coap.MAX_AGE), "big") > 0
    hold.set()
    assert busy.answer_to(running, 20).payload == b"in time"
    assert proxy.process.wait(30) == 0
    proxy.process = None


def test_idle_observers_do_not_hold_a_stop_up(stage):
    proxy, origin = stage.proxy(limits={"drain": "60s"}), stage.origin(
        lambda r: coap.response("2.05", b"seen", [(coap.OBSERVE, b"\x07")]))
    observer = stage.client(proxy)
    sent = observer.ask(forward(origin, type=coap.NON).plus((coap.OBSERVE, b"")))
    assert observer.answer_to(sent).payload == b"seen"
    proxy.signal(signal.SIGTERM)
    assert proxy.process.wait(30) == 0                  # not the minute of `drain`
    assert observer.answer_to(sent).dotted == "5.03"
    proxy.process = None


def test_what_does_not_end_in_time_gets_503(stage):
    proxy = stage.proxy(limits={"drain": "300ms", "response-timeout": "20s"})
    origin = stage.origin(lambda r: None)
    client = stage.client(proxy)
    sent = client.ask(forward(origin, type=coap.NON))
    origin.wait(1)
    begin = time.monotonic()
    proxy.signal(signal.SIGTERM)
    assert client.answer_to(sent).dotted == "5.03"
    assert proxy.process.wait(5) == 0
    assert time.monotonic() - begin < 2.5
    proxy.process = None


# ---- reload ----

def test_a_reload_takes_the_new_rules_over_and_keeps_what_runs(stage, keys):
    hold = threading.Event()
    origin = stage.origin(lambda r: hold.wait(1.5) and None or coap.response("2.05", b"held"), [keys.ps.other_side()])
    other = stage.origin()
    proxy = secure_proxy(stage, keys, net.uri(origin.address))
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(other)).dotted == "2.05"
    made, (layer,) = oscore.protect(forward(origin), None, secure.hops)
    sent = secure.client.ask(made)
    origin.wait(1)
    # the client may do nothing any more, and the upstream's layer is gone
    proxy.write(clients=[{"match": {"any": True}, "allow": [f"forward coap://{other.host}"]}], upstreams=[])
    log = proxy.reload()
    assert "reloaded" in log
    hold.set()
    assert layer.unprotect_response(secure.client.answer_to(sent)).payload == b"held"
    assert secure.exchange(forward(origin)).dotted == "4.01"
    assert secure.exchange(forward(other)).dotted == "2.05"
    assert secure.challenged == 0           # the window went along
    assert proxy.metric("osprey_reloads_total") == 1


def test_a_refused_file_changes_nothing_and_says_so(stage, keys):
    origin = stage.origin(contexts=[keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address))
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "2.05"
    good = proxy.file.read_text()
    for bad in ('{"listen": [', good.replace('"clients"', '"cleints"'), good.replace('"drain": "500ms"', '"drain": "soon"')):
        write_private(proxy.file, bad)
        log = proxy.reload()
        assert "reload-refused" in log
        assert secure.exchange(forward(origin)).dotted == "2.05"
    write_private(proxy.file, good)
    assert "reloaded" in proxy.reload()
    assert secure.exchange(forward(origin)).dotted == "2.05" and secure.challenged == 0
    pivs = [int.from_bytes(r.removed[0].piv, "big") for r in origin.requests()]
    assert pivs == sorted(set(pivs))
    assert proxy.metric("osprey_reloads_refused_total") == 3


def test_a_reload_keeps_what_needs_a_restart_says_so_each_time_and_takes_the_rest_over(stage, keys):
    proxy = secure_proxy(stage, keys)
    drain = proxy.config["limits"]["drain"]
    assert proxy.metric("osprey_restart_needed") == 0
    proxy.write(workers=3, limits=dict(proxy.config["limits"], queued=77, drain="1s"), log={"level": "debug", "format": "text"})
    line = 1 + [text.startswith(' "workers"') for text in proxy.file.read_text().split("\n")].index(True)
    for _ in range(2):
        log = proxy.reload()
        assert "reloaded" in log and f"key=workers file={proxy.file} line={line}" in log and "key=limits.queued" in log
        assert "key=limits.drain" not in log and log.count("restart-needed") == 2
        assert proxy.metric("osprey_restart_needed") == 2 and proxy.metric("osprey_workers") != 3
    assert "restart-needed: 2\n" in proxy.ctl("status")[1] and proxy.ctl("log-level")[1] == "debug\n"
    status, out, _ = proxy.ctl("reload")
    assert status == 0 and f"{proxy.file}:{line}:2: workers: " in out and "goes on until a restart, then 3 is in force" in out
    assert proxy.metric("osprey_reloads_refused_total") == 0
    del proxy.config["workers"]
    proxy.write(limits=dict(proxy.config["limits"], drain=drain))
    del proxy.config["limits"]["queued"]
    proxy.write()
    assert "restart-needed" not in proxy.reload()
    assert proxy.metric("osprey_restart_needed") == 0


def test_a_reload_judges_what_it_would_not_take_over(stage, keys):
    proxy = secure_proxy(stage, keys)
    proxy.write(workers=2, limits=dict(proxy.config["limits"], memory="6MiB"))
    log = proxy.reload()
    assert "reload-refused" in log and "limits.memory: 6144KiB are too few for 2 workers" in log
    assert proxy.metric("osprey_reloads_refused_total") == 1 and proxy.metric("osprey_restart_needed") == 0


def test_ospreyctl_asks_though_the_file_has_errors(stage, keys):
    proxy = secure_proxy(stage, keys)
    write_private(proxy.file, proxy.file.read_text().replace('"clients"', '"cleints"'))
    status, out, _ = run("-c", proxy.file, "ping", program="ospreyctl")
    assert (status, out) == (0, "pong\n")
    status, _, said = run("-c", proxy.file, "reload", program="ospreyctl")
    assert status == 1 and "cleints" in said and "nothing was changed" in said
    proxy.log()
    for content, why in (('{"listen": [', "no YAML"), ('{"listen": "x"}', "no `control`")):
        status, _, said = run("-c", write_private(proxy.dir / "other.yaml", content), "ping", program="ospreyctl")
        assert status == 2 and why in said


def test_a_reload_opens_and_closes_listeners_and_contexts(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    second = net.free_address()
    first = stage.client(proxy)
    extra = context_entry("new", keys.cp2.other_side())
    proxy.write(listen=[net.uri(proxy.address), net.uri(second)], contexts=proxy.config["contexts"] + [extra],
                clients=[{"match": {"context": ["c-p", "new"]}, "allow": ALLOW}])
    proxy.reload()
    for client, context in ((first, keys.cp), (stage.client(second), keys.cp2)):
        made, layers = oscore.protect(forward(origin), None, [Hop(context)])
        assert oscore.unprotect(client.exchange(made), layers).dotted == "2.05"
    proxy.write(listen=[net.uri(second)], contexts=[extra], clients=[{"match": {"context": "new"}, "allow": ALLOW}])
    proxy.reload()
    made, _ = oscore.protect(forward(origin), None, [Hop(keys.cp)])
    assert stage.client(second).exchange(made).dotted == "4.01"
    first.send(first.dress(forward(origin)))
    first.expect_silence(0.3)
    # a context that comes back goes on where it was
    proxy.write(contexts=[extra, context_entry("c-p", keys.cp.other_side())],
                clients=[{"match": {"context": ["c-p", "new"]}, "allow": ALLOW}])
    proxy.reload()
    answer = stage.client(second).exchange(made)
    assert answer.dotted == "4.01" or answer.has(OSCORE)
    secure = net.Secure(stage.client(second), None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "2.05"


# row S08
def test_a_context_that_is_taken_out_and_put_back_goes_on_with_its_numbers(stage, keys):
    origin = stage.origin(contexts=[keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address), clients=[{"match": {"any": True}, "allow": ALLOW}])
    client = stage.client(proxy)
    contexts, upstreams = proxy.config["contexts"], proxy.config["upstreams"]
    for _ in range(3):
        for _ in range(5):
            assert client.exchange(forward(origin)).dotted == "2.05"
        proxy.write(contexts=contexts[:1], upstreams=[])
        assert "reloaded" in proxy.reload()
        proxy.write(contexts=contexts, upstreams=upstreams)
        assert "reloaded" in proxy.reload()
    pivs = [int.from_bytes(r.removed[0].piv, "big") for r in origin.requests()]
    assert pivs == sorted(set(pivs)) and len(pivs) == 15


def test_a_port_taken_by_another_refuses_the_reload(stage):
    proxy, taken = stage.proxy(), stage.origin()
    proxy.write(listen=[net.uri(proxy.address), net.uri(taken.address)])
    log = proxy.reload()
    assert "reload-refused" in log and "in use" in log
    assert stage.client(proxy).exchange(forward(taken)).dotted == "2.05"


@pytest.mark.seconds(60)
def test_reloads_under_load_lose_nothing(stage, keys):
    origin = stage.origin(contexts=[keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address), workers=2)
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    stop = threading.Event()

    def reloads():
        while not stop.wait(0.05):
            proxy.signal(signal.SIGHUP)

    thread = threading.Thread(target=reloads)
    thread.start()
    try:
        for _ in range(300):
            assert secure.exchange(forward(origin)).dotted == "2.05"
    finally:
        stop.set()
        thread.join()
    assert secure.challenged == 0 and origin.count() == 300
    pivs = [r.removed[0].piv for r in origin.requests()]
    assert len(set(pivs)) == 300


# ---- workers ----

# row S04 (partly: across workers)
@pytest.mark.parametrize("workers", [2, 4])
def test_a_replay_to_another_worker_is_refused(stage, keys, workers):
    origin = stage.origin(contexts=[keys.ps.other_side()])
    proxy = secure_proxy(stage, keys, net.uri(origin.address), workers=workers)
    clients = [stage.client(proxy) for _ in range(12)]      # their ports spread over the workers
    for n in range(30):
        made, (layer,) = oscore.protect(forward(origin, method=coap.POST, payload=b"%d" % n), None, [Hop(keys.cp)])
        first, *others = random.sample(clients, len(clients))
        assert layer.unprotect_response(first.exchange(made)).dotted == "2.05"
        for other in others:
            assert other.exchange(made).dotted == "4.01"
    assert origin.count() == 30
    assert proxy.metric("osprey_workers") == workers
    pivs = [r.removed[0].piv for r in origin.requests()]
    assert len(set(pivs)) == 30


# row S04 (partly: at the same moment)
def test_copies_that_arrive_at_once_are_executed_once(stage, keys):
    origin = stage.origin()
    proxy = secure_proxy(stage, keys, workers=4)
    clients = [stage.client(proxy) for _ in range(16)]
    for _ in range(20):
        made, _ = oscore.protect(forward(origin, method=coap.POST), None, [Hop(keys.cp)])
        dressed = [coap.encode(c.dress(made)) for c in clients]
        for client, datagram in zip(clients, dressed):
            client.send(datagram)
        answers = [c.receive() for c in clients]
        assert sum(a.has(OSCORE) for a in answers) == 1
        assert all(a.has(OSCORE) or a.dotted == "4.01" for a in answers)
    assert origin.count() == 20


def test_a_retransmission_comes_back_to_the_same_worker(stage):
    origin = stage.origin(lambda r: coap.response("2.05", random.randbytes(8)))
    proxy = stage.proxy(workers=4)
    for _ in range(16):
        client = stage.client(proxy)
        datagram = client.send(client.dress(forward(origin)))
        first = client.receive_raw()
        client.send(datagram)
        assert client.receive_raw() == first
    assert origin.count() == 16


# ---- what it says of itself ----

def test_control_and_status_tell_the_same(stage):
    proxy, origin = stage.proxy(), stage.origin()
    for _ in range(3):
        stage.client(proxy).exchange(forward(origin))
    status, out, _ = proxy.ctl("metrics")
    assert status == 0 and 'osprey_forwarded_total{way="forward"} 3' in out
    assert proxy.metric("osprey_forwarded_total", way="forward") == 3
    assert proxy.http("/healthz").strip() == "ok"
    assert "serving" in proxy.http("/")
    assert proxy.ctl("ping")[0] == 0 and "serving" in proxy.ctl("status")[1]
    assert proxy.ctl("no-such-command")[0] != 0


def cpu_seconds(proxy):
    fields = pathlib.Path(f"/proc/{proxy.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_slow_and_idle_connections_hurt_nobody(stage):
    proxy = stage.proxy()
    host, port = proxy.status.removeprefix("http://").rsplit(":", 1)
    fds = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
    idle = []
    try:
        for _ in range(16):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(proxy.config["control"])
            idle.append(sock)
        for _ in range(560):
            sock = socket.create_connection((host, int(port)), timeout=10)
            sock.sendall(b"GET /metrics HTTP/1.1\r\n")
            idle.append(sock)
        assert proxy.ctl("ping")[:2] == (0, "pong\n")
        assert proxy.metric("osprey_local_connections_total", socket="status", end="displaced") >= 560 - 32
        assert proxy.metric("osprey_local_connections_total", socket="control", end="displaced") >= 1
        assert len(os.listdir(f"/proc/{proxy.process.pid}/fd")) <= fds + 16 + 32
        before = cpu_seconds(proxy)
        time.sleep(1)                   # what an idle second costs beside them
        assert cpu_seconds(proxy) - before < 0.2
    finally:
        for sock in idle:
            sock.close()
    assert "[warn]" not in proxy.log()


def test_the_status_page_answers_under_its_own_names_only(stage):
    proxy = stage.proxy(names=["proxy.example"])
    host, port = proxy.status.removeprefix("http://").rsplit(":", 1)

    def ask(name):
        with socket.create_connection((host, int(port)), timeout=20) as sock:
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            answer = b""
            while data := sock.recv(4096):
                answer += data
        return answer

    for name in ("127.0.0.1", "localhost:1", "[::1]", "proxy.example"):
        assert ask(name).startswith(b"HTTP/1.1 200 ") and b"serving" in ask(name)
    for name in ("evil.example", "proxy.example.evil.example"):
        assert ask(name).startswith(b"HTTP/1.1 421 ") and b"serving" not in ask(name)
    assert proxy.metric("osprey_status_foreign_host_total") == 4


def test_control_reloads_stops_and_sets_the_level(stage, keys):
    proxy = secure_proxy(stage, keys)
    assert proxy.ctl("log-level", "warning")[0] == 0
    assert proxy.ctl("log-level")[1].strip() == "warning"
    assert proxy.ctl("log-level", "loud")[0] != 0
    assert "c-p" in proxy.ctl("contexts")[1]
    assert proxy.ctl("reload")[0] == 0
    write_private(proxy.file, "listen: x\n")
    status, out, err = proxy.ctl("reload")
    assert status != 0 and "listen" in out + err
    assert proxy.ctl("stop")[0] == 0
    assert proxy.process.wait(5) == 0
    proxy.process = None
    assert proxy.ctl("ping")[0] != 0


def test_no_secret_is_shown_anywhere(stage, keys):
    proxy, origin = secure_proxy(stage, keys), stage.origin(lambda r: coap.response("2.05", b"secret-payload"))
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "2.05"
    texts = [proxy.log(), proxy.http("/"), proxy.http("/metrics"), proxy.ctl("contexts")[1], proxy.ctl("status")[1],
             run("-c", proxy.file, "--dump")[1]]
    for context in (keys.cp, keys.ps):
        for secret in (context.secret, context.salt, context.sender_key, context.recipient_key):
            assert not any(secret.hex() in t.lower() for t in texts)
    assert not any("secret-payload" in t for t in texts)


def test_keys_stay_in_the_memory_of_the_process(stage):
    proxy = stage.proxy()
    limits = pathlib.Path(f"/proc/{proxy.process.pid}/limits").read_text()
    assert [line.split()[-3:-1] for line in limits.splitlines() if line.startswith("Max core file size")] == [["0", "0"]]
    status = pathlib.Path(f"/proc/{proxy.process.pid}/status").read_text()
    locked = int(next(line for line in status.splitlines() if line.startswith("VmLck:")).split()[1])
    if proxy.metric("osprey_memory_locked") == 1:
        assert locked > 0 or SLOW > 1           # a sanitizer's mlockall() does nothing
    else:
        assert locked == 0 and "memory-not-locked" in proxy.log()


def test_bad_input_does_not_flood_the_log(stage, keys):
    proxy = secure_proxy(stage, keys, log={"level": "info"})
    client = stage.client(proxy)
    before = proxy.log().count("\n")
    for n in range(2000):
        client.send(bytes([0x40, 1, n >> 8, n & 255, 0xf0]))
        client.send(Message(code=coap.POST, mid=n | 0x8000, options=[(OSCORE, b"\x09\x01\x99")], payload=b"x" * 12))
        if n % 20 == 19:
            while client.receive_raw(0.005) is not None:
                pass
    assert proxy.log().count("\n") - before < 50
    assert proxy.dropped_by("FORMAT") >= 1000
    assert proxy.errors_by("NO_CONTEXT") >= 1000


@pytest.mark.parametrize("form", ["text", "json"])
def test_log_lines_have_their_form(stage, form):
    proxy = stage.proxy(log={"level": "info", "format": form})
    proxy.stop()
    lines = proxy.log().splitlines()
    assert lines
    for line in lines:
        if form == "json":
            assert {"event", "level"} <= set(json.loads(line))
        else:
            assert line.split()[1] in ("error", "warning", "info", "debug")


# ---- limits ----

def test_a_full_exchange_table_refuses_the_newest(stage):
    proxy = stage.proxy(limits={"exchanges": 20, "response-timeout": "2s", "nstart": 100, "drain": "100ms",
                                "client-share": 100, "prefix-share": 100, "known-reserve": 0})
    origin = stage.origin(lambda r: None)
    client = stage.client(proxy)
    for _ in range(40):
        client.ask(forward(origin, type=coap.NON))
    got = []
    deadline = time.monotonic() + RESPONSE_TIMEOUT + 2
    while len(got) < 40 and time.monotonic() < deadline:
        m = client.receive(0.3)
        if m is not None:
            got.append(m.dotted)
    assert got.count("5.04") == 20
    assert set(got) <= {"5.04", "5.03"}
    assert origin.count() == 20
    origin.answer = net.hello
    assert client.exchange(forward(origin)).dotted == "2.05"
    assert proxy.metric("osprey_exchanges") == 0


# ---- the state directory ----

def test_a_state_directory_that_is_not_there(stage, keys):
    proxy = secure_proxy(stage, keys, start=False)
    shutil.rmtree(proxy.dir / "state")
    line = one_line(fails_to_start(proxy, state=False))
    assert str(proxy.dir / "state") in line


def test_a_state_directory_that_cannot_be_written(stage, keys):
    proxy = secure_proxy(stage, keys, start=False)
    state = proxy.dir / "state"
    if os.geteuid() == 0:                   # root may write everywhere: a file where the directory should be
        shutil.rmtree(state)
        state.write_text("no directory")
    else:
        state.chmod(0o500)
    line = one_line(fails_to_start(proxy, state=False))
    assert str(state) in line
    if os.geteuid() != 0:
        state.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: not run as root")
def test_a_state_directory_root_may_use_and_this_user_may_not(stage, keys):
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not there")
    proxy = secure_proxy(stage, keys, start=False)
    for path in (stage.directory, proxy.dir, proxy.file):
        os.chown(path, 65534, 65534)
    proxy.write()
    os.chown(proxy.file, 65534, 65534)
    from daemon import BUILD, environment
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BUILD / "ospreyd", "-c", proxy.file],
                          capture_output=True, timeout=15, check=False, env=environment())
    if b"ermission denied" in done.stderr and b"exec" in done.stderr:
        pytest.skip("another user cannot reach the build directory")
    assert done.returncode == 1
    said = [line for line in done.stderr.decode().splitlines() if "memory-not-locked" not in line]  # nor may it lock any
    assert "state" in one_line("\n".join(said))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_refuses_to_start(stage, keys):
    proxy = secure_proxy(stage, keys, start=False)
    state = proxy.dir / "state"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", state], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no mount here")
    try:
        line = one_line(proxy.init_state())
        assert "state" in line and "state-size" in line
        assert "--init-state" in one_line(fails_to_start(proxy, state=False))
    finally:
        subprocess.run(["umount", state], check=True)


@pytest.mark.parametrize("damage", ["cut", "zeroes", "garbage", "a page"])
def test_a_damaged_state_refuses_to_start(stage, keys, damage):
    proxy, origin = secure_proxy(stage, keys), stage.origin()
    assert stage.secure(proxy, None, [Hop(keys.cp)]).exchange(forward(origin)).dotted == "2.05"
    proxy.stop()
    file = next(f for f in (proxy.dir / "state").iterdir() if f.stat().st_size > 65536)
    data = file.read_bytes()
    file.write_bytes({
        "cut": data[:5000],
        "zeroes": bytes(len(data)),
        "garbage": random.randbytes(len(data)),
        "a page": data[:8192] + random.randbytes(8192) + data[16384:],
    }[damage])
    if damage == "a page":                  # a page that is not in use may stay unnoticed, numbers never start over
        status, _, err = start_briefly(proxy)
        if status is None:
            return
        assert status == 1 and "state" in one_line(err)
    else:
        line = one_line(fails_to_start(proxy))
        assert "state" in line and "keys" in line


def start_briefly(proxy):
    process = subprocess.Popen(proxy_command(proxy), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=None)
    try:
        _, err = process.communicate(timeout=1.5)
        return process.returncode, "", err.decode()
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=5)
        return None, "", ""


def proxy_command(proxy):
    from daemon import BUILD
    return [BUILD / "ospreyd", "-c", str(proxy.file)]


def test_two_daemons_cannot_share_a_state_directory(stage, keys):
    first = secure_proxy(stage, keys)
    second = secure_proxy(stage, keys, start=False, state=str(first.dir / "state"))
    assert "in use" in one_line(fails_to_start(second))
    assert first.is_running()


def test_a_removed_record_is_not_taken_for_a_fresh_start_of_used_keys(stage, keys):
    """New state was made for keys that are said to have a past: numbers start over, so the daemon says what that means."""
    origin = stage.origin()
    proxy = stage.proxy(contexts=[context_entry("c-p", keys.cp.other_side(), fresh=False)],
                        clients=[{"match": {"context": "c-p"}, "allow": ALLOW}])
    secure = stage.secure(proxy, None, [Hop(keys.cp)])
    assert secure.exchange(forward(origin)).dotted == "2.05"
    assert "context-without-record" in proxy.log()


def test_help_version_and_wrong_usage():
    assert run("--help")[0] == 0 and "ospreyd" in run("--version")[1]
    assert run()[0] == 2 and run("-c", "x", "--check", "--dump")[0] == 2 and run("--bogus")[0] == 2
    status, _, err = run("-c", "/nonexistent/osprey.yaml")
    assert status == 1 and "/nonexistent/osprey.yaml" in err


def test_it_runs_as_an_ordinary_user_with_the_smallest_configuration(workdir):
    proxy = Proxy(os.path.join(workdir, "p"))
    proxy.config = {"listen": [net.uri(proxy.address)], "clients": [{"match": {"any": True}, "allow": ["forward coap://127.0.0.0/8"]}],
                    "forward-proxy": {"enabled": True}}
    proxy.write()
    proxy.start()
    try:
        with net.Origin() as origin, net.Client(proxy.address) as client:
            assert client.exchange(forward(origin)).dotted == "2.05"
    finally:
        proxy.close()


def test_the_control_socket_of_a_dead_daemon_is_replaced(stage):
    proxy = stage.proxy()
    path = pathlib.Path(proxy.config["control"])
    assert path.stat().st_mode & 0o777 == 0o660
    proxy.kill()
    assert path.exists()
    proxy.start()
    assert proxy.ctl("ping")[0] == 0
    with socket.socket(socket.AF_UNIX) as sock:         # one that says nothing stands in nobody's way
        sock.connect(str(path))
        assert proxy.ctl("ping")[0] == 0
    proxy.stop()
    assert not path.exists()
