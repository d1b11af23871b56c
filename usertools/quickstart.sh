#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
#
# From nothing to a working product on a fresh Debian 12, as root:
#
#   quickstart.sh demo [--keep] [--pcap FILE]   install, build, then a switch, a wire, three guests
#   quickstart.sh test                          install, build in two ways, run the tests
#
# Details go to build/quickstart.log, those of the build that runs behind the tests to
# build/build-clang.log, and those of tests that run beside others to build/test-*.log.
# Installs only Debian packages that are missing. Hugepages that it reserves are given back at the end.
set -euo pipefail

# Everything that we call comes from the distribution, whatever else stands in PATH.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

root=$(cd "$(dirname "$0")/.." && pwd)
log=$root/build/quickstart.log
hugepages_file=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
hugepages_before= # what we have to give back
hugepages_wanted=256 # of 2 MiB

packages_build="build-essential meson ninja-build pkg-config dpkg-dev libdpdk-dev dpdk dpdk-dev
    libjansson-dev libxen-dev python3"
packages_run="iproute2 iperf3 iputils-ping tcpdump ethtool procps"
packages_test="clang qemu-system-x86 debootstrap busybox-static"

broken=() # phases that failed, for the summary
tested=() # logs of tests, for the summary
phase_start_s=0
options=()      # of the command, checked
step_group=     # process group of the step that runs
demo=           # process of the demo
jobs=           # of a build, if not ninja's default
build_behind=   # process group of the build that runs behind
declare -A tests_beside=() # process group of each suite that runs beside others

say()
{
    printf '%s\n' "$*"
    printf '=== %s\n' "$*" >> "$log"
}

die()
{
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

usage()
{
    sed -n 's/^#   //p' "$root/usertools/quickstart.sh"
}

begin()
{
    phase_start_s=$SECONDS
    printf '%-62s' "$*"
    printf '=== %s\n' "$*" >> "$log"
}

finish()
{
    printf ' %s (%d s)\n' "$1" $((SECONDS - phase_start_s))
}

# in_group COMMAND...: starts it in a process group of its own, whose number is $! then. Bash
# handles signals at once when it waits for one, but those during a command in the foreground when
# that has ended. By job control: without it what runs behind ignores SIGINT, which tests send.
in_group()
{
    set -m
    "$@" < /dev/null &
    set +m
}

end_group()
{
    kill -TERM -- "-$1" 2> /dev/null || return 0
    for _ in {1..50}; do
        sleep 0.1
        kill -0 -- "-$1" 2> /dev/null || return 0
    done
    kill -KILL -- "-$1" 2> /dev/null || true
}

# Whatever ends us. A second signal doesn't stop it.
clean_up()
{
    local group
    trap '' INT TERM HUP
    if [ -n "$demo" ]; then
        kill -TERM "$demo" 2> /dev/null || true
        wait "$demo" || true
    fi
    for group in $step_group $build_behind "${tests_beside[@]}"; do
        end_group "$group"
    done
    restore_hugepages
}

clean_up_at_exit()
{
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
}

# step TEXT COMMAND...: one line for the user, the output in the log. The command runs in a
# subshell; "wait" PROCESS is for what was started before.
step()
{
    local text=$1
    shift
    begin "$text"
    if [ "$1" = wait ]; then
        step_group=$2
    else
        in_group "$@" >> "$log" 2>&1
        step_group=$!
    fi
    if wait "$step_group"; then
        step_group=
        finish ok
        return 0
    fi
    step_group=
    finish FAILED
    return 1
}

# A step without which nothing goes on.
must()
{
    step "$@" && return
    tail -n 20 "$log" | sed 's/^/    /' >&2
    die "$1: failed; all of it is in $log"
}

missing_packages()
{
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2> /dev/null |
            grep -qx installed || echo "$package"
    done
}

install_packages()
{
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "${apt_updated:-}" ]; then
        apt-get -q update || true # a broken third-party source; whether the install works decides
    fi
    apt-get -q -y --no-install-recommends install "$@"
}

