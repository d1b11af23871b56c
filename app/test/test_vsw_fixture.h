/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A switch with fake guests, for test_vsw_*.c and the fuzzer: real functions, real control channel,
 * real accessor; the memory of a guest is the test's own. All in one thread: sw_turn() drives the
 * data path, no lcore is launched.
 *
 * A guest checks all it receives as a distrustful driver would: reserved bytes zero, nothing stale
 * in the last cell or behind a frame in its buffers, fill_end, order of cookies, indices.
 */
#ifndef TEST_VSW_FIXTURE_H
#define TEST_VSW_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <vsw_internal.h>

#include "eal.h"
#include "fake_transport.h"

#define SW_MAX_GUESTS 48
#define SW_MAX_FRAME 9018u
#define SW_MAX_GSO NFE_GSO_MAX_FRAME
#define SW_CHANNELS 8 /* of a guest, at most; the first SW_RX_CHANNELS may post buffers */
#define SW_RX_CHANNELS 2

/* Keys and places of a guest's regions; each has only the access that its use needs. */
#define SW_KEY_QUEUES NFE_KEY(1, 0x11)  /* queues and status blocks: read and write */
#define SW_KEY_BUFFERS NFE_KEY(2, 0x22) /* receive buffers: write */
#define SW_KEY_PAYLOAD NFE_KEY(3, 0x33) /* segments to send: read */
#define SW_BUFFERS 0x60000u
#define SW_BUFFERS_LEN 0x40000u
#define SW_PAYLOAD 0xa0000u
#define SW_PAYLOAD_LEN 0x30000u
/* Places of channel n at (n - 1) * stride in the queue region; status block first. */
#define SW_CHAN_STRIDE 0xa000u
#define SW_CHAN_SQ 0x1000u
#define SW_CHAN_RQ 0x5000u
#define SW_CHAN_FQ 0x9000u
#define SW_BASIC (NFE_F_EVENT_IDX | NFE_F_INLINE_LONG | NFE_F_MULTI_SEG)
#define SW_CSUM (NFE_F_CSUM_TO_DEVICE | NFE_F_CSUM_TO_HOST)
#define SW_GSO (NFE_F_GSO_TO_DEVICE | NFE_F_GSO_TO_HOST)
#define SW_CANARY 0xa5 /* what a test sees where nothing may be written */

struct sw_frame { /* received, flat */
	uint32_t len;
	uint32_t nbufs; /* 0: inline */
	uint8_t flags;  /* NFE_MSG_F_* */
	uint32_t hash;  /* with NFE_MSG_F_HASH */
	struct nfe_hints hints;
	uint8_t bytes[SW_MAX_GSO + 64];
};

struct sw_chan { /* the guest's end of a channel */
	struct sw_guest *guest;
	uint16_t number;
	uint32_t sq_log2, rq_log2, fq_log2;
	uint32_t sq_prod, rq_cons, fq_prod; /* ours, private */
	uint32_t fill_end;    /* buffers before it came back */
	uint32_t posted[256]; /* offset in the buffer region, by FQ idx */
	uint32_t buf_size;
	uint32_t next_buf;
	uint32_t rets, nops; /* buffers given back; padding seen */
	uint8_t ret_reason;
};

struct sw_guest {
	struct fake_guest g;
	struct sw *sw;
	struct vsw_port *port;
	struct nfed_function *fn;
	int kick_fd;
	uint8_t mac[6];
	uint32_t payload_used;
	struct sw_chan chan[SW_CHANNELS];
};

struct sw_guest_conf { /* zero: the default */
	uint32_t first;     /* all indices start here */
	uint32_t sq_log2, rq_log2, fq_log2; /* default 7 */
	uint32_t buf_size;  /* default 2048; UINT32_MAX: no fill queue */
	unsigned int channels; /* default 1 */
	uint64_t features;  /* default SW_BASIC */
	bool events;        /* NFE_QUEUE_F_EVENT on SQ and RQ */
	bool no_start;      /* the channel is left to the test */
	bool file;          /* memory that fake_punch() can take away */
	struct vsw_vif_conf vif; /* name and MAC by number if not set */
};

