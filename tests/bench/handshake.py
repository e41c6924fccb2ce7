# SPDX-License-Identifier: BSD-2-Clause
"""bench_edhoc: an EDHOC handshake beside its bare cryptography."""

BUDGET = 1.3                                # DESIGN: so much of the bare cost


def measure(stage):
    return stage.json_of("bench_edhoc", core=stage.middle_core)


def show(rows):
    print(f"\nEDHOC: CPU us of one handshake and of its Responder, least of the tries; x bare cryptography, budget {BUDGET}")
    print(f"{'':20} {'whole':>8} {'x bare':>7} {'Responder':>10} {'x bare':>7} {'Responder median':>17} {'handshakes/s':>13}")
    for r in rows:
        whole, responder = r["whole_us"], r["responder_us"]
        print(f"method {r['method']}, suite {r['suite']:<4} {whole['least']:8.1f} {whole['least'] / r['bare_whole_us']['least']:7.2f} "
              f"{responder['least']:10.1f} {responder['least'] / r['bare_responder_us']['least']:7.2f} "
              f"{responder['median']:17.1f} {1e6 / responder['median']:13.0f}")
