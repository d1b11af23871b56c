#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
#
# Finds the driver headers of the installed DPDK (ethdev_driver.h and friends), which libdpdk-dev
# leaves out. Only headers are taken from the source package; no DPDK is built.
#
#   dpdk-headers.sh         get them if they are missing; says nothing if DPDK brought them along
#   dpdk-headers.sh --path  print the source directory if it is there, else exit 1; never downloads
#   dpdk-headers.sh --suite trixie   get another suite's DPDK, print its source directory
#
# The package comes from the machine's own apt sources, in exactly the version of libdpdk-dev, and
# is unpacked to ${NFE_CACHE:-/var/cache/nfe}/dpdk-VERSION. Root is only needed to write there.
# Another suite comes from the same archive, apt's configuration is not touched.
set -euo pipefail

cache=${NFE_CACHE:-/var/cache/nfe}
probe=lib/ethdev/ethdev_driver.h

die()
{
    echo "dpdk-headers: $*" >&2
    exit 1
}

# A DPDK that was built with enable_driver_sdk has them where its other headers are.
sdk_is_installed()
{
    local include
    include=$(pkg-config --variable=includedir libdpdk 2> /dev/null) || return 1
    [ -e "$include/ethdev_driver.h" ]
}

source_version()
{
    dpkg-query -W -f '${source:Version}' libdpdk-dev 2> /dev/null ||
        die "libdpdk-dev is not installed as a package; install it, or unpack the source of" \
            "your DPDK and set -Ddpdk_source=DIR"
}

# dpdk-22.11.11 of version 1:22.11.11-0+deb12u1
source_dir()
{
    local upstream=${1#*:}
    echo "$cache/dpdk-${upstream%-*}"
}

# The machine's binary package sources, rewritten as source package sources, in directory $1.
write_source_lists()
{
    local parts=$1 list
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -e "$list" ] || continue
        sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$list" \
            > "$parts/$(basename "$list" .list).list"
    done
    for list in /etc/apt/sources.list.d/*.sources; do
        [ -e "$list" ] || continue
        sed 's/^Types:.*/Types: deb-src/I' "$list" > "$parts/$(basename "$list")"
    done
}

# The archive that this machine takes its packages from, as the source of suite $1, in directory $2.
write_suite_list()
{
    local suite=$1 parts=$2 archive
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        grep -m 1 '/debian/*$') || die "apt has no Debian archive configured"
    echo "deb-src $archive $suite main" > "$parts/suite.list"
}

# apt with state of its own in directory $1; the machine's stays untouched.
private_apt()
{
    local work=$1
    shift
    apt-get -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts" \
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" \
        -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# Downloads source package $1 into $3/download, in version $2, or in the only one if that is empty.
download()
{
    local package=$1 version=$2 work=$3

    # One broken third-party source must not stop us: whether the package came decides.
    private_apt "$work" update || true
    (cd "$work/download" &&
        private_apt "$work" source --download-only "$package${version:+=$version}") ||
        die "apt has no source package $package $version; is libdpdk-dev up to date" \
            "(apt-get update, apt-get install libdpdk-dev)?"
}

make_work_dir()
{
    mkdir -p "$cache" || die "can't make $cache; run as root or set NFE_CACHE"
    [ -w "$cache" ] || die "$cache is not writable; run as root or set NFE_CACHE"
    work=$(mktemp -d "$cache/.fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT # work is global for this
    mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial" "$work/download"
}

# Unpacks beside the final place and renames, so that a half-unpacked tree is never found.
unpack()
{
    local dir=$1
    dpkg-source --no-check -x "$work"/download/*.dsc "$work/tree" >&2
    [ -e "$work/tree/$probe" ] || die "the source package for $dir has no $probe"
    chmod 755 "$work/tree"
    # Another run may have been faster: its tree is as good as ours.
    mv -T "$work/tree" "$dir" 2> /dev/null || [ -e "$dir/$probe" ] || die "can't make $dir"
}

fetch()
{
    local version=$1 dir=$2 package
    package=$(dpkg-query -W -f '${source:Package}' libdpdk-dev)
    make_work_dir
    write_source_lists "$work/parts"
    download "$package" "$version" "$work" >&2
    unpack "$dir"
}

# What was unpacked for a suite once stays: a link to its version.
fetch_suite()
{
    local suite=$1 link=$cache/dpdk-of-$1 dir
    if [ ! -e "$link/$probe" ]; then
        make_work_dir
        write_suite_list "$suite" "$work/parts"
        download dpdk "" "$work" >&2
        dir=$(source_dir "$(sed -n 's/^Version: //p' "$work"/download/*.dsc | head -n 1)")
        unpack "$dir"
        ln -sfn "$(basename "$dir")" "$link"
    fi
    readlink -f "$link"
}

main()
{
    local version dir
    case ${1:-} in
    --path | "") ;;
    --suite)
        [[ ${2:-} =~ ^[a-z]+$ ]] || die "--suite needs the name of a suite"
        fetch_suite "$2"
        return
        ;;
    *) die "usage: dpdk-headers.sh [--path | --suite NAME]" ;;
    esac
    if [ "${1:-}" != --path ] && sdk_is_installed; then
        return
    fi
    version=$(source_version)
    dir=$(source_dir "$version")
    if [ "${1:-}" = --path ]; then
        [ -e "$dir/$probe" ] || exit 1
        echo "$dir"
        return
    fi
    [ -e "$dir/$probe" ] || fetch "$version" "$dir"
}

main "$@"
