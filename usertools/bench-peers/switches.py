# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""The switches that are compared. Each starts on the switch's CPU and says how guests attach to it.

A Switch lives for one measurement, inside a Lab that ends its processes. Ports are numbered from 0.
"""
import glob
import os
import re

import machine
import packages
from lab import LabError, expect, wait_until

GUEST_MAC = "02:00:00:00:{:02x}:{:02x}"
READY_S = 30
DESC = 1024             # per queue of a guest that is active
HOLD_DESC = 256         # of one that is held, and of many that are active
FLOW_LIMIT = 200000     # of OVS, its default in the end; it begins at 10000, and adds 1000 now and then
PAIR = 2                # ports 0 and 1 are active when the others are held


def guest_mac(port):
    return GUEST_MAC.format(1 + port // 256, port % 256)


def eal(lab, name, mib, lcores):
    """EAL options of a process on these lcores, "0@0,1@1"; memory of its own, with fds to share."""
    args = lab.eal_args(name, mib)
    args[args.index("--lcores") + 1] = lcores
    return [*args, "--single-file-segments", "--force-max-simd-bitwidth=512"]


class Switch:
    """What is common: one data thread on the switch's CPU, control on the guests'."""

    name = label = None
    group = None            # several variants of one peer, of which the better one counts
    ours = False
    build = None            # directory of another build that it comes from
    rival = None            # name of the switch that it is compared with; None: with the first of ours
    max_ports = 32
    desc = DESC             # per queue of a guest; before guests are started it may be changed
    holder_ports = 31       # ethdevs per holding process
    jumbo = True
    learns = False          # many addresses behind one port
    raw = False             # guests are rings of lib/vif, which drive no uplink's other end
    only = None             # names of the measures that make sense; None: all
    thread_names = ("rte-worker", "lcore-worker") # as this or that DPDK calls it
    netns = None            # of the guests

    def __init__(self, lab, ports, mtu=1500, uplink=False):
        self.lab, self.ports, self.mtu, self.uplink = lab, ports, mtu, uplink
        self.process = None

    @staticmethod
    def missing():
        """Why it can't run here; None: it can."""
        return None

    def start(self):
        raise NotImplementedError

    def launch(self, name, argv, env=None):
        self.process = self.lab.start(name, argv, env=env)
        machine.prioritise(self.process)
        return self.process

    def lcores(self):
        guest, switch = machine.cpus()
        return f"0@{guest},1@{switch}"

    def data_thread(self):
        """/proc path of the thread that moves frames."""
        return machine.thread(self.process, self.thread_names)

    def eal_of_guest(self, ports):
        """EAL options that attach an ethdev to each of these ports."""
        return [f"--vdev={self.vdev(i, port)}" for i, port in enumerate(ports)]

    def vdev(self, number, port):
        raise NotImplementedError

    def args_of_guest(self, ports):
        """Options of test-bench that do the same without an ethdev."""
        return []

    def args_of_watch(self):
        """Options of test-bench that let it see what the switch does."""
        return []

    def begin(self):
        """Measuring begins."""

    def end(self):
        """{"cycles": busy cycles per frame since begin()}, as far as the switch tells."""
        return {}


