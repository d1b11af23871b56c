#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 the NFE authors
"""What "meson install" puts where, as the README says, and that it works from there: DPDK finds the
PMD, pkg-config the library, and a program that is no part of this tree builds and runs.

DESTDIR is a directory of the Lab. Programs see it as what is really installed: laid over the prefix,
and the PMD over the directory in which DPDK looks, in a mount namespace of each.
"""
import json
import os
import re
import sys

from lab import ROOT, Lab, Tap, expect, wait_until, write_file
from traffic import switch_config, vif_mac

PROGRAMS = ("vif-switch", "vif-ctl", "vif-echo", "vif-tap")
CONTRACT = ("nfe_cell.h", "nfe_ctrl.h", "nfe_hints.h", "nfe_msg.h", "nfe_queue.h", "nfe_regs.h",
            "nfe_xen.h")
FRAMES = 1000
# The guest that the guide leads to: its code, called by a main program that sends a frame in both
# ways and answers what comes back until there were enough.
MY_APP = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <vif.h>

static unsigned int answered, wrong;
static uint8_t own_mac[6];

static void
answer(uint8_t *frame, int len)
{
	uint8_t peer[6];

	for (int i = 14; i < len; i++)
		wrong += frame[i] != (uint8_t)i;
	wrong += len < 100 || memcmp(frame, own_mac, 6) != 0;
	memcpy(peer, frame + 6, 6);
	memcpy(frame + 6, frame, 6);
	memcpy(frame, peer, 6);
	answered++;
}

static void
receive(struct vif *vif)
{
%(simple)s
}

static int
send_from_own(struct vif *vif, const uint8_t *frame, uint32_t frame_len)
{
	const size_t len = 8192;
	const uint64_t frame_offset = 4000;

%(register)s
	if (rc != 0)
		return rc;
	memcpy(mem + frame_offset, frame, frame_len);
%(send)s
	return 0;
}

