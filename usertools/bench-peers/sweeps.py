# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What is swept: one parameter at a time, everything else as it is by default.

A Sweep is a parameter, its values, how a value is set at the switch and at its guests, and what is
measured at each. A Probe is one run of test-bench and the points of curves that it gives.
"""
import time

import machine
import measures
import switches

LONG_GAP_US = 20000
SHORT_GAP_US = 1000
RESTED_TRIES = 2


class SweptSwitch(switches.Nfe):
    """vif-switch with one parameter set. Guests attach as the probe wants: net_nfe, bare cells."""

    name, label = "nfe", "NFE"
    cells = False

    def eal_of_guest(self, ports):
        return [] if self.cells else super().eal_of_guest(ports)

    def args_of_guest(self, ports):
        if not self.cells:
            return []
        return [*(f"--vif=vfio-user:{self.lab.socket(f'p{port}')}" for port in ports), "--cells"]

    def begin(self):
        super().begin()
        self.cpu = machine.cpu_ns(self.data_thread()), time.monotonic_ns()

    def end(self):
        used = machine.cpu_ns(self.data_thread()) - self.cpu[0]
        passed = time.monotonic_ns() - self.cpu[1]
        return dict(super().end(), cpu=100 * used / passed)


class Probe:
    """One run of test-bench at one value. curves: {(chart, unit, label): y of a part of its result}
    (distance.py). tries: windows at most, for each that is wanted."""

    def __init__(self, args, curves, cells=False, watch=True, tries=measures.MAX_WINDOWS):
        self.args, self.curves, self.cells, self.watch = args, curves, cells, watch
        self.tries = tries

    def run(self, ctx, args):
        ctx.switch.cells = self.cells
        return ctx.guest([0, 1], [*self.args(ctx.windows), "--desc", str(ctx.switch.desc),
                                  "--max-windows", str(self.tries * ctx.windows), *args],
                         watch=self.watch)


def median_mpps(result):
    return result["mpps"] and result["mpps"]["median"]


def quantile(times, name, unit_ns=1):
    """Of a result's times; None: there are none."""
    def take(result):
        return result[times][name] / unit_ns if result[times] else None
    return take


def flood(size, cells=False):
    """Throughput. 1500 B have a chart of their own: they are several times slower."""
    touch = ["--touch"] if size > 64 else []
    chart = "throughput-1500" if size == 1500 else "throughput"
    label = f"{size} B, bare cells" if cells else f"{size} B"
    return Probe(lambda windows: ["--mode", "flood", "--size", str(size), "--windows",
                                  str(windows), *touch],
                 {(chart, "Mpps", label): median_mpps}, cells)


def rtt(size=64):
    touch = ["--touch"] if size > 64 else []
    return Probe(lambda windows: ["--mode", "pingpong", "--size", str(size), "--windows",
                                  str(windows), "--pings",
                                  str(measures.PINGS_PER_WINDOW * windows), *touch],
                 {("round-trip", "ns", f"{size} B, p50"): quantile("rtt_ns", "p50"),
                  ("round-trip", "ns", f"{size} B, p99"): quantile("rtt_ns", "p99")})


def rested(gap_us, per_window):
    """One way of a frame after a rest, and what the switch takes of its CPU meanwhile. A window is
    one round trip then, and some may be lost."""
    rest = f"{gap_us / 1000:g} ms rest"
    return Probe(lambda windows: ["--mode", "pingpong", "--pings", str(per_window * windows),
                                  "--windows", str(per_window * windows), "--gap-us", str(gap_us)],
                 {("wake", "us", f"{rest}, p50"): quantile("one_way_ns", "p50", 1000),
                  ("wake-p99", "us", f"{rest}, p99"): quantile("one_way_ns", "p99", 1000),
                  ("cpu", "% of a CPU", rest): lambda result: result["switch"]["cpu"]},
                 watch=False, tries=RESTED_TRIES * per_window)


class Sweep:
    """One parameter. set(switch, value) configures the switch and its guests before they start;
    args(value) are options of test-bench."""

    def __init__(self, name, title, unit, values, default, probes, configure=None, args=None):
        self.name, self.title, self.unit = name, title, unit
        self.values, self.default, self.probes = values, default, probes
        self.configure = configure or (lambda switch, value: None)
        self.args = args or (lambda value: [])


def set_inline_guest(switch, value):
    switch.devargs = f",inline={value}"


def set_inline_switch(switch, value):
    switch.options = f"inline-max {value}"
    switch.devargs = ",inline=60"


def set_inline_both(switch, value):
    switch.options = f"inline-max {value}"
    switch.devargs = f",inline={value}"


def set_desc(switch, value):
    switch.desc = value


def statement(*words):
    def configure(switch, value):
        switch.statements = tuple(f"{word} {value}" for word in words)
    return configure


def burst(value):
    return ["--burst", str(value)]


def publish(value):
    return ["--publish", str(value)]


SIZES = (120, 180, 250, 310, 512) # bytes, between the limits
ALL = (
    Sweep("inline", "Inline limit, both ends", "bytes", (60, 124, 252, 316, 572), 316,
          [flood(size) for size in (64, *SIZES)] + [rtt(size) for size in (180, 512)],
          set_inline_both),
    Sweep("inline-guest", "Inline limit of net_nfe (inline=)", "bytes", (60, 124, 188, 252, 316),
          316, [flood(size) for size in (64, *SIZES[:-1])] + [rtt(180), rtt(310)], set_inline_guest),
    Sweep("inline-switch", "Inline limit of the switch (inline-max), inline=60",
          "bytes", (60, 124, 252, 316, 572), 316,
          [flood(size) for size in SIZES] + [rtt(180), rtt(512)], set_inline_switch),
    Sweep("queue", "Queue length", "descriptors", (64, 128, 256, 512, 1024, 2048, 4096), 1024,
          [flood(64), flood(64, cells=True), flood(1500), rtt()], set_desc),
    Sweep("burst-guest", "Burst of the application", "frames", (1, 2, 4, 8, 16, 32, 64), 32,
          [flood(64), flood(1500)], args=burst),
    Sweep("burst-switch", "Burst of the switch (burst)", "cells", (16, 32, 64, 128), 64,
          [flood(64), flood(64, cells=True), flood(1500), rtt()], statement("burst")),
    Sweep("publish", "Frames per publish of the index, bursts of 32", "frames",
          (1, 2, 4, 8, 16, 32), 32, [flood(64), flood(1500), flood(60)], args=publish),
    Sweep("publish-cells", "Frames per publish of the index, bare cells", "frames",
          (1, 2, 4, 8, 16, 32, 64), 32, [flood(60, cells=True), flood(64, cells=True)], args=burst),
    Sweep("idle-us", "A channel without work goes idle (idle-us)", "us",
          (1, 10, 50, 200, 1000, 5000, 50000), 200,
          [rested(LONG_GAP_US, 4), rested(SHORT_GAP_US, 20), flood(64)], 
          statement("idle-us", "shared-idle-us")),
)