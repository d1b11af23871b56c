/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The PMD's bursts on queues made by hand: the short way and the general way must do the same, and
 * nothing stale may travel (rule 20). No device: the test writes what one would.
 */
#define POOL_NAME "nfe_rxtx"
#include "test_nfe_rxtx_fixture.h"

/* A frame of random bytes somewhere in an mbuf full of canaries. */
static struct rte_mbuf *
make_frame(uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint32_t gap = (uint32_t)rand() % 8;

	if (m == NULL)
		return NULL;
	memset(m->buf_addr, CANARY, m->buf_len);
	m->data_off = rand() % 2 ? gap : m->buf_len - len - gap;
	m->data_len = m->pkt_len = len;
	for (uint32_t i = 0; i < len; i++)
		rte_pktmbuf_mtod(m, uint8_t *)[i] = rand();
	return m;
}

static int
short_frames_make_cells_without_stale_bytes(void)
{
	uint8_t want[5 * NFE_MSG_SIZE] __attribute__((aligned(64)));
	struct tx t;

	TEST_EQ(setup(), TEST_OK);
	srand(1);
	tx_init(&t);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t len = NFE_MIN_FRAME + i % (NFE_INLINE_SHORT - NFE_MIN_FRAME + 1), nb;
		struct rte_mbuf *m = make_frame(len);

		TEST_TRUE(m != NULL);
		memset(t.cells, CANARY, sizeof(t.cells));
		nb = write_inline(want, rte_pktmbuf_mtod(m, uint8_t *), len);
		TEST_EQ(nfe_tx_burst(&t.q, &m, 1), 1);
		TEST_MEM_EQ(&t.cells[((t.db - nb) & (SIZE - 1)) * NFE_MSG_SIZE], want,
			    nb * NFE_MSG_SIZE);
		t.status.sq_cons = t.db;
		nfe_tx_reclaim(&t.q, UINT32_MAX, 0, 0);
	}
	TEST_EQ(t.q.count.sent_inline, ROUNDS);
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

/* A frame by reference leaves; the device reads it, if it does. */
static int
send_by_reference(struct tx *t, bool read)
{
	struct rte_mbuf *m = make_frame(LONGEST + 1);

	TEST_TRUE(m != NULL);
	TEST_EQ(nfe_tx_burst(&t->q, &m, 1), 1);
	if (read)
		t->status.sq_cons = t->db;
	return TEST_OK;
}

/* Frames by reference stay in sw[] until so many follow them that their lines have left the device's
 * cache, then come back in lots; for want of cells earlier. A device that reads none is not asked
 * again at each burst. */
static int
sent_mbufs_are_kept_and_come_back_in_lots(void)
{
	static struct rte_mbuf *sw[LONG];
	static uint8_t cells[LONG * NFE_MSG_SIZE] __attribute__((aligned(64)));
	struct nfe_map *none = nfe_map_alloc(0), *map = nfe_map_insert(none, 1, INTPTR_MAX, 5);
	const uint32_t kept = LONG / 4, most = kept + NFE_TX_LOT;
	struct tx t;

	TEST_EQ(setup(), TEST_OK);
	TEST_TRUE(map != NULL);
	rte_atomic_store_explicit(&port.map, map, rte_memory_order_release);
	tx_init(&t);
	t.q.size = LONG;
	t.q.mask = LONG - 1;
	t.q.sw = sw;
	t.q.cells = cells;
	t.q.nb_kept = kept;
	for (uint32_t sent = 1; sent <= 3 * most; sent++) {
		TEST_EQ(send_by_reference(&t, true), TEST_OK);
		if (sent > most)
			TEST_TRUE(t.q.nb_held > kept && t.q.nb_held <= most);
		else
			TEST_EQ(t.q.nb_held, sent);
	}
	t.q.nb_kept = LONG; /* more than there are cells for */
	for (uint32_t sent = 1; sent <= 2 * LONG; sent++)
		TEST_EQ(send_by_reference(&t, true), TEST_OK);
	TEST_TRUE(t.q.nb_held > LONG - 2 * NFE_TX_LOT);
	nfe_tx_reclaim(&t.q, UINT32_MAX, 0, 0);
	TEST_TRUE(rte_mempool_full(pool));

	t.q.nb_kept = t.q.held_limit = 0;
	for (uint32_t sent = 1; sent <= 2 * NFE_TX_LOT + 1; sent++) {
		TEST_EQ(send_by_reference(&t, sent == NFE_TX_LOT + 1), TEST_OK);
		TEST_EQ(t.q.nb_held, sent <= 2 * NFE_TX_LOT ? sent : NFE_TX_LOT); /* looked at 65, in vain */
	}
	t.status.sq_cons = t.db;
	TEST_EQ(nfe_tx_reclaim(&t.q, UINT32_MAX, 0, 0), NFE_TX_LOT);
	TEST_TRUE(rte_mempool_full(pool));
	rte_atomic_store_explicit(&port.map, NULL, rte_memory_order_release);
	free(map);
	free(none);
	return TEST_OK;
}

