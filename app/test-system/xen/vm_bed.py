# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""A VM in dom0, beside domUs on the switch there: QEMU within QEMU, both emulating.

A Linux does not boot there in any time that a test has. So it boots here, where it takes seconds,
up to the prompt of the stock testpmd; its memory goes into dom0's image as a file ("migrate"), and
the QEMU in dom0 begins with that ("-incoming"). The function is there from then on only: the VM's
kernel finds it when it looks at its bus again, and testpmd takes it by "port attach".

The VM's shell and testpmd share its second serial port. testpmd's other port is a tap interface, so
what it forwards is the traffic of the VM's own kernel.
"""
import glob
import json
import os
import re
import shlex

import image
from lab import expect, wait_until
from vm.bed import DRIVERS, HERE, KERNEL_ARGS, LIBRARIES, STDBUF, Bed, Vm
from vm.qemu import PROGRAM, Qemu
from xen.bed import XenBed

MEMORY_MIB = 192
HUGEPAGES = 20
TESTPMD_MIB = 32
MBUFS = 2048
SLOT = 3
FUNCTION = f"0000:00:{SLOT:02x}.0"
ROOT = "/qemu"  # of the QEMU in dom0: it comes with a C library of its own
STATE = "/vm.state"
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin")
FIRMWARE_DIRS = ("/usr/share/seabios", "/usr/share/qemu")
PLUGINS = ("mempool_ring", "net_tap")
# Pages that nobody uses are zero, and take no space in the file.
SMALL_ARGS = f"{KERNEL_ARGS} nokaslr init_on_free=1 hugepages={HUGEPAGES}"
# One CPU without what costs an emulator time and Linux would use.
MACHINE = ["-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg",
           "-cpu", "Nehalem", "-smp", "1", "-m", f"{MEMORY_MIB}M",
           "-object", f"memory-backend-memfd,id=mem0,size={MEMORY_MIB}M,share=on",
           "-machine", "q35,memory-backend=mem0"]
# start_vm: until it runs. vm COMMAND: a line for its shell. vm_says REGEX N SECONDS: until there
# are N such lines. What looks is seldom, because each process here takes time from the VM.
FUNCTIONS = """
start_vm()
{
    for name in shell qmp; do
        mkfifo /run/$name.in /run/$name.out
        cat /run/$name.out > /run/$name.log &
        follow $name /run/$name.log
    done
    for name in dev proc run; do
        mount --bind /$name @ROOT@/$name
    done
    start_logged qemu chroot @ROOT@ @QEMU@
    log_says qmp '"QMP"' 1 60 || return
    echo '{"execute":"qmp_capabilities"}' > /run/qmp.in
    log_says qmp '"RESUME"' 1 100
}
vm()
{
    echo "$*" > /run/shell.in
}
vm_says()
{
    log_says shell "$@"
}
log_says()
{
    read -r up rest < /proc/uptime
    read -r patience < /nfe/patience
    limit=$((${up%.*} + $4 * patience))
    until [ "$(grep -ac -- "$2" "/run/$1.log")" -ge "$3" ]; do
        read -r up rest < /proc/uptime
        [ "${up%.*}" -lt $limit ] || { note "$1 does not say $2"; return 1; }
        sleep 1
    done
}
# attach_function: the VM's testpmd forwards between its tap and the function.
attach_function()
{
    vm "echo 1 > /sys/bus/pci/rescan; echo port attach @FUNCTION@ >&3"
    vm_says "Port 1 is attached" 1 200 || return
    note "attached"
    vm "echo port start 1 >&3"
    vm_says "^Port 1: " 1 100 || return
    vm "echo start >&3"
    vm_says "io packet forwarding" 1 60
}
# port_stats N: what testpmd counts of the function, the N-th time that it is asked.
port_stats()
{
    vm "echo show port stats 1 >&3"
    vm_says "Tx-pps" "$1" 60
    grep -a -e RX-packets -e TX-packets /run/shell.log | tail -n 2 | tr '\\n' ' '
}
"""


class Snapshot(Bed):
    """The VM that waits: its initramfs, and the file with its state."""

    def __init__(self, lab, mac, address, files):
        self.files = files
        super().__init__(lab)
        self.path = os.path.join(lab.run_dir, "vm.state")
        self._save(mac, address)

    def _build(self):
        img = image.Image()
        img.add_busybox()
        img.add_program("/usr/bin/dpdk-testpmd", extra=[f"{LIBRARIES}/libgcc_s.so.1"])
        img.add_file(STDBUF)
        plugins = [path for name in PLUGINS
                   for path in glob.glob(DRIVERS.replace("mempool_ring", name))]
        for source in [*plugins, self.lab.plugin()]:
            name = os.path.basename(source).split(".so")[0] + ".so"
            img.add_program(source, f"{LIBRARIES}/{name}")
        img.add_modules(self.kernel, ["uio_pci_generic", "tun"])
        img.add_file(os.path.join(HERE, "guest.sh"), "/init")
        img.entries["/init"] = (img.entries["/init"][0] | 0o111, img.entries["/init"][1])
        for path, text in self.files.items():
            img.add_text(path, text)
        img.write(self.initramfs)

    def _save(self, mac, address):
        vm = SmallVm(self, "small-vm", [], False)
        vm.connect()
        vm.prepare(mac, address)
        vm.save(self.qemu.path(self.path))
        vm.process.stop()


class SmallVm(Vm):
    def _arguments(self, bed, sockets, iommu):
        return [*MACHINE, "-kernel", bed.qemu.path(bed.kernel.vmlinux()),
                "-initrd", bed.qemu.path(bed.initramfs), "-append", SMALL_ARGS,
                "-serial", "stdio",
                "-chardev", f"socket,id=shell,path={self.shell_path},server=on,wait=off",
                "-serial", "chardev:shell",
                "-qmp", f"unix:{self.monitor_path},server=on,wait=off"]

    def prepare(self, mac, address):
        """Up to testpmd's prompt; the driver of functions to come is chosen."""
        self.run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")  # no unasked frames
        self.run("echo 19ee 8000 > /sys/bus/pci/drivers/uio_pci_generic/new_id")
        self.run("mkfifo /tmp/in /tmp/silence")
        self.run("env $LINES_AT_ONCE dpdk-testpmd $PLUGINS -d librte_net_tap.so --in-memory "
                 f"-m {TESTPMD_MIB} --lcores 0@0,1@0 --no-telemetry -a 0000:ff:00.0 "
                 f"--vdev net_tap0,iface=vif0,mac={mac} -- -i --total-num-mbufs={MBUFS} "
                 "< /tmp/in > /dev/ttyS1 2>&1 &")
        self.run("exec 3> /tmp/in; wait_for 60 test -e /sys/class/net/vif0")
        self.shell.sendall(b"echo show port summary all >&3\n")
        self._read_until(b"0    " + mac.encode(), 60)
        self.run(f"ip link set vif0 up && ip addr add {address} dev vif0")

    def save(self, path):
        self._qmp_command("migrate", uri=f"file:{path}")

        def ended():
            status = self._qmp_command("query-migrate").get("status")
            expect(status not in ("failed", "cancelled"), f"{self.name}: migration {status}")
            return status == "completed"
        wait_until(ended, f"{self.name}: state saved", 60, 0.2)


