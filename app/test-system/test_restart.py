#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""kill -9 of vif-switch under load and a new start, again and again: a PMD guest and a guest on the
library see their link go down and up and go on by themselves; frames stay intact, loss and
duplication stay within the bound of specification 8.4: a burst for each lcore and VIF. What a switch
counted as dropped with a reason is no loss. More frames than that are under way, so a replay that
forgot a queue would break the bound.

    NFE_RESTART_CYCLES=50 test_restart.py"""
import collections
import os
import statistics
import sys
import time

from lab import Lab, Tap, drops, expect, wait_until
from traffic import Traffic, check_accounting, switch_config

CYCLES = int(os.environ.get("NFE_RESTART_CYCLES", "200"))
VIFS = ["a", "b"]
BURST_CELLS = 64      # consumed but not yet indexed, per lcore and VIF; a frame has one at least
WINDOW = 192          # frames under way each way: three bursts
QUEUE = 1024          # they fit, of whatever length
REPORT_MS = 10
BACK_S = 10           # to give up; how long it really takes is printed


def moved(traffic, before, cycles):
    """Frames flow again, and both guests saw their link go down and up in each cycle."""
    now = traffic.progress()
    return (now and now["received"] > before + 2 * WINDOW and
            min(now["link_changes"]) >= 2 * cycles)


def counted_drops(lab, switch):
    """What this switch dropped, by reason: the peer is not back yet, its queue is full."""
    counted = collections.Counter()
    for vif in VIFS:
        stats = lab.vif_stats(switch, vif)
        counted.update(drops(stats, "from") | drops(stats, "to"))
    return counted


def lcores_of(cycle):
    """Data lcores of the switch that the cycle kills."""
    return 1 + cycle % 2


def start_switch(lab, cycle):
    return lab.start_switch(switch_config(lab, VIFS), lcores=lcores_of(cycle))


def restart(lab, switch, traffic, cycle):
    """One kill and a new start; returns the new switch and the seconds until traffic flowed."""
    switch.kill()
    mark = traffic.mark()
    wait_until(lambda: traffic.reports(mark) > 1, "report of what came before the kill", BACK_S)
    dead = traffic.progress()["received"]
    switch = start_switch(lab, cycle + 1)
    start = time.monotonic()
    wait_until(lambda: moved(traffic, dead, cycle + 1), f"traffic after restart {cycle}", BACK_S)
    return switch, time.monotonic() - start


def check_bound(result, kills, dropped):
    """The sum over so many kills; result is a progress line or the final one."""
    bound = sum(BURST_CELLS * lcores_of(cycle) * len(VIFS) for cycle in range(kills))
    expect(result["corrupt"] == 0 and result["foreign"] == 0, f"corrupt: {result}")
    expect(result["duplicated"] <= bound, f"{kills} kills, more than {bound} duplicates: {result}")
    expect(result["lost"] <= bound + dropped.total(),
           f"{kills} kills, more than {bound} lost beside counted drops {dict(dropped)}: {result}")


def main():
    tap = Tap()
    with Lab("restart", few_drivers=True) as lab:
        times = []
        with tap.case(f"{CYCLES} kills of the switch under load, PMD and ring guests", lab):
            switch = start_switch(lab, 0)
            traffic = Traffic(lab, "guests", "pmd:a", "ring:b",
                              ["--both", "--stream", "--window", WINDOW, "--desc", QUEUE,
                               "--report-ms", REPORT_MS]).ready()
            wait_until(lambda: moved(traffic, 0, 0), "first traffic", BACK_S)
            dropped = collections.Counter()
            for cycle in range(CYCLES):
                dropped += counted_drops(lab, switch)
                switch, seconds = restart(lab, switch, traffic, cycle)
                times.append(seconds)
                check_bound(traffic.progress(), cycle + 1, dropped + counted_drops(lab, switch))
            dropped += counted_drops(lab, switch)
            check_accounting(lab, switch, VIFS)
            result = traffic.stop()
            tap.diagnose(f"{result}, drops {dict(dropped)}")
            tap.diagnose(f"back after {statistics.median(times):.3f} s (median), "
                         f"{max(times):.3f} s (longest)")
            check_bound(result, CYCLES, dropped)
        with tap.case("new frames flow perfectly after the last restart", lab):
            fresh = Traffic(lab, "fresh", "pmd:a", "ring:b", ["--both", "--frames", 5000])
            expect(fresh.result()["exit_code"] == 0, "not perfect")
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
