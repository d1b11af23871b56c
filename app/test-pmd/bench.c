/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Ports, frames and traffic for the cases, see bench.h. Main lcore only. */
#include <errno.h>
#include <stdlib.h>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_random.h>

#include "bench.h"

#define TRAFFIC_TIMEOUT_MS 20000
#define RECLAIM_TIMEOUT_MS 2000
#define BURST 32
#define MAX_FRAME 9216

struct rte_mempool *bench_pool;
uint16_t port_a, port_b;
static const char *socket_dir, *more_args;
static struct rte_ether_addr mac_a, mac_b;

uint64_t
now_ms(void)
{
	return rte_get_timer_cycles() * 1000 / rte_get_timer_hz();
}

int
bench_init(const char *dir, const char *args)
{
	socket_dir = dir;
	more_args = args;
	bench_pool = rte_pktmbuf_pool_create("bench", BENCH_POOL, 128, 0, BENCH_DATA_ROOM,
					     SOCKET_ID_ANY);
	TEST_TRUE(bench_pool != NULL);
	return TEST_OK;
}

/* In a VM the two are PCI functions. */
static const char *
pci_address(const char *vif)
{
	if (strcmp(socket_dir, BENCH_PCI) != 0)
		return NULL;
	return vif[0] == 'a' ? "0000:01:00.0" : "0000:02:00.0";
}

const char *
bench_socket(const char *vif)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s.sock", socket_dir, vif);
	return path;
}

int
bench_probe(const char *vif, uint16_t *port)
{
	const char *pci = pci_address(vif), *comma = more_args[0] != '\0' ? "," : "";
	char name[32], args[320];

	if (pci != NULL) {
		snprintf(name, sizeof(name), "%s", pci);
		snprintf(args, sizeof(args), "%s,first_index=%u%s%s", pci, BENCH_FIRST_INDEX,
			 comma, more_args);
		TEST_EQ(rte_dev_probe(args), 0);
	} else {
		snprintf(name, sizeof(name), "net_nfe_%s", vif);
		snprintf(args, sizeof(args), "socket=%s,first_index=%u%s%s", bench_socket(vif),
			 BENCH_FIRST_INDEX, comma, more_args);
		TEST_EQ(rte_vdev_init(name, args), 0);
	}
	TEST_EQ(rte_eth_dev_get_port_by_name(name, port), 0);
	TEST_EQ(rte_eth_macaddr_get(*port, vif[0] == 'a' ? &mac_a : &mac_b), 0);
	return TEST_OK;
}

int
bench_remove(const char *vif)
{
	char name[32];

	if (pci_address(vif) != NULL) {
		TEST_EQ(rte_eal_hotplug_remove("pci", pci_address(vif)), 0);
		return TEST_OK;
	}
	snprintf(name, sizeof(name), "net_nfe_%s", vif);
	TEST_EQ(rte_vdev_uninit(name), 0);
	return TEST_OK;
}

int
bench_probe_both(void)
{
	TEST_EQ(bench_probe("a", &port_a), TEST_OK);
	TEST_EQ(bench_probe("b", &port_b), TEST_OK);
	return TEST_OK;
}

int
bench_remove_both(void)
{
	TEST_EQ(bench_remove("a"), TEST_OK);
	TEST_EQ(bench_remove("b"), TEST_OK);
	TEST_EQ(rte_mempool_avail_count(bench_pool), BENCH_POOL);
	return TEST_OK;
}

int
port_setup(uint16_t port, const struct port_conf *conf)
{
	uint16_t desc = conf->desc ? conf->desc : 256;
	struct rte_eth_conf ec = {
		.rxmode.mtu = conf->mtu ? conf->mtu : RTE_ETHER_MTU,
		.rxmode.offloads = conf->rx_offloads |
				   (conf->scatter ? RTE_ETH_RX_OFFLOAD_SCATTER : 0),
		.rxmode.mq_mode = conf->rss_hf ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE,
		.rx_adv_conf.rss_conf.rss_hf = conf->rss_hf,
		.txmode.offloads = conf->fast_free ? RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE :
						     RTE_ETH_TX_OFFLOAD_MULTI_SEGS |
						     conf->tx_offloads,
		.intr_conf = { .lsc = 1, .rxq = conf->rx_intr },
	};
	struct rte_eth_dev_info info;

	TEST_EQ(rte_eth_dev_info_get(port, &info), 0);
	info.default_rxconf.rx_deferred_start = conf->deferred;
	info.default_txconf.tx_deferred_start = conf->deferred;

	TEST_EQ(rte_eth_dev_configure(port, conf->nb_rx, conf->nb_tx, &ec), 0);
	for (uint16_t q = 0; q < conf->nb_rx; q++)
		TEST_EQ(rte_eth_rx_queue_setup(port, q, desc, SOCKET_ID_ANY,
					       &info.default_rxconf,
					       conf->rx_pool ? conf->rx_pool : bench_pool), 0);
	for (uint16_t q = 0; q < conf->nb_tx; q++)
		TEST_EQ(rte_eth_tx_queue_setup(port, q, desc, SOCKET_ID_ANY,
					       &info.default_txconf), 0);
	return TEST_OK;
}

