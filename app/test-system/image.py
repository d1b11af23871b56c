# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Initramfs images from what the distribution installed, for tests that boot something.

    kernel = image.Kernel.fetch()                       # package in the cache, unpacked
    img = image.Image()
    img.add_busybox()
    img.add_program("/usr/bin/dpdk-testpmd")            # with its shared libraries
    img.add_modules(kernel, ["uio_pci_generic"])        # with the modules they depend on
    img.add_text("/init", "#!/bin/sh\\n...", 0o755)
    img.write("/tmp/guest.cpio")                        # a second cpio may be appended to it

Nothing here boots anything. Packages and what is unpacked stay in cache_dir(); a lock keeps tests
that run at the same time apart. Only the Python standard library, apt and dpkg.
"""
import contextlib
import fcntl
import lzma
import os
import re
import shutil
import stat
import subprocess

TRAILER = "TRAILER!!!"
ELF_MAGIC = b"\x7fELF"
XZ_MAGIC = b"\xfd7zXZ\x00"
CPIO_ALIGN = 4
MODULE_LIST = "/etc/modules-in-order"
DOWNLOAD_TIMEOUT_S = 300


class ImageError(Exception):
    """Something that an image needs cannot be had."""


def cache_dir(*names):
    """A directory in the cache; it is made if it isn't there."""
    path = os.path.join(os.environ.get("NFE_CACHE", "/var/cache/nfe"), *names)
    os.makedirs(path, exist_ok=True)
    return path


