#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
What the proxy costs: CPU time of its process per request, beside a bare relay on the same machine in the same run.
Load and origin share one core, the proxy has another.  Prints a table; the figures also go to BUILD/bench.json.
"""
import argparse
import json
import os
import pathlib
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "system"))

OUTSTANDING = 256
SOURCES = 16
WARM_UP = 5000                              # requests that are not counted: pages, caches, the first lease
LIMITS = {"upstream-ports": 64, "messages": 400000, "exchanges": 4096, "nstart": 4096, "memory": "512MiB",
          "response-timeout": "10s", "drain": "100ms", "receive-buffer": "8MiB", "queued": 4096}

# name, what runs between load and origin, type, layers
CASES = [
    ("relay NON", "relay", "non", ""),
    ("plain forward NON", "proxy", "non", ""),
    ("plain forward CON", "proxy", "con", ""),
    ("C-P NON", "proxy", "non", "cp"),
    ("C-P CON", "proxy", "con", "cp"),
    ("C-P + P-S NON", "proxy", "non", "cp ps"),
    ("cache hit NON", "proxy", "non", "cache"),
    ("C-P, cache hit NON", "proxy", "non", "cp cache"),
]


class Keys:
    def __init__(self):
        self.cp, self.ps = secrets.token_hex(16), secrets.token_hex(16)

    def contexts(self):
        def entry(name, secret, sender, recipient):
            return {"name": name, "master-secret": {"hex": secret}, "sender-id": {"hex": sender},
                    "recipient-id": {"hex": recipient}, "fresh": True}
        return [entry("c-p", self.cp, "50", "20"), entry("p-s", self.ps, "d4", "54")]


def pin(pid, core):
    """All threads of a process, as far as there are cores."""
    if core is None:
        return
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})


def cpu_seconds(pid):
    """User and system time of all threads: to the nanosecond where the kernel tells, else by its ticks."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except OSError:
            break
    if total:
        return total / 1e9
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


class Bench:
    def __init__(self, build, count, workers):
        from daemon import Proxy, die_with_parent
        from peer import place
        self.Proxy, self.die, self.place = Proxy, die_with_parent, place
        self.build, self.count, self.workers = build, count, workers
        cores = sorted(os.sched_getaffinity(0))
        self.proxy_core, self.load_core = (cores[-1], cores[0]) if len(cores) > 1 and workers == 1 else (None, None)
        self.directory = tempfile.mkdtemp(prefix="osp-bench-")
        self.processes = []

    def program(self, name):
        return str(self.build / "tests" / "bench" / name)

    def spawn(self, *words, core):
        process = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, preexec_fn=self.die)
        self.processes.append(process)
        time.sleep(0.05)
        pin(process.pid, core)
        return process

    def end(self):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def close(self):
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def load(self, target, origin, count, kind, keys, first):
        words = [self.program("bench_load"), *target, count, OUTSTANDING, kind, SOURCES, *origin]
        words += [keys.cp, "20", "50", first] if keys else []
        core = self.load_core
        done = subprocess.run([str(w) for w in words], capture_output=True, check=True, timeout=300,
                              preexec_fn=lambda: (self.die(), core is not None and os.sched_setaffinity(0, {core})))
        return json.loads(done.stdout)

    def proxy(self, origin, layers, keys):
        allow = [f"forward coap://{origin[0]}"]
        config = {"clients": [{"match": {"any": True}, "allow": allow}], "limits": LIMITS, "log": {"level": "warning"},
                  "workers": self.workers, "contexts": keys.contexts(), "lease": {"block": 100000}}
        if "ps" in layers:
            config["upstreams"] = [{"match": self.place.uri(origin), "context": "p-s"}]
        if "cache" in layers:               # the load asks for one resource: all but the first are hits
            config["cache"] = {"size": "1MiB"}
        proxy = self.Proxy(os.path.join(self.directory, secrets.token_hex(4)), config)
        proxy.write()
        proxy.start()
        pin(proxy.process.pid, self.proxy_core)
        return proxy

    def measure(self, between, kind, layers):
        """One run of one case."""
        keys, origin = Keys(), self.place.free_address()
        protect = [keys.ps, "54", "d4"] if "ps" in layers else []
        self.spawn(self.program("bench_origin"), *origin, *protect, core=self.load_core)
        proxy = None
        try:
            if between == "relay":
                target = self.place.free_address()
                pid = self.spawn(self.program("bench_relay"), *target, *origin, core=self.proxy_core).pid
            else:
                proxy = self.proxy(origin, layers, keys)
                target, pid = proxy.address, proxy.process.pid
            cp = keys if "cp" in layers else None
            self.load(target, origin, WARM_UP, kind, cp, 0)
            before = cpu_seconds(pid)
            result = self.load(target, origin, self.count, kind, cp, WARM_UP)
            result["cpu_us"] = (cpu_seconds(pid) - before) * 1e6 / max(1, result["answered"])
            result["rss_kib"] = memory_kib(pid)
            return result
        finally:
            if proxy:
                proxy.close()
            self.end()

    def aead(self):
        done = subprocess.run([self.program("bench_aead"), "40"], capture_output=True, check=True, timeout=60,
                              preexec_fn=lambda: self.proxy_core is not None and os.sched_setaffinity(0, {self.proxy_core}))
        return json.loads(done.stdout)


