#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
What the proxy costs: CPU time of its process per request, beside a bare relay on the same machine in the same run.
Load and origin share one core, the proxy has another.  Prints tables; the figures also go to BUILD/bench.json.
CPU times are medians of the runs; `least` is the least of them, which other work on the machine disturbs less.

A scenario is an entry of SCENARIOS (stage.py says what it is); modules bring their own.
"""
import argparse
import json
import os
import pathlib
import sys

import caching
import handshake
import observing
import proxying
from stage import RELAY, Stage, median_of

SCENARIOS = [*proxying.SCENARIOS, *observing.SCENARIOS]
SHOW = [proxying.show]                      # further tables of the same figures
AEAD_SIZES = (40, 1040)                     # bytes of a small message and of a block


def measure(stage, scenarios, count):
    """{name: figures}"""
    runs = {s.name: [] for s in scenarios}
    for _ in range(count):                  # in turn, so that what disturbs one disturbs all
        for s in scenarios:
            runs[s.name].append(s.run(stage))
    return {name: median_of(r) for name, r in runs.items()}


def judge(scenarios, figures, aead):
    for s in scenarios:
        f, base = figures[s.name], figures.get(s.base)
        budget = s.budget(figures, aead)
        f["unit"] = s.unit
        f["ratio"] = round(f["cpu_us"] / base["cpu_us"], 3) if base else None
        f["ratio_least"] = round(f["cpu_us_least"] / base["cpu_us_least"], 3) if base else None
        f["budget"] = round(budget, 3) if budget else None


def cell(value, width, digits=0):
    return f"{'-' if value is None else format(value, f'.{digits}f'):>{width}}"


def show(figures, aead, args):
    print(f"{args.count} requests, {proxying.OUTSTANDING} outstanding, median of {args.runs} runs; "
          + "; ".join(f"AEAD of {n} bytes: seal {a['seal_ns'] / 1000:.2f} us, open {a['open_ns'] / 1000:.2f} us"
                      for n, a in aead.items()))
    print(f"{'':27} {'CPU us':>7} {'of a':8} {'x relay':>7} {'budget':>7} {'least':>7} {'x relay':>7} "
          f"{'per s':>8} {'p50 us':>7} {'p99 us':>7} {'lost':>5} {'bad':>4} {'RSS MiB':>8}")
    for name, f in figures.items():
        rss = f["rss_kib"] / 1024 if "rss_kib" in f else None
        print(f"{name:27} {f['cpu_us']:7.2f} {f['unit']:8}", cell(f["ratio"], 7, 2), cell(f["budget"], 7, 2),
              cell(f["cpu_us_least"], 7, 2), cell(f["ratio_least"], 7, 2), cell(f.get("per_second"), 8),
              cell(f.get("p50_us"), 7), cell(f.get("p99_us"), 7), f"{f['lost']:5d} {f['bad']:4d}", cell(rss, 8, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--workers", type=int, default=1, help="of the proxy; more than one is not pinned to a core")
    parser.add_argument("--case", action="append", help="only scenarios whose name contains this; the relay always runs")
    args = parser.parse_args()
    os.environ["OSPREY_BUILD"] = str(args.build)
    chosen = [s for s in SCENARIOS if not args.case or s.name == RELAY or any(w in s.name for w in args.case)]
    needed = {s.base for s in chosen}
    chosen = [s for s in SCENARIOS if s in chosen or s.name in needed]
    stage = Stage(args.build.resolve(), args.count, args.workers)
    try:
        aead = {n: stage.json_of("bench_aead", n, core=stage.middle_core) for n in AEAD_SIZES}
        figures = measure(stage, chosen, args.runs)
        cache = None if args.case else caching.measure(stage)
        edhoc = None if args.case else handshake.measure(stage)
    finally:
        stage.close()
    judge(chosen, figures, aead)
    show(figures, aead, args)
    for further in SHOW:
        further(figures)
    wrong = [f"{name}: some answers were not what they have to be" for name, f in figures.items()
             if f["bad"] or f["answered"] + f["lost"] != f["requests"]]
    if cache:
        caching.show(cache)
        wrong += caching.problems(cache)
    if edhoc:
        handshake.show(edhoc)
    (args.build / "bench.json").write_text(json.dumps({"aead": aead, "outstanding": proxying.OUTSTANDING, "workers": args.workers,
                                                       "cases": figures, "cache": cache,
                                                       "edhoc": edhoc}, indent=1) + "\n", encoding="utf-8")
    print(f"{args.build}/bench.json")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
