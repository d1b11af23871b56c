#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: emulated
"""A VM under QEMU attaches to vif-switch with -device vfio-user-pci and runs the stock testpmd on
net_nfe by PCI: traffic with a process and a wire, resets, death, unplugging, memory that comes
later. All criteria are counts."""
import json
import os
import re
import sys

import image
from lab import Lab, Tap, expect, wait_until
from traffic import check_accounting, perfect
from vm.bed import HUGEPAGES, Bed

BURSTS, BURST = 2, 32  # frames that circulate between testpmd and vif-echo
MANY = 2000            # frames of a direction that count as traffic; a VM under TCG is slow
CONFIG = """socket-dir {dir}
vif a mac 02:00:00:00:00:10 max-mtu 9000 queues 4
vif b mac 02:00:00:00:00:11 max-mtu 9000 queues 4 allow 02:00:00:00:00:aa promisc on
vif c mac 02:00:00:00:00:15 max-mtu 9000 queues 4
vif echo mac 02:00:00:00:00:12
vif plug mac 02:00:00:00:00:13 msix off
vif pull mac 02:00:00:00:00:16 msix off
vif tap mac 02:00:00:00:00:14
uplink up port net_af_packet0 learning on
"""
MAC_OF_A, MAC_OF_B, MAC_OF_ECHO, MAC_OF_TAP = (f"02:00:00:00:00:{n}" for n in (10, 11, 12, 14))
VM_IP, TAP_IP, WIRE_IP = "192.0.2.10", "192.0.2.14", "192.0.2.99"
PINGS = 10
# The PMD matrix of test_pmd.py by PCI: what needs neither another switch nor a socket. One process
# runs many, because EAL takes its time under TCG.
MATRIX = """queue_toggle_nothing_passes_a_stopped_queue
queue_toggle_loses_nothing_of_the_other_direction deferred_queues_wait_for_their_start
dynamic_queue_conf_while_the_port_runs port_stats_agree_with_what_was_sent_and_reset_to_zero
xstats_have_one_name_each imissed_counts_what_a_full_receiver_lost
refused_frames_are_freed_and_counted_by_reason smoke_tests_port_info
smoke_tests_queue_info_and_burst_mode registers_are_those_of_the_function
descriptor_status_follows_the_frames reset_port_is_as_after_probe
dynamic_queue_conf_rings_of_16_to_1024_entries send_only_and_receive_only_channels
fast_free_gives_every_mbuf_back port_control_stop_and_start_with_frames_in_flight
mtu_beyond_the_buffers_needs_scatter checksums_are_made_on_the_way large_frames_are_cut_on_the_way
wrong_headers_are_refused mac_filter_takes_added_addresses_and_no_others
mac_filter_takes_the_groups_of_the_list promisc_support_and_allmulticast
mtu_is_the_longest_frame_that_arrives vlan_tags_arrive_as_they_were_sent
buffer_scatter_at_the_edges_of_buffers""".split()
SLEEPY = """no_wake_up_is_lost_in_thousands_of_sleeps interrupt_is_armed_only_as_configured
monitored_address_tells_that_frames_came""".split()
SHARED = "--file-prefix shared -a 0000:02:00.0"  # EAL of a primary and its secondaries
TWO_QUEUES = ("-i --total-num-mbufs=4096 --rxq=2 --txq=2 --num-procs=2 --txonly-multi-flow "
              f"--eth-peer=0,{MAC_OF_ECHO}")
ONE_BY_BOTH = 500      # frames on each queue, by two testpmd that share the CPUs of a VM
DIMM_MIB = 256
MATRIX_S = 240


def pmd(vm, eal, args="", mib=64):
    """The stock testpmd in the VM, at its prompt."""
    if "--eth-peer" not in args:
        args += f" --eth-peer=0,{MAC_OF_ECHO}"
    try:
        vm.run(f"pmd --in-memory -m {mib} {eal} -- -i --total-num-mbufs=4096 {args}")
    except Exception:
        print("# " + vm.run("cat /tmp/log", check=False).replace("\n", "\n# "), flush=True)
        raise


def port_stats(vm):
    text = vm.run("ask show port stats 0")
    return {name: int(re.search(rf"{name}: +(\d+)", text)[1])
            for name in ("RX-packets", "TX-packets", "RX-missed")}


