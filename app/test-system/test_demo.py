#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""The demo of the README as its user runs it, on a terminal: "--pcap" replays a capture and counts
it at the guests, "--keep" leaves all of it up, the commands that it prints work, and neither the end
of input nor Ctrl-C leaves anything behind. A capture that can't be replayed is refused before
anything is made."""
import contextlib
import glob
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile

from lab import (ROOT, LabError, Tap, die_with_parent, expect, free_hugepages_mib, wait_until,
                 write_file)

DEMO = [sys.executable, os.path.join(ROOT, "usertools", "demo")]
RUN_S = 120
LOOK_S = 20
CTRL_C, CTRL_D = b"\x03", b"\x04"
INTERRUPTED = 130
PCAP_MAGIC = 0xa1b2c3d4
ETHERNET, RAW_IP = 1, 101
MAX_FRAME = 1514
# Around the sizes where something changes, and what no VIF of the demo takes.
LENGTHS = (14, 40, 41, 60, 61, 64, 252, 316, 317, 1000, MAX_FRAME)
REFUSED_LENGTHS = (13, MAX_FRAME + 1)
ROUNDS = 20
# Of each command that the demo prints, in their order: its name, what it shows, what is typed.
SEEN = (
    ("vif-ctl .* list", r"^a +02:00:00:00:00:0a +up +ready .*\n^b +.* up +ready ", b""),
    ("vif-ctl .* queues b", r"^ +1 +sq +\d+ +\w+ +\d+ ", b""),
    ("vif-ctl .* stats b --watch 1", r"^to_frames +\d+ +0$(.*\n)+to_frames +\d+ +\d+$", b""),
    ("dpdk-telemetry.py", r'"/vif/stats": \{\s+"from_frames": \d+', b"/vif/stats,a\nquit\n"),
    ("ip netns exec .* ping", r"^64 bytes from 192.0.2.11: ", b""),
    ("ip netns exec .* tcpdump", r"192.0.2.1 > 192.0.2.11: ICMP echo request", b""),
    ("tail -f", r"^vif-switch: vif \w: ", b""),
)


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, argv):
        self.name = " ".join(argv)
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            die_with_parent()
            os.chdir(ROOT)
            os.execvp(argv[0], argv)

    def read(self, timeout_s=0.1):
        """False at the end of the program's output."""
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the other end open
            data = b""
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def wait_text(self, pattern, timeout_s):
        regex = re.compile(pattern, re.MULTILINE)

        def seen():
            open_still = self.read()
            found = regex.search(self.text)
            expect(found or open_still, f"{self.name} ended before '{pattern}':\n{self.text}")
            return found
        try:
            wait_until(seen, pattern, timeout_s)
        except LabError as error:
            raise LabError(f"{self.name}: {error}\n{self.text}") from None

    def type(self, keys):
        os.write(self.fd, keys)

    def end(self):
        """Its exit code, negative for a signal, when it has ended by itself."""
        wait_until(lambda: not self.read(), f"{self.name} ends", 30)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class Remains:
    """What a demo has made, found by the names that bear its pid, and by its descendants."""

    def __init__(self, pid):
        self.processes = dict(descendants(pid))
        lines = " ".join(map(command_line, self.processes))
        self.run_dir = re.search(r"/run/nfe-demo-\w+", lines)[0]
        self.patterns = (f"/run/netns/nfe{pid}-*", f"/var/run/dpdk/nfe{pid}-*", self.run_dir)

    def paths(self):
        return [path for pattern in self.patterns for path in glob.glob(pattern)]

    def running(self):
        return [pid for pid, start in self.processes.items() if start_time(pid) == start]

    def sockets(self):
        with open("/proc/net/unix", encoding="ascii", errors="replace") as file:
            return [line.split()[-1] for line in file if self.run_dir in line]


