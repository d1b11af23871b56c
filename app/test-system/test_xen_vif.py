#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""VIFs of Xen domains, on real Xen: two domUs on a switch in dom0, memory by grants, wake-ups by
event channels. Ping, copied files and counted frames; the switch is killed and started again, a
domU writes nonsense, is destroyed, comes back. Judged by counts, never by time."""
import json
import re
import sys

from lab import Lab, Tap, expect
from traffic import perfect
from xen.bed import Results
from xen.scenario import BOTH_UP, SWITCH, check_boot, check_sums, have_xen, make_bed

FRAMES = 5000
PINGS = 20
KILLS = 3
FILE_KIB = 2048
CONFIG = """socket-dir /run/vsw
vif tap1 mac 02:00:00:00:00:10 queues 2 xen any
vif tap2 mac 02:00:00:00:00:11 queues 2 xen any
vif gen1 mac 02:00:00:00:00:12 queues 2 xen any
vif gen2 mac 02:00:00:00:00:13 queues 2 xen any
"""
# attach GUEST N VIF: the nodes of doc/xen-protocol.md, while no switch runs yet. Later ones are
# made by vif-ctl, which waits for the switch.
ATTACH = """
attach()
{
    id=$(cat /run/$1.domid)
    front=/local/domain/$id/device/nfe/$2
    back=/local/domain/0/backend/nfe/$id/$2
    xenstore-write $front "" $back ""
    xenstore-chmod $front n$id r0
    xenstore-chmod $back n0 r$id
    xenstore-write $front/backend $back $front/backend-id 0 $front/state 1
    xenstore-write $back/frontend $front $back/frontend-id $id $back/state 1 $back/vif $3
}
attach_all()
{
    attach u1 0 tap1
    attach u2 0 tap2
    attach u2 1 gen1
    attach u2 2 gen2
}
"""
TRAFFIC = f"""
# tap GUEST: a kernel interface on the guest's VIF 0.
tap()
{{
    on $1 100 "vif-tap --vif xen:0 --tap vif0 --up --address 192.0.2.${{1#u}}/24 > /tmp/tap.log \\
        2>&1 & until_true 60 grep -q ready /tmp/tap.log; cat /tmp/tap.log"
    on $1 10 "grep -q ready /tmp/tap.log"
}}
# pings NAME: from u1 to u2.
pings()
{{
    on u1 100 "until_true 60 ping -c 1 -W 2 192.0.2.2" || return
    on u1 200 "ping -c {PINGS} -i 0.2 -W 30 192.0.2.2 | grep received"
    result pings_$1 "$told"
}}
# copy NAME: a file from u1 to u2 over TCP. The sender stops when the receiver ends its side, and
# that does when its input ends: so it gets one that doesn't.
copy()
{{
    begin u2 "[ -e /tmp/silence ] || mkfifo /tmp/silence;
        nc -l -p 5000 0<> /tmp/silence > /tmp/got; md5sum < /tmp/got; wc -c < /tmp/got"
    on u1 200 "head -c {FILE_KIB}k /dev/urandom > /tmp/file; md5sum < /tmp/file;
        until_true 100 nc 192.0.2.2 5000 < /tmp/file"
    result sent_$1 "$told"
    finish u2 200
    result got_$1 "$told"
}}
# frames NAME COMMAND...: checked ones between two VIFs of u2, while dom0 runs the command.
frames()
{{
    name=$1
    shift
    begin u2 "test-traffic --lcores 0@0 --no-huge --no-pci -m 48 -- --a vif:xen:1 --b vif:xen:2
        --both --frames {FRAMES} --stall-ms 60000 > /tmp/frames.log 2>&1;
        echo status \\$?; grep -a ^result /tmp/frames.log || cat /tmp/frames.log"
    "$@"
    finish u2 200
    result frames_$name "$told"
}}
"""
# A front end that writes nonsense, all the time.
HOSTILE = """
hostile()
{
    on u1 200 "for value in 0 7 4294967295 x; do
        for key in version index-ref nr-pages doorbell-page event-channel boot-sq-lo; do
        for state in 3 6 1 9; do
        xenstore-write device/nfe/0/\\$key \\$value device/nfe/0/state \\$state || echo refused;
        done; done; done; echo wrote"
    result hostile "$told"
}
"""
MAIN = f"""
# Not while u2 still attaches: its library gives up after 2 s without an answer, and under emulation
# the end of a domain can stop dom0 for as long.
destroy_u1()
{{
    wait_lines switch "vif gen2: guest attached" $((attached + 1)) 100
    sleep 3
    xl destroy u1
}}
gone()
{{
    ! xl domid "$1"
}}
attach_all
start_switch || return
tap u1 || return
tap u2 || return
pings first || return
copy first || return
frames quiet true || return
for cycle in $(seq {KILLS}); do
    stop_switch -KILL
    start_switch || return
    pings kill_$cycle || return
