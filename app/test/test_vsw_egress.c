/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * To a guest: what cannot be delivered and its reason, memory that vanishes, floods, interrupts,
 * and the sleep of channels without work.
 */
#include <unistd.h>

#include <rte_cycles.h>

#include "test_vsw_fixture.h"

static struct sw_frame got;
static uint8_t frame[SW_MAX_FRAME];

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define CHAN(g) (&(g)->chan[0])
#define STATUS_APART 0x9000u /* behind the control channel's status block */

static int
send(struct sw *sw, struct sw_guest *from, const uint8_t *to, uint32_t len)
{
	sw_make_frame(frame, len, to, from->mac, len);
	if (len > NFE_INLINE_SHORT)
		sw_put_dma(CHAN(from), frame, len, 2);
	else
		sw_put_inline(CHAN(from), frame, len);
	sw_publish(CHAN(from));
	return sw_turn(sw);
}

/* A frame from A to B is dropped for this reason, and B gets nothing. */
static int
dropped(struct sw *sw, uint32_t len, enum nfe_stat why)
{
	uint64_t before = sw_stat(B(*sw), why);

	SW_DO(send(sw, A(*sw), B(*sw)->mac, len));
	TEST_EQ(sw_stat(B(*sw), why), before + 1);
	TEST_EQ(sw_recv(CHAN(B(*sw)), &got), 0);
	return TEST_OK;
}

static int
delivered(struct sw *sw, struct sw_guest *from, struct sw_guest *to, uint32_t len)
{
	SW_DO(send(sw, from, to->mac, len));
	TEST_EQ(sw_recv(CHAN(to), &got), 1);
	TEST_EQ(got.len, len);
	TEST_MEM_EQ(got.bytes, frame, len);
	return TEST_OK;
}

static int
full_queue_and_empty_fill_queue_drop_there(void)
{
	struct sw_guest_conf small = { .rq_log2 = 3 };
	struct sw sw;

	SW_DO(sw_open_three(&sw, NULL, &small));
	SW_DO(dropped(&sw, 1000, NFE_STAT_to_drop_no_buffer));
	sw_post(CHAN(B(sw)), 1);
	SW_DO(dropped(&sw, 3000, NFE_STAT_to_drop_no_buffer)); /* needs two */
	SW_DO(delivered(&sw, A(sw), B(sw), 1000));
	for (unsigned int i = 0; i < 10; i++)
		SW_DO(send(&sw, A(sw), B(sw)->mac, 60));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_full), 2);
	TEST_EQ(sw_drain(CHAN(B(sw))), 8);
	SW_DO(delivered(&sw, A(sw), B(sw), 60));
	return sw_close(&sw);
}

static int
frames_beyond_mtu_or_buffers_are_dropped(void)
{
	struct sw_guest_conf tiny = { .buf_size = 100, .vif.mtu = 1500 };
	struct sw_guest_conf none = { .buf_size = UINT32_MAX };
	struct sw_guest_conf one = { .features = NFE_F_INLINE_LONG };
	struct sw sw;

	SW_DO(sw_open_three(&sw, NULL, &tiny));
	sw_post(CHAN(B(sw)), 16);
	SW_DO(dropped(&sw, 1401, NFE_STAT_to_drop_too_long)); /* 15 buffers */
	SW_DO(delivered(&sw, A(sw), B(sw), 1400));
	SW_DO(dropped(&sw, 1519, NFE_STAT_to_drop_too_long));
	TEST_EQ(vsw_owner_ops.mtu(B(sw)->port, 1000), 0);
	SW_DO(dropped(&sw, 1019, NFE_STAT_to_drop_too_long));
	sw_post(CHAN(B(sw)), 14);
	SW_DO(delivered(&sw, A(sw), B(sw), 1018));
	TEST_TRUE(vsw_owner_ops.mtu(B(sw)->port, 67) < 0);
	TEST_TRUE(vsw_owner_ops.mtu(B(sw)->port, 9001) < 0);
	SW_DO(sw_close(&sw));

	SW_DO(sw_open_three(&sw, NULL, &none));
	SW_DO(dropped(&sw, NFE_INLINE_SHORT + 1, NFE_STAT_to_drop_too_long));
	SW_DO(delivered(&sw, A(sw), B(sw), NFE_INLINE_SHORT));
	SW_DO(sw_close(&sw));

	SW_DO(sw_open_three(&sw, NULL, &one));
	sw_post(CHAN(B(sw)), 4);
	SW_DO(dropped(&sw, 2049, NFE_STAT_to_drop_too_long)); /* MULTI_SEG not accepted */
	SW_DO(delivered(&sw, A(sw), B(sw), 2048));
	return sw_close(&sw);
}

