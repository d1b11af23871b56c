#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: alone
"""xl save and xl restore of a domU with two VIFs, on real Xen: one is vif-tap's, one that of the
stock testpmd. Its programs live on, while grants, event channels and the domain's number are
others: for vif-tap after vif-ctl xen detach, for testpmd without it. Judged by counts, never by time."""
import sys

from lab import expect
from xen.bed import Results
from xen.scenario import PLUGIN, SWITCH, Part, check_end, run

PINGS = 5
MEMORY_MIB = 192
GRANTS = 1900  # pages that u1 may grant: two programs fit, not a third
CONFIG = """socket-dir /run/vsw
vif tap mac 02:00:00:00:00:10 queues 2 xen any
vif pmd mac 02:00:00:00:00:12 queues 2 xen any
vif proc mac 02:00:00:00:00:14
"""
MAIN = f"""
end_guests
start_guest u1 destroy 'memory = {MEMORY_MIB}'
start_switch || return
start_logged proc vif-tap --vif vfio-user:/run/vsw/proc.sock --tap vif0 --up --address 192.0.2.50/24
wait_lines proc ready 1 60 || return
# testpmd answers for every address, so nobody may ask.
arp -s 192.0.2.1 02:00:00:00:00:10
arp -s 192.0.2.9 02:00:00:00:00:12
attach()
{{
    vif-ctl xen attach u1 --vif tap --device 0 --queues 2 --pages 958 $* &&
        vif-ctl xen attach u1 --vif pmd --device 1 --queues 2 --pages 790 $*
}}
on u1 100 "uname -r; echo {GRANTS} > /sys/module/xen_gntalloc/parameters/limit"
result u1 "$told"
attach || return
on u1 100 "vif-tap --vif xen:0 --tap vif0 --up --address 192.0.2.1/24 > /tmp/tap.log 2>&1 &
    until_true 60 grep -q ready /tmp/tap.log; arp -s 192.0.2.50 02:00:00:00:00:14;
    mkfifo /tmp/in; dpdk-testpmd --lcores 0@0,1@0 --no-huge --no-pci -m 64 -d {PLUGIN}
        --vdev net_nfe0,xen=1 --no-telemetry -- --forward-mode=icmpecho --total-num-mbufs=4096
        --disable-link-check --no-mlockall 0<> /tmp/in > /tmp/testpmd.log 2>&1 &
    cat /tmp/tap.log"
pings()
{{
    until_true 60 ping -c 1 -W 2 192.0.2.1 && until_true 60 ping -c 1 -W 2 192.0.2.9
    result pings_$1 "$(answers {PINGS} 192.0.2.1) $(answers {PINGS} 192.0.2.9)"
}}
# save_restore NAME
save_restore()
{{
    xl save u1 /run/u1.save
    result "saved_$1" "$? $(xl list | grep -c u1) $(wc -c < /run/u1.save)"
    xl restore /run/u1.save
    result "restored_$1" $?
    rm /run/u1.save
    restarted u1
}}
held()
{{
    grep -c gntdev "/proc/$(cat /run/switch.pid)/maps"
}}
# seen NAME: what its programs and its kernel said, and what the switch holds of it.
seen()
{{
    on u1 60 "echo \\$(grep -c 'link down' /tmp/tap.log) \\$(pidof vif-tap | wc -w)
        \\$(grep -ac 'link down' /tmp/testpmd.log) \\$(pidof dpdk-testpmd | wc -w)
        \\$(dmesg | grep -c -e BUG -e Oops -e WARNING)"
    result "seen_$1" "$told $(held)"
}}
# life NAME: one more of the domain. The programs attach by themselves.
life()
{{
    save_restore "$1"
    attach --wait 60
    result "attach_$1" $?
    pings "$1"
    seen "$1"
}}
pings first || return
seen first
vif-ctl xen detach u1 --device 0
result detach $?
life second || return
result domains "$(xl list | tail -n +2 | wc -l)"
result stats "$(stats)"
stop_switch -TERM
result switch_code $?
"""


def check_pings(results, name):
    answers = results[f"pings_{name}"].split()
    expect(answers == [str(PINGS)] * 2, f"pings {name}: {answers} answers to {PINGS}")


def check_life(results, name):
    """The same processes are there, each saw the link go down, the kernel has nothing to report,
    and the switch holds what it held."""
    saved, left, size = results[f"saved_{name}"].split()
    expect((saved, left) == ("0", "0"), f"xl save: code {saved}, {left} domains left")
    expect(int(size) > MEMORY_MIB << 19, f"saved {size} bytes")
    expect(results[f"restored_{name}"] == "0", "xl restore failed")
    expect(results[f"attach_{name}"] == "0", "vif-ctl xen attach: not connected")
    check_pings(results, name)
    tap_down, taps, pmd_down, pmds, kernel, held = map(int, results[f"seen_{name}"].split())
    expect(taps == pmds == 1, f"{taps} vif-tap, {pmds} testpmd")
    expect(tap_down >= 1 and pmd_down >= 1, f"link down: {tap_down}, {pmd_down}")
    expect(kernel == 0, f"{kernel} complaints of the guest's kernel")
    expect(held == int(results["seen_first"].split()[-1]), f"{held} mapped pieces")


def check(tap, machine):
    if machine.has(tap, PART.name):
        results = Results()
        with tap.case("a switch in dom0, a domU with a VIF of vif-tap and one of testpmd",
                      machine.lab):
            results = machine.results(PART.name)
            expect(results["u1"].strip() != "", "the domU did not answer")
            check_pings(results, "first")
        with tap.case("detach returns when the program has let go"):
            expect(results["detach"] == "0", f"vif-ctl xen detach: code {results['detach']}")
        with tap.case("saved, restored, attached: its programs go on, detached before or not"):
            check_life(results, "second")
        with tap.case("the switch ends well and its sums add up"):
            expect(results["domains"] == "2", f"{results['domains']} domains at the end")
            check_end(results)


PART = Part("save", CONFIG, SWITCH + MAIN, check, installed=("dpdk-testpmd",))

if __name__ == "__main__":
    sys.exit(run(PART))
