#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Bad input gets an error that names object, value and limit, and nothing is lost by it."""
import os
import sys

from lab import Lab, Tap, expect, write_file
from traffic import switch_config

HERE = os.path.dirname(os.path.abspath(__file__))
REG_ABI, REG_HOST_ABI = 0x008, 0x010    # specification 3.1
ABI_7_3 = 7 << 16 | 3
NOBODY = 65534
# Root that may not read everything: files of others are refused as they are to any user.
NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
# Starts a program to which io_setup() is refused, as when fs.aio-max-nr is used up: a seccomp filter.
NO_AIO = [sys.executable, "-c", """
import ctypes, errno, os, struct, sys
IO_SETUP, RET_ERRNO, RET_ALLOW = 206, 0x00050000, 0x7fff0000
code = struct.pack("=HBBI", 0x20, 0, 0, 0) + struct.pack("=HBBI", 0x15, 0, 1, IO_SETUP)
code += struct.pack("=HBBI", 0x06, 0, 0, RET_ERRNO | errno.EAGAIN)
code += struct.pack("=HBBI", 0x06, 0, 0, RET_ALLOW)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0, "no_new_privs"
assert prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0, "seccomp"
os.execv(sys.argv[1], sys.argv[1:])
"""]


class Errors:
    """Runs a program that must fail, and looks at what it says."""

    def __init__(self, tap, lab):
        self.tap = tap
        self.lab = lab

    def fails(self, name, argv, *words, code=True):
        """code: the program must fail too (testpmd goes on without the port, and ends well)."""
        with self.tap.case(name, self.lab):
            done = self.lab.run(argv, check=False)
            text = done.stdout + done.stderr
            expect(done.returncode != 0 or not code, f"it succeeded:\n{text}")
            for word in words:
                expect(word in text, f"'{word}' is not in:\n{text}")

    def check(self, name, config, *words):
        path = os.path.join(self.lab.run_dir, "bad.conf")
        write_file(path, config)
        self.fails(name, [self.lab.program("vif-switch"), "--check", path], path, *words)


def configuration(errors, lab):
    good = switch_config(lab, ["a"])
    errors.check("malformed line", good + "vif b\n", ":3:", "mac")
    errors.check("unknown keyword", good + "viff b mac 02:00:00:00:00:22\n", ":3:", "viff")
    errors.check("MAC used twice", good + "vif b mac 02:00:00:00:00:10\n", ":3:",
                 "02:00:00:00:00:10", "line 2")
    errors.check("multicast MAC", good + "vif b mac 03:00:00:00:00:22\n", ":3:",
                 "03:00:00:00:00:22")
    errors.check("MTU out of range", good + "vif b mac 02:00:00:00:00:22 mtu 10\n", ":3:", "mtu",
                 "10")
    errors.check("VIF limit reached", f"max-vifs 2\n{good}vifs p count 2 mac 02:00:00:00:01:00\n",
                 ":4:", "2")
    both = [os.path.join(lab.run_dir, name) for name in ("good.conf", "bad.conf")]
    for path, text in zip(both, (good, good + "vif b\n")):
        write_file(path, text)
    errors.fails("second file to check", [lab.program("vif-switch"), "--check", *both],
                 "bad.conf", "one file")
    errors.check("socket path too long", good + "vif b mac 02:00:00:00:00:22 socket /" +
                 "x" * 120 + "\n", ":3:", "107")


def daemon(errors, lab, switch):
    path = os.path.join(lab.run_dir, "second.conf")
    write_file(path, switch_config(lab, ["a"]))
    argv = [lab.program("vif-switch"), *lab.eal_args("second", 64, 2)]
    errors.fails("a second switch on the same directory", [*argv, "--", "--config", path],
                 lab.socket_dir, str(switch.pid))
    errors.fails("missing configuration file", [*argv, "--", "--config", "/nowhere.conf"],
                 "/nowhere.conf")
    errors.fails("missing option", [*argv, "--"], "--config")
    write_file(path, switch_config(lab, ["a"], "uplink u port net_nothing0\n")
               .replace(lab.socket_dir, lab.run_dir + "/other"))
    errors.fails("uplink without ethdev", [*argv, "--", "--config", path], "net_nothing0")


