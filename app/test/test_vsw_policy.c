/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Who gets which frame: addresses of a VIF, broadcast, multicast filter, unknown unicast, uplinks
 * and what is learned from them; and how ports come and go.
 */
#include <errno.h>

#include <rte_cycles.h>

#include "test_vsw_fixture.h"

static struct sw_frame got;
static uint8_t frame[SW_MAX_FRAME];
static const uint8_t unknown[6] = { 2, 0x77, 0, 0, 0, 1 };
static const uint8_t group[6] = { 1, 0, 0x5e, 1, 2, 3 };

#define A(sw) ((sw).guest[0])
#define B(sw) ((sw).guest[1])
#define C(sw) ((sw).guest[2])
#define CHAN(g) (&(g)->chan[0])

static int
three_open(struct sw *sw, const struct sw_guest_conf *second)
{
	SW_DO(sw_open(sw, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	SW_DO(sw_add_guest(sw, second, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	return TEST_OK;
}

static int
send(struct sw *sw, struct sw_guest *from, const uint8_t *to, const uint8_t *source)
{
	sw_make_frame(frame, 60, to, source, 1);
	sw_put_inline(CHAN(from), frame, 60);
	sw_publish(CHAN(from));
	return sw_turn(sw);
}

/* A sends to this address; who gets it? Bits by guest; bit 8: the wire. */
static int
reached(struct sw *sw, const uint8_t *to, unsigned int who)
{
	unsigned int seen = 0;

	SW_DO(send(sw, A(*sw), to, A(*sw)->mac));
	for (unsigned int i = 0; i < sw->nb_guests; i++) {
		unsigned int n = sw_drain(CHAN(sw->guest[i]));

		TEST_TRUE(n <= 1);
		seen |= n << i;
	}
	if (sw->nb_wires > 0 && sw_wire_recv(sw, &got)) {
		TEST_EQ(got.len, 60);
		TEST_MEM_EQ(got.bytes, frame, 60);
		seen |= 1u << 8;
	}
	TEST_EQ(seen, who);
	return TEST_OK;
}

static int
broadcast_reaches_all_others(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(reached(&sw, sw_broadcast, 6));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_flooded), 1);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), 2);
	SW_DO(sw_add_uplink(&sw, false));
	SW_DO(reached(&sw, sw_broadcast, 0x106));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), 5);
	TEST_EQ(sw_rx_mode(B(sw), 0), 0);
	SW_DO(reached(&sw, sw_broadcast, 0x106));
	return sw_close(&sw);
}

static int
multicast_reaches_who_asked_for_it(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(reached(&sw, group, 6)); /* ALLMULTI at first */
	TEST_EQ(sw_rx_mode(B(sw), 0), 0);
	SW_DO(reached(&sw, group, 4));
	TEST_EQ(sw_rx_mode(C(sw), 0), 0);
	SW_DO(reached(&sw, group, 0));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_flooded), 3); /* to nobody, but not dropped */
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), 3);
	TEST_EQ(sw_mac(B(sw), group, NFE_MAC_ADD), 0);
	TEST_EQ(sw_mac(B(sw), group, NFE_MAC_ADD), -EEXIST);
	TEST_EQ(sw_mac(C(sw), group, NFE_MAC_ADD), 0); /* a group has many members */
	SW_DO(reached(&sw, group, 6));
	TEST_EQ(sw_mac(B(sw), group, NFE_MAC_REMOVE), 0);
	TEST_EQ(sw_mac(B(sw), group, NFE_MAC_REMOVE), -ENOENT);
	SW_DO(reached(&sw, group, 4));
	TEST_EQ(sw_rx_mode(B(sw), NFE_RX_PROMISC), 0);
	SW_DO(reached(&sw, group, 6));
	return sw_close(&sw);
}

