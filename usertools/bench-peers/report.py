# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""From results of all rounds to rows of a table, and their ratios. The goals are targets.py's."""
import os
import statistics

import distance

GUEST_IS_LIMIT = 0.93   # share of its time that the guest thread moves frames
TX_FULL_IS_SWITCH = 0.3 # share of bursts that were not taken whole
LOSS_TOLD = 0.01        # share of the frames sent, beyond which the report tells of it


def bottleneck(result, kernel):
    """Who held the frames up: the guests' core, the switch's, or nobody."""
    if "tx_full" not in result:
        return None
    if kernel:
        return "kernel"
    if result["busy"] is not None and result["busy"] >= GUEST_IS_LIMIT:
        return "guest"
    return "switch" if result["tx_full"] >= TX_FULL_IS_SWITCH else "neither"


def spread(values):
    """Median, least and greatest of the rounds; None if there is no value."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def from_rate(result):
    """Cycles per frame of the switch if it was busy all the time."""
    return result["tsc_hz"] / result["value"] / 1e6 if result.get("value") else None


def counted(result):
    """Busy cycles per frame by the switch's own counter: ours are read in the very windows; others
    count disturbed time too, but cannot have been busy for longer than the clean windows took."""
    if "switch_cycles" in result:
        return result["switch_cycles"]
    cycles = result.get("switch", {}).get("cycles")
    if cycles is None or "mpps" not in result:
        return cycles
    return min(cycles, from_rate(result) or cycles)


def families(results):
    """(name, {(measure, switch): results}) of what is compared: a measure, or all that differ in a
    count only."""
    groups = {}
    for (measure, switch), some in results.items():
        family = measure.name.split("-")[0]
        name = family if family in ("attached", "active", "macs") else measure.name
        groups.setdefault(name, {})[measure, switch] = some
    return groups.items()


class Row:
    """One switch in one measure, over the parts of all rounds at one place (distance.py)."""

    def __init__(self, measure, switch, results, place=None):
        self.measure, self.switch, self.place = measure, switch, place
        self.value = spread([result["value"] for result in results])
        self.by_round = {result["round"]: result["value"] for result in results if result["value"]}
        where = [bottleneck(result, switch.netns is not None) for result in results]
        self.bottleneck = max(dict.fromkeys(where), key=where.count) if where else None
        self.counted = spread([counted(result) for result in results])
        self.rate = spread([from_rate(result) for result in results]) \
            if self.bottleneck == "switch" and measure.unit == "Mpps" else None
        self.guest = spread([sum(result["guest_cycles"].values()) for result in results
                             if "guest_cycles" in result])
        self.kept = sum(result["windows"] for result in results)
        self.all = sum(result.get("watch", {}).get("windows", 0) for result in results)
        times = [result[self.times] for result in results if result.get(self.times)]
        self.p99 = spread([one["p99"] for one in times])
        self.p999 = spread([one["p999"] for one in times])
        self.loss = spread([result.get("loss") for result in results])
        self.rounds = len(results)
        self.unwatched = any(distance.is_unwatched(result) for result in results)

    @property
    def comparable(self):
        """Was it measured at a place, or is it a measure for which nobody looks at the CPUs? All
        windows of a switch that was never measured at the others' place are no measure of it."""
        return self.place is not None or self.all == 0

    @property
    def where(self):
        """The place, "both" without one, "-" where nobody looked."""
        return self.place or ("both" if self.all else "-")

    @property
    def lossy(self):
        """Frames were sent only to be dropped: whoever receives too slowly makes the switch look slow."""
        return self.loss is not None and self.loss["median"] > LOSS_TOLD

    @property
    def times(self):
        """The field with the times that this measure is about."""
        return {"rtt": "rtt_ns", "load": "latency_ns", "wake": "one_way_ns"}.get(
            self.measure.name.split("-")[0])

    @property
    def cycles(self):
        """Of the switch per frame: its own counter, else the rate when it was the limit. When
        frames come one by one that says nothing."""
        return (self.counted or self.rate) if self.measure.unit == "Mpps" else None

    @property
    def total(self):
        """Guests and switch: work that is only shifted from one to the other doesn't count."""
        if self.guest is None or self.cycles is None:
            return None
        return self.guest["median"] + self.cycles["median"]

    def as_dict(self):
        return {"measure": self.measure.name, "switch": self.switch.name,
                "unit": self.measure.unit, "value": self.value, "rounds": self.rounds,
                "bottleneck": self.bottleneck, "switch_cycles_counted": self.counted,
                "switch_cycles_from_rate": self.rate, "guest_cycles": self.guest,
                "total_cycles": self.total, "loss": self.loss, "p99": self.p99, "p999": self.p999,
                "windows": {"kept": self.kept, "all": self.all}, "place": self.place}


