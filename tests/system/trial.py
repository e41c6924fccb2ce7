# SPDX-License-Identifier: BSD-2-Clause
"""
What the long runs have in common (flood, soak, kill): their options, a directory while they last, and what they claim at the
end.
"""
import argparse
import contextlib
import os
import shutil
import sys
import tempfile


def options(text):
    """A parser of options with --build."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--build", default="build")
    return parser


def arguments(parser):
    """The options of this run, whose programs are those of --build."""
    args = parser.parse_args()
    os.environ["OSPREY_BUILD"] = args.build
    return args


@contextlib.contextmanager
def directory_for(prefix, make):
    """make(directory), which is closed at the end; then the directory goes, too."""
    directory = tempfile.mkdtemp(prefix=prefix)
    trial = make(directory)
    try:
        yield trial
    finally:
        trial.close()
        shutil.rmtree(directory, ignore_errors=True)


def conclude(checks):
    """Prints pairs of a claim and whether it holds; the program ends, with 1 if one does not."""
    for claim, holds in checks:
        print(f"{'ok' if holds else 'NOT OK'}: {claim}")
    passed = sum(holds for _, holds in checks)
    print(f"{passed} passed, {len(checks) - passed} failed")
    sys.exit(passed != len(checks))
