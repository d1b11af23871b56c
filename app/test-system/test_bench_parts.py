#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: files
"""Parts of usertools/bench that need no switch: what is measured of whom, what the report makes of
results, and what the machine must have. Results here are made up. The tool itself is test_bench.py's."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ROOT, Tap, expect  # noqa: E402

sys.path.append(os.path.join(ROOT, "usertools", "bench-peers"))
import measures  # noqa: E402
import switches  # noqa: E402

MEASURES = {one.name: one for one in measures.catalogue()}
SWITCHES = {one.name: one for one in switches.ALL}


def other_build(tap):
    with tap.case("what another build has of a switch is measured as this build's is"):
        for one in switches.ALL:
            other = switches.against(one, "build-old")
            expect([measure.name for measure in MEASURES.values() if measure.fits(one)] ==
                   [measure.name for measure in MEASURES.values() if measure.fits(other)], one.name)
        expect(not MEASURES["uplink-64"].fits(SWITCHES["nfe-raw"]), "raw rings on an uplink")
        expect(MEASURES["uplink-64"].fits(SWITCHES["nfe"]), "net_nfe on an uplink")


def main():
    tap = Tap()
    other_build(tap)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
