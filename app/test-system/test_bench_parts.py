#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: files
"""Parts of usertools/bench that need no switch: what is measured of whom, what the report makes of
results, and what the machine must have. Results here are made up. The tool is test_bench.py's."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import re
import sys
import tempfile
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from lab import ROOT, LabError, Tap, expect  # noqa: E402

sys.path.append(os.path.join(ROOT, "usertools", "bench-peers"))
import distance  # noqa: E402
import machine  # noqa: E402
import measures  # noqa: E402
import packages  # noqa: E402
import report  # noqa: E402
import sweeps  # noqa: E402
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


class FakeContext(measures.Context):
    """Notes which guests there would be, with what rings: [(virtio's, --desc), ...]."""

    def __init__(self, switch):
        super().__init__(None, switch, 4)
        self.rings = []

    def start_guest(self, name, ports, args, watch=False, mib=0):
        sizes = [int(re.search(r"queue_size=(\d+)", arg)[1])
                 for arg in self.switch.eal_of_guest(ports)]
        self.rings += [(size, int(args[len(args) - args[::-1].index("--desc")])) for size in sizes]
        raise LabError("that is all")


class FakeLab:
    socket_dir = "/nowhere"


def ring_sizes(tap):
    """Held guests would come first, so of attached-N only what comes behind them is looked at."""
    def rings(run, count):
        ctx = FakeContext(SWITCHES["vhost"](FakeLab(), count))
        ctx.hold = lambda first, last: []
        with contextlib.suppress(LabError):
            run(ctx)
        return ctx.rings
    with tap.case("the two active guests have the same rings, however many are held"):
        for count in (2, 8, 64):
            found = rings(MEASURES[f"attached-{count}"].run, count)
            expect(found == [(switches.DESC, switches.DESC)] * 2, f"{count}: {found}")
        for count, size in ((2, switches.DESC), (8, switches.HOLD_DESC)):
            found = rings(MEASURES[f"active-{count}"].run, count)
            expect(found == [(size, size)] * count, f"{count} active: {found}")
        held = FakeContext(SWITCHES["vhost"](FakeLab(), 8))
        with contextlib.suppress(LabError):
            held.hold(2, 8)
        expect(held.rings == [(switches.HOLD_DESC,) * 2] * 6, f"held: {held.rings}")


def row(name, switch, mpps, place="near", windows=100):
    """A row of the table, over one round with so many windows; mpps: of each round, if there are more."""
    rates = mpps if isinstance(mpps, dict) else {1: mpps}
    parts = [{"round": number, "value": rate, "tsc_hz": 2e9, "windows": windows, "busy": 1, "tx_full": 0,
              "loss": 0, "watch": {"windows": windows}, "switch": {"cycles": None},
              "guest_cycles": {"tx": 90}} for number, rate in rates.items()]
    return report.Row(MEASURES[name], SWITCHES[switch], parts, place)


def printed(rows):
    out = io.StringIO()
    report.print_table(list({one.measure for one in rows}), rows, out)
    return out.getvalue()


def ratios(tap):
    def last(rows, switch):
        """(NFE/IT, CPUS) of this switch."""
        line = next(line for line in printed(rows).splitlines() if SWITCHES[switch].label in line)
        cells = line.split()
        return cells[-5], cells[-1]
    with tap.case("what was measured at no place has no ratio, what nobody watches has"):
        rows = [row("flood-64", "nfe", 20), row("flood-64", "memif", 10)]
        expect(last(rows, "memif") == ("2.00", "near"), printed(rows))
        for ours, theirs in ((None, None), ("near", None), (None, "near")):
            rows = [row("flood-64", "nfe", 20, ours), row("flood-64", "memif", 10, theirs)]
            expect(last(rows, "memif") == ("-", theirs or "both"), printed(rows))
        rows = [row("flood-64", "nfe", 20, "near"), row("flood-64", "memif", 10, "far")]
        expect(last(rows, "memif") == ("-", "far"), printed(rows))
        rows = [row("idle-64", "nfe", 1, None, 0), row("idle-64", "vhost", 100, None, 0)]
        expect(printed(rows).count("0.01") == 1 and "both" not in printed(rows), printed(rows))
    with tap.case("a ratio is the median of those within rounds, not one of medians"):
        rows = [row("flood-64", "nfe", {1: 10, 2: 20, 3: 30}),
                row("flood-64", "memif", {2: 10, 3: 10, 4: 40, 5: 50})]
        expect(last(rows, "memif") == ("2.50", "near"), printed(rows))
        rows = [row("flood-64", "nfe", {1: 10}), row("flood-64", "memif", {2: 10})]
        expect(last(rows, "memif") == ("-", "near"), printed(rows))


def unwatched(tap):
    with tap.case("the report says when the switch's CPU was not watched"):
        part = {"round": 1, "value": 9, "tsc_hz": 2e9, "watch": {"windows": 9, "watched": False}, "places": [
            *({"place": place, "windows": 0, "line_ns": 0} for place in distance.PLACES),
            {"place": "any", "windows": 9, "line_ns": 0}]}
        expect(distance.Places([part]).choose([[part]]) is None, "no place")
        flat = distance.fullest(part)
        rows = [report.Row(MEASURES["flood-64"], SWITCHES["nfe"], [flat])]
        expect("CPUS both: the switch's CPU was not watched" in printed(rows), printed(rows))
        rows = [row("flood-64", "nfe", 9)]
        expect("not watched" not in printed(rows), printed(rows))


def variants(tap):
    def kept(*rows):
        return [(one.switch.name, one.value["median"]) for one in report.drop_worse_variants(rows)]
    with tap.case("of a peer's variants the one with a place is kept, of two such the better one"):
        packed, split = row("flood-64", "ovs-packed", 9), row("flood-64", "ovs-split", 8)
        nowhere = row("flood-64", "ovs-packed", 9, None)
        expect(kept(packed, split) == [("ovs-packed", 9)], kept(packed, split))
        expect(kept(nowhere, split) == [("ovs-split", 8)], kept(nowhere, split))
        both = (row("rtt-64", "ovs-packed", 9, None), row("rtt-64", "ovs-split", 8, None))
        expect(kept(*both) == [("ovs-split", 8)], kept(*both))


def constants(tap):
    def defined(name, file):
        with open(os.path.join(ROOT, "app", "test-bench", file), encoding="utf-8") as source:
            return float(re.search(rf"#define {name} ([\d.]+)", source.read())[1])
    with tap.case("test-bench and the report mean the same by a place"):
        expect(defined("LEAST_WINDOWS", "pingpong.c") == distance.MIN_WINDOWS, "LEAST_WINDOWS")
        expect(defined("SHARED", "watch.c") == distance.SHARED, "SHARED")


def cores(tap):
    with tap.case("guests and switch are on two cores, if there are two"):
        expect(machine.parse_cpus("0,2-4\n") == {0, 2, 3, 4}, machine.parse_cpus("0,2-4\n"))
        pairs = {0: {0, 1}, 1: {0, 1}, 2: {2, 3}, 3: {2, 3}}
        expect(machine.choose_cpus({0, 1, 2, 3}, pairs.get) == (0, 2), "threads side by side")
        expect(machine.choose_cpus({1, 3}, pairs.get) == (1, 3), "as affinity allows")
        expect(machine.choose_cpus({0, 1}, pairs.get) is None, "one core")
        expect(machine.choose_cpus({0, 1}, lambda cpu: {cpu}) == (0, 1), "no threads")
        with unittest.mock.patch("machine.choose_cpus", return_value=None):
            lacking = machine.lacks(0), machine.lacks(0, self_test=True)
        told = ["CPUs of two cores" in " ".join(missing) for missing in lacking]
        expect(told == [len(os.sched_getaffinity(0)) > 1, False], lacking)


def vhost_cache(tap):
    with tap.case("examples/vhost of another DPDK, other changes or another CPU is built anew"):
        def directory(**others):
            packages.vhost_directory.cache_clear()
            with contextlib.ExitStack() as stack:
                for name, value in others.items():
                    stack.enter_context(unittest.mock.patch(name.replace("__", "."), value))
                return packages.vhost_directory()
        known = {directory(), directory(machine__text_of=lambda *_: "23.11"),
                 directory(packages__VHOST_CHANGES=packages.VHOST_CHANGES[1:]),
                 directory(packages__cpu_identity=lambda: ["another one"])}
        expect(len(known) == 4 and directory() in known, known)


def sweep_windows(tap):
    with tap.case("a sweep may try as many windows as it wants"):
        for sweep in sweeps.ALL:
            for probe in sweep.probes:
                args = []
                ctx = unittest.mock.Mock(windows=100)
                ctx.guest = lambda ports, argv, watch: args.extend(argv)
                probe.run(ctx, [])
                wanted, most = (int(args[args.index(name) + 1])
                                for name in ("--windows", "--max-windows"))
                expect(most >= 2 * wanted, f"{sweep.name}: {args}")


def load(name):
    """A program of usertools as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), os.path.join(
        ROOT, "usertools", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def said_by(function):
    """(what it returned, what it printed)"""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        value = function()
    return value, out.getvalue()


FAILURES = (LabError("no answer"), KeyError("RssAnon"),
            FileNotFoundError(2, "No such file", "/proc/1"), BrokenPipeError(32, "Broken pipe"),
            TypeError("None is not subscriptable"))


def failing(tap):
    """One of the measurements of each round fails, each time in another way."""
    bench, sweep, tcp = load("bench"), load("bench-sweep"), load("bench-tcp")
    everything = {"place": "any", "windows": 9, "value": 9, "mpps": {"median": 9}}
    part = {"value": 9, "places": [everything], "watch": {"windows": 9}}
    args = unittest.mock.Mock(rounds=len(FAILURES), self_test=False, out=None, wait_near=0)
    with tap.case("a measurement that fails is named, and the run goes on"):
        run = bench.Run([MEASURES["flood-64"]], [SWITCHES["nfe"], SWITCHES["memif"]], 9, "nohuge")
        results = [one for failure in FAILURES for one in (part, failure)]
        run.measure_limit = unittest.mock.Mock(side_effect=FAILURES)
        run.one = unittest.mock.Mock(side_effect=results)
        with unittest.mock.patch("distance.look", side_effect=FAILURES):
            _, text = said_by(lambda: bench.rounds(run, args))
        expect([len(found) for found in run.results.values()] == [len(FAILURES)], text)
        expect([one["switch"] for one in run.failures] ==
               ["machine", "machine", "memif"] * len(FAILURES), run.failures)
        for words in ("no answer", "KeyError: 'RssAnon'", "BrokenPipeError", "TypeError"):
            expect(f"memif: FAILED: {words}" in text, f"'{words}' is not in:\n{text}")
    with tap.case("so does a sweep"):
        points = sweep.Run(next(one for one in sweeps.ALL if one.name == "publish"), 1, 9, "nohuge")
        points.one = unittest.mock.Mock(side_effect=[*FAILURES, *[part] * 99])
        with unittest.mock.patch("distance.look", side_effect=FAILURES):
            _, text = said_by(lambda: points.round(1))
        expect(len(points.failures) == len(FAILURES) + 1 and points.raw, points.failures)
    with tap.case("so do transfers by TCP"):
        found = []
        with unittest.mock.patch.object(tcp, "measure", side_effect=[*FAILURES, (100, 0)]):
            done, text = said_by(lambda: [tcp.add_round(found, "build", "nfe", number, 1)
                                          for number in range(len(FAILURES) + 1)])
        expect(done == [False] * len(FAILURES) + [True] and found == [100], text)
        expect("bench-tcp: round 1, nfe: no answer" in text, text)


def waiting(tap):
    """For CPUs that are near each other; time passes by sleeping only."""
    def wait(*places):
        looks = [{"places": [{"place": place, "windows": 9}]} for place in places]
        clock = [0]
        with unittest.mock.patch("distance.look", side_effect=looks), \
                unittest.mock.patch("time.monotonic", lambda: clock[0]), \
                unittest.mock.patch("time.sleep", lambda s: clock.__setitem__(0, clock[0] + s)):
            return distance.wait_near(12), clock[0]
    with tap.case("--wait-near ends when the CPUs are near, or when the time is over"):
        expect(wait("near gs") == (True, 0), "at once")
        expect(wait("far", "far g", "near s") == (True, 10), "later")
        expect(wait("far", "far", "far") == (False, 10), "never")


def lost_windows(tap):
    with tap.case("windows in which all frames were lost have no value, and the others theirs"):
        def result():
            return {"places": [{"place": "near", "windows": 9, **nothing},
                               {"place": "any", "windows": 99, **times}]}
        times = {"rtt_ns": {"p50": 5}, "latency_ns": {"p50": 6}, "mpps": {"median": 7}}
        nothing = dict.fromkeys(times)
        for name, value in (("rtt-64", 5), ("load-64", 6), ("flood-64", 7)):
            ctx = measures.Context(None, SWITCHES["nfe"](FakeLab(), 2), 9)
            ctx.guest = lambda ports, args: result()
            found = MEASURES[name].run(ctx)["places"]
            expect([part["value"] for part in found] == [None, value], found)


def load_place(tap):
    with tap.case("half load is of the rate right before, and believed at its place only"):
        places = {name: {"place": name, "windows": windows, "mpps": {"median": mpps},
                         "latency_ns": {"p50": 100 * mpps}}
                  for name, windows, mpps in (("near", 3, 8), ("far", 9, 6), ("any", 20, 7))}
        asked = []

        def guest(ports, args):
            asked.append(args)
            return {"places": [dict(part) for part in places.values()]}
        ctx = measures.Context(None, SWITCHES["nfe"](FakeLab(), 2), 9)
        ctx.guest = guest
        result = MEASURES["load-64"].run(ctx)
        expect(asked[1][asked[1].index("--rate") + 1] == "3.0000", asked)
        expect([part["place"] for part in result["places"]] == ["far", "any"], result)
        expect(result["value"] == 600, result)


def replaced_whole(tap):
    with tap.case("a results file is there as it was until the new one is written"), \
            tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "results.json")
        report.save(path, "old")
        with unittest.mock.patch("os.replace", side_effect=KeyboardInterrupt), \
                contextlib.suppress(KeyboardInterrupt):
            report.save(path, "new")
        with open(path, encoding="utf-8") as file:
            expect(file.read() == "old", "it was written over")
        report.save(path, "new")
        expect(os.listdir(tmp) == ["results.json"], os.listdir(tmp))


def main():
    tap = Tap()
    failing(tap)
    waiting(tap)
    lost_windows(tap)
    load_place(tap)
    replaced_whole(tap)
    sweep_windows(tap)
    vhost_cache(tap)
    cores(tap)
    constants(tap)
    other_build(tap)
    ratios(tap)
    unwatched(tap)
    variants(tap)
    ring_sizes(tap)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
