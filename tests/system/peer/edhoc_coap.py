# SPDX-License-Identifier: BSD-2-Clause
"""
EDHOC over CoAP, forward flow (RFC 9528, A.2), and the combined EDHOC and OSCORE request (RFC 9668, 3): the client's steps
and an origin.

The client's functions take a `party` with exchange(message), which is a net.Client, or a net.Secure when the messages go
under the layers of proxies; `reach` are the options by which a proxy finds the Responder.
"""
from dataclasses import dataclass, field

from . import coap, edhoc, edhoc_cred, net, oscore
from .coap import CONTENT_FORMAT, ECHO, EDHOC, OSCORE, POST
from .edhoc import ERR_UNSPECIFIED, EdhocError, PeerError, Responder
from .edhoc_cred import CborError, encode_id

PATH = "/.well-known/edhoc"
EDHOC_CBOR_SEQ, CID_EDHOC_CBOR_SEQ = 64, 65
TRUE = b"\xf5"


class Refused(AssertionError):
    """An answer that is neither the next message nor an error of EDHOC."""

    def __init__(self, answer):
        super().__init__(str(answer))
        self.answer = answer


# ---- the client, step by step ----

def request(payload, reach=(), path=PATH, content_format=CID_EDHOC_CBOR_SEQ, **kw):
    options = [] if content_format is None else [(CONTENT_FORMAT, coap.uint(content_format))]
    return coap.request(POST, path=path, options=options + list(reach), payload=payload, **kw)


def request_1(message_1, reach=(), **kw):
    return request(TRUE + message_1, reach, **kw)


def request_3(c_r, message_3, reach=(), **kw):
    """Also for an error message to the Responder."""
    return request(encode_id(c_r) + message_3, reach, **kw)


def error_in(answer):
    """(ERR_CODE, ERR_INFO) of an EDHOC error in a CoAP error response (RFC 9528, A.2.3), None otherwise."""
    if answer.code >> 5 not in (4, 5) or answer.get(CONTENT_FORMAT) != coap.uint(EDHOC_CBOR_SEQ) or answer.has(OSCORE):
        return None
    return edhoc.decode_error(answer.payload)


def expect_message(answer, may_be_empty=False):
    """The EDHOC message in a 2.04; PeerError for an EDHOC error, Refused for anything else."""
    error = error_in(answer)
    if error:
        raised = PeerError(f"error {error[0]}: {error[1]}", *error)
        raised.answer = answer
        raise raised
    if answer.dotted == "2.04" and not answer.payload and may_be_empty:
        return b""
    if answer.dotted != "2.04" or answer.get(CONTENT_FORMAT) != coap.uint(EDHOC_CBOR_SEQ):
        raise Refused(answer)
    return answer.payload


def exchange(party, m):
    """One exchange; a 4.01 with Echo in front of EDHOC is answered once."""
    answer = party.exchange(m)
    echo = oscore.challenge_of(answer)
    return answer if echo is None else party.exchange(m.plus((ECHO, echo)))


def start(party, initiator, reach=(), negotiate=True, path=PATH):
    """
    message_1 and message_2; returns the Initiator, which is another one when the suite had to be changed.  A message_2
    that fails is answered with an error message, then EdhocError is raised.
    """
    try:
        message_2 = expect_message(exchange(party, request_1(initiator.message_1(), reach, path=path)))
    except PeerError as error:
        if error.code != edhoc.ERR_SUITE or not negotiate:
            raise
        suites = error.info if isinstance(error.info, list) else [error.info]
        return start(party, initiator.retry(suites), reach, False, path)
    try:
        initiator.take_message_2(message_2)
    except EdhocError as error:
        if initiator.c_r is not None:
            party.exchange(request_3(initiator.c_r, error.message, reach, path=path))
        raise
    return initiator


def finish(party, initiator, reach=(), message_4=False, path=PATH):
    """message_3, and message_4 if the profile says so; returns the OSCORE Security Context."""
    answer = party.exchange(request_3(initiator.c_r, initiator.message_3(), reach, path=path))
    message = expect_message(answer, may_be_empty=not message_4)
    if message_4:
        initiator.take_message_4(message)
    elif message:
        raise Refused(answer)
    return initiator.oscore()


def edhoc_run(party, initiator, reach=(), message_4=False, path=PATH):
    """The whole sequential flow; returns (initiator, OSCORE Security Context)."""
    initiator = start(party, initiator, reach, path=path)
    return initiator, finish(party, initiator, reach, message_4, path)


def combine(protected, message_3):
    """The EDHOC + OSCORE request from its two parts (RFC 9668, 3.2.1)."""
    return protected.copy(payload=message_3 + protected.payload).plus((EDHOC, b""))


def combined_request(initiator, m, reach=(), towards=oscore.TO_SERVER):
    """(the request, context, layer): message_3 of `initiator` with `m` under the new context."""
    message_3 = initiator.message_3()
    context = initiator.oscore()
    protected, layer = context.protect_request(m, towards)
    return combine(protected, message_3).plus(*reach), context, layer


