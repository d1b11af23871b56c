#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
# suite: asan
"""net_nfe as its applications see it (app/test-pmd), each case in a process of its own against one
real switch: queues, statistics, EAL memory that comes and goes, a switch that dies. Needs hugepages
for the cases with memory that EAL allocates later; they are skipped without.

    test_pmd.py [CASE...]"""
import os
import re
import signal
import sys

from lab import ROOT, Lab, LabError, Tap, expect
from traffic import check_accounting, switch_config

VIFS = ["a", "b"]
CASE_S = 60
SKIPPED = 77
HUGEPAGES = 256
B_MAY = " allow 02:00:00:00:00:aa promisc on\n"  # of the last VIF, for the filter cases
BASE_MIB = 24   # of EAL's memory at start; the cases of hot-plugged memory want little
# Copy mode once more through what a frame, a queue and a restart are to it. Other cases look at
# memory that it does not share, or into bursts that are not its own.
COPY = "share_kib=8192"
COPY_CASES = """port_stats_agree_with_what_was_sent_and_reset_to_zero
imissed_counts_what_a_full_receiver_lost dynamic_queue_conf_rings_of_16_to_1024_entries
port_control_stop_and_start_with_frames_in_flight
queue_toggle_loses_nothing_of_the_other_direction no_wake_up_is_lost_in_thousands_of_sleeps
probed_and_removed_100_times_without_leak mtu_beyond_the_buffers_needs_scatter
frames_sent_to_a_failed_function_arrive_after_the_replay
region_of_which_a_part_was_freed_outlives_the_switch pmdrss_hash_is_told_and_spreads_the_flows
vlan_filter_takes_the_vlans_of_its_table vlan_strip_takes_the_tag_out_of_the_frame
vlan_insert_puts_the_tag_into_the_frame vlan_offload_strips_and_inserts""".split()
SAYS = {        # words that the log of a case must have: refusals name object and reason
    "external_memory_is_refused": ["rx queue 0: memory of pool external at 0x",
                                   "tx queue 0: memory at 0x", "it has no file descriptor"],
    "mtu_beyond_the_buffers_needs_scatter": ["rx queue 0: MTU 9000 needs scatter or buffers of "
                                             "9018 bytes, these have 2048"],
    "second_client_of_a_vif_is_refused_as_busy": ["a.sock: Device or resource busy"],
    "pmdrss_key_update_changes_the_hash": ["RSS key of 16 bytes, not 40"],
    "frames_sent_to_a_failed_function_arrive_after_the_replay": ["send queue overrun (7)"],
}
FEATURES = {     # of the driver's features table, and the case that proves each
    "Speed capabilities": "smoke_tests_port_info",
    "Link status": "link_follows_the_switch_with_an_event",
    "Link status event": "link_follows_the_switch_with_an_event",
    "Rx interrupt": "no_wake_up_is_lost_in_thousands_of_sleeps",
    "Fast mbuf free": "fast_free_gives_every_mbuf_back",
    "Free Tx mbuf on demand": "queue_toggle_nothing_passes_a_stopped_queue",
    "Queue start/stop": "queue_toggle_nothing_passes_a_stopped_queue",
    "Runtime Rx queue setup": "dynamic_queue_conf_while_the_port_runs",
    "Runtime Tx queue setup": "dynamic_queue_conf_while_the_port_runs",
    "Burst mode info": "smoke_tests_queue_info_and_burst_mode",
    "Power mgmt address monitor": "monitored_address_tells_that_frames_came",
    "MTU update": "mtu_is_the_longest_frame_that_arrives",
    "Scattered Rx": "buffer_scatter_at_the_edges_of_buffers",
    "TSO": "large_frames_are_cut_on_the_way",
    "L3 checksum offload": "checksums_are_made_on_the_way",
    "L4 checksum offload": "checksums_are_told_to_who_wants_to_hear",
    "Promiscuous mode": "promisc_support_and_allmulticast",
    "Allmulticast mode": "promisc_support_and_allmulticast",
    "Unicast MAC filter": "mac_filter_takes_added_addresses_and_no_others",
    "Multicast MAC filter": "mac_filter_takes_the_groups_of_the_list",
    "RSS hash": "pmdrss_hash_is_told_and_spreads_the_flows",
    "RSS key update": "pmdrss_key_update_changes_the_hash",
    "RSS reta update": "pmdrss_reta_update_moves_the_flows",
    "VLAN filter": "vlan_filter_takes_the_vlans_of_its_table",
    "VLAN offload": "vlan_offload_strips_and_inserts",
    "Rx descriptor status": "descriptor_status_follows_the_frames",
    "Tx descriptor status": "descriptor_status_follows_the_frames",
    "Basic stats": "port_stats_agree_with_what_was_sent_and_reset_to_zero",
    "Extended stats": "port_stats_agree_with_what_was_sent_and_reset_to_zero",
    "Stats per queue": "port_stats_agree_with_what_was_sent_and_reset_to_zero",
    "FW version": "smoke_tests_port_info",
    "Registers dump": "registers_are_those_of_the_function",
}
PLATFORM = {"Linux", "x86-64", "Usage doc"}  # what all of this runs on
ELSEWHERE = {    # the same, by a case of another program
    "Removal event": ("test_vm.py",
                      "unplugged under load: removal event, testpmd takes it when it is back"),
    "Multiprocess aware": ("test_secondary.py", "a second testpmd forwards on a queue of its own"),
}
FEATURES_TABLE = os.path.join(ROOT, "doc", "guides", "nics", "features", "nfe.ini")


