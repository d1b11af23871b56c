#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: emulated
"""The source paper's own picture, on real Xen: the function is a PCI device of dom0, a PV domU gets
exactly its doorbell page and rings it without hypervisor or dom0. What it stores is in the switch's
own memory, and no message came to the switch for it; the page beside it is refused. One more page
is given and taken back while it runs, by vif-ctl xen iomem."""
import contextlib
import glob
import os
import struct
import sys
import threading

from image import ImageError
from lab import Lab, LabError, Tap, expect
from xen.bed import Results, read_results
from xen.packages import Unavailable
from xen.pci_bed import XenPciBed
from xen.scenario import vif_ctl

CONFIG = """socket-dir {dir}
vif card mac 02:00:00:00:00:10 queues 4
"""
PAGE = 4096
DB_OFFSET = PAGE  # of channel 0's doorbell page in BAR0
# Channels: the domU gets the page of the first from xl, that of the last from vif-ctl.
MINE, OTHER, ACK, GIVEN = 1, 2, 3, 4
STORED = 4711
RINGS = 8
BEFORE = 0x5AFE5AFE  # what dom0 leaves in the other page
WORDS = {"sq_prod": 0x000, "rq_cons": 0x080, "fq_prod": 0x088}  # specification 3.3
MAGIC = "0x3145464E"
# devmem opens /dev/mem: a PV domain has the machine's addresses there, as far as Xen lets it.
# checkpoint NAME: until the test has looked around; it answers in a doorbell page, which dom0 reads
# without a message to the switch, too.
SCRIPT = r"""
for device in /sys/bus/pci/devices/*; do
    [ "$(cat "$device/vendor")" = 0x19ee ] && break
done
echo 1 > "$device/enable"
base=$(sed -n '1s/ .*//p' "$device/resource")
at() # CHANNEL WORD: address in its doorbell page
{
    printf '0x%x' $((base + @DB_OFFSET@ + $1 * @PAGE@ + $2))
}
acked()
{
    [ $(($(devmem "$(at @ACK@ 0)" 32))) = "$1" ]
}
checkpoints=0
checkpoint()
{
    checkpoints=$((checkpoints + 1))
    result "at_$1" $checkpoints
    until_true 60 acked $checkpoints
}
store() # CHANNEL: a word of its page, by the domU
{
    on u1 60 "devmem $(at $1 @SQ_PROD@) 32 @STORED@"
}
result function "$(cat "$device/device") $(cat "$device/subsystem_device")"
result magic "$(devmem "$base" 32)"
devmem "$(at @OTHER@ @SQ_PROD@)" 32 @BEFORE@
page=$(printf '%x' $(($(at @MINE@ 0) >> 12)))
start_guest u1 destroy "iomem = [ \"$page,1\" ]"
on u1 200 "cat /sys/hypervisor/type"
result u1 "$told"
checkpoint before
ring="n=0; while [ \$n -lt @RINGS@ ]; do n=\$((n + 1)); "
for word in @WORDS@; do
    ring="$ring devmem $(at @MINE@ $word) 32 \$n || exit 1;"
done
on u1 200 "$ring done"
result rang $?
checkpoint after
store 0; result control $?
store @OTHER@; result other $?
on u1 60 "devmem $(at @OTHER@ @SQ_PROD@) 32"; result other_read $?
iomem() # RESULT ARGUMENTS...: what vif-ctl said last
{
    name=$1
    shift
    result "$name" "$(vif-ctl xen iomem u1 "$@" 2>&1 | tail -n 1)"
}
pci=${device##*/}
store @GIVEN@; result given_before $?
iomem iomem_control --pci "$pci" --channel 0
iomem iomem_no_nfe --pci 0000:00:00.0 --channel 1
iomem iomem --pci "$pci" --channel @GIVEN@
store @GIVEN@; result given $?
checkpoint given
iomem iomem_revoke --pci "$pci" --channel @GIVEN@ --revoke
on u1 60 "devmem $(at @GIVEN@ @SQ_PROD@) 32 1"; result given_after $?
checkpoint end
"""


def script():
    values = {"DB_OFFSET": DB_OFFSET, "PAGE": PAGE, "ACK": ACK, "MINE": MINE, "OTHER": OTHER,
              "GIVEN": GIVEN, "STORED": STORED,
              "BEFORE": BEFORE, "RINGS": RINGS, "SQ_PROD": WORDS["sq_prod"],
              "WORDS": " ".join(map(str, WORDS.values()))}
    text = SCRIPT
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


