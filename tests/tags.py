# SPDX-License-Identifier: BSD-2-Clause
"""What code and tests say of the requirements: [rfc8613#8.2] tags and `row M08` marks."""
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parent.parent
TAG = re.compile(r"\[((?:rfc\d+|ocp|otp|cacheable|gosc|key-limits)#[A-Za-z0-9.]+)")
MARK = re.compile(r"\brows?\s+((?:[A-Z]\d\d)\b.*)")
ROW = re.compile(r"([A-Z])(\d\d)(?:-(?:[A-Z])?(\d\d))?(\s*\(partly[^)]*\))?")
CODE = ("lib", "daemon", "config")
SUFFIXES = {".c", ".h", ".py", ".js", ".scn"}


def files(*folders):
    for folder in folders:
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "node_modules" not in path.parts:
                yield path


def tags(*folders):
    """{tag: [(file, line)]}"""
    found = {}
    for path in files(*folders):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for tag in TAG.findall(line):
                found.setdefault(tag.rstrip("."), []).append((str(path.relative_to(TOP)), number))
    return found


def rows(*folders):
    """{row id: [(file, line, partly)]}, ranges as M01-M04."""
    found = {}
    for path in files(*folders):
        if path.parent == TOP / "tests":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            mark = MARK.search(line)
            if not mark:
                continue
            for letter, first, last, partly in ROW.findall(mark.group(1)):
                for n in range(int(first), int(last or first) + 1):
                    place = (str(path.relative_to(TOP)), number, partly.strip())
                    found.setdefault(f"{letter}{n:02d}", []).append(place)
    return found
