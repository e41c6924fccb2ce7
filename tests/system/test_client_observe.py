# SPDX-License-Identifier: BSD-2-Clause
"""The client and the demo origin observe and are observed: through all layers, with late, forged and lost notifications."""
import os
import signal
import subprocess
import time

import pytest

from daemon import SLOW, context_entry, environment
from peer import coap, oscore
from peer.coap import ACK, BLOCK2, CON, ETAG, MAX_AGE, NON, OBSERVE, OSCORE, PROXY_SCHEME, RST, URI_HOST, Message
from program import OSPREY, Client, Origin, ask, block, block_of, context_file, via

OPEN = [{"match": {"any": True}, "allow": ["forward coap://[127.0.0.0/8]"]}]


def uri(origin, path="/x"):
    return f"coap://{origin.host}:{origin.port}{path}"


def end_to_end(workdir, keys):
    return "-E", context_file(workdir, "cs", keys.cs)


# ---- through layers, client and origin as programs ----

class Scene:
    """The origin and the proxies that some layers need, and the client's words for them."""

    def __init__(self, workdir, stage, keys, layers):
        self.origin = stage.add(Origin(workdir, "--every", 0.2, contexts=[keys.cs.other_side(), keys.ps.other_side()]))
        self.words, self.proxies = [], []
        if "C-S" in layers:
            self.words += end_to_end(workdir, keys)
        contexts = [("cp", keys.cp), ("cp2", keys.cp2)][:layers.count("C-P")]
        for name, context in contexts:
            proxy = stage.proxy(contexts=[context_entry(name, context.other_side())], clients=OPEN)
            self.words += via(workdir, name, context, proxy)
            self.proxies.append(proxy)
        if "P" in layers.split():
            self.proxies.append(stage.proxy(clients=OPEN))
            self.words += ["-P", uri_of(self.proxies[0])]


def uri_of(party):
    return f"coap://{party.address[0]}:{party.address[1]}"


def wait_until(holds, timeout=3):
    deadline = time.monotonic() + timeout * SLOW
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# row O11 (partly: as programs), O12 (partly: as programs)
@pytest.mark.parametrize("layers", ["", "P", "C-S", "C-P", "C-S P", "C-S C-P", "C-S C-P C-P"])
def test_notifications_come_through_the_layers_until_deregistered(workdir, stage, keys, layers):
    scene = Scene(workdir, stage, keys, layers)
    client = stage.add(Client(workdir, "get", "--observe=4", *scene.words, uri(scene.origin, "/ticks")))
    status, lines, errors = client.end()
    told, end = lines[:-1], lines[-1]
    assert status == 0 and len(told) == 4, errors
    ticks = [int(line["payload"].split()[1]) for line in told]
    assert ticks == sorted(set(ticks)) and [line["notification"] for line in told] == [1, 2, 3, 4]
    depth = layers.count("-")
    for line in told:
        assert len(line["layers"]) == depth and all(layer["came_off"] for layer in line["layers"])
        assert (line["vouched_by"] is not None) == (depth > 0)
    numbers = [[layer.get("notification_number") for layer in line["layers"]] for line in told[1:]]
    for one in zip(*numbers):                       # each layer's own Partial IVs [rfc8613#4.1.3.5.2]
        assert None not in one and list(one) == sorted(set(one))
    assert (end["deregistered"], end["refused"], end["notifications"]) == (True, 0, 4), errors
    assert scene.origin.wait_for("deregistered", "rejected")
    wait_until(lambda: all(proxy.metric("osprey_observations") == 0 for proxy in scene.proxies))


def test_an_alarm_is_told_when_it_changes(workdir, stage, keys):
    scene = Scene(workdir, stage, keys, "C-S C-P")
    client = stage.add(Client(workdir, "get", "--observe=3", *scene.words, uri(scene.origin, "/alarm_status")))
    assert client.line()["payload"] == "0"
    for value in ("1", "0"):
        assert ask(workdir, "put", "-d", value, uri(scene.origin, "/alarm_status"))[0] == 0
        assert client.line()["payload"] == value
    assert client.end()[0] == 0


