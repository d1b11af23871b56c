# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What the cores were like while something was measured, and which results may be compared.

A virtual machine's CPUs move on their host, and share their cores with others, from one millisecond to
the next. test-bench looks at them in each window (app/test-bench/watch.h) and reports apart what it saw
near and far, and with a neighbour on the guests' core (g), the switch's (s), or both: each result has
"places", parts with "place", "windows", "line_ns" and what was measured there. "any" is all windows,
the disturbed ones too. Only parts of one place are compared.
"""
import json
import re
import time

import machine
import measures
import switches
from lab import Lab

SHARED = 1.15     # of the loop that fills a core, over its least time, as in watch.c
MIN_WINDOWS = 8   # of a part, to be compared
MIN_SHARE = 0.05  # of a result's clean windows that are near, or far, for its parts to be believed
PLACES = ("near", "far", "near g", "far g", "near s", "far s", "near gs", "far gs")
OWN = PLACES[:2]  # no neighbours
LOOK_PAUSE_S = 5
NOT_WATCHED = ("the switch's CPU was not watched, which takes the right to a real-time priority "
               "(SCHED_FIFO): these windows have no place")

least = {"core": 0} # TSC cycles that test-bench has seen so far


def see(result):
    """What a core can do is known the better, the more results were seen. Returns the result."""
    seen = result.get("watch", {}).get("core", 0)
    if seen and not 0 < least["core"] < seen:
        least["core"] = seen
    return result


def options():
    """What test-bench should know."""
    return ["--core-least", str(least["core"])]


def look():
    """At the cores, before anything is measured."""
    guest, switch = machine.cpus()
    with Lab("look", memory="nohuge") as lab:
        argv = [lab.program("test-bench"),
                *switches.eal(lab, "look", 16, f"0@{guest},1@{switch}"), "--", "--mode", "look",
                *options()]
        process = lab.start("look", argv)
        machine.prioritise(process)
        process.wait(measures.RESULT_S)
        found = re.search(r"^result (\{.*\})$", process.log(), re.MULTILINE)
        return see(json.loads(found[1]))


def share_near(looked):
    """Of the windows of a look that have a place."""
    windows = {place: sum(part["windows"] for part in looked["places"]
                          if part["place"].split()[0] == place) for place in OWN}
    return windows["near"] / max(sum(windows.values()), 1)


def wait_near(seconds):
    """Until the CPUs are near each other for most of a look, or so long. Were they, in the end?"""
    end = time.monotonic() + seconds
    while share_near(look()) <= 0.5:
        if time.monotonic() + LOOK_PAUSE_S > end:
            return False
        time.sleep(LOOK_PAUSE_S)
    return True


def is_unwatched(result):
    """Were there windows that have no place, as nobody may look at the switch's CPU?"""
    watch = result.get("watch", {})
    return not watch.get("watched", True) and watch["windows"] > 0


def flat(result, part):
    """A result as if its part were all of it."""
    return {**{key: value for key, value in result.items() if key != "places"}, **part}


def fullest(result):
    """The part with most clean windows; of all windows, if none was clean."""
    clean = [part for part in result["places"] if part["place"] != "any" and part["windows"]]
    return flat(result, max(clean, key=lambda part: part["windows"]) if clean
                else next(part for part in result["places"] if part["place"] == "any"))


def is_believed(result, place):
    """A line is timed before a window: a few near ones among a thousand that are far are none (60 B by
    bare cells: 56 Mpps in 1971 far ones, and in 19 that seemed near, where it takes 140)."""
    clean = {part["place"]: part["windows"] for part in result["places"] if part["place"] != "any"}
    same = sum(windows for name, windows in clean.items() if name.split()[0] == place.split()[0])
    return same >= MIN_SHARE * sum(clean.values())


class Places:
    """Of all results of a run."""

    def __init__(self, results):
        watched = [one for one in results if one.get("watch", {}).get("core")]
        self.core = min((one["watch"]["core"] for one in watched), default=0)
        lines = [part["line_ns"] for one in watched for part in one["places"]
                 if part["place"] != "any" and part["line_ns"]]
        self.least, self.greatest = min(lines, default=0), max(lines, default=0)

    def part(self, result, place):
        """The result at this place, flat; None: too few windows. place None: all windows."""
        if result.get("watch", {}).get("core", 0) > SHARED * self.core and place:
            return None # when it was measured, nobody knew yet what a core can do
        if place and not is_believed(result, place):
            return None
        wanted = place or "any"
        for part in result["places"]: # what nobody watches has no clean ones
            if part["place"] == wanted and (place is None or part["windows"] >= MIN_WINDOWS):
                return flat(result, part)
        return None

    def parts(self, results, place):
        found = [self.part(result, place) for result in results]
        return [part for part in found if part is not None]

    def choose(self, groups):
        """The place at which most groups of results (one per switch and measure that are compared) have
        some, of two such the one without neighbours, then the one with more results; None: there is
        none."""
        counts = {}
        for place in PLACES:
            found = [len(self.parts(group, place)) for group in groups]
            counts[place] = (sum(n > 0 for n in found), place in OWN, sum(found))
        best = max(counts, key=counts.get)
        return best if counts[best][0] > 0 else None