static int
guest_that_is_not_there_drops_for_its_link(void)
{
	struct sw_guest_conf stopped = { .no_start = true };
	struct sw sw;

	SW_DO(sw_open_three(&sw, NULL, &stopped));
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_link), 1);
	TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_START_CHANNEL, 1), 0);
	SW_DO(delivered(&sw, A(sw), B(sw), 60));
	TEST_EQ(fake_op_channel(&B(sw)->g, NFE_OP_STOP_CHANNEL, 1), 0);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_link), 2);
	return sw_close(&sw);
}

static int
bad_fill_entries_come_back(void)
{
	static const struct nfe_fill bad[] = {
		{ 0, NFE_KEY(2, 0x23), 0 }, { 0, NFE_KEY(9, 0x22), 0 }, { 0, 0, 0 },
		{ 0, SW_KEY_PAYLOAD, 0 }, /* may only be read */
		{ SW_BUFFERS_LEN - 2047, SW_KEY_BUFFERS, 0 },
		{ UINT64_MAX - 10, SW_KEY_BUFFERS, 0 },
		{ UINT64_C(1) << 32, SW_KEY_BUFFERS, 0 },
	};
	struct sw sw;
	struct sw_chan *to;

	SW_DO(sw_open_three(&sw, NULL, NULL));
	to = CHAN(B(sw));
	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		struct nfe_fill *e;

		sw_post(to, 3);
		e = (void *)sw_chan_mem(to, SW_CHAN_FQ + ((to->fq_prod - 2) & 127) * sizeof(*e));
		e->offset = bad[i].offset;
		e->key = bad[i].key;
		SW_DO(dropped(&sw, 3000, NFE_STAT_to_drop_bad_fill));
		/* The good one before it as well: they come in order. */
		TEST_EQ(to->rets, 2 * (i + 1));
		TEST_EQ(to->ret_reason, NFE_RET_BAD_ENTRY);
		SW_DO(delivered(&sw, A(sw), B(sw), 1000));
	}
	return sw_close(&sw);
}

static int
vanished_payload_fails_the_sender_alone(void)
{
	struct sw sw;

	SW_DO(sw_open_three(&sw, NULL, NULL));
	sw_post(CHAN(B(sw)), 4);
	fake_poison(&A(sw)->g, SW_PAYLOAD);
	SW_DO(dropped(&sw, 3000, NFE_STAT_to_drop_fault));
	TEST_EQ(CHAN(B(sw))->rets, 2);
	TEST_EQ(CHAN(B(sw))->ret_reason, NFE_RET_COPY);
	/* Inline delivery looks as well. */
	sw_make_frame(frame, 100, B(sw)->mac, A(sw)->mac, 0);
	sw_put_dma(CHAN(A(sw)), frame, 100, 1);
	sw_publish(CHAN(A(sw)));
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_reason(A(sw)->fn), NFE_REASON_MEMORY_GONE);
	TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_READY);
	SW_DO(delivered(&sw, sw.guest[2], B(sw), 3000));
	return sw_close(&sw);
}