need_packages()
{
    local missing
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    [ "$(id -u)" -eq 0 ] || die "packages are missing and only root can install them: $missing"
    # shellcheck disable=SC2086 # one word per package
    must "installing ${missing% }" install_packages $missing
    apt_updated=yes
}

# The default clang of the distribution brings its sanitizer runtime in a package by version.
need_clang_runtime()
{
    local version
    version=$(clang -dumpversion)
    need_packages "libclang-rt-${version%%.*}-dev"
}

# Downloaded, not installed: test_xen.py boots them in an emulator. It says itself why it is skipped.
fetch_xen()
{
    local fetch="$root/app/test-system/xen/packages.py"
    python3 "$fetch" && return
    apt-get -q update || true # the lists may be older than what the archive has now
    python3 "$fetch"
}

reserve_hugepages()
{
    if [ ! -r $hugepages_file ] || [ "$(cat $hugepages_file)" -ne 0 ]; then
        return
    fi
    if [ "$(id -u)" -eq 0 ]; then
        hugepages_before=0 # whatever comes in between
        { echo $hugepages_wanted > $hugepages_file; } 2> /dev/null || hugepages_before=
    fi
    if [ "$(cat $hugepages_file)" -lt $hugepages_wanted ]; then
        say "no $hugepages_wanted hugepages to be had: works without (--no-huge), but slower"
    fi
}

restore_hugepages()
{
    [ -z "$hugepages_before" ] || echo "$hugepages_before" > $hugepages_file
}

# configure DIR [CC=x] OPTION...: sets up or re-configures a build directory.
configure()
{
    local dir=$1
    shift
    if [ -e "$dir/build.ninja" ]; then
        meson setup --reconfigure "$dir" "$@"
    else
        meson setup "$dir" "$@"
    fi
}

configure_and_build()
{
    configure "$@" && ninja ${jobs:+-j "$jobs"} -C "$1"
}

# start_build DIR OPTION...: builds behind the tests of another one, by one compiler at a time and with
# time that nobody else wants (SCHED_IDLE).
start_build()
{
    in_group build_idle "$@" > "$root/build/$1.log" 2>&1
    build_behind=$!
}

build_idle()
{
    chrt -i -p 0 $BASHPID || true
    jobs=1
    configure_and_build "$@"
}

