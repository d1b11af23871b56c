# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Boots real Xen with dom0 and PV domUs under QEMU's TCG, and gives back the results as counts.

    bed = XenBed(lab, programs=[lab.program("vif-switch")], files={"/nfe/switch.conf": text})
    results = bed.boot(script)
    results["traffic"]      the VALUE of "result traffic VALUE" in the script
    all = bed.boot_parts({"a": script, "b": script})   one after the other in one boot

The script runs in dom0; guest/dom0.sh says what it may call, and domUs run what it tells them.
Images are made anew at each boot from files of this machine and the cached packages. A boot
that doesn't reach its end is the emulator's fault and is repeated once; a result is never judged by
the time that it took. QEMU is a process of the Lab, so that the Lab ends it in any case.
"""
import glob
import gzip
import os

from lab import LabError, write_file
from xen.image import add_python, add_toolstack, base_image
from xen.packages import run, xen_tree

HERE = os.path.dirname(os.path.abspath(__file__))
QEMU = "qemu-system-x86_64"
BOOT_TIMEOUT_S = 600
PATIENCE = int(os.environ.get("NFE_PATIENCE", "2"))  # all deadlines times this
ATTEMPTS = 2
MACHINE_MIB = 2048
DOM0_MIB = 896
# Without what TCG emulates too slowly, or not well enough for Xen and PV kernels.
CPU = "EPYC,-smap,-monitor,-rdtscp,-xsave,-xsaveopt,-xgetbv1,-avx,-avx2,-fma,-f16c"
CONSOLE_LINES = 60
# An emulator translates a program once if it lies at the same addresses in every process.
KERNEL = "quiet mitigations=off norandmaps init_on_alloc=0"
DOM0_KERNEL = f"console=hvc0 {KERNEL}"
# Memory that nobody touches costs nothing.
XEN = "bootscrub=0 spec-ctrl=no loglvl=warning"


class Results(dict):
    def __missing__(self, name):
        raise LabError(f"the script gave no result '{name}': {dict(self)}")


def qemu_version():
    """Raises Unavailable where there is no QEMU for x86."""
    return run([QEMU, "--version"], text=True).splitlines()[0]


class XenBed:
    """programs: executables for /nfe/bin of every domain, with their libraries. files: paths in
    the guest to text or bytes. plugins: paths in the guest to shared objects of this machine."""
    with_python = True  # in dom0, for vif-ctl
    attempts = ATTEMPTS
    machine_mib = MACHINE_MIB
    dom0_mib = DOM0_MIB

    def __init__(self, lab, programs=(), plugins=None, files=None, modules=()):
        self.lab = lab
        self.tree = xen_tree()
        self.programs = programs
        self.plugins = plugins or {}
        self.files = files or {}
        self.modules = modules
        self.boots = 0

    def boot(self, script):
        """Runs a script in dom0 to its end and returns its Results. Raises LabError."""
        return self.boot_parts({"test": script})["test"]

    def boot_parts(self, scripts):
        """Results of each part by its name."""
        initrd = self._write_images(scripts)
        for attempt in range(self.attempts):
            self.boots += 1
            process, results_path = self._start(initrd)
            try:
                process.wait(BOOT_TIMEOUT_S * PATIENCE)
            except LabError as error:
                print(f"# xen: {error}", flush=True)
                process.stop()
            results = read_parts(results_path)
            if all("end" in results.get(name, ()) for name in scripts):
                return results
            print(f"# xen: attempt {attempt + 1} did not reach its end: {results}", flush=True)
        kept = self._keep(process)
        raise LabError(f"xen: no boot of {self.attempts} reached its end; console kept in {kept}\n"
                       f"{process.tail(CONSOLE_LINES)}")

    # Images

    def _write_images(self, scripts):
        """Writes both images into the Lab's directory and returns the path of dom0's."""
        domu = self._image("domu.sh")
        ramdisk = os.path.join(self.lab.run_dir, "domu.cpio")
        domu.write(ramdisk)
        dom0 = self._image("dom0.sh")
        for number, (name, script) in enumerate(scripts.items()):
            dom0.add(f"/nfe/parts/{number}-{name}.sh", script.encode())
        add_toolstack(dom0, self.tree, os.path.join(self.tree, "boot/vmlinux"), ramdisk)
        if self.with_python:
            add_python(dom0)
        self.add_to_dom0(dom0)
        initrd = os.path.join(self.lab.run_dir, "dom0.cpio")
        dom0.write(initrd)
        return initrd

    def add_to_dom0(self, img):
        """For beds with more in it."""

    def _image(self, init):
        guest = os.path.join(HERE, "guest")
        image = base_image(self.tree, os.path.join(guest, init), os.path.join(guest, "common.sh"),
                           self.modules)
        for program in self.programs:
            image.add_program(program, f"/nfe/bin/{os.path.basename(program)}")
        for path, source in self.plugins.items():
            image.add_program(source, path)
        image.add("/nfe/patience", f"{PATIENCE}\n".encode())
        image.add("/nfe/kernel_args", KERNEL.encode())
        for path, text in self.files.items():
            image.add(path, text.encode() if isinstance(text, str) else text, 0o755)
        return image

    # The machine

    def _start(self, initrd):
        """Starts QEMU: the console is the process's log, the second serial port has the results."""
        hypervisor = os.path.join(self.lab.run_dir, "xen")
        packed = glob.glob(os.path.join(self.tree, "boot", "xen-*.gz"))[0]
        with gzip.open(packed) as source, open(hypervisor, "wb") as out:
            out.write(source.read())
        results = os.path.join(self.lab.run_dir, f"results.{self.boots}")
        return self.lab.start("xen", self._command(hypervisor, initrd, results)), results

    def _command(self, hypervisor, initrd, results):
        kernel = f"{self.tree}/boot/vmlinux {DOM0_KERNEL}"
        return [QEMU, "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", CPU, "-smp", "2",
                "-m", str(self.machine_mib), "-display", "none", "-vga", "none", "-nodefaults",
                "-no-user-config", "-no-reboot", "-monitor", "none", "-serial", "stdio",
                "-serial", f"file:{results}", "-kernel", hypervisor,
                "-initrd", f"{kernel},{initrd}", "-append",
                f"console=com1 com1=115200,8n1 dom0_mem={self.dom0_mib}M,max:{self.dom0_mib}M "
                f"dom0_max_vcpus=2 {XEN} guest_loglvl=warning conring_size=256k"]

    def _keep(self, process):
        """The console log outlives the Lab."""
        path = os.path.join(self.lab.build, f"{self.lab.name}-console.log")
        write_file(path, process.log())
        return path


def read_lines(path):
    """(name, value) of those that are complete: it may be read while the machine runs."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().replace("\r", "").split("\n")[:-1]
    except OSError:
        lines = []
    return [(*line.split(" ", 1), "")[:2] for line in lines if line]


def read_results(path):
    """Of a boot with one part."""
    return Results(read_lines(path))


def read_parts(path):
    parts = {}
    for name, value in read_lines(path):
        if name == "part":
            parts[value] = Results()
        elif parts:
            list(parts.values())[-1][name] = value
    return parts
