/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Fuzzer of a whole function on the fake transport: the input is a sequence of what a host, a
 * transport and an operator can do, in any order. After each step the books must balance: limits,
 * users, running channels, mappings; at the end nothing may be left. Needs lib/nfe_device (without
 * the vfio-user attachment) and app/test/fake_transport.c.
 */
#include <stdlib.h>
#include <string.h>

#include <fake_transport.h>
#include <nfed_internal.h>

#include "fuzz.h"

#define CHANNELS 3
#define REGIONS 4
#define EXTRA_TRIGGERS 4

static struct nfed_triggers *triggers;

/* Mostly near good values, sometimes anything. */
static uint64_t
near(struct input *in, uint64_t modulus, uint64_t unit)
{
	uint64_t how = take(in, 1);

	return how == 255 ? take(in, 8) : (how % modulus) * unit;
}

static void
step_register(struct fake_guest *g, struct input *in)
{
	uint32_t off = (uint32_t)take(in, 1) * 8;

	nfed_reg_write(g->fn, off, 4, (uint32_t)near(in, 8, 64));
	nfed_reg_read(g->fn, take(in, 2), (uint32_t)take(in, 1) % 9);
	nfed_reg_write(g->fn, take(in, 2), (uint32_t)take(in, 1) % 9, (uint32_t)take(in, 4));
}

static void
step_boot(struct fake_guest *g, struct input *in)
{
	fake_guest_boot(g, 3 + (uint32_t)take(in, 1) % 6, (uint32_t)take(in, 4));
}

static void
step_raw_cell(struct fake_guest *g, struct input *in)
{
	struct nfe_req req;

	for (unsigned int i = 0; i < sizeof(req) / 8; i++) {
		uint64_t word = take(in, 8);

		memcpy((uint8_t *)&req + 8 * i, &word, 8);
	}
	if (g->size_log2 <= 8)
		fake_post(g, &req);
}

static void
fill_queue(struct nfe_req_queue *q, struct input *in)
{
	q->channel = (uint16_t)near(in, CHANNELS + 2, 1);
	q->role = (uint8_t)near(in, 5, 1);
	q->flags = (uint8_t)near(in, 4, 1);
	q->size_log2 = (uint32_t)near(in, 12, 1);
	q->capacity = (uint32_t)near(in, 20, 1);
	q->buf_size = q->role == NFE_ROLE_FQ ? (uint32_t)near(in, 8, 64) : 0;
	q->key = NFE_KEY((uint32_t)near(in, REGIONS, 1), 1u);
	q->prod = (uint32_t)near(in, 4, 1);
	q->cons = (uint32_t)near(in, 4, 1);
	q->entries = near(in, 64, 256);
	if ((q->flags & NFE_QUEUE_F_RING) != 0) {
		q->host_idx = near(in, 255, 4);
		q->dev_idx = near(in, 255, 4);
	}
}

static void
step_request(struct fake_guest *g, struct input *in)
{
	struct nfe_req req = { .op = (uint16_t)near(in, NFE_OP_MAX + 1, 1) };
	uint32_t key = NFE_KEY((uint32_t)near(in, REGIONS + 1, 1), 1u);

	switch (req.op) {
	case NFE_OP_REGISTER:
		req.reg.key = key;
		req.reg.access = (uint32_t)near(in, 4, 1);
		req.reg.iova = FAKE_IOVA + near(in, 128, NFE_PAGE_SIZE);
		req.reg.len = near(in, 64, NFE_PAGE_SIZE);
		break;
	case NFE_OP_DEREGISTER:
		req.reg.key = key;
		break;
	case NFE_OP_CREATE_CHANNEL:
		req.chan.status_key = key;
		req.chan.status_offset = near(in, 64, NFE_STATUS_ALIGN);
		req.chan.vector = (uint16_t)near(in, CHANNELS + 2, 1);
		/* fall through */
	case NFE_OP_DESTROY_CHANNEL:
	case NFE_OP_START_CHANNEL:
	case NFE_OP_STOP_CHANNEL:
		req.chan.channel = (uint16_t)near(in, CHANNELS + 2, 1);
		break;
	case NFE_OP_SET_QUEUE:
		fill_queue(&req.queue, in);
		break;
	case NFE_OP_RSS_HASH:
		req.rss_hash.types = (uint32_t)near(in, 65, 1);
		req.rss_hash.flags = (uint32_t)near(in, 3, 1);
		break;
	case NFE_OP_RSS_RETA:
		req.rss_reta.first = (uint16_t)near(in, 130, 1);
		req.rss_reta.n = (uint16_t)near(in, 26, 1);
		req.rss_reta.channel[take(in, 1) % NFE_RSS_RETA_PER_REQ] =
			(uint16_t)near(in, CHANNELS + 2, 1);
		break;
	case NFE_OP_VLANS:
		req.vlans.first = (uint16_t)near(in, 66, 64);
		req.vlans.map[take(in, 1) % NFE_VLAN_WORDS_PER_REQ] = take(in, 8);
		break;
	default:
		req.stats.first = (uint32_t)near(in, 100, 1);
		break;
	}
	if (g->size_log2 >= 3 && g->size_log2 <= 8)
		fake_request(g, &req, NULL);
}

