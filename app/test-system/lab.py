# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What system tests and the demo stand on: real processes, namespaces and wires, all of them owned.

    with Lab("restart") as lab:
        lab.add_netns("wire")
        switch = lab.start_switch(f"socket-dir {lab.socket_dir}\\nvif a mac 02:00:00:00:00:0a\\n")
        guest = lab.start_testpmd("a", lab.socket("a"))
        guest.wait_log("Press enter")
        check_identities("a", lab.vif_stats(switch, "a"))

Leaving the block, by exception or signal too, ends the processes by their ids, removes what the
Lab made, and looks whether that is really gone. Only the Python standard library; one thread.
Results go to stdout as TAP (class Tap). Processes of the build are found through NFE_BUILD.
"""
import contextlib
import ctypes
import glob
import json
import os
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
# Of 2 MiB, which need not be the default size that /proc/sys/vm/nr_hugepages is of.
HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
HUGEPAGES_FREE = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
HUGEPAGE_MIB = 2
AUTO_HUGE_MIB = 400     # "auto" takes hugepages if this much is free: a switch and three guests
DRIVERS = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-*"
FEW_DRIVERS = ("mempool_ring", "bus_vdev", "bus_pci")
STOP_TIMEOUT_S = 5
RUN_TIMEOUT_S = 30
LOG_TAIL_LINES = 30
LOOK_INTERVAL_S = 0.005
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
IN_MODIFY = 2
SANITIZER_REPORT = re.compile(r"ERROR: \w*Sanitizer|: runtime error: ")

libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something that a test expected did not hold."""


def expect(condition, message):
    if not condition:
        raise LabError(message)


def wait_until(predicate, what, timeout_s, interval_s=LOOK_INTERVAL_S):
    """Calls predicate until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout_s} s")
        time.sleep(interval_s)


def wait_readable(fds, timeout_s):
    """Sleeps until one of these descriptors can be read; False: none of them in time."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def die_with_parent():
    """Between fork and exec: a Lab that is killed with SIGKILL leaves no processes either."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Tap:
    """Prints results as TAP. Diagnostics come before the line that they explain."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def diagnose(self, text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def ok(self, name):
        self.count += 1
        print(f"ok {self.count} - {name}", flush=True)

    def not_ok(self, name, why=""):
        self.diagnose(why)
        self.count += 1
        self.failed += 1
        print(f"not ok {self.count} - {name}", flush=True)

    def skip(self, name, reason):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {reason}", flush=True)

    @contextlib.contextmanager
    def case(self, name, lab=None):
        """A block that is one result; an exception in it fails it and the program goes on."""
        try:
            yield
        except Exception:  # any kind: the result is "not ok" and the reason is printed
            if lab is not None:
                lab.dump_logs()
            self.not_ok(name, traceback.format_exc(limit=-3))
        else:
            self.ok(name)

    def plan(self):
        """The last line; returns the exit code of the program."""
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed or not self.count else 0

    @staticmethod
    def skip_all(reason):
        print(f"1..0 # SKIP {reason}", flush=True)
        sys.exit(0)


