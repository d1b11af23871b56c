#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""A switch with 1024 VIFs: it starts, lists them all, serves two guests perfectly while dozens are
attached and idle, gives everything back and ends; where the system has too few descriptors for so
many it says how many, and which knob."""
import os
import sys

from lab import Lab, LabError, Tap, expect, wait_until
from traffic import Traffic, check_accounting, perfect, switch_config
from test_guest_death import level, rss_kib, settled_level

VIFS = 1024
IDLE = 48           # guests that attach and then do nothing
RSS_SLACK_KIB = 4096
FEW_DESCRIPTORS = 1000


def config(lab):
    """a and b, and the others by count, with one queue pair each."""
    count = VIFS - 2
    return switch_config(lab, ["a", "b"],
                         f"vifs p count {count} mac 02:00:00:01:00:00 queues 1 regions 8\n")


def names(lab, switch):
    """All pages of /vif/list."""
    found = []
    while True:
        page = lab.telemetry(switch, f"/vif/list,{len(found)}")
        if not page:
            return found
        found += page


def idle_guests(lab):
    guests = [lab.start(f"idle{i}", [lab.program("vif-echo"), "--sleep",
                                     f"vfio-user:{lab.socket(f'p{i}')}"])
              for i in range(IDLE)]
    for guest in guests:
        guest.wait_log("vif-echo: ready")
    return guests


def attached(lab, switch):
    return lab.telemetry(switch, "/switch/info")["attached"]


def end_guests(lab, switch, guests):
    """Half of them say goodbye, the others don't."""
    for guest in guests[::2]:
        guest.popen.kill()
    for guest in guests[1::2]:
        guest.popen.terminate()
    for guest in guests:
        guest.wait()
    wait_until(lambda: attached(lab, switch) == 0, "all guests detached", 10)


def give_back(lab, switch, guests, before, rss):
    end_guests(lab, switch, guests)
    try:
        wait_until(lambda: level(switch) == before, "level", 10)
    except LabError:
        raise LabError(f"the switch has {level(switch)}, before {before}") from None
    expect(rss_kib(switch) <= rss + RSS_SLACK_KIB,
           f"anonymous memory {rss_kib(switch)} KiB, was {rss} KiB")


def too_few_descriptors(lab):
    path = os.path.join(lab.run_dir, "vif-switch.conf")
    argv = ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-all", "prlimit",
            f"--nofile={FEW_DESCRIPTORS}:{FEW_DESCRIPTORS}", lab.program("vif-switch"),
            *lab.eal_args("few", 64, 2), "--", "--config", path, "--socket-dir",
            os.path.join(lab.run_dir, "few")]
    done = lab.run(argv, check=False)
    said = done.stdout + done.stderr
    expect(done.returncode == 1, f"exit code {done.returncode}:\n{said}")
    for words in (f"{VIFS} VIFs need ", f"the hard limit is {FEW_DESCRIPTORS}", "ulimit -Hn"):
        expect(words in said, f"'{words}' is not in:\n{said}")


def main():
    tap = Tap()
    # Of so many, a VIF has descriptors for 3 files of memory, and each hugepage is a file.
    with Lab("many", memory="nohuge") as lab:
        switch = lab.start_switch(config(lab))
        with tap.case(f"{VIFS} VIFs are listed, each once", lab):
            found = names(lab, switch)
            expect(len(found) == VIFS and len(set(found)) == VIFS,
                   f"{len(found)} names, {len(set(found))} different")
        with tap.case("the first guests come and go", lab):  # what is allocated once is allocated
            end_guests(lab, switch, idle_guests(lab))
        before, rss = settled_level(switch), rss_kib(switch)
        with tap.case(f"two guests exchange frames perfectly beside {IDLE} idle ones", lab):
            guests = idle_guests(lab)
            traffic = Traffic(lab, "traffic", "pmd:a", "ring:b", ["--both", "--frames", 5000])
            perfect(traffic.result())
            expect(attached(lab, switch) == IDLE, f"{attached(lab, switch)} are attached")
            check_accounting(lab, switch, ["a", "b", "p0", f"p{VIFS - 3}"])
        with tap.case("descriptors, maps and memory are as before", lab):
            give_back(lab, switch, guests, before, rss)
        with tap.case("the switch ends cleanly and leaves no socket", lab):
            expect(switch.stop(20) == 0, f"exit code {switch.popen.returncode}")
            left = [name for name in os.listdir(lab.socket_dir) if name.endswith(".sock")]
            expect(not left, f"{len(left)} sockets are left")
        with tap.case("too few descriptors: both numbers and the knob are named", lab):
            too_few_descriptors(lab)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