# row B10 (partly: the client and the origin)
@pytest.mark.parametrize("layers", ["", "C-S", "C-S C-P"])
def test_notifications_of_several_blocks_are_fetched_without_observe(workdir, stage, keys, layers):
    scene = Scene(workdir, stage, keys, layers)
    client = stage.add(Client(workdir, "get", "--observe=2", "-b", 64, *scene.words, uri(scene.origin, "/ticks?n=200")))
    status, lines, errors = client.end()
    assert status == 0 and len(lines) == 3, errors
    for line in lines[:-1]:
        assert len(line["payload"]) == 200 and line["payload"].startswith("tick ")
    later = [line for line in scene.origin.log() if any(o["name"] == "Block2" and o["value"] >> 4 for o in line.get("options", []))]
    assert len(later) >= 6 and not any(o["name"] == "Observe" for line in later for o in line["options"])


# ---- the client and a server by hand ----

class Subject:
    """Answers a registration, and tells what it is told to tell."""

    def __init__(self, stage, contexts=(), first=12, max_age=60, keeps=True):
        self.first, self.max_age, self.keeps = first, max_age, keeps
        self.origin = stage.origin(self.answer, contexts)
        self.mid = 0x5000

    def answer(self, request):
        if request.get(OBSERVE) == b"" and self.keeps:
            return self.news(self.first, b"first")
        return coap.response("2.05", b"plain")

    def news(self, number, payload, *options):
        return coap.response("2.05", payload, [(OBSERVE, coap.uint(number)), (MAX_AGE, coap.uint(self.max_age)), *options])

    def registration(self):
        return self.origin.wait(1)[0]

    def tell(self, m, mtype=NON, token=None):
        """Sends a notification; under the layers of the registration each has a Partial IV of its own."""
        got = self.registration()
        for layer in reversed(got.removed or []):
            m = layer.protect_response(m, own_piv=True)
        self.mid += 1
        made = m.copy(type=mtype, mid=self.mid, token=got.message.token if token is None else token)
        self.origin.send(made, got.source)
        return made


def observe(stage, workdir, subject, *words):
    client = stage.add(Client(workdir, "get", *words, uri(subject.origin)))
    assert client.line()["payload"] == "first"
    return client


def deregistration(subject):
    asked = subject.origin.wait(2)
    assert len(asked) == 2
    return asked


# row O04 (partly: the client deregisters)
def test_deregistration_is_the_registration_but_for_observe(workdir, stage):
    """[rfc7641#3.6]"""
    subject = Subject(stage)
    client = observe(stage, workdir, subject, "--observe=1", "-O", "Uri-Query,a=1", "-A", "0")
    status, lines, errors = client.end()
    assert (status, lines[-1]["deregistered"]) == (0, True), errors
    first, last = deregistration(subject)
    assert first.message.token == last.message.token and first.message.mid != last.message.mid
    assert (first.message.get(OBSERVE), last.message.get(OBSERVE)) == (b"", b"\x01")
    assert first.message.without(OBSERVE).options == last.message.without(OBSERVE).options


# row O08 (partly: the client)
def test_a_late_notification_is_not_told(workdir, stage):
    """[rfc7641#3.4] 24 bits that wrap; a number that came before is not newer."""
    subject = Subject(stage, first=0xfffffe)
    client = observe(stage, workdir, subject, "--observe=3")
    for number, payload in ((1, b"two"), (0xffffff, b"late"), (1, b"again"), (2, b"three")):
        subject.tell(subject.news(number, payload))
    status, lines, _ = client.end()
    assert [line["payload"] for line in lines[:-1]] == ["two", "three"]
    assert (status, lines[-1]["late"]) == (0, 2)


def test_partial_ivs_order_what_is_protected(workdir, stage, keys):
    """[rfc8613#4.1.3.5.2] [rfc8613#7.4.1] The Observe option outside is worth nothing; a recorded notification is refused."""
    subject = Subject(stage, [keys.cs.other_side()])
    client = observe(stage, workdir, subject, "--observe=3", *end_to_end(workdir, keys))
    second = subject.tell(subject.news(5, b"two"))
    assert client.line()["payload"] == "two"
    subject.origin.send(second.copy(mid=0x6000), subject.registration().source)     # replayed
    forged = second.copy(mid=0x6001, payload=bytes(len(second.payload)),
                         options=[(n, b"\x01\xff" if n == OSCORE else v) for n, v in second.options])
    subject.origin.send(forged, subject.registration().source)
    plain = coap.response("2.05", b"a lie", [(OBSERVE, b"\x7f")])
    subject.origin.send(plain.copy(type=NON, mid=0x6002, token=second.token), subject.registration().source)
    subject.tell(subject.news(4, b"three"))                                         # newer, whatever Observe says
    status, lines, errors = client.end()
    assert [line["payload"] for line in lines[:-1]] == ["three"]
    assert (status, lines[-1]["late"], lines[-1]["refused"]) == (0, 1, 2), errors


