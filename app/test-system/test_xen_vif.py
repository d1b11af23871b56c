#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: alone
"""VIFs of Xen domains, on real Xen: two domUs on a switch in dom0, memory by grants, wake-ups by
event channels; the guest library and the PMD, in the stock testpmd too. Ping, copied files, counted
frames. The switch is killed and started again; programs in a domU are; a domU writes nonsense,
suspends, reboots, crashes, is destroyed. What the switch holds of a domain is counted.
Judged by counts, never by time."""
import json
import re
import sys

from lab import expect
from xen.bed import Results
from xen.scenario import (BOTH_UP, PLUGIN, SWITCH, Part, check_boot, check_end, check_frames,
                          check_sums, run)

FRAMES = 20000  # they flow for as long as it takes to end a neighbour
BUSY_FRAMES = 4000
FRAMES_PER_EVENT = 10
PINGS = 5
KILLS = 1
CYCLES = 4
FILE_KIB = 2048
TAP_PAGES = 900  # that vif-tap grants, at least
CONFIG = """socket-dir /run/vsw
vif tap1 mac 02:00:00:00:00:10 queues 2 xen any
vif tap2 mac 02:00:00:00:00:11 queues 2 xen any
vif gen1 mac 02:00:00:00:00:12 queues 2 xen any
vif gen2 mac 02:00:00:00:00:13 queues 2 xen any
"""
MIX_CONFIG = CONFIG + """vif proc mac 02:00:00:00:00:14
uplink wire port net_af_packet0
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
    xenstore-write $front/backend $back $front/backend-id 0 $front/state 1 \\
        $back/frontend $front $back/frontend-id $id $back/state 1 $back/vif $3
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
# pings NAME FROM TO: TO is the last byte of an address.
pings()
{{
    on $2 100 "until_true 60 ping -c 1 -W 2 192.0.2.$3" || return
    on $2 200 "answers {PINGS} 192.0.2.$3"
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
# frames NAME N COMMAND...: checked ones between two VIFs of u2, the guest library on one and the
# PMD on the other, while dom0 runs the command.
frames()
{{
    name=$1 n=$2
    shift 2
    begin u2 "test-traffic --lcores 0@0 --no-huge --no-pci -m 64 -d {PLUGIN}
        --vdev net_nfe0,xen=2 -- --a vif:xen:1 --b port:net_nfe0 --both --frames $n
        --stall-ms 60000 > /tmp/frames.log 2>&1;
        echo status \\$?; grep -a ^result /tmp/frames.log || cat /tmp/frames.log"
    "$@"
    finish u2 200
    result frames_$name "$told"
}}
# notifications: between the switch and the two VIFs of u2, in both directions.
notifications()
{{
    vif-ctl --file-prefix vsw --json info gen1 > /run/gen1.json &
    vif-ctl --file-prefix vsw --json info gen2 > /run/gen2.json
    wait $!
    sed -n 's/.*"\\(events\\|interrupts\\)": *\\([0-9]*\\).*/\\2/p' /run/gen1.json /run/gen2.json |
        {{ sum=0; while read count; do sum=$((sum + count)); done; echo $sum; }}
}}
"""
# The stock testpmd in u1 answers pings; it keeps what it prints until its end.
TESTPMD = f"""
testpmd()
{{
    on u1 100 "mkfifo /tmp/in; dpdk-testpmd --lcores 0@0,1@0 --no-huge --no-pci -m 64 -d {PLUGIN}
        --vdev net_nfe0 --no-telemetry -- --forward-mode=icmpecho --total-num-mbufs=4096
        --disable-link-check --no-mlockall 0<> /tmp/in > /tmp/testpmd.log 2>&1 &"
}}
testpmd_ends()
{{
    on u1 100 "echo > /tmp/in; until_true 60 grep -q Bye /tmp/testpmd.log;
        grep -c 'net_nfe0: link' /tmp/testpmd.log;
        grep -a -A1 'Accumulated' /tmp/testpmd.log | tail -n 1; tail -n 1 /tmp/testpmd.log"
    result testpmd "$told"
}}
"""
# What the switch holds of domains: descriptors, pieces of mapped grants, event channels.
HELD = f"""
held()
{{
    pid=$(cat /run/switch.pid)
    echo "$(ls /proc/$pid/fd | wc -l) $(grep -c gntdev /proc/$pid/maps)" \\
        "$(grep -c evtchn: /proc/interrupts)"
}}
# grants GUEST: entries of its grant table that somebody has mapped, as Xen itself lists them: in a
# tasklet, after xl debug-keys has returned.
listed()
{{
    xl dmesg | grep -q "gnttab_usage_print_all \\] done"
}}
grants()
{{
    xl dmesg -c > /run/dmesg
    xl debug-keys g
    until_true 10 listed
    xl dmesg | awk -v "of=d$(cat "/run/$1.domid")" '/grant-table for/ {{ on = $5 == of }}
        on && /\\[0x/ {{ n++ }} END {{ print n + 0 }}'
}}
closed()
{{
    [ "$(xenstore-read /local/domain/0/backend/nfe/$1/state)" = 6 ]
}}
# echoes N: attached and gone, killed each other time.
echoes()
{{
    on u1 200 "for cycle in $(seq -s ' ' $1); do
            vif-echo --sleep xen:0 > /tmp/echo.log 2>&1 &
            until_true 30 grep -q ready /tmp/echo.log || {{ cat /tmp/echo.log; exit; }};
            [ \\$((cycle % 2)) = 0 ] && kill \\$! || kill -9 \\$!; wait \\$!; done; echo all"
}}
# With the kernel's default limit of pages: what is not given back is missing soon. The first
# ones open what stays open.
cycles()
{{
    on u1 10 "echo 1024 > /sys/module/xen_gntalloc/parameters/limit"
    echoes 2
    until_true 30 closed "$(cat /run/u1.domid)/0"
    result held_before "$(held) $(grants u1)"
    echoes {CYCLES}
    result cycles "$told"
    until_true 30 closed "$(cat /run/u1.domid)/0"
    result held_after "$(held) $(grants u1)"
}}
"""
# A process of dom0, the wire, and a domU on one switch.
MIX = """
mix()
{
    ip link add name wire0 type veth
    ip link set wire0 up
    ip addr add 192.0.2.100/24 dev veth0
    ip link set veth0 up
    stop_switch -KILL
    start_switch /nfe/mix.conf --vdev=net_af_packet0,iface=wire0 || return
    start_logged proc unshare -n vif-tap --vif vfio-user:/run/vsw/proc.sock --tap vif0 --up \\
        --address 192.0.2.50/24
    wait_lines proc ready 1 60 || return
    pings domu_process u1 50 && pings domu_wire u1 100 || return
    in_proc="nsenter -n -t $(cat /run/proc.pid)"
    until_true 60 $in_proc ping -c 1 -W 2 192.0.2.100
    result pings_process_wire "$($in_proc sh -c '. /nfe/common.sh; answers PINGS 192.0.2.100')"
    result pings_wire_domu "$(answers PINGS 192.0.2.2)"
    result mix "$(stats)"
    kill "$(cat /run/proc.pid)"
    stop_switch -KILL
    ip link del wire0
    start_switch
}
""".replace("PINGS", str(PINGS))
# A front end that writes nonsense, all the time.
HOSTILE = """
hostile()
{
    on u1 200 "for value in 7 4294967295 x; do
        for key in version index-ref nr-pages doorbell-page event-channel boot-sq-lo; do
        for state in 3 6 9; do
        xenstore-write device/nfe/0/\\$key \\$value device/nfe/0/state \\$state || echo refused;
        done; done; done; echo wrote"
    result hostile "$told"
}
"""
MAIN = f"""
# Not while u2 still attaches: under emulation the end of a domain can stop dom0 for seconds.
traffic_flows()
{{
    wait_lines switch "vif gen1: guest attached" $((attached + 1)) 100
    sleep 3
}}
destroy_u1()
{{
    traffic_flows
    xl destroy u1
}}
# Runs a command in u1 that is the end of it, and waits for xl to make a new domain of it.
end_u1()
{{
    traffic_flows
    begin u1 "$1"
    until_true 150 restarted u1
    result "restarted_$name" $?
}}
# life NAME COMMAND: one life of u1 ends so, its neighbours go on, the next gets its VIF.
life()
{{
    attached=$(grep -c "vif gen1: guest attached" /run/switch.log)
    frames "$1" {FRAMES} end_u1 "$2"
    result "held_$1" "$(held)"
    until_true 100 vif-ctl xen attach u1 --vif tap1 --queues 2 --gntalloc 16384
    tap u1 || return
    pings "$1" u1 2
}}
# It goes on where it was; the back end has let go of it meanwhile.
suspend_u1()
{{
    detached=$(grep -c "vif tap1: .*suspended" /run/switch.log)
    xenstore-write "$(of u1)/control/shutdown" suspend
    until_true 60 eval "xl list u1 | grep -q -e '---ss-'"
    result suspended "$?"
    wait_lines switch "vif tap1: .*suspended" $((detached + 1)) 60
    xen-resume "$(cat /run/u1.domid)"
    result resumed "$?"
}}
attach_all
start_switch || return
cycles
tap u2 || return
result held_u2 "$(held)"
tap u1 || return
result grants "$(grants u1)"
pings first u1 2 || return
copy first || return
before=$(notifications)
frames quiet {BUSY_FRAMES} true
result notifications $(($(notifications) - before))
for cycle in $(seq {KILLS}); do
    stop_switch -KILL
    start_switch || return
    pings kill_$cycle u1 2 || return
done
copy kills || return
mix || return
# Both taps answer, so both are attached to the switch that was started last.
pings mixed u1 2 || return
# What is left of a program that was killed: nothing, and its device can be taken away.
result held_alive "$(held) $(grants u1)"
on u1 30 "killall -9 vif-tap"
until_true 30 closed "$(cat /run/u1.domid)/0"
result held_killed "$(held) $(grants u1)"
result killed "$(vif-ctl --file-prefix vsw --json info tap1 | tr -d '\n')"
vif-ctl xen detach u1
result detach_killed $?
vif-ctl xen attach u1 --vif tap1 --queues 2
result attach_killed $?
testpmd || return
pings testpmd u2 1 || return
stop_switch -KILL
start_switch || return
pings testpmd_kill u2 1 || return
testpmd_ends
tap u1 || return
pings app u1 2 || return
life rebooted "reboot -f"
result list "$(vif-ctl xen list | grep -c 'Connected *Connected')"
life crashed "echo c > /proc/sysrq-trigger"
result xl "$(grep -e 'reason code' -e Rebooting /var/log/xen/xl-u1.log | tr '\\n' ' ')"
result domains_after "$(xl list | tail -n +2 | wc -l)"
# After it, for xl ends with a domain that suspends: nobody would make a new one.
suspend_u1
pings resumed u1 2 || return
frames hostile {FRAMES} hostile
attached=$(grep -c "vif gen1: guest attached" /run/switch.log)
frames destroyed {FRAMES} destroy_u1
until_true 60 gone u1
result left "$(xl list | tail -n +2 | wc -l)"
result held_end "$(held)"
result stats "$(stats)"
stop_switch -TERM
result switch_code $?
"""


