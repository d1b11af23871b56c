/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Frames from numbers, and back. */
#include <stdio.h>
#include <string.h>

#include "endpoint.h"
#include "flow.h"

#define SEQ_OFFSET 14u
#define ID_OFFSET 22u
#define CORRUPT_SHOWN 5

static uint64_t
mix(uint64_t x) /* splitmix64 */
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* Every length between the limits comes up; short ones more often, as in real traffic. */
static uint32_t
flow_len(const struct flow *f, uint64_t random)
{
	uint32_t span = f->max_len - f->min_len + 1;

	if ((random & 3) != 0 && span > 256)
		span = 256;
	return f->min_len + (uint32_t)(random >> 8) % span;
}

uint32_t
flow_build(const struct flow *f, uint64_t seq, uint8_t *frame)
{
	uint64_t random = mix(f->seed ^ mix(seq ^ (uint64_t)f->id << 56));
	uint32_t len = flow_len(f, random);
	uint8_t whole[ENDPOINT_MAX_FRAME + 8];

	memcpy(whole, f->dst, 6);
	memcpy(whole + 6, f->src, 6);
	whole[12] = 0x88;
	whole[13] = 0xb5;
	for (uint32_t i = SEQ_OFFSET; i < len; i += 8) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(whole + i, &random, sizeof(random));
	}
	memcpy(whole + SEQ_OFFSET, &seq, sizeof(seq));
	whole[ID_OFFSET] = f->id;
	memcpy(frame, whole, len);
	return len;
}

int
flow_owns(const struct flow *f, const uint8_t *frame, uint32_t len)
{
	if (len < SEQ_OFFSET || memcmp(frame, f->dst, 6) != 0 || memcmp(frame + 6, f->src, 6) != 0)
		return 0;
	if (frame[12] != 0x88 || frame[13] != 0xb5)
		return 0;
	return len <= ID_OFFSET || f->min_len < FLOW_MIN_NUMBERED || frame[ID_OFFSET] == f->id;
}

static void
corrupt(struct flow *f, const uint8_t *frame, uint32_t len, const uint8_t *want, uint32_t want_len)
{
	uint32_t at = 0;

	while (at < len && at < want_len && frame[at] == want[at])
		at++;
	if (f->corrupt++ < CORRUPT_SHOWN)
		fprintf(stderr, "flow %u: frame %lu corrupt: len %u, expected %u, first difference at %u\n",
			f->id, (unsigned long)f->expected, len, want_len, at);
}

void
flow_check(struct flow *f, const uint8_t *frame, uint32_t len)
{
	uint8_t want[ENDPOINT_MAX_FRAME];
	uint64_t seq = f->expected;
	uint32_t want_len;

	if (f->min_len >= FLOW_MIN_NUMBERED)
		memcpy(&seq, frame + SEQ_OFFSET, sizeof(seq));
	want_len = flow_build(f, seq, want);
	if (seq >= f->next || len != want_len || memcmp(frame, want, len) != 0) {
		corrupt(f, frame, len, want, want_len);
		f->expected++;
		return;
	}
	if (seq < f->expected) {
		f->duplicated++;
		return;
	}
	f->lost += seq - f->expected;
	f->expected = seq + 1;
	f->received++;
	f->bytes += len;
}
