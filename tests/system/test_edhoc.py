# SPDX-License-Identifier: BSD-2-Clause
"""
The daemon as an EDHOC Responder at /.well-known/edhoc [rfc9528#A.2], against an Initiator that shares no code with it:
keys that work, errors, repetitions, and the combined request [rfc9668#3.3].
"""
import time

import pytest

from daemon import RESPONSE_TIMEOUT, context_entry, edhoc_file
from peer import coap, edhoc, edhoc_coap, net, oscore
from peer.coap import EDHOC, OSCORE
from peer.edhoc import EdhocError, Initiator, PeerError
from peer.edhoc_coap import combined_request, edhoc_run, error_in, request, request_1, request_3, start
from peer.edhoc_cred import Credential, new_key
from peer.oscore import Context, Hop
from test_edhoc_proxied import reach
from test_oscore import SEMANTICS

KINDS = ("Ed25519", "X25519", "P-256")
SUITE_AND_METHOD = pytest.mark.parametrize("method,suite", [(0, 0), (3, 0), (0, 2), (3, 2)])
ALLOW = ["forward coap://127.0.0.0/8"]


class Responder:
    """A daemon with credentials of every kind, which trusts some, and the Initiators that it may meet."""

    def __init__(self, stage, how="kid", allow=ALLOW, start_it=True, **config):
        self.stage = stage
        edhoc_config = {"methods": [0, 3], "suites": [2, 0]}
        edhoc_config.update(config.pop("edhoc", {}))
        self.own = {kind: Credential.new(kind, how, bytes([n + 1])) for n, kind in enumerate(KINDS)}
        self.trusted = {kind: Credential.new(kind, how, bytes([n + 0x30])) for n, kind in enumerate(KINDS)}
        self.proxy = stage.proxy(start=False)
        edhoc_config["credentials"] = edhoc_file(self.proxy.dir, list(self.own.items()), list(self.trusted.items()))
        made = {"clients": [{"match": {"edhoc": {"credential": name}}, "allow": allow} for name in self.trusted]}
        made.update(config)
        self.proxy.write(edhoc=edhoc_config, **made)
        if start_it:
            self.proxy.start()
        self.origin = stage.origin()
        self.client = stage.client(self.proxy)

    def initiator(self, method=3, suite=2, suites=None, trusted=None, **kw):
        ours = list((trusted or self.trusted).values())
        return Initiator(ours, [c.without_private() for c in self.own.values()], method, suites or [suite], **kw)

    def run(self, method=3, suite=2, **kw):
        return edhoc_run(self.client, self.initiator(method, suite, **kw))

    def forward(self, path="x"):
        return coap.request(path=path, host=self.origin.host, port=self.origin.port, scheme="coap")

    def secure(self, context):
        return net.Secure(self.client, None, [Hop(context)])

    def passes(self, context):
        """A request under the context goes through, and its answer comes back under it."""
        secure = self.secure(context)
        answer = secure.exchange(self.forward())
        return secure.outer.has(OSCORE) and answer.payload == b"hello"

    def is_unknown(self, context):
        """No context is there under that identifier."""
        made, _ = context.protect_request(self.forward(), oscore.TO_PROXY)
        answer = self.client.exchange(made)
        return answer.dotted == "4.01" and not answer.has(OSCORE)


def is_error(answer, code):
    """[rfc9528#A.2.3]"""
    return answer.dotted in ("4.00", "5.00") and not answer.has(OSCORE) and (error_in(answer) or [None])[0] == code


def is_refused(answer):
    return answer.dotted[0] == "4" and not answer.has(OSCORE)


def flip(payload, at):
    return payload[:at] + bytes([payload[at] ^ 0x01]) + payload[at + 1:]


# ---- keys ----

# row X01
@SUITE_AND_METHOD
@pytest.mark.parametrize("how", ["kid", "x5t"])
def test_a_context_comes_out_and_works(stage, method, suite, how):
    r = Responder(stage, how)
    for _ in range(2):                      # a second session beside the first
        done, context = r.run(method, suite)
        assert done.c_r != done.c_i
        assert r.passes(context) and r.passes(context)
    assert r.origin.count() == 4


# row X01 [rfc9528#3.5.3]
def test_a_credential_by_value(stage):
    r = Responder(stage, "kccs")
    _, context = r.run(0, 2)
    assert r.passes(context)


