#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: nested
"""One VM, one process and one Xen domain on the same switch talk to each other. The switch is in
dom0 of real Xen, which is emulated; so the VM beside it is QEMU within QEMU (xen/vm_bed.py). Its
client of vfio-user is QEMU's own, its kernel the distribution's, its program the stock testpmd with
our driver: that forwards between the function and a tap interface of the VM's kernel. Pings and
files by TCP between each two, and the driver's counters are the switch's. It takes minutes, so it
is a job of its own:

    meson test -C build --suite nested

Judged by counts, never by time."""
import hashlib
import json
import os
import random
import re
import sys

from image import ImageError
from lab import Lab, Tap, check_identities, expect
from xen.bed import Results
from xen.packages import Unavailable
from xen.scenario import PLUGIN, PROGRAMS, SWITCH, check_end, have_xen, vif_ctl
from xen.vm_bed import Snapshot, XenVmBed

MAC_OF_VM = "02:00:00:00:00:15"
CONFIG = f"""socket-dir /run/vsw
vif domu mac 02:00:00:00:00:11 queues 2 xen any
vif proc mac 02:00:00:00:00:14
vif vm mac {MAC_OF_VM} queues 2
"""
DOMU, PROC, VM = "192.0.2.11", "192.0.2.14", "192.0.2.15"
PINGS = 10
FILE_KIB = 24
TCP_HEADERS = 14 + 20 + 32  # Ethernet, IPv4, TCP with time stamps
LOOKS = 3  # at both counters, until nothing came between
UP = f"""
start_switch || return
start_guest u1
on u1 100 "cat /sys/hypervisor/type"
result u1 "$told"
vif-ctl xen attach u1 --vif domu --queues 2 --gntalloc 16384
on u1 100 "vif-tap --vif xen:0 --tap vif0 --up --address {DOMU}/24 > /tmp/tap.log 2>&1 &
    until_true 60 grep -q ready /tmp/tap.log" || return
start_logged proc unshare -n vif-tap --vif vfio-user:/run/vsw/proc.sock --tap vif0 --up \\
    --address {PROC}/24
wait_lines proc ready 1 60 || return
in_proc="nsenter -n -t $(cat /run/proc.pid)"
note "domU and process are up"
start_vm || return
note "VM runs"
attach_function || return
note "VM forwards"
result forwards 1
"""
PING = f"""
# domu_pings ADDRESS NAME: how many of them it answers.
domu_pings()
{{
    on u1 100 "until_true 60 ping -c 1 -W 5 $1" && on u1 200 "answers {PINGS} $1"
    result "pings_domu_$2" "$told"
}}
until_true 60 $in_proc ping -c 1 -W 5 {VM}
result pings_proc_vm "$($in_proc sh -c '. /nfe/common.sh; answers {PINGS} {VM}')"
domu_pings {VM} vm
domu_pings {PROC} proc
"""
# A receiver ends when its input does, so that has to be silent.
COPY = f"""
mkfifo /run/silence
$in_proc nc -l -p 5000 0<> /run/silence > /run/got &
receiver=$!
vm "nc {PROC} 5000 < /payload"
wait $receiver
result copy_vm_proc "$(md5sum < /run/got)"
on u1 10 "mkfifo /tmp/silence"
begin u1 "nc -l -p 5000 0<> /tmp/silence > /tmp/got; md5sum < /tmp/got"
vm "nc {DOMU} 5000 < /payload"
finish u1 200
result copy_vm_domu "$told"
# receive PORT: the VM waits for a file. received PORT: its sum.
receive()
{{
    vm "nc -l -p $1 0<> /tmp/silence > /tmp/got$1; md5sum /tmp/got$1"
}}
received()
{{
    vm_says "/tmp/got$1" 1 60
    grep -a "/tmp/got$1" /run/shell.log
}}
receive 5001
until_true 100 $in_proc sh -c "nc {VM} 5001 < /nfe/payload"
result copy_proc_vm "$(received 5001)"
receive 5002
on u1 200 "until_true 100 nc {VM} 5002 < /nfe/payload"
result copy_domu_vm "$(received 5002)"
"""
COUNT = f"""
vif_stats() # RESULT VIF
{{
    result "$1" "$(vif-ctl --file-prefix vsw --json stats "$2" | tr -d '\\n')"
}}
for look in $(seq {LOOKS}); do
    result "port_$look" "$(port_stats $look)"
    vif_stats "vm_$look" vm
done
vif_stats domu domu
vif_stats proc proc
result stats "$(stats)"
kill "$(cat /run/qemu.pid)"
wait "$(cat /run/qemu.pid)"
stop_switch -TERM
result switch_code $?
"""


