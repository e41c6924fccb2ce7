#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Kills the daemon again and again under load, with edits of its configuration in between, and looks in everything that was ever
sent for a (Sender Key, Partial IV) with two messages, and for a request that was executed twice.  An edit that the daemon
refuses is undone.  Prints a table, and last `N passed, N failed`.
"""
import collections
import os
import random
import re
import secrets
import select
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import edits  # noqa: E402
from edits import Entry, Setup  # noqa: E402
from ledger import Ledger, Pair  # noqa: E402

import trial  # noqa: E402
from peer import coap, net, oscore  # noqa: E402
from peer.coap import ECHO, OSCORE  # noqa: E402
from peer.oscore import Option, OscoreError  # noqa: E402

SOCKETS = 8                         # of the client: the kernel spreads them over the workers
OUTSTANDING = 8
RUN_SECONDS = 0.12                  # under load, at most, before it is killed
REPLAYS = 10                        # recorded datagrams sent again after each start
STOPPED = 0.15                      # share of rounds that end with SIGTERM
RELOADED = 0.3                      # share of edits that a running daemon is told of
EDITED = 0.7                        # share of rounds with an edit
SHOWN = 12                          # findings printed


class Origin(net.Origin):
    """Takes off the layer of whichever ID the proxy has, and executes whatever opens: repetitions are for the ledger."""

    def __init__(self, pair, ledger):
        self.pair, self.ledger, self.setup = pair, ledger, None
        super().__init__(lambda request: coap.response("2.04"))

    def open(self, m):
        setup, option = self.setup, Option.decode(m.get(OSCORE)) if m.has(OSCORE) else None
        if option is None or option.kid is None or option.piv is None:
            return m, []
        if option.kid == setup.ps.recipient_id:     # sent before the IDs were swapped: an answer would be under the proxy's key
            return m, []
        context = self.pair.context(setup.ps.recipient_id, option.kid, setup.ps.salt)
        layer = oscore.Layer(context, option.kid, option.piv)
        try:
            plain = context.open(oscore.nonce(option.kid, option.piv, context.common_iv), m.payload, layer.aad())
        except OscoreError:
            self.ledger.cannot_open(f"a request of the proxy under kid {option.kid.hex()}, PIV {option.piv.hex()}")
            return m, []
        self.pair.note_received(context, option.kid, option.piv, m.payload,
                                f"request of the proxy ({option.kid.hex()}) under PIV {option.piv.hex()}")
        plain = context.merge(m, plain)
        self.ledger.execute(plain.payload, coap.encode(m))
        return plain, [layer]

    def reply(self, got, answers):
        """Every other response has a Partial IV of the origin's own, so that swapped IDs of this leg would be seen."""
        if not got.removed:
            return
        layer = got.removed[0]
        piv = self.pair.take(layer.context) if random.random() < 0.5 else None
        made = layer.protect_response(answers, piv=piv)
        self.pair.note_sent(layer.context, *((layer.context.sender_id, piv) if piv else (layer.kid, layer.piv)), made.payload,
                            "response of the origin")
        self.send(net.reply_to(got.message, made), got.source)


