/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A raw client that breaks the rules of vfio-user one by one. Of every refusal: the error reply,
 * the counter of its reason, no descriptor left behind, and the connection as usable as before (or
 * gone, where the stream is lost). Sections of QEMU's docs/interop/vfio-user.rst, and their cases:
 *
 *   VERSION comes first, once; major, minor  wrong_order…, bad_version…, unknown_command…
 *   version data                             json_garbage…, version_without_json…
 *   capabilities: max_msg_fds                client_gets_no_more_descriptors_than_it_takes
 *   twin_socket, write_multiple: optional    unknown_capabilities_are_not_taken_up
 *   Message sizes: argsz, size of a message  wrong_size…, impossible_message_size…, …_byte_by_byte…
 *   Header: type, reserved bits, error       bad_header_flags…
 *   No_reply, order of replies, Message ID   no_reply…, pipelined_requests_are_answered_in_order
 *   Commands: unknown, server to client      unknown_command…
 *   DMA_MAP, DMA_UNMAP                       dma_map_out_of_range…, unmap_all…; a map over another
 *                                            and exact pieces: test_nfed_dma.c
 *   GET_INFO, GET_REGION_INFO, …_IRQ_INFO    query_with_bad_fields…, region_info_is_short_first…
 *   SET_IRQS                                 set_irqs…
 *   REGION_READ, REGION_WRITE                region_access_out_of_range…; what is odd for the
 *                                            device itself: test_nfed_vfio_user.c
 *   Ancillary data                           unexpected_descriptors…, descriptor_…
 *   Client disconnection                     hang_up_inside_a_message…; test_vfio_user.c
 */
#include "test_vfio_user_fixture.h"

#define COUNTER(name) offsetof(struct vfio_user_server_stats, name)

static uint64_t
counter(const struct device *dev, size_t offset)
{
	struct vfio_user_server_stats stats = dev_stats(dev);

	return *(const uint64_t *)(const void *)((const char *)&stats + offset);
}

/* Step the server and expect its error reply, one more in the counter. */
static int
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
static int
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
static int
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

static int
unknown_command_is_refused(void)
{
	static const struct rule rules[] = {
		{ "command 0", 0, 0, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "DMA_READ is the server's", 11, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "DMA_WRITE likewise", 12, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "WRITE_MULTI", 15, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "DEVICE_FEATURE", 16, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "MIG_DATA_READ", 17, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "MIG_DATA_WRITE", 18, 16, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "14 is no command", 14, 0, ENOTSUP, COUNTER(bad_command), 0, { { 0 } } },
		{ "65535", 65535, 0, ENOTSUP, COUNTER(bad_command), 1, { { 0 } } },
		{ "second VERSION", 1, 4, EINVAL, COUNTER(bad_order), 0, { { 0 } } },
	};

	return CHECK_RULES(rules);
}

