/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * tap-pump: what vif-tap is to a VIF, for a kernel bridge. It moves frames between two taps, each in
 * a network namespace of its own: one is the guest's interface, the other one a port of the bridge.
 * So the bridge is fed as vif-switch is: each frame goes through a process per guest. With --hints
 * checksum and segmentation hints go along, as they do between vif-taps. One thread; ends on SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FRAME_MAX 65553u /* bytes: 64 KB of IP, Ethernet header, one VLAN tag */
#define BATCH 32         /* frames in one direction before the other one is looked at */

static int
enter_netns(const char *name)
{
	char path[256];
	int fd, rc;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

/* A new tap of this name in that namespace; its descriptor or a negative errno. */
static int
tap_new(const char *netns, const char *name, bool hints)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL };
	unsigned long offload = hints ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
	int rc = enter_netns(netns), fd;

	if (rc != 0)
		return rc;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_flags = (short)(ifr.ifr_flags | (hints ? IFF_VNET_HDR : 0));
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, &ifr) == 0 && ioctl(fd, TUNSETOFFLOAD, offload) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* Up to a batch of frames, header included where there is one. Lost ones are TCP's business. */
static bool
move(int from, int to, uint8_t *frame, size_t size)
{
	for (int i = 0; i < BATCH; i++) {
		ssize_t len = read(from, frame, size);

		if (len <= 0)
			return false;
		if (write(to, frame, (size_t)len) < 0 && errno == EBADF)
			return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	static uint8_t frame[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	bool hints = argc == 6 && strcmp(argv[5], "--hints") == 0;
	int tap[2];

	if (argc != 5 && !hints) {
		fprintf(stderr, "usage: tap-pump NETNS NAME NETNS NAME [--hints]\n");
		return EXIT_FAILURE;
	}
	for (int i = 0; i < 2; i++) {
		tap[i] = tap_new(argv[1 + 2 * i], argv[2 + 2 * i], hints);
		if (tap[i] < 0) {
			fprintf(stderr, "tap-pump: %s in %s: %s\n", argv[2 + 2 * i],
				argv[1 + 2 * i], strerror(-tap[i]));
			return EXIT_FAILURE;
		}
	}
	printf("tap-pump: ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd fds[2] = { { tap[0], POLLIN, 0 }, { tap[1], POLLIN, 0 } };
		bool more = move(tap[0], tap[1], frame, sizeof(frame));

		more |= move(tap[1], tap[0], frame, sizeof(frame));
		if (!more && poll(fds, 2, -1) < 0 && errno != EINTR)
			return EXIT_FAILURE;
	}
}
