#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: files
"""usertools/quickstart.sh: wrong options end it before it does anything, and a signal ends what it
has started and gives hugepages back. Its functions are called one by one; nothing is installed."""
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ROOT, Tap, expect, wait_until, write_file  # noqa: E402

QUICKSTART = os.path.join(ROOT, "usertools", "quickstart.sh")
RUN_S = 20
SIGNALS = ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129))


def run_argv(argv, cwd=None):
    return subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=RUN_S, check=False)


def run(*args, cwd=None):
    return run_argv([QUICKSTART, *args], cwd)


def functions(text, tmp):
    """A shell that has quickstart.sh's functions, and a kernel of files, and then does this."""
    head = (f". {QUICKSTART}\nlog={tmp}/log\nhugepages_file={tmp}/pages\necho 0 > {tmp}/pages\n"
            "id() { echo 0; }\n")
    return ["bash", "-c", head + text]


def wrong_options(tap, tmp):
    calls = ((["dance"], 1, "expected demo or test"),
             (["demo", "--quick"], 1, "unexpected '--quick'"),
             (["demo", "--pcap"], 1, "which file?"),
             (["demo", "--pcap", "none"], 1, "none is no file"),
             (["test", "fast"], 1, "unexpected 'fast'"), (["demo", "--help"], 0, "--pcap FILE"),
             (["test", "-h"], 0, "--pcap FILE"))
    log = os.path.join(ROOT, "build", "quickstart.log")
    before = os.path.exists(log) and os.stat(log).st_mtime_ns
    for args, code, words in calls:
        with tap.case(f"quickstart.sh {' '.join(args)} does nothing but say so"):
            done = run(*args, cwd=tmp)
            expect(done.returncode == code, f"exit code {done.returncode}: {done.stderr}")
            expect(words in (done.stderr if code else done.stdout), done.stdout + done.stderr)
    with tap.case("no log was begun for those"):
        expect(before == (os.path.exists(log) and os.stat(log).st_mtime_ns), log)


def paths(tap, tmp):
    with tap.case("a capture is found whatever the directory"):
        write_file(os.path.join(tmp, "a b.pcap"), "")
        for args in ("--keep --pcap 'a b.pcap'", "--keep '--pcap=a b.pcap'"):
            text = f"parse demo {args}\nprintf '%s\\n' \"${{options[@]}}\""
            done = run_argv(functions(text, tmp), cwd=tmp)
            wanted = ["--keep", "--pcap", os.path.realpath(os.path.join(tmp, "a b.pcap"))]
            expect(done.stdout.splitlines() == wanted, done.stdout + done.stderr)


def end_by_signal(number, text, tmp, count):
    """Its exit code, when its children have ended too. They are so many, and have named themselves
    in the log by then: "child PID"."""
    log = os.path.join(tmp, "log")
    write_file(log, "")
    process = subprocess.Popen(functions(text, tmp), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)

    def children():
        with open(log, encoding="utf-8") as file:
            found = re.findall(r"^child (\d+)$", file.read(), re.MULTILINE)
        return found if len(found) == count else None
    pids = wait_until(children, "children", RUN_S)
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=RUN_S)
    left = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    expect(not left, f"{left} still run: {out}")
    return process.returncode


def signals(tap, tmp):
    sleeper = "sh -c 'echo child $$; exec sleep 60'"
    for number, code in SIGNALS:
        with tap.case(f"{number.name} ends a step and what runs behind at once"):
            text = (f"work() {{ {sleeper}; true; }}\nclean_up_at_exit\nreserve_hugepages\n"
                    "in_group work >> \"$log\"\nbuild_behind=$!\nstep sleeping work\n")
            found = end_by_signal(number, text, tmp, 2)
            expect(found == code, f"exit code {found}")
            with open(os.path.join(tmp, "pages"), encoding="ascii") as file:
                expect(file.read() == "0\n", "hugepages are not given back")
    with tap.case("what runs in a step gets SIGINT"):
        done = run_argv(functions("step interrupt sh -c 'kill -INT $$; sleep 60'", tmp))
        expect(re.search(r"FAILED \(\d s\)", done.stdout), done.stdout + done.stderr)


def steps(tap, tmp):
    with tap.case("a step says whether it worked, of what was started before, too"):
        text = ("step good true\nstep bad false || true\nin_group sh -c 'exit 3'\n"
                "step behind wait $! || true\nin_group true\nstep behind wait $!\n")
        done = run_argv(functions(text, tmp))
        words = re.findall(r"(ok|FAILED) \(\d+ s\)", done.stdout)
        expect(words == ["ok", "FAILED", "FAILED", "ok"] and not done.stderr,
               done.stdout + done.stderr)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="nfe-quickstart-") as tmp:
        wrong_options(tap, tmp)
        paths(tap, tmp)
        steps(tap, tmp)
        signals(tap, tmp)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
