#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
#
# /init of a domU: runs what dom0 tells it, one command after the other, for ever. They talk through
# the part of the xenstore that a domU may write: data/command is "NUMBER COMMAND", data/answer
# "NUMBER STATUS OUTPUT", in one line and cut to what a value may hold.
role=domU # until the command line can be read
. /nfe/common.sh
answer_bytes=1500
grant_pages=16384

answer()
{
    note "runs $2"
    sh -c ". /nfe/common.sh; $2" > /tmp/output 2>&1 < /dev/null
    status=$?
    cat /tmp/output
    xenstore-write data/answer "$1 $status $(tr '\n' ' ' < /tmp/output | head -c $answer_bytes)"
}

start_machine
# The kernel's default, 1024 pages, is for one program at a time.
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 # no unasked frames
echo $grant_pages > /sys/module/xen_gntalloc/parameters/limit
role=$(sed -n 's/.*nfe\.role=\([a-z0-9]*\).*/\1/p' /proc/cmdline)
note "booted"
# A watch fires once when it is set, then at each change: nothing is missed, nothing polled for.
echo > /run/done
while :; do
    xenstore-watch data/command | while read -r path; do
        command=$(xenstore-read data/command 2> /dev/null)
        read -r last < /run/done
        [ -n "$command" ] && [ "${command%% *}" != "$last" ] || continue
        echo "${command%% *}" > /run/done
        answer "${command%% *}" "${command#* }"
    done
    sleep 1 # the watch could not be set
done