static int
vanished_payload_of_a_short_frame_fails_the_sender(void)
{
	struct sw sw;

	SW_DO(sw_open_three(&sw, NULL, NULL));
	fake_poison(&A(sw)->g, SW_PAYLOAD);
	sw_make_frame(frame, 100, B(sw)->mac, A(sw)->mac, 0);
	sw_put_dma(CHAN(A(sw)), frame, 100, 1);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_drop_fault), 1);
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 0);
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_READY);
	return sw_close(&sw);
}

/* Memory of the receiver: its buffers, or its queues. The sender and others go on. */
static int
receiver_loses(uint64_t where, enum nfe_stat why)
{
	struct sw sw;
	struct sw_guest *c;

	SW_DO(sw_open_three(&sw, NULL, NULL));
	c = sw.guest[2];
	sw_post(CHAN(B(sw)), 4);
	sw_post(CHAN(c), 2);
	fake_poison(&B(sw)->g, where);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 3000));
	TEST_EQ(sw_stat(B(sw), why), 1);
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_FAILED);
	TEST_EQ(nfed_function_reason(B(sw)->fn), NFE_REASON_MEMORY_GONE);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_READY);
	SW_DO(delivered(&sw, A(sw), c, 3000));
	return sw_close(&sw);
}

static int
vanished_buffers_fail_the_receiver_alone(void)
{
	return receiver_loses(SW_BUFFERS, NFE_STAT_to_drop_fault);
}

static int
vanished_queues_fail_the_receiver_alone(void)
{
	return receiver_loses(FAKE_DATA, NFE_STAT_to_frames);
}

static int
vanished_send_queue_fails_the_sender_alone(void)
{
	struct sw sw;

	SW_DO(sw_open_three(&sw, NULL, NULL));
	fake_poison(&A(sw)->g, FAKE_DATA);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_frames), 0); /* nothing of it is believed */
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_FAILED);
	SW_DO(delivered(&sw, sw.guest[2], B(sw), 60));
	return sw_close(&sw);
}

/* B's channel once more, its status block in a region of its own. */
static int
with_status_block_apart(struct sw *sw)
{
	const uint32_t key = NFE_KEY(4, 0x44), rw = NFE_ACCESS_READ | NFE_ACCESS_WRITE;
	struct nfe_req queue[] = {
		{ .op = NFE_OP_SET_QUEUE, .queue = { .role = NFE_ROLE_SQ, .entries = SW_CHAN_SQ } },
		{ .op = NFE_OP_SET_QUEUE, .queue = { .role = NFE_ROLE_RQ, .entries = SW_CHAN_RQ } },
	};
	struct fake_guest *g = &B(*sw)->g;

	TEST_EQ(fake_op_channel(g, NFE_OP_DESTROY_CHANNEL, 1), 0);
	TEST_EQ(fake_register(g, key, STATUS_APART, NFE_PAGE_SIZE, rw), 0);
	TEST_EQ(fake_create_channel(g, 1, 1, key, 0), 0);
	for (unsigned int i = 0; i < RTE_DIM(queue); i++) {
		queue[i].queue.channel = 1;
		queue[i].queue.size_log2 = 7;
		queue[i].queue.capacity = 128;
		queue[i].queue.key = SW_KEY_QUEUES;
		TEST_EQ(fake_request(g, &queue[i], NULL), 0);
	}
	TEST_EQ(fake_op_channel(g, NFE_OP_START_CHANNEL, 1), 0);
	return TEST_OK;
}

/* Regression: only the queues' region was looked at, and indices went on into memory that was no
 * longer the guest's. */
