# SPDX-License-Identifier: BSD-2-Clause
"""
A short run of tests/flood (`make flood` is the long one): spoofed datagrams of nine kinds beside clients with a context.
"""
import pathlib
import subprocess
import sys

import pytest

from daemon import BUILD, SANITIZED

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "flood"))

from flood import KINDS, Flood  # noqa: E402

COUNT, RATE = (600, 600) if SANITIZED else (3000, 3000)
WAITS_LONG = "the tables are empty again"               # transfers and deduplication have minutes: only the long run waits


@pytest.mark.seconds(150)
def test_a_flood_of_spoofed_datagrams_shuts_no_client_out(workdir):
    flood = Flood(workdir, BUILD, COUNT, RATE, "127.64.0.0/10", workers=2)
    try:
        checks = flood.run(KINDS, 0)
    finally:
        flood.close()
    bad = [claim for claim, holds in checks if not holds and not claim.startswith(WAITS_LONG)]
    assert not bad, f"{bad} {flood.fleet.problems[:5]}"
    assert [row["sent"] for row in flood.rows] == [COUNT] * len(KINDS)
    assert all(row["taken"] >= COUNT * 0.9 for row in flood.rows), "the flood did not arrive"


def test_the_sender_refuses_targets_elsewhere():
    sender = str(BUILD / "tests" / "flood" / "flood_send")
    for target in ("192.0.2.1", "10.0.0.1", "8.8.8.8", "128.0.0.1"):
        done = subprocess.run([sender, target, "5683", "1", "1", "127.0.0.0", "8"], input=b"40010000\n", capture_output=True,
                              check=False, timeout=10)
        assert done.returncode == 2 and b"not on loopback" in done.stderr
