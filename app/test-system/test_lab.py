#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: files
"""lab.py gives back what it took, whenever a signal comes or something fails, and a signal that
comes while it cleans is not lost. The kernel's files about hugepages are ordinary files here."""
import contextlib
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab  # noqa: E402
from lab import ROOT, Lab, LabError, Tap, expect, write_file  # noqa: E402

sys.path.append(os.path.join(ROOT, "usertools", "bench-peers"))
import machine  # noqa: E402

BEFORE, FREE, WANTED = 100, 30, 64
SIGNALS = ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit),
           (signal.SIGHUP, SystemExit))


def read(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())


@contextlib.contextmanager
def replaced(owner, name, value):
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


@contextlib.contextmanager
def hugepages(what_happens=lambda: None):
    """A kernel that has BEFORE pages, FREE of them free; what_happens when it is asked for more."""
    with tempfile.TemporaryDirectory() as tmp:
        total, free = os.path.join(tmp, "nr"), os.path.join(tmp, "free")

        def write(path, text):
            write_file(path, text)
            if path == total:
                write_file(free, str(FREE + int(text) - BEFORE))
            if path == total and int(text) > BEFORE:
                what_happens()
        write_file(total, str(BEFORE))
        write_file(free, str(FREE))
        with replaced(lab, "HUGEPAGES", total), replaced(lab, "HUGEPAGES_FREE", free), \
                replaced(lab, "write_file", write):
            yield total


def send(number):
    os.kill(os.getpid(), number)


def raised(function):
    """What it raised; None: nothing."""
    try:
        function()
    except BaseException as error:  # signals, too
        return error
    return None


def enter(**options):
    with Lab("lab", memory="nohuge", **options):
        pass


def reserve(tap):
    with tap.case("a Lab reserves as many hugepages as it lacks, and gives them back"), \
            hugepages() as total:
        with Lab("lab", memory="nohuge", hugepages=WANTED):
            expect(read(total) == BEFORE + WANTED - FREE, f"{read(total)} pages")
        expect(read(total) == BEFORE, f"{read(total)} pages")
    for number, kind in SIGNALS:
        with tap.case(f"hugepages are given back when {number.name} comes as they are taken"), \
                hugepages(lambda: send(number)) as total:
            error = raised(lambda: enter(hugepages=WANTED))
            expect(isinstance(error, kind) and read(total) == BEFORE, f"{error}, {read(total)}")
            error = raised(lambda: machine.can_reserve(WANTED))
            expect(isinstance(error, kind) and read(total) == BEFORE, f"{error}, {read(total)}")


def fail(*_):
    raise LabError("on purpose")


def fail_to_begin(tap):
    with tap.case("what a Lab took is given back when it cannot begin"), hugepages() as total:
        handlers = [signal.getsignal(number) for number, _ in SIGNALS]
        made = Lab("lab", memory="nohuge", hugepages=WANTED, few_drivers=True)
        with replaced(Lab, "_hide_drivers", fail):
            error = raised(made.__enter__)
        expect("on purpose" in str(error) and read(total) == BEFORE, f"{error}, {read(total)}")
        expect(not os.path.exists(made.run_dir), f"{made.run_dir} is left")
        expect(handlers == [signal.getsignal(number) for number, _ in SIGNALS], "handlers")


def can_reserve(tap):
    with tap.case("hugepages can be reserved if so many are free afterwards"), hugepages() as total:
        expect(machine.can_reserve(BEFORE) and machine.can_reserve(FREE), "they can")
        expect(read(total) == BEFORE, f"{read(total)} pages")
        with replaced(lab, "write_file", lambda path, text: None):  # the kernel has no memory
            expect(not machine.can_reserve(BEFORE), "they are in use")
    with tap.case("none can be reserved where the kernel's files may only be read"), hugepages():
        def refuse(path, text):
            raise OSError(30, "Read-only file system")
        with replaced(lab, "write_file", refuse):
            expect(not machine.can_reserve(BEFORE), "they cannot")
            error = raised(lambda: enter(hugepages=BEFORE))
            expect(isinstance(error, LabError) and "Read-only" in str(error), repr(error))


def clean_up(tap):
    """A signal in the middle of it."""
    def interrupted(number, then=lambda: None):
        made = Lab("lab", memory="nohuge")

        def run():
            with replaced(made, "_clean", lambda: send(number) or []), made:
                then()
        return made, raised(run)
    for number, kind in SIGNALS:
        with tap.case(f"{number.name} while a Lab cleans up ends the program when that is done"):
            handler = signal.getsignal(number)
            made, error = interrupted(number)
            expect(isinstance(error, kind) and not os.path.exists(made.run_dir), repr(error))
            expect(getattr(error, "code", None) in (None, 128 + number), repr(error))
            expect(signal.getsignal(number) == handler, "the handler is not as it was")
            _, error = interrupted(number, fail)
            expect(isinstance(error, kind), repr(error))
    with tap.case("what ended a Lab goes on, whatever signal comes while it cleans up"):
        def stop():
            raise SystemExit(7)
        _, error = interrupted(signal.SIGINT, stop)
        expect(isinstance(error, SystemExit) and error.code == 7, repr(error))
    with tap.case("a signal that is ignored stays so"):
        old = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            _, error = interrupted(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, old)
        expect(error is None, repr(error))


def main():
    tap = Tap()
    reserve(tap)
    fail_to_begin(tap)
    can_reserve(tap)
    clean_up(tap)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
