/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The switch with fake guests, see test_vsw_fixture.h: set-up and accounting. What a guest does on
 * its queues is test_vsw_guest.c. One thread; all memory belongs to struct sw and its guests.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "test_vsw_fixture.h"

const uint8_t sw_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

int
sw_open(struct sw *sw, const struct vsw_conf *user)
{
	struct vsw_conf conf = { .nb_lcores = 1, .lcores = { 1 }, .idle_us = 10000000 };

	TEST_NEEDS_EAL();
	if (user != NULL)
		conf = *user;
	conf.max_ports = conf.max_ports ? conf.max_ports : SW_MAX_GUESTS + 1;
	conf.max_macs = conf.max_macs ? conf.max_macs : 1024;
	conf.nb_mbufs = 1024;
	/* Others may want this CPU: what a test with an idle_us finds doesn't depend on it. */
	conf.shared_idle_us = conf.shared_idle_us ? conf.shared_idle_us : conf.idle_us;
	memset(sw, 0, sizeof(*sw));
	TEST_EQ(vsw_create(&conf, &sw->vsw), 0);
	return TEST_OK;
}

int
sw_close(struct sw *sw)
{
	while (sw->nb_guests > 0) {
		struct sw_guest *g = sw->guest[--sw->nb_guests];

		nfed_function_destroy(g->fn);
		TEST_EQ(g->g.live_maps, 0);
		g->g.fn = NULL;
		fake_guest_destroy(&g->g);
		vsw_vif_remove(g->port);
		close(g->kick_fd);
		free(g);
	}
	vsw_destroy(sw->vsw);
	return TEST_OK;
}

static struct vsw_vif_conf
vif_conf(const struct sw_guest_conf *conf, unsigned int number)
{
	struct vsw_vif_conf vif = conf->vif;

	if (vif.name[0] == '\0')
		snprintf(vif.name, sizeof(vif.name), "g%u", number);
	if (rte_is_zero_ether_addr(&vif.mac))
		vif.mac = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)(number + 1) } };
	if (vif.mtu == 0)
		vif.mtu = 9000;
	return vif;
}

int
sw_add_guest(struct sw *sw, const struct sw_guest_conf *user, struct sw_guest **out)
{
	struct sw_guest_conf conf = { 0 };
	struct nfed_function_conf fconf = { .limits = nfed_limits_default,
					    .owner_ops = &vsw_owner_ops };
	struct sw_guest *g = calloc(1, sizeof(*g));
	struct vsw_vif_conf vif;

	TEST_TRUE(g != NULL && sw->nb_guests < SW_MAX_GUESTS);
	if (user != NULL)
		conf = *user;
	vif = vif_conf(&conf, sw->nb_guests);
	g->sw = sw;
	memcpy(g->mac, vif.mac.addr_bytes, sizeof(g->mac));
	TEST_EQ(vsw_vif_add(sw->vsw, &vif, &g->port), 0);
	fconf.owner = g->port;
	fconf.features = conf.features ? conf.features : SW_BASIC;
	TEST_EQ(fake_guest_create(&g->g, &fconf), 0);
	g->fn = g->g.fn;
	if (conf.file)
		TEST_EQ(fake_guest_use_file(&g->g), 0);
	g->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	TEST_TRUE(g->kick_fd >= 0);
	vsw_vif_bind(g->port, g->fn, g->kick_fd);
	sw->guest[sw->nb_guests++] = g;
	if (out != NULL)
		*out = g;
	return sw_guest_up(g, &conf);
}

static int
set_queue(struct sw_chan *c, uint8_t role, uint32_t size_log2, uint64_t off, uint32_t first,
	  bool events)
{
	struct nfe_req req = {
		.op = NFE_OP_SET_QUEUE,
		.queue = { .channel = c->number, .role = role, .size_log2 = size_log2,
			   .capacity = 1u << size_log2, .key = SW_KEY_QUEUES, .prod = first,
			   .cons = first, .entries = (c->number - 1u) * SW_CHAN_STRIDE + off,
			   .buf_size = role == NFE_ROLE_FQ ? c->buf_size : 0,
			   .flags = events && role != NFE_ROLE_FQ ? NFE_QUEUE_F_EVENT : 0 },
	};

	TEST_EQ(fake_request(&c->guest->g, &req, NULL), 0);
	return TEST_OK;
}