def moved(lab, switch, vif, since, frames=MANY):
    """Waits until the VIF has sent and received so many frames since that snapshot."""
    def enough():
        now = lab.vif_stats(switch, vif)
        return all(now[key] - since[key] >= frames for key in ("from_frames", "to_frames"))
    wait_until(enough, f"{frames} frames of VIF {vif} in both directions", 60, 0.1)


def quiet(lab, switch, vif):
    """The counters of a VIF when they no longer change."""
    seen = []

    def same_twice():
        seen.append(lab.vif_stats(switch, vif))
        return len(seen) > 1 and seen[-1] == seen[-2]
    wait_until(same_twice, f"VIF {vif} quiet", 20, 0.3)
    return seen[-1]


def circulate(vm):
    vm.run("ask set fwd macswap")
    vm.run(f"ask start tx_first {BURSTS}")


def attach(tap, lab, switch, vm):
    with tap.case("the function is bound, the stock testpmd finds it by PCI", lab):
        vm.run("bind uio_pci_generic")
        pmd(vm, "-a 0000:01:00.0")
        info = vm.run("ask show port info 0")
        expect("02:00:00:00:00:10" in info.lower() and "Driver name: net_nfe" in info and
               "Link status: up" in info, info)
        state = lab.telemetry(switch, "/vif/info,a")
        expect(state["state"] == "ready" and state["bytes"] >= 64 << 20, state)
        refused = {kind: n for kind, n in state["vfio_user"].items()
                   if n and kind not in ("connections", "messages")}
        expect(not refused, f"QEMU was refused something: {refused}")
        tap.diagnose(f"guest memory: {state['bytes'] >> 20} MiB in {state['regions']} regions")


def triggers(tap, lab, switch, vm):
    with tap.case("trigger pages: a read rings, and hears whether it was taken", lab):
        def read(offset, width=32):
            return int(vm.run(f"bar 0000:01:00.0 2 {offset} {width}"), 16)
        before = lab.telemetry(switch, "/vif/info,a")["control"]
        expect(before["triggers"] > 0, f"the driver's own requests ring: {before}")
        answers = [read(offset) for offset in (0, 0x1000, 0x1000)]
        expect(answers == [1, 1, 1], f"control channel and channel 1: {answers}")
        odd = [read(0x1008), read(0x1ff8), read(0x2000), read(0x1000, 16), read(0x1000, 64)]
        expect(odd == [0] * 5, f"reserved commands, no such channel, other widths: {odd}")
        vm.run("bar 0000:01:00.0 2 0x1000 32 1")
        after = lab.telemetry(switch, "/vif/info,a")["control"]
        counted = {name: after[name] - before[name] for name in before}
        expect(counted["triggers"] == 3 and counted["bad_trigger"] >= 5, counted)
        check_accounting(lab, switch, ["a", "echo"])


def echo(tap, lab, switch, vm):
    with tap.case("VM and process: testpmd's counters are the switch's counters", lab):
        before, stats = lab.vif_stats(switch, "a"), port_stats(vm)
        circulate(vm)
        moved(lab, switch, "a", before)
        vm.run("ask stop")
        after = quiet(lab, switch, "a")
        now = port_stats(vm)
        expect(now["TX-packets"] - stats["TX-packets"] ==
               after["from_frames"] - before["from_frames"], f"sent: {now}, {after}")
        # What nobody fetches after the stop is received by the device, not by testpmd.
        waits = after["to_frames"] - before["to_frames"] - (now["RX-packets"] - stats["RX-packets"])
        expect(0 <= waits <= BURSTS * BURST, f"received: {now}, {after}")
        echoed = lab.vif_stats(switch, "echo")
        expect(echoed["to_offered"] == after["from_unicast"], f"{echoed}, {after}")
        check_accounting(lab, switch, ["a", "echo"])


def wire(lab):
    """Network namespaces: the wire behind the switch's uplink, the switch's, a process's."""
    for name in ("wire", "switch", "tap"):
        lab.add_netns(name)
    lab.add_veth("wire", "wire0", "switch", "uplink0")
    lab.ip("wire", f"addr add {WIRE_IP}/24 dev wire0")


