/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What a guest of test_vsw_fixture.h does on its queues: puts messages and buffers, takes frames
 * and checks the device's side of the contract (specification 4, 5.5, rule 20). One thread.
 */
#include <unistd.h>

#include "test_vsw_fixture.h"

#define COOKIE(index) (0x5a000000u | ((index) & 0xffffffu))
#define GUARD 64u /* canary behind each buffer */

static uint32_t random_state = 1;

void
sw_random_seed(uint32_t seed)
{
	random_state = seed | 1;
}

uint32_t
sw_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

uint8_t *
sw_chan_mem(const struct sw_chan *c, uint32_t off)
{
	return c->guest->g.mem + FAKE_DATA + (c->number - 1u) * SW_CHAN_STRIDE + off;
}

struct nfe_status *
sw_status(const struct sw_chan *c)
{
	return (struct nfe_status *)(void *)sw_chan_mem(c, 0);
}

void
sw_make_frame(uint8_t *frame, uint32_t len, const uint8_t *dst, const uint8_t *src, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + len;

	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	frame[12] = 0x88; /* local experimental: no IP header to hash by */
	frame[13] = 0xb5;
	for (uint32_t i = 14; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		frame[i] = (uint8_t)(x >> 24);
	}
}

uint32_t
sw_sq_room(const struct sw_chan *c)
{
	return (1u << c->sq_log2) - (c->sq_prod - nfe_idx_read(&sw_status(c)->sq_cons));
}

static void
put_cell(struct sw_chan *c, const union nfe_msg *m)
{
	uint32_t idx = c->sq_prod++ & ((1u << c->sq_log2) - 1);

	memcpy(sw_chan_mem(c, SW_CHAN_SQ + idx * NFE_MSG_SIZE), m, sizeof(*m));
}

void
sw_put_cells(struct sw_chan *c, const union nfe_msg *m, unsigned int cells)
{
	static const union nfe_msg nop = { .type = NFE_MSG_NOP };
	uint32_t size = 1u << c->sq_log2;

	while ((c->sq_prod & (size - 1)) + cells > size)
		put_cell(c, &nop);
	for (unsigned int i = 0; i < cells; i++)
		put_cell(c, &m[i]);
}

void
sw_publish(struct sw_chan *c)
{
	uint32_t *shared = fake_db(&c->guest->g, c->number, NFE_DB_SQ_PROD), old = *shared;
	uint64_t one = 1;

	nfe_idx_publish(shared, c->sq_prod);
	nfe_full_fence();
	if (nfe_event_crossed(nfe_idx_read(&sw_status(c)->sq_event), c->sq_prod, old) &&
	    write(c->guest->kick_fd, &one, sizeof(one)) < 0)
		return; /* a full counter kicks as well */
}

void
sw_put_inline(struct sw_chan *c, const uint8_t *frame, uint32_t len)
{
	union nfe_msg m[VSW_INLINE_CELLS];
	uint32_t cells = nfe_inline_cells(len);

	/* A careless guest leaves rubbish behind the frame: it must not reach anybody. */
	memset(m, SW_CANARY, sizeof(m));
	m[0].in.type = NFE_MSG_INLINE;
	m[0].in.flags = 0;
	m[0].in.len = (uint16_t)len;
	memcpy(m[0].bytes + offsetof(struct nfe_msg_inline, frame), frame, RTE_MIN(len, 60u));
	for (uint32_t at = 60, i = 1; at < len; at += 64, i++)
		memcpy(m[i].bytes, frame + at, RTE_MIN(len - at, 64u));
	sw_put_cells(c, m, cells);
}

/* Payload at a place of its own; returns the offset in the payload region. */
static uint32_t
put_payload(struct sw_guest *g, const uint8_t *bytes, uint32_t len)
{
	uint32_t off = g->payload_used;

	if (off + len > SW_PAYLOAD_LEN)
		off = 0;
	memcpy(g->g.mem + SW_PAYLOAD + off, bytes, len);
	g->payload_used = off + len + sw_random() % 8;
	return off;
}