static int
two_cells_do_not_wrap(void)
{
	struct rte_mbuf *m;
	struct tx t;

	TEST_EQ(setup(), TEST_OK);
	tx_init(&t);
	t.q.prod = t.q.cons = t.status.sq_cons = SIZE - 1;
	m = make_frame(64);
	TEST_TRUE(m != NULL);
	TEST_EQ(nfe_tx_burst(&t.q, &m, 1), 1);
	TEST_EQ(t.cells[(SIZE - 1) * NFE_MSG_SIZE], NFE_MSG_NOP);
	TEST_EQ(t.cells[0], NFE_MSG_INLINE);
	TEST_EQ(t.db, SIZE + 2);
	return TEST_OK;
}

/* A message as a device might write it, some of them refused. Returns its cells. */
static uint32_t
write_any(uint8_t *cells, uint32_t room)
{
	uint32_t len = NFE_MIN_FRAME + rand() % (rand() % 4 ? 111 : LONGEST - NFE_MIN_FRAME + 1);
	union nfe_msg *msg = (union nfe_msg *)cells;
	uint8_t frame[LONGEST];
	uint32_t nb;

	for (uint32_t i = 0; i < len; i++)
		frame[i] = rand();
	if (nfe_inline_cells(len) > room)
		len = NFE_MIN_FRAME;
	nb = write_inline(cells, frame, len);
	switch (rand() % 16) {
	case 0:
		msg->flags = 1 << rand() % 8;
		break;
	case 1:
		msg->type = rand() % 2 ? NFE_MSG_NOP : NFE_MSG_INVALID;
		return 1;
	case 2:
		msg->in.len = rand() % NFE_MIN_FRAME;
		return 1;
	case 3:
		msg->in.len = rand() % 2 ? LONGEST : LONGEST + 1; /* more cells than there are */
		break;
	}
	return nb;
}

static int
frames_equal(const struct rte_mbuf *a, const struct rte_mbuf *b)
{
	TEST_EQ(a->pkt_len, b->pkt_len);
	TEST_EQ(a->data_len, b->data_len);
	TEST_EQ(a->data_off, RTE_PKTMBUF_HEADROOM);
	TEST_EQ(b->data_off, RTE_PKTMBUF_HEADROOM);
	TEST_EQ(a->port, 7);
	TEST_EQ(b->port, 7);
	TEST_EQ(a->nb_segs, 1);
	TEST_EQ(rte_mbuf_refcnt_read(a), 1);
	TEST_EQ(a->ol_flags, b->ol_flags);
	TEST_EQ(a->packet_type, b->packet_type);
	TEST_TRUE(a->next == NULL);
	TEST_MEM_EQ(rte_pktmbuf_mtod(a, void *), rte_pktmbuf_mtod(b, void *), a->data_len);
	return TEST_OK;
}

