#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Everything at once for a long time, with the default limits: plain NON and CON requests with answers of 1 KiB at the highest rate
that this machine gives, block-wise transfers, 200 clients with a context, observers, EDHOC, reloads and restarts.  Outside of
the restarts nothing may be lost or answered with an error, memory and descriptors are flat, and at the end nothing is pending.
Prints a table, and last `N passed, N failed`.

Restarts happen in the first RESTARTED share of the time and after the last sample.  Memory is called flat when its median
in the last 15 % of the time is at most 1 % and 1 MiB above that in the 15 % behind the middle; before the middle the tables
fill that keep a message for EXCHANGE_LIFETIME.  A run that is too short for this (FLAT_SECONDS) has to keep within
limits.memory only, and may still open ports.
"""
import collections
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "flood"))

from clients import Fleet  # noqa: E402

import trial  # noqa: E402
from peer import coap, net, place  # noqa: E402

RESTARTED = 0.12                        # share of the time in which restarts happen
RESTART_EVERY = 20.0                    # seconds, at most
RELOAD_EVERY = 7.0
FLAT_SECONDS = 560                      # 12 % + EXCHANGE_LIFETIME (247 s) have passed at 57 % of this
OUTSTANDING, SOURCES, CHUNK = 48, 64, 60000
BODY = 1024
BLOCKS, BLOCKS_AT_ONCE = 16, 8
OBSERVERS = 40
TICK = 0.5
CLIENTS, RATE = 200, 100
GRACE = 3.0                             # seconds after a restart in which what was under way may still be missed
SETTLE_SECONDS = 30
MARGIN = 64 << 20
PENDING = ("osprey_exchanges", "osprey_exchanges_parked", "osprey_upstream_requests", "osprey_upstream_queued",
           "osprey_observations", "osprey_observed_subjects", "osprey_edhoc_sessions")


class Windows:
    """Times in which failures are injected."""

    def __init__(self):
        self.spans = []

    def open(self):
        self.spans.append([time.monotonic(), float("inf")])

    def close(self):
        self.spans[-1][1] = time.monotonic() + GRACE

    def meet(self, begin, end):
        return any(begin < b and a < end for a, b in self.spans)


class Part(threading.Thread):
    """One kind of load, repeated until `running` is taken away."""

    def __init__(self, name, soak):
        super().__init__(daemon=True, name=name)
        self.soak, self.running = soak, True
        self.count, self.problems = collections.Counter(), []

    def run(self):
        while self.running:
            begin = time.monotonic()
            try:
                got = self.once()
            except Exception as error:      # noqa: BLE001 - a part that cannot go on is a finding
                got = collections.Counter(failed=1)
                self.note(repr(error))
            if self.soak.windows.meet(begin, time.monotonic()):
                got["excused"] = got.pop("lost", 0) + got.pop("bad", 0) + got.pop("failed", 0)
            elif got["lost"] + got["bad"] + got["failed"]:
                self.note(f"{time.monotonic() - self.soak.begin:.1f} s: {dict(got)}")
            self.count.update(got)

    def note(self, text):
        if len(self.problems) < 10:
            self.problems.append(text)

    def failures(self):
        return self.count["lost"] + self.count["bad"] + self.count["failed"]


class Bulk(Part):
    """Runs of bench_load."""

    def __init__(self, name, soak, kind, origin, **more):
        super().__init__(name, soak)
        self.kind, self.origin, self.more = kind, origin, more
        self.rates = []

    def once(self):
        words = [CHUNK, OUTSTANDING, self.kind, SOURCES, *self.origin]
        if "blocks" in self.more:
            words[0:2] = [CHUNK // 4, BLOCKS_AT_ONCE]
        command = [self.soak.program("bench", "bench_load"), *self.soak.proxy.address, *words,
                   *(f"{k}={v}" for k, v in self.more.items())]
        self.process = self.soak.spawn(command, stdout=subprocess.PIPE)
        out, _ = self.process.communicate()
        if not out:
            return collections.Counter()            # ended by stop()
        said = json.loads(out)
        self.rates.append(said["per_second"])
        return collections.Counter({k: said[k] for k in ("answered", "lost", "bad")})

    def stop(self):
        self.running = False
        self.process.terminate()


class Edhoc(Part):
    """A new context for each call, and a request under it."""

    def once(self):
        time.sleep(0.5)
        soak = self.soak
        status, said = soak.tool("get", "--edhoc", soak.path("me/edhoc.yaml"), "--fresh", "--state", soak.path("client"),
                                 "--via", f"{place.uri(soak.proxy.address)},edhoc=proxy", place.uri(soak.small, "/e"))
        if status != 0:
            self.note(said)
        return collections.Counter(answered=1) if status == 0 else collections.Counter(failed=1)

    def stop(self):
        self.running = False


class Observers(Part):
    """Clients that register, acknowledge, and register again where nothing came for a while."""

    def __init__(self, name, soak):
        super().__init__(name, soak)
        self.clients, self.heard = [], []

    def register(self, n, value=b""):
        host, port = self.soak.ticking
        token = n.to_bytes(2, "big")
        m = coap.request(path="ticks", host=host, port=port, scheme="coap", options=[(coap.OBSERVE, value)])
        self.clients[n].ask(m, token)

    def run(self):
        self.clients = [net.Client(self.soak.proxy.address) for _ in range(OBSERVERS)]
        self.heard = [0.0] * OBSERVERS
        while self.running:
            now = time.monotonic()
            for n in range(OBSERVERS):
                if now - self.heard[n] > 5.0:
                    if self.heard[n] and not self.soak.windows.meet(self.heard[n], now):
                        self.count["lost"] += 1
                        self.note(f"{now - self.soak.begin:.1f} s: observer {n} heard nothing for 5 s")
                    self.heard[n] = now
                    self.count["registered"] += 1
                    self.register(n)
                self.read(n)
            time.sleep(0.02)
        for n in range(OBSERVERS):
            self.register(n, b"\x01")
        for client in self.clients:
            while client.receive_raw(0.05):
                pass
            client.close()

    def read(self, n):
        while (datagram := self.clients[n].receive_raw(0)) is not None:
            m = coap.decode(datagram)
            if m.type == coap.CON:
                self.clients[n].send(coap.Message(type=coap.ACK, mid=m.mid))
            if m.code >> 5 == 2:
                self.heard[n] = time.monotonic()
                self.count["answered"] += 1
            elif m.code != coap.EMPTY and not self.soak.windows.meet(time.monotonic(), time.monotonic()):
                self.count["bad"] += 1
                self.note(f"{time.monotonic() - self.soak.begin:.1f} s: {m}")

    def stop(self):
        self.running = False


class Samples(threading.Thread):
    """Memory, descriptors and the pool, every half second."""

    def __init__(self, soak):
        super().__init__(daemon=True)
        self.soak, self.rows, self.running = soak, [], True

    def run(self):
        while self.running:
            try:
                pid, at = self.soak.proxy.process.pid, time.monotonic()
                with open(f"/proc/{pid}/status", encoding="ascii") as file:
                    resident = next(int(text.split()[1]) << 10 for text in file if text.startswith("VmRSS"))
                fds = len(os.listdir(f"/proc/{pid}/fd"))
                self.rows.append((at - self.soak.begin, resident, fds))
            except (OSError, AttributeError, StopIteration):
                pass                        # between two lives
            time.sleep(0.5)

    def between(self, first, last, column):
        return [row[column] for row in self.rows if first <= row[0] <= last] or [0]


class Soak:
    def __init__(self, directory, build, seconds, workers):
        from daemon import Proxy
        self.dir, self.build, self.seconds = pathlib.Path(directory), pathlib.Path(build).resolve(), seconds
        self.processes, self.windows, self.begin = [], Windows(), time.monotonic()
        self.small, self.large, self.blocks, self.ticking = (place.free_address() for _ in range(4))
        body = "5a" * BODY
        self.spawn([self.program("bench", "bench_origin"), *self.small])
        self.spawn([self.program("bench", "bench_origin"), *self.large, f"answer=ff{body}"])
        self.spawn([self.program("bench", "bench_origin"), *self.blocks, f"size={BLOCKS * BODY}"])
        self.spawn([self.build / "osprey", "origin", "--listen", place.uri(self.ticking), "--every", TICK, "--quiet",
                    "--state", self.path("origin")])
        for who in ("me", "proxy"):
            assert self.tool("keygen", "-o", self.path(who), who)[0] == 0
        for who, other in (("me", "proxy"), ("proxy", "me")):
            assert self.tool("trust", "-o", self.path(who), other, self.path(f"{other}/{other}.ccs"))[0] == 0
        self.fleet = Fleet(CLIENTS, RATE, lambda n: coap.request(path=f"m{n % 64}", host=self.small[0], port=self.small[1],
                                                                 scheme="coap"))
        self.fleet.excused = lambda begun: self.windows.meet(begun, time.monotonic())
        allow = ["forward coap://127.0.0.0/8"]
        self.proxy = Proxy(self.dir / "p")
        self.proxy.config.pop("limits")                     # the default limits are what is tried
        self.proxy.write(contexts=self.fleet.entries(), workers=workers, log={"level": "info"}, **{"state-size": "64MiB"},
                         edhoc={"credentials": self.path("proxy/edhoc.yaml")},
                         clients=[{"match": {"context": "meter-*"}, "allow": allow},
                                  {"match": {"edhoc": {"credential": "me"}}, "allow": allow},
                                  {"match": {"any": True}, "allow": allow}])
        self.proxy.start(timeout=30)
        self.parts = [Bulk("plain NON, 1 KiB", self, "non", self.large, answer=body),
                      Bulk("plain CON, 1 KiB", self, "con", self.large, answer=body),
                      Bulk("blocks of 1 KiB", self, "con", self.blocks, blocks=BLOCKS),
                      Observers("observers", self), Edhoc("EDHOC", self)]
        self.samples = Samples(self)
        self.events, self.errors, self.failures = collections.Counter(), collections.Counter(), []

    # ---- processes ----

    def program(self, *names):
        return self.build.joinpath("tests", *names)

    def path(self, name):
        return str(self.dir / name)

    def spawn(self, command, **more):
        from daemon import die_with_parent
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **more)
        self.processes.append(process)
        return process

    def tool(self, *words):
        done = subprocess.run([self.build / "osprey", *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=120, check=False)
        return done.returncode, done.stderr.decode(errors="replace").strip()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.proxy.process is not None and self.proxy.process.poll() is None:
            self.proxy.kill()
        if self.proxy.notify:
            self.proxy.notify.close()

    # ---- what happens to the daemon ----

    def gather(self):
        """Errors of this life of the daemon: all of them are counted before it ends."""
        for name, value in self.proxy.metrics().items():
            if value and (name.startswith("osprey_errors_total") or name == 'osprey_answers_total{class="5"}'):
                self.errors[name] += value

    def check_alive(self):
        if self.proxy.process.poll() is not None:
            raise RuntimeError(f"ospreyd ended with {self.proxy.process.poll()}:\n{self.proxy.log()[-3000:]}")

    def reload(self):
        self.proxy.write(**{"hosts": {"reloaded.example": f"127.0.0.{self.events['reloads'] % 250 + 1}"}})
        self.proxy.reload(30)
        self.events["reloads"] += 1

    def restart(self):
        """A clean stop, or a kill -9, in turn."""
        self.gather()
        self.windows.open()
        if self.events["restarts"] % 2 == 0:
            if self.proxy.stop(30) != 0:
                self.failures.append("a clean stop did not end with 0")
        else:
            self.proxy.kill()
        self.proxy.start(timeout=30)
        self.windows.close()
        self.events["restarts"] += 1

    def keep_going(self):
        """Until the time is over."""
        next_reload, every = RELOAD_EVERY, min(RESTART_EVERY, self.seconds * RESTARTED / 2)
        next_restart = every
        while (now := time.monotonic() - self.begin) < self.seconds:
            self.check_alive()
            if now >= next_restart and now < self.seconds * RESTARTED + 1:
                self.restart()
                next_restart += every
            elif now >= next_reload:
                self.reload()
                next_reload += RELOAD_EVERY
            time.sleep(0.2)

    def run(self):
        self.begin = time.monotonic()
        self.samples.start()
        self.fleet.start(self.proxy.address)
        for part in self.parts:
            part.start()
        try:
            self.keep_going()
            self.samples.running = False
            self.restart()                              # once more, under all of it, after the last sample
            time.sleep(GRACE + 1)
            self.check_alive()
        except (RuntimeError, AssertionError, OSError) as error:
            self.failures.append(str(error))
        for part in self.parts:
            part.stop()
        self.fleet.stop()
        for part in self.parts:
            part.join(130)
        left = self.pending()
        return self.checks(left)

    def pending(self):
        deadline, left = time.monotonic() + SETTLE_SECONDS, {}
        try:
            while True:
                metrics = self.proxy.metrics()
                left = {name: metrics[name] for name in PENDING if metrics[name]}
                if not left or time.monotonic() > deadline:
                    break
                time.sleep(0.5)
            self.gather()
            self.limit = metrics["osprey_pool_limit_bytes"]
            if self.proxy.stop(30) != 0:
                self.failures.append("the last stop did not end with 0")
        except (OSError, AssertionError) as error:
            self.failures.append(str(error))
            self.limit = 0
        return left

    # ---- the verdict ----

    def checks(self, left):
        early = (self.seconds * 0.5, self.seconds * 0.65)
        late = (self.seconds * 0.85, self.seconds)
        memory = [statistics.median(self.samples.between(*span, 1)) for span in (early, late)]
        fds = [max(self.samples.between(*span, 2)) for span in (early, late)]
        peak = max(row[1] for row in self.samples.rows)
        fives = self.errors['osprey_answers_total{class="5"}']
        fleet = self.fleet.count
        if self.seconds >= FLAT_SECONDS:
            flat = ("memory is flat in the second half", memory[1] <= memory[0] * 1.01 + (1 << 20))
        else:
            flat = ("memory keeps within limits.memory (too short a run to be called flat)", peak <= self.limit + MARGIN)
        self.table(memory, fds, peak)
        bulk_failed = [part.name for part in self.parts if part.failures()]
        idle = [part.name for part in self.parts if not part.count["answered"]]
        return [("the daemon ran, reloaded, stopped and started as it was told", not self.failures),
                (f"no answer of class 5 that was not injected ({fives:.0f})", fives == 0),
                (f"nothing was lost or bad {bulk_failed or ''}", not bulk_failed),
                (f"every part had answers {idle or ''}", not idle),
                ("no request of a client with a context was lost or refused",
                 fleet["lost"] == 0 and fleet["refused"] == 0 and fleet["bad"] == 0 and fleet["answered"] > 0),
                flat,
                ("descriptors are flat in the second half", fds[1] <= fds[0] + (4 if self.seconds >= FLAT_SECONDS else 64)),
                (f"nothing is pending at the end {left or ''}", not left)]

    def table(self, memory, fds, peak):
        print(f"{self.seconds:.0f} s, {dict(self.events)}")
        for part in self.parts:
            rates = f", {statistics.median(part.rates):.0f}/s" if getattr(part, "rates", None) else ""
            print(f"  {part.name:18} {dict(part.count)}{rates}")
        print(f"  {'clients':18} {dict(self.fleet.count)}, p50 {self.fleet.percentile(.5) * 1e3:.1f} ms, "
              f"p99 {self.fleet.percentile(.99) * 1e3:.1f} ms")
        print(f"  memory {memory[0] / (1 << 20):.1f} MiB behind the middle, {memory[1] / (1 << 20):.1f} MiB at the end, "
              f"{peak / (1 << 20):.1f} MiB at most; descriptors {fds[0]} and {fds[1]}")
        for name, value in sorted(self.errors.items()):
            print(f"  {name} {value:.0f}")
        for text in [t for part in self.parts for t in part.problems[:4]] + self.fleet.problems[:4] + self.failures:
            print(f"  {text}")


def main():
    parser = trial.options(__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1)
    args = trial.arguments(parser)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    with trial.directory_for("osp-soak-", lambda directory: Soak(directory, args.build, args.minutes * 60, args.workers)) as soak:
        checks = soak.run()
    trial.conclude(checks)


if __name__ == "__main__":
    main()