def test_partial_ivs_of_requests_count_up(workdir, stage, keys):
    """[rfc8613#4.1.3.5.1]"""
    subject = Subject(stage, [keys.cs.other_side()])
    observe(stage, workdir, subject, "--observe=1", *end_to_end(workdir, keys)).end()
    first, last = deregistration(subject)
    assert [g.removed[0].piv for g in (first, last)] == [b"\x00", b"\x01"]
    for got, value in ((first, b""), (last, b"\x01")):
        assert got.message.code == coap.FETCH and got.message.get(OBSERVE) == got.plain.get(OBSERVE) == value


def test_confirmable_ones_are_acknowledged_and_unknown_ones_rejected(workdir, stage):
    subject = Subject(stage)
    client = observe(stage, workdir, subject, "--observe=3")
    made = subject.tell(subject.news(13, b"two"), CON)
    subject.origin.wait_for(lambda r: r.message and (r.message.type, r.message.mid, r.message.code) == (ACK, made.mid, 0))
    for mtype in (CON, NON):
        lost = subject.tell(subject.news(14, b"not asked for"), mtype, token=b"\x01\x02\x03\x04\x05\x06\x07\x08")
        subject.origin.wait_for(lambda r: r.message and (r.message.type, r.message.mid) == (RST, lost.mid))
    subject.tell(subject.news(15, b"three"))
    assert [line["payload"] for line in client.end()[1][:-1]] == ["two", "three"]


def test_registered_again_when_max_age_is_over(workdir, stage):
    """[rfc7641#3.3.1] Under the same Token, with the same options; later notifications belong to it."""
    subject = Subject(stage, max_age=1)
    client = observe(stage, workdir, subject, "--observe=3", "--grace", "0.2")
    begin = time.monotonic()
    assert client.line()["payload"] == "first"
    assert 0.9 < time.monotonic() - begin < 3 * SLOW
    first, second = subject.origin.wait(2)[:2]
    assert first.message.token == second.message.token and first.message.options == second.message.options
    subject.tell(subject.news(20, b"three"))
    status, lines, errors = client.end()
    assert (status, lines[0]["payload"], lines[-1]["registered_again"]) == (0, "three", 1), errors


@pytest.mark.parametrize("layers", ["C-S", "C-S C-P"])
def test_an_origin_that_forgot_is_registered_with_again(workdir, stage, keys, layers):
    """It was killed; its windows are unknown then, and the second registration is challenged."""
    scene = Scene(workdir, stage, keys, layers)
    port = scene.origin.port
    client = stage.add(Client(workdir, "get", "--observe=40", "--grace", "0.1", *scene.words, uri(scene.origin, "/ticks")))
    for _ in range(2):
        client.line()
    scene.origin.kill()
    stage.parties.remove(scene.origin)
    words = ["--every", 0.2, "--listen", f"coap://127.0.0.1:{port}"]
    again = stage.add(Origin(workdir, *words, contexts=[keys.cs.other_side(), keys.ps.other_side()]))
    line = client.line(10)
    while line["attempts"] < 3:                     # what was under way
        line = client.line(10)
    assert line["challenges"] == 1
    client.line()
    client.process.send_signal(signal.SIGINT)
    status, lines, errors = client.end()
    assert status == 0 and lines[-1]["registered_again"] >= 1 and lines[-1]["deregistered"], errors
    assert again.wait_for("deregistered", "rejected")