# A failure is counted, and what another build has to test goes on.
is_built()
{
    local dir=$1 text=$2 build_log=$3
    shift 3
    rm -f "$dir"/meson-logs/testlog*
    step "building $dir ($text)" "$@" && return
    broken+=("$dir: does not build
$(tail -n 20 "$build_log")")
    return 1
}

# Waits for a build that start_build started.
is_built_behind()
{
    local pid=$build_behind
    build_behind=
    is_built "$1" "$2" "$root/build/$1.log" wait "$pid"
}

# meson_tests DIR NAME OPTION...: NAME is that of the log, from which single results are read.
meson_tests()
{
    meson test -C "$1" --no-rebuild --print-errorlogs --logbase "testlog-$2" "${@:3}"
}

# run_tests DIR NAME TEXT OPTION...
run_tests()
{
    tested+=("$1/meson-logs/testlog-$2.json")
    step "testing $1 ($3)" meson_tests "$1" "$2" "${@:4}" || true
}

# Most of their time the unit suites wait for deadlines, so several at a time.
# run_unit_tests DIR
run_unit_tests()
{
    run_tests "$1" unit "unit" --suite unit --num-processes 4
}

# start_tests SUITE [idle]: of the first build, beside others; idle: with time that nobody else wants.
start_tests()
{
    tested+=("build/meson-logs/testlog-$1.json")
    in_group test_suite "$@" > "$root/build/test-$1.log" 2>&1
    tests_beside[$1]=$!
}

test_suite()
{
    [ "${2:-}" != idle ] || chrt -i -p 0 $BASHPID || true
    meson_tests build "$1" --suite "$1"
}

finish_tests()
{
    step "testing build ($1, beside others)" wait "${tests_beside[$1]}" ||
        cat "$root/build/test-$1.log" >> "$log"
    unset "tests_beside[$1]"
}

# The second build and tests of files use what the system tests leave of the CPUs; all that comes later
# uses what the longest test leaves, which waits for an emulator. The second compiler builds with
# sanitizers and what libFuzzer wants, so that one build serves for all three.
command_test()
{
    local warn=-Dwerror=true

    need_clang_runtime
    cd "$root"
    step "fetching Xen and a kernel for its test" fetch_xen || true
    CC=clang start_build build-clang $warn -Db_sanitize=address,undefined -Db_lundef=false \
        -Doptimization=1 -Dfuzz=true \
        "-Dc_args=-g1 -fsanitize=fuzzer-no-link -fno-sanitize-recover=all"
    if CC=gcc is_built build gcc "$log" configure_and_build build $warn; then
        start_tests files idle
        run_tests build system "system" --suite system
        finish_tests files
        start_tests long
        run_unit_tests build
        run_tests build emulated "emulated" --suite emulated
    fi
    if is_built_behind build-clang "clang, sanitizers"; then
        run_unit_tests build-clang
        run_tests build-clang fuzz "fuzzers" --suite fuzz
        run_tests build-clang system "system" --suite asan
    fi
    [ -z "${tests_beside[long]:-}" ] || finish_tests long
    say "all of it took $SECONDS s; details: build/*.log and build*/meson-logs/testlog*.txt"
    usertools/tap-summary "${broken[@]/#/--broken=}" "${tested[@]}"
}

command_demo()
{
    cd "$root"
    must "building build" configure_and_build build
    # Not in a group of its own: it reads from the terminal, and Ctrl-C is for it.
    NFE_BUILD=$root/build python3 usertools/demo "$@" <&0 &
    demo=$!
    trap : INT
    local code=130
    while [ $code -gt 128 ] && kill -0 "$demo" 2> /dev/null; do
        code=0
        wait "$demo" || code=$? # of a signal to us, too
    done
    demo=
    return $code
}

# parse COMMAND OPTION...: into options, with absolute paths, before anything is done.
parse()
{
    local command=$1
    shift
    while [ $# -gt 0 ]; do
        case "$command $1" in
        *" -h" | *" --help") usage && exit ;;
        "demo --keep") options+=("$1") ;;
        "demo --pcap")
            [ $# -ge 2 ] || die "--pcap: which file?"
            shift
            add_pcap "$1"
            ;;
        "demo --pcap="*) add_pcap "${1#*=}" ;;
        *) usage >&2 && die "$command: unexpected '$1'" ;;
        esac
        shift
    done
}

add_pcap()
{
    if [ ! -f "$1" ] || [ ! -r "$1" ]; then
        die "--pcap: $1 is no file that can be read"
    fi
    options+=(--pcap "$(realpath -- "$1")")
}

main()
{
    local command=${1:-}
    case $command in
    demo | test) shift ;;
    -h | --help) usage && return ;;
    *) usage >&2 && die "expected demo or test, not '$command'" ;;
    esac
    parse "$command" "$@"
    [ "$command" = test ] || [ "$(id -u)" -eq 0 ] ||
        die "demo makes network namespaces: run it as root"
    mkdir -p "$root/build"
    : > "$log"
    clean_up_at_exit
    # shellcheck disable=SC2086 # lists of words
    case $command in
    demo) need_packages $packages_build $packages_run ;;
    test) need_packages $packages_build $packages_run $packages_test ;;
    esac
    must "looking for DPDK's driver headers" "$root/usertools/dpdk-headers.sh"
    reserve_hugepages
    "command_$command" "${options[@]}"
}

# Sourced by a test of its functions, it does nothing.
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