/* A channel that runs, as far as the state and what is there already allow: a driver's way. */
static void
step_bring_up(struct fake_guest *g, struct input *in)
{
	const uint32_t key = NFE_KEY(1u, 1u);
	uint16_t ch = (uint16_t)(1 + take(in, 1) % CHANNELS);

	if (g->size_log2 < 3 || g->size_log2 > 8)
		return;
	fake_register(g, key, FAKE_DATA, 0x10000, NFE_ACCESS_READ | NFE_ACCESS_WRITE);
	fake_create_channel(g, ch, ch, key, ch * 0x200u);
	for (uint8_t role = NFE_ROLE_SQ; role <= NFE_ROLE_FQ; role++) {
		struct nfe_req req = {
			.op = NFE_OP_SET_QUEUE,
			.queue = { .channel = ch, .role = role, .size_log2 = 4, .capacity = 16,
				   .buf_size = role == NFE_ROLE_FQ ? 2048 : 0, .key = key,
				   .entries = ch * 0x2000u + role * 0x400u },
		};

		fake_request(g, &req, NULL);
	}
	fake_op_channel(g, NFE_OP_START_CHANNEL, ch);
}

static void
step_index(struct fake_guest *g, struct input *in)
{
	static const uint32_t off[] = { NFE_DB_SQ_PROD, NFE_DB_RQ_CONS, NFE_DB_FQ_PROD,
					NFE_DB_RQ_EVENT, NFE_DB_SQ_DONE_EVENT };
	uint32_t *word = fake_db(g, (unsigned int)take(in, 1) % (CHANNELS + 1),
				 off[take(in, 1) % 5]);

	*word += (uint32_t)near(in, 16, 1);
}

static void
step_memory(struct fake_guest *g, struct input *in)
{
	uint64_t off = near(in, 128, NFE_PAGE_SIZE);

	switch (take(in, 1) % 4) {
	case 0:
		nfed_function_unmap(g->fn, FAKE_IOVA + off, near(in, 8, NFE_PAGE_SIZE));
		break;
	case 1:
		fake_poison(g, off);
		break;
	case 2:
		g->map_error = -(int)(take(in, 1) % 64);
		g->nb_pieces = 1 + (unsigned int)take(in, 1) % 4;
		break;
	default:
		g->mem[take(in, 3) % FAKE_MEM_SIZE] = (uint8_t)take(in, 1);
		break;
	}
}

static void
step_operator(struct fake_guest *g, struct input *in)
{
	unsigned int n = 1 + (unsigned int)take(in, 1) % CHANNELS;

	switch (take(in, 1) % 7) {
	case 0:
		nfed_function_reset(g->fn);
		break;
	case 1:
		nfed_function_quiesce(g->fn);
		break;
	case 2:
		nfed_function_fail(g->fn, NFE_REASON_OPERATOR, "fuzz");
		break;
	case 3:
		nfed_function_set_link(g->fn, take(in, 1) % 2 == 0);
		break;
	case 4:
		nfed_function_set_doorbells(g->fn, take(in, 1) % 4 == 0 ? NULL : g->db);
		break;
	case 5: /* what a lcore does; only one that runs has lcores */
		if (nfed_function_channel(g->fn, n)->state == NFE_CHAN_RUNNING)
			nfed_fault(nfed_function_channel(g->fn, n), NFE_REASON_SQ_OVERRUN);
		break;
	default:
		g->start_error = -(int)(take(in, 1) % 2);
		break;
	}
}

/* Stop after a while: the rings' indices are in memory that the input may have scrambled. */
static void
step_run(struct fake_guest *g, struct input *in)
{
	struct nfe_rsp rsp;

	nfed_control_run(g->fn);
	if (g->size_log2 < 3 || g->size_log2 > 8)
		return;
	for (unsigned int i = (unsigned int)take(in, 1) % 64; i > 0 && fake_take(g, &rsp); i--)
		;
}