static int
vanished_status_block_fails_its_guest_alone(void)
{
	struct sw sw;

	for (unsigned int sends = 0; sends < 2; sends++) {
		struct sw_guest *from;

		SW_DO(sw_open_three(&sw, NULL, NULL));
		SW_DO(with_status_block_apart(&sw));
		from = sends ? B(sw) : A(sw);
		fake_poison(&B(sw)->g, STATUS_APART);
		SW_DO(send(&sw, from, sends ? A(sw)->mac : B(sw)->mac, 60));
		TEST_EQ(((struct nfe_status *)(B(sw)->g.mem + STATUS_APART))->rq_prod, 0);
		TEST_EQ(sw_stat(from, NFE_STAT_from_frames), !sends);
		vsw_service(sw.vsw);
		TEST_EQ(nfed_function_state(B(sw)->fn), NFE_STATE_FAILED);
		TEST_EQ(nfed_function_reason(B(sw)->fn), NFE_REASON_MEMORY_GONE);
		TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_READY);
		SW_DO(delivered(&sw, A(sw), sw.guest[2], 60));
		SW_DO(sw_close(&sw));
	}
	return TEST_OK;
}

static int
failed_guest_comes_back_by_reset(void)
{
	struct sw sw;
	struct sw_guest_conf again = { 0 };

	SW_DO(sw_open_three(&sw, NULL, NULL));
	CHAN(A(sw))->sq_prod += 1000;
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_FAILED);
	fake_reg_write(&A(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	SW_DO(sw_guest_up(A(sw), &again));
	SW_DO(delivered(&sw, A(sw), B(sw), 60));
	SW_DO(delivered(&sw, B(sw), A(sw), 60));
	return sw_close(&sw);
}

/* More runs of frames in one turn than can be staged at once: to all, to one, to all … */
static int
flood_beyond_the_staging_room_arrives_in_order(void)
{
	enum { FLOODED = VSW_BURST / 2, GUESTS = VSW_NODES / FLOODED + 4 };
	struct sw_guest_conf conf = { .rq_log2 = 8, .events = true };
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	for (unsigned int i = 0; i <= GUESTS; i++)
		SW_DO(sw_add_guest(&sw, &conf, NULL));
	for (unsigned int i = 0; i < VSW_BURST; i++) {
		sw_make_frame(frame, 60, i % 2 ? B(sw)->mac : sw_broadcast, A(sw)->mac, i);
		sw_put_inline(CHAN(A(sw)), frame, 60);
	}
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	for (unsigned int k = 1; k <= GUESTS; k++)
		for (unsigned int i = 0; i < VSW_BURST; i++) {
			if (i % 2 && sw.guest[k] != B(sw))
				continue;
			sw_make_frame(frame, 60, i % 2 ? B(sw)->mac : sw_broadcast, A(sw)->mac, i);
			TEST_EQ(sw_recv(CHAN(sw.guest[k]), &got), 1);
			TEST_MEM_EQ(got.bytes, frame, 60);
		}
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), GUESTS * FLOODED);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_flooded), FLOODED);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_unicast), VSW_BURST - FLOODED);
	return sw_close(&sw);
}