int
port_up(uint16_t port, const struct port_conf *conf)
{
	TEST_EQ(port_setup(port, conf), TEST_OK);
	TEST_EQ(rte_eth_dev_start(port), 0);
	return TEST_OK;
}

int
ports_up(const struct port_conf *a, const struct port_conf *b)
{
	TEST_EQ(port_up(port_b, b), TEST_OK);
	TEST_EQ(port_up(port_a, a), TEST_OK);
	return TEST_OK;
}

int
ports_down(void)
{
	TEST_EQ(rte_eth_dev_stop(port_a), 0);
	TEST_EQ(rte_eth_dev_stop(port_b), 0);
	TEST_EQ(rte_mempool_avail_count(bench_pool), BENCH_POOL);
	return TEST_OK;
}

bool
port_link(uint16_t port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status;
}

int
wait_link(uint16_t port, bool up, unsigned int timeout_ms)
{
	uint64_t deadline = now_ms() + timeout_ms;

	while (port_link(port) != up) {
		TEST_ASSERT_MSG(now_ms() < deadline, "port %u: link not %s after %u ms", port,
				up ? "up" : "down", timeout_ms);
		rte_delay_us_sleep(1000);
	}
	return TEST_OK;
}

uint64_t
port_xstat(uint16_t port, const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(port, name, &id) != 0 ||
	    rte_eth_xstats_get_by_id(port, &id, &value, 1) != 1)
		return UINT64_MAX;
	return value;
}

/* Addresses, type, number, length, then bytes that follow from the number. */
static void
frame_fill(uint8_t *frame, uint32_t number, uint32_t len)
{
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;

	memcpy(frame, &mac_b, 6);
	memcpy(frame + 6, &mac_a, 6);
	frame[12] = 0x88; /* local experimental */
	frame[13] = 0xb5;
	memcpy(frame + 14, &number, 4);
	memcpy(frame + 18, &len, 4);
	for (uint32_t i = BENCH_MIN_FRAME; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		frame[i] = (uint8_t)x;
	}
}

struct rte_mbuf *
frame_make(struct rte_mempool *pool, uint32_t number, uint32_t len, unsigned int max_segs)
{
	static uint8_t frame[MAX_FRAME];
	struct rte_mbuf *head = NULL, *m;
	uint32_t done = 0;

	frame_fill(frame, number, len);
	while (done < len) {
		uint32_t room, n;

		m = rte_pktmbuf_alloc(pool);
		if (m == NULL || (head != NULL && rte_pktmbuf_chain(head, m) != 0)) {
			rte_pktmbuf_free(m);
			rte_pktmbuf_free(head);
			return NULL;
		}
		head = head != NULL ? head : m;
		room = RTE_MIN(len - done, (uint32_t)rte_pktmbuf_tailroom(m));
		n = head->nb_segs < max_segs ? 1 + (uint32_t)rte_rand_max(room) : room;
		memcpy(rte_pktmbuf_mtod(m, void *), frame + done, n);
		m->data_len = (uint16_t)n;
		head->pkt_len = done += n;
	}
	return head;
}

int
frame_check(const struct rte_mbuf *m, uint32_t *number)
{
	static uint8_t expected[MAX_FRAME], copy[MAX_FRAME];
	uint32_t len = m->pkt_len;

	TEST_TRUE(len >= BENCH_MIN_FRAME && len <= MAX_FRAME);
	rte_mbuf_sanity_check(m, 1);
	memcpy(number, rte_pktmbuf_read(m, 14, 4, copy), 4);
	frame_fill(expected, *number, len);
	TEST_MEM_EQ(rte_pktmbuf_read(m, 0, len, copy), expected, len);
	return TEST_OK;
}