static int
wrong_size_is_refused(void)
{
	static const struct rule rules[] = {
		{ "GET_INFO short", 4, 12, EINVAL, COUNTER(bad_size), 0, { { 16 } } },
		{ "GET_INFO long", 4, 20, EINVAL, COUNTER(bad_size), 0, { { 16 } } },
		{ "GET_INFO argsz", 4, 16, EINVAL, COUNTER(bad_size), 0, { { 15 } } },
		{ "region info short", 5, 28, EINVAL, COUNTER(bad_size), 0, { { 32 } } },
		{ "region info argsz", 5, 32, EINVAL, COUNTER(bad_size), 0, { { 31 } } },
		{ "io fds short", 6, 8, EINVAL, COUNTER(bad_size), 0, { { 16, 0, 2 } } },
		{ "io fds argsz", 6, 16, EINVAL, COUNTER(bad_size), 0, { { 15, 0, 2 } } },
		{ "irq info short", 7, 15, EINVAL, COUNTER(bad_size), 0, { { 16 } } },
		{ "irq info argsz", 7, 16, EINVAL, COUNTER(bad_size), 0, { { 0 } } },
		{ "SET_IRQS short", 8, 16, EINVAL, COUNTER(bad_size), 0, { { 16 } } },
		{ "SET_IRQS argsz", 8, 20, EINVAL, COUNTER(bad_size), 0,
		  { { 24, 0x21, 2, 0, 1 } } },
		{ "SET_IRQS bools missing", 8, 20, EINVAL, COUNTER(bad_size), 0,
		  { { 20, 0x22, 2, 0, 4 } } },
		{ "SET_IRQS data with NONE", 8, 24, EINVAL, COUNTER(bad_size), 0,
		  { { 24, 0x21, 2, 0, 4 } } },
		{ "DMA_MAP short", 2, 24, EINVAL, COUNTER(bad_size), 0, { { 32, 3 } } },
		{ "DMA_MAP argsz", 2, 32, EINVAL, COUNTER(bad_size), 1,
		  { .map = { 31, 3, 0, 0, 4096 } } },
		{ "DMA_UNMAP long", 3, 32, EINVAL, COUNTER(bad_size), 0, { { 24 } } },
		{ "DMA_UNMAP argsz", 3, 24, EINVAL, COUNTER(bad_size), 0,
		  { .unmap = { 23, 0, 0, 4096 } } },
		{ "READ with data", 9, 20, EINVAL, COUNTER(bad_size), 0, { .rw = { 0, 0, 4 } } },
		{ "WRITE without data", 10, 16, EINVAL, COUNTER(bad_size), 0,
		  { .rw = { 0, 0, 4 } } },
		{ "WRITE with too much data", 10, 24, EINVAL, COUNTER(bad_size), 0,
		  { .rw = { 0, 0, 4 } } },
		{ "RESET with a body", 13, 4, EINVAL, COUNTER(bad_size), 0, { { 0 } } },
	};

	return CHECK_RULES(rules);
}

static int
region_access_out_of_range_is_refused(void)
{
	static const struct rule rules[] = {
		{ "read: region 9", 9, 16, EINVAL, COUNTER(bad_range), 0, { .rw = { 0, 9, 4 } } },
		{ "read: region ~0", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, UINT32_MAX, 4 } } },
		{ "read: empty region", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 3, 1 } } },
		{ "read: count 0", 9, 16, EINVAL, COUNTER(bad_range), 0, { .rw = { 0, 0, 0 } } },
		{ "read: one beyond", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { DEV_BAR0 - 3, 0, 4 } } },
		{ "read: offset at the end", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { DEV_BAR0, 0, 1 } } },
		{ "read: offset + count wraps", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { UINT64_MAX - 1, 0, 4 } } },
		{ "read: count over the limit", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 1, VFIO_USER_MAX_XFER + 1 } } },
		{ "read: count ~0", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 1, UINT32_MAX } } },
		{ "read: write-only region", 9, 16, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 2, 4 } } },
		{ "write: read-only region", 10, 20, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 0, 7, 4 } } },
		{ "write: one beyond", 10, 20, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { 4093, 2, 4 } } },
		{ "write: count 0", 10, 16, EINVAL, COUNTER(bad_range), 0, { .rw = { 0, 0, 0 } } },
		{ "write: offset wraps", 10, 20, EINVAL, COUNTER(bad_range), 0,
		  { .rw = { UINT64_MAX, 0, 4 } } },
	};

	return CHECK_RULES(rules);
}

static int
query_with_bad_fields_is_refused(void)
{
	static const struct rule rules[] = {
		{ "GET_INFO flags", 4, 16, EINVAL, COUNTER(bad_range), 0, { { 16, 1 } } },
		{ "region info index", 5, 32, EINVAL, COUNTER(bad_range), 0, { { 32, 0, 9 } } },
		{ "region info flags", 5, 32, EINVAL, COUNTER(bad_range), 0, { { 32, 1 } } },
		{ "region info size", 5, 32, EINVAL, COUNTER(bad_range), 0,
		  { .region = { 32, 0, 0, 0, 1, 0 } } },
		{ "io fds index", 6, 16, EINVAL, COUNTER(bad_range), 0, { { 96, 0, 9 } } },
		{ "io fds flags", 6, 16, EINVAL, COUNTER(bad_range), 0, { { 96, 1, 2 } } },
		{ "io fds count", 6, 16, EINVAL, COUNTER(bad_range), 0, { { 96, 0, 2, 1 } } },
		{ "irq info index", 7, 16, EINVAL, COUNTER(bad_range), 0, { { 16, 0, 5 } } },
		{ "irq info count", 7, 16, EINVAL, COUNTER(bad_range), 0, { { 16, 0, 2, 1 } } },
	};

	return CHECK_RULES(rules);
}

