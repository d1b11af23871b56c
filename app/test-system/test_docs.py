#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: files
"""README.md and doc/*.md are true: what they name exists.

Paths of the tree, relative links, options of our programs (asked by --help), telemetry commands of
doc/vif-switch.md (both ways), xstats of the PMD (both ways), code that is quoted from a source file, and the table of
doc/ring-rules.md (rules.py). Needs a build for the options and the list of unit tests; no root, no
processes beyond --help and --list. Numbers of the contract are app/test/test_nfe.c's.
"""
import fnmatch
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402
from lab import ROOT, Tap, expect  # noqa: E402

HELP_TIMEOUT_S = 20
DOCS = [os.path.join(ROOT, "README.md")] + sorted(glob.glob(os.path.join(ROOT, "doc", "*.md")))
OPERATOR_GUIDE = os.path.join(ROOT, "doc", "vif-switch.md")
PMD_GUIDE = os.path.join(ROOT, "doc", "guides", "nics", "nfe.rst")
APP_GUIDE = os.path.join(ROOT, "doc", "guest-app-guide.md")
TOP_DIRS = ("app", "config", "doc", "drivers", "lib", "usertools", ".ci")
TREE_PATH = re.compile(r"(?<![\w/.$-])(?:\./)?((?:%s)/[\w./*-]+)" %
                       "|".join(map(re.escape, TOP_DIRS)))
