/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * vif-tap: hints between the kernel's header and our messages, and the checksum that it makes when
 * they cannot be expressed. The pump reads from a socket in place of a tap.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../vif-tap/hints.h"
#include "../vif-tap/pump.h"
#include "test.h"
#include "test_vif_fixture.h"

static int
hints_go_to_the_kernel_and_back(void)
{
	static const struct nfe_hints some[] = {
		{ .csum_start = 34, .csum_off = 16, .gso_size = 1448, .gso_type = NFE_GSO_TCPV4 },
		{ .csum_start = 58, .csum_off = 16, .gso_size = 1, .gso_type = NFE_GSO_TCPV6 },
		{ .csum_start = 54, .csum_off = 6 },
	};

	for (unsigned int i = 0; i < 3; i++) {
		uint8_t flags = NFE_MSG_F_CSUM_PARTIAL | (some[i].gso_size ? NFE_MSG_F_GSO : 0);
		struct virtio_net_hdr vh;
		struct nfe_hints h;

		hints_to_tap(flags, &some[i], &vh);
		TEST_EQ(vh.csum_start, some[i].csum_start);
		TEST_EQ(vh.gso_size, some[i].gso_size);
		TEST_EQ(hints_from_tap(&vh, &h), flags);
		TEST_MEM_EQ(&h, &some[i], sizeof(h));
	}
	return TEST_OK;
}

static int
frame_without_hints_has_an_empty_header(void)
{
	const struct nfe_hints none = { 0 };
	struct virtio_net_hdr vh, zero = { 0 };
	struct nfe_hints h;

	hints_to_tap(NFE_MSG_F_CSUM_OK, &none, &vh);
	TEST_MEM_EQ(&vh, &zero, sizeof(vh));
	TEST_EQ(hints_from_tap(&vh, &h), 0);
	TEST_MEM_EQ(&h, &none, sizeof(h));
	return TEST_OK;
}

/* What the hints cannot say must not look like something else. */
static int
what_has_no_hints_is_not_valid(void)
{
	uint8_t hdr[NFE_HDR_COPY] = { [12] = 0x08, [14] = 0x45, [23] = NFE_L4_TCP };
	struct virtio_net_hdr vh = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34,
				     .csum_offset = 16, .gso_size = 100 };
	struct nfe_hints h;
	uint8_t flags;

	flags = hints_from_tap(&vh, &h);
	TEST_TRUE(nfe_hints_valid(flags, &h, hdr, 1000));
	vh.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	flags = hints_from_tap(&vh, &h);
	TEST_TRUE(!nfe_hints_valid(flags, &h, hdr, 1000));
	vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
	flags = hints_from_tap(&vh, &h);
	TEST_TRUE(!nfe_hints_valid(flags, &h, hdr, 1000));
	vh.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	vh.csum_start = 256 + 34;
	flags = hints_from_tap(&vh, &h);
	TEST_TRUE(!nfe_hints_valid(flags, &h, hdr, 1000));
	return TEST_OK;
}

/* One piece at a time, against the same frame in one. */
static int
checksum_does_not_depend_on_the_pieces(void)
{
	uint8_t flat[600], cut[600];

	srandom(3);
	for (unsigned int round = 0; round < 2000; round++) {
		uint16_t start = (uint16_t)(14 + random() % 300), off = (uint16_t)(random() % 40);
		struct virtio_net_hdr vh = { .csum_start = start, .csum_offset = off };
		uint32_t len = start + off + 2 + (uint32_t)random() % 200, sum = 0, at[3];
		struct iovec one = { flat, len }, three[3];

		for (uint32_t i = 0; i < len; i++)
			flat[i] = cut[i] = (uint8_t)random();
		at[0] = (uint32_t)random() % len;
		at[1] = (uint32_t)random() % (len - at[0]);
		at[2] = len - at[0] - at[1];
		three[0] = (struct iovec){ cut, at[0] };
		three[1] = (struct iovec){ cut + at[0], at[1] };
		three[2] = (struct iovec){ cut + at[0] + at[1], at[2] };
		for (uint32_t i = start; i < len; i++)
			sum += (i - start) % 2 ? flat[i] : (uint32_t)flat[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
		sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
		if (sum == 0 && off == 6)
			sum = 0xffff;
		TEST_TRUE(hints_complete(&vh, &one, 1));
		TEST_EQ(nfe_be16(flat + start + off), sum);
		TEST_TRUE(hints_complete(&vh, three, 3));
		TEST_MEM_EQ(cut, flat, len);
		one.iov_len = start + off + 1;
		TEST_TRUE(!hints_complete(&vh, &one, 1));
	}
	return TEST_OK;
}

/* Regression: it was sent inline, where hints have no place: one frame with an open checksum. */
static int
short_frame_to_be_cut_keeps_its_hints(void)
{
	uint8_t frame[100] = { [12] = 0x08, [14] = 0x45, [23] = NFE_L4_TCP }; /* 46 bytes of payload */
	struct virtio_net_hdr vh = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34,
				     .csum_offset = NFE_TCP_CSUM_OFF, .gso_size = 20,
				     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 };
	struct iovec iov[2] = { { &vh, sizeof(vh) }, { frame, sizeof(frame) } };
	union nfe_msg msg;
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	struct pump p;
	int pair[2];

	TEST_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	vif->send_flags = NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO;
	pump_init(&p, vif, pair[0], true);
	TEST_TRUE(writev(pair[1], iov, 2) > 0);
	vh.gso_type = VIRTIO_NET_HDR_GSO_NONE; /* and one that is not to be cut */
	vh.gso_size = 0;
	TEST_TRUE(writev(pair[1], iov, 2) > 0);
	TEST_EQ(pump_from_tap(&p), 2);
	TEST_EQ(p.from_tap, 2);
	TEST_EQ(nfed_queue_avail(dev.sq), (int32_t)(nfe_dma_cells(1) + nfe_inline_cells(sizeof(frame))));
	nfed_sq_snapshot(dev.sq, 0, &msg);
	TEST_EQ(msg.type, NFE_MSG_DMA_TX);
	TEST_EQ(msg.tx.flags, NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO);
	TEST_EQ(msg.tx.hints.gso_size, 20);
	TEST_TRUE(nfe_hints_valid(msg.tx.flags, &msg.tx.hints, msg.tx.hdr, sizeof(frame)));
	nfed_sq_snapshot(dev.sq, nfe_dma_cells(1), &msg);
	TEST_EQ(msg.type, NFE_MSG_INLINE);
	close(pair[0]);
	close(pair[1]);
	dev_close(vif);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(hints_go_to_the_kernel_and_back),
	TEST_CASE(frame_without_hints_has_an_empty_header),
	TEST_CASE(what_has_no_hints_is_not_valid),
	TEST_CASE(checksum_does_not_depend_on_the_pieces),
	TEST_CASE(short_frame_to_be_cut_keeps_its_hints),
};
TEST_SUITE(tap_hints, cases);