# row X01 [rfc9528#5.5]
def test_message_4(stage):
    r = Responder(stage, edhoc={"message-4": True})
    done, context = edhoc_run(r.client, r.initiator(), message_4=True)
    assert done.state == "complete" and r.passes(context)


# [rfc9528#3.8]
def test_ead_that_is_not_critical_is_ignored(stage):
    r = Responder(stage)
    _, context = r.run(ead_1=[(0, b"padding"), (65000, b"x")], ead_3=[(65000, None)])
    assert r.passes(context)
    with pytest.raises(PeerError) as caught:
        start(r.client, r.initiator(ead_1=[(-65000, b"x")]))
    assert is_error(caught.value.answer, 1)
    running = start(r.client, r.initiator(ead_3=[(-65000, b"x")]))
    with pytest.raises(PeerError) as caught:
        edhoc_coap.finish(r.client, running)
    assert is_error(caught.value.answer, 1) and r.is_unknown(running.oscore())


def test_rights_go_with_the_credential(stage):
    """What one trusted peer may do, another may not."""
    r = Responder(stage, start_it=False)
    names = list(r.trusted)
    r.proxy.write(clients=[{"match": {"edhoc": {"credential": names[0]}}, "allow": ALLOW},
                           {"match": {"edhoc": {"credential": "*"}}, "allow": ["forward coap://elsewhere.example"]}])
    r.proxy.start()
    kinds = {"Ed25519": (0, 0), "X25519": (3, 0), "P-256": (3, 2)}
    for name, kind in zip(names, KINDS):
        _, context = r.run(*kinds[kind])
        answer = r.secure(context).exchange(r.forward())
        assert answer.dotted == ("2.05" if name == names[0] else "4.01"), kind
        assert answer.payload == b"hello" or r.origin.count() == 1
    assert r.origin.count() == 1


def test_the_response_to_edhoc_has_its_content_formats(stage):
    r = Responder(stage)
    running = r.initiator()
    answer = r.client.exchange(request_1(running.message_1()))
    assert (answer.dotted, answer.get(coap.CONTENT_FORMAT)) == ("2.04", b"\x40")
    running.take_message_2(answer.payload)
    last = r.client.exchange(request_3(running.c_r, running.message_3()))
    assert (last.dotted, last.payload) == ("2.04", b"")


def test_only_post_is_allowed(stage):
    r = Responder(stage)
    assert r.client.get(edhoc_coap.PATH).dotted == "4.05"


# ---- suites ----

# row X02 X04 [rfc9528#6.3]
@pytest.mark.parametrize("suites,info", [([6], [2, 0]), ([3, 1], [2, 0]), ([6, 2, 0], [2, 0])])
def test_a_suite_that_is_not_supported(stage, suites, info):
    r = Responder(stage)
    running = r.initiator(suites=suites, method=3)
    running.suite = suites[-1]
    if suites[-1] not in edhoc.SUITES:
        running.ephemeral = new_key("X25519")
    with pytest.raises(PeerError) as caught:
        start(r.client, running, negotiate=False)
    assert is_error(caught.value.answer, 2)
    found = caught.value.info
    assert sorted(found) == sorted(info)


# row X02
def test_a_suite_is_agreed_on_after_an_error(stage):
    r = Responder(stage)
    running = start(r.client, r.initiator(suites=[6, 0]), negotiate=True)
    assert running.suite == 0
    assert r.passes(edhoc_coap.finish(r.client, running))


# ---- errors ----

# row X03 X04
@pytest.mark.parametrize("method", [1, 2, 4, -1])
def test_a_method_that_is_not_configured(stage, method):
    r = Responder(stage)
    running = r.initiator(method=method)
    answer = r.client.exchange(request_1(running.message_1()))
    assert is_error(answer, 1)


# row X03 X04
@pytest.mark.parametrize("payload", ["", "f5", "f4", "f503", "f50302", "f5ff", "f58403024101", "00", "4100", "f6", "5fff"])
def test_what_is_no_message_is_refused(stage, payload):
    r = Responder(stage)
    answer = r.client.exchange(request(bytes.fromhex(payload)))
    assert answer.dotted == "4.00" and not answer.has(OSCORE)
    _, context = r.run()
    assert r.passes(context)


# row X03
def test_a_message_1_cut_short_anywhere_is_refused(stage):
    r = Responder(stage)
    whole = r.initiator().message_1()
    for n in range(len(whole)):
        assert is_error(r.client.exchange(request_1(whole[:n])), 1), n


