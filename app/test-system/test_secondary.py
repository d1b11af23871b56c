#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Secondary processes of a port of net_nfe: the stock dpdk-proc-info reads its statistics, a second
testpmd forwards on a queue of its own while the switch dies, dpdk-dumpcap captures, and one that is
killed in the middle of a burst takes nobody with it. Needs hugepages that two processes can share."""
import os
import re
import shutil
import sys

from lab import HUGEPAGES_FREE, Lab, Tap, expect, wait_until
from traffic import check_accounting, switch_config, vif_mac

VIFS = ["a", "b"]
HUGEPAGES = 320
MIB = 96
MANY = 5000    # frames that count as traffic
CAPTURED = 100
RESTARTS = 50
BORROWED = "librte_net_ring.so.23.0"  # whose name the driver has for dpdk-dumpcap, which takes no -d


class Primary:
    """testpmd on VIF a, in a mount namespace with a hugetlbfs of its own, and its secondaries."""

    def __init__(self, lab, name="shared", devargs=""):
        self.lab, self.name = lab, name
        self.huge = os.path.join(lab.run_dir, "huge")
        os.makedirs(self.huge, exist_ok=True)
        pmds = lab.run(["pkg-config", "--variable=libdir", "libdpdk"]).stdout.strip()
        borrowed = os.path.join(pmds, "dpdk", "pmds-23.0", BORROWED)
        mounts = (f"mount -t hugetlbfs none {self.huge} && "
                  f"mount --bind {lab.plugin()} {borrowed} && exec \"$0\" \"$@\"")
        self.prefix = ""
        testpmd = self.testpmd([0, 1], [f"--vdev=net_nfe0,socket={lab.socket('a')}{devargs}"], 0)
        self.process = lab.start("primary", ["unshare", "--mount", "sh", "-c", mounts, *testpmd])
        self.process.wait_log("testpmd> ", 30)

    def eal(self, lcores):
        """Lcores of their own: each has its cache in the pools."""
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        args = [arg for arg in self.lab.eal_args(self.name, MIB)
                if arg not in ("--in-memory", "--no-huge")]
        args[args.index("--lcores") + 1] = ",".join(f"{i}@({cpus})" for i in lcores)
        self.prefix = args[args.index("--file-prefix") + 1]
        return [*args, "--huge-dir", self.huge, "-d", self.lab.plugin()]

    def testpmd(self, lcores, eal, number):
        return ["stdbuf", "-oL", "dpdk-testpmd", *self.eal(lcores), *eal, "--", "-i",
                "--total-num-mbufs=8192", "--rxq=2", "--txq=2", "--num-procs=2",
                f"--proc-id={number}"]

    def inside(self, argv):
        return ["nsenter", "-m", "-t", str(self.process.pid), *argv]

    def start(self, name, argv):
        return self.lab.start(name, self.inside(argv))

    def second(self, name="secondary"):
        second = self.start(name, self.testpmd([2, 3], ["--proc-type=secondary"], 1))
        second.wait_log("testpmd> ", 30)
        return second

    def holder(self, direction):
        """A secondary that is inside a burst of queue 1 and stays there."""
        argv = [self.lab.program("test-secondary"), *self.eal([4]), "--proc-type=secondary", "--",
                direction, "1"]
        holder = self.start("holder", argv)
        holder.wait_log("^held$", 30)
        expect("refused all that is the primary's" in holder.log(), "control was not refused")
        return holder

    def proc_info(self, what):
        argv = ["dpdk-proc-info", "--file-prefix", self.prefix, "--no-pci", "-d",
                self.lab.plugin(), "--", "-p", "1", what]
        return self.lab.run(self.inside(argv), timeout_s=60).stdout

    def xstats(self):
        text = self.proc_info("--xstats")
        return {name: int(value) for name, value in re.findall(r"^\s*(\w+): (\d+)$", text,
                                                               re.MULTILINE)}


def ask(process, command, pattern):
    skip = len(process.log())
    process.send(command)
    return process.wait_log(pattern, 20, skip)


def start_sender(lab):
    """Many flows to a, so that both of its queues get some; nobody fetches what comes back."""
    sender = lab.start_testpmd("b", lab.socket("b"), ["-i", "--forward-mode=txonly",
                                                      "--txonly-multi-flow",
                                                      f"--eth-peer=0,{vif_mac(0)}"])
    sender.wait_log("testpmd> ", 30)
    sender.send("start")
    return sender


def both_forward(lab, switch, primary):
    """Both queues of a have received, and sent on, MANY frames from now."""
    before = primary.xstats()

    def enough():
        now = primary.xstats()
        return all(now[f"{way}_q{i}_packets"] - before[f"{way}_q{i}_packets"] >= MANY
                   for way in ("rx", "tx") for i in (0, 1))
    wait_until(enough, f"{MANY} frames by each process, both ways", 60, 0.2)


def statistics(tap, lab, switch, primary):
    with tap.case("dpdk-proc-info: counters of the driver and of the device", lab):
        primary.process.send("set fwd txonly")
        primary.process.send("start")
        wait_until(lambda: lab.vif_stats(switch, "a")["from_frames"] > MANY, "frames", 30)
        ask(primary.process, "stop", "Done")
        wait_until(lambda: lab.vif_stats(switch, "a")["from_frames"] ==
                   primary.xstats()["tx_good_packets"], "all are taken", 20, 0.2)
        now = primary.xstats()
        device = lab.vif_stats(switch, "a")
        expect(now["tx_good_packets"] == now["tx_q0_packets"] == now["dev_from_frames"] ==
               device["from_frames"] > MANY, f"{now}\n{device}")
        own = ask(primary.process, "show port stats 0", r"TX-packets: (\d+)")[1]
        basic = primary.proc_info("--stats")
        expect(int(own) == now["tx_good_packets"] and f"TX-packets: {own} " in basic, basic)


def traffic(tap, lab, switch, primary):
    """Returns the secondary, which goes on forwarding."""
    with tap.case("a second testpmd forwards on a queue of its own", lab):
        second = primary.second()
        primary.process.wait_log("secondary process .* attached")
        for process in (primary.process, second):
            process.send("set fwd macswap")
            process.send("start")
        start_sender(lab)
        both_forward(lab, switch, primary)
        check_accounting(lab, switch, VIFS)
        return second
    return None


def restart(tap, lab, switch, config, primary):
    with tap.case("the switch is killed and started under both: both go on, three times", lab):
        for i in range(3):
            switch.kill()
            switch = lab.start_switch(config)
            wait_until(lambda n=i + 1: primary.xstats()["replays"] == n, f"replay {i + 1}", 20)
            both_forward(lab, switch, primary)
            check_accounting(lab, switch, VIFS)
    return switch


def restarted_port(tap, lab, switch, primary):
    with tap.case("the primary stops and starts the port: the secondary goes on with it", lab):
        ask(primary.process, "stop", "Done")
        ask(primary.process, "port stop 0", "Done")
        before = primary.xstats()
        after = primary.xstats()
        expect(before["tx_q1_packets"] == after["tx_q1_packets"], "a stopped queue sends")
        ask(primary.process, "port start 0", "Done")
        primary.process.send("start")
        both_forward(lab, switch, primary)
        check_accounting(lab, switch, VIFS)


def mempool_drivers(lab):
    """Those that the primary is linked with. Processes know a mempool's operations by a number that
    counts what was loaded before, so dpdk-dumpcap, which is not linked with them, must load them
    first as well."""
    libraries = lab.run(["ldd", shutil.which("dpdk-testpmd")]).stdout
    return " ".join(re.findall(r"^\s*(librte_mempool_\S+)", libraries, re.MULTILINE))


def capture(tap, lab, primary, second):
    """DTS packet_capture. dpdk-dumpcap is a secondary, the primary copies the frames for it. Nobody
    forwards when it ends: it frees its ring and pool at once, and DPDK 22.11 does not wait until a
    data thread has left the callback that copies into them (rte_pdump.c), which then dies."""
    with tap.case("packet_capture: dpdk-dumpcap writes down what the port receives and sends", lab):
        path = os.path.join(lab.run_dir, "capture.pcap")
        argv = ["env", f"LD_PRELOAD={mempool_drivers(lab)}", "dpdk-dumpcap",
                f"--file-prefix={primary.prefix}", "-p", "-P", "-q", "-i", "net_nfe0", "-w", path]
        dumpcap = lab.start("dumpcap", primary.inside(argv))
        wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > CAPTURED * 100,
                   "frames in the capture", 60)
        for process in (second, primary.process):
            ask(process, "stop", "Done")
        expect(dumpcap.stop() == 0, f"exit code {dumpcap.popen.returncode}")
        primary.process.send("start")
        with open(path, "rb") as file:
            data = file.read()
        frames, at = [], 24
        while at + 16 <= len(data):
            length = int.from_bytes(data[at + 8:at + 12], "little")
            frames.append(data[at + 16:at + 16 + length])
            at += 16 + length
        macs = {bytes.fromhex(vif_mac(i).replace(":", "")) for i in (0, 1)}
        expect(len(frames) >= CAPTURED, f"{len(frames)} frames\n{dumpcap.log()}")
        expect(all({frame[:6], frame[6:12]} == macs for frame in frames), "other frames than ours")
        expect({frame[:6] for frame in frames} == macs, "only one direction")


def died_inside(tap, lab, switch, config, primary):
    with tap.case("killed within a burst: the replay waits for nobody who is dead", lab):
        for direction in ("rx", "tx"):
            holder = primary.holder(direction)
            skip = len(primary.process.log())
            switch.kill()
            switch = lab.start_switch(config)
            primary.process.wait_log("a data thread is in a burst for", 10, skip)
            holder.kill()
            primary.process.wait_log(rf"process \d+ ended within a burst of {direction} queue 1, "
                                     r"\d+ mbufs are lost", 10, skip)
            primary.process.wait_log("link up", 10, skip)
    return switch


def forward_and_quit(lab, switch, primary, second):
    second.send("set fwd macswap")
    second.send("start")
    both_forward(lab, switch, primary)
    ask(second, "stop", "Done")
    second.send("quit")
    expect(second.wait() == 0, f"exit code {second.popen.returncode}")


def attached_meanwhile(tap, lab, switch, primary):
    with tap.case("a secondary attaches while the port stops and starts: it knows how it ended", lab):
        ask(primary.process, "stop", "Done")
        skip = len(primary.process.log())
        for _ in range(RESTARTS):
            primary.process.send("port stop 0")
            primary.process.send("port start 0")
        second = primary.second("meanwhile")
        wait_until(lambda: primary.process.log()[skip:].count("Done") >= 2 * RESTARTS,
                   "the port's restarts", 60, 0.2)
        primary.process.send("start")
        forward_and_quit(lab, switch, primary, second)


def goes_on(tap, lab, switch, primary):
    with tap.case("another secondary goes on with its queues", lab):
        forward_and_quit(lab, switch, primary, primary.second("another"))
        ask(primary.process, "stop", "Done")
        primary.process.send("quit")
        expect(primary.process.wait() == 0, f"primary: {primary.process.popen.returncode}")
        check_accounting(lab, switch, VIFS)


def copy_mode(tap, lab, switch):
    with tap.case("copy mode: statistics only, and bursts give nothing", lab):
        primary = Primary(lab, "copy", ",share_kib=8192")
        second = primary.second("reader")
        second.wait_log("statistics only: the primary is in copy mode")
        second.send("set fwd txonly")
        second.send("start")
        primary.process.send("set fwd txonly")
        primary.process.send("start")
        wait_until(lambda: primary.xstats()["tx_q0_packets"] > MANY, "the primary sends", 30)
        expect(primary.xstats()["tx_q1_packets"] == 0, "the secondary sends")
        second.stop()
        primary.process.send("quit")
        expect(primary.process.wait() == 0, f"primary: {primary.process.popen.returncode}")
        check_accounting(lab, switch, VIFS)


def main():
    if os.geteuid() != 0 or not os.path.exists(HUGEPAGES_FREE):
        Tap.skip_all("needs root and hugepages: secondary processes share them")
    tap = Tap()
    with Lab("secondary", hugepages=HUGEPAGES) as lab:
        if lab.memory != "huge":
            Tap.skip_all("needs free hugepages: secondary processes share them")
        config = switch_config(lab, VIFS)
        switch = lab.start_switch(config)
        primary = Primary(lab)
        statistics(tap, lab, switch, primary)
        second = traffic(tap, lab, switch, primary)
        if second is not None:
            switch = restart(tap, lab, switch, config, primary)
            restarted_port(tap, lab, switch, primary)
            capture(tap, lab, primary, second)
            second.send("quit")
            second.wait()
        switch = died_inside(tap, lab, switch, config, primary)
        attached_meanwhile(tap, lab, switch, primary)
        goes_on(tap, lab, switch, primary)
        copy_mode(tap, lab, switch)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
