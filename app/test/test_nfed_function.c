/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * lib/nfe_device: states, registers, boot, faults, memory that is taken away. The control channel,
 * regions and queues have suites of their own. No hugepages, no root.
 */
#include <errno.h>
#include <stdlib.h>

#include <nfed_internal.h>

#include "fake_transport.h"
#include "test.h"

#define KEY NFE_KEY(1, 7)
#define WRAP 0xffffff00u

/* A booted guest with channel 1 running: send queue only, status block at FAKE_DATA. */
static int
running_guest(struct fake_guest *g)
{
	struct nfe_req req = {
		.op = NFE_OP_SET_QUEUE,
		.queue = { .channel = 1, .role = NFE_ROLE_SQ, .size_log2 = 4, .capacity = 16,
			   .key = KEY, .entries = 0x1000 },
	};

	TEST_EQ(fake_guest_create(g, NULL), 0);
	TEST_EQ(fake_guest_boot(g, 6, 0), NFE_STATE_READY);
	TEST_EQ(fake_register(g, KEY, FAKE_DATA, 0x10000, 3), 0);
	TEST_EQ(fake_create_channel(g, 1, 1, KEY, 0), 0);
	TEST_EQ(fake_request(g, &req, NULL), 0);
	TEST_EQ(fake_op_channel(g, NFE_OP_START_CHANNEL, 1), 0);
	TEST_EQ(g->running, 1);
	return TEST_OK;
}

static int
only_the_drawn_edges_exist(void)
{
	static const char *const allowed[] = { /* to R B Y F Q */
		[NFE_STATE_RESET] = "xx...", [NFE_STATE_BOOTING] = "x.xx.",
		[NFE_STATE_READY] = "x..xx", [NFE_STATE_FAILED] = "x....",
		[NFE_STATE_QUIESCED] = "x.xx.",
	};
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	for (int from = 0; from < 5; from++) {
		for (int to = 0; to < 5; to++) {
			unsigned int before = g.transitions;
			int want = allowed[from][to] == 'x' ? 0 : -EPERM;

			g.fn->state = (enum nfe_state)from;
			TEST_EQ(nfed_transition(g.fn, (enum nfe_state)to, NFE_REASON_NONE, ""),
				want);
			TEST_EQ(nfed_function_state(g.fn), want == 0 ? to : from);
			TEST_EQ(g.transitions - before, want == 0);
		}
	}
	g.fn->state = NFE_STATE_RESET;
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* Bring a new guest into the state by what a host or operator can do. */
static int
enter(struct fake_guest *g, enum nfe_state state)
{
	TEST_EQ(fake_guest_create(g, NULL), 0);
	if (state != NFE_STATE_RESET)
		fake_guest_boot(g, 4, 0);
	if (state == NFE_STATE_QUIESCED)
		fake_reg_write(g, NFE_REG_COMMAND, NFE_CMD_QUIESCE);
	if (state == NFE_STATE_FAILED)
		nfed_function_fail(g->fn, NFE_REASON_OPERATOR, "test");
	TEST_EQ(nfed_function_state(g->fn), state);
	return TEST_OK;
}

static int
each_command_in_each_state(void)
{
	static const struct {
		enum nfe_state from;
		uint32_t command;
		enum nfe_state to;
		bool refused;
	} row[] = {
		{ NFE_STATE_RESET, NFE_CMD_RESET, NFE_STATE_RESET, false },
		{ NFE_STATE_RESET, NFE_CMD_QUIESCE, NFE_STATE_RESET, true },
		{ NFE_STATE_RESET, 0, NFE_STATE_RESET, true },
		{ NFE_STATE_RESET, 99, NFE_STATE_RESET, true },
		{ NFE_STATE_READY, NFE_CMD_RESET, NFE_STATE_RESET, false },
		{ NFE_STATE_READY, NFE_CMD_GO, NFE_STATE_FAILED, true },
		{ NFE_STATE_READY, NFE_CMD_QUIESCE, NFE_STATE_QUIESCED, false },
		{ NFE_STATE_READY, 99, NFE_STATE_FAILED, true },
		{ NFE_STATE_QUIESCED, NFE_CMD_RESET, NFE_STATE_RESET, false },
		{ NFE_STATE_QUIESCED, NFE_CMD_GO, NFE_STATE_READY, false },
		{ NFE_STATE_QUIESCED, NFE_CMD_QUIESCE, NFE_STATE_QUIESCED, false },
		{ NFE_STATE_FAILED, NFE_CMD_RESET, NFE_STATE_RESET, false },
		{ NFE_STATE_FAILED, NFE_CMD_GO, NFE_STATE_FAILED, true },
		{ NFE_STATE_FAILED, NFE_CMD_QUIESCE, NFE_STATE_FAILED, true },
	};

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct fake_guest g;

		TEST_EQ(enter(&g, row[i].from), TEST_OK);
		fake_reg_write(&g, NFE_REG_COMMAND, row[i].command);
		TEST_ASSERT_MSG(nfed_function_state(g.fn) == row[i].to, "row %u: state %s", i,
				nfe_state_name(nfed_function_state(g.fn)));
		TEST_EQ(nfed_function_counters(g.fn)->bad_command, row[i].refused);
		fake_guest_destroy(&g);
	}
	return TEST_OK;
}

