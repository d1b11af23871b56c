# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""A small VM with an NFE function: distribution kernel, initramfs, stock testpmd with our driver.

    bed = Bed(lab)                                    # builds the image once, in the Lab
    vm = bed.start("vm", [lab.socket("a")])           # QEMU under TCG; waits for the guest's shell
    vm.run("bind uio_pci_generic")                    # functions of guest.sh, or any command
    vm.run("pmd -m 64 -- -i")
    print(vm.run("ask show port stats 0"))
    vm.monitor("system_reset")

The memory of the guest is a shared memfd; the device maps it. A command that fails in the guest is
an error here. QEMU and its sockets belong to the Lab. Numbers of a VM under TCG are counts, never
speed.
"""
import glob
import json
import os
import socket
import time

import image
from lab import LabError, expect, wait_until

from .qemu import Qemu

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MIB = 768
HUGEPAGES = 96
BOOT_TIMEOUT_S = 120
COMMAND_TIMEOUT_S = 120
KERNEL_ARGS = ("console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check mitigations=off norandmaps "
               "init_on_alloc=0")
MODULES = ["uio_pci_generic", "vfio", "vfio_iommu_type1", "vfio-pci"]
DRIVERS = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_mempool_ring.so.*.*"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
STDBUF = "/usr/libexec/coreutils/libstdbuf.so"  # what stdbuf(1) preloads


class Bed:
    """What all VMs of a Lab share: QEMU, kernel, initramfs."""

    def __init__(self, lab):
        self.lab = lab
        self.qemu = Qemu.find()
        self.kernel = image.Kernel.fetch()
        self.initramfs = os.path.join(lab.run_dir, "guest.cpio")
        self._build()

    def _build(self):
        img = image.Image()
        img.add_busybox()
        img.add_program("/usr/bin/dpdk-testpmd", extra=[f"{LIBRARIES}/libgcc_s.so.1"])
        img.add_program("/usr/bin/dpdk-proc-info")
        img.add_file(STDBUF)
        for name in ("test-traffic", "test-pmd"):
            img.add_program(self.lab.program(name), f"/usr/bin/{name}")
        for source in [*glob.glob(DRIVERS), self.lab.plugin()]:
            name = os.path.basename(source).split(".so")[0] + ".so"
            img.add_program(source, f"{LIBRARIES}/{name}")
        img.add_modules(self.kernel, MODULES)
        img.add_file(os.path.join(HERE, "guest.sh"), "/init")
        img.entries["/init"] = (img.entries["/init"][0] | 0o111, img.entries["/init"][1])
        img.write(self.initramfs)

    def start(self, name, sockets, iommu=False, again=True):
        """Boots a VM with one function per socket. The emulator gets one second chance."""
        vm = Vm(self, name, sockets, iommu)
        try:
            vm.connect()
        except LabError:
            vm.process.stop()
            if not again:
                raise
            return self.start(name, sockets, iommu, again=False)
        return vm


def device_option(number, path):
    return json.dumps({"driver": "vfio-user-pci", "id": f"nfe{number}", "bus": f"port{number}",
                       "socket": {"type": "unix", "path": path}})


class Vm:
    """A running VM: shell by its second serial port, monitor by QMP."""

    def __init__(self, bed, name, sockets, iommu):
        self.name = name
        self.lab = bed.lab
        base = os.path.join(bed.lab.run_dir, f"{name}.{len(bed.lab.processes)}")
        self.shell_path, self.monitor_path = f"{base}.shell", f"{base}.qmp"
        args = bed.qemu.command(self._arguments(bed, sockets, iommu))
        self.process = bed.lab.start(name, args)
        self.shell = self.qmp = None
        self.pending = b""

    def _arguments(self, bed, sockets, iommu):
        kernel_args = f"{KERNEL_ARGS} hugepages={HUGEPAGES}" + (" intel_iommu=on" if iommu else "")
        args = ["-nodefaults", "-no-user-config", "-display", "none",
                "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
                "-m", f"{MEMORY_MIB}M,slots=1,maxmem={2 * MEMORY_MIB}M",
                "-object", f"memory-backend-memfd,id=mem0,size={MEMORY_MIB}M,share=on",
                "-machine", "q35,memory-backend=mem0",
                "-kernel", bed.qemu.path(bed.kernel.vmlinux()),
                "-initrd", bed.qemu.path(bed.initramfs), "-append", kernel_args,
                "-serial", "stdio",
                "-chardev", f"socket,id=shell,path={self.shell_path},server=on,wait=off",
                "-serial", "chardev:shell",
                "-qmp", f"unix:{self.monitor_path},server=on,wait=off"]
        if iommu:
            args += ["-device", "intel-iommu,intremap=on,caching-mode=on"]
        for number, path in enumerate(sockets):
            args += ["-device", f"pcie-root-port,id=port{number},chassis={number + 1}",
                     "-device", device_option(number, path)]
        return args

    # The guest's shell

    def connect(self):
        self.shell = self._open(self.shell_path)
        self.qmp = self._open(self.monitor_path)
        self._qmp_reply()
        self._qmp_command("qmp_capabilities")
        self.wait_boot()

    def wait_boot(self):
        self._read_until(b"@@ ready", BOOT_TIMEOUT_S)

    def _open(self, path):
        def attempt():
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(path)
            except OSError:
                sock.close()
                expect(self.process.alive(), f"{self.name} ended:\n{self.process.tail()}")
                return None
            return sock
        sock = wait_until(attempt, f"{self.name}: socket {path}", 20)
        self.lab.sockets.append(sock)
        return sock

    def _read_until(self, mark, timeout_s):
        """Bytes before the line that starts with mark, and the rest of that line."""
        deadline = time.monotonic() + timeout_s
        while True:
            lines = self.pending.replace(b"\r", b"").split(b"\n")
            for i, line in enumerate(lines[:-1]):
                if line.startswith(mark):
                    self.pending = b"\n".join(lines[i + 1:])
                    return b"\n".join(lines[:i]), line[len(mark):]
            left = deadline - time.monotonic()
            if left <= 0:
                raise LabError(f"{self.name}: no '{mark.decode()}' within {timeout_s} s:\n"
                               f"{self.pending.decode(errors='replace')}")
            self.shell.settimeout(left)
            try:
                more = self.shell.recv(65536)
            except socket.timeout:
                continue
            if not more:
                raise LabError(f"{self.name} ended:\n{self.process.tail()}")
            self.pending += more

    def run(self, command, timeout_s=COMMAND_TIMEOUT_S, check=True):
        """Runs a line of shell in the guest and returns what it printed."""
        self.shell.sendall(command.encode() + b"\n")
        output, code = self._read_until(b"@@ ", timeout_s)
        text = output.decode(errors="replace")
        if check and code.strip() != b"0":
            raise LabError(f"{self.name}: {command}: exit code {code.decode()}:\n{text}")
        return text

    # The monitor

    def _qmp_reply(self):
        """The next message of QMP that is no event."""
        self.qmp.settimeout(20)
        line = b""
        while True:
            byte = self.qmp.recv(1)
            if not byte:
                raise LabError(f"{self.name}: QEMU ended:\n{self.process.tail()}")
            line += byte
            if byte == b"\n":
                reply = json.loads(line)
                if "event" not in reply:
                    return reply
                line = b""

    def _qmp_command(self, command, **arguments):
        self.qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        reply = self._qmp_reply()
        expect("return" in reply, f"{self.name}: {command} {arguments}: {reply}")
        return reply["return"]

    def reset(self):
        self._qmp_command("system_reset")
        self.pending = b""
        self.wait_boot()

    def unplug(self, number=0):
        self._qmp_command("device_del", id=f"nfe{number}")

    def plug(self, path, number=0):
        self._qmp_command("device_add", **json.loads(device_option(number, path)))

    def plug_memory(self, mib):
        """A DIMM into the running VM, shared as all its memory."""
        self._qmp_command("object-add", **{"qom-type": "memory-backend-memfd", "id": "dimm0",
                                           "size": mib << 20, "share": True})
        self._qmp_command("device_add", driver="pc-dimm", id="dimm-device0", memdev="dimm0")

    def functions(self):
        """How many NFE functions QEMU has."""
        text = json.dumps(self._qmp_command("query-pci"))
        return text.count('"qdev_id": "nfe')

    def kill(self):
        self.process.kill()
