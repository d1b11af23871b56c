/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/vif, messages: what it builds against the contract byte by byte, and what it does with
 * hostile ones. The device end is played by hand, see test_vif_fixture.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "test.h"
#include "test_vif_fixture.h"

static int
inline_message_is_byte_for_byte_the_contract(void)
{
	union nfe_msg cells[3];
	uint8_t *bytes = (uint8_t *)cells, frame[124], zeros[64] = { 0 };

	memset(cells, 0xee, sizeof(cells));
	fill_random(frame, sizeof(frame));
	TEST_EQ(vif_msg_inline(cells, 3, frame, 61), 2);
	TEST_EQ(bytes[0], 1);
	TEST_EQ(bytes[1], 0);
	TEST_EQ(bytes[2] | bytes[3] << 8, 61);
	TEST_MEM_EQ(bytes + 4, frame, 61);
	TEST_MEM_EQ(bytes + 65, zeros, 63); /* nothing stale travels */
	TEST_EQ(bytes[128], 0xee);
	TEST_EQ(vif_msg_inline(cells, 3, frame, 60), 1);
	TEST_EQ(vif_msg_inline(cells, 1, frame, 61), 0);
	TEST_EQ(vif_msg_inline(cells, 3, frame, 13), 0);
	return TEST_OK;
}

static int
dma_message_is_byte_for_byte_the_contract(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	union nfe_msg cell;
	uint8_t *b = cell.bytes;
	uint32_t buf = (uint32_t)vif_buf_get(vif), key;
	uint64_t offset;

	memset(&cell, 0xee, sizeof(cell));
	fill_random(vif_buf(vif, buf), BUF_SIZE);
	TEST_EQ(vif_msg_dma(vif, &cell, buf, 16, 200), 1);
	TEST_EQ(b[0], 2);
	TEST_EQ(b[1], 0);
	TEST_EQ(b[2] | b[3] << 8, 160); /* the header copy is not in the segment */
	memcpy(&key, b + 4, 4);
	TEST_EQ(key, KEY);
	memcpy(&offset, b + 8, 8);
	TEST_EQ(offset, (uint8_t *)vif_buf(vif, buf) - vif->base + 16 + 40);
	TEST_EQ(b[16] | b[17] | b[18] | b[19] | b[20] | b[21] | b[22], 0);
	TEST_EQ(b[23], 1);
	TEST_MEM_EQ(b + 24, (uint8_t *)vif_buf(vif, buf) + 16, 40);
	dev_close(vif);
	return TEST_OK;
}

static int
dma_segments_go_on_in_continuation_cells(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	union nfe_msg cells[3];
	struct vif_seg segs[6];

	memset(cells, 0xee, sizeof(cells));
	for (unsigned int i = 0; i < 6; i++)
		segs[i] = (struct vif_seg){ (uint32_t)vif_buf_get(vif), i, 100 + i };
	TEST_EQ(vif_msg_dma_segs(vif, cells, 2, segs, 6), 0);
	TEST_EQ(vif_msg_dma_segs(vif, cells, 3, segs, 6), 3);
	TEST_EQ(cells[0].tx.len, 60);
	TEST_EQ(cells[0].tx.hints.nsegs, 6);
	for (unsigned int i = 1; i < 6; i++) {
		struct nfe_seg_tx s = cells[1 + (i - 1) / 4].seg_tx[(i - 1) % 4];

		TEST_EQ(s.key, KEY);
		TEST_EQ(s.len, 100 + i);
		TEST_EQ(s.offset, vif->bufs_offset + segs[i].buf * BUF_SIZE + i);
	}
	for (unsigned int i = 16; i < 64; i++)
		TEST_EQ(cells[2].bytes[i], 0);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_SENT), 6);
	dev_close(vif);
	return TEST_OK;
}

