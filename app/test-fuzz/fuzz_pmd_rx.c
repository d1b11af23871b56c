/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Fuzzer of the PMD's bursts against a hostile device (rule 16): indices and receive cells are the
 * input's. Whatever the device says, a frame that comes out is one that could have been sent, each
 * mbuf is either posted, held, handed out or in its pool, and nothing is written beyond a buffer:
 * the red zone after each data room is poisoned, the queues are heap of exactly their size.
 *
 * The queues are made by hand, without ethdev; EAL gives mbufs, without hugepages.
 */
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include <nfe_ethdev.h>
#include <nfeh_internal.h>

#include "fuzz.h"

#define POOL_SIZE 511u
#define BUF_SIZE 512u
#define RED_ZONE 64u
#define QUEUE_SIZE 32u
#define MAX_BURST 48u
#define MAX_STEPS 64u
#define MAX_FRAME 4000u
#define FIRST_INDEX 0xfffffff0u

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct rte_mempool *pool;
static struct nfe_port port;
static struct nfeh host;
static struct nfe_bus bus;

static void
kick(struct nfe_bus *b, unsigned int channel)
{
	(void)b;
	CHECK(channel == 1);
}

static void
poison_red_zone(struct rte_mempool *mp, void *opaque, void *obj, unsigned int idx)
{
	struct rte_mbuf *m = obj;

	(void)mp;
	(void)opaque;
	(void)idx;
	m->buf_len -= RED_ZONE;
	ASAN_POISON_MEMORY_REGION((uint8_t *)m->buf_addr + m->buf_len, RED_ZONE);
}

static void *
zalloc(size_t align, size_t bytes)
{
	void *p = aligned_alloc(align, bytes);

	CHECK(p != NULL);
	memset(p, 0, bytes);
	return p;
}

/* Frames as an application may see them. */
static void
check_frame(const struct rte_mbuf *m)
{
	uint32_t len = 0, nb_segs = 0;

	CHECK(m->pkt_len >= NFE_MIN_FRAME && m->pkt_len <= MAX_FRAME);
	rte_mbuf_sanity_check(m, 1);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		CHECK(s->data_len > 0 && s->data_len <= BUF_SIZE && s->refcnt == 1);
		len += s->data_len;
		nb_segs++;
	}
	CHECK(len == m->pkt_len && nb_segs == m->nb_segs);
}

/* sw[] holds the posted mbufs and nothing else; all others are in the pool. */
static void
check_rxq(const struct nfe_rxq *q)
{
	uint32_t posted = q->fill_prod - q->fill_end;

	CHECK(posted <= q->size);
	for (uint32_t i = 0; i < q->size; i++)
		CHECK((q->sw[(q->fill_end + i) & q->mask] != NULL) == (i < posted));
	CHECK(rte_mempool_in_use_count(pool) == posted);
}

/*
 * One message as a device would write it, bent in one place or another. fill_end runs along as the
 * device's own would. Gives the number of cells.
 */
static uint32_t
write_message(struct nfe_rxq *q, struct input *in, uint32_t index, uint32_t *fill_end)
{
	uint32_t kind = take(in, 1), bend = take(in, 1), nsegs = 1 + take(in, 1) % 20, cells = 1;
	uint32_t bent_cookie = take(in, 1) % (QUEUE_SIZE + 8);
	union nfe_msg msg = { .type = NFE_MSG_NOP };

	bend = bend & 0x80 ? bend & 0x7f : 0; /* good ones too, or little would be posted again */
	switch (kind % 6) {
	case 0:
		msg.type = NFE_MSG_INLINE;
		msg.in.len = bend & 1 ? take(in, 2) % 1024 : NFE_MIN_FRAME + take(in, 1);
		cells = nfe_inline_cells(msg.in.len);
		break;
	case 1:
		nsegs = 1; /* fall through */
	case 2:
		msg.type = NFE_MSG_DMA_RX;
		msg.rx.len = bend & 1 ? take(in, 2) : 14 + take(in, 1);
		msg.rx.cookie = bend & 2 ? bent_cookie : *fill_end & q->mask;
		*fill_end += nsegs;
		msg.rx.fill_end = bend & 4 ? take(in, 4) : *fill_end;
		msg.rx.hints.nsegs = bend & 8 ? take(in, 1) : nsegs;
		cells = nfe_dma_cells(nsegs);
		break;
	case 3:
		msg.type = NFE_MSG_RET;
		msg.ret.n = bend & 1 ? take(in, 1) : 1 + take(in, 1) % NFE_RET_COOKIES;
		*fill_end += msg.ret.n;
		msg.ret.fill_end = bend & 4 ? take(in, 4) : *fill_end;
		break;
	case 4:
		for (unsigned int i = 0; i < NFE_MSG_SIZE; i++)
			msg.bytes[i] = take(in, 1);
		break;
	}
	msg.flags = bend & 0x40 ? take(in, 1) : 0;
	memcpy(q->cells + (index & q->mask) * NFE_MSG_SIZE, &msg, sizeof(msg));
	for (uint32_t c = 1; c < cells; c++) {
		for (uint32_t s = 0; s < NFE_SEGS_PER_CELL; s++)
			msg.seg_rx[s] = (struct nfe_seg_rx){
				.cookie = bend & 0x10 ? bent_cookie :
					(*fill_end - nsegs + (c - 1) * NFE_SEGS_PER_CELL + s + 1) &
					q->mask,
				.len = bend & 0x20 ? take(in, 4) : 1 + take(in, 1),
			};
		memcpy(q->cells + ((index + c) & q->mask) * NFE_MSG_SIZE, &msg, sizeof(msg));
	}
	return cells;
}