def stat_fields(pid):
    """Fields of /proc/PID/stat behind the name; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def start_time(pid):
    fields = stat_fields(pid)
    return fields and fields[0] not in "ZX" and fields[19]


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return ""


def descendants(top):
    """(pid, start time) of all processes below top."""
    parents = {int(pid): fields[1] for pid in os.listdir("/proc") if pid.isdigit()
               for fields in (stat_fields(pid),) if fields}
    for pid in parents:
        above = pid
        while above in parents and above != top:
            above = int(parents[above])
        if above == top:
            yield pid, start_time(pid)


def write_pcap(path, frames, link_type=ETHERNET):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", PCAP_MAGIC, 2, 4, 0, 0, 65535, link_type))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def some_frames(lengths):
    """Each different, to nobody that the switch knows, EtherType for experiments."""
    for number, length in enumerate(lengths):
        head = bytes.fromhex("02eeeeeeeeee") + struct.pack("!HI", 0x0200, number) + b"\x88\xb5"
        yield (head + bytes((number + i) & 0xff for i in range(length)))[:length]


def refused(name, path, *words):
    done = subprocess.run([*DEMO, "--pcap", path], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=RUN_S, check=False)
    expect(done.returncode == 1, f"{name}: exit code {done.returncode}")
    expect(not done.stdout, f"{name}: it began nevertheless:\n{done.stdout}")
    for word in (path, *words):
        expect(word in done.stderr, f"{name}: '{word}' is not in: {done.stderr}")


def bad_captures(tmp):
    path = os.path.join(tmp, "bad.pcap")
    write_pcap(path, some_frames([100]), RAW_IP)
    refused("raw IP", path, "link type 101")
    write_pcap(path, [])
    refused("empty", path, "no frame")
    write_pcap(path, some_frames([100]))
    os.truncate(path, os.path.getsize(path) - 1)
    refused("cut off", path, "record of 100 bytes at byte 40 of 139")
    with open(path, "wb") as file:
        file.write(b"\x0a\x0d\x0d\x0a" + bytes(60))
    refused("pcapng", path, "editcap")
    write_file(path, "this is no capture\n")
    refused("text", path, "is no pcap file")
    refused("missing", os.path.join(tmp, "none.pcap"), "No such file")


def printed_commands(text):
    block = re.search(r"To look around, in another terminal:\n((?:  .*\n)+)", text)
    expect(block, f"no commands are printed:\n{text}")
    return [line.split("#")[0].strip() for line in block[1].splitlines()]


def try_commands(commands):
    """All at the same time, as ping makes what tcpdump shows; Ctrl-C ends those that go on."""
    expect(len(commands) == len(SEEN), f"commands printed: {commands}")
    with contextlib.ExitStack() as stack:
        terminals = [stack.enter_context(contextlib.closing(Terminal(command.split())))
                     for command in commands]
        for terminal, (name, _, keys) in zip(terminals, SEEN):
            expect(re.search(name, terminal.name), f"'{terminal.name}' is not '{name}'")
            terminal.type(keys)
        for terminal, (_, pattern, _) in zip(terminals, SEEN):
            terminal.wait_text(pattern, LOOK_S)
        for terminal in terminals:
            with contextlib.suppress(OSError):  # it has ended
                terminal.type(CTRL_C)
            code = terminal.end()
            expect(code in (0, -signal.SIGINT), f"'{terminal.name}': exit code {code}")


def leave(demo, key, wanted_code, hugepages_mib):
    """By a key of the terminal; of what was there nothing may be left."""
    made = Remains(demo.pid)
    expect(len(made.processes) >= 4 and len([p for p in made.paths() if "netns" in p]) == 4 and
           made.sockets(), f"there was only {made.processes}, {made.paths()}, {made.sockets()}")
    demo.type(key)
    code = demo.end()
    expect(code == wanted_code, f"exit code {code}:\n{demo.text[-2000:]}")
    expect(not made.paths(), f"left: {made.paths()}")
    expect(not made.running(), f"still running: {made.running()}")
    expect(not made.sockets(), f"still open: {made.sockets()}")
    wait_until(lambda: free_hugepages_mib() >= hugepages_mib, "hugepages free again", 10)


def run_and_look(tap, pcap):
    hugepages_mib = free_hugepages_mib()
    with contextlib.closing(Terminal([*DEMO, "--pcap", pcap, "--keep"])) as demo:
        with tap.case("usertools/demo passes all of its checks"):
            demo.wait_text("Enter or Ctrl-C", RUN_S)
            tap.diagnose(demo.text)
            expect("demo: all passed" in demo.text, "it did not")
        with tap.case("--pcap: frames of every length come at the guest, others are named"):
            n, left = len(LENGTHS) * ROUNDS, len(REFUSED_LENGTHS)
            line = (f"{n} frames sent; intact and in order at a 0, b {n}, c 0 ({left} of other "
                    f"lengths than 14 to {MAX_FRAME} left out)")
            expect(re.search(rf"replay of the pcap file +ok +{re.escape(line)}\n", demo.text),
                   f"not '{line}'")
        with tap.case("--keep: all of it stays up, and the printed commands show it"):
            try_commands(printed_commands(demo.text))
        with tap.case("the end of input ends it and leaves nothing"):
            leave(demo, CTRL_D, 0, hugepages_mib)


def interrupt(tap):
    hugepages_mib = free_hugepages_mib()
    with contextlib.closing(Terminal(DEMO)) as demo:
        with tap.case("Ctrl-C in the middle ends it and leaves nothing"):
            demo.wait_text("^traffic$", RUN_S)
            leave(demo, CTRL_C, INTERRUPTED, hugepages_mib)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="nfe-demo-") as tmp:
        with tap.case("a capture that can't be replayed is refused before anything is made"):
            bad_captures(tmp)
        pcap = os.path.join(tmp, "frames.pcap")
        write_pcap(pcap, some_frames(LENGTHS * ROUNDS + REFUSED_LENGTHS))
        run_and_look(tap, pcap)
    interrupt(tap)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