struct sw {
	struct vsw *vsw;
	unsigned int nb_guests;
	struct sw_guest *guest[SW_MAX_GUESTS];
	struct vsw_port *uplink;
	/* Of the uplink, by queue: what it sent; what lies in the first it will receive. */
	struct rte_ring *wire[VSW_MAX_LCORES];
	unsigned int nb_wires;
};

/* All return TEST_OK or TEST_FAILED, having said why. */
int sw_open(struct sw *sw, const struct vsw_conf *conf); /* NULL: one lcore */
/* With guests 0, 1 and 2; 1 of this kind. */
int sw_open_three(struct sw *sw, const struct vsw_conf *conf, const struct sw_guest_conf *second);
int sw_close(struct sw *sw);
int sw_add_guest(struct sw *sw, const struct sw_guest_conf *conf, struct sw_guest **guest);
int sw_add_uplink(struct sw *sw, bool learning);
/* Boot, register and start as conf says; again after a reset. */
int sw_guest_up(struct sw_guest *g, const struct sw_guest_conf *conf);
/* Requests of the guest: their status. */
int sw_mac(struct sw_guest *g, const uint8_t *addr, enum nfe_mac_action action);
int sw_rx_mode(struct sw_guest *g, uint32_t mode);
/* One turn of every lcore, then all identities of specification 9.2. */
int sw_turn(struct sw *sw);
int sw_turn_lcore(struct sw *sw, unsigned int lcore);
int sw_check_identities(struct sw *sw);
uint64_t sw_stat(const struct sw_guest *g, enum nfe_stat stat);
struct nfe_status *sw_status(const struct sw_chan *c);
uint8_t *sw_chan_mem(const struct sw_chan *c, uint32_t off); /* off: SW_CHAN_* */
uint64_t sw_uplink_stat(const struct sw *sw, enum nfe_stat stat);

/* Messages are put first, then published. */
void sw_put_cells(struct sw_chan *c, const union nfe_msg *m, unsigned int cells);
void sw_publish(struct sw_chan *c);
uint32_t sw_sq_room(const struct sw_chan *c);
/* A frame as INLINE, or as DMA_TX of nsegs segments of random lengths. */
void sw_put_inline(struct sw_chan *c, const uint8_t *frame, uint32_t len);
void sw_put_dma(struct sw_chan *c, const uint8_t *frame, uint32_t len, unsigned int nsegs);
/* With flags and hints, but for hints.nsegs. */
void sw_put_hinted(struct sw_chan *c, const uint8_t *frame, uint32_t len, unsigned int nsegs,
		   uint8_t flags, const struct nfe_hints *hints);
/* As above, by length: inline up to 60 bytes or, at random, up to NFE_INLINE_SHORT. */
void sw_put_frame(struct sw_chan *c, const uint8_t *frame, uint32_t len);
/* Post n buffers; they are filled with the canary. */
void sw_post(struct sw_chan *c, unsigned int n);
/* Next frame: 1, none: 0, the device broke a rule (said why): -1. RETs and NOPs are counted. */
int sw_recv(struct sw_chan *c, struct sw_frame *f);
unsigned int sw_drain(struct sw_chan *c); /* receive and forget; -1u: a rule was broken */

/* 14 bytes of Ethernet header, then bytes that follow from seed. len >= 14. */
void sw_make_frame(uint8_t *frame, uint32_t len, const uint8_t *dst, const uint8_t *src,
		   uint32_t seed);
uint32_t sw_random(void);
void sw_random_seed(uint32_t seed);
extern const uint8_t sw_broadcast[6];

/* The uplink's other end. */
void sw_wire_send(struct sw *sw, const uint8_t *frame, uint32_t len);
int sw_wire_recv(struct sw *sw, struct sw_frame *f); /* 1 or 0 */

#define SW_DO(call) TEST_EQ(call, TEST_OK)

#endif /* TEST_VSW_FIXTURE_H */
