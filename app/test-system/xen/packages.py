# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Xen, its tools and a kernel for dom0 and domUs, from the distribution's packages.

    python3 packages.py     fetch what is missing and print the directory

Packages are downloaded with apt-get and the few files that the test bed needs are unpacked to
${NFE_CACHE:-/var/cache/nfe}/xen-HASH, HASH being that of names, versions and files. Nothing is
installed: the package of the hypervisor would make the boot loader of this machine start it.
Libraries are not fetched: they come from this machine, as those of our own programs do.
"""
import glob
import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

XEN = "4.17"
KERNEL = "linux-image-amd64"  # depends on the package of the newest kernel
WANTED = {  # package: the files that we need of it
    f"xen-hypervisor-{XEN}-amd64": [f"./boot/xen-{XEN}-amd64.gz"],
    f"xen-utils-{XEN}": [f"./usr/lib/xen-{XEN}/bin/{name}"
                         for name in ("xl", "xenstored", "xenconsoled", "xen-init-dom0",
                                      "libxl-save-helper")],
    "xenstore-utils": ["./usr/bin/xenstore"],
    "busybox-static": ["./bin/busybox"],
}
KERNEL_FILES = ["./boot/vmlinuz-*", "*/kernel/drivers/xen/*.ko", "*/kernel/drivers/net/tun.ko",
                "*/kernel/drivers/net/veth.ko"]
APT = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]
DOWNLOAD_TIMEOUT_S = 300
COMPLETE = "complete"  # file whose presence says that a cached directory is whole


class Unavailable(Exception):
    """Xen can't be had here; the text says why and what helps."""


def cache_dir():
    return os.environ.get("NFE_CACHE", "/var/cache/nfe")


def run(argv, **options):
    try:
        return subprocess.run(argv, check=True, capture_output=True, **options).stdout
    except FileNotFoundError:
        raise Unavailable(f"no {argv[0]} on this machine") from None
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{' '.join(argv)}: not done within {error.timeout} s") from None
    except subprocess.CalledProcessError as error:
        text = error.stderr.decode(errors="replace").strip()
        raise Unavailable(f"{' '.join(argv)}: {text[-500:]}") from None


def candidates(names):
    """What apt would install of these packages: {name: {field: value}}."""
    found = {}
    text = run(["apt-cache", "show", "--no-all-versions", *names], text=True)
    for stanza in text.strip().split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", stanza, re.MULTILINE))
        found[fields["Package"]] = fields
    return found


def wanted_packages():
    """{name: (version, patterns of files)} of all packages, the newest kernel among them."""
    found = candidates([KERNEL, *WANTED])
    kernel = found[KERNEL]["Depends"].split()[0]
    packages = {name: (found[name]["Version"], files) for name, files in WANTED.items()}
    packages[kernel] = (candidates([kernel])[kernel]["Version"], KERNEL_FILES)
    return packages


def extract_vmlinux(bzimage):
    """The kernel as an ELF file: Xen starts that seconds sooner under emulation. The place of the
    compressed kernel is in the header (Linux, Documentation/x86/boot.rst)."""
    setup_sectors = bzimage[0x1f1]
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    payload = bzimage[(setup_sectors + 1) * 512 + offset:][:length]
    try:
        image = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
    except lzma.LZMAError as error:
        raise Unavailable(f"the kernel is not compressed with xz: {error}") from None
    if image[:4] != b"\x7fELF":
        raise Unavailable("no ELF file in the kernel image")
    return image


def unpack(deb, patterns, tree):
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as tar:
        run(["tar", "-x", "-C", tree, "--wildcards", *patterns], stdin=tar.stdout)


def fetch(packages, tree):
    """Downloads packages and unpacks what is wanted of them below tree."""
    names = [f"{name}={version}" for name, (version, _) in packages.items()]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(tree)) as downloads:
        run([*APT, "download", *names], cwd=downloads, timeout=DOWNLOAD_TIMEOUT_S)
        for name, (_, patterns) in packages.items():
            unpack(glob.glob(os.path.join(downloads, f"{name}_*.deb"))[0], patterns, tree)
    bzimage = glob.glob(os.path.join(tree, "boot", "vmlinuz-*"))[0]
    with open(bzimage, "rb") as source, open(os.path.join(tree, "boot", "vmlinux"), "wb") as out:
        out.write(extract_vmlinux(source.read()))
    os.unlink(bzimage)


def newest_cached():
    """The newest whole tree that an earlier run left."""
    trees = [os.path.dirname(path)
             for path in glob.glob(os.path.join(cache_dir(), "xen-*", COMPLETE))]
    return max(trees, key=os.path.getmtime, default=None)


def xen_tree():
    """The directory with the files of all packages and boot/vmlinux; fetched if it is missing.
    Raises Unavailable."""
    try:
        packages = wanted_packages()
    except (Unavailable, KeyError) as error:
        if newest_cached():
            return newest_cached()
        raise Unavailable(f"apt knows no packages of Xen {XEN} and {KERNEL} ({error}); "
                          "apt-get update helps if this is Debian 12") from None
    versions = "\n".join(f"{name}={version} {' '.join(patterns)}"
                         for name, (version, patterns) in sorted(packages.items()))
    key = hashlib.sha256(versions.encode()).hexdigest()[:12]
    tree = os.path.join(cache_dir(), f"xen-{key}")
    if os.path.exists(os.path.join(tree, COMPLETE)):
        return tree
    try:
        os.makedirs(cache_dir(), exist_ok=True)
        work = tempfile.mkdtemp(prefix=".xen.", dir=cache_dir())
    except OSError as error:
        raise Unavailable(f"can't write the cache: {error}; "
                          "run as root or set NFE_CACHE") from None
    try:
        fetch(packages, work)
        with open(os.path.join(work, COMPLETE), "w", encoding="ascii") as file:
            file.write(versions + "\n")
        os.chmod(work, 0o755)
        shutil.rmtree(tree, ignore_errors=True)  # a half one of older days
        os.rename(work, tree)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return tree


if __name__ == "__main__":
    try:
        print(xen_tree())
    except Unavailable as reason:
        sys.exit(f"xen packages: {reason}")