/* More destinations of one frame than can be staged; all of them sleep. */
static int
more_destinations_than_nodes_are_all_served(void)
{
	enum { PORTS = VSW_NODES + 200 };
	struct vsw_conf conf = { .nb_lcores = 1, .max_ports = PORTS + 1, .max_macs = 4096,
				 .idle_us = 10000000 };
	static struct nfed_channel ch[PORTS];
	static uint32_t host[PORTS], dev[PORTS], event[PORTS];
	static union nfe_msg cells[PORTS][8];
	struct nfed_function *fn = NULL;
	struct vsw_port *port[PORTS];
	struct sw sw;

	SW_DO(sw_open(&sw, &conf));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	fn = A(sw)->fn; /* gives the limits; its transport the interrupts */
	for (unsigned int i = 0; i < PORTS; i++) {
		struct vsw_vif_conf vif = { .mac = { { 2, 1, 0, 0, (uint8_t)(i >> 8),
						       (uint8_t)i } } };
		struct nfed_queue rq = { .entries = cells[i][0].bytes, .host_idx = &host[i],
					 .dev_idx = &dev[i], .mask = 7, .capacity = 8,
					 .host_event = &event[i], .role = NFE_ROLE_RQ,
					 .may_sleep = true };

		snprintf(vif.name, sizeof(vif.name), "many%u", i);
		TEST_EQ(vsw_vif_add(sw.vsw, &vif, &port[i]), 0);
		host[i] = dev[i] = event[i] = 0;
		ch[i] = (struct nfed_channel){ .rq = rq, .fn = fn, .number = 1, .vector = 1,
					       .regions = nfed_function_regions(fn) };
		ch[i].sq = (struct nfed_queue){ .entries = cells[i][0].bytes, .host_idx = &host[i],
						.dev_idx = &dev[i], .mask = 7, .capacity = 8,
						.dev_event = &event[i], .role = NFE_ROLE_SQ };
		TEST_EQ(vsw_owner_ops.channel_start(port[i], &ch[i]), 0);
	}
	sw_make_frame(frame, 60, sw_broadcast, A(sw)->mac, 0);
	sw_put_inline(CHAN(A(sw)), frame, 60);
	sw_publish(CHAN(A(sw)));
	sw.vsw->datapath->chan_poll(sw.vsw->lcore[0], A(sw)->port->chan[1]);
	for (unsigned int i = 0; i < PORTS; i++) {
		TEST_EQ(dev[i], 1);
		TEST_MEM_EQ(cells[i][0].bytes + 4, frame, 60);
	}
	TEST_EQ(A(sw)->g.interrupts[1], PORTS);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), PORTS);
	for (unsigned int i = PORTS; i-- > 0;) {
		vsw_owner_ops.channel_stop(port[i], &ch[i]);
		vsw_vif_remove(port[i]);
	}
	return sw_close(&sw);
}

static int
crossed_event_index_interrupts_once(void)
{
	struct sw_guest_conf events = { .events = true };
	struct sw sw;
	uint32_t *event;
	unsigned int *irq;

	SW_DO(sw_open_three(&sw, NULL, &events));
	event = fake_db(&B(sw)->g, 1, NFE_DB_RQ_EVENT);
	irq = &B(sw)->g.interrupts[1];
	SW_DO(delivered(&sw, A(sw), B(sw), 60)); /* event index far away */
	TEST_EQ(*irq, 0);
	*event = 3; /* the entry at 3, two ahead */
	SW_DO(delivered(&sw, A(sw), B(sw), 60));
	SW_DO(delivered(&sw, A(sw), B(sw), 60));
	TEST_EQ(*irq, 0);
	SW_DO(delivered(&sw, A(sw), B(sw), 60));
	TEST_EQ(*irq, 1);
	SW_DO(delivered(&sw, A(sw), B(sw), 60)); /* behind it */
	TEST_EQ(*irq, 1);
	*event = 8; /* inside a burst: one interrupt */
	for (unsigned int i = 0; i < 10; i++) {
		sw_make_frame(frame, 60, B(sw)->mac, A(sw)->mac, i);
		sw_put_inline(CHAN(A(sw)), frame, 60);
	}
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(*irq, 2);
	TEST_EQ(sw_stat(B(sw), NFE_STAT_to_interrupts), 2);
	/* Its own send queue: told when the entry is consumed. */
	*fake_db(&B(sw)->g, 1, NFE_DB_SQ_DONE_EVENT) = 1;
	SW_DO(send(&sw, B(sw), A(sw)->mac, 60));
	TEST_EQ(*irq, 2);
	SW_DO(send(&sw, B(sw), A(sw)->mac, 60));
	TEST_EQ(*irq, 3);
	/* Without F_EVENT never. */
	*fake_db(&A(sw)->g, 1, NFE_DB_RQ_EVENT) = CHAN(A(sw))->rq_cons;
	SW_DO(send(&sw, B(sw), A(sw)->mac, 60));
	TEST_EQ(A(sw)->g.interrupts[1], 0);
	return sw_close(&sw);
}

static void
wait_us(unsigned int us)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 1000000 * us;

	while (rte_rdtsc() < end)
		rte_pause();
}

