# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What the Xen tests share: the bed with our programs in it, and parts of their scripts."""
import json
import os
import re
import shutil

from lab import Tap, expect
from traffic import perfect
from xen.bed import XenBed, qemu_version
from xen.image import ImageError
from xen.packages import Unavailable

GUESTS = ("u1", "u2")
PROGRAMS = ("vif-switch", "vif-echo", "vif-tap", "test-traffic")
PLUGIN = "/nfe/librte_net_nfe.so"
# Both domUs, side by side. The first comes back when it reboots or crashes.
BOTH_UP = """
start_guest u1 restart
start_guest u2
for guest in u1 u2; do
    on $guest 100 "cat /sys/hypervisor/type; uname -r"
    result $guest "$told"
done
result domains "$(xl list | tail -n +2 | wc -l)"
"""
# start_switch [CONFIG [EAL OPTIONS]]: until it is ready. stop_switch: its exit code is in $?.
SWITCH = """
eal="--no-huge --no-pci"
starts=0
start_switch()
{
    starts=$((starts + 1))
    start_logged switch vif-switch --lcores 0@0,1@1 $eal -m 64 --file-prefix vsw ${2:-} -- \\
        --config ${1:-/nfe/switch.conf}
    wait_lines switch "^vif-switch: ready" $starts 60
}
stop_switch()
{
    kill "$1" "$(cat /run/switch.pid)"
    wait "$(cat /run/switch.pid)"
}
stats()
{
    vif-ctl --file-prefix vsw --json stats | tr -d '\\n'
}
"""


def xen_program(lab, name):
    return os.path.join(lab.build, "app", "test-system", "xen", name)


def have_xen(lab):
    """Without libxen-dev there is no probe, and no attachment over Xen either."""
    return os.path.exists(xen_program(lab, "xen-probe"))


def vif_ctl():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "..", "usertools", "vif-ctl")
    with open(path, encoding="utf-8") as file:
        return file.read()


def make_bed(lab, config, files=None, installed=()):
    """A XenBed with our programs and this configuration; without Xen or QEMU all is skipped.
    files: more of them, path: text. installed: programs of the distribution."""
    try:
        qemu = qemu_version()
        programs = [lab.program(name) for name in PROGRAMS]
        programs += [shutil.which(name) or name for name in installed]
        if have_xen(lab):
            programs += [xen_program(lab, name) for name in ("xen-probe", "xen-resume")]
        files = {"/nfe/switch.conf": config, "/nfe/bin/vif-ctl": vif_ctl(), **(files or {})}
        bed = XenBed(lab, programs, {PLUGIN: lab.plugin()}, files, ["tun", "veth"])
    except (Unavailable, ImageError) as reason:
        Tap.skip_all(f"no Xen test bed here: {reason}")
    print(f"# {qemu}; {os.path.basename(bed.tree)}", flush=True)
    return bed


def check_boot(results):
    expect(results["dom0"].startswith("xen control_d"), f"dom0: {results['dom0']}")
    for guest in GUESTS:
        expect(results[guest].startswith("xen "), f"{guest}: {results[guest]}")
    expect(results["domains"] == "3", f"{results['domains']} domains instead of 3")


def check_frames(said, frames):
    """What test-traffic said in a domU: no frame of either direction was lost or changed."""
    found = re.search(r"^status (\d+) result (\{.*\})", said)
    expect(found, f"test-traffic: {said}")
    result = json.loads(found[2])
    perfect(dict(result, exit_code=int(found[1])))
    expect(result["sent"] == 2 * frames, f"test-traffic: {result}")


def check_end(results):
    check_sums(json.loads(results["stats"]))
    expect(results["switch_code"] == "0", f"exit code {results['switch_code']}")


def check_sums(stats):
    expect(stats["from_adds_up"] and stats["to_adds_up"] and stats["offered_adds_up"],
           f"sums do not add up: {stats}")