@contextlib.contextmanager
def cache_lock(name):
    """One process at a time fills the cache entry of this name."""
    with open(os.path.join(cache_dir(), f".{name}.lock"), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(argv, cwd=None, timeout_s=DOWNLOAD_TIMEOUT_S):
    """Runs a command to its end; returns its output or raises ImageError with what it said."""
    try:
        done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(f"{' '.join(argv)}: {error}") from error
    if done.returncode:
        raise ImageError(f"{' '.join(argv)}: exit code {done.returncode}\n"
                         f"{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def unpack_package(package):
    """Downloads a Debian package into the cache and unpacks it there; returns the directory."""
    version = re.search(r"^Version: (\S+)", run(["apt-cache", "show", "--no-all-versions",
                                                 package]), re.MULTILINE)
    if not version:
        raise ImageError(f"package {package}: apt knows no version of it (apt-get update)")
    name = f"{package}_{version[1].replace(':', '%3a')}"
    path = os.path.join(cache_dir("packages"), name)
    with cache_lock(package):
        if not os.path.isdir(path):
            part = f"{path}.part"
            shutil.rmtree(part, ignore_errors=True)
            os.makedirs(part)
            run(["apt-get", "download", package], cwd=part)
            files = [file for file in os.listdir(part) if file.endswith(".deb")]
            run(["dpkg-deb", "-x", os.path.join(part, files[0]), os.path.join(part, "root")])
            os.unlink(os.path.join(part, files[0]))
            os.rename(part, path)
    return os.path.join(path, "root")


class Kernel:
    """An unpacked kernel package: bzImage, uncompressed vmlinux, modules."""

    def __init__(self, root):
        self.root = root
        boot = os.path.join(root, "boot")
        self.version = next(name.split("-", 1)[1] for name in os.listdir(boot)
                            if name.startswith("vmlinuz-"))
        self.vmlinuz = os.path.join(boot, f"vmlinuz-{self.version}")
        self.modules = os.path.join(root, "lib", "modules", self.version)
        self._by_name = {}
        for where, _, names in os.walk(self.modules):
            for name in names:
                if name.endswith(".ko"):
                    self._by_name[module_name(name)] = os.path.join(where, name)

    @classmethod
    def fetch(cls, package="linux-image-amd64"):
        """The kernel that a distribution's metapackage stands for."""
        depends = run(["apt-cache", "depends", package])
        real = re.search(r"Depends: (linux-image-\d\S+)", depends)
        if not real:
            raise ImageError(f"package {package}: depends on no kernel image")
        return cls(unpack_package(real[1]))

    def vmlinux(self):
        """The kernel without its decompressor: an emulator would need seconds for that."""
        path = os.path.join(self.root, "boot", f"vmlinux-{self.version}")
        with cache_lock("vmlinux"):
            if not os.path.exists(path):
                with open(self.vmlinuz, "rb") as file:
                    text = file.read()
                start = text.find(XZ_MAGIC)
                if start < 0:
                    raise ImageError(f"{self.vmlinuz}: not compressed by xz")
                elf = lzma.LZMADecompressor().decompress(text[start:])
                if not elf.startswith(ELF_MAGIC):
                    raise ImageError(f"{self.vmlinuz}: its payload is no ELF file")
                with open(f"{path}.part", "wb") as file:
                    file.write(elf)
                os.rename(f"{path}.part", path)
        return path

    def module_paths(self, names):
        """Files of these modules, each behind those that it depends on. What is built into the
        kernel has no file and is left out; an unknown name is an error."""
        order = []
        for name in names:
            self._visit(module_name(name), order)
        return order

    def _visit(self, name, order):
        path = self._by_name.get(name)
        if path is None:
            if name in self._builtin():
                return
            raise ImageError(f"kernel {self.version} has no module {name}")
        if path in order:
            return
        with open(path, "rb") as file:
            found = re.search(rb"\x00depends=([^\x00]*)\x00", file.read())
        for needed in found[1].decode().split(",") if found and found[1] else []:
            self._visit(module_name(needed), order)
        order.append(path)

    def _builtin(self):
        with open(os.path.join(self.modules, "modules.builtin"), encoding="ascii") as file:
            return {module_name(line.strip()) for line in file}


def module_name(path):
    return os.path.basename(path).removesuffix(".ko").replace("-", "_")


def shared_libraries(path):
    """Paths of the libraries that a program or library needs, the dynamic linker included."""
    with open(path, "rb") as file:
        if file.read(4) != ELF_MAGIC:
            return []
    done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    if "not found" in done.stdout:
        raise ImageError(f"{path}: {re.search('.*not found.*', done.stdout)[0].strip()}")
    return re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout)


class Image:
    """Files of an initramfs by their path in it. Sources are read when it is written."""

    def __init__(self):
        self.entries = {}  # path -> (mode, content: bytes, source path as str, or device numbers)
        for name in ("/dev", "/proc", "/sys", "/tmp", "/run", "/etc", "/root"):
            self.add_dir(name)
        self.entries["/dev/console"] = (stat.S_IFCHR | 0o600, (5, 1))

    def add_dir(self, path, mode=0o755):
        if path not in ("", "/") and path not in self.entries:
            self.add_dir(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | mode, b"")

    def _add(self, path, mode, content):
        self.add_dir(os.path.dirname(path))
        self.entries[path] = (mode, content)

    def add_text(self, path, text, mode=0o644):
        self._add(path, stat.S_IFREG | mode, text.encode())

    def add_link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def add_file(self, source, path=None):
        """A file as it is, at the same place or at path."""
        if not os.path.isfile(source):
            raise ImageError(f"{source}: no such file")
        self._add(path or source, stat.S_IFREG | stat.S_IMODE(os.stat(source).st_mode), source)

    def add_program(self, source, path=None, extra=()):
        """A program or plugin with the shared libraries it needs; extra: what it loads by name,
        such as libgcc_s.so.1 for thread cancellation."""
        self.add_file(source, path)
        for library in shared_libraries(source):
            # The name that the program asks for: links are followed.
            self.add_file(library)
        for library in extra:
            self.add_program(library)

    def add_busybox(self, source="/bin/busybox"):
        """busybox-static and its names. It must not need libraries of another distribution."""
        if shared_libraries(source):
            raise ImageError(f"{source}: dynamic; install busybox-static")
        self.add_file(source, "/bin/busybox")
        for name in run([source, "--list-full"]).split():
            if f"/{name}" not in self.entries:
                self.add_link(f"/{name}", "/bin/busybox")

    def add_modules(self, kernel, names):
        """Kernel modules with their dependencies; MODULE_LIST has the order for insmod."""
        lines = []
        for source in kernel.module_paths(names):
            path = f"/lib/modules/{os.path.basename(source)}"
            self.add_file(source, path)
            lines.append(path)
        self.add_text(MODULE_LIST, "".join(f"{line}\n" for line in lines))

    def write(self, path):
        """Writes the cpio ("newc"); the kernel takes several behind each other."""
        with open(f"{path}.part", "wb") as out:
            for inode, name in enumerate(sorted(self.entries), 1):
                mode, content = self.entries[name]
                device = (0, 0)
                if isinstance(content, tuple):
                    device, content = content, b""
                elif isinstance(content, str):
                    with open(content, "rb") as file:
                        content = file.read()
                write_entry(out, inode, name[1:], mode, content, device)
            write_entry(out, 0, TRAILER, 0, b"", (0, 0))
        os.rename(f"{path}.part", path)
        return path


def write_entry(out, inode, name, mode, content, device):
    raw = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(raw), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
    out.write(header + b"\0" * (-len(header) % CPIO_ALIGN))
    out.write(content + b"\0" * (-len(content) % CPIO_ALIGN))