void
sw_put_dma(struct sw_chan *c, const uint8_t *frame, uint32_t len, unsigned int nsegs)
{
	static const struct nfe_hints none;

	sw_put_hinted(c, frame, len, nsegs, 0, &none);
}

void
sw_put_hinted(struct sw_chan *c, const uint8_t *frame, uint32_t len, unsigned int nsegs,
	      uint8_t flags, const struct nfe_hints *hints)
{
	union nfe_msg m[1 + NFE_MAX_SEGS / NFE_SEGS_PER_CELL + 1];
	uint32_t left = len - NFE_HDR_COPY, at = NFE_HDR_COPY;

	memset(m, 0, sizeof(m));
	m->tx.type = NFE_MSG_DMA_TX;
	m->tx.flags = flags;
	m->tx.hints = *hints;
	m->tx.hints.nsegs = (uint8_t)nsegs;
	memcpy(m->tx.hdr, frame, NFE_HDR_COPY);
	for (unsigned int i = 0; i < nsegs; i++) {
		uint32_t rest = nsegs - 1 - i; /* each further segment needs a byte */
		uint32_t n = rest == 0 ? left : 1 + sw_random() % (left - rest);
		uint32_t off = put_payload(c->guest, frame + at, n);

		if (i == 0) {
			m->tx.key = SW_KEY_PAYLOAD;
			m->tx.len = (uint16_t)n;
			m->tx.offset = off;
		} else {
			m[1 + (i - 1) / 4].seg_tx[(i - 1) % 4] =
				(struct nfe_seg_tx){ SW_KEY_PAYLOAD, n, off };
		}
		left -= n;
		at += n;
	}
	sw_put_cells(c, m, nfe_dma_cells(nsegs));
}

void
sw_put_frame(struct sw_chan *c, const uint8_t *frame, uint32_t len)
{
	uint32_t most = len > NFE_HDR_COPY ? RTE_MIN(len - NFE_HDR_COPY, NFE_MAX_SEGS) : 0;

	if (most == 0 || (len <= NFE_INLINE_SHORT && sw_random() % 2))
		sw_put_inline(c, frame, len);
	else
		sw_put_dma(c, frame, len, 1 + sw_random() % most);
}

/* Buffers are taken round robin from the channel's half of the region: they come back in order. */
void
sw_post(struct sw_chan *c, unsigned int n)
{
	uint32_t half = SW_BUFFERS_LEN / SW_RX_CHANNELS, mask = (1u << c->fq_log2) - 1;
	uint32_t stride = RTE_ALIGN(c->buf_size + GUARD, 64u), count = half / stride;

	for (; n > 0; n--) {
		uint32_t off = (c->number - 1u) * half + c->next_buf++ % count * stride;
		struct nfe_fill e = { off, SW_KEY_BUFFERS, COOKIE(c->fq_prod) };

		memset(c->guest->g.mem + SW_BUFFERS + off, SW_CANARY, stride);
		c->posted[c->fq_prod & mask] = off;
		memcpy(sw_chan_mem(c, SW_CHAN_FQ + (c->fq_prod & mask) * 16), &e, sizeof(e));
		c->fq_prod++;
	}
	nfe_idx_publish(fake_db(&c->guest->g, c->number, NFE_DB_FQ_PROD), c->fq_prod);
}