# row O06 (partly: the client)
@pytest.mark.parametrize("said,status", [("4.04", 4), ("5.03", 5), ("2.05", 2)])
def test_an_observation_that_ends_is_told(workdir, stage, said, status):
    """[rfc7641#4.2] An error, or an answer without Observe, is the last one."""
    subject = Subject(stage)
    client = observe(stage, workdir, subject, "--observe=5")
    subject.tell(coap.response(said, b"gone"), CON)
    got, lines, errors = client.end()
    assert (got, lines[-1]["code"]) == (status, said) and subject.origin.count() == 1
    assert status != 2 or "has ended" in errors


# row O09 (partly: the client)
def test_what_cannot_be_observed_is_told_once(workdir, stage):
    subject = Subject(stage, keeps=False)
    client = stage.add(Client(workdir, "get", "--observe", uri(subject.origin)))
    status, lines, errors = client.end()
    assert (status, [line["payload"] for line in lines]) == (2, ["plain"]) and "cannot be observed" in errors
    assert subject.origin.count() == 1


def test_a_body_that_changes_while_it_is_fetched_is_fetched_again(workdir, stage):
    """[rfc7959#2.6] The notification says one thing, the blocks another: what counts is the newest."""
    bodies = [b"a" * 20, b"b" * 20]

    def answer(request):
        if request.has(OBSERVE):
            return coap.response("2.05", bodies[0][:16], [(OBSERVE, b"\x01"), (BLOCK2, block(0, True, 0)), (ETAG, b"a")]) \
                if request.get(OBSERVE) == b"" else coap.response("2.05")
        num = block_of(request.get(BLOCK2))[0]
        return coap.response("2.05", bodies[1][num * 16:num * 16 + 16], [(BLOCK2, block(num, num == 0, 0)), (ETAG, b"b")])

    origin = stage.origin(answer)
    client = stage.add(Client(workdir, "get", "--observe=1", uri(origin)))
    status, lines, errors = client.end()
    assert (status, lines[0]["payload"]) == (0, bodies[1].decode()), errors
    asked = [(r.message.get(OBSERVE), r.message.get(BLOCK2)) for r in origin.requests()]
    assert asked == [(b"", None), (None, b"\x10"), (None, b""), (None, b"\x10"), (b"\x01", None)]


def test_a_notification_during_a_fetch_is_not_lost(workdir, stage):
    told = []

    def answer(request):
        if request.has(OBSERVE):
            return coap.response("2.05", b"a" * 16, [(OBSERVE, b"\x01"), (BLOCK2, block(0, True, 0)), (ETAG, b"a")]) \
                if request.get(OBSERVE) == b"" else coap.response("2.05")
        token = origin.requests()[0].message.token
        news = coap.response("2.05", b"news", [(OBSERVE, b"\x02")]).copy(type=NON, mid=0x7000, token=token)
        told.append(news)
        return [coap.encode(news), coap.response("2.05", b"bcd", [(BLOCK2, block(1, False, 0)), (ETAG, b"a")])]

    origin = stage.origin(answer)
    client = stage.add(Client(workdir, "get", "--observe=2", uri(origin)))
    status, lines, errors = client.end()
    assert (status, [line.get("payload") for line in lines[:-1]]) == (0, ["a" * 16 + "bcd", "news"]), errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_deregisters(workdir, stage, number):
    subject = Subject(stage)
    client = observe(stage, workdir, subject, "--observe")
    client.process.send_signal(number)
    status, lines, _ = client.end()
    assert (status, lines[-1]["deregistered"]) == (0, True) and deregistration(subject)


def test_a_notification_that_crosses_the_deregistration_is_no_answer_to_it(workdir, stage):
    subject = Subject(stage)
    crossing = []

    def answer(request):
        if request.get(OBSERVE) == b"\x01":
            crossing.append(subject.tell(subject.news(13, b"crossing")))
        return Subject.answer(subject, request)

    subject.origin.answer = answer
    client = observe(stage, workdir, subject, "--observe=1")
    status, lines, _ = client.end()
    assert (status, lines[-1]["deregistered"], len(lines), len(crossing)) == (0, True, 1, 1)


@pytest.mark.seconds(45)
def test_a_deregistration_without_answer_is_told(workdir, stage):
    subject = Subject(stage)
    subject.origin.answer = lambda r: None if r.get(OBSERVE) == b"\x01" else subject.answer(r)
    client = observe(stage, workdir, subject, "--observe=1", "--timeout", "1")
    status, lines, errors = client.end()
    assert (status, lines[-1]["deregistered"]) == (0, False) and "not confirmed" in errors


