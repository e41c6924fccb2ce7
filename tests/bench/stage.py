# SPDX-License-Identifier: BSD-2-Clause
"""
The stage of a measurement: processes, the cores they run on, the CPU time they took, and what a scenario is.
Load and origin share one core, the process in the middle has another.
"""
import dataclasses
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
import typing

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "system"))

RELAY = "relay NON"                         # always runs: the yardstick
FIGURES = ("cpu_us", "per_second", "p50_us", "p99_us", "rss_kib")
COUNTS = ("requests", "answered", "lost", "bad")


@dataclasses.dataclass
class Scenario:
    """
    `run(stage)` measures once and returns FIGURES (those it has; cpu_us always) and COUNTS.  `budget(figures, aead)` is the
    ratio that DESIGN allows, None where it says nothing; aead[bytes] is what bench_aead prints.
    """
    name: str
    run: typing.Callable
    base: str = RELAY                       # the scenario whose CPU time is 1.00
    unit: str = "request"                   # what the CPU time is of
    budget: typing.Callable = lambda figures, aead: None


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


def median_of(runs):
    """The runs' figures, each its median; what was lost or bad is summed."""
    out = {k: statistics.median(r[k] for r in runs) for k in FIGURES if k in runs[0]}
    out.update({k: sum(r[k] for r in runs) for k in COUNTS})
    out["cpu_us_least"] = min(r["cpu_us"] for r in runs)
    out["cpu_us_runs"] = [round(r["cpu_us"], 3) for r in runs]
    return out


class Stage:
    def __init__(self, build, count, workers=1):
        from daemon import Proxy, die_with_parent
        from peer import place
        self.Proxy, self.die, self.place = Proxy, die_with_parent, place
        self.build, self.count, self.workers = build, count, workers
        cores = sorted(os.sched_getaffinity(0))
        self.middle_core, self.load_core = (cores[-1], cores[0]) if len(cores) > 1 and workers == 1 else (None, None)
        self.directory = tempfile.mkdtemp(prefix="osp-bench-")
        self.processes, self.proxies = [], []

    def program(self, name):
        return str(self.build / "tests" / "bench" / name)

    def spawn(self, name, *words, core):
        """Starts a program of the benchmark that runs until end()."""
        process = subprocess.Popen([self.program(name), *map(str, words)], stdin=subprocess.DEVNULL, preexec_fn=self.die)
        self.processes.append(process)
        time.sleep(0.05)
        pin(process.pid, core)
        return process

    def json_of(self, name, *words, core=None):
        """What a program of the benchmark prints at its end."""
        done = subprocess.run([self.program(name), *map(str, words)], stdout=subprocess.PIPE, check=True, timeout=600,
                              preexec_fn=lambda: (self.die(), core is not None and os.sched_setaffinity(0, {core})))
        return json.loads(done.stdout)

    def origin(self, **more):
        """Its address."""
        address = self.place.free_address()
        self.spawn("bench_origin", *address, *named(more), core=self.load_core)
        return address

    def relay(self, origin):
        """(address, process id)"""
        address = self.place.free_address()
        return address, self.spawn("bench_relay", *address, *origin, core=self.middle_core).pid

    def proxy(self, config):
        """A running ospreyd, until end()."""
        proxy = self.Proxy(os.path.join(self.directory, secrets.token_hex(4)), {"workers": self.workers, **config})
        proxy.write()
        proxy.start()
        self.proxies.append(proxy)
        pin(proxy.process.pid, self.middle_core)
        return proxy

    def end(self):
        """The end of one measurement."""
        while self.proxies:
            self.proxies.pop().close()
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def close(self):
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)


def named(values):
    """Arguments NAME=VALUE of the programs."""
    return [f"{k}={v}" for k, v in values.items()]
