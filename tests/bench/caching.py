# SPDX-License-Identifier: BSD-2-Clause
"""bench_cache: what the cache keeps when it is full, and what an entry costs."""

ENTRIES, ENTRY_LIMIT_MIB = 1000000, 256     # DESIGN: so many responses of 64 bytes within so much memory


def measure(stage):
    """Once: the requests are the same in every run."""
    return stage.json_of("bench_cache", core=stage.middle_core)


def show(c):
    print("\nhit ratio, 1,000,000 requests over 100,000 resources, room for 5,000")
    print(f"{'':8} {'LRU':>8} {'S3-FIFO':>8} {'SIEVE':>8} {'lib/cache':>10}")
    for name in ("zipf", "scan"):
        r = c[name]
        print(f"{name:8} {r['lru']:8.4f} {r['s3fifo']:8.4f} {r['sieve']:8.4f} {r['cache']:10.4f}")
    print(f"{c['entries']:,} responses of 64 bytes: {c['resident'] / 2**20:.1f} MiB resident, "
          f"{c['resident_per_entry']:.0f} bytes each, of {ENTRY_LIMIT_MIB} MiB; "
          f"store {c['store_us']:.2f} us, find {c['lookup_us']:.2f} us")


def problems(c):
    if c["entries"] < ENTRIES or c["resident"] > ENTRY_LIMIT_MIB << 20 or c["found"] < ENTRIES:
        return [f"cache: {c['entries']} entries, {c['found']} found, {c['resident']} bytes; "
                f"a million in {ENTRY_LIMIT_MIB} MiB is asked"]
    return []
