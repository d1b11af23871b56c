#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""The demo of the README runs and judges itself well."""
import os
import subprocess
import sys

from lab import ROOT, Tap, expect

TIMEOUT_S = 180


def main():
    tap = Tap()
    with tap.case("usertools/demo passes all of its checks"):
        done = subprocess.run([sys.executable, os.path.join(ROOT, "usertools", "demo")],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
        tap.diagnose(done.stdout)
        expect(done.returncode == 0, f"exit code {done.returncode}:\n{done.stderr}")
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
