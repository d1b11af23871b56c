#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: files
"""How usertools/bench judges the goals of the project: results here are made up."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from lab import ROOT, Tap, expect  # noqa: E402

sys.path.append(os.path.join(ROOT, "usertools", "bench-peers"))
import distance  # noqa: E402
import measures  # noqa: E402
import switches  # noqa: E402
import targets  # noqa: E402

MEASURES = {one.name: one for one in measures.catalogue()}
SWITCHES = {one.name: one for one in switches.ALL}
WATCH = {"core": 1000, "windows": 100, "watched": True}


def result(number, figures, **common):
    """Of round number. figures: what was measured, by place; None: all windows, whatever disturbed them."""
    return {"round": number, "watch": WATCH, "tsc_hz": 2e9, "busy": 1, "tx_full": 0, **common,
            "places": [{"place": place or "any", "windows": 100, "line_ns": 100, **figure}
                       for place, figure in figures.items()]}


def flood(number, mpps, cycles=None, guest=90, place="near"):
    """A rate, the switch's cycles per frame if it tells them, and the guests'."""
    part = {"value": mpps, "mpps": {"median": mpps}, "guest_cycles": {"tx": guest}}
    return result(number, {place: part, None: part}, switch={"cycles": cycles})


def rtt(number, ns, place="near"):
    part = {"value": ns}
    return result(number, {place: part, None: part})


def unwatched(value):
    return {"round": 1, "places": [{"place": "any", "windows": 0, "value": value}]}


def told(measured, limits=()):
    """Lines of the report. measured: {(measure, switch): results}"""
    results = {(MEASURES[measure], SWITCHES[switch]): some
               for (measure, switch), some in measured.items()}
    every = [one for some in results.values() for one in some]
    return targets.Targets(results, limits, distance.Places([*every, *limits])).evaluate()


def line(lines, words):
    found = [one for one in lines if words in one]
    expect(len(found) == 1, f"'{words}' is in {len(found)} of:\n" + "\n".join(lines))
    return found[0]


def within_rounds(tap):
    with tap.case("a ratio is the median of those within rounds, not one of medians"):
        # Twice as fast a machine in the rounds 2 and 3, in which attached-64 was measured near.
        lines = told({("attached-2", "nfe"): [flood(1, 10), flood(2, 20), flood(3, 30), flood(4, 9)],
                      ("attached-64", "nfe"): [flood(2, 19), flood(3, 30), flood(5, 40)]})
        expect("met     nfe: attached-64 against attached-2: 0.97 (0.95-1.00, 2 rounds near), target >= "
               "0.97" in lines, lines)
    with tap.case("a round counts if both were at the same place in it"):
        lines = told({("attached-2", "nfe"): [flood(1, 10, place="far")],
                      ("attached-64", "nfe"): [flood(1, 20)]})
        expect("no round in which both" in line(lines, "attached-64 against"), lines)
        both = [result(1, {"near": {"value": 10}, "far": {"value": 4}}),
                result(2, {"far": {"value": 4}})]
        lines = told({("attached-2", "nfe"): both, ("attached-64", "nfe"): both})
        expect("1.00 (1.00-1.00, 2 rounds far)" in line(lines, "attached-64 against"), lines)
        lines = told({("attached-2", "nfe"): both[:1], ("attached-64", "nfe"): both[:1]})
        expect("1.00 (one round near)" in line(lines, "attached-64 against"), lines)


def worst(tap):
    with tap.case("the best peer is the one beside which we look worst, and it is named"):
        measured = {("flood-64", "nfe"): [flood(1, 20, 50)], ("flood-64", "memif"): [flood(1, 10, 100)],
                    ("flood-64", "ovs-split"): [flood(1, 10, 125, guest=50)],
                    ("flood-64", "ovs-packed"): [flood(1, 10, 200)]}
        lines = told(measured)
        found = line(lines, "nfe: switch cycles, 64 B, of the best peer")
        expect(found.startswith("MISSED  nfe: ") and "(memif): 0.50 (one round near), target <= 0.36"
               in found, found)
        found = line(lines, "64 B, of OVS")
        expect("(ovs-split): 0.40" in found and found.startswith("MISSED"), found)
        found = line(lines, "guest + switch")
        expect("(ovs-split): 0.80 (one round near), target <= 0.60" in found, found)
        measured["flood-64", "nfe-open"] = [flood(1, 20, 40)]
        expect("; policy off 0.40" in line(told(measured), "nfe: switch cycles, 64 B, of the best"), "")
    with tap.case("no goal is met while a peer shares no round with us"):
        measured = {("rtt-64", "nfe"): [rtt(1, 500)], ("rtt-64", "ovs-packed"): [rtt(1, 1500)],
                    ("rtt-64", "memif"): [rtt(1, 2500, "far")]}
        found = line(told(measured), "p50")
        expect(found.startswith("unknown nfe: ") and "(ovs-packed): 0.33 (one round near), target <= 0.55; not "
               "beside memif, which shares no round and place" in found, found)
        measured["rtt-64", "ovs-packed"] = [rtt(1, 600)]
        expect(line(told(measured), "p50").startswith("MISSED"), "one is enough to miss it")
    with tap.case("who doesn't tell its cycles, as its guests are the limit, is named"):
        lines = told({("flood-64", "nfe"): [flood(1, 20, 50)], ("flood-64", "memif"): [flood(1, 10, 200)],
                      ("flood-64", "vhost"): [flood(1, 14)]})
        expect("(memif): 0.25 (one round near), target <= 0.36; vhost not told, the guests are the limit there"
               in line(lines, "nfe: switch cycles, 64 B, of the best"), lines)
    with tap.case("of rates the best peer is the fastest"):
        lines = told({("flood-1500", "nfe"): [flood(1, 6)], ("flood-1500", "memif"): [flood(1, 3)],
                      ("flood-1500", "vhost"): [flood(1, 4)]})
        expect("met     nfe: 1500 B throughput, of the best peer (vhost): 1.50" in
               line(lines, "1500 B throughput"), lines)


def bare_copy(tap):
    def relay(number, slots, cycles):
        return result(number, {"near": {"cycles": cycles}, None: {"cycles": cycles}}, what="relay",
                      bytes=1500, slots=slots)
    with tap.case("1500 B is set beside the bare copy of its round"):
        limits = [relay(1, 256, 100), relay(1, 1024, 50), relay(2, 256, 200), relay(2, 1024, 100)]
        found = line(told({("flood-1500", "nfe"): [flood(2, 6, 220)]}, limits), "over the bare copy")
        expect(found == "met     nfe: 1500 B, switch cycles over the bare copy: 1.10 (one round near), target "
               "<= 1.25; over the one through L3 2.20", found)


def numbers(tap):
    with tap.case("what nobody watches is set beside a number"):
        floor = dict(unwatched(None), what="wake", wake_ns={"p50": 60000})
        lines = told({("idle-64", "nfe"): [unwatched(0.5)], ("wake-64", "nfe"): [unwatched(80000)]},
                     [floor])
        expect(lines == ["met     nfe: idle CPU in percent: 0.50 (one round), target <= 1.00",
                         "MISSED  nfe: wake-up in units of 40 us: 2.00 (one round), target <= 1.00; floor "
                         "1.50"], lines)


def unknown(tap):
    def reasons(measured):
        return "\n".join(one for one in told(measured) if one.startswith("unknown"))
    ours = {("flood-64", "nfe"): [flood(1, 20, 50)]}
    with tap.case("a target is unknown for want of clean windows, or of a measurement"):
        text = reasons({**ours, ("flood-64", "memif"): [flood(1, 10, 100, place=None)]})
        expect("64 B, of the best peer: no round in which both" in text, text)
        expect("64 B, of OVS: what it is compared with was not measured" in text, text)
        text = reasons({**ours, ("flood-64", "ovs-packed"): [flood(1, 10, 100, place=None)]})
        expect("64 B, of OVS: no round in which both" in text, text)
        text = reasons({**ours, ("flood-64", "vhost"): [flood(1, 10)]})
        expect("64 B, of the best peer: what it is compared with was not measured" in text, text)
        text = reasons({("attached-64", "nfe"): [flood(1, 20)]})
        expect("against attached-2: what it is compared with was not measured" in text, text)
        text = reasons({("flood-1500", "nfe"): [flood(1, 20, 50)]})
        expect("over the bare copy: what it is compared with was not measured" in text, text)
    with tap.case("what was not asked for is not judged"):
        expect(told(ours) == [], told(ours))
        text = "\n".join(told({("flood-64", "memif"): [flood(1, 10, 100)]}))
        expect(text == "", text)


def documented(tap):
    with tap.case("doc/benchmark.md judges the goals that the report judges"):
        with open(os.path.join(ROOT, "doc", "benchmark.md"), encoding="utf-8") as file:
            chapter = file.read().split("\n## Targets\n")[1]
        told_there = {float(limit) for limit in re.findall(r"^\| .*? at (?:least|most) ([\d.]+)", chapter,
                                                         re.MULTILINE)}
        times = {"p50": 1, "p99": 1, "p999": 1}
        one = result(1, dict.fromkeys(("near", None), {
            "value": 1, "mpps": {"median": 1}, "rtt_ns": times, "cycles": 1, "guest_cycles": {"tx": 1}}),
                     what="relay", bytes=1500, slots=256, switch={"cycles": 1})
        lines = told({(measure, switch): [one] for measure in MEASURES
                      for switch in ("nfe", "nfe-raw", "memif", "ovs-packed")}, [one])
        judged = {float(limit) for limit in re.findall(r"target [<>]= ([\d.]+)", "\n".join(lines))}
        elsewhere = {40, 1.5} # wake-up in us, here in units of it; TCP, which is bench-tcp's
        expect(len(judged) == 13 and judged | elsewhere == told_there, f"{judged} {told_there}")


def main():
    tap = Tap()
    within_rounds(tap)
    worst(tap)
    bare_copy(tap)
    numbers(tap)
    unknown(tap)
    documented(tap)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
