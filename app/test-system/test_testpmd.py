#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""The STOCK dpdk-testpmd on net_nfe: what a user of the driver does first, by its command line. Port
names and statistics are testpmd's; what the switch says is compared with it."""
import re
import sys

from lab import Lab, Tap, expect, wait_until
from traffic import Traffic, check_accounting, harmless

RX_PROMISC, RX_ALLMULTI = 1, 2  # specification 7.7
CONFIG = """socket-dir {dir}
vif a mac 02:00:00:00:00:10 allow 02:00:00:00:00:aa allow 02:00:00:00:00:ab max-mtu 9000 queues 4
vif b mac 02:00:00:00:00:11 max-mtu 9000 queues 4
vif c mac 02:00:00:00:00:12
vif d mac 02:00:00:00:00:13
"""
QUEUES = 4
ROUNDS = 5


class Testpmd:
    """testpmd with a prompt: ask() returns what one command printed."""

    def __init__(self, lab, name, vif, devargs="", args=(), lcores=2):
        self.process = lab.start_testpmd(name, lab.socket(vif), ["-i", *args], devargs=devargs,
                                         lcores=lcores)
        self.process.wait_log("testpmd> ", 30)

    def ask(self, command):
        skip = len(self.process.log())
        self.process.send(command)
        # A second, silent command: its prompt shows that the first has ended.
        self.process.send("show port xstats nothing")
        self.process.wait_log("Bad arguments|Invalid port|Command not found", 20, skip)
        return self.process.log()[skip:]

    def quit(self):
        self.process.send("quit")
        expect(self.process.wait(20) == 0, f"testpmd: exit code {self.process.popen.returncode}:\n"
               f"{self.process.tail()}")


def basics(tap, lab, switch):
    pmd = Testpmd(lab, "pmd-a", "a", ",queues=4", ["--rxq=2", "--txq=2"])
    with tap.case("port info: driver, MAC, link, MTU limits", lab):
        info = pmd.ask("show port info 0")
        expect("02:00:00:00:00:10" in info.lower(), info)
        expect(re.search(r"Driver name: net_nfe", info), info)
        expect("Link status: up" in info, info)
        expect(re.search(r"MTU: 1500", info), info)
    with tap.case("MTU set within and refused beyond the limit", lab):
        expect("fail" not in pmd.ask("port config mtu 0 1400").lower(), "mtu 1400 refused")
        expect(lab.telemetry(switch, "/vif/info,a")["mtu"] == 1400, "the switch has another MTU")
        refused = pmd.ask("port config mtu 0 9999")
        expect("9999" in refused.split("\n", 1)[1] and "9000" in refused, refused)
        expect(lab.telemetry(switch, "/vif/info,a")["mtu"] == 1400, "a refused MTU was taken")
    with tap.case("MAC added, set and removed within the operator's policy", lab):
        pmd.ask("mac_addr add 0 02:00:00:00:00:aa")
        fdb = str(lab.telemetry(switch, "/fdb/list"))
        expect("02:00:00:00:00:aa" in fdb.lower(), fdb)
        refused = pmd.ask("mac_addr add 0 02:00:00:00:00:99")
        expect("02:00:00:00:00:99" not in str(lab.telemetry(switch, "/fdb/list")).lower(), refused)
        pmd.ask("mac_addr remove 0 02:00:00:00:00:aa")
        expect("02:00:00:00:00:aa" not in str(lab.telemetry(switch, "/fdb/list")).lower(),
               "still in the FDB")
        pmd.ask("mac_addr set 0 02:00:00:00:00:ab")
        expect("02:00:00:00:00:ab" in str(lab.telemetry(switch, "/fdb/list")).lower(), "not set")
        pmd.ask("mac_addr set 0 02:00:00:00:00:10")
    with tap.case("promiscuous and allmulticast reach the device", lab):
        pmd.ask("set promisc 0 on")
        pmd.ask("set allmulti 0 on")
        info = lab.telemetry(switch, "/vif/info,a")
        expect(info["rx_mode"] == RX_PROMISC | RX_ALLMULTI, info)
        pmd.ask("set promisc 0 off")
        pmd.ask("set allmulti 0 off")
        info = lab.telemetry(switch, "/vif/info,a")
        expect(info["rx_mode"] == 0, info)
    with tap.case("queues and port stopped and started again", lab):
        for _ in range(5):
            expect("fail" not in pmd.ask("port stop 0").lower(), "port stop")
            started = pmd.ask("port start 0")
            expect("fail" not in started.lower(), started)
    with tap.case("a device detached and attached again in one process", lab):
        pmd.ask("port stop 0")
        pmd.ask("port close 0")
        attached = pmd.ask(f"port attach net_nfe1,socket={lab.socket('a')}")
        expect("is attached" in attached, attached)
        expect("fail" not in pmd.ask("port start all").lower(), "port start")
    pmd.quit()