def start_tap(lab):
    """A kernel interface on VIF tap. Everybody is told who has which address, because testpmd
    answers ARP for all of them."""
    lab.start("vif-tap", [lab.program("vif-tap"), "--vif", f"vfio-user:{lab.socket('tap')}",
                          "--tap", "vif0", "--address", f"{TAP_IP}/24", "--up"], netns="tap"
              ).wait_log("vif-tap: ready")
    lab.ip("tap", f"neigh replace {VM_IP} lladdr {MAC_OF_A} dev vif0")
    for address, mac in ((VM_IP, MAC_OF_A), (TAP_IP, MAC_OF_TAP)):
        lab.ip("wire", f"neigh replace {address} lladdr {mac} dev wire0")


def ping(lab, netns, address):
    """One by one: after an answer ping waits no longer than two of its round trips."""
    lab.run(["sh", "-c", f"for i in $(seq {PINGS}); do ping -c 1 -W 20 {address} || exit; done"],
            netns=netns, timeout_s=120)


def three_parties(tap, lab, switch, vm):
    with tap.case("VM, process and wire on one switch: each pings each, nothing is lost", lab):
        start_tap(lab)
        before, stats = lab.vif_stats(switch, "a"), port_stats(vm)
        vm.run("ask set fwd icmpecho")
        vm.run("ask start")
        try:
            for netns, address in (("wire", VM_IP), ("tap", VM_IP), ("wire", TAP_IP)):
                ping(lab, netns, address)
        finally:
            vm.run("ask stop")
        after, now = quiet(lab, switch, "a"), port_stats(vm)
        sent = after["from_frames"] - before["from_frames"]
        expect(sent >= 2 * PINGS and sent == now["TX-packets"] - stats["TX-packets"],
               f"sent {sent}, testpmd: {stats}, then {now}")
        check_accounting(lab, switch, ["a", "tap", "echo"])


def function_reset(tap, lab, switch, vm):
    with tap.case("function level reset under load: the driver brings all back", lab):
        vm.run("ask set fwd txonly")
        vm.run("ask start")
        for _ in range(3):
            before = lab.vif_stats(switch, "a")
            vm.run("echo 1 > /sys/bus/pci/devices/0000:01:00.0/reset")
            wait_until(lambda: lab.telemetry(switch, "/vif/info,a")["state"] == "ready",
                       "ready after FLR", 20, 0.1)
            wait_until(lambda start=before: lab.vif_stats(switch, "a")["from_frames"] -
                       start["from_frames"] > MANY, "frames after FLR", 30, 0.1)
        vm.run("ask stop")
        before = quiet(lab, switch, "a")
        circulate(vm)
        moved(lab, switch, "a", before)
        vm.run("ask stop")
        check_accounting(lab, switch, ["a", "echo"])
    with tap.case("testpmd ends, its function stands still", lab):
        vm.run("quit")
        wait_until(lambda: lab.telemetry(switch, "/vif/info,a")["state"] == "reset", "reset", 10)


def bytes_checked(tap, lab, switch, vm):
    with tap.case("two functions of one VM: every frame byte-identical, in order", lab):
        command = ("test-traffic --in-memory -m 128 $PLUGINS -l 0 -- --a port:0000:01:00.0 "
                   "--b port:0000:02:00.0 --both --frames 2000 --stall-ms 20000 {extra}")
        for extra in ("", "--min 14 --max 9000 --mtu 9000"):
            text = vm.run(command.format(extra=extra), check=False)
            found = re.search(r"^result (\{.*\})$", text, re.MULTILINE)
            expect(found, text)
            perfect(dict(json.loads(found[1]), exit_code=0))
        check_accounting(lab, switch, ["a", "b"])


def test_pmd(cases):
    return ("test-pmd --in-memory -m 96 $PLUGINS -l 0-1 -a 0000:ff:00.0 --no-telemetry -- pci " +
            ",".join(cases))


def passed(text, cases):
    missing = [case for case in cases if f"# {case}: passed" not in text]
    expect(not missing, f"{missing[:1]} of the matrix did not pass:\n{text}")