static int
builder_refuses_segments_out_of_range(void)
{
	static const struct vif_seg bad[] = {
		{ 0, 0, 40 }, { 0, 0, 0 }, { 0, 0, BUF_SIZE + 1 }, { 0, 1, BUF_SIZE },
		{ BUFS, 0, 100 }, { 0, BUF_SIZE + 1, 50 }, { 0, UINT32_MAX, 50 },
		{ 0, 50, UINT32_MAX },
	};
	struct vif_seg segs[MAX_SEGS + 1];
	union nfe_msg cells[4];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);

	for (unsigned int i = 0; i < RTE_DIM(bad); i++)
		TEST_EQ(vif_msg_dma_segs(vif, cells, 4, &bad[i], 1), 0);
	for (unsigned int i = 0; i < RTE_DIM(segs); i++)
		segs[i] = (struct vif_seg){ i, 0, 100 };
	TEST_EQ(vif_msg_dma_segs(vif, cells, 4, segs, 0), 0);
	TEST_EQ(vif_msg_dma_segs(vif, cells, 4, segs, MAX_SEGS + 1), 0);
	TEST_EQ(vif_send(vif, segs, 13), -EMSGSIZE);
	TEST_EQ(vif_send(vif, segs, MAX_FRAME + 1), -EMSGSIZE);
	dev_close(vif);
	return TEST_OK;
}

/* Rule 15: what is shared is rings, status block and buffers, each on pages of their own, and
 * nothing of this process stands in them. */
static int
memory_shared_with_the_switch_holds_nothing_but_rings(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	const struct rte_ring *ring[] = { vif->send.r, vif->recv.r, vif->fill.r };
	const uint8_t *part[] = { (uint8_t *)vif->status, (uint8_t *)ring[0], (uint8_t *)ring[1],
				  (uint8_t *)ring[2], vif->bufs };
	size_t bytes = 0, zero = 0;

	for (unsigned int i = 0; i < RTE_DIM(part); i++)
		TEST_EQ((uintptr_t)part[i] % NFE_PAGE_SIZE, 0);
	for (unsigned int i = 0; i < RTE_DIM(ring); i++) {
		TEST_TRUE(ring[i]->memzone == NULL); /* no address of ours */
		for (const uint8_t *p = (const uint8_t *)ring[i];
		     p < (const uint8_t *)(ring[i] + 1); p++)
			bytes += *p != 0;
	}
	for (size_t i = 0; i < vif->len; i++)
		zero += vif->base[i] == 0;
	TEST_EQ(zero, vif->len - bytes);
	dev_close(vif);
	return TEST_OK;
}

enum bad { BAD_TYPE, BAD_FLAGS, BAD_RUNT, BAD_INLINE_LEN, BAD_COOKIE, BAD_COOKIE_FREE, BAD_LEN_0,
	   BAD_LEN_LONG, BAD_SUM_RUNT, BAD_NSEGS_0, BAD_NSEGS_MANY, BAD_SEG_LEN, BAD_SEG_COOKIE,
	   BAD_FRAME_LONG, BAD_FILL_END, BAD_RET_N, BAD_RET_MANY, BAD_RET_COOKIE, BAD_REQ,
	   BAD_MAX };

