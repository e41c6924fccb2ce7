#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Changes lib/ in one place at a time and sees whether a test notices.

Works on a copy of the tree below the build folder.  There the library is a shared object, so that a mutant costs one
compilation and one link, and the programs record which places of lib/ they reach: a mutant is given to the unit and replay
programs that reach its line, the quickest first, until one of them fails, leaks memory or does not end.  Prints each mutant
that all of them passed ("survived"), and last `N killed, N survived, N did not build`.  The same seed gives the same mutants
of the same tree.  Exit status 1 when more survive than --most allows.

tests/mutants.txt explains mutants that no test can notice; they are not made.
"""
import argparse
import bisect
import concurrent.futures
import os
import pathlib
import queue
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
EXPLAINED = TOP / "tests" / "mutants.txt"
COPIED = ("lib", "config", "daemon", "tests", "docs", "Makefile", "README.md")
IDLE_SECONDS = 300      # a program that waits for something; a loaded machine needs its time
PLAIN = "-O0 -g1 -fPIC -fsanitize=leak"
MAKE = ["make", "-s", "BUILD=build", "LIB=build/libosprey.so", "HARD=", "WARN=-w", "LIB_MORE=build/reached.o",
        f"CFLAGS={PLAIN} -fsanitize-coverage=trace-pc"]

# The compiler calls this at the beginning of each basic block: notes the place in a file that the environment names.
REACHED = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (4u << 20)

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
static uint8_t   *reached;
void              __sanitizer_cov_trace_pc(void);

static __attribute__((constructor)) void
begin(void)
{
    const char *name = getenv("MUTANTS_REACHED");
    int         fd = name ? open(name, O_RDWR | O_CREAT, 0600) : -1;
    void       *p;

    if (fd == -1 || ftruncate(fd, SIZE) == -1)
        return;
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    reached = p == MAP_FAILED ? NULL : p;
    close(fd);
}

void
__sanitizer_cov_trace_pc(void)
{
    uintptr_t place = (uintptr_t)__builtin_return_address(0) - (uintptr_t)__ehdr_start;

    if (reached && place < SIZE)
        reached[place] = 1;
}
"""

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
    # a single comparison is turned by the rules above
    (r"if \((?!!)((?:[^()=<>!]|->)*|[^()]*(?:&&|\|\|)[^()]*)\)", lambda m: f"if (!({m.group(1)}))"),
]
# a whole statement goes: a call whose value nobody takes, an assignment, a step in a loop
STATEMENT = re.compile(r"^(\s+)(?:\(void\))?[a-z_]\w*(?:(?:->|\.)\w+|\[[^]]*\])*(?:\(.*\)|\s[|&+-]?=\s.*|\+\+|--);\s*$")
# never changed: checks of our own mistakes
ASSERTION = re.compile(r"\b_?[Ss]tatic_assert\b|\bassert\(")
# never changed: a lock that is not taken is for `make check-tsan`, memory that is not wiped for no test
UNSEEN = re.compile(r"^\s+osp_(?:lock_take|wipe)\(.*\);\s*$")
# where both are equal, it is all one which of them is taken
LEAST_OR_MOST = re.compile(r"([\w.>-]+) [<>]=? ([\w.>-]+) \? (?:\1 : \2|\2 : \1)(?![\w.(])")
# these numbers say nothing that can be noticed: the size of a buffer, the zeroes that a structure begins with
ARRAY = re.compile(r"^\s+(?:(?:static|const|struct|enum|unsigned)\s+)*\w+\s+\**\w+(?:\[[^]]*\])?[\w\s,*\[\]+]*;")
ZEROES = re.compile(r"=\s*\{\s*\{*\s*0\s*\}")


class Mutant:
    def __init__(self, path, line, before, after):
        self.path, self.line, self.before, self.after = path, line, before, after

    def __str__(self):
        return f"{self.path}:{self.line}: {self.before.strip()}  ->  {self.after.strip() or '(nothing)'}"

    def key(self):
        return re.sub(r"\s+", " ", f"{self.path}: {self.before.strip()} -> {self.after.strip() or '(nothing)'}")


