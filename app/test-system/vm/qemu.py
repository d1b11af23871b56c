# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""A QEMU that speaks vfio-user: the distribution's own if it is new enough, else that of Debian's
unstable suite, bootstrapped once into the cache (30 s, 410 MB).

    qemu = Qemu.find()              # raises ImageError: it cannot be had here
    argv = qemu.command(["-machine", "q35", ...])

The bootstrapped one runs in a mount namespace of its own, below its own root, because it must not
load modules of this machine's QEMU. It sees this machine's files below /mnt and its /run.
"""
import os
import re
import shutil
import subprocess

from image import ImageError, cache_dir, cache_lock, run

OLDEST = (10, 1)  # the first with vfio-user-pci
PROGRAM = "qemu-system-x86_64"
SUITE = "sid"
BOOTSTRAP_TIMEOUT_S = 600


def version_of(argv):
    """Version of a QEMU as a tuple; None if it does not run."""
    try:
        text = subprocess.run([*argv, "--version"], capture_output=True, text=True, timeout=30,
                              check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"version (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


class Qemu:
    """root: directory below which it runs, None for this machine's."""

    def __init__(self, root, version):
        self.root = root
        self.version = version

    @classmethod
    def find(cls):
        version = version_of([PROGRAM])
        if version and version >= OLDEST:
            return cls(None, version)
        root = bootstrapped()
        version = version_of(["chroot", root, PROGRAM])
        if not version or version < OLDEST:
            raise ImageError(f"{root}: QEMU {version}, vfio-user needs {OLDEST}")
        return cls(root, version)

    def command(self, args):
        """argv of a process that becomes this QEMU: its pid is QEMU's."""
        if self.root is None:
            return [PROGRAM, *args]
        mounts = "".join(f"mount --bind {source} {self.root}{target} && " for source, target in
                         (("/", "/mnt"), ("/run", "/run"), ("/dev", "/dev")))
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                f'{mounts}exec chroot {self.root} {PROGRAM} "$@"', "qemu", *args]

    def path(self, path):
        """How this QEMU calls a file of this machine."""
        path = os.path.realpath(path)
        return path if self.root is None or path.startswith("/run/") else f"/mnt{path}"


def mirror():
    """The archive that this machine's own apt takes its packages from."""
    text = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
    found = [uri for uri in text.split() if uri.rstrip("/").endswith("/debian")]
    if not found:
        raise ImageError("apt has no Debian archive configured")
    return found[0]


def bootstrapped():
    """The cached root of any date, or a new one."""
    base = cache_dir()
    with cache_lock("qemu"):
        ready = sorted(name for name in os.listdir(base)
                       if re.fullmatch(rf"qemu-{SUITE}-\d+", name))
        if ready:
            return os.path.join(base, ready[-1])
        if os.geteuid() != 0:
            raise ImageError("QEMU with vfio-user must be bootstrapped, which needs root")
        if not shutil.which("debootstrap"):
            raise ImageError("debootstrap is not installed")
        name = subprocess.run(["date", "+%Y%m%d"], capture_output=True, text=True,
                              check=True).stdout.strip()
        path = os.path.join(base, f"qemu-{SUITE}-{name}")
        shutil.rmtree(f"{path}.part", ignore_errors=True)
        run(["debootstrap", "--no-check-gpg", "--variant=minbase", "--include=qemu-system-x86",
             SUITE, f"{path}.part", mirror()], timeout_s=BOOTSTRAP_TIMEOUT_S)
        shutil.rmtree(f"{path}.part/var/cache/apt", ignore_errors=True)
        os.rename(f"{path}.part", path)
        return path