static uint32_t
random_len(uint32_t max)
{
	uint32_t limit = rte_rand_max(3) == 0 ? RTE_MIN(max, 130u) : max;

	return BENCH_MIN_FRAME + (uint32_t)rte_rand_max(limit - BENCH_MIN_FRAME + 1);
}

/* Sends up to n frames that follow number; how many the port took. */
static uint16_t
send_some(const struct traffic *t, uint32_t number, uint32_t n)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t made = 0, sent;

	for (; made < RTE_MIN(n, (uint32_t)BURST); made++) {
		pkts[made] = frame_make(t->pool ? t->pool : bench_pool, number + made,
					random_len(t->max_len ? t->max_len : 1514), t->max_segs);
		if (pkts[made] == NULL)
			break;
	}
	sent = rte_eth_tx_burst(port_a, 0, pkts, made);
	rte_pktmbuf_free_bulk(pkts + sent, made - sent);
	return sent;
}

static int
receive_some(uint32_t *next)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = rte_eth_rx_burst(port_b, 0, pkts, 1 + (uint16_t)rte_rand_max(BURST));
	int ret = TEST_OK;

	for (uint16_t i = 0; i < n; i++) {
		uint32_t number = UINT32_MAX;

		if (ret == TEST_OK)
			ret = frame_check(pkts[i], &number);
		rte_pktmbuf_free(pkts[i]);
		if (ret == TEST_OK && number != *next) {
			printf("# frame %u arrived, expected %u\n", number, *next);
			ret = TEST_FAILED;
		}
		(*next)++;
	}
	return ret;
}

int
traffic_run(const struct traffic *t)
{
	uint64_t deadline = now_ms() + TRAFFIC_TIMEOUT_MS;
	uint32_t sent = 0, next = 0, window = t->window ? t->window : 32;

	while (next < t->frames) {
		uint32_t want = RTE_MIN(t->frames - sent, window - (sent - next));

		sent += send_some(t, sent, want);
		TEST_EQ(receive_some(&next), TEST_OK);
		TEST_ASSERT_MSG(now_ms() < deadline, "%u sent, %u received after %u ms", sent, next,
				TRAFFIC_TIMEOUT_MS);
	}
	return TEST_OK;
}

int
numbers_send(struct numbers *n, uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++) {
		struct rte_mbuf *m = frame_make(bench_pool, n->sent, 400 + n->sent % 1000, 1);

		TEST_TRUE(m != NULL);
		if (rte_eth_tx_burst(port_a, 0, &m, 1) == 1)
			n->sent++;
		else
			rte_pktmbuf_free(m);
	}
	return TEST_OK;
}

int
numbers_receive(struct numbers *n)
{
	struct rte_mbuf *m[BURST];
	uint16_t got = rte_eth_rx_burst(port_b, 0, m, BURST);
	int ret = TEST_OK;

	for (uint16_t i = 0; i < got; i++) {
		uint32_t number = UINT32_MAX;

		if (ret == TEST_OK)
			ret = frame_check(m[i], &number);
		rte_pktmbuf_free(m[i]);
		if (ret == TEST_OK && number != n->next) {
			printf("# frame %u arrived, expected %u\n", number, n->next);
			ret = TEST_FAILED;
		}
		n->next++;
	}
	return ret;
}

int
numbers_settle(struct numbers *n)
{
	uint64_t deadline = now_ms() + TRAFFIC_TIMEOUT_MS;

	while (n->next != n->sent) {
		TEST_ASSERT_MSG(now_ms() < deadline, "%u sent, %u received", n->sent, n->next);
		TEST_EQ(numbers_receive(n), TEST_OK);
	}
	return TEST_OK;
}

#define PROBE UINT32_C(0x50524f42) /* number of the frame that follows */

static int
send_now(struct rte_mbuf *m)
{
	uint64_t deadline = now_ms() + TRAFFIC_TIMEOUT_MS;

	TEST_TRUE(m != NULL);
	while (rte_eth_tx_burst(port_a, 0, &m, 1) == 0)
		TEST_TRUE(now_ms() < deadline);
	return TEST_OK;
}

static int
receive_now(struct rte_mbuf **m)
{
	uint64_t deadline = now_ms() + TRAFFIC_TIMEOUT_MS;

	while (rte_eth_rx_burst(port_b, 0, m, 1) == 0)
		TEST_TRUE(now_ms() < deadline);
	return TEST_OK;
}