class Nfe(Switch):
    name, label, ours, max_ports, learns = "nfe", "NFE, net_nfe", True, 1024, True
    options = ""            # of each VIF, as in its configuration
    statements = ()         # further ones of the configuration
    devargs = ""            # of each guest's net_nfe

    def start(self):
        lines = [f"socket-dir {self.lab.socket_dir}", *self.statements,
                 f"vifs p count {self.ports} mac {guest_mac(0)} queues 1 mtu {self.mtu} "
                 f"{self.options}"]
        devices = []
        if self.uplink:
            lines.append("uplink wire port net_memif0 learning on")
            devices = [f"--vdev=net_memif0,role=server,id=0,socket={self.wire()},"
                       "socket-abstract=no,rsize=10"]
        path = os.path.join(self.lab.run_dir, "switch.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        self.launch("vif-switch", [self.lab.program("vif-switch"),
                                   *eal(self.lab, "vif-switch", 256, self.lcores()), *devices,
                                   "--", "--config", path])
        self.process.wait_log("vif-switch: ready", READY_S)

    def wire(self):
        return os.path.join(self.lab.socket_dir, "wire.memif")

    def eal_of_guest(self, ports):
        args = ["-d", self.lab.plugin()]
        if self.uplink:
            return [*args, f"--vdev={self.vdev(0, 0)}",
                    f"--vdev=net_memif1,role=client,id=0,socket={self.wire()},"
                    f"socket-abstract=no,rsize=10,mac={guest_mac(512)}"]
        return args + super().eal_of_guest(ports)

    def vdev(self, number, port):
        return f"net_nfe{number},socket={self.lab.socket(f'p{port}')}{self.devargs}"

    def args_of_watch(self):
        return ["--switch-counters", os.path.join(self.lab.socket_dir, "lcores")]

    def counters(self):
        lcores = self.lab.telemetry(self.process, "/switch/lcores")
        stats = self.lab.telemetry(self.process, "/switch/stats")
        return (sum(lcore["busy_cycles"] for lcore in lcores.values()),
                stats["from_frames"], stats)

    def begin(self):
        self.before = self.counters()

    def end(self):
        now = self.counters()
        frames = now[1] - self.before[1]
        drops = {key: now[2][key] - self.before[2][key] for key in now[2]
                 if "_drop_" in key and now[2][key] != self.before[2][key]}
        return {"cycles": (now[0] - self.before[0]) / frames if frames else None,
                "frames": frames, "drops": drops}


class NfeOpen(Nfe):
    name, label = "nfe-open", "NFE, source check off"
    options = "source-check off"


class NfeRaw(Nfe):
    name, label, raw = "nfe-raw", "NFE, raw rings (lib/vif)", True
    holder_ports = 1024
    inline = 316

    def eal_of_guest(self, ports):
        return []

    def args_of_guest(self, ports):
        args = ["--inline", str(self.inline)]
        for port in ports:
            args += ["--vif", f"vfio-user:{self.lab.socket(f'p{port}')}"]
        return args


class NfeCells(NfeRaw):
    name, label = "nfe-cells", "NFE, bare cells (the switch alone)"
    only = ("flood-60", "flood-64")

    def args_of_guest(self, ports):
        return [*super().args_of_guest(ports), "--cells"]


class Virtio(Switch):
    """Peers that guests reach by vhost-user."""

    max_ports = 64
    packed = True

    def path(self, port):
        return os.path.join(self.lab.socket_dir, f"v{port}.sock")

    def vdev(self, number, port):
        queue = "packed_vq=1,vectorized=1" if self.packed else "packed_vq=0"
        size = self.desc if port < PAIR else min(self.desc, HOLD_DESC)
        return (f"net_virtio_user{number},path={self.path(port)},mac={guest_mac(port)},queues=1,"
                f"queue_size={size},mrg_rxbuf=0,in_order=1,{queue}")


class Testpmd(Switch):
    """The stock dpdk-testpmd as a wire between two ports: it doesn't even look at addresses."""

    max_ports = 2

    @staticmethod
    def missing():
        return None if os.path.exists("/usr/bin/dpdk-testpmd") else "dpdk-testpmd (package dpdk)"

    def vdevs(self):
        raise NotImplementedError

    def start(self):
        mbuf = 2176 if self.mtu <= 1500 else 9728
        self.launch("testpmd", [
            "stdbuf", "-oL", "dpdk-testpmd", *eal(self.lab, "testpmd", 512, self.lcores()),
            *[f"--vdev={device}" for device in self.vdevs()], "--", "-i", "--forward-mode=mac",
            "--nb-cores=1", "--txd=1024", "--rxd=1024", "--burst=32", "--auto-start",
            "--total-num-mbufs=32768", f"--mbuf-size={mbuf}", "--record-core-cycles",
            "--no-flush-rx", "--disable-link-check",
            f"--eth-peer=0,{guest_mac(0)}", f"--eth-peer=1,{guest_mac(1)}"])
        self.process.wait_log("Logical Core|testpmd>", READY_S)

    def begin(self):
        self.process.send("clear fwd stats all")

    def end(self):
        start = len(self.process.log())
        self.process.send("show fwd stats all")
        try:
            found = self.process.wait_log(r"CPU cycles/packet=([\d.]+)", 5, skip=start)
        except LabError: # begin() was read when all frames had passed: the guests have its CPU
            return {}
        return {"cycles": float(found[1])}