def qemu_files(qemu):
    """{path as QEMU sees it: file of this machine} of the program, its libraries and firmware."""
    root = qemu.root or ""
    chroot = ["chroot", root] if root else []
    program = image.run([*chroot, "sh", "-c", f"command -v {PROGRAM}"]).strip()
    paths = [program, *re.findall(r"(?:=> |^\s*)(/\S+) \(0x", image.run([*chroot, "ldd", program]),
                                  re.MULTILINE)]
    for name in FIRMWARE:
        paths += [found[len(root):] for where in FIRMWARE_DIRS
                  for found in glob.glob(f"{root}{where}/{name}")][:1]
    return {path: root + image.run([*chroot, "readlink", "-f", path]).strip() for path in paths}


class XenVmBed(XenBed):
    """socket: in dom0, of the VIF whose function the VM has. state: the file of a Snapshot.
    Scripts may call what is in functions()."""
    machine_mib = 3072
    dom0_mib = 1792
    attempts = 1

    def __init__(self, lab, socket, state, **kwargs):
        self.qemu = Qemu.find()
        self.socket, self.state = socket, state
        super().__init__(lab, **kwargs)

    def add_to_dom0(self, img):
        for path, source in qemu_files(self.qemu).items():
            img.add(f"{ROOT}{path}", source, 0o755)
        for name in ("dev", "proc", "run"):
            img.add_dir(f"{ROOT}/{name}")
        img.add(f"{ROOT}{STATE}", self.state)

    def functions(self):
        device = json.dumps({"driver": "vfio-user-pci", "id": "nfe0", "bus": "pcie.0",
                             "addr": f"{SLOT:#x}", "socket": {"type": "unix", "path": self.socket}})
        command = [PROGRAM, *MACHINE, "-device", device, "-serial", "file:/run/console",
                   "-chardev", "pipe,id=shell,path=/run/shell", "-serial", "chardev:shell",
                   "-chardev", "pipe,id=qmp,path=/run/qmp", "-mon", "chardev=qmp,mode=control",
                   "-incoming", f"file:{STATE}"]
        text = FUNCTIONS.replace("@QEMU@", shlex.join(command))
        return text.replace("@ROOT@", ROOT).replace("@FUNCTION@", FUNCTION)
