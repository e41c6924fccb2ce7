#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
House rules that a script can see: include arrows, one room per third-party header, a pure lib/, banned
calls, SPDX lines, what the tree may hold, where tests stand and how long they are.  Prints file:line: rule; exit
status 1 when there is any.
"""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

# module -> modules of lib/ it may include; daemon/ and config/ are judged below
ARROWS = {
    "base": {"base"},
    "crypto": {"base", "crypto"},
    "cbor": {"base", "cbor"},
    "msg": {"base", "msg"},
    "oscore": {"base", "crypto", "cbor", "msg", "oscore"},
    "group": {"base", "crypto", "cbor", "msg", "oscore", "group"},
    "edhoc": {"base", "crypto", "cbor", "oscore", "edhoc"},
    "cache": {"base", "crypto", "cbor", "msg", "cache"},
    "proxy": {"base", "crypto", "cbor", "msg", "oscore", "group", "edhoc", "cache", "proxy"},
}
# config/ knows YAML, and the grammars it checks
CONFIG_MAY = {"base/", "config/", "msg/uri.h", "msg/msg.h", "msg/coap.h", "msg/target.h", "crypto/crypto.h",
              "crypto/digest.h", "crypto/pem.h", "edhoc/credential.h", "edhoc/suite.h", "group/credential.h"}
# third-party header -> where it may stand
ROOMS = {
    r"openssl/": ("lib/crypto/",),
    r"cbor\.h": ("lib/cbor/",),
    r"coap3/": ("lib/msg/",),
    r"lmdb\.h": ("daemon/ospreyd/store/",),
    r"event2/": ("daemon/ospreyd/loop.c",),
    r"ares": ("daemon/ospreyd/net/dns.c",),
    r"yaml\.h": ("config/",),
}
IMPURE = re.compile(r"<(sys/|netinet/|arpa/|netdb|poll|pthread|threads|time\.h|unistd|fcntl|signal|syslog|event|lmdb)")
IMPURE_CALL = re.compile(
    r"\b(time|clock_gettime|gettimeofday|rand|random|getenv|exit|abort|printf|fprintf|perror|fopen|open|read|write|socket)\s*\(")
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|alloca|rand|srand)\s*\(")
ALLOWED_TOP = {"daemon", "config", "lib", "tests", "systemd", "docs", "Makefile", "README.md", "LICENSE"}
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_.])/(work|root|home/[a-z]+)/")

# what `make demo` and the build itself run has python3 and nothing else: their packages are installed for the tests only
PYTHON_ALONE = ("tests/demo/",)
IMPORT = re.compile(r"^\s*(?:import|from)\s+(\w+)")

TEST_LINES = 800        # of a test or what tests share: a longer one makes more than one claim

problems = []


def report(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def strip_comments(text):
    """Comments and string literals blanked, line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def check_include(path, number, quoted, angled):
    parts = path.split("/")
    for pattern, rooms in ROOMS.items():
        if angled and re.match(pattern, angled) and not path.startswith(rooms) and parts[0] in ("lib", "daemon", "config"):
            report(path, number, f"<{angled}> belongs to {', '.join(rooms)}")
    if parts[0] == "lib":
        if angled and IMPURE.match("<" + angled):
            report(path, number, f"lib/ is pure: <{angled}>")
        if quoted and "/" in quoted and quoted.split("/")[0] not in ARROWS.get(parts[1], set()):
            report(path, number, f"include points up or sideways: {quoted}")
    if parts[0] == "config" and quoted and "/" in quoted:
        if not any(quoted == may or (may.endswith("/") and quoted.startswith(may)) for may in CONFIG_MAY):
            report(path, number, f"config/ does not know {quoted}")


