/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A short frame as cells (specification 4.2), without a loop over bytes and without a branch on the
 * length but one: each cell is made in registers and stored whole. Plain C in the compiler's vector
 * types, so the same source serves every instruction set.
 *
 * Whole cells are read of the frame's surroundings, which are the application's own memory; a mask
 * clears what isn't the frame before anything is stored, so nothing stale travels (rule 20).
 */
#ifndef NFE_CELL_H
#define NFE_CELL_H

#include <stdalign.h>
#include <stdint.h>

#include <rte_common.h>

#include <nfe_msg.h>

#define NFE_CELL_HEAD 4u /* bytes before the frame in its first cell */
#define NFE_INLINE_SHORT (NFE_INLINE_ONE + NFE_MSG_SIZE) /* bytes of the longest frame for this */

typedef uint32_t __rte_may_alias nfe_cell_head; /* type, flags, length */
typedef uint64_t nfe_cell __attribute__((vector_size(64), may_alias));
typedef uint64_t nfe_cell_anywhere __attribute__((vector_size(64), may_alias, aligned(1)));

/* 64 bytes from &nfe_cell_mask[64 - n]: the first n are kept. */
static const alignas(64) uint8_t nfe_cell_mask[2 * NFE_MSG_SIZE] = {
	[0 ... NFE_MSG_SIZE - 1] = 0xff,
};

/*
 * Write the one or two cells of a frame of len bytes, at most NFE_INLINE_SHORT. Readable must be
 * NFE_CELL_HEAD bytes before the frame and NFE_INLINE_SHORT from its start.
 */
static inline void
nfe_cell_put_inline(uint8_t *cells, const uint8_t *frame, uint32_t len)
{
	const nfe_cell not_head = { ~(uint64_t)UINT32_MAX, -1, -1, -1, -1, -1, -1, -1 };
	const nfe_cell head = { NFE_MSG_INLINE | (uint64_t)len << 16 };
	const uint8_t *end = &nfe_cell_mask[NFE_MSG_SIZE];
	uint32_t first = len < NFE_INLINE_ONE ? len : NFE_INLINE_ONE;

	*(nfe_cell *)cells = (*(const nfe_cell_anywhere *)(frame - NFE_CELL_HEAD) & not_head &
			      *(const nfe_cell_anywhere *)(end - NFE_CELL_HEAD - first)) |
			     head;
	if (len > NFE_INLINE_ONE)
		*(nfe_cell *)(cells + NFE_MSG_SIZE) =
			*(const nfe_cell_anywhere *)(frame + NFE_INLINE_ONE) &
			*(const nfe_cell_anywhere *)(end - (len - NFE_INLINE_ONE));
}

#endif /* NFE_CELL_H */
