# SPDX-License-Identifier: BSD-2-Clause
"""
The configuration of the kill test, and what an operator may do to it between two starts: mistakes, too.
"""
import copy
import random
from dataclasses import dataclass, field

CLIENT_IDS = [bytes([n]) for n in (0x20, 0x21, 0x22)]
PROXY_IDS = [bytes([n]) for n in (0x50, 0x51, 0x52)]
LEG_IDS = [bytes([n]) for n in (0xd4, 0xd5, 0xd6)]       # the proxy's towards the origin
ORIGIN_IDS = [bytes([n]) for n in (0x54, 0x55, 0x56)]
WORKERS = 4


@dataclass
class Entry:
    """One context of the configuration, as the proxy has it."""
    name: str
    secret: bytes
    sender_id: bytes
    recipient_id: bytes
    salt: bytes
    fresh: bool = True

    def config(self):
        made = {"name": self.name, "master-secret": {"hex": self.secret.hex()}, "master-salt": {"hex": self.salt.hex()},
                "sender-id": {"hex": self.sender_id.hex()}, "recipient-id": {"hex": self.recipient_id.hex()}}
        return {**made, "fresh": True} if self.fresh else made

    def __str__(self):
        return (f"{self.name}{'*' if self.fresh else ''} {self.sender_id.hex()}<-{self.recipient_id.hex()}"
                f"{'+0' * (len(self.salt) - 8)}")


@dataclass
class Setup:
    """What stands in the file at the moment: the context of the client, and the one towards the origin."""
    cp: Entry
    ps: Entry
    workers: int = WORKERS
    origin: str = ""
    more: dict = field(default_factory=dict)

    def config(self):
        return {"contexts": [self.cp.config(), self.ps.config()], "workers": self.workers,
                "clients": [{"match": {"context": self.cp.name}, "allow": ["forward coap://127.0.0.0/8"]}],
                "upstreams": [{"match": self.origin, "context": self.ps.name}], **self.more}

    def __str__(self):
        return f"[{self.cp}; {self.ps}; {self.workers} workers]"


# ---- edits: each changes a Setup in place ----

def other(values, now):
    return random.choice([v for v in values if v != now])


def client_sender_id(s):
    s.cp.sender_id = other(PROXY_IDS, s.cp.sender_id)


def client_recipient_id(s):
    s.cp.recipient_id = other(CLIENT_IDS, s.cp.recipient_id)


def leg_sender_id(s):
    s.ps.sender_id = other(LEG_IDS, s.ps.sender_id)


def leg_recipient_id(s):
    s.ps.recipient_id = other(ORIGIN_IDS, s.ps.recipient_id)


def swap_client(s):
    s.cp.sender_id, s.cp.recipient_id = s.cp.recipient_id, s.cp.sender_id


def swap_leg(s):
    s.ps.sender_id, s.ps.recipient_id = s.ps.recipient_id, s.ps.sender_id


def client_fresh(s):
    s.cp.fresh = not s.cp.fresh


def leg_fresh(s):
    s.ps.fresh = not s.ps.fresh


def names(s):
    s.cp.name, s.ps.name = (other(["c-p", "meter", "laptop"], s.cp.name), other(["p-s", "origin", "gw"], s.ps.name))


def exchange_names(s):
    """Each context gets the name of the other: what is filed by name would get mixed up."""
    s.cp.name, s.ps.name = s.ps.name, s.cp.name


def salt_zeroes(s):
    """The same keys from other bytes [rfc2104#3]."""
    for entry in (s.cp, s.ps):
        entry.salt = entry.salt[:8] + b"\0" * random.choice([n for n in (0, 1, 5) if n != len(entry.salt) - 8])


def workers(s):
    s.workers = other([1, 2, 3, 4], s.workers)


EDITS = (client_sender_id, client_recipient_id, leg_sender_id, leg_recipient_id, swap_client, swap_leg, client_fresh, leg_fresh,
         names, exchange_names, salt_zeroes, workers)
RESTART_ONLY = (workers,)                   # a reload refuses these


def edited(setup, edit):
    changed = copy.deepcopy(setup)
    edit(changed)
    return changed
