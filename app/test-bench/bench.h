/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * test-bench: options, ends and what the modes share. Everything runs on the one guest thread,
 * unless a comment says otherwise.
 *
 * An end is where frames come from and go to: an ethdev of any driver (end_ethdev.c) or a VIF of
 * lib/vif, used with stock rte_ring calls (end_raw.c) or as cheaply as can be (end_cells.c). The
 * modes know ends only, so that every switch is measured by the same code.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_cycles.h>

#include <nfe_queue.h>

#include "histogram.h"

#define BENCH_MAX_ENDS 1024
#define BENCH_MAX_BURST 64u
#define BENCH_MIN_SIZE 24u
#define BENCH_MAX_SIZE 9018u
#define BENCH_ETHER_TYPE 0x88b5 /* local experimental */
#define BENCH_MAX_MACS 65536u
#define BENCH_COUNTERS_SIZE 64u /* of an lcore in the counters-file of vif-switch; busy cycles come first */

struct bench_opt {
	const char *mode;
	uint32_t size;        /* bytes of a frame, without FCS */
	bool imix;            /* 7 x 64, 4 x 594, 1 x 1514 instead of size */
	bool touch;           /* write and read the whole payload, not only its head */
	uint32_t ahead;       /* lines of so many frames further on are asked for; 0: of none */
	bool both;            /* two ends: both directions */
	bool ring;            /* all ends: end i sends to end i + 1 */
	uint32_t burst;
	uint32_t publish;     /* ethdevs: frames per tx_burst call, which publishes once; 0: burst */
	uint32_t macs;        /* destination addresses behind end 1 */
	double rate_mpps;     /* mode load */
	uint32_t desc, buf_size, mbufs;
	uint32_t inline_max;  /* raw ends: longer frames go by DMA; 0: one cell */
	uint32_t windows;     /* clean ones of one place wanted, without neighbours (watch.h) */
	uint32_t max_windows; /* then give up */
	uint32_t warm_windows;
	uint32_t window_us;
	uint32_t dirty_permille; /* run delay above this share makes a window dirty */
	uint64_t core_least; /* TSC cycles, of earlier runs (watch.h); 0: none */
	uint32_t pings, gap_us;
	uint32_t link_timeout_ms;
	bool stay;            /* attached after the result, until SIGTERM: for the switch's counters */
	const char *switch_schedstat; /* of the switch's data thread; NULL: not watched */
	const char *switch_counters;  /* file of vsw_lcore_counters; NULL: none */
	int switch_cpu;               /* -1: not watched */
	const char *vif[BENCH_MAX_ENDS]; /* addresses of raw ends; none: every ethdev */
	unsigned int nb_vifs;
	bool cells; /* raw ends write ready-made cells and hardly look at what they get */
};

struct bench_count { /* of one end, in one window */
	uint64_t sent, received, foreign;
	uint64_t tx_cycles, rx_cycles; /* of bursts that were filled, or moved frames */
	uint64_t tx_tries, tx_full;    /* bursts tried, and not taken whole */
};

struct end;

struct end_ops {
	/* Up to n frames, at most opt->burst, to dst; returns how many were taken. Those that were
	 * not taken are offered first the next time. */
	unsigned int (*send)(struct end *end, unsigned int n);
	/* One burst of what is there; returns frames of ours. */
	unsigned int (*receive)(struct end *end);
	bool (*link)(const struct end *end);
	void (*close)(struct end *end);
};

struct end { /* first member of each kind's own */
	const struct end_ops *ops;
	const struct bench_opt *opt;
	const struct end *to; /* whom it sends to */
	char name[64];
	uint8_t mac[6];
	uint8_t src[6], dst[6]; /* of the frames that it sends */
	uint32_t dst_macs, src_macs; /* above 1: the last three bytes vary */
	uint64_t seq;                /* of the next frame */
	uint64_t stamp;       /* what the next frames carry */
	uint64_t last_stamp;  /* of the last frame received */
	uint64_t sum;         /* of what was read, so that reading isn't optimised away */
	bool timed;                /* cycles of bursts are counted, which takes 20 of them */
	struct histogram *latency; /* NULL: stamps are not times */
	struct bench_count count;
};

struct bench {
	const struct bench_opt *opt;
	struct end *end[BENCH_MAX_ENDS];
	unsigned int nb_ends;
	uint64_t attach_us; /* all ends: opened and links up */
};

int end_ethdev_open_all(const struct bench_opt *opt, struct bench *b);
struct end *end_raw_open(const char *address, const struct bench_opt *opt);
struct end *end_cells_open(const char *address, const struct bench_opt *opt);
extern volatile int bench_stop; /* set by SIGTERM and SIGINT */

int bench_flood(struct bench *b);     /* also window, load, both, ring */
int bench_pingpong(struct bench *b);
/* Need no ends, but a second lcore. */
int bench_limit(const struct bench_opt *opt);
int bench_look(const struct bench_opt *opt); /* what the cores can do, and how far they are apart */

static inline uint64_t
bench_clock(const struct end *end)
{
	return end->timed ? rte_rdtsc() : 0;
}

/* Frames: addresses, type, stamp at 16, and with touch the payload behind it. */

