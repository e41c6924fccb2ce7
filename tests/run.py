#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Runs every test of a build: unit and replay programs, fuzz targets over their corpora, system tests.  Prints what
failed and why, and last `N passed, N failed[, N skipped]`; exit status 1 when anything failed.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

TESTS = pathlib.Path(__file__).resolve().parent
TOP = TESTS.parent
KINDS = ("unit", "fuzz", "system")
PROGRAM_SECONDS = 180
SYSTEM_SECONDS = 420
SLOW_BUILD = 3                              # times for a build with sanitizers
FIRST = ("test_restart.py",)                # the longest files begin first
SHOWN = 40                                  # lines of a failure
# at the end of a line, since a program may have left one open
TAP = re.compile(r"(not )?\bok \d+(?: - (\w+)|\s*(# skip.*))?$", re.I)
REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|ThreadSanitizer")

running = set()                             # process groups to end when we are ended


@dataclass
class Result:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list = field(default_factory=list)        # (test, text)
    skips: list = field(default_factory=list)           # (test, why)

    def fail(self, test, text):
        self.failed += 1
        self.failures.append((test, text))


def environment(build, **more):
    env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    env.update(OSPREY_BUILD=str(build), PYTHONDONTWRITEBYTECODE="1", ASAN_OPTIONS="detect_leaks=1:halt_on_error=1",
               UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1", **more)
    return env


def execute(command, seconds, env):
    """(exit status or None when it took too long, what it said)"""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=TOP, env=env,
                                   start_new_session=True)
        running.add(process.pid)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = None
        running.discard(process.pid)
        out.seek(0)
        return status, out.read().decode(errors="replace")


def tail(text):
    lines = text.strip().splitlines()
    return "\n".join(lines[-SHOWN:])


# ---- unit and replay programs ----

def run_unit(build, source, slow):
    """One cmocka program; its tests are counted one by one."""
    name = str(source.relative_to(TESTS).with_suffix(""))
    result, begin = Result(name), time.monotonic()
    program = build / "tests" / name
    if not program.exists():
        result.fail(name, f"{program} was not built")
        return result
    status, text = execute([str(program)], PROGRAM_SECONDS * slow, environment(build, CMOCKA_MESSAGE_OUTPUT="TAP"))
    read_tap(result, text)
    if status is None:
        result.fail(name, f"took longer than {PROGRAM_SECONDS * slow} s\n{tail(text)}")
    elif status != 0 and (not result.failed or status < 0 or REPORT.search(text)):
        result.fail(name, f"ended with {status}\n{tail(text)}")
    elif not result.passed + result.failed + result.skipped:
        result.fail(name, "ran no test")
    result.seconds = time.monotonic() - begin
    return result


def read_tap(result, text):
    lines = text.splitlines()
    for n, line in enumerate(lines):
        found = TAP.search(line.strip())
        if not found:
            continue
        test = f"{result.name}: {found.group(2) or '?'}"
        if found.group(3):
            result.skipped += 1
            result.skips.append((test, found.group(3).strip()))
        elif found.group(1):
            result.fail(test, "\n".join(context(lines, n)))
        else:
            result.passed += 1


def context(lines, n):
    """What a failed test said: comments behind, and output before, its line."""
    before, after = [], []
    for line in reversed(lines[max(0, n - SHOWN):n]):
        if TAP.search(line.strip()):
            break
        before.insert(0, line)
    for line in lines[n + 1:n + 1 + SHOWN]:
        if not line.startswith("#"):
            break
        after.append(line)
    return before + after


# ---- fuzz targets ----

def run_fuzz(build, source, slow):
    name = f"fuzz/{source.stem}"
    result, begin = Result(name), time.monotonic()
    program = build / "tests" / name
    corpus = sorted(str(p) for p in (TESTS / "fuzz" / "corpus" / source.stem.removeprefix("fuzz_")).glob("*") if p.is_file())
    if not program.exists():
        result.fail(name, f"{program} was not built")
    elif not corpus:
        result.fail(name, "has no corpus")
    else:
        status, text = execute([str(program), *corpus], PROGRAM_SECONDS * slow, environment(build))
        if status == 0:
            result.passed += 1
        else:
            result.fail(name, ("took too long" if status is None else f"ended with {status}") + "\n" + tail(text))
    result.seconds = time.monotonic() - begin
    return result