static int
unknown_unicast_goes_to_uplinks_and_who_may_see_it(void)
{
	struct sw_guest_conf watcher = { .vif.promisc = true };
	struct sw sw;

	SW_DO(three_open(&sw, &watcher));
	SW_DO(reached(&sw, unknown, 0));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_no_port), 1);
	TEST_EQ(sw_rx_mode(B(sw), NFE_RX_PROMISC), 0);
	TEST_EQ(sw_rx_mode(C(sw), NFE_RX_PROMISC), 0); /* accepted, but shows nothing more */
	SW_DO(reached(&sw, unknown, 2));
	TEST_EQ(sw_rx_mode(B(sw), 0), 0);
	SW_DO(sw_add_uplink(&sw, false));
	SW_DO(reached(&sw, unknown, 0x100));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_flooded), 2);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_copies), 2);
	SW_DO(reached(&sw, B(sw)->mac, 2)); /* known: nowhere else */
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_unicast), 1);
	return sw_close(&sw);
}

static int
frame_to_itself_is_dropped(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(reached(&sw, A(sw)->mac, 0));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_self), 1);
	return sw_close(&sw);
}

static int
source_check_follows_the_addresses_of_the_vif(void)
{
	struct sw_guest_conf any = { .vif = { .allow_any = true, .no_source_check = false } };
	struct sw_guest_conf open = { .vif.no_source_check = true };
	struct sw sw;

	SW_DO(three_open(&sw, &any));
	SW_DO(sw_add_guest(&sw, &open, NULL));
	SW_DO(send(&sw, B(sw), A(sw)->mac, unknown));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_from_drop_source), 1);
	TEST_EQ(sw_mac(B(sw), unknown, NFE_MAC_ADD), 0);
	SW_DO(send(&sw, B(sw), A(sw)->mac, unknown));
	TEST_EQ(sw_drain(CHAN(A(sw))), 1);
	SW_DO(reached(&sw, unknown, 2)); /* and frames to it come */
	TEST_EQ(sw_mac(B(sw), unknown, NFE_MAC_REMOVE), 0);
	SW_DO(send(&sw, B(sw), A(sw)->mac, unknown));
	TEST_EQ(sw_stat(B(sw), NFE_STAT_from_drop_source), 2);
	SW_DO(send(&sw, sw.guest[3], A(sw)->mac, unknown)); /* unchecked by the operator's wish */
	TEST_EQ(sw_drain(CHAN(A(sw))), 1);
	return sw_close(&sw);
}

static int
addresses_follow_the_operators_policy(void)
{
	struct sw_guest_conf listed = { .vif = { .allow = { { { 2, 9, 0, 0, 0, 1 } } },
						 .nb_allow = 1 } };
	const uint8_t *allowed = listed.vif.allow[0].addr_bytes;
	struct sw sw;

	SW_DO(three_open(&sw, &listed));
	TEST_EQ(sw_mac(B(sw), unknown, NFE_MAC_ADD), -EPERM);
	TEST_EQ(sw_mac(B(sw), unknown, NFE_MAC_SET), -EPERM);
	TEST_EQ(sw_mac(B(sw), A(sw)->mac, NFE_MAC_ADD), -EPERM);
	TEST_EQ(sw_mac(B(sw), B(sw)->mac, NFE_MAC_ADD), -EEXIST);
	TEST_EQ(sw_mac(B(sw), B(sw)->mac, NFE_MAC_REMOVE), -ENOENT); /* the primary stays */
	TEST_EQ(sw_mac(B(sw), allowed, NFE_MAC_ADD), 0);
	SW_DO(reached(&sw, allowed, 2));
	TEST_EQ(sw_mac(B(sw), allowed, NFE_MAC_SET), 0); /* was a further one, becomes primary */
	SW_DO(reached(&sw, allowed, 2));
	SW_DO(reached(&sw, B(sw)->mac, 0)); /* its old one is nobody's */
	TEST_EQ(sw_mac(B(sw), B(sw)->mac, NFE_MAC_SET), 0);
	SW_DO(reached(&sw, allowed, 0));
	SW_DO(reached(&sw, B(sw)->mac, 2));
	for (unsigned int i = 0; i < VSW_MAX_MACS; i++) {
		uint8_t many[6] = { 1, 0, 0x5e, 0, 1, (uint8_t)i };

		TEST_EQ(sw_mac(C(sw), many, NFE_MAC_ADD), 0);
	}
	TEST_EQ(sw_mac(C(sw), group, NFE_MAC_ADD), -ENOSPC);
	return sw_close(&sw);
}