def save(path, text):
    """All of it or nothing: what is there of earlier rounds survives Ctrl-C and a full disk."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def header(about):
    """Of a run: machine, software and command."""
    return (f"{about['date']}, {about['cpu']}, Linux {about['kernel']}, DPDK {about['dpdk']}, "
            f"commit {about['commit']}, load {about['load_at_start']:.1f}\n{about['command']}")


def runs_of(saved):
    """What is said of each run whose rounds are in a results file."""
    return saved.get("runs") or [saved["about"]] # as it was called when it was one


def better(measure, a, b):
    return a > b if measure.higher_is_better else a < b


def outdoes(row, other):
    """Is this variant of a peer the one to show? One with a place, of two such the better one."""
    if row.comparable != other.comparable:
        return row.comparable
    return better(row.measure, row.value["median"], other.value["median"])


def drop_worse_variants(rows):
    """Of the variants of one peer (split, packed) the better one of each measure remains."""
    kept = []
    for row in rows:
        rivals = [other for other in rows if other.switch.group and other.value and row.value and
                  other.switch.group == row.switch.group and other.measure is row.measure]
        if not any(outdoes(other, row) for other in rivals):
            kept.append(row)
    return kept


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def ratio_of(row, reference):
    """Of two rows, median of the rounds that both were measured in at one place; None: in none. A
    machine changes more from round to round than two switches differ."""
    if not row.comparable or not reference.comparable or row.place != reference.place:
        return None
    found = [reference.by_round[at] / value for at, value in row.by_round.items()
             if at in reference.by_round]
    return statistics.median(found) if found else None


def columns(row, reference):
    cycles = number(row.cycles["median"]) if row.cycles else "-"
    ratio = number(ratio_of(row, reference)) if reference else "-"
    return [row.switch.label, number(row.value["median"]),
            f"{number(row.value['min'])}-{number(row.value['max'])}",
            number(row.p99["median"]) if row.p99 else "-",
            number(row.p999["median"]) if row.p999 else "-", cycles,
            number(row.rate["median"]) if row.rate else "-",
            number(row.guest["median"]) if row.guest else "-", number(row.total), ratio,
            row.bottleneck or "-", f"{row.kept}/{row.all}" if row.all else "-",
            str(row.rounds), row.where]


HEADER = ["SWITCH", "MEDIAN", "MIN-MAX", "P99", "P99.9", "CYC", "CYC/RATE", "GUEST", "SUM", "NFE/IT",
          "LIMIT", "WINDOWS", "ROUNDS", "CPUS"]


def print_table(measures, rows, out):
    """One block per measure. NFE/IT: our value (net_nfe; else raw; of another build: the same as
    it) divided by this one."""
    for measure in measures:
        block = [row for row in rows if row.measure is measure and row.value is not None]
        if not block:
            continue
        ours = next((row for row in block if row.switch.name == "nfe"),
                    next((row for row in block if row.switch.ours), None))
        by_name = {row.switch.name: row for row in block}
        lines = [HEADER] + [columns(row, by_name.get(row.switch.rival, ours)) for row in block]
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
        print(f"\n{measure.name}: {measure.title} [{measure.unit}]", file=out)
        for line in lines:
            cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in
                                                  zip(line[1:], widths[1:])]
            print("  " + "  ".join(cells), file=out)
        for row in block:
            if row.lossy:
                print(f"  {row.switch.label}: {100 * row.loss['median']:.0f} % of the frames sent did "
                      "not arrive", file=out)
    if any(row.place and row.place not in distance.OWN for row in rows):
        print("\nCPUS with g, s: somebody else was on the other hardware thread of the guests' core, of "
              "the switch's", file=out)
    if any(row.unwatched for row in rows):
        print(f"\nCPUS both: {distance.NOT_WATCHED}", file=out)


def print_limits(limits, places, out):
    """The machine's own limits, median over rounds of one place."""
    if places.least:
        print(f"\nlimit: a cache line there and back {places.least:.0f} to "
              f"{places.greatest:.0f} ns, mean of the windows of a result; a round trip through a "
              "switch takes two", file=out)
    wakes = [result["wake_ns"] for result in limits if result["what"] == "wake"]
    if wakes:
        print(f"limit: a thread in epoll_wait, woken by an eventfd after a rest, runs after "
              f"{statistics.median(w['p50'] for w in wakes) / 1000:.1f} us (p50), "
              f"{statistics.median(w['p99'] for w in wakes) / 1000:.1f} us (p99)", file=out)
    relays = {}
    for r in limits:
        for place in distance.PLACES if r["what"] == "relay" else ():
            part = places.part(r, place)
            if part:
                relays.setdefault((r["bytes"], r["slots"], place), []).append(part)
    for (size, slots, place), some in sorted(relays.items()):
        rtts = [r["rtt_ns"]["p50"] for r in some if r["rtt_ns"]] # its windows are others
        back = f"{statistics.median(rtts):.0f} ns" if rtts else "not measured so"
        print(f"limit: bare copy of {size} B, rings of {slots}, CPUs {place}: "
              f"{statistics.median(r['mpps']['median'] for r in some):.2f} Mpps, "
              f"{statistics.median(r['cycles'] for r in some):.0f} cycles on the switch's core; "
              f"there and back {back}", file=out)
