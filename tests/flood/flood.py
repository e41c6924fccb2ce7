#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Floods a proxy with spoofed datagrams of nine kinds, one kind after the other, each datagram from another address, beside 200
clients with a security context that ask once a second.  None of their requests may be lost or refused, memory keeps its bound,
and the tables are empty again afterwards.  Prints a table, and last `N passed, N failed`.
"""
import json
import os
import pathlib
import random
import secrets
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from clients import Fleet  # noqa: E402

import trial  # noqa: E402
from peer import coap, edhoc_coap, edhoc_cred, net, oscore, place  # noqa: E402
from peer.edhoc import Initiator  # noqa: E402
from peer.edhoc_cred import Credential, encode_id  # noqa: E402

CLIENTS, RATE = 200, 200
TEMPLATES = 256                         # different datagrams of a kind, beside the random bytes in each copy
TOKEN = 8
SETTLE_SECONDS = 400                    # longer than EXCHANGE_LIFETIME (247 s) and what was begun before it ended
# gauges of what a stranger can fill, 0 again when all is over; not osprey_upstream_peers, since an idle next hop keeps its
# place, and with it the Message IDs it has come to, until another one needs it
TABLES = ("osprey_exchanges", "osprey_exchanges_parked", "osprey_upstream_requests", "osprey_upstream_queued",
          "osprey_observations", "osprey_observed_subjects", "osprey_bodies", "osprey_edhoc_sessions",
          "osprey_deduplication_entries", "osprey_kept_contexts")
MARGIN = 32 << 20                       # of resident memory beyond the start and limits.memory: stacks, tables, the allocator


# ---- the nine kinds: lines for flood_send ----

def line(m, *more):
    """A datagram and what is random in each copy: Message ID, Token, and where bytes of `more` stand in it."""
    datagram = coap.encode(m.copy(type=coap.NON, token=bytes(TOKEN)))
    ranges = [(2, 2), (4, TOKEN)] + [(datagram.index(part), len(part)) for part in more]
    return datagram.hex() + "".join(f" {at}:{n}" for at, n in ranges)


class Kinds:
    """Templates of each kind; `victim` is one of the clients' contexts, as the client has it."""

    def __init__(self, origin, watched, victim):
        self.origin, self.watched, self.victim = origin, watched, victim

    def forward(self, path, at=None, **kw):
        host, port = at or self.origin
        return coap.request(path=path, host=host, port=port, scheme="coap", **kw)

    def sealed(self, kid, piv, payload, options=()):
        option = oscore.Option(piv=piv, kid=kid).encode()
        return coap.Message(code=coap.POST, options=[(coap.OSCORE, option), *options], payload=payload)

    def plain(self):
        return [line(self.forward(f"r{n}")) for n in range(TEMPLATES)]

    def unknown_kid(self):
        kid, payload = secrets.token_bytes(7), secrets.token_bytes(40)
        return [line(self.sealed(kid, b"\x01", payload), kid, payload)]

    def bad_tag(self):
        piv, payload = secrets.token_bytes(3), secrets.token_bytes(40)
        return [line(self.sealed(self.victim.sender_id, piv, payload), piv, payload)]

    def recorded_replay(self):
        """Requests that this client made: all of them were accepted once, before the flood."""
        return [line(m) for m in self.recorded]

    def message_1(self):
        stranger = Credential.new("X25519", kid=b"\x42")
        return [line(edhoc_coap.request_1(Initiator(stranger, [], 3, [0]).message_1())) for _ in range(TEMPLATES)]

    def message_3(self):
        one_byte = [bytes([n]) for n in (*range(0x18), *range(0x20, 0x38))]     # the shortest C_R, and every one of them
        made = []
        for c_r in one_byte:
            sealed = secrets.token_bytes(18)
            made.append(line(edhoc_coap.request(encode_id(c_r) + b"\x52" + sealed), sealed))
        return made

    def registrations(self):
        return [line(self.forward(f"t{n}", self.watched, options=[(coap.OBSERVE, b"")])) for n in range(TEMPLATES)]

    def outer_blocks(self):
        """First blocks of a body under a layer of the victim's, with more to come."""
        payload, tag = secrets.token_bytes(1024), secrets.token_bytes(4)
        block = [(coap.BLOCK1, coap.uint(0 << 4 | 8 | 6)), (coap.REQUEST_TAG, tag)]
        return [line(self.sealed(self.victim.sender_id, b"\x07", payload, block), payload[:16], tag)]

    def format_errors(self):
        """Versions, lengths, reserved values, cut and random bytes."""
        good, made = coap.encode(self.forward("x").copy(token=bytes(TOKEN))), []
        for n in range(TEMPLATES):
            bad = bytearray(good)
            if n % 4 == 0:
                bad = bad[:random.randint(1, len(bad) - 1)]
            elif n % 4 == 1:
                bad[random.randrange(12, len(bad))] = 0xff
            elif n % 4 == 2:
                bad[0] = random.choice([0x00, 0x80, 0xc0, 0x4f, 0x5f])
            else:
                bad = bytearray(b"\x40\x01\0\0" + secrets.token_bytes(random.randint(1, 60)))
            made.append(bytes(bad).hex() + (" 2:2" if len(bad) > 4 else ""))
        return made


