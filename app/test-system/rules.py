# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""The table of doc/ring-rules.md against the sources, for test_docs.py: rule, code, counter, test.

A cell is prose with `names`. Code is `FILE: FUNCTION`, a FUNCTION alone is in the file named last.
Counters are written as the document says, a reason as the operator reads it. A row without a rule
goes on with the rule above it.
"""
import glob
import os
import re
import subprocess

from lab import ROOT, expect

NB_RULES = 20
# What a guest can cause but is no refusal; and what is the operator's or the device's own doing.
NO_REFUSALS = {"xen.attached", "xen.detached", "xen.events", "xen.interrupts", "xen.io_errors",
               "vfio_user.connections", "vfio_user.messages", "vfio_user.errors_sent",
               "control.requests", "control.triggers", "reason none", "reason kick-storm",
               "reason operator"}
GUEST_SIDE = ("xstats.", "vif.", "nfeh.")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def sources(*patterns):
    return "\n".join(read(path) for pattern in patterns
                     for path in sorted(glob.glob(os.path.join(ROOT, pattern))))


def x_macro(path, name):
    """Names in the X-macro list that a header defines."""
    body = re.search(rf"#define {name}\(X\)((?:.*\\\n)*.*)", read(path))
    expect(body, f"{path} doesn't define {name}")
    return re.findall(r"\bX\((\w+)", body[1])


def fields(path, struct):
    body = re.search(rf"struct {struct} \{{(.*?)\n\}};", read(path), re.DOTALL)
    expect(body, f"{path} doesn't define struct {struct}")
    return re.findall(r"(\w+)[,;]", re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL))


def known_counters():
    """Every counter and reason there is, by the name that the document uses."""
    contract = "lib/nfe/nfe_ctrl.h"
    show = read("app/vif-switch/vifsw_show.c")
    known = set(x_macro(contract, "NFE_STATS"))
    known |= {f"control.{n}" for n in x_macro("lib/nfe_device/nfed_function.h", "NFED_COUNTERS")}
    known |= {f"xen.{n}" for n in x_macro("lib/nfe_device/nfed_xen.h", "NFED_XEN_COUNTERS")}
    known |= {f"vfio_user.{n}" for n in fields("lib/vfio_user/vfio_user_server.h",
                                              "vfio_user_server_stats")}
    known |= {f"nfeh.{n}" for n in x_macro("lib/nfe_host/nfeh.h", "NFEH_COUNTERS")}
    known |= {f"vif.{n}" for n in x_macro("lib/vif/vif.h", "VIF_RX_COUNTERS")}
    rxtx = "drivers/net/nfe/nfe_rxtx.h"
    known |= {f"xstats.{way}_{n}" for way in ("rx", "tx")
              for n in x_macro(rxtx, f"NFE_{way.upper()}_COUNTERS")}
    for kind, word in (("lcores", "kick_storms"), ("switch", "memory_faults")):
        expect(f'"{word}"' in show, f"vifsw_show.c doesn't show {word}")
        known.add(f"{kind}.{word}")
    reasons = re.findall(r"\[NFE_REASON_\w+\] = \"([a-z-]+)\"",
                         read("lib/nfe_device/nfed_function.c"))
    return known | {f"reason {name}" for name in reasons}


def is_refusal(counter):
    return counter not in NO_REFUSALS and not counter.startswith(GUEST_SIDE) and (
        "." in counter or "_drop_" in counter or counter.startswith("reason "))


class Row:
    """A line of the table; rule is 0 where it goes on with the one above."""

    def __init__(self, cells):
        number = re.match(r"(\d+)\.", cells[0])
        self.rule = int(number[1]) if number else 0
        self.code, self.shown, self.tests = (re.findall(r"`([^`]+)`", cell) for cell in cells[1:])
        self.prose = cells[2]
        reasons = re.search(r"reasons? ((?:`[a-z-]+`(?:, )?)+)", cells[2])
        self.reasons = re.findall(r"`([^`]+)`", reasons[1]) if reasons else []

    def counters(self):
        return [f"reason {name}" if name in self.reasons else name for name in self.shown]


class Table:
    """The table as rows. Each check raises LabError with all that is wrong."""

    def __init__(self, text):
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        self.rows = [Row([cell.strip() for cell in line.strip("|").split("|")])
                     for line in lines if not line.startswith("| rule ")]

    def check_rules(self):
        numbers = [row.rule for row in self.rows if row.rule]
        expect(numbers == list(range(1, NB_RULES + 1)), f"rules are {numbers}")
        bare = [row.rule for row in self.rows if not row.tests or not (row.code or row.prose)]
        expect(not bare, f"rows without a test: {bare}")

    def check_functions(self):
        wrong = []
        for row in self.rows:
            path = None
            for name in row.code:
                file, _, function = name.rpartition(": ")
                if file:
                    found = [p for top in ("lib", "drivers") for p in glob.glob(
                        os.path.join(ROOT, top, "**", file), recursive=True)]
                    path = found[0] if found else None
                if path is None or not re.search(rf"^(static .*)?{function}\(", read(path),
                                                 re.MULTILINE):
                    wrong.append(name)
        expect(not wrong, f"no such function: {wrong}")

    def check_counters(self):
        known = known_counters()
        shown = {name for row in self.rows for name in row.counters()}
        expect(not shown - known, f"no such counter or reason: {sorted(shown - known)}")
        missing = {name for name in known if is_refusal(name)} - shown
        expect(not missing, f"refusals that no rule names: {sorted(missing)}")

    def check_tests(self, nfe_test):
        done = subprocess.run([nfe_test, "--list"], capture_output=True, text=True, check=True)
        cases = set(done.stdout.splitlines()) | {"shared-access"}
        wrong = []
        for row in self.rows:
            text = "\n".join(self.source_of(test, cases, wrong) for test in row.tests)
            wrong += [f"{counter}: in none of the tests of its row" for counter in row.counters()
                      if not looks_at(text, counter)]
        expect(not wrong, f"tests: {wrong}")

    @staticmethod
    def source_of(test, cases, wrong):
        """The source that a test stands in; one that doesn't exist is added to wrong."""
        if test in cases:
            suite = test.split()[0]
            return sources("app/test/check-shared-access" if suite == test else
                           f"app/test/test_{suite}.c")
        pattern = {"test": "app/test-system/{}", "fuzz": "app/test-fuzz/{}.c"}.get(test[:4], "")
        text = sources(pattern.format(test))
        if " " in test or not text:
            wrong.append(f"no test {test}")
        return text


def looks_at(text, counter):
    """Does a test name the counter: as a field, as a constant, or as the operator reads it?"""
    name = re.sub("^(rx|tx)_", "", counter.split(".")[-1].split(" ")[-1])
    constant = ("REASON_" if counter.startswith("reason ") else "STAT_") + name.replace("-", "_")
    return re.search(rf"(?:->|\.|\(){name}\b|\b(?:NFE_)?{constant}\b|\"{name}\"",
                     text, re.IGNORECASE) is not None