static int
address_of_another_vif_cannot_be_taken(void)
{
	struct sw_guest_conf any = { .vif.allow_any = true };
	struct sw_guest_conf again = { 0 };
	static const uint8_t moved[6] = { 2, 9, 0, 0, 0, 2 };
	struct sw sw;

	SW_DO(three_open(&sw, &any));
	SW_DO(sw_add_guest(&sw, &any, NULL));
	TEST_EQ(sw_mac(B(sw), A(sw)->mac, NFE_MAC_ADD), -EADDRINUSE);
	TEST_EQ(sw_mac(B(sw), A(sw)->mac, NFE_MAC_SET), -EADDRINUSE);
	SW_DO(reached(&sw, B(sw)->mac, 2)); /* what it had it still has */
	TEST_EQ(sw_mac(B(sw), moved, NFE_MAC_SET), 0);
	TEST_EQ(sw_mac(sw.guest[3], moved, NFE_MAC_ADD), -EADDRINUSE);
	/* The configured address waits for its VIF. */
	TEST_EQ(sw_mac(sw.guest[3], B(sw)->mac, NFE_MAC_ADD), -EADDRINUSE);
	TEST_EQ(sw_mac(sw.guest[3], B(sw)->mac, NFE_MAC_SET), -EADDRINUSE);
	fake_reg_write(&B(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	SW_DO(sw_guest_up(B(sw), &again));
	SW_DO(reached(&sw, B(sw)->mac, 2));
	TEST_EQ(sw_mac(sw.guest[3], moved, NFE_MAC_ADD), 0); /* free again */
	return sw_close(&sw);
}

static int
reset_forgets_what_the_guest_configured(void)
{
	struct sw_guest_conf any = { .vif = { .allow_any = true, .mtu = 1500 } };
	struct nfe_req mtu = { .op = NFE_OP_MTU, .mtu.mtu = 9000 };
	struct sw sw;
	unsigned int macs;

	SW_DO(three_open(&sw, &any));
	macs = vsw_fdb_count(sw.vsw->fdb);
	TEST_EQ(sw_mac(B(sw), unknown, NFE_MAC_ADD), 0);
	TEST_EQ(sw_mac(B(sw), group, NFE_MAC_ADD), 0);
	TEST_EQ(sw_rx_mode(B(sw), NFE_RX_PROMISC), 0);
	TEST_EQ(fake_request(&B(sw)->g, &mtu, NULL), 0);
	TEST_EQ(vsw_port_mtu(B(sw)->port), 9000);
	fake_reg_write(&B(sw)->g, NFE_REG_COMMAND, NFE_CMD_RESET);
	TEST_EQ(vsw_fdb_count(sw.vsw->fdb), macs);
	TEST_EQ(vsw_port_mtu(B(sw)->port), 1500);
	TEST_EQ(vsw_port_rx_mode(B(sw)->port), NFE_RX_ALLMULTI);
	TEST_TRUE(!vsw_port_link(B(sw)->port));
	SW_DO(sw_guest_up(B(sw), &any));
	SW_DO(reached(&sw, unknown, 0));
	SW_DO(reached(&sw, B(sw)->mac, 2));
	return sw_close(&sw);
}

static int
port_names_and_addresses_are_unique(void)
{
	struct vsw_vif_conf vif = { .name = "g0", .mac = { { 2, 9, 0, 0, 0, 9 } } };
	struct vsw_port *port;
	struct sw sw;
	unsigned int n = 0;

	SW_DO(three_open(&sw, NULL));
	TEST_EQ(vsw_vif_add(sw.vsw, &vif, &port), -EEXIST);
	strcpy(vif.name, "x");
	memcpy(vif.mac.addr_bytes, A(sw)->mac, 6);
	TEST_EQ(vsw_vif_add(sw.vsw, &vif, &port), -EEXIST);
	TEST_TRUE(vsw_port_find(sw.vsw, "x") == NULL); /* nothing is left of it */
	memcpy(vif.mac.addr_bytes, group, 6);
	TEST_EQ(vsw_vif_add(sw.vsw, &vif, &port), -EINVAL);
	memset(vif.mac.addr_bytes, 0, 6);
	TEST_EQ(vsw_vif_add(sw.vsw, &vif, &port), -EINVAL);
	for (port = NULL; (port = vsw_port_next(sw.vsw, port)) != NULL; n++)
		TEST_TRUE(vsw_port_find(sw.vsw, vsw_port_name(port)) == port);
	TEST_EQ(n, 3);
	SW_DO(reached(&sw, A(sw)->mac, 0));
	SW_DO(reached(&sw, B(sw)->mac, 2));
	return sw_close(&sw);
}

static int
removed_port_leaves_no_counters_to_its_successor(void)
{
	struct vsw_vif_conf vif = { .name = "x", .mac = { { 2, 9, 0, 0, 0, 9 } } };
	struct vsw_port *port;
	uint64_t v[NFE_STAT_MAX];
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	TEST_EQ(vsw_vif_add(sw.vsw, &vif, &port), 0);
	SW_DO(reached(&sw, vif.mac.addr_bytes, 0));
	TEST_EQ(vsw_port_stats(port, v), 0);
	TEST_EQ(v[NFE_STAT_to_drop_link], 1);
	vsw_vif_remove(port);
	TEST_EQ(vsw_vif_add(sw.vsw, &vif, &port), 0);
	TEST_EQ(vsw_port_stats(port, v), 0);
	for (unsigned int s = 0; s < NFE_STAT_MAX; s++)
		TEST_EQ(v[s], 0);
	vsw_vif_remove(port);
	return sw_close(&sw);
}

static int
wire_and_guest_exchange_frames_of_every_length(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	sw_random_seed(5);
	for (uint32_t len = NFE_MIN_FRAME; len <= 1518; len++) {
		struct sw_chan *c = CHAN(B(sw));

		sw_make_frame(frame, len, unknown, B(sw)->mac, len);
		sw_put_frame(c, frame, len);
		sw_publish(c);
		SW_DO(sw_turn(&sw));
		TEST_EQ(sw_wire_recv(&sw, &got), 1);
		TEST_EQ(got.len, len);
		TEST_MEM_EQ(got.bytes, frame, len);
		sw_make_frame(frame, len, B(sw)->mac, unknown, len);
		sw_wire_send(&sw, frame, len);
		sw_post(c, len > NFE_INLINE_SHORT);
		SW_DO(sw_turn(&sw));
		TEST_EQ(sw_recv(c, &got), 1);
		TEST_EQ(got.len, len);
		TEST_MEM_EQ(got.bytes, frame, len);
	}
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), 1518 - 13);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_unicast), 1518 - 13);
	return sw_close(&sw);
}

