/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * libFuzzer on the data path of the switch: the input is what a hostile guest does on its queues
 * (any bytes in its rings, any index), between two honest ones. After each input the accounting
 * closes, the honest guests run, and a frame between them arrives identical; else abort().
 *
 * The input is a list of operations: a byte that chooses, then what the operation takes. The switch
 * lives through all inputs; a villain that failed is reset first.
 */
#include <stdlib.h>

#include "test_vsw_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char *test_skip_reason = "";

static struct sw sw;
static struct sw_guest_conf conf = { .vif.promisc = true, .buf_size = 700, .events = true,
				     .features = SW_BASIC | SW_CSUM | SW_GSO };
static struct sw_frame got;

struct input {
	const uint8_t *data;
	size_t left;
};

/* The next bytes; zero where the input ends. */
static void
take(struct input *in, void *to, size_t n)
{
	size_t have = RTE_MIN(n, in->left);

	memset(to, 0, n);
	if (have == 0)
		return;
	memcpy(to, in->data, have);
	in->data += have;
	in->left -= have;
}

static uint32_t
take_u32(struct input *in)
{
	uint32_t v;

	take(in, &v, sizeof(v));
	return v;
}

static uint8_t
take_u8(struct input *in)
{
	uint8_t v;

	take(in, &v, sizeof(v));
	return v;
}

#define MUST(cond)                                                           \
	do {                                                                 \
		if (!(cond)) {                                               \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                             \
		}                                                            \
	} while (0)

/* TCP over IPv4 to be cut, or flags and hints as the input has them. */
static void
some_hints(struct input *in, struct nfe_msg_dma_tx *tx, uint8_t choice)
{
	uint8_t nsegs = tx->hints.nsegs;

	tx->hdr[12] = 0x08;
	tx->hdr[14] = 0x45;
	tx->hdr[23] = NFE_L4_TCP;
	tx->flags = NFE_MSG_F_CSUM_PARTIAL | NFE_MSG_F_GSO;
	tx->hints = (struct nfe_hints){ .csum_start = 34, .csum_off = NFE_TCP_CSUM_OFF,
					.gso_size = (uint16_t)take_u32(in),
					.gso_type = NFE_GSO_TCPV4 };
	if (choice & 16) {
		tx->flags = take_u8(in);
		take(in, &tx->hints, sizeof(tx->hints));
		take(in, tx->hdr + 12, sizeof(tx->hdr) - 12);
	}
	tx->hints.nsegs = nsegs;
}

/* Some bytes of a message are given, so that the fuzzer needn't guess keys and addresses. */
static void
some_message(struct input *in, struct sw_chan *c, uint8_t choice)
{
	union nfe_msg m[5];
	const uint8_t *dst = choice & 1 ? sw_broadcast : sw.guest[1]->mac;

	memset(m, 0, sizeof(m));
	if (choice & 2) {
		m[0].tx = (struct nfe_msg_dma_tx){ .type = NFE_MSG_DMA_TX, .key = SW_KEY_PAYLOAD };
		m[0].tx.len = (uint16_t)take_u32(in);
		m[0].tx.offset = take_u32(in);
		m[0].tx.hints.nsegs = take_u8(in) % 20;
		memcpy(m[0].tx.hdr, dst, 6);
		memcpy(m[0].tx.hdr + 6, c->guest->mac, 6);
		if (choice & 8)
			some_hints(in, &m[0].tx, choice);
		for (unsigned int i = 0; i + 1 < m[0].tx.hints.nsegs && i < 16; i++) {
			struct nfe_seg_tx *s = &m[1 + i / 4].seg_tx[i % 4];

			s->key = choice & 4 ? take_u32(in) : SW_KEY_PAYLOAD;
			s->len = take_u32(in);
			s->offset = take_u32(in);
		}
	} else {
		m[0].in.type = NFE_MSG_INLINE;
		m[0].in.len = (uint16_t)take_u32(in);
		memcpy(m[0].in.frame, dst, 6);
		memcpy(m[0].in.frame + 6, c->guest->mac, 6);
	}
	sw_put_cells(c, m, 1 + take_u8(in) % 5);
}

static void
raw_cells(struct input *in, struct sw_chan *c)
{
	for (unsigned int n = 1 + take_u8(in) % 8; n > 0; n--) {
		union nfe_msg m;

		take(in, &m, sizeof(m));
		sw_put_cells(c, &m, 1);
	}
}

static void
fill_entry(struct input *in, struct sw_chan *c)
{
	struct nfe_fill e = { .key = SW_KEY_BUFFERS };

	e.offset = take_u32(in);
	e.cookie = take_u32(in);
	if (take_u8(in) & 1)
		take(in, &e, sizeof(e));
	memcpy(sw_chan_mem(c, SW_CHAN_FQ + (c->fq_prod++ & 127) * sizeof(e)), &e, sizeof(e));
	nfe_idx_publish(fake_db(&c->guest->g, 1, NFE_DB_FQ_PROD), c->fq_prod);
}

