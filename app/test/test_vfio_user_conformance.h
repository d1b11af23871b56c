/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the suites of conformance share: a raw client that breaks the rules of vfio-user one by one.
 * Of every refusal: the error reply, the counter of its reason, no descriptor left behind, and the
 * connection as usable as before (or gone, where the stream is lost). Sections of QEMU's
 * docs/interop/vfio-user.rst, in order, and where their cases are:
 *
 *   test_vfio_user_conf_wire.c     socket, header, VERSION and its capabilities
 *   test_vfio_user_conf_device.c   sizes and descriptors of all messages, DMA_MAP, DMA_UNMAP,
 *                                  GET_INFO, GET_REGION_INFO
 *   test_vfio_user_conf_access.c   GET_REGION_IO_FDS and all that follows it
 */
#ifndef TEST_VFIO_USER_CONFORMANCE_H
#define TEST_VFIO_USER_CONFORMANCE_H

#include "test_vfio_user_fixture.h"

#define COUNTER(name) offsetof(struct vfio_user_server_stats, name)

static inline uint64_t
counter(const struct device *dev, size_t offset)
{
	struct vfio_user_server_stats stats = dev_stats(dev);

	return *(const uint64_t *)(const void *)((const char *)&stats + offset);
}

/* Step the server and expect its error reply, one more in the counter. */
static inline int
expect_error(struct device *dev, int sock, int error, size_t reason)
{
	uint64_t sent = dev_stats(dev).errors_sent, before = counter(dev, reason);
	struct vfio_user_hdr hdr;

	dev_step(dev, 0);
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
	TEST_EQ(hdr.id, 0x5a5a);
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY | VFIO_USER_F_ERROR);
	TEST_EQ(hdr.error, error);
	TEST_EQ(dev_stats(dev).errors_sent, sent + 1);
	TEST_EQ(counter(dev, reason), before + 1);
	return TEST_OK;
}

/* The connection still answers. */
static inline int
expect_alive(struct device *dev, int sock)
{
	struct vfio_user_device info = { .argsz = sizeof(info) };
	struct vfio_user_hdr hdr;

	raw_request(sock, VFIO_USER_DEVICE_GET_INFO, &info, sizeof(info), NULL, 0);
	dev_step(dev, 0);
	TEST_EQ(raw_reply(sock, &hdr, &info, sizeof(info)), sizeof(info));
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	TEST_EQ(info.nb_regions, 9);
	return TEST_OK;
}

struct rule {
	const char *name;
	uint16_t cmd;
	uint32_t len; /* of the body */
	int error;
	size_t reason;
	unsigned int nb_fds; /* eventfds sent along */
	union {
		uint32_t u32[16];
		uint64_t u64[8];
		struct vfio_user_dma_map map;
		struct vfio_user_dma_unmap unmap;
		struct vfio_user_region_info region;
		struct vfio_user_irq_set irq;
		struct vfio_user_region_rw rw;
	} body;
};

/* Break each rule of the table on one connection, which must survive them all. */
static inline int
check_rules(const struct rule *rules, unsigned int n)
{
	int fds[32], before = count_fds();
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_TRUE(sock >= 0);
	for (unsigned int i = 0; i < 32; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (unsigned int i = 0; i < n; i++) {
		int open_fds = count_fds();

		raw_request(sock, rules[i].cmd, &rules[i].body, rules[i].len, fds,
			    rules[i].nb_fds);
		if (expect_error(&dev, sock, rules[i].error, rules[i].reason) != TEST_OK ||
		    expect_alive(&dev, sock) != TEST_OK || count_fds() != open_fds) {
			printf("# rule: %s\n", rules[i].name);
			return TEST_FAILED;
		}
	}
	TEST_EQ(dev.maps + dev.unmaps + dev.resets + dev.writes, 0);
	for (unsigned int i = 0; i < 32; i++)
		close(fds[i]);
	close(sock);
	dev_stop(&dev);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}
#define CHECK_RULES(rules) check_rules(rules, sizeof(rules) / sizeof((rules)[0]))
#define VERSION_JSON(json) "\0\0\0\0" json, sizeof("\0\0\0\0" json)

/* Attaches with this version data; the JSON of the reply in body. The socket, or -1. */
static inline int
attach_with(struct device *dev, const void *version, uint32_t len, char *body, uint32_t room)
{
	int sock = raw_connect(dev);
	struct vfio_user_hdr hdr;

	raw_request(sock, VFIO_USER_VERSION, version, len, NULL, 0);
	dev_step(dev, 0);
	if (raw_reply(sock, &hdr, body, room) > 4 && hdr.flags == VFIO_USER_F_REPLY)
		return sock;
	close(sock);
	return -1;
}

#endif /* TEST_VFIO_USER_CONFORMANCE_H */