static void
rx_step(struct nfe_rxq *q, struct input *in)
{
	uint32_t prod = q->status->rq_prod, fill_end = q->fill_end, n = take(in, 1) % 8, good;
	struct rte_mbuf *pkts[MAX_BURST];
	uint16_t got;

	while (n-- > 0 && prod - q->cons < q->size)
		prod += write_message(q, in, prod, &fill_end);
	good = prod - q->cons <= q->size ? prod : q->cons + q->size;
	q->status->rq_prod = take(in, 1) % 16 == 0 ? take(in, 4) : good;
	fill_end = nfe_rx_scan_fill_end(q);
	CHECK(fill_end - q->fill_end <= q->fill_prod - q->fill_end);
	got = nfe_rx_burst(q, pkts, take(in, 1) % MAX_BURST);
	for (uint16_t i = 0; i < got; i++)
		check_frame(pkts[i]);
	rte_pktmbuf_free_bulk(pkts, got);
	check_rxq(q);
	if (q->status->rq_prod - q->cons > q->size) /* else it is silent for ever */
		q->status->rq_prod = good - q->cons <= q->size ? good : q->cons;
}

static struct nfe_rxq *
rxq_open(uint32_t max_segs, uint32_t free_thresh)
{
	static uint32_t db[2];
	struct nfe_rxq *q = zalloc(RTE_CACHE_LINE_SIZE, sizeof(*q));

	q->cells = zalloc(64, QUEUE_SIZE * NFE_MSG_SIZE);
	q->fill = zalloc(64, QUEUE_SIZE * sizeof(struct nfe_fill));
	q->sw = zalloc(64, QUEUE_SIZE * sizeof(*q->sw));
	q->status = zalloc(NFE_STATUS_ALIGN, NFE_STATUS_SIZE);
	q->size = QUEUE_SIZE;
	q->mask = QUEUE_SIZE - 1;
	q->buf_size = BUF_SIZE;
	q->inline_max = NFE_INLINE_SHORT;
	q->max_segs = max_segs;
	q->max_frame = MAX_FRAME;
	q->fill_max = QUEUE_SIZE;
	q->free_thresh = free_thresh;
	q->pool = pool;
	q->port = &port;
	q->db_cons = &db[0];
	q->db_fill_prod = &db[1];
	q->cons = q->fill_prod = q->fill_end = q->status->rq_prod = FIRST_INDEX;
	nfe_rx_set_short(q);
	nfe_rx_refill(q);
	return q;
}

static void
rxq_close(struct nfe_rxq *q)
{
	for (uint32_t i = 0; i < q->size; i++)
		rte_pktmbuf_free(q->sw[i]);
	free(q->status);
	free(q->sw);
	free(q->fill);
	free(q->cells);
	free(q);
}

