#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""usertools/bench works: a run of its self-test, and test-bench's other modes, counted not timed.

No speed is a criterion here: fields, frames and that nothing is left over.
"""
import io
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ROOT, Lab, Tap, expect  # noqa: E402

sys.path.append(os.path.join(ROOT, "usertools", "bench-peers"))
import distance  # noqa: E402
import measures  # noqa: E402
import report  # noqa: E402
import switches  # noqa: E402

BENCH = os.path.join(ROOT, "usertools", "bench")
BENCH_SWEEP = os.path.join(ROOT, "usertools", "bench-sweep")
BENCH_TCP = os.path.join(ROOT, "usertools", "bench-tcp")
SELF_TEST_S = 120
NO_PRIORITY = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-all"]
EXIT_LACKS = 3
ROUND_FIELDS = {"mode", "kind", "size", "places", "watch", "loss", "sent", "received", "tsc_hz",
                "switch", "value"}
PART_FIELDS = {"place", "windows", "line_ns", "mpps", "guest_cycles", "busy", "tx_full",
               "switch_cycles", "value"}
ROW_FIELDS = {"measure", "switch", "unit", "value", "bottleneck", "switch_cycles_counted",
              "switch_cycles_from_rate", "guest_cycles", "total_cycles", "loss", "p99", "p999", "windows"}


def self_test(tap, build):
    with tempfile.TemporaryDirectory() as out, tap.case("bench measures us and writes its report"):
        done = subprocess.run([sys.executable, BENCH, "--self-test", "--build", build, "--measures",
                               "flood-64,rtt-64,load-64", "--out", out], capture_output=True,
                              text=True, timeout=SELF_TEST_S, check=False)
        if done.returncode == EXIT_LACKS:
            Tap.skip_all(done.stderr.strip())
        expect(done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        with open(os.path.join(out, "results.json"), encoding="utf-8") as file:
            results = json.load(file)
        check_results(results)
        names = ("results.txt", "flood-64.svg", "rtt-64.svg", "load-64.svg")
        for name in names:
            expect(os.path.getsize(os.path.join(out, name)) > 0, f"{name} is empty")
        check_report_again(build, out, names)


def check_report_again(build, out, names):
    """The report of results that are there is the same one."""
    def read():
        texts = {}
        for name in (*names, "results.json"):
            with open(os.path.join(out, name), encoding="utf-8") as file:
                texts[name] = file.read()
        return texts
    before = read()
    done = subprocess.run([sys.executable, BENCH, "--add", "--rounds", "0", "--build", build, "--measures",
                           "rtt-64", "--peers", "nfe", "--out", out], capture_output=True, text=True,
                          timeout=SELF_TEST_S, check=False)
    expect(done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    for name, text in read().items():
        expect(text == before[name], f"{name} differs")


def add(tap, build):
    """Of two runs, the first without results of nfe-raw."""
    with tempfile.TemporaryDirectory() as out, \
            tap.case("bench --add keeps what was said of earlier runs"):
        path = os.path.join(out, "results.json")
        for peers in ("nfe", "nfe-raw"):
            done = subprocess.run([sys.executable, BENCH, "--self-test", "--build", build,
                                   "--measures", "rtt-64", "--peers", peers, "--add", "--out", out],
                                  capture_output=True, text=True, timeout=SELF_TEST_S, check=False)
            expect(done.returncode == 0, f"code {done.returncode}:\n{done.stdout}{done.stderr}")
            with open(path, encoding="utf-8") as file:
                results = json.load(file)
            if peers == "nfe":
                results["runs"][0]["commit"] = "0123abc"
                results["left_out"] = {"nfe-raw": "not yet there", "ovs-packed": "not there"}
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(results, file)
        runs = results["runs"]
        expect([run["commit"] == "0123abc" for run in runs] == [True, False], runs)
        expect([one["switch"] for one in results["raw"]] == ["nfe", "nfe-raw"], results["raw"])
        numbers = [[one["round"] for one in kind["rounds"]] for kind in results["raw"]]
        expect(numbers == [[1], [2]], f"rounds of two runs are not the same one: {numbers}")
        for name in ("0123abc", runs[1]["commit"], "--peers nfe-raw",
                     "left out: ovs-packed: not there"):
            expect(name in done.stdout, f"'{name}' is not in:\n{done.stdout}")
        expect("left out: nfe-raw" not in done.stdout, done.stdout)
        expect(not [name for name in os.listdir(out) if name.endswith(".new")], os.listdir(out))


def against(tap, build):
    with tempfile.TemporaryDirectory() as out, tap.case("bench measures two builds in turn"):
        done = subprocess.run([sys.executable, BENCH, "--self-test", "--build", build, "--against", build,
                               "--peers", "nfe-raw", "--measures", "rtt-64", "--out", out],
                              capture_output=True, text=True, timeout=SELF_TEST_S, check=False)
        expect(done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        with open(os.path.join(out, "results.json"), encoding="utf-8") as file:
            names = [row["switch"] for row in json.load(file)["rows"]]
        expect(names == ["nfe-raw", "nfe-raw-other"], names)
        done = subprocess.run([sys.executable, BENCH, "--add", "--rounds", "0", "--build", build, "--out",
                               out], capture_output=True, text=True, timeout=SELF_TEST_S, check=False)
        expect(done.returncode == 1 and "say --against" in done.stderr, done.stdout + done.stderr)


def check_results(results):
    expect(not results["failures"], results["failures"])
    expect(len(results["rows"]) == 6, f"3 measures of 2 switches: {results['rows']}")
    for row in results["rows"]:
        expect(ROW_FIELDS <= set(row), f"{ROW_FIELDS - set(row)} missing in {row}")
        expect(row["value"]["max"] >= 0, row)
    for entry in results["raw"]:
        for one in entry["rounds"]:
            places = [part["place"] for part in one["places"]]
            if one["mode"] == "load": # only where the rate was measured
                expect(places[-1] == "any" and len(places) <= 2, one)
            else:
                expect(places == [*distance.PLACES, "any"], one)
            everything = one["places"][-1]
            if one["mode"] == "pingpong":
                # Of the 2500 pings asked for a fast switch makes all in three windows.
                expect(everything["windows"] >= distance.MIN_WINDOWS, one)
                expect(everything["rtt_ns"]["n"] > 0 and everything["one_way_ns"]["n"] > 0, one)
                continue
            expect(ROUND_FIELDS <= set(one), f"{ROUND_FIELDS - set(one)} missing in {one}")
            expect(PART_FIELDS <= set(everything), f"{PART_FIELDS - set(everything)} missing: {one}")
            # Read in the switch's own lcores file, window by window.
            expect(everything["switch_cycles"] > 0, everything)
            # The switch is asked when measuring has begun: on a busy machine long after that, when
            # these few windows are over, so that it counts no frame.
            expect(one["received"] > 0 and {"cycles", "frames", "drops"} <= set(one["switch"]), one)


def sweep(tap, build):
    with tempfile.TemporaryDirectory() as out, tap.case("bench-sweep sweeps, and adds rounds"):
        for rounds, sweeps in ((1, "inline-switch,idle-us,publish"), (2, "publish")):
            done = subprocess.run([sys.executable, BENCH_SWEEP, "--self-test", "--build", build,
                                   "--sweeps", sweeps, "--add", "--out", out],
                                  capture_output=True, text=True, timeout=2 * SELF_TEST_S,
                                  check=False)
            expect(done.returncode == 0,
                   f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
            check_sweep(out, "publish", (1, 32), rounds)
        check_sweep(out, "inline-switch", (60, 572), 1)
        check_sweep(out, "idle-us", (1, 50000), 1)
        for name in ("inline-switch-throughput.svg", "idle-us-cpu.svg", "idle-us-wake.svg",
                     "inline-switch.txt"):
            expect(os.path.getsize(os.path.join(out, name)) > 0, f"{name} is empty")


def check_sweep(out, name, values, rounds):
    with open(os.path.join(out, f"{name}.json"), encoding="utf-8") as file:
        results = json.load(file)
    expect(not results["failures"], results["failures"])
    expect(results["values"] == list(values), results["values"])
    for curve in results["curves"]:
        # Of a value without a clean window at the place of the others there is none.
        expect(curve["points"] and set(curve["points"]) <= {str(value) for value in values}, curve)
        expect(all(y["max"] > 0 for y in curve["points"].values()), curve)
    for value in values:
        seen = {one["round"] for one in results["raw"] if one["value"] == value}
        expect(seen == set(range(1, rounds + 1)), f"{name} {value}: rounds {seen}")


def tcp(tap, build):
    with tempfile.NamedTemporaryFile() as out, tap.case("bench-tcp moves TCP data either way"):
        done = subprocess.run([sys.executable, BENCH_TCP, "--build", build, "--rounds", "1",
                               "--seconds", "1", "--ways", "nfe,bridge-hints", "--json", out.name],
                              capture_output=True, text=True, timeout=SELF_TEST_S, check=False)
        if done.returncode == EXIT_LACKS:  # iperf3
            print(f"# {done.stderr.strip()}: not run")
            return
        expect(done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        values = json.load(out)
        expect(set(values) == {"nfe", "bridge-hints"}, values)
        expect(all(len(rounds) == 1 and rounds[0] > 0 for rounds in values.values()), values)


def limit(tap, lab):
    """The machine's own limits, next to which the targets are printed."""
    with tap.case("test-bench --mode limit wakes and copies"):
        eal = lab.eal_args("limit", 64)
        cpus = sorted(os.sched_getaffinity(0))
        eal[eal.index("--lcores") + 1] = f"0@{cpus[0]},1@{cpus[-1]}"
        done = lab.run([lab.program("test-bench"), *eal, "--", "--mode", "limit", "--windows", "2",
                        "--warm", "1", "--max-windows", "100"], timeout_s=SELF_TEST_S)
        found = [json.loads(text) for text in
                 re.findall(r"^result (\{.*\})$", done.stdout, re.MULTILINE)]
        expect([one["what"] for one in found] == [*["relay"] * 6, "wake"], done.stdout)
        for relay in found[:-1]:
            everything = relay["places"][-1] # on a busy machine nothing moves in many windows
            expect(everything["cycles"] > 0 and everything["rtt_ns"]["n"] > 0, relay)
            # A container may not have the right to a real-time priority.
            expect(everything["line_ns"] > 0 or "is not watched" in done.stderr, relay)
        expect(found[-1]["wake_ns"]["n"] == 100 and found[-1]["wake_ns"]["p50"] > 0, found[-1])