static int
registers_have_their_values(void)
{
	static const uint32_t expected[][2] = {
		{ NFE_REG_MAGIC, NFE_MAGIC }, { NFE_REG_ABI, NFE_ABI }, { NFE_REG_HOST_ABI, 0 },
		{ NFE_REG_STATUS, 0 }, { NFE_REG_COMMAND, 0 }, { NFE_REG_GENERATION, 1 },
		{ NFE_REG_FEATURES_LO, 0xf }, { NFE_REG_FEATURES_HI, 0 },
		{ NFE_REG_MAC_LO, 0x00000002 }, { NFE_REG_MAC_HI, 0x0a00 },
		{ NFE_REG_MAX_MTU, 9000 }, { NFE_REG_MAX_CHANNELS, 16 },
		{ NFE_REG_MAX_REGIONS, 256 }, { NFE_REG_MAX_REG_MIB, 8192 },
		{ NFE_REG_QUEUE_LOG2, 3 | 14 << 16 },
		{ NFE_REG_INLINE_MAX, NFE_INLINE_SHORT | NFE_INLINE_SHORT << 16 },
		{ NFE_REG_MAX_SEGS, 16 }, { NFE_REG_MAX_FRAME, 9018 },
		{ NFE_REG_DB_OFFSET, 4096 }, { NFE_REG_DB_STRIDE_LOG2, 12 },
		{ NFE_REG_TRIG_STRIDE_LOG2, 12 }, { NFE_REG_VECTORS, 17 },
		{ NFE_REG_MAGIC + 4, 0 }, { NFE_REG_END, 0 }, { NFE_PAGE_SIZE - 4, 0 },
	};
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	for (unsigned int i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		TEST_ASSERT_MSG(fake_reg_read(&g, expected[i][0]) == expected[i][1],
				"register 0x%x reads 0x%x", expected[i][0],
				fake_reg_read(&g, expected[i][0]));
	TEST_EQ(nfed_function_counters(g.fn)->bad_register, 0);
	nfed_function_set_link(g.fn, true);
	TEST_EQ(fake_reg_read(&g, NFE_REG_STATUS), NFE_STATUS_LINK);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
only_writable_registers_change(void)
{
	struct fake_guest g;
	uint64_t refused = 0;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	for (uint32_t off = 0; off < NFE_PAGE_SIZE; off += 4) {
		bool boot = off >= NFE_REG_BOOT_SQ_LO && off < NFE_REG_END && off % 8 == 0;
		bool rw = boot || off == NFE_REG_ACCEPTED_LO || off == NFE_REG_ACCEPTED_HI;
		uint32_t before = fake_reg_read(&g, off);

		if (off == NFE_REG_COMMAND || off == NFE_REG_HOST_ABI)
			continue;
		fake_reg_write(&g, off, 0x5a5a5a5a);
		TEST_EQ(fake_reg_read(&g, off), rw ? 0x5a5a5a5a : before);
		refused += !rw;
	}
	TEST_EQ(nfed_function_counters(g.fn)->bad_register, refused);
	fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_RESET);
	TEST_EQ(fake_reg_read(&g, NFE_REG_BOOT_RQ_INDEX), 0);
	TEST_EQ(fake_reg_read(&g, NFE_REG_GENERATION), 2);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
registers_of_other_width_are_refused(void)
{
	static const struct {
		uint64_t off;
		uint32_t width;
	} bad[] = { { 0, 1 }, { 0, 2 }, { 0, 8 }, { 0, 0 }, { 2, 4 }, { 1, 4 },
		    { NFE_PAGE_SIZE, 4 }, { UINT64_MAX - 3, 4 } };
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		TEST_EQ(nfed_reg_read(g.fn, bad[i].off, bad[i].width), UINT32_MAX);
		nfed_reg_write(g.fn, bad[i].off, bad[i].width, NFE_CMD_RESET);
		TEST_EQ(nfed_function_counters(g.fn)->bad_register, 2 * (i + 1));
	}
	fake_guest_destroy(&g);
	return TEST_OK;
}

/* Boot with one register of the block changed; the reason of the failure. */
static int
boot_with(struct fake_guest *g, uint32_t reg, uint32_t value)
{
	fake_guest_boot(g, 4, 0);
	fake_reg_write(g, NFE_REG_COMMAND, NFE_CMD_RESET);
	/* once more by hand, from what a good boot writes */
	fake_reg_write(g, NFE_REG_HOST_ABI, NFE_ABI);
	fake_reg_write(g, NFE_REG_BOOT_SQ_LO, (uint32_t)(FAKE_IOVA + FAKE_CTRL_SQ));
	fake_reg_write(g, NFE_REG_BOOT_SQ_HI, (uint32_t)(FAKE_IOVA >> 32));
	fake_reg_write(g, NFE_REG_BOOT_RQ_LO, (uint32_t)(FAKE_IOVA + FAKE_CTRL_RQ));
	fake_reg_write(g, NFE_REG_BOOT_RQ_HI, (uint32_t)(FAKE_IOVA >> 32));
	fake_reg_write(g, NFE_REG_BOOT_STATUS_LO, (uint32_t)(FAKE_IOVA + FAKE_CTRL_STATUS));
	fake_reg_write(g, NFE_REG_BOOT_STATUS_HI, (uint32_t)(FAKE_IOVA >> 32));
	fake_reg_write(g, NFE_REG_BOOT_SIZE_LOG2, 4);
	fake_reg_write(g, reg, value);
	fake_reg_write(g, NFE_REG_COMMAND, NFE_CMD_GO);
	return (int)NFE_STATUS_REASON(fake_reg_read(g, NFE_REG_STATUS));
}

static int
bad_boot_block_fails_with_its_reason(void)
{
	static const struct {
		uint32_t reg, value;
		enum nfe_reason reason;
	} row[] = {
		{ NFE_REG_BOOT_SIZE_LOG2, 4, NFE_REASON_NONE },
		{ NFE_REG_BOOT_VECTOR, 16, NFE_REASON_NONE },
		{ NFE_REG_BOOT_VECTOR, NFE_NO_VECTOR, NFE_REASON_NONE },
		{ NFE_REG_HOST_ABI, (NFE_ABI_MAJOR + 1) << 16, NFE_REASON_ABI },
		{ NFE_REG_ACCEPTED_LO, 1u << 31, NFE_REASON_FEATURES },
		{ NFE_REG_ACCEPTED_HI, 1, NFE_REASON_FEATURES },
		{ NFE_REG_BOOT_SIZE_LOG2, 0, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_SIZE_LOG2, 2, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_SIZE_LOG2, 9, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_SIZE_LOG2, UINT32_MAX, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_VECTOR, 17, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_VECTOR, 0x1ffff, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_SQ_LO, 0x20, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_RQ_LO, 0x1, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_STATUS_LO, 0x40, NFE_REASON_BOOT_BLOCK },
		{ NFE_REG_BOOT_SQ_HI, 0, NFE_REASON_BOOT_MEMORY },
		{ NFE_REG_BOOT_RQ_HI, UINT32_MAX, NFE_REASON_BOOT_MEMORY },
		{ NFE_REG_BOOT_STATUS_LO, 0xffff0000, NFE_REASON_BOOT_MEMORY },
	};

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		bool good = row[i].reason == NFE_REASON_NONE;
		struct fake_guest g;

		TEST_EQ(fake_guest_create(&g, NULL), 0);
		TEST_ASSERT_MSG(boot_with(&g, row[i].reg, row[i].value) == (int)row[i].reason,
				"row %u: %s", i, nfed_function_reason_text(g.fn));
		TEST_EQ(nfed_function_state(g.fn), good ? NFE_STATE_READY : NFE_STATE_FAILED);
		TEST_EQ(g.live_maps, good ? NFED_CTRL_PARTS : 0);
		TEST_EQ(strlen(nfed_function_reason_text(g.fn)) > 0, !good);
		fake_guest_destroy(&g);
	}
	return TEST_OK;
}

