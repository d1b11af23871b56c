#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""vif-ctl xen against a fake: Xen's tools and libxenctrl are a few lines here, a PCI function is a
directory of files. What is refused, with its reason, and that nothing is left allowed then; what
detach waits for. On real Xen: test_xen_vif.py, test_xen_pci.py."""
import contextlib
import errno
import importlib.machinery
import importlib.util
import io
import os
import signal
import struct
import sys

from lab import ROOT, Lab, Tap, expect, wait_until, write_file

PCI = "0000:01:00.0"
PAGE = 4096
BAR0, DB_OFFSET = 0xfe600000, 0x1000
CHANNELS = 4
PV, PVH, HVM, STRANGE = 5, 6, 7, 8
KINDS = {PV: "pv", PVH: "pvh", HVM: "hvm", STRANGE: "jvm"}


def load_vif_ctl():
    loader = importlib.machinery.SourceFileLoader(
        "vif_ctl", os.path.join(ROOT, "usertools", "vif-ctl"))
    sys.dont_write_bytecode = True
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("vif_ctl", loader))
    loader.exec_module(module)
    return module


class FakeXen:
    """Xen's tools and libxenctrl: who may map what."""
    def __init__(self):
        self.store = {"domid": "0"}
        for domid in KINDS:
            self.store[f"/local/domain/{domid}/name"] = f"guest{domid}"
        self.perms = {}
        self.published = {}  # by key: what the switch adds when it takes a device; {}: it does not
        self.allowed = set()
        self.error = 0  # of libxenctrl from now on

    def tool(self, *argv):
        command, args = argv[0], list(argv[1:])
        if command == "xl":
            kind = KINDS.get(int(args[-1])) if args[0] == "list" else None
            return f'"type": "{kind}"' if kind else None
        if command == "xenstore-read":
            return self.store.get(args[0])
        if command == "xenstore-rm":
            for path in [p for p in self.store if p == args[0] or p.startswith(args[0] + "/")]:
                del self.store[path]
            return ""
        if command == "xenstore-write":
            self.store.update(zip(args[::2], args[1::2]))
            if args[0].endswith("/vif"):
                back = args[0][:-len("/vif")]
                self.store.update({f"{back}/{key}": v for key, v in self.published.items()})
            return ""
        if command == "xenstore-chmod":
            self.perms[args[1]] = args[2:]
            return ""
        if command == "xenstore-list":
            below = {p[len(args[0]) + 1:].split("/")[0] for p in self.store
                     if p.startswith(args[0] + "/")}
            return "\n".join(sorted(below)) or None
        raise AssertionError(argv)

    def xc_domain_iomem_permission(self, handle, domid, frame, count, allow):
        assert (handle, count) == ("handle", 1)
        if self.error:
            return -1
        (self.allowed.add if allow else self.allowed.discard)((domid, frame))
        return 0


def make_function(directory, **changes):
    """A PCI function's files. changes: of its ids, "enabled", "magic", "stride_log2"."""
    values = {"vendor": 0x19ee, "device": 0x8000, "subsystem_vendor": 0x19ee,
              "subsystem_device": 0x4e31, "enabled": 1, "magic": 0x3145464e, "stride_log2": 12,
              **changes}
    os.makedirs(directory, exist_ok=True)
    for name in ("vendor", "device", "subsystem_vendor", "subsystem_device"):
        write_file(os.path.join(directory, name), f"0x{values[name]:04x}\n")
    write_file(os.path.join(directory, "resource"), f"0x{BAR0:016x} 0x{BAR0 + 0xffff:016x} 0x0\n")
    page = bytearray(PAGE)
    for offset, word in ((0x000, values["magic"]), (0x070, CHANNELS), (0x0a8, DB_OFFSET),
                         (0x0b0, values["stride_log2"])):
        struct.pack_into("<I", page, offset, word)
    for name, data in (("config", bytes((0, 0, 0, 0, 2 * values["enabled"]))),
                       ("resource0", bytes(page))):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)


class Bench:
    """vif-ctl with a fake Xen below."""
    def __init__(self, lab):
        self.ctl = load_vif_ctl()
        self.pci = os.path.join(lab.run_dir, PCI)
        self.ctl.PCI_DEVICES = lab.run_dir
        self.ctl.GNTDEV_LIMIT = os.path.join(lab.run_dir, "gntdev-limit")
        make_function(self.pci)
        self.xen = FakeXen()
        self.ctl.tool = self.xen.tool
        self.ctl.xenctrl = lambda: (self.xen, "handle", lambda: self.xen.error)

    def run(self, *argv):
        """(exit code, what was said)"""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                self.ctl.xen_main([str(arg) for arg in argv])
            except self.ctl.CtlError as error:
                return 1, str(error)
            except SystemExit as end:
                return end.code, out.getvalue()
        return 0, out.getvalue()

    def iomem(self, domid, *argv, channel=1):
        return self.run("iomem", domid, "--pci", PCI, "--channel", channel, *argv)