class Bench:
    """The switch, and test-pmd on it, which may ask for the switch to be killed and started."""

    def __init__(self, lab):
        self.lab = lab
        self.config = switch_config(lab, VIFS).rstrip() + B_MAY
        self.small = re.sub(r"queues \d+", "queues 1", self.config)
        self.switch = lab.start_switch(self.config)

    def argv(self, name, case, args):
        mib = BASE_MIB if self.lab.memory == "huge" else 128
        return [self.lab.program("test-pmd"), *self.lab.eal_args(name, mib), "-d",
                self.lab.plugin(), "--no-telemetry", "--", self.lab.socket_dir, case, args]

    def obey(self, process, wish):
        if wish == "down":
            self.switch.kill()
        elif wish in ("hang", "go"):
            os.kill(self.switch.pid, signal.SIGSTOP if wish == "hang" else signal.SIGCONT)
        else:
            config = self.small if wish == "small" else self.config
            self.switch = self.lab.start_switch(config)
        process.send("done")

    def run(self, case, args):
        """Returns the reason if the case was skipped."""
        process = self.lab.start(case, self.argv("test-pmd", case, args))
        asked = 0
        while True:
            try:
                found = process.wait_log(rf"^@(down|up|small|hang|go) {asked + 1}$", CASE_S)
            except LabError:
                if process.alive():
                    raise
                break
            asked += 1
            self.obey(process, found[1])
        log = process.log()
        if process.popen.returncode == SKIPPED:
            return re.search(r"^skipped: (.*)$", log, re.MULTILINE)[1]
        expect(process.popen.returncode == 0, f"exit code {process.popen.returncode}")
        for words in SAYS.get(case, ()):
            expect(words in log, f"'{words}' is not in its log")
        return None


def cases(lab, wanted):
    listed = lab.run([lab.program("test-pmd"), "--list"]).stdout.split()
    return [name.split(".") for name in listed if not wanted or name.split(".")[1] in wanted]


def run_case(tap, bench, suite, case, args=""):
    name = f"{suite}: {case.replace('_', ' ')}"
    before = len(bench.lab.processes)
    try:
        reason = bench.run(case, args)
        check_accounting(bench.lab, bench.switch, VIFS)
    except LabError as error:
        for process in bench.lab.processes[before:]:
            bench.lab.dump_log(process)
            process.stop()
        tap.not_ok(name, error)
        if not bench.switch.alive():
            bench.switch = bench.lab.start_switch(bench.config)
        return False
    if reason:
        tap.skip(name, reason)
        return False
    tap.ok(name)
    return True


def has_case(program, case):
    with open(os.path.join(os.path.dirname(__file__), program), encoding="utf-8") as file:
        return f'tap.case("{case}"' in file.read()


def features(tap, lab, passed):
    """The driver claims what a case of this run has proved, and nothing else."""
    with tap.case("features table claims what these cases prove", lab):
        with open(FEATURES_TABLE, encoding="utf-8") as file:
            claimed = set(re.findall(r"^([^;=\n]+?) *= [YP]$", file.read(), re.MULTILINE))
        proved = {name for name, case in FEATURES.items() if case in passed}
        proved |= {name for name, case in ELSEWHERE.items() if has_case(*case)}
        expect(claimed == proved | PLATFORM, f"claimed, not proved: {claimed - proved - PLATFORM}; "
               f"proved, not claimed: {proved - claimed}")


def main():
    tap = Tap()
    with Lab("pmd", hugepages=HUGEPAGES if os.geteuid() == 0 else 0, few_drivers=True) as lab:
        bench = Bench(lab)
        passed = [case for suite, case in cases(lab, sys.argv[1:])
                  if run_case(tap, bench, suite, case)]
        if not sys.argv[1:]:
            features(tap, lab, passed)
        for suite, case in cases(lab, sys.argv[1:]):
            if case in COPY_CASES:
                run_case(tap, bench, f"copy mode, {suite}", case, COPY)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
