/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device contract, part 4: the queue protocol (specification 5).
 *
 *      producer                                  consumer
 *      fill entries
 *  W1  store-release prod      ───────────►  R1  load-acquire prod
 *                                                copy entries
 *  R2  load-acquire cons       ◄───────────  W2  store-release cons
 *      reuse entries
 *
 * Sleep and wake (5.4), lost wake-up excluded because P1/S3 and S1/P3 cross two full fences:
 *
 *  P1  = W1                                  S1  store event = cons
 *  P2  full fence                            S2  full fence
 *  P3  load event, kick if crossed           S3  load prod; moved -> go on, else wait
 *
 * Indices are u32 and run free; "idx" is an index masked by size - 1. An index of the peer is
 * data until it was compared: avail = prod - cons must not exceed the capacity (rule 3). In
 * doorbell mode the indices live in the doorbell page and the status block, in ring mode in a
 * stock struct rte_ring (5.3); a pointer to each is all that the code on either end knows.
 */
#ifndef NFE_QUEUE_H
#define NFE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

/* Who polls an empty queue asks for so many cells that come next as well: they then come together with
 * the index that tells of them, not after it (CPUs far from each other, a round trip of 1770 ns, 1570 if
 * the device does it, 1320 if the host does, too). Two are an inline frame of 124 bytes. */
#define NFE_CELLS_FIRST 2u

/* W1, W2 */
static inline void
nfe_idx_publish(uint32_t *shared, uint32_t value)
{
	__atomic_store_n(shared, value, __ATOMIC_RELEASE);
}

/* R1, R2, P3, S3 */
static inline uint32_t
nfe_idx_read(const uint32_t *shared)
{
	return __atomic_load_n(shared, __ATOMIC_ACQUIRE);
}

/* P3: did publishing old -> new cross the event index? */
static inline bool
nfe_event_crossed(uint32_t event, uint32_t new_idx, uint32_t old_idx)
{
	return (uint32_t)(new_idx - event - 1) < (uint32_t)(new_idx - old_idx);
}

/* P2, S2 */
static inline void
nfe_full_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* What is copied is then read by its fields: these words alias all of them. */
typedef uint64_t __attribute__((may_alias)) nfe_cell_word;

/* A cell is read as u64 and used as its message: the copy may alias any type. */
typedef uint64_t __attribute__((may_alias)) nfe_word;

/*
 * Copy a cell from or to shared memory exactly once (rule 1): volatile, so that the compiler may
 * neither repeat nor drop an access. Both addresses are 8-byte aligned, bytes a multiple of 8.
 */
static inline void
nfe_cell_copy(void *dst, const void *src, unsigned int bytes)
{
	const volatile nfe_word *s = (const volatile nfe_word *)src;
	volatile nfe_word *d = (volatile nfe_word *)dst;

	for (unsigned int i = 0; i < bytes / 8; i++)
		d[i] = s[i];
}

/*
 * The same for one whole 64-byte cell, in the widest loads that the compiler may use. Each load is
 * made once: the empty asm takes its value, so it cannot be loaded again later (rule 1).
 */
static inline void
nfe_cell64_copy(void *dst, const void *src)
{
#if defined(__AVX512F__)
	__m512i v = _mm512_loadu_si512(src);

	__asm__ volatile("" : "+v"(v));
	_mm512_storeu_si512(dst, v);
#elif defined(__AVX2__)
	__m256i v[2];

	for (unsigned int i = 0; i < 2; i++) {
		v[i] = _mm256_loadu_si256((const __m256i *)src + i);
		__asm__ volatile("" : "+x"(v[i]));
	}
	for (unsigned int i = 0; i < 2; i++)
		_mm256_storeu_si256((__m256i *)dst + i, v[i]);
#elif defined(__SSE2__)
	__m128i v[4];

	for (unsigned int i = 0; i < 4; i++) {
		v[i] = _mm_loadu_si128((const __m128i *)src + i);
		__asm__ volatile("" : "+x"(v[i]));
	}
	for (unsigned int i = 0; i < 4; i++)
		_mm_storeu_si128((__m128i *)dst + i, v[i]);
#else
	nfe_cell_copy(dst, src, 64);
#endif
}

/*
 * This line will be written soon: fetch it for that, away from the peer that read it last. A store
 * to it then doesn't wait for the other core. rte_prefetch0_write() and __builtin_prefetch(p, 1)
 * only read where the compiler isn't told of prefetchw, which all x86-64 processors take.
 */
static inline void
nfe_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

#endif /* NFE_QUEUE_H */