KINDS = ("plain", "unknown_kid", "bad_tag", "recorded_replay", "message_1", "message_3", "registrations", "outer_blocks",
         "format_errors")


# ---- the stage ----

class Watch:
    """The daemon's memory and gauges, sampled in a thread."""

    def __init__(self, proxy):
        self.proxy, self.peak, self.pool = proxy, 0, 0.0
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            self.peak = max(self.peak, self.resident())
            try:
                metrics = self.proxy.metrics()
                self.pool = max(self.pool, metrics["osprey_pool_bytes"] / metrics["osprey_pool_limit_bytes"])
            except OSError:
                pass
            time.sleep(0.5)

    def resident(self):
        with open(f"/proc/{self.proxy.process.pid}/status", encoding="ascii") as file:
            return next(int(text.split()[1]) << 10 for text in file if text.startswith("VmRSS"))

    def stop(self):
        self.running = False
        self.thread.join(10)


class Flood:
    def __init__(self, directory, build, count, rate, network, workers=1):
        from daemon import Proxy, edhoc_file
        self.programs = pathlib.Path(build) / "tests"
        self.count, self.rate, self.network, self.workers = count, rate, network, workers
        self.origin, self.watched = place.free_address(), place.free_address()
        self.processes = [self.serve(self.origin), self.serve(self.watched, "answer=6105ff31")]     # Observe 5, "1"
        self.fleet = Fleet(CLIENTS, RATE, lambda n: coap.request(path=f"m{n % 64}", host=self.origin[0], port=self.origin[1],
                                                                 scheme="coap"))
        self.proxy = Proxy(os.path.join(directory, "p"))
        own, friend = Credential.new("X25519", kid=b"\x05"), Credential.new("X25519", kid=b"\x43")
        config = {"contexts": self.fleet.entries(), "workers": workers, "state-size": "64MiB", "log": {"level": "warning"},
                  "edhoc": {"credentials": edhoc_file(self.proxy.dir, [("p", own)], [("c", friend)]), "suites": [0, 2]},
                  "clients": [{"match": {"context": "meter-*"}, "allow": ["forward coap://127.0.0.0/8"]},
                              {"match": {"any": True}, "allow": ["forward coap://127.0.0.0/8"]}]}
        self.proxy.config.pop("limits")                     # the default limits are what is tried
        self.proxy.write(**config)
        self.proxy.start(timeout=30)
        self.rows, self.failures = [], []

    def serve(self, address, *more):
        from daemon import die_with_parent
        return subprocess.Popen([self.programs / "bench" / "bench_origin", *map(str, address), *more], stdin=subprocess.DEVNULL,
                                preexec_fn=die_with_parent)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        if self.proxy.process is not None and self.proxy.process.poll() is None:
            self.proxy.kill()
        if self.proxy.notify:
            self.proxy.notify.close()

    def record(self, kinds, wanted=64):
        """Requests of the victim that the proxy has taken, for replays."""
        kinds.recorded = []
        with net.Client(self.proxy.address) as client:
            for n in range(wanted):
                made, _ = kinds.victim.protect_request(kinds.forward(f"v{n}"), oscore.TO_PROXY)
                kinds.recorded.append(made)
                client.exchange(made)

    def flood(self, kind, templates):
        """One kind; returns its row of the table."""
        before, codes = dict(self.fleet.count), dict(self.fleet.codes)
        received = self.proxy.metric("osprey_datagrams_received_total")
        command = [self.programs / "flood" / "flood_send", *self.proxy.address, self.count, self.rate, *self.network.split("/")]
        done = subprocess.run(list(map(str, command)), input="\n".join(templates).encode(), stdout=subprocess.PIPE, check=True,
                              timeout=60 + 20 * self.count / self.rate)
        said = json.loads(done.stdout)
        if self.proxy.process.poll() is not None:
            raise RuntimeError(f"ospreyd ended with {self.proxy.process.poll()} during {kind}:\n{self.proxy.log()[-3000:]}")
        metrics = self.proxy.metrics()
        got = {k: self.fleet.count[k] - before.get(k, 0) for k in ("sent", "answered", "retransmitted", "refused", "lost", "bad")}
        self.rows.append({"kind": kind, **said, **{f"c_{k}": v for k, v in got.items()},
                          "taken": metrics["osprey_datagrams_received_total"] - received,
                          "exchanges": metrics["osprey_exchanges"], "pool": metrics["osprey_pool_bytes"],
                          "codes": {k: v - codes.get(k, 0) for k, v in self.fleet.codes.items() if v != codes.get(k, 0)}})
        return self.rows[-1]

    def filled(self):
        metrics = self.proxy.metrics()
        return {name: metrics[name] for name in TABLES if metrics.get(name)}

    def settle(self, seconds, also):
        """What is left in the tables when everything had its time; {}: nothing."""
        deadline = time.monotonic() + seconds
        while (left := {k: v for k, v in self.filled().items() if also or not k.startswith("osprey_dedup")}) and \
                time.monotonic() < deadline:
            time.sleep(0.5)
        return left

    def run(self, kinds_wanted, settle):
        """Everything; [(claim, holds)] at the end."""
        victim = self.fleet.contexts[0]
        kinds = Kinds(self.origin, self.watched, victim)
        self.record(kinds)
        self.fleet.start(self.proxy.address)
        time.sleep(2)
        watch = Watch(self.proxy)
        resting = watch.resident()
        begin = time.monotonic()
        for kind in kinds_wanted:
            show(self.flood(kind, getattr(kinds, kind)()))
        for process in self.processes[1:]:
            process.kill()                                  # what was observed ends: observers have to be told, or forgotten
        lasted = time.monotonic() - begin
        self.fleet.stop()
        left = self.settle(settle, also=settle >= SETTLE_SECONDS)
        watch.stop()
        limit = self.proxy.metric("osprey_pool_limit_bytes")
        counts = self.fleet.count
        print(f"{lasted:.0f} s; {counts['sent']} requests of {CLIENTS} clients: {counts['answered']} answered, "
              f"{counts['retransmitted']} sent again, p50 {self.fleet.percentile(.5) * 1e3:.1f} ms, "
              f"p99 {self.fleet.percentile(.99) * 1e3:.1f} ms; memory {resting >> 20} MiB before, "
              f"{watch.peak >> 20} MiB at most, {watch.pool * 100:.0f} % of limits.memory")
        for problem in self.fleet.problems[:10]:
            print(f"  {problem}")
        stopped = self.proxy.stop(30) == 0
        return [("no request of a client was lost", counts["lost"] == 0),
                (f"no request of a client was refused ({dict(self.fleet.codes)})", counts["refused"] == 0 and counts["bad"] == 0),
                ("the clients were answered all the time", counts["answered"] == counts["sent"]),
                ("resident memory kept within limits.memory", watch.peak <= resting + limit + MARGIN),
                ("the pool kept its limit", watch.pool <= 1.0),
                (f"the tables are empty again {left or ''}", not left),
                ("a clean stop at the end", stopped)]