def test_duration_ends_it_and_text_is_one_line_each(workdir, stage):
    origin = stage.add(Origin(workdir, "--every", 0.2))
    begin = time.monotonic()
    done = subprocess.run([OSPREY, "get", "-s", "1", uri(origin, "/alarm_status")], capture_output=True, timeout=20, check=False,
                          env=environment())
    assert (done.returncode, done.stdout) == (0, b"0\n") and 0.9 < time.monotonic() - begin < 4 * SLOW
    file = os.path.join(workdir, "newest")
    done = subprocess.run([OSPREY, "get", "--observe=3", "-o", file, uri(origin, "/ticks")], capture_output=True, timeout=20,
                          check=False, env=environment())
    with open(file, "rb") as newest:
        assert newest.read().startswith(b"tick ") and done.stdout == b""


@pytest.mark.parametrize("words", [["post", "--observe"], ["get", "--observe", "--deterministic", "g.yaml"],
                                   ["fetch", "--observe", "-d", "x" * 2000], ["get", "--observe=x"]])
def test_what_cannot_be_observed_is_a_mistake(workdir, words):
    assert ask(workdir, *words, "coap://127.0.0.1:9/")[0] == 1


# ---- the origin and clients by hand ----

# row O04 (partly: the origin)
@pytest.mark.parametrize("how", ["reset", "deregister", "same token again"])
@pytest.mark.parametrize("mtype", [CON, NON])
def test_origin_ends_an_observation(workdir, stage, how, mtype):
    origin = stage.add(Origin(workdir, "--every", 0.2))
    client = stage.client(origin)
    sent = client.ask(coap.request(path="ticks", options=[(OBSERVE, b"")], type=mtype))
    assert client.answer_to(sent).has(OBSERVE)
    news = client.receive(2)
    assert news.type == mtype and news.has(OBSERVE) and news.token == sent.token
    if how == "reset":
        client.send(Message(type=RST, mid=news.mid))
        assert origin.wait_for("rejected")
    elif how == "deregister":
        client.exchange(coap.request(path="ticks", options=[(OBSERVE, b"\x01")]), token=sent.token)
        assert origin.wait_for("deregistered")
    else:
        client.exchange(coap.request(path="ticks", options=[(OBSERVE, b"")]), token=sent.token)
        assert origin.wait_for("registered again")
        return
    while client.receive(0.05) is not None:     # what was under way
        pass
    client.expect_silence(0.5)


def test_only_its_owner_ends_an_observation(workdir, stage, keys):
    """[rfc8613#4.1.3.5] Neither another Token, nor the same one without the layer, nor a request that does not ask for it."""
    origin = stage.add(Origin(workdir, "--every", 0.2, contexts=[keys.cs.other_side()]))
    secure = stage.secure(origin, keys.cs)
    register, cancel = (coap.request(path="ticks", options=[(OBSERVE, value)]) for value in (b"", b"\x01"))

    def ask_as(m, token):
        made, layers = secure.protect(m)
        return oscore.unprotect(secure.client.answer_to(secure.client.ask(made, token)), layers)

    assert ask_as(register, b"mine").has(OBSERVE)
    assert not ask_as(cancel, b"else").has(OBSERVE)
    assert not ask_as(coap.request(path="alarm_status"), b"more").has(OBSERVE)
    secure.client.exchange(cancel, token=b"mine")
    assert not any("observation" in line for line in origin.log())
    assert not ask_as(cancel, b"mine").has(OBSERVE)
    assert origin.wait_for("deregistered")


def test_origin_observes_no_more_than_it_has_room_for(stage, workdir):
    origin = stage.add(Origin(workdir, "--every", 1000))
    client = stage.client(origin)
    answers = [client.exchange(coap.request(path="ticks", options=[(OBSERVE, b"")])) for _ in range(66)]
    assert [a.has(OBSERVE) for a in answers] == [True] * 64 + [False] * 2
    assert not client.exchange(coap.request(path="hello", options=[(OBSERVE, b"")])).has(OBSERVE)
