#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
#
# /init of the test VM. Runs what comes line by line on its second serial port and answers with the
# output and a last line "@@ CODE". Everything else goes to the console.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/hugepages /var/run
mount -t hugetlbfs hugetlbfs /dev/hugepages
while read -r module; do
	insmod "$module" || echo "insmod $module failed"
done < /etc/modules-in-order

# bind DRIVER: gives the function, which is there or will come, to a driver.
bind() {
	echo 19ee 8000 > "/sys/bus/pci/drivers/$1/new_id" 2> /dev/null
	for device in /sys/bus/pci/devices/*; do
		[ "$(cat "$device/vendor")" = 0x19ee ] || continue
		name=${device##*/}
		[ "$(basename "$(readlink "$device/driver")")" = "$1" ] && continue
		[ -e "$device/driver" ] && echo "$name" > "$device/driver/unbind"
		echo "$name" > "/sys/bus/pci/drivers/$1/bind" || return 1
	done
}

# bar DEVICE BAR OFFSET WIDTH [VALUE]: one access of so many bits from the VM's CPU.
bar() {
	base=$(sed -n "$(($2 + 1))s/ .*//p" "/sys/bus/pci/devices/$1/resource")
	busybox devmem $((base + $3)) "$4" ${5+"$5"}
}

# wait_for SECONDS COMMAND...
wait_for() {
	left=$(($1 * 10))
	shift
	until "$@" > /dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.1
	done
}

# pmd OPTIONS: the stock testpmd in the background; ask COMMAND: what it prints for one command;
# quit: its exit code. pmd2, ask2, quit2: another one beside it.
PLUGINS="-d librte_mempool_ring.so -d librte_net_nfe.so"
LINES_AT_ONCE="_STDBUF_O=L LD_PRELOAD=/usr/libexec/coreutils/libstdbuf.so"
launch() { # IN LOG OPTIONS...
	in=$1
	log=$2
	shift 2
	rm -f "$in"
	: > "$log"
	mkfifo "$in"
	# shellcheck disable=SC2086
	env $LINES_AT_ONCE dpdk-testpmd $PLUGINS "$@" < "$in" > "$log" 2>&1 &
	launched=$!
}
prompted() { # LOG: of what was launched last
	wait_for 90 sh -c "grep -q 'testpmd> ' $1 || ! kill -0 $launched" &&
		grep -q 'testpmd> ' "$1" && ! grep -q 'Start ports failed' "$1"
}
answer() { # LOG COMMAND...: on descriptor 4
	log=$1
	shift
	seen=$(wc -c < "$log")
	echo "$*" >&4
	echo "show port xstats nothing" >&4
	wait_for 30 sh -c "tail -c +$((seen + 1)) $log | grep -qE 'Bad arguments|Invalid port'"
	code=$?
	tail -c +$((seen + 1)) "$log"
	return $code
}
pmd() {
	launch /tmp/in /tmp/log "$@"
	pmd_pid=$launched
	exec 3> /tmp/in
	prompted /tmp/log
}
ask() {
	answer /tmp/log "$@" 4>&3
}
quit() {
	echo quit >&3
	exec 3>&-
	wait "$pmd_pid"
}
pmd2() {
	launch /tmp/in2 /tmp/log2 "$@"
	pmd2_pid=$launched
	exec 5> /tmp/in2
	prompted /tmp/log2
}
ask2() {
	answer /tmp/log2 "$@" 4>&5
}
quit2() {
	echo quit >&5
	exec 5>&-
	wait "$pmd2_pid"
}

# interrupts NAME COMMAND...: runs it, prints what it prints, and how often the interrupts of that name
# arrived meanwhile.
interrupts() {
	name=$1
	most=0
	shift
	"$@" > /tmp/log 2>&1 &
	watched=$!
	while kill -0 "$watched" 2> /dev/null; do
		now=$(awk -v name="$name" 'index($0, name) { n += $2 + $3 } END { print n + 0 }' \
			/proc/interrupts)
		[ "$now" -gt "$most" ] && most=$now
		sleep 0.2
	done
	wait "$watched"
	code=$?
	cat /tmp/log
	echo "interrupts $most"
	return $code
}

exec < /dev/ttyS1 > /dev/ttyS1
stty -F /dev/ttyS1 raw -echo
echo "@@ ready"
while read -r line; do
	eval "$line" 2>&1
	printf '\n@@ %s\n' $?
done
poweroff -f