/* frame is sent with a probe behind it; got: what came before the probe, or NULL. */
static int
send_and_probe(struct rte_mbuf *frame, struct rte_mbuf **got)
{
	uint32_t number;

	TEST_EQ(send_now(frame), TEST_OK);
	TEST_EQ(send_now(frame_make(bench_pool, PROBE, 60, 1)), TEST_OK);
	for (*got = NULL;;) {
		struct rte_mbuf *m;

		TEST_EQ(receive_now(&m), TEST_OK);
		memcpy(&number, rte_pktmbuf_mtod_offset(m, void *, 14), sizeof(number));
		if (number == PROBE) {
			rte_pktmbuf_free(m);
			return TEST_OK;
		}
		TEST_TRUE(*got == NULL);
		*got = m;
	}
}

struct rte_ether_addr bench_stranger = { { 0x02, 0, 0, 0, 0, 0x77 } };

int
expect_frame(const struct rte_ether_addr *to, uint32_t len, bool arrives)
{
	struct rte_mbuf *m, *got;
	struct rte_ether_addr *dst;
	uint32_t number;

	TEST_EQ(rte_eth_macaddr_get(port_b, &mac_b), 0);
	m = frame_make(bench_pool, 1, len, 1);
	TEST_TRUE(m != NULL);
	dst = rte_pktmbuf_mtod(m, struct rte_ether_addr *);
	if (to != NULL)
		rte_ether_addr_copy(to, dst);
	TEST_EQ(send_and_probe(m, &got), TEST_OK);
	TEST_ASSERT_MSG((got != NULL) == arrives, "frame of %u bytes: %s", len,
			arrives ? "did not arrive" : "arrived");
	if (got == NULL)
		return TEST_OK;
	dst = rte_pktmbuf_mtod(got, struct rte_ether_addr *);
	TEST_TRUE(to == NULL || rte_is_same_ether_addr(dst, to));
	rte_ether_addr_copy(&mac_b, dst); /* the rest as frame_make() made it */
	TEST_EQ(frame_check(got, &number), TEST_OK);
	rte_pktmbuf_free(got);
	return TEST_OK;
}

int
expect_tagged_frame(unsigned int tags, uint32_t len)
{
	static const uint8_t tag[4] = { 0x81, 0x00, 0x20, 0x05 }; /* priority 1, VLAN 5 */
	struct rte_mbuf *m = frame_make(bench_pool, 1, len, 1), *got;
	static uint8_t sent[MAX_FRAME];
	uint8_t *data;

	TEST_TRUE(m != NULL && m->data_len == len);
	data = rte_pktmbuf_mtod(m, uint8_t *);
	for (unsigned int i = 0; i < tags; i++)
		memcpy(data + 12 + i * sizeof(tag), tag, sizeof(tag));
	memcpy(sent, data, len);
	TEST_EQ(send_and_probe(m, &got), TEST_OK);
	TEST_TRUE(got != NULL && got->pkt_len == len);
	TEST_MEM_EQ(rte_pktmbuf_mtod(got, uint8_t *), sent, len);
	rte_pktmbuf_free(got);
	return TEST_OK;
}

int
pool_wait_whole(struct rte_mempool *pool)
{
	uint64_t deadline = now_ms() + RECLAIM_TIMEOUT_MS;

	while (!rte_mempool_full(pool)) {
		TEST_ASSERT_MSG(now_ms() < deadline, "pool %s: %u of %u mbufs are back", pool->name,
				rte_mempool_avail_count(pool), pool->size);
		rte_eth_tx_done_cleanup(port_a, 0, 0);
	}
	return TEST_OK;
}

/* One line out, one line in. */
static int
ask(const char *what)
{
	static unsigned int number;
	char answer[64];

	printf("@%s %u\n", what, ++number);
	fflush(stdout);
	TEST_TRUE(strcmp(socket_dir, BENCH_PCI) != 0); /* QEMU does not live through that */
	TEST_TRUE(fgets(answer, sizeof(answer), stdin) != NULL);
	return TEST_OK;
}

int
switch_down(void)
{
	return ask("down");
}

int
switch_up(void)
{
	return ask("up");
}

int
switch_hang(void)
{
	return ask("hang");
}

int
switch_go_on(void)
{
	return ask("go");
}

int
switch_up_small(void)
{
	return ask("small");
}