static int
compare_bursts(struct rx *a, struct rx *b, uint16_t burst)
{
	struct rte_mbuf *from_a[SIZE], *from_b[SIZE];
	uint16_t n = nfe_rx_burst(&a->q, from_a, burst);

	TEST_EQ(nfe_rx_burst(&b->q, from_b, burst), n);
	TEST_EQ(a->q.cons, b->q.cons);
	for (uint16_t i = 0; i < n; i++)
		TEST_EQ(frames_equal(from_a[i], from_b[i]), TEST_OK);
	rte_pktmbuf_free_bulk(from_a, n);
	rte_pktmbuf_free_bulk(from_b, n);
	TEST_MEM_EQ(&a->q.count, &b->q.count, sizeof(a->q.count));
	return TEST_OK;
}

/* Posts buffers; each has its number as data. */
static void
post_numbered(struct nfe_rxq *q)
{
	uint32_t i = q->fill_prod;

	nfe_rx_refill(q);
	for (; i != q->fill_prod; i++) {
		struct rte_mbuf *m = q->sw[i & q->mask];

		memset((char *)m->buf_addr + RTE_PKTMBUF_HEADROOM, CANARY, BUF_SIZE);
		memcpy((char *)m->buf_addr + RTE_PKTMBUF_HEADROOM, &i, sizeof(i));
	}
}

/* For the next of the posted buffers, or not quite. Always one cell. */
static union nfe_msg
random_dma(struct nfe_rxq *q, uint32_t next)
{
	union nfe_msg msg = { .rx = { .type = NFE_MSG_DMA_RX, .cookie = next & q->mask,
				      .len = NFE_MIN_FRAME + rand() % (BUF_SIZE - NFE_MIN_FRAME + 1),
				      .fill_end = next + 1, .hints = { .nsegs = 1 } } };

	switch (rand() % 32) {
	case 0:
		msg.rx.len = (uint16_t[]){ 0, NFE_MIN_FRAME - 1, BUF_SIZE + 1, UINT16_MAX }[rand() % 4];
		break;
	case 1:
		msg.rx.cookie = rand() % (SIZE + 8);
		break;
	case 2:
		msg.rx.fill_end += rand() % 8 - 4;
		break;
	case 3:
		msg.rx.hints.nsegs = rand() % 4;
		break;
	case 4:
		msg.rx.flags = 1 << rand() % 8;
		break;
	case 5:
		msg.rx.type = rand() % 8;
		if (msg.rx.type == NFE_MSG_INLINE)
			msg.in.len = NFE_INLINE_ONE;
		break;
	}
	return msg;
}