/* What each lie does to a good two-buffer message, cells it has, and the counter that shows it. */
static uint64_t *
make_bad(enum bad bad, union nfe_msg m[4], unsigned int *n, struct vif_rx_counters *c)
{
	switch (bad) {
	case BAD_TYPE: m[0].type = 0x77; return &c->bad_type;
	case BAD_REQ: m[0].type = NFE_MSG_REQ; return &c->bad_type;
	case BAD_FLAGS: m[0].flags = NFE_MSG_F_GSO; return &c->bad_type;
	case BAD_RUNT: m[0].type = NFE_MSG_INLINE; m[0].in.len = 13; return &c->bad_len;
	case BAD_INLINE_LEN: m[0].type = NFE_MSG_INLINE; m[0].in.len = 125; return &c->bad_len;
	case BAD_COOKIE: m[0].rx.cookie = UINT32_MAX; return &c->bad_cookie;
	case BAD_COOKIE_FREE: m[0].rx.cookie = BUFS - 1; return &c->bad_cookie;
	case BAD_LEN_0: m[0].rx.len = 0; return &c->bad_len;
	case BAD_LEN_LONG: m[0].rx.len = BUF_SIZE + 1; return &c->bad_len;
	case BAD_SUM_RUNT: m[0].rx.len = 13; return &c->bad_len;
	case BAD_NSEGS_0: m[0].rx.hints.nsegs = 0; return &c->bad_segs;
	case BAD_NSEGS_MANY: m[0].rx.hints.nsegs = MAX_SEGS + 1; return &c->bad_segs;
	case BAD_SEG_LEN: m[0].rx.hints.nsegs = 2; m[1].seg_rx[0].len = UINT32_MAX; *n = 2;
		return &c->bad_len;
	case BAD_SEG_COOKIE: m[0].rx.hints.nsegs = 2; m[1].seg_rx[0].cookie = m[0].rx.cookie;
		*n = 2; return &c->bad_cookie;
	case BAD_FRAME_LONG: m[0].rx.len = 200; m[0].rx.hints.nsegs = 1; return &c->bad_len;
	case BAD_FILL_END: m[0].rx.fill_end = UINT32_MAX; return &c->bad_fill_end;
	case BAD_RET_N: m[0].type = NFE_MSG_RET; m[0].ret.n = 0; return &c->bad_segs;
	case BAD_RET_MANY: m[0].type = NFE_MSG_RET; m[0].ret.n = 15; return &c->bad_segs;
	case BAD_RET_COOKIE: m[0] = (union nfe_msg){ .ret = { NFE_MSG_RET, 0, 1, 1, 0,
							     { BUFS } } };
		return &c->bad_cookie;
	case BAD_MAX: break;
	}
	return NULL;
}

static int
each_hostile_message_is_counted_and_no_buffer_is_delivered_twice(void)
{
	for (enum bad bad = 0; bad < BAD_MAX; bad++) {
		struct vif_rx_counters expect = { 0 };
		struct dev dev;
		struct vif *vif = dev_open(&dev, 0);
		struct nfe_fill fill[2];
		union nfe_msg m[4] = { 0 };
		uint8_t frame[MAX_FRAME];
		unsigned int n = 1;
		uint64_t *counter;

		vif_refill(vif, 10);
		fill[0] = dev_take_fill(&dev);
		fill[1] = dev_take_fill(&dev);
		m[0] = good_rx(&fill[0], 2);
		m[1].seg_rx[0] = (struct nfe_seg_rx){ .cookie = fill[1].cookie, .len = 50 };
		counter = make_bad(bad, m, &n, &vif->counters);
		if (bad == BAD_FRAME_LONG)
			vif->info.max_frame = 199;
		dev_give(&dev, m, n);
		TEST_EQ(vif_recv(vif, frame, sizeof(frame)), bad == BAD_FILL_END ? 100 : 0);
		TEST_ASSERT_MSG(*counter == 1, "lie %d not counted", (int)bad);
		*counter = 0;
		vif->counters.frames = 0;
		TEST_MEM_EQ(&vif->counters, &expect, sizeof(expect));
		TEST_EQ(bufs_in_state(vif, VIF_BUF_APP), 0);
		dev_close(vif);
	}
	return TEST_OK;
}

static int
buffers_given_back_are_free_again(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	union nfe_msg m = { .ret = { NFE_MSG_RET, 0, NFE_RET_COPY, 2, 2, { 0 } } };
	union nfe_msg one = { .ret = { NFE_MSG_RET, 0, NFE_RET_BAD_ENTRY, 1, 3, { 0 } } };
	uint8_t frame[64];

	vif_refill(vif, 10);
	m.ret.cookie[0] = dev_take_fill(&dev).cookie;
	m.ret.cookie[1] = dev_take_fill(&dev).cookie;
	dev_give(&dev, &m, 1);
	one.ret.cookie[0] = dev_take_fill(&dev).cookie;
	dev_give(&dev, &one, 1);
	nfed_queue_publish(dev.fq, dev.fq->cons);
	vif->fill_target = 0;
	TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 0);
	TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 0);
	TEST_EQ(vif->counters.ret_copy, 2);
	TEST_EQ(vif->counters.ret_bad_entry, 1);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED), 7);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_FREE), BUFS - 7);
	TEST_EQ(vif->fill_seen, 3);
	dev_close(vif);
	return TEST_OK;
}