static int
chan_up(struct sw_guest *g, struct sw_chan *c, uint16_t number, const struct sw_guest_conf *conf)
{
	uint32_t first = conf->first;

	*c = (struct sw_chan){
		.guest = g, .number = number,
		.sq_log2 = conf->sq_log2 ? conf->sq_log2 : 7,
		.rq_log2 = conf->rq_log2 ? conf->rq_log2 : 7,
		.fq_log2 = conf->fq_log2 ? conf->fq_log2 : 7,
		.sq_prod = first, .rq_cons = first, .fq_prod = first, .fill_end = first,
		.buf_size = conf->buf_size ? conf->buf_size : 2048,
	};
	SW_DO(fake_create_channel(&g->g, number, number, SW_KEY_QUEUES,
				  (number - 1u) * SW_CHAN_STRIDE));
	SW_DO(set_queue(c, NFE_ROLE_SQ, c->sq_log2, SW_CHAN_SQ, first, conf->events));
	SW_DO(set_queue(c, NFE_ROLE_RQ, c->rq_log2, SW_CHAN_RQ, first, conf->events));
	if (c->buf_size != UINT32_MAX)
		SW_DO(set_queue(c, NFE_ROLE_FQ, c->fq_log2, SW_CHAN_FQ, first, false));
	*fake_db(&g->g, number, NFE_DB_SQ_PROD) = first;
	*fake_db(&g->g, number, NFE_DB_RQ_CONS) = first;
	*fake_db(&g->g, number, NFE_DB_FQ_PROD) = first;
	/* Far away: no interrupt until a test asks for one. */
	*fake_db(&g->g, number, NFE_DB_RQ_EVENT) = first - 1;
	*fake_db(&g->g, number, NFE_DB_SQ_DONE_EVENT) = first - 1;
	if (!conf->no_start)
		TEST_EQ(fake_op_channel(&g->g, NFE_OP_START_CHANNEL, number), 0);
	return TEST_OK;
}

int
sw_guest_up(struct sw_guest *g, const struct sw_guest_conf *conf)
{
	unsigned int n = conf->channels ? conf->channels : 1;
	uint8_t *data = g->g.mem + FAKE_DATA;

	memset(data, SW_CANARY, FAKE_MEM_SIZE - FAKE_DATA);
	TEST_EQ(fake_guest_boot(&g->g, 5, 0), NFE_STATE_READY);
	SW_DO(fake_register(&g->g, SW_KEY_QUEUES, FAKE_DATA, SW_BUFFERS - FAKE_DATA,
			    NFE_ACCESS_READ | NFE_ACCESS_WRITE));
	SW_DO(fake_register(&g->g, SW_KEY_BUFFERS, SW_BUFFERS, SW_BUFFERS_LEN, NFE_ACCESS_WRITE));
	SW_DO(fake_register(&g->g, SW_KEY_PAYLOAD, SW_PAYLOAD, SW_PAYLOAD_LEN, NFE_ACCESS_READ));
	for (unsigned int i = 0; i < n; i++)
		SW_DO(chan_up(g, &g->chan[i], (uint16_t)(i + 1), conf));
	return TEST_OK;
}

int
sw_mac(struct sw_guest *g, const uint8_t *addr, enum nfe_mac_action action)
{
	struct nfe_req req = { .op = NFE_OP_MAC, .mac.action = (uint8_t)action };

	memcpy(req.mac.mac, addr, 6);
	return fake_request(&g->g, &req, NULL);
}

int
sw_rx_mode(struct sw_guest *g, uint32_t mode)
{
	struct nfe_req req = { .op = NFE_OP_RX_MODE, .rx_mode.mode = mode };

	return fake_request(&g->g, &req, NULL);
}

/* An ethdev on one rte_ring: what the switch sends lies in it, what a test puts there comes in. */
int
sw_open_three(struct sw *sw, const struct vsw_conf *conf, const struct sw_guest_conf *second)
{
	SW_DO(sw_open(sw, conf));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	SW_DO(sw_add_guest(sw, second, NULL));
	SW_DO(sw_add_guest(sw, NULL, NULL));
	return TEST_OK;
}