int
main(int argc, char **argv)
{
	struct vif_conf conf = { .name = "my-app" };
	struct vif *vif = argc == 2 ? vif_attach(argv[1], &conf) : NULL;
	uint8_t frame[1000] = { 2, 0, 0, 0, 0, 0x11 };
	time_t end = time(NULL) + 20;

	if (vif == NULL)
		return 1;
	vif_mac(vif, own_mac);
	memcpy(frame + 6, own_mac, 6);
	for (unsigned int i = 14; i < sizeof(frame); i++)
		frame[i] = (uint8_t)i;
	if (vif_send(vif, frame, 100) != 0 || send_from_own(vif, frame, sizeof(frame)) != 0)
		return 2;
	vif_kick(vif);
	while (answered < %(frames)d && time(NULL) < end) {
		vif_reclaim(vif);
		receive(vif);
	}
	printf("my-app: %%u answered, %%u wrong\\n", answered, wrong);
	vif_detach(vif);
	return answered < %(frames)d || wrong != 0;
}
"""


def guide_code(heading):
    """Indented blocks of a section of the guide."""
    with open(os.path.join(ROOT, "doc", "guest-app-guide.md"), encoding="utf-8") as file:
        section = re.search(rf"^## {heading}\n(.*?)(?=^## )", file.read(), re.DOTALL | re.MULTILINE)
    expect(section, f"the guide has no section '{heading}'")
    return re.findall(r"(?:^    .*\n)+", section[1], re.MULTILINE)


def readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return file.read()


class Installed:
    """The installed files in DESTDIR, and processes that see them in their places."""

    def __init__(self, lab):
        self.lab = lab
        self.destdir = os.path.join(lab.run_dir, "dest")
        with open(os.path.join(lab.build, "meson-info", "intro-buildoptions.json"),
                  encoding="utf-8") as file:
            options = {option["name"]: option["value"] for option in json.load(file)}
        self.prefix, self.libdir = options["prefix"], options["libdir"]
        self.cache = os.path.join(lab.run_dir, "ld.so.cache")
        header = lab.run(["sh", "-c", "echo '#include <rte_build_config.h>' | cc -E -dM "
                          "$(pkg-config --cflags libdpdk) -"]).stdout
        self.pmd_path = re.search(r'RTE_EAL_PMD_PATH "(.*)"', header)[1]

    def install(self):
        self.lab.run(["meson", "install", "-C", self.lab.build, "--no-rebuild",
                      "--destdir", self.destdir])

    def below_prefix(self, *parts):
        return os.path.join(self.destdir, self.prefix.lstrip("/"), *parts)

    def files(self):
        top = self.below_prefix()
        return {os.path.relpath(os.path.join(folder, name), top)
                for folder, _, names in os.walk(top) for name in names}

    def pmd_dir(self):
        return os.path.join(self.libdir, "dpdk", os.path.basename(self.pmd_path))

    def see(self, argv):
        """argv in a namespace in which all of it is installed, ldconfig included."""
        mounts = [(self.below_prefix(), self.prefix),
                  (self.below_prefix(self.pmd_dir()), self.pmd_path)]
        script = "".join(f"mount -t overlay overlay -o 'lowerdir={upper}:{lower}' '{lower}' && "
                         for upper, lower in mounts if os.path.isdir(lower))
        script += (f"{{ [ -e {self.cache} ] || ldconfig -C {self.cache}; }} && "
                   f"mount --bind {self.cache} /etc/ld.so.cache && ")
        return ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh", *argv]

    def run(self, argv, check=True):
        return self.lab.run(self.see(argv), check=check)

    def start(self, name, argv):
        return self.lab.start(name, self.see(argv))


def files_of(folder):
    """All files below a folder of the tree, as paths from its top."""
    return [os.path.relpath(os.path.join(path, name), ROOT)
            for path, _, names in os.walk(os.path.join(ROOT, folder)) for name in names]


def check_files(there):
    abi = os.path.basename(there.pmd_path).split("-")[1]
    lib, pmds = there.libdir, there.pmd_dir()
    wanted = {f"bin/{name}" for name in PROGRAMS}
    wanted |= {f"include/nfe/{name}" for name in (*CONTRACT, "vif.h")}
    wanted |= {f"{lib}/libnfe_vif.{end}" for end in ("a", "so", "so.0")}
    wanted |= {f"{lib}/pkgconfig/nfe-vif.pc"}
    wanted |= {f"{pmds}/librte_net_nfe.so{end}"
               for end in ("", "." + abi.split(".", maxsplit=1)[0], "." + abi)}
    wanted |= {f"share/doc/nfe/{name}" for name in ("README.md", "LICENSE", *files_of("doc"),
                                                    *files_of("config"))}
    files = there.files()
    expect(files == wanted, f"missing: {sorted(wanted - files)}, nobody knows: "
                            f"{sorted(files - wanted)}")
    text = readme()
    names = (*PROGRAMS, "libnfe_vif.so", "libnfe_vif.a", "nfe-vif.pc", "vif.h", "dpdk/pmds-ABI",
             "librte_net_nfe.so", "share/doc/nfe")
    unnamed = [name for name in names if name not in text]
    expect(not unnamed, f"the README doesn't name {unnamed}")
    dead = [path for path in files if not os.path.exists(there.below_prefix(path))]
    expect(not dead, f"links to nowhere: {dead}")


def check_documents(there):
    """Links of installed documents lead to installed ones, and so does the unit of systemd."""
    docs = [path for path in there.files() if path.endswith(".md")]
    for doc in docs:
        with open(there.below_prefix(doc), encoding="utf-8") as file:
            links = re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", file.read())
        dead = [link for link in links if not os.path.exists(
            there.below_prefix(os.path.dirname(doc), link))]
        expect(not dead, f"{doc}: links lead nowhere: {dead}")
    with open(there.below_prefix("share/doc/nfe/config/vif-switch.service"),
              encoding="utf-8") as file:
        paths = re.findall(r"(?:=|file:)/usr/local/(\S+)", file.read())
    expect(len(paths) >= 3, f"paths of the unit: {paths}")
    dead = [path for path in paths if not os.path.exists(there.below_prefix(path))]
    expect(not dead, f"vif-switch.service names what is not installed: {dead}")


def check_headers(there):
    """Each alone and without a warning, as C and as C++."""
    headers = " ".join(f"{there.prefix}/include/nfe/{name}" for name in (*CONTRACT, "vif.h"))
    there.run(["sh", "-ec", f"for header in {headers}; do for language in c c++; do "
               "cc -x $language -Wall -Wextra -Werror -fsyntax-only "
               "$(pkg-config --cflags nfe-vif) $header; done; done"])


def build_app(there, source, program, libs=""):
    """By the line of the README; libs instead of what pkg-config says for the shared library."""
    line = re.search(r"^    (cc -o my-app my-app\.c .*)$", readme(), re.MULTILINE)
    expect(line, "the README has no line for building one's own app")
    line = line[1].replace("my-app.c", source).replace("my-app ", program + " ")
    if libs:
        line = line.replace("--libs nfe-vif)", f"nfe-vif) {libs}")
    there.run(["sh", "-c", line + " -Wall -Werror"])


def my_app(there):
    register, send = guide_code("Your own memory")
    source = os.path.join(there.lab.run_dir, "my-app.c")
    write_file(source, MY_APP % {"simple": guide_code("The simple way")[0], "register": register,
                                 "send": send, "frames": FRAMES})
    program = os.path.join(there.lab.run_dir, "my-app")
    build_app(there, source, program)
    return program


def start_switch(there):
    lab = there.lab
    config = os.path.join(lab.run_dir, "installed.conf")
    write_file(config, switch_config(lab, ["a", "b", "c"]))
    switch = there.start("vif-switch", ["vif-switch", *lab.eal_args("vif-switch", 128, 2), "--",
                                        "--config", config])
    switch.wait_log("vif-switch: ready")
    return switch


def ctl(there, switch, *args):
    prefix = os.path.basename(there.lab.eal_dir(switch))
    return json.loads(there.run(["vif-ctl", "--file-prefix", prefix, "--json", *args]).stdout)


def check_app(there, switch):
    echo = os.path.join(there.lab.run_dir, "my-echo")
    build_app(there, os.path.join(ROOT, "app", "vif-echo", "main.c"), echo)
    peer = there.start("echo", [echo, "--sleep", f"vfio-user:{there.lab.socket('b')}"])
    peer.wait_log("vif-echo: ready")
    done = there.run([my_app(there), f"vfio-user:{there.lab.socket('a')}"], check=False)
    expect(done.returncode == 0, f"exit code {done.returncode}: {done.stdout}{done.stderr}")
    stats = ctl(there, switch, "stats", "a")
    expect(stats["to_frames"] >= FRAMES and not stats["from_drop_source"], f"VIF a: {stats}")
    peer.stop()


def check_pmd(there, switch):
    """A stock testpmd without -d."""
    lab = there.lab
    argv = ["stdbuf", "-oL", "dpdk-testpmd", *lab.eal_args("testpmd", 96, 2),
            "--vdev", f"net_nfe0,socket={lab.socket('c')}", "--", "--total-num-mbufs=4096"]
    testpmd = there.start("testpmd", argv)
    testpmd.wait_log("Press enter to exit")

    def attached():
        info = ctl(there, switch, "info", "c")
        return info["attached"] and info["mac"] == vif_mac(2) and info["state"] == "ready"
    wait_until(attached, "VIF c attached", 5)
    testpmd.stop()
    done = lab.run(["dpdk-testpmd", *lab.eal_args("without", 64, 2), "--vdev",
                    f"net_nfe0,socket={lab.socket('c')}", "--"], check=False)
    expect('failed to parse device "net_nfe0"' in done.stdout + done.stderr,
           f"this machine's DPDK knows net_nfe without it:\n{done.stdout}{done.stderr}")


def main():
    tap = Tap()
    with Lab("install") as lab:
        there = Installed(lab)
        with tap.case("meson install: what the README names, and no more"):
            there.install()
            check_files(there)
        with tap.case("installed documents: links and paths lead somewhere"):
            check_documents(there)
        done = there.run(["true"], check=False)
        if done.returncode:
            tap.skip("what is installed works", f"no overlay mounts here: {done.stderr.strip()}")
            return tap.plan()
        with tap.case("public headers compile alone, as C and C++"):
            check_headers(there)
        switch = start_switch(there)
        with tap.case("a guest app of one's own: README's command, the guide's code", lab):
            check_app(there, switch)
        with tap.case("libnfe_vif.a links too"):
            build_app(there, os.path.join(ROOT, "app", "vif-echo", "main.c"),
                      os.path.join(lab.run_dir, "static"), "-l:libnfe_vif.a -pthread $(pkg-config "
                      "--libs libdpdk $(pkg-config --print-requires-private nfe-vif))")
            there.run([os.path.join(lab.run_dir, "static"), "--help"])
        with tap.case("stock testpmd finds the PMD", lab):
            check_pmd(there, switch)
    return tap.plan()


if __name__ == "__main__":
    sys.exit(main())