def look(tap, lab):
    with tap.case("test-bench --mode look tells how fast cores are, and how far apart"):
        eal = lab.eal_args("look", 64)
        cpus = sorted(os.sched_getaffinity(0))
        eal[eal.index("--lcores") + 1] = f"0@{cpus[0]},1@{cpus[-1]}"
        done = lab.run([lab.program("test-bench"), *eal, "--", "--mode", "look"])
        found = json.loads(re.search(r"^result (\{.*\})$", done.stdout, re.MULTILINE)[1])
        watch = found["watch"]
        expect(watch["core"] > 0 and watch["windows"] == 1000, found)
        expect(watch["watched"] != ("is not watched" in done.stderr), found)
        windows = {part["place"]: part["windows"] for part in found["places"]}
        # Each window is near, far, shared, late, or shared and late.
        unshared = windows["near"] + windows["far"]
        expect(1000 - watch["shared"] - watch["late"] <= unshared <= 1000 - watch["shared"], found)
        expect(sum(windows.values()) <= 1000 - watch["late"], found)
        for part in found["places"]:
            expect((part["line_ns"] > 0) == (part["windows"] > 0), part)
    with tap.case("without the right to a real-time priority no window has a place"):
        done = lab.run([*NO_PRIORITY, lab.program("test-bench"), *eal, "--", "--mode", "look"])
        found = json.loads(re.search(r"^result (\{.*\})$", done.stdout, re.MULTILINE)[1])
        expect("is not watched" in done.stderr and not found["watch"]["watched"], done.stderr)
        expect(all(part["windows"] == 0 for part in found["places"]), found)
        expect(found["watch"]["core"] > 0, found)


