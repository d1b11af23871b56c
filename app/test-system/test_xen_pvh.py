#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: flaky
"""Foreign mapping on real Xen: the PMD of a PVH domU sends and receives in its own hugepages, which
the switch in dom0 maps without grants. It is refused where the configuration does not allow it, and
a program that is killed is let go of. A PVH domU under emulation comes up not always: it is tried
ATTEMPTS times, then the test is skipped as "flaky emulator". So it is a job of its own:

    meson test -C build --suite flaky

Judged by counts, never by time."""
import sys

from lab import Lab, LabError, Tap, expect
from xen.scenario import PLUGIN, SWITCH, check_end, check_frames, have_xen, make_bed

ATTEMPTS = 3
FRAMES = 3000
HUGEPAGES = 64  # of 2 MiB, in the guest; EAL takes half of them
MAX_GRANTED = 64  # pages of the PMD: doorbells and control queues, no buffers
FOREIGN_PAGES = 64 * 256  # of 64 MiB
CONFIG = """socket-dir /run/vsw
vif pmd mac 02:00:00:00:00:10 queues 2 xen any foreign on
vif ring mac 02:00:00:00:00:11 queues 2 xen any
"""
GUEST = f"""
for attempt in $(seq {ATTEMPTS}); do
    start_guest p destroy 'type = "pvh"
memory = 512'
    on p 80 "uname -r" && break
    result flaky "attempt $attempt: $(xl list | grep '^p ')"
    xl destroy p
done
result p "$told"
[ -n "$told" ] || return
"""
MAIN = f"""
start_switch || return
result not_configured "$(vif-ctl xen attach p --vif ring --foreign 2>&1 | tail -n 1)"
result attach "$(vif-ctl xen attach p --vif pmd --foreign --queues 2 2>&1 | tail -n 1)"
vif-ctl xen attach p --vif ring --queues 2
on p 60 "mkdir -p /dev/hugepages; mount -t hugetlbfs none /dev/hugepages;
    echo {HUGEPAGES} > /proc/sys/vm/nr_hugepages; cat /proc/sys/vm/nr_hugepages"
result hugepages "$told"
# number KEY: of the PMD's VIF.
number()
{{
    vif-ctl --file-prefix vsw --json info pmd | sed -n "s/.*\\"$1\\": *\\([0-9]*\\).*/\\1/p"
}}
mapped()
{{
    [ "$(number foreign_pages)" -ge {FOREIGN_PAGES} ]
}}
unmapped()
{{
    [ "$(number foreign_pages)" = 0 ]
}}
# traffic FRAMES: checked, guest library on one VIF, PMD on the other, in both directions.
traffic()
{{
    echo "test-traffic --lcores 0@0 --no-pci -m 64 --iova-mode=pa -d {PLUGIN}
        --vdev net_nfe0,xen=0 -- --a vif:xen:1 --b port:net_nfe0 --both --frames $1
        --stall-ms 60000 > /tmp/traffic.log 2>&1"
}}
begin p "$(traffic {FRAMES}); echo status \\$?;
    grep -a ^result /tmp/traffic.log || cat /tmp/traffic.log"
finish p 200
result frames "$told"
until_true 60 unmapped
result left "$(number foreign_pages) $(number died)"
on p 60 "$(traffic 100000000) &"
until_true 100 mapped
result foreign "$(number foreign_pages) $(xenstore-read $(of p)/device/nfe/0/nr-pages)"
on p 60 "killall -9 test-traffic"
until_true 60 unmapped
result killed "$(number foreign_pages) $(number died)"
result alive "$(xl domid p)"
result stats "$(stats)"
stop_switch -TERM
result switch_code $?
"""


def boot(lab):
    """Results of a boot in which the emulator held out; else the test ends as skipped."""
    bed = make_bed(lab, CONFIG)
    bed.attempts = 1  # of the whole machine
    try:
        results = bed.boot(GUEST + SWITCH + MAIN)
    except LabError as error:
        Tap().diagnose(error)
        Tap.skip_all("flaky emulator: no boot reached its end")
    if not results.get("p"):
        Tap.skip_all(f"flaky emulator: no PVH domU of {ATTEMPTS} came up")
    if results.get("hugepages") and not results.get("alive"):
        Tap.skip_all(f"flaky emulator: the PVH domU went: {dict(results)}")
    return results


def main():
    tap = Tap()
    with Lab("xen-pvh") as lab:
        if not have_xen(lab):
            tap.skip_all("built without libxen-dev")
        results = boot(lab)
        with tap.case("a PVH domU has hugepages"):
            expect(results["hugepages"].strip() == str(HUGEPAGES), results["hugepages"])
        with tap.case("without \"foreign on\" vif-ctl refuses and says why"):
            expect("foreign mapping is refused: VIF ring" in results["not_configured"],
                   results["not_configured"])
        with tap.case("with it the switch may map what the domain does not grant"):
            expect("without grants" in results["attach"], results["attach"])
        with tap.case("the PMD's memory is mapped, and almost nothing granted"):
            foreign, granted = map(int, results["foreign"].split())
            tap.diagnose(f"{foreign} foreign pages, {granted} granted")
            expect(foreign >= FOREIGN_PAGES and granted <= MAX_GRANTED, results["foreign"])
        with tap.case(f"2 x {FRAMES} checked frames between ring (grants) and PMD (foreign)"):
            check_frames(results["frames"], FRAMES)
        with tap.case("an orderly end leaves nothing mapped"):
            expect(results["left"] == "0 0", f"pages, died: {results['left']}")
        with tap.case("kill -9 of the program leaves nothing mapped"):
            expect(results["killed"] == "0 1", f"pages, died: {results['killed']}")
        with tap.case("the switch ends well and its sums add up"):
            check_end(results)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