class Load:
    """A client that keeps requests outstanding, and an attacker with a recorder."""

    def __init__(self, pair, origin):
        self.pair, self.origin = pair, origin
        self.clients = [net.Client(("127.0.0.1", 1)) for _ in range(SOCKETS)]
        self.sent = []                  # (message, layer, salt): everything, for replays
        self.waiting = {}               # token -> (layer, salt)
        self.echo = {}                  # Client's ID -> Echo value
        self.name = 0
        self.count = collections.Counter()

    def close(self):
        for client in self.clients:
            client.close()

    def aim(self, address):
        for client in self.clients:
            client.target = address

    def request(self, entry):
        self.name += 1
        context = self.pair.context(entry.recipient_id, entry.sender_id, entry.salt)
        echo = self.echo.get(context.sender_id)
        m = coap.request(coap.POST, "x", self.origin.host, self.origin.port, "coap", [(ECHO, echo)] if echo else [],
                         b"%d" % self.name, coap.NON)
        made, layer = context.protect_request(m, oscore.TO_PROXY, piv=self.pair.take(context))
        self.pair.note_sent(context, layer.kid, layer.piv, made.payload, "request of the client")
        sent = self.clients[self.name % SOCKETS].ask(made)
        self.sent.append((sent, layer, entry.salt))
        self.waiting[sent.token] = (layer, entry.salt)
        self.count["sent"] += 1

    def take(self, datagram, known):
        """One answer; `known` are the requests it may be for, by Token."""
        m = coap.decode(datagram)
        layer, salt = known.pop(m.token, (None, None))
        if layer is None:
            return
        if not m.has(OSCORE):
            self.count[f"in the clear {m.dotted}"] += 1
            return
        answer = self.pair.open_response(m, layer, salt, edits.PROXY_IDS + edits.CLIENT_IDS)
        if answer is None:
            return
        self.count["answered"] += 1
        self.count["executed"] += answer.dotted == "2.04"
        if answer.dotted == "4.01" and answer.has(ECHO):
            self.count["challenges"] += 1
            self.echo[layer.kid] = answer.get(ECHO)
        else:
            self.echo.pop(layer.kid, None)

    def run(self, entry, until, is_alive):
        socks = {c.sock: c for c in self.clients}
        while time.monotonic() < until and is_alive():
            while len(self.waiting) < OUTSTANDING:
                self.request(entry)
            for sock in select.select(list(socks), [], [], 0.01)[0]:
                try:
                    self.take(sock.recv(65536), self.waiting)
                except ConnectionError:
                    return

    def forget(self):
        """The daemon is gone, and with it what was outstanding."""
        self.waiting.clear()
        self.echo.clear()

    def replay(self, address, count):
        """Datagrams of before with a Message ID and Token that are new, from an address that is new."""
        if not self.sent:
            return
        with net.Client(address) as attacker:
            known = {}
            for m, layer, salt in random.sample(self.sent, min(count, len(self.sent))):
                known[attacker.ask(m.copy(type=coap.NON)).token] = (layer, salt)
            deadline = time.monotonic() + 0.02
            while time.monotonic() < deadline:
                datagram = attacker.receive_raw(0.005)
                if datagram:
                    echo = dict(self.echo)
                    self.take(datagram, known)
                    self.echo = echo        # what an attacker is told is no help to the client