static void
fuzz_rx(struct input *in)
{
	uint32_t max_segs = take(in, 1) & 1 ? NFE_MAX_SEGS : 1;
	struct nfe_rxq *q = rxq_open(max_segs, 1 + take(in, 1) % QUEUE_SIZE);
	uint32_t offloads = take(in, 1);

	q->take_flags = offloads & 1 ? NFE_MSG_F_HASH | NFE_MSG_F_CSUM_OK : 0;
	q->csum = offloads & 2;
	q->vlan_strip = offloads & 4;
	for (unsigned int i = 0; in->left > 0 && i < MAX_STEPS; i++)
		rx_step(q, in);
	rxq_close(q);
}

/* Before anything random: each lie of a device is counted by its reason, and no frame comes of it.
 */
static void
each_lie_is_counted(void)
{
#define C(name) offsetof(struct nfe_rx_counters, name)
	const uint32_t cookie = FIRST_INDEX & (QUEUE_SIZE - 1), end = FIRST_INDEX + 1;
	const struct {
		union nfe_msg msg;
		uint32_t cells; /* published */
		size_t counter;
	} lie[] = {
		{ { .type = 0x77 }, 1, C(bad_type) },
		{ { .type = NFE_MSG_NOP, .flags = 1 }, 1, C(bad_type) },
		{ { .in = { .type = NFE_MSG_INLINE, .len = 13 } }, 1, C(bad_length) },
		{ { .in = { .type = NFE_MSG_INLINE, .len = NFE_INLINE_SHORT + 1 } }, 1, C(bad_length) },
		{ { .in = { .type = NFE_MSG_INLINE, .len = 61 } }, 1, C(bad_truncated) },
		{ { .rx = { NFE_MSG_DMA_RX, 0, 0, cookie, 0, end, { .nsegs = 1 } } },
		  1,
		  C(bad_length) },
		{ { .rx = { NFE_MSG_DMA_RX, 0, 100, cookie, 0, end, { .nsegs = 0 } } },
		  1,
		  C(bad_segs) },
		{ { .rx = { NFE_MSG_DMA_RX, 0, 100, QUEUE_SIZE, 0, end, { .nsegs = 1 } } },
		  1,
		  C(bad_cookie) },
		{ { .rx = { NFE_MSG_DMA_RX, 0, 100, cookie, 0, end - 1, { .nsegs = 1 } } },
		  1,
		  C(bad_fill_end) },
		{ { .ret = { .type = NFE_MSG_RET, .n = 1, .fill_end = end + QUEUE_SIZE } },
		  1,
		  C(bad_fill_end) },
		{ { .type = NFE_MSG_NOP }, QUEUE_SIZE + 1, C(bad_index) },
	};
#undef C
	struct rte_mbuf *pkts[MAX_BURST];

	for (unsigned int i = 0; i < RTE_DIM(lie); i++) {
		struct nfe_rxq *q = rxq_open(NFE_MAX_SEGS, 1);
		uint64_t count;

		memcpy(q->cells + (q->cons & q->mask) * NFE_MSG_SIZE, &lie[i].msg, NFE_MSG_SIZE);
		q->status->rq_prod = q->cons + lie[i].cells;
		CHECK(nfe_rx_burst(q, pkts, MAX_BURST) == 0);
		memcpy(&count, (const uint8_t *)&q->count + lie[i].counter, sizeof(count));
		CHECK(count == 1);
		rxq_close(q);
	}
}

/* Lengths and chains as a careless application might make them. */
static struct rte_mbuf *
make_frame(struct input *in)
{
	uint32_t nb_segs = 1 + take(in, 1) % 7;
	struct rte_mbuf *head = NULL, *m;

	for (uint32_t i = 0; i < nb_segs; i++) {
		m = rte_pktmbuf_alloc(pool);
		if (m == NULL)
			break;
		m->data_len = m->pkt_len = take(in, 2) % (BUF_SIZE + 1);
		memset(rte_pktmbuf_mtod(m, void *), 1, m->data_len);
		if (head == NULL)
			head = m;
		else
			CHECK(rte_pktmbuf_chain(head, m) == 0);
	}
	return head;
}