int
sw_add_uplink(struct sw *sw, bool learning)
{
	static unsigned int instance;
	struct vsw_uplink_conf conf = { .name = "wire", .learning = learning };
	char name[32];

	snprintf(name, sizeof(name), "net_ring%u", instance++);
	TEST_EQ(rte_eal_hotplug_add("vdev", name, ""), 0);
	TEST_EQ(rte_eth_dev_get_port_by_name(name, &conf.ethdev), 0);
	TEST_EQ(vsw_uplink_add(sw->vsw, &conf, &sw->uplink), 0);
	for (unsigned int i = 0; i < sw->uplink->uplink->nb_txq; i++) {
		snprintf(name, sizeof(name), "ETH_RXTX%u_net_ring%u", i, instance - 1);
		sw->wire[i] = rte_ring_lookup(name);
		TEST_TRUE(sw->wire[i] != NULL);
		sw->nb_wires++;
	}
	return TEST_OK;
}

void
sw_wire_send(struct sw *sw, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(sw->uplink->uplink->pool);

	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	rte_ring_enqueue(sw->wire[0], m);
}

int
sw_wire_recv(struct sw *sw, struct sw_frame *f)
{
	struct rte_mbuf *m = NULL;
	unsigned int i = 0;

	while (i < sw->nb_wires && rte_ring_dequeue(sw->wire[i], (void **)&m) != 0)
		i++;
	if (i == sw->nb_wires)
		return 0;
	f->len = m->pkt_len;
	memcpy(f->bytes, rte_pktmbuf_mtod(m, void *), RTE_MIN(f->len, SW_MAX_FRAME));
	rte_pktmbuf_free(m);
	return 1;
}

static int
check_port(const uint64_t v[NFE_STAT_MAX], unsigned int port)
{
	uint64_t from = v[NFE_STAT_from_unicast] + v[NFE_STAT_from_flooded];
	uint64_t to = v[NFE_STAT_to_frames];

	for (unsigned int s = NFE_STAT_FROM_DROP_FIRST; s <= NFE_STAT_FROM_DROP_LAST; s++)
		from += v[s];
	for (unsigned int s = NFE_STAT_TO_DROP_FIRST; s <= NFE_STAT_TO_DROP_LAST; s++)
		to += v[s];
	TEST_ASSERT_MSG(v[NFE_STAT_from_frames] == from, "port %u: %" PRIu64 " in, %" PRIu64
			" accounted for", port, v[NFE_STAT_from_frames], from);
	TEST_ASSERT_MSG(v[NFE_STAT_to_offered] == to, "port %u: %" PRIu64 " offered, %" PRIu64
			" accounted for", port, v[NFE_STAT_to_offered], to);
	return TEST_OK;
}

int
sw_check_identities(struct sw *sw)
{
	static uint64_t v[SW_MAX_GUESTS + 1][NFE_STAT_MAX];
	uint64_t offered = 0, sent = 0;
	int n = vsw_stats(sw->vsw, v, SW_MAX_GUESTS + 1);

	TEST_TRUE(n >= 0);
	for (int i = 0; i < n; i++) {
		SW_DO(check_port(v[i], (unsigned int)i));
		offered += v[i][NFE_STAT_to_offered];
		sent += v[i][NFE_STAT_from_unicast] + v[i][NFE_STAT_from_copies];
	}
	TEST_ASSERT_MSG(offered == sent, "%" PRIu64 " offered, %" PRIu64 " sent", offered, sent);
	return TEST_OK;
}

int
sw_turn_lcore(struct sw *sw, unsigned int lcore)
{
	vsw_lcore_look(sw->vsw->lcore[lcore], 0);
	vsw_lcore_turn(sw->vsw->lcore[lcore]);
	return sw_check_identities(sw);
}

int
sw_turn(struct sw *sw)
{
	for (unsigned int i = 0; i < sw->vsw->nb_lcores; i++)
		SW_DO(sw_turn_lcore(sw, i));
	return TEST_OK;
}

static uint64_t
port_stat(struct vsw_port *port, enum nfe_stat stat)
{
	uint64_t v[NFE_STAT_MAX];

	return vsw_port_stats(port, v) == 0 ? v[stat] : UINT64_MAX;
}

uint64_t
sw_stat(const struct sw_guest *g, enum nfe_stat stat)
{
	return port_stat(g->port, stat);
}

uint64_t
sw_uplink_stat(const struct sw *sw, enum nfe_stat stat)
{
	return port_stat(sw->uplink, stat);
}
