#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
House rules that a script can see: include arrows, one room per third-party header, a pure lib/, banned
calls, circles of calls, SPDX lines, what the tree may hold, where tests stand and how long they are.  Prints
file:line: rule; exit status 1 when there is any.
"""
import pathlib
import re
import subprocess
import sys

import callgraph

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
# what a module of lib/ may not include although the arrow allows it: lib/proxy knows requests, responses and peers, whatever
# carries them (msg/exchange.h)
NOT_FOR = {"proxy": {"msg/endpoint.h", "msg/endpoint_impl.h", "msg/txq.h", "msg/token.h"}}
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
# lib/proxy: calls go down, from the flow to its rooms.  The rooms call neither the flow nor each other, only their own files and:
PROXY_BELOW = {"lib/proxy/" + name for name in ("account", "asks", "client", "exchange", "park", "request")}
# ... and include these besides: what an exchange is, and the interface of lib/proxy
PROXY_SHARED = {"proxy/impl.h", "proxy/proxy.h", "proxy/outbound.h", "proxy/access/policy.h"}
CIRCLE = 2                                  # files that may call one another
# what one person keeps in mind: a folder with more files has sub-folders
FOLDER = 15
FOLDERS = {
    "lib/base": "each file stands alone",
    "lib/msg": "the codec's files stand alone; the message layer has one interface",
    "lib/oscore": "one file for each step of one specification",
    "lib/edhoc": "one file for each message",
    "config": "one file for each section of the configuration",
    "daemon/ospreyd/state": "one interface, and one file for each of its promises",
    "tests/replay": "one file for each claim, and what they share",
    "tests/unit/daemon/ospreyd": "one file for each tested one",
}
IMPURE = re.compile(r"<(sys/|netinet/|arpa/|netdb|poll|pthread|threads|time\.h|unistd|fcntl|signal|syslog|event|lmdb)")
IMPURE_CALL = re.compile(
    r"\b(time|clock_gettime|gettimeofday|rand|random|getenv|exit|abort|printf|fprintf|perror|fopen|open|read|write|socket)\s*\(")
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|alloca|rand|srand)\s*\(")
ALLOWED_TOP = {"daemon", "config", "lib", "tests", "systemd", "docs", "Makefile", "README.md", "LICENSE"}
# comments that begin in the middle of a thought (STYLE 13)
FRAGMENT = re.compile(r"(?:\.\.\.|(?:and|or|but|nor|which|whose|of which|of whom)\b|(?:[Tt]hat of|[Tt]hose of|[Tt]he same|[Aa]s above)\b)")
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
        if quoted in NOT_FOR.get(parts[1], ()):
            report(path, number, f"lib/{parts[1]} does not know {quoted}: see msg/exchange.h")
    if quoted and proxy_room(path):
        check_room_include(path, number, quoted)
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


def check_comments(path, text):
    """A comment is a sentence that names its subject, or a noun phrase: it needs no other comment before it."""
    for match in re.finditer(r"/\*(.*?)\*/", text, re.S):
        words = " ".join(re.sub(r"\n\s*\*", "\n", match.group(1)).split())
        words = re.sub(r"^(?:\[[\w-]+#[\w.]+\]\s*)+", "", words)
        if FRAGMENT.match(words):
            report(path, text.count("\n", 0, match.start()) + 1, f"a comment begins in the middle of a thought: {words[:40]}")


def check_test(path, text):
    """A test has one subject, and stands where its subject stands: tests/unit/ has the folders of lib/, config/ and daemon/."""
    if text.count("\n") > TEST_LINES:
        report(path, 1, f"{text.count(chr(10))} lines: split it by claim")
    folder = pathlib.PurePath(path).parent
    if folder.is_relative_to("tests/unit") and folder != pathlib.PurePath("tests/unit"):
        subject = folder.relative_to("tests/unit")
        if not (TOP / ("." if subject.parts[0] in ("config", "daemon") else "lib") / subject).is_dir():
            report(path, 1, f"no folder {subject} in lib/, config/ or daemon/")


def proxy_room(path):
    """The sub-room of lib/proxy that a file is in; None for the flow and for other modules."""
    parts = path.split("/")
    return parts[2] if parts[:2] == ["lib", "proxy"] and len(parts) == 4 else None


def check_room_include(path, number, quoted):
    target, room = "lib/" + quoted, proxy_room(path)
    if not quoted.startswith("proxy/") or quoted in PROXY_SHARED or target.removesuffix(".h") in PROXY_BELOW:
        return
    if proxy_room(target) != room:
        report(path, number, f"a room of lib/proxy includes its own headers and what is below the flow: {quoted}")


def check_calls(sources):
    """sources: the C files of lib/proxy, without comments"""
    edges = callgraph.calls(sources)
    for circle in callgraph.circles(edges):
        if len(circle) > CIRCLE:
            report(circle[0], 1, f"a circle of calls: {', '.join(circle)}")
    for path, called in edges.items():
        room = proxy_room(path)
        for other, functions in called.items():
            if not room or proxy_room(other) == room or other.removesuffix(".c") in PROXY_BELOW:
                continue
            for function, line in functions.items():
                if function.startswith("px_"):          # osp_: the interface of lib/proxy
                    report(path, line, f"a room of lib/proxy calls {function}() of {other}")


def check_walk(sources):
    """docs/ARCHITECTURE.md lists the functions of the flow: each exists, is named once, and is called where it stands, in this order."""
    page, section = "docs/ARCHITECTURE.md", "## The walk of one datagram"
    text = (TOP / page).read_text()
    first = text.count("\n", 0, text.index(section)) + 1
    bodies, named, above = callgraph.bodies(sources), set(), []         # above: (indent, file, body, where the last call was)
    for number, line in enumerate(text[text.index(section):].split("\n## ")[0].split("\n"), first):
        for name in re.findall(r"`(\w+)\(\)`", line):
            if name not in bodies:
                report(page, number, f"there is no {name}() in lib/proxy")
            if name in named:
                report(page, number, f"{name}() is named twice")
            named.add(name)
        item = re.match(r"( *)- `(\w+)\(\)`(.*)", line)
        if not item or item.group(2) not in bodies:
            continue
        while above and above[-1][0] >= len(item.group(1)):
            above.pop()
        homes = bodies[item.group(2)]
        home = above[-1][1] if above and above[-1][1] in homes else next(iter(homes))
        if above and "by the hook" not in item.group(3):
            call = re.compile(rf"\b{item.group(2)}\(").search(above[-1][2], above[-1][3])
            if call:
                above[-1] = above[-1][:3] + (call.start(),)
            else:
                report(page, number, f"{item.group(2)}() is not called here, or not in this order")
        above.append((len(item.group(1)), home, homes[home], 0))


def check_folders(names):
    files, with_rooms = {}, set()
    for name in names:
        folder = str(pathlib.PurePosixPath(name).parent)
        files[folder] = files.get(folder, 0) + 1
        with_rooms.update(str(p) for p in pathlib.PurePosixPath(folder).parents)
    for folder, count in files.items():
        if count > FOLDER and folder not in with_rooms and folder not in FOLDERS:
            report(folder, 1, f"{count} files and no sub-folders")
    for folder in FOLDERS:
        if files.get(folder, 0) <= FOLDER or folder in with_rooms:
            report("tests/lint.py", 1, f"{folder} is no exception any more")


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
    proxy, c_files = {}, []
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
            if name.startswith(("lib/", "config/", "daemon/")):
                check_comments(name, text)
            c_files.append(name)
        if name.startswith("lib/proxy/") and path.suffix == ".c":
            proxy[name] = strip_comments(text)
        if name.startswith("tests/") and (path.suffix in {".c", ".h"} or name.endswith(".py") and path.name.startswith("test_")):
            check_test(name, text)
        if name.startswith(PYTHON_ALONE) and path.suffix == ".py":
            check_python(name, text)
    check_map(listed)
    check_calls(proxy)
    check_walk(proxy)
    check_folders(c_files)
    for problem in problems:
        print(problem)
    print(f"lint: {len(problems)} findings")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