static int
buffers_given_back_are_posted_again_without_a_frame(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	union nfe_msg m = { .ret = { NFE_MSG_RET, 0, NFE_RET_COPY, 2, 2, { 0 } } };
	uint8_t frame[64];

	while (vif_refill(vif, 10) > 0)
		;
	m.ret.cookie[0] = dev_take_fill(&dev).cookie;
	m.ret.cookie[1] = dev_take_fill(&dev).cookie;
	nfed_queue_publish(dev.fq, dev.fq->cons);
	dev_give(&dev, &m, 1);
	TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 0);
	TEST_EQ(vif->counters.ret_copy, 2);
	TEST_EQ(bufs_in_state(vif, VIF_BUF_POSTED), vif->fill_target);
	dev_close(vif);
	return TEST_OK;
}

static int
message_not_published_whole_is_skipped_whole(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	union nfe_msg m[3] = { { .in = { NFE_MSG_INLINE, 0, 100, { 0 } } } };
	uint8_t frame[MAX_FRAME];

	dev_give(&dev, m, 1); /* its second cell is missing */
	TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 0);
	TEST_EQ(vif->counters.truncated, 1);
	TEST_EQ(*vif->recv.cons, 1);
	TEST_EQ(dev_deliver(&dev, frame, 80), 0);
	TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 80);
	dev_close(vif);
	return TEST_OK;
}

static int
message_cut_by_a_short_peek_is_left_for_the_next_one(void)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	struct rte_ring_zc_data zc;
	uint8_t frame[100] = { 1 };
	struct vif_rx rx;

	TEST_EQ(dev_deliver(&dev, frame, 100), 0);
	TEST_EQ(rte_ring_dequeue_zc_burst_elem_start(vif_recv_ring(vif), 64, 1, &zc, NULL), 1);
	TEST_EQ(vif_msg_read(vif, zc.ptr1, 1, &rx), 0);
	rte_ring_dequeue_zc_elem_finish(vif_recv_ring(vif), 0);
	TEST_EQ(rte_ring_dequeue_zc_burst_elem_start(vif_recv_ring(vif), 64, 9, &zc, NULL), 2);
	TEST_EQ(vif_msg_read(vif, zc.ptr1, 2, &rx), 2);
	rte_ring_dequeue_zc_elem_finish(vif_recv_ring(vif), 2);
	TEST_EQ(rx.len, 100);
	TEST_MEM_EQ(rx.data, frame, 100);
	TEST_EQ(vif->counters.truncated, 0);
	dev_close(vif);
	return TEST_OK;
}

/* Regression: an application that peeks at 32 cells was told for ever to peek again. */
static int
inline_message_beyond_every_peek_is_refused(void)
{
	static const uint32_t to_host[] = { 124, UINT16_MAX }; /* what the device said at attach */

	for (unsigned int i = 0; i < RTE_DIM(to_host); i++) {
		struct dev dev;
		struct vif *vif = dev_open(&dev, 0);
		union nfe_msg m[RING / 2 + 1] = { 0 };
		uint8_t frame[100] = { 1 };
		struct rte_ring_zc_data zc;
		struct vif_rx rx;
		unsigned int n;

		vif->info.inline_to_host = to_host[i];
		for (unsigned int k = 0; k < RTE_DIM(m); k++)
			m[k].type = NFE_MSG_NOP;
		m[0].type = NFE_MSG_INLINE;
		m[0].in.len = (RTE_DIM(m) - 1) * NFE_MSG_SIZE; /* all of it is published */
		dev_give(&dev, m, RTE_DIM(m));
		n = rte_ring_dequeue_zc_burst_elem_start(vif_recv_ring(vif), 64, 32, &zc, NULL);
		TEST_EQ(n, 32);
		TEST_EQ(vif_msg_read(vif, zc.ptr1, n, &rx), 1);
		TEST_EQ(rx.len, 0);
		TEST_EQ(vif->counters.bad_len, 1);
		rte_ring_dequeue_zc_elem_finish(vif_recv_ring(vif), 1);
		TEST_EQ(dev_deliver(&dev, frame, 100), 0);
		TEST_EQ(vif_recv(vif, frame, sizeof(frame)), 100);
		dev_close(vif);
	}
	return TEST_OK;
}

