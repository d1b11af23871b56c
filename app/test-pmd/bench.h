/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the cases of test-pmd stand on: two net_nfe ports on one switch, "a" sends, "b" receives,
 * both polled by the main lcore. Frames are numbered and filled from their number, so that each
 * byte of what arrives can be checked.
 *
 * Functions that return int give TEST_OK or TEST_FAILED and have said why (test.h).
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ethdev.h>

#include "test.h"

#define BENCH_PCI "pci" /* in the place of the directory of sockets */
#define BENCH_POOL 8191 /* mbufs of the common pool */
#define BENCH_DATA_ROOM (2048 + RTE_PKTMBUF_HEADROOM)
#define BENCH_FIRST_INDEX 0xffffff00u /* all queues start near the wrap */
#define BENCH_MIN_FRAME 22u /* addresses, type, number, length */

struct port_conf {
	uint16_t nb_rx, nb_tx; /* queues */
	uint16_t desc; /* 0: 256 */
	uint16_t mtu;  /* 0: 1500 */
	bool scatter, fast_free;
	uint64_t tx_offloads, rx_offloads; /* besides */
	uint64_t rss_hf; /* not 0: RSS */
	bool deferred; /* no queue starts with the port */
	bool rx_intr;
	struct rte_mempool *rx_pool; /* NULL: the common one */
};

struct traffic {
	uint32_t frames;
	uint32_t max_len; /* bytes, 0: 1514 */
	uint32_t window;  /* frames under way, 0: 32 */
	unsigned int max_segs; /* of a frame; 0: as many as it takes */
	struct rte_mempool *pool; /* frames come from it; NULL: the common one */
};

extern struct rte_mempool *bench_pool;
extern uint16_t port_a, port_b;

int bench_init(const char *socket_dir, const char *args); /* args: of each device, or "" */

/* Ports. probe: "a" or "b", its port id comes in *port. */
int bench_probe(const char *vif, uint16_t *port);
int bench_remove(const char *vif); /* as hot-unplug does: closes as well */
int bench_probe_both(void);
int bench_remove_both(void);
const char *bench_socket(const char *vif);
int port_setup(uint16_t port, const struct port_conf *conf); /* configured, not started */
int port_up(uint16_t port, const struct port_conf *conf);
/* b first, so that nothing that a sends is too early. */
int ports_up(const struct port_conf *a, const struct port_conf *b);
int ports_down(void); /* and the common pool is whole again */
bool port_link(uint16_t port);
int wait_link(uint16_t port, bool up, unsigned int timeout_ms);
uint64_t port_xstat(uint16_t port, const char *name); /* UINT64_MAX: there is none */

/* Frames */
struct rte_mbuf *frame_make(struct rte_mempool *pool, uint32_t number, uint32_t len,
			    unsigned int max_segs);
int frame_check(const struct rte_mbuf *m, uint32_t *number);
/* Closed loop from a to b on their queues 0: all arrive, once, in order, intact. */
int traffic_run(const struct traffic *t);
/* Frames one by one: those that fit are sent, by reference, one cell each way, so that all that a's
 * queue holds fits into b's; what has arrived is checked, none may be missing before it. */
struct numbers {
	uint32_t sent, next;
};
int numbers_send(struct numbers *n, uint32_t frames);
int numbers_receive(struct numbers *n);
int numbers_settle(struct numbers *n); /* receives until all that was sent is there */
/* One frame of a: does it arrive at b? A second one to b's own address tells when the first is
 * settled. to: NULL is b's own. */
extern struct rte_ether_addr bench_stranger; /* nobody's address */
int expect_frame(const struct rte_ether_addr *to, uint32_t len, bool arrives);
int expect_tagged_frame(unsigned int tags, uint32_t len); /* to b; it arrives with its tags */
/* The device may still hold mbufs that it has consumed: reclaim until pool is whole. */
int pool_wait_whole(struct rte_mempool *pool);

/* The program that started us ends the switch (kill -9) and starts another one. */
int switch_down(void);
int switch_up(void);
int switch_up_small(void); /* one that gives each VIF one channel */
int switch_hang(void);     /* it is stopped (kill -STOP) until switch_go_on() */
int switch_go_on(void);
uint64_t now_ms(void);

#endif /* BENCH_H */
