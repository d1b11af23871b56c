# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What the system tests share on top of lab.py: VIFs with addresses, test-traffic, accounting."""
import json
import os
import re

from lab import LabError, check_identities, expect

MAC = "02:00:00:00:00:{:02x}"
TAIL_BYTES = 8192  # of a log: some progress lines


def vif_mac(number):
    return MAC.format(0x10 + number)


def switch_config(lab, vifs, extra=""):
    """Configuration text with VIFs of these names; addresses count up in their order."""
    lines = [f"socket-dir {lab.socket_dir}"]
    lines += [f"vif {name} mac {vif_mac(i)} mtu 1500 max-mtu 9000 queues 4"
              for i, name in enumerate(vifs)]
    return "\n".join(lines) + "\n" + extra


class Traffic:
    """A running test-traffic; endpoints are "pmd:VIF", "ring:VIF" or "port:ETHDEV"."""

    def __init__(self, lab, name, a, b, args=(), devargs="", eal=(), netns=None, mib=160):
        vdevs, endpoints = [], []
        for endpoint in (a, b):
            kind, _, what = endpoint.partition(":")
            if kind == "pmd":
                port = f"net_nfe{len(vdevs)}"
                vdevs.append(f"--vdev={port},socket={lab.socket(what)}{devargs}")
                endpoints.append(f"port:{port}")
            elif kind == "ring":
                endpoints.append(f"vif:vfio-user:{lab.socket(what)}")
            else:
                endpoints.append(endpoint)
        argv = [lab.program("test-traffic"), *lab.eal_args(name, mib), "-d", lab.plugin(), *vdevs,
                *eal, "--", "--a", endpoints[0], "--b", endpoints[1],
                *[str(arg) for arg in args]]
        self.process = lab.start(name, argv, netns=netns)

    def ready(self):
        self.process.wait_log("^test-traffic: ready")
        return self

    def mark(self):
        """Where the log ends now."""
        return os.path.getsize(self.process.log_path)

    def reports(self, mark):
        """How many progress lines came since."""
        return len(re.findall(r"^progress \{", self.process.log(mark), re.MULTILINE))

    def progress(self):
        """The last progress line as a dict; None before the first. A long run has thousands."""
        tail = self.process.log(max(0, self.mark() - TAIL_BYTES))
        lines = re.findall(r"^progress (\{.*\})$", tail, re.MULTILINE)
        return json.loads(lines[-1]) if lines else None

    def result(self, timeout_s=120):
        """Waits for the end and returns the result line as a dict."""
        code = self.process.wait(timeout_s)
        log = self.process.log()
        found = re.search(r"^result (\{.*\})$", log, re.MULTILINE)
        if not found:
            raise LabError(f"{self.process.name}: exit code {code}, no result:\n"
                           f"{self.process.tail()}")
        expect("LEAK" not in log, f"{self.process.name}: {self.process.tail()}")
        return dict(json.loads(found[1]), exit_code=code)

    def stop(self):
        self.process.popen.terminate()
        return self.result()


def perfect(result):
    """Every frame once, in order, byte-identical."""
    expect(result["exit_code"] == 0 and result["received"] == result["sent"] and
           not (result["lost"] or result["tail"] or result["duplicated"] or result["corrupt"]),
           f"not perfect: {result}")


def harmless(result):
    """A neighbour's strict stream: at the end nothing is missing."""
    missing = result["lost"] + result["tail"]
    expect(not (missing or result["duplicated"] or result["corrupt"]) and result["received"] > 0,
           f"a neighbour was harmed: {result}")


def check_accounting(lab, switch, vifs):
    """The identities of every VIF, and the global one, of one moment."""
    for vif in vifs:
        check_identities(vif, lab.vif_stats(switch, vif))
    total = lab.telemetry(switch, "/switch/stats")
    expect(total["to_offered"] == total["from_unicast"] + total["from_copies"],
           f"sum of to_offered {total['to_offered']} is not from_unicast {total['from_unicast']} "
           f"+ from_copies {total['from_copies']}")