static int
boot_that_cannot_map_leaves_nothing(void)
{
	static const struct {
		int error;
		size_t counter;
	} row[] = {
		{ -ENODATA, offsetof(struct nfed_counters, hole) },
		{ -EACCES, offsetof(struct nfed_counters, denied) },
		{ -ENOSPC, offsetof(struct nfed_counters, limit) },
		{ -EFAULT, offsetof(struct nfed_counters, bad_bounds) },
	};
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const uint8_t *c = (const uint8_t *)nfed_function_counters(g.fn);

		g.map_error = row[i].error;
		TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_FAILED);
		TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_BOOT_MEMORY);
		TEST_EQ(g.live_maps, 0);
		TEST_EQ(*(const uint64_t *)(const void *)(c + row[i].counter), 1);
		fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_RESET);
	}
	g.map_error = 0;
	nfed_function_set_doorbells(g.fn, NULL);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_FAILED);
	nfed_function_set_doorbells(g.fn, g.db);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
boot_block_is_sampled_once(void)
{
	struct nfe_req nop = { .op = NFE_OP_NOP };
	struct fake_guest g;

	TEST_EQ(fake_guest_create(&g, NULL), 0);
	TEST_EQ(fake_guest_boot(&g, 4, WRAP), NFE_STATE_READY);
	for (uint32_t off = NFE_REG_BOOT_SQ_LO; off < NFE_REG_END; off += 8)
		fake_reg_write(&g, off, UINT32_MAX);
	fake_reg_write(&g, NFE_REG_ACCEPTED_LO, 0);
	fake_reg_write(&g, NFE_REG_HOST_ABI, 0);
	TEST_EQ(fake_request(&g, &nop, NULL), 0);
	TEST_EQ(nfed_function_accepted(g.fn), 0xf);
	TEST_EQ(fake_status(&g, FAKE_CTRL_STATUS)->generation, 1);
	TEST_EQ(fake_status(&g, FAKE_CTRL_STATUS)->state, NFE_CHAN_RUNNING);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
fault_of_a_lcore_quarantines_the_function(void)
{
	struct fake_guest g;
	struct nfe_rsp rsp;
	struct nfed_channel *ch;

	TEST_EQ(running_guest(&g), TEST_OK);
	ch = nfed_function_channel(g.fn, 1);
	nfed_fault(ch, NFE_REASON_SQ_OVERRUN);
	nfed_fault(ch, NFE_REASON_FQ_OVERRUN); /* the first counts */
	TEST_EQ(g.attentions, 1);
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_READY);
	TEST_TRUE(!nfed_control_run(g.fn));
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_SQ_OVERRUN);
	TEST_EQ(g.running, 0);
	TEST_EQ(ch->state, NFE_CHAN_ERROR);
	TEST_EQ(fake_status(&g, FAKE_DATA)->state, NFE_CHAN_ERROR);
	TEST_EQ(fake_status(&g, FAKE_DATA)->reason, NFE_REASON_SQ_OVERRUN);
	TEST_TRUE(fake_take(&g, &rsp));
	TEST_EQ(g.last_event.kind, NFE_EVENT_CHANNEL);
	TEST_EQ(g.last_event.channel, 1);
	TEST_TRUE(fake_take(&g, &rsp));
	TEST_EQ(g.last_event.kind, NFE_EVENT_FUNCTION);
	TEST_EQ(g.last_event.value, NFE_REASON_SQ_OVERRUN);
	fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_RESET);
	TEST_EQ(g.live_maps, 0);
	TEST_EQ(ch->fault, 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
vanished_control_memory_fails_the_function(void)
{
	struct fake_guest g;

	TEST_EQ(running_guest(&g), TEST_OK);
	fake_poison(&g, FAKE_CTRL_SQ);
	nfed_control_run(g.fn);
	TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_MEMORY_GONE);
	TEST_EQ(nfed_function_counters(g.fn)->memory_gone, 1);
	TEST_EQ(g.running, 0);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
quiesce_stops_and_go_resumes_what_ran(void)
{
	struct nfe_req nop = { .op = NFE_OP_NOP };
	struct fake_guest g;

	TEST_EQ(running_guest(&g), TEST_OK);
	TEST_EQ(fake_create_channel(&g, 2, NFE_NO_VECTOR, KEY, 0x200), 0);
	nfed_function_quiesce(g.fn);
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_QUIESCED);
	TEST_EQ(g.running, 0);
	TEST_EQ(fake_status(&g, FAKE_DATA)->state, NFE_CHAN_STOPPED);
	TEST_EQ(fake_request(&g, &nop, NULL), 0); /* the control channel answers */
	TEST_EQ(fake_op_channel(&g, NFE_OP_START_CHANNEL, 1), -EAGAIN);
	fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_GO);
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_READY);
	TEST_EQ(g.running, 1);
	TEST_EQ(fake_status(&g, FAKE_DATA)->state, NFE_CHAN_RUNNING);
	TEST_EQ(fake_status(&g, FAKE_DATA + 0x200)->state, NFE_CHAN_STOPPED);
	nfed_function_quiesce(g.fn);
	TEST_EQ(fake_op_channel(&g, NFE_OP_STOP_CHANNEL, 1), 0); /* no longer wanted */
	fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_GO);
	TEST_EQ(g.running, 0);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
