# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""The machine under the benchmark: what it must have, which CPU does what, how it is described."""
import argparse
import contextlib
import itertools
import os
import platform
import subprocess
import time

from lab import HUGEPAGE_MIB, HUGEPAGES, ROOT, Lab, LabError, free_hugepages_mib

NICE = -10              # of the sessions that are measured; nice has no effect across sessions
SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def parse_cpus(text):
    """{0, 2, 3} of "0,2-3", as the kernel writes lists of CPUs."""
    found = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def siblings(cpu):
    """The hardware threads of a CPU's core, itself too, as far as the kernel tells."""
    try:
        with open(SIBLINGS.format(cpu), encoding="ascii") as file:
            return parse_cpus(file.read())
    except (OSError, ValueError):
        return {cpu}


def choose_cpus(usable, siblings_of=siblings):
    """The first two of usable that are of different cores: two threads of one core slow each other
    down, and where one can't see that, nothing counts (watch.h). None: there are none."""
    pairs = itertools.combinations(sorted(usable), 2)
    return next((pair for pair in pairs if pair[1] not in siblings_of(pair[0])), None)


def cpus():
    """(CPU of the guests, CPU of the switch). Those of one core are for a test of the tool only."""
    usable = os.sched_getaffinity(0)
    return choose_cpus(usable) or tuple(sorted(usable)[:2])


def lacks(hugepages, self_test=False):
    """What this machine lacks, as a list of sentences; empty: nothing."""
    missing = []
    if os.geteuid() != 0:
        missing.append("root: the benchmark makes namespaces, takes hugepages and priorities")
    if len(os.sched_getaffinity(0)) < 2:
        missing.append("two CPUs: one for the guests, one for the switch")
    elif not self_test and choose_cpus(os.sched_getaffinity(0)) is None:
        missing.append("CPUs of two cores: those here are hardware threads of one, so that guests "
                       "and switch slow each other down")
    if hugepages and not os.path.exists(HUGEPAGES):
        missing.append("hugepages of 2 MiB")
    elif hugepages and os.geteuid() == 0 and not can_reserve(hugepages):
        missing.append(f"memory: {hugepages} hugepages of 2 MiB cannot be reserved")
    return missing


def unbuilt(*builds):
    """The first file that a measurement needs and one of these build directories lacks; None."""
    needed = ("app/test-bench/test-bench", "app/vif-switch/vif-switch",
              "drivers/net/nfe/librte_net_nfe.so")
    paths = (os.path.join(build, name) for build in builds for name in needed)
    return next((path for path in paths if not os.path.exists(path)), None)


def why(error):
    """One measurement's failure, in words. Peers die of many things: of what nobody expected the
    kind is told, too."""
    return str(error).strip() if isinstance(error, LabError) else f"{type(error).__name__}: {error}"


def at_least(least):
    """Type of an option for argparse."""
    def number(text):
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value
    return number


def memory_for_test(hugepages):
    """"huge" or "nohuge": whether the benchmark works doesn't depend on it, only its numbers do."""
    wanted = os.environ.get("NFE_MEMORY", "auto")
    if wanted != "auto":
        return wanted
    possible = os.geteuid() == 0 and os.path.exists(HUGEPAGES) and can_reserve(hugepages)
    return "huge" if possible else "nohuge"


def can_reserve(hugepages):
    """So many that nobody uses: tries it and gives back, after a signal, too."""
    try:
        with Lab("can-reserve", memory="nohuge", hugepages=hugepages):
            return free_hugepages_mib() >= hugepages * HUGEPAGE_MIB
    except LabError:
        return False


def write(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


def prioritise(process):
    """A process of the Lab has a session of its own, and so an autogroup: give that priority; and
    the process, for a kernel that makes none."""
    with contextlib.suppress(OSError):
        write(f"/proc/{process.pid}/autogroup", NICE)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)


def thread(process, names):
    """/proc path of the first thread whose name starts with one of names; None: there is none."""
    tasks = f"/proc/{process.pid}/task"
    for tid in sorted(os.listdir(tasks), key=int):
        with contextlib.suppress(OSError), open(f"{tasks}/{tid}/comm", encoding="ascii") as file:
            if file.read().startswith(names):
                return f"{tasks}/{tid}"
    return None


def cpu_ns(task):
    """CPU time of a thread so far."""
    with open(f"{task}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def anonymous_kib(process):
    """Memory of its own: what it maps of its guests doesn't count."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0])


def text_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True,
                              timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def describe():
    """Machine, software and date: what stands above the results."""
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": f"{model}, {os.cpu_count()} CPUs",
        "kernel": platform.release(),
        "dpdk": text_of("pkg-config", "--modversion", "libdpdk"),
        "commit": text_of("git", "-C", ROOT, "rev-parse", "--short", "HEAD"),
        "load_at_start": os.getloadavg()[0],
    }