def blank_comments(text):
    """Comments and literals as spaces, so that places in the text stay what they are."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def is_senseless(clean, match):
    if match.group(0) in ("<", ">", "<=", ">="):
        return any(m.start() <= match.start() < m.end() for m in LEAST_OR_MOST.finditer(clean))
    if not match.group(0)[0].isdigit():
        return False
    declared = ARRAY.match(clean)
    return bool(declared and match.start() < declared.end() and "[" in clean[:match.start()]
                or any(z.start() <= match.start() < z.end() for z in ZEROES.finditer(clean)))


def places(path, text):
    """All mutants of one file."""
    lines, code = text.splitlines(), blank_comments(text).splitlines()
    found = []
    for number, (line, clean) in enumerate(zip(lines, code), 1):
        if not clean.startswith(" ") and "define" not in clean:
            continue                                    # declarations, signatures, preprocessor
        if clean.lstrip().startswith("#") and "define" not in clean or ASSERTION.search(clean):
            continue
        for pattern, replacement in EDITS:
            for m in re.finditer(pattern, clean):
                if not is_senseless(clean, m):
                    new = replacement(m) if callable(replacement) else replacement
                    found.append(Mutant(path, number, line, line[:m.start()] + new + line[m.end():]))
        if STATEMENT.match(clean) and not UNSEEN.match(clean):
            found.append(Mutant(path, number, line, ""))
    return found


def explained():
    if not EXPLAINED.exists():
        return set()
    return {re.sub(r"\s+", " ", line.split("   # ")[0].strip())
            for line in EXPLAINED.read_text().splitlines() if line and not line.startswith("#")}


def every_mutant(folder, match):
    for file in sorted((folder / "lib").rglob("*.c")):
        path = str(file.relative_to(folder))
        if not match or re.search(match, path):
            yield from places(path, file.read_text())


def named(folder, file):
    """The mutants that the lines of a file name, as this tool prints them, with or without the number of the line."""
    for text in file.read_text().splitlines():
        m = re.match(r"(?:\w+: )?(lib/[\w/.]+)(?::\d+)?: (.*?)\s+->\s+(.*?)(?:   (?:test_\w+|\(no test comes there\)))?$", text)
        if m:
            after = "" if m.group(3) == "(nothing)" else m.group(3)
            lines = (folder / m.group(1)).read_text().splitlines()
            at = [i for i, line in enumerate(lines, 1) if line.strip() == m.group(2).strip()]
            if not at:
                print(f"no such line: {text}")
            for i in at[:1]:
                yield Mutant(m.group(1), i, lines[i - 1], after)


def choose(folder, args):
    """A sample that gives each file its share by size, or those that a list names."""
    if args.these:
        return list(named(folder, args.these))
    known = explained()
    every = [m for m in every_mutant(folder, args.match) if m.key() not in known]
    return random.Random(args.seed).sample(every, min(args.count, len(every)))


def copy_tree(folder):
    for name in COPIED:
        source, target = TOP / name, folder / name
        if not source.is_dir():
            shutil.copy2(source, target)
            continue
        for file in list(target.rglob("*")):
            if file.is_file() and not (TOP / file.relative_to(folder)).exists():
                file.unlink()
        subprocess.run(["cp", "-au", "-T", source, target], check=True)


class Tree:
    """The copy: its programs, and which of them reach which line of lib/."""

    def __init__(self, folder, jobs):
        self.folder, self.jobs = folder, jobs
        folder.mkdir(parents=True, exist_ok=True)
        copy_tree(folder)
        self.build()
        self.lib = folder / "build" / "libosprey.so"
        self.programs = sorted(p for p in (folder / "build" / "tests").rglob("test_*") if os.access(p, os.X_OK) and p.is_file()
                               and (folder / p.relative_to(folder / "build")).with_suffix(".c").exists())
        show = ["--eval=mutants-flags: ; @echo $(STD) -w $(PKG_CFLAGS)", "--eval=mutants-libs: ; @echo $(LIBS_LIB)"]
        self.flags = self.make(*show, "mutants-flags").split() + PLAIN.split()
        self.libs = self.make(*show, "mutants-libs").split()
        self.cpu_s = {}
        self.measure()
        self.read_places()

    def make(self, *args):
        return subprocess.run([*MAKE, f"-j{self.jobs}", *args], cwd=self.folder, stdin=subprocess.DEVNULL, check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def build(self):
        (self.folder / "build").mkdir(exist_ok=True)
        source = self.folder / "build" / "reached.c"
        if not source.exists() or source.read_text() != REACHED:
            source.write_text(REACHED)
            subprocess.run(["gcc", "-O2", "-fPIC", "-c", source, "-o", source.with_suffix(".o")], check=True)
        self.make("unit-programs")

    def reached_file(self, program):
        return self.folder / "build" / "reached" / str(program.relative_to(self.folder / "build" / "tests")).replace("/", "-")

    def measure(self):
        """Runs all programs on the tree as it is, those that are older than their last measurement excepted."""
        (self.folder / "build" / "reached").mkdir(exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            failed = [p.name for p, f in zip(self.programs, pool.map(self.measure_one, self.programs)) if f]
        if failed:
            sys.exit(f"fail before anything was changed: {' '.join(failed)}")

    def measure_one(self, program):
        file = self.reached_file(program)
        took = file.with_suffix(".cpu")
        if took.exists() and min(took.stat().st_mtime, file.stat().st_mtime) > max(program.stat().st_mtime,
                                                                                   self.lib.stat().st_mtime):
            self.cpu_s[program] = float(took.read_text())
            return False
        file.unlink(missing_ok=True)
        failed, self.cpu_s[program] = run(self.folder, program, self.lib.parent, 300, {"MUTANTS_REACHED": str(file)})
        if not failed:
            took.write_text(f"{self.cpu_s[program]}")
        return failed

    def read_places(self):
        """Which calls of the compiler's hook belong to which line, and which programs made them."""
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", self.lib], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        calls = re.findall(r"^\s+([0-9a-f]+):\s+call\s+[0-9a-f]+ <__sanitizer_cov_trace_pc[^\n]*\n\s*([0-9a-f]+):", text, re.M)
        begins, returns = [int(a, 16) for a, _ in calls], [int(b, 16) for _, b in calls]
        by_return = {r: i for i, r in enumerate(returns)}
        self.reached_by = [[] for _ in calls]
        for program in self.programs:
            for place in re.finditer(b"\1", self.reached_file(program).read_bytes()):
                if place.start() in by_return:
                    self.reached_by[by_return[place.start()]].append(program)
        self.calls_of = {}
        text = subprocess.run(["objdump", "--dwarf=decodedline", "-WL", self.lib], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        paths, sources = [], [str(p.relative_to(self.folder)) for p in (self.folder / "lib").rglob("*.c")]
        for line in text.splitlines():
            if line.endswith(":") and not line.startswith(" "):
                name = re.sub(r"^(?:CU: )?(?:\./)?|(?:\[\++\])?:$", "", line)
                # a unit of one file is named without its folder
                paths = [name] if "/" in name else [s for s in sources if s.endswith("/" + name)]
                continue
            row = re.match(r"\S+\s+(\d+)\s+0x([0-9a-f]+)", line)
            block = bisect.bisect_right(begins, int(row.group(2), 16)) - 1 if row else -1
            for path in paths if block >= 0 else []:
                self.calls_of.setdefault(path, {}).setdefault(int(row.group(1)), set()).add(block)

    def programs_for(self, mutant):
        """Those that reach the line; where the line has no code (a table, a macro), those that reach its file."""
        of_file = self.calls_of.get(mutant.path, {})
        calls = of_file.get(mutant.line)
        if calls is None:
            calls = set().union(*of_file.values())
        reach = {p for c in calls for p in self.reached_by[c]}
        stem, room = pathlib.Path(mutant.path).stem, pathlib.Path(mutant.path).parent.name
        near = {p: 1 if stem in p.name else 4 if room in str(p.parent) else 16 for p in reach}
        return sorted(reach, key=lambda p: ((self.cpu_s[p] + .02) * near[p], p.name))

    def make_mutant(self, mutant, place):
        """A library with the change in `place`; false: it does not compile."""
        place.mkdir(exist_ok=True)
        source, changed = self.folder / mutant.path, place / "mutant.c"
        lines = source.read_text().splitlines(keepends=True)
        lines[mutant.line - 1] = mutant.after + "\n"
        changed.write_text("".join(lines))
        compiled = subprocess.run(["gcc", *self.flags, "-iquote", source.parent, "-Ilib", "-I.", "-c", changed, "-o",
                                   place / "mutant.o"], cwd=self.folder, stderr=subprocess.DEVNULL)
        if compiled.returncode != 0:
            return False
        own = self.folder / "build" / "obj" / mutant.path
        objects = [o for o in (self.folder / "build" / "obj" / "lib").rglob("*.o")
                   if o != own.with_suffix(".o") and (self.folder / o.relative_to(self.folder / "build" / "obj")).with_suffix(".c").exists()]
        return subprocess.run(["gcc", "-shared", "-Wl,-soname,libosprey.so", "-fsanitize=leak", "-o", place / "libosprey.so",
                               place / "mutant.o", self.folder / "build" / "reached.o", *objects, *self.libs],
                              stderr=subprocess.DEVNULL).returncode == 0

    def verdict(self, mutant, place):
        """"killed", "survived", "unreached" or "broken"; and who killed it."""
        if not self.make_mutant(mutant, place):
            return "broken", None
        reach = self.programs_for(mutant)
        for program in reach:
            if run(self.folder, program, place, 2 + 5 * self.cpu_s[program], {})[0]:
                return "killed", program
        return "survived" if reach else "unreached", None


def run(folder, program, lib_folder, cpu_s, environment):
    """Runs one program in `folder` against the library in that folder: (it failed, seconds of the processor it took)."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               cwd=folder, start_new_session=True, preexec_fn=limit,
                               env={**os.environ, **environment, "LD_LIBRARY_PATH": str(lib_folder)})
    killer = threading.Timer(IDLE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    killer.start()
    _, status, used = os.wait4(process.pid, 0)
    killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode != 0, used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--match", help="only files of lib/ whose path matches this expression")
    parser.add_argument("--these", type=pathlib.Path, help="a file of mutants as this tool prints them, instead of a sample")
    parser.add_argument("--most", type=float, default=5.0, help="percent that may survive")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=pathlib.Path, default=TOP / "build" / "mutants")
    parser.add_argument("--verbose", action="store_true", help="print each mutant and who noticed it")
    args = parser.parse_args()

    begin = time.monotonic()
    tree = Tree(args.folder.resolve(), args.jobs)
    print(f"built and measured: {time.monotonic() - begin:.0f} s, {sum(tree.cpu_s.values()):.0f} s of tests", flush=True)
    places_free = queue.SimpleQueue()
    for i in range(args.jobs):
        places_free.put(tree.folder / "build" / f"worker-{os.getpid()}-{i}")

    def judge(mutant):
        place = places_free.get()
        try:
            return mutant, *tree.verdict(mutant, place)
        finally:
            places_free.put(place)

    count = {"killed": 0, "survived": 0, "unreached": 0, "broken": 0}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(judge, m) for m in choose(tree.folder, args)]):
            mutant, verdict, program = done.result()
            count[verdict] += 1
            if verdict in ("survived", "unreached"):
                print(f"survived: {mutant}" + ("   (no test comes there)" if verdict == "unreached" else ""), flush=True)
            elif args.verbose:
                print(f"{verdict}: {mutant}   {program.name if program else ''}", flush=True)
    for _ in range(args.jobs):
        shutil.rmtree(places_free.get(), ignore_errors=True)
    survived = count["survived"] + count["unreached"]
    print(f"{time.monotonic() - begin:.0f} s")
    print(f"{count['killed']} killed, {survived} survived, {count['broken']} did not build")
    sys.exit(1 if survived * 100 > args.most * (count["killed"] + survived) else 0)


if __name__ == "__main__":
    main()