static int
attach_refuses_bad_configuration(void)
{
	static const struct vif_conf bad[] = {
		{ .ring_size = 16 }, { .ring_size = 100 }, { .ring_size = 65536 },
		{ .nb_bufs = 1 }, { .buf_size = 100 }, { .buf_size = 65600 },
	};

	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		errno = 0;
		TEST_TRUE(vif_attach("vfio-user:/nowhere", &bad[i]) == NULL);
		TEST_EQ(errno, EINVAL);
	}
	TEST_TRUE(vif_attach("vfio-user:/nowhere", NULL) == NULL);
	TEST_EQ(errno, ENOENT);
	return TEST_OK;
}

/* An IPv4 frame up to where its TCP header starts, for hints to be right or wrong about. */
static void
make_tcp(uint8_t frame[NFE_HDR_COPY])
{
	memset(frame, 0, NFE_HDR_COPY);
	frame[12] = 0x08;
	frame[14] = 0x45;
	frame[23] = NFE_L4_TCP;
}

static int
hinted_message_is_byte_for_byte_the_contract(void)
{
	const struct nfe_hints h = { .gso_size = 100, .csum_start = 34, .csum_off = 16,
				     .gso_type = NFE_GSO_TCPV4, .nsegs = 99 };
	const uint8_t both = NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO;
	struct vif_seg segs[2] = { { 0, 0, 200 }, { 1, 0, 70 } };
	union nfe_msg plain[2], cells[2];
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);

	TEST_EQ(vif_msg_hinted(vif, cells, 2, segs, 2, both, &h), 0); /* not negotiated */
	vif->send_flags = NFE_MSG_F_CSUM_PARTIAL;
	TEST_EQ(vif_msg_hinted(vif, cells, 2, segs, 2, both, &h), 0);
	vif->send_flags = both;
	TEST_EQ(vif_msg_hinted(vif, cells, 2, segs, 2, NFE_MSG_F_CSUM_OK, &h), 0);
	fill_random(vif_buf(vif, 0), 200);
	TEST_EQ(vif_msg_hinted(vif, cells, 2, segs, 2, both, &h), 2);
	TEST_EQ(vif_msg_dma_segs(vif, plain, 2, segs, 2), 2);
	plain[0].tx.flags = both;
	plain[0].tx.hints = h;
	plain[0].tx.hints.nsegs = 2;
	TEST_MEM_EQ(cells, plain, sizeof(cells));
	dev_close(vif);
	return TEST_OK;
}

/* A frame of two buffers with these flags and hints, to a VIF that negotiated some. */
static int
receive_hinted(uint8_t negotiated, uint8_t flags, const struct nfe_hints *h, struct vif_rx *rx,
	       struct vif_rx_counters *counters)
{
	struct dev dev;
	struct vif *vif = dev_open(&dev, 0);
	struct nfe_fill fill[2];
	union nfe_msg m[2] = { 0 };

	vif->recv_flags = negotiated;
	vif_refill(vif, 10);
	fill[0] = dev_take_fill(&dev);
	fill[1] = dev_take_fill(&dev);
	m[0] = good_rx(&fill[0], 2);
	m[0].rx.flags = flags;
	m[0].rx.len = BUF_SIZE;
	m[0].rx.hints = *h;
	m[0].rx.hints.nsegs = 2;
	make_tcp(m[0].rx.hdr);
	m[1].seg_rx[0] = (struct nfe_seg_rx){ .cookie = fill[1].cookie, .len = 50 };
	dev_give(&dev, m, 2);
	TEST_EQ(vif_msg_read(vif, vif_ring_at(&vif->recv, 0), 2, rx), 2);
	*counters = vif->counters;
	TEST_EQ(bufs_in_state(vif, VIF_BUF_APP), rx->nb_segs);
	dev_close(vif);
	return TEST_OK;
}