unmapped_memory_is_let_go(void)
{
	const struct nfed_region_table *t;
	struct fake_guest g;

	TEST_EQ(running_guest(&g), TEST_OK);
	t = nfed_function_regions(g.fn);
	TEST_EQ(fake_register(&g, NFE_KEY(2, 1), 0x30000, 0x4000, 1), 0);
	nfed_function_unmap(g.fn, FAKE_IOVA + 0x50000, 0x1000); /* nobody there */
	TEST_EQ(t->nb_regions, 2);
	nfed_function_unmap(g.fn, FAKE_IOVA + 0x33fff, 1); /* buffers only */
	TEST_EQ(t->nb_regions, 1);
	TEST_EQ(nfed_function_state(g.fn), NFE_STATE_READY);
	nfed_function_unmap(g.fn, FAKE_IOVA + FAKE_DATA, 0x1000); /* a live queue's */
	TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_MEMORY_GONE);
	TEST_EQ(t->nb_regions, 0);
	TEST_EQ(g.running, 0);
	TEST_EQ(nfed_function_channel(g.fn, 1)->status == NULL, 1);
	TEST_EQ(g.live_maps, NFED_CTRL_PARTS);
	nfed_function_unmap(g.fn, 0, UINT64_MAX);
	TEST_EQ(g.live_maps, 0);
	TEST_EQ(nfed_function_counters(g.fn)->memory_gone, 3);
	TEST_TRUE(!nfed_control_run(g.fn));
	TEST_TRUE(!g.order_broken);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
