#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""kill -9 of vif-switch under load and a new start, again and again: a PMD guest and a guest on the
library see their link go down and up and go on by themselves; frames stay intact, loss and
duplication stay within the bound of specification 8."""
import os
import statistics
import sys
import time

from lab import Lab, Tap, drops, expect, wait_until
from traffic import Traffic, check_accounting, switch_config

CYCLES = int(os.environ.get("NFE_RESTART_CYCLES", "200"))
VIFS = ["a", "b"]
BURST_CELLS = 64      # specification 8.3: consumed but not yet indexed, per lcore
WINDOW = 64
REPORT_MS = 20
BACK_S = 10           # to give up; how long it really takes is printed


def moved(traffic, before, cycles):
    """Frames flow again, and both guests saw their link go down and up in each cycle."""
    now = traffic.progress()
    return (now and now["received"] > before + 2 * WINDOW and
            min(now["link_changes"]) >= 2 * cycles)


def counted_drops(lab, switch):
    """Frames that this switch dropped with a reason: the peer is not back yet, its queue is full."""
    return sum(sum(drops(lab.vif_stats(switch, vif), side).values())
               for vif in VIFS for side in ("from", "to"))


def restart(lab, switch, traffic, cycle):
    """One kill and a new start; returns the new switch and the seconds until traffic flowed."""
    switch.kill()
    time.sleep(3 * REPORT_MS / 1000)  # what arrived before the kill has been reported
    dead = traffic.progress()["received"]
    switch = lab.start_switch(switch_config(lab, VIFS), lcores=1 + cycle % 2)
    start = time.monotonic()
    wait_until(lambda: moved(traffic, dead, cycle + 1), f"traffic after restart {cycle}", BACK_S)
    return switch, time.monotonic() - start


def main():
    tap = Tap()
    with Lab("restart") as lab:
        times = []
        with tap.case(f"{CYCLES} kills of the switch under load, PMD and ring guests", lab):
            switch = lab.start_switch(switch_config(lab, VIFS))
            traffic = Traffic(lab, "guests", "pmd:a", "ring:b",
                              ["--both", "--stream", "--window", WINDOW, "--report-ms", REPORT_MS]).ready()
            wait_until(lambda: moved(traffic, 0, 0), "first traffic", BACK_S)
            dropped = 0
            for cycle in range(CYCLES):
                dropped += counted_drops(lab, switch)
                switch, seconds = restart(lab, switch, traffic, cycle)
                times.append(seconds)
            dropped += counted_drops(lab, switch)
            check_accounting(lab, switch, VIFS)
            result = traffic.stop()
            tap.diagnose(f"{result}")
            tap.diagnose(f"back after {statistics.median(times):.3f} s (median), "
                         f"{max(times):.3f} s (longest)")
            expect(result["corrupt"] == 0 and result["foreign"] == 0, f"corrupt: {result}")
            # Two directions, up to two lcores. What was dropped with a reason is not lost silently.
            bound = CYCLES * 2 * 2 * BURST_CELLS
            expect(result["duplicated"] <= bound, f"more than {bound} duplicates: {result}")
            expect(result["lost"] <= bound + dropped,
                   f"more than {bound} lost beside {dropped} counted drops: {result}")
        with tap.case("new frames flow perfectly after the last restart", lab):
            fresh = Traffic(lab, "fresh", "pmd:a", "ring:b", ["--both", "--frames", 5000])
            expect(fresh.result()["exit_code"] == 0, "not perfect")
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
