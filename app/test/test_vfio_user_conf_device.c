/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Conformance, see test_vfio_user_conformance.h: what all messages have in common, and the first
 * commands of a client.
 *
 *   argsz, size of a message                 wrong_size…
 *   Ancillary data                           unexpected_descriptors…
 *   DMA_MAP, DMA_UNMAP                       dma_map_out_of_range…, unmap_all…; a map over another
 *                                            and exact pieces: test_nfed_dma.c
 *   GET_INFO, GET_REGION_INFO                query_with_bad_fields…, region_info_is_short_first…
 */
#include "test_vfio_user_conformance.h"

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
unexpected_descriptors_are_refused_and_closed(void)
{
	static const struct rule rules[] = {
		{ "GET_INFO", 4, 16, EINVAL, COUNTER(bad_fds), 1, { { 16 } } },
		{ "region info", 5, 32, EINVAL, COUNTER(bad_fds), 16, { { 32 } } },
		{ "DMA_MAP with two", 2, 32, EINVAL, COUNTER(bad_fds), 2,
		  { .map = { 32, 3, 0, 0, 4096 } } },
		{ "DMA_UNMAP", 3, 24, EINVAL, COUNTER(bad_fds), 1,
		  { .unmap = { 24, 0, 0, 4096 } } },
		{ "WRITE", 10, 20, EINVAL, COUNTER(bad_fds), 1, { .rw = { 0, 0, 4 } } },
		{ "RESET", 13, 0, EINVAL, COUNTER(bad_fds), 3, { { 0 } } },
		{ "SET_IRQS fewer than vectors", 8, 20, EINVAL, COUNTER(bad_fds), 1,
		  { { 20, 0x24, 2, 0, 2 } } },
		{ "SET_IRQS more than vectors", 8, 20, EINVAL, COUNTER(bad_fds), 3,
		  { { 20, 0x24, 2, 0, 2 } } },
		{ "SET_IRQS disable", 8, 20, EINVAL, COUNTER(bad_fds), 1,
		  { { 20, 0x21, 2, 0, 0 } } },
	};

	return CHECK_RULES(rules);
}

/* More than may come at all are not taken out of the socket. */
static int
too_many_descriptors_end_the_connection(void)
{
	const unsigned int nb_fds[] = { VFIO_USER_MAX_FDS + 1, 32, 64 };
	int before = count_fds(), fds[64], open_fds, sock;
	struct device dev;
	uint8_t byte;

	TEST_EQ(dev_start(&dev), 0);
	for (unsigned int i = 0; i < 64; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	open_fds = count_fds();
	for (unsigned int i = 0; i < 3; i++) {
		sock = raw_attach(&dev);
		TEST_TRUE(sock >= 0);
		raw_request(sock, VFIO_USER_DEVICE_RESET, NULL, 0, fds, nb_fds[i]);
		dev_step(&dev, 0);
		TEST_TRUE(recv(sock, &byte, 1, MSG_DONTWAIT) <= 0);
		TEST_EQ(dev.disconnected, i + 1);
		TEST_STR_EQ(dev.why, "more than 16 descriptors in a message");
		TEST_EQ(dev_stats(&dev).bad_fds, i + 1);
		close(sock);
		TEST_EQ(count_fds(), open_fds);
	}
	TEST_EQ(dev.resets, 0);
	for (unsigned int i = 0; i < 64; i++)
		close(fds[i]);
	dev_stop(&dev);
	TEST_EQ(count_fds(), before);
	return TEST_OK;
}

static int
dma_map_of_anything_but_memory_is_refused(void)
{
	struct vfio_user_dma_map map = { 32, 3, 0, 0, 4096 };
	int sock, fds[3];
	struct device dev;

	TEST_EQ(dev_start(&dev), 0);
	sock = raw_attach(&dev);
	fds[0] = eventfd(0, EFD_CLOEXEC);
	fds[1] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fds[2] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	for (unsigned int i = 0; i < 3; i++) {
		raw_request(sock, VFIO_USER_DMA_MAP, &map, sizeof(map), &fds[i], 1);
		TEST_EQ(expect_error(&dev, sock, EPERM, COUNTER(bad_fds)), TEST_OK);
		close(fds[i]);
	}
	TEST_EQ(dev.maps, 0);
	close(sock);
	dev_stop(&dev);
	return TEST_OK;
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

static const struct test_case cases[] = {
	TEST_CASE(wrong_size_is_refused),
	TEST_CASE(unexpected_descriptors_are_refused_and_closed),
	TEST_CASE(too_many_descriptors_end_the_connection),
	TEST_CASE(dma_map_of_anything_but_memory_is_refused),
	TEST_CASE(dma_map_out_of_range_is_refused),
	TEST_CASE(unmap_all_reaches_the_device),
	TEST_CASE(query_with_bad_fields_is_refused),
	TEST_CASE(region_info_is_short_first_and_full_with_descriptor),
};
TEST_SUITE(vfio_user_conf_device, cases);
