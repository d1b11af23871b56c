#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: long
"""Real Xen under emulation: dom0 and two domUs boot, lib/xenio works between them, and the switch
serves processes of dom0. Judged by counts, never by time; doc/xen-test-bed.md says how it works."""
import json
import sys

import test_xen_save
import test_xen_vif
from lab import expect
from traffic import perfect
from xen.bed import Results
from xen.scenario import (BOTH_UP, GUESTS, PLUGIN, SWITCH, Part, check_boot, check_sums, have_xen,
                          run)

FRAMES = 5000
CONFIG = """socket-dir /run/vsw
vif a mac 02:00:00:00:00:10 queues 2
vif b mac 02:00:00:00:00:11 queues 2
"""
# lib/xenio alone: grants, events and the unmap-notify between dom0 and each domU.
PROBE_PAGES = 64
PROBE_ROUNDS = 500
PROBE = f"""
for guest in u1 u2; do
    begin $guest "xen-probe offer 0 {PROBE_PAGES}"
    until_true 100 xenstore-read $(of $guest)/data/probe/ready
    result take_$guest "$(xen-probe take $(cat /run/$guest.domid) {PROBE_ROUNDS})"
    finish $guest 100
    result offer_$guest "$told"
done
"""
# The ordinary path of processes, on a CPU without AVX: guest library to PMD and back.
SWITCH_IN_DOM0 = f"""
result avx "$(grep -c avx /proc/cpuinfo)"
start_switch || return
result switch ready
start_logged traffic test-traffic --lcores 0@0 $eal -m 96 --file-prefix traffic \\
    -d {PLUGIN} --vdev net_nfe0,socket=/run/vsw/b.sock -- \\
    --a vif:vfio-user:/run/vsw/a.sock --b port:net_nfe0 --both --frames {FRAMES} --stall-ms 30000
wait "$(cat /run/traffic.pid)"
result traffic_code $?
result traffic "$(sed -n 's/^result //p' /run/traffic.log)"
result stats "$(stats)"
stop_switch -TERM
result switch_code $?
"""


def check_probe(results):
    for guest in GUESTS:
        take, offer = (json.loads(results[f"{side}_{guest}"]) for side in ("take", "offer"))
        for side in (take, offer):
            expect(side["rc"] == 0 and side["bad"] == 0 and side["pages"] == PROBE_PAGES, side)
        expect(take["events"] >= PROBE_ROUNDS, take)
        expect(offer["events"] > PROBE_ROUNDS, offer)  # and the unmap-notify


def check_switch(results):
    expect(results["avx"] == "0", "the CPU has AVX: this is not the machine that we mean")
    expect(results["switch"] == "ready", "vif-switch is not ready")
    traffic = json.loads(results["traffic"])
    perfect(dict(traffic, exit_code=int(results["traffic_code"])))
    expect(traffic["sent"] == 2 * FRAMES, f"{traffic['sent']} frames sent")
    check_sums(json.loads(results["stats"]))
    expect(results["switch_code"] == "0", f"vif-switch ended with code {results['switch_code']}")


def script(machine):
    return BOTH_UP + (PROBE if have_xen(machine.lab) else "") + SWITCH + SWITCH_IN_DOM0


def check(tap, machine):
    if machine.has(tap, PART.name):
        results, probe = Results(), have_xen(machine.lab)
        with tap.case("Xen boots dom0 and two PV domUs", machine.lab):
            results = machine.results(PART.name)
            check_boot(results)
        if probe:
            with tap.case("grants, events and unmap-notify between dom0 and each domU"):
                check_probe(results)
        else:
            tap.skip("grants and events between dom0 and domU", "built without libxen-dev")
        with tap.case(f"vif-switch in dom0 moves 2 x {FRAMES} checked frames, ring to PMD, no AVX"):
            tap.diagnose(results["traffic"])
            check_switch(results)


PART = Part("dom0", CONFIG, script, check, needs_xenio=False)

if __name__ == "__main__":
    sys.exit(run(PART, test_xen_vif.PART, test_xen_save.PART))