class Process:
    """A process in a session of its own, with stdout and stderr in one log file."""

    def __init__(self, name, argv, log_path, env=None):
        self.name = name
        self.argv = argv
        self.log_path = log_path
        with open(log_path, "wb") as log:
            # stdin stays open and silent: testpmd ends at end of file.
            self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log,
                                          stderr=subprocess.STDOUT, env=env,
                                          start_new_session=True, preexec_fn=die_with_parent)
        self.pid = self.popen.pid

    def log(self, start=0):
        """What it wrote, from the byte start on."""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            log.seek(start)
            return log.read()

    def tail(self, lines=LOG_TAIL_LINES):
        return "\n".join(self.log().splitlines()[-lines:])

    def alive(self):
        return self.popen.poll() is None

    def wait_log(self, pattern, timeout_s=20, skip=0):
        """Waits for the regular expression behind the first skip characters of the log."""
        regex = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout_s
        with self._end() as end, self._changes() as changes:
            while True:
                ended = not self.alive()
                found = regex.search(self.log(), skip)
                if found:
                    return found
                if ended:
                    raise LabError(f"{self.name} ended with code {self.popen.returncode} before "
                                   f"'{pattern}':\n{self.tail()}")
                left = deadline - time.monotonic()  # of a log that never rests, too
                if left <= 0 or not wait_readable([end, changes], left):
                    raise LabError(f"{self.name}: '{pattern}' in its log: not within "
                                   f"{timeout_s} s")
                time.sleep(LOOK_INTERVAL_S)  # more lines may follow
                with contextlib.suppress(BlockingIOError):
                    os.read(changes, 4096)

    def send(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def wait(self, timeout_s=RUN_TIMEOUT_S):
        if not self._ends_within(timeout_s):
            raise LabError(f"{self.name} (pid {self.pid}) still runs after {timeout_s} s")
        return self.popen.wait()

    def _ends_within(self, timeout_s):
        with self._end() as end:
            return not self.alive() or wait_readable([end], timeout_s)

    # Nothing here asks again and again: a benchmark runs beside it.

    @contextlib.contextmanager
    def _end(self):
        """A descriptor that can be read when the process has ended."""
        fd = os.pidfd_open(self.pid) if self.alive() else os.open("/dev/null", os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _changes(self):
        """A descriptor that can be read when the log has grown; inotify(7)."""
        fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if fd < 0 or libc.inotify_add_watch(fd, self.log_path.encode(), IN_MODIFY) < 0:
                raise LabError(f"inotify: {os.strerror(ctypes.get_errno())}")
            yield fd
        finally:
            if fd >= 0:
                os.close(fd)

    def kill(self):
        self.popen.kill()
        return self.popen.wait()

    def stop(self, timeout_s=STOP_TIMEOUT_S):
        """SIGTERM, then SIGKILL to whatever is left of its process group; returns its code."""
        if self.alive():
            self.popen.terminate()
            self._ends_within(timeout_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        return self.popen.wait()

    def group_is_gone(self):
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False


class PacketSocket:
    """Raw frames on an interface of a namespace; own outgoing frames are not received."""

    SOL_PACKET = 263
    PACKET_AUXDATA = 8
    SO_RCVBUFFORCE = 33
    TP_STATUS_VLAN_VALID = 0x10
    TP_STATUS_VLAN_TPID_VALID = 0x40
    ETH_P_ALL = 3
    BUFFER_BYTES = 64 << 20

    def __init__(self, sock, interface):
        self.sock = sock
        sock.setsockopt(self.SOL_PACKET, self.PACKET_AUXDATA, 1)
        sock.setsockopt(socket.SOL_SOCKET, self.SO_RCVBUFFORCE, self.BUFFER_BYTES)
        sock.bind((interface, self.ETH_P_ALL))
        sock.setblocking(False)

    def send(self, frame, timeout_s=2):
        """Sends a frame; the transmit queue of the interface may be full for a moment."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.sock.send(frame)
                return
            except (BlockingIOError, OSError) as error:
                full = isinstance(error, BlockingIOError) or error.errno == 105  # ENOBUFS
                if not full or time.monotonic() > deadline:
                    raise
                time.sleep(0.001)

    def receive(self):
        """All frames that have arrived, in order, with the VLAN tag that the kernel took out."""
        frames = []
        while True:
            try:
                data, control, _, address = self.sock.recvmsg(65536, 256)
            except BlockingIOError:
                return frames
            if address[2] != socket.PACKET_OUTGOING:
                frames.append(self._with_vlan(data, control))

    def _with_vlan(self, data, control):
        for level, kind, payload in control:
            if level != self.SOL_PACKET or kind != self.PACKET_AUXDATA:
                continue
            status, _, _, _, _, tci, tpid = struct.unpack_from("=IIIHHHH", payload)
            if status & self.TP_STATUS_VLAN_VALID:
                tpid = tpid if status & self.TP_STATUS_VLAN_TPID_VALID else 0x8100
                return data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
        return data

    def close(self):
        self.sock.close()


class Deferred:
    """In its block signals that end a program are only noted: nothing stops a cleaning half-way.
    Python handles them between two steps of its own, so one may come right before the block."""

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self):
        self.noted = []
        self.old = {}

    def __enter__(self):
        for number in self.NUMBERS:
            handler = signal.getsignal(number)
            if handler != signal.SIG_IGN:
                self.old[number] = handler
                signal.signal(number, lambda number, frame: self.noted.append(number))
        return self

    def __exit__(self, kind, error, trace):
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def act(self):
        """Raises what the first of the noted ones would have raised."""
        for number in self.noted[:1]:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


class Lab:
    """Owner of everything that a system test makes. memory: "huge", "nohuge", or "auto".
    few_drivers: for tests that start hundreds of EAL processes. Each loads all 128 drivers of the
    distribution, 80 ms of CPU; with those alone that are needed, 25 ms."""

    def __init__(self, name, memory=None, hugepages=0, few_drivers=False):
        self.name = name
        self.prefix = f"nfe{os.getpid()}"
        self.memory = memory or os.environ.get("NFE_MEMORY", "auto")
        self.few_drivers = few_drivers
        self.before_exec = []  # argv in front of that of a process
        self.hugepages = hugepages  # to reserve for the time of the Lab; 0: use what is there
        self.build = os.path.abspath(os.environ.get("NFE_BUILD", os.path.join(ROOT, "build")))
        self.sanitize = "address" in os.environ.get("NFE_SANITIZE", "")
        self.processes = []
        self.namespaces = []
        self.sockets = []
        self.eal_dirs = []
        self.handlers = {}  # of signals, as they were before
        self.undo = contextlib.ExitStack()

    # Life cycle

    def __enter__(self):
        try:
            self._set_up()
        except BaseException:  # nobody calls __exit__ then
            with Deferred():
                self.undo.close()
            self._restore_handlers()
            raise
        return self

    def _set_up(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            self.handlers[number] = signal.getsignal(number)
            signal.signal(number, self._on_signal)
        # /run is not world-writable: EAL loads plugins from there, unlike from /tmp.
        base = "/run" if os.geteuid() == 0 else None
        self.run_dir = tempfile.mkdtemp(prefix=f"nfe-{self.name}-", dir=base)
        self.undo.callback(shutil.rmtree, self.run_dir, ignore_errors=True)
        self.socket_dir = os.path.join(self.run_dir, "sockets")
        os.mkdir(self.socket_dir, 0o700)
        if self.hugepages:
            self._reserve_hugepages()
        if self.few_drivers:
            self._hide_drivers()
        if self.memory == "auto":
            self.memory = "huge" if free_hugepages_mib() >= AUTO_HUGE_MIB else "nohuge"

    def __exit__(self, kind, error, trace):
        with Deferred() as deferred:
            try:
                if kind is not None and issubclass(kind, Exception):
                    self.dump_logs()
                complaints = self._clean()
            finally:
                self.undo.close()
        self._restore_handlers()
        if kind is None or issubclass(kind, Exception):  # else one has ended it already
            deferred.act()
        if os.path.exists(self.run_dir):
            complaints.append(f"directory {self.run_dir} is left")
        if complaints:
            text = f"lab {self.name}: " + "; ".join(complaints)
            if kind is None:
                raise LabError(text)
            print(f"# {text}", flush=True)

    @staticmethod
    def _on_signal(number, frame):
        raise SystemExit(128 + number)

    def _restore_handlers(self):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _reserve_hugepages(self):
        """As many that nobody uses, if they can be had."""
        more = self.hugepages - free_hugepages_mib() // HUGEPAGE_MIB
        if more <= 0:
            return
        try:
            with open(HUGEPAGES, encoding="ascii") as file:
                before = int(file.read())
            self.undo.callback(self._give_back_hugepages, before)  # whatever comes in between
            write_file(HUGEPAGES, str(before + more))
        except OSError as error:
            raise LabError("no hugepages can be reserved: "
                           f"{HUGEPAGES}: {error.strerror}") from error

    @staticmethod
    def _give_back_hugepages(number):
        with contextlib.suppress(OSError):  # then it could not be written before either
            write_file(HUGEPAGES, str(number))

    def _hide_drivers(self):
        """Processes see a copy of a few in the place of all, in a mount namespace of their own."""
        found = glob.glob(DRIVERS)
        if os.geteuid() != 0 or len(found) != 1:
            return  # slower
        copy = os.path.join(self.run_dir, "drivers")
        os.mkdir(copy)
        for name in FEW_DRIVERS:
            for path in glob.glob(f"{found[0]}/librte_{name}.so*"):
                shutil.copy(path, copy, follow_symlinks=False)
        self.before_exec = ["unshare", "--mount", "--propagation", "slave", "sh", "-c",
                            f'mount --bind {copy} {found[0]} && exec "$@"', "sh"]

    def _clean(self):
        """Removes everything and returns what was found wrong on the way."""
        complaints = []
        for process in reversed(self.processes):
            process.stop()
            if SANITIZER_REPORT.search(process.log()):
                self.dump_log(process)
                complaints.append(f"{process.name}: sanitizer report in its log")
        for sock in self.sockets:
            sock.close()
        for name in self.namespaces:
            self._end_strangers(name)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        for path in self.eal_dirs:
            shutil.rmtree(path, ignore_errors=True)
        return complaints + self._leaks()

    @staticmethod
    def _end_strangers(namespace):
        """Whatever still runs in a namespace of ours was started by our processes."""
        out = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True,
                             check=False).stdout
        for pid in out.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def _leaks(self):
        leaks = []
        for process in self.processes:
            try:
                wait_until(process.group_is_gone, process.name, STOP_TIMEOUT_S)
            except LabError:
                leaks.append(f"process group {process.pid} ({process.name}) is left")
        leaks += [f"namespace {name} is left" for name in self.namespaces
                  if os.path.exists(f"/run/netns/{name}")]
        leaks += [f"directory {path} is left" for path in self.eal_dirs if os.path.exists(path)]
        return leaks

    # Processes

    def start(self, name, argv, netns=None, env=None):
        """Starts a process; its log is run_dir/NAME[.n].log."""
        log_path = os.path.join(self.run_dir, f"{name}.log")
        again = sum(process.name == name for process in self.processes)
        if again:
            log_path = os.path.join(self.run_dir, f"{name}.{again + 1}.log")
        full_env = {**os.environ, **(env or {})}
        argv = self.before_exec + self._in_netns(netns, argv)
        process = Process(name, argv, log_path, full_env)
        self.processes.append(process)
        return process

    def run(self, argv, netns=None, timeout_s=RUN_TIMEOUT_S, check=True):
        """Runs a command to its end and returns the CompletedProcess with text output."""
        argv = self._in_netns(netns, [str(arg) for arg in argv])
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout_s, check=False, preexec_fn=die_with_parent)
        except subprocess.TimeoutExpired:
            raise LabError(f"{' '.join(argv)}: not done within {timeout_s} s") from None
        if check and done.returncode:
            raise LabError(f"{' '.join(argv)}: exit code {done.returncode}\n"
                           f"{done.stdout}{done.stderr}".rstrip())
        return done

    def _in_netns(self, netns, argv):
        return ["ip", "netns", "exec", self.netns(netns), *argv] if netns else list(argv)

    def dump_log(self, process):
        code = process.popen.poll()
        print(f"# --- {process.name}, pid {process.pid}, "
              f"{'running' if code is None else f'exit code {code}'}", flush=True)
        for line in process.tail().splitlines():
            print(f"# {line}", flush=True)

    def dump_logs(self):
        for process in self.processes:
            self.dump_log(process)

    # Programs of this project and of DPDK

    def program(self, name):
        path = os.path.join(self.build, "app", name, name)
        expect(os.access(path, os.X_OK), f"{path} is missing; build it first (ninja -C build)")
        return path

    def plugin(self):
        """The PMD. EAL refuses it below a world-writable directory; then a copy is used."""
        path = os.path.join(self.build, "drivers", "net", "nfe", "librte_net_nfe.so")
        expect(os.path.exists(path), f"{path} is missing; build it first (ninja -C build)")
        if not world_writable_parent(path):
            return path
        copy = os.path.join(self.run_dir, "librte_net_nfe.so")
        if not os.path.exists(copy):
            shutil.copy(path, copy)
        return copy

    def socket(self, vif):
        return os.path.join(self.socket_dir, f"{vif}.sock")

    def eal_args(self, name, mib, lcores=1):
        """EAL options of a process: nothing shared with others, threads free to move."""
        prefix = f"{self.prefix}-{name}"
        runtime = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
        base = "/var/run" if os.geteuid() == 0 else runtime
        path = os.path.join(base, "dpdk", prefix)
        if path not in self.eal_dirs:
            self.eal_dirs.append(path)
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        memory = "--in-memory" if self.memory == "huge" else "--no-huge"
        return ["--lcores", ",".join(f"{i}@({cpus})" for i in range(lcores)), "--no-pci",
                "--file-prefix", prefix, memory, "-m", str(mib)]

    def eal_dir(self, process):
        return next(path for path in self.eal_dirs if path.endswith(f"-{process.name}"))

    def start_switch(self, config, name="vif-switch", netns=None, eal=(), lcores=1, mib=128):
        """Starts vif-switch with this configuration text on a control thread and lcores data
        lcores, and waits until it is ready."""
        path = os.path.join(self.run_dir, f"{name}.conf")
        write_file(path, config)
        argv = [self.program("vif-switch"), *self.eal_args(name, mib, lcores + 1), *eal,
                "--", "--config", path]
        process = self.start(name, argv, netns=netns)
        process.wait_log("vif-switch: ready")
        return process

    def start_testpmd(self, name, socket_path, args=(), eal=(), devargs="", mib=96, lcores=2):
        """Starts the stock dpdk-testpmd on the VIF behind socket_path; doesn't wait for it."""
        argv = ["stdbuf", "-oL", "dpdk-testpmd", *self.eal_args(name, mib, lcores),
                "-d", self.plugin(), "--vdev", f"net_nfe0,socket={socket_path}{devargs}", *eal,
                "--", "--disable-link-check", "--total-num-mbufs=8192", *args]
        env = {}
        if self.sanitize:  # the plugin needs the runtime, which stock testpmd lacks
            env = {"LD_PRELOAD": os.environ["NFE_ASAN_LIBRARY"], "ASAN_OPTIONS": "detect_leaks=0"}
        return self.start(name, argv, env=env)

    # Telemetry

    def telemetry(self, process, command):
        """Asks a DPDK process and returns the value of its reply; None if it gave none."""
        path = os.path.join(self.eal_dir(process), "dpdk_telemetry.v2")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(5)
            try:
                sock.connect(path)
                limit = json.loads(sock.recv(1024))["max_output_len"]
                sock.send(command.encode())
                reply = json.loads(sock.recv(limit))
            except (OSError, ValueError) as error:
                raise LabError(f"telemetry {command} at {path}: {error}") from error
        return next(iter(reply.values()))

    def vif_stats(self, switch, vif):
        stats = self.telemetry(switch, f"/vif/stats,{vif}")
        expect(isinstance(stats, dict), f"/vif/stats,{vif}: no such VIF")
        return stats

    # Network

    def netns(self, name):
        return f"{self.prefix}-{name}"

    def add_netns(self, name):
        full = self.netns(name)
        self.namespaces.append(full)  # before: an interrupted "add" is removed as well
        self.run(["ip", "netns", "add", full])
        self.ip(name, "link set lo up")
        # No unasked frames: they would be counted with those of the test.
        self.run(["sh", "-c", "for f in all default; do f=/proc/sys/net/ipv6/conf/$f/disable_ipv6; "
                  "[ ! -e $f ] || echo 1 > $f; done"], netns=name)

    def ip(self, netns, command):
        return self.run(["ip", "-n", self.netns(netns), *command.split()])

    def add_veth(self, netns_a, name_a, netns_b, name_b, mtu=1500):
        """A wire between two namespaces, both ends up, checksums complete on it."""
        self.run(["ip", "link", "add", name_a, "netns", self.netns(netns_a), "type", "veth",
                  "peer", "name", name_b, "netns", self.netns(netns_b)])
        for netns, name in ((netns_a, name_a), (netns_b, name_b)):
            self.ip(netns, f"link set {name} mtu {mtu} up")
            self.disable_offloads(netns, name)

    def disable_offloads(self, netns, name):
        """The other end takes frames as they are: checksums filled in, nothing above the MTU."""
        self.run(["ethtool", "-K", name, "tx", "off"], netns=netns)
        self.run(["ethtool", "-K", name, "gro", "off"], netns=netns)

    def packet_socket(self, netns, interface):
        """A PacketSocket in a namespace: a socket stays in the one where it was made."""
        with open("/proc/self/ns/net", "rb") as home, \
                open(f"/run/netns/{self.netns(netns)}", "rb") as away:
            setns(away.fileno())
            try:
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            finally:
                setns(home.fileno())
        self.sockets.append(sock)
        return PacketSocket(sock, interface)


def setns(fd):
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")


def write_file(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def free_hugepages_mib():
    try:
        with open(HUGEPAGES_FREE, encoding="ascii") as file:
            return int(file.read()) * HUGEPAGE_MIB
    except OSError:
        return 0


def world_writable_parent(path):
    path = os.path.realpath(path)
    while True:
        if os.stat(path).st_mode & stat.S_IWOTH:
            return True
        if path == "/":
            return False
        path = os.path.dirname(path)


def drops(stats, side):
    """Drop counters that are not zero, by reason. side: "from" or "to" (the guest)."""
    start = f"{side}_drop_"
    return {key[len(start):]: value for key, value in stats.items()
            if key.startswith(start) and value}


def check_identities(vif, stats):
    """Accounting of one VIF (specification 9.2); raises LabError with the numbers."""
    used = stats["from_unicast"] + stats["from_flooded"] + sum(drops(stats, "from").values())
    expect(stats["from_frames"] == used, f"VIF {vif}: from_frames {stats['from_frames']}, but "
           f"unicast + flooded + drops are {used}: {stats}")
    done = stats["to_frames"] + sum(drops(stats, "to").values())
    expect(stats["to_offered"] == done, f"VIF {vif}: to_offered {stats['to_offered']}, but "
           f"delivered + drops are {done}: {stats}")
