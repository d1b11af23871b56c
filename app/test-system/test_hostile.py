#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: asan
"""A hostile guest hurts only itself: it is failed, named and reported with the rule that it broke (or
its rubbish is dropped and counted), while its neighbours on the same switch lose nothing."""
import sys
import time

from lab import Lab, Tap, drops, expect, wait_until
from traffic import Traffic, check_accounting, harmless, switch_config

VIFS = ["a", "b", "c", "d"]
# mode of test-hostile, reason that the switch must give, or None: it is counted and goes on
MODES = [
    ("overrun-sq", "sq-overrun"),
    ("overrun-rq", "rq-overrun"),
    ("overrun-fq", "fq-overrun"),
    ("shrink", "memory-gone"),
    ("punch", "memory-faults"),
    ("cells", None),
    ("fills", None),
    ("control", None),
    ("kicks", None),
    ("scribble", "any"),
]


def memory_faults(lab, switch):
    return lab.telemetry(switch, "/switch/info")["memory_faults"]


def watch(lab, switch, guest):
    """What the switch says of vif a while this guest lives, for who reads of a failure: the log
    tells only the first of many changes."""
    states = []
    deadline = time.monotonic() + 30
    while guest.alive():
        expect(time.monotonic() < deadline, f"the guest goes on for 30 s: {states}")
        info = lab.telemetry(switch, "/vif/info,a")
        stats = lab.vif_stats(switch, "a")
        now = [info["state"], info["reason"]]
        if not states or states[-1][:2] != now:
            states.append(now)
        states[-1][2:] = [f"{stats['from_frames']} frames", f"{stats['from_faults']} faults"]
        time.sleep(0.05)
    return states


def attack(lab, switch, mode, reason):
    log_before = len(switch.log())
    before = lab.vif_stats(switch, "a")
    faults = memory_faults(lab, switch)
    guest = lab.start("hostile", [lab.program("test-hostile"), f"vfio-user:{lab.socket('a')}", mode])
    states = watch(lab, switch, guest)
    guest.wait_log("hostile: done", 1)
    log = switch.log()[log_before:]
    story = f"the guest: {guest.log()}the switch, of a: {states}\n{log}"
    expect(switch.alive(), "the switch died")
    if reason == "any":
        expect("-> failed" in log, f"vif a was not failed:\n{story}")
    elif reason:
        expect(f"vif a: ready -> failed, reason {reason}" in log,
               f"vif a was not failed for {reason}:\n{story}")
    elif mode == "cells":
        after = drops(lab.vif_stats(switch, "a"), "from")
        expect(sum(after.values()) > sum(drops(before, "from").values()),
               f"no drops: {after}\n{story}")
    if mode == "shrink":
        expect(memory_faults(lab, switch) > faults, "the guard absorbed no fault")
    wait_until(lambda: lab.telemetry(switch, "/vif/info,a")["state"] == "reset",
               "vif a free again", 10)


def main():
    tap = Tap()
    with Lab("hostile", few_drivers=True) as lab:
        switch = lab.start_switch(switch_config(lab, VIFS), lcores=2)
        neighbours = Traffic(lab, "neighbours", "pmd:c", "ring:d", ["--both", "--stream", "--strict"]).ready()
        echo = lab.start("echo", [lab.program("vif-echo"), "--sleep",
                                 f"vfio-user:{lab.socket('b')}"])
        echo.wait_log("vif-echo: ready")
        for mode, reason in MODES:
            with tap.case(f"hostile guest: {mode}", lab):
                attack(lab, switch, mode, reason)
        with tap.case("neighbours lost nothing", lab):
            harmless(neighbours.stop())
        echo.stop()
        with tap.case("the same VIF works for the next guest", lab):
            after = Traffic(lab, "after", "pmd:a", "ring:b", ["--both", "--frames", 2000])
            expect(after.result()["exit_code"] == 0, "not perfect")
            check_accounting(lab, switch, VIFS)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