control_memory_unmapped_fails_the_function(void)
{
	struct fake_guest g;

	TEST_EQ(running_guest(&g), TEST_OK);
	nfed_function_unmap(g.fn, FAKE_IOVA + FAKE_CTRL_STATUS, 0x1000);
	TEST_EQ(nfed_function_reason(g.fn), NFE_REASON_MEMORY_GONE);
	TEST_EQ(g.live_maps, 1); /* the data region, until RESET */
	fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_RESET);
	TEST_EQ(g.live_maps, 0);
	TEST_EQ(fake_guest_boot(&g, 4, 0), NFE_STATE_READY);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
reset_and_destroy_return_everything(void)
{
	struct fake_guest g;

	TEST_EQ(running_guest(&g), TEST_OK);
	fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_RESET);
	TEST_EQ(g.running, 0);
	TEST_EQ(g.live_maps, 0);
	TEST_TRUE(!g.order_broken);
	TEST_EQ(nfed_function_regions(g.fn)->bytes, 0);
	TEST_EQ(nfed_function_channel(g.fn, 1)->state, NFE_CHAN_NONE);
	fake_guest_destroy(&g);
	TEST_EQ(running_guest(&g), TEST_OK);
	nfed_function_destroy(g.fn);
	g.fn = NULL;
	TEST_EQ(g.running, 0);
	TEST_EQ(g.live_maps, 0);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