static void
honest_send(struct sw_guest *from, const uint8_t *to, uint32_t len)
{
	static uint8_t frame[SW_MAX_FRAME];

	if (sw_sq_room(&from->chan[0]) < 16)
		return;
	sw_make_frame(frame, len, to, from->mac, len);
	sw_put_frame(&from->chan[0], frame, len);
	sw_publish(&from->chan[0]);
}

static void
operate(struct input *in, struct sw_guest *g)
{
	static const uint32_t index[] = { NFE_DB_SQ_PROD, NFE_DB_RQ_CONS, NFE_DB_FQ_PROD,
					  NFE_DB_RQ_EVENT };
	static const uint64_t place[] = { FAKE_DATA, SW_BUFFERS, SW_PAYLOAD };
	struct sw_chan *c = &g->chan[0];
	uint8_t op = take_u8(in);

	switch (op % 16) {
	case 0:
		raw_cells(in, c);
		break;
	case 1:
		*fake_db(&g->g, 1, index[take_u8(in) % 4]) = take_u32(in);
		break;
	case 2:
		*fake_db(&g->g, 1, index[take_u8(in) % 4]) += take_u8(in);
		break;
	case 3:
		fake_poison(&g->g, place[take_u8(in) % 3]);
		break;
	case 4: case 5:
		fill_entry(in, c);
		break;
	case 6: case 7:
		honest_send(sw.guest[1], g->mac, 14 + take_u32(in) % 9005);
		break;
	case 8:
		vsw_owner_ops.rx_mode(g->port, take_u8(in) % 8); /* VLAN filter */
		break;
	case 9:
		nfe_idx_publish(fake_db(&g->g, 1, NFE_DB_RQ_CONS),
				nfe_idx_read(&sw_status(c)->rq_prod));
		break;
	case 10:
		vsw_service(sw.vsw);
		break;
	case 11: case 12:
		sw_publish(c);
		MUST(sw_turn(&sw) == TEST_OK);
		break;
	default:
		some_message(in, c, op >> 4);
	}
}

static int
open_once(void)
{
	static struct sw_guest_conf honest = { .buf_size = 1000, .features = SW_BASIC | NFE_F_RSS };
	struct nfe_req rss = { .op = NFE_OP_RSS_HASH,
			       .rss_hash = { NFE_RSS_TYPES, NFE_RSS_F_TELL, { 1, 2, 3 }, { 0 } } };

	SW_DO(sw_open(&sw, NULL));
	SW_DO(sw_add_guest(&sw, &conf, NULL));
	SW_DO(sw_add_guest(&sw, &honest, NULL));
	SW_DO(sw_add_guest(&sw, &honest, NULL));
	TEST_EQ(fake_request(&sw.guest[1]->g, &rss, NULL), 0); /* the villain's frames get a hash */
	return TEST_OK;
}

/*
 * Until the switch has taken what this guest published, or has failed it: it may have to sit out for
 * what it sent before. A queue of cells costs some hundred rounds of deficit round robin at most.
 */
static void
settle(struct sw_guest *g)
{
	const uint32_t *cons = &sw_status(&g->chan[0])->sq_cons;
	const uint32_t *prod = fake_db(&g->g, 1, NFE_DB_SQ_PROD);

	for (unsigned int i = 0; i < 1000 && nfe_idx_read(cons) != nfe_idx_read(prod) &&
				 nfed_function_state(g->fn) == NFE_STATE_READY; i++) {
		MUST(sw_turn(&sw) == TEST_OK);
		vsw_service(sw.vsw);
	}
}

/* A frame from one honest guest to the other, whatever the villain flooded them with. */
static void
honest_guests_work(uint32_t len)
{
	struct sw_guest *from = sw.guest[1], *to = sw.guest[2];
	static uint8_t frame[SW_MAX_FRAME];
	unsigned int arrived = 0;
	int rc;

	MUST(nfed_function_state(from->fn) == NFE_STATE_READY);
	MUST(nfed_function_state(to->fn) == NFE_STATE_READY);
	MUST(sw_drain(&from->chan[0]) != -1u && sw_drain(&to->chan[0]) != -1u);
	sw_post(&to->chan[0], 12 - RTE_MIN(12u, to->chan[0].fq_prod - to->chan[0].fill_end));
	honest_send(from, to->mac, len);
	settle(from);
	sw_make_frame(frame, len, to->mac, from->mac, len);
	while ((rc = sw_recv(&to->chan[0], &got)) == 1)
		arrived += got.len == len && memcmp(got.bytes, frame, len) == 0;
	MUST(rc == 0 && arrived == 1);
	MUST(sw_drain(&from->chan[0]) != -1u);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static bool open;

	if (!open)
		MUST(open_once() == TEST_OK);
	open = true;
	fake_reg_write(&sw.guest[0]->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	MUST(sw_guest_up(sw.guest[0], &conf) == TEST_OK);
	sw_random_seed((uint32_t)size);
	while (in.left > 0)
		operate(&in, sw.guest[0]);
	sw_publish(&sw.guest[0]->chan[0]);
	for (unsigned int i = 0; i < 3; i++)
		MUST(sw_turn(&sw) == TEST_OK);
	vsw_service(sw.vsw);
	settle(sw.guest[0]);
	settle(sw.guest[1]);
	honest_guests_work(14 + (uint32_t)size * 31 % 9005);
	return 0;
}