static int
set_irqs_out_of_range_is_refused(void)
{
	static const struct rule rules[] = {
		{ "index", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x24, 5, 0, 1 } } },
		{ "index without irqs", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x21, 0, 0, 0 } } },
		{ "start", 8, 20, EINVAL, COUNTER(bad_range), 1, { { 20, 0x24, 2, 20, 1 } } },
		{ "start ~0", 8, 20, EINVAL, COUNTER(bad_range), 1,
		  { { 20, 0x24, 2, UINT32_MAX, 1 } } },
		{ "count", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x24, 2, 19, 2 } } },
		{ "start + count wraps", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x24, 2, 2, UINT32_MAX } } },
		{ "count 0 with eventfd", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x24, 2, 0, 0 } } },
		{ "count 0 from 1", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x21, 2, 1, 0 } } },
		{ "no flags", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0, 2, 0, 1 } } },
		{ "no action", 8, 20, EINVAL, COUNTER(bad_range), 1, { { 20, 0x04, 2, 0, 1 } } },
		{ "no data", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x20, 2, 0, 1 } } },
		{ "two kinds of data", 8, 20, EINVAL, COUNTER(bad_range), 0,
		  { { 20, 0x25, 2, 0, 1 } } },
		{ "mask", 8, 20, EINVAL, COUNTER(bad_range), 0, { { 20, 0x09, 2, 0, 1 } } },
		{ "two actions", 8, 20, EINVAL, COUNTER(bad_range), 1, { { 20, 0x34, 2, 0, 1 } } },
		{ "reserved flag", 8, 20, EINVAL, COUNTER(bad_range), 1,
		  { { 20, 0x64, 2, 0, 1 } } },
	};

	return CHECK_RULES(rules);
}

static int
dma_map_out_of_range_is_refused(void)
{
	static const struct rule rules[] = {
		{ "size 0", 2, 32, EINVAL, COUNTER(bad_range), 1, { .map = { 32, 3, 0, 0, 0 } } },
		{ "size not of pages", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 3, 0, 0, 4097 } } },
		{ "iova misaligned", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 3, 0, 512, 4096 } } },
		{ "offset misaligned", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 3, 8, 0, 4096 } } },
		{ "iova + size wraps", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 3, 0, UINT64_MAX - 4095, 8192 } } },
		{ "offset + size over a file offset", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 3, INT64_MAX - 4095, 0, 8192 } } },
		{ "offset negative", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 3, UINT64_MAX - 4095, 0, 4096 } } },
		{ "no access", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 0, 0, 0, 4096 } } },
		{ "unknown flag", 2, 32, EINVAL, COUNTER(bad_range), 1,
		  { .map = { 32, 7, 0, 0, 4096 } } },
		{ "unmap size 0", 3, 24, EINVAL, COUNTER(bad_range), 0,
		  { .unmap = { 24, 0, 0, 0 } } },
		{ "unmap misaligned", 3, 24, EINVAL, COUNTER(bad_range), 0,
		  { .unmap = { 24, 0, 1, 4096 } } },
		{ "unmap wraps", 3, 24, EINVAL, COUNTER(bad_range), 0,
		  { .unmap = { 24, 0, UINT64_MAX - 4095, 8192 } } },
		{ "unmap unknown flag", 3, 24, EINVAL, COUNTER(bad_range), 0,
		  { .unmap = { 24, 1, 0, 4096 } } },
		{ "unmap all with a range", 3, 24, EINVAL, COUNTER(bad_range), 0,
		  { .unmap = { 24, 2, 0, 4096 } } },
	};

	return CHECK_RULES(rules);
}