/* Those of a burst from the wire that find no more room for their cells arrive as the others do. */
static int
burst_from_the_wire_of_more_cells_than_there_are_arrives(void)
{
	struct sw_guest_conf large = { .rq_log2 = 8 };
	struct sw sw;

	SW_DO(three_open(&sw, &large));
	SW_DO(sw_add_uplink(&sw, false));
	static_assert(VSW_UPLINK_BURST * NFE_INLINE_SHORT / NFE_MSG_SIZE > VSW_MAX_BURST, "too many");
	for (unsigned int i = 0; i < VSW_UPLINK_BURST; i++) {
		sw_make_frame(frame, NFE_INLINE_SHORT, B(sw)->mac, unknown, i);
		sw_wire_send(&sw, frame, NFE_INLINE_SHORT);
	}
	SW_DO(sw_turn(&sw));
	for (unsigned int i = 0; i < VSW_UPLINK_BURST; i++) {
		sw_make_frame(frame, NFE_INLINE_SHORT, B(sw)->mac, unknown, i);
		TEST_EQ(sw_recv(CHAN(B(sw)), &got), 1);
		TEST_EQ(got.len, NFE_INLINE_SHORT);
		TEST_EQ(got.nbufs, 0);
		TEST_MEM_EQ(got.bytes, frame, NFE_INLINE_SHORT);
	}
	return sw_close(&sw);
}

static int
jumbo_and_runts_are_refused_at_the_uplink(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	sw_make_frame(frame, 1519, unknown, A(sw)->mac, 0);
	sw_put_dma(CHAN(A(sw)), frame, 1519, 1);
	sw_put_dma(CHAN(A(sw)), frame, 1518, 1);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_drop_too_long), 1);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_frames), 1);
	TEST_EQ(sw_wire_recv(&sw, &got), 1);
	sw_wire_send(&sw, frame, 13);
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_drop_runt), 1);
	return sw_close(&sw);
}

