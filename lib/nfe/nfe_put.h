/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Write a message to shared memory from registers, each word once.
 *
 * A message that is made of its fields in private memory and then copied in wider loads is no
 * longer way to the same end: no store is as wide as the load, so none can be forwarded to it, and
 * the load waits until every store before it has reached the cache. Behind a payload that the peer
 * has read last these are the 24 lines of 1500 B, fetched from the other core, once per frame.
 */
#ifndef NFE_PUT_H
#define NFE_PUT_H

#include <stdint.h>
#include <string.h>

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

#endif /* NFE_PUT_H */
