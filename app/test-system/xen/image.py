# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""Root images of the test bed: an initramfs put together from single files, as a cpio archive.

An Image collects files in memory order and writes them at once. Programs bring the libraries that
the dynamic linker of this machine finds for them. Needs no root, mounts nothing.
"""
import glob
import os
import re
import stat
import subprocess

HOST_LIBRARIES = "/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu"
DPDK_PLUGINS = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-*"
# What EAL loads by itself: pools of mbufs, buses, and the ethdevs that tests use as uplinks.
PLUGINS = ("mempool_ring", "bus_vdev", "bus_pci", "net_ring", "net_af_packet")
# What dlopen() or the unwinder of threads wants, though no program names it.
HIDDEN_LIBRARIES = ["/lib/x86_64-linux-gnu/libgcc_s.so.1"]
MODULES = ("xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs")
XENSTORE_COMMANDS = ("chmod", "exists", "list", "ls", "read", "rm", "watch", "write")
PYTHON_WITHOUT = ("__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "tkinter", "asyncio",
                  "pydoc_data", "distutils", "turtledemo", "unittest", "multiprocessing", "sqlite3",
                  "dist-packages", "site-packages", "dbm", "wsgiref", "xmlrpc", "curses", "venv")
PYTHON_EXTENSIONS = ("_socket", "_json", "_struct", "select", "mmap", "_ctypes.")


class ImageError(Exception):
    """A file that an image needs is not there."""


class Image:
    """Paths are absolute, as seen in the guest. What is added again replaces what was there."""

    def __init__(self):
        self.entries = {}  # path: (mode, bytes or path of a file here)

    def add(self, path, data, mode=0o644):
        """data: bytes, or the path of a file on this machine."""
        parent = os.path.dirname(path)
        if parent != "/" and parent not in self.entries:
            self.add_dir(parent)
        self.entries[path] = (stat.S_IFREG | mode, data)

    def add_dir(self, path):
        parent = os.path.dirname(path)
        if parent != "/" and parent not in self.entries:
            self.add_dir(parent)
        self.entries[path] = (stat.S_IFDIR | 0o755, b"")

    def add_link(self, path, target):
        self.add(path, target.encode())
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def add_program(self, source, path=None):
        """A program or plugin of this machine, with its libraries."""
        self.add(path or source, source, 0o755)
        for library in libraries(source):
            self.add_library(library)

    def add_library(self, path):
        """One file however many names: the linker must not load a library twice."""
        real = os.path.realpath(path)
        self.add(real, real, 0o755)
        if real != path:
            self.add_link(path, real)

    def write(self, path):
        with open(path, "wb") as out:
            for number, (name, (mode, data)) in enumerate(self.entries.items(), 1):
                write_entry(out, number, name, mode, data)
            write_entry(out, 0, "/TRAILER!!!", 0, b"")


def write_entry(out, number, name, mode, data):
    """One file in the "newc" format of cpio: 13 numbers in hex, name and data padded to 4 bytes."""
    if isinstance(data, str):
        with open(data, "rb") as file:
            data = file.read()
    raw = name[1:].encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
    out.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))


def libraries(program):
    """The libraries that a program loads, the dynamic linker among them."""
    env = {**os.environ, "LD_LIBRARY_PATH": HOST_LIBRARIES}
    done = subprocess.run(["ldd", program], capture_output=True, text=True, env=env, check=False)
    missing = re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)
    if missing:
        raise ImageError(f"{program} needs {', '.join(missing)}, which this machine lacks")
    return re.findall(r"(?:=> |^\s*)(/\S+) \(0x", done.stdout, re.MULTILINE)


def module_order(tree, names):
    """Files of kernel modules, each behind those that it depends on."""
    files = {os.path.basename(path)[:-3].replace("_", "-"): path
             for path in glob.glob(os.path.join(tree, "lib/modules/*/**/*.ko"), recursive=True)}
    ordered = []

    def visit(name):
        path = files.get(name)
        if path is None:
            raise ImageError(f"kernel module {name} is not below {tree}")
        with open(path, "rb") as file:
            needs = re.search(rb"\0depends=([^\0]*)\0", b"\0" + file.read())[1].decode()
        for other in filter(None, needs.split(",")):
            visit(other.replace("_", "-"))
        if path not in ordered:
            ordered.append(path)
    for name in names:
        visit(name)
    return ordered


def base_image(tree, init, common, modules=()):
    """What dom0 and the domUs have in common: busybox, modules, xenstore tools, DPDK's plugins."""
    image = Image()
    for path in ("/proc", "/sys", "/dev", "/tmp", "/run", "/etc", "/root", "/bin", "/var/log/xen",
                 "/var/lock", "/var/lib/xen", "/var/lib/xenstored"):
        image.add_dir(path)
    image.add_link("/var/run", "/run")
    image.add("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    image.add("/etc/group", b"root:x:0:\n")
    image.add("/bin/busybox", os.path.join(tree, "bin/busybox"), 0o755)
    image.add("/init", init, 0o755)
    image.add("/nfe/common.sh", common)
    for number, path in enumerate(module_order(tree, [*MODULES, *modules])):
        image.add(f"/modules/{number:02}-{os.path.basename(path)}", path)
    image.add_program(os.path.join(tree, "usr/bin/xenstore"), "/usr/bin/xenstore")
    for name in XENSTORE_COMMANDS:
        image.add_link(f"/usr/bin/xenstore-{name}", "xenstore")
    for path in HIDDEN_LIBRARIES:
        image.add_library(path)
    add_dpdk_plugins(image)
    return image


def add_dpdk_plugins(image):
    """EAL loads a whole directory, by the full name of each plugin's version."""
    for name in PLUGINS:
        for path in glob.glob(f"{DPDK_PLUGINS}/librte_{name}.so.*.*"):
            image.add_program(path)


def add_toolstack(image, tree, vmlinux, ramdisk):
    """What makes dom0 of it: xl, its daemons, the kernel and the ramdisk of the domUs."""
    for path in glob.glob(os.path.join(tree, "usr/lib/xen-*/bin/*")):
        image.add_program(path, path[len(tree):])
        image.add_link(f"/bin/{os.path.basename(path)}", path[len(tree):])
    image.add("/etc/xen/xl.conf", b"autoballoon=0\n")
    image.add("/guest/vmlinux", vmlinux)
    image.add("/guest/ramdisk", ramdisk)


def add_python(image, python="/usr/bin/python3"):
    """The distribution's Python with its standard library, as bytecode where there is any:
    compiling it under emulation would take seconds."""
    real = os.path.realpath(python)
    version = os.path.basename(real)
    library = f"/usr/lib/{version}"
    image.add_program(real)
    image.add_link("/usr/bin/python3", real)
    tag = version.replace("python", "cpython-").replace(".", "")
    for folder, folders, files in os.walk(library):
        folders[:] = [name for name in folders
                      if name not in PYTHON_WITHOUT and not name.startswith("config-")]
        for name in files:
            path = os.path.join(folder, name)
            compiled = os.path.join(folder, "__pycache__", f"{name[:-3]}.{tag}.pyc")
            if name.endswith(".py") and os.path.exists(compiled):
                image.add(f"{path}c", compiled)
            elif name.endswith(".py"):
                image.add(path, path)
            elif name.endswith(".so") and name.startswith(PYTHON_EXTENSIONS):
                image.add_program(path)