static int
unexpected_descriptors_are_refused_and_closed(void)
{
	static const struct rule rules[] = {
		{ "GET_INFO", 4, 16, EINVAL, COUNTER(bad_fds), 1, { { 16 } } },
		{ "region info", 5, 32, EINVAL, COUNTER(bad_fds), 16, { { 32 } } },
		{ "DMA_MAP with two", 2, 32, EINVAL, COUNTER(bad_fds), 2,
		  { .map = { 32, 3, 0, 0, 4096 } } },
		{ "DMA_MAP with 32", 2, 32, EINVAL, COUNTER(bad_fds), 32,
		  { .map = { 32, 3, 0, 0, 4096 } } },
		{ "DMA_UNMAP", 3, 24, EINVAL, COUNTER(bad_fds), 1,
		  { .unmap = { 24, 0, 0, 4096 } } },
		{ "WRITE", 10, 20, EINVAL, COUNTER(bad_fds), 1, { .rw = { 0, 0, 4 } } },
		{ "RESET", 13, 0, EINVAL, COUNTER(bad_fds), 3, { { 0 } } },
		{ "SET_IRQS fewer than vectors", 8, 20, EINVAL, COUNTER(bad_fds), 1,
		  { { 20, 0x24, 2, 0, 2 } } },
		{ "SET_IRQS more than vectors", 8, 20, EINVAL, COUNTER(bad_fds), 3,
		  { { 20, 0x24, 2, 0, 2 } } },
		{ "SET_IRQS 17", 8, 20, EINVAL, COUNTER(bad_fds), 17,
		  { { 20, 0x24, 2, 0, 17 } } },
		{ "SET_IRQS disable", 8, 20, EINVAL, COUNTER(bad_fds), 1,
		  { { 20, 0x21, 2, 0, 0 } } },
	};

	return CHECK_RULES(rules);
}

static int
descriptor_that_is_no_eventfd_is_refused(void)
{
	const struct vfio_user_irq_set set = { 20, 0x24, 2, 0, 1 };
	struct device dev;
	int sock, pipefd[2], before;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_EQ(pipe(pipefd), 0);
	before = count_fds();
	raw_request(sock, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), &pipefd[1], 1);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_fds)), TEST_OK);
	TEST_EQ(count_fds(), before);
	TEST_EQ(vfio_user_irq_fire(dev.server, 0), false);
	close(pipefd[0]);
	close(pipefd[1]);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
set_irqs_forms_of_qemu_work(void)
{
	static const struct { struct vfio_user_irq_set set; uint8_t bools[4]; } msgs[] = {
		{ { 20, 0x24, 2, 4, 1 }, { 0 } },          /* eventfd */
		{ { 20, 0x24, 2, 5, 1 }, { 0 } },          /* no eventfd */
		{ { 20, 0x24, 3, 0, 1 }, { 0 } },          /* error interrupt */
		{ { 20, 0x21, 2, 4, 1 }, { 0 } },          /* raised by the client */
		{ { 24, 0x22, 2, 2, 4 }, { 0, 0, 1, 1 } }, /* so are 4 and 5 */
		{ { 20, 0x21, 2, 0, 0 }, { 0 } },          /* disable all */
	};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), sock, before;
	struct vfio_user_hdr hdr;
	struct device dev;
	eventfd_t value;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	before = count_fds();
	for (unsigned int i = 0; i < sizeof(msgs) / sizeof(msgs[0]); i++) {
		raw_request(sock, VFIO_USER_DEVICE_SET_IRQS, &msgs[i], msgs[i].set.argsz, &fd,
			    i == 0 || i == 2 ? 1 : 0);
		dev_step(&dev, 0);
		TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
		TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	}
	TEST_EQ(eventfd_read(fd, &value), 0);
	TEST_EQ(value, 2);
	TEST_EQ(count_fds(), before);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