static int
channel_without_work_goes_idle_and_a_kick_makes_it_hot(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 50 };
	struct sw sw;
	struct vsw_lcore *lc;

	SW_DO(sw_open_three(&sw, &conf, NULL));
	lc = sw.vsw->lcore[0];
	SW_DO(sw_turn(&sw));
	wait_us(100);
	SW_DO(sw_turn(&sw)); /* sees the time */
	SW_DO(sw_turn(&sw));
	TEST_EQ(lc->nb_hot, 0);
	TEST_EQ(lc->nb_all, 3);
	/* An idle channel is not looked at; sending to it does not need it hot. */
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60)); /* kicks, since the event index is crossed */
	TEST_EQ(lc->nb_hot, 1);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_kicks), 1);
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60)); /* hot: no kick */
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_kicks), 1);
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	return sw_close(&sw);
}

/* As if so many times idle_us had passed since the channel had work. */
static int
quiet_for(struct sw *sw, struct vsw_chan *c, unsigned int idles)
{
	c->last_work = rte_rdtsc() - idles * sw->vsw->idle_tsc;
	SW_DO(sw_turn(sw)); /* sees the time */
	return sw_turn(sw);
}

static int
channel_that_came_back_stays_hot_beside_others_that_work(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 10000000 };
	struct sw sw;
	struct vsw_lcore *lc;
	struct vsw_chan *c;

	SW_DO(sw_open_three(&sw, &conf, NULL));
	lc = sw.vsw->lcore[0];
	c = A(sw)->port->chan[1];
	SW_DO(send(&sw, B(sw), A(sw)->mac, 60)); /* the lcore has work */
	SW_DO(quiet_for(&sw, c, 2));
	TEST_TRUE(!c->hot);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60)); /* back after 2 */
	TEST_TRUE(c->hot);
	SW_DO(quiet_for(&sw, c, 9));
	TEST_TRUE(c->hot);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60)); /* no kick */
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_kicks), 1);
	SW_DO(quiet_for(&sw, c, 11)); /* in vain, so it was the last time */
	TEST_TRUE(!c->hot);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60));
	TEST_TRUE(c->hot);
	SW_DO(quiet_for(&sw, c, 2));
	TEST_TRUE(!c->hot);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60)); /* back after 2; but nobody works */
	TEST_TRUE(c->hot);
	lc->last_work -= 2 * sw.vsw->idle_tsc;
	SW_DO(quiet_for(&sw, c, 2));
	TEST_TRUE(!c->hot);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_kicks), 3);
	return sw_close(&sw);
}

/* S1..S3: what is published before it was armed is found without a kick. */
static int
channel_with_work_does_not_fall_asleep(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 50 };
	struct sw sw;
	struct nfed_queue *sq;

	SW_DO(sw_open_three(&sw, &conf, NULL));
	sq = &nfed_function_channel(A(sw)->fn, 1)->sq;
	sw_make_frame(frame, 60, B(sw)->mac, A(sw)->mac, 0);
	sw_put_inline(CHAN(A(sw)), frame, 60);
	TEST_TRUE(nfed_sq_arm(sq));
	nfe_idx_publish(fake_db(&A(sw)->g, 1, NFE_DB_SQ_PROD), CHAN(A(sw))->sq_prod);
	TEST_TRUE(!nfed_sq_arm(sq));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	return sw_close(&sw);
}

static int
guest_that_may_not_kick_is_never_idle(void)
{
	struct sw_guest_conf poller = { .features = NFE_F_INLINE_LONG };
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 50 };
	struct sw sw;

	SW_DO(sw_open_three(&sw, &conf, &poller));
	for (unsigned int i = 0; i < 4; i++) {
		wait_us(60);
		SW_DO(sw_turn(&sw));
	}
	TEST_EQ(sw.vsw->lcore[0]->nb_hot, 1);
	return sw_close(&sw);
}

