#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Guests that die at any moment under load harm nobody: neighbours lose nothing, attaching again works
at once, and the switch's memory, descriptors and hugepages return to their level."""
import os
import random
import sys
import time

from lab import Lab, LabError, Tap, expect, free_hugepages_mib, wait_until
from traffic import Traffic, check_accounting, harmless, switch_config

CYCLES = int(os.environ.get("NFE_DEATH_CYCLES", "200"))
VIFS = ["a", "b", "c", "d"]
RSS_SLACK_KIB = 4096


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def mappings(process):
    with open(f"/proc/{process.pid}/maps", encoding="ascii", errors="replace") as maps:
        return sum("memfd" in line or "hugepages" in line for line in maps)


def rss_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def level(switch):
    return {"descriptors": descriptors(switch), "mappings": mappings(switch)}


def settled_level(switch):
    """The level once it has rested: the switch closes a telemetry connection, and what a dead guest
    left to close, some time after the one who asked has seen its answer."""
    seen, since = level(switch), time.monotonic()
    deadline = since + 10
    while time.monotonic() - since < 0.5:
        time.sleep(0.02)
        now = level(switch)
        if now != seen:
            seen, since = now, time.monotonic()
        expect(since < deadline, f"the switch's level does not settle: {seen}")
    return seen


def victims(lab, cycle):
    """Guests a and b under load: every eighth time two PMDs in one process, else two guests on the
    library, one of which sends what the other gives back."""
    if cycle % 8 == 0:
        return [Traffic(lab, "victim", "pmd:a", "pmd:b", ["--both", "--stream"], mib=64).ready().process]
    echo = lab.start("victim-b", [lab.program("vif-echo"), "--sleep",
                                  f"vfio-user:{lab.socket('b')}"])
    echo.wait_log("vif-echo: ready")
    flood = lab.start("victim-a", [lab.program("test-hostile"), f"vfio-user:{lab.socket('a')}",
                                   "frames", str(cycle)])
    flood.wait_log("hostile: attached")
    return [flood, echo]


def kill(guests, rng):
    """In either order, at once or not."""
    rng.shuffle(guests)
    for guest in guests:
        time.sleep(rng.random() * 0.03)
        guest.kill()


def main():
    tap = Tap()
    rng = random.Random(1)
    with Lab("death", few_drivers=True) as lab:
        switch = lab.start_switch(switch_config(lab, VIFS), lcores=2)
        neighbours = Traffic(lab, "neighbours", "pmd:c", "ring:d", ["--both", "--stream", "--strict"]).ready()
        with tap.case(f"{CYCLES} guests killed under load", lab):
            for cycle in range(2):  # warm: what is allocated once is allocated
                kill(victims(lab, cycle), rng)
            for vif in ("a", "b"):
                wait_until(lambda name=vif: lab.telemetry(switch, f"/vif/info,{name}")["state"]
                           == "reset", f"vif {vif} detached", 5)
            before, rss, huge = settled_level(switch), rss_kib(switch), free_hugepages_mib()
            for cycle in range(CYCLES):
                kill(victims(lab, cycle), rng)
            try:
                wait_until(lambda: level(switch) == before, "level", 5)
            except LabError:
                raise LabError(f"the switch has {level(switch)}, before {before}") from None
            expect(rss_kib(switch) <= rss + RSS_SLACK_KIB,
                   f"anonymous memory {rss_kib(switch)} KiB, was {rss} KiB")
            wait_until(lambda: free_hugepages_mib() == huge, "hugepages as before", 5)
        with tap.case("neighbours lost nothing", lab):
            harmless(neighbours.stop())
        with tap.case("attaching again works at once", lab):
            again = Traffic(lab, "again", "pmd:a", "ring:b", ["--both", "--frames", 2000])
            expect(again.result()["exit_code"] == 0, "not perfect")
            check_accounting(lab, switch, VIFS)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