def check_pings(results, name):
    answers = results[f"pings_{name}"].strip()
    expect(answers == str(PINGS), f"pings {name}: {answers} answers to {PINGS}")


def check_copy(results, name):
    sent, got = results[f"sent_{name}"], results[f"got_{name}"]
    expect(sent.split() and sent.split()[:1] == got.split()[:1],
           f"copy {name}: sent {sent}, got {got}")


def check_held(results, when):
    """The switch holds as many pieces of mapped grants as when u2's tap alone was attached."""
    before, now = (results[f"held_{name}"].split()[1] for name in ("u2", when))
    expect(before == now, f"{before} mapped pieces with u2 alone, {now} now")


def check_killed(results):
    """As before u1 had anything attached: pieces of mapped grants, u1's grants that are in use."""
    alive, killed = (results[f"held_{name}"].split() for name in ("alive", "killed"))
    expect(int(alive[-1]) >= TAP_PAGES and killed[-1] == results["held_before"].split()[-1],
           f"u1's grants in use: {results['held_before']}; alive {alive}, killed {killed}")
    check_held(results, "killed")
    info = json.loads(results["killed"])
    expect(not info["attached"] and info["xen"]["xenbus_state"] == "Closed", f"tap1: {info}")
    expect(info["xen"]["died"] == 1, f"tap1: {info['xen']}")