def matrix(tap, lab, switch, vm):
    with tap.case("the PMD matrix by PCI: the cases of test-pmd between two functions", lab):
        passed(vm.run(test_pmd(MATRIX), check=False, timeout_s=MATRIX_S), MATRIX)
        check_accounting(lab, switch, ["a", "b"])
        tap.diagnose(f"{len(MATRIX)} cases")


def system_reset(tap, lab, switch, vm):
    with tap.case("system reset under load: the VM boots and attaches again", lab):
        pmd(vm, "-a 0000:01:00.0")
        circulate(vm)
        moved(lab, switch, "a", lab.vif_stats(switch, "a"))
        vm.reset()
        expect(lab.telemetry(switch, "/vif/info,a")["state"] == "reset", "function not reset")
        vm.run("bind uio_pci_generic")
        pmd(vm, "-a 0000:01:00.0")
        circulate(vm)
        moved(lab, switch, "a", lab.vif_stats(switch, "a"))
        check_accounting(lab, switch, ["a", "echo"])


def killed(tap, lab, switch, bed, vm):
    with tap.case("VM killed under load: its functions are free, another VM takes them", lab):
        moved(lab, switch, "a", lab.vif_stats(switch, "a"))
        vm.kill()
        wait_until(lambda: not lab.telemetry(switch, "/vif/info,a")["attached"], "detached", 5)
        check_accounting(lab, switch, ["a", "echo"])
        again = bed.start("vm-again", [lab.socket("a"), lab.socket("plug")])
        again.run("bind uio_pci_generic")
        pmd(again, "-a 0000:01:00.0")
        before = lab.vif_stats(switch, "a")
        circulate(again)
        moved(lab, switch, "a", before)
        again.run("quit")
        return again
    return None


def more_memory(tap, lab, switch, vm):
    with tap.case("memory plugged into the running VM reaches the device", lab):
        vm.run("echo online_kernel > /sys/devices/system/memory/auto_online_blocks")
        def mib():
            return int(re.search(r"MemTotal: +(\d+) kB", vm.run("cat /proc/meminfo"))[1]) >> 10
        more = mib() + DIMM_MIB
        vm.plug_memory(DIMM_MIB)
        wait_until(lambda: mib() >= more, f"{more} MiB in the VM", 60, 0.5)
        vm.run(f"echo {HUGEPAGES + DIMM_MIB // 2} > /proc/sys/vm/nr_hugepages")
        pmd(vm, "-a 0000:01:00.0", mib=2 * HUGEPAGES + 64)
        layout = vm.run("ask dump_physmem")
        expect("IOVA:0x1" in layout, f"nothing lies above 4 GiB:\n{layout}")
        before = lab.vif_stats(switch, "a")
        circulate(vm)
        moved(lab, switch, "a", before)
        state = lab.telemetry(switch, "/vif/info,a")
        tap.diagnose(f"{state['bytes'] >> 20} MiB in {state['regions']} regions")
        expect(state["bytes"] >= (2 * HUGEPAGES + 64) << 20, state)
        vm.run("quit")
        check_accounting(lab, switch, ["a", "echo"])


def unplug(lab, switch, vm, vif="plug", number=1):
    functions = vm.functions()
    vm.unplug(number)
    wait_until(lambda: vm.functions() == functions - 1, "unplugged", 30, 0.2)
    wait_until(lambda: not lab.telemetry(switch, f"/vif/info,{vif}")["attached"], "detached", 5)


def plug(lab, vm):
    vm.plug(lab.socket("plug"), 1)
    vm.run("wait_for 30 test -e /sys/bus/pci/devices/0000:02:00.0")
    vm.run("bind uio_pci_generic")


def unplugged(tap, lab, switch, vm):
    with tap.case("function without MSI-X: unplugged by the monitor and plugged again", lab):
        unplug(lab, switch, vm)
        plug(lab, vm)
        pmd(vm, "-a 0000:02:00.0", "--hot-plug")
        before = lab.vif_stats(switch, "plug")
        circulate(vm)
        moved(lab, switch, "plug", before)
    with tap.case("unplugged under load: removal event, testpmd takes it when it is back", lab):
        unplug(lab, switch, vm)
        vm.run("wait_for 30 grep -q 'Port 0: device removal event' /tmp/log")
        vm.run("wait_for 30 grep -q 'Device is detached' /tmp/log")
        plug(lab, vm)
        vm.run("ask stop")  # testpmd goes on forwarding between no ports
        vm.run("ask port attach 0000:02:00.0")
        vm.run("ask port start all")
        before = lab.vif_stats(switch, "plug")
        circulate(vm)
        moved(lab, switch, "plug", before)
        vm.run("quit")
        check_accounting(lab, switch, ["plug", "echo"])


