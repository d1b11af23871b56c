#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""A VIF with rate-mbps, from two queues on two data lcores: all its frames arrive, none is dropped,
and they take as long as the limit says, at least. How long they take besides is not looked at."""
import sys
import time

from lab import Lab, Tap, drops, expect
from traffic import Traffic, check_accounting, perfect, switch_config, vif_mac

MBPS = 40
BURST_KIB = 64
FRAMES = 6500  # of each flow, of which there is one per queue
LENGTH = 1514
QUEUES = 2
LOOK = 64 * LENGTH  # what one look into a queue may take beyond the limit, on each lcore


def rate(tap, lab):
    config = switch_config(lab, ["b"]) + \
        f"vif a mac {vif_mac(9)} queues 4 rate-mbps {MBPS} burst-kib {BURST_KIB}\n"
    switch = lab.start_switch(config, lcores=QUEUES)
    with tap.case("frames beyond the limit wait in the send queues, none is lost", lab):
        start = time.monotonic()
        traffic = Traffic(lab, "limited", "pmd:a", "ring:b",
                          ["--frames", FRAMES, "--min", LENGTH, "--max", LENGTH, "--queues", QUEUES],
                          f",queues={QUEUES}")
        perfect(traffic.result())
        took_s = time.monotonic() - start
        stats = lab.vif_stats(switch, "a")
        sent = stats["from_bytes"]
        expect(sent >= FRAMES * LENGTH, f"{sent} bytes only")
        least_s = (sent - BURST_KIB * 1024 - QUEUES * LOOK) * 8 / (MBPS * 1000000)
        expect(took_s >= least_s, f"{sent} bytes in {took_s:.2f} s, at least {least_s:.2f} s")
        expect(stats["from_rate_waits"] > 0 and not any(drops(stats, "from").values()), f"{stats}")
        check_accounting(lab, switch, ["a", "b"])
    with tap.case("what goes to that VIF has no limit", lab):
        perfect(Traffic(lab, "unlimited", "ring:b", "pmd:a", ["--frames", 1000]).result())
        after = lab.vif_stats(switch, "a")
        expect(after["from_rate_waits"] == stats["from_rate_waits"], f"{after}")
        check_accounting(lab, switch, ["a", "b"])
    with tap.case("telemetry shows the limit", lab):
        info = lab.telemetry(switch, "/vif/info,a")
        expect(info["rate_mbps"] == MBPS, f"{info}")
        expect(lab.telemetry(switch, "/vif/info,b")["rate_mbps"] == 0, "a limit for b")
    switch.stop()


def main():
    tap = Tap()
    with Lab("rate", few_drivers=True) as lab:
        rate(tap, lab)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
