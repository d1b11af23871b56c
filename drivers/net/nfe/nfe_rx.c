/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Receive burst: look, take messages, publish, refill (specification 4 and 5). Runs on the one data
 * thread of the queue. What the device says is data until checked (rule 16): each cell is copied
 * once, or the words of it that matter are read once, and each refusal has a counter.
 *
 * The device takes fill entries in order, and a message tells the fill index after its last buffer.
 * So sw[] holds exactly the mbufs of the entries in [fill_end, fill_prod), and a cookie must lie in
 * the window that its message closes. A buffer that the device took without handing it back in a
 * message is freed when the window passes it: a misbehaving device can't leak our memory.
 */
#include <string.h>

#include <rte_memcpy.h>

#include "nfe_ethdev.h"
#include "nfe_vlan.h"

static inline const uint8_t *
rx_cell(const struct nfe_rxq *q, uint32_t index)
{
	return q->cells + (size_t)(index & q->mask) * NFE_MSG_SIZE;
}

/* R1. More than the queue holds is a broken rule, not an empty queue: counted. */
uint32_t
nfe_rx_avail(struct nfe_rxq *q)
{
	uint32_t avail = nfe_idx_read(&q->status->rq_prod) - q->cons;

	if (likely(avail <= q->size))
		return avail;
	q->count.bad_index++;
	return 0;
}

/* Bytes of an inline message between its head and its frame (4.2). */
static inline uint32_t
rx_hash_len(const union nfe_msg *msg)
{
	return msg->flags & NFE_MSG_F_HASH ? NFE_INLINE_HASH : 0;
}

static inline bool
rx_inline_len_ok(const struct nfe_rxq *q, const union nfe_msg *msg)
{
	uint32_t len = msg->in.len;

	return len >= NFE_MIN_FRAME && len + rx_hash_len(msg) <= q->inline_max;
}

/* First word of an inline message without flags: the length of its frame; 0: anything else, or a
 * frame that isn't short. */
static inline uint32_t
rx_short_len(const struct nfe_rxq *q, const uint8_t *cell)
{
	uint32_t head = *(const volatile nfe_cell_head *)cell, len = head >> 16;

	if (unlikely((head & UINT16_MAX) != NFE_MSG_INLINE || len < NFE_MIN_FRAME ||
		     len > q->short_len))
		return 0;
	return len;
}

static inline bool
rx_nb_segs_ok(const struct nfe_rxq *q, uint32_t nb_segs)
{
	return nb_segs >= 1 && nb_segs <= q->max_segs;
}

/* Cells of a message; one, if it is not to be trusted. */
static inline uint32_t
rx_msg_cells(const struct nfe_rxq *q, const union nfe_msg *msg)
{
	if (msg->type == NFE_MSG_INLINE && rx_inline_len_ok(q, msg))
		return nfe_inline_cells(msg->in.len + rx_hash_len(msg));
	if (msg->type == NFE_MSG_DMA_RX && rx_nb_segs_ok(q, msg->rx.hints.nsegs))
		return nfe_dma_cells(msg->rx.hints.nsegs);
	return 1;
}

/* All cells published, and contiguous? */
static inline bool
rx_cells_ok(const struct nfe_rxq *q, uint32_t index, uint32_t cells, uint32_t avail)
{
	return cells <= avail && cells <= q->size - (index & q->mask);
}

/* Buffers up to fill_end are back; what nobody took out of sw[] is freed and counted. */
static inline void
rx_advance(struct nfe_rxq *q, uint32_t fill_end, uint64_t *reason)
{
	for (; q->fill_end != fill_end; q->fill_end++) {
		struct rte_mbuf **sw = &q->sw[q->fill_end & q->mask];

		if (likely(*sw == NULL))
			continue;
		rte_pktmbuf_free(*sw);
		*sw = NULL;
		(*reason)++;
	}
}

/* Buffers between q->fill_end and the fill_end of a message; 0: it is not credible. */
static inline uint32_t
rx_window(const struct nfe_rxq *q, uint32_t fill_end)
{
	uint32_t window = fill_end - q->fill_end;

	return window <= q->fill_prod - q->fill_end ? window : 0;
}

static inline struct rte_mbuf *
rx_take_buffer(struct nfe_rxq *q, uint32_t cookie, uint32_t window)
{
	struct rte_mbuf *m;

	if (unlikely(cookie >= q->size || ((cookie - q->fill_end) & q->mask) >= window))
		return NULL;
	m = q->sw[cookie];
	q->sw[cookie] = NULL;
	rte_prefetch0(q->sw[(cookie + NFE_MBUFS_AHEAD) & q->mask]); /* posted a round ago */
	return m;
}