/* As if idle_us had passed, which on a busy machine takes any time. */
static void
pass_idle(struct vsw_lcore *lc, struct vsw_port *port)
{
	struct vsw_share *share = &lc->share[port->id];

	port->chan[1]->last_work -= lc->sw->idle_tsc;
	if (share->kicked != 0)
		share->kicked -= lc->sw->idle_tsc;
	share->storm_since -= lc->sw->idle_tsc;
}

/* Kicks without work, each as soon as the channel is idle; true: they were taken for a storm. */
static bool
kick_until_storm(struct sw *sw, unsigned int kicks)
{
	struct vsw_lcore *lc = sw->vsw->lcore[0];
	uint64_t one = 1;

	for (unsigned int i = 0; i < kicks && lc->counters->kick_storms == 0; i++) {
		if (write(A(*sw)->kick_fd, &one, sizeof(one)) != sizeof(one))
			return false;
		vsw_lcore_look(lc, 0);
		pass_idle(lc, A(*sw)->port);
		vsw_lcore_turn(lc);
	}
	return lc->counters->kick_storms != 0;
}

/* Regression: in the time in which so many were counted, fewer could come. */
static int
storm_is_seen_however_long_idle_us_is(void)
{
	static const unsigned int idle_us[] = { 0, 10, 1000 }; /* 0: the default */

	for (unsigned int i = 0; i < RTE_DIM(idle_us); i++) {
		struct vsw_conf conf = { .nb_lcores = 1, .idle_us = idle_us[i] };
		struct sw sw;

		SW_DO(sw_open_three(&sw, &conf, NULL));
		TEST_TRUE(kick_until_storm(&sw, 2000));
		SW_DO(sw_close(&sw));
	}
	return TEST_OK;
}

/* Where the CPU is shared a channel without work is cold again after shared_idle_us. A kick counts after
 * idle_us all the same: work may have come to another lcore, or come yet. */
static int
kicks_count_after_idle_us_where_the_cpu_is_shared(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 10000000, .shared_idle_us = 1 };
	struct vsw_share *share;
	struct vsw_lcore *lc;
	uint64_t one = 1;
	struct sw sw;

	SW_DO(sw_open_three(&sw, &conf, NULL));
	lc = sw.vsw->lcore[0];
	share = &lc->share[A(sw)->port->id];
	lc->shared_until = UINT64_MAX;
	for (unsigned int i = 0; i < 3 * VSW_STORM_KICKS; i++) {
		TEST_EQ(write(A(sw)->kick_fd, &one, sizeof(one)), sizeof(one));
		vsw_lcore_look(lc, 0);
		wait_us(2);
		vsw_lcore_turn(lc);
		vsw_lcore_turn(lc);
		TEST_EQ(lc->nb_hot, 0);
	}
	TEST_EQ(share->spurious, 0);
	TEST_TRUE(share->kicked != 0);
	TEST_TRUE(kick_until_storm(&sw, 2000));
	return sw_close(&sw);
}

/* A kick makes all channels hot. Those that it was not for had no work, and that is no storm. */
static int
kicks_with_work_for_one_of_two_channels_are_no_storm(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 10 };
	struct sw_guest_conf two = { .channels = 2 };
	struct vsw_lcore *lc;
	struct sw sw;

	SW_DO(sw_open_three(&sw, &conf, &two));
	lc = sw.vsw->lcore[0];
	sw_make_frame(frame, 60, A(sw)->mac, B(sw)->mac, 0);
	for (unsigned int i = 0; i < 2000; i++) {
		sw_put_frame(CHAN(B(sw)), frame, 60);
		sw_publish(CHAN(B(sw)));
		vsw_lcore_look(lc, 0);
		vsw_lcore_turn(lc);
		wait_us(12);
		vsw_lcore_turn(lc);
		vsw_lcore_turn(lc);
		TEST_EQ(sw_drain(CHAN(A(sw))), 1);
	}
	TEST_TRUE(sw_stat(B(sw), NFE_STAT_from_kicks) > 1000);
	TEST_EQ(lc->counters->kick_storms, 0);
	return sw_close(&sw);
}