static void
tx_step(struct nfe_txq *q, struct input *in)
{
	struct rte_mbuf *pkts[MAX_BURST];
	uint16_t n = 0, want = take(in, 1) % 12, sent;
	uint32_t kind;

	while (n < want && (pkts[n] = make_frame(in)) != NULL)
		n++;
	q->status->sq_event = q->prod + take(in, 1) - 8;
	sent = nfe_tx_burst(q, pkts, n);
	CHECK(sent <= n);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
	kind = take(in, 1);
	if (kind % 8 == 0)
		q->status->sq_cons = take(in, 4);
	else
		q->status->sq_cons = q->cons + kind % (q->prod - q->cons + 1);
	nfe_tx_reclaim(q, kind & 0x80 ? 1 : UINT32_MAX, kind & 0x40 ? 8 : 0, kind & 0x20 ? 16 : 0);
	CHECK(q->prod - q->cons <= q->size && q->nb_held <= q->size && q->nb_done == 0);
	CHECK(rte_mempool_in_use_count(pool) >= q->nb_held);
	if (q->prod - q->status->sq_cons > q->prod - q->cons)
		q->status->sq_cons = q->cons;
}

static struct nfe_txq *
txq_open(uint32_t free_thresh)
{
	static uint32_t db;
	struct nfe_txq *q = zalloc(RTE_CACHE_LINE_SIZE, sizeof(*q));

	q->cells = zalloc(64, QUEUE_SIZE * NFE_MSG_SIZE);
	q->sw = zalloc(64, QUEUE_SIZE * sizeof(*q->sw));
	q->status = zalloc(NFE_STATUS_ALIGN, NFE_STATUS_SIZE);
	q->size = QUEUE_SIZE;
	q->mask = QUEUE_SIZE - 1;
	q->free_thresh = free_thresh;
	q->nb_kept = 4;
	q->inline_len = NFE_INLINE_SHORT;
	q->short_len = NFE_INLINE_SHORT;
	q->inline_max = NFE_INLINE_SHORT;
	q->max_segs = 4;
	q->max_frame = MAX_FRAME;
	q->channel = 1;
	q->port = &port;
	q->db_prod = &db;
	nfe_tx_queue_reset(q);
	q->status->sq_cons = q->cons;
	return q;
}

static void
txq_close(struct nfe_txq *q)
{
	nfe_tx_queue_reset(q);
	free(q->status);
	free(q->sw);
	free(q->cells);
	free(q);
}

static void
fuzz_tx(struct input *in)
{
	struct nfe_txq *q = txq_open(1 + take(in, 1) % QUEUE_SIZE);

	for (unsigned int i = 0; in->left > 0 && i < MAX_STEPS; i++)
		tx_step(q, in);
	txq_close(q);
}

/* A consumer index ahead of what was sent frees nothing. */
static void
lie_about_sent_is_counted(void)
{
	struct nfe_txq *q = txq_open(1);

	q->status->sq_cons = q->prod + 1;
	nfe_tx_reclaim(q, UINT32_MAX, 0, 0);
	CHECK(q->count.bad_index == 1 && q->cons == q->prod);
	txq_close(q);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct nfe_bus_ops ops = { .name = "none", .kick = kick };
	static char *args[] = {
		(char *)"fuzz_pmd_rx",
		(char *)"--no-huge",
		(char *)"-m",
		(char *)"32",
		(char *)"--no-pci",
		(char *)"--no-shconf",
		(char *)"--no-telemetry",
		(char *)"--lcores",
		(char *)"0",
		(char *)"--log-level",
		(char *)"*:error",
		NULL,
	};

	(void)argc;
	(void)argv;
	CHECK(rte_eal_init(RTE_DIM(args) - 1, args) >= 0);
	pool = rte_pktmbuf_pool_create("fuzz", POOL_SIZE, 0, 0,
				       RTE_PKTMBUF_HEADROOM + BUF_SIZE + RED_ZONE, SOCKET_ID_ANY);
	CHECK(pool != NULL);
	rte_mempool_obj_iter(pool, poison_red_zone, NULL);
	bus.ops = &ops;
	host.bus = &bus;
	port.h = &host;
	port.first_index = FIRST_INDEX;
	port.map = nfe_map_alloc(1);
	CHECK(port.map != NULL);
	/* All memory up to the kernel's. */
	port.map->entry[0] = (struct nfe_map_entry){ .va = 4096, .len = UINT64_MAX / 2, .key = 5 };
	port.map->nb_entries = 1;
	each_lie_is_counted();
	lie_about_sent_is_counted();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (take(&in, 1) % 4 == 0)
		fuzz_tx(&in);
	else
		fuzz_rx(&in);
	CHECK(rte_mempool_full(pool)); /* whatever happened, nothing is lost */
	return 0;
}