/* An mbuf from the pool or from a posted buffer is as its pool keeps it: one segment, one
 * reference. Everything else that is valid without a flag is set here. */
static inline void
rx_mbuf_init(const struct nfe_rxq *q, struct rte_mbuf *m, uint32_t len)
{
	memcpy(&m->rearm_data, &q->rearm, sizeof(q->rearm));
	m->ol_flags = 0;
	m->packet_type = 0;
	m->pkt_len = len;
	m->data_len = len;
}

static struct rte_mbuf *
rx_inline(struct nfe_rxq *q, const union nfe_msg *msg)
{
	uint32_t skip = rx_hash_len(msg);
	uint32_t len = msg->in.len, first = RTE_MIN(len, NFE_INLINE_ONE - skip);
	struct rte_mbuf *m = rte_mbuf_raw_alloc(q->pool);
	char *data;

	if (unlikely(m == NULL))
		return NULL;
	rx_mbuf_init(q, m, len);
	data = rte_pktmbuf_mtod(m, char *);
	rte_memcpy(data, msg->in.frame + skip, first);
	/* Further cells hold nothing but bytes of the frame, so nothing to check before use. */
	if (len > first)
		rte_memcpy(data + first, rx_cell(q, q->cons + 1), len - first);
	q->count.got_inline++;
	return m;
}

/* As many mbufs as there are, up to nb: a small pool must not starve the queue. */
static uint32_t
rx_get_mbufs(struct nfe_rxq *q, struct rte_mbuf **mbufs, uint32_t nb)
{
	uint32_t got = nb;

	while (got > 0 && rte_mempool_get_bulk(q->pool, (void **)mbufs, got) < 0)
		got /= 2;
	return got;
}

void
nfe_rx_set_short(struct nfe_rxq *q)
{
	struct rte_mbuf m = { .data_off = RTE_PKTMBUF_HEADROOM, .nb_segs = 1, .port = q->port_id };
	uint32_t more = (q->buf_size - NFE_INLINE_ONE) / NFE_MSG_SIZE; /* cells, copied whole */

	rte_mbuf_refcnt_set(&m, 1);
	memcpy(&q->rearm, &m.rearm_data, sizeof(q->rearm));
	q->short_len = RTE_MIN(RTE_MIN(q->inline_max, NFE_INLINE_SHORT),
			       NFE_INLINE_ONE + more * NFE_MSG_SIZE);
}

static inline void
rx_short_fill(const struct nfe_rxq *q, struct rte_mbuf *m, const uint8_t *cell, uint32_t len)
{
	char *data = (char *)m->buf_addr + RTE_PKTMBUF_HEADROOM;

	rx_mbuf_init(q, m, len);
	/* Whole cells, which have a fixed size: behind the frame there is room. But the last four
	 * bytes of 64, 128 or 256 by themselves: what is behind them is another line. */
	memcpy(data, cell + NFE_CELL_HEAD, NFE_INLINE_ONE);
	for (uint32_t at = NFE_INLINE_ONE; at < len; at += NFE_MSG_SIZE)
		if (len - at > sizeof(uint32_t))
			memcpy(data + at, cell + NFE_CELL_HEAD + at, NFE_MSG_SIZE);
		else
			memcpy(data + at, cell + NFE_CELL_HEAD + at, sizeof(uint32_t));
}

/* Nothing is published. */
static inline void
rx_prefetch_first(const struct nfe_rxq *q)
{
	for (uint32_t i = 0; i < NFE_CELLS_FIRST; i++)
		rte_prefetch0(rx_cell(q, q->cons + i));
}

/* Ask for the next cells of those published, as many as are taken now. */
static inline void
rx_prefetch(const struct nfe_rxq *q, uint32_t avail, uint32_t cells)
{
	for (uint32_t i = 0; i < cells && avail > NFE_CELLS_AHEAD + i; i++)
		rte_prefetch0(rx_cell(q, q->cons + NFE_CELLS_AHEAD + i));
}

/*
 * The usual short frames, from their cells right into fresh mbufs, up to a message that is anything
 * else. The first word of a message is read once and checked, the rest is nothing but frame (64 B:
 * 61 cycles in the benchmark's loop, 93 when each cell was copied first and each mbuf allocated).
 * At pkts are spare mbufs that were taken for such frames before, and left there are those for the
 * next ones: where short and long frames take turns, all of a burst are taken at once (IMIX: 225
 * cycles of the guests, now 204).
 */
