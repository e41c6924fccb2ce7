# SPDX-License-Identifier: BSD-2-Clause
"""
Contexts derived multiple times [rfc8613#B.2]: both ends, written from the RFC, with R2 cached at the server.
"""
import secrets

import cbor2

from . import coap, net, oscore
from .coap import OSCORE
from .oscore import Context, Layer, Option, OscoreError

R_LEN = 8


class Base:
    """What one end was provisioned with; no ID Context."""

    def __init__(self, secret, salt, sender_id, recipient_id, aead=10):
        self.secret, self.salt, self.sender_id, self.recipient_id, self.aead = secret, salt, sender_id, recipient_id, aead
        self.id_context = None
        self.current = None

    def other_side(self):
        return Base(self.secret, self.salt, self.recipient_id, self.sender_id, self.aead)

    def derive(self, id_context, response_kid_context=None):
        c = Context(self.secret, self.salt, self.sender_id, self.recipient_id, id_context, self.aead)
        c.kid_context = cbor2.dumps(id_context)
        c.response_kid_context = response_kid_context
        return c


# ---- client ----

class Client:
    """A client with a base for the proxy: request #1, the answer to it, and the request again."""

    def __init__(self, client, base):
        self.client, self.base = client, base
        self.first = None                   # request #1 and #2 as they were sent
        self.second = None
        self.runs = 0

    def begin(self, m, id1=None):
        """Sends request #1; the ID Context of the third context."""
        id1 = secrets.token_bytes(R_LEN) if id1 is None else id1
        context = self.base.current if self.base.current and id1 == self.base.current.id_context else self.base.derive(id1)
        self.first, layer = context.protect_request(m, oscore.TO_PROXY)
        return self.next_id(self.client.exchange(self.first), layer)

    def next_id(self, answer, layer):
        option = Option.decode(answer.get(OSCORE))
        assert option.piv is not None       # which nonce it has is not open to interpretation
        r2 = cbor2.loads(option.kid_context)
        under = Layer(self.base.derive(r2 + layer.context.id_context), layer.kid, layer.piv, layer.observe)
        plain = under.unprotect_response(answer)
        assert plain.dotted == "4.01" and not plain.options and not plain.payload
        return r2 + secrets.token_bytes(R_LEN)

    def finish(self, m, id3):
        """Sends request #2; the answer to it."""
        context = self.base.derive(id3)
        self.second, layer = context.protect_request(m, oscore.TO_PROXY)
        answer = layer.unprotect_response(self.client.exchange(self.second))
        self.base.current = context
        self.runs += 1
        return answer

    def exchange(self, m, echo=True):
        """In the current context if there is one; in a new one if there is none, or the proxy wants one."""
        if not self.base.current:
            return self.finish(m, self.begin(m))
        made, layer = self.base.current.protect_request(m, oscore.TO_PROXY)
        answer = self.client.exchange(made)
        if answer.has(OSCORE) and Option.decode(answer.get(OSCORE)).kid_context:
            return self.finish(m, self.next_id(answer, layer))
        plain = layer.unprotect_response(answer)
        value = oscore.challenge_of(plain)
        return self.exchange(m.plus((coap.ECHO, value)), False) if value and echo else plain


# ---- server ----

class Origin(net.Origin):
    """
    An origin that shares a base with the proxy. Its response #1 has "the AEAD nonce from the request" [rfc8613#8.3], to
    the letter, or with the Common IV of the second context.
    """

    def __init__(self, base, answer=net.hello, address=None, literal=True):
        self.base, self.literal = base, literal
        self.pending = set()
        self.begun, self.runs = 0, 0
        super().__init__(answer, (), address)

    def forget_all(self):
        """As after a restart."""
        self.base.current = None
        self.pending.clear()

    def open(self, m):
        if not m.has(OSCORE):
            return m, []
        option = Option.decode(m.get(OSCORE))
        current = self.base.current
        if current and option.kid_context in (None, current.kid_context):
            plain, layer = current.unprotect_request(m)
            return plain, [layer]
        if option.kid_context is None:
            raise OscoreError("no context")
        return self.run_on(m, cbor2.loads(option.kid_context))

    def run_on(self, m, ident):
        context = self.base.derive(ident)
        plain, layer = context.unprotect_request(m)
        for r2 in self.pending:
            if ident.startswith(r2) and len(ident) > len(r2):
                self.pending.clear()
                self.base.current = context
                self.runs += 1
                return plain, [layer]
        r2 = secrets.token_bytes(R_LEN)
        self.pending.add(r2)
        self.begun += 1
        second = self.base.derive(r2 + ident, cbor2.dumps(r2))
        request_iv = context.common_iv if self.literal else None
        raise net.Turned(coap.Message(code=coap.code("4.01")),
                         [Layer(second, layer.kid, layer.piv, layer.observe, request_iv=request_iv)])