def slowness(lab):
    return [] if lab.memory == "huge" else ["no hugepages: it works, but slower"]


def no_aio(tap, lab):
    """Each thread that signals guests is named before the switch is ready; without hugepages it says so."""
    path = os.path.join(lab.run_dir, "no-aio.conf")
    write_file(path, switch_config(lab, ["a"]).replace(lab.socket_dir, lab.run_dir + "/no-aio"))
    with tap.case("no kernel AIO, no hugepages", lab):
        switch = lab.start("no-aio", [*NO_AIO, lab.program("vif-switch"), *lab.eal_args("no-aio", 64, 3),
                                      "--", "--config", path])
        switch.wait_log("vif-switch: ready")
        early = switch.log().split("vif-switch: ready")[0]
        for lcore in range(3):
            expect(f"lcore {lcore}: no kernel AIO" in early and "fs.aio-max-nr" in early,
                   f"lcore {lcore} is not named:\n{early}")
        for words in slowness(lab):
            expect(words in early, f"slowness is not named:\n{early}")
        switch.stop()


def testpmd(lab, devargs, *args):
    return ["sh", "-c", "exec \"$0\" \"$@\" < /dev/null", "dpdk-testpmd",
            *lab.eal_args("bad", 64, 2), "-d", lab.plugin(), "--vdev", f"net_nfe0{devargs}",
            "--", "--total-num-mbufs=4096", *args]


def guests(errors, lab):
    def pmd(devargs):
        return testpmd(lab, devargs)
    sock = lab.socket("a")
    errors.fails("PMD without socket=", pmd(""), "socket", code=False)
    errors.fails("PMD with a socket and a Xen device", pmd(f",socket={sock},xen=0"), "socket=", "xen=",
                 code=False)
    errors.fails("PMD on a Xen device, without Xen", pmd(",xen=0"), "Xen", code=False)
    errors.fails("PMD with an unknown argument", pmd(f",socket={sock},colour=red"), "colour", code=False)
    errors.fails("PMD on a socket that is not there", pmd(",socket=/nowhere.sock"), "/nowhere.sock", code=False)
    errors.fails("PMD with too many queues", pmd(f",socket={sock},queues=999"), "999", code=False)
    errors.fails("PMD asking for a MAC that is not its own",
                 pmd(f",socket={sock},mac=02:00:00:00:00:99"), "02:00:00:00:00:99", code=False)
    errors.fails("PMD with queues of 100 entries", testpmd(lab, f",socket={sock}", "--txd=100"),
                 "nb_tx_desc(=100)", "<= 16384", "product of 16", *slowness(lab), code=False)
    errors.fails("library with rings of 100 entries",
                 [lab.program("test-traffic"), *lab.eal_args("rings", 64), "--", "--a",
                  f"vif:vfio-user:{sock}", "--b", f"vif:vfio-user:{lab.socket('b')}",
                  "--desc", "100"], "ring_size 100", "power of two in 32..32768")
    echo = lab.program("vif-echo")
    errors.fails("library on an address without bus", [echo, "nothing:here"], "nothing")
    errors.fails("library on a socket that is not there", [echo, "vfio-user:/nowhere.sock"],
                 "/nowhere.sock")
    holder = lab.start("holder", [echo, f"vfio-user:{sock}"])
    holder.wait_log("attached|ready|link")
    errors.fails("VIF in use", [echo, f"vfio-user:{sock}"], sock, "another guest is attached")
    holder.stop()


