# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Peers that are not on the machine: fetched from the distribution, never installed.

Open vSwitch's packages are downloaded and unpacked below the cache, so that no service starts and
nothing of the machine changes. examples/vhost is built from the distribution's DPDK source.
"""
import functools
import glob
import hashlib
import os
import shutil
import subprocess

import machine
from lab import ROOT

CACHE = os.path.join(os.environ.get("NFE_CACHE", "/var/cache/nfe"), "bench")
OVS_PACKAGE = "openvswitch-switch-dpdk"
APT_TIMEOUT_S = 300

# examples/vhost wants a NIC with VMDq. Without one: accept that there is no port (whose pools limit
# the guests of an lcore), don't tell a NIC about guests' addresses, and let the main lcore sleep
# instead of spinning on the guests' CPU.
VHOST_CHANGES = (
    ("static uint32_t num_devices;", "static uint32_t num_devices = 1024;"),
    ("\tif ((num_ports ==  0) || (num_ports > MAX_SUP_PORTS)) {",
     "\tif (num_ports > MAX_SUP_PORTS) {"),
    ("\tif ((valid_num_ports ==  0) || (valid_num_ports > MAX_SUP_PORTS)) {",
     "\tif (valid_num_ports > MAX_SUP_PORTS) {"),
    ("\tret = rte_eth_dev_mac_addr_add(ports[0], &vdev->mac_address,\n"
     "\t\t\t\t(uint32_t)vdev->vid + vmdq_pool_base);\n", "\tret = 0;\n"),
    ("\tRTE_LCORE_FOREACH_WORKER(lcore_id)\n\t\trte_eal_wait_lcore(lcore_id);\n",
     "\twhile (1)\n\t\tpause();\n"),
)

VHOST_FLAGS = ("-O3", "-march=native", "-w", "-DALLOW_EXPERIMENTAL_API")


class PeerError(Exception):
    """Why a peer cannot be had."""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          timeout=APT_TIMEOUT_S, **options)
    if done.returncode != 0:
        words = (done.stderr or done.stdout)[-400:].strip()
        raise PeerError(f"{' '.join(command[:4])} ...: {words}")
    return done.stdout


# Open vSwitch

def ovs_root():
    """Where its files are: "" if installed, a directory if unpacked, None if missing."""
    daemon = "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
    for root in ("", os.path.join(CACHE, "ovs")):
        if os.path.exists(os.path.join(root or "/", daemon)):
            return root
    return None


def fetch_ovs():
    """Downloads the package with what it needs and the machine lacks, and unpacks."""
    work, target = os.path.join(CACHE, "ovs.download"), os.path.join(CACHE, "ovs")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(os.path.join(work, "partial"))
    apt = ["apt-get", "-q", "-y", "--no-install-recommends", "--download-only",
           "-o", f"Dir::Cache::Archives={work}", "-o", "APT::Sandbox::User=root",
           "install", OVS_PACKAGE]
    try:
        run(apt)
    except PeerError:
        run(["apt-get", "-q", "update"])
        run(apt)
    shutil.rmtree(target, ignore_errors=True)
    for package in sorted(glob.glob(os.path.join(work, "*.deb"))):
        run(["dpkg", "-x", package, target])
    shutil.rmtree(work)
    if ovs_root() is None:
        raise PeerError(f"{OVS_PACKAGE} has no ovs-vswitchd-dpdk")


# DPDK's examples/vhost

def cpu_identity():
    """Of this CPU what a compiler makes of -march=native: its model, and what it can."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        return [line for line in file.read().split("\n\n")[0].splitlines()
                if line.startswith(("vendor_id", "cpu family", "model", "flags"))]


@functools.cache
def vhost_directory():
    """One for each DPDK, our changes and CPU: what was built with others is not taken for it."""
    what = repr((VHOST_CHANGES, VHOST_FLAGS, cpu_identity())).encode()
    version = machine.text_of("pkg-config", "--modversion", "libdpdk")
    return os.path.join(CACHE, f"vhost-{version}-{hashlib.sha256(what).hexdigest()[:12]}")


def vhost_program():
    path = os.path.join(vhost_directory(), "dpdk-vhost")
    return path if os.path.exists(path) else None


def dpdk_source():
    script = os.path.join(ROOT, "usertools", "dpdk-headers.sh")
    # Ours comes without headers only if DPDK was installed with a driver SDK: then there is no
    # source either, and the caller says so.
    run([script])
    done = subprocess.run([script, "--path"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def changed(source):
    """The text of main.c with our changes; each must fit exactly once."""
    for old, new in VHOST_CHANGES:
        if source.count(old) != 1:
            raise PeerError("examples/vhost of this DPDK differs from 22.11: "
                            f"not found once: {old.strip().splitlines()[0]}")
        source = source.replace(old, new)
    return source


def build_vhost():
    tree = dpdk_source()
    if tree is None:
        raise PeerError("no DPDK source: run usertools/dpdk-headers.sh")
    work = vhost_directory() + ".build"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(os.path.join(tree, "examples", "vhost"), work)
    main = os.path.join(work, "main.c")
    with open(main, encoding="utf-8") as file:
        text = changed(file.read())
    with open(main, "w", encoding="utf-8") as file:
        file.write(text)
    flags = run(["pkg-config", "--cflags", "--libs", "libdpdk"]).split()
    program = os.path.join(vhost_directory(), "dpdk-vhost")
    os.makedirs(vhost_directory(), exist_ok=True)
    run(["cc", *VHOST_FLAGS, "-o", program + ".new", main, os.path.join(work, "virtio_net.c"),
         *flags, "-lrte_vhost"])
    os.rename(program + ".new", program)
    shutil.rmtree(work)


def install():
    """What --install-peers does; returns what went wrong, by peer."""
    failed = {}
    os.makedirs(CACHE, exist_ok=True)
    for name, have, get in (("ovs", ovs_root() is not None, fetch_ovs),
                            ("vhost", vhost_program(), build_vhost)):
        if have:
            continue
        try:
            get()
        except (PeerError, OSError, subprocess.SubprocessError) as error:
            failed[name] = str(error)
    return failed