/* A reserved bit of the hints, at which nobody looks, sends a message the general way. */
static int
plain_way_receives_as_the_general_one(void)
{
	struct rte_mbuf *sw[2][SIZE] = { 0 };
	struct nfe_fill fill[2][SIZE];
	struct rte_mbuf *m;
	uint64_t refused;
	uint32_t next;
	struct rx r[2];

	TEST_EQ(setup(), TEST_OK);
	port.map = map_all();
	TEST_TRUE(port.map != NULL);
	for (unsigned int i = 0; i < 2; i++) {
		rx_init(&r[i]);
		r[i].q.sw = sw[i];
		r[i].q.fill = (uint8_t *)fill[i];
		r[i].q.fill_max = SIZE;
		r[i].q.fill_prod = r[i].q.fill_end = FIRST_INDEX;
		r[i].q.take_flags = NFE_MSG_F_HASH;
		r[i].q.max_frame = BUF_SIZE - 1; /* the last byte is refused for that */
	}
	srand(5);
	for (unsigned int round = 0; round < 20 * ROUNDS; round++) {
		unsigned int burst = 1 + (unsigned int)rand() % 16;

		for (unsigned int i = 0; i < 2; i++)
			post_numbered(&r[i].q);
		next = r[0].q.fill_end;
		for (unsigned int i = 0; i < burst; i++, next++) {
			union nfe_msg msg = random_dma(&r[0].q, next);
			uint32_t at = (r[0].status.rq_prod & (SIZE - 1)) * NFE_MSG_SIZE;

			memcpy(r[0].cells + at, &msg, sizeof(msg));
			if (msg.type == NFE_MSG_DMA_RX)
				msg.rx.hints.vlan_tci = 1;
			memcpy(r[1].cells + at, &msg, sizeof(msg));
			r[0].status.rq_prod++;
			r[1].status.rq_prod++;
		}
		TEST_EQ(compare_bursts(&r[0], &r[1], (uint16_t)(1 + rand() % SIZE)), TEST_OK);
		TEST_EQ(compare_bursts(&r[0], &r[1], SIZE), TEST_OK);
		TEST_EQ(r[0].q.fill_end, r[1].q.fill_end);
	}
	TEST_TRUE(r[0].q.count.got_dma > 0 && r[0].q.count.got_inline > 0);
	TEST_TRUE(r[0].q.count.bad_length > 0 && r[0].q.count.bad_cookie > 0);
	TEST_TRUE(r[0].q.count.bad_fill_end > 0 && r[0].q.count.bad_segs > 0);
	TEST_TRUE(r[0].q.count.bad_type > 0 && r[0].q.count.lost > 0);
	/* All is right but the number of segments. */
	post_numbered(&r[0].q);
	refused = r[0].q.count.bad_segs;
	for (uint8_t nsegs = 0; nsegs < 4; nsegs += nsegs == 0 ? 2 : 1) {
		union nfe_msg msg = { .rx = { .type = NFE_MSG_DMA_RX, .len = NFE_MIN_FRAME,
					      .cookie = r[0].q.fill_end & (SIZE - 1),
					      .fill_end = r[0].q.fill_end + RTE_MAX(nsegs, 1),
					      .hints = { .nsegs = nsegs } } };

		memcpy(r[0].cells + (r[0].status.rq_prod++ & (SIZE - 1)) * NFE_MSG_SIZE, &msg,
		       sizeof(msg));
		TEST_EQ(nfe_rx_burst(&r[0].q, &m, 1), 0);
		TEST_EQ(r[0].q.count.bad_segs, ++refused);
	}
	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int k = 0; k < SIZE; k++)
			rte_pktmbuf_free(sw[i][k]);
	free(port.map);
	port.map = NULL;
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

/* The general way copies each cell before it looks at it; the short way must agree with it. */
static int
short_way_receives_as_the_general_one(void)
{
	struct rx a, b;

	TEST_EQ(setup(), TEST_OK);
	srand(2);
	rx_init(&a);
	rx_init(&b);
	TEST_EQ(a.q.short_len, NFE_INLINE_SHORT);
	b.q.short_len = 0;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t prod = a.status.rq_prod, n = 1 + rand() % 12;

		for (; n > 0 && prod - a.q.cons <= SIZE / 2; n--)
			prod += write_any(&a.cells[(prod & (SIZE - 1)) * NFE_MSG_SIZE],
					  SIZE - (prod & (SIZE - 1)));
		memcpy(b.cells, a.cells, sizeof(b.cells));
		a.status.rq_prod = b.status.rq_prod = prod;
		TEST_EQ(compare_bursts(&a, &b, 1 + rand() % SIZE), TEST_OK);
	}
	TEST_TRUE(a.q.count.packets > ROUNDS && a.q.count.bad_type > 0 &&
		  a.q.count.bad_length > 0 && a.q.count.bad_truncated > 0);
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