def frame(channel):
    return (BAR0 + DB_OFFSET) // PAGE + channel


def check_refusals(bench):
    """Each is refused for its reason, and nobody may map anything then."""
    def refused(reason, domid, channel=1, argv=()):
        code, said = bench.iomem(domid, *argv, channel=channel)
        expect(code == 1 and reason in said, f"domain {domid}: code {code}, {said}")
        expect(not bench.xen.allowed, f"domain {domid}: {bench.xen.allowed}")
    refused("no domain 99", 99)
    refused("is JVM: only PV", STRANGE)
    for domid, name in ((PVH, "PVH"), (HVM, "HVM")):
        refused(f"is {name}: only PV domains", domid)
        refused(f"is {name}: only PV domains", domid, argv=["--revoke"])
    for channel in (0, CHANNELS + 1, -1):
        refused(f"channel {channel} is not in 1..{CHANNELS}", PV, channel=channel)
    bench.xen.error = errno.EPERM
    refused(f"Xen refuses page 0x{frame(1):x}: Operation not permitted", PV)
    bench.xen.error = 0


def check_functions(bench):
    for reason, changes in (("no NFE: vendor", {"vendor": 0x8086}),
                            ("no NFE: subsystem_device", {"subsystem_device": 1}),
                            ("is not enabled", {"enabled": 0}),
                            ("no NFE answers there", {"magic": 0xffffffff}),
                            ("share pages", {"stride_log2": 11})):
        make_function(bench.pci, **changes)
        code, said = bench.iomem(PV)
        expect(code == 1 and reason in said and not bench.xen.allowed, f"{changes}: {said}")
    make_function(bench.pci)
    code, said = bench.run("iomem", PV, "--pci", "0000:09:00.0", "--channel", "1")
    expect(code == 1 and "No such file" in said, said)
    resource = os.path.join(bench.pci, "resource0")
    os.rename(resource, resource + ".away")
    os.symlink(resource, resource)  # root can read whatever has a mode
    code, said = bench.iomem(PV)
    expect(code == 1 and resource in said and "symbolic links" in said, said)
    os.unlink(resource)
    os.rename(resource + ".away", resource)


def check_given(bench):
    """Exactly the doorbell page of the channel; and taken back."""
    for channel in (1, CHANNELS):
        code, said = bench.iomem(PV, channel=channel)
        expect(code == 0 and f"may map page 0x{frame(channel):x}" in said, said)
        expect(bench.xen.allowed == {(PV, frame(channel))}, f"{bench.xen.allowed}")
        code, said = bench.iomem(PV, "--revoke", channel=channel)
        expect(code == 0 and "may not map" in said and not bench.xen.allowed, said)


def check_attach(bench):
    """The nodes, whose they are, and in words why not; then nothing is left in the store."""
    xen = bench.xen
    front, back = f"/local/domain/{PV}/device/nfe/0", f"/local/domain/0/backend/nfe/{PV}/0"
    write_file(bench.ctl.GNTDEV_LIMIT, "65536\n")

    def refused(reason, *argv):
        code, said = bench.run("attach", PV, "--vif", "a", *argv)
        expect(code == 1 and reason in said, f"{argv}: code {code}, {said}")
        expect(not [path for path in xen.store if "nfe" in path], f"{argv}: {xen.store}")
    refused("958 pages needed, gntalloc in the guest allows 957: raise /sys/module/xen_gntalloc",
            "--pages", 958, "--gntalloc", 957)
    refused("513 pages needed, grant table of the guest allows 512: raise max_grant_frames",
            "--pages", 513, "--grant-frames", 1)
    write_file(bench.ctl.GNTDEV_LIMIT, "290\n")
    refused(f"291 pages needed, gntdev in this domain allows 290: raise {bench.ctl.GNTDEV_LIMIT}")
    write_file(bench.ctl.GNTDEV_LIMIT, "291\n")
    bench.ctl.TAKEN_TIMEOUT_S = 0.1
    refused("no vif-switch took VIF a within 0.1 s")
    xen.published = {"state": "2", "error": "foreign mapping is refused: because"}
    refused("foreign mapping is refused: because", "--foreign")
    code, said = bench.run("attach", 99, "--vif", "a")
    expect(code == 1 and "no domain 99" in said, said)
    code, said = bench.run("attach", PV, "--vif", "a")
    expect(code == 0 and "pages to be granted: 291" in said and "xen:0 is VIF a" in said, said)
    expect(xen.perms == {front: [f"n{PV}", "r0"], back: ["n0", f"r{PV}"]}, f"{xen.perms}")
    expect({key[len(back) + 1:]: value for key, value in xen.store.items() if key.startswith(back)}
           == {"frontend": front, "frontend-id": str(PV), "vif": "a", **xen.published}, xen.store)
    expect({key[len(front) + 1:]: value for key, value in xen.store.items() if
            key.startswith(front)} == {"backend": back, "backend-id": "0", "state": "1"}, xen.store)
    code, said = bench.run("attach", PV, "--vif", "a", "--device", 0)
    expect(code == 1 and "has a device 0 already" in said, said)
    code, said = bench.run("attach", PV, "--vif", "b", "--wait", "0.1")
    expect(code == 1 and "xen:1 is InitWait after 0.1 s" in said, said)
    code, said = bench.run("list")
    expect(code == 0 and [line.split()[2:6] for line in said.splitlines()[1:]] ==
           [["xen:0", "a", "InitWait", "Initialising"], ["xen:1", "b", "InitWait", "Initialising"]],
           said)
    code, said = bench.run("detach", PV)
    expect(code == 1 and "has 2 such devices" in said, said)
    code, said = bench.run("detach", PV, "--all")
    expect(code == 0 and not [path for path in xen.store if "nfe" in path], f"{said} {xen.store}")


