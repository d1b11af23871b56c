# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What the Xen tests share: the bed with our programs in it, and parts of their scripts."""
import dataclasses
import json
import os
import re
import shutil

from lab import Lab, LabError, Tap, expect
from traffic import perfect
from xen.bed import XenBed, qemu_version
from xen.image import ImageError
from xen.packages import Unavailable

GUESTS = ("u1", "u2")
PROGRAMS = ("vif-switch", "vif-echo", "vif-tap", "test-traffic")
PLUGIN = "/nfe/librte_net_nfe.so"
# Both domUs, side by side. The first comes back when it reboots or crashes.
BOTH_UP = """
xl domid u1 > /dev/null 2>&1 || start_guest u1 restart
xl domid u2 > /dev/null 2>&1 || start_guest u2
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


@dataclasses.dataclass
class Part:
    """A test that can share its boot with others. config: of the switch. files: more of them, path:
    text. installed: programs of the distribution. check(tap, machine) judges."""
    name: str
    config: str
    script: object  # text, or a function of the Machine that gives it
    check: object
    files: dict = dataclasses.field(default_factory=dict)
    installed: tuple = ()
    needs_xenio: bool = True  # lib/xenio on real Xen, which a build without libxen-dev lacks


class Machine:
    """One boot for several parts. It happens when the first results are asked for."""

    def __init__(self, lab, parts):
        self.lab = lab
        self.parts = [part for part in parts if not part.needs_xenio or have_xen(lab)]
        files, installed = {}, {}
        for part in self.parts:
            files |= {f"/nfe/parts/{part.name}.conf": part.config, **part.files}
            installed |= dict.fromkeys(part.installed)
        self.bed = make_bed(lab, "", files, installed)
        self.all_results = self.error = None

    def has(self, tap, name):
        """Whether it runs this part; if not, that is said."""
        found = any(part.name == name for part in self.parts)
        if not found:
            tap.skip(f"Xen: {name}", "built without libxen-dev")
        return found

    def results(self, name):
        """Raises LabError, for each part, if the boot failed."""
        if self.all_results is None and self.error is None:
            scripts = {part.name: part.script(self) if callable(part.script) else part.script
                       for part in self.parts}
            try:
                self.all_results = self.bed.boot_parts(scripts)
            except LabError as error:
                self.error = error
        if self.error:
            raise LabError(str(self.error))
        return self.all_results[name]


def run(*parts):
    """All of these tests; returns the exit code of the program."""
    tap = Tap()
    with Lab(f"xen-{parts[0].name}") as lab:
        machine = Machine(lab, parts)
        for part in parts:
            part.check(tap, machine)
    return tap.plan()


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
