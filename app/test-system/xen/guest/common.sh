# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
#
# What the scripts of dom0 and of the domUs share; read by their /init and by the commands that
# dom0 gives to domUs (busybox sh).

export PATH=/nfe/bin:/bin:/usr/bin

note()
{
    echo "$(cut -d' ' -f1 /proc/uptime) $role: $*"
}

# start_machine: file systems, the names of busybox, the modules in their order.
start_machine()
{
    /bin/busybox chmod 755 / # EAL loads no plugins below a world-writable directory
    /bin/busybox mkdir -p /sbin /usr/sbin
    /bin/busybox --install -s
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs shm /dev/shm
    mount -t tmpfs tmp /tmp
    mount -t tmpfs run /run
    mkdir -p /run/xenstored /run/xen /run/dpdk
    dmesg -n 4
    for module in /modules/*.ko; do
        insmod "$module" || note "insmod $module failed"
    done
    mount -t xenfs xenfs /proc/xen
    ip link set lo up
}

# until_true SECONDS COMMAND...: repeats the command until it succeeds. Deadlines are for a hung
# machine only: no result may depend on how fast the emulator is.
# Each process that is started here takes milliseconds from those that are waited for.
until_true()
{
    read -r up rest < /proc/uptime
    read -r patience < /nfe/patience
    limit=$((${up%.*} + $1 * patience))
    shift
    until "$@" > /dev/null 2>&1; do
        read -r up rest < /proc/uptime
        [ "${up%.*}" -lt $limit ] || { note "gave up: $*"; return 1; }
        sleep 0.1
    done
}

# answers N ADDRESS: how many of N pings are answered. One by one, because for the last of several ping
# waits only twice as long as the slowest took so far.
answers()
{
    answered=0
    for ping in $(seq "$1"); do
        ping -c 1 -W 30 "$2" > /dev/null && answered=$((answered + 1))
    done
    echo $answered
}