static int
hints_from_the_device_are_checked(void)
{
	const uint8_t csum = NFE_MSG_F_CSUM_PARTIAL, gso = csum | NFE_MSG_F_GSO,
		      all = gso | NFE_MSG_F_CSUM_OK;
	const struct {
		uint8_t negotiated, flags;
		struct nfe_hints h;
		uint64_t good, bad_type, bad_hints;
	} row[] = {
		{ all, csum, { .csum_start = 34, .csum_off = 16 }, 1, 0, 0 },
		{ all, gso, { .csum_start = 34, .csum_off = 16, .gso_size = 100, .gso_type = 1 },
		  1, 0, 0 },
		{ all, NFE_MSG_F_CSUM_OK, { 0 }, 1, 0, 0 },
		{ all, csum, { .csum_start = 35, .csum_off = 16 }, 0, 0, 1 },
		{ all, csum, { .csum_start = 34, .csum_off = 6 }, 0, 0, 1 },
		{ all, gso, { .csum_start = 34, .csum_off = 16, .gso_size = 1, .gso_type = 1 },
		  0, 0, 1 },
		{ all, gso, { .csum_start = 34, .csum_off = 16, .gso_size = 100, .gso_type = 2 },
		  0, 0, 1 },
		{ all, NFE_MSG_F_CSUM_OK, { .csum_start = 34 }, 0, 0, 1 },
		{ all, 0, { .vlan_tci = 1 }, 0, 0, 1 },
		{ csum, gso, { .csum_start = 34, .csum_off = 16, .gso_size = 100, .gso_type = 1 },
		  0, 1, 0 },
		{ 0, NFE_MSG_F_CSUM_OK, { 0 }, 0, 1, 0 },
		{ all, NFE_MSG_F_VLAN, { 0 }, 0, 1, 0 },
	};

	for (unsigned int i = 0; i < RTE_DIM(row); i++) {
		struct vif_rx_counters c;
		struct vif_rx rx;

		TEST_EQ(receive_hinted(row[i].negotiated, row[i].flags, &row[i].h, &rx, &c), TEST_OK);
		TEST_ASSERT_MSG(c.frames == row[i].good && c.bad_type == row[i].bad_type &&
				c.bad_hints == row[i].bad_hints, "row %u", i);
		TEST_EQ(rx.len, row[i].good ? BUF_SIZE + 50 : 0);
		TEST_EQ(rx.flags, row[i].good ? row[i].flags : 0);
		if (row[i].good)
			TEST_EQ(rx.hints.gso_size, row[i].h.gso_size);
	}
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(inline_message_is_byte_for_byte_the_contract),
	TEST_CASE(dma_message_is_byte_for_byte_the_contract),
	TEST_CASE(dma_segments_go_on_in_continuation_cells),
	TEST_CASE(builder_refuses_segments_out_of_range),
	TEST_CASE(memory_shared_with_the_switch_holds_nothing_but_rings),
	TEST_CASE(each_hostile_message_is_counted_and_no_buffer_is_delivered_twice),
	TEST_CASE(buffers_given_back_are_free_again),
	TEST_CASE(buffers_given_back_are_posted_again_without_a_frame),
	TEST_CASE(message_not_published_whole_is_skipped_whole),
	TEST_CASE(message_cut_by_a_short_peek_is_left_for_the_next_one),
	TEST_CASE(hinted_message_is_byte_for_byte_the_contract),
	TEST_CASE(hints_from_the_device_are_checked),
	TEST_CASE(inline_message_beyond_every_peek_is_refused),
	TEST_CASE(attach_refuses_bad_configuration),
};
TEST_SUITE(vif, cases);
