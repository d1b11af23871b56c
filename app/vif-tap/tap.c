/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Set-up of the tap interface by ioctl(2): once at the start of vif-tap, and its carrier whenever
 * the VIF's link changes. Without TAP_HINTS the kernel computes checksums and cuts segments before
 * it gives us a frame.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tap.h"

#define TUN_DEVICE "/dev/net/tun"

static int
say(int err, const char *name, const char *what)
{
	fprintf(stderr, "vif-tap: tap %s: %s: %s\n", name, what, strerror(-err));
	return err;
}

/* Which checksums and segments the kernel may leave to us. */
static int
set_offload(int fd, const char *name, unsigned int offload)
{
	unsigned long flags = 0;

	if (offload & TAP_CSUM)
		flags |= TUN_F_CSUM;
	if (offload & TAP_TSO)
		flags |= TUN_F_TSO4 | TUN_F_TSO6;
	if (ioctl(fd, TUNSETOFFLOAD, flags) != 0)
		return say(-errno, name, "cannot set its offloads");
	return 0;
}

int
tap_open(const char *name, unsigned int offload)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL };
	size_t len = strlen(name);
	int fd, err;

	if (len == 0 || len >= IFNAMSIZ || strchr(name, '%') != NULL) {
		fprintf(stderr, "vif-tap: tap name \"%s\": %zu characters, "
			"1..%d without %% allowed\n", name, len, IFNAMSIZ - 1);
		return -EINVAL;
	}
	memcpy(ifr.ifr_name, name, len);
	if (offload & TAP_HINTS)
		ifr.ifr_flags |= IFF_VNET_HDR;
	fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return say(-errno, name, "cannot open " TUN_DEVICE
			   " (is the tun module there, are you root?)");
	if (ioctl(fd, TUNSETIFF, &ifr) == 0) {
		err = offload & TAP_HINTS ? set_offload(fd, name, offload) : 0;
		if (err == 0)
			return fd;
		close(fd);
		return err;
	}
	err = -errno;
	close(fd);
	if (err == -EBUSY || if_nametoindex(name) != 0)
		return say(-EBUSY, name, "an interface of this name exists");
	if (err == -EPERM)
		return say(err, name, "needs CAP_NET_ADMIN");
	return say(err, name, "cannot create");
}

/* One ioctl on the interface through a socket made for it. */
static int
interface_ioctl(const char *name, unsigned long request, struct ifreq *ifr, const char *what)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (sock < 0)
		return say(-errno, name, "socket");
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	if (ioctl(sock, request, ifr) != 0)
		rc = say(-errno, name, what);
	close(sock);
	return rc;
}

int
tap_set_mac(const char *name, const uint8_t mac[6])
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	return interface_ioctl(name, SIOCSIFHWADDR, &ifr, "cannot set the MAC address");
}

int
tap_set_mtu(const char *name, uint32_t mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };

	return interface_ioctl(name, SIOCSIFMTU, &ifr, "cannot set the MTU");
}

/* The switch takes no frame that makes more parts (4.8): a path of tiny segments must not stall. */
int
tap_set_max_parts(const char *name, uint32_t parts)
{
	struct {
		struct nlmsghdr nl;
		struct ifinfomsg link;
		struct rtattr attr;
		uint32_t value;
	} req = {
		.nl = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name) },
		.attr = { .rta_len = sizeof(req.attr) + sizeof(req.value),
			  .rta_type = IFLA_GSO_MAX_SEGS },
		.value = parts,
	};
	struct {
		struct nlmsghdr nl;
		struct nlmsgerr err;
		uint8_t more[512];
	} answer = { .err.error = -EPROTO };
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc = 0;

	if (sock < 0)
		return say(-errno, name, "socket");
	if (send(sock, &req, sizeof(req), 0) < 0 || recv(sock, &answer, sizeof(answer), 0) < 0)
		rc = -errno;
	else
		rc = answer.err.error;
	close(sock);
	return rc == 0 ? 0 : say(rc, name, "cannot limit segmentation");
}

int
tap_set_up(const char *name)
{
	struct ifreq ifr = { 0 };
	int rc = interface_ioctl(name, SIOCGIFFLAGS, &ifr, "cannot read its flags");

	if (rc != 0)
		return rc;
	ifr.ifr_flags |= IFF_UP;
	return interface_ioctl(name, SIOCSIFFLAGS, &ifr, "cannot set it up");
}

/* Address and netmask of "a.b.c.d/n". */
static int
parse_cidr(const char *cidr, struct in_addr *addr, struct in_addr *mask)
{
	const char *slash = strchr(cidr, '/');
	char text[INET_ADDRSTRLEN], *end;
	unsigned long bits;

	if (slash == NULL || (size_t)(slash - cidr) >= sizeof(text))
		return -EINVAL;
	memcpy(text, cidr, (size_t)(slash - cidr));
	text[slash - cidr] = '\0';
	if (inet_pton(AF_INET, text, addr) != 1)
		return -EINVAL;
	bits = strtoul(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > 32)
		return -EINVAL;
	mask->s_addr = bits == 0 ? 0 : htonl(UINT32_MAX << (32 - bits));
	return 0;
}

static int
set_inet(const char *name, unsigned long request, struct in_addr value, const char *what)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = value };
	struct ifreq ifr = { 0 };

	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	return interface_ioctl(name, request, &ifr, what);
}

int
tap_set_address(const char *name, const char *cidr)
{
	struct in_addr addr, mask;
	int rc;

	if (parse_cidr(cidr, &addr, &mask) != 0) {
		fprintf(stderr, "vif-tap: address \"%s\": not of the form 192.0.2.1/24\n", cidr);
		return -EINVAL;
	}
	rc = set_inet(name, SIOCSIFADDR, addr, "cannot set the address");
	if (rc == 0)
		rc = set_inet(name, SIOCSIFNETMASK, mask, "cannot set the netmask");
	return rc;
}

int
tap_set_carrier(int fd, const char *name, bool up)
{
	int carrier = up;

	if (ioctl(fd, TUNSETCARRIER, &carrier) != 0)
		return say(-errno, name, "cannot set the carrier");
	return 0;
}