done
copy kills || return
on u1 30 "killall -9 vif-tap"
tap u1 || return
pings app || return
frames hostile hostile
attached=$(grep -c "vif gen2: guest attached" /run/switch.log)
frames destroyed destroy_u1
until_true 60 gone u1
result left "$(xl list | tail -n +2 | wc -l)"
start_guest u1
until_true 100 vif-ctl xen attach u1 --vif tap1 --queues 2 --gntalloc 16384
tap u1 || return
result list "$(vif-ctl xen list | grep -c 'Connected *Connected')"
pings reborn || return
result stats "$(stats)"
stop_switch -TERM
result switch_code $?
"""


def check_pings(results, name):
    expect(f"{PINGS} packets transmitted, {PINGS} packets received" in results[f"pings_{name}"],
           f"pings {name}: {results[f'pings_{name}']}")


def check_copy(results, name):
    sent, got = results[f"sent_{name}"], results[f"got_{name}"]
    expect(sent.split() and sent.split()[:1] == got.split()[:1],
           f"copy {name}: sent {sent}, got {got}")


def check_frames(results, name):
    found = re.search(r"^status (\d+) result (\{.*\})", results[f"frames_{name}"])
    expect(found, f"frames {name}: {results[f'frames_{name}']}")
    result = json.loads(found[2])
    perfect(dict(result, exit_code=int(found[1])))
    expect(result["sent"] == 2 * FRAMES, f"frames {name}: {result}")


def main():
    tap = Tap()
    with Lab("xen-vif") as lab:
        if not have_xen(lab):
            tap.skip_all("built without libxen-dev")
        bed = make_bed(lab, CONFIG)
        results = Results()
        with tap.case("a switch in dom0 and two domUs boot", lab):
            results = bed.boot(BOTH_UP + SWITCH + ATTACH + TRAFFIC + HOSTILE + MAIN)
            check_boot(results)
        with tap.case(f"{PINGS} pings and {FILE_KIB} KiB by TCP from domU to domU"):
            check_pings(results, "first")
            check_copy(results, "first")
        with tap.case(f"2 x {FRAMES} checked frames between VIFs of a domU"):
            check_frames(results, "quiet")
        with tap.case(f"{KILLS} times kill -9 and a new start of the switch: domUs come back"):
            for cycle in range(1, KILLS + 1):
                check_pings(results, f"kill_{cycle}")
            check_copy(results, "kills")
        with tap.case("kill -9 and a new start of an application in a domU"):
            check_pings(results, "app")
        with tap.case("a domU that writes nonsense harms nobody"):
            expect(results["hostile"].strip() == "wrote", results["hostile"])
            check_frames(results, "hostile")
        with tap.case("a domU is destroyed, nothing of it is left, nobody else notices"):
            check_frames(results, "destroyed")
            expect(results["left"] == "2", f"{results['left']} domains are left")
        with tap.case("a new domU gets its VIF from vif-ctl xen attach"):
            expect(results["list"] == "2", f"vif-ctl xen list: {results['list']} connected")
            check_pings(results, "reborn")
        with tap.case("the switch ends well and its sums add up"):
            check_sums(json.loads(results["stats"]))
            expect(results["switch_code"] == "0", f"exit code {results['switch_code']}")
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
