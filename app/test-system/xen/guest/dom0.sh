#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
#
# /init of dom0: brings up Xen's toolstack, runs what is in /nfe/parts, powers off. Results go to the
# second serial port, one per line: NAME VALUE. The first of a part is "part NAME", the last "end STATUS";
# without it the boot has failed.
role=dom0
. /nfe/common.sh
results=/dev/ttyS1
sequence=0
newline='
'

# result NAME VALUE...
result()
{
    note "result $*"
    echo "$*" > $results
}

# follow NAME FILE: shows a growing file on the console.
follow()
{
    tail -n +1 -F "$2" 2> /dev/null | sed "s/^/$1| /" &
}

# start_guest NAME [ENDS] [CONFIG]: a PV domain that does what it is told. Its console is shown on ours.
# A panic of its kernel is a crash for Xen, too, and not a reboot (xen_legacy_crash).
# ENDS: what becomes of it when it reboots or crashes, as in xl.cfg. CONFIG: more of that.
start_guest()
{
    cat > "/run/$1.cfg" <<CONFIG
name = "$1"
type = "pv"
kernel = "/guest/vmlinux"
ramdisk = "/guest/ramdisk"
extra = "console=hvc0 $(cat /nfe/kernel_args) nfe.role=$1 xen_legacy_crash"
memory = 256
vcpus = 1
tsc_mode = "native"
on_poweroff = "destroy"
on_crash = "${2:-destroy}"
on_reboot = "${2:-destroy}"
${3:-}
CONFIG
    note "xl create $1"
    follow "$1" "/var/log/xen/guest-$1.log"
    xl create -q "/run/$1.cfg" && xl domid "$1" > "/run/$1.domid"
}

# restarted GUEST: xl has made a new domain of it since; its id is in /run/GUEST.domid from now on.
restarted()
{
    new_domid=$(xl domid "$1" 2> /dev/null) && [ "$new_domid" != "$(cat "/run/$1.domid")" ] &&
        echo "$new_domid" > "/run/$1.domid"
}

# of GUEST: its part of the xenstore.
of()
{
    read -r its_domid < "/run/$1.domid"
    echo "/local/domain/$its_domid"
}

# begin GUEST COMMAND: the guest is to run it, as soon as it is up and free. No backslashes, and the
# ends of lines become blanks: xenstore-read would escape them.
begin()
{
    sequence=$((sequence + 1))
    echo $sequence > "/run/$1.sequence"
    xenstore-write "$(of "$1")/data/command" "$sequence ${2//$newline/ }"
}

finished()
{
    read -r its_domid < "/run/$1.domid"
    told=$(xenstore-read "/local/domain/$its_domid/data/answer" 2> /dev/null) &&
        read -r expected < "/run/$1.sequence" && [ "${told%% *}" = "$expected" ]
}

# answered GUEST SECONDS: until it has. A watch of the xenstore wakes us, once when it is set and at each
# change: to ask every moment would start processes all the time that a guest is at work.
answered()
{
    read -r patience < /nfe/patience
    rm -f /run/answers
    mkfifo /run/answers
    xenstore-watch "$(of "$1")/data/answer" > /run/answers &
    watch=$!
    exec 4< /run/answers
    while :; do
        read -r -t $(($2 * patience)) path <&4 || { note "gave up: answer of $1"; break; }
        finished "$1" && break
    done
    exec 4<&-
    kill $watch
    wait $watch 2> /dev/null
    finished "$1"
}

# finish GUEST SECONDS: waits for that command; its output, as one line, is in $told.
finish()
{
    answered "$@" || { told=; return 124; }
    told=${told#* }
    status=${told%% *}
    told=${told#* }
    return "$status"
}

# on GUEST SECONDS COMMAND: runs it in the guest.
on()
{
    begin "$1" "$3"
    finish "$1" "$2"
}

# start_logged NAME COMMAND...: in the background; output to /run/NAME.log, pid to /run/NAME.pid.
start_logged()
{
    name=$1
    shift
    note "start $name: $*"
    [ -e "/run/$name.log" ] || follow "$name" "/run/$name.log"
    "$@" >> "/run/$name.log" 2>&1 < /dev/zero &
    echo $! > "/run/$name.pid"
}

# has_lines NAME REGEX N: whether the log of a program that was started has so many such lines.
has_lines()
{
    [ "$(grep -c -- "$2" "/run/$1.log")" -ge "$3" ]
}

lines_or_end()
{
    read -r its_pid < "/run/$1.pid"
    has_lines "$@" || ! kill -0 "$its_pid"
}

# wait_lines NAME REGEX N SECONDS: until it has; a program that ended has no more to say.
wait_lines()
{
    until_true "$4" lines_or_end "$1" "$2" "$3"
    has_lines "$1" "$2" "$3"
}

# end_guests: of an earlier part.
gone()
{
    ! xl domid "$1"
}
end_guests()
{
    for guest in $(xl list | awk 'NR > 2 { print $1 }'); do
        xl destroy "$guest"
        until_true 60 gone "$guest"
    done
}

# Parts of a script: each in a shell of its own, its programs end with it. DomUs are the next one's, whose
# commands have other numbers.
end_programs()
{
    killall -q -9 vif-switch vif-tap test-traffic
    for pid in $(pidof tail); do
        grep -q /run/ "/proc/$pid/cmdline" && kill "$pid"
    done
    rm -f /run/*.log /run/*.pid
    xenstore-rm /local/domain/0/backend/nfe 2> /dev/null
}
run_parts()
{
    for file in /nfe/parts/*.sh; do
        part=${file##*/}
        part=${part%.sh}
        part=${part#*-}
        result part "$part"
        result dom0 "$(cat /sys/hypervisor/type) $(cat /proc/xen/capabilities)"
        sequence=$((sequence + 1000))
        cp "/nfe/parts/$part.conf" /nfe/switch.conf 2> /dev/null
        (
            . "$file"
            result end $?
        )
        end_programs
    done
}

start_toolstack()
{
    xenstored --pid-file /run/xenstored.pid
    until_true 30 xenstore-read -s /
    xen-init-dom0
    xenconsoled --pid-file=/run/xenconsoled.pid --log=guest --log-dir=/var/log/xen
}

start_machine
stty -F $results raw
stty -F /dev/console -onlcr # Xen's own console does that
note "$(uname -r), $(nproc) CPUs"
start_toolstack
run_parts
sleep 1 # until followed files are shown
poweroff -f