def measured(core, **places):
    """A result with windows, and nanoseconds of a line, by what test-bench took the place for; near_g:
    "near g"."""
    return {"watch": {"core": core}, "places": [
        *({"place": place.replace("_", " "), "windows": windows, "line_ns": line_ns}
          for place, (windows, line_ns) in places.items()), {"place": "any", "windows": 100, "line_ns": 300}]}


def places(tap):
    """Which results are compared."""
    near, far, both = (measured(2700, near=(50, 120), far=(0, 0)),
                       measured(2700, near=(7, 90), far=(9, 510)),
                       measured(2710, near=(20, 130), far=(40, 500)))
    shared = measured(3600, near=(90, 125), far=(0, 0)) # when nobody had seen a core alone
    with tap.case("only clean windows with the CPUs equally far apart are compared"):
        told = distance.Places([near, far, both, shared])

        def windows(place):
            return [part and part["windows"] for part in
                    (told.part(one, place) for one in (near, far, both, shared))]
        expect(windows("near") == [50, None, 20, None], windows("near"))
        expect(windows("far") == [None, 9, 40, None], windows("far"))
        expect(windows(None) == [100] * 4, windows(None))
        expect(told.choose([[near, far, far], [far, both]]) == "far", "most of each switch")
        expect(told.choose([[near], [both], [far]]) == "near", "most switches, then near")
        expect(told.choose([[shared]]) is None, "no place")
        guest = measured(2700, near=(9, 110), near_g=(80, 110))
        expect(told.choose([[guest], [guest]]) == "near", "without neighbours")
        busy = measured(2700, near=(2, 110), near_g=(80, 110), near_gs=(70, 110))
        expect(told.choose([[guest], [busy]]) == "near g", "most switches, with neighbours if need be")
        seems = measured(2700, near=(19, 150), far=(971, 400), far_g=(900, 400))
        expect(told.part(seems, "near") is None and told.part(seems, "far") is not None, "few near")
        idle = {"value": 1, "places": [{"place": "any", "windows": 0, "value": 1}]}
        expect(told.choose([[idle]]) is None and told.part(idle, None)["value"] == 1, "not watched")
        expect(distance.fullest(both)["line_ns"] == 500, "most windows")
        expect([distance.share_near(one) for one in (near, seems, guest, measured(2700))]
               == [1, 19 / 1890, 1, 0], "windows with and without neighbours")


