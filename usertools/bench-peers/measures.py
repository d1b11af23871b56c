# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What is measured. A measure gets a started switch and gives one result, a dict with "value".

Measures that ask for more ports than a switch can have, jumbo frames that it doesn't take, or
addresses that it doesn't learn, are left out for that switch.
"""
import json
import re
import time

import distance
import machine
import switches
from lab import expect

ATTACHED = (2, 8, 32, 64, 256, 1024)
ACTIVE = (2, 4, 8, 16, 32, 64)
MACS = (1, 1000, 64000)
WARM_MACS = 20000        # windows
SIZES = (60, 64, 128, 256, 512, 1500, 9000)
IDLE_VIFS = 64
IDLE_S = 3
WAKE_GAP_US = 20000
WAKE_PINGS = 100
MAX_WINDOWS = 25         # tried for each that is wanted: cores are ours for a tenth of the time
PINGS_PER_WINDOW = 100
RAW_HOLD_DESC = 64
LOAD_MIN_MPPS = 0.01     # a machine so busy that nothing moved in most windows
GUEST_MIB = 512
HOLD_MIB = 192
RESULT_S = 60
STOP_S = 20


class Context:
    """One switch, started, in a Lab; and how long to measure."""

    def __init__(self, lab, switch, windows):
        self.lab, self.switch, self.windows = lab, switch, windows

    def guest(self, ports, args, watch=True):
        """Runs test-bench on these ports to its end; returns its result with the switch's part."""
        process = self.start_guest("guest", ports, [*args, "--stay"], watch)
        process.wait_log("^test-bench: measuring", RESULT_S)
        self.switch.begin()
        found = process.wait_log(r"^result (\{.*\})$", RESULT_S)
        # Before the guest goes: some drivers lose their counters with it.
        counted = self.switch.end()
        process.popen.terminate()
        code = process.wait(STOP_S)
        expect(code == 0, f"test-bench ended with code {code}: {found[1]}")
        return distance.see(dict(json.loads(found[1]), switch=counted))

    def start_guest(self, name, ports, args, watch=False, mib=GUEST_MIB):
        switch, thread = self.switch, self.switch.data_thread()
        watched = [*distance.options(), "--switch-cpu", str(machine.cpus()[1]),
                   *switch.args_of_watch()] if watch else []
        if watch and thread:
            watched += ["--switch-schedstat", f"{thread}/schedstat"]
        argv = [self.lab.program("test-bench"),
                *switches.eal(self.lab, name, mib, f"0@{machine.cpus()[0]}"),
                *switch.eal_of_guest(ports), "--", *switch.args_of_guest(ports), *watched, *args]
        process = self.lab.start(name, argv, netns=switch.netns)
        machine.prioritise(process)
        return process

    def hold(self, first, last):
        """Attaches ports first..last-1 from further processes, which then do nothing."""
        results = []
        raw = self.switch.raw
        for start in range(first, last, self.switch.holder_ports):
            ports = range(start, min(last, start + self.switch.holder_ports))
            args = ["--mode", "hold", "--desc", str(RAW_HOLD_DESC if raw else switches.HOLD_DESC)]
            if not raw:
                args += ["--mbufs", "511"]
            process = self.start_guest(f"hold{start}", ports, args, mib=64 if raw else HOLD_MIB)
            process.wait_log("^test-bench: holding", RESULT_S)
            found = re.search(r"^result (\{.*\})$", process.log(), re.MULTILINE)
            results.append(json.loads(found[1]))
        return results

    def common(self):
        return ["--desc", str(self.switch.desc), "--windows", str(self.windows),
                "--max-windows", str(MAX_WINDOWS * self.windows)]


def with_value(result, take):
    """The result with a "value" in each of its parts, and its own, from where it was measured most."""
    for part in result["places"]:
        part["value"] = take(part) if part["windows"] else None
    result["value"] = distance.fullest(result)["value"]
    return result


def p50(times):
    """Of a histogram that may be of nothing: all frames of these windows were lost."""
    return times["p50"] if times else None


def undisturbed(value, **more):
    """The result of what nobody watches: a part for all there is."""
    return {"value": value, "places": [{"place": "any", "windows": 0, "value": value}], **more}


def flood(ctx, size=64, ports=2, extra=()):
    args = ["--mode", "flood", *ctx.common(), *extra]
    if size is not None:
        args += ["--size", str(size)]
        if size > 64:
            args.append("--touch")
    result = ctx.guest(range(ports), args)
    return with_value(result, lambda part: part["mpps"] and part["mpps"]["median"])


def imix(ctx):
    return flood(ctx, None, extra=["--imix", "--touch"])


def attached(ctx, count):
    ctx.hold(2, count)
    return flood(ctx)


def active(ctx, count):
    """Rings of more than two are shorter, those of virtio too (Virtio.vdev)."""
    if count > switches.PAIR:
        ctx.switch.desc = switches.HOLD_DESC
    return flood(ctx, ports=count, extra=["--ring"])


def macs(ctx, count):
    """OVS makes a flow of each address when it sees it first, in the time of one frame."""
    return flood(ctx, extra=["--macs", str(count), "--warm", str(WARM_MACS)])