region_info_is_short_first_and_full_with_descriptor(void)
{
	struct vfio_user_region_info ask = { .argsz = 32 };
	struct { struct vfio_user_region_info info; uint32_t cap[8]; } full;
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock, before;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_request(sock, VFIO_USER_DEVICE_GET_REGION_INFO, &ask, sizeof(ask), NULL, 0);
	dev_step(&dev, 0);
	before = count_fds();
	TEST_EQ(raw_reply(sock, &hdr, &full, sizeof(full)), 32);
	TEST_EQ(full.info.argsz, 64);
	TEST_EQ(full.info.flags, 15);
	TEST_EQ(full.info.cap_offset, 32);
	ask.argsz = 64;
	raw_request(sock, VFIO_USER_DEVICE_GET_REGION_INFO, &ask, sizeof(ask), NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(count_fds(), before);
	TEST_EQ(raw_reply(sock, &hdr, &full, sizeof(full)), 64);
	TEST_EQ(full.cap[0], 0x00010001);
	TEST_EQ(full.cap[1], 0);
	TEST_EQ(full.cap[2], 1);
	TEST_EQ(full.cap[3], 0);
	TEST_EQ(full.cap[4], 4096);
	TEST_EQ(full.cap[6], 8192);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
unmap_all_reaches_the_device(void)
{
	struct vfio_user_dma_unmap unmap = { 24, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0 };
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_request(sock, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(raw_reply(sock, &hdr, &unmap, sizeof(unmap)), sizeof(unmap));
	TEST_EQ(dev.iova, 0);
	TEST_TRUE(dev.size == UINT64_MAX);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
no_reply_is_honoured(void)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_region_rw rw; uint32_t data; } msg = {
		{ 7, VFIO_USER_REGION_WRITE, 36, VFIO_USER_F_NO_REPLY, 0 }, { 0, 0, 4 }, 1
	};
	struct vfio_user_hdr hdr;
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_send_fds(sock, &msg, 36, NULL, 0);
	msg.rw.region = 9;
	raw_send_fds(sock, &msg, 36, NULL, 0);
	dev_step(&dev, 0);
	TEST_EQ(dev.writes, 1);
	TEST_EQ(dev_stats(&dev).bad_range, 1);
	TEST_EQ(dev_stats(&dev).errors_sent, 0);
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), -1);
	TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Sends hdr alone, which loses the stream, before or after VERSION. */
static int
expect_lost(bool attached, uint32_t size)
{
	const struct vfio_user_hdr hdr = { 0x5a5a, VFIO_USER_REGION_READ, size, 0, 0 };
	struct device dev;
	uint8_t byte;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = attached ? raw_attach(&dev) : raw_connect(&dev);
	raw_send_fds(sock, &hdr, sizeof(hdr), NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EMSGSIZE, COUNTER(bad_size)), TEST_OK);
	TEST_EQ(recv(sock, &byte, 1, MSG_DONTWAIT), 0);
	TEST_EQ(dev.disconnected, attached);
	TEST_EQ(vfio_user_conn_fd(dev.server), -1);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
impossible_message_size_ends_the_connection(void)
{
	TEST_EQ(expect_lost(true, 15), TEST_OK);
	TEST_EQ(expect_lost(true, 0), TEST_OK);
	TEST_EQ(expect_lost(true, UINT32_MAX), TEST_OK);
	TEST_EQ(expect_lost(true, VFIO_USER_MAX_MSG + 1), TEST_OK);
	TEST_EQ(expect_lost(false, 8), TEST_OK);
	TEST_EQ(expect_lost(false, 65536), TEST_OK); /* no allocation before VERSION */
	return TEST_OK;
}

static int
bad_header_flags_are_refused(void)
{
	struct vfio_user_hdr hdr = { 0x5a5a, VFIO_USER_DEVICE_RESET, 16, 2, 0 };
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	raw_send_fds(sock, &hdr, 16, NULL, 0); /* type 2 */
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = 0x40;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = VFIO_USER_F_ERROR;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = 0;
	hdr.error = 1;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_header)), TEST_OK);
	hdr.flags = VFIO_USER_F_REPLY; /* to a request that we never sent: counted, not answered */
	hdr.error = 0;
	raw_send_fds(sock, &hdr, 16, NULL, 0);
	TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	TEST_EQ(dev_stats(&dev).bad_header, 5);
	TEST_EQ(dev.resets, 0);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* First message of a new connection; refused, and the connection ends. */
