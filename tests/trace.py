#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Lists requirements that the code says it meets and no test carries: `make trace`."""
import tags


def main():
    code, tested = tags.tags(*tags.CODE), tags.tags("tests")
    missing = sorted(set(code) - set(tested))
    for tag in missing:
        path, line = code[tag][0]
        print(f"{tag:24} {path}:{line}")
    print(f"{len(code)} requirements in the code, {len(code) - len(missing)} with a test, {len(missing)} without")


if __name__ == "__main__":
    main()
