#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Fuzzes every target with libFuzzer, ASan and UBSan, from the top of the tree:
#   fuzz.sh BUILD SECONDS
# Each target runs for SECONDS from its corpus in tests/fuzz/corpus, which is only read; what is new goes to
# BUILD/<target>/corpus, findings to BUILD/<target>/.  Ends with status 1 when there is a finding.
set -eu

build=${1:?usage: fuzz.sh BUILD SECONDS}
seconds=${2:?usage: fuzz.sh BUILD SECONDS}
CLANG=${CLANG:-clang}
pkgs="libcoap-3-notls libcrypto libcbor yaml-0.1"
flags="-std=c11 -D_GNU_SOURCE -DOSP_VERSION=\"fuzz\" -O1 -g -fno-omit-frame-pointer -Ilib -I."
flags="$flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all $(pkg-config --cflags $pkgs)"

command -v "$CLANG" >/dev/null || { echo "fuzzing needs clang" >&2; exit 2; }
mkdir -p "$build"

objects=
for source in lib/*/*.c config/*.c; do
    [ -e "$source" ] || continue
    object=$build/obj/${source%.c}.o
    mkdir -p "${object%/*}"
    # shellcheck disable=SC2086
    "$CLANG" $flags -c "$source" -o "$object"
    objects="$objects $object"
done
rm -f "$build/lib.a"
# shellcheck disable=SC2086
ar rcs "$build/lib.a" $objects

findings=0 targets=0
for source in tests/fuzz/fuzz_*.c; do
    name=${source##*/}
    name=${name%.c}
    corpus=tests/fuzz/corpus/${name#fuzz_}
    targets=$((targets + 1))
    mkdir -p "$build/$name/corpus"
    # shellcheck disable=SC2046,SC2086
    "$CLANG" $flags -fsanitize=fuzzer "$source" "$build/lib.a" $(pkg-config --libs $pkgs) -o "$build/$name/$name"
    [ -d "$corpus" ] || corpus=
    echo "== $name, $seconds s"
    # shellcheck disable=SC2086
    if "$build/$name/$name" -max_total_time="$seconds" -max_len=2048 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$build/$name/" "$build/$name/corpus" $corpus >"$build/$name/log" 2>&1; then
        grep -E 'stat::number_of_executed_units|DONE' "$build/$name/log" || :
    else
        findings=$((findings + 1))
        echo "FINDING: $name"
        tail -n 40 "$build/$name/log"
    fi
done
echo "fuzz: $targets targets, $findings with findings"
[ "$findings" = 0 ]