static int
expect_refused(uint16_t cmd, const char *body, uint32_t len, unsigned int nb_fds, int error,
	       size_t reason)
{
	int fd = eventfd(0, EFD_CLOEXEC), sock, before;
	struct device dev;
	uint8_t byte;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_connect(&dev);
	before = count_fds();
	raw_request(sock, cmd, body, len, &fd, nb_fds);
	TEST_EQ(expect_error(&dev, sock, error, reason), TEST_OK);
	TEST_EQ(recv(sock, &byte, 1, MSG_DONTWAIT), 0);
	TEST_EQ(count_fds(), before);
	TEST_EQ(dev.connected, 0);
	TEST_EQ(dev.disconnected, 0);
	close(sock);
	close(fd);
	dev_stop(&dev);
	return TEST_OK;
}

static int
wrong_order_is_refused(void)
{
	const char zero[32] = { 0 };

	TEST_EQ(expect_refused(4, zero, 16, 0, EINVAL, COUNTER(bad_order)), TEST_OK);
	TEST_EQ(expect_refused(2, zero, 32, 1, EINVAL, COUNTER(bad_order)), TEST_OK);
	TEST_EQ(expect_refused(99, zero, 0, 0, EINVAL, COUNTER(bad_order)), TEST_OK);
	return TEST_OK;
}

#define VERSION_JSON(json) "\0\0\0\0" json, sizeof("\0\0\0\0" json)

static int
bad_version_is_refused(void)
{
	TEST_EQ(expect_refused(1, "\1\0\0\0", 4, 0, ENOTSUP, COUNTER(refused_version)), TEST_OK);
	TEST_EQ(expect_refused(1, "\0\0", 2, 0, EINVAL, COUNTER(bad_size)), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{}"), 1, EINVAL, COUNTER(bad_fds)), TEST_OK);
	return TEST_OK;
}

static int
json_garbage_is_refused(void)
{
	const size_t bad = COUNTER(bad_json);
	char deep[4096];

	TEST_EQ(expect_refused(1, VERSION_JSON(""), 0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{"), 0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("[]"), 0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{} x"), 0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("\xff\xfe"), 0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{}\0{}"), 0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, "\0\0\0\0{}", 6, 0, EINVAL, bad), TEST_OK); /* no NUL */
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"capabilities\":3}"), 0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":\"a\"}}"), 0,
			       EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"capabilities\":{\"max_data_xfer_size\":-1}}"),
			       0, EINVAL, bad), TEST_OK);
	TEST_EQ(expect_refused(1, VERSION_JSON("{\"a\":1,\"a\":2}"), 0, EINVAL, bad), TEST_OK);
	memset(deep, '[', sizeof(deep));
	memset(deep, 0, 4);
	deep[sizeof(deep) - 1] = '\0';
	TEST_EQ(expect_refused(1, deep, sizeof(deep), 0, EINVAL, bad), TEST_OK);
	return TEST_OK;
}