BUILD_PATH = re.compile(r"(?<![\w/.-])(?:\$PWD/)?build/([\w./-]+)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
TELEMETRY = re.compile(r"(?<![\w.-])/(?:vif|fdb|uplink|switch)/[a-z][a-z-]*(?![\w/.-])")
# Written by programs when they run, so not there in a fresh build.
MADE_AT_RUN_TIME = ("quickstart.log", "meson-logs")
# Of DPDK's EAL and of testpmd, which our documents name too.
FOREIGN_OPTIONS = {
    "--lcores", "--vdev", "--no-pci", "--no-huge", "--in-memory", "--single-file-segments",
    "--file-prefix", "--log-level", "--forward-mode", "--total-num-mbufs",
}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def code_of(text):
    """Pieces of code in a document: blocks line by line (continued lines joined), and spans."""
    pieces, rest, fenced = [], [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            pieces.append(line.strip())
        else:
            rest.append(line)
    joined = "\n".join(pieces).replace("\\\n", " ").splitlines()
    return joined + re.findall(r"`([^`\n]+)`", "\n".join(rest))


def name_of(doc):
    return os.path.relpath(doc, ROOT)


def run_help(command):
    """What a program says to --help. Which of its outputs it uses is its own affair."""
    result = subprocess.run(command + ["--help"], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=HELP_TIMEOUT_S, check=False)
    expect(result.returncode == 0, f"{' '.join(command)} --help: exit code {result.returncode}: "
                                   f"{result.stderr.strip()[-300:]}")
    return result.stdout + result.stderr


class Programs:
    """Our programs and the options that each of them knows."""

    def __init__(self, build):
        self.build = build
        self.known = {}

    def names(self):
        return ("vif-switch", "vif-echo", "vif-tap", "vif-ctl", "quickstart.sh",
                "dpdk-headers.sh", "nfe-test", "bench", "bench-sweep", "bench-tcp", "test-bench")

    def options(self, name):
        if name not in self.known:
            self.known[name] = set(OPTION.findall(self.help(name))) | {"--help"}
        return self.known[name]

    def help(self, name):
        if name == "quickstart.sh":
            return run_help([os.path.join(ROOT, "usertools", name)])
        if name in ("bench", "bench-sweep", "bench-tcp"):
            return run_help([sys.executable, os.path.join(ROOT, "usertools", name)])
        if name == "test-bench": # its own options stand behind those of the EAL
            return read(os.path.join(ROOT, "app", name, "main.c"))
        if name == "dpdk-headers.sh":
            return read(os.path.join(ROOT, "usertools", name))
        if name == "nfe-test":
            return read(os.path.join(ROOT, "app", "test", "main.c"))
        if name == "vif-ctl":
            program = [sys.executable, os.path.join(ROOT, "usertools", name)]
            text = run_help(program)
            commands = re.search(r"\{([\w,-]+)\}", text)
            for command in commands[1].split(",") if commands else ():
                text += run_help(program + [command])
            return text + "".join(run_help(program + ["xen", command])
                                  for command in ("attach", "detach", "iomem"))
        return run_help([os.path.join(self.build, "app", name, name)])

    def split(self, piece):
        """(program, its own options) of each of our commands in a piece of code."""
        program = r"(?:^|(?<=[\s/]))(%s)(?=\s|$)" % "|".join(map(re.escape, self.names()))
        found = list(re.finditer(program, piece))
        for match, after in zip(found, found[1:] + [None]):
            arguments = piece[match.end():after.start() if after else None]
            arguments = re.split(r"\s#\s|[|;&]", arguments)[0]
            if match[1] == "vif-switch" and " -- " in arguments:
                arguments = arguments.split(" -- ", 1)[1]  # what stands before is the EAL's
            yield match[1], set(OPTION.findall(arguments)) - FOREIGN_OPTIONS


def check_paths(doc):
    missing = set()
    for piece in code_of(read(doc)):
        for path in TREE_PATH.findall(re.sub(BUILD_PATH, "", piece)):
            if not glob.glob(os.path.join(ROOT, path.rstrip("."))):
                missing.add(path)
    expect(not missing, f"{name_of(doc)} names what is not in the tree: {sorted(missing)}")


def check_build_paths(doc, build):
    missing = {path for piece in code_of(read(doc)) for path in BUILD_PATH.findall(piece)
               if not path.startswith(MADE_AT_RUN_TIME)
               and not os.path.exists(os.path.join(build, path))}
    expect(not missing, f"{name_of(doc)} names what is not in the build: {sorted(missing)}")


def check_links(doc):
    broken = [link for link in LINK.findall(read(doc))
              if "://" not in link and not os.path.exists(os.path.join(os.path.dirname(doc), link))]
    expect(not broken, f"{name_of(doc)}: links lead nowhere: {', '.join(broken)}")


def check_options(doc, programs):
    wrong = []
    for piece in code_of(read(doc)):
        for program, options in programs.split(piece):
            unknown = options - programs.options(program) if options else set()
            wrong += [f"{program} {option}" for option in sorted(unknown)]
        if piece.startswith("--"):  # an option alone, as in a table
            option = OPTION.match(piece)
            known = FOREIGN_OPTIONS.union(*(programs.options(name) for name in programs.names()))
            if option and option[0] not in known:
                wrong.append(option[0])
    expect(not wrong, f"{name_of(doc)}: not in --help: {', '.join(wrong)}")


def documented_commands(doc):
    return {command for piece in code_of(read(doc)) for command in TELEMETRY.findall(piece)}


def registered_commands():
    sources = glob.glob(os.path.join(ROOT, "app", "vif-switch", "*.c"))
    literals = re.findall(r'"(/[a-z-]+/[a-z-]+)"', "\n".join(map(read, sources)))
    return {literal for literal in literals if TELEMETRY.fullmatch(literal)}


def check_telemetry():
    registered, documented = registered_commands(), documented_commands(OPERATOR_GUIDE)
    expect(registered, "app/vif-switch registers no telemetry command")
    expect(registered == documented,
           f"only in the code: {sorted(registered - documented)}, "
           f"only in doc/vif-switch.md: {sorted(documented - registered)}")
    for doc in DOCS:
        unknown = documented_commands(doc) - registered
        expect(not unknown, f"{name_of(doc)}: no such telemetry command: {sorted(unknown)}")


def check_xstats():
    """Those of net_nfe's own counters are in its guide, by name or as `prefix_*`, and no others."""
    header = read(os.path.join(ROOT, "drivers", "net", "nfe", "nfe_rxtx.h"))
    counters = set()
    for side in ("tx", "rx"):
        macro = re.search(rf"#define NFE_{side.upper()}_COUNTERS\(X\)((?:.*\\\n)*.*)", header)
        expect(macro, f"nfe_rxtx.h has no NFE_{side.upper()}_COUNTERS")
        names = re.findall(r"X\((\w+)\)", macro[1])
        counters |= {f"{side}_{name}" for name in names[2:]} # packets, bytes: the ethdev's
    documented = set(re.findall(r"``((?:tx|rx)_\w+\*?)``", read(PMD_GUIDE)))
    missing = [name for name in sorted(counters)
               if not any(fnmatch.fnmatch(name, pattern) for pattern in documented)]
    expect(not missing, f"{name_of(PMD_GUIDE)} doesn't have {missing}")
    unknown = [pattern for pattern in sorted(documented) if not fnmatch.filter(counters, pattern)]
    expect(not unknown, f"{name_of(PMD_GUIDE)} has {unknown}, nfe_rxtx.h doesn't")


def check_quotes():
    source = read(os.path.join(ROOT, "app", "vif-echo", "main.c"))
    quotes = re.findall(r"^```c\n(.*?)^```", read(APP_GUIDE), re.DOTALL | re.MULTILINE)
    expect(quotes, "doc/guest-app-guide.md quotes nothing")
    for quote in quotes:
        expect(quote in source, f"app/vif-echo/main.c doesn't have what the guide quotes:\n{quote}")


def check_rules(tap, build):
    table = rules.Table(read(os.path.join(ROOT, "doc", "ring-rules.md")))
    with tap.case("doc/ring-rules.md: twenty rules, enforced by functions that exist"):
        table.check_rules()
        table.check_functions()
    with tap.case("doc/ring-rules.md: counters exist, and no refusal is left out"):
        table.check_counters()
    if build is None:
        tap.skip("doc/ring-rules.md: tests exist and look at the counters", "NFE_BUILD is not set")
        return
    with tap.case("doc/ring-rules.md: tests exist and look at the counters"):
        table.check_tests(os.path.join(build, "app", "test", "nfe-test"))


def main():
    tap = Tap()
    build = os.environ.get("NFE_BUILD")
    for doc in DOCS:
        name = name_of(doc)
        with tap.case(f"{name}: every path of the tree exists"):
            check_paths(doc)
        with tap.case(f"{name}: every link leads somewhere"):
            check_links(doc)
        if build is None:
            tap.skip(f"{name}: options and built files", "NFE_BUILD is not set")
            continue
        with tap.case(f"{name}: every built file exists"):
            check_build_paths(doc, build)
        with tap.case(f"{name}: programs know the options"):
            check_options(doc, Programs(build))
    with tap.case("telemetry commands are those of doc/vif-switch.md"):
        check_telemetry()
    with tap.case("xstats are those of the PMD's guide"):
        check_xstats()
    with tap.case("the guide quotes vif-echo as it is"):
        check_quotes()
    check_rules(tap, build)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
