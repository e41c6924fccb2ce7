# SPDX-License-Identifier: BSD-2-Clause
"""
Scenarios of bench_load and bench_origin: many independent requests through the relay or the proxy, its cache, and block-wise
transfers.
"""
import functools
import secrets

import deterministic
from stage import RELAY, Scenario, cpu_seconds, memory_kib, named

OUTSTANDING = 256
SOURCES = 16
WARM_UP = 5000                              # requests that are not counted: pages, caches, the first lease
LIMITS = {"upstream-ports": 64, "messages": 400000, "exchanges": 4096, "nstart": 4096, "memory": "512MiB",
          "response-timeout": "10s", "drain": "100ms", "receive-buffer": "8MiB", "queued": 4096}
BLOCKS, SIZE = 64, 65536                    # of a block-wise transfer


def context(name, secret, sender, recipient):
    return {"name": name, "master-secret": {"hex": secret}, "sender-id": {"hex": sender},
            "recipient-id": {"hex": recipient}, "fresh": True}


def start_proxy(stage, origin, layers, cache, keys):
    config = {"clients": [{"match": {"any": True}, "allow": [f"forward coap://{origin[0]}"]}], "limits": LIMITS,
              "log": {"level": "warning"}, "lease": {"block": 100000},
              "contexts": [context("c-p", keys["cp"], "50", "20"), context("p-s", keys["ps"], "d4", "54")]}
    if "ps" in layers:
        config["upstreams"] = [{"match": stage.place.uri(origin), "context": "p-s"}]
    if cache:
        config["cache"] = {"size": cache}
    return stage.proxy(config)


def load(stage, target, origin, count, kind, more):
    return stage.json_of("bench_load", *target, count, OUTSTANDING, kind, SOURCES, *origin, *named(more), core=stage.load_core)


def hits_of(proxy):
    return proxy.metric("osprey_cached_answers_total", kind="fresh")


def check_hits(wanted, found, answered):
    """What is measured is what the scenario says."""
    if (wanted and found < answered) or (not wanted and found):
        raise AssertionError(f"{found:.0f} of {answered} answers came from the cache")


def measure(stage, between="proxy", kind="non", layers="", cache=None, hits=None, count=None, warm_up=WARM_UP, ask=None,
            give=None):
    """
    One run.  `layers`: "cp", "ps" or both; `hits`: whether the cache has to answer all of the requests or none, which the
    proxy's metrics have to confirm; `ask` and `give`: further arguments of load and origin.
    """
    keys = {"cp": secrets.token_hex(16), "ps": secrets.token_hex(16)}
    count, ask, give = count or stage.count, dict(ask or {}), dict(give or {})
    if "cp" in layers:
        ask.update(secret=keys["cp"], sender="20", recipient="50")
    if "ps" in layers:
        give.update(secret=keys["ps"], sender="54", recipient="d4")
    try:
        origin = stage.origin(**give)
        if between == "relay":
            target, pid = stage.relay(origin)
        else:
            proxy = start_proxy(stage, origin, layers, cache, keys)
            target, pid = proxy.address, proxy.process.pid
        load(stage, target, origin, warm_up, kind, {**ask, "first": 0})
        already = hits_of(proxy) if hits is not None else 0
        before = cpu_seconds(pid)
        result = load(stage, target, origin, count, kind, {**ask, "first": warm_up})
        result["cpu_us"] = (cpu_seconds(pid) - before) * 1e6 / max(1, result["answered"])
        result["rss_kib"] = memory_kib(pid)
        if hits is not None:
            check_hits(hits, hits_of(proxy) - already, result["answered"])
        return result
    finally:
        stage.end()


def measure_deterministic(stage, **more):
    """Many clients that ask for the same: the bytes are the same too, but for what the next hop is told."""
    request, tail, payload = deterministic.exchange()
    return measure(stage, cache="1MiB", hits=True, ask={"request": request, "answer": payload}, give={"answer": tail}, **more)


def measure_blocks(stage, **more):
    """Transfers of SIZE bytes, OUTSTANDING of them at a time; the figures are of one block."""
    whole = OUTSTANDING * BLOCKS            # each client takes the resource once
    count = max(1, round(stage.count / whole)) * whole
    return measure(stage, count=count, warm_up=whole, ask={"blocks": BLOCKS}, give={"size": SIZE}, **more)


# ---- what DESIGN allows, as ratios to the relay of this run ----

def within(ratio):
    return lambda figures, aead: ratio


def layers_over(plain, layers, base=RELAY, size=40):
    """Each layer costs two AEAD operations on `size` bytes, and 0.3 of that for everything around them."""
    def allowed(figures, aead):
        if plain not in figures:
            return None
        two_aead = 1.3 * (aead[size]["seal_ns"] + aead[size]["open_ns"]) / 1000
        return (figures[plain]["cpu_us"] + layers * two_aead) / figures[base]["cpu_us"]
    return allowed


def case(name, run=measure, base=RELAY, unit="request", budget=within(None), **more):
    return Scenario(name, functools.partial(run, **more), base, unit, budget)


PLAIN, PLAIN_CON = "plain forward NON", "plain forward CON"
RELAY_BLOCKS, PLAIN_BLOCKS = "relay, blocks NON", "64 KiB in blocks NON"
SCENARIOS = [
    case(RELAY, between="relay"),
    case(PLAIN, budget=within(1.25)),
    case(PLAIN_CON, kind="con", budget=within(1.25)),
    case("C-P NON", layers="cp", budget=layers_over(PLAIN, 1)),
    case("C-P CON", kind="con", layers="cp", budget=layers_over(PLAIN_CON, 1)),
    case("C-P + P-S NON", layers="cp ps", budget=layers_over(PLAIN, 2)),
    # one resource: all but the first are hits
    case("cache hit NON", cache="1MiB", hits=True, budget=within(0.65)),
    case("cache hit, C-P NON", layers="cp", cache="1MiB", hits=True),
    case("deterministic hit NON", measure_deterministic),
    case("deterministic hit, C-P NON", measure_deterministic, layers="cp"),
    # a resource for each request: all are forwarded and stored, with room for all or for about 5,000
    case("miss, store NON", cache="64MiB", hits=False, ask={"names": "own"}),
    case("miss, store, evict NON", cache="1MiB", hits=False, ask={"names": "own"}),
    # 1024 bytes each
    case(RELAY_BLOCKS, measure_blocks, between="relay", unit="block"),
    case(PLAIN_BLOCKS, measure_blocks, base=RELAY_BLOCKS, unit="block", budget=within(1.25)),
    case("64 KiB in blocks CON", measure_blocks, base=RELAY_BLOCKS, unit="block", budget=within(1.25), kind="con"),
    case("64 KiB in blocks, C-P NON", measure_blocks, base=RELAY_BLOCKS, unit="block",
         budget=layers_over(PLAIN_BLOCKS, 1, RELAY_BLOCKS, 1040), layers="cp"),
]


def show(figures):
    """What a whole transfer costs."""
    blocks = {n: f for n, f in figures.items() if "blocks" in n}
    if not blocks:
        return
    print(f"\n{'block-wise, 64 KiB':27} {'CPU us/transfer':>15} {'transfers/s':>12} {'MiB/s':>7}")
    for name, f in blocks.items():
        f["cpu_us_transfer"] = round(f["cpu_us"] * BLOCKS, 1)
        rate = f["per_second"] / BLOCKS
        print(f"{name:27} {f['cpu_us_transfer']:15.0f} {rate:12.0f} {rate * SIZE / 2**20:7.0f}")