static int
version_without_json_is_accepted(void)
{
	struct vfio_user_hdr hdr;
	struct device dev;
	char body[256];
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_connect(&dev);
	raw_request(sock, VFIO_USER_VERSION, "\0\0\5\0", 4, NULL, 0);
	dev_step(&dev, 0);
	TEST_TRUE(raw_reply(sock, &hdr, body, sizeof(body)) > 4);
	TEST_MEM_EQ(body, "\0\0\0\0", 4);
	TEST_STR_EQ(body + 4, "{\"capabilities\":{\"max_msg_fds\":16,"
			      "\"max_data_xfer_size\":1048576,\"pgsizes\":4096}}");
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Attaches with this version data; the JSON of the reply in body. The socket, or -1. */
static int
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

static int
unknown_capabilities_are_not_taken_up(void)
{
	struct device dev;
	char body[256];
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = attach_with(&dev,
			   VERSION_JSON("{\"capabilities\":{\"twin_socket\":{\"supported\":true},"
					"\"write_multiple\":true,\"migration\":{},\"x\":[1]}}"),
			   body, sizeof(body));
	TEST_TRUE(sock >= 0);
	TEST_TRUE(strstr(body + 4, "twin_socket") == NULL);
	TEST_TRUE(strstr(body + 4, "write_multiple") == NULL);
	TEST_EQ(expect_alive(&dev, sock), TEST_OK);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Kick descriptors come in one message; 1 is what holds for a client that says nothing. */
static int
client_gets_no_more_descriptors_than_it_takes(void)
{
	static const struct {
		const char *version;
		uint32_t len;
		bool all;
	} row[] = {
		{ "\0\0\0\0", 4, false },
		{ VERSION_JSON("{\"capabilities\":{}}"), false },
		{ VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":1}}"), false },
		{ VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":2}}"), true },
		{ VERSION_JSON("{\"capabilities\":{\"max_msg_fds\":4000000000000}}"), true },
	};
	const struct vfio_user_region_io_fds ask = { .argsz = 4096, .index = 2 };
	uint8_t body[256];

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct vfio_user_hdr hdr;
		struct device dev;
		int sock;

		TEST_EQ(dev_start(&dev), 0);
		sock = attach_with(&dev, row[i].version, row[i].len, (char *)body, sizeof(body));
		TEST_TRUE(sock >= 0);
		raw_request(sock, VFIO_USER_DEVICE_GET_REGION_IO_FDS, &ask, sizeof(ask), NULL, 0);
		dev_step(&dev, 0);
		TEST_TRUE(raw_reply(sock, &hdr, body, sizeof(body)) >= 0);
		TEST_EQ(hdr.flags, VFIO_USER_F_REPLY | (row[i].all ? 0 : VFIO_USER_F_ERROR));
		TEST_EQ(hdr.error, row[i].all ? 0 : ENOTSUP);
		TEST_EQ(expect_alive(&dev, sock), TEST_OK);
		close(sock);
		dev_stop(&dev);
	}
	return TEST_OK;
}

/* All in one piece: replies in order, none for No_reply, ids echoed even if they are the same. */
static int
pipelined_requests_are_answered_in_order(void)
{
	enum { N = 24 };
	struct { struct vfio_user_hdr hdr; struct vfio_user_region_rw rw; } msg[N];
	struct vfio_user_hdr hdr;
	uint8_t body[64];
	struct device dev;
	int sock;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	for (unsigned int i = 0; i < N; i++) {
		msg[i].hdr = (struct vfio_user_hdr){
			.id = (uint16_t)(i / 2), .cmd = VFIO_USER_REGION_READ, .size = sizeof(msg[i]),
			.flags = i % 3 == 2 ? VFIO_USER_F_NO_REPLY : 0,
		};
		msg[i].rw = (struct vfio_user_region_rw){ 4 * i, i % 4 == 1 ? 9u : 0u, 4 };
	}
	raw_send_fds(sock, msg, sizeof(msg), NULL, 0);
	dev_step(&dev, 0);
	for (unsigned int i = 0; i < N; i++) {
		struct vfio_user_region_rw rw;

		if (i % 3 == 2)
			continue;
		TEST_TRUE(raw_reply(sock, &hdr, body, sizeof(body)) >= 0);
		TEST_EQ(hdr.id, i / 2);
		TEST_EQ(hdr.cmd, VFIO_USER_REGION_READ);
		TEST_EQ(hdr.size, i % 4 == 1 ? 16 : 36);
		if (i % 4 == 1)
			continue;
		memcpy(&rw, body, sizeof(rw));
		TEST_EQ(rw.offset, 4 * i);
	}
	TEST_EQ(raw_reply(sock, &hdr, body, sizeof(body)), -1);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
message_byte_by_byte_is_understood(void)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_dma_map map; } msg = {
		{ 0x5a5a, VFIO_USER_DMA_MAP, 48, 0, 0 }, { 32, 1, 0, 0x7000, 4096 }
	};
	int fd = memfd_create("guest", MFD_CLOEXEC), sock;
	struct vfio_user_hdr hdr;
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	TEST_EQ(ftruncate(fd, 4096), 0);
	for (unsigned int i = 0; i < sizeof(msg); i++) {
		TEST_EQ(dev.maps, 0);
		raw_send_fds(sock, (char *)&msg + i, 1, &fd, i == 0 ? 1 : 0);
		dev_step(&dev, 0);
	}
	TEST_EQ(raw_reply(sock, &hdr, NULL, 0), 0);
	TEST_EQ(hdr.flags, VFIO_USER_F_REPLY);
	TEST_EQ(dev.maps, 1);
	TEST_EQ(dev.iova, 0x7000);
	TEST_EQ(dev.had_fd, true);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

