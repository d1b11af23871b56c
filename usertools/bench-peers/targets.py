# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""The goals of the project, as ratios within rounds.

Two figures are compared only if they were measured in the same round and at the same place
(distance.py): from one round to the next a machine changes more than two switches differ. The ratio is
the median over the rounds that have both, of the place that most of them share. The best peer is the
one beside which we look worst; while one that was measured shares no round with us, no goal is met.
"""
import statistics

import distance
import report

OVS = ("ovs-packed", "ovs-split")
WAKE_NS = 40000


def value(row):
    return row.value["median"] if row.value else None


def p99(row):
    return row.p99["median"] if row.p99 else None


def cycles(row):
    return row.cycles["median"] if row.cycles else None


def total(row):
    return row.total


def order(place):
    """Of two places with as many rounds the one without neighbours, then the near one. None: nobody
    looked at the cores."""
    return 0 if place is None else -distance.PLACES.index(place)


class Ratio:
    """Of figures by (round, place): median, least and greatest over the rounds of one place."""

    def __init__(self, ours, other):
        places = {}
        for at in ours.keys() & other.keys():
            places.setdefault(at[1], []).append(ours[at] / other[at])
        self.place, found = max(places.items(), default=(None, []), key=lambda one: (
            len(one[1]), order(one[0])))
        self.rounds = len(found)
        if found:
            self.median, self.least, self.greatest = statistics.median(found), min(found), max(found)

    def __str__(self):
        spread = f"{self.least:.2f}-{self.greatest:.2f}, " if self.rounds > 1 else ""
        rounds = "one round" if self.rounds == 1 else f"{self.rounds} rounds"
        where = f" {self.place}" if self.place else ""
        return f"{self.median:.2f} ({spread}{rounds}{where})"


class Targets:
    """Judges what was measured. results: {(measure, switch): results}; limits: results of the machine's
    own limits; each result with "round". places: distance.Places of all of them."""

    def __init__(self, results, limits, places):
        self.limits, self.places, self.lines = limits, places, []
        self.measured = {(measure.name, switch.name): (measure, switch, some)
                         for (measure, switch), some in results.items() if some}

    def figures(self, measure, name, key):
        """{(round, place): figure} of one switch."""
        found = {}
        if (measure, name) in self.measured:
            kind, switch, results = self.measured[measure, name]
            for result in results:
                for place in (*distance.PLACES, None):
                    part = self.places.part(result, place)
                    row = part and report.Row(kind, switch, [part], place)
                    if row and row.comparable and key(row):
                        found[result["round"], place] = key(row)
        return found

    def is_told(self, measure, name, key):
        """Has it this figure at all, be it without a place?"""
        kind, switch, results = self.measured[measure, name]
        everywhere = [self.places.part(result, None) for result in results]
        return any(key(report.Row(kind, switch, [part])) for part in everywhere)

    def peers(self, measure):
        """Names of the others that were measured."""
        return [switch.name for name, switch in ((found[0], self.measured[found][1])
                                                 for found in self.measured)
                if name == measure and not switch.ours]

    def judge(self, what, ours, others, limit, least, *beside, told=True, missing=(), silent=()):
        """Of the ratios ours/other the worst must be at least (or at most) limit. ours: {(round, place):
        figure}; others: the same by name. beside: figures that explain it, (what, like ours or like
        another, is it another). told: is there another at all, be it without a place? missing: names of
        others that must be compared, too, if the goal shall be met. silent: names of those that were measured
        and don't tell this figure."""
        ratios = {name: Ratio(ours, other) for name, other in others.items()}
        ratios = {name: ratio for name, ratio in ratios.items() if ratio.rounds}
        missing = [name for name in missing if name not in ratios]
        if not ratios:
            why = ("no round in which both were measured at the same place" if told else
                   "what it is compared with was not measured")
            self.lines.append(f"unknown {what}: {why}")
            return
        worst = (min if least else max)(ratios, key=lambda name: ratios[name].median)
        ratio = ratios[worst]
        met = ratio.median >= limit if least else ratio.median <= limit
        verdict = "MISSED" if not met else "unknown" if missing else "met"
        explained = f"; not beside {', '.join(missing)}, which shares no round and place" if met and missing else ""
        explained += f"; {', '.join(silent)} not told, the guests are the limit there" if silent else ""
        for name, figures, is_other in beside:
            other = Ratio(ours, figures) if is_other else Ratio(figures, others[worst])
            explained += f"; {name} {other.median:.2f}" if other.rounds else ""
        self.lines.append(f"{verdict:7} {what}{f' ({worst})' if worst else ''}: "
                          f"{ratio}, target {'>=' if least else '<='} {limit:.2f}{explained}")

    def off(self, measure, name, key):
        """The same figure with policy off, for judge()."""
        return "policy off", self.figures(measure, "nfe-open", key) if name == "nfe" else {}, False

    def beside_peers(self, measure, name, what, key, limit, least=False, only=None):
        """The best of the peers, or of these."""
        peers = [peer for peer in self.peers(measure) if only is None or peer in only]
        if (measure, name) not in self.measured or not self.peers(measure):
            return # not asked for
        silent = [peer for peer in peers if not self.is_told(measure, peer, key)]
        peers = [peer for peer in peers if peer not in silent]
        self.judge(f"{name}: {what}", self.figures(measure, name, key),
                   {peer: self.figures(measure, peer, key) for peer in peers}, limit, least,
                   self.off(measure, name, key), told=bool(peers), missing=peers,
                   silent=silent)

    def beside_number(self, measure, name, what, number, *beside):
        """At most so much."""
        ours = self.figures(measure, name, value)
        if (measure, name) in self.measured:
            self.judge(f"{name}: {what}", ours, {"": dict.fromkeys(ours, number)}, 1, False, *beside,
                       self.off(measure, name, value))

    def beside_itself(self, measure, base, name, limit):
        """How much of the rate is left with more guests, or addresses."""
        def scaled(who):
            """By round and place as a share of what this one does in the base."""
            bases = self.figures(base, who, value)
            return {at: one / bases[at] for at, one in self.figures(measure, who, value).items()
                    if at in bases}
        if (measure, name) in self.measured:
            ours, off = scaled(name), scaled("nfe-open") if name == "nfe" else {}
            self.judge(f"{name}: {measure} against {base}", ours, {"": dict.fromkeys({**ours, **off}, 1)},
                       limit, True, ("policy off", off, False), told=(base, name) in self.measured)

    def bare_copy(self, slots):
        """{(round, place): cycles per frame of 1500 B}"""
        found = {}
        for result in self.limits:
            if result["what"] == "relay" and (result["bytes"], result["slots"]) == (1500, slots):
                for place in distance.PLACES:
                    part = self.places.part(result, place)
                    if part and part["cycles"]:
                        found[result["round"], place] = part["cycles"]
        return found

    def floor(self):
        """{(round, None): ns that a bare sleeper needs to be woken, p50}"""
        return {(result["round"], None): result["wake_ns"]["p50"] for result in self.limits
                if result["what"] == "wake"}

    def evaluate(self):
        for name in ("nfe", "nfe-raw", "nfe-cells"):
            self.switch_cycles(name)
        for name in ("nfe", "nfe-raw"):
            self.throughput(name)
            self.latency(name)
            self.scaling(name)
        return self.lines

    def switch_cycles(self, name):
        self.beside_peers("flood-64", name, "switch cycles, 64 B, of the best peer", cycles, 1 / 2.8)
        self.beside_peers("flood-64", name, "switch cycles, 64 B, of OVS", cycles, 1 / 4.4, only=OVS)
        self.beside_peers("flood-60", name, "switch cycles, 60 B, of the best peer", cycles, 1 / 3.3)

    def throughput(self, name):
        self.beside_peers("flood-64", name, "guest + switch cycles, 64 B, of the best peer", total, 0.6)
        self.beside_peers("flood-1500", name, "1500 B throughput, of the best peer", value, 1.4, True)
        if ("flood-1500", name) not in self.measured:
            return
        # What is under way lies in the other core's L2 in a ring of 256, as with ours, whose queue is
        # short while the guests are the limit; of a full ring of 1024 it comes from L3.
        self.judge(f"{name}: 1500 B, switch cycles over the bare copy",
                   self.figures("flood-1500", name, cycles), {"": self.bare_copy(256)}, 1.25, False,
                   self.off("flood-1500", name, cycles),
                   ("over the one through L3", self.bare_copy(1024), True),
                   told=any(result.get("bytes") == 1500 for result in self.limits))

    def latency(self, name):
        self.beside_peers("rtt-64", name, "round trip p50, of the best peer", value, 0.55)
        self.beside_peers("rtt-64", name, "round trip p99, of the best peer", p99, 0.65)
        self.beside_number("idle-64", name, "idle CPU in percent", 1)
        self.beside_number("wake-64", name, "wake-up in units of 40 us", WAKE_NS,
                           ("floor", self.floor(), False))

    def scaling(self, name):
        for measure, base, limit in (("attached-64", "attached-2", 0.97),
                                     ("attached-1024", "attached-2", 0.93),
                                     ("active-64", "active-2", 0.8),
                                     ("macs-64000", "macs-1", 0.75)):
            self.beside_itself(measure, base, name, limit)
