# SPDX-License-Identifier: BSD-2-Clause
"""
Scenarios of bench_observe: what a notification costs for each observer it goes to.  A datagram of the relay, which takes two for
each request, is half of its CPU time.
"""
import functools
import json
import subprocess

from stage import RELAY, Scenario, cpu_seconds, memory_kib, pin

TOTAL = 10000                               # observers in all, where there are so many
NOTIFICATIONS = 60000                       # of the origin in a run: its Message IDs may not come again
LIMITS = {"upstream-ports": 64, "messages": 400000, "exchanges": 65536, "nstart": 4096, "memory": "512MiB",
          "client-share": 100, "prefix-share": 100, "known-reserve": 0,        # all observers are one client
          "response-timeout": "10s", "drain": "100ms", "receive-buffer": "8MiB", "queued": 4096}


def measure(stage, resources, observers, workers=1):
    """One run; the figures are of one notification to one observer."""
    origin = stage.place.free_address()
    rounds = min(max(5, round(stage.count / (resources * observers))), NOTIFICATIONS // resources)
    try:
        proxy = stage.proxy({"clients": [{"match": {"any": True}, "allow": [f"forward coap://{origin[0]}"]}], "limits": LIMITS,
                             "log": {"level": "warning"}, "workers": workers})
        words = [stage.program("bench_observe"), *proxy.address, *origin, resources, observers, rounds]
        with subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=stage.die) as load:
            pin(load.pid, stage.load_core)
            if load.stdout.readline() != b"ready\n":
                raise AssertionError("the observers did not get ready")
            if proxy.metric("osprey_observed_subjects") != resources or proxy.metric("osprey_observations") != resources * observers:
                raise AssertionError("what is measured is not what the scenario says")
            before = cpu_seconds(proxy.process.pid)
            result = json.loads(load.communicate(b"x", timeout=600)[0])
        result["cpu_us"] = (cpu_seconds(proxy.process.pid) - before) * 1e6 / max(1, result["answered"])
        result["rss_kib"] = memory_kib(proxy.process.pid)
        return result
    finally:
        stage.end()


def case(name, resources, observers, budget=None):
    return Scenario(name, functools.partial(measure, resources=resources, observers=observers), RELAY, "notice",
                    lambda figures, aead: budget)


SCENARIOS = [
    case("fan-out to 1", 256, 1),
    case("fan-out to 100", TOTAL // 100, 100, 0.5),
    case("fan-out to 10,000", 1, TOTAL, 0.5),
]
