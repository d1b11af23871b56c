#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: asan
"""Kernel TCP and UDP with checksum and segmentation hints (specification 4.8): vif-tap to vif-tap,
to a vif-tap that takes no hints, to a wire whose device has no offloads and to one that has (net_tap),
both directions, IPv4 and IPv6. What arrives is what was sent; who takes hints gets frames uncut, for
the others the switch cuts them, and the accounting closes."""
import hashlib
import random
import sys

from lab import Lab, Tap, expect, wait_until
from traffic import check_accounting, switch_config

GUESTS = {"a": [], "b": [], "plain": ["--no-offload"]}
ADDRESS = {"a": 1, "b": 2, "plain": 3, "wire": 4, "switch": 5}
INTERFACE = {"switch": "able0"}  # others: eth0
UPLINK = {"wire": "up", "switch": "able"}
PORT = 5001
MIB = 8
DATAGRAMS = 200
SERVER = """
import hashlib, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=family) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    digest = hashlib.sha256()
    while data := connection.recv(1 << 16):
        digest.update(data)
    print("sha256", digest.hexdigest(), flush=True)
"""
CLIENT = """
import hashlib, random, socket, sys
data = random.Random(int(sys.argv[3])).randbytes(int(sys.argv[4]) << 20)
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as connection:
    connection.sendall(data)
"""
UDP_SERVER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind((sys.argv[1], int(sys.argv[2])))
    print("listening", flush=True)
    seen = set()
    while len(seen) < int(sys.argv[3]):
        data = sock.recv(2000)
        assert data == bytes([data[0]]) * len(data), data
        seen.add(data[0])
    print("all there", flush=True)
"""
UDP_CLIENT = """
import socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for i in range(int(sys.argv[3])):
        sock.sendto(bytes([i]) * (20 + 6 * i), (sys.argv[1], int(sys.argv[2])))
        time.sleep(0.001)