static int
frames_from_the_wire_go_where_the_fdb_says(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	sw_make_frame(frame, 60, sw_broadcast, unknown, 0);
	sw_wire_send(&sw, frame, 60);
	sw_make_frame(frame, 60, C(sw)->mac, unknown, 0);
	sw_wire_send(&sw, frame, 60);
	sw_make_frame(frame, 60, unknown, unknown, 0);
	sw_wire_send(&sw, frame, 60);
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_drain(CHAN(A(sw))), 1);
	TEST_EQ(sw_drain(CHAN(B(sw))), 1);
	TEST_EQ(sw_drain(CHAN(C(sw))), 2);
	TEST_EQ(sw_wire_recv(&sw, &got), 0); /* never back to where it came from */
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_copies), 3);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_unicast), 1);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_from_drop_no_port), 1);
	return sw_close(&sw);
}

static int
vanished_payload_does_not_reach_the_wire(void)
{
	struct sw sw;

	SW_DO(three_open(&sw, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	fake_poison(&A(sw)->g, SW_PAYLOAD);
	sw_make_frame(frame, 1000, unknown, A(sw)->mac, 0);
	sw_put_dma(CHAN(A(sw)), frame, 1000, 1);
	sw_publish(CHAN(A(sw)));
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_wire_recv(&sw, &got), 0);
	TEST_EQ(sw_uplink_stat(&sw, NFE_STAT_to_drop_fault), 1);
	vsw_service(sw.vsw);
	TEST_EQ(nfed_function_state(A(sw)->fn), NFE_STATE_FAILED);
	return sw_close(&sw);
}

static int
addresses_on_the_wire_are_learned_unless_a_vif_has_them(void)
{
	struct sw sw;
	unsigned int macs;
	static const uint8_t more[6] = { 2, 0x77, 0, 0, 0, 2 };

	SW_DO(three_open(&sw, NULL));
	SW_DO(sw_add_uplink(&sw, true));
	macs = vsw_fdb_count(sw.vsw->fdb);
	for (unsigned int i = 0; i < 100; i++) { /* two talkers in turn: told once each */
		sw_make_frame(frame, 60, A(sw)->mac, i % 2 ? unknown : more, 0);
		sw_wire_send(&sw, frame, 60);
		SW_DO(sw_turn(&sw));
	}
	TEST_EQ(sw_drain(CHAN(A(sw))), 100);
	TEST_EQ(rte_ring_count(sw.vsw->learn), 2);
	sw_make_frame(frame, 60, A(sw)->mac, B(sw)->mac, 0); /* spoofed */
	sw_wire_send(&sw, frame, 60);
	sw_make_frame(frame, 60, A(sw)->mac, group, 0);
	sw_wire_send(&sw, frame, 60);
	SW_DO(sw_turn(&sw));
	vsw_service(sw.vsw);
	TEST_EQ(vsw_fdb_count(sw.vsw->fdb), macs + 2);
	sw_drain(CHAN(A(sw)));
	SW_DO(reached(&sw, unknown, 0x100));
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_unicast), 1);
	SW_DO(reached(&sw, B(sw)->mac, 2));
	return sw_close(&sw);
}

/* Copies cost the switch, so their cause pays for them; unicast of the same guest goes on. */
static int
flood_is_limited_by_its_copies(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .flood_mbps = 1 };
	uint8_t frame[1514];
	struct sw sw;

	SW_DO(sw_open(&sw, &conf));
	for (unsigned int i = 0; i < 4; i++)
		SW_DO(sw_add_guest(&sw, NULL, NULL));
	sw_make_frame(frame, sizeof(frame), sw_broadcast, sw.guest[0]->mac, 1);
	for (unsigned int i = 0; i < 1000; i++) { /* 3 copies of 1514 bytes each: 4.3 MiB */
		sw_put_frame(&sw.guest[0]->chan[0], frame, sizeof(frame));
		sw_publish(&sw.guest[0]->chan[0]);
		SW_DO(sw_turn(&sw));
	}
	TEST_TRUE(sw_stat(sw.guest[0], NFE_STAT_from_flooded) > 100);
	TEST_TRUE(sw_stat(sw.guest[0], NFE_STAT_from_drop_flood) > 500);
	TEST_TRUE(sw_stat(sw.guest[0], NFE_STAT_from_copies) * sizeof(frame) < 2 << 20);
	sw_make_frame(frame, 60, sw.guest[1]->mac, sw.guest[0]->mac, 2);
	sw_put_frame(&sw.guest[0]->chan[0], frame, 60);
	sw_publish(&sw.guest[0]->chan[0]);
	SW_DO(sw_turn(&sw));
	TEST_EQ(sw_stat(sw.guest[0], NFE_STAT_from_unicast), 1);
	return sw_close(&sw);
}

