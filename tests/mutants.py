#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Changes lib/ in one place at a time and sees whether a test notices.

Works on a copy of the tree below the build folder.  For each mutant: one edit, one build, the unit and replay programs until
one of them fails.  Prints each mutant that all tests passed ("survived"), and last `N killed, N survived, N did not build`.
The same seed gives the same mutants of the same tree.  Exit status 1 when more survive than --most allows.

tests/mutants.txt explains mutants that no test can notice; they are not made.
"""
import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
EXPLAINED = TOP / "tests" / "mutants.txt"
COPIED = ("lib", "config", "daemon", "tests", "Makefile", ".ci")
PROGRAM_SECONDS = 60
FLAGS = "-O1"         # no debugging information: links would take most of the time

# (what is found, what takes its place)
EDITS = [
    (r"&&", "||"), (r"\|\|", "&&"),
    (r"==", "!="), (r"!=", "=="),
    (r"(?<![<\-])<(?![<=])", "<="), (r"<=", "<"),
    (r"(?<![>\-])>(?![>=])", ">="), (r"(?<!-)>=", ">"),
    (r"(?<=\s)\+(?=\s)", "-"), (r"(?<=\s)-(?=\s)", "+"),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"),
    (r"\+\+", "--"), (r"(?<=\w)--", "++"), (r"\+=", "-="), (r"-=", "+="),
    (r"(?<![\w.])(\d+)(?=u?\b(?![.x]))", lambda m: str(int(m.group(1), 10) + 1)),
    (r"if \((?!!)([^()]*)\)", lambda m: f"if (!({m.group(1)}))"),
]
# a whole statement goes: a call whose value nobody takes, an assignment, a step in a loop
STATEMENT = re.compile(r"^(\s+)(?:\(void\))?[a-z_]\w*(?:(?:->|\.)\w+|\[[^]]*\])*(?:\(.*\)|\s[|&+-]?=\s.*|\+\+|--);\s*$")


class Mutant:
    def __init__(self, path, line, before, after):
        self.path, self.line, self.before, self.after = path, line, before, after

    def __str__(self):
        return f"{self.path}:{self.line}: {self.before.strip()}  ->  {self.after.strip() or '(nothing)'}"

    def key(self):
        return f"{self.path}: {self.before.strip()} -> {self.after.strip() or '(nothing)'}"


def blank_comments(text):
    """Comments and literals as spaces, so that places in the text stay what they are."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def places(path, text):
    """All mutants of one file."""
    lines, code = text.splitlines(), blank_comments(text).splitlines()
    found = []
    for number, (line, clean) in enumerate(zip(lines, code), 1):
        if not clean.startswith(" ") and "define" not in clean:
            continue                                    # declarations, signatures, preprocessor
        if clean.lstrip().startswith("#") and "define" not in clean:
            continue
        for pattern, replacement in EDITS:
            for m in re.finditer(pattern, clean):
                new = replacement(m) if callable(replacement) else replacement
                found.append(Mutant(path, number, line, line[:m.start()] + new + line[m.end():]))
        if STATEMENT.match(clean):
            found.append(Mutant(path, number, line, ""))
    return found


def explained():
    if not EXPLAINED.exists():
        return set()
    return {line.split("   # ")[0].strip() for line in EXPLAINED.read_text().splitlines() if line and not line.startswith("#")}


def choose(folder, seed, count, match):
    """A sample that gives each file its share by size."""
    known, every = explained(), []
    for file in sorted((TOP / "lib").rglob("*.c")):
        path = str(file.relative_to(TOP))
        if not match or re.search(match, path):
            every += [m for m in places(path, (folder / path).read_text()) if m.key() not in known]
    return random.Random(seed).sample(every, min(count, len(every)))


def copy_tree(folder):
    for name in COPIED:
        source, target = TOP / name, folder / name
        if source.is_dir():
            subprocess.run(["cp", "-au", "-T", source, target], check=True)
        else:
            shutil.copy2(source, target)


def build(folder, jobs):
    return subprocess.run(["make", "-s", f"-j{jobs}", "BUILD=build", f"CFLAGS={FLAGS}", "unit-programs"], cwd=folder,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def programs(folder, path):
    """Those named as the changed file come first: most mutants die there."""
    stem, room = pathlib.Path(path).stem, pathlib.Path(path).parent.name
    every = [p for p in (folder / "build" / "tests").rglob("test_*") if p.is_file() and os.access(p, os.X_OK)]
    return sorted(every, key=lambda p: (stem not in p.name, room not in str(p), p.stat().st_size, p.name))


def fails(program):
    process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               cwd=TOP, start_new_session=True)
    try:
        return process.wait(PROGRAM_SECONDS) != 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def is_killed(folder, path, jobs):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        left = [pool.submit(fails, p) for p in programs(folder, path)]
        for done in concurrent.futures.as_completed(left):
            if not done.cancelled() and done.result():
                for other in left:
                    other.cancel()
                return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--match", help="only files of lib/ whose path matches this expression")
    parser.add_argument("--most", type=float, default=5.0, help="percent that may survive")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=pathlib.Path, default=TOP / "build" / "mutants")
    args = parser.parse_args()

    args.folder.mkdir(parents=True, exist_ok=True)
    copy_tree(args.folder)
    if not build(args.folder, args.jobs):
        sys.exit("the tree does not build as it is")
    if is_killed(args.folder, "lib", args.jobs):
        sys.exit("the tests fail before anything was changed")
    killed, survived, broken, begin = 0, [], 0, time.monotonic()
    for mutant in choose(args.folder, args.seed, args.count, args.match):
        file = args.folder / mutant.path
        whole = file.read_text()
        lines = whole.splitlines(keepends=True)
        lines[mutant.line - 1] = mutant.after + "\n"
        file.write_text("".join(lines))
        try:
            if not build(args.folder, args.jobs):
                broken += 1
            elif is_killed(args.folder, mutant.path, args.jobs):
                killed += 1
            else:
                survived.append(mutant)
                print(f"survived: {mutant}", flush=True)
        finally:
            file.write_text(whole)
    print(f"{time.monotonic() - begin:.0f} s")
    print(f"{killed} killed, {len(survived)} survived, {broken} did not build")
    sys.exit(1 if len(survived) * 100 > args.most * (killed + len(survived)) else 0)


if __name__ == "__main__":
    main()