# ---- system tests ----

def run_system(build, path, slow):
    name = f"system/{path.name}"
    result, begin = Result(name), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="osp-run-") as directory:
        report = pathlib.Path(directory) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--show-capture=no",
                   f"--basetemp={directory}/t", f"--junitxml={report}", str(path)]
        status, text = execute(command, SYSTEM_SECONDS * slow, environment(build))
        if report.exists():
            read_junit(result, report)
        if status is None:
            result.fail(name, f"took longer than {SYSTEM_SECONDS * slow} s\n{tail(text)}")
        elif status not in (0, 1) or (status == 1 and not result.failed):
            result.fail(name, f"pytest ended with {status}\n{tail(text)}")
    result.seconds = time.monotonic() - begin
    return result


def read_junit(result, report):
    """A test with a failure and an error at its end counts once."""
    seen = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{result.name}: {case.get('name')}"
        bad = [e.text or e.get("message") or "" for kind in ("failure", "error") for e in case.iter(kind)]
        skip = case.find("skipped")
        entry = seen.setdefault(test, [[], None])
        entry[0] += bad
        entry[1] = skip.get("message", "") if skip is not None else entry[1]
    for test, (bad, skip) in seen.items():
        if bad:
            result.fail(test, tail("\n".join(bad)))
        elif skip is not None:
            result.skipped += 1
            result.skips.append((test, skip))
        else:
            result.passed += 1


# ---- all of it ----

def is_sanitized(build):
    program = build / "ospreyd"
    return program.exists() and b"__asan_init" in program.read_bytes()


def jobs(kind):
    """(function, path) in the order in which they are to begin."""
    if kind == "unit":
        return [(run_unit, p) for folder in ("unit", "replay") for p in sorted((TESTS / folder).rglob("test_*.c"))]
    if kind == "fuzz":
        return [(run_fuzz, p) for p in sorted((TESTS / "fuzz").glob("fuzz_*.c"))]
    paths = sorted((TESTS / "system").glob("test_*.py"), key=lambda p: (p.name not in FIRST, -p.stat().st_size))
    return [(run_system, p) for p in paths]


def run_kind(kind, build, slow, parallel, match):
    todo = [j for j in jobs(kind) if not match or re.search(match, str(j[1].relative_to(TESTS)))]
    results = []
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        for done in concurrent.futures.as_completed([pool.submit(f, build, p, slow) for f, p in todo]):
            results.append(done.result())
            show(results[-1])
    return results


def show(result):
    counts = f"{result.passed} passed" + (f", {result.failed} FAILED" if result.failed else "") + \
        (f", {result.skipped} skipped" if result.skipped else "")
    print(f"{result.name:34} {counts} ({result.seconds:.1f} s)", flush=True)


def end_all(*_):
    for pid in list(running):
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    sys.exit(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--only", choices=KINDS, action="append", help="this kind alone")
    parser.add_argument("--match", help="only files whose path in tests/ matches this expression")
    parser.add_argument("--jobs", type=int, default=2, help="programs at once; one more for system tests, which mostly wait")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, end_all)
    signal.signal(signal.SIGINT, end_all)

    build, begin = args.build.resolve(), time.monotonic()
    slow = SLOW_BUILD if is_sanitized(build) else 1
    results = []
    for kind in args.only or KINDS:
        results += run_kind(kind, build, slow, args.jobs + (kind == "system"), args.match)

    for result in results:
        for test, why in result.skips:
            print(f"skipped: {test}: {why}")
    for result in results:
        for test, text in result.failures:
            print(f"\n==== FAILED: {test}\n{text}")
    passed, failed, skipped = (sum(getattr(r, k) for r in results) for k in ("passed", "failed", "skipped"))
    print(f"\n{time.monotonic() - begin:.0f} s")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