def median_of(runs):
    """The run's figures, each its median over the runs; what was lost or bad is summed."""
    out = {k: statistics.median(r[k] for r in runs) for k in ("cpu_us", "per_second", "p50_us", "p99_us", "rss_kib")}
    out.update({k: sum(r[k] for r in runs) for k in ("requests", "answered", "lost", "bad")})
    out["cpu_us_runs"] = [round(r["cpu_us"], 3) for r in runs]
    return out


def budgets(figures, aead):
    """What DESIGN allows, as ratios to the relay of this run."""
    relay = figures["relay NON"]["cpu_us"]
    two_aead = 1.3 * (aead["seal_ns"] + aead["open_ns"]) / 1000
    plain = figures.get("plain forward NON", {}).get("cpu_us")
    limits = {"plain forward NON": 1.25, "plain forward CON": 1.25, "cache hit NON": 0.65}
    if plain:
        limits["C-P NON"] = (plain + two_aead) / relay
        limits["C-P + P-S NON"] = (plain + 2 * two_aead) / relay
        limits["C-P CON"] = (figures.get("plain forward CON", {}).get("cpu_us", plain) + two_aead) / relay
    return limits


def show(figures, limits, aead, args):
    relay = figures["relay NON"]["cpu_us"]
    print(f"{args.count} requests, {OUTSTANDING} outstanding, median of {args.runs} runs; "
          f"AEAD of {aead['bytes']} bytes: seal {aead['seal_ns'] / 1000:.2f} us, open {aead['open_ns'] / 1000:.2f} us")
    print(f"{'':20} {'CPU us/req':>10} {'x relay':>8} {'budget':>7} {'req/s':>8} {'p50 us':>7} {'p99 us':>7} {'lost':>5} {'bad':>4} {'RSS MiB':>8}")
    for name, f in figures.items():
        limit = f"{limits[name]:.2f}" if name in limits else "-"
        print(f"{name:20} {f['cpu_us']:10.2f} {f['cpu_us'] / relay:8.2f} {limit:>7} {f['per_second']:8.0f} {f['p50_us']:7.0f} "
              f"{f['p99_us']:7.0f} {f['lost']:5d} {f['bad']:4d} {f['rss_kib'] / 1024:8.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--workers", type=int, default=1, help="of the proxy; more than one is not pinned to a core")
    parser.add_argument("--case", action="append", help="only cases whose name contains this; the relay always runs")
    args = parser.parse_args()
    os.environ["OSPREY_BUILD"] = str(args.build)
    cases = [c for c in CASES if c[1] == "relay" or not args.case or any(w in c[0] for w in args.case)]
    bench = Bench(args.build.resolve(), args.count, args.workers)
    runs = {name: [] for name, *_ in cases}
    try:
        aead = bench.aead()
        for _ in range(args.runs):          # in turn, so that what disturbs one disturbs all
            for name, between, kind, layers in cases:
                runs[name].append(bench.measure(between, kind, layers))
    finally:
        bench.close()
    figures = {name: median_of(r) for name, r in runs.items()}
    limits = budgets(figures, aead)
    show(figures, limits, aead, args)
    relay = figures["relay NON"]["cpu_us"]
    for name, f in figures.items():
        f["ratio"] = round(f["cpu_us"] / relay, 3)
        f["budget"] = round(limits[name], 3) if name in limits else None
    (args.build / "bench.json").write_text(json.dumps({"aead": aead, "outstanding": OUTSTANDING, "workers": args.workers,
                                                       "cases": figures}, indent=1) + "\n", encoding="utf-8")
    print(f"{args.build}/bench.json")
    if any(f["bad"] or f["answered"] + f["lost"] != f["requests"] for f in figures.values()):
        sys.exit("some answers were not what they have to be")


if __name__ == "__main__":
    main()