class KillTest:
    """`edit`: edits between rounds; `more`: keys of the configuration."""

    def __init__(self, directory, edit=True, workers=edits.WORKERS, **more):
        from daemon import Proxy
        self.ledger = Ledger()
        self.cp, self.ps = Pair(secrets.token_bytes(16), self.ledger), Pair(secrets.token_bytes(16), self.ledger)
        self.origin = Origin(self.ps, self.ledger)
        self.load = Load(self.cp, self.origin)
        self.setup = Setup(Entry("c-p", self.cp.secret, edits.PROXY_IDS[0], edits.CLIENT_IDS[0], secrets.token_bytes(8)),
                           Entry("p-s", self.ps.secret, edits.LEG_IDS[0], edits.ORIGIN_IDS[0], secrets.token_bytes(8)), workers,
                           net.uri(self.origin.address), {"log": {"level": "warning"}, "lease": {"block": 50}, **more})
        self.proxy = Proxy(os.path.join(directory, "p"))
        self.load.aim(self.proxy.address)
        self.edit = edit
        self.rounds = self.progressed = self.killed = self.stopped = 0
        self.tried, self.refused = collections.Counter(), collections.Counter()
        self.failures = []              # the daemon ended by itself, or does not start

    def close(self):
        self.load.close()
        self.origin.running = False
        self.origin.thread.join(2)
        self.origin.sock.close()
        if self.proxy.process is not None:
            self.proxy.kill()
        if self.proxy.notify:
            self.proxy.notify.close()

    # ---- one round ----

    def use(self, setup):
        self.setup = self.origin.setup = setup
        self.proxy.write(**setup.config())
        self.ledger.now = f"round {self.rounds} {setup}"

    def start(self):
        """False: it refuses the configuration, and says so with its exit status; everything else is a failure."""
        try:
            self.proxy.start(timeout=20)
            return True
        except AssertionError as error:
            status = self.proxy.process.poll()
            if status is None:
                self.proxy.kill()
                raise RuntimeError(f"neither started nor ended: {error}") from None
            self.proxy.process = None
            if status < 0 or status > 2:
                raise RuntimeError(f"ended with {status} at its start: {error}") from None
            return False

    def begin(self, edit):
        """Starts with the edit, without it where it is refused."""
        before = self.setup
        if edit:
            self.tried[edit.__name__] += 1
            self.use(edits.edited(before, edit))
            if self.start():
                return
            self.refused[edit.__name__] += 1
        self.use(before)
        if not self.start():
            raise RuntimeError(f"does not start with {before}:\n{self.proxy.log()[-1500:]}")

    def tell(self, edit):
        """The edit by a reload."""
        before, refused = self.setup, self.proxy.metric("osprey_reloads_refused_total")
        self.tried[f"{edit.__name__} (reload)"] += 1
        self.use(edits.edited(before, edit))
        self.proxy.reload(20)
        if self.proxy.metric("osprey_reloads_refused_total") > refused:
            self.refused[f"{edit.__name__} (reload)"] += 1
            self.use(before)
        self.load.forget()

    def round(self):
        self.rounds += 1
        edit = random.choice(edits.EDITS) if self.edit and random.random() < EDITED else None
        reload = edit is not None and random.random() < RELOADED
        self.begin(None if reload else edit)
        answered = self.load.count["answered"]
        self.load.replay(self.proxy.address, REPLAYS)
        if reload:
            self.under_load(random.uniform(0.02, RUN_SECONDS))
            self.tell(edit)
            self.load.replay(self.proxy.address, REPLAYS)
        self.under_load(random.uniform(0.0, RUN_SECONDS))
        self.end()
        self.progressed += self.load.count["answered"] > answered

    def is_alive(self):
        return self.proxy.process.poll() is None

    def under_load(self, seconds):
        self.load.run(self.setup.cp, time.monotonic() + seconds, self.is_alive)

    def end(self):
        """SIGKILL while requests are under way, or, less often, a clean stop."""
        if not self.is_alive():
            raise RuntimeError(f"ended by itself with {self.proxy.process.poll()}:\n{self.proxy.log()[-3000:]}")
        if random.random() < STOPPED:
            self.stopped += 1
            self.proxy.signal(signal.SIGTERM)
            self.load.run(self.setup.cp, time.monotonic() + 20, self.is_alive)
            status = self.proxy.stop()
            if status != 0:
                raise RuntimeError(f"a clean stop ended with {status}")
        else:
            self.killed += 1
            self.proxy.kill()
        self.load.forget()

    def run(self, rounds, report=None):
        """All rounds, and a last look at everything that was recorded; stops at the first failure of the daemon itself."""
        self.use(self.setup)
        try:
            for _ in range(rounds):
                self.round()
                if report and self.rounds % 50 == 0:
                    report(self)
            self.begin(None)
            self.load.replay(self.proxy.address, 200)
            self.proxy.kill()
        except (RuntimeError, AssertionError) as error:
            self.failures.append(f"{self.ledger.now}: {error}")

    # ---- the verdict ----

    def checks(self):
        """[(claim, holds)]"""
        found, many = self.ledger.count, self.rounds >= 20
        return [("the daemon started, ended and reloaded as it was told", not self.failures),
                ("no nonce under any Sender Key has two messages", found["number"] == 0),
                ("no request was executed twice", found["executed"] == 0),
                ("every protected message could be opened", found["opened"] == 0),
                ("more than half of the rounds had answers", not many or self.progressed > self.rounds // 2),
                ("recovery was exercised", not many or self.load.count["challenges"] >= self.killed // 4)]


def telling(findings):
    """One finding for each kind and pair of rounds: a number that begins again at 0 makes hundreds."""
    first = {}
    for kind, text in findings:
        first.setdefault((kind, *re.findall(r"in (round \d+)", text)), f"{kind}: {text}")
    return list(first.values())


def table(test):
    print(f"{'rounds':26} {test.rounds} ({test.killed} kill -9, {test.stopped} clean stops, {test.progressed} with answers)")
    print(f"{'requests':26} {test.load.count['sent']} sent, {test.load.count['answered']} answered, "
          f"{test.load.count['executed']} executed, {test.load.count['challenges']} challenges")
    print(f"{'(key, nonce) pairs':26} {len(test.ledger.used)}")
    for name in sorted(test.tried):
        print(f"  {name:24} {test.tried[name]} edits, {test.refused[name]} refused")
    for kind, number in test.ledger.count.items():
        if number:
            print(f"{number} findings: {kind}")
    for text in telling(test.ledger.findings)[:SHOWN]:
        print(f"  {text}")
    for failure in test.failures:
        print(f"  {failure}")


def main():
    parser = trial.options(__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, help="of the choice of edits and moments; what the daemon does is not repeatable")
    parser.add_argument("--no-edits", action="store_true")
    args = trial.arguments(parser)
    seed = args.seed if args.seed is not None else random.randrange(1 << 32)
    random.seed(seed)
    print(f"seed {seed}")
    begin = time.monotonic()
    with trial.directory_for("osp-kill-", lambda directory: KillTest(directory, edit=not args.no_edits)) as test:
        test.run(args.rounds, lambda t: print(f"{t.rounds} rounds, {dict(t.ledger.count)}", flush=True))
    table(test)
    print(f"{time.monotonic() - begin:.0f} s")
    trial.conclude(test.checks())


if __name__ == "__main__":
    main()