def check_busy(results):
    """Both ends are busy most of the time; under emulation they take turns, and may sleep then."""
    frames, events = 2 * BUSY_FRAMES, int(results["notifications"])
    expect(events > 0, "no notification was counted, not even those of attach")
    expect(events * FRAMES_PER_EVENT < frames, f"{events} notifications for {frames} frames")


def check_testpmd(results):
    """Lines "link down" and "link up" for each life of the switch, and all it got was answered."""
    found = re.match(r"(\d+) +RX-packets: (\d+) .*Bye", results["testpmd"])
    expect(found, f"testpmd: {results['testpmd']}")
    expect(int(found[1]) >= 2, f"{found[1]} changes of the link")
    expect(int(found[2]) >= 2 * PINGS, f"{found[2]} frames received")


def check(tap, machine):
    if machine.has(tap, PART.name):
        results = Results()
        with tap.case("a switch in dom0 and two domUs boot", machine.lab):
            results = machine.results(PART.name)
            check_boot(results)
        with tap.case(f"{CYCLES} times attached and gone: nothing is left"):
            expect(results["cycles"].strip().endswith("all"), results["cycles"])
            expect(results["held_after"] == results["held_before"],
                   f"descriptors, mappings, event channels, grants: {results['held_before']} "
                   f"before, {results['held_after']} after")
            more = int(results["grants"]) - int(results["held_before"].split()[-1])
            expect(more >= TAP_PAGES, f"an attached vif-tap has {more} grants more")
        with tap.case(f"{PINGS} pings and {FILE_KIB} KiB by TCP from domU to domU"):
            check_pings(results, "first")
            check_copy(results, "first")
        with tap.case(f"2 x {BUSY_FRAMES} checked frames between VIFs of a domU, ring and PMD"):
            check_frames(results["frames_quiet"], BUSY_FRAMES)
        with tap.case(f"less than one notification for {FRAMES_PER_EVENT} of them"):
            tap.diagnose(f"{results['notifications']} notifications")
            check_busy(results)
        with tap.case(f"kill -9 and a new start of the switch ({KILLS}): domUs come back"):
            for cycle in range(1, KILLS + 1):
                check_pings(results, f"kill_{cycle}")
            check_copy(results, "kills")
        with tap.case("domU, process and wire on one switch reach each other"):
            for pair in ("domu_process", "domu_wire", "process_wire", "wire_domu"):
                check_pings(results, pair)
            check_pings(results, "mixed")
            check_sums(json.loads(results["mix"]))
        with tap.case("kill -9 of a program in a domU: nothing of it is left, its VIF is detached"):
            check_killed(results)
            codes = results["detach_killed"], results["attach_killed"]
            expect(codes == ("0", "0"), f"vif-ctl xen detach, attach: codes {codes}")
        with tap.case("stock testpmd in a domU answers, the switch being killed meanwhile"):
            check_pings(results, "testpmd")
            check_pings(results, "testpmd_kill")
            check_testpmd(results)
        with tap.case("kill -9 and a new start of an application in a domU"):
            check_pings(results, "app")
        with tap.case("a domU that was suspended and resumed goes on"):
            expect(results["suspended"] == "0" and results["resumed"] == "0",
                   f"suspended: {results['suspended']}, resumed: {results['resumed']}")
            check_pings(results, "resumed")
        with tap.case("a domU that writes nonsense harms nobody"):
            expect(results["hostile"].strip() == "wrote", results["hostile"])
            check_frames(results["frames_hostile"], FRAMES)
        for how in ("rebooted", "crashed"):
            with tap.case(f"a domU is {how}: nobody else notices, its next life gets the VIF"):
                expect(results[f"restarted_{how}"] == "0", f"xl: {results['xl']}")
                check_frames(results[f"frames_{how}"], FRAMES)
                check_pings(results, how)
                check_held(results, how)
        with tap.case("vif-ctl xen attach gave it its VIF, and xen list has both domUs"):
            expect(results["list"] == "2", f"vif-ctl xen list: {results['list']} connected")
        with tap.case("for xl these were a reboot and a crash"):
            expect("reason code 1 " in results["xl"] and "reason code 3 " in results["xl"],
                   results["xl"])
            expect(results["domains_after"] == "3",
                   f"{results['domains_after']} domains after them")
        with tap.case("a domU is destroyed, nothing of it is left, nobody else notices"):
            check_frames(results["frames_destroyed"], FRAMES)
            expect(results["left"] == "2", f"{results['left']} domains are left")
            check_held(results, "end")
        with tap.case("the switch ends well and its sums add up"):
            check_end(results)


PART = Part("vif", CONFIG,
            BOTH_UP + SWITCH + ATTACH + TRAFFIC + TESTPMD + HELD + MIX + HOSTILE + MAIN, check,
            {"/nfe/mix.conf": MIX_CONFIG}, ("dpdk-testpmd",))

if __name__ == "__main__":
    sys.exit(run(PART))