def check_c(path, text):
    code = strip_comments(text)
    if "SPDX-License-Identifier" not in text[:200]:
        report(path, 1, "no SPDX line")
    for number, line in enumerate(text.splitlines(), 1):
        include = re.match(r'\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', line)
        if include:
            check_include(path, number, include.group(1), include.group(2))
        if len(line) > 130:
            report(path, number, f"{len(line)} columns")
        if line.rstrip() != line:
            report(path, number, "trailing white space")
    for number, line in enumerate(code.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        for call in BANNED.findall(line):
            report(path, number, f"banned call: {call}()")
        if path.startswith("lib/"):
            for call in IMPURE_CALL.findall(line):
                report(path, number, f"lib/ is pure: {call}()")
        if path.startswith("lib/") and re.search(r"\bdefault\s*:", line) and "enum osp_err" in line:
            report(path, number, "switch over enum osp_err with a default")
    if path.startswith(("lib/", "daemon/", "config/")) and path.endswith(".c") and text.count("\n") > 800:
        report(path, 1, f"{text.count(chr(10))} lines: two subjects?")


def check_test(path, text):
    """A test has one subject, and stands where its subject stands: tests/unit/ has the folders of lib/, config/ and daemon/."""
    if text.count("\n") > TEST_LINES:
        report(path, 1, f"{text.count(chr(10))} lines: split it by claim")
    folder = pathlib.PurePath(path).parent
    if folder.is_relative_to("tests/unit") and folder != pathlib.PurePath("tests/unit"):
        subject = folder.relative_to("tests/unit")
        if not (TOP / ("." if subject.parts[0] in ("config", "daemon") else "lib") / subject).is_dir():
            report(path, 1, f"no folder {subject} in lib/, config/ or daemon/")


def check_python(path, text):
    siblings = {p.stem for p in (TOP / path).parent.glob("*.py")}
    for number, line in enumerate(text.splitlines(), 1):
        found = IMPORT.match(line)
        if found and found.group(1) not in sys.stdlib_module_names | siblings:
            report(path, number, f"{found.group(1)} comes with no package of `make demo`")


def map_rows(text):
    """The tables of docs/ARCHITECTURE.md whose first column is a folder: (line, folder, the other columns)."""
    for number, line in enumerate(text.splitlines(), 1):
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if re.fullmatch(r"`[a-z]+(/[a-z_]+)*`", cells[0]):
            yield number, cells[0].strip("`"), cells[1:]


def may_include(room):
    """The rooms of lib/ that ARROWS, or CONFIG_MAY, lets a room include, itself not counted; None: it is not judged."""
    if room == "config":
        return {may.split("/")[0] for may in CONFIG_MAY} - {"config"}
    name = room.split("/")[-1]
    return ARROWS[name] - {name} if room == f"lib/{name}" and name in ARROWS else None


def check_map(listed):
    """docs/ARCHITECTURE.md names every room, and its column "may include" says what ARROWS says."""
    page = "docs/ARCHITECTURE.md"
    rows = list(map_rows((TOP / page).read_text()))
    for number, room, cells in rows:
        want = may_include(room)
        if not any(name.startswith(room + "/") for name in listed):
            report(page, number, f"there is no room {room}")
        if want is None:
            continue
        said = set(ARROWS) - {room.split("/")[-1]} if cells[-1] == "all of lib" else set(re.findall(r"\w+", cells[-1])) & set(ARROWS)
        if said != want:
            report(page, number, f"{room} may include {' '.join(sorted(want)) or 'nothing'} (ARROWS in tests/lint.py)")
    rooms = {f"lib/{name}" for name in ARROWS} | {"config"}
    rooms |= {str(pathlib.PurePath(name).parent) for name in listed if name.startswith("daemon/") and name.endswith(".c")}
    for room in sorted(rooms - {room for _, room, _ in rows}):
        report(page, 1, f"the map has no row for {room}")


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, capture_output=True, text=True,
                            check=True).stdout.split("\n")
    for name in filter(None, listed):
        top = name.split("/")[0]
        if top not in ALLOWED_TOP and not top.startswith("."):
            report(name, 1, "the top level is fixed")
        path = TOP / name
        if not path.is_file() or path.suffix in {".json", ".bin"} or "corpus" in path.parts:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if name != "tests/lint.py":
            for number, line in enumerate(text.splitlines(), 1):
                if MACHINE_PATH.search(line):
                    report(name, number, "a path of some machine")
                if re.search(r"\b(TODO|FIXME|XXX)\b(?!.*#\d)", line) and path.suffix in {".c", ".h", ".py"}:
                    report(name, number, "left open without an issue number")
        if path.suffix in {".c", ".h"}:
            check_c(name, text)
        if name.startswith("tests/") and (path.suffix in {".c", ".h"} or name.endswith(".py") and path.name.startswith("test_")):
            check_test(name, text)
        if name.startswith(PYTHON_ALONE) and path.suffix == ".py":
            check_python(name, text)
    check_map(listed)
    for problem in problems:
        print(problem)
    print(f"lint: {len(problems)} findings")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