/* An address that only the uplink may know is one copy, no flood: it has no limit of its own. */
static int
unknown_to_one_uplink_is_no_flood(void)
{
	struct vsw_conf conf = { .nb_lcores = 1, .flood_mbps = 1 };
	static const uint8_t unknown[6] = { 2, 9, 9, 9, 9, 9 };
	struct sw_frame got;
	uint8_t frame[1514];
	struct sw sw;

	SW_DO(sw_open(&sw, &conf));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	SW_DO(sw_add_uplink(&sw, false));
	sw_make_frame(frame, sizeof(frame), unknown, A(sw)->mac, 1);
	for (unsigned int i = 0; i < 2000; i++) { /* 2.9 MiB, of 1 MiB that may be flooded */
		sw_put_frame(CHAN(A(sw)), frame, sizeof(frame));
		sw_publish(CHAN(A(sw)));
		SW_DO(sw_turn(&sw));
		TEST_EQ(sw_wire_recv(&sw, &got), 1);
	}
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_flooded), 2000);
	TEST_EQ(sw_stat(A(sw), NFE_STAT_from_drop_flood), 0);
	return sw_close(&sw);
}

static unsigned int nb_lines;
static char last_line[256];

static void
count_line(const char *line)
{
	nb_lines++;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

/* A guest may reset itself as often as it likes. */
static int
guest_cannot_flood_the_log(void)
{
	struct sw sw;

	SW_DO(sw_open(&sw, NULL));
	vsw_set_log(sw.vsw, count_line);
	SW_DO(sw_add_guest(&sw, NULL, NULL));
	nb_lines = 0;
	for (unsigned int i = 0; i < 10000; i++)
		vsw_port_logf(sw.guest[0]->port, false, "line %u", i);
	TEST_TRUE(nb_lines < 100);
	TEST_TRUE(strstr(last_line, "vif ") == last_line);
	return sw_close(&sw);
}

static const struct test_case cases[] = {
	TEST_CASE(broadcast_reaches_all_others),
	TEST_CASE(multicast_reaches_who_asked_for_it),
	TEST_CASE(unknown_unicast_goes_to_uplinks_and_who_may_see_it),
	TEST_CASE(frame_to_itself_is_dropped),
	TEST_CASE(source_check_follows_the_addresses_of_the_vif),
	TEST_CASE(addresses_follow_the_operators_policy),
	TEST_CASE(address_of_another_vif_cannot_be_taken),
	TEST_CASE(reset_forgets_what_the_guest_configured),
	TEST_CASE(port_names_and_addresses_are_unique),
	TEST_CASE(removed_port_leaves_no_counters_to_its_successor),
	TEST_CASE(wire_and_guest_exchange_frames_of_every_length),
	TEST_CASE(burst_from_the_wire_of_more_cells_than_there_are_arrives),
	TEST_CASE(jumbo_and_runts_are_refused_at_the_uplink),
	TEST_CASE(frames_from_the_wire_go_where_the_fdb_says),
	TEST_CASE(vanished_payload_does_not_reach_the_wire),
	TEST_CASE(addresses_on_the_wire_are_learned_unless_a_vif_has_them),
	TEST_CASE(flood_is_limited_by_its_copies),
	TEST_CASE(unknown_to_one_uplink_is_no_flood),
	TEST_CASE(guest_cannot_flood_the_log),
};
TEST_SUITE(vsw_policy, cases);
