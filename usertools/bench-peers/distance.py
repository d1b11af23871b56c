# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""How far the two CPUs are from each other, and which results may be compared.

A virtual machine's CPUs move on their host: within seconds a cache line takes several times as long
from one to the other, and every switch with it. So a line is timed between any two measurements. A
result is "near" or "far" if both of its neighbours are, and only results of one place are compared.
"""
import json
import re

import machine
import measures
import switches
from lab import Lab, LabError

DISTINCT = 1.6  # greatest over least time of a line: below that all results are of one place


def line_ns():
    """Nanoseconds of a cache line there and back, now; None: it could not be measured."""
    guest, switch = machine.cpus()
    with Lab("line", memory="nohuge") as lab:
        argv = [lab.program("test-bench"),
                *switches.eal(lab, "line", 16, f"0@{guest},1@{switch}"), "--", "--mode", "line"]
        process = lab.start("line", argv)
        machine.prioritise(process)
        try:
            process.wait(measures.RESULT_S)
        except LabError:
            return None
        found = re.search(r"^result (\{.*\})$", process.log(), re.MULTILINE)
        return json.loads(found[1])["rtt_ns"]["p50"] if found else None


class Places:
    """Tells near from far by all results of a run, each of which has "line_ns": [before, after]."""

    def __init__(self, results):
        lines = [ns for result in results for ns in result.get("line_ns", ()) if ns]
        self.least, self.greatest = min(lines, default=0), max(lines, default=0)
        self.border = (self.least * self.greatest) ** 0.5
        self.distinct = self.greatest > DISTINCT * self.least

    def of(self, result):
        """"near", "far", or None: the CPUs moved meanwhile. All are "near" if nothing differs."""
        lines = result.get("line_ns", ())
        if not self.distinct:
            return "near"
        if len(lines) != 2 or None in lines:
            return None
        sides = {ns > self.border for ns in lines}
        return None if len(sides) == 2 else "far" if sides.pop() else "near"

    def choose(self, groups):
        """The place in which each group of results (one per switch and measure that are compared)
        has most; None: in neither has each at least one."""
        counts = {place: min((sum(self.of(one) == place for one in group) for group in groups),
                             default=0) for place in ("near", "far")}
        best = max(counts, key=counts.get)
        return best if counts[best] > 0 else None