# row X03 X04
@SUITE_AND_METHOD
def test_a_changed_message_3_ends_the_session(stage, method, suite):
    r = Responder(stage)
    running = start(r.client, r.initiator(method, suite))
    good = running.message_3()
    assert is_error(r.client.exchange(request_3(running.c_r, flip(good, len(good) - 1))), 1)
    # the session is over: what would have been right comes too late
    assert is_refused(r.client.exchange(request_3(running.c_r, good)))
    assert r.is_unknown(running.oscore())


# row X03
def test_the_proof_in_message_3_has_to_be_right(stage):
    """Well encrypted, under a known name, by somebody without its key."""
    r = Responder(stage)
    for method, kind in ((0, "P-256"), (3, "P-256")):
        real, false = r.trusted[kind], new_key(kind)
        running = start(r.client, r.initiator(method, 2, trusted={kind: Credential(real.cred, real.id_cred, real.public, false)}))
        with pytest.raises(PeerError) as caught:
            edhoc_coap.finish(r.client, running)
        assert is_error(caught.value.answer, 1) and r.is_unknown(running.oscore())


# row X03 X04 [rfc9528#6.4]
@pytest.mark.parametrize("how,code", [("kid", 3), ("x5t", 3), ("kccs", 1)])
def test_an_unknown_credential(stage, how, code):
    r = Responder(stage, how)
    running = start(r.client, r.initiator(0, 2, trusted={"P-256": Credential.new("P-256", how, b"\x77")}))
    with pytest.raises(PeerError) as caught:
        edhoc_coap.finish(r.client, running)
    assert is_error(caught.value.answer, code)
    assert caught.value.info is True if code == 3 else isinstance(caught.value.info, str)
    assert r.is_unknown(running.oscore())


# row X03
def test_message_3_for_no_session(stage):
    r = Responder(stage)
    running = start(r.client, r.initiator())
    other = bytes([running.c_r[0] ^ 0x40]) + running.c_r[1:] + b"\x01"
    assert is_refused(r.client.exchange(request_3(other, running.message_3())))
    assert r.is_unknown(running.oscore())


# [rfc9528#6]
def test_an_error_of_the_initiator_ends_the_session(stage):
    r = Responder(stage)
    running = start(r.client, r.initiator())
    message_3 = running.message_3()
    answer = r.client.exchange(request_3(running.c_r, EdhocError("no more").message))
    assert error_in(answer) is None         # no error is sent in answer to an error
    assert is_refused(r.client.exchange(request_3(running.c_r, message_3)))
    assert r.is_unknown(running.oscore())


# ---- connection identifiers ----

# row X05 [rfc9668#4.1.2]
def test_connection_identifiers_are_not_taken_twice(stage, keys):
    r = Responder(stage, start_it=False)
    configured = [Context(bytes(16), b"", bytes([n]), bytes([n + 1])) for n in range(0, 40, 2)]
    r.proxy.write(contexts=[context_entry(f"c{n}", c) for n, c in enumerate(configured)])
    r.proxy.start()
    seen = {c.recipient_id for c in configured}
    for n in range(100):
        running = start(r.client, r.initiator(c_i=bytes([n])))
        assert running.c_r not in seen and running.c_r != running.c_i
        seen.add(running.c_r)


# ---- repetitions ----

# row X09 [rfc9528#7]
@pytest.mark.parametrize("method", [0, 3])
def test_a_repeated_message_is_not_processed_twice(stage, method):
    """With another Message ID, so that the message layer does not help."""
    r = Responder(stage)
    running = r.initiator(method)
    m1 = request_1(running.message_1())
    first, second = r.client.exchange(m1), r.client.exchange(m1)
    # either the same message_2, or none; never another one
    assert second.payload == first.payload or second.dotted != "2.04"
    running.take_message_2(first.payload)
    m3 = request_3(running.c_r, running.message_3())
    context = running.oscore()
    assert r.client.exchange(m3).dotted == "2.04"
    assert r.passes(context)
    again = r.client.exchange(m3)
    assert again.dotted == "2.04" and not again.payload or again.dotted[0] == "4"
    # the context is the same, with its window and its numbers
    made, layer = context.protect_request(r.forward(), oscore.TO_PROXY)
    context.next -= 2
    used, _ = context.protect_request(r.forward(), oscore.TO_PROXY)
    assert r.client.exchange(used).dotted == "4.01"
    assert layer.unprotect_response(r.client.exchange(made)).payload == b"hello"


# ---- the combined request ----