"""


def address(name, ipv6=False):
    return f"fd00::{ADDRESS[name]}" if ipv6 else f"192.0.2.{ADDRESS[name]}"


def configure(lab, name, interface):
    lab.run(["sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=0"], netns=name)
    lab.ip(name, f"addr add {address(name)}/24 dev {interface}")
    lab.ip(name, f"addr add {address(name, True)}/64 dev {interface} nodad")
    lab.ip(name, f"link set {interface} up")


def start(lab):
    for name in (*GUESTS, "wire", "switch"):
        lab.add_netns(name)
    lab.add_veth("wire", "eth0", "switch", "uplink0")
    config = switch_config(lab, GUESTS, "uplink up port net_af_packet0 learning on\n"
                           "uplink able port net_tap0 learning on offload on\n")
    switch = lab.start_switch(config, netns="switch", lcores=2,
                              eal=["--vdev=net_af_packet0,iface=uplink0",
                                   "--vdev=net_tap0,iface=able0"])
    for name, options in GUESTS.items():
        process = lab.start(f"tap-{name}", [
            lab.program("vif-tap"), "--vif", f"vfio-user:{lab.socket(name)}", "--tap", "eth0",
            *options], netns=name)
        process.wait_log("vif-tap: ready")
    for name in ADDRESS:
        configure(lab, name, INTERFACE.get(name, "eth0"))
    # net_tap takes the header of Ethernet for a part of its MTU: shorter segments, by TCP's MSS.
    lab.ip("switch", "link set able0 mtu 1400")
    return switch


def settled(lab, switch):
    """What is under way has arrived: the counters stand still."""
    last = []

    def still():
        last.append([lab.vif_stats(switch, name) for name in GUESTS])
        return len(last) > 1 and last[-1] == last[-2]
    wait_until(still, "counters that stand still", 10, 0.2)


def transfer(lab, number, sender, receiver, ipv6):
    server = lab.start(f"server{number}", [sys.executable, "-c", SERVER, address(receiver, ipv6),
                                           str(PORT)], netns=receiver)
    server.wait_log("listening")
    lab.run([sys.executable, "-c", CLIENT, address(receiver, ipv6), PORT, number, MIB],
            netns=sender, timeout_s=120)
    found = server.wait_log(r"sha256 (\w+)", timeout_s=60)
    data = random.Random(number).randbytes(MIB << 20)
    expect(found.group(1) == hashlib.sha256(data).hexdigest(), "the content arrived changed")


def parts(lab, switch, receiver):
    uplink = UPLINK.get(receiver)
    what = f"/uplink/stats,{uplink}" if uplink else f"/vif/stats,{receiver}"
    return lab.telemetry(switch, what)["to_parts"]


def tcp(tap, lab, switch):
    pairs = [("a", "b", False), ("b", "a", True), ("a", "plain", False), ("a", "plain", True),
             ("plain", "a", False), ("a", "wire", False), ("a", "wire", True), ("wire", "a", False),
             ("a", "switch", False), ("a", "switch", True), ("switch", "a", False)]
    for number, (sender, receiver, ipv6) in enumerate(pairs):
        with tap.case(f"TCP over IPv{6 if ipv6 else 4} from {sender} to {receiver}", lab):
            before = parts(lab, switch, receiver)
            transfer(lab, number, sender, receiver, ipv6)
            settled(lab, switch)
            check_accounting(lab, switch, GUESTS)
            cut = parts(lab, switch, receiver) - before
            if sender in ("a", "b") and receiver in ("plain", "wire"):
                expect(cut > MIB << 9, f"{MIB} MiB made {cut} parts: were frames cut at all?")
            else:
                expect(cut == 0, f"{cut} parts for who takes frames uncut, or was sent none")


def uncut(tap, lab, switch):
    with tap.case("TCP data between a and b travelled uncut"):
        stats = lab.vif_stats(switch, "b")
        expect(stats["to_bytes"] > MIB << 20, f"only {stats['to_bytes']} bytes to b")
        # b also got acknowledgements for what it sent: they only lower the mean.
        mean = stats["to_bytes"] / stats["to_frames"]
        expect(mean > 2000, f"frames to b have {mean:.0f} bytes on the average")
    with tap.case("an uplink's device cuts what it can cut", lab):
        info = lab.telemetry(switch, "/uplink/info,able")
        expect(info["tx_checksums"] == 1 and info["tso"] == 1, info)
        expect(lab.telemetry(switch, "/uplink/info,up")["tso"] == 0, "net_af_packet cuts?")
        stats = lab.telemetry(switch, "/uplink/stats,able")
        mean = stats["to_bytes"] / stats["to_frames"]
        expect(mean > 2000, f"frames to net_tap have {mean:.0f} bytes on the average")


def udp(tap, lab):
    for sender, receiver in (("a", "plain"), ("a", "wire"), ("a", "b"), ("a", "switch")):
        with tap.case(f"UDP from {sender} to {receiver}", lab):
            server = lab.start(f"udp-{receiver}", [
                sys.executable, "-c", UDP_SERVER, address(receiver), str(PORT), str(DATAGRAMS)],
                netns=receiver)
            server.wait_log("listening")
            for _ in range(5):  # UDP may lose: by load, not by checksum each time
                lab.run([sys.executable, "-c", UDP_CLIENT, address(receiver), PORT, DATAGRAMS],
                        netns=sender)
                if "all there" in server.log():
                    break
            server.wait_log("all there", timeout_s=5)


def no_hints_refused(tap, lab, switch):
    with tap.case("the kernel's hints were all good"):
        for name in GUESTS:
            stats = lab.vif_stats(switch, name)
            refused = {key: stats[key] for key in ("from_drop_hints", "to_drop_hints",
                                                   "from_drop_type", "from_drop_reserved")}
            expect(not any(refused.values()), f"VIF {name}: {refused}")


def main():
    tap = Tap()
    with Lab("offload") as lab:
        switch = start(lab)
        tcp(tap, lab, switch)
        uncut(tap, lab, switch)
        udp(tap, lab)
        no_hints_refused(tap, lab, switch)
        for name in GUESTS:
            next(p for p in lab.processes if p.name == f"tap-{name}").stop()
        switch.stop()
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