class Memif(Testpmd):
    name, label = "memif", "memif zero-copy, testpmd"

    def memif(self, port):
        return os.path.join(self.lab.socket_dir, f"m{port}.sock")

    def bsize(self):
        return 2048 if self.mtu <= 1500 else 9216

    def vdevs(self):
        return [f"net_memif{i},role=server,id={i},socket={self.memif(i)},socket-abstract=no,"
                f"rsize=10,bsize={self.bsize()}" for i in range(2)]

    def vdev(self, number, port):
        return (f"net_memif{number},role=client,id={port},socket={self.memif(port)},"
                f"socket-abstract=no,rsize=10,bsize={self.bsize()},zero-copy=yes,"
                f"mac={guest_mac(port)}")


class NetVhost(Testpmd, Virtio):
    name, label, max_ports = "net_vhost", "net_vhost packed, testpmd", 2

    def vdevs(self):
        return [f"net_vhost{i},iface={self.path(i)},queues=1" for i in range(2)]

    def vdev(self, number, port):
        return Virtio.vdev(self, number, port)


class ExampleVhost(Virtio):
    name, label = "vhost", "DPDK examples/vhost packed"

    @staticmethod
    def missing():
        return None if packages.vhost_program() else "examples/vhost (bench --install-peers)"

    def start(self):
        sockets = [arg for port in range(self.ports) for arg in ("--socket-file", self.path(port))]
        self.launch("vhost", ["stdbuf", "-oL", packages.vhost_program(),
                              *eal(self.lab, "vhost", 512, self.lcores()), "--", "--vm2vm", "1",
                              "--mergeable", "0", "--stats", "0", "--total-num-mbufs", "65536",
                              *sockets])
        wait_until(lambda: os.path.exists(self.path(self.ports - 1)), "socket of examples/vhost",
                   READY_S)


class Ovs(Virtio):
    """Open vSwitch with DPDK, one bridge, the NORMAL action: a learning switch."""

    group, learns, thread_names = "ovs", True, ("pmd-c",)
    memory_mib = 768

    @staticmethod
    def missing():
        return "Open vSwitch with DPDK (bench --install-peers)" if packages.ovs_root() is None \
            else None

    def command(self, name, *args):
        """A program of OVS with its environment, as an argv."""
        root = packages.ovs_root()
        found = [path for path in (f"{root}/usr/bin/{name}", f"{root}/usr/sbin/{name}",
                                   f"{root}/usr/lib/openvswitch-switch-dpdk/{name}")
                 if os.path.exists(path)]
        expect(found, f"Open vSwitch has no {name}")
        libs = ":".join({os.path.dirname(path) for path in
                         glob.glob(f"{root}/usr/lib/**/*.so*", recursive=True)} if root else ())
        home = self.lab.run_dir
        return ["env", f"OVS_RUNDIR={home}", f"OVS_LOGDIR={home}", f"OVS_DBDIR={home}",
                f"LD_LIBRARY_PATH={libs}", found[0], *args]

    def vsctl(self, *args):
        self.lab.run(self.command("ovs-vsctl", f"--db=unix:{self.lab.run_dir}/db.sock",
                                  "--timeout=30", *args))

    def appctl(self, *args):
        return self.lab.run(self.command("ovs-appctl", "-t", f"{self.lab.run_dir}/vs.ctl",
                                         *args)).stdout

    def path(self, port):
        return os.path.join(self.lab.run_dir, "s", f"v{port}.sock")

    def start(self):
        home, root = self.lab.run_dir, packages.ovs_root()
        os.mkdir(f"{home}/s")
        self.lab.run(self.command("ovsdb-tool", "create", f"{home}/conf.db",
                                  f"{root}/usr/share/openvswitch/vswitch.ovsschema"))
        self.lab.start("ovsdb-server", self.command(
            "ovsdb-server", f"{home}/conf.db", f"--remote=punix:{home}/db.sock",
            f"--unixctl={home}/db.ctl"))
        wait_until(lambda: os.path.exists(f"{home}/db.sock"), "socket of ovsdb-server", READY_S)
        guest, switch = machine.cpus()
        prefix = f"{self.lab.prefix}-ovs"
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".",
                   "other_config:dpdk-init=true", f"other_config:dpdk-lcore-mask={1 << guest:#x}",
                   f"other_config:pmd-cpu-mask={1 << switch:#x}",
                   f"other_config:dpdk-socket-mem={self.memory_mib}",
                   "other_config:dpdk-extra=--no-pci --in-memory --single-file-segments "
                   f"--force-max-simd-bitwidth=512 --file-prefix {prefix}",
                   "other_config:vhost-sock-dir=s", "other_config:per-port-memory=false")
        self.lab.eal_dirs.append(f"/var/run/dpdk/{prefix}")
        self.launch("ovs-vswitchd", self.command(
            "ovs-vswitchd-dpdk", f"unix:{home}/db.sock", f"--unixctl={home}/vs.ctl"))
        self.add_ports()

    def add_ports(self):
        args = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                "other_config:mac-table-size=131072"]
        for port in range(self.ports):
            name = f"v{port}.sock"
            args += ["--", "add-port", "br0", name, "--", "set", "Interface", name,
                     "type=dpdkvhostuser"]
            if self.mtu > 1500:
                args.append(f"mtu_request={self.mtu}")
        self.vsctl(*args)
        wait_until(lambda: os.path.exists(self.path(self.ports - 1)) and self.data_thread(),
                   "ports of Open vSwitch", READY_S)
        self.appctl("upcall/set-flow-limit", str(FLOW_LIMIT))

    def begin(self):
        self.appctl("dpif-netdev/pmd-stats-clear")

    def end(self):
        text = self.appctl("dpif-netdev/pmd-stats-show")
        found = re.search(r"avg processing cycles per packet: ([\d.]+)", text)
        return {"cycles": float(found[1])} if found else {}