static int
storm_of_kicks_without_work_holds_the_channel_hot(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .idle_us = 10 };
	struct sw sw;
	struct vsw_lcore *lc;
	uint64_t kicks;

	SW_DO(sw_open_three(&sw, &conf, NULL));
	lc = sw.vsw->lcore[0];
	TEST_TRUE(kick_until_storm(&sw, 20000));
	TEST_EQ(lc->counters->kick_storms, 1);
	wait_us(100);
	SW_DO(sw_turn(&sw));
	SW_DO(sw_turn(&sw));
	if (lc->now < lc->share[A(sw)->port->id].hold_until) /* unless the machine was busy */
		TEST_EQ(lc->nb_hot, 1); /* held, though it has been quiet */
	kicks = sw_stat(A(sw), NFE_STAT_from_kicks);
	TEST_TRUE(kicks >= 64);
	wait_us(10100); /* not for ever */
	SW_DO(sw_turn(&sw));
	SW_DO(sw_turn(&sw));
	SW_DO(sw_turn(&sw));
	TEST_EQ(lc->nb_hot, 0);
	SW_DO(send(&sw, A(sw), B(sw)->mac, 60));
	TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
	return sw_close(&sw);
}

/* Both lcores have a channel of the guest, and both are woken. */
static int
a_kick_that_two_lcores_see_is_counted_once(void)
{
	struct vsw_conf conf = { .nb_lcores = 2, .lcores = { 1, 2 }, .idle_us = 10 };
	struct sw_guest_conf two = { .channels = 2 };
	uint64_t one = 1;
	struct sw sw;

	SW_DO(sw_open_three(&sw, &conf, &two));
	TEST_TRUE(B(sw)->port->chan[1]->lcore != B(sw)->port->chan[2]->lcore);
	for (unsigned int i = 1; i <= 5; i++) {
		TEST_EQ(write(B(sw)->kick_fd, &one, sizeof(one)), sizeof(one));
		SW_DO(sw_turn(&sw));
		TEST_EQ(sw_stat(B(sw), NFE_STAT_from_kicks), i);
	}
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(full_queue_and_empty_fill_queue_drop_there),
	TEST_CASE(frames_beyond_mtu_or_buffers_are_dropped),
	TEST_CASE(guest_that_is_not_there_drops_for_its_link),
	TEST_CASE(bad_fill_entries_come_back),
	TEST_CASE(vanished_payload_fails_the_sender_alone),
	TEST_CASE(vanished_payload_of_a_short_frame_fails_the_sender),
	TEST_CASE(vanished_buffers_fail_the_receiver_alone),
	TEST_CASE(vanished_queues_fail_the_receiver_alone),
	TEST_CASE(vanished_send_queue_fails_the_sender_alone),
	TEST_CASE(vanished_status_block_fails_its_guest_alone),
	TEST_CASE(failed_guest_comes_back_by_reset),
	TEST_CASE(flood_beyond_the_staging_room_arrives_in_order),
	TEST_CASE(more_destinations_than_nodes_are_all_served),
	TEST_CASE(crossed_event_index_interrupts_once),
	TEST_CASE(channel_without_work_goes_idle_and_a_kick_makes_it_hot),
	TEST_CASE(channel_that_came_back_stays_hot_beside_others_that_work),
	TEST_CASE(channel_with_work_does_not_fall_asleep),
	TEST_CASE(guest_that_may_not_kick_is_never_idle),
	TEST_CASE(storm_of_kicks_without_work_holds_the_channel_hot),
	TEST_CASE(storm_is_seen_however_long_idle_us_is),
	TEST_CASE(kicks_count_after_idle_us_where_the_cpu_is_shared),
	TEST_CASE(kicks_with_work_for_one_of_two_channels_are_no_storm),
	TEST_CASE(a_kick_that_two_lcores_see_is_counted_once),
};
TEST_SUITE(vsw_egress, cases);
