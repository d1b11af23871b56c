# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Xen on a machine that has an NFE function as a PCI device: QEMU with vfio-user runs Xen, dom0 sees
the function, and vif-switch serves it from outside. Otherwise as bed.py."""
from vm.bed import device_option
from vm.qemu import Qemu
from xen.bed import CPU, DOM0_KERNEL, XEN, XenBed

MACHINE_MIB = 1536
DOM0_MIB = 768
# In this QEMU Xen runs on one CPU that does not go to sleep.
XEN_OPTIONS = f"dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M dom0_max_vcpus=1 cpuidle=0 {XEN}"


class XenPciBed(XenBed):
    """socket: of the VIF whose function the machine has, behind a root port."""
    def __init__(self, lab, socket, **kwargs):
        self.qemu = Qemu.find()
        self.socket = socket
        super().__init__(lab, **kwargs)

    def _command(self, hypervisor, initrd, results):
        def path(name):
            return self.qemu.path(name)
        kernel = path(f"{self.tree}/boot/vmlinux")
        return self.qemu.command([
            "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", "1", "-m", f"{MACHINE_MIB}M",
            "-object", f"memory-backend-memfd,id=mem0,size={MACHINE_MIB}M,share=on",
            "-machine", "q35,memory-backend=mem0",
            "-display", "none", "-vga", "none", "-nodefaults", "-no-user-config", "-no-reboot",
            "-monitor", "none", "-serial", "stdio", "-serial", f"file:{path(results)}",
            "-device", "pcie-root-port,id=port0,chassis=1",
            "-device", device_option(0, self.socket),
            "-kernel", path(hypervisor), "-initrd", f"{kernel} {DOM0_KERNEL},{path(initrd)}",
            "-append", f"console=com1 com1=115200,8n1 {XEN_OPTIONS}"])
