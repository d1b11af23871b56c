/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A flow of frames that can be rebuilt from (seed, sequence number): the receiver knows every byte.
 *
 *   0  destination, source   12  EtherType 0x88b5 (local experimental)
 *   14 u64 sequence number   22  u8 flow id   23.. pseudo-random
 *
 * Frames too short for a number are checked against the one that is expected next; so a lossy run
 * uses frames of FLOW_MIN_NUMBERED bytes at least.
 */
#ifndef FLOW_H
#define FLOW_H

#include <stdint.h>

#define FLOW_MIN_NUMBERED 64u

struct flow {
	uint8_t dst[6], src[6];
	uint8_t id;
	uint64_t seed;
	uint32_t min_len, max_len; /* bytes */
	uint64_t next;             /* number of the next frame to send */
	/* receiver */
	uint64_t expected;
	uint64_t received, bytes, lost, duplicated, corrupt;
};

/* Build frame number seq; returns its length. */
uint32_t flow_build(const struct flow *f, uint64_t seq, uint8_t *frame);
/* Is this one of f's frames, as far as its header tells? */
int flow_owns(const struct flow *f, const uint8_t *frame, uint32_t len);
/* Judge a received frame: counted as received, lost before it, duplicated or corrupt. */
void flow_check(struct flow *f, const uint8_t *frame, uint32_t len);

#endif /* FLOW_H */