interrupts_go_to_the_vector_that_was_asked(void)
{
	struct fake_guest g;
	unsigned int before;

	TEST_EQ(running_guest(&g), TEST_OK);
	nfed_interrupt(nfed_function_channel(g.fn, 1));
	TEST_EQ(g.interrupts[1], 1);
	TEST_EQ(fake_create_channel(&g, 2, NFE_NO_VECTOR, KEY, 0x200), 0);
	nfed_interrupt(nfed_function_channel(g.fn, 2));
	before = g.interrupts[0];
	fake_reg_write(&g, NFE_REG_COMMAND, NFE_CMD_RESET);
	TEST_EQ(boot_with(&g, NFE_REG_BOOT_VECTOR, NFE_NO_VECTOR), NFE_REASON_NONE);
	g.size_log2 = 4;
	g.sq_prod = g.rq_cons = 0;
	TEST_EQ(fake_register(&g, KEY, FAKE_DATA, 0x1000, 3), 0);
	TEST_EQ(g.interrupts[0], before);
	fake_guest_destroy(&g);
	return TEST_OK;
}

static int
two_functions_know_nothing_of_each_other(void)
{
	struct fake_guest a, b;

	TEST_EQ(running_guest(&a), TEST_OK);
	TEST_EQ(running_guest(&b), TEST_OK);
	nfed_function_fail(a.fn, NFE_REASON_OPERATOR, "disabled");
	TEST_EQ(nfed_function_state(a.fn), NFE_STATE_FAILED);
	TEST_STR_EQ(nfed_function_reason_text(a.fn), "disabled");
	TEST_EQ(nfed_function_state(b.fn), NFE_STATE_READY);
	TEST_EQ(b.running, 1);
	fake_guest_destroy(&a);
	TEST_EQ(fake_op_channel(&b, NFE_OP_STOP_CHANNEL, 1), 0);
	fake_guest_destroy(&b);
	return TEST_OK;
}

static int
bad_limits_are_refused(void)
{
	struct nfed_function_conf conf = { .limits = nfed_limits_default };
	struct fake_guest g;

	conf.limits.max_channels = 0;
	TEST_EQ(fake_guest_create(&g, &conf), -EINVAL);
	conf.limits.max_channels = NFED_MAX_CHANNELS + 1;
	TEST_EQ(fake_guest_create(&g, &conf), -EINVAL);
	conf.limits.max_channels = NFED_MAX_CHANNELS;
	TEST_EQ(fake_guest_create(&g, &conf), 0);
	fake_guest_destroy(&g);
	conf.limits.region.max_regions = 4097;
	TEST_EQ(fake_guest_create(&g, &conf), -EINVAL);
	conf.limits = nfed_limits_default;
	conf.limits.inline_to_host = 59;
	TEST_EQ(fake_guest_create(&g, &conf), -EINVAL);
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(only_the_drawn_edges_exist),
	TEST_CASE(each_command_in_each_state),
	TEST_CASE(registers_have_their_values),
	TEST_CASE(only_writable_registers_change),
	TEST_CASE(registers_of_other_width_are_refused),
	TEST_CASE(bad_boot_block_fails_with_its_reason),
	TEST_CASE(boot_that_cannot_map_leaves_nothing),
	TEST_CASE(boot_block_is_sampled_once),
	TEST_CASE(fault_of_a_lcore_quarantines_the_function),
	TEST_CASE(vanished_control_memory_fails_the_function),
	TEST_CASE(quiesce_stops_and_go_resumes_what_ran),
	TEST_CASE(unmapped_memory_is_let_go),
	TEST_CASE(control_memory_unmapped_fails_the_function),
	TEST_CASE(reset_and_destroy_return_everything),
	TEST_CASE(interrupts_go_to_the_vector_that_was_asked),
	TEST_CASE(two_functions_know_nothing_of_each_other),
	TEST_CASE(bad_limits_are_refused),
};
TEST_SUITE(nfed_function, cases);