static bool
all_bytes(const uint8_t *p, uint32_t len, uint8_t value)
{
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

#define RULE(cond)                                                               \
	do {                                                                     \
		if (!(cond)) {                                                   \
			printf("# %s:%d: device broke: %s\n", __FILE__, __LINE__, \
			       #cond);                                           \
			return -1;                                               \
		}                                                                \
	} while (0)

/* The RQ cell at index; what was read becomes canary, so that the next one must be whole. */
static int
take_cell(struct sw_chan *c, union nfe_msg *m)
{
	uint32_t idx = c->rq_cons & ((1u << c->rq_log2) - 1);
	uint8_t *cell = sw_chan_mem(c, SW_CHAN_RQ + idx * NFE_MSG_SIZE);

	RULE(c->rq_cons != nfe_idx_read(&sw_status(c)->rq_prod));
	memcpy(m, cell, sizeof(*m));
	memset(cell, SW_CANARY, NFE_MSG_SIZE);
	c->rq_cons++;
	return 0;
}

/* What a message to this guest may carry. */
static uint8_t
flags_accepted(const struct sw_chan *c)
{
	uint64_t features = nfed_function_accepted(c->guest->fn);
	uint8_t flags = 0;

	if (features & NFE_F_CSUM_TO_HOST)
		flags = NFE_MSG_F_CSUM_OK | NFE_MSG_F_CSUM_PARTIAL;
	if (features & NFE_F_GSO_TO_HOST)
		flags |= NFE_MSG_F_GSO;
	if (features & NFE_F_CSUM_OK)
		flags |= NFE_MSG_F_CSUM_OK;
	if (features & NFE_F_RSS)
		flags |= NFE_MSG_F_HASH;
	return flags;
}

static int
take_inline(struct sw_chan *c, union nfe_msg *m, struct sw_frame *f)
{
	uint32_t skip = m->flags & NFE_MSG_F_HASH ? NFE_INLINE_HASH : 0, cells, tail;
	uint8_t may = NFE_MSG_F_CSUM_OK | NFE_MSG_F_HASH;

	f->len = m->in.len;
	f->nbufs = 0;
	f->flags = m->in.flags;
	f->hash = skip != 0 ? m->in_hash.hash : 0;
	f->hints = (struct nfe_hints){ 0 };
	RULE(f->len >= NFE_MIN_FRAME && f->len + skip <= NFE_INLINE_SHORT);
	RULE((f->flags & ~(flags_accepted(c) & may)) == 0);
	cells = nfe_inline_cells(f->len + skip);
	RULE(((c->rq_cons - 1) & ((1u << c->rq_log2) - 1)) + cells <= 1u << c->rq_log2);
	for (uint32_t i = 1; i < cells; i++)
		RULE(take_cell(c, &m[i]) == 0);
	memcpy(f->bytes, m->bytes + 4 + skip, f->len);
	tail = cells * NFE_MSG_SIZE - 4 - skip - f->len;
	RULE(all_bytes(m->bytes + 4 + skip + f->len, tail, 0));
	return 1;
}

/* The next posted buffer comes back under this cookie, with len bytes in it. */
static int
take_buffer(struct sw_chan *c, uint32_t cookie, uint32_t len, struct sw_frame *f)
{
	const uint8_t *buf = c->guest->g.mem + SW_BUFFERS +
			     c->posted[c->fill_end & ((1u << c->fq_log2) - 1)];

	RULE(c->fill_end != c->fq_prod && cookie == COOKIE(c->fill_end));
	RULE(len > 0 && len <= c->buf_size && f->len + len <= SW_MAX_GSO);
	memcpy(f->bytes + f->len, buf, len);
	RULE(all_bytes(buf + len, c->buf_size - len + GUARD, SW_CANARY));
	f->len += len;
	c->fill_end++;
	return 0;
}

static int
take_dma(struct sw_chan *c, union nfe_msg *m, struct sw_frame *f)
{
	const struct nfe_hints *h = &m->rx.hints;
	uint32_t n = h->nsegs, hdr, expect = c->fill_end + n;

	f->len = 0;
	f->nbufs = n;
	f->flags = m->rx.flags;
	f->hash = m->rx.hash;
	f->hints = *h;
	RULE((f->flags & ~flags_accepted(c)) == 0);
	RULE(m->rx.hash == 0 || (f->flags & NFE_MSG_F_HASH));
	RULE(n >= 1 && n <= VSW_MAX_BUFS);
	RULE(m->rx.fill_end == expect);
	RULE(((c->rq_cons - 1) & ((1u << c->rq_log2) - 1)) + nfe_dma_cells(n) <= 1u << c->rq_log2);
	RULE(take_buffer(c, m->rx.cookie, m->rx.len, f) == 0);
	for (uint32_t i = 1; i < nfe_dma_cells(n); i++)
		RULE(take_cell(c, &m[i]) == 0);
	for (uint32_t i = 0; i < (nfe_dma_cells(n) - 1) * NFE_SEGS_PER_CELL; i++) {
		const struct nfe_seg_rx *s = &m[1 + i / 4].seg_rx[i % 4];

		RULE(s->zero == 0 && (i < n - 1 || (s->cookie == 0 && s->len == 0)));
		if (i < n - 1)
			RULE(take_buffer(c, s->cookie, s->len, f) == 0);
	}
	RULE(f->len <= (f->flags & NFE_MSG_F_GSO ? SW_MAX_GSO : SW_MAX_FRAME));
	RULE(nfe_hints_valid(f->flags & ~NFE_MSG_F_HASH, h, m->rx.hdr, f->len));
	hdr = RTE_MIN(f->len, NFE_HDR_COPY);
	RULE(memcmp(m->rx.hdr, f->bytes, hdr) == 0);
	RULE(all_bytes(m->rx.hdr + hdr, NFE_HDR_COPY - hdr, 0));
	return 1;
}

static int
take_ret(struct sw_chan *c, const union nfe_msg *m)
{
	const struct nfe_msg_ret *r = &m->ret;

	RULE(r->flags == 0 && r->n >= 1 && r->n <= NFE_RET_COOKIES);
	RULE(r->reason == NFE_RET_BAD_ENTRY || r->reason == NFE_RET_COPY);
	RULE(r->fill_end == c->fill_end + r->n);
	for (uint32_t i = 0; i < NFE_RET_COOKIES; i++)
		RULE(r->cookie[i] == (i < r->n ? COOKIE(c->fill_end + i) : 0));
	c->fill_end += r->n;
	c->rets += r->n;
	c->ret_reason = r->reason;
	return 0;
}

static int
at_end(struct sw_chan *c)
{
	if (c->buf_size != UINT32_MAX && sw_status(c)->state == NFE_CHAN_RUNNING)
		RULE(nfe_idx_read(&sw_status(c)->fq_cons) == c->fill_end);
	return 0;
}

static int
recv_one(struct sw_chan *c, struct sw_frame *f)
{
	union nfe_msg m[1 + NFE_MAX_SEGS / NFE_SEGS_PER_CELL + 1];

	RULE(nfe_idx_read(&sw_status(c)->rq_prod) - c->rq_cons <= 1u << c->rq_log2);
	while (nfe_idx_read(&sw_status(c)->rq_prod) != c->rq_cons) {
		RULE(take_cell(c, m) == 0);
		switch (m->type) {
		case NFE_MSG_INLINE:
			return take_inline(c, m, f);
		case NFE_MSG_DMA_RX:
			return take_dma(c, m, f);
		case NFE_MSG_RET:
			RULE(take_ret(c, m) == 0);
			break;
		default:
			RULE(m->type == NFE_MSG_NOP && all_bytes(m->bytes + 1, 63, 0));
			c->nops++;
		}
	}
	return at_end(c);
}

int
sw_recv(struct sw_chan *c, struct sw_frame *f)
{
	int rc = recv_one(c, f);

	nfe_idx_publish(fake_db(&c->guest->g, c->number, NFE_DB_RQ_CONS), c->rq_cons);
	return rc;
}

unsigned int
sw_drain(struct sw_chan *c)
{
	static struct sw_frame f;
	unsigned int n = 0;
	int rc;

	while ((rc = sw_recv(c, &f)) == 1)
		n++;
	return rc < 0 ? -1u : n;
}