def sleepers(tap, lab, switch, vm):
    """Receive interrupts: of the second function, vector 1."""
    with tap.case("Rx interrupts: MSI-X wakes the sleeping receiver, and no wake-up is lost", lab):
        before = lab.vif_stats(switch, "b")["to_interrupts"]
        text = vm.run(f"interrupts 'vfio-msix[1](0000:02:00.0)' {test_pmd(SLEEPY)}", check=False,
                      timeout_s=MATRIX_S)
        passed(text, SLEEPY)
        woken = int(re.search(r"woken (\d+) times", text)[1])
        counted = int(re.search(r"^interrupts (\d+)$", text, re.MULTILINE)[1])
        sent = lab.vif_stats(switch, "b")["to_interrupts"] - before
        tap.diagnose(f"woken {woken} times, {counted} interrupts counted, {sent} sent")
        expect(50 <= counted <= sent and counted >= woken // 4, text)
        check_accounting(lab, switch, ["b", "c"])


def vfio(tap, lab, switch, bed):
    """Returns the VM."""
    with tap.case("vfio-pci behind a vIOMMU: addresses are the driver's, MSI-X arrives", lab):
        vm = bed.start("vm-iommu", [lab.socket("c"), lab.socket("b"), lab.socket("pull")], iommu=True)
        vm.run("bind vfio-pci")
        pmd(vm, "-a 0000:02:00.0")
        log = vm.run("cat /tmp/log")
        expect("IOVA mode 'VA'" in log, log)
        count = "grep vfio-msix /proc/interrupts | awk '{ n += $2 + $3 } END { print n + 0 }'"
        first = int(vm.run(count))
        for mac in ("02:00:00:00:00:21", "02:00:00:00:00:22"):  # refused, and answered
            vm.run(f"ask mac_addr add 0 {mac}")
        then = int(vm.run(count))
        expect(first > 0 and then >= first + 2, f"interrupts: {first}, then {then}")
        before = lab.vif_stats(switch, "b")
        circulate(vm)
        moved(lab, switch, "b", before)
        vm.run("ask stop")
        vm.run("quit")
        tap.diagnose(f"MSI-X interrupts: {first} at start, {then} after two requests")
        check_accounting(lab, switch, ["b", "echo"])
        return vm
    return None


def proc_info(vm):
    """Statistics of the port, as a secondary process of its own reads them."""
    text = vm.run(f"dpdk-proc-info $PLUGINS {SHARED} -- -p 1 --xstats")
    return {name: int(n) for name, n in re.findall(r"^\s*(\w+): (\d+)\s*$", text, re.MULTILINE)}


def secondary(tap, lab, switch, vm):
    """The doorbells are the same BAR for both, and so is what a kick is stored to. Not with
    uio_pci_generic: it takes the bus master away when any process of several ends."""
    with tap.case("secondary process: dpdk-proc-info, and a testpmd on a queue of its own", lab):
        since = lab.vif_stats(switch, "b")
        vm.run(f"pmd -m 64 {SHARED} --lcores 0@0,1@0 -- {TWO_QUEUES} --proc-id=0")
        vm.run(f"pmd2 {SHARED} --lcores 2@1,3@1 --proc-type=secondary -- {TWO_QUEUES} --proc-id=1")
        refused = vm.run("ask2 mac_addr add 0 02:00:00:00:00:21")
        expect("not supported" in refused, f"control in a secondary:\n{refused}")
        vm.run("ask2 set fwd macswap")
        vm.run("ask2 start")
        circulate(vm)
        moved(lab, switch, "b", since, 4 * ONE_BY_BOTH)
        wait_until(lambda: all(proc_info(vm)[f"{way}_q{i}_packets"] >= ONE_BY_BOTH
                               for way in ("rx", "tx") for i in (0, 1)),
                   f"{ONE_BY_BOTH} frames by each process, both ways", 60, 0.5)
        vm.run("ask2 stop")
        vm.run("ask stop")
        device, now = quiet(lab, switch, "b"), proc_info(vm)
        sent = device["from_frames"] - since["from_frames"]
        expect(now["tx_q0_packets"] + now["tx_q1_packets"] == now["tx_good_packets"] ==
               now["dev_from_frames"] == sent, f"the switch took {sent}: {now}")
        expect(now["replays"] == 0, f"the function was reset: {now['replays']} replays")
        tap.diagnose(f"sent by the primary {now['tx_q0_packets']}, by the secondary "
                     f"{now['tx_q1_packets']}")
        vm.run("quit2")
        before = lab.vif_stats(switch, "b")
        circulate(vm)  # the primary is alone with its queue
        moved(lab, switch, "b", before, 1)
        vm.run("ask stop")
        vm.run("quit")
        vm.run("rm -f /dev/hugepages/*")
        check_accounting(lab, switch, ["b", "echo"])


def vfio_unplugged(tap, lab, switch, vm):
    """VFIO asks for the function back, and the kernel waits until testpmd has closed it."""
    with tap.case("unplugged from vfio-pci under load: removal event, without EAL's monitor", lab):
        pmd(vm, "-a 0000:03:00.0")
        before = lab.vif_stats(switch, "pull")
        circulate(vm)
        moved(lab, switch, "pull", before)
        unplug(lab, switch, vm, "pull", 2)
        vm.run("wait_for 30 grep -q 'Port 0: device removal event' /tmp/log")
        vm.run("wait_for 30 grep -q 'Device is detached' /tmp/log")
        vm.run("ask stop")
        vm.run("quit")
        check_accounting(lab, switch, ["pull", "echo"])


def two_vms(tap, lab, switch, one, other):
    with tap.case("two VMs exchange frames", lab):
        before = {vif: lab.vif_stats(switch, vif) for vif in ("a", "b")}
        pmd(one, "-a 0000:01:00.0", f"--eth-peer=0,{MAC_OF_B}")
        pmd(other, "-a 0000:02:00.0")
        other.run("ask set fwd macswap")
        other.run("ask start")
        circulate(one)
        for vif, since in before.items():
            moved(lab, switch, vif, since)
        one.run("quit")
        other.run("quit")
        check_accounting(lab, switch, ["a", "b"])


def main():
    if os.geteuid() != 0:
        Tap.skip_all("needs root: QEMU is bootstrapped and runs below a root of its own")
    tap = Tap()
    with Lab("vm", memory="nohuge") as lab:
        try:
            bed = Bed(lab)
        except image.ImageError as error:
            Tap.skip_all(" ".join(str(error).split())[:200])
        wire(lab)
        switch = lab.start_switch(CONFIG.format(dir=lab.socket_dir), netns="switch",
                                  eal=["--vdev=net_af_packet0,iface=uplink0"])
        lab.start("vif-echo", [lab.program("vif-echo"), "--sleep",  # the emulator needs the CPUs
                               f"vfio-user:{lab.socket('echo')}"]).wait_log("vif-echo: ready")
        vm = bed.start("vm", [lab.socket("a"), lab.socket("b")])
        attach(tap, lab, switch, vm)
        triggers(tap, lab, switch, vm)
        echo(tap, lab, switch, vm)
        three_parties(tap, lab, switch, vm)
        function_reset(tap, lab, switch, vm)
        bytes_checked(tap, lab, switch, vm)
        matrix(tap, lab, switch, vm)
        system_reset(tap, lab, switch, vm)
        again = killed(tap, lab, switch, bed, vm)
        if again is not None:
            more_memory(tap, lab, switch, again)
            unplugged(tap, lab, switch, again)
        iommu = vfio(tap, lab, switch, bed)
        if iommu is not None:
            sleepers(tap, lab, switch, iommu)
            secondary(tap, lab, switch, iommu)
            vfio_unplugged(tap, lab, switch, iommu)
        if again is not None and iommu is not None:
            two_vms(tap, lab, switch, again, iommu)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
