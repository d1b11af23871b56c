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

/* Bit i: byte i of a private cell is not zero. */
static inline uint64_t
nfe_cell64_nonzero(const void *cell)
{
#if defined(__AVX512BW__)
	__m512i v = _mm512_loadu_si512(cell);

	return _mm512_test_epi8_mask(v, v);
#elif defined(__AVX2__)
	uint64_t zero = 0;

	for (unsigned int i = 0; i < 2; i++) {
		__m256i v = _mm256_loadu_si256((const __m256i *)cell + i);

		v = _mm256_cmpeq_epi8(v, _mm256_setzero_si256());
		zero |= (uint64_t)(uint32_t)_mm256_movemask_epi8(v) << (32 * i);
	}
	return ~zero;
#elif defined(__SSE2__)
	uint64_t zero = 0;

	for (unsigned int i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)cell + i);

		v = _mm_cmpeq_epi8(v, _mm_setzero_si128());
		zero |= (uint64_t)_mm_movemask_epi8(v) << (16 * i);
	}
	return ~zero;
#else
	const uint8_t *byte = cell;
	uint64_t nonzero = 0;

	for (unsigned int i = 0; i < NFE_MSG_SIZE; i++)
		nonzero |= (uint64_t)(byte[i] != 0) << i;
	return nonzero;
#endif
}

/* Zero the bytes of a private cell from keep on, keep 1..64 (rule 20). Whoever keeps the rule has
 * done so, then nothing is stored: a load has to wait for what was stored in smaller parts. The
 * tail is not walked in a loop, nor compared with a mask from memory (64 B: 16.4 cycles of the
 * switch, so 15.0; nfe-test vsw_perf). */
static inline void
nfe_cell64_trim(void *cell, unsigned int keep)
{
	if (keep < NFE_MSG_SIZE && __builtin_expect(nfe_cell64_nonzero(cell) >> keep != 0, 0))
		memset((uint8_t *)cell + keep, 0, NFE_MSG_SIZE - keep);
}

/* A cell of n bytes at from, 1..64, and zeroes behind them; 64 are readable. The bits of replaced in the
 * first word are those of head. */
static inline void
nfe_put_part(uint8_t *cell, const uint8_t *from, uint32_t n, uint64_t replaced, uint64_t head)
{
	const uint8_t *end = (const uint8_t *)nfe_cell_mask + NFE_MSG_SIZE;
	nfe_cell v = *(const nfe_cell_anywhere *)from & *(const nfe_cell_anywhere *)(end - n);

	*(nfe_cell *)cell = (v & ~(nfe_cell){ replaced }) | (nfe_cell){ head };
}

/* A continuation cell of n bytes at from, n may be more. Frames of 64, 128 and 256 B have four bytes in
 * the last one: these are read alone, what follows them is another line. */
static inline void
nfe_put_more(uint8_t *cell, const uint8_t *from, uint32_t n)
{
	uint32_t last;

	if (n >= NFE_MSG_SIZE) {
		*(nfe_cell *)cell = *(const nfe_cell_anywhere *)from;
	} else if (n > sizeof(last)) {
		nfe_put_part(cell, from, n, 0, 0);
	} else {
		memcpy(&last, from, sizeof(last));
		*(nfe_cell *)cell = (nfe_cell){ last & (UINT32_MAX >> (32 - 8 * n)) };
	}
}

/*
 * The one to five cells of a frame of len bytes, at most NFE_INLINE_SHORT. Readable must be
 * NFE_CELL_HEAD bytes before the frame and NFE_INLINE_SHORT from its start: whole cells are read of
 * its surroundings, and a mask clears what isn't the frame before anything is stored (rule 20).
 * Of a frame of 60 B or more no line is read that holds nothing of it (64 B: 15.8 cycles to send,
 * so 13.8; nfe-test nfe_perf).
 */
static inline void
nfe_put_inline(uint8_t *cells, const uint8_t *frame, uint32_t len)
{
	const uint64_t head = NFE_MSG_INLINE | (uint64_t)len << 16;
	nfe_put_word *word = (nfe_put_word *)cells;
	uint32_t begin;

	if (__builtin_expect(len >= NFE_INLINE_ONE, 1)) {
		memcpy(&begin, frame, sizeof(begin));
		word[0] = head | (uint64_t)begin << 32;
		memcpy(&word[1], frame + NFE_CELL_HEAD, NFE_INLINE_ONE - NFE_CELL_HEAD);
	} else {
		nfe_put_part(cells, frame - NFE_CELL_HEAD, NFE_CELL_HEAD + len, UINT32_MAX, head);
	}
	for (uint32_t at = NFE_INLINE_ONE; at < len; at += NFE_MSG_SIZE)
		nfe_put_more(cells + NFE_CELL_HEAD + at, frame + at, len - at);
}

#endif /* NFE_CELL_H */