def combined(r, running, path="x"):
    return combined_request(running, r.forward(path), towards=oscore.TO_PROXY)


# row X06 [rfc9668#3.3.1]
@SUITE_AND_METHOD
def test_the_combined_request(stage, method, suite):
    r = Responder(stage)
    made, context, layer = combined(r, start(r.client, r.initiator(method, suite)))
    assert layer.unprotect_response(r.client.exchange(made)).payload == b"hello"
    assert not r.origin.requests()[0].message.has(EDHOC)
    assert r.passes(context) and r.origin.count() == 2


# row X06
def test_a_value_of_the_edhoc_option_is_ignored(stage):
    """[rfc9668#3.1]"""
    r = Responder(stage)
    made, _, layer = combined(r, start(r.client, r.initiator()))
    assert layer.unprotect_response(r.client.exchange(made.without(EDHOC).plus((EDHOC, b"x")))).payload == b"hello"


# row X07 [rfc9668#3.3.1]
@pytest.mark.parametrize("payload", ["", "52", "5201", "0102", "f5", "4101", "a0", "80", "5f4101ff00"])
def test_a_combined_request_of_another_form_is_400(stage, payload):
    r = Responder(stage)
    running = start(r.client, r.initiator())
    made, context, layer = combined(r, running)
    answer = r.client.exchange(made.copy(payload=bytes.fromhex(payload)))
    assert answer.dotted == "4.00" and not answer.has(OSCORE)
    assert r.origin.count() == 0
    # the request is not processed at all: anybody could have sent it, and the session goes on
    assert layer.unprotect_response(r.client.exchange(made)).payload == b"hello"


# row X07
def test_an_edhoc_option_without_oscore_is_400(stage):
    r = Responder(stage)
    made, _, _ = combined(r, start(r.client, r.initiator()))
    answer = r.client.exchange(made.without(OSCORE))
    assert answer.dotted == "4.00" and not answer.has(OSCORE) and r.origin.count() == 0
    assert r.client.exchange(SEMANTICS["s29"]).dotted == "4.00"


# row X08 [rfc9668#3.3.1]
@SUITE_AND_METHOD
def test_a_bad_message_3_in_a_combined_request(stage, method, suite):
    r = Responder(stage)
    made, context, _ = combined(r, start(r.client, r.initiator(method, suite)))
    answer = r.client.exchange(made.copy(payload=flip(made.payload, 4)))
    assert is_error(answer, 1) and r.origin.count() == 0
    assert r.is_unknown(context)


# row X08: error 1 also where the credential is unknown
def test_an_unknown_credential_in_a_combined_request(stage):
    r = Responder(stage)
    made, context, _ = combined(r, start(r.client, r.initiator(trusted={"P-256": Credential.new("P-256", "kid", b"\x77")})))
    assert is_error(r.client.exchange(made), 1)
    assert r.is_unknown(context) and r.origin.count() == 0


# row X08
def test_a_combined_request_for_no_session(stage):
    r = Responder(stage)
    made, context, _ = combined(r, start(r.client, r.initiator()))
    option = oscore.Option(b"\x00", context.sender_id + b"\x01")
    assert r.client.exchange(made.without(OSCORE).plus((OSCORE, option.encode()))).dotted in ("4.00", "4.01")
    assert r.origin.count() == 0


# [rfc9668#3.3.1]
def test_a_bad_ciphertext_behind_a_good_message_3(stage):
    """The error of OSCORE; the session is complete and its context there."""
    r = Responder(stage)
    made, context, layer = combined(r, start(r.client, r.initiator()))
    answer = r.client.exchange(made.copy(payload=flip(made.payload, len(made.payload) - 1)))
    assert answer.dotted == "4.00" and not answer.has(OSCORE) and error_in(answer) is None
    assert r.passes(context)


# [rfc9668#3.3.1]
def test_an_edhoc_option_inside_is_an_unprocessed_critical_option(stage):
    r = Responder(stage)
    running = start(r.client, r.initiator())
    message_3, context = running.message_3(), running.oscore()
    protected, layer = context.protect_request(coap.request(path=".well-known/core", options=[(EDHOC, b"")]), oscore.TO_PROXY)
    answer = r.client.exchange(edhoc_coap.combine(protected, message_3))
    assert layer.unprotect_response(answer).dotted in ("4.00", "4.02")