static inline void
frame_vary(uint8_t *mac, uint32_t number)
{
	mac[3] = (uint8_t)(number >> 16);
	mac[4] = (uint8_t)(number >> 8);
	mac[5] = (uint8_t)number;
}

/* Spread over n without a pattern that a cache or a prefetcher could follow. */
static inline uint32_t
frame_pick(uint64_t seq, uint32_t n)
{
	uint32_t hash = (uint32_t)seq * UINT32_C(2654435761);

	return (uint32_t)(((uint64_t)hash * n) >> 32);
}

static inline uint32_t
frame_len(const struct end *end, uint64_t number)
{
	static const uint16_t imix[12] = { 64, 594, 64, 64, 594, 64, 1514, 64, 594, 64, 64, 594 };

	return end->opt->imix ? imix[number % 12] : end->opt->size;
}

/* A line per turn: loops of a word per turn took 60 cycles more or less for 1500 B by where the
 * linker put them. */
#define FRAME_WORDS 8u

static inline void
payload_write(uint8_t *at, const uint8_t *end, uint64_t word)
{
	for (; at + 8 * FRAME_WORDS <= end; at += 8 * FRAME_WORDS)
		for (unsigned int k = 0; k < FRAME_WORDS; k++)
			memcpy(at + 8 * k, &word, 8);
	for (; at + 8 <= end; at += 8)
		memcpy(at, &word, 8);
}

static inline uint64_t
payload_read(const uint8_t *at, const uint8_t *end)
{
	uint64_t sum[FRAME_WORDS] = { 0 }, word;

	for (; at + 8 * FRAME_WORDS <= end; at += 8 * FRAME_WORDS)
		for (unsigned int k = 0; k < FRAME_WORDS; k++) {
			memcpy(&word, at + 8 * k, 8);
			sum[k] += word;
		}
	for (; at + 8 <= end; at += 8) {
		memcpy(&word, at, 8);
		sum[0] += word;
	}
	for (unsigned int k = 1; k < FRAME_WORDS; k++)
		sum[0] += sum[k];
	return sum[0];
}

/*
 * Lines of a frame that is written or read soon. Hardware asks for them while frames follow each other in
 * memory; mbufs don't, and a program that waits for the lines of one frame after the other limits every
 * switch (doc/benchmark-history.md, "Frames asked for ahead").
 */
static inline unsigned int
frames_to_ask(uint32_t ahead, unsigned int i, unsigned int n) /* at frame i of a burst of n */
{
	return ahead == 0 ? 0 : RTE_MIN(i + ahead + 1, n);
}

#define AHEAD_BYTES 3072u
#define AHEAD_MOST 8u

/* So many frames are these bytes. */
static inline uint32_t
frames_ahead(uint32_t len)
{
	return RTE_MIN(RTE_MAX(AHEAD_BYTES / len, 1u), AHEAD_MOST);
}

/* By prefetchw, not __builtin_prefetch(p, 1), which only reads here: the switch has read these lines, and
 * a store would wait until it has let go of them (1500 B, CPUs far from each other: 510 cycles, now 280). */
static inline void
lines_ask_to_write(const uint8_t *frame, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += RTE_CACHE_LINE_SIZE)
		nfe_prefetch_write(frame + at);
}

static inline void
lines_ask_to_read(const uint8_t *frame, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(frame + at);
}

static inline void
frame_ask_to_write(const struct bench_opt *opt, const uint8_t *frame, uint32_t len)
{
	lines_ask_to_write(frame, opt->touch ? len : 1);
}

static inline void
frame_ask_to_read(const struct bench_opt *opt, const uint8_t *frame, uint32_t len)
{
	lines_ask_to_read(frame, opt->touch ? len : 1);
}

static inline void
frame_write(struct end *end, uint8_t *frame, uint32_t len)
{
	memcpy(frame, end->dst, 6);
	memcpy(frame + 6, end->src, 6);
	if (unlikely(end->dst_macs > 1))
		frame_vary(frame, frame_pick(end->seq, end->dst_macs));
	if (unlikely(end->src_macs > 1))
		frame_vary(frame + 6, (uint32_t)(end->seq % end->src_macs));
	*(rte_be16_t *)(frame + 12) = RTE_BE16(BENCH_ETHER_TYPE);
	*(uint16_t *)(frame + 14) = 0;
	memcpy(frame + 16, &end->stamp, 8);
	if (end->opt->touch)
		payload_write(frame + 24, frame + len, end->seq);
	end->seq++;
}

/* False: not one of ours. */
static inline bool
frame_read(struct end *end, const uint8_t *frame, uint32_t len)
{
	uint64_t sum = 0;

	if (unlikely(len < BENCH_MIN_SIZE ||
		     *(const rte_be16_t *)(frame + 12) != RTE_BE16(BENCH_ETHER_TYPE)))
		return false;
	memcpy(&end->last_stamp, frame + 16, 8);
	if (end->opt->touch)
		sum = payload_read(frame, frame + len);
	end->sum += sum + end->last_stamp;
	if (end->latency != NULL)
		histogram_add(end->latency, rte_rdtsc() - end->last_stamp);
	return true;
}

#endif /* BENCH_H */