static int
frames_wait_when_the_pool_is_empty(void)
{
	struct rte_mbuf *held[POOL_SIZE], *got[4];
	const uint8_t frame[64] = { 1 };
	struct rx r;

	TEST_EQ(setup(), TEST_OK);
	rx_init(&r);
	for (uint32_t i = 0; i < 3; i++)
		r.status.rq_prod +=
			write_inline(&r.cells[(r.status.rq_prod & (SIZE - 1)) * NFE_MSG_SIZE],
				     frame, sizeof(frame));
	TEST_EQ(rte_mempool_get_bulk(pool, (void **)held, POOL_SIZE), 0);
	TEST_EQ(nfe_rx_burst(&r.q, got, 4), 0);
	TEST_EQ(r.q.count.nombuf, 1);
	TEST_EQ(r.q.cons, FIRST_INDEX);
	rte_mempool_put(pool, held[0]); /* one is enough for one frame */
	TEST_EQ(nfe_rx_burst(&r.q, got, 4), 1);
	TEST_EQ(r.q.count.nombuf, 2);
	rte_mempool_put_bulk(pool, (void **)&held[1], POOL_SIZE - 1);
	TEST_EQ(nfe_rx_burst(&r.q, &got[1], 3), 2);
	TEST_EQ(r.q.count.packets, 3);
	TEST_EQ(r.q.count.bytes, 3 * sizeof(frame));
	rte_pktmbuf_free_bulk(got, 3);
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

/* Copy mode: a burst into a queue that is full, and whose device reads nothing, returns. */
static int
copies_do_not_wait_for_room(void)
{
	struct rte_mbuf *m[SIZE + 8];
	struct tx t;

	TEST_EQ(setup(), TEST_OK);
	tx_init(&t);
	for (unsigned int i = 0; i < RTE_DIM(m); i++)
		m[i] = make_frame(60);
	TEST_EQ(nfe_tx_burst_copy(&t.q, m, RTE_DIM(m)), SIZE);
	TEST_EQ(nfe_tx_burst_copy(&t.q, m + SIZE, RTE_DIM(m) - SIZE), 0);
	TEST_EQ(t.db, FIRST_INDEX + SIZE);
	t.status.sq_cons = FIRST_INDEX + 4;
	TEST_EQ(nfe_tx_burst_copy(&t.q, m + SIZE, RTE_DIM(m) - SIZE), 4);
	rte_pktmbuf_free_bulk(m + SIZE + 4, RTE_DIM(m) - SIZE - 4);
	TEST_EQ(rte_mempool_in_use_count(pool), 0);
	return TEST_OK;
}

/* Cells of this frame with a tag: how many. */
static uint32_t
write_tagged(uint8_t *cells, const uint8_t *frame, uint32_t len)
{
	static const uint8_t tag[] = { 0x81, 0x00, 0x61, 0x23 };
	uint8_t tagged[LONGEST];

	memcpy(tagged, frame, 12);
	memcpy(tagged + 12, tag, sizeof(tag));
	memcpy(tagged + 16, frame + 12, len - 12);
	return write_inline(cells, tagged, len + 4);
}

/* A tag of the mbuf's is in the cells, and not in the mbuf. */
static int
tagged_frames_make_cells_without_stale_bytes(void)
{
	uint8_t want[5 * NFE_MSG_SIZE] __attribute__((aligned(64)));
	struct tx t;

	TEST_EQ(setup(), TEST_OK);
	srand(3);
	tx_init(&t);
	t.q.hint_flags = RTE_MBUF_F_TX_VLAN;
	for (uint32_t len = NFE_MIN_FRAME; len <= NFE_INLINE_SHORT - 4; len++) {
		struct rte_mbuf *m = make_frame(len);
		uint32_t nb;

		m->ol_flags = RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = 0x6123;
		memset(t.cells, CANARY, sizeof(t.cells));
		nb = write_tagged(want, rte_pktmbuf_mtod(m, const uint8_t *), len);
		TEST_EQ(nfe_tx_burst_hints(&t.q, &m, 1), 1);
		TEST_MEM_EQ(&t.cells[((t.db - nb) & (SIZE - 1)) * NFE_MSG_SIZE], want,
			    nb * NFE_MSG_SIZE);
		t.status.sq_cons = t.db;
		nfe_tx_reclaim(&t.q, UINT32_MAX, 0, 0);
	}
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

/* The same bytes, the first of them in an mbuf by themselves. */
static struct rte_mbuf *
split_frame(struct rte_mbuf *m, uint16_t first)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool);

	if (head == NULL)
		return NULL;
	memcpy(rte_pktmbuf_append(head, first), rte_pktmbuf_mtod(m, void *), first);
	rte_pktmbuf_adj(m, first);
	return rte_pktmbuf_chain(head, m) == 0 ? head : NULL;
}