def combined(party, initiator, m, reach=(), towards=oscore.TO_SERVER):
    """Sends it; returns (the response without its layer, context)."""
    made, context, layer = combined_request(initiator, m, reach, towards)
    answer = party.exchange(made)
    error = error_in(answer)
    if error:
        raised = PeerError(f"error {error[0]}: {error[1]}", *error)
        raised.answer = answer
        raise raised
    if not answer.has(OSCORE):
        raise Refused(answer)
    return layer.unprotect_response(answer), context


def split(payload):
    """(message_3, ciphertext) of a combined payload, None when it is not one (RFC 9668, 3.3.1)."""
    try:
        item, rest = edhoc_cred.first(payload)
    except CborError:
        return None
    return (item.raw, rest) if isinstance(item.value, bytes) and rest else None


# ---- the origin ----

@dataclass
class Running:
    """A session between its messages, and the answer to its last one for a repetition (RFC 9528, 7)."""
    responder: Responder
    last: bytes = b""
    answer: coap.Message = None
    context: oscore.Context = None
    errors: list = field(default_factory=list)


def error_response(error, code="4.00"):
    return coap.response(code, error.message, [(CONTENT_FORMAT, coap.uint(EDHOC_CBOR_SEQ))])


def message_response(message):
    return coap.response("2.04", message, [(CONTENT_FORMAT, coap.uint(EDHOC_CBOR_SEQ))] if message else [])


class EdhocOrigin(net.Origin):
    """
    A Responder at /.well-known/edhoc.  Everything else is answered by `answer`, under the contexts that EDHOC established
    and those it was given.  `options` are those of Responder; `challenge` is an Echo value wanted with message_1.
    """

    def __init__(self, credentials, peers, answer=net.hello, message_4=False, challenge=None, contexts=(), address=None,
                 **options):
        self.credentials, self.peers, self.options = credentials, peers, options
        self.serve, self.with_message_4, self.challenge = answer, message_4, challenge
        self.sessions = {}                  # C_R -> Running, also those that are complete
        self.failures = []                  # EdhocErrors sent, and those received as PeerError
        super().__init__(self.dispatch, contexts, address)

    def established(self):
        return [s for s in self.sessions.values() if s.context]

    def dispatch(self, m):
        if m.path() != PATH:
            return self.serve(m)
        if m.code != POST:
            return coap.response("4.05")
        try:
            return self.edhoc(m)
        except EdhocError as error:
            self.failures.append(error)
            return error_response(error)

    def edhoc(self, m):
        try:
            item, message = edhoc_cred.first(m.payload)
            if item.raw == TRUE:
                return self.message_1(m, message)
            c_r = edhoc_cred.decode_id(item)
        except CborError as error:
            raise EdhocError("Payload") from error
        session = self.find(c_r)
        peer_error = edhoc.decode_error(message)
        if peer_error:                      # no answer to an error is an error
            self.failures.append(PeerError(str(peer_error), *peer_error))
            session.responder.state = "failed"
            return message_response(b"")
        return self.message_3(session, message)

    def find(self, c_r):
        if c_r not in self.sessions:
            raise EdhocError("No session")
        return self.sessions[c_r]

    def message_1(self, m, message):
        for session in self.sessions.values():
            if session.last == message:
                return session.answer
        if self.challenge is not None and m.get(ECHO) != self.challenge:
            return coap.response("4.01", options=[(ECHO, self.challenge)])
        taken = set(self.sessions) | {c.recipient_id for c in self.contexts}
        responder = Responder(self.credentials, self.peers, taken=taken, **self.options)
        responder.take_message_1(message)
        answer = message_response(responder.message_2())
        self.sessions[responder.c_r] = Running(responder, message, answer)
        return answer

    def message_3(self, session, message):
        if session.last == message:
            return session.answer
        self.complete(session, message)
        session.answer = message_response(session.responder.message_4() if self.with_message_4 else b"")
        return session.answer

    def complete(self, session, message):
        session.responder.take_message_3(message)
        session.last = message
        session.context = session.responder.oscore()
        self.contexts.append(session.context)

    # ---- OSCORE, with EDHOC in front of it ----

    def open(self, m):
        """Takes off the layers, and message_3 where the EDHOC option stands."""
        removed = []
        while m.has(OSCORE) or m.has(EDHOC):
            if m.has(EDHOC):
                m = self.open_combined(m, removed)
            if not any(c.recipient_id == oscore.Option.decode(m.get(OSCORE)).kid for c in self.contexts):
                raise net.Turned(coap.response("4.01", payload=b"Security context not found"), removed)     # [rfc8613#8.2]
            m, layer = oscore.remove_one(m, self.contexts)
            removed.append(layer)
        return m, removed

    def open_combined(self, m, removed):
        """The steps of RFC 9668, 3.3.1."""
        parts = split(m.payload)
        if not m.has(OSCORE) or parts is None:
            raise net.Turned(coap.response("4.02" if removed and not m.has(OSCORE) else "4.00"), removed)
        message_3, ciphertext = parts
        try:
            session = self.find(oscore.Option.decode(m.get(OSCORE)).kid)
            if self.with_message_4:
                raise EdhocError("message_4 is used here")
            if session.last != message_3:
                self.complete(session, message_3)
        except EdhocError as error:
            told = EdhocError("Error", ERR_UNSPECIFIED)
            self.failures.append(error)
            raise net.Turned(error_response(told), removed) from error
        return m.without(EDHOC).copy(payload=ciphertext)