def traffic(tap, lab, switch):
    with tap.case("two stock testpmd: txonly to rxonly, counters agree with the switch", lab):
        rx = Testpmd(lab, "pmd-b", "b")
        tx = Testpmd(lab, "pmd-tx", "a", "", ["--eth-peer=0,02:00:00:00:00:11"])
        for command in ("set fwd rxonly", "start"):
            rx.ask(command)
        for command in ("set fwd txonly", "set txpkts 64", "start"):
            tx.ask(command)
        wait_until(lambda: lab.vif_stats(switch, "b")["to_frames"] > 100000, "frames", 20)
        tx.ask("stop")
        wait_until(lambda: lab.vif_stats(switch, "a")["from_frames"] ==
                   lab.vif_stats(switch, "a")["from_frames"], "quiet", 5)
        stats = rx.ask("show port stats 0")
        received = int(re.search(r"RX-packets: (\d+)", stats)[1])
        expect(received == lab.vif_stats(switch, "b")["to_frames"],
               f"testpmd received {received}, the switch delivered "
               f"{lab.vif_stats(switch, 'b')['to_frames']}")
        xstats = rx.ask("show port xstats 0")
        expect("dev_to_frames" in xstats and "dev_to_drop_full" in xstats, xstats)
        check_accounting(lab, switch, ["a", "b"])
        tx.quit()
        rx.quit()


class Flood:
    """Many flows to VIF a, which answers on QUEUES queues and two lcores, and two neighbours."""

    def __init__(self, lab, switch):
        self.lab = lab
        self.switch = switch
        self.neighbours = Traffic(lab, "neighbours", "pmd:c", "ring:d",
                                  ["--both", "--stream", "--strict"]).ready()
        self.source = Testpmd(lab, "flood", "b", "", ["--eth-peer=0,02:00:00:00:00:10",
                                                    "--txonly-multi-flow"])
        queues = [f"--rxq={QUEUES}", f"--txq={QUEUES}", "--nb-cores=2"]
        self.answer = Testpmd(lab, "answer", "a", f",queues={QUEUES}", queues, lcores=3)

    def start(self):
        for command in ("set fwd macswap", "start"):
            self.answer.ask(command)
        for command in ("set fwd txonly", "start"):
            self.source.ask(command)

    def flows(self):
        """Answers of a come, and from all of its queues."""
        before = self.lab.vif_stats(self.switch, "a")["from_unicast"]
        wait_until(lambda: self.lab.vif_stats(self.switch, "a")["from_unicast"] > before + 1000,
                   "answers of a", 20)

        def senders():
            queues = self.lab.telemetry(self.switch, "/vif/queues,a")
            return [queue["channel"] for queue in queues.values() if queue["sq_host"] > 0]
        wait_until(lambda: len(senders()) == QUEUES, f"answers of {QUEUES} queues", 20)

    def stop_and_start(self):
        for command in ("stop", "port stop 0", "port start 0", "start"):
            said = self.answer.ask(command)
            expect("fail" not in said.lower(), f"{command}: {said}")

    def detach_and_attach(self):
        for command in ("stop", "port stop 0", "port detach 0"):
            self.answer.ask(command)
        wait_until(lambda: self.lab.telemetry(self.switch, "/vif/info,a")["attached"] == 0,
                   "a detached", 10)
        attach = f"port attach net_nfe0,socket={self.lab.socket('a')},queues={QUEUES}"
        said = self.answer.ask(attach)
        expect("is attached" in said, said)
        for command in ("port start 0", "start"):
            said = self.answer.ask(command)
            expect("fail" not in said.lower(), f"{command}: {said}")

    def end(self):
        self.source.ask("stop")
        self.answer.ask("stop")
        check_accounting(self.lab, self.switch, ["a", "b", "c", "d"])
        self.source.quit()
        self.answer.quit()
        harmless(self.neighbours.stop())


def under_load(tap, lab):
    switch = lab.start_switch(CONFIG.format(dir=lab.socket_dir), name="switch2", lcores=2)
    flood = Flood(lab, switch)
    flood.start()
    for name, churn in ((f"{QUEUES} queues stopped and started under load", flood.stop_and_start),
                        (f"{QUEUES} queues detached and attached under load",
                         flood.detach_and_attach)):
        with tap.case(name, lab):
            for _ in range(ROUNDS):
                flood.flows()
                churn()
            flood.flows()
            check_accounting(lab, switch, ["a", "b", "c", "d"])
    with tap.case("neighbours lost nothing, every frame is accounted for", lab):
        flood.end()


def main():
    tap = Tap()
    with Lab("testpmd") as lab:
        switch = lab.start_switch(CONFIG.format(dir=lab.socket_dir))
        basics(tap, lab, switch)
        traffic(tap, lab, switch)
        switch.stop()
        under_load(tap, lab)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