/* Regression: with a tag it was dropped, if it was not one of the shortest. */
static int
tagged_frames_from_unregistered_memory_go_inline(void)
{
	uint8_t want[5 * NFE_MSG_SIZE] __attribute__((aligned(64)));
	struct nfe_map *none = nfe_map_alloc(0);
	struct rte_mbuf *m;
	struct tx t;

	TEST_EQ(setup(), TEST_OK);
	TEST_TRUE(none != NULL);
	srand(4);
	rte_atomic_store_explicit(&port.map, none, rte_memory_order_release);
	tx_init(&t);
	t.q.hint_flags = RTE_MBUF_F_TX_VLAN;
	t.q.inline_len = t.q.short_len = NFE_INLINE_ONE;
	t.q.max_segs = 2;
	for (uint32_t len = NFE_MIN_FRAME; len <= LONGEST - 4; len++) {
		uint32_t nb;

		m = make_frame(len);
		TEST_TRUE(m != NULL);
		nb = write_tagged(want, rte_pktmbuf_mtod(m, const uint8_t *), len);
		if (len % 2 == 0)
			m = split_frame(m, 1 + len % 13);
		TEST_TRUE(m != NULL);
		m->ol_flags = RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = 0x6123;
		memset(t.cells, CANARY, sizeof(t.cells));
		TEST_EQ(nfe_tx_burst_hints(&t.q, &m, 1), 1);
		TEST_MEM_EQ(&t.cells[((t.db - nb) & (SIZE - 1)) * NFE_MSG_SIZE], want,
			    nb * NFE_MSG_SIZE);
		t.status.sq_cons = t.db;
		nfe_tx_reclaim(&t.q, UINT32_MAX, 0, 0);
	}
	TEST_EQ(t.q.count.drop_unregistered, 0);
	m = make_frame(LONGEST - 3); /* more than the device takes inline */
	m->ol_flags = RTE_MBUF_F_TX_VLAN;
	TEST_EQ(nfe_tx_burst_hints(&t.q, &m, 1), 1);
	TEST_EQ(t.q.count.drop_unregistered, 1);
	rte_atomic_store_explicit(&port.map, NULL, rte_memory_order_release);
	free(none);
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

/* One inline message of this frame, with a hash or without, is received; NULL: refused. */
static struct rte_mbuf *
receive_one(struct rx *r, const uint8_t *frame, uint32_t len, uint8_t flags, uint32_t hash)
{
	uint32_t skip = flags & NFE_MSG_F_HASH ? NFE_INLINE_HASH : 0, nb;
	uint8_t bytes[LONGEST + NFE_INLINE_HASH], *cells;
	struct rte_mbuf *m = NULL;
	union nfe_msg *msg;

	memcpy(bytes, &hash, skip);
	memcpy(bytes + skip, frame, len);
	r->q.cons = r->status.rq_prod = 0; /* room for all cells */
	cells = r->cells;
	nb = write_inline(cells, bytes, len + skip);
	msg = (union nfe_msg *)cells;
	msg->in.len = len;
	msg->flags = flags;
	r->status.rq_prod = nb;
	if (nfe_rx_burst(&r->q, &m, 1) == 0)
		return NULL;
	return r->q.cons == nb ? m : NULL;
}

static int
hash_and_checksum_come_into_the_mbuf(void)
{
	const uint8_t hash_csum = NFE_MSG_F_HASH | NFE_MSG_F_CSUM_OK;
	uint8_t frame[LONGEST];
	struct rte_mbuf *m;
	struct rx r;

	TEST_EQ(setup(), TEST_OK);
	for (uint32_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	rx_init(&r);
	TEST_TRUE(receive_one(&r, frame, 64, NFE_MSG_F_HASH, 1) == NULL); /* not accepted */
	TEST_TRUE(receive_one(&r, frame, 64, NFE_MSG_F_CSUM_OK, 0) == NULL);
	TEST_EQ(r.q.count.bad_type, 2);
	r.q.take_flags = hash_csum;
	for (uint32_t len = NFE_MIN_FRAME; len <= LONGEST - NFE_INLINE_HASH; len++) {
		m = receive_one(&r, frame, len, hash_csum, 0x12345600 + len);
		TEST_TRUE(m != NULL);
		TEST_EQ(m->ol_flags, RTE_MBUF_F_RX_RSS_HASH);
		TEST_EQ(m->hash.rss, 0x12345600 + len);
		TEST_EQ(m->pkt_len, len);
		TEST_MEM_EQ(rte_pktmbuf_mtod(m, void *), frame, len);
		rte_pktmbuf_free(m);
	}
	TEST_TRUE(receive_one(&r, frame, LONGEST - NFE_INLINE_HASH + 1, NFE_MSG_F_HASH, 1) == NULL);
	TEST_TRUE(r.q.count.bad_length > 0); /* its further cells are taken for messages */
	r.q.csum = true; /* the application wants to know */
	m = receive_one(&r, frame, 100, hash_csum, 5);
	TEST_EQ(m->ol_flags, RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
	rte_pktmbuf_free(m);
	m = receive_one(&r, frame, 100, 0, 0);
	TEST_EQ(m->ol_flags, 0);
	rte_pktmbuf_free(m);
	r.q.count.bad_type = 0;
	TEST_TRUE(receive_one(&r, frame, 60, NFE_MSG_F_CSUM_PARTIAL, 0) == NULL);
	TEST_EQ(r.q.count.bad_type, 1);
	TEST_TRUE(rte_mempool_full(pool));
	return TEST_OK;
}

static int
frames_cut_off_in_their_tag_are_not_stripped(void)
{
	uint8_t frame[20] = { [12] = 0x81, [14] = 0x20, [15] = 9 };
	struct rte_mbuf *m;
	struct rx r;

	TEST_EQ(setup(), TEST_OK);
	rx_init(&r);
	r.q.vlan_strip = true;
	for (uint32_t len = NFE_MIN_FRAME; len <= sizeof(frame); len++) {
		m = receive_one(&r, frame, len, 0, 0);
		TEST_TRUE(m != NULL);
		TEST_EQ(m->pkt_len, len < 18 ? len : len - 4);
		TEST_EQ(m->ol_flags, len < 18 ? 0 : RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
		TEST_TRUE(len < 18 || m->vlan_tci == 0x2009);
		rte_pktmbuf_free(m);
	}
	return TEST_OK;
}

/* Cells are copied whole, so small buffers take frames of few cells only. */
static int
small_buffers_are_not_overrun(void)
{
	struct rx r;

	rx_init(&r);
	r.q.buf_size = NFE_MSG_SIZE;
	nfe_rx_set_short(&r.q);
	TEST_EQ(r.q.short_len, NFE_INLINE_ONE);
	r.q.buf_size = NFE_INLINE_ONE + 2 * NFE_MSG_SIZE - 1;
	nfe_rx_set_short(&r.q);
	TEST_EQ(r.q.short_len, NFE_INLINE_ONE + NFE_MSG_SIZE);
	r.q.buf_size++;
	nfe_rx_set_short(&r.q);
	TEST_EQ(r.q.short_len, NFE_INLINE_ONE + 2 * NFE_MSG_SIZE);
	r.q.inline_max = 100;
	nfe_rx_set_short(&r.q);
	TEST_EQ(r.q.short_len, 100);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(short_frames_make_cells_without_stale_bytes),
	TEST_CASE(sent_mbufs_are_kept_and_come_back_in_lots),
	TEST_CASE(two_cells_do_not_wrap),
	TEST_CASE(short_way_receives_as_the_general_one),
	TEST_CASE(plain_way_receives_as_the_general_one),
	TEST_CASE(frames_wait_when_the_pool_is_empty),
	TEST_CASE(copies_do_not_wait_for_room),
	TEST_CASE(tagged_frames_make_cells_without_stale_bytes),
	TEST_CASE(tagged_frames_from_unregistered_memory_go_inline),
	TEST_CASE(hash_and_checksum_come_into_the_mbuf),
	TEST_CASE(frames_cut_off_in_their_tag_are_not_stripped),
	TEST_CASE(small_buffers_are_not_overrun),
};
TEST_SUITE(nfe_rxtx, cases);