def permissions(errors, lab):
    """What belongs to somebody else, and is his alone."""
    foreign = os.path.join(lab.run_dir, "foreign")
    os.mkdir(foreign)
    path = os.path.join(foreign, "foreign.conf")
    write_file(path, switch_config(lab, ["a"]).replace(lab.socket_dir, foreign))
    readable = os.path.join(lab.run_dir, "readable.conf")
    write_file(readable, switch_config(lab, ["a"]).replace(lab.socket_dir, foreign))
    for mode, name in ((0o600, path), (0o755, foreign), (0o600, lab.socket("b"))):
        os.chmod(name, mode)
        os.chown(name, NOBODY, NOBODY)
    switch = lab.program("vif-switch")
    errors.fails("configuration that may not be read", [*NO_OVERRIDE, switch, "--check", path],
                 path, "Permission denied")
    errors.fails("socket directory that may not be written",
                 [*NO_OVERRIDE, switch, *lab.eal_args("denied", 64, 2), "--", "--config", readable],
                 foreign, "Permission denied")
    errors.fails("library on a socket that it may not open",
                 [*NO_OVERRIDE, lab.program("vif-echo"), f"vfio-user:{lab.socket('b')}"],
                 lab.socket("b"), "Permission denied")
    errors.fails("PMD on a socket that it may not open",
                 [*NO_OVERRIDE, *testpmd(lab, f",socket={lab.socket('b')}")],
                 lab.socket("b"), "Permission denied", code=False)
    os.chown(lab.socket("b"), 0, 0)


def deleted_tap(tap, lab):
    """Nobody but the owner of its descriptor makes it again."""
    with tap.case("vif-tap ends when its tap is deleted, and names it", lab):
        lab.add_netns("guest")
        guest = lab.start("tap", [lab.program("vif-tap"), "--vif", f"vfio-user:{lab.socket('a')}",
                                  "--tap", "tap7", "--up"], netns="guest")
        guest.wait_log("vif-tap: ready")
        lab.ip("guest", "link delete tap7")
        code = guest.wait(5)
        expect(code == 1 and "tap tap7: it was deleted" in guest.log(),
               f"exit code {code}: {guest.tail()}")


def versions(errors, lab, switch):
    """A device and a driver of another ABI, by a proxy that changes what one says to the other."""
    def through(way, register):
        path = os.path.join(lab.run_dir, f"{way}.sock")
        proxy = lab.start(f"proxy-{way}", [sys.executable, os.path.join(HERE, "proxy.py"), path,
                                           lab.socket("a"), way, str(register), str(ABI_7_3)])
        proxy.wait_log("proxy: ready")
        return path
    sock = through("read", REG_ABI)
    errors.fails("PMD on a device of another ABI", testpmd(lab, f",socket={sock}"),
                 "net_nfe0: ", f"{sock}: device ABI 7.3, this driver speaks 0.1", code=False)
    errors.fails("library on a device of another ABI",
                 [lab.program("vif-echo"), f"vfio-user:{sock}"],
                 f"{sock}: device ABI 7.3, this driver speaks 0.1")
    skip = len(switch.log())
    sock = through("write", REG_HOST_ABI)
    errors.fails("driver of another ABI", testpmd(lab, f",socket={sock}"), 
                 f"{sock}: the function failed to boot: ABI unknown", code=False)
    with errors.tap.case("the switch says which ABI the driver has, and which is its own", lab):
        switch.wait_log("vif a: .* reason abi: host ABI major 7, ours is 0", 5, skip)


def operator(errors, lab, switch):
    """By telemetry; vif-ctl is test_vif_ctl.py's."""
    with errors.tap.case("telemetry for a VIF that does not exist", lab):
        reply = lab.telemetry(switch, "/vif/stats,nobody")
        expect("nobody" in str(reply), reply)


def main():
    tap = Tap()
    with Lab("errors") as lab:
        errors = Errors(tap, lab)
        configuration(errors, lab)
        switch = lab.start_switch(switch_config(lab, ["a", "b"]))
        daemon(errors, lab, switch)
        guests(errors, lab)
        permissions(errors, lab)
        deleted_tap(tap, lab)
        versions(errors, lab, switch)
        operator(errors, lab, switch)
        no_aio(tap, lab)
        with tap.case("the switch still serves", lab):
            expect(switch.alive() and lab.telemetry(switch, "/vif/list"), "it does not")
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
