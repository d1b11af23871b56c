/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Write messages to shared memory from registers, each word once.
 *
 * Making a message of its fields in private memory and copying it in wider loads would be slow: no
 * store of a field is as wide as the load, so none can be forwarded to it, and the load waits until
 * every store before it has reached the cache. Behind a payload that the peer has read last these
 * are the 24 lines of 1500 B, fetched from the other core, once per frame.
 *
 * Short frames are written without a loop over bytes and without a branch on the length but one.
 * Plain C in the compiler's vector types, so the same source serves every instruction set.
 */
#ifndef NFE_CELL_H
#define NFE_CELL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "nfe_msg.h"

typedef uint64_t __attribute__((may_alias)) nfe_put_word;
typedef uint64_t __attribute__((may_alias, aligned(1))) nfe_put_from;

/* First word of a DMA message: len and key (4.3) or cookie (4.4) are those of its first segment. */
static inline uint64_t
nfe_put_head(enum nfe_msg_type type, uint8_t flags, uint16_t len, uint32_t key_or_cookie)
{
	return (uint64_t)type | (uint64_t)flags << 8 | (uint64_t)len << 16 |
	       (uint64_t)key_or_cookie << 32;
}

/* Two 32-bit fields that follow each other. */
static inline uint64_t
nfe_put_pair(uint32_t first, uint32_t second)
{
	return first | (uint64_t)second << 32;
}

/* The first cell of a DMA message (4.3, 4.4), 8-byte aligned; hdr: NFE_HDR_COPY readable bytes. */
static inline void
nfe_put_dma(void *cell, uint64_t first, uint64_t second, struct nfe_hints hints, const void *hdr)
{
	volatile nfe_put_word *to = (volatile nfe_put_word *)cell;
	const nfe_put_from *from = (const nfe_put_from *)hdr;
	uint64_t third;

	memcpy(&third, &hints, sizeof(third));
	to[0] = first;
	to[1] = second;
	to[2] = third;
	for (unsigned int i = 0; i < NFE_HDR_COPY / sizeof(*to); i++)
		to[3 + i] = from[i];
}

/* A fill entry (4.10) or a segment of a continuation cell (4.5), 8-byte aligned. */
static inline void
nfe_put_entry(void *entry, uint64_t first, uint64_t second)
{
	volatile nfe_put_word *to = (volatile nfe_put_word *)entry;

	to[0] = first;
	to[1] = second;
}

#define NFE_CELL_HEAD 4u /* bytes before the frame in its first cell */
/* Bytes of the longest frame for this, and by default of the longest that goes inline at all: 256 B
 * with a tag and a hash; from 384 B on references are faster (doc/sweeps.md). */
#define NFE_INLINE_SHORT (NFE_INLINE_ONE + 4 * NFE_MSG_SIZE)

typedef uint32_t __attribute__((may_alias)) nfe_cell_head; /* type, flags, length */
typedef uint64_t nfe_cell __attribute__((vector_size(64), may_alias));
typedef uint64_t nfe_cell_anywhere __attribute__((vector_size(64), may_alias, aligned(1)));

/* 64 bytes from n bytes before its middle on: the first n are kept. */
static const uint64_t nfe_cell_mask[16] __attribute__((aligned(64))) = {
	UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
	UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
};

typedef uint64_t nfe_half_cell __attribute__((vector_size(32), may_alias, aligned(1)));

/* Has either half of a cell a bit that its mask has not? */
static inline bool
nfe_cell_exceeds(const nfe_half_cell half[2], const nfe_half_cell mask[2])
{
#ifdef __AVX2__
	return !_mm256_testc_si256((__m256i)mask[0], (__m256i)half[0]) ||
	       !_mm256_testc_si256((__m256i)mask[1], (__m256i)half[1]);
#else
	nfe_half_cell more = (half[0] & ~mask[0]) | (half[1] & ~mask[1]);

	return (more[0] | more[1] | more[2] | more[3]) != 0;
#endif
}

/* Zero the bytes of a private cell from keep on, keep 1..64 (rule 20). Whoever keeps the rule has
 * done so, then nothing is stored: a load has to wait for what was stored in smaller parts. The
 * tail is not walked in a loop: 36 -> 31 cycles for a frame of 64 B (nfe-test vsw_perf). */
static inline void
nfe_cell64_trim(void *cell, unsigned int keep)
{
	const uint8_t *first = (const uint8_t *)nfe_cell_mask + NFE_MSG_SIZE - keep;
	const nfe_half_cell *mask = (const nfe_half_cell *)first;
	nfe_half_cell *half = (nfe_half_cell *)cell;

	if (keep < NFE_MSG_SIZE && __builtin_expect(nfe_cell_exceeds(half, mask), 0)) {
		half[0] &= mask[0];
		half[1] &= mask[1];
	}
}

/*
 * The one to five cells of a frame of len bytes, at most NFE_INLINE_SHORT. Readable must be
 * NFE_CELL_HEAD bytes before the frame and NFE_INLINE_SHORT from its start: whole cells are read of
 * its surroundings, and a mask clears what isn't the frame before anything is stored (rule 20).
 */
static inline void
nfe_put_inline(uint8_t *cells, const uint8_t *frame, uint32_t len)
{
	const nfe_cell not_head = ~(nfe_cell){ UINT32_MAX };
	const nfe_cell head = { NFE_MSG_INLINE | (uint64_t)len << 16 };
	const uint8_t *end = (const uint8_t *)nfe_cell_mask + NFE_MSG_SIZE;
	uint32_t first = len < NFE_INLINE_ONE ? len : NFE_INLINE_ONE;

	*(nfe_cell *)cells = (*(const nfe_cell_anywhere *)(frame - NFE_CELL_HEAD) & not_head &
			      *(const nfe_cell_anywhere *)(end - NFE_CELL_HEAD - first)) |
			     head;
	for (uint32_t at = NFE_INLINE_ONE; at < len; at += NFE_MSG_SIZE) {
		uint32_t left = len - at < NFE_MSG_SIZE ? len - at : NFE_MSG_SIZE;

		*(nfe_cell *)(cells + NFE_CELL_HEAD + at) =
			*(const nfe_cell_anywhere *)(frame + at) &
			*(const nfe_cell_anywhere *)(end - left);
	}
}

#endif /* NFE_CELL_H */