def rtt(ctx):
    result = ctx.guest([0, 1], ["--mode", "pingpong", *ctx.common(), "--pings",
                                str(PINGS_PER_WINDOW * ctx.windows)])
    return with_value(result, lambda part: p50(part["rtt_ns"]))


def load(ctx):
    """Half of what this switch can do: measured right before, as the CPUs move, and of its place only."""
    full = distance.fullest(flood(ctx))
    rate = max((full["value"] or 0) / 2, LOAD_MIN_MPPS)
    result = ctx.guest([0, 1], ["--mode", "load", *ctx.common(), "--rate", f"{rate:.4f}"])
    result["places"] = [part for part in result["places"] if part["place"] in ("any", full["place"])]
    return with_value(result, lambda part: p50(part["latency_ns"]))


def idle(ctx):
    """Share of a CPU that the data thread takes when nobody sends, in percent."""
    ctx.hold(2, IDLE_VIFS)
    thread = ctx.switch.data_thread()
    time.sleep(1)
    before, start = machine.cpu_ns(thread), time.monotonic_ns()
    time.sleep(IDLE_S)
    share = (machine.cpu_ns(thread) - before) / (time.monotonic_ns() - start)
    return undisturbed(100 * share, vifs=IDLE_VIFS - 2)


def wake(ctx):
    """One way, when the last frame was long ago."""
    ctx.hold(2, IDLE_VIFS)
    result = ctx.guest([0, 1], ["--mode", "pingpong", "--desc", str(ctx.switch.desc), "--pings",
                                str(WAKE_PINGS), "--max-windows", str(3 * WAKE_PINGS),
                                "--gap-us", str(WAKE_GAP_US)], watch=False)
    return with_value(result, lambda part: p50(part["one_way_ns"]))


def attach(ctx):
    """Time to attach a port, and what the switch needs for it."""
    ctx.switch.desc = switches.HOLD_DESC
    before = machine.anonymous_kib(ctx.switch.process)
    held = ctx.hold(0, 31)
    ends = sum(result["ends"] for result in held)
    kib = machine.anonymous_kib(ctx.switch.process) - before
    return undisturbed(sum(result["attach_us"] for result in held) / ends, ends=ends,
                       switch_kib_per_port=kib / ends)


class Measure:
    """A row of the table. size etc.: what the switch must be able to do."""

    def __init__(self, name, title, unit, run, ports=2, mtu=1500, uplink=False, needs=None):
        self.name, self.title, self.unit, self.run = name, title, unit, run
        self.ports, self.mtu, self.uplink, self.needs = ports, mtu, uplink, needs

    @property
    def higher_is_better(self):
        return self.unit == "Mpps"

    def fits(self, switch):
        """Can this kind of switch be measured so?"""
        if switch.only is not None and self.name not in switch.only:
            return False
        if self.ports > switch.max_ports or (self.mtu > 1500 and not switch.jumbo):
            return False
        if self.uplink and (not switch.learns or switch.raw):
            return False
        return self.needs is None or self.needs(switch)


def has_thread(switch):
    return not issubclass(switch, switches.KernelBridge)


def one_process(count):
    """All ports in one process: 32 ethdevs, or as many VIFs as one likes."""
    return lambda switch: count <= 32 or switch.holder_ports >= count


def enough_holders(count):
    """Beyond 64 ports only raw rings hold the idle ones."""
    return lambda switch: count <= 64 or switch.holder_ports >= 1024


def catalogue():
    found = [Measure(f"flood-{size}", f"{size} B", "Mpps",
                     lambda ctx, size=size: flood(ctx, size),
                     mtu=1500 if size <= 1500 else 9000) for size in SIZES]
    found += [
        Measure("imix", "IMIX", "Mpps", imix),
        Measure("both-64", "64 B, both directions", "Mpps",
                lambda ctx: flood(ctx, extra=["--both"])),
        Measure("both-1500", "1500 B, both directions", "Mpps",
                lambda ctx: flood(ctx, 1500, extra=["--both"])),
        Measure("rtt-64", "round trip, 64 B, p50", "ns", rtt),
        Measure("load-64", "latency at half load, 64 B, p50", "ns", load),
    ]
    found += [Measure(f"macs-{n}", f"{n} addresses on an uplink", "Mpps",
                      lambda ctx, n=n: macs(ctx, n), uplink=True) for n in MACS]
    found.append(Measure("uplink-64", "guest and uplink, both directions", "Mpps",
                         lambda ctx: flood(ctx, extra=["--both"]), uplink=True,
                         needs=lambda switch: switch.ours))
    found += [Measure(f"attached-{n}", f"2 active of {n}", "Mpps",
                      lambda ctx, n=n: attached(ctx, n), ports=n, needs=enough_holders(n))
              for n in ATTACHED]
    found += [Measure(f"active-{n}", f"{n} all active", "Mpps",
                      lambda ctx, n=n: active(ctx, n), ports=n, needs=one_process(n))
              for n in ACTIVE]
    found += [
        Measure("idle-64", "CPU of the switch, 62 idle ports", "%", idle, ports=IDLE_VIFS,
                needs=has_thread),
        Measure("wake-64", "one way after a rest, p50", "ns", wake, ports=IDLE_VIFS,
                needs=has_thread),
        Measure("attach", "to attach a port", "us", attach, ports=31, needs=has_thread),
    ]
    return found


QUICK = ("flood-64", "rtt-64")
