#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: files
"""The driver inside the source tree of the installed DPDK: built and checked as upstream would. Other
versions by hand: usertools/check-in-tree --suite trixie, or --source DIR."""
import os

from lab import ROOT

TOOL = os.path.join(ROOT, "usertools", "check-in-tree")

if __name__ == "__main__":
    os.execv(TOOL, [TOOL])
