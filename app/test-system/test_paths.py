#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: asan
"""Frames of 14..9000 bytes arrive byte-identical, once and in order on all paths: PMD to PMD, ring to
PMD, ring to ring, wire to guest and back; with one and two data lcores, with indices that wrap, with
random segmentation, small buffers, several queues. The accounting identities hold after each."""
import os
import sys

from lab import Lab, Tap
from traffic import Traffic, check_accounting, perfect, switch_config

NEAR_WRAP = 0xffffff00
VIFS = ["a", "b"]
SCALE = 10 if os.environ.get("NFE_SANITIZE", "none") != "none" else 1
SHORT = ["--frames", 20000 // SCALE, "--max", 300]
MIXED = ["--frames", 20000 // SCALE, "--min", 14, "--max", 1514]
JUMBO = ["--frames", 6000 // SCALE, "--min", 14, "--max", 9000, "--mtu", 9000, "--window", 32]
CASES = [
    # name, a, b, arguments, device arguments
    ("short frames PMD to PMD", "pmd:a", "pmd:b", SHORT, ""),
    ("mixed frames PMD to PMD both ways", "pmd:a", "pmd:b", [*MIXED, "--both"], ""),
    ("jumbo frames PMD to PMD", "pmd:a", "pmd:b", JUMBO, ""),
    ("jumbo frames in random segments into small buffers", "pmd:a", "pmd:b",
     [*JUMBO, "--seg-max", 500, "--buf", 1024], ""),
    ("indices wrap PMD to PMD", "pmd:a", "pmd:b", [*MIXED, "--both"], f",first_index={NEAR_WRAP}"),
    ("four queues PMD to PMD", "pmd:a", "pmd:b", [*MIXED, "--queues", 4, "--both", "--window", 32], ",queues=4"),
    ("short queues PMD to PMD", "pmd:a", "pmd:b", [*MIXED, "--desc", 64, "--window", 16], ""),
    ("ring to PMD both ways", "ring:a", "pmd:b", [*MIXED, "--both"], ""),
    ("ring to ring, indices wrap", "ring:a", "ring:b",
     [*MIXED, "--both", "--first-index", NEAR_WRAP], ""),
    ("jumbo frames ring to PMD both ways", "ring:a", "pmd:b", [*JUMBO, "--both"], ""),
]


def guests(tap, lab, lcores):
    switch = lab.start_switch(switch_config(lab, VIFS), name=f"switch{lcores}", lcores=lcores)
    for number, (name, a, b, args, devargs) in enumerate(CASES):
        with tap.case(f"{name}, {lcores} data lcore(s)", lab):
            traffic = Traffic(lab, f"t{lcores}-{number}", a, b, ["--seed", number + 1, *args],
                              devargs)
            perfect(traffic.result())
            check_accounting(lab, switch, VIFS)
    switch.stop()


def wire(tap, lab):
    lab.add_netns("wire")
    lab.add_netns("switch")
    lab.add_veth("wire", "wire0", "switch", "uplink0")
    config = switch_config(lab, VIFS, "uplink up port net_af_packet0 learning on\n")
    switch = lab.start_switch(config, name="switch-wire", netns="switch",
                              eal=["--vdev=net_af_packet0,iface=uplink0"])
    # af_packet and veth have short queues: few frames under way. Shorter than 60 bytes would be padded.
    args = ["--both", "--frames", 5000 // SCALE, "--min", 60, "--max", 1514, "--window", 16]
    for name, b in (("wire and PMD both ways", "pmd:a"), ("wire and ring both ways", "ring:b")):
        with tap.case(name, lab):
            traffic = Traffic(lab, f"wire-{b[-1]}", "port:net_af_packet0", b, args, netns="wire",
                              eal=["--vdev=net_af_packet0,iface=wire0"])
            perfect(traffic.result())
            check_accounting(lab, switch, VIFS)
    switch.stop()


def main():
    tap = Tap()
    with Lab("paths", few_drivers=True) as lab:
        for lcores in (1, 2):
            guests(tap, lab, lcores)
    with Lab("paths-wire") as lab:
        wire(tap, lab)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