class Observer(threading.Thread):
    """At each checkpoint: how many messages the switch has had, and what its doorbell pages hold.
    They are the switch's own memory, reached by the descriptor that it shares with QEMU."""

    def __init__(self, lab, switch):
        super().__init__(daemon=True)
        self.lab, self.switch = lab, switch
        self.ended = threading.Event()
        self.messages, self.words = {}, {}

    def run(self):
        done = set()
        while not self.ended.wait(0.1):
            for path in glob.glob(os.path.join(self.lab.run_dir, "results.*")):
                for name, number in read_results(path).items():
                    if name.startswith("at_") and (path, name) not in done:
                        done.add((path, name))
                        self.look(name[3:], int(number))

    def look(self, name, number):
        info = self.lab.telemetry(self.switch, "/vif/info,card")
        self.messages[name] = info["vfio_user"]["messages"]
        with open(doorbells(self.switch), "r+b", buffering=0) as memory:
            self.words[name] = {
                (channel, word): read_word(memory, channel, offset)
                for channel in (0, MINE, OTHER, GIVEN) for word, offset in WORDS.items()}
            os.pwrite(memory.fileno(), struct.pack("<I", number), DB_OFFSET + ACK * PAGE)


def read_word(memory, channel, offset):
    return struct.unpack("<I", os.pread(memory.fileno(), 4, DB_OFFSET + channel * PAGE + offset))[0]


def doorbells(switch):
    for path in glob.glob(f"/proc/{switch.pid}/fd/*"):
        with contextlib.suppress(OSError):  # closed since
            if os.readlink(path).startswith("/memfd:nfe-bar0"):
                return path
    raise LabError("the switch has no doorbell pages: nobody is attached")


def check_rings(results, seen):
    expect(results["rang"] == "0", f"devmem in the domU: code {results['rang']}")
    page = {word: seen.words["after"][MINE, word] for word in WORDS}
    expect(page == dict.fromkeys(WORDS, RINGS), f"in the switch's memory: {page}")
    expect(set(seen.words["before"][MINE, word] for word in WORDS) == {0}, seen.words["before"])
    traps = seen.messages["after"] - seen.messages["before"]
    expect(traps == 0, f"{traps} messages to the switch for {RINGS * len(WORDS)} rings")


def check_others(results, seen):
    codes = {name: results[name] for name in ("control", "other", "other_read")}
    expect("0" not in codes.values(), f"devmem in the domU succeeded: {codes}")
    for name in ("before", "end"):
        page = [seen.words[name][OTHER, word] for word in WORDS]
        expect(page == [BEFORE, 0, 0], f"page of channel {OTHER}: {page}")
    expect(seen.words["end"][0, "sq_prod"] == 0, "the control channel was rung")


def check_iomem(results, seen):
    expect("channel 0 is not in 1.." in results["iomem_control"], results["iomem_control"])
    expect("is no NFE" in results["iomem_no_nfe"], results["iomem_no_nfe"])
    expect(" may map page " in results["iomem"], results["iomem"])
    expect(" may not map page " in results["iomem_revoke"], results["iomem_revoke"])
    codes = [results[name] for name in ("given_before", "given", "given_after")]
    expect(codes[1] == "0" and "0" not in codes[::2], f"devmem before, with and after: {codes}")
    for name in ("given", "end"):
        expect(seen.words[name][GIVEN, "sq_prod"] == STORED, f"{name}: {seen.words[name]}")


def main():
    if os.geteuid() != 0:
        Tap.skip_all("needs root: QEMU is bootstrapped and runs below a root of its own")
    tap = Tap()
    with Lab("xenpci", memory="nohuge") as lab:
        try:
            bed = XenPciBed(lab, lab.socket("card"), files={"/nfe/bin/vif-ctl": vif_ctl()})
        except (Unavailable, ImageError) as reason:
            Tap.skip_all(f"no Xen test bed here: {' '.join(str(reason).split())[:200]}")
        switch = lab.start_switch(CONFIG.format(dir=lab.socket_dir))
        results, seen = Results(), Observer(lab, switch)
        seen.start()
        with tap.case("Xen boots: dom0 has the function, a PV domU one page of it", lab):
            results = bed.boot(script())
            expect(results["function"] == "0x8000 0x4e31", results["function"])
            expect(results["magic"] == MAGIC, results["magic"])
            expect(results["u1"].startswith("xen"), results["u1"])
        seen.ended.set()
        seen.join()
        with tap.case("the domU rings: it is all in the switch's memory, and no message came"):
            check_rings(results, seen)
        with tap.case("the pages beside it are refused, and unchanged"):
            check_others(results, seen)
        with tap.case("vif-ctl xen iomem gives a running domain one page more, and takes it back"):
            check_iomem(results, seen)
        tap.diagnose(f"exit codes of devmem at pages that are not the domU's: "
                     f"{results['control']} {results['other']} {results['other_read']}")
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