static uint16_t
rx_short_burst(struct nfe_rxq *q, struct rte_mbuf **pkts, uint16_t nb_pkts, uint32_t avail,
	       uint32_t *spare, uint64_t *all_bytes)
{
	uint32_t end = q->cons + avail, got = *spare, cells;
	uint64_t bytes = 0;
	uint16_t n;

	for (n = 0; n < nb_pkts && q->cons != end; n++, q->cons += cells) {
		const uint8_t *cell = rx_cell(q, q->cons);
		uint32_t len = rx_short_len(q, cell);

		cells = nfe_inline_cells(len);
		if (unlikely(len == 0 || !rx_cells_ok(q, q->cons, cells, end - q->cons)))
			break;
		if (n == got)
			got += rx_get_mbufs(q, &pkts[n],
					    RTE_MIN((uint32_t)nb_pkts - n, end - q->cons));
		if (unlikely(n == got))
			break;
		rx_prefetch(q, end - q->cons, cells);
		rx_short_fill(q, pkts[n], cell, len);
		bytes += len;
	}
	*spare = got - n;
	q->count.got_inline += n;
	*all_bytes += bytes;
	return n;
}

/* The buffers of a DMA message as a chain; NULL: refused, counted. */
static struct rte_mbuf *
rx_chain(struct nfe_rxq *q, const union nfe_msg *msg, uint32_t window)
{
	uint32_t cookie = msg->rx.cookie, len = msg->rx.len, nb_segs = msg->rx.hints.nsegs;
	struct rte_mbuf *head = NULL, *last = NULL, *m;
	uint64_t *reason;
	union nfe_msg more;

	for (uint32_t i = 0; i < nb_segs; i++) {
		if (i > 0) {
			uint32_t slot = (i - 1) % NFE_SEGS_PER_CELL;

			if (slot == 0)
				nfe_cell_copy(&more, rx_cell(q, q->cons + nfe_dma_cells(i + 1) - 1),
					      sizeof(more));
			cookie = more.seg_rx[slot].cookie;
			len = more.seg_rx[slot].len;
		}
		reason = &q->count.bad_length;
		if (unlikely(len == 0 || len > q->buf_size))
			goto refuse;
		reason = &q->count.bad_cookie;
		m = rx_take_buffer(q, cookie, window);
		if (unlikely(m == NULL))
			goto refuse;
		rx_mbuf_init(q, m, len);
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += len;
		}
		last = m;
	}
	reason = &q->count.bad_length;
	if (likely(head->pkt_len >= NFE_MIN_FRAME && head->pkt_len <= q->max_frame))
		return head;
refuse:
	(*reason)++;
	rte_pktmbuf_free(head);
	return NULL;
}

static struct rte_mbuf *
rx_dma(struct nfe_rxq *q, const union nfe_msg *msg)
{
	uint32_t window = rx_window(q, msg->rx.fill_end);
	struct rte_mbuf *m = NULL;

	if (unlikely(window == 0 || window < msg->rx.hints.nsegs)) {
		q->count.bad_fill_end++;
		return NULL;
	}
	if (likely(rx_nb_segs_ok(q, msg->rx.hints.nsegs)))
		m = rx_chain(q, msg, window);
	else
		q->count.bad_segs++;
	rx_advance(q, msg->rx.fill_end, &q->count.lost);
	q->count.got_dma += m != NULL;
	return m;
}

static void
rx_returned(struct nfe_rxq *q, const union nfe_msg *msg)
{
	uint32_t window = rx_window(q, msg->ret.fill_end);

	if (msg->ret.n == 0 || msg->ret.n > NFE_RET_COOKIES || window < msg->ret.n) {
		q->count.bad_fill_end++;
		return;
	}
	/* The window says which buffers they are; the cookies add nothing to it. */
	rx_advance(q, msg->ret.fill_end, &q->count.returned);
}

/* A flag whose feature was not accepted, or on a message without a frame, is refused. */
static inline bool
rx_flags_ok(const struct nfe_rxq *q, const union nfe_msg *msg)
{
	return msg->flags == 0 || ((msg->type == NFE_MSG_INLINE || msg->type == NFE_MSG_DMA_RX) &&
				   (msg->flags & ~q->take_flags) == 0);
}