def losses(tap):
    """A fast switch whose guests lose half is not to be mistaken for a slow one."""
    flood = next(one for one in measures.catalogue() if one.name == "flood-64")
    nfe, raw = (next(one for one in switches.ALL if one.name == name) for name in ("nfe", "nfe-raw"))

    def row(switch, loss):
        return report.Row(flood, switch, [{"round": 1, "value": 10.0, "tsc_hz": 2e9, "windows": 9, "busy": 1,
                                           "tx_full": 0, "loss": loss}])
    with tap.case("the report tells who loses frames"):
        told = io.StringIO()
        report.print_table([flood], [row(nfe, 0.001), row(raw, 0.5)], told)
        lines = [line for line in told.getvalue().splitlines() if "did not arrive" in line]
        expect(lines == [f"  {raw.label}: 50 % of the frames sent did not arrive"], told.getvalue())


def wrong_options(tap, lab):
    cases = ((["--mode", "flood", "--size", "10"], "--size"), (["--mode", "load"], "--rate"),
             (["--mode", "dance"], "--mode must be"),
             (["--mode", "flood", "--publish", "65"], "--publish"),
             (["--mode", "flood", "--ahead", "64"], "--ahead"),
             (["--mode", "flood", "--ahead", "-1"], "--ahead"),
             (["--mode", "flood"], "--vdev"), ([], "--mode"))
    for args, word in cases:
        with tap.case(f"test-bench {' '.join(args) or 'alone'} says what is wrong"):
            done = lab.run([lab.program("test-bench"), *lab.eal_args("options", 64), "--", *args],
                           check=False)
            expect(done.returncode != 0 and word in done.stderr, done.stderr)


def main():
    tap = Tap()
    if os.geteuid() != 0:
        Tap.skip_all("needs root")
    with Lab("bench-options", memory="nohuge") as lab:
        wrong_options(tap, lab)
        limit(tap, lab)
        look(tap, lab)
        places(tap)
        losses(tap)
        build = lab.build
    self_test(tap, build)
    add(tap, build)
    against(tap, build)
    sweep(tap, build)
    tcp(tap, build)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