def make_bed(lab, payload):
    """The bed with a VM that is saved outside; without Xen or QEMU all is skipped."""
    files = {"/nfe/switch.conf": CONFIG, "/nfe/bin/vif-ctl": vif_ctl(), "/nfe/payload": payload}
    try:
        snapshot = Snapshot(lab, MAC_OF_VM, f"{VM}/24", {"/payload": payload[::-1]})
        Tap().diagnose(f"state of the VM: {os.path.getsize(snapshot.path) >> 20} MiB")
        return XenVmBed(lab, "/run/vsw/vm.sock", snapshot.path,
                        programs=[lab.program(name) for name in PROGRAMS],
                        plugins={PLUGIN: lab.plugin()}, files=files, modules=["tun"])
    except (Unavailable, ImageError) as reason:
        Tap.skip_all(f"no Xen test bed here: {' '.join(str(reason).split())[:200]}")


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def check_copy(results, name, text):
    got = results[f"copy_{name}"].split()
    expect(got[:1] == [md5(text)], f"copy {name}: {got} instead of {md5(text)}")


def check_pings(results, name):
    expect(results[f"pings_{name}"].strip() == str(PINGS),
           f"pings {name}: {results[f'pings_{name}']} answers to {PINGS}")


def counters_agree(port, vif):
    """testpmd's counters of a port and the switch's of its VIF. TCP data that a peer left uncut is
    one frame for the switch and several for testpmd, each but the first with headers of its own."""
    more = port["RX-packets"] - vif["to_frames"]
    return (port["TX-packets"] == vif["from_frames"] and port["TX-bytes"] == vif["from_bytes"] and
            0 <= more <= vif["to_parts"] and
            port["RX-bytes"] == vif["to_bytes"] + more * TCP_HEADERS)


def check_counters(results):
    looks = []
    for look in range(1, LOOKS + 1):
        port = re.findall(r"([RT]X-(?:packets|bytes)): +(\d+)", results[f"port_{look}"])
        looks.append(({name: int(value) for name, value in port},
                      json.loads(results[f"vm_{look}"])))
    expect(any(counters_agree(*look) for look in looks), f"testpmd's and the switch's: {looks}")
    vm = looks[-1][1]
    least = 2 * (FILE_KIB << 10)
    expect(min(vm["from_bytes"], vm["to_bytes"]) > least, f"less than {least} bytes: {vm}")
    for name in (f"vm_{LOOKS}", "domu", "proc"):
        check_identities(name, json.loads(results[name]))
    return f"{vm['from_frames']} frames from the VM, {vm['to_frames']} to it"


def main():
    if os.geteuid() != 0:
        Tap.skip_all("needs root: QEMU is bootstrapped and runs below a root of its own")
    tap = Tap()
    with Lab("xenvm", memory="nohuge") as lab:
        if not have_xen(lab):
            tap.skip_all("built without libxen-dev")
        payload = "".join(random.choices("0123456789abcdef\n", k=FILE_KIB << 10))
        bed = make_bed(lab, payload)
        results = Results()
        with tap.case("Xen boots, and in dom0 a VM whose testpmd takes the function by PCI", lab):
            results = bed.boot(SWITCH + bed.functions() + UP + PING + COPY + COUNT)
            expect(results["u1"].startswith("xen"), results["u1"])
            expect(results["forwards"] == "1", results["forwards"])
        for pair in ("proc_vm", "domu_vm", "domu_proc"):
            with tap.case(f"{PINGS} pings, {pair.replace('_', ' to ')}: each is answered"):
                check_pings(results, pair)
        for pair in ("vm_proc", "vm_domu", "proc_vm", "domu_vm"):
            with tap.case(f"{FILE_KIB} KiB by TCP, {pair.replace('_', ' to ')}: every byte"):
                check_copy(results, pair, payload[::-1] if pair.startswith("vm") else payload)
        with tap.case("what testpmd counts is what the switch counts, and its sums are right"):
            tap.diagnose(check_counters(results))
            check_end(results)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