/* What the flags of its message say about a frame; of one without them nothing is known. */
static inline void
rx_offloads(const struct nfe_rxq *q, const union nfe_msg *msg, struct rte_mbuf *m)
{
	if (msg->flags & NFE_MSG_F_HASH) {
		m->hash.rss = msg->type == NFE_MSG_INLINE ? msg->in_hash.hash : msg->rx.hash;
		m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	}
	if ((msg->flags & NFE_MSG_F_CSUM_OK) && q->csum)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

/* The frame of a message, or NULL: there is none in it. full: no mbuf now, look again later. */
static inline struct rte_mbuf *
rx_take_one(struct nfe_rxq *q, const union nfe_msg *msg, bool *full)
{
	struct rte_mbuf *m = NULL;

	if (unlikely(!rx_flags_ok(q, msg))) {
		q->count.bad_type++;
	} else if (msg->type == NFE_MSG_INLINE) {
		if (likely(rx_inline_len_ok(q, msg))) {
			m = rx_inline(q, msg);
			*full = m == NULL;
		} else {
			q->count.bad_length++;
		}
	} else if (msg->type == NFE_MSG_DMA_RX) {
		m = rx_dma(q, msg);
	} else if (msg->type == NFE_MSG_RET) {
		rx_returned(q, msg);
	} else if (msg->type != NFE_MSG_NOP) {
		q->count.bad_type++;
	}
	return m;
}

/* False: the device can't reach this buffer in one region (it lies across two). */
static inline bool
rx_post(struct nfe_rxq *q, const struct nfe_map *map, struct rte_mbuf *m)
{
	uint32_t idx = q->fill_prod & q->mask;
	uint64_t offset = 0;
	uint32_t key = 0;

	if (unlikely(nfe_map_find(map, &q->map_hit, (char *)m->buf_addr + RTE_PKTMBUF_HEADROOM,
				  &key, &offset) < q->buf_size))
		return false;
	nfe_put_entry(q->fill + (size_t)idx * sizeof(struct nfe_fill), offset,
		      nfe_put_pair(key, idx));
	q->sw[idx] = m;
	q->fill_prod++;
	return true;
}

void
nfe_rx_refill(struct nfe_rxq *q)
{
	const struct nfe_map *map =
		rte_atomic_load_explicit(&q->port->map, rte_memory_order_acquire);
	uint32_t room = q->fill_max - (q->fill_prod - q->fill_end), old = q->fill_prod;
	struct rte_mbuf *mbufs[NFE_BURST_CHUNK];

	while (room > 0) {
		uint32_t want = RTE_MIN(room, NFE_BURST_CHUNK), refused = 0;
		uint32_t got = rx_get_mbufs(q, mbufs, want);

		q->count.nombuf += want - got;
		for (uint32_t i = 0; i < got; i++)
			if (!rx_post(q, map, mbufs[i]))
				mbufs[refused++] = mbufs[i];
		if (refused > 0)
			rte_mempool_put_bulk(q->pool, (void **)mbufs, refused);
		if (got < want)
			break;
		room -= got;
	}
	if (q->fill_prod != old)
		nfe_idx_publish(q->db_fill_prod, q->fill_prod); /* W1 */
}

/* One message of any kind; 0: no mbuf for it now, it stays. Otherwise its cells, and in *m its
 * frame or NULL. */
static uint32_t
rx_message(struct nfe_rxq *q, uint32_t avail, struct rte_mbuf **m)
{
	union nfe_msg msg;
	uint32_t cells;
	bool full = false;

	*m = NULL;
	nfe_cell64_copy(&msg, rx_cell(q, q->cons)); /* rule 1 */
	cells = rx_msg_cells(q, &msg);
	if (unlikely(!rx_cells_ok(q, q->cons, cells, avail))) {
		q->count.bad_truncated++;
		return RTE_MIN(cells, avail);
	}
	rx_prefetch(q, avail, cells);
	*m = rx_take_one(q, &msg, &full);
	if (unlikely(full))
		return 0;
	if (likely(*m != NULL))
		rx_offloads(q, &msg, *m);
	return cells;
}

/* A frame at pkts[0], where spare mbufs begin: the first moves to their end or, where no room is,
 * back to the pool. How many are left. */
static inline uint32_t
rx_put_before(struct nfe_rxq *q, struct rte_mbuf **pkts, uint16_t nb_pkts, uint32_t spare,
	      struct rte_mbuf *m)
{
	if (spare > 0 && spare < nb_pkts) {
		pkts[spare] = pkts[0];
	} else if (spare > 0) {
		rte_mempool_put(q->pool, pkts[0]);
		spare--;
	}
	pkts[0] = m;
	return spare;
}

/*
 * The usual long frames, each in one posted buffer, up to a message that is anything else: that is
 * left to the general way, which looks at it anew. Three words of a message are read, once each
 * (nfe-test nfe_perf, 512 B: 24 cycles to receive and refill, now 14).
 */
static uint16_t
rx_plain_burst(struct nfe_rxq *q, struct rte_mbuf **pkts, uint16_t nb_pkts, uint32_t avail,
	       uint32_t *spare, uint64_t *all_bytes)
{
	const struct nfe_hints plain = { .nsegs = 1 };
	uint32_t end = q->cons + avail, most = RTE_MIN(q->buf_size, q->max_frame);
	uint64_t bytes = 0, want;
	uint16_t n;

	memcpy(&want, &plain, sizeof(want));
	for (n = 0; n < nb_pkts && q->cons != end; n++, q->cons++) {
		const volatile nfe_put_word *cell =
			(const volatile nfe_put_word *)rx_cell(q, q->cons);
		uint64_t head = cell[0], window_end = cell[1], hints = cell[2];
		uint32_t len = (uint32_t)head >> 16, window = rx_window(q, window_end >> 32);
		struct rte_mbuf *m;

		if ((head & UINT16_MAX) != NFE_MSG_DMA_RX || hints != want ||
		    len < NFE_MIN_FRAME || len > most)
			break;
		m = rx_take_buffer(q, head >> 32, window);
		if (unlikely(m == NULL))
			break;
		rx_mbuf_init(q, m, len);
		rx_advance(q, window_end >> 32, &q->count.lost);
		rx_prefetch(q, end - q->cons, 1);
		*spare = rx_put_before(q, &pkts[n], nb_pkts - n, *spare, m);
		bytes += len;
	}
	q->count.got_dma += n;
	*all_bytes += bytes;
	return n;
}

uint16_t
nfe_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct nfe_rxq *q = queue;
	uint32_t old, end, cells, spare = 0;
	struct rte_mbuf *m;
	uint64_t bytes = 0;
	uint16_t n = 0, nb_plain;

	if (unlikely(!nfeh_gate_enter(&q->gate)))
		return 0;
	old = q->cons;
	end = old + nfe_rx_avail(q);
	if (old == end)
		rx_prefetch_first(q);
	while (n < nb_pkts && q->cons != end) {
		n += rx_short_burst(q, &pkts[n], nb_pkts - n, end - q->cons, &spare, &bytes);
		if (likely(n == nb_pkts || q->cons == end))
			break;
		nb_plain = rx_plain_burst(q, &pkts[n], nb_pkts - n, end - q->cons, &spare, &bytes);
		n += nb_plain;
		if (likely(nb_plain > 0))
			continue;
		cells = rx_message(q, end - q->cons, &m);
		if (unlikely(cells == 0)) {
			q->count.nombuf++;
			break;
		}
		q->cons += cells;
		if (unlikely(m == NULL))
			continue;
		spare = rx_put_before(q, &pkts[n], nb_pkts - n, spare, m);
		bytes += m->pkt_len;
		n++;
	}
	if (spare > 0)
		rte_mempool_put_bulk(q->pool, (void **)&pkts[n], spare);
	q->count.packets += n;
	q->count.bytes += bytes;
	if (q->cons != old)
		nfe_idx_publish(q->db_cons, q->cons); /* W2 */
	if (q->fill_max - (q->fill_prod - q->fill_end) >= q->free_thresh)
		nfe_rx_refill(q);
	nfeh_gate_leave(&q->gate);
	if (unlikely(rte_atomic_load_explicit(&q->vlan_strip, rte_memory_order_relaxed)))
		nfe_vlan_strip(pkts, n);
	return n;
}

uint32_t
nfe_rx_scan_fill_end(struct nfe_rxq *q)
{
	uint32_t fill_end = q->fill_end, index = q->cons, avail, cells, next;
	union nfe_msg msg;

	for (avail = nfe_rx_avail(q); avail > 0; avail -= cells, index += cells) {
		nfe_cell_copy(&msg, rx_cell(q, index), sizeof(msg));
		cells = RTE_MIN(rx_msg_cells(q, &msg), avail);
		if (msg.type == NFE_MSG_DMA_RX)
			next = msg.rx.fill_end;
		else if (msg.type == NFE_MSG_RET)
			next = msg.ret.fill_end;
		else
			continue;
		if (next - fill_end <= q->fill_prod - fill_end)
			fill_end = next;
	}
	return fill_end;
}