# row X09
def test_a_repeated_combined_request_is_not_processed_twice(stage):
    r = Responder(stage)
    made, context, layer = combined(r, start(r.client, r.initiator()))
    assert layer.unprotect_response(r.client.exchange(made)).payload == b"hello"
    assert r.client.exchange(made).dotted in ("4.00", "4.01")
    assert r.origin.count() == 1 and r.passes(context)


# ---- for others ----

# row X11 [ocp#B.4]
@pytest.mark.parametrize("combine", [False, True])
def test_edhoc_with_the_proxy_and_then_through_it(stage, combine):
    """The draft's examples: CTX_C_P by EDHOC with P, then CTX_C_S by EDHOC with S under CTX_C_P."""
    r = Responder(stage)
    server = Credential.new("P-256", "kid", b"\x4a")
    ours = r.trusted["P-256"]
    s = stage.edhoc_origin(server, [ours])
    towards_s = reach(s)
    to_s = Initiator(ours, [server.without_private()], 3, [2])
    if combine:                             # message_3 for P and message_1 for S in one request [ocp#B.5]
        at_p = start(r.client, r.initiator())
        made, cp, layer = combined_request(at_p, request_1(to_s.message_1(), towards_s), towards=oscore.TO_PROXY)
        to_s.take_message_2(edhoc_coap.expect_message(layer.unprotect_response(r.client.exchange(made))))
    else:
        _, cp = r.run()
        to_s = start(r.secure(cp), to_s, towards_s)
    answer, cs = edhoc_coap.combined(r.secure(cp), to_s, coap.request(path="x"), towards_s)
    assert answer.payload == b"hello"
    both = net.Secure(r.client, cs, [Hop(cp)], towards_s)
    assert both.exchange(coap.request(path="y")).payload == b"hello"
    assert [q.plain.path() for q in s.requests()][-2:] == ["/x", "/y"]
    assert len(s.established()) == 1


# row X11
def test_edhoc_for_somebody_else_is_forwarded_and_not_answered(stage):
    r = Responder(stage, clients=[{"match": {"any": True}, "allow": ALLOW}])
    server = Credential.new("P-256", "kid", b"\x4a")
    s = stage.edhoc_origin(server, [r.trusted["P-256"]])
    done, _ = edhoc_run(r.client, Initiator(r.trusted["P-256"], [server.without_private()], 3, [2]), reach(s))
    assert done.peer.cred == server.cred and len(s.established()) == 1


# ---- how much of it there may be ----

# row X10 (partly: 3,000 of them) [rfc9528#9.7]
@pytest.mark.seconds(60)
def test_sessions_that_are_never_finished_do_no_harm(stage):
    """Many message_1 of nobody; one who is serious still gets a context afterwards."""
    r = Responder(stage)
    for _ in range(3000):
        r.client.send(r.client.dress(request_1(r.initiator().message_1())))
    while r.client.receive(RESPONSE_TIMEOUT / 4):
        pass
    _, context = r.run()
    assert r.passes(context)
    assert r.proxy.is_running()


# ---- over a restart ----

@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_context_survives_a_restart(stage, how):
    r = Responder(stage)
    _, context = r.run()
    assert r.passes(context)
    while r.proxy.metric("osprey_leases_granted_total") == 0:       # written off the workers' path, with its first lease
        time.sleep(0.01)
    getattr(r.proxy, how)()
    r.proxy.start()
    assert r.passes(context)


def test_a_credential_that_is_no_longer_trusted_loses_its_contexts(stage):
    r = Responder(stage)
    _, context = r.run()
    assert r.passes(context)
    edhoc_file(r.proxy.dir, list(r.own.items()), [])
    r.proxy.write(clients=[{"match": {"any": True}, "allow": ALLOW}])
    r.proxy.reload()
    assert r.is_unknown(context)


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_credential_that_is_replaced_under_its_name_loses_its_contexts(stage, how):
    r = Responder(stage)
    _, context = r.run()
    _, other = r.run(suite=0)
    assert r.passes(context) and r.passes(other)
    while r.proxy.metric("osprey_leases_granted_total") == 0:
        time.sleep(0.01)
    r.trusted["P-256"] = Credential.new("P-256", "kid", b"\x77")
    edhoc_file(r.proxy.dir, list(r.own.items()), list(r.trusted.items()))
    if how == "reload":
        r.proxy.reload()
    else:
        r.proxy.stop()
        r.proxy.start()
    assert r.is_unknown(context) and r.passes(other)
    _, again = r.run()
    assert r.passes(again)