class OvsPacked(Ovs):
    name, label, packed = "ovs-packed", "OVS-DPDK NORMAL, packed ring", True


class OvsSplit(Ovs):
    name, label, packed = "ovs-split", "OVS-DPDK NORMAL, split ring", False


class KernelBridge(Switch):
    """veth and the kernel's bridge in a namespace; frames are handled on the switch's CPU (RPS)."""

    max_ports, jumbo, netns = 2, False, "kernel"
    driver = None

    def start(self):
        lab, net = self.lab, self.netns
        lab.add_netns(net)
        lab.ip(net, "link add br0 type bridge stp_state 0 forward_delay 0")
        lab.ip(net, "link set br0 up")
        for port in range(self.ports):
            lab.add_veth(net, f"v{port}", net, f"b{port}")
            lab.ip(net, f"link set v{port} address {guest_mac(port)}")
            lab.ip(net, f"link set b{port} master br0")
            mask = f"{1 << machine.cpus()[1]:x}"
            for name in (f"v{port}", f"b{port}"):
                lab.run(["sh", "-c", f"echo {mask} > /sys/class/net/{name}/queues/rx-0/rps_cpus"],
                        netns=net)

    def data_thread(self):
        return None


class AfPacket(KernelBridge):
    name, label = "af_packet", "kernel bridge, af_packet"

    def vdev(self, number, port):
        return (f"net_af_packet{number},iface=v{port},blocksz=65536,framesz=2048,framecnt=512,"
                "qpairs=1")


class AfXdp(KernelBridge):
    name, label = "af_xdp", "kernel bridge, AF_XDP"

    def vdev(self, number, port):
        return f"net_af_xdp{number},iface=v{port}"


def against(switch, build):
    """The same switch of ours with its guests, as another build has it."""
    return type(switch.__name__, (switch,), {"name": f"{switch.name}-other", "build": build,
                                             "rival": switch.name,
                                             "label": f"{switch.label}, other build"})


ALL = (Nfe, NfeRaw, NfeOpen, NfeCells, ExampleVhost, OvsPacked, OvsSplit, Memif, NetVhost, AfXdp,
       AfPacket)
QUICK = ("nfe", "nfe-raw", "nfe-cells", "vhost", "ovs-packed", "memif", "net_vhost")