def check_detach(bench):
    """Waits for a front end that is in use, and for no other."""
    front, back = f"/local/domain/{PV}/device/nfe/0", f"/local/domain/0/backend/nfe/{PV}/0"
    for state, code in ((1, 0), (6, 0), (None, 0), (3, 1), (4, 1), (5, 1)):
        bench.xen.store.update({back + "/vif": "a", back + "/state": "4"})
        if state is not None:
            bench.xen.store[front + "/state"] = str(state)
        got, said = bench.run("detach", PV, "--wait", "0.1")
        expect(got == code and (code == 0 or "did not let go" in said), f"{state}: {got} {said}")
        left = [path for path in bench.xen.store if "nfe" in path]
        expect(not left, f"{state}: {left}")
    got, said = bench.run("detach", PV)
    expect(got == 1 and "has 0 such devices" in said, said)


def check_interrupt(bench, lab):
    """Who waits and is interrupted has not got what he waited for."""
    path = os.path.join(lab.run_dir, "xenstore-read")
    # One device, whose front end is in use for ever.
    for name, text in (("xl", ""), ("xenstore-rm", ""), ("xenstore-list", "echo 1"),
                       ("xenstore-read", f"echo x >> {path}.asked\necho 4")):
        write_file(os.path.join(lab.run_dir, name), f"#!/bin/sh\n{text}\n")
        os.chmod(os.path.join(lab.run_dir, name), 0o755)
    ctl = [sys.executable, os.path.join(ROOT, "usertools", "vif-ctl")]
    run = lab.start("detach", [*ctl, "xen", "detach", "1", "--wait", "30"],
                    env={"PATH": f"{lab.run_dir}:{os.environ['PATH']}"})

    def waits():
        return os.path.exists(path + ".asked") and os.path.getsize(path + ".asked") > 20
    wait_until(waits, "looks at the state", 10)
    os.kill(run.pid, signal.SIGINT)
    code = run.wait(5)
    expect(code == 130 and not run.log(), f"exit code {code}: {run.log()}")


def check_info(bench):
    out = io.StringIO()
    info = {"name": "a", "xen": {"domid": 3, "device": 0, "refused": 0}}
    with contextlib.redirect_stdout(out):
        bench.ctl.show_info(info, None, 0, False)
    said = out.getvalue()
    expect(said.split() == ["name", "a", "xen:", "domid", "3", "device", "0"], said)


def main():
    tap = Tap()
    with Lab("vif-ctl-xen") as lab:
        bench = Bench(lab)
        with tap.case("iomem: refusals, each with its reason and nothing left allowed"):
            check_refusals(bench)
        with tap.case("iomem: what is no NFE, or not enabled, is refused"):
            check_functions(bench)
        with tap.case("iomem: a PV domain gets one page, and it is taken back"):
            check_given(bench)
        with tap.case("attach makes the nodes, or says in words and numbers why not"):
            check_attach(bench)
        with tap.case("detach waits for those that are in use"):
            check_detach(bench)
        with tap.case("Ctrl-C while it waits is no success"):
            check_interrupt(bench, lab)
        with tap.case("info tells of device 0"):
            check_info(bench)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