static int
descriptor_after_the_first_byte_is_refused(void)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_dma_map map; } msg = {
		{ 0x5a5a, VFIO_USER_DMA_MAP, 48, 0, 0 }, { 32, 1, 0, 0x7000, 4096 }
	};
	int fd = eventfd(0, EFD_CLOEXEC), sock, before;
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	before = count_fds();
	raw_send_fds(sock, &msg, 20, NULL, 0);
	dev_step(&dev, 0);
	raw_send_fds(sock, (char *)&msg + 20, 28, &fd, 1);
	TEST_EQ(expect_error(&dev, sock, EINVAL, COUNTER(bad_fds)), TEST_OK);
	TEST_EQ(count_fds(), before);
	TEST_EQ(dev.maps, 0);
	close(fd);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
}

/* Hang up after len bytes of a DMA_MAP with a descriptor. */
static int
hang_up_after(uint32_t len, size_t reason)
{
	struct { struct vfio_user_hdr hdr; struct vfio_user_dma_map map; } msg = {
		{ 0x5a5a, VFIO_USER_DMA_MAP, 48, 0, 0 }, { 32, 1, 0, 0x7000, 4096 }
	};
	int fd = eventfd(0, EFD_CLOEXEC), sock, before;
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	before = count_fds();
	sock = raw_attach(&dev);
	raw_send_fds(sock, &msg, len, &fd, 1);
	dev_step(&dev, 0);
	close(sock);
	dev_step(&dev, 0);
	TEST_EQ(dev.disconnected, 1);
	TEST_EQ(dev.maps, 0);
	TEST_EQ(counter(&dev, reason), 1);
	TEST_EQ(count_fds(), before);
	TEST_TRUE(strstr(dev.why, "bytes of a message") != NULL);
	close(fd);
	dev_stop(&dev);
	return TEST_OK;
}

static int
hang_up_inside_a_message_is_counted(void)
{
	TEST_EQ(hang_up_after(1, COUNTER(bad_header)), TEST_OK);
	TEST_EQ(hang_up_after(15, COUNTER(bad_header)), TEST_OK);
	TEST_EQ(hang_up_after(16, COUNTER(bad_size)), TEST_OK);
	TEST_EQ(hang_up_after(47, COUNTER(bad_size)), TEST_OK);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(unknown_command_is_refused),
	TEST_CASE(wrong_size_is_refused),
	TEST_CASE(region_access_out_of_range_is_refused),
	TEST_CASE(query_with_bad_fields_is_refused),
	TEST_CASE(set_irqs_out_of_range_is_refused),
	TEST_CASE(dma_map_out_of_range_is_refused),
	TEST_CASE(unexpected_descriptors_are_refused_and_closed),
	TEST_CASE(descriptor_that_is_no_eventfd_is_refused),
	TEST_CASE(set_irqs_forms_of_qemu_work),
	TEST_CASE(region_info_is_short_first_and_full_with_descriptor),
	TEST_CASE(unmap_all_reaches_the_device),
	TEST_CASE(no_reply_is_honoured),
	TEST_CASE(impossible_message_size_ends_the_connection),
	TEST_CASE(bad_header_flags_are_refused),
	TEST_CASE(wrong_order_is_refused),
	TEST_CASE(bad_version_is_refused),
	TEST_CASE(json_garbage_is_refused),
	TEST_CASE(version_without_json_is_accepted),
	TEST_CASE(unknown_capabilities_are_not_taken_up),
	TEST_CASE(client_gets_no_more_descriptors_than_it_takes),
	TEST_CASE(pipelined_requests_are_answered_in_order),
	TEST_CASE(message_byte_by_byte_is_understood),
	TEST_CASE(descriptor_after_the_first_byte_is_refused),
	TEST_CASE(hang_up_inside_a_message_is_counted),
};
TEST_SUITE(vfio_user_conformance, cases);