/* A read of a trigger page, a write, or a turn of the queue that all functions share. */
static void
step_trigger(struct fake_guest *g, struct input *in)
{
	uint64_t off = near(in, (CHANNELS + 2) * NFE_TRIG_COMMANDS, NFE_TRIG_AT(1));
	uint8_t how = (uint8_t)take(in, 1);

	if (how % 3 == 0)
		nfed_trigger_write(g->fn, off);
	else if (how % 3 == 1)
		CHECK(nfed_trigger_read(g->fn, off, how < 240 ? 4 : how % 9) <= NFE_TRIGGER_BUSY);
	else
		nfed_triggers_run(triggers, how % 4);
}

static uint32_t
users_of(const struct fake_guest *g, uint16_t region)
{
	uint32_t users = 0;

	for (unsigned int n = 1; n <= CHANNELS; n++) {
		const struct nfed_channel *ch = nfed_function_channel(g->fn, n);

		users += ch->status != NULL && ch->status_region_idx == region;
		users += ch->sq.role != 0 && ch->sq.region_idx == region;
		users += ch->rq.role != 0 && ch->rq.region_idx == region;
		users += ch->fq.role != 0 && ch->fq.region_idx == region;
	}
	return users;
}

static void
check_books(const struct fake_guest *g)
{
	const struct nfed_region_table *t = nfed_function_regions(g->fn);
	unsigned int regions = 0, mappings = 0, running = 0, ctrl = 0;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < REGIONS; i++) {
		const struct nfed_region *r = &t->tbl[i];

		regions += r->len != 0;
		bytes += r->len;
		mappings += r->nb_mappings;
		CHECK((r->key != 0) == (r->len != 0));
		CHECK(r->users == users_of(g, i));
	}
	CHECK(regions == t->nb_regions && bytes == t->bytes && mappings == t->mappings);
	CHECK(bytes <= t->limits.max_bytes && mappings <= t->limits.max_mappings);
	for (unsigned int n = 1; n <= CHANNELS; n++) {
		const struct nfed_channel *ch = nfed_function_channel(g->fn, n);

		running += ch->state == NFE_CHAN_RUNNING;
		CHECK(ch->state != NFE_CHAN_RUNNING || (ch->status != NULL && ch->sq.role != 0));
	}
	for (unsigned int i = 0; i < NFED_CTRL_PARTS; i++)
		ctrl += g->fn->ctrl.map[i].len != 0;
	CHECK(running == g->running);
	CHECK(running == 0 || nfed_function_state(g->fn) == NFE_STATE_READY);
	CHECK(g->live_maps == regions + ctrl);
	CHECK(g->live_maps == 0 || nfed_function_state(g->fn) != NFE_STATE_RESET);
	CHECK(!g->order_broken);
	CHECK(nfed_triggers_waiting(triggers) == g->fn->trigger.n);
	CHECK(g->fn->trigger.n == 0 || nfed_function_state(g->fn) != NFE_STATE_RESET);
}

static void (*const steps[])(struct fake_guest *g, struct input *in) = {
	step_request, step_request, step_request, step_boot, step_register, step_raw_cell,
	step_bring_up, step_index, step_memory, step_operator, step_run, step_trigger,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nfed_function_conf conf = {
		.limits = nfed_limits_default,
		.features = NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_RSS | NFE_F_VLAN_FILTER,
	};
	struct input in = { data, size };
	struct fake_guest g;

	conf.limits.max_channels = CHANNELS;
	conf.limits.region = (struct nfed_region_limits){
		.max_regions = REGIONS, .max_bytes = 0x60000, .max_mappings = 6,
	};
	CHECK(nfed_triggers_create(NULL, 1, EXTRA_TRIGGERS, &triggers) == 0);
	conf.triggers = triggers;
	CHECK(fake_guest_create(&g, &conf) == 0);
	if (take(&in, 1) % 8 != 0)
		fake_guest_boot(&g, 5, (uint32_t)take(&in, 4));
	while (in.left > 0) {
		steps[take(&in, 1) % (sizeof(steps) / sizeof(steps[0]))](&g, &in);
		check_books(&g);
	}
	nfed_function_destroy(g.fn);
	g.fn = NULL;
	CHECK(g.live_maps == 0 && g.running == 0 && nfed_triggers_waiting(triggers) == 0);
	fake_guest_destroy(&g);
	nfed_triggers_destroy(triggers);
	return 0;
}