def show(row):
    print(f"{row['kind']:16} {row['sent']} sent in {row['seconds']:.1f} s ({row['sent'] / max(row['seconds'], .001):.0f}/s), "
          f"{row['taken']:.0f} read, {row['answers']} answers ({row['answer_bytes'] / max(1, row['bytes']):.2f} x the bytes); "
          f"clients: {row['c_sent']} sent, {row['c_answered']} answered, {row['c_retransmitted']} again, "
          f"{row['c_refused']} refused, {row['c_lost']} lost; "
          f"exchanges {row['exchanges']:.0f}, pool {row['pool'] / (1 << 20):.1f} MiB", flush=True)


def main():
    parser = trial.options(__doc__)
    parser.add_argument("--count", type=int, default=1000000, help="datagrams of each kind")
    parser.add_argument("--rate", type=int, default=20000, help="of them a second")
    parser.add_argument("--network", default="127.64.0.0/10", help="the addresses they seem to come from")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--settle", type=int, default=SETTLE_SECONDS,
                        help=f"seconds until the tables have to be empty; below {SETTLE_SECONDS} deduplication is not looked at")
    args = trial.arguments(parser)
    with trial.directory_for("osp-flood-", lambda directory: Flood(directory, args.build, args.count, args.rate, args.network,
                                                                   args.workers)) as flood:
        checks = flood.run(args.kinds.split(","), args.settle)
    trial.conclude(checks)


if __name__ == "__main__":
    main()
