#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""vif-ctl on a running switch: each command's table and --json say what telemetry says, --watch
shows rates while frames flow, and a wrong call ends with a reason and its exit code.

Tables are compared when nothing moves: guest b stays attached and silent, and the frames between a
and c have ended. vif-ctl xen is test_vif_ctl_xen.py's.
"""
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys

from lab import ROOT, Lab, Tap, drops, expect, wait_until
from traffic import Traffic, switch_config, vif_mac

CTL = [sys.executable, os.path.join(ROOT, "usertools", "vif-ctl")]
VIFS = ["a", "b", "c"]
MANY = 60               # more VIFs, so that lists come in several pages of telemetry
WIRE_MAC = "02:00:00:00:00:99"
WIRE_FRAMES = 3
LOOKS, INTERVAL_S = 3, 0.3
UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
REFUSED, BAD_CALL = 1, 2
COUNTERS = ("from_frames", "from_bytes", "from", "to_frames", "to_bytes", "to")  # list


class Ctl:
    """vif-ctl with the options that lead to the switch, and what telemetry says without it."""

    def __init__(self, lab, switch):
        self.lab = lab
        self.switch = switch
        self.prefix = os.path.basename(lab.eal_dir(switch))

    def argv(self, *args):
        return [*CTL, "--file-prefix", self.prefix, *args]

    def text(self, *args):
        done = self.lab.run(self.argv(*args))
        expect(not done.stderr, f"{args}: {done.stderr}")
        return done.stdout

    def json(self, *args):
        return json.loads(self.text("--json", *args))

    def table(self, *args):
        """Header, and rows as lists of words."""
        header, *rows = [line.split() for line in self.text(*args).splitlines()]
        return header, rows

    def ask(self, command):
        return self.lab.telemetry(self.switch, command)

    def pages(self, command):
        entries = []
        while True:
            page = self.ask(f"{command},{len(entries)}")
            if not page:
                return entries
            entries += page.values() if isinstance(page, dict) else page


def same_number(text, value):
    """Is a number of four digits and a unit, as tables have it, this value?"""
    number, unit = re.fullmatch(r"([\d.]+)([kMGTP]?)", text).groups()
    shown = float(number) * UNITS[unit]
    return shown == value if not unit else abs(shown - value) <= 0.051 * UNITS[unit]


def is_top_drop(words, counters):
    """Do the words name a reason for most drops, or "-" where there are none?"""
    lost = {f"{side} {reason.replace('_', ' ')}": count for side in ("from", "to")
            for reason, count in drops(counters, side).items()}
    if not lost:
        return words == ["-"]
    *reason, number = words
    most = max(lost.values())
    return lost.get(" ".join(reason)) == most and same_number(number, most)


def check_list(ctl):
    vifs = ctl.pages("/vif/all")
    expect(len(vifs) == len(VIFS) + MANY, f"{len(vifs)} VIFs")
    expect(ctl.json("list") == vifs, "--json list is not /vif/all")
    header, rows = ctl.table("list")
    expect(header[:4] == ["VIF", "MAC", "LINK", "STATE"], f"header {header}")
    expect([row[:2] for row in rows] == [[vif["name"], vif["mac"]] for vif in vifs], "other VIFs")
    expect(rows[1][2:4] == ["up", "ready"], f"guest b: {rows[1]}")
    for vif, row in zip(vifs, rows):
        if vif["name"] != "b":
            expect(row[2:5] == ["down", "no", "guest"], f"no guest is at {row}")
            del row[4]
        values = {**vif, **{side: sum(drops(vif, side).values()) for side in ("from", "to")}}
        for column, text in zip(COUNTERS, row[4:]):
            expect(same_number(text, values[column]), f"{row}: {text} is not {values[column]}")
        expect(is_top_drop(row[10:], vif), f"{row}: drops are {drops(vif, 'from')}, "
                                           f"{drops(vif, 'to')}")
    expect(drops(vifs[len(VIFS)], "to"), "nothing was dropped at p0")


def check_stats(ctl):
    total = {}
    for name in VIFS + [f"p{i}" for i in range(MANY)]:
        stats = ctl.ask(f"/vif/stats,{name}")
        if name in VIFS:
            expect(ctl.json("stats", name) == stats, f"--json stats {name}")
            shown = dict(line.split() for line in ctl.text("stats", name).splitlines())
            expect(shown == {key: str(value) for key, value in stats.items()}, f"stats {name}")
        for key, value in stats.items():
            total[key] = total.get(key, 0) + value
    stats = ctl.ask("/uplink/stats,wire")
    expect(stats["from_frames"] == WIRE_FRAMES, f"uplink: {stats}")
    expect(ctl.json("stats", "wire") == stats, "--json stats wire")
    total = {key: value + stats[key] for key, value in total.items()}
    sums = ctl.json("stats")
    expect({key: sums[key] for key in total} == total, f"sums {sums} are not {total}")
    expect(sums["ports"] == len(VIFS) + MANY + 1, f"ports: {sums}")
    expect([sums[f"{which}_adds_up"] for which in ("from", "to", "offered")] == [1, 1, 1], sums)
    expect(sums["from_drop"] == sum(drops(total, "from").values()), sums)
    shown = dict(line.split() for line in ctl.text("stats").splitlines())
    expect(shown == {key: str(value) for key, value in sums.items()}, "stats")


def check_info(ctl):
    info = ctl.ask("/vif/info,b")
    expect(info["attached"] and info["bytes"] > 0 and ctl.json("info", "b") == info, info)
    lines = ctl.text("info", "b").splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines
                 if len(line.split()) > 1 and not line.startswith(" "))
    for key, value in info.items():
        if isinstance(value, dict):
            start = lines.index(f"{key}:") + 1
            group = {key: str(count) for key, count in value.items() if count}
            inner = dict(line.split() for line in lines[start:start + len(group)])
            expect(inner == group, f"{key}: {inner} is not {group}")
        elif str(value):
            expect(shown[key] == str(value), f"{key} {shown[key]} is not {value}")


def check_queues(ctl):
    queues = ctl.pages("/vif/queues,b")
    expect(queues and ctl.json("queues", "b") == queues, "--json queues b")
    header, rows = ctl.table("queues", "b")
    what = [name.lower() for name in header[4:]]
    wanted = [[str(q["channel"]), role, str(q["lcore"]), q["state"],
               *[str(q[f"{role}_{name}"]) for name in what]]
              for q in queues for role in ("sq", "rq", "fq")]
    expect(rows == wanted, f"{rows} is not {wanted}")
    expect(ctl.text("queues", "p0") == "no running channels\n", "queues without a guest")


def check_fdb(ctl):
    entries = ctl.pages("/fdb/list")
    got = ctl.json("fdb")
    ages = [{**entry, "age_s": 0} for entry in entries]
    expect([{**entry, "age_s": 0} for entry in got] == ages, "--json fdb")
    _, rows = ctl.table("fdb")
    kinds = {row[0]: (row[1], row[2]) for row in rows}
    wanted = {vif_mac(i): (name, "static") for i, name in enumerate(VIFS)}
    wanted[WIRE_MAC] = ("wire", "learned")
    expect({mac: kinds.get(mac) for mac in wanted} == wanted, f"{rows}")
    expect(len(rows) == len(entries) == len(VIFS) + MANY + 1, f"{len(rows)} rows")
    for row in rows:
        expect(re.fullmatch(r"\d+" if row[2] == "learned" else "-", row[3]), f"age of {row}")


def check_lcores(ctl):
    lcores = ctl.json("lcores")
    _, rows = ctl.table("lcores")
    now = list(ctl.ask("/switch/lcores").values())
    expect([row[:2] for row in rows] == [[str(l["lcore"]), str(l["channels"])] for l in now], rows)
    expect([l["lcore"] for l in lcores] == [l["lcore"] for l in now] and len(now) == 2, lcores)
    for key in ("loops", "busy_cycles", "idle_cycles", "sleeps"):
        for before, after in zip(lcores, now):
            expect(0 < before[key] <= after[key] or key == "sleeps", f"{key}: {before}, {after}")
    check_lcores_file(ctl)


def check_lcores_file(ctl):
    """The same numbers for who asks nobody: struct vsw_lcore_counters for each lcore."""
    path = os.path.join(ctl.lab.socket_dir, "lcores")
    keys = ("busy_cycles", "idle_cycles", "loops", "sleeps", "wakes", "kick_storms", "lcore",
            "run_delay_us")
    before = list(ctl.ask("/switch/lcores").values())
    with open(path, "rb") as file:
        found = [dict(zip(keys, record)) for record in struct.iter_unpack("<6QI4xQ", file.read())]
    after = list(ctl.ask("/switch/lcores").values())
    expect(len(found) == 2 and os.stat(path).st_mode & 0o777 == 0o644, found)
    for low, one, high in zip(before, found, after):
        expect(one["lcore"] == low["lcore"], f"{one}, {low}")
        expect(all(low[key] <= one[key] <= high[key] for key in keys), f"{low}, {one}, {high}")


def check_uplinks(ctl):
    info, stats = ctl.ask("/uplink/info,wire"), ctl.ask("/uplink/stats,wire")
    expect(ctl.json("uplinks") == [{**info, **stats}], "--json uplinks")
    _, rows = ctl.table("uplinks")
    expect(rows == [["wire", "net_af_packet0", info["mac"], "up", "yes", str(WIRE_FRAMES),
                     str(sum(drops(stats, "from").values())), str(stats["to_frames"]),
                     str(sum(drops(stats, "to").values())), *rows[0][9:]]] and
           is_top_drop(rows[0][9:], stats), f"{rows} is not {stats}")


def watch(ctl, calls):
    """Outputs of calls with --watch, all at the same time. calls: (arguments, what each look shows).
    Ctrl-C comes when there were LOOKS."""
    runs = [(ctl.lab.start("watch", ctl.argv(*args, "--watch", str(INTERVAL_S))), look)
            for args, look in calls]
    for run, look in runs:
        wait_until(lambda: len(re.findall(look, run.log(), re.MULTILINE)) >= LOOKS,
                   f"{LOOKS} looks of {run.argv}", 20)
        os.kill(run.pid, signal.SIGINT)
        code = run.wait(5)
        expect(code == 0, f"{run.argv}: exit code {code}: {run.tail()}")
    return [run.log() for run, _ in runs]


def check_watch(ctl):
    """Needs frames from a and c."""
    stats, listed, lcores, uplinks, queues, lines = watch(ctl, (
        (["stats", "a"], "^from_frames .*\n"), (["list"], "^a .*\n"),
        (["lcores"], r"\d% .*\n"), (["uplinks"], "^wire .*\n"),
        (["queues", "a"], "^ +1 +sq .*\n"), (["--json", "stats", "a"], r"^\{.*\}\n")))
    looks = re.findall(r"^from_frames +(\d+) +([\d.]+)([kMG]?)$", stats, re.MULTILINE)
    totals = [int(total) for total, _, _ in looks]
    rates = [float(rate) * UNITS[unit] for _, rate, unit in looks]
    rounded = [UNITS[unit] / 2 / 10 ** len(rate.partition(".")[2]) for _, rate, unit in looks]
    expect(rates[0] == 0, f"looks: {looks}")
    for i in range(1, len(looks)):
        most = (totals[i] - totals[i - 1]) / INTERVAL_S
        expect(0 < rates[i] <= most * 1.01 + rounded[i], f"rate {rates[i]}, but {most} at most: {looks}")
    row = re.findall(r"^a .*$", listed, re.MULTILINE)[-1].split()
    expect("SENT/s" in listed and row[4] != "0" and row[7] != "0", f"no rates: {row}")
    busy = [float(load) for load in re.findall(r" ([\d.]+)% ", lcores)]
    expect(0 < max(busy[-2:]) <= 100, f"load {busy}")
    expect("IN/s" in uplinks, uplinks)
    host = re.findall(r"^ +1 +sq +\d+ +\w+ +\d+ +\d+ +(\d+)", queues, re.MULTILINE)
    expect(len(set(host)) >= LOOKS, f"the send queue's index stands still: {host}")
    frames = [json.loads(line)["from_frames"] for line in lines.splitlines()]
    expect(frames == sorted(set(frames)), f"--json: {frames}")
    reader = subprocess.run(["sh", "-c", '"$@" | head -n 1', "sh",
                             *ctl.argv("list", "--watch", "0.1")],
                            capture_output=True, text=True, timeout=30, check=False)
    expect(reader.stdout.startswith("VIF ") and not reader.stderr, f"into a pipe: {reader}")


def check_errors(ctl, other):
    """other: a DPDK process that is no switch."""
    prefix = ctl.argv()[len(CTL):]
    stranger = ["--file-prefix", os.path.basename(ctl.lab.eal_dir(other))]
    nowhere = ["--socket", "/nowhere/telemetry"]
    calls = (
        ([*prefix, "stats", "nobody"], REFUSED, "no VIF named nobody"),
        ([*prefix, "info", "nobody"], REFUSED, "no VIF named nobody"),
        ([*prefix, "queues", "nobody"], REFUSED, "no VIF named nobody"),
        ([*prefix, "info", "wire"], REFUSED, "no VIF named wire"),
        (["--file-prefix", "nothing-runs", "list"], REFUSED, "no vif-switch answers",
         "/nothing-runs/", "--file-prefix"),
        ([*nowhere, "list"], REFUSED, "no vif-switch answers", nowhere[1]),
        ([*stranger, "list"], REFUSED, stranger[1], "is that a vif-switch?"),
        ([*stranger, "stats"], REFUSED, stranger[1], "is that a vif-switch?"),
        ([*stranger, "stats", "a"], REFUSED, stranger[1], "is that a vif-switch?"),
        ([*prefix], BAD_CALL, "COMMAND"),
        ([*prefix, "lst"], BAD_CALL, "lst"),
        ([*prefix, "info"], BAD_CALL, "NAME missing"),
        ([*prefix, "queues"], BAD_CALL, "NAME missing"),
        ([*prefix, "fdb", "a"], BAD_CALL, "takes no NAME"),
        ([*prefix, "fdb", "--watch", "1"], BAD_CALL, "not for fdb"),
        ([*prefix, "list", "--watch", "0"], BAD_CALL, "0.1 to 3600"))
    runs = [subprocess.Popen([*CTL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True) for args, *_ in calls]
    for run, (args, code, *words) in zip(runs, calls):
        out, err = run.communicate(timeout=60)
        expect(run.returncode == code and not out,
               f"{args}: exit code {run.returncode}: {out}{err}")
        for word in words:
            expect(word in err, f"{args}: '{word}' is not in: {err}")
        expect("Traceback" not in err, f"{args}: {err}")
    path = os.path.join(ctl.lab.eal_dir(ctl.switch), "dpdk_telemetry.v2")
    done = ctl.lab.run([*CTL, "--socket", path, "--json", "queues", "b"])
    expect(json.loads(done.stdout) == ctl.pages("/vif/queues,b"), "--socket")


def stopped(pid):
    """Every thread of it. One that just ends is not: telemetry has a thread for each client."""
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as file:
                states.append(file.read().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            return False
    return set(states) == {"T"}


def check_crowd(ctl):
    """Others have taken all the room that telemetry has for clients that wait, and then leave."""
    path = os.path.join(ctl.lab.eal_dir(ctl.switch), "dpdk_telemetry.v2")
    others = []
    os.kill(ctl.switch.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: stopped(ctl.switch.pid), "the switch stops", 5)
        with contextlib.suppress(BlockingIOError):
            while True:
                others.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                others[-1].setblocking(False)
                others[-1].connect(path)
        run = ctl.lab.start("crowd", ctl.argv("--json", "list"))
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = run.popen.wait(1)
            expect(False, f"it did not wait: exit code {code}: {run.log()}")
    finally:
        for sock in others:
            sock.close()
        os.kill(ctl.switch.pid, signal.SIGCONT)
    expect(run.wait() == 0, run.log())


def send_from_wire(lab, ctl):
    """A station there, to b, to p0 where no guest is, and to an address that nobody has."""
    wire = lab.packet_socket("wire", "wire0")
    targets = (vif_mac(1), "02:00:00:00:01:00", "02:00:00:00:ff:ff")
    expect(len(targets) == WIRE_FRAMES, "frames of the wire")
    for target in targets:
        wire.send(bytes.fromhex((target + WIRE_MAC).replace(":", "")) + b"\x88\xb5" + bytes(46))
    wait_until(lambda: ctl.ask("/uplink/stats,wire")["from_frames"] == WIRE_FRAMES, "frames", 5)


def main():
    tap = Tap()
    with Lab("vif-ctl") as lab:
        for name in ("wire", "switch"):
            lab.add_netns(name)
        lab.add_veth("wire", "wire0", "switch", "uplink0")
        config = switch_config(lab, VIFS, "uplink wire port net_af_packet0 learning on\n"
                               f"vifs p count {MANY} mac 02:00:00:00:01:00\n")
        switch = lab.start_switch(config, netns="switch", lcores=2,
                                  eal=["--vdev=net_af_packet0,iface=uplink0"])
        ctl = Ctl(lab, switch)
        echo = lab.start("echo", [lab.program("vif-echo"), "--sleep",
                                  f"vfio-user:{lab.socket('b')}"])
        echo.wait_log("vif-echo: ready")
        send_from_wire(lab, ctl)
        pair = Traffic(lab, "pair", "pmd:a", "ring:c", ["--both", "--stream"]).ready()
        with tap.case("--watch shows totals and rates, until Ctrl-C", lab):
            check_watch(ctl)
        with tap.case("errors name object and limit, exit code 1 or 2", lab):
            check_errors(ctl, pair.process)
        pair.stop()
        for vif in ("a", "c"):
            wait_until(lambda: not ctl.ask(f"/vif/info,{vif}")["attached"], f"{vif} free", 5)
        with tap.case("waits while telemetry has no room for one more client", lab):
            check_crowd(ctl)
        for check in (check_list, check_stats, check_info, check_queues, check_fdb, check_lcores,
                      check_uplinks):
            command = check.__name__.rpartition("_")[2]
            with tap.case(f"{command}: table and --json are what telemetry says", lab):
                check(ctl)
        with tap.case("the lcores file goes with the switch", lab):
            switch.stop()
            expect(not os.path.exists(os.path.join(lab.socket_dir, "lcores")), "still there")
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
